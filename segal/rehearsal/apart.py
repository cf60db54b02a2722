"""A rehearsal leaves every generator as it found it."""

from __future__ import annotations

import random
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch


@contextmanager
def apart(device: torch.device) -> Iterator[None]:
    """Keep generators, gradient mode and warnings as they were before.

    Args:
        device: Whose generator is used beside that of the CPU.
    """
    python, numpy = random.getstate(), np.random.get_state()
    devices = [device] if device.type == 'cuda' else []
    try:
        with (
            torch.random.fork_rng(devices),
            torch.enable_grad(),
            warnings.catch_warnings(),
        ):
            warnings.simplefilter('ignore')
            yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)
