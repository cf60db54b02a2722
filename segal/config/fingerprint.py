"""Identify an experiment by its config, and compare two of them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from mmcv import Config
from numpy.typing import NDArray

from segal.config.phases import read_phases
from segal.config.rates import lr_hooks, rates, schedule_hooks
from segal.config.schema import ActiveLearningConfig
from segal.config.shapes import find
from segal.config.spans import Span
from segal.errors import StateError, short

COUNTS = (
    'model',
    'data',
    'optimizer',
    'optimizer_config',
    'lr_config',
    'momentum_config',
    'fp16',
    'active_learning',
    'speed',
    'runner',
    'custom_hooks',
    'custom_imports',
    'evaluation',
    'load_from',
    'seed',
    'cudnn_benchmark',
    'deterministic',
    'find_unused_parameters',
)
"""Sections that change results; a config's own variables do not."""

FREE = (
    'data.test',
    'data.workers_per_gpu',
    'data.persistent_workers',
    'data.pin_memory',
    'data.test_dataloader',
    'active_learning.visualize',
    'active_learning.keep_checkpoints',
    'active_learning.costs.unit',
    'active_learning.features.cache',
    'runner.sample_rounds',
    'evaluation.interval',
    'evaluation.start',
    'evaluation.save_best',
    'speed.gpu_memory',
    'speed.image_cache',
)
"""Keys in these sections that change no result."""

_PER_EPOCH = 3
"""Iterations of an epoch, to compare schedules of two lengths."""

_FREE_IN_LOADERS = ('workers_per_gpu', 'persistent_workers', 'pin_memory')


def dump_config(cfg: Config) -> str:
    """Write a config as plain JSON, for ``work_dir/config.json``."""
    return json.dumps(_plain(cfg), indent=2, default=str) + '\n'


def fingerprint(cfg: Config, config: ActiveLearningConfig) -> str:
    """Hash everything in a config that changes results.

    Loggers, workers, folders, pictures and the number of rounds do not.

    Returns:
        16 hexadecimal digits.
    """
    kept: dict[str, Any] = dict(leaves(_plain(cfg)))
    kept['first phase'] = config.phases[0].train
    kept['seed'] = config.seed
    text = json.dumps(kept, sort_keys=True, default=str)
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def differing_keys(old: str | Mapping[str, Any], new: Config) -> list[str]:
    """List the keys of a new config that would change a work_dir's results.

    Args:
        old: The ``config.json`` of the work_dir, as text or read.
        new: The canonical config of this run.

    Returns:
        One entry for each key: its dotted name, what it was and what it is.
        Empty where the run may go on; it may have more rounds, unless one
        schedule spans them all.
    """
    before = json.loads(old) if isinstance(old, str) else dict(old)
    after = _plain(new)
    was, now = dict(leaves(before)), dict(leaves(after))
    absent = 'absent'
    found = [
        f'{key} (was {short(was.get(key, absent))}, '
        f'now {short(now.get(key, absent))})'
        for key in sorted({*was, *now})
        if was.get(key, absent) != now.get(key, absent)
    ]
    lengths = [_train_lengths(part) for part in (before, after)]
    shared = min(map(len, lengths))
    if lengths[0][:shared] != lengths[1][:shared]:
        found.append(
            f'workflow (train lengths were {lengths[0]}, now {lengths[1]})'
        )
    elif _spans_all(after) and lengths[0] != lengths[1]:
        found.append(
            f'runner.sample_rounds (was {len(lengths[0])}, now '
            f'{len(lengths[1])}: with reset.schedule=False one schedule '
            'spans all rounds, and each would have had other learning rates)'
        )
    return found


def check_same_experiment(work_dir: Path, cfg: Config) -> None:
    """Check that a work_dir holds the experiment of a config.

    Raises:
        StateError: It holds another one, or its ``config.json`` is damaged.
    """
    path = work_dir / 'config.json'
    try:
        old = json.loads(path.read_text())
        if not isinstance(old, dict):
            raise ValueError(f'wanted a dict, got {type(old).__name__}')
    except (OSError, ValueError) as error:
        raise StateError(
            f'{path}: wanted the config of the experiment, got a file that '
            f'cannot be read as that ({error}); restore it from a copy'
        ) from error
    changed = differing_keys(old, cfg)
    if changed:
        listed = '\n    '.join(changed[:20])
        raise StateError(
            f'{work_dir}: wanted the experiment of this config, got '
            f'another; these keys differ:\n    {listed}\n  name another '
            'folder with --work-dir, or take the changes back'
        )


