"""The training set: bought labels of the pool, and labelled sources."""

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
from segal.active.label_store.ids import ids_in
from segal.active.label_store.store import LabelStore
from segal.seeding import seeded
from segal.structures import LABELLED

UNASKED = 'gt_unasked'
"""A map beside the labels: 0 where nobody was asked, ``ignore_index`` else."""

FROM_SOURCE = 'from_source'
"""What ``img_metas`` says of a sample: whether it is of a labelled source."""


class ActiveDataset(Dataset):
    """Shows the training pipeline only labels that were bought.

    Labels are written between loading and augmenting: the sample starts from
    a map of ``ignore_index``, gets what the store holds, and goes through the
    rest of the pipeline. An unbought label cannot leak: it is never read.

    Every image with at least one label belongs to the set, whatever the unit.
    Which images those are is fixed when the object is made, once for each
    training phase.

    Args:
        view: The pool as the training pipeline sees it.
        positions: Image name -> position in ``view``.
        store: What was bought.
        sources: Fully labelled data sets beside the pool.
        seed: The experiment's seed.
        round: Round of the training phase.
        ignore_index: Class id where nothing was bought, padding included.
        unasked: Whether samples have the map ``UNASKED``, too.
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
    ) -> None:
        self.CLASSES, self.PALETTE = view.CLASSES, view.PALETTE
        self.names = store.labelled_names()
        self.sources = list(sources)
        self.ignore_index = ignore_index
        self.unasked = unasked
        self._loader = LoadFirst(view, 'data.train', hides=True)
        self._positions = positions
        self._store = store
        self._draw = (seed, round)
        self._ids: dict[str, frozenset[int]] = {}

    @property
    def source_images(self) -> int:
        """Images of all sources."""
        return sum(len(source) for source in self.sources)

    def __len__(self) -> int:
        return len(self.names) + self.source_images

    def __getitem__(self, index: int | tuple[int, int]) -> dict[str, Any]:
        """One augmented training sample.

        Args:
            index: ``(epoch, position)`` as the sampler yields it; a bare
                position is epoch 0. The augmentation is drawn from (seed,
                round, epoch, name) alone.

        Returns:
            mmseg's sample: ``img`` (3, h, w) and ``gt_semantic_seg`` (1, h,
            w) with ``ignore_index`` wherever nothing was bought; on request
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
                    )
                    return self._finished(sample, from_source=True)
            position -= len(source)
        raise IndexError(index)

    def _bought(self, name: str, again: Callable[[], None]) -> dict[str, Any]:
        """The sample of a pool image, with its bought labels alone."""
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
        """Say where a sample is from, and pad it rightly.

        Collate pads labels with ``ignore_index``, not with class 0.
        """
        metas = sample.get('img_metas')
        if isinstance(metas, DataContainer):
            metas.data[FROM_SOURCE] = from_source
        labels = sample['gt_semantic_seg']
        if self.unasked:
            content = getattr(labels, 'data', labels)  # (1, h, w)
            asked = np.full(content.shape[1:], self.ignore_index, np.uint8)
            unasked = sample.get(UNASKED, asked)  # of a source all is known
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
    """Where nobody was asked for a label.

    The neighbours of a place without a class count as asked, too: the place
    alone would be lost where the map is shrunk.

    Args:
        store: What was bought.
        name: Of the image.
        ignore_index: What stands where somebody was asked.

    Returns:
        uint8 (H, W), 0 or ``ignore_index``.
    """
    asked = (~store.available(name)).astype(np.uint8)  # (H, W)
    history = store.history(name)
    void = np.zeros_like(asked)
    void.reshape(-1)[history.places[history.status != LABELLED]] = 1
    asked |= cv2.dilate(void, np.ones((3, 3), np.uint8))
    return asked * np.uint8(ignore_index)


def reads_labels_first(dataset: Any) -> bool:
    """Whether samples of a data set are made by mmseg's own methods.

    Then they can be made step by step: labels loaded first, transformed
    after.
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
) -> dict[str, Any]:
    """A sample of a labelled source.

    Of mmseg's own data sets, image and annotation are looked at before they
    are transformed: labels of another size would be cut to fit.

    Args:
        source: A data set, of mmseg's or the user's own.
        position: In it.
        classes: How many there are.
        key: Where it stands in the config, for errors.
        again: Puts the generators to where they were.

    Raises:
        DataError: One of the two cannot be used.
    """
    if reads_labels_first(source):
        loader = LoadFirst(source, key)
        results = loader.load_image(position)
        labels = loader.checked_annotation(
            position, results['img'].shape[:2], classes
        )
        return loader.transform(position, results, labels, again=again)
    sample: dict[str, Any] = source[position]
    return sample
