"""Convert GTAV (Playing for Data) to Cityscapes' 19 training ids.

SOURCE holds images/*.png and labels/*.png as they are published. A label
map's ids are Cityscapes' label ids, and its palette their colours; where the
palette is in another order, or the map has three channels, the colours say
what the class is. Maps that end in _labelTrainIds.png or _cityscapes.png have
the training ids already. Pairs whose image and label map differ in size (some
of the published ones do) are left out and named.

Usage: python tools/convert_datasets/gtav.py SOURCE data/gtav_720x1280 \
           [--size 720 1280]
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from cityscapes import TRAIN_IDS
from common import Pair, arguments, convert, end_with
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from segal.datasets import GTAVDataset
from segal.datasets.gtav import SUFFIXES
from segal.errors import DataError, short

COLOURS = {
    train: tuple(colour) for train, colour in enumerate(GTAVDataset.PALETTE)
}
"""Training id -> colour, RGB."""

VOID = {
    (0, 0, 0),
    (20, 20, 20),
    (111, 74, 0),
    (81, 0, 81),
    (250, 170, 160),
    (230, 150, 140),
    (180, 165, 180),
    (150, 100, 100),
    (150, 120, 90),
    (0, 0, 90),
    (0, 0, 110),
}
"""Colours of the classes without a training id."""

_LAST_ID = 34  # licence plate


def main() -> None:
    """Read the command line, and convert."""
    args = arguments(
        __doc__,
        default=(720, 1280),
        help='default 720 1280, the size in papers on domain adaptation',
    ).parse_args()
    convert(
        find_pairs(args.source),
        args.output,
        tuple(args.size),
        to_train_ids,
        args.force,
        lambda target: (
            f'images/{target}.png',
            f'labels/{target}_labelTrainIds.png',
        ),
        read_labels,
    )


def find_pairs(source: Path) -> list[Pair]:
    """Find the pairs of image and label map with one size.

    Raises:
        DataError: There are none, or a label map is missing or broken.
    """
    images = sorted((source / 'images').glob('*.png'))
    if not images:
        raise DataError(
            f'{source}/images: wanted images *.png, and label maps of the '
            'same names in labels/; got none'
        )
    pairs, misfits = [], []
    for image in images:
        names = [image.name, *(image.stem + suffix for suffix in SUFFIXES)]
        places = [source / 'labels' / name for name in names]
        labels = next((p for p in places if p.exists()), places[0])
        if _size(image) == _size(labels):
            pairs.append(Pair(image, labels, image.stem))
        else:
            misfits.append(image.name)
    if misfits:
        sys.stderr.write(
            f'left out, since image and label map differ in size: '
            f'{len(misfits)} of {len(images)} pairs '
            f'({", ".join(misfits[:10])}{", ..." * (len(misfits) > 10)})\n'
        )
    return pairs


def _size(path: Path) -> tuple[int, int]:
    """Read (width, height) of a picture from its first bytes."""
    try:
        with Image.open(path) as picture:
            return picture.size
    except FileNotFoundError as error:
        raise DataError(f'{path}: the file is missing') from error
    except (OSError, UnidentifiedImageError) as error:
        raise DataError(f'{path}: cannot be decoded as an image') from error


def read_labels(path: Path) -> NDArray:
    """Read a label map: label ids (H, W), or training ids + 256.

    Training ids are what the file's name says, or what colours mean.

    Raises:
        DataError: It has other colours, or cannot be decoded.
    """
    try:
        with Image.open(path) as picture:
            if path.name.endswith(SUFFIXES):
                return np.asarray(picture).astype(np.int32) + 256
            palette = picture.getpalette('RGB')
            if picture.mode == 'L':
                return np.asarray(picture)
            if picture.mode == 'P' and palette is not None:
                colours = np.zeros((256, 3), np.int32)
                given = np.reshape(palette, (-1, 3))
                colours[: len(given)] = given
                ids = np.asarray(picture)
                if all(
                    tuple(colours[label]) == COLOURS[train]
                    for label, train in TRAIN_IDS.items()
                ):
                    return ids
                return _from_colours(colours, ids, path)
            pixels = np.asarray(picture.convert('RGB')).astype(np.int32)
    except (OSError, ValueError) as error:
        raise DataError(f'{path}: cannot be decoded as an image') from error
    whole = pixels @ (1 << 16, 1 << 8, 1)  # (H, W)
    found, index = np.unique(whole, return_inverse=True)
    colours = np.stack([found >> 16, found >> 8 & 255, found & 255], axis=1)
    return _from_colours(colours, index.reshape(whole.shape), path)


def _from_colours(
    colours: NDArray, index: NDArray, path: Path
) -> NDArray[np.int32]:
    """Convert colours (N, 3) at ``index`` to training ids + 256."""
    known = {colour: train for train, colour in COLOURS.items()}
    table = np.zeros(len(colours), np.int32)
    odd = []
    for place in np.unique(index):
        colour = tuple(int(value) for value in colours[place])
        if colour not in known and colour not in VOID:
            odd.append(colour)
        table[place] = 256 + known.get(colour, 255)
    if odd:
        raise DataError(
            f"{path}: wanted the colours of Cityscapes' classes, got {odd[:3]}"
        )
    return table[index]


def to_train_ids(labels: NDArray, path: Path) -> NDArray[np.uint8]:
    """Convert the ids of :func:`read_labels` to training ids, 255: void."""
    if labels.max() >= 256:
        ids = labels - 256
        odd = np.setdiff1d(ids, [*COLOURS, 255])
        if odd.size:
            raise DataError(
                f'{path}: wanted training ids 0 to {len(COLOURS) - 1} and '
                f'255, as its name says; got {short(odd.tolist())}'
            )
        return ids.astype(np.uint8)
    if labels.max() > _LAST_ID:
        raise DataError(
            f'{path}: wanted label ids 0 to {_LAST_ID}, got '
            f'{int(labels.max())}'
        )
    table = np.full(256, 255, np.uint8)
    for label, train in TRAIN_IDS.items():
        table[label] = train
    return table[labels]


if __name__ == '__main__':
    sys.exit(end_with(main))
