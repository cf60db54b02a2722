"""Keys that a chosen selector would ignore are refused, not printed."""

from dataclasses import replace

import pytest

from segal.active.selectors import PixelsPerImage, WholeImages
from segal.config import read_config
from segal.preflight.query import _chosen, unused_keys
from segal.registry import SELECTORS
from tests.config.minimal import minimal, read

PIXEL = 'active_learning__settings__pixel'
IMAGE = 'active_learning__settings__image'
REGION = 'active_learning__settings__region'
MIXED = 'active_learning__settings__mixed'
SELECTOR = 'active_learning__selector'


def problems(**changes):
    return '\n'.join(read_config(minimal(**changes))[1])


@pytest.mark.parametrize(
    ('changes', 'said'),
    [
        (
            {SELECTOR: 'PixelsGlobal', PIXEL + '__sample_threshold': 5},
            'pixel.sample_threshold: PixelsGlobal does not use it; got 5',
        ),
        (
            {
                SELECTOR: dict(type='PixelsPerImage', top_percent=10),
                PIXEL + '__sample_threshold': 5,
            },
            'pixel.sample_threshold: 5 contradicts top_percent=10',
        ),
        (
            {SELECTOR: 'PixelsGlobal', PIXEL + '__sample_evenly': True},
            'pixel.sample_evenly: True does not count with PixelsGlobal, '
            'which spends the budget anywhere in the pool; write False',
        ),
        (
            {SELECTOR: 'PixelsSpread', PIXEL + '__sample_evenly': False},
            'pixel.sample_evenly: False does not count with PixelsSpread',
        ),
        (
            {
                'runner__sample_mode': 'image',
                SELECTOR: dict(type='WholeImages', aggregate='sum'),
                IMAGE + '__aggregate': 'max',
            },
            "image.aggregate: 'max' contradicts aggregate='sum'",
        ),
        (
            {
                'runner__sample_mode': 'region',
                SELECTOR: dict(type='RegionsGlobal', answer='dominant'),
                REGION: dict(query_size=2),
            },
            "selector.answer: 'dominant' is not what active_learning.settings."
            "region.answer says, 'all'",
        ),
        (
            {
                'runner__sample_mode': 'region',
                SELECTOR: 'RegionsGlobal',
                REGION: dict(query_size=2, sample_evenly=True),
            },
            'region.sample_evenly: True does not count with RegionsGlobal',
        ),
        (
            {
                'runner__sample_mode': 'mixed',
                MIXED: dict(inside='pixel', first_pixels=3),
            },
            "mixed.first_pixels: counts with split='score_per_cost' alone",
        ),
        (
            {
                'runner__sample_mode': 'mixed',
                PIXEL: dict(budget_per_round=40),
                IMAGE + '__aggregate': 'max',
                MIXED: dict(split='score_per_cost', first_pixels=3),
            },
            'image.aggregate: ScorePerCost does not use it',
        ),
    ],
)
def test_a_key_that_its_selector_ignores_is_refused(changes, said):
    assert said in problems(**changes)


@pytest.mark.parametrize(
    'changes',
    [
        {SELECTOR: 'PixelsGlobal', PIXEL + '__sample_evenly': False},
        {SELECTOR: 'PixelsGlobal'},
        {SELECTOR: 'PixelsPerImage', PIXEL + '__sample_threshold': 5},
        {SELECTOR: 'PixelsGlobal', PIXEL + '__sample_threshold': False},
        {
            'runner__sample_mode': 'image',
            SELECTOR: dict(type='WholeImages', aggregate='max'),
            IMAGE + '__aggregate': 'max',
        },
        {
            'runner__sample_mode': 'region',
            SELECTOR: 'RegionsPerImage',
            REGION: dict(query_size=2, answer='dominant', aggregate='max'),
            PIXEL + '__sample_threshold': 5,
        },
    ],
)
def test_a_key_that_counts_is_accepted(changes):
    assert problems(**changes) == ''


class Deaf(PixelsPerImage):
    """Takes the best, whatever it is told of draws."""

    def pick(self, image, places, scores, quota, taken, prediction):
        return (-scores).argsort(kind='stable')[:quota]


class DeafImages(WholeImages):
    """Takes the best images, whatever it is told of random ones."""

    def __init__(self, context, **options):
        super().__init__(replace(context, shuffle_prop=0.0), **options)


@pytest.fixture
def deaf():
    for kind in (Deaf, DeafImages):
        SELECTORS.register_module(module=kind, name=kind.__name__)
    yield
    for kind in (Deaf, DeafImages):
        SELECTORS.module_dict.pop(kind.__name__)


@pytest.mark.parametrize(
    ('changes', 'said'),
    [
        (
            {SELECTOR: 'Deaf', PIXEL + '__sample_threshold': 5},
            ['pixel.sample_threshold: Deaf chooses the same with it and '],
        ),
        (
            {
                'runner__sample_mode': 'image',
                SELECTOR: 'DeafImages',
                'active_learning__shuffle_prop': 0.2,
            },
            ['active_learning.shuffle_prop: DeafImages chooses the same'],
        ),
        (
            {SELECTOR: 'Deaf', 'active_learning__shuffle_prop': 0.2},
            [],
        ),
    ],
)
def test_a_selector_of_ones_own_that_ignores_a_key_is_refused(
    deaf, changes, said
):
    found = unused_keys(read(**changes)[1])
    assert len(found) == len(said)
    assert all(x in y for x, y in zip(said, found, strict=True))


def test_every_registered_selector_uses_what_it_accepts():
    for name, kind in SELECTORS.module_dict.items():
        if name == 'ScorePerCost' or kind.unit == 'region':
            continue
        need = dict(active_learning__features=dict(type='Segmentor'))
        config = read(
            runner__sample_mode=kind.unit,
            active_learning__selector=name,
            active_learning__shuffle_prop=0.5,
            **need,
        )[1]
        assert unused_keys(config) == [], name
        assert _chosen(dict(config.selector), 0.5)  # it was tried
    for budget in (dict(query_size=2), dict(query_size=9)):
        config = read(
            runner__sample_mode='region',
            active_learning__shuffle_prop=0.5,
            active_learning__settings__region=budget,
        )[1]
        assert unused_keys(config) == []
    config = read(active_learning__settings__pixel__sample_threshold=5)[1]
    assert unused_keys(config) == []
