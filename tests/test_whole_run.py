"""Three rounds on eight tiny images, as a user runs them."""

import json
import logging
import os
import shutil
import signal
import socket
import time

import mmcv
import numpy as np
import pytest
import torch
from mmcv.runner import HOOKS, Hook

from segal.active.label_store.folder import decode_manifest, encode_manifest
from segal.active.label_store.store import LabelStore
from segal.config import fingerprint, load_config, read_config
from segal.rounds import read_rounds
from segal.runner.lock import locked
from segal.structures import PoolImage
from segal.train_active_learning import main
from tests import quick
from tests.faults.harness import Run
from tests.tiny import write_config, write_images


@pytest.fixture
def root(tmp_path):
    return write_images(tmp_path)


@pytest.fixture(scope='module')
def whole(tmp_path_factory):
    """A run of three rounds of pixels, by nobody disturbed: its config."""
    root = tmp_path_factory.mktemp('whole')
    config = write_config(write_images(root)).rename(root / 'whole.py')
    with pytest.MonkeyPatch.context() as monkeypatch:
        quick.bring_back(monkeypatch)
        assert run(config, root / 'run') == 0
    return config


def run(config, work_dir, *options):
    return main([str(config), '--work-dir', str(work_dir), *options])


def rows(work_dir):
    return read_rounds(work_dir)


def without_times(work_dir):
    return [
        {key: value for key, value in row.items() if key != 'seconds'}
        for row in rows(work_dir)
    ]


def labels(work_dir):
    return {
        path.name: path.read_bytes()
        for path in sorted((work_dir / 'labels').rglob('*'))
        if path.is_file()
    }


def weights(work_dir, number):
    return torch.load(
        work_dir / f'round_{number:03d}' / 'final.pth', weights_only=True
    )['state_dict']


def same_weights(a, b):
    return all(torch.equal(a[name], b[name]) for name in a)


def test_a_pool_of_two_splits_is_the_pool_of_one_folder(whole, tmp_path):
    """As VOC with further annotations; same labels, same numbers."""
    root = whole.parent
    second = root / 'more'
    second.mkdir()
    for name in ('one', 'two'):
        rest = range(4) if name == 'one' else range(4, 8)
        (root / f'{name}.txt').write_text('\n'.join(f'{i:02d}' for i in rest))
    for i in range(4, 8):
        annotation = root / 'annotations' / f'{i:02d}.png'
        (second / annotation.name).write_bytes(annotation.read_bytes())
    lists = """dict(
        split=['one.txt', 'two.txt'], ann_dir=['annotations', 'more'])"""
    config = tmp_path / 'lists.py'
    config.write_text(
        f"_base_ = '{whole}'\n"
        f'data = dict(train={lists}, query={lists}, val={lists})\n'
    )
    work_dir = tmp_path / 'run'
    assert run(config, work_dir) == 0
    assert without_times(work_dir) == without_times(root / 'run')
    assert same_weights(weights(work_dir, 2), weights(root / 'run', 2))


def test_three_rounds_of_pixels(whole):
    work_dir = whole.parent / 'run'
    got = rows(work_dir)
    assert [row['requested'] for row in got] == [40, 40, 40]
    assert [row['total']['requested'] for row in got] == [40, 80, 120]
    for row in got:
        total = row['total']
        assert row['requested'] == (
            row['labelled'] + row['void'] + row['refused']
        )
        assert total['images'] == 8
        assert row['share'] == total['labelled'] / (8 * 24 * 32)
        assert row['iterations'] == 8
        assert 0 <= row['mIoU'] <= 1
        assert set(row['IoU']) == {'ground', 'thing', 'sky'}
        assert row['seconds']['train'] > 0
    assert got[0]['seconds']['query'] > 0
    assert got[2]['seconds']['query'] is None
    for path in (
        'curve.png',
        'config.json',
        'config.py',
        'pool.json',
        'round_002/final.pth',
    ):
        assert (work_dir / path).is_file(), path
    assert not same_weights(weights(work_dir, 0), weights(work_dir, 1))


