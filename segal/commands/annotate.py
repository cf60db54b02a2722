"""Label in a browser what a run asks.

    segal annotate loop CONFIG [GPUS]        serve and train in turn
    segal annotate serve WORK_DIR            the page alone
    segal annotate status WORK_DIR [--json]  who is how far
    segal annotate close WORK_DIR            train on what is answered
    segal annotate val CONFIG [OUT]          make a validation set
    segal annotate page WORK_DIR OUT.html --annotator NAME
                                             a page to mail
    segal annotate costs WORK_DIR            prices, measured
    segal annotate errors WORK_DIR           answers that may be wrong
    segal annotate export WORK_DIR OUT --to cvat
                                             questions for another tool
    segal annotate take WORK_DIR FILE ...    its answers
    segal annotate fork WORK_DIR NEW --round K --reopen road 17
                                             correct a round in a copy

Exit codes: 0, 2 wrong options, 3 alien or broken answers (take), 4 damaged or
foreign files, 6 answers are missing (status).
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from segal.annotation.asked import asked_now
from segal.annotation.folder import AnnotationFolder
from segal.arguments import KeyValues, make_parser, with_exit_codes
from segal.commands import annotate_errors
from segal.commands.annotate_serve import add_address, serve_page
from segal.commands.annotate_tools import add_verbs
from segal.errors import AnswersWanted, StateError


def status(args: argparse.Namespace) -> int:
    """Print how far the round is, and each person."""
    from segal.annotation.measure import paces, seconds_left
    from segal.annotation.several import agreement_lines, several_told
    from segal.report.outlook import outlook_words, read_outlook

    asked = asked_now(args.work_dir)
    if asked is None:
        rounds = len(AnnotationFolder(args.work_dir).rounds())
        told: dict[str, Any] = dict(asked=None, answered_rounds=rounds)
        print(
            json.dumps(told, indent=1)
            if args.json
            else f'{args.work_dir}: nothing is asked now; {rounds} rounds '
            'are answered'
        )
        return 0
    state, request = asked.state, asked.request
    outlook = read_outlook(args.work_dir, requests=len(request))
    left = seconds_left(state)
    people = paces(state)
    several = asked.folder, request, state, asked.classes
    if args.json:
        told = dict(
            asked=dict(
                round=request.round,
                unit=request.unit,
                request=request.sha256,
                items=len(request),
                answered=state.answered,
                skipped=state.skipped,
                seconds_left=left,
            ),
            people=[one._asdict() for one in people],
            outlook=outlook and outlook.as_json(),
            **several_told(several),
        )
        print(json.dumps(told, indent=1))
    else:
        print(f'{args.work_dir}, round {request.round}: {asked.words}')
        for one in people:
            each = one.seconds_per_answer
            pace = '' if each is None else f', {each:.1f} s each'
            print(
                f'  {one.who}: {one.answered:,} answered{pace}, '
                f'{one.minutes:.0f} min so far'
            )
        for line in agreement_lines(several):
            print(f'  {line}')
        if left is not None:
            print(f'  about {left / 60:.0f} min left, for one person')
        if outlook is not None:
            print(f'  {outlook_words(outlook)}')
    return 0 if asked.is_complete else AnswersWanted.exit_code


def close(args: argparse.Namespace) -> int:
    """Take no further answers in this round."""
    asked = asked_now(args.work_dir)
    if asked is None:
        raise StateError(f'{args.work_dir}: nothing is asked now')
    if not asked.state.given:
        raise StateError(
            f'{args.work_dir}: wanted at least one answer to train on, got '
            'none'
        )
    folder = AnnotationFolder(args.work_dir)
    folder.close(asked.request.round, 'segal annotate close')
    print(
        f'{args.work_dir}, round {asked.request.round}: {asked.words}; the '
        'rest stays free. The next start of the run trains on these.'
    )
    return 0


def costs(args: argparse.Namespace) -> int:
    """Print the prices of requests, measured."""
    from segal.active.label_store.pool_file import read_pool
    from segal.annotation.measure import TRIMMED, prices

    folder = AnnotationFolder(args.work_dir)
    classes = read_pool(args.work_dir).classes
    found = prices(folder.answered(len(classes)))
    if not found:
        raise StateError(
            f'{args.work_dir}: wanted measured answers, got none yet'
        )
    print(
        f'# seconds, from {args.work_dir}: means without the shortest and '
        f'the longest {TRIMMED:.0%}'
    )
    for name, price in found.items():
        print(
            f'#   {name}: {price.seconds:.2f}, 95 % from {price.low:.2f} to '
            f'{price.high:.2f}, {price.answers:,} answers'
        )
    told = ', '.join(
        f'{name}={max(0.0, price.seconds):.2f}'
        for name, price in found.items()
    )
    print(f"active_learning['costs'] = dict(unit='seconds', {told})")
    return 0


def fork(args: argparse.Namespace) -> int:
    """Copy an experiment, and open a round of it again."""
    from segal.annotation.fork import fork as copy

    items, opened = copy(args.work_dir, args.new, args.round, args.reopen)
    print(
        f'{args.new}: a copy up to round {args.round}, in which {opened:,} '
        f'of {items:,} items are open. Answer them with `segal annotate '
        f'serve {args.new}`, then run the config with --work-dir {args.new}'
    )
    return 0


def loop(args: argparse.Namespace) -> int:
    """Serve and train in turn until all rounds are done."""
    from segal.commands.annotate_loop import run_loop

    return run_loop(args)


def val(args: argparse.Namespace) -> int:
    """Make a validation set."""
    from segal.commands.annotate_loop import run_val

    return run_val(args)


def page(args: argparse.Namespace) -> int:
    """Write the page of one person, and say what to do with it."""
    from segal.annotation.export import no_share_words
    from segal.annotation.offline import MEGABYTE, write_page

    done = write_page(
        args.work_dir, args.out, args.annotator, args.items, args.mb
    )
    print(
        f'{args.out}: {done.items:,} of {done.open:,} open items for '
        f'{args.annotator}, {done.size / MEGABYTE:.1f} MB'
    )
    if done.items < done.wanted:
        print(
            f'{done.wanted - done.items:,} more do not fit in {args.mb:g} MB '
            '(--mb), and are left for others'
        )
    if words := no_share_words(args.work_dir, args.annotator):
        print(words)
    print(
        'Mail the file. It opens in any browser, without a network; the file '
        'that it gives back is read by `python -m segal annotate take '
        f'{args.work_dir} FILE`'
    )
    return 0


def _add_config(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('config', type=Path, help='config of the experiment')
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=KeyValues,
        help='keys to change, such as runner.sample_rounds=3',
    )
    parser.add_argument(
        '--points',
        type=int,
        default=50,
        help='random pixels an image of the validation set (default: '
        '%(default)s)',
    )


def _parser() -> argparse.ArgumentParser:
    parser = make_parser(__doc__, 'annotate loop my_experiment/config.py 1')
    verbs = parser.add_subparsers(required=True, metavar='COMMAND')

    def verb(name: str, function: Any, summary: str) -> Any:
        one = verbs.add_parser(name, help=summary, description=summary)
        one.set_defaults(function=function)
        if name in ('serve', 'loop', 'val'):
            add_address(one)
        if name in ('loop', 'val'):
            _add_config(one)
        else:
            one.add_argument('work_dir', type=Path)
        return one

    found = verb('loop', loop, 'serve and train in turn, to the end')
    found.add_argument('gpus', type=int, nargs='?', default=1)
    found.add_argument(
        '--work-dir', type=Path, help='folder of the experiment'
    )
    verb('serve', serve_page, 'serve the page alone')
    found = verb('status', status, 'show who is how far')
    found.add_argument('--json', action='store_true')
    verb('close', close, 'train on what is answered')
    found = verb('val', val, 'make a validation set of random pixels')
    found.add_argument(
        'out', type=Path, nargs='?', help='folder (default: data.val.ann_dir)'
    )
    found = verb('page', page, 'write a page to mail, which works offline')
    found.add_argument('out', type=Path, help='the HTML file')
    found.add_argument(
        '--annotator', required=True, metavar='NAME', help='who answers it'
    )
    found.add_argument(
        '--items', type=int, help='at most so many (default: all that fit)'
    )
    found.add_argument(
        '--mb',
        type=float,
        default=20.0,
        help='largest size, in 10^6 bytes (default: %(default)g)',
    )
    verb('costs', costs, 'print measured prices for active_learning.costs')
    found = verb(
        'errors', annotate_errors.run, 'list answers that may be wrong'
    )
    annotate_errors.add_options(found)
    found = verb('fork', fork, 'correct a round in a copy')
    found.add_argument('new', type=Path)
    found.add_argument('--round', type=int, required=True)
    found.add_argument(
        '--reopen',
        nargs='+',
        default=['all'],
        help='names of classes, numbers of items, void, cant_tell, errors '
        '(that the model contradicts) or all',
    )
    add_verbs(verb)
    return parser


@with_exit_codes
def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command of the arguments, and return the exit code."""
    args = _parser().parse_args(arguments)
    return int(args.function(args))
