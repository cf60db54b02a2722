"""Load checkpoints without executing any of their code."""

from __future__ import annotations

import os
import pathlib
import re
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime, time, timedelta, timezone
from typing import Any
from urllib.error import URLError

import numpy as np
import torch

from segal.errors import StateError

_scalar = np.float64(0).__reduce__()[0]
_reconstruct = np.empty(0).__reduce__()[0]

HARMLESS = [
    np.ndarray,
    np.dtype,
    *(kind for name, kind in vars(np.dtypes).items() if 'DType' in name),
    # NumPy 1 and NumPy 2 name the module of the same functions differently.
    (_scalar, 'numpy.core.multiarray.scalar'),
    (_scalar, 'numpy._core.multiarray.scalar'),
    (_reconstruct, 'numpy.core.multiarray._reconstruct'),
    (_reconstruct, 'numpy._core.multiarray._reconstruct'),
    # PyTorch fills no dict that it does not know.
    (OrderedDict, 'addict.addict.Dict'),
    (OrderedDict, 'mmcv.utils.config.ConfigDict'),
    pathlib.PosixPath,
    pathlib.PurePosixPath,
    date,
    datetime,
    time,
    timedelta,
    timezone,
]
"""Types in the meta of checkpoints that cannot run code."""

_FORCE_SAFE = 'TORCH_FORCE_WEIGHTS_ONLY_LOAD'
_FORCE_UNSAFE = 'TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD'


def load_file(path: str | pathlib.Path, map_location: Any = 'cpu') -> Any:
    """Load a file of ``torch.save`` without executing any of its code.

    Raises:
        StateError: The file is missing, hurt, or holds more than plain data.
    """
    with safe_loading(str(path)):
        return torch.load(path, map_location)


@contextmanager
def safe_loading(name: str) -> Iterator[None]:
    """Make every ``torch.load`` in this block load plain data only.

    The call's own arguments do not matter: mmcv loads downloads with
    ``weights_only=False``.

    Raises:
        StateError: It cannot be loaded, or not without running its code.
    """
    found = {key: os.environ.get(key) for key in (_FORCE_SAFE, _FORCE_UNSAFE)}
    os.environ[_FORCE_SAFE] = '1'
    os.environ.pop(_FORCE_UNSAFE, None)
    try:
        with torch.serialization.safe_globals(HARMLESS):
            yield
    except Exception as error:  # a hurt file can make it raise anything
        raise StateError(f'{name}: {_explain(error)}') from error
    finally:
        for key, value in found.items():
            os.environ.pop(key, None)
            if value is not None:
                os.environ[key] = value


def _explain(error: Exception) -> str:
    said = str(error).strip() or type(error).__name__
    refused = re.search(r'nsupported (?:global: )?GLOBAL (\S+)', said)
    if refused:
        return (
            'wanted tensors and plain values, got a file with '
            f'{refused[1]}, which could run code. If you trust it, load it '
            'once with torch.load(file, weights_only=False) and save only '
            "its 'state_dict' to a new file"
        )
    if isinstance(error, KeyError):
        return f'wanted a file, an address or a known model, got {said}'
    if isinstance(error, URLError):
        return (
            f'cannot be downloaded: {said}. Name a file on this machine, or '
            f'put the download into {torch.hub.get_dir()}/checkpoints'
        )
    reason = said.split('WeightsUnpickler error:')[-1].strip().splitlines()[0]
    reason = reason.split('. ')[0]
    return (
        'wanted a checkpoint that torch.save wrote, but it cannot be loaded: '
        f'{reason.rstrip(".")}; correct the path, or restore the file from a '
        'copy'
    )
