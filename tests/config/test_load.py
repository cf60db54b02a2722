"""Files, bases and the command line."""

import argparse
import copy
import gc
import sys

import pytest
from mmcv import Config, DictAction
from mmseg.models import build_segmentor

from segal.config import load_config, mmseg_config, read_config
from segal.errors import ConfigError

CHILD = """
from segal.config import mmseg_config

_base_ = mmseg_config('{base}')
active_learning = dict(
    settings=dict(
        image=dict(initial_pool=10, query_size=5),
        pixel=dict(query_size=10)),
    heuristic='margin')
workflow = [('train', 5), ('query', 1)]
runner = dict(
    type='ActiveLearningRunner', sample_mode='pixel', sample_rounds=3)
data = dict(query={{{{_base_.data.{pool}}}}})
{more}
"""

FAMILIES = {
    'pspnet': (
        'pspnet/pspnet_r50-d8_512x1024_40k_cityscapes.py',
        dict(base_channels=8, depth=18),
    ),
    'segformer': (
        'segformer/segformer_mit-b0_512x512_160k_ade20k.py',
        dict(embed_dims=8, num_heads=[1, 1, 1, 1]),
    ),
    'upernet_swin': (
        'swin/upernet_swin_tiny_patch4_window7_512x512_160k_ade20k_'
        'pretrain_224x224_1K.py',
        dict(embed_dims=12, depths=[1, 1, 1, 1], num_heads=[1, 1, 1, 1]),
    ),
}


def write(folder, base, more='', pool='val', name='child.py'):
    path = folder / name
    path.write_text(CHILD.format(base=base, more=more, pool=pool))
    return str(path)


def options(*words):
    """The command line's ``--cfg-options``, read as MMCV reads it."""
    parser = argparse.ArgumentParser()
    parser.add_argument('--cfg-options', nargs='+', action=DictAction)
    return parser.parse_args(['--cfg-options', *words]).cfg_options


@pytest.mark.parametrize('family', FAMILIES)
def test_mmseg_bases_of_three_families(tmp_path, family):
    base, small = FAMILIES[family]
    path = write(tmp_path, base)
    cfg = load_config(path)
    plain = Config.fromfile(base if base[0] == '/' else mmseg_config(base))
    config, problems, notes = read_config(cfg)
    assert problems == []
    assert len(config.phases) == 3
    # how long the base trained is gone, what it learned with stays
    assert 'max_iters' not in cfg.runner
    assert cfg.evaluation.interval == 5
    assert cfg.checkpoint_config.interval == 5
    assert cfg.optimizer == plain.optimizer
    assert cfg.lr_config == plain.lr_config
    assert cfg.model.decode_head.loss_decode.avg_non_ignore is True
    assert any('max_iters' in note for note in notes)
    model = copy.deepcopy(cfg.model)
    model.pretrained = model.backbone.init_cfg = None
    model.backbone.update(small)
    if family == 'pspnet':
        model.decode_head.in_channels = 512
        model.auxiliary_head.in_channels = 256
    else:
        width = small['embed_dims']
        widths = (
            [width * 2**k for k in range(4)]
            if family == 'upernet_swin'
            else [width] * 4
        )
        model.decode_head.in_channels = widths
        if 'auxiliary_head' in model:
            model.auxiliary_head.in_channels = widths[2]
    for head in ('decode_head', 'auxiliary_head'):
        if head in model:
            model[head].channels = 8
    assert build_segmentor(model).num_classes in (19, 150)


def test_sections_count_as_the_child_wrote_them(tmp_path):
    path = write(
        tmp_path,
        FAMILIES['pspnet'][0],
        more='evaluation = dict(interval=2)\n'
        'checkpoint_config = dict(interval=4)\n'
        'lr_config = dict(min_lr=1e-5)\n'
        'optimizer = dict(lr=0.5)\n',
    )
    cfg = load_config(path)
    assert cfg.evaluation == dict(interval=2)
    assert cfg.checkpoint_config == dict(interval=4)
    assert cfg.lr_config == dict(
        policy='poly', power=0.9, min_lr=1e-5, by_epoch=False
    )
    assert cfg.optimizer == dict(
        type='SGD', lr=0.5, momentum=0.9, weight_decay=0.0005
    )


