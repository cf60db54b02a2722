import argparse
import json
import re
import subprocess

import pytest
from load import tool

from tests.tiny import write_config, write_images

bench = tool('benchmark/long_run')


def samples(**changes):
    """Twenty rounds; each change is what a round adds."""
    flat = dict(
        rss=900 * 2**20,
        all=960 * 2**20,
        used=200 * 2**20,
        files=16,
        processes=2,
        threads=3,
        seconds=2.0,
        cpu=1.5,
        written=2**20,
        kept=2**19,
    )
    return [
        {'round': i + 1}
        | {
            name: value + i * changes.get(name, 0)
            for name, value in flat.items()
        }
        for i in range(20)
    ]


@pytest.mark.parametrize(
    ('changes', 'grown'),
    [
        ({}, []),
        (dict(rss=2**20, all=2**20), []),
        (dict(rss=3 * 2**20), ['memory']),
        (dict(all=4 * 2**20), ['with workers']),
        (dict(used=2**20), ['in use']),
        (dict(files=1), ['files']),
        (dict(processes=1, threads=1), ['processes', 'threads']),
        (dict(files=-1, seconds=1, written=2**20), []),
    ],
)
def test_what_grew_is_told(changes, grown, capsys):
    assert bench.judge(samples(**changes)) == grown
    slope = changes.get('seconds', 0)
    assert f'{slope:+.4f} s a round: ' in capsys.readouterr().out


def test_the_first_rounds_do_not_count():
    rows = samples()
    for row in rows[:4]:
        row['files'] = 5
        row['rss'] //= 2
    assert bench.judge(rows) == []
    rows[4]['files'] = 5
    assert bench.judge(rows) == []  # one round alone is no growth


def test_a_round_that_is_half_written_is_not_read(tmp_path):
    file = tmp_path / 'samples.jsonl'
    assert bench.read(file) == []
    file.write_text('{"round":1}\n{"round":2}\n{"rou')
    assert bench.read(file) == [{'round': 1}, {'round': 2}]


@pytest.mark.slow
def test_rounds_of_a_fresh_process_are_sampled(tmp_path):
    config = write_config(
        write_images(tmp_path / 'data'), extra="log_level = 'INFO'\n"
    )
    args = argparse.Namespace(base=str(config), cfg_options=[])
    got = bench.run(tmp_path / 'long', 2, args)
    assert [row['round'] for row in got] == [1, 2]
    for row in got:
        assert set(row) == set(bench.HEADS)
        assert row['rss'] > 2**26
        assert row['all'] >= row['rss'] > row['used'] > 0
        assert row['processes'] == 1
        assert row['cpu'] > 0 < row['seconds']
        assert row['written'] > 0.9 * row['kept'] > 0
    rows = json.loads((tmp_path / 'long/run/rounds.json').read_text())
    assert [row['requested'] for row in rows['rounds']] == [8, 8]
    said = bench.start_again(tmp_path / 'long', args, 1)
    words = r'going on after ([\d.]+) s, over after ([\d.]+) s'
    going_on, over = map(float, re.fullmatch(words, said).groups())
    assert 0 < going_on <= over


def test_a_run_that_fails_is_told(tmp_path, monkeypatch):
    def start(folder, args):
        (folder / 'output.log').write_text('Error: no such thing\n')
        return subprocess.Popen(['sh', '-c', 'exit 2'])

    monkeypatch.setattr(bench, 'start', start)
    args = argparse.Namespace(base='any.py', cfg_options=[])
    with pytest.raises(SystemExit, match='no such thing') as told:
        bench.run(tmp_path / 'long', 2, args)
    assert 'ended with 2 after 0 of 2 rounds' in str(told.value)
