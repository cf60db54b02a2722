"""Images that are not 8-bit RGB: seen, cut into superpixels, and drawn."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import cv2
import mmcv
import numpy as np
import pytest
import tifffile
from mmseg.datasets import PIPELINES, CustomDataset
from PIL import Image

from segal.active.dataset.pool import Pool, open_pool
from segal.active.images.view import (
    ImageView,
    content_of,
    range_of,
    stretched,
)
from segal.active.label_store.pool_file import read_pool
from segal.active.units.regions import Superpixels
from segal.config import fingerprint, load_config, read_config
from segal.errors import ConfigError, DataError
from segal.experiment.image_summary import doubtful_bands
from segal.experiment.selecting import shape_of
from segal.preflight import pictures
from segal.preflight.images import enter_alike
from segal.pretraining.pretrain import _check_colours
from tests.bad_input.experiment import Experiment

SIZE = (48, 64)

# How a file is written of B, G, R in 0 to 255, and read again.
UNCHANGED = dict(type='LoadImageFromFile', color_type='unchanged')
GREY = dict(type='LoadImageFromFile', color_type='grayscale')
BANDS = dict(UNCHANGED, imdecode_backend='tifffile')
KINDS = {
    'colour': ('.png', dict(type='LoadImageFromFile'), 3, (120, 60)),
    'float of bytes': (
        '.png',
        dict(type='LoadImageFromFile', to_float32=True),
        3,
        (120, 60),
    ),
    'grey': ('.png', GREY, 1, (120, 60)),
    'alpha': ('.png', UNCHANGED, 4, (120, 60)),
    '12 bits': ('.png', UNCHANGED, 3, (1920, 900)),
    'grey of 16 bits': ('.png', UNCHANGED, 1, (30000, 15000)),
    'cut to 8 bits': ('.png', dict(type='LoadImageFromFile'), 3, (8, 4)),
    'float': ('.tif', UNCHANGED, 3, (0.5, 0.25)),
    'five bands': ('.tif', BANDS, 5, (20000, 9000)),
    'own': ('.npy', dict(type='LoadImageOfNumPy'), 5, (0.5, 0.25)),
}


@PIPELINES.register_module()
class LoadImageOfNumPy:
    """A loader of the user's own."""

    def __call__(self, results):
        path = Path(results['img_prefix']) / results['img_info']['filename']
        image = np.load(path)
        results.update(filename=str(path), ori_filename=path.name, img=image)
        for key in ('img_shape', 'ori_shape', 'pad_shape'):
            results[key] = image.shape
        return results | dict(scale_factor=1.0, img_norm_cfg={})


def write(kind: str, path: Path, image: np.ndarray) -> None:
    """An image, B, G, R as float (H, W, 3) in 0 to 255, as a file."""
    stem = str(path.with_suffix(''))
    grey = image.mean(-1)
    bands = np.dstack([image[..., ::-1], image[..., 0] / 2, grey / 3])
    if kind in ('colour', 'float of bytes'):
        cv2.imwrite(f'{stem}.png', image.astype(np.uint8))
    elif kind == 'grey':
        cv2.imwrite(f'{stem}.png', grey.astype(np.uint8))
    elif kind == 'alpha':
        alpha = np.full(grey.shape, 255)
        alpha[:12] = 0
        cv2.imwrite(f'{stem}.png', np.dstack([image, alpha]).astype(np.uint8))
    elif kind in ('12 bits', 'cut to 8 bits'):
        cv2.imwrite(f'{stem}.png', (image * 16).astype(np.uint16))
    elif kind == 'grey of 16 bits':
        cv2.imwrite(f'{stem}.png', (grey * 256).astype(np.uint16))
    elif kind == 'float':
        cv2.imwrite(f'{stem}.tif', (image / 255).astype(np.float32))
    elif kind == 'five bands':
        tifffile.imwrite(
            f'{stem}.tif',
            (bands * 200).astype(np.uint16),
            photometric='minisblack',
            planarconfig='contig',
        )
    else:
        np.save(f'{stem}.npy', (bands / 255).astype(np.float32))


