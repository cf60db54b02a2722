"""The guide says what the code does."""

import re
from pathlib import Path

import pytest

from segal.config import load_config, read_config
from segal.config.keys import BY_NAME, KEYS, Experiment
from tests.tools.load import tool

GUIDE = Path(__file__).parents[2] / 'al_config_guide.md'


def test_the_tables_of_keys_are_those_of_the_code():
    tables = tool('config_tables')
    text = GUIDE.read_text()
    assert tables.written(text) == text
    names = re.findall(r'^\| `([\w.]+)` \|.*\|.*\|.*\|.*\|$', text, re.M)
    assert sorted(name for name in names if name in BY_NAME) == sorted(BY_NAME)
    assert len(BY_NAME) == len(KEYS) > 70


@pytest.mark.parametrize('key', KEYS, ids=lambda key: key.name)
def test_every_key_is_explained(key):
    assert key.meaning.endswith('.')


def test_every_key_takes_its_own_default():
    assert Experiment.model_validate({}) == Experiment()


def test_numbers_have_units():
    for key in KEYS:
        if 'number' in key.wanted or 'integer' in key.wanted:
            assert key.unit or key.name == 'seed', key.name


def test_the_first_example_runs(tmp_path):
    example = re.search(r'```python\n(.*?)```', GUIDE.read_text(), re.S)
    path = tmp_path / 'example.py'
    path.write_text(example[1])
    config, problems, _ = read_config(load_config(str(path)))
    assert problems == []
    assert config.heuristic == {'type': 'Margin'}
