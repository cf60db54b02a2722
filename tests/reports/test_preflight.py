"""What cannot work is refused before a label is bought, in words."""

from __future__ import annotations

import copy
import random

import numpy as np
import pytest
import torch

from segal.config import load_config
from segal.config.unread import check_unread
from segal.errors import ConfigError, SegALError
from segal.preflight.base import unchanged_state
from segal.preflight.read import read_experiment
from segal.utils.train import Options, run_experiment
from tests.bad_input.experiment import Experiment, Row, check, config, picture
from tests.loggers import forget_loggers
from tests.tiny import write_config, write_images

TRANSFORMS = "data['query']['pipeline'][1]['transforms']"
VISUALIZE = "active_learning['visualize'] = dict(dir={!r})"
LOSS = "model['decode_head']['loss_decode']"


@pytest.fixture(scope='module')
def tiny(tmp_path_factory):
    root = tmp_path_factory.mktemp('tiny')
    return write_config(write_images(root, 4))


@pytest.fixture(scope='module')
def begun(tmp_path_factory):
    return Experiment.begin(tmp_path_factory.mktemp('preflight'))


def dry_run(tiny, text=''):
    """A dry run of the tiny experiment with lines at its end."""
    path = tiny.with_name('changed.py')
    path.write_text(f'{tiny.read_text()}\n{text}\n')
    forget_loggers()
    run_experiment(
        load_config(str(path)), Options(tiny.parent / 'none', dry_run=True)
    )


def odd_size(experiment):
    """The third image has sides that cannot be halved."""
    picture(experiment.image(2), np.zeros((23, 31, 3), np.uint8))
    picture(experiment.annotation(2), np.zeros((23, 31), np.uint8))


SEEN_ANEW = """
train_pipeline[3]['crop_size'] = train_pipeline[7]['size'] = (20, 28)
active_learning['heuristic'] = dict(
    type='Smoothed', of=dict(type='bald', source='views', passes={}))
"""


def halved_once(experiment, passes):
    """The sides of an image can be halved, and not those of its views."""
    picture(experiment.image(2), np.zeros((20, 28, 3), np.uint8))
    picture(experiment.annotation(2), np.zeros((20, 28), np.uint8))
    experiment.add(SEEN_ANEW.format(passes))


