"""Train a config's backbone self-supervised on its own pool."""

from __future__ import annotations

import json
import logging
import math
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmcv import Config
from mmcv.cnn.utils import revert_sync_batchnorm
from mmcv.runner.checkpoint import weights_to_cpu
from mmseg.utils import get_root_logger
from mmselfsup.datasets import build_dataset as build_views
from mmselfsup.models import build_algorithm
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from tqdm import tqdm

import segal.datasets
import segal.features.pretraining
import segal.models  # noqa: F401  (fills the registries)
from segal.active.dataset.listing import build_listed
from segal.active.dataset.pool import Pool, open_pool
from segal.active.dataset.sampler import RoundBatchSampler
from segal.config.network import sync_bn_on_cpu
from segal.distributed import stopping
from segal.distributed.launching import own_device
from segal.errors import ConfigError, StateError
from segal.experiment.data import missing_paths
from segal.files import checksum, replace_file, replace_json
from segal.openmmlab.built import building
from segal.openmmlab.loading import load_file
from segal.openmmlab.pipelines import clean_query, drop_masks, unwrap_datasets
from segal.pretraining.ssl_config import (
    Algorithm,
    algorithm,
    backbone_of,
    channels_of,
    views,
)
from segal.runner.inner import save_checkpoint
from segal.seeding import seed_all, seeded

LARGEST_VIEW = 224
"""Largest default edge of a view, in pixels."""


@dataclass(frozen=True)
class Request:
    """Options of the training.

    Attributes:
        algorithm: ``'simsiam'`` or ``'byol'``.
        epochs: Over the pool.
        batch_size: Images an iteration; each is seen twice.
        lr: Of SGD; None: 0.05 for 256 images, in proportion.
        size: Edge of a view in pixels; None: the shorter side of the smallest
            image, 224 at most.
        seed: Of first weights, order and augmentation.
        workers: Loader processes.
    """

    algorithm: Algorithm
    epochs: int
    batch_size: int
    lr: float | None
    size: int | None
    seed: int
    workers: int


def pretrain(
    cfg: Config, request: Request, out: Path, logger: logging.Logger
) -> dict[str, Any]:
    """Train the backbone of a config, or continue its training.

    The weights are written to ``out``. Three more files get its name: ``.py``
    (the config of MMSelfSup), ``.json`` (the results of each epoch, which are
    returned) and, until the training is finished, ``.resume.pth``. Only
    ``model.backbone`` and ``data.query`` of the config are read, and no
    annotation.

    Raises:
        ConfigError: All problems of the config.
        DataError: Images that cannot be read.
        StateError: ``out`` is of another training, or cannot be written.
    """
    pool = _open(cfg)
    _check_colours(pool)
    sync_bn_on_cpu(cfg)
    backbone = backbone_of(cfg)
    shortest = min(min(image.size) for image in pool)
    size = request.size or max(16, min(LARGEST_VIEW, shortest))
    files = [pool.file(image.name) for image in pool]
    model = algorithm(request.algorithm, backbone, channels_of(backbone))
    data = dict(train=views(files, size, cfg))
    ssl = Config(dict(model=model, data=data))
    return _Training(ssl, pool, request, out, logger).run()


def _open(cfg: Config) -> Pool:
    """Build the pool of a config, without the rest of its data."""
    if not (cfg.get('data') or {}).get('query'):
        raise ConfigError(
            'data.query: required, the pool of images; got nothing'
        )
    unwrap_datasets(cfg)
    drop_masks(cfg)
    clean_query(cfg)
    query = cfg.data.query
    problems = missing_paths('data.query', query)
    if problems:
        raise ConfigError(problems)
    with building('data.query', query):
        dataset, notes = build_listed(query.copy(), dict(test_mode=True))
    for note in notes:
        get_root_logger().warning(f'data.query: {note}')
    return open_pool(dataset)


def _check_colours(pool: Pool) -> None:
    """Refuse images that MMSelfSup would read as something else."""
    for name, content in pool.contents.items():
        raise ConfigError(
            'data.query: wanted images of 8-bit colour, as which MMSelfSup '
            f'reads every file; {pool.file(name)} is {content.words} to the '
            "segmentor's own loader"
            + ', of more bits in the file' * content.stretched
            + '. Convert the images, or begin with other weights'
        )


