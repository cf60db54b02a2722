"""Read a config once, into one frozen object."""

from segal.config.checks import check_against_data
from segal.config.fingerprint import (
    differing_keys,
    dump_config,
    fingerprint,
)
from segal.config.keys import Sources, Visualize
from segal.config.load import load_config
from segal.config.read import read_config
from segal.config.schema import ActiveLearningConfig, Phase, Reset
from segal.openmmlab.bases import mmseg_config, segal_config

__all__ = [
    'ActiveLearningConfig',
    'Phase',
    'Reset',
    'Sources',
    'Visualize',
    'check_against_data',
    'differing_keys',
    'dump_config',
    'fingerprint',
    'load_config',
    'mmseg_config',
    'read_config',
    'segal_config',
]
