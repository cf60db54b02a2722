"""Load first, transform after: an mmseg data set split at its labels."""

from __future__ import annotations

import os.path as osp
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import cv2
import numpy as np
import torch
from mmcv.parallel import DataContainer
from mmseg.datasets import CustomDataset
from numpy.typing import NDArray

from segal.active.dataset.lossy import check_lossless
from segal.active.dataset.reader import reading_steps
from segal.active.images.file import decoded_otherwise
from segal.active.label_store.ids import as_map, describe_ids, ids_in, named
from segal.active.oracles import colours_in
from segal.errors import DataError, LabelFlowError, SegALError, raised_at
from segal.openmmlab.pipelines import loads_labels

_LONG = 300
"""Characters of another library's error that are repeated."""


def image_name(dataset: CustomDataset, index: int) -> str:
    """The key under which an image is known everywhere.

    Args:
        dataset: An mmseg data set.
        index: Position in it.

    Returns:
        Class of the data set + path relative to its root, such as
        ``'CamVidDataset/images/train/0001TP_006690.jpg'``: the same wherever
        the data lie.
    """
    folder = dataset.img_dir
    root = dataset.data_root
    if root is not None and not osp.relpath(folder, root).startswith('..'):
        folder = osp.relpath(folder, root)
    else:
        folder = osp.basename(osp.normpath(folder))
    return '/'.join(
        [
            type(dataset).__name__,
            *folder.split(osp.sep),
            dataset.img_infos[index]['filename'],
        ]
    )


def image_file(dataset: CustomDataset, index: int) -> str:
    """Path of an image file."""
    return osp.join(dataset.img_dir, dataset.img_infos[index]['filename'])


@contextmanager
def reading(
    dataset: Any, index: int, key: str, step: object = None
) -> Iterator[None]:
    """Put words to a sample that cannot be made.

    Args:
        dataset: A data set, of mmseg's or the user's own.
        index: Position in it.
        key: Where it stands in the config.
        step: Of the pipeline, where it is known.

    Raises:
        DataError: An image or annotation that is missing or hurt, or that a
            step of the pipeline fails on.
    """
    try:
        yield
    except (SegALError, torch.OutOfMemoryError):
        raise
    except Exception as error:
        where = f'sample {index}'
        if isinstance(dataset, CustomDataset):
            where = image_file(dataset, index)
            LoadFirst(dataset, key).look(index)  # is it that?
        said = str(error).strip()[:_LONG]
        if 'Original Traceback' in str(error):  # from a loader's worker
            said = str(error).strip().splitlines()[-1][:_LONG]
        else:
            said = f'{type(error).__name__}: {said}; {raised_at(error)}'
        raise DataError(
            f'{where}: {key}.pipeline fails on it'
            f'{f" in {type(step).__name__}" if step else ""} ({said}); '
            'correct the pipeline, or take the image out'
        ) from error


@contextmanager
def reading_truth(dataset: Any, index: int, key: str) -> Iterator[None]:
    """Put words to ground truth that cannot be evaluated against.

    Args:
        dataset: A data set, of mmseg's or the user's own.
        index: Position in it.
        key: Where it stands in the config.

    Raises:
        DataError: An annotation that is missing, hurt or of another size.
    """
    try:
        yield
    except (SegALError, torch.OutOfMemoryError):
        raise
    except Exception as error:
        where = f'sample {index}'
        if isinstance(dataset, CustomDataset):
            loader = LoadFirst(dataset, key)
            loader.load_annotation(index)  # is it missing or hurt?
            where = loader.annotation_file(index)
        raise DataError(
            f'{where}: the prediction cannot be compared with it '
            f'({type(error).__name__}: {error}); correct {key}'
        ) from error


