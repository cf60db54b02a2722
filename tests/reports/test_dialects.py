"""Experiments as users of earlier systems have them are read as meant."""

import subprocess
import sys
import textwrap

import pytest
import torch
from mmcv import Config
from mmcv.utils import Registry

from segal.active.heuristics import RIPU, RegionImpurity
from segal.config import load_config, read_config
from segal.datasets import GTAVDataset
from segal.errors import ConfigError
from segal.registry import HEURISTICS
from segal.structures import Prediction
from tests.config.minimal import PIPELINE, TEST_PIPELINE, minimal, read
from tests.dialects.conftest import configs  # noqa: F401
from tests.ranks import run_ranks
from tests.tiny import write_images


def _class(name, module):
    return type(name, (), {'__module__': module})


@pytest.mark.parametrize('theirs_first', [True, False])
def test_a_users_class_wins_a_name(theirs_first):
    """mmdetection issue 11399: KeyError, 'xxxx is already registered'."""
    registry = Registry('shared')
    ours, theirs = _class('Same', 'segal.datasets'), _class('Same', 'theirs')
    both = [theirs, ours] if theirs_first else [ours, theirs]
    for cls in both:
        registry.register_module(module=cls)
    assert registry.get('Same') is theirs
    registry = Registry('names')
    for cls in both:
        registry.register_module(name=['a', 'b'], module=cls)
    assert registry.get('a') is registry.get('b') is theirs


def test_two_classes_of_others_still_collide():
    """mmdetection issue 7447: which of two would be built, nobody knows."""
    registry = Registry('shared')
    registry.register_module(module=_class('Same', 'theirs'))
    with pytest.raises(KeyError, match='already registered'):
        registry.register_module(module=_class('Same', 'others'))


THEIRS = """
    import their_parts, segal.hooks, segal.models, segal.runner
    from segal.config.parts import resolve_heuristic
    from mmcv.runner import HOOKS
    from mmcv.runner.builder import RUNNERS
    from mmseg.datasets.builder import DATASETS, PIPELINES
    from mmseg.models.builder import HEADS
    from segal.registry import HEURISTICS
    for registry, name in (
        (DATASETS, 'GTAVDataset'), (DATASETS, 'CamVidDataset'),
        (PIPELINES, 'RandomGrayscale'), (HEADS, 'DeepLabV2Head'),
        (HOOKS, 'WandbLoggerHookWithVal'), (RUNNERS, 'RoundEpochRunner'),
        (HEURISTICS, 'Margin'),
    ):
        assert registry.get(name).__module__ == 'their_parts', name
    for name in ('margin', 'Margin', 'MARGIN'):
        part, problems = resolve_heuristic(name, None)
        assert not problems
        cls = HEURISTICS.get(part['type'])
        assert cls.__module__ == 'their_parts', name
"""


def import_theirs(folder):
    sys.path.insert(0, folder)
    exec(textwrap.dedent(THEIRS))


def test_they_may_be_imported_last(configs):  # noqa: F811
    """mmdetection issue 11399, in a process of its own."""
    run_ranks(import_theirs, 1, str(configs))


