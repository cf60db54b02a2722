"""Regions: where they lie, and how a budget is spent on them."""

import multiprocessing
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from segal.active.label_store.audit import check_answers
from segal.active.label_store.audit_regions import check_regions
from segal.active.label_store.store import LabelStore
from segal.active.units.region import dominant
from segal.active.units.regions import Squares, Superpixels, Wanted
from segal.active.units.regions.picking import pick_apart
from segal.errors import ConfigError, StateError
from segal.seeding import key, place_keys
from segal.structures import (
    Answers,
    Budget,
    PixelAnswers,
    PoolImage,
    Selection,
)
from tests.selectors.build import build
from tests.selectors.cases import Scored

quick = settings(max_examples=80, deadline=None)
seeds = st.integers(0, 10**6)
AGGREGATES = ('mean', 'max', 'sum', 'one')


def inside(size, radius, number):
    """The places of a square, one by one."""
    height, width = size
    row, column = divmod(number, width)
    return [
        y * width + x
        for y in range(row - radius, row + radius + 1)
        for x in range(column - radius, column + radius + 1)
        if 0 <= y < height and 0 <= x < width
    ]


def reference(score, asked, askable, radius, aggregate, ties, count):
    """One argmax for each square, and everything counted one by one."""
    size = score.shape
    flat, asked, askable = score.reshape(-1), asked.ravel(), askable.ravel()
    value = {}
    for number in range(flat.size):
        places = inside(size, radius, number)
        mine = [p for p in places if askable[p]]
        if not mine or any(asked[p] for p in places):
            continue
        exact = flat[mine].astype(np.float64)
        value[number] = np.float32(
            flat[number] if aggregate == 'one' else getattr(exact, aggregate)()
        )
    found = []
    keys = ties(np.arange(flat.size))
    while value and len(found) < count:
        first = min(value, key=lambda n: (-value[n], keys[n]))
        found.append((first, value[first]))
        taken = set(inside(size, radius, first))
        value = {
            n: v
            for n, v in value.items()
            if taken.isdisjoint(inside(size, radius, n))
        }
    return found


@quick
@given(
    seeds,
    st.sampled_from([1, 2, 5]),
    st.sampled_from(AGGREGATES),
    st.sampled_from([1, 2, 64]),
    st.integers(0, 12),
)
def test_squares_are_those_of_one_argmax_each(
    seed, radius, aggregate, levels, count
):
    rng = np.random.default_rng(seed)
    size = tuple(rng.integers(1, 14, 2).tolist())
    # sixty-fourths: sums are exact in whatever order they are taken
    score = (rng.integers(0, levels, size) / 64).astype(np.float32)
    asked = rng.random(size) < rng.choice([0, 0.03])
    askable = ~asked & (rng.random(size) < rng.choice([1, 0.8]))

    def ties(at):
        return place_keys(seed, at)

    found = Squares(radius).best(
        PoolImage('a', size),
        score,
        asked,
        askable,
        aggregate,
        ties,
        Wanted(regions=count),
    )
    wanted = reference(score, asked, askable, radius, aggregate, ties, count)
    assert found.numbers.tolist() == [number for number, _ in wanted]
    np.testing.assert_array_equal(found.scores, [value for _, value in wanted])
    free = askable.reshape(-1)
    assert found.sizes.tolist() == [
        sum(free[p] for p in inside(size, radius, number))
        for number in found.numbers
    ]


@pytest.mark.parametrize('levels', [1, 3, 10**6])
@pytest.mark.parametrize('reach', [2, 9, 40])
def test_sorting_finds_what_one_argmax_each_finds_on_a_large_map(
    levels, reach
):
    rng = np.random.default_rng(levels)
    values = rng.integers(0, levels, (300, 500)).astype(np.float32)
    values[:40] = -np.inf

    def ties(at):
        return place_keys(7, at)

    found = pick_apart(values, reach, ties, Wanted(regions=700))
    left, wanted = values.copy(), []
    for _ in range(700):
        best = left.max()
        if best == -np.inf:
            break
        level = np.flatnonzero(left.reshape(-1) == best)
        place = int(level[ties(level).argmin()])
        row, column = divmod(place, 500)
        left[
            max(0, row - reach) : row + reach + 1,
            max(0, column - reach) : column + reach + 1,
        ] = -np.inf
        wanted.append(place)
    assert found.tolist() == wanted
    stop = Wanted(least=float(values.reshape(-1)[wanted[20]]))
    assert (
        values.reshape(-1)[pick_apart(values, reach, ties, stop)] >= stop.least
    ).all()


