"""Define SegAL's registries, and share names with MMCV and mmseg.

A user's module may register a class under a name that SegAL has as well.
The user's wins, whichever is imported first, in every registry of mmcv's.
"""

from __future__ import annotations

from typing import Any

from mmcv.utils import Registry

_register = Registry._register_module

REPLACED: dict[str, str] = {}
"""Name of one of SegAL's -> module of the class that is used in its place."""


def is_ours(module: Any) -> bool:
    """Check whether a registered class or function is one of SegAL's."""
    return str(module.__module__).partition('.')[0] == 'segal'


def _register_beside_ours(
    self: Registry, module: Any, module_name: Any = None, force: bool = False
) -> None:
    """Register a class; a user's class replaces one of SegAL's.

    Args:
        self: The registry.
        module: A class or a function.
        module_name: Its name or names; None: its own.
        force: Whether it replaces what is there, as in mmcv.

    Raises:
        KeyError: Two classes of a name, neither of them SegAL's.
    """
    names = getattr(module, '__name__', '')
    names = module_name or names
    for name in [names] if isinstance(names, str) else names:
        there = self._module_dict.get(name)
        if there is None or is_ours(there) == is_ours(module):
            _register(self, module, name, force)
            continue
        if is_ours(there):
            _register(self, module, name, True)
        REPLACED[name] = self._module_dict[name].__module__


def share_registries() -> None:
    """Let a user's class replace one of SegAL's that has its name."""
    Registry._register_module = _register_beside_ours


share_registries()

HEURISTICS = Registry('heuristic')
SELECTORS = Registry('selector')
ORACLES = Registry('oracle')
FEATURES = Registry('features')
UNITS = Registry('query unit')
REGIONS = UNITS
"""The name that regions were registered under before; the same registry."""
