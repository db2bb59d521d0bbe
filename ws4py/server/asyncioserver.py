"""A WebSocket server on asyncio, with the standard library alone.

::

    async with serve(EchoWebSocket, 'localhost', 9000) as server:
        await server.serve_forever()

:class:`WebSocketProtocol` is a plain ``asyncio.Protocol``: it reads one request, decides (:mod:`ws4py.policy`) and
either answers in HTTP and closes, or makes the websocket and gives the transport over to a
:class:`~ws4py.transport.TransportConnection`. It also works alone, under ``loop.create_server()``. :class:`Server`,
which :func:`serve` makes, knows all of its connections, and sees to their end.

Handlers are the same classes as on every other server, and those of :mod:`ws4py.async_websocket`; their hooks may be
``async def``. Everything happens in the loop's thread; there is no task for a connection, and none for a message. It
is no HTTP server: ``process_request`` may answer a health check, and every connection ends after one response.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import inspect
import logging
import time
from collections.abc import Awaitable, Collection, Generator, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Callable, Optional, Union
from urllib.parse import unquote

from ws4py import async_websocket, closecode, timers
from ws4py.admission import Admission
from ws4py.broadcasting import broadcast
from ws4py.exc import HTTPError
from ws4py.extensions import Configured
from ws4py.handshake import Accepted, Refused, SelectSubprotocol, environ_of, split_target
from ws4py.http11 import Request, head_reader
from ws4py.limits import DEFAULT_LIMITS, Limits
from ws4py.messaging import Message, Payload
from ws4py.policy import Policy, ProcessRequest, Terms, failure
from ws4py.tlstransport import encrypted
from ws4py.transport import TransportConnection, TransportSocket
from ws4py.websocket import WebSocket

if TYPE_CHECKING:
    import ssl as ssl_module

    from typing_extensions import Unpack

__all__ = ['Server', 'WebSocketProtocol', 'serve']

logger = logging.getLogger('ws4py')

LINGER = 1.0  # seconds that a client which was answered may go on sending, so that it gets to read the answer
PATIENCE = 1.0  # seconds for what was cancelled, when the server ends
SHUTTING_DOWN = 'Server is shutting down'

Handler = Callable[..., Any]
Handlers = Union[Handler, Mapping[str, Handler]]


def check_handlers(handler_cls: Handlers) -> None:
    """:raises TypeError: a handler is a coroutine function, as other libraries have them."""
    for handler in handler_cls.values() if isinstance(handler_cls, Mapping) else [handler_cls]:
        if inspect.iscoroutinefunction(handler):
            raise TypeError(f'{handler!r} is a coroutine function (expected a subclass of WebSocket, with hooks)')


class WebSocketProtocol(asyncio.Protocol):
    """The opening handshake on one transport; to be made when the connection is accepted, by a protocol factory.

    :param handler_cls: called with (sock, protocols, extensions, environ) for the websocket: a subclass of
        :class:`~ws4py.websocket.WebSocket`, or anything that returns an instance of one. Or a mapping from paths, such
        as ``/chat``, to these; other paths are then 404. An :exc:`~ws4py.exc.HTTPError` that it raises is the refusal.
    :param protocols: names of the subprotocols that are supported.
    :param extensions: those that are accepted: ``['permessage-deflate']``, or as in :mod:`ws4py.extensions`.
    :param heartbeat_freq: seconds between unsolicited pongs, None for none.
    :param terms: who may connect and on what terms (``origins``, ``process_request``, ``limits``, …): these, and the
        two before, are described at :class:`ws4py.policy.Policy`. How many may connect is for a *server* to count.
    :param policy: all of these in one, which can be made once for all connections.
    :param server: knows about the connection from its beginning to its end.
    """

    def __init__(
        self,
        handler_cls: Handlers,
        protocols: Optional[Collection[str]] = None,
        extensions: Optional[Collection[Configured]] = None,
        *,
        heartbeat_freq: Optional[float] = None,
        server: Optional[Server] = None,
        policy: Optional[Policy] = None,
        **terms: Unpack[Terms],
    ) -> None:
        if policy is None:
            check_handlers(handler_cls)
            policy = Policy(protocols, extensions, heartbeat_freq=heartbeat_freq, **terms)
        self.handler_cls = handler_cls
        self.policy = policy
        self.server = server
        self._accepted = time.monotonic()  # with TLS long before connection_made()
        self._bounds = self.policy.bounds
        self._loop: Any = None
        self._sock: Any = None
        self._reader: Optional[Generator[int, Optional[bytes], tuple[bytes, bytes]]] = head_reader(self._bounds)
        next(self._reader)
        self._request: Optional[Request] = None
        self._rest = b''  # what came behind the request
        self._task: Optional[asyncio.Future[Any]] = None  # in which process_request runs
        self._timer: Optional[asyncio.TimerHandle] = None
        self._answered = False
        self._connection: Optional[_Connection] = None  # which the transport was given over to

    # What the transport calls

    def connection_made(self, transport: Any) -> None:
        """The connection is there, with its TLS."""
        self._loop = asyncio.get_running_loop()
        self._sock = TransportSocket(transport, self._loop, self._bounds.close_timeout)
        if self._bounds.handshake_timeout is not None:
            remaining = self._accepted + self._bounds.handshake_timeout - time.monotonic()
            self._timer = self._loop.call_later(max(0, remaining), self._late)
        if self.server is not None:
            self.server.enter(self)

    def data_received(self, data: bytes) -> None:
        """Bytes came: of the head, behind it, or for nobody."""
        if self._reader is None:
            if not self._answered:  # process_request has not decided yet
                self._rest += data
            return
        try:
            self._reader.send(data)
        except StopIteration as done:
            self._reader = None
            head, self._rest = done.value
            self._read(head)
        except HTTPError as error:
            self._fail(error)

    def eof_received(self) -> None:
        """The client has finished: with the head, it gets its answer still; without, it leaves."""
        if self._answered and not self._sock.transport.get_write_buffer_size():
            self._sock.close()

    def connection_lost(self, exc: Optional[Exception]) -> None:
        """The transport is gone."""
        if self._connection is not None:  # TLS has resolved to tell us when the websocket was not there yet
            self._connection.connection_lost(exc)
            return
        self._stop()
        self._sock.gone()
        self._sock.close()  # TLS before Python 3.11 warns of a transport that nobody has closed
        if self.server is not None:
            self.server.leave(self)

    # The request

    def _read(self, head: bytes) -> None:
        """The head is complete: ask the application, and decide."""
        self._stop()
        peer = self._sock.getpeername()
        try:
            request = Request.parse(
                head,
                self._bounds,
                peer_address=peer[:2] if isinstance(peer, tuple) else peer,
                secure=self._sock.transport.get_extra_info('ssl_object') is not None,
            )
            self._request = self.policy.resolve(request)
            answer = self.policy.ask(self._request, awaited=True)
        except Exception as error:
            self._fail(error)
            return
        if inspect.isawaitable(answer):
            self._sock.transport.pause_reading()
            self._task = asyncio.ensure_future(answer)
            self._task.add_done_callback(self._asked)
        else:
            self._decide(answer)

    def _asked(self, task: asyncio.Future[Any]) -> None:
        """The application has decided."""
        stopped, self._task = task is not self._task, None
        error = asyncio.CancelledError() if task.cancelled() else task.exception()
        if stopped:  # nobody waits for it any more
            if error is not None and not task.cancelled():
                logger.error('a request that was given up failed', exc_info=error)
        elif error is None:
            self._decide(task.result())
        else:
            self._fail(HTTPError(503, 'the request was cancelled') if task.cancelled() else error)

    def _decide(self, answer: Any) -> None:
        """Send the *answer* of process_request, or go on with the handshake."""
        request = self._request
        assert request is not None
        try:
            handler_cls = None if answer is not None else self._handler_cls(request)
            decision = self.policy.judge(request, answer)
            if isinstance(decision, Refused):
                self._refuse(decision)
                return
            accepted = decision
            admission = Admission() if self.server is None else self.server.admission
            websocket = admission.admit(
                self.policy, request, accepted, lambda: self._make(handler_cls, request, accepted)
            )
        except Exception as error:
            self._fail(error)
        else:
            if not self._answered:  # the handler's constructor may have closed the server
                self._upgrade(accepted, websocket)

    def _make(self, handler_cls: Any, request: Request, accepted: Accepted) -> WebSocket:
        sock = self._sock
        secure = sock.transport.get_extra_info('ssl_object') is not None
        environ = environ_of(request, secure=secure, server=sock.getsockname(), client=sock.getpeername())
        environ.update(request.environ)
        websocket = handler_cls(sock, accepted.protocols, accepted.extensions, environ)
        if not isinstance(websocket, WebSocket):
            raise TypeError(f'{handler_cls!r} gave {websocket!r} (expected a WebSocket)')
        websocket.headers = request.headers  # type: ignore[attr-defined]  # handlers of ws4py 0.x read them
        return websocket

    def _upgrade(self, accepted: Accepted, websocket: WebSocket) -> None:
        """Send the 101: the transport is the websocket's from now on."""
        websocket.buf = self._rest
        self._sock.linger = websocket.limits.close_timeout
        connection = self._connection = _Connection(websocket, self._loop, self.server)
        transport = self._sock.transport
        transport.write(accepted.build())
        transport.set_protocol(connection)
        websocket.attach(connection, queued=True)
        if self.server is not None:  # from now on other threads find it there, and broadcast to it
            self.server.enter(connection)
            self.server.leave(self)
        transport.resume_reading()  # it was paused where process_request took its time
        connection.open()

    def _handler_cls(self, request: Request) -> Handler:
        """Who handles the request's path.

        :raises HTTPError: 404 nobody does.
        """
        if not isinstance(self.handler_cls, Mapping):
            return self.handler_cls
        path = unquote(split_target(request.target)[0])
        if path not in self.handler_cls:
            raise HTTPError(404, 'there is nothing at this path')
        return self.handler_cls[path]

    # The answer in HTTP

    def _late(self) -> None:
        self._fail(HTTPError(408, f'no request within {self._bounds.handshake_timeout:g} s'))

    def _fail(self, error: BaseException) -> None:
        """Answer with what *error* says, or with 500 and a line in the log."""
        peer = self._sock.getpeername() if self._request is None else self._request.peer_address
        self._refuse(failure(error, peer))

    def _refuse(self, refused: Refused) -> None:
        self._answer(refused.build('GET' if self._request is None else self._request.method))

    def _answer(self, response: bytes) -> None:
        """Send the response and let the client finish talking, so that it hears it; what it says is of no interest.

        The first one counts: an application that closes the server while it is asked finds its request refused.
        """
        if self._answered:
            return
        self._stop()
        self._answered, self._reader, self._rest = True, None, b''
        transport = self._sock.transport
        transport.write(response)
        if transport.can_write_eof():
            with contextlib.suppress(OSError):  # it has gone while nobody was reading
                transport.write_eof()
        transport.resume_reading()
        self._sock.linger = LINGER  # over TLS the end is a matter of both sides, some versions wait for it
        self._timer = self._loop.call_later(LINGER, self._leave, len(response) + 1, self._loop.time())

    def _leave(self, unsent: int, since: float) -> None:
        """Leave the client, unless it is still reading: a large answer may take it long.

        :param unsent: bytes that waited at the last look, and
        :param since: when it was that more of them did.
        """
        size, now, patience = self._sock.transport.get_write_buffer_size(), self._loop.time(), self._bounds.send_timeout
        if size and (size < unsent or patience is None or now - since < patience):
            self._timer = self._loop.call_later(LINGER, self._leave, size, now if size < unsent else since)
        else:
            self._sock.close()

    def _stop(self) -> None:
        """Nobody waits for the request, or for the application's decision, any more."""
        timer, self._timer = self._timer, None
        task, self._task = self._task, None
        if timer is not None:
            timer.cancel()
        if task is not None:
            task.cancel()

    # What the server asks for

    @property
    def is_awaited(self) -> bool:
        """True while the head of the request is."""
        return self._reader is not None

    def shut_down(self, code: int, reason: str) -> None:
        """Refuse the request, wherever it stands."""
        if not self._answered:
            self._fail(HTTPError(503, reason))

    def abort(self) -> None:
        """End the connection now."""
        self._sock.transport.abort()


