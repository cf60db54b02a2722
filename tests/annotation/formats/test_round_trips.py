"""What a tool answers is what a perfect person answers, for every unit."""

import numpy as np
import pytest

from segal.active.oracles import GroundTruthOracle
from segal.annotation.export import export
from segal.annotation.folder import AnnotationFolder
from segal.annotation.resolve import resolve
from segal.annotation.take import take
from segal.structures import PoolImage
from tests.annotation.formats.tools import TOOLS
from tests.annotation.served import CLASSES, SIZE, ask

UNITS = {
    'pixels': dict(unit='pixel', each=40),
    'superpixels': dict(unit='region', each=9, answer='dominant'),
    'painted squares': dict(unit='region', each=9, answer='all'),
    'images': dict(unit='image'),
}


def truth_of(number):
    """Blobs of three classes and void."""
    rows, columns = np.indices(SIZE)
    waves = np.sin(rows / 7 + number) + np.cos(columns / (5 + number))
    found = np.digitize(waves, [-0.7, 0.3, 1.1]).astype(np.uint8)
    return np.where(found == 3, 255, found).astype(np.uint8)


def resolved(work_dir):
    folder = AnnotationFolder(work_dir)
    request = folder.request(0)
    state = folder.state(request, len(CLASSES))
    return request, state, resolve(request, state, folder.read_mask)


def holds(work_dir):
    """Hold the answers to those of ground truth."""
    request, state, found = resolved(work_dir)
    assert state.answered == len(request)
    images = [PoolImage(f'{k}.png', SIZE) for k in range(3)]
    oracle = GroundTruthOracle(
        lambda name: truth_of(int(name[0])), images, CLASSES, 255
    )
    wanted = oracle.answer(request.selection())
    assert {*found.images} == {*wanted.images}
    for name, one in wanted.images.items():
        for key, value in vars(one).items():
            np.testing.assert_array_equal(
                getattr(found.images[name], key), value
            )
    return state


@pytest.mark.parametrize('unit', UNITS)
@pytest.mark.parametrize('tool', TOOLS, ids=lambda one: one.name)
def test_a_tool_that_knows_the_truth_answers_as_ground_truth(
    tmp_path, tool, unit
):
    work_dir, out = tmp_path / 'work', tmp_path / 'out'
    request = ask(work_dir, **UNITS[unit])
    asked = export(work_dir, out, tool.name)
    assert len(asked.items) == len(request)
    paint = request.answer == 'mask'
    path = tool.fill(out, truth_of, paint)
    found = take(work_dir, [path], 'ada')
    assert len(found.answers) == len(request)
    assert (found.unchanged, found.left) == (0, 0)
    assert found.conflicting == found.alien == found.unfinished == []
    state = holds(work_dir)
    if tool.name == 'label-studio':
        assert sum(state.seconds('ada')) == pytest.approx(36, abs=0.1)
    again = take(work_dir, [path], 'ada')
    assert (len(again.answers), again.unchanged) == (0, len(request))
