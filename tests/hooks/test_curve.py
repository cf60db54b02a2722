from __future__ import annotations

import json
import shutil
from types import SimpleNamespace

import numpy as np
import pytest
from matplotlib import figure as figures
from mmcv.runner import HOOKS
from PIL import Image

from segal.errors import ConfigError
from segal.runner.beside import runs_beside
from segal.visualization import curve
from segal.visualization.table import format_rounds, share_words

pytestmark = pytest.mark.usefixtures('unabridged')


def row(number, miou, unit='pixel', **seconds):
    return {
        'round': number,
        'unit': unit,
        'total': {
            'requested': 1000 * (number + 1),
            'labelled': 950 * (number + 1),
            'void': 50 * (number + 1),
            'images': 10 * (number + 1) if unit == 'image' else 100,
        },
        'share': 0.00055 * (number + 1),
        'mIoU': miou,
        'seconds': seconds,
    }


def figure_of(monkeypatch, rows, path, images=100, **options):
    kept = []
    build = figures.Figure

    def keep(*args, **kwargs):
        kept.append(build(*args, **kwargs))
        return kept[-1]

    monkeypatch.setattr(figures, 'Figure', keep)
    curve.draw_curve(rows, path, 'title', images, **options)
    return kept[0].axes[0]


def test_pixels_are_drawn_per_image_in_per_cent(monkeypatch, tmp_path):
    rows = [row(0, 0.4), row(1, None), row(2, 0.55)]
    axes = figure_of(monkeypatch, rows, tmp_path / 'c.png', images=50)
    x, y = axes.lines[0].get_data()
    assert x == pytest.approx([19, 57])
    assert y == pytest.approx([40, 55])
    assert 'pixels per image' in axes.get_xlabel()
    (above,) = axes.child_axes
    ticks = {t.get_text() for t in above.get_xticklabels()}
    assert ticks == {'0.055 %', '0.17 %'}


def test_images_are_drawn_over_images(monkeypatch, tmp_path):
    rows = [row(0, 0.4, 'image'), row(1, 0.5, 'image')]
    axes = figure_of(monkeypatch, rows, tmp_path / 'c.png')
    assert list(axes.lines[0].get_xdata()) == [10, 20]
    assert axes.get_xlabel() == 'labelled images'


def test_over_cost_long_times_are_hours(monkeypatch, tmp_path):
    rows = [row(k, 0.4 + k / 10) for k in range(3)]
    for number, one in enumerate(rows[1:], 1):  # the first is a row of old
        one['cost'] = {'unit': 'seconds', 'total': 3600.0 * number}
    hook = HOOKS.build({'type': 'CurveHook', 'across': 'cost'})
    report = SimpleNamespace(
        rows=rows, work_dir=tmp_path, pool=[0] * 100, pictures=[]
    )
    hook.after_round(None, report)
    assert report.pictures == [tmp_path / 'curve_cost.png']
    axes = figure_of(monkeypatch, rows, tmp_path / 'c.png', over_cost=True)
    assert list(axes.lines[0].get_xdata()) == [1, 2]
    assert axes.get_xlabel() == 'cost of the labels (hours)'
    with pytest.raises(ConfigError, match=r"across: 'labls' is not known"):
        HOOKS.build({'type': 'CurveHook', 'across': 'labls'})


@pytest.mark.parametrize('count', [0, 1, 2, 60])
def test_any_number_of_points_can_be_read(monkeypatch, tmp_path, count):
    rows = [row(k, 0.3 + k / 200) for k in range(count)]
    path = tmp_path / 'c.png'
    axes = figure_of(monkeypatch, rows, path)
    low, high = axes.get_ylim()
    assert high - low >= 5 - 1e-6
    assert len(axes.texts) <= 13
    with Image.open(path) as picture:
        assert np.asarray(picture).std() > 5
    assert [p.name for p in tmp_path.iterdir()] == ['c.png']


def test_hook_draws_and_lists_the_curve(tmp_path):
    report = SimpleNamespace(
        rows=[row(0, 0.4)], work_dir=tmp_path, pool=[0] * 100, pictures=[]
    )
    HOOKS.build({'type': 'CurveHook'}).after_round(None, report)
    assert report.pictures == [tmp_path / 'curve.png']
    assert report.pictures[0].exists()


def ticks_of(axes):
    return [tick.get_text() for tick in axes.get_xticklabels()]


def test_ticks_are_budgets_and_do_not_overlap(monkeypatch, tmp_path):
    rows = [row(k, 0.4) for k in range(3)]
    axes = figure_of(monkeypatch, rows, tmp_path / 'c.png', 100)
    assert ticks_of(axes) == ['9.5', '19', '28.5']
    rows = [row(k, 0.4) for k in (0, 1, 2, 40, 41, 100)]
    axes = figure_of(monkeypatch, rows, tmp_path / 'c.png', 100)
    assert ticks_of(axes) == ['28.5', '399', '960']


def write_beside(folder, rows, seed=0, full=False, **active):
    config = {
        'model': {'type': 'A'},
        'seed': seed,
        'active_learning': {'heuristic': 'margin', **active},
    }
    for one in rows:
        one['pool'] = {'images': 100, 'pixels': 10**6}
        if full:
            one['total']['requested'] = 10**6
    folder.mkdir()
    (folder / 'config.json').write_text(json.dumps(config))
    (folder / 'rounds.json').write_text(json.dumps({'rounds': rows}))
    return rows


