"""Read ``work_dir/pool.json``: images, classes and colours for tools."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from segal.active.images.file import Loader, decode
from segal.active.images.view import ImageView, content_of
from segal.errors import DataError, StateError
from segal.structures import PoolImage

if TYPE_CHECKING:
    from segal.active.label_store.store import LabelStore


def is_begun(work_dir: Path) -> bool:
    """Tell whether labels were bought, or people were asked for some."""
    return any((work_dir / x).exists() for x in ('labels', 'annotation'))


@dataclass
class PoolFile:
    """The content of ``pool.json``.

    Attributes:
        images: In the pool's order.
        files: Image name -> path.
        classes: Names of the C classes.
        palette: uint8 (C, 3), RGB; grey where the data set has no colour.
        loader: How the run read the images.
        view: How the images become 8-bit RGB.
    """

    images: list[PoolImage]
    files: dict[str, Path]
    classes: list[str]
    palette: NDArray[np.uint8]
    loader: Loader = field(default_factory=Loader)
    view: ImageView = field(default_factory=ImageView)

    def read(self, name: str) -> NDArray[np.uint8]:
        """Read an image, uint8 (H, W, 3) RGB.

        Raises:
            DataError: The image cannot be read.
        """
        path = self.files[name]
        size = next(one.size for one in self.images if one.name == name)
        try:
            image = decode(path, size, self.loader)
            content = content_of(image, str(path))
        except (OSError, ValueError, DataError) as error:
            raise DataError(
                f'{path}: wanted the image {name!r}, got {error}; '
                'put it back, or leave the pictures out with --images 0'
            ) from error
        if image.shape[:2] != size:
            raise DataError(
                f'{path}: wanted {size[0]}x{size[1]} pixels, as '
                f'when the experiment began, got {image.shape[0]}x'
                f'{image.shape[1]}; put the image back, or leave the '
                'pictures out with --images 0'
            )
        view = self.view
        if self.loader.own:  # whose numbers may be others than the file's
            view = replace(view, ranges={})
            if view.channels and max(view.channels) >= content.channels:
                view = replace(view, channels=None)
        return view.rgb(image, content)


def read_pool(work_dir: Path) -> PoolFile:
    """Read ``work_dir/pool.json``.

    Raises:
        StateError: The file is missing or cannot be parsed.
    """
    path = work_dir / 'pool.json'
    if not path.is_file():
        raise StateError(
            f'{path}: wanted the work_dir of an experiment, which has this '
            'file; got a folder without it'
            if work_dir.is_dir()
            else f'{work_dir}: wanted the work_dir of an experiment; there is '
            'no such folder'
        )
    try:
        content = json.loads(path.read_text())
        rows = content['images']
        classes = list(content['classes'])
        palette = np.asarray(content['palette'], np.uint8).reshape(-1, 3)
        grey = np.full((max(0, len(classes) - len(palette)), 3), 153, np.uint8)
        return PoolFile(
            [
                PoolImage(row['name'], (row['size'][0], row['size'][1]))
                for row in rows
            ],
            {row['name']: Path(row['file']) for row in rows},
            classes,
            np.concatenate([palette, grey]),
            Loader(**content.get('loader', {})),
            ImageView.from_json(content.get('view') or ImageView().as_json()),
        )
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise StateError(
            f'{path}: wanted images, classes and palette, got a file that '
            f'cannot be read as that ({type(error).__name__}: {error}); the '
            'next start of the experiment writes it anew'
        ) from error


def open_store(work_dir: Path, pool: PoolFile) -> LabelStore:
    """Open the label store of a work_dir, whatever its experiment.

    Raises:
        StateError: The label files are missing or damaged.
    """
    from segal.active.label_store.folder import LabelFolder
    from segal.active.label_store.store import LabelStore

    store = LabelStore(work_dir / 'labels', pool.images)
    if not store.rounds:
        first = LabelFolder(store.folder).file(0)
        raise StateError(
            f'{first}: wanted the first label file, got none; nothing was '
            'bought here yet'
        )
    return store
