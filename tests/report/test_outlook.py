"""What another round is expected to bring: numbers, words, and commands."""

import json
import subprocess
import sys

import numpy as np
import pytest

from segal.active.label_store.file import LabelFile, encode
from segal.annotation.folder import AnnotationFolder
from segal.commands.annotate import main as annotate
from segal.commands.status import main as status
from segal.report import page
from segal.report.evidence import read_evidence
from segal.report.fan import outlooks
from segal.report.outlook import look_ahead, outlook_words, read_outlook
from segal.report.track import (
    DEFAULT,
    MEASURED,
    PRICED,
    Track,
    mean_track,
    track_of,
)
from segal.rounds import read_rounds, write_rounds
from segal.structures import REFUSED
from tests.hooks.scenes import SIZE
from tests.report.made_up import IMAGES, sweep, write_run

MIOU = (0.2, 0.3, 0.35, 0.37)
ASKED = 3 * IMAGES
"""Pixels a round of ``write_run``."""


@pytest.fixture
def run(tmp_path):
    return write_run(tmp_path / 'run', miou=MIOU, planned=6)


def with_seconds(work_dir, seconds):
    rows = read_rounds(work_dir)
    for row, one in zip(rows, seconds, strict=True):
        row['seconds']['annotation'] = one
    write_rounds(work_dir, rows)


def with_cost(work_dir, unit, each):
    rows = read_rounds(work_dir)
    for row in rows:
        row['cost'] = dict(unit=unit, round=each, total=each)
    write_rounds(work_dir, rows)


def said(capsys, *arguments, code=0):
    assert status([*map(str, arguments)]) == code
    out, err = capsys.readouterr()
    return err if code else out


def test_another_round_is_as_large_as_the_last(run):
    outlook = read_outlook(run)
    assert outlook.track.asked == tuple(ASKED * n for n in (1, 2, 3, 4))
    assert outlook.track.miou == pytest.approx((20, 30, 35, 37))
    assert outlook.requests == ASKED
    expected, low, high = outlook.gain
    assert low < expected < high
    assert 0 < expected < 4
    assert outlook.price is outlook.rate is outlook.full is None
    words = outlook_words(outlook)
    assert words.startswith('Another round of 12 pixels is expected to bring')
    assert '80 % between' in words
    assert f'{100 * expected / ASKED:+.0f} for 100 pixels' in words


def test_measured_seconds_come_before_prices(run):
    with_cost(run, 'minutes', 30.0)
    outlook = read_outlook(run)
    assert (outlook.price.source, outlook.cost) == (DEFAULT, 0.5)
    assert outlook.rate[0] == pytest.approx(outlook.gain[0] / 0.5)
    config = json.loads((run / 'config.json').read_text())
    config['active_learning']['costs'] = dict(unit='minutes')
    (run / 'config.json').write_text(json.dumps(config))
    assert read_outlook(run).price.source == PRICED
    with_seconds(run, [None, 30.0, 60.0, 90.0])  # of 36 pixels
    outlook = read_outlook(run)
    assert outlook.price.source == MEASURED
    assert outlook.cost == pytest.approx(ASKED * 180 / 36 / 3600)
    assert '(about 1 min for one person, measured)' in outlook_words(outlook)
    assert 'an hour (' in outlook_words(outlook)


def test_other_units_of_cost_are_named(run):
    with_cost(run, 'clicks', 24.0)
    words = outlook_words(read_outlook(run))
    assert 'about 24 clicks' in words
    assert 'for 100 clicks' in words


def test_too_few_rounds_are_said_to_be(tmp_path, capsys):
    run = write_run(tmp_path / 'run', miou=MIOU[:2], planned=6)
    out = said(capsys, run)
    assert '2 of 6 rounds are trained' in out
    assert (
        'What another round of 12 pixels would bring cannot be told: not '
        'enough rounds: 3 with different budgets are needed, 2 are there.'
    ) in out
    told = json.loads(said(capsys, run, '--json'))
    assert told['next_gain'] is None
    assert told['next_requests'] == ASKED
    assert told['unknown'].startswith('not enough rounds')


def test_before_the_first_round_there_is_nothing_to_say(tmp_path, capsys):
    run = write_run(tmp_path / 'run', miou=())
    assert '0 rounds are trained' in said(capsys, run).replace(' of 0', '')
    assert said(capsys, tmp_path / 'nowhere', code=4).startswith('Error: ')


def test_images_run_out():
    track = Track('image', (2, 4, 6), (20, 30, 35), left=1)
    assert look_ahead(track).ahead == (7,)
    assert look_ahead(track).requests == 1
    done = look_ahead(Track('image', (2, 4, 6), (20, 30, 35), left=0))
    assert done.gain is None
    assert 'the whole pool is labelled' in outlook_words(done)
    idle = look_ahead(Track('pixel', (2, 4, 4), (20, 30, 35)))
    assert 'the last round asked nothing' in outlook_words(idle)
    lost = look_ahead(Track('pixel', (2, 4, 6), (20, 30, None)))
    assert 'the last round has no mIoU' in outlook_words(lost)


