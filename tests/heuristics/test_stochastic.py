"""Heuristics on several predictions, worked by hand."""

import math

import pytest
import torch

from segal.active.heuristics import (
    BALD,
    Margin,
    MeanEntropy,
    PowerNoise,
    VariationRatio,
)
from segal.errors import ConfigError
from segal.structures import Prediction


def predict(*pixels):
    """One pixel, predicted several times."""
    samples = iter([torch.tensor(p)[:, None, None] for p in pixels])
    return Prediction('a', (1, 1), 0, 1, samples=samples)


def test_bald_tells_contradiction_from_doubt():
    doubt = BALD(passes=2)(predict((0.5, 0.5), (0.5, 0.5)))
    contradiction = BALD(passes=2)(predict((1.0, 0.0), (0.0, 1.0)))
    assert doubt.item() == pytest.approx(0, abs=1e-6)
    assert contradiction.item() == pytest.approx(1)
    between = BALD(passes=2)(predict((0.9, 0.1), (0.5, 0.5))).item()

    def h(p):
        return -(p * math.log(p) + (1 - p) * math.log(1 - p)) / math.log(2)

    assert between == pytest.approx(h(0.7) - (h(0.9) + h(0.5)) / 2)


def test_mean_entropy_cannot_tell_them_apart():
    for pixels in (((0.5, 0.5),) * 2, ((1.0, 0.0), (0.0, 1.0))):
        assert MeanEntropy(passes=2)(predict(*pixels)).item() == 1


def test_variation_ratio_counts_votes():
    a, b, c = (0.6, 0.3, 0.1), (0.2, 0.5, 0.3), (0.1, 0.2, 0.7)
    score = VariationRatio(passes=5)(predict(a, b, a, c, a))
    assert score.item() == pytest.approx(2 / 5)


def test_only_as_many_are_taken_as_asked_for():
    asked = predict((1.0, 0.0), (0.0, 1.0), (0.0, 1.0))
    BALD(passes=2)(asked)
    assert next(asked.samples)[1].item() == 1
    with pytest.raises(StopIteration):
        next(asked.samples)


def test_one_pass_tells_nothing():
    with pytest.raises(ConfigError, match='passes: wanted 2 or more; got 1'):
        BALD(passes=1)


def test_views_in_place_of_dropout():
    heuristic = BALD(passes=2, source='views')
    assert heuristic.needs == ('views',)
    views = iter([torch.tensor(p)[:, None, None] for p in ((1.0, 0), (0, 1))])
    asked = Prediction('a', (1, 1), 0, 1, views=views)
    assert heuristic(asked).item() == pytest.approx(1)
    with pytest.raises(ConfigError, match='up to 6 views; got 7'):
        BALD(passes=7, source='views')
    with pytest.raises(ConfigError, match="did you mean 'views'"):
        BALD(source='view')


def test_needs_come_through():
    assert PowerNoise(BALD()).needs == ('samples',)
    assert Margin().needs == ('probs',)
