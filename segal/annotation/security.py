"""Let nobody but the annotators in: tokens, cookies, hosts and origins.

Every response goes through :class:`Guard`. A request must name a host of ours
(against DNS rebinding), carry the cookie of an annotator, and, where it
changes something, come from our own page.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import json
import logging
import os
import re
import secrets
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from starlette.datastructures import Headers, MutableHeaders, QueryParams
from starlette.requests import cookie_parser
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from segal.annotation.fields import AnnotatorError, check_name, check_spelling
from segal.errors import StateError, short
from segal.files import SUFFIX, replace_file, sync_folder

log = logging.getLogger(__name__)

LOOPBACK = ('127.0.0.1', 'localhost', '::1')
LONGEST_PATH = 256
KEPT_TOKENS = 4
"""Of one person: a page that is open outlives that many starts."""

HEADERS = {
    'content-security-policy': (
        "default-src 'self'; img-src 'self' blob: data:; object-src 'none'; "
        "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    'x-content-type-options': 'nosniff',
    'x-frame-options': 'DENY',
    'referrer-policy': 'no-referrer',
    'cross-origin-resource-policy': 'same-origin',
    'cross-origin-opener-policy': 'same-origin',
}

_HEADERS = [(k.encode(), v.encode()) for k, v in HEADERS.items()]

_DIGEST = re.compile('[0-9a-f]{64}')

SIGN_IN = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>SegAL: sign in</title>
<h1>This page needs your own link</h1>
<p>Open the whole address that the server printed for you; it ends in
<code>?token=</code> and 64 letters and digits.</p>
<p>You just did? Then <a href="/">go on to the page</a>: a browser sends no
cookie along when another site led it here.</p>
</html>
"""


def digest_of(token: str) -> str:
    """Return the SHA-256 of a token, which is all that is kept of it."""
    return hashlib.sha256(token.encode(errors='replace')).hexdigest()


class Annotators:
    """The people who may answer, and the SHA-256 of their tokens.

    Args:
        path: ``annotators.json``; need not exist.

    Raises:
        StateError: It cannot be read as that.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._digests: dict[str, list[str]] = {}
        self._reviewers: set[str] = set()
        try:
            found = json.loads(path.read_text())
            for name, digests in found.items():
                if isinstance(digests, dict):
                    assert digests['role'] == 'reviewer'
                    digests = digests['tokens']
                    self._reviewers.add(name)
                assert all(_DIGEST.fullmatch(digest) for digest in digests)
                self._digests[name] = list(digests)
        except FileNotFoundError:
            pass
        except (
            OSError,
            ValueError,
            TypeError,
            AttributeError,
            AssertionError,
            KeyError,
        ) as error:
            raise StateError(
                f'{path}: wanted names and the SHA-256 of their tokens, got '
                f'a file that cannot be read as that '
                f'({type(error).__name__}); delete it: everybody then needs '
                'the link that is printed next'
            ) from error

    def issue(
        self, names: Sequence[str], reviewers: Sequence[str] = ()
    ) -> dict[str, str]:
        """Give each person a new token, and lock out everybody else.

        The last few tokens of the same person stay valid.

        Args:
            names: Of all who may answer from now on.
            reviewers: Names of those who decide where others disagree.

        Returns:
            Name -> token, 64 hexadecimal digits; it is kept nowhere.

        Raises:
            AnnotatorError: A name has letters that none can have, or comes
                twice, or is spelled otherwise than before.
            StateError: The file cannot be written.
        """
        everybody = [*names, *reviewers]
        for name in everybody:
            check_name(name)
        both = set(names) & set(reviewers)
        if both:
            raise AnnotatorError(
                'reviewer: wanted somebody who does not answer, since a '
                'reviewer sees what others said, got '
                f'{", ".join(sorted(both))}; take another name for one of '
                'the two'
            )
        if len(set(everybody)) < len(everybody):
            raise AnnotatorError(
                'annotator: wanted each name once, got '
                f'{", ".join(everybody)}; two people need two names'
            )
        check_spelling(everybody, self._digests)
        tokens = {name: secrets.token_hex(32) for name in everybody}
        self._digests = {
            name: [
                *self._digests.get(name, [])[1 - KEPT_TOKENS :],
                digest_of(token),
            ]
            for name, token in tokens.items()
        }
        if self._reviewers and not reviewers:
            log.warning(
                'nobody decides any more where people disagree: ties give no '
                'label, and are not asked again; go on with --reviewer %s',
                ' '.join(sorted(self._reviewers)),
            )
        self._reviewers = set(reviewers)
        self._write()
        return tokens

    def _write(self) -> None:
        """Write the file; nobody else can read it at any time."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        temporary = self.path.with_name(self.path.name + SUFFIX)
        temporary.unlink(missing_ok=True)
        os.close(os.open(temporary, os.O_CREAT | os.O_EXCL, 0o600))
        content = {
            name: dict(role='reviewer', tokens=digests)
            if name in self._reviewers
            else digests
            for name, digests in self._digests.items()
        }
        replace_file(self.path, json.dumps(content, indent=1) + '\n')
        sync_folder(self.path.parent)

    def who(self, token: str) -> str | None:
        """Return whose token it is, in a time that does not depend on it."""
        digest, found = digest_of(token), None
        for name, digests in self._digests.items():
            for known in digests:
                if hmac.compare_digest(digest, known):
                    found = name
        return found


