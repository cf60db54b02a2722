"""Define what curves and areas are drawn over."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from segal.report.evidence import Evidence
from segal.report.run import Run
from segal.visualization.table import time_scale

Across = Callable[[Run], Sequence[float]]


@dataclass(frozen=True)
class Axis:
    """A measure of how much was labelled until each round.

    Attributes:
        name: As ``--axis`` takes it.
        words: Label of the axis in a chart.
        curve: What an area is under, in words.
        values: Run -> its value at each round.
    """

    name: str
    words: str
    curve: str
    values: Across


ASKED = Axis(
    'asked',
    'pixels asked',
    'the budget curve',
    lambda run: run.budgets,
)
IMAGES = Axis(
    'images',
    'labelled images',
    'the curve over labelled images',
    lambda run: [row['total']['images'] for row in run.rows],
)
PIXELS = Axis(
    'pixels',
    'labelled pixels per image',
    'the curve over labelled pixels per image',
    lambda run: run.per_image,
)
SHARE = Axis(
    'percent',
    "labelled pixels (% of the pool's)",
    'the curve over labelled pixels in per cent',
    lambda run: run.share,
)
MEASURED = Axis(
    'measured',
    'measured minutes of people',
    'the curve over measured minutes',
    lambda run: run.measured or [],
)


def axis_of(evidence: Evidence) -> Axis:
    """Return the axis of the areas and of the tests on them."""
    if evidence.axis == 'cost':
        return cost_axis(evidence)
    asked = ASKED
    if evidence.whole:
        asked = replace(ASKED, words='images asked')
    return dict(pixels=PIXELS, percent=SHARE).get(evidence.axis, asked)


def cost_axis(evidence: Evidence) -> Axis:
    """Return the axis of the labels' cost; long times in minutes or hours."""
    assert evidence.costs is not None
    every = [evidence.paid(run) or [] for run in evidence.runs]
    most = max((paid[-1] for paid in every if paid), default=0)
    divisor, unit = time_scale(most, evidence.costs.unit)
    return Axis(
        'cost',
        f'cost of the labels ({unit})',
        'the curve over cost',
        lambda run: [value / divisor for value in evidence.paid(run) or []],
    )


def common_span(evidence: Evidence, axis: Axis) -> tuple[float, float] | None:
    """Find the range that the curves of all finished runs share, if any."""
    curves = [axis.values(run) for run in evidence.runs if run.finished]
    if not curves:
        return None
    return max(one[0] for one in curves), min(one[-1] for one in curves)
