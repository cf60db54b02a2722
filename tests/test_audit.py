"""A thousand random schedules beside a reference store, and the audit.

The query step is real, with real selectors, a real label store, and an oracle
that refuses some requests. A reference store keeps the same requests as sets
of plain numbers. Then faults are injected, which the audit must refuse.
"""

import functools
import shutil
from collections import Counter

import numpy as np
import pytest

from segal.active.active_loop import ActiveLearningLoop
from segal.active.label_store.audit import check_same_labels
from segal.active.label_store.store import LabelStore
from segal.structures import (
    VOID,
    Budget,
    ImageAnswers,
    PixelAnswers,
    PoolImage,
)
from tests.reference_store import (
    CLASSES,
    BarePool,
    Levels,
    Person,
    ReferenceStore,
    make_selector,
    random_schedule,
)

SCHEDULES = 1000
CHUNK = 125


def run_schedule(seed, folder):
    """One schedule from its first round to its end, then from disk again."""
    case = random_schedule(seed)
    store = LabelStore(folder, case.images, 'audit')
    loop = ActiveLearningLoop(
        BarePool(case.images), store, case.oracle, seed, workers=0
    )
    reference = ReferenceStore(case.truth, case.oracle.void)
    seen = Counter(schedules=1)
    for number, way in enumerate(case.ways):
        wanted, each = reference.wanted(way)
        left = sum(len(reference.free(name)) for name in case.truth)
        selection = loop.step(
            case.levels, functools.partial(make_selector, way, seed), None
        )
        assert selection.round == number
        assert len(selection) == wanted
        if each is not None:
            assert {k: len(v) for k, v in selection.places.items()} == each
        shares = reference.enter(selection, case.oracle.refuses)
        counts = store.counts(number)
        assert [counts.labelled, counts.void, counts.refused] == shares
        assert counts.requested == sum(shares)
        reference.compare(store)
        seen['rounds'] += 1
        seen['dry'] += left == 0
        seen['more than left'] += 0 < wanted < way['budget'].amount
        seen['refusals'] += shares[2] > 0
        seen['void'] += shares[1] > 0
        seen['whole, partly asked before'] += (
            selection.unit == 'image'
            and any(
                (store.history(name).places.size > 0)
                for name in selection.places
            )
        )
    again = LabelStore(folder, case.images, 'audit')
    reference.compare(again)
    assert again.fingerprint() == store.fingerprint()
    for number in range(store.rounds):
        assert again.counts(number) == store.counts(number)
    seen['mixed'] += len({way['type'] for way in case.ways}) > 1
    seen['nothing askable'] += case.oracle.void == 'exclude' and any(
        (x == 255).all() for x in case.truth.values()
    )
    return seen


@pytest.mark.parametrize(
    'first',
    [
        pytest.param(at, marks=pytest.mark.slow) if at else at
        for at in range(0, SCHEDULES, CHUNK)
    ],
)
def test_a_thousand_schedules(first, tmp_path):
    """Requested = labelled + void + refused; all spent, none twice or lost."""
    seen = Counter()
    for seed in range(first, first + CHUNK):
        try:
            seen += run_schedule(seed, tmp_path / 'labels')
        except BaseException as error:
            error.add_note(f'in schedule {seed}')
            raise
        shutil.rmtree(tmp_path / 'labels', ignore_errors=True)
    assert seen.pop('schedules') == CHUNK
    assert set(seen) == {
        'rounds', 'dry', 'more than left', 'refusals', 'void', 'mixed',
        'whole, partly asked before', 'nothing askable',
    }  # fmt: skip
    assert min(seen.values()) >= 10, seen


# What the check at run time says, alone


IMAGES = [PoolImage('a.png', (4, 5)), PoolImage('b.png', (3, 3))]
TRUTH = {
    image.name: np.arange(image.pixels, dtype=np.uint8).reshape(image.size) % 3
    for image in IMAGES
}
EVEN = dict(type='PixelsPerImage', budget=Budget(2, True))


def one_round(folder, refused=0.0):
    """A step that has bought two pixels of each image."""
    oracle = Person(refused, TRUTH.get, IMAGES, CLASSES)
    store = LabelStore(folder, IMAGES, 'audit')
    loop = ActiveLearningLoop(BarePool(IMAGES), store, oracle, 0, workers=0)
    loop.step(Levels(9), functools.partial(make_selector, EVEN, 0), None)
    return loop


def more(selection, loop):
    free = np.flatnonzero(loop.store.available('a.png'))
    spare = np.setdiff1d(free, selection.places['a.png'])[:1]
    change(selection, np.append(selection.places['a.png'], spare))


def less(selection, loop):
    change(selection, selection.places['a.png'][1:])


def again(selection, loop):
    asked = loop.store.selection(0).places['a.png'][:1]
    change(selection, np.append(selection.places['a.png'][:1], asked))


def twice(selection, loop):
    change(selection, np.repeat(selection.places['a.png'][:1], 2))


def outside(selection, loop):
    change(selection, np.append(selection.places['a.png'][:1], 20))


def stranger(selection, loop):
    selection.places['c.png'] = selection.places.pop('a.png')


def other_round(selection, loop):
    object.__setattr__(selection, 'round', 5)


def change(selection, places):
    selection.places['a.png'] = np.sort(places)
    selection.scores['a.png'] = np.zeros(len(places), np.float32)


