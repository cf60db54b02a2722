"""Tabulate the learning rates of every phase, for ``--dry-run``."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from itertools import groupby

import numpy as np
from mmcv import Config
from mmseg.core import build_optimizer
from torch import nn

from segal.config import ActiveLearningConfig
from segal.config.rates import RateError, lr_hooks, rates
from segal.config.spans import Span
from segal.preflight.reach import rounds_in_words
from segal.preflight.schedules import fitted


def rates_table(
    cfg: Config,
    config: ActiveLearningConfig,
    spans: Sequence[Span],
    model: nn.Module,
) -> str:
    """List the highest and the last learning rate of each phase.

    Where parameter groups differ, those with the highest rate are shown.

    Returns:
        Lines of text, one for each phase; phases in a row that have the same
        rates share one.
    """
    optimizer = build_optimizer(model, copy.deepcopy(cfg.optimizer))
    if isinstance(optimizer, dict):
        return 'learning rates: of several optimizers, not shown'
    base = [group['lr'] for group in optimizer.param_groups]
    names = {id(value): name for name, value in model.named_parameters()}
    parts: dict[float, set[str]] = {}
    for group in optimizer.param_groups:
        trained = [value for value in group['params'] if value.requires_grad]
        if trained:
            parts.setdefault(group['lr'], set()).update(
                names.get(id(value), 'others').split('.')[0]
                for value in trained
            )
    known: dict[Span, tuple[str, str]] = {}
    try:
        for span in set(spans):
            hooks = lr_hooks(
                fitted(cfg, config, span), cfg.get('custom_hooks')
            )
            apart = hasattr(hooks[0], '_max_lr')  # OneCycle may list groups
            found = rates(hooks, base if apart else sorted(parts), span)
            best = int(np.argmax(found.max(axis=0)))
            known[span] = (
                f'{found[:, best].max():.3g}',
                f'{found[-1, best]:.3g}',
            )
    except RateError as error:
        return f'learning rates: not known before training ({error})'
    lines = ['learning rate']
    each = [known[span] for span in spans]
    for (highest, last), group in groupby(range(len(each)), each.__getitem__):
        where = rounds_in_words(list(group), 0)
        lines.append(f'  {where}: highest {highest}, last {last}')
    if len(parts) > 1:
        highest_part = ', '.join(sorted(parts[max(parts)]))
        lines[0] += (
            f' (of {highest_part}; of the others from '
            f'{100 * min(parts) / max(parts):.3g} % of it)'
        )
    return '\n'.join(lines)
