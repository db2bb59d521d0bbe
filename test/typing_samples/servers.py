"""The servers on the standard library, and the terms that all of them take."""

from __future__ import annotations

import asyncio
import ssl
from typing import Optional
from wsgiref.simple_server import make_server

from handlers import AsyncEcho, Chat

from ws4py.exc import HTTPError
from ws4py.http11 import Request, Response
from ws4py.limits import Limits
from ws4py.permessage_deflate import PerMessageDeflate
from ws4py.server.asyncioserver import Server, serve
from ws4py.server.wsgirefserver import WebSocketWSGIRequestHandler, WSGIServer
from ws4py.server.wsgiutils import WebSocketWSGIApplication


def health(request: Request) -> Optional[Response]:
    if request.target == '/health':
        return Response(200, body=b'ok\n')
    if request.headers.get('Cookie') is None:
        raise HTTPError(401, 'who are you?')
    return None


async def slowly(request: Request) -> Optional[Response]:
    await asyncio.sleep(0.1)
    return None


def newest(request: Request, offered: list[str]) -> Optional[str]:
    return max(offered, default=None)


def on_wsgiref() -> None:
    application = WebSocketWSGIApplication(
        ['chat'],
        [PerMessageDeflate(level=3)],
        Chat,
        heartbeat_freq=30.0,
        origins=['https://example.com'],
        process_request=health,
        limits=Limits(connections=100),
    )
    with make_server('127.0.0.1', 9000, application, WSGIServer, WebSocketWSGIRequestHandler) as server:
        server.ssl_context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        server.initialize_websockets_manager()
        server.serve_forever()


async def on_asyncio() -> None:
    async with serve(
        {'/': Chat, '/async': AsyncEcho},
        '127.0.0.1',
        0,
        extensions=['permessage-deflate'],
        select_subprotocol=newest,
        process_request=[health, slowly],
        trusted_proxies=['10.0.0.0/8'],
    ) as server:
        tell(server)
        await server.serve_forever()


def tell(server: Server) -> None:
    port: int = server.sockets[0].getsockname()[1]
    server.broadcast(f'port {port}, {len(server.websockets)} clients')
    server.close(1001, 'going away', spread=10.0)
