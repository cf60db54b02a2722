"""What no test may leave to the next one, and what all of them share."""

import os

import pytest

os.environ['SEGAL_TESTS'] = 'quick'

from segal.registry import REPLACED
from tests import quick
from tests.loggers import forget_loggers


def pytest_collection_finish():
    quick.freeze()


@pytest.fixture
def unabridged(monkeypatch):
    """Runs draw their curves and lay out their configs, as users' do."""
    for module, name, function in quick.LEFT_OUT:
        monkeypatch.setattr(module, name, function)


@pytest.fixture(autouse=True)
def own_loggers():
    """No logger writes to where an earlier test was captured."""
    yield
    forget_loggers()


@pytest.fixture(autouse=True)
def own_names():
    """No class of one test is told of in another."""
    yield
    REPLACED.clear()
