"""Measure the annotation server against its targets, on a pool it makes up.

Usage: python tools/benchmark/annotation.py [--items 10000] [--images 48]
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT))

from segal.active.label_store.file import LabelFile, encode
from segal.annotation.folder import AnnotationFolder
from segal.annotation.journal import encode_line
from segal.structures import REFUSED

SIZE = (1024, 2048)
PEOPLE = 5
PAUSE = 0.25
"""Seconds between two answers of a person; most people take longer."""

KEY_PAUSE = 150
"""Milliseconds between two keys."""

TARGETS = {
    'answer, five at once, p95': 10,
    'crop that was not prefetched': 120,
    'start with 100,000 answers': 2000,
    'memory': 400,
    'key to next painted, p95': 50,
    'take 100,000 answers': 10_000,
}


def write_images(work_dir: Path, count: int) -> None:
    """Write images as large as photographs, and ``pool.json``."""
    (work_dir / 'images').mkdir(parents=True)
    rng, rows = np.random.default_rng(0), []
    for number in range(count):
        coarse = rng.integers(0, 255, (16, 32, 3), np.uint8)
        image = cv2.resize(coarse, SIZE[::-1], interpolation=cv2.INTER_CUBIC)
        image ^= rng.integers(0, 8, image.shape, np.uint8)  # grain
        path = work_dir / 'images' / f'{number:04d}.png'
        cv2.imwrite(str(path), image)
        rows.append(dict(name=path.name, size=SIZE, file=str(path)))
    classes = [f'class {number}' for number in range(19)]
    palette = rng.integers(0, 255, (19, 3)).tolist()
    content = dict(images=rows, classes=classes, palette=palette)
    (work_dir / 'pool.json').write_text(json.dumps(content))


def freeze(work_dir: Path, items: int, images: int) -> None:
    """Ask for pixels, the same number in each image."""
    rng, each = np.random.default_rng(1), items // images
    places = [
        np.sort(rng.choice(SIZE[0] * SIZE[1], each, replace=False))
        for _ in range(images)
    ]
    count = each * images
    content = LabelFile(
        0,
        'pixel',
        [(f'{number:04d}.png', *SIZE) for number in range(images)],
        np.arange(images + 1, dtype=np.int32) * each,
        places=np.concatenate(places).astype(np.int32),
        classes=np.full(count, 255, np.uint8),
        status=np.full(count, REFUSED, np.uint8),
    )
    AnnotationFolder(work_dir).freeze(0, encode(content))


def write_answers(work_dir: Path, count: int, votes: int = 1) -> None:
    """Write a journal of so many answers, without a sync for each."""
    folder = AnnotationFolder(work_dir)
    folder.write_options(votes=votes)
    request = folder.request(0)
    folder.journal(request, 19).close()
    with open(folder.file(0, 'jsonl'), 'ab') as file:
        for number in range(count):
            item = number // votes
            event: dict[str, Any] = dict(n=number + 1, item=item, rev=1)
            person = (item + number % votes) % PEOPLE
            event.update(who=f'person {person}', what='class')
            event.update(mask=None, ms=1430, hidden_ms=0, hint=None)
            event.update(client=str(uuid.uuid4()))
            event.update(at='2026-01-01T00:00:00.000+00:00')
            file.write(encode_line({**event, 'class': item % 19}))


class Child:
    """A server in a process of its own.

    Args:
        work_dir: That it serves.
    """

    def __init__(self, work_dir: Path) -> None:
        begin = time.perf_counter()
        self.process = subprocess.Popen(
            [sys.executable, __file__, '--serve', str(work_dir)],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout
        said = json.loads(self.process.stdout.readline())
        self.whole = 1000 * (time.perf_counter() - begin)
        self.imports: float = said['imports']
        self.start: float = said['start']
        self.urls: dict[str, str] = said['urls']

    def megabytes(self) -> float:
        """Return the most memory that it had, MiB."""
        status = Path(f'/proc/{self.process.pid}/status').read_text()
        peak = next(x for x in status.splitlines() if x.startswith('VmHWM'))
        return int(peak.split()[1]) / 1024

    def end(self) -> None:
        """End it."""
        self.process.terminate()
        self.process.wait()


def serve_here(work_dir: Path) -> None:
    """Serve, and tell how long that took; the work of a child."""
    begin = time.perf_counter()
    from segal.annotation import server

    imported = time.perf_counter()
    people = [f'person {number}' for number in range(PEOPLE)]
    with server.serve(work_dir, port=0, annotators=people) as running:
        ready = time.perf_counter()
        said = dict(
            imports=1000 * (imported - begin),
            start=1000 * (ready - imported),
            urls=running.urls,
        )
        print(json.dumps(said), flush=True)
        running.wait()


class Link:
    """A connection that stays open, as a browser's; cheap on our side."""

    def __init__(self, url: str) -> None:
        address, _, token = url.partition('/?token=')
        host = address.partition('//')[2]
        name, _, port = host.partition(':')
        self.socket = socket.create_connection((name, int(port)))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.head = (
            f'HTTP/1.1\r\nHost: {host}\r\nOrigin: {address}\r\n'
            f'Cookie: segal_{port}={token}\r\n'
        )

    def ask(self, method: str, path: str, body: bytes = b'') -> bytes:
        """Send a request, and return the body of the response."""
        head = f'{method} {path} {self.head}'
        if body:
            head += 'Content-Type: application/json\r\n'
            head += f'Content-Length: {len(body)}\r\n'
        self.socket.sendall(head.encode() + b'\r\n' + body)
        data = b''
        while b'\r\n\r\n' not in data:
            part = self.socket.recv(65536)
            if not part:
                raise SystemExit(f'{path}: the server hung up')
            data += part
        found, _, data = data.partition(b'\r\n\r\n')
        lines = found.lower().split(b'\r\n')
        lengths = (x for x in lines if x.startswith(b'content-length'))
        length = int(next(lengths).split(b':')[1])
        parts, got = [data], len(data)
        while got < length:
            parts.append(self.socket.recv(1 << 20))
            got += len(parts[-1])
        if b' 200 ' not in lines[0] + b' ':
            raise SystemExit(f'{path}: {lines[0]!r} {data[:200]!r}')
        return b''.join(parts)


