"""Place each phase in its learning rate schedule."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

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
    """

    first_iter: int
    iters: int
    schedule_iters: int
    first_epoch: int = 0
    per_epoch: int | None = None
    schedule_epochs: int | None = None

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
    config: ActiveLearningConfig, round: int, before: int, per_epoch: int
) -> Span:
    """Compute the span of one phase.

    Args:
        config: Its phases, and whether the schedule starts anew with each.
        round: From 0.
        before: Iterations of all rounds before.
        per_epoch: Iterations of an epoch of this round; by iteration, of no
            meaning.
    """
    lengths = [phase.train for phase in config.phases]
    resets, by_epoch = config.reset.schedule, config.by_epoch
    each = per_epoch if by_epoch else 1
    first = 0 if resets else before
    left = lengths[round] if resets else sum(lengths[round:])
    total = lengths[round] if resets else sum(lengths)
    return Span(
        first_iter=first,
        iters=lengths[round] * each,
        schedule_iters=first + left * each,
        first_epoch=sum(lengths[:round]) if by_epoch and not resets else 0,
        per_epoch=per_epoch if by_epoch else None,
        schedule_epochs=total if by_epoch else None,
    )


def spans_of(
    config: ActiveLearningConfig, per_epoch: Sequence[int]
) -> list[Span]:
    """Compute the spans of all phases."""
    spans: list[Span] = []
    before = 0
    for number, each in enumerate(per_epoch):
        spans.append(span_of(config, number, before, each))
        before += spans[-1].iters
    return spans
