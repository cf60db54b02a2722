"""The whole report: what is read, refused, computed and shown."""

from __future__ import annotations

import json
import re
import sys
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import pytest
from made_up import sweep as write_sweep
from made_up import write_run
from scipy.stats import ttest_rel

from segal.errors import StateError
from segal.report import charts
from segal.report.axes import IMAGES, axis_of
from segal.report.evidence import read_evidence
from segal.report.page import FEW, terminal_table, write_report
from segal.report.run import heuristic_label
from segal.report.tables import find
from segal.rounds import read_rounds, write_rounds
from tests.hooks.scenes import buy_images, buy_pixels, new_store, pool_of
from tests.tiny import write_config, write_images
from tests.tools.load import tool as load_tool

ROOT = Path(__file__).resolve().parents[2]
tool = load_tool('report')

CURVES = {
    'margin': {0: (0.2, 0.34, 0.4), 1: (0.2, 0.33, 0.43), 2: (0.22, 0.3, 0.4)},
    'random': {0: (0.2, 0.25, 0.3), 1: (0.2, 0.26, 0.31), 2: (0.22, 0.2, 0.3)},
}

SECTIONS = (
    'summary',
    'runs',
    'curves',
    'areas',
    'penalties',
    'classes',
    'bought',
    'time',
    'gallery',
    'method',
)


class Page(HTMLParser):
    """What a test asks of a page."""

    def __init__(self, text):
        super().__init__()
        self.ids, self.links, self.outside = [], [], []
        self.tables, self.scripts, self._cells = {}, 0, None
        self.captions = self.figures = 0
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        if 'id' in attrs:
            self.ids.append(attrs['id'])
        for key in ('src', 'href', 'xlink:href', 'srcset', 'data', 'action'):
            address = attrs.get(key)
            if address is None:
                continue
            if address.startswith('#'):
                self.links.append(address[1:])
            elif not address.startswith('data:'):
                self.outside.append(address)
        self.scripts += tag in ('script', 'link', 'iframe', 'object')
        self.figures += tag == 'figure'
        self.captions += tag == 'figcaption'
        if tag == 'table':
            self._rows = self.tables[attrs['id']] = []
        elif tag == 'tr':
            self._rows.append([])
        elif tag in ('td', 'th'):
            self._rows[-1].append('')
            self._cells = self._rows[-1]

    def handle_endtag(self, tag):
        if tag in ('td', 'th'):
            self._cells = None

    def handle_data(self, data):
        if self._cells is not None:
            self._cells[-1] += data


@pytest.fixture
def work_dirs(tmp_path):
    return write_sweep(tmp_path, CURVES)


def report(work_dirs, out, full=()):
    written = write_report(read_evidence(work_dirs, full), out)
    text = written.paths[0].read_text()
    return Page(text), text, written


@pytest.mark.usefixtures('unabridged')
def test_page_is_whole_and_needs_nothing_else(work_dirs, tmp_path):
    page, text, written = report(work_dirs, tmp_path / 'out')
    assert [id_ for id_ in page.ids if id_ in SECTIONS] == list(SECTIONS)
    assert page.outside == []
    assert page.scripts == 0
    assert not re.search(r'@import|url\((?!#|["\']?data:)', text)
    assert set(page.links) <= set(page.ids)
    assert len(set(page.ids)) == len(page.ids)
    assert page.figures == page.captions >= 7
    assert 'name="viewport" content="width=device-width' in text
    assert text.count('<img src="data:image/jpeg;base64,') == 6
    for path in written.paths:
        assert path.stat().st_size > 0
    names = {path.name for path in written.paths}
    assert {'rounds.csv', 'summary.csv', 'curve_pixels.png'} <= names


