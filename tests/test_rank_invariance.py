"""The same weights choose the same labels, however many ranks look.

Byte for byte: label files of 1, 2, 3 and 4 processes are compared, of shards
that do not come out even, of ranks without an image, with any number of
loader workers, and with many equal scores.
"""

import functools
import logging
from pathlib import Path

import mmcv
import numpy as np
import pytest
import torch
from mmcv.utils import Config
from mmseg.datasets import build_dataset
from mmseg.models import build_segmentor

from segal import compat
from segal.active.active_loop import ActiveLearningLoop
from segal.active.dataset.base import LoadFirst
from segal.active.dataset.pool import open_pool
from segal.active.heuristics import BaseHeuristic, Entropy, Margin, Random
from segal.active.label_store.store import LabelStore
from segal.active.opening import Opening
from segal.active.oracles import GroundTruthOracle
from segal.active.units.regions import Squares
from segal.distributed import ranks
from segal.features.of_pool import PoolFeatures
from segal.features.segmentor import Segmentor
from segal.model_wrapper import ModelWrapper
from segal.models.speed import speed_up
from segal.seeding import key, place_keys
from segal.structures import Budget
from tests.ranks import run_ranks
from tests.selectors.build import build
from tests.tiny import CLASSES, write_config

SIZES = [(24, 32)] * 7 + [(20, 28)] * 4
FLAT = (2, 5, 9)
"""Images of one grey: their scores tie, within each and between two."""

WAYS = {
    'even': dict(type='PixelsPerImage', amount=7, per_image=True),
    'split': dict(type='PixelsPerImage', amount=50, shuffle_prop=0.2),
    'top': dict(
        type='PixelsPerImage', amount=5, per_image=True, top_percent=10
    ),
    'top of a split': dict(
        type='PixelsPerImage', amount=31, top_percent=2.5, shuffle_prop=0.3
    ),
    'anywhere': dict(type='PixelsGlobal', amount=61),
    'anywhere, shuffled': dict(
        type='PixelsGlobal', amount=97, shuffle_prop=0.4
    ),
    'classes': dict(type='PixelsStratified', amount=5, per_image=True),
    'classes, anywhere': dict(
        type='PixelsStratifiedGlobal', amount=71, shuffle_prop=0.3
    ),
    'squares': dict(
        type='RegionsPerImage',
        amount=2,
        per_image=True,
        shape=Squares(1),
        shuffle_prop=0.5,
    ),
    'squares anywhere': dict(type='RegionsGlobal', amount=9, shape=Squares(2)),
    'opened': dict(type='PixelsPerImage', amount=31, opening='even'),
    'opened, split': dict(type='PixelsGlobal', amount=40, opening=0.3),
    'opened where it pays': dict(
        type='PixelsGlobal', amount=40, opening='score_per_cost'
    ),
    'images': dict(type='WholeImages', amount=3),
    'images, shuffled': dict(
        type='WholeImages', amount=4, aggregate='max', shuffle_prop=0.5
    ),
}

DESCRIBED = {
    'core set': dict(type='CoreSet', amount=2, shuffle_prop=0.5),
    'k-means++': dict(type='KMeansPlusPlus', amount=3, shortlist=1.5),
    'clusters': dict(type='TypiClust', amount=3, neighbours=2),
    'gradients of images': dict(type='Badge', amount=3, dims=2),
    'gradients': dict(type='PixelsBadge', amount=4, per_image=True),
    'k-centre, anywhere': dict(
        type='PixelsKCentreGlobal', amount=40, dims=3, shuffle_prop=0.2
    ),
    'gradients, anywhere': dict(type='PixelsBadgeGlobal', amount=40),
}
"""Of what the network sees, not of what it says alone."""


