"""Check, plan and shorten an experiment before labels are bought.

A part that cannot be built, or fails on an image, is found here: after labels
are bought, its mend would be another config, which is another experiment.
"""

from segal.preflight.base import Preflight
from segal.preflight.check import check_experiment
from segal.preflight.plan import plan_of
from segal.preflight.read import read_experiment

__all__ = ['Preflight', 'check_experiment', 'plan_of', 'read_experiment']
