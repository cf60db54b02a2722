"""What is in the pool is what the user put there, each image with its mask."""

import os
import shutil
from types import SimpleNamespace

import mmcv
import numpy as np
import pytest
from mmcv import Config
from mmseg.datasets import build_dataset as mmseg_build_dataset
from PIL import Image

from segal.active.dataset.listing import build_listed
from segal.active.dataset.orientation import (
    look_at_orientations,
    orientation,
    turned,
)
from segal.active.dataset.pool import open_pool
from segal.errors import ConfigError, DataError
from segal.query_folder.folder import open_folder, suffixes
from tests.bad_input.experiment import Experiment

READ = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations'),
    dict(type='Collect', keys=['img', 'gt_semantic_seg'], meta_keys=()),
]


def image(path, size=(4, 6), value=100):
    path.parent.mkdir(parents=True, exist_ok=True)
    mmcv.imwrite(np.full((*size, 3), value, np.uint8), str(path))


def mask(path, size=(4, 6), value=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    mmcv.imwrite(np.full(size, value, np.uint8), str(path))


@pytest.fixture
def root(tmp_path):
    """Two images with masks."""
    for name in ('a', 'b'):
        image(tmp_path / 'images' / f'{name}.jpg')
        mask(tmp_path / 'masks' / f'{name}.png')
    return tmp_path


def section(root, **options):
    return dict(
        type='CustomDataset',
        data_root=str(root),
        img_dir='images',
        ann_dir='masks',
        classes=('one', 'two'),
        pipeline=READ,
    ) | dict(options)


def listed(root, **options):
    return build_listed(section(root, **options))


def names(dataset):
    return [info['filename'] for info in dataset.img_infos]


def masks(dataset):
    return [info['ann']['seg_map'] for info in dataset.img_infos]


def split(root, text):
    (root / 'split.txt').write_bytes(
        text if isinstance(text, bytes) else text.encode()
    )
    return dict(split='split.txt')


def test_a_clean_folder_is_listed_as_mmseg_lists_it(root):
    image(root / 'images' / 'sub' / 'a.jpg')
    image(root / 'images' / 'a2.jpg')
    dataset, notes = listed(root)
    own = type(dataset).load_annotations(
        dataset, dataset.img_dir, '.jpg', dataset.ann_dir, '.png', None
    )
    assert dataset.img_infos == own
    assert len(own) == 4
    assert not notes


def test_lists_of_folders_are_one_data_set(root):
    """Each image keeps the mask of its own folder."""
    for number, name in enumerate(('a', 'c')):
        image(root / 'more' / 'x' / f'{name}.jpg', value=200)
        mask(root / 'other' / 'y' / f'{name}.png', value=number)
    lists = dict(img_dir=['images', 'more/x'], ann_dir=['masks', 'other/y'])
    dataset, _ = listed(root, **lists)
    parts = mmseg_build_dataset(section(root, **lists)).datasets
    apart = [part[i] for part in parts for i in range(len(part))]
    assert len(dataset) == 4
    for mine, theirs in zip(dataset, apart, strict=True):
        for key in ('img', 'gt_semantic_seg'):
            assert np.array_equal(mine[key], theirs[key])
    assert [image.name for image in open_pool(dataset)] == [
        'CustomDataset/./images/a.jpg',
        'CustomDataset/./images/b.jpg',
        'CustomDataset/./more/x/a.jpg',
        'CustomDataset/./more/x/c.jpg',
    ]


def test_lists_of_splits_keep_the_names_of_images(root):
    """As VOC with further annotations: one folder of images, two of masks."""
    mask(root / 'more' / 'b.png', value=1)
    for name in ('a', 'b'):
        (root / f'{name}.txt').write_text(name)
    dataset, _ = listed(
        root, ann_dir=['masks', 'more'], split=['a.txt', 'b.txt']
    )
    assert names(dataset) == ['a.jpg', 'b.jpg']
    assert [one['gt_semantic_seg'].max() for one in dataset] == [0, 1]
    with pytest.raises(ConfigError, match=r'every image once, got .*b\.jpg'):
        open_pool(listed(root, ann_dir=['masks'] * 2, split=['b.txt'] * 2)[0])


def test_folders_that_share_none_are_named(root):
    folders = [str(root / 'images'), os.path.relpath(root / 'images')]
    with pytest.raises(ConfigError, match='img_dir: wanted folders below one'):
        listed(root, data_root=None, img_dir=folders, ann_dir=None)


@pytest.mark.parametrize(
    'hidden',
    ['.ipynb_checkpoints/a.jpg', '@eaDir/a.jpg', '__MACOSX/b.jpg', '._a.jpg'],
)
def test_hidden_copies_are_not_images(root, hidden):
    """Self-Correction-Human-Parsing #37, alinlab/CSI #31."""
    image(root / 'images' / hidden)
    dataset, notes = listed(root)
    assert names(dataset) == ['a.jpg', 'b.jpg']
    assert len(notes) == 1
    assert f'1 hidden file in {root}/images' in notes[0]
    assert hidden in notes[0]


@pytest.mark.parametrize(
    'other', ['c.PNG', 'c.jpeg', 'sub/c.JPG', 'c.tif', 'c.ppm', 'c.JPE']
)
def test_files_of_another_suffix_are_named(root, other):
    """anomalib #3058: images with a suffix in capitals are not seen."""
    image(root / 'images' / other)
    (root / 'images' / 'notes.txt').write_text('no image')
    dataset, notes = listed(root)
    assert names(dataset) == ['a.jpg', 'b.jpg']
    assert len(notes) == 1
    assert '1 file in' in notes[0]
    assert 'looks like an image and is not in the pool' in notes[0]
    assert other in notes[0]
    assert f"img_suffix=('.jpg', '.{other.rsplit('.')[-1]}')" in notes[0]


def test_several_suffixes_find_their_masks(root):
    image(root / 'images' / 'c.PNG')
    mask(root / 'masks' / 'c.png')
    dataset, notes = listed(root, img_suffix=['.jpg', '.PNG'])
    assert names(dataset) == ['a.jpg', 'b.jpg', 'c.PNG']
    assert masks(dataset) == ['a.png', 'b.png', 'c.png']
    assert not notes


def test_several_suffixes_of_masks(root):
    (root / 'masks' / 'b.png').rename(root / 'masks' / 'b.tif')
    dataset, _ = listed(root, seg_map_suffix=('.png', '.tif'))
    assert masks(dataset) == ['a.png', 'b.tif']
    mask(root / 'masks' / 'b.png')
    with pytest.raises(ConfigError, match=r'seg_map_suffix: wanted one ann'):
        listed(root, seg_map_suffix=('.png', '.tif'))


def test_two_images_do_not_share_a_mask(root):
    image(root / 'images' / 'a.png')
    with pytest.raises(ConfigError, match=r"'a.png' for both"):
        listed(root, img_suffix=('.jpg', '.png'))


@pytest.mark.parametrize('odd', [3, '', (), ('.jpg', 3), None])
def test_a_suffix_that_is_none_is_refused(root, odd):
    with pytest.raises(ConfigError, match='img_suffix: wanted a suffix'):
        listed(root, img_suffix=odd)


@pytest.mark.parametrize(
    'name', ['my.jpg.photos_1', 'some.jpg.d/x', 'jpg', 'x.jpg']
)
def test_a_suffix_inside_a_name_stays(root, name):
    """mmsegmentation #3091, mmdetection #6490."""
    image(root / 'images' / f'{name}.jpg')
    mask(root / 'masks' / f'{name}.png')
    dataset, _ = listed(root)
    assert f'{name}.png' in masks(dataset)
    bare, _ = listed(root, img_suffix='jpg', seg_map_suffix='png')
    assert f'{name}.png' in masks(bare)


def test_masks_beside_images_are_not_images(root):
    for name in ('a', 'b'):
        image(root / 'flat' / f'{name}.png')
        mask(root / 'flat' / f'{name}_labelIds.png')
    options = dict(img_dir='flat', img_suffix='.png')
    options['seg_map_suffix'] = '_labelIds.png'
    for ann_dir in ('flat', None):
        dataset, notes = listed(root, ann_dir=ann_dir, **options)
        assert names(dataset) == ['a.png', 'b.png']
        assert '2 annotations beside the images' in notes[0]


def test_masks_below_the_images_are_not_images(root):
    shutil.move(root / 'masks', root / 'images' / 'masks')
    image(root / 'images' / 'c.png')
    dataset, notes = listed(root, ann_dir='images/masks', img_suffix='.png')
    assert names(dataset) == ['c.png']
    assert '2 annotations' in notes[0]
    assert '2 files' in notes[1]
    assert 'look like images and are not in the pool' in notes[1]


@pytest.mark.parametrize(
    'text',
    [
        b'\xef\xbb\xbfa\nb\n',
        'a\nb\n'.encode('utf-16'),
        'a\n\n  \nb\n\n',
        'a  \r\n\tb\r\n\r\n',
        'a\rb',
        'a.jpg\nb.jpg',
        'a.png\nb.JPG',
        './a\n./b.jpg',
        'images/a\nimages/b.jpg',
        '/a\n/images/b',
        'masks/a.png\nimages\\b.jpg',
        '# the pool\na\nb',
        'images/a.jpg masks/a.png\nimages/b.jpg masks/b.png',
        'a 1\nb -1',
    ],
)
def test_split_files_are_read_as_people_write_them(root, text):
    """KittiSeg #145 (a line break at the end), crackseg9k #3 (``ls >``)."""
    image(root / 'images' / 'c.jpg')
    dataset, notes = listed(root, **split(root, text))
    assert names(dataset) == ['a.jpg', 'b.jpg']
    assert masks(dataset) == ['a.png', 'b.png']
    assert not notes


def test_a_split_may_hold_absolute_paths(root):
    text = '\n'.join(str(root / 'images' / x) for x in ('a.jpg', 'b'))
    dataset, _ = listed(root, **split(root, text))
    assert names(dataset) == ['a.jpg', 'b.jpg']


def test_one_image_has_one_name_whatever_leads_to_it(root):
    """Else it would be asked, and paid, once for each."""
    image(root / 'images' / 'sub' / 'c.jpg')
    mask(root / 'masks' / 'sub' / 'c.png')
    text = '../images/a.jpg\nsub/../b\n../images/sub/c'
    dataset, _ = listed(root, **split(root, text))
    assert names(dataset) == ['a.jpg', 'b.jpg', 'sub/c.jpg']
    with pytest.raises(ConfigError, match=r"'a\.jpg' twice"):
        listed(root, **split(root, 'a\n../images/a.jpg'))


def test_a_split_of_another_folder_is_not_this_one(root):
    """``val/images/a`` is no image of ``train/images``."""
    image(root / 'train' / 'images' / 'a.jpg')
    with pytest.raises(DataError, match='line 1 names it'):
        listed(root, img_dir='train/images', **split(root, 'val/images/a'))


def test_a_line_without_an_image_is_named(root):
    with pytest.raises(DataError) as error:
        listed(root, **split(root, 'a\n\nlost\nb\ngone.jpg\n'))
    said = str(error.value)
    assert f'{root}/images/lost.jpg: the file is missing' in said
    assert "split.txt, line 3 names it ('lost')" in said
    assert 'line 5' in said


def test_a_name_listed_twice_is_named(root):
    with pytest.raises(ConfigError) as error:
        listed(root, **split(root, 'a\nb\n./a.jpg\n'))
    assert "'a.jpg' twice, in lines 1 and 3" in str(error.value)


def test_a_split_that_is_no_text_is_named(root):
    with pytest.raises(ConfigError, match=r'line 2: wanted UTF-8'):
        listed(root, **split(root, b'a\n\xff\xe9\n'))


@pytest.mark.parametrize('ann_dir', ['images', None])
def test_masks_beside_images_in_another_format_are_no_news(root, ann_dir):
    mask(root / 'images' / 'a.png')
    mask(root / 'images' / 'b.png')
    dataset, notes = listed(root, ann_dir=ann_dir)
    assert names(dataset) == ['a.jpg', 'b.jpg']
    assert not notes


def test_links_are_followed_and_broken_ones_named(root):
    (root / 'images' / 'c.jpg').symlink_to(root / 'images' / 'a.jpg')
    (root / 'images' / 'lost.jpg').symlink_to(root / 'nowhere.jpg')
    (root / 'images' / 'loop').symlink_to(root / 'images')
    dataset, notes = listed(root)
    assert names(dataset) == ['a.jpg', 'b.jpg', 'c.jpg']
    assert '1 link to no file' in notes[0]
    assert 'lost.jpg' in notes[0]


def test_a_class_with_a_list_of_its_own_keeps_it(root):
    from mmseg.datasets import DATASETS, CustomDataset

    class Listed(CustomDataset):
        def load_annotations(self, *args, **kwargs):
            return [dict(filename='.hidden/x.jpg')]

    DATASETS.register_module(Listed, force=True)
    try:
        dataset, notes = listed(root, type='Listed')
    finally:
        del DATASETS.module_dict['Listed']
    assert names(dataset) == ['.hidden/x.jpg']
    assert 'load_annotations of Listed lists 1 hidden file' in notes[0]


def photo(path, kind, size=(4, 6)):
    """A JPEG that EXIF turns: dark at the left of the stored pixels."""
    pixels = np.full((*size, 3), 200, np.uint8)
    pixels[: size[0] // 2, : size[1] // 2] = 0
    exif = Image.Exif()
    exif[0x0112] = kind
    Image.fromarray(pixels).save(path, exif=exif, quality=95)


@pytest.mark.parametrize('kind', range(1, 9))
def test_the_turn_is_the_decoders(tmp_path, kind):
    photo(tmp_path / 'x.jpg', kind)
    assert orientation(str(tmp_path / 'x.jpg')) == kind
    stored, upright = (
        mmcv.imread(str(tmp_path / 'x.jpg'), flag)
        for flag in ('color_ignore_orientation', 'color')
    )
    np.testing.assert_array_equal(turned(stored, kind), upright)


def test_a_png_may_carry_an_orientation(tmp_path):
    photo(tmp_path / 'x.png', 6)
    assert orientation(str(tmp_path / 'x.png')) == 6
    assert orientation(str(tmp_path / 'lost.png')) == 1


@pytest.mark.parametrize(
    ('kind', 'size', 'mask_size', 'ignores', 'refused'),
    [
        (6, (4, 6), (4, 6), False, True),  # stored
        (6, (4, 6), (6, 4), False, False),  # upright
        (6, (4, 6), (4, 6), True, False),
        (6, (4, 6), (6, 4), True, True),
        (3, (4, 6), (4, 6), False, True),  # nothing tells
        (3, (4, 6), (4, 6), True, False),
        (8, (4, 4), (4, 4), False, True),
        (8, (4, 4), (4, 4), True, False),
        (1, (4, 6), (4, 6), False, False),
    ],
)
def test_masks_must_be_turned_as_the_images_are(
    root, kind, size, mask_size, ignores, refused
):
    """labelme #1529: labels of rotated images do not match."""
    photo(root / 'images' / 'a.jpg', kind, size)
    mask(root / 'masks' / 'a.png', mask_size)
    read = dict(type='LoadImageFromFile')
    if ignores:
        read['color_type'] = 'color_ignore_orientation'
    dataset, _ = listed(root, pipeline=[read, *READ[1:]])
    seen = look_at_orientations(dataset, 'data.train')
    assert bool(seen.problems) == refused
    said = ' '.join(seen.problems + seen.notes)
    if kind > 1:
        assert f'images/a.jpg (orientation {kind}' in said
        assert seen.turns != ignores
    if refused:
        assert 'exif_transpose' in said


@pytest.mark.parametrize('kind', range(1, 9))
def test_a_tiff_is_turned_whatever_reads_it(root, kind):
    """OpenCV and Pillow heed its tag, with any flag; tifffile does not."""
    pixels = np.full((4, 6, 3), 200, np.uint8)
    pixels[:2, :3] = 0
    for name in ('a', 'b'):
        Image.fromarray(pixels).save(
            root / 'images' / f'{name}.tif', tiffinfo={274: kind}
        )
    path = str(root / 'images' / 'a.tif')
    assert orientation(path) == kind
    upright = mmcv.imread(path)
    np.testing.assert_array_equal(turned(pixels, kind), upright)
    fits = kind > 4
    for name in ('a', 'b'):
        mask(root / 'masks' / f'{name}.png', upright.shape[:2])
    dataset, _ = listed(root, img_suffix='.tif')
    seen = look_at_orientations(dataset, 'data.train')
    assert bool(seen.problems) == (kind in (2, 3, 4))
    assert bool(seen.notes) == fits
    for name in ('a', 'b'):
        mask(root / 'masks' / f'{name}.png')
    seen = look_at_orientations(dataset, 'data.train')
    assert bool(seen.problems) == (kind > 1)
    read = dict(
        type='LoadImageFromFile',
        color_type='unchanged',
        imdecode_backend='tifffile',
    )
    dataset, _ = listed(root, img_suffix='.tif', pipeline=[read, *READ[1:]])
    seen = look_at_orientations(dataset, 'data.train')
    assert not seen.problems
    assert seen.turns == (kind == 1)


def test_annotations_that_are_turned_tiffs_fit_their_images(root):
    for folder, pixels in (
        ('images', np.zeros((4, 6, 3), np.uint8)),
        ('masks', np.zeros((4, 6), np.uint8)),
    ):
        pixels[:2, :3] = 1
        for name in ('a', 'b'):
            Image.fromarray(pixels).save(
                root / folder / f'{name}.tif', tiffinfo={274: 3}
            )
    dataset, _ = listed(root, img_suffix='.tif', seg_map_suffix='.tif')
    assert not look_at_orientations(dataset, 'data.train').problems


def test_what_one_size_tells_counts_for_images_of_which_none_does(root):
    photo(root / 'images' / 'a.jpg', 6)
    mask(root / 'masks' / 'a.png', (6, 4))
    photo(root / 'images' / 'b.jpg', 3)
    seen = look_at_orientations(listed(root)[0], 'data.train')
    assert not seen.problems
    assert '2 images with an EXIF' in seen.notes[0]


def test_a_folder_query_leaves_out_what_is_hidden(root):
    image(root / 'images' / '.ipynb_checkpoints' / 'a.jpg')
    image(root / 'images' / 'a.png')
    image(root / 'images' / 'c.pNg')
    photo(root / 'images' / 'b.JPEG', 6)
    notes = []
    trained = SimpleNamespace(classes=('one', 'two'), palette=None)
    pool = open_folder(root / 'images', READ[:1], trained, notes)
    assert [x.name.rsplit('/', 1)[1] for x in pool] == [
        'a.jpg',
        'a.png',
        'b.JPEG',
        'b.jpg',
    ]
    said = '\n'.join(notes)
    assert '1 hidden file' in said
    assert 'c.pNg' in said
    assert 'b.JPEG (orientation 6' in said
    assert 'a.jpg, a.png' in said  # one may be the annotation of the other


def test_a_folder_query_leaves_out_annotations_beside_the_images(root):
    mask(root / 'images' / 'a_ids.jpg')
    notes, trained = [], SimpleNamespace(classes=('one', 'two'), palette=None)
    cfg = Config(dict(data=dict(val=dict(seg_map_suffix='_ids.jpg'))))
    maps = suffixes(cfg, 'seg_map_suffix')
    folder = root / 'images'
    pool = open_folder(folder, READ[:1], trained, notes, maps=maps)
    assert [x.name.rsplit('/', 1)[1] for x in pool] == ['a.jpg', 'b.jpg']
    assert '1 annotation beside the images' in notes[0]


def test_a_folder_query_asks_about_what_the_config_does(root):
    (root / 'images' / 'a.jpg').rename(root / 'images' / 'a.img')
    (root / 'images' / 'b.jpg').unlink()
    trained = SimpleNamespace(classes=('one', 'two'), palette=None)
    folder = root / 'images'
    with pytest.raises(DataError, match='got none'):
        open_folder(folder, READ[:1], trained, [])
    cfg = Config(dict(data=dict(query=dict(img_suffix='.img'))))
    pool = open_folder(
        folder, READ[:1], trained, [], suffixes(cfg, 'img_suffix')
    )
    assert [image.name.rsplit('/', 1)[1] for image in pool] == ['a.img']


def test_a_reader_of_the_users_own_is_one_that_gives_an_image(root):
    from mmseg.datasets import PIPELINES

    class Tiles:
        def __call__(self, results):
            name = results['img_info']['filename']
            results['img'] = mmcv.imread(f'{results["img_prefix"]}/{name}')
            return results

    PIPELINES.register_module(Tiles, force=True)
    collect = dict(type='Collect', keys=['img'], meta_keys=())
    try:
        dataset, _ = listed(root, pipeline=[dict(type='Tiles'), collect])
        assert open_pool(dataset)[0].size == (4, 6)
        with pytest.raises(ConfigError, match='wanted a step that loads'):
            open_pool(listed(root, pipeline=[collect])[0])
    finally:
        del PIPELINES.module_dict['Tiles']


@pytest.fixture
def experiment(tmp_path):
    return Experiment.begin(tmp_path)


def test_a_suffix_that_a_class_sets_itself_is_named(experiment, capfd):
    experiment.add("data['train'].update(type='ADE20KDataset')")
    assert experiment.run('--dry-run') == 2
    said = capfd.readouterr().err
    assert 'data.train.img_suffix: ADE20KDataset sets it itself' in said
    assert "'CustomDataset' with classes" in said


def test_a_dry_run_says_what_is_left_out(experiment, capfd):
    """Copies in a hidden folder are not asked about, and so not paid for."""
    hidden = experiment.image().parent / '.ipynb_checkpoints'
    hidden.mkdir()
    shutil.copy(experiment.image(), hidden / '03.png')
    shutil.copy(experiment.image(), experiment.image().with_name('x.PNG'))
    assert experiment.run('--dry-run') == 0
    said = capfd.readouterr().err
    assert said.count('1 hidden file in data/images is left out') == 1
    assert said.count('data.query: 1 file in data/images looks like') == 1
    assert 'x.PNG' in said


def test_an_image_on_its_side_stops_the_run(experiment, capfd):
    for number in range(4):
        path = experiment.image(number)
        photo(path.with_suffix('.jpg'), 3 if number == 2 else 1, (24, 32))
        path.unlink()
    experiment.add(
        "for key in ('train', 'query', 'val'):\n"
        "    data[key].update(img_suffix='.jpg')"
    )
    assert experiment.run('--dry-run') == 3
    said = capfd.readouterr().err
    assert 'data.train: got 1 image with an EXIF orientation' in said
    assert '02.jpg (orientation 3, turned by 180 degrees)' in said
