"""Read an mmcv Config into one frozen object, with everything wrong in it."""

from __future__ import annotations

from typing import Any

from mmcv import Config

from segal.active.units import unit_named
from segal.config import (
    checks,
    dialects,
    network,
    old_heuristics,
    parts,
    pool_view,
    schedule,
    shapes,
    speed,
    training,
)
from segal.config.budgets import (
    check_sources,
    read_budgets,
    read_cost_table,
    read_mixed,
    read_shape,
)
from segal.config.committee import read_committee
from segal.config.keys import DEFAULT_ORACLE
from segal.config.load import waiting_inherited, waiting_notes
from segal.config.noise import lost_noise
from segal.config.phases import read_phases
from segal.config.places import check_places
from segal.config.schema import ActiveLearningConfig, Phase, Reset
from segal.config.unread import check_unread, unused_keys
from segal.config.values import Values
from segal.openmmlab import pipelines
from segal.registry import REPLACED
from segal.structures import Unit

_SETTINGS = 'active_learning.settings.'


def read_config(
    cfg: Config,
) -> tuple[ActiveLearningConfig | None, list[str], list[str]]:
    """Translate a config to its canonical form, in place, and read it.

    Returns:
        The config's active learning (None where the problems leave too
        little), the problems, and one note for each translation.
    """
    notes = waiting_notes(cfg)
    notes += [
        f'{name}: the class of {module} is used, in place of the one that '
        'SegAL has of this name'
        for name, module in sorted(REPLACED.items())
    ]
    found = shapes.check_shapes(cfg)
    unread, said = check_unread(cfg)
    found += [*check_places(cfg), *unread]
    try:
        config, problems, more = _read(cfg)
    except Exception:
        if not found:
            raise
        return None, found, notes
    keys = [one.partition(':')[0] for one in problems]
    found = [one for one in found if one.partition(':')[0] not in keys]
    return config, [*problems, *found], [*notes, *said, *more]


def _read(
    cfg: Config,
) -> tuple[ActiveLearningConfig | None, list[str], list[str]]:
    """Translate and read a config; see :func:`read_config`."""
    written_twice, notes = dialects.translate_keys(cfg)
    problems, translated = old_heuristics.translate_heuristic(cfg)
    notes += translated
    notes += pipelines.unwrap_datasets(cfg)
    notes += pipelines.drop_masks(cfg)
    notes += pool_view.add_view(cfg)
    notes += pipelines.clean_query(cfg)
    inherited = waiting_inherited(cfg)
    values = Values(cfg)
    config = _active_learning(values, inherited, notes)
    problems = [*written_twice, *problems, *values.problems]
    return config, problems, notes


def _active_learning(
    values: Values, inherited: frozenset[str], notes: list[str]
) -> ActiveLearningConfig | None:
    """Read everything, in the order of the guide."""
    unit = _unit(values)
    threshold = values['active_learning.settings.pixel.sample_threshold']
    top_percent = float(threshold) if threshold else None
    grouped = bool(unit and unit_named(unit).grouped)
    counted = 'region' if grouped else 'pixel'
    evenly = values[f'{_SETTINGS}{counted}.sample_evenly']
    pooled = 'region' if grouped else 'image'
    aggregate = values[f'{_SETTINGS}{pooled}.aggregate']
    costs = read_cost_table(values)
    phases: tuple[Phase, ...] = ()
    if values['workflow'] is not None:
        phases, problems, more = read_phases(
            values['workflow'], values['runner.sample_rounds']
        )
        values.problems += problems
        notes += more
    initial = budget = spending = None
    if unit is not None:
        initial, budget, spending = read_budgets(
            values, unit, costs, asks=len(phases) != 1
        )
    if unit == 'pixel' and top_percent is not None and not evenly:
        values.problems.append(
            f'{_SETTINGS}pixel.sample_threshold: not together with '
            f'sample_evenly=False; got {threshold}. The top per cent is '
            'always of one image: leave sample_threshold out, or set '
            'sample_evenly=True'
        )
        top_percent = None
    ignore_index = values[f'{_SETTINGS}pixel.ignore_index']
    chosen = _parts(values, unit, evenly, top_percent, aggregate)
    shape = read_shape(values, chosen) if grouped else None
    mixed = None
    if values['runner.sample_mode'] == 'mixed' and budget is not None:
        assert unit is not None
        mixed = read_mixed(
            values, unit, budget, spending, costs, chosen['features']
        )
    if unit is not None:
        opener = mixed.selector.get('type') if mixed else None
        values.problems += unused_keys(
            values.find, unit, chosen['selector'], opener
        )
        asked = [(chosen['selector'], 'region' if grouped else 'image')]
        asked += [(mixed.selector, 'image')] if mixed else []
        for selector, key in asked:
            notes += lost_noise(chosen['heuristic'], selector, key)
    committee = values.keep(
        read_committee(values['active_learning.committee'])
    )
    by_epoch = values['runner.by_epoch']
    _settle_mmseg(values, by_epoch, phases, ignore_index, notes)
    values.problems += network.check_encodings(values.cfg, unit)
    reset = _reset(values)
    values.problems += training.check_training(values)
    notes += check_sources(values, unit)
    seed = values.cfg.seed = values['seed'] or 0
    if not unit or budget is None or initial is None or not phases:
        return None
    return ActiveLearningConfig(
        keys=values.keys.active_learning,
        runner=values.keys.runner,
        speed=values.keys.speed,
        unit=unit,
        seed=seed,
        initial=initial,
        budget=budget,
        spending=spending,
        costs=costs,
        shape=shape,
        mixed=mixed,
        ignore_index=ignore_index,
        **chosen,
        reset=reset,
        phases=phases,
        committee=committee,
        inherited=inherited,
    )