@pytest.mark.usefixtures('unabridged')
def test_three_rounds_of_images(root, tmp_path):
    work_dir = tmp_path / 'run'
    assert run(write_config(root, 'image'), work_dir) == 0
    got = rows(work_dir)
    assert [row['total']['images'] for row in got] == [3, 5, 7]
    assert got[2]['total']['labelled'] == 7 * 22 * 32
    assert got[2]['total']['void'] == 7 * 2 * 32


@pytest.mark.slow
def test_the_same_run_twice_is_the_same(root, tmp_path):
    config = write_config(root)
    for name in ('a', 'b'):
        assert run(config, tmp_path / name, '--seed', '3') == 0
    assert labels(tmp_path / 'a') == labels(tmp_path / 'b')
    assert without_times(tmp_path / 'a') == without_times(tmp_path / 'b')
    for number in range(3):
        assert same_weights(
            weights(tmp_path / 'a', number), weights(tmp_path / 'b', number)
        )
    assert run(config, tmp_path / 'c', '--seed', '4') == 0
    assert labels(tmp_path / 'a') != labels(tmp_path / 'c')


@pytest.mark.parametrize('killed', ['before the query', 'before training'])
def test_goes_on_at_a_rounds_border(whole, tmp_path, killed):
    config, whole, cut = whole, whole.parent / 'run', tmp_path / 'cut'
    shutil.copytree(whole, cut)
    keep = 2 if killed == 'before the query' else 3
    for number in range(keep, 3):
        (cut / 'labels' / f'round_{number:03d}.npz').unlink()
    path = cut / 'labels' / 'chain.json'
    manifest = decode_manifest(path, path.read_bytes())
    path.write_bytes(
        encode_manifest(manifest._replace(files=manifest.files[:keep]))
    )
    state = rows(cut)[:2]
    (cut / 'rounds.json').write_text(json.dumps({'rounds': state}))
    shutil.rmtree(cut / 'round_002')
    assert run(config, cut) == 0
    assert labels(cut) == labels(whole)
    assert without_times(cut) == without_times(whole)
    assert same_weights(weights(cut, 2), weights(whole, 2))


def names_in(work_dir):
    """Names of bought images, read from the label files alone."""
    pool = json.loads((work_dir / 'pool.json').read_text())
    images = [
        PoolImage(image['name'], tuple(image['size']))
        for image in pool['images']
    ]
    cfg = load_config(str(work_dir / 'config.py'))
    config, _, _ = read_config(cfg)
    store = LabelStore(work_dir / 'labels', images, fingerprint(cfg, config))
    return set(store.labelled_names())


@HOOKS.register_module()
class FailAt(Hook):
    """Ends the process' work at a global iteration, as a kill would."""

    def __init__(self, step):
        self.step = step

    def after_train_iter(self, runner):
        if runner.step == self.step and not DONE:
            DONE.append(self.step)
            raise KeyboardInterrupt


DONE = []


@pytest.mark.parametrize(
    ('by_epoch', 'step'),
    [
        (True, 5),
        pytest.param(True, 13, marks=pytest.mark.slow),
        pytest.param(False, 10, marks=pytest.mark.slow),
    ],
)
def test_goes_on_within_a_phase(root, tmp_path, by_epoch, step):
    """Killed while training, it ends as if nothing had happened."""
    extra = (
        f"\ncustom_hooks = [dict(type='FailAt', step={step})]\n"
        f'runner.update(by_epoch={by_epoch})\n'
        f"workflow = [('train', {2 if by_epoch else 7}), ('query', 1)]\n"
        'checkpoint_config = dict(interval=2)\n'
    )
    config = write_config(root, extra=extra)
    DONE[:] = [step]
    assert run(config, tmp_path / 'whole') == 0
    DONE.clear()
    with pytest.raises(KeyboardInterrupt):
        run(config, tmp_path / 'cut')
    snapshots = sorted((tmp_path / 'cut').rglob('resume_*.pth'))
    assert snapshots != []
    content = torch.load(snapshots[-1], weights_only=True)
    assert min(content['seconds'].values()) >= 0 < content['seconds']['train']
    content['seconds'] = dict(train=500.0, evaluation=200.0)
    torch.save(content, snapshots[-1])
    assert run(config, tmp_path / 'cut') == 0
    number = int(snapshots[-1].parent.name.removeprefix('round_'))
    seconds = read_rounds(tmp_path / 'cut')[number]['seconds']
    assert 500 < seconds['train'] < 600
    assert 200 < seconds['evaluation'] < 300
    assert labels(tmp_path / 'cut') == labels(tmp_path / 'whole')
    assert without_times(tmp_path / 'cut') == without_times(tmp_path / 'whole')
    for number in range(3):
        assert same_weights(
            weights(tmp_path / 'cut', number),
            weights(tmp_path / 'whole', number),
        )
    assert not list((tmp_path / 'cut').rglob('resume_*.pth'))


