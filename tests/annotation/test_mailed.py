"""A mailed page asks from a file, keeps answers, and gives them back."""

import json
import re
import shutil
import socket

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe

from segal.annotation.folder import AnnotationFolder
from segal.annotation.offline import write_page
from tests.annotation.browsing import PATCHES
from tests.annotation.mailing import Mailed, page_of, replies
from tests.annotation.served import ask

DESK = {'width': 1280, 'height': 800}


@pytest.fixture
def work(tmp_path):
    return tmp_path / 'street scenes'


@pytest.fixture
def opening(browser):
    """Open a mailed page; no page may ask for anything but itself."""
    contexts, people = [], []

    def open_page(path, context=None, begun=True, **options):
        if context is None:
            options.setdefault('viewport', DESK)
            context = browser.new_context(**options)
            contexts.append(context)
        people.append(Mailed(context, path, begun))
        return people[-1]

    yield open_page
    for person in people:
        assert not person.problems
        assert person.asked_for == {person.page.url}
    for context in contexts:
        context.close()


def told(found):
    return {item: (one.what, one.cls) for item, one in found.items()}


def test_pixels_are_answered_and_read_back(opening, work, tmp_path):
    ask(work)
    person = opening(page_of(work))
    pressed = {}
    wanted = {'1': ('class', 0), '3': ('class', 2), 'v': ('void', None),
              'x': ('cant_tell', None)}  # fmt: skip
    for key in '13vx1313vx13':
        pressed[person.item] = wanted[key]
        person.press(key)
    person.wait_for(state='complete')
    assert 'All 12 are answered' in person.text('#rest')
    path = person.give_back(tmp_path, lambda: person.page.click('#rest-give'))
    found = replies(path, work)
    assert told(found) == pressed
    assert list(pressed) == [*range(12)]
    assert all(one.who == 'ada' and one.ms > 0 for one in found.values())