def test_equal_neighbourhoods_have_equal_scores():
    score = np.full((40, 40), 0.1, np.float32)
    none, all_of_it = np.zeros((40, 40), bool), np.ones((40, 40), bool)
    values, _ = Squares(4).values(score, none, all_of_it, 'mean')
    assert len(np.unique(values)) == 1


@quick
@given(seeds, st.sampled_from([1, 2]))
def test_the_pixels_of_squares(seed, radius):
    rng = np.random.default_rng(seed)
    size = tuple(rng.integers(1, 9, 2).tolist())
    image = PoolImage('a', size)
    none, every = np.zeros(size, bool), np.ones(size, bool)
    found = Squares(radius).best(
        image,
        rng.random(size).astype(np.float32),
        none,
        every,
        'mean',
        lambda at: place_keys(0, at),
        Wanted(),
    )
    places, owner = Squares(radius).pixels(image, found.numbers)
    assert (np.diff(places) > 0).all()  # sorted, and no two squares overlap
    for i, number in enumerate(found.numbers.tolist()):
        assert places[owner == i].tolist() == inside(size, radius, number)
    asked = none.copy()
    asked.reshape(-1)[places] = True
    assert not Squares(radius).room(image, asked, ~asked)
    assert Squares(radius).room(image, none, every)


class Cut(Squares):
    """Columns of two, for a shape of one's own."""

    def __init__(self):
        super().__init__(1)

    def best(self, image, score, asked, askable, aggregate, ties, wanted):
        columns = np.arange(0, image.size[1], 2)
        values = np.array([score[:, c : c + 2].mean() for c in columns])
        sizes = np.array([askable[:, c : c + 2].sum() for c in columns], int)
        free = [
            i
            for i, c in enumerate(columns)
            if sizes[i] and not asked[:, c : c + 2].any()
        ]
        keys = ties(columns)
        order = sorted(free, key=lambda i: (-np.float32(values[i]), keys[i]))
        picked, pixels = [], 0
        for i in order:
            low = np.float32(values[i]) < wanted.least
            if low or len(picked) >= wanted.regions or pixels >= wanted.pixels:
                break
            picked.append(i)
            pixels += sizes[i]
        picked = np.array(picked, int)
        from segal.active.units.regions import Found

        return Found(
            columns[picked], values[picked].astype(np.float32), sizes[picked]
        )

    def pixels(self, image, numbers):
        owner = np.full(image.size, -1, np.int32)
        for i, c in enumerate(numbers.tolist()):
            owner[:, c : c + 2] = i
        places = np.flatnonzero(owner.reshape(-1) >= 0)
        return places, owner.reshape(-1)[places]


SHAPES = {'squares': Squares(1), 'columns': Cut()}
WAYS = [
    ('RegionsPerImage', dict(per_image=True)),
    ('RegionsPerImage', dict(per_image=False)),
    ('RegionsPerImage', dict(per_image=True, in_pixels=True)),
    ('RegionsPerImage', dict(per_image=False, in_pixels=True)),
    ('RegionsPerImage', dict(per_image=True, percent=20.0)),
    ('RegionsPerImage', dict(per_image=False, percent=20.0)),
    ('RegionsPerImage', dict(per_image=True, shuffle_prop=0.5)),
    ('RegionsPerImage', dict(per_image=False, answer='dominant')),
    ('RegionsGlobal', dict(per_image=False)),
    ('RegionsGlobal', dict(per_image=True)),
    ('RegionsGlobal', dict(per_image=False, in_pixels=True)),
    ('RegionsGlobal', dict(per_image=False, percent=12.5)),
]


class Regions(Scored):
    """The pool of the other selectors, some places asked before."""

    def __init__(self, seed, shape, **options):
        super().__init__(seed, **options)
        rng = np.random.default_rng(seed + 1)
        self.shape = SHAPES[shape]
        self.asked = {
            x.name: ~self.available[x.name] & (rng.random(x.size) < 0.05)
            for x in self.images
        }

    def selector(self, name, amount, options, seed=0, number=3):
        options = dict(options)
        budget = Budget(
            0 if 'percent' in options else amount,
            options.pop('per_image'),
            options.pop('in_pixels', False),
            options.pop('percent', None),
        )
        return build(
            type=name,
            images=self.images,
            free=self.free,
            budget=budget,
            round=number,
            seed=seed,
            unit=self.shape,
            asked=lambda image: self.asked[image.name].copy(),
            available=lambda image: self.available[image.name].copy(),
            **options,
        )

    def chosen(self, name, amount, options):
        """A selection, and the selector that made it."""
        selector = self.selector(name, amount, options)
        for image in self.images:
            selector.shortlist(
                image, self.scores[image.name], self.available[image.name]
            )
        return selector.choose([selector.candidates()]), selector


