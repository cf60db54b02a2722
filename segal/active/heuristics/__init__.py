"""Heuristics: how much a label would teach, pixel by pixel."""

from .entropy import Entropy
from .heuristics import BaseHeuristic
from .least_confidence import LeastConfidence
from .margin import Margin
from .random import Random

__all__ = ['BaseHeuristic', 'Entropy', 'LeastConfidence', 'Margin', 'Random']
