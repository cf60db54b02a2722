"""Build the network of a config, load its weights, wrap it to train."""

from __future__ import annotations

import copy
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from mmcv import Config
from mmcv.cnn.utils import revert_sync_batchnorm
from mmcv.runner import CheckpointLoader
from mmseg.models import build_segmentor
from mmseg.utils import build_ddp, build_dp
from torch import Tensor, nn

from segal.config.schema import ActiveLearningConfig
from segal.distributed import ranks
from segal.errors import StateError
from segal.experiment.trained import meta_in
from segal.models.losses.at_labels import sample_losses
from segal.models.losses.domains import weigh_domains
from segal.models.losses.on_labelled import mend
from segal.models.speed import speed_up
from segal.models.weights import (
    fill_network,
    init_own_way,
    load_backbone,
    network_tensors,
    read_weights,
)
from segal.seeding import seed_all


@dataclass(frozen=True)
class Networks:
    """Build networks, each from a copy of the config."""

    cfg: Config
    config: ActiveLearningConfig
    classes: tuple[str, ...]
    device: torch.device
    logger: logging.Logger

    def build(self) -> nn.Module:
        """Build the network of the config, uninitialised."""
        cfg = copy.deepcopy(self.cfg)
        model = build_segmentor(
            cfg.model,
            train_cfg=cfg.get('train_cfg'),
            test_cfg=cfg.get('test_cfg'),
        )
        if self.device.type != 'cuda':
            model = revert_sync_batchnorm(model)
        mend(model)
        sample_losses(model, self.config.keys.loss_at_labels)
        if self.config.keys.sources.loss_weight is not None:
            weigh_domains(model, self.config.keys.sources.loss_weight)
        model.CLASSES = self.classes
        return model

    def first(self, round: int) -> nn.Module:
        """Build the network with its first weights.

        Raises:
            StateError: Weights that are missing or do not fit.
        """
        seed_all(self.config.seed, round, 'weights')
        model: Any = self.build()
        backbone: Any = model.backbone
        source, own_way = self._source(backbone)
        if source is not None and own_way:
            with self._named():
                init_own_way(backbone, source)
            model.init_weights()
        else:
            if source is not None or self.cfg.get('load_from'):
                backbone.init_cfg = None
            model.init_weights()
            if source is not None:
                with self._named():
                    load_backbone(backbone, source, self.logger)
        if self.cfg.get('load_from'):
            self._load_from(model)
        return self.sped(model)

    def sped(self, model: nn.Module) -> nn.Module:
        """Run a network as ``speed`` says, once it has its weights."""
        speed = self.config.speed
        speed_up(model, speed.channels_last, speed.precision, speed.compile)
        return model

    def check_weights(self, model: nn.Module) -> None:
        """Read the first weights, and check that they fit.

        Args:
            model: From :meth:`build`; it may get some of them.

        Raises:
            StateError: Weights that are missing or do not fit.
        """
        backbone: Any = model.backbone
        source, own_way = self._source(backbone)
        if source is not None:
            with self._named():
                if own_way:
                    read_weights(source)
                else:
                    load_backbone(backbone, source, self.logger)
        if self.cfg.get('load_from'):
            self._load_from(model)

    @contextmanager
    def _named(self) -> Iterator[None]:
        """Name the key of wrong weights in the error."""
        try:
            yield
        except StateError as error:
            key = (
                'runner.checkpoint'
                if self.config.runner.checkpoint
                else 'model'
            )
            raise StateError(f'{key}: {error}') from error

    def _source(self, backbone: nn.Module) -> tuple[str | None, bool]:
        """Find the first weights of a backbone.

        Returns:
            Path or address, None if there is none or ``load_from`` fills the
            whole network; and whether the backbone converts the weights
            itself (Swin, ViT).
        """
        if self.cfg.get('load_from'):
            return None, False
        if self.config.runner.checkpoint:
            return self.config.runner.checkpoint, False
        init = getattr(backbone, 'init_cfg', None)
        if not isinstance(init, dict) or init.get('type') != 'Pretrained':
            return None, False
        return init.get('checkpoint'), 'init_weights' in vars(type(backbone))

    def again(self, weights: Mapping[str, Tensor], where: str) -> nn.Module:
        """Build the network with the weights at the end of a round.

        Weights that hooks added (EMA's second set) are left out.

        Raises:
            StateError: The weights belong to another network.
        """
        model = self.build()
        wanted = model.state_dict().keys()
        try:
            model.load_state_dict(
                {name: weights[name] for name in wanted if name in weights}
            )
        except RuntimeError as error:
            raise StateError(
                f'{where}: wanted the weights of this network, got others '
                f'({str(error)[:300]} ...); restore the file from a copy'
            ) from error
        return self.sped(model)

    def _load_from(self, model: nn.Module) -> None:
        """Load a whole network's weights, such as those of a source domain."""
        source: str = self.cfg.load_from
        try:
            content = CheckpointLoader.load_checkpoint(
                source, map_location='cpu'
            )
            over = fill_network(
                model,
                network_tensors(content, source),
                source,
                spare=('auxiliary_head',),
            )
        except StateError as error:
            raise StateError(f'load_from: {error}') from error
        except Exception as error:
            raise StateError(
                f'load_from: {source} cannot be loaded '
                f'({type(error).__name__}: {error})'
            ) from error
        self._compare_classes(meta_in(content).get('CLASSES'), source)
        self.logger.info(
            'load_from: all weights of the %s are those of %s%s',
            type(model).__name__,
            source,
            f'; {len(over)} passed over ({over[0]}, ...)' if over else '',
        )

    def _compare_classes(self, names: Any, source: str) -> None:
        """Check that the classes of a checkpoint have the same order."""
        if not isinstance(names, list | tuple) or not self.classes:
            return
        got, wanted = list(names), list(self.classes)
        if got != wanted and sorted(map(str, got)) == sorted(wanted):
            raise StateError(
                f'load_from: wanted weights of the classes {wanted}, in this '
                f'order; {source} was trained for {got}: write the classes '
                "of data.train in the checkpoint's order"
            )
        if got != wanted:
            self.logger.warning(
                'load_from: %s was trained for the classes %s, which now '
                'mean %s',
                source,
                got,
                wanted,
            )

    def parallel(self, model: nn.Module) -> nn.Module:
        """Wrap the network as mmseg trains it."""
        kind = self.device.type
        ids = [torch.cuda.current_device()] if kind == 'cuda' else None
        if ranks.world_size() == 1:
            return build_dp(model, kind, device_ids=ids)
        return build_ddp(
            model,
            kind,
            device_ids=ids,
            broadcast_buffers=False,
            find_unused_parameters=self.cfg.get(
                'find_unused_parameters', False
            ),
        )


def weight_bytes(model: nn.Module) -> int:
    """Compute the disk space of the weights, in bytes."""
    return sum(
        value.numel() * value.element_size()
        for value in model.state_dict().values()
    )


def checkpoint_bytes(model: nn.Module) -> int:
    """Compute the disk space of a checkpoint with Adam's state, in bytes."""
    moments = 2 * sum(
        parameter.numel() * parameter.element_size()
        for parameter in model.parameters()
    )
    return weight_bytes(model) + moments
