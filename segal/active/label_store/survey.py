"""Everything about a label folder, sound or not, without changing it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from segal.active.label_store.file import LabelFile, decode, mend, sha256
from segal.active.label_store.folder import (
    DAMAGED,
    LabelFolder,
    Trouble,
    Wanted,
)
from segal.active.label_store.manifest import NAME, Chain
from segal.active.label_store.state import LabelState
from segal.active.label_store.store import pool_fingerprint
from segal.errors import StateError
from segal.structures import PoolImage

SOUND = 'sound'


@dataclass
class Surveyed:
    """One label file, or the gap where it should be.

    Attributes:
        number: Its round.
        path: Where it is, or should be.
        state: ``sound``, or one or two words.
        content: None where it cannot be read.
        sha256: Of the file, None where there is none.
        bytes: Of the file and of the label maps that it names.
        right: Whether the file itself is the one that should be here,
            whatever became of its label maps.
    """

    number: int
    path: Path
    state: str = SOUND
    content: LabelFile | None = None
    sha256: str | None = None
    bytes: int = 0
    right: bool = False


@dataclass
class Survey:
    """A label folder as it was found.

    Attributes:
        folder: It.
        experiment: Fingerprint; of the most files where ``chain.json`` does
            not tell.
        pool: Fingerprint.
        chain: ``chain.json``; None where there is none, a hurt one, or one
            of other files.
        foreign: ``chain.json``, where it is that of other files.
        files: By round, gaps included.
        problems: One message for each; the first ones are those that opening
            a store would tell.
        notes: What is odd and harmless.
    """

    folder: LabelFolder
    experiment: str
    pool: str
    chain: Chain | None = None
    foreign: Chain | None = None
    files: list[Surveyed] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def survey(folder: LabelFolder, pool: Sequence[PoolImage]) -> Survey:
    """Look at all of a label folder, past whatever is broken.

    Args:
        folder: Of the label files.
        pool: All images that may be asked.
    """
    found = Survey(folder, '', pool_fingerprint(pool))
    _add(found, list(folder.foreign_trouble()))
    try:
        found.chain = folder.chain()
    except StateError as error:
        found.problems.append(str(error))
    numbers = folder.numbers()
    for number in range(max(numbers, default=-1) + 1):
        found.files.append(Surveyed(number, folder.file(number)))
        if number in numbers:
            _read(found, found.files[-1])
    found.experiment = _majority(found)
    if found.chain and not _is_ours(found, found.chain):
        found.chain, found.foreign = None, found.chain
    if found.chain:
        found.experiment = found.chain.experiment
        for number in range(len(found.files), len(found.chain.files)):
            found.files.append(Surveyed(number, folder.file(number)))
    missing = list(folder.missing_trouble(numbers, found.chain))
    state = LabelState(pool)
    for one in found.files:
        if one.number not in numbers:
            one.state = 'missing'
            _add(found, [missing.pop(0)])
        elif one.content is None:
            found.problems.append(one.state)
            one.state = 'damaged'
        else:
            _judge(found, one, one.content, state)
    chain = found.chain or found.foreign
    if chain:
        files = len(found.files)
        _add(
            found,
            list(
                folder.chain_trouble(
                    chain, found.experiment, found.pool, files
                )
            ),
        )
    _notice(found)
    return found


def _add(found: Survey, troubles: Sequence[Trouble]) -> None:
    found.problems += [trouble.message for trouble in troubles]


def _read(found: Survey, one: Surveyed) -> None:
    """Take in a file; its ``state`` is the error where it cannot be read."""
    try:
        data = found.folder.read(one.path)
        one.bytes, one.sha256 = len(data), sha256(data)
        one.content = decode(one.path, data)
    except StateError as error:
        one.state = str(error)


def _majority(found: Survey) -> str:
    """The experiment of the most files of this pool, '' without any."""
    counts = Counter(
        one.content.experiment
        for one in found.files
        if one.content and one.content.pool == found.pool
    )
    return counts.most_common(1)[0][0] if counts else ''


def _is_ours(found: Survey, chain: Chain) -> bool:
    """Whether a chain is that of these files, as far as can be seen."""
    if chain.pool != found.pool:
        return False
    return found.experiment in ('', chain.experiment) or bool(
        {one.sha256 for one in found.files} & set(chain.files)
    )


def named_by(chain: Chain | None, number: int) -> str | None:
    """The SHA-256 of a label file that a chain names, if it does."""
    files = chain.files if chain else ()
    return files[number] if number < len(files) else None


def _judge(
    found: Survey, one: Surveyed, content: LabelFile, state: LabelState
) -> None:
    """All that is wrong with a file that can be read."""
    folder, chain = found.folder, found.chain
    digest = one.sha256 or ''
    previous: str | None = ''
    if one.number:
        before = found.files[one.number - 1]
        previous = named_by(chain, before.number)
        if previous is None and before.right:
            previous = before.sha256
    wanted = Wanted(
        one.number,
        found.experiment,
        found.pool,
        previous,
        named_by(chain, one.number),
    )
    trouble = folder.file_trouble(content, digest, wanted)
    problem = None if trouble else state.problem(content)
    if problem:
        trouble = Trouble(
            'contradiction', f'{one.path}: {problem}; {mend(folder.path)}'
        )
    if trouble:
        one.state = trouble.word
        _add(found, [trouble])
        return
    one.right = True
    positions = [state.at(name) for name, _, _ in content.images]
    state.take_in(content)
    troubles = list(folder.map_trouble(content, one.number, positions))
    _add(found, troubles)
    if troubles:
        words = Counter(trouble.word for trouble in troubles)
        one.state = ', '.join(f'{n} {word}' for word, n in words.items())
    for at, mapped in zip(positions, content.maps, strict=False):
        path = folder.map(one.number, at)
        if mapped and path.is_file():
            one.bytes += path.stat().st_size


def _notice(found: Survey) -> None:
    """What is odd and harmless."""
    folder = found.folder
    if not folder.path.is_dir():
        return
    if found.files and not folder.chain_path.exists():
        found.notes.append(
            f'{folder.chain_path}: there is none, so that nothing shows '
            'whether the last file is the last; the next round writes it, '
            'and so does `python tools/labels.py repair '
            f'{folder.path.parent}`'
        )
    if found.chain and len(found.files) == len(found.chain.files) + 1:
        found.notes.append(
            f'{folder.chain_path}: one file behind, as a killed write leaves '
            'it; the next round completes it'
        )
    named = {
        folder.file(one.number).with_suffix('') / entry[0]
        for one in found.files
        if one.content
        for entry in one.content.maps
        if entry
    }
    known = {one.path for one in found.files} | named | {folder.chain_path}
    known |= set(folder.foreign())
    for path in sorted(folder.path.rglob('*')):
        inside = path.relative_to(folder.path).parts
        if path.is_dir() or path in known:
            continue
        if inside[0] != DAMAGED:
            found.notes.append(f'{path}: left over; it does not count')
    if folder.damaged.is_dir():
        count = sum(path.is_file() for path in folder.damaged.rglob('*'))
        found.notes.append(
            f'{folder.damaged}: {count} files that `repair` replaced; they '
            'do not count'
        )


def describe_survey(found: Survey) -> str:
    """One line for each file, then every problem, and a verdict."""
    heads = ['round', 'unit', 'images', 'requested', 'labelled', 'void']
    table = [[*heads, 'refused', 'bytes', 'state']]
    for one in found.files:
        cells = ['-'] * 6
        if one.content:
            counts = one.content.counts()
            cells = [
                one.content.unit,
                *(
                    f'{count:,}'
                    for count in (
                        counts.images,
                        counts.requested,
                        counts.labelled,
                        counts.void,
                        counts.refused,
                    )
                ),
            ]
        table.append([str(one.number), *cells, f'{one.bytes:,}', one.state])
    lines = format_table(table)
    if found.notes:
        lines += ['', 'notes:', *(f'  - {note}' for note in found.notes)]
    if found.problems:
        known = f'; {mend(found.folder.path)}'  # the verdict says it once
        short = [problem.removesuffix(known) for problem in found.problems]
        lines += ['', 'problems:', *(f'  - {problem}' for problem in short)]
    lines += ['', verdict(found)]
    return '\n'.join(lines)


def verdict(found: Survey) -> str:
    """Whether all is well, in one line."""
    count, path = len(found.problems), found.folder.path
    if count:
        return (
            f'{path}: {count} problem{"s" if count > 1 else ""}; nothing was '
            f'changed; `python tools/labels.py repair {path.parent}` mends '
            'what can be proven; else restore it from a copy, or start in '
            'another work_dir'
        )
    if not found.files:
        return f'{path}: no label files; nothing was bought here yet'
    files = len(found.files)
    witness = NAME if found.chain else f'no {NAME}'
    return (
        f'{path}: sound: {files} label file{"s" if files > 1 else ""}, '
        f'{witness}, experiment {found.experiment}'
    )


def format_table(table: Sequence[Sequence[str]]) -> list[str]:
    """Rows of cells, aligned right, but the last; a rule below the first."""
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    lines = [
        '  '.join(
            [
                *(
                    cell.rjust(width)
                    for cell, width in zip(row[:-1], widths[:-1], strict=True)
                ),
                row[-1],
            ]
        )
        for row in table
    ]
    return [lines[0], '-' * (sum(widths) + 2 * len(widths) - 2), *lines[1:]]
