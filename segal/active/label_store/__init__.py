"""Bought labels: one file a round, never edited, and their audit."""

from .store import LabelStore

__all__ = ['LabelStore']
