"""Draw the learning curve: mIoU over what was labelled."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from segal.files import whole_file
from segal.visualization.table import labels_per_image, share_words, time_scale

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_BLUE = '#2563a8'
_GREY = '#6b7280'
_GRID = '#e3e6ea'
_INK = '#1f2328'


def draw_curve(
    rows: Sequence[dict[str, Any]],
    path: Path,
    title: str,
    images: int,
    over_cost: bool = False,
    random: Sequence[dict[str, Any]] = (),
    full: float | None = None,
) -> None:
    """Draw mIoU over labels per image, over images, or over cost, as a PNG.

    Rows of ``rounds.json`` without a mIoU, or over cost without a cost, are
    left out. ``images`` counts the pool. The rows of ``random`` are a dashed
    line, and the mIoU of ``full`` supervision is a level one.
    """
    from matplotlib.figure import Figure  # only where a curve is drawn

    shown, baseline = (
        [
            row
            for row in some
            if row.get('mIoU') is not None
            and (row.get('cost') or not over_cost)
        ]
        for some in (rows, random)
    )
    at, words = _across(shown, images, over_cost)
    values = [100 * float(row['mIoU']) for row in shown]
    beside, _ = _across(baseline, images, over_cost)
    others = [100 * float(row['mIoU']) for row in baseline]
    figure = Figure(figsize=(7.2, 4.6), dpi=150, layout='constrained')
    axes = figure.add_subplot()
    axes.plot(
        at, values, '-o', color=_BLUE, linewidth=2, markersize=7,
        markeredgecolor='white', markeredgewidth=1.4, zorder=3,
        clip_on=False, label='this run',
    )  # fmt: skip
    if others:
        axes.plot(
            beside, others, '--o', color=_GREY, linewidth=1.5, markersize=4,
            clip_on=False, label='random',
        )  # fmt: skip
    if full is not None:
        others = [*others, 100 * full]
        axes.axhline(
            100 * full, color=_INK, linestyle='-.', linewidth=1.2,
            label='full supervision',
        )  # fmt: skip
    if others:
        figure.legend(loc='outside lower center', ncols=3, frameon=False)
    _label_points(axes, at, values)
    _limits(axes, [*at, *beside], [*values, *others] if at else [])
    if at:
        budget_ticks(axes, at)
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
    rows: Sequence[dict[str, Any]], images: int, over_cost: bool
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
    at = [labels_per_image(row, images) for row in rows]
    return at, 'labelled pixels per image'


def _label_points(
    axes: Axes, at: Sequence[float], values: Sequence[float]
) -> None:
    """Write the mIoU beside the points; of many points beside some."""
    step = int(np.ceil(len(at) / 12))
    from matplotlib import patheffects

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
    low, high = min(values), max(values)
    room = max(2.5, 0.15 * (high - low))
    axes.set_ylim(max(0, low - room), min(103, high + room))
    first, last = min(at), max(at)
    room = 0.06 * (last - first) or 0.5 * last or 1
    axes.set_xlim(first - room, last + room)


def budget_ticks(axes: Axes, at: Sequence[float], gap: float = 0.09) -> None:
    """Put the ticks of the x axis at points, where labels do not overlap."""
    picked = apart(at, gap)
    axes.set_xticks(
        [at[i] for i in picked],
        [f'{at[i]:,.0f}' if at[i] >= 100 else f'{at[i]:.3g}' for i in picked],
    )


def apart(at: Sequence[float], gap: float) -> list[int]:
    """Choose points at least ``gap`` of their range apart; the last is one."""
    least = gap * (max(at) - min(at))
    picked: list[int] = []
    for i in range(len(at) - 1, -1, -1):
        if not picked or abs(at[picked[-1]] - at[i]) >= max(least, 1e-9):
            picked.append(i)
    return picked[::-1]


def _share_axis(
    axes: Axes, at: Sequence[float], shares: Sequence[float]
) -> None:
    """Draw a second axis above: the share of all pixels at the points."""
    above = axes.secondary_xaxis('top')
    picked = apart(at, 0.13)
    above.set_xticks(
        [at[i] for i in picked], [share_words(shares[i]) for i in picked]
    )
    above.set_xlabel('share of all pixels', fontsize=9, color='#6e747d')
    above.tick_params(labelsize=8.5, colors='#6e747d')
    above.spines['top'].set_color('#9aa1aa')
