"""The demo on Tornado: request handlers, and a websocket mounted in two routes."""

from __future__ import annotations

import asyncio
import urllib.parse
from typing import Any, Callable, Optional

from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets
from tornado.web import Application, RequestHandler

from ws4py.demo.content import Content
from ws4py.demo.running import TLSFiles, signals
from ws4py.demo.site import DemoSite
from ws4py.server.tornadoserver import WebSocketHandler, close_all

__all__ = ['DemoHandler', 'PageHandler', 'serve']


class PageHandler(RequestHandler):
    """Everything that is not for a websocket."""

    def prepare(self) -> None:
        """Answer, whatever the method is."""
        if not _answer(self):  # the path of a websocket, written in another way
            self.send_error(404)

    def compute_etag(self) -> None:
        """None: the page is small."""


class DemoHandler(WebSocketHandler):
    """A websocket, unless the demo has another answer."""

    def prepare(self) -> Any:
        """Refuse a page of another site."""
        return None if _answer(self) else super().prepare()


def _answer(handler: RequestHandler) -> bool:
    """Send what the demo answers; False where that is left to the websocket."""
    site: DemoSite = handler.settings['site']
    request = handler.request
    assert request.method is not None
    origin, host = request.headers.get('Origin'), request.headers.get('Host')
    answered = site.answer(request.method, urllib.parse.unquote(request.path), origin, host)
    if answered is None:
        return False
    handler.set_status(answered.status)
    for name, value in answered.headers:
        handler.set_header(name, value)
    handler.finish(answered.body)
    return True


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
    application = Application(
        [(path, DemoHandler, {'handler_cls': handler}) for path, handler in site.handlers.items()],
        default_handler_class=PageHandler,
        site=site,
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
