"""Everything a round is made of, made once before anything is bought.

A network, an optimizer or a hook that cannot be built from the config, a
pipeline that fails on an image, weights that do not fit: found when labels
are bought, their mend would be another config, which is another experiment.
"""

from __future__ import annotations

import copy
import inspect
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import repeat
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmcv import Config
from mmcv.parallel import DataContainer
from mmcv.runner import EvalHook
from mmcv.utils import build_from_cfg
from mmseg.core import build_optimizer
from mmseg.datasets import CityscapesDataset, CustomDataset
from torch import Tensor, nn

from segal import distributed as ranks
from segal.active.active_loop import SelectorFactory
from segal.active.dataset.active_dataset import UNASKED, labelled_sample
from segal.active.dataset.base import LoadFirst, reading
from segal.active.dataset.pool import query_batch
from segal.active.heuristics import BaseHeuristic
from segal.config.built import not_built
from segal.config.schema import ActiveLearningConfig, Training
from segal.errors import ConfigError, DataError, SegALError, nearest
from segal.features import KINDS, BaseExtractor, Described, FrozenExtractor
from segal.features.cache import kept
from segal.features.segmentor import Segmentor, Tap
from segal.hooks.pseudo_labels import WEAK, teachable_head
from segal.mc_dropout import check_dropout
from segal.model_wrapper import ModelWrapper
from segal.registry import HEURISTICS
from segal.runner.inner import RoundEpochRunner
from segal.structures import Prediction
from segal.utils.class_balance import check_class_balance
from segal.utils.committee import Committee
from segal.utils.data import Data
from segal.utils.features import describe_first, needs_of
from segal.utils.labelled_loss import check_sampled
from segal.utils.network import Networks
from segal.utils.phase_hooks import PhaseHooks
from segal.utils.sparse_losses import check_losses

METRICS = ('mIoU', 'mDice', 'mFscore')
"""What ``CustomDataset.evaluate`` knows."""

_QUIET = logging.getLogger('segal.rehearsal')
_QUIET.propagate = False
_QUIET.addHandler(logging.NullHandler())


@dataclass(frozen=True)
class Rehearsal:
    """What is rehearsed.

    Attributes:
        cfg: Translated config.
        config: Its active learning, read.
        data: The data sets.
        selectors: Key of its budget -> what builds a selector, as the runner
            takes it.
        device: Where to train.
        extractor: Describes images; None where nothing does.
    """

    cfg: Config
    config: ActiveLearningConfig
    data: Data
    selectors: Mapping[str, SelectorFactory]
    device: torch.device
    extractor: BaseExtractor | None = None

    @property
    def networks(self) -> Networks:
        """What builds the network, and says nothing."""
        return Networks(
            self.cfg, self.config, self.data.classes, self.device, _QUIET
        )

    @property
    def hooks(self) -> PhaseHooks:
        """What builds the hooks."""
        return PhaseHooks(
            self.cfg, self.config, self.data.val, Path(), self.device
        )


def rehearse(parts: Rehearsal, weights: bool) -> nn.Module:
    """Build all of a round.

    Args:
        parts: Of the experiment.
        weights: Whether the first weights shall be read as well.

    Returns:
        The network.

    Raises:
        ConfigError: What cannot be built, all of it at once.
        DataError: An image that cannot be read.
        StateError: Weights that are missing or do not fit.
        SegALError: A score that is none.
    """
    problems: list[str] = []
    with ranks.together():
        cfg = parts.cfg
        described = _describe(parts, weights, problems)
        heuristic = _query(parts, described, problems)
        sample = _samples(parts, problems)
        _sources(parts.data, sample, problems)
        _val(parts.data, problems)
        _evaluation(parts, problems)
        _hooks(parts, problems)
        model: Any = None
        with _said('model', cfg.model, problems):
            model = parts.networks.build()
        if model is not None:
            problems += check_losses(model)
            problems += _training(model, parts.config.training)
            problems += check_sampled(model, parts.config.loss_at_labels)
            with _said('optimizer', cfg.optimizer, problems):
                build_optimizer(model, copy.deepcopy(cfg.optimizer))
            if heuristic is not None and 'committee' in heuristic.needs:
                _committee(parts, problems, weights)
            if heuristic is not None and 'samples' in heuristic.needs:
                with _said('active_learning.heuristic', {}, problems):
                    check_dropout(model)
            if sample is not None and not problems:
                _forward(model, sample, parts, problems)
            if not problems:
                _tap(model, parts, problems)
        if problems:
            raise ConfigError(problems)
        if weights:
            parts.networks.check_weights(model.cpu())
    return model


@contextmanager
def _said(where: str, section: Any, problems: list[str]) -> Iterator[None]:
    """Turn what is raised in here into a problem of a section."""
    try:
        yield
    except ConfigError as error:
        problems += [f'{where}: {one}' for one in error.problems]
    except SegALError:
        raise
    except Exception as error:
        problems.append(not_built(where, section, error))


