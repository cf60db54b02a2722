"""Read training phases from ``workflow`` and ``sample_rounds``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from segal.config.keys import BY_NAME
from segal.config.schema import Phase
from segal.errors import short

_WANTED = f'workflow: wanted {BY_NAME["workflow"].wanted}'


class _WrongError(ValueError):
    """Carry the problem of a workflow that cannot be understood."""


def read_phases(
    workflow: Any, rounds: int | None
) -> tuple[tuple[Phase, ...], list[str], list[str]]:
    """Read the phases of an experiment.

    Args:
        workflow: Flat, ``[('train', n), ('query', 1)]``, repeated for each
            round; or nested, one entry per round. Lists do for tuples.
        rounds: ``runner.sample_rounds``, None where it was not given or is
            wrong.

    Returns:
        The phases (none where there are problems), problems and notes.
    """
    try:
        if not isinstance(workflow, (list, tuple)) or not workflow:
            raise _WrongError(f'{_WANTED}; got {short(workflow)}')
        if all(_is_step(entry) for entry in workflow):
            return _flat(workflow, rounds), [], []
        phases, notes = _nested(workflow, rounds)
    except _WrongError as error:
        return (), [str(error)], []
    return phases, [], notes


def _is_step(entry: Any) -> bool:
    """Tell ``('train', n)`` from a round of such steps."""
    return (
        isinstance(entry, (list, tuple))
        and len(entry) == 2
        and isinstance(entry[0], str)
    )


def _flat(workflow: Sequence[Any], rounds: int | None) -> tuple[Phase, ...]:
    phase = _phase(workflow, 'workflow')
    if not phase.query:
        raise _WrongError(
            f'{_WANTED}; got {_show(workflow)}, in which no query follows '
            'the training'
        )
    if rounds is None:
        raise _WrongError(
            'runner.sample_rounds: required with a flat workflow; got '
            'nothing usable. Write the number of training phases'
        )
    return (phase,) * (rounds - 1) + (Phase(phase.train, False),)


def _nested(
    workflow: Sequence[Any], rounds: int | None
) -> tuple[tuple[Phase, ...], list[str]]:
    notes = []
    phases = []
    for number, entry in enumerate(workflow):
        # (('train', 14)) without its comma is ('train', 14)
        steps = [entry] if _is_step(entry) else entry
        phases.append(_phase(steps, f'workflow[{number}]'))
    for number, phase in enumerate(phases[:-1]):
        if not phase.query:
            raise _WrongError(
                f"workflow[{number}]: wanted (('train', n), ('query', 1)) in "
                'all but the last phase; got no query, so the next phase '
                'would train on the same labels. Join the two phases'
            )
    if phases[-1].query:
        phases[-1] = Phase(phases[-1].train, False)
        notes.append(
            'workflow: the query after the last phase is left out, since '
            'nothing would be trained on its labels'
        )
    if rounds is not None and rounds != len(phases):
        notes.append(
            f'runner.sample_rounds: {rounds}, but the workflow has '
            f'{len(phases)} training phases; the workflow counts'
        )
    return tuple(phases), notes


def _phase(steps: Any, where: str) -> Phase:
    """Read one phase from its one or two steps."""
    if not isinstance(steps, (list, tuple)) or not all(map(_is_step, steps)):
        raise _WrongError(f'{_WANTED}; got {steps!r} as {where}')
    for mode, count in steps:
        if mode not in ('train', 'query'):
            raise _WrongError(
                f"{where}: wanted 'train' or 'query'; got {mode!r}"
            )
        if not isinstance(count, int) or isinstance(count, bool):
            raise _WrongError(
                f'{where}: wanted an integer after {mode!r}; got {count!r}'
            )
        if mode == 'query' and count != 1:
            raise _WrongError(
                f"{where}: wanted ('query', 1), one query after each phase; "
                f"got ('query', {count})"
            )
        if count < 1:
            raise _WrongError(
                f"{where}: wanted at least 1 after 'train'; got {count}: a "
                'phase without training'
            )
    modes = [mode for mode, _ in steps]
    if modes not in (['train'], ['train', 'query']):
        raise _WrongError(
            f"{where}: wanted one 'train', then at most one 'query'; got "
            f'{_show(steps)}. Phases of different length are written '
            'nested, one tuple for each'
        )
    return Phase(int(steps[0][1]), modes[-1] == 'query')


def _show(steps: Sequence[Any]) -> str:
    return '[' + ', '.join(f'({m!r}, {n!r})' for m, n in steps) + ']'
