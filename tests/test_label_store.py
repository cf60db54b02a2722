"""The label store: no label is lost, no place is asked twice."""

import json
import os
import shutil
import zipfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segal.active.label_store import file as label_file
from segal.active.label_store import folder as label_folder
from segal.active.label_store import store as label_store
from segal.active.label_store.folder import decode_manifest, encode_manifest
from segal.active.label_store.store import LabelStore, pool_fingerprint
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

POOL = [
    PoolImage('set/b.png', (4, 5)),
    PoolImage('set/a.png', (3, 7)),
    PoolImage('set/ö/c.png', (6, 2)),
]
NAMES = [image.name for image in POOL]


def pixels(number, asked, scores=True, refused=()):
    """Answers: class = place % 5, where 4 means void."""
    places = {x: np.array(y, np.int64) for x, y in asked.items()}
    selection = Selection(
        number,
        'pixel',
        places,
        {x: y.astype(np.float32) / 7 for x, y in places.items()}
        if scores
        else {},
    )
    answers = {}
    for name, at in places.items():
        status = np.where(at % 5 == 4, VOID, LABELLED).astype(np.uint8)
        status[np.isin(at, refused)] = REFUSED
        answers[name] = PixelAnswers(at, (at % 5).astype(np.uint8), status)
    return Answers(selection, answers)


def whole(number, maps):
    """Answers to whole images: name -> label map or None."""
    return Answers(
        Selection(
            number,
            'image',
            {name: np.empty(0, np.int64) for name in maps},
            {name: np.array([0.5], np.float32) for name in maps},
        ),
        {name: ImageAnswers(label_map) for name, label_map in maps.items()},
    )


def a_map(name, void=()):
    size = POOL[NAMES.index(name)].size
    label_map = (np.arange(size[0] * size[1]) % 3).astype(np.uint8)
    label_map[list(void)] = 255
    return label_map.reshape(size)


def same_state(a, b):
    assert a.rounds == b.rounds
    assert a.counts() == b.counts()
    np.testing.assert_array_equal(a.free(), b.free())
    assert a.labelled_names() == b.labelled_names()
    for name in [image.name for image in a.pool]:
        np.testing.assert_array_equal(a.draw(name), b.draw(name))
        np.testing.assert_array_equal(a.available(name), b.available(name))
        for x, y in zip(
            vars(a.history(name)).values(),
            vars(b.history(name)).values(),
            strict=True,
        ):
            np.testing.assert_array_equal(x, y)
    for number in range(a.rounds):
        assert a.counts(number) == b.counts(number)
        x, y = a.selection(number), b.selection(number)
        assert (x.round, x.unit) == (y.round, y.unit) == (number, x.unit)
        for mine, other in ((x.places, y.places), (x.scores, y.scores)):
            assert list(mine) == list(other)
            for name in mine:
                np.testing.assert_array_equal(mine[name], other[name])


@pytest.fixture
def folder(tmp_path):
    return tmp_path / 'work' / 'labels'


@pytest.fixture
def store(folder):
    """Three rounds, of both units."""
    store = LabelStore(folder, POOL, 'an experiment')
    store.append(pixels(0, {NAMES[0]: [3, 4, 11], NAMES[1]: [9]}, False))
    store.append(pixels(1, {NAMES[0]: [0, 19], NAMES[2]: [5]}, refused=[5]))
    store.append(whole(2, {NAMES[1]: a_map(NAMES[1], [0, 1])}))
    return store


