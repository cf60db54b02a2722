"""Define what formats are given, and what they give back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from segal.annotation.request import Request


class Reply(NamedTuple):
    """One answer that came back.

    Attributes:
        item: Index of the item in the request.
        what: ``'class'``, ``'mask'``, ``'void'`` or ``'cant_tell'``.
        cls: Training class id, for ``'class'``.
        mask: uint8 (h, w) of the item's box, for ``'mask'``: class ids, 255
            where there is no class.
        who: Name of the person; '' where the file does not say it.
        ms: Milliseconds that the answer took; None where nothing says it.
        client: Number of the answer, the same each time the file is read:
            8 to 64 of ``0-9A-Za-z_-``.
    """

    item: int
    what: str
    cls: int | None
    mask: NDArray[np.uint8] | None
    who: str
    ms: int | None
    client: str


class Returned(NamedTuple):
    """What a file holds.

    Attributes:
        request: SHA-256 of the request that it answers.
        replies: Its answers.
        alien: What it holds that was not asked, in words.
        unfinished: Items of which only a part is answered, in words; they
            stay open.
    """

    request: str
    replies: list[Reply]
    alien: list[str]
    unfinished: list[str] = []  # noqa: RUF012


@dataclass(frozen=True)
class Asked:
    """What is asked.

    Attributes:
        request: The request; answers may come to each of its items.
        classes: Names of the C classes.
        palette: uint8 (C, 3), RGB.
        items: Indices of the items that are written for other tools, int64,
            in the order in which they are shown.
        picture: Reads an image by its name, uint8 (H, W, 3) RGB.
    """

    request: Request
    classes: list[str]
    palette: NDArray[np.uint8]
    items: NDArray[np.int64]
    picture: Callable[[str], NDArray[np.uint8]]