@pytest.fixture(scope='module')
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp('eleven')
    rng = np.random.default_rng(3)
    for i, size in enumerate(SIZES):
        image = rng.integers(0, 256, (*size, 3))
        if i in FLAT:
            image[:] = 97
        labels = rng.integers(0, len(CLASSES), size)
        labels[:, :3] = 255
        for folder, array in (('images', image), ('annotations', labels)):
            path = root / folder / f'{i:02d}.png'
            mmcv.imwrite(array.astype(np.uint8), str(path))
    write_config(root)
    return root


def network(cfg):
    """Fixed weights, batch norm's own among them."""
    torch.manual_seed(5)
    model = build_segmentor(cfg.model)
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            for value in (module.running_mean, module.bias.data):
                value.normal_()
            for value in (module.running_var, module.weight.data):
                value.uniform_(0.5, 2)
        elif isinstance(module, torch.nn.Conv2d):
            torch.nn.init.normal_(module.weight, std=0.5)
    return ModelWrapper(model, torch.device('cpu'))


@functools.cache
def parts(root, images, sped):
    """The pool's first so many images, their annotations, the network."""
    compat.apply()
    cfg = Config.fromfile(str(root / 'tiny_pixel.py'))
    cfg.data.query.test_mode = True
    dataset = build_dataset(cfg.data.query)
    dataset.img_infos = dataset.img_infos[:images]
    pool = open_pool(dataset)
    files = LoadFirst(dataset, 'data.query')

    def read(name):
        return files.load_annotation(pool.position[name])

    wrapper = network(cfg)
    if sped:
        speed_up(wrapper.model, channels_last=True, precision='bf16')
    return pool, read, wrapper


def open_loop(
    root,
    folder,
    images=11,
    void='charge',
    workers=0,
    described=False,
    sped=False,
    **options,
):
    """A query step, joined as ``segal.utils.train`` does."""
    pool, read, wrapper = parts(root, images, sped)
    if described:
        options['features'] = PoolFeatures(
            pool,
            Segmentor(),
            wrapper.device,
            folder / 'features',
            workers,
            logging.getLogger('tests.ranks'),
        )
    oracle = GroundTruthOracle(read, pool.images, CLASSES, void=void)
    store = LabelStore(folder, pool.images, 'ranks')
    options.update(seed=11, workers=workers)
    return ActiveLearningLoop(pool, store, oracle, **options), wrapper


def selector(context, amount, per_image=False, **options):
    """Of a round; the loop describes it."""
    options.update(seed=11, budget=Budget(amount, per_image))
    return build(context, **options)


def files_of(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob('*'))
        if path.is_file()
    }


class Given(BaseHeuristic):
    """Scores that no network decides, though one is run; many tie."""

    def score(self, prediction):
        places = np.arange(prediction.size[0] * prediction.size[1])
        draws = place_keys(key('given', prediction.name), places)
        score = (draws % 7).astype(np.float32).reshape(prediction.size)
        return torch.from_numpy(score)


def opened_by(split):
    part = dict(type='WholeImages')
    if split == 'score_per_cost':
        part = dict(type='ScorePerCost', pixels=40, first_pixels=6)
    make = functools.partial(selector, amount=3, **part)
    return Opening(make, 3, Budget(40, False), split, 6)


def query(root, folder, ways, heuristics, **options):
    """Some rounds of each way; this rank's labels, and the files."""
    found = {}
    for way in ways:
        loop, wrapper = open_loop(root, folder / way, **options)
        told = dict({**WAYS, **DESCRIBED}[way])
        opening = told.pop('opening', None)
        make = functools.partial(selector, **told)
        for heuristic in (Random(), *(kind() for kind in heuristics)):
            selection = loop.step(
                heuristic, make, wrapper, opening and opened_by(opening)
            )
        found[way] = (
            files_of(folder / way),
            loop.store.fingerprint(),
            {name: part.tolist() for name, part in selection.scores.items()},
        )
    return found


def several(root, folder, ways, heuristics, cases):
    """:func:`query` in several cases, in one process group."""
    return [
        query(root, folder / str(i), ways, heuristics, **case)
        for i, case in enumerate(cases)
    ]


