"""``serve``: the demo, an echo or files, on a server of your choice."""

from __future__ import annotations

import argparse
import importlib
import os

from ws4py.cli.arguments import EXIT_FAILED, EXIT_OK, EXIT_USAGE, make_parser, port, say
from ws4py.demo import BACKENDS
from ws4py.demo.content import Content
from ws4py.demo.running import TLSFiles
from ws4py.terminal import printable

__all__ = ['parser', 'run']

DESCRIPTION = """\
Serve a chat page at /, its websocket at /ws and an echo websocket at /echo. Ctrl-C or SIGTERM
says goodbye to every connection (code 1001) and ends it. Without --host only this machine can
connect."""

EPILOG = """\
exit status: 0 after Ctrl-C or SIGTERM, 1 could not start, 2 wrong usage

examples:
  {program} serve
  {program} serve --backend gevent --port 8080
  {program} serve --echo --port 0
  {program} serve --static site --backend asyncio
  {program} serve --tls-cert chain.pem --tls-key key.pem"""


def parser(program: str) -> argparse.ArgumentParser:
    """The parser of ``serve``."""
    made = make_parser(f'{program} serve', DESCRIPTION, EPILOG.format(program=program))
    made.add_argument(
        '--host', default='127.0.0.1', help='address to listen on (default %(default)s; 0.0.0.0 for every IPv4 one)'
    )
    made.add_argument(
        '--port', type=port, default=9000, help='port to listen on (default %(default)s; 0 takes a free one)'
    )
    made.add_argument(
        '--backend',
        choices=BACKENDS,
        default=BACKENDS[0],
        help='the server to run it on (default %(default)s, which needs nothing to be installed, nor does asyncio)',
    )
    made.add_argument('--echo', action='store_true', help='no chat: only the echo, at /echo')
    made.add_argument(
        '--static',
        metavar='DIR',
        help='the files of this directory in place of the chat page, beside the websockets: index.html where a path '
        'ends in a slash, no listings, no names that begin with a dot, no links out of it',
    )
    made.add_argument('--tls-cert', metavar='FILE', help='PEM file with the certificate chain: serve https and wss')
    made.add_argument('--tls-key', metavar='FILE', help='PEM file with its private key, if not in the same file')
    return made


def run(parser: argparse.ArgumentParser, options: argparse.Namespace) -> int:
    """Serve until Ctrl-C or SIGTERM."""
    if options.tls_key and not options.tls_cert:
        parser.error('--tls-key needs --tls-cert')
    if options.static is not None and not os.path.isdir(options.static):
        parser.error(f'--static {printable(options.static)} is not a directory')
    tls = TLSFiles(options.tls_cert, options.tls_key) if options.tls_cert else None
    try:
        backend = importlib.import_module(f'ws4py.demo.on_{options.backend}')
    except ModuleNotFoundError as error:
        extra = f'ws4py[{options.backend}]'
        say(f"--backend {options.backend} cannot be used ({error}): python -m pip install '{extra}'")
        return EXIT_USAGE
    try:
        if tls:
            tls.context()
    except (OSError, ValueError) as error:  # an SSLError is an OSError
        say(f'cannot use {options.tls_cert} for TLS: {error}')
        return EXIT_FAILED
    listening = False

    def ready(port: int) -> None:
        nonlocal listening
        listening = True
        page = options.static is not None or not options.echo
        scheme = ('http' if page else 'ws') + 's' * (tls is not None)
        print(f'{scheme}://{_authority(options.host, port)}/{"" if page else "echo"}', flush=True)

    try:
        backend.serve(options.host, options.port, tls, ready, Content(not options.echo, options.static))
    except OSError as error:
        if listening:
            raise
        say(f'cannot listen on {_authority(options.host, options.port)}: {error.strerror or error}')
        return EXIT_FAILED
    return EXIT_OK


def _authority(host: str, port: int) -> str:
    return f'[{host}]:{port}' if ':' in host else f'{host}:{port}'
