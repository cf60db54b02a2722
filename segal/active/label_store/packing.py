"""Check answers against their selection, and pack them into a label file."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from segal.active.label_store.file import LabelFile, sha256
from segal.active.units import unit_of
from segal.structures import Answers, PoolImage, Selection


def map_name(position: int) -> str:
    """Return the file name of a label map, by position in the pool."""
    return f'{position:06d}.png'


def pack(
    answers: Answers,
    position: Callable[[str], int],
    pool: Sequence[PoolImage],
    available: Callable[[str], NDArray[np.bool_]],
) -> tuple[LabelFile, dict[str, bytes]]:
    """Pack answers into the content of a label file.

    Args:
        answers: To every request of their selection.
        position: Name -> position in the pool.
        pool: The images.
        available: Name -> bool (H, W), places not asked before.

    Returns:
        The content, without fingerprints; and file name -> PNG of each label
        map that it names.

    Raises:
        RuntimeError: The answers do not belong to their selection.
    """
    selection = answers.selection
    if set(answers.images) != set(selection.places):
        odd = sorted(set(answers.images) ^ set(selection.places))
        raise RuntimeError(
            f'wanted answers for the {len(selection.places)} images of the '
            f'selection, got them for {len(answers.images)} (differing in '
            f'{odd[0]!r})'
        )
    names = sorted(selection.places, key=position)
    images = [pool[position(name)] for name in names]
    content = LabelFile(
        round=selection.round,
        unit=selection.unit,
        images=[(image.name, *image.size) for image in images],
        offsets=np.zeros(len(names) + 1, np.int32),
        scores=_scores(selection, names),
        regions=_regions(selection, names),
        answer=selection.answer,
    )
    unit = unit_of(selection)
    parts, pngs = [], {}
    for name, image in zip(names, images, strict=True):
        part = unit.pack(
            image, selection.places[name], answers.images[name], available
        )
        if part.label_map is not None:
            file_name, png = map_name(position(name)), as_png(part.label_map)
            pngs[file_name] = png
            content.maps.append((file_name, sha256(png)))
        elif unit.whole:
            content.maps.append(None)
        parts.append(part._replace(label_map=None))
    content.offsets[1:] = np.cumsum([len(part.places) for part in parts])
    content.places = _flat([part.places for part in parts], np.int32)
    content.classes = _flat([part.classes for part in parts], np.uint8)
    content.status = _flat([part.status for part in parts], np.uint8)
    shares = _flat([part.shares for part in parts], np.int32)
    content.shares = shares.reshape(-1, 3)
    return content, pngs


def _scores(selection: Selection, names: Sequence[str]) -> NDArray[np.float32]:
    """Return the scores of a selection in the order of ``names``, if any."""
    if not selection.scores:
        return np.empty(0, np.float32)
    parts = [selection.scores.get(name, np.empty(0)) for name in names]
    for name, part in zip(names, parts, strict=True):
        places = selection.places[name]
        wanted = 1 if selection.whole else len(places)
        if len(part) != wanted:
            raise RuntimeError(
                f'{name!r}: wanted {wanted} scores, got {len(part)}'
            )
    return _flat(parts, np.float32)


def _regions(selection: Selection, names: Sequence[str]) -> NDArray[np.int32]:
    """Return the regions of a selection in the order of ``names``, if any."""
    if not selection.regions:
        return np.empty(0, np.int32)
    parts = [selection.regions.get(name, np.empty(0, int)) for name in names]
    for name, part in zip(names, parts, strict=True):
        found, places = np.unique(part), selection.places[name]
        if len(part) != len(places) or not np.array_equal(
            found, np.arange(len(found))
        ):
            raise RuntimeError(
                f'{name!r}: wanted the regions, from 0, of {len(places)} '
                f'places, got {found[:5].tolist()} of {len(part)}'
            )
    return _flat(parts, np.int32)


def as_png(label_map: NDArray[np.uint8]) -> bytes:
    """Write a label map, uint8 (H, W), as the PNG of a label file."""
    buffer = io.BytesIO()
    Image.fromarray(label_map).save(buffer, 'PNG')
    return buffer.getvalue()


def _flat(parts: Sequence[NDArray], dtype: type) -> NDArray:
    """Join all parts; an empty array where there are none."""
    return np.concatenate([np.empty(0, dtype), *parts]).astype(dtype)
