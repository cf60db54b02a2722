"""Log all rounds of an experiment to one Weights & Biases run."""

from __future__ import annotations

import json
import logging
import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from mmcv.runner import HOOKS, master_only
from mmcv.runner.hooks.logger import LoggerHook, WandbLoggerHook
from mmcv.utils import get_logger

from segal.errors import StateError
from segal.files import replace_json

if TYPE_CHECKING:
    from segal.runner.round_report import RoundReport

STATE_FILE = 'wandb_run.json'
"""File in the work_dir with the run's id and its number of points."""

_SKIPPED = ('time', 'data_time', 'eval_iter_num')
_BY_STEP = ('train/*', 'val/*', 'learning_rate*', 'momentum*')
_BY_ROUND = ('round/*', 'IoU/*', 'pictures/*')


@HOOKS.register_module()
class WandbLoggerHookWithVal(WandbLoggerHook):
    """Log training, validation, rounds and pictures to one W&B run.

    A hook lives for one round, the W&B run for the whole experiment. The id
    of the run is kept in the work_dir, and each round and restart continues
    the same run. The fields ``step`` (global iteration) and ``round`` are the
    axes of the curves: W&B's own step would drop some points.

    In an ordinary mmcv run, without rounds, this is mmcv's hook. Without an
    API key or a reachable server, the run is written offline to
    ``work_dir/wandb`` for ``wandb sync``. ``WANDB_MODE`` and
    ``init_kwargs=dict(mode=...)`` are obeyed.

    Args:
        args: As for mmcv's ``WandbLoggerHook``.
        pictures: How many pictures of images to log each round, beside the
            learning curve and the contact sheet.
        kwargs: As for mmcv's ``WandbLoggerHook``; ``with_step`` is ignored.
    """

    opened: ClassVar[dict[str, Path]] = {}
    """Id of each run that this process opened -> its work_dir."""

    def __init__(self, *args: Any, pictures: int = 4, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.pictures = pictures
        self._home: Path | None = None
        self._under_way = 0

    @master_only
    def before_run(self, runner: Any) -> None:
        """Open the experiment's W&B run, or continue the open one."""
        context = getattr(runner, 'context', None)
        if context is None:
            super().before_run(runner)
            return
        LoggerHook.before_run(self, runner)
        self._open(Path(context.work_dir))

    def after_train_iter(self, runner: Any) -> None:
        """Log as mmcv does; the runner has not counted this iteration yet."""
        self._under_way = 1
        super().after_train_iter(runner)
        self._under_way = 0

    @master_only
    def log(self, runner: Any) -> None:
        """Log the runner's buffer: training or validation values.

        The step is the number of finished iterations: mmcv's ``get_iter`` is
        one ahead after an epoch, and would log validation values at the step
        of the next training values.
        """
        if self._home is None:
            super().log(runner)
            return
        values = self.get_loggable_tags(runner, tags_to_skip=_SKIPPED)
        if values:
            context = runner.context
            here = runner.iter - getattr(context, 'first_iter', 0)
            step = context.step_offset + here + self._under_way
            self._write({**values, 'step': step})

    @master_only
    def after_round(self, runner: Any, report: RoundReport) -> None:
        """Log the round's row and a few of its pictures."""
        self._open(Path(report.work_dir))
        values = round_values(report.row)
        for path in _handful(report.pictures, self.pictures):
            image = self.wandb.Image(str(path), caption=path.stem)
            values[f'pictures/{path.stem}'] = image
        self._write({**values, 'step': report.step})

    @master_only
    def after_run(self, runner: Any) -> None:
        """Leave the run open for the next round."""
        if self._home is None:
            super().after_run(runner)

    @master_only
    def after_experiment(self, runner: Any = None) -> None:
        """Upload the logs as an artifact and finish the run."""
        if self._home is None or self.wandb.run is None:
            return
        if self.log_artifact:
            self._log_artifact(self._home)
        self.opened.pop(self.wandb.run.id, None)
        self.wandb.finish()

    def _open(self, work_dir: Path) -> None:
        """Continue the run of this work_dir, or begin a new one.

        A run that the user's own code has opened is used.
        """
        self._home = work_dir
        saved = _read_state(work_dir)
        kept = (self.init_kwargs or {}).get('id') or saved.get('id')
        run = self.wandb.run
        if run is not None:
            stranger = self.opened.get(run.id, work_dir) != work_dir
            if stranger or kept not in (None, run.id):
                self.wandb.finish()
                run = None
        if run is None:
            run = self._begin(
                {
                    'project': 'segal',
                    'name': work_dir.name,
                    'dir': str(work_dir),
                    'resume': 'allow',
                    **(self.init_kwargs or {}),
                    'id': kept or secrets.token_hex(4),
                }
            )
        if run.id not in self.opened:
            self.opened[run.id] = work_dir
            self._define_metrics()
            _write_state(work_dir, run.id, int(saved.get('logged', 0)))

    def _begin(self, options: dict[str, Any]) -> Any:
        """Begin a run; offline without an API key or a server."""
        logger = get_logger('segal', log_level=logging.INFO)
        offline = {**options, 'mode': 'offline'}
        folder = Path(options['dir']) / 'wandb'
        chosen = options.get('mode') or self.wandb.setup().settings.mode
        login = self.wandb.login
        if chosen == 'online' and not login(prompt=False, verify=False):
            logger.info(
                'W&B: no API key is configured; logging offline to %s '
                '(upload with `wandb sync`, or run `wandb login` first)',
                folder,
            )
            options = offline
        try:
            return self.wandb.init(**options)
        except self.wandb.errors.CommError as error:
            logger.warning(
                'W&B: the server cannot be reached (%s); logging offline to '
                '%s (upload with `wandb sync`)',
                error,
                folder,
            )
            return self.wandb.init(**offline)

    def _define_metrics(self) -> None:
        define = self.wandb.define_metric
        define('step', hidden=True)
        define('round', hidden=True)
        for name in _BY_STEP:
            define(name, step_metric='step')
        for name in _BY_ROUND:
            define(name, step_metric='round')
        for name, summary in (self.define_metric_cfg or {}).items():
            rounds = name.startswith(('round/', 'IoU/'))
            axis = 'round' if rounds else 'step'
            define(name, step_metric=axis, summary=summary)

    def _write(self, values: dict[str, Any]) -> None:
        """Log one point after all earlier points of the run.

        Offline, only our own file knows how many points the run had before a
        restart.
        """
        assert self._home is not None
        run = self.wandb.run
        logged = int(_read_state(self._home).get('logged', 0))
        late = logged if run.step < logged else None
        run.log(values, step=late, commit=self.commit)
        _write_state(self._home, run.id, max(run.step, logged))

    def _log_artifact(self, work_dir: Path) -> None:
        own = work_dir / 'wandb'
        files = [
            path
            for path in sorted(work_dir.rglob('*'))
            if path.name.endswith(self.out_suffix)
            and path.is_file()
            and own not in path.parents
        ]
        if files:
            name = f'run-{self.wandb.run.id}-logs'
            artifact = self.wandb.Artifact(name=name, type='logs')
            for path in files:
                artifact.add_file(str(path), str(path.relative_to(work_dir)))
            self.wandb.log_artifact(artifact)


def round_values(row: dict[str, Any]) -> dict[str, Any]:
    """Convert a row of ``rounds.json`` to values of a W&B run."""
    values: dict[str, Any] = {'round': row['round']}
    for key in ('mIoU', 'mAcc', 'aAcc', 'share', 'iterations'):
        values[f'round/{key}'] = row.get(key)
    for key, count in row['total'].items():
        values[f'round/{key}'] = count
    cost = row.get('cost') or {}
    values['round/cost'] = cost.get('total')
    values['round/cost_of_round'] = cost.get('round')
    for key, seconds in (row.get('seconds') or {}).items():
        values[f'round/seconds_{key}'] = seconds
    for name, iou in (row.get('IoU') or {}).items():
        values[f'IoU/{name}'] = iou
    return {key: value for key, value in values.items() if value is not None}


def _handful(pictures: list[Path], count: int) -> list[Path]:
    """Choose a few panels, and all pictures that are not of one image."""
    kinds = ('_panel', '_overlay')
    panels = [path for path in pictures if path.stem.endswith('_panel')]
    alone = [path for path in pictures if not path.stem.endswith(kinds)]
    return panels[:count] + alone


def _read_state(work_dir: Path) -> dict[str, Any]:
    path = work_dir / STATE_FILE
    if not path.exists():
        return {}
    try:
        return dict(json.loads(path.read_text()))
    except (OSError, ValueError, TypeError) as error:
        raise StateError(
            f'{path}: wanted the id of the W&B run, got a file that cannot '
            f'be read as that ({error}); restore it from a copy, or delete '
            'it: a new W&B run is then begun'
        ) from error


def _write_state(work_dir: Path, run_id: str, logged: int) -> None:
    replace_json(work_dir / STATE_FILE, {'id': run_id, 'logged': logged})
