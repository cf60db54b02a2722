"""Exchange questions and answers with other annotation tools.

One module a format. A module has ``write(asked, out)``, which writes what is
asked into a new folder, ``read(path, asked) -> Returned``, or both.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any, cast

from segal.annotation.formats.asked import Asked, Reply, Returned
from segal.annotation.formats.files import broken, read_json, read_start

__all__ = ['EXPORTS', 'Asked', 'Reply', 'Returned', 'read', 'write']

EXPORTS = ('cvat', 'label-studio', 'coco', 'png')
"""What ``segal annotate export --to`` takes."""


def write(name: str, asked: Asked, out: Path) -> None:
    """Write what is asked for another tool."""
    module = _module(name.replace('-', '_'))
    cast(Callable[[Asked, Path], None], module.write)(asked, out)


def read(path: Path, asked: Asked) -> Returned:
    """Read the answers of a file, whose format its content tells.

    Raises:
        AnswerFileError: It is of no known format, damaged or edited.
    """
    module = _module(recognise(path))
    return cast(Callable[[Path, Asked], Returned], module.read)(path, asked)


def recognise(path: Path) -> str:
    """Name the module that reads a file.

    Raises:
        AnswerFileError: None does, or the file cannot be read.
    """
    if path.is_dir():
        return 'png'
    start = read_start(path)
    if start.startswith(b'PK\x03\x04') or b'<' in start[:16]:
        return 'cvat'
    if start.lstrip(b'\xef\xbb\xbf \t\r\n').startswith(b'['):
        return 'label_studio'
    value = read_json(path)
    if isinstance(value, dict):
        if value.get('format') == 'segal-answers':
            return 'page'
        if value.get('format') == 'segal-png':
            return 'png'
        if {'images', 'annotations', 'categories'} <= {*value}:
            return 'coco'
    raise broken(
        path,
        'its content',
        'answers of the offline page, CVAT for images 1.1 (XML or zip), Label '
        'Studio (JSON), COCO or a folder of PNG files',
        'another file',
        'export the answers again in one of these formats',
    )


def _module(name: str) -> Any:
    return import_module(f'segal.annotation.formats.{name}')
