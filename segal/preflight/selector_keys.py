"""Find keys of a selector that change nothing, by letting it choose."""

from __future__ import annotations

from itertools import repeat
from typing import Any

import numpy as np
import torch
from mmcv.utils import build_from_cfg

from segal.active.units.regions import Squares
from segal.config.schema import ActiveLearningConfig
from segal.registry import SELECTORS
from segal.structures import Budget, PoolImage, Prediction

_SIZE, _PICKS = (24, 32), 8
_IMAGES = 24
"""Made up; so many that a draw never hits the best by chance."""


def unused_keys(config: ActiveLearningConfig) -> list[str]:
    """Let the selector of the queries choose with and without a key.

    Scores and predictions are made up. Where the choice is the same, the key
    would be printed and do nothing.

    Args:
        config: What the user wrote, read.

    Returns:
        The problems; none where the selector cannot work on what is made up,
        which is found elsewhere.
    """
    written = 'active_learning.shuffle_prop'
    ways: list[tuple[str, float, dict[str, Any], float]] = []
    if config.shuffle_prop:
        ways.append((written, config.shuffle_prop, {}, 1.0))
    if config.selector.get('top_percent') is not None:
        written = 'active_learning.settings.pixel.sample_threshold'
        value = config.selector['top_percent']
        ways.append((written, value, dict(top_percent=100.0), 0.0))
    problems = []
    for where, value, changes, shuffle in ways:
        part = {**config.selector, 'top_percent': None}
        if 'top_percent' not in config.selector:
            del part['top_percent']
        try:
            same = _chosen(part, 0.0) == _chosen({**part, **changes}, shuffle)
        except Exception:  # a selector of anyone's; see Returns
            continue
        if same:
            problems.append(
                f'{where}: {config.selector["type"]} chooses the same with '
                f'it and without; got {value:g}. Leave it out, or have the '
                'selector use it'
            )
    return problems


def _chosen(part: dict[str, Any], shuffle: float) -> dict[str, list[int]]:
    """What a selector chooses of made-up images: name -> places."""
    kind = SELECTORS.get(part['type'])
    per_image = kind.unit != 'image'
    images = [PoolImage(f'{k}', _SIZE) for k in range(_IMAGES)]
    if per_image:
        images = images[:1]
    free = np.array([image.pixels for image in images], np.int64)
    given = dict(
        images=images,
        free=free,
        budget=Budget(_PICKS, per_image),
        round=1,
        seed=0,
        shuffle_prop=shuffle,
    )
    if kind.unit == 'region':
        given['shape'] = Squares()
    selector = build_from_cfg(dict(part), SELECTORS, given)
    draw = torch.Generator().manual_seed(0)
    for image in images:
        probs = torch.randn(4, *_SIZE, generator=draw).softmax(0)
        seen = Prediction(
            image.name,
            image.size,
            0,
            1,
            probs=probs,
            samples=repeat(probs),
            views=repeat(probs),
            committee=repeat(probs, 2),
            embedding=torch.randn(8, generator=draw),
            features=torch.randn(8, 6, 8, generator=draw),
        )
        score = torch.rand(*_SIZE, generator=draw).numpy()
        selector.shortlist(image, score, np.ones(_SIZE, bool), seen)
    places = selector.choose([selector.candidates()]).places
    return {name: found.tolist() for name, found in places.items()}
