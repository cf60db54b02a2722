"""Run a command: ``segal train CONFIG``, the same as ``python -m segal``."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence

from segal import __version__
from segal.commands import COMMANDS, GROUPS
from segal.errors import nearest


def listing() -> str:
    """List all commands in groups, one line each."""
    lines = [
        'Usage: segal COMMAND [arguments]',
        '',
        'Active learning for semantic segmentation.',
    ]
    for title, group in GROUPS.items():
        lines += ['', f'{title}:']
        lines += [f'  {one.name:16} {one.summary}' for one in group]
    lines += [
        '',
        'segal COMMAND --help shows its options and an example. To begin:',
        '  segal train experiments/quickstart/quickstart.py',
        '  segal init photos/ --masks masks/ --out my_experiment',
    ]
    return '\n'.join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command that is named.

    Args:
        arguments: Of the command line, ``sys.argv`` by default.

    Returns:
        The exit code of the command; 2 where there is no such command.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    if not words or words[0] in ('-h', '--help', 'help'):
        sys.stdout.write(listing() + '\n')
        return 0
    if words[0] == '--version':
        sys.stdout.write(f'segal {__version__}\n')
        return 0
    name, *rest = words
    command = COMMANDS.get(name.replace('_', '-'))
    if command is None:
        sys.stderr.write(
            f'segal: {name!r} is no command{nearest(name, COMMANDS)}\n'
        )
        return 2
    module = importlib.import_module(f'segal.commands.{command.module}')
    sys.argv = [f'segal {command.name}', *rest]  # argparse names it so
    return int(module.main(rest))


if __name__ == '__main__':
    sys.exit(main())
