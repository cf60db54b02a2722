"""The converters, on tiny made-up copies of what they convert."""

import io
import subprocess
import sys
from contextlib import redirect_stderr
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

import mmcv
import numpy as np
import pytest
from PIL import Image

from segal.errors import DataError
from tests.tools.load import tool

ROOT = Path(__file__).resolve().parent.parent
TOOLS = ROOT / 'tools' / 'convert_datasets'
SIZE = (12, 16)


def write(path, value):
    path.parent.mkdir(parents=True, exist_ok=True)
    mmcv.imwrite(value, str(path))


def labels(i, void):
    value = np.full(SIZE, i % 11, np.uint8)
    value[:3] = void
    return value


def image(i):
    return np.full((*SIZE, 3), 20 * i, np.uint8)


def segnet(root):
    for split in ('train', 'val', 'test'):
        for i in range(4):
            write(root / split / f'{i}.png', image(i))
            write(root / f'{split}annot' / f'{i}.png', labels(i, 11))
    return root


def layout(root):
    for split in ('train', 'val', 'test'):
        for i in range(4):
            write(root / 'images' / split / f'{i}.jpg', image(i))
            write(root / 'annotations' / split / f'{i}.png', labels(i, 255))
    return root


def cityscapes(root, kind='labelIds'):
    for split in ('train', 'val'):
        for i in range(2):
            stem = f'aachen_{i:06d}_000019'
            write(
                root
                / 'leftImg8bit'
                / split
                / 'aachen'
                / f'{stem}_leftImg8bit.png',
                image(i),
            )
            ids = np.array([7, 26, 4, 33], np.uint8)
            if kind == 'labelTrainIds':
                ids = np.array([0, 13, 255, 18], np.uint8)
            write(
                root
                / 'gtFine'
                / split
                / 'aachen'
                / f'{stem}_gtFine_{kind}.png',
                np.repeat(np.repeat(ids[None], 12, 0), 4, 1),
            )
    return root


def loaded(name):
    """A converter; other tools have modules of the same names."""
    for shared in ('common', 'cityscapes'):
        sys.modules.pop(shared, None)
    return tool(f'convert_datasets/{name}')


def convert(name, *arguments):
    """Run a converter in this process; what it ends with, and says."""
    module, said = loaded(name), io.StringIO()
    command = [f'{name}.py', *map(str, arguments)]
    with mock.patch('sys.argv', command), redirect_stderr(said):
        code = module.end_with(module.main)
    return SimpleNamespace(returncode=code, stderr=said.getvalue())


def read(path):
    return mmcv.imread(str(path), 'unchanged')


@pytest.mark.parametrize('make', [segnet, layout])
def test_camvid_at_full_size(tmp_path, make):
    source, output = make(tmp_path / 'source'), tmp_path / 'out'
    done = convert('camvid', source, output)
    assert done.returncode == 0, done.stderr
    for split in ('train', 'val', 'test'):
        for i in range(4):
            np.testing.assert_array_equal(
                read(output / 'annotations' / split / f'{i}.png'),
                labels(i, 255),
            )
    (original,) = (
        source.rglob('train/2.[pj]*g')
        if make is segnet
        else (source / 'images' / 'train' / '2.jpg',)
    )
    copy = output / 'images' / 'train' / f'2{original.suffix}'
    assert copy.read_bytes() == original.read_bytes()