class _Connection(TransportConnection):
    """A websocket's connection that a server knows about, if there is one."""

    def __init__(self, websocket: WebSocket, loop: asyncio.AbstractEventLoop, server: Optional[Server]) -> None:
        super().__init__(websocket, loop, None if server is None else functools.partial(server.leave, self))

    def shut_down(self, code: int, reason: str) -> None:
        """Begin the closing handshake."""
        try:
            self.websocket.close(code, reason)
        except Exception:  # an application's own close() may raise what it likes
            logger.info('%r could not be closed', self.websocket, exc_info=True)

    def abort(self) -> None:
        """End the connection now, without what waits to be sent, and cancel the hook that keeps it from ending."""
        self.drop(self.websocket)
        self.cancel()
        self._transport.abort()


class Server:
    """What :func:`serve` gives: the listening sockets and every connection that came from them.

    It listens once it was awaited, or entered with ``async with``, which on exit closes it and waits for its end.
    Methods belong to the loop's thread, but :meth:`broadcast` may be called from any.

    :param close_timeout: seconds that its end waits for the websockets, after the last of them was closed.
    """

    #: Connections that are not websockets yet. For one more, the one is dropped that has waited longest for its head.
    max_requests = 1024

    def __init__(
        self,
        listen: Callable[[Server], Awaitable[Any]],
        close_timeout: float = DEFAULT_LIMITS.close_timeout,
    ) -> None:
        #: Counts the connections that ``limits`` bounds in number.
        self.admission = Admission()
        self._listen = listen
        self._close_timeout = close_timeout
        self._loop: Any = None
        self._server: Any = None  # asyncio's
        self._starting: Any = None  # a lock: who comes while another one starts it waits for that
        self._over: Any = None  # an event: everything has ended
        self._requests: dict[WebSocketProtocol, None] = {}  # which are not websockets, oldest first
        self._connections: set[_Connection] = set()
        self._goodbye: Optional[tuple[int, str]] = None  # close code and reason, once it is closed
        self._timer: Any = None  # set by close()
        self._leaving: list[asyncio.TimerHandle] = []  # those that are closed later than others

    def __await__(self) -> Generator[Any, None, Server]:
        return self._start().__await__()

    async def _start(self) -> Server:
        """Listen.

        :raises OSError: the address is in use, not ours or not known.
        """
        if self._over is None:
            self._loop = asyncio.get_running_loop()
            self._over = asyncio.Event()
            self._starting = asyncio.Lock()
        async with self._starting:
            if self._server is None:
                self._server = await self._listen(self)
        return self

    async def __aenter__(self) -> Server:
        return await self

    async def __aexit__(self, *exc_info: object) -> None:
        self._close()
        await self.wait_closed()

    @property
    def sockets(self) -> tuple[Any, ...]:
        """The listening sockets; none before it listens, and none when it is closed."""
        return () if self._server is None else tuple(self._server.sockets or ())

    @property
    def websockets(self) -> set[WebSocket]:
        """The websockets of this moment: a copy, which does not change under who walks it."""
        return set(self._websockets())

    def _websockets(self) -> list[WebSocket]:
        return [connection.websocket for connection in list(self._connections) if not connection.over]

    def broadcast(self, message: Union[Payload, Message, Iterable[Payload]], binary: bool = False) -> None:
        """Send *message* to every websocket, without waiting for any of them. What fails is logged.

        :param message: text, bytes, a Message, or an iterable of chunks, which are sent as fragments.
        :param binary: as for :meth:`ws4py.websocket.WebSocket.send`.
        """
        broadcast(self._websockets(), message, binary, async_websocket.PLAIN)

    def close(self, code: int = closecode.GOING_AWAY, reason: str = SHUTTING_DOWN, spread: float = 0.0) -> None:
        """Stop listening, refuse what is not a websocket yet, begin the closing handshake on every websocket.

        Returns at once. What has not ended within the close timeout is aborted. Calling it again does nothing, unless
        the closing is spread: then it closes at once who is still there.

        :param spread: seconds over which the closing of the websockets is spread evenly, so that clients do not come
            back all at once; the close timeout begins when they are over.
        """
        if self._server is None or (self._goodbye is not None and not self._leaving):
            return
        for timer in self._leaving:
            timer.cancel()
        self._leaving = []
        if self._timer is not None:
            self._timer.cancel()
        self._goodbye = code, reason
        self._server.close()
        self._timer = self._loop.call_later(spread + self._close_timeout, self._abort)
        for request in list(self._requests):
            request.shut_down(code, reason)
        connections = list(self._connections)
        for connection, delay in zip(connections, timers.spread(len(connections), spread)):
            if delay:
                self._leaving.append(self._loop.call_later(delay, connection.shut_down, code, reason))
            else:
                connection.shut_down(code, reason)
        self._look()

    def _close(self) -> None:
        """Close it, if that has not begun yet."""
        if self._goodbye is None:
            self.close()

    async def wait_closed(self) -> None:
        """Wait until it was closed, every ``closed()`` has run, and the transports are gone."""
        if self._server is not None:
            await self._over.wait()

    async def serve_forever(self) -> None:
        """Serve until :meth:`close` is called, or this is cancelled: then close everything as that does, and wait."""
        await self
        try:
            await self.wait_closed()
        except asyncio.CancelledError:
            self._close()
            await self.wait_closed()
            raise

    # What connections tell

    def enter(self, peer: Union[WebSocketProtocol, _Connection]) -> None:
        """There is a new connection, or one that has become a websocket."""
        if isinstance(peer, _Connection):
            self._connections.add(peer)
        else:
            if len(self._requests) >= self.max_requests:
                oldest = next(iter(self._requests))
                dropped = next((each for each in self._requests if each.is_awaited), oldest)
                del self._requests[dropped]
                dropped.abort()
            self._requests[peer] = None
        if self._goodbye is not None:
            peer.shut_down(*self._goodbye)

    def leave(self, peer: Union[WebSocketProtocol, _Connection]) -> None:
        """The connection has ended, or has become another."""
        if isinstance(peer, _Connection):
            self._connections.discard(peer)
        else:
            self._requests.pop(peer, None)
        self._look()

    def _all(self) -> list[Union[WebSocketProtocol, _Connection]]:
        return [*self._requests, *self._connections]

    # The end

    def _look(self) -> None:
        """It is over when it was closed and nobody is left."""
        if self._goodbye is not None and not self._requests and not self._connections:
            self._finish()

    def _abort(self) -> None:
        """The close timeout is over."""
        peers = self._all()
        logger.info('%d connections have not ended within %g s', len(peers), self._close_timeout)
        self._timer = self._loop.call_later(PATIENCE, self._give_up)
        for peer in peers:
            peer.abort()

    def _give_up(self) -> None:
        websockets = [connection.websocket for connection in self._connections]
        logger.error('hooks that were cancelled go on nevertheless: %r', websockets)
        self._finish()

    def _finish(self) -> None:
        for timer in (self._timer, *self._leaving):
            timer.cancel()
        self._leaving = []
        self._over.set()


