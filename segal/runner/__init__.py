"""Run the rounds of an experiment, and the training phase of each."""

import segal.registry  # noqa: F401  (lets a user's class win a name)
from segal.runner.active_learning_runner import ActiveLearningRunner
from segal.runner.inner import RoundEpochRunner, RoundIterRunner

__all__ = ['ActiveLearningRunner', 'RoundEpochRunner', 'RoundIterRunner']
