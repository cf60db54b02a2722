"""Images from memory are those from the disk, whoever decoded them."""

import copy
import multiprocessing
import pickle

import numpy as np
import pytest
from mmcv.utils import Config
from mmseg.datasets import build_dataset
from mmseg.datasets.pipelines import LoadImageFromFile
from torch.utils.data import DataLoader

from segal.active.dataset.active_dataset import ActiveDataset
from segal.active.dataset.base import image_name
from segal.active.dataset.image_cache import (
    CachedLoad,
    ImageCache,
    caches,
    check_cached,
)
from segal.active.label_store.store import LabelStore
from segal.structures import (
    LABELLED,
    Answers,
    PixelAnswers,
    PoolImage,
    Selection,
)
from tests.tiny import write_config, write_images

SIZE = (24, 32)
BYTES = 24 * 32 * 3


@pytest.fixture(scope='module')
def parts(tmp_path_factory):
    """The training view of eight images, and a label on each."""
    root = write_images(tmp_path_factory.mktemp('images'), size=SIZE)
    cfg = Config.fromfile(str(write_config(root)))
    view = build_dataset(cfg.data.train)
    names = [image_name(view, i) for i in range(len(view))]
    store = LabelStore(
        root / 'labels', [PoolImage(name, SIZE) for name in names]
    )
    places = {name: np.array([5, 99]) for name in names}
    store.append(
        Answers(
            Selection(0, 'pixel', places),
            {
                name: PixelAnswers(
                    at,
                    np.ones(2, np.uint8),
                    np.full(2, LABELLED, np.uint8),
                )
                for name, at in places.items()
            },
        )
    )
    return view, {name: i for i, name in enumerate(names)}, store


def files(view):
    return [info['filename'] for info in view.img_infos]


def results_of(view, index):
    results = dict(img_info=copy.deepcopy(view.img_infos[index]))
    view.pre_pipeline(results)
    return results


@pytest.mark.parametrize('prefix', [True, False])
@pytest.mark.parametrize('kind', ['color', 'grayscale'])
def test_a_kept_image_comes_with_all_that_mmseg_says_of_it(
    parts, prefix, kind
):
    view, _, _ = parts
    step = LoadImageFromFile(color_type=kind)
    cached = CachedLoad(step, ImageCache(files(view), 1 << 20))

    def load(how):
        results = results_of(view, 3)
        if not prefix:
            folder = results.pop('img_prefix')
            results['img_info']['filename'] = (
                f'{folder}/{results["img_info"]["filename"]}'
            )
        return how(results)

    wanted = load(step)
    for _ in range(3):
        found = load(cached)
        assert list(found) == list(wanted)
        for key, value in wanted.items():
            np.testing.assert_equal(found[key], value)
            assert type(found[key]) is type(value)
        found['img'][:] = 0  # as a step in place might
    assert cached.cache.used == (wanted['img'].size if prefix else 0)


def samples(parts, cache, workers=0, epochs=2):
    view, positions, store = parts
    dataset = ActiveDataset(view, positions, store, cache=cache)
    indices = [(e, i) for e in range(epochs) for i in range(len(dataset))]
    loader = DataLoader(
        dataset,
        sampler=indices,
        batch_size=None,
        num_workers=workers,
        collate_fn=lambda sample: {
            'img': sample['img'].data.numpy(),
            'labels': sample['gt_semantic_seg'].data.numpy(),
            'metas': pickle.dumps(sample['img_metas'].data),
        },
    )
    return list(loader)


@pytest.mark.parametrize('workers', [0, 2])
@pytest.mark.parametrize('images', [3, 100])
def test_samples_are_the_same_bit_for_bit(parts, workers, images):
    cache = ImageCache(files(parts[0]), images * BYTES + 10)
    wanted = samples(parts, None)
    for _ in range(2):  # two phases, with new workers
        found = samples(parts, cache, workers)
        assert len(found) == len(wanted) == 16
        for one, other in zip(found, wanted, strict=True):
            np.testing.assert_array_equal(one['img'], other['img'])
            np.testing.assert_array_equal(one['labels'], other['labels'])
            assert one['metas'] == other['metas']
    assert cache.used == min(images, 8) * BYTES


def test_each_image_is_decoded_once_by_all_workers(parts, monkeypatch):
    view, _, _ = parts
    cache = ImageCache(files(view), 1 << 20)
    count = multiprocessing.get_context('fork').Value('i', 0)
    load = LoadImageFromFile.__call__

    def counted(step, results):
        with count.get_lock():
            count.value += 1
        return load(step, results)

    monkeypatch.setattr(LoadImageFromFile, '__call__', counted)
    samples(parts, cache, workers=1, epochs=1)
    assert count.value == 8
    samples(parts, cache, workers=3, epochs=3)
    assert count.value == 8


def test_only_bytes_of_mmseg_s_own_step_are_kept(parts):
    own = LoadImageFromFile()
    assert caches([own, print])
    assert not caches([LoadImageFromFile(to_float32=True)])
    assert not caches([print, own])
    assert not caches([])
    view = copy.deepcopy(parts[0])
    assert check_cached(view) == []
    view.pipeline.transforms[0].to_float32 = True
    (problem,) = check_cached(view)
    assert 'to_float32=True' in problem
    cache = ImageCache(['a', 'b'], 100)
    cache.put('a', np.zeros((2, 2, 3), np.float32))
    cache.put('c', np.zeros((2, 2, 3), np.uint8))
    assert cache.used == 0
    assert cache.get('a') is cache.get('c') is None
