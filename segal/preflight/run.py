"""All of a round, built once."""

from __future__ import annotations

import copy
import logging
import time
from typing import Any

from mmseg.core import build_optimizer
from torch import nn

from segal.distributed import ranks
from segal.errors import ConfigError
from segal.models.losses.at_labels import check_sampled
from segal.models.losses.on_labelled import check_losses
from segal.models.mc_dropout import check_dropout
from segal.openmmlab.built import understood
from segal.preflight import (
    images,
    pictures,
    query,
    samples,
    training,
    views,
)
from segal.preflight import (
    one_pass as preflight,
)
from segal.preflight.label_flow import check_label_flow
from segal.preflight.label_values import check_label_values
from segal.preflight.parts import QUIET, Rehearsal, said
from segal.preflight.same_mask import check_same_mask
from segal.preflight.schedules import check_groups, unmatched_keys
from segal.preflight.selector_keys import unheeded


@understood()
def rehearse(
    parts: Rehearsal, weights: bool, logger: logging.Logger = QUIET
) -> nn.Module:
    """Build all of a round.

    Args:
        parts: Of the experiment.
        weights: Whether the first weights shall be read as well.
        logger: Told what it cost.

    Returns:
        The network.

    Raises:
        ConfigError: What cannot be built, all of it at once.
        DataError: An image that cannot be read.
        StateError: Weights that are missing or do not fit.
        SegALError: A score that is none.
    """
    problems = list(parts.problems)
    left_out, begin = '', time.perf_counter()
    with ranks.together():
        cfg = parts.cfg
        described = query.describe(parts, weights, problems)
        heuristic = query.ask(parts, described, problems)
        problems += unheeded(parts.config)
        sample = samples.of_pool(parts, problems)
        pool = parts.data.pool.dataset
        views.steady('data.query', pool, problems)
        samples.of_sources(parts.data, sample, problems)
        if sample is not None:
            check_label_flow(parts, problems)
        check_same_mask(parts, problems)
        samples.of_val(parts.data, problems)
        views.steady('data.val', parts.data.val, problems)
        images.read_alike(parts.data, problems)
        images.enter_alike(parts.data.pool, problems)
        images.sources_enter_alike(parts.data, problems)
        images.keep_their_values(parts.data, problems)
        pictures.draw(parts, problems)
        training.evaluation(parts, problems)
        training.hooks(parts, problems)
        model: Any = None
        with said('model', cfg.model, problems):
            model = parts.networks.build()
        if model is not None:
            problems += check_losses(model)
            problems += training.options(model, parts.config.training)
            problems += check_sampled(model, parts.config.loss_at_labels)
            with said('optimizer', cfg.optimizer, problems):
                optimizer = build_optimizer(
                    model, copy.deepcopy(cfg.optimizer)
                )
                problems += check_groups(optimizer)
            unmatched = unmatched_keys(model, cfg.optimizer)
            if unmatched:
                logger.warning(unmatched)
            if heuristic is not None and 'committee' in heuristic.needs:
                query.committee(parts, problems, weights)
            if heuristic is not None and 'samples' in heuristic.needs:
                with said('active_learning.heuristic', {}, problems):
                    check_dropout(model)
            if sample is not None and not problems:
                training.forward(model, sample, parts, problems)
            if not problems:
                query.tap(model, parts, problems)
            if sample is not None and not problems:
                left_out = preflight.fly(parts, sample, problems)
        if problems:
            raise ConfigError(problems)
        check_label_values(parts)
        if weights:
            parts.networks.check_weights(model.cpu())
    seconds = time.perf_counter() - begin
    logger.info('preflight: %.1f s%s', seconds, left_out)
    return model
