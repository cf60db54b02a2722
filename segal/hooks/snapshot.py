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
    """Write snapshots to resume a killed phase; end a phase when asked to.

    After each epoch (by iteration: every ``interval`` iterations) the phase
    is written to ``resume_<iteration>.pth`` in the round's folder. Two
    snapshots are kept, and none after the phase. All ranks take rank 0's
    buffers at these points in any run, so that a resumed run is the same as
    one that was never killed.

    A phase that is asked to end (:mod:`segal.distributed.stopping`) ends
    after the current iteration. By iteration, a snapshot is written first. By
    epoch, the current epoch is lost unless that iteration was its last, since
    half an epoch cannot be resumed exactly.

    Args:
        interval: Iterations between snapshots; None: every epoch.
        found: The snapshot to resume from; None: start a new phase.

    Raises:
        StoppedError: The run was asked to end.
    """

    def __init__(
        self, interval: int | None = None, found: dict[str, Any] | None = None
    ) -> None:
        self.interval = interval
        self.found = found

    def before_run(self, runner: Any) -> None:
        """Load the snapshot, after all other hooks have prepared."""
        if self.found is not None:
            runner.go_on_from(self.found)
            _put_back(runner, self.found.get('gradients') or {})
            self.found = None

    def after_train_epoch(self, runner: Any) -> None:
        """Write a snapshot after an epoch."""
        if self.interval is None:
            self._write(runner, runner.epoch + 1, runner.iter)
            stopping.check_together()

    def after_train_iter(self, runner: Any) -> None:
        """Write a snapshot every ``interval`` iterations and before an end."""
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
                    | dict(
                        gradients=_pending(runner), seconds=runner.seconds()
                    ),
                    folder / f'resume_{iters:08d}.pth',
                )
                for path in snapshots(folder)[KEPT:]:
                    path.unlink()


def snapshots(folder: Path) -> list[Path]:
    """List the snapshots of a round's folder, the newest first."""
    return sorted(folder.glob('resume_*.pth'), reverse=True)


def _pending(runner: Any) -> dict[str, Tensor]:
    """Return the gradients that are accumulated and not yet applied."""
    if all(getattr(hook, 'cumulative_iters', 1) < 2 for hook in runner.hooks):
        return {}
    return {
        name: parameter.grad.cpu()
        for name, parameter in unwrapped(runner.model).named_parameters()
        if parameter.grad is not None
    }


def _put_back(runner: Any, gradients: Mapping[str, Tensor]) -> None:
    """Restore accumulated gradients of a snapshot."""
    known = dict(unwrapped(runner.model).named_parameters())
    for name, gradient in gradients.items():
        known[name].grad = gradient.to(known[name].device)
