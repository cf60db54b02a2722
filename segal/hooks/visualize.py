"""Draw the same images after each round."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from mmcv.runner import HOOKS, Hook

from segal.active.units import unit_of
from segal.structures import PoolImage
from segal.visualization.over_rounds import (
    read_moments,
    rounds_frames,
    rounds_sheet,
    save_animation,
    save_prediction,
)
from segal.visualization.pictures import Scene, overlay, panel
from segal.visualization.scenes import (
    chosen_images,
    never_ends_a_run,
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
    contact sheet shows those of the round. ``<dir>/rounds.png`` and
    ``rounds.gif`` show the middle one of the images over all rounds, with the
    labels that each round was trained on; its predictions are kept as class
    maps in ``<dir>/rounds/``.

    What cannot be drawn is logged, and the run goes on.

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
        images = chosen_images(report.pool, self.size)
        for i, image in enumerate(images):
            prediction, score = report.predict(image.name)
            stem = f'{i:02d}_{slug(image.name)}'
            with never_ends_a_run(f'{folder / stem}'):
                scene = scene_of(
                    image,
                    report.store,
                    report.read_image,
                    report.classes,
                    report.palette,
                    asked,
                    f'after round {number}',
                    truth=report.truth(image.name),
                )
                if self.overlay:
                    path = folder / f'{stem}_overlay.png'
                    report.pictures.append(save(overlay(scene), path))
                path = folder / f'{stem}_panel.png'
                picture = panel(scene, prediction, score)
                report.pictures.append(save(picture, path))
                if i == len(images) // 2:
                    kept = folder.parent / 'rounds' / stem
                    kept.mkdir(parents=True, exist_ok=True)
                    file = kept / f'{number:03d}.png'
                    save_prediction(prediction, report.palette, file)
                    self._draw_over_rounds(report, image, kept, scene)
        if asked is not None and unit_of(asked).drawn == 'sheet':
            path = folder / 'asked.png'
            with never_ends_a_run(f'{path}'):
                title = f'Images asked after round {number}'
                sheet = sheet_of(asked, report.read_image, title)
                report.pictures.append(save(sheet, path))

    def _draw_over_rounds(
        self, report: RoundReport, image: PoolImage, kept: Path, last: Scene
    ) -> None:
        """Draw one image over all rounds whose predictions were kept.

        They are in the folder ``kept``; the ``last`` scene of the image is
        its newest one.
        """

        def scene_after(number: int) -> Scene:
            miou = report.rows[number].get('mIoU')
            words = '' if miou is None else f': mIoU {100 * miou:.1f} %'
            return scene_of(
                image,
                report.store,
                lambda _: last.image,
                report.classes,
                report.palette,
                report.store.selection(number),
                f'round {number}{words}',
                number,
                last.truth,
            )

        moments = read_moments(
            int(report.row['round']) + 1,
            lambda number: kept / f'{number:03d}.png',
            scene_after,
        )
        folder = Path(report.work_dir) / self.dir
        save(rounds_sheet(moments), folder / 'rounds.png')
        frames = rounds_frames(moments)
        save_animation(frames, report.palette, folder / 'rounds.gif')
