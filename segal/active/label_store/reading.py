"""Read label files, and name those that are missing, damaged or foreign."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from segal.active.label_store.file import LabelFile, decode, mend, sha256
from segal.active.label_store.folder import NAME, LabelFolder, Manifest
from segal.active.label_store.state import LabelState
from segal.errors import StateError
from segal.structures import PoolImage


class ReadFile(NamedTuple):
    """A sound label file.

    Attributes:
        content: What it holds.
        sha256: Of its bytes.
    """

    content: LabelFile
    sha256: str


def read_files(
    folder: LabelFolder,
    state: LabelState,
    experiment: str = '',
    known: Sequence[str] = (),
) -> Iterator[ReadFile | str]:
    """Read the label files of a folder in the order of rounds.

    Reading goes on after a problem. The caller adds each file to ``state``
    before it asks for the next.

    Args:
        folder: With the label files.
        state: All requests of the files read before.
        experiment: Fingerprint of the experiment that the files must belong
            to; '' for that of ``chain.json`` or of the first file.
        known: SHA-256 of each label file read before.

    Yields:
        Each new sound file, and a message for each problem.
    """
    yield from folder.foreign_problems()
    manifest = None
    try:
        # before the folder is listed: it never names more than is there
        manifest = folder.manifest()
    except StateError as error:
        yield str(error)
    named: tuple[str, ...] = ()
    if (
        manifest
        and manifest.pool == state.fingerprint
        and experiment in ('', manifest.experiment)
    ):
        named, experiment = manifest.files, manifest.experiment
    numbers = folder.numbers()
    hashes: list[str | None] = [*known, *named[len(known) :]]
    files = max(len(hashes), max(numbers, default=-1) + 1)
    for number in range(files):
        previous = hashes[number - 1] if number else ''
        if number == len(hashes):
            hashes.append(None)
        if number not in numbers:
            yield _missing(folder, number, numbers, named, known)
            continue
        if number < len(known):
            continue
        path = folder.file(number)
        try:
            data = folder.read(path)
            content = decode(path, data)
        except StateError as error:
            yield str(error)
            continue
        file = ReadFile(content, sha256(data))
        experiment = experiment or content.experiment
        problem = _problem(
            path, file, state, (experiment, number, hashes[number], previous)
        )
        if problem:
            yield f'{problem}; {mend(folder.path)}'
            continue
        hashes[number] = file.sha256
        yield from map_problems(folder, content, state)
        yield file
    if manifest and not known:
        yield from _manifest_problems(
            folder, manifest, experiment, state.fingerprint, files
        )


def check(folder: Path, pool: Sequence[PoolImage]) -> tuple[int, list[str]]:
    """Find everything that is wrong with a label folder.

    Returns:
        How many label files are sound, and a message for each problem.
    """
    state, sound, problems = LabelState(pool), 0, []
    for found in read_files(LabelFolder(folder), state):
        if isinstance(found, str):
            problems.append(found)
        else:
            state.take_in(found.content)
            sound += 1
    return sound, problems


def map_problems(
    folder: LabelFolder, content: LabelFile, state: LabelState
) -> Iterator[str]:
    """Name each label map of a round that is missing or altered."""
    for image, named in zip(content.images, content.maps, strict=False):
        if named is None:
            continue
        path = folder.map(content.round, state.at(image[0]))
        got = 'none'
        if path.is_file():
            if (path.name, sha256(folder.read(path))) == named:
                continue
            got = 'another file'
        yield (
            f'{path}: wanted the label map of {image[0]!r} with SHA-256 '
            f'{named[1]}, got {got}; {mend(folder.path)}'
        )


def _missing(
    folder: LabelFolder,
    number: int,
    numbers: set[int],
    named: Sequence[str],
    known: Sequence[str],
) -> str:
    """Name a label file that does not exist, and say why it must."""
    highest = max(numbers, default=-1)
    if number < len(known):
        why = 'it was there before'
    elif number < highest:
        why = f'that of round {highest} is there'
    else:
        why = f'{NAME} names {len(named)} label files'
    wanted = f' with SHA-256 {named[number]}' if number < len(named) else ''
    return (
        f'{folder.file(number)}: wanted the label file of round {number}'
        f'{wanted}, got none, though {why}; {mend(folder.path)}'
    )


def _problem(
    path: Path,
    file: ReadFile,
    state: LabelState,
    wanted: tuple[str, int, str | None, str | None],
) -> str | None:
    """Find the first thing that is wrong with a file that can be read."""
    content = file.content
    experiment, number, digest, previous = wanted
    for what, want, got in (
        ('experiment', experiment, content.experiment),
        ('pool', state.fingerprint, content.pool),
        ('round', number, content.round),
    ):
        if want != got:
            return (
                f'{path}: wanted labels of {what} {want!r}, got those of '
                f'{what} {got!r}; start in another work_dir, or with the '
                'config and the data that wrote this one'
            )
    if digest not in (None, file.sha256):
        return (
            f'{path}: wanted the label file with SHA-256 {digest} that '
            f'{NAME} names, got another one, {file.sha256}'
        )
    if previous not in (None, content.previous):
        before = f'round_{number - 1:03d}.npz' if number else 'none'
        return (
            f'{path}: wanted {previous!r} as SHA-256 of the previous file '
            f'({before}), got {content.previous!r}: one of the two was '
            'replaced'
        )
    problem = state.problem(content)
    return problem and f'{path}: {problem}'


def _manifest_problems(
    folder: LabelFolder,
    manifest: Manifest,
    experiment: str,
    pool: str,
    files: int,
) -> Iterator[str]:
    """Find what is wrong with ``chain.json`` beside ``files`` label files."""
    path = folder.manifest_path
    for what, want, got in (
        ('experiment', experiment or manifest.experiment, manifest.experiment),
        ('pool', pool, manifest.pool),
    ):
        if want != got:
            yield (
                f'{path}: wanted the list of the label files of {what} '
                f'{want!r}, got that of {what} {got!r}; {mend(folder.path)}'
            )
    if files > len(manifest.files) + 1:
        yield (
            f'{path}: wanted a list of the {files} label files that are '
            f'there, or of all but the last, got one of '
            f'{len(manifest.files)}; {mend(folder.path)}'
        )
