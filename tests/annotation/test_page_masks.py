"""Masks are painted, and reach the server pixel by pixel."""

import io

import numpy as np
import pytest
from PIL import Image

from tests.annotation.browsing import PATCHES
from tests.annotation.fake import SIZE, asking, discs, wholes


def mask_of(fake, item=0):
    with Image.open(io.BytesIO(fake.questions[item].mask)) as image:
        assert image.mode == 'L'
        return np.array(image)


class Canvas:
    """Point at pixels of an image that is shown as large as it can be."""

    def __init__(self, person, crop=(0, 0, *SIZE)):
        self.mouse = person.page.mouse
        box = person.page.locator('#crop').bounding_box()
        top, left, height, width = crop
        scale = min(box['height'] / height, box['width'] / width)
        scale = int(scale) if scale > 3 else scale
        y = round(box['height'] / 2 - (top + height / 2) * scale)
        x = round(box['width'] / 2 - (left + width / 2) * scale)
        self.at = lambda row, column: (
            box['x'] + x + (column + 0.5) * scale,
            box['y'] + y + (row + 0.5) * scale,
        )

    def click(self, *places):
        for place in places:
            self.mouse.click(*self.at(*place))

    def drag(self, *places):
        self.mouse.move(*self.at(*places[0]))
        self.mouse.down()
        for place in places[1:]:
            self.mouse.move(*self.at(*place))
        self.mouse.up()


def smallest(person):
    for _ in range(10):
        person.page.keyboard.press('[')


def test_a_brush_of_one_pixel_paints_just_that(visit):
    with asking(wholes()) as fake:
        person = visit(fake.url)
        canvas = Canvas(person)
        keys = person.page.keyboard
        smallest(person)
        keys.press('3')
        canvas.click((0, 0), (59, 89), (17, 40))
        keys.press('2')
        canvas.drag((20, 10), (20, 30))
        keys.press('e')
        canvas.click((20, 15))
        keys.press('Enter')
        person.click('#confirm-yes')
        person.wait_until_sent()
        want = np.full(SIZE, 255)
        want[0, 0] = want[59, 89] = want[17, 40] = 2
        want[20, 10:31] = 1
        want[20, 15] = 255
        assert np.array_equal(mask_of(fake), want)
        assert fake.posts[0]['what'] == 'mask'
        assert len(fake.posts[0]['mask']) == 64
        assert not person.problems


@pytest.mark.slow
def test_polygon_patch_and_fill_of_the_rest(visit):
    with asking(wholes()) as fake:
        person = visit(fake.url)
        canvas, keys = Canvas(person), person.page.keyboard
        person.page.wait_for_selector(PATCHES)
        keys.press('u')
        keys.press('1')
        canvas.click((13, 25))  # the one of rows 12-23, columns 24-35
        keys.press('p')
        keys.press('3')
        canvas.click((29, 9), (29, 19), (39, 19), (39, 9))
        keys.press('Enter')  # closes the polygon, sends nothing
        assert person.item == 0
        assert 'painted' in person.text('#painted')
        keys.press('2')
        keys.press('f')
        assert '100 %' in person.text('#painted')
        person.press('Enter')
        person.wait_until_sent()
        mask = mask_of(fake)
        want = np.full(SIZE, 1)
        want[12:24, 24:36] = 0
        assert np.array_equal(mask == 0, want == 0)
        inner, outer = np.zeros(SIZE, bool), np.zeros(SIZE, bool)
        inner[30:39, 10:19] = True
        outer[29:40, 9:20] = True
        assert (mask[inner] == 2).all()
        assert (mask[~outer] != 2).all()


@pytest.mark.slow
def test_strokes_are_undone_one_by_one(visit):
    with asking(wholes()) as fake:
        person = visit(fake.url)
        canvas, keys = Canvas(person), person.page.keyboard
        for row in (10, 30, 50):
            canvas.drag((row, 10), (row, 80))
        keys.press('z')
        keys.press('z')
        keys.press('Enter')
        person.page.wait_for_selector('#confirm[open]')
        person.page.keyboard.press('Escape')  # goes on painting
        person.page.wait_for_selector('#confirm', state='hidden')
        assert person.item == 0
        keys.press('z')
        keys.press('Enter')
        person.page.wait_for_selector('text=Nothing is painted')
        assert not fake.posts


@pytest.mark.slow
def test_only_the_region_is_painted(visit):
    with asking(discs(2, 'mask')) as fake:
        person = visit(fake.url)
        person.page.keyboard.press('2')
        person.page.keyboard.press('f')
        person.press('Enter')
        person.wait_until_sent()
        inside = fake.questions[0].inside
        assert np.array_equal(mask_of(fake), np.where(inside, 1, 255))


