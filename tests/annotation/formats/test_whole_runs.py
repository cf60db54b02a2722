"""Whole runs that other tools answer, held to those of ground truth."""

import pytest

from segal.annotation.export import export
from segal.annotation.folder import AnnotationFolder
from segal.annotation.take import take
from tests.annotation.formats.tools import TOOLS
from tests.annotation.test_human_runs import (  # noqa: F401  (a fixture)
    answers,
    configs,
    hide,
    root,
    run,
)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    'name', ['pixel', 'image', 'squares', 'superpixels', 'mixed']
)
def test_each_round_by_another_tool_gives_the_same_label_files(
    root,  # noqa: F811
    tmp_path,
    name,
):
    truth, people = configs(root, name)
    assert run(truth, tmp_path / 'truth') == 0
    read = hide(root)
    work_dir, number = tmp_path / 'people', 0
    while (code := run(people, work_dir)) == 6:
        request = AnnotationFolder(work_dir).request(number)
        tool, out = TOOLS[number % len(TOOLS)], tmp_path / f'out {number}'
        export(work_dir, out, tool.name)

        def right(k, images=request.content.images):
            return read(images[k][0])

        path = tool.fill(out, right, request.answer == 'mask')
        assert take(work_dir, [path], 'ada').left == 0
        number += 1
    assert code == 0
    assert number == 3
    assert answers(work_dir) == answers(tmp_path / 'truth')
