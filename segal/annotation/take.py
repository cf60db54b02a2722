"""Take answers that other tools give back into the journal of a round."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path

from segal.annotation.answers import Answer, Conflict, judge
from segal.annotation.export import asked_now
from segal.annotation.fields import AnnotatorError, check_name
from segal.annotation.folder import AnnotationFolder
from segal.annotation.formats import Asked, Reply, Returned, read
from segal.annotation.journal import no_collection
from segal.annotation.masks import encode_mask
from segal.annotation.request import Request
from segal.annotation.state import Event, State
from segal.errors import AnswerFileError


@dataclass
class Taken:
    """What came of some files.

    Attributes:
        words: Such as ``'round 3, 200 pixels'``.
        answers: Those that are new.
        unchanged: How many answers are those that stand.
        conflicting: Answers to items that have another one, in words.
        alien: What was not asked, in words.
        unfinished: Items of which a part is answered, in words.
        left: How many items are open afterwards.
    """

    words: str = ''
    answers: list[Answer] = field(default_factory=list)
    unchanged: int = 0
    conflicting: list[str] = field(default_factory=list)
    alien: list[str] = field(default_factory=list)
    unfinished: list[str] = field(default_factory=list)
    left: int = 0


def take(
    work_dir: Path,
    paths: Sequence[Path],
    annotator: str = '',
    keep: bool = False,
    dry_run: bool = False,
) -> Taken:
    """Take the answers of files, all or none of them.

    Args:
        work_dir: Of the experiment.
        paths: Files, or folders of PNG files.
        annotator: Who answered, where a file does not say it.
        keep: Whether answers that stand stay where others came. Without it,
            all is refused then.
        dry_run: Whether nothing is written.

    Raises:
        AnswerFileError: A file is alien, damaged or edited, or answers
            conflict.
        AnnotatorError: ``annotator`` is no name, or somebody's who is known
            in another spelling, or a reviewer's.
        StateError: Our own files are damaged, or a server is at work.
    """
    if annotator:
        check_name(annotator)
    asked, folder = asked_now(work_dir), AnnotationFolder(work_dir)
    request, count = asked.request, len(asked.classes)
    masks: dict[str, bytes] = {}
    with no_collection():
        returned = [_read(folder, path, asked) for path in paths]
        answers = [
            _answer(path, one, asked, annotator, masks)
            for path, found in zip(paths, returned, strict=True)
            for one in found.replies
        ]
    with nullcontext() if dry_run else folder.locked():
        state = folder.state(request, count)
        names = {answer.who for _, answer in answers}
        folder.check_names(names, state)
        found = _sort(request, state, asked.classes, answers)
        may = not dry_run and (keep or not found.conflicting)
        if found.answers and may:
            _write(folder, asked, found.answers, masks)
    if found.conflicting and not keep:
        shown = '\n  '.join(found.conflicting[:10])
        raise AnswerFileError(
            f'{", ".join(map(str, paths))}: wanted answers to open items, got '
            f'{len(found.conflicting):,} to items that have another one; '
            'nothing was taken: correct the files, or take the rest with '
            f'`--conflicts keep`\n  {shown}'
        )
    for one in returned:
        found.alien += one.alien
        found.unfinished += one.unfinished
    return found


def _read(folder: AnnotationFolder, path: Path, asked: Asked) -> Returned:
    """Read a file, and hold it to the request."""
    returned = read(path, asked)
    if returned.request != asked.request.sha256:
        known = next(
            (
                f', which is round {number}'
                for number in folder.rounds()
                if folder.request(number).sha256 == returned.request
            ),
            '',
        )
        raise AnswerFileError(
            f'{path}: wanted answers to the request '
            f'{asked.request.sha256[:12]} (round {asked.request.round}), got '
            f'some to {returned.request[:12]!r}{known}; nothing was taken: '
            f'export what is asked now'
        )
    return returned


def _answer(
    path: Path,
    reply: Reply,
    asked: Asked,
    annotator: str,
    masks: dict[str, bytes],
) -> tuple[Path, Answer]:
    """Make an answer of a reply; put the PNG of its mask into ``masks``."""
    who, client = reply.who or annotator, reply.client
    if not who:
        raise AnswerFileError(
            f'{path}: wanted the name of the person who answered, got none in '
            'the file; nothing was taken: say it with --annotator NAME'
        )
    try:
        check_name(who)
    except AnnotatorError as error:
        raise AnswerFileError(
            f'{path}, answer to item {reply.item}: {error}; nothing was '
            'taken: give the file a name that can be one'
        ) from None
    if not reply.who:
        told = f'{client} {who}'.encode()
        client = hashlib.sha256(told).hexdigest()[:32]
    digest = None
    if reply.mask is not None:
        item = asked.request[reply.item]
        png = encode_mask(reply.mask, item, len(asked.classes))
        digest = hashlib.sha256(png).hexdigest()
        masks[digest] = png
    return path, Answer(
        reply.item, 0, who, reply.what, reply.cls, digest, reply.ms, client
    )


def _sort(
    request: Request,
    state: State,
    classes: Sequence[str],
    answers: Iterable[tuple[Path, Answer]],
) -> Taken:
    """Tell new answers from known and conflicting ones."""
    unit = request.unit + 's' * (len(request) != 1)
    found = Taken(f'round {request.round}, {len(request):,} {unit}')
    for path, answer in answers:
        answer = answer._replace(rev=state.rev(answer.item, answer.who))
        try:
            event: Event | None = judge(state, len(classes), answer)
        except Conflict:
            event = None
        except ValueError as error:
            raise AnswerFileError(
                f'{path}, answer to item {answer.item}: {error}; nothing was '
                'taken: export the answers again'
            ) from None
        if event and event.n > state.events:
            state.apply(event)
            found.answers.append(answer)
            continue
        standing = _standing(state, answer)
        if standing and _same(standing, answer):
            found.unchanged += 1
        else:
            found.conflicting.append(
                _conflict(request, state, classes, path, answer)
            )
    found.left = len(request) - state.answered
    return found


def _standing(state: State, answer: Answer) -> Event | None:
    """Return the answer that stands where another one would."""
    if state.wanted[answer.item] == 1:
        return state.standing(answer.item)
    return state.standing(answer.item, answer.who)


def _same(event: Event, answer: Answer) -> bool:
    """Compare what two answers say."""
    said = answer.what, answer.cls, answer.mask
    return (event.what, event.cls, event.mask) == said


def _conflict(
    request: Request,
    state: State,
    classes: Sequence[str],
    path: Path,
    answer: Answer,
) -> str:
    """Say which two answers conflict."""
    item = request[answer.item]
    top, left = item.box[:2]
    standing = _standing(state, answer)
    stands = 'the same answer was taken before, and undone since'
    if standing:
        stands = f'{_said(standing, classes)} stands, by {standing.who}'
    elif state.is_full(answer.item):
        stands = 'other people have given all the answers that it wants'
    return (
        f'item {answer.item} ({item.image}, row {top}, column {left}): '
        f'{stands}; {_said(answer, classes)} in {path}, by {answer.who}'
    )


def _said(answer: Answer | Event, classes: Sequence[str]) -> str:
    if answer.cls is not None:
        return repr(classes[answer.cls])
    return answer.what.replace('_', ' ').replace('cant', "can't")


def _write(
    folder: AnnotationFolder,
    asked: Asked,
    answers: Sequence[Answer],
    masks: dict[str, bytes],
) -> None:
    """Write masks, then the journal; nobody else is at work."""
    used = {answer.mask for answer in answers}
    for digest, png in masks.items():
        if digest in used:
            folder.write_mask(png)
    journal = folder.journal(asked.request, len(asked.classes))
    try:
        with no_collection():
            journal.extend(answers)
    finally:
        journal.close()
