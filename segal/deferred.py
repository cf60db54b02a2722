"""Import timm only where one of its networks is built.

mmseg and mmcls each have one backbone that wraps timm, and import all of timm,
and with it wandb, for it: a quarter of the start of every command. Importing
``segal`` is enough: see :data:`FINDER`.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from types import ModuleType
from typing import Any

NAME = 'timm'
WRAPPERS = (
    'mmseg.models.backbones.timm_backbone',
    'mmcls.models.backbones.timm_backbone',
)


class Deferred(ModuleType):
    """Stand for a module, and import it at the first use."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith('__'):
            raise AttributeError(name)
        return getattr(importlib.import_module(self.__name__), name)


class _Loader(SourceFileLoader):
    """Run a module to which timm is :class:`Deferred`."""

    def exec_module(self, module: ModuleType) -> None:
        if NAME in sys.modules:
            super().exec_module(module)
            return
        sys.modules[NAME] = Deferred(NAME)
        try:
            super().exec_module(module)
        finally:
            del sys.modules[NAME]


class _Finder(MetaPathFinder):
    """Find the wrappers, where timm is installed."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, *_: Any
    ) -> ModuleSpec | None:
        if fullname not in WRAPPERS or PathFinder.find_spec(NAME) is None:
            return None
        spec = PathFinder.find_spec(fullname, path)
        if spec is not None and spec.origin is not None:
            spec.loader = _Loader(fullname, spec.origin)
        return spec


FINDER = _Finder()
"""First in ``sys.meta_path``: before the one that finds files."""
