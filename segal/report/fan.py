"""Look ahead for each heuristic of a report, and draw the fans."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from segal.report import charts
from segal.report.evidence import Evidence
from segal.report.outlook import Outlook, look_ahead
from segal.report.run import Run
from segal.report.statistics import mean_and_spread
from segal.report.track import Track, mean_track, track_of

BANDS = ((95, 0.13), (80, 0.2), (50, 0.3))
"""Per cent of each interval, and how dark it is."""


def outlooks(evidence: Evidence) -> dict[str, Outlook]:
    """Look ahead for each heuristic, from the mean of its runs.

    Unfinished runs count only where none is finished.
    """
    full, _ = mean_and_spread(evidence.full_miou)
    return {
        name: look_ahead(
            mean_track(
                [
                    _track(evidence, run)
                    for run in evidence.finished(name) or runs
                ]
            ),
            full,
        )
        for name, runs in evidence.groups.items()
    }


def _track(evidence: Evidence, run: Run) -> Track:
    paid, costs = evidence.paid(run), evidence.costs
    return track_of(
        run.rows,
        (run.config.get('active_learning') or {}).get('costs'),
        paid,
        '' if costs is None else costs.unit,
        other=paid is not None and costs != run.costs,
    )


def fans(evidence: Evidence, found: dict[str, Outlook]) -> Figure | None:
    """Draw each curve so far, and where the next rounds are expected."""
    drawn = {name: one for name, one in found.items() if one.forecast}
    if not drawn:
        return None
    columns = min(2, len(drawn))
    lines = -(-len(drawn) // columns)
    figure = charts.figure_of((2.5 if columns > 1 else 3.0) * lines + 0.3)
    grid = figure.subplots(
        lines, columns, squeeze=False, sharey=True
    )  # (lines, columns)
    styles = charts.style_of(evidence)
    for axes, (name, one) in zip(grid.ravel(), drawn.items(), strict=False):
        charts.style(axes)
        _fan(axes, one, *styles[name])
        axes.set_title(charts.wrapped(name, 30), fontsize=10, loc='left')
    for axes in grid.ravel()[len(drawn) :]:
        axes.set_visible(False)
    for row in grid:
        row[0].set_ylabel('mIoU of the last epoch (%)')
    charts.legend(figure, grid[0, 0])
    return figure


def _fan(axes: Axes, one: Outlook, colour: str, marker: str) -> None:
    """Draw one curve, its fan, full supervision, and ticks at budgets."""
    track, forecast = one.track, one.forecast
    assert forecast is not None
    assert one.now is not None
    at = [track.asked[-1], *one.ahead]
    axes.plot(
        track.asked, np.array(track.miou, float), color=colour,
        marker=marker, markersize=5, markeredgecolor='white',
        markeredgewidth=0.8, linewidth=1.6, label='so far', zorder=4,
    )  # fmt: skip
    for level, alpha in BANDS:
        low, high = forecast.interval(level)
        axes.fill_between(
            at, [one.now, *low], [one.now, *high], color=colour, alpha=alpha,
            linewidth=0, label=f'{level} %', zorder=2,
        )  # fmt: skip
    axes.plot(
        at, [one.now, *forecast.expected], color=colour, linestyle=(0, (3, 2)),
        linewidth=1.4, label='expected', zorder=3,
    )  # fmt: skip
    if one.full is not None:
        axes.axhline(
            one.full, color=charts.INK, linestyle='-.', linewidth=1.2,
            label='full supervision',
        )  # fmt: skip
    ticks = [*track.asked, *one.ahead]
    axes.set_xticks(ticks, minor=True)
    axes.tick_params(axis='x', which='minor', length=5, color='#9aa1aa')
    axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))
    axes.tick_params(axis='x', which='major', length=0, pad=7)
    axes.set_xlabel(f'{track.unit}s asked')
    axes.margins(x=0.04, y=0.08)
