"""gevent's WSGI server with websockets.

::

    server = WSGIServer(('localhost', 9000), WebSocketWSGIApplication(handler_cls=EchoWebSocket))
    server.serve_forever()

Requests are gevent's matter, and all of them go to the application, which is any WSGI application. When it answers an
upgrade with a websocket (:mod:`ws4py.server.wsgiutils`), the greenlet of that connection becomes the websocket's and
runs its hooks until it ends (:mod:`ws4py.greenlets`): a connection is one greenlet from its beginning to its end. So
``spawn=Pool(100)``, gevent's way to limit connections, counts websockets like requests.

What gevent leaves open is bounded here by ``limits``: each request's head, and the TLS handshake before the first, has
``handshake_timeout`` to come in, which is also how long a connection may be idle between two requests; a head may have
``head_size`` bytes. Everything here belongs to the thread of the hub, unless it is said otherwise.
"""

from __future__ import annotations

import contextlib
import functools
import http.client
import logging
import signal
import socket
import ssl
import time
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, Callable, Optional, Union

import gevent
from gevent import pywsgi
from gevent.event import Event
from gevent.lock import DummySemaphore
from gevent.pool import Group

from ws4py import closecode, timers
from ws4py.broadcasting import broadcast
from ws4py.exc import HTTPError
from ws4py.greenlets import GreenletDriver, hurry, wrap_tls
from ws4py.handshake import refuse
from ws4py.http11 import parse_fields
from ws4py.limits import DEFAULT_LIMITS, Limits
from ws4py.messaging import Message, Payload
from ws4py.server.wsgiutils import WebSocketWSGIApplication
from ws4py.websocket import WebSocket

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

__all__ = ['GEventWebSocketPool', 'WSGIServer', 'WebSocketWSGIApplication', 'WebSocketWSGIHandler']

logger = logging.getLogger('ws4py')

SHUTTING_DOWN = closecode.GOING_AWAY, 'Server is shutting down'


class GEventWebSocketPool(Group):  # type: ignore[misc]  # gevent has no types
    """The greenlets of the websockets of a server."""

    # gevent's server looks here for what limits its connections, and accepts no more while it is taken.
    _semaphore: Any = DummySemaphore()

    def __init__(self) -> None:
        super().__init__()
        self._websockets: dict[WebSocket, None] = {}

    @property
    def websockets(self) -> list[WebSocket]:
        """The websockets, the oldest first; from any thread."""
        return list(self._websockets)

    def track(self, websocket: WebSocket) -> gevent.Greenlet:
        """Run *websocket*, whose socket is one of gevent's, in a greenlet of its own."""
        driver = GreenletDriver(websocket)
        self._websockets[websocket] = None
        return self.spawn(self._run, driver)

    def run(self, websocket: WebSocket) -> None:
        """Run *websocket* in this greenlet; returns when it has ended."""
        greenlet = gevent.getcurrent()
        if not isinstance(greenlet, gevent.Greenlet):  # a raw one, of which nobody could await the end
            self.track(websocket).join()
            return
        driver = GreenletDriver(websocket)
        self._websockets[websocket] = None
        self.add(greenlet)
        try:
            self._run(driver)
        finally:
            self.discard(greenlet)

    def _run(self, driver: GreenletDriver) -> None:
        try:
            driver.run()
        finally:
            self._websockets.pop(driver.websocket, None)

    def broadcast(self, message: Union[Payload, Message, Iterable[Payload]], binary: bool = False) -> None:
        """Send *message* to every websocket, without waiting for any of them; from any thread. What fails is logged."""
        with hurry():
            broadcast(self.websockets, message, binary)

    def clear(self, spread: float = 0.0) -> None:
        """Begin the closing handshake with 1001 on every websocket, for whose end ``join()`` waits; from any thread.

        :param spread: seconds over which that is spread evenly, the oldest one first, and which this takes in the
            greenlet that calls it; fewer when all have gone before.
        """
        websockets, begin = self.websockets, time.monotonic()
        for websocket, delay in zip(websockets, timers.spread(len(websockets), spread)):
            if delay and self.join(max(0, begin + delay - time.monotonic())):
                return  # nobody is left
            try:
                websocket.close(*SHUTTING_DOWN)
            except Exception:  # of an application that overrides close()
                logger.info('%r could not be closed', websocket, exc_info=True)


