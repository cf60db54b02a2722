"""Draw the same images after each round."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from mmcv.runner import HOOKS, Hook

from segal.active.units import unit_of
from segal.visualization.pictures import overlay, panel
from segal.visualization.scenes import (
    chosen_images,
    save,
    scene_of,
    sheet_of,
    slug,
)

if TYPE_CHECKING:
    from segal.runner.round_report import RoundReport


@HOOKS.register_module()
class VisualizeHook(Hook):
    """Draw labels, prediction and scores after each round.

    ``work_dir/<dir>/round_003/`` shows the predictions of round 3's network,
    and marks as new what its query asked. The images are the same in every
    round and spread evenly over the pool. Where whole images are asked, a
    contact sheet shows those of the round.

    Args:
        size: How many images; all of a smaller pool.
        overlay: Whether to also draw each image alone, beside the picture of
            labels, prediction and score side by side.
        dir: Folder for the pictures, relative to the work_dir.
    """

    def __init__(
        self, size: int = 10, overlay: bool = True, dir: str = 'viz'
    ) -> None:
        self.size = size
        self.overlay = overlay
        self.dir = dir

    def after_round(self, runner: object, report: RoundReport) -> None:
        """Draw the round's pictures and add them to the report."""
        number = int(report.row['round'])
        folder = Path(report.work_dir) / self.dir / f'round_{number:03d}'
        folder.mkdir(parents=True, exist_ok=True)
        asked = report.selection
        for i, image in enumerate(chosen_images(report.pool, self.size)):
            scene = scene_of(
                image,
                report.store,
                report.read_image,
                report.classes,
                report.palette,
                asked,
                f'after round {number}',
            )
            stem = f'{i:02d}_{slug(image.name)}'
            if self.overlay:
                path = folder / f'{stem}_overlay.png'
                report.pictures.append(save(overlay(scene), path))
            prediction, score = report.predict(image.name)
            path = folder / f'{stem}_panel.png'
            picture = panel(scene, prediction, score)
            report.pictures.append(save(picture, path))
        if asked is not None and unit_of(asked).drawn == 'sheet':
            path = folder / 'asked.png'
            title = f'Images asked after round {number}'
            sheet = sheet_of(asked, report.read_image, title)
            report.pictures.append(save(sheet, path))
