"""Pair masks with images, and count the class ids in them."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from segal.active.dataset.encodings import Encodings
from segal.active.dataset.lossy import lossy_format
from segal.active.dataset.scan import named
from segal.errors import DataError
from segal.scaffold.images import (
    Folder,
    Photo,
    count,
    folder_of,
    names_below,
    require_enough,
    sample,
)

VOID = 255
RARE = 0.001
"""Share of all pixels below which a class id is warned of."""


@dataclass
class Masks:
    """The masks of a folder, and the class ids in them.

    Attributes:
        path: Absolute; links are kept.
        image_suffix: What ends the names of images, one or several.
        mask_suffix: What ends the name of a mask in its place.
        read: How many masks were read.
        pixels: Of each id, int64 (256,).
        files: In how many of the masks read each id occurs, int64 (256,).
        ignores_exif: Whether masks are of the pixels as stored, unturned.
    """

    path: Path
    image_suffix: tuple[str, ...]
    mask_suffix: str
    read: int = 0
    pixels: NDArray[np.int64] = field(
        default_factory=lambda: np.zeros(256, np.int64)
    )
    files: NDArray[np.int64] = field(
        default_factory=lambda: np.zeros(256, np.int64)
    )
    ignores_exif: bool = False

    @property
    def ids(self) -> list[int]:
        """List the class ids that occur, without void."""
        return [int(i) for i in np.flatnonzero(self.pixels) if i != VOID]

    def name_of(self, image: str) -> str:
        """Return the name of the mask of an image."""
        ending = max(
            (x for x in self.image_suffix if image.endswith(x)), key=len
        )
        return image.removesuffix(ending) + self.mask_suffix


def look_at_masks(path: Path, images: Folder) -> Masks:
    """Pair masks with images and read at most ``DECODED`` of them.

    Raises:
        DataError: No folder, no pair, or masks that hold no class ids.
    """
    folder = folder_of(path, '--masks')
    names = set(names_below(folder))
    if folder.resolve() == images.path.resolve():
        names -= {one.name for one in images.photos}
    masks = _paired(folder, images.photos, names)
    pairs = {one: masks.name_of(one.name) for one in images.photos}
    used = set(pairs.values()) & names
    images.leave_out(
        [one.name for one, mask in pairs.items() if mask not in names],
        f'no mask in {folder} (such as {next(iter(pairs.values()))})',
    )
    alone = names - used
    if alone:
        images.notes.append(
            f'{count(alone, "mask")} without an image: {named(sorted(alone))}'
        )
    _compare_sizes(masks, images)
    require_enough(images)
    _read(masks, images)
    _check_ids(masks, images)
    return masks


def _paired(folder: Path, photos: Sequence[Photo], names: set[str]) -> Masks:
    """Find the suffixes that pair most masks with images.

    ``a.jpg`` with ``a.png`` or ``a_mask.png``; where all images share an
    ending, as ``a_left.png`` has, ``a_ids.png`` without it, too.
    """
    by_folder = defaultdict(list)
    for name in sorted(names):
        by_folder[str(Path(name).parent)].append(name)
    endings = tuple(sorted({one.suffix for one in photos}))
    ways = [endings]
    stems = [Path(one.name).stem for one in photos]
    shared = _common_tail(stems)
    if shared:
        ways.append(tuple(shared + ending for ending in endings))
    best, most = None, 0
    for way in ways:
        votes: Counter[str] = Counter()
        for one in photos[:200]:
            ending = max((x for x in way if one.name.endswith(x)), key=len)
            stem = one.name.removesuffix(ending)
            votes.update(
                name.removeprefix(stem)
                for name in by_folder[str(Path(one.name).parent)]
                if name.startswith(stem)
            )
        for ending in sorted(votes, key=len):  # 'a.png' before 'a-inst.png'
            if votes[ending] > most:
                best, most = Masks(folder, way, ending), votes[ending]
    if best is None:
        example = sorted(names)[0] if names else 'no image file'
        raise DataError(
            f'--masks: wanted a mask for each image, such as '
            f'{Path(photos[0].name).with_suffix(".png")} for '
            f'{photos[0].name}; got {example} in {folder}; give masks the '
            'names of their images'
        )
    return best


def _common_tail(stems: Sequence[str]) -> str:
    """Return the ending from its last ``_`` or ``-`` that all names share."""
    tail = stems[0]
    for stem in stems:
        while not stem.endswith(tail):
            tail = tail[1:]
    starts = [tail.find(mark) for mark in '_-' if mark in tail]
    return tail[min(starts) :] if starts and len(set(stems)) > 1 else ''


def _compare_sizes(masks: Masks, images: Folder) -> None:
    """Leave out images whose mask has another size."""
    wrong: list[str] = []
    stored: list[str] = []
    upright: list[str] = []
    open_: list[str] = []
    for one in images.photos:
        try:
            with Image.open(masks.path / masks.name_of(one.name)) as mask:
                size = mask.size[::-1]
        except Exception:
            wrong.append(one.name)
            continue
        if size not in (one.size, one.upright):
            wrong.append(one.name)
        elif one.turn != 1 and one.size == one.upright:
            open_.append(one.name)
        elif one.turn != 1:
            (stored if size == one.size else upright).append(one.name)
    images.leave_out(wrong, 'a mask that is unreadable or of another size')
    if stored and not upright:
        masks.ignores_exif = True
        images.photos = [replace(one, turn=1) for one in images.photos]
        images.notes.append(
            'masks are of the pixels as stored, so training does not turn '
            'images by EXIF'
        )
    elif (stored and upright) or (open_ and not upright):
        raise DataError(
            'IMAGES: wanted images and masks that are turned alike, got an '
            f'EXIF orientation in {named(stored or open_)}, and '
            + ('masks of some of them are turned, others not'
               if stored else 'sizes do not tell whether masks are turned')
            + '; save these images upright, without EXIF'
        )  # fmt: skip


def _read(masks: Masks, images: Folder) -> None:
    """Count ids of some masks, and drop images whose mask is damaged."""
    broken = []
    encodings = Encodings()
    for name in sample([one.name for one in images.photos], 'mask'):
        path = masks.path / masks.name_of(name)
        kind = lossy_format(path)
        if kind is not None:
            raise DataError(
                f'--masks: {path} is {kind}, which changes class ids where '
                'classes meet; write masks as PNG, from their originals'
            )
        try:
            with Image.open(path) as mask:
                ids = np.asarray(mask)
        except Exception:
            broken.append(name)
            continue
        if ids.ndim == 3:
            colours = np.unique(ids.reshape(-1, ids.shape[2]), axis=0)
            raise DataError(
                '--masks: wanted one class id for each pixel, got colours '
                f'({len(colours)} of them in {path}); convert masks to grey '
                'PNGs of ids 0, 1, 2 ..., and 255 for void'
            )
        odd = ids[~((ids >= 0) & (ids <= VOID) & (ids % 1 == 0))]
        if odd.size:
            raise DataError(
                f'--masks: wanted class ids of 0 to 255, got {odd.max()} in '
                f'{path}; renumber them'
            )
        encodings.check(path)
        counts = np.bincount(ids.astype(np.uint8).ravel(), minlength=256)
        masks.pixels += counts
        masks.files += counts > 0
        masks.read += 1
    images.leave_out(broken, 'a mask that is unreadable')
    require_enough(images)


def _check_ids(masks: Masks, images: Folder) -> None:
    """Warn of odd ids."""
    ids = masks.ids
    if len(ids) < 2:
        hint = ''
        if ids in ([0], [1]) and masks.pixels[VOID]:
            hint = (
                '; 255 means void: where it stands for a class, write 1 in '
                'its place'
            )
        raise DataError(
            f'--masks: wanted two classes or more, got the ids '
            f'{[int(i) for i in np.flatnonzero(masks.pixels)]} in '
            f'{count(range(masks.read), "mask")}{hint}'
        )
    total = masks.pixels.sum()
    rare = [i for i in ids if masks.pixels[i] < RARE * total]
    if rare:
        images.notes.append(
            f'{_ids(rare)} at less than one in a thousand of the pixels: '
            'a stray value, or a class that is hard to find'
        )
    single = [i for i in ids if masks.files[i] == 1 and i not in rare]
    if single and masks.read > 1:
        images.notes.append(f'{_ids(single)} in one mask only')


def _ids(ids: Sequence[int]) -> str:
    """Name ids in words: ``'id 7'``, ``'ids 7, 9'``."""
    return f'id{"s" * (len(ids) != 1)} {", ".join(map(str, ids))}'
