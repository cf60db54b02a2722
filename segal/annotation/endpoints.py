"""Answer the requests of the page."""

from __future__ import annotations

import asyncio
import logging
import string
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import BaseRoute, Route

from segal.active.label_store.pool_file import PoolFile
from segal.annotation import bodies
from segal.annotation.bodies import MOST_BYTES, RefusedError, nonsense
from segal.annotation.crops import runs_of
from segal.annotation.desk import Desk
from segal.annotation.masks import clean_mask, most_bytes
from segal.annotation.request import Item
from segal.annotation.rounds import ONLY_REVIEWERS, OVER, Asked
from segal.errors import SegALError, StateError

log = logging.getLogger(__name__)

TYPES = {
    '.js': 'text/javascript',
    '.css': 'text/css',
    '.svg': 'image/svg+xml',
    '.png': 'image/png',
    '.woff2': 'font/woff2',
}
"""Of the page's files; no others are served."""

MOST_ITEMS = 64
USED_KEYS = 'vxhzbpfue'
KEYS = [*'1234567890', *sorted({*string.ascii_lowercase} - {*USED_KEYS})]
"""Of the classes, in order."""

T = TypeVar('T')


def class_rows(pool: PoolFile) -> list[dict[str, Any]]:
    """Describe the classes as pages get them, each with its key."""
    keys = KEYS + [''] * len(pool.classes)
    return [
        dict(
            id=index,
            name=name,
            colour='#' + bytes(pool.palette[index]).hex(),
            key=keys[index],
        )
        for index, name in enumerate(pool.classes)
    ]


class Web:
    """The page's own files, read once."""

    def __init__(self, folder: Path) -> None:
        self.files = {
            path.name: (path.read_bytes(), TYPES[path.suffix])
            for path in folder.iterdir()
            if path.suffix in TYPES
        }
        environment = Environment(
            loader=FileSystemLoader(folder),
            autoescape=True,
            undefined=StrictUndefined,
        )
        self.index = environment.get_template('index.html.j2')


