"""Answers that the network contradicts are asked once more, blindly."""

import functools
import json

import numpy as np
import pytest

from segal.active.label_store.file import decode
from segal.annotation import predictions
from segal.annotation.export import export
from segal.annotation.folder import AnnotationFolder
from segal.annotation.human_oracle import HumanOracle
from segal.annotation.label_errors import decide_rechecks, suspects_of
from segal.annotation.votes import considered
from segal.commands.annotate import main as annotate
from segal.distributed import ranks
from segal.errors import AnswersWanted, StateError
from tests.annotation.answering import answer_all, truth_of
from tests.annotation.served import ask, pages
from tests.annotation.test_human_ranks import files_of
from tests.annotation.test_human_runs import configs, hide, root, run  # noqa: F401
from tests.ranks import run_ranks
from tests.test_rank_invariance import (
    CLASSES,
    Margin,
    Random,
    open_loop,
    selector,
)
from tests.test_rank_invariance import root as pool  # noqa: F401


def make_sure(folder, number, read):
    """Replace predictions by those of a network that is right, and sure."""
    request = folder.request(number)
    probs = np.full((len(request), len(CLASSES)), 0.05, np.float32)
    for item in request:
        true = int(read(item.image).reshape(-1)[item.places[0]])
        probs[item.index, true if true < len(CLASSES) else 0] = 0.9
    predictions.write(folder, number, request.sha256, probs)


@pytest.fixture
def begun(root, tmp_path):  # noqa: F811
    """A run with 3 errors among 40 answers, and 2 second looks at most."""
    _, people = configs(root, 'pixel')
    people.write_text(
        people.read_text()
        + "\nactive_learning['oracle'].update(recheck=0.05)\n"
    )
    read = hide(root)
    work_dir = tmp_path / 'run'
    folder = AnnotationFolder(work_dir)

    def start():
        return run(people, work_dir)

    assert start() == 6
    answer_all(work_dir, read, len(CLASSES))
    assert start() == 6
    assert not folder.file(0, 'recheck.json').exists()
    make_sure(folder, 1, read)
    request = folder.request(1)
    right = {i.index: int(read(i.image).flat[i.places[0]]) for i in request}
    wrong = [x for x, cls in right.items() if cls == 1][:3]
    flipped = {(request[x].image, int(request[x].places[0])) for x in wrong}

    def careless(name):
        truth = read(name).copy()
        for image, place in flipped:
            if image == name:
                truth.flat[place] = 2
        return truth

    answer_all(work_dir, careless, len(CLASSES))
    return start, folder, read, wrong


def labels_of(folder, number):
    path = folder.work_dir / 'labels' / f'round_{number:03d}.npz'
    return decode(path, path.read_bytes()).classes.tolist()


def test_second_looks_count(begun, capsys):
    start, folder, read, wrong = begun
    capsys.readouterr()
    assert start() == 6
    said = capsys.readouterr().err
    assert '40 are answered, and 2 are asked once more' in said
    frozen = folder.file(1, 'recheck.json').read_bytes()
    assert json.loads(frozen)['items'] == wrong[:2]
    assert annotate(['status', str(folder.work_dir)]) == 6
    assert '(100 %), 2 asked once more' in capsys.readouterr().out
    assert answer_all(folder.work_dir, read, len(CLASSES), limit=1) == 1
    assert start() == 6
    assert '1 are asked once more' in capsys.readouterr().err
    assert answer_all(folder.work_dir, read, len(CLASSES)) == 1
    assert annotate(['status', str(folder.work_dir)]) == 0
    assert start() == 6
    assert folder.file(1, 'recheck.json').read_bytes() == frozen
    assert [labels_of(folder, 1)[x] for x in wrong] == [1, 1, 2]
    times = json.loads((folder.work_dir / 'times.json').read_text())
    assert len(times['rounds']) == 2
    assert times['rounds'][1]['annotation'] == 42.0  # a second each
    left = suspects_of(folder, 1, len(CLASSES))
    assert [one.item for one in left] == wrong[2:]


def test_a_round_closed_early_keeps_the_first_answers(begun):
    start, folder, read, wrong = begun
    assert start() == 6
    answer_all(folder.work_dir, read, len(CLASSES), limit=1)
    folder.close(1, 'ada')
    assert start() == 6
    assert [labels_of(folder, 1)[x] for x in wrong] == [1, 2, 2]


def test_a_round_closed_before_second_looks_has_none(begun):
    start, folder, _, wrong = begun
    folder.close(1, 'ada')
    assert start() == 6
    assert not folder.file(1, 'recheck.json').exists()
    assert [labels_of(folder, 1)[x] for x in wrong] == [2, 2, 2]


def test_a_damaged_list_stops_the_run(begun, capsys):
    start, folder, _, _ = begun
    assert start() == 6
    path = folder.file(1, 'recheck.json')
    for hurt in ('{', '{"request": "0", "items": []}'):
        path.write_text(hurt)
        assert start() == 4
        assert 'wanted the items that are asked once more' in (
            capsys.readouterr().err
        )


@pytest.mark.parametrize('share', ["'all'", -0.1, 1.5, True])
def test_a_share_is_a_share(root, tmp_path, capsys, share):  # noqa: F811
    _, people = configs(root, 'pixel')
    people.write_text(
        people.read_text()
        + f"\nactive_learning['oracle'].update(recheck={share})\n"
    )
    assert run(people, tmp_path / 'run') == 2
    assert 'active_learning.oracle.recheck: wanted a share' in (
        capsys.readouterr().err
    )