class TestReading:
    def test_an_empty_store(self, folder):
        store = LabelStore(folder, POOL)
        assert store.rounds == 0
        assert store.counts() == (0, 0, 0, 0, 0)
        assert store.labelled_names() == []
        assert store.free().tolist() == [20, 21, 12]
        assert not folder.exists()
        assert (store.draw(NAMES[0]) == 255).all()
        assert store.available(NAMES[1]).all()

    def test_what_was_bought_is_drawn(self, store):
        wanted = np.full(20, 255)
        wanted[[0, 3, 11]] = 0, 3, 1  # 4 and 19 are void
        drawn = store.draw(NAMES[0])
        assert drawn.dtype == np.uint8
        np.testing.assert_array_equal(drawn, wanted.reshape(4, 5))
        wanted[wanted == 255] = 11
        np.testing.assert_array_equal(
            store.draw(NAMES[0], 11), wanted.reshape(4, 5)
        )

    def test_the_earlier_answer_stands_in_a_whole_image(self, store):
        wanted = a_map(NAMES[1], [0, 1])
        wanted.reshape(-1)[9] = 255  # void when asked alone
        np.testing.assert_array_equal(store.draw(NAMES[1]), wanted)
        wanted[wanted == 255] = 0
        np.testing.assert_array_equal(store.draw(NAMES[1], 0), wanted)

    def test_labels_are_counted_by_class(self, store):
        """Neither void, nor refused, nor a pixel twice."""
        for number, wanted in enumerate(
            ({1: 1, 3: 1}, {0: 1}, {0: 5, 1: 6, 2: 7})
        ):
            counts = store.class_counts(number)
            assert {i: n for i, n in enumerate(counts.tolist()) if n} == wanted
        assert store.class_counts().sum() == store.counts().labelled
        store.class_counts()[:] = 7  # a copy

    def test_history_holds_every_request(self, store):
        history = store.history(NAMES[0])
        assert history.places.tolist() == [3, 4, 11, 0, 19]
        assert history.classes.tolist() == [3, 255, 1, 0, 255]
        assert history.status.tolist() == [0, 1, 0, 0, 1]
        assert history.rounds.tolist() == [0, 0, 0, 1, 1]
        assert (history.whole, history.round) == (False, None)
        history = store.history(NAMES[1])
        assert history.places.tolist() == [9]
        assert (history.whole, history.round) == (True, 2)
        assert history.whole_status == LABELLED
        assert store.history(NAMES[2]).status.tolist() == [REFUSED]

    def test_the_counts(self, store):
        assert store.counts(0) == (4, 2, 2, 0, 2)
        assert store.counts(1) == (3, 1, 1, 1, 2)
        assert store.counts(2) == (20, 18, 2, 0, 1)  # 21 pixels, one asked
        assert store.counts() == (27, 21, 5, 1, 2)
        assert store.labelled_names() == NAMES[:2]

    def test_what_is_free(self, store):
        assert store.free().tolist() == [15, 0, 11]
        for image, free in zip(POOL, store.free(), strict=True):
            mask = store.available(image.name)
            assert mask.shape == image.size
            assert mask.sum() == free
        assert not store.available(NAMES[2]).reshape(-1)[5]

    def test_selections_come_back_with_their_scores(self, store):
        first, second, third = (store.selection(i) for i in range(3))
        assert first.scores == {}
        assert list(first.places) == NAMES[:2]
        assert first.places[NAMES[0]].tolist() == [3, 4, 11]
        assert first.places[NAMES[0]].dtype == np.int64
        np.testing.assert_allclose(second.scores[NAMES[0]], [0, 19 / 7])
        np.testing.assert_allclose(second.scores[NAMES[2]], [5 / 7])
        assert (third.unit, len(third)) == ('image', 1)
        assert third.places[NAMES[1]].shape == (0,)
        assert third.scores[NAMES[1]].tolist() == [0.5]

    def test_everything_comes_back(self, store, folder):
        same_state(store, LabelStore(folder, POOL, 'an experiment'))

    def test_other_ranks_reload(self, store, folder):
        other = LabelStore(folder, POOL, 'an experiment')
        store.append(pixels(3, {NAMES[2]: [1, 2]}))
        assert other.rounds == 3
        other.reload()
        other.reload()
        same_state(store, other)

    def test_what_is_handed_out_is_not_the_state(self, store, folder):
        for name in NAMES:
            store.draw(name)[:] = 7
            store.available(name)[:] = True
            for value in vars(store.history(name)).values():
                if isinstance(value, np.ndarray):
                    value[:] = 1
        same_state(store, LabelStore(folder, POOL, 'an experiment'))

    def test_a_tool_that_only_reads_need_not_know_the_experiment(
        self, store, folder
    ):
        same_state(store, LabelStore(folder, POOL))

    def test_an_unknown_name(self, store):
        for read in (store.draw, store.history, store.available):
            for name in ('', 'set/bb.png', 'zzz'):
                with pytest.raises(RuntimeError, match='not in the pool'):
                    read(name)

    def test_refused_and_void_whole_images(self, folder):
        store = LabelStore(folder, POOL)
        void = np.full(POOL[2].size, 255, np.uint8)
        store.append(whole(0, {NAMES[0]: None, NAMES[2]: void}))
        assert store.counts() == (32, 0, 12, 20, 0)
        assert store.counts(0).images == 2
        assert store.free().tolist() == [0, 21, 0]
        assert store.labelled_names() == []
        assert store.history(NAMES[0]).whole_status == REFUSED
        assert store.history(NAMES[2]).whole_status == VOID
        assert (store.draw(NAMES[0]) == 255).all()
        same_state(store, LabelStore(folder, POOL))


