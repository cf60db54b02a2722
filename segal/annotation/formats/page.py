"""Read the answers that a mailed page gave back.

One JSON object: ``format``, ``version``, ``request`` (SHA-256), ``annotator``
and ``answers``, each with ``item``, ``what``, ``class``, ``mask`` (a PNG, in
base64), ``ms``, ``hidden_ms``, ``client`` and ``at``.
"""

from __future__ import annotations

import base64
import binascii
from collections import Counter
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from segal.annotation.fields import (
    CLIENT,
    LONGEST_MS,
    AnnotatorError,
    check_name,
)
from segal.annotation.formats.asked import Asked, Reply, Returned
from segal.annotation.formats.files import broken, read_json
from segal.annotation.masks import clean_mask, decode_mask, most_bytes
from segal.annotation.request import Item
from segal.annotation.state import ANSWERS
from segal.errors import AnswerFileError, short

VERSION = 1
_KEYS = {'format', 'version', 'request', 'annotator', 'answers'}
_ANSWER_KEYS = {
    'item', 'what', 'class', 'mask', 'ms', 'hidden_ms', 'client', 'at',
}  # fmt: skip
_MEND = 'give back the answers again, on the page, and take that file as it is'


def read(path: Path, asked: Asked) -> Returned:
    """Read the file that a page gave back.

    Raises:
        AnswerFileError: It answers another request, or is damaged or edited.
    """
    value = read_json(path)
    if not isinstance(value, dict) or {*value} != _KEYS:
        _refuse(path, 'its content', f'an object with {_told(_KEYS)}', value)
    if value['format'] != 'segal-answers' or value['version'] != VERSION:
        raise broken(
            path,
            'its version',
            f'segal-answers, version {VERSION}',
            f'{short(value["format"])}, version {short(value["version"])}',
            'take it with the SegAL that wrote the page',
        )
    if value['request'] != asked.request.sha256:
        raise AnswerFileError(
            f'{path}: wanted answers to round {asked.request.round}, which is '
            'asked here now, got answers to a round that is over, or of '
            f'another experiment (request {short(value["request"])[:14]}…); '
            'nothing was taken: mail a new page'
        )
    who = value['annotator']
    try:
        check_name(who if isinstance(who, str) else '')
    except AnnotatorError:
        _refuse(path, '"annotator"', 'the name of a person', who)
    if not isinstance(value['answers'], list):
        _refuse(path, '"answers"', 'a list', value['answers'])
    replies = [
        _reply(path, f'answer {number}', one, who, asked)
        for number, one in enumerate(value['answers'], 1)
    ]
    for name in ('item', 'client'):
        seen = Counter(getattr(reply, name) for reply in replies)
        for one, times in seen.most_common(1):
            if times > 1:
                _refuse(path, '"answers"', f'each {name} once', one)
    return Returned(value['request'], replies, [])


def _refuse(path: Path, place: str, wanted: str, got: object) -> NoReturn:
    raise broken(path, place, wanted, short(got), _MEND)


def _told(keys: set[str]) -> str:
    return ', '.join(sorted(keys))


def _reply(
    path: Path, place: str, value: Any, who: str, asked: Asked
) -> Reply:
    """Check one answer."""
    if not isinstance(value, dict) or {*value} != _ANSWER_KEYS:
        _refuse(path, place, f'an object with {_told(_ANSWER_KEYS)}', value)

    def refuse(key: str, wanted: str) -> NoReturn:
        _refuse(path, f'{place}, "{key}"', wanted, value[key])

    def number(key: str, end: int) -> Any:
        found = value[key]
        if type(found) is not int or not 0 <= found < end:
            refuse(key, f'an integer from 0 to {end - 1}')
        return found

    item = asked.request[number('item', len(asked.request))]
    what = value['what']
    if what not in ANSWERS or what not in (item.answer, 'void', 'cant_tell'):
        refuse('what', f'{item.answer}, void or cant_tell')
    cls = mask = None
    if what == 'class':
        cls = number('class', len(asked.classes))
    elif value['class'] is not None:
        refuse('class', f'null, as what is {what!r}')
    if what == 'mask':
        try:
            mask = _mask(value['mask'], item, len(asked.classes))
        except ValueError as error:
            raise AnswerFileError(
                f'{path}, {place}, "mask": {error}; nothing was taken: {_MEND}'
            ) from None
    elif value['mask'] is not None:
        refuse('mask', f'null, as what is {what!r}')
    hidden = number('hidden_ms', LONGEST_MS)
    ms = value['ms']
    if ms is not None:
        ms = max(0, number('ms', LONGEST_MS) - hidden)
    client = value['client']
    if not isinstance(client, str) or not CLIENT.fullmatch(client):
        refuse('client', '8 to 64 of 0-9A-Za-z_-')
    if not isinstance(value['at'], str):
        refuse('at', 'a time')
    return Reply(item.index, what, cls, mask, who, ms, client)


def _mask(value: Any, item: Item, classes: int) -> NDArray[np.uint8]:
    """Decode a mask; nothing larger than its box is ever unpacked."""
    if not isinstance(value, str) or len(value) > 2 * most_bytes(item):
        raise ValueError('wanted a PNG file of the size of the item')
    try:
        png = base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        raise ValueError('wanted a PNG file in base64') from None
    return decode_mask(clean_mask(png, item, classes), item)
