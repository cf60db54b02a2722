"""Find the images of a folder that training can use."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from segal.active.dataset.scan import looks_like_image, named, scan
from segal.active.images.bands import bands_of
from segal.active.images.file import has_eight_bits
from segal.errors import DataError
from segal.seeding import key

DECODED = 300
"""How many images, and how many masks, are decoded; of the rest only headers
are read."""

_ORIENTATION = 0x0112
"""EXIF's number of the orientation, 1 to 8."""

FEWEST = 4
"""Images that an experiment needs: some to learn from, some to evaluate."""

FEW = 12
"""Below so many images, results say little."""


@dataclass(frozen=True)
class Photo:
    """An image of the folder.

    Attributes:
        name: Path from the folder, with its suffix.
        size: (H, W) as stored.
        mode: Pillow's name of its channels, and bits beyond 8.
        turn: EXIF orientation, 1 to 8.
    """

    name: str
    size: tuple[int, int]
    mode: str
    turn: int = 1

    @property
    def upright(self) -> tuple[int, int]:
        """(H, W) after the turn that EXIF asks for."""
        return self.size[::-1] if self.turn >= 5 else self.size

    @property
    def suffix(self) -> str:
        """Return the suffix, as written."""
        return Path(self.name).suffix


@dataclass
class Folder:
    """The images of a folder, and what was noticed about them.

    Attributes:
        path: Absolute; links are kept.
        photos: Sorted by name.
        notes: Warnings, one sentence each.
    """

    path: Path
    photos: list[Photo]
    notes: list[str] = field(default_factory=list)

    def leave_out(self, names: Iterable[str], why: str) -> None:
        """Drop some images, with a warning."""
        lost = set(names)
        if lost:
            self.notes.append(f'{count(lost, "image")} left out, {why}: '
                              f'{named(sorted(lost))}')  # fmt: skip
            self.photos = [one for one in self.photos if one.name not in lost]

    def sizes(self) -> Counter[tuple[int, int]]:
        """Count the sizes (H, W)."""
        return Counter(photo.upright for photo in self.photos)


def count(things: Iterable[object], noun: str) -> str:
    """Count in words: ``'1 image'``, ``'3 images'``."""
    number = len(list(things))
    return f'{number:,} {noun}{"s" * (number != 1)}'


def sample(names: Sequence[str], purpose: str) -> list[str]:
    """Draw at most ``DECODED`` names by their keys."""
    return sorted(names, key=lambda name: key(purpose, name))[:DECODED]


def absolute(path: Path, what: str) -> Path:
    """Return a path from the root; links are kept.

    Raises:
        DataError: A config cannot hold it.
    """
    full = Path(os.path.abspath(path.expanduser()))
    text = str(full)
    if len(text.splitlines()) != 1 or '{{' in text or not text.isprintable():
        raise DataError(
            f'{what}: wanted a path without line breaks, {{{{ and characters '
            f'that cannot be printed, got {text!r}; rename the folder'
        )
    return full


def folder_of(path: Path, what: str) -> Path:
    """Return the absolute path of a folder that exists.

    Raises:
        DataError: There is no such folder, or its name fits in no config.
    """
    full = absolute(path, what)
    if not full.is_dir():
        kind = 'a file' if full.exists() else 'nothing'
        raise DataError(
            f'{what}: wanted a folder, got {kind} at {full}; correct the path'
        )
    return full


def names_below(folder: Path, without: Sequence[Path] = ()) -> list[str]:
    """List files below a folder that look like images, but hidden ones."""
    apart = [other.resolve() for other in without]
    return sorted(
        name
        for name in scan(str(folder)).files
        if looks_like_image(name)
        and not any(
            (folder / name).resolve().is_relative_to(other) for other in apart
        )
    )


def look_at_images(
    path: Path, without: Sequence[Path] = (), masks_beside: bool = False
) -> Folder:
    """Read the headers of all images of a folder, and decode some.

    Args:
        path: The folder; nested ones count.
        without: Folders in it that hold no images (masks, the experiment).
        masks_beside: Whether masks lie beside images: grey or palette PNGs.

    Raises:
        DataError: No folder, or fewer than ``FEWEST`` images in it.
    """
    folder = folder_of(path, 'IMAGES')
    photos: dict[str, Photo | str] = {}
    for name in names_below(folder, without):
        photo = _odd_name(name) or _header(folder / name, name)
        if not (masks_beside and _is_mask(photo)):
            photos[name] = photo
    good = [name for name, one in photos.items() if isinstance(one, Photo)]
    for name in sample(good, 'decode'):
        try:
            decode(folder / name)
        except (OSError, ValueError, cv2.error) as error:
            photos[name] = f'unreadable ({str(error).splitlines()[0]})'
    found = Folder(
        folder, [one for one in photos.values() if isinstance(one, Photo)]
    )
    for why in sorted(
        {one for one in photos.values() if isinstance(one, str)}
    ):
        found.leave_out([x for x, one in photos.items() if one == why], why)
    _check(found)
    return found


