"""Servers of other projects. One is a context manager that gives its port; it echoes every message, and on the text
``close 4001 bye`` closes with 4001 and ``bye``. The clients of other projects are in ``backends.foreign``.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any, Callable, Optional

import aiohttp
import websockets.asyncio.server
from aiohttp import web
from backends.clients import let_go
from backends.foreign import TIMEOUT


@contextlib.contextmanager
def serving(serve: Callable[[], contextlib.AbstractAsyncContextManager[int]]) -> Iterator[int]:
    """Run a server on an event loop in a thread. *serve* gives its port."""

    async def main() -> None:
        async with serve() as port:
            stop = asyncio.Event()
            running.update(port=port, loop=asyncio.get_running_loop(), stop=stop)
            started.set()
            await stop.wait()
        await asyncio.wait_for(let_go(), TIMEOUT)

    running: dict[str, Any] = {}
    started = threading.Event()
    thread = threading.Thread(target=asyncio.run, args=(main(),))
    thread.start()
    assert started.wait(TIMEOUT)
    try:
        yield running['port']
    finally:
        running['loop'].call_soon_threadsafe(running['stop'].set)
        thread.join()


def websockets_server(context: Optional[ssl.SSLContext] = None) -> contextlib.AbstractContextManager[int]:
    """``websockets``."""

    async def handle(connection: websockets.asyncio.server.ServerConnection) -> None:
        async for message in connection:
            if isinstance(message, str) and message.startswith('close '):
                _, code, reason = message.split(' ')
                await connection.close(int(code), reason)
            else:
                await connection.send(message)

    @contextlib.asynccontextmanager
    async def serve() -> AsyncIterator[int]:
        async with websockets.asyncio.server.serve(handle, '127.0.0.1', 0, ssl=context, max_size=None) as server:
            yield server.sockets[0].getsockname()[1]

    return serving(serve)


def aiohttp_server(context: Optional[ssl.SSLContext] = None) -> contextlib.AbstractContextManager[int]:
    """``aiohttp``."""

    async def handle(request: web.Request) -> web.WebSocketResponse:
        ws = web.WebSocketResponse(max_msg_size=0)
        await ws.prepare(request)
        async for message in ws:
            if message.type is aiohttp.WSMsgType.TEXT and message.data.startswith('close '):
                _, code, reason = message.data.split(' ')
                await ws.close(code=int(code), message=reason.encode())
            elif message.type is aiohttp.WSMsgType.TEXT:
                await ws.send_str(message.data)
            else:
                await ws.send_bytes(message.data)
        return ws

    @contextlib.asynccontextmanager
    async def serve() -> AsyncIterator[int]:
        application = web.Application()
        application.router.add_get('/', handle)
        runner = web.AppRunner(application)
        await runner.setup()
        await web.TCPSite(runner, '127.0.0.1', 0, ssl_context=context).start()
        yield runner.addresses[0][1]
        await runner.cleanup()

    return serving(serve)


SERVERS = {'websockets': websockets_server, 'aiohttp': aiohttp_server}