class TestAppending:
    """Answers that do not belong to the selection are refused."""

    def refuse(self, store, answers, said):
        before = sorted(store.folder.rglob('*'))
        with pytest.raises(RuntimeError, match=said):
            store.append(answers)
        assert sorted(store.folder.rglob('*')) == before
        same_state(store, LabelStore(store.folder, POOL, 'an experiment'))

    @pytest.mark.parametrize('number', [0, 2, 4])
    def test_another_round(self, store, number):
        self.refuse(
            store, pixels(number, {NAMES[2]: [1]}), 'answers of round 3'
        )

    @pytest.mark.parametrize(
        ('asked', 'said'),
        [
            ({NAMES[0]: [2, 4]}, 'place 4 was asked twice'),
            ({NAMES[2]: [5]}, 'place 5 was asked twice'),
            ({NAMES[0]: [2, 2]}, 'place 2 was asked twice'),
            ({NAMES[0]: [20]}, 'places 0 to 19, got 20 to 20'),
            ({NAMES[0]: [-1]}, 'places 0 to 19, got -1'),
            ({NAMES[0]: [2**32 + 1]}, 'places 0 to 19'),
            ({NAMES[1]: [2]}, 'asked as a whole in round 2'),
            ({'set/x.png': [1]}, "'set/x.png' is not in the pool"),
        ],
    )
    def test_places_that_may_not_be_asked(self, store, asked, said):
        self.refuse(store, pixels(3, asked), said)

    def test_a_whole_image_twice(self, store):
        self.refuse(store, whole(3, {NAMES[1]: a_map(NAMES[1])}), 'a whole')

    def test_a_whole_image_of_which_nothing_is_left(self, folder):
        store = LabelStore(folder, POOL, 'an experiment')
        store.append(pixels(0, {NAMES[2]: range(12)}))
        self.refuse(
            store, whole(1, {NAMES[2]: a_map(NAMES[2])}), 'every pixel'
        )

    @pytest.mark.parametrize(
        ('change', 'said'),
        [
            (lambda a: (a.places + 1, a.classes, a.status), 'are not those'),
            (lambda a: (a.places[:1], a.classes, a.status), 'are not those'),
            (lambda a: (a.places[::-1], a.classes, a.status), 'not those'),
            (lambda a: (a.places, a.classes[:1], a.status), 'classes'),
            (lambda a: (a.places, a.classes, a.status[:1]), 'statuses'),
            (lambda a: (a.places, a.classes, a.status + 3), 'statuses 0, 1'),
            (lambda a: (a.places, a.classes + 255, a.status), 'ids 0 to 254'),
            (
                lambda a: (a.places, a.classes.astype(int) - 9, a.status),
                'ids 0 to 254',
            ),
        ],
    )
    def test_answers_to_something_else(self, store, change, said):
        answers = pixels(3, {NAMES[2]: [0, 10]})
        right = answers.images[NAMES[2]]
        answers.images[NAMES[2]] = PixelAnswers(*change(right))
        self.refuse(store, answers, said)

    def test_missing_and_foreign_images(self, store):
        answers = pixels(3, {NAMES[0]: [1], NAMES[2]: [0]})
        del answers.images[NAMES[0]]
        self.refuse(store, answers, NAMES[0])
        answers = pixels(3, {NAMES[2]: [0]})
        answers.images[NAMES[0]] = answers.images[NAMES[2]]
        self.refuse(store, answers, NAMES[0])

    def test_the_wrong_kind_of_answer(self, store):
        answers = pixels(3, {NAMES[2]: [0]})
        answers.images[NAMES[2]] = ImageAnswers(a_map(NAMES[2]))
        self.refuse(store, answers, 'ImageAnswers')
        answers = whole(3, {NAMES[2]: None})
        answers.images[NAMES[2]] = pixels(3, {NAMES[2]: []}).images[NAMES[2]]
        self.refuse(store, answers, 'PixelAnswers')

    @pytest.mark.parametrize(
        'label_map',
        [np.zeros((2, 6), np.uint8), np.zeros((6, 2), np.int64)],
    )
    def test_no_label_map_of_that_image(self, store, label_map):
        self.refuse(store, whole(3, {NAMES[2]: label_map}), 'label map uint8')

    def test_scores_of_some_only(self, store):
        answers = pixels(3, {NAMES[0]: [1, 2], NAMES[2]: [0]})
        answers.selection.scores[NAMES[0]] = np.zeros(1, np.float32)
        self.refuse(store, answers, 'wanted 2 scores, got 1')
        del answers.selection.scores[NAMES[0]]
        self.refuse(store, answers, 'wanted 2 scores, got 0')

    def test_a_file_that_another_process_wrote(self, store, folder):
        other = LabelStore(folder, POOL, 'an experiment')
        other.append(pixels(3, {NAMES[2]: [0]}))
        data = (folder / 'round_003.npz').read_bytes()
        with pytest.raises(StateError, match='another process'):
            store.append(pixels(3, {NAMES[2]: [1]}))
        assert (folder / 'round_003.npz').read_bytes() == data

    def test_a_round_that_asks_nothing(self, store, folder):
        store.append(pixels(3, {}))
        assert store.counts(3) == (0, 0, 0, 0, 0)
        same_state(store, LabelStore(folder, POOL, 'an experiment'))

    def test_a_pool_with_a_name_twice(self, folder):
        with pytest.raises(DataError, match='twice'):
            LabelStore(folder, [*POOL, PoolImage(NAMES[1], (1, 1))])


