"""What the servers under test share: their arguments, their port on stdout, and their end with their stdin.

A server is a script that is run as ``python NAME.py [option ...]`` and serves at 127.0.0.1: an echo of every message,
or with ``--broadcast`` every message to everybody. It imports nothing but this and the library that it shows; what is
used of that library is what its documentation recommends.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import ssl
import sys
import threading
from collections.abc import Coroutine
from typing import Any, Callable, Optional


def parse_arguments() -> argparse.Namespace:
    """The options that every server takes; each looks at those that it knows how to serve."""
    parser = argparse.ArgumentParser()
    parser.add_argument('--port', type=int, default=0, help='0 takes a free one')
    parser.add_argument('--size', type=int, default=16, help='bytes of each message that will come')
    parser.add_argument('--loop', choices=('asyncio', 'uvloop'), default='asyncio')
    parser.add_argument('--tls', nargs=2, metavar=('CERTIFICATE', 'KEY'))
    parser.add_argument('--deflate', action='store_true', help='accept permessage-deflate')
    parser.add_argument('--broadcast', action='store_true', help='send each message to every client')
    parser.add_argument('--wsaccel', action='store_true', help='with ws4py 0.6: patch it')
    arguments = parser.parse_args()
    logging.disable(logging.CRITICAL)  # clients that go without a Close frame are no news here
    return arguments


def tls_context(arguments: argparse.Namespace) -> Optional[ssl.SSLContext]:
    """The server's side of TLS, or None without."""
    if not arguments.tls:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*arguments.tls)
    return context


def announce(port: int) -> None:
    """Print the *port*, and end the process when its stdin ends: so none outlives the harness."""

    def end() -> None:
        while os.read(sys.stdin.fileno(), 1024):
            pass
        os._exit(0)

    threading.Thread(target=end, daemon=True).start()
    print(port, flush=True)


def run(main: Callable[[], Coroutine[Any, Any, None]], arguments: argparse.Namespace) -> None:
    """Run *main* on the event loop of ``--loop``."""
    if arguments.loop == 'uvloop':
        import uvloop

        uvloop.run(main())
    else:
        asyncio.run(main())
