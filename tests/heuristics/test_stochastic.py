"""Heuristics on several predictions, worked by hand."""

import math
from dataclasses import replace

import pytest
import torch
from scipy.stats import beta

from segal.active.heuristics import (
    BALD,
    BalEnt,
    Margin,
    MeanEntropy,
    OutputDiscrepancy,
    PowerNoise,
    Tempered,
    VariationRatio,
    VoteEntropy,
)
from segal.errors import ConfigError
from segal.structures import Prediction


def predict(*pixels, source='samples'):
    """One pixel, predicted several times."""
    samples = iter([torch.tensor(p)[:, None, None] for p in pixels])
    return Prediction('a', (1, 1), 0, 1, **{source: samples})


def several(source='samples', classes=4, count=5):
    """An image of 6 x 7 pixels, predicted several times; and the stack."""
    draw = torch.Generator().manual_seed(3)
    stack = 2 * torch.randn(count, classes, 6, 7, generator=draw)
    stack = stack.softmax(1)
    return Prediction('a', (6, 7), 0, 1, **{source: iter(stack)}), stack


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


@pytest.mark.parametrize('source', ['samples', 'committee'])
def test_bald_is_the_mean_divergence_from_the_mean(source):
    """As McCallum and Nigam write it for a committee."""
    asked, stack = several(source)
    options = dict(source='committee') if source == 'committee' else {}
    got = BALD(**options)(asked)
    mean = stack.mean(0)
    wanted = (stack * (stack / mean).log()).sum(1).mean(0) / math.log(4)
    torch.testing.assert_close(got, wanted)


def test_vote_entropy_tells_two_classes_from_many():
    a, b, c = (0.6, 0.3, 0.1), (0.2, 0.5, 0.3), (0.1, 0.2, 0.7)
    split = VoteEntropy(passes=4)(predict(a, a, b, b)).item()
    assert split == pytest.approx(math.log(2) / math.log(3))
    spread = VoteEntropy(passes=4)(predict(a, a, b, c)).item()
    wanted = 0.5 * math.log(2) + 0.5 * math.log(4)
    assert spread == pytest.approx(wanted / math.log(3))
    ratio = VariationRatio(passes=4)
    assert ratio(predict(a, a, b, b)) == ratio(predict(a, a, b, c))
    two = VoteEntropy(passes=2)(predict(a, b)).item()
    assert two == pytest.approx(1)  # the most that two votes can give


class TestBalEnt:
    def test_by_hand(self):
        """Two classes, 0.4 +- 0.2: Beta(2, 3), whose variance is 0.04."""
        score = BalEnt(passes=2)(predict((0.2, 0.8), (0.6, 0.4))).item()
        entropy = -(0.4 * math.log(0.4) + 0.6 * math.log(0.6))
        joint = 0.4 * beta.entropy(3, 3) + 0.6 * beta.entropy(4, 2) + entropy
        assert joint > 0
        assert score == pytest.approx((entropy + math.log(2)) / joint)

    def test_negative_where_they_nearly_agree(self):
        """0.4 +- 0.02: alpha + beta is 599."""
        score = BalEnt(passes=2)(predict((0.38, 0.62), (0.42, 0.58))).item()
        entropy = -(0.4 * math.log(0.4) + 0.6 * math.log(0.6))
        joint = entropy
        for mean in (0.4, 0.6):
            after = beta.entropy(mean * 599 + 1, (1 - mean) * 599)
            joint += mean * after
        assert joint < 0
        wanted = joint / (entropy + math.log(2))
        assert score == pytest.approx(wanted, rel=1e-4)

    def test_moments_are_those_of_the_stack(self):
        asked, stack = several(count=20)
        got = BalEnt(passes=20)(asked).double()
        mean, variance = stack.double().mean(0), stack.double().var(0, False)
        precision = mean * (1 - mean) / variance - 1
        a, b = (mean * precision).numpy(), ((1 - mean) * precision).numpy()
        entropy = torch.special.entr(mean).sum(0)
        joint = (mean * torch.tensor(beta.entropy(a + 1, b))).sum(0) + entropy
        balance = joint / (entropy + math.log(2))
        wanted = torch.where(balance < 0, balance, 1 / balance)
        torch.testing.assert_close(got, wanted, rtol=1e-4, atol=1e-4)

    @pytest.mark.parametrize(
        'pixels',
        [
            ((1.0, 0.0), (0.0, 1.0)),
            ((1.0, 0.0), (1.0, 0.0)),
            ((1.0, 0.0), (1 - 1e-7, 1e-7)),
            ((0.5, 0.5), (0.5, 0.5)),
        ],
    )
    def test_the_ends_are_finite_and_low(self, pixels):
        ends = BalEnt(passes=2)(predict(*pixels)).item()
        assert -1000 < ends < -1


class TestOutputDiscrepancy:
    def test_by_hand(self):
        now, then = (0.7, 0.2, 0.1), (0.3, 0.2, 0.5)
        earlier = predict(now, then, source='committee')
        score = OutputDiscrepancy()(earlier).item()
        assert score == pytest.approx(math.sqrt(0.16 + 0.16) / math.sqrt(2))
        both = predict(now, then, now, source='committee')
        assert OutputDiscrepancy()(both).item() == pytest.approx(score / 2)

    def test_nothing_beside_the_first(self):
        alone = predict((0.7, 0.3), source='committee')
        assert OutputDiscrepancy()(alone).item() == 0


def test_a_temperature_softens_each_of_them():
    probs = ((0.9, 0.1), (0.2, 0.8))
    soft = [torch.tensor(p).sqrt() for p in probs]
    soft = [tuple((p / p.sum()).tolist()) for p in soft]
    wanted = BALD(passes=2)(predict(*soft)).item()
    asked = predict(*probs)
    asked = replace(asked, probs=torch.full((2, 1, 1), 0.5))
    got = Tempered(BALD(passes=2), temperature=2)(asked).item()
    assert got == pytest.approx(wanted)


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


def test_all_of_a_committee_are_taken():
    heuristic = VariationRatio(source='committee')
    assert heuristic.needs == ('committee',)
    a, b = (0.6, 0.4), (0.4, 0.6)
    asked = predict(a, b, a, a, b, source='committee')
    assert heuristic(asked).item() == pytest.approx(2 / 5)
    with pytest.raises(ConfigError, match="not together with source='comm"):
        BALD(passes=3, source='committee')


def test_as_many_as_a_source_gives_unless_said():
    assert BALD().passes == 10
    assert BALD(source='views').passes == 6
    assert BALD(source='committee').passes is None


def test_needs_come_through():
    assert PowerNoise(BALD()).needs == ('samples',)
    assert Margin().needs == ('probs',)
