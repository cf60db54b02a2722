"""Convert CamVid to mmseg's layout, at full size or smaller.

SOURCE is the folder of the SegNet tutorial (train, trainannot, ..., void 11),
or has images/{train,val,test} and annotations/{train,val,test} (void 255).

Usage: python tools/convert_datasets/camvid.py SOURCE data/camvid
       python tools/convert_datasets/camvid.py SOURCE data/camvid_120x160 \
           --size 120 160 --pool 100
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from common import Pair, arguments, convert, end_with, even_choice
from numpy.typing import NDArray

from segal.errors import DataError

CLASSES = 11
SPLITS = ('train', 'val', 'test')


def main() -> None:
    """Read the command line, and convert."""
    parser = arguments(__doc__)
    parser.add_argument(
        '--pool',
        type=int,
        metavar='N',
        help='keep N training images, evenly spread over the video',
    )
    args = parser.parse_args()
    pairs, void = find_pairs(args.source)
    if args.pool is not None:
        train = [pair for pair in pairs if pair.target.startswith('train/')]
        if not 0 < args.pool <= len(train):
            raise DataError(
                f'--pool: wanted 1 to {len(train)}, got {args.pool}'
            )
        kept = even_choice([pair.target for pair in train], args.pool)
        pairs = [
            pair for pair in pairs if pair.target in kept or pair not in train
        ]

    def remap(labels: NDArray, path: Path) -> NDArray[np.uint8]:
        ids = np.where(labels == void, 255, labels)
        wrong = sorted(set(np.unique(ids)) - {*range(CLASSES), 255})
        if wrong:
            raise DataError(
                f'{path}: wanted class ids 0 to {CLASSES - 1} '
                f'and {void} for void, got {wrong[:5]}'
            )
        return ids.astype(np.uint8)

    convert(
        pairs,
        args.output,
        tuple(args.size) if args.size else None,
        remap,
        args.force,
    )


def find_pairs(source: Path) -> tuple[list[Pair], int]:
    """Find all images with their label maps, and the id of void."""
    if (source / 'images').is_dir():
        void = 255
        folders = {
            split: (source / 'images' / split, source / 'annotations' / split)
            for split in SPLITS
        }
    elif (source / 'trainannot').is_dir():
        void = CLASSES
        folders = {
            split: (source / split, source / f'{split}annot')
            for split in SPLITS
        }
    else:
        raise DataError(
            f'{source}: wanted images/ and annotations/, or train/ and '
            'trainannot/ as in the SegNet tutorial; got '
            f'{sorted(path.name for path in source.glob("*"))[:10]}'
        )
    pairs = []
    for split, (images, labels) in folders.items():
        files = sorted(
            path
            for path in images.glob('*')
            if path.suffix in ('.png', '.jpg')
        )
        if not files:
            raise DataError(f'{images}: wanted .png or .jpg images, got none')
        pairs += [
            Pair(path, labels / f'{path.stem}.png', f'{split}/{path.stem}')
            for path in files
        ]
    return pairs, void


if __name__ == '__main__':
    sys.exit(end_with(main))
