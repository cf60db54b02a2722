"""What an experiment was begun on is written down, and set again."""

import importlib
import json
import logging

import pytest
import torch

from segal.errors import StateError
from segal.runner.machine import FILE, keep_machine, this_machine

CPU = torch.device('cpu')


@pytest.fixture
def threads():
    """The number of threads of these tests, put back afterwards."""
    before = torch.get_num_threads()
    yield before
    torch.set_num_threads(before)


@pytest.fixture
def logger(caplog):
    caplog.set_level(logging.INFO)
    return logging.getLogger('machine')


def test_threads_are_set_again(threads, logger, tmp_path, caplog):
    torch.set_num_threads(3)
    keep_machine(tmp_path, CPU, logger)
    written = (tmp_path / FILE).read_bytes()
    assert json.loads(written) == this_machine(CPU)
    assert not caplog.records
    torch.set_num_threads(1)
    keep_machine(tmp_path, CPU, logger)
    assert torch.get_num_threads() == 3
    assert '3 threads a process are set' in caplog.text
    assert (tmp_path / FILE).read_bytes() == written


@pytest.mark.parametrize(
    ('name', 'value', 'said'),
    [
        ('processes', 4, 'batches are of another size'),
        ('torch', '2.6.0', 'last bits'),
        ('instructions', 'DEFAULT', 'last bits'),
        ('commit', 40 * '0', 'the code is another'),
    ],
)
def test_what_cannot_be_set_is_said(
    name, value, said, threads, logger, tmp_path, caplog
):
    then = dict(this_machine(CPU), **{name: value})
    (tmp_path / FILE).write_text(json.dumps(then))
    keep_machine(tmp_path, CPU, logger)
    (record,) = caplog.records
    assert record.levelname == 'WARNING'
    assert f'{name}: {value} when the experiment began' in record.message
    assert said in record.message


@pytest.mark.parametrize('kind', ['module', 'package'])
def test_a_module_of_the_users_that_changed_is_named(
    kind, threads, logger, tmp_path, caplog, monkeypatch
):
    name, place = f'own_{kind}', tmp_path / f'own_{kind}.py'
    if kind == 'package':
        (tmp_path / name).mkdir()
        (tmp_path / name / '__init__.py').write_text('from . import score\n')
        place = tmp_path / name / 'score.py'
    place.write_text('SIGN = 1\n')
    monkeypatch.syspath_prepend(tmp_path)
    importlib.import_module(name)
    for _ in range(2):
        keep_machine(tmp_path, CPU, logger, [name])
    assert not caplog.records
    place.write_text('SIGN = -1\n')
    keep_machine(tmp_path, CPU, logger, [name])
    (record,) = caplog.records
    assert f'modules: {name} (' in record.message
    assert 'your code is another' in record.message


@pytest.mark.parametrize('text', ['', '{}', '[]', '{"threads": 0}'])
def test_a_hurt_record_is_an_error(text, logger, tmp_path):
    (tmp_path / FILE).write_text(text)
    with pytest.raises(StateError, match=r'machine\.json: .*or delete it'):
        keep_machine(tmp_path, CPU, logger)
    assert (tmp_path / FILE).read_text() == text
