import os
import shutil
from functools import partial

import mmcv
import numpy as np
import pytest
import torch
from mmcv.parallel import collate
from mmseg.datasets import CustomDataset

from segal.active.dataset.active_dataset import (
    UNASKED,
    ActiveDataset,
    unasked_map,
)
from segal.active.dataset.base import image_name
from segal.active.dataset.pool import open_pool, query_batch, query_loader
from segal.active.label_store.store import LabelStore
from segal.errors import ConfigError, DataError
from segal.structures import (
    LABELLED,
    VOID,
    Answers,
    ImageAnswers,
    PixelAnswers,
    Selection,
)
from tests.tiny import CLASSES, write_images

LOAD = [dict(type='LoadImageFromFile'), dict(type='LoadAnnotations')]
BUNDLE = [
    dict(type='DefaultFormatBundle'),
    dict(
        type='Collect',
        keys=['img', 'gt_semantic_seg'],
        meta_keys=('ori_filename',),
    ),
]
AUGMENT = [
    dict(type='Resize', img_scale=(32, 24), ratio_range=(0.8, 1.4)),
    dict(type='RandomCrop', crop_size=(20, 28)),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PhotoMetricDistortion'),
    dict(type='Normalize', mean=[120.0] * 3, std=[60.0] * 3),
    dict(type='Pad', size=(20, 28), seg_pad_val=255),
]
TEST = [
    dict(type='LoadImageFromFile'),
    dict(
        type='MultiScaleFlipAug',
        img_scale=(32, 24),
        flip=False,
        transforms=[
            dict(type='ImageToTensor', keys=['img']),
            dict(type='Collect', keys=['img']),
        ],
    ),
]


def make(root, pipeline, test_mode=False):
    return CustomDataset(
        pipeline,
        'images',
        img_suffix='.png',
        ann_dir='annotations',
        data_root=str(root),
        classes=CLASSES,
        test_mode=test_mode,
    )


def buy(pool, root, places):
    store = LabelStore(root / 'labels', pool.images)
    arrays = {
        name: np.array(where, np.int64) for name, where in places.items()
    }
    store.append(
        Answers(
            Selection(0, 'pixel', arrays),
            {
                name: PixelAnswers(
                    where,
                    np.full(len(where), 1, np.uint8),
                    np.full(len(where), LABELLED, np.uint8),
                )
                for name, where in arrays.items()
            },
        )
    )
    return store


@pytest.fixture
def root(tmp_path):
    return write_images(tmp_path)


def positions(view):
    return {image_name(view, i): i for i in range(len(view))}


def test_names_do_not_depend_on_where_the_data_lie(root, tmp_path_factory):
    moved = write_images(tmp_path_factory.mktemp('elsewhere'))
    names = [image_name(make(where, LOAD), 3) for where in (root, moved)]
    assert names == ['CustomDataset/images/03.png'] * 2


def test_only_bought_labels_are_shown(root):
    view = make(root, LOAD + BUNDLE)
    pool = open_pool(make(root, TEST, True))
    name = pool[2].name
    store = buy(pool, root, {name: [0, 33, 700]})
    dataset = ActiveDataset(view, positions(view), store)
    assert len(dataset) == 1
    labels = dataset[0]['gt_semantic_seg'].data.numpy()[0]
    wanted = np.full(24 * 32, 255)
    wanted[[0, 33, 700]] = 1
    np.testing.assert_array_equal(labels, wanted.reshape(24, 32))


def test_annotation_files_of_the_pool_are_never_read(root):
    view = make(root, LOAD + AUGMENT + BUNDLE)
    pool = open_pool(make(root, TEST, True))
    store = buy(pool, root, {image.name: [5, 90] for image in pool})
    for file in (root / 'annotations').iterdir():
        file.unlink()
    dataset = ActiveDataset(view, positions(view), store)
    found = np.unique(
        [
            np.unique(dataset[(epoch, i)]['gt_semantic_seg'].data).tolist()[0]
            for epoch in range(3)
            for i in range(8)
        ]
    )
    assert set(found) <= {1, 255}


def test_a_whole_image_is_one_rule_with_pixels(root):
    view = make(root, LOAD + BUNDLE)
    pool = open_pool(make(root, TEST, True))
    store = LabelStore(root / 'labels', pool.images)
    truth = mmcv.imread(str(root / 'annotations' / '04.png'), 'unchanged')
    name = pool[4].name
    store.append(
        Answers(
            Selection(0, 'image', {name: np.zeros(0, np.int64)}),
            {name: ImageAnswers(truth)},
        )
    )
    dataset = ActiveDataset(view, positions(view), store)
    assert dataset.names == [name]
    np.testing.assert_array_equal(
        dataset[0]['gt_semantic_seg'].data.numpy()[0], truth
    )


