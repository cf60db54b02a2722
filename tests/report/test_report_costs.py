"""Reports over what labels cost."""

from __future__ import annotations

import json
import sys

import pandas as pd
import pytest
from made_up import write_run

from segal.active.units.costs import Asked, Costs
from segal.config.costs import parse_costs
from segal.errors import ConfigError, StateError
from segal.report.evidence import read_evidence
from segal.report.page import verdicts, write_report
from segal.report.run import read_run
from segal.report.tables import find
from segal.rounds import read_rounds, write_rounds
from tests.tools.load import tool as load_tool

tool = load_tool('report')
TABLE = Costs('clicks', pixel=1, image=10, open=2)


def mode(unit, **active):
    return {
        'runner': {'sample_rounds': 3, 'sample_mode': unit},
        'active_learning': {'heuristic': 'margin', **active},
    }


@pytest.fixture
def both(tmp_path):
    """Three rounds of 12 pixels in four images; three of one image."""
    return [
        write_run(
            tmp_path / 'pixels', miou=(0.2, 0.34, 0.4), config=mode('pixel')
        ),
        write_run(
            tmp_path / 'images',
            miou=(0.1, 0.2, 0.3),
            unit='image',
            config=mode('image'),
        ),
    ]


PIXELS, IMAGES = 'Margin (pixels)', 'Margin (images)'


def test_costs_are_laid_over_label_files(both):
    (run,) = read_evidence(both[:1]).runs
    assert run.asked == (Asked(12, opened=4), Asked(12), Asked(12))
    assert run.paid(TABLE) == [20, 32, 44]
    assert run.paid(Costs()) == pytest.approx([28.8, 57.6, 86.4])
    (run,) = read_evidence(both[1:]).runs
    assert run.paid(TABLE) == [12, 24, 36]


def test_pixels_and_images_are_compared_over_cost_by_hand(both):
    with pytest.raises(
        StateError, match=r'(?s)same unit.*--axis cost'
    ) as raised:
        read_evidence(both)
    assert raised.value.exit_code == 4
    findings = find(read_evidence(both, axis='cost', costs=TABLE))
    assert findings.axis.words == 'cost of the labels (clicks)'
    assert findings.span == (20, 36)  # of 20 to 44, and 12 to 36
    # 12 clicks at (20 + 34) / 2 and 4 at (34 + 36) / 2
    assert findings.areas[PIXELS][0] == pytest.approx(29)
    # 4 clicks at (16 2/3 + 20) / 2 and 12 at (20 + 30) / 2
    assert findings.areas[IMAGES][0] == pytest.approx(23 + 1 / 3)
    assert not any(map(any, findings.penalties.points))
    rounds = findings.rounds.set_index(['run', 'round'])
    assert rounds.loc['pixels', 'cost'].tolist() == [20, 32, 44]
    assert rounds.loc['images', 'opened_images'].tolist() == [1, 2, 3]
    summary = findings.summary.set_index('heuristic')
    told = summary.loc[IMAGES, ['cost', 'cost_unit', 'area_over']]
    assert told.tolist() == [36, 'clicks', 'cost']


@pytest.mark.parametrize(
    ('axis', 'words'),
    [
        ('asked', 'pixels asked'),
        ('pixels', 'labelled pixels per image'),
        ('percent', "labelled pixels (% of the pool's)"),
        ('cost', 'cost of the labels (seconds)'),
    ],
)
def test_areas_over_every_axis(both, axis, words):
    findings = find(read_evidence(both[:1], axis=axis))
    assert findings.axis.words == words
    # even steps of any of them, so that all areas are the same
    assert findings.areas['Margin'][0] == pytest.approx(32)


def test_budgets_in_cost_are_compared_over_cost(tmp_path):
    paid = {'pixel': {'cost_per_round': 20.0}}
    runs = [
        write_run(
            tmp_path / f'{count}',
            seed=count,
            per_round=count,
            config=mode('pixel', settings=paid),
        )
        for count in (3, 4)
    ]
    evidence = read_evidence(runs)
    assert evidence.axis == 'cost'
    assert not evidence.same_budgets
    with pytest.raises(StateError, match='same budgets'):
        read_evidence(runs, axis='asked')


def test_unlike_prices_need_some_for_all(both, tmp_path):
    other = write_run(
        tmp_path / 'other', seed=1, config=mode('pixel', costs={'pixel': 3.0})
    )
    evidence = read_evidence([both[0], other])
    assert (evidence.costs, evidence.has_costs) == (None, False)
    assert find(evidence).rounds['cost'].isna().all()
    with pytest.raises(StateError, match=r'got 2: .*pixel=2\.4.*pixel=3\.0'):
        read_evidence([both[0], other], axis='cost')
    evidence = read_evidence([both[0], other], axis='cost', costs=TABLE)
    assert [evidence.paid(run)[-1] for run in evidence.runs] == [44, 44]


