"""Query and evaluate the network on a few images."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import mmcv
import numpy as np
import torch
from mmcv.parallel import collate
from mmcv.runner.log_buffer import LogBuffer
from torch import nn
from torch.utils.data import DataLoader

from segal.active.dataset.pool import Pool, query_batch
from segal.compiled_ops import MissingOpError
from segal.errors import DataError, SegALError, nearest
from segal.hooks.evaluation import EvaluationHook
from segal.model_wrapper import ModelWrapper
from segal.preflight.base import QUIET, Preflight, in_words, views_of
from segal.seeding import seeded
from segal.structures import PoolImage

DRAWS = 4
"""Number of views of a query image, each with another seed."""

_HALVED = 32
"""Most networks shrink images by this factor, or a divisor of it."""


def check_steady(key: str, dataset: Any, problems: list[str]) -> None:
    """Check that a data set shows whole images, the same each time."""
    where = f'{key}.pipeline'
    if not len(dataset):
        return
    seen: list[Any] = []
    for draw in range(DRAWS):
        with seeded('steady', draw):
            try:
                seen.append(views_of(dataset[0]))
            except Exception:
                return  # reported where the sample is made
        if not _equal(seen[0], seen[-1]):
            problems.append(
                f'{where}: wanted a view of an image that is the same each '
                f'time, got another one at draw {draw + 1}; take out what '
                f'draws at random{_suspects(dataset)}'
            )
            return
    for _, meta in seen[0]:
        problems += _off_grid(where, meta)


def _equal(
    one: list[tuple[Any, dict[str, Any]]],
    other: list[tuple[Any, dict[str, Any]]],
) -> bool:
    return len(one) == len(other) and all(
        np.array_equal(a, b, equal_nan=True)
        and (x.get('flip'), x.get('flip_direction'))
        == (y.get('flip'), y.get('flip_direction'))
        for (a, x), (b, y) in zip(one, other, strict=True)
    )


def _suspects(dataset: Any) -> str:
    """List the steps that may draw at random; all where no name tells."""
    names = [
        type(step).__name__
        for outer in getattr(dataset.pipeline, 'transforms', [])
        for step in (
            getattr(getattr(outer, 'transforms', None), 'transforms', None)
            or [outer]
        )
    ]
    random = [name for name in names if 'Random' in name or 'Photo' in name]
    return f' ({", ".join(random or names)})'


def _off_grid(where: str, meta: Mapping[str, Any]) -> list[str]:
    """Check that a view shows the whole image.

    mmseg resizes predictions to ``ori_shape``: a crop would be stretched
    over the whole image.

    Args:
        where: Key of the pipeline.
        meta: Of mmseg's pipeline: shapes are (height, width, channels).
    """
    before, after = meta.get('ori_shape'), meta.get('img_shape')
    if not before or not after:
        return []
    height, width = before[0], before[1]
    factor = np.asarray(meta.get('scale_factor', 1.0), float).reshape(-1)
    by_width, by_height = factor[0], factor[min(1, len(factor) - 1)]
    wanted = (height * by_height, width * by_width)
    # Resize rounds, and some steps round up to a multiple of their own
    if all(
        got >= want * 0.98 - 1
        for got, want in zip(after[:2], wanted, strict=True)
    ):
        return []
    return [
        f'{where}: wanted the whole image of (H, W) = {(height, width)}, '
        f'which is {tuple(round(side) for side in wanted)} as Resize shows '
        f'it; got {tuple(after[:2])}: a step cuts it, and scores would lie at '
        'other places; take RandomCrop and its like out of the pipeline'
    ]


@contextmanager
def run_problems(key: str, mend: str, problems: list[str]) -> Iterator[None]:
    """Turn what the network raises on a sample into a problem."""
    try:
        yield
    except (DataError, MissingOpError, torch.OutOfMemoryError):
        raise
    except SegALError as error:
        # untrained weights may give NaN
        if 'NaN or infinite' not in str(error):
            problems.append(f'{key}: {error}')
    except Exception as error:
        problems.append(f'{key}: does not work: {in_words(error)}; {mend}')


def query(model: nn.Module, parts: Preflight, problems: list[str]) -> None:
    """Query the network on an image of the pool, and some of other sizes."""
    pool = parts.data.pool
    wrapper = ModelWrapper(model, parts.device)
    test = parts.cfg.model.get('test_cfg') or parts.cfg.get('test_cfg')
    key = 'model.test_cfg, data.query'
    for image in of_other_sizes(pool):
        mend = (
            f'correct model.test_cfg (got {test}) or data.query.pipeline '
            f'(seen with {pool.file(image.name)})'
        )
        before = len(problems)
        with run_problems(key, mend, problems), wrapper.evaluating():
            probs = wrapper.probabilities(query_batch(pool, [image.name]))
            wanted = (1, len(parts.data.classes), *image.size)
            if tuple(probs.shape) != wanted:
                problems.append(
                    f'{key}: wanted probabilities of shape (1, classes, H, W) '
                    f'= {wanted}, got {tuple(probs.shape)}; {mend}'
                )
        if len(problems) > before:
            return


def of_other_sizes(pool: Pool) -> list[PoolImage]:
    """List the first image, and some whose sides leave other remainders.

    A network that halves an image several times may not take every size.
    """
    first: dict[tuple[int, ...], PoolImage] = {}
    for image in pool:
        remainder = tuple(side % _HALVED for side in image.size)
        first.setdefault(remainder, image)
    return list(first.values())[:DRAWS]


def evaluate(model: nn.Module, parts: Preflight, problems: list[str]) -> None:
    """Evaluate one image of ``data.val``, and name its best checkpoint."""
    section = parts.cfg.get('evaluation') or {}
    options = {**section, 'by_epoch': parts.config.runner.by_epoch}
    val = parts.data.val
    loader = DataLoader(
        val,
        batch_sampler=[[0]],
        collate_fn=partial(collate, samples_per_gpu=1),
    )
    counts: Any = None
    mend = 'correct model.test_cfg or data.val'
    with run_problems('data.val', mend, problems):
        hook = EvaluationHook(loader, [0], **options)
        asked: Any = hook._counts(model)
        counts = next(asked)
        asked.close()
    if counts is None:
        return
    runner = SimpleNamespace(logger=QUIET, log_buffer=LogBuffer())
    with run_problems(
        'evaluation', f'correct it (got {dict(section)})', problems
    ):
        best = section.get('save_best')
        try:
            score = hook.evaluate(runner, [counts])
        except KeyError:
            results = runner.log_buffer.output
            if not results or best in (None, 'auto', *results):
                raise
            problems.append(
                f'evaluation.save_best: {best!r} is no result of an '
                'evaluation' + nearest(best, results)
            )
            return
        if best is None:
            return
        if not isinstance(score, int | float | np.number):
            problems.append(
                f'evaluation.save_best: wanted a result that is a number; '
                f'got {best!r}, which is {score!r}'
            )
        name = f'best_{hook.key_indicator}_1.pth'
        if Path(name).name != name:
            problems.append(
                f'evaluation.save_best: wanted a result whose name can be '
                f'that of a file; got {best!r}'
            )
        if hook.out_dir or hook.file_client_args:
            mmcv.FileClient.infer_client(
                hook.file_client_args, str(hook.out_dir or '.')
            )