def test_a_work_dir_in_use_is_refused(root, tmp_path, capfd):
    work_dir = tmp_path / 'run'
    work_dir.mkdir()
    reader, writer = os.pipe()
    holder = os.fork()
    if not holder:
        with locked(work_dir, logging.getLogger()):
            os.write(writer, b'.')
            time.sleep(60)
    try:
        os.read(reader, 1)
        assert run(write_config(root), work_dir) == 4
    finally:
        os.kill(holder, signal.SIGKILL)
        os.waitpid(holder, 0)
    error = capfd.readouterr().err
    assert f'rank 0 is process {holder} on {socket.gethostname()}' in error
    assert not (work_dir / 'config.json').exists()
    # What a killed run leaves is taken over, and goes with a run that ends.
    assert str(holder) in (work_dir / '.lock').read_text()
    assert run(write_config(root), work_dir) == 0
    assert (work_dir / '.lock').read_text() == ''


def test_no_annotation_of_an_unbought_image_is_read(root, tmp_path):
    """With annotations of unbought images deleted, all goes on as before."""
    write_images(tmp_path / 'val', 2)
    config = write_config(
        root,
        'image',
        extra=(f"\ndata['val'].update(data_root={str(tmp_path / 'val')!r})\n"),
    )
    assert run(config, tmp_path / 'whole') == 0
    pool = json.loads((tmp_path / 'whole' / 'pool.json').read_text())
    bought = names_in(tmp_path / 'whole')
    unbought = [
        image['name']
        for image in pool['images']
        if image['name'] not in bought
    ]
    assert len(unbought) == 1
    (root / 'annotations' / unbought[0].rsplit('/', 1)[1]).unlink()
    assert run(config, tmp_path / 'leak') == 0
    assert labels(tmp_path / 'leak') == labels(tmp_path / 'whole')


def test_by_iteration_and_weights_that_go_on(root, tmp_path):
    config = write_config(
        root,
        extra="""
active_learning.update(reset=dict(weights=False, optimizer=False,
                                  schedule=False), keep_checkpoints=True)
runner.update(by_epoch=False)
workflow = [(('train', 3), ('query', 1)), (('train', 2), ('query', 1)),
            (('train', 4),)]
""",
    )
    work_dir = tmp_path / 'run'
    assert run(config, work_dir) == 0
    assert [row['iterations'] for row in rows(work_dir)] == [3, 2, 4]
    kept = {path.name for path in (work_dir / 'round_002').glob('*_*.pth')}
    assert kept == {'iter_8.pth', 'iter_9.pth'}
    logged = [
        json.loads(line)
        for path in sorted(work_dir.rglob('*.log.json'))
        for line in path.read_text().split('\n')
        if '"mode": "train"' in line
    ]
    rates = [line['lr'] for line in logged]
    poly = [(0.01 - 1e-4) * (1 - i / 9) ** 0.9 + 1e-4 for i in range(9)]
    np.testing.assert_allclose(rates, poly, atol=1e-5)


