"""tools/labels.py: every damage is seen, and mended only where proven."""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mmcv import Config
from PIL import Image

from segal.active.label_store import (
    import_ as label_import,
)
from segal.active.label_store import (
    parse as label_parse,
)
from segal.active.label_store.export import export
from segal.active.label_store.file import decode, encode, sha256
from segal.active.label_store.folder import LabelFolder
from segal.active.label_store.import_ import import_labels, read_export
from segal.active.label_store.manifest import decode_chain, encode_chain
from segal.active.label_store.pool_file import read_pool
from segal.active.label_store.repair import repair
from segal.active.label_store.store import LabelStore
from segal.active.label_store.survey import survey
from segal.config import fingerprint, read_config
from segal.config.fingerprint import dump_config
from segal.errors import DataError, StateError
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

ROOT = Path(__file__).resolve().parents[1]
_spec = importlib.util.spec_from_file_location(
    'labels_tool', ROOT / 'tools' / 'labels.py'
)
tool = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(tool)

POOL = [
    PoolImage('set/b.png', (4, 5)),
    PoolImage('set/a.jpg', (3, 7)),
    PoolImage('set/ö/c.png', (6, 2)),
    PoolImage('set/a.png', (5, 5)),
    PoolImage('set/d.png', (2, 3)),
]
NAMES = [image.name for image in POOL]
CLASSES = ['ground', 'thing', 'sky', 'pole']
CONFIG = dict(
    model=dict(type='EncoderDecoder'),
    data=dict(),
    runner=dict(
        type='ActiveLearningRunner',
        sample_mode='pixel',
        sample_rounds=3,
        pretrained='random',
    ),
    workflow=[('train', 2), ('query', 1)],
    active_learning=dict(
        heuristic='margin',
        settings=dict(pixel=dict(query_size=5, initial_label_pixels=5)),
    ),
    seed=3,
)


def fingerprint_of(config):
    cfg = Config(json.loads(dump_config(Config(config))))
    return fingerprint(cfg, read_config(cfg)[0])


EXPERIMENT = fingerprint_of(CONFIG)


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


def make_work_dir(path, config=CONFIG):
    path.mkdir(parents=True)
    (path / 'config.json').write_text(dump_config(Config(config)))
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
    assert None in store.read(2)[0].maps
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


def a_digit(data):
    """One digit of the second SHA-256 is another one."""
    at = data.index(b'"', data.index(b'files')) + 90
    return data[:at] + (b'0' if data[at] != 48 else b'1') + data[at + 1 :]


def spoil_map(labels, template):
    path = a_map_of(labels)
    path.write_bytes(path.read_bytes()[:-1] + b'!')


def lose_map(labels, template):
    a_map_of(labels).unlink()


def move_map(labels, template):
    path = a_map_of(labels)
    (labels / 'old').mkdir()
    path.rename(labels / 'old' / 'map')


def a_map_of(labels):
    return sorted((labels / 'round_002').iterdir())[0]