def scene(index: int) -> tuple[np.ndarray, np.ndarray]:
    """B, G, R in 0 to 255, and class ids: sky, ground and a thing."""
    labels = np.zeros(SIZE, np.uint8)
    labels[:16] = 2
    labels[24:40, 8 + 4 * index : 24 + 4 * index] = 1
    colours = np.array([[40, 160, 60], [200, 40, 40], [90, 120, 220]], float)
    noise = np.random.default_rng(index).normal(0, 6, (*SIZE, 3))
    return (colours[labels] + noise).clip(0, 255), labels


def write_pool(kind: str, folder: Path, count: int = 4) -> Path:
    """Images of a kind, and their annotations."""
    for name in ('images', 'annotations'):
        (folder / name).mkdir(parents=True, exist_ok=True)
    for i in range(count):
        image, labels = scene(i)
        write(kind, folder / 'images' / f'{i:02d}.png', image)
        mmcv.imwrite(labels, str(folder / 'annotations' / f'{i:02d}.png'))
    return folder


def data_set(kind: str, folder: Path) -> CustomDataset:
    suffix, loader = KINDS[kind][:2]
    return CustomDataset(
        [loader],
        img_dir='images',
        data_root=str(folder),
        img_suffix=suffix,
        classes=['ground', 'thing', 'sky'],
        test_mode=True,
    )


def pool_of(kind: str, folder: Path, cache: Path | None = None) -> Pool:
    if not folder.exists():
        write_pool(kind, folder)
    return open_pool(data_set(kind, folder), cache)


def test_an_image_with_holes_that_replaces_another_stays_refused(tmp_path):
    """Its look is not remembered, what was there before is."""
    folder = tmp_path / 'pool'
    pool = pool_of('float', folder, tmp_path)
    (tmp_path / 'labels').mkdir()
    file = Path(pool.file(pool[1].name))
    image = tifffile.imread(file).copy()
    image[0, 0] = np.nan
    tifffile.imwrite(file, image)
    for _ in range(2):
        again = pool_of('float', folder, tmp_path)
        assert again.changed == again.holes == [pool[1].name]


def experiment(kind: str, folder: Path, more: str = '') -> Experiment:
    """A tiny experiment on images of a kind."""
    x = Experiment.begin(folder, images=1)
    for path in (folder / 'data').rglob('*.png'):
        path.unlink()
    write_pool(kind, folder / 'data')
    suffix, loader, channels, (mean, std) = KINDS[kind]
    text = x.config.read_text()
    for old, new in {
        "dict(type='LoadImageFromFile')": repr(loader),
        "    dict(type='PhotoMetricDistortion'),\n": '',
        "img_suffix='.png'": f'img_suffix={suffix!r}',
        'in_channels=3': f'in_channels={channels}',
        '[120.0] * 3': f'[{mean}.0 * 1.0] * {channels}'
        if isinstance(mean, int)
        else f'[{mean}] * {channels}',
        '[60.0] * 3': f'[{std}] * {channels}',
        'to_rgb=True': f'to_rgb={channels == 3}',
    }.items():
        assert old in text
        text = text.replace(old, new)
    x.config.write_text(text + more)
    return x


SUPERPIXELS = """
runner.update(sample_mode='region', sample_rounds=2)
active_learning['visualize'] = dict(size=1)
active_learning['settings']['region'] = dict(
    query_size=2, shape=dict(type='Superpixels', segments=40))
"""


@pytest.mark.parametrize('kind', KINDS)
def test_an_image_of_any_kind_is_seen_in_its_colours(kind, tmp_path):
    """mmsegmentation 2303 (16 bits), 1668 (bands of a TIFF)."""
    pool = pool_of(kind, tmp_path / kind)
    for i, image in enumerate(pool):
        seen = pool.read_image(image.name)
        assert (seen.shape, seen.dtype) == ((*SIZE, 3), np.uint8)
        wanted = scene(i)[0][..., ::-1]
        if 'grey' in kind:
            wanted = np.repeat(wanted.mean(-1, keepdims=True), 3, -1)
        if kind in ('colour', 'float of bytes', 'alpha', 'grey'):
            assert (seen == wanted.astype(np.uint8)).all()
            continue
        # the same up to black and white, and up to what 8 bits lost
        lowest, highest = np.percentile(wanted, (1, 99))
        stretched = (wanted - lowest) / (highest - lowest) * 255
        assert np.abs(stretched.clip(0, 255) - seen).mean() < 12
        assert np.ptp(seen) > 200


