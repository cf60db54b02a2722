"""Take a picture of the terminal of a run: docs/images/terminal.svg.

Usage: python tools/docs/terminal.py [CONFIG] [--round 2] [--out FILE]
                                     [--work-dir DIR]

Runs the quickstart in a terminal of its own, and draws what is on it when
half of a round's training is done.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Sequence
from html import escape
from itertools import groupby
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from segal.files import replace_file
from segal.terminal.frame import EIGHTHS, HEIGHTS
from tests.emulator import Session

CONFIG = ROOT / 'experiments/quickstart/quickstart.py'
OUT = ROOT / 'docs/images/terminal.svg'

WIDTH, HEIGHT = 90, 24
CELL = (8.4, 20)
MARGIN = 18
FONT = 'ui-monospace, SFMono-Regular, Menlo, Consolas, monospace'
BACK, PLAIN = '#16181d', '#e4e6eb'
COLOURS = {'': PLAIN, '1': '#ffffff', '2': '#9aa0ab', '36': '#4cc2d1'}
COLOURS['33'] = '#e5b567'
SHADE = '#3a3f4a'

Row = Sequence[tuple[str, str]]


def is_there(lines: list[str], number: int) -> bool:
    """Tell whether half of the training of a round is done."""
    if not lines or f' round {number} of' not in lines[0]:
        return False
    for line in lines:
        if line.startswith('train') and ' left' in line:
            done, _, total, *_ = line.split('  ')[-1].replace(',', '').split()
            return int(done) * 2 > int(total)
    return False


def draw(rows: Sequence[Row]) -> str:
    """Draw the rows of a terminal as SVG."""
    wide, high = CELL
    width = max(map(len, rows)) * wide + 2 * MARGIN
    height = len(rows) * high + 2 * MARGIN
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" '
        f'height="{height:.0f}" viewBox="0 0 {width:.0f} {height:.0f}" '
        f'font-family="{FONT}" font-size="14" xml:space="preserve">',
        f'<rect width="100%" height="100%" rx="8" fill="{BACK}"/>',
    ]
    for number, row in enumerate(rows):
        x, y = float(MARGIN), MARGIN + number * high
        for (style, kind), cells in groupby(row, lambda c: (c[1], _kind(c))):
            text = ''.join(character for character, _ in cells)
            size = len(text) * wide
            if kind == 'shade':
                parts.append(_block(x, y + 4, size, high - 8, SHADE))
            elif kind == 'bar':
                full = sum(map(EIGHTHS.index, text)) / 8 * wide
                parts.append(_block(x, y + 4, full, high - 8, COLOURS[style]))
            elif kind == 'spark':
                for k, one in enumerate(text):
                    tall = (HEIGHTS.index(one) + 1) / 8 * (high - 4)
                    at = (x + k * wide, y + high - 2 - tall)
                    parts.append(_block(*at, wide - 1, tall, COLOURS[style]))
            elif text.strip():
                weight = ' font-weight="600"' if style == '1' else ''
                parts.append(
                    f'<text x="{x:.1f}" y="{y + 15}" textLength="{size:.1f}" '
                    f'fill="{COLOURS[style]}"{weight}>{escape(text)}</text>'
                )
            x += size
    return '\n'.join([*parts, '</svg>\n'])


def _kind(cell: tuple[str, str]) -> str:
    character = cell[0]
    if character == '░':
        return 'shade'
    if character in EIGHTHS[1:]:
        return 'bar'
    return 'spark' if character in HEIGHTS else 'text'


def _block(x: float, y: float, wide: float, high: float, colour: str) -> str:
    return (
        f'<rect x="{x:.1f}" y="{y:.1f}" width="{wide:.1f}" '
        f'height="{high:.1f}" fill="{colour}"/>'
    )


def main() -> int:
    """Run, wait for the moment, and draw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config', nargs='?', type=Path, default=CONFIG)
    parser.add_argument('--round', type=int, default=2)
    parser.add_argument('--out', type=Path, default=OUT)
    parser.add_argument('--work-dir', type=Path)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        work_dir = args.work_dir or Path(folder, args.config.stem)
        words = [sys.executable, '-m', 'segal', 'train', str(args.config)]
        session = Session(
            [*words, '--work-dir', str(work_dir)],
            WIDTH,
            HEIGHT,
            cwd=ROOT,
            env={**os.environ, 'TERM': 'xterm-256color', 'NO_COLOR': ''},
        )
        try:
            found = session.until(
                lambda lines: is_there(lines, args.round), 3600
            )
            rows = list(session.screen.rows)
            while rows and not rows[-1]:
                rows.pop()
            text = draw([list(row) for row in rows])
            if args.work_dir:
                session.wait(3600)
        finally:
            session.close()
    if not found:
        sys.stderr.write('\n'.join(session.screen.everything) + '\n')
        return 1
    replace_file(args.out, text)
    return 0


if __name__ == '__main__':
    sys.exit(main())
