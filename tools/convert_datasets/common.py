"""Check, resize and write pairs of image and label map, for the converters."""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import mmcv
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent))

from segal.errors import DataError, SegALError


def arguments(doc: str | None, **size: Any) -> argparse.ArgumentParser:
    """Build the command line of a converter.

    Args:
        doc: Its description.
        **size: Options of ``--size``.
    """
    parser = argparse.ArgumentParser(
        description=doc, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('source', type=Path)
    parser.add_argument('output', type=Path)
    parser.add_argument(
        '--size', type=int, nargs=2, metavar=('H', 'W'), **size
    )
    parser.add_argument('--force', action='store_true')
    return parser


@dataclass(frozen=True)
class Pair:
    """One image and its label map, and their target.

    Attributes:
        image: Source file.
        labels: Source file.
        target: Split and stem, such as ``train/0001TP_006690``.
    """

    image: Path
    labels: Path
    target: str


def convert(
    pairs: Sequence[Pair],
    output: Path,
    size: tuple[int, int] | None,
    remap: Callable[[NDArray, Path], NDArray[np.uint8]],
    force: bool,
    place: Callable[[str], tuple[str, str]] | None = None,
    read_labels: Callable[[Path], NDArray] | None = None,
) -> None:
    """Check and write every pair; all of them or nothing.

    Label maps are resized by nearest, images by area. Image files that have
    the size already are copied byte by byte.

    Args:
        pairs: The files.
        output: Folder for ``images`` and ``annotations``.
        size: (H, W) in pixels, None for full size.
        remap: Source ids (H, W) and their file -> training ids uint8 (H, W),
            255 where void.
        force: Whether an existing output may be replaced.
        place: A pair's target -> paths of image and label map; by default
            below ``images`` and ``annotations``.
        read_labels: Decodes a label map to ids (H, W); mmseg's decoder by
            default.

    Raises:
        DataError: A file is missing, damaged or does not match its partner;
            all are named, and nothing is written.
    """
    if not pairs:
        raise DataError('wanted images to convert, got none')
    with fresh_folder(output, force) as folder:
        problems = []
        for pair in tqdm(
            pairs, desc=f'writing {output}', unit='image', mininterval=1
        ):
            try:
                _write(pair, folder, size, remap, place, read_labels)
            except DataError as error:
                problems.append(str(error))
        if problems:
            more = f'\n  and {len(problems) - 10} more' * (len(problems) > 10)
            raise DataError('\n  '.join(problems[:10]) + more)


@contextmanager
def fresh_folder(output: Path, force: bool) -> Iterator[Path]:
    """Make a folder that becomes ``output`` at the end of the block.

    Raises:
        DataError: ``output`` exists, and ``force`` is not given.
    """
    if output.exists() and not force:
        raise DataError(
            f'{output}: wanted a folder that is not there yet; name another, '
            'or replace it with --force'
        )
    output.parent.mkdir(parents=True, exist_ok=True)
    folder = Path(
        tempfile.mkdtemp(prefix=f'.{output.name}.', dir=output.parent)
    )
    folder.chmod(0o755)
    try:
        yield folder
        if output.exists():
            shutil.rmtree(output)
        folder.rename(output)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _write(
    pair: Pair,
    folder: Path,
    size: tuple[int, int] | None,
    remap: Callable[[NDArray, Path], NDArray[np.uint8]],
    place: Callable[[str], tuple[str, str]] | None,
    read_labels: Callable[[Path], NDArray] | None,
) -> None:
    image = read(pair.image, 'color')
    labels = (
        read_labels(pair.labels)
        if read_labels
        else read(pair.labels, 'unchanged')
    )
    if labels.ndim != 2:
        raise DataError(
            f'{pair.labels}: wanted one channel of class ids, '
            f'got the shape {labels.shape}'
        )
    if labels.shape != image.shape[:2]:
        raise DataError(
            f'{pair.labels}: wanted the size {image.shape[:2]} of its image '
            f'{pair.image}, got {labels.shape}'
        )
    ids = remap(labels, pair.labels)
    image_path, labels_path = (
        place(pair.target)
        if place
        else (
            f'images/{pair.target}{pair.image.suffix}',
            f'annotations/{pair.target}.png',
        )
    )
    target = folder / image_path
    target.parent.mkdir(parents=True, exist_ok=True)
    if size is None or size == image.shape[:2]:
        shutil.copyfile(pair.image, target)
    else:
        height, width = size
        cv2.imwrite(
            str(target),
            cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA),
            [cv2.IMWRITE_JPEG_QUALITY, 95],
        )
        ids = cv2.resize(ids, (width, height), interpolation=cv2.INTER_NEAREST)
    mmcv.imwrite(ids, str(folder / labels_path))


def read(path: Path, flag: str) -> NDArray:
    """Decode a file with mmseg's decoder.

    Raises:
        DataError: The file is missing or cannot be decoded.
    """
    if not path.is_file():
        raise DataError(f'{path}: the file is missing')
    content = path.read_bytes()
    image = mmcv.imfrombytes(content, flag=flag) if content else None
    if image is None:
        raise DataError(f'{path}: cannot be decoded as an image')
    return image


def even_choice(names: Sequence[str], count: int) -> list[str]:
    """Choose ``count`` of the names, evenly spread over their order."""
    places = np.linspace(0, len(names) - 1, count).round().astype(int)
    return [names[place] for place in places]


def end_with(main: Callable[[], None]) -> int:
    """Run a tool; print an error in one message, and return the exit code."""
    try:
        main()
    except SegALError as error:
        sys.stderr.write(f'\nError: {error}\n')
        return error.exit_code
    return 0
