from __future__ import annotations

import json
import logging
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import wandb
from mmcv.runner import EpochBasedRunner, Hook
from PIL import Image
from torch import nn
from wandb_log import metrics, points, records, run_ids

from segal.hooks.wandb import STATE_FILE, WandbLoggerHookWithVal

EPOCHS, PER_EPOCH = 2, 3
PER_ROUND = EPOCHS * PER_EPOCH


class Toy(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))

    def train_step(self, batch, optimizer):
        loss = (self.weight * batch).mean()
        return {'loss': loss, 'log_vars': {'loss': 0.5}, 'num_samples': 1}


class Evaluate(Hook):
    """As mmcv's EvalHook leaves its result."""

    def after_train_epoch(self, runner):
        runner.log_buffer.clear()
        runner.log_buffer.output['mIoU'] = (runner.epoch + 1) / 10
        runner.log_buffer.ready = True


def one_round(work_dir, number, **options):
    """A round as the outer runner makes it, on hooks of its own."""
    hook = WandbLoggerHookWithVal(interval=1, log_artifact=False, **options)
    model = Toy()
    runner = EpochBasedRunner(
        model,
        optimizer=torch.optim.SGD(model.parameters(), lr=0.1),
        work_dir=str(work_dir / f'round_{number:03d}'),
        logger=logging.getLogger('quiet'),
        max_epochs=EPOCHS,
    )
    runner.context = SimpleNamespace(
        round=number,
        rounds=3,
        work_dir=work_dir,
        step_offset=number * PER_ROUND,
    )

    runner.register_hook_from_cfg({'type': 'OptimizerHook'})
    runner.register_hook_from_cfg({'type': 'IterTimerHook'})
    runner.register_hook(Evaluate())
    runner.register_hook(hook, 'VERY_LOW')
    runner.run([torch.ones(PER_EPOCH, 1)], [('train', 1)])
    return hook, runner


def report(work_dir, number, pictures=()):
    row = {
        'round': number,
        'unit': 'pixel',
        'total': {
            'requested': 20,
            'labelled': 18,
            'void': 2,
            'refused': 0,
            'images': 2,
        },
        'share': 0.01,
        'cost': {'unit': 'seconds', 'round': 48.0, 'total': 96.5},
        'mIoU': 0.3 + number / 10,
        'IoU': {'road': 0.9, 'pole': None},
        'seconds': {'train': 1.0, 'query': 0.5},
    }
    return SimpleNamespace(
        row=row,
        work_dir=work_dir,
        step=(number + 1) * PER_ROUND,
        pictures=list(pictures),
    )


@pytest.fixture(autouse=True)
def offline(monkeypatch, tmp_path):
    awake = SimpleNamespace(sleep=lambda seconds: None)
    monkeypatch.setattr('mmcv.runner.epoch_based_runner.time', awake)
    monkeypatch.setenv('WANDB_MODE', 'offline')
    monkeypatch.setenv('WANDB_SILENT', 'true')
    monkeypatch.setenv('WANDB_CONSOLE', 'off')
    monkeypatch.setenv('WANDB_X_DISABLE_STATS', 'true')
    WandbLoggerHookWithVal.opened.clear()
    yield
    wandb.finish()


@pytest.fixture
def fresh_client():
    """A client that reads its environment anew."""
    wandb.teardown()
    yield
    wandb.finish()
    wandb.teardown()


def logs_of(work_dir: Path) -> list[Path]:
    """The logs, closed: ``finish`` returns a little before they are."""
    wandb.finish()
    wandb.teardown()
    return sorted(work_dir.glob('wandb/offline-run-*/*.wandb'))


def test_three_rounds_are_one_run_and_no_point_is_lost(tmp_path):
    picture = tmp_path / '00_street_panel.png'
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(picture)
    for number in range(3):
        hook, runner = one_round(tmp_path, number)
        hook.after_round(runner, report(tmp_path, number, [picture]))
    hook.after_experiment(None)

    (log,) = logs_of(tmp_path)
    rows = points(log)
    train = [row['step'] for row in rows if 'train/loss' in row]
    assert train == list(range(1, 3 * PER_ROUND + 1))
    val = [(row['step'], row['val/mIoU']) for row in rows if 'val/mIoU' in row]
    assert val == [
        (PER_EPOCH * n, (1 + (n - 1) % EPOCHS) / 10)
        for n in range(1, 3 * EPOCHS + 1)
    ]
    rounds = [row for row in rows if 'round' in row]
    assert [row['round'] for row in rounds] == [0, 1, 2]
    assert [row['round/mIoU'] for row in rounds] == [0.3, 0.4, 0.5]
    assert rounds[0]['round/cost'] == 96.5
    assert rounds[0]['round/cost_of_round'] == 48.0
    assert all(row['IoU/road'] == 0.9 for row in rounds)
    assert all('IoU/pole' not in row for row in rounds)
    shown = 'pictures/00_street_panel'
    assert all(row[f'{shown}._type'] == 'image-file' for row in rounds)
    files = [log.parent / 'files' / row[f'{shown}.path'] for row in rounds]
    assert all(file.exists() for file in files)
    assert len(set(files)) == 3
    assert len(rows) == len(train) + len(val) + len(rounds)

    steps = [row['step'] for row in rows]
    assert steps == sorted(steps)
    assert [row['_step'] for row in rows] == list(range(len(rows)))
    assert run_ids(log) == {json.loads(read_state(tmp_path))['id']}
    drawn = metrics(log)
    assert drawn['train/*'] == drawn['val/*'] == 'step'
    assert drawn['round/*'] == drawn['pictures/*'] == 'round'


