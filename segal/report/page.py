"""Write the page of a report: tables, charts and pictures in one file."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape
from matplotlib.figure import Figure

from segal import __version__
from segal.active.units.costs import Asked, Costs
from segal.annotation.agreement import Share
from segal.errors import StateError
from segal.files import replace_file, unwritable
from segal.report import charts, svg
from segal.report.absent import absences, provenance
from segal.report.axes import IMAGES, MEASURED, PIXELS, SHARE, cost_axis
from segal.report.evidence import RANDOM, Evidence
from segal.report.extrapolate import LEVEL
from segal.report.fan import fans, outlooks
from segal.report.gallery import gallery
from segal.report.outlook import CAUTION, outlook_words, rate_words
from segal.report.people import people
from segal.report.statistics import ALPHA, FEWEST_PAIRS, mean_and_spread
from segal.report.tables import SECONDS, Findings, find, mean_paid
from segal.visualization.table import cost_words, ruled

FEW = 'needs two paired seeds'
"""Stands for a number that needs more seeds."""

ABSENT = '–'

_KINDS = {
    'pixels': 'pixels asked',
    'regions': 'regions asked',
    'superpixels': 'regions asked, dominant class',
    'images': 'whole images asked',
    'opened': 'images opened',
}


@dataclass(frozen=True)
class Written:
    """A report that was written: its numbers and files, the page first."""

    findings: Findings
    paths: list[Path]


def write_report(evidence: Evidence, folder: Path, images: int = 3) -> Written:
    """Write the page, the charts, the tables, and pictures of images.

    Raises:
        StateError: Something cannot be written.
    """
    findings = find(evidence)
    with svg.plain_text():
        figures = draw_all(evidence, findings)
    page = render(evidence, findings, figures, images)
    paths = [folder / 'report.html']
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, figure in figures.items():
            paths.append(folder / f'{name}.png')
            svg.as_png(figure, paths[-1])
    except OSError as error:
        raise StateError(unwritable(paths[-1], error)) from error
    for name, table in (
        ('rounds', findings.rounds),
        ('summary', findings.summary),
    ):
        paths.append(folder / f'{name}.csv')
        replace_file(paths[-1], table.to_csv(index=False))
    replace_file(paths[0], page)
    return Written(findings, paths)


def draw_all(evidence: Evidence, findings: Findings) -> dict[str, Figure]:
    """Draw all charts: name of the file -> figure."""
    drawn: dict[str, Figure | None] = {}
    if evidence.whole:
        drawn['curve_images'] = charts.curves(evidence, IMAGES)
    else:
        drawn['curve_pixels'] = charts.curves(evidence, PIXELS)
    drawn['curve_share'] = charts.curves(evidence, SHARE)
    if evidence.has_costs:
        drawn['curve_cost'] = charts.curves(evidence, cost_axis(evidence))
    if all(run.measured for run in evidence.runs):
        drawn['curve_measured'] = charts.curves(evidence, MEASURED)
    drawn['outlook'] = fans(evidence, outlooks(evidence))
    drawn['areas'] = charts.areas(evidence, findings)
    if any(points for row in findings.penalties.points for points in row):
        drawn['penalties'] = charts.penalty_matrix(findings)
    drawn['classes'] = charts.classes(evidence)
    drawn['purchases'] = charts.purchases(evidence)
    drawn['seconds'] = charts.seconds(evidence)
    return {name: figure for name, figure in drawn.items() if figure}


def render(
    evidence: Evidence,
    findings: Findings,
    figures: dict[str, Figure],
    images: int = 3,
) -> str:
    """Render the page as HTML."""
    environment = Environment(
        loader=PackageLoader('segal.report', '.'),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        'number': number,
        'signed': signed,
        'p': p_words,
        'spread': with_spread,
        'seconds': seconds_words,
        'breakable': breakable,
        'cost': cost_or_dash,
        'interval': interval,
        'share': share_words,
        'outlook': outlook_words,
        'rate': rate_words,
    }
    return environment.get_template('page.html.j2').render(
        evidence=evidence,
        findings=findings,
        summary=findings.summary.to_dict('records'),
        svg={
            name: svg.as_svg(figure, name, name != 'penalties')
            for name, figure in figures.items()
        },
        shelves=gallery(evidence, images) if images else [],
        crowds=people(evidence),
        class_rows=_class_rows(evidence),
        bought=_bought(evidence),
        costs=evidence.costs,
        default_costs=evidence.costs == Costs(),
        cost_rows=_cost_rows(evidence),
        kinds=_kinds(evidence),
        time_rows=_time_rows(evidence),
        outlooks=outlooks(evidence),
        level=LEVEL,
        caution=CAUTION,
        unfinished=evidence.unfinished,
        best=findings.rounds['best_epoch_miou_percent'].notna().any(),
        tests=sum(p is not None for p in findings.p_holm.values()),
        verdicts=verdicts(evidence, findings),
        absences=absences(evidence),
        few=FEW,
        fewest=FEWEST_PAIRS,
        random=RANDOM,
        alpha=ALPHA,
        version=__version__,
        alone=evidence.alone,
        today=date.today().isoformat(),
        provenance=provenance(evidence),
        colours=svg.colour_variables,
        single=charts.ENOUGH_SEEDS,
    )


def share_words(share: Share | None) -> str:
    """Write a share in per cent, with its interval and what it is of."""
    if share is None:
        return ABSENT
    low, high = 100 * share.low, 100 * share.high
    return f'{100 * share.share:.0f} ({low:.0f} to {high:.0f}) of {share.of:,}'


def interval(
    found: tuple[float, float, float] | None, scale: float = 1, digits: int = 0
) -> str:
    """Write a number with its interval."""
    if found is None:
        return ABSENT
    mid, low, high = (f'{scale * one:+.{digits}f}' for one in found[:3])
    return f'{mid} ({low} to {high})'


def _last_round(evidence: Evidence) -> str:
    """Say what one run came to."""
    (run,) = evidence.runs
    unit = 'images' if evidence.whole else 'pixels'
    paid = evidence.paid(run)
    cost = ''
    if paid and evidence.costs is not None:
        words = cost_words(paid[-1], evidence.costs.unit)
        cost = f', which cost {words}'
    asked = f'{run.budgets[-1]:,} {unit} asked{cost}'
    return f'mIoU {number(run.curve[-1])} % after {asked}.'


def verdicts(evidence: Evidence, findings: Findings) -> list[str]:
    """Summarise the results in sentences."""
    if evidence.alone:
        return [_last_round(evidence)]
    areas = findings.summary.dropna(subset=['area_percent'])
    sentences = []
    if findings.span and findings.span[0] >= findings.span[1]:
        sentences.append(
            'The curves share no range of the axis, so no areas can be '
            'compared.'
        )
    if len(areas):
        most = areas['area_percent'].max()
        first = areas[areas['area_percent'] >= most - 1e-9]
        size = with_spread(most, first['area_std'].iloc[0])
        names = ', '.join(first['heuristic'])
        whole = f'{size} %'.replace(' ', '\N{NO-BREAK SPACE}')
        sentences.append(
            f'Largest area under {findings.axis.curve}: {names}, {whole}.'
        )
    tested = findings.against_random
    if not tested:
        several = ', '.join(
            name
            for name in evidence.groups
            if name.startswith((f'{RANDOM} (', f'{RANDOM} ['))
        )
        sentences.append(
            'There is no heuristic beside random.'
            if RANDOM in evidence.groups
            else f'Random has runs with different settings ({several}), so '
            'nothing is tested against it; report on runs of one kind.'
            if several
            else 'There is no run of the heuristic random, so nothing is '
            'tested against it.'
        )
        return sentences
    known = {name: p for name, p in findings.p_holm.items() if p is not None}
    better, worse = (
        [
            name
            for name, p in known.items()
            if p < ALPHA and sign * (tested[name].difference or 0) > 0
        ]
        for sign in (1, -1)
    )
    if better:
        sentences.append(
            f'Better than random (p < {ALPHA}): {", ".join(better)}.'
        )
    if worse:
        sentences.append(
            f'Worse than random (p < {ALPHA}): {", ".join(worse)}.'
        )
    few = [name for name in tested if tested[name].pairs < FEWEST_PAIRS]
    told = (*better, *worse, *few)
    open_ = [name for name in tested if name not in told]
    if open_:
        sentences.append(
            f'No significant difference from random: {", ".join(open_)}.'
        )
    if few:
        sentences.append(f'A test against random {FEW}: {", ".join(few)}.')
    return sentences


def terminal_table(summary: pd.DataFrame) -> str:
    """Format the summary as a table for the terminal."""
    heads = ['heuristic', 'runs', 'mIoU (%)', 'area (%)', '- random', 'p Holm']
    full = 'share_of_full_percent' in summary
    table = [heads + ['of full'] * full]
    for row in summary.to_dict('records'):
        done, runs = row['finished_runs'], row['runs']
        share = f'{number(row["share_of_full_percent"], 1)} %' if full else ''
        few = _is_few(row)
        table.append(
            [
                row['heuristic'],
                str(runs) if done == runs else f'{done} of {runs}',
                with_spread(row['miou_percent'], row['miou_std']),
                with_spread(row['area_percent'], row['area_std']),
                signed(row['area_minus_random']),
                f'({FEW})' if few else p_words(row['p_holm']),
                *([share] * full),
            ]
        )
    return '\n'.join(ruled(table, left=1))


def _is_few(row: dict[str, Any]) -> bool:
    """Return whether a row's test against random needs more seeds."""
    pairs = row['paired_seeds_with_random']
    return not pd.isna(pairs) and pairs < FEWEST_PAIRS


