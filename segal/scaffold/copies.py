"""Find images of a folder whose files have the same content."""

from __future__ import annotations

import hashlib

from segal.errors import DataError
from segal.scaffold.images import FEWEST, Folder, count


def note_copies(found: Folder) -> dict[str, str]:
    """Find images whose file has the content of another, with a warning.

    Returns:
        Name of each copy -> name of the first such image.

    Raises:
        DataError: Fewer than ``FEWEST`` images differ.
    """
    alike: dict[int, list[str]] = {}
    for one in found.photos:
        size = (found.path / one.name).stat().st_size
        alike.setdefault(size, []).append(one.name)
    first: dict[tuple[int, bytes], str] = {}
    copies = {}
    for size, names in alike.items():
        for name in names if len(names) > 1 else ():
            with open(found.path / name, 'rb') as file:
                content = hashlib.file_digest(file, 'sha256').digest()
            original = first.setdefault((size, content), name)
            if original != name:
                copies[name] = original
    if copies:
        name = min(copies)
        found.notes.append(
            f'{count(copies, "image")} with the content of another, such as '
            f'{name} of {copies[name]}: both are asked or both held out; '
            'take copies away, or their labels are paid for twice'
        )
    different = len(found.photos) - len(copies)
    if different < FEWEST:
        raise DataError(
            f'IMAGES: wanted {FEWEST} different images or more, got '
            f'{different} in {found.path}, and {count(copies, "image")} with '
            'the content of these; add images, or correct the path'
        )
    return copies