def settings_of(plain: Mapping[str, Any]) -> dict[str, Any]:
    """Collect the keys that change results, to compare whole runs.

    Returns:
        Dotted key -> value; ``workflow`` is how long each phase trains, one
        number where all are alike, so that it is the same for more rounds,
        unless one schedule spans them all.
    """
    found = dict(leaves(plain))
    lengths = _train_lengths(plain)
    alike = len(set(lengths)) == 1 and not _spans_all(plain)
    return found | {'workflow': lengths[0] if alike else lengths}


def _plain(cfg: Config) -> dict[str, Any]:
    """Reduce a config to the types of JSON."""
    text = json.dumps(cfg._cfg_dict.to_dict(), default=str)
    plain: dict[str, Any] = json.loads(text)
    return plain


def _train_lengths(plain: Mapping[str, Any]) -> list[int]:
    rounds = find(plain, 'runner.sample_rounds')[1]
    phases, _, _ = read_phases(plain.get('workflow'), rounds)
    return [phase.train for phase in phases]


def _spans_all(plain: Mapping[str, Any]) -> bool:
    """Tell whether learning rates or momenta depend on the number of rounds.

    They are computed for one schedule of the planned length, and for the
    beginning of one twice as long. A hook that cannot be run may depend on it.
    """
    resets = find(plain, 'active_learning.reset.schedule')[1]
    if resets is None:
        resets = find(plain, 'active_learning.reset_each_round')[1]
    if resets is not False:
        return False
    by_epoch = find(plain, 'runner.by_epoch')[1] is not False
    each, length = _PER_EPOCH if by_epoch else 1, sum(_train_lengths(plain))
    try:
        short, long = (
            _course(
                plain,
                Span(
                    first_iter=0,
                    iters=length * each,
                    schedule_iters=total * each,
                    per_epoch=each if by_epoch else None,
                    schedule_epochs=total if by_epoch else None,
                ),
            )
            for total in (length, 2 * length)
        )
    except Exception:  # reported where it is built
        return True
    return not np.array_equal(short, long, equal_nan=True)


def _course(plain: Mapping[str, Any], span: Span) -> NDArray[np.float64]:
    """Compute learning rates and momenta of a phase: (T, 2)."""
    hooks = lr_hooks(plain['lr_config'], plain.get('custom_hooks'))
    over = schedule_hooks(plain.get('momentum_config'), 'momentum')
    return np.hstack(
        [rates(hooks, [1.0], span), rates(over, [1.0], span, 'momentum')]
    )


def _spends_cost(plain: Mapping[str, Any]) -> bool:
    """Tell whether budgets are in cost; else prices change no result."""
    unit = find(plain, 'runner.sample_mode')[1]
    where = f'active_learning.settings.{unit}.cost_per_round'
    return find(plain, where)[1] is not None


def _shown_channels(
    plain: Mapping[str, Any],
) -> Iterator[tuple[str, Any]]:
    """Return the shown channels, where more than pictures depend on them.

    Superpixels and frozen networks see an image as it is shown.
    """
    where = 'active_learning.visualize.channels'
    channels = find(plain, where)[1]
    regions = find(plain, 'runner.sample_mode')[1] in ('region', 'mixed')
    described = find(plain, 'active_learning.features')[1]
    if channels is not None and (regions or described):
        yield where, channels


def leaves(plain: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield dotted key and value of everything that changes results."""
    free = FREE if _spends_cost(plain) else (*FREE, 'active_learning.costs')

    def walk(name: str, value: Any) -> Iterator[tuple[str, Any]]:
        last = name.rpartition('.')[2]
        if name in free or (
            name.startswith('data.') and last in _FREE_IN_LOADERS
        ):
            return
        if isinstance(value, dict) and value:
            for key, inner in value.items():
                yield from walk(f'{name}.{key}', inner)
        elif isinstance(value, list) and any(
            isinstance(item, (dict, list)) for item in value
        ):
            for index, item in enumerate(value):
                yield from walk(f'{name}.{index}', item)
        else:
            yield name, value

    for name in COUNTS:
        if plain.get(name) is not None:
            yield from walk(name, plain[name])
    yield from _shown_channels(plain)
