"""Build the oracle of an experiment."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

from mmcv.utils import build_from_cfg

from segal.active.human_oracle import DrawnAnswers, HumanOracle
from segal.active.oracles import BaseOracle
from segal.config import ActiveLearningConfig
from segal.errors import ConfigError
from segal.experiment.data import Data
from segal.registry import ORACLES


def build_oracle(
    config: ActiveLearningConfig, data: Data, work_dir: Path, smoke: bool
) -> BaseOracle:
    """Build the oracle, with those of the run's arguments that it takes.

    Args:
        config: Whose ``oracle`` names the class and its options.
        data: Gives ``read``, ``pool`` and ``classes``.
        work_dir: The experiment's folder.
        smoke: Whether nobody is to be asked.

    Raises:
        ConfigError: An option is none, or does not go with the query unit.
    """
    given: dict[str, Any] = dict(
        read=data.annotation,
        pool=data.pool.images,
        classes=data.classes,
        ignore_index=config.ignore_index,
        work_dir=work_dir,
        seed=config.seed,
    )
    part = dict(config.oracle)
    kind: Any = part['type']
    kind = ORACLES.get(kind) if isinstance(kind, str) else kind
    if smoke and issubclass(kind, HumanOracle):
        return DrawnAnswers(data.pool.images, data.classes, config.seed)
    suggest = part.get('suggest', 'none')
    if issubclass(kind, HumanOracle) and suggest != 'none':
        asks, answer = config.asks, config.selector.get('answer', 'all')
        if asks.whole or (asks.grouped and answer == 'all'):
            raise ConfigError(
                "active_learning.oracle.suggest: wanted 'none' where people "
                f'paint a class for each pixel, got {suggest!r}: predictions '
                'are kept for each item, not for each pixel; ask regions with '
                "answer='dominant', or pixels"
            )
    taken = inspect.signature(kind).parameters
    if not any(x.kind is x.VAR_KEYWORD for x in taken.values()):
        given = {key: value for key, value in given.items() if key in taken}
    return build_from_cfg(part, ORACLES, given)  # type: ignore[no-any-return]