class TestDamagedFiles:
    """Damaged files are named, and left as they are."""

    def check(self, folder, *said, pool=POOL, experiment='an experiment'):
        before = {
            path: path.read_bytes()
            for path in folder.rglob('*')
            if path.is_file()
        }
        with pytest.raises(StateError) as error:
            LabelStore(folder, pool, experiment)
        for part in said:
            assert part in str(error.value)
        assert 'tools/labels.py' in str(error.value)
        assert str(folder.parent) in str(error.value)
        after = {
            path: path.read_bytes()
            for path in folder.rglob('*')
            if path.is_file()
        }
        assert after == before

    @pytest.mark.parametrize('number', [0, 1, 2])
    def test_any_changed_byte(self, store, folder, number):
        path = folder / f'round_{number:03d}.npz'
        data = path.read_bytes()
        for at in [*range(0, len(data), 97), -1, -64, -65, -66, -67]:
            hurt = bytearray(data)
            hurt[at] ^= 4
            path.write_bytes(hurt)
            self.check(folder, path.name, 'SHA-256')

    @pytest.mark.parametrize('length', [0, 1, 65, 66, 500, -1])
    def test_truncated(self, store, folder, length):
        path = folder / 'round_002.npz'
        path.write_bytes(path.read_bytes()[:length])
        self.check(folder, path.name, 'truncated')

    def test_longer(self, store, folder):
        path = folder / 'round_002.npz'
        path.write_bytes(path.read_bytes() + b'\0')
        self.check(folder, path.name)

    @pytest.mark.parametrize('number', [0, 1])
    def test_missing(self, store, folder, number):
        path = folder / f'round_{number:03d}.npz'
        path.unlink()
        self.check(folder, path.name, 'got none', 'round 2 is there')

    def test_gone_while_running(self, store, folder):
        (folder / 'round_002.npz').unlink()
        with pytest.raises(StateError, match='was there before'):
            store.reload()

    def test_replaced_while_running(self, store, folder):
        shutil.copy(folder / 'round_000.npz', folder / 'round_001.npz')
        with pytest.raises(StateError, match='read before'):
            store.selection(1)

    def test_another_round_under_that_name(self, store, folder):
        shutil.copy(folder / 'round_002.npz', folder / 'round_001.npz')
        self.check(folder, 'round_001.npz', 'round 1', 'round 2')

    def test_another_history(self, store, folder, tmp_path):
        other = LabelStore(tmp_path / 'other', POOL, 'an experiment')
        other.append(pixels(0, {NAMES[0]: [1]}))
        shutil.copy(other.folder / 'round_000.npz', folder / 'round_000.npz')
        self.check(folder, 'round_000.npz', 'that chain.json names')
        (folder / 'chain.json').unlink()
        self.check(folder, 'round_001.npz', 'previous file (round_000.npz)')

    def test_another_experiment(self, store, folder):
        self.check(
            folder,
            'an experiment',
            'something else',
            experiment='something else',
        )

    @pytest.mark.parametrize(
        'pool',
        [
            POOL[:2],
            POOL[::-1],
            [*POOL[:2], PoolImage(NAMES[2], (2, 6))],
            [*POOL[:2], PoolImage('set/d.png', (6, 2))],
        ],
    )
    def test_another_pool(self, store, folder, pool):
        assert pool_fingerprint(pool) != pool_fingerprint(POOL)
        self.check(folder, 'round_000.npz', 'of pool', pool=pool)

    def test_a_label_map_that_is_gone_or_changed(self, store, folder):
        path = folder / 'round_002' / '000001.png'
        data = path.read_bytes()
        path.write_bytes(data[:-1])
        self.check(folder, str(path), 'SHA-256')
        path.unlink()
        self.check(folder, str(path))
        with pytest.raises(StateError, match='000001'):
            store.draw(NAMES[1])
        path.write_bytes(b'no picture')
        with pytest.raises(StateError, match='000001'):
            store.draw(NAMES[1])

    def forge(self, folder, number, **changes):
        """Write other content with a valid SHA-256."""
        path = folder / f'round_{number:03d}.npz'
        (folder / 'chain.json').unlink()
        content = label_file.decode(path, path.read_bytes())
        for name, value in changes.items():
            setattr(content, name, value)
        path.write_bytes(label_file.encode(content))

    def test_a_place_asked_in_two_files(self, store, folder):
        (folder / 'round_002.npz').unlink()
        self.forge(folder, 1, places=np.array([3, 19, 5], np.int32))
        self.check(folder, 'round_001.npz', 'place 3 was asked twice')

    def test_a_place_outside_its_image(self, store, folder):
        self.forge(folder, 1, places=np.array([0, 20, 5], np.int32))
        self.check(folder, 'round_001.npz', 'outside its 20 pixels')

    @pytest.mark.parametrize(
        'changes',
        [
            dict(offsets=np.array([0, 2, 9], np.int32)),
            dict(offsets=np.array([0, 3, 2], np.int32)),
            dict(classes=np.zeros(2, np.uint8)),
            dict(scores=np.zeros(2, np.float32)),
            dict(unit='image'),
            dict(maps=[None, None]),
        ],
    )
    def test_arrays_that_contradict_each_other(self, store, folder, changes):
        self.forge(folder, 1, **changes)
        self.check(folder, 'round_001.npz', 'contradict')

    def test_a_later_format(self, store, folder, monkeypatch):
        path = folder / 'round_000.npz'
        content = label_file.decode(path, path.read_bytes())
        with monkeypatch.context() as patch:
            patch.setattr(label_file, 'VERSION', 2)
            path.write_bytes(label_file.encode(content))
        with pytest.raises(StateError, match='format 1, got 2'):
            LabelStore(folder, POOL, 'an experiment')

    def test_a_pickle_is_not_read(self, store, folder):
        path = folder / 'round_000.npz'
        with open(path, 'wb') as file:
            np.savez(file, header=np.array([{'a': 1}], object))
        data = path.read_bytes()[:-2] + b'\x40\x00'
        path.write_bytes(data + label_file.sha256(data[:-2]).encode())
        self.check(folder, 'round_000.npz', 'does not read as such')


