"""Every number of ranks asks the same, and every rank ends with code 6."""

import functools
import os
import subprocess
from pathlib import Path

import pytest

from segal.annotation.folder import AnnotationFolder
from segal.annotation.human_oracle import HumanOracle
from segal.distributed import ranks
from segal.errors import AnswersWanted
from tests.annotation.answering import answer_all, truth_of
from tests.annotation.test_human_runs import configs, hide, root  # noqa: F401
from tests.ranks import run_ranks
from tests.test_rank_invariance import (
    CLASSES,
    WAYS,
    Margin,
    Random,
    files_of,
    open_loop,
    opened_by,
    selector,
)
from tests.test_rank_invariance import root as pool  # noqa: F401

ASKED = ('squares', 'even', 'opened, split', 'images')


def ask(images, folder, way):
    """A round of a way, as far as answers go; what this rank raises."""
    loop, wrapper = open_loop(images, folder / 'labels')
    loop.oracle = HumanOracle(folder, CLASSES)
    told = dict(WAYS[way])
    opening = told.pop('opening', None)
    make = functools.partial(selector, **told)
    heuristic = Margin() if loop.store.rounds else Random()
    try:
        loop.step(heuristic, make, wrapper, opening and opened_by(opening))
    except AnswersWanted as error:
        return loop.store.rounds, error.exit_code
    raise AssertionError('nobody was asked')


def commit(images, folder):
    loop, _ = open_loop(images, folder / 'labels')
    loop.oracle = HumanOracle(folder, CLASSES)
    assert loop.commit_frozen() is not None
    assert loop.commit_frozen() is None
    return loop.store.fingerprint()


def rounds(images, folder, asked):
    """Ask and answer two rounds of each way; each step opens files anew."""
    read = truth_of(images / 'annotations')
    found = {}
    for way in asked:
        said = []
        for _ in range(2):
            said.append(ask(images, folder / way, way))
            if ranks.is_main():
                answer_all(folder / way, read, len(CLASSES))
            ranks.barrier()
            said.append(commit(images, folder / way))
        found[way] = said
    return found


@pytest.mark.parametrize(
    ('sizes', 'asked'),
    [
        ((1, 2), ASKED[:1]),
        pytest.param((1, 2), ASKED[1:], marks=pytest.mark.slow),
        pytest.param((3, 4), ASKED, marks=pytest.mark.slow),
    ],
)
def test_any_number_of_ranks_asks_the_same(
    pool,  # noqa: F811
    tmp_path,
    sizes,
    asked,
):
    found = []
    for size in sizes:
        folder = tmp_path / str(size)
        first, *others = run_ranks(rounds, size, pool, folder, asked)
        assert all(other == first for other in others)
        for way, said in first.items():
            assert [said[0], said[2]] == [(0, 6), (1, 6)], way
        requests = {
            way: [
                AnnotationFolder(folder / way).request(x).sha256
                for x in (0, 1)
            ]
            for way in asked
        }
        labels = {way: files_of(folder / way / 'labels') for way in asked}
        found.append((first, requests, labels))
    assert found[0] == found[1]


@pytest.mark.slow
def test_torchrun_ends_with_code_6(root, tmp_path):  # noqa: F811
    _, people = configs(root, 'pixel')
    read = hide(root)
    home = Path(__file__).resolve().parent.parent.parent
    work_dir = tmp_path / 'run'
    command = ['bash', 'dist_train.sh', people, '2', '--work-dir', work_dir]
    codes = []
    for _ in range(4):
        done = subprocess.run(
            command,
            cwd=home,
            env={**os.environ, 'OMP_NUM_THREADS': '1'},
            capture_output=True,
            text=True,
            timeout=250,
        )
        codes.append(done.returncode)
        if done.returncode == 6:
            assert 'failed' not in done.stderr
            assert 'annotate serve' in done.stderr
            answer_all(work_dir, read, len(CLASSES))
    assert codes == [6, 6, 6, 0]
