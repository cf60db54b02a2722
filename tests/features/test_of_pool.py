"""Features of a pool: made once, kept, shared, and found again."""

import os
import signal
from multiprocessing import get_context

import mmcv
import numpy as np
import pytest
import torch
from mmseg.datasets import build_dataset
from mmseg.datasets.builder import PIPELINES
from mmseg.datasets.pipelines import LoadImageFromFile

from segal.active.dataset.pool import open_pool
from segal.active.scoring import Scorer
from segal.active.units import regions  # noqa: F401  (registers them)
from segal.config import load_config
from segal.distributed import stopping
from segal.errors import DataError, StateError
from segal.experiment.selecting import shape_of
from segal.features import FrozenExtractor
from segal.features.frozen import FrozenNetwork
from segal.features.of_pool import PoolFeatures
from segal.registry import HEURISTICS
from segal.structures import Prediction
from tests.features.parts import CPU, LOGGER, Seen, backbone
from tests.ranks import run_ranks
from tests.tiny import write_config, write_images

KINDS = ('embedding', 'features')


@pytest.fixture
def root(tmp_path):
    write_config(write_images(tmp_path, 5))
    return tmp_path


@pytest.fixture
def forwards(monkeypatch):
    """Names of the images that a network has looked at."""
    names = []
    original = FrozenNetwork.__call__

    def counted(self, image, name):
        names.append(name.rpartition('/')[2])
        return original(self, image, name)

    monkeypatch.setattr(FrozenNetwork, '__call__', counted)
    return names


def open_features(root, workers=0, **options) -> PoolFeatures:
    cfg = load_config(str(root / 'tiny_pixel.py'))
    cfg.data.query.test_mode = True
    pool = open_pool(build_dataset(cfg.data.query))
    extractor: FrozenExtractor = backbone(root, **options)
    return PoolFeatures(pool, extractor, CPU, root / 'kept', workers, LOGGER)


def everything(features, kinds=KINDS):
    """What a heuristic gets: name -> kind -> array."""
    found = {}
    scorer = Scorer(features.pool, 0, features=features)
    for one in scorer.predictions(features.pool.images, None, 'all', kinds, 1):
        found[one.name] = {kind: getattr(one, kind).numpy() for kind in kinds}
    return found


def same(a, b):
    return a.keys() == b.keys() and all(
        np.array_equal(a[name][kind], b[name][kind])
        for name in a
        for kind in a[name]
    )


def files(root, kind):
    return sorted((root / 'kept').glob(f'*/*.{kind}'))


def test_each_image_is_seen_once(root, forwards):
    first = open_features(root)
    first.prepare(KINDS)
    assert sorted(forwards) == [f'{i:02d}.png' for i in range(5)]
    found = everything(first)
    one = next(iter(found.values()))
    assert one['embedding'].shape == (32,)
    assert one['features'].shape == (32, 1, 1)
    assert one['features'].dtype == np.float32
    assert len({x['embedding'].tobytes() for x in found.values()}) == 5
    forwards.clear()
    second = open_features(root, workers=1)
    second.prepare(KINDS)
    assert same(everything(second), found)
    assert forwards == []


def test_a_hit_builds_no_second_network(root):
    first = open_features(root)
    first.prepare(['embedding'])
    assert first._network is None
    everything(first, ['embedding'])
    assert first._network is None


def test_what_nobody_reads_is_not_kept(root, forwards):
    features = open_features(root)
    features.prepare(['probs', 'embedding'])
    assert len(files(root, 'embedding')) == 5
    assert files(root, 'features') == []
    features.prepare(['features'])
    assert len(files(root, 'features')) == 5
    assert len(forwards) == 10
    features = open_features(root)
    features.prepare(['probs', 'samples'])
    assert features._cache is None


def test_other_weights_and_options_miss(root, forwards):
    open_features(root).prepare(KINDS)
    for options in (dict(seed=1), dict(dims=3), dict(size=(32, 32))):
        forwards.clear()
        features = open_features(root, **options)
        features.prepare(KINDS)
        assert len(forwards) == 5, options
    assert len(list((root / 'kept').glob('*/about.json'))) == 4


@PIPELINES.register_module(force=True)
class LoadBands(LoadImageFromFile):
    """A reader of one's own, of some bands."""

    def __init__(self, bands):
        super().__init__()
        self.bands = bands

    def __call__(self, results):
        results = super().__call__(results)
        results['img'] = results['img'][..., self.bands]
        return results


def test_other_bands_of_a_file_are_another_image(root, forwards):
    """What reads images counts, in a cache that several runs share."""
    config, seen, cut = root / 'tiny_pixel.py', [], []
    for bands in ([0, 1, 2], [2, 2, 0]):
        step = dict(type='LoadBands', bands=bands)
        cfg = load_config(str(config))
        cfg.data.query.pipeline[0] = step
        cfg.data.query.test_mode = True
        pool = open_pool(build_dataset(cfg.data.query))
        features = PoolFeatures(
            pool, backbone(root), CPU, root / 'kept', 0, LOGGER
        )
        features.prepare(KINDS)
        seen.append(everything(features))
        part = dict(type='Superpixels', segments=30)
        cut.append(shape_of(part, pool, root / 'cut').labels(pool[0]))
    assert len(forwards) == 10
    assert not same(*seen)
    assert not np.array_equal(*cut)


