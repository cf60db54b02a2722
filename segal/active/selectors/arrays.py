"""Name the arrays that selectors pass to each other."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Bools = NDArray[np.bool_]
Floats = NDArray[np.float32]
Ints = NDArray[np.int64]
Keys = NDArray[np.uint64]
"""Draws of :mod:`segal.seeding`, which decide between equals."""
