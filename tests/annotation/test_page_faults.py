"""The page loses no answer, and says what became of each."""

import pytest

from tests.annotation.fake import asking, pixels, wholes


def standing(fake):
    return [
        one.standing and one.standing['class'] for one in fake.questions
    ]  # fmt: skip


@pytest.mark.slow
def test_answers_given_offline_are_sent_once_when_back(visit):
    with asking(pixels(20)) as fake:
        person = visit(fake.url)
        person.page.wait_for_timeout(300)
        person.page.context.set_offline(True)
        person.press('1', '2', 'Backspace', '3')
        person.page.wait_for_selector('text=Offline. 2 answers wait')
        assert not fake.posts
        person.page.context.set_offline(False)
        person.wait_until_sent()
        assert standing(fake)[:3] == [0, 2, None]
        assert len(fake.posts) == 2
        person.wait_for(online='true')
        assert person.page.locator('#banner').is_hidden()


@pytest.mark.slow
def test_unsent_answers_outlive_a_reload(visit):
    with asking(pixels(20)) as fake:
        person = visit(fake.url)
        person.press('3')
        person.wait_until_sent()
        fake.broken = {'/api/answers', '/api/undo'}
        person.press('1', '2', 'Backspace', 'Backspace', 'Backspace', '2')
        # Item 1: its answer, which may have arrived, and its undo; item 0:
        # its undo, and its new answer. Item 2 never left the page.
        person.wait_for(waiting='4')
        person.page.reload()
        person.wait_for(waiting='4')
        fake.broken = set()
        person.wait_until_sent()
        assert standing(fake)[:3] == [1, None, None]
        assert [post['rev'] for post in fake.posts] == [0, 0, 2]


@pytest.mark.slow
def test_answers_given_before_the_store_opens_are_sent(visit):
    """A browser under load opens its database after the first keys."""
    with asking(pixels(20)) as fake:
        person = visit(fake.url)
        person.page.add_init_script(
            'const {open} = IDBFactory.prototype;'
            'const {set} = Object.getOwnPropertyDescriptor('
            "  IDBRequest.prototype, 'onsuccess');"
            'IDBFactory.prototype.open = function (...names) {'
            '  const request = open.apply(this, names);'
            "  Object.defineProperty(request, 'onsuccess', {set(then) {"
            '    set.call(request, () => setTimeout(then, 1500));'
            '  }});'
            '  return request;'
            '};'
        )
        person.page.reload()
        person.wait_for(item='0')
        fake.lag = 1.0
        person.press('3', '2', '1')
        person.page.wait_for_timeout(2000)
        person.wait_until_sent()
        assert standing(fake)[:4] == [2, 1, 0, None]


@pytest.mark.slow
def test_a_double_click_is_one_answer(visit):
    with asking(pixels(20)) as fake:
        person = visit(fake.url)
        for button in ('.class', '[data-do=void]', '[data-do=skip]'):
            place = person.page.locator(button).nth(0).bounding_box()
            at = place['x'] + 9, place['y'] + 9
            person.page.mouse.dblclick(*at, delay=80)
            person.page.wait_for_timeout(300)
        person.wait_until_sent()
        assert [post['what'] for post in fake.posts] == [
            'class', 'void', 'skip',
        ]  # fmt: skip


@pytest.mark.slow
def test_unsent_answers_wait_for_their_own_folder(visit):
    """Another one may have the same name, address and request."""
    with asking(pixels(20)) as fake:
        person = visit(fake.url)
        fake.broken = {'/api/answers'}
        person.press('3', '2')
        person.wait_for(waiting='2')
        fake.broken, fake.folder = set(), 'fedc9876'
        person.page.reload()
        person.wait_for(state='asking', waiting='0')
        assert standing(fake) == [None] * 20
        fake.folder = '0123abcd'
        person.page.reload()
        person.wait_until_sent()
        assert standing(fake)[:3] == [2, 1, None]


@pytest.mark.slow
def test_a_clock_that_is_set_back_moves_no_undo_before_its_answer(visit):
    with asking(pixels(20)) as fake:
        person = visit(fake.url)
        fake.broken = {'/api/answers', '/api/undo'}
        person.press('3')
        person.wait_for(waiting='1')
        person.page.add_init_script(
            "Object.defineProperty(performance, 'timeOrigin', "
            '{value: performance.timeOrigin - 3600e3})'
        )
        person.page.reload()
        person.wait_for(waiting='1')
        person.page.keyboard.press('Backspace')
        person.wait_for(waiting='2')
        person.page.reload()
        person.wait_for(waiting='2')
        fake.broken = set()
        person.wait_until_sent()
        assert standing(fake)[:2] == [None, None]
        assert len(fake.posts) == 1