def host_name(host: str) -> str:
    """Return the name in a ``Host`` header, without port and brackets."""
    match = re.fullmatch(r'(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(:\d{1,5})?', host)
    return match[1].strip('[]').removesuffix('.') if match else ''


def is_address(name: str) -> bool:
    """Check whether a host is a number; no name server can move those."""
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def refuse(status: int, sentence: str, **headers: str) -> Response:
    """Make the response to a request that is refused."""
    return JSONResponse({'error': sentence}, status, headers)


class Guard:
    """Check every request before the app sees it, and dress every response.

    Args:
        app: Sees what passes; the name of the person is ``scope['who']``.
        who: Token -> name, None for a token that is not valid.
        hosts: Names under which the page may be asked for, beside loopback.
        any_address: Whether all numeric hosts are allowed, too: for a server
            that other machines can reach.
    """

    def __init__(
        self,
        app: ASGIApp,
        who: Callable[[str], str | None],
        hosts: Iterable[str] = (),
        any_address: bool = False,
    ) -> None:
        self.app = app
        self.who = who
        self.hosts = {*LOOPBACK, *(host.lower() for host in hosts)}
        self.any_address = any_address

    async def __call__(
        self, scope: Scope, receive: Receive, send: Send
    ) -> None:
        """See :class:`Guard`."""
        if scope['type'] == 'lifespan':
            await self.app(scope, receive, send)
            return
        if scope['type'] != 'http':
            raise RuntimeError(f'{scope["type"]}: no such thing is served')
        started = False

        async def dressed(message: Message) -> None:
            nonlocal started
            if message['type'] == 'http.response.start':
                started = True
                message['headers'] = [*message['headers'], *_HEADERS]
                headers = MutableHeaders(scope=message)
                headers.setdefault('cache-control', 'no-store')
                if message['status'] >= 400:
                    self._leave_body_unread(scope, headers)
            await send(message)

        try:
            refused = self._refused(scope)
            app: Any = refused or self.app
            await app(scope, receive, dressed)
        except Exception:
            log.exception('a request to the annotation page failed')
            if not started:
                sentence = 'the server failed; its terminal says why'
                await refuse(500, sentence)(scope, receive, dressed)

    @staticmethod
    def _leave_body_unread(scope: Scope, headers: MutableHeaders) -> None:
        """End a connection whose request was refused before all was read."""
        if scope['method'] not in ('GET', 'HEAD'):
            headers['connection'] = 'close'

    def _refused(self, scope: Scope) -> Response | None:
        """Return the response to a request that may not pass."""
        headers = Headers(scope=scope)
        host = headers.get('host', '').lower()
        name = host_name(host)
        known = name in self.hosts or (self.any_address and is_address(name))
        if not known or len(headers.getlist('host')) != 1:
            return refuse(
                403,
                f'the host {short(host)} is none of this server; open the '
                'address that it printed, or name the host with --host',
            )
        if len(scope['path']) > LONGEST_PATH:
            return refuse(404, 'there is no such page')
        if scope['method'] not in ('GET', 'HEAD', 'POST', 'PUT'):
            return refuse(405, 'GET, POST and PUT are all that is served')
        cookie = cookie_name(host)
        is_page = scope['path'] == '/' and scope['method'] == 'GET'
        if is_page and b'token=' in scope['query_string']:
            return self._signed_in(scope, cookie)
        who = self.who(
            cookie_parser(headers.get('cookie', '')).get(cookie, '')
        )
        if who is None:
            return (
                HTMLResponse(SIGN_IN, 401)
                if is_page
                else refuse(401, 'open the link that was printed for you')
            )
        if foreign := self._foreign(scope, headers, host):
            return refuse(403, foreign)
        scope['who'] = who
        return None

    def _signed_in(self, scope: Scope, cookie: str) -> Response:
        """Turn the token of a link into a cookie."""
        tokens = QueryParams(scope['query_string']).getlist('token')
        if len(tokens) != 1 or self.who(tokens[0]) is None:
            return HTMLResponse(SIGN_IN, 401)
        response = Response(status_code=303, headers={'location': '/'})
        response.set_cookie(
            cookie,
            tokens[0],
            httponly=True,
            samesite='strict',
            secure=scope['scheme'] == 'https',
            max_age=30 * 24 * 3600,
        )
        return response

    @staticmethod
    def _foreign(scope: Scope, headers: Headers, host: str) -> str:
        """Explain why another site sent a request; empty: our page did."""
        site, origin = headers.get('sec-fetch-site'), headers.get('origin')
        sentence = 'another site sent this; only the page itself may'
        if scope['method'] in ('GET', 'HEAD'):
            asks = scope['path'].startswith('/api/')
            is_ours = site in (None, 'same-origin', 'none')
            return sentence if asks and not is_ours else ''
        if site is None and origin is None:
            return f'{sentence} (Origin and Sec-Fetch-Site are missing)'
        if site not in (None, 'same-origin'):
            return sentence
        ours = f'{scope["scheme"]}://{host}'
        return sentence if origin is not None and origin != ours else ''


def cookie_name(host: str) -> str:
    """Return the name of the cookie; servers on other ports have others."""
    return f'segal_{host.rpartition(":")[2] if ":" in host else ""}'
