"""Compute learning rates and momenta of a phase from mmcv's hooks."""

from __future__ import annotations

import copy
import inspect
import logging
from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
from mmcv.runner import HOOKS, BaseRunner
from mmcv.runner.hooks import LrUpdaterHook
from mmcv.utils import build_from_cfg
from numpy.typing import NDArray

from segal.config.spans import Span

MOST = 5_000
"""Iterations of a phase that are read at most; of longer phases, a part."""

_QUIET = logging.getLogger('segal.rates')
_QUIET.addHandler(logging.NullHandler())
_QUIET.propagate = False


class RateError(ValueError):
    """A learning rate schedule of mmcv that cannot run over a phase."""


def lr_hooks(lr_config: Any, custom_hooks: Any = None) -> list[Any]:
    """Build the hooks that set the learning rate."""
    built = schedule_hooks(lr_config, 'lr')
    for section in custom_hooks or ():
        kind = section.get('type') if isinstance(section, Mapping) else None
        kind = HOOKS.get(kind) if isinstance(kind, str) else kind
        if inspect.isclass(kind) and issubclass(kind, LrUpdaterHook):
            options = {k: v for k, v in section.items() if k != 'priority'}
            built.append(build_from_cfg(copy.deepcopy(options), HOOKS))
    return built


def schedule_hooks(section: Any, of: str) -> list[Any]:
    """Build the hook of ``lr_config`` or ``momentum_config``.

    Args:
        section: Of the config; None for no hook.
        of: ``'lr'`` or ``'momentum'``.
    """
    built: list[Any] = []
    catcher = SimpleNamespace(
        register_hook=lambda hook, priority=None: built.append(hook)
    )
    register = getattr(BaseRunner, f'register_{of}_hook')
    register(catcher, copy.deepcopy(section))
    return built


def is_mmcvs(hooks: Sequence[Any]) -> bool:
    """Check that all hooks are mmcv's or ours, whose rates can be read."""
    return all(
        type(hook).__module__.split('.')[0] in ('mmcv', 'segal')
        for hook in hooks
    )


def rates(
    hooks: Sequence[Any],
    base: Sequence[float],
    span: Span,
    key: str = 'lr',
) -> NDArray[np.float64]:
    """Run hooks over the iterations of a phase.

    Args:
        hooks: New hooks from :func:`lr_hooks` or :func:`schedule_hooks`; they
            are used only once.
        base: Value of each of G groups of parameters, as the optimizer has it
            before the first iteration.
        span: Of the phase.
        key: ``'lr'``, or ``'momentum'``.

    Returns:
        float64 (T, G): the rates of the iterations that were looked at, the
        first and the last among them; T is at least 1.

    Raises:
        RateError: A hook fails, or sets something that is no number.
    """
    groups: list[dict[str, Any]] = [
        {key: value, 'params': []} for value in base
    ]
    each = span.per_epoch or span.iters
    runner = SimpleNamespace(
        optimizer=SimpleNamespace(param_groups=groups),
        iter=span.first_iter,
        epoch=span.first_epoch,
        inner_iter=0,
        max_iters=span.schedule_iters,
        max_epochs=span.schedule_epochs,
        _max_iters=span.last,
        data_loader=range(each),
        logger=_QUIET,
        mode='train',
        rank=0,
        world_size=1,
        meta={},
    )
    found = []
    try:
        for hook in hooks:
            hook.before_run(runner)
        for step in _steps(hooks, span, each):
            inner = step % each
            runner.iter = span.first_iter + step
            runner.inner_iter = inner
            if span.per_epoch:
                runner.epoch = span.first_epoch + step // each
                if not inner:
                    for hook in hooks:
                        hook.before_train_epoch(runner)
            for hook in hooks:
                hook.before_train_iter(runner)
            found.append([float(group[key]) for group in groups])
    except Exception as error:
        # Any class of a user's may be among the hooks.
        words = str(error) or 'no further words'
        raise RateError(
            f'{type(error).__name__} in iteration {runner.iter}: {words}'
        ) from error
    return np.array(found, dtype=np.float64)


def _steps(hooks: Sequence[Any], span: Span, each: int) -> Sequence[int]:
    """List the iterations of a phase to read, from 0.

    Of a long phase: evenly spread ones, the ends of warm-ups, where mmcv's
    hooks set a rate once, and the first of each epoch.
    """
    if span.iters <= MOST:
        return range(span.iters)
    chosen = {*range(0, span.iters, span.iters // MOST), span.iters - 1}
    if span.per_epoch:
        chosen |= {*range(0, span.iters, each)}
    for hook in hooks:
        end = getattr(hook, 'warmup_iters', 0)
        if end is None:
            end = hook.warmup_epochs * each
        chosen.add(end - span.first_iter)
    return sorted(step for step in chosen if 0 <= step < span.iters)
