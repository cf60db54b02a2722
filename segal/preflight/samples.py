"""Make one sample of each data set, through its pipeline."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from mmseg.datasets import CustomDataset
from torch import Tensor

from segal.active.dataset.active_dataset import (
    UNASKED,
    labelled_sample,
    reads_labels_first,
)
from segal.active.dataset.base import LoadFirst, reading
from segal.active.dataset.pool import query_batch
from segal.datasets.pipelines.drawn_changes import defer
from segal.errors import ConfigError, DataError, LabelFlowError
from segal.experiment.data import Data
from segal.hooks.pseudo_labels import WEAK
from segal.preflight.base import Preflight, content
from segal.seeding import seeded


def of_pool(parts: Preflight, problems: list[str]) -> dict[str, Any] | None:
    """Make one sample with each pipeline of the pool.

    Returns:
        The training sample; None where it has a problem.
    """
    data, pool = parts.data, parts.data.pool
    image = pool[0]
    labels = np.full(image.size, parts.config.ignore_index, np.uint8)
    pseudo = parts.config.keys.pseudo_labels is not None
    beside = {UNASKED: labels} if pseudo else {}
    sample: dict[str, Any] | None = None

    def draw(hides: bool) -> dict[str, Any]:
        loader = LoadFirst(data.view, 'data.train', hides)
        at = data.positions[image.name]
        with seeded(parts.config.seed, 'sample') as again:
            return loader.transform(
                at, loader.load_image(at), labels.copy(), beside, again=again
            )

    with _pipeline(problems):
        try:
            sample = draw(hides=True)
        except LabelFlowError:
            raise
        except DataError as error:
            if _is_made(draw):
                problems.append(f'{error}. {_ASKS}')
            else:
                raise
    if sample is not None and not _is_whole(sample, 'data.train', problems):
        sample = None
    if sample is not None:
        problems += _views(sample, pseudo, 'data.train')
    with _pipeline(problems):
        batch = query_batch(pool, [image.name])
        if not isinstance(batch.get('img'), list) or 'img_metas' not in batch:
            problems.append(
                'data.query.pipeline: wanted a test pipeline, whose '
                "MultiScaleFlipAug ends with dict(type='ImageToTensor', "
                "keys=['img']), dict(type='Collect', keys=['img']); got "
                f'samples of {sorted(batch)}'
            )
        else:
            for view in batch['img']:
                problems += _not_finite(torch.as_tensor(view), 'data.query')
    return sample


_ASKS = (
    'It asks where the annotation of the image lies; bought labels are '
    'written behind LoadAnnotations, and others are not to be read: derive a '
    'step that reads annotations from LoadAnnotations, and put it in the '
    'place of LoadAnnotations'
)


def _is_made(draw: Callable[[bool], object]) -> bool:
    """Tell whether a sample can be made with annotations in sight."""
    try:
        draw(False)
    except LabelFlowError:
        return True
    except DataError:
        return False
    return True


def _views(sample: Mapping[str, Any], pseudo: bool, key: str) -> list[str]:
    """Check the teacher's view of a sample, for pseudo-labels."""
    where = f'{key}.pipeline: '
    weak = content(sample.get(WEAK))
    if weak is not None and not pseudo:
        return [
            f'{where}{WEAK!r} is for the teacher of '
            'active_learning.pseudo_labels, which is off; take it out of '
            'Collect, and KeepWeakView out of the pipeline'
        ]
    problems = []
    if weak is not None and weak.shape != content(sample['img']).shape:
        problems.append(
            f'{where}wanted KeepWeakView after all steps that move pixels; '
            f'got a view of {tuple(weak.shape)} beside an image of '
            f'{tuple(content(sample["img"]).shape)}'
        )
    return problems


