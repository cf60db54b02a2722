"""Check the class ids in some annotations of each data set."""

from __future__ import annotations

import inspect
import os.path as osp
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from mmseg.datasets import CustomDataset
from mmseg.utils import get_root_logger
from numpy.typing import NDArray

from segal.active.dataset.base import LoadFirst, image_name
from segal.active.dataset.lossy import lossy_format
from segal.active.label_store.ids import classes_without_pixels
from segal.active.oracles import GroundTruthOracle
from segal.errors import DataError
from segal.preflight.base import Preflight
from segal.registry import ORACLES
from segal.seeding import key as key_of

FILES = 16
"""How many annotations of a data set are read, by default."""

PIXELS = 40_000_000
"""From how many pixels on fewer annotations are enough."""

MORE = 1000
"""How many are read where only one class is found beside 255."""

FORMATS = 4000
"""Of how many annotations the format alone is looked at."""

_NO_CLASS = 255


@dataclass
class Seen:
    """Count the ids in some annotations of a data set.

    Attributes:
        key: Key of the data set in the config.
        classes: Names of its C classes.
        reduced: Whether ids were lowered by one, and 0 became void.
        counts: Pixels of each id, int64 (256,).
        files: How many annotations were read.
        all: Whether these are all of the data set.
        lossy: How many of them are JPEGs or the like.
    """

    key: str
    classes: tuple[str, ...]
    reduced: bool = False
    counts: NDArray[np.int64] = field(
        default_factory=lambda: np.zeros(256, np.int64)
    )
    files: int = 0
    all: bool = False
    lossy: int = 0

    @property
    def found(self) -> int:
        """Count the classes that occur."""
        return int(np.count_nonzero(self.counts[: len(self.classes)]))

    @property
    def is_odd(self) -> bool:
        """Tell whether there is 255, and at most one class beside it."""
        return self.found <= 1 and bool(self.counts[_NO_CLASS])

    @property
    def is_enough(self) -> bool:
        """Tell whether enough annotations were read."""
        files, pixels = FILES, PIXELS
        if self.is_odd:
            files, pixels = MORE, 50 * PIXELS
        return self.files >= files or int(self.counts.sum()) >= pixels


def check_label_values(parts: Preflight) -> None:
    """Check some annotations of each data set before labels are bought.

    Names alone decide which ones. Those of the pool are read only where
    ground truth answers the queries.

    Raises:
        DataError: Annotations that are surely read in a wrong way.
    """
    data, logger = parts.data, get_root_logger()
    smoke = data.images > len(data.pool)
    everything = []
    if _ground_truth_answers(parts):
        sizes = {data.positions[image.name]: image.size for image in data.pool}
        everything.append(
            _look_at(
                data.view, 'data.train', data.classes, sizes, (_NO_CLASS,)
            )
        )
    # a pool of void alone is reported where its labels are bought
    void_pool = any(seen.files and not seen.found for seen in everything)
    for key, dataset in {'data.val': data.val, **data.sources}.items():
        if is_read_here(dataset):
            unknown = dict.fromkeys(range(len(dataset)))
            everything.append(_look_at(dataset, key, data.classes, unknown))
    for seen in everything:
        found = [] if smoke else one_class(seen)
        void_val = seen.key == 'data.val' and not seen.found
        if found and (void_val or not void_pool):
            raise DataError(found[0])
        for sentence in found + doubts(seen, complete=not smoke):
            logger.warning(sentence)


def is_read_here(dataset: Any) -> bool:
    """Tell whether a data set reads its annotations as mmseg's own do."""
    kind = type(dataset)
    return (
        isinstance(dataset, CustomDataset)
        and kind.__getitem__ is CustomDataset.__getitem__
        and kind.prepare_train_img is CustomDataset.prepare_train_img
        and len(dataset) > 0
    )


def _ground_truth_answers(parts: Preflight) -> bool:
    """Tell whether queries are answered from annotation files."""
    kind = parts.config.oracle['type']
    kind = ORACLES.get(kind) if isinstance(kind, str) else kind
    return inspect.isclass(kind) and issubclass(kind, GroundTruthOracle)


