"""Write the tables of keys into ``al_config_guide.md``, from the code.

Each table stands below a mark with the section that it lists; the tables of
``active_learning`` are split by topic and list the names in their marks.
"""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from segal.config.keys import KEYS, Key

GUIDE = Path(__file__).resolve().parents[1] / 'al_config_guide.md'
HEADER = '| Key | Takes | Default | Unit | Meaning |'
MARK = re.compile(r'<!-- keys: (.*?) -->\n(?:\|.*\n)*')


def row(key: Key) -> str:
    """Write the row of a key."""
    default = key.default if key.shown else f'`{key.default}`'
    cells = (f'`{key.name}`', key.wanted, default, key.unit, key.meaning)
    return '| ' + ' | '.join(cells) + ' |'


def table(names: list[str]) -> str:
    """Write the table of some keys and of all keys inside them."""
    rows = [
        row(key)
        for name in names
        for key in KEYS
        if key.name == name or key.name.startswith(name + '.')
    ]
    return '\n'.join([HEADER, '| --- | --- | --- | --- | --- |', *rows, ''])


def written(text: str) -> str:
    """Write all tables of a guide anew."""
    return MARK.sub(
        lambda m: f'<!-- keys: {m[1]} -->\n{table(m[1].split())}', text
    )


def main(arguments: list[str] | None = None) -> int:
    """Write the guide, or check that it is up to date."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--check', action='store_true')
    args = parser.parse_args(arguments)
    text = GUIDE.read_text()
    if args.check:
        if written(text) == text:
            return 0
        sys.stderr.write(f'{GUIDE}: run tools/config_tables.py\n')
        return 1
    GUIDE.write_text(written(text))
    return 0


if __name__ == '__main__':
    sys.exit(main())
