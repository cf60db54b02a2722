"""Read files that other programs wrote, or people edited."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from segal.annotation.fields import strict_json
from segal.errors import AnswerFileError, short

MOST_BYTES = 512 * 2**20
"""Of one file of answers, unpacked."""


def broken(
    path: Path, place: str, wanted: str, got: object, mend: str
) -> AnswerFileError:
    """Make the error for a file that cannot be taken.

    Args:
        path: Of the file.
        place: Where in it, such as ``'annotation 17, "counts"'``.
        wanted: What would have been right.
        got: What came; text stays as it is, all else is cut where it is long.
        mend: What to do.
    """
    told = got if isinstance(got, str) else short(got)
    return AnswerFileError(
        f'{path}, {place}: wanted {wanted}, got {told}; nothing was taken: '
        f'{mend}'
    )


def read_start(path: Path, count: int = 64) -> bytes:
    """Read the first bytes of a file.

    Raises:
        AnswerFileError: It cannot be read.
    """
    return _read(path, count)


def read_file(path: Path) -> bytes:
    """Read a file that is not too large.

    Raises:
        AnswerFileError: It is, or it cannot be read.
    """
    data = _read(path, MOST_BYTES + 1)
    check_size(path, len(data))
    return data


def check_size(path: Path, size: int) -> None:
    """Check that a file, unpacked, is not too large.

    Raises:
        AnswerFileError: It is.
    """
    if size > MOST_BYTES:
        raise broken(
            path,
            'its size',
            f'at most {MOST_BYTES // 2**20} MiB',
            'more',
            'export fewer images at a time; `take` reads several files',
        )


def _read(path: Path, count: int) -> bytes:
    try:
        with open(path, 'rb') as file:
            return file.read(count)
    except OSError as error:
        raise AnswerFileError(
            f'{path}: wanted a file of answers, got one that cannot be read '
            f'({error.strerror or error})'
        ) from error


def read_json(path: Path) -> Any:
    """Read JSON strictly: no key twice, no NaN, UTF-8.

    Raises:
        AnswerFileError: It is none, or too large.
    """
    data = read_file(path)
    try:
        return strict_json(data.decode('utf-8-sig'))
    except (ValueError, RecursionError) as error:
        raise broken(
            path,
            'its content',
            'JSON',
            f'something else ({error or type(error).__name__})',
            'export the answers again',
        ) from None


def only_request(path: Path, place: str, found: Iterable[object]) -> str:
    """Return the SHA-256 of the one request that parts of a file name.

    Raises:
        AnswerFileError: They name none, or two.
    """
    known = sorted({str(one)[:80] for one in found if one})
    if len(known) != 1:
        raise broken(
            path,
            place,
            "the request's SHA-256",
            ' and '.join(known[:2]) or 'none',
            'take a file made from what was exported; one round a file',
        )
    return known[0]
