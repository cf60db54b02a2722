"""From a folder of images to a trained model, as a person does it."""

import http.cookiejar
import json
import os
import re
import subprocess
import sys
import threading
import urllib.error
import urllib.parse
import urllib.request
import uuid
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from segal.active.dataset.listing import build_listed
from segal.active.dataset.orientation import look_at_orientations
from segal.annotation.folder import AnnotationFolder
from segal.commands import annotate, annotate_loop
from segal.config import load_config
from segal.rounds import read_rounds
from tests.annotation.answering import truth_of
from tests.emulator import Session
from tests.tiny import CLASSES, write_config, write_images

ROOT = Path(__file__).resolve().parent.parent.parent


class Person(threading.Thread):
    """Answers whatever the page asks, over HTTP, from the truth."""

    def __init__(self, url, read):
        super().__init__(daemon=True)
        self.read = read
        self.base = url.split('/?')[0]
        jar = http.cookiejar.CookieJar()
        self.open = urllib.request.build_opener(
            urllib.request.HTTPCookieProcessor(jar)
        ).open
        self.open(url, timeout=30)
        self.answered = {}
        self.trouble = []
        self.ended = threading.Event()

    def get(self, path):
        with self.open(self.base + path, timeout=30) as reply:
            return json.load(reply)

    def post(self, path, **body):
        call = urllib.request.Request(
            self.base + path,
            json.dumps(body).encode(),
            {
                'Content-Type': 'application/json',
                'Origin': self.base,
                'Sec-Fetch-Site': 'same-origin',
            },
        )
        with self.open(call, timeout=30) as reply:
            return json.load(reply)

    def run(self):
        while not self.ended.wait(0.2):
            try:
                self.look()
            except urllib.error.HTTPError as error:
                if error.code not in (409, 410, 423):
                    self.trouble.append(f'{error.code}: {error.read()}')
            except OSError:
                pass  # the page is between two servers

    def look(self):
        session = self.get('/api/session')
        if session['state'] != 'asking':
            return
        for item in self.get('/api/next?n=50&tab=t')['items']:
            row, column = item['box'][:2]
            cls = int(self.read(item['image'])[row, column])
            what = dict(what='void')
            if cls != 255:
                what = {'what': 'class', 'class': cls}
            self.post(
                '/api/answers',
                request=session['request'],
                item=item['item'],
                rev=item['rev'],
                ms=500,
                hidden_ms=0,
                client=str(uuid.uuid4()),
                **what,
            )
            self.answered.setdefault(session['request'], 0)
            self.answered[session['request']] += 1


