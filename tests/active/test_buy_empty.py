"""Every way to spend a budget, until a tiny pool is bought empty and beyond.

Loop, selectors, shapes, oracle, audit and label store are real; predictions
are made up. Shapes and selectors come from their registries, so that a new
one is tried by itself.
"""

import json
from functools import cache
from itertools import product

import numpy as np
import pytest

from segal.active.active_loop import ActiveLearningLoop
from segal.active.label_store.export import export
from segal.active.label_store.reading import check
from segal.active.label_store.store import LabelStore
from segal.active.opening import Opening
from segal.active.units.costs import Costs
from segal.active.units.spending import Spending
from segal.experiment.selecting import ConfiguredSelector
from segal.registry import SELECTORS, UNITS
from segal.structures import Budget, PoolImage
from tests.reference_store import CLASSES, BarePool, Levels, Person
from tests.selectors.build import build
from tests.selectors.cases import made_up

SIZES = {
    'usual': (7, 9),
    'line': (1, 11),
    'column': (6, 1),
    'less than a square': (2, 2),
    'one pixel': (1, 1),
    'void': (5, 4),
    'one colour': (4, 6),
}
FEW = 30
"""Rounds that a pool of these lasts at most, in every way that is tried."""


class Shown:
    """Scores and predictions of images without files, on one rank."""

    def __init__(self, images):
        self.images = {image.name: image for image in images}

    def statistics(self, heuristic, wrapper):
        return None

    def reads_network(self, needs):
        return False

    def scores(self, images, heuristic, wrapper, statistics, file, needs=()):
        for image in images:
            rng = np.random.default_rng([file, len(image.name)])
            seen = made_up(rng, image.name, image.size)
            yield image, heuristic.score(seen).numpy(), seen


class Case:
    """A pool, its truth, and a loop that asks about it.

    Args:
        folder: Of the label files.
        names: The images, of ``SIZES``.
        void: The oracle's policy.
        refused: How much it refuses, 0 to 1.
    """

    def __init__(self, folder, names=tuple(SIZES), void='charge', refused=0.0):
        rng = np.random.default_rng(0)
        self.images = [PoolImage(name, SIZES[name]) for name in names]
        self.truth = {
            x.name: rng.integers(0, 3, x.size).astype(np.uint8)
            for x in self.images
        }
        if 'void' in self.truth:
            self.truth['void'][:] = 255
        if 'usual' in self.truth:
            self.truth['usual'][:3, :4] = 255
        self.pixels = {
            x.name: rng.integers(0, 255, (*x.size, 3)).astype(np.uint8)
            for x in self.images
        }
        if 'one colour' in self.pixels:
            self.pixels['one colour'][:] = 90
        self.oracle = Person(
            refused, self.truth.get, self.images, CLASSES, void=void
        )
        self.folder = folder / 'labels'
        self.store = LabelStore(self.folder, self.images, 'dry')
        self.loop = ActiveLearningLoop(
            BarePool(self.images), self.store, self.oracle, 0, workers=0
        )
        self.loop.scorer = Shown(self.images)

    def shape(self, name, options):
        kind = UNITS.get(name)
        given = {}
        if kind.reads_images:
            given = dict(read_image=self.pixels.get, file=str, cache=None)
        built = kind(**given, **options)
        if hasattr(built, 'labels'):
            built.labels = cache(built.labels)  # of one pool, again and again
        return built

    def step(self, make, opening=None):
        """A round; what it asked of each image, and what it could not."""
        before = dict(zip(self.truth, self.loop.free().tolist(), strict=True))
        opened = dict(zip(self.truth, self.store.opened(), strict=True))
        selection = self.loop.step(Levels(3), make, None, opening)
        assert self.store.rounds == selection.round + 1
        return before, opened, selection

    def left(self):
        return dict(zip(self.truth, self.loop.free().tolist(), strict=True))

    def check_files(self, out):
        """The files read back as they are, and can be exported."""
        assert check(self.folder, self.images) == (self.store.rounds, [])
        again = LabelStore(self.folder, self.images, 'dry')
        assert again.fingerprint() == self.store.fingerprint()
        for number in range(again.rounds):
            again.selection(number)
            assert again.as_on_disk(number)
        export(again, CLASSES, out)
        lines = (out / 'labels.jsonl').read_text().splitlines()
        heads = [json.loads(x) for x in lines]
        assert sum(x['record'] == 'file' for x in heads) == again.rounds


class Making:
    """Builds selectors, and keeps the last one."""

    def __init__(self, **options):
        self.options = options

    def __call__(self, context):
        self.last = build(context, **self.options)
        return self.last


