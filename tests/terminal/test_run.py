"""Runs in a terminal, as a person sees them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from segal.rounds import read_rounds
from tests.emulator import Session
from tests.tiny import write_config, write_images

ROOT = Path(__file__).parents[2]
KINDS = ('round', 'train', 'evaluate', 'query', 'pictures', 'prepare')
KINDS += ('checking the pool', 'checking files', 'log')
"""How the lines begin that a screen may have, beside title and rows."""
LOUD = """
log_level = 'INFO'
log_config = dict(interval=50, hooks=[dict(type='TextLoggerHook')])
custom_imports = dict(imports=['loud'])
custom_hooks = [dict(type='Loud')]
"""
LOUD_HOOK = """
import os, warnings
from mmcv.runner import HOOKS, Hook
@HOOKS.register_module()
class Loud(Hook):
    def after_train_iter(self, runner):
        print('loud')
        os.write(2, b'louder\\n')
        warnings.warn('loudest')
        runner.logger.warning('a warning')
        if runner.context.round == 1 and os.environ.get('FAIL'):
            raise ValueError('a bug')
"""


@pytest.fixture
def begin(tmp_path):
    write_images(tmp_path)
    (tmp_path / 'loud.py').write_text(LOUD_HOOK)
    write_config(tmp_path, extra=LOUD)
    sessions = []

    def start(*options, gpus=1, **env):
        words = ['bash', ROOT / 'dist_train.sh', 'tiny_pixel.py', str(gpus)]
        session = Session(
            [*words, '--work-dir', 'out', *options],
            width=110,
            height=30,
            cwd=tmp_path,
            env={
                **os.environ,
                **dict(TERM='xterm', OMP_NUM_THREADS='1', **env),
                **dict(PYTHON=sys.executable, PYTHONPATH=str(tmp_path)),
            },
        )
        sessions.append(session)
        return session

    yield start
    for session in sessions:
        session.close()


def is_ours(line):
    rows = line[:5].strip().isdigit() and '%' in line
    return not line or line.split()[0] == 'out' or rows


def begins(word):
    return lambda lines: any(line.startswith(word) for line in lines)


@pytest.mark.slow
@pytest.mark.parametrize('gpus', [1, 2])
def test_three_rounds(begin, tmp_path, gpus):
    session = begin(gpus=gpus)
    assert session.until(begins('train'))
    assert session.wait() == 0
    drawn = session.seen[:-1]
    for lines in drawn:
        for line in lines:
            begun = line.startswith(KINDS) or not line.strip()
            assert begun or is_ours(line) or lines == drawn[-1], lines
    titles = {lines[0].split('round')[-1] for lines in drawn if lines}
    assert {' 0 of 0 to 2', ' 1 of 0 to 2', ' 2 of 0 to 2'} <= titles
    shown = {line for lines in drawn for line in lines}
    assert any('iterations' in x and ', loss ' in x for x in shown)
    rows = read_rounds(tmp_path / 'out')
    for row in rows[:2]:
        text = f'{100 * row["mIoU"]:.1f} %'
        assert any(
            x.startswith(f'    {row["round"]}') and text in x for x in shown
        )
    # at the end: one table, where things are, and nothing else
    end = session.screen.everything
    assert [line[:5].strip() for line in end if '%' in line] == ['0', '1', '2']
    assert end[1].startswith('round')
    assert end[-1].startswith('  log       out/')
    assert ' warnings)' in end[-1]
    (log,) = (tmp_path / 'out').glob('*.log')
    text = log.read_text()
    assert log.name in end[-1]
    assert all(word in text for word in ('loud\n', 'louder\n', 'loudest'))
    assert 'round 2 of 0 to 2: training on' in text
    assert 'eta: ' in text
    assert ', loss: ' in text


@pytest.mark.slow
def test_errors_and_ctrl_c_come_last(begin, tmp_path):
    session = begin(FAIL='1')
    assert session.wait() == 1
    end = session.screen.everything
    assert end[0].startswith('out')
    assert begins('[rank0]: Traceback')(end)
    assert end[-1] == '[rank0]: ValueError: a bug'

    session = begin()
    assert session.until(begins('train'))
    session.press(b'\x03')
    assert session.wait() == 130
    end = session.screen.everything
    assert end[0].startswith('out')
    assert ' round 1 of 0 to 2' in end[0]
    assert 'Error: ended by SIGINT at a safe point' in ' '.join(end)
    assert end[-1].endswith('run the same command again to go on')
    assert not begins('SIGINT')(end)


@pytest.mark.slow
def test_a_wrong_config_leaves_its_message_alone(begin):
    session = begin('--cfg-options', 'runner.sample_rounds=0')
    assert session.wait() == 2
    end = session.screen.everything
    assert 'problems in the config' in ' '.join(end)
    assert not any(line.startswith(('log ', 'prepare')) for line in end)


@pytest.mark.slow
def test_debug_prints_lines(begin):
    session = begin('--debug')
    assert session.wait() == 0
    assert any('mmseg - INFO - ' in x for x in session.screen.everything)
    assert not any(begins('train')(lines) for lines in session.seen)


@pytest.mark.slow
def test_iterations_are_counted_in_each_round(begin, tmp_path):
    """``Iter [3/4]`` in every round, and never ``Iter [7/4]``."""
    options = dict(cwd=tmp_path, capture_output=True, text=True)
    path = tmp_path / 'tiny_pixel.py'
    path.write_text(
        path.read_text() + "runner['by_epoch'] = False\n"
        "workflow = [('train', 4), ('query', 1)]\n"
    )
    done = subprocess.run(
        ['bash', ROOT / 'dist_train.sh', path, '1'],
        env={**os.environ, 'PYTHON': sys.executable, 'PYTHONPATH': '.'},
        **options,
    )
    assert done.returncode == 0, done.stderr
    found = [
        line.split('Iter [')[1].split(']')[0]
        for line in done.stderr.splitlines()
        if 'Iter [' in line
    ]
    assert found == ['4/4'] * 3
