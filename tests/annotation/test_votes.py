"""What several answers come to: classes, masks, ties, early closing."""

import numpy as np
import pytest

from segal.annotation.answers import Conflict
from segal.annotation.folder import AnnotationFolder
from segal.annotation.fork import _kept
from segal.annotation.resolve import resolve
from segal.annotation.security import Annotators
from segal.annotation.votes import disputes, is_complete, majority
from segal.errors import StateError
from segal.structures import LABELLED, REFUSED, VOID

from .answering import as_png
from .served import ask

ROAD, TREE, SKY = range(3)


class Desk:
    """A round whose items want several answers."""

    def __init__(self, tmp_path, unit='pixel', votes=2, **options):
        more = {k: options.pop(k) for k in ('each', 'answer') if k in options}
        self.request = ask(tmp_path, unit, **more)
        self.folder = AnnotationFolder(tmp_path)
        self.folder.write_options(votes=votes, **options)
        self.journal = self.folder.journal(self.request, 3)
        self.state = self.journal.state
        self.number = 0

    def say(self, item, said, who, role='vote'):
        """Answer with a class, a mask, or a word."""
        options = dict(what=said)
        if isinstance(said, int):
            options = dict(what='class', cls=said)
        elif isinstance(said, np.ndarray):
            mask = self.folder.write_mask(as_png(said))
            options = dict(what='mask', mask=mask)
        self.number += 1
        rev = self.state.rev(item, who, role)
        self.journal.append(
            item, rev, who, client=f'{self.number}', role=role, **options
        )

    def all_say(self, item, *said):
        for who, one in zip('abcde', said, strict=False):
            self.say(item, one, who)

    @property
    def answers(self):
        return resolve(self.request, self.state, self.folder.read_mask)

    def found(self, item):
        """Return (class, status) of an item of one pixel; None: free."""
        one = self.request[item]
        answer = self.answers.images.get(one.image)
        at = [] if answer is None else answer.places == one.places[0]
        if not np.any(at):
            return None
        return int(answer.classes[at][0]), int(answer.status[at][0])

    @property
    def disputes(self):
        return disputes(self.folder, self.request, self.state)


@pytest.mark.parametrize(
    ('said', 'wanted'),
    [
        ((ROAD, ROAD, TREE), (ROAD, LABELLED)),
        ((TREE, ROAD, TREE), (TREE, LABELLED)),
        (('void', ROAD, 'void'), (255, VOID)),
        (('cant_tell', ROAD, 'cant_tell'), (255, REFUSED)),
        ((ROAD, TREE, SKY), (255, REFUSED)),
        ((ROAD, 'void', 'cant_tell'), (255, REFUSED)),
        ((SKY,), (SKY, LABELLED)),  # and two are missing
        ((SKY, SKY), (SKY, LABELLED)),
        ((SKY, ROAD), None),  # disputed, and one is missing: it stays free
    ],
)
def test_most_answers_win_and_a_tie_is_refused(tmp_path, said, wanted):
    desk = Desk(tmp_path, votes=3)
    desk.all_say(2, *said)
    assert desk.found(2) == wanted
    tied = len(said) == 3 and wanted == (255, REFUSED) and ROAD in said
    assert desk.disputes == [2] * (tied and said.count('cant_tell') < 2)
    assert desk.found(3) is None


def test_a_reviewer_decides(tmp_path):
    desk = Desk(tmp_path)
    desk.all_say(0, ROAD, TREE)
    assert desk.disputes == [0]
    desk.say(0, SKY, 'rex', 'review')
    assert desk.found(0) == (SKY, LABELLED)
    assert desk.disputes == []
    with pytest.raises(Conflict):
        desk.say(1, SKY, 'rex', 'review')


def test_all_that_differs_goes_to_the_reviewer_where_that_is_asked(tmp_path):
    desk = Desk(tmp_path, votes=3, resolve='reviewer')
    desk.all_say(0, ROAD, ROAD, TREE)
    desk.all_say(1, SKY, SKY, SKY)
    assert desk.disputes == [0]
    assert desk.found(0) == (ROAD, LABELLED)


def test_a_second_look_counts_alone_or_as_one_more(tmp_path):
    desk = Desk(tmp_path, votes=1, overlap=0.5)
    alone = desk.state.wanted.index(1)
    both = desk.state.wanted.index(2)
    desk.say(alone, ROAD, 'a')
    desk.say(alone, TREE, 'b', 'recheck')
    desk.all_say(both, ROAD, TREE)
    desk.say(both, TREE, 'c', 'recheck')
    assert desk.found(alone) == (TREE, LABELLED)
    assert desk.found(both) == (TREE, LABELLED)
    assert desk.disputes == []