def number(value: Any, digits: int = 2) -> str:
    """Format a number with some digits after the point; a dash for None."""
    return ABSENT if pd.isna(value) else f'{value:,.{digits}f}'


def signed(value: Any) -> str:
    """Format a number with its sign, and a true minus."""
    return ABSENT if pd.isna(value) else f'{value:+.2f}'.replace('-', '−')


def with_spread(mean: Any, spread: Any, digits: int = 2) -> str:
    """Format ``31.20 ± 0.40``, or the mean alone without a spread."""
    text = number(mean, digits)
    return text if pd.isna(spread) else f'{text} ± {number(spread, digits)}'


def cost_or_dash(cost: Any, unit: str) -> str:
    """Format a cost; a dash for None."""
    return ABSENT if pd.isna(cost) else cost_words(float(cost), unit)


def breakable(name: str) -> Markup:
    """Allow line breaks between the parts of a name."""
    return Markup(re.sub(r'([(_/\[-])', r'\1<wbr>', str(escape(name))))


def p_words(value: Any) -> str:
    """Format a p-value to three digits."""
    if pd.isna(value):
        return ABSENT
    return '< 0.001' if value < 0.001 else f'{value:.3f}'


def seconds_words(value: Any) -> str:
    """Format seconds to about three digits."""
    digits = 2 if pd.isna(value) or value < 10 else 1 if value < 100 else 0
    return number(value, digits)


