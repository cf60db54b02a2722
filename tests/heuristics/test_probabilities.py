"""The mathematics on probabilities, against plainer ways to write it."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from segal.active.heuristics.utils import normalised_entropy, top_two


@settings(max_examples=60, deadline=None)
@given(
    st.integers(2, 12),
    st.integers(1, 6),
    st.sampled_from([2, 4, 1000]),
    st.integers(0, 2**31),
)
def test_top_two_is_topk(classes, width, levels, seed):
    generator = torch.Generator().manual_seed(seed)
    # few levels make many ties
    probs = torch.randint(levels, (classes, 3, width), generator=generator)
    probs = probs / levels
    first, second = top_two(probs)
    wanted = probs.topk(2, dim=0).values
    assert torch.equal(first, wanted[0])
    assert torch.equal(second, wanted[1])


@pytest.mark.parametrize('dtype', [torch.float32, torch.float64])
def test_entropy_is_that_of_torch(dtype):
    probs = torch.randn(7, 5, 6, dtype=dtype).softmax(0)
    wanted = torch.distributions.Categorical(
        probs.permute(1, 2, 0)
    ).entropy() / torch.log(torch.tensor(7.0, dtype=dtype))
    torch.testing.assert_close(normalised_entropy(probs), wanted)


def test_rounding_never_leaves_the_range():
    for classes in range(2, 60):
        probs = torch.full((classes, 1, 1), 1 / classes)
        assert 0 <= normalised_entropy(probs).item() <= 1
