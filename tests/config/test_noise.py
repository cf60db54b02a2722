"""Noise of pixels that means nothing of regions and of whole images."""

import re

import pytest

from tests.config.minimal import read

NOISE = dict(type='PowerNoise', of='margin')
IMAGE = dict(initial_pool=2, query_size=2)
REGION = dict(query_size=2)


@pytest.mark.parametrize(
    ('mode', 'settings', 'heuristic', 'said'),
    [
        ('image', dict(image=IMAGE), NOISE, "mean loses .* 'max', whole"),
        ('image', dict(image=dict(IMAGE, aggregate='max')), NOISE, None),
        ('image', dict(image=IMAGE), 'margin', None),
        (
            'image',
            dict(image=dict(IMAGE, aggregate='max')),
            dict(type='SoftrankNoise', of='margin'),
            'drawn uniformly',
        ),
        ('region', dict(region=REGION), dict(type='Smoothed', of=NOISE),
         "loses the noise of PowerNoise .* 'max', regions"),
        ('region', dict(region=dict(REGION, aggregate='one')), NOISE, None),
        ('pixel', dict(pixel=REGION), NOISE, None),
        ('mixed', dict(image=IMAGE, pixel=REGION, mixed={}), NOISE,
         "settings.image.aggregate: .* mean loses"),
    ],
)  # fmt: skip
def test_noise_that_is_lost_is_noted(mode, settings, heuristic, said):
    _, _, notes = read(
        runner__sample_mode=mode,
        active_learning__settings=settings,
        active_learning__heuristic=heuristic,
    )
    found = [x for x in notes if 'Noise' in x]
    assert len(found) == (said is not None)
    assert not found or re.search(said, found[0])