def shapes():
    """Every registered shape, in small."""
    small = {
        'Squares': [dict(radius=1), dict(radius=3)],
        'Superpixels': [dict(segments=4), dict(segments=60)],
    }
    for name, kind in sorted(UNITS.module_dict.items()):
        if not kind.grouped:
            continue
        for options in small.get(name, [{}]):
            yield pytest.param(name, options, id=f'{name}-{options}')


def selectors(*units):
    for name in sorted(SELECTORS.module_dict):
        kind = SELECTORS.get(name)
        if kind.unit in units and name != 'ScorePerCost':
            yield name


def check_spent(case, selector, spent, before, unspent, room):
    """A budget is spent, or each image gives all that it has.

    Args:
        case: After the round.
        selector: As it was for the round.
        spent: Image -> how much it gave.
        before: Image -> its free places before.
        unspent: What the loop says could not be spent.
        room: Image -> whether more of it may be asked.
    """
    budget = selector.budget
    assert sum(spent.values()) + unspent == selector.total()
    if not budget.per_image or not unspent:
        assert not unspent or not any(room.values())
        return
    anywhere = 'Global' in type(selector).__name__
    for name in before:
        share = budget.amount
        if budget.percent is not None:
            height, width = SIZES[name]
            share = int(height * width * budget.percent / 100)
        if anywhere or spent.get(name, 0) < share:
            assert not room[name], name


def buy_empty(case, make, opening=None, beyond=2):
    """Rounds until nothing is asked any more, and some beyond."""
    empty = rounds = 0
    while empty < beyond:
        before, opened, selection = case.step(make, opening)
        rounds += 1
        empty = empty + 1 if not len(selection) else 0
        assert rounds <= FEW, 'a round asked nothing new'
        yield before, opened, selection
    assert case.loop.unspent > 0 or opening is not None


BUDGETS = [
    Budget(4, True),
    Budget(30, False),
    Budget(9, True, in_pixels=True),
    Budget(55, False, in_pixels=True),
    Budget(0, True, percent=30.0),
    Budget(0, False, percent=40.0),
    Budget(10**7, False),
    Budget(10**7, True),
]