class TestManifest:
    """chain.json names every file, and so shows that the last one exists."""

    def chain(self, folder):
        return json.loads((folder / 'chain.json').read_text())

    def hashes(self, folder):
        paths = sorted(folder.glob('*.npz'))
        return [label_file.sha256(path.read_bytes()) for path in paths]

    def behind(self, folder, files):
        """Shorten the list to its first files."""
        path = folder / 'chain.json'
        manifest = decode_manifest(path, path.read_bytes())
        path.write_bytes(
            encode_manifest(manifest._replace(files=manifest.files[:files]))
        )

    def refuse(self, folder, *said):
        TestDamagedFiles().check(folder, *said)
        with pytest.raises(StateError):
            LabelStore(folder, POOL)

    def test_it_names_every_file(self, store, folder):
        chain = self.chain(folder)
        assert chain['files'] == self.hashes(folder)
        assert len(chain['files']) == 3
        assert chain['experiment'] == 'an experiment'
        assert chain['pool'] == pool_fingerprint(POOL)

    def test_the_last_file_lost(self, store, folder):
        (folder / 'round_002.npz').unlink()
        self.refuse(folder, 'round_002.npz', 'chain.json names 3 label files')

    def test_the_last_two_lost(self, store, folder):
        for number in (1, 2):
            (folder / f'round_{number:03d}.npz').unlink()
        self.refuse(folder, 'round_001.npz', 'chain.json names 3 label files')

    def test_all_lost(self, store, folder):
        for path in folder.glob('*.npz'):
            path.unlink()
        self.refuse(folder, 'round_000.npz', 'chain.json names 3 label files')

    def test_another_last_file(self, store, folder):
        """Its SHA-256, experiment, pool and round are valid."""
        path = folder / 'round_002.npz'
        content = label_file.decode(path, path.read_bytes())
        content.scores = content.scores + 1
        path.write_bytes(label_file.encode(content))
        self.refuse(folder, 'round_002.npz', 'that chain.json names')

    def test_one_behind_is_completed_by_the_next_round(self, store, folder):
        self.behind(folder, 2)
        before = (folder / 'chain.json').read_bytes()
        again = LabelStore(folder, POOL, 'an experiment')
        again.reload()
        same_state(again, store)
        assert (folder / 'chain.json').read_bytes() == before
        again.append(pixels(3, {NAMES[2]: [0]}))
        assert self.chain(folder)['files'] == self.hashes(folder)

    def test_two_behind_is_no_killed_write(self, store, folder):
        self.behind(folder, 1)
        self.refuse(folder, 'chain.json', 'got one of 1')

    def test_it_never_falls_two_behind(self, store, folder, monkeypatch):
        """Killed twice between a file and the list."""
        self.behind(folder, 2)
        again = LabelStore(folder, POOL, 'an experiment')
        seen = []
        real = os.replace

        def wrapped(old, new):
            if new.name == 'round_003.npz':
                seen.append(len(self.chain(folder)['files']))
                real(old, new)
                raise Killed
            real(old, new)

        with monkeypatch.context() as patch:
            patch.setattr(os, 'replace', wrapped)
            with pytest.raises(Killed):
                again.append(pixels(3, {NAMES[2]: [0]}))
        assert seen == [3]
        assert LabelStore(folder, POOL, 'an experiment').rounds == 4

    def test_an_older_folder_has_none(self, store, folder):
        """It is read, and has one from the next round on."""
        (folder / 'chain.json').unlink()
        again = LabelStore(folder, POOL, 'an experiment')
        same_state(again, store)
        assert not (folder / 'chain.json').exists()
        again.append(pixels(3, {NAMES[2]: [0]}))
        assert self.chain(folder)['files'] == self.hashes(folder)

    def test_a_machine_that_receives_the_files_has_none(
        self, store, folder, tmp_path
    ):
        """Rank 0 sends it the files of a round, and nothing else."""
        other = tmp_path / 'other' / 'labels'
        other.mkdir(parents=True)
        receiver = LabelStore(other, POOL, 'an experiment')
        store.append(pixels(3, {NAMES[2]: [0]}))
        for number in range(4):
            shutil.copy(folder / f'round_{number:03d}.npz', other)
            if number == 2:
                shutil.copytree(folder / 'round_002', other / 'round_002')
            receiver.reload()
        same_state(receiver, store)
        same_state(receiver, LabelStore(other, POOL, 'an experiment'))
        assert not (other / 'chain.json').exists()

    def test_a_machine_with_an_old_list_goes_on(self, store, folder, tmp_path):
        other = tmp_path / 'other' / 'labels'
        shutil.copytree(folder, other)
        receiver = LabelStore(other, POOL, 'an experiment')
        for number in (3, 4):
            store.append(pixels(number, {NAMES[2]: [number - 3]}))
            shutil.copy(folder / f'round_{number:03d}.npz', other)
            receiver.reload()
        same_state(receiver, store)

    @pytest.mark.parametrize(
        'text',
        ['', '{', '[]', '{}', 'null', '{"seal": 1}', '\xff'],
    )
    def test_no_list(self, store, folder, text):
        (folder / 'chain.json').write_bytes(text.encode('latin-1'))
        self.refuse(folder, 'chain.json', 'labels.py check', 'writes it anew')
        with pytest.raises(StateError, match='writes it anew'):
            store.append(pixels(3, {NAMES[2]: [0]}))
        assert store.rounds == 3

    def test_any_changed_value(self, store, folder):
        path = folder / 'chain.json'
        before = self.chain(folder)
        for key, value in (
            ('files', [*before['files'][:2], '0' * 64]),
            ('files', before['files'][:2]),
            ('files', before['files'] * 2),
            ('files', 'x'),
            ('experiment', 'another'),
            ('pool', '0'),
            ('format', 2),
        ):
            path.write_text(json.dumps({**before, key: value}))
            self.refuse(folder, 'chain.json', 'altered')

    def test_a_later_format(self, store, folder, monkeypatch):
        path = folder / 'chain.json'
        manifest = decode_manifest(path, path.read_bytes())
        with monkeypatch.context() as patch:
            patch.setattr(label_folder, 'VERSION', 2)
            path.write_bytes(encode_manifest(manifest))
        with pytest.raises(StateError, match='format 1, got format 2'):
            LabelStore(folder, POOL, 'an experiment')

    def test_the_list_of_another_experiment(self, store, folder, tmp_path):
        other = LabelStore(tmp_path / 'other', POOL, 'something else')
        other.append(pixels(0, {NAMES[0]: [1]}))
        shutil.copy(other.folder / 'chain.json', folder)
        TestDamagedFiles().check(folder, 'chain.json', "'something else'")

    def test_the_list_of_another_pool(self, store, folder, tmp_path):
        other = LabelStore(tmp_path / 'other', POOL[:2], 'an experiment')
        other.append(pixels(0, {NAMES[0]: [1]}))
        shutil.copy(other.folder / 'chain.json', folder)
        self.refuse(folder, 'chain.json', 'of pool')

    def test_it_changed_while_running(self, store, folder):
        other = LabelStore(folder, POOL, 'an experiment')
        other.append(pixels(3, {NAMES[2]: [1]}))
        (folder / 'round_003.npz').unlink()
        before = (folder / 'chain.json').read_bytes()
        with pytest.raises(StateError, match='another process'):
            store.append(pixels(3, {NAMES[2]: [0]}))
        assert (folder / 'chain.json').read_bytes() == before

    def test_a_full_disk_after_the_file(self, store, folder, monkeypatch):
        """The round is stored; only the list lacks it."""

        real = os.replace

        def full(old, new):
            if new.name == 'chain.json':
                raise OSError(28, 'No space left on device')
            real(old, new)

        with monkeypatch.context() as patch:
            patch.setattr(os, 'replace', full)
            with pytest.raises(StateError, match='No space left'):
                store.append(pixels(3, {NAMES[2]: [0]}))
        assert store.rounds == 4
        store.append(pixels(4, {NAMES[2]: [1]}))
        same_state(store, LabelStore(folder, POOL, 'an experiment'))
        assert self.chain(folder)['files'] == self.hashes(folder)


