"""The page: tables, charts and pictures in one file that needs no other."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape
from matplotlib.figure import Figure

from segal import __version__
from segal.active.units.costs import Asked, Costs
from segal.errors import StateError
from segal.files import replace_file, unwritable
from segal.report import charts
from segal.report.absent import absences
from segal.report.axes import (
    cost_axis,
    images_axis,
    pixels_axis,
    share_axis,
)
from segal.report.evidence import RANDOM, Evidence
from segal.report.gallery import gallery
from segal.report.statistics import (
    ALPHA,
    FEWEST_PAIRS,
    mean_and_spread,
)
from segal.report.tables import SECONDS, Findings, find, mean_paid
from segal.visualization.table import cost_words

FEW = 'needs two paired seeds'
"""What stands where there are too few seeds for a number."""

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
    """What a report came to.

    Attributes:
        findings: The numbers.
        paths: The files, the page first.
    """

    findings: Findings
    paths: list[Path]


def write_report(evidence: Evidence, folder: Path, images: int = 3) -> Written:
    """Write the page, the charts and the tables.

    Args:
        evidence: The runs.
        folder: Made where it is not there.
        images: How many pictures of each heuristic.

    Raises:
        StateError: Something cannot be written.
    """
    findings = find(evidence)
    with charts.plain_text():
        figures = draw_all(evidence, findings)
    page = render(evidence, findings, figures, images)
    paths = [folder / 'report.html']
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, figure in figures.items():
            paths.append(folder / f'{name}.png')
            charts.as_png(figure, paths[-1])
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
    """All charts, by the names of their files."""
    drawn: dict[str, Figure | None] = {}
    if evidence.whole:
        drawn['curve_images'] = charts.curves(evidence, images_axis())
    else:
        drawn['curve_pixels'] = charts.curves(evidence, pixels_axis())
    drawn['curve_share'] = charts.curves(evidence, share_axis())
    if evidence.has_costs:
        drawn['curve_cost'] = charts.curves(evidence, cost_axis(evidence))
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
    """The page as text."""
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
    }
    return environment.get_template('page.html.j2').render(
        evidence=evidence,
        findings=findings,
        summary=findings.summary.to_dict('records'),
        svg={
            name: charts.as_svg(figure, name)
            for name, figure in figures.items()
        },
        shelves=gallery(evidence, images) if images else [],
        class_rows=_class_rows(evidence),
        bought=_bought(evidence),
        costs=evidence.costs,
        default_costs=evidence.costs == Costs(),
        cost_rows=_cost_rows(evidence),
        kinds=_kinds(evidence),
        time_rows=_time_rows(evidence),
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
    )


def verdicts(evidence: Evidence, findings: Findings) -> list[str]:
    """What the numbers say, in sentences; nothing that they do not."""
    areas = findings.summary.dropna(subset=['area_percent'])
    said = []
    if findings.span and findings.span[0] >= findings.span[1]:
        said.append(
            'The curves do not lie side by side anywhere, so no area is under '
            'all of them.'
        )
    if len(areas):
        most = areas['area_percent'].max()
        first = areas[areas['area_percent'] >= most - 1e-9]
        size = with_spread(most, first['area_std'].iloc[0])
        names = _listed(list(first['heuristic']))
        whole = f'{size} %'.replace(' ', '\N{NO-BREAK SPACE}')
        said.append(
            f'Largest area under {findings.axis.curve}: {names}, {whole}.'
        )
    tested = findings.against_random
    if not tested:
        several = [
            name
            for name in evidence.groups
            if name.startswith((f'{RANDOM} (', f'{RANDOM} ['))
        ]
        said.append(
            'There is no heuristic beside random.'
            if RANDOM in evidence.groups
            else f'Random has unlike runs ({_listed(several)}), so nothing is '
            'tested against it; report on one kind of them alone.'
            if several
            else 'There is no run of the heuristic random, so nothing is '
            'tested against it.'
        )
        return said
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
        said.append(f'Better than random (p < {ALPHA}): {_listed(better)}.')
    if worse:
        said.append(f'Worse than random (p < {ALPHA}): {_listed(worse)}.')
    few = [name for name in tested if tested[name].pairs < FEWEST_PAIRS]
    told = (*better, *worse, *few)
    open_ = [name for name in tested if name not in told]
    if open_:
        said.append(f'Not told from random by these seeds: {_listed(open_)}.')
    if few:
        said.append(f'A test against random {FEW}: {_listed(few)}.')
    return said


def _listed(names: Sequence[str]) -> str:
    return ', '.join(names)


def terminal_table(summary: pd.DataFrame) -> str:
    """The summary in a few aligned columns."""
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
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    lines = [
        '  '.join(
            cell.rjust(width) if at else cell.ljust(width)
            for at, (cell, width) in enumerate(zip(cells, widths, strict=True))
        ).rstrip()
        for cells in table
    ]
    return '\n'.join([lines[0], '-' * max(map(len, lines)), *lines[1:]])


def _is_few(row: dict[str, Any]) -> bool:
    """Whether a row's test against random lacks seeds."""
    pairs = row['paired_seeds_with_random']
    return not pd.isna(pairs) and pairs < FEWEST_PAIRS


