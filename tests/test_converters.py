"""The converters, on tiny made-up copies of what they convert."""

import subprocess
import sys
from pathlib import Path

import mmcv
import numpy as np
import pytest

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


def convert(tool, *arguments):
    return subprocess.run(
        [sys.executable, str(TOOLS / f'{tool}.py'), *map(str, arguments)],
        capture_output=True,
        text=True,
    )


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


def test_another_folder_is_no_camvid(tmp_path):
    done = convert('camvid', tmp_path, tmp_path / 'out')
    assert done.returncode == 3
    assert 'trainannot' in done.stderr


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
