"""Several answers an item: replay, conflicts, undo, and who is asked."""

import itertools

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from segal.annotation.answers import Conflict
from segal.annotation.folder import AnnotationFolder
from segal.annotation.journal import Journal, read_journal
from segal.annotation.queue import REPEAT_AFTER, Queue
from segal.annotation.request import Request
from segal.annotation.shares import (
    Options,
    answers_wanted,
    is_repeated,
    is_suggested,
    shares,
)
from segal.annotation.state import ANSWERS, Event, State

from .served import request_of
from .test_journal import CLASSES, frozen

WANTED = [1, 2, 3, 2]
PEOPLE = ['ada', 'bob', 'cyd', 'dan']
ROLES = ['vote', 'vote', 'vote', 'repeat', 'recheck', 'review']


@pytest.fixture
def folder(tmp_path):
    folder = AnnotationFolder(tmp_path)
    folder.freeze(2, frozen())
    return folder


class Model:
    """What is promised, kept as plain lists and found by looking at all."""

    def __init__(self):
        self.slots = {}  # what holds one answer -> its last step
        self.lines = {}  # what has one revision -> how many steps
        self.did = {who: [] for who in PEOPLE}

    def slot(self, item, who, role):
        shared = role in ('recheck', 'review')
        shared |= role == 'vote' and WANTED[item] == 1
        return item, '' if shared else who, role

    def line(self, item, who, role):
        if role == 'review':
            return item, 'review'
        return (item, '') if WANTED[item] == 1 else (item, who)

    def votes(self, item):
        return [
            step
            for (at, _, role), step in self.slots.items()
            if at == item and role == 'vote' and step[2] in ANSWERS
        ]

    def may(self, item, who, role):
        taken = self.slots.get(self.slot(item, who, role))
        if taken and taken[2] in ANSWERS:
            return False
        votes = self.votes(item)
        if role == 'vote':
            return len(votes) < WANTED[item]
        if role == 'repeat':
            return any(step[1] == who for step in votes)
        return len(votes) == WANTED[item]

    def act(self, item, who, role, what, cls):
        """Return the step that is taken; None: it is refused."""
        if what == 'undo':
            own = self.did[who]
            own[:] = [
                x for x in own if self.slots[self.slot(x[0], who, x[3])] is x
            ]
            if not own:
                return None
            item, _, _, role, _ = own.pop()
        elif not self.may(item, who, role):
            return None
        step = (item, who, what, role, cls if what == 'class' else None)
        self.slots[self.slot(item, who, role)] = step
        line = self.line(item, who, role)
        self.lines[line] = self.lines.get(line, 0) + 1
        if what != 'undo':
            self.did[who].append(step)
        return step


ACTIONS = st.lists(
    st.tuples(
        st.integers(0, len(WANTED) - 1),
        st.sampled_from(PEOPLE),
        st.sampled_from(ROLES),
        st.sampled_from(['class', 'void', 'cant_tell', 'skip', 'undo']),
        st.integers(0, CLASSES - 1),
    ),
    max_size=60,
)


def holds(state, model):
    for item in range(len(WANTED)):
        votes = {x[1]: (x[2], x[4]) for x in model.votes(item)}
        found = {x.who: (x.what, x.cls) for x in state.answers(item)}
        assert found == votes
        assert state.is_full(item) == (len(votes) == WANTED[item])
        for who, role in itertools.product(PEOPLE, set(ROLES)):
            rev = model.lines.get(model.line(item, who, role), 0)
            assert state.rev(item, who, role) == rev
            refusal = state.refusal(item, who, role)
            assert (refusal is None) == model.may(item, who, role)
    counts = [len(model.votes(item)) for item in range(len(WANTED))]
    assert state.given == sum(counts)
    assert state.answered == sum(map(int.__eq__, counts, WANTED))


