"""A screen in a terminal: nothing else is written there."""

import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest

from segal import terminal
from tests.emulator import Session, Terminal, resize

ROOT = Path(__file__).parents[2]

HEAD = """
import logging, os, signal, subprocess, sys, time, warnings
from segal import terminal
logger = logging.getLogger('a')
logger.setLevel('INFO')
logger.addHandler(logging.StreamHandler())
logger.addHandler(logging.FileHandler('a.log', mode='a'))
ROW = dict(round=0, unit='pixel', share=0.5,
           total=dict(labelled=7, images=1))
def say_a_lot():
    print('printed')
    os.write(2, b'by a library\\n')
    warnings.warn('a warning of Python')
    subprocess.run(['sh', '-c', 'echo by a child; echo error >&2'])
    logger.info('a line')
"""


@pytest.fixture
def script(tmp_path):
    sessions = []

    def start(code, width=60, height=20, **env):
        (tmp_path / 'script.py').write_text(HEAD + code)
        env = {'TERM': 'xterm', 'PYTHONPATH': str(ROOT), **env}
        env = {**os.environ, 'PYTHONIOENCODING': 'utf-8', **env}
        command = [sys.executable, 'script.py']
        session = Session(command, width, height, cwd=tmp_path, env=env)
        sessions.append(session)
        return session

    yield start
    for session in sessions:
        session.close()


TWO_STEPS = """
with terminal.drawn('mine', 'a.log', logger):
    terminal.show([ROW], 0, 2)
    for what in 'train', 'query':
        with terminal.progress(20, what) as bar:
            for _ in range(20):
                say_a_lot()
                bar.update()
                time.sleep(0.02)
    FINISH
"""


def test_what_else_is_written_goes_to_the_log(script, tmp_path):
    session = script(TWO_STEPS.replace('FINISH', "terminal.finish('done')"))
    assert session.wait() == 0
    assert session.screen.everything == ['done']
    shown = {line for lines in session.seen for line in lines}
    assert any('train ' in line and ' of 20 images' in line for line in shown)
    assert any('s left' in line for line in shown)
    kinds = ('mine  ', 'round', '    0  ', 'train', 'query', 'log ', 'done')
    assert {x for x in shown if x and not x.startswith(kinds)} <= {'mine'}
    log = (tmp_path / 'a.log').read_text()
    for words in ('printed\n', 'library\n', 'child\n', 'error\n', 'a line\n'):
        assert log.count(words) == 40, words
    assert 'a warning of Python' in log


def test_a_screen_that_failed_stays_above_the_message(script):
    session = script(
        """
try:
    with terminal.drawn('mine', 'a.log', logger):
        terminal.show([ROW], 0, 2)
        with terminal.progress(20, 'train') as bar:
            bar.update(5)
            logger.warning('look')
            raise ValueError
except ValueError:
    print('the message')
    logger.info('a line as ever')
"""
    )
    assert session.wait() == 0
    lines = session.screen.everything
    assert [line.split('  ')[0] for line in lines if line] == (
        ['mine', 'round', '', 'train', 'log', 'the message', 'a line as ever']
    )
    assert 'left' not in lines[-4]
    assert lines[-3].endswith('a.log (1 warning)')


def test_nothing_is_left_where_no_round_began(script):
    session = script(
        """
with terminal.drawn('mine', 'a.log', logger):
    terminal.progress(None, 'prepare').__enter__()
    time.sleep(0.5)
print('the message')
"""
    )
    session.wait()
    assert session.screen.everything == ['the message']
    assert any('prepare' in lines for lines in session.seen)


WAITING = """
signal.signal(signal.SIGINT, lambda *_: terminal.notice('ending soon'))
with terminal.drawn('mine', 'a.log', logger):
    terminal.show([ROW], 0, 2)
    with terminal.progress(100, 'train') as bar:
        while not os.path.exists('end'):
            time.sleep(0.05)
            bar.update(0)
"""


def test_ctrl_c_is_answered_and_its_echo_wiped_out(script, tmp_path):
    session = script(WAITING)
    assert session.until(lambda lines: any('train' in x for x in lines))
    session.press(b'\x03')
    assert session.until(lambda lines: 'ending soon' in lines)
    assert session.until(lambda lines: not any('^C' in x for x in lines))
    (tmp_path / 'end').touch()
    session.wait()
    assert 'ending soon' not in session.screen.lines