class WebSocketWSGIHandler(pywsgi.WSGIHandler):  # type: ignore[misc]  # as above
    """Handles the requests of one connection, and then its websocket if there is one."""

    #: That a client has gone is no failure, over TLS either.
    ignored_socket_errors = (*pywsgi.WSGIHandler.ignored_socket_errors, ssl.SSL_ERROR_EOF)

    server: WSGIServer
    socket: Any
    environ: Any
    rfile: Any
    response_headers: Any
    websocket: Optional[WebSocket] = None
    _deadline: Any = None

    def handle(self) -> None:
        """Handle requests until one becomes a websocket, or there are no more."""
        try:
            super().handle()
        except OSError as error:  # it has not heard why it was refused
            logger.debug('the connection of %s broke: %s', self.client_address, error)
        pool, websocket = self.server.pool, self.websocket
        self.__dict__.clear()  # nothing of the request has to stay for as long as the websocket
        if websocket is not None:
            pool.run(websocket)

    def handle_one_request(self) -> Any:
        """Read a request and answer it."""
        seconds = self.server.limits.handshake_timeout
        with gevent.Timeout(seconds, TimeoutError(f'no request within {seconds} s')) as self._deadline:
            return super().handle_one_request()

    def MessageClass(self, rfile: Any, *args: Any) -> Any:
        """Read the headers of the request."""
        return super().MessageClass(_Head(rfile, self.server.limits), *args)

    def _handle_client_error(self, ex: Exception) -> Any:
        """The answer to a request that could not be read."""
        if isinstance(ex, http.client.HTTPException):
            ex = HTTPError(431, str(ex))
        elif isinstance(ex, TimeoutError):
            ex = HTTPError(408, str(ex))
        if isinstance(ex, HTTPError):
            logger.info('a request of %s is refused with %d, %s', self.client_address, ex.status, ex)
            return str(ex.status), refuse(ex.status, ex.msg).build()
        if isinstance(ex, OSError):
            logger.debug('no request of %s: %s', self.client_address, ex)
            return '400', b''
        return super()._handle_client_error(ex)

    def get_environ(self) -> WSGIEnvironment:
        """The environ of the request, with its socket as ``ws4py.socket``."""
        environ: WSGIEnvironment = super().get_environ()
        environ['ws4py.socket'] = self.socket
        return environ

    def start_response(self, status: str, headers: Any, exc_info: Any = None) -> Any:
        """As PEP 3333 has it.

        :raises RuntimeError: the application accepts an upgrade, but what it was called with is not our environ.
        """
        if self._is_upgrade(status) and 'ws4py.websocket' not in self.environ:
            raise RuntimeError("status 101 without a 'ws4py.websocket' in the environ; does a middleware copy that?")
        write = super().start_response(status, headers, exc_info)
        options = ','.join(value for name, value in headers if name.lower() == 'connection')
        if 'close' in (option.strip().lower() for option in options.split(',')):
            self.close_connection = True  # gevent knows it only where it stands alone
        return write

    def finalize_headers(self) -> None:
        """Add the headers that are the server's own."""
        super().finalize_headers()
        if self._is_upgrade(self.status.decode('latin-1')):  # RFC 9110 section 8.6: no Content-Length in a 1xx
            self.response_headers = [header for header in self.response_headers if header[0] != b'Content-Length']

    def handle_one_response(self) -> None:
        """Run the application. If there is a websocket now, the connection is no longer the request's."""
        self._deadline.close()
        super().handle_one_response()
        self.environ.pop('ws4py.socket', None)
        websocket = self.environ.pop('ws4py.websocket', None)
        if websocket is None:
            return
        if self.code != 101 or self.close_connection:  # something else was answered, or nobody is there to hear it
            self.close_connection = True
            websocket.terminate()
            return
        with contextlib.suppress(OSError):  # a Unix socket
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        websocket.buf = _buffered(self.socket, self.rfile)
        self.rfile.close()
        self.socket = None  # so it stays open
        if self.server.started:
            self.websocket = websocket
        else:  # it came too late
            websocket.close(*SHUTTING_DOWN)
            websocket.terminate()

    def _is_upgrade(self, status: str) -> bool:
        return status[:3] == '101' and self.environ.get('HTTP_UPGRADE', '').lower() == 'websocket'