@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(actions=ACTIONS)
def test_replay_is_what_several_people_did(folder, actions):
    path, request = folder.file(2, 'jsonl'), folder.request(2)
    path.unlink(missing_ok=True)
    journal, model = Journal(path, request, CLASSES, wanted=WANTED), Model()
    for number, (item, who, role, what, cls) in enumerate(actions):
        step = model.act(item, who, role, what, cls)
        if what == 'undo':
            undoing = journal.state.undoing(who)
            assert (undoing is None) == (step is None)
            if step is None:
                continue
            item, role = undoing.item, undoing.role
            assert (item, role) == (step[0], step[3])
        options = dict(
            cls=cls if what == 'class' else None,
            client=f'{number}',
            role=role,
        )
        rev = journal.state.rev(item, who, role)
        if step is None:
            with pytest.raises(Conflict):
                journal.append(item, rev, who, what, **options)
            continue
        with pytest.raises(Conflict):  # another tab, or a page left open
            journal.append(item, rev + 1, who, what, **options)
        event = journal.append(item, rev, who, what, **options)
        assert journal.append(item, rev, who, what, **options) is event
        holds(journal.state, model)
    journal.close()
    again, whole = read_journal(path, request, CLASSES, WANTED)
    assert whole == path.stat().st_size
    holds(again, model)
    for who in PEOPLE:
        past, known = again.undoing(who), journal.state.undoing(who)
        assert (past and past.n) == (known and known.n)


def test_people_do_not_disturb_each_other(folder):
    request = folder.request(2)
    path = folder.file(2, 'jsonl')
    journal = Journal(path, request, CLASSES, wanted=[2, 2, 2, 2])
    journal.append(0, 0, 'ada', 'class', cls=1, client='a')
    journal.append(0, 0, 'bob', 'class', cls=2, client='b')  # the same rev
    with pytest.raises(Conflict, match='enough other people') as caught:
        journal.append(0, 0, 'cyd', 'class', cls=2, client='c')
    assert caught.value.is_full
    assert caught.value.standing is None  # nothing of what others said
    with pytest.raises(Conflict) as caught:  # two tabs
        journal.append(0, 0, 'ada', 'void', client='d')
    assert caught.value.standing.cls == 1
    journal.append(0, 1, 'ada', 'undo', client='e')
    assert [x.who for x in journal.state.answers(0)] == ['bob']
    journal.append(0, 0, 'cyd', 'void', client='c')
    with pytest.raises(Conflict, match='enough other people'):
        journal.append(0, 2, 'ada', 'void', client='f')


def test_a_vote_is_written_as_it_always_was(folder):
    request = folder.request(2)
    journal = folder.journal(request, CLASSES)
    journal.append(0, 0, 'ada', 'class', cls=1, client='a')
    journal.append(0, 1, 'ada', 'void', client='b', role='repeat')
    journal.close()
    lines = folder.file(2, 'jsonl').read_text().splitlines()
    assert '"role"' not in lines[1]
    assert '"role":"repeat"' in lines[2]
    assert lines[1].startswith(
        '{"n":1,"item":0,"rev":1,"who":"ada","what":"class","mask":null,'
        '"ms":null,"hidden_ms":0,"hint":null,"client":"a","at":'
    )


@pytest.fixture(scope='module')
def request_file(tmp_path_factory):
    path = tmp_path_factory.mktemp('request') / 'round_000.request.npz'
    path.write_bytes(request_of('pixel', each=400))
    return Request.read(path)


def test_one_answer_each_is_the_default(request_file):
    assert set(answers_wanted(request_file, Options())) == {1}
    assert not is_repeated(request_file, Options(), 'ada').any()
    assert not is_suggested(request_file, Options()).any()


def test_overlap_draws_its_share(request_file):
    options = Options(overlap=0.25, seed=3)
    wanted = np.array(answers_wanted(request_file, options))
    assert set(wanted) == {1, 2}
    assert abs(np.mean(wanted == 2) - 0.25) < 0.05
    assert wanted.tolist() == answers_wanted(request_file, options)
    other = answers_wanted(request_file, options._replace(seed=4))
    assert wanted.tolist() != other
    repeated = is_repeated(request_file, options, 'ada')
    assert 5 < repeated.sum() < 50
    assert (repeated != is_repeated(request_file, options, 'bob')).any()


@pytest.mark.parametrize('order', ['image', 'shuffled'])
@pytest.mark.parametrize('votes', [1, 2])
def test_every_item_is_shared_out_once_a_vote(request_file, order, votes):
    options = Options(order=order, votes=votes)
    found = shares(request_file, options, PEOPLE)
    assert (found.sum(0) == votes).all()
    turned = shares(request_file, options, PEOPLE[::-1])
    assert (turned[::-1] == found).all()
    if order == 'shuffled':
        even = len(request_file) * votes / len(PEOPLE)
        assert (abs(found.sum(1) - even) < 0.2 * even).all()


@pytest.mark.parametrize('votes', [1, 2])
def test_one_more_person_moves_items_to_that_person_only(request_file, votes):
    options = Options(order='shuffled', votes=votes)
    before = shares(request_file, options, PEOPLE[:3])
    after = shares(request_file, options, PEOPLE)
    assert not (after[:3] & ~before).any()
    assert (before.sum(0) - after[:3].sum(0) == after[3]).all()
    assert after[3].sum() > 0


