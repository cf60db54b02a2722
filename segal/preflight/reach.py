"""Find steps, ends and intervals that no phase reaches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import Any, TypeGuard

from segal.config.kinds import is_int
from segal.config.schedule import unit_of
from segal.config.schema import ActiveLearningConfig
from segal.config.shapes import find, mapping
from segal.config.spans import Span, log_intervals

_NO_LENGTHS = (
    *('lr', 'factor', 'gamma', 'power', 'ratio', 'times', 'weight', 'seed'),
    *('warmup', 'percent', 'pct', 'momentum'),
)
"""Parts of the names of numbers that count no iterations."""


def rounds_in_words(rounds: Sequence[int], of: int) -> str:
    """Name some rounds in words."""
    if len(rounds) == of:
        return 'every round' if of > 1 else 'round 0'
    if len(rounds) == 1:
        return f'round {rounds[0]}'
    if rounds[-1] - rounds[0] + 1 == len(rounds):
        return f'rounds {rounds[0]} to {rounds[-1]}'
    return 'rounds ' + ', '.join(map(str, rounds))


def numbers_in_words(numbers: Sequence[int]) -> str:
    """Write one number, or the range of several."""
    low, high = min(numbers), max(numbers)
    return f'{low:,}' if low == high else f'{low:,} to {high:,}'


def unreached_steps(
    cfg: Mapping[str, Any], name: str, spans: Sequence[Span], resets: bool
) -> list[str]:
    """Find steps and restarts of a schedule beyond its phases."""
    schedule = mapping(cfg, name)
    by_epoch = bool(schedule.get('by_epoch'))
    counted = [span.counted(by_epoch) for span in spans]
    last = [each[-1] if each else 0 for each in counted]
    found = []
    for key, value in schedule.items():
        if any(word in key for word in _NO_LENGTHS):
            continue
        steps = [value] if key == 'step' and _is_count(value) else value
        if not isinstance(steps, list | tuple):
            continue
        steps = [step for step in steps if _is_count(step)]
        if key == 'periods':
            steps = list(accumulate(steps))[:-1]
        missed: dict[tuple[int, ...], list[int]] = {}
        for step in steps:
            rounds = tuple(k for k, end in enumerate(last) if end < step)
            if rounds and (resets or last[-1] < step):
                missed.setdefault(rounds, []).append(step)
        for rounds, beyond in missed.items():
            where = rounds_in_words(rounds, len(spans))
            long = numbers_in_words([len(counted[k]) for k in rounds])
            if not resets:
                where, long = 'the schedule', f'{last[-1] + 1:,}'
            found.append(
                f'{name}.{key}: {", ".join(map(str, beyond))} never '
                f'reached in the {long} {unit_of(by_epoch)} of {where}'
            )
    return found


def distant_ends(
    cfg: Mapping[str, Any], name: str, spans: Sequence[Span], resets: bool
) -> list[tuple[str, bool]]:
    """Find lengths of a schedule beyond its end.

    Returns:
        A sentence for each, and whether less than half of it is trained.
    """
    schedule = mapping(cfg, name)
    by_epoch = bool(schedule.get('by_epoch'))
    ends = [
        (span.schedule_epochs if by_epoch else None) or span.schedule_iters
        for span in (spans if resets else spans[-1:])
    ]
    what = 'learning rate' if name == 'lr_config' else 'momentum'
    found = []
    for key, value in schedule.items():
        if key == 'step' or any(word in key for word in _NO_LENGTHS):
            continue
        if not _is_count(value):
            continue
        rounds = [k for k, end in enumerate(ends) if end < value]
        if not rounds:
            continue
        there = [ends[k] for k in rounds]
        where = rounds_in_words(rounds, len(ends)) if resets else 'all rounds'
        found.append(
            (
                f'{name}.{key}: {value:,} lies beyond the '
                f'{numbers_in_words(there)} {unit_of(by_epoch)} of {where}, '
                f'so that the {what} does not get to its end',
                2 * min(there) < value,
            )
        )
    return found


def unreached_intervals(
    cfg: Mapping[str, Any],
    config: ActiveLearningConfig,
    spans: Sequence[Span],
) -> list[str]:
    """Find intervals of evaluation, checkpoints and hooks without an end."""
    by_epoch = config.runner.by_epoch
    longest = max(phase.train for phase in config.phases)
    found = []
    results = {
        'evaluation': 'evaluated',
        'checkpoint_config': 'written as a checkpoint',
    }
    for name, what in results.items():
        for key in ('interval', 'start'):
            value = find(cfg, f'{name}.{key}')[1]
            if not _is_count(value) or value == longest:
                continue
            rounds = [
                k
                for k, span in enumerate(spans)
                if not _has_end(span.counted(by_epoch), value, key)
            ]
            if rounds:
                found.append(
                    f'{name}.{key}: {_beyond(value, rounds, spans, by_epoch)}'
                    f'; there only the end of the phase is {what}'
                )
    for index, hook in enumerate(cfg.get('custom_hooks') or ()):
        value = hook.get('interval')
        epochs = bool(hook.get('by_epoch', False))
        if _is_count(value) and not any(
            _has_end(span.counted(epochs), value, 'interval') for span in spans
        ):
            everywhere = list(range(len(spans)))
            found.append(
                f'custom_hooks[{index}] ({hook.get("type")}).interval: '
                + _beyond(value, everywhere, spans, epochs)
            )
    return found


def silent_logs(log_config: Any, spans: Sequence[Span]) -> list[str]:
    """Find loggers that would log nothing of some phases."""
    found: dict[int, dict[int, int]] = {}
    for k, span in enumerate(spans):
        for _, interval, fitting in log_intervals(log_config, span):
            found.setdefault(interval, {})[k] = fitting
    return [
        f'log_config.interval: with {interval:,} nothing would be logged of '
        f'the training in {rounds_in_words(list(fitting), len(spans))}; '
        f'there it is {numbers_in_words(list(fitting.values()))}'
        for interval, fitting in found.items()
    ]


def _is_count(value: Any) -> TypeGuard[int]:
    return is_int(value) and value > 0


def _has_end(counted: range, value: int, key: str) -> bool:
    """Tell whether a phase ends an interval, or gets to a start."""
    if key == 'start':
        return value <= counted.stop
    return counted.stop // value > counted.start // value


def _beyond(
    value: int, rounds: Sequence[int], spans: Sequence[Span], by_epoch: bool
) -> str:
    lengths = [len(spans[k].counted(by_epoch)) for k in rounds]
    return (
        f'{value:,} is not reached in the {numbers_in_words(lengths)} '
        f'{unit_of(by_epoch)} of {rounds_in_words(rounds, len(spans))}'
    )