def test_a_repeat_never_counts(tmp_path):
    desk = Desk(tmp_path)
    desk.all_say(0, ROAD, TREE)
    desk.say(0, TREE, 'a', 'repeat')
    assert desk.found(0) == (255, REFUSED)
    desk = Desk(tmp_path / 'one', votes=1)
    desk.say(0, ROAD, 'a')
    desk.say(0, TREE, 'a', 'repeat')
    assert desk.found(0) == (ROAD, LABELLED)


def test_masks_are_decided_pixel_by_pixel(tmp_path):
    desk = Desk(tmp_path, 'region', votes=3, answer='all')
    masks = [np.full((8, 8), one, np.uint8) for one in (ROAD, ROAD, TREE)]
    masks[0][4] = SKY
    masks[1][5] = 255
    masks[2][5] = SKY
    desk.all_say(0, *masks)
    item = desk.request[0]
    answer = desk.answers.images[item.image]
    at = np.isin(answer.places, item.places)
    rows = item.places // item.size[1] - item.box[0]
    wanted = np.full(63, ROAD)
    wanted[(rows == 4) | (rows == 5)] = 255  # three ways each
    assert answer.classes[at].tolist() == wanted.tolist()
    assert (
        answer.status[at] == np.where(wanted == 255, REFUSED, LABELLED)
    ).all()
    assert desk.disputes == [0]  # more than a twentieth


def test_a_few_pixels_that_are_tied_are_no_dispute(tmp_path):
    desk = Desk(tmp_path, 'image')
    one = np.full(desk.request[0].size, ROAD, np.uint8)
    other = one.copy()
    other[0] = TREE
    desk.all_say(0, one, other)
    desk.all_say(1, one, 'void')
    desk.all_say(2, 'cant_tell', 'cant_tell')
    images = desk.answers.images
    other[0] = 255
    assert np.array_equal(images['0.png'].label_map, other)
    assert images['1.png'].label_map is None  # tied all over
    assert images['2.png'].label_map is None
    assert desk.disputes == [1]


def test_a_round_waits_for_ties_where_a_reviewer_is(tmp_path):
    desk = Desk(tmp_path, each=1)
    for item in range(3):
        assert not is_complete(desk.folder, desk.request, desk.state)
        desk.all_say(item, ROAD, TREE if item == 1 else ROAD)
    assert is_complete(desk.folder, desk.request, desk.state)
    people = desk.folder.path / 'annotators.json'
    people.write_text('{"a": [], "rex": {"role": "reviewer", "tokens": []}}')
    assert not is_complete(desk.folder, desk.request, desk.state)
    desk.say(1, ROAD, 'rex', 'review')
    assert is_complete(desk.folder, desk.request, desk.state)


def test_majority_of_masks_worked_by_hand():
    votes = [[0, 0, 1, 2, -1], [0, 1, 1, 1, -1], [1, 2, 1, 2, 0]]
    labels, tie = majority([np.array(one, np.int16) for one in votes])
    assert labels[~tie].tolist() == [0, 1, 2, -1]
    assert tie.tolist() == [False, True, False, False, False]


def test_a_fork_asks_an_item_anew_of_all_who_answered_it(tmp_path):
    desk = Desk(tmp_path)
    desk.all_say(0, ROAD, TREE)
    desk.say(0, SKY, 'rex', 'review')
    desk.all_say(1, TREE, TREE)
    desk.say(1, TREE, 'a', 'repeat')
    desk.all_say(2, SKY, SKY)
    names = ['road', 'tree', 'sky']
    kept = _kept(desk.request, desk.state, names, ['road', '2'], [])
    assert [(x.item, x.who, x.role) for x in kept] == [
        (1, 'a', 'vote'),
        (1, 'b', 'vote'),
        (1, 'a', 'repeat'),
    ]


def test_a_damaged_list_of_people_hides_no_reviewer(tmp_path):
    desk = Desk(tmp_path, each=1)
    for item in range(3):
        desk.all_say(item, ROAD, TREE)
    people = Annotators(tmp_path / 'annotation' / 'annotators.json')
    people.issue(['a', 'b'], ['rex'])
    assert not is_complete(desk.folder, desk.request, desk.state)
    people.path.write_bytes(people.path.read_bytes()[:-9])
    with pytest.raises(StateError, match='start the page again'):
        is_complete(desk.folder, desk.request, desk.state)