@pytest.mark.parametrize(
    ('fault', 'said'),
    [
        (more, 'wanted 4 pixels (the budget, 2 of each image, or all that '
               'is free), got 5'),
        (less, ', or all that is free), got 3'),
        (again, "wanted places not asked before, got some of 'a.png'"),
        (twice, "wanted each place once, in order, got one of 'a.png' twice"),
        (outside, "wanted places 0 to 19 of 'a.png', got 20"),
        (stranger, "wanted images of the pool, got 'c.png'"),
        (other_round, 'wanted round 1, got round 5'),
    ],
)  # fmt: skip
def test_a_faulty_selection_is_refused_before_it_is_asked(
    fault, said, tmp_path
):
    loop = one_round(tmp_path)
    before, held = files_of(tmp_path), loop.store.fingerprint()
    asked = []
    loop.oracle.answer = asked.append

    def make(context):
        selector = make_selector(EVEN, 0, context)
        choose = selector.choose

        def faulty(shards):
            selection = choose(shards)
            fault(selection, loop)
            return selection

        selector.choose = faulty
        return selector

    with pytest.raises(RuntimeError) as caught:
        loop.step(Levels(9), make, None)
    text = str(caught.value)
    assert text.startswith('round 1: the audit failed: wanted ')
    assert said in text
    assert text.endswith(
        'nothing was written, and every earlier label is as it was'
    )
    assert asked == []
    assert files_of(tmp_path) == before
    assert loop.store.fingerprint() == held
    loop.oracle.answer = type(loop.oracle).answer.__get__(loop.oracle)
    loop.step(Levels(9), functools.partial(make_selector, EVEN, 0), None)
    assert loop.store.counts().requested == 8  # and it can go on


def files_of(folder):
    return {
        path.name: path.read_bytes()
        for path in folder.rglob('*')
        if path.is_file()
    }


def leave_out(answers):
    answers.images.popitem()


def answer_elsewhere(answers):
    said = answers.images['a.png']
    places = said.places[::-1].copy()
    answers.images['a.png'] = PixelAnswers(places, said.classes, said.status)


def say_nothing(answers):
    answers.images['a.png'].status[0] = 7


def answer_the_whole(answers):
    answers.images['a.png'] = ImageAnswers(TRUTH['a.png'])


@pytest.mark.parametrize(
    ('fault', 'said'),
    [
        (leave_out, 'wanted answers about 2 images, got some about 1'),
        (answer_elsewhere, "wanted 2 answers about 'a.png', got others"),
        (say_nothing, "wanted 2 answers about 'a.png', got 1"),
        (answer_the_whole, "wanted 2 answers about 'a.png', got others"),
    ],
)
def test_faulty_answers_are_not_written(fault, said, tmp_path):
    loop = one_round(tmp_path)
    before, held = files_of(tmp_path), loop.store.fingerprint()
    answer = loop.oracle.answer

    def faulty(selection):
        answers = answer(selection)
        fault(answers)
        return answers

    loop.oracle.answer = faulty
    with pytest.raises(RuntimeError) as caught:
        loop.step(Levels(9), functools.partial(make_selector, EVEN, 0), None)
    assert f'round 1: the audit failed: {said}' in str(caught.value)
    assert 'nothing was written' in str(caught.value)
    assert files_of(tmp_path) == before
    assert loop.store.fingerprint() == held


def lose_a_label(store):
    store._state.status[0] = VOID


def change_a_label(store):
    store._state.classes[0] += 1


def lose_a_request(store):
    state = store._state
    state.offsets[1:] -= 1
    for name in ('places', 'classes', 'status', 'rounds'):
        setattr(state, name, getattr(state, name)[1:])


def change_a_new_label(store):
    new = np.flatnonzero(store._state.rounds == 1)[0]
    store._state.classes[new] ^= 1


def ask_the_whole(store):
    store._state.whole_round[1] = 0


@pytest.mark.parametrize(
    ('fault', 'said'),
    [
        (lose_a_label, 'earlier labels'),
        (change_a_label, 'earlier labels'),
        (lose_a_request, 'free places'),
        (change_a_new_label, 'labels in memory as in their files'),
        (ask_the_whole, 'free places'),
    ],
)
def test_a_store_that_loses_something_is_seen(fault, said, tmp_path):
    loop = one_round(tmp_path)
    before = files_of(tmp_path)
    append = loop.store.append

    def faulty(answers):
        append(answers)
        fault(loop.store)

    loop.store.append = faulty
    with pytest.raises(RuntimeError) as caught:
        loop.step(Levels(9), functools.partial(make_selector, EVEN, 0), None)
    text = str(caught.value)
    assert f'round 1: the audit failed: wanted {said}' in text
    assert text.endswith('those of earlier rounds are as they were')
    assert files_of(tmp_path)['round_000.npz'] == before['round_000.npz']
    again = LabelStore(tmp_path, IMAGES, 'audit')  # all of it is there
    assert again.counts().requested == 8


def test_ranks_that_differ_are_named():
    check_same_labels(['a', 'a', 'a'], 3)
    with pytest.raises(RuntimeError, match=r'on rank 1, 3 than on rank 0'):
        check_same_labels(['a', 'b', 'a', 'c'], 3)


def test_a_fingerprint_is_of_the_first_so_many_rounds(tmp_path):
    loop = one_round(tmp_path, refused=0.3)
    first = loop.store.fingerprint()
    make = functools.partial(make_selector, EVEN, 0)
    loop.step(Levels(9), make, None)
    image = dict(type='WholeImages', budget=Budget(1, False))
    loop.step(Levels(9), functools.partial(make_selector, image, 0), None)
    assert loop.store.fingerprint(1) == first
    prints = {loop.store.fingerprint(rounds) for rounds in range(4)}
    assert len(prints) == 4
    assert loop.store.fingerprint(3) == loop.store.fingerprint()
