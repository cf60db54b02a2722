"""Runs without what costs seconds in each, and has tests of its own.

Of a tiny run, half of the time goes into the curve's picture and into the
layout of ``config.py`` by yapf; and a third of the rest waits for the disk.
Where ``SEGAL_TESTS`` is ``quick``, as in the suite and in processes that it
forks, a curve is an empty picture, the config is written on long lines, and
nothing is synced: only a power cut could tell. A report composes its charts,
and matplotlib does not render them: that takes five of its six seconds. The
fixture ``unabridged`` brings all of it back.
"""

from __future__ import annotations

import gc
import os

import mmcv.utils.config
from matplotlib.figure import Figure
from PIL import Image

import segal.hooks.curve

LEFT_OUT = (
    (segal.hooks.curve, 'draw_curve', segal.hooks.curve.draw_curve),
    (mmcv.utils.config, 'FormatCode', mmcv.utils.config.FormatCode),
    (os, 'fsync', os.fsync),
    (Figure, 'savefig', Figure.savefig),
)
"""Module or class, name, and the function as it is."""


def blank(rows, path, *more):
    Image.new('L', (1, 1)).save(path)


def unrendered(figure, out, format='png', **options):
    if format == 'svg':
        out.write('<svg width="9pt" height="9pt"></svg>')
    else:
        Image.new('L', (1, 1)).save(out, format)


def as_it_is(text, **options):
    return text, False


def sync_nothing(descriptor):
    os.fstat(descriptor)  # as it is there, and open


def bring_back(monkeypatch):
    """Let runs draw, lay out and sync what they write, as users' do."""
    for module, name, function in LEFT_OUT:
        monkeypatch.setattr(module, name, function)


def freeze():
    """Spare each later collection all that lives as long as the process."""
    gc.collect()
    gc.freeze()


if os.environ.get('SEGAL_TESTS') == 'quick':
    segal.hooks.curve.draw_curve = blank
    mmcv.utils.config.FormatCode = as_it_is
    os.fsync = sync_nothing
    Figure.savefig = unrendered
    freeze()
