"""Claim a work_dir for one experiment, and write its first files."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import numpy as np
from mmcv import Config
from mmcv.utils import get_logger
from numpy.typing import NDArray

from segal import terminal
from segal.active.dataset.pool import SIZE_CACHE, Pool
from segal.active.images.file import loader_of
from segal.active.label_store.pool_file import is_begun, read_pool
from segal.config import dump_config
from segal.config.fingerprint import check_same_experiment
from segal.config.shapes import is_level
from segal.distributed import ranks
from segal.errors import StateError
from segal.files import replace_file, replace_json
from segal.rounds import read_rounds


def open_log(
    cfg: Config,
    work_dir: Path,
    dry_run: bool,
) -> logging.Logger:
    """Open mmseg's logger on a file of the work_dir."""
    file = None
    if not dry_run:
        try:
            work_dir.mkdir(parents=True, exist_ok=True)
        except (FileExistsError, NotADirectoryError) as error:
            raise StateError(
                f'--work-dir {work_dir}: wanted a folder, or a name for one, '
                f'got a file ({error.filename}); name another'
            ) from error
        file = str(work_dir / time.strftime('%Y%m%d_%H%M%S.log'))
    level = cfg.get('log_level', 'INFO')
    # mmseg's own logger; appending, since others may write into the file
    return get_logger('mmseg', file, level if is_level(level) else 'INFO', 'a')


def claim(cfg: Config, work_dir: Path, resume: bool | None) -> None:
    """Claim the work_dir, or check that this experiment owns it.

    Raises:
        StateError: It holds another experiment, or something although a new
            one was asked for, or nothing although an old one was.
    """
    path = work_dir / 'config.json'
    if path.exists():
        if resume is False and (
            (work_dir / 'labels').exists() or read_rounds(work_dir)
        ):
            raise StateError(
                f'{work_dir}: wanted an empty work_dir (--no-resume), got '
                'one that holds an experiment; name another with --work-dir, '
                'or move this one away'
            )
        check_same_experiment(work_dir, cfg)
    elif (work_dir / 'labels').exists():
        raise StateError(
            f'{work_dir}: holds labels, but no config.json that says of '
            'which experiment; restore it, or name another folder with '
            '--work-dir'
        )
    elif resume:
        raise StateError(
            f'{work_dir}: wanted an experiment to go on with (--resume), got '
            'none there; correct --work-dir, or leave --resume out'
        )
    read_rounds(work_dir)  # raises for a damaged file, before any write
    replace_file(path, dump_config(cfg))
    replace_file(work_dir / 'config.py', cfg.pretty_text)


def check_pool(pool: Pool, classes: Sequence[str], work_dir: Path) -> None:
    """Check that images and classes are those that answers belong to.

    Answers are kept as numbers of classes and places in images.

    Args:
        pool: The images.
        classes: Names of the C classes.
        work_dir: The experiment's folder; where its ``pool.json`` is missing
            or hurt, the label files say the same of images with a
            fingerprint.

    Raises:
        StateError: They are not; images that came, went and changed are
            named.
    """
    if not is_begun(work_dir):
        return
    try:
        known = read_pool(work_dir)
    except StateError:
        return
    if known.classes != list(classes):
        raise StateError(
            f'{pool.key}: wanted the classes that {work_dir} was begun with, '
            f'{known.classes}, got {list(classes)}; answers are kept as '
            'their numbers: put names and order back, or begin in another '
            'folder'
        )
    before = {one.name: one.size for one in known.images}
    now = {image.name: tuple(image.size) for image in pool}
    other = {x for x in now if x in before and tuple(before[x]) != now[x]}
    changed = [name for name in pool.changed if name not in other]
    kinds = {
        'new': [name for name in now if name not in before],
        'gone': [name for name in before if name not in now],
        'of another size': sorted(other),
        'with another file': changed,
    }
    if not any(kinds.values()) and list(before) != list(now):
        kinds['in another order'] = list(now)
    said = [
        f'{len(names)} {kind} ({", ".join(names[:3])}'
        + (', ...)' if len(names) > 3 else ')')
        for kind, names in kinds.items()
        if names
    ]
    if said:
        raise StateError(
            f'{pool.key}: wanted the pool of {len(before)} images that '
            f'{work_dir} was begun with, got another: {"; ".join(said)}; put '
            'the images back as they were, or begin in another folder'
            + f' (same pictures, saved anew: delete {work_dir / SIZE_CACHE})'
            * bool(changed)
        )


def describe(
    pool: Pool,
    classes: Sequence[str],
    palette: NDArray[np.uint8],
    work_dir: Path,
) -> None:
    """Write ``pool.json``, which tools read in place of the pool.

    Args:
        pool: The images.
        classes: Names of the C classes.
        palette: uint8 (C, 3), RGB.
        work_dir: The folder to write into.
    """
    replace_json(
        work_dir / 'pool.json',
        dict(
            images=[
                dict(
                    name=image.name,
                    size=list(image.size),
                    file=str(Path(pool.file(image.name)).absolute()),
                )
                for image in pool
            ],
            classes=list(classes),
            palette=palette.tolist(),
            loader=asdict(loader_of(pool.loading_steps)),
            view=pool.view.as_json(),
        ),
    )


@contextmanager
def on_terminal(title: str, logger: logging.Logger) -> Iterator[None]:
    """Draw the run, where rank 0 has a terminal; other ranks keep quiet."""
    log = None
    if ranks.is_main() and terminal.can_draw():
        log = next(
            handler.baseFilename
            for handler in logger.handlers
            if isinstance(handler, logging.FileHandler)
        )
    log = ranks.broadcast(log)
    if log is None:
        yield
    elif ranks.is_main():
        with terminal.drawn(title, log, logger):
            yield
    else:
        terminal.hush(log)
        yield