@pytest.mark.slow
def test_a_mask_by_keys_alone(visit):
    with asking(wholes()) as fake:
        person = visit(fake.url)
        keys = person.page.keyboard
        smallest(person)
        keys.press('3')
        keys.press('ArrowUp')  # from the middle
        keys.press('Shift+ArrowRight')
        keys.press('.')
        keys.press('Enter')
        person.page.keyboard.press('Tab')
        person._until_next(lambda: keys.press('Enter'))
        person.wait_until_sent()
        assert [*zip(*np.nonzero(mask_of(fake) == 2), strict=True)] == [
            (29, 55)
        ]


@pytest.mark.slow
def test_a_mask_taken_back_starts_with_what_was_painted(visit):
    with asking(wholes(3)) as fake:
        person = visit(fake.url)
        keys = person.page.keyboard
        keys.press('2')
        keys.press('f')
        person.press('Enter', 'Backspace')
        person.page.wait_for_selector('text=100 % painted')
        person.press('Enter')
        person.wait_until_sent()
        person.page.reload()
        person.wait_for(item='1')
        person.press('Backspace')  # now it comes from the server
        assert person.item == 0
        person.page.wait_for_selector('text=100 % painted')
        before = mask_of(fake)
        person.press('Enter')
        person.wait_until_sent()
        assert np.array_equal(mask_of(fake), before)
        assert len(fake.posts) == 3


@pytest.mark.slow
def test_a_half_painted_mask_outlives_a_reload_and_a_skip(visit):
    with asking(wholes(2)) as fake:
        person = visit(fake.url)
        Canvas(person).drag((10, 10), (40, 80))
        share = person.text('#share-text')
        person.page.wait_for_timeout(900)
        person.page.reload()
        person.wait_for(item='0')
        person.page.wait_for_selector(f'text={share}')
        person.press('Space', 'Space')
        assert person.item == 0
        person.page.wait_for_selector(f'text={share}')
        assert share != '0 % painted'
        assert not person.problems


@pytest.mark.slow
def test_a_half_painted_mask_outlives_another_folder(visit):
    """One that is labelled meanwhile, at the same address."""
    with asking(wholes(2)) as fake:
        person = visit(fake.url)
        Canvas(person).drag((10, 10), (40, 80))
        share = person.text('#share-text')
        person.page.wait_for_timeout(900)
        for folder, number in (('fedc9876', 1), (fake.folder, fake.round)):
            fake.folder, fake.round = folder, number
            person.page.reload()
            person.wait_for(round=str(number), item='0')
            person.page.wait_for_timeout(300)
        assert person.text('#share-text') == share != '0 % painted'
        assert not person.problems


@pytest.mark.slow
def test_a_half_painted_mask_is_shown_to_nobody_else(visit):
    """Who opens an own link in the same browser begins with an empty one."""
    with asking(wholes(2)) as fake:
        person = visit(fake.url)
        Canvas(person).drag((10, 10), (40, 80))
        share = person.text('#share-text')
        person.page.wait_for_timeout(900)
        for fake.annotator in ('bob', 'ada'):
            person.page.reload()
            person.wait_for(item='0')
            person.page.wait_for_timeout(300)
            found = person.text('#share-text')
            assert found == (
                '0 % painted' if fake.annotator == 'bob' else share
            )
        assert share != '0 % painted'


@pytest.mark.slow
def test_a_mask_that_is_refused_comes_back_as_it_was_painted(visit):
    with asking(wholes(2)) as fake:
        person = visit(fake.url)
        fake.questions[0].rev = 1  # skipped in another tab
        person.page.keyboard.press('2')
        person.page.keyboard.press('f')
        person.press('Enter')
        person.page.wait_for_selector('text=The question comes back')
        fake.questions[0].mask = None  # the server shows what stands alone
        person.press('Space')
        assert person.item == 0
        person.page.wait_for_selector('text=100 % painted')
        person.press('Enter')
        person.wait_until_sent()
        assert (mask_of(fake) == 1).all()


@pytest.mark.slow
def test_a_mask_painted_offline_is_sent_later(visit):
    with asking(wholes(3)) as fake:
        person = visit(fake.url)
        person.page.wait_for_timeout(300)
        person.page.context.set_offline(True)
        person.page.keyboard.press('f')
        person.press('Enter')
        assert person.item == 1
        person.page.context.set_offline(False)
        person.wait_until_sent()
        assert (mask_of(fake) == 0).all()


@pytest.mark.slow
def test_an_image_stays_with_the_person_who_paints_it(visit, browser):
    """However long that takes: a lease is renewed while something is painted.

    Else somebody else gets the image, and one of the two paints for nothing.
    """
    context = browser.new_context(viewport={'width': 1280, 'height': 800})
    context.clock.install()
    with asking(wholes(20)) as fake:
        person = visit(fake.url, context)
        person.page.wait_for_timeout(1000)  # eight items are there
        for painted in (False, True):
            if painted:
                Canvas(person).click((17, 40))
            fake.asked.clear()
            person.page.clock.fast_forward(61_000)
            person.look()
            person.page.wait_for_timeout(500)
            assert ('/api/next' in fake.asked) is painted
        assert person.item == 0
    context.close()