def test_another_policy_or_optimizer_starts_from_nothing(tmp_path):
    path = write(
        tmp_path,
        FAMILIES['pspnet'][0],
        more="lr_config = dict(policy='step', step=[3])\n"
        "optimizer = dict(type='Adam', lr=0.001)\n"
        'evaluation = dict(_delete_=True, interval=2000)\n',
    )
    cfg = load_config(path)
    assert cfg.lr_config == dict(policy='step', step=[3])
    assert cfg.optimizer == dict(type='Adam', lr=0.001)
    assert cfg.evaluation == dict(interval=2000)
    _, problems, notes = read_config(cfg)
    assert problems == []
    assert any(
        note.startswith('optimizer:') and 'momentum' in note for note in notes
    )


def test_deleted_sections_do_not_come_back(tmp_path):
    path = write(
        tmp_path,
        FAMILIES['pspnet'][0],
        more="optimizer = dict(_delete_=True, type='SGD', lr=0.5)\n",
    )
    assert load_config(path).optimizer == dict(type='SGD', lr=0.5)


def test_the_base_is_still_known_to_base_variables(tmp_path):
    path = write(
        tmp_path,
        FAMILIES['pspnet'][0],
        more='optimizer = dict(lr={{_base_.optimizer.lr}})\n'
        'evaluation = dict(interval=3, metric={{_base_.evaluation.metric}})\n',
    )
    cfg = load_config(path)
    assert cfg.optimizer.lr == 0.01
    assert cfg.evaluation == dict(interval=3, metric='mIoU')


def test_a_base_of_ones_own_between_is_merged_as_ever(tmp_path):
    write(
        tmp_path,
        FAMILIES['pspnet'][0],
        more="evaluation = dict(interval=2, metric='mDice')\n",
        name='own.py',
    )
    child = tmp_path / 'child.py'
    child.write_text("_base_ = 'own.py'\nevaluation = dict(interval=3)\n")
    cfg = load_config(str(child))
    assert cfg.evaluation == dict(interval=3, metric='mDice')
    assert cfg.runner.sample_rounds == 3


def test_a_copied_schedule_is_a_base_like_mmsegs(tmp_path):
    (tmp_path / 'schedule.py').write_text(
        "runner = dict(type='IterBasedRunner', max_iters=9)\n"
        'evaluation = dict(interval=9, start=4)\n'
    )
    child = tmp_path / 'child.py'
    child.write_text(
        "_base_ = 'schedule.py'\n"
        "runner = dict(type='ActiveLearningRunner')\n"
        'evaluation = dict(interval=3)\n'
    )
    cfg = load_config(str(child))
    assert cfg.runner == dict(type='ActiveLearningRunner')
    assert cfg.evaluation == dict(interval=3)


def test_mmcv_itself_reads_the_same_file(tmp_path):
    path = write(tmp_path, FAMILIES['pspnet'][0])
    load_config(path)
    assert Config.fromfile(path).runner.max_iters == 40000


@pytest.mark.parametrize(
    ('words', 'check'),
    [
        (
            ['active_learning.settings.pixel.query_size=20'],
            lambda c: c.budget.amount == 20,
        ),
        (
            ['active_learning.settings.pixel.sample_threshold=5'],
            lambda c: c.selector['top_percent'] == 5.0,
        ),
        (
            ['active_learning.settings.pixel.sample_evenly=False'],
            lambda c: c.selector['type'] == 'PixelsGlobal',
        ),
        (
            ['active_learning.heuristic=least_confidence'],
            lambda c: c.heuristic == {'type': 'LeastConfidence'},
        ),
        (
            ['active_learning.heuristic.type=entropy'],
            lambda c: c.heuristic == {'type': 'Entropy'},
        ),
        (
            ['active_learning.visualize=None'],
            lambda c: c.keys.visualize is None,
        ),
        (
            ['active_learning.visualize.size=3'],
            lambda c: c.keys.visualize.size == 3,
        ),
        (
            ['active_learning.oracle.void=exclude'],
            lambda c: c.oracle['void'] == 'exclude',
        ),
        (
            ['active_learning.reset.weights=False'],
            lambda c: not c.reset.weights,
        ),
        (
            ['active_learning.shuffle_prop=0.25'],
            lambda c: c.keys.shuffle_prop == 0.25,
        ),
        (['runner.sample_mode=image'], lambda c: c.unit == 'image'),
        (['runner.sample_rounds=7'], lambda c: len(c.phases) == 7),
        (['runner.by_epoch=False'], lambda c: not c.runner.by_epoch),
        (
            ['runner.pretrained=random'],
            lambda c: c.runner.pretrained == 'random',
        ),
        (
            ['runner.checkpoint=a.pth'],
            lambda c: c.runner.checkpoint == 'a.pth',
        ),
        (['seed=4'], lambda c: c.seed == 4),
        (
            ['workflow=[(train,2),(query,1)]'],
            lambda c: c.phases[0].train == 2,
        ),
    ],
)
def test_cfg_options(tmp_path, words, check):
    path = write(tmp_path, FAMILIES['pspnet'][0])
    cfg = load_config(path, options(*words))
    config, problems, _ = read_config(cfg)
    assert problems == []
    assert check(config)


