"""Check averaged weights and pseudo-labels."""

from __future__ import annotations

from collections.abc import Mapping

from mmcv import Config
from mmcv.runner.priority import get_priority

from segal.config.shapes import data_sets, hooks_in
from segal.config.values import Values
from segal.openmmlab.pipelines import walk

_AL = 'active_learning.'


def check_training(values: Values) -> list[str]:
    """Check averaged weights and pseudo-labels."""
    keys, problems = values.keys.active_learning, list[str]()
    if keys.pseudo_labels and not keys.average:
        problems.append(
            f'{_AL}pseudo_labels: wanted {_AL}average beside it, which is '
            'the teacher; got none. Add average=dict()'
        )
    if keys.pseudo_labels and values['runner.sample_mode'] == 'image':
        problems.append(
            f"{_AL}pseudo_labels: not together with sample_mode='image', "
            'where every pixel of an image that is trained on was asked; '
            'leave pseudo_labels out'
        )
    by_epoch, averaged = values['runner.by_epoch'], keys.average is not None
    problems += _check_views(values.cfg)
    return problems + _check_ema(values.cfg, by_epoch, averaged)


def _check_views(cfg: Config) -> list[str]:
    """Check that a view for the teacher is collected."""
    problems = []
    for where, entry in data_sets(cfg, 'train'):
        pipeline = entry.get('pipeline') if isinstance(entry, Mapping) else ()
        steps = list(walk(pipeline))
        if 'KeepWeakView' in [step.get('type') for step in steps] and not any(
            'img_weak' in (step.get('keys') or ()) for step in steps
        ):
            problems.append(
                f"{where}.pipeline: wanted 'img_weak' among the keys of "
                'Collect, since the pipeline has KeepWeakView; got none; add '
                'it, or take KeepWeakView out'
            )
    return problems


def _check_ema(cfg: Config, by_epoch: bool, averaged: bool) -> list[str]:
    """Check that the average of mmcv's EMAHook would be used."""
    problems = []
    for where, hook in hooks_in(cfg, 'custom_hooks'):
        if not isinstance(hook, Mapping) or hook.get('type') != 'EMAHook':
            continue
        if averaged:
            problems.append(
                f'{where}: EMAHook not together with {_AL}average, which '
                'averages the weights already; leave one of the two out'
            )
        elif not by_epoch:
            problems.append(
                f'{where}: EMAHook puts its average in place after epochs '
                'alone, and runner.by_epoch=False has none, so that it would '
                f'never be used; write {_AL}average=dict(decay=...) instead'
            )
        elif _is_late(hook.get('priority', 'ABOVE_NORMAL')):
            problems.append(
                f'{where}.priority: wanted one above NORMAL (a number below '
                f'50), so that the average is what is evaluated and saved; '
                f'got {hook["priority"]!r}, after which the trained weights '
                "would be. Leave it out, or write 'ABOVE_NORMAL'"
            )
    return problems


def _is_late(priority: object) -> bool:
    """Tell whether a hook comes after what saves checkpoints."""
    try:
        place: int = get_priority(priority)
    except (KeyError, TypeError, ValueError):
        return False  # reported where the hook is built
    return place >= get_priority('NORMAL')
