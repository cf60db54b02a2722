"""Compare the initial images that several configs choose.

The images are those of a run with the same seed; nothing is bought. Their
coverage of the pool is measured in the embeddings of one config's features.

Usage: segal first-draw CONFIG ... --by CONFIG --seeds 0 1 2
    --out results.json
"""

from __future__ import annotations

import argparse
import logging
import platform
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from segal.arguments import make_parser, with_exit_codes
from segal.errors import ConfigError
from segal.files import replace_json

if TYPE_CHECKING:
    from segal.report.first_draw import FirstDraw

_LOGGER = logging.getLogger('segal.first_draw')
_SHOWN = ('mean', 'farthest', 'nearest')


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Parse the command line."""
    parser = make_parser(
        __doc__,
        'first-draw a.py b.py --by a.py --seeds 0 1 2 --out results.json',
    )
    parser.add_argument('configs', nargs='+')
    parser.add_argument(
        '--by', required=True, help='config whose features measure'
    )
    parser.add_argument('--seeds', nargs='+', type=int, default=[0, 1, 2])
    parser.add_argument('--cache', type=Path, default=Path('work_dirs'))
    parser.add_argument('--out', type=Path, required=True)
    return parser.parse_args(arguments)


def measure(args: argparse.Namespace) -> dict[str, Any]:
    """Choose images, measure and compare them.

    Raises:
        ConfigError: Two configs have the same name.
    """
    import numpy as np
    import torch

    from segal.config import load_config
    from segal.report.first_draw import coverage, open_first_draw
    from segal.report.statistics import mean_and_spread
    from segal.runner.machine import commit_of

    def opened(path: str) -> FirstDraw:
        return open_first_draw(load_config(path), args.cache, _LOGGER)

    names = [Path(path).stem for path in args.configs]
    if len(set(names)) < len(names):
        raise ConfigError(
            'wanted configs whose files have names of their own, got '
            f'{", ".join(args.configs)}; rename one of those that share a name'
        )
    ruler = opened(args.by)
    vectors, position = ruler.embeddings(), ruler.pool.position
    draws: dict[str, dict[int, list[str]]] = {}
    for name, path in zip(names, args.configs, strict=True):
        first = opened(path)
        draws[name] = {seed: first.names(seed) for seed in args.seeds}
    found = {}
    for name, by_seed in draws.items():
        rows = [
            coverage(vectors, np.array([position[x] for x in chosen]))
            for chosen in by_seed.values()
        ]
        spread = {
            key: mean_and_spread(row[key] for row in rows) for key in _SHOWN
        }
        found[name] = dict(
            {key: mean for key, (mean, _) in spread.items()},
            std={key: std for key, (_, std) in spread.items()},
            chosen=len(next(iter(by_seed.values()))),
            overlap_between_seeds=_mean_overlap(list(by_seed.values())),
            overlap={
                other: float(
                    np.mean(
                        [
                            _overlap(by_seed[seed], draws[other][seed])
                            for seed in args.seeds
                        ]
                    )
                )
                for other in draws
                if other != name
            },
            images=by_seed,
        )
    return dict(
        commit=commit_of(),
        python=platform.python_version(),
        torch=torch.__version__,
        measured_by=Path(args.by).stem,
        pool=len(ruler.pool),
        seeds=args.seeds,
        draws=found,
    )


def _overlap(a: list[str], b: list[str]) -> float:
    """Compute the share of one choice that another contains."""
    return len(set(a) & set(b)) / len(a)


def _mean_overlap(draws: list[list[str]]) -> float | None:
    """Average the overlap of successive seeds; None with one seed."""
    pairs = [_overlap(a, b) for a, b in pairwise(draws)]
    return sum(pairs) / len(pairs) if pairs else None


@with_exit_codes
def main(arguments: Sequence[str] | None = None) -> int:
    """Compare, write, print, and return the exit code."""
    args = parse(arguments)
    from segal import compat

    compat.apply()
    _LOGGER.setLevel(logging.INFO)
    _LOGGER.addHandler(logging.StreamHandler())
    _LOGGER.propagate = False  # mmcv silences the root's handlers
    results = measure(args)
    replace_json(args.out, results)
    print(f'{"first draw":14}' + ''.join(f'{key:>10}' for key in _SHOWN))
    for name, row in results['draws'].items():
        cells = ''.join(f'{row[key]:10.4f}' for key in _SHOWN)
        print(f'{name:14}{cells}')
    return 0