def serve(
    handler_cls: Handlers,
    host: Any = None,
    port: Optional[int] = None,
    *,
    path: Optional[str] = None,
    ssl: Optional[ssl_module.SSLContext] = None,
    protocols: Optional[Collection[str]] = None,
    extensions: Optional[Collection[Configured]] = None,
    origins: Optional[Collection[str]] = None,
    select_subprotocol: Optional[SelectSubprotocol] = None,
    process_request: Union[ProcessRequest, Sequence[ProcessRequest], None] = None,
    trusted_proxies: Collection[Any] = (),
    limits: Optional[Limits] = None,
    heartbeat_freq: Optional[float] = None,
    **options: Any,
) -> Server:
    """Serve websockets: ``async with serve(…) as server``, or ``server = await serve(…)``.

    :param handler_cls: the class of the websockets, or a mapping from paths to classes; this and what is not described
        here is as for :class:`WebSocketProtocol`.
    :param host: a name or address, or a sequence of them, to listen on; None for every interface.
    :param port: 0 for a free one, which ``server.sockets`` tells.
    :param path: of a Unix socket, in place of host and port.
    :param ssl: to serve wss, and https.
    :param limits: also the close timeout of the server's own end.
    :param heartbeat_freq: seconds between unsolicited pongs, None for none.
    :param options: for ``loop.create_server()`` (``sock``, ``reuse_port``, ``backlog``, …) or, with a path,
        ``loop.create_unix_server()``.
    :raises TypeError: a handler is a coroutine function; everything else is raised when it is awaited.
    """
    check_handlers(handler_cls)
    policy = Policy(
        protocols,
        extensions,
        origins=origins,
        select_subprotocol=select_subprotocol,
        process_request=process_request,
        trusted_proxies=trusted_proxies,
        limits=limits,
        heartbeat_freq=heartbeat_freq,
    )
    if ssl is not None:
        options.setdefault('ssl_handshake_timeout', policy.bounds.handshake_timeout)

    async def listen(server: Server) -> Any:
        make: Any = functools.partial(WebSocketProtocol, handler_cls, server=server, policy=policy)
        loop = asyncio.get_running_loop()
        if ssl is not None:
            timeouts = (options.pop(f'ssl_{name}_timeout', None) for name in ('handshake', 'shutdown'))
            make = encrypted(make, ssl, *timeouts)
        if path is not None:
            return await loop.create_unix_server(make, path, **options)
        return await loop.create_server(make, host, port, **options)

    return Server(listen, policy.bounds.close_timeout)
