from __future__ import annotations

from typing import Any

import mmcv
import numpy as np
from mmseg.datasets.builder import PIPELINES
from mmseg.datasets.pipelines import Resize
from numpy.typing import NDArray


def move_labels(
    labels: NDArray[np.uint8],
    places: NDArray[np.int64],
    size: tuple[int, int],
    ignore_index: int = 255,
) -> NDArray[np.uint8]:
    """Move single labelled pixels of (H, W) to a map of another size.

    The centre of pixel (y, x) lands in pixel (floor((y + 0.5) * s_y), floor((x
    + 0.5) * s_x)), where bilinear resizing puts its colour, too. One label
    stays one labelled pixel: enlarging makes no more of them. Where several
    land in one pixel, the one nearest to its centre stays; of equally near
    ones that with the lowest flat index. The ``places``, int64 (N,), are
    sorted flat indices of what to carry.
    """
    height, width = labels.shape
    rows, columns = np.divmod(places, width)
    row, above = np.divmod((2 * rows + 1) * size[0], 2 * height)
    column, left = np.divmod((2 * columns + 1) * size[1], 2 * width)
    # Distance from the pixel's centre, in whole numbers: ties stay ties.
    distance = ((above - height) * width) ** 2 + ((left - width) * height) ** 2
    target = row * size[1] + column
    order = np.lexsort((places, distance, target))
    target = target[order]
    first = np.ones(len(target), bool)
    first[1:] = target[1:] != target[:-1]
    moved = np.full(size, ignore_index, np.uint8)
    moved.reshape(-1)[target[first]] = labels.reshape(-1)[places[order[first]]]
    return moved


def resize_unasked(
    unasked: NDArray[np.uint8], size: tuple[int, int], ignore_index: int = 255
) -> NDArray[np.uint8]:
    """Resize the map (H, W) of pixels that were not asked.

    Nearest; and whatever lies in a pixel that somebody was asked about
    (``ignore_index``) is asked, too, so that shrinking forgets none.
    """
    nearest = mmcv.imresize(unasked, size[::-1], interpolation='nearest')
    if size[0] >= unasked.shape[0] and size[1] >= unasked.shape[1]:
        return nearest
    places = np.flatnonzero(unasked == ignore_index)
    asked = move_labels(unasked, places, size, ignore_index ^ 1)
    nearest[asked == ignore_index] = ignore_index
    return nearest


@PIPELINES.register_module()
class LabelKeepingResize(Resize):
    """mmseg's ``Resize`` that loses no bought label.

    Nearest resizing by s < 1 drops all but s^2 of single labelled pixels, and
    by s > 1 makes s^2 of each, so that an enlarged image outweighs the others
    in a loss averaged over labelled pixels. Here every label stays one
    labelled pixel, at its place (see :func:`move_labels`), whatever the
    ratio. The image comes out as from ``Resize``.

    Maps of whole images go through plain nearest: a map counts as whole once
    a share of ``dense_from`` of its pixels is labelled. The map of pixels
    that nobody was asked about goes by :func:`resize_unasked`.

    Args:
        *args: As for mmseg's ``Resize``.
        dense_from: Share of labelled pixels, in [0, 1], from which on a map
            is resized by nearest. 0 is plain ``Resize``; above 1, labels are
            always carried one by one.
        ignore_index: Class id of pixels without a label.
        **kwargs: As for mmseg's ``Resize``.
    """

    def __init__(
        self,
        *args: Any,
        dense_from: float = 0.2,
        ignore_index: int = 255,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.dense_from = dense_from
        self.ignore_index = ignore_index

    def _resize_seg(self, results: dict[str, Any]) -> None:
        """Resize the label maps to the size the image has by now."""
        size = results['img'].shape[:2]
        for key in results.get('seg_fields', []):
            labels = results[key]  # (H, W)
            if key != 'gt_semantic_seg':
                results[key] = resize_unasked(labels, size, self.ignore_index)
                continue
            places = np.flatnonzero(labels != self.ignore_index)
            if len(places) < self.dense_from * labels.size:
                results[key] = move_labels(
                    labels, places, size, self.ignore_index
                )
            else:
                results[key] = mmcv.imresize(
                    labels, size[::-1], interpolation='nearest'
                )

    def __repr__(self) -> str:
        return (
            f'{super().__repr__()[:-1]}, dense_from={self.dense_from}, '
            f'ignore_index={self.ignore_index})'
        )