def test_cfg_options_reach_into_lists_and_switched_off_sections(tmp_path):
    path = write(
        tmp_path,
        FAMILIES['pspnet'][0],
        more='active_learning["visualize"] = None\n',
    )
    cfg = load_config(
        path,
        options(
            'active_learning.visualize.size=2',
            'data.train.pipeline.4.prob=0.1',
        ),
    )
    assert cfg.active_learning.visualize == dict(size=2)
    assert cfg.data.train.pipeline[4].prob == 0.1


@pytest.mark.parametrize(
    ('text', 'words'),
    [
        (None, 'no such file'),
        ('x = (', 'SyntaxError'),
        ('x = y', "NameError: name 'y' is not defined"),
        ("_base_ = 'nowhere.py'", 'a base or file is missing'),
        (
            "custom_imports = dict(imports=['nowhere'])",
            "custom_imports: ModuleNotFoundError: No module named 'nowhere'",
        ),
        (
            'from segal.config import mmseg_config\n'
            "_base_ = mmseg_config('pspnet/pspnet_r50-d8_512x512_40k.py')",
            "mmseg has no config 'pspnet/pspnet_r50-d8_512x512_40k.py'; did "
            "you mean 'pspnet/pspnet_r",
        ),
    ],
)
def test_files_that_cannot_be_read(tmp_path, text, words, monkeypatch):
    complaints = []
    monkeypatch.setattr(sys, 'unraisablehook', complaints.append)
    path = tmp_path / 'config.py'
    if text is not None:
        path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_config(str(path))
    assert words in str(caught.value)
    assert '\n' not in caught.value.problems[0]
    del caught
    gc.collect()
    assert complaints == []  # nothing beside the one message
    # and the next one is read as if nothing had happened
    good = write(tmp_path, FAMILIES['pspnet'][0])
    assert load_config(good).runner.sample_rounds == 3


def test_an_option_that_fits_nowhere(tmp_path):
    path = write(tmp_path, FAMILIES['pspnet'][0])
    with pytest.raises(
        ConfigError, match=r'--cfg-options: one of data\.train'
    ):
        load_config(path, options('data.train.pipeline.99.prob=0.1'))


def test_other_formats(tmp_path):
    path = tmp_path / 'config.yaml'
    path.write_text('workflow: [[train, 5], [query, 1]]\nseed: 3\n')
    assert load_config(str(path)).seed == 3


def test_modules_beside_the_config_are_found(tmp_path, monkeypatch):
    """``random.py`` beside it hides no module of Python's."""
    monkeypatch.delitem(sys.modules, 'beside_the_config', raising=False)
    (tmp_path / 'beside_the_config.py').write_text(
        "import random\nassert hasattr(random, 'Random')\n"
    )
    (tmp_path / 'random.py').write_text('')
    config = tmp_path / 'mine.py'
    config.write_text("custom_imports = dict(imports=['beside_the_config'])\n")
    before = list(sys.path)
    load_config(str(config))
    assert sys.modules['beside_the_config'].__file__.startswith(str(tmp_path))
    assert sys.path == before
