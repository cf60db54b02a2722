"""Stand in for mmcv's compiled ops where mmcv was built without them.

``mmcv.ops``, and so mmseg, imports ``mmcv._ext``, of which few networks call
anything. Importing ``segal`` is enough: see :data:`FINDER`.
"""

from __future__ import annotations

import sys
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

from segal.errors import SegALError

MODULE = 'mmcv._ext'
MEND = (
    'which are not installed: compile them once with `make ops` (10 to 17 '
    'minutes on two cores; docs/install.md for an environment of your own)'
)


class MissingOpError(SegALError):
    """A compiled op that was called where mmcv has none."""

    exit_code = 2
    shared = True


class Placeholder(ModuleType):
    """Replace ``mmcv._ext``: every function raises when it is called."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith('__'):
            raise AttributeError(name)

        def call(*_: Any, **__: Any) -> str:
            # mmcv's collect_env asks for the compiler, to print it.
            if name in ('get_compiler_version', 'get_compiling_cuda_version'):
                return 'not compiled'
            raise MissingOpError(
                f'{name} is one of the compiled ops of mmcv-full, {MEND}'
            )

        return call


class _Finder(MetaPathFinder, Loader):
    """Find a :class:`Placeholder` where nothing else finds ``mmcv._ext``."""

    def find_spec(self, fullname: str, *_: Any) -> ModuleSpec | None:
        return ModuleSpec(fullname, self) if fullname == MODULE else None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return Placeholder(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        """Leave the module as it is."""


FINDER = _Finder()
"""Last in ``sys.meta_path``: ops that are compiled are found before it."""


def are_missing() -> bool:
    """Tell whether mmcv works with the placeholder."""
    return isinstance(sys.modules.get(MODULE), Placeholder)
