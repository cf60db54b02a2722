"""Keep what the network that asked predicts for each item, and suggest it.

``round_003.predictions.npz`` is written before the request whose SHA-256 it
names. The first round, which no network asks, has none; nor has a round whose
answers are maps of classes.
"""

from __future__ import annotations

import io
import zipfile
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from segal.annotation.request import Request
from segal.annotation.shares import is_suggested
from segal.errors import StateError
from segal.files import replace_file

if TYPE_CHECKING:
    from segal.annotation.folder import AnnotationFolder

MOST = 3
LEAST_PROB = 0.05
"""Of a class that is suggested beside the likeliest."""

SUFFIX = 'predictions.npz'


def write(
    folder: AnnotationFolder,
    round: int,
    request: str,
    probs: NDArray[np.float32] | None,
) -> None:
    """Write the predictions of a round that is not frozen yet.

    Args:
        folder: Of the work_dir.
        round: Its number.
        request: SHA-256 of the request that will be frozen.
        probs: float32 (items, C); None: there are none, and what a killed
            run left is removed.

    Raises:
        StateError: They cannot be written.
    """
    path = folder.file(round, SUFFIX)
    if probs is None:
        path.unlink(missing_ok=True)
        return
    buffer = io.BytesIO()
    np.savez(
        buffer,
        probs=probs.astype(np.float32),
        request=np.frombuffer(bytes.fromhex(request), np.uint8),
    )
    replace_file(path, buffer.getvalue())


def read(folder: AnnotationFolder, round: int) -> NDArray[np.float32] | None:
    """Read the mean class probabilities of each item of a round.

    Returns:
        float32 (items, C), by the network that chose them, which has not seen
        their answers; None where no network asked.

    Raises:
        StateError: The file is damaged, or of another request.
    """
    path = folder.file(round, SUFFIX)
    if not path.exists():
        return None
    request = folder.request(round)
    try:
        with np.load(io.BytesIO(path.read_bytes())) as archive:
            probs = archive['probs']
            digest = archive['request'].tobytes().hex()
        if digest != request.sha256:
            raise ValueError(f'those of request {digest[:16]}...')
        if probs.ndim != 2 or len(probs) != len(request):
            raise ValueError(f'an array {probs.shape}')
    except (
        OSError,
        EOFError,
        ValueError,
        KeyError,
        zipfile.BadZipFile,
    ) as error:
        raise StateError(
            f'{path}: wanted class probabilities of {len(request)} items, by '
            f'the network that asked, got {error}; restore {folder.path} from '
            'a copy, or delete the file: the round then has no predictions'
        ) from error
    return probs  # type: ignore[no-any-return]


class Suggestions:
    """The likely classes of each item of a round.

    There are none where no network asked, or none are wanted.

    Raises:
        StateError: The predictions are damaged.
    """

    def __init__(self, folder: AnnotationFolder, request: Request) -> None:
        options = folder.options()
        self._probs = None
        if options.suggest != 'none':
            self._probs = read(folder, request.round)
        self._shown = is_suggested(request, options)

    def of(self, item: int) -> list[int]:
        """Return the likely classes of an item, the likeliest first.

        Empty where nothing is suggested.
        """
        if self._probs is None or not self._shown[item]:
            return []
        probs = self._probs[item]
        likely = np.argsort(-probs, kind='stable')[:MOST]
        return [
            int(cls)
            for place, cls in enumerate(likely)
            if place == 0 or probs[cls] >= LEAST_PROB
        ]