class TestForeignFiles:
    @pytest.mark.parametrize(
        'name',
        ['round_7.npz', 'round_003 (copy).npz', 'x.npz', 'round_0001.npz',
         'round_-01.npz', 'ROUND_003.NPZ', '.npz', 'round_٣٤٥.npz'],
    )  # fmt: skip
    def test_an_archive_of_another_name(self, store, folder, name):
        shutil.copy(folder / 'round_002.npz', folder / name)
        TestDamagedFiles().check(folder, f'/{name}: ', 'move it away')
        with pytest.raises(StateError, match='move it away'):
            store.append(pixels(3, {NAMES[2]: [0]}))
        assert not (folder / 'round_003.npz').exists()

    def test_a_foreign_archive_alone(self, folder):
        folder.mkdir(parents=True)
        (folder / 'x.npz').write_bytes(b'')
        TestDamagedFiles().check(folder, 'x.npz')

    @pytest.mark.parametrize(
        'name',
        ['round_003.npz.tmp', 'chain.json.tmp', 'round_003/000001.png',
         'notes.txt', 'damaged/round_001.npz', 'round_003.1'],
    )  # fmt: skip
    def test_what_is_harmless(self, store, folder, name):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(b'left over')
        again = LabelStore(folder, POOL, 'an experiment')
        same_state(again, store)
        again.append(pixels(3, {NAMES[2]: [0]}))
        same_state(again, LabelStore(folder, POOL, 'an experiment'))


