"""What must be true of the heuristic; two pixels worked by hand."""

import torch

from experiments.custom_heuristic.gini import Gini
from segal.structures import Prediction


def score(*pixel):
    probs = torch.tensor(pixel)[:, None, None]  # (C, 1, 1)
    return Gini()(Prediction('a.png', (1, 1), 0, 1, probs)).item()


def test_by_hand():
    assert score(1.0, 0.0, 0.0) == 0
    assert abs(score(0.5, 0.3, 0.2) - 0.62) < 1e-6
    assert abs(score(0.25, 0.25, 0.25, 0.25) - 0.75) < 1e-6