def same(a, b):
    for mine, other in (
        (a.places, b.places),
        (a.scores, b.scores),
        (a.regions, b.regions),
    ):
        assert list(mine) == list(other)
        for name in mine:
            np.testing.assert_array_equal(mine[name], other[name])


@quick
@given(
    st.sampled_from(WAYS),
    st.sampled_from(list(SHAPES)),
    seeds,
    st.integers(0, 40),
    st.randoms(use_true_random=False),
)
def test_a_budget_of_regions_is_spent_exactly_on_any_ranks(
    way, shape, seed, amount, random
):
    name, options = way
    pool = Regions(seed, shape, count=7)
    selection, chooser = pool.chosen(name, amount, options)
    for image, places in selection.places.items():
        assert (np.diff(places) > 0).all()
        assert pool.available[image].reshape(-1)[places].all()
        regions = selection.regions[image]
        assert np.unique(regions).tolist() == list(range(regions.max() + 1))
        assert len(selection.scores[image]) == len(places)
    check_regions(selection, chooser)  # the budget, or no room is left
    for ranks in (2, 3):
        order = random.sample(range(7), 7)
        other, _ = pool.select(name, amount, options, ranks, order)
        same(selection, other)


@quick
@given(seeds, st.integers(0, 30))
def test_global_regions_are_the_best_of_all_images_own(seed, amount):
    pool = Regions(seed, 'squares', count=9, levels=3)
    options = dict(per_image=False)
    selection, _ = pool.select('RegionsGlobal', amount, options, ranks=2)
    every = []
    for image in pool.images:
        stream = key(0, 3, 'tie', image.name)
        found = pool.shape.best(
            image,
            pool.scores[image.name],
            pool.asked[image.name],
            pool.available[image.name],
            'mean',
            lambda at, stream=stream: place_keys(stream, at),
            Wanted(),
        )
        ties = place_keys(stream, found.numbers)
        every += zip(
            (-found.scores).tolist(),
            ties.tolist(),
            [image.name] * len(ties),
            found.sizes.tolist(),
            strict=True,
        )
    best = sorted(every)[:amount]
    assert len(selection) == sum(size for *_, size in best)
    for name in {name for _, _, name, _ in best}:
        count = sum(name == other for _, _, other, _ in best)
        assert selection.regions[name].max() + 1 == count


def test_memory_of_a_global_budget_is_bounded_by_it():
    pool = Regions(3, 'squares', count=40, share=1.0)
    selector = pool.selector('RegionsGlobal', 4, dict(per_image=False))
    for image in pool.images:
        selector.shortlist(
            image, pool.scores[image.name], pool.available[image.name]
        )
        assert selector._held <= 12
    assert len(selector.candidates()) == 4


@pytest.mark.parametrize(
    ('name', 'options', 'said'),
    [
        ('RegionsPerImage', dict(aggregate='mode'), "'mode' is not known"),
        ('RegionsPerImage', dict(answer='one'), "wanted 'all' or"),
        (
            'RegionsPerImage',
            dict(answer='dominant', in_pixels=True),
            'count it in regions',
        ),
        ('RegionsGlobal', dict(shuffle_prop=0.5), 'sample_evenly=True'),
    ],
)
def test_what_has_no_meaning_is_refused(name, options, said):
    with pytest.raises(ConfigError, match=said):
        Regions(0, 'squares').selector(
            name, 5, dict(per_image=False, **options)
        )


def faulty(change):
    pool = Regions(1, 'squares', count=5, share=1.0)
    options = dict(per_image=True)
    selection, selector = pool.chosen('RegionsPerImage', 2, options)
    change(selection, selector)
    return selection, selector


def drop_one(selection, selector):
    name = max(selection.places, key=lambda n: selection.regions[n].max())
    kept = selection.regions[name] == 0
    selection.places[name] = selection.places[name][kept]
    selection.regions[name] = selection.regions[name][kept]


def forget_one(selection, selector):
    """As if a region had never been chosen, though there was room."""
    drop_one(selection, selector)
    name = next(
        n for n, x in selector.numbers.items()
        if len(x) > selection.regions[n].max() + 1
    )  # fmt: skip
    selector.numbers[name] = selector.numbers[name][:1]


