"""Several people and a reviewer at the page, each in an own browser."""

import numpy as np
import pytest

from segal.annotation import predictions, server
from segal.annotation.folder import AnnotationFolder
from segal.annotation.votes import disputes, is_complete
from tests.annotation.browsing import PATCHES
from tests.annotation.served import CLASSES, ask
from tests.annotation.test_page_looks import faults

LETTERS = '#votes-list > *'


@pytest.fixture
def serving(tmp_path):
    """Serve a request under some options."""
    servers = []

    def serve(
        unit='pixel', people=('ada', 'bob', 'cyd'), reviewers=(), **more
    ):
        options = {
            k: more.pop(k) for k in ('each', 'answer', 'count') if k in more
        }
        probs = more.pop('probs', None)
        request = ask(tmp_path, unit, **options)
        folder = AnnotationFolder(tmp_path)
        folder.write_options(**more)
        predictions.write(folder, 0, request.sha256, probs)
        served = server.serve(
            tmp_path, port=0, annotators=people, reviewers=reviewers
        )
        servers.append(served)
        return served, folder, request

    yield serve
    for one in servers:
        one.stop()


def read(folder, request):
    return folder.state(request, len(CLASSES))


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_three_people_disagree_and_a_reviewer_decides(visit, serving):
    served, folder, request = serving(
        each=2, reviewers=['rex'], votes=2, order='shuffled'
    )
    people = {who: visit(served.urls[who]) for who in ('ada', 'bob', 'cyd')}
    rex = visit(served.urls['rex'])
    assert rex.state == 'waiting'
    assert 'Nothing to decide now' in rex.text('#rest-title')
    seen = {who: [] for who in people}
    while any(person.state == 'asking' for person in people.values()):
        for who, person in people.items():
            if person.state == 'asking':
                assert person.page.locator('#votes').is_hidden()
                seen[who].append(person.item)
                # cyd sees trees where others see roads
                person.press('2' if who == 'cyd' else '1')
            person.wait_until_sent()
            person.look()
    state = read(folder, request)
    assert state.is_complete
    for item in range(len(request)):
        who = {event.who for event in state.answers(item)}
        assert len(who) == 2
        assert who == {name for name, items in seen.items() if item in items}
    tied = disputes(folder, request, state)
    assert tied == [x for x in range(6) if x in seen['cyd']] != []
    assert not is_complete(folder, request, state)
    for person in people.values():
        assert person.state == 'waiting'
        person.look()
    rex.look()
    rex.wait_for(state='asking')
    decided = []
    while rex.state == 'asking':
        rex.page.wait_for_selector('body:not([data-item=""])')
        decided.append(rex.item)
        assert decided[1:] or not faults(rex)
        letters = rex.page.locator(LETTERS).all_inner_texts()
        said = sorted(one.split()[-1] for one in letters)
        assert said == ['road', 'tree']
        assert sorted(one[0] for one in letters) == ['A', 'B']
        whole = rex.page.content()
        assert not any(name in whole for name in people)
        rex.press('3')
        rex.wait_until_sent()
        rex.look()
    assert sorted(decided) == tied
    rex.press('Backspace')
    rex.wait_for(state='asking')
    assert rex.item == decided[-1]
    rex.press('x')
    rex.wait_until_sent()
    state = read(folder, request)
    assert is_complete(folder, request, state)
    reviews = [state.standing(item, role='review') for item in decided]
    assert [x.what for x in reviews[:-1]] == ['class'] * (len(decided) - 1)
    assert reviews[-1].what == 'cant_tell'
    for person in (*people.values(), rex):
        person.look()
        person.wait_for(state='complete')
        assert not person.problems


@pytest.mark.slow
def test_two_people_answer_the_same_item_at_once_and_undo(visit, serving):
    served, folder, request = serving(
        each=1, people=('ada', 'bob'), votes=2, order='image'
    )
    ada, bob = visit(served.urls['ada']), visit(served.urls['bob'])
    assert ada.item == bob.item
    ada.press('1')
    bob.press('2')  # bob's revision is not moved by ada
    ada.press('1', 'Backspace', 'Backspace')
    bob.wait_until_sent()
    ada.wait_until_sent()
    state = read(folder, request)
    assert state.given == 1
    assert ada.page.locator('.toast').count() == 0
    assert bob.page.locator('.toast').count() == 0
    ada.press('3', '3', '3')
    assert ada.state == 'waiting'
    assert 'all that is asked of you' in ada.text('#rest-title')
    while bob.state == 'asking':
        bob.press('3')
    bob.wait_until_sent()
    ada.look()
    ada.wait_for(state='complete')
    assert read(folder, request).is_complete
    assert not ada.problems + bob.problems