def test_colour_of_8_bits_is_read_as_ever(tmp_path):
    """A superpixel of a work_dir of before is the one of today."""
    pool = pool_of('colour', tmp_path / 'data')
    name = pool[1].name
    bgr = cv2.imread(pool.file(name))
    assert (pool.read_image(name) == bgr[..., ::-1]).all()
    assert not pool.contents
    assert pool.view.fingerprint(pool.contents) == ''


@pytest.mark.parametrize(
    'kind', ['12 bits', 'grey of 16 bits', 'five bands', 'alpha', 'grey']
)
def test_superpixels_follow_the_edges_of_any_image(kind, tmp_path):
    """scikit-image 5512: another type of numbers gave other superpixels."""
    pool = pool_of(kind, tmp_path / kind)
    shape = Superpixels(pool.read_image, pool.file, None, segments=40)
    for i, image in enumerate(pool):
        found = shape.labels(image)
        count = int(found.max()) + 1
        assert 20 <= count <= 60
        truth = scene(i)[1]
        votes = np.zeros((count, 3))
        np.add.at(votes, (found.reshape(-1), truth.reshape(-1)), 1)
        assert votes.max(1).sum() / truth.size > 0.97


def test_nan_infinity_and_constant_bands_are_shown(tmp_path):
    """scikit-image 4883: SLIC stumbles over NaN."""
    folder = write_pool('own', tmp_path / 'data')
    for path in (folder / 'images').iterdir():
        bands = np.load(path)
        bands[:2], bands[2:4], bands[4:6] = np.nan, np.inf, -np.inf
        bands[..., 2] = 7
        np.save(path, bands)
    pool = pool_of('own', folder)
    seen = pool.read_image(pool[0].name)
    assert np.ptp(seen[6:, :, 0]) > 200
    assert np.ptp(seen[6:, :, 1]) > 200
    assert not seen[..., 2][6:].any()
    assert not seen[:2].any()
    found = Superpixels(pool.read_image, pool.file, None, 40).labels(pool[0])
    assert found.max() > 15
    for path in (folder / 'images').iterdir():
        np.save(path, np.full((*SIZE, 5), np.nan, np.float32))
    assert not pool_of('own', folder).read_image(pool[0].name).any()


@pytest.mark.parametrize('fill', [-9999, np.finfo(np.float32).min, 65535])
def test_a_value_for_no_data_takes_no_range(fill):
    """All that was measured would have a few shades of one colour."""
    heights = np.random.default_rng(0).uniform(300, 900, (60, 60, 1))
    bands = heights.astype(np.float32).repeat(3, axis=2)
    bands[:6] = fill
    found = range_of([bands])
    assert 300 < found.low[0] < 305
    assert 895 < found.high[0] < 900
    seen = stretched(bands, found)
    assert (seen[:6] == (255 if fill > 0 else 0)).all()
    assert len(np.unique(seen[6:])) > 250


def test_empty_ground_and_few_values_keep_their_range():
    for values in ([0] * 99 + [500, 501], [0, *range(9, 5000)], range(99)):
        image = np.repeat(values, 3).reshape(1, -1, 3)
        assert range_of([image]).low[0] < 40


def test_the_view_depends_on_the_images_alone(tmp_path):
    """Not on a start, on sizes that are remembered, or on a folder."""
    folder, cache = tmp_path / 'data', tmp_path / 'cache'
    first = pool_of('12 bits', folder, cache)
    again = pool_of('12 bits', folder, cache)
    shutil.copytree(folder, tmp_path / 'moved')
    moved = pool_of('12 bits', tmp_path / 'moved')
    for other in (again, moved):
        assert other.contents == first.contents
        assert other.view == first.view
        assert other.view.fingerprint(other.contents) != ''
    kept = json.loads(json.dumps(first.view.as_json()))
    assert ImageView.from_json(kept) == first.view


def test_sizes_that_another_loader_gave_are_not_believed(tmp_path):
    """A config that is corrected after a first start has another loader."""
    folder, cache = tmp_path / 'data', tmp_path / 'cache'
    pool_of('cut to 8 bits', folder, cache)
    (content,) = set(pool_of('12 bits', folder, cache).contents.values())
    assert content.dtype == 'uint16'


