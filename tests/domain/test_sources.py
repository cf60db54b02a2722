"""A labelled source beside the pool, as a user runs it."""

import json
import shutil

import mmcv
import numpy as np
import pytest
import torch
from mmcv.runner import HOOKS, Hook

from segal.active.heuristics import BaseHeuristic
from segal.registry import HEURISTICS
from tests.domain.experiment import (
    ADAPTING,
    SOURCES,
    final,
    labels,
    logged,
    rows,
    run,
    write_experiment,
)

SEEN = []
BATCHES = []
STOP = []


@HEURISTICS.register_module()
class Witness(BaseHeuristic):
    """Margin's opposite, and a list of all that was ever scored."""

    needs = ('probs', 'pool')

    def score(self, prediction):
        SEEN.append((prediction.name, prediction.size, prediction.pool))
        return prediction.probs.amax(0)


@HOOKS.register_module()
class BatchWitness(Hook):
    """Where the images of each batch are from; ends a run when told to."""

    def before_train_iter(self, runner):
        if STOP and runner.iter == STOP[0]:
            raise KeyboardInterrupt

    def after_train_iter(self, runner):
        metas = runner.data_batch['img_metas'].data[0]
        BATCHES.append([meta['from_source'] for meta in metas])


WITNESS = "\ncustom_hooks = [dict(type='BatchWitness')]\n"


def test_source_first_then_queries_in_one_schedule(tmp_path):
    """RIPU's protocol in small; the source is never asked or scored."""
    SEEN.clear()
    BATCHES.clear()
    config = write_experiment(
        tmp_path,
        ADAPTING + WITNESS + "active_learning['heuristic'] = 'Witness'\n",
    )
    work_dir = tmp_path / 'run'
    assert run(config, work_dir) == 0
    got = rows(work_dir)
    assert [row['iterations'] for row in got] == [4, 2, 5]
    assert [row['requested'] for row in got] == [0, 40, 40]
    assert [row['total']['images'] for row in got] == [0, 8, 8]
    assert got[0]['share'] == 0
    assert all(row['sources'] == {'images': SOURCES} for row in got)
    assert all(row['pool']['images'] == 8 for row in got)
    # without labels: sources alone; then half of each batch
    assert BATCHES == [[True, True]] * 4 + [[False, True]] * 7
    # one curve over all phases, of the length of their sum
    rates = [(0.01 - 1e-4) * (1 - i / 11) ** 0.9 + 1e-4 for i in range(11)]
    np.testing.assert_allclose(logged(work_dir, 'lr'), rates, atol=1e-5)
    scored = [(name, size) for name, size, _ in SEEN if name]
    assert {size for _, size in scored} == {(24, 32)}  # the source: 30x40
    pool = json.loads((work_dir / 'pool.json').read_text())['images']
    names = {image['name'] for image in pool}
    assert {name for name, _ in scored} == names
    there = f'{tmp_path}/images/'
    assert all(image['file'].startswith(there) for image in pool)
    counted = [
        int(statistics['class_counts'].sum())
        for _, _, statistics in SEEN
        if statistics and statistics['class_counts'].sum() > 3
    ]
    assert set(counted) == {8 * 24 * 32}


@pytest.mark.slow
def test_killed_and_resumed_it_ends_the_same(tmp_path):
    """Momentum, schedule and mixture go on; killed in each phase."""
    extra = (
        ADAPTING
        + WITNESS
        + ("optimizer = dict(type='SGD', lr=0.05, momentum=0.9)\n")
    )
    config = write_experiment(tmp_path, extra)
    STOP.clear()
    assert run(config, tmp_path / 'whole') == 0
    for stop in (3, 5, 9):
        STOP[:] = [stop]
        with pytest.raises(KeyboardInterrupt):
            run(config, tmp_path / 'cut')
    STOP.clear()
    assert run(config, tmp_path / 'cut') == 0
    assert labels(tmp_path / 'cut') == labels(tmp_path / 'whole')
    assert rows(tmp_path / 'cut') == rows(tmp_path / 'whole')
    for number in range(3):
        one, other = (
            final(tmp_path / name, number) for name in ('whole', 'cut')
        )
        for name, value in one['state_dict'].items():
            assert torch.equal(value, other['state_dict'][name])
        momenta = [
            [state['momentum_buffer'] for state in part['state'].values()]
            for part in (one['optimizer'], other['optimizer'])
        ]
        assert momenta[0]
        assert all(map(torch.equal, *momenta))


