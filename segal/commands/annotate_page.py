"""Write a page to mail."""

from __future__ import annotations

import argparse

from segal.annotation.offline import MEGABYTE, write_page


def run_page(args: argparse.Namespace) -> int:
    """Write the page of one person, and say what to do with it."""
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
    print(
        'Mail the file. It opens in any browser, without a network; the file '
        'that it gives back is read by `python -m segal annotate take '
        f'{args.work_dir} FILE`'
    )
    return 0
