"""A user's classes, gone again after each test."""

import sys

import pytest
from mmcv.runner import HOOKS
from mmcv.runner.builder import RUNNERS
from mmseg.datasets.builder import DATASETS, PIPELINES
from mmseg.models.builder import HEADS

import segal.datasets
import segal.hooks
import segal.models
import segal.runner  # noqa: F401  (what is put back afterwards)
from segal.registry import HEURISTICS
from tests.dialects.experiment import write

REGISTRIES = (DATASETS, PIPELINES, HEADS, HOOKS, RUNNERS, HEURISTICS)


@pytest.fixture
def configs(tmp_path, monkeypatch):
    """The folder of the configs, beside tiny images."""
    folder = write(tmp_path)
    monkeypatch.syspath_prepend(str(folder))
    before = [dict(registry._module_dict) for registry in REGISTRIES]
    yield folder
    sys.modules.pop('their_parts', None)
    for registry, was in zip(REGISTRIES, before, strict=True):
        registry._module_dict.clear()
        registry._module_dict.update(was)
