"""Predict the masks of a folder of images, and write them."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmcv import Config
from numpy.typing import NDArray
from PIL import Image

from segal.active.dataset.pool import Pool, read_sizes
from segal.active.images.view import PLAIN, Content
from segal.active.scoring import Scorer
from segal.config.load import load_config
from segal.errors import StateError, short
from segal.experiment.trained import Trained, differing_step
from segal.files import png_names, replace_file, whole_file
from segal.query_folder.folder import path_of
from segal.visualization.marks import Marks
from segal.visualization.pictures import Scene, overlay
from segal.visualization.scenes import save, slug
from segal.visualization.table import aligned


@dataclass(frozen=True)
class Predicted:
    """What was predicted of an image.

    Attributes:
        name: Of the image in the pool.
        image: Its path, relative to the folder of images.
        mask: The path of its mask, relative to the output.
        confidence: Mean probability of the predicted classes, 0 to 1.
        shares: float64 (C,), the share of pixels of each class.
    """

    name: str
    image: str
    mask: str
    confidence: float
    shares: NDArray[np.float64]


def check_unchanged(cfg: Config, config: Path, work_dir: Path) -> None:
    """Check that a config shows images as the run's network learned them.

    Args:
        cfg: As loaded.
        config: Its path, for the error.
        work_dir: Of the run.

    Raises:
        StateError: Its query pipeline was edited since.
    """
    begun = work_dir / 'config.py'
    if not begun.is_file():
        return
    steps = differing_step(load_config(str(begun)), cfg)
    if steps is not None:
        raise StateError(
            f'{config}: wanted the query pipeline that {work_dir} was trained '
            f'with, got {short(steps[1])} in place of {short(steps[0])}; take '
            f'the change back, or name {work_dir} in place of the config'
        )


def other_kinds(pool: Pool, work_dir: Path) -> list[str]:
    """Note images of other types, channels or bits than a run learned from.

    Args:
        pool: The images.
        work_dir: Of the run.
    """
    known = {Content(*row[-3:]) for row in read_sizes(work_dir).values()}
    kinds = [pool.contents.get(image.name, PLAIN) for image in pool]
    learned = ' or '.join(sorted({one.words for one in known}))
    return [
        f'{kinds.count(kind)} images are {kind.words}'
        + ' of files with more bits' * kind.stretched
        + f'; {work_dir} learned from images of {learned}: their values '
        'enter the network on another scale'
        for kind in sorted(set(kinds) - known)
        if known
    ]


def predict_folder(
    trained: Trained, pool: Pool, out: Path, workers: int, batch: int
) -> list[Predicted]:
    """Predict the class of each pixel, and write a mask for each image.

    A mask is a PNG of the image's size, of class ids, in the colours of the
    classes. It is below ``out / 'masks'`` where the image is below its folder.

    Args:
        trained: The network.
        pool: The images.
        out: Folder of the output.
        workers: Loader processes.
        batch: Images of one size in a forward pass.

    Returns:
        One entry for each image, the least confident first.

    Raises:
        StateError: A mask cannot be written.
    """
    names = png_names([path_of(pool, image.name) for image in pool])
    masks = {image: f'masks/{name}' for image, name in names.items()}
    colours = np.asarray(pool.dataset.PALETTE, np.uint8)
    scorer = Scorer(pool, 0, batch, workers)
    found = []
    for prediction in scorer.predictions(
        pool.images, trained.wrapper, 'masks', ('probs',)
    ):
        probs = prediction.probs
        assert probs is not None
        classes = trained.wrapper.classes(probs[None])[0]  # (H, W)
        sure = probs.gather(0, classes[None]).mean(dtype=torch.float64)
        ids = classes.cpu().numpy()
        image = path_of(pool, prediction.name)
        _write_mask(ids, colours, out / masks[image])
        counts = np.bincount(ids.ravel(), minlength=len(trained.classes))
        found.append(
            Predicted(
                prediction.name,
                image,
                masks[image],
                float(sure),
                counts / ids.size,
            )
        )
    return sorted(found, key=lambda one: (one.confidence, one.image))


def _write_mask(
    ids: NDArray[np.int64], colours: NDArray[np.uint8], path: Path
) -> None:
    """Write class ids, (H, W), as a PNG of 8 bits; of 16 above 256 classes."""
    if len(colours) > 256:
        picture = Image.fromarray(ids.astype(np.uint16))
    else:
        picture = Image.fromarray(ids.astype(np.uint8))
        picture.putpalette(colours.tobytes())
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StateError(
            f'{path.parent}: cannot be made ({error.strerror or error})'
        ) from error
    with whole_file(path) as file:
        picture.save(file, 'png')


def draw(
    found: Sequence[Predicted],
    trained: Trained,
    pool: Pool,
    out: Path,
    count: int,
) -> None:
    """Draw the first images under their masks, into ``out / 'pictures'``."""
    if len(trained.classes) > 256 or not count:
        return
    folder = out / 'pictures'
    folder.mkdir(exist_ok=True)
    none = np.empty(0, np.uint8)
    for number, one in enumerate(found[:count]):
        scene = Scene(
            one.image,
            pool.read_image(one.name),
            Marks(none.astype(np.int64), none, none, none.astype(bool)),
            trained.classes,
            np.asarray(pool.dataset.PALETTE, np.uint8),
            f'confidence {one.confidence:.3f}',
            label_map=np.asarray(Image.open(out / one.mask)),
            words=(),
        )
        save(overlay(scene), folder / f'{number:02d}_{slug(one.image)}.png')


def write_table(
    found: Sequence[Predicted], trained: Trained, out: Path
) -> None:
    """Write ``images.csv``, and the names of the classes.

    Raises:
        StateError: It cannot be written.
    """
    text = io.StringIO()
    rows = csv.writer(text, lineterminator='\n')
    heads = ['image', 'mask', 'confidence']
    for name in trained.classes:
        while name in heads:  # a class may be called 'mask'
            name += '_'
        heads.append(name)
    rows.writerow(heads)
    rows.writerows(
        [
            one.image,
            one.mask,
            f'{one.confidence:.4f}',
            *(f'{share:.4f}' for share in one.shares),
        ]
        for one in found
    )
    replace_file(out / 'images.csv', text.getvalue())
    replace_file(
        out / 'classes.txt', ''.join(f'{name}\n' for name in trained.classes)
    )


def describe(
    found: Sequence[Predicted], trained: Trained, seconds: float
) -> Iterator[str]:
    """Write the summary as lines of text."""
    each, device = seconds / len(found), trained.wrapper.device
    sure, least = np.mean([one.confidence for one in found]), found[0]
    yield f'{len(found):,} images, {each:.3f} s each on {device}'
    yield (
        f'confidence {sure:.3f} on average, {least.confidence:.3f} in '
        f'{least.image}'
    )
    yield ''
    pixels = np.mean([one.shares for one in found], axis=0)
    seen = np.count_nonzero([one.shares > 0 for one in found], axis=0)
    rows: list[Any] = [('id', 'class', 'pixels', 'images')]
    rows += [
        (str(i), name, f'{pixels[i]:.2%}', f'{seen[i]:,}')
        for i, name in enumerate(trained.classes)
    ]
    yield from aligned(rows, 2)
