"""Find the steps of a pipeline that read the image, by their output."""

from __future__ import annotations

from typing import Any
from weakref import WeakKeyDictionary

from mmseg.datasets import CustomDataset

from segal.errors import ConfigError

_TRIED = 3
"""Images that are tried, since one may be damaged."""

_known: WeakKeyDictionary[CustomDataset, int] = WeakKeyDictionary()


def reading_steps(dataset: CustomDataset, key: str) -> int:
    """Count the steps at the start of a pipeline that read the image.

    mmseg's readers are found by their name. For other readers, a sample is
    read to find the step that adds ``img`` to the results.

    Raises:
        ConfigError: No step reads an image.
    """
    steps = dataset.pipeline.transforms
    kinds = [type(step).__name__ for step in steps]
    named = [i for i, x in enumerate(kinds) if x.startswith('LoadImage')]
    if named:
        return named[-1] + 1
    if dataset not in _known:
        _known[dataset] = _probe(dataset, key, steps, kinds)
    return _known[dataset]


def _probe(
    dataset: CustomDataset, key: str, steps: list[Any], kinds: list[str]
) -> int:
    failed = ''
    for info in dataset.img_infos[:_TRIED]:
        results: Any = dict(img_info=info, ann_info=info.get('ann', {}))
        dataset.pre_pipeline(results)
        for count, step in enumerate(steps, 1):
            try:
                results = step(results)
            except Exception as error:
                failed = (
                    f'; {kinds[count - 1]} fails on {info.get("filename")} '
                    f'({type(error).__name__}: {error})'
                )
                break
            if not isinstance(results, dict):
                break
            if getattr(results.get('img'), 'ndim', 0) >= 2:
                return count
    raise ConfigError(
        f'{key}.pipeline: wanted a step that loads the image, such as '
        f"LoadImageFromFile, or one of your own that puts results['img'] "
        f'(H, W, 3) in; got {kinds}{failed}'
    )
