"""Many answers at once: all of them are written, or none."""

import os
import signal
import subprocess
import sys

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from segal.annotation import journal as module
from segal.annotation.answers import Answer, Closed, Conflict
from segal.annotation.folder import AnnotationFolder
from segal.annotation.journal import read_journal
from segal.errors import StateError
from tests.annotation.test_journal import CLASSES, ITEMS, MASK, frozen


@pytest.fixture
def folder(tmp_path):
    folder = AnnotationFolder(tmp_path)
    folder.freeze(2, frozen())
    return folder


def opened(folder):
    return folder.journal(folder.request(2), CLASSES)


def answer(item, cls=1, who='ada', rev=0, client=None):
    client = client or f'{who}-{item}-{cls}'
    return Answer(item, rev, who, 'class', cls, None, 900, client)


def without_time(state):
    return [x._replace(at='') for x in state.clients.values()]


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    whats=st.lists(
        st.sampled_from(['class', 'mask', 'void', 'cant_tell', 'skip']),
        min_size=ITEMS,
        max_size=ITEMS,
    ),
    first=st.integers(0, ITEMS),
)
def test_it_comes_to_what_single_answers_come_to(folder, whats, first):
    answers = [
        Answer(
            item,
            0,
            'ada',
            what,
            item % CLASSES if what == 'class' else None,
            MASK if what == 'mask' else None,
            100 * item,
            f'client-{item}',
        )
        for item, what in enumerate(whats)
    ]
    path = folder.file(2, 'jsonl')
    path.unlink(missing_ok=True)
    journal = opened(folder)
    for one in answers:
        fields = one._asdict()
        places = [fields.pop(x) for x in ('item', 'rev', 'who', 'what')]
        journal.append(*places, **fields)
    journal.close()
    wanted = without_time(journal.state)
    path.unlink()
    journal = opened(folder)
    journal.extend(answers[:first])
    journal.extend(answers)
    journal.close()
    assert without_time(journal.state) == wanted
    state, _ = read_journal(path, folder.request(2), CLASSES)
    assert without_time(state) == wanted
    assert state.answered == sum(x != 'skip' for x in whats)


def test_answers_go_on_after_it(folder):
    journal = opened(folder)
    journal.append(3, 0, 'bob', 'class', cls=0, client='before')
    journal.extend([answer(0), answer(1)])
    journal.append(2, 0, 'ada', 'void', client='after')
    journal.close()
    state = folder.state(folder.request(2), CLASSES)
    assert state.answered == 4
    assert [x.n for x in state.clients.values()] == [1, 2, 3, 4]


@pytest.mark.parametrize(
    ('wrong', 'error'),
    [
        (answer(1, client='ada-0-1'), ValueError),
        (answer(9), ValueError),
        (answer(1, cls=7), ValueError),
        (answer(0, cls=2, who='bob', rev=1), Conflict),
        (answer(1, rev=1), Conflict),
    ],
)
def test_one_wrong_answer_and_none_is_written(folder, wrong, error):
    journal = opened(folder)
    before = journal.path.read_bytes()
    with pytest.raises(error):
        journal.extend([answer(0), answer(2), wrong, answer(3)])
    assert journal.path.read_bytes() == before
    assert journal.state.answered == 0
    journal.extend([answer(0), answer(2)])
    assert journal.state.answered == 2


def test_twice_is_once_also_when_no_answers_are_taken_any_more(folder):
    journal = opened(folder)
    first = journal.extend([answer(0), answer(1)])
    folder.close(2, 'ada')
    before = journal.path.read_bytes()
    assert journal.extend([answer(0), answer(1)]) == first
    with pytest.raises(Closed):
        journal.extend([answer(0), answer(2)])
    assert journal.path.read_bytes() == before
    assert journal.state.answered == 2


def test_a_full_disk_leaves_what_was_there(folder, monkeypatch):
    journal = opened(folder)
    journal.append(3, 0, 'bob', 'class', cls=0, client='before')
    before = journal.path.read_bytes()

    def full(path, data):
        raise StateError('no room')

    with monkeypatch.context() as patch:
        patch.setattr(module, 'replace_file', full)
        with pytest.raises(StateError, match='no room'):
            journal.extend([answer(0), answer(1)])
    assert journal.path.read_bytes() == before
    journal.append(0, 0, 'ada', 'void', client='later')
    journal.close()
    assert folder.state(folder.request(2), CLASSES).answered == 2


KILLED = """
import os, signal, sys
from pathlib import Path
import segal.files as files
from tests.annotation.test_extend import AnnotationFolder, answer, opened
moment, replace = sys.argv[2], os.replace
journal = opened(AnnotationFolder(Path(sys.argv[1])))
def kill():
    os.kill(os.getpid(), signal.SIGKILL)
def torn(number):
    os.truncate(number, os.fstat(number).st_size // 2)
    kill()
def killed(a, b):
    if moment == 'after':
        replace(a, b)
    kill()
if moment == 'torn':
    files.os.fsync = torn
files.os.replace = killed
journal.extend([answer(0), answer(1)])
"""


@pytest.mark.parametrize(
    ('moment', 'answered'),
    [
        ('torn', 1),
        pytest.param('before', 1, marks=pytest.mark.slow),
        pytest.param('after', 3, marks=pytest.mark.slow),
    ],
)
def test_a_kill_leaves_all_or_nothing(folder, tmp_path, moment, answered):
    journal = opened(folder)
    journal.append(3, 0, 'bob', 'class', cls=0, client='before')
    journal.close()
    ended = subprocess.run(
        [sys.executable, '-c', KILLED, str(tmp_path), moment],
        env={**os.environ, 'PYTHONPATH': '.'},
    )
    assert ended.returncode == -signal.SIGKILL
    journal = opened(folder)
    assert journal.cut == ''
    assert journal.state.answered == answered
    journal.extend([answer(0), answer(1)])
    journal.close()
    assert folder.state(folder.request(2), CLASSES).answered == 3
