"""What no test may leave to the next one."""

import pytest

from segal.registry import REPLACED
from tests.loggers import forget_loggers


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
