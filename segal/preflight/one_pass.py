"""What is run, beside what is built, before a label is bought."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import torch

from segal.preflight import miniature, views
from segal.preflight.apart import apart
from segal.preflight.parts import Rehearsal, said

HUGE = 10.0
"""Weights that were never set may be anything; they are cut to this."""


def fly(
    parts: Rehearsal, sample: Mapping[str, Any], problems: list[str]
) -> str:
    """Query, evaluate and train once, on a network of its own.

    Args:
        parts: Of the experiment.
        sample: mmseg's training sample of the pool.
        problems: Gets what is wrong.

    Returns:
        What was left out for the sake of time; empty: nothing.
    """
    model: Any = None
    with apart(parts.device):
        with said('model', parts.cfg.model, problems):
            model = parts.networks.build().to(parts.device)
        if model is None or not hasattr(model, 'encode_decode'):
            return ''
        with torch.no_grad():
            for value in model.parameters():
                value.nan_to_num_(0).clamp_(-HUGE, HUGE)
        begin = time.perf_counter()
        views.query(model, parts, problems)
        seconds = time.perf_counter() - begin
        views.evaluate(model, parts, problems)
        if problems:
            return ''
        return miniature.train(model, sample, parts, seconds, problems)
