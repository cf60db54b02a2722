"""tools/labels.py: every damage is named, and a copy of labels/ mends it."""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from segal.active.label_store.export import export
from segal.active.label_store.file import decode, encode, sha256
from segal.active.label_store.folder import decode_manifest, encode_manifest
from segal.active.label_store.reading import check
from segal.active.label_store.store import LabelStore
from segal.commands import labels as tool
from segal.errors import StateError
from segal.structures import (
    LABELLED,
    REFUSED,
    VOID,
    Answers,
    ImageAnswers,
    PixelAnswers,
    PoolImage,
    Selection,
)

POOL = [
    PoolImage('set/b.png', (4, 5)),
    PoolImage('set/a.jpg', (3, 7)),
    PoolImage('set/ö/c.png', (6, 2)),
    PoolImage('set/a.png', (5, 5)),
    PoolImage('set/d.png', (2, 3)),
]
NAMES = [image.name for image in POOL]
CLASSES = ['ground', 'thing', 'sky', 'pole']
EXPERIMENT = 'e' * 16


def ask(store, unit, seed, scores, amount=3):
    """Buy something: all kinds of answers, a seed for what it is."""
    rng = np.random.default_rng(seed)
    free = dict(zip(NAMES, store.free(), strict=True))
    names = [name for name in NAMES if free[name]]
    places, given_scores, answers = {}, {}, {}
    if unit == 'image':
        for name in rng.permutation(names)[:amount].tolist():
            size = POOL[NAMES.index(name)].size
            label_map = rng.choice([0, 1, 3, 255], size).astype(np.uint8)
            kind = rng.random()
            if kind < 0.3:
                label_map = None
            elif kind < 0.5:
                label_map[:] = 255
            places[name] = np.empty(0, np.int64)
            answers[name] = ImageAnswers(label_map)
            given_scores[name] = rng.standard_normal(1).astype(np.float32)
    else:
        for name in names:
            at = np.flatnonzero(store.available(name))
            at = np.sort(rng.permutation(at)[:amount])
            status = rng.choice(
                [LABELLED, LABELLED, VOID, REFUSED], len(at)
            ).astype(np.uint8)
            places[name] = at
            answers[name] = PixelAnswers(
                at, rng.integers(0, 5, len(at)).astype(np.uint8), status
            )
            given_scores[name] = rng.standard_normal(len(at)).astype('f4')
    selection = Selection(
        store.rounds, unit, places, given_scores if scores else {}
    )
    store.append(Answers(selection, answers))


def make_work_dir(path):
    path.mkdir(parents=True)
    rows = [
        dict(name=x.name, size=list(x.size), file=f'{x.name}') for x in POOL
    ]
    palette = [[0, 0, 0]] * len(CLASSES)
    content = dict(images=rows, classes=CLASSES, palette=palette)
    (path / 'pool.json').write_text(json.dumps(content))
    return path


ROUNDS = [
    ('pixel', 1, False),
    ('pixel', 2, True),
    ('image', 4, True),
    ('pixel', 4, True),
]


def fill(work_dir, rounds=ROUNDS, experiment=EXPERIMENT, salt=0):
    store = LabelStore(work_dir / 'labels', POOL, experiment)
    for unit, seed, scores in rounds:
        ask(store, unit, seed + salt, scores)
    return store


@pytest.fixture(scope='module')
def template(tmp_path_factory):
    """A sound work_dir, its export, and two others, made once."""
    root = tmp_path_factory.mktemp('template')
    store = fill(make_work_dir(root / 'work'))
    export(store, CLASSES, root / 'export')
    assert len(list((root / 'work/labels/round_002').iterdir())) > 1
    assert None in store.read(2).maps
    fill(make_work_dir(root / 'stranger'), experiment='f' * 16)
    fill(make_work_dir(root / 'twin'), salt=100)
    return root


@pytest.fixture
def work_dir(template, tmp_path):
    shutil.copytree(template / 'work', tmp_path / 'work')
    return tmp_path / 'work'


@pytest.fixture
def labels(work_dir):
    return work_dir / 'labels'


