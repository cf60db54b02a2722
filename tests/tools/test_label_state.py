import re

import pytest
from load import tool

bench = tool('benchmark/label_state')
SMALL = ['--images', '30', '--rounds', '2', '--workers', '1']


def test_all_processes_and_workers_are_summed(capsys):
    options = ['--images', '600', '--rounds', '4', '--workers', '1']
    assert bench.main(options) == 0
    said = capsys.readouterr().out
    assert '600 images x 10 labels x 4 rounds = 24000 labels' in said
    each, mib = map(
        float,
        re.search(r'in memory +([\d.]+) bytes.*\(([\d.]+) MiB', said).groups(),
    )
    assert 8 < each < 16
    arrays = float(re.search(r'([\d.]+) MiB of arrays', said)[1])
    assert arrays == pytest.approx(2 * mib, abs=0.011)
    total, private = (
        float(re.search(rf'{words}([\d.]+)', said)[1])
        for words in (r'in all .*\(', 'of arrays, ')
    )
    assert total == pytest.approx(arrays + private, abs=0.011)


def test_too_much_is_told(monkeypatch):
    monkeypatch.setattr(bench, 'LIMIT', 2 * 600 * 8)
    assert bench.main(SMALL) == 1


def test_what_a_worker_copies_is_seen(tmp_path):
    pool = [bench.PoolImage(f'{i}.png', bench.SIZE) for i in range(30)]
    store = bench.LabelStore(tmp_path, pool)
    store.append(bench.made_up(pool, store, 0, 10))
    before = bench.worker_private(store, pool)
    read, held = store.history, []

    def copy(name):
        held.append(bytearray(b'1' * 2**17))
        return read(name)

    store.history = copy
    assert bench.worker_private(store, pool) - before > 30 * 2**16
    assert held == []  # only the worker's own
