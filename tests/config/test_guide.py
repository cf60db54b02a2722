"""The guide says what the code does."""

import re
from pathlib import Path

import pytest

import segal.active.selectors  # noqa: F401  (registers them)
from segal.active.heuristics import BaseHeuristic
from segal.config import load_config, read_config
from segal.config.keys import BY_NAME, KEYS, Experiment
from segal.registry import HEURISTICS, SELECTORS
from tests.tools.load import tool

GUIDE = Path(__file__).parents[2] / 'al_config_guide.md'


def test_the_guide_tells_of_every_heuristic():
    rows = re.findall(r'^\| `(\w+)`.*\|$', GUIDE.read_text(), re.MULTILINE)
    ours = {
        name
        for name, cls in HEURISTICS.module_dict.items()
        if cls.__module__.startswith('segal.')
        and issubclass(cls, BaseHeuristic)
    }
    assert len(ours) > 10
    assert ours <= set(rows)


def test_the_guide_tells_of_every_selector():
    text = GUIDE.read_text()
    cells = re.findall(
        r'^\| (`\w+`[^|]*)\| (?:pixel|region|image) \|', text, re.M
    )
    told = {name for cell in cells for name in re.findall(r'`(\w+)`', cell)}
    ours = {
        name
        for name, cls in SELECTORS.module_dict.items()
        if cls.__module__.startswith('segal.')
    }
    assert len(ours) > 10
    assert ours <= told


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
