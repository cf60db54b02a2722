"""Extract the features of a pool once, then read them from the cache."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from segal.active.dataset.pool import Pool
from segal.distributed import ranks, stopping
from segal.model_wrapper import ModelWrapper
from segal.structures import PoolImage, Prediction
from segal.terminal import progress

from .base import KINDS, BaseExtractor
from .cache import FeatureCache, Stamp, kept, read_stamps, stamp, write_stamps
from .frozen import FrozenExtractor, FrozenNetwork
from .segmentor import NetworkFeatures, Tap


@dataclass(eq=False)
class PoolFeatures:
    """Add embeddings and feature maps to predictions.

    Features of a frozen network are read from the cache in ``folder``, which
    is filled first: each rank extracts its share of the pool, image by image,
    with so many loader ``workers``. A run that was killed extracts only the
    missing features. A changed image, weight or option has a new key, so its
    features are extracted again.
    """

    pool: Pool
    extractor: BaseExtractor
    device: torch.device
    folder: Path
    workers: int
    logger: logging.Logger
    _stems: dict[str, str] = field(default_factory=dict, init=False)
    _cache: FeatureCache | None = field(default=None, init=False)
    _network: FrozenNetwork | None = field(default=None, init=False)

    def wants_network(self, needs: Collection[str]) -> bool:
        """Check whether the round's network must see an image for needs."""
        return self.extractor.of_network and not set(KINDS).isdisjoint(needs)

    def prepare(self, needs: Collection[str]) -> None:
        """Extract the missing features; every rank calls it.

        Maps are only kept if they are among the ``needs`` of the heuristics
        and selectors.

        Raises:
            ConfigError: The network cannot be built, or cannot describe.
            DataError: An image cannot be read.
            StateError: Weights that do not fit, or a folder that cannot be
                written.
        """
        kinds = [kind for kind in KINDS if kind in needs]
        if not kinds or self.extractor.of_network:
            return
        images = self.pool.images
        mine = images[ranks.rank() :: ranks.world_size()]
        with ranks.together():
            cache = self._open()
            stamps = self._look(mine)
        everywhere: dict[str, Stamp] = {}
        for part in ranks.gather_everywhere(stamps):
            everywhere.update(part)
        self._stems = {
            image.name: self._stem(image, everywhere[image.name][2])
            for image in images
        }
        with ranks.together():
            if ranks.is_main():
                known = {self._path(x): one for x, one in everywhere.items()}
                write_stamps(self.folder, known)
            missing = [
                image
                for image in mine
                if not all(
                    cache.has(self._stems[image.name], kind) for kind in kinds
                )
            ]
            self._fill(missing, kinds)
        self._network = None
        ranks.barrier()

    def add(
        self, prediction: Prediction, needs: Collection[str]
    ) -> Prediction:
        """Add the needed ones of an image's features to its prediction."""
        if self.extractor.of_network:
            return prediction
        wanted = [kind for kind in KINDS if kind in needs]
        found = {kind: self._read(prediction.name, kind) for kind in wanted}
        return replace(prediction, **found)  # type: ignore[arg-type]

    @contextmanager
    def tapping(
        self, wrapper: ModelWrapper, needs: Collection[str]
    ) -> Iterator[NetworkFeatures | None]:
        """Record the maps of the round's network, where it is the extractor.

        None is given where nothing here is needed.
        """
        if not self.wants_network(needs):
            yield None
            return
        with Tap(wrapper.model).open() as tap:
            yield NetworkFeatures(tap, self.extractor, wrapper.device, needs)

    def _read(self, name: str, kind: str) -> Tensor:
        """Read one kind of features; extract lost ones again."""
        cache = self._open()
        image = self.pool[self.pool.position[name]]
        if name not in self._stems:
            self._stems[name] = self._stem(image, self._look([image])[name][2])
        array = cache.read(self._stems[name], kind)
        if array is None:
            self._describe(image, self.pool.read_image(name), [kind])
            array = cache.read(self._stems[name], kind)
        assert array is not None
        return torch.from_numpy(array.astype(np.float32)).to(self.device)

    def _open(self) -> FeatureCache:
        """Return the extractor's part of the folder."""
        if self._cache is None:
            extractor = self._frozen
            network = self._opened()
            cache = FeatureCache(self.folder / network.fingerprint())
            cache.describe(
                dict(extractor.options(), checkpoint=extractor.checkpoint)
            )
            self._cache = cache
        return self._cache

    @property
    def _frozen(self) -> FrozenExtractor:
        assert isinstance(self.extractor, FrozenExtractor)
        return self.extractor

    def _opened(self) -> FrozenNetwork:
        """Build the network, where a feature is missing."""
        if self._network is None:
            self._network = self._frozen.open(self.device, self.logger)
        return self._network

    def _path(self, name: str) -> str:
        return str(Path(self.pool.file(name)).absolute())

    def _look(self, images: Sequence[PoolImage]) -> dict[str, Stamp]:
        """Compute the digests of files, by name of image."""
        known = read_stamps(self.folder)
        return {
            image.name: stamp(Path(self.pool.file(image.name)), known)
            for image in images
        }

    def _stem(self, image: PoolImage, digest: str) -> str:
        """Return an image's key in the cache."""
        said = repr((image.name, tuple(image.size), digest, self._loading))
        return hashlib.blake2b(said.encode(), digest_size=16).hexdigest()

    @cached_property
    def _loading(self) -> list[str]:
        """Describe the steps that turn a file into an image."""
        view = self.pool.view.fingerprint(self.pool.contents)
        return [*self.pool.loading, view] if view else self.pool.loading

    def _fill(self, images: Sequence[PoolImage], kinds: Sequence[str]) -> None:
        """Extract the features of some images, with a progress bar."""
        loader = DataLoader(
            _Images(self.pool, images),
            batch_size=None,
            num_workers=min(self.workers, len(images)),
        )
        bar = progress(
            len(images),
            f'features ({type(self.extractor).__name__})',
            disable=not ranks.is_main(),
        )
        with bar:
            for image, array in zip(images, loader, strict=True):
                stopping.check()
                self._describe(image, np.asarray(array), kinds)
                bar.update()
        if images:
            self.logger.info(
                'features: %d images were described by %s (%s)',
                len(images),
                type(self.extractor).__name__,
                ', '.join(kinds),
            )

    def _describe(
        self, image: PoolImage, pixels: NDArray[np.uint8], kinds: Sequence[str]
    ) -> None:
        """Extract and write the features of an image."""
        cache = self._open()
        described = self._opened()(pixels, image.name)
        for kind, array in kept(described, kinds).items():
            cache.write(self._stems[image.name], kind, array)


class _Images(Dataset):
    """Images of a pool as the extractor's loader reads them."""

    def __init__(self, pool: Pool, images: Sequence[PoolImage]) -> None:
        self.pool = pool
        self.images = images

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> NDArray[np.uint8]:
        if index >= len(self.images):
            raise IndexError(index)
        return self.pool.read_image(self.images[index].name)
