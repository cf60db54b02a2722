"""Format the rounds of an experiment as a table for the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

Row = dict[str, Any]

_ABSENT = '-'
_LONG = ((7200, 3600, 'hours'), (600, 60, 'minutes'))
"""Least seconds for a larger unit, its seconds, and its name."""


def labels_per_image(row: Row, images: int) -> float:
    """Compute labelled pixels for each image of the pool."""
    return float(row['total']['labelled'] / images)


def format_rounds(rows: Sequence[Row], images: int) -> str:
    """Format labels, cost, mIoU and seconds of each round of a pool."""
    if not rows:
        return 'no rounds yet'
    whole = rows[0].get('unit') == 'image'
    heads = ['round', 'images' if whole else 'labels', 'void', 'per image']
    heads += ['share', 'cost', 'mIoU', 'train', 'query', 'eval']
    table = [heads, *(_cells(row, whole, images) for row in rows)]
    dropped = {'per image'} if whole else set()
    if not any(row.get('cost') for row in rows):
        dropped.add('cost')
    kept = [at for at, head in enumerate(heads) if head not in dropped]
    table = [[cells[at] for at in kept] for cells in table]
    notes = _notes(rows)
    return '\n'.join([*ruled(table), *([''] if notes else []), *notes])


def ruled(rows: Sequence[Sequence[str]], left: int = 0) -> list[str]:
    """Align a table, with a rule below its heads; see :func:`aligned`."""
    lines = aligned(rows, left)
    return [lines[0], '-' * max(map(len, lines)), *lines[1:]]


def mean_words(
    value: dict[str, Any] | None, digits: int = 2, sign: str = ''
) -> str:
    """Write mean and standard deviation, such as ``'31.20 +- 0.40'``."""
    if value is None or value['mean'] is None:
        return '-'
    mean, std = f'{value["mean"]:{sign}.{digits}f}', value['std']
    return mean if std is None else f'{mean} +- {std:.{digits}f}'


def aligned(rows: Sequence[Sequence[str]], left: int = 0) -> list[str]:
    """Align the cells of a table in columns; the first row are the heads.

    The first ``left`` columns are aligned at the left.
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        '  '.join(
            cell.ljust(width) if at < left else cell.rjust(width)
            for at, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def _cells(row: Row, whole: bool, images: int) -> list[str]:
    total, seconds = row['total'], row.get('seconds') or {}
    return [
        str(row['round']),
        f'{total["images"] if whole else total["labelled"]:,}',
        f'{total["void"]:,}',
        f'{labels_per_image(row, images):,.1f}',
        share_words(row['share']),
        row_cost(row),
        _ABSENT if row.get('mIoU') is None else f'{100 * row["mIoU"]:.2f} %',
        *(_time(seconds.get(key)) for key in ('train', 'query', 'evaluation')),
    ]


def share_words(share: float) -> str:
    """Format a share in per cent, to two significant digits."""
    if share and share < 0.1:
        words = np.format_float_positional(
            100 * share, precision=2, fractional=False, trim='-'
        )
        return f'{words} %'
    return f'{100 * share:.1f} %'


def cost_words(cost: float, unit: str) -> str:
    """Format a cost: seconds as hours and minutes, others with their unit."""
    if unit == 'seconds':
        return _time(cost)
    return f'{cost:,.10g} {unit}'


def size_in_words(count: int) -> str:
    """Write a number of bytes with its unit."""
    if count < 1000:
        return f'{count} bytes'
    size = count / 1000
    for unit in ('kB', 'MB', 'GB'):
        if size < 1000:
            return f'{size:.1f} {unit}'
        size /= 1000
    return f'{size:.1f} TB'


def time_scale(most: float, unit: str) -> tuple[int, str]:
    """Choose the unit in which costs up to ``most`` are drawn.

    Only seconds change, to minutes or hours. Returns the divisor of the costs,
    and the name of the new unit.
    """
    for least, each, words in _LONG if unit == 'seconds' else ():
        if most >= least:
            return each, words
    return 1, unit


def row_cost(row: Row) -> str:
    """Format the cost until a round; rows of older versions have none."""
    cost = row.get('cost')
    return cost_words(cost['total'], cost['unit']) if cost else _ABSENT


def absent_words(row: Row, truth: str = 'data.val') -> list[str]:
    """Say which classes have no labels or do not enter the mean IoU.

    The ``truth`` is the config key of the evaluated data set. Returns
    sentences without a full stop; none where all classes take part.
    """
    absent = row.get('absent') or {}
    left_out, in_val, labels = (
        absent.get(key, []) for key in ('mean', 'val', 'labels')
    )
    sentences = []
    if left_out:
        count = len(row['IoU'])
        sentences.append(
            f'mIoU is over {count - len(left_out)} of {count} classes: no '
            f'pixel of {_names(left_out)} in {truth} or in what was predicted'
        )
    wrong = [name for name in in_val if name not in left_out]
    if wrong:
        sentences.append(
            f'no pixel of {_names(wrong)} in {truth}, but in what was '
            'predicted: an IoU of 0 % in the mean'
        )
    if labels:
        sentences.append(f'no label of {_names(labels)} was bought so far')
    return sentences


def _names(names: Sequence[str]) -> str:
    return ', '.join(map(repr, names))


def _notes(rows: Sequence[Row]) -> list[str]:
    """List the notes below the table: which rounds lack which classes."""
    rounds: dict[str, list[str]] = {}
    for row in rows:
        for sentence in absent_words(row):
            rounds.setdefault(sentence, []).append(str(row['round']))
    return [
        f'round{"s" if len(which) > 1 else ""} {", ".join(which)}: {sentence}'
        for sentence, which in rounds.items()
    ]


def _time(seconds: float | None) -> str:
    if seconds is None:
        return _ABSENT
    return f'{seconds:.1f} s' if seconds < 100 else duration(seconds)


def duration(seconds: float) -> str:
    """Write a duration with two units at most."""
    minutes, rest = divmod(round(seconds), 60)
    if not minutes:
        return f'{rest} s'
    if minutes < 60:
        return f'{minutes} min {rest:02d} s'
    return f'{minutes // 60} h {minutes % 60:02d} min'
