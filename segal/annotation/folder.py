"""Name, read and write the files of ``work_dir/annotation``.

A run freezes ``round_003.request.npz``, people fill ``round_003.jsonl`` and
``masks/``. ``round_003.closing.json`` says that the round takes no answers any
more. Once the label file exists, the run writes ``round_003.sealed.json``.
"""

from __future__ import annotations

import fcntl
import hashlib
import io
import json
import os
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from segal.annotation.answers import Closed
from segal.annotation.fields import AnnotatorError, check_spelling
from segal.annotation.journal import Journal, read_journal
from segal.annotation.request import Request
from segal.annotation.shares import Options, answers_wanted
from segal.annotation.state import State
from segal.errors import StateError
from segal.files import replace_file, replace_json

NAME = 'annotation'
_SHA = re.compile('[0-9a-f]{64}')
_ROUND = re.compile(r'round_(\d{3,})\.request\.npz')


class AnnotationFolder:
    """The requests and answers of one work_dir.

    Args:
        work_dir: Of the experiment; ``annotation`` in it need not exist.
    """

    def __init__(self, work_dir: Path) -> None:
        self.work_dir = Path(work_dir)
        self.path = self.work_dir / NAME

    @property
    def mark(self) -> str:
        """Eight digits that tell it from other folders, for browsers.

        A fork of an experiment asks the same request anew, and random pixels
        of images of the same names and sizes are the same.
        """
        path = os.fsencode(self.work_dir.resolve())
        return hashlib.sha256(path).hexdigest()[:8]

    def file(self, round: int, suffix: str) -> Path:
        """Return the path of a file of a round."""
        return self.path / f'round_{round:03d}.{suffix}'

    def rounds(self) -> list[int]:
        """List the rounds that were frozen, in order."""
        if not self.path.is_dir():
            return []
        found = map(_ROUND.fullmatch, os.listdir(self.path))
        return sorted(int(match[1]) for match in found if match)

    def pending(self) -> int | None:
        """Return the round that is asked now; None: none is."""
        return next(
            (x for x in self.rounds()[::-1] if not self.is_sealed(x)), None
        )

    def freeze(self, round: int, request: bytes) -> None:
        """Write a request, once.

        Raises:
            StateError: There is another one, or it cannot be written.
        """
        path = self.file(round, 'request.npz')
        self.path.mkdir(parents=True, exist_ok=True)
        if path.exists() and path.read_bytes() != request:
            raise StateError(
                f'{path}: wanted no request of round {round}, got one; a '
                'round is asked once: restore the folder from a copy'
            )
        replace_file(path, request)

    def write_options(self, **options: Any) -> None:
        """Write how items are shown and shared out; see :class:`Options`."""
        self.path.mkdir(parents=True, exist_ok=True)
        replace_json(self.path / 'options.json', options)

    def options(self) -> Options:
        """Read how items are shown and shared out; defaults where nothing is.

        Raises:
            StateError: The file is damaged.
        """
        path = self.path / 'options.json'
        try:
            found = json.loads(path.read_text())
            return Options(
                **{k: found[k] for k in Options._fields if k in found}
            )
        except FileNotFoundError:
            return Options()
        except (OSError, ValueError, TypeError) as error:
            raise StateError(
                f'{path}: wanted how items are shown, as it was written, got '
                f'a file that cannot be read as that ({error}); restore it '
                'from a copy'
            ) from error

    def people(self) -> dict[str, str]:
        """Read who may answer: name -> ``'annotator'`` or ``'reviewer'``.

        Nobody where no page was served yet.

        Raises:
            StateError: The file is damaged.
        """
        path = self.path / 'annotators.json'
        try:
            found = json.loads(path.read_text())
            return {
                name: one['role'] if isinstance(one, dict) else 'annotator'
                for name, one in found.items()
            }
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, AttributeError, KeyError) as error:
            raise StateError(
                f'{path}: wanted who may answer, and who decides where people '
                f'disagree, got a file that cannot be read as that ({error}); '
                'delete it, and start the page again with all names'
            ) from error

    def check_names(self, names: Iterable[str], state: State) -> None:
        """Check that people who answer can have these names.

        Raises:
            AnnotatorError: One is known in another spelling, or a reviewer,
                whose answers would count as votes.
        """
        roles = self.people()
        names = sorted(names)
        check_spelling(names, [*roles, *state.people()])
        for name in names:
            if roles.get(name) == 'reviewer':
                raise AnnotatorError(
                    f'annotator: wanted somebody who answers, got {name!r}, '
                    'who decides on the page where others disagree; take '
                    'another name'
                )

    @property
    def has_reviewer(self) -> bool:
        """Whether somebody decides where people disagree."""
        return 'reviewer' in self.people().values()

    def request(self, round: int) -> Request:
        """Read the request of a round.

        Raises:
            StateError: It is missing or damaged.
        """
        return Request.read(self.file(round, 'request.npz'))

    def journal(self, request: Request, classes: int) -> Journal:
        """Open the journal of a round, to write answers.

        Raises:
            StateError: It is damaged.
        """
        number = request.round

        def check() -> None:
            if self.is_closing(number) or self.is_sealed(number):
                raise Closed(f'round {number} takes no answers any more')

        with self.exclusive():
            journal = Journal(
                self.file(number, 'jsonl'),
                request,
                classes,
                check,
                self.exclusive,
                answers_wanted(request, self.options()),
            )
        journal.state.rechecked = self.rechecked(request)
        return journal

    def state(self, request: Request, classes: int) -> State:
        """Read what is answered, without writing.

        Raises:
            StateError: The journal is damaged.
        """
        wanted = answers_wanted(request, self.options())
        path = self.file(request.round, 'jsonl')
        state = read_journal(path, request, classes, wanted)[0]
        state.rechecked = self.rechecked(request)
        return state

    def answered(self, classes: int) -> list[tuple[Request, State]]:
        """Read all requests, and what is answered, in the order of rounds."""
        requests = [self.request(number) for number in self.rounds()]
        return [(one, self.state(one, classes)) for one in requests]

    def rechecked(self, request: Request) -> set[int]:
        """Read the items whose answers are asked once more.

        Raises:
            StateError: The list is damaged, or of another request.
        """
        path = self.file(request.round, 'recheck.json')
        if not path.exists():
            return set()
        try:
            found = json.loads(path.read_text())
            if found['request'] != request.sha256:
                raise ValueError('that of another request')
            return {int(item) for item in found['items']}
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise StateError(
                f'{path}: wanted the items that are asked once more, got '
                f'{error}; restore the file from a copy'
            ) from error

    def awaits_recheck(self, round: int) -> bool:
        """Check whether answers of a round are still to be held to a model.

        Where nothing was predicted they never are.
        """
        return (
            self.options().recheck > 0
            and self.file(round, 'predictions.npz').exists()
            and not self.file(round, 'recheck.json').exists()
        )

    def is_closing(self, round: int) -> bool:
        """Check whether a round takes no answers any more."""
        return self.file(round, 'closing.json').exists()

    def close(
        self, round: int, who: str, may: Callable[[], bool] = lambda: True
    ) -> None:
        """Take no further answers: what is answered is trained on.

        No answer is written after this returns.

        Args:
            round: Which one.
            who: Name of the person, or of the run.
            may: Decides, while nobody else can write an answer.
        """
        with self.exclusive():
            if not self.is_closing(round) and may():
                now = datetime.now(UTC).isoformat(timespec='seconds')
                replace_json(
                    self.file(round, 'closing.json'), dict(who=who, at=now)
                )

    def is_sealed(self, round: int) -> bool:
        """Check whether the answers of a round are in its label file."""
        return self.file(round, 'sealed.json').exists()

    def seal(self, round: int, label_file: str) -> None:
        """Write what the round was: request, journal and label file."""
        journal = self.file(round, 'jsonl')
        data = journal.read_bytes() if journal.exists() else b''
        replace_json(
            self.file(round, 'sealed.json'),
            dict(
                request=self.request(round).sha256,
                journal=hashlib.sha256(data).hexdigest(),
                label_file=label_file,
            ),
        )

    def mask_path(self, digest: str) -> Path:
        """Return the path of a mask.

        Raises:
            ValueError: It is no SHA-256.
        """
        if not _SHA.fullmatch(digest):
            raise ValueError(f'wanted a SHA-256, got {digest[:80]!r}')
        return self.path / 'masks' / f'{digest}.png'

    def write_mask(self, png: bytes) -> str:
        """Write a mask, and sync it to disk.

        Args:
            png: 8-bit grey, already checked.

        Returns:
            Its SHA-256.
        """
        digest = hashlib.sha256(png).hexdigest()
        path = self.mask_path(digest)
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            replace_file(path, png)
        return digest

    def read_mask(
        self, digest: str, size: tuple[int, int]
    ) -> NDArray[np.uint8]:
        """Read a mask.

        Returns:
            uint8 (h, w), class ids, 255 where there is no class.

        Raises:
            StateError: It is missing or was altered.
        """
        path = self.mask_path(digest)
        try:
            data = path.read_bytes()
            if hashlib.sha256(data).hexdigest() != digest:
                raise ValueError('another content')
            with Image.open(io.BytesIO(data)) as png:
                mask = np.array(png)
            if mask.shape != size or mask.dtype != np.uint8:
                raise ValueError(f'{mask.dtype} {mask.shape}')
        except (OSError, ValueError, SyntaxError) as error:
            raise StateError(
                f'{path}: wanted the mask uint8 {size} that an answer names, '
                f'got {error}; restore the file from a copy'
            ) from error
        return mask

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """Keep other processes from writing answers or closing meanwhile."""
        self.path.mkdir(parents=True, exist_ok=True)
        with open(self.path / '.journal.lock', 'a') as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep a second server out of the folder.

        Raises:
            StateError: Another one is at work.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        with open(self.path / '.lock', 'a+') as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                file.seek(0)
                raise StateError(
                    f'{self.path}: wanted a folder that no server uses, but '
                    f'one is at work there ({file.read().strip()}); open its '
                    'page, or end it'
                ) from error
            file.truncate(0)
            file.write(json.dumps(dict(process=os.getpid())))
            file.flush()
            yield
            file.truncate(0)
