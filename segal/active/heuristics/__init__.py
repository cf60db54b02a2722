"""Heuristics: how much a label would teach, pixel by pixel."""

from .bald import BALD
from .class_aware_random import ClassAwareRandom
from .class_balanced import ClassBalanced
from .composed import ComposedHeuristic
from .entropy import Entropy
from .heuristics import BaseHeuristic
from .least_confidence import LeastConfidence
from .margin import Margin
from .mean_entropy import MeanEntropy
from .one_vs_rest_entropy import OneVsRestEntropy
from .power_noise import PowerNoise
from .random import Random
from .ratio import Ratio
from .ripu import RIPU
from .smoothed import Smoothed
from .stochastic import StochasticHeuristic
from .tempered import Tempered
from .variation_ratio import VariationRatio

__all__ = [
    'BALD',
    'RIPU',
    'BaseHeuristic',
    'ClassAwareRandom',
    'ClassBalanced',
    'ComposedHeuristic',
    'Entropy',
    'LeastConfidence',
    'Margin',
    'MeanEntropy',
    'OneVsRestEntropy',
    'PowerNoise',
    'Random',
    'Ratio',
    'Smoothed',
    'StochasticHeuristic',
    'Tempered',
    'VariationRatio',
]
