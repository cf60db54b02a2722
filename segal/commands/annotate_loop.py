"""Serve and train in turn; make a validation set first where none is."""

from __future__ import annotations

import argparse
import os
import os.path as osp
import shutil
import threading
from pathlib import Path
from typing import Any

import numpy as np
from mmcv import Config, ConfigDict

from segal import compat
from segal.active.dataset.listing import build_listed
from segal.active.dataset.orientation import look_at_orientations
from segal.active.dataset.pool import open_pool
from segal.annotation.asked import Asked, asked_now
from segal.annotation.folder import NAME, AnnotationFolder
from segal.annotation.human_oracle import SERVED
from segal.annotation.request import digest
from segal.annotation.server import Server, serve
from segal.annotation.val import FEW, draw_points, write_masks
from segal.commands.annotate_serve import address, say_where
from segal.commands.sweep import run_command
from segal.commands.train import command_of
from segal.config.load import load_config, work_dir_of
from segal.errors import AnswersWanted, ConfigError, DataError, short
from segal.experiment.work_dir import check_pool, describe

LOOK_SECONDS = 1.0
LAST_SECONDS = 5.0
"""That the page has to learn that all is done."""

_PAUSE = threading.Event()
"""Never set; Ctrl+C ends a wait for it."""


def run_loop(args: argparse.Namespace) -> int:
    """Serve and train in turn until all rounds are done.

    Returns:
        The exit code of the last start of the run.
    """
    cfg = load_config(str(args.config), args.cfg_options)
    work_dir = args.work_dir or work_dir_of(cfg, args.config)
    options = ['--work-dir', str(work_dir)]
    if args.cfg_options:
        pairs = (f'{k}={v}' for k, v in args.cfg_options.items())
        options += ['--cfg-options', *pairs]
    command, environment = command_of(
        str(args.config), str(args.gpus), options, os.environ
    )
    environment[SERVED] = '1'
    out = annotations_of(cfg)
    if not out.exists() or _is_begun(out):
        code = _ask_val(args, cfg, out)
        if code:
            return code
        _keep_cookies(out, work_dir)
    with serve(work_dir, **address(args)) as server:
        say_where(server.urls)
        code = AnswersWanted.exit_code
        while code == AnswersWanted.exit_code:
            if not _wait(work_dir, server):
                return 130
            code = run_command(command, environment)
        server.status.done = code == 0
        if code == 0:
            _PAUSE.wait(LAST_SECONDS)
    return code


def run_val(args: argparse.Namespace) -> int:
    """Ask random pixels of ``data.val``, and write them as annotations."""
    cfg = load_config(str(args.config), args.cfg_options)
    return _ask_val(args, cfg, args.out or annotations_of(cfg))


def annotations_of(cfg: Config) -> Path:
    """Return the folder of ``data.val``'s annotations.

    Raises:
        ConfigError: None is named.
    """
    entry = cfg.data.get('val') or {}
    folder = entry.get('ann_dir') if isinstance(entry, dict) else entry
    if not isinstance(folder, str):
        raise ConfigError(
            'data.val.ann_dir: required, a folder for the annotations that '
            f'each round is evaluated on; got {short(folder)}'
        )
    return Path(osp.join(entry.get('data_root') or '', folder))


def _is_begun(out: Path) -> bool:
    """Tell whether a validation set is asked, and not yet written."""
    folder = AnnotationFolder(out)
    return folder.path.exists() and folder.pending() is not None