class Killed(BaseException):
    """Ends a process, as far as a test can."""


def kill_at(monkeypatch, function, nth):
    """Die at the nth call of a function of os."""
    calls = iter(range(1000))
    real = getattr(os, function)

    def wrapped(*args):
        if next(calls) == nth:
            raise Killed
        return real(*args)

    monkeypatch.setattr(os, function, wrapped)


@pytest.mark.parametrize('function', ['fsync', 'replace'])
@pytest.mark.parametrize('nth', range(8))
@pytest.mark.parametrize(
    'answers',
    [
        pixels(3, {NAMES[0]: [1, 2], NAMES[2]: [0]}),
        whole(3, {NAMES[0]: a_map(NAMES[0]), NAMES[2]: a_map(NAMES[2])}),
    ],
)
def test_killed_while_writing(
    store, folder, monkeypatch, function, nth, answers
):
    """All of the round is there afterwards, or nothing of it."""
    before = LabelStore(folder, POOL, 'an experiment')
    died = False
    with monkeypatch.context() as patch:
        kill_at(patch, function, nth)
        try:
            store.append(answers)
        except Killed:
            died = True
    reopened = LabelStore(folder, POOL, 'an experiment')
    if not (folder / 'round_003.npz').exists():
        assert died
        same_state(reopened, before)
        reopened.append(answers)
    before.reload()
    same_state(reopened, before)
    asked = 3 if answers.selection.unit == 'pixel' else 15 + 11
    assert reopened.counts(3).requested == asked


def test_a_full_disk_is_told_and_nothing_is_lost(store, folder, monkeypatch):
    def full(*args):
        raise OSError(28, 'No space left on device')

    with monkeypatch.context() as patch:
        patch.setattr(os, 'fsync', full)
        with pytest.raises(StateError, match='No space left') as error:
            store.append(pixels(3, {NAMES[2]: [0]}))
    assert 'round_003.npz' in str(error.value)
    assert store.rounds == 3
    store.append(pixels(3, {NAMES[2]: [0]}))
    same_state(store, LabelStore(folder, POOL, 'an experiment'))


