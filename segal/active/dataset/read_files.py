"""Check that what is evaluated and learned beside the pool stays the same."""

from __future__ import annotations

import hashlib
import json
import os
import os.path as osp
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

from mmseg.datasets import CustomDataset

from segal.active.dataset.base import image_file, image_name
from segal.active.dataset.scan import named
from segal.errors import StateError
from segal.files import checksum, replace_json, stamp
from segal.terminal import progress

FILE = 'read_files.json'

Rows = dict[str, list[int]]
"""File -> bytes, modification time in ns, checksum."""


def check_read_files(
    sets: Mapping[str, Any], work_dir: Path, evaluated: bool
) -> None:
    """Check that sets have the files that the earlier rounds read.

    A curve whose points were evaluated on other images has no meaning. Files
    are compared by size and checksum, read where size or time differ.

    Args:
        sets: Key of the config -> data set, such as ``data.val`` and the
            sources, or path of a checkpoint. What is not on this disk is
            passed over.
        work_dir: Folder of the experiment.
        evaluated: Whether a round is finished; before, a damaged file may be
            mended.

    Raises:
        StateError: Files came, went or changed; they are named.
    """
    before = read_record(work_dir)
    now = {
        key: _rows(_files(read), before.get(key, {}))
        for key, read in sets.items()
    }
    for key, rows in now.items() if evaluated else ():
        known = before.get(key)
        if known is None:
            continue
        kinds = {
            'new': [name for name in rows if name not in known],
            'gone': [name for name in known if name not in rows],
            'changed': [
                name
                for name, row in rows.items()
                if name in known and row[::2] != known[name][::2]
            ],
        }
        said = [
            f'{len(names)} {kind}: {named(names)}'
            for kind, names in kinds.items()
            if names
        ]
        if said:
            raise StateError(
                f'{key}: wanted what earlier rounds of {work_dir} read, got '
                f'other files ({"; ".join(said)}), which would put points on '
                'its curve that cannot be compared; put the files back, or '
                'begin in another folder (--work-dir). Where only bytes '
                f'differ, and no content: delete {work_dir / FILE}'
            )
    if now != before:
        replace_json(work_dir / FILE, now)


def read_record(work_dir: Path) -> dict[str, Rows]:
    """Read the record of a work_dir; empty where there is none to read."""
    try:
        found = json.loads((work_dir / FILE).read_text())
    except (OSError, ValueError):
        return {}
    return {
        key: rows
        for key, rows in (found.items() if isinstance(found, dict) else ())
        if isinstance(rows, dict)
        and all(
            isinstance(row, list) and list(map(type, row)) == [int] * 3
            for row in rows.values()
        )
    }


def digest(checksums: Iterable[int]) -> str:
    """Compute a digest of the content of files, in any folder and order."""
    return hashlib.sha256(repr(sorted(checksums)).encode()).hexdigest()[:8]


def _rows(files: Iterable[tuple[str, str]], known: Rows) -> Rows:
    """Look at files, by name and path, that are on this disk."""

    def look(file: tuple[str, str]) -> tuple[str, list[int]] | None:
        name, path = file
        with suppress(OSError):  # reported where it is read
            row, now = known.get(name), stamp(path)
            if row is None or row[:2] != now:
                row = [*now, checksum(path)]
            return name, row
        return None

    whole = list(files)
    with (
        ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as threads,
        progress(len(whole), 'checking files', delay=2) as bar,
    ):
        rows = {}
        for found in threads.map(look, whole):
            bar.update()
            if found is not None:
                rows[found[0]] = found[1]
    return rows


def _files(read: Any) -> Iterator[tuple[str, str]]:
    """List name and path of each image and annotation, or of a checkpoint."""
    if isinstance(read, Path):
        yield read.name, str(read)
    if not isinstance(read, CustomDataset):
        return
    for i, info in enumerate(read.img_infos):
        name = image_name(read, i)
        yield name, image_file(read, i)
        if 'ann' in info:
            path = osp.join(read.ann_dir or '', info['ann']['seg_map'])
            yield f'annotation of {name}', path
