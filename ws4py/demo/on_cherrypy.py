"""The demo on CherryPy: page handlers, and the websockets' tool and plugin."""

from __future__ import annotations

import functools
import logging
import socket
import threading
from typing import Any, Callable, Optional

import cherrypy

from ws4py.demo.chat import ChatWebSocket, Room
from ws4py.demo.content import Content
from ws4py.demo.pages import Answer, refuse_foreign
from ws4py.demo.running import TLSFiles, signals
from ws4py.server.cherrypyserver import WebSocketPlugin, WebSocketTool
from ws4py.websocket import EchoWebSocket

__all__ = ['Site', 'serve']


class Site:
    """The page handlers.

    :param content: what there is besides the echo; the page and the chat by default.
    """

    def __init__(self, content: Optional[Content] = None) -> None:
        self._content = content or Content()

    @cherrypy.expose  # type: ignore[untyped-decorator]
    def default(self, *path: str, **query: str) -> bytes:
        """Everything that is not for a websocket."""
        return _give(self._content.answer(cherrypy.request.method, cherrypy.request.path_info))

    @cherrypy.expose  # type: ignore[untyped-decorator]
    def ws(self, **query: str) -> Optional[bytes]:
        """The tool has made a websocket of this connection, unless another status is set here."""
        if not self._content.chat:
            return self.default()  # type: ignore[no-any-return]
        headers = cherrypy.request.headers
        refused = refuse_foreign(headers.get('Origin'), headers.get('Host'))
        return None if refused is None else _give(refused)

    @cherrypy.expose  # type: ignore[untyped-decorator]
    def echo(self, **query: str) -> None:
        """The same, for everybody."""


def _give(answered: Answer) -> bytes:
    cherrypy.response.status = answered.status
    cherrypy.response.headers.update(dict(answered.headers))
    return answered.body


def serve(
    host: str, port: int, tls: Optional[TLSFiles], ready: Callable[[int], object], content: Optional[Content] = None
) -> None:
    """Serve until SIGINT or SIGTERM, then close every websocket with 1001 and wait for the closing handshakes.

    :param ready: called with the port as soon as clients may come, and signals too.
    :param content: what is served besides the echo; the chat by default.
    :raises OSError: the address is in use, not ours or not known; ``ready`` was not called.
    """
    family = socket.AF_INET6 if ':' in host else socket.AF_INET
    socket.create_server((host, port), family=family).close()  # CherryPy would end the process if it could not listen
    settings: dict[str, Any] = {
        'server.socket_host': host,
        'server.socket_port': port,
        'server.shutdown_timeout': 1,  # seconds; browsers keep connections open that they do not use
        'engine.autoreload.on': False,
        'checker.on': False,
        'log.screen': False,
    }
    if tls:
        settings.update({'server.ssl_certificate': tls.certificate, 'server.ssl_private_key': tls.key})
    cherrypy.config.update(settings)
    cherrypy.log.error_log.setLevel(logging.WARNING)
    cherrypy.log.error_log.addHandler(logging.StreamHandler())
    cherrypy.tools.websocket = WebSocketTool()
    WebSocketPlugin(cherrypy.engine).subscribe()
    handlers: dict[str, Callable[..., Any]] = {'/echo': EchoWebSocket}
    if content is None or content.chat:
        handlers['/ws'] = functools.partial(ChatWebSocket, room=Room())
    tool = 'tools.websocket'
    config = {path: {f'{tool}.on': True, f'{tool}.handler_cls': handler} for path, handler in handlers.items()}
    cherrypy.tree.mount(Site(content), '', config)
    stopped = threading.Event()
    with signals(stopped.set):
        try:
            cherrypy.engine.start()
            ready(cherrypy.server.bound_addr[1])
            while not stopped.wait(1):  # Windows does not interrupt a wait without an end
                pass
        finally:
            cherrypy.engine.exit()