def test_void_answers_do_not_make_a_training_image(root):
    view = make(root, LOAD + BUNDLE)
    pool = open_pool(make(root, TEST, True))
    store = LabelStore(root / 'labels', pool.images)
    where = np.array([3], np.int64)
    store.append(
        Answers(
            Selection(0, 'pixel', {pool[0].name: where}),
            {
                pool[0].name: PixelAnswers(
                    where, np.zeros(1, np.uint8), np.full(1, VOID, np.uint8)
                )
            },
        )
    )
    assert len(ActiveDataset(view, positions(view), store)) == 0


def test_collate_pads_labels_with_ignore_index(tmp_path):
    sizes = [(16, 20), (24, 18), (10, 30), (21, 21)]
    for i, size in enumerate(sizes):
        write_images(tmp_path / str(i), 1, size)
        for kind in ('images', 'annotations'):
            (tmp_path / kind).mkdir(exist_ok=True)
            (tmp_path / str(i) / kind / '00.png').rename(
                tmp_path / kind / f'{i}.png'
            )
    view = make(tmp_path, LOAD + BUNDLE)
    pool = open_pool(make(tmp_path, TEST, True))
    assert [image.size for image in pool] == sizes
    store = buy(pool, tmp_path, {image.name: [7] for image in pool})
    dataset = ActiveDataset(view, positions(view), store)
    batch = collate([dataset[i] for i in range(4)], samples_per_gpu=4)
    labels = batch['gt_semantic_seg'].data[0]
    assert labels.shape == (4, 1, 24, 30)
    assert (labels != 255).sum() == 4
    assert labels.flatten()[labels.flatten() != 255].unique().tolist() == [1]


def test_augmentation_is_drawn_from_the_key_alone(root):
    view = make(root, LOAD + AUGMENT + BUNDLE)
    pool = open_pool(make(root, TEST, True))
    store = buy(pool, root, {image.name: [5, 90] for image in pool})

    def sample(epoch, index, seed=0, number=0):
        dataset = ActiveDataset(view, positions(view), store, (), seed, number)
        return dataset[(epoch, index)]['img'].data

    torch.manual_seed(1)
    first = sample(2, 3)
    drawn = torch.rand(1)
    torch.manual_seed(1)
    np.random.seed(5)
    again = sample(2, 3)
    assert torch.equal(first, again)
    assert torch.equal(drawn, torch.rand(1))  # dropout's draws untouched
    for other in (sample(3, 3), sample(2, 3, seed=1), sample(2, 3, number=1)):
        assert not torch.equal(first, other)


def test_sources_stand_beside_the_pool(root, tmp_path_factory):
    view = make(root, LOAD + BUNDLE)
    source = make(
        write_images(tmp_path_factory.mktemp('source'), 3), LOAD + BUNDLE
    )
    pool = open_pool(make(root, TEST, True))
    store = buy(pool, root, {pool[1].name: [5]})
    dataset = ActiveDataset(view, positions(view), store, [source])
    assert len(dataset) == 4
    assert (dataset[1]['gt_semantic_seg'].data != 255).sum() > 500
    assert dataset[3]['gt_semantic_seg'].padding_value == 255
    with pytest.raises(IndexError):
        dataset[4]


def test_broken_images_are_named_all_at_once(root):
    (root / 'images' / '02.png').write_bytes(b'no image')
    (root / 'images' / '05.png').write_bytes(b'')
    with pytest.raises(DataError) as error:
        open_pool(make(root, TEST, True))
    assert '02.png' in str(error.value)
    assert '05.png' in str(error.value)
    assert 'cannot be decoded' in str(error.value)


def test_an_empty_pool_is_an_error(root):
    for file in (root / 'images').iterdir():
        file.unlink()
    with pytest.raises(ConfigError, match='empty pool'):
        open_pool(make(root, TEST, True))


def test_sizes_are_remembered_until_a_file_changes(root, tmp_path):
    cache = tmp_path / 'cache'
    dataset = make(root, TEST, True)
    first = open_pool(dataset, cache)
    file = root / 'images' / '01.png'
    stat = file.stat()
    file.write_bytes(b'x' * stat.st_size)
    os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert open_pool(dataset, cache).images == first.images  # not read
    os.utime(file)
    with pytest.raises(DataError, match=r'01\.png'):
        open_pool(dataset, cache)