@pytest.mark.slow
def test_a_lost_reply_writes_no_second_answer(visit):
    with asking(pixels(20)) as fake:
        person = visit(fake.url)
        answered = []

        def lose(route):  # the server has it; the page never hears of it
            if not answered:
                answered.append(route.fetch())
                route.abort()
            else:
                route.continue_()

        person.page.route('**/api/answers', lose)
        person.press('2', 'Backspace', '1')
        person.wait_until_sent()
        assert standing(fake)[:2] == [0, None]
        assert [post['rev'] for post in fake.posts] == [0, 2]


@pytest.mark.slow
def test_an_answer_of_somebody_else_stands_and_is_named(visit):
    with asking(pixels(20)) as fake:
        person = visit(fake.url)
        fake.answer_elsewhere(1, 'bob', 2)
        person.press('1', '1', '1')
        person.page.wait_for_selector(
            'text=bob has answered this already: sky'
        )
        person.wait_until_sent()
        assert standing(fake)[:3] == [0, 2, 0]
        person.press('Backspace', 'Backspace')
        assert person.item == 0  # the refused one is not among the own


@pytest.mark.slow
def test_a_question_that_was_reopened_elsewhere_comes_back(visit):
    with asking(pixels(20)) as fake:
        person = visit(fake.url)
        fake.questions[0].rev = 2  # answered and undone in another tab
        person.press('1')
        person.page.wait_for_selector('text=The question comes back')
        person.press('2')
        assert person.item == 0
        person.press('3')
        person.wait_until_sent()
        assert standing(fake)[:2] == [2, 1]


@pytest.mark.slow
def test_two_tabs_share_the_questions_out(visit):
    with asking(pixels(20)) as fake:
        first = visit(fake.url)
        second = visit(fake.url, context=first.page.context)
        assert first.item == 0
        assert second.item not in (0, None)
        assert first.item != second.item
        taken = second.item
        second.page.reload()  # keeps its name, and so its leases
        second.wait_for(item=str(taken))


@pytest.mark.slow
def test_a_round_that_closes_and_the_next_one(visit):
    with asking(pixels(20)) as fake:
        person = visit(fake.url)
        person.press('1')
        person.wait_until_sent()
        person.page.click('#close:not([disabled])')
        person.page.click('#confirm-no')
        assert person.state == 'asking'
        person.page.click('#close')
        person.page.click('#confirm-yes')
        person.look()
        person.wait_for(state='closing', item='')
        fake.state = 'training'
        person.look()
        person.wait_for(state='training')
        fake.again(wholes(2))
        person.look()
        person.wait_for(state='asking', round='4', kind='image', item='0')
        fake.state = 'done'
        person.look()
        person.wait_for(state='done')
        assert not person.problems


@pytest.mark.slow
def test_answers_that_come_too_late(visit):
    with asking(pixels(20)) as fake:
        person = visit(fake.url)
        fake.state = 'closing'
        person.press('1')
        person.page.wait_for_selector(
            'text=came too late: the round is closing'
        )
        person.wait_for(state='closing')
        fake.again(pixels(5))
        person.look()
        person.wait_for(state='asking', round='4', item='0')
        fake.again(pixels(5))
        person.press('1')
        person.page.wait_for_selector('text=another round is asked now')
        person.wait_for(state='asking', round='5', item='0')
        person.wait_until_sent()
        assert standing(fake) == [None] * 5


@pytest.mark.slow
def test_a_page_that_is_signed_out_keeps_what_it_could_not_send(visit):
    with asking(pixels(20)) as fake:
        person = visit(fake.url)
        fake.signed_in = False
        person.press('2')
        person.wait_for(state='signed-out')
        fake.signed_in = True
        person.page.reload()
        person.wait_until_sent()
        assert standing(fake)[0] == 1


@pytest.mark.slow
def test_an_image_that_cannot_be_read_holds_nobody_up(visit):
    with asking(pixels(6)) as fake:
        fake.broken = {'/api/items/0/crop'}
        person = visit(fake.url)
        assert person.item == 1
        person.press(*'11')
        assert person.item == 3
        fake.broken = set()
        person.press(*'111')
        assert person.item == 0
