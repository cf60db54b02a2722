"""Decide how the images of a pool become 8-bit RGB, and log it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

from segal.active.dataset.pool import Pool
from segal.active.dataset.scan import count_of
from segal.active.images.bands import Bands, bands_of, compare_bands
from segal.active.images.file import has_eight_bits, loader_of
from segal.errors import DataError

_COMPARED = 4
"""Files of each kind whose bands are compared with what is read."""


def show(
    pool: Pool, channels: Sequence[int] | None, notes: list[str]
) -> list[str]:
    """Decide how the images of a pool become 8-bit RGB.

    Args:
        pool: The images.
        channels: The channels to show; None: the default.
        notes: Get a line on images that are not 8-bit colour.

    Returns:
        Problems of the channels.

    Raises:
        DataError: The loader destroys values of the files.
    """
    problems = pool.show_channels(channels)
    if problems:
        return problems
    for content in sorted(set(pool.contents.values())):
        names = [name for name, one in pool.contents.items() if one == content]
        _check_bits(pool, names[0])
        count = f'{len(names)} image{"s are" if len(names) > 1 else " is"}'
        said = f'{count} {content.words}'
        if content.dtype == 'uint8' and content.stretched:
            said += (
                ', cut from files with more bits (LoadImageFromFile('
                "color_type='unchanged') keeps these)"
            )
        if content.stretched:
            found = pool.view.ranges[content]
            ends = [
                f'{low:.5g} to {high:.5g}'
                for low, high in zip(found.low, found.high, strict=True)
            ]
            said += (
                '; superpixels and pictures show '
                + ' / '.join(dict.fromkeys(ends))
                + ' as black to white'
            )
        notes.append(f'{pool.key}: {said}')
    return []


def doubtful_bands(pool: Pool) -> Iterator[str]:
    """Warn of TIFFs that mmseg's loader does not read as they are."""
    loader = loader_of(pool.loading_steps)
    if loader.own or loader.imdecode_backend == 'tifffile':
        return
    names = [image.name for image in pool]
    kinds: dict[Bands, list[str]] = {}
    with ThreadPoolExecutor(min(8, 1 + len(names) // 16)) as threads:
        looks = threads.map(bands_of, map(pool.file, names))
        for name, bands in zip(names, looks, strict=True):
            if bands and (bands.number > 1 or bands.pages > 1 or bands.signed):
                kinds.setdefault(bands, []).append(name)
    for bands, found in sorted(kinds.items()):
        where = f'of {count_of(found, "TIFF")} (such as {pool.file(found[0])})'
        if bands.pages > 1:
            yield (
                f'{pool.key}: LoadImageFromFile reads the first of '
                f'{bands.pages} pages of one size {where}'
            )
        if not bands.comparable:
            continue
        read, exact = zip(
            *(
                compare_bands(pool.file(name), bands, pool.load_image(name))
                for name in found[:_COMPARED]
            ),
            strict=True,
        )
        if min(read) < bands.number:
            said = f'gives {min(read)} of {bands.number} bands {where}'
            if not all(exact):
                said = f'mixes {bands.number} bands {where}'
                said += ', as colours and alpha' * bands.multiplies
                if bands.signed:
                    said = f'makes large values of negative ones {where}'
            yield (
                f'{pool.key}: LoadImageFromFile {said}; '
                "color_type='unchanged' with imdecode_backend='tifffile' "
                'gives each as it is'
            )


def _check_bits(pool: Pool, name: str) -> None:
    """Refuse a decoder that cuts values off at 255."""
    loader, path = loader_of(pool.loading_steps), pool.file(name)
    if (
        loader.imdecode_backend == 'pillow'
        and loader.color_type != 'unchanged'
        and has_eight_bits(path) is False
    ):
        raise DataError(
            f'{path}: wanted an image of 8 bits, which LoadImageFromFile('
            f"imdecode_backend='pillow') needs for color_type="
            f'{loader.color_type!r}, got one of more, all of whose values '
            "above 255 become 255; write imdecode_backend='cv2', or "
            "color_type='unchanged'"
        )