def test_superpixels_of_other_channels_are_others(tmp_path):
    """They are kept under a name that says how the image was seen."""
    folder, shapes = tmp_path / 'data', []
    for channels in (None, (4, 4, 3)):
        pool = pool_of('five bands', folder)
        assert pool.show_channels(channels) == []
        part = dict(type='Superpixels', segments=40)
        shape = shape_of(part, pool, tmp_path / 'superpixels')
        shapes.append([shape.labels(image) for image in pool])
        assert (shape.labels(pool[0]) == shapes[-1][0]).all()
    assert not all((a == b).all() for a, b in zip(*shapes, strict=True))


def test_channels_are_chosen_and_held_to_the_image(tmp_path):
    """mmsegmentation 1554: images of more than three bands."""
    pool = pool_of('five bands', tmp_path / 'data')
    name = pool[0].name
    bands = tifffile.imread(pool.file(name))
    assert pool.show_channels((4, 3, 0)) == []
    seen = pool.read_image(name)
    for channel, band in enumerate((4, 3, 0)):
        both = seen[..., channel].reshape(-1), bands[..., band].reshape(-1)
        assert np.corrcoef(*both)[0, 1] > 0.98
    (problem,) = pool.show_channels((0, 1, 5))
    assert '0 to 4' in problem
    assert '(0, 1, 5)' in problem


@pytest.mark.parametrize('kind', ['grey of 16 bits', 'alpha', 'own'])
def test_an_experiment_on_any_images_runs(kind, tmp_path, capsys):
    """mmsegmentation 3370 (one channel), PaddleSeg 3817 (16 bits)."""
    more = SUPERPIXELS
    if kind == 'own':
        more += "active_learning['visualize']['channels'] = (0, 1, 2)\n"
    x = experiment(kind, tmp_path / 'x', more)
    assert x.run() == 0, capsys.readouterr().err
    rows = json.loads((x.work_dir / 'rounds.json').read_text())
    pixels = 4 * SIZE[0] * SIZE[1]
    for row in rows['rounds'] if isinstance(rows, dict) else rows:
        assert row['requested'] < 0.4 * pixels
    (overlay,) = (x.work_dir / 'viz' / 'round_001').glob('*_overlay.png')
    assert np.asarray(Image.open(overlay)).std() > 20
    # a tool that runs no config sees the same
    before = data_set(kind, x.folder / 'data')
    pool, told = open_pool(before), read_pool(x.work_dir)
    pool.show_channels(told.view.channels)
    for image in told.images:
        seen, again = pool.read_image(image.name), told.read(image.name)
        off = np.abs(seen.astype(int) - again)
        assert off.mean() < (12 if kind == 'own' else 1e-9)


def grey_and_alpha(x: Experiment) -> None:
    for i in range(2):
        write('alpha', x.image(i), scene(i)[0])


def complex_image(x: Experiment) -> None:
    np.save(x.image(1).with_suffix('.npy'), np.zeros((*SIZE, 5), complex))


def bytes_to_evaluate(x: Experiment) -> None:
    write_pool('colour', x.folder / 'val')
    x.add("data['val']['data_root'] = 'val'")


def hole(x: Experiment) -> None:
    path = str(x.image(2).with_suffix('.tif'))
    image = cv2.imread(path, cv2.IMREAD_UNCHANGED)
    image[3, 4] = np.nan
    cv2.imwrite(path, image)


def holes(x: Experiment) -> None:
    for path in (x.folder / 'data' / 'images').iterdir():
        image = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        image[:3] = np.nan
        cv2.imwrite(str(path), image)


def later(kind: str, folder: str):
    """One image of another kind, not the first, in a set of its own."""

    def breaks(x: Experiment) -> None:
        shutil.copytree(x.folder / 'data', x.folder / folder)
        images = x.folder / folder / 'images'
        next(images.glob('02.*')).unlink()
        write(kind, images / '02.png', scene(2)[0])

    return breaks


SOURCE = (
    "data['train'] = [data['train'], "
    "dict(pool, data_root='source', pipeline=train_pipeline)]\n"
)

