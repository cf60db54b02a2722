"""Check an experiment before labels are bought."""

from __future__ import annotations

import copy
import logging
import time
from collections.abc import Mapping
from typing import Any

import torch
from mmseg.core import build_optimizer
from torch import nn

from segal.active.dataset.image_cache import check_cached
from segal.config.speed import check_device, slow_colours, slow_on
from segal.distributed import ranks
from segal.errors import ConfigError
from segal.models.losses.at_labels import check_sampled
from segal.models.losses.on_labelled import check_losses
from segal.models.mc_dropout import check_dropout
from segal.openmmlab.built import understood
from segal.preflight import (
    images,
    iteration,
    pictures,
    query,
    samples,
    training,
    views,
)
from segal.preflight.alignment import check_whole_views
from segal.preflight.base import (
    QUIET,
    Preflight,
    build_problems,
    unchanged_state,
)
from segal.preflight.colours import colours_enter_alike
from segal.preflight.label_flow import check_label_flow
from segal.preflight.label_values import check_label_values
from segal.preflight.plan import planned_spans
from segal.preflight.same_mask import check_same_mask
from segal.preflight.schedules import (
    check_groups,
    check_schedule,
    unmatched_keys,
)
from segal.preflight.training import check_ops
from segal.preflight.val_files import check_val_files

_HUGE = 10.0
"""Limit of weights, which may be uninitialised memory."""


@understood()
def check_experiment(
    parts: Preflight, weights: bool, logger: logging.Logger = QUIET
) -> nn.Module:
    """Build each part of a round once, and run it on one image.

    Args:
        parts: The experiment.
        weights: Whether to read the first weights, too.
        logger: Told what the schedule lacks, and how long it took.

    Returns:
        The network.

    Raises:
        ConfigError: Everything that is wrong with the config, at once.
        DataError: An image that cannot be read.
        StateError: Weights that are missing or do not fit.
        SegALError: A heuristic whose score is no score map.
    """
    problems: list[str] = []
    left_out, begin = '', time.perf_counter()
    with ranks.together():
        cfg, config, data = parts.cfg, parts.config, parts.data
        if not parts.smoke:
            found = check_schedule(cfg, config, planned_spans(parts))
            problems += found.problems
            for text in found.warnings:
                logger.warning(text)
            for text in found.notes:
                logger.info(text)
        described = query.describe(parts, weights, problems)
        heuristic, count = query.ask(parts, described, problems)
        problems += query.unused_keys(config)
        sample = samples.of_pool(parts, problems)
        views.check_steady('data.query', data.pool.dataset, problems)
        check_whole_views('data.query', data.pool.dataset, problems)
        samples.of_sources(data, sample, problems)
        if sample is not None:
            check_label_flow(parts, problems)
        check_same_mask(parts, problems)
        samples.of_val(data, problems)
        views.check_steady('data.val', data.val, problems)
        check_whole_views('data.val', data.val, problems)
        if config.speed.augment_on_device:
            samples.are_split(data, problems)
        images.read_alike(data, problems)
        images.enter_alike(data.pool, problems)
        images.sources_enter_alike(data, problems)
        images.keep_their_values(data, problems)
        colours_enter_alike(data, problems)
        pictures.draw(parts, problems)
        training.evaluation(parts, problems)
        training.hooks(parts, problems)
        model: Any = None
        with build_problems('model', cfg.model, problems):
            model = parts.networks.build()
        if model is not None:
            problems += check_ops(model, parts.device)
            problems += check_losses(model)
            problems += training.options(model, config.keys)
            problems += check_device(
                config.speed.precision, config.speed.gpu_memory, parts.device
            )
            speed = config.speed
            for slow in (
                slow_on(speed.precision, parts.device),
                slow_colours(speed.augment_on_device, parts.device),
            ):
                if slow:
                    logger.warning(slow)
            if config.speed.image_cache is not None:
                problems += check_cached(data.view)
            problems += check_sampled(model, config.keys.loss_at_labels)
            with build_problems('optimizer', cfg.optimizer, problems):
                optimizer = build_optimizer(
                    model, copy.deepcopy(cfg.optimizer)
                )
                problems += check_groups(optimizer)
            unmatched = unmatched_keys(model, cfg.optimizer)
            if unmatched:
                logger.warning(unmatched)
            needs = () if heuristic is None else heuristic.needs
            if 'committee' in needs:
                query.committee(parts, problems, weights)
            if 'samples' in needs:
                with build_problems('active_learning.heuristic', {}, problems):
                    check_dropout(model)
            if sample is not None and not problems:
                left_out = _run_once(parts, sample, count, problems)
        if problems:
            raise ConfigError(problems)
        check_val_files(data.val)
        check_label_values(parts)
        if weights:
            parts.networks.check_weights(model)
    seconds = time.perf_counter() - begin
    logger.info('preflight: %.1f s%s', seconds, left_out)
    return model


def _run_once(
    parts: Preflight,
    sample: Mapping[str, Any],
    count: int,
    problems: list[str],
) -> str:
    """Query, evaluate and train once, with a second network.

    Args:
        parts: The experiment.
        sample: Of the pool, for training.
        count: How many views of an image the heuristic reads.
        problems: Added to.

    Returns:
        What was left out to save time; empty: nothing.
    """
    model: Any = None
    with unchanged_state(parts.device):
        with build_problems('model', parts.cfg.model, problems):
            model = parts.networks.build().to(parts.device)
            parts.networks.sped(model)
        if model is None or not hasattr(model, 'encode_decode'):
            return ''
        with torch.no_grad():
            for value in model.parameters():
                value.nan_to_num_(0).clamp_(-_HUGE, _HUGE)
        begin = time.perf_counter()
        views.query(model, parts, problems)
        seconds = time.perf_counter() - begin
        if problems:  # the network may fail on any image
            problems[:] = [*training.forward(model, sample, parts)] or problems
            return ''
        query.tap(model, parts, problems)
        query.look_again(model, parts, count, problems)
        views.evaluate(model, parts, problems)
        if problems:
            return ''
        return iteration.train(model, sample, parts, seconds, problems)
