"""Make training samples of bought labels and of labelled sources."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import cv2
import numpy as np
import torch
from mmcv.parallel import DataContainer
from mmseg.datasets import CustomDataset
from numpy.typing import NDArray
from torch.utils.data import Dataset

from segal.active.dataset.base import LoadFirst, reading
from segal.active.dataset.image_cache import (
    CachedLoad,
    ImageCache,
    caches,
)
from segal.active.label_store.ids import ids_in
from segal.active.label_store.store import LabelStore
from segal.seeding import seeded
from segal.structures import LABELLED

UNASKED = 'gt_unasked'
"""Map beside the labels: 0 where no label was asked, else ``ignore_index``."""

FROM_SOURCE = 'from_source'
"""Key of ``img_metas``: True for a sample of a labelled source."""


Defer = Callable[[list[Any], str], list[Any]]
"""Takes the steps behind ``LoadAnnotations`` and the key of a data set."""


def as_they_are(steps: list[Any], key: str) -> list[Any]:
    """Return the steps of a pipeline."""
    return steps


class ActiveDataset(Dataset):
    """Give the training pipeline only labels that were bought.

    The labels of a sample begin as a map of ``ignore_index``, get the bought
    labels of the store, and are then augmented with the image. An unbought
    label cannot leak: its file is never read.

    The set has every image with at least one label, for every query unit. The
    list of images is fixed when the object is made, once for each phase.

    Args:
        view: The pool as the training pipeline sees it.
        positions: Image name -> position in ``view``.
        store: The bought labels.
        sources: Fully labelled data sets beside the pool.
        seed: The experiment's seed.
        round: Round of the training phase.
        ignore_index: Class id of pixels without a label, and of padding.
        unasked: Add the map ``UNASKED`` to samples.
        cache: Keeps decoded images of the pool; None: nothing is kept.
        defer: Replaces the steps of a pipeline that are not run here.
    """

    def __init__(
        self,
        view: CustomDataset,
        positions: Mapping[str, int],
        store: LabelStore,
        sources: Sequence[Any] = (),
        seed: int = 0,
        round: int = 0,
        ignore_index: int = 255,
        unasked: bool = False,
        cache: ImageCache | None = None,
        defer: Defer = as_they_are,
    ) -> None:
        self.CLASSES, self.PALETTE = view.CLASSES, view.PALETTE
        self.names = store.labelled_names()
        self.sources = list(sources)
        self.ignore_index = ignore_index
        self.unasked = unasked
        self._loader = LoadFirst(view, 'data.train', hides=True)
        if cache is not None and caches(self._loader.load):
            first, *others = self._loader.load
            self._loader.load = [CachedLoad(first, cache), *others]
        self._loader.transforms = defer(self._loader.transforms, 'data.train')
        self._defer = defer
        self._positions = positions
        self._store = store
        self._draw = (seed, round)
        self._ids: dict[str, frozenset[int]] = {}

    @property
    def source_images(self) -> int:
        """Count the images of all sources."""
        return sum(len(source) for source in self.sources)

    def __len__(self) -> int:
        return len(self.names) + self.source_images

    def __getitem__(self, index: int | tuple[int, int]) -> dict[str, Any]:
        """Make one augmented training sample.

        The ``index`` is ``(epoch, position)`` from the sampler; a position
        alone means epoch 0. The augmentation depends only on (seed, round,
        epoch, name).

        Returns mmseg's sample: ``img`` (3, h, w) and ``gt_semantic_seg`` (1,
        h, w) with ``ignore_index`` where no label was bought; on request
        ``UNASKED``, uint8 (1, h, w).
        """
        epoch, position = index if isinstance(index, tuple) else (0, index)
        if position < len(self.names):
            name = self.names[position]
            with seeded(*self._draw, epoch, name) as again:
                sample = self._bought(name, again)
                return self._finished(sample, from_source=False)
        position -= len(self.names)
        for number, source in enumerate(self.sources):
            if position < len(source):
                with (
                    seeded(*self._draw, epoch, number, position) as again,
                    reading(source, position, 'data.train'),
                ):
                    sample = labelled_sample(
                        source,
                        position,
                        len(self.CLASSES),
                        'data.train',
                        again,
                        self._defer,
                    )
                    return self._finished(sample, from_source=True)
            position -= len(source)
        raise IndexError(index)

    def _bought(self, name: str, again: Callable[[], None]) -> dict[str, Any]:
        """Make the sample of a pool image from its bought labels."""
        labels = self._store.draw(name, self.ignore_index)  # (H, W)
        position = self._positions[name]
        results = self._loader.load_image(position)
        beside = {}
        if self.unasked:
            beside[UNASKED] = unasked_map(self._store, name, self.ignore_index)
        if name not in self._ids:  # the same until the phase ends
            self._ids[name] = ids_in(labels, self.ignore_index)
        return self._loader.transform(
            position, results, labels, beside, self._ids[name], again
        )

    def _finished(
        self, sample: dict[str, Any], from_source: bool
    ) -> dict[str, Any]:
        """Record a sample's origin, and pad its labels with no class.

        mmcv's collate would pad them with class 0.
        """
        metas = sample.get('img_metas')
        if isinstance(metas, DataContainer):
            metas.data[FROM_SOURCE] = from_source
        labels = sample['gt_semantic_seg']
        if self.unasked:
            content = getattr(labels, 'data', labels)  # (1, h, w)
            asked = np.full(content.shape[1:], self.ignore_index, np.uint8)
            unasked = sample.get(UNASKED, asked)  # sources are labelled
            sample[UNASKED] = DataContainer(
                torch.from_numpy(np.ascontiguousarray(unasked))[None],
                stack=True,
                padding_value=self.ignore_index,
            )
        if isinstance(labels, DataContainer):
            sample['gt_semantic_seg'] = DataContainer(
                labels.data,
                stack=labels.stack,
                pad_dims=labels.pad_dims,
                padding_value=self.ignore_index,
            )
        return sample


def unasked_map(
    store: LabelStore, name: str, ignore_index: int
) -> NDArray[np.uint8]:
    """Map the pixels (H, W) of which no label was asked: 0.

    All others are ``ignore_index``. The neighbours of a void pixel count as
    asked, too: a single pixel would be lost when the map is shrunk.
    """
    asked = (~store.available(name)).astype(np.uint8)  # (H, W)
    history = store.history(name)
    void = np.zeros_like(asked)
    void.reshape(-1)[history.places[history.status != LABELLED]] = 1
    asked |= cv2.dilate(void, np.ones((3, 3), np.uint8))
    return asked * np.uint8(ignore_index)


def reads_labels_first(dataset: Any) -> bool:
    """Check that mmseg's own methods make the samples of a data set.

    :class:`LoadFirst` can then load labels first and transform them later.
    """
    kind = type(dataset)
    return (
        isinstance(dataset, CustomDataset)
        and kind.__getitem__ is CustomDataset.__getitem__
        and kind.prepare_train_img is CustomDataset.prepare_train_img
        and not dataset.test_mode
    )


def labelled_sample(
    source: Any,
    position: int,
    classes: int,
    key: str,
    again: Callable[[], None] = lambda: None,
    defer: Defer = as_they_are,
) -> dict[str, Any]:
    """Make a sample of a labelled source; ``again`` resets the generators.

    In mmseg's own data sets, image and annotation are checked before they are
    transformed: labels of another size would be cropped to fit.

    Raises:
        DataError: The image or the annotation cannot be used.
    """
    if reads_labels_first(source):
        loader = LoadFirst(source, key)
        loader.transforms = defer(loader.transforms, key)
        results = loader.load_image(position)
        labels = loader.checked_annotation(
            position, results['img'].shape[:2], classes
        )
        return loader.transform(position, results, labels, again=again)
    sample: dict[str, Any] = source[position]
    return sample