def ask_beside(selection, selector):
    """A pixel that is in no region."""
    name = min(selection.places, key=lambda n: len(selection.places[n]))
    size = next(x.size for x in selector.images if x.name == name)
    free = np.setdiff1d(np.arange(size[0] * size[1]), selection.places[name])
    places = np.append(selection.places[name], free[:1])
    order = np.argsort(places)
    selection.places[name] = places[order]
    regions = np.append(selection.regions[name], np.int32(0))
    selection.regions[name] = regions[order]


def split_one(selection, selector):
    name = max(selection.places, key=lambda n: len(selection.places[n]))
    selection.regions[name] = np.arange(
        len(selection.places[name]), dtype=np.int32
    )


@pytest.mark.parametrize(
    ('change', 'said'),
    [
        (drop_one, 'wanted whole regions'),
        (split_one, 'wanted at most'),
        (forget_one, 'with room left in'),
        (ask_beside, 'wanted whole regions'),
    ],
)
def test_the_audit_of_regions_finds_what_is_wrong(change, said):
    check_regions(*faulty(lambda *_: None))
    with pytest.raises(RuntimeError, match=said):
        check_regions(*faulty(change))


@pytest.mark.parametrize('aggregate', ['mean', 'max', 'sum'])
@pytest.mark.parametrize('seed', range(4))
def test_random_regions_lie_apart_and_have_their_scores(seed, aggregate):
    rng = np.random.default_rng(seed)
    image = PoolImage('a', (30, 40))
    available = rng.random(image.size) < 0.9
    selector = build(
        type='RegionsPerImage',
        images=[image],
        free=np.array([available.sum()]),
        budget=Budget(24, True),
        round=1,
        seed=seed,
        shuffle_prop=0.5,
        unit=Squares(2),
        aggregate=aggregate,
        available=lambda image: available,
    )
    score = rng.random(image.size).astype(np.float32)
    selector.shortlist(image, score, available)
    selection = selector.choose([selector.candidates()])
    places, regions = selection.places['a'], selection.regions['a']
    assert (np.diff(places) > 0).all()  # none twice
    assert regions.max() + 1 == 24
    check_regions(selection, selector)
    for number in range(24):
        (told,) = set(selection.scores['a'][regions == number].tolist())
        mine = score.reshape(-1)[places[regions == number]]
        assert told == pytest.approx(getattr(mine, aggregate)())


def test_a_dominant_answer_is_one_a_region(tmp_path):
    image = PoolImage('a', (2, 3))
    store = LabelStore(tmp_path / 'labels', [image])
    places = np.array([0, 1, 3, 4])
    selection = Selection(
        0,
        'pixel',
        dict(a=places),
        regions=dict(a=np.array([0, 1, 0, 1], np.int32)),
        answer='dominant',
    )

    def said(*classes):
        status = np.zeros(4, np.uint8)
        answer = PixelAnswers(places, np.array(classes, np.uint8), status)
        return Answers(selection, dict(a=answer))

    check_answers(selection, said(2, 5, 2, 5), store)
    with pytest.raises(RuntimeError, match='one answer a region'):
        check_answers(selection, said(2, 5, 2, 2), store)


def test_the_dominant_class_of_each_region():
    classes = np.array([3, 1, 1, 255, 255, 7, 255, 255, 2], np.uint8)
    regions = np.array([0, 0, 0, 1, 1, 1, 2, 3, 3], np.int32)
    assert dominant(classes, regions).tolist() == [
        *(1, 1, 1),
        *(255, 255, 255),
        255,
        *(2, 2),  # as many as void: a class wins
    ]


@pytest.fixture
def picture(tmp_path):
    rng = np.random.default_rng(0)
    pixels = np.kron(rng.integers(0, 256, (6, 8, 3)), np.ones((10, 10, 1)))
    path = tmp_path / 'a.png'
    Image.fromarray(pixels.astype(np.uint8)).save(path)
    reads = []

    def read(name):
        reads.append(name)
        with Image.open(path) as image:
            return np.array(image)

    shape = Superpixels(
        read, lambda name: str(path), tmp_path / 'cut', segments=40
    )
    return SimpleNamespace(
        shape=shape, image=PoolImage('a', (60, 80)), path=path, reads=reads
    )


