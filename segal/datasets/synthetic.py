from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import cv2
from mmseg.datasets import CustomDataset
from mmseg.datasets.builder import DATASETS

from segal.datasets import domain_shift as looks
from segal.datasets import scenes
from segal.errors import ConfigError, DataError, nearest
from segal.seeding import key

FINGERPRINT = 'scenes.json'


@dataclass(frozen=True)
class SyntheticScenes:
    """A data set of street scenes that SegAL draws itself.

    The same parameters give the same pictures, wherever they are drawn.

    Attributes:
        train: Number of training scenes.
        val: Number of validation scenes.
        size: (height, width) in pixels.
        seed: Other numbers give other streets.
        look: ``'photo'``, or ``'game'``: the same streets as another domain,
            in smooth and strong colours.

    Raises:
        ConfigError: There is no such look.
    """

    train: int = 48
    val: int = 24
    size: tuple[int, int] = (96, 128)
    seed: int = 0
    look: str = 'photo'

    def __post_init__(self) -> None:
        if self.look not in looks.LOOKS:
            raise ConfigError(
                f'scenes.look: wanted one of {", ".join(looks.LOOKS)}; got '
                f'{self.look!r}' + nearest(self.look, looks.LOOKS)
            )

    def make(self, folder: Path) -> None:
        """Draw the data set in ``folder``, unless it is there already.

        Written in mmseg's layout (``images/{train,val}``,
        ``annotations/{train,val}``) beside the folder, then renamed, so that
        what stands there is always whole. Of several processes one draws, the
        others wait. Another set of scenes that stands there is replaced.

        Raises:
            DataError: The folder holds something else, or cannot be written.
        """
        if self._stands_in(folder):
            return
        try:
            folder.parent.mkdir(parents=True, exist_ok=True)
            with _locked(folder):
                if not self._stands_in(folder):
                    self._replace(folder)
        except OSError as error:
            raise DataError(
                f'{folder}: the synthetic scenes cannot be written there '
                f'({error}); set data_root to a folder that can be written'
            ) from error

    def _fingerprint(self) -> str:
        """Compute a fingerprint of the parameters and the drawing code."""
        code = Path(scenes.__file__).read_bytes()
        parameters = asdict(self)
        if self.look == 'photo':
            del parameters['look']  # as before there were others
        else:
            code += Path(looks.__file__).read_bytes()
        drawing = hashlib.blake2b(code, digest_size=8).hexdigest()
        return json.dumps({**parameters, 'drawing': drawing})

    def _stands_in(self, folder: Path) -> bool:
        try:
            return (folder / FINGERPRINT).read_text() == self._fingerprint()
        except (FileNotFoundError, NotADirectoryError):
            return False

    def _replace(self, folder: Path) -> None:
        if folder.exists() and not (folder / FINGERPRINT).exists():
            raise DataError(
                f'{folder}: wanted a free place for the synthetic scenes, '
                f'got a folder without {FINGERPRINT}, which they did not '
                'write; move it away or set another data_root'
            )
        prefix = f'.{folder.name}.drawing-'
        for left_over in folder.parent.glob(f'{prefix}*'):
            shutil.rmtree(left_over)
        fresh = Path(tempfile.mkdtemp(prefix=prefix, dir=folder.parent))
        try:
            self._draw(fresh)
            if folder.exists():
                os.rename(folder, fresh / 'old')
            os.rename(fresh / 'new', folder)
        finally:
            shutil.rmtree(fresh, ignore_errors=True)

    def _draw(self, fresh: Path) -> None:
        for split, number in (('train', self.train), ('val', self.val)):
            images = fresh / 'new' / 'images' / split
            annotations = fresh / 'new' / 'annotations' / split
            images.mkdir(parents=True)
            annotations.mkdir(parents=True)
            for index in range(number):
                image, labels = scenes.draw_scene(
                    key('scene', self.seed, split, index), self.size
                )
                if self.look == 'game':
                    image = looks.as_game(image)
                name = f'{split}_{index:03d}.png'
                _write(images / name, image)
                _write(annotations / name, labels)
        (fresh / 'new' / FINGERPRINT).write_text(self._fingerprint())


def _write(path: Path, picture: Any) -> None:
    if not cv2.imwrite(str(path), picture):
        raise OSError(f'{path} cannot be written')


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Lock a folder for one process; the lock ends with the process."""
    with open(folder.with_name(f'.{folder.name}.lock'), 'w') as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@DATASETS.register_module()
class SyntheticScenesDataset(CustomDataset):
    """Street scenes with 8 classes, drawn when they are first needed.

    Where two entries of one config name the same folder, they must ask for
    the same scenes.

    Args:
        part: ``'train'`` or ``'val'``.
        data_root: The folder of the data set.
        scenes: Options of :class:`SyntheticScenes`.
        **kwargs: As for mmseg's ``CustomDataset``; folders and suffixes
            follow from ``part``.
    """

    CLASSES: ClassVar = scenes.CLASSES
    PALETTE: ClassVar = scenes.PALETTE

    def __init__(
        self,
        part: Literal['train', 'val'],
        data_root: str = 'data/synthetic_scenes',
        scenes: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        SyntheticScenes(**(scenes or {})).make(Path(data_root))
        super().__init__(
            data_root=data_root,
            img_dir=f'images/{part}',
            ann_dir=f'annotations/{part}',
            img_suffix='.png',
            seg_map_suffix='.png',
            **kwargs,
        )