def snapshot(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob('*')
        if path.is_file()
    }


def cut(number, length):
    def hurt(labels, template):
        path = labels / f'round_{number:03d}.npz'
        path.write_bytes(path.read_bytes()[:length])

    return hurt


def flip(number, offset):
    def hurt(labels, template):
        path = labels / f'round_{number:03d}.npz'
        data = bytearray(path.read_bytes())
        data[offset] ^= 4
        path.write_bytes(data)

    return hurt


def lose(number):
    def hurt(labels, template):
        (labels / f'round_{number:03d}.npz').unlink()

    return hurt


def rename(old, new):
    def hurt(labels, template):
        (labels / new).parent.mkdir(exist_ok=True)
        (labels / old).rename(labels / new)

    return hurt


def swap(a, b):
    def hurt(labels, template):
        one, other = (labels / f'round_{x:03d}.npz' for x in (a, b))
        data = one.read_bytes()
        one.write_bytes(other.read_bytes())
        other.write_bytes(data)

    return hurt


def take(number, whose):
    def hurt(labels, template):
        name = f'labels/round_{number:03d}.npz'
        (labels.parent / name).write_bytes(
            (template / whose / name).read_bytes()
        )

    return hurt


def copy(old, new):
    def hurt(labels, template):
        shutil.copy(labels / old, labels / new)

    return hurt


def chain(edit):
    def hurt(labels, template):
        path = labels / 'chain.json'
        path.write_bytes(edit(path.read_bytes()))

    return hurt


def manifest_with(change):
    def edit(data):
        manifest = decode_manifest(Path('x'), data)
        return encode_manifest(manifest._replace(**change(manifest)))

    return edit


def a_digit(data):
    """One digit of the second SHA-256 is another one."""
    at = data.index(b'"', data.index(b'files')) + 90
    return data[:at] + (b'0' if data[at] != 48 else b'1') + data[at + 1 :]


def spoil_map(labels, template):
    path = a_map_of(labels)
    path.write_bytes(path.read_bytes()[:-1] + b'!')


def lose_map(labels, template):
    a_map_of(labels).unlink()


def a_map_of(labels):
    return sorted((labels / 'round_002').iterdir())[0]


LAST = 'round_003.npz'
DAMAGES = {  # what is done; the file that is named
    **{
        f'{how.__name__} {number} {at}': (
            how(number, at), f'round_{number:03d}.npz'
        )
        for number in (0, 2, 3)
        for how, at in (
            *((cut, at) for at in (0, 1, 500, -67, -66, -30, -1)),
            *((flip, at) for at in (0, 333, -67, -66, -65, -64, -1)),
        )
    },
    **{
        f'lost {number}': (lose(number), f'round_{number:03d}.npz')
        for number in range(4)
    },
    'renamed': (
        rename('round_001.npz', 'round_001 (copy).npz'),
        'round_001 (copy).npz',
    ),
    'a left-over': (rename('round_001.npz', 'x.npz.tmp'), 'round_001.npz'),
    'in another folder': (rename(LAST, 'old/x.npz'), LAST),
    'swapped 0 1': (swap(0, 1), 'round_000.npz'),
    'swapped 2 3': (swap(2, 3), 'round_002.npz'),
    **{
        f'{whose} {number}': (take(number, whose), f'round_{number:03d}.npz')
        for number in (0, 1, 3)
        for whose in ('stranger', 'twin')
    },
    **{
        f'foreign {name}': (copy('round_001.npz', name), name)
        for name in (
            'round_7.npz', 'round_003 (copy).npz', 'x.npz', 'A.NPZ',
            'round_0003.npz',
        )
    },
    'a map lost': (lose_map, '.png'),
    'a map spoilt': (spoil_map, '.png'),
    **{
        f'chain.json {name}': (chain(edit), 'chain.json')
        for name, edit in (
            ('empty', lambda data: b''),
            ('cut', lambda data: data[:-9]),
            ('no JSON', lambda data: b'[' + data),
            ('no object', lambda data: b'[1]'),
            ('altered', a_digit),
            ('of another pool', manifest_with(lambda x: dict(pool='0' * 32))),
            ('far behind', manifest_with(lambda x: dict(files=x.files[:2]))),
        )
    },
}  # fmt: skip


