import logging
from pathlib import Path

import numpy as np
import pytest
import torch
from mmcv.parallel import MMDataParallel
from mmseg.apis import single_gpu_test
from mmseg.datasets import build_dataloader

from segal import compat
from segal.config import load_config, read_config
from segal.hooks.evaluation import EvaluationHook
from tests.tiny import write_config, write_images


class Runner:
    """What the hook needs of a runner."""

    def __init__(self, model, work_dir):
        from mmcv.runner import LogBuffer

        self.model, self.work_dir = model, str(work_dir)
        self.log_buffer, self.logger = LogBuffer(), logging.getLogger('test')
        self.meta, self.mode, self._hooks = {}, 'train', []
        self._epoch = self._iter = 0
        self._max_epochs = self._max_iters = 4
        self.epoch = self.iter = 0


@pytest.fixture
def parts(tmp_path):
    from mmseg.datasets import build_dataset
    from mmseg.models import build_segmentor

    import segal.utils.train  # noqa: F401

    compat.apply()
    cfg = load_config(str(write_config(write_images(tmp_path))))
    read_config(cfg)
    torch.manual_seed(0)
    model = MMDataParallel(build_segmentor(cfg.model), device_ids=None)
    return model, build_dataset(cfg.data.val, dict(test_mode=True)), tmp_path


def hook_on(dataset, indices, **kwargs):
    from functools import partial

    from mmcv.parallel import collate

    loader = torch.utils.data.DataLoader(
        dataset,
        batch_sampler=[[i] for i in indices],
        collate_fn=partial(collate, samples_per_gpu=1),
    )
    return EvaluationHook(loader, list(indices), metric='mIoU', **kwargs)


def test_gives_mmsegs_own_numbers(parts):
    model, dataset, folder = parts
    loader = build_dataloader(
        dataset, 1, 0, dist=False, shuffle=False, persistent_workers=False
    )
    wanted = dataset.evaluate(
        single_gpu_test(model, loader, pre_eval=True), metric='mIoU'
    )
    hook = hook_on(dataset, range(8))
    hook._do_evaluate(Runner(model, folder))
    assert hook.latest.keys() == wanted.keys()
    for name, value in wanted.items():
        assert hook.latest[name] == pytest.approx(value, nan_ok=True), name
    assert hook.seconds > 0


def test_shares_sum_to_the_whole(parts):
    model, dataset, _ = parts
    whole = hook_on(dataset, range(8))._results(model.module)
    halves = [
        hook_on(dataset, range(k, 8, 2))._results(model.module)[0]
        for k in range(2)
    ]
    for total, a, b in zip(whole[0], *halves, strict=True):
        np.testing.assert_array_equal(total, a + b)


@pytest.mark.parametrize(
    ('epoch', 'evaluates'), [(0, False), (1, False), (2, True), (3, True)]
)
def test_the_last_epoch_is_always_evaluated(parts, epoch, evaluates):
    from mmcv.runner import EpochBasedRunner

    _, dataset, folder = parts
    hook = hook_on(dataset, range(1), interval=3, by_epoch=True)
    runner = Runner(None, folder)
    runner.epoch = epoch
    runner.every_n_epochs = None
    runner.__class__ = type(
        'R',
        (Runner, EpochBasedRunner),
        {'epoch': epoch, '__abstractmethods__': frozenset()},
    )
    assert hook._should_evaluate(runner) is evaluates


@pytest.mark.parametrize(
    ('save_best', 'kept'), [('mIoU', True), ('mAcc', False), (None, False)]
)
def test_the_best_of_a_snapshot_is_in_this_folder_and_of_this_metric(
    tmp_path, save_best, kept
):
    """A work_dir may be copied, and ``save_best`` may change."""
    runner = Runner(None, tmp_path)
    name = 'best_mIoU_epoch_1.pth'
    best = dict(best_score=0.5, best_ckpt=f'/elsewhere/round_000/{name}')
    runner.meta = dict(hook_msgs=best)
    loader = torch.utils.data.DataLoader([0])
    hook = EvaluationHook(loader, [0], save_best=save_best)
    hook.before_run(runner)
    here = str(tmp_path / name)
    assert best == (dict(best_score=0.5, best_ckpt=here) if kept else {})
    assert hook.best_ckpt_path == (here if kept else None)


def test_the_best_by_an_automatic_metric_is_not_that_of_another(parts):
    """``'auto'`` is the first result of the evaluation, here aAcc."""
    model, dataset, folder = parts
    runner = Runner(model, folder)
    runner.meta = dict(
        hook_msgs=dict(best_score=2.0, best_ckpt='best_mIoU_epoch_1.pth')
    )
    runner.epoch = runner.iter = 0
    saved = []
    runner.save_checkpoint = lambda *args, filename_tmpl, **kwargs: (
        saved.append(filename_tmpl)
    )
    hook = hook_on(dataset, range(8), save_best='auto')
    hook.before_run(runner)
    hook._do_evaluate(runner)
    best = runner.meta['hook_msgs']
    assert hook.key_indicator == 'aAcc'
    assert best['best_score'] == pytest.approx(hook.latest['aAcc'])
    assert saved == [Path(best['best_ckpt']).name]
    assert saved[0].startswith('best_aAcc_')
