"""What tests of reports share."""

import pytest

from segal.report import page


@pytest.fixture
def no_charts(monkeypatch):
    """They take most of the time of a report."""
    monkeypatch.setattr(page, 'draw_all', lambda *_: {})
