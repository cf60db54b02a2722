"""The guide says what the code does."""

import re
from pathlib import Path

import pytest

from segal.config import load_config, read_config
from segal.config.keys import BY_NAME, KEYS, children

GUIDE = Path(__file__).parents[2] / 'al_config_guide.md'
HEADER = '| Key | Takes | Default | Unit | Meaning |'


def tables():
    """Key -> its row's other cells, in the order of the guide."""
    found, inside = [], False
    for line in GUIDE.read_text().splitlines():
        if not line.startswith('|'):
            inside = False
        elif line == HEADER:
            inside = True
        elif inside and not line.startswith('| ---'):
            name, *cells = (cell.strip() for cell in line.split('|')[1:-1])
            found.append((name.strip('`'), cells))
    return found


def test_the_guide_has_every_key_once_and_no_other():
    names = [name for name, _ in tables()]
    assert sorted(names) == sorted(key.name for key in KEYS)
    assert len(BY_NAME) == len(KEYS)


@pytest.mark.parametrize(('name', 'cells'), tables())
def test_every_row_is_that_of_the_code(name, cells):
    key = BY_NAME[name]
    takes, default, unit, meaning = cells
    assert takes == key.kind.wanted
    assert default.strip('`') == key.default_text
    assert unit == key.unit
    assert meaning == key.meaning


@pytest.mark.parametrize('key', KEYS, ids=lambda key: key.name)
def test_every_key_is_explained_and_takes_its_own_default(key):
    assert key.meaning.endswith('.')
    if key.default_text != 'required':
        assert key.kind.accepts(key.default)


def test_numbers_have_units():
    for key in KEYS:
        if 'number' in key.kind.wanted or 'integer' in key.kind.wanted:
            assert key.unit or key.name == 'seed', key.name


def test_sections_are_known():
    assert children('active_learning.settings') == [
        'image',
        'mixed',
        'pixel',
        'region',
    ]


def test_the_first_example_runs(tmp_path):
    example = re.search(r'```python\n(.*?)```', GUIDE.read_text(), re.S)
    path = tmp_path / 'example.py'
    path.write_text(example[1])
    config, problems, _ = read_config(load_config(str(path)))
    assert problems == []
    assert config.heuristic == {'type': 'Margin'}
