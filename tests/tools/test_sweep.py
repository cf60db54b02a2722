from __future__ import annotations

import json
import os
import re
import signal
import sys
import threading
import time
from pathlib import Path

import pytest
from load import tool

from segal.errors import ConfigError
from segal.rounds import read_rounds
from tests.tiny import write_config, write_images

sweep = tool('sweep')


@pytest.mark.parametrize(
    ('text', 'options'),
    [
        ('margin', ['active_learning.heuristic=margin']),
        (
            'power_noise(class_balanced(margin))',
            [
                'active_learning.heuristic._delete_=True',
                'active_learning.heuristic.type=power_noise',
                'active_learning.heuristic.of.type=class_balanced',
                'active_learning.heuristic.of.of.type=margin',
            ],
        ),
    ],
)
def test_heuristic_options(text, options):
    assert sweep.heuristic_options(text) == options


@pytest.mark.parametrize('text', ['power_noise(', 'a b', 'a)', ''])
def test_what_is_no_heuristic(text):
    with pytest.raises(ConfigError, match='--heuristics'):
        sweep.heuristic_options(text)


def test_each_seed_comes_with_all_heuristics(tmp_path):
    jobs = sweep.jobs_of(['a', 'b(c)', 'a'], [0, 1], tmp_path, ['x=1'])
    assert [job.work_dir.name for job in jobs] == [
        'a_seed0', 'b-c_seed0', 'a_seed1', 'b-c_seed1',
    ]  # fmt: skip
    assert jobs[0].options == ('x=1', 'active_learning.heuristic=a')


def jobs(folder, *names):
    return sweep.jobs_of(names, [0], folder, [])


def write_rows(work_dir, count, drawn=True):
    work_dir.mkdir(parents=True, exist_ok=True)
    seconds = [dict(report=0.1) for _ in range(count)]
    if not drawn:
        seconds[-1] = {}
    (work_dir / 'times.json').write_text(json.dumps({'rounds': seconds}))
    keys = ('iterations', 'labelled', 'void', 'total', 'pool', 'share')
    rows = [{'round': n, **dict.fromkeys(keys, 1)} for n in range(count)]
    (work_dir / 'rounds.json').write_text(json.dumps({'rounds': rows}))


def started(calls, codes=()):
    codes = iter(codes)

    def start(command):
        calls.append(Path(command[command.index('--work-dir') + 1]).name)
        return next(codes, 0)

    return start


def test_what_is_finished_is_skipped(tmp_path, capsys):
    calls = []
    write_rows(tmp_path / 'a_seed0', 3)
    write_rows(tmp_path / 'b_seed0', 2)
    write_rows(tmp_path / 'd_seed0', 3, drawn=False)  # killed at its pictures
    code = sweep.sweep(
        'c.py',
        jobs(tmp_path, 'a', 'b', 'c', 'd'),
        1,
        started(calls),
        lambda *_: 3,
    )
    assert code == 0
    assert calls == ['b_seed0', 'c_seed0', 'd_seed0']
    said = capsys.readouterr().out
    assert re.search(r'\[1/4\] .*a_seed0: finished before', said)
    assert re.search(r'\[3/4\] .*starts; about 0 s for the 2 left', said)
    assert '4 of 4 runs are finished' in said


def test_it_goes_on_after_a_failure_and_says_so(tmp_path, capsys):
    calls = []
    code = sweep.sweep(
        'c.py',
        jobs(tmp_path, 'a', 'b', 'c'),
        1,
        started(calls, [0, 3, 0]),
        lambda *_: 3,
    )
    assert code == 1
    assert calls == ['a_seed0', 'b_seed0', 'c_seed0']
    captured = capsys.readouterr()
    assert '2 of 3 runs are finished' in captured.out
    assert re.search(r'failed:\n  .*b_seed0 \(exit code 3\)', captured.err)


@pytest.mark.parametrize('code', [130, 143])
def test_it_stops_where_a_run_was_stopped(tmp_path, code, capsys):
    calls = []
    ended = sweep.sweep(
        'c.py', jobs(tmp_path, 'a', 'b'), 1, started(calls, [code]),
        lambda *_: 3,
    )  # fmt: skip
    assert ended == code
    assert calls == ['a_seed0']
    assert 'goes on from here' in capsys.readouterr().err


OBEYS = """
import pathlib, signal, sys, time
def end(number, _):
    pathlib.Path(sys.argv[1], 'asked').write_text(str(number))
    sys.exit(int(sys.argv[2]))
signal.signal(signal.SIGTERM, end)
pathlib.Path(sys.argv[1], 'runs').touch()
time.sleep(60)
"""


@pytest.mark.parametrize(('code', 'ended'), [(143, 143), (0, 143), (3, 143)])
def test_sigterm_ends_the_run_too(tmp_path, code, ended):
    """Left behind, it would go on and hold its folder."""

    def ask():
        while not (tmp_path / 'runs').exists():
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGTERM)

    before = signal.getsignal(signal.SIGTERM)
    threading.Thread(target=ask, daemon=True).start()
    command = [sys.executable, '-c', OBEYS, str(tmp_path), str(code)]
    assert sweep.run_command(command) == ended
    assert (tmp_path / 'asked').read_text() == str(int(signal.SIGTERM))
    assert signal.getsignal(signal.SIGTERM) == before


def test_the_signal_that_killed_a_run_is_told():
    killed = 'import os; os.kill(os.getpid(), 9)'
    assert sweep.run_command([sys.executable, '-c', killed]) == 137


def test_command(tmp_path):
    (job,) = jobs(tmp_path, 'a')
    command = sweep.command_of('c.py', job, 4)
    assert command[1:6] == ['-m', 'segal', 'train', 'c.py', '4']
    assert command[-2:] == ['--cfg-options', 'active_learning.heuristic=a']


@pytest.mark.slow
def test_real_runs(tmp_path, monkeypatch, capfd):
    """Two runs, skipped the second time, refused with another config."""
    config = write_config(write_images(tmp_path))
    out = tmp_path / 'runs'

    def call(*options):
        arguments = [
            'sweep.py', str(config), '--heuristics', 'random',
            'power_noise(margin)', '--seeds', '3', '--work-dir', str(out),
            '--cfg-options', 'runner.sample_rounds=2', *options,
        ]  # fmt: skip
        monkeypatch.setattr(sys, 'argv', arguments)
        return sweep.main(), capfd.readouterr()

    code, said = call()
    assert code == 0, said.err
    assert '2 of 2 runs are finished' in said.out
    for name in ('random_seed3', 'power_noise-margin_seed3'):
        assert len(read_rounds(out / name)) == 2
        cfg = json.loads((out / name / 'config.json').read_text())
        assert cfg['seed'] == 3
    assert cfg['active_learning']['heuristic']['of'] == {'type': 'margin'}
    code, said = call()
    assert code == 0
    assert said.out.count('finished before') == 2
    code, said = call('optimizer.lr=0.5')
    assert code == 1
    assert 'optimizer.lr (was 0.01, now 0.5)' in said.err
    assert 'failed:' in said.err
