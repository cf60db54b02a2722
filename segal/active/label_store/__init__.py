"""Bought labels: one file a round, never edited, and their audit."""

from typing import Any

__all__ = ['LabelStore']


def __getattr__(name: str) -> Any:
    """Import the store when it is used: reading one file needs no torch."""
    if name == 'LabelStore':
        from .store import LabelStore

        return LabelStore
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
