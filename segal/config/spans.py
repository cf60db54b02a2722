"""Place each phase in its learning rate schedule, and cut hooks to it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from segal.config.schema import ActiveLearningConfig


@dataclass(frozen=True)
class Span:
    """Place a phase in its schedule, as the inner runner counts.

    Attributes:
        first_iter: 0, or the global iteration where the schedule goes on.
        iters: Iterations of the phase.
        schedule_iters: End of the schedule, in iterations from 0.
        first_epoch: 0, or the global epoch; 0 by iteration.
        per_epoch: Iterations of an epoch; None by iteration.
        schedule_epochs: End of the schedule in epochs; None by iteration.
        first_planned: End of the schedule in iterations as the first phase
            of it planned, with epochs as long as its own; None: as now.
    """

    first_iter: int
    iters: int
    schedule_iters: int
    first_epoch: int = 0
    per_epoch: int | None = None
    schedule_epochs: int | None = None
    first_planned: int | None = None

    @property
    def planned(self) -> int:
        """Return the end of the schedule as its first phase planned."""
        return self.first_planned or self.schedule_iters

    @property
    def first_per_epoch(self) -> int | None:
        """Return the iterations of an epoch of the schedule's first phase."""
        if self.first_planned and self.schedule_epochs:
            return self.first_planned // self.schedule_epochs
        return self.per_epoch

    @property
    def last(self) -> int:
        """Return the iteration after the phase."""
        return self.first_iter + self.iters

    def counted(self, by_epoch: bool) -> range:
        """Return the range of epochs of the phase, or of its iterations."""
        if by_epoch and self.per_epoch:
            epochs = self.iters // self.per_epoch
            return range(self.first_epoch, self.first_epoch + epochs)
        return range(self.first_iter, self.last)


def span_of(
    config: ActiveLearningConfig,
    round: int,
    before: Sequence[int],
    per_epoch: int,
) -> Span:
    """Compute the span of one phase.

    Args:
        config: Its phases, and whether the schedule starts anew with each.
        round: From 0.
        before: Iterations of each round before.
        per_epoch: Iterations of an epoch of this round; by iteration, of no
            meaning.
    """
    lengths = [phase.train for phase in config.phases]
    resets, by_epoch = config.reset.schedule, config.runner.by_epoch
    each = per_epoch if by_epoch else 1
    first = 0 if resets else sum(before)
    left = lengths[round] if resets else sum(lengths[round:])
    total = lengths[round] if resets else sum(lengths)
    return Span(
        first_iter=first,
        iters=lengths[round] * each,
        schedule_iters=first + left * each,
        first_epoch=sum(lengths[:round]) if by_epoch and not resets else 0,
        per_epoch=per_epoch if by_epoch else None,
        schedule_epochs=total if by_epoch else None,
        first_planned=None
        if resets or not before
        else before[0] * total // lengths[0],
    )


def spans_of(
    config: ActiveLearningConfig, per_epoch: Sequence[int]
) -> list[Span]:
    """Compute the spans of all phases."""
    spans: list[Span] = []
    for number, each in enumerate(per_epoch):
        before = [span.iters for span in spans]
        spans.append(span_of(config, number, before, each))
    return spans


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
    by_epoch = section.get('warmup_by_epoch')
    each = span.first_per_epoch if by_epoch else 1
    return int(length * (each or 1))


def is_long(section: Any, span: Span) -> bool:
    """Tell whether a warm-up takes more of its schedule than it may."""
    return warmup_of(section, span) > LONGEST * span.planned


def scaled(span: Span) -> int:
    """Return the iterations that a long warm-up is scaled to, from 0."""
    if span.planned < 2:
        return 0
    return max(1, int(SCALED * span.planned))


def fit_warmup(section: Any, name: str, span: Span, inherited: Any) -> None:
    """Scale a long warm-up that came from a base, in place.

    One of a schedule that goes on ends where its first phase said, also
    where epochs have become longer.
    """
    written = warmup_of(section, span)
    if span.first_planned and written:
        section['warmup_by_epoch'], section[LENGTH] = False, written
    if f'{name}.{LENGTH}' not in inherited or not is_long(section, span):
        return
    length = scaled(span)
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
