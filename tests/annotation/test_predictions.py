"""What the network that asked predicts for each item of its request."""

import functools

import numpy as np
import pytest

from segal.active.dataset.pool import query_batch
from segal.active.units.regions import Squares
from segal.annotation import predictions
from segal.annotation.folder import AnnotationFolder
from segal.annotation.human_oracle import HumanOracle
from segal.distributed import ranks
from segal.errors import AnswersWanted, StateError
from tests.annotation.answering import answer_all, truth_of
from tests.annotation.served import ask
from tests.annotation.test_human_ranks import commit
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

WAYS = {
    'pixels': dict(type='PixelsGlobal', amount=61),
    'regions': dict(
        type='RegionsGlobal', amount=9, shape=Squares(2), answer='dominant'
    ),
    'masks': dict(type='RegionsGlobal', amount=9, shape=Squares(2)),
}


def means(loop, wrapper, request):
    """The mean class probabilities of each item, each looked up alone."""
    found = []
    for item in request:
        with wrapper.evaluating():
            batch = query_batch(loop.pool, [item.image])
            probs = wrapper.probabilities(batch)[0].flatten(1).numpy()
        found.append(probs[:, item.places].mean(1))
    return np.array(found)


def rounds(images, folder):
    """Ask two rounds of each way, the second by a network."""
    read = truth_of(images / 'annotations')
    for way, told in WAYS.items():
        make = functools.partial(selector, **told)
        for heuristic in (Random(), Margin()):
            loop, wrapper = open_loop(images, folder / way / 'labels')
            loop.oracle = HumanOracle(folder / way, CLASSES)
            network = wrapper if loop.store.rounds else None
            with pytest.raises(AnswersWanted):
                loop.step(heuristic, make, network)
            if ranks.is_main() and not loop.store.rounds:
                answer_all(folder / way, read, len(CLASSES))
            ranks.barrier()
            if not loop.store.rounds:
                commit(images, folder / way)


@pytest.mark.slow
@pytest.mark.parametrize('sizes', [(1, 2), (3, 4)])
def test_any_number_of_ranks_predicts_the_same(pool, tmp_path, sizes):  # noqa: F811
    found = []
    for size in sizes:
        folder = tmp_path / str(size)
        run_ranks(rounds, size, pool, folder)
        files = {
            path.relative_to(folder): path.read_bytes()
            for path in folder.rglob('*.predictions.npz')
        }
        assert {path.parts[0] for path in files} == {'pixels', 'regions'}
        assert {path.name for path in files} == {'round_001.predictions.npz'}
        found.append(files)
    assert found[0] == found[1]
    for way in ('pixels', 'regions'):
        asked = AnnotationFolder(tmp_path / str(sizes[0]) / way)
        loop, wrapper = open_loop(pool, tmp_path / 'empty')
        probs = predictions.read(asked, 1)
        request = asked.request(1)
        assert probs.dtype == np.float32
        assert len(np.unique(probs)) > 9
        np.testing.assert_allclose(
            probs, means(loop, wrapper, request), atol=1e-6
        )


@pytest.mark.parametrize(
    ('name', 'wanted'),
    [
        ('superpixels', [1, 2]),
        pytest.param('pixel', [1, 2], marks=pytest.mark.slow),
        pytest.param('squares', [], marks=pytest.mark.slow),
    ],
)
def test_a_run_keeps_predictions_where_a_network_asks(
    root,  # noqa: F811
    tmp_path,
    name,
    wanted,
):
    _, people = configs(root, name)
    read = hide(root)
    folder = AnnotationFolder(tmp_path / 'run')
    while run(people, tmp_path / 'run') == 6:
        answer_all(tmp_path / 'run', read, len(CLASSES))
    assert folder.rounds() == [0, 1, 2]
    found = [predictions.read(folder, number) for number in range(3)]
    assert [x for x in range(3) if found[x] is not None] == wanted
    for number in wanted:
        shape = (len(folder.request(number)), len(CLASSES))
        assert found[number].shape == shape
        np.testing.assert_allclose(found[number].sum(1), 1, atol=1e-4)


def test_a_request_is_never_without_its_predictions(
    root,  # noqa: F811
    tmp_path,
    monkeypatch,
):
    """As after a kill between the two files."""
    _, people = configs(root, 'pixel')
    read = hide(root)
    folder = AnnotationFolder(tmp_path / 'run')
    run(people, tmp_path / 'run')
    answer_all(tmp_path / 'run', read, len(CLASSES))

    def end(*_):
        raise StateError('here it ends')

    with monkeypatch.context() as patch:
        patch.setattr(AnnotationFolder, 'freeze', end)
        assert run(people, tmp_path / 'run') == 4
    assert folder.rounds() == [0]
    left = folder.file(1, predictions.SUFFIX).read_bytes()
    assert run(people, tmp_path / 'run') == 6
    assert folder.rounds() == [0, 1]
    assert folder.file(1, predictions.SUFFIX).read_bytes() == left
    assert predictions.read(folder, 1) is not None


@pytest.fixture
def asked(tmp_path):
    ask(tmp_path)
    return AnnotationFolder(tmp_path)


def test_predictions_are_held_to_their_request(asked):
    assert predictions.read(asked, 0) is None
    request = asked.request(0)
    probs = np.full((len(request), 3), 1 / 3, np.float32)
    predictions.write(asked, 0, request.sha256, probs)
    assert np.array_equal(predictions.read(asked, 0), probs)
    path = asked.file(0, predictions.SUFFIX)
    whole = path.read_bytes()
    at = whole.index(probs.tobytes()) + 5
    for hurt in (whole[:-9], whole[:at] + b'\0' + whole[at + 1 :], b''):
        path.write_bytes(hurt)
        with pytest.raises(StateError, match='by the network that asked'):
            predictions.read(asked, 0)
    for digest, rows in ((request.sha256, 5), ('0' * 64, len(probs))):
        predictions.write(asked, 0, digest, probs[:rows])
        with pytest.raises(StateError, match='by the network that asked'):
            predictions.read(asked, 0)
    predictions.write(asked, 0, request.sha256, None)
    assert predictions.read(asked, 0) is None
    assert not path.exists()