@pytest.mark.slow
@pytest.mark.parametrize(
    'order',
    ['import their_parts, segal.datasets', 'import segal.datasets'],
)
def test_whichever_is_imported_first(configs, order):  # noqa: F811
    """mmdetection issue 11399, in an interpreter of its own."""
    done = subprocess.run(
        [sys.executable, '-c', order + textwrap.dedent(THEIRS)],
        env={'PYTHONPATH': f'{configs}:{":".join(sys.path)}'},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr


def _built(cfg):
    return HEURISTICS.build(dict(cfg.heuristic))


@pytest.mark.parametrize(
    ('name', 'options', 'kind', 'k'),
    [
        ('ripu', dict(k=32, use_entropy=True, categories=3), RIPU, 32),
        ('ripu', dict(k=2, use_entropy=False), RegionImpurity, 2),
        ('region_impurity', dict(k=2, categories=3), RegionImpurity, 2),
        ('region_impurity', dict(use_entropy=True), RIPU, 1),
    ],
)
def test_arguments_of_region_impurity(name, options, kind, k):
    """A RIPU of June 2023, with a flag for its uncertainty."""
    for changes in (
        dict(heuristic=name, heuristic_cfg=dict(options)),
        dict(heuristic=dict(type=name, **options)),
    ):
        _, config, notes = read(
            **{f'active_learning__{key}': v for key, v in changes.items()}
        )
        built = _built(config)
        assert type(built) is kind
        assert built.k == k
        if 'k' in options:
            side = 2 * k + 1
            said = f'k={k} is a square of {side}x{side} pixels'
            assert sum(said in note for note in notes) == 1


def test_region_impurity_is_ripu_without_its_uncertainty():
    """Equal probabilities everywhere but for which class is first."""
    probs = torch.full((2, 4, 6), 0.49)
    probs[0, :, :3] = probs[1, :, 3:] = 0.51
    prediction = Prediction('a', 0, 0, (4, 6), probs=probs)
    score = RegionImpurity(k=1).score(prediction)
    assert score[:, 0].abs().max() < 1e-6  # of one class
    share = torch.tensor([1 / 3, 2 / 3])
    wanted = -(share * share.log2()).sum()
    assert torch.allclose(score[:, 2], wanted.expand(4), atol=1e-5)
    assert (RIPU(k=1).score(prediction) <= score).all()


def test_categories_are_the_number_of_classes():
    """Nineteen categories beside three classes."""
    cfg = minimal(
        active_learning__heuristic='ripu',
        active_learning__heuristic_cfg=dict(k=3, categories=19),
    )
    (problem,) = read_config(cfg)[1]
    assert 'heuristic_cfg.categories: wanted' in problem
    assert '3 ' in problem
    assert 'got 19' in problem


def test_a_share_of_each_budget_by_entropy():
    """A quarter by entropy, the rest at random."""
    key = 'active_learning__settings__pixel__entropy_prop'
    changes = {key: 0.25, 'active_learning__heuristic': 'entropy'}
    _, config, notes = read(**changes)
    assert config.keys.shuffle_prop == 0.75
    assert sum('entropy_prop' in note for note in notes) == 1
    for other, words in (
        (dict(active_learning__shuffle_prop=0.5), 'Leave one of them out'),
        ({key: 25}, '0 to 1; got 25'),
    ):
        (problem,) = read_config(minimal(**{**changes, **other}))[1]
        assert words in problem


def test_an_interval_that_comes_to_zero():
    """``N // 5`` of a phase of four epochs: mmcv would divide by zero."""
    cfg, _, notes = read(
        evaluation=dict(interval=4 // 5),
        checkpoint_config=dict(interval=4 // 5),
        workflow=[(('train', 4), ('query', 1)), (('train', 3),)],
    )
    assert cfg.evaluation.interval == cfg.checkpoint_config.interval == 4
    assert 'evaluation.interval: 0 is read as once a phase, 4' in notes


@pytest.mark.parametrize(
    ('written', 'lies'),
    [
        ('configs/_base_/m.py', 'configs/_base_/m.py'),
        ('../_base_/m.py', 'configs/_base_/m.py'),
        ('../../../_base_/m.py', '_base_/m.py'),
        ('./_base_/m.py', '_base_/m.py'),
    ],
)
def test_a_base_that_lies_higher_up_is_named(tmp_path, written, lies):
    """mmpose issue 1442: file ".../_base_/..." does not exist."""
    base = tmp_path / lies
    base.parent.mkdir(parents=True)
    base.write_text('a = 1\n')
    config = tmp_path / 'experiments' / 'mine' / 'c.py'
    config.parent.mkdir(parents=True)
    config.write_text(f'_base_ = [{written!r}]\n')
    with pytest.raises(ConfigError) as caught:
        load_config(str(config))
    said = str(caught.value)
    assert f'was found in {tmp_path}' in said
    mend = said.split('write ')[1].split("'")[1]
    config.write_text(f'_base_ = [{mend!r}]\n')
    assert load_config(str(config)).a == 1


def _bundled(inside):
    steps = Config(dict(p=TEST_PIPELINE)).p
    ends = [
        dict(type='DefaultFormatBundle'),
        dict(type='Collect', keys=['img', 'gt_semantic_seg']),
    ]
    whole = steps[1]
    whole['transforms'] = whole['transforms'][:-2] + (ends if inside else [])
    return [*steps, *([] if inside else ends)]


@pytest.mark.parametrize(
    'pipeline', [_bundled(True), _bundled(False), PIPELINE]
)
def test_a_query_pipeline_that_ends_in_a_bundle_gives_tensors(
    tmp_path, pipeline
):
    """mmdetection issue 4091: DefaultFormatBundle in a test pipeline."""
    from mmseg.datasets import build_dataset

    from segal.active.dataset.pool import open_pool, query_batch

    write_images(tmp_path, 2)
    cfg, _, _ = read(data__query__pipeline=pipeline)
    query = {
        **cfg.data.query,
        'data_root': str(tmp_path),
        'img_dir': 'images',
        'img_suffix': '.png',
        'test_mode': True,
        'classes': ['a'],
        'palette': [[0, 0, 0]],
    }
    pool = open_pool(build_dataset(query))
    batch = query_batch(pool, [image.name for image in pool])
    (view,) = batch['img']
    assert isinstance(view, torch.Tensor)
    assert view.shape[:2] == (2, 3)
    assert set(batch) == {'img', 'img_metas'}


def test_labels_of_games_under_either_name(tmp_path):
    """Label maps that end in ``_cityscapes.png``."""
    root = write_images(tmp_path, 3)
    (root / 'labels').mkdir()
    for i, ending in enumerate(('cityscapes', 'labelTrainIds', 'cityscapes')):
        (root / 'annotations' / f'{i:02d}.png').rename(
            root / 'labels' / f'{i:02d}_{ending}.png'
        )
    dataset = GTAVDataset(
        pipeline=[], data_root=str(root), img_dir='images', ann_dir='labels'
    )
    shapes = [dataset.get_gt_seg_map_by_idx(i).shape for i in range(3)]
    assert shapes == [(24, 32)] * 3
