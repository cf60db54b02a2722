"""Measure how well planted label errors are found, and what a recheck gains.

Simulated people answer small runs on synthetic scenes, and err at a known
rate. Each run is one line of a log, and is not done twice: the command goes
on where it was stopped. At its end it writes the means as JSON.

Usage: python tools/benchmark/label_errors.py [--seeds 3] [--out FOLDER]
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import shutil
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT))

from segal.annotation import predictions
from segal.annotation.folder import AnnotationFolder
from segal.annotation.label_errors import find_candidates, given_classes
from segal.annotation.request import Item, Request
from segal.annotation.state import State
from segal.datasets.scenes import CLASSES, VOID
from segal.seeding import key, place_keys

RESULTS = Path(__file__).with_suffix('.json')
BUDGET = 0.1
"""Share of a round's items that a recheck may ask again."""

KINDS, RATES = ('uniform', 'confused'), (0.1, 0.05)
SUMMED = (
    'items', 'wrong', 'right', 'suspects', 'found', 'asked', 'found_asked',
)  # fmt: skip
DRAWS = 10
"""Times that errors are planted after the fact."""

CONFUSED = {
    'building': 'tree',
    'tree': 'building',
    'road': 'pavement',
    'pavement': 'road',
    'car': 'road',
    'pole': 'building',
    'person': 'pole',
    'sky': 'building',
}
"""What a person who mistakes one class for another answers."""

CONFIG = """
_base_ = '{root}/experiments/quickstart/quickstart.py'
_scenes = dict(
    data_root='{data}', scenes=dict(train=24, val=16, size=(64, 96)))
data = dict(
    samples_per_gpu=4, workers_per_gpu=0, train=_scenes, query=_scenes,
    val=_scenes, test=_scenes)
speed = None  # as when this was first measured
active_learning = dict(
    visualize=None,
    reset_each_round=False,
    oracle=dict(type='HumanOracle'{recheck}),
    settings={settings})
runner = dict(sample_mode='{mode}', sample_rounds=3)
evaluation = dict(interval=9)
workflow = [('train', 9), ('query', 1)]
log_level = 'ERROR'
"""
SMALLER = [
    'data.train.pipeline.2.img_scale=(96,64)',
    'data.train.pipeline.3.size=(64,96)',
    'data.train.pipeline.4.crop_size=(64,96)',
    *(f'data.{part}.pipeline.1.img_scale=(96,64)'
      for part in ('query', 'val', 'test')),
]  # fmt: skip
"""The quickstart's pipelines, for images of half as many pixels."""

UNITS = {
    'pixel': (
        'pixel',
        'dict(pixel=dict(query_size=12, initial_label_pixels=12))',
    ),
    'superpixel': (
        'region',
        'dict(region=dict(query_size=6, initial_label_regions=6,'
        " answer='dominant', shape=dict(type='Superpixels', segments=80)))",
    ),
}


@dataclass(frozen=True)
class Case:
    """One run.

    Attributes:
        unit: ``'pixel'`` or ``'superpixel'``.
        heuristic: ``'random'`` or ``'margin'``.
        errors: ``'none'``, ``'uniform'`` or ``'confused'``.
        rate: Share of answers that are wrong.
        recheck: Share of a round's items that may be asked again.
        seed: Of the run and of the errors.
    """

    unit: str
    heuristic: str
    errors: str
    rate: float
    recheck: float
    seed: int

    @property
    def name(self) -> str:
        """Name the folder of the run."""
        return '_'.join(map(str, asdict(self).values()))


def cases(seeds: int) -> Iterator[Case]:
    """List the runs, the most telling first."""
    first = [
        ('none', 0.0, 0.0),
        ('uniform', 0.1, BUDGET),
        ('uniform', 0.1, 0.0),
    ]
    then = [
        ('confused', 0.1, 0.0),
        ('confused', 0.1, BUDGET),
        ('uniform', 0.05, 0.0),
        ('uniform', 0.05, BUDGET),
        ('confused', 0.05, 0.0),
        ('confused', 0.05, BUDGET),
    ]
    ways = list(itertools.product(UNITS, ('random', 'margin')))
    for kinds in (first, then):
        for seed, kind in itertools.product(range(seeds), kinds):
            for unit, heuristic in ways:
                yield Case(unit, heuristic, *kind, seed)