REFUSED = {
    # rasterio and the like write NaN where there is no data
    'NaN in one image': (
        'float',
        '',
        hole,
        2,
        ('finite numbers', 'NaN', '02.tif (1 image', 'nan_to_num'),
    ),
    'NaN in all images': ('float', '', holes, 2, ('finite numbers', '4 im')),
    'a source of another type': (
        '12 bits',
        SOURCE,
        lambda x: write_pool('colour', x.folder / 'source'),
        2,
        ('data.train[1]: wanted images that enter', 'uint16', 'uint8'),
    ),
    'a later image to evaluate of another type': (
        '12 bits',
        "data['val']['data_root'] = 'val'",
        later('colour', 'val'),
        2,
        ('data.val: wanted images like', 'uint8', 'val/images/02.png'),
    ),
    'a later image to evaluate without alpha': (
        'alpha',
        "data['val']['data_root'] = 'val'",
        later('colour', 'val'),
        2,
        ('val/images/02.png', 'data.val'),
    ),
    'channels that are not there': (
        'grey',
        "active_learning['visualize'] = dict(channels=(0, 1, 2))",
        None,
        2,
        ('visualize.channels', '0 to 0', '(0, 1, 2)'),
    ),
    'two channels are named': (
        'five bands',
        "active_learning['visualize'] = dict(channels=(0, 1))",
        None,
        2,
        ('visualize.channels: wanted three integers', '(0, 1)'),
    ),
    # mmsegmentation 1121: photometric distortion and other images
    'distortion of 16 bits': (
        '12 bits',
        "train_pipeline.insert(5, dict(type='PhotoMetricDistortion'))\n"
        "data['train']['pipeline'] = train_pipeline",
        None,
        2,
        ('PhotoMetricDistortion', '0 to 255', 'uint16'),
    ),
    'distortion of 0 to 1': (
        'float',
        "train_pipeline.insert(5, dict(type='PhotoMetricDistortion'))\n"
        "data['train']['pipeline'] = train_pipeline",
        None,
        2,
        ('PhotoMetricDistortion', '0 to 255', 'float32'),
    ),
    'trained on 8 bits, asked about 16': (
        '12 bits',
        "train_pipeline[0] = dict(type='LoadImageFromFile')\n"
        "data['train']['pipeline'] = train_pipeline",
        None,
        2,
        ('data.train.pipeline', 'uint8', 'uint16', 'same loading step'),
    ),
    'evaluated on files of 8 bits': (
        '12 bits',
        '',
        bytes_to_evaluate,
        2,
        ('data.val: wanted images like', 'uint16', 'uint8'),
    ),
    'grey and alpha in one pool': (
        'grey of 16 bits',
        '',
        grey_and_alpha,
        2,
        ('one number of channels', '1 (', '4 (', "color_type='color'"),
    ),
    '8 bits among 16': (
        'grey of 16 bits',
        '',
        lambda x: write('grey', x.image(2), scene(2)[0]),
        2,
        ('one scale', 'uint8', '02.png', 'uint16', 'times as much'),
    ),
    # which mmseg's colour reading makes nearly black
    '12 bits among 8': (
        'colour',
        '',
        lambda x: write('12 bits', x.image(2), scene(2)[0]),
        2,
        ('one scale', '02.png', 'times as much'),
    ),
    'cut off at 255': (
        'grey of 16 bits',
        "step = dict(type='LoadImageFromFile', color_type='grayscale', "
        "imdecode_backend='pillow')\n"
        'train_pipeline[0] = test_pipeline[0] = step\n'
        "for one in ('train', 'query', 'val'):\n"
        "    data[one]['pipeline'][0] = step",
        None,
        3,
        ('00.png', 'pillow', "imdecode_backend='cv2'"),
    ),
    'complex numbers': (
        'own',
        '',
        complex_image,
        3,
        ('01.npy', 'complex128', 'real'),
    ),
    # segmentation_models.pytorch 652: a network for three channels
    # mmsegmentation 1121: saturation and hue of a grey image
    'distortion of grey': (
        'grey',
        "train_pipeline.insert(5, dict(type='PhotoMetricDistortion'))\n"
        "data['train']['pipeline'] = train_pipeline",
        None,
        2,
        ('data.train.pipeline fails on it in PhotoMetricDistortion',),
    ),
    'float that OpenCV cannot make 8 bits of': (
        'float',
        "train_pipeline[0] = test_pipeline[0] = dict(type='LoadImageFromFile')"
        "\nfor one in ('train', 'query', 'val'):\n"
        "    data[one]['pipeline'][0] = train_pipeline[0]",
        None,
        3,
        ('00.tif', "LoadImageFromFile(color_type='unchanged')", 'float32'),
    ),
    'predictions on BGR': (
        'colour',
        "for one in ('query', 'val'):\n"
        "    steps = data[one]['pipeline'][1]['transforms']\n"
        "    steps[0] = dict(steps[0], to_rgb=not norm['to_rgb'])\n"
        "train_pipeline.insert(2, dict(type='PhotoMetricDistortion'))\n"
        "data['train']['pipeline'] = train_pipeline",
        None,
        2,
        (
            'data.train.pipeline: wanted colours as in data.query.pipeline',
            'in 32 passes',
            'to_rgb',
        ),
    ),
    'an evaluation of values that are not normalised': (
        'colour',
        'last = dict(test_pipeline[1])\n'
        "last['transforms'] = last['transforms'][1:]\n"
        "data['val']['pipeline'] = [test_pipeline[0], last]",
        None,
        2,
        ('data.val.pipeline: wanted colours as in data.query.pipeline',),
    ),
    'predictions on brighter images': (
        'colour',
        'last = dict(test_pipeline[1])\n'
        "last['transforms'] = [dict(type='AdjustGamma', gamma=1.5), "
        "*last['transforms']]\n"
        "for one in ('query', 'val'):\n"
        "    data[one]['pipeline'] = [test_pipeline[0], last]",
        None,
        2,
        ('data.train.pipeline: wanted colours as in data.query.pipeline',),
    ),
    'predictions on images of equal contrast': (
        'colour',
        'last = dict(test_pipeline[1])\n'
        "last['transforms'] = [dict(type='CLAHE', clip_limit=4.0, "
        'tile_grid_size=(2, 2)), '
        "*last['transforms']]\n"
        "for one in ('query', 'val'):\n"
        "    data[one]['pipeline'] = [test_pipeline[0], last]",
        None,
        2,
        (
            'data.train.pipeline: wanted colours as in data.query.pipeline',
            'greys from',
        ),
    ),
    'an evaluation of images from black to white': (
        'colour',
        'last = dict(test_pipeline[1])\n'
        "last['transforms'] = [dict(type='Rerange'), *last['transforms']]\n"
        "data['val']['pipeline'] = [test_pipeline[0], last]",
        None,
        2,
        ('data.val.pipeline: wanted colours as in data.query.pipeline',),
    ),
    'training on 0 to 1, predictions on -1 to 1': (
        'float',
        'train_pipeline[-4].update(mean=[0.0], std=[1.0])\n'
        "data['train']['pipeline'] = train_pipeline",
        None,
        2,
        ('data.train.pipeline: wanted colours as in data.query.pipeline',),
    ),
    'a frozen network of five channels': (
        'five bands',
        "active_learning.update(features=dict(type='Backbone', backbone=dict("
        "type='ResNet', depth=18, in_channels=5), checkpoint='none.pth'), "
        "selector='CoreSet')\n"
        "runner.update(sample_mode='image')",
        None,
        2,
        ('backbone.in_channels: wanted 3', 'got 5', 'Segmentor'),
    ),
}