LAST = 'round_003.npz'
DAMAGES = {  # what is done; the file that is named; whether it is mended
    **{
        f'{kind} {number} {at}': (
            how(number, at), f'round_{number:03d}.npz', mended
        )
        for number in (0, 2, 3)
        for kind, how, at, mended in (
            ('cut', cut, 0, False),
            ('cut', cut, 1, False),
            ('cut', cut, 500, False),
            ('cut', cut, -67, False),
            ('cut', cut, -66, True),
            ('cut', cut, -30, True),
            ('cut', cut, -1, True),
            ('flip', flip, 0, False),
            ('flip', flip, 333, False),
            ('flip', flip, -67, False),
            ('flip', flip, -66, True),
            ('flip', flip, -65, True),
            ('flip', flip, -64, True),
            ('flip', flip, -1, True),
        )
    },
    **{
        f'lost {number}': (lose(number), f'round_{number:03d}.npz', False)
        for number in range(4)
    },
    'renamed': (
        rename('round_001.npz', 'round_001 (copy).npz'),
        'round_001 (copy).npz',
        True,
    ),
    'a left-over': (
        rename('round_001.npz', 'round_001.npz.tmp'), 'round_001.npz', True
    ),
    'in another folder': (rename(LAST, 'old/x.npz'), LAST, True),
    'swapped 0 1': (swap(0, 1), 'round_000.npz', True),
    'swapped 2 3': (swap(2, 3), 'round_002.npz', True),
    **{
        f'{whose} {number}': (
            take(number, whose), f'round_{number:03d}.npz', False
        )
        for number in (0, 1, 3)
        for whose in ('stranger', 'twin')
    },
    **{
        f'foreign {name}': (copy('round_001.npz', name), name, True)
        for name in (
            'round_7.npz', 'round_003 (copy).npz', 'x.npz', 'A.NPZ',
            'round_0003.npz',
        )
    },
    'a map lost': (lose_map, '.png', False),
    'a map spoilt': (spoil_map, '.png', False),
    'a map moved': (move_map, '.png', True),
    **{
        f'chain.json {name}': (chain(edit), 'chain.json', True)
        for name, edit in (
            ('empty', lambda data: b''),
            ('cut', lambda data: data[:-9]),
            ('no JSON', lambda data: b'[' + data),
            ('no object', lambda data: b'[1]'),
            ('altered', a_digit),
            (
                'of another pool',
                lambda data: encode_chain(
                    decode_chain(Path('x'), data)._replace(pool='0' * 32)
                ),
            ),
            (
                'far behind',
                lambda data: encode_chain(
                    decode_chain(Path('x'), data)._replace(
                        files=decode_chain(Path('x'), data).files[:2]
                    )
                ),
            ),
        )
    },
}  # fmt: skip


@pytest.mark.parametrize('damage', DAMAGES)
def test_every_damage(template, work_dir, labels, capsys, damage):
    """Told, listed, mended or not; and nothing is ever thrown away."""
    hurt, named, mended = DAMAGES[damage]
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
    told = capsys.readouterr().out
    assert named in told.split('problems:')[1]
    code = tool.main(['repair', str(work_dir), '--dry-run'])
    promised = capsys.readouterr().out
    assert snapshot(labels) == before

    pieces = read_export(template / 'export').pieces()
    if not mended:
        assert code == 4
        assert named in promised
        assert 'would help' in promised
        folder = LabelFolder(labels)
        assert repair(folder, POOL).left
        assert all(y in snapshot(labels).values() for y in before.values())
    else:
        assert code == 0
        pieces = None
    result = repair(LabelFolder(labels), POOL, pieces)
    assert (result.left, result.files) == ([], 4)
    after = snapshot(labels)
    strays = {name for name in set(after) - set(whole) if '/' not in name}
    assert not any(name.lower().endswith('.npz') for name in strays)
    assert {name: after[name] for name in whole} == whole
    assert all(y in after.values() for y in before.values())
    assert LabelStore(labels, POOL, EXPERIMENT).rounds == 4
    assert tool.main(['check', str(work_dir)]) == 0
    assert repair(LabelFolder(labels), POOL).done == []
    assert snapshot(labels) == after


@pytest.mark.parametrize(
    ('damage', 'mended'),
    [
        ('cut 0 -30', True),
        ('flip 2 -1', True),
        ('cut 3 -30', False),  # nothing names the last
        ('renamed', True),
        ('a left-over', True),
        ('swapped 0 1', True),
        ('lost 1', False),
        ('a map moved', True),
        ('stranger 3', False),
        ('twin 1', False),
    ],
)
def test_without_a_list(template, labels, damage, mended):
    """As an older SegAL left it: what the next file names is proven."""
    hurt, _, _ = DAMAGES[damage]
    whole = snapshot(labels)
    (labels / 'chain.json').unlink()
    assert LabelStore(labels, POOL).rounds == 4
    hurt(labels, template)
    before = snapshot(labels)
    with pytest.raises(StateError):
        LabelStore(labels, POOL)
    result = repair(LabelFolder(labels), POOL)
    after = snapshot(labels)
    assert all(y in after.values() for y in before.values())
    if mended:
        assert result.left == []
        assert {name: after[name] for name in whole} == whole
    else:
        assert result.left != []
        assert after == before


