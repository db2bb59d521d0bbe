"""The servers under test. ``python servers.py NAME`` runs one: it prints its port and ends with its standard input."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sys
import threading
from typing import Callable


def serve_ws4py() -> None:
    """Ours: wsgiref for the handshake, the manager for the rest."""
    from wsgiref.simple_server import make_server

    from ws4py.server.wsgirefserver import WebSocketWSGIRequestHandler, WSGIServer
    from ws4py.server.wsgiutils import WebSocketWSGIApplication
    from ws4py.websocket import EchoWebSocket

    application = WebSocketWSGIApplication(handler_cls=EchoWebSocket)
    with make_server('127.0.0.1', 0, application, WSGIServer, WebSocketWSGIRequestHandler) as server:
        server.initialize_websockets_manager()
        threading.Thread(target=server.serve_forever).start()
        print(server.server_port, flush=True)
        sys.stdin.read()
        server.shutdown()


def serve_websockets() -> None:
    """``websockets`` on asyncio."""
    from websockets.asyncio.server import serve

    async def echo(connection) -> None:
        async for message in connection:
            await connection.send(message)

    async def main() -> None:
        async with serve(echo, '127.0.0.1', 0, compression=None, max_size=None) as server:
            await announce(server.sockets[0].getsockname()[1])

    asyncio.run(main())


def serve_aiohttp() -> None:
    """``aiohttp``."""
    from aiohttp import web

    async def echo(request: web.Request) -> web.WebSocketResponse:
        ws = web.WebSocketResponse(compress=False, max_msg_size=0)
        await ws.prepare(request)
        async for message in ws:
            await ws.send_bytes(message.data)
        return ws

    async def main() -> None:
        application = web.Application()
        application.router.add_get('/', echo)
        runner = web.AppRunner(application)
        await runner.setup()
        site = web.TCPSite(runner, '127.0.0.1', 0)
        await site.start()
        await announce(runner.addresses[0][1])
        await runner.cleanup()

    asyncio.run(main())


async def announce(port: int) -> None:
    """Print the port, and wait for the end of the standard input without stopping the loop."""
    print(port, flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


SERVERS: dict[str, Callable[[], None]] = {
    'ws4py': serve_ws4py,
    'websockets': serve_websockets,
    'aiohttp': serve_aiohttp,
}

if __name__ == '__main__':
    logging.disable(logging.ERROR)  # connections that end without a Close frame are no news here
    with contextlib.suppress(KeyboardInterrupt):
        SERVERS[sys.argv[1]]()
