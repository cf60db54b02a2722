"""Whole runs whose answers come from keys pressed in a real browser."""

import json
from itertools import groupby

import numpy as np
import pytest

from segal.active.units.region import dominant
from segal.annotation import server
from segal.annotation.crops import crop_box
from segal.annotation.folder import AnnotationFolder
from tests.annotation.test_human_runs import (
    UNITS,
    answers,
    configs,
    hide,
    root,  # noqa: F401
    run,
)
from tests.annotation.test_page_masks import Canvas, smallest

VOID = 255

ASKED = """
    ([round]) => document.body.dataset.state === 'asking'
        && document.body.dataset.round === round
        && document.body.dataset.item !== ''
"""


def answer_by_keys(person, request, read):
    """Answer each item that is painted, until the round is complete."""
    for _ in range(len(request)):
        person.page.wait_for_function(ASKED, arg=[str(request.round)])
        item = request[person.item]
        truth = read(item.image)
        if item.answer == 'mask':
            paint(person, item, truth)
        else:
            found = truth.reshape(-1)[item.places]
            zeros = np.zeros(len(found), np.int32)
            cls = dominant(found, zeros)[0]
            person.press('v' if cls == VOID else str(cls + 1))
    assert person.state != 'asking'
    person.wait_until_sent()
    assert not person.problems


def paint(person, item, truth):
    """Paint each row of an item with a brush of one pixel, and send it."""
    canvas, keys = Canvas(person, crop_box(item)), person.page.keyboard
    smallest(person)
    top, left, height, width = item.box
    for row in range(top, top + height):
        line = enumerate(truth[row, left : left + width].tolist(), left)
        for cls, same in groupby(line, key=lambda x: x[1]):
            columns = [column for column, _ in same]
            if cls != VOID:
                keys.press(str(cls + 1))
                canvas.drag((row, columns[0]), (row, columns[-1]))
    painted = person.says('painted')
    keys.press('Enter')
    person.page.wait_for_function(
        """painted => document.body.dataset.painted !== painted
            || document.body.dataset.state !== 'asking'
            || document.querySelector('#confirm').open""",
        arg=painted,
    )
    if person.page.locator('#confirm').is_visible():  # much is void
        person.click('#confirm-yes')


@pytest.mark.slow
@pytest.mark.parametrize(
    'name', ['mixed', 'squares', 'pixel', 'superpixels', 'image']
)
@pytest.mark.timeout(600)
def test_keys_in_a_browser_give_the_run_of_ground_truth(
    root,  # noqa: F811
    tmp_path,
    visit,
    name,
):
    assert set(UNITS) == {'squares', 'mixed', 'pixel', 'superpixels', 'image'}
    if name not in ('mixed', 'image'):  # which open images bit by bit
        for number in range(3, 8):
            for folder in ('images', 'annotations'):
                (root / folder / f'{number:02d}.png').unlink()
    truth, people = configs(root, name)
    assert run(truth, tmp_path / 'by_truth') == 0
    read = hide(root)
    work_dir = tmp_path / 'by_people'
    codes = [run(people, work_dir)]
    folder = AnnotationFolder(work_dir)
    with server.serve(work_dir, port=0, annotators=['ada']) as page:
        person = visit(page.urls['ada'])
        while codes[-1] == 6:
            answer_by_keys(person, folder.request(folder.pending()), read)
            codes.append(run(people, work_dir))
    assert codes == [6, 6, 6, 0]
    assert answers(work_dir) == answers(tmp_path / 'by_truth')
    rows = [
        json.loads((x / 'rounds.json').read_text())
        for x in (work_dir, tmp_path / 'by_truth')
    ]
    assert rows[0] == rows[1]
