"""Change colours of whole batches on the device, as they were drawn.

Colours, blur and normalisation of ``speed.augment_on_device``: the workers
draw their numbers, see :mod:`segal.datasets.pipelines.drawn_changes`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import torch
from mmcv.parallel import DataContainer
from torch import Tensor
from torch.utils.data import DataLoader

from segal.datasets.pipelines import tensor_colours as colours
from segal.datasets.pipelines.drawn_changes import (
    CHANGES,
    WEAK,
    Change,
    Changes,
)

WAITED_FOR = ('scale_hsv', 'turn_hsv', 'hue', 'blur', 'normalise')
"""Changes that take many kernels, and the last one."""


class DeviceLoader(DataLoader):
    """Load batches, and do on the device what the workers only drew.

    Args:
        device: Of the network.
        args: Of PyTorch's loader.
        kwargs: Of PyTorch's loader.
    """

    def __init__(
        self, device: torch.device, *args: Any, **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self.device = device

    def __iter__(self) -> Iterator[Any]:  # type: ignore[override]
        for batch in super().__iter__():
            yield finish(batch, self.device)


def finish(batch: dict[str, Any], device: torch.device) -> dict[str, Any]:
    """Change the images of a collated batch, in place.

    Args:
        batch: With ``img`` of bytes (B, 3, H, W) and ``changes``.
        device: Where to compute, and where the images then are.

    Returns:
        The batch, with ``img`` float32 and, where it is kept, ``img_weak``.
    """
    changes = batch.pop(CHANGES).data[0]
    made = change(batch['img'].data[0], changes, device)
    for name, images in zip(('img', WEAK), made, strict=True):
        if images is not None:
            batch[name] = DataContainer([images], stack=True)
    return batch


@torch.no_grad()
def change(
    images: Tensor, changes: Sequence[Changes], device: torch.device
) -> tuple[Tensor, Tensor | None]:
    """Change the images of a batch.

    An image's result does not depend on the others of its batch.

    Args:
        images: uint8 (B, 3, H, W), in BGR.
        changes: Of each image.
        device: Where to compute.

    Returns:
        Normalised images, float32 (B, 3, H, W), and as many weak views; None
        where no image keeps one.
    """
    plan = list(_groups([one.steps for one in changes]))
    tables = [
        _numbers([changes[row].steps[at] for row, at in members.items()])
        for members in plan
    ]
    # all that is small goes in one copy
    places = [
        torch.tensor([one.size for one in changes]),
        *(torch.tensor(list(members)) for members in plan),
    ]
    small = _move(_flat([*places, *tables]), device)
    parts = small.split([one.numel() for one in [*places, *tables]])
    sizes, *rows = (part.long() for part in parts[: len(places)])
    sizes = sizes.view(-1, 2)
    x = _move(images, device).float()
    whole = all(one.size == tuple(images.shape[2:]) for one in changes)
    inside = None if whole else _inside(sizes, images.shape[2:])
    weak: Tensor | None = None
    for members, row, table, part in zip(
        plan, rows, tables, parts[len(places) :], strict=True
    ):
        first, at = next(iter(members.items()))
        name = changes[first].steps[at][0]
        every = len(members) == len(x)  # rows are in order
        made = _apply(
            name,
            x if every else x[row],
            part.view(table.shape),
            inside if every or inside is None else inside[row],
            sizes if every else sizes[row],
        )
        if name == 'keep_weak':
            weak = torch.zeros_like(x) if weak is None else weak
            weak = weak.index_copy(0, row, made)
        else:
            x = made if every else x.index_copy(0, row, made)
    if inside is not None:  # padding is 0 once images are normalised
        x = x.where(inside, 0.0)
        weak = None if weak is None else weak * inside
    return x, weak


def _groups(
    lists: Sequence[Sequence[Change]],
) -> Iterator[dict[int, int]]:
    """Group the changes of several images that can be made together.

    Images wait before a change of ``WAITED_FOR`` until all others have come
    to one, so that each of them is made once or twice for a batch. Of the
    other changes, the one that most images come to next is the next one.

    Yields:
        Row -> position of the change in its list, rows in order.
    """
    done = [0] * len(lists)
    while True:
        following: dict[str, dict[int, int]] = {}
        for row, (found, at) in enumerate(zip(lists, done, strict=True)):
            if at < len(found):
                following.setdefault(found[at][0], {})[row] = at
        if not following:
            return
        name = min(
            following,
            key=lambda name: (
                WAITED_FOR.index(name) if name in WAITED_FOR else -1,
                -len(following[name]),
            ),
        )
        members = following[name]
        for row in members:
            done[row] += 1
        yield members


def _numbers(found: Sequence[Change]) -> Tensor:
    """Write the numbers of some changes as a table, a row each."""
    table: Sequence[Sequence[float]] = [one[1:] for one in found]
    if found[0][0] == 'blur':
        table = [colours.blur_weights(*one[1:]) for one in found]
        longest = max(map(len, table))
        table = [[*row, *[0] * (longest - len(row))] for row in table]
    return torch.tensor(table, dtype=torch.float32)


def _apply(
    name: str, x: Tensor, values: Tensor, inside: Tensor | None, sizes: Tensor
) -> Tensor:
    """Make one change of some images."""
    values = values[:, :, None, None, None]  # (n, numbers, 1, 1, 1)
    first = values[:, 0] if values.shape[1] else values
    if name == 'brightness':
        return colours.blend(x, 0.0, first)
    if name == 'contrast':
        return colours.contrast(x, first, inside)
    if name == 'saturation':
        return colours.saturation(x, first)
    if name == 'hue':
        return colours.pillow_hue(x, first)
    if name == 'gray':
        return colours.opencv_gray(x).expand_as(x)
    if name == 'blur':
        return colours.blur(x, values, sizes)
    if name == 'add':
        return (x + first).clamp(0, 255).floor()
    if name == 'multiply':
        return (x * first).clamp(0, 255).floor()
    if name == 'scale_hsv':
        return colours.opencv_hsv(x, factor=first)
    if name == 'turn_hsv':
        return colours.opencv_hsv(x, turn=first)
    assert name in ('normalise', 'keep_weak'), name
    x = torch.where(first > 0, x.flip(1), x)
    mean, scale = values[:, 1:4, 0], values[:, 4:, 0]  # (n, 3, 1, 1)
    return (x - mean) * scale


def _inside(sizes: Tensor, size: Iterable[int]) -> Tensor:
    """Map the pixels that are no padding: bool (n, 1, H, W)."""
    height, width = size
    rows = torch.arange(height, device=sizes.device)[:, None]
    columns = torch.arange(width, device=sizes.device)
    sizes = sizes[:, :, None, None, None]
    return (rows < sizes[:, 0]) & (columns < sizes[:, 1])


def _flat(tensors: Sequence[Tensor]) -> Tensor:
    return torch.cat([one.flatten().float() for one in tensors])


def _move(tensor: Tensor, device: torch.device) -> Tensor:
    """Copy to the device without waiting for what it computes."""
    if device.type != 'cuda':
        return tensor.to(device)
    return tensor.pin_memory().to(device, non_blocking=True)
