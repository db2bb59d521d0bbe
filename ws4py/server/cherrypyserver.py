"""WebSockets on CherryPy: a tool for the handshake and a plugin that drives the connections.

::

    WebSocketPlugin(cherrypy.engine).subscribe()
    cherrypy.tools.websocket = WebSocketTool()

    class Root:
        @cherrypy.expose
        @cherrypy.tools.websocket(handler_cls=EchoWebSocket)
        def ws(self):
            handler = cherrypy.request.ws_handler

Who does what, in which thread:

- a thread of cheroot, CherryPy's HTTP server, answers the upgrade request like any other. The tool judges it and makes
  the websocket before the page handler runs, and takes the connection out of cheroot's hands when the 101 response is
  on the wire. ``opened()`` is called there too, with ``cherrypy.request`` still in place; then the thread is free;
- everything else happens in the thread of the plugin's :class:`~ws4py.manager.WebSocketManager`. There is a new one
  each time that the engine starts. When the engine stops, after the HTTP server, websockets are closed with 1001.

They meet on the engine's channels: ``handle-websocket`` (websocket, address) gives a websocket to the plugin,
``websocket-broadcast`` (message, binary=False) sends a message to all of them.

Requests are read by cheroot, within ``server.max_request_header_size`` and ``server.socket_timeout``; the head of an
upgrade is then held to the stricter ``limits``. With cheroot's builtin TLS adapter nobody else is accepted while a
client takes its time for the TLS handshake, up to ``server.socket_timeout`` seconds; its adapter of pyOpenSSL does not
have that weakness. All that is used of cheroot's insides is in :class:`_Exchange`. Other WSGI servers do not give away
their connections; there, an upgrade is answered with 501.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import logging
import socket
import sys
import threading
from collections import deque
from collections.abc import Collection, Iterator
from types import FrameType
from typing import TYPE_CHECKING, Any, Callable, Optional, Union

import cheroot.server
import cherrypy
from cherrypy.process import plugins, wspbus

from ws4py import WS_VERSION, blocking, closecode
from ws4py.admission import Admission
from ws4py.exc import HTTPError
from ws4py.extensions import Configured
from ws4py.handshake import Accepted, Refused, refuse
from ws4py.http11 import Address, Request
from ws4py.limits import Limits
from ws4py.manager import WebSocketManager
from ws4py.messaging import Message, Payload
from ws4py.policy import Policy, Terms, failure
from ws4py.state import State
from ws4py.websocket import WebSocket

if TYPE_CHECKING:
    from typing_extensions import Unpack

__all__ = ['WebSocketPlugin', 'WebSocketTool']

logger = logging.getLogger('ws4py')

SWITCHING = '101 Switching Protocols'
COOKIES = {b'set-cookie'}  # which other tools may have set, too

# Of a header that comes twice cheroot keeps the last one, unless it knows that it is a list. These are lists, or
# refused when there are two: join them, so that the handshake sees both.
cheroot.server.comma_separated_headers += [
    b'Authorization',
    b'Host',
    b'Origin',
    b'Sec-Websocket-Extensions',
    b'Sec-Websocket-Key',
    b'Sec-Websocket-Protocol',
    b'Sec-Websocket-Version',
    b'X-Forwarded-For',
]


class WebSocketTool(cherrypy.Tool):  # type: ignore[misc]
    """The opening handshake on the paths where it is switched on, in configuration or as a decorator.

    A refused upgrade is answered with 400, 403, 405, 426 or 505 and the reason, or as ``process_request`` says; the
    page handler does not run then.
    What the page handler of an accepted one returns is ignored. If it raises, redirects or sets another status,
    that is the answer and there is no websocket.

    One object serves all threads. The methods are CherryPy's hooks, it calls them in the request's thread.

    :ivar admission: counts the connections that ``limits`` bounds in number, on all paths together.
    """

    def __init__(self) -> None:
        # Late: who is not let in by another tool never gets as far as the constructor of the handler.
        super().__init__('before_handler', self.upgrade, priority=80)
        self.admission = Admission()

    def _setup(self) -> None:
        super()._setup()
        cherrypy.serving.request.process_request_body = False  # a body is refused, not waited for
        hooks = cherrypy.serving.request.hooks
        hooks.attach('before_finalize', self.complete, failsafe=True, priority=99)
        hooks.attach('on_end_resource', self.cleanup_headers, failsafe=True, priority=99)
        hooks.attach('on_end_request', self.start_handler, failsafe=True, priority=70)

    def upgrade(
        self,
        protocols: Optional[Collection[str]] = None,
        extensions: Optional[Collection[Configured]] = None,
        version: Collection[int] = WS_VERSION,
        handler_cls: Callable[..., WebSocket] = WebSocket,
        heartbeat_freq: Optional[float] = None,
        **terms: Unpack[Terms],
    ) -> None:
        """Perform the handshake and set ``cherrypy.request.ws_handler``. The parameters are those of the tool.

        :param protocols: names of the subprotocols that are supported.
        :param extensions: those that are accepted: ``['permessage-deflate']``, or as in :mod:`ws4py.extensions`.
        :param version: the versions to accept, as 0.x had them; only 13 is spoken.
        :param handler_cls: called with (sock, protocols, extensions, environ), and with *heartbeat_freq* if there is
            one, for the websocket: a subclass of :class:`~ws4py.websocket.WebSocket`, or anything that returns one.
            It may raise what a page handler may, or :exc:`ws4py.exc.HTTPError`, to refuse the client.
        :param heartbeat_freq: seconds between unsolicited pongs, None for none.
        :param terms: who may connect and on what terms (``origins``, ``process_request``, ``limits``, …): these, and
            those that are named alike, are described at :class:`ws4py.policy.Policy`.
        """
        request, response = cherrypy.serving.request, cherrypy.serving.response
        policy = Policy(protocols, extensions, version, heartbeat_freq=heartbeat_freq, **terms)
        try:
            exchange = _Exchange()
        except LookupError:
            logger.error('websockets need the HTTP server of CherryPy, this one does not give away its connections')
            raise _Refusal(refuse(501, 'this server has no websockets')) from None
        remote = request.remote
        address: Address = (remote.ip, remote.port) if remote.ip else ''
        options = () if heartbeat_freq is None else (heartbeat_freq,)

        def make() -> WebSocket:
            environ = {**_environ(request), **judged.environ}
            return handler_cls(exchange.sock(), accepted.protocols, accepted.extensions, environ, *options)

        try:
            judged = policy.resolve(exchange.head(policy.bounds, address, request.scheme == 'https'))
            answer = policy.decide(judged)
            if isinstance(answer, Refused):
                raise _Refusal(answer)
            if not cherrypy.engine.listeners.get('handle-websocket'):
                logger.error('there is no WebSocketPlugin on the engine')
                raise _Refusal(refuse(503, 'no websockets are served at the moment'))
            accepted: Accepted = answer
            websocket = self.admission.admit(policy, judged, accepted, make)
        except HTTPError as error:
            raise _Refusal(failure(error, address)) from None
        request.ws_handler = websocket
        request.ws_upgrade = _Upgrade(exchange, websocket, (remote.ip, remote.port), accepted.headers)
        response.status = SWITCHING
        request.headers['Pragma'] = 'no-cache'  # CherryPy's cache may not answer an upgrade, nor wait for another one
        if request.handler is not None:
            request.handler = functools.partial(_run_page, request.handler)

    def complete(self) -> None:
        """See to it that nothing follows the head of the 101 response."""
        if _upgrading() is not None:
            cherrypy.serving.response.stream = False
            cherrypy.serving.response.body = b''

    def cleanup_headers(self) -> None:
        """Give the 101 response its headers, and take those of a page away; give a refusal all of its own."""
        upgrade, response = _finalized(), cherrypy.serving.response
        refused: Optional[Refused] = getattr(cherrypy.serving.request, 'ws_refused', None)
        if refused is not None:
            names = {name.lower().encode('latin-1') for name, _ in refused.headers}
            others = [header for header in response.header_list if header[0].lower() not in names - COOKIES]
            response.header_list = _encoded(refused.headers) + others
        if upgrade is not None:
            headers = _encoded(upgrade.headers)
            names = {name.lower() for name, _ in headers} | {b'transfer-encoding', b'vary'}
            for name, value in response.header_list:
                if name.lower() not in names and not name.lower().startswith(b'content-'):
                    headers.append((name, value))
            response.header_list = headers

    def start_handler(self) -> None:
        """Give the websocket to the plugin, which calls its ``opened()``, now that the response is out."""
        upgrade: Optional[_Upgrade] = getattr(cherrypy.serving.request, 'ws_upgrade', None)
        if upgrade is not None:
            if _finalized() is None:
                upgrade.end()
            else:
                upgrade.start()


class WebSocketPlugin(plugins.SimplePlugin):  # type: ignore[misc]
    """Drives the websockets, between the engine's start and its stop.

    The methods are listeners of the bus; any thread may call them.

    :param bus: the engine, ``cherrypy.engine``.
    :ivar manager: the :class:`~ws4py.manager.WebSocketManager` of this run of the engine.
    """

    #: Seconds over which the closing of the websockets is spread when the engine stops.
    shutdown_spread = 0.0

    def __init__(self, bus: Any) -> None:
        super().__init__(bus)
        self.manager = WebSocketManager()

    def subscribe(self) -> None:
        """Listen to the bus, and start at once if it is running already."""
        super().subscribe()
        self.bus.subscribe('handle-websocket', self.handle)
        self.bus.subscribe('websocket-broadcast', self.broadcast)
        if self.bus.state == wspbus.states.STARTED:
            self.start()

    def unsubscribe(self) -> None:
        """Listen to the bus no more, and stop."""
        super().unsubscribe()
        self.bus.unsubscribe('handle-websocket', self.handle)
        self.bus.unsubscribe('websocket-broadcast', self.broadcast)
        self.stop()

    def start(self) -> None:
        """Start the manager, or another one: a thread cannot be started twice."""
        if self.manager.running:
            return
        try:
            self.manager.start()
        except RuntimeError:  # it ran before, or belongs to the process that became this daemon by a fork
            self.manager = WebSocketManager()
            self.manager.start()

    start.priority = 70  # type: ignore[attr-defined]  # between the fork of a Daemonizer and the start of the server

    def stop(self) -> None:
        """Close every websocket with 1001, and return when all have ended, within their close timeouts."""
        self.cleanup()

    def handle(self, ws_handler: WebSocket, peer_addr: Any) -> None:
        """Drive a websocket from now on. Its ``opened()`` is called by this.

        :param peer_addr: the client's address.
        """
        try:
            self.manager.add(ws_handler)
        except (RuntimeError, ValueError, OSError) as error:
            logger.info('the websocket of %s cannot be driven: %s', peer_addr, error)
            _end(ws_handler)

    def cleanup(self) -> None:
        """End all connections, and the manager with them."""
        manager = self.manager
        if manager.running:
            if self.shutdown_spread:
                manager.close_all(spread=self.shutdown_spread)
            else:  # it may be the application's own, which knows of no such thing
                manager.close_all()
            manager.stop()
            if manager is not threading.current_thread():  # a hook of a websocket may stop the engine
                manager.join()

    def broadcast(self, message: Union[Payload, Message], binary: bool = False) -> None:
        """Send a message to every websocket, as :meth:`ws4py.manager.WebSocketManager.broadcast`."""
        self.manager.broadcast(message, binary)


class _Upgrade:
    """An upgrade that was accepted, until its websocket is driven or has come to nothing."""

    def __init__(self, exchange: _Exchange, websocket: WebSocket, address: Any, headers: list[tuple[str, str]]) -> None:
        self.headers = headers
        self._exchange = exchange
        self._address = address
        self._websocket: Optional[WebSocket] = websocket
        websocket.state = State.CONNECTING  # no frame may go out before the response
        exchange.take_over(self.close)

    def start(self) -> None:
        """Give the websocket to whoever drives it, if the 101 response is out."""
        websocket = self._websocket
        if websocket is None or not self._exchange.switched():
            return
        self._websocket = None
        websocket.state = State.OPEN
        websocket.buf = self._exchange.rest()
        websocket.sock.settimeout(None)
        with contextlib.suppress(wspbus.ChannelFailures):  # a listener raised, and the bus has logged it
            if not cherrypy.engine.publish('handle-websocket', websocket, self._address):
                _end(websocket)

    def end(self) -> None:
        """End a websocket that was made in vain. The connection still has to carry the answer that says why."""
        websocket, self._websocket = self._websocket, None
        if websocket is not None:
            websocket.sock = None
            websocket.terminate()

    def close(self) -> bool:
        """Called when cheroot is through with the connection.

        :returns: whether the connection belongs to the websocket.
        """
        self.start()  # in case that a middleware ended the request before its response
        self.end()
        return self._exchange.switched()


class _Exchange:
    """The request that cheroot is answering in this thread: all that this module uses of cheroot's insides.

    :raises LookupError: there is none.
    """

    def __init__(self) -> None:
        frame: Optional[FrameType] = sys._getframe()
        request = None
        while not isinstance(request, cheroot.server.HTTPRequest):  # only the stack leads to it from CherryPy's
            if frame is None:
                raise LookupError('this request does not come from cheroot')
            request, frame = frame.f_locals.get('self'), frame.f_back
        self._request: Any = request
        self._connection: Any = request.conn
        self._written = self._connection.wfile.bytes_written
        self._request.close_connection = True  # what follows is no request; neither where the upgrade is refused

    def head(self, limits: Limits, peer_address: Address, secure: bool) -> Request:
        """The head of the request, put together again to be judged as on any server.

        :raises HTTPError: a character is not allowed, or it is over a limit.
        """
        request = self._request
        lines = [b'%s %s %s' % (request.method, request.uri, request.response_protocol.encode('latin-1'))]
        lines += [b'%s: %s' % header for header in request.inheaders.items()]
        head = b'\r\n'.join([*lines, b'', b''])
        return Request.parse(head, limits, peer_address=peer_address, secure=secure)

    def sock(self) -> Any:
        """The socket of the connection."""
        sock = self._connection.socket
        return sock if isinstance(sock, socket.socket) else _OpenSSLSocket(sock)

    def take_over(self, close: Callable[[], bool]) -> None:
        """Have *close* called before cheroot closes the connection, which it does not if that is True."""
        connection = self._connection

        def close_connection() -> None:
            del connection.close
            try:
                taken = close()
            except Exception:  # which would end cheroot's thread
                logger.exception('an upgrade could not be completed')
                taken = False
            if taken:
                connection.rfile.close()
            else:
                with contextlib.suppress(OSError):  # a page handler may have closed it
                    connection.close()
            connection.wfile.raw.close()  # what could not be written is not for who has the descriptor next

        connection.close = close_connection

    def switched(self) -> bool:
        """Whether a 101 response has been written."""
        return bool(self._connection.wfile.bytes_written > self._written and self._request.status[:3] == b'101')

    def rest(self) -> bytes:
        """What was read behind the head of the request."""
        rfile = self._connection.rfile
        rest: bytes = rfile.peek() if rfile.has_data() else b''  # when there is nothing it would wait for the peer
        return rest


class _OpenSSLSocket:
    """A connection of pyOpenSSL that behaves like a socket: it raises OSError, and has a timeout.

    It may be read and written by two threads at once. OpenSSL's object may not: every call on it is short and under a
    lock, and the waiting is done outside.
    """

    def __init__(self, connection: Any) -> None:
        from cheroot.ssl.pyopenssl import SSL

        self._errors = SSL
        self._ssl = connection  # a WebSocket on a socket with this attribute knows that it is secure
        self._closed = False
        self._lock = threading.Lock()
        self._timeout: Optional[float] = connection.gettimeout()
        connection.setblocking(False)

    def _call(self, name: str, argument: Any) -> Any:
        """Call a method of the connection.

        :raises BlockingIOError: it has to wait, and may not.
        :raises TimeoutError: it may not wait any longer.
        :raises ConnectionError: the connection broke, or (_EndError) the peer has ended it.
        """
        errors = self._errors
        while True:
            with self._lock:
                self._check_open()
                try:
                    return getattr(self._ssl, name)(argument)
                except errors.WantReadError:
                    write = False
                except errors.WantWriteError:
                    write = True
                except errors.ZeroReturnError as error:
                    raise _EndError from error
                except errors.SysCallError as error:
                    if error.args[0] <= 0:  # the peer went without a close_notify; our frames tell if it had finished
                        raise _EndError from error
                    raise OSError(*error.args) from error
                except errors.Error as error:
                    raise ConnectionAbortedError(errno.ECONNABORTED, f'TLS failed: {error}') from error
            if self._timeout == 0:
                raise BlockingIOError(errno.EAGAIN, 'TLS has to wait for the peer')
            if not blocking.wait(self, write, self._timeout):  # type: ignore[arg-type]
                raise TimeoutError('timed out')

    def _check_open(self) -> None:
        if self._closed:  # OpenSSL only has the number of the descriptor, which may be another connection's by now
            raise OSError(errno.EBADF, 'the socket is closed')

    def recv(self, size: int) -> bytes:
        """At most *size* bytes; b'' at the end."""
        try:
            data: bytes = self._call('recv', size)
        except _EndError:
            return b''
        return data

    def send(self, data: Any) -> int:
        """Write *data*, or as much of it as fits where that may not wait."""
        view = memoryview(data)
        sent = 0
        while sent < len(view):
            try:
                sent += self._call('send', view[sent:])
            except BlockingIOError:
                if not sent:
                    raise
                break
        return sent

    def sendall(self, data: Any) -> None:
        """Write all of *data*."""
        if self.send(data) < len(memoryview(data)):
            raise BlockingIOError(errno.EAGAIN, 'TLS has to wait for the peer')

    def pending(self) -> int:
        """Bytes that no poller sees, because they were read from the socket already."""
        with self._lock:
            return 0 if self._closed else int(self._ssl.pending())

    def settimeout(self, timeout: Optional[float]) -> None:
        """Seconds that a call may wait for the peer, None for ever, 0 not at all."""
        self._timeout = timeout

    def gettimeout(self) -> Optional[float]:
        """The timeout in seconds."""
        return self._timeout

    def setblocking(self, flag: bool) -> None:
        """Wait for ever, or not at all."""
        self._timeout = None if flag else 0

    def shutdown(self, how: int) -> None:
        """End one direction or both; the peer is told in TLS as well."""
        with self._lock:
            self._check_open()
            if how != socket.SHUT_RD:
                with contextlib.suppress(self._errors.Error):
                    self._ssl.shutdown()
            self._ssl.sock_shutdown(how)

    def close(self) -> None:
        """Close the socket."""
        with self._lock:
            self._closed = True
            self._ssl.close()

    def fileno(self) -> int:
        """The descriptor, -1 when closed."""
        return int(self._ssl.fileno())

    def getsockname(self) -> Any:
        """Our address."""
        return self._ssl.getsockname()

    def getpeername(self) -> Any:
        """The peer's address."""
        return self._ssl.getpeername()

    def getsockopt(self, *args: Any) -> Any:
        """As that of a socket."""
        return self._ssl.getsockopt(*args)

    def setsockopt(self, *args: Any) -> None:
        """As that of a socket."""
        self._ssl.setsockopt(*args)