def test_images_and_regions_are_counted(tmp_path):
    run = write_run(
        tmp_path / 'run', miou=(0.2, 0.3, 0.35), unit='image', planned=4
    )
    outlook = read_outlook(run)
    assert outlook.track.asked == (1, 2, 3)
    assert outlook.track.left == 1
    rows = [dict(row, unit='region', regions=5) for row in read_rounds(run)]
    assert track_of(rows).unit == 'region'
    assert track_of(rows).asked == (5, 10, 15)
    assert track_of(rows).left is None
    rows[-1]['total']['requested'] = rows[-1]['pool']['pixels']
    done = look_ahead(track_of(rows))
    assert (done.ahead, done.why) == ((), 'the whole pool is labelled')


def test_full_supervision_lies_beside_the_run_or_is_named(run, capsys):
    full = write_run(
        run.parent / 'all', miou=(0.5,), unit='image', initial=IMAGES
    )
    assert '; now 13.0 below full supervision.' in said(capsys, run)
    moved = full.rename(run.parent.parent / 'elsewhere')
    assert 'full supervision' not in said(capsys, run)
    told = json.loads(said(capsys, run, '--json', '--full', moved))
    assert told['below_full'] == pytest.approx(13)
    other = write_run(
        run.parent.parent / 'other', miou=(0.5,), unit='image', images=2,
        initial=2,
    )  # fmt: skip
    err = said(capsys, run, '--full', other, code=4)
    assert 'leave --full out' in err


def test_another_data_set_beside_is_no_full_supervision(run):
    write_run(
        run.parent / 'all', miou=(0.5,), unit='image', initial=IMAGES,
        config={'data': {'val': 'another'}},
    )  # fmt: skip
    assert read_outlook(run).full is None


def test_the_mean_of_runs_needs_one_kind_of_price():
    from segal.report.track import Price

    one = Track('pixel', (5, 10, 15), (20, 30, 35), 100, Price(1, 'h', 'a'))
    two = Track('pixel', (5, 10), (22, None), 90, Price(3, 'h', 'a'))
    mean = mean_track([one, two])
    assert (mean.asked, mean.miou, mean.left) == ((5, 10), (21, None), 90)
    assert mean.price == Price(2, 'h', 'a')
    other = Track('pixel', (5, 10), (22, 31), 90, Price(3, 'h', 'b'))
    assert mean_track([one, other]).price is None


def test_status_is_quick_and_needs_no_torch(run):
    code = (
        'import sys, segal.commands.status as s\n'
        f's.main([{str(run)!r}])\n'
        "found = {'torch', 'mmcv', 'scipy', 'matplotlib', 'pandas'}\n"
        'assert not found & set(sys.modules), found & set(sys.modules)\n'
    )
    done = subprocess.run(
        [sys.executable, '-c', code], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert 'Another round of 12 pixels' in done.stdout


def ask(work_dir, count):
    """Freeze a request of so many pixels of the first image."""
    images = [
        (row['name'], *SIZE)
        for row in json.loads((work_dir / 'pool.json').read_text())['images']
    ]
    content = LabelFile(
        len(read_rounds(work_dir)),
        'pixel',
        images,
        np.array([0] + [count] * len(images), np.int32),
        places=np.arange(count, dtype=np.int32),
        classes=np.full(count, 255, np.uint8),
        status=np.full(count, REFUSED, np.uint8),
    )
    AnnotationFolder(work_dir).freeze(content.round, encode(content))


def test_annotate_status_counts_what_is_asked_now(run, capsys):
    ask(run, 30)
    assert annotate(['status', str(run)]) == 6
    out = capsys.readouterr().out
    assert '0 of 30 pixels answered' in out
    assert '  Another round of 30 pixels is expected to bring +' in out
    assert annotate(['status', str(run), '--json']) == 6
    told = json.loads(capsys.readouterr().out)
    assert told['outlook']['next_requests'] == 30
    out = said(capsys, run)
    assert 'round 4 is asked: 0 of 30 pixels answered' in out
    assert 'Another round of 30 pixels' in out


def test_the_report_has_the_outlook_of_each_heuristic(tmp_path):
    curves = {
        'margin': {0: MIOU, 1: (0.22, 0.3, 0.36, 0.38)},
        'random': {0: (0.2, 0.25, 0.3, 0.31)},
    }
    folders = sweep(tmp_path, curves)
    full = write_run(
        tmp_path / 'all', miou=(0.5,), unit='image', initial=IMAGES
    )
    evidence = read_evidence([*folders, full])
    found = outlooks(evidence)
    assert found['Margin'].now == pytest.approx(37.5)
    assert found['Margin'].below_full == pytest.approx(12.5)
    assert found['Random'].now == pytest.approx(31)
    assert found['Random'].price.source == DEFAULT
    written = page.write_report(evidence, tmp_path / 'out', images=0)
    html = written.paths[0].read_text()
    assert 'id="table-outlook"' in html
    assert (tmp_path / 'out' / 'outlook.png').exists()
    assert f'{found["Margin"].gain[0]:+.2f}' in html


def test_the_report_of_one_young_run_says_why_not(tmp_path):
    run = write_run(tmp_path / 'run', miou=MIOU[:2], planned=6)
    written = page.write_report(
        read_evidence([run]), tmp_path / 'out', images=0
    )
    assert 'not enough rounds' in written.paths[0].read_text()
    assert not (tmp_path / 'out' / 'outlook.png').exists()