ROWS = [
    Row('a view of an image that the network does not take',
        lambda experiment: halved_once(experiment, 3), 2,
        ("active_learning.heuristic: source='views': does not work",
         'divisible', '02.png', 'passes=2')),
    # a UNet takes no size that it cannot halve
    Row('a later image of another size', odd_size, 2,
        ('data.query: does not work', 'divisible', '02.png')),
    # mmsegmentation 2793: KeyError 'mIoU' after the first evaluation
    Row('save_best is no result', config(
        "evaluation['save_best'] = 'mIoUU'"), 2,
        ("evaluation.save_best: 'mIoUU' is no result", "mean 'mIoU'?")),
    Row('no such mode', config("model['test_cfg'] = dict(mode='wholee')"), 2,
        ('model.test_cfg, data.query: does not work', "['slide', 'whole']")),
    # mmsegmentation 1943: a slide has no default stride
    Row('slide without a stride', config(
        "model['test_cfg'] = dict(mode='slide', crop_size=(8, 8))"), 2,
        ('model.test_cfg', 'stride')),
    # mmpretrain 216: how grad_clip is written
    Row('grad_clip is a number', config("optimizer_config['grad_clip'] = 5"),
        2, ('optimizer_config: does not work', 'got')),
    Row('no loss', config("model['decode_head']['loss_decode'] = []"), 2,
        ('loss_decode: wanted at least one loss',)),
    Row('a step that is too short', config(
        "lr_config = dict(policy='CosineRestart', periods=[1], "
        'restart_weights=[1], min_lr=0)\nworkflow = [("train", 9), '
        '("query", 1)]'), 2, ('lr_config', 'CosineRestart')),
    Row('names of one checkpoint', config(
        "checkpoint_config = dict(interval=1, filename_tmpl='a.pth')"), 2,
        ('checkpoint_config: does not work', 'place for the number')),
    # HRNet-Semantic-Segmentation 41: as many weights as classes
    Row('too few class weights', config(
        f"{LOSS}['class_weight'] = [1.0, 2.0]"), 2,
        ('model.decode_head.loss_decode', 'for all or no classes')),
    Row('a class weight below 0', config(
        f"{LOSS}['class_weight'] = [1.0, 2.0, -1.0]"), 2,
        ('class_weight: wanted numbers, 0 or more; got -1.0',)),
    Row('a query that crops', config(
        f"{TRANSFORMS}.insert(0, dict(type='RandomCrop', "
        'crop_size=(20, 20)))'), 2,
        ('data.query.pipeline: wanted', 'RandomCrop')),
    Row('a query that cuts the same part each time', config(
        f"{TRANSFORMS}.insert(0, dict(type='RandomCrop', "
        'crop_size=(20, 32)))'), 2, ('data.query.pipeline: wanted',)),
    Row('a query in other colours each time', config(
        f"{TRANSFORMS}.insert(0, dict(type='PhotoMetricDistortion'))"), 2,
        ('the same each time', 'PhotoMetricDistortion')),
    Row('no transforms', config(f'{TRANSFORMS}.clear()'), 2,
        ('transforms: wanted a list of steps',)),
    Row('no active learning', config('active_learning = None'), 2,
        ('active_learning: wanted a dict; got None',)),
    Row('no such level', config("log_level = 'LOUD'"), 2,
        ("log_level: wanted one of 'DEBUG'", "'LOUD'")),
    Row('a list as type', config("optimizer = dict(type=['Adam'])"), 2,
        ("optimizer.type: wanted a registered name; got ['Adam']",)),
    Row('a list as heuristic', config(
        "active_learning['heuristic'] = dict(type='PowerNoise', "
        "of=['margin'])"), 2, ('active_learning.heuristic.of',)),
    Row('pictures climb out', config(VISUALIZE.format('../out')), 2,
        ('visualize.dir: wanted a folder inside the work_dir', '../out')),
    Row('pictures go elsewhere', config(VISUALIZE.format('/tmp/out')), 2,
        ('visualize.dir: wanted a folder inside the work_dir',)),
    Row('pictures among labels', config(VISUALIZE.format('viz/../labels')),
        2, ('visualize.dir: wanted a folder of its own',)),
    # mmsegmentation 200: which of the two keys goes on with a run
    Row('resumes from elsewhere', config("resume_from = 'no.pth'"), 2,
        ('resume_from: wanted None', 'does not exist', '--work-dir')),
    Row('a section that nobody reads', config("optimiser = dict(lr=1)"), 2,
        ("optimiser: unknown section; did you mean 'optimizer'?",)),
    Row('a data set that nobody reads', config("data['vall'] = {}"), 2,
        ("data.vall: unknown key; did you mean 'val'?",)),
    Row('a loader key that nobody reads', config(
        "data['train_dataloader'] = dict(batch_sizee=3)"), 2,
        ('data.train_dataloader.batch_sizee: unknown key',
         'samples_per_gpu')),
    Row('a scale for a GPU, on a CPU', config(
        "fp16 = dict(loss_scale='bananas')"), 2,
        ('fp16.loss_scale: wanted a number', 'bananas')),
    Row('gradients turned round', config(
        'optimizer_config = dict(grad_clip=dict(max_norm=-1))'), 2,
        ('grad_clip.max_norm: wanted a number above 0; got -1',)),
    Row('a loss without weight', config(f"{LOSS}['loss_weight'] = 0.0"), 2,
        ('wanted gradients to step with', 'loss_weight')),
    Row('a momentum that grows', config(
        "optimizer = dict(type='SGD', lr=0.01, momentum=5)"), 2,
        ('wanted a momentum from 0 to 1; got 5',)),
    Row('images of nan', config(
        "data['train']['pipeline'][6]['std'] = 0"), 2,
        ('data.train.pipeline: wanted an image of finite numbers',)),
    # mmcv 1205: where else checkpoints may go
    Row('checkpoints elsewhere', config(
        "checkpoint_config = dict(interval=1, out_dir='elsewhere')"), 2,
        ('checkpoint_config.out_dir: wanted None', '--work-dir')),
    Row('a truth value in quotes', config("lr_config['by_epoch'] = 'False'"),
        2, ("lr_config.by_epoch: wanted False, which is no text",)),
    # mmsegmentation's own base, with a letter less
    Row('a multiplier that nobody reads', config(
        "optimizer['paramwise_cfg'] = dict(custom_keys={'head': "
        'dict(lr_mul=10)})'), 2,
        ("custom_keys['head'].lr_mul: unknown key; did you mean 'lr_mult'",)),
    Row('no share of scores', config(
        "active_learning['settings']['pixel']['sample_threshold'] = "
        "float('nan')"), 2, ('sample_threshold: wanted a number above 0',)),
]  # fmt: skip


