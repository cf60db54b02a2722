"""Heuristics around heuristics."""

import math

import pytest
import torch

from segal.active.heuristics import (
    BaseHeuristic,
    ClassBalanced,
    Entropy,
    LeastConfidence,
    Margin,
    PowerNoise,
    Random,
    Smoothed,
    SoftmaxNoise,
    SoftrankNoise,
    Tempered,
)
from segal.active.heuristics.softrank_noise import mean_ranks
from segal.errors import ConfigError, SegALError
from segal.registry import HEURISTICS
from segal.structures import Prediction


def predict(probs, **changes):
    fields = dict(name='a', size=tuple(probs.shape[1:]), seed=0, round=1)
    return Prediction(**{**fields, 'probs': probs, **changes})


def some_probs(size=(12, 17), classes=3):
    generator = torch.Generator().manual_seed(0)
    return (3 * torch.randn(classes, *size, generator=generator)).softmax(0)


def test_needs_are_those_of_both():
    assert Smoothed(Random()).needs == ()
    assert PowerNoise(Margin()).needs == ('probs',)
    assert ClassBalanced(Random()).needs == ('probs', 'pool')
    assert Smoothed(ClassBalanced(Margin())).needs == ('probs', 'pool')


def test_they_nest_and_are_built_from_a_config():
    built = HEURISTICS.build(
        dict(
            type='PowerNoise',
            beta=2.0,
            of=dict(type='Smoothed', k=2, of=dict(type='Entropy')),
        )
    )
    assert isinstance(built.of.of, Entropy)
    assert built.of.k == 2
    probs = some_probs()
    expected = Smoothed(Entropy(), k=2)(predict(probs))
    torch.testing.assert_close(built.of(predict(probs)), expected)


class Given(BaseHeuristic):
    """Whatever it is handed."""

    def __init__(self, score):
        self.given = score

    def score(self, prediction):
        return self.given


@pytest.mark.parametrize('beta', [0.5, 1.0, 3.0])
@pytest.mark.parametrize(
    ('noise', 'scores', 'weights'),
    [
        (PowerNoise, [0.1, 0.3, 0.6], [0.1, 0.3, 0.6]),
        (SoftmaxNoise, [-0.7, 0.3, 0.5], [0.4966, 1.3499, 1.6487]),
        # three scores, each shared by a third of the image
        (SoftrankNoise, [-8.0, 0.1, 0.2], [1 / 5, 1 / 3, 1]),
    ],
)
def test_drawn_in_proportion(noise, scores, weights, beta):
    """Each row of an image is a draw of three pixels."""
    wanted = torch.tensor(weights) ** beta
    score = torch.tensor(scores).expand(20_000, 3)
    noisy = noise(Given(score), beta)(predict(torch.ones(1, 20_000, 3)))
    got = noisy.argmax(dim=1).bincount(minlength=3) / len(score)
    assert (got - wanted / wanted.sum()).abs().max() < 0.012


@pytest.mark.parametrize('noise', [PowerNoise, SoftmaxNoise, SoftrankNoise])
class TestNoise:
    def test_a_schedule_over_queries_holds_its_last(self, noise):
        probs = some_probs()
        several = noise(Margin(), beta=[1, 8])
        for label_file, beta in ((1, 1), (2, 8), (3, 8), (9, 8)):
            at = predict(probs, round=label_file)
            assert torch.equal(several(at), noise(Margin(), beta)(at))

    def test_keyed_by_what_it_is_for(self, noise):
        first = noise(Margin())(predict(some_probs()))
        for change in (dict(seed=1), dict(round=2), dict(name='b')):
            again = noise(Margin())(predict(some_probs(), **change))
            assert not torch.equal(first, again)

    @pytest.mark.parametrize('beta', [0, -1, [], [1, 0]])
    def test_a_beta_without_meaning(self, noise, beta):
        with pytest.raises(ConfigError, match='beta: wanted a number above 0'):
            noise(Margin(), beta)


