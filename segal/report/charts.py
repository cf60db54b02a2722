"""Draw the charts of a report as matplotlib figures."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from segal.report.axes import Across, Axis
from segal.report.evidence import RANDOM, Evidence
from segal.report.run import Run
from segal.report.statistics import mean_and_spread
from segal.report.svg import AXIS, BAND, COLOURS, FAINT, GRID, INK, PAPER
from segal.report.svg import RANDOM as GREY
from segal.report.tables import SECONDS, Findings
from segal.visualization.curve import apart, budget_ticks

_MARKERS = 'osD^vPX*'
_WIDTH = 5.0
ENOUGH_SEEDS = 5
"""Fewest seeds whose spread is drawn as a band; of fewer, each run is."""


def style_of(evidence: Evidence) -> dict[str, tuple[str, str]]:
    """Choose colour and marker of each heuristic, the same in all charts."""
    styles = {}
    others = [name for name in evidence.groups if name != RANDOM]
    for at, name in enumerate(others):
        styles[name] = (
            COLOURS[at % len(COLOURS)],
            _MARKERS[(at + at // len(COLOURS)) % len(_MARKERS)],
        )
    if RANDOM in evidence.groups:
        styles[RANDOM] = (GREY, 'o')
    return styles


def curves(evidence: Evidence, axis: Axis) -> Figure:
    """Draw mIoU over an axis: mean, and spread or single runs."""
    across = axis.values
    figure, axes = _new(3.2)
    budgets: set[float] = set()
    for name, (colour, marker) in style_of(evidence).items():
        done = evidence.finished(name)
        line = (0, (4, 2)) if name == RANDOM else '-'
        if done:
            seeds = f' (n = {len(done)})'
            at, means, spreads = _points(done, across)
            budgets |= {*at}
            axes.plot(
                at, means, linestyle=line, color=colour, marker=marker,
                label=name + seeds, markeredgecolor=PAPER, clip_on=False,
                markeredgewidth=0.8, markersize=6, linewidth=1.8, zorder=3,
            )  # fmt: skip
            if len(done) >= ENOUGH_SEEDS:
                low, high = means - spreads, means + spreads
                axes.fill_between(
                    at, low, high, color=colour, alpha=0.14, linewidth=0
                )
            elif len(done) > 1:
                for run in done:
                    axes.plot(
                        across(run), np.array(run.curve, float),
                        color=colour, linewidth=0.8, alpha=0.5, zorder=2,
                    )  # fmt: skip
        for run in evidence.groups[name]:
            if not run.finished:
                budgets |= {*across(run)}
                axes.plot(
                    across(run), np.array(run.curve, float), linestyle=':',
                    color=colour, marker=marker, markerfacecolor=PAPER,
                    markersize=5, linewidth=1.3, zorder=2, clip_on=False,
                    label=f'{name}, seed {run.seed}: unfinished',
                )  # fmt: skip
    _full_line(axes, evidence)
    axes.set_xlabel(axis.words)
    axes.set_ylabel('mIoU of the last epoch (%)')
    axes.margins(x=0.04, y=0.1)
    budget_ticks(axes, sorted(budgets), 0.1)
    _explain_spread(axes, evidence)
    legend(figure, axes)
    return figure


def _explain_spread(axes: Axes, evidence: Evidence) -> None:
    """Add to the legend what bands, or thin lines, are."""
    counts = [len(evidence.finished(name)) for name in evidence.groups]
    counts.append(len(evidence.full_miou))
    if any(count >= ENOUGH_SEEDS for count in counts):
        axes.fill_between(
            [], [], color=GREY, alpha=0.25, linewidth=0,
            label='mean ± standard deviation',
        )  # fmt: skip
    if any(1 < count < ENOUGH_SEEDS for count in counts):
        axes.plot([], [], color=GREY, linewidth=0.8, label='single seeds')


def _points(
    runs: Sequence[Run], across: Across
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Compute positions, mean and spread of finished runs, each (N,)."""
    at = np.mean([across(run) for run in runs], axis=0)
    curves = pd.DataFrame([run.curve for run in runs], dtype=float)
    return at, *(
        column.to_numpy()
        for column in (curves.mean(skipna=False), curves.std(skipna=False))
    )


