"""Describe a finished round to the hooks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segal.active.label_store.store import LabelStore
from segal.structures import PoolImage, Selection


@dataclass
class RoundReport:
    """A finished round: trained, evaluated, and queried if it was to be.

    A hook that defines ``after_round(runner, report)`` gets it, on rank 0.

    Attributes:
        row: The round's row of ``rounds.json``.
        rows: All rows so far, this one last.
        work_dir: The experiment's folder.
        step: Iterations of all rounds so far.
        selection: The labels bought with this round's model; None after the
            last phase.
        store: All bought labels, ``selection`` included.
        pool: The images.
        unit: ``'pixel'`` or ``'image'``.
        read_image: name -> uint8 (H, W, 3), RGB.
        predict: name -> class map uint8 (H, W) and score map float32 (H, W)
            of this round's model.
        truth: name -> the ground truth, uint8 (H, W), 255 where void; None
            where it is not known. Pictures alone may show it.
        classes: Names of the C classes.
        palette: uint8 (C, 3), RGB.
        pictures: Paths of pictures; hooks append theirs.
    """

    row: dict[str, Any]
    rows: list[dict[str, Any]]
    work_dir: Path
    step: int
    selection: Selection | None
    store: LabelStore
    pool: Sequence[PoolImage]
    unit: str
    read_image: Callable[[str], NDArray[np.uint8]]
    predict: Callable[[str], tuple[NDArray[np.uint8], NDArray[np.float32]]]
    truth: Callable[[str], NDArray[np.uint8] | None]
    classes: tuple[str, ...]
    palette: NDArray[np.uint8]
    pictures: list[Path] = field(default_factory=list)