def test_a_changed_image_misses_alone(root, forwards):
    features = open_features(root)
    features.prepare(KINDS)
    found = everything(features)
    forwards.clear()
    path = root / 'images' / '03.png'
    mmcv.imwrite(255 - mmcv.imread(str(path)), str(path))
    features = open_features(root)
    features.prepare(KINDS)
    assert forwards == ['03.png']
    again = everything(features)
    changed = [x for x in found if not same({x: found[x]}, {x: again[x]})]
    assert [x.rpartition('/')[2] for x in changed] == ['03.png']
    # the content counts, not when it was written
    os.utime(path, ns=(1, 1))
    forwards.clear()
    open_features(root).prepare(KINDS)
    assert forwards == []


@pytest.mark.parametrize('harm', ['cut', 'altered', 'emptied', 'gone'])
@pytest.mark.parametrize('when', ['before', 'while it runs'])
def test_a_hurt_file_is_made_again(root, forwards, harm, when):
    features = open_features(root)
    features.prepare(KINDS)
    found = everything(features)
    if when == 'before':
        features = open_features(root)
    for kind in KINDS:
        path = files(root, kind)[2]
        content = path.read_bytes()
        if harm == 'gone':
            path.unlink()
        else:
            path.write_bytes(
                dict(
                    cut=content[:-1],
                    emptied=b'',
                    altered=content[:-30]
                    + bytes([content[-30] ^ 1])
                    + content[-29:],
                )[harm]
            )
    forwards.clear()
    if when == 'before':
        features.prepare(KINDS)
    assert same(everything(features), found)
    assert len(forwards) in (1, 2)


def test_a_hurt_list_of_images_is_made_again(root, forwards):
    open_features(root).prepare(KINDS)
    (root / 'kept' / 'images.json').write_text('{"a": [1]}')
    forwards.clear()
    open_features(root).prepare(KINDS)
    assert forwards == []


def test_a_killed_extraction_goes_on(root, forwards):
    process = get_context('fork').Process(target=killed, args=(root,))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    assert len(files(root, 'embedding')) == 3
    assert len(files(root, 'features')) == 2
    features = open_features(root)
    features.prepare(KINDS)
    assert sorted(forwards) == ['02.png', '03.png', '04.png']
    fresh = open_features(root)
    fresh.folder = root / 'fresh'
    fresh.prepare(KINDS)
    assert same(everything(features), everything(fresh))


def killed(root):
    """Die between the two files of the third image."""
    from segal.features.cache import FeatureCache

    original = FeatureCache.write
    count = []

    def write(self, stem, kind, array):
        count.append(kind)
        if len(count) == 6:
            os.kill(os.getpid(), signal.SIGKILL)
        original(self, stem, kind, array)

    FeatureCache.write = write
    open_features(root).prepare(KINDS)


def test_asked_to_end_it_ends_between_two_images(root, monkeypatch):
    with stopping.listening():
        features = open_features(root)
        original = FrozenNetwork.__call__

        def asks(self, image, name):
            os.kill(os.getpid(), signal.SIGTERM)
            return original(self, image, name)

        monkeypatch.setattr(FrozenNetwork, '__call__', asks)
        with pytest.raises(stopping.StoppedError):
            features.prepare(KINDS)
    assert len(files(root, 'features')) == 1


def on_a_rank(root, folder):
    """How many images a rank describes, and all that it then reads."""
    features = open_features(root)
    features.folder = root / folder
    seen = []
    original = FrozenNetwork.__call__

    def counted(self, image, name):
        seen.append(name)
        return original(self, image, name)

    FrozenNetwork.__call__ = counted
    features.prepare(KINDS)
    FrozenNetwork.__call__ = original
    prepared = len(seen)
    # each rank can read all, whoever has described it
    found = {}
    for image in features.pool:
        one = features.add(Prediction(image.name, image.size, 0, 1), KINDS)
        found[image.name] = {
            kind: getattr(one, kind).numpy() for kind in KINDS
        }
    return prepared, found


def test_the_same_on_one_rank_and_on_two(root):
    features = open_features(root)
    features.prepare(KINDS)
    wanted = everything(features)
    two = run_ranks(on_a_rank, 2, root, 'two')
    assert [prepared for prepared, _ in two] == [3, 2]
    for _, found in two:
        assert same(found, wanted)


def test_an_error_of_one_rank_reaches_all(root):
    (root / 'kept').write_text('a file')
    with pytest.raises(Exception, match=r'active_learning\.features\.cache'):
        run_ranks(prepare_here, 2, root)


def prepare_here(root):
    open_features(root).prepare(KINDS)


def test_a_folder_that_cannot_be_made(root):
    (root / 'kept').write_text('a file')
    with pytest.raises(StateError, match=r'features\.cache'):
        open_features(root).prepare(KINDS)


def test_an_image_that_goes(root):
    features = open_features(root)
    (root / 'images' / '01.png').unlink()
    with pytest.raises(DataError, match=r'01\.png: it cannot be read'):
        features.prepare(KINDS)


def test_a_heuristic_scores_without_any_forward(root, forwards):
    features = open_features(root)
    features.prepare(KINDS)
    forwards.clear()
    scorer = Scorer(features.pool, 0, features=features)
    heuristic = HEURISTICS.build(dict(type='NormOfEmbedding'))
    assert not scorer.reads_network(heuristic.needs)
    found = everything(features)
    for image, score, prediction in scorer.scores(
        features.pool.images, heuristic, None, None, 1
    ):
        norm = np.linalg.norm(found[image.name]['embedding'])
        assert score == pytest.approx(norm)
        assert prediction.probs is None
        assert prediction.features is None
        assert Seen.of[image.name]['embedding'].dtype == torch.float32
    assert forwards == []
