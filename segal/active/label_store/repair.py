"""Mend a label folder, as far as SHA-256 proves what is right.

The bytes of a label file are known to be right where ``chain.json`` names
their SHA-256, or the next file does, which is known to be right itself.
Nothing else is put in place, and nothing is overwritten: what is replaced
goes to ``labels/damaged/``.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from segal.active.label_store.file import (
    LabelFile,
    decode,
    seal,
    sha256,
    unsealed,
)
from segal.active.label_store.folder import DAMAGED, LabelFolder
from segal.active.label_store.manifest import NAME, Chain
from segal.active.label_store.packing import map_name
from segal.active.label_store.survey import Survey, Surveyed, named_by, survey
from segal.errors import StateError
from segal.files import replace_file, sync_folder
from segal.structures import PoolImage


@dataclass
class Repair:
    """What a repair did, or would do.

    Attributes:
        done: One sentence for each change.
        left: One for each problem that stays, with what would help.
        files: Label files that are right afterwards.
    """

    done: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    files: int = 0


@dataclass
class _Source:
    """Bytes that may be put somewhere.

    Attributes:
        words: Where they were found.
        place: The file that has them, or they themselves.
        reseal: Whether the seal of that file has to be put on anew.
    """

    words: str
    place: Path | bytes
    reseal: bool = False

    def read(self, moved: Mapping[Path, Path]) -> bytes:
        """The bytes.

        Args:
            moved: Old -> new path of files put away since.
        """
        if isinstance(self.place, bytes):
            return self.place
        data = moved.get(self.place, self.place).read_bytes()
        return seal(unsealed(data) or b'') if self.reseal else data


_Sources = Mapping[str, _Source]
"""SHA-256 -> where such bytes are."""

_Right = dict[int, tuple[LabelFile, str]]
"""Round -> content and SHA-256 of a file that is right in the end."""


@dataclass
class _Plan:
    """What is to be done, in this order.

    Attributes:
        away: Files to put into ``damaged/``.
        write: Path -> SHA-256 and where the bytes are.
        chain: ``chain.json``, where it is to be written.
    """

    away: list[Path] = field(default_factory=list)
    write: dict[Path, tuple[str, _Source]] = field(default_factory=dict)
    chain: Chain | None = None


def repair(
    folder: LabelFolder,
    pool: Sequence[PoolImage],
    exported: Mapping[str, Path | bytes] | None = None,
    dry_run: bool = False,
) -> Repair:
    """Mend what can be proven, and say what cannot.

    Killed anywhere, it goes on where it was when it is run again.

    Args:
        folder: Of the label files.
        pool: All images that may be asked.
        exported: SHA-256 -> label files and label maps of an export.
        dry_run: Say it only.

    Raises:
        StateError: The folder cannot be written.
    """
    found = survey(folder, pool)
    result, plan = Repair(), _Plan()
    sources = _sources(folder, exported or {})
    right = _plan_files(found, sources, plan, result)
    positions = {image.name: at for at, image in enumerate(pool)}
    for number, (content, _) in sorted(right.items()):
        _plan_maps(folder, number, content, positions, sources, plan, result)
    for path in folder.foreign():
        plan.away.append(path)
        result.done.append(f'{path}: moved to {DAMAGED}/; it is no label file')
    _plan_chain(found, right, plan, result)
    if dry_run:
        result.files = len(right)
        return result
    try:
        _do(folder, plan)
    except OSError as error:
        raise StateError(
            f'{folder.path}: cannot be written ({error}); mend that and '
            'repair again'
        ) from error
    after = survey(folder, pool)
    result.files = sum(one.right for one in after.files)
    if after.problems and not result.left:
        result.left = after.problems
    return result


def describe_repair(result: Repair, dry_run: bool = False) -> str:
    """What was done, what is left, and a verdict."""
    lines = []
    if result.done:
        lines += ['would do:' if dry_run else 'done:']
        lines += [f'  - {sentence}' for sentence in result.done]
    if result.left:
        lines += ['cannot be proven, and was left as it is:']
        lines += [f'  - {sentence}' for sentence in result.left]
    if result.left:
        count = len(result.left)
        lines.append(f'{count} problem{"s" if count > 1 else ""} left')
    elif not result.done:
        lines.append(f'nothing to repair: {result.files} label files, sound')
    elif dry_run:
        lines.append('nothing was changed; all would be sound')
    else:
        lines.append(f'all {result.files} label files are sound now')
    return '\n'.join(lines)


def _sources(
    folder: LabelFolder, exported: Mapping[str, Path | bytes]
) -> dict[str, _Source]:
    """All bytes at hand; those of the folder before those of the export.

    A label file that lost its seal counts as it was with it.
    """
    found = {
        digest: _Source('the export', place)
        for digest, place in exported.items()
    }
    if not folder.path.is_dir():
        return found
    paths = [path for path in folder.path.rglob('*') if path.is_file()]
    for path in sorted(paths, reverse=True):
        data = folder.read(path)
        name = path.relative_to(folder.path).as_posix()
        body = unsealed(data)
        if body is not None and seal(body) != data:
            words = f'{name}, whose seal was lost'
            found[sha256(seal(body))] = _Source(words, path, reseal=True)
        found[sha256(data)] = _Source(name, path)
    return found


def _plan_files(
    found: Survey,
    sources: _Sources,
    plan: _Plan,
    result: Repair,
) -> _Right:
    """The label files, from the last to the first.

    Returns:
        Round -> content and SHA-256 of each file that is right in the end.
    """
    right: _Right = {}
    after: LabelFile | None = None
    for one in reversed(found.files):
        wanted = named_by(found.chain, one.number)
        if wanted is None and after is not None:
            wanted = after.previous
        after = None
        if wanted is None:
            if one.right and one.content and one.sha256:
                after = one.content
                right[one.number] = after, one.sha256
            else:
                result.left.append(_unproven(one))
            continue
        if wanted == one.sha256 and one.content:
            after = one.content
        elif wanted in sources:
            after = _decoded(one, sources[wanted].read({}), found)
        if after is None:
            result.left.append(_lost(one, wanted, found))
            continue
        right[one.number] = after, wanted
        if wanted == one.sha256:
            if not one.right:
                result.left.append(
                    f'{one.path} ({one.state}): it is the file that was '
                    'written, and yet it is wrong; no repair mends that'
                )
            continue
        result.done.append(
            f'{one.path}: restored from {sources[wanted].words}; SHA-256 '
            f'{wanted}'
        )
        plan.write[one.path] = wanted, sources[wanted]
        if one.sha256 is not None:
            plan.away.append(one.path)
    return right


def _decoded(one: Surveyed, data: bytes, found: Survey) -> LabelFile | None:
    """The content of bytes with the right SHA-256, if it fits its round."""
    try:
        content = decode(one.path, data)
    except StateError:
        return None
    fits = content.round == one.number and content.pool == found.pool
    return content if fits else None


def _unproven(one: Surveyed) -> str:
    return (
        f'{one.path} ({one.state}): nothing names the SHA-256 that it has to '
        f'have, neither {NAME} nor a next file that is right; a copy of '
        f'{NAME} of after that round would help, or a copy of the whole '
        'folder `labels`'
    )


def _lost(one: Surveyed, wanted: str, found: Survey) -> str:
    words = (
        f'{one.path} ({one.state}): wanted the file with SHA-256 {wanted}, '
        'which is nowhere in the folder; a copy of it under any name in '
        f'{found.folder.path} would help, or an export that has it (--from)'
    )
    if all(x.state == 'missing' for x in found.files[one.number :]):
        words += f'; to go on without it and what came after, move {NAME} away'
    return words


def _plan_maps(
    folder: LabelFolder,
    number: int,
    content: LabelFile,
    positions: Mapping[str, int],
    sources: _Sources,
    plan: _Plan,
    result: Repair,
) -> None:
    """The label maps that a right file names."""
    for (name, _, _), named in zip(content.images, content.maps, strict=False):
        if named is None or name not in positions:
            continue
        path = folder.map(number, positions[name])
        there = path.is_file()
        if there and sha256(folder.read(path)) == named[1]:
            continue
        if named[0] != map_name(positions[name]) or named[1] not in sources:
            result.left.append(
                f'{path} ({"altered" if there else "missing"}): wanted the '
                f'label map of {name!r} with SHA-256 {named[1]}, which is '
                f'nowhere in the folder; a copy of it in {folder.path} would '
                'help, or an export that has it (--from)'
            )
            continue
        source = sources[named[1]]
        result.done.append(f'{path}: restored from {source.words}')
        plan.write[path] = named[1], source
        if there:
            plan.away.append(path)


def _plan_chain(
    found: Survey,
    right: _Right,
    plan: _Plan,
    result: Repair,
) -> None:
    """``chain.json`` anew, where every file is right."""
    path, foreign = found.folder.chain_path, found.foreign
    if found.chain and len(found.chain.files) == len(found.files):
        return
    if foreign and foreign.pool == found.pool:
        result.left.append(
            f'{path}: it is of experiment {foreign.experiment!r}, the label '
            f'files are of {found.experiment!r}, and nothing here proves '
            'which of them belongs; if the label files do, move it away'
        )
        return
    there = path.exists()
    if len(right) < len(found.files) or not right:
        if there and found.chain is None:
            result.left.append(
                f'{path}: it can be rebuilt once every label file is right'
            )
        return
    hashes = [right[number][1] for number in sorted(right)]
    chained = all(
        right[number][0].previous == (hashes[number - 1] if number else '')
        and right[number][0].experiment == found.experiment
        for number in right
    )
    if not chained:
        result.left.append(f'{path}: the label files are no chain')
        return
    if found.chain is None and there and not foreign:
        text = found.folder.read(path).decode(errors='replace')
        named = set(re.findall('[0-9a-f]{64}', text)) - set(hashes)
        if len(named) > 1 + sum(one not in text for one in hashes):
            result.left.append(
                f'{path}: as far as it can be read it names more than the '
                f'{len(hashes)} label files that are there; a copy of what '
                'is lost would help; if nothing is, move it away'
            )
            return
    plan.chain = Chain(found.experiment, found.pool, tuple(hashes))
    known = len(found.chain.files) if found.chain else 0
    if there and (found.chain is None or len(hashes) > known + 1):
        plan.away.append(path)
    words = 'completed' if found.chain else 'rebuilt' if there else 'written'
    result.done.append(f'{path}: {words} from {len(hashes)} label files')


def _do(folder: LabelFolder, plan: _Plan) -> None:
    """Put away, write, and sync.

    Raises:
        StateError: What was to be written is not there any more.
    """
    moved = {path: _put_away(folder, path) for path in plan.away}
    for path, (wanted, source) in plan.write.items():
        data = source.read(moved)
        if sha256(data) != wanted:
            raise StateError(
                f'{path}: wanted to write what {source.words} held, got '
                'something else there; is another process at work here?'
            )
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(path, data)
        sync_folder(folder.path)
    if plan.chain:
        folder.write_chain(plan.chain)


def _put_away(folder: LabelFolder, path: Path) -> Path:
    """Move a file to ``damaged/``, under a name that is free there."""
    target = folder.damaged / path.relative_to(folder.path)
    target.parent.mkdir(parents=True, exist_ok=True)
    stem, number = target.stem, 0
    while target.exists():
        number += 1
        target = target.with_name(f'{stem}.{number}{target.suffix}')
    os.rename(path, target)
    sync_folder(target.parent)
    sync_folder(path.parent)
    return target
