"""Processes that die alone, disks that are full: what the others do."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from segal import files
from segal.runner import inner
from tests.faults.harness import Run, differences, wait
from tests.faults.points import Point
from tests.hooks.wandb_log import points, run_ids
from tests.test_launch import alive
from tests.tiny import write_config, write_images

POINT_IN_ROUND_1 = Point(
    'in the second epoch of round 1',
    'before',
    'mmcv.runner.epoch_based_runner:EpochBasedRunner.run_iter',
    14,
)
ROOT = Path(__file__).parents[1]
pytestmark = pytest.mark.skipif(
    sys.platform != 'linux', reason='as Linux ends processes'
)


def until(happened, seconds, what=''):
    end = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < end, what
        time.sleep(0.02)


def owners(work_dir):
    """What the lock says: rank -> process."""
    text = (work_dir / '.lock').read_text()
    return {one['rank']: one['process'] for one in json.loads(text or '[]')}


@pytest.fixture(scope='module')
def baseline(tmp_path_factory):
    folder = tmp_path_factory.mktemp('two')
    run = Run('two', folder / 'two', folder / 'pool')
    run.finish()
    return run


@pytest.mark.slow
def test_the_lock_names_every_rank_and_none_is_inherited(baseline, tmp_path):
    """A rank that lives on keeps the next run out; it is named."""
    run = Run('two', tmp_path / 'run', baseline.images)
    processes = run.start()
    until(lambda: 'run/round_000/' in run.progress(), 60)
    assert owners(run.work_dir) == {
        rank: process.pid for rank, process in enumerate(processes)
    }
    os.kill(processes[1].pid, signal.SIGSTOP)
    processes[0].kill()
    processes[0].join()
    again = Run('two', tmp_path / 'run', baseline.images)
    assert wait(again.start(), 60) == [4, 4]
    assert (
        f'rank 1 is process {processes[1].pid} on {socket.gethostname()}'
        in again.log()
    )
    processes[1].kill()
    processes[1].join()
    again.finish()
    assert differences(again, baseline) == []


@pytest.mark.slow
def test_a_process_that_does_not_answer(baseline, tmp_path):
    """The others end with a message after the time that was set."""
    run = Run('two', tmp_path / 'run', baseline.images)
    processes = run.start(env=dict(SEGAL_TIMEOUT='0.05'))
    until(lambda: 'run/round_000/' in run.progress(), 60)
    begin = time.monotonic()
    os.kill(processes[1].pid, signal.SIGSTOP)
    processes[0].join(30)
    took = time.monotonic() - begin
    assert processes[0].exitcode == 5, run.log()
    assert took < 15
    assert 'not all of them came within 0.05 min' in run.log()
    assert 'SEGAL_TIMEOUT' in run.log()
    assert 'Traceback' not in run.log()
    processes[1].kill()
    processes[1].join()
    run.finish()
    assert differences(run, baseline) == []


@pytest.fixture
def small_disk(tmp_path):
    """A file system of a few hundred kilobytes."""
    folder = tmp_path / 'small'
    folder.mkdir()
    mount = ['mount', '-t', 'tmpfs', '-o', 'size=600k', 'none', str(folder)]
    if subprocess.run(mount, capture_output=True).returncode:
        pytest.skip('may not mount a file system here')
    yield folder
    subprocess.run(['umount', '-l', str(folder)], check=True)


@dataclass
class FullDisk:
    """Fills the disk just before a file of this name is written."""

    name: str
    ballast: Path
    rank: int = 0

    def arm(self):
        real = files.whole_file

        @contextmanager
        def whole_file(path):
            if str(path).endswith(self.name) and not self.ballast.exists():
                with open(self.ballast, 'wb') as file, suppress(OSError):
                    while True:
                        file.write(bytes(512))
                        file.flush()
            with real(path) as file:
                yield file

        for module in (files, inner):
            module.whole_file = whole_file


@pytest.fixture(scope='module')
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp('one')
    run = Run('pixels', folder / 'one', folder / 'pool')
    run.finish()
    return run


@pytest.mark.slow
@pytest.mark.parametrize(
    'full', ['round_001.npz', 'round_001/final.pth', 'rounds.json']
)
def test_a_full_disk(full, small_disk, whole, tmp_path):
    """The file that did not fit is named; with room, all goes on."""
    run = Run('pixels', tmp_path / 'run', whole.images)
    run.folder.joinpath('run').symlink_to(small_disk / 'run')
    (small_disk / 'run').mkdir()
    filled = run.start(FullDisk(full, small_disk / 'ballast'))
    assert wait(filled, 60) == [4], run.log()
    assert 'No space left on device' in run.log()
    assert 'everything bought so far is safe' in run.log()
    assert 'Traceback' not in run.log()
    labels = {
        path: path.read_bytes()
        for path in (run.work_dir / 'labels').glob('*.npz')
    }
    assert labels
    (small_disk / 'ballast').unlink()
    subprocess.run(
        ['mount', '-o', 'remount,size=32m', str(small_disk)], check=True
    )
    run.finish()
    assert differences(run, whole) == []
    assert all(path.read_bytes() == was for path, was in labels.items())


@pytest.mark.slow
def test_the_wandb_run_goes_on(tmp_path):
    run = Run('pixels', tmp_path / 'run', tmp_path / 'pool')
    with open(run.config, 'a') as file:
        file.write(
            "log_config['hooks'].append("
            "dict(type='WandbLoggerHookWithVal', interval=1))\n"
        )
    env = dict(WANDB_MODE='offline', WANDB_SILENT='true')
    (victim,) = run.start(POINT_IN_ROUND_1, env)
    assert wait([victim], 120) == [-signal.SIGKILL], run.log()
    logged = json.loads((run.work_dir / 'wandb_run.json').read_text())
    assert wait(run.start(env=env), 120) == [0], run.log()
    logs = sorted(run.work_dir.glob('wandb/*run-*/*.wandb'))
    assert len(logs) == 2
    state = json.loads((run.work_dir / 'wandb_run.json').read_text())
    for _ in range(50):  # W&B's own process may still be writing
        found = {one for log in logs for one in run_ids(log)}
        if found:
            break
        time.sleep(0.2)
    assert found == {state['id']}
    rows = points(logs[1])
    assert [row['round'] for row in rows if 'round' in row] == [1, 2]
    # The epoch in hand is logged again, from its first iteration.
    steps = [row['step'] for row in rows if 'train/loss' in row]
    assert steps == list(range(13, 25))
    assert logged['id'] == state['id']
    assert rows[0]['_step'] == logged['logged'] > 12


@pytest.mark.slow
@pytest.mark.parametrize('victim', ['launcher', 'rank 1'])
def test_killed_alone_under_the_real_launcher(victim, tmp_path):
    config = write_config(write_images(tmp_path / 'images'))
    work_dir = tmp_path / 'run'
    command = ['bash', str(ROOT / 'dist_train.sh'), str(config), '2']
    command += ['--work-dir', str(work_dir)]
    env = {**os.environ, 'PYTHON': sys.executable, 'OMP_NUM_THREADS': '1'}
    launcher = subprocess.Popen(
        command, env=env, stderr=subprocess.PIPE, text=True
    )
    until((work_dir / 'round_000').exists, 120)
    pids = list(owners(work_dir).values())
    assert len(pids) == 2
    begin = time.monotonic()
    if victim == 'launcher':
        launcher.kill()
    else:
        os.kill(pids[1], signal.SIGKILL)
    _, said = launcher.communicate(timeout=60)
    until(lambda: not any(map(alive, pids)), 30, 'the workers live on')
    assert time.monotonic() - begin < 35
    if victim != 'launcher':
        assert launcher.returncode == 137
        assert 'Process 1 was ended by SIGKILL' in said
        assert 'one of them is gone' in said
        assert 'Traceback' not in said
    done = subprocess.run(command, env=env, timeout=240)
    assert done.returncode == 0
    rows = json.loads((work_dir / 'rounds.json').read_text())['rounds']
    assert [row['requested'] for row in rows] == [40, 40, 40]