def read_state(work_dir: Path) -> str:
    return (work_dir / STATE_FILE).read_text()


def test_restart_goes_on_with_the_same_run(tmp_path):
    one_round(tmp_path, 0)
    wandb.finish()
    WandbLoggerHookWithVal.opened.clear()
    one_round(tmp_path, 1)
    wandb.finish()

    logs = logs_of(tmp_path)
    assert {i for log in logs for i in run_ids(log)} == {
        json.loads(read_state(tmp_path))['id']
    }
    rows = [row for log in logs for row in points(log)]
    train = [row['step'] for row in rows if 'train/loss' in row]
    assert train == list(range(1, 2 * PER_ROUND + 1))
    assert [row['_step'] for row in rows] == list(range(len(rows)))


def test_two_experiments_in_one_process_are_two_runs(tmp_path):
    for name in ('first', 'second'):
        (tmp_path / name).mkdir()
        one_round(tmp_path / name, 0)
    wandb.finish()
    ids = {
        json.loads(read_state(tmp_path / n))['id'] for n in ('first', 'second')
    }
    assert len(ids) == 2
    for name in ('first', 'second'):
        (log,) = logs_of(tmp_path / name)
        assert sum('train/loss' in row for row in points(log)) == PER_ROUND


def test_artifact_holds_the_logs(tmp_path):
    hook, _ = one_round(tmp_path, 0)
    (tmp_path / 'run.log').write_text('lines')
    hook.log_artifact = True
    hook.after_experiment()
    assert wandb.run is None
    kinds = [
        r.WhichOneof('record_type') for r in records(logs_of(tmp_path)[0])
    ]
    assert 'artifact' in kinds or 'request' in kinds


def test_without_a_key_nobody_is_asked(
    tmp_path, monkeypatch, caplog, fresh_client
):
    monkeypatch.delenv('WANDB_MODE')
    monkeypatch.delenv('WANDB_API_KEY', raising=False)
    monkeypatch.setenv('NETRC', str(tmp_path / 'none'))
    wandb.teardown()
    monkeypatch.setattr(logging.getLogger('segal'), 'propagate', True)
    hook = WandbLoggerHookWithVal(log_artifact=False)
    hook.after_round(None, report(tmp_path, 0))
    assert wandb.run.settings.mode == 'offline'
    assert 'no API key' in caplog.text


def test_without_a_server_the_run_is_kept_here(tmp_path, monkeypatch):
    begin = wandb.init

    def refuse(**options):
        if options.get('mode') != 'offline':
            raise wandb.errors.CommError('no route')
        return begin(**options)

    monkeypatch.setattr(wandb, 'init', refuse)
    hook = WandbLoggerHookWithVal(log_artifact=False)
    hook.after_round(None, report(tmp_path, 0))
    hook.after_experiment()
    assert points(logs_of(tmp_path)[0])[0]['round/mIoU'] == 0.3


def test_an_ordinary_run_is_mmcvs(tmp_path, monkeypatch, fresh_client):
    monkeypatch.chdir(tmp_path)
    hook = WandbLoggerHookWithVal(interval=1, log_artifact=False)
    model = Toy()
    runner = EpochBasedRunner(
        model,
        optimizer=torch.optim.SGD(model.parameters(), lr=0.1),
        work_dir=str(tmp_path),
        logger=logging.getLogger('quiet'),
        max_epochs=1,
    )
    runner.register_hook_from_cfg({'type': 'IterTimerHook'})
    runner.register_hook(hook, 'VERY_LOW')
    runner.run([torch.ones(PER_EPOCH, 1)], [('train', 1)])
    assert wandb.run is None
    assert not (tmp_path / STATE_FILE).exists()
    (log,) = logs_of(tmp_path)
    assert sum('train/loss' in row for row in points(log)) == PER_EPOCH
