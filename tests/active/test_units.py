"""What every registered query unit promises, and one from outside."""

import numpy as np
import pytest

from segal.active.units import QueryUnit, Region, unit_named, unit_of
from segal.active.units.costs import Costs
from segal.active.units.regions import Partition
from segal.config import load_config, read_config
from segal.experiment.selecting import ConfiguredSelector
from segal.registry import SELECTORS, UNITS
from segal.rounds import read_rounds
from segal.structures import (
    VOID,
    Budget,
    ImageAnswers,
    PixelAnswers,
    PoolImage,
)
from segal.train_active_learning import main
from tests.active.test_buy_empty import Case
from tests.test_region_runs import store_of
from tests.tiny import write_config, write_images


@UNITS.register_module()
class GridBoxes(Partition):
    """Boxes of a fixed grid: the further unit of this test.

    Args:
        side: Of a box, in pixels.
    """

    def __init__(self, side=8):
        self.side = side

    def labels(self, image):
        """The box of each pixel, numbered without gaps."""
        height, width = image.size
        rows, columns = np.indices((height, width)) // self.side
        return rows * -(-width // self.side) + columns


CASES = {
    'Pixels': {},
    'Images': {},
    'Squares': dict(radius=1),
    'Superpixels': dict(segments=4),
    'GridBoxes': dict(side=3),
}
"""Unit -> its options; a unit without a case fails the suite."""

COSTS = Costs(pixel=2.0, region=7.0, superpixel=3.0, image=50.0, open=0.0)


def ways():
    for name in CASES:
        kind = UNITS.get(name)
        yield name, 'all'
        if kind.grouped:
            yield name, 'dominant'


@pytest.fixture(params=list(ways()), ids=lambda way: '-'.join(way))
def asked(request, tmp_path):
    """A round of one unit: the unit, the case, and what was asked."""
    name, answer = request.param
    case = Case(tmp_path)
    unit = case.shape(name, CASES[name]).answered(answer)
    part = unit.usual_selector(True, None, 'mean')
    if unit.grouped:
        part['answer'] = answer
    budget = Budget(3, not unit.whole)
    make = ConfiguredSelector(part, budget, unit)
    _, _, selection = case.step(make)
    return unit, case, selection


def test_every_unit_has_a_case():
    assert set(CASES) == set(UNITS.module_dict)
    assert all(issubclass(x, QueryUnit) for x in UNITS.module_dict.values())


def test_it_is_counted(asked):
    unit, case, selection = asked
    fits = [unit.fit(image) for image in case.images]
    for image, fit in zip(case.images, fits, strict=True):
        assert 1 <= fit.least <= fit.most <= image.pixels
        assert 1 <= unit.typical_pixels(image) <= image.pixels
    assert sum(fit.least for fit in fits) <= unit.capacity(case.images)
    counts = [selection.count(name) for name in selection.places]
    if unit.whole:
        assert len(selection) == 3
    else:  # of each image its share, or what fits
        assert all(
            min(3, fit.least) <= count <= 3
            for count, fit in zip(counts, fits, strict=True)
        )


def test_it_is_asked_by_its_usual_selector(asked):
    unit, _, selection = asked
    for evenly in (True, False):
        part = unit.usual_selector(evenly, None, 'mean')
        assert SELECTORS.get(part['type']).unit == unit.name
    assert selection.unit == unit.stored
    assert bool(selection.regions) == unit.grouped
    same = unit_of(selection)
    assert (same.name, same.answer) == (unit.name, unit.answer)
    assert unit_named(unit.name).whole is unit.whole


def test_it_is_answered_with_the_truth(asked):
    unit, case, selection = asked
    for name, places in selection.places.items():
        truth = case.truth[name]
        regions = selection.regions.get(name)
        said = unit.answers(truth, places, regions)
        if unit.whole:
            assert isinstance(said, ImageAnswers)
            np.testing.assert_array_equal(said.label_map, truth)
            continue
        assert isinstance(said, PixelAnswers)
        wanted = truth.reshape(-1)[places]
        void = said.status == VOID
        np.testing.assert_array_equal(said.places, places)
        np.testing.assert_array_equal(void, said.classes == 255)
        if unit.answer == 'all':
            np.testing.assert_array_equal(said.classes, wanted)
            continue
        for number in np.unique(regions):
            mine = regions == number
            (one,) = set(said.classes[mine].tolist())
            votes = np.bincount(wanted[mine], minlength=256)
            assert votes[one] == votes.max()


def test_it_is_packed_and_read_back(asked):
    unit, case, selection = asked
    again = case.store.selection(0)
    counts = case.store.counts(0)
    assert counts.requested == counts.labelled + counts.void + counts.refused
    for name, places in selection.places.items():
        np.testing.assert_array_equal(again.places[name], places)
        image = next(x for x in case.images if x.name == name)
        regions = selection.regions.get(name)
        said = unit.answers(case.truth[name], places, regions)
        every = np.ones(image.size, bool)
        packed = unit.pack(image, places, said, lambda _, every=every: every)
        assert len(packed.status) == (1 if unit.whole else len(places))
        if unit.whole:
            assert packed.shares.sum() == image.pixels
        with pytest.raises(RuntimeError, match='wanted'):
            unit.pack(image, places, None, lambda _: None)


def test_it_is_priced(asked):
    unit, case, selection = asked
    count = sum(map(selection.count, selection.places))
    count = len(selection) if unit.whole else count
    stored = case.store.asked(0)
    assert stored.requests == count
    assert COSTS.of(stored) == count * unit.price(COSTS)
    planned = unit.asked(count, stored.opened, stored.region_shares)
    assert planned == stored
    assert f'{float(unit.price(COSTS)):g}' in unit.price_in_words(COSTS)


def test_it_is_drawn_and_said(asked):
    unit, *_ = asked
    assert unit.drawn == {
        'pixel': 'marks', 'region': 'areas', 'image': 'sheet'
    }[unit.name]  # fmt: skip
    assert '1,234' in unit.in_words(Budget(1234, False), 'over the pool')
    assert isinstance(unit, Region) == unit.grouped


def test_an_answer_of_a_region_does_not_change_the_unit():
    unit = GridBoxes(3)
    assert unit.answered('dominant').answer == 'dominant'
    assert unit.answer == 'all'


REGION = """
active_learning['settings']['region'] = dict(
    shape=dict(type='GridBoxes', side=8), {options})
"""


def test_a_unit_from_outside_runs_a_few_rounds(tmp_path):
    root = write_images(tmp_path)
    text = REGION.format(options="query_size=2, answer='dominant'")
    config = write_config(root, 'region', text)
    main([str(config), '--work-dir', str(tmp_path / 'w')])
    rows = read_rounds(tmp_path / 'w')
    assert [row['regions'] for row in rows] == [16, 16, 16]
    assert [row['requested'] for row in rows] == [16 * 64] * 3
    assert rows[-1]['cost']['total'] == pytest.approx(48 * 2.4)  # one click
    store, boxes = store_of(tmp_path / 'w'), GridBoxes(8)
    for name, places in store.selection(1).places.items():
        labels = boxes.labels(PoolImage(name, (24, 32))).reshape(-1)
        counts = np.bincount(labels[places])
        assert set(counts.tolist()) <= {0, 64}  # whole boxes alone


def test_only_a_region_can_be_the_shape_of_regions(tmp_path):
    text = REGION.replace('GridBoxes', 'Pixels').replace(', side=8', '')
    config = write_config(
        write_images(tmp_path), 'region', text.format(options='query_size=2')
    )
    _, problems, _ = read_config(load_config(str(config)))
    assert any(
        "settings.region.shape.type: wanted a kind of region; got 'Pixels'"
        in problem
        for problem in problems
    )
