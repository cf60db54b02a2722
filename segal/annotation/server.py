"""Serve the annotation page of one work_dir."""

from __future__ import annotations

import getpass
import logging
import signal
import socket
import threading
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware

from segal.annotation.desk import Desk, Status
from segal.annotation.endpoints import HANDLERS, Endpoints, Web
from segal.annotation.folder import AnnotationFolder
from segal.annotation.security import LOOPBACK, Annotators, Guard
from segal.errors import SegALError

__all__ = ['Server', 'Status', 'create_app', 'serve']

log = logging.getLogger(__name__)

PORT = 8460
WEB = Path(__file__).parent / 'web'
STOP_SECONDS = 3
"""That requests have to end when the server stops."""

MOST_CONNECTIONS = 256


class AddressError(SegALError):
    """An address that the page is not, or cannot be, served at."""

    exit_code = 2


def create_app(
    work_dir: Path,
    annotators: Annotators,
    *,
    status: Status | None = None,
    hosts: Iterable[str] = (),
    any_address: bool = False,
    web: Path | None = None,
) -> Starlette:
    """Make the app that serves a work_dir.

    Args:
        work_dir: Of the experiment; need not have begun.
        annotators: Who may answer.
        status: What the caller knows of the run.
        hosts: Further names under which the page may be asked for.
        any_address: Whether every numeric host is allowed, too.
        web: Folder of the page's files; this package's own by default.

    Raises:
        StateError: The round that is asked cannot be opened.
    """
    desk = Desk(Path(work_dir), status or Status())
    desk.open()

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        yield
        desk.close()

    guard = Middleware(
        Guard, who=annotators.who, hosts=hosts, any_address=any_address
    )
    app = Starlette(
        routes=Endpoints(desk, Web(web or WEB)).routes(),
        middleware=[guard],
        exception_handlers=HANDLERS,
        lifespan=lifespan,
    )
    app.router.redirect_slashes = False
    app.state.desk = desk
    return app


class _Uvicorn(uvicorn.Server):
    """Tells when it accepts requests."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = threading.Event()

    async def startup(
        self, sockets: list[socket.socket] | None = None
    ) -> None:
        await super().startup(sockets)
        self.ready.set()


class Server:
    """A page that is being served, from a thread; from :func:`serve`.

    Attributes:
        urls: Name of each person -> the address that lets the person in.
        port: That it listens on.
        status: What the caller knows of the run; may be changed.
    """

    def __init__(
        self,
        uvicorn_server: _Uvicorn,
        listening: socket.socket,
        urls: dict[str, str],
        status: Status,
        held: ExitStack,
    ) -> None:
        self.urls = urls
        self.port: int = listening.getsockname()[1]
        self.status = status
        self._uvicorn = uvicorn_server
        self._held = held
        self._thread = threading.Thread(
            target=uvicorn_server.run,
            args=([listening],),
            name='annotation page',
            daemon=True,
        )
        self._thread.start()
        while self._thread.is_alive() and not uvicorn_server.ready.wait(0.1):
            pass
        if not self._thread.is_alive():
            self.stop()
            raise RuntimeError('the annotation page ended as it began')

    def stop(self) -> None:
        """End it: what was acknowledged is on disk; again does nothing."""
        self._uvicorn.should_exit = True
        self._thread.join()
        self._held.close()

    def wait(self) -> None:
        """Serve until Ctrl+C or a SIGTERM, then stop; in the main thread."""

        def end(*_: Any) -> None:
            self._uvicorn.should_exit = True

        ends = (signal.SIGINT, signal.SIGTERM)
        before = {one: signal.signal(one, end) for one in ends}
        try:
            self._thread.join()
        finally:
            for one, handler in before.items():
                signal.signal(one, handler)
            self.stop()

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def user_name() -> str:
    """Return the name of the user of this machine."""
    try:
        name = getpass.getuser()
    except (OSError, KeyError):
        return 'annotator'
    kept = ''.join(one for one in name if one.isalnum() or one in '._-')
    return kept.lstrip('._-')[:64] or 'annotator'


def _listen(host: str, port: int) -> socket.socket:
    """Take a port."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        # its protocol makes asyncio send small responses without delay
        listening = socket.socket(*found[0][:3])
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
        listening.listen(128)
    except (OSError, OverflowError) as error:
        raise AddressError(
            f'--host {host} --port {port}: the page cannot be served there '
            f'({error}); --port 0 takes any port that is free'
        ) from error
    return listening


