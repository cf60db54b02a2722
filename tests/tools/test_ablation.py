"""One row for each option, beside the base."""

import json
import sys

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
    assert '| base | 22.0 +- 2.8 | 32.0 +- 2.8 |' in said
    assert '| average | 25.0 | - |' in said
    assert 'no round yet: late/margin_seed0' in said
    assert json.loads(out.read_text())['base'] == 'base'


def test_a_missing_base_is_one_message(tmp_path, monkeypatch, capsys):
    command = ['ablation.py', str(runs_of(tmp_path)), '--base', 'bare']
    monkeypatch.setattr(sys, 'argv', command)
    assert ablation.main() == 4
    assert "wanted a row 'bare'" in capsys.readouterr().err
