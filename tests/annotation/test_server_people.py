"""The server for several people: shares, hidden answers, review."""

import json

import numpy as np
import pytest

from segal.annotation import predictions
from segal.annotation.folder import AnnotationFolder
from segal.annotation.security import AnnotatorError, Annotators
from segal.annotation.server import create_app

from .served import Page, ask, png_of

PEOPLE = ('ada', 'bob', 'cyd')


def open_pages(tmp_path, unit='pixel', reviewers=('rex',), **more):
    """Freeze a round; return the pages of three people and a reviewer."""
    options = {k: more.pop(k) for k in ('each', 'answer') if k in more}
    probs = more.pop('probs', None)
    request = ask(tmp_path, unit, **options)
    folder = AnnotationFolder(tmp_path)
    folder.write_options(**more)
    predictions.write(folder, 0, request.sha256, probs)
    people = Annotators(folder.path / 'annotators.json')
    tokens = people.issue(PEOPLE, reviewers)
    app = create_app(tmp_path, people)
    pages = [Page(app, token) for token in tokens.values()]
    for page in pages:
        page.asked = request.sha256
    return pages


def tie(ada, bob, item, **said):
    ada.answer(item, **said)
    bob.answer(item, **{'class': 2})


def test_people_share_the_items_and_do_not_disturb_each_other(tmp_path):
    ada, bob, cyd, _ = open_pages(tmp_path, votes=2)
    for page in (ada, bob, cyd):
        progress = page.json('/api/progress')
        assert (progress['total'], progress['answered']) == (24, 0)
        assert progress['yours'] == 12
    assert ada.answer(0)['answered'] == 1
    assert bob.answer(0)['rev'] == 1
    reply = cyd.answer(0, 409)
    assert reply['full'] is True
    assert reply['standing'] is None
    assert 'ada' not in json.dumps(reply)
    assert ada.answer(0, 409)['standing'] == {
        'what': 'class', 'class': 1, 'who': 'ada',
    }  # fmt: skip
    assert cyd.json('/api/progress')['yours'] == 11
    assert 0 not in cyd.items(12)
    assert ada.undo()['item']['rev'] == 2
    assert cyd.answer(0)['answered'] == 2


def test_too_few_people_are_told_of(tmp_path, caplog):
    open_pages(tmp_path, votes=4)
    assert 'wants 4 answers to an item' in caplog.text
    assert 'only 3 may answer' in caplog.text


def test_a_second_persons_answer_is_not_told_either_where_one_is_wanted(
    tmp_path,
):
    ada, bob, *_ = open_pages(tmp_path)
    ada.answer(0)
    assert bob.answer(0, 409)['standing'] == {
        'what': None, 'class': None, 'who': 'ada',
    }  # fmt: skip


def test_a_page_of_one_person_does_not_answer_as_another(tmp_path):
    """As where two links were opened in one browser: the last signs in."""
    ada, *_ = open_pages(tmp_path, votes=2)
    ada.answer(0, 401, annotator='bob')
    assert ada.answer(0, annotator='ada')['rev'] == 1
    undo = dict(request=ada.asked, client='an-undo-of-a-page')
    ada.say('/api/undo', 401, annotator='bob', **undo)
    assert ada.json('/api/progress')['mine'] == 1
    assert ada.say('/api/undo', annotator='ada', **undo)['item']['item'] == 0


def test_masks_of_others_are_hidden_and_shown_to_a_reviewer(tmp_path):
    ada, bob, cyd, rex = open_pages(tmp_path, 'region', votes=2, answer='all')
    for cls, page in ((0, ada), (1, bob)):
        png = png_of(np.full((8, 8), cls, np.uint8))
        digest = page.put_mask(0, png)['mask']
        page.answer(0, what='mask', mask=digest)
        query = dict(request=page.asked)
        assert page.get('/api/items/0/mask', params=query).status_code == 200
        page.json('/api/items/0/votes/A', 403, **query)
    cyd.json('/api/items/0/mask', 404, **query)
    rex.json('/api/items/0/mask', 404, **query)
    for letter in 'AB':
        found = rex.get(f'/api/items/0/votes/{letter}', params=query)
        assert found.status_code == 200
    rex.json('/api/items/0/votes/C', 404, **query)
    rex.json('/api/items/0/votes/..%2f', 404, **query)