def all_alike(root, folder, ways, heuristics, cases, sizes=(1, 2, 3, 4)):
    """Run all cases on all numbers of ranks; returns what they have found."""
    first, others = None, []
    for size in sizes:
        for rank, found in enumerate(
            run_ranks(
                functools.partial(several, cases=cases),
                size,
                root,
                folder / str(size),
                ways,
                heuristics,
            )
        ):
            first = first or found[0]
            others += [
                (size, rank, case, way)
                for case, labels in zip(cases, found, strict=True)
                for way in ways
                if labels[way] != first[way]
            ]
    assert others == []  # of ranks, rank, case, way
    return first


@pytest.mark.slow
def test_half_precision_chooses_the_same_on_three_ranks(root, tmp_path):
    ways = ['even', 'anywhere']
    cases = [dict(sped=True)]
    all_alike(root, tmp_path, ways, (Margin,), cases, (1, 3))


@pytest.mark.parametrize(
    ('sizes', 'ways'),
    [
        ((1, 3), list(WAYS)[1::2]),
        pytest.param((1, 3), list(WAYS)[::2], marks=pytest.mark.slow),
        pytest.param((2, 4), list(WAYS), marks=pytest.mark.slow),
    ],
)
def test_any_number_of_ranks_chooses_the_same(root, tmp_path, sizes, ways):
    found = all_alike(root, tmp_path, ways, (Margin, Entropy), [{}], sizes)
    for way, (files, _, scores) in found.items():
        assert {f'round_00{i}.npz' for i in range(3)} <= set(files)
        if 'images' not in way:
            together = np.concatenate(list(map(np.array, scores.values())))
            assert len(np.unique(together)) < len(together), f'{way}: no ties'


@pytest.mark.slow
def test_any_number_of_ranks_sees_the_same(root, tmp_path):
    found = all_alike(
        root,
        tmp_path,
        list(DESCRIBED),
        (Margin, Entropy),
        [dict(described=True)],
        (1, 3),
    )
    assert len({str(scores) for _, _, scores in found.values()}) == len(found)


@pytest.mark.slow
def test_any_number_of_workers_chooses_the_same(root, tmp_path):
    ways = ['top of a split', 'anywhere, shuffled', 'images']
    cases = [dict(workers=workers) for workers in (0, 1, 3)]
    all_alike(root, tmp_path, ways, (Margin,), cases, (1, 2, 3))


@pytest.mark.slow
def test_the_network_is_switched_to_eval_mode_once_a_query(
    root, tmp_path, monkeypatch
):
    """Each switch visits all of its modules: 1 ms for MobileNetV2."""
    loop, wrapper = open_loop(root, tmp_path)
    model, modes = wrapper.model, []
    model.train()
    switch = model.train
    monkeypatch.setattr(
        model, 'train', lambda mode=True: modes.append(mode) or switch(mode)
    )
    found = loop.scorer.predictions(loop.pool.images, wrapper, '', ['probs'])
    assert {model.training for one in found if one.size} == {False}
    assert modes == [False, True]
    assert model.training


@pytest.mark.parametrize('images', [1, 3])
def test_fewer_images_than_ranks(root, tmp_path, images):
    ways = ['top of a split', 'anywhere, shuffled', 'images, shuffled']
    cases = [dict(images=images, workers=workers) for workers in (0, 2)]
    all_alike(root, tmp_path, ways, (Entropy,), cases, (1, 4))


@pytest.mark.slow
def test_given_scores_know_no_batch_size(root, tmp_path):
    cases = [dict(batch_size=size) for size in (1, 2, 3, 8)]
    ways = ['top of a split', 'anywhere, shuffled', 'squares', 'opened, split']
    all_alike(root, tmp_path, ways, (Given,), cases, (1, 3))


