"""A server of the annotation page that forgets all, and fails on request."""

from __future__ import annotations

import asyncio
import hashlib
import io
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field

import cv2
import jinja2
import numpy as np
import uvicorn
from PIL import Image
from starlette.applications import Starlette
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from tests.annotation.browsing import WEB

POLICY = (
    "default-src 'self'; img-src 'self' blob: data:; object-src 'none'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
KEYS = '1234567890acdgijklmnoqrstwy'


@dataclass
class Question:
    image: str
    kind: str
    answer: str
    box: tuple[int, int, int, int]
    inside: np.ndarray | None = None  # bool (h, w) of a region
    rev: int = 0
    standing: dict | None = None
    mask: bytes | None = None
    skipped: bool = False
    tab: str | None = None


CLASSES = [('road', '#804080'), ('tree', '#6b8e23'), ('sky', '#4682b4')]
SIZE = (60, 90)


def pictures(count: int = 2) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    small = rng.integers(0, 255, (count, 6, 9, 3), np.uint8)
    return {
        f'{i}.png': cv2.resize(one, SIZE[::-1]) for i, one in enumerate(small)
    }


def pixels(count: int) -> list[Question]:
    return [
        Question(f'{i % 2}.png', 'pixel', 'class', (i % 60, 7 * i % 90, 1, 1))
        for i in range(count)
    ]


def discs(count: int, answer: str = 'class') -> list[Question]:
    inside = np.hypot(*(np.indices((21, 21)) - 10)) <= 10
    boxes = [(5 + i, 9 + 2 * i, 21, 21) for i in range(count)]
    return [
        Question(f'{i % 2}.png', 'region', answer, box, inside)
        for i, box in enumerate(boxes)
    ]


def wholes(count: int = 2) -> list[Question]:
    return [
        Question(f'{i % 2}.png', 'image', 'mask', (0, 0, *SIZE))
        for i in range(count)
    ]


@contextmanager
def asking(questions: list[Question], **options):
    """Serve these questions."""
    fake = Fake(pictures(), questions, CLASSES, **options)
    with fake.serving():
        yield fake


@dataclass
class Fake:
    """State of one round; tests read and change it between requests."""

    images: dict[str, np.ndarray]  # name -> uint8 RGB (H, W, 3)
    questions: list[Question]
    classes: list[tuple[str, str]]
    round: int = 3
    state: str = 'asking'
    folder: str = '0123abcd'
    annotator: str = 'ada'
    url: str = ''
    lag: float = 0.0  # seconds before each reply of /api
    signed_in: bool = True
    broken: set[str] = field(default_factory=set)  # paths that answer 503
    posts: list[dict] = field(default_factory=list)  # written answers
    asked: list[str] = field(default_factory=list)  # paths of all requests
    clients: dict[str, dict] = field(default_factory=dict)

    @property
    def request(self) -> str:
        return hashlib.sha256(f'round {self.round}'.encode()).hexdigest()

    def again(self, questions: list[Question]) -> None:
        """Ask another round."""
        self.questions, self.state = questions, 'asking'
        self.round += 1

    def answer_elsewhere(self, item: int, who: str, cls: int) -> None:
        one = self.questions[item]
        one.rev += 1
        one.standing = {'what': 'class', 'class': cls, 'who': who}

    def item(self, index: int) -> dict:
        one = self.questions[index]
        height, width = self.images[one.image].shape[:2]
        top, left, h, w = one.box
        margin = {'pixel': 32, 'region': max(8, h // 2, w // 2), 'image': 0}
        m = margin[one.kind]
        y, x = max(0, top - m), max(0, left - m)
        crop = (
            y,
            x,
            min(height, top + h + m) - y,
            min(width, left + w + m) - x,
        )
        return {
            'item': index, 'rev': one.rev, 'image': one.image,
            'size': [height, width], 'kind': one.kind, 'answer': one.answer,
            'box': list(one.box), 'crop': list(crop), 'skipped': one.skipped,
        }  # fmt: skip

    # --- endpoints ---

    async def page(self, _):
        template = jinja2.Template(
            (WEB / 'index.html.j2').read_text(), autoescape=True
        )
        return HTMLResponse(template.render(experiment='street scenes'))

    async def session(self, _):
        classes = [
            {'id': i, 'name': name, 'colour': colour, 'key': KEYS[i]}
            for i, (name, colour) in enumerate(self.classes)
        ]
        return JSONResponse({
            'annotator': self.annotator, 'experiment': 'street scenes',
            'folder': self.folder,
            'state': self.state, 'round': self.round, 'request': self.request,
            'unit': 'pixel', 'total': len(self.questions), 'classes': classes,
        })  # fmt: skip

    async def progress(self, _):
        done = sum(one.standing is not None for one in self.questions)
        left = len(self.questions) - done
        return JSONResponse({
            'state': self.state, 'round': self.round, 'request': self.request,
            'total': len(self.questions), 'answered': done,
            'skipped': sum(one.skipped for one in self.questions),
            'mine': done, 'seconds_per_answer': 2.1 if done else None,
            'seconds_left': 2.1 * left if done else None,
            'undoable': done > 0,
        })  # fmt: skip

    async def next(self, request):
        tab, n = request.query_params['tab'], int(request.query_params['n'])
        opened = [
            i
            for i, one in enumerate(self.questions)
            if one.standing is None and one.tab in (None, tab)
        ]
        opened.sort(key=lambda i: self.questions[i].skipped)
        for i in opened[:n]:
            self.questions[i].tab = tab
        return JSONResponse({
            'request': self.request,
            'open': sum(one.standing is None for one in self.questions),
            'items': [self.item(i) for i in opened[:n]],
        })  # fmt: skip

    async def picture(self, request):
        index = request.path_params['item']
        one, what = self.questions[index], request.path_params['what']
        image = self.images[one.image]
        top, left, h, w = self.item(index)['crop']
        crop = image[top : top + h, left : left + w]
        if what == 'crop':
            return encoded(crop, 'PNG')
        if what == 'context':
            scale = min(1, 1024 / max(image.shape[:2]))
            return encoded(cv2.resize(image, None, fx=scale, fy=scale), 'JPEG')
        if what == 'superpixels':
            rows, columns = np.indices(crop.shape[:2]) // 12
            ids = (rows * 1000 + columns).astype(np.uint32)
            return encoded(
                np.stack([ids >> 16, ids >> 8 & 255, ids & 255], -1)
                .astype(np.uint8), 'PNG',
            )  # fmt: skip
        if what == 'region':
            flat = np.r_[0, one.inside.ravel().astype(int), 0]
            starts, ends = (
                np.flatnonzero(np.diff(flat) == s) for s in (1, -1)
            )
            return JSONResponse(
                {'runs': np.stack([starts, ends - starts], 1).tolist()}
            )
        if one.mask is None:
            return JSONResponse({'error': 'no mask'}, 404)
        return Response(one.mask, media_type='image/png')

    async def put_mask(self, request):
        one = self.questions[request.path_params['item']]
        one.mask = await request.body()
        with Image.open(io.BytesIO(one.mask)) as image:
            assert image.mode == 'L', image.mode
            assert image.size == (one.box[3], one.box[2]), image.size
        return JSONResponse({'mask': hashlib.sha256(one.mask).hexdigest()})

    async def answers(self, request):
        sent = await request.json()
        if sent['client'] in self.clients:
            return JSONResponse(self.clients[sent['client']])
        if self.state != 'asking':
            return JSONResponse({'error': 'the round is closing'}, 423)
        if sent['request'] != self.request:
            return JSONResponse({'error': 'another round'}, 410)
        one = self.questions[sent['item']]
        if one.rev != sent['rev']:
            refusal = {'error': 'answered', 'rev': one.rev}
            return JSONResponse({**refusal, 'standing': one.standing}, 409)
        one.rev += 1
        if sent['what'] == 'skip':
            one.skipped = True
        else:
            one.standing = {
                **{k: sent[k] for k in ('what', 'class')}, 'who': 'ada',
            }  # fmt: skip
        self.posts.append(sent)
        done = sum(one.standing is not None for one in self.questions)
        reply = self.clients[sent['client']] = {
            'rev': one.rev, 'answered': done
        }  # fmt: skip
        return JSONResponse(reply)

    async def undo(self, request):
        sent = await request.json()
        if sent['client'] in self.clients:
            return JSONResponse(self.clients[sent['client']])
        reply = {'item': None, 'was': None}
        for past in reversed(self.posts):
            one = self.questions[past['item']]
            if past['what'] == 'skip' and one.skipped and not one.standing:
                was, one.skipped = {'what': 'skip', 'class': None}, False
            elif past['what'] != 'skip' and one.standing:
                was, one.standing = one.standing, None
            else:
                continue
            one.rev += 1
            reply = {'item': self.item(past['item']), 'was': was}
            break
        self.clients[sent['client']] = reply
        return JSONResponse(reply)

    async def close(self, _):
        self.state = 'closing'
        return JSONResponse({'state': 'closing'})

    def app(self) -> Starlette:
        item = '/api/items/{item:int}'
        app = Starlette(routes=[
            Route('/', self.page),
            Route('/api/session', self.session),
            Route('/api/progress', self.progress),
            Route('/api/next', self.next),
            Route(item + '/mask', self.put_mask, methods=['PUT']),
            Route(item + '/{what}', self.picture),
            Route('/api/answers', self.answers, methods=['POST']),
            Route('/api/undo', self.undo, methods=['POST']),
            Route('/api/close', self.close, methods=['POST']),
            Mount('/static', StaticFiles(directory=WEB)),
        ])  # fmt: skip

        async def fail(request, call_next):
            path = request.url.path
            self.asked.append(path)
            if path.startswith('/api'):
                begun = time.monotonic()
                while time.monotonic() - begun < self.lag:
                    await asyncio.sleep(0.01)
                if path in self.broken:
                    return JSONResponse({'error': 'broken'}, 503)
                if not self.signed_in:
                    return JSONResponse({'error': 'no token'}, 401)
            reply = await call_next(request)
            reply.headers['Content-Security-Policy'] = POLICY
            return reply

        app.add_middleware(BaseHTTPMiddleware, dispatch=fail)
        return app

    @contextmanager
    def serving(self):
        """Serve from a thread; ``url`` says where."""
        config = uvicorn.Config(
            self.app(),
            host='127.0.0.1',
            port=0,
            lifespan='off',
            log_level='critical',
        )
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, daemon=True)
        thread.start()
        while not server.started:
            time.sleep(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        self.url = f'http://127.0.0.1:{port}/'
        try:
            yield self
        finally:
            server.should_exit = True
            server.force_exit = True
            thread.join(5)


def encoded(image: np.ndarray, kind: str) -> Response:
    target = io.BytesIO()
    Image.fromarray(image).save(target, kind)
    return Response(
        target.getvalue(),
        media_type=f'image/{kind.lower()}',
        headers={'Cache-Control': 'max-age=600, immutable'},
    )
