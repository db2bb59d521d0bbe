"""The demo on the standard library's wsgiref."""

from __future__ import annotations

import threading
from typing import Callable, Optional

from ws4py.demo.content import Content
from ws4py.demo.running import TLSFiles, signals
from ws4py.demo.wsgi import DemoApplication
from ws4py.server.wsgirefserver import WebSocketWSGIRequestHandler, WSGIServer

__all__ = ['make_server', 'serve']


def make_server(host: str, port: int, tls: Optional[TLSFiles] = None, content: Optional[Content] = None) -> WSGIServer:
    """Return a server of the demo that listens already.

    :param port: 0 takes a free one, see ``server_address`` of the result.
    :raises OSError: the address is in use, not ours or not known.
    """
    context = tls.context() if tls else None
    server = WSGIServer((host, port), WebSocketWSGIRequestHandler, ssl_context=context)
    server.set_app(DemoApplication(content))
    return server


def serve(
    host: str, port: int, tls: Optional[TLSFiles], ready: Callable[[int], object], content: Optional[Content] = None
) -> None:
    """Serve until SIGINT or SIGTERM, then close every websocket with 1001 and wait for the closing handshakes.

    :param ready: called with the port as soon as clients may come, and signals too.
    :param content: what is served besides the echo; the chat by default.
    :raises OSError: the address is in use, not ours or not known; ``ready`` was not called.
    """
    server = make_server(host, port, tls, content)

    def stop() -> None:
        # shutdown() waits for the end of serve_forever(), which the signal interrupts: so not in this thread.
        threading.Thread(target=server.shutdown, daemon=True).start()

    with signals(stop):
        try:
            ready(server.server_port)
            server.serve_forever(poll_interval=0.1)
        finally:
            server.server_close()
