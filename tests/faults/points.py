"""The instants at which a run is killed."""

from __future__ import annotations

import importlib
import os
import re
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Point:
    """One instant of a run.

    Attributes:
        name: For the table.
        when: ``'before'`` or ``'after'`` a call of a function; or of a file
            that is written: ``'half'`` of it, ``'before'`` or ``'after'`` it
            gets its name; ``'torn'``: a line of it is not whole.
        what: ``'module:function'``, or a pattern for the file's path.
        nth: Which call, or which file that fits, counted from 0.
        scenario: Which run; see ``SCENARIOS``.
        rank: Which process is killed.
    """

    name: str
    when: str
    what: str
    nth: int = 0
    scenario: str = 'pixels'
    rank: int = 0

    def arm(self) -> None:
        """Let this process be killed there."""
        count = iter(range(self.nth + 1))

        def reached() -> bool:
            return next(count, None) == self.nth

        if ':' in self.what:
            self._arm_call(reached)
        else:
            self._arm_file(reached)

    def _arm_call(self, reached: Callable[[], bool]) -> None:
        module, _, path = self.what.partition(':')
        *way, last = path.split('.')
        owner: Any = importlib.import_module(module)
        for part in way:
            owner = getattr(owner, part)
        function = getattr(owner, last)

        def wrapped(*args: Any, **kwargs: Any) -> Any:
            now = reached()
            if now and self.when == 'before':
                die()
            result = function(*args, **kwargs)
            if now:
                die()
            return result

        setattr(owner, last, wrapped)

    def _arm_file(self, reached: Callable[[], bool]) -> None:
        pattern, fsync, replace = re.compile(self.what), os.fsync, os.replace
        fdatasync = os.fdatasync

        def half(descriptor: int) -> None:
            path = os.readlink(f'/proc/self/fd/{descriptor}')
            name = path.removesuffix('.tmp')
            if Path(path).is_file() and pattern.search(name) and reached():
                os.truncate(path, os.stat(path).st_size // 2)
                die()
            fsync(descriptor)

        def renamed(source: Any, target: Any, **kwargs: Any) -> None:
            now = bool(pattern.search(str(target))) and reached()
            if now and self.when == 'before':
                die()
            replace(source, target, **kwargs)
            if now:
                die()

        def torn(descriptor: int) -> None:
            path = os.readlink(f'/proc/self/fd/{descriptor}')
            if pattern.search(path) and reached():
                os.truncate(path, os.stat(path).st_size - 20)
                die()
            fdatasync(descriptor)

        if self.when == 'torn':
            os.fdatasync = torn  # type: ignore[assignment]
        elif self.when == 'half':
            os.fsync = half  # type: ignore[assignment]
        else:
            os.replace = renamed  # type: ignore[assignment]


def die() -> None:
    """As the kernel ends a process."""
    os.kill(os.getpid(), signal.SIGKILL)


RUNNER = 'segal.runner.active_learning_runner:ActiveLearningRunner'
INITIAL, REPORT = f'{RUNNER}._draw_initial', f'{RUNNER}._report'
TRAIN = 'segal.utils.train'
BUILD = 'segal.experiment.phase:PhaseBuilder.training'
STEP = 'segal.active.active_loop:ActiveLearningLoop.step'
STORE = 'segal.active.label_store.store:LabelStore'
APPEND, RELOAD = f'{STORE}.append', f'{STORE}.reload'
SELECTOR = 'segal.active.selectors.per_image:PixelsPerImage'
SHORTLIST, CHOOSE = f'{SELECTOR}.shortlist', f'{SELECTOR}.choose'
ANSWER = 'segal.active.oracles:GroundTruthOracle.answer'
TIDY = 'segal.experiment.phase:PhaseBuilder.tidy'
REMOVE = 'segal.experiment.phase:remove'
DRAW = 'segal.hooks.visualize:VisualizeHook.after_round'
SAVE, CURVE = 'segal.hooks.visualize:save', 'segal.hooks.curve:draw_curve'
EVALUATE = 'segal.hooks.evaluation:EvaluationHook._do_evaluate'
EVALUATED = 'mmseg.datasets:CustomDataset.pre_eval'
ITER = 'mmcv.runner.epoch_based_runner:EpochBasedRunner.run_iter'
ITER_BY_ITER = 'mmcv.runner.iter_based_runner:IterBasedRunner.train'
OPENED = 'segal.active.active_loop:check_opened'
REGIONS = 'segal.active.selectors.regions_per_image:RegionsPerImage.shortlist'
GLOBAL = 'segal.active.selectors.global_pixels:PixelsGlobal.choose'
WRITE_MASK = 'segal.annotation.folder:AnnotationFolder.write_mask'
CLOSE = 'segal.annotation.folder:AnnotationFolder.close'
SEAL = 'segal.annotation.folder:AnnotationFolder.seal'
ANSWERED = 'segal.annotation.journal:Journal.append'
AGAIN = r'/round_001\.recheck\.json$'
SNAPSHOT = r'/resume_\d+\.pth$'
LABELS = r'/round_\d+\.npz$'

PIXELS = (
    # The start
    ('before the config is written', 'before', f'{TRAIN}:claim'),
    ('half of config.json', 'half', r'/config\.json$'),
    ('before the pool is written down', 'before', f'{TRAIN}:describe'),
    ('half of machine.json', 'half', r'/machine\.json$'),
    ('before the initial draw', 'before', INITIAL),
    ('in the initial draw', 'after', SHORTLIST, 3),
    ('after the initial draw', 'after', INITIAL),
    # Training
    ('before a network is built', 'before', BUILD, 1),
    ('before the first iteration', 'before', ITER),
    ('in the middle of an epoch', 'after', ITER, 1),
    ('in the second epoch of round 1', 'before', ITER, 14),
    ('half of a snapshot', 'half', SNAPSHOT, 2),
    ('before a snapshot gets its name', 'before', SNAPSHOT, 1),
    ('after a snapshot got its name', 'after', SNAPSHOT, 3),
    ('half of a checkpoint', 'half', r'/epoch_\d+\.pth$', 1),
    ('before latest.pth points to it', 'before', r'/latest\.pth$', 1),
    # Evaluation, and the end of a phase
    ('before an evaluation', 'before', EVALUATE, 1),
    ('in an evaluation', 'after', EVALUATED, 3),
    ('after an evaluation', 'after', EVALUATE, 1),
    ('half of final.pth', 'half', r'/final\.pth$', 1),
    ('before final.pth gets its name', 'before', r'/final\.pth$', 1),
    ('after final.pth got its name', 'after', r'/final\.pth$', 1),
    ('half of times.json', 'half', r'/times\.json$', 3),
    ('half of rounds.json', 'half', r'/rounds\.json$', 1),
    ('before a row gets its name', 'before', r'/rounds\.json$', 1),
    ('after a row got its name', 'after', r'/rounds\.json$', 1),
    # The query
    ('before a query', 'before', STEP, 1),
    ('while scoring', 'after', SHORTLIST, 12),
    ('before the choice', 'before', CHOOSE, 1),
    ('before the answers', 'before', ANSWER, 2),
    ('after the answers', 'after', ANSWER, 1),
    ('half of a label file', 'half', LABELS, 1),
    ('before a label file gets its name', 'before', LABELS, 1),
    ('after a label file got its name', 'after', LABELS, 2),
    ('half of chain.json', 'half', r'/chain\.json$', 1),
    ('after the labels are kept', 'after', APPEND, 1),
    ('after a query', 'after', STEP, 2),
    # Drawing, and between rounds
    ('before the pictures', 'before', DRAW, 1),
    ('between two pictures', 'after', SAVE, 1),
    ('before the curve', 'before', CURVE, 1),
    ('after the last pictures', 'after', DRAW, 2),
    ('between two rounds', 'after', REPORT),
    ('before checkpoints are removed', 'before', TIDY, 1),
    ('between two checkpoints that are removed', 'after', REMOVE, 1),
    ('after checkpoints are removed', 'after', TIDY, 1),
    ('before the last table', 'before', f'{TRAIN}:summarise'),
)
IMAGES = (
    ('by iteration, before a snapshot', 'before', SNAPSHOT, 1),
    ('by iteration, after a snapshot', 'after', SNAPSHOT, 3),
    ('by iteration, between snapshots', 'after', ITER_BY_ITER, 6),
    ('half of a label map', 'half', r'/round_001/\d+\.png$', 1),
    ('label maps without their file', 'before', r'/round_001\.npz$'),
    ('after a round of images', 'after', APPEND, 1),
    ('before weights are carried on', 'before', BUILD, 1),
)
WORKERS = (
    ('with loader workers, in an epoch', 'after', ITER, 6),
    ('with loader workers, while scoring', 'after', SHORTLIST, 11),
)
MIXED = (
    ('half of a map of superpixels', 'half', r'/superpixels/.*\.png$', 2),
    ('images chosen, and not yet opened', 'after', OPENED, 1),
    ('in an image that is opened', 'after', REGIONS, 4),
    ('half of a label file with regions', 'half', LABELS, 1),
    ('after a label file with regions got its name', 'after', LABELS, 1),
    ('before pictures of regions', 'before', DRAW, 1),
)
PAID = (
    ('before a sum is spent', 'before', GLOBAL, 1),
    ('a sum spent, and not written', 'after', ANSWER, 1),
    ('a sum spent, before its row', 'before', r'/rounds\.json$', 1),
    ('half of a label file that was paid', 'half', LABELS, 2),
)
PEOPLE = (
    ('half of a request', 'half', r'/round_001\.request\.npz$'),
    ('before a request gets its name', 'before', r'/round_001\.request\.npz$'),
    ('after a request got its name', 'after', r'/round_001\.request\.npz$'),
    ('half of a mask', 'half', r'/masks/\w+\.png$', 3),
    ('a mask kept, its answer not written', 'after', WRITE_MASK, 9),
    ('in the line of an answer', 'torn', r'/round_001\.jsonl$', 2),
    ('after an answer is acknowledged', 'after', ANSWERED, 11),
    ('all answered, before the round is closed', 'before', CLOSE, 3),
    ('half of the closing mark', 'half', r'/round_001\.closing\.json$'),
    ('answers collected, and not stored', 'before', APPEND, 1),
    ('half of a label file of people', 'half', LABELS, 1),
    ('labels stored, the round not sealed', 'before', SEAL, 1),
    ('half of the seal', 'half', r'/round_001\.sealed\.json$'),
    ('after the seal', 'after', SEAL, 1),
)
LOOKS = (
    ('half of the predictions', 'half', r'/round_001\.predictions\.npz$'),
    (
        'predictions kept, their request not',
        'before',
        r'/round_001\.request\.npz$',
    ),
    ('half of the list of second looks', 'half', AGAIN),
    ('before the list of second looks gets its name', 'before', AGAIN),
    ('after the list of second looks got its name', 'after', AGAIN),
    ('in the line of a second look', 'torn', r'/round_001\.jsonl$', 41),
    ('all looked at twice, before the round is closed', 'before', CLOSE, 4),
)
RANK_0 = (
    ('rank 0, in an epoch', 'after', ITER, 3),
    ('rank 0, half of a snapshot', 'half', SNAPSHOT, 1),
    ('rank 0, while scoring', 'after', SHORTLIST, 6),
    ('rank 0, before a label file gets its name', 'before', LABELS, 1),
    ('rank 0, after a label file got its name', 'after', LABELS, 1),
    ('rank 0, while drawing', 'after', SAVE, 1),
)
RANK_1 = (
    ('rank 1, in an epoch', 'after', ITER, 3),
    ('rank 1, in an evaluation', 'after', EVALUATED, 3),
    ('rank 1, while scoring', 'after', SHORTLIST, 6),
    ('rank 1, before it reads the labels', 'before', RELOAD, 2),
)
POINTS = (
    *(Point(*row) for row in PIXELS),
    *(Point(*row, scenario='images') for row in IMAGES),
    *(Point(*row, scenario='workers') for row in WORKERS),
    *(Point(*row, scenario='mixed') for row in MIXED),
    *(Point(*row, scenario='paid') for row in PAID),
    *(Point(*row, scenario='people') for row in PEOPLE),
    *(Point(*row, scenario='looks') for row in LOOKS),
    *(Point(*row, scenario='two') for row in RANK_0),
    *(Point(*row, scenario='two', rank=1) for row in RANK_1),
)