def _ask_val(args: argparse.Namespace, cfg: Config, out: Path) -> int:
    """Ask, wait for the answers, and write them.

    Returns:
        0, or 130 where the person ended it before all was answered.
    """
    folder = AnnotationFolder(out)
    if out.exists() and not folder.path.exists() and any(out.iterdir()):
        raise ConfigError(
            f'{out}: wanted a folder to make a validation set in, got one '
            'with files; name another, or move it away'
        )
    compat.apply()
    entry = ConfigDict(cfg.data.val).copy()
    dataset, _ = build_listed(entry, dict(test_mode=True))
    if dataset.reduce_zero_label:
        raise ConfigError(
            'data.val.reduce_zero_label: wanted False, since the answers are '
            'written as the ids of classes; got True'
        )
    _check_held_out(cfg, dataset)
    pool = open_pool(dataset, out, 'data.val')
    check_pool(pool, dataset.CLASSES, out)
    files = {
        image.name: info['ann']['seg_map']
        for image, info in zip(pool, dataset.img_infos, strict=True)
    }
    out.mkdir(parents=True, exist_ok=True)
    palette = np.asarray(dataset.PALETTE, np.uint8)
    describe(pool, dataset.CLASSES, palette, out)
    folder.write_options(order='image', seed=cfg.get('seed') or 0)
    if not folder.rounds():
        seed = cfg.get('seed') or 0
        paths = (Path(pool.file(image.name)) for image in pool)
        which = digest(dataset.CLASSES, paths)
        folder.freeze(0, draw_points(pool.images, args.points, seed, which))
    request = folder.request(0)
    stay = ''
    if round(len(request) / len(pool)) != args.points:
        stay = f' They were drawn before; --points {args.points} is ignored.'
    print(
        f'{len(request):,} random pixels of {len(pool)} held-out images '
        f'become the validation set {out}.{stay}',
        flush=True,
    )
    with serve(out, **address(args)) as server:
        args.port = server.port  # an open page finds the next server, too
        say_where(server.urls)
        if not _wait(out, server):
            return 130
    folder.close(0, 'segal annotate val')
    state = folder.state(request, len(dataset.CLASSES))
    upright = look_at_orientations(dataset, 'data.val').turns
    counts = write_masks(
        request, state, out, files, upright, dataset.ignore_index
    )
    folder.seal(0, '')
    print(f'{out}: {int(counts.sum()):,} answers with a class')
    few = [
        f'{name} {count}'
        for name, count in zip(dataset.CLASSES, counts.tolist(), strict=False)
        if count < FEW
    ]
    if few:
        print(
            f'Warning: fewer than {FEW} of {", ".join(few)}: the IoU of '
            'these is mostly noise; raise --points, and name another folder, '
            'for a firmer one'
        )
    return 0


def _check_held_out(cfg: Config, dataset: Any) -> None:
    """Check that no validation image is in the pool."""
    query, _ = build_listed(
        ConfigDict(cfg.data.query).copy(), dict(test_mode=True)
    )

    def paths(one: Any) -> set[str]:
        return {
            osp.realpath(osp.join(one.img_dir, info['filename']))
            for info in one.img_infos
        }

    both = sorted(paths(dataset) & paths(query))
    if both:
        raise DataError(
            f'data.val: wanted images that are not in data.query, got '
            f'{len(both)} that are, such as {both[0]}; hold some images out '
            'of the pool with split files'
        )


def _keep_cookies(before: Path, work_dir: Path) -> None:
    """Let a browser that answered for one folder into the next."""
    source = before / NAME / 'annotators.json'
    target = work_dir / NAME / 'annotators.json'
    if source.exists() and not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source, target)


def _wait(work_dir: Path, server: Server) -> bool:
    """Wait until what is asked is answered, or closed early.

    Returns:
        False where the person ended it with Ctrl+C.
    """
    folder = AnnotationFolder(work_dir)
    seen: tuple[int, int] | None = None
    asked: Asked | None = None
    try:
        while True:
            number = folder.pending()
            if number is None or folder.is_closing(number):
                return True
            journal = folder.file(number, 'jsonl')
            size = journal.stat().st_size if journal.exists() else 0
            if seen != (number, size):
                seen, asked = (number, size), asked_now(work_dir)
            if asked and asked.is_complete:
                return True
            _PAUSE.wait(LOOK_SECONDS)
    except KeyboardInterrupt:
        print('\nEvery answer is on disk; the same command goes on.')
        return False
