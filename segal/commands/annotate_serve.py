"""Serve the annotation page of a work_dir."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any


def serve_page(args: argparse.Namespace) -> int:
    """Serve the page until Ctrl+C."""
    from segal.active.label_store.pool_file import read_pool
    from segal.annotation.server import serve

    read_pool(args.work_dir)  # raises where no experiment is
    with serve(args.work_dir, **address(args)) as server:
        say_where(server.urls)
        print('Ctrl+C ends the page; every answer is on disk.', flush=True)
        server.wait()
    return 0


def address(args: argparse.Namespace) -> dict[str, Any]:
    """Return the options of the server."""
    return dict(
        host=args.host,
        port=args.port,
        annotators=args.annotator,
        reviewers=args.reviewer,
        tls_cert=args.tls_cert,
        tls_key=args.tls_key,
        insecure_http=args.insecure_http,
    )


def say_where(urls: dict[str, str]) -> None:
    """Print the address of each person."""
    width = max(map(len, urls))
    print('Answer here, in a browser:')
    for name, url in urls.items():
        print(f'  {name:<{width}}  {url}', flush=True)


def add_address(parser: argparse.ArgumentParser) -> None:
    """Add the options of the server."""
    parser.add_argument(
        '--host', default='127.0.0.1', help='address (default: %(default)s)'
    )
    parser.add_argument(
        '--port', type=int, default=8460, help='port (default: %(default)s)'
    )
    parser.add_argument(
        '--annotator',
        nargs='+',
        default=[],
        metavar='NAME',
        help='who may answer; each gets an address (default: you)',
    )
    parser.add_argument(
        '--reviewer',
        nargs='+',
        default=[],
        metavar='NAME',
        help='who decides where several people disagree',
    )
    parser.add_argument('--tls-cert', type=Path, help='certificate, PEM')
    parser.add_argument('--tls-key', type=Path, help='its key, PEM')
    parser.add_argument(
        '--insecure-http',
        action='store_true',
        help='serve other machines without TLS',
    )
