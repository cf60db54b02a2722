"""Read the bodies of requests: bounded, timed, and strictly."""

from __future__ import annotations

import asyncio
import re
from typing import Any, Literal

from starlette.requests import ClientDisconnect, Request

from segal.annotation.fields import CLIENT, LONGEST_MS, strict_json
from segal.annotation.state import WHATS

MOST_BYTES = 64 * 1024
SLOWEST_SECONDS = 60.0
_NUMBER = 2**31 - 1
_TAB = re.compile('[0-9A-Za-z_-]{1,64}')
_DIGEST = re.compile('[0-9a-f]{64}')


class RefusedError(Exception):
    """A request that is answered with a status and a sentence."""

    def __init__(self, status: int, sentence: str, **fields: Any) -> None:
        super().__init__(sentence)
        self.status = status
        self.body = {'error': sentence, **fields}


def nonsense(sentence: str) -> RefusedError:
    """Make the error for a body that cannot be understood."""
    return RefusedError(422, sentence)


async def read_body(request: Request, media_type: str, most: int) -> bytes:
    """Read a body, and stop where it is larger than it may be.

    Raises:
        RefusedError: Another type (415), too large (413), too slow (408).
    """
    said = request.headers.get('content-type', '').partition(';')[0]
    if said.strip().lower() != media_type:
        raise RefusedError(415, f'wanted a body of type {media_type}')
    if 'content-encoding' in request.headers:
        raise RefusedError(415, 'wanted a body that is not compressed')
    too_large = RefusedError(413, f'wanted at most {most:,} bytes')
    length = request.headers.get('content-length', '0')
    if not length.isdecimal() or len(length) > 12 or int(length) > most:
        raise too_large
    body = bytearray()
    try:
        async with asyncio.timeout(SLOWEST_SECONDS):
            async for chunk in request.stream():
                body += chunk
                if len(body) > most:
                    raise too_large
    except TimeoutError:
        raise RefusedError(408, 'the body came too slowly') from None
    except ClientDisconnect:
        raise RefusedError(400, 'the body broke off') from None
    return bytes(body)


def parse_object(body: bytes, keys: set[str]) -> dict[str, Any]:
    """Parse a JSON object with no other keys than these.

    Raises:
        RefusedError: It is none (422).
    """
    try:
        value = strict_json(body.decode())
    except (ValueError, RecursionError) as error:
        raise nonsense(f'wanted JSON, got {type(error).__name__}') from None
    if not isinstance(value, dict):
        raise nonsense('wanted a JSON object')
    if unknown := set(value) - keys:
        names = ', '.join(sorted(keys))
        raise nonsense(
            f'wanted only the keys {names}, got {sorted(unknown)[0][:40]!r}'
        )
    return value


def integer(
    value: dict[str, Any], key: str, most: int = _NUMBER, **default: int | None
) -> Any:
    """Take an integer in [0, most].

    Raises:
        RefusedError: It is none (422).
    """
    number = value.get(key, default.get('default'))
    if number is None and 'default' in default:
        return default['default']
    if type(number) is not int or not 0 <= number <= most:
        raise nonsense(f'{key}: wanted an integer from 0 to {most}')
    return number


def text(value: dict[str, Any], key: str, pattern: re.Pattern[str]) -> str:
    """Take a text that fits a pattern.

    Raises:
        RefusedError: It does not (422).
    """
    found = value.get(key)
    if not isinstance(found, str) or not pattern.fullmatch(found):
        raise nonsense(f'{key}: wanted text such as {pattern.pattern}')
    return found


def of_request(value: dict[str, Any]) -> str:
    """Take the SHA-256 of the request that a body speaks of."""
    return text(value, 'request', _DIGEST)


def of_client(value: dict[str, Any]) -> str:
    """Take the number that the page gave the event."""
    return text(value, 'client', CLIENT)


def of_tab(query: Any) -> str:
    """Take the name of the tab from a query."""
    return text(query, 'tab', _TAB)


def of_count(query: Any, most: int) -> int:
    """Take how many items are asked for, 1 to ``most``; 8 by default."""
    number = query.get('n', '8')
    if not re.fullmatch('[0-9]{1,3}', number) or not 1 <= int(number) <= most:
        raise nonsense(f'n: wanted an integer from 1 to {most}')
    return int(number)


What = Literal['class', 'mask', 'void', 'cant_tell', 'skip']


def check_person(value: dict[str, Any], who: str) -> None:
    """Check that a page is still that of the person who is signed in.

    Another person's link, opened in the same browser, signs that person in.

    Raises:
        RefusedError: It is somebody else's (401).
    """
    if value.get('annotator', who) != who:
        raise RefusedError(401, 'somebody else is signed in in this browser')


def parse_answer(body: bytes, classes: int, who: str) -> dict[str, Any]:
    """Parse and check the body of an answer.

    Args:
        body: JSON.
        classes: How many there are.
        who: Name of the person who is signed in.

    Returns:
        ``request``, ``item``, ``rev``, ``what``, ``cls``, ``mask``, ``ms``,
        ``hidden_ms``, ``hint``, ``client``.

    Raises:
        RefusedError: Something is missing, or makes no sense (422); or the
            page is another person's (401).
    """
    keys = {'request', 'item', 'rev', 'what', 'class', 'mask', 'ms',
            'hidden_ms', 'hint', 'client', 'annotator'}  # fmt: skip
    value = parse_object(body, keys)
    check_person(value, who)
    what = value.get('what')
    if what not in WHATS or what == 'undo' or not isinstance(what, str):
        raise nonsense('what: wanted class, mask, void, cant_tell or skip')
    answer = dict(
        request=of_request(value),
        item=integer(value, 'item'),
        rev=integer(value, 'rev'),
        what=what,
        cls=integer(value, 'class', max(classes - 1, 0), default=None),
        mask=value.get('mask'),
        ms=integer(value, 'ms', LONGEST_MS, default=None),
        hidden_ms=integer(value, 'hidden_ms', LONGEST_MS, default=0),
        hint=integer(value, 'hint', max(classes - 1, 0), default=None),
        client=of_client(value),
    )
    if answer['mask'] is not None:
        answer['mask'] = text(value, 'mask', _DIGEST)
    for key, name in (('class', 'cls'), ('mask', 'mask')):
        if (what == key) != (answer[name] is not None):
            raise nonsense(f'{key}: wanted where what is {key!r}, only there')
    return answer