def test_random_and_full_supervision_in_the_same_folder_are_drawn(
    monkeypatch, tmp_path
):
    own = write_beside(tmp_path / 'own', [row(0, 0.4), row(1, 0.5)])
    assert runs_beside(tmp_path / 'own', own) == ([], None)
    for seed in (0, 1):
        rows = [row(0, 0.3 + seed / 10)]
        name = f'random_seed{seed}'
        write_beside(tmp_path / name, rows, seed, heuristic={'type': 'Random'})
    write_beside(tmp_path / 'full', [row(0, 0.8)], full=True)
    rows, full = runs_beside(tmp_path / 'own', own)
    assert [one['mIoU'] for one in rows] == [0.3]
    assert full == 0.8
    axes = figure_of(
        monkeypatch, own, tmp_path / 'c.png', random=rows, full=full
    )
    assert [line.get_label() for line in axes.lines] == [
        'this run', 'random', 'full supervision',
    ]  # fmt: skip
    assert axes.get_ylim()[0] < 30 < 80 < axes.get_ylim()[1]


def test_random_that_asked_as_many_images_of_other_sizes_is_drawn(tmp_path):
    rows, others = ([row(0, 0.4)] for _ in range(2))
    for some, pixels in ((rows, 300), (others, 500)):
        some[0] |= {'unit': 'image'}
        some[0]['total'] |= {'requested': pixels, 'images': 3}
    own = write_beside(tmp_path / 'own', rows)
    write_beside(tmp_path / 'random', others, heuristic='random')
    assert [one['mIoU'] for one in runs_beside(tmp_path / 'own', own)[0]] == [
        0.4
    ]
    others[0]['total']['images'] = 2
    shutil.rmtree(tmp_path / 'random')
    write_beside(tmp_path / 'random', others, heuristic='random')
    assert runs_beside(tmp_path / 'own', own)[0] == []


def test_runs_that_differ_in_more_are_not_drawn(tmp_path):
    own = write_beside(tmp_path / 'own', [row(0, 0.4), row(1, 0.5)])
    other = [row(3, 0.3)]  # asked more
    write_beside(tmp_path / 'a', other, heuristic='random')
    write_beside(tmp_path / 'b', [row(0, 0.3)], heuristic='entropy')
    write_beside(tmp_path / 'c', [row(0, 0.3)], heuristic='random', reset=1)
    write_beside(tmp_path / 'd', [row(0, 0.3)], heuristic='random')
    config = (tmp_path / 'd/config.json').read_text()
    (tmp_path / 'd/config.json').write_text(config.replace('"A"', '"B"'))
    write_beside(tmp_path / 'e', [row(0, 0.3)], heuristic='random')
    (tmp_path / 'e/rounds.json').write_text('{"rounds": [')
    assert runs_beside(tmp_path / 'own', own) == ([], None)


def test_a_curve_that_cannot_be_drawn_ends_no_run(tmp_path, monkeypatch):
    def broken(*_):
        raise ValueError('no font')

    monkeypatch.setattr('segal.hooks.curve.draw_curve', broken)
    report = SimpleNamespace(
        rows=[row(0, 0.4)], work_dir=tmp_path, pool=[0] * 100, pictures=[]
    )
    HOOKS.build({'type': 'CurveHook'}).after_round(None, report)
    assert report.pictures == []


def test_table_of_pixels():
    rows = [
        row(0, 0.41234, train=12.34, query=3, evaluation=2.01),
        row(1, None, train=154, evaluation=7501),
    ]
    head, rule, *lines = format_rounds(rows, 100).split('\n')
    assert head == (
        'round  labels  void  per image    share     mIoU'
        '       train  query        eval'
    )
    assert rule == '-' * len(head)
    assert lines == [
        '    0     950    50        9.5  0.055 %  41.23 %'
        '      12.3 s  3.0 s       2.0 s',
        '    1   1,900   100       19.0   0.11 %        -'
        '  2 min 34 s      -  2 h 05 min',
    ]


def test_table_of_images():
    text = format_rounds([row(0, 0.4, 'image', train=1, query=1)], 100)
    head, _, line = text.split('\n')
    assert head.split()[:3] == ['round', 'images', 'void']
    assert 'per image' not in head
    assert line.split()[:2] == ['0', '10']


def test_table_shows_costs_where_rows_have_them():
    rows = [row(0, 0.4, train=1), row(1, 0.5, train=1)]
    rows[1]['cost'] = {'unit': 'seconds', 'round': 96.0, 'total': 4000.0}
    head, _, *lines = format_rounds(rows, 100).split('\n')
    assert head.split()[-5:] == ['cost', 'mIoU', 'train', 'query', 'eval']
    assert lines[0].split()[6:9] == ['-', '40.00', '%']  # a row of old
    assert '  1 h 06 min  ' in lines[1]
    rows[1]['cost'] = {'unit': 'clicks', 'round': 96.0, 'total': 4000.5}
    assert '  4,000.5 clicks  ' in format_rounds(rows, 100)


def test_table_without_rounds():
    assert format_rounds([], 100) == 'no rounds yet'


@pytest.mark.parametrize(
    ('share', 'words'),
    [(0, '0.0 %'), (0.000116, '0.012 %'), (0.0312, '3.1 %'), (0.5, '50.0 %'),
     (0.00000012, '0.000012 %')],
)  # fmt: skip
def test_share_has_two_significant_digits(share, words):
    assert share_words(share) == words
