"""What stays of a round's checkpoints, and that nothing needs the rest."""

from __future__ import annotations

import pytest
import torch

from segal.experiment import phase
from segal.rounds import read_rounds
from segal.train_active_learning import main
from tests.tiny import write_config, write_images

QUIET = 'active_learning.update(visualize=None)\n'
BEST = "evaluation = dict(interval=1, metric='mIoU', save_best='mIoU')\n"
ADAM = "optimizer = dict(type='Adam', lr=0.01)\n"


def run(tmp_path, extra='', name='run', rounds=2):
    images = tmp_path / 'pool'
    if not images.exists():
        write_images(images)
    extra = f'{QUIET}{ADAM}{extra}runner.update(sample_rounds={rounds})\n'
    config = write_config(images, extra=extra)
    assert main([str(config), '--work-dir', str(tmp_path / name)]) == 0
    return tmp_path / name


def checkpoints(work_dir):
    return {
        folder.name: sorted(path.name for path in folder.glob('*.pth'))
        for folder in sorted(work_dir.glob('round_*'))
    }


def optimizer_of(work_dir, number):
    path = work_dir / f'round_{number:03d}' / 'final.pth'
    return torch.load(path, weights_only=True).get('optimizer')


def test_of_a_finished_round_the_weights_alone_stay(tmp_path):
    work_dir = run(tmp_path)
    assert checkpoints(work_dir) == {
        'round_000': ['final.pth'],
        'round_001': ['final.pth'],
    }
    assert optimizer_of(work_dir, 0) is optimizer_of(work_dir, 1) is None


def test_the_best_checkpoint_stays(tmp_path):
    work_dir = run(tmp_path, BEST)
    for number, row in enumerate(read_rounds(work_dir)):
        folder = work_dir / f'round_{number:03d}'
        names = {path.name for path in folder.glob('*.pth')}
        assert names == {'final.pth', row['best']['file']}


def test_all_are_kept_if_wanted_and_may_be_dropped_later(tmp_path):
    keep = 'active_learning.update(keep_checkpoints=True)\n'
    work_dir = run(tmp_path, keep)
    names = checkpoints(work_dir)['round_000']
    assert {'final.pth', 'latest.pth'} < {*names}
    assert any(name.startswith('epoch_') for name in names)
    assert optimizer_of(work_dir, 0)['state']
    run(tmp_path)  # nothing is left to do but to tidy up
    assert checkpoints(work_dir)['round_000'] == ['final.pth']


def test_the_optimizer_stays_where_the_next_round_goes_on_with_it(tmp_path):
    go_on = (
        'active_learning.update(reset=dict(weights=False, optimizer=False, '
        'schedule=True))\n'
    )
    work_dir = run(tmp_path, go_on)
    assert checkpoints(work_dir)['round_000'] == ['final.pth']
    assert optimizer_of(work_dir, 0)['state']


def test_a_round_may_be_added_without_the_rest(tmp_path):
    whole = run(tmp_path, name='whole', rounds=3)
    work_dir = run(tmp_path, name='more')
    run(tmp_path, name='more', rounds=3)
    one, other = (
        (folder / 'rounds.json').read_bytes() for folder in (whole, work_dir)
    )
    assert one == other


def test_nothing_is_removed_where_the_weights_are_lost(tmp_path):
    keep = 'active_learning.update(keep_checkpoints=True)\n'
    work_dir = run(tmp_path, keep)
    before = checkpoints(work_dir)['round_000']
    (work_dir / 'round_000/final.pth').unlink()
    run(tmp_path)
    assert checkpoints(work_dir)['round_000'] == [
        name for name in before if name != 'final.pth'
    ]


@pytest.mark.parametrize(
    'nth', [2, *(pytest.param(n, marks=pytest.mark.slow) for n in (1, 4))]
)
def test_interrupted_while_checkpoints_are_removed_it_ends_the_same(
    tmp_path, monkeypatch, nth
):
    calls = iter(range(1, nth + 1))

    def interrupted(path):
        if next(calls, None) == nth:
            raise KeyboardInterrupt
        path.unlink(missing_ok=True)

    whole = run(tmp_path, name='whole')
    monkeypatch.setattr(phase, 'remove', interrupted)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path)
    work_dir = run(tmp_path)
    assert checkpoints(work_dir) == checkpoints(whole)
    for name in ('rounds.json', 'labels/round_001.npz'):
        one, other = (folder / name for folder in (whole, work_dir))
        assert one.read_bytes() == other.read_bytes()
    one, other = (
        torch.load(folder / 'round_001/final.pth', weights_only=True)
        for folder in (whole, work_dir)
    )
    for name, value in one['state_dict'].items():
        assert torch.equal(value, other['state_dict'][name])