def test_without_label_files_rows_tell_what_they_can(both):
    for path in (both[0] / 'labels').iterdir():
        path.unlink()
    assert not read_evidence(both[:1]).has_costs  # rows of old
    with pytest.raises(StateError, match='the cost of its labels is not'):
        read_evidence(both[:1], axis='cost')
    rows = read_rounds(both[0])
    for number, row in enumerate(rows, 1):
        row['cost'] = {'unit': 'seconds', 'total': 28.8 * number}
    write_rounds(both[0], rows)
    evidence = read_evidence(both[:1], axis='cost')
    assert evidence.paid(evidence.runs[0]) == pytest.approx([28.8, 57.6, 86.4])
    with pytest.raises(StateError, match='the cost of its labels is not'):
        read_evidence(both[:1], axis='cost', costs=TABLE)


def test_curves_that_lie_apart_have_no_area(both):
    dear = Costs('clicks', pixel=1, image=100, open=0)
    evidence = read_evidence(both, axis='cost', costs=dear)
    findings = find(evidence)
    assert findings.span == (100, 36)
    assert findings.areas == {PIXELS: {}, IMAGES: {}}
    assert verdicts(evidence, findings)[0] == (
        'The curves share no range of the axis, so no areas can be compared.'
    )


def test_labels_that_cost_nothing_are_no_axis(both):
    free = Costs('clicks', pixel=0, image=0, open=1)
    with pytest.raises(StateError, match='labels that cost something'):
        read_evidence(both[:1], axis='cost', costs=free)


def test_a_wrong_price_is_named(both):
    config = both[0] / 'config.json'
    text = config.read_text().replace(
        '"heuristic"', '"costs": {"pixel": -1}, "heuristic"'
    )
    config.write_text(text)
    with pytest.raises(StateError, match='0 or more; got -1'):
        read_evidence(both[:1])


def test_prices_of_a_command_line():
    assert parse_costs('pixel=3,open=1.5') == Costs(pixel=3.0, open=1.5)
    assert parse_costs('clicks:pixel=1,image=10,open=2') == TABLE
    with pytest.raises(ConfigError) as raised:
        parse_costs('clicks:pixel=-1,imge=nan,open=x')
    assert [one.partition(';')[0] for one in raised.value.problems] == [
        '--costs.imge: unknown key',
        '--costs.open: wanted a finite number, 0 or more',
        '--costs.pixel: wanted a finite number, 0 or more',
        "--costs.image: required with unit='clicks', since the default is in "
        'seconds',
    ]
    for text in ('', 'clicks', 'clicks:pixel'):
        with pytest.raises(ConfigError, match='wanted UNIT:NAME=PRICE'):
            parse_costs(text)


def test_command_line_and_page(both, tmp_path, monkeypatch, capsys):
    out = tmp_path / 'out'
    options = ['--axis', 'cost', '--images', '0', '--out', str(out)]

    def command(prices):
        arguments = [*map(str, both), *options, '--costs', prices]
        monkeypatch.setattr(sys, 'argv', ['report.py', *arguments])
        return (tool.main(), *capsys.readouterr())

    code, said, error = command('clicks:pixel=1')
    assert (code, said) == (2, '')
    assert error.startswith('Error: --costs.image: required')
    code, said, _ = command('clicks:pixel=1,image=10,open=2')
    assert code == 0
    assert 'Largest area under the curve over cost: Margin' in said
    summary = pd.read_csv(out / 'summary.csv').set_index('heuristic')
    assert summary.loc[PIXELS, 'area_percent'] == pytest.approx(29)
    page = (out / 'report.html').read_text()
    assert (out / 'curve_cost.png').stat().st_size > 0
    assert '44 clicks</td><td>11 clicks' in page
    assert 'compared by what their labels cost' in page
    assert 'All areas are from 20.00 to 36.00' in page
    assert 'The runs share no budget points' in page
    assert 'These are the defaults' not in page


def test_a_page_without_known_costs(both, tmp_path):
    evidence = read_evidence(both[:1])
    text = write_report(evidence, tmp_path / 'out', 0).paths[0].read_text()
    assert 'These are the defaults, taken from PASCAL VOC 2012' in text


def test_minutes_that_people_took(both, tmp_path, monkeypatch):
    def page():
        out = tmp_path / 'out'
        options = [*map(str, both), '--axis', 'cost', '--images', '0']
        options += ['--costs', 'clicks:pixel=1,image=10', '--out', str(out)]
        monkeypatch.setattr(sys, 'argv', ['report.py', *options])
        assert tool.main() == 0
        return (out / 'report.html').read_text(), out / 'curve_measured.png'

    text, chart = page()
    assert 'really took' not in text
    assert not chart.exists()
    for work_dir in both:
        path = work_dir / 'times.json'
        rounds = json.loads(path.read_text())['rounds']
        for number, seconds in enumerate(rounds):
            seconds['annotation'] = 90.0 * (number + 1)
        path.write_text(json.dumps({'rounds': rounds}))
    text, chart = page()
    assert 'really took' in text
    assert chart.stat().st_size > 0
    run = read_run(both[0])
    assert run.measured[:2] == [1.5, 4.5]