class WSGIServer(pywsgi.WSGIServer):  # type: ignore[misc]  # as above
    """gevent's WSGI server, whose application may accept websockets.

    :param listener: an address or a socket, and more, as for ``gevent.pywsgi.WSGIServer``. ``spawn`` may be a pool of
        gevent or its size, and then limits all connections, those of websockets included.
    :param limits: bounds of the requests (see above), and the close timeout of :meth:`stop`. Those of the websockets,
        and how many there may be, are the application's.
    :param options: ``ssl_context``, or ``certfile`` and ``keyfile`` (besides ``ca_certs``, ``cert_reqs``,
        ``ciphers``), make it a server of HTTPS and wss; more, as for ``gevent.pywsgi.WSGIServer``.
    :ivar pool: the :class:`GEventWebSocketPool` of its websockets.
    """

    handler_class = WebSocketWSGIHandler
    pool: GEventWebSocketPool
    _goodbyes: Any = None  # an event: all that a stop() has to say over a period is said

    def __init__(
        self, listener: Any, application: Any = None, *args: Any, limits: Limits = DEFAULT_LIMITS, **options: Any
    ) -> None:
        self.limits = limits
        if 'certfile' in options:
            options['ssl_context'] = _tls_context(options)
        context = options.get('ssl_context')
        super().__init__(listener, application, *args, **options)
        if context is not None:
            self.wrap_socket = functools.partial(wrap_tls, context)
        self._connections: Any = self.pool  # which is the pool that was given
        self.pool = GEventWebSocketPool()
        if self._connections is not None:
            self.pool._semaphore = self._connections._semaphore

    def wrap_socket_and_handle(self, client_socket: Any, address: Any) -> None:
        """Do the TLS handshake, then handle requests."""
        seconds = self.limits.handshake_timeout
        try:
            with gevent.Timeout(seconds, TimeoutError(f'no TLS handshake within {seconds} s')):
                sock = self.wrap_socket(client_socket, **self.ssl_args)
        except OSError as error:
            logger.info('TLS with %s failed: %s', address, error)
            return
        with contextlib.closing(sock):
            self.handle(sock, address)

    def serve_forever(self, stop_timeout: Optional[float] = None) -> None:
        """Serve until :meth:`stop` or :meth:`close` is called, and then stop.

        Ctrl-C has the same effect, and then ``KeyboardInterrupt`` goes to the caller, where the program has no handler
        of its own for that signal. A second Ctrl-C does not wait.
        """
        with _interrupts(self.close) as interrupts:
            super().serve_forever(stop_timeout)
        if interrupts:
            raise KeyboardInterrupt

    def stop(self, timeout: Optional[float] = None, spread: Optional[float] = None) -> None:
        """Stop listening, close all websockets with 1001, and wait until each has ended.

        Requests of a pool that was given as ``spawn`` are waited for as well, but no longer than ``stop_timeout``.
        What remains after its time is killed. A hook may call this too, and then it does not wait.

        :param timeout: seconds; None for the close timeout of :attr:`limits`.
        :param spread: seconds over which the closing of the websockets is spread before that, so that clients do not
            come back all at once. None is 0 or, while another call spreads it, leaves that as it is.
        """
        self.close()
        if gevent.getcurrent() in self.pool:
            gevent.spawn(self.stop, timeout, spread)
            return
        if spread is not None:
            self._goodbyes = goodbyes = Event()
            try:
                self.pool.clear(spread)
            finally:
                goodbyes.set()
        elif self._goodbyes is not None:  # serve_forever() calls this too, when it notices that another one does
            self._goodbyes.wait()
        else:
            self.pool.clear()
        patience = self.limits.close_timeout if timeout is None else timeout
        end = time.monotonic() + patience
        self._end(self.pool, patience)
        if self._connections is not None:
            self._end(self._connections, max(0, min(self.stop_timeout, end - time.monotonic())))

    def _end(self, group: Group, patience: float) -> None:
        group.join(patience)
        group.kill(timeout=self.stop_timeout)


class _Head:
    """A file to read the headers of a request from, which holds them to the rules of :mod:`ws4py.http11`.

    gevent would pass over what a proxy may have understood in another way.
    """

    def __init__(self, rfile: Any, limits: Limits) -> None:
        self._rfile = rfile
        self._limits = limits
        self._left = limits.head_size
        self._lines: list[bytes] = []

    def readline(self, size: int) -> bytes:
        """A line.

        :raises HTTPError: 431 there are too many bytes or lines, 400 one of them is malformed.
        """
        line: bytes = self._rfile.readline(min(size, self._left + 1))
        self._left -= len(line)
        if self._left < 0:
            raise HTTPError(431, 'the head of the request is too large')
        if line and not line.endswith(b'\r\n'):
            raise HTTPError(400, 'a line that ends with a bare LF (expected CR LF)')
        self._lines.append(line)
        if line == b'\r\n':
            parse_fields(b''.join(self._lines).decode('latin-1'), self._limits)
        return line


@contextlib.contextmanager
def _interrupts(stop: Callable[[], object]) -> Iterator[list[str]]:
    """In the ``with`` block Ctrl-C calls *stop*, once.

    Left alone it would strike whatever greenlet is running, a websocket's like any other, or be noticed late.
    """
    found: list[str] = []
    if not gevent.get_hub().main_hub or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield found
        return

    def restore() -> None:
        watcher.cancel()
        signal.signal(signal.SIGINT, signal.default_int_handler)  # the loop has left the system's own

    def interrupt() -> None:
        found.append('Ctrl-C')
        restore()
        stop()

    watcher = gevent.signal_handler(signal.SIGINT, interrupt)
    try:
        yield found
    finally:
        if not found:
            restore()


def _buffered(sock: Any, rfile: Any) -> bytes:
    """What was read from *sock* behind the request."""
    sock.setblocking(False)  # with nothing in its buffer a file would wait for the socket
    try:
        return bytes(rfile.read1(-1))
    except OSError:
        return b''


def _tls_context(options: dict[str, Any]) -> ssl.SSLContext:
    """A context of what was to be given to ``ssl.wrap_socket``, which Python does not have any more."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=options.pop('ca_certs', None))
    context.load_cert_chain(options.pop('certfile'), options.pop('keyfile', None))
    context.verify_mode = options.pop('cert_reqs', ssl.CERT_NONE)
    if 'ciphers' in options:
        context.set_ciphers(options.pop('ciphers'))
    return context