@pytest.mark.slow
def test_a_reviewer_goes_on_from_what_one_painted(visit, serving):
    served, folder, request = serving(
        'region',
        each=1,
        count=1,
        answer='all',
        people=('ada', 'bob'),
        reviewers=['rex'],
        votes=2,
    )
    for who, key in (('ada', '1'), ('bob', '2')):
        person = visit(served.urls[who])
        person.page.wait_for_selector(PATCHES)
        # nothing of what the other one painted is there
        assert person.text('#share-text').startswith('0 %')
        person.page.keyboard.press(key)
        person.page.keyboard.press('f')
        person.press('Enter')
        person.wait_until_sent()
        assert not person.problems
    rex = visit(served.urls['rex'])
    rex.page.wait_for_selector(PATCHES)
    assert not faults(rex)
    buttons = rex.page.locator(LETTERS)
    assert buttons.all_inner_texts() == ['A painted', 'B painted']
    found = []
    for place in range(2):
        buttons.nth(place).click()
        rex.page.wait_for_selector('#share-text:has-text("100 %")')
        found.append(rex.text('.class:has(.share:not(:empty)) .name'))
    assert sorted(found) == ['road', 'tree']
    rex.page.keyboard.press('z')  # what was there before is not lost
    assert rex.text('.class:has(.share:not(:empty)) .name') == found[0]
    rex.press('Enter')
    rex.wait_until_sent()
    state = read(folder, request)
    review = state.standing(0, role='review')
    votes = {CLASSES[1 - (x.who == 'ada')]: x.mask for x in state.answers(0)}
    assert review.mask == votes[found[0]]
    assert not rex.problems


PROBS = np.tile(np.float32([0.2, 0.7, 0.1]), (6, 1))


@pytest.mark.slow
@pytest.mark.parametrize('suggest', ['order', 'prefill'])
def test_likely_classes_are_suggested_and_noted(visit, serving, suggest):
    served, folder, request = serving(
        each=2,
        people=['ada'],
        suggest=suggest,
        suggest_share=0.5,
        probs=PROBS,
        seed=1,
    )
    ada = visit(served.urls['ada'])
    shown, hidden = set(), None
    while ada.state == 'asking':
        item = ada.item
        marks = ada.page.locator('.class[data-likely]').count()
        assert marks in (0, 3)
        if marks:
            if not shown:
                assert not faults(ada)
            shown.add(item)
            first = ada.page.locator('[data-likely="1"] .name')
            assert first.inner_text() == 'tree'
        ready = ada.page.locator('#accept').is_visible()
        assert ready == bool(marks and suggest == 'prefill')
        if marks and len(shown) == 2 and hidden is None:
            hidden = item
            ada.page.keyboard.press('h')
            assert not ada.page.locator('.class[data-likely]').count()
            assert ada.page.locator('#accept').is_hidden()
            ada.page.keyboard.press('h')
        ada.press('Enter' if ready else '1')
    ada.wait_until_sent()
    state = read(folder, request)
    hints = [state.standing(item).hint for item in range(6)]
    assert [item for item in range(6) if hints[item] == 1] == sorted(shown)
    assert 0 < len(shown) < 6
    said = {state.standing(item).cls for item in shown}
    assert said == {1 if suggest == 'prefill' else 0}
    assert not ada.problems


@pytest.mark.slow
def test_hidden_hints_are_not_noted(visit, serving):
    served, folder, request = serving(
        each=1, people=['ada'], suggest='prefill', probs=PROBS[:3]
    )
    ada = visit(served.urls['ada'])
    ada.press('Enter')
    ada.page.keyboard.press('h')
    first = ada.item
    ada.page.keyboard.press('Enter')  # accepts nothing that is not seen
    assert ada.item == first
    ada.press('1', '1')
    ada.wait_until_sent()
    state = read(folder, request)
    # the second was seen for a moment
    assert [state.standing(x).hint for x in range(3)] == [1, 1, None]
    assert not ada.problems
