"""Open a folder of images for a trained network, and one for results."""

from __future__ import annotations

import argparse
import copy
import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from mmcv import Config
from mmseg.datasets import CustomDataset

import segal.datasets
import segal.models  # noqa: F401  (fills the registries)
from segal import compat
from segal.active.dataset.listing import check, listing
from segal.active.dataset.orientation import look_at_orientations
from segal.active.dataset.pool import Pool, open_pool
from segal.active.dataset.scan import LOOKS
from segal.config.kinds import Channels, accepts
from segal.config.shapes import find
from segal.distributed.launching import own_device
from segal.distributed.stopping import StoppedError, listening
from segal.errors import ConfigError, DataError, StateError
from segal.experiment.image_summary import doubtful_bands, show
from segal.experiment.trained import Trained, load_trained, test_pipeline_of
from segal.openmmlab.built import building
from segal.preflight.images import enter_alike


def run_command(
    run: Callable[[argparse.Namespace], None],
    args: argparse.Namespace,
    left: str,
) -> int:
    """Run a command on a folder of images; return its exit code.

    Args:
        run: The command.
        args: Its arguments, ``batch`` and ``debug`` among them.
        left: What a command that is stopped leaves, in words.
    """
    compat.apply()
    warnings.filterwarnings('ignore', message='When align_corners=True')
    try:
        with listening():
            run(args)
    except torch.OutOfMemoryError as error:
        if args.debug:
            raise
        sys.stderr.write(
            f'\nError: the GPU is full ({str(error).splitlines()[0]}); lower '
            f"--batch (now {args.batch}), or set model.test_cfg.mode='slide'\n"
        )
        return 1
    except StoppedError as error:
        sys.stderr.write(f'\nstopped; {left}\n')
        return error.exit_code
    return 0


def open_trained(
    cfg: Config, checkpoint: Path, folder: Path
) -> tuple[Trained, Pool, list[str]]:
    """Open a network and a folder of images.

    Args:
        cfg: Of SegAL or of mmseg, changed in place; its data need not exist.
        checkpoint: Its weights.
        folder: Images are searched in subfolders, too.

    Returns:
        The network, the images, and notes on what was left out or translated.

    Raises:
        ConfigError: The config has no test pipeline, or does not fit the
            images.
        DataError: No images, or some that cannot be decoded.
        StateError: The checkpoint cannot be read, or does not fit.
    """
    pipeline, notes = test_pipeline_of(cfg)
    if not pipeline:
        raise ConfigError(
            'data.query.pipeline: wanted a test pipeline there, in data.test, '
            'in data.val or as test_pipeline; got none'
        )
    device = own_device()
    plain = copy.deepcopy(cfg)
    trained = load_trained(cfg, checkpoint, device)
    pool = open_folder(
        folder,
        pipeline,
        trained,
        notes,
        suffixes(plain, 'img_suffix'),
        suffixes(plain, 'seg_map_suffix'),
    )
    problems = show(pool, _channels(plain), notes)
    notes += doubtful_bands(pool)
    enter_alike(pool, problems)
    if problems:
        raise ConfigError(problems)
    return trained, pool, notes


def _channels(cfg: Config) -> Any:
    """Read which channels a config shows as R, G and B; None where unsaid."""
    found = find(cfg, 'active_learning.visualize.channels')[1]
    return found if accepts(Channels, found) else None


def suffixes(cfg: Config, key: str) -> tuple[str, ...]:
    """Read a config's ``img_suffix`` or ``seg_map_suffix``; empty if unset."""
    data = cfg.get('data')
    for name in ('query', 'test', 'val', 'train'):
        section = data.get(name) if isinstance(data, Mapping) else None
        found = section.get(key) if isinstance(section, Mapping) else 0
        several = found if isinstance(found, list | tuple) else (found,)
        if all(isinstance(x, str) and x for x in several):
            return tuple(several)
    return ()


def _cases(suffix: str) -> tuple[str, str, str]:
    return suffix, suffix.upper(), f'.{suffix[1:].capitalize()}'


def check_out(out: Path, folder: Path) -> None:
    """Check that a command may write into a folder, and make it.

    Raises:
        StateError: ``out`` is a file, is not empty, lies in the folder of the
            images, or cannot be made.
    """
    if out.resolve().is_relative_to(folder.resolve()):
        raise StateError(
            f'--out: wanted a folder outside {folder}, since what is written '
            f'would be among its images the next time; got {out}'
        )
    try:
        out.mkdir(parents=True, exist_ok=True)
        held = sorted(path.name for path in out.iterdir())
    except FileExistsError as error:
        raise StateError(
            f'--out: wanted a folder, or a name for one, got a file ({out}); '
            'name another'
        ) from error
    except OSError as error:
        raise StateError(
            f'--out: {out} cannot be made ({error.strerror or error}); name '
            'another'
        ) from error
    if held:
        raise StateError(
            f'--out: wanted an empty or new folder, got {out} with '
            f'{held[0]!r} in it; name another'
        )


def path_of(pool: Pool, name: str) -> str:
    """Return the path of an image, relative to its folder."""
    infos = pool.dataset.img_infos
    return Path(infos[pool.position[name]]['filename']).as_posix()


def open_folder(
    folder: Path,
    pipeline: Any,
    trained: Trained,
    notes: list[str],
    more: Sequence[str] = (),
    maps: Sequence[str] = (),
) -> Pool:
    """Open the images of a folder as a pool without annotations.

    Subfolders are searched, and hidden files left out. ``more`` are further
    suffixes of images; ``maps`` are those of annotations, which may lie beside
    the images. Files that are left out or turned by EXIF are added to
    ``notes``.

    Raises:
        ConfigError: The pipeline cannot be built.
        DataError: No folder, no images, or some that cannot be decoded.
    """
    if not folder.is_dir():
        raise DataError(
            f'{folder}: wanted a folder of images, got '
            f'{"a file" if folder.exists() else "nothing there"} (seen from '
            f'{Path.cwd()}); correct the path'
        )
    where = str(folder.absolute())
    with listing() as listed, building('data.query.pipeline', pipeline):
        dataset = CustomDataset(
            pipeline,
            img_dir=where,
            data_root=where,  # no draw depends on the folder's place
            img_suffix=(*(x for y in LOOKS for x in _cases(y)), *more),
            seg_map_suffix=tuple(maps) or '.png',
            classes=trained.classes,
            palette=trained.palette,
            test_mode=True,
        )
    check(listed)
    if not len(dataset):
        raise DataError(
            f'{folder}: wanted images ({", ".join((*LOOKS, *more))}) in it or '
            'its subfolders, got none; correct the path'
        )
    seen = look_at_orientations(dataset, str(folder))
    notes += listed.notes + seen.notes
    return open_pool(dataset, key=str(folder))
