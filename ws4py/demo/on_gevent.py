"""The demo on gevent: its WSGI server, with a greenlet for each connection and nothing monkey-patched."""

from __future__ import annotations

import signal
from typing import Any, Callable, Optional

import gevent
from gevent.event import Event

from ws4py.demo.content import Content
from ws4py.demo.running import TLSFiles
from ws4py.demo.wsgi import DemoApplication
from ws4py.server.geventserver import WSGIServer

__all__ = ['serve']


def serve(
    host: str, port: int, tls: Optional[TLSFiles], ready: Callable[[int], object], content: Optional[Content] = None
) -> None:
    """Serve until SIGINT or SIGTERM, then close every websocket with 1001 and wait for the closing handshakes.

    :param ready: called with the port as soon as clients may come, and signals too.
    :param content: what is served besides the echo; the chat by default.
    :raises OSError: the address is in use, not ours or not known; ``ready`` was not called.
    """
    options: dict[str, Any] = {'ssl_context': tls.context()} if tls else {}
    address = f'[{host}]' if ':' in host else host, port
    server = WSGIServer(address, DemoApplication(content), log=None, **options)
    server.start()
    stopped = Event()

    def stop() -> None:
        for watcher in watchers:
            watcher.cancel()  # a second signal ends the process
        stopped.set()

    # Not by the signal module: the hub may sleep on long after a signal before any Python code runs.
    watchers = [gevent.signal_handler(number, stop) for number in (signal.SIGINT, signal.SIGTERM)]
    try:
        ready(server.server_port)
        stopped.wait()
    finally:
        server.stop()