def test_images_that_another_file_replaces_once_there_are_labels(
    root, tmp_path
):
    dataset = make(root, TEST, True)
    file = root / 'images' / '01.png'

    def changed():
        return open_pool(dataset, tmp_path).changed

    changed()
    shutil.copy(root / 'images' / '02.png', file)
    assert not changed()  # nothing was asked
    (tmp_path / 'labels').mkdir()
    shutil.copy(root / 'images' / '03.png', file)
    assert changed() == changed() == ['CustomDataset/images/01.png']
    file.write_bytes((root / 'images' / '02.png').read_bytes())
    assert not changed()  # it is back


def test_query_batches_hold_images_of_one_size(root):
    write_images(root / 'other', 2, (30, 20))
    for i in range(2):
        for kind in ('images', 'annotations'):
            (root / 'other' / kind / f'{i:02d}.png').rename(
                root / kind / f'9{i}.png'
            )
    pool = open_pool(make(root, TEST, True))
    loader, batches = query_loader(
        pool, [image.name for image in pool], 3, workers=0
    )
    assert sorted(map(len, batches)) == [2, 2, 3, 3]
    for batch, names in zip(loader, batches, strict=True):
        metas = batch['img_metas'][0].data[0]
        assert [meta['ori_filename'] for meta in metas] == [
            name.rsplit('/', 1)[1] for name in names
        ]
        assert batch['img'][0].shape[0] == len(names)
    assert 'gt_semantic_seg' not in query_batch(pool, [pool[0].name])


def test_workers_see_the_same_samples(root):
    view = make(root, LOAD + AUGMENT + BUNDLE)
    pool = open_pool(make(root, TEST, True))
    store = buy(pool, root, {image.name: [5, 90] for image in pool})
    dataset = ActiveDataset(view, positions(view), store)
    keys = [[(4, i), (4, i + 1)] for i in range(0, 8, 2)]

    def images(workers):
        loader = torch.utils.data.DataLoader(
            dataset,
            batch_sampler=keys,
            num_workers=workers,
            collate_fn=partial(collate, samples_per_gpu=2),
        )
        return torch.cat([batch['img'].data[0] for batch in loader])

    assert torch.equal(images(0), images(2))


def test_where_nobody_was_asked(root):
    """Bought pixels count as asked, void ones with their neighbours."""
    pool = open_pool(make(root, TEST, True))
    name = pool[1].name
    store = LabelStore(root / 'labels', pool.images)
    places = np.array([0, 5 * 32 + 9])
    status = np.array([LABELLED, VOID], np.uint8)
    said = PixelAnswers(places, np.array([1, 0], np.uint8), status)
    store.append(Answers(Selection(0, 'pixel', {name: places}), {name: said}))
    wanted = np.zeros((24, 32), np.uint8)
    wanted[0, 0] = 255
    wanted[4:7, 8:11] = 255
    np.testing.assert_array_equal(unasked_map(store, name, 255), wanted)


def test_a_map_of_the_unasked_is_moved_with_the_labels(root):
    """Through all of mmseg's steps; padding counts as asked."""
    view = make(root, LOAD + AUGMENT + BUNDLE)
    pool = open_pool(make(root, TEST, True))
    places = {image.name: np.arange(0, 24 * 32, 2) for image in pool}
    store = buy(pool, root, places)  # every second column
    source = make(root, LOAD + AUGMENT + BUNDLE)
    options = dict(seed=0, round=0, ignore_index=255, unasked=True)
    dataset = ActiveDataset(view, positions(view), store, [source], **options)
    plain = ActiveDataset(view, positions(view), store, [source])
    shown = 0
    for epoch in range(4):
        for i in range(8):
            sample, same = dataset[(epoch, i)], plain[(epoch, i)]
            labels = sample['gt_semantic_seg'].data.numpy()[0]
            unasked = sample[UNASKED].data.numpy()[0]
            assert unasked.dtype == np.uint8
            # what is neither labelled nor unasked is padding
            padded = (labels == 255) & (unasked == 255)
            assert not ((labels == 1) & (unasked == 0)).any()
            assert not sample['img'].data[:, padded].any()
            shown += (unasked == 0).sum()
            assert UNASKED not in same
            for key in ('img', 'gt_semantic_seg'):
                assert torch.equal(sample[key].data, same[key].data)
    assert shown > 1000
    assert (dataset[(0, 8)][UNASKED].data == 255).all()
    batch = collate([dataset[(0, 0)], dataset[(0, 9)]], samples_per_gpu=2)
    assert batch[UNASKED].data[0].shape == (2, 1, 20, 28)
