"""The demo on Tornado: request handlers, and a websocket mounted in two routes."""

from __future__ import annotations

import asyncio
import functools
import urllib.parse
from typing import Any, Callable, Optional

from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets
from tornado.web import Application, RequestHandler

from ws4py.demo.chat import ChatWebSocket, Room
from ws4py.demo.content import Content
from ws4py.demo.pages import Answer, refuse_foreign
from ws4py.demo.running import TLSFiles, signals
from ws4py.server.tornadoserver import WebSocketHandler, close_all
from ws4py.websocket import EchoWebSocket

__all__ = ['ChatHandler', 'PageHandler', 'serve']


class PageHandler(RequestHandler):
    """Everything that is not for a websocket."""

    def initialize(self, content: Content) -> None:
        """Know what there is."""
        self._content = content

    def prepare(self) -> None:
        """Answer, whatever the method is."""
        assert self.request.method is not None
        _give(self, self._content.answer(self.request.method, urllib.parse.unquote(self.request.path)))

    def compute_etag(self) -> None:
        """None: the page is small."""


class ChatHandler(WebSocketHandler):
    """The chat, for its own page only."""

    def prepare(self) -> Any:
        """Refuse a page of another site."""
        refused = refuse_foreign(self.request.headers.get('Origin'), self.request.headers.get('Host'))
        return super().prepare() if refused is None else _give(self, refused)


def _give(handler: RequestHandler, answered: Answer) -> None:
    handler.set_status(answered.status)
    for name, value in answered.headers:
        handler.set_header(name, value)
    handler.finish(answered.body)


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
    routes: list[Any] = [('/echo', WebSocketHandler, {'handler_cls': EchoWebSocket})]
    if content.chat:
        routes.append(('/ws', ChatHandler, {'handler_cls': functools.partial(ChatWebSocket, room=Room())}))
    application = Application(
        routes,
        default_handler_class=PageHandler,
        default_handler_args={'content': content},
        log_function=lambda handler: None,
    )
    server = HTTPServer(application, ssl_options=tls.context() if tls else None)
    sockets = bind_sockets(port, host)
    server.add_sockets(sockets)
    loop, stopped = asyncio.get_running_loop(), asyncio.Event()
    with signals(lambda: loop.call_soon_threadsafe(stopped.set)):
        try:
            ready(sockets[0].getsockname()[1])
            await stopped.wait()
        finally:
            server.stop()
            await close_all(application)
            await server.close_all_connections()
