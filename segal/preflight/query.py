"""Run heuristics, selectors, features and committees on one image."""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from itertools import count, islice, repeat
from typing import Any

import numpy as np
import torch
from mmcv.utils import build_from_cfg

from segal.active.dataset.pool import query_batch
from segal.active.heuristics import BaseHeuristic
from segal.active.selectors import QueryContext
from segal.active.units import unit_named
from segal.active.units.regions import Squares
from segal.config.schema import ActiveLearningConfig
from segal.errors import ConfigError
from segal.experiment.committee import Committee
from segal.experiment.features import describe_first, needs_of
from segal.features import KINDS, Described, FrozenExtractor
from segal.features.cache import kept
from segal.features.segmentor import Segmentor, Tap
from segal.model_wrapper import ModelWrapper
from segal.preflight.base import QUIET, Preflight, build_problems
from segal.preflight.views import of_other_sizes, run_problems
from segal.registry import HEURISTICS, SELECTORS
from segal.structures import Budget, PoolImage, Prediction

_SIZE, _PICKS = (24, 32), 8
_IMAGES = 24
"""Made-up images: so many that a draw never hits the best by chance."""


def ask(
    parts: Preflight, described: Described, problems: list[str]
) -> tuple[BaseHeuristic | None, int]:
    """Run heuristics and selectors on made-up probabilities.

    Returns:
        The heuristic of the queries, None where it cannot be built; and how
        many views of an image it reads.
    """
    config, images = parts.config, parts.data.pool.images
    image = images[0]
    before = Prediction(
        name=image.name,
        size=image.size,
        seed=config.seed,
        round=0,
        embedding=described.embedding,
        features=described.features,
    )
    draw = torch.Generator().manual_seed(0)
    after = _predicted(before, len(parts.data.classes), draw, parts.device)
    heuristic = None
    assert after.probs is not None
    probs, taken = after.probs, count()
    with build_problems(
        'active_learning.heuristic', config.heuristic, problems
    ):
        heuristic = build_from_cfg(dict(config.heuristic), HEURISTICS)
        heuristic(replace(after, views=(probs for _ in taken)))
    where = 'active_learning.initial.heuristic'
    with build_problems(where, config.initial_heuristic, problems):
        first = build_from_cfg(dict(config.initial_heuristic), HEURISTICS)
        first(before)
    free = np.array([image.pixels for image in images], np.int64)
    for where, make in parts.selectors.items():
        with build_problems(where, config.selector, problems):
            selector = make(QueryContext(images, free, 0, config.seed))
            if selector.needs:
                selector.shortlist(
                    image,
                    np.zeros(image.size, np.float32),
                    np.ones(image.size, bool),
                    before if 'at first' in where else after,
                )
                selector.candidates()
    return heuristic, next(taken)


def _predicted(
    before: Prediction,
    classes: int,
    draw: torch.Generator,
    device: torch.device,
) -> Prediction:
    """Make up the output of a network for one image."""
    probs = torch.randn(classes, *before.size, generator=draw).softmax(0)
    probs = probs.to(device)  # (C, H, W)

    def moved(value: torch.Tensor | None) -> torch.Tensor | None:
        return None if value is None else value.to(device)

    return replace(
        before,
        round=1,
        probs=probs,
        samples=repeat(probs),
        views=repeat(probs),
        committee=repeat(probs, 2),
        embedding=moved(before.embedding),
        features=moved(before.features),
        pool=dict(class_counts=torch.ones(classes).long()),
    )


def describe(
    parts: Preflight, weights: bool, problems: list[str]
) -> Described:
    """Describe the first image; made up where the round's network would."""
    made_up = Described(torch.ones(16), torch.ones(16, 8, 8))
    if not isinstance(parts.extractor, FrozenExtractor):
        return made_up
    needs = needs_of(parts.config)
    if needs.isdisjoint(KINDS):
        return made_up
    try:
        found = describe_first(
            parts.extractor, parts.data.pool, parts.device, QUIET, weights
        )
        kept(found, needs)
    except ConfigError as error:
        where = 'active_learning.features'
        problems += [
            one if one.startswith(where) else f'{where}.{one}'
            for one in error.problems
        ]
        return made_up
    return found


