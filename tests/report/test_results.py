"""results.json: what is gathered of many runs, and drawn of it."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest
from made_up import sweep as write_sweep
from made_up import write_run
from PIL import Image

from segal.commands import plot_results
from segal.commands.collect_results import collect
from segal.errors import StateError
from segal.rounds import plain, read_rounds, write_rounds
from tests.tools.load import tool

COMMIT = 40 * 'a'
CURVES = {
    'margin': {0: (0.2, 0.34), 1: (0.2, 0.33), 2: (0.22, 0.3)},
    'random': {0: (0.2, 0.25), 1: (0.2, 0.26), 2: (0.22, 0.28)},
}


def call(monkeypatch, name, *words):
    monkeypatch.setattr(sys, 'argv', [name, *map(str, words)])
    return tool(name).main()


@pytest.fixture
def folders(tmp_path):
    made = write_sweep(tmp_path / 'runs', CURVES, best=0.5)
    full = [
        write_run(tmp_path / f'full{seed}', 'random', seed, (value,),
                  unit='image', initial=4)
        for seed, value in enumerate((0.6, 0.62))
    ]  # fmt: skip
    for folder in made + full:
        machine = dict(device='cpu', threads=1, processes=1, commit=COMMIT)
        (folder / 'machine.json').write_text(json.dumps(machine))
    return made + full


@pytest.fixture
def results(folders, tmp_path, monkeypatch):
    out = tmp_path / 'reduced' / 'results.json'
    out.parent.mkdir()
    assert call(
        monkeypatch, 'collect_results', *folders, '--out', out
    ) == 0  # fmt: skip
    return out


def test_mean_spread_and_paired_difference(results):
    found = json.loads(results.read_text())
    assert found['experiment'] == 'reduced'
    assert found['commits'] == [COMMIT]
    assert found['machines'] == [dict(device='cpu', threads=1, processes=1)]
    margin, random, full = found['summary']
    assert [one['heuristic'] for one in found['summary']] == [
        'Margin', 'Random', 'full supervision',
    ]  # fmt: skip
    assert margin['seeds'] == random['seeds'] == [0, 1, 2]
    last = margin['rounds'][1]
    values = [34, 33, 30]
    assert last['last_epoch']['values'] == pytest.approx(values)
    assert last['last_epoch']['mean'] == pytest.approx(np.mean(values))
    assert last['last_epoch']['std'] == pytest.approx(np.std(values, ddof=1))
    assert last['best_epoch']['mean'] == pytest.approx(50)
    gaps = [9, 7, 2]
    assert last['minus_random']['pairs'] == 3
    assert last['minus_random']['mean'] == pytest.approx(np.mean(gaps))
    assert last['minus_random']['std'] == pytest.approx(np.std(gaps, ddof=1))
    assert 0 < last['minus_random']['p'] < 1
    assert margin['rounds'][0]['minus_random']['mean'] == 0
    assert margin['area']['minus_random'] == pytest.approx(3)
    assert 'minus_random' not in random['rounds'][1]
    assert full['seeds'] == [0, 1]
    assert full['rounds'][0]['last_epoch']['mean'] == pytest.approx(61)
    assert len(found['runs']) == 8
    assert {one['machine']['commit'] for one in found['runs']} == {COMMIT}
    assert set(found['configs']) == {one['heuristic'] for one in found['runs']}


def test_unfinished_runs_are_listed_and_not_summed_up(
    folders, tmp_path, monkeypatch, capsys
):
    write_run(tmp_path / 'late', 'margin', 3, (0.9,), planned=2)
    out = tmp_path / 'results.json'
    folders.append(tmp_path / 'late')
    assert call(monkeypatch, 'collect_results', *folders, '--out', out) == 0
    found = json.loads(out.read_text())
    assert found['summary'][0]['seeds'] == [0, 1, 2]
    assert [one['finished'] for one in found['runs']].count(False) == 1
    assert '' in found['commits']  # of a run without machine.json
    said = capsys.readouterr().out
    assert '32.33 +- 2.08' in said
    assert '- random +6.00 +- 3.61' in said


def test_a_round_without_miou_pairs_nothing(folders, tmp_path, monkeypatch):
    path = folders[0] / 'rounds.json'
    content = json.loads(path.read_text())
    content['rounds'][1]['mIoU'] = None
    path.write_text(json.dumps(content))
    out = tmp_path / 'results.json'
    assert call(monkeypatch, 'collect_results', *folders, '--out', out) == 0
    gap = json.loads(out.read_text())['summary'][0]['rounds'][1]
    assert gap['last_epoch'] is None
    assert gap['minus_random']['pairs'] == 2
    assert gap['minus_random']['mean'] == pytest.approx((7 + 2) / 2)
    assert gap['minus_random']['std'] == pytest.approx(np.std([7, 2], ddof=1))


def test_other_budgets_over_cost(folders, tmp_path, monkeypatch):
    write_run(tmp_path / 'other', 'entropy', 0, per_round=2)
    out = tmp_path / 'results.json'
    words = (*folders[:6], tmp_path / 'other', '--axis', 'cost')
    assert call(monkeypatch, 'collect_results', *words, '--out', out) == 0
    (entropy, *_) = json.loads(out.read_text())['summary']
    assert 'minus_random' not in entropy['rounds'][1]


def test_runs_of_another_budget_are_refused(
    folders, tmp_path, monkeypatch, capsys
):
    write_run(tmp_path / 'other', 'margin', 5, (0.2, 0.3), per_round=2)
    out = tmp_path / 'results.json'
    folders.append(tmp_path / 'other')
    assert call(monkeypatch, 'collect_results', *folders, '--out', out) == 4
    assert 'are not comparable' in capsys.readouterr().err
    assert not out.exists()


@pytest.mark.usefixtures('unabridged')
def test_picture(results, tmp_path, monkeypatch):
    out = tmp_path / 'curve.png'
    assert call(monkeypatch, 'plot_results', results, '--out', out) == 0
    with Image.open(out) as picture:
        pixels = np.asarray(picture.convert('RGB'))
    assert pixels.shape[1] == 1000
    assert (pixels != 255).any(axis=(0, 1)).all()


def test_names_for_readers(results):
    evidence, _ = plot_results.read([results])
    words = plot_results.renamed(evidence, ['Margin=margin, top 5 %'])
    assert [*words.groups] == ['Random', 'margin, top 5 %'][::-1]
    assert [*evidence.groups] == ['Margin', 'Random']
    for wrong in ('Margn=a', 'Margin', 'Margin='):
        with pytest.raises(StateError, match='--rename: wanted NAME=WORDS'):
            plot_results.renamed(evidence, [wrong])


def test_two_experiments_in_one_picture(
    results, tmp_path, monkeypatch, capsys
):
    content = json.loads(results.read_text())
    for run in content['runs']:
        for row in run['rounds']:
            if run['heuristic'] != 'full supervision':
                row['mIoU'] += 0.1 + 0.01 * run['seed']
    other = tmp_path / 'ours' / 'results.json'
    other.parent.mkdir()
    other.write_text(json.dumps(content | dict(experiment='ours')))
    words = (results, other, '--out', tmp_path / 'both.png', '--against')
    assert call(monkeypatch, 'plot_results', *words, 'Margin (reduced)') == 0
    said = capsys.readouterr().out.splitlines()
    assert 'minus Margin (reduced)' in said[0]
    (ours,) = (line for line in said if line.startswith('Margin (ours)'))
    assert ', 3 seeds: +11.00 (p 0.003)  +11.00 (p 0.003)' in ours
    (random,) = (line for line in said if line.startswith('Random (reduced)'))
    assert '+0.00  -6.00' in random
    assert random.split('  ')[-1].startswith('-3.00')
    assert call(monkeypatch, 'plot_results', *words, 'Margin') == 4
    assert 'wanted one of Margin (ours), Margin (reduced)' in (
        capsys.readouterr().err
    )


def test_full_supervision_of_several_files_is_one(results, tmp_path):
    content = json.loads(results.read_text())
    other = tmp_path / 'other.json'
    other.write_text(json.dumps(content))
    evidence, _ = plot_results.read([results, other])
    assert evidence.full_miou == [60, 62]
    content['runs'][-1]['rounds'][-1]['mIoU'] = 0.9
    other.write_text(json.dumps(content))
    with pytest.raises(StateError, match='one full supervision for all'):
        plot_results.read([results, other])


def test_whole_images_of_other_sizes_are_paired(tmp_path):
    curves = {'margin': {0: (0.2, 0.4)}, 'random': {0: (0.2, 0.3)}}
    folders = write_sweep(tmp_path, curves, unit='image')
    rows = read_rounds(folders[0])
    for row in rows:
        row['total']['requested'] //= 2  # smaller images
    write_rounds(folders[0], rows)
    out = tmp_path / 'results.json'
    out.write_text(json.dumps(plain(collect(folders, [], out))))
    evidence, _ = plot_results.read([out])
    assert evidence.budgets == (1, 2)
    said = plot_results.differences(evidence, 'Random')
    assert said[1] == 'Margin, 1 seeds: +0.00  +10.00  +5.00'


@pytest.mark.parametrize('text', ['', '[]', '{}', '{"runs": [{}]}'])
def test_another_file_is_no_results(text, tmp_path, monkeypatch, capsys):
    path, out = tmp_path / 'results.json', tmp_path / 'curve.png'
    path.write_text(text)
    assert call(monkeypatch, 'plot_results', path, '--out', out) == 4
    assert 'wanted a results.json' in capsys.readouterr().err
    assert not out.exists()
