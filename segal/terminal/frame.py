"""Compose the lines of the screen: rounds, costs, mIoU, the step at work."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from segal.visualization.table import (
    aligned,
    duration,
    row_cost,
    share_words,
)

Line = list[tuple[str, str]]
"""Pieces of text, each with its style: a key of ``STYLES``, or nothing."""

STYLES = {
    'bold': '\x1b[1m',
    'dim': '\x1b[2m',
    'bar': '\x1b[36m',
    'warn': '\x1b[33m',
}
RESET = '\x1b[0m'

WIDEST = 100
"""Columns that are used of a wide terminal."""

EIGHTHS = ' ▏▎▍▌▋▊▉█'
HEIGHTS = '▁▂▃▄▅▆▇█'
SCALE = 20
"""Columns of a bar of 100 % mIoU."""


@dataclass
class Step:
    """A step at work, such as the training of a round.

    Attributes:
        what: Its name.
        total: How many units it has; None: unknown.
        unit: Such as ``'image'``.
        begun: When it began, in seconds.
        done: Units that are done.
        first: Units that were done before it began.
        note: More to say, such as the loss.
    """

    what: str
    total: int | None
    unit: str
    begun: float
    done: int = 0
    first: int = 0
    note: str = ''


@dataclass
class View:
    """Everything that the screen shows.

    Attributes:
        title: Name of the experiment.
        log: The log file, as a person would type it.
        round: The round at work, from 0; None: none yet.
        rounds: How many there are.
        rows: As in ``rounds.json``; that of a round at work has no mIoU.
        steps: Those at work, the innermost last.
        warnings: How many the log has.
        notice: A sentence that cannot wait.
        last: A text to leave in place of all this.
    """

    title: str
    log: str
    round: int | None = None
    rounds: int = 0
    rows: Sequence[dict[str, Any]] = ()
    steps: list[Step] = field(default_factory=list)
    warnings: int = 0
    notice: str = ''
    last: str = ''


def compose(view: View, width: int, height: int, now: float) -> list[Line]:
    """Compose the screen.

    Args:
        view: What to show.
        width: Columns of the terminal.
        height: Lines of the terminal; one is left to the cursor.
        now: The time in seconds, on the clock of the steps.
    """
    width = min(width - 1, WIDEST)
    below: list[Line] = []
    if view.steps:
        below.append(_step(view.steps[-1], width, now))
    warned = warnings_words(view.warnings)
    below.append([(f'{"log":<10}{view.log}', 'dim'), (warned, 'warn')])
    if view.notice:
        below.append([(view.notice, 'warn')])
    table = _table(view.rows, height - len(below) - 5)
    lines = [_title(view, width), [], *table, *([[]] if table else []), *below]
    return [cut(line, width) for line in lines][: max(1, height - 1)]


def render(line: Line, colour: bool = True) -> str:
    """Write a line with the escape codes of its styles."""
    return ''.join(
        f'{STYLES[style]}{text}{RESET}' if style and colour else text
        for text, style in line
    )


def cut(line: Line, width: int) -> Line:
    """Cut a line to a number of columns, and take out control characters."""
    kept: Line = []
    for text, style in line:
        end = 0
        for character in text:
            width -= columns(character)
            if width < 0:
                break
            end += 1
        shown = (c if c.isprintable() else '?' for c in text[:end])
        kept.append((''.join(shown), style))
        if width < 0:
            break
    return kept


def columns(text: str) -> int:
    """Count the columns that a text takes."""
    return sum(1 + (unicodedata.east_asian_width(c) in 'WF') for c in text)


def sparkline(values: Sequence[float]) -> str:
    """Draw values of 0 to 1, one column each, from the least to the most."""
    if not values:
        return ''
    low, high = min(values), max(values)
    steps = (len(HEIGHTS) - 1) / (high - low or 1)
    return ''.join(HEIGHTS[round((value - low) * steps)] for value in values)


def bar(share: float, width: int) -> str:
    """Draw a share of 0 to 1 as a bar of at most so many columns."""
    eighths = round(min(max(share, 0), 1) * width * 8)
    whole, rest = divmod(eighths, 8)
    return '█' * whole + (EIGHTHS[rest] if rest else '')


def warnings_words(count: int) -> str:
    """Say how many warnings the log has, behind its name."""
    if not count:
        return ''
    return f' ({count} warning{"s" if count > 1 else ""})'


def _title(view: View, width: int) -> Line:
    where = ''
    if view.round is not None:
        last = view.rounds - 1
        where = f'round {view.round} of 0' + (f' to {last}' if last else '')
    gap = max(2, width - columns(view.title) - len(where))
    return [(view.title, 'bold'), (' ' * gap, ''), (where, 'bold')]


def _table(rows: Sequence[dict[str, Any]], most: int) -> list[Line]:
    """List the rounds, each a line; the first ones give way to a sparkline."""
    if not rows:
        return []
    whole = rows[0].get('unit') == 'image'
    costs = any(row.get('cost') for row in rows)
    heads = ['round', 'images' if whole else 'labels', 'share']
    cells = [[*heads, *(['cost'] if costs else []), 'mIoU']]
    for row in rows:
        total, miou = row['total'], row.get('mIoU')
        cells.append(
            [
                str(row['round']),
                f'{total["images"] if whole else total["labelled"]:,}',
                share_words(row['share']),
                *([row_cost(row)] if costs else []),
                '' if miou is None else f'{100 * miou:.1f} %',
            ]
        )
    head, *texts = aligned(cells)
    lines: list[Line] = [[(head, 'dim')]]
    hidden = 0
    if len(rows) > max(1, most):
        hidden = len(rows) - max(1, most - 1)
        known = [row['mIoU'] for row in rows if row.get('mIoU') is not None]
        lines.append([('  ...  ', 'dim'), (sparkline(known), 'bar')])
    for row, text in list(zip(rows, texts, strict=True))[hidden:]:
        share = row.get('mIoU')
        drawn = '' if share is None else bar(share, SCALE)
        lines.append([(text, ''), ('  ', ''), (drawn, 'bar')])
    return lines


def _step(step: Step, width: int, now: float) -> Line:
    """Draw the bar of a step, with its time left."""
    head: Line = [(f'{step.what:<8}  ', 'bold')]
    if not step.total:
        return [*head, (step.note, '')]
    words = [f'{step.done:,} of {step.total:,} {step.unit}s']
    here, left = step.done - step.first, step.total - step.done
    if here > 0 and left > 0:
        words.append(duration((now - step.begun) / here * left) + ' left')
    if step.note:
        words.append(step.note)
    text = '  ' + ', '.join(words)
    room = max(6, min(30, width - len(head[0][0]) - len(text)))
    full = min(room, room * step.done // step.total)
    done, rest = '█' * full, '░' * (room - full)
    return [*head, (done, 'bar'), (rest, 'dim'), (text, '')]
