"""Train one phase with mmcv's runners, without sleeps, with safe files."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from mmcv.parallel import is_module_wrapper
from mmcv.runner import (
    RUNNERS,
    BaseRunner,
    EpochBasedRunner,
    IterBasedRunner,
    epoch_based_runner,
    iter_based_runner,
)
from mmcv.runner.checkpoint import weights_to_cpu
from torch import nn
from torch.utils.data import DataLoader

from segal.config.spans import Span
from segal.files import whole_file
from segal.rounds import plain


@dataclass(frozen=True)
class RoundContext:
    """The position of a round in the experiment.

    Attributes:
        round: From 0.
        rounds: How many there are.
        work_dir: The experiment's folder, not the round's.
        step_offset: Iterations of all rounds before; the global step is this
            plus the inner runner's ``iter - first_iter``.
        span: The phase in its schedule.
    """

    round: int
    rounds: int
    work_dir: Path
    step_offset: int
    span: Span

    @property
    def first_iter(self) -> int:
        """Return the first iteration of the inner runner."""
        return self.span.first_iter


@contextmanager
def without_sleeps() -> Iterator[None]:
    """Disable mmcv's sleep of two seconds an epoch; it cures no deadlock."""
    modules = (epoch_based_runner, iter_based_runner)
    clocks = [module.time for module in modules]
    for module in modules:
        module.time = SimpleNamespace(sleep=lambda seconds: None)
    try:
        yield
    finally:
        for module, clock in zip(modules, clocks, strict=True):
            module.time = clock


def save_checkpoint(checkpoint: dict[str, Any], path: Path) -> None:
    """Write a checkpoint of tensors and plain values, whole or not at all.

    Raises:
        StateError: It cannot be written.
    """
    with whole_file(path) as file:
        torch.save(checkpoint, file)


def unwrapped(model: Any) -> nn.Module:
    """Return a network without its wrapper for parallel training."""
    inner: nn.Module = model.module if is_module_wrapper(model) else model
    return inner


class _RoundRunner(BaseRunner):
    """Changes to mmcv's runners that both inner runners share."""

    context: RoundContext
    scaler: Any = None
    """Scales the loss with fp16 (:class:`ScaledOptimizerHook`)."""
    seconds: Callable[[], dict[str, float]] = dict
    """Gives the time of training and evaluation so far, for snapshots."""

    @property
    def max_epochs(self) -> int | None:
        """Return the length of the schedule, which may outlast the phase."""
        return self.context.span.schedule_epochs

    @property
    def max_iters(self) -> int | None:
        """Return the length of the schedule, which may outlast the phase."""
        return self.context.span.schedule_iters

    @property
    def step(self) -> int:
        """Count the finished iterations of all rounds."""
        return self.context.step_offset + self.iter - self.context.first_iter

    def fit(self, loader: DataLoader) -> None:
        """Train for the length of the phase."""
        with without_sleeps():
            self.run([loader], [('train', 1)])

    def save_checkpoint(
        self,
        out_dir: str,
        filename_tmpl: str | None = None,
        save_optimizer: bool = True,
        meta: dict[str, Any] | None = None,
        create_symlink: bool = True,
    ) -> None:
        """Save a checkpoint with plain meta, whole or not at all.

        Nothing in the file needs pickle's classes: ``torch.load`` reads it
        with ``weights_only=True``.

        Args:
            out_dir: Folder.
            filename_tmpl: Name, with a place for the epoch or iteration;
                mmcv's own by default.
            save_optimizer: Whether the optimizer's state goes along.
            meta: To store beside the runner's own.
            create_symlink: Whether ``latest.pth`` shall point to it.
        """
        epochs, iters = self._behind_us()
        by_epoch = isinstance(self, EpochBasedRunner)
        done = epochs if by_epoch else iters
        name = filename_tmpl or f'{"epoch" if by_epoch else "iter"}_{{}}.pth'
        path = Path(out_dir) / name.format(done)
        content = self.checkpoint(epochs, iters, meta)
        if not save_optimizer:
            del content['optimizer']
        save_checkpoint(content, path)
        if create_symlink:
            link = path.with_name('.latest.tmp')
            link.unlink(missing_ok=True)
            link.symlink_to(path.name)
            link.replace(path.with_name('latest.pth'))

    def checkpoint(
        self, epochs: int, iters: int, meta: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        """Return the state to continue from: tensors and plain values."""
        model = unwrapped(self.model)
        own: dict[str, Any] = dict(epoch=epochs, iter=iters)
        if self.scaler is not None:
            own['scaler'] = self.scaler.state_dict()
        return dict(
            meta=plain({**(self.meta or {}), **(meta or {}), **own}),
            state_dict=dict(weights_to_cpu(model.state_dict())),
            optimizer=self.optimizer.state_dict(),
        )

    def resume(self, *args: Any, **kwargs: Any) -> None:
        """Refuse to resume: mmcv's own method executes a checkpoint's meta.

        Raises:
            RuntimeError: Always.
        """
        raise RuntimeError(
            'a round goes on from its own snapshots (go_on_from); to begin '
            "with a checkpoint's weights, set load_from in the config"
        )

    def count_from(self, checkpoint: dict[str, Any]) -> None:
        """Restore counters and meta before hooks read them."""
        self._epoch = checkpoint['meta']['epoch']
        self._iter = checkpoint['meta']['iter']
        self.meta.update(checkpoint['meta'])

    def go_on_from(self, checkpoint: dict[str, Any]) -> None:
        """Restore network and optimizer.

        Called when all hooks are ready: some, such as EMA, add buffers.
        """
        model = unwrapped(self.model)
        model.load_state_dict(checkpoint['state_dict'])
        self.optimizer.load_state_dict(checkpoint['optimizer'])

    def _behind_us(self) -> tuple[int, int]:
        """Count the finished epochs and iterations, when a hook asks."""
        if isinstance(self, EpochBasedRunner):
            return self.epoch + 1, self.iter
        return self.epoch, self.iter + 1


@RUNNERS.register_module()
class RoundEpochRunner(_RoundRunner, EpochBasedRunner):
    """A training phase by epochs."""

    @property
    def _max_iters(self) -> int:
        """Return the end of the phase, where hooks take a last step."""
        return self.context.span.last

    @_max_iters.setter
    def _max_iters(self, value: int | None) -> None:
        """Ignore mmcv's, for which all epochs are as long as this one."""


@RUNNERS.register_module()
class RoundIterRunner(_RoundRunner, IterBasedRunner):
    """A training phase by iterations."""