def test_superpixels_are_cut_once_and_again_when_the_image_changes(picture):
    labels = picture.shape.labels(picture.image)
    assert labels.shape == (60, 80)
    assert 20 <= labels.max() + 1 <= 80
    firsts = np.unique(labels, return_index=True)
    assert firsts[0].tolist() == list(range(labels.max() + 1))
    assert (np.diff(firsts[1]) > 0).all()
    np.testing.assert_array_equal(picture.shape.labels(picture.image), labels)
    assert len(picture.reads) == 1
    (kept,) = (picture.path.parent / 'cut').iterdir()
    kept.write_bytes(kept.read_bytes()[:100])  # hurt: made again
    np.testing.assert_array_equal(picture.shape.labels(picture.image), labels)
    assert len(picture.reads) == 2
    whole = kept.read_bytes()
    for at in range(60, len(whole) - 16, 10):  # one byte of what is packed
        hurt = bytearray(whole)
        hurt[at] ^= 0x55
        kept.write_bytes(hurt)
        np.testing.assert_array_equal(
            picture.shape.labels(picture.image), labels
        )
    reads = len(picture.reads)
    Image.fromarray(np.zeros((60, 80, 3), np.uint8)).save(picture.path)
    picture.shape.labels(picture.image)
    assert len(picture.reads) == reads + 1


def test_two_processes_may_cut_the_same_image_at_once(picture):
    labels = picture.shape.labels(picture.image)
    picture.shape._cut = lambda image: labels
    fork = multiprocessing.get_context('fork')
    together, failed = fork.Barrier(2), fork.Value('i', 0)

    def cut():
        for compactness in range(11, 61):
            picture.shape.compactness = compactness
            together.wait()
            try:
                picture.shape.labels(picture.image)
            except StateError:
                failed.value += 1

    processes = [fork.Process(target=cut) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert failed.value == 0
    assert len(list((picture.path.parent / 'cut').iterdir())) == 51


def test_superpixels_that_are_too_many_are_refused(picture, monkeypatch):
    monkeypatch.setattr('segal.active.units.regions.superpixels.MOST', 3)
    with pytest.raises(ConfigError, match=r'at most 3 superpixels .* lower'):
        picture.shape.labels(picture.image)


@pytest.mark.parametrize('aggregate', AGGREGATES)
def test_superpixels_score_what_their_pixels_do(picture, aggregate):
    rng = np.random.default_rng(1)
    size = picture.image.size
    score = (rng.integers(0, 9, size) / 64).astype(np.float32)
    labels = picture.shape.labels(picture.image)
    asked = np.zeros(size, bool)
    asked[5, 5] = True
    askable = ~asked & (rng.random(size) < 0.9)
    found = picture.shape.best(
        picture.image,
        score,
        asked,
        askable,
        aggregate,
        lambda at: at.astype(np.uint64),
        Wanted(),
    )
    wanted = {}
    for number in range(labels.max() + 1):
        mine = (labels == number) & askable
        if mine.any() and not asked[labels == number].any():
            wanted[number] = np.float32(
                score[labels == number][0]
                if aggregate == 'one'
                else getattr(score[mine].astype(np.float64), aggregate)()
            )
    order = sorted(wanted, key=lambda n: (-wanted[n], n))
    assert found.numbers.tolist() == order
    np.testing.assert_array_equal(found.scores, [wanted[n] for n in order])
    places, owner = picture.shape.pixels(picture.image, found.numbers[:3])
    for i, number in enumerate(found.numbers[:3]):
        assert (labels.reshape(-1)[places[owner == i]] == number).all()
    assert len(places) == sum(
        (labels == number).sum() for number in found.numbers[:3]
    )
    few = picture.shape.best(
        picture.image,
        score,
        asked,
        askable,
        aggregate,
        lambda at: at.astype(np.uint64),
        Wanted(pixels=int(found.sizes[:2].sum())),
    )
    assert few.numbers.tolist() == order[:2]


def test_random_regions_are_not_those_that_are_cut():
    image = PoolImage('a', (12, 40))
    score = np.tile(np.linspace(0, 1, 40, dtype=np.float32), (12, 1))
    selector = build(
        type='RegionsPerImage',
        images=[image],
        free=np.array([image.pixels]),
        budget=Budget(60, True, in_pixels=True),
        round=1,
        seed=0,
        shuffle_prop=0.4,
        unit=Squares(2),
    )
    selector.shortlist(image, score, np.ones(image.size, bool))
    selection = selector.choose([selector.candidates()])
    check_regions(selection, selector)
    regions, scores = selection.regions['a'], selection.scores['a']
    assert np.bincount(regions).tolist() == [25, 15, 15, 5]
    assert scores[regions == 0].max() < scores[regions != 0].min()