@pytest.mark.parametrize(
    ('unit', 'answer'),
    [
        pytest.param('region', 'dominant', marks=pytest.mark.slow),
        ('region', 'all'),
        pytest.param('image', 'all', marks=pytest.mark.slow),
    ],
)
def test_regions_and_images_are_read_back(
    opening, work, tmp_path, unit, answer
):
    request = ask(work, unit, answer=answer)
    person = opening(page_of(work))
    item = request[person.item]
    assert item.kind == unit
    if item.answer == 'class':
        person.press('3')
    else:
        person.page.wait_for_selector(PATCHES)
        for key in '3[[[[.2f':  # a dot in the middle, then the rest
            person.page.keyboard.press(key)
        person.press('Enter', 'Backspace')
        person.page.wait_for_selector('text=100 % painted')
        person.press('Enter')
    person.press('v')
    found = replies(person.give_back(tmp_path), work)
    assert len(found) == 2
    one = found[item.index]
    if item.answer == 'class':
        assert (one.what, one.cls) == ('class', 2)
        return
    height, width = item.box[2:]
    assert one.mask.shape == (height, width)
    assert one.mask[height // 2, width // 2] == 2
    assert np.count_nonzero(one.mask == 2) == 1
    asked = item.places.size or height * width
    assert np.count_nonzero(one.mask == 1) == asked - 1


@pytest.mark.slow
def test_a_reload_keeps_answers_and_what_can_be_undone(
    opening, work, tmp_path
):
    ask(work)
    path = page_of(work)
    person = opening(path)
    person.press('1', 'Space', '2', '3')
    first = replies(person.give_back(tmp_path), work)
    assert told(first) == {
        0: ('class', 0), 2: ('class', 1), 3: ('class', 2)
    }  # fmt: skip
    person.wait_until_sent()
    person.page.reload()
    person.wait_for(state='welcome')
    assert '3 of 12 are answered already' in person.text('#rest')
    person.click('#begin')
    assert person.item == 4
    for item in (3, 2, 1, 0):  # of the visit before; item 1 was skipped
        person.press('Backspace')
        assert person.item == item
    person.press('3', 'x')
    second = replies(person.give_back(tmp_path), work)
    assert told(second) == {0: ('class', 2), 1: ('cant_tell', None)}


@pytest.mark.slow
def test_an_answer_has_the_same_number_in_each_file(opening, work, tmp_path):
    ask(work)
    person = opening(page_of(work))
    person.press('1', '2')
    first = replies(person.give_back(tmp_path), work)
    person.press('3')
    second = replies(person.give_back(tmp_path), work)
    assert len(second) == 3
    assert {**second, **first} == second


@pytest.mark.slow
def test_skipped_items_come_last_and_are_not_given_back(
    opening, work, tmp_path
):
    ask(work, count=4)
    person = opening(page_of(work))
    person.press('Space', 'Space')
    for item in range(2, 16):
        assert person.item == item
        person.press('1')
    assert person.item == 0
    person.press('Space')
    assert person.item == 1
    given = replies(person.give_back(tmp_path), work)
    assert set(given) == {*range(2, 16)}


@pytest.mark.slow
def test_a_half_painted_mask_outlives_a_reload(opening, work):
    ask(work, 'region', answer='all')
    person = opening(page_of(work))
    person.page.keyboard.press('.')
    share = person.text('#share-text')
    person.page.wait_for_timeout(900)
    person.page.reload()
    person.begin()
    person.page.wait_for_selector(f'text={share}')
    assert share != '0 % painted'


@pytest.mark.slow
def test_people_and_rounds_do_not_mix_in_one_browser(opening, work, tmp_path):
    ask(work)
    ada = opening(page_of(work, 'ada'))
    ada.press('1')
    bob = opening(page_of(work, 'bob'), ada.page.context)
    assert bob.item == 0
    ask(tmp_path / 'other', round=1)
    other = opening(page_of(tmp_path / 'other', 'ada'), ada.page.context)
    assert other.item == 0
    ada.page.reload()
    ada.begin()
    assert ada.item == 1


@pytest.mark.slow
def test_another_page_of_the_round_goes_on_but_for_what_is_asked_anew(
    opening, work, tmp_path
):
    request = ask(work)
    person = opening(page_of(work, items=3))
    person.press('1', '2')
    given = replies(person.give_back(tmp_path), work)
    folder = AnnotationFolder(work)
    journal = folder.journal(request, 3)
    journal.append(1, 0, 'ada', 'void', client='12345678')
    journal.append(1, 1, 'ada', 'undo', client='12345679')
    journal.close()
    person.page.close()
    again = opening(page_of(work, items=5), person.page.context)
    assert again.item == 1
    again.press('3')
    found = replies(again.give_back(tmp_path), work)
    assert told(found) == {0: ('class', 0), 1: ('class', 2)}
    assert found[0] == given[0]
    copy = tmp_path / 'fork' / work.name
    copy.parent.mkdir()
    shutil.copytree(work, copy)
    assert opening(page_of(copy), person.page.context).item == 0


@pytest.mark.slow
def test_a_second_tab_waits_for_the_first(opening, work):
    ask(work)
    path = page_of(work)
    first = opening(path)
    first.press('1')
    second = opening(path, first.page.context, begun=False)
    second.wait_for(state='elsewhere')
    assert 'open in another tab' in second.text('#rest-title')
    first.page.close()
    second.begin()
    assert second.item == 1


SANDBOX = {'content-security-policy': 'sandbox allow-scripts allow-downloads'}


@pytest.mark.slow
def test_a_browser_that_keeps_nothing_says_so(browser, work, tmp_path):
    """As an origin that is opaque, where every storage is refused."""
    ask(work)
    content = page_of(work).read_text()
    context = browser.new_context(viewport=DESK)
    context.route(
        re.compile('.*'),
        lambda route: route.fulfill(
            body=content, content_type='text/html', headers=SANDBOX
        ),
    )

    class Path:
        def as_uri():
            return 'http://localhost/page.html'

    try:
        person = Mailed(context, Path)
        assert 'keeps nothing' in person.text('#unkept')
        look(person)
        person.press('1', '2')
        found = replies(person.give_back(tmp_path), work)
        assert told(found) == {0: ('class', 0), 1: ('class', 1)}
        assert not person.problems
    finally:
        context.close()


@pytest.mark.slow
def test_the_page_says_what_was_not_given_back(opening, work, tmp_path):
    ask(work)
    person = opening(page_of(work))
    person.page.keyboard.press('Control+s')
    person.page.wait_for_selector('text=Nothing is answered yet')
    person.press('1', '2')
    person.wait_until_sent()
    assert person.text('#give').endswith('2')
    person.give_back(tmp_path)
    person.press('3')
    person.wait_until_sent()
    assert person.text('#give').endswith('1')
    person.page.keyboard.press('?')
    assert 'Give back' in person.text('#help')


def test_the_policy_of_the_page_lets_nothing_out(opening, work):
    ask(work)
    person = opening(page_of(work))
    with socket.create_server(('127.0.0.1', 0)) as listening:
        url = f'http://127.0.0.1:{listening.getsockname()[1]}/'
        reached = person.page.evaluate(
            """async (url) => {
                const loaded = (name, key) => new Promise((done, failed) => {
                    const made = document.createElement(name);
                    Object.assign(
                        made, {onload: done, onerror: failed, [key]: url});
                    document.body.append(made);
                });
                const tries = [
                    fetch(url), loaded('img', 'src'), loaded('script', 'src'),
                    new Promise((done, failed) => {
                        Object.assign(new WebSocket(url.replace('http', 'ws')),
                            {onopen: done, onerror: failed});
                    }),
                ];
                navigator.sendBeacon(url);
                const done = await Promise.allSettled(tries);
                return done.map((one) => one.status);
            }""",
            url,
        )
        listening.settimeout(0.5)
        with pytest.raises(TimeoutError):
            listening.accept()
    assert reached == ['rejected'] * 4


PHONE = dict(
    viewport={'width': 390, 'height': 844},
    has_touch=True,
    is_mobile=True,
    color_scheme='dark',
)


@pytest.mark.slow
@pytest.mark.parametrize(
    ('unit', 'looks'),
    [
        ('pixel', PHONE),
        pytest.param('pixel', {}, marks=pytest.mark.slow),
        pytest.param('region', PHONE, marks=pytest.mark.slow),
        pytest.param('image', {}, marks=pytest.mark.slow),
        pytest.param('image', PHONE, marks=pytest.mark.slow),
    ],
)
def test_axe_finds_nothing_on_a_desk_and_on_a_phone(
    opening, work, unit, looks
):
    ask(work, unit, answer='all', count=1, each=2)
    person = opening(page_of(work), begun=False, **looks)
    look(person)
    person.click('#begin')
    look(person)
    person.click('[data-do="void"]')
    person.wait_until_sent()
    person.page.click('#give')
    person.page.wait_for_selector('#given[open]')
    look(person)
    person.page.click('#given-on')
    while person.state == 'asking':
        person.press('x')
    look(person)


@pytest.mark.slow
@pytest.mark.parametrize('size', [(320, 568), (640, 400)])
def test_a_small_or_magnified_page_can_be_scrolled_to_all(opening, work, size):
    ask(work)
    width, height = size
    person = opening(
        page_of(work), viewport={'width': width, 'height': height}
    )
    assert person.page.evaluate(
        'document.documentElement.scrollWidth <= innerWidth'
    )
    person.click('[data-do="cant_tell"]')
    assert person.item == 1


def look(person):
    found = Axe().run(person.page).response['violations']
    assert not [(x['id'], x['nodes'][0]['html'][:200]) for x in found]
    over = person.page.evaluate("""() => {
        const root = document.documentElement;
        return [root.scrollWidth - innerWidth,
            root.scrollHeight - innerHeight];
    }""")
    assert over == [0, 0]


@pytest.mark.slow
def test_nothing_moves_when_answers_are_counted(opening, work):
    places = """() => [...document.querySelectorAll('canvas, button, p')]
        .map((one) => one.getBoundingClientRect())
        .map(({x, y, height}) => [x, y, height].map(Math.round))
        .filter((one) => one[2])"""
    ask(work)
    person = opening(page_of(work))
    before = person.page.evaluate(places)
    person.press(*'123123123')
    person.wait_until_sent()
    after = person.page.evaluate(places)
    assert after[: len(before)] == before


@pytest.mark.slow
def test_names_are_shown_as_they_are(opening, tmp_path):
    work = tmp_path / '<img src=x onerror=alert(1)> <!--<script>'
    ask(work)
    pool = json.loads((work / 'pool.json').read_text())
    pool['classes'][0] = '</script><b>road'
    (work / 'pool.json').write_text(json.dumps(pool))
    out = tmp_path / 'page.html'
    write_page(work, out, "O'Brien")
    person = opening(out)
    assert person.text('#experiment') == work.name
    assert '</script><b>road' in person.text('#classes')
    person.press('1')
    path = person.give_back(tmp_path)
    assert re.fullmatch(r'[\w.-]+\.json', path.name)
    assert replies(path, work)[0].who == "O'Brien"
