"""Exchange values between the processes (ranks) of a run.

Objects are sent over a separate gloo group, so that they need no GPU and
never mix with the gradients. In a single process every function returns its
input.
"""

from __future__ import annotations

import hashlib
import os
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TypeVar

import torch
import torch.distributed as dist
from mmcv.runner import get_dist_info
from torch import nn

from segal.errors import ConfigError, SegALError

T = TypeVar('T')

TIMEOUT = 60.0
"""Minutes that a rank waits for another, unless ``SEGAL_TIMEOUT`` is set."""

_control: dist.ProcessGroup | None = None


class LostRankError(SegALError):
    """Report that another process of this run ended or does not answer."""

    exit_code = 5


def patience() -> timedelta:
    """Read how long a rank waits for another.

    Raises:
        ConfigError: ``SEGAL_TIMEOUT`` is no number of minutes.
    """
    said = os.environ.get('SEGAL_TIMEOUT') or TIMEOUT
    try:
        minutes = float(said)
        if not 0 < minutes < 1e6:
            raise ValueError
    except ValueError:
        raise ConfigError(
            'SEGAL_TIMEOUT: wanted the minutes that one process waits for '
            f'another, above 0; got {said!r}; correct it, or unset it for '
            f'{TIMEOUT:g}'
        ) from None
    return timedelta(minutes=minutes)


def is_timeout(error: BaseException) -> bool:
    """Check whether a collective operation waited too long."""
    said = f'{type(error).__name__}: {error}'.lower()
    return 'timed out' in said or 'timeout' in said


def lost_rank(error: BaseException, what: str) -> LostRankError | None:
    """Explain why a collective operation failed.

    Returns:
        The error to raise; None for an error with another cause.
    """
    said = f'{type(error).__name__}: {error}'.lower()
    late = is_timeout(error)
    if world_size() == 1 or not (
        late or any(word in said for word in ('gloo', 'nccl', 'connection'))
    ):
        return None
    return LostRankError(
        f'process {rank()} was waiting for the others {what}, '
        + (
            'and not all of them came within '
            f'{patience().total_seconds() / 60:g} min (SEGAL_TIMEOUT=... '
            'gives them longer)'
            if late
            else 'and one of them is gone'
        )
        + '; look for what it said, mend that, and run the same command '
        'again: it goes on where it was, and no label is lost'
    )


@contextmanager
def _meeting(what: str) -> Iterator[None]:
    """Turn the failure of a collective operation into a readable error."""
    try:
        yield
    except RuntimeError as error:
        lost = lost_rank(error, what)
        if lost is None:
            raise
        raise lost from error


def rank() -> int:
    """Return this process's rank, 0 where there is only one."""
    return int(get_dist_info()[0])


def world_size() -> int:
    """Count the processes."""
    return int(get_dist_info()[1])


def is_main() -> bool:
    """Check whether this process decides and writes (rank 0)."""
    return rank() == 0


def _group() -> dist.ProcessGroup:
    global _control
    if _control is None:
        with _meeting('to meet them'):
            _control = dist.new_group(backend='gloo', timeout=patience())
    return _control


def barrier() -> None:
    """Wait until every rank is here."""
    if world_size() > 1:
        with _meeting('at a barrier'):
            dist.barrier(group=_group())


def broadcast(value: T | None) -> T:
    """Send rank 0's value to every rank.

    Args:
        value: Any picklable object; only rank 0's counts.
    """
    box = [value]
    if world_size() > 1:
        with _meeting('to hear from rank 0'):
            dist.broadcast_object_list(box, src=0, group=_group())
    return box[0]  # type: ignore[return-value]


def gather(value: T) -> list[T]:
    """Collect every rank's value on rank 0, in the order of ranks."""
    if world_size() == 1:
        return [value]
    box: list[T | None] | None = None
    if is_main():
        box = [None] * world_size()
    with _meeting('to gather on rank 0'):
        dist.gather_object(value, box, dst=0, group=_group())
    return box if box is not None else []  # type: ignore[return-value]