class _EndError(ConnectionResetError):
    """The peer has ended the connection."""


class _Refusal(cherrypy.HTTPError):  # type: ignore[misc]
    """Ends a request with the answer that is no upgrade, in place of CherryPy's page with a traceback."""

    def __init__(self, refused: Refused) -> None:
        super().__init__(500, refused.reason)  # which is not sent; CherryPy knows only errors, this may be a page
        self._refused = refused

    def set_response(self) -> None:
        """Make it the response of this request."""
        response = cherrypy.serving.response
        response.status = self._refused.status_line
        response.stream = False
        for name, value in self._refused.headers:
            if name.lower() != 'set-cookie':  # it may come more than once, which CherryPy's headers cannot tell
                response.headers[name] = value
        response.body = self._refused.body
        cherrypy.serving.request.ws_refused = self._refused


def _upgrading() -> Optional[_Upgrade]:
    """The upgrade of this request, if nothing has come in between so far."""
    upgrade: Optional[_Upgrade] = getattr(cherrypy.serving.request, 'ws_upgrade', None)
    return upgrade if cherrypy.serving.response.status == SWITCHING else None


def _finalized() -> Optional[_Upgrade]:
    """The upgrade of this request, if the response is done and is the 101."""
    status = getattr(cherrypy.serving.response, 'output_status', None)
    return _upgrading() if status == SWITCHING.encode() else None


