"""Read the round that people are asked now."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from segal.active.label_store.pool_file import read_pool
from segal.annotation.folder import AnnotationFolder
from segal.annotation.request import Request
from segal.annotation.state import State
from segal.annotation.votes import is_complete


@dataclass(frozen=True)
class Asked:
    """The round that is asked now."""

    folder: AnnotationFolder
    request: Request
    state: State
    classes: list[str]

    @property
    def is_complete(self) -> bool:
        """Whether the round has all that it waits for."""
        return is_complete(self.folder, self.request, self.state)

    @property
    def words(self) -> str:
        """Such as ``'120 of 200 pixels answered (60 %)'``."""
        done, count = self.state.answered, len(self.request)
        share = 100 * done / count if count else 100
        unit = self.request.unit + 's' * (count != 1)
        left = self.state.recheck_left
        again = f', {left:,} asked once more' if left else ''
        return f'{done:,} of {count:,} {unit} answered ({share:.0f} %){again}'


def asked_now(work_dir: Path) -> Asked | None:
    """Read the round that is asked; None: none is.

    Raises:
        StateError: The folder is none of an experiment, or damaged.
    """
    folder = AnnotationFolder(work_dir)
    classes = read_pool(work_dir).classes
    number = folder.pending()
    if number is None:
        return None
    request = folder.request(number)
    state = folder.state(request, len(classes))
    return Asked(folder, request, state, classes)
