"""Heuristics, selectors, features and committees, on one image."""

from __future__ import annotations

from dataclasses import replace
from itertools import repeat
from typing import Any

import numpy as np
import torch
from mmcv.utils import build_from_cfg

from segal.active.dataset.pool import query_batch
from segal.active.heuristics import BaseHeuristic
from segal.errors import ConfigError
from segal.experiment.committee import Committee
from segal.experiment.features import describe_first, needs_of
from segal.features import KINDS, Described, FrozenExtractor
from segal.features.cache import kept
from segal.features.segmentor import Segmentor, Tap
from segal.model_wrapper import ModelWrapper
from segal.preflight.base import QUIET, Preflight, said
from segal.registry import HEURISTICS
from segal.structures import Prediction


def ask(
    parts: Preflight, described: Described, problems: list[str]
) -> BaseHeuristic | None:
    """Heuristics and selectors on made-up probabilities of one image.

    Returns:
        The heuristic of the queries; None where it cannot be built.
    """
    config, images = parts.config, parts.data.pool.images
    image = images[0]
    draw = torch.Generator().manual_seed(0)
    probs = torch.randn(
        len(parts.data.classes), *image.size, generator=draw
    ).softmax(0)  # (C, H, W)
    before = Prediction(
        name=image.name,
        size=image.size,
        seed=config.seed,
        round=0,
        embedding=described.embedding,
        features=described.features,
    )
    after = replace(
        before,
        round=1,
        probs=probs.to(parts.device),
        samples=repeat(probs.to(parts.device)),
        views=repeat(probs.to(parts.device)),
        committee=repeat(probs.to(parts.device), 2),
        embedding=described.embedding.to(parts.device),
        features=None
        if described.features is None
        else described.features.to(parts.device),
        pool=dict(class_counts=torch.ones(len(probs)).long()),
    )
    heuristic = None
    with said('active_learning.heuristic', config.heuristic, problems):
        heuristic = build_from_cfg(dict(config.heuristic), HEURISTICS)
        heuristic(after)
    where = 'active_learning.initial.heuristic'
    with said(where, config.initial_heuristic, problems):
        first = build_from_cfg(dict(config.initial_heuristic), HEURISTICS)
        first(before)
    free = np.array([image.pixels for image in images], np.int64)
    for where, make in parts.selectors.items():
        with said(where, config.selector, problems):
            selector = make(images=images, free=free, round=0)
            if selector.needs:
                selector.shortlist(
                    image,
                    np.zeros(image.size, np.float32),
                    np.ones(image.size, bool),
                    before if 'at first' in where else after,
                )
                selector.candidates()
    return heuristic


def describe(
    parts: Preflight, weights: bool, problems: list[str]
) -> Described:
    """What is said of the first image, or, of the round's network, made up."""
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
    """Whether the network has the layer whose entrance is wanted."""
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


def committee(parts: Preflight, problems: list[str], weights: bool) -> None:
    """Those members of a committee that are there before the first round."""
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