@pytest.mark.parametrize('row', REFUSED.values(), ids=REFUSED)
def test_what_goes_wrong_is_refused_before_a_label_is_bought(
    row, tmp_path, capsys
):
    """Each would end in a traceback, or in a network that learns nothing."""
    kind, more, breaks, code, words = row
    x = experiment(kind, tmp_path / 'x', more)
    if breaks is not None:
        breaks(x)
    assert x.run() == code
    said = capsys.readouterr().err
    for one in words:
        assert one in said
    assert 'Traceback' not in said
    assert not x.labels.exists()


def test_a_source_of_another_type_may_have_a_scale_of_its_own(tmp_path):
    """What enters the network is compared, not what lies in the files."""
    own = (
        'own_pipeline = [dict(step) for step in train_pipeline]\n'
        'for step in own_pipeline:\n'
        "    if step['type'] == 'Normalize':\n"
        '        step.update(mean=[120.0] * 3, std=[60.0] * 3)\n'
    )
    x = experiment('12 bits', tmp_path / 'x')
    x.add(own + SOURCE.replace('pipeline=train', 'pipeline=own'))
    write_pool('colour', x.folder / 'source')
    assert x.run('--dry-run') == 0


@pytest.mark.parametrize(
    'step',
    [
        dict(type='PhotoMetricDistortion'),
        dict(type='RandomColorJitter', hue=0.5),
        dict(type='RandomColorJitter', brightness=0.1, contrast=0.1),
        dict(type='RandomGrayscale', prob=0.9),
        dict(type='RandomGaussianBlur', sigma=(1, 30)),
    ],
    ids=lambda step: step['type'],
)
def test_training_may_change_colours_at_random(step, tmp_path):
    x = experiment('colour', tmp_path / 'x')
    x.add(
        f'train_pipeline.insert(2, {step})\n'
        "data['train']['pipeline'] = train_pipeline"
    )
    assert x.run('--dry-run') == 0


