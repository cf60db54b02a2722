"""Write charts as SVG whose colours follow the page, and as PNG."""

from __future__ import annotations

import re
from contextlib import AbstractContextManager
from io import StringIO
from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure

INK, FAINT, GRID, AXIS, PAPER = (
    '#1f2328',
    '#5a626c',
    '#e3e6ea',
    '#9aa1aa',
    '#ffffff',
)
BAND = '#f5f6f8'
RANDOM = '#6b7280'
COLOURS = (
    '#1f63b5',
    '#c8501e',
    '#1b8a5a',
    '#8b3fa0',
    '#b8860b',
    '#0e8fa8',
    '#b02a5b',
    '#5b6b1f',
)
_DARK = {
    INK: '#e6e8eb',
    FAINT: '#a4acb6',
    GRID: '#2c3138',
    AXIS: '#6b737d',
    PAPER: '#14171b',
    BAND: '#1b1f24',
    RANDOM: '#a0a7b1',
    **dict(
        zip(
            COLOURS,
            (
                '#6aa9f4',
                '#f08a5d',
                '#4fc48f',
                '#c98ade',
                '#e0b64a',
                '#53c6dc',
                '#f07ba8',
                '#b3c46a',
            ),
            strict=True,
        )
    ),
}
"""Colours of charts on a dark page."""


def colour_variables(dark: bool) -> str:
    """Define the colours of charts as CSS variables."""
    return ' '.join(
        f'{_name(light)}: {other if dark else light};'
        for light, other in _DARK.items()
    )


def _name(colour: str) -> str:
    return f'--c{colour[1:]}'


def plain_text() -> AbstractContextManager[None]:
    """Keep matplotlib from reading ``$`` in a name as a formula."""
    return mpl.rc_context({'text.parse_math': False})


def as_svg(figure: Figure, name: str, follows: bool = True) -> str:
    """Write a figure as an SVG element, whose ids begin with ``name``.

    Its colours are variables of the page if it ``follows`` the page.
    """
    text = StringIO()
    with (
        plain_text(),
        mpl.rc_context({'svg.hashsalt': name, 'svg.fonttype': 'path'}),
    ):
        figure.savefig(
            text, format='svg',
            metadata={'Date': None, 'Creator': None, 'Format': None,
                      'Type': None},
        )  # fmt: skip
    svg = text.getvalue()
    svg = svg[svg.index('<svg') :]
    svg = re.sub(r'\s*<metadata>.*?</metadata>', '', svg, flags=re.DOTALL)
    svg = re.sub(r'\bid="', f'id="{name}-', svg)
    svg = re.sub(r'(href="#|url\(#)', rf'\1{name}-', svg)
    svg = re.sub(r'\s(width|height)="[\d.]+pt"', '', svg, count=2)
    if follows:
        for colour in _DARK:
            svg = svg.replace(colour, f'var({_name(colour)})')
    return svg.replace('<svg', '<svg role="img" aria-hidden="true"', 1)


def as_png(figure: Figure, path: Path) -> None:
    """Write a figure as a PNG, at twice a screen's resolution."""
    with plain_text():
        figure.savefig(path, format='png', dpi=200)
