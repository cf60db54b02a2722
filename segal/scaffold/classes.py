"""Find the names of the classes."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from segal.errors import ConfigError
from segal.scaffold.images import Folder
from segal.scaffold.masks import Masks

FILE = 'classes.txt'
"""One name a line, in the folder of the images or beside it."""


def find_classes(
    given: Sequence[str] | None, images: Folder, masks: Masks | None
) -> list[str]:
    """Find the names of the classes: given, in a file, asked, or numbered.

    Args:
        given: On the command line: names, or one text with commas.
        images: Gets a note where classes are numbered or missing in masks.
        masks: None where there are none.

    Returns:
        The names, in the order of class ids.

    Raises:
        ConfigError: No names, too few, one twice, or fewer than ids.
    """
    names, source = _names(given, images.path, masks)
    if not names and masks is not None:
        names = [f'class_{number}' for number in range(max(masks.ids) + 1)]
        source = 'masks'
        images.notes.append(
            f'classes have no names, so they are called {names[0]} to '
            f'{names[-1]}: name them with --classes, or in {FILE}'
        )
    problems = []
    if len(names) < 2:
        problems.append(
            f'--classes: wanted two names or more, got {names}; write '
            f'--classes sky road car, or one name a line into '
            f'{images.path / FILE}'
        )
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        problems.append(
            f'{source}: wanted a name of its own for each class, got {twice} '
            'more than once; rename them'
        )
    odd = [x for x in names if not x.isprintable() or '{{' in x]
    if odd:
        problems.append(
            f'{source}: wanted names that can be printed, without {{{{; got '
            f'{odd}; rename them'
        )
    if masks is not None:
        beyond = [i for i in masks.ids if i >= len(names)]
        if beyond and names:
            problems.append(
                f'{source}: wanted a name for each id of the masks, got '
                f'{len(names)} names (ids 0 to {len(names) - 1}) and the ids '
                f'{beyond} beside them; name all classes in the order of '
                'their ids, or write 255 (void) for these ids'
            )
        lacks = sorted(set(range(len(names))) - set(masks.ids))
        if lacks:
            images.notes.append(
                f'no pixel of {", ".join(names[i] for i in lacks[:8])}'
                f'{" ..." * (len(lacks) > 8)} in the masks'
            )
    if problems:
        raise ConfigError(problems)
    return names


def _names(
    given: Sequence[str] | None, folder: Path, masks: Masks | None
) -> tuple[list[str], str]:
    """Read the names, and where they come from."""
    if given:
        words = given[0].split(',') if len(given) == 1 else list(given)
        return [word.strip() for word in words if word.strip()], '--classes'
    for place in (folder / FILE, folder.parent / FILE):
        if place.is_file():
            try:
                lines = place.read_text('utf-8-sig').splitlines()
            except UnicodeDecodeError as error:
                raise ConfigError(
                    f'{place}: wanted UTF-8, got another encoding; save it '
                    'as UTF-8'
                ) from error
            return [x.strip() for x in lines if x.strip()], str(place)
    if masks is None and sys.stdin.isatty():
        sys.stderr.write('Names of the classes, with commas between: ')
        sys.stderr.flush()
        words = sys.stdin.readline().split(',')
        return [word.strip() for word in words if word.strip()], '--classes'
    return [], '--classes'
