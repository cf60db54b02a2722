"""From an mmcv Config to one frozen object, with all that is wrong in it."""

from __future__ import annotations

from dataclasses import replace
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
    sections,
    shapes,
    training,
)
from segal.config.budgets import Budgets
from segal.config.committee import read_committee
from segal.config.keys import DEFAULT_ORACLE
from segal.config.load import waiting_inherited, waiting_notes
from segal.config.phases import read_phases
from segal.config.places import check_places
from segal.config.schema import (
    ActiveLearningConfig,
    Reset,
    Sources,
    Visualize,
)
from segal.config.unread import check_unread
from segal.config.unused import unused_keys
from segal.config.values import Values
from segal.openmmlab import pipelines
from segal.registry import REPLACED
from segal.structures import Unit

_SETTINGS = 'active_learning.settings.'


def read_config(
    cfg: Config,
) -> tuple[ActiveLearningConfig | None, list[str], list[str]]:
    """Translate a config to its canonical form, in place, and read it.

    Args:
        cfg: From ``load_config``, or any mmcv Config.

    Returns:
        What it says about active learning (None where the problems leave
        too little), the problems, and one note for each translation.
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
    notes = dialects.translate_keys(cfg)
    problems, translated = old_heuristics.translate_heuristic(cfg)
    notes += translated
    notes += pipelines.unwrap_datasets(cfg)
    notes += pipelines.drop_masks(cfg)
    notes += pool_view.add_view(cfg)
    notes += pipelines.clean_query(cfg)
    inherited = waiting_inherited(cfg)
    reader = _Reader(cfg)
    config = reader.read()
    if config is not None:
        config = replace(config, inherited=inherited)
    return config, problems + reader.problems, notes + reader.notes


class _Reader:
    """Reads one config from beginning to end."""

    def __init__(self, cfg: Config) -> None:
        self.cfg = cfg
        self.values = Values(cfg)
        self.problems = self.values.problems
        self.notes: list[str] = []
        self.budgets = Budgets(self.values)

    def read(self) -> ActiveLearningConfig | None:
        """Read everything, in the order of the guide."""
        values = self.values
        unit = self._unit()
        threshold = values['active_learning.settings.pixel.sample_threshold']
        top_percent = float(threshold) if threshold else None
        grouped = bool(unit and unit_named(unit).grouped)
        counted = 'region' if grouped else 'pixel'
        evenly = values[f'{_SETTINGS}{counted}.sample_evenly']
        counted = 'region' if grouped else 'image'
        aggregate = values[f'{_SETTINGS}{counted}.aggregate']
        costs = self.budgets.costs()
        phases = self._phases()
        initial = budget = spending = None
        if unit is not None:
            initial, budget, spending = self.budgets.budgets(
                unit, costs, asks=len(phases) != 1
            )
        if unit == 'pixel' and top_percent is not None and not evenly:
            self.problems.append(
                f'{_SETTINGS}pixel.sample_threshold: not together with '
                f'sample_evenly=False; got {threshold}. The top per cent is '
                'always of one image: leave sample_threshold out, or set '
                'sample_evenly=True'
            )
            top_percent = None
        ignore_index = values[f'{_SETTINGS}pixel.ignore_index']
        chosen = self._parts(unit, evenly, top_percent, aggregate)
        shape = None
        if grouped:
            shape = self.budgets.shape(chosen)
        mixed = None
        if values['runner.sample_mode'] == 'mixed' and budget is not None:
            assert unit is not None
            mixed = self.budgets.mixed(
                unit, budget, spending, costs, chosen['features']
            )
        if unit is not None:
            opener = mixed.selector.get('type') if mixed else None
            self.problems += unused_keys(
                values.find, unit, chosen['selector'], opener
            )
        committee, problems = read_committee(
            values['active_learning.committee']
        )
        self.problems += problems
        by_epoch = values['runner.by_epoch']
        self._rest_of_mmseg(by_epoch, phases, ignore_index)
        self.problems += network.check_encodings(self.cfg, unit)
        reset = self._reset()
        learning, problems = training.read_training(values, self.cfg)
        self.problems += problems
        sources = self._sources(unit)
        self.cfg.seed = values['seed'] or 0
        if not unit or budget is None or initial is None or not phases:
            return None
        return ActiveLearningConfig(
            unit=unit,
            seed=self.cfg.seed,
            initial=initial,
            budget=budget,
            spending=spending,
            costs=costs,
            sample_evenly=evenly,
            top_percent=top_percent,
            aggregate=aggregate,
            shape=shape,
            mixed=mixed,
            ignore_index=ignore_index,
            shuffle_prop=float(values['active_learning.shuffle_prop']),
            **chosen,
            visualize=self._visualize(),
            reset=reset,
            loss_at_labels=values['active_learning.loss_at_labels'],
            pretrained=values['runner.pretrained'],
            checkpoint=values['runner.checkpoint'],
            by_epoch=by_epoch,
            phases=phases,
            training=learning,
            sources=sources,
            committee=committee,
        )

    def _unit(self) -> Unit | None:
        """Read what the budget counts; with ``'mixed'``, inside images."""
        values = self.values
        mode = values['runner.sample_mode']
        unit: Unit | None = mode
        wanted = [mode]
        if mode == 'mixed':
            unit = values[f'{_SETTINGS}mixed.inside'] or 'pixel'
            wanted = ['image', unit]
        for name in wanted:
            if name and not self.values.find(_SETTINGS + name)[0]:
                if self.values.find('active_learning')[0]:
                    self.problems.append(
                        f'{_SETTINGS}{name}: required with '
                        f'runner.sample_mode={mode!r}; got nothing'
                    )
                unit = None
        return unit

    def _parts(
        self,
        unit: Unit | None,
        evenly: bool,
        top_percent: float | None,
        aggregate: str,
    ) -> dict[str, Any]:
        """Read every part that a registry builds, by its schema name."""
        values = self.values
        features, problems = parts.resolve_features(
            values['active_learning.features']
        )
        self.problems += problems
        chosen: dict[str, Any] = dict(
            heuristic={},
            selector={},
            features=features,
            initial_heuristic={},
            initial_selector={},
        )
        if values['active_learning.heuristic'] is not None:
            chosen['heuristic'], problems = parts.resolve_heuristic(
                values['active_learning.heuristic'],
                values['active_learning.heuristic_cfg'],
                features,
            )
            self.problems += problems
        if unit is not None:
            chosen['selector'], problems = parts.resolve_selector(
                values['active_learning.selector'],
                unit,
                evenly,
                top_percent,
                aggregate,
                features,
            )
            self.problems += problems
            first, how, problems = parts.resolve_initial(
                values['active_learning.initial.heuristic'],
                values['active_learning.initial.selector'],
                chosen['selector'],
                unit,
                evenly,
                aggregate,
                features,
            )
            chosen.update(initial_heuristic=first, initial_selector=how)
            self.problems += problems
        oracle = self.values.find('active_learning.oracle')[1]
        if not isinstance(oracle, str):
            oracle = {**DEFAULT_ORACLE, **(oracle or {})}
        chosen['oracle'], problems = parts.resolve_oracle(oracle)
        self.problems += problems
        return chosen

    def _phases(self) -> Any:
        """Read the training phases."""
        values = self.values
        if values['workflow'] is None:
            return ()
        phases, problems, notes = read_phases(
            values['workflow'], values['runner.sample_rounds']
        )
        self.problems += problems
        self.notes += notes
        return phases

    def _rest_of_mmseg(
        self,
        by_epoch: bool,
        phases: Any,
        ignore_index: int,
    ) -> None:
        """Check and complete the sections of mmcv and mmseg."""
        cfg, values = self.cfg, self.values
        self.problems += checks.check_data(cfg)
        self.problems += sections.check_sections(cfg)
        for problems, notes in (
            network.average_over_labels(cfg),
            network.settle_weights(
                cfg,
                values['runner.pretrained'],
                values['runner.checkpoint'],
                self.values.find('runner.pretrained')[0],
            ),
            schedule.settle_intervals(cfg, by_epoch, phases),
            schedule.settle_lr(cfg, by_epoch),
        ):
            self.problems += problems
            self.notes += notes
        self.problems += schedule.settle_momentum(cfg, by_epoch)
        self.problems += schedule.check_optimizer(cfg)
        self.problems += network.check_ignore_index(cfg, ignore_index)
        self.notes += network.labels_alone(cfg)
        self.notes += network.sync_bn_on_cpu(cfg)

    def _reset(self) -> Reset:
        """Read what starts anew with each round."""
        values = self.values
        everything = values['active_learning.reset_each_round']
        written = self.values.find('active_learning.reset_each_round')[0]
        chosen = {}
        for name in ('weights', 'optimizer', 'schedule'):
            value = values[f'active_learning.reset.{name}']
            if value is not None and written and value != everything:
                self.problems.append(
                    f'active_learning.reset.{name}: {value} contradicts '
                    f'reset_each_round={everything}; leave '
                    'reset_each_round out'
                )
            chosen[name] = everything if value is None else value
        return Reset(**chosen)

    def _sources(self, unit: Unit | None) -> Sources:
        """Read how labelled sources are trained beside the pool."""
        values = self.values
        where = 'active_learning.sources.'
        found = Sources(
            values[where + 'per_batch'], values[where + 'loss_weight']
        )
        if not self.budgets.has_source():
            self.problems += [
                f'{where}{name}: wanted a labelled source in data.train '
                f'beside the pool; got none, and {value} here. Leave it out, '
                'or write data.train as a list of both'
                for name, value in vars(found).items()
                if value is not None
            ]
            return found
        there, batch = self.values.find(
            'data.train_dataloader.samples_per_gpu'
        )
        if not there:
            batch = self.values.find('data.samples_per_gpu')[1]
        if (
            found.per_batch
            and isinstance(batch, int)
            and found.per_batch >= batch > 0
        ):
            self.problems.append(
                f'{where}per_batch: wanted less than the {batch} of '
                'data.samples_per_gpu, so that images of the pool fit into '
                f'a batch, too; got {found.per_batch}'
            )
        whole = unit and unit_named(unit).whole
        if found.loss_weight is None and not whole:
            self.notes.append(
                'active_learning.sources.loss_weight: not given, so the loss '
                'is one mean over all labelled pixels, of which a source '
                'image has more than the pool gets in all; 1 weighs both '
                'the same'
            )
        return found

    def _visualize(self) -> Visualize | None:
        """Read which pictures are drawn."""
        section = self.values['active_learning.visualize']
        return None if section is None else Visualize(**dict(section))