def _look_at(
    dataset: CustomDataset,
    key: str,
    classes: tuple[str, ...],
    sizes: Mapping[int, tuple[int, int] | None],
    beside: Sequence[int] = (),
) -> Seen:
    """Count the ids in annotations until enough is known.

    Names decide the order, in which lossy formats come first, so that none of
    them is missed. Missing annotations are skipped: of the pool, only bought
    ones need to exist.

    Args:
        dataset: The pool's view, ``data.val`` or a labelled source.
        key: Of the data set in the config.
        classes: Names of the C classes.
        sizes: Position of an image -> its (H, W); None: not known.
        beside: Ids of void beside the data set's ``ignore_index``.
    """
    loader = LoadFirst(dataset, key)
    later = dataset.test_mode and dataset.reduce_zero_label
    reduced = later or getattr(loader.reader, 'reduce_zero_label', False)
    seen = Seen(key, classes, bool(reduced))

    def is_lossy(position: int) -> bool:
        known = 'ann' in dataset.img_infos[position]
        path = loader.annotation_file(position) if known else ''
        return lossy_format(path) is not None

    order = sorted(
        sizes, key=lambda at: key_of('values', image_name(dataset, at))
    )
    order[:FORMATS] = sorted(order[:FORMATS], key=is_lossy, reverse=True)
    for position in order:
        if seen.is_enough:
            return seen
        size = sizes[position]
        try:
            truth = loader.checked_annotation(
                position, size, len(classes), beside
            )
        except DataError as error:
            if _is_missing(loader, position, error):
                continue
            raise
        if later:
            void = (truth == 0) | (truth == _NO_CLASS)  # as in the evaluation
            truth = np.where(void, _NO_CLASS, truth - 1)
        ids = np.bincount(truth.reshape(-1), minlength=256)
        seen.counts += ids[:256]
        seen.files += 1
        seen.lossy += is_lossy(position)
    seen.all = True
    return seen


def _is_missing(loader: LoadFirst, position: int, error: DataError) -> bool:
    """Tell whether an annotation cannot be read since it is missing."""
    if 'ann' not in loader.dataset.img_infos[position]:
        return True  # reported where one is bought
    path = loader.annotation_file(position)
    return isinstance(error.__cause__, FileNotFoundError) or not (
        osp.exists(path)
    )


def one_class(seen: Seen) -> list[str]:
    """Explain why annotations with one class, or none, cannot be right.

    With 255 in place of a class, only the other class counts, and the mean
    IoU is 100 %.

    Returns:
        One sentence, or none.
    """
    if not seen.is_odd:
        return []
    few = seen.files < FILES and (seen.found or not seen.all)
    if len(seen.classes) > 2 and few:
        return []
    where = f'{seen.key}: wanted pixels of {len(seen.classes)} classes'
    looked = f'all its {seen.files} annotations'
    if not seen.all:
        looked = f'the {seen.files} annotations looked at'
    if not seen.found:
        return [
            f'{where}, got nothing but void in {looked}; correct its ann_dir '
            'or reduce_zero_label, or convert the annotations'
        ]
    (only,) = np.flatnonzero(seen.counts[: len(seen.classes)]).tolist()
    other = int(not only)
    if seen.reduced:
        void = 'void, which reduce_zero_label makes of 0,'
        mend = 'If ids start at 0, set reduce_zero_label=False; if they do not'
    else:
        void = '255, which is void,'
        mend = (
            'If 255 is meant as a class, as in black and white masks, write '
            f'its id, such as {other} ({seen.classes[other]!r}), in place of '
            '255, or let a LoadAnnotations of your own do so; if it is void'
        )
    return [
        f'{where}, got {seen.classes[only]!r} (id {only}) and {void} and '
        f'nothing else in {looked}: nothing would be learned, and mIoU would '
        f'be 100 %. {mend}, add images with the other classes'
    ]


def doubts(seen: Seen, complete: bool = True) -> list[str]:
    """List oddities of annotations that may be right.

    Args:
        seen: The ids of a data set.
        complete: Whether classes may be missed, other than with the few
            images of a smoke run.

    Returns:
        Sentences for the log.
    """
    found = []
    if seen.lossy:
        found.append(
            f'{seen.key}: {seen.lossy} of {seen.files} annotations looked at '
            'are JPEGs or the like, whose values a LoadAnnotations of your '
            'own makes ids of: labels may be wrong where classes meet'
        )
    absent = classes_without_pixels(seen.counts, seen.classes)
    if not (absent and seen.files and complete):
        return found
    names = ', '.join(map(repr, absent))
    first, last = seen.classes[0], seen.classes[-1]
    shift = ''
    if absent == [first] and not seen.reduced:
        shift = (
            '; if ids start at 1, set reduce_zero_label=True: each label '
            'has the name of the class after it now'
        )
    elif absent == [last] and seen.reduced and seen.counts[_NO_CLASS]:
        shift = (
            '; if ids start at 0, set reduce_zero_label=False: it makes id 0 '
            'void, and gives each label the name of the class before it'
        )
    if not seen.all and not shift:
        return found
    void = ''
    if seen.counts[_NO_CLASS] and not shift:
        share = seen.counts[_NO_CLASS] / seen.counts.sum()
        void = f'; 255, at {share:.1%} of the pixels, is void'
    where = f'any of its {seen.files} annotations'
    if not seen.all:
        where = f'the {seen.files} annotations looked at'
    return [*found, f'{seen.key}: no pixel of {names} in {where}{shift}{void}']