@pytest.mark.slow
def test_converters_are_scripts(tmp_path):
    done = subprocess.run(
        [sys.executable, TOOLS / 'camvid.py', tmp_path, tmp_path / 'out'],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 3
    assert 'trainannot' in done.stderr
    assert 'Traceback' not in done.stderr


def test_camvid_smaller_and_fewer(tmp_path):
    output = tmp_path / 'out'
    done = convert(
        'camvid',
        layout(tmp_path / 'source'),
        output,
        '--size',
        6,
        8,
        '--pool',
        2,
    )
    assert done.returncode == 0, done.stderr
    train = sorted((output / 'images' / 'train').iterdir())
    assert [path.name for path in train] == ['0.jpg', '3.jpg']
    assert len(list((output / 'images' / 'test').iterdir())) == 4
    assert read(train[0]).shape == (6, 8, 3)
    ids = read(output / 'annotations' / 'train' / '3.png')
    assert ids.shape == (6, 8)
    assert set(np.unique(ids)) == {3, 255}


def test_an_output_is_not_overwritten(tmp_path):
    source, output = layout(tmp_path / 'source'), tmp_path / 'out'
    assert convert('camvid', source, output).returncode == 0
    again = convert('camvid', source, output)
    assert again.returncode == 3
    assert '--force' in again.stderr
    assert convert('camvid', source, output, '--force').returncode == 0


def break_labels(root):
    write(root / 'annotations' / 'val' / '1.png', np.full(SIZE, 99, np.uint8))


def break_size(root):
    write(root / 'annotations' / 'val' / '1.png', np.zeros((3, 4), np.uint8))


def break_image(root):
    (root / 'images' / 'val' / '1.jpg').write_bytes(b'broken')


def break_pair(root):
    (root / 'annotations' / 'val' / '1.png').unlink()


@pytest.mark.parametrize(
    ('break_it', 'says'),
    [
        (break_labels, 'class ids 0 to 10'),
        (break_size, '(3, 4)'),
        (break_image, 'cannot be decoded'),
        (break_pair, 'missing'),
    ],
)
def test_a_broken_file_is_named_and_nothing_written(tmp_path, break_it, says):
    source, output = layout(tmp_path / 'source'), tmp_path / 'out'
    break_it(source)
    done = convert('camvid', source, output)
    assert done.returncode == 3
    assert says in done.stderr
    assert 'val/1.' in done.stderr
    assert 'Traceback' not in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ['source']


@pytest.mark.parametrize('kind', ['labelIds', 'labelTrainIds'])
def test_cityscapes(tmp_path, kind):
    from mmseg.datasets import CityscapesDataset

    output = tmp_path / 'out'
    done = convert(
        'cityscapes',
        cityscapes(tmp_path / 'source', kind),
        output,
        '--size',
        6,
        8,
    )
    assert done.returncode == 0, done.stderr
    dataset = CityscapesDataset(
        pipeline=[],
        data_root=str(output),
        img_dir='leftImg8bit/train',
        ann_dir='gtFine/train',
    )
    assert len(dataset) == 2
    ids = dataset.get_gt_seg_map_by_idx(0)
    assert ids.shape == (6, 8)
    assert ids[0].tolist() == [0, 0, 13, 13, 255, 255, 18, 18]


TRAINED = [7, 8, 11, 12, 13, 17, *range(19, 29), 31, 32, 33]
"""Label ids of the 19 classes, in the order of training ids."""

GTAV_IDS = np.array([7, 8, 26, 23, 0, 18, 34, 33], np.uint8)
"""Road, pavement, car, sky, void, pole group, licence plate, bicycle."""


def gtav_palette():
    """Cityscapes' colours in the order of its label ids."""
    from mmseg.datasets import CityscapesDataset

    palette = np.zeros((256, 3), np.uint8)
    palette[TRAINED] = CityscapesDataset.PALETTE
    palette[18], palette[34] = palette[17], palette[26]
    return palette


def gtav(root, kind='ids', count=2):
    """GTAV as it is published, or with labels that somebody saved anew."""
    (root / 'labels').mkdir(parents=True)
    ids = np.repeat(np.repeat(GTAV_IDS[None], 12, 0), 2, 1)  # (12, 16)
    for i in range(1, count + 1):
        write(root / 'images' / f'{i:05d}.png', image(i))
        palette = gtav_palette()
        if kind == 'shuffled':  # other ids, the same colours
            others = GTAV_IDS[::-1] + np.uint8(100)
            ids = np.repeat(np.repeat(others[None], 12, 0), 2, 1)
            palette = np.zeros((256, 3), np.uint8)
            palette[others] = gtav_palette()[GTAV_IDS]
        labels = Image.fromarray(ids, mode='L')
        if kind != 'grey':
            labels.putpalette(palette.tobytes())
        if kind == 'colours':
            labels = labels.convert('RGB')
        labels.save(root / 'labels' / f'{i:05d}.png')
    return root


@pytest.mark.parametrize('kind', ['shuffled', 'ids', 'grey', 'colours'])
def test_gtav(tmp_path, kind):
    from segal.datasets import GTAVDataset

    output = tmp_path / 'out'
    source = gtav(tmp_path / 'source', kind)
    done = convert('gtav', source, output, '--size', 6, 8)
    assert done.returncode == 0, done.stderr
    dataset = GTAVDataset(
        pipeline=[], data_root=str(output), img_dir='images', ann_dir='labels'
    )
    assert len(dataset) == 2
    ids = dataset.get_gt_seg_map_by_idx(0)
    assert ids.shape == (6, 8)
    # two ids share a colour with a class: only the ids tell them apart
    shared = [255, 255] if kind in ('ids', 'grey') else [5, 13]
    assert ids[0].tolist() == [0, 1, 13, 10, 255, *shared, 18]
    assert read(output / 'images' / '00001.png').shape == (6, 8, 3)


def test_gtav_at_its_size_leaves_out_misfits_and_names_them(tmp_path):
    source, output = gtav(tmp_path / 'source', count=3), tmp_path / 'out'
    write(source / 'images' / '00002.png', np.zeros((9, 9, 3), np.uint8))
    done = convert('gtav', source, output, '--size', *SIZE)
    assert done.returncode == 0, done.stderr
    assert '1 of 3 pairs (00002.png)' in done.stderr
    assert sorted(path.name for path in (output / 'labels').iterdir()) == [
        '00001_labelTrainIds.png',
        '00003_labelTrainIds.png',
    ]
    copy = output / 'images' / '00001.png'
    assert copy.read_bytes() == (source / 'images/00001.png').read_bytes()


@pytest.mark.parametrize(
    ('break_it', 'says'),
    [
        (
            lambda source: Image.new('RGB', SIZE[::-1], (1, 2, 3)).save(
                source / 'labels' / '00002.png'
            ),
            'got [(1, 2, 3)]',
        ),
        (
            lambda source: Image.new('L', SIZE[::-1], 77).save(
                source / 'labels' / '00002.png'
            ),
            'label ids 0 to 34, got 77',
        ),
        (  # label ids under the name of training ids
            lambda source: Image.new('L', SIZE[::-1], 33).save(
                (source / 'labels' / '00002.png').rename(
                    source / 'labels' / '00002_cityscapes.png'
                )
            ),
            'training ids 0 to 18 and 255, as its name says; got [33]',
        ),
        (
            lambda source: (source / 'labels' / '00002.png').unlink(),
            'missing',
        ),
        (
            lambda source: (source / 'labels' / '00002.png').write_bytes(b'x'),
            'cannot be decoded',
        ),
    ],
)
def test_broken_labels_of_gtav_are_named(
    tmp_path, monkeypatch, break_it, says
):
    source = gtav(tmp_path / 'source')
    break_it(source)
    arguments = ['gtav.py', str(source), str(tmp_path / 'out')]
    monkeypatch.setattr(sys, 'argv', arguments)
    with pytest.raises(DataError, match=r'labels/00002') as caught:
        loaded('gtav').main()
    assert says in str(caught.value)
    assert not (tmp_path / 'out').exists()