class Endpoints:
    """What the page can ask for."""

    def __init__(self, desk: Desk, web: Web) -> None:
        self.desk = desk
        self.web = web

    def routes(self) -> list[BaseRoute]:
        """List the addresses; images and files are asked by number or name."""
        item = '/api/items/{item:int}/'
        return [
            Route('/', self.page),
            Route('/static/{name}', self.static),
            Route('/api/session', self.session),
            Route('/api/progress', self.progress),
            Route('/api/next', self.next),
            Route(item + 'crop', self.crop),
            Route(item + 'context', self.context),
            Route(item + 'region', self.region),
            Route(item + 'superpixels', self.superpixels),
            Route(item + 'mask', self.mask),
            Route(item + 'mask', self.put_mask, methods=['PUT']),
            Route('/api/review', self.review),
            Route(item + 'votes/{letter}', self.vote),
            Route('/api/answers', self.answer, methods=['POST']),
            Route('/api/undo', self.undo, methods=['POST']),
            Route('/api/close', self.close, methods=['POST']),
        ]

    async def page(self, request: Request) -> Response:
        """Return the page."""
        return HTMLResponse(
            self.web.index.render(
                annotator=request.scope['who'],
                experiment=self._experiment(),
            )
        )

    async def static(self, request: Request) -> Response:
        """Return a file of the page."""
        found = self.web.files.get(request.path_params['name'])
        if found is None:
            raise HTTPException(404)
        return Response(found[0], media_type=found[1])

    def _experiment(self) -> str:
        return self.desk.folder.work_dir.resolve().name

    async def session(self, request: Request) -> Response:
        """Say who asks, what is asked, and which classes there are."""
        await self.desk.do(lambda: None)
        asked, crops = self.desk.asked, self.desk.crops
        pool = crops.pool if crops else None
        return JSONResponse(
            dict(
                annotator=request.scope['who'],
                experiment=self._experiment(),
                folder=self.desk.folder.mark,
                state=self.desk.state,
                round=asked.round if asked else None,
                request=asked.request.sha256 if asked else None,
                unit=asked.request.unit if asked else None,
                total=len(asked.request) if asked else 0,
                classes=class_rows(pool) if pool else [],
                **self._more(request.scope['who']),
            )
        )

    def _more(self, who: str) -> dict[str, str]:
        """Say what is so in some experiments, or for some people, only."""
        more: dict[str, str] = {}
        if self.desk.folder.people().get(who) == 'reviewer':
            more['role'] = 'reviewer'
        if self.desk.asked and self.desk.asked.options.suggest != 'none':
            more['suggest'] = self.desk.asked.options.suggest
        return more

    async def progress(self, request: Request) -> Response:
        """Count what is done."""
        return JSONResponse(
            await self.desk.do(self._progress, request.scope['who'])
        )

    def _progress(self, who: str) -> dict[str, Any]:
        asked = self.desk.asked
        return dict(
            state=self.desk.state,
            round=asked.round if asked else None,
            request=asked.request.sha256 if asked else None,
            **(asked.progress(who) if asked else NOTHING),
        )

    async def review(self, request: Request) -> Response:
        """Return the next items that people disagree about, to a reviewer."""
        who, asked = request.scope['who'], self.desk.asked
        if asked and not asked.is_reviewer(who):
            raise RefusedError(403, ONLY_REVIEWERS)
        return await self.next(request)

    async def vote(self, request: Request) -> Response:
        """Return the mask that one person painted, to a reviewer."""
        asked, item = self._asked(request)
        digest = await self.desk.do(
            asked.vote,
            item.index,
            request.path_params['letter'],
            request.scope['who'],
        )
        return await self._mask(item, digest)

    async def next(self, request: Request) -> Response:
        """Lease the next items to a tab."""
        who = request.scope['who']
        count = bodies.of_count(request.query_params, MOST_ITEMS)
        tab = bodies.of_tab(request.query_params)

        def take() -> dict[str, Any]:
            asked = self.desk.asked
            if asked is None or self.desk.is_closing:
                digest = asked.request.sha256 if asked else None
                return dict(request=digest, open=0, items=[])
            return asked.next(who, tab, count)

        return JSONResponse(await self.desk.do(take))

    def _asked(self, request: Request) -> tuple[Asked, Item]:
        """Return the round and the item that an address names."""
        digest = request.query_params.get('request', '')
        if not 16 <= len(digest) <= 64:
            raise nonsense('request: wanted the first 16 digits of it')
        asked = self.desk.of(digest)
        return asked, asked.item(request.path_params['item'])

    async def _picture(
        self, make: Callable[..., bytes], what: Any, kind: str
    ) -> Response:
        crops = self.desk.crops
        assert crops is not None
        background = make == crops.superpixels
        pool = crops.background if background else crops.threads
        loop = asyncio.get_running_loop()
        data = await loop.run_in_executor(pool, make, what)
        return Response(data, media_type=kind)

    async def crop(self, request: Request) -> Response:
        """Return the crop of an item, without loss."""
        asked, item = self._asked(request)
        return await self._picture(asked.crops.crop, item, 'image/png')

    async def context(self, request: Request) -> Response:
        """Return the whole image of an item."""
        asked, item = self._asked(request)
        context = asked.crops.context
        return await self._picture(context, item.image, 'image/jpeg')

    async def superpixels(self, request: Request) -> Response:
        """Return the superpixels of an item's crop."""
        asked, item = self._asked(request)
        return await self._picture(asked.crops.superpixels, item, 'image/png')

    async def region(self, request: Request) -> Response:
        """Return the runs of pixels of a region."""
        _, item = self._asked(request)
        if item.kind != 'region':
            raise RefusedError(404, f'item {item.index} is no region')
        return JSONResponse(dict(runs=runs_of(item)))

    async def mask(self, request: Request) -> Response:
        """Return the mask of an item."""
        asked, item = self._asked(request)
        digest = await self.desk.do(
            asked.mask, item.index, request.scope['who']
        )
        return await self._mask(item, digest)

    async def _mask(self, item: Item, digest: str | None) -> Response:
        if digest is None:
            raise RefusedError(404, f'item {item.index} has no mask')
        data = await asyncio.to_thread(
            self.desk.folder.mask_path(digest).read_bytes
        )
        return Response(data, media_type='image/png')

    async def put_mask(self, request: Request) -> Response:
        """Keep a mask, for an answer that names it."""
        await self.desk.do(lambda: None)
        asked = self.desk.of(request.query_params.get('request', ''))
        item = asked.item(request.path_params['item'])
        if self.desk.is_closing:
            raise RefusedError(423, OVER)
        if item.answer != 'mask':
            raise nonsense(f'item {item.index} wants a class, not a mask')
        body = await bodies.read_body(request, 'image/png', most_bytes(item))
        loop = asyncio.get_running_loop()
        try:
            png = await loop.run_in_executor(
                asked.crops.threads, clean_mask, body, item, asked.classes
            )
        except ValueError as error:
            raise nonsense(f'mask: {error}') from error
        digest = await self.desk.do(self.desk.folder.write_mask, png)
        return JSONResponse(dict(mask=digest))

    async def answer(self, request: Request) -> Response:
        """Write an answer, and acknowledge it once it is on disk."""
        body = await bodies.read_body(request, 'application/json', MOST_BYTES)
        asked = self.desk.asked
        who = request.scope['who']
        classes = asked.classes if asked else 255
        answer = bodies.parse_answer(body, classes, who)
        if answer['mask'] and asked:
            await asyncio.to_thread(self._check_mask, asked, answer)
        return JSONResponse(await self.desk.do(self.desk.answer, who, answer))

    def _check_mask(self, asked: Asked, answer: dict[str, Any]) -> None:
        """Check that the mask of an answer is on disk, and fits the item."""
        if asked.request.sha256 != answer['request']:
            return
        item = asked.item(answer['item'])
        if item.answer != 'mask':
            raise nonsense(f'item {item.index} wants a class, not a mask')
        try:
            self.desk.folder.read_mask(answer['mask'], item.box[2:])
        except StateError:
            raise nonsense(
                'mask: wanted one that was sent for this item; send it again'
            ) from None

    async def undo(self, request: Request) -> Response:
        """Reopen the last answer of the person that still stands."""
        body = await bodies.read_body(request, 'application/json', MOST_BYTES)
        keys = {'request', 'client', 'annotator'}
        value, who = bodies.parse_object(body, keys), request.scope['who']
        bodies.check_person(value, who)
        digest, client = bodies.of_request(value), bodies.of_client(value)
        return JSONResponse(
            await self.desk.do(lambda: self.desk.of(digest).undo(who, client))
        )

    async def close(self, request: Request) -> Response:
        """Take no further answers: what is answered is trained on."""
        body = await bodies.read_body(request, 'application/json', MOST_BYTES)
        value = bodies.parse_object(body, {'request'})
        digest, who = bodies.of_request(value), request.scope['who']
        await self.desk.do(self.desk.close_round, who, digest)
        return JSONResponse(dict(state='closing'))


NOTHING = dict(
    total=0,
    answered=0,
    skipped=0,
    mine=0,
    seconds_per_answer=None,
    seconds_left=None,
    undoable=False,
)
"""The progress while nothing is asked."""


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, RefusedError)
    return JSONResponse(error.body, error.status)


async def _failed(request: Request, error: Exception) -> Response:
    """Say that a file failed us, without its path, which is logged."""
    log.error('%s', error)
    sentence = 'a file cannot be read or written; the terminal says which'
    return JSONResponse({'error': sentence}, 500)


async def _no_page(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    sentences = {404: 'there is no such page', 405: 'wanted another method'}
    sentence = sentences.get(error.status_code, 'the request is not valid')
    return JSONResponse({'error': sentence}, error.status_code, error.headers)


HANDLERS: Any = {
    RefusedError: _refused,
    SegALError: _failed,
    HTTPException: _no_page,
}
"""What becomes of the errors of an endpoint."""
