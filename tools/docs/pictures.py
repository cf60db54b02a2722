"""Draw what each strategy scores and picks, all on one image.

Usage: python tools/docs/pictures.py [--only NAME ...] [--work-dir DIR]

Trains three rounds of the quickstart (about two minutes on two CPU cores) if
DIR does not hold them, then queries twelve of its validation scenes by each
registered strategy, and writes docs/strategies/images/.
"""

from __future__ import annotations

import argparse
import io
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))
sys.path.insert(0, str(Path(__file__).parent))

from pages import OUT, Strategy, strategies

from segal import compat
from segal.config import load_config
from segal.query_folder.parts import Request
from segal.query_folder.query import Query, query_folder
from segal.structures import Budget

CONFIG = ROOT / 'experiments/quickstart/quickstart.py'
IMAGES, SHOWN, PICKS = 12, 4, 20
"""Scenes that are queried, of which one is shown, and picks in an image."""


def train(folder: Path) -> None:
    """Train three rounds of the quickstart, unless they are there."""
    if (folder / 'round_002/final.pth').exists():
        return
    data = f'{folder.absolute()}_scenes'
    command = [sys.executable, '-m', 'segal.train_active_learning']
    command += [str(CONFIG), '--work-dir', str(folder), '--cfg-options']
    command += ['runner.sample_rounds=3', 'active_learning.visualize=None']
    command += [
        f'data.{part}.data_root={data}'
        for part in ('train', 'query', 'val', 'test')
    ]
    subprocess.run(command, check=True, cwd=ROOT)


def scenes(folder: Path) -> Path:
    """Copy the scenes that are queried to a folder of their own."""
    source = Path(f'{folder.absolute()}_scenes/images/val')
    goal = Path(f'{folder.absolute()}_asked')
    if not goal.exists():
        goal.mkdir()
        for path in sorted(source.iterdir())[:IMAGES]:
            shutil.copy(path, goal)
    return goal


