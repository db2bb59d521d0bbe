"""The demo on gevent: its WSGI server, with a greenlet for each connection and nothing monkey-patched."""

from __future__ import annotations

from typing import Any, Callable, Optional

from gevent.event import Event

from ws4py.demo.running import TLSFiles, signals
from ws4py.demo.wsgi import DemoApplication
from ws4py.server.geventserver import WSGIServer

__all__ = ['serve']


def serve(host: str, port: int, tls: Optional[TLSFiles], ready: Callable[[int], object]) -> None:
    """Serve until SIGINT or SIGTERM, then close every websocket with 1001 and wait for the closing handshakes.

    :param ready: called with the port as soon as clients may come, and signals too.
    :raises OSError: the address is in use, not ours or not known; ``ready`` was not called.
    """
    options: dict[str, Any] = {'ssl_context': tls.context()} if tls else {}
    address = f'[{host}]' if ':' in host else host, port
    server = WSGIServer(address, DemoApplication(), log=None, **options)
    server.start()
    stopped = Event()
    with signals(stopped.set):
        try:
            ready(server.server_port)
            stopped.wait()
        finally:
            server.stop()