@pytest.mark.parametrize('damage', DAMAGES)
def test_every_damage(template, work_dir, labels, capsys, damage):
    """It is named with the mend, and nothing is changed."""
    hurt, named = DAMAGES[damage]
    whole = snapshot(labels)
    hurt(labels, template)
    before = snapshot(labels)
    assert before != whole

    with pytest.raises(StateError) as error:
        LabelStore(labels, POOL, EXPERIMENT)
    assert named in str(error.value).split(': wanted')[0]
    assert f'{work_dir}' in str(error.value)
    with pytest.raises(StateError):
        LabelStore(labels, POOL)
    assert tool.main(['check', str(work_dir)]) == 4
    *problems, verdict = capsys.readouterr().out.splitlines()
    assert any(named in line.split(': wanted')[0] for line in problems)
    assert all(line.startswith(f'  - {labels}') for line in problems)
    assert f'{labels}: {len(problems)} problem' in verdict
    assert 'restore the folder from a copy' in verdict
    assert snapshot(labels) == before

    shutil.rmtree(labels)  # the mend
    shutil.copytree(template / 'work/labels', labels)
    assert LabelStore(labels, POOL, EXPERIMENT).rounds == 4
    assert tool.main(['check', str(work_dir)]) == 0
    assert capsys.readouterr().out == f'{labels}: 4 sound label files\n'


@pytest.mark.parametrize(
    'damage',
    ['cut 0 -30', 'cut 3 -30', 'flip 2 -1', 'renamed', 'a left-over',
     'swapped 0 1', 'lost 1', 'stranger 3', 'twin 1'],
)  # fmt: skip
def test_without_a_list(template, labels, damage):
    """An old folder has no chain.json; each file names the one before."""
    (labels / 'chain.json').unlink()
    assert LabelStore(labels, POOL).rounds == 4
    assert check(labels, POOL) == (4, [])
    DAMAGES[damage][0](labels, template)
    with pytest.raises(StateError) as error:
        LabelStore(labels, POOL)
    assert check(labels, POOL)[1][0] == str(error.value)


def test_everything_at_once(template, work_dir, labels, capsys):
    """Check goes on after a problem, and names no sound file."""
    for damage in (
        'foreign x.npz', 'flip 0 333', 'lost 1', 'a map lost', 'cut 3 500',
    ):  # fmt: skip
        DAMAGES[damage][0](labels, template)
    assert tool.main(['check', str(work_dir)]) == 4
    *problems, verdict = capsys.readouterr().out.splitlines()
    named = [Path(x.split(': wanted')[0]).name for x in problems]
    a_map = a_map_of(template / 'work/labels').name
    assert named == ['x.npz', 'round_000.npz', 'round_001.npz', a_map, LAST]
    assert '5 problems, 1 sound label file;' in verdict


def test_a_list_of_another_experiment(template, labels):
    shutil.copy(template / 'stranger/labels/chain.json', labels)
    with pytest.raises(StateError, match=r'chain\.json: wanted'):
        LabelStore(labels, POOL, EXPERIMENT)
    sound, problems = check(labels, POOL)
    assert not sound
    assert all("experiment 'ffff" in problem for problem in problems)


def test_a_list_one_behind_is_sound(labels):
    """A killed process leaves it so; the next round completes it."""
    chain(manifest_with(lambda x: dict(files=x.files[:3])))(labels, None)
    assert check(labels, POOL) == (4, [])


def test_left_overs_are_harmless(work_dir, labels):
    (labels / 'round_004.npz.tmp').write_bytes(b'half')
    (labels / 'round_004').mkdir()
    (labels / 'round_004' / '000001.png').write_bytes(b'map')
    assert LabelStore(labels, POOL, EXPERIMENT).rounds == 4
    assert tool.main(['check', str(work_dir)]) == 0


# export