def test_a_file_damaged_again_and_again(template, labels):
    """Each damaged copy is kept under a name of its own."""
    whole = snapshot(labels)
    for offset in (-1, -2, -3):
        flip(1, offset)(labels, template)
        before = snapshot(labels)
        assert repair(LabelFolder(labels), POOL).left == []
        after = snapshot(labels)
        assert all(y in after.values() for y in before.values())
    assert len(list((labels / 'damaged').iterdir())) == 3
    assert {name: after[name] for name in whole} == whole


def test_a_stranger_at_the_end_proves_nothing(template, labels):
    """Though all that it names is at hand."""
    (labels / 'chain.json').unlink()
    take(3, 'stranger')(labels, template)
    shutil.copytree(template / 'stranger/labels', labels / 'damaged')
    before = snapshot(labels)
    (left,) = repair(LabelFolder(labels), POOL).left
    assert f'{LAST} (other experiment)' in left
    assert snapshot(labels) == before


def test_everything_at_once(template, work_dir, labels, capsys):
    """Check goes on past what is broken; an export mends it all."""
    whole = snapshot(labels)
    for damage in ('flip 0 333', 'lost 1', 'a map lost', 'cut 3 500',
                   'foreign x.npz'):  # fmt: skip
        if damage == 'foreign x.npz':
            copy(LAST, 'x.npz')(labels, template)
        else:
            DAMAGES[damage][0](labels, template)
    assert tool.main(['check', str(work_dir)]) == 4
    told = capsys.readouterr().out
    assert '5 problems' in told
    states = [line.split('  ')[-1] for line in told.split('\n')[2:6]]
    assert states == ['damaged', 'missing', '1 map missing', 'damaged']
    assert tool.main(['repair', str(work_dir)]) == 4
    told = capsys.readouterr().out
    assert '4 problems left' in told
    assert not (labels / 'x.npz').exists()
    arguments = ['repair', str(work_dir), '--from', str(template / 'export')]
    assert tool.main([*arguments, '--dry-run']) == 0
    assert tool.main(arguments) == 0
    assert 'all 4 label files are sound now' in capsys.readouterr().out
    after = snapshot(labels)
    assert {name: after[name] for name in whole} == whole


def test_all_files_lost(template, labels):
    whole = snapshot(labels)
    for path in labels.glob('round_*.npz'):
        path.unlink()
    shutil.rmtree(labels / 'round_002')
    assert len(repair(LabelFolder(labels), POOL).left) == 4
    pieces = read_export(template / 'export').pieces()
    assert repair(LabelFolder(labels), POOL, pieces).left == []
    assert snapshot(labels) == whole


def test_a_hurt_list_that_knew_of_more(template, labels):
    """It is not rebuilt: it is all that tells of the lost file."""
    (labels / LAST).unlink()
    chain(lambda data: data[:-3])(labels, template)
    before = snapshot(labels)
    result = repair(LabelFolder(labels), POOL)
    assert 'names more than the 3' in result.left[0]
    assert snapshot(labels) == before


def test_a_list_of_another_experiment(template, work_dir, labels):
    shutil.copy(template / 'stranger/labels/chain.json', labels)
    with pytest.raises(StateError) as error:
        LabelStore(labels, POOL, EXPERIMENT)
    assert 'chain.json: wanted' in str(error.value)
    found = survey(LabelFolder(labels), POOL)
    assert [x.state for x in found.files] == ['sound'] * 4
    assert 'experiment' in found.problems[0]
    before = snapshot(labels)
    assert 'move it away' in repair(LabelFolder(labels), POOL).left[0]
    assert snapshot(labels) == before


