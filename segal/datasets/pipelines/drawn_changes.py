"""Draw how colours change in the workers, change them on the device.

The end of a training pipeline that moves no pixel is not run in the workers:
they draw the same numbers in the same order, and pass on the image as bytes
with a list of changes. The device changes the images of a batch together.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from mmcv.parallel import DataContainer
from mmseg.datasets import pipelines as mmseg_steps
from mmseg.datasets.pipelines import formatting
from torchvision import transforms

from segal.datasets.pipelines.color import (
    RandomColorJitter,
    RandomGaussianBlur,
    RandomGrayscale,
)
from segal.datasets.pipelines.keep_weak_view import KeepWeakView
from segal.errors import ConfigError

CHANGES = 'changes'
"""Key of a sample: its :class:`Changes`."""

WEAK = 'img_weak'

Change = tuple[Any, ...]
"""Name of an operation, and its numbers."""

COLOURS = (
    RandomColorJitter,
    RandomGrayscale,
    RandomGaussianBlur,
    mmseg_steps.PhotoMetricDistortion,
    KeepWeakView,
    mmseg_steps.Normalize,
)
"""Steps that are run on the device; those of mmseg's alone, no subclass."""


@dataclass
class Changes:
    """What is to be done to one image, in order.

    Attributes:
        size: Height and width of the image without what ``Pad`` adds.
        steps: The changes; the last one is ``normalise``.
    """

    size: tuple[int, int]
    steps: list[Change]


class DrawChanges:
    """Draw what some steps of a pipeline would do to an image.

    Args:
        steps: Of ``COLOURS``, then perhaps ``Pad``.
    """

    def __init__(self, steps: Sequence[Any]) -> None:
        self.steps = list(steps)

    def __call__(self, results: dict[str, Any]) -> dict[str, Any]:
        """Add ``results['changes']``; the image stays as it is."""
        image = results['img']
        if image.dtype != np.uint8 or image.shape[2:] != (3,):
            raise ValueError(
                'speed.augment_on_device: wanted an image of bytes (H, W, 3), '
                f'got {image.dtype} {image.shape}; leave augment_on_device out'
            )
        height, width = image.shape[:2]
        changes = Changes((height, width), [])
        for step in self.steps:
            if isinstance(step, mmseg_steps.Pad):
                results = step(results)
                continue
            changes.steps += _drawn(step)
            if isinstance(step, mmseg_steps.Normalize):
                results['img_norm_cfg'] = dict(
                    mean=step.mean, std=step.std, to_rgb=step.to_rgb
                )
        results[CHANGES] = DataContainer(changes, cpu_only=True)
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}({self.steps})'


def defer(steps: Sequence[Any], key: str) -> list[Any]:
    """Replace the steps that change colours by one that draws their numbers.

    Args:
        steps: Of a training pipeline, from behind ``LoadAnnotations``.
        key: Of the data set, for the error.

    Raises:
        ConfigError: The pipeline cannot be split.
    """
    kinds = [type(step) for step in steps]
    wanted = (
        f'speed.augment_on_device: wanted {key}.pipeline to end with steps '
        'that move no pixel (of '
        f'{", ".join(kind.__name__ for kind in COLOURS)}), Normalize the last '
        'of them, then perhaps Pad with pad_val=0, then DefaultFormatBundle '
        'and Collect; got '
    )
    mend = '; change their order, or leave augment_on_device out'
    end = [formatting.DefaultFormatBundle, formatting.Collect]
    if kinds[-2:] != end:
        names = ', '.join(kind.__name__ for kind in kinds[-2:])
        raise ConfigError(wanted + f'{names} at its end{mend}')
    begin = next((i for i, kind in enumerate(kinds) if kind in COLOURS), None)
    if begin is None:
        raise ConfigError(wanted + f'none of them{mend}')
    tail = list(steps[begin:-2])
    last = tail[-1]
    padded = type(last) is mmseg_steps.Pad and last.pad_val == 0
    inner = tail[:-1] if padded else tail
    for step in inner:
        if type(step) not in COLOURS:
            raise ConfigError(
                wanted
                + f'{type(step).__name__} behind {kinds[begin].__name__}{mend}'
            )
    normalise = [type(step) is mmseg_steps.Normalize for step in inner]
    if sum(normalise) != 1 or not normalise[-1]:
        names = ', '.join(type(step).__name__ for step in inner)
        raise ConfigError(wanted + f'{names}{mend}')
    bundle, collect = steps[-2:]
    collect = copy.copy(collect)
    kept = [name for name in collect.keys if name != WEAK]
    collect.keys = [*kept, CHANGES]
    return [*steps[:begin], DrawChanges(tail), bundle, collect]


def _drawn(step: Any) -> list[Change]:
    """Draw what a step would draw, in the same order."""
    if isinstance(step, KeepWeakView | mmseg_steps.Normalize):
        weak = isinstance(step, KeepWeakView)
        scale = 1 / np.asarray(step.std, np.float64)
        numbers = [*np.asarray(step.mean).tolist(), *scale.tolist()]
        name = 'keep_weak' if weak else 'normalise'
        return [(name, bool(step.to_rgb), *numbers)]
    if isinstance(step, mmseg_steps.PhotoMetricDistortion):
        distortion = _Distortion(step)
        mmseg_steps.PhotoMetricDistortion.__call__(distortion, dict(img=None))
        return distortion.drawn
    if not step.happens():
        return []
    if isinstance(step, RandomGrayscale):
        return [('gray',)]
    if isinstance(step, RandomGaussianBlur):
        return [('blur', step.kernel_size, step.draw_sigma())]
    jitter = step.jitter
    order, *factors = transforms.ColorJitter.get_params(
        jitter.brightness, jitter.contrast, jitter.saturation, jitter.hue
    )
    names = ('brightness', 'contrast', 'saturation', 'hue')
    pairs = [(names[i], factors[i]) for i in order if factors[i] is not None]
    return [
        (name, int(np.int32(value * 255).astype(np.uint8)))  # as torchvision
        if name == 'hue'
        else (name, value)
        for name, value in pairs
    ]


class _Distortion:
    """Draw for mmseg's ``PhotoMetricDistortion``, in its own order."""

    def __init__(self, step: Any) -> None:
        self.step = step
        self.drawn: list[Change] = []

    def _draw(self, name: str, which: str, low: float, high: float) -> None:
        if np.random.randint(2):  # noqa: NPY002  (mmseg draws from it)
            draw = getattr(np.random, which)
            self.drawn.append((name, draw(low, high)))

    def brightness(self, img: None) -> None:
        reach = self.step.brightness_delta
        self._draw('add', 'uniform', -reach, reach)

    def contrast(self, img: None) -> None:
        low, high = self.step.contrast_lower, self.step.contrast_upper
        self._draw('multiply', 'uniform', low, high)

    def saturation(self, img: None) -> None:
        low, high = self.step.saturation_lower, self.step.saturation_upper
        self._draw('scale_hsv', 'uniform', low, high)

    def hue(self, img: None) -> None:
        reach = self.step.hue_delta
        self._draw('turn_hsv', 'randint', -reach, reach)