def _full_line(axes: Axes, evidence: Evidence) -> None:
    mean, spread = mean_and_spread(evidence.full_miou)
    if mean is None:
        return
    count = len(evidence.full_miou)
    axes.axhline(
        mean, color=INK, linestyle='-.', linewidth=1.2,
        label=f'full supervision (n = {count})',
    )  # fmt: skip
    if count >= ENOUGH_SEEDS and spread is not None:
        axes.axhspan(mean - spread, mean + spread, color=INK, alpha=0.07)
        return
    for one in evidence.full_miou if count > 1 else ():
        axes.axhline(one, color=INK, linewidth=0.8, alpha=0.3)


def areas(evidence: Evidence, findings: Findings) -> Figure:
    """Draw the area of each run, with mean and spread."""
    names = list(evidence.groups)
    figure, axes = _new(0.9 + 0.42 * len(names))
    for at, (name, (colour, _)) in enumerate(style_of(evidence).items()):
        row = names.index(name)
        own = [*findings.areas[name].values()]
        mean, spread = mean_and_spread(own)
        if mean is None:
            continue
        axes.scatter(
            own, np.full(len(own), row + 0.14), s=22, color=colour,
            alpha=0.55, linewidth=0, zorder=2 + at,
        )  # fmt: skip
        axes.errorbar(
            mean, row - 0.14, xerr=spread, color=colour, marker='D',
            markersize=5.5, capsize=4, linewidth=1.6, zorder=20,
        )  # fmt: skip
    axes.set_yticks(range(len(names)), [wrapped(name) for name in names])
    axes.set_ylim(len(names) - 0.4, -0.6)
    words = f'area under {findings.axis.curve} (mIoU, %)'
    axes.set_xlabel(wrapped(words, 48))
    axes.margins(x=0.08)
    if not any(findings.areas.values()):
        axes.text(
            0.5, 0.5, 'no finished run', ha='center', va='center',
            transform=axes.transAxes, color=FAINT, backgroundcolor='white',
        )  # fmt: skip
    return figure


def penalty_matrix(findings: Findings) -> Figure:
    """Draw how often a row beats a column; the last row is the mean."""
    table = findings.penalties
    count = len(table.names)
    longest = max(map(len, table.names))
    figure, axes = _new(0.5 * (count + 1) + 0.07 * longest, grid=False)
    rows = [list(row) for row in table.matrix] + [list(table.beaten)]
    values = np.array(rows, float)  # None becomes NaN
    axes.set_facecolor('#f1f2f4')  # what NaN leaves bare
    axes.imshow(values, cmap='Blues', vmin=0, vmax=1, aspect='auto')
    for i, row in enumerate(rows):
        for j, cell in enumerate(row):
            diagonal = i == j
            words = '' if diagonal else '–' if cell is None else f'{cell:.2f}'
            dark = cell is not None and cell > 0.55
            axes.text(
                j, i, words, ha='center', va='center', fontsize=10,
                color='white' if dark else INK,
                fontweight='bold' if i == count else 'normal',
            )  # fmt: skip
    axes.set_xticks(
        range(count), table.names, rotation=55, ha='right',
        rotation_mode='anchor',
    )  # fmt: skip
    names = [wrapped(name, 16) for name in table.names]
    axes.set_yticks(range(count + 1), [*names, 'beaten (mean)'])
    axes.axhline(count - 0.5, color='white', linewidth=4)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    return figure