def test_page_shows_the_numbers_of_the_csv(work_dirs, tmp_path):
    page, _, _ = report(work_dirs, tmp_path / 'out')
    summary = pd.read_csv(tmp_path / 'out' / 'summary.csv')
    shown = page.tables['table-summary'][1:]
    for row, cells in zip(summary.to_dict('records'), shown, strict=True):
        assert cells[0] == row['heuristic']
        assert cells[2] == f'{row["miou_percent"]:.2f} ± {row["miou_std"]:.2f}'
        assert cells[3] == f'{row["area_percent"]:.2f} ± {row["area_std"]:.2f}'
    rounds = pd.read_csv(tmp_path / 'out' / 'rounds.csv')
    last = rounds[rounds['round'] == 2]
    for row, cells in zip(
        last.to_dict('records'), page.tables['table-runs'][1:], strict=True
    ):
        assert cells[0] == row['run']
        assert cells[4] == f'{row["miou_percent"]:.2f}'
    classes = page.tables['table-classes'][1:]
    means = last.groupby('heuristic')['iou_percent.ground'].mean()
    assert classes[1][1].startswith(f'{means["Margin"]:.1f} ')
    bought = rounds.groupby('heuristic')['bought.sky'].sum()
    assert page.tables['table-bought'][1][1].startswith(f'{bought["Margin"]} ')


def test_numbers_by_hand(work_dirs):
    findings = find(read_evidence(work_dirs))
    # even budgets: (first + 2 * second + third) / 4
    areas = findings.areas['Margin']
    assert areas == pytest.approx({0: 32.0, 1: 32.25, 2: 30.5})
    others = findings.areas['Random']
    p = ttest_rel(list(areas.values()), list(others.values())).pvalue
    assert findings.against_random['Margin'].p == pytest.approx(p)
    assert findings.p_holm['Margin'] == pytest.approx(p)
    row = findings.summary.iloc[0]
    assert row['miou_percent'] == pytest.approx(41)
    assert row['area_minus_random'] == pytest.approx(
        (sum(areas.values()) - sum(others.values())) / 3
    )


def test_bought_labels_are_those_of_rounds_json(work_dirs, tmp_path):
    whole = write_run(tmp_path / 'whole', unit='image', miou=(0.1, 0.2))
    for work_dir in (work_dirs[0], whole):
        (run,) = read_evidence([work_dir]).runs
        labelled = [row['labelled'] for row in run.rows]
        assert run.bought.sum(1).tolist() == labelled


def test_pixels_bought_before_the_whole_image_count_once(tmp_path):
    pool = pool_of(2)
    store = new_store(tmp_path, pool)
    buy_pixels(store, [20, 700, 2900])
    buy_images(store, [pool[0].name])
    first, second = (store.class_counts(k)[:3] for k in range(2))
    assert [first.sum(), second.sum()] == [6, store.counts(1).labelled]
    assert (first + second).tolist() == [
        int((store.draw(pool[0].name) == i).sum())
        + int((store.draw(pool[1].name) == i).sum())
        for i in range(3)
    ]


def test_one_seed_gives_words_and_no_numbers(work_dirs, tmp_path):
    one_each = [work_dirs[0], work_dirs[3]]
    page, text, written = report(one_each, tmp_path / 'out')
    assert page.tables['table-tests'][1] == ['Margin', '1', FEW]
    assert page.tables['table-summary'][1][4:] == [FEW, FEW]
    assert page.tables['table-summary'][1][3] == '32.00'  # and no spread
    assert f'{FEW.capitalize()}: no two heuristics share' in text
    assert 'penalties.png' not in {path.name for path in written.paths}
    assert FEW in terminal_table(written.findings.summary)
    row = written.findings.summary.iloc[0]
    few = ['area_minus_random', 'p', 'p_holm', 'miou_std', 'beaten_share']
    assert pd.isna(row[few]).all()
    assert 'curve: Margin, 32.00\N{NO-BREAK SPACE}%.' in text
    assert 'correction over the 0 tests' in text


def test_unpaired_seeds_are_not_tested(work_dirs):
    findings = find(read_evidence([*work_dirs[:2], work_dirs[5]]))
    assert findings.against_random['Margin'].pairs == 0
    assert findings.p_holm['Margin'] is None


def test_unfinished_runs_are_shown_and_marked(work_dirs, tmp_path):
    half = write_run(
        tmp_path / 'half', 'margin', 3, miou=(0.9, 0.9), planned=3
    )
    page, text, written = report([*work_dirs, half], tmp_path / 'out')
    (row,) = (r for r in page.tables['table-runs'] if r[0] == 'half')
    assert row[3] == 'unfinished 2 of 3'
    assert row[4] == '90.00'
    assert row[5] == '–'
    assert 'half (2 of 3 rounds)' in text
    assert written.findings.summary.iloc[0]['miou_percent'] == pytest.approx(
        41
    )
    assert 3 not in written.findings.areas['Margin']
    assert '3 of 4' in terminal_table(written.findings.summary)


