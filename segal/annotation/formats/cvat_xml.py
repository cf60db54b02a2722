"""Parse the XML of CVAT for images, before anything in it is understood."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import NamedTuple, NoReturn
from xml.parsers import expat

from segal.annotation.formats.files import (
    MOST_BYTES,
    broken,
    check_size,
    read_file,
)

NAME = 'annotations.xml'
AGAIN = 'export "CVAT for images 1.1" again'


class Image(NamedTuple):
    """An ``<image>``.

    Attributes:
        place: Where in the file, in words.
        name: Without folders.
        size: Height and width as written.
    """

    place: str
    name: str
    size: tuple[str | None, str | None]


class Element(NamedTuple):
    """A shape or tag of an image.

    Attributes:
        place: Where in the file, in words.
        image: Name of its image.
        tag: Such as ``'points'``.
        values: Its XML attributes.
        attributes: Its ``<attribute>`` elements, by name.
    """

    place: str
    image: str
    tag: str
    values: dict[str, str]
    attributes: dict[str, str]


def parse(path: Path) -> tuple[list[Image], list[Element]]:
    """Parse ``annotations.xml``, or a zip archive with it.

    Raises:
        AnswerFileError: It is no such XML, or has a DOCTYPE.
    """
    parser = _Parser(path)
    parser.parse(_content(path))
    return parser.images, parser.elements


def _content(path: Path) -> bytes:
    data = read_file(path)
    if not data.startswith(b'PK'):
        return data
    try:
        with (
            zipfile.ZipFile(io.BytesIO(data)) as archive,
            archive.open(NAME) as file,
        ):
            data = file.read(MOST_BYTES + 1)
    except Exception as error:  # whatever a broken archive makes of it
        raise broken(
            path,
            'its content',
            f'a zip archive with {NAME}',
            f'another one ({error})',
            AGAIN,
        ) from None
    check_size(path, len(data))
    return data


class _Parser:
    def __init__(self, path: Path) -> None:
        self.path = path
        self.images: list[Image] = []
        self.elements: list[Element] = []
        self._depth = 0
        self._image = ''
        self._attribute = ''
        self._text: list[str] = []
        self._expat = expat.ParserCreate()
        self._expat.buffer_text = True
        self._expat.StartDoctypeDeclHandler = self._doctype
        self._expat.StartElementHandler = self._start
        self._expat.EndElementHandler = self._end
        self._expat.CharacterDataHandler = self._characters

    def parse(self, data: bytes) -> None:
        try:
            self._expat.Parse(data, True)
        except expat.ExpatError as error:
            self._fail('XML', f'something else ({error})')
        except (ValueError, LookupError) as error:  # an unknown encoding
            self._fail('XML in UTF-8', f'something else ({error})')

    def _fail(self, wanted: str, got: str, mend: str = AGAIN) -> NoReturn:
        line = f'line {self._expat.CurrentLineNumber}'
        raise broken(self.path, line, wanted, got, mend)

    def _doctype(self, *_: object) -> None:
        self._fail('XML without a DOCTYPE', 'one with it')

    def _start(self, tag: str, values: dict[str, str]) -> None:
        self._depth += 1
        tag = tag[:40]
        if self._depth == 1 and tag != 'annotations':
            self._fail('<annotations>', f'<{tag}>')
        if self._depth == 2 and tag == 'track':
            mend = 'export "CVAT for images 1.1", not for video'
            self._fail('"CVAT for images"', 'a <track>', mend)
        line = f'line {self._expat.CurrentLineNumber}'
        if self._depth == 2 and tag == 'image':
            self._image = values.get('name', '').rpartition('/')[2]
            if not self._image:
                self._fail('an image with a name', 'one without')
            size = values.get('height'), values.get('width')
            self.images.append(Image(line, self._image, size))
        elif self._depth == 3 and self._image:
            place = f'{line}, image {self._image[:80]!r}, <{tag}>'
            self.elements.append(Element(place, self._image, tag, values, {}))
        elif self._depth == 4 and self._image and tag == 'attribute':
            self._attribute = values.get('name', '')
            self._text = []

    def _characters(self, text: str) -> None:
        if self._attribute:
            self._text.append(text)

    def _end(self, tag: str) -> None:
        if self._depth == 4 and self._attribute:
            value = ''.join(self._text).strip()
            self.elements[-1].attributes[self._attribute] = value
            self._attribute = ''
        elif self._depth == 2:
            self._image = ''
        self._depth -= 1
