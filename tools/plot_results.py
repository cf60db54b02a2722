"""The learning curves of a results.json, as a picture.

    python tools/plot_results.py experiments/<name>/results.json --out PNG

Mean and sample standard deviation of the last epoch over seeds, over labelled
pixels per image; full supervision is a level line. The experiment's name
stands above it.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from segal.errors import SegALError, StateError


def main() -> int:
    """Read the arguments, draw, and return the exit code."""
    parser = argparse.ArgumentParser(
        description='The learning curves of a results.json, as a picture.'
    )
    parser.add_argument('results', type=Path)
    parser.add_argument('--out', type=Path, required=True, metavar='PNG')
    args = parser.parse_args()
    try:
        draw(args.results, args.out)
    except SegALError as error:
        sys.stderr.write(f'\nError: {error}\n')
        return error.exit_code
    return 0


def draw(path: Path, out: Path) -> None:
    """Draw one file.

    Raises:
        StateError: It is no ``results.json``, or the picture cannot be
            written.
    """
    from segal.files import whole_file
    from segal.report import charts
    from segal.report.axes import pixels_axis
    from segal.report.results import evidence_of

    try:
        results = json.loads(path.read_text())
        evidence, name = evidence_of(results), results['experiment']
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StateError(
            f'{path}: wanted a results.json of tools/collect_results.py, got '
            'a file that cannot be read as that '
            f'({type(error).__name__}: {error}); collect it anew'
        ) from error
    axis = replace(
        pixels_axis(),
        values=lambda run: [row['labels_per_image'] for row in run.rows],
    )
    figure = charts.curves(evidence, axis)
    figure.axes[0].set_title(name, loc='left', fontsize=10.5)
    with whole_file(out) as file:
        figure.savefig(file, format='png', dpi=200)


if __name__ == '__main__':
    sys.exit(main())