def truth_of(item: Item, truth: NDArray[np.uint8]) -> int:
    """Return the class of most of an item's pixels; ``VOID`` where none is."""
    found = truth.reshape(-1)[item.places]
    counts = np.bincount(found[found != VOID], minlength=len(CLASSES))
    return int(counts.argmax()) if counts.any() else VOID


def said_of(case: Case, item: Item, true: int, look: int) -> int:
    """Return the class that a person answers, who may err.

    Args:
        case: Rate and kind of errors.
        item: What is asked.
        true: Its class.
        look: 0; 1 for a second look, whose errors are drawn anew.
    """
    stream = key(case.seed, 'errs', item.image, look)
    draw = int(place_keys(stream, item.places[:1])[0])
    if true == VOID or (draw >> 11) / (1 << 53) >= case.rate:
        return true
    if case.errors == 'confused':
        return CLASSES.index(CONFUSED[CLASSES[true]])
    return (true + 1 + draw % (len(CLASSES) - 1)) % len(CLASSES)


class People:
    """Answers what a run asks, with planted errors.

    Args:
        case: Of the run.
        work_dir: Of the run.
        annotations: Folder of the truth.
    """

    def __init__(self, case: Case, work_dir: Path, annotations: Path) -> None:
        self.case = case
        self.folder = AnnotationFolder(work_dir)
        self.annotations = annotations

    def truths(self, request: Request) -> list[int]:
        """Return the true class of each item."""
        maps: dict[str, NDArray[np.uint8]] = {}
        found = []
        for item in request:
            if item.image not in maps:
                name = Path(item.image).name
                file = str(self.annotations / name)
                maps[item.image] = cv2.imread(file, cv2.IMREAD_UNCHANGED)
            found.append(truth_of(item, maps[item.image]))
        return found

    def answer(self) -> None:
        """Answer all that is open now."""
        number = self.folder.pending()
        assert number is not None
        request = self.folder.request(number)
        journal = self.folder.journal(request, len(CLASSES))
        for item, true in zip(request, self.truths(request), strict=True):
            index = item.index
            again = index in journal.state.rechecked
            role = 'recheck' if again else 'vote'
            if journal.state.standing(index, role=role) is not None:
                continue
            said = said_of(self.case, item, true, int(again))
            journal.append(
                index,
                journal.state.rev(index),
                'ada',
                'void' if said == VOID else 'class',
                cls=None if said == VOID else said,
                ms=2000,
                client=f'{number}-{index}-{role}',
                role=role,
            )
        journal.close()

    def found(self, number: int) -> dict[str, Any]:
        """Compare the suspects of a round with its planted errors."""
        request = self.folder.request(number)
        state: State = self.folder.state(request, len(CLASSES))
        true = np.array(self.truths(request))
        events = [state.standing(index) for index in range(len(request))]
        classes = [event.cls if event else None for event in events]
        first = np.array([-1 if cls is None else cls for cls in classes])
        final = given_classes(state)
        probs = predictions.read(self.folder, number)
        row = count(probs, first, true)
        row['wrong_stored'] = int(((final >= 0) & (final != true)).sum())
        if probs is not None and self.case.errors == 'none':
            row['planted'] = self.planted(request, probs, true)
        return row

    def planted(
        self,
        request: Request,
        probs: NDArray[np.float32],
        true: NDArray[np.int64],
    ) -> dict[str, dict[str, int]]:
        """Plant errors after the fact, in answers that no network learned."""
        found = {}
        items = list(request)
        for errors, rate in itertools.product(KINDS, RATES):
            total: Counter[str] = Counter()
            for draw in range(DRAWS):
                case = replace(self.case, errors=errors, rate=rate)
                said = [
                    said_of(case, item, int(cls), -1 - draw)
                    for item, cls in zip(items, true, strict=True)
                ]
                given = np.where(np.array(said) == VOID, -1, said)
                total.update(count(probs, given, true))
            found[f'{errors} {rate}'] = dict(total)
        return found


