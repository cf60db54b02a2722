"""Load images and annotations of an mmseg data set, transform them later."""

from __future__ import annotations

import os.path as osp
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any
from weakref import WeakKeyDictionary

import cv2
import numpy as np
import torch
from mmseg.datasets import CustomDataset
from numpy.typing import NDArray

from segal.active.dataset.annotations import (
    check_depth,
    check_moved,
    reading_steps,
)
from segal.active.dataset.encodings import Encodings, reads_by_pillow
from segal.active.dataset.lossy import check_lossless
from segal.active.images.file import decoded_otherwise
from segal.active.label_store.ids import (
    as_map,
    check_annotation,
    ids_in,
    named,
)
from segal.errors import (
    ConfigError,
    DataError,
    LabelFlowError,
    SegALError,
    raised_at,
)
from segal.openmmlab.pipelines import loads_labels

_REDUCED = 255
"""What mmseg's reduce_zero_label makes of id 0."""

_LONG = 300
"""Characters of another library's error that are repeated."""

_encodings: WeakKeyDictionary[CustomDataset, Encodings] = WeakKeyDictionary()


def image_name(dataset: CustomDataset, index: int) -> str:
    """Return the name of an image, its key in all files of an experiment.

    Class of the data set + path relative to its root, such as
    ``'CamVidDataset/images/train/0001TP_006690.jpg'``. The name does not
    change when the data are moved.
    """
    folder = dataset.img_dir
    root = dataset.data_root
    if root is not None and not osp.relpath(folder, root).startswith('..'):
        folder = osp.relpath(folder, root)
    else:
        folder = osp.basename(osp.normpath(folder))
    file = dataset.img_infos[index]['filename']
    return '/'.join([type(dataset).__name__, *folder.split(osp.sep), file])


def image_file(dataset: CustomDataset, index: int) -> str:
    """Return the path of an image file."""
    return osp.join(dataset.img_dir, dataset.img_infos[index]['filename'])


@contextmanager
def reading(
    dataset: Any, index: int, key: str, step: object = None
) -> Iterator[None]:
    """Explain why a sample of a data set (mmseg's or not) cannot be made.

    Raises:
        DataError: An image or annotation is missing or damaged, or a step of
            the pipeline fails on it.
    """
    try:
        yield
    except (SegALError, torch.OutOfMemoryError):
        raise
    except Exception as error:
        where = f'sample {index}'
        if isinstance(dataset, CustomDataset):
            where = image_file(dataset, index)
            LoadFirst(dataset, key).look(index)  # raises if a file is at fault
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
    """Explain why a prediction cannot be compared with its ground truth.

    Raises:
        DataError: An annotation is missing, damaged or of another size.
    """
    try:
        yield
    except (SegALError, torch.OutOfMemoryError):
        raise
    except Exception as error:
        where = f'sample {index}'
        if isinstance(dataset, CustomDataset):
            loader = LoadFirst(dataset, key)
            loader.load_annotation(index)  # raises if the file is at fault
            where = loader.annotation_file(index)
        raise DataError(
            f'{where}: the prediction cannot be compared with it '
            f'({type(error).__name__}: {error}); correct {key}'
        ) from error