def test_ranks_fall_with_the_score_and_are_shared():
    score = torch.tensor([[0.3, -1.0, 0.3], [0.9, 0.3, 0.0]])
    wanted = torch.tensor([[3, 6, 3], [1, 3, 5]]).double()
    assert torch.equal(mean_ranks(score), wanted)


def test_only_the_order_counts_for_softrank():
    score = torch.rand(5, 6, generator=torch.Generator().manual_seed(2))
    asked = predict(torch.ones(1, 5, 6))
    got = SoftrankNoise(Given(score), 2.0)(asked)
    again = SoftrankNoise(Given(score**3 - 7), 2.0)(asked)
    assert torch.equal(got, again)


@pytest.mark.parametrize('wrapper', [PowerNoise, ClassBalanced])
def test_a_negative_score_is_refused(wrapper):
    heuristic = wrapper(Given(torch.full((2, 2), -0.5)))
    pool = dict(class_counts=torch.tensor([3, 1]))
    with pytest.raises(SegALError, match=r'Given gave -0\.5'):
        heuristic(predict(torch.full((2, 2, 2), 0.5), pool=pool))


def test_a_temperature_is_that_of_the_softmax():
    logits = torch.randn(5, 6, 7, generator=torch.Generator().manual_seed(1))
    got = Tempered(Entropy(), 3.0)(predict(logits.softmax(0)))
    wanted = Entropy()(predict((logits / 3).softmax(0)))
    torch.testing.assert_close(got, wanted)
    with pytest.raises(ConfigError, match='temperature: wanted a number'):
        Tempered(Margin(), 0)


@pytest.mark.parametrize('temperature', [0.01, 0.3, 100])
def test_unlikely_classes_at_any_temperature(temperature):
    probs = torch.full((150, 1, 2), 1 / 150)
    probs[:2, 0, 1] = torch.tensor([1.5, 0.5]) / 150
    first = [1 / 150, 1.5 ** (1 / temperature)]
    others = [149 / 150, 0.5 ** (1 / temperature) + 148]
    got = Tempered(LeastConfidence(), temperature)(predict(probs))
    for score, one, rest in zip(got[0].tolist(), first, others, strict=True):
        assert score == pytest.approx(rest / (one + rest), abs=1e-5)


def test_smoothed_is_the_mean_around():
    score = torch.zeros(5, 5)
    score[0, 0] = score[2, 2] = 1
    got = Smoothed(Given(score))(predict(torch.ones(1, 5, 5)))
    assert got[0, 0] == pytest.approx(1 / 4)
    assert got[0, 1] == pytest.approx(1 / 6)
    assert got[1, 1] == pytest.approx(2 / 9)
    assert got[4, 4] == 0


class TestClassBalanced:
    def balanced(self, power=1.0, counts=(899, 99, 0)):
        """Three pixels, predicted as classes 0, 1 and 2, equally unsure."""
        probs = torch.eye(3) * 0.5 + 0.5 / 3
        pool = dict(class_counts=torch.tensor(counts))
        heuristic = ClassBalanced(Margin(), power)
        return heuristic(predict(probs[:, None], pool=pool))[0]

    def test_rare_classes_count_more(self):
        score = self.balanced()
        assert score[1] / score[0] == pytest.approx(900 / 100)
        assert score[2] / score[0] == pytest.approx(900 / 1)
        assert score[0] == pytest.approx(0.5)

    def test_the_power(self):
        score = self.balanced(0.5)
        assert score[1] / score[0] == pytest.approx(3)
        assert self.balanced(0).unique().numel() == 1
        with pytest.raises(ConfigError, match='power: wanted 0 or more'):
            ClassBalanced(Margin(), -1)

    def test_the_pool_counts_not_the_image(self):
        assert math.isclose(*self.balanced(counts=(5, 5, 5))[:2].tolist())
