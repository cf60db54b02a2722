from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmcv.runner import HOOKS, Hook
from torch import Tensor

from segal.distributed import ranks, stopping
from segal.runner.inner import save_checkpoint, unwrapped

KEPT = 2


@HOOKS.register_module()
class SnapshotHook(Hook):
    """Lets a phase that was killed go on where it was, or end when asked to.

    After each epoch (by iteration: every ``interval`` iterations) the phase
    is written to ``resume_<iteration>.pth`` in the round's folder; two are
    kept, and none once the phase is over. All ranks take rank 0's buffers at
    these points, whether or not the run is ever killed, so that one that goes
    on is the same as one that never stopped.

    A phase that is asked to end (:mod:`segal.distributed.stopping`) does so
    after its iteration. By iteration it is written first; by epoch, where
    half an epoch cannot be gone on from exactly, the epoch in hand is given
    up, unless that iteration was its last.

    Args:
        interval: Iterations between snapshots; None: every epoch.
        found: The snapshot to go on from, None at the beginning of a phase.

    Raises:
        StoppedError: The run was asked to end.
    """

    def __init__(
        self,
        interval: int | None = None,
        found: dict[str, Any] | None = None,
    ) -> None:
        self.interval = interval
        self.found = found

    def before_run(self, runner: Any) -> None:
        """Go on from what was found, once every other hook is ready."""
        if self.found is not None:
            runner.go_on_from(self.found)
            _put_back(runner, self.found.get('gradients') or {})
            self.found = None

    def after_train_epoch(self, runner: Any) -> None:
        """Write after an epoch."""
        if self.interval is None:
            self._write(runner, runner.epoch + 1, runner.iter)
            stopping.check_together()

    def after_train_iter(self, runner: Any) -> None:
        """Write after every ``interval`` iterations, and when asked to end."""
        if self.interval is None:
            if not self.end_of_epoch(runner):
                stopping.check_together()
            return
        asked = ranks.largest(stopping.requested())
        if asked or self.every_n_iters(runner, self.interval):
            self._write(runner, runner.epoch, runner.iter + 1)
        if asked:
            stopping.check_together()

    def _write(self, runner: Any, epochs: int, iters: int) -> None:
        ranks.sync_buffers(runner.model)
        with ranks.together():
            if ranks.is_main():
                folder = Path(runner.work_dir)
                save_checkpoint(
                    runner.checkpoint(epochs, iters)
                    | dict(gradients=_pending(runner)),
                    folder / f'resume_{iters:08d}.pth',
                )
                for path in snapshots(folder)[KEPT:]:
                    path.unlink()


def snapshots(folder: Path) -> list[Path]:
    """Snapshots of a round's folder, the newest first."""
    return sorted(folder.glob('resume_*.pth'), reverse=True)


def _gathering(runner: Any) -> list[Any]:
    """Hooks that step the optimizer once in several iterations."""
    return [
        hook
        for hook in runner.hooks
        if getattr(hook, 'cumulative_iters', 1) > 1
    ]


def _pending(runner: Any) -> dict[str, Tensor]:
    """Gradients that the optimizer has not been stepped with yet."""
    if not _gathering(runner):
        return {}
    return {
        name: parameter.grad.cpu()
        for name, parameter in unwrapped(runner.model).named_parameters()
        if parameter.grad is not None
    }


def _put_back(runner: Any, gradients: Mapping[str, Tensor]) -> None:
    """Go on gathering where the snapshot was written."""
    known = dict(unwrapped(runner.model).named_parameters())
    for name, gradient in gradients.items():
        known[name].grad = gradient.to(known[name].device)
    for hook in _gathering(runner):
        # As mmcv's hook begins, less its warning that gradients are lost.
        hook.remainder_iters = runner.max_iters % hook.cumulative_iters
        hook.divisible_iters = runner.max_iters - hook.remainder_iters
        hook.initialized = True