class LoadFirst:
    """Read images and annotations of a data set without transforming them.

    The pipeline is cut at ``LoadAnnotations`` (or a subclass or replacement
    of it): the steps before it load the image, the steps after it transform
    image and labels together. The later steps may move labels, but not make
    any: a sample has only the class ids that were put in.

    Args:
        dataset: An mmseg data set.
        key: Its key in the config, for errors.
        hides: Whether steps are not told where annotations lie. The pool's
            steps would only read labels there that nobody bought.

    Attributes:
        load: The steps of the pipeline that read the image.
        transforms: The steps of the pipeline after ``LoadAnnotations``.

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
        """Return the step that reads annotations."""
        return self._annotations[-1]

    def load_image(
        self,
        index: int,
        paint: Callable[[NDArray[Any]], NDArray[Any]] | None = None,
    ) -> dict[str, Any]:
        """Load an image for the transforms.

        Where ``paint`` is given, the steps see what it makes of the image.
        Returns mmseg's results dict, with ``img`` (H, W) or (H, W, C), of
        the loader's type, and no labels.

        Raises:
            DataError: The file is missing or cannot be decoded.
        """
        info = self.dataset.img_infos[index]
        results = self._results(info)
        if self.hides:
            known = {name: info[name] for name in info if name != 'ann'}
            results.update(img_info=known, ann_info={})
            results.pop('seg_prefix', None)
        path = image_file(self.dataset, index)
        try:
            for step in self.load:
                results = step(results)
                if paint is not None and 'img' in results:
                    results['img'], paint = paint(results['img']), None
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

    def _results(self, info: dict[str, Any]) -> dict[str, Any]:
        """Return mmseg's results dict before any step of the pipeline."""
        results = dict(img_info=info, ann_info=info.get('ann', {}))
        self.dataset.pre_pipeline(results)
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
        """Transform an image with its labels.

        Args:
            index: Position in the data set.
            results: From :meth:`load_image`.
            labels: uint8 (H, W), such as the bought labels of the image.
            beside: Further maps, uint8 (H, W), which move with the labels;
                ``Collect`` need not name them.
            ids: Class ids in ``labels``, if they are known.
            again: Resets the random generators to their state before the
                image was loaded, to find the step that is at fault.

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
                check_moved(results, name)
        return results

    def _steps(
        self,
        index: int,
        results: dict[str, Any],
        labels: NDArray[np.uint8],
        beside: Mapping[str, NDArray[np.uint8]],
    ) -> Iterator[tuple[object, dict[str, Any]]]:
        """Run the transforms one by one; yield each step with its results."""
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

    def stages(
        self,
        index: int,
        results: dict[str, Any],
        labels: NDArray[np.uint8],
    ) -> Iterator[tuple[str, dict[str, Any]]]:
        """Transform an image with labels; yield each step's name and results.

        The arguments are those of :meth:`transform`. Steps behind the last
        that has labels are left out.
        """
        for step, made in self._steps(index, results, labels.copy(), {}):
            if 'gt_semantic_seg' in made:
                place = self.dataset.pipeline.transforms.index(step)
                yield f'step {place + 1} ({type(step).__name__})', made

    def first_step(
        self,
        index: int,
        labels: NDArray[np.uint8],
        wrong: Callable[[NDArray[Any]], object],
    ) -> str:
        """Name the first step of the pipeline that leaves wrong labels.

        The ``labels``, uint8 (H, W), are put in and not changed; ``wrong``
        checks a label map. The same states of the random generators give the
        same step.
        """
        image = self.load_image(index)
        for step, results in self.stages(index, image, labels):
            if wrong(as_map(results['gt_semantic_seg'])):
                return step
        return 'a step that did not do it again when it was run once more'

    def _leak(
        self,
        index: int,
        labels: NDArray[np.uint8],
        allowed: frozenset[int],
        foreign: frozenset[int],
    ) -> LabelFlowError:
        """Explain that a sample has class ids that were not put in."""
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
        self,
        index: int,
        size: tuple[int, ...] | None,
        classes: int,
        void: Sequence[int] = (),
    ) -> NDArray[np.uint8]:
        """Load the ground truth, and check its size and class ids.

        mmseg ignores unknown ids in an evaluation without a warning, and
        counts what was predicted there as wrong. The ``size`` is (H, W) of
        the image; None where it is not known. ``void`` are ids of void beside
        the data set's ``ignore_index``.

        Raises:
            ConfigError: Void is 255, and not ignored.
            DataError: The size, the type or an id is wrong.
        """
        truth, dataset = self.load_annotation(index), self.dataset
        # mmseg reduces the labels of a test set when it compares them
        late = bool(dataset.test_mode and dataset.reduce_zero_label)
        if late and dataset.ignore_index != _REDUCED:
            raise ConfigError(
                f'{self.key}.ignore_index: wanted {_REDUCED}, which mmseg '
                f'makes of id 0 with reduce_zero_label, got '
                f'{dataset.ignore_index}: '
                'what is predicted there would count as wrong'
            )
        check_annotation(
            truth,
            self.annotation_file(index),
            self.key,
            size,
            classes,
            classes - 1 + late,
            (dataset.ignore_index, *void),
        )
        return truth

    def look(self, index: int) -> None:
        """Load image and annotation, only to raise for a wrong file."""
        self.load_image(index)
        annotated = 'ann' in self.dataset.img_infos[index]
        if annotated and not self.dataset.test_mode:
            self.load_annotation(index)

    def annotation_file(self, index: int) -> str:
        """Return the path of an annotation."""
        name = self.dataset.img_infos[index]['ann']['seg_map']
        return osp.join(self.dataset.ann_dir or '', name)

    def load_annotation(self, index: int) -> NDArray[np.uint8]:
        """Load the ground truth as training class ids: uint8 (H, W).

        This is the output of the pipeline's own LoadAnnotations.

        Raises:
            DataError: No annotation is known, or the file is missing or cannot
                be decoded.
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
        """Read an annotation, uint8 (H, W), of an entry of ``img_infos``.

        Raises:
            DataError: The file is missing or cannot be decoded.
        """
        results = dict(self._results(info), seg_prefix=folder)
        path = osp.join(folder or '', info['ann']['seg_map'])
        check_depth(path)
        if reads_by_pillow(self.reader):
            _encodings.setdefault(self.dataset, Encodings()).check(path)
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