def test_only_unfinished_runs(tmp_path):
    halves = [
        write_run(tmp_path / name, miou=(0.2, 0.3), planned=3, seed=seed)
        for seed, name in enumerate(('half', 'other'))
    ]
    page, _, written = report(halves, tmp_path / 'out')
    assert page.tables['table-summary'][1][2] == '–'
    assert 'no other heuristic' in page.tables['table-tests'][1][0]
    assert 'Margin' in terminal_table(written.findings.summary)


def test_a_run_alone_says_what_one_run_can_say(tmp_path):
    run = write_run(tmp_path / 'mine', miou=(0.2, 0.3), planned=3)
    page, text, _ = report([run], tmp_path / 'out')
    assert 'mine: Margin, seed 0' in text
    assert 'mIoU 30.00 % after 24 pixels asked, which cost' in text
    assert 'unfinished' in text
    assert {'table-summary', 'table-tests'}.isdisjoint(page.tables)
    for words in ('Penalty matrix</h2>', 'p (Holm)', 'standard deviation;'):
        assert words not in text
    assert 'compare several runs: <code>segal report' in text
    (row,) = page.tables['table-runs'][1:]
    assert page.tables['table-runs'][0][5:7] == ['iterations', 'commit']
    assert int(row[5]) > 0


def test_a_run_without_a_round_is_left_out_and_named(work_dirs, tmp_path):
    (work_dirs[1] / 'rounds.json').unlink()
    _, text, written = report(work_dirs, tmp_path / 'out')
    assert 'they have no finished round: margin_seed1' in text
    assert written.findings.summary.iloc[0]['runs'] == 2
    with pytest.raises(StateError, match='with a finished round'):
        read_evidence([work_dirs[1]])


def test_whole_images(tmp_path):
    runs = write_sweep(
        tmp_path,
        {h: {0: (0.1, 0.2), 1: (0.1, 0.3)} for h in ('margin', 'random')},
        unit='image',
    )
    page, text, written = report(runs, tmp_path / 'out')
    assert 'curve_images.png' in {path.name for path in written.paths}
    assert '1 to 2 images asked' in text
    assert written.findings.rounds['budget'].tolist() == [1, 2] * 4
    assert page.outside == []


def test_an_image_without_an_answer_is_asked_but_not_labelled(tmp_path):
    run = write_run(tmp_path / 'run', miou=(0.1, 0.2), unit='image')
    rows = read_rounds(run)
    rows[1]['total']['images'] = 1  # nobody could tell
    write_rounds(run, rows)
    evidence = read_evidence([run])
    (drawn,) = charts.curves(evidence, IMAGES).axes[0].get_lines()
    assert drawn.get_xdata().tolist() == [1, 1]
    assert axis_of(evidence).values(evidence.runs[0]) == (1, 2)


def test_full_supervision(work_dirs, tmp_path):
    full = write_run(
        tmp_path / 'full', unit='image', miou=(0.42,), initial=4, seed=9
    )
    page, text, written = report([*work_dirs, full], tmp_path / 'out')
    assert 'full' in page.ids
    first = page.tables['table-full'][1]
    assert first[:2] == ['Margin', '97.6 %']
    assert first[2] == str(3 * 3 * 4)  # pixels asked until the third round
    assert page.tables['table-full'][2][2] == 'not reached'
    assert '42.00 % mIoU with all labels' in text
    assert 'of full' in terminal_table(written.findings.summary)
    assert 9 not in written.findings.areas['Margin']


@pytest.mark.usefixtures('no_charts')
def test_full_may_be_named_and_is_left_out_else(work_dirs, tmp_path):
    other = write_run(tmp_path / 'other', seed=9, miou=(0.1, 0.2, 0.5))
    page, _, _ = report([*work_dirs, other], tmp_path / 'out', [other])
    assert page.tables['table-full'][1][1] == '82.0 %'
    page, text, _ = report(work_dirs, tmp_path / 'out')
    assert 'table-full' not in page.tables
    assert 'of full' not in text.lower()