def _unit(values: Values) -> Unit | None:
    """Read the unit that the budget counts; with ``'mixed'``, in images."""
    mode = values['runner.sample_mode']
    unit: Unit | None = mode
    wanted = [mode]
    if mode == 'mixed':
        unit = values[f'{_SETTINGS}mixed.inside'] or 'pixel'
        wanted = ['image', unit]
    for name in wanted:
        if name and not values.find(_SETTINGS + name)[0]:
            if values.find('active_learning')[0]:
                values.problems.append(
                    f'{_SETTINGS}{name}: required with '
                    f'runner.sample_mode={mode!r}; got nothing'
                )
            unit = None
    return unit


def _parts(
    values: Values,
    unit: Unit | None,
    evenly: bool,
    top_percent: float | None,
    aggregate: str,
) -> dict[str, Any]:
    """Read every part that a registry builds, by its schema name."""
    features = values.keep(
        parts.resolve_features(values['active_learning.features'])
    )
    heuristic: dict[str, Any] = {}
    if values['active_learning.heuristic'] is not None:
        heuristic = values.keep(
            parts.resolve_heuristic(
                values['active_learning.heuristic'],
                values['active_learning.heuristic_cfg'],
                features,
            )
        )
    selector = first_selector = first = dict[str, Any]()
    if unit is not None:
        written = values['active_learning.selector']
        budget = (unit, evenly, top_percent, aggregate, features)
        selector = values.keep(parts.resolve_selector(written, *budget))
        first = values.keep(
            parts.resolve_heuristic(
                values['active_learning.initial.heuristic'],
                None,
                features,
                first=True,
            )
        )
        first_selector = values.keep(
            parts.resolve_first_selector(
                values['active_learning.initial.selector'],
                selector,
                unit,
                evenly,
                aggregate,
                features,
            )
        )
    oracle = values.find('active_learning.oracle')[1]
    if not isinstance(oracle, str):
        oracle = {**DEFAULT_ORACLE, **(oracle or {})}
    return dict(
        heuristic=heuristic,
        selector=selector,
        features=features,
        initial_heuristic=first,
        initial_selector=first_selector,
        oracle=values.keep(parts.resolve_oracle(oracle)),
    )


def _settle_mmseg(
    values: Values,
    by_epoch: bool,
    phases: tuple[Phase, ...],
    ignore_index: int,
    notes: list[str],
) -> None:
    """Check and complete the sections of mmcv and mmseg."""
    cfg = values.cfg
    values.problems += checks.check_data(cfg)
    for problems, more in (
        network.average_over_labels(cfg),
        network.settle_weights(
            cfg,
            values['runner.pretrained'],
            values['runner.checkpoint'],
            values.find('runner.pretrained')[0],
        ),
        schedule.settle_intervals(cfg, by_epoch, phases),
        schedule.settle_lr(cfg, by_epoch),
    ):
        values.problems += problems
        notes += more
    values.problems += schedule.settle_momentum(cfg, by_epoch)
    values.problems += schedule.check_optimizer(cfg)
    values.problems += speed.settle_speed(values)
    values.problems += network.check_ignore_index(cfg, ignore_index)
    notes += network.labels_alone(cfg)
    notes += network.sync_bn_on_cpu(cfg)


def _reset(values: Values) -> Reset:
    """Read the parts that start anew with each round."""
    everything = values['active_learning.reset_each_round']
    written = values.find('active_learning.reset_each_round')[0]
    chosen = {}
    for name in ('weights', 'optimizer', 'schedule'):
        value = values[f'active_learning.reset.{name}']
        if value is not None and written and value != everything:
            values.problems.append(
                f'active_learning.reset.{name}: {value} contradicts '
                f'reset_each_round={everything}; leave '
                'reset_each_round out'
            )
        chosen[name] = everything if value is None else value
    return Reset(**chosen)
