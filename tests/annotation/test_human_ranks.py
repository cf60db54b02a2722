"""Every number of ranks asks the same, and every rank ends with code 6."""

import functools
import os
import subprocess
from pathlib import Path

import pytest

from segal.active.human_oracle import HumanOracle
from segal.annotation.folder import AnnotationFolder
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

ASKED = ('even', 'squares', 'opened, split', 'images')


def ask(images, folder, way):
    """Two rounds of a way, as far as answers go; what this rank raises."""
    loop, wrapper = open_loop(images, folder / 'labels')
    loop.oracle = HumanOracle(folder, CLASSES)
    told = dict(WAYS[way])
    opening = told.pop('opening', None)
    make = functools.partial(selector, **told)
    heuristic = Margin() if loop.store.rounds else Random()
    try:
        loop.step(heuristic, make, wrapper, opening and opened_by(opening))
    except AnswersWanted as error:
        return loop.store.rounds, error.exit_code, str(error)
    raise AssertionError('nobody was asked')


def commit(images, folder):
    loop, _ = open_loop(images, folder / 'labels')
    loop.oracle = HumanOracle(folder, CLASSES)
    assert loop.commit_frozen() is not None
    assert loop.commit_frozen() is None
    return loop.store.fingerprint(), ranks.rank()


@pytest.mark.parametrize(
    'sizes', [(1, 2), pytest.param((3, 4), marks=pytest.mark.slow)]
)
@pytest.mark.parametrize('way', ASKED)
def test_any_number_of_ranks_asks_the_same(
    pool,  # noqa: F811
    tmp_path,
    sizes,
    way,
):
    read = truth_of(pool / 'annotations')
    found = []
    for size in sizes:
        folder = tmp_path / str(size)
        for number in range(2):
            said = run_ranks(ask, size, pool, folder, way)
            assert [x[:2] for x in said] == [(number, 6)] * size
            answer_all(folder, read, len(CLASSES))
            prints = run_ranks(commit, size, pool, folder)
            assert len({x for x, _ in prints}) == 1
            assert [x for _, x in prints] == list(range(size))
        requests = [
            AnnotationFolder(folder).request(x).sha256 for x in range(2)
        ]
        found.append((requests, files_of(folder / 'labels')))
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