def test_whole_images_and_epochs(tmp_path):
    """A source alone, then whole images beside it, counted in epochs."""
    BATCHES.clear()
    config = write_experiment(
        tmp_path,
        WITNESS
        + """
active_learning['settings'] = dict(image=dict(initial_pool=0, query_size=3))
active_learning.update(sources=dict(per_batch=1))
workflow = [('train', 1), ('query', 1)]
runner.update(sample_rounds=2)
""",
        'image',
    )
    assert run(config, tmp_path / 'run') == 0
    got = rows(tmp_path / 'run')
    assert [row['total']['images'] for row in got] == [0, 3]
    # 6 source images, two at a time; 3 bought ones, one at a time
    assert [row['iterations'] for row in got] == [3, 3]
    assert BATCHES == [[True, True]] * 3 + [[False, True]] * 3


def test_shuffled_together_where_nothing_is_said(tmp_path, caplog):
    BATCHES.clear()
    config = write_experiment(tmp_path, WITNESS)
    option = ['--cfg-options', 'runner.sample_rounds=1', 'log_level=INFO']
    assert run(config, tmp_path / 'run', *option) == 0
    (row,) = rows(tmp_path / 'run')
    assert row['iterations'] == 2 * (8 + SOURCES) // 2
    assert sum(map(sum, BATCHES)) == 2 * SOURCES
    assert len(set(map(tuple, BATCHES))) > 1


def test_without_sources_rows_say_nothing_of_them(tmp_path):
    from tests.tiny import write_config, write_images

    config = write_config(write_images(tmp_path))
    option = ['--cfg-options', 'runner.sample_rounds=1']
    assert run(config, tmp_path / 'run', *option) == 0
    assert 'sources' not in rows(tmp_path / 'run')[0]


BROKEN = {
    'other classes': (
        "source['classes'] = ('ground', 'sky', 'thing')",
        2,
        ("data.train[0].classes: wanted the 3 classes of data.train[1], the "
         "pool, in the same order; got 'sky' as class 1, which is 'thing'",),
    ),
    'more classes': (
        "source['classes'] = ('ground', 'thing', 'sky', 'sea')",
        2,
        ('data.train[0].classes', 'got 4 classes'),
    ),
    'no classes': (
        "del source['classes']",
        2,
        ('data.train[0].classes', 'got none; list them'),
    ),
    'no collect': (
        "del source['pipeline'][-1]",
        2,
        ('data.train[0].pipeline', 'no img_metas'),
    ),
    'a step that fails': (
        "source['pipeline'].insert(3, dict(type='RandomCrop', "
        "crop_size=(20, 20), cat_max_ratio='x'))",
        2,
        ('data.train[0].pipeline fails on it in RandomCrop',),
    ),
    'a batch without the pool': (
        "active_learning['sources'] = dict(per_batch=2)",
        2,
        ('sources.per_batch: wanted less than the 2 of data.samples_per_gpu',
         'got 2'),
    ),
    'no source': (
        "data['train'] = data['train'][1]\n"
        "active_learning['sources'] = dict(per_batch=1, loss_weight=2)",
        2,
        ('sources.per_batch: wanted a labelled source', 'and 1 here',
         'sources.loss_weight: wanted a labelled source', 'and 2 here'),
    ),
    'a weight of nothing': (
        "active_learning['sources'] = dict(loss_weight=0)",
        2,
        ('sources.loss_weight: wanted a finite number above 0; got 0',),
    ),
    'a misspelt key': (
        "active_learning['sources'] = dict(per_bach=1)",
        2,
        ("sources.per_bach: unknown key; did you mean 'per_batch'?",),
    ),
    'a second pool': (
        "data['train'].append(dict(data['train'][1]))",
        2,
        ('data.train[2]: wanted one train entry with the images of '
         'data.query, got a second',),
    ),
    'no folder': (
        "source['data_root'] = 'nowhere'",
        2,
        ('data.train[0].img_dir: wanted nowhere/images',),
    ),
    'no images': (
        "source['img_suffix'] = '.jpg'",
        2,
        ('data.train[0]: wanted labelled images, got none',),
    ),
}  # fmt: skip