def tap(model: Any, parts: Preflight, problems: list[str]) -> None:
    """Check that the network has the layer whose input is wanted."""
    needs = needs_of(parts.config)
    if not isinstance(parts.extractor, Segmentor) or needs.isdisjoint(KINDS):
        return
    wrapper = ModelWrapper(model.to(parts.device), parts.device)
    batch = query_batch(parts.data.pool, [parts.data.pool[0].name])
    try:
        with wrapper.evaluating(), Tap(model).open() as tap:
            wrapper.probabilities(batch)
            tap.take(batch, parts.device)
    except ConfigError as error:
        problems += error.problems


def look_again(
    model: Any, parts: Preflight, count: int, problems: list[str]
) -> None:
    """Show the network the first ``count`` views of some images."""
    pool = parts.data.pool
    wrapper = ModelWrapper(model, parts.device)
    for image in of_other_sizes(pool) if count else ():
        where = "active_learning.heuristic: source='views'"
        mend = (
            'views are also 0.75 and 1.25 times as large: take passes=2 '
            '(mirrored alone) or another source, or let Pad in '
            'data.query.pipeline have 4 times the size_divisor that the '
            f'network needs (seen with {pool.file(image.name)})'
        )
        with run_problems(where, mend, problems), wrapper.evaluating():
            views = wrapper.views(query_batch(pool, [image.name]), 0)
            deque(islice(views, count), maxlen=0)
        if problems:
            return


def committee(parts: Preflight, problems: list[str], weights: bool) -> None:
    """Check the committee's members that exist before the first round."""
    if not parts.config.committee:
        problems.append(
            'active_learning.committee: required, since a heuristic has '
            "source='committee'; got nothing. Write committee=[dict("
            "checkpoint='...')], or [dict(rounds=2)] for the networks of the "
            'last two rounds'
        )
        return
    committee = Committee(
        parts.config.committee,
        parts.cfg,
        parts.data.classes,
        parts.device,
        parts.networks.first,
        QUIET,
    )
    problems += committee.problems()
    if weights and not problems:
        committee.check()


def unused_keys(config: ActiveLearningConfig) -> list[str]:
    """Let the selector of the queries choose with and without a key.

    Scores and predictions are made up. Where the choice is the same, the key
    has no effect.

    Returns:
        The problems; none where the selector fails on made-up images, which
        other checks report.
    """
    written = 'active_learning.shuffle_prop'
    ways: list[tuple[str, float, dict[str, Any], float]] = []
    if config.keys.shuffle_prop:
        ways.append((written, config.keys.shuffle_prop, {}, 1.0))
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
        except Exception:  # of a user's own selector; see Returns
            continue
        if same:
            problems.append(
                f'{where}: {config.selector["type"]} chooses the same with '
                f'it and without; got {value:g}. Leave it out, or have the '
                'selector use it'
            )
    return problems


def _chosen(part: dict[str, Any], shuffle: float) -> dict[str, list[int]]:
    """Let a selector choose of made-up images: name -> places."""
    kind = SELECTORS.get(part['type'])
    per_image = not unit_named(kind.unit).whole
    images = [PoolImage(f'{k}', _SIZE) for k in range(_IMAGES)]
    if per_image:
        images = images[:1]
    free = np.array([image.pixels for image in images], np.int64)
    budget = Budget(_PICKS, per_image)
    context = QueryContext(images, free, 1, 0, budget, shuffle, unit=Squares())
    selector = SELECTORS.build(dict(part, context=context))
    draw = torch.Generator().manual_seed(0)
    for image in images:
        made_up = Prediction(
            image.name,
            image.size,
            0,
            0,
            embedding=torch.randn(8, generator=draw),
            features=torch.randn(8, 6, 8, generator=draw),
        )
        seen = _predicted(made_up, 4, draw, torch.device('cpu'))
        score = torch.rand(*_SIZE, generator=draw).numpy()
        selector.shortlist(image, score, np.ones(_SIZE, bool), seen)
    places = selector.choose([selector.candidates()]).places
    return {name: found.tolist() for name, found in places.items()}