def timed(function: Callable[[], Any]) -> float:
    """Return how long a call takes, in ms."""
    begin = time.perf_counter()
    function()
    return 1000 * (time.perf_counter() - begin)


def post_answers(
    urls: Iterable[str], each: int, first: int, pause: float
) -> list[float]:
    """Let people answer, all at the same moments; return ms of each."""
    times: list[float] = []
    people = list(urls)
    together = threading.Barrier(len(people))

    def work(person: int) -> None:
        link = Link(people[person])
        session = json.loads(link.ask('GET', '/api/session'))
        for number in range(each):
            body = {
                'request': session['request'],
                'item': first + number * len(people) + person,
                'rev': 0,
                'what': 'class',
                'class': number % 19,
                'ms': 1430,
                'client': str(uuid.uuid4()),
            }
            data = json.dumps(body).encode()
            if pause:
                time.sleep(pause)
                together.wait()
            times.append(timed(lambda: link.ask('POST', ANSWERS, data)))  # noqa: B023

    threads = [
        threading.Thread(target=work, args=(one,))
        for one in range(len(people))
    ]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    return times


ANSWERS = '/api/answers'


def percentiles(times: list[float]) -> str:
    """Write median, 95th percentile and maximum."""
    cuts = statistics.quantiles(times, n=20)
    middle = statistics.median(times)
    return f'p50 {middle:.1f}, p95 {cuts[-1]:.1f}, max {max(times):.1f} ms'


def measure_service(work_dir: Path, images: int, each: int) -> None:
    """Print times of answers and pictures, and the memory."""
    child = Child(work_dir)
    link = Link(child.urls['person 0'])
    session = json.loads(link.ask('GET', '/api/session'))
    query = f'?request={session["request"][:16]}'
    per_image = session['total'] // images

    def picture(number: int, what: str) -> float:
        path = f'/api/items/{number * per_image}/{what}{query}'
        return timed(lambda: link.ask('GET', path))

    crops = [picture(number, 'crop') for number in range(images)]
    print(f'crop that was not prefetched: {percentiles(crops)}')
    again = [picture(images - 1, 'crop') for _ in range(50)]
    print(f'crop of an image that is decoded: {percentiles(again)}')
    contexts = [picture(number, 'context') for number in range(images)]
    print(f'whole image as JPEG, some decoded: {percentiles(contexts)}')
    people = child.urls.values()
    times = post_answers(people, each, 0, PAUSE)
    print(f'answer, {PEOPLE} at once: {percentiles(times)}')
    first = PEOPLE * each
    times = post_answers(people, each, first, 0)
    print(f'answer, {PEOPLE} without a pause: {percentiles(times)}')
    path = '/api/next?n=8&tab=a'
    link = Link(child.urls['person 0'])
    nexts = [timed(lambda: link.ask('GET', path)) for _ in range(100)]
    print(f'next eight items: {percentiles(nexts)}')
    print(f'memory, at most: {child.megabytes():.0f} MiB')
    child.end()


