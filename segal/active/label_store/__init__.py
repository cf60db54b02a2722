"""Bought labels: one file a round, never edited, and their audit."""

from .store import LabelStore, PixelLabels, WholeLabels

__all__ = ['LabelStore', 'PixelLabels', 'WholeLabels']