@pytest.mark.usefixtures('no_charts')
def test_best_epoch_stands_beside_and_nowhere_else(tmp_path):
    plain = write_sweep(tmp_path / 'a', CURVES)
    best = write_sweep(tmp_path / 'b', CURVES, best=0.99)
    page, _, written = report(best, tmp_path / 'out')
    assert page.tables['table-summary'][0][3] == 'best epoch (%)'
    assert page.tables['table-summary'][1][3] == '99.00'
    without = find(read_evidence(plain)).summary
    same = written.findings.summary.drop(columns='best_epoch_miou_percent')
    assert same.equals(without.drop(columns='best_epoch_miou_percent'))
    _, text, _ = report(plain, tmp_path / 'out')
    assert 'best epoch (%)' not in text


STRANGERS = {
    'pool': (dict(images=5), r'same pool.*4 images of .*5 images of'),
    'classes': (dict(classes=('a', 'b', 'c')), r'same classes.*a, b, c'),
    'unit': (dict(unit='image'), r'same unit'),
    'budgets': (dict(per_round=4), r'same budgets.*12, 24, 36.*16, 32, 48'),
    'rounds': (dict(planned=7), r'same rounds.*3.*7'),
}


@pytest.mark.parametrize('what', STRANGERS)
def test_strangers_are_refused_and_named(work_dirs, tmp_path, what):
    options, words = STRANGERS[what]
    odd = write_run(tmp_path / 'odd', seed=9, **options)
    with pytest.raises(StateError, match='are not comparable') as raised:
        read_evidence([*work_dirs, odd])
    assert re.search(words, str(raised.value), re.DOTALL)
    assert str(odd) in str(raised.value)
    assert str(work_dirs[0]) in str(raised.value)


def test_twins_are_refused(work_dirs, tmp_path):
    twin = write_run(tmp_path / 'twin', seed=1)
    with pytest.raises(StateError, match='Margin with seed 1 twice'):
        read_evidence([*work_dirs, twin])
    with pytest.raises(StateError, match='got it twice'):
        read_evidence([work_dirs[0], work_dirs[0] / '..' / work_dirs[0].name])


def test_settings_tell_runs_of_one_heuristic_apart(tmp_path):
    def run(name, seed, **active):
        config = {'active_learning': {'heuristic': 'margin', **active}}
        return write_run(tmp_path / name, seed=seed, config=config)

    runs = [run('a', 0), run('b', 0, shuffle_prop=0.5)]
    evidence = read_evidence(runs)
    assert sorted(evidence.groups) == [
        'Margin [shuffle_prop=0.5]',
        'Margin [shuffle_prop=None]',
    ]
    assert list(evidence.differing) == ['active_learning.shuffle_prop']


@pytest.mark.usefixtures('no_charts')
def test_another_recipe_is_told(work_dirs, tmp_path):
    odd = write_run(
        tmp_path / 'odd', 'entropy', config={'optimizer': {'lr': 0.5}}
    )
    _, text, _ = report([*work_dirs, odd], tmp_path / 'out')
    assert '<b>optimizer.lr</b>: ' in text
    assert '0.5 (odd)' in text


@pytest.mark.parametrize(
    ('heuristic', 'label'),
    [
        ('margin', 'Margin'),
        ('one_vs_rest_entropy', 'OneVsRestEntropy'),
        ({'type': 'Entropy', 'x': 1}, 'Entropy'),
        ('SomebodysOwn', 'SomebodysOwn'),
        (
            {
                'type': 'PowerNoise',
                'of': {'type': 'class_balanced', 'of': 'margin'},
            },
            'PowerNoise(ClassBalanced(Margin))',
        ),
    ],
)
def test_heuristic_labels(heuristic, label):
    assert heuristic_label(heuristic) == label


@pytest.mark.usefixtures('no_charts')
def test_moved_images_fall_back_on_what_the_run_drew(tmp_path):
    run = write_run(tmp_path / 'run', pictures=False)
    _, text, _ = report([run], tmp_path / 'out')
    assert 'not as the run found them: no pictures' in text
    folder = run / 'viz' / 'round_002'
    folder.mkdir(parents=True)
    other = write_run(tmp_path / 'other')
    (other / 'images' / 'set' / 'scene 0.png').rename(
        folder / '00_scene_overlay.png'
    )
    _, text, _ = report([run], tmp_path / 'out')
    assert 'the pictures that the run drew itself' in text
    assert '00_scene, after round 2' in text


