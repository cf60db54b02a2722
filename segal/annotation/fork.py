"""Correct a committed round in a copy of its experiment."""

from __future__ import annotations

import json
import shutil
from collections.abc import Collection, Sequence
from pathlib import Path

from segal.active.label_store.pool_file import read_pool
from segal.annotation.folder import AnnotationFolder
from segal.annotation.label_errors import suspects_of
from segal.annotation.predictions import SUFFIX
from segal.annotation.request import Request
from segal.annotation.state import Event, State
from segal.errors import ConfigError, StateError, nearest
from segal.files import replace_json
from segal.rounds import pictures_dir, read_settings

_KEPT = (
    'config.json',
    'config.py',
    'pool.json',
    'pool_sizes.json',
    'read_files.json',
    'superpixels',
    'features',
)
"""What is copied as it is, beside labels, rows, networks and answers."""


def fork(
    work_dir: Path, new: Path, number: int, reopen: Sequence[str]
) -> tuple[int, int]:
    """Copy an experiment up to a round, whose answers are open again.

    Label files, rows, networks and pictures of the earlier rounds are copied,
    but for the pictures that show the answers: they are drawn anew. The
    round is asked again with the answers that it has, but for those that are
    to be given anew. The copy then goes on as an experiment of its own.

    Args:
        work_dir: Of the experiment; it is not changed.
        new: Folder of the copy; it must not exist.
        number: Of the label file.
        reopen: Which answers are to be given anew: names of classes, numbers
            of items that are no class's name, ``'void'``, ``'cant_tell'``,
            ``'errors'`` (those that the network contradicts) or ``'all'``.

    Returns:
        How many items the round has, and how many of them are open.

    Raises:
        StateError: The round was not answered by people, or ``new`` exists.
        ConfigError: There is no such class or item.
    """
    old, copy = AnnotationFolder(work_dir), AnnotationFolder(new)
    if number not in old.rounds() or not old.is_sealed(number):
        known = [str(x) for x in old.rounds() if old.is_sealed(x)]
        raise StateError(
            f'{work_dir}: wanted a round that people answered '
            f'({", ".join(known) or "there is none"}), got {number}'
        )
    if new.exists():
        raise StateError(f'{new}: wanted a folder that does not exist yet')
    classes = read_pool(work_dir).classes
    request = old.request(number)
    state = old.state(request, len(classes))
    suspects = _suspects(old, number, classes) if 'errors' in reopen else ()
    kept = _kept(request, state, classes, reopen, suspects)
    part = new.with_name(new.name + '.tmp')
    shutil.rmtree(part, ignore_errors=True)
    copy = AnnotationFolder(part)
    _copy_experiment(work_dir, part, number)
    _copy_answers(old, copy, number)
    if old.file(number, SUFFIX).exists():
        shutil.copy2(old.file(number, SUFFIX), copy.path)
    copy.freeze(number, old.file(number, 'request.npz').read_bytes())
    journal = copy.journal(request, len(classes))
    for event in sorted(kept, key=lambda event: event.role != 'vote'):
        if journal.state.refusal(event.item, event.who, event.role):
            continue  # a second look at an answer that was taken back since
        fields = event._asdict()
        del fields['n'], fields['at']  # given anew
        fields['rev'] = journal.state.rev(event.item, event.who, event.role)
        journal.append(**fields)
    journal.close()
    part.rename(new)
    return len(request), len(request) - journal.state.answered


def _suspects(
    folder: AnnotationFolder, number: int, classes: Sequence[str]
) -> list[int]:
    """List the items whose answers the network contradicts."""
    found = suspects_of(folder, number, len(classes))
    if found is None:
        raise StateError(
            f'{folder.file(number, SUFFIX)}: required for --reopen errors, '
            'got no such file: no network asked in this round'
        )
    return [one.item for one in found]


def _kept(
    request: Request,
    state: State,
    classes: Sequence[str],
    reopen: Sequence[str],
    suspects: Collection[int],
) -> list[Event]:
    """List the answers that stay, in the order in which they were given.

    Items in ``suspects`` are open in any case. An item that is open is asked
    anew of all who answered it.
    """
    kinds = ('all', 'void', 'cant_tell', 'errors')
    items = {int(x) for x in reopen if x.isdecimal() and x not in classes}
    names = {x for x in reopen if not x.isdecimal() or x in classes}
    for item in items:
        if item >= len(request):
            raise ConfigError(
                f'--reopen: wanted items 0 to {len(request) - 1}, got {item}'
            )
    for name in names.difference(classes, kinds):
        raise ConfigError(
            f'--reopen: {name!r} is no class'
            + nearest(name, [*classes, *kinds])
        )

    items.update(suspects)

    def said(event: Event) -> str:
        return event.what if event.cls is None else classes[event.cls]

    standing = [x for x in state.clients.values() if state.stands(x)]
    if 'all' in names:
        return []
    items |= {x.item for x in standing if said(x) in names}
    return [event for event in standing if event.item not in items]


def _copy_experiment(work_dir: Path, new: Path, number: int) -> None:
    """Copy the labels, rows and networks of the rounds before ``number``."""
    new.mkdir(parents=True)
    (new / 'labels').mkdir()
    paths = [work_dir / name for name in _KEPT]
    for k in range(number):
        paths += [
            work_dir / 'labels' / f'round_{k:03d}.npz',
            work_dir / 'labels' / f'round_{k:03d}',
            work_dir / f'round_{k:03d}',
        ]
        if k + 1 < number:
            pictures = work_dir / pictures_dir(read_settings(work_dir))
            paths += [pictures / f'round_{k:03d}']
            paths += pictures.glob(f'rounds/*/{k:03d}.png')
    for path in paths:
        target = new / path.relative_to(work_dir)
        target.parent.mkdir(parents=True, exist_ok=True)
        if path.is_dir():
            shutil.copytree(path, target)
        elif path.exists():
            shutil.copy2(path, target)
    for name in ('rounds.json', 'times.json'):
        path = work_dir / name
        if path.exists():
            rows = json.loads(path.read_text())['rounds'][:number]
            if rows and name == 'times.json':
                rows[-1].pop('report', None)  # its pictures show the answers
            replace_json(new / name, dict(rounds=rows))
    if not number:
        (new / 'labels').rmdir()


def _copy_answers(
    old: AnnotationFolder, copy: AnnotationFolder, number: int
) -> None:
    """Copy what people answered in the rounds before ``number``."""
    copy.path.mkdir()
    for path in old.path.glob('*.json'):
        if not path.name.startswith('round_'):
            shutil.copy2(path, copy.path)
    if (old.path / 'masks').is_dir():
        shutil.copytree(old.path / 'masks', copy.path / 'masks')
    for k in range(number):
        for path in old.path.glob(f'round_{k:03d}.*'):
            shutil.copy2(path, copy.path)
