"""The steps of a pipeline that read the image, told by what they put out."""

from __future__ import annotations

from typing import Any
from weakref import WeakKeyDictionary

from mmseg.datasets import CustomDataset

from segal.errors import ConfigError

_TRIED = 3
"""So many images are tried, since one may be broken."""

_known: WeakKeyDictionary[CustomDataset, int] = WeakKeyDictionary()


def reading_steps(dataset: CustomDataset, key: str) -> int:
    """Count the steps at the start of a pipeline that give the image.

    mmseg's readers are told by their name; of others, a first sample shows
    which step puts an ``img`` into the results.

    Args:
        dataset: An mmseg data set.
        key: Where it stands in the config.

    Raises:
        ConfigError: No step gives an image.
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
