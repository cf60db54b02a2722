"""Ground truth as an oracle: void policies, and annotations that are wrong."""

import numpy as np
import pytest

from segal.active.label_store.store import LabelStore
from segal.active.oracles import BaseOracle
from segal.errors import ConfigError, DataError
from segal.registry import ORACLES
from segal.structures import (
    LABELLED,
    VOID,
    Answers,
    PixelAnswers,
    PoolImage,
    Selection,
)

CLASSES = ('road', 'tree', 'sky')
POOL = [PoolImage('a', (2, 3)), PoolImage('b', (2, 2)), PoolImage('c', (1, 4))]
TRUTH = {
    'a': np.array([[0, 1, 255], [2, 11, 0]], np.uint8),
    'b': np.full((2, 2), 11, np.uint8),
    'c': np.array([[2, 2, 1, 1]], np.uint8),
}


class Files:
    """Annotations that remember who read them."""

    def __init__(self, **changes):
        self.truth = {**TRUTH, **changes}
        self.read = []

    def __call__(self, name):
        self.read.append(name)
        return self.truth[name]


def build(files=None, **options):
    return ORACLES.build(
        dict(
            type='GroundTruthOracle',
            read=files or Files(),
            pool=POOL,
            **{'classes': CLASSES, 'ignore_index': 11, **options},
        )
    )


def pixels(**places):
    return Selection(
        0, 'pixel', {k: np.array(v, np.int64) for k, v in places.items()}
    )


def images(*names):
    return Selection(0, 'image', {x: np.empty(0, np.int64) for x in names})


@pytest.mark.parametrize('dtype', [np.uint8, np.int64])
def test_pixels_are_looked_up(dtype):
    oracle = build(Files(a=TRUTH['a'].astype(dtype)))
    selection = pixels(a=[0, 2, 3, 4], c=[3])
    answers = oracle.answer(selection)
    assert answers.selection is selection
    assert list(answers.images) == ['a', 'c']
    got = answers.images['a']
    assert got.places.tolist() == [0, 2, 3, 4]
    assert got.status.tolist() == [LABELLED, VOID, LABELLED, VOID]
    assert got.classes[[0, 2]].tolist() == [0, 2]
    assert (got.classes.dtype, got.status.dtype) == (np.uint8, np.uint8)
    assert answers.images['c'].classes.tolist() == [1]


def test_whole_images_are_label_maps_with_255_for_void():
    answers = build().answer(images('a', 'b'))
    label_map = answers.images['a'].label_map
    assert label_map.dtype == np.uint8
    assert label_map.tolist() == [[0, 1, 255], [2, 255, 0]]
    assert (answers.images['b'].label_map == 255).all()
    assert TRUTH['a'][1, 1] == 11  # untouched


def test_an_ignored_class_id_is_void():
    oracle = build(ignore_index=2, classes=('x',) * 12)
    assert oracle.answer(pixels(c=[0, 2])).images['c'].status.tolist() == [
        VOID,
        LABELLED,
    ]


def test_the_store_takes_the_answers(tmp_path):
    oracle, store = build(), LabelStore(tmp_path, POOL)
    store.append(oracle.answer(pixels(a=[1, 2], b=[0])))
    assert store.counts() == (3, 1, 2, 0, 1)


class TestCharge:
    def test_nothing_is_known_beforehand(self, tmp_path):
        files = Files()
        oracle = build(files)
        assert all(oracle.askable(image) is None for image in POOL)
        store = LabelStore(tmp_path, POOL)
        assert oracle.free(POOL, store).tolist() == [6, 4, 4]
        oracle.answer(pixels(c=[0]))
        assert files.read == ['c']

    def test_says_so(self):
        assert 'charged' in build().describe()


class TestExclude:
    def test_void_is_never_asked(self):
        oracle = build(void='exclude')
        masks = [oracle.askable(image) for image in POOL]
        assert masks[0].tolist() == [[True, True, False], [True, False, True]]
        assert not masks[1].any()
        assert masks[2].all()
        assert masks[0].dtype == bool

    def test_free_is_exact_while_the_pool_runs_dry(self, tmp_path):
        files = Files()
        oracle = build(files, void='exclude')
        store = LabelStore(tmp_path, POOL)
        rounds = [pixels(a=[0, 5], c=[1]), pixels(a=[1, 3]), images('c')]
        for number, selection in enumerate(rounds):
            self.check(oracle, store)
            store.append(
                oracle.answer(
                    Selection(number, selection.unit, selection.places)
                )
            )
        self.check(oracle, store)
        assert oracle.free(POOL, store).tolist() == [0, 0, 0]

    def check(self, oracle, store):
        counted = [
            (oracle.askable(x) & store.available(x.name)).sum() for x in POOL
        ]
        assert oracle.free(POOL, store).tolist() == counted

    def test_ground_truth_is_counted_once(self, tmp_path):
        files = Files()
        oracle = build(files, void='exclude')
        store = LabelStore(tmp_path, POOL)
        for _ in range(3):
            assert oracle.free(POOL, store).tolist() == [4, 0, 4]
        assert files.read == ['a', 'b', 'c']

    def test_says_so(self):
        assert 'excludes void' in build(void='exclude').describe()


@pytest.mark.parametrize(
    ('truth', 'said'),
    [
        (np.zeros((3, 2), np.uint8), ['(2, 3)', '(3, 2)']),
        (np.zeros((2, 3, 3), np.uint8), ['(2, 3)', '(2, 3, 3)']),
        (None, ['(2, 3)', '()']),
        (np.zeros((2, 3)), ['whole class ids', 'float64']),
        (
            np.array([[0, 1, 3], [12, 12, -1]]),
            ['0 to 2', '11', '[-1, 3, 12]', '4 pixels', 'reduce_zero_label'],
        ),
    ],
)
def test_a_wrong_annotation_is_named(truth, said):
    oracle = build(Files(a=truth))
    for selection in (pixels(a=[0]), images('a')):
        with pytest.raises(DataError) as error:
            oracle.answer(selection)
        for part in ("'a'", *said):
            assert part in str(error.value)


def test_a_missing_annotation_is_named():
    def read(name):
        raise FileNotFoundError('a.png')

    with pytest.raises(DataError, match=r"'a'.*a\.png"):
        build(read).answer(pixels(a=[0]))


def test_an_unknown_policy():
    with pytest.raises(ConfigError, match="did you mean 'exclude'"):
        build(void='exclud')


@pytest.mark.parametrize('count', [0, 256])
def test_a_class_count_that_cannot_be_stored(count):
    with pytest.raises(ConfigError, match=f'got {count}'):
        build(classes=('x',) * count)


def test_an_oracle_of_ones_own(tmp_path):
    class Person(BaseOracle):
        def answer(self, selection):
            return Answers(
                selection,
                {
                    name: PixelAnswers(
                        at, at.astype(np.uint8), np.zeros(len(at), np.uint8)
                    )
                    for name, at in selection.places.items()
                },
            )

    store = LabelStore(tmp_path, POOL)
    assert Person().askable(POOL[0]) is None
    assert Person().free(POOL, store).tolist() == [6, 4, 4]
    assert 'Person' in Person().describe()
    store.append(Person().answer(pixels(a=[1])))
    assert store.counts().labelled == 1