class TestFormat:
    def test_numpy_alone_reads_a_file(self, store, folder):
        with np.load(folder / 'round_001.npz', allow_pickle=False) as file:
            header = json.loads(file['header'].tobytes())
            places = file['places']
        assert (header['round'], header['unit']) == (1, 'pixel')
        assert header['experiment'] == 'an experiment'
        assert header['counts']['labelled'] == 1
        assert places.tolist() == [0, 19, 5]
        with zipfile.ZipFile(folder / 'round_001.npz') as archive:
            assert archive.testzip() is None

    def test_the_same_answers_make_the_same_bytes(self, store, tmp_path):
        again = LabelStore(tmp_path / 'again', POOL, 'an experiment')
        asked = pixels(0, {NAMES[1]: [9], NAMES[0]: [3, 4, 11]}, False)
        again.append(asked)  # named in another order
        one, other = (
            (x.folder / 'round_000.npz').read_bytes() for x in (store, again)
        )
        assert one == other

    def test_no_temporary_file_stays(self, store, folder):
        assert sorted(
            path.relative_to(folder).as_posix() for path in folder.rglob('*')
        ) == [
            'chain.json',
            'round_000.npz',
            'round_001.npz',
            'round_002',
            'round_002.npz',
            'round_002/000001.png',
        ]

    @pytest.mark.parametrize('per_image', [10, 40])
    @pytest.mark.parametrize('rounds', [1, 3])
    def test_bytes_per_label(self, tmp_path, per_image, rounds):
        rng = np.random.default_rng(0)
        pool = [
            PoolImage(
                f'CamVidDataset/images/train/0001TP_{i * 30:06d}.jpg',
                (360, 480),
            )
            for i in range(367)
        ]
        store = LabelStore(tmp_path, pool, 'f' * 32)
        drawn = {
            x.name: rng.choice(x.pixels, per_image * rounds, replace=False)
            for x in pool
        }
        for number in range(rounds):
            part = slice(number * per_image, (number + 1) * per_image)
            places = {x: np.sort(y[part]) for x, y in drawn.items()}
            answers = pixels(number, places)
            for name in places:
                scores = rng.random(per_image, np.float32)
                answers.selection.scores[name] = scores
            store.append(answers)
        labels = len(pool) * per_image * rounds
        disk = sum(x.stat().st_size for x in tmp_path.iterdir())
        assert disk / labels < 12
        assert store.nbytes / labels < 10

    def test_a_thousand_rounds_still_sort(self, folder):
        assert label_file.round_path(folder, 1234).name == 'round_1234.npz'


ROUND = st.tuples(
    st.sampled_from(['pixel', 'image']),
    st.integers(0, 25),
    st.integers(0, 2**31),
)


@settings(max_examples=40, deadline=None)
@given(st.lists(ROUND, max_size=7))
def test_any_schedule_adds_up(tmp_path_factory, schedule):
    """Units mixed at will, pools running dry, answers of all kinds."""
    folder = tmp_path_factory.mktemp('schedule')
    store = LabelStore(folder, POOL)
    model = {image.name: np.full(image.pixels, -1) for image in POOL}
    wholes = {}
    for number, (unit, amount, seed) in enumerate(schedule):
        rng = np.random.default_rng(seed)
        if unit == 'image':
            free = [n for n, f in zip(NAMES, store.free(), strict=True) if f]
            asked = [str(x) for x in rng.permutation(free)[: amount % 4]]
            maps = {}
            for name in asked:
                label_map = rng.choice([0, 3, 255], len(model[name]))
                maps[name] = label_map.astype(np.uint8).reshape(
                    store.draw(name).shape
                )
                if rng.random() < 0.3:
                    maps[name] = None
                wholes[name] = number
                new = model[name] < 0
                answer = 256 if maps[name] is None else label_map
                model[name] = np.where(new, answer, model[name])
            answers = whole(number, maps)
        else:
            asked = {}
            for name in NAMES:
                free = np.flatnonzero(store.available(name))
                places = np.sort(rng.permutation(free)[: amount // 2])
                if len(places):
                    asked[name] = places
            answers = pixels(number, asked, amount % 2 == 0, refused=[7])
            for name, got in answers.images.items():
                value = np.select(
                    [got.status == LABELLED, got.status == VOID],
                    [got.classes.astype(int), 255],
                    256,
                )
                model[name][got.places] = value
        store.append(answers)
        every = np.concatenate(list(model.values()))
        total = store.counts()
        assert total.requested == (every >= 0).sum()
        assert total.labelled == ((every >= 0) & (every < 255)).sum()
        assert total.void == (every == 255).sum()
        assert total.refused == (every == 256).sum()
        assert total.images == len(store.labelled_names())
        classes = np.bincount(every[(every >= 0) & (every < 255)], None, 256)
        assert store.class_counts().tolist() == classes.tolist()
        for i in range(store.rounds):
            assert store.class_counts(i).sum() == store.counts(i).labelled
        rounds = [store.counts(i) for i in range(store.rounds)]
        for i in range(4):
            assert sum(x[i] for x in rounds) == total[i]
        for name in NAMES:
            free = model[name] < 0
            np.testing.assert_array_equal(
                store.available(name).reshape(-1), free
            )
            drawn = np.where(
                (model[name] < 0) | (model[name] > 254), 255, model[name]
            )
            np.testing.assert_array_equal(store.draw(name).reshape(-1), drawn)
            assert (name in store.labelled_names()) == (drawn < 255).any()
            assert store.history(name).round == wholes.get(name)
    same_state(store, LabelStore(folder, POOL))


def test_the_parts_of_the_store_are_reachable_from_one_module():
    for name in label_store.__all__:
        assert hasattr(label_store, name)
