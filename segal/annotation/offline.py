"""Write a page to mail: one file in which a person answers offline.

It is the page of the server, with its questions and pictures inside. Its
script has ``source.js`` in place of ``api.js``, and nothing else differs. A
policy in the file itself keeps it from the network.
"""

from __future__ import annotations

import base64
import hashlib
import json
import math
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np

from segal.active.label_store.pool_file import PoolFile, read_pool
from segal.annotation.bundle import bundle
from segal.annotation.crops import Crops, runs_of
from segal.annotation.endpoints import Web, class_rows
from segal.annotation.export import asked_now, open_items
from segal.annotation.fields import check_name
from segal.annotation.folder import AnnotationFolder
from segal.annotation.request import Item, Request
from segal.annotation.rounds import row_of
from segal.errors import SegALError, StateError
from segal.files import replace_file

WEB = Path(__file__).parent / 'web'
MEGABYTE = 10**6

POLICY = (
    "default-src 'none'; script-src 'sha256-{}'; style-src 'sha256-{}'; "
    "img-src data:; form-action 'none'; base-uri 'none'"
)
"""Without any source of requests: the page has no network at all."""

TAG = '<script type="text/plain" id="{}">{}</script>\n'


class PageError(SegALError):
    """A page that cannot be made as it was asked for."""

    exit_code = 2


class Written(NamedTuple):
    """A page that was written.

    Attributes:
        items: On it.
        open: Items that were open.
        wanted: Items that it was to have.
        size: Of the file, bytes.
    """

    items: int
    open: int
    wanted: int
    size: int


def write_page(
    work_dir: Path,
    out: Path,
    annotator: str,
    items: int | None = None,
    megabytes: float = 20.0,
) -> Written:
    """Write the page of one person, with as many open items as fit.

    Args:
        work_dir: Of the experiment.
        out: The HTML file.
        annotator: Name of the person.
        items: At most so many; all that fit by default.
        megabytes: At most so large, in 10**6 bytes.

    Raises:
        AnnotatorError: A name that none can have.
        PageError: Not even one item fits, or there is no such folder.
        StateError: Nothing is open, or files of the round are damaged.
    """
    check_name(annotator)
    if items is not None and items < 1:
        raise PageError(f'--items: wanted at least 1, got {items}')
    if not 0 < megabytes < math.inf:
        raise PageError(f'--mb: wanted more than 0, got {megabytes}')
    if not out.parent.is_dir() or out.is_dir():
        raise PageError(
            f'{out}: wanted the name of a file in a folder that exists'
        )
    request = asked_now(work_dir).request
    folder, pool = AnnotationFolder(work_dir), read_pool(work_dir)
    state = folder.state(request, len(pool.classes))
    upcoming = open_items(folder, request, state, annotator).tolist()
    if not upcoming:
        raise StateError(
            f'{work_dir}: wanted open items, got none: round {request.round} '
            'is answered; start the run, which trains on it'
        )
    chosen = upcoming[:items]
    draft = _Draft(
        _session(work_dir, request, pool, annotator),
        _store(folder, request, annotator),
        megabytes * MEGABYTE,
    )
    with closing(Crops(pool)) as crops:
        for index in chosen:
            row = row_of(
                request[index],
                state.rev(index, annotator),
                state.is_skipped(index, annotator),
            )
            if not draft.add(row, dict(_pictures(crops, request[index]))):
                break
    if not draft.rows:
        raise PageError(
            f'--mb {megabytes:g}: wanted room for at least one item; that '
            f'takes --mb {math.ceil(draft.needed / MEGABYTE)}'
        )
    content = draft.render().encode()
    replace_file(out, content)
    return Written(len(draft.rows), len(upcoming), len(chosen), len(content))


def _session(
    work_dir: Path, request: Request, pool: PoolFile, annotator: str
) -> dict[str, Any]:
    """Describe what is asked as ``/api/session`` does."""
    return dict(
        annotator=annotator,
        experiment=work_dir.resolve().name,
        round=request.round,
        request=request.sha256,
        unit=request.unit,
        total=len(request),
        classes=class_rows(pool),
    )


def _store(folder: AnnotationFolder, request: Request, annotator: str) -> str:
    """Name what a browser keeps: one for each person, round and folder."""
    asked = f'{request.sha256[:16]}/{folder.mark}'
    return f'segal-annotation/{asked}/{annotator}'


def _pictures(crops: Crops, item: Item) -> Iterator[tuple[str, Any]]:
    """Yield what a page shows of an item, by name."""
    yield 'crop', _smaller(crops.crop(item))
    yield 'context', crops.context(item.image)
    if item.kind == 'region':
        yield 'runs', runs_of(item)
    if item.answer == 'mask':
        yield 'superpixels', _smaller(crops.superpixels(item))


def _smaller(png: bytes) -> bytes:
    """Encode a PNG anew, as small as it gets without loss."""
    image = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_UNCHANGED)
    best = [cv2.IMWRITE_PNG_COMPRESSION, 9]
    return cv2.imencode('.png', image, best)[1].tobytes()


def _json(value: Any) -> str:
    """Write JSON that no HTML parser takes for anything else."""
    written = json.dumps(value, separators=(',', ':'))
    return written.replace('<', '\\u003c')


def _digest(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


class _Draft:
    """A page under way, which grows up to a size.

    Attributes:
        rows: Its items, as JSON.
        needed: Bytes of the page with the last item, whether it fitted or
            not.
    """

    def __init__(
        self, session: dict[str, Any], store: str, most: float
    ) -> None:
        self.rows: list[str] = []
        self.most = most
        self._parts: list[str] = []
        self._images: dict[str, int] = {}
        self._session = _json(session)
        web = Web(WEB)
        script = bundle(WEB, 'mailed.js', {'api.js': 'source.js'})
        style = web.files['app.css'][0].decode()
        page = web.index.render(
            experiment=session['experiment'],
            mailed=dict(
                policy=POLICY.format(_digest(script), _digest(style)),
                style=style,
                script=script,
                store=store,
            ),
        )
        self._start, mark, end = page.rpartition('</body>')
        self._end = mark + end
        self.needed = self._size = len(self.render().encode())

    def add(self, row: dict[str, Any], pictures: dict[str, Any]) -> bool:
        """Add an item, if it fits."""
        image = row['image']
        number = self._images.get(image, len(self._images))
        context = pictures.pop('context')
        row = {**row, 'picture': number, 'runs': pictures.pop('runs', None)}
        parts = {f'{name}-{row["item"]}': x for name, x in pictures.items()}
        if image not in self._images:
            parts[f'context-{number}'] = context
        tags = [
            TAG.format(name, base64.b64encode(data).decode())
            for name, data in parts.items()
        ]
        written = _json(row)
        comma = len(self.rows) > 0
        self.needed = self._size + len(written) + comma + sum(map(len, tags))
        if self.needed > self.most:
            return False
        self._size = self.needed
        self._images[image] = number
        self.rows.append(written)
        self._parts += tags
        return True

    def render(self) -> str:
        """Write the page."""
        items = ','.join(self.rows)
        asked = f'{{"session":{self._session},"items":[{items}]}}'
        tags = [TAG.format('asked', asked), *self._parts]
        return ''.join([self._start, *tags, self._end])
