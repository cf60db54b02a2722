"""A selector of one's own: one class, one method, outside the package."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from segal.active.selectors import PixelsPerImage, QueryContext
from segal.registry import SELECTORS
from segal.structures import PoolImage


@SELECTORS.register_module()
class PixelsPerCell(PixelsPerImage):
    """Takes the best pixel of each of cells x cells, then the second best."""

    def __init__(self, context: QueryContext, cells: int = 4) -> None:
        super().__init__(context)
        self.cells = cells

    def pick(
        self,
        image: PoolImage,
        places: NDArray,
        scores: NDArray,
        quota: int,
        *rest: Any,
    ) -> NDArray:
        """Choose ``quota`` of the n ``places`` of one image; see the base."""
        (height, width), cells = image.size, self.cells
        rows, columns = np.divmod(places, width)  # (n,) each
        cell = rows * cells // height * cells + columns * cells // width
        ties = self.ties(image.name, places)  # decide between equal scores
        order = np.lexsort((ties, -scores, cell))  # best first in each cell
        _, first, which = np.unique(cell[order], True, True)
        turn = np.empty(len(places), int)  # 0: the best of its cell
        turn[order] = np.arange(len(places)) - first[which]
        return np.lexsort((ties, -scores, turn))[:quota]  # indices, (quota,)