@pytest.mark.parametrize('name', selectors('region'))
@pytest.mark.parametrize(('shape', 'options'), shapes())
def test_regions_run_out(name, shape, options, tmp_path):
    """Each budget is spent, or all that is free, and then nothing is."""
    shuffled = 'Global' not in name
    ways = [
        (budget, answer)
        for budget, answer in product(BUDGETS, ('all', 'dominant'))
        if answer == 'all' or not budget.counts_pixels
    ]
    built = Case(tmp_path).shape(shape, options)
    for number, (budget, answer) in enumerate(ways):
        in_pixels = budget.counts_pixels
        void = ('charge', 'exclude')[number // 2 % 2]
        case = Case(tmp_path / str(number), void=void)
        make = Making(
            type=name,
            seed=0,
            shape=built,
            answer=answer,
            budget=budget,
            shuffle_prop=0.5 * (number % 2 and shuffled),
        )
        for before, _, selection in buy_empty(case, make):
            room = {
                x.name: built.room(
                    x, case.loop.asked(x), case.loop.available(x)
                )
                for x in case.images
            }
            spent = {
                x: len(places) if in_pixels else selection.count(x)
                for x, places in selection.places.items()
            }
            check_spent(
                case, make.last, spent, before, case.loop.unspent, room
            )
        if shape == 'Superpixels' and not in_pixels:
            assert not any(case.left().values())
    case.check_files(tmp_path / 'out')


@pytest.mark.parametrize('name', selectors('pixel', 'image'))
@pytest.mark.parametrize(
    'void', ['charge', pytest.param('exclude', marks=pytest.mark.slow)]
)
def test_pixels_and_images_run_out(name, void, tmp_path):
    """Each budget is spent, or all that is free, and then nothing is."""
    images = SELECTORS.get(name).unit == 'image'
    budgets = [Budget(3, False), Budget(9, False)]
    if not images:
        budgets = [Budget(11, True), Budget(40, False), Budget(10**7, False)]
    for number, budget in enumerate(budgets):
        case = Case(tmp_path / str(number), void=void)
        shuffle = 0.5 * (number % 2)
        make = ConfiguredSelector(dict(type=name), budget, None, shuffle)
        for before, _, selection in buy_empty(case, make):
            free = np.array(list(before.values()))
            if images:
                wanted = min(budget.amount, np.count_nonzero(free))
            elif budget.per_image and 'Global' not in name:
                wanted = int(np.minimum(free, budget.amount).sum())
            else:
                times = len(free) if budget.per_image else 1
                wanted = min(budget.amount * times, int(free.sum()))
            assert len(selection) == wanted
        assert not any(case.left().values())
    case.check_files(tmp_path / 'out')


OPENERS = sorted({*selectors('image'), 'ScorePerCost'})
INSIDE = [
    ('PixelsPerImage', {}),
    ('PixelsGlobal', {}),
    ('RegionsPerImage', dict(shape=('Squares', dict(radius=1)))),
    ('RegionsGlobal', dict(shape=('Superpixels', dict(segments=4)))),
    (
        'RegionsPerImage',
        dict(shape=('Superpixels', dict(segments=9)), answer='dominant'),
    ),
]


@pytest.mark.parametrize(
    ('split', 'opener'),
    [
        pytest.param(
            *(split, opener),
            marks=[]
            if (split, opener)
            in (('even', 'WholeImages'), ('even', 'CoreSet'), (0.3, 'Badge'))
            else [pytest.mark.slow],
        )
        for split in ('even', 0.3, 1.0)
        for opener in OPENERS
    ],
)
def test_images_and_places_in_them_run_out(opener, split, tmp_path):
    """Images are opened until all are; both budgets are spent, or all is."""
    by_cost = opener == 'ScorePerCost'
    if by_cost and split != 'even':
        pytest.skip('has a split of its own')
    ways = [
        (inside, budget)
        for inside in INSIDE
        for budget in (Budget(13, True), Budget(40, False))
        if split == 'even' or not budget.per_image
        if not by_cost or not (budget.per_image or 'shape' in inside[1])
    ]
    for number, ((name, options), budget) in enumerate(ways):
        case = Case(tmp_path / str(number))
        options = dict(options)
        shape = options.pop('shape', None)
        shape = shape and case.shape(*shape)
        part = dict(type=opener)
        if by_cost:
            part.update(pixels=budget.amount, first_pixels=5)
        opening = Opening(
            ConfiguredSelector(part, Budget(2, False)),
            2,
            budget,
            'score_per_cost' if by_cost else split,
            first_pixels=5,
        )
        make = ConfiguredSelector(dict(type=name, **options), budget, shape)
        pixels = shape is None
        for before, opened, selection in buy_empty(case, make, opening):
            new = [x for x in selection.places if not opened[x]]
            assert len(new) <= 2
            there = sum(before[x] for x in before if opened[x] or x in new)
            if pixels and not by_cost and not budget.per_image:
                assert len(selection) == min(budget.amount, there)
            if not pixels and not budget.per_image:
                asked = selection.region_count + case.loop.unspent
                assert asked == budget.amount
        assert all(case.store.opened())
        if pixels:
            assert not any(case.left().values())
    case.check_files(tmp_path / 'out')


@pytest.mark.parametrize('unit', ['pixel', 'region', 'image'])
def test_what_is_left_of_a_cost_is_never_spent(unit, tmp_path):
    """A sum that pays for more than there is buys all there is, once."""
    case = Case(tmp_path)
    part = dict(
        pixel=dict(type='PixelsGlobal'),
        image=dict(type='WholeImages'),
        region=dict(
            type='RegionsPerImage',
            answer='dominant',
        ),
    )[unit]
    shape = case.shape('Superpixels', dict(segments=4))
    costs = Costs(pixel=1.0, image=40.0, open=3.0)
    amount = dict(pixel=70.0, region=20.0, image=120.0)[unit]
    spending = Spending(amount, costs, unit, answer=part.get('answer', 'all'))
    make = ConfiguredSelector(
        part, Budget(0, False), shape, spending=spending, store=case.store
    )
    for number, _ in enumerate(buy_empty(case, make)):
        paid = sum(
            costs.of(case.store.asked(file)) for file in range(number + 1)
        )
        assert paid <= amount * (number + 1)
    assert not any(case.left().values())


@pytest.mark.parametrize('name', list(SIZES))
@pytest.mark.parametrize('refused', [0.0, 1.0])
@pytest.mark.parametrize(('shape', 'options'), shapes())
def test_a_pool_of_one_image_runs_out(name, refused, shape, options, tmp_path):
    """Refused and void answers are asked once, as any others."""
    case = Case(tmp_path, [name], refused=refused)
    make = ConfiguredSelector(
        dict(type='RegionsPerImage', answer='dominant'),
        Budget(6, False),
        case.shape(shape, options),
    )
    for _ in buy_empty(case, make):
        pass
    counts = case.store.counts()
    if refused:
        assert counts.refused == counts.requested > 0
    elif name == 'void':
        assert counts.void == counts.requested > 0
    case.check_files(tmp_path / 'out')


def test_nothing_askable_from_the_first_round_on(tmp_path):
    """A pool of void alone, of which void is excluded, asks nothing."""
    case = Case(tmp_path, ['void'], void='exclude')
    make = ConfiguredSelector(dict(type='PixelsGlobal'), Budget(3, False))
    (first, _) = list(buy_empty(case, make))
    assert not len(first[2])
    assert case.store.counts().requested == 0