def count(
    probs: NDArray[np.float32] | None,
    given: NDArray[np.int64],
    true: NDArray[np.int64],
) -> dict[str, Any]:
    """Count errors, suspects, and errors among them."""
    wrong = (given >= 0) & (given != true)
    row: dict[str, Any] = dict(items=len(true), wrong=int(wrong.sum()))
    if probs is None:
        return row
    order, _ = find_candidates(probs, given)
    budget = order[: int(BUDGET * len(true))]
    right = (probs.argmax(1) == true) & (true != VOID)
    row.update(
        right=int(right.sum()),
        suspects=len(order),
        found=int(wrong[order].sum()),
        asked=len(budget),
        found_asked=int(wrong[budget].sum()),
    )
    return row


def run(case: Case, out: Path) -> dict[str, Any]:
    """Run one experiment to its end, and measure it."""
    from segal.train_active_learning import main

    work_dir, data = out / case.name, out / 'scenes'
    shutil.rmtree(work_dir, ignore_errors=True)
    mode, settings = UNITS[case.unit]
    config = out / f'{case.name}.py'
    config.write_text(
        CONFIG.format(
            root=ROOT,
            data=data.resolve(),
            mode=mode,
            settings=settings,
            recheck=f', recheck={case.recheck}' if case.recheck else '',
        )
    )
    arguments = [
        str(config), '--work-dir', str(work_dir), '--seed', str(case.seed),
        '--cfg-options', f'active_learning.heuristic={case.heuristic}',
        *SMALLER,
    ]  # fmt: skip
    people = People(case, work_dir, data / 'annotations' / 'train')
    while (code := main(arguments)) == 6:
        people.answer()
    if code:
        raise SystemExit(f'{config}: wanted a run to the end, got {code}')
    rows = json.loads((work_dir / 'rounds.json').read_text())['rounds']
    result = dict(
        **asdict(case),
        mIoU=[row['mIoU'] for row in rows],
        rounds=[people.found(number) for number in people.folder.rounds()],
    )
    shutil.rmtree(work_dir)
    config.unlink()
    return result


def share(part: float, whole: float) -> float | None:
    """Divide; None where there is nothing to divide by."""
    return round(part / whole, 3) if whole else None


