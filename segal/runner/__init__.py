"""The outer runner of the rounds, and the inner ones of each."""

from segal.runner.active_learning_runner import ActiveLearningRunner
from segal.runner.inner import RoundEpochRunner, RoundIterRunner

__all__ = ['ActiveLearningRunner', 'RoundEpochRunner', 'RoundIterRunner']