@pytest.mark.slow
def test_void_left_out_beforehand(root, tmp_path):
    ways = ['even', 'anywhere', 'images']
    cases = [dict(void='exclude', workers=0)]
    all_alike(root, tmp_path, ways, (Margin,), cases, (1, 2, 4))


# trouble on one rank


class Stumble(BaseHeuristic):
    """Raises for one image, which one rank alone looks at."""

    needs = ()

    def score(self, prediction):
        if prediction.name.endswith('/04.png'):
            raise ValueError('stumbled')
        return torch.zeros(prediction.size)


def raised(function, *args):
    """What a call raises, as text; None where it raises nothing."""
    try:
        function(*args)
    except Exception as error:
        return f'{type(error).__name__}: {error}'


def stumble(root, folder):
    loop, wrapper = open_loop(root, folder)
    make = functools.partial(selector, **WAYS['anywhere'])
    text = raised(loop.step, Stumble(), make, wrapper)
    before = files_of(folder)
    loop.step(Margin(), make, wrapper)
    return text, before, loop.store.counts().requested


def test_a_rank_that_raises_makes_all_raise(root, tmp_path):
    results = run_ranks(stumble, 3, root, tmp_path / 'labels')
    for text, before, requested in results:
        assert 'ValueError: stumbled' in text
        assert before == {}
        assert requested == 61  # and all can go on


def without_truth(root, folder):
    loop, _ = open_loop(root, folder, void='exclude')
    if ranks.is_main():

        def read(name):
            raise FileNotFoundError(name)

        loop.oracle.read = read
    make = functools.partial(selector, **WAYS['even'])
    return raised(loop.step, Random(), make, None)


def test_an_annotation_that_only_rank_0_misses(root, tmp_path):
    texts = run_ranks(without_truth, 3, root, tmp_path / 'labels', timeout=60)
    assert all(text.startswith('DataError: ') for text in texts)


def differ(root, folder):
    loop, wrapper = open_loop(root, folder)
    make = functools.partial(selector, **WAYS['even'])
    loop.step(Random(), make, None)
    if ranks.rank() == 1:
        loop.store._state.classes[4] += 1
    return raised(loop.step, Margin(), make, wrapper)


def test_ranks_that_hold_other_labels_are_named(root, tmp_path):
    for text in run_ranks(differ, 3, root, tmp_path / 'labels'):
        assert text.startswith('RuntimeError: round 1: ')
        assert 'others on rank 1 than on rank 0' in text


class Liar(GroundTruthOracle):
    """Leaves out an answer."""

    def answer(self, selection):
        answers = super().answer(selection)
        answers.images.popitem()
        return answers


def lie(root, folder):
    loop, _ = open_loop(root, folder)
    loop.oracle.__class__ = Liar
    make = functools.partial(selector, **WAYS['even'])
    return raised(loop.step, Random(), make, None), Path(folder).exists()


def test_a_failed_audit_ends_all(root, tmp_path):
    for text, written in run_ranks(lie, 2, root, tmp_path / 'labels'):
        assert 'round 0: the audit failed' in text
        assert 'wanted answers about 11 images' in text
        assert not written


class BrokenError(Exception):
    """What a selector raises on one rank."""


def failing(root, folder):
    """What each rank says where one cannot hand on its candidates."""

    def make(context):
        made = selector(context, 5, per_image=True, type='PixelsPerImage')
        if ranks.rank() == 1:
            made.candidates = lambda: (_ for _ in ()).throw(
                BrokenError('no candidates today')
            )
        return made

    loop, _ = open_loop(root, folder)
    try:
        loop.step(Random(), make, None)
    except Exception as error:
        return type(error).__name__, str(error)
    return None


def test_candidates_that_fail_on_one_rank_end_all(root, tmp_path):
    said = run_ranks(failing, 2, root, tmp_path / 'w')
    assert said[1] == ('BrokenError', 'no candidates today')
    assert 'no candidates today' in said[0][1]