def records(folder):
    text = (folder / 'labels.jsonl').read_text()
    return [json.loads(line) for line in text.splitlines()]


def test_what_an_export_says(template, work_dir):
    rows = records(template / 'export')
    assert [row['record'] for row in rows[:5]] == ['file'] * 4 + ['request']
    store = LabelStore(work_dir / 'labels', POOL)
    assert rows[1]['previous'] == rows[0]['sha256'] == store.sha256(0)
    assert rows[0]['experiment'] == EXPERIMENT
    for number in range(4):
        of_round = [row for row in rows[4:] if row['round'] == number]
        counts = store.counts(number)
        if rows[number]['unit'] == 'image':
            for row in of_round:
                refused = row['status'] == 'refused'
                assert (row['map'] is None) == refused
                assert row['row'] is row['column'] is row['class'] is None
                if not refused:
                    png = template / 'export' / row['map']
                    assert sha256(png.read_bytes()) == row['sha256']
            continue
        assert len(of_round) == counts.requested
        for row in of_round:
            assert (row['score'] is None) == (number == 0)
            if row['status'] != 'labelled':
                assert row['class'] is row['class_name'] is None
                continue
            image = POOL[NAMES.index(row['image'])]
            history = store.history(image.name)
            at = row['row'] * image.size[1] + row['column']
            i = history.places.tolist().index(at)
            assert history.classes[i] == row['class']
            assert row['class_name'] == [*CLASSES, '4'][row['class']]
        words = [row['status'] for row in of_round]
        assert words.count('void') == counts.void
        assert words.count('refused') == counts.refused


def test_label_maps_are_those_of_mmseg(template, work_dir):
    """Two images that would share a name keep their own suffix."""
    store = LabelStore(work_dir / 'labels', POOL)
    maps = template / 'export' / 'label_maps'
    names = {
        'set/b.png': 'set/b.png',
        'set/a.jpg': 'set/a.jpg.png',
        'set/ö/c.png': 'set/ö/c.png',
        'set/a.png': 'set/a.png.png',
        'set/d.png': 'set/d.png',
    }
    wanted = {names[name] for name in store.labelled_names()}
    assert set(snapshot(maps)) == wanted
    for name in store.labelled_names():
        with Image.open(maps / names[name]) as png:
            assert png.mode == 'L'
            np.testing.assert_array_equal(np.array(png), store.draw(name))


def test_no_image_takes_the_label_map_of_another(tmp_path):
    names = ('a.jpg', 'a.png', 'a.png.jpg')
    pool = [PoolImage(name, (2, 3 + i)) for i, name in enumerate(names)]
    store = LabelStore(tmp_path / 'labels', pool, EXPERIMENT)
    selection = Selection(
        0, 'image', {name: np.empty(0, np.int64) for name in names}
    )
    answers = {
        image.name: ImageAnswers(np.full(image.size, i, np.uint8))
        for i, image in enumerate(pool)
    }
    store.append(Answers(selection, answers))
    done = export(store, CLASSES, tmp_path / 'out', ['maps'])
    assert done.label_maps == 3
    for image in pool:
        png = tmp_path / 'out' / 'label_maps' / f'{image.name}.png'
        with Image.open(png) as label_map:
            np.testing.assert_array_equal(label_map, store.draw(image.name))


@pytest.mark.parametrize(
    ('only', 'there'), [('jsonl', 'labels.jsonl'), ('maps', 'label_maps')]
)
def test_export_of_a_part(work_dir, tmp_path, only, there):
    out = tmp_path / 'new' / 'out'
    arguments = ['export', str(work_dir), str(out), '--only', only]
    assert tool.main(arguments) == 0
    names = {path.name for path in out.iterdir()}
    assert there in names
    assert names <= {there, 'maps'}
    assert [path.name for path in out.parent.iterdir()] == ['out']