def test_one_budget_over_the_pool(root, tmp_path):
    """The budget goes where the scores are highest, and is spent exactly."""
    config = write_config(
        root,
        extra="""
active_learning['settings'] = dict(pixel=dict(
    budget_per_round=21, initial_label_pixels=13, sample_evenly=False))
active_learning.update(heuristic='entropy', shuffle_prop=0.2)
runner.update(sample_rounds=2)
train_pipeline[2]['type'] = 'LabelKeepingResize'
""",
    )
    work_dir = tmp_path / 'run'
    assert run(config, work_dir) == 0
    assert [row['requested'] for row in rows(work_dir)] == [13, 21]


def test_an_old_config_runs_as_it_is(root, tmp_path):
    """The dialect of 2022: masks, a query that loads ground truth, ..."""
    config = write_config(
        root,
        extra="""
train_pipeline[1:4] = [
    dict(type='LoadAnnotations'), dict(type='LoadMasks'),
    dict(type='ResizeWithMask', img_scale=(32, 24), ratio_range=(0.8, 1.4)),
    dict(type='RandomCropWithMask', crop_size=(20, 28), cat_max_ratio=0.75)]
train_pipeline[-1]['keys'] = ['img', 'gt_semantic_seg', 'mask']
data['query']['pipeline'] = [
    dict(type='LoadImageFromFile'), dict(type='LoadAnnotations'),
    dict(type='Resize', img_scale=(32, 24)),
    dict(type='RandomFlip', prob=0.5), dict(type='Normalize', **norm),
    dict(type='DefaultFormatBundle'),
    dict(type='Collect', keys=['img', 'gt_semantic_seg'])]
mask_dir = 'masks'
active_learning = dict(
    settings=dict(
        image=dict(initial_pool=3, query_size=2),
        pixel=dict(sample_threshold=5, query_size=5, initial_label_pixels=5,
                   sample_evenly=True, ignore_index=255)),
    visualize=dict(size=2, overlay=True, dir='viz_old'),
    heuristic='margin', shuffle_prop=0.0)
runner.update(sample_rounds=2)
evaluation = dict(interval=1, by_epoch=False, metric='mIoU', pre_eval=True)
""",
    )
    work_dir = tmp_path / 'run'
    assert run(config, work_dir) == 0
    assert [row['requested'] for row in rows(work_dir)] == [40, 40]
    assert list((work_dir / 'viz_old').rglob('*.png'))


def test_reset_starts_the_schedule_anew(whole):
    work_dir = whole.parent / 'run'
    for number in range(3):
        (log,) = (work_dir / f'round_{number:03d}').glob('*.log.json')
        lines = [json.loads(line) for line in log.read_text().splitlines()]
        rates = [line['lr'] for line in lines if line.get('mode') == 'train']
        assert rates[0] == pytest.approx(0.01)
        assert len(rates) == 8


def test_two_processes_select_and_end_together(whole, tmp_path):
    two = Run('two', tmp_path / 'two', whole.parent)
    two.finish()
    got = rows(two.work_dir)
    assert [row['requested'] for row in got] == [40, 40, 40]
    assert [row['iterations'] for row in got] == [4, 4, 4]
    first = 'round_000.npz'
    assert labels(two.work_dir)[first] == labels(whole.parent / 'run')[first]


def test_dry_run_writes_nothing(root, tmp_path, capfd):
    work_dir = tmp_path / 'run'
    config = write_config(root, extra="\nlog_level = 'INFO'\n")
    assert run(config, work_dir, '--dry-run') == 0
    assert not work_dir.exists()


def broken(root, what):
    images, annotations = root / 'images', root / 'annotations'
    if what == 'image':
        (images / '03.png').write_bytes(b'broken')
        return 3, '03.png'
    if what == 'size':
        mmcv.imwrite(np.zeros((5, 6), np.uint8), str(annotations / '03.png'))
        return 3, '03.png'
    if what == 'class':
        mmcv.imwrite(
            np.full((24, 32), 7, np.uint8), str(annotations / '03.png')
        )
        return 3, '03.png'
    if what == 'annotation':
        (annotations / '03.png').unlink()
        return 3, '03.png'
    shutil.rmtree(images)
    return 2, 'images'


