from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scenes import (
    CLASSES,
    PALETTE,
    SIZE,
    buy_images,
    buy_pixels,
    image,
    new_store,
    pool_of,
)

from segal.commands import inspect_round as tool
from segal.errors import DataError, StateError
from segal.report.inspect import inspect
from segal.report.query_statistics import Bought, gather, measure


def at(row, column):
    return row * SIZE[1] + column


@pytest.fixture
def work_dir(tmp_path):
    """Four images; files of each are on disk."""
    pool = pool_of(4)
    rows = []
    for member in pool:
        file = tmp_path / 'images' / member.name
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image()).save(file)
        rows.append({'name': member.name, 'size': SIZE, 'file': str(file)})
    content = {
        'images': rows,
        'classes': CLASSES,
        'palette': PALETTE.tolist(),
    }
    (tmp_path / 'pool.json').write_text(json.dumps(content))
    return tmp_path


def run(work_dir, number=None, images=2, out=None):
    return inspect(work_dir, number, images, out)


def test_pixel_round_is_told_and_drawn(work_dir):
    store = new_store(work_dir, pool_of(4))
    buy_pixels(store, [at(2, 2), at(12, 20), at(40, 50)], scores=False)
    buy_pixels(store, [at(30, 10), at(30, 12)])
    text = run(work_dir)
    assert 'round 1 of 0 to 1: asked after round 0' in text
    assert '8 pixels in 4 of 4 images' in text
    assert '8 pixels labelled, 0 void, 0 refused' in text
    assert '2 / 2 / 2' in text
    assert '2.0 pixels to the nearest other pick' in text
    assert '0.5 on average' in text
    ground = re.search(r'ground +(\d+) +([\d.]+)% +(\d+)', text).groups()
    assert ground == ('8', '100.0', '12')
    drawn = [
        Path(line.strip()) for line in text.split('drawn:\n')[1].split('\n')
    ]
    assert [path.name for path in drawn] == [
        'histogram.png', '00_set_scene_1.png', '01_set_scene_3.png',
    ]  # fmt: skip
    assert all(path.exists() for path in drawn)


def test_initial_round_has_void_and_no_scores(work_dir):
    store = new_store(work_dir, pool_of(4))
    buy_pixels(store, [at(2, 2), at(12, 20), at(40, 50)])
    buy_pixels(store, [at(30, 10)])
    text = run(work_dir, 0)
    assert 'the initial labels' in text
    assert '8 pixels labelled, 4 void' in text
    assert '(33.3% void)' in text
    assert 'drawn without a network' in text
    assert re.search(r'ground +4 +50.0% +4 ', text)


def test_image_round(work_dir):
    pool = pool_of(4)
    store = new_store(work_dir, pool)
    buy_images(store, [pool[0].name])
    buy_images(store, [pool[2].name, pool[3].name])
    text = run(work_dir, out=work_dir / 'elsewhere')
    assert '2 images in 2 of 4 images' in text
    void = 2 * 64
    assert f'{2 * 48 * 64 - void:,} pixels labelled, {void:,} void' in text
    pole = 48 * 4
    assert re.search(rf'pole +{2 * pole} +[\d.]+% +{3 * pole} ', text)
    assert (work_dir / 'elsewhere' / 'asked.png').exists()


def test_later_rounds_do_not_count(tmp_path):
    pool = pool_of(2)
    store = new_store(tmp_path, pool)
    first = buy_pixels(store, [at(12, 20)])
    alone = gather(store, first, pool, 3)
    buy_pixels(store, [at(40, 50)])
    again = gather(store, first, pool, 3)
    assert alone.so_far.tolist() == again.so_far.tolist() == [2, 0, 0]


def test_spread_tells_clusters_from_random():
    random = np.random.default_rng(0)
    ratios = {}
    for name, draw in {
        'random': lambda: random.choice(200 * 300, 20, replace=False),
        'cluster': lambda: 60 * 300 + 100 + random.choice(20, 20, False),
    }.items():
        bought = Bought({}, np.zeros(1, int), np.zeros(1, int), {})
        for _ in range(200):
            measure(bought, (200, 300), draw(), np.empty(0, np.int64))
        ratios[name] = np.mean(bought.neighbour, axis=0)[1]
        if name == 'random':
            assert np.mean(bought.border) == pytest.approx(0.19, abs=0.02)
    assert ratios['random'] == pytest.approx(1, abs=0.03)
    assert ratios['cluster'] < 0.1


def test_distances_by_hand():
    bought = Bought({}, np.zeros(1, int), np.zeros(1, int), {})
    places = np.array([0 * 10 + 0, 0 * 10 + 3, 4 * 10 + 3])
    measure(bought, (10, 10), places, np.array([4 * 10 + 6]))
    assert bought.neighbour[0][0] == pytest.approx((3 + 3 + 4) / 3)
    diagonal = 200**0.5
    assert bought.pairs[0] == pytest.approx((3 + 4 + 5) / 3 / diagonal)
    assert bought.before[0] == pytest.approx((52**0.5 + 5 + 3) / 3)


def test_trouble_is_told(work_dir, tmp_path):
    with pytest.raises(StateError, match=r'gone: .*no such folder'):
        run(tmp_path / 'gone')
    (tmp_path / 'other').mkdir()
    with pytest.raises(StateError, match=r'pool\.json.*without it'):
        run(tmp_path / 'other')
    with pytest.raises(StateError, match=r'round_000\.npz.*nothing was'):
        run(work_dir)
    store = new_store(work_dir, pool_of(4))
    buy_pixels(store, [3])
    with pytest.raises(StateError, match=r'wanted one of 0 to 0.*got 7'):
        run(work_dir, 7)
    (work_dir / 'images/set/scene 1.png').write_bytes(b'no picture')
    with pytest.raises(DataError, match=r'scene 1\.png.*--images 0'):
        run(work_dir)
    assert 'round 0' in run(work_dir, images=0)
    (work_dir / 'pool.json').write_text('{"images": [{}]}')
    with pytest.raises(StateError, match=r'pool\.json.*KeyError'):
        run(work_dir)


def test_command_line(work_dir, monkeypatch, capsys):
    buy_pixels(new_store(work_dir, pool_of(4)), [3, 700])
    arguments = ['inspect_round.py', str(work_dir), '--round', '0']
    monkeypatch.setattr(sys, 'argv', arguments)
    assert tool.main() == 0
    assert 'histogram.png' in capsys.readouterr().out


def test_trouble_is_one_line_and_an_exit_code(tmp_path, monkeypatch, capsys):
    arguments = ['inspect_round.py', str(tmp_path / 'none')]
    monkeypatch.setattr(sys, 'argv', arguments)
    assert tool.main() == StateError.exit_code
    said = capsys.readouterr().err
    assert said.startswith('Error: ')
    assert said.count('\n') == 1
