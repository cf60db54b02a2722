"""Draw a round of active learning: docs/images/round.png.

Usage: python tools/docs/round.py

The small pictures in it are cut out of the one of Margin, which pictures.py
draws.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
MARGIN = ROOT / 'docs/strategies/images/Margin.png'
OUT = ROOT / 'docs/images/round.png'

WIDTH, HEIGHT = 11.6, 4.6
PANEL = (192, 144)
"""Width and height of a panel in Margin's picture, in pixels."""

ABOVE = (
    ('image of the pool', 0, 'ModelWrapper', 'predicts'),
    ('prediction', 1, 'Heuristic', 'scores'),
    ('score: bright is asked first', 2, 'Selector', 'spends the budget'),
    ('selection', 4, 'Oracle', 'answers'),
)
"""What is seen, its panel, and who goes on from there with what."""

BELOW = (
    ('training', "mmseg's own loop,\nbought labels alone"),
    ('ActiveDataset', 'writes bought labels\ninto empty maps'),
    ('LabelStore', 'labels/round_000.npz,\nround_001.npz, ...'),
    ('answers', 'a class, void,\nor refused'),
)
"""The way back, from left to right."""


def panel(position: int) -> Image.Image:
    """Cut one panel out of Margin's picture."""
    picture = Image.open(MARGIN).convert('RGB')
    left = 3 + position * (PANEL[0] + 6)
    top = picture.height - PANEL[1] - 2
    return picture.crop((left, top, left + PANEL[0], top + PANEL[1]))


def draw() -> Figure:
    """Draw the round."""
    figure = Figure((WIDTH, HEIGHT), dpi=100)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, WIDTH), ylim=(0, HEIGHT))
    axes.axis('off')

    def arrow(start: tuple[float, float], end: tuple[float, float]) -> None:
        axes.annotate(
            '', end, start, arrowprops=dict(arrowstyle='-|>', lw=1.6)
        )

    step, width, height = 2.86, 1.76, 1.32
    lefts = [0.63 + i * step for i in range(4)]
    top, middle = 2.95, 2.95 + height / 2
    for left, (title, position, who, what) in zip(lefts, ABOVE, strict=True):
        axes.imshow(
            np.asarray(panel(position)),
            extent=(left, left + width, top, top + height),
            zorder=2,
        )
        axes.text(left + width / 2, top + height + 0.1, title, ha='center')
        if who == 'Oracle':
            arrow((left + width / 2, top - 0.08), (left + width / 2, 1.72))
            axes.text(
                left + width / 2 + 0.12, 2.28, f'{who}\n{what}', va='center'
            )
            continue
        arrow((left + width + 0.05, middle), (left + step - 0.05, middle))
        at = left + width + (step - width) / 2
        axes.text(at, middle + 0.12, who, ha='center', size=8.5, weight='bold')
        axes.text(at, middle - 0.12, what, ha='center', va='top', size=8)
    axes.set(xlim=(0, WIDTH), ylim=(0, HEIGHT))
    axes.set_aspect('auto')
    for left, (title, text) in zip(lefts, BELOW, strict=True):
        axes.text(
            left + width / 2,
            1.15,
            f'$\\bf{{{title}}}$\n{text}',
            ha='center',
            va='center',
            bbox=dict(boxstyle='round,pad=0.55', fc='#e6f2f1', ec='#00796b'),
        )
    for left in lefts[1:]:
        arrow((left - 0.08, 1.15), (left - step + width + 0.1, 1.15))
    arrow((lefts[0] + width / 2, 1.72), (lefts[0] + width / 2, top - 0.08))
    axes.text(
        lefts[0] + width / 2 + 0.12, 2.28, "the round's\nnetwork", va='center'
    )
    axes.text(
        WIDTH / 2,
        0.2,
        'Rank 0 chooses and writes; every rank then reads the same labels. '
        'The next round begins with training.',
        ha='center',
        size=9,
        color='#555555',
    )
    return figure


def main() -> int:
    """Draw and save."""
    draw().savefig(OUT)
    few = Image.open(OUT).convert('RGB').quantize(64)
    few.save(OUT, optimize=True)
    print(f'{OUT.stat().st_size:,} bytes  {OUT.relative_to(ROOT)}')
    return 0


if __name__ == '__main__':
    sys.exit(main())