@pytest.mark.parametrize('row', ROWS, ids=lambda row: row.id)
def test_it_is_refused_before_a_label_is_bought(row, begun, tmp_path, capfd):
    """Public reports stand beside their rows; the others are situations."""
    experiment = begun.copy(tmp_path / 'copy')
    check(row, experiment, capfd)
    assert not experiment.labels.exists()


def test_views_that_no_heuristic_takes_are_not_tried(begun, tmp_path):
    experiment = begun.copy(tmp_path / 'copy')
    halved_once(experiment, 2)
    assert experiment.run('--dry-run') == 0


@pytest.mark.parametrize(
    'value',
    [
        None,
        {},
        *(
            pytest.param(value, marks=pytest.mark.slow)
            for value in ([], float('nan'), 'x', ['Adam'])
        ),
    ],
)
def test_no_odd_value_of_a_key_ends_in_a_traceback(tiny, value):
    """Every key of two levels, and steps of pipelines, with odd values."""
    base = load_config(str(tiny))
    sections = base._cfg_dict.to_dict()
    helpers = ('norm', 'norm_cfg', 'pool', 'train_pipeline', 'test_pipeline')
    paths = [(key,) for key in sections if key not in helpers]
    paths += [
        (key, inner)
        for (key,) in paths
        if isinstance(sections[key], dict)
        for inner in sections[key]
    ]
    paths += [
        ('data', name, key)
        for name in ('train', 'query', 'val')
        for key in ('type', 'pipeline', 'data_root', 'img_dir')
    ]
    paths += [('data', 'query', 'pipeline', 1, 'transforms')]
    odd = []
    for path in paths:
        cfg = copy.deepcopy(base)
        here = cfg._cfg_dict
        for part in path[:-1]:
            here = here[part]
        here[path[-1]] = copy.deepcopy(value)
        try:
            read_experiment(cfg, None)
        except ConfigError as error:
            said = error.problems
            if any('of another kind than' in one for one in said):
                odd.append((path, said))
        except SegALError:
            pass
    assert not odd


def test_a_preflight_leaves_generators_as_they_were(tiny):
    """A run is the same with and without a preflight."""
    torch.manual_seed(3)
    random.seed(3)
    before = torch.get_rng_state(), random.getstate()
    state = np.random.get_state()[1].copy()
    with unchanged_state(torch.device('cpu')):
        torch.rand(3), random.random(), np.random.rand()
    assert torch.equal(before[0], torch.get_rng_state())
    assert before[1] == random.getstate()
    assert (state == np.random.get_state()[1]).all()


def test_a_dry_run_looks_for_checkpoints(tiny):
    """A path with a slip in it is found before the machine is booked."""
    with pytest.raises(SegALError, match='load_from: wanted a checkpoint'):
        dry_run(tiny, "load_from = 'no.pth'")


@pytest.mark.parametrize(
    'text',
    [
        "evaluation['save_best'] = 'mIoU'",
        "model['test_cfg'] = dict(mode='slide', crop_size=(16, 16), "
        'stride=(8, 8))',
        f"{TRANSFORMS}.insert(0, dict(type='RandomFlip'))",
        "data['query']['pipeline'][1]['flip'] = True\n"
        f"{TRANSFORMS}.insert(0, dict(type='RandomFlip'))",
        'optimizer_config = dict(grad_clip=dict(max_norm=1))',
        "evaluation['gpu_collect'] = True",
        "checkpoint_config['save_last'] = None",
        "lr_config = dict(policy='OneCycle', max_lr=0.01)\n"
        "momentum_config = dict(policy='OneCycle')",
        VISUALIZE.format('drawn/round'),
    ],
)
def test_what_works_is_not_refused(text, tiny):
    """Ordinary lines of mmseg configs; a flip that is off flips nothing."""
    dry_run(tiny, text)


def test_variables_of_a_config_are_no_unknown_keys(tiny):
    """Names that the files use again are theirs; others are named once.

    A constant is no slip of the pen; what is dropped is told elsewhere.
    """
    path = tiny.with_name('variables.py')
    path.write_text(
        tiny.read_text()
        + '\ncrop = (2, 2)\nother = dict(size=crop)\nnobody = 3\n'
        + "GPU = 8\nmask_dir = 'masks'\n"
    )
    problems, notes = check_unread(load_config(str(path)))
    assert not problems
    assert [note.partition(':')[0] for note in notes] == [
        'other',
        'nobody',
        'GPU',
    ]
