"""``--smoke``: one iteration of everything, apart from the experiment."""

import dataclasses
import json
import logging

import pytest

from segal.config.schema import Phase
from segal.preflight.read import MARK, scale_budgets, shorten
from segal.rounds import read_rounds
from segal.structures import Budget
from segal.train_active_learning import main
from tests.config.minimal import read
from tests.tiny import write_config, write_images


@pytest.fixture
def root(tmp_path):
    return write_images(tmp_path)


def smoke(config, work_dir, *options):
    return main(
        [str(config), '--work-dir', str(work_dir), '--smoke', *options]
    )


PICTURES = """
active_learning['visualize'] = dict(size=2)
evaluation = dict(interval=2, start=2, metric='mIoU', save_best='mIoU')
checkpoint_config = dict(interval=7)
active_learning['keep_checkpoints'] = True
"""


@pytest.mark.usefixtures('unabridged')
def test_pixels(root, tmp_path, caplog):
    caplog.set_level(logging.INFO, 'mmseg')  # another test may have set it
    config = write_config(root, extra=PICTURES + "log_level = 'INFO'\n")
    assert smoke(config, tmp_path / 'run') == 0
    assert not (tmp_path / 'run').exists()
    folder = tmp_path / 'run_smoke'
    first, second = read_rounds(folder)
    for row in (first, second):
        assert row['iterations'] == 1
        assert row['requested'] == 5 * 2
        assert 0 <= row['mIoU'] <= 1
        assert row['best']['mIoU'] == row['mIoU']
    assert second['total']['images'] == 2
    assert len(json.loads((folder / 'pool.json').read_text())['images']) == 2
    for path in (
        'round_000/final.pth', 'round_000/epoch_1.pth', 'round_001/final.pth',
        'labels/round_001.npz', 'viz/round_000', 'viz/round_001', 'curve.png',
    ):  # fmt: skip
        assert (folder / path).exists(), path
    said = 'SMOKE RUN: 2 images of each data set'
    assert caplog.text.count(said) == 2  # at the beginning and at the end
    assert 'Nothing here is a result' in (folder / MARK).read_text()


def test_images_by_iteration(root, tmp_path):
    extra = """
runner['by_epoch'] = False
workflow = [(('train', 9), ('query', 1)), (('train', 4),)]
evaluation = dict(interval=2, metric='mIoU')
"""
    config = write_config(root, 'image', extra)
    assert smoke(config, tmp_path / 'run') == 0
    rows = read_rounds(tmp_path / 'run_smoke')
    assert [row['iterations'] for row in rows] == [1, 1]
    assert [row['total']['images'] for row in rows] == [1, 2]


@pytest.mark.parametrize('inside', ['query_size=5', 'budget_per_round=40'])
def test_images_that_are_opened(inside, root, tmp_path):
    extra = f"""
active_learning['settings'] = dict(
    image=dict(initial_pool=3, query_size=2), pixel=dict({inside}),
    mixed=dict())
"""
    config = write_config(root, 'mixed', extra)
    assert smoke(config, tmp_path / 'run') == 0
    rows = read_rounds(tmp_path / 'run_smoke')
    assert [row['opened'] for row in rows] == [1, 1]


def test_it_begins_anew_and_takes_nothing_of_others(root, tmp_path, capfd):
    config = write_config(root)
    work_dir, folder = tmp_path / 'run', tmp_path / 'run_smoke'
    folder.mkdir()
    (folder / 'mine').write_text('mine')
    assert smoke(config, work_dir) == 4
    assert 'or that of an earlier smoke run' in capfd.readouterr().err
    assert (folder / 'mine').read_text() == 'mine'
    (folder / 'mine').unlink()
    for _ in range(2):
        assert smoke(config, work_dir) == 0
        assert len(read_rounds(folder)) == 2
        (folder / 'rounds.json').write_text('hurt')
    with pytest.raises(SystemExit):
        smoke(config, work_dir, '--resume')
    assert 'a smoke run begins anew' in capfd.readouterr().err


def test_a_dry_run_of_it_leaves_nothing(root, tmp_path):
    assert smoke(write_config(root), tmp_path / 'run', '--dry-run') == 0
    assert not (tmp_path / 'run_smoke').exists()


def test_a_single_phase_stays_one():
    cfg, config, _ = read(runner__sample_rounds=1)
    assert shorten(cfg, config).phases == (Phase(1, query=False),)


@pytest.mark.parametrize(('cost', 'wanted'), [(4e4, 435.97), (300, 240.7)])
def test_budgets_in_cost_shrink_too_and_pay_for_one_image(cost, wanted):
    _, config, _ = read(
        runner__sample_mode='image',
        active_learning__settings__image=dict(cost_per_round=cost),
        active_learning__costs=dict(open=1),
    )
    scaled = scale_budgets(config, before=367, now=4)
    assert scaled.spending.amount == pytest.approx(wanted, abs=0.01)
    assert scaled.budget == scaled.initial == Budget(1, per_image=False)


@pytest.mark.parametrize(
    ('budget', 'wanted'),
    [
        (Budget(10, per_image=True), Budget(10, per_image=True)),
        (Budget(3670, per_image=False), Budget(40, per_image=False)),
        (Budget(20, per_image=False), Budget(1, per_image=False)),
        (Budget(0, per_image=False), Budget(0, per_image=False)),
        (Budget(367, per_image=False), Budget(4, per_image=False)),
    ],
)
def test_budgets_over_the_pool_shrink_with_it(budget, wanted):
    _, config, _ = read()
    config = dataclasses.replace(config, initial=budget, budget=budget)
    scaled = scale_budgets(config, before=367, now=4)
    assert scaled.initial == scaled.budget == wanted
