"""Tell the keys of a config's own file from those of its bases."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from mmcv import Config

SECTIONS = ('lr_config', 'momentum_config')
"""Sections whose lengths fit the training of the base."""


@contextmanager
def own_part() -> Iterator[list[dict[str, Any]]]:
    """Record the sections that ``Config.fromfile`` reads in its own file.

    mmcv merges a file into its bases last, so the last outer merge has the
    file's own sections.

    Returns:
        Filled by ``fromfile``: last, section -> what the file wrote in it;
        empty where the file has no base.
    """
    original = Config._merge_a_into_b
    own: list[dict[str, Any]] = []
    depth = [0]

    def merge(a: Any, b: Any, allow_list_keys: bool = False) -> Any:
        if not depth[0]:
            own.append(dict(a))
        depth[0] += 1
        try:
            return original(a, b, allow_list_keys)
        finally:
            depth[0] -= 1

    Config._merge_a_into_b = staticmethod(merge)
    try:
        yield own
    finally:
        Config._merge_a_into_b = staticmethod(original)


def inherited_keys(
    cfg: Config, own: Sequence[Mapping[str, Any]], options: Iterable[str]
) -> list[str]:
    """List the keys of :data:`SECTIONS` that came from a base.

    Args:
        cfg: The merged config.
        own: From :func:`own_part`.
        options: Dotted keys of the command line, which are the user's, too.

    Returns:
        Dotted keys, sorted.
    """
    if not own:
        return []
    sections = {
        name: cfg[name]
        for name in SECTIONS
        if isinstance(cfg.get(name), Mapping)
    }
    written = {'.'.join(key.split('.')[:2]) for key in options}
    for name in sections:
        written |= {f'{name}.{key}' for key in own[-1].get(name) or ()}
    return sorted(
        f'{name}.{key}'
        for name, section in sections.items()
        for key in section
        if name not in written and f'{name}.{key}' not in written
    )