@pytest.fixture(scope='module')
def images(tmp_path_factory):
    folder = tmp_path_factory.mktemp('images')
    write_experiment(folder)
    return folder


@pytest.mark.parametrize('case', BROKEN)
def test_what_cannot_work_is_said_at_the_start(case, images, tmp_path, capfd):
    text, code, words = BROKEN[case]
    config = write_experiment(images, '\n' + text + '\n')
    assert run(config, tmp_path / 'run') == code
    said = capfd.readouterr().err
    for word in words:
        assert word in said
    assert 'Traceback' not in said
    assert not (tmp_path / 'run' / 'labels').exists()


@pytest.mark.parametrize('where', ['images', 'annotations'])
def test_a_broken_image_of_a_source_is_named(where, tmp_path, capfd):
    config = write_experiment(tmp_path, ADAPTING)
    for path in (tmp_path / 'source' / where).iterdir():
        if where == 'images':
            path.write_bytes(b'broken')
        else:
            mmcv.imwrite(np.full((30, 40), 7, np.uint8), str(path))
    assert run(config, tmp_path / 'run') == 3
    said = capfd.readouterr().err
    assert f'source/{where}/00.png' in said
    assert 'data.train' in said
    assert not (tmp_path / 'run' / 'labels').exists()


def test_no_annotation_of_the_pool_is_read_for_a_phase_of_sources(tmp_path):
    config = write_experiment(
        tmp_path,
        ADAPTING
        + f"\ndata['val'].update(data_root={str(tmp_path / 'source')!r})\n",
    )
    shutil.rmtree(tmp_path / 'annotations')
    (tmp_path / 'annotations').mkdir()
    option = ['--cfg-options', 'workflow=[((train,4),)]']
    assert run(config, tmp_path / 'run', *option) == 0
    (row,) = rows(tmp_path / 'run')
    assert row['total']['images'] == 0
    assert row['mIoU'] > 0


VIEWED = """
active_learning.update(average=dict(), pseudo_labels=dict())
viewed = {viewed}
at = [step['type'] for step in viewed].index('Normalize')
viewed.insert(at, dict(type='KeepWeakView', **norm))
viewed[-1]['keys'] = ['img', 'gt_semantic_seg', 'img_weak']
train_pipeline[3]['crop_size'] = (18, 24)  # never to be padded
train_pipeline[:] = [s for s in train_pipeline if s['type'] != 'Pad']
"""


@pytest.mark.parametrize(
    ('viewed', 'lacks'),
    [('train_pipeline', 'data.train'), ("source['pipeline']", 'the pool')],
)
def test_a_weak_view_in_one_pipeline_alone_is_said_first(
    tmp_path, capfd, viewed, lacks
):
    config = write_experiment(tmp_path, VIEWED.format(viewed=viewed))
    assert run(config, tmp_path / 'run') == 2
    said = capfd.readouterr().err
    assert 'in all pipelines of data.train or in none' in said
    assert f'not in that of {lacks}' in said
    assert not (tmp_path / 'run' / 'labels').exists()
