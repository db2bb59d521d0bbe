"""WebSockets on the WSGI server of the standard library, for demos, tests and small tools.

::

    server = make_server('', 9000, server_class=WSGIServer, handler_class=WebSocketWSGIRequestHandler,
                         app=WebSocketWSGIApplication(handler_cls=EchoWebSocket))
    server.initialize_websockets_manager()
    server.serve_forever()

Who does what, in which thread:

- the thread of ``serve_forever()`` accepts connections and nothing else, so no client can keep others out;
- each request has a daemon thread to itself, which does the TLS handshake, reads the head before one deadline, and
  calls the WSGI application. There are at most :attr:`WSGIServer.max_requests` of them: the one that has been waiting
  longest for its client's head is dropped for a new one. A thread that is done takes the next request, and ends when
  there is none for a moment;
- a request that became a websocket goes to the :class:`~ws4py.websocket.WebSocket` manager's thread.

The head is read by :mod:`ws4py.http11`, not by ``http.server``: the same rules and limits hold as everywhere, and what
a client sends behind its upgrade request is the beginning of the stream. It is still wsgiref: one request for
each connection, no chunked bodies.
"""

from __future__ import annotations

import contextlib
import errno
import io
import logging
import queue
import re
import socket
import ssl
import sys
import threading
import time
import weakref
from http.client import HTTPMessage
from typing import Any, Optional
from wsgiref import simple_server
from wsgiref.handlers import read_environ

from ws4py import closecode
from ws4py.exc import HTTPError
from ws4py.handshake import refuse
from ws4py.http11 import Request
from ws4py.limits import DEFAULT_LIMITS, Limits
from ws4py.manager import WebSocketManager
from ws4py.opening import Deadline, read_head
from ws4py.server.wsgiutils import WebSocketWSGIApplication
from ws4py.websocket import WebSocket

__all__ = ['WSGIServer', 'WebSocketWSGIApplication', 'WebSocketWSGIHandler', 'WebSocketWSGIRequestHandler']

logger = logging.getLogger('ws4py')

LINGER = 1.0  # seconds that a refused client may go on sending, so that it gets to read why
KEEP = 0.25  # seconds that a thread waits for another request
PATIENCE = 1.0  # seconds that a new request waits for another to end, when there are too many
BLOCK = 64 * 1024  # bytes of one read
# The client that could not be accepted is still there, and would be tried again at once and without end.
EXHAUSTED = frozenset((errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM))
PAUSE = 0.5  # seconds for descriptors to come back
_LENGTH = re.compile('[0-9]{1,18}')
UPGRADE_HEADERS = ('connection', 'upgrade')
# A variable HTTP_PROXY of this process must not look like a header that the client sent.
PROCESS_ENVIRON = {key: value for key, value in read_environ().items() if not key.startswith('HTTP_')}


