"""List the commands of ``segal``, without importing them."""

from __future__ import annotations

from typing import NamedTuple


class Command(NamedTuple):
    """A command of ``segal``.

    Attributes:
        name: As typed.
        module: In ``segal.commands``; it has ``main(arguments) -> int``.
        summary: Its line in the list.
    """

    name: str
    module: str
    summary: str


GROUPS = {
    'Begin': (
        Command('init', 'init', 'write a config for a folder of images'),
        Command('train', 'train', 'run an experiment, or go on with it'),
        Command('annotate', 'annotate', 'label in a browser what is asked'),
    ),
    'Look': (
        Command('status', 'status', 'how far a run is, and what is next'),
        Command('report', 'report', 'compare runs in one page'),
        Command('inspect', 'inspect_round', 'draw what a round bought'),
        Command('labels', 'labels', 'check, show and export bought labels'),
        Command('test', 'test', 'evaluate a checkpoint'),
        Command('predict', 'predict', 'predict masks for a folder of images'),
        Command('query', 'query', 'choose what to label in a folder'),
    ),
    'Compare': (
        Command('sweep', 'sweep', 'run heuristics x seeds of one config'),
        Command('lease', 'lease', 'work through a plan in some minutes'),
        Command('ablation', 'ablation', 'compare folders of runs with a base'),
        Command(
            'collect-results', 'collect_results', 'write a results.json'
        ),
        Command('plot-results', 'plot_results', 'draw its learning curves'),
        Command('drift', 'drift', 'repeat a run, compare it bit by bit'),
    ),
    'Prepare': (
        Command(
            'pretrain-ssl', 'pretrain_ssl', 'pretrain a backbone on the pool'
        ),
        Command(
            'first-draw', 'first_draw', 'compare the first images of configs'
        ),
    ),
}  # fmt: skip
"""Title -> commands."""

COMMANDS = {one.name: one for group in GROUPS.values() for one in group}
"""Name -> command."""
