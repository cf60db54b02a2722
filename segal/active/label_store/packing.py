"""Check answers against their selection, and pack them into a label file."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from segal.active.label_store.file import LabelFile, sha256
from segal.structures import (
    LABELLED,
    REFUSED,
    VOID,
    Answers,
    ImageAnswers,
    PixelAnswers,
    PoolImage,
    Selection,
)

_NO_CLASS = 255


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
    if selection.unit == 'pixel':
        parts = [
            _pixels(image, selection.places[name], answers.images[name])
            for name, image in zip(names, images, strict=True)
        ]
        lengths = [len(part.places) for part in parts]
        content.offsets[1:] = np.cumsum(lengths)
        content.places = _flat([part.places for part in parts], np.int32)
        content.classes = _flat([part.classes for part in parts], np.uint8)
        content.status = _flat([part.status for part in parts], np.uint8)
        return content, {}

    pngs: dict[str, bytes] = {}
    shares = np.zeros((len(names), 3), np.int32)
    for k, (name, image) in enumerate(zip(names, images, strict=True)):
        label_map = _whole(image, answers.images[name])
        new = available(name)  # (H, W)
        if label_map is None:
            shares[k, REFUSED] = new.sum()
            content.maps.append(None)
            continue
        void = int((label_map[new] == _NO_CLASS).sum())
        shares[k, VOID], shares[k, LABELLED] = void, new.sum() - void
        file_name, png = map_name(position(name)), _as_png(label_map)
        pngs[file_name] = png
        content.maps.append((file_name, sha256(png)))
    content.shares = shares
    content.status = np.where(
        [named is None for named in content.maps],
        REFUSED,
        np.where(shares[:, LABELLED] > 0, LABELLED, VOID),
    ).astype(np.uint8)
    return content, pngs


def _scores(selection: Selection, names: Sequence[str]) -> NDArray[np.float32]:
    """Return the scores of a selection in the order of ``names``, if any.

    Raises:
        RuntimeError: Some are missing.
    """
    if not selection.scores:
        return np.empty(0, np.float32)
    parts = [selection.scores.get(name, np.empty(0)) for name in names]
    for name, part in zip(names, parts, strict=True):
        places = selection.places[name]
        wanted = 1 if selection.unit == 'image' else len(places)
        if len(part) != wanted:
            raise RuntimeError(
                f'{name!r}: wanted {wanted} scores, got {len(part)}'
            )
    return _flat(parts, np.float32)


def _regions(selection: Selection, names: Sequence[str]) -> NDArray[np.int32]:
    """Return the regions of a selection in the order of ``names``, if any.

    Raises:
        RuntimeError: Some are missing, or their numbers have gaps.
    """
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


def _pixels(
    image: PoolImage,
    asked: NDArray[np.int64],
    answer: PixelAnswers | ImageAnswers,
) -> PixelAnswers:
    """Check the answers about one image; set the class 255 if it has none.

    Raises:
        RuntimeError: The answers do not belong to the request.
    """
    trouble = f'{image.name!r}: wanted answers to {len(asked)} pixels'
    if not isinstance(answer, PixelAnswers):
        raise RuntimeError(f'{trouble}, got {type(answer).__name__}')
    if not np.array_equal(asked, answer.places):
        raise RuntimeError(
            f'{trouble}, got {len(answer.places)} places that are not those'
        )
    status, classes = np.asarray(answer.status), np.asarray(answer.classes)
    if not (status.shape == classes.shape == asked.shape):
        raise RuntimeError(
            f'{trouble}, got {classes.shape} classes, {status.shape} statuses'
        )
    if len(asked) and not 0 <= asked.min() <= asked.max() < image.pixels:
        raise RuntimeError(
            f'{image.name!r}: wanted places 0 to {image.pixels - 1}, got '
            f'{asked.min()} to {asked.max()}'
        )
    if not np.isin(status, (LABELLED, VOID, REFUSED)).all():
        raise RuntimeError(
            f'{image.name!r}: wanted statuses {LABELLED}, {VOID} or '
            f'{REFUSED}, got {np.unique(status).tolist()}'
        )
    bought = classes[status == LABELLED]
    if len(bought) and not 0 <= bought.min() <= bought.max() < _NO_CLASS:
        raise RuntimeError(
            f'{image.name!r}: wanted class ids 0 to {_NO_CLASS - 1} where '
            f'labelled, got {bought.min()} to {bought.max()}'
        )
    classes = np.where(status == LABELLED, classes, _NO_CLASS)
    return PixelAnswers(asked, classes.astype(np.uint8), status)


def _whole(
    image: PoolImage, answer: PixelAnswers | ImageAnswers
) -> NDArray[np.uint8] | None:
    """Check the label map of one image; None where it was refused.

    Raises:
        RuntimeError: The answer is no label map of that image.
    """
    if not isinstance(answer, ImageAnswers):
        raise RuntimeError(
            f'{image.name!r}: wanted the answer to a whole image, got '
            f'{type(answer).__name__}'
        )
    found = answer.label_map
    if found is not None and (
        found.shape != tuple(image.size) or found.dtype != np.uint8
    ):
        raise RuntimeError(
            f'{image.name!r}: wanted a label map uint8 {image.size}, got '
            f'{found.dtype} {found.shape}'
        )
    return found


def _as_png(label_map: NDArray[np.uint8]) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(label_map).save(buffer, 'PNG')
    return buffer.getvalue()


def _flat(parts: Sequence[NDArray], dtype: type) -> NDArray:
    """Join all parts; an empty array where there are none."""
    return np.concatenate([np.empty(0, dtype), *parts]).astype(dtype)
