"""Compute the tables of a report, for the page and the CSV files.

All mIoU, IoU, areas and shares are in per cent.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from segal.report.absent import left_out
from segal.report.axes import Axis, axis_of, common_span
from segal.report.evidence import RANDOM, Evidence
from segal.report.run import Run
from segal.report.statistics import (
    FEWEST_PAIRS,
    PairedTest,
    Penalties,
    area,
    first_reaching,
    holm,
    mean_and_spread,
    paired_test,
    penalties,
)

ENOUGH = 0.95
"""Share of full supervision whose labels are counted."""

SECONDS = ('train', 'query', 'evaluation')


@dataclass(frozen=True)
class Findings:
    """The results of all runs together.

    Attributes:
        axis: What areas are over.
        span: First and last value of all areas; None where no run is
            finished.
        areas: Heuristic -> seed -> area under the curve over the axis;
            finished runs alone.
        against_random: Heuristic -> its test against random, on the areas;
            empty where there is no random.
        p_holm: Heuristic -> the p-value after Holm's correction.
        penalties: The penalty matrix.
        rounds: One row for each run and round.
        summary: One row for each heuristic.
    """

    axis: Axis
    span: tuple[float, float] | None
    areas: dict[str, dict[int, float]]
    against_random: dict[str, PairedTest]
    p_holm: dict[str, float | None]
    penalties: Penalties
    rounds: pd.DataFrame
    summary: pd.DataFrame


def find(evidence: Evidence) -> Findings:
    """Compute all numbers of a report."""
    axis = axis_of(evidence)
    span = common_span(evidence, axis)
    areas = {
        name: areas_of(evidence.finished(name), axis, span)
        for name in evidence.groups
    }
    tests = {}
    if RANDOM in areas:
        tests = {
            name: paired_test(own, areas[RANDOM])
            for name, own in areas.items()
            if name != RANDOM
        }
    corrected = dict(
        zip(tests, holm([test.p for test in tests.values()]), strict=True)
    )
    beats = penalties(
        {
            name: {
                run.seed: run.curve for run in runs if evidence.same_budgets
            }
            for name, runs in evidence.groups.items()
        }
    )
    return Findings(
        axis,
        span,
        areas,
        tests,
        corrected,
        beats,
        rounds_table(evidence),
        _summary(evidence, areas, tests, corrected, beats),
    )


def areas_of(
    runs: Sequence[Run], axis: Axis, span: tuple[float, float] | None
) -> dict[int, float]:
    """Compute the area under mIoU of each finished run: seed -> area."""
    found = {run.seed: area(axis.values(run), run.curve, span) for run in runs}
    return {seed: one for seed, one in found.items() if one is not None}


def mean_curve(runs: Sequence[Run]) -> list[float]:
    """Compute the mean mIoU of each round; NaN where a run has none."""
    curves = pd.DataFrame([run.curve for run in runs], dtype=float)
    return curves.mean(skipna=False).tolist()


def rounds_table(evidence: Evidence) -> pd.DataFrame:
    """Build one row for each run and round; full supervision comes last."""
    rows = [
        _round_row(evidence, run, at, full)
        for runs, full in (
            *((runs, False) for runs in evidence.groups.values()),
            (evidence.full, True),
        )
        for run in runs
        for at in range(len(run.rows))
    ]
    return pd.DataFrame(rows)


def _round_row(
    evidence: Evidence, run: Run, at: int, full: bool
) -> dict[str, Any]:
    row, classes = run.rows[at], evidence.classes
    paid = evidence.paid(run)
    seconds = row.get('seconds') or {}
    return {
        'run': run.name,
        'heuristic': run.heuristic,
        'seed': run.seed,
        'fully_supervised': full,
        'finished': run.finished,
        'round': at,
        'unit': run.unit,
        'budget': run.budgets[at],
        'requested_pixels': row['total']['requested'],
        'labelled_pixels': row['total']['labelled'],
        'void_pixels': row['total']['void'],
        'labelled_images': row['total']['images'],
        'labelled_pixels_per_image': run.per_image[at],
        'labelled_percent': run.share[at],
        'opened_images': opened(run, at),
        'cost': None if paid is None else paid[at],
        'cost_unit': evidence.costs.unit if paid and evidence.costs else None,
        'iterations': row['iterations'],
        'miou_percent': run.curve[at],
        'best_epoch_miou_percent': run.best[at],
        'classes_left_out_of_miou': ', '.join(left_out(run, at)) or None,
        **{f'{key}_seconds': seconds.get(key) for key in SECONDS},
        **{
            f'iou_percent.{name}': value
            for name, value in zip(classes, run.iou(at), strict=True)
        },
        **{
            f'bought.{name}': None
            if run.bought is None
            else int(run.bought[at][i])
            for i, name in enumerate(classes)
        },
    }


def opened(run: Run, at: int) -> int | None:
    """Count the images of which something was asked until a round."""
    if run.asked is None:
        return None
    return sum(one.opened for one in run.asked[: at + 1])


def mean_paid(
    evidence: Evidence, runs: Sequence[Run], at: int = -1
) -> float | None:
    """Compute the mean cost until a round; None where it is not known."""
    known = [paid[at] for run in runs if (paid := evidence.paid(run))]
    return mean_and_spread(known)[0] if len(known) == len(runs) else None


def _summary(
    evidence: Evidence,
    areas: Mapping[str, Mapping[int, float]],
    tests: Mapping[str, PairedTest],
    corrected: Mapping[str, float | None],
    beats: Penalties,
) -> pd.DataFrame:
    full, _ = mean_and_spread(evidence.full_miou)
    rows = []
    for at, (name, runs) in enumerate(evidence.groups.items()):
        done = evidence.finished(name)
        miou, spread = mean_and_spread(run.curve[-1] for run in done)
        best, _ = mean_and_spread(run.best[-1] for run in done)
        area_mean, area_spread = mean_and_spread(areas[name].values())
        test = tests.get(name)
        row: dict[str, Any] = {
            'heuristic': name,
            'seeds': ' '.join(str(run.seed) for run in runs),
            'runs': len(runs),
            'finished_runs': len(done),
            'miou_percent': miou,
            'miou_std': spread,
            'best_epoch_miou_percent': best,
            'area_percent': area_mean,
            'area_std': area_spread,
            'paired_seeds_with_random': test.pairs if test else None,
            'area_minus_random': test.difference
            if test and test.pairs >= FEWEST_PAIRS
            else None,
            'p': test.p if test else None,
            'p_holm': corrected.get(name),
            'beaten_share': beats.beaten[at],
        }
        if full:
            row |= _beside_full(evidence, done, miou, full)
        for key in SECONDS:
            row[f'{key}_seconds_per_round'] = mean_seconds(runs, key)
        row['area_over'] = evidence.axis
        row['cost'] = mean_paid(evidence, done)
        row['cost_unit'] = evidence.costs.unit if evidence.costs else None
        rows.append(row)
    return pd.DataFrame(rows)


def _beside_full(
    evidence: Evidence, runs: Sequence[Run], miou: float | None, full: float
) -> dict[str, Any]:
    """Compare with full supervision, and count the labels for 95 % of it."""
    point = first_reaching(mean_curve(runs), ENOUGH * full)
    at, there = (0, []) if point is None else (point, runs)
    budget, _ = mean_and_spread(run.budgets[at] for run in there)
    per_image, _ = mean_and_spread(run.per_image[at] for run in there)
    return {
        'full_percent': full,
        'share_of_full_percent': None if miou is None else 100 * miou / full,
        'budget_for_95_percent_of_full': budget,
        'labelled_pixels_per_image_for_95_percent_of_full': per_image,
        'cost_for_95_percent_of_full': mean_paid(evidence, there, at),
    }


def mean_seconds(runs: Sequence[Run], key: str) -> float | None:
    """Compute the mean seconds of a round for one step."""
    rows = (row for run in runs for row in run.rows)
    known = ((row.get('seconds') or {}).get(key) for row in rows)
    return mean_and_spread(known)[0]