def test_a_list_one_behind_is_completed(labels):
    whole = snapshot(labels)
    path = labels / 'chain.json'
    short = decode_chain(path, path.read_bytes())
    path.write_bytes(encode_chain(short._replace(files=short.files[:3])))
    found = survey(LabelFolder(labels), POOL)
    assert found.problems == []
    assert 'one file behind' in found.notes[0]
    assert 'completed' in repair(LabelFolder(labels), POOL).done[0]
    assert snapshot(labels) == whole


def test_left_overs_are_harmless(work_dir, labels, capsys):
    (labels / 'round_004.npz.tmp').write_bytes(b'half')
    (labels / 'round_004').mkdir()
    (labels / 'round_004' / '000001.png').write_bytes(b'map')
    assert LabelStore(labels, POOL, EXPERIMENT).rounds == 4
    assert tool.main(['check', str(work_dir)]) == 0
    told = capsys.readouterr().out
    assert 'round_004.npz.tmp: left over' in told
    assert 'round_004/000001.png: left over' in told


@pytest.mark.parametrize('nth', range(5))
@pytest.mark.parametrize('function', ['rename', 'replace'])
def test_a_repair_that_is_killed_goes_on(
    template, labels, monkeypatch, function, nth
):
    class KilledError(BaseException):
        pass

    whole = snapshot(labels)
    swap(0, 1)(labels, template)
    flip(3, -5)(labels, template)
    before = snapshot(labels)
    real, calls = getattr(os, function), iter(range(99))

    def wrapped(*args):
        if next(calls) == nth:
            raise KilledError
        return real(*args)

    with monkeypatch.context() as patch:
        patch.setattr(os, function, wrapped)
        try:
            repair(LabelFolder(labels), POOL)
        except KilledError:
            assert all(y in snapshot(labels).values() for y in before.values())
    assert repair(LabelFolder(labels), POOL).left == []
    after = snapshot(labels)
    assert {name: after[name] for name in whole} == whole
    assert all(y in after.values() for y in before.values())


def test_a_full_disk(template, labels, monkeypatch):
    def full(*args):
        raise OSError(28, 'No space left on device')

    swap(0, 1)(labels, template)
    monkeypatch.setattr(os, 'fsync', full)
    with pytest.raises(StateError, match='No space left'):
        repair(LabelFolder(labels), POOL)


# export and import


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


SCHEDULE = st.lists(
    st.tuples(
        st.sampled_from(['pixel', 'image']),
        st.integers(0, 2**31),
        st.booleans(),
        st.integers(0, 4),
    ),
    min_size=1,
    max_size=5,
)


