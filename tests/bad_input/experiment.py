"""The tiny experiment in a folder of its own, to be broken and run."""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import mmcv
import numpy as np
from mmcv.runner import HOOKS, Hook

from segal.train_active_learning import main
from tests.loggers import forget_loggers
from tests.tiny import CLASSES, CONFIG, write_images

SHORTER = """
workflow = [('train', 1), ('query', 1)]
evaluation = dict(interval=1, metric='mIoU')
runner.update(sample_rounds=1)
"""


class Experiment:
    """What a user has: images, a config, a work_dir; and one command.

    Args:
        folder: Of everything; the command runs in it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.command = ['tiny.py', '--work-dir', 'run']
        self.meddle: Callable[[], object] | None = None

    @classmethod
    def begin(cls, folder: Path, images: int = 4) -> Experiment:
        """Images and a config, and nothing trained yet."""
        write_images(folder / 'data', images)
        text = CONFIG.replace('{root}', 'data').replace('{mode}', 'pixel')
        text = text.replace('{classes}', repr(CLASSES)) + SHORTER
        (folder / 'tiny.py').write_text(text)
        return cls(folder)

    def copy(self, folder: Path) -> Experiment:
        """The same once more, to be broken."""
        shutil.copytree(self.folder, folder, symlinks=True)
        other = Experiment(folder)
        other.command = list(self.command)
        return other

    @property
    def config(self) -> Path:
        return self.folder / 'tiny.py'

    @property
    def work_dir(self) -> Path:
        return self.folder / 'run'

    @property
    def labels(self) -> Path:
        return self.work_dir / 'labels'

    def image(self, number: int = 3) -> Path:
        return self.folder / 'data' / 'images' / f'{number:02d}.png'

    def annotation(self, number: int = 3) -> Path:
        return self.folder / 'data' / 'annotations' / f'{number:02d}.png'

    def final(self, number: int) -> Path:
        return self.work_dir / f'round_{number:03d}' / 'final.pth'

    def add(self, text: str) -> None:
        """Lines at the end of the config, where they count."""
        with self.config.open('a') as file:
            file.write(f'\n{text}\n')

    def options(self, *more: str) -> None:
        """More of the command line."""
        self.command += more

    def bought(self) -> dict[str, bytes]:
        """Every file of bought labels."""
        return {
            str(path.relative_to(self.labels)): path.read_bytes()
            for path in sorted(self.labels.rglob('*'))
            if path.is_file()
        }

    def run(self, *more: str) -> int:
        """The command, in this process, as if it were one of its own."""
        global _meddle
        forget_loggers()
        _meddle = self.meddle
        with _inside(self.folder):
            return main([*self.command, *more])


_meddle: Callable[[], object] | None = None


@HOOKS.register_module()
class Meddle(Hook):
    """Lets a test break something while a phase is trained, once."""

    def __init__(self, at: str, epoch: int = 1) -> None:
        self.at = at
        self.epoch = epoch

    def before_run(self, runner: object) -> None:
        self._do('before training')

    def after_train_iter(self, runner: object) -> None:
        self._do('after an iteration')

    def after_train_epoch(self, runner: Any) -> None:
        if runner.epoch + 1 == self.epoch:
            self._do('after an epoch')

    def before_train_epoch(self, runner: Any) -> None:
        if runner.epoch + 1 == self.epoch:
            self._do('before an epoch')

    def _do(self, moment: str) -> None:
        global _meddle
        if _meddle is not None and moment == self.at:
            act, _meddle = _meddle, None
            act()


@contextmanager
def _inside(folder: Path) -> Iterator[None]:
    """The folder is where we are, and what it has can be imported."""
    before, path, modules = Path.cwd(), list(sys.path), set(sys.modules)
    os.chdir(folder)
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        os.chdir(before)
        sys.path[:] = path
        for name in set(sys.modules) - modules:
            if name.startswith('my_'):
                del sys.modules[name]


class Row(NamedTuple):
    """One broken input.

    Attributes:
        id: What is broken, in a few words.
        breaks: Does it to an experiment.
        code: The exit code it must end with.
        words: Each must be in what it says on stderr.
    """

    id: str
    breaks: Callable[[Experiment], object]
    code: int
    words: tuple[str, ...]


def check(row: Row, experiment: Experiment, capfd: Any) -> str:
    """Break it, run it, and see what a row promises.

    Whatever comes out, no file of bought labels may change or go.

    Returns:
        What was said on stderr.
    """
    row.breaks(experiment)
    before = experiment.bought()
    capfd.readouterr()
    code = experiment.run()
    said = capfd.readouterr().err
    assert code == row.code, said
    for words in row.words:
        assert words in said, said
    assert 'Traceback' not in said
    after = experiment.bought()
    kept = {name: after.get(name) for name in before if name != 'chain.json'}
    assert kept == {k: v for k, v in before.items() if k != 'chain.json'}
    if code:  # and what lists them is as it was
        assert before.items() <= after.items()
    return said


def config(text: str) -> Callable[[Experiment], object]:
    """Breaks a config by lines at its end."""
    return lambda experiment: experiment.add(text)


def option(*words: str) -> Callable[[Experiment], object]:
    """Breaks the command line."""
    return lambda experiment: experiment.options(*words)


def cut(path: Path, share: float = 0.5) -> None:
    """Leave the first part of a file."""
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])


def flip(path: Path, share: float = 0.5) -> None:
    """Change one byte of a file."""
    data = bytearray(path.read_bytes())
    data[int(len(data) * share)] ^= 0x55
    path.write_bytes(bytes(data))


def picture(path: Path, array: np.ndarray) -> None:
    """Write an image over another, later than whatever was there."""
    later = time.time_ns() + 1_000_000
    mmcv.imwrite(array, str(path))
    os.utime(path, ns=(later, later))
