"""Draw the learning curve after each round."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from mmcv.runner import HOOKS, Hook

from segal.errors import ConfigError, nearest
from segal.runner.beside import runs_beside
from segal.visualization.curve import draw_curve
from segal.visualization.scenes import never_ends_a_run

if TYPE_CHECKING:
    from segal.runner.round_report import RoundReport

_FILES = {'labels': 'curve.png', 'cost': 'curve_cost.png'}


@HOOKS.register_module()
class CurveHook(Hook):
    """Redraw ``work_dir/curve.png`` after each round.

    Random and full supervision are drawn, too, where the same folder holds
    such runs of the same network on the same data.

    Args:
        across: ``'labels'``, or ``'cost'``, which draws ``curve_cost.png``
            over the cost of the labels.

    Raises:
        ConfigError: ``across`` is something else.
    """

    def __init__(self, across: str = 'labels') -> None:
        if across not in _FILES:
            raise ConfigError(
                f'CurveHook.across: {across!r} is not known'
                f'{nearest(across, _FILES)}'
            )
        self.across = across

    def after_round(self, runner: object, report: RoundReport) -> None:
        """Draw all rounds so far and add the picture to the report."""
        path = Path(report.work_dir) / _FILES[self.across]
        title = Path(report.work_dir).name
        images = len(report.pool)
        with never_ends_a_run(f'{path}'):
            random, full = runs_beside(Path(report.work_dir), report.rows)
            over_cost = self.across == 'cost'
            draw_curve(
                report.rows, path, title, images, over_cost, random, full
            )
            report.pictures.append(path)
