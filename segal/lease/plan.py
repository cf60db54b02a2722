"""Read a plan: the runs that a machine is lent for, in order."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from segal.errors import ConfigError

Words = Annotated[tuple[str, ...], Field(strict=False)]
"""A list of TOML."""


class Run(BaseModel):
    """One ``[[run]]`` of a plan.

    Attributes:
        name: Of its folder, and in ``results.json``.
        config: Of the experiment; empty for a script.
        seed: Of the experiment.
        options: As ``--cfg-options``.
        full: Whether it is full supervision.
        script: A Python file that writes the JSON file of its ``--out``;
            empty for an experiment.
        arguments: Of the script.
    """

    model_config = ConfigDict(strict=True, extra='forbid', frozen=True)

    name: str
    config: str = ''
    seed: int = 0
    options: Words = ()
    full: bool = False
    script: str = ''
    arguments: Words = ()


class _Plan(BaseModel):
    """Keys of a plan."""

    model_config = ConfigDict(strict=True, extra='forbid')

    options: Words = ()
    run: list[Run]


def read_plan(path: Path) -> list[Run]:
    """Read a plan.

    A plan is a TOML file with a table ``[[run]]`` for each run, either with
    ``config`` (and ``seed``, ``options``, ``full``) or with ``script`` (and
    ``arguments``). ``options`` at its top go to all configs.

    Raises:
        ConfigError: Everything that is wrong with it.
    """
    try:
        plan = _Plan.model_validate(tomllib.loads(path.read_text()))
    except OSError as error:
        raise ConfigError(
            f'{path}: wanted a plan (TOML), which cannot be read '
            f'({error.strerror}); correct the path'
        ) from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(
            f'{path}: wanted a plan (TOML), got a file that is none ({error})'
        ) from error
    except ValidationError as error:
        raise ConfigError(
            [
                f'{path}: {".".join(map(str, one["loc"]))}: {one["msg"]}; got '
                f'{one["input"]!r}'
                for one in error.errors()
            ]
        ) from error
    problems = [*_problems(plan.run, path)]
    if problems:
        raise ConfigError(problems)
    return [
        run.model_copy(
            update=dict(options=(*plan.options, *run.options))
            if run.config
            else dict(options=())
        )
        for run in plan.run
    ]


def _problems(items: Sequence[Run], path: Path) -> list[str]:
    """Find what the types of a plan do not say."""
    problems = [] if items else [f'{path}: wanted at least one [[run]]']
    names = [item.name for item in items]
    for i, item in enumerate(items):
        where = f'{path}: run.{i}'
        if not item.name or Path(item.name).name != item.name:
            problems.append(
                f'{where}.name: wanted the name of a folder, got {item.name!r}'
            )
        elif item.name in names[:i]:
            problems.append(
                f'{where}.name: {item.name!r} is the name of another run; '
                'choose a new one'
            )
        if bool(item.config) == bool(item.script):
            problems.append(
                f'{where}: wanted either config or script, got '
                f'{"both" if item.config else "none"}'
            )
        for file in filter(None, (item.config, item.script)):
            if not Path(file).is_file():
                problems.append(
                    f'{where}: {file} does not exist (seen from {Path.cwd()})'
                )
    return problems


def check_border(run: Run, config: Any) -> list[str]:
    """Check that a run can go on from its labels and rows alone."""
    reset = config.reset
    kept = [
        name for name in ('weights', 'optimizer') if not getattr(reset, name)
    ]
    kept += [f'committee ({one.where})' for one in config.committee]
    if not kept:
        return []
    return [
        f'run {run.name}: wanted an experiment whose rounds need no network '
        'of another round, since checkpoints are too large to be kept; got '
        f'one that needs {", ".join(kept)}; set reset_each_round=True, and '
        'leave committee out'
    ]
