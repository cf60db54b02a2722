"""Draw street scenes from a number: texture, light, rare small objects.

Colour alone does not tell the classes apart: grey sky, road, pavement and
walls overlap, walls may be green as trees or blue as sky, and light and tint
change from scene to scene.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

CLASSES = (
    'sky',
    'building',
    'tree',
    'road',
    'pavement',
    'car',
    'pole',
    'person',
)

PALETTE = [
    [70, 130, 180],
    [128, 64, 64],
    [64, 128, 32],
    [128, 64, 128],
    [244, 160, 232],
    [0, 0, 192],
    [220, 220, 0],
    [220, 20, 60],
]

SKY, BUILDING, TREE, ROAD, PAVEMENT, CAR, POLE, PERSON = range(len(CLASSES))
VOID = 255

Picture = NDArray[np.float32]  # (H, W, 3) BGR, 0 to 1
LabelMap = NDArray[np.uint8]  # (H, W)


def draw_scene(
    seed: int, size: tuple[int, int]
) -> tuple[NDArray[np.uint8], LabelMap]:
    """Draw one scene.

    Args:
        seed: The same number gives the same scene.
        size: (height, width) in pixels.

    Returns:
        The image, uint8 (H, W, 3) in BGR, and its class ids, uint8 (H, W),
        255 where void: the border of foliage, litter, the car's own bonnet.
    """
    return _Scene(seed, size).draw()


class _Scene:
    """A street scene, drawn from the back to the front.

    Depth runs from 0 at the horizon to 1 at the lower edge. It is drawn at
    twice its size and made smaller at the end, which blends borders.
    """

    def __init__(self, seed: int, size: tuple[int, int]) -> None:
        self.rng = np.random.default_rng(seed)
        self.size = size
        self.height, self.width = 2 * size[0], 2 * size[1]
        shape = (self.height, self.width)
        self.image: Picture = np.zeros((*shape, 3), np.float32)
        self.labels: LabelMap = np.full(shape, SKY, np.uint8)
        self.horizon = self.height * self.rng.uniform(0.36, 0.5)
        self.vanish = self.width * self.rng.uniform(0.35, 0.65)
        self.half_road = self.width * self.rng.uniform(0.3, 0.5)
        self.half_street = self.half_road + self.width * self.rng.uniform(
            0.18, 0.4
        )

    def draw(self) -> tuple[NDArray[np.uint8], LabelMap]:
        """Draw everything, and the light on it."""
        self._sky()
        self._ground()
        self._sides()
        objects: list[tuple[float, Callable[[float], None]]] = []
        for kind, most in (
            (self._pole, 5),
            (self._car, 3),
            (self._person, 3),
            (self._litter, 2),
        ):
            objects += [
                (self.rng.uniform(0.12, 0.7), kind)
                for _ in range(self.rng.integers(1, most + 1))
            ]
        for depth, paint in sorted(objects, key=lambda item: item[0]):
            paint(depth)
        self._bonnet()
        return self._photograph()

    # Where things are

    def _row(self, depth: float) -> float:
        return self.horizon + (self.height - self.horizon) * depth

    def _side(self, half: float, depth: float, side: int) -> float:
        """Compute the column of a line along the street."""
        middle = self.vanish + (self.width / 2 - self.vanish) * depth
        return middle + side * half * depth

    # What things are made of

    def _noise(self, grain: float) -> Picture:
        """Draw soft noise (H, W, 1) of unit variance, ``grain`` pixels."""
        shape = (
            max(2, round(self.height / grain)),
            max(2, round(self.width / grain)),
        )
        small = self.rng.standard_normal(shape, np.float32)
        full = cv2.resize(
            small,
            (self.width, self.height),
            interpolation=cv2.INTER_CUBIC,
        )
        return full[..., None]

    def _grey(self, low: float, high: float) -> Picture:
        """Draw a colour (3,) near grey."""
        shade = self.rng.uniform(low, high)
        tint = self.rng.uniform(-0.04, 0.04, 3)
        return (shade + tint).astype(np.float32)

    def _paint(
        self, mask: NDArray[np.bool_], texture: Picture, label: int
    ) -> None:
        self.image[mask] = np.broadcast_to(texture, self.image.shape)[mask]
        self.labels[mask] = label

    def _polygon(self, points: list[tuple[float, float]]) -> NDArray[np.bool_]:
        """Fill a polygon given as (column, row) into a mask (H, W)."""
        mask = np.zeros(self.labels.shape, np.uint8)
        corners = np.round(np.array(points)).astype(np.int32)
        cv2.fillPoly(mask, [corners], 1)
        return mask.astype(bool)

    def _ellipse(
        self, centre: tuple[float, float], axes: tuple[float, float]
    ) -> NDArray[np.bool_]:
        mask = np.zeros(self.labels.shape, np.uint8)
        cv2.ellipse(
            mask,
            (round(centre[0]), round(centre[1])),
            (max(1, round(axes[0])), max(1, round(axes[1]))),
            0,
            0,
            360,
            1,
            -1,
        )
        return mask.astype(bool)

    # The things themselves

    def _sky(self) -> None:
        top = np.array([0.85, 0.6, 0.4], np.float32)
        if self.rng.random() < 0.5:
            top = self._grey(0.55, 0.9)
        rise = np.linspace(0, 1, self.height, dtype=np.float32)
        blend = np.minimum(rise[:, None, None] * 2, 1)  # (H, 1, 1)
        clouds = self._noise(50) * 0.06 + self._noise(20) * 0.02
        self._paint(
            np.ones(self.labels.shape, bool),
            top * (1 - blend) + self._grey(0.75, 0.95) * blend + clouds,
            SKY,
        )

    def _ground(self) -> None:
        rows = np.arange(self.height, dtype=np.float32)[:, None]
        columns = np.arange(self.width, dtype=np.float32)[None]
        depth = (rows - self.horizon) / (self.height - self.horizon)
        depth = np.maximum(depth, 1e-3)  # (H, 1)
        middle = self.vanish + (self.width / 2 - self.vanish) * depth
        across = (columns - middle) / depth  # (H, W), as at the lower edge
        below = np.broadcast_to(rows >= self.horizon, self.labels.shape)
        street = below & (np.abs(across) <= self.half_street)
        road = below & (np.abs(across) <= self.half_road)

        verge = self._grey(0.3, 0.5) + np.array([-0.05, 0.08, -0.05])
        rough = self._noise(2) * 0.07 + self._noise(9) * 0.05
        self._paint(below, (verge + rough).astype(np.float32), TREE)

        slab = self.width * self.rng.uniform(0.07, 0.12)
        away = np.log(depth) * self.rng.uniform(4, 7)
        joints = ((across % slab) < slab * 0.12) | ((away % 1) < 0.12)
        flags = self._grey(0.38, 0.62) + self._noise(3) * 0.02
        flags = flags - 0.1 * (joints & (depth > 0.12))[..., None]
        self._paint(street, flags.astype(np.float32), PAVEMENT)

        tarmac = self._grey(0.28, 0.5) + self._noise(2) * 0.025
        tarmac = tarmac + self._noise(30) * 0.04
        dashed = (np.abs(across) < self.width * 0.012) & ((away % 1) < 0.55)
        edge = np.abs(np.abs(across) - self.half_road * 0.92)
        lines = dashed | (edge < self.width * 0.008)
        tarmac = np.where(lines[..., None], self._grey(0.7, 0.9), tarmac)
        self._paint(road, tarmac.astype(np.float32), ROAD)

    def _sides(self) -> None:
        """Draw houses and trees along both sides, the farthest first."""
        for side in (-1, 1):
            edges = [0.06]
            while edges[-1] < 1.1:
                edges.append(edges[-1] * self.rng.uniform(1.35, 2.1))
            for far, near in pairwise(edges):
                kind = self.rng.random()
                if kind < 0.55:
                    self._house(side, far, near)
                elif kind < 0.9:
                    self._trees(side, far, near)

    def _house(self, side: int, far: float, near: float) -> None:
        half = self.half_street * self.rng.uniform(1.0, 1.15)
        storey = self.rng.uniform(0.5, 1.6) * self.height
        left, right = self._side(half, far, side), self._side(half, near, side)
        outer = self._side(half * 2.5, near, side)
        tops = self._row(far) - storey * far, self._row(near) - storey * near
        front = [
            (left, self._row(far)),
            (left, tops[0]),
            (right, tops[1]),
            (right, self._row(near)),
        ]
        gable = [
            (left, self._row(far)),
            (left, tops[0]),
            (outer, tops[0]),
            (outer, self._row(far)),
        ]
        colours = (
            self._grey(0.3, 0.8),
            np.array([0.3, 0.38, 0.62], np.float32),
            np.array([0.36, 0.5, 0.4], np.float32),
            np.array([0.62, 0.52, 0.42], np.float32),
            np.array([0.6, 0.75, 0.8], np.float32),
        )
        wall = colours[self.rng.integers(len(colours))]
        wall = wall * self.rng.uniform(0.8, 1.15)
        self._paint(
            self._polygon(gable), wall * 0.8 + self._noise(4) * 0.03, BUILDING
        )
        mask = self._polygon(front)
        self._paint(mask, wall + self._noise(3) * 0.03, BUILDING)
        self._windows(mask, (left, right), (far, near), storey)

    def _windows(
        self,
        mask: NDArray[np.bool_],
        columns: tuple[float, float],
        depths: tuple[float, float],
        storey: float,
    ) -> None:
        """Draw a grid of panes on a wall, in perspective."""
        span = columns[1] - columns[0]
        if abs(span) < 6:
            return
        along = (np.arange(self.width) - columns[0]) / span  # 0 far, 1 near
        depth = depths[0] + (depths[1] - depths[0]) * np.clip(along, 0, 1)
        foot = self.horizon + (self.height - self.horizon) * depth
        rows = np.arange(self.height)[:, None]
        up = (foot - rows) / (storey * depth)  # (H, W): 0 foot, 1 top
        number = self.rng.integers(2, 6), self.rng.integers(2, 5)
        pane = (
            (along * number[0] % 1 > 0.3)
            & (along * number[0] % 1 < 0.8)
            & (up * number[1] % 1 > 0.3)
            & (up * number[1] % 1 < 0.78)
        )
        glass = self._grey(0.15, 0.35)
        if self.rng.random() < 0.4:
            glass = np.array([0.8, 0.7, 0.6], np.float32)
        self._paint(mask & pane, glass + self._noise(6) * 0.05, BUILDING)

    def _trees(self, side: int, far: float, near: float) -> None:
        leaves = (
            (0.16, 0.38, 0.22),
            (0.14, 0.3, 0.34),
            (0.2, 0.42, 0.46),
            (0.24, 0.3, 0.28),
        )
        leaf = np.array(leaves[self.rng.integers(4)], np.float32)
        for depth in self.rng.uniform(far, near, self.rng.integers(1, 4)):
            half = self.half_street * self.rng.uniform(1.0, 1.3)
            column = self._side(half, depth, side)
            top = self.rng.uniform(0.45, 0.9) * self.height * depth
            crown = top * self.rng.uniform(0.35, 0.6)
            trunk = max(1.0, top * 0.035)
            row = self._row(depth)
            stem = self._polygon(
                [
                    (column - trunk, row),
                    (column - trunk, row - top),
                    (column + trunk, row - top),
                    (column + trunk, row),
                ]
            )
            self._paint(stem, self._grey(0.15, 0.3), TREE)
            ragged = self._noise(max(3.0, crown / 4))[..., 0] * 0.28
            rows = (np.arange(self.height)[:, None] - row + top) / crown
            away = (np.arange(self.width)[None] - column) / crown
            reach = np.sqrt(rows**2 + away**2) + ragged
            self._paint(reach < 1.12, self.image, VOID)
            light = leaf - 0.1 * np.clip(rows, -1, 1)[..., None]
            speckle = self._noise(2) * 0.09 + self._noise(5) * 0.06
            self._paint(reach < 1, (light + speckle).astype(np.float32), TREE)

    def _pole(self, depth: float) -> None:
        side = self.rng.choice((-1, 1))
        half = self.half_road * self.rng.uniform(1.05, 1.25)
        column, row = self._side(half, depth, side), self._row(depth)
        top = self.rng.uniform(0.7, 1.2) * self.height * depth
        thick = max(2.0, 0.035 * self.width * depth)
        shade = self._grey(0.12, 0.75)
        mask = self._polygon(
            [
                (column - thick / 2, row),
                (column - thick / 2, row - top),
                (column + thick / 2, row - top),
                (column + thick / 2, row),
            ]
        )
        if self.rng.random() < 0.5:
            plate = top * 0.14
            centre = (column, row - top)
            mask |= self._ellipse(centre, (plate, plate))
        self._paint(mask, shade + self._noise(8) * 0.02, POLE)

    def _car(self, depth: float) -> None:
        place = self.rng.choice((-1, 1)) * self.rng.uniform(0.25, 0.85)
        column = self._side(self.half_road * abs(place), depth, np.sign(place))
        row = self._row(depth)
        half = self.half_road * depth * self.rng.uniform(0.26, 0.36)
        high = half * self.rng.uniform(1.1, 1.5)
        self._shadow((column, row), (half * 1.15, high * 0.16))
        paints = (
            self._grey(0.1, 0.9),
            self.rng.uniform(0.1, 0.9, 3).astype(np.float32),
        )
        paint = paints[self.rng.integers(2)]
        body = self._polygon(
            [
                (column - half, row),
                (column - half, row - high * 0.55),
                (column - half * 0.75, row - high),
                (column + half * 0.75, row - high),
                (column + half, row - high * 0.55),
                (column + half, row),
            ]
        )
        rows = np.arange(self.height, dtype=np.float32)[:, None, None]
        gloss = 0.18 * (row - rows) / max(high, 1.0) - 0.08
        self._paint(body, (paint + gloss).astype(np.float32), CAR)
        screen = self._polygon(
            [
                (column - half * 0.7, row - high * 0.58),
                (column - half * 0.58, row - high * 0.9),
                (column + half * 0.58, row - high * 0.9),
                (column + half * 0.7, row - high * 0.58),
            ]
        )
        self._paint(screen, self._grey(0.1, 0.3), CAR)
        for side in (-1, 1):
            wheel = (column + side * half * 0.72, row)
            tyre = self._ellipse(wheel, (half * 0.16, high * 0.13))
            self._paint(tyre, self._grey(0.04, 0.1), CAR)
            lamp = (column + side * half * 0.78, row - high * 0.4)
            glow = self._ellipse(lamp, (half * 0.12, high * 0.07))
            red = np.array([0.15, 0.15, 0.8], np.float32)
            self._paint(glow, red, CAR)

    def _person(self, depth: float) -> None:
        side = self.rng.choice((-1, 1))
        half = self.half_road * self.rng.uniform(0.9, 1.4)
        column, row = self._side(half, depth, side), self._row(depth)
        top = self.height * depth * self.rng.uniform(0.4, 0.55)
        self._shadow((column, row), (top * 0.2, top * 0.05))
        for centre, axes in (
            ((column - top * 0.07, row - top * 0.22), (0.06, 0.23)),
            ((column + top * 0.07, row - top * 0.22), (0.06, 0.23)),
            ((column, row - top * 0.6), (0.15, 0.25)),
        ):
            clothes = self.rng.uniform(0.05, 0.8, 3).astype(np.float32)
            mask = self._ellipse(centre, (axes[0] * top, axes[1] * top))
            self._paint(mask, clothes + self._noise(5) * 0.03, PERSON)
        head = self._ellipse((column, row - top * 0.9), (top * 0.08,) * 2)
        skin = np.array([0.5, 0.62, 0.8], np.float32)
        self._paint(head, skin * self.rng.uniform(0.4, 1.1), PERSON)

    def _litter(self, depth: float) -> None:
        """Draw an object that no class covers."""
        side = self.rng.choice((-1, 1))
        half = self.half_road * self.rng.uniform(0.3, 1.6)
        column, row = self._side(half, depth, side), self._row(depth)
        reach = self.width * depth * self.rng.uniform(0.03, 0.06)
        mask = self._ellipse((column, row - reach / 2), (reach, reach))
        self._paint(
            mask,
            self.rng.uniform(0.1, 0.8, 3) + self._noise(3) * 0.08,
            VOID,
        )

    def _shadow(
        self, centre: tuple[float, float], axes: tuple[float, float]
    ) -> None:
        self.image[self._ellipse(centre, axes)] *= 0.55

    def _bonnet(self) -> None:
        """Draw the camera's own car, at the lower edge."""
        high = self.height * self.rng.uniform(0.03, 0.09)
        axes = (self.width * 0.62, high)
        mask = self._ellipse((self.width / 2, self.height), axes)
        self._paint(mask, self._grey(0.1, 0.3) + self._noise(40) * 0.02, VOID)

    # How it looks in the picture

    def _photograph(self) -> tuple[NDArray[np.uint8], LabelMap]:
        """Apply shadows of clouds, light, tint, lens and sensor."""
        columns = np.linspace(-1, 1, self.width, dtype=np.float32)
        slope = 1 + self.rng.uniform(-0.25, 0.25) * columns[None, :, None]
        shade = self._noise(70)[..., 0] > self.rng.uniform(0.2, 1.5)
        shade = 1 - 0.35 * (shade & (self.labels != SKY))
        shade = cv2.GaussianBlur(shade.astype(np.float32), (5, 5), 0)
        tint = self.rng.uniform(0.85, 1.15, 3).astype(np.float32)
        gain = np.float32(self.rng.uniform(0.6, 1.2))
        image = self.image * slope * shade[..., None] * tint * gain
        small = cv2.resize(
            image, self.size[::-1], interpolation=cv2.INTER_AREA
        )
        grain = self.rng.standard_normal(small.shape, np.float32)
        small = small + grain * self.rng.uniform(0.01, 0.03)
        small = np.clip(small, 0, 1) ** self.rng.uniform(0.75, 1.3)
        return np.round(small * 255).astype(np.uint8), self.labels[::2, ::2]