@pytest.mark.parametrize('step', ['CLAHE', 'Rerange'])
def test_all_pipelines_may_change_contrast(step, tmp_path):
    x = experiment('colour', tmp_path / 'x')
    x.add(
        'last = dict(test_pipeline[1])\n'
        f"last['transforms'] = [dict(type='{step}'), *last['transforms']]\n"
        "for one in ('query', 'val'):\n"
        "    data[one]['pipeline'] = [test_pipeline[0], last]\n"
        f"train_pipeline.insert(2, dict(type='{step}'))\n"
        "data['train']['pipeline'] = train_pipeline"
    )
    assert x.run('--dry-run') == 0


def test_grey_files_among_colour_are_no_other_kind(tmp_path):
    """A loader of colour gives three channels of each."""
    x = experiment('colour', tmp_path / 'x')
    write('grey', x.image(2), scene(2)[0])
    later('grey', 'val')(x)
    x.add("data['val']['data_root'] = 'val'")
    assert x.run('--dry-run') == 0


def test_a_picture_that_cannot_be_drawn_is_found_at_the_start(
    tmp_path, monkeypatch, capsys
):
    """ilastik 1023: a PNG with alpha failed when it was shown."""
    x = experiment('alpha', tmp_path / 'x', SUPERPIXELS)

    def broken(*_):
        raise ValueError('no such colour')

    monkeypatch.setattr(pictures, 'contact_sheet', broken)
    assert x.run() == 2
    said = capsys.readouterr().err
    assert 'active_learning.visualize' in said
    assert 'no such colour' in said
    assert not x.labels.exists()
    assert not (x.work_dir / 'viz').exists()


def test_bits_that_a_loader_drops_are_named(tmp_path, capfd):
    """mmsegmentation 2303: 16 bits are what OpenCV makes of them."""
    x = experiment('cut to 8 bits', tmp_path / 'x')
    x.add("log_level = 'INFO'")
    assert x.run('--dry-run') == 0
    told = ''.join(capfd.readouterr())
    assert "color_type='unchanged') keeps these" in told


MONO = dict(photometric='minisblack', planarconfig='contig')
COLOUR = dict(photometric='rgb')
PLAIN = dict(type='LoadImageFromFile')


