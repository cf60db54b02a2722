"""Every registered heuristic meets every property."""

import dataclasses
import itertools

import pytest
import torch

from segal.active.heuristics import BaseHeuristic
from segal.errors import SegALError
from segal.registry import HEURISTICS
from segal.structures import Prediction
from tests.heuristics.cases import CASES

SIZE = (12, 17)
POOL = dict(class_counts=torch.full((19,), 100))
OURS = sorted(
    name
    for name, cls in HEURISTICS.module_dict.items()
    if cls.__module__.startswith('segal.')
)


def predict(probs, **changes):
    fields = dict(name='set/a.png', seed=0, round=1, pool=POOL)
    if probs is not None:
        fields['samples'] = fields['views'] = itertools.repeat(probs)
        fields['committee'] = iter([probs] * 3)
    size = tuple(probs.shape[1:]) if probs is not None else SIZE
    return Prediction(**{**fields, 'size': size, 'probs': probs, **changes})


def some_probs(classes=5, size=SIZE, seed=0):
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(classes, *size, generator=generator)
    return (4 * logits).softmax(0)


@pytest.fixture(params=OURS)
def case(request):
    assert request.param in CASES, f'{request.param} has no case in cases.py'
    return CASES[request.param]


@pytest.fixture
def heuristic(request, case):
    name = request.node.callspec.params['case']
    return HEURISTICS.build(dict(type=name, **case.options))


def test_the_case_is_of_a_registered_heuristic():
    assert set(CASES) == set(OURS)


@pytest.mark.parametrize('classes', [2, 3, 19])
def test_shape_type_and_finite(heuristic, classes):
    score = heuristic(predict(some_probs(classes)))
    assert score.shape == SIZE
    assert score.dtype == torch.float32
    assert torch.isfinite(score).all()


def test_zeros_and_ones_are_finite(heuristic):
    probs = torch.zeros(3, *SIZE)
    probs[1] = 1
    assert torch.isfinite(heuristic(predict(probs))).all()


@pytest.mark.parametrize('classes', [2, 3, 11])
def test_uniform_is_highest_and_one_hot_is_lowest(heuristic, case, classes):
    if not case.ranks_certainty:
        pytest.skip('does not rank certainty')
    probs = some_probs(classes)
    probs[:, 0, 0] = 1 / classes
    probs[:, 0, 1] = 0
    probs[classes - 1, 0, 1] = 1
    score = heuristic(predict(probs))
    assert (score[0, 0] >= score).all()
    assert (score[0, 1] <= score).all()
    assert score[0, 0] > score[0, 1]


def test_more_certain_is_lower(heuristic, case):
    if not case.ranks_certainty:
        pytest.skip('does not rank certainty')
    peak = torch.linspace(0.34, 0.999, 50)
    probs = torch.stack([peak, (1 - peak) / 2, (1 - peak) / 2])[:, None]
    score = heuristic(predict(probs))[0]
    assert (score.diff() < 0).all()


def test_renumbered_classes_change_nothing(heuristic):
    probs = some_probs()
    score = heuristic(predict(probs))
    again = heuristic(predict(probs[[3, 0, 4, 1, 2]]))
    torch.testing.assert_close(score, again, rtol=0, atol=1e-6)


def test_the_input_is_untouched(heuristic):
    probs = some_probs()
    before = probs.clone()
    heuristic(predict(probs))
    assert torch.equal(probs, before)


def test_same_twice(heuristic):
    first = heuristic(predict(some_probs()))
    torch.manual_seed(5)
    assert torch.equal(first, heuristic(predict(some_probs())))


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
def test_half_precision_is_near_full(heuristic, case, dtype):
    probs = some_probs()
    full = heuristic(predict(probs))
    half = heuristic(predict(probs.to(dtype)))
    assert half.dtype == torch.float32
    rounded = heuristic(predict(probs.to(dtype).float()))
    assert torch.equal(half, rounded)  # all arithmetic is in full
    tolerance = case.half_tolerance * (8 if dtype == torch.bfloat16 else 1)
    torch.testing.assert_close(half, full, rtol=0, atol=tolerance)


def test_pixels_worked_by_hand(heuristic, case):
    for pixel, wanted in case.by_hand.items():
        probs = torch.tensor(pixel)[:, None, None].expand(-1, 2, 3)
        score = heuristic(predict(probs))
        torch.testing.assert_close(score, torch.full((2, 3), float(wanted)))


def test_a_memory_layout_changes_nothing(heuristic):
    probs = some_probs()
    turned = probs.permute(1, 2, 0).contiguous().permute(2, 0, 1)
    assert torch.equal(heuristic(predict(probs)), heuristic(predict(turned)))


def test_what_it_needs_is_all_that_it_reads(heuristic):
    given = dict(
        probs=some_probs(),
        pool=POOL,
        samples=itertools.repeat(some_probs()),
        committee=iter([some_probs()] * 3),
    )
    given = {need: given[need] for need in heuristic.needs}
    absent = dict(pool=None, samples=None, views=None, committee=None)
    given = dict(absent, size=SIZE, **given)
    prediction = predict(given.pop('probs', None), **given)
    assert heuristic(prediction).shape == SIZE


def test_what_is_missing_is_said(heuristic):
    if not heuristic.needs:
        pytest.skip('needs nothing')
    with pytest.raises(SegALError) as error:
        heuristic(predict(None))
    for part in (type(heuristic).__name__, 'set/a.png', heuristic.needs[0]):
        assert part in str(error.value)


class TestRandom:
    def score(self, **changes):
        return HEURISTICS.build(dict(type='Random'))(predict(None, **changes))

    def test_uniform(self):
        score = self.score(size=(300, 200)).flatten()
        assert 0 <= score.min() <= score.max() < 1
        assert abs(score.mean() - 0.5) < 0.01
        counts = torch.histc(score, 20, 0, 1)
        assert (counts - 3000).abs().max() < 300

    def test_keyed_by_what_it_is_for(self):
        first = self.score()
        for change in (dict(seed=1), dict(round=2), dict(name='set/b.png')):
            assert not torch.equal(first, self.score(**change))

    def test_a_place_keeps_its_score_in_a_longer_image(self):
        taller = self.score(size=(SIZE[0] + 4, SIZE[1]))
        assert torch.equal(taller[: SIZE[0]], self.score())


@pytest.mark.parametrize(
    ('value', 'said'),
    [
        (lambda p: p[0, 0], 'wanted shape (12, 17), got (17,)'),
        (lambda p: p, 'wanted shape'),
        (lambda p: p[0] / 0, 'NaN or infinite'),
        (lambda p: p.argmax(0), 'torch.int64'),
        (lambda p: None, 'NoneType'),
    ],
)
def test_a_broken_heuristic_is_named(value, said):
    class Broken(BaseHeuristic):
        def score(self, prediction):
            return value(prediction.probs)

    with pytest.raises(SegALError) as error:
        Broken()(predict(some_probs()))
    for part in ('Broken', 'set/a.png', said):
        assert part in str(error.value)


def test_no_gradient_is_recorded():
    class Plain(BaseHeuristic):
        def score(self, prediction):
            return prediction.probs[0] * 2

    probs = some_probs().requires_grad_()
    assert not Plain()(predict(probs)).requires_grad


def test_predictions_are_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        predict(some_probs()).seed = 3