def test_export_overwrites_nothing(work_dir, tmp_path, capsys, monkeypatch):
    out = tmp_path / 'out'
    out.mkdir()
    (out / 'mine').write_text('x')
    assert tool.main(['export', str(work_dir), str(out)]) == 4
    assert f'{out}: wanted an empty folder' in capsys.readouterr().err
    assert [path.name for path in out.iterdir()] == ['mine']
    (out / 'mine').unlink()

    def full(*args):
        raise OSError(28, 'No space left on device')

    with monkeypatch.context() as patch:
        patch.setattr(os, 'fsync', full)
        assert tool.main(['export', str(work_dir), str(out)]) == 4
    assert sorted(path.name for path in tmp_path.iterdir()) == ['out', 'work']
    assert list(out.iterdir()) == []
    assert tool.main(['export', str(work_dir), str(out)]) == 0


def test_a_hurt_store_is_not_exported(work_dir, labels, tmp_path, capsys):
    (labels / LAST).unlink()
    out = tmp_path / 'out'
    assert tool.main(['export', str(work_dir), str(out)]) == 4
    assert LAST in capsys.readouterr().err
    assert not out.exists()


def test_scores_that_are_no_numbers(labels, tmp_path):
    """Each line is valid JSON, which has no NaN."""
    path = labels / LAST
    (labels / 'chain.json').unlink()
    content = decode(path, path.read_bytes())
    content.scores = np.array([np.nan, -0.0, -np.inf], np.float32)
    path.write_bytes(encode(content))
    export(LabelStore(labels, POOL), CLASSES, tmp_path / 'out')
    scores = [x['score'] for x in records(tmp_path / 'out')[4:]]
    assert scores[-3:] == ['nan', 0.0, '-inf']


# show


def test_show_counts(work_dir, capsys):
    assert tool.main(['show', str(work_dir), '--json']) == 0
    told = json.loads(capsys.readouterr().out)
    store = LabelStore(work_dir / 'labels', POOL)
    assert told['total'] == store.counts()._asdict()
    assert [row['round'] for row in told['rounds']] == [0, 1, 2, 3]
    for row in told['rounds']:
        counts = store.counts(row['round'])._asdict()
        assert {key: row[key] for key in counts} == counts
    drawn = np.concatenate([store.draw(name).ravel() for name in NAMES])
    for row in told['classes']:
        assert row['labelled'] == (drawn == row['class']).sum()
    assert [row['class_name'] for row in told['classes']][:4] == CLASSES


def test_show_one_image(work_dir, capsys):
    store = LabelStore(work_dir / 'labels', POOL)
    for name in NAMES:
        arguments = ['show', str(work_dir), '--image', name]
        assert tool.main([*arguments, '--json']) == 0
        image = json.loads(capsys.readouterr().out)['image']
        pixels = [x for x in image['requests'] if x['row'] is not None]
        history = store.history(name)
        wide = store.pool[NAMES.index(name)].size[1]
        assert [
            (x['round'], x['row'] * wide + x['column']) for x in pixels
        ] == list(
            zip(history.rounds.tolist(), history.places.tolist(), strict=True)
        )
        wholes = [x for x in image['requests'] if x['row'] is None]
        assert len(wholes) == history.whole
        assert tool.main(arguments) == 0
        assert f'{name} (' in capsys.readouterr().out
    assert tool.main(['show', str(work_dir), '--image', 'set/B.png']) == 3
    assert "did you mean 'set/b.png'" in capsys.readouterr().err


def test_nothing_bought_yet(tmp_path, capsys):
    work_dir = make_work_dir(tmp_path / 'new')
    before = snapshot(work_dir)
    assert tool.main(['check', str(work_dir)]) == 0
    assert 'no label files' in capsys.readouterr().out
    assert tool.main(['show', str(work_dir)]) == 4
    assert 'nothing was bought here yet' in capsys.readouterr().err
    assert snapshot(work_dir) == before


def test_trouble_is_one_line_and_an_exit_code(tmp_path, capsys):
    assert tool.main(['check', str(tmp_path)]) == StateError.exit_code
    said = capsys.readouterr().err
    assert said.startswith('Error: ')
    assert said.count('\n') == 1
    with pytest.raises(StateError):
        tool.main(['check', str(tmp_path), '--debug'])