def _run_page(page: Callable[[], Any]) -> Any:
    """Run a page handler, and throw away what it returns unless it is an answer of its own."""
    output = page()
    if _upgrading() is None:
        return output
    if isinstance(output, Iterator):
        deque(output, maxlen=0)
    return b''


def _environ(request: Any) -> dict[str, Any]:
    """A copy of the request's WSGI environ; CherryPy's native server has none, there it is made up."""
    environ = getattr(request, 'wsgi_environ', None)
    if environ is not None:
        return dict(environ)
    made = {
        'REQUEST_METHOD': request.method,
        'SCRIPT_NAME': request.script_name,
        'PATH_INFO': request.path_info,
        'QUERY_STRING': request.query_string,
        'SERVER_PROTOCOL': request.request_line.rsplit(' ', 1)[-1],
        'SERVER_NAME': request.local.name or request.local.ip,
        'SERVER_PORT': str(request.local.port),
        'REMOTE_ADDR': request.remote.ip,
        'REMOTE_PORT': str(request.remote.port),
        'wsgi.url_scheme': request.scheme,
    }
    for name, value in request.header_list:
        made[f'HTTP_{name.upper().replace("-", "_")}'] = value
    return made


def _encoded(headers: list[tuple[str, str]]) -> list[tuple[bytes, bytes]]:
    return [(name.encode('latin-1'), value.encode('latin-1')) for name, value in headers]


def _end(websocket: WebSocket) -> None:
    """End a websocket that nobody drives."""
    websocket.close(closecode.GOING_AWAY, 'Server is shutting down')
    websocket.terminate()