def test_another_width_is_followed(script, tmp_path):
    session = script(WAITING, width=60)
    assert session.until(lambda lines: any('train' in x for x in lines))
    resize(session.keyboard, 40, 20)
    session.screen = Terminal(40, 20)  # as if it had been wiped out
    assert session.until(lambda lines: any('train' in x for x in lines))
    (tmp_path / 'end').touch()
    session.wait()
    assert max(map(len, session.screen.lines)) < 40
    title = [x for x in session.screen.everything if x.startswith('mine')]
    assert len(title) == 1


def test_a_job_in_the_background_draws_nothing(script, tmp_path):
    session = script(
        """
if os.fork():
    os.wait()
else:
    os.setpgid(0, 0)  # the terminal stays with the parent
    with terminal.drawn('mine', 'a.log', logger):
        terminal.show([ROW], 0, 2)
    os._exit(0)
"""
    )
    session.wait()
    assert session.screen.everything == []


@pytest.mark.parametrize(
    ('env', 'drawn'),
    [
        ({}, True),
        ({'TERM': 'dumb'}, False),
        ({'TERM': ''}, False),
        ({'PYTHONIOENCODING': 'latin-1'}, False),
    ],
)
def test_where_a_screen_can_be_drawn(script, env, drawn):
    session = script('print(terminal.can_draw())', **env)
    session.wait()
    assert session.screen.lines == [str(drawn)]


def test_no_screen_in_a_pipe_or_where_one_end_is_a_file(script, tmp_path):
    script('print(terminal.can_draw())').wait()
    command = [sys.executable, 'script.py']
    env = {**os.environ, 'PYTHONPATH': str(ROOT), 'TERM': 'xterm'}
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True)
    assert done.stdout == b'False\n'


def test_only_what_was_the_terminal_is_turned(script, tmp_path):
    session = script(
        """
file = os.open('out.txt', os.O_WRONLY | os.O_CREAT)
os.dup2(file, 1)
with terminal.drawn('mine', 'a.log', logger):
    print('for the file', flush=True)
"""
    )
    session.wait()
    assert (tmp_path / 'out.txt').read_text() == 'for the file\n'


def test_no_colour_where_none_is_wanted(script):
    for env, coloured in (({}, True), ({'NO_COLOR': '1'}, False)):
        session = script(WAITING, **env)
        assert session.until(lambda lines: any('train' in x for x in lines))
        used = {style for row in session.screen.rows for _, style in row}
        assert (used != {''}) is coloured


def test_without_a_screen_all_is_as_ever(capsys):
    logger = logging.getLogger('segal.test')
    assert not terminal.is_drawn()
    with terminal.progress(3, 'query', disable=True) as bar:
        bar.update()
    with terminal.progress(3, 'query') as bar:
        bar.update()
    terminal.show([], 0, 1)
    terminal.notice('a')
    terminal.finish('b')
    logger.info('c')
    out, err = capsys.readouterr()
    assert (out, err.count('query')) == ('', 1)


def test_a_hushed_process_leaves_its_message(tmp_path):
    path = tmp_path / 'error.json'
    code = (
        'from segal import terminal\n'
        f"terminal.hush('{tmp_path}/a.log')\n"
        "terminal.leave_message('mend it')"
    )
    env = {**os.environ, 'TORCHELASTIC_ERROR_FILE': str(path)}
    subprocess.run([sys.executable, '-c', code], cwd=ROOT, env=env, check=True)
    assert '"message": "mend it"' in path.read_text()


def test_the_emulator():
    screen = Terminal(6, 3)
    screen.feed('abcdefgh\r\nij\x1b[1')
    screen.feed('Axy\x1b[K\r\n\x1b[1mz\x1b[0m\r\n\r\nend')
    assert screen.lines == ['zj', '', 'end']
    assert screen.everything == ['abcdef', 'ghxy', 'zj', '', 'end']
    with pytest.raises(AssertionError, match='unknown code'):
        screen.feed('\x1b[5;5H')
