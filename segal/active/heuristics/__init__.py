"""Heuristics: how much a label would teach, pixel by pixel."""

from .class_aware_random import ClassAwareRandom
from .entropy import Entropy
from .heuristics import BaseHeuristic
from .least_confidence import LeastConfidence
from .margin import Margin
from .one_vs_rest_entropy import OneVsRestEntropy
from .random import Random
from .ratio import Ratio
from .ripu import RIPU

__all__ = [
    'RIPU',
    'BaseHeuristic',
    'ClassAwareRandom',
    'Entropy',
    'LeastConfidence',
    'Margin',
    'OneVsRestEntropy',
    'Random',
    'Ratio',
]
