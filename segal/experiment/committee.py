"""Load the networks of a committee, once for each query.

All of them are held on the device until their round is over: each costs as
much memory as its weights.
"""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from mmcv import Config
from torch import Tensor, nn

from segal.config.load import load_config
from segal.config.schema import Member
from segal.distributed import ranks
from segal.errors import ConfigError, StateError, short
from segal.experiment.trained import (
    build_plain,
    class_count,
    differing_step,
    meta_in,
    name_classes,
    test_pipeline_of,
)
from segal.model_wrapper import ModelWrapper
from segal.models.weights import fill_network, network_tensors
from segal.openmmlab.loading import load_file


@dataclass(frozen=True)
class Committee:
    """Load the further networks that predict beside a round's own.

    Attributes:
        members: The members in the config.
        cfg: The translated config of the experiment.
        classes: Names of the C classes.
        device: Device of the networks.
        earlier: Returns the network at the end of a round of this run.
        logger: Logs the members that were loaded.
    """

    members: Sequence[Member]
    cfg: Config
    classes: tuple[str, ...]
    device: torch.device
    earlier: Callable[[int], nn.Module]
    logger: logging.Logger

    def problems(self) -> list[str]:
        """Check the configs of the members at the start."""
        found = []
        for member in self.members:
            if member.config is not None:
                try:
                    found += self._problems(member)
                except ConfigError as error:
                    found += [
                        f'{member.where}.config: {one}'
                        for one in error.problems
                    ]
        return found

    def _problems(self, member: Member) -> list[str]:
        assert member.config is not None
        cfg = load_config(member.config)
        where = f'{member.where}.config: {member.config}'
        found = []
        count = class_count(build_plain(copy.deepcopy(cfg), self.device))
        if count != len(self.classes):
            found.append(
                f'{where}: wanted a network of the {len(self.classes)} '
                f'classes of data.train, got one of {count}; name another'
            )
        pipeline, _ = test_pipeline_of(cfg)
        other = pipeline and differing_step(self.cfg, cfg)
        if other:
            found.append(
                f'{where}: wanted the query pipeline of this config, since '
                'one image is shown to all of a committee; got '
                f'{short(other[1])} in place of {short(other[0])}; name a '
                'network that learnt from such images'
            )
        return found

    def check(self) -> None:
        """Load, once, every member that exists before the first round.

        Raises:
            StateError: A checkpoint is missing, hurt, or does not fit.
        """
        for member in self.members:
            if member.checkpoint and not member.each_round:
                self._load(member, 0)

    def gather(self, round: int, asked: bool) -> list[ModelWrapper]:
        """Load the further networks of a round's committee, on every rank.

        Args:
            round: The round whose own network is the first member.
            asked: True: labels are bought by their predictions. False: they
                are for pictures only, and missing members are left out.

        Raises:
            StateError: ``asked``, and a member is missing, hurt, or does not
                fit.
        """
        found: list[ModelWrapper] = []
        for member in self.members:
            earliest = max(0, round - member.rounds)
            calls = [
                partial(self.earlier, before)
                for before in range(round - 1, earliest - 1, -1)
            ]
            if member.checkpoint:
                calls = [partial(self._load, member, round)]
            for call in calls:
                try:
                    model = call().to(self.device).eval()
                except StateError as error:
                    if asked:
                        raise
                    self.logger.warning(
                        '%s. Pictures of round %d show the scores of the '
                        'rest of the committee.',
                        error,
                        round,
                    )
                    continue
                found.append(ModelWrapper(model, self.device))
        self.logger.info(
            'the committee of round %d: its own network and %d more',
            round,
            len(found),
        )
        return found

    def _load(self, member: Member, round: int) -> nn.Module:
        """Load a member from its checkpoint, read by rank 0 for all."""
        path = member.path(round)
        where = f'{member.where}.checkpoint'
        weights: dict[str, Tensor] | None = None
        cfg = self.cfg
        if member.config is not None:
            cfg = load_config(member.config)
        with ranks.together():
            if ranks.is_main():
                weights = self._read(path, where, member.each_round, cfg)
        model = build_plain(copy.deepcopy(cfg), self.device)
        try:
            fill_network(model, ranks.broadcast(weights), str(path))
        except StateError as error:
            raise StateError(f'{where}: {error}') from error
        return model

    def _read(
        self, path: Path, where: str, each_round: bool, cfg: Config
    ) -> dict[str, Tensor]:
        """Read the weights of a checkpoint with the same classes.

        Where it names none, those that its ``cfg`` names count.
        """
        if not path.is_file():
            raise StateError(
                f'{where}: wanted a checkpoint, but there is no {path}; '
                + (
                    'run the experiment that writes it as far as that round, '
                    'and then the same command again: it goes on with this '
                    'query, and no label is lost'
                    if each_round
                    else 'correct the path'
                )
            )
        try:
            content = load_file(path)
            weights = network_tensors(content, str(path))
        except StateError as error:
            raise StateError(f'{where}: {error}') from error
        classes = meta_in(content).get('CLASSES')
        if not classes and cfg is not self.cfg:
            count = len(self.classes)
            classes, _ = name_classes(cfg, {}, count)
            if classes == tuple(f'class_{i}' for i in range(count)):
                classes = None  # nobody names them
        if classes and tuple(map(str, classes)) != self.classes:
            raise StateError(
                f'{where}: wanted a network of the classes {self.classes}, '
                f'in this order; {path} is of {short(tuple(classes))}; name '
                'another'
            )
        return weights