def serve(
    work_dir: Path,
    *,
    host: str = LOOPBACK[0],
    port: int = PORT,
    annotators: Sequence[str] = (),
    reviewers: Sequence[str] = (),
    tls_cert: Path | None = None,
    tls_key: Path | None = None,
    insecure_http: bool = False,
    hosts: Sequence[str] = (),
    status: Status | None = None,
) -> Server:
    """Serve the page of a work_dir from a thread.

    Args:
        work_dir: Of the experiment; need not have begun.
        host: To listen on; others than this machine's own need TLS.
        port: To listen on; 0 for any that is free.
        annotators: Names of all who may answer; the user's own by default.
        reviewers: Names of those who decide where these disagree.
        tls_cert: Certificate, PEM.
        tls_key: Its key, PEM.
        insecure_http: Serve other machines without TLS.
        hosts: Further names under which others reach this machine.
        status: What the caller knows of the run; it may change it meanwhile.

    Returns:
        The server, which accepts requests: end it with ``stop()``, or as a
        context manager; ``wait()`` serves until Ctrl+C.

    Raises:
        AddressError: The address is taken, or open to others without TLS.
        AnnotatorError: A name that none can have.
        StateError: Another server is at work there, or the round that is
            asked cannot be opened.
    """
    is_local = host in LOOPBACK
    if (tls_cert is None) != (tls_key is None):
        raise AddressError('wanted both of --tls-cert and --tls-key, got one')
    if not is_local and tls_cert is None and not insecure_http:
        raise AddressError(
            f'--host {host}: wanted --tls-cert and --tls-key, since others '
            'on the way could read and change answers; or leave --host out '
            f'and run "ssh -L {port}:localhost:{port} {socket.gethostname()}" '
            'on the other machine; or accept the risk with --insecure-http'
        )
    for path in (tls_cert, tls_key):
        if path is not None and not Path(path).is_file():
            raise AddressError(f'{path}: wanted a PEM file, got none')
    status = status or Status()
    folder = AnnotationFolder(Path(work_dir))
    with ExitStack() as stack:
        stack.enter_context(folder.locked())
        listening = stack.enter_context(_listen(host, port))
        known = Annotators(folder.path / 'annotators.json')
        names = [] if is_local else [host, socket.gethostname()]
        tokens = known.issue(annotators or [user_name()], reviewers)
        app = create_app(
            work_dir,
            known,
            status=status,
            hosts=[*names, *hosts],
            any_address=not is_local,
        )
        config = uvicorn.Config(
            app,
            http='h11',
            ws='none',
            lifespan='on',
            log_config=None,
            log_level='warning',
            access_log=False,
            server_header=False,
            proxy_headers=False,
            limit_concurrency=MOST_CONNECTIONS,
            timeout_graceful_shutdown=STOP_SECONDS,
            ssl_certfile=tls_cert,
            ssl_keyfile=tls_key and str(tls_key),
        )
        shown = socket.gethostname() if host in ('0.0.0.0', '::') else host
        shown = f'[{shown}]' if ':' in shown else shown
        base = f'{"https" if tls_cert else "http"}://{shown}'
        base += f':{listening.getsockname()[1]}/?token='
        urls = {name: base + token for name, token in tokens.items()}
        held = stack.pop_all()
    return Server(_Uvicorn(config), listening, urls, status, held)