class Asker:
    """Asks the trained network about the scenes.

    Args:
        folder: Of the three rounds.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.images = scenes(folder)

    def __call__(self, budget: Budget, unit: str, **parts: Any) -> Query:
        """Make one query."""
        committee: tuple[Path, ...] = ()
        if "'committee'" in str(parts.get('heuristic')):
            committee = tuple(
                self.folder / f'round_{i:03d}/final.pth' for i in (0, 1)
            )
        cfg = load_config(str(CONFIG))
        request = Request(
            budget, unit, committee=committee, workers=0, **parts
        )
        return query_folder(
            cfg, self.folder / 'round_002/final.pth', self.images, request
        )


class Panels:
    """One row, or two, of small pictures.

    Args:
        count: How many.
        rows: In how many rows.
        size: Of a picture, (height, width) in pixels.
        colours: Of the PNG: a few of them keep it small.
    """

    def __init__(
        self,
        count: int,
        rows: int = 1,
        size: tuple[int, int] = (144, 192),
        colours: int = 128,
    ) -> None:
        self.colours = colours
        columns = -(-count // rows)
        height, width = (size[0] + 22) * rows, (size[1] + 6) * columns
        self.figure = Figure((width / 100, height / 100), dpi=100)
        self.axes: list[Axes] = []
        for i in range(count):
            row, column = divmod(i, columns)
            left = (column * (size[1] + 6) + 3) / width
            bottom = 1 - ((row + 1) * (size[0] + 22) - 2) / height
            self.axes.append(
                self.figure.add_axes(
                    (left, bottom, size[1] / width, size[0] / height)
                )
            )

    def show(self, position: int, image: Any, title: str, **how: Any) -> Axes:
        """Draw an image, and return its axes."""
        axes = self.axes[position]
        axes.imshow(image, interpolation='nearest', **how)
        axes.set(xticks=[], yticks=[])
        axes.set_title(title, fontsize=9, pad=3)
        return axes

    def save(self, path: Path) -> None:
        """Write a PNG of few colours."""
        path.parent.mkdir(parents=True, exist_ok=True)
        buffer = io.BytesIO()
        self.figure.savefig(buffer, format='png')
        plain = Image.open(buffer).convert('RGB')
        few = plain.quantize(self.colours, dither=Image.Dither.NONE)
        few.save(path, optimize=True)


def mark(
    axes: Axes, places: Iterable[int], size: tuple[int, int], colour: str
) -> None:
    """Draw picks as dots with a rim."""
    rows, columns = np.divmod(np.fromiter(places, int), size[1])
    axes.scatter(columns, rows, 16, colour, edgecolors='black', linewidths=0.6)
    axes.set(xlim=(-0.5, size[1] - 0.5), ylim=(size[0] - 0.5, -0.5))


class Picture:
    """Draws strategies on the same image.

    Args:
        ask: Makes queries.
    """

    def __init__(self, ask: Asker) -> None:
        self.ask = ask
        self.margin = ask(Budget(PICKS, True), 'pixel', heuristic='margin')
        self.pool = self.margin.pool
        self.names = [image.name for image in self.pool]
        self.name = self.names[SHOWN]

    def image(self, name: str) -> NDArray[np.uint8]:
        """The scene, uint8 (H, W, 3)."""
        return self.pool.read_image(name)

    def faded(self, name: str) -> NDArray[np.uint8]:
        """The scene in grey, so that picks stand out."""
        grey = self.image(name).mean(axis=2, keepdims=True)
        return (grey * 0.6 + 90).clip(0, 255).repeat(3, 2).astype(np.uint8)

    def beginning(self, panels: Panels, score: Any, title: str) -> None:
        """Draw image, prediction and score."""
        palette = np.asarray(self.pool.dataset.PALETTE, np.uint8)
        panels.show(0, self.image(self.name), 'image')
        classes = palette[self.margin.maps.get(self.name)]
        panels.show(1, classes, 'prediction')
        low, high = np.quantile(score, (0.01, 0.99))
        panels.show(2, score, title, cmap='magma', vmin=low, vmax=high)

    def picks(
        self, panels: Panels, position: int, query: Query, title: str
    ) -> None:
        """Draw the picks of a query in the image."""
        axes = panels.show(position, self.faded(self.name), title)
        places = query.selection.places.get(self.name, ())
        mark(axes, places, self.pool[SHOWN].size, '#ffb000')

    def heuristic(self, strategy: Strategy) -> Panels:
        """Draw its score, its best pixels, and a draw from its top."""
        write = strategy.facts.get('write', {})
        part = dict(type=strategy.name, **write)
        best = self.ask(Budget(PICKS, True), 'pixel', heuristic=part)
        drawn = self.ask(
            Budget(PICKS, True), 'pixel', heuristic=part, top_percent=5
        )
        score = best.scores([self.name])[self.name]
        panels = Panels(5)
        self.beginning(panels, score, 'score, bright: high')
        self.picks(panels, 3, best, f'its best {PICKS} pixels')
        self.picks(panels, 4, drawn, f'{PICKS} drawn from its top 5 %')
        return panels

    def selector(self, strategy: Strategy) -> Panels:
        """Draw what it picks by the margin."""
        unit = strategy.cls.unit
        part = dict(type=strategy.name, **strategy.facts.get('write', {}))
        how: dict[str, Any] = dict(selector=part, heuristic='margin')
        if {'embedding', 'features'} & {*strategy.cls.needs}:
            how['features'] = 'Segmentor'
        if strategy.family == 'regions' or 'Regions' in strategy.name:
            return self.regions(strategy, how)
        if unit == 'image':
            if strategy.name == 'ScorePerCost':
                part |= dict(pixels=4 * PICKS, first_pixels=PICKS)
            return self.sheet(self.ask(Budget(4, False), 'image', **how))
        if strategy.cls.evenly is False:
            return self.strip(
                self.ask(Budget(PICKS * IMAGES, False), 'pixel', **how)
            )
        query = self.ask(Budget(PICKS, True), 'pixel', **how)
        score = self.margin.scores([self.name])[self.name]
        panels = Panels(4)
        self.beginning(panels, score, 'score of Margin')
        self.picks(panels, 3, query, f'{PICKS} picks')
        return panels

    def strip(self, query: Query) -> Panels:
        """Draw picks over the pool in four of its images."""
        first = [SHOWN, *(i for i in range(IMAGES) if i != SHOWN)][:4]
        panels = Panels(4, colours=40)
        for position, i in enumerate(first):
            name = self.names[i]
            places = query.selection.places.get(name, ())
            axes = panels.show(
                position, self.faded(name), f'{len(places)} picks'
            )
            mark(axes, places, self.pool[i].size, '#ffb000')
        return panels

    def sheet(self, query: Query) -> Panels:
        """Draw the pool, and frame the images that were picked."""
        panels = Panels(IMAGES, 2, (96, 128), 24)
        means = self.margin.means
        for i, name in enumerate(self.names):
            picked = name in query.selection.places
            shown = self.image(name) if picked else self.faded(name)
            title = f'{"picked, " if picked else ""}mean {means[i]:.2f}'
            axes = panels.show(i, shown, title)
            for spine in axes.spines.values():
                spine.set(color='#ffb000' if picked else 'grey')
                spine.set_linewidth(4 if picked else 0.5)
        return panels

    def regions(self, strategy: Strategy, how: dict[str, Any]) -> Panels:
        """Draw the regions that are picked."""
        shape: dict[str, Any] = dict(type='Squares', radius=3)
        if strategy.family == 'regions':
            write = strategy.facts.get('write', {})
            shape, how = dict(type=strategy.name, **write), dict(how)
            how['selector'] = None
        query = self.ask(
            Budget(10 * IMAGES, False)
            if strategy.name == 'RegionsGlobal'
            else Budget(10, True),
            'region',
            shape=shape,
            **how,
        )
        score = self.margin.scores([self.name])[self.name]
        panels = Panels(4)
        self.beginning(panels, score, 'score of Margin')
        shown = self.faded(self.name)
        places = query.selection.places.get(self.name, ())
        flat = shown.reshape(-1, 3)
        flat[places] = self.image(self.name).reshape(-1, 3)[places]
        count = query.selection.count(self.name) if len(places) else 0
        axes = panels.show(3, shown, f'{count} regions')
        size = self.pool[SHOWN].size
        numbers = np.full(size[0] * size[1], -1)
        numbers[places] = query.selection.regions[self.name]
        for number in range(count):
            axes.contour(
                (numbers == number).reshape(size).astype(float),
                [0.5],
                colors='#ffb000',
                linewidths=1,
            )
        return panels

    def draw(self, strategy: Strategy) -> Panels:
        """Draw one strategy."""
        if strategy.family == 'heuristics':
            return self.heuristic(strategy)
        if strategy.family == 'regions':
            return self.regions(strategy, dict(heuristic='margin'))
        return self.selector(strategy)


def main(arguments: list[str] | None = None) -> int:
    """Draw all strategies, or some."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--only', nargs='+', metavar='NAME')
    parser.add_argument(
        '--work-dir', type=Path, default=ROOT / 'work_dirs/docs'
    )
    parser.add_argument('--out', type=Path, default=OUT)
    args = parser.parse_args(arguments)
    mpl.use('Agg')
    compat.apply()
    train(args.work_dir)
    picture = Picture(Asker(args.work_dir))
    for strategy in strategies():
        if args.only is None or strategy.name in args.only:
            path = args.out / strategy.picture
            picture.draw(strategy).save(path)
            print(f'{path.stat().st_size:7,} bytes  {path}', flush=True)
            plt.close('all')
    return 0


if __name__ == '__main__':
    sys.exit(main())
