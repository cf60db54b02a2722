"""The training set: bought labels of the pool, and labelled sources."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mmcv.parallel import DataContainer
from mmseg.datasets import CustomDataset
from torch.utils.data import Dataset

from segal.active.dataset.base import LoadFirst, reading
from segal.active.label_store import LabelStore
from segal.seeding import seeded


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
    ) -> None:
        self.CLASSES, self.PALETTE = view.CLASSES, view.PALETTE
        self.names = store.labelled_names()
        self.sources = list(sources)
        self.ignore_index = ignore_index
        self._loader = LoadFirst(view, 'data.train')
        self._positions = positions
        self._store = store
        self._draw = (seed, round)

    def __len__(self) -> int:
        sizes: list[int] = [len(source) for source in self.sources]
        return len(self.names) + sum(sizes)

    def __getitem__(self, index: int | tuple[int, int]) -> dict[str, Any]:
        """One augmented training sample.

        Args:
            index: ``(epoch, position)`` as the sampler yields it; a bare
                position is epoch 0. The augmentation is drawn from (seed,
                round, epoch, name) alone.

        Returns:
            mmseg's sample: ``img`` (3, h, w) and ``gt_semantic_seg`` (1, h,
            w) with ``ignore_index`` wherever nothing was bought.
        """
        epoch, position = index if isinstance(index, tuple) else (0, index)
        if position < len(self.names):
            name = self.names[position]
            with seeded(*self._draw, epoch, name):
                return self._pad_with_ignore(self._bought(name))
        position -= len(self.names)
        for number, source in enumerate(self.sources):
            if position < len(source):
                with (
                    seeded(*self._draw, epoch, number, position),
                    reading(source, position, 'data.train'),
                ):
                    sample = _labelled(source, position, len(self.CLASSES))
                    return self._pad_with_ignore(sample)
            position -= len(source)
        raise IndexError(index)

    def _bought(self, name: str) -> dict[str, Any]:
        """The sample of a pool image, with its bought labels alone."""
        labels = self._store.draw(name, self.ignore_index)  # (H, W)
        position = self._positions[name]
        results = self._loader.load_image(position)
        return self._loader.transform(position, results, labels)

    def _pad_with_ignore(self, sample: dict[str, Any]) -> dict[str, Any]:
        """Let collate pad labels with ``ignore_index``, not with class 0."""
        labels = sample['gt_semantic_seg']
        if isinstance(labels, DataContainer):
            sample['gt_semantic_seg'] = DataContainer(
                labels.data,
                stack=labels.stack,
                pad_dims=labels.pad_dims,
                padding_value=self.ignore_index,
            )
        return sample


def _labelled(source: Any, position: int, classes: int) -> dict[str, Any]:
    """A sample of a labelled source.

    Of mmseg's own data sets, image and annotation are looked at before they
    are transformed: labels of another size would be cut to fit.

    Raises:
        DataError: One of the two cannot be used.
    """
    kind = type(source)
    if (
        isinstance(source, CustomDataset)
        and kind.__getitem__ is CustomDataset.__getitem__
        and kind.prepare_train_img is CustomDataset.prepare_train_img
        and not source.test_mode
    ):
        loader = LoadFirst(source, 'data.train')
        results = loader.load_image(position)
        labels = loader.checked_annotation(
            position, results['img'].shape[:2], classes
        )
        return loader.transform(position, results, labels)
    sample: dict[str, Any] = source[position]
    return sample
