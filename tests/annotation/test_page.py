"""The page asks, takes answers and takes them back, by keyboard."""

import pytest

from tests.annotation.fake import asking, discs, pixels


def written(fake):
    return [(p['item'], p['what'], p['class']) for p in fake.posts]


def test_a_round_by_keyboard(visit):
    with asking(pixels(6)) as fake:
        person = visit(fake.url)
        assert (person.item, person.says('kind')) == (0, 'pixel')
        person.press('1', '3', 'v', 'x', '2')
        person.press('1')
        person.wait_for(state='complete')
        assert written(fake) == [
            (0, 'class', 0),
            (1, 'class', 2),
            (2, 'void', None),
            (3, 'cant_tell', None),
            (4, 'class', 1),
            (5, 'class', 0),
        ]
        assert all(post['rev'] == 0 for post in fake.posts)
        assert '6 of 6' in person.text('.meter')
        assert not person.problems


@pytest.mark.slow
def test_skipped_items_come_back_last(visit):
    with asking(pixels(3)) as fake:
        person = visit(fake.url)
        person.press('Space', '1', '1')
        assert person.item == 0
        person.press('2')
        person.wait_for(state='complete')
        assert written(fake)[-1] == (0, 'class', 1)


@pytest.mark.slow
def test_undo_goes_back_to_any_depth_and_over_a_reload(visit):
    with asking(pixels(20)) as fake:
        person = visit(fake.url)
        person.press(*'1231')
        person.wait_until_sent()
        person.page.reload()
        person.wait_for(item='4')
        person.press('2', 'Backspace')
        assert person.item == 4
        for item in (3, 2, 1, 0):  # of the visit before
            person.press('Backspace')
            assert person.item == item
        person.press('3', '3')
        person.wait_until_sent()
        standing = [one.standing for one in fake.questions[:4]]
        assert [one and one['class'] for one in standing] == [2, 2, None, None]
        assert not person.problems


@pytest.mark.slow
def test_undo_of_a_skip_and_of_what_is_not_there(visit):
    with asking(pixels(4)) as fake:
        person = visit(fake.url)
        person.press('Space', 'Backspace')
        assert person.item == 0
        person.page.keyboard.press('Backspace')
        person.page.wait_for_selector('text=nothing more to undo')
        person.press('1')
        person.wait_until_sent()
        assert written(fake)[-1] == (0, 'class', 0)


@pytest.mark.slow
def test_the_complete_round_can_still_be_undone(visit):
    with asking(pixels(2)) as fake:
        person = visit(fake.url)
        person.press('1', '1')
        person.wait_for(state='complete')
        person.press('Backspace')
        assert (person.state, person.item) == ('asking', 1)
        person.press('3')
        person.wait_for(state='complete')
        assert fake.questions[1].standing['class'] == 2


@pytest.mark.slow
def test_an_undo_is_not_overtaken_where_the_server_is_slow(visit):
    with asking(pixels(9)) as fake:
        person = visit(fake.url)
        fake.lag = 0.15
        person.press('1', '2', 'Backspace', 'Backspace', '3', '3', '1')
        fake.lag = 0
        person.wait_until_sent()
        classes = [one.standing for one in fake.questions]
        assert [one['class'] for one in classes if one] == [2, 2, 0]
        assert not person.text('#toasts')


@pytest.mark.slow
def test_the_next_item_is_painted_before_the_reply(visit):
    with asking(pixels(20)) as fake:
        person = visit(fake.url)
        person.wait_for(state='asking')
        person.page.wait_for_timeout(300)  # eight are prefetched
        fake.lag = 30
        person.press(*'1231')
        assert person.item == 4
        assert int(person.says('waiting')) == 4
        fake.lag = 0


@pytest.mark.slow
def test_times_start_with_the_painting_and_leave_hidden_tabs_out(visit):
    with asking(pixels(4)) as fake:
        person = visit(fake.url)
        person.page.wait_for_timeout(400)
        show = """hidden => {
            Object.defineProperty(
                document, 'hidden', {value: hidden, configurable: true});
            document.dispatchEvent(new Event('visibilitychange'));
        }"""
        person.page.evaluate(show, True)
        person.page.wait_for_timeout(300)
        person.page.evaluate(show, False)
        person.press('1', '1')
        person.wait_until_sent()
        first, second = fake.posts
        assert 650 <= first['ms'] <= 5000
        assert 250 <= first['hidden_ms'] <= first['ms'] - 350
        assert second['hidden_ms'] == 0


@pytest.mark.slow
def test_two_answers_come_from_no_repeated_key(visit):
    with asking(pixels(9)) as fake:
        person = visit(fake.url)
        person.page.keyboard.down('1')
        person.page.keyboard.down('1')  # as a held key repeats
        person.page.keyboard.up('1')
        person.page.wait_for_timeout(200)
        assert len(fake.posts) == 1
        person.page.keyboard.press('Control+2')
        person.page.wait_for_timeout(100)
        assert len(fake.posts) == 1


@pytest.mark.slow
@pytest.mark.parametrize(
    'touch', [True, pytest.param(False, marks=pytest.mark.slow)]
)
def test_buttons_do_what_keys_do(visit, touch):
    size = {'width': 390, 'height': 844}
    options = dict(has_touch=True, is_mobile=True) if touch else {}
    with asking(discs(5)) as fake:
        person = visit(fake.url, viewport=size, **options)
        person.click('[data-class="2"]')
        person.click('[data-do="void"]')
        person.click('[data-do="cant_tell"]')
        person.click('#undo')
        person.press('Space')  # belongs to the question, not to the button
        person.press('1')
        person.wait_until_sent()
        assert written(fake)[-1] == (3, 'class', 0)
        assert fake.questions[2].skipped


@pytest.mark.slow
def test_zoom_marks_and_fill_change_the_picture(visit):
    with asking(discs(2)) as fake:
        person = visit(fake.url)
        page = person.page
        page.wait_for_timeout(200)

        def look():
            page.wait_for_timeout(60)
            return page.evaluate("document.getElementById('crop').toDataURL()")

        for key in '+-+-':  # a canvas that is read is drawn otherwise
            look()
            page.keyboard.press(key)
        before = look()
        page.keyboard.down('f')
        filled = look()
        page.keyboard.up('f')
        assert look() == before != filled
        page.keyboard.press('h')
        hidden = look()
        page.keyboard.press('h')
        assert look() == before != hidden
        page.keyboard.press('+')
        nearer = look()
        page.keyboard.press('-')
        assert look() == before != nearer


@pytest.mark.slow
def test_the_pixel_itself_stays_uncovered(visit):
    with asking(pixels(1)) as fake:
        fake.questions[0].box = (30, 40, 1, 1)
        person = visit(fake.url)
        person.page.wait_for_timeout(100)
        middle = person.page.evaluate("""() => {
            const canvas = document.getElementById('crop');
            const [x, y] = [canvas.width / 2, canvas.height / 2];
            const at = canvas.getContext('2d');
            return [...at.getImageData(x - 2, y - 2, 4, 4).data];
        }""")
        colour = [*fake.images['0.png'][30, 40].tolist(), 255]
        assert middle == colour * 16