def gather_everywhere(value: T) -> list[T]:
    """Collect every rank's value on every rank, in the order of ranks."""
    if world_size() == 1:
        return [value]
    box: list[T | None] = [None] * world_size()
    with _meeting('to compare notes'):
        dist.all_gather_object(box, value, group=_group())
    return box  # type: ignore[return-value]


def largest(value: int) -> int:
    """Return the maximum of a number over all ranks, on every rank."""
    if world_size() == 1:
        return value
    box = torch.tensor([value])
    with _meeting('after an iteration'):
        dist.all_reduce(box, dist.ReduceOp.MAX, group=_group())
    return int(box)


def fail_together(error: Exception | None) -> None:
    """Raise an error of one rank on every rank.

    A rank that raises alone leaves the others waiting at the next barrier.

    Args:
        error: This rank's trouble, None where there was none.

    Raises:
        Exception: A rank's own trouble; on ranks without any, that of the
            lowest that had some.
    """
    sent = error
    if error is not None and not isinstance(error, SegALError):
        sent = RuntimeError(''.join(traceback.format_exception(error)))
    troubles = [one for one in gather_everywhere(sent) if one is not None]
    for trouble in (error, *troubles):
        if isinstance(trouble, SegALError):
            trouble.shared = True
    if error is not None:
        raise error
    if troubles:
        raise troubles[0]


@contextmanager
def together() -> Iterator[None]:
    """Raise an error of this block on every rank.

    Raises:
        Exception: See :func:`fail_together`.
    """
    trouble: Exception | None = None
    try:
        yield
    except Exception as error:
        trouble = error
    fail_together(trouble)


def state_hash(module: nn.Module) -> str:
    """Compute a fingerprint of all parameters and buffers, bit by bit."""
    digest = hashlib.blake2b(digest_size=16)
    for name, value in module.state_dict().items():
        digest.update(name.encode())
        flat = value.detach().cpu().contiguous().reshape(-1)
        digest.update(flat.view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def sync_buffers(module: nn.Module) -> None:
    """Copy rank 0's buffers to every rank.

    Batch norm's running statistics drift apart under mmseg's DDP, which does
    not broadcast them, and two ranks would score one image differently.
    """
    if world_size() > 1:
        with _meeting("for rank 0's buffers"):
            for buffer in module.buffers():
                dist.broadcast(buffer, 0)


def check_same_state(module: nn.Module, when: str) -> None:
    """Check that all ranks hold the same network.

    Raises:
        RuntimeError: Parameters or buffers differ between ranks.
    """
    hashes = gather_everywhere(state_hash(module))
    if len(set(hashes)) > 1:
        raise RuntimeError(
            f'the networks of the ranks differ {when}: {hashes}'
        )


def share_files(folder: Path, stem: str, *others: str) -> None:
    """Copy files of rank 0 to ranks that do not see its disk.

    Args:
        folder: Their folder, with the same path on every machine.
        stem: The file ``stem.npz`` and, if there is one, the folder ``stem``.
        *others: Names of further files.
    """
    if world_size() == 1:
        return
    files: list[Path] = []
    if is_main():
        names = (f'{stem}.npz', *others)
        files = [*sorted((folder / stem).glob('*'))]
        files += [folder / name for name in names]
    wanted = broadcast(
        [(path.relative_to(folder), _digest(path)) for path in files]
    )
    same = all(_digest(folder / path) == digest for path, digest in wanted)
    if not all(gather_everywhere(same)):
        for path, digest in wanted:
            target = folder / path
            content = broadcast(target.read_bytes() if is_main() else None)
            if _digest(target) != digest:
                target.parent.mkdir(parents=True, exist_ok=True)
                temporary = target.with_suffix(f'.{rank()}')
                temporary.write_bytes(content)
                temporary.replace(target)
    barrier()


def _digest(path: Path) -> str | None:
    """Compute the fingerprint of a file, None where there is none."""
    try:
        return hashlib.blake2b(path.read_bytes()).hexdigest()
    except FileNotFoundError:
        return None
