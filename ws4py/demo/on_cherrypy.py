"""The demo on CherryPy: page handlers, and the websockets' tool and plugin."""

from __future__ import annotations

import logging
import socket
import threading
from typing import Any, Callable, Optional

import cherrypy

from ws4py.demo.content import Content
from ws4py.demo.pages import Answer
from ws4py.demo.running import TLSFiles, signals
from ws4py.demo.site import DemoSite
from ws4py.server.cherrypyserver import WebSocketPlugin, WebSocketTool

__all__ = ['Site', 'serve']


class Site:
    """The page handlers.

    :param site: the demo.
    """

    def __init__(self, site: DemoSite) -> None:
        self._site = site

    @cherrypy.expose  # type: ignore[untyped-decorator]
    def default(self, *path: str, **query: str) -> Optional[bytes]:
        """Answer. The tool has made a websocket of the connection where that is asked for, unless we set a status."""
        request = cherrypy.request
        origin, host = request.headers.get('Origin'), request.headers.get('Host')
        answered: Optional[Answer] = self._site.answer(request.method, request.path_info, origin, host)
        if answered is None:
            return None
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
    site = DemoSite(content)
    tool = 'tools.websocket'
    config = {path: {f'{tool}.on': True, f'{tool}.handler_cls': handler} for path, handler in site.handlers.items()}
    cherrypy.tree.mount(Site(site), '', config)
    stopped = threading.Event()
    with signals(stopped.set):
        try:
            cherrypy.engine.start()
            ready(cherrypy.server.bound_addr[1])
            while not stopped.wait(1):  # Windows does not interrupt a wait without an end
                pass
        finally:
            cherrypy.engine.exit()
