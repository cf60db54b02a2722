"""Heuristics that look at more than one pixel, worked by hand."""

import math

import numpy as np
import pytest
import torch

from segal.active.heuristics import RIPU, ClassAwareRandom, RegionImpurity
from segal.active.heuristics.utils import (
    box_entropy,
    box_mean,
    box_sum,
    likeliest,
    normalised_entropy,
)
from segal.errors import ConfigError
from segal.structures import Prediction


def predict(probs, **changes):
    return Prediction(
        **{
            **dict(name='a', size=tuple(probs.shape[1:]), seed=0, round=1),
            'probs': probs,
            **changes,
        }
    )


@pytest.mark.parametrize('k', [0, 1, 3])
def test_box_mean_counts_what_lies_in_the_image(k):
    values = torch.rand(1, 7, 9, generator=torch.Generator().manual_seed(0))
    wanted = torch.stack(
        [
            values[0, max(0, y - k) : y + k + 1, max(0, x - k) : x + k + 1]
            .double()
            .mean()
            for y in range(7)
            for x in range(9)
        ]
    ).view(7, 9)
    torch.testing.assert_close(box_mean(values, k)[0], wanted.float())


@pytest.mark.parametrize('k', [0, 1, 4])
def test_box_sum(k):
    draw = torch.Generator().manual_seed(0)
    values = torch.randint(0, 1 << 40, (7, 9), generator=draw)
    wanted = [
        [
            int(
                values[
                    max(0, y - k) : y + k + 1, max(0, x - k) : x + k + 1
                ].sum()
            )
            for x in range(9)
        ]
        for y in range(7)
    ]
    assert box_sum(values, k).tolist() == wanted


@pytest.mark.parametrize('k', [0, 1, 2, 5, 90])
@pytest.mark.parametrize('count', [1, 2, 11, 19, 150])
def test_box_entropy_counts_every_class(k, count):
    """One class at a time, in float64; squares larger than the image, too."""
    draw = torch.Generator().manual_seed(count)
    classes = torch.randint(0, count, (40, 23), generator=draw)
    classes[:20] = classes[:20] // 3 * 3  # some squares of few classes
    area = box_sum(torch.ones_like(classes), k)
    wanted = torch.zeros(classes.shape, dtype=torch.float64)
    for number in range(count):
        counts = box_sum((classes == number).long(), k)
        wanted += torch.special.entr(counts.double() / area)
    got = box_entropy(classes, count, k)
    torch.testing.assert_close(got.double(), wanted, rtol=0, atol=2e-6)


def test_likeliest_is_the_first_of_the_largest():
    draw = torch.Generator().manual_seed(0)
    probs = torch.randint(0, 4, (5, 30, 40), generator=draw).float()
    first = (probs == probs.amax(0)).int().argmax(0)
    assert torch.equal(likeliest(probs), first)


class TestRIPU:
    @pytest.mark.parametrize('k', [1, 2, 5])
    def test_is_impurity_times_uncertainty(self, k):
        """As the paper writes it, with shares of classes in the square."""
        draw = torch.Generator().manual_seed(1)
        probs = (2 * torch.randn(4, 12, 15, generator=draw)).softmax(0)
        shares = box_mean(
            torch.stack([(probs.argmax(0) == c).float() for c in range(4)]), k
        )
        impurity = torch.special.entr(shares).sum(0) / math.log(4)
        uncertainty = box_mean(normalised_entropy(probs)[None], k)[0]
        got = RIPU(k)(predict(probs))
        torch.testing.assert_close(got, impurity * uncertainty)
        got = RegionImpurity(k)(predict(probs))
        torch.testing.assert_close(got, impurity)

    def test_by_hand(self):
        """A 2x2 image: every pixel's square is all of it, 3 of 4 class 0."""
        probs = torch.tensor([[[0.9, 0.6], [0.8, 0.3]]])
        probs = torch.cat([probs, 1 - probs])  # (2, 2, 2)
        impurity = -(0.75 * math.log(0.75) + 0.25 * math.log(0.25))
        uncertainty = normalised_entropy(probs).mean()
        wanted = impurity / math.log(2) * uncertainty
        score = RIPU()(predict(probs))
        torch.testing.assert_close(score, wanted.expand(2, 2))

    def test_highest_where_classes_meet(self):
        probs = torch.full((3, 9, 12), 0.1)
        probs[0, :, :6] = probs[1, :, 6:] = 0.8
        score = RIPU(k=1)(predict(probs))
        assert set(score.argmax(dim=1).tolist()) <= {5, 6}
        assert (score[:, :5] == 0).all()
        assert (score[:, 7:] == 0).all()
        wider = RIPU(k=2)(predict(probs))
        assert ((wider > 0).sum(dim=1) == 4).all()

    def test_a_side_of_nothing(self):
        with pytest.raises(ConfigError, match='k: wanted 1 to 90'):
            RIPU(k=0)


class TestClassAwareRandom:
    def picks(self, **changes):
        """The 400 best of an image with 1 per cent of class 1."""
        probs = torch.full((2, 100, 200), 0.1)
        probs[0] = 0.9
        probs[:, :1] = probs[:, :1].flip(0)
        score = ClassAwareRandom()(predict(probs, **changes)).flatten()
        return score.topk(200).indices

    def test_rare_classes_are_as_likely(self):
        rare = np.mean(
            [(self.picks(seed=i) < 200).float().mean() for i in range(20)]
        )
        # 200 draws without replacement from 200 rare and 19,800 others
        assert 0.35 < rare < 0.5

    def test_keyed_by_what_it_is_for(self):
        first = self.picks()
        for change in (dict(seed=1), dict(round=2), dict(name='b')):
            assert not torch.equal(first, self.picks(**change))
