"""Read command lines without importing torch or mmcv."""

from __future__ import annotations

import argparse
import functools
import io
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from segal.errors import SegALError, last_words

Main = Callable[[Sequence[str] | None], int]


def with_exit_codes(main: Main) -> Main:
    """Let a command end with one line and an exit code on errors of a user.

    With ``--debug`` among the arguments, the error is raised. Letters that
    the terminal does not have are written as escapes.
    """

    @functools.wraps(main)
    def run(arguments: Sequence[str] | None = None) -> int:
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(errors='backslashreplace')
        try:
            return main(arguments)
        except SegALError as error:
            if '--debug' in (sys.argv if arguments is None else arguments):
                raise
            sys.stderr.write(f'Error: {last_words(error)}\n')
            return error.exit_code

    return run


class KeyValues(argparse.Action):
    """Read ``key=value ...`` as mmcv's ``DictAction`` does.

    A mistake is an error of the parser, in place of a traceback.
    """

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[Any] | None,
        option_string: str | None = None,
    ) -> None:
        """Store the options of one occurrence, as a dict."""
        from mmcv import DictAction

        words = [str(value) for value in values or ()]
        try:
            DictAction(self.option_strings, self.dest)(
                parser, namespace, words
            )
        except (ValueError, AssertionError) as error:
            parser.error(
                f'argument {self.option_strings[0]}: wanted key=value ..., '
                f'such as runner.sample_rounds=3; got {" ".join(words)} '
                f'({error})'
            )


def at_least(least: int) -> Callable[[str], int]:
    """Read a whole number from some number on; a type of argparse."""

    def whole(text: str) -> int:
        number = int(text)
        if number < least:
            raise argparse.ArgumentTypeError(
                f'wanted {least} or more, got {text}'
            )
        return number

    return whole


def make_parser(summary: str | None, example: str) -> argparse.ArgumentParser:
    """Make the parser of a tool: ``--debug``, and help with an example.

    Args:
        summary: Docstring of the tool, or its first line.
        example: Command lines, without ``segal``.
    """
    lines = '\n'.join(f'  segal {line}' for line in example.splitlines())
    parser = argparse.ArgumentParser(
        description=summary,
        epilog=f'example:\n{lines}',
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        '--debug', action='store_true', help='show the traceback of errors'
    )
    return parser


def add_full(parser: argparse.ArgumentParser) -> None:
    """Add ``--full``, the work_dirs of fully supervised runs."""
    parser.add_argument(
        '--full',
        nargs='+',
        type=Path,
        default=[],
        metavar='WORK_DIR',
        help='fully supervised runs on the same data (those whose first '
        'labels are the whole pool are known as such)',
    )