class _Keyed(Dataset):
    """Views that depend only on (seed, epoch, image)."""

    def __init__(self, dataset: Any, names: list[str], seed: int) -> None:
        self.dataset = dataset
        self.names = names
        self.seed = seed

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, index: tuple[int, int]) -> list[Tensor]:
        epoch, position = index
        with seeded(self.seed, 'views', epoch, self.names[position]):
            return self.dataset[position]['img']


class _Training:
    """One training: network, optimizer, data, and its snapshot."""

    def __init__(
        self,
        ssl: Config,
        pool: Pool,
        request: Request,
        out: Path,
        logger: logging.Logger,
    ) -> None:
        self.ssl = ssl
        self.request = request
        self.out = out
        self.snapshot = out.with_suffix('.resume.pth')
        self.logger = logger
        self.device = own_device()
        self.sampler = RoundBatchSampler(
            len(pool), request.batch_size, request.seed, 0, drop_last=True
        )
        names = [image.name for image in pool]
        self.data = _Keyed(
            build_views(ssl.data.train.to_dict()), names, request.seed
        )
        self.options = dict(
            asdict(request),
            model=ssl.model.to_dict(),
            images=names,
            files=[checksum(pool.file(name)) for name in names],
            views=json.dumps(ssl.data.train.pipelines),
        )
        del self.options['workers']
        self.epochs: list[dict[str, float]] = []

    def run(self) -> dict[str, Any]:
        """Train to the end, from the start or the snapshot."""
        self.out.parent.mkdir(parents=True, exist_ok=True)
        if self.out.exists():
            return self._finished()
        model = self._network()
        optimizer = self._optimizer(model)
        self._go_on(model, optimizer)
        replace_file(self.out.with_suffix('.py'), self._written())
        begin, before = time.monotonic(), len(self.epochs)
        for epoch in range(before, self.request.epochs):
            self.epochs.append(self._epoch(epoch, model, optimizer))
            state = optimizer.state_dict()
            self._save(model, self.snapshot, optimizer=state)
            spent = time.monotonic() - begin
            each = spent / (epoch + 1 - before)
            left = each * (self.request.epochs - epoch - 1)
            self.logger.info(
                'epoch %d of %d: loss %.3f, spread %.2f, %.0f s; %s left',
                epoch + 1,
                self.request.epochs,
                self.epochs[-1]['loss'],
                self.epochs[-1]['spread'],
                each,
                f'{left / 60:.0f} min' if left >= 90 else f'{left:.0f} s',
            )
        return self._finish(model)

    def _written(self) -> str:
        """Return the config of MMSelfSup, without the paths of the pool."""
        shown = Config(self.ssl._cfg_dict.to_dict())
        shown.data.train.data_source.files = []
        return shown.pretty_text

    def _network(self) -> Any:
        """Build the algorithm with its first weights, in one process."""
        seed_all(self.request.seed, 'pretrain', 'weights')
        model: Any = revert_sync_batchnorm(build_algorithm(self.ssl.model))
        model.init_weights()
        if self.request.algorithm == 'byol':  # the teacher begins as a copy
            model.target_net.load_state_dict(model.online_net.state_dict())
        return model.to(self.device)

    def _optimizer(self, model: nn.Module) -> torch.optim.SGD:
        """Build SGD; SimSiam's predictor has a group of its own."""
        groups: list[list[nn.Parameter]] = [[], []]
        for name, parameter in model.named_parameters():
            if parameter.requires_grad:
                groups[name.startswith('head.')].append(parameter)
        return torch.optim.SGD(
            [dict(params=group) for group in groups],
            lr=self.request.lr or 0.05 * self.request.batch_size / 256,
            momentum=0.9,
            weight_decay=1e-4,
        )

    def _epoch(
        self, epoch: int, model: Any, optimizer: torch.optim.Optimizer
    ) -> dict[str, float]:
        """Train one epoch: the mean loss, the last :func:`spread`."""
        loader = DataLoader(
            self.data,
            batch_sampler=self.sampler.batches(epoch),
            num_workers=self.request.workers,
        )
        losses = []
        total = self.request.epochs * len(self.sampler)
        bar = tqdm(loader, f'epoch {epoch + 1}', leave=False, mininterval=1)
        model.train()
        for number, batch in enumerate(bar, epoch * len(self.sampler)):
            stopping.check()
            self._schedule(model, optimizer, number / total)
            pair = [view.to(self.device) for view in batch]
            loss = model.train_step(dict(img=pair), None)['loss']
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            if self.request.algorithm == 'byol':
                model.momentum_update()
            losses.append(float(loss.detach()))
        if not np.isfinite(losses).all():
            raise StateError(
                f'epoch {epoch + 1}: the loss is NaN or infinite; lower --lr, '
                'and write into another --out'
            )
        return dict(loss=float(np.mean(losses)), spread=spread(model, pair[0]))

    def _schedule(
        self, model: Any, optimizer: torch.optim.Optimizer, done: float
    ) -> None:
        """Set learning rate and BYOL's momentum for a share of training."""
        cosine = (1 + math.cos(math.pi * done)) / 2
        base = optimizer.defaults['lr']
        others, predictor = optimizer.param_groups
        others['lr'] = predictor['lr'] = base * cosine
        if self.request.algorithm == 'simsiam':
            predictor['lr'] = base
        else:
            model.momentum = 1 - (1 - model.base_momentum) * cosine

    def _save(self, network: nn.Module, path: Path, **more: Any) -> None:
        """Write the weights of a network with the options and epochs."""
        content = dict(
            meta=dict(options=self.options, epochs=self.epochs),
            state_dict=dict(weights_to_cpu(network.state_dict())),
            **more,
        )
        save_checkpoint(content, path)

    def _go_on(self, model: nn.Module, optimizer: Any) -> None:
        """Load the snapshot, if there is one."""
        if not self.snapshot.exists():
            return
        found = load_file(self.snapshot)
        self._same(found.get('meta', {}).get('options'), self.snapshot)
        model.load_state_dict(found['state_dict'])
        optimizer.load_state_dict(found['optimizer'])
        self.epochs = list(found['meta']['epochs'])
        self.logger.info(
            'going on after epoch %d of %d',
            len(self.epochs),
            self.request.epochs,
        )

    def _same(self, options: Any, path: Path) -> None:
        """Check that a snapshot belongs to this training."""
        if not isinstance(options, dict):
            options = {}
        differing = [
            name
            for name, value in self.options.items()
            if options.get(name) != value
        ]
        if differing:
            raise StateError(
                f'{path}: wanted a file of this training, got one with other '
                f'{", ".join(differing)}; name another file with --out, or '
                'move this one away'
            )

    def _finish(self, model: Any) -> dict[str, Any]:
        """Write the weights, and remove the snapshot."""
        self._save(model.backbone, self.out)
        self.snapshot.unlink(missing_ok=True)
        report = dict(asdict(self.request), epochs_done=self.epochs)
        replace_json(self.out.with_suffix('.json'), report)
        return report

    def _finished(self) -> dict[str, Any]:
        """Log the result of a finished training."""
        meta = load_file(self.out).get('meta', {})
        self._same(meta.get('options'), self.out)
        self.logger.info('%s is there already', self.out)
        self.snapshot.unlink(missing_ok=True)
        return dict(asdict(self.request), epochs_done=meta['epochs'])


@torch.no_grad()
def spread(model: Any, images: Tensor) -> float:
    """Measure the spread of a backbone's embeddings: 0 when collapsed.

    Standard deviation of the normalised embeddings of images (B, 3, h, w)
    times the root of their length; 1 for embeddings in random directions.

    Source: Chen and He, Exploring Simple Siamese Representation Learning, CVPR
    2021, section 4.1.
    """
    model.eval()
    last = model.extract_feat(images)[-1]  # (B, F, h, w)
    model.train()
    unit = nn.functional.normalize(last.mean(dim=(2, 3)), dim=1)  # (B, F)
    return float(unit.std(dim=0).mean() * unit.shape[1] ** 0.5)