def start(*arguments):
    return subprocess.Popen(
        [sys.executable, '-u', '-m', 'segal', *map(str, arguments)],
        cwd=ROOT,
        env={**os.environ, 'OMP_NUM_THREADS': '1', 'PYTHONPATH': str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def begin(folder):
    """Set up an experiment in ``folder / 'mine'``.

    Returns:
        The truth of an image, and the words that start the loop.
    """
    write_images(folder, count=10, size=(48, 64))
    (folder / 'annotations').rename(folder / 'hidden')
    read = truth_of(folder / 'hidden')
    out = folder / 'mine'
    made = start(
        'init', folder / 'images', '--classes', *CLASSES, '--out', out
    )
    said, _ = made.communicate(timeout=120)
    assert made.returncode == 0, said
    command = ['annotate', 'loop', out / 'config.py', 1, '--port', 0]
    command += ['--points', 20, '--cfg-options', 'runner.sample_rounds=2']
    command += ['active_learning.settings.pixel.budget_per_round=40']
    command += ['workflow=[(train,2),(query,1)]', 'evaluation.interval=2']
    return read, command


def test_a_validation_set_is_made_of_answers(tmp_path, monkeypatch, capsys):
    held = write_images(tmp_path / 'held', count=2)
    (held / 'annotations').rename(tmp_path / 'hidden')
    read = truth_of(tmp_path / 'hidden')
    upside_down = Image.Exif()
    upside_down[0x0112] = 3
    path = min((held / 'images').iterdir())
    Image.open(path).rotate(180).save(path, exif=upside_down)
    people = []

    def answer(urls):
        people.append(Person(*urls.values(), read))
        people[0].start()

    monkeypatch.setattr(annotate_loop, 'say_where', answer)
    monkeypatch.setattr(annotate_loop, 'LOOK_SECONDS', 0.1)
    config = write_config(
        write_images(tmp_path / 'pool'),
        extra=f"data['val'].update(data_root={str(held)!r}, ann_dir='val', "
        'ignore_index=200)\n',
    )
    words = ['val', str(config), '--port', '0', '--points', '20']
    assert annotate.main(words) == 0
    people[0].ended.set()
    assert people[0].trouble == []
    assert 'answers with a class' in capsys.readouterr().out
    masks = sorted((held / 'val').glob('*.png'))
    assert len(masks) == 2
    for path in masks:
        mask, truth = np.array(Image.open(path)), read(path.name)
        asked = mask != 200
        assert 0 < asked.sum() <= 20
        assert (mask[asked] == truth[asked]).all()
    for color_type in ('color', 'color_ignore_orientation'):
        val = load_config(str(config)).data.val
        val.pipeline[0].color_type = color_type
        dataset, _ = build_listed(val, dict(test_mode=True))
        seen = look_at_orientations(dataset, 'data.val')
        assert list(seen.found.values()) == [3]
        assert bool(seen.problems) == (color_type != 'color')


def test_a_validation_set_goes_on_as_it_began(tmp_path, monkeypatch, capsys):
    """Answers are kept as numbers of classes and places in images."""
    monkeypatch.setattr(annotate_loop, '_wait', lambda *_: False)
    held = write_images(tmp_path / 'held', count=2)
    names = tmp_path / 'classes.txt'
    names.write_text('\n'.join(CLASSES))
    config = write_config(
        write_images(tmp_path / 'pool'),
        extra=f"data['val'].update(data_root={str(held)!r}, ann_dir='val', "
        f'classes={str(names)!r})\n',
    )

    def val(points, code):
        words = ['val', str(config), '--port', '0', '--points', points]
        assert annotate.main(words) == code
        return ''.join(capsys.readouterr())

    assert '40 random pixels of 2 held-out images' in val('20', 130)
    said = val('30', 130)
    assert '40 random pixels of 2' in said
    assert '--points 30 is ignored' in said
    pool = (held / 'val' / 'pool.json').read_bytes()
    names.write_text('\n'.join(CLASSES[::-1]))
    assert 'data.val: wanted the classes that' in val('20', 4)
    names.write_text('\n'.join(CLASSES))
    Image.new('RGB', (64, 48)).save(held / 'images' / '01.png')
    assert '1 of another size (CustomDataset/images/01.png)' in val('20', 4)
    assert (held / 'val' / 'pool.json').read_bytes() == pool


def test_validation_sets_of_like_names_are_asked_apart(tmp_path, monkeypatch):
    """Else answers to one are taken as answers to the other."""
    monkeypatch.setattr(annotate_loop, '_wait', lambda *_: False)
    pool = write_images(tmp_path / 'pool')

    def asked(name, classes=CLASSES, other=False):
        held = write_images(tmp_path / name, count=2)
        if other:
            Image.new('RGB', (32, 24)).save(held / 'images' / '01.png')
        config = write_config(
            pool,
            extra=f"data['val'].update(data_root={str(held)!r}, "
            f"ann_dir='val', classes={classes})\n",
        )
        words = ['val', str(config), '--port', '0', '--points', '20']
        assert annotate.main(words) == 130
        request = AnnotationFolder(held / 'val').request(0)
        return request.sha256, request.content.places.tolist()

    one, again = asked('one'), asked('again')
    assert one == again
    for other in (asked('other', other=True), asked('swapped', CLASSES[::-1])):
        assert other[1] == one[1]
        assert other[0] != one[0]


def test_several_validation_sets_are_refused(tmp_path, capsys):
    config = write_config(
        write_images(tmp_path / 'pool'),
        extra="data['val'] = [data['val'], data['val']]\n",
    )
    assert annotate.main(['val', str(config), '--port', '0']) == 2
    assert 'data.val.ann_dir: required' in capsys.readouterr().err


@pytest.mark.slow
def test_init_val_and_loop_need_no_annotation(tmp_path):
    read, command = begin(tmp_path)
    out = tmp_path / 'mine'
    loop = start(*command)
    person, lines = None, []
    for line in loop.stdout:
        lines.append(line)
        found = re.search(r'http://\S+token=\w+', line)
        if found:
            if person is not None:
                person.ended.set()
            person = Person(found[0], read)
            person.start()
    person.ended.set()
    assert loop.wait(30) == 0, ''.join(lines[-60:])
    assert person.trouble == []
    (work_dir,) = (out / 'work_dirs').iterdir()
    rows = read_rounds(work_dir)
    assert [row['requested'] for row in rows] == [40, 40]
    assert all(row['mIoU'] > 0 for row in rows)
    assert sorted(person.answered.values()) == [40, 40]
    folder = AnnotationFolder(work_dir)
    assert folder.pending() is None
    truth = {x.stem: read(x.name) for x in (out / 'val').glob('*.png')}
    assert truth
    for path in (out / 'val').glob('*.png'):
        mask = np.array(Image.open(path))
        asked = mask != 255
        assert asked.sum() <= 20
        assert (mask[asked] == truth[path.stem][asked]).all()
    assert len(list((out / 'val').glob('*.png'))) == len(truth)


@pytest.mark.slow
def test_the_loop_in_a_terminal(tmp_path):
    """Addresses, requests and the screens of the runs, in their order."""
    read, command = begin(tmp_path)
    words = [sys.executable, '-m', 'segal', *map(str, command)]
    env = {**os.environ, 'TERM': 'xterm', 'OMP_NUM_THREADS': '1'}
    env['PYTHONPATH'] = str(ROOT)
    loop = Session(words, 240, 60, cwd=ROOT, env=env)
    people = {}

    def look(lines):
        for url in re.findall(r'http://\S+token=\w{64}', '\n'.join(lines)):
            if url not in people:
                people[url] = Person(url, read)
                people[url].start()
        return False

    try:
        loop.until(look, 180)
        assert loop.process.wait(30) == 0
    finally:
        loop.close()
        for person in people.values():
            person.ended.set()
    everything = loop.screen.everything
    heads = ('Answer here', 'round 0 asks', 'mine ', 'round 1 asks')
    heads += ('round  labels  void', '  log ')
    found = [x for x in everything if x.startswith(heads)]
    assert [next(h for h in heads if x.startswith(h)) for x in found] == [
        *(heads[0], *heads),
    ]
    asked = [x for x in found if ' asks 40 pixels in 7 images' in x]
    assert all(x.endswith('the run then goes on by itself') for x in asked)
    assert not any('mmseg' in x for x in everything if 'Loaded' not in x)
    shown = {line for lines in loop.seen for line in lines}
    assert any(x.startswith('train ') and 'iterations' in x for x in shown)