def _is_whole(
    sample: Mapping[str, Any], key: str, problems: list[str]
) -> bool:
    """Check that a training sample has all parts of a batch."""
    wanted = ('img', 'img_metas', 'gt_semantic_seg')
    lacks = [key for key in wanted if key not in sample]
    tensor = content(sample.get('img'))
    if not lacks and isinstance(tensor, Tensor) and tensor.ndim == 3:
        odd = _not_finite(tensor, key)
        problems += odd
        return not odd
    got = f'no {", ".join(lacks)}' if lacks else 'no tensor as img'
    problems.append(
        f"{key}.pipeline: wanted dict(type='DefaultFormatBundle')"
        ", dict(type='Collect', keys=['img', 'gt_semantic_seg']) at "
        f'its end; got samples with {got}'
    )
    return False


def _not_finite(image: Tensor, key: str) -> list[str]:
    """Check that the network gets finite numbers."""
    if bool(image.isfinite().all()):
        return []
    return [
        f'{key}.pipeline: wanted an image of finite numbers; got nan or inf '
        'in it, on which nothing is learned. Correct mean and std of Normalize'
    ]


def of_sources(
    data: Data, sample: Mapping[str, Any] | None, problems: list[str]
) -> None:
    """Compare one sample of each labelled source with the pool's.

    Args:
        data: The data sets.
        sample: Of the pool, None where it has none.
        problems: Gets what is wrong.
    """
    for key, source in data.sources.items():
        made = None
        with (
            _pipeline(problems),
            reading(source, 0, key),
            seeded('sample', key) as again,
        ):
            made = labelled_sample(source, 0, len(data.classes), key, again)
        if made is None or not _is_whole(made, key, problems):
            continue
        if sample is None:
            continue
        if (WEAK in made) != (WEAK in sample):
            has, lacks = (
                ('the pool', key) if WEAK in sample else (key, 'the pool')
            )
            problems.append(
                f'{key}.pipeline: wanted KeepWeakView, and {WEAK!r} in '
                f'Collect, in all pipelines of data.train or in none; got it '
                f'in that of {has}, and not in that of {lacks}'
            )
        wanted, got = (content(one['img']).shape for one in (sample, made))
        stacked = getattr(made['img'], 'stack', False)
        if wanted[0] != got[0] or not stacked:
            problems.append(
                f'{key}.pipeline: wanted images that go into one batch with '
                f"the pool's, {wanted[0]} channels each; got "
                f'{got[0] if stacked else "some that are not stacked"}; end '
                'both pipelines alike'
            )


def are_split(data: Data, problems: list[str]) -> None:
    """Check that every training pipeline can be split for the device."""
    for key, dataset in {'data.train': data.view, **data.sources}.items():
        if not reads_labels_first(dataset):
            problems.append(
                f'speed.augment_on_device: wanted a data set of mmseg as '
                f'{key}, got {type(dataset).__name__}; name the data set that '
                'it is made of, or leave augment_on_device out'
            )
            continue
        loader = LoadFirst(dataset, key, hides=True)
        try:
            loader.transforms = defer(loader.transforms, key)
        except ConfigError as error:
            problems += error.problems
        if problems:
            continue
        with _pipeline(problems), seeded('sample', key) as again:
            results = loader.load_image(0)
            size = results['img'].shape[:2]
            labels = np.full(size, dataset.ignore_index, np.uint8)
            loader.transform(0, results, labels, again=again)


def of_val(data: Data, problems: list[str]) -> None:
    """Check the first image and annotation of ``data.val``."""
    val = data.val
    if not len(val):
        problems.append(
            'data.val: wanted at least one image, got none; correct img_dir, '
            'img_suffix or split'
        )
        return
    with _pipeline(problems), reading(val, 0, 'data.val'):
        val[0]
    if not isinstance(val, CustomDataset):
        return
    if 'ann' not in val.img_infos[0]:
        problems.append(
            'data.val.ann_dir: required, the annotations that each round is '
            'evaluated on; got nothing'
        )


@contextmanager
def _pipeline(problems: list[str]) -> Iterator[None]:
    """Turn a pipeline's failure on the first image into a problem."""
    try:
        yield
    except DataError as error:
        if not isinstance(
            error, LabelFlowError
        ) and '.pipeline fails on it' not in str(error):
            raise
        problems.append(str(error))