def rates(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Sum up counts of several runs, and divide them."""
    total: Counter[str] = Counter()
    for row in rows:
        total.update({k: v for k, v in row.items() if k != 'planted'})
    if 'suspects' not in total:
        return dict(total)
    return dict(
        total,
        accuracy=share(total['right'], total['items']),
        precision=share(total['found'], total['suspects']),
        recall=share(total['found'], total['wrong']),
        precision_asked=share(total['found_asked'], total['asked']),
        recall_asked=share(total['found_asked'], total['wrong']),
    )


def summarise(runs: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Sum up the runs that differ in nothing but the seed."""
    parts = ('unit', 'heuristic', 'errors', 'rate', 'recheck')

    def kind(run: dict[str, Any]) -> tuple[Any, ...]:
        return tuple(run[part] for part in parts)

    summary = []
    for which, group in itertools.groupby(sorted(runs, key=kind), kind):
        same = list(group)
        curves = np.array([one['mIoU'] for one in same])
        row = dict(
            zip(parts, which, strict=True),
            seeds=len(same),
            mIoU=curves.mean(0).round(4).tolist(),
            mIoU_of_seeds=curves.round(4).tolist(),
            rounds=[
                rates(one)
                for one in zip(*(x['rounds'] for x in same), strict=True)
            ],
        )
        asked = [x for one in same for x in one['rounds'] if 'planted' in x]
        if asked:
            row['planted'] = {
                name: rates([one['planted'][name] for one in asked])
                for name in asked[0]['planted']
            }
        summary.append(row)
    return summary


def table(content: dict[str, Any]) -> str:
    """Write the summary as two Markdown tables, for the documentation.

    The first has precision / recall, in per cent, of the first suspects, as
    many as the budget allows; in brackets of all suspects.
    """
    rows = content['summary']
    settings = [f'{kind} {rate}' for kind in KINDS for rate in RATES]
    found: dict[tuple[str, ...], dict[str, Any]] = {}
    for row in rows:
        way = (row['unit'], row['heuristic'])
        if row['errors'] == 'none':
            line = found.setdefault(('no', *way), {})
            line.update(row['planted'], runs=row['seeds'])
        else:
            line = found.setdefault(('yes', *way), {})
            setting = f'{row["errors"]} {row["rate"]}'
            total: Counter[str] = Counter(line.get(setting, {}))
            for one in row['rounds']:
                if 'suspects' in one:
                    total.update({name: one[name] for name in SUMMED})
            line[setting] = dict(total)
            line['runs'] = line.get('runs', 0) + row['seeds']
    heads = ['learned', 'unit', 'asked by', 'model right']
    lines = [[*heads, *settings, 'runs']]
    for way, line in sorted(found.items()):
        parts = [rates([line[x]]) if x in line else None for x in settings]
        right = next(part['accuracy'] for part in parts if part)
        lines.append(
            [*way, f'{right:.0%}', *map(_cell, parts), str(line['runs'])]
        )
    first = _markdown(lines)
    lines = [
        ['errors', 'recheck', 'unit', 'asked by', 'wrong of answers given',
         'wrong stored', 'mIoU by round', 'runs']
    ]  # fmt: skip
    for row in rows:
        asked = [one for one in row['rounds'] if 'suspects' in one]
        items, wrong, stored = (
            sum(one[name] for one in asked)
            for name in ('items', 'wrong', 'wrong_stored')
        )
        rate = f' {row["rate"]}' if row['rate'] else ''
        lines.append(
            [
                row['errors'] + rate,
                f'{row["recheck"]:.0%}' if row['recheck'] else 'no',
                row['unit'],
                row['heuristic'],
                f'{wrong} of {items}',
                str(stored),
                ', '.join(f'{one:.3f}' for one in row['mIoU']),
                str(row['seeds']),
            ]
        )
    return f'{first}\n{_markdown(lines)}'


def _cell(found: dict[str, Any] | None) -> str:
    """Write precision and recall, of the first suspects and of all."""
    if found is None:
        return ''
    names = ('precision_asked', 'recall_asked', 'precision', 'recall')
    a, b, c, d = (round(100 * (found[name] or 0)) for name in names)
    return f'{a} / {b} ({c} / {d})'


def _markdown(lines: Sequence[Sequence[str]]) -> str:
    """Write lines of cells as a table; the first are the heads."""
    rows = ['| ' + ' | '.join(cells) + ' |' for cells in lines]
    rows.insert(1, '|' + '---|' * len(lines[0]))
    return '\n'.join(rows) + '\n'


def main() -> None:
    """Do the runs that are missing, and write the summary."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--seeds', type=int, default=3)
    parser.add_argument('--out', type=Path, default='work_dirs/label_errors')
    parser.add_argument('--runs', type=int, help='so many at most')
    args = parser.parse_args()
    import torch

    torch.set_num_threads(int(os.environ.get('OMP_NUM_THREADS', '2')))
    args.out.mkdir(parents=True, exist_ok=True)
    log = args.out / 'runs.jsonl'
    lines = log.read_text().splitlines() if log.exists() else []
    runs = [json.loads(line) for line in lines]
    done = {Case(**{k: r[k] for k in Case.__annotations__}) for r in runs}
    for case in [x for x in cases(args.seeds) if x not in done][: args.runs]:
        runs.append(run(case, args.out))
        with open(log, 'a') as file:
            file.write(json.dumps(runs[-1]) + '\n')
        print(case.name, flush=True)
    content = dict(budget=BUDGET, runs=len(runs), summary=summarise(runs))
    RESULTS.write_text(json.dumps(content, indent=1) + '\n')
    print(table(content))


if __name__ == '__main__':
    main()
