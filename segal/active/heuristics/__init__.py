"""Register the heuristics: scores of pixels, higher is labelled first."""

from .bal_ent import BalEnt
from .bald import BALD
from .class_aware_random import ClassAwareRandom
from .class_balanced import ClassBalanced
from .composed import ComposedHeuristic
from .entropy import Entropy
from .expected_gradient_length import ExpectedGradientLength
from .gumbel import GumbelHeuristic
from .heuristics import BaseHeuristic
from .least_confidence import LeastConfidence
from .margin import Margin
from .mean_entropy import MeanEntropy
from .one_vs_rest_entropy import OneVsRestEntropy
from .output_discrepancy import OutputDiscrepancy
from .power_noise import PowerNoise
from .random import Random
from .ratio import Ratio
from .region_impurity import RegionImpurity
from .ripu import RIPU
from .smoothed import Smoothed
from .softmax_noise import SoftmaxNoise
from .softrank_noise import SoftrankNoise
from .stochastic import StochasticHeuristic
from .tempered import Tempered
from .variation_ratio import VariationRatio
from .vote_entropy import VoteEntropy

__all__ = [
    'BALD',
    'RIPU',
    'BalEnt',
    'BaseHeuristic',
    'ClassAwareRandom',
    'ClassBalanced',
    'ComposedHeuristic',
    'Entropy',
    'ExpectedGradientLength',
    'GumbelHeuristic',
    'LeastConfidence',
    'Margin',
    'MeanEntropy',
    'OneVsRestEntropy',
    'OutputDiscrepancy',
    'PowerNoise',
    'Random',
    'Ratio',
    'RegionImpurity',
    'Smoothed',
    'SoftmaxNoise',
    'SoftrankNoise',
    'StochasticHeuristic',
    'Tempered',
    'VariationRatio',
    'VoteEntropy',
]