@pytest.mark.parametrize(
    'what', ['image', 'size', 'class', 'annotation', 'folder']
)
def test_bad_data_is_one_message(root, tmp_path, capfd, what):
    code, named = broken(root, what)
    assert run(write_config(root), tmp_path / 'run') == code
    error = capfd.readouterr().err
    assert named in error
    assert 'Traceback' not in error
    assert not list((tmp_path / 'run').rglob('round_000.npz'))


def test_bad_data_later_loses_no_label(root, tmp_path, capfd):
    config = write_config(root)
    work_dir = tmp_path / 'run'
    assert (
        run(config, work_dir, '--cfg-options', 'runner.sample_rounds=1') == 0
    )
    before = labels(work_dir)
    broken(root, 'class')
    assert run(config, work_dir) == 3
    assert labels(work_dir) == before
    assert '03.png' in capfd.readouterr().err
    shutil.rmtree(root / 'annotations')
    write_images(root)
    assert run(config, work_dir) == 0
    assert len(rows(work_dir)) == 3


def test_another_experiment_is_refused(root, tmp_path, capfd):
    config = write_config(root)
    work_dir = tmp_path / 'run'
    assert run(config, work_dir) == 0
    before = labels(work_dir)
    assert run(config, work_dir, '--cfg-options', 'optimizer.lr=0.5') == 4
    assert 'optimizer.lr' in capfd.readouterr().err
    assert run(config, work_dir, '--no-resume') == 4
    assert run(config, tmp_path / 'nothing', '--resume') == 4
    assert labels(work_dir) == before


def test_weights_that_do_not_fit_are_refused(root, tmp_path, capfd):
    file = tmp_path / 'weights.pth'
    torch.save({'state_dict': {'backbone.conv.weight': torch.zeros(3)}}, file)
    assert (
        run(
            write_config(root),
            tmp_path / 'run',
            '--cfg-options',
            'runner.pretrained=supervised',
            f'runner.checkpoint={file}',
        )
        == 4
    )
    error = capfd.readouterr().err
    assert 'does not fit the backbone UNet' in error
    assert 'runner.checkpoint' in error


@pytest.mark.slow
@pytest.mark.parametrize(
    'source', ['dropout', pytest.param('views', marks=pytest.mark.slow)]
)
def test_several_predictions_in_the_query(source, root, tmp_path, capfd):
    config = write_config(
        root,
        extra=f'\nsource = {source!r}\n'
        """
active_learning.update(heuristic=dict(type='smoothed',
                   of=dict(type='bald', source=source, passes=4)),
                       visualize=dict(size=1))
runner.update(sample_rounds=2)
""",
    )
    assert run(config, tmp_path / 'a') == 0
    assert run(config, tmp_path / 'b') == 0
    assert labels(tmp_path / 'a') == labels(tmp_path / 'b')
    option = ['--cfg-options', 'model.decode_head.dropout_ratio=0']
    if source == 'views':
        assert run(config, tmp_path / 'c', *option) == 0
        return
    assert run(config, tmp_path / 'c', *option) == 2
    assert 'dropout_ratio of its decode_head' in capfd.readouterr().err
    assert not (tmp_path / 'c' / 'labels').exists()


@pytest.mark.slow
def test_a_heuristic_of_several_and_of_the_whole_pool(root, tmp_path):
    config = write_config(
        root,
        extra="""
active_learning.update(
    heuristic=dict(type='power_noise', beta=[4, 8],
                   of=dict(type='class_balanced', of='margin')),
    visualize=dict(size=1))
""",
    )
    assert run(config, tmp_path / 'a') == 0
    assert [row['requested'] for row in rows(tmp_path / 'a')] == [40, 40, 40]
    plain = write_config(root, extra="\nactive_learning['visualize'] = None\n")
    assert run(plain, tmp_path / 'b') == 0
    first, second = labels(tmp_path / 'a'), labels(tmp_path / 'b')
    assert first['round_001.npz'] != second['round_001.npz']