def _describe(
    parts: Rehearsal, weights: bool, problems: list[str]
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
            parts.extractor, parts.data.pool, parts.device, _QUIET, weights
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


def _tap(model: Any, parts: Rehearsal, problems: list[str]) -> None:
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


def _query(
    parts: Rehearsal, described: Described, problems: list[str]
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
    with _said('active_learning.heuristic', config.heuristic, problems):
        heuristic = build_from_cfg(dict(config.heuristic), HEURISTICS)
        heuristic(after)
    where = 'active_learning.initial.heuristic'
    with _said(where, config.initial_heuristic, problems):
        first = build_from_cfg(dict(config.initial_heuristic), HEURISTICS)
        first(before)
    free = np.array([image.pixels for image in images], np.int64)
    for where, make in parts.selectors.items():
        with _said(where, config.selector, problems):
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


def _committee(parts: Rehearsal, problems: list[str], weights: bool) -> None:
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
        _QUIET,
    )
    problems += committee.problems()
    if weights and not problems:
        committee.check()


def _samples(parts: Rehearsal, problems: list[str]) -> dict[str, Any] | None:
    """One sample of each pipeline of the pool.

    Returns:
        That of training; None where there is something wrong with it.
    """
    data, pool = parts.data, parts.data.pool
    image = pool[0]
    labels = np.full(image.size, parts.config.ignore_index, np.uint8)
    pseudo = parts.config.training.pseudo_labels is not None
    beside = {UNASKED: labels} if pseudo else {}
    sample: dict[str, Any] | None = None
    with _pipeline(problems):
        loader = LoadFirst(data.view, 'data.train')
        at = data.positions[image.name]
        sample = loader.transform(at, loader.load_image(at), labels, beside)
    if sample is not None and not _is_whole(sample, 'data.train', problems):
        sample = None
    if sample is not None:
        problems += _views(sample, pseudo)
    with _pipeline(problems):
        batch = query_batch(pool, [image.name])
        if not isinstance(batch.get('img'), list) or 'img_metas' not in batch:
            problems.append(
                'data.query.pipeline: wanted a test pipeline, whose '
                "MultiScaleFlipAug ends with dict(type='ImageToTensor', "
                "keys=['img']), dict(type='Collect', keys=['img']); got "
                f'samples of {sorted(batch)}'
            )
    return sample


def _views(sample: dict[str, Any], pseudo: bool) -> list[str]:
    """Whether a sample has what pseudo-labels want, and nothing but."""
    where = 'data.train.pipeline: '
    weak = _content(sample.get(WEAK))
    if weak is not None and not pseudo:
        return [
            f'{where}{WEAK!r} is for the teacher of '
            'active_learning.pseudo_labels, which is off; take it out of '
            'Collect, and KeepWeakView out of the pipeline'
        ]
    problems = []
    if weak is not None and weak.shape != _content(sample['img']).shape:
        problems.append(
            f'{where}wanted KeepWeakView after all steps that move pixels; '
            f'got a view of {tuple(weak.shape)} beside an image of '
            f'{tuple(_content(sample["img"]).shape)}'
        )
    return problems


def _is_whole(
    sample: Mapping[str, Any], key: str, problems: list[str]
) -> bool:
    """Whether a training sample has all that a batch is made of."""
    wanted = ('img', 'img_metas', 'gt_semantic_seg')
    lacks = [key for key in wanted if key not in sample]
    tensor = _content(sample.get('img'))
    if not lacks and isinstance(tensor, Tensor) and tensor.ndim == 3:
        return True
    got = f'no {", ".join(lacks)}' if lacks else 'no tensor as img'
    problems.append(
        f"{key}.pipeline: wanted dict(type='DefaultFormatBundle')"
        ", dict(type='Collect', keys=['img', 'gt_semantic_seg']) at "
        f'its end; got samples with {got}'
    )
    return False


def _sources(
    data: Data, sample: Mapping[str, Any] | None, problems: list[str]
) -> None:
    """One sample of each labelled source, and whether it goes with the pool's.

    Args:
        data: The data sets.
        sample: Of the pool, None where it has none.
        problems: Gets what is wrong.
    """
    for key, source in data.sources.items():
        made = None
        with _pipeline(problems), reading(source, 0, key):
            made = labelled_sample(source, 0, len(data.classes), key)
        if made is None or not _is_whole(made, key, problems):
            continue
        if sample is None:
            continue
        wanted, got = (_content(one['img']).shape for one in (sample, made))
        stacked = getattr(made['img'], 'stack', False)
        if wanted[0] != got[0] or not stacked:
            problems.append(
                f'{key}.pipeline: wanted images that go into one batch with '
                f"the pool's, {wanted[0]} channels each; got "
                f'{got[0] if stacked else "some that are not stacked"}; end '
                'both pipelines alike'
            )


@contextmanager
def _pipeline(problems: list[str]) -> Iterator[None]:
    """A pipeline that fails on the first image is the config's fault."""
    try:
        yield
    except DataError as error:
        if '.pipeline fails on it' not in str(error):
            raise
        problems.append(str(error))


def _val(data: Data, problems: list[str]) -> None:
    """What an evaluation would stumble over."""
    val = data.val
    if not len(val):
        problems.append(
            'data.val: wanted at least one image, got none; correct img_dir, '
            'img_suffix or split'
        )
        return
    with _pipeline(problems), reading(val, 0, 'data.val'):
        val[0]
    if not isinstance(val, CustomDataset):
        return
    if len(val.CLASSES or ()) != len(data.classes):
        problems.append(
            f'data.val.classes: wanted the {len(data.classes)} of '
            f'data.train, got {len(val.CLASSES or ())}'
        )
    if 'ann' not in val.img_infos[0]:
        problems.append(
            'data.val.ann_dir: required, the annotations that each round is '
            'evaluated on; got nothing'
        )


def _content(value: Any) -> Any:
    return value.data if isinstance(value, DataContainer) else value


def _evaluation(parts: Rehearsal, problems: list[str]) -> None:
    """The hook, its keys, and the names of its metrics."""
    section = parts.cfg.get('evaluation') or {}
    with _said('evaluation', section, problems):
        parts.hooks.evaluation()
    kind = type(parts.data.val)
    if kind.evaluate not in (
        CustomDataset.evaluate,
        CityscapesDataset.evaluate,
    ):
        return  # its own keys and metrics
    valid = {
        *inspect.signature(EvalHook).parameters,
        *inspect.signature(kind.evaluate).parameters,
        *('pre_eval', 'efficient_test'),
    } - {'self', 'results', 'logger', 'dataloader', 'eval_kwargs', 'kwargs'}
    problems += [
        f'evaluation.{key}: unknown key' + nearest(key, valid)
        for key in section
        if key not in valid
    ]
    metrics = section.get('metric', 'mIoU')
    names = metrics if isinstance(metrics, list | tuple) else [metrics]
    known = (*METRICS, 'cityscapes')[: 3 + (kind is not CustomDataset)]
    problems += [
        f'evaluation.metric: {name!r} is not supported' + nearest(name, known)
        for name in names
        if name not in known
    ]
    if 'mIoU' not in names and set(names) <= set(known):
        problems.append(
            "evaluation.metric: wanted 'mIoU' among them, which is the "
            f'curve; got {metrics!r}'
        )


def _training(model: nn.Module, training: Training) -> list[str]:
    """Whether the network can be trained as the config asks."""
    problems = []
    if training.class_balance is not None:
        problems += check_class_balance(model)
    if training.pseudo_labels and teachable_head(model) is None:
        problems.append(
            'active_learning.pseudo_labels: wanted a decode head with a '
            f'channel for each class, got {type(model).__name__} without '
            'one; leave pseudo_labels out, or choose another head'
        )
    return problems


class _Nothing(nn.Module):
    """In place of a network, for a runner that will not run."""

    def train_step(self) -> None:
        """Mmcv asks whether it is there."""


def _hooks(parts: Rehearsal, problems: list[str]) -> None:
    """Every hook that a section of the config describes."""
    cfg = parts.hooks.sections()
    runner = RoundEpochRunner(_Nothing(), logger=_QUIET, max_epochs=1)
    sections = {
        'lr_config': runner.register_lr_hook,
        'momentum_config': runner.register_momentum_hook,
        'optimizer_config': runner.register_optimizer_hook,
        'checkpoint_config': runner.register_checkpoint_hook,
        'log_config': runner.register_logger_hooks,
    }
    for name, register in sections.items():
        written = copy.deepcopy(cfg[name])  # mmcv changes what it gets
        with _said(name, written, problems):
            register(cfg[name])
    for index, hook in enumerate(cfg['custom_hooks'] or []):
        written = copy.deepcopy(hook)
        with _said(f'custom_hooks[{index}]', written, problems):
            runner.register_custom_hooks(hook)


def _forward(
    model: Any, sample: dict[str, Any], parts: Rehearsal, problems: list[str]
) -> None:
    """The network on one training image, without gradients."""
    if not hasattr(model, 'encode_decode'):
        return
    image = _content(sample['img'])[None].to(parts.device)  # (1, 3, h, w)
    metas = [_content(sample['img_metas'])]
    classes = len(parts.data.classes)
    model.to(parts.device).eval()
    try:
        with torch.no_grad():
            logits = model.encode_decode(image, metas)
    except torch.OutOfMemoryError:
        raise
    except Exception as error:
        problems.append(
            'model: does not run on a training sample of shape '
            f'{tuple(image.shape)}: {type(error).__name__}: {error}; correct '
            "in_channels, in_index and channels of the model's parts"
        )
        return
    got = logits.shape[1]
    if got != classes and not (got == 1 and classes == 2):
        problems.append(
            f'model: wanted {classes} output channels, one a class; got {got}'
        )
