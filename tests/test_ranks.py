"""What ranks say to each other, on gloo and CPU."""

import ast
import os
import time
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from torch import nn

from segal.distributed import ranks
from segal.errors import DataError
from tests.ranks import RankError, run_ranks

ROOT = Path(__file__).resolve().parent.parent


def told():
    return ranks.rank(), ranks.world_size(), torch.get_num_threads()


@pytest.mark.parametrize('world_size', [1, 3])
def test_every_rank_answers(world_size):
    got = run_ranks(told, world_size)
    assert got == [(rank, world_size, 1) for rank in range(world_size)]


def fail_on(rank):
    if ranks.rank() == rank:
        raise ValueError('a wheel came off')
    return 'fine'


def test_the_childs_traceback_is_told():
    with pytest.raises(RankError, match='a wheel came off') as caught:
        run_ranks(fail_on, 2, 1)
    assert list(caught.value.troubles) == [1]
    assert 'in fail_on' in caught.value.troubles[1]


def die_or_wait(rank):
    if ranks.rank() == rank:
        os._exit(3)
    time.sleep(600)


def test_who_dies_or_hangs_is_told(monkeypatch):
    monkeypatch.setattr('tests.ranks.GRACE', 0.5)
    with pytest.raises(RankError) as caught:
        run_ranks(die_or_wait, 2, 1)
    assert caught.value.troubles == {
        0: 'was not done in time, and killed',
        1: 'died with exit code 3',
    }
    begin = time.monotonic()
    with pytest.raises(RankError) as caught:
        run_ranks(die_or_wait, 2, -1, timeout=2)
    assert time.monotonic() - begin < 10
    assert len(caught.value.troubles) == 2


def network(seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4))


def raised(function, *args):
    """What a call raises, as text; None where it raises nothing."""
    try:
        function(*args)
    except Exception as error:
        return f'{type(error).__name__}: {error}'


def compare_networks():
    """Same; one buffer off; mended; one parameter off."""
    model, found = network(), []
    found.append(raised(ranks.check_same_state, model, 'at first'))
    if ranks.rank() == 2:
        model[1].running_var[3] = torch.nextafter(
            model[1].running_var[3], torch.tensor(9.0)
        )
    found.append(raised(ranks.check_same_state, model, 'later'))
    ranks.sync_buffers(model)
    found.append(raised(ranks.check_same_state, model, 'then'))
    if ranks.rank() == 0:
        model[0].bias.data[0] += 1
    ranks.sync_buffers(model)
    found.append(raised(ranks.check_same_state, model, 'at last'))
    return found, ranks.state_hash(model)


def test_one_bit_on_one_rank_is_seen_by_all_and_mended():
    results = run_ranks(compare_networks, 3)
    for found, _ in results:
        assert found[0] is None
        assert 'differ later' in found[1]
        assert found[2] is None
        assert 'differ at last' in found[3]
    hashes = [digest for _, digest in results]
    assert hashes[1] == hashes[2] != hashes[0]


def drift():
    """Buffers after a training step on each rank's own images."""
    model = network()
    model(torch.randn(2, 3, 4, 4) + ranks.rank())
    before = model[1].running_mean.clone()
    ranks.sync_buffers(model)
    return before, model[1].running_mean


def test_rank_0s_buffers_count():
    results = run_ranks(drift, 2)
    first = results[0][0]
    assert not torch.equal(first, results[1][0])
    for _, mean in results:
        assert torch.equal(mean, first)


def fail_in_two_ways():
    mine = DataError('no such image') if ranks.rank() == 1 else None
    shared = raised(ranks.fail_together, mine)
    mine = ValueError('odd') if ranks.rank() == 2 else None
    return shared, raised(ranks.fail_together, mine)


def test_what_one_rank_runs_into_all_raise():
    for rank, (shared, other) in enumerate(run_ranks(fail_in_two_ways, 3)):
        assert shared == 'DataError: no such image'
        wanted = 'ValueError: odd' if rank == 2 else 'RuntimeError: '
        assert other.startswith(wanted)
        assert 'odd' in other


def meet():
    value = {'rank': ranks.rank()}
    return (
        ranks.gather(value),
        ranks.gather_everywhere(value),
        ranks.broadcast(value),
        dist.get_backend(),
    )


def test_results_come_in_the_order_of_ranks():
    everybody = [{'rank': rank} for rank in range(3)]
    for rank, (main, everywhere, first, backend) in enumerate(
        run_ranks(meet, 3)
    ):
        assert main == ([] if rank else everybody)
        assert everywhere == everybody
        assert first == {'rank': 0}
        assert backend == 'gloo'


def sleeps(source):
    """Where a source calls something named sleep, in lines."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call):
            name = getattr(node.func, 'attr', getattr(node.func, 'id', ''))
            if name == 'sleep':
                yield node.lineno
        elif isinstance(node, ast.ImportFrom) and any(
            alias.name == 'sleep' for alias in node.names
        ):
            yield node.lineno


def test_no_sleep_stands_where_a_barrier_should():
    found = [
        f'{path.relative_to(ROOT)}:{line}'
        for path in sorted((ROOT / 'segal').rglob('*.py'))
        if 'sleep' in (text := path.read_text())
        for line in sleeps(text)
    ]
    assert found == []


@pytest.mark.parametrize(
    'source',
    [
        'import time\ntime.sleep(2)',
        'from time import sleep as nap',
        'def f():\n    import time as t; t.sleep(1)',
        'import asyncio\nasync def f():\n    await asyncio.sleep(1)',
    ],
)
def test_a_sleep_would_be_found(source):
    assert list(sleeps(source))