def _class_rows(evidence: Evidence) -> list[dict[str, Any]]:
    """List the IoU of each class in the last round, by heuristic."""
    found = {
        name: charts.class_means(
            evidence.finished(name), len(evidence.classes)
        )
        for name in evidence.groups
    }
    return [
        {
            'name': label,
            'cells': [
                (means[i], spreads[i]) for means, spreads in found.values()
            ],
        }
        for i, label in enumerate(evidence.classes)
    ]


def _bought(evidence: Evidence) -> dict[str, list[tuple[int, float]]]:
    """Count the labels of each class and their share, by heuristic."""
    table = {}
    for name, runs in evidence.groups.items():
        counts = charts.bought_together(runs)
        if counts is not None:
            total = counts.sum(0)
            whole = max(1, int(total.sum()))
            table[name] = [(int(n), 100 * n / whole) for n in total]
    return table


def _kinds(evidence: Evidence) -> dict[str, str]:
    """List the kinds of requests that occur: kind -> words."""
    every = [sum(run.asked or (), Asked()) for run in evidence.runs]
    return {
        kind: words
        for kind, words in _KINDS.items()
        if any(getattr(asked, kind) for asked in every)
    }


def _cost_rows(evidence: Evidence) -> list[dict[str, Any]]:
    """List what each heuristic asked in all, and its cost."""
    rows = []
    kinds = _kinds(evidence)
    for name in evidence.groups:
        runs = evidence.finished(name)
        asked = [sum(run.asked, Asked()) for run in runs if run.asked]
        known = asked if len(asked) == len(runs) else []
        cost = mean_paid(evidence, runs)
        rows.append(
            {
                'heuristic': name,
                'counts': [
                    mean_and_spread([getattr(one, kind) for one in known])[0]
                    for kind in kinds
                ],
                'cost': cost,
                'per_image': None
                if cost is None
                else cost / len(evidence.runs[0].pool.images),
                'miou': mean_and_spread(run.curve[-1] for run in runs)[0],
            }
        )
    return rows


def _time_rows(evidence: Evidence) -> list[dict[str, Any]]:
    """List mean seconds by heuristic and round."""
    rows = []
    for name, runs in evidence.groups.items():
        means = {key: charts.round_seconds(runs, key) for key in SECONDS}
        for at in range(len(means['train'])):
            cells = [means[key][at] for key in SECONDS]
            rows.append({'heuristic': name, 'round': at, 'cells': cells})
    return rows
