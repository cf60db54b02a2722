"""Tiny images for the configs here, and a process to read them in."""

import shutil
from pathlib import Path

from tests.tiny import write_images

HERE = Path(__file__).parent


def write(root: Path) -> Path:
    """Copy the configs, and write the images of two domains.

    Returns:
        The folder of the configs, in which ``their_parts`` lies as well.
    """
    write_images(root / 'streets', 6)
    games = write_images(root / 'games', 4)
    (games / 'labels').mkdir()
    for path in (games / 'annotations').iterdir():
        path.rename(games / 'labels' / f'{path.stem}_cityscapes.png')
    configs = root / 'configs'
    shutil.copytree(
        HERE, configs, ignore=shutil.ignore_patterns('test_*', '__*')
    )
    for path in configs.rglob('*.py'):
        path.write_text(path.read_text().replace('DATA_ROOT', str(root)))
    return configs
