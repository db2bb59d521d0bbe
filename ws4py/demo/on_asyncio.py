"""The demo on asyncio: everything in one thread, with the standard library alone."""

from __future__ import annotations

import asyncio
import functools
import urllib.parse
from typing import Callable, Optional

from ws4py.demo.content import Content
from ws4py.demo.running import TLSFiles, signals
from ws4py.demo.site import DemoSite
from ws4py.http11 import Headers, Request, Response
from ws4py.server import asyncioserver

__all__ = ['serve']


def serve(
    host: str, port: int, tls: Optional[TLSFiles], ready: Callable[[int], object], content: Optional[Content] = None
) -> None:
    """Serve until SIGINT or SIGTERM, then close every websocket with 1001 and wait for the closing handshakes.

    :param ready: called with the port as soon as clients may come, and signals too.
    :param content: what is served besides the echo; the chat by default.
    :raises OSError: the address is in use, not ours or not known; ``ready`` was not called.
    """
    asyncio.run(_serve(host, port, tls, ready, DemoSite(content)))


async def _serve(host: str, port: int, tls: Optional[TLSFiles], ready: Callable[[int], object], site: DemoSite) -> None:
    process_request = functools.partial(_process_request, site)
    context = tls.context() if tls else None
    loop, stopped = asyncio.get_running_loop(), asyncio.Event()
    async with asyncioserver.serve(site.handlers, host, port, ssl=context, process_request=process_request) as server:
        with signals(lambda: loop.call_soon_threadsafe(stopped.set)):
            ready(server.sockets[0].getsockname()[1])
            await stopped.wait()


def _process_request(site: DemoSite, request: Request) -> Optional[Response]:
    """Answer what is not for a websocket."""
    headers = request.headers
    path = urllib.parse.unquote(request.target.partition('?')[0])
    answered = site.answer(request.method, path, headers.get('Origin'), headers.get('Host'))
    if answered is None:
        return None
    return Response(answered.status, headers=Headers(answered.headers), body=answered.body)