def test_two_people_are_not_asked_for_three_answers_each(request_file):
    found = shares(request_file, Options(votes=3), ['ada', 'bob'])
    assert found.all()
    assert shares(request_file, Options(), []).shape == (0, 1200)


class House:
    """A queue over items that want two answers, and a clock."""

    def __init__(self, items=6, wanted=2, repeats=(), own=None):
        self.now = 0.0
        self.state = State(items, [wanted] * items)
        self.items = np.arange(items)

        def share(who):
            return np.isin(self.items, own[who] if own else self.items)

        self.make = lambda: Queue(
            self.items,
            self.state,
            lambda: self.now,
            share,
            lambda who: np.isin(self.items, repeats),
        )
        self.queue = self.make()

    def do(self, item, who='ada', what='void', role='vote'):
        n = self.state.events + 1
        rev = self.state.rev(item, who, role) + 1
        event = Event(n, item, rev, who, what, client=str(n), role=role)
        assert self.state.problem(event) is None
        self.state.apply(event)
        self.queue.update(item, event)


def test_two_people_get_the_same_item_and_a_third_does_not():
    house = House()
    assert house.queue.next('ada', 'a', 2) == [0, 1]
    assert house.queue.next('bob', 'b', 2) == [0, 1]
    assert house.queue.next('cyd', 'c', 2) == [2, 3]
    house.do(0, 'ada')
    assert house.queue.next('ada', 'a', 2) == [1, 2]
    assert house.queue.next('dan', 'd', 2) == [3, 4]
    house.do(0, 'bob')
    house.now = 601
    assert house.queue.next('cyd', 'c', 6) == [1, 2, 3, 4, 5]


def test_a_skip_is_a_persons_own():
    house = House()
    house.do(0, 'ada', 'skip')
    assert house.queue.next('ada', 'a', 6) == [1, 2, 3, 4, 5, 0]
    assert house.queue.next('bob', 'b', 6) == [0, 1, 2, 3, 4, 5]


def test_own_items_come_first_then_those_that_others_leave():
    house = House(wanted=1, own=dict(ada=[3, 4, 5], bob=[0, 1, 2]))
    assert house.queue.next('ada', 'a', 4) == [3, 4, 5]
    assert house.queue.next('bob', 'b', 1) == [0]
    for item in (3, 4, 5):
        house.do(item)
    assert house.queue.next('ada', 'a', 8) == [2, 1]  # 0 is on bob's screen
    house.now = 601
    assert house.queue.next('bob', 'b', 4) == [0, 1, 2]
    assert house.queue.shared('bob') == [0, 1, 2]
    assert house.queue.shared('ada') == []


def test_an_answer_is_asked_once_more_later_and_counts_no_more():
    house = House(30, repeats=[1])
    house.do(1)
    for item in range(2, REPEAT_AFTER + 1):
        house.do(item)
        assert 1 not in house.queue.next('ada', 'a', 8)
    house.do(REPEAT_AFTER + 1)
    for queue in (house.queue, house.make()):
        assert queue.next('ada', 'a', 8)[0] == 1
        assert queue.role(1, 'ada') == 'repeat'
        assert queue.role(1, 'bob') == 'vote'
    given = house.state.given
    house.do(1, role='repeat')
    assert house.state.given == given
    assert 1 not in house.queue.next('ada', 'a', 30)


def test_an_answer_is_asked_once_more_when_nothing_else_is_left():
    house = House(3, repeats=[0])
    for item in range(3):
        house.do(item)
    assert house.queue.next('ada', 'a', 8) == [0]
    house.do(0, what='skip', role='repeat')
    assert house.queue.next('ada', 'a', 8) == []


def test_a_second_look_goes_to_another_person_where_there_is_one():
    house = House(2, wanted=1)
    house.do(0)
    house.do(1, 'bob')
    house.state.rechecked = {0, 1}
    house.queue.people = ['ada', 'bob']
    house.queue = house.make()
    house.queue.people = ['ada', 'bob']
    assert house.queue.next('ada', 'a', 8) == [1]
    assert house.queue.next('bob', 'b', 8) == [0]
    assert not house.state.is_complete
    house.do(0, 'bob', role='recheck')
    house.do(1, 'ada', role='recheck')
    assert house.state.is_complete
    alone = house.make()
    alone.people = ['ada']
    assert alone.role(0, 'ada') == 'recheck'
