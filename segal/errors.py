"""Define the errors that a user can cause, each one message.

Every message names the key or file, what was wanted, what came, and the mend.
"""

from __future__ import annotations

import difflib
import re
import traceback
from collections.abc import Iterable, Sequence


class SegALError(Exception):
    """An error that a user can cause and correct; printed alone.

    Attributes:
        exit_code: What the process ends with, for scripts to rely on.
        shared: Whether every rank raises it, so that one may speak for all.
    """

    exit_code = 1
    shared = False


class AnswersWanted(SegALError):  # noqa: N818
    """People are asked; the run goes on once they have answered.

    Every rank raises it, with labels and rows as they are before the answers.
    """

    exit_code = 6
    shared = True


_NESTED = re.compile(r'(?s)(.*?)\d+ problems? in the config:\n  - (.*)')
"""An error about a config, in the words of one around it."""


def _parts(problem: str) -> list[str]:
    """List the problems of an error, each with its context."""
    nested = _NESTED.fullmatch(problem)
    if nested is None:
        return [problem]
    return [nested[1] + part for part in nested[2].split('\n  - ')]


class ConfigError(SegALError):
    """Everything that is wrong with a config, all at once."""

    exit_code = 2

    def __init__(self, problems: Sequence[str] | str) -> None:
        if isinstance(problems, str):
            problems = [problems]
        self.problems = [part for one in problems for part in _parts(one)]
        count = len(self.problems)
        head = f'{count} problem{"s" if count > 1 else ""} in the config:'
        super().__init__('\n  - '.join([head, *self.problems]))

    def __reduce__(self) -> tuple[type[ConfigError], tuple[list[str]]]:
        return ConfigError, (self.problems,)


class DataError(SegALError):
    """An image, annotation or folder that cannot be used as it is."""

    exit_code = 3


class LabelFlowError(DataError):
    """A training pipeline writes labels that were not put in, or loses them.

    Both are faults of the pipeline, not of the image on which they show.
    """


class AnswerFileError(DataError):
    """A file with people's answers that is foreign, damaged or edited."""


class StateError(SegALError):
    """A work_dir, label file or checkpoint that is foreign or damaged."""

    exit_code = 4


def short(value: object) -> str:
    """Write a value for an error, cut where it is long."""
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + '...'


def nearest(name: object, valid: Iterable[object]) -> str:
    """Suggest the nearest name, at the end of an error.

    Returns:
        ``"; did you mean 'x'? (valid: x, y, z)"``, without the question where
        nothing is close.
    """
    names = sorted(str(item) for item in valid)
    folded = {item.lower().replace('_', ''): item for item in names}
    close = difflib.get_close_matches(
        str(name).lower().replace('_', ''), folded, n=1, cutoff=0.6
    )
    guess = f"; did you mean '{folded[close[0]]}'?" if close else ''
    return f'{guess} (valid: {", ".join(names)})'


def unknown_keys(
    where: str, section: Iterable[object], valid: Iterable[object]
) -> list[str]:
    """List the keys of a section that are not valid, as problems.

    Args:
        where: Dotted key of the section; empty for the config itself.
        section: Its keys.
        valid: The keys that it may have.
    """
    valid = list(valid)
    return [
        f'{where}.{key}: unknown key' + nearest(key, valid)
        for key in section
        if key not in valid
    ]


def raised_at(error: BaseException) -> str:
    """Name the file and line that raised an error."""
    frames = traceback.extract_tb(error.__traceback__)
    if not frames:
        return ''
    return f'{frames[-1].filename}, line {frames[-1].lineno}'


def last_words(error: SegALError) -> str:
    """Return the message alone, without a loader worker's traceback."""
    text = str(error)
    if 'Original Traceback' not in text:
        return text
    return text.rsplit(f'{type(error).__name__}: ', 1)[-1].strip()