def rounds(images, folder):
    """Ask, answer, ask once more, and store."""
    read = truth_of(images / 'annotations')
    make = functools.partial(selector, type='PixelsGlobal', amount=61)
    for heuristic in (Random(), Margin()):
        codes = []
        while True:
            loop, wrapper = open_loop(images, folder / 'labels')
            loop.oracle = HumanOracle(folder, CLASSES, recheck=0.1)
            network = wrapper if loop.store.rounds else None
            try:
                loop.step(heuristic, make, network)
                break
            except AnswersWanted as error:
                codes.append(error.exit_code)
            if ranks.is_main():
                answer_all(folder, read, len(CLASSES))
            ranks.barrier()
    return codes, loop.store.fingerprint()


@pytest.mark.slow
@pytest.mark.parametrize('sizes', [(1, 2), (3, 4)])
def test_any_number_of_ranks_asks_the_same_once_more(
    pool,  # noqa: F811
    tmp_path,
    sizes,
):
    found = []
    for size in sizes:
        folder = tmp_path / str(size)
        first, *others = run_ranks(rounds, size, pool, folder)
        assert all(other == first for other in others)
        assert first[0] == [6, 6]
        again = AnnotationFolder(folder).file(1, 'recheck.json').read_bytes()
        assert len(json.loads(again)['items']) == 6
        found.append((first, again, files_of(folder / 'labels')))
    assert found[0] == found[1]


@pytest.fixture
def served(tmp_path):
    """A round of 12 items that a network asked, with second looks."""
    ask(tmp_path, round=1)
    folder = AnnotationFolder(tmp_path)
    folder.write_options(order='image', seed=0, recheck=0.25)
    request = folder.request(1)
    probs = np.full((len(request), 3), [0.05, 0.9, 0.05], np.float32)
    probs[[2, 5]] = [0.04, 0.92, 0.04]
    predictions.write(folder, 1, request.sha256, probs)
    return folder


WRONG = (2, 5, 7, 9)


def answer_page(page, items):
    for item in items:
        page.answer(item, **{'class': 0 if item in WRONG else 1})


def test_the_page_asks_once_more_and_shows_no_answer(served):
    (page,) = pages(served.work_dir, 'ada')
    items = page.items(12)
    answer_page(page, items[:-1])
    assert not served.file(1, 'recheck.json').exists()
    answer_page(page, items[-1:])
    again = page.next(12)
    assert again['open'] == 3
    assert sorted(one['item'] for one in again['items']) == [2, 5, 7]
    for one in again['items']:
        assert one['anew']
        assert not {'class', 'what', 'hint', 'votes'}.intersection(one)
    progress = page.json('/api/progress')
    assert (progress['answered'], progress['total']) == (12, 15)
    request = served.request(1)
    state = served.state(request, 3)
    assert not state.is_complete
    for one in again['items']:
        page.answer(one['item'], rev=one['rev'], **{'class': 1})
    assert page.next(12)['open'] == 0
    state = served.state(request, 3)
    assert state.is_complete
    assert [state.standing(x).cls for x in WRONG] == [0, 0, 0, 0]
    looks = [state.standing(x, role='recheck') for x in WRONG]
    assert [one and one.cls for one in looks] == [1, 1, 1, None]


def test_another_person_looks_where_there_is_one(served):
    ada, bob = pages(served.work_dir, 'ada', 'bob')
    answer_page(ada, ada.items(12))
    assert ada.next(12)['items'] == []
    assert sorted(bob.items(12)) == [2, 5, 7]


def test_a_second_look_without_the_first_is_open_in_a_copy(served, tmp_path):
    ada, bob = pages(served.work_dir, 'ada', 'bob')
    answer_page(ada, [x for x in range(12) if x != 2])
    answer_page(ada, [2])
    bob.answer(2, rev=1)
    ada.undo()
    served.close(1, 'ada')
    served.seal(1, '')
    command = ['fork', str(served.work_dir), str(tmp_path / 'copy')]
    assert annotate([*command, '--round', '1', '--reopen', '4']) == 0
    state = AnnotationFolder(tmp_path / 'copy').state(served.request(1), 3)
    assert [x for x in range(12) if not state.is_full(x)] == [2, 4]
    assert considered(state, 2) == []


def test_second_looks_go_to_no_file(served, tmp_path):
    """``take`` could not count them."""
    ada, _ = pages(served.work_dir, 'ada', 'bob')
    answer_page(ada, ada.items(12))
    for who in ('ada', 'bob'):
        with pytest.raises(StateError, match='wanted open items, got none'):
            export(served.work_dir, tmp_path / 'out', 'coco', who)


def test_a_list_is_frozen_once(served):
    (page,) = pages(served.work_dir, 'ada')
    answer_page(page, page.items(12))
    path = served.file(1, 'recheck.json')
    before = path.read_bytes()
    undone = page.undo()['item']
    page.answer(undone['item'], rev=undone['rev'], what='void')
    assert path.read_bytes() == before
    request = served.request(1)
    found = decide_rechecks(served, request, served.state(request, 3))
    assert found == {2, 5, 7}
    (page,) = pages(served.work_dir, 'ada')
    assert sorted(page.items(12)) == [2, 5, 7]


def test_damaged_predictions_lose_no_answer(served):
    path = served.file(1, predictions.SUFFIX)
    path.write_bytes(path.read_bytes()[:-30])
    (page,) = pages(served.work_dir, 'ada')
    answer_page(page, page.items(12))
    request = served.request(1)
    state = served.state(request, 3)
    assert state.answered == 12
    with pytest.raises(StateError, match='by the network that asked'):
        decide_rechecks(served, request, state)
