"""Take pictures of the annotation page, for the README and docs/.

Usage: python tools/docs/annotation.py [--out docs/images]

Serves the page for drawn street scenes, and opens it in Chromium: a pixel, a
superpixel and a whole image that is being painted, the page on a phone, and
the start of a page that is mailed.
"""

from __future__ import annotations

import argparse
import io
import json
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image
from playwright.sync_api import Page, sync_playwright
from skimage.segmentation import slic

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from segal.active.label_store.file import LabelFile, encode
from segal.annotation.folder import AnnotationFolder
from segal.annotation.offline import write_page
from segal.annotation.server import serve
from segal.annotation.val import draw_points
from segal.datasets.scenes import CLASSES, PALETTE
from segal.datasets.synthetic import SyntheticScenes
from segal.seeding import key, place_keys
from segal.structures import REFUSED, PoolImage

SIZE = (360, 480)
IMAGES, EACH = 6, 20
QUALITY = 85


def make_pool(folder: Path) -> list[PoolImage]:
    """Draw scenes, and write the pool.json of a work_dir."""
    SyntheticScenes(IMAGES, 1, SIZE, seed=3).make(folder / 'scenes')
    files = sorted((folder / 'scenes/images/train').iterdir())
    pool = [PoolImage(file.name, SIZE) for file in files]
    rows = [
        dict(name=file.name, size=list(SIZE), file=str(file)) for file in files
    ]
    content = dict(
        images=rows, classes=list(CLASSES), palette=np.array(PALETTE).tolist()
    )
    (folder / 'pool.json').write_text(json.dumps(content))
    return pool


def superpixels(folder: Path, pool: list[PoolImage]) -> bytes:
    """Ask some superpixels of each image."""
    places, regions = [], []
    for image in pool:
        path = folder / 'scenes/images/train' / image.name
        found = slic(cv2.imread(str(path)), 220, 12, start_label=0)
        draws = place_keys(key('shown', image.name), np.arange(found.max()))
        chosen = np.argsort(draws)[:EACH]
        flat = np.flatnonzero(np.isin(found, chosen))
        numbers = np.searchsorted(np.sort(chosen), found.reshape(-1)[flat])
        places.append(flat)
        regions.append(numbers)
    return frozen(pool, places, regions)


def frozen(
    pool: list[PoolImage], places: list[Any], regions: list[Any]
) -> bytes:
    """Write a request of regions, or of whole images where none are given."""
    whole = not places
    counts = [len(one) for one in places] or [0] * len(pool)
    total = sum(counts)
    answers = len(pool) if whole else total
    nothing = [np.empty(0, int)]
    return encode(
        LabelFile(
            0,
            'image' if whole else 'pixel',
            [(image.name, *image.size) for image in pool],
            np.append(0, np.cumsum(counts)).astype(np.int32),
            places=np.concatenate(places or nothing).astype(np.int32),
            classes=np.full(total, 255, np.uint8),
            status=np.full(answers, REFUSED, np.uint8),
            regions=np.concatenate(regions or nothing).astype(np.int32),
            shares=np.zeros((answers if whole else 0, 3), np.int32),
            maps=[None] * len(pool) if whole else [],
            answer='all' if whole else 'dominant',
        )
    )


def until_painted(page: Page) -> None:
    """Wait until an item is on the screen."""
    page.wait_for_function(
        "() => document.body.dataset.state === 'asking'"
        " && document.body.dataset.item !== ''"
    )


def save(page: Page, path: Path) -> None:
    """Write a picture of the page."""
    page.wait_for_timeout(400)
    with Image.open(io.BytesIO(page.screenshot())) as shot:
        shot.convert('RGB').save(path, quality=QUALITY, method=6)
    print(f'{path}: {path.stat().st_size / 1000:.0f} kB')


def answer_some(page: Page, keys: str) -> None:
    """Press some keys, so that progress and rate are to be seen."""
    for one in keys:
        before = page.evaluate('() => document.body.dataset.painted')
        page.wait_for_timeout(300)
        page.keyboard.press(one)
        page.wait_for_function(
            'n => document.body.dataset.painted !== n', arg=before
        )


def paint(page: Page) -> None:
    """Paint parts of a scene with the tool for patches."""
    page.wait_for_timeout(1500)  # patches are computed behind
    box = page.locator('#crop').bounding_box()
    assert box is not None
    page.keyboard.press('u')
    sky = [('1', row, (0.02, 0.72)) for row in (0.15, 0.22, 0.29, 0.36)]
    road = [('4', row, (0.40, 0.57)) for row in (0.65, 0.71, 0.77, 0.83)]
    for cls, row, (left, right) in sky + road:
        page.keyboard.press(cls)
        for column in np.linspace(left, right, 22):
            x, y = box['x'] + column * box['width'], box['y']
            page.mouse.click(x, y + row * box['height'])


def mailed(folder: Path, page: Page, out: Path) -> None:
    """Open a page as it was mailed."""
    path = folder.parent / 'page.html'
    write_page(folder, path, 'ada')
    page.goto(path.as_uri())
    page.wait_for_function("() => document.body.dataset.state === 'welcome'")
    save(page, out)


def main() -> int:
    """Take all pictures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--out', type=Path, default=ROOT / 'docs/images')
    args = parser.parse_args()
    phone = dict(
        viewport=dict(width=390, height=844),
        has_touch=True,
        color_scheme='dark',
        device_scale_factor=2,
    )
    desk = dict(viewport=dict(width=1280, height=800))
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as tmp:
        chromium = playwright.chromium.launch(
            executable_path=shutil.which('chromium') or '/usr/bin/chromium',
            args=['--no-sandbox'],
        )
        for name, options in (
            ('pixel', desk),
            ('region', desk),
            ('image', desk),
            ('phone', phone),
            ('mail', desk),
        ):
            folder = Path(tmp, name, 'street_scenes')
            folder.mkdir(parents=True)
            pool = make_pool(folder)
            request = {
                'region': lambda p, f=folder: superpixels(f, p),
                'image': lambda p: frozen(p, [], []),
            }.get(name, lambda p: draw_points(p, EACH, 1))(pool)
            AnnotationFolder(folder).freeze(0, request)
            out = args.out / f'annotate_{name}.webp'
            if name == 'mail':
                mailed(folder, chromium.new_page(**options), out)
                continue
            with serve(folder, port=0, annotators=['ada']) as server:
                page = chromium.new_context(**options).new_page()
                page.goto(server.urls['ada'])
                until_painted(page)
                if name == 'image':
                    paint(page)
                else:
                    answer_some(
                        page, '1128121348'[: 4 if name == 'phone' else 10]
                    )
                save(page, out)
                page.context.close()
        chromium.close()
    return 0


if __name__ == '__main__':
    sys.exit(main())
