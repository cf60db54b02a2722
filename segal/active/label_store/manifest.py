"""Read and write ``labels/chain.json``: the SHA-256 of every label file.

Each label file names the SHA-256 of the one before, and this list names the
last one: it shows that the last file exists and is the one that was written.
The list is replaced after each round. If the process is killed in between,
the list lacks one file, and the next round adds it.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, NamedTuple

from segal.active.label_store.file import sha256
from segal.errors import StateError

VERSION = 1
NAME = 'chain.json'


class Manifest(NamedTuple):
    """The label files of a store.

    Attributes:
        experiment: Fingerprint of the experiment.
        pool: Fingerprint of the pool.
        files: SHA-256 of each label file, in the order of rounds.
    """

    experiment: str
    pool: str
    files: tuple[str, ...]


def encode_manifest(manifest: Manifest) -> bytes:
    """Write a manifest as JSON; ``seal`` is the SHA-256 of the rest."""
    rest = {
        'format': VERSION,
        **manifest._asdict(),
        'files': list(manifest.files),
    }
    return json.dumps({**rest, 'seal': _seal(rest)}, indent=1).encode() + b'\n'


def decode_manifest(path: Path, data: bytes) -> Manifest:
    """Read a manifest from its JSON.

    Raises:
        StateError: The file is damaged, or of another format.
    """
    problem = (
        f'{path}: wanted the list of label files of format {VERSION}, got '
    )
    mend = (
        '; restore it from a copy; or, if '
        f'`python tools/labels.py check {path.parent.parent}` tells of '
        'nothing else, delete it: the next round writes it anew'
    )
    try:
        rest = json.loads(data)
        found = rest.pop('seal')
        version, experiment, pool, files = (
            rest[key] for key in ('format', 'experiment', 'pool', 'files')
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise StateError(
            f'{problem}a file that does not read as such '
            f'({type(error).__name__}: {error}){mend}'
        ) from error
    if found != _seal(rest):
        raise StateError(f'{problem}one that was altered{mend}')
    if version != VERSION:
        raise StateError(
            f'{problem}format {version}; use the version of SegAL that '
            'wrote it'
        )
    sound = isinstance(files, list) and all(
        isinstance(one, str) and re.fullmatch('[0-9a-f]{64}', one)
        for one in files
    )
    if not sound:
        raise StateError(f'{problem}one whose files are no SHA-256s{mend}')
    return Manifest(str(experiment), str(pool), tuple(files))


def _seal(rest: dict[str, Any]) -> str:
    return sha256(json.dumps(rest, sort_keys=True).encode())