class WebSocketWSGIHandler(simple_server.ServerHandler):
    """Runs the application for one request, and hands the websocket that it made over to the server.

    Belongs to the thread of its request. ``request_handler`` has to be set before :meth:`run`.
    """

    #: Of the status line; below 1.1 no client takes an upgrade (RFC 6455 section 4.2.2).
    http_version = '1.1'

    os_environ = PROCESS_ENVIRON
    environ: dict[str, Any]
    headers: Any
    status: Optional[str]
    request_handler: Any = None
    _upgraded = False
    _websocket: Any = None

    def setup_environ(self) -> None:
        """Add the socket of the request to the environ as ``ws4py.socket``."""
        super().setup_environ()
        self.environ['ws4py.socket'] = self.request_handler.connection

    def start_response(self, status: str, headers: Any, exc_info: Any = None) -> Any:
        """As PEP 3333 has it, but an upgrade may have its two hop-by-hop headers."""
        others: list[Any] = []
        hop_by_hop: list[Any] = []
        for header in headers:
            (hop_by_hop if header[0].lower() in UPGRADE_HEADERS else others).append(header)
        write = super().start_response(status, others, exc_info)
        for name, value in hop_by_hop:
            self.headers.add_header(name, value)
        return write

    def cleanup_headers(self) -> None:
        """Add what HTTP/1.1 wants and wsgiref does not know of."""
        super().cleanup_headers()
        self.headers.setdefault('Connection', 'close')

    def send_headers(self) -> None:
        """Send the head. What a final response has to say about itself has no place in a 101 (RFC 9110 section 8.6)."""
        if self._is_upgrade():
            del self.headers['Content-Length']
            self.headers_sent = True
            self._write(f'HTTP/{self.http_version} {self.status}\r\n{self.headers}'.encode('latin-1'))
        else:
            super().send_headers()

    def finish_content(self) -> None:
        """Send what is left of the response. The application and all that is around it are through by now.

        :raises RuntimeError: a 101 without a websocket.
        """
        if self._is_upgrade() and 'ws4py.websocket' not in self.environ:
            raise RuntimeError("status 101 without a 'ws4py.websocket' in the environ; does a middleware copy that?")
        super().finish_content()
        self._flush()
        self._upgraded = self._is_upgrade()

    def finish_response(self) -> None:
        """Complete the response, then give the websocket, if there is one, to the server."""
        environ, request = self.environ, self.request_handler
        try:
            super().finish_response()
        finally:
            environ.pop('ws4py.socket', None)
            self._websocket = environ.pop('ws4py.websocket', self._websocket)
        if self._upgraded:
            websocket, self._websocket = self._websocket, None
            websocket.buf = request.rest
            request.connection.settimeout(None)
            request.server.link_websocket_to_server(websocket)

    # wsgiref knows of any other client that has gone that this is no failure, but not of one of TLS.

    def _write(self, data: Any) -> Any:
        try:
            return super()._write(data)
        except ssl.SSLEOFError as error:
            raise _reset() from error

    def _flush(self) -> None:
        try:
            super()._flush()
        except ssl.SSLEOFError as error:
            raise _reset() from error

    def run(self, application: Any) -> None:
        """Run the application. A websocket that it made in vain is ended, when the response that says so is out."""
        try:
            super().run(application)
        finally:
            if self._websocket is not None:
                self._websocket.terminate()

    def log_exception(self, exc_info: Any) -> None:
        """Log what the application raised."""
        logger.error('The WSGI application failed', exc_info=exc_info)

    def _is_upgrade(self) -> bool:
        return self.status is not None and self.status.startswith('101')


def _reset() -> ConnectionResetError:
    return ConnectionResetError(errno.ECONNRESET, 'the client has gone')


