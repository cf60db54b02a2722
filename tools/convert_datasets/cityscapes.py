"""Convert Cityscapes to a smaller copy for mmseg's CityscapesDataset.

SOURCE holds leftImg8bit/{train,val} and gtFine/{train,val}. Label maps are
resized by nearest, once; their ids become training ids.

Usage: python tools/convert_datasets/cityscapes.py SOURCE \
           data/cityscapes_256x512 [--size 256 512]
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from common import Pair, arguments, convert, end_with
from numpy.typing import NDArray

from segal.errors import DataError

TRAIN_IDS = {
    label: train
    for train, label in enumerate(
        (7, 8, 11, 12, 13, 17, *range(19, 29), 31, 32, 33)
    )
}
"""Cityscapes' label id -> training id; all other ids are void."""

SUFFIXES = ('gtFine_labelTrainIds', 'gtFine_labelIds')


def main() -> None:
    """Read the command line, and convert."""
    args = arguments(__doc__, default=(256, 512)).parse_args()
    convert(
        find_pairs(args.source),
        args.output,
        tuple(args.size),
        to_train_ids,
        args.force,
        _place,
    )


def find_pairs(source: Path) -> list[Pair]:
    """Find the images of train and val with their label maps."""
    pairs = []
    for split in ('train', 'val'):
        images = sorted(
            (source / 'leftImg8bit' / split).rglob('*_leftImg8bit.png')
        )
        if not images:
            raise DataError(
                f'{source}/leftImg8bit/{split}: wanted images '
                '*/*_leftImg8bit.png, got none'
            )
        for image in images:
            stem = image.name.removesuffix('_leftImg8bit.png')
            city = image.parent.name
            folder = source / 'gtFine' / split / city
            found = [folder / f'{stem}_{suffix}.png' for suffix in SUFFIXES]
            labels = next((path for path in found if path.exists()), found[1])
            pairs.append(Pair(image, labels, f'{split}/{city}/{stem}'))
    return pairs


def to_train_ids(labels: NDArray, path: Path) -> NDArray[np.uint8]:
    """Convert a label map to training ids, 255 where void."""
    if path.stem.endswith('labelTrainIds'):
        wrong = sorted(set(np.unique(labels)) - {*range(19), 255})
        if wrong:
            raise DataError(
                f'{path}: wanted training ids 0 to 18 and 255, got {wrong[:5]}'
            )
        return labels.astype(np.uint8)
    if labels.min() < 0 or labels.max() > 33:
        raise DataError(
            f'{path}: wanted label ids 0 to 33, got '
            f'{int(labels.min())} to {int(labels.max())}'
        )
    table = np.full(34, 255, np.uint8)
    for label, train in TRAIN_IDS.items():
        table[label] = train
    return table[labels]


def _place(target: str) -> tuple[str, str]:
    """Return the paths of image and label map for CityscapesDataset."""
    return (
        f'leftImg8bit/{target}_leftImg8bit.png',
        f'gtFine/{target}_gtFine_labelTrainIds.png',
    )


if __name__ == '__main__':
    sys.exit(end_with(main))
