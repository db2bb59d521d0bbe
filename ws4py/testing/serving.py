"""A server on a free port for as long as a test needs it.

For what is to be seen on real sockets: a client of another make, a browser, an ``async def`` handler. The server runs
in a thread of its own; leaving the context closes every connection and returns when every ``closed()`` has run::

    with serve(EchoWebSocket) as server:
        client = Client(server.url)

:mod:`ws4py.testing.fixtures` makes a fixture of it for pytest.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import threading
import time
from collections.abc import Iterator
from typing import Any, Callable, Optional
from wsgiref.simple_server import make_server

from ws4py.server import asyncioserver
from ws4py.server.wsgirefserver import WebSocketWSGIRequestHandler, WSGIServer
from ws4py.server.wsgiutils import WebSocketWSGIApplication
from ws4py.websocket import WebSocket

__all__ = ['BACKENDS', 'Serving', 'serve', 'until']

HOST = '127.0.0.1'
TIMEOUT = 10.0  # seconds
TICK = 0.002


class Serving:
    """A server that is running. Its attributes may be read in any thread.

    :ivar port: the port.
    :ivar url: where clients go, ``ws://127.0.0.1:…/``, or wss.
    """

    def __init__(self, port: int, secure: bool, connections: Callable[[], list[WebSocket]]) -> None:
        self.port = port
        self.url = f'{"wss" if secure else "ws"}://{"localhost" if secure else HOST}:{port}/'
        self._connections = connections

    @property
    def connections(self) -> list[WebSocket]:
        """The server's ends of the connections of this moment. A client may be open a moment earlier than these."""
        return self._connections()


@contextlib.contextmanager
def serve(
    handler_cls: Any,
    backend: str = 'wsgiref',
    *,
    ssl_context: Optional[ssl.SSLContext] = None,
    **terms: Any,
) -> Iterator[Serving]:
    """Serve *handler_cls* on a free port of the loopback, in a thread; a context manager.

    :param handler_cls: the class of the websockets. On asyncio it may have ``async def`` hooks, or be a mapping from
        paths to classes.
    :param backend: ``'wsgiref'``, with a manager, or ``'asyncio'``.
    :param ssl_context: to serve wss; its certificate is one for ``localhost``.
    :param terms: what every server takes: ``protocols``, ``extensions``, ``origins``, ``process_request``, ``limits``,
        and what else :class:`ws4py.policy.Policy` describes.
    :raises ValueError: there is no such backend.
    """
    if backend not in BACKENDS:
        raise ValueError(f'{backend!r} is no backend (expected one of {", ".join(BACKENDS)})')
    with BACKENDS[backend](handler_cls, ssl_context, terms) as serving:
        yield serving


@contextlib.contextmanager
def _on_wsgiref(handler_cls: Any, ssl_context: Optional[ssl.SSLContext], terms: dict[str, Any]) -> Iterator[Serving]:
    application = WebSocketWSGIApplication(handler_cls=handler_cls, **terms)
    with make_server(HOST, 0, application, WSGIServer, WebSocketWSGIRequestHandler) as server:
        server.ssl_context = ssl_context
        server.initialize_websockets_manager()
        thread = threading.Thread(target=server.serve_forever, args=(TICK,), name='serve', daemon=True)
        thread.start()
        try:
            yield Serving(server.server_port, ssl_context is not None, lambda: list(server.manager))
        finally:
            server.shutdown()
            thread.join()


@contextlib.contextmanager
def _on_asyncio(handler_cls: Any, ssl_context: Optional[ssl.SSLContext], terms: dict[str, Any]) -> Iterator[Serving]:
    loop = asyncio.new_event_loop()
    server = asyncioserver.serve(handler_cls, HOST, 0, ssl=ssl_context, **terms)

    async def start() -> asyncioserver.Server:
        return await server

    async def stop() -> None:
        server.close()
        await server.wait_closed()

    thread = threading.Thread(target=loop.run_forever, name='serve', daemon=True)
    thread.start()
    try:
        asyncio.run_coroutine_threadsafe(start(), loop).result()
        port = server.sockets[0].getsockname()[1]
        try:
            yield Serving(port, ssl_context is not None, lambda: list(server.websockets))
        finally:
            asyncio.run_coroutine_threadsafe(stop(), loop).result()
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


#: The backends of :func:`serve` by their names.
BACKENDS: dict[str, Callable[..., contextlib.AbstractContextManager[Serving]]] = {
    'wsgiref': _on_wsgiref,
    'asyncio': _on_asyncio,
}


def until(condition: Callable[[], Any], timeout: float = TIMEOUT) -> Any:
    """Wait until *condition* is true, and return what it says: for what another thread is about to do.

    :param timeout: seconds that it is waited for.
    :raises AssertionError: it was not true in time.
    """
    end = time.monotonic() + timeout
    while True:
        found = condition()
        if found:
            return found
        if time.monotonic() > end:
            raise AssertionError(f'not true within {timeout:g} s: {condition}')
        time.sleep(TICK)
