"""Whole runs whose answers come back by mail."""

import pytest

from segal.annotation.folder import AnnotationFolder
from segal.annotation.offline import write_page
from segal.commands.annotate import main
from tests.annotation.mailing import Mailed
from tests.annotation.test_browser_runs import answer_by_keys
from tests.annotation.test_human_runs import (
    UNITS,
    answers,
    configs,
    hide,
    root,  # noqa: F401
    run,
)


@pytest.mark.slow
@pytest.mark.parametrize('name', UNITS)
@pytest.mark.timeout(900)
def test_mailed_pages_give_the_run_of_ground_truth(
    root,  # noqa: F811
    tmp_path,
    browser,
    name,
):
    if name not in ('mixed', 'image'):  # which open images bit by bit
        for number in range(3, 8):
            for folder in ('images', 'annotations'):
                (root / folder / f'{number:02d}.png').unlink()
    truth, people = configs(root, name)
    assert run(truth, tmp_path / 'by_truth') == 0
    read = hide(root)
    work_dir = tmp_path / 'by_mail'
    codes = [run(people, work_dir)]
    folder = AnnotationFolder(work_dir)
    context = browser.new_context(viewport={'width': 1280, 'height': 800})
    while codes[-1] == 6:
        request = folder.request(folder.pending())
        out = tmp_path / f'{request.round}.html'
        write_page(work_dir, out, 'ada')
        person = Mailed(context, out)
        answer_by_keys(person, request, read)
        given = person.give_back(tmp_path)
        assert person.asked_for == {person.page.url}
        person.page.close()
        assert main(['take', str(work_dir), str(given)]) == 0
        codes.append(run(people, work_dir))
    context.close()
    assert codes == [6, 6, 6, 0]
    assert answers(work_dir) == answers(tmp_path / 'by_truth')