class LoadFirst:
    """Reads images and annotations of a data set without transforming them.

    The pipeline is cut at ``LoadAnnotations``, or what is derived from it or
    registered in its place: what stands before it loads the image, what
    stands after it transforms image and labels together. A step after it may
    move labels, but make none: every sample is held to the class ids that
    were put in.

    Args:
        dataset: An mmseg data set.
        key: Where it stands in the config, for errors.
        hides: Whether no step gets word of where annotations lie. Those of
            the pool have no use for it but to read what nobody bought.

    Attributes:
        load: The part of the pipeline that reads the image.
        transforms: The part of the pipeline after ``LoadAnnotations``.

    Raises:
        ConfigError: The pipeline does not load images.
    """

    def __init__(
        self, dataset: CustomDataset, key: str, hides: bool = False
    ) -> None:
        self.dataset = dataset
        self.key = key
        self.hides = hides
        steps = dataset.pipeline.transforms
        read = reading_steps(dataset, key)
        loaders = [
            i for i, step in enumerate(steps) if loads_labels(type(step))
        ]
        first = loaders[0] if loaders else 0
        cut = first or read  # annotations may stand before the image
        self._annotations = [steps[i] for i in loaders] or [
            dataset.gt_seg_map_loader
        ]
        self.load = [
            step for i, step in enumerate(steps[:cut]) if i not in loaders
        ]
        self.transforms = [
            step
            for i, step in enumerate(steps)
            if i >= cut and i not in loaders
        ]

    @property
    def reader(self) -> Any:
        """The step that reads annotations."""
        return self._annotations[-1]

    def load_image(self, index: int) -> dict[str, Any]:
        """The results of the loading steps, as the transforms want them.

        Args:
            index: Position in the data set.

        Returns:
            mmseg's results dict, with ``img`` (H, W) or (H, W, C), of the
            loader's type, and no labels.

        Raises:
            DataError: The file is missing or cannot be decoded.
        """
        info = self.dataset.img_infos[index]
        results = dict(img_info=info, ann_info=info.get('ann', {}))
        self.dataset.pre_pipeline(results)
        if self.hides:
            known = {name: info[name] for name in info if name != 'ann'}
            results.update(img_info=known, ann_info={})
            results.pop('seg_prefix', None)
        path = image_file(self.dataset, index)
        try:
            for step in self.load:
                results = step(results)
        except Exception as error:
            if isinstance(error, FileNotFoundError):
                reason = 'the file is missing'
            elif isinstance(error, OSError) and error.strerror:
                reason = f'it cannot be read ({error.strerror})'
            else:
                reason = 'it cannot be decoded as an image'
            if not isinstance(error, AttributeError | cv2.error | OSError):
                reason += f' ({type(error).__name__}: {error})'
            reason += decoded_otherwise(path, self.load)
            raise DataError(
                f'{path}: {reason}; restore the file, or take it out of '
                f'{self.key}'
            ) from error
        return results

    def transform(
        self,
        index: int,
        results: dict[str, Any],
        labels: NDArray[np.uint8],
        beside: Mapping[str, NDArray[np.uint8]] | None = None,
        ids: frozenset[int] | None = None,
        again: Callable[[], None] = lambda: None,
    ) -> dict[str, Any]:
        """An image with labels, through the rest of the pipeline.

        Args:
            index: Position in the data set.
            results: From :meth:`load_image`.
            labels: uint8 (H, W), such as what was bought of the image.
            beside: Further maps, uint8 (H, W), moved as the labels are, and
                kept whatever ``Collect`` collects.
            ids: Class ids in ``labels``, where they are known already.
            again: Puts the generators to where they were before the image
                was loaded, to find the step that is at fault.

        Returns:
            mmseg's training sample, with the further maps as arrays (h, w).

        Raises:
            DataError: The image is of another size, or a step fails on it.
            LabelFlowError: The sample has a class id that is neither in
                ``labels`` nor the data set's ``ignore_index``.
        """
        if results['img'].shape[:2] != labels.shape:
            raise DataError(
                f'{image_file(self.dataset, index)}: wanted the size (H, W) '
                f'= {labels.shape} of the pool, got '
                f'{results["img"].shape[:2]}; the image was changed after '
                'the experiment began: restore it'
            )
        beside = beside or {}
        ignore = self.dataset.ignore_index
        allowed = (ids_in(labels) if ids is None else ids) | {ignore}
        untouched = labels.copy()
        for _, sample in self._steps(index, results, labels, beside):
            results = sample
        foreign = ids_in(results.get('gt_semantic_seg', ()), ignore) - allowed
        if foreign:
            again()
            raise self._leak(index, untouched, allowed, foreign)
        for name in beside:
            with reading(self.dataset, index, self.key):
                _check_moved(results, name)
        return results

    def _steps(
        self,
        index: int,
        results: dict[str, Any],
        labels: NDArray[np.uint8],
        beside: Mapping[str, NDArray[np.uint8]],
    ) -> Iterator[tuple[object, dict[str, Any]]]:
        """Run the transforms one by one on an image with labels.

        Yields:
            Each step with the results that it left.
        """
        fields = dict.fromkeys([*results['seg_fields'], 'gt_semantic_seg'])
        results['seg_fields'] = [*fields, *beside]
        results['gt_semantic_seg'] = labels
        results.update(beside)
        for step in self.transforms:
            with reading(self.dataset, index, self.key, step):
                moved = {name: results[name] for name in beside}
                results = step(results)
                for name, value in moved.items():
                    results.setdefault(name, value)
            yield step, results

    def first_step(
        self,
        index: int,
        labels: NDArray[np.uint8],
        wrong: Callable[[NDArray[Any]], object],
    ) -> str:
        """Name the first step of the pipeline that leaves wrong labels.

        Args:
            index: Position in the data set.
            labels: uint8 (H, W), put in; left as they are.
            wrong: Tells whether a label map is.

        Returns:
            Place and name of the step in the pipeline; with the same states
            of the generators, the same step.
        """
        image = self.load_image(index)
        for step, results in self._steps(index, image, labels.copy(), {}):
            if 'gt_semantic_seg' not in results:
                continue
            if wrong(as_map(results['gt_semantic_seg'])):
                place = self.dataset.pipeline.transforms.index(step)
                return f'step {place + 1} ({type(step).__name__})'
        return 'a step that did not do it again when it was run once more'

    def _leak(
        self,
        index: int,
        labels: NDArray[np.uint8],
        allowed: frozenset[int],
        foreign: frozenset[int],
    ) -> LabelFlowError:
        """What to say where a sample has class ids that were not put in."""
        step = self.first_step(index, labels, lambda x: ids_in(x) - allowed)
        classes = self.dataset.CLASSES
        ignore = self.dataset.ignore_index
        return LabelFlowError(
            f'{self.key}.pipeline: {step} writes class id '
            f'{named(foreign, classes)} into the labels of '
            f'{image_file(self.dataset, index)}, where only '
            f'{named(allowed - {ignore}, classes)} and {ignore} (no label) '
            'were put in; wanted steps that move labels and make none: set '
            f'what it fills holes with to {ignore}, and let a step that loads '
            'or changes annotations be derived from LoadAnnotations, in the '
            'place of LoadAnnotations'
        )

    def checked_annotation(
        self, index: int, size: tuple[int, ...] | None, classes: int
    ) -> NDArray[np.uint8]:
        """The ground truth, of the size of its image and with known ids.

        mmseg leaves ids that are no class out of an evaluation, and says
        nothing.

        Args:
            index: Position in the data set.
            size: (H, W) of the image; None where it is not known.
            classes: How many there are.

        Returns:
            uint8 (H, W), see :meth:`load_annotation`.

        Raises:
            DataError: It is not so.
        """
        truth = self.load_annotation(index)
        path = self.annotation_file(index)
        if truth.ndim != 2 or (size and truth.shape != tuple(size)):
            raise DataError(
                f'{path}: wanted class ids of the size of the image, (H, W)'
                f'{f" = {tuple(size)}, " if size else ", "}got {truth.shape}'
                f'{colours_in(truth)}; correct {self.key}.ann_dir, or '
                'convert the annotations'
            )
        if truth.dtype.kind not in 'iub' or truth.min(initial=0) < 0:
            raise DataError(
                f'{path}: wanted whole class ids of 0 to 255, got '
                f'{truth.dtype}; correct the LoadAnnotations of '
                f'{self.key}.pipeline'
            )
        dataset = self.dataset
        ids = np.flatnonzero(np.bincount(truth.reshape(-1), minlength=256))
        last = classes - 1
        if dataset.test_mode and dataset.reduce_zero_label:
            last += 1  # reduced when it is compared
        odd = ids[(ids > last) & (ids != 255) & (ids != dataset.ignore_index)]
        if len(odd):
            raise DataError(
                f'{path}: wanted class ids 0 to {last}, or '
                f'{dataset.ignore_index} where void, got '
                f'{odd[:10].tolist()} too: '
                f'{describe_ids(ids.tolist(), classes)}; correct '
                f'{self.key}.classes or reduce_zero_label, or convert the '
                'annotations'
            )
        return truth

    def look(self, index: int) -> None:
        """Load image and annotation, for the words of what is wrong.

        Raises:
            DataError: One is missing or cannot be decoded.
        """
        self.load_image(index)
        if 'ann' in self.dataset.img_infos[index] and not (
            self.dataset.test_mode
        ):
            self.load_annotation(index)

    def annotation_file(self, index: int) -> str:
        """Path of an annotation."""
        name = self.dataset.img_infos[index]['ann']['seg_map']
        return osp.join(self.dataset.ann_dir or '', name)

    def load_annotation(self, index: int) -> NDArray[np.uint8]:
        """The ground truth, in training class ids.

        Args:
            index: Position in the data set.

        Returns:
            uint8 (H, W), as the pipeline's own LoadAnnotations gives it.

        Raises:
            DataError: No annotation is known, or the file is missing or
                cannot be decoded.
        """
        info = self.dataset.img_infos[index]
        if 'ann' not in info:
            raise DataError(
                f'{image_file(self.dataset, index)}: no annotation is known '
                f'for it; set {self.key}.ann_dir'
            )
        return self.read_annotation(info, self.dataset.ann_dir)

    def read_annotation(
        self, info: dict[str, Any], folder: str | None
    ) -> NDArray[np.uint8]:
        """Read an annotation file as this pipeline reads its own.

        Args:
            info: Of the image, as in mmseg's ``img_infos``.
            folder: Where its annotation lies.

        Returns:
            uint8 (H, W).

        Raises:
            DataError: The file is missing or cannot be decoded.
        """
        results = dict(img_info=info, ann_info=info['ann'])
        self.dataset.pre_pipeline(results)
        results['seg_prefix'] = folder
        path = osp.join(folder or '', info['ann']['seg_map'])
        _check_depth(path)
        try:
            for step in self._annotations:
                results = step(results)
            truth = results['gt_semantic_seg']
        except Exception as error:
            reason = (
                'the annotation is missing'
                if isinstance(error, FileNotFoundError)
                else 'the annotation cannot be decoded'
            )
            raise DataError(
                f'{path}: {reason} ({type(error).__name__}: {error}); '
                f'restore the file, or correct {self.key}.ann_dir and '
                'seg_map_suffix'
            ) from error
        classes = len(self.dataset.CLASSES or ())
        check_lossless(path, truth, self.reader, classes)
        return truth  # type: ignore[no-any-return]