@settings(max_examples=40, deadline=None)
@given(SCHEDULE, st.integers(0, 4))
def test_there_and_back(tmp_path_factory, schedule, kept):
    """All units, answers and scores: the same files, byte by byte."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, 'fsync', lambda descriptor: None)  # quick
        there_and_back(tmp_path_factory, schedule, kept)


def there_and_back(tmp_path_factory, schedule, kept):
    root = tmp_path_factory.mktemp('round')
    a, b = (make_work_dir(root / name) for name in 'ab')
    store = LabelStore(a / 'labels', POOL, EXPERIMENT)
    for unit, seed, scores, amount in schedule:
        ask(store, unit, seed, scores, amount)
    export(store, CLASSES, root / 'out', ['jsonl'])
    source = read_export(root / 'out' / 'labels.jsonl')
    if kept and kept < len(schedule):  # a true prefix is there
        other = LabelStore(b / 'labels', POOL, EXPERIMENT)
        for unit, seed, scores, amount in schedule[:kept]:
            ask(other, unit, seed, scores, amount)
    else:
        kept = 0
    pool = read_pool(b)
    done = import_labels(source, b, pool)
    assert done == (kept, len(schedule) - kept)
    assert snapshot(b / 'labels') == snapshot(a / 'labels')
    assert import_labels(source, b, pool) == (len(schedule), 0)


def test_scores_that_are_no_numbers(work_dir, labels, tmp_path):
    """Bit by bit, whatever a heuristic gave."""
    path = labels / LAST
    (labels / 'chain.json').unlink()
    content = decode(path, path.read_bytes())
    bits = [0x7FC00001, 0x80000000, 0xFF800000]
    content.scores = np.array(bits, np.uint32).view(np.float32)
    path.write_bytes(encode(content))
    export(LabelStore(labels, POOL), CLASSES, tmp_path / 'out')
    assert read_export(tmp_path / 'out').files[3].data == path.read_bytes()
    scores = [row.get('score') for row in records(tmp_path / 'out')]
    assert '0x7fc00001' in scores
    assert 'NaN' not in (tmp_path / 'out' / 'labels.jsonl').read_text()


def test_another_zlib(work_dir, labels, tmp_path, monkeypatch):
    """The list of images is kept as it was compressed."""
    path = labels / 'round_000.npz'
    content = decode(path, path.read_bytes())
    import zlib

    packed = zlib.compress(json.dumps(content.images).encode(), 1)
    other = make_work_dir(tmp_path / 'other') / 'labels'
    other.mkdir()
    data = encode(content, packed)
    assert data != path.read_bytes()
    (other / 'round_000.npz').write_bytes(data)
    export(LabelStore(other, POOL), CLASSES, tmp_path / 'out')
    assert read_export(tmp_path / 'out').files[0].data == data


def test_import_says_what_it_did(template, tmp_path, capsys):
    work_dir = make_work_dir(tmp_path / 'new')
    arguments = ['import', str(template / 'export'), str(work_dir)]
    assert tool.main(arguments) == 0
    assert '4 label files imported' in capsys.readouterr().out
    assert snapshot(work_dir / 'labels') == snapshot(template / 'work/labels')
    assert tool.main(arguments) == 0
    assert 'nothing was changed' in capsys.readouterr().out
    assert tool.main(['check', str(work_dir)]) == 0
    ask(LabelStore(work_dir / 'labels', POOL), 'pixel', 9, True)
    assert tool.main(arguments) == 0


class TestImportRefuses:
    def refuse(self, template, work_dir, kind, *said, source=None):
        before = snapshot(work_dir)
        with pytest.raises(kind) as error:
            import_labels(
                read_export(source or template / 'export'),
                work_dir,
                read_pool(work_dir),
            )
        for part in said:
            assert part in str(error.value)
        assert 'nothing was changed' in str(error.value)
        assert snapshot(work_dir) == before

    def test_other_labels(self, template, tmp_path):
        work_dir = make_work_dir(tmp_path / 'new')
        fill(work_dir, ROUNDS[:2], salt=5)
        self.refuse(template, work_dir, StateError, 'round_000.npz')

    def test_another_pool(self, template, tmp_path):
        work_dir = make_work_dir(tmp_path / 'new')
        content = json.loads((work_dir / 'pool.json').read_text())
        content['images'].reverse()
        (work_dir / 'pool.json').write_text(json.dumps(content))
        self.refuse(template, work_dir, StateError, 'of pool', 'pool.json')

    def test_another_experiment(self, template, tmp_path):
        work_dir = make_work_dir(tmp_path / 'new', dict(CONFIG, seed=4))
        self.refuse(template, work_dir, StateError, EXPERIMENT, 'config.json')

    def test_no_config(self, template, tmp_path):
        work_dir = make_work_dir(tmp_path / 'new')
        (work_dir / 'config.json').unlink()
        with pytest.raises(StateError, match=r'config\.json'):
            import_labels(
                read_export(template / 'export'), work_dir, read_pool(work_dir)
            )
        assert not (work_dir / 'labels').exists()

    @pytest.mark.parametrize('how', ['lost', 'spoilt'])
    def test_a_map_that_is_not_there(self, template, tmp_path, how):
        source = tmp_path / 'export'
        shutil.copytree(template / 'export', source)
        path = next((source / 'maps').rglob('*.png'))
        path.unlink() if how == 'lost' else path.write_bytes(b'x')
        rows = records(source)
        line = 1 + next(
            i for i, row in enumerate(rows)
            if row.get('map') == path.relative_to(source).as_posix()
        )  # fmt: skip
        work_dir = make_work_dir(tmp_path / 'new')
        self.refuse(
            template, work_dir, DataError, f'line {line}: ', path.name,
            source=source,
        )  # fmt: skip

    def test_no_export(self, tmp_path):
        with pytest.raises(DataError, match=r'labels\.jsonl'):
            read_export(tmp_path)
        (tmp_path / 'labels.jsonl').write_bytes(b'\xff\xfe')
        with pytest.raises(DataError, match=r'labels\.jsonl'):
            read_export(tmp_path / 'labels.jsonl')
        (tmp_path / 'labels.jsonl').write_bytes(b'')
        with pytest.raises(DataError, match='line 1: '):
            read_export(tmp_path)


def edit(**changes):
    def change(line):
        return json.dumps({**json.loads(line), **changes})

    return change


def drop(key):
    def change(line):
        record = json.loads(line)
        del record[key]
        return json.dumps(record)

    return change


PIXEL, LATER, WHOLE = 7, 25, 'whole'
"""Lines, from 1: of rounds 0 and 1, and of the first whole image."""


@pytest.mark.parametrize(
    ('line', 'change', 'said'),
    [
        (1, edit(format=9), 'format: wanted 1, got 9'),
        (2, edit(round=7), 'round: wanted 1, the next, got 7'),
        (2, edit(unit='x'), 'unit'),
        (2, edit(requests='x'), 'requests: wanted int'),
        (2, edit(requests=True), 'requests: wanted int'),
        (2, edit(requests=1), 'requests: wanted 1 lines'),
        (2, edit(images=[['a', 0, 1]]), 'images: wanted [name, H, W]'),
        (2, edit(images=[['a', 1, 1]]), 'packed_images: they are not'),
        (2, edit(packed_images='!'), 'packed_images: cannot be read'),
        (2, edit(previous='0' * 64), 'previous: wanted'),
        (2, edit(pool='0'), 'pool: wanted'),
        (1, edit(pool='0'), 'lines 5 to 19: with line 1 they do not'),
        (2, edit(experiment='0'), 'experiment: wanted'),
        (2, drop('sha256'), 'sha256: missing'),
        (PIXEL, lambda line: line[:-9], 'wanted a JSON object'),
        (PIXEL, lambda line: '[1]', 'wanted a JSON object, got list'),
        (PIXEL, edit(record='x'), "record: wanted 'file' or 'request'"),
        (PIXEL, drop('row'), 'row: missing'),
        (PIXEL, edit(row=99), 'row, column: wanted a place'),
        (PIXEL, edit(row=-1), 'row, column: wanted a place'),
        (PIXEL, edit(row=1.0), 'row: wanted int'),
        (PIXEL, edit(image='x'), 'image: '),
        (PIXEL, edit(round=9), 'round: wanted one of 0 to 3'),
        (PIXEL, edit(status='x'), 'status: wanted one of'),
        (PIXEL, edit(status='void', **{'class': 1}), 'class: wanted null'),
        (
            PIXEL,
            edit(status='labelled', **{'class': None}),
            'class: wanted a class id',
        ),
        (
            PIXEL,
            edit(status='labelled', **{'class': 255}),
            'class: wanted a class id',
        ),
        (
            PIXEL,
            edit(status='labelled', **{'class': 1}, class_name='sky'),
            'class_name: wanted',
        ),
        (PIXEL, edit(score=1.0), 'score: wanted null'),
        (LATER, edit(score=None), 'score: wanted a number'),
        (LATER, edit(score=0.1), 'score: wanted a float32'),
        (LATER, edit(score=1e99), 'score: wanted a float32'),
        (LATER, edit(score='0x1'), 'score: wanted a number'),
        (WHOLE, edit(row=1), 'row, column: wanted null'),
        (WHOLE, edit(map=None), 'map, sha256: wanted a label map'),
        (WHOLE, edit(map='maps/round_002/../x.png'), 'map: wanted'),
        (WHOLE, edit(map='maps/round_002/x.png'), 'map: wanted'),
        (WHOLE, edit(pixels=dict(labelled=1)), 'void: missing'),
        (WHOLE, lambda line: f'{line}\n{line}', 'twice'),
    ],
)
def test_a_bad_line_is_named(template, tmp_path, line, change, said):
    text = (template / 'export' / 'labels.jsonl').read_text()
    lines = text.split('\n')
    if line == WHOLE:
        line = 1 + next(i for i, x in enumerate(lines) if '"maps/' in x)
    lines[line - 1] = change(lines[line - 1])
    with pytest.raises(DataError) as error:
        label_parse.parse('a.jsonl', '\n'.join(lines))
    message = str(error.value)
    number = line + ('twice' in said)
    assert said in message
    if not said.startswith('line'):
        assert f'  - line {number}: ' in message


def test_all_bad_lines_are_named(template):
    text = (template / 'export' / 'labels.jsonl').read_text()
    lines = text.split('\n')
    for at in (6, 8, 20):
        lines[at - 1] = edit(row=99)(lines[at - 1])
    with pytest.raises(DataError, match='3 problems') as error:
        label_parse.parse('a.jsonl', '\n'.join(lines))
    for at in (6, 8, 20):
        assert f'line {at}: row' in str(error.value)


def test_a_line_that_lies_is_seen(template):
    """Well-formed, but not what was exported."""
    lines = (template / 'export' / 'labels.jsonl').read_text().split('\n')
    at = next(
        i for i, x in enumerate(lines) if '"round": 1' in x and '"row"' in x
    )
    for change in (edit(score=0.5), edit(status='refused', class_name=None,
                                         **{'class': None})):  # fmt: skip
        changed = [*lines]
        changed[at] = change(lines[at])
        if changed[at] == lines[at]:
            continue
        with pytest.raises(DataError, match=rf'lines {at + 1} to \d+: '):
            label_parse.parse('a.jsonl', '\n'.join(changed))
    with pytest.raises(DataError, match='requests: wanted'):
        label_parse.parse('a', '\n'.join([*lines[:at], *lines[at + 1 :]]))


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
    assert repair(LabelFolder(work_dir / 'labels'), POOL).left == []
    assert snapshot(work_dir) == before


HOLD = """
import fcntl, sys
file = open(sys.argv[1], 'a+')
fcntl.lockf(file, fcntl.LOCK_EX)
print('held', flush=True)
sys.stdin.read()
"""


def test_a_run_at_work_is_not_disturbed(template, work_dir, capsys):
    holder = subprocess.Popen(
        [sys.executable, '-c', HOLD, str(work_dir / '.lock')],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert holder.stdout.readline() == b'held\n'
    (work_dir / 'labels' / 'chain.json').unlink()
    before = snapshot(work_dir)
    repairing = ['repair', str(work_dir)]
    importing = ['import', str(template / 'export'), str(work_dir)]
    for arguments in (repairing, importing):
        assert tool.main(arguments) == 4
        assert 'another run is at work' in capsys.readouterr().err
    assert tool.main([*repairing, '--dry-run']) == 0
    assert snapshot(work_dir) == before
    holder.communicate()
    assert tool.main(repairing) == 0


def test_trouble_is_one_line_and_an_exit_code(tmp_path):
    command = [sys.executable, 'tools/labels.py', 'check', str(tmp_path)]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == StateError.exit_code
    assert done.stderr.startswith('error: ')
    assert done.stderr.count('\n') == 1
    with pytest.raises(StateError):
        tool.main(['check', str(tmp_path), '--debug'])


def test_the_config_is_only_read_where_there_are_no_labels(
    template, work_dir, monkeypatch
):
    monkeypatch.setattr(label_import, 'experiment_of', None)
    source = read_export(template / 'export')
    assert import_labels(source, work_dir, read_pool(work_dir)) == (4, 0)