def confusion(classes: Sequence[str], pairs: NDArray[np.float64]) -> Figure:
    """Draw what others say where one person says the class of a row.

    Args:
        classes: Names of rows and columns.
        pairs: (K, K), how often two people gave these answers. Classes that
            nobody gave are left out.
    """
    kept = np.flatnonzero(pairs.sum(1))
    names = [classes[int(index)] for index in kept]
    values = pairs[np.ix_(kept, kept)]
    values = 100 * values / values.sum(1, keepdims=True)
    longest = max(map(len, names), default=0)
    figure, axes = _new(1 + 0.42 * len(names) + 0.07 * longest, grid=False)
    axes.imshow(values, cmap='Blues', vmin=0, vmax=100, aspect='auto')
    for (i, j), cell in np.ndenumerate(values):
        if cell >= 0.5:
            axes.text(
                j, i, f'{cell:.0f}', ha='center', va='center', fontsize=10,
                color='white' if cell > 55 else INK,
            )  # fmt: skip
    axes.set_xticks(
        range(len(names)), names, rotation=55, ha='right',
        rotation_mode='anchor',
    )  # fmt: skip
    axes.set_yticks(range(len(names)), names)
    axes.set_ylabel('one says')
    axes.set_xlabel('another says (% of the row)')
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    return figure


def classes(evidence: Evidence) -> Figure:
    """Draw the IoU of each class in the last round, by heuristic."""
    names = evidence.classes
    styles = style_of(evidence)
    thick = max(0.34, 0.12 + 0.1 * len(styles))
    figure, axes = _new(0.6 + thick * len(names))
    room = 0.64 / max(2, len(styles) - 1)
    for at, (name, (colour, marker)) in enumerate(styles.items()):
        means, spreads = class_means(evidence.finished(name), len(names))
        if not evidence.finished(name):
            continue
        rows = np.arange(len(names)) + (at - (len(styles) - 1) / 2) * room
        bars = np.minimum(means, spreads), np.minimum(100 - means, spreads)
        axes.errorbar(
            means, rows, xerr=bars, color=colour, marker=marker,
            linestyle='none', markersize=5.5, linewidth=1.2, label=name,
            markeredgecolor=PAPER, markeredgewidth=0.6, clip_on=False,
        )  # fmt: skip
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.5, -0.5)
    for row in range(1, len(names), 2):
        axes.axhspan(row - 0.5, row + 0.5, color=BAND, zorder=0)
    axes.grid(axis='y', visible=False)
    axes.set_xlabel('IoU of the last round (%)')
    axes.set_xlim(0, min(100, axes.get_xlim()[1]))
    legend(figure, axes)
    return figure


def class_means(
    runs: Sequence[Run], count: int
) -> tuple[np.ndarray, np.ndarray]:
    """Compute mean and spread of each class's IoU in the last round, (C,).

    NaN where a class has no IoU, or one seed and so no spread.
    """
    values = [run.iou(-1) for run in runs]
    frame = pd.DataFrame(values, columns=range(count), dtype=float)
    return frame.mean().to_numpy(), frame.std().to_numpy()


