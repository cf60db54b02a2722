"""Make one script of the page's ES modules.

A page that is opened from a file cannot import others. So each module becomes
a function that is called once, after those it imports; what it exports is what
the function returns. The modules stay within a few forms of ``import`` and
``export``; any other form is refused, rather than bundled wrongly.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

_FROM = r"'\./(?P<file>[\w.]+\.js)';$"
_NAMED = re.compile(r'^import \{(?P<names>[\w\s,$]*)\} from ' + _FROM, re.M)
_BARE = re.compile(r'^import ' + _FROM, re.M)
_ALL = re.compile(r'^export \* from ' + _FROM, re.M)
_LIST = re.compile(r'^export \{(?P<names>[\w\s,$]*)\};$', re.M)
_OWN = re.compile(
    r'^export (?=(?:class|const|let|(?:async )?function) (?P<name>[\w$]+))',
    re.M,
)
_LEFT = re.compile(r'^\s*(?:import|export)\b.*|import\.meta|\bimport\(', re.M)
_ENDS = re.compile(r'</script|<!--', re.I)


def _ident(file: str) -> str:
    return '$' + re.sub(r'\W', '_', file.removesuffix('.js'))


def bundle(
    folder: Path, entry: str, instead: Mapping[str, str] | None = None
) -> str:
    """Make one script of a module and all that it imports.

    Args:
        folder: Of the modules.
        entry: File name of the module that is run last.
        instead: File name -> file name of the module that takes its place,
            with the same exports.

    Returns:
        The content of a ``<script type="module">``.

    Raises:
        ValueError: A module has a form of ``import`` or ``export`` that is
            not known here, or modules import each other in a circle.
    """
    instead = instead or {}
    made: dict[str, str] = {}
    begun: list[str] = []

    def take(file: str) -> str:
        file = instead.get(file, file)
        if file in begun:
            raise ValueError(f'{" -> ".join([*begun, file])}: a circle')
        if file not in made:
            begun.append(file)
            made[file] = _function(file, (folder / file).read_text(), take)
            begun.pop()
        return _ident(file)

    take(entry)
    return '\n'.join(made.values())


def _function(file: str, source: str, take: object) -> str:
    """Turn a module into a function that is called; see the module."""
    assert callable(take)
    exports: list[str] = []

    def named(match: re.Match[str]) -> str:
        names = match['names'].replace(' as ', ': ')
        return f'const {{{names}}} = {take(match["file"])};'

    def everything(match: re.Match[str]) -> str:
        exports.append(f'...{take(match["file"])}')
        return ''

    def bare(match: re.Match[str]) -> str:
        take(match['file'])
        return ''

    def listed(match: re.Match[str]) -> str:
        exports.extend(re.findall(r'[\w$]+', match['names']))
        return ''

    def own(match: re.Match[str]) -> str:
        exports.append(match['name'])
        return ''

    body = source
    for form, replaced in (
        (_NAMED, named),
        (_BARE, bare),
        (_ALL, everything),
        (_LIST, listed),
        (_OWN, own),
    ):
        body = form.sub(replaced, body)
    unknown = _LEFT.search(body) or _ENDS.search(body)
    if unknown:
        raise ValueError(
            f'{file}: wanted import {{names}} from, export * from, export '
            '{names}, or export before a class, function, const or let; got '
            f'{unknown.group().strip()!r}'
        )
    return (
        f'const {_ident(file)} = (() => {{\n{body}\n'
        f'return {{{", ".join(exports)}}};\n}})();'
    )