def _odd_name(name: str) -> str:
    """Say why a split file cannot hold a name; empty where it can."""
    if name != name.strip() or len(name.splitlines()) > 1:
        return 'a line break, or a space at an end, in the name'
    try:
        name.encode()
    except UnicodeEncodeError:
        return 'a name that is not UTF-8'
    return ''


def _is_mask(photo: Photo | str) -> bool:
    """Tell a mask beside images: grey or of a palette, and a PNG."""
    return (
        isinstance(photo, Photo)
        and photo.mode in ('L', 'P', '1', 'I')
        and photo.suffix == '.png'
    )


def _header(path: Path, name: str) -> Photo | str:
    """Read size and mode of an image, or say what is wrong with it."""
    try:
        with Image.open(path) as image:
            width, height = image.size
            mode = image.mode
            turn = 1  # a TIFF has its turned size already; all readers turn it
            if image.format != 'TIFF':
                turn = image.getexif().get(_ORIENTATION, 1)
    except Image.DecompressionBombError:
        return 'too large (above 178 million pixels)'
    except Exception:  # a damaged file can make Pillow raise anything
        if path.suffix.lower() in ('.heic', '.heif'):
            return "in a phone's format: save them as JPEG"
        return 'unreadable'
    if min(height, width) == 1:  # mmseg drops this axis of a mask
        return 'one pixel high or wide'
    if has_eight_bits(str(path)) is False and not mode.startswith(('I', 'F')):
        mode += ';16'
    return Photo(
        name, (height, width), mode, turn if turn in range(1, 9) else 1
    )


def decode(path: Path) -> None:
    """Decode an image as training will, and in full.

    Raises:
        ValueError: OpenCV, which training uses, cannot read it.
        OSError: It is cut off.
    """
    with Image.open(path) as image:
        image.load()
    data = np.fromfile(path, np.uint8)
    if cv2.imdecode(data, cv2.IMREAD_COLOR) is None:
        raise ValueError('OpenCV does not decode it; save it as PNG')


def _check(found: Folder) -> None:
    """Check count, twins, depth and sizes."""
    first: dict[Path, str] = {}
    for one in found.photos:
        first.setdefault(Path(one.name).with_suffix(''), one.name)
    names = {one.name for one in found.photos}
    found.leave_out(
        names - {*first.values()},
        'another image has the name with another suffix',
    )
    require_enough(found)
    photos = found.photos

    def multiplied(one: Photo) -> bool:
        bands = 'A' in one.mode and bands_of(found.path / one.name)
        return bool(bands and bands.multiplies)

    kinds: dict[str, Callable[[Photo], bool]] = {
        'more than 8 bits, of which training reads the upper 8 (dark images '
        'should be stretched to the full range first)': _is_deep,
        'alpha, which training does not see': (
            lambda one: 'A' in one.mode and not multiplied(one)
        ),
        'a fourth band, by which training multiplies the colours as if it '
        'were alpha (take it out where it is none, but infrared)': multiplied,
        'an EXIF orientation other than upright': (lambda one: one.turn != 1),
    }
    for words, holds in kinds.items():
        some = [one.name for one in photos if holds(one)]
        if some:
            found.notes.append(
                f'{count(some, "image")} with {words}: {named(some)}'
            )
    if len(photos) < FEW:
        found.notes.append(
            f'{count(photos, "image")} are few: a curve over them says '
            'little; 50 or more are better'
        )
    lengths = sorted(max(one.size) for one in photos)
    if lengths[-1] > 4 * lengths[0]:
        found.notes.append(
            f'sizes differ widely, longer sides from {lengths[0]} to '
            f'{lengths[-1]} pixels: each image is scaled to the same longer '
            'side'
        )


def _is_deep(photo: Photo) -> bool:
    """Check for more than 8 bits in a channel."""
    return ';16' in photo.mode or photo.mode in ('I', 'F')


def require_enough(found: Folder) -> None:
    """Check that an experiment has images enough.

    Raises:
        DataError: There are fewer than ``FEWEST``.
    """
    if len(found.photos) < FEWEST:
        said = '\n  '.join(['', *found.notes])
        raise DataError(
            f'IMAGES: wanted {FEWEST} images or more, got '
            f'{len(found.photos)} in {found.path}; add images, or correct '
            f'the path{said}'
        )
