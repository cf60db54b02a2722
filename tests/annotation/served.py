"""A small work_dir that is asked, and a client of its page."""

import io
import json
import socket
import uuid

import cv2
import numpy as np
from PIL import Image
from starlette.testclient import TestClient

from segal.active.label_store.file import LabelFile, encode
from segal.annotation.folder import AnnotationFolder
from segal.annotation.security import Annotators
from segal.annotation.server import create_app
from segal.structures import REFUSED

CLASSES = ['road', 'tree', 'sky']
SIZE = (90, 120)
HOST = 'http://localhost:8460'


def write_pool(work_dir, count=3, size=SIZE, draw=None):
    """Write images and pool.json; return the images, RGB, by name."""
    rng = np.random.default_rng(0)
    (work_dir / 'images').mkdir(parents=True)
    rows, images = [], {}
    for number in range(count):
        name = f'{number}.png'
        path = work_dir / 'images' / name
        image = draw(number) if draw else rng.integers(
            0, 255, (*size, 3), np.uint8
        )  # fmt: skip
        assert cv2.imwrite(str(path), image[..., ::-1])
        rows.append(dict(name=name, size=list(size), file=str(path)))
        images[name] = image
    content = dict(
        images=rows,
        classes=CLASSES,
        palette=[[128, 64, 128], [0, 128, 0], [70, 130, 180]],
    )
    (work_dir / 'pool.json').write_text(json.dumps(content))
    return images


def request_of(unit, round=0, count=3, size=SIZE, each=4, answer='dominant'):
    """Make the bytes of a request, with ``each`` items an image."""
    height, width = size
    rows = [(f'{number}.png', height, width) for number in range(count)]
    rng = np.random.default_rng(round)
    more = {}
    if unit == 'image':
        places = np.empty((0, 0))
        items = len(rows)
        more['shares'] = np.zeros((items, 3), np.int32)
        more['maps'] = [None] * items
    elif unit == 'region':  # squares of 8, the corner of each cut off
        top, left = np.divmod(np.arange(each), 5)
        inside = np.delete(np.arange(64), 0)
        rows_in = top[:, None] * 16 + inside // 8 + 3
        columns = left[:, None] * 16 + inside % 8 + 5
        flat = (rows_in * width + columns).reshape(-1)
        order = np.argsort(flat)
        regions = np.repeat(np.arange(each), 63)[order]
        places = np.tile(flat[order], (count, 1))
        more['regions'] = np.tile(regions, count).astype(np.int32)
        more['answer'] = answer
    else:
        places = np.sort(
            np.stack(
                [rng.choice(height * width, each, replace=False) for _ in rows]
            )
        )
    items = len(rows) if unit == 'image' else places.size
    whole = unit == 'image'
    offsets = np.arange(count + 1) * (0 if whole else places.shape[1])
    return encode(
        LabelFile(
            round,
            'image' if whole else 'pixel',
            rows,
            offsets.astype(np.int32),
            'e' * 64,
            'p' * 64,
            '',
            places=places.reshape(-1).astype(np.int32),
            classes=np.full(0 if whole else items, 255, np.uint8),
            status=np.full(items, REFUSED, np.uint8),
            scores=rng.random(items, dtype=np.float32),
            **more,
        )
    )


def ask(work_dir, unit='pixel', round=0, **options):
    """Freeze a request in a work_dir; make its pool where there is none."""
    if not (work_dir / 'pool.json').exists():
        write_pool(
            work_dir, options.get('count', 3), options.get('size', SIZE)
        )
    folder = AnnotationFolder(work_dir)
    folder.freeze(round, request_of(unit, round, **options))
    return folder.request(round)


class Page(TestClient):
    """The page of one person, signed in."""

    def __init__(self, app, token=None):
        super().__init__(app, HOST, follow_redirects=False)
        self.headers['origin'] = HOST
        self.headers['sec-fetch-site'] = 'same-origin'
        if token:
            assert self.get('/', params={'token': token}).status_code == 303

    def json(self, path, status=200, **params):
        reply = self.get(path, params=params)
        assert reply.status_code == status, reply.text
        return reply.json()

    def say(self, path, status=200, **body):
        reply = self.post(path, json=body)
        assert reply.status_code == status, reply.text
        return reply.json()

    def next(self, n=8, tab='tab'):
        return self.json('/api/next', n=n, tab=tab)

    def items(self, n=8, tab='tab'):
        return [one['item'] for one in self.next(n, tab)['items']]

    def answer(self, item, status=200, rev=0, what='class', **more):
        more.setdefault('client', str(uuid.uuid4()))
        more.setdefault('request', self.asked)
        if what == 'class':
            more.setdefault('class', 1)
        return self.say(
            '/api/answers', status, item=item, rev=rev, what=what, **more
        )

    def undo(self, status=200, client=None):
        client = client or str(uuid.uuid4())
        return self.say('/api/undo', status, request=self.asked, client=client)

    def put_mask(self, item, png, status=200, kind='image/png'):
        reply = self.put(
            f'/api/items/{item}/mask', content=png, headers={
                'content-type': kind,
            },
        )  # fmt: skip
        assert reply.status_code == status, reply.text
        return reply.json()


def pages(work_dir, *names, **options):
    """Make an app, and the page of each person."""
    people = Annotators(work_dir / 'annotation' / 'annotators.json')
    tokens = people.issue(names)
    app = create_app(work_dir, people, **options)
    made = []
    for name in names:
        page = Page(app, tokens[name])
        page.asked = page.json('/api/session')['request']
        made.append(page)
    return made


def png_of(array, mode=None, **options):
    buffer = io.BytesIO()
    image = Image.fromarray(array)
    if mode:
        image = image.convert(mode)
    image.save(buffer, 'PNG', **options)
    return buffer.getvalue()


def decoded(data):
    return np.array(Image.open(io.BytesIO(data)))


def raw(port, data, until_closed=True):
    """Send bytes to a real server; return what comes back."""
    with socket.create_connection(('127.0.0.1', port), timeout=10) as link:
        link.sendall(data)
        parts = []
        while part := link.recv(65536):
            parts.append(part)
            if not until_closed:
                break
        return b''.join(parts)
