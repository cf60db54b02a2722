"""One row for each option, beside the base."""

import json
import sys

import pytest

from segal.errors import StateError
from tests.report.made_up import write_run
from tests.tools.load import tool

ablation = tool('ablation')


def runs_of(root):
    write_run(root / 'base' / 'margin_seed0', miou=(0.2, 0.3))
    write_run(root / 'base' / 'margin_seed1', seed=1, miou=(0.24, 0.34))
    write_run(
        root / 'average' / 'margin_seed0',
        miou=(0.25,),
        planned=2,
        config=dict(
            active_learning=dict(heuristic='margin', average=dict(decay=0.9))
        ),
    )
    return root


def test_each_row_says_what_it_changes(tmp_path):
    results = ablation.ablation(runs_of(tmp_path), 'base')
    base, average = results['rows']
    assert base['changes'] == {}
    assert base['seeds'] == [0, 1]
    assert average['changes'] == {'active_learning.average.decay': 0.9}
    assert average['finished'] == [False]
    points = [point['mIoU'] for point in base['rounds']]
    assert [round(point['mean'], 6) for point in points] == [22, 32]
    assert round(points[0]['std'], 6) == round(8**0.5, 6)


def test_the_command_writes_and_prints_it(tmp_path, monkeypatch, capsys):
    out = tmp_path / 'results.json'
    folder = runs_of(tmp_path / 'runs')
    write_run(folder / 'late' / 'margin_seed0', miou=())
    command = ['ablation.py', str(folder), '--out', str(out)]
    monkeypatch.setattr(sys, 'argv', command)
    assert ablation.main() == 0
    said = capsys.readouterr().out
    assert '| base (2 seeds) | 22.0 +- 2.8 | 32.0 +- 2.8 |' in said
    assert '| average (1 seed) | 25.0 | - |' in said
    assert 'no round yet: late/margin_seed0' in said
    assert json.loads(out.read_text())['base'] == 'base'


@pytest.mark.parametrize(
    ('options', 'words'),
    [
        (dict(heuristic='random', seed=2), 'heuristic: Margin, Random'),
        (
            dict(seed=2, config=dict(workflow=[['train', 9], ['query', 1]])),
            'workflow: 9, 2',
        ),
    ],
)
def test_a_row_is_seeds_of_one_thing(tmp_path, options, words):
    folder = runs_of(tmp_path)
    write_run(folder / 'base' / 'another', miou=(0.5, 0.6), **options)
    with pytest.raises(StateError, match=words):
        ablation.ablation(folder, 'base')


def test_another_budget_and_length_are_shown(tmp_path):
    folder = runs_of(tmp_path)
    longer = dict(workflow=[['train', 9], ['query', 1]])
    for seed, curve in enumerate([(0.4, 0.5), (0.6, 0.7)]):
        write_run(
            folder / 'more' / f's{seed}', seed=seed, miou=curve, per_round=8,
            config=longer,
        )  # fmt: skip
    results = ablation.ablation(folder, 'base')
    more = results['rows'][-1]
    assert more['changes'] == {'workflow': 9}
    (road, _) = list(more['rounds'][0]['IoU'].values())[:2]
    assert road == pytest.approx(50)
    assert (
        '| more (2 seeds) | 50.0 +- 14.1 (at 8) | 60.0 +- 14.1 (at 15.5) |'
        in ablation.table(results)
    )


def test_a_missing_base_is_one_message(tmp_path, monkeypatch, capsys):
    command = ['ablation.py', str(runs_of(tmp_path)), '--base', 'bare']
    monkeypatch.setattr(sys, 'argv', command)
    assert ablation.main() == 4
    assert "wanted a row 'bare'" in capsys.readouterr().err