class WebSocketWSGIRequestHandler(simple_server.WSGIRequestHandler):
    """Reads one request and answers it, in the request's own thread."""

    server: WSGIServer
    wfile: Any
    timeout = 60.0  # seconds for each read of a body and each write of a response
    disable_nagle_algorithm = True
    rest = b''  # what the client sent behind its request

    def setup(self) -> None:
        """Prepare for the request, which is read from the socket itself."""
        self.connection = self.request
        self.connection.settimeout(self.timeout)
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, self.disable_nagle_algorithm)
        self.rfile = io.BytesIO()
        self.wfile = _Output(self.connection)

    def handle(self) -> None:
        """Read the head, and run the application if it is one."""
        limits = self.server.limits
        try:
            deadline = Deadline(limits.handshake_timeout)
            if hasattr(self.connection, 'do_handshake'):
                deadline.apply(self.connection)
                self.connection.do_handshake()
            head, rest = read_head(self.connection, limits, deadline)
            request = Request.parse(head, limits)
            length = _body_length(request)
        except HTTPError as error:
            self.refuse(error)
            return
        except (OSError, EOFError) as error:
            logger.debug('No request from %s: %s', self.address_string(), error)
            return
        self.server.head_complete()
        self.connection.settimeout(self.timeout)
        self._take(request)
        if length > len(rest) and '100-continue' in map(str.lower, request.headers.get_all('Expect')):
            self.connection.sendall(b'HTTP/1.1 100 Continue\r\n\r\n')
        self.rest = rest[length:]
        body: Any = io.BytesIO(rest[:length])
        if length > len(rest):
            body = io.BufferedReader(_Body(self.connection, rest, length), min(length, BLOCK))
        handler = WebSocketWSGIHandler(body, self.wfile, self.get_stderr(), self.get_environ())
        handler.request_handler = self
        handler.run(self.server.get_app())

    def refuse(self, error: HTTPError) -> None:
        """Answer with the error's status, and let the client finish talking so that it hears the answer."""
        self.log_message('refused with %d, %s', error.status, error.msg)
        deadline = Deadline(LINGER)
        with contextlib.suppress(OSError):
            deadline.apply(self.connection)
            self.connection.sendall(refuse(error.status, error.msg).build())
            self.connection.shutdown(socket.SHUT_WR)
            while self.connection.recv(BLOCK):
                deadline.apply(self.connection)

    def get_environ(self) -> Any:
        """The environ of the request as wsgiref makes it, with HTTPS for ``wsgi.url_scheme``."""
        environ = super().get_environ()
        if hasattr(self.connection, 'do_handshake'):
            environ['HTTPS'] = 'on'
        return environ

    def log_message(self, format: str, *args: Any) -> None:
        """Log to ``ws4py`` instead of the standard error output."""
        logger.info('%s ' + format, self.address_string(), *args)

    def _take(self, request: Request) -> None:
        """Set the attributes that http.server's parse_request() would have set."""
        target = request.target
        if target.startswith('//'):  # which a redirect to it would make the name of another host
            target = '/' + target.lstrip('/')
        self.command, self.path = request.method, target
        self.request_version = 'HTTP/{}.{}'.format(*request.version)
        self.requestline = f'{self.command} {request.target} {self.request_version}'
        self.close_connection = True
        self.headers = HTTPMessage()
        for name, value in request.headers.items():
            # In an environ Sec_WebSocket_Key would be the same as Sec-WebSocket-Key, and no proxy knows it.
            if '_' not in name:
                self.headers.set_raw(name, value)  # which Request.parse() has judged


