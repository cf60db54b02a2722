"""SIGTERM and Ctrl-C end a run at a safe point, and it goes on from there."""

import json
import os
import signal
import sys
import time
from functools import cache

import pytest
from mmseg.models import EncoderDecoder

from segal.distributed import stopping
from segal.distributed.stopping import (
    StoppedError,
    check,
    listening,
    requested,
)
from segal.rounds import read_rounds
from segal.train_active_learning import main
from tests.faults.harness import PATIENCE, Run, differences, wait
from tests.ranks import run_ranks
from tests.tiny import write_config, write_images

pytestmark = pytest.mark.skipif(
    sys.platform != 'linux', reason='signals as Linux has them'
)


def send(number):
    os.kill(os.getpid(), number)


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_a_signal_only_leaves_a_note(number, capfd):
    before = signal.getsignal(number)
    with listening():
        check()
        send(number)
        assert requested() == number
        with pytest.raises(StoppedError, match='run the same command') as info:
            check()
        assert info.value.exit_code == 128 + number
    assert signal.getsignal(number) is before
    assert 'the same again ends at once' in capfd.readouterr().err
    check()  # the note is gone


def test_the_same_wish_twice_at_once_is_one_wish():
    with listening():
        send(signal.SIGINT)
        send(signal.SIGINT)
        assert requested() == signal.SIGINT


def test_a_second_wish_ends_the_process_at_once(monkeypatch):
    child = os.fork()
    if not child:
        stopping.PATIENCE = 0.0
        with listening():
            send(signal.SIGTERM)
            time.sleep(0.01)
            send(signal.SIGTERM)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -15


def test_a_child_does_not_mind():
    """A loader's worker ends with the process that reads it."""
    with listening():
        child = os.fork()
        if not child:
            send(signal.SIGTERM)
            os._exit(7 if requested() == 0 else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7


@pytest.fixture(scope='module')
def baselines(tmp_path_factory):
    folder = tmp_path_factory.mktemp('stopped')

    @cache
    def made(scenario):
        run = Run(scenario, folder / scenario, folder / 'pool')
        run.finish()
        return run

    return made


def said(run, words):
    """Wait until a run has written something that holds these words."""
    end = time.monotonic() + 60
    while words not in run.progress():
        assert time.monotonic() < end, run.log()
        time.sleep(0.02)


@pytest.mark.parametrize(
    ('scenario', 'number'),
    [
        pytest.param('images', signal.SIGINT, marks=pytest.mark.slow),
        ('images', signal.SIGTERM),
        pytest.param('two', signal.SIGTERM, marks=pytest.mark.slow),
        pytest.param('two', signal.SIGINT, marks=pytest.mark.slow),
    ],
)
def test_ended_and_gone_on_with(scenario, number, baselines, tmp_path):
    baseline = baselines(scenario)
    run = Run(scenario, tmp_path / 'run', baseline.images)
    processes = run.start()
    said(run, 'run/round_001/')
    os.kill(processes[-1].pid, number)  # one that was asked is enough
    assert wait(processes, PATIENCE) == [128 + number] * len(processes)
    assert 'ended by ' + signal.Signals(number).name in run.log()
    assert 'Traceback' not in run.log()
    assert (run.work_dir / '.lock').read_text() == ''
    run.finish()
    assert differences(run, baseline) == []


@pytest.mark.parametrize(
    ('by_epoch', 'asked', 'kept'),
    [
        (False, 3, ['resume_00000002.pth', 'resume_00000003.pth']),
        (True, 6, ['resume_00000004.pth']),  # the second epoch is given up
        (True, 4, ['resume_00000004.pth']),  # the last iteration of the first
    ],
)
def test_what_is_kept(by_epoch, asked, kept, tmp_path, monkeypatch, capfd):
    config = write_config(
        write_images(tmp_path),
        extra=f"""
runner.update(by_epoch={by_epoch})
workflow = [('train', {2 if by_epoch else 7}), ('query', 1)]
checkpoint_config = dict(interval=2)
""",
    )
    count = iter(range(100))  # from 1, after the preflight's own step
    step = EncoderDecoder.train_step

    def train_step(self, *args, **kwargs):
        if next(count) == asked:
            send(signal.SIGTERM)
        return step(self, *args, **kwargs)

    monkeypatch.setattr(EncoderDecoder, 'train_step', train_step)
    work_dir = tmp_path / 'run'
    assert main([str(config), '--work-dir', str(work_dir)]) == 143
    assert 'ended by SIGTERM at a safe point' in capfd.readouterr().err
    found = sorted(path.name for path in work_dir.rglob('resume_*.pth'))
    assert found == kept
    assert next(count) == asked + 1


def trained(config, work_dir):
    return main([str(config), '--work-dir', str(work_dir)])


def logged(work_dir):
    """Learning rates and iterations of each epoch, as they were logged."""
    return [
        (line['epoch'], line['iter'], line['lr'])
        for path in sorted((work_dir / 'round_000').glob('*.log.json'))
        for line in map(json.loads, path.read_text().splitlines())
        if line.get('mode') == 'train'
    ]


@pytest.mark.slow
def test_another_number_of_processes_goes_on_with_the_schedule(
    tmp_path, monkeypatch
):
    """Two processes go through an epoch in half of the iterations."""
    config = write_config(
        write_images(tmp_path),
        extra="workflow = [(('train', 4),)]\n",
    )
    count = iter(range(100))
    step = EncoderDecoder.train_step

    def train_step(self, *args, **kwargs):
        if next(count) == 4:  # the last one of the first epoch
            send(signal.SIGTERM)
        return step(self, *args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(EncoderDecoder, 'train_step', train_step)
        assert trained(config, tmp_path / 'run') == 143
    assert run_ranks(trained, 2, config, tmp_path / 'run') == [0, 0]
    assert run_ranks(trained, 2, config, tmp_path / 'whole') == [0, 0]
    went, whole = logged(tmp_path / 'run'), logged(tmp_path / 'whole')
    assert len(whole) == 8
    assert went[4:] == whole[2:]
    assert read_rounds(tmp_path / 'run')[0]['iterations'] == 8