def test_a_reviewer_decides_and_does_not_vote(tmp_path):
    ada, bob, _, rex = open_pages(tmp_path, votes=2)
    assert rex.json('/api/session')['role'] == 'reviewer'
    assert 'role' not in ada.json('/api/session')
    ada.json('/api/review', 403, n=8, tab='tab')
    assert rex.json('/api/review', n=8, tab='tab')['items'] == []
    rex.answer(0, 409)  # nothing is to be decided there
    tie(ada, bob, 0)
    (item,) = rex.json('/api/review', n=8, tab='tab')['items']
    assert item['item'] == item['rev'] == 0
    votes = {vote['letter']: vote for vote in item['votes']}
    assert sorted(votes) == ['A', 'B']
    assert {vote['class'] for vote in votes.values()} == {1, 2}
    assert not any(name in json.dumps(item) for name in PEOPLE)
    assert rex.answer(0, **{'class': 0}) == dict(rev=1, answered=1)
    rex.answer(0, 409, **{'class': 1})
    progress = rex.json('/api/progress')
    assert (progress['total'], progress['answered']) == (1, 1)
    assert ada.json('/api/progress')['answered'] == 2
    assert rex.undo()['item']['votes'] == item['votes']
    folder = AnnotationFolder(tmp_path)
    state = folder.state(folder.request(0), 3)
    assert [event.role for event in state.clients.values()] == [
        'vote', 'vote', 'review', 'review',
    ]  # fmt: skip


def test_letters_do_not_tell_people_apart(tmp_path):
    ada, bob, _, rex = open_pages(tmp_path, votes=2)
    for item in range(12):
        tie(ada, bob, item)
    items = rex.json('/api/review', n=12, tab='tab')['items']
    first = [item['votes'][0]['class'] for item in items]
    assert set(first) == {1, 2}


def test_a_round_waits_for_its_reviewer(tmp_path):
    ada, bob, _, rex = open_pages(tmp_path, 'image', votes=2)
    for item in range(3):
        tie(ada, bob, item)
    assert ada.next()['open'] == 3
    for item in range(3):
        rex.answer(item)
    assert ada.next()['open'] == 0


def test_an_own_answer_asked_again_shows_nothing_of_the_first(tmp_path):
    ada, *_ = open_pages(tmp_path, votes=2, each=40, seed=1)
    app_round = ada.app.state.desk.asked
    view = app_round.queue.view('ada')
    assert view.repeats.any()
    item = int(np.flatnonzero(view.repeats)[0])
    ada.answer(item)
    others = [x for x in range(120) if x != item and not view.repeats[x]]
    for other in others[:20]:
        ada.answer(other)
    again = ada.next()['items'][0]
    assert again['item'] == item
    assert again['anew'] is True
    assert again['rev'] == 1
    before = ada.json('/api/progress')
    ada.answer(item, rev=1, **{'class': 0})
    after = ada.json('/api/progress')
    assert (before['answered'], before['mine']) == (21, 21)
    assert (after['answered'], after['mine']) == (21, 21)
    assert ada.undo()['item']['anew'] is True
    ada.answer(item, 409, rev=1)


PROBS = np.tile(np.float32([0.02, 0.9, 0.08]), (12, 1))


def test_suggestions_are_shown_and_noted_where_they_are_drawn(tmp_path):
    ada, *_ = open_pages(
        tmp_path, suggest='order', suggest_share=0.5, probs=PROBS, seed=2
    )
    assert ada.json('/api/session')['suggest'] == 'order'
    items = ada.next(12)['items']
    hints = {one['item']: one.get('hint') for one in items}
    assert set(map(str, hints.values())) == {'[1, 2]', 'None'}
    shown = next(item for item, hint in hints.items() if hint)
    plain = next(item for item, hint in hints.items() if not hint)
    ada.answer(shown, hint=1)
    ada.answer(plain, 422, hint=1)
    ada.answer(plain)
    folder = AnnotationFolder(tmp_path)
    state = folder.state(folder.request(0), 3)
    assert state.standing(shown).hint == 1
    assert state.standing(plain).hint is None


def test_a_reviewer_is_none_of_those_who_answer(tmp_path):
    path = tmp_path / 'annotators.json'
    people = Annotators(path)
    with pytest.raises(AnnotatorError, match='sees what others said'):
        people.issue(['ada', 'rex'], ['rex'])
    people.issue(['ada'], ['rex'])
    again = Annotators(path)
    again.issue(['ada', 'rex'])  # rex has another role now
    assert set(json.loads(path.read_text())) == {'ada', 'rex'}
    assert AnnotationFolder(tmp_path).people() == {}


def test_a_reviewer_who_is_not_named_again_is_missed(tmp_path, caplog):
    """What waited for a decision is refused else, and never asked again."""
    people = Annotators(tmp_path / 'annotators.json')
    people.issue(PEOPLE, ['rex'])
    people.issue(PEOPLE, ['max'])
    assert not caplog.text
    people.issue(PEOPLE)
    assert '--reviewer max' in caplog.text