def number(value: Any, digits: int = 2) -> str:
    """With so many digits after the point; a dash for nothing."""
    return ABSENT if pd.isna(value) else f'{value:,.{digits}f}'


def signed(value: Any) -> str:
    """With its sign, and a true minus."""
    return ABSENT if pd.isna(value) else f'{value:+.2f}'.replace('-', '−')


def with_spread(mean: Any, spread: Any, digits: int = 2) -> str:
    """``31.20 ± 0.40``, or the mean alone where there is no spread."""
    text = number(mean, digits)
    return text if pd.isna(spread) else f'{text} ± {number(spread, digits)}'


def cost_or_dash(cost: Any, unit: str) -> str:
    """A cost in words; a dash for none."""
    return ABSENT if pd.isna(cost) else cost_words(float(cost), unit)


def breakable(name: str) -> Markup:
    """A name that may go on in the next line after any of its parts."""
    return Markup(re.sub(r'([(_/\[-])', r'\1<wbr>', str(escape(name))))


def p_words(value: Any) -> str:
    """A p-value to three digits."""
    if pd.isna(value):
        return ABSENT
    return '< 0.001' if value < 0.001 else f'{value:.3f}'


def seconds_words(value: Any) -> str:
    """Seconds with as many digits as matter."""
    digits = 2 if pd.isna(value) or value < 10 else 1 if value < 100 else 0
    return number(value, digits)


def _class_rows(evidence: Evidence) -> list[dict[str, Any]]:
    """For each class its IoU by heuristic, in the last round."""
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
    """Heuristic -> labels of each class and their share, all rounds."""
    table = {}
    for name, runs in evidence.groups.items():
        counts = charts.bought_together(runs)
        if counts is not None:
            total = counts.sum(0)
            whole = max(1, int(total.sum()))
            table[name] = [(int(n), 100 * n / whole) for n in total]
    return table


def _kinds(evidence: Evidence) -> dict[str, str]:
    """The kinds of requests that occur, and their words."""
    every = [sum(run.asked or (), Asked()) for run in evidence.runs]
    return {
        kind: words
        for kind, words in _KINDS.items()
        if any(getattr(asked, kind) for asked in every)
    }


def _cost_rows(evidence: Evidence) -> list[dict[str, Any]]:
    """Heuristic by heuristic, what was asked in all, and what it cost."""
    rows = []
    kinds = _kinds(evidence)
    for name in evidence.groups:
        runs = evidence.finished(name)
        asked = [sum(run.asked, Asked()) for run in runs if run.asked]
        known = asked if len(asked) == len(runs) else []
        last = [run.curve[-1] for run in runs]
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
                'miou': mean_and_spread([v for v in last if v is not None])[0],
            }
        )
    return rows


def _time_rows(evidence: Evidence) -> list[dict[str, Any]]:
    """Mean seconds by heuristic and round."""
    rows = []
    for name, runs in evidence.groups.items():
        means = {key: charts.round_seconds(runs, key) for key in SECONDS}
        for at in range(len(means['train'])):
            cells = [means[key][at] for key in SECONDS]
            rows.append({'heuristic': name, 'round': at, 'cells': cells})
    return rows
