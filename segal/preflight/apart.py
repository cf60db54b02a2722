"""A rehearsal leaves every generator as it found it."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from segal.seeding import seeded


@contextmanager
def apart(device: torch.device) -> Iterator[None]:
    """Keep generators, gradient mode and warnings as they were before.

    Args:
        device: Whose generator is used beside that of the CPU.
    """
    devices = [device] if device.type == 'cuda' else []
    with (
        seeded('rehearsal'),
        torch.random.fork_rng(devices),
        torch.enable_grad(),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter('ignore')
        yield
