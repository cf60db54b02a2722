import numpy as np
import pytest

from segal.annotation.queue import LEASE_SECONDS, Queue, order_of
from segal.annotation.request import Request
from segal.annotation.state import Event, State

from .served import request_of


class House:
    """A queue, its state and its clock."""

    def __init__(self, items=6):
        self.now = 0.0
        self.state = State(items)
        self.queue = Queue(np.arange(items), self.state, lambda: self.now)

    def do(self, item, what='void', who='ada'):
        n = self.state.events + 1
        event = Event(n, item, self.state.rev(item) + 1, who, what,
                      client=str(n))  # fmt: skip
        assert self.state.problem(event) is None
        self.state.apply(event)
        self.queue.update(item)


@pytest.fixture
def house():
    return House()


@pytest.fixture(scope='module')
def request_file(tmp_path_factory):
    path = tmp_path_factory.mktemp('request') / 'round_000.request.npz'
    path.write_bytes(request_of('pixel', each=40))
    return Request.read(path)


def test_items_come_in_order_and_answered_ones_do_not(house):
    assert house.queue.next('ada', 'a', 3) == [0, 1, 2]
    house.do(1)
    assert house.queue.next('ada', 'a', 3) == [0, 2, 3]


def test_two_people_and_two_tabs_get_other_items(house):
    assert house.queue.next('ada', 'a', 2) == [0, 1]
    assert house.queue.next('bob', 'b', 2) == [2, 3]
    assert house.queue.next('ada', 'c', 8) == [4, 5]


def test_an_item_is_free_again_after_ten_minutes(house):
    house.queue.next('ada', 'a', 6)
    house.now = LEASE_SECONDS - 1
    assert house.queue.next('bob', 'b', 2) == []
    house.now = LEASE_SECONDS
    assert house.queue.next('bob', 'b', 2) == [0, 1]
    assert LEASE_SECONDS == 600


def test_a_lease_is_renewed_when_its_tab_asks_again(house):
    house.queue.next('ada', 'a', 6)
    house.now = 500
    house.queue.next('ada', 'a', 6)
    house.now = 700
    assert house.queue.next('bob', 'b', 2) == []


def test_an_answer_releases_and_an_undone_item_stays_with_its_person(house):
    house.queue.next('ada', 'a', 1)
    house.do(0)
    house.do(0, 'undo')
    house.queue.lease(0, 'ada')
    assert house.queue.next('bob', 'b', 1) == [1]
    assert house.queue.next('ada', 'new tab', 1) == [0]


def test_a_person_gets_items_of_a_closed_tab_where_no_others_are_left(house):
    house.queue.next('ada', 'closed', 6)
    assert house.queue.next('bob', 'b', 2) == []
    assert house.queue.next('ada', 'new', 2) == [0, 1]


def test_skipped_items_come_last_the_longest_ago_first(house):
    house.do(3, 'skip')
    house.do(0, 'skip')
    assert house.queue.next('ada', 'a', 6) == [1, 2, 4, 5, 3, 0]
    assert house.queue.skipped == 2
    house.do(3, 'skip')
    assert house.queue.next('ada', 'a', 6) == [1, 2, 4, 5, 0, 3]
    house.do(0)
    assert house.queue.skipped == 1
    house.do(0, 'undo')
    assert house.queue.next('ada', 'a', 6) == [0, 1, 2, 4, 5, 3]


def test_a_queue_over_an_old_journal_is_that_of_a_new_one(house):
    for item, what in ((0, 'void'), (1, 'skip'), (2, 'void'), (2, 'undo')):
        house.do(item, what)
    again = Queue(np.arange(6), house.state, lambda: 0.0)
    assert again.next('ada', 'a', 6) == house.queue.next('ada', 'a', 6)
    assert again.skipped == house.queue.skipped == 1


def test_later_items_are_those_on_no_screen(house):
    house.queue.next('ada', 'a', 2)
    assert house.queue.later(3) == [2, 3, 4]


def test_image_order_is_the_order_of_the_request(request_file):
    assert order_of(request_file).tolist() == list(range(120))


def test_score_order_begins_with_the_highest(request_file):
    order = order_of(request_file, 'score')
    scores = [request_file[int(item)].score for item in order]
    assert scores == sorted(scores, reverse=True)
    assert sorted(order) == list(range(120))


def test_shuffled_order_is_drawn_from_seed_and_round(request_file):
    order = order_of(request_file, 'shuffled', 1)
    assert sorted(order) == list(range(120))
    assert order.tolist() != list(range(120))
    assert (order == order_of(request_file, 'shuffled', 1)).all()
    assert (order != order_of(request_file, 'shuffled', 2)).any()
    request_file.round = 1
    assert (order != order_of(request_file, 'shuffled', 1)).any()
    request_file.round = 0