class WSGIServer(simple_server.WSGIServer):
    """The server of wsgiref with websockets and a thread for each request in progress.

    :param ssl_context: to serve HTTPS and wss; a ``ssl.SSLContext`` for servers. With ``make_server`` it goes
        through ``server_class=functools.partial(WSGIServer, ssl_context=context)``, or is assigned to the attribute
        of the same name before the first client comes.
    :param limits: bounds of the requests, and the close timeout of :meth:`server_close`. Those of the websockets, and
        how many there may be, are the application's.

    ``verify_request(request, client_address)`` may be overridden to refuse clients by their address.
    """

    #: Requests in progress, each in its thread. Websockets do not count.
    max_requests = 128
    #: Seconds over which :meth:`server_close` spreads the closing of the websockets.
    shutdown_spread = 0.0
    request_queue_size = 128
    allow_reuse_port = False  # some versions of http.server would let two servers share one port

    def __init__(
        self,
        server_address: tuple[str, int],
        RequestHandlerClass: Any,
        bind_and_activate: bool = True,
        *,
        ssl_context: Optional[ssl.SSLContext] = None,
        limits: Limits = DEFAULT_LIMITS,
    ) -> None:
        self.ssl_context = ssl_context
        self.limits = limits
        self.manager: Any = None
        self._changed = threading.Condition()  # guards what follows
        self._requests: dict[threading.Thread, Any] = {}  # the socket of each request in progress, oldest first
        self._heads: dict[threading.Thread, Any] = {}  # of those whose head is still awaited
        self._idle: list[_RequestThread] = []  # threads that wait for another request
        self._upgraded: weakref.WeakSet[Any] = weakref.WeakSet()  # sockets that are the manager's
        self._closing = False
        if ':' in server_address[0]:
            self.address_family = socket.AF_INET6
        super().__init__(server_address, RequestHandlerClass, bind_and_activate)

    # ---- websockets --------------------------------------------------------------------------------------------------

    def initialize_websockets_manager(self) -> None:
        """Start the manager of the websockets, unless :attr:`manager` is set.

        The first websocket would do it as well.
        """
        with self._changed:
            if self.manager is None and not self._closing:
                self.manager = WebSocketManager()
                self.manager.start()

    def link_websocket_to_server(self, ws: WebSocket) -> None:
        """Give an open websocket to the manager, which closes its socket from now on; from any thread."""
        with self._changed:
            self._upgraded.add(ws.sock)
        if self.manager is None:
            self.initialize_websockets_manager()
        try:
            if not self._closing:
                self.manager.add(ws)
                return
        except RuntimeError as error:  # it has been stopped at this moment
            logger.info('%s', error)
        ws.close(closecode.GOING_AWAY, 'Server is shutting down')
        ws.terminate()

    def server_close(self) -> None:
        """Stop listening, drop who has not sent a request, wait for the others, close all websockets with 1001.

        Returns when every ``closed()`` has run. Requests and closing handshakes have the close timeout for that. To be
        called after ``serve_forever()`` has ended.
        """
        super().server_close()
        with self._changed:
            while self._drop_oldest():
                pass
            me = threading.current_thread()
            self._changed.wait_for(lambda: self._requests.keys() <= {me}, self.limits.close_timeout)
            self._closing = True  # what becomes a websocket from now on is too late
            while self._idle:
                self._idle.pop().requests.put(None)
        if self.manager is not None:
            if self.shutdown_spread:
                self.manager.close_all(spread=self.shutdown_spread)
            else:  # it may be the application's own, which knows of no such thing
                self.manager.close_all()
            self.manager.stop()
            self.manager.join()

    # ---- requests ----------------------------------------------------------------------------------------------------

    def get_request(self) -> tuple[Any, Any]:
        """Accept a connection. Its TLS handshake is left to the thread of the request."""
        try:
            request, address = super().get_request()
        except OSError as error:
            if error.errno in EXHAUSTED:
                logger.error('No connection can be accepted: %s', error)
                time.sleep(PAUSE)
            raise
        if self.ssl_context is not None:
            request = self.ssl_context.wrap_socket(request, server_side=True, do_handshake_on_connect=False)
        return request, address

    def process_request(self, request: Any, client_address: Any) -> None:
        """Give the connection a thread, one that is there or a new one.

        :raises RuntimeError: there is no room for it, and none was made within a moment.
        """
        with self._changed:
            if len(self._requests) >= self.max_requests:
                self._drop_oldest()
                if not self._changed.wait_for(lambda: len(self._requests) < self.max_requests, PATIENCE):
                    raise RuntimeError(f'all of the {self.max_requests} requests in progress are being answered')
            is_new = not self._idle
            thread = _RequestThread(self) if is_new else self._idle.pop()
            self._requests[thread] = self._heads[thread] = request
            thread.requests.put((request, client_address))
        if is_new:
            try:
                thread.start()
            except RuntimeError:  # no more threads
                self._forget(thread)
                raise

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Answer one request, in its own thread."""
        try:
            self.finish_request(request, client_address)
        except Exception:
            self.handle_error(request, client_address)
        finally:
            self.shutdown_request(request)
            self._forget(threading.current_thread())

    def next_request(self, thread: _RequestThread) -> Optional[tuple[Any, Any]]:
        """Wait for another request for *thread*; None when it shall end, because none comes or the server is closed."""
        with self._changed:
            if self._closing:
                return None
            self._idle.append(thread)
        try:
            return thread.requests.get(timeout=KEEP)
        except queue.Empty:
            with self._changed:
                if thread in self._idle:
                    self._idle.remove(thread)
                    return None
        return thread.requests.get()  # which was given to it just now

    def head_complete(self) -> None:
        """The request of this thread is there, it is not dropped for another one any more."""
        with self._changed:
            self._heads.pop(threading.current_thread(), None)

    def shutdown_request(self, request: Any) -> None:
        """Close a connection, unless it is a websocket's by now, or another thread is answering it."""
        with self._changed:
            if request in self._upgraded:  # for ever: Ctrl-C may make the server call this a second time
                return
            owner = next((thread for thread, taken in self._requests.items() if taken is request), None)
        if owner in (None, threading.current_thread()):  # else Ctrl-C came while it was being started
            super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Log the exception being handled, in one line if it is only the client that has gone."""
        error = sys.exc_info()[1]
        if isinstance(error, OSError):
            logger.debug('The connection of %s broke: %s', client_address, error)
        else:
            logger.error('A request of %s failed', client_address, exc_info=error)

    def _drop_oldest(self) -> bool:
        """Drop the connection that has been waiting longest for its head; the lock is held."""
        thread = next(iter(self._heads), None)
        if thread is None:
            return False
        with contextlib.suppress(OSError):
            # Its thread wakes up and ends. An SSLSocket's own shutdown() would pull TLS from under it.
            socket.socket.shutdown(self._heads.pop(thread), socket.SHUT_RDWR)
        return True

    def _forget(self, thread: threading.Thread) -> None:
        with self._changed:
            self._heads.pop(thread, None)
            self._requests.pop(thread, None)
            self._changed.notify_all()


class _RequestThread(threading.Thread):
    """Answers one request after another, for as long as a next one comes soon: a thread costs more than a request.

    :ivar requests: its next one is put here, by the server when it took this out of those that are idle.
    """

    def __init__(self, server: WSGIServer) -> None:
        super().__init__(name='WSGIRequest', daemon=True)
        self.requests: queue.SimpleQueue[Optional[tuple[Any, Any]]] = queue.SimpleQueue()
        self._server = server

    def run(self) -> None:
        """Answer requests until none comes for a while, or the server is closed."""
        task = self.requests.get()
        while task is not None:
            self._server.process_request_thread(*task)
            task = self._server.next_request(self)


class _Output(io.BufferedIOBase):
    """What is written to a socket, gathered so that a head leaves in one piece, for less than ``makefile()`` costs.

    Each write has the socket's timeout for itself.
    """

    def __init__(self, sock: Any) -> None:
        self._sock = sock
        self._parts: list[bytes] = []
        self._size = 0

    def write(self, data: Any) -> int:
        self._parts.append(bytes(data))
        self._size += len(data)
        if self._size >= BLOCK:
            self.flush()
        return len(data)

    def flush(self) -> None:
        data, self._parts, self._size = memoryview(b''.join(self._parts)), [], 0
        while data:
            data = data[self._sock.send(data) :]


class _Body(io.RawIOBase):
    """The body of a request: what came with the head, then the socket, and an end where Content-Length says so."""

    def __init__(self, sock: Any, first: bytes, length: int) -> None:
        self._sock = sock
        self._first = first
        self._remaining = length

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        size = min(len(buffer), self._remaining)
        if not size:
            return 0
        data = self._first[:size] or self._sock.recv(size)
        self._first = self._first[size:]
        self._remaining -= len(data)
        buffer[: len(data)] = data
        return len(data)


def _body_length(request: Request) -> int:
    """The bytes of the body."""
    headers = request.headers
    if 'Transfer-Encoding' in headers and 'Upgrade' not in headers:  # with Upgrade it is the handshake that refuses
        raise HTTPError(411, 'a body with Transfer-Encoding (expected Content-Length)')
    lengths = set(headers.get_all('Content-Length')) or {'0'}
    if len(lengths) > 1 or not _LENGTH.fullmatch(min(lengths)):
        raise HTTPError(400, 'Content-Length is not one number')
    return int(min(lengths))
