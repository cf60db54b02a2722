"""Draw the learning curve: mIoU over what was labelled."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import patheffects
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from segal.files import whole_file
from segal.visualization.table import labels_per_image, share_words, time_scale

_BLUE = '#2563a8'
_GRID = '#e3e6ea'
_INK = '#1f2328'


def draw_curve(
    rows: Sequence[dict[str, Any]],
    path: Path,
    title: str,
    images: int | None = None,
    over_cost: bool = False,
) -> None:
    """Draw mIoU over labels per image, over images, or over cost, as a PNG.

    Rows of ``rounds.json`` without a mIoU, or over cost without a cost, are
    left out. ``images`` counts the pool; None: the images with a label.
    """
    shown = [
        row
        for row in rows
        if row.get('mIoU') is not None and (row.get('cost') or not over_cost)
    ]
    at, words = _across(shown, images, over_cost)
    values = [100 * float(row['mIoU']) for row in shown]
    figure = Figure(figsize=(7.2, 4.6), dpi=150, layout='constrained')
    axes = figure.add_subplot()
    axes.plot(
        at, values, '-o', color=_BLUE, linewidth=2, markersize=7,
        markeredgecolor='white', markeredgewidth=1.4, zorder=3,
    )  # fmt: skip
    _label_points(axes, at, values)
    _limits(axes, at, values)
    axes.set_xlabel(words)
    part = any((row.get('absent') or {}).get('mean') for row in shown)
    axes.set_ylabel('mIoU (%)' + ', some classes left out' * part)
    axes.set_title(title, loc='left', fontweight='bold', color=_INK, pad=14)
    axes.grid(color=_GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[['right']].set_visible(False)
    for spine in axes.spines.values():
        spine.set_color('#9aa1aa')
    if at:
        _share_axis(axes, at, [float(row['share']) for row in shown])
    with whole_file(path) as file:
        figure.savefig(file, format='png')


def _across(
    rows: Sequence[dict[str, Any]], images: int | None, over_cost: bool
) -> tuple[list[float], str]:
    """Return the points' positions and the label of their axis."""
    if over_cost:
        paid = [float(row['cost']['total']) for row in rows]
        unit = rows[0]['cost']['unit'] if rows else ''
        divisor, unit = time_scale(max(paid, default=0), unit)
        at = [cost / divisor for cost in paid]
        return at, f'cost of the labels ({unit})'
    if rows and rows[0].get('unit') == 'image':
        at = [float(row['total']['images']) for row in rows]
        return at, 'labelled images'
    at = [labels_per_image(row, images) or 0.0 for row in rows]
    return at, 'labelled pixels per image'


def _label_points(
    axes: Axes, at: Sequence[float], values: Sequence[float]
) -> None:
    """Write the mIoU beside the points; of many points beside some."""
    step = int(np.ceil(len(at) / 12))
    halo = [patheffects.withStroke(linewidth=3, foreground='white')]
    for i in range(len(at) - 1, -1, -step) if step else ():
        axes.annotate(
            f'{values[i]:.1f}', (at[i], values[i]), xytext=(0, 9),
            textcoords='offset points', ha='center', fontsize=9, color=_INK,
            path_effects=halo, zorder=4,
        )  # fmt: skip


def _limits(axes: Axes, at: Sequence[float], values: Sequence[float]) -> None:
    """Leave room around the points, also around a single one."""
    if not at:
        axes.set_xticks([])
        axes.set_ylim(0, 100)
        axes.text(
            0.5, 0.5, 'nothing evaluated yet', ha='center', va='center',
            transform=axes.transAxes, color='#6e747d',
        )  # fmt: skip
        return
    axes.xaxis.set_major_locator(MaxNLocator(integer=max(at) >= 5))
    low, high = min(values), max(values)
    room = max(2.5, 0.15 * (high - low))
    axes.set_ylim(max(0, low - room), min(103, high + room))
    first, last = min(at), max(at)
    room = 0.06 * (last - first) or 0.5 * last or 1
    axes.set_xlim(first - room, last + room)


def _share_axis(
    axes: Axes, at: Sequence[float], shares: Sequence[float]
) -> None:
    """Draw a second axis above: the share of all pixels at the points."""
    above = axes.secondary_xaxis('top')
    step = int(np.ceil(len(at) / 7))
    picked = list(range(len(at) - 1, -1, -step))
    above.set_xticks(
        [at[i] for i in picked], [share_words(shares[i]) for i in picked]
    )
    above.set_xlabel('share of all pixels', fontsize=9, color='#6e747d')
    above.tick_params(labelsize=8.5, colors='#6e747d')
    above.spines['top'].set_color('#9aa1aa')