@pytest.mark.parametrize(
    ('bands', 'kind', 'options', 'said'),
    [
        (4, COLOUR, PLAIN, 'mixes 4 bands of 2 TIFFs'),
        (4, COLOUR, UNCHANGED, 'mixes 4 bands of 2 TIFFs'),
        (4, COLOUR | dict(extrasamples='unspecified'), PLAIN, 'gives 3 of 4'),
        (4, COLOUR, BANDS, ''),
        (4, MONO, UNCHANGED, 'gives 1 of 4 bands of 2 TIFFs'),
        (2, MONO, PLAIN, 'gives 1 of 2 bands'),
        (3, dict(MONO, planarconfig=None), PLAIN, 'the first of 3 pages'),
        (3, COLOUR, PLAIN, ''),
        (3, COLOUR, UNCHANGED, ''),
    ],
)  # fmt: skip
def test_bands_that_are_not_read_as_they_are_are_named(
    bands, kind, options, said, tmp_path
):
    """GDAL writes colours and infrared as colours and alpha."""
    draw = np.random.default_rng(0)
    for name in ('a', 'b'):
        image = draw.integers(1, 200, (24, 32, bands), np.uint8)
        if kind.get('planarconfig', 1) is None:
            image = image.transpose(2, 0, 1)
        tifffile.imwrite(tmp_path / f'{name}.tif', image, **kind)
    dataset = CustomDataset(
        [options], img_dir=str(tmp_path), img_suffix='.tif',
        classes=['a', 'b'], test_mode=True,
    )  # fmt: skip
    found = list(doubtful_bands(open_pool(dataset)))
    assert [said in one for one in found] == [True] * (said != '')


@pytest.mark.parametrize(
    ('lowest', 'options', 'warned'),
    [(-1000, PLAIN, 1), (0, PLAIN, 0), (-1000, UNCHANGED, 0)],
)
def test_negative_values_that_become_white_are_named(
    lowest, options, warned, tmp_path
):
    """Air in a tomogram, -1000, becomes 252."""
    values = np.arange(lowest, 3000, 5, np.int16)[:384].reshape(16, 24)
    tifffile.imwrite(tmp_path / 'a.tif', values)
    dataset = CustomDataset(
        [options], img_dir=str(tmp_path), img_suffix='.tif',
        classes=['a', 'b'], test_mode=True,
    )  # fmt: skip
    found = list(doubtful_bands(open_pool(dataset)))
    assert len(found) == warned
    assert all('makes large values of negative ones of 1' in x for x in found)


def test_a_folder_of_two_scales_is_not_asked_about(tmp_path):
    """The same is said of images of a query without an experiment."""
    folder = write_pool('12 bits', tmp_path / 'data')
    write('colour', folder / 'images' / '02.png', scene(2)[0])
    steps = [
        KINDS['12 bits'][1],
        dict(
            type='MultiScaleFlipAug',
            img_scale=(64, 48),
            transforms=[
                dict(type='ImageToTensor', keys=['img']),
                dict(type='Collect', keys=['img']),
            ],
        ),
    ]
    dataset = CustomDataset(
        steps,
        img_dir=f'{folder}/images',
        img_suffix='.png',
        classes=['ground'],
        test_mode=True,
    )
    problems = []
    enter_alike(open_pool(dataset, key='folder'), problems)
    assert problems[0].startswith('folder: wanted images with one scale')


@pytest.mark.parametrize('mode', ['pixel', 'region'])
def test_channels_make_another_experiment_where_regions_see_them(
    mode, tmp_path
):
    """Pictures alone may change; superpixels may not."""
    prints = []
    for channels in ('None', '(0, 1, 2)', '(2, 1, 0)'):
        folder = tmp_path / channels
        x = experiment('five bands', folder, SUPERPIXELS)
        x.add(f"active_learning['visualize']['channels'] = {channels}")
        x.add(f"runner.update(sample_mode='{mode}')")
        cfg = load_config(str(x.config))
        config, problems, _ = read_config(cfg)
        assert not problems
        prints.append(fingerprint(cfg, config))
    assert len(set(prints)) == (3 if mode == 'region' else 1)


def test_what_is_no_image_is_refused():
    for array in (np.zeros((2, 3, 4, 5)), np.zeros((0, 3)), np.array('text')):
        with pytest.raises(DataError, match=r'a\.png: wanted an image'):
            content_of(array, 'a.png')
    with pytest.raises(ConfigError, match='0 to 0'):
        ImageView((0, 1, 2)).rgb(
            np.zeros((2, 2)), content_of(np.zeros((2, 2)), '')
        )


def test_pretraining_refuses_what_it_would_read_as_something_else(tmp_path):
    """MMSelfSup reads 8-bit colour, whatever the segmentor's loader gives."""
    _check_colours(pool_of('colour', tmp_path / 'colour'))
    with pytest.raises(ConfigError, match='uint16, 1 channel'):
        _check_colours(pool_of('grey of 16 bits', tmp_path / 'grey'))
