"""Charts and page: what a reader sees of seeds, ticks, colours and origin."""

from __future__ import annotations

import json
import re
import shutil

import numpy as np
import pytest
from made_up import sweep as write_sweep
from made_up import write_run

from segal.report import charts, svg
from segal.report.axes import PIXELS
from segal.report.evidence import read_evidence
from segal.report.page import write_report

CURVES = {
    'margin': {0: (0.01, 0.34, 0.4), 1: (0.2, 0.33, 0.43)},
    'random': {0: (0.01, 0.25, 0.3), 1: (0.2, 0.26, 0.31)},
}


def evidence_of(tmp_path, seeds=2, **options):
    curves = {'margin': {s: (0.2, 0.3 + s / 100) for s in range(seeds)}}
    return read_evidence(write_sweep(tmp_path, curves, **options))


@pytest.mark.parametrize(('seeds', 'bands'), [(1, 0), (4, 0), (5, 2), (9, 2)])
def test_a_band_takes_five_seeds_and_fewer_are_drawn_one_by_one(
    tmp_path, seeds, bands
):
    evidence = evidence_of(tmp_path, seeds, pictures=False)
    figure = charts.curves(evidence, PIXELS)
    (axes,) = figure.axes
    assert len(axes.collections) == bands  # one of them explains it
    thin = [line for line in axes.lines if line.get_linewidth() < 1]
    drawn = seeds + 1 if 1 < seeds < 5 else 0
    assert len(thin) == drawn
    said = [text.get_text() for text in figure.legends[0].get_texts()]
    assert ('single seeds' in said) == bool(drawn)
    assert ('mean ± standard deviation' in said) == bool(bands)


def test_ticks_of_a_curve_are_budgets(tmp_path):
    evidence = evidence_of(tmp_path, per_round=4, pictures=False)
    axes = charts.curves(evidence, PIXELS).axes[0]
    wanted = [run.per_image for run in evidence.runs]
    assert list(axes.get_xticks()) == sorted(np.unique(np.mean(wanted, 0)))


def test_ious_are_never_drawn_outside_of_0_to_100(tmp_path):
    curves = {
        'margin': {0: (0.01, 0.0), 1: (0.2, 0.3)},
        'random': {0: (0.2, 0.97), 1: (0.2, 0.5)},
    }
    runs = write_sweep(tmp_path, curves, pictures=False)
    axes = charts.classes(read_evidence(runs)).axes[0]
    assert axes.get_xlim()[0] == 0
    assert axes.get_xlim()[1] <= 100
    for bars in axes.collections:
        for segment in bars.get_segments():
            assert (segment[:, 0] >= -1e-9).all()
            assert (segment[:, 0] <= 100 + 1e-9).all()


@pytest.mark.parametrize('rounds', [1, 2, 4, 40])
def test_the_time_chart_clips_no_marker_and_has_few_ticks(tmp_path, rounds):
    run = write_run(tmp_path / 'run', miou=(0.2,) * rounds, pictures=False)
    for axes in charts.seconds(read_evidence([run])).axes:
        assert all(not line.get_clip_on() for line in axes.lines)
        assert len(axes.get_xticks()) <= 5
        assert axes.get_xticks()[-1] == rounds - 1


@pytest.mark.slow
@pytest.mark.usefixtures('unabridged')
def test_colours_of_charts_follow_the_page_and_all_are_defined(tmp_path):
    runs = write_sweep(tmp_path, CURVES)
    text = write_report(read_evidence(runs), tmp_path).paths[0].read_text()
    used = set(re.findall(r'var\((--[\w]+)\)', text))
    light, dark = text.split('@media (prefers-color-scheme: dark)')[:2]
    for part in (light, dark.split('} }')[0]):
        assert used <= set(re.findall(r'(--\w+):', part))
    figure = charts.curves(read_evidence(runs), PIXELS)
    followed = svg.as_svg(figure, 'a')
    assert svg.INK not in followed
    assert svg.COLOURS[0] not in followed
    assert svg.INK in svg.as_svg(figure, 'a', follows=False)


def test_text_on_a_dark_page_can_be_read():
    def light(colour):
        parts = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
        linear = np.where(
            parts <= 0.04, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4
        )
        return float(linear @ (0.2126, 0.7152, 0.0722))

    for dark in (False, True):
        known = dict(
            re.findall(r'--c(\w+): (#\w+)', svg.colour_variables(dark))
        )
        paper = light(known[svg.PAPER[1:]])
        for name in (svg.INK, svg.FAINT, svg.RANDOM, *svg.COLOURS):
            pair = sorted((light(known[name[1:]]), paper))
            contrast = (pair[1] + 0.05) / (pair[0] + 0.05)
            wanted = 4.5 if name in (svg.INK, svg.FAINT) else 3.0
            assert contrast >= wanted, (name, dark)


def test_the_page_says_where_its_numbers_come_from(tmp_path):
    run = write_run(tmp_path / 'run')
    (run / '20260102_030405.log').write_text('')
    (run / 'machine.json').write_text(json.dumps({'commit': 'abc123'}))
    text = write_report(read_evidence([run]), tmp_path).paths[0].read_text()
    footer = text[text.index('<footer') :]
    said = dict(re.findall(r'<dt>(.*?)</dt><dd>(.*?)</dd>', footer))
    assert said['Config'] == 'run/config.py'
    assert said['Commit'] == 'abc123'
    assert said['Begun'] == '2026-01-02'
    assert said['Training'] == '3 rounds, 24 iterations, 15.0 s'
    assert 'SegAL' in said['Report']
    shutil.rmtree(tmp_path / 'run' / 'images')


def test_two_curves_stand_side_by_side_and_the_rest_is_folded(tmp_path):
    runs = write_sweep(tmp_path, CURVES)
    text = write_report(read_evidence(runs), tmp_path).paths[0].read_text()
    section = text[text.index('id="curves"') : text.index('id="areas"')]
    shown, folded = section.split('<details>')
    assert shown.count('<figure') == 2
    assert 'figure-curve_cost' in shown
    assert 'figure-curve_share' in folded


def test_pictures_enlarge_by_click_or_key_without_a_script(tmp_path):
    run = write_run(tmp_path / 'run')
    text = write_report(read_evidence([run]), tmp_path).paths[0].read_text()
    zooms = re.findall(
        r'<details class="zoom" name="zoom"><summary><img', text
    )
    assert len(zooms) == 3
    assert '<script' not in text
