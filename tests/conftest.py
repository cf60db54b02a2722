"""What no test may leave to the next one, and what all of them share."""

import os

import pytest
from hypothesis import settings

os.environ['SEGAL_TESTS'] = 'quick'

from segal.registry import REPLACED
from tests import quick
from tests.loggers import forget_loggers

# How long an example takes depends on what else runs on the machine.
settings.register_profile('suite', deadline=None)
settings.load_profile('suite')


def pytest_collection_finish():
    quick.freeze()


@pytest.fixture
def unabridged(monkeypatch):
    """Runs leave out nothing."""
    quick.bring_back(monkeypatch)


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
