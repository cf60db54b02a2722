"""What curves are drawn over, and areas are taken over."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from segal.report.evidence import Evidence
from segal.report.run import Run
from segal.visualization.table import time_scale

Across = Callable[[Run], Sequence[float]]


@dataclass(frozen=True)
class Axis:
    """One way to say how much was labelled until a round.

    Attributes:
        name: As ``--axis`` takes it.
        words: Below the axis of a chart.
        curve: Of what an area is one.
        values: Gives those of a run's rounds.
        integer: Whether only whole numbers stand there.
    """

    name: str
    words: str
    curve: str
    values: Across
    integer: bool = False


def axis_of(evidence: Evidence) -> Axis:
    """The axis that areas and tests are over."""
    name = evidence.axis
    if name == 'pixels':
        return pixels_axis()
    if name == 'percent':
        return share_axis()
    if name == 'cost':
        return cost_axis(evidence)
    unit = 'images' if evidence.whole else 'pixels'
    return Axis(
        'asked',
        f'{unit} asked',
        'the budget curve',
        lambda run: run.budgets,
        True,
    )


def images_axis() -> Axis:
    """Whole images, as the charts of such runs have them."""
    return Axis(
        'asked',
        'labelled images',
        'the budget curve',
        lambda run: run.budgets,
        True,
    )


def pixels_axis() -> Axis:
    """Labelled pixels for each image of the pool."""
    return Axis(
        'pixels',
        'labelled pixels per image',
        'the curve over labelled pixels per image',
        lambda run: run.per_image,
    )


def share_axis() -> Axis:
    """Labelled pixels in per cent of the pool's."""
    return Axis(
        'percent',
        "labelled pixels (% of the pool's)",
        'the curve over labelled pixels in per cent',
        lambda run: run.share,
    )


def cost_axis(evidence: Evidence) -> Axis:
    """What the labels cost; long times in minutes or hours.

    Args:
        evidence: With a cost of every run.
    """
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
    """Where the curves of all finished runs lie side by side.

    Args:
        evidence: The runs.
        axis: What they are over.

    Returns:
        From the last beginning to the first end; None where nothing is
        finished.
    """
    ends = [
        (axis.values(run)[0], axis.values(run)[-1])
        for run in evidence.runs
        if run.finished
    ]
    if not ends:
        return None
    return max(low for low, _ in ends), min(high for _, high in ends)