@pytest.mark.usefixtures('no_charts')
def test_lost_label_files(work_dirs, tmp_path):
    for work_dir in work_dirs:
        for path in (work_dir / 'labels').iterdir():
            path.unlink()
    _, text, _ = report(work_dirs, tmp_path / 'out')
    assert 'The label files are not in the work_dirs' in text


@pytest.mark.slow
@pytest.mark.usefixtures('unabridged')
def test_names_cannot_break_the_page(tmp_path):
    run = write_run(tmp_path / 'a<script>b&', '<b>"Mine"</b>')
    page, _, _ = report([run], tmp_path / 'out')
    assert page.scripts == 0
    assert page.tables['table-runs'][1][0] == 'a<script>b&'


def command(monkeypatch, capsys, *arguments):
    """Exit code, stdout and stderr."""
    monkeypatch.setattr(sys, 'argv', ['report.py', *map(str, arguments)])
    return (tool.main(), *capsys.readouterr())


@pytest.mark.usefixtures('no_charts')
def test_command_line(work_dirs, tmp_path, monkeypatch, capsys):
    out = tmp_path / 'out'
    code, said, _ = command(monkeypatch, capsys, *work_dirs, '--out', out)
    assert code == 0
    assert re.search(r'^Margin +3 +41\.00 ± 1\.73', said, re.MULTILINE)
    again = command(monkeypatch, capsys, *work_dirs, out, '--out', out)
    assert again == (0, said, '')  # its own folder, as DIR/* finds it


@pytest.mark.parametrize('fault', ['config', 'rounds', 'labels', 'out'])
def test_trouble_is_one_message_and_an_exit_code(
    tmp_path, monkeypatch, capsys, fault
):
    run, out = write_run(tmp_path / 'run'), tmp_path / 'out'
    if fault == 'config':
        (run / 'config.json').write_text(json.dumps({'runner': 3}))
    elif fault == 'rounds':
        (run / 'rounds.json').write_text('{"rounds": [{}]}')
    elif fault == 'labels':
        (run / 'labels' / 'round_001.npz').write_bytes(b'')
    else:
        out.write_text('a file')
    code, _, said = command(monkeypatch, capsys, run, '--out', out)
    assert code == StateError.exit_code
    assert said.startswith('Error: ')
    assert str(out if fault == 'out' else run) in said


def test_trouble_as_a_user_sees_it(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, 'argv', ['report.py', str(tmp_path / 'none')])
    assert tool.main() == StateError.exit_code
    said = capsys.readouterr().err
    assert said.startswith('Error: ')
    assert said.count('\n') == 1


def test_a_real_run(tmp_path):
    config = write_config(write_images(tmp_path))
    from segal.train_active_learning import main

    work_dir = tmp_path / 'run'
    assert main([str(config), '--work-dir', str(work_dir)]) == 0
    page, text, written = report([work_dir], tmp_path / 'out')
    rows = json.loads((work_dir / 'rounds.json').read_text())['rounds']
    assert page.tables['table-runs'][1][3] == '3 of 3'
    assert written.findings.rounds['miou_percent'].tolist() == pytest.approx(
        [100 * row['mIoU'] for row in rows]
    )
    bought = written.findings.rounds.filter(like='bought.').sum(1)
    assert bought.tolist() == [row['labelled'] for row in rows]
    assert (written.findings.rounds['train_seconds'] > 0).all()
    assert 'with a run of the heuristic random among them' in text


def test_a_run_that_asked_nothing_after_its_first_round(tmp_path):
    """Where regions ran out at once, its curve spans no budget."""
    runs = [
        write_run(tmp_path / name, name, miou=(0.2, 0.3))
        for name in ('margin', 'random')
    ]
    for run in runs:
        rows = read_rounds(run)
        rows[1]['total'] = rows[0]['total']
        write_rounds(run, rows)
        (run / 'labels' / 'round_001.npz').unlink()
        (run / 'labels' / 'round_000.npz').unlink()
    _, text, written = report(runs, tmp_path / 'out')
    assert written.findings.areas == {'Margin': {}, 'Random': {}}
    assert 'share no range of the axis' in text
