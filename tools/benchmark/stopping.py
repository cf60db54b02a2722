"""Check by hindsight what another round was expected to bring.

Usage:
    python tools/benchmark/stopping.py --gather WORK_DIR ... RESULTS.json ...
    python tools/benchmark/stopping.py

The first line adds learning curves to experiments/stopping/curves.json. The
second cuts each stored curve after each round, extrapolates it to the next
round, the third one and its end, compares with what came, prints a table, and
writes experiments/stopping/hindsight.json.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT))

from segal.files import replace_json
from segal.report.extrapolate import FEWEST, Forecast, extrapolate
from segal.report.outlook import AHEAD
from segal.report.track import track_of
from segal.rounds import is_full, read_rounds

CURVES = ROOT / 'experiments' / 'stopping' / 'curves.json'
OUT = CURVES.with_name('hindsight.json')
TARGETS = ('next', 'third', 'end')
"""The next round, the third one from now, and the last of the curve."""

PARTS = ('seen', 'new')
"""Curves that were looked at when the priors were chosen, and others."""

Curve = dict[str, Any]


def of_work_dir(folder: Path, part: str) -> Curve | None:
    """Read the curve of a work_dir; None for full supervision."""
    rows = read_rounds(folder)
    if not rows or is_full(rows):
        return None
    track = track_of(rows)
    name, _, seed = folder.resolve().name.rpartition('_seed')
    return dict(
        setting=folder.resolve().parent.name,
        heuristic=name,
        seed=int(seed),
        part=part,
        unit=track.unit,
        asked=[round(one) for one in track.asked],
        miou=[one and round(one, 2) for one in track.miou],
        iterations=[row['iterations'] for row in rows],
    )


def of_results(path: Path, part: str) -> Iterator[Curve]:
    """Read the curves of a results.json that have more than one round."""
    content = json.loads(path.read_text())
    for run in content['runs']:
        rows = run['rounds']
        if len(rows) > 1:
            yield dict(
                setting=content['experiment'],
                heuristic=run['heuristic'],
                seed=run['seed'],
                part=part,
                unit='pixel',
                asked=[row['requested'] for row in rows],
                miou=[round(100 * row['mIoU'], 2) for row in rows],
                iterations=[row['iterations'] for row in rows],
            )


def gather(paths: Sequence[Path], part: str) -> list[Curve]:
    """Add curves to the stored ones; one that is there keeps its part."""
    stored = json.loads(CURVES.read_text()) if CURVES.exists() else []
    found: list[Curve] = []
    for path in paths:
        if path.is_file():
            found += of_results(path, part)
        elif (curve := of_work_dir(path, part)) is not None:
            found.append(curve)
    by_name = {_name(one): one for one in stored}
    for one in found:
        known = by_name.get(_name(one), one)
        by_name[_name(one)] = one | {'part': known['part']}
    return [by_name[name] for name in sorted(by_name)]


def _name(curve: Curve) -> tuple[str, str, int]:
    return curve['setting'], curve['heuristic'], curve['seed']


def looks_back(curve: Curve, fewest: int = FEWEST) -> Iterator[dict[str, Any]]:
    """Cut a curve after each round, and compare what was expected.

    Args:
        curve: Asked and mIoU of each round.
        fewest: Rounds that are needed; a run is told nothing with less than
            ``FEWEST``.
    """
    asked, miou = curve['asked'], curve['miou']
    for cut in range(fewest, len(miou)):
        whole = extrapolate(asked[:cut], miou[:cut], asked[cut:], fewest)
        assert whole is not None
        third, end = cut + AHEAD - 1, len(miou) - 1
        for target, at in zip(TARGETS, (cut, third, end), strict=True):
            if at > end or (target == 'end' and at in (cut, third)):
                continue
            forecast = Forecast(whole.draws[:, [at - cut]])
            (low,), (high,) = forecast.interval(80)
            (low95,), (high95,) = forecast.interval(95)
            last, came = miou[cut - 1], miou[at]
            step = last - miou[cut - 2]
            yield dict(
                target=target,
                rounds=cut,
                error=float(forecast.expected[0]) - came,
                no_gain=last - came,
                same_gain=last + step * (at - cut + 1) - came,
                inside80=bool(low <= came <= high),
                inside95=bool(low95 <= came <= high95),
                width80=float(high - low),
            )


def summary(looks: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Compute mean absolute errors, coverage and width."""

    def mean(key: str) -> float:
        return float(np.mean([abs(one[key]) for one in looks]))

    return dict(
        forecasts=len(looks),
        error=mean('error'),
        no_gain=mean('no_gain'),
        same_gain=mean('same_gain'),
        bias=float(np.mean([one['error'] for one in looks])),
        inside80=mean('inside80'),
        inside95=mean('inside95'),
        width80=mean('width80'),
    )


def compare(curves: Sequence[Curve]) -> list[dict[str, Any]]:
    """Summarise by part and setting, and each part together."""
    rows: list[dict[str, Any]] = []
    for part in PARTS:
        own = [
            one
            for one in curves
            if one['part'] == part and len(one['miou']) > FEWEST
        ]
        settings = sorted({one['setting'] for one in own})
        for setting in [*settings, 'all']:
            chosen = [one for one in own if setting in ('all', one['setting'])]
            looks = [look for one in chosen for look in looks_back(one)]
            rows += _rows(part, setting, len(chosen), looks)
    short = [one for one in curves if len(one['miou']) == FEWEST]
    looks = [look for one in short for look in looks_back(one, FEWEST - 1)]
    return [*rows, *_rows('short', 'after 2 rounds', len(short), looks)]


def _rows(
    part: str, setting: str, runs: int, looks: Sequence[dict[str, Any]]
) -> Iterator[dict[str, Any]]:
    for target in TARGETS:
        own = [one for one in looks if one['target'] == target]
        if own:
            head = dict(part=part, setting=setting, runs=runs, target=target)
            yield head | summary(own)


def table(rows: Sequence[dict[str, Any]]) -> str:
    """Format the summary; errors in points of mIoU."""
    lines = [
        f'{"part":6}{"setting":28}{"runs":>5}{"target":>7}{"n":>5}'
        f'{"error":>7}{"no gain":>9}{"same gain":>11}{"in 80 %":>9}'
        f'{"in 95 %":>9}{"width":>7}'
    ]
    lines += [
        f'{row["part"]:6}{row["setting"]:28}{row["runs"]:5}'
        f'{row["target"]:>7}{row["forecasts"]:5}{row["error"]:7.2f}'
        f'{row["no_gain"]:9.2f}{row["same_gain"]:11.2f}'
        f'{row["inside80"]:9.0%}{row["inside95"]:9.0%}{row["width80"]:7.1f}'
        for row in rows
    ]
    return '\n'.join(lines)


def main() -> int:
    """Gather curves, or look back at the stored ones."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument('--gather', nargs='+', type=Path, default=[])
    parser.add_argument(
        '--part', choices=PARTS, default='new', help='default: %(default)s'
    )
    args = parser.parse_args()
    if args.gather:
        replace_json(CURVES, gather(args.gather, args.part))
        return 0
    curves = json.loads(CURVES.read_text())
    rows = compare(curves)
    replace_json(OUT, dict(fewest=FEWEST, rows=rows))
    print(table(rows))
    return 0


if __name__ == '__main__':
    sys.exit(main())