def measure_keys(work_dir: Path, keys: int) -> None:
    """Print the time from a key to the next item, in Chromium."""
    from playwright.sync_api import sync_playwright

    child = Child(work_dir)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which('chromium') or '/usr/bin/chromium',
            args=['--no-sandbox'],
        )
        size = dict(width=1280, height=800)
        page = browser.new_context(viewport=size).new_page()
        page.goto(child.urls['person 0'])
        page.wait_for_function('() => document.body.dataset.item !== ""')
        for number in range(keys):
            page.wait_for_timeout(KEY_PAUSE)
            page.keyboard.press('123456789'[number % 9])
        page.wait_for_function('() => document.body.dataset.waiting === "0"')
        times = page.evaluate(
            """() => performance.getEntriesByName('key to next painted')
                .map(one => one.duration)"""
        )
        browser.close()
    child.end()
    print(
        f'key to next painted, a key each {KEY_PAUSE} ms, {len(times)} keys: '
        f'{percentiles(times)}'
    )


def measure_start(work_dir: Path, answers: int, votes: int) -> None:
    """Print how long a server takes to start over a long journal."""
    write_images(work_dir, 2)
    freeze(work_dir, answers // votes, 2)
    write_answers(work_dir, answers, votes)
    children = []
    for _ in range(3):
        child = Child(work_dir)
        children.append((child.start, child.imports, child.whole))
        memory = child.megabytes()
        child.end()
    start, imports, whole = (
        statistics.median(x) for x in zip(*children, strict=True)
    )
    print(
        f'start with {answers:,} answers, {votes} an item: {start:.0f} ms; '
        f'{imports:.0f} ms of imports before it; {whole:.0f} ms with the '
        f'interpreter; {memory:.0f} MiB'
    )


def measure_take(work_dir: Path, answers: int) -> None:
    """Print how long it takes to take answers of each format."""
    from segal.annotation.export import export
    from segal.annotation.take import take

    for name in ('cvat', 'label-studio', 'coco', 'png'):
        out = work_dir.with_name(name)
        exporting = timed(lambda: export(work_dir, out, name))  # noqa: B023
        path = answered(out, name)
        cpu = time.process_time()
        taking = timed(lambda: take(work_dir, [path], 'ada'))  # noqa: B023
        cpu = 1000 * (time.process_time() - cpu)
        again = timed(lambda: take(work_dir, [path], 'ada'))  # noqa: B023
        print(
            f'{name}, {answers:,} answers: export {exporting:.0f} ms, take '
            f'{taking:.0f} ms ({cpu:.0f} ms of one core), again {again:.0f} ms'
        )
        AnnotationFolder(work_dir).file(0, 'jsonl').unlink()
        shutil.rmtree(out)


def answered(out: Path, name: str) -> Path:
    """Answer all that was exported with the first class."""
    label = 'class 0'
    if name == 'png':
        for one in (out / 'labels').iterdir():
            with Image.open(one) as picture:
                values = np.array(picture)
            values[values == 254] = 0
            Image.fromarray(values).save(one)
        return out
    if name == 'cvat':
        path = out / 'annotations.xml'
        text = path.read_text().replace('"unanswered"', f'"{label}"')
        path.write_text(text)
        return path
    if name == 'coco':
        path = out / 'annotations.json'
        content = json.loads(path.read_text())
        for one in content['annotations']:
            one['category_id'] = 1
        path.write_text(json.dumps(content))
        return path
    path = out / 'tasks.json'
    tasks = json.loads(path.read_text())
    for task in tasks:
        rows = task.pop('predictions')[0]['result']
        for one in rows:
            one['value']['keypointlabels'] = [label]
        task['annotations'] = [dict(result=rows, lead_time=60.0)]
    path.write_text(json.dumps(tasks))
    return path


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--items', type=int, default=10_000)
    parser.add_argument('--images', type=int, default=48)
    parser.add_argument('--answers', type=int, default=100_000)
    parser.add_argument('--each', type=int, default=60)
    parser.add_argument(
        '--only-take', action='store_true', help='measure no server'
    )
    parser.add_argument('--serve', type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.serve:
        serve_here(args.serve)
        return
    print(f'{os.cpu_count()} cores; targets: {TARGETS}')
    with tempfile.TemporaryDirectory() as folder:
        given = Path(folder) / 'given'
        write_images(given, 10)
        freeze(given, args.answers, 10)
        measure_take(given, args.answers)
        if args.only_take:
            return
        work_dir = Path(folder) / 'asked'
        write_images(work_dir, args.images)
        freeze(work_dir, args.items, args.images)
        measure_service(work_dir, args.images, args.each)
        measure_keys(work_dir, 2 * args.each)
        for votes in (1, 2):
            long = Path(folder) / f'answered_{votes}'
            measure_start(long, args.answers, votes)


if __name__ == '__main__':
    main()
