"""The demo on asyncio: everything in one thread, with the standard library alone."""

from __future__ import annotations

import asyncio
import functools
import urllib.parse
from typing import Any, Callable, Optional

from ws4py.demo.chat import ChatWebSocket, Room
from ws4py.demo.content import Content
from ws4py.demo.pages import refuse_foreign
from ws4py.demo.running import TLSFiles, signals
from ws4py.http11 import Headers, Request, Response
from ws4py.server import asyncioserver
from ws4py.websocket import EchoWebSocket

__all__ = ['serve']


def serve(
    host: str, port: int, tls: Optional[TLSFiles], ready: Callable[[int], object], content: Optional[Content] = None
) -> None:
    """Serve until SIGINT or SIGTERM, then close every websocket with 1001 and wait for the closing handshakes.

    :param ready: called with the port as soon as clients may come, and signals too.
    :param content: what is served besides the echo; the chat by default.
    :raises OSError: the address is in use, not ours or not known; ``ready`` was not called.
    """
    asyncio.run(_serve(host, port, tls, ready, content or Content()))


async def _serve(
    host: str, port: int, tls: Optional[TLSFiles], ready: Callable[[int], object], content: Content
) -> None:
    chat = functools.partial(ChatWebSocket, room=Room())
    handlers: dict[str, Callable[..., Any]] = {'/ws': chat, '/echo': EchoWebSocket}
    process_request = functools.partial(_process_request, content)
    context = tls.context() if tls else None
    loop, stopped = asyncio.get_running_loop(), asyncio.Event()
    async with asyncioserver.serve(handlers, host, port, ssl=context, process_request=process_request) as server:
        with signals(lambda: loop.call_soon_threadsafe(stopped.set)):
            ready(server.sockets[0].getsockname()[1])
            await stopped.wait()


def _process_request(content: Content, request: Request) -> Optional[Response]:
    """Answer what is not for a websocket."""
    path = request.target.partition('?')[0]
    if path == '/echo':
        return None
    if path == '/ws' and content.chat:
        answered = refuse_foreign(request.headers.get('Origin'), request.headers.get('Host'))
        if answered is None:
            return None
    else:
        answered = content.answer(request.method, urllib.parse.unquote(path))
    return Response(answered.status, headers=Headers(answered.headers), body=answered.body)