def purchases(evidence: Evidence) -> Figure | None:
    """Draw the share of each class in the labels of each round."""
    groups = {
        name: counts
        for name, runs in evidence.groups.items()
        if (counts := bought_together(runs)) is not None
    }
    if not groups:
        return None
    columns = min(2, len(groups))
    lines = -(-len(groups) // columns)
    names = evidence.classes
    palette = evidence.runs[0].pool.palette[: len(names)] / 255
    figure = figure_of(2.1 * lines + 0.5 + 0.2 * (-(-len(names) // 4)))
    grid = figure.subplots(
        lines, columns, squeeze=False, sharey=True
    )  # (lines, columns)
    for axes, (name, counts) in zip(
        grid.ravel(), groups.items(), strict=False
    ):
        style(axes)
        share = 100 * counts / np.maximum(1, counts.sum(1, keepdims=True))
        below = np.zeros(len(counts))
        for i in range(len(names)):
            axes.bar(
                range(len(counts)), share[:, i], 0.82, below,
                color=palette[i], edgecolor=PAPER, linewidth=0.5,
            )  # fmt: skip
            below += share[:, i]
        axes.set_title(wrapped(name, 30), fontsize=10, loc='left')
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=10))
        axes.set_ylim(0, 100)
        axes.grid(axis='x', visible=False)
        axes.set_xlabel('label file')
    for axes in grid.ravel()[len(groups) :]:
        axes.set_visible(False)
    for row in grid:
        row[0].set_ylabel('labels (%)')
    handles = grid[0, 0].containers
    labels = [_shown(label) for label in names]
    figure.legend(
        handles, labels, loc='outside lower center', ncols=min(4, len(names)),
        frameon=False, fontsize=9, handlelength=1,
    )  # fmt: skip
    return figure


def bought_together(runs: Sequence[Run]) -> np.ndarray | None:
    """Sum the labels of each round and class over seeds; int64 (rounds, C).

    Only rounds that all runs have count, so that each bar has the same seeds.
    None where a run has no label files.
    """
    found = [run.bought for run in runs if run.bought is not None]
    if not found or len(found) < len(runs):
        return None
    rounds = min(len(counts) for counts in found)
    return np.sum([counts[:rounds] for counts in found], axis=0)


def seconds(evidence: Evidence) -> Figure:
    """Draw the seconds of train, query and evaluation over the rounds."""
    figure = figure_of(2.3)
    grid = figure.subplots(1, len(SECONDS), squeeze=False)[0]
    for axes, key in zip(grid, SECONDS, strict=True):
        style(axes)
        for name, (colour, marker) in style_of(evidence).items():
            means = round_seconds(evidence.groups[name], key)
            axes.plot(
                range(len(means)), means, color=colour, marker=marker,
                markersize=4.5, linewidth=1.5, label=name, clip_on=False,
                linestyle=(0, (4, 2)) if name == RANDOM else '-',
            )  # fmt: skip
        axes.set_title(key, fontsize=10, loc='left')
        axes.margins(x=0.08, y=0.1)
        axes.set_ylim(bottom=0)
        axes.yaxis.set_major_locator(MaxNLocator(nbins=5))
        last = max(len(run.rows) for run in evidence.runs)
        axes.set_xticks(apart(range(last), 0.22))
        axes.set_xlabel('round')
    grid[0].set_ylabel('seconds')
    legend(figure, grid[0])
    return figure


def round_seconds(runs: Sequence[Run], key: str) -> np.ndarray:
    """Compute the mean seconds of each round, (rounds,); NaN if unknown."""
    known = [
        [(row.get('seconds') or {}).get(key) for row in run.rows]
        for run in runs
    ]
    return pd.DataFrame(known, dtype=float).mean().to_numpy()


def figure_of(height: float) -> Figure:
    """Make a figure as wide as all charts."""
    return Figure(figsize=(_WIDTH, height), layout='constrained')


def _new(height: float, grid: bool = True) -> tuple[Figure, Axes]:
    figure = figure_of(height)
    axes = figure.add_subplot()
    style(axes, grid)
    return figure, axes


def style(axes: Axes, grid: bool = True) -> None:
    """Set colours and sizes of a chart."""
    if grid:
        axes.grid(color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[['right', 'top']].set_visible(False)
    axes.spines[['left', 'bottom']].set_color(AXIS)
    axes.tick_params(labelsize=9.5, colors=FAINT, labelcolor=INK)
    axes.xaxis.label.set(color=INK, fontsize=10)
    axes.yaxis.label.set(color=INK, fontsize=10)


def legend(figure: Figure, axes: Axes) -> None:
    """Draw the legend below the chart, which keeps its height."""
    handles, labels = axes.get_legend_handles_labels()
    longest = max(map(len, labels), default=0)
    columns = max(1, min(len(labels), 3, 60 // (longest + 6)))
    rows = -(-len(labels) // columns)
    figure.set_figheight(figure.get_figheight() + 0.1 + 0.2 * rows)
    figure.legend(
        handles, labels, loc='outside lower left', ncols=columns,
        frameon=False, fontsize=9.5,
    )  # fmt: skip


def _shown(label: str) -> str:
    """Keep a label visible: matplotlib before 3.10 hides ``_names``."""
    return f' {label}' if label.startswith('_') else label


def wrapped(name: str, most: int = 22) -> str:
    """Break a long label into lines, at brackets and spaces."""
    lines = ['']
    for part in re.split(r'(?<=[(\[])|(?<=, )|(?<= )', name):
        if lines[-1] and len(lines[-1]) + len(part) > most:
            lines.append('')
        lines[-1] += part
    return '\n'.join(lines)
