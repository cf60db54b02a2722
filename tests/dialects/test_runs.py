"""Whole runs of configs as users of the first SegAL have them."""

import pytest

from segal.config import load_config, read_config
from segal.rounds import read_rounds
from segal.train_active_learning import main


def run(configs, name):
    """Run a config to its end.

    Returns:
        The rows of its rounds, and its log.
    """
    work_dir = configs.parent / 'work'
    config = str(configs / f'{name}.py')
    assert main([config, '--work-dir', str(work_dir)]) == 0
    logs = [path.read_text() for path in work_dir.glob('*.log')]
    return read_rounds(work_dir), '\n'.join(logs)


def said_once(log, *all_words):
    """Whether the log has exactly one line with each of some words."""
    for words in all_words:
        assert sum(words in line for line in log.splitlines()) == 1, words


def test_query_size_with_a_share_by_entropy(configs):
    rows, log = run(configs, 'query_size_entropy')
    assert [row['labelled'] + row['void'] for row in rows] == [48, 48]
    said_once(
        log,
        'evaluation.interval: 0 is read as once a phase, 2',
        'read as active_learning.shuffle_prop=0.75',
        'DefaultFormatBundle is for training',
        'settings.image.budget: dropped',
        'total_itrs: ignored',
        'mask_dir: ignored',
    )


def test_budget_per_round_from_a_source_alone(configs):
    rows, log = run(configs, 'budget_per_round_ripu')
    assert [row['labelled'] + row['void'] for row in rows] == [0, 24]
    assert [row['sources']['images'] for row in rows] == [4, 4]
    said_once(
        log,
        'data.train: names only GTAVDataset, a labelled source',
        'k=3 is a square of 7x7 pixels',
        'evaluation.interval: 0 is read as once a phase, 4',
        'categories: 19 is the number of classes',
    )


def test_entropy_that_spreads(configs):
    rows, log = run(configs, 'budget_per_round_sparsity')
    assert [row['labelled'] + row['void'] for row in rows] == [48, 48]
    said_once(
        log,
        "'sparsity' is read as 'Entropy' with selector='Pixels",
        'k, inflection dropped',
    )


def test_the_pool_trains_with_what_its_own_labels_say(configs):
    """The source's pipeline, but the pool's own loader of labels."""
    path = configs / 'own_loader.py'
    path.write_text(
        "_base_ = './budget_per_round_ripu.py'\n"
        'loader = dict(imdecode_backend="pillow", type="LoadAnnotations")\n'
        'data = dict(query=dict(pipeline=[dict(type="LoadImageFromFile"), '
        'loader, dict(type="DefaultFormatBundle"), '
        'dict(type="Collect", keys=["img", "gt_semantic_seg"])]))\n'
    )
    cfg = load_config(str(path))
    _, problems, _ = read_config(cfg)
    assert problems == []
    source, view = cfg.data.train
    assert view.type == 'CamVidDataset'
    assert view.pipeline[1].imdecode_backend == 'pillow'
    assert 'imdecode_backend' not in source.pipeline[1]
    assert view.pipeline[2:] == source.pipeline[2:]


@pytest.mark.parametrize('images', ['streets', 'games'])
def test_a_train_entry_with_the_pools_images_is_its_view(configs, images):
    """Also a copy of them elsewhere, as in other colours."""
    path = configs / 'view.py'
    path.write_text(
        "_base_ = './query_size_entropy.py'\n"
        f'data = dict(train=dict(data_root="{configs.parent / images}"))'
    )
    cfg = load_config(str(path))
    read_config(cfg)
    assert isinstance(cfg.data.train, dict)
