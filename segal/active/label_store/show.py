"""Summarise the bought labels: total, rounds, classes, and one image."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from segal.active.label_store.export import request_records
from segal.active.label_store.file import LabelFile
from segal.active.label_store.store import LabelStore
from segal.active.units.costs import Asked
from segal.errors import DataError, nearest


def summary(
    store: LabelStore, classes: Sequence[str], image: str | None = None
) -> dict[str, Any]:
    """Collect all that ``tools/labels.py show`` prints, as plain values.

    Raises:
        DataError: The pool has no such image.
    """
    names = [one.name for one in store.pool]
    if image is not None and image not in names:
        raise DataError(
            f'--image: wanted the name of an image of the pool, got '
            f'{image!r}{_close(image, names)}'
        )
    rounds = []
    requests: list[dict[str, Any]] = []
    for number in range(store.rounds):
        content = store.read(number)
        rounds.append(
            {
                'round': number,
                'unit': content.unit,
                **store.counts(number)._asdict(),
                **_regions(content, store.asked(number)),
                'sha256': store.sha256(number),
            }
        )
        if image is not None:
            requests += request_records(content, classes, image)
    told = {
        'experiment': store.experiment,
        'images_in_pool': len(names),
        'total': store.counts()._asdict(),
        'rounds': rounds,
        'classes': _by_class(store, classes),
    }
    if image is not None:
        drop = ('record', 'image')
        told['image'] = {
            'name': image,
            'size': list(store.pool[names.index(image)].size),
            'requests': [
                {key: x for key, x in record.items() if key not in drop}
                for record in requests
            ],
        }
    return told


def _regions(content: LabelFile, asked: Asked) -> dict[str, Any]:
    """Count the regions asked, if any, and name the kind of answer."""
    count = asked.regions + asked.superpixels
    return dict(regions=count, answer=content.answer) if count else {}


def _close(image: str, names: Sequence[str]) -> str:
    """Suggest a similar name; of a large pool list ten names at most."""
    last = image.rpartition('/')[2]
    similar = [name for name in names if last and last in name][:10]
    return nearest(image, similar or names[:10])


def _by_class(
    store: LabelStore, classes: Sequence[str]
) -> list[dict[str, Any]]:
    """Count the bought labels of each class."""
    sums = store.class_counts()
    last = max([len(classes) - 1, *np.flatnonzero(sums).tolist()])
    titles = [*classes, *map(str, range(len(classes), last + 1))]
    return [
        {'class': i, 'class_name': titles[i], 'labelled': int(sums[i])}
        for i in range(last + 1)
    ]


def describe_summary(told: dict[str, Any]) -> str:
    """Format a summary as text."""
    heads = ['round', 'unit', 'images', 'requested', 'labelled', 'void']
    keys = [*heads, 'refused']
    table = [[*keys, 'sha256']]
    for row in told['rounds']:
        cells = [
            f'{row[key]:,}' if isinstance(row[key], int) else row[key]
            for key in keys
        ]
        if 'regions' in row:
            cells[1] = f'{row["regions"]:,} regions, {row["answer"]}'
        table.append([*cells, row['sha256'][:12]])
    total = told['total']
    table.append(['all', '', *(f'{total[key]:,}' for key in keys[2:]), ''])
    lines = [
        f'experiment {told["experiment"]}, {told["images_in_pool"]:,} images '
        f'in the pool, {total["images"]:,} of them with a label',
        '',
        *_format_table(table),
        '',
    ]
    labelled = max(1, total['labelled'])
    rows = [
        [f'{row["labelled"]:,}', f'{row["labelled"] / labelled:.1%}',
         row['class_name']]
        for row in told['classes']
    ]  # fmt: skip
    lines += _format_table([['labelled', 'share', 'class'], *rows])
    if 'image' in told:
        lines += ['', *_describe_image(told['image'])]
    return '\n'.join(line.rstrip() for line in lines)


def _describe_image(image: dict[str, Any]) -> list[str]:
    height, width = image['size']
    requests = image['requests']
    head = f'{image["name"]} ({height} x {width}): '
    if not requests:
        return [f'{head}never asked']
    rows = []
    for one in requests:
        whole = one['row'] is None
        got = one['class_name'] or ''
        if whole:
            pixels = ', '.join(f'{n:,} {x}' for x, n in one['pixels'].items())
            got = f'pixels: {pixels}'
        score = one['score']
        rows.append(
            [
                str(one['round']),
                'whole' if whole else str(one['row']),
                '' if whole else str(one['column']),
                f'{score:.4g}' if isinstance(score, float) else score or '-',
                one['status'],
                got,
            ]
        )
    titles = ['round', 'row', 'column', 'score', 'answer', 'class']
    count = len(requests)
    return [
        f'{head}asked {count} time{"s" if count > 1 else ""}',
        *_format_table([titles, *rows]),
    ]


def _format_table(table: Sequence[Sequence[str]]) -> list[str]:
    """Align all cells but the last of each row right; underline row 0."""
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    widths[-1] = 0
    lines = ['  '.join(map(str.rjust, row, widths)) for row in table]
    return [lines[0], '-' * max(map(len, lines)), *lines[1:]]
