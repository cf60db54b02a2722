"""The page and the server of people, together."""

import numpy as np
import pytest

from segal.annotation import server
from segal.annotation.folder import AnnotationFolder
from tests.annotation.browsing import PATCHES, WEB
from tests.annotation.served import ask


@pytest.fixture
def serving(tmp_path, monkeypatch):
    """Serve a request of a unit; return the server and what was asked."""
    monkeypatch.setattr(server, 'WEB', WEB)
    servers = []

    def serve(unit, *people, **options):
        request = ask(tmp_path, unit, **options)
        served = server.serve(tmp_path, port=0, annotators=people or ['ada'])
        servers.append(served)
        return served, request

    yield serve
    for one in servers:
        one.stop()


def standing(tmp_path, request):
    folder = AnnotationFolder(tmp_path)
    journal = folder.journal(request, 3)
    state = journal.state
    journal.close()
    return folder, [state.standing(i) for i in range(len(request))]


def test_pixels_of_one_person(visit, serving, tmp_path):
    served, request = serving('pixel')
    person = visit(served.urls['ada'])
    truth = np.arange(len(request)) % 3
    person.press('Space', 'v', 'Backspace')
    while person.state == 'asking':
        person.press('123'[truth[person.item]])
    person.press('Backspace', 'x')
    person.wait_for(state='complete')
    served.stop()
    _, events = standing(tmp_path, request)
    assert events[0].what == 'cant_tell'  # it was skipped, so it came last
    assert [event.cls for event in events[1:]] == truth[1:].tolist()
    assert all(event.ms > 0 for event in events)
    assert not person.problems


@pytest.mark.slow
def test_an_undo_after_that_of_a_skip_is_of_the_answer_before(
    visit, serving, tmp_path
):
    served, request = serving('pixel')
    person = visit(served.urls['ada'])
    person.press('1', '1', 'Space')
    person.wait_until_sent()
    for item in (2, 1):
        person.press('Backspace')
        person.wait_until_sent()
        assert person.item == item
    person.press('3')
    person.wait_until_sent()
    served.stop()
    _, events = standing(tmp_path, request)
    assert [event and event.cls for event in events[:3]] == [0, 2, None]
    assert not person.problems


@pytest.mark.slow
def test_two_persons_share_a_round(visit, serving, tmp_path):
    served, request = serving('pixel', 'ada', 'bob')
    ada, bob = visit(served.urls['ada']), visit(served.urls['bob'])
    seen = {'ada': [], 'bob': []}
    while 'asking' in (ada.state, bob.state):
        for name, person in (('ada', ada), ('bob', bob)):
            if person.state == 'asking':
                seen[name].append(person.item)
                person.press('2')
            person.look()
    ada.wait_until_sent()
    bob.wait_until_sent()
    served.stop()
    _, events = standing(tmp_path, request)
    assert sorted(seen['ada'] + seen['bob']) == [*range(len(request))]
    assert {event.item for event in events if event.who == 'bob'} == {
        *seen['bob']
    }


@pytest.mark.slow
def test_two_links_in_one_browser_are_two_persons(visit, serving, tmp_path):
    served, request = serving('pixel', 'ada', 'bob')
    ada = visit(served.urls['ada'])
    ada.press('1')
    ada.wait_until_sent()
    bob = visit(served.urls['bob'], ada.page.context)
    ada.page.keyboard.press('2')
    ada.wait_for(state='signed-out')
    bob.press('3')
    bob.wait_until_sent()
    again = visit(served.urls['ada'], ada.page.context)
    again.wait_until_sent()
    served.stop()
    _, events = standing(tmp_path, request)
    said = {(event.who, event.cls) for event in events if event}
    assert said == {('ada', 0), ('ada', 1), ('bob', 2)}


@pytest.mark.slow
@pytest.mark.parametrize('unit', ['region', 'image'])
def test_masks_reach_the_disk(visit, serving, tmp_path, unit):
    options = {'answer': 'all'} if unit == 'region' else {}
    served, request = serving(unit, **options)
    person = visit(served.urls['ada'])
    first = person.item
    person.page.wait_for_selector(PATCHES)
    for key in '3[[[[.2f':  # a dot in the middle, then the rest
        person.page.keyboard.press(key)
    person.press('Enter')
    person.wait_until_sent()
    person.press('Backspace', 'Enter')
    person.wait_until_sent()
    served.stop()
    folder, events = standing(tmp_path, request)
    item = request[first]
    mask = folder.read_mask(events[first].mask, item.box[2:])
    height, width = item.box[2:]
    assert mask[height // 2, width // 2] == 2
    assert np.count_nonzero(mask == 2) == 1
    asked = item.places.size or height * width
    assert np.count_nonzero(mask == 1) == asked - 1
    assert not person.problems
