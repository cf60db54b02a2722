"""Check that every phase is trained with the learning rate that was meant."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from mmcv import Config
from mmcv.runner.optimizer import OPTIMIZERS
from numpy.typing import NDArray
from torch import nn

from segal.config import ActiveLearningConfig
from segal.config.rates import RateError, is_mmcvs, lr_hooks, rates
from segal.config.shapes import mapping
from segal.config.spans import (
    LENGTH,
    LONGEST,
    Span,
    fit_warmup,
    is_long,
    scaled,
    warmup_of,
)
from segal.preflight.reach import (
    distant_ends,
    numbers_in_words,
    rounds_in_words,
    silent_logs,
    unreached_intervals,
    unreached_steps,
)

LEAST = 0.1
"""Least share of the intended learning rate that still trains."""

NOTHING = 0.001
"""Share of the intended learning rate that trains nothing."""


@dataclass(frozen=True)
class Found:
    """Gather problems, warnings and notes on the schedule.

    Attributes:
        problems: Settings that cannot be intended.
        warnings: Settings that change training.
        notes: Settings without an effect on training.
    """

    problems: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def check_schedule(
    cfg: Config, config: ActiveLearningConfig, spans: Sequence[Span]
) -> Found:
    """Find steps beyond the phases, and rates that train nothing."""
    found = Found()
    resets = config.reset.schedule
    if not _warmups(cfg, config, spans, found):
        _rates(cfg, config, spans, found)
    for name in ('lr_config', 'momentum_config'):
        found.warnings.extend(unreached_steps(cfg, name, spans, resets))
        for text, far in distant_ends(cfg, name, spans, resets):
            (found.warnings if far else found.notes).append(text)
    found.notes.extend(unreached_intervals(cfg, config, spans))
    found.notes.extend(silent_logs(cfg.get('log_config'), spans))
    _steps_of_optimizer(cfg.get('optimizer_config'), spans, found)
    for index, hook in enumerate(cfg.get('custom_hooks') or ()):
        if hook.get('type') == 'EMAHook':
            _average(hook, f'custom_hooks[{index}] (EMAHook)', spans, found)
    return found


def check_groups(optimizer: Any) -> list[str]:
    """Find an optimizer that trains no parameter, or climbs the loss."""
    groups = getattr(optimizer, 'param_groups', None)
    below = [group['lr'] for group in groups or () if group['lr'] < 0]
    if below:
        return [
            'optimizer: wanted learning rates of 0 or more; got '
            f'{min(below):.3g}, which climbs the loss. Correct lr_mult in '
            'paramwise_cfg'
        ]
    if groups is None or any(
        group['lr'] > 0
        and any(value.requires_grad for value in group['params'])
        for group in groups
    ):
        return []
    return [
        'optimizer: wanted a learning rate above 0 for some parameter that '
        'is not frozen; got none, so that nothing would be trained. Correct '
        'lr and the lr_mult of paramwise_cfg, or freeze less'
    ]


def unmatched_keys(model: nn.Module, optimizer: Mapping[str, Any]) -> str:
    """Name keys of ``custom_keys`` that no parameter's name has.

    Returns:
        A warning, since bases carry keys of other networks; empty: none.
    """
    keys = mapping(optimizer, 'paramwise_cfg.custom_keys')
    names = [name for name, _ in model.named_parameters()]
    lost = [
        repr(key) for key in keys if not any(key in name for name in names)
    ]
    if not lost:
        return ''
    return (
        f'optimizer.paramwise_cfg.custom_keys: {", ".join(lost)} is in no '
        "parameter's name, and changes nothing"
    )


def fitted(
    cfg: Config, config: ActiveLearningConfig, span: Span
) -> dict[str, Any]:
    """Fit ``lr_config`` to a phase."""
    lr_config: dict[str, Any] = deepcopy(cfg.lr_config)
    fit_warmup(lr_config, 'lr_config', span, config.inherited)
    return lr_config


def _warmups(
    cfg: Config,
    config: ActiveLearningConfig,
    spans: Sequence[Span],
    found: Found,
) -> bool:
    """Report long warm-ups; True where one is a problem."""
    ours = spans if config.reset.schedule else spans[:1]
    before = len(found.problems)
    for name in ('lr_config', 'momentum_config'):
        section = cfg.get(name)
        rounds = [k for k, span in enumerate(ours) if is_long(section, span)]
        if not rounds:
            length, first = warmup_of(section, spans[0]), spans[0].iters
            if length > LONGEST * first:
                found.warnings.append(
                    f'{name}.{LENGTH}: {length:,} iterations are more than '
                    f'half of the {first:,} of round 0, whose network '
                    'chooses the next labels before it has warmed up'
                )
            continue
        there = [ours[k] for k in rounds]
        lengths = [span.schedule_iters for span in there]
        written = warmup_of(section, there[0])
        where = (
            f'the {numbers_in_words(lengths)} iterations of '
            + (rounds_in_words(rounds, len(spans)))
            if config.reset.schedule
            else f'the {lengths[0]:,} iterations of all rounds'
        )
        if f'{name}.{LENGTH}' in config.inherited:
            fitting = [scaled(span) for span in there]
            found.warnings.append(
                f'{name}.{LENGTH}: the {written:,} iterations of the base '
                f'are more than half of {where}; scaled to '
                f'{numbers_in_words(fitting)}'
            )
            continue
        most = int(LONGEST * min(lengths))
        found.problems.append(
            f'{name}.{LENGTH}: wanted at most {most}, half of {where}; got '
            f'{written:,} iterations{_peak(cfg, name, there[0])}. Write a '
            'shorter warm-up, or train longer'
        )
    return len(found.problems) > before


def _peak(cfg: Config, name: str, span: Span) -> str:
    """Describe the highest learning rate of a phase."""
    if name != 'lr_config':
        return ''
    try:
        hooks = lr_hooks(cfg.lr_config)
        meant = _meant(cfg, hooks)
        got = rates(hooks, _base(meant, hooks), span).max()
    except Exception:  # reported where the hook is built
        return ''
    return f', with which the learning rate gets to {got:.3g} of {meant:.3g}'


def _meant(cfg: Config, hooks: Sequence[Any]) -> float:
    """Find the learning rate that the config intends."""
    highest = getattr(hooks[0], '_max_lr', None)  # OneCycle has its own
    if highest is not None:
        return float(np.max(highest))
    if 'lr' in cfg.optimizer:
        return float(cfg.optimizer.lr)
    kind = cfg.optimizer.type
    kind = OPTIMIZERS.get(kind) if isinstance(kind, str) else kind
    return float(inspect.signature(kind).parameters['lr'].default)


def _base(meant: float, hooks: Sequence[Any]) -> list[float]:
    """List a rate for each parameter group that a hook tells apart."""
    highest = getattr(hooks[0], '_max_lr', None)
    return [meant] * (len(highest) if isinstance(highest, list) else 1)


def _rates(
    cfg: Config,
    config: ActiveLearningConfig,
    spans: Sequence[Span],
    found: Found,
) -> None:
    """Run the schedule over every phase, and judge what comes out."""
    known: dict[Span, NDArray[np.float64]] = {}
    try:
        hooks = lr_hooks(cfg.lr_config, cfg.get('custom_hooks'))
        meant = _meant(cfg, hooks)
    except Exception:
        return  # reported where it is built
    if not 0 < meant < np.inf:
        return  # reported where the optimizer is built
    ours = is_mmcvs(hooks)
    for k, span in enumerate(spans):
        if span in known:
            continue
        lr_config = fitted(cfg, config, span)
        hooks = lr_hooks(lr_config, cfg.get('custom_hooks'))
        try:
            got = rates(hooks, _base(meant, hooks), span)
        except RateError as error:
            if ours:
                found.problems.append(
                    f'lr_config: {lr_config["policy"]!r} cannot be run over '
                    f'the {span.iters:,} iterations of round {k}: {error}; '
                    f'correct it (got {dict(cfg.lr_config)})'
                )
            return
        known[span] = got.max(axis=1)
    if ours:
        found.problems.extend(_overruled(cfg, config, spans[0], meant))
    whole = [np.concatenate([known[span] for span in spans])]
    parts = [known[span] for span in spans] if config.reset.schedule else whole
    _judge(parts, meant, cfg, found, ours)
    idle = [
        k
        for k, span in enumerate(spans)
        if known[span].max() <= NOTHING * meant
    ]
    if not config.reset.schedule and 0 < len(idle) < len(spans):
        found.warnings.append(
            'lr_config: the one schedule over all rounds has come below a '
            f'thousandth of {meant:.3g} in '
            f'{rounds_in_words(idle, len(spans))}, which trains next to '
            'nothing; write '
            'active_learning.reset=dict(schedule=True), or a slower schedule'
        )
    least = cfg.lr_config.get('min_lr')
    if isinstance(least, int | float) and least > meant > 0:
        found.warnings.append(
            f'lr_config.min_lr: {least:.3g} is more than optimizer.lr='
            f'{meant:.3g}, so that the learning rate rises; it ends at '
            f'{parts[-1][-1]:.3g}'
        )


def _overruled(
    cfg: Config, config: ActiveLearningConfig, span: Span, meant: float
) -> list[str]:
    """Find learning rate schedules that others overrule in every iteration."""
    custom = cfg.get('custom_hooks')
    hooks = lr_hooks(cfg.lr_config, custom)
    count, base = len(hooks), _base(meant, hooks)

    def course(*chosen: int) -> NDArray[np.float64]:
        new = lr_hooks(fitted(cfg, config, span), custom)
        return rates([new[k] for k in chosen], base, span)

    def alike(*chosen: int) -> bool:
        return np.array_equal(course(*chosen), course(*range(count)))

    problems = []
    for k in range(count):
        others = [other for other in range(count) if other != k]
        # a 'fixed' lr_config may stand beside the one that counts
        if others and alike(*others) and (k or np.ptp(course(k)) > 0):
            problems.append(
                f'{"custom_hooks" if k else "lr_config"}: '
                f'{type(hooks[k]).__name__} changes no '
                f'learning rate beside {"lr_config" if k else "custom_hooks"};'
                ' leave one of the two out '
                "(lr_config=dict(policy='fixed') sets none)"
            )
    return problems


def _judge(
    parts: Sequence[NDArray[np.float64]],
    meant: float,
    cfg: Config,
    found: Found,
    ours: bool,
) -> None:
    """Report learning rates far below the intended one."""
    low: dict[str, list[int]] = {}
    for k, part in enumerate(parts):
        if not np.isfinite(part).all() or part.min() < 0:
            low.setdefault('wrong', []).append(k)
        elif part.max() <= LEAST * meant:
            low.setdefault('highest', []).append(k)
        elif part.mean() < LEAST * meant:
            low.setdefault('mean', []).append(k)
        elif np.mean(part <= NOTHING * meant) > LONGEST:
            low.setdefault('over', []).append(k)
    how = ', '.join(f'{k}={v!r}' for k, v in cfg.lr_config.items())
    for kind, rounds in low.items():
        where = rounds_in_words(rounds, len(parts))
        where = where if len(parts) > 1 else 'training'
        part = parts[rounds[0]]
        if kind == 'wrong':
            found.problems.append(
                'lr_config: wanted learning rates that are numbers, 0 or '
                f'more; got {part.min():.3g} to {part.max():.3g} in {where} '
                f'({how})'
            )
        elif kind == 'highest':
            (found.problems if ours else found.warnings).append(
                f'lr_config: wanted a learning rate near {meant:.3g}; it gets '
                f'to {part.max():.3g} at most in {where}, which trains next '
                f'to nothing ({how}). Correct lr_config, or train longer'
            )
        elif kind == 'over':
            found.warnings.append(
                f'lr_config: for more than half of {where} the learning rate '
                f'is below a thousandth of {meant:.3g} ({how})'
            )
        else:
            found.warnings.append(
                f'lr_config: the mean learning rate of {where} is '
                f'{part.mean():.3g}, where {meant:.3g} was meant ({how})'
            )


def _steps_of_optimizer(
    section: Any, spans: Sequence[Span], found: Found
) -> None:
    """Report gradients that are gathered for longer than a phase."""
    if not isinstance(section, Mapping):
        return  # reported where the hook is built
    gathered = section.get('cumulative_iters')
    rounds = [
        k
        for k, span in enumerate(spans)
        if isinstance(gathered, int) and gathered > span.iters
    ]
    if rounds:
        lengths = [spans[k].iters for k in rounds]
        found.problems.append(
            'optimizer_config.cumulative_iters: wanted at most '
            f'{min(lengths)}, the iterations of a phase; got {gathered:,}, '
            'with which the optimizer steps once, at the end of '
            f'{rounds_in_words(rounds, len(spans))}. Gather fewer, or train '
            'longer'
        )


def _average(
    hook: Mapping[str, Any], where: str, spans: Sequence[Span], found: Found
) -> None:
    """Report averaged weights that hardly change in a phase."""
    momentum, every = hook.get('momentum', 0.0002), hook.get('interval', 1)
    begin = hook.get('warm_up', 100)
    if not all(isinstance(x, int | float) for x in (momentum, every, begin)):
        return  # reported where the hook is built
    if not 0 < momentum < 1 or every < 1:
        return
    if begin < 1:
        found.problems.append(
            f'{where}.warm_up: wanted 1 or more; got {begin}'
        )
        return
    shares = []
    for span in spans:
        steps = np.arange(span.first_iter, span.last)
        steps = steps[steps % every == 0]
        each = np.minimum(momentum**every, (1 + steps) / (begin + steps))
        shares.append(1 - float(np.prod(1 - each)))
    least = min(shares)
    rounds = [k for k, share in enumerate(shares) if share <= LONGEST]
    if not rounds:
        return
    text = (
        f'{where}: the averaged weights, which are evaluated and asked, are '
        f'{100 * (1 - least):.3g} % what a phase begins with in '
        f'{rounds_in_words(rounds, len(spans))}; with a higher momentum '
        f'({momentum:g} here), or longer training, they are what was trained'
    )
    (found.problems if least <= LEAST else found.warnings).append(text)
