"""The journal of answers: replay, torn lines, damage, conflicts."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from segal.active.label_store.file import LabelFile, encode
from segal.annotation.answers import Closed, Conflict
from segal.annotation.folder import AnnotationFolder
from segal.annotation.journal import Journal, read_journal
from segal.annotation.request import Request
from segal.errors import StateError

CLASSES, ITEMS = 3, 4
MASK = 'a' * 64


def frozen(count=ITEMS, number=2):
    """A request of some pixels in two images."""
    first = count // 2
    content = LabelFile(
        round=number,
        unit='pixel',
        images=[('a', 4, 5), ('b', 4, 5)],
        offsets=np.array([0, first, count], np.int32),
        places=np.array(
            [*range(first), *range(3, 3 + count - first)], np.int32
        ),
        classes=np.full(count, 255, np.uint8),
        status=np.full(count, 2, np.uint8),
    )
    return encode(content)


@pytest.fixture
def folder(tmp_path):
    folder = AnnotationFolder(tmp_path)
    folder.freeze(2, frozen())
    return folder


@pytest.fixture
def request_(folder):
    return folder.request(2)


ACTIONS = st.lists(
    st.tuples(
        st.integers(0, ITEMS - 1),
        st.sampled_from(['ada', 'bob']),
        st.sampled_from(
            ['class', 'mask', 'void', 'cant_tell', 'skip', 'undo']
        ),
        st.integers(0, CLASSES - 1),
    ),
    max_size=25,
)


class Model:
    """What a page promises: who answered what, and how undo goes back."""

    def __init__(self):
        self.rev = [0] * ITEMS
        self.answer = [None] * ITEMS
        self.did = {'ada': [], 'bob': []}

    def undoable(self, who):
        steps = [x for x in self.did[who] if self.rev[x[0]] == x[1]]
        return steps[-1] if steps else None

    def act(self, item, who, what, cls):
        """Return the item that the action is about; None: it is refused."""
        if what == 'undo':
            step = self.undoable(who)
            if step is None:
                return None
            self.did[who].remove(step)
            item = step[0]
            self.rev[item] += 1
            self.answer[item] = None
            return item
        if self.answer[item] is not None:
            return None
        self.rev[item] += 1
        self.did[who].append((item, self.rev[item]))
        if what != 'skip':
            self.answer[item] = (what, cls if what == 'class' else None)
        return item


def play(journal, actions):
    """Do some actions, and hold each to the model; return the model."""
    model = Model()
    for number, (item, who, what, cls) in enumerate(actions):
        options = dict(
            cls=cls if what == 'class' else None,
            mask=MASK if what == 'mask' else None,
            client=f'c{number}',
            ms=100,
        )
        if what == 'undo':
            found = journal.state.undoable(who)
            assert found == (model.undoable(who) or [None])[0]
            item = item if found is None else found
        about = model.act(item, who, what, cls)
        rev = journal.state.rev(item)
        if about is None:
            with pytest.raises((Conflict, ValueError)):
                journal.append(item, rev, who, what, **options)
        else:
            assert about == item
            journal.append(item, rev, who, what, **options)
        holds(journal.state, model)
    return model


def holds(state, model):
    for item in range(ITEMS):
        event = state.standing(item)
        assert (event and (event.what, event.cls)) == model.answer[item]
        assert state.rev(item) == model.rev[item]
    assert state.answered == sum(x is not None for x in model.answer)


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(actions=ACTIONS)
def test_replay_is_what_was_done(folder, request_, actions):
    path = folder.file(2, 'jsonl')
    path.unlink(missing_ok=True)
    journal = Journal(path, request_, CLASSES)
    model = play(journal, actions)
    journal.close()
    state, whole = read_journal(path, request_, CLASSES)
    assert whole == path.stat().st_size
    holds(state, model)
    for who in ('ada', 'bob'):
        assert state.undoable(who) == journal.state.undoable(who)
        assert state.seconds(who) == journal.state.seconds(who)


def fill(folder, request_, count=3):
    journal = folder.journal(request_, CLASSES)
    for item in range(count):
        journal.append(item, 0, 'ada', 'class', cls=item % 3, client=f'{item}')
    journal.close()
    return folder.file(2, 'jsonl')


def test_a_journal_torn_at_any_byte_keeps_all_whole_lines(folder, request_):
    path = fill(folder, request_)
    data = path.read_bytes()
    ends = [i for i, byte in enumerate(data) if byte == ord('\n')]
    for size in range(len(data) + 1):
        path.write_bytes(data[:size])
        journal = folder.journal(request_, CLASSES)
        # a line whose end alone is missing is whole
        kept = max(0, sum(size >= end for end in ends) - 1)
        assert journal.state.answered == kept
        assert bool(journal.cut) == (
            size not in (0, len(data))
            and not any(size in (end, end + 1) for end in ends)
        )
        journal.append(3, 0, 'bob', 'void', client='new')
        journal.close()
        again, whole = read_journal(path, request_, CLASSES)
        assert again.answered == kept + 1
        assert whole == path.stat().st_size


def test_a_changed_byte_before_the_end_is_refused(folder, request_):
    path = fill(folder, request_)
    data = path.read_bytes()
    last = data[:-1].rindex(b'\n')
    for at in range(0, last, 7):
        for change in (1, ord('\r') ^ data[at], ord('\n') ^ data[at]):
            if not change:
                continue
            hurt = bytearray(data)
            hurt[at] ^= change
            path.write_bytes(hurt)
            with pytest.raises(StateError, match=r'line \d'):
                read_journal(path, request_, CLASSES)
            assert path.read_bytes() == hurt


def test_a_line_that_is_missing_or_twice_is_refused(folder, request_):
    path = fill(folder, request_)
    lines = path.read_bytes().splitlines(keepends=True)
    for hurt in (
        lines[:1] + lines[2:],
        lines[1:],
        [*lines, lines[-1]],
        [lines[0], lines[2], lines[1], lines[3]],
    ):
        path.write_bytes(b''.join(hurt))
        with pytest.raises(StateError, match='line'):
            read_journal(path, request_, CLASSES)


def test_a_journal_of_another_request_is_refused(folder, request_, tmp_path):
    path = fill(folder, request_)
    other = AnnotationFolder(tmp_path / 'other')
    other.freeze(2, frozen(count=6))
    with pytest.raises(StateError, match='another request'):
        read_journal(path, other.request(2), CLASSES)


def test_a_stale_page_is_told_what_stands(folder, request_):
    journal = folder.journal(request_, CLASSES)
    journal.append(1, 0, 'ada', 'class', cls=2, client='x')
    with pytest.raises(Conflict) as caught:
        journal.append(1, 0, 'bob', 'void', client='y')
    assert caught.value.rev == 1
    assert caught.value.standing.who == 'ada'
    with pytest.raises(Conflict):  # also one that saw the answer
        journal.append(1, 1, 'bob', 'void', client='z')


def test_the_same_client_is_written_once(folder, request_):
    journal = folder.journal(request_, CLASSES)
    first = journal.append(1, 0, 'ada', 'class', cls=2, client='x')
    size = journal.path.stat().st_size
    assert journal.append(1, 0, 'ada', 'class', cls=2, client='x') is first
    assert journal.path.stat().st_size == size
    with pytest.raises(ValueError, match='another answer'):
        journal.append(1, 0, 'ada', 'class', cls=1, client='x')


@pytest.mark.parametrize(
    ('what', 'options'),
    [
        ('class', {}),
        ('class', {'cls': 3}),
        ('class', {'cls': -1}),
        ('void', {'cls': 1}),
        ('mask', {}),
        ('undo', {}),
        ('shout', {}),
    ],
)
def test_nonsense_is_not_written(folder, request_, what, options):
    journal = folder.journal(request_, CLASSES)
    size = journal.path.stat().st_size
    with pytest.raises(ValueError, match=r'\w'):
        journal.append(0, 0, 'ada', what, client='x', **options)
    with pytest.raises(ValueError, match='item 9'):
        journal.append(9, 0, 'ada', 'void', client='y')
    assert journal.path.stat().st_size == size


def test_no_answer_after_closing(folder, request_):
    journal = folder.journal(request_, CLASSES)
    journal.append(0, 0, 'ada', 'void', client='x')
    folder.close(2, 'ada', lambda: False)
    journal.append(1, 0, 'ada', 'void', client='y')
    folder.close(2, 'ada')
    with pytest.raises(Closed):
        journal.append(2, 0, 'ada', 'void', client='z')
    assert journal.append(1, 0, 'ada', 'void', client='y').n == 2
    assert folder.state(request_, CLASSES).answered == 2


def test_a_full_disk_leaves_the_journal_whole(folder, request_, monkeypatch):
    journal = folder.journal(request_, CLASSES)
    journal.append(0, 0, 'ada', 'void', client='x')
    before = journal.path.read_bytes()

    def full(descriptor):
        raise OSError(28, 'No space left on device')

    with monkeypatch.context() as patch:
        patch.setattr('os.fdatasync', full)
        for _ in range(3):  # pages try again, until there is room
            with pytest.raises(StateError, match='make room'):
                journal.append(1, 0, 'ada', 'void', client='y')
            assert journal.path.read_bytes() == before
    assert journal.append(1, 0, 'ada', 'void', client='y').n == 2
    assert folder.state(request_, CLASSES).answered == 2


def test_answers_go_to_no_file_that_is_not_there(folder, request_):
    """As where a copy was restored while a page was served."""
    journal = folder.journal(request_, CLASSES)
    journal.append(0, 0, 'ada', 'void', client='x')
    copy = journal.path.with_suffix('.copy')
    copy.write_bytes(journal.path.read_bytes())
    journal.path.unlink()
    with pytest.raises(StateError, match='start it again'):
        journal.append(1, 0, 'ada', 'void', client='y')
    copy.rename(journal.path)
    with pytest.raises(StateError, match='start it again'):
        journal.append(1, 0, 'ada', 'void', client='y')
    journal = folder.journal(request_, CLASSES)
    assert journal.append(1, 0, 'ada', 'void', client='y').n == 2
    assert folder.state(request_, CLASSES).answered == 2


def test_a_request_is_frozen_once(folder):
    folder.freeze(2, frozen())
    with pytest.raises(StateError, match='a round is asked once'):
        folder.freeze(2, frozen(count=6))


def test_a_damaged_request_is_refused(folder):
    path = folder.file(2, 'request.npz')
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(StateError, match='as it was frozen'):
        folder.request(2)


def test_one_server_a_folder(folder):
    with folder.locked(), pytest.raises(StateError, match='one is at work'):
        folder.locked().__enter__()
    with folder.locked():
        pass


@pytest.mark.parametrize(
    ('what', 'ms', 'hidden', 'wanted'),
    [
        ('void', 1500, 0, 1.5),
        ('void', 90_000, 40_000, 50.0),
        ('void', 900_000, 0, 60.0),  # a break
        ('mask', 900_000, 0, 900.0),
        ('void', 1000, 2000, 0.0),
    ],
)
def test_seconds_leave_breaks_out(folder, request_, what, ms, hidden, wanted):
    journal = folder.journal(request_, CLASSES)
    mask = MASK if what == 'mask' else None
    journal.append(
        0, 0, 'ada', what, mask=mask, ms=ms, hidden_ms=hidden, client='x'
    )
    journal.append(1, 0, 'bob', 'void', client='y')  # nobody measured it
    assert list(journal.state.seconds()) == [wanted]
    assert journal.state.people() == ['ada', 'bob']


def test_items_of_regions_are_whole(tmp_path):
    content = LabelFile(
        round=0,
        unit='pixel',
        images=[('a', 4, 5), ('b', 6, 5)],
        offsets=np.array([0, 5, 8], np.int32),
        places=np.array([0, 1, 7, 8, 9, 5, 10, 11], np.int32),
        classes=np.full(8, 255, np.uint8),
        status=np.full(8, 2, np.uint8),
        regions=np.array([1, 1, 0, 0, 0, 0, 0, 1], np.int32),
        answer='dominant',
    )
    request = Request(content, '')
    found = [
        (x.image, x.places.tolist(), x.box, x.kind, x.answer) for x in request
    ]
    assert found == [
        ('a', [7, 8, 9], (1, 2, 1, 3), 'region', 'class'),
        ('a', [0, 1], (0, 0, 1, 2), 'region', 'class'),
        ('b', [5, 10], (1, 0, 2, 1), 'region', 'class'),
        ('b', [11], (2, 1, 1, 1), 'region', 'class'),
    ]
    with pytest.raises(IndexError):
        request[4]
