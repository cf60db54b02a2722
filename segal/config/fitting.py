"""Cut the lengths of hooks to the phase they run in."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from segal.config.spans import Span

LONGEST = 0.5
"""Share of a schedule that a warm-up may take."""

SCALED = 0.1
"""Share of the schedule that an inherited longer one is scaled to."""

LENGTH = 'warmup_iters'


def warmup_of(section: Any, span: Span) -> int:
    """Count the warm-up iterations of a schedule.

    Returns:
        0 where there is no warm-up, or none that changes anything.
    """
    if not isinstance(section, Mapping) or not section.get('warmup'):
        return 0
    length, ratio = section.get(LENGTH, 0), section.get('warmup_ratio', 0.1)
    if not isinstance(length, int | float) or not 0 < length < math.inf:
        return 0
    if not isinstance(ratio, int | float) or ratio >= 1:
        return 0
    each = span.per_epoch if section.get('warmup_by_epoch') else 1
    return int(length * (each or 1))


def is_long(section: Any, span: Span) -> bool:
    """Tell whether a warm-up takes more of its schedule than it may."""
    return warmup_of(section, span) > LONGEST * span.schedule_iters


def scaled(section: Any, span: Span) -> int:
    """Return the iterations that a long warm-up is scaled to, from 0."""
    if span.schedule_iters < 2:
        return 0
    return max(1, int(SCALED * span.schedule_iters))


def fit_warmup(section: Any, name: str, span: Span, inherited: Any) -> None:
    """Scale a long warm-up that came from a base, in place."""
    if f'{name}.{LENGTH}' not in inherited or not is_long(section, span):
        return
    length = scaled(section, span)
    section['warmup_by_epoch'] = False
    section[LENGTH] = length
    if not length:
        section['warmup'] = None


def log_intervals(logs: Any, span: Span) -> list[tuple[Any, int, int]]:
    """Find loggers whose interval is longer than a phase.

    Returns:
        The config of each logger, its interval, and one that fits.
    """
    found: list[tuple[Any, int, int]] = []
    if not isinstance(logs, Mapping):
        return found
    for hook in logs.get('hooks') or ():
        interval = hook.get('interval', logs.get('interval', 10))
        if not isinstance(interval, int) or interval < 1:
            continue
        by_epoch = hook.get('by_epoch', span.per_epoch is not None)
        if by_epoch and span.per_epoch:
            ends = span.per_epoch // interval
            ends += not hook.get('ignore_last', True)
            longest = span.per_epoch
        else:
            # mmcv counts iterations of an epoch, which are 0 without epochs
            ends = span.last // interval - span.first_iter // interval
            ends *= interval == 1 or not by_epoch
            longest = min(interval, span.iters)
        if not ends and longest:
            found.append((hook, interval, longest))
    return found


def fit(sections: Mapping[str, Any], span: Span, inherited: Any) -> None:
    """Cut the sections of mmcv's hooks to a phase, in place."""
    for name in ('lr_config', 'momentum_config'):
        fit_warmup(sections.get(name), name, span, inherited)
    for hook, _, longest in log_intervals(sections.get('log_config'), span):
        hook['interval'] = longest
        if not span.per_epoch:
            hook['by_epoch'] = False
