"""How the images of an experiment are shown, in its log."""

from __future__ import annotations

from segal.active.dataset.pool import Pool
from segal.active.images.depth import has_eight_bits
from segal.active.images.file import loader_of
from segal.config.schema import ActiveLearningConfig
from segal.errors import DataError


def show(
    pool: Pool, config: ActiveLearningConfig, notes: list[str]
) -> list[str]:
    """Settle how the images of a pool become 8-bit RGB.

    Args:
        pool: The images.
        config: Says which channels are shown, if any.
        notes: Get a line on images that are not 8-bit colour.

    Returns:
        What is wrong with the channels.

    Raises:
        DataError: A loader that destroys what is in the files.
    """
    chosen = None if config.visualize is None else config.visualize.channels
    problems = pool.show_channels(chosen)
    if problems:
        return problems
    for content in sorted(set(pool.contents.values())):
        names = [name for name, one in pool.contents.items() if one == content]
        _check_bits(pool, names[0])
        said = f'{len(names)} images are {content.words}'
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
        notes.append(f'data.query: {said}')
    return []


def _check_bits(pool: Pool, name: str) -> None:
    """Refuse a decoder that cuts values off at 255.

    Raises:
        DataError: Pillow is to make 8 bits of more.
    """
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
