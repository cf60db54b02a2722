import re

from load import tool

bench = tool('benchmark/label_state')
SMALL = ['--images', '30', '--rounds', '2', '--workers', '1']


def test_all_processes_and_workers_are_summed(capsys):
    assert bench.main(SMALL) == 0
    said = capsys.readouterr().out
    assert '30 images x 10 labels x 2 rounds = 600 labels' in said
    each = float(re.search(r'in memory +([\d.]+) bytes', said)[1])
    assert 8 < each < 16
    total = float(re.search(r'in all +([\d.]+) bytes', said)[1])
    assert total > 2 * each


def test_too_much_is_told(monkeypatch):
    monkeypatch.setattr(bench, 'LIMIT', 2 * 600 * 8)
    assert bench.main(SMALL) == 1


def test_what_a_worker_copies_is_seen(tmp_path):
    pool = [bench.PoolImage(f'{i}.png', bench.SIZE) for i in range(30)]
    store = bench.LabelStore(tmp_path, pool)
    store.append(bench.made_up(pool, store, 0, 10))
    before = bench.worker_private(store, pool)
    read, held = store.labels, []

    def copy(name):
        held.append(bytearray(b'1' * 2**17))
        return read(name)

    store.labels = copy
    assert bench.worker_private(store, pool) - before > 30 * 2**16
    assert held == []  # only the worker's own
