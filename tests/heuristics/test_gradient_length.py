"""The length of a gradient, against the gradient itself."""

import math

import pytest
import torch
from torch.nn import functional as F

from segal.active.heuristics import ExpectedGradientLength
from segal.active.heuristics.expected_gradient_length import feature_length
from segal.structures import Prediction


def test_it_is_what_autograd_says():
    """One pixel, a last layer of 5 features and 3 classes."""
    draw = torch.Generator().manual_seed(0)
    weights = torch.randn(3, 5, generator=draw, requires_grad=True)
    features = torch.randn(5, generator=draw)
    probs = (weights @ features).softmax(0).detach()
    wanted = 0.0
    for label in range(3):
        logits = (weights @ features)[None]
        loss = F.cross_entropy(logits, torch.tensor([label]))
        (gradient,) = torch.autograd.grad(loss, weights)
        wanted += probs[label].item() * gradient.norm().item()
    asked = Prediction(
        'a', (1, 1), 0, 1, probs[:, None, None],
        features=features[:, None, None],
    )  # fmt: skip
    score = ExpectedGradientLength(features=True)(asked)
    assert score.item() == pytest.approx(wanted, rel=1e-5)


def test_features_count_where_asked_for():
    assert ExpectedGradientLength().needs == ('probs',)
    assert ExpectedGradientLength(features=True).needs == ('probs', 'features')
    probs = torch.full((2, 4, 6), 0.5)
    features = torch.zeros(3, 2, 3)
    features[:, 0, 0] = 2.0
    asked = Prediction('a', (4, 6), 0, 1, probs, features=features)
    plain = ExpectedGradientLength()(asked)
    assert plain.unique().item() == pytest.approx(math.sqrt(0.5))
    score = ExpectedGradientLength(features=True)(asked)
    assert score[0, 0] == pytest.approx(math.sqrt(0.5) * math.sqrt(12))
    assert score[3, 5] == 0


@pytest.mark.parametrize('channels', [1, 16, 37])
def test_resized_first_and_measured_then(channels):
    draw = torch.Generator().manual_seed(1)
    features = torch.randn(channels, 5, 7, generator=draw)
    whole = F.interpolate(features[None], (20, 31), mode='bilinear')[0]
    got = feature_length(features, (20, 31))
    torch.testing.assert_close(got, whole.norm(dim=0))
