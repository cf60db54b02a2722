"""Write what is asked for other tools."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from segal.active.label_store.pool_file import read_pool
from segal.annotation.folder import AnnotationFolder
from segal.annotation.formats import Asked, write
from segal.annotation.queue import queue_of
from segal.annotation.request import Request
from segal.annotation.state import State
from segal.errors import StateError
from segal.files import unwritable


def asked_now(work_dir: Path) -> Asked:
    """Read what is asked; no items are listed yet.

    Raises:
        StateError: Nothing is asked, or the files are damaged.
    """
    folder, pool = AnnotationFolder(work_dir), read_pool(work_dir)
    number = folder.pending()
    if number is None or folder.is_closing(number):
        raise StateError(
            f'{work_dir}: wanted a round that is asked, got none; start the '
            'run, which asks the next one'
        )
    request, none = folder.request(number), np.empty(0, np.int64)
    return Asked(request, pool.classes, pool.palette, none, pool.read)


def open_items(
    folder: AnnotationFolder, request: Request, state: State, who: str = ''
) -> NDArray[np.int64]:
    """Return the open items in the order in which the page shows them.

    Args:
        folder: Of the work_dir.
        request: What is asked.
        state: What is answered.
        who: Name of a person; '': whoever. Where others may answer, too,
            these are the items of the person's own share.

    Returns:
        Indices, int64 (N,).

    Raises:
        AnnotatorError: ``who`` is known in another spelling, or a reviewer.
    """
    folder.check_names([who] if who else [], state)
    queue = queue_of(folder, request, state)
    found = queue.shared(who) if who else queue.later(len(request))
    return np.array(found, np.int64)


def no_share_words(work_dir: Path, who: str) -> str:
    """Say that a person has no share; empty where there is one."""
    if not who or who in AnnotationFolder(work_dir).people():
        return ''
    return (
        f'{who} has no share of the items, and gets all that are open, as '
        'others would: name all people once with `segal annotate serve '
        f'{work_dir} --annotator NAME ...` to share them out'
    )


def export(work_dir: Path, out: Path, name: str, who: str = '') -> Asked:
    """Write the open items of a round for another tool.

    Returns:
        What was written.

    Raises:
        StateError: Nothing is open, ``out`` exists, or cannot be written.
    """
    asked, folder = asked_now(work_dir), AnnotationFolder(work_dir)
    request = asked.request
    state = folder.state(request, len(asked.classes))
    items = open_items(folder, request, state, who)
    if not len(items):
        raise StateError(
            f'{work_dir}: wanted open items, got none: round {request.round} '
            'is answered; start the run, which trains on it'
        )
    try:
        out.mkdir(parents=True)
    except FileExistsError:
        raise StateError(
            f'{out}: wanted a folder that does not exist yet'
        ) from None
    except OSError as error:
        raise StateError(unwritable(out, error)) from error
    asked = replace(asked, items=items)
    write(name, asked, out)
    return asked
