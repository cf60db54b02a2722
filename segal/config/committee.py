"""Read the networks of ``active_learning.committee``."""

from __future__ import annotations

import string
from collections.abc import Mapping, Sequence
from typing import Any

from segal.config.kinds import FromOne, Text, accepts, wanted
from segal.config.schema import Member
from segal.errors import short, unknown_keys

_KINDS = {'checkpoint': Text, 'config': Text, 'rounds': FromOne}


def read_committee(
    value: Sequence[Mapping[str, Any]] | None,
) -> tuple[tuple[Member, ...], list[str]]:
    """Read the members that a config declares, and their problems."""
    members, problems = [], []
    for index, entry in enumerate(value or ()):
        where = f'active_learning.committee[{index}]'
        found = _problems(where, entry)
        problems += found
        if not found:
            members.append(Member(where, **entry))
    return tuple(members), problems


def _problems(where: str, entry: Mapping[str, Any]) -> list[str]:
    """List the problems of one entry."""
    problems = unknown_keys(where, entry, _KINDS)
    problems += [
        f'{where}.{key}: wanted {wanted(kind)}; got {short(entry[key])}'
        for key, kind in _KINDS.items()
        if key in entry and not accepts(kind, entry[key])
    ]
    if problems:
        return problems
    if ('checkpoint' in entry) == ('rounds' in entry):
        return [
            f'{where}: wanted checkpoint=... or rounds=..., one of the two; '
            f'got {short(dict(entry))}'
        ]
    if 'rounds' in entry:
        if 'config' in entry:
            return [
                f'{where}.config: not together with rounds, whose networks '
                f'are those of this config; got {entry["config"]!r}. Leave '
                'it out'
            ]
        return []
    return _placeholders(where, entry['checkpoint'])


def _placeholders(where: str, path: str) -> list[str]:
    """Check that ``{round}`` alone stands in braces."""
    try:
        names = {name for _, name, _, _ in string.Formatter().parse(path)}
        if names <= {None, 'round'}:
            path.format(round=0)
            return []
    except (ValueError, LookupError, TypeError):
        pass
    return [
        f'{where}.checkpoint: wanted a path in which {{round}} or '
        f'{{round:03d}} alone stands in braces; got {path!r}'
    ]
