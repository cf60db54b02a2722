"""Upsampled values at some pixels are those of upsampling everything."""

import pytest
import torch
from torch.nn import functional as F

from segal.models.losses.at_labels import upsampled_at

SIZES = [
    ((7, 5), (56, 41)),
    ((8, 16), (64, 128)),
    ((45, 60), (360, 480)),
    ((1, 1), (9, 9)),
    ((12, 10), (12, 10)),  # as they are
    ((20, 30), (7, 9)),  # made smaller
    ((5, 5), (1, 1)),
    ((3, 2), (1000, 1)),
]


def both(dtype, few, many, align_corners):
    """Values and gradients of the whole map, and of the places alone."""
    draw = torch.Generator().manual_seed(0)
    maps = torch.randn(2, 3, *few, generator=draw).to(dtype).requires_grad_()
    height, width = many
    image = torch.randint(2, (300,), generator=draw)
    row = torch.randint(height, (300,), generator=draw)
    column = torch.randint(width, (300,), generator=draw)
    row[:2], column[:2] = height - 1, width - 1  # the last corner as well
    gradient = torch.randn(300, 3, generator=draw).to(dtype)
    whole = F.interpolate(
        maps, many, mode='bilinear', align_corners=align_corners
    )
    for values in (
        whole[image, :, row, column],
        upsampled_at(maps, image, row, column, many, align_corners),
    ):
        assert values.dtype == dtype
        yield values, torch.autograd.grad(values, maps, gradient)[0]


@pytest.mark.parametrize('align_corners', [False, True])
@pytest.mark.parametrize(('few', 'many'), SIZES)
@pytest.mark.parametrize(
    ('dtype', 'spread'), [(torch.float32, 2e-6), (torch.float64, 1e-14)]
)
def test_values_and_gradients(dtype, spread, few, many, align_corners):
    (whole, wanted), (some, got) = both(dtype, few, many, align_corners)
    assert torch.allclose(some, whole, rtol=0, atol=spread)
    assert (got - wanted).norm() <= spread * wanted.norm()


@pytest.mark.parametrize('align_corners', [False, True])
def test_half_precision_is_rounded_once(align_corners):
    (whole, _), (some, _) = both(
        torch.bfloat16, (7, 5), (56, 41), align_corners
    )
    assert torch.allclose(some, whole, rtol=2**-7, atol=0)


def test_no_place_has_a_gradient_of_zeros():
    maps = torch.randn(2, 3, 4, 5, requires_grad=True)
    none = torch.zeros(0).long()
    values = upsampled_at(maps, none, none, none, (8, 10), False)
    assert values.shape == (0, 3)
    values.sum().backward()
    assert not maps.grad.any()
