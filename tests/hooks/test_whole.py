"""Whole runs of three rounds, seen through their hooks."""

from __future__ import annotations

import pytest
import wandb
from PIL import Image
from wandb_log import points, run_ids

from segal.train_active_learning import main
from tests.tiny import write_config, write_images

EXTRA = """
active_learning['visualize'] = dict(size=2, overlay=True, dir='viz')
evaluation = dict(interval=1, metric='mIoU')
log_config = dict(interval=1, hooks=[
    dict(type='TextLoggerHook'),
    dict(type='TensorboardLoggerHook'),
    dict(type='WandbLoggerHookWithVal', log_artifact=False,
         init_kwargs=dict(mode='offline'))])
"""


@pytest.mark.slow
@pytest.mark.usefixtures('unabridged')
def test_every_point_of_a_run_is_seen(tmp_path, monkeypatch):
    monkeypatch.setenv('WANDB_SILENT', 'true')
    wandb.teardown()
    work_dir = tmp_path / 'run'
    config = write_config(write_images(tmp_path), extra=EXTRA)
    assert main([str(config), '--work-dir', str(work_dir)]) == 0
    assert wandb.run is None
    wandb.teardown()

    (log,) = work_dir.glob('wandb/offline-run-*/*.wandb')
    assert len(run_ids(log)) == 1
    rows = points(log)
    iterations, epochs = 24, 6
    train = [row['step'] for row in rows if 'train/loss' in row]
    assert train == list(range(1, iterations + 1))
    val = [row['step'] for row in rows if 'val/mIoU' in row]
    assert val == list(range(4, iterations + 1, iterations // epochs))
    rounds = [row for row in rows if 'round' in row]
    assert [row['round'] for row in rounds] == [0, 1, 2]
    assert [row['step'] for row in rounds] == [8, 16, 24]
    assert all('pictures/curve._type' in row for row in rounds)
    assert [row['_step'] for row in rows] == list(range(len(rows)))
    steps = [row['step'] for row in rows]
    assert steps == sorted(steps)

    seen = [sorted(f.name for f in (work_dir / 'viz').glob(f'round_{k:03d}/*'))
            for k in range(3)]  # fmt: skip
    assert len(seen[0]) == 4
    assert seen[0] == seen[1] == seen[2]
    for path in (work_dir / 'viz').rglob('*.png'):
        with Image.open(path) as picture:
            picture.load()
    assert list((work_dir / 'tf_logs').iterdir())


def test_images_that_were_asked_are_on_a_contact_sheet(tmp_path):
    work_dir = tmp_path / 'run'
    extra = "active_learning['visualize'] = dict(size=1)\n"
    config = write_config(write_images(tmp_path), 'image', extra)
    assert main([str(config), '--work-dir', str(work_dir)]) == 0
    sheets = sorted(work_dir.glob('viz/*/asked.png'))
    assert [path.parent.name for path in sheets] == ['round_000', 'round_001']