def _check_moved(results: dict[str, Any], name: str) -> None:
    """Whether a map went through the pipeline as the labels did.

    Raises:
        ValueError: It did not.
    """
    labels = results.get('gt_semantic_seg')
    if isinstance(labels, DataContainer):
        labels = labels.data
    size, wanted = results[name].shape, getattr(labels, 'shape', ())[-2:]
    if wanted and size != tuple(wanted):
        raise ValueError(
            "wanted steps that move all maps named in results['seg_fields'], "
            f"as mmseg's do, got labels of {tuple(wanted)} and {name} of "
            f'{size}'
        )


def _check_depth(path: str) -> None:
    """Whether the ids of an annotation fit into a byte, as mmseg casts them.

    Args:
        path: Looked at where it is on this disk.

    Raises:
        DataError: They do not: 16-bit ids would lose their upper byte.
    """
    try:
        with open(path, 'rb') as file:
            head = file.read(26)
    except OSError:
        return  # said where it is read
    if head[1:4] == b'PNG' and head[24:25] != b'\x10':
        return
    ids = cv2.imread(path, cv2.IMREAD_UNCHANGED)
    if ids is None or ids.dtype == np.uint8:
        return
    odd = np.unique(ids[ids != ids.astype(np.uint8)])
    if len(odd):
        raise DataError(
            f'{path}: wanted class ids of 0 to 255, got {ids.dtype} with '
            f'{odd[:10].tolist()}, which would be cut off; convert the '
            'annotations to 8 bit'
        )
