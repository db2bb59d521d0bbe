"""A client for programs of coroutines, with the standard library alone.

::

    async with connect('ws://localhost:9000/echo') as ws:
        await ws.send('hello')
        async for message in ws:
            print(message)

:class:`WebSocketClient` may also be subclassed for its hooks, as on every other backend, and connected by ``await
client.connect()``. Name resolution, TCP, TLS and the opening handshake block nobody. Until the handshake is done
:class:`_Opening` is the protocol of the transport; then a :class:`~ws4py.transport.TransportConnection` drives the
connection. Everything happens in the thread of the loop that ``connect()`` runs on.
"""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl
from collections.abc import Awaitable, Coroutine, Generator
from typing import Any, Callable, Generic, Optional, TypeVar, overload

from ws4py import async_websocket, closecode
from ws4py.async_websocket import Moment
from ws4py.client import CLOSED, Redirected, WebSocketBaseClient, broken_off
from ws4py.dialing import dial
from ws4py.messaging import Payload
from ws4py.reconnecting import Awaited
from ws4py.state import State
from ws4py.transport import TransportConnection, TransportSocket
from ws4py.tunnels import open_tunnel_on

__all__ = ['Connecting', 'Reconnecting', 'WebSocketClient', 'connect']

NO_LIMIT = 24 * 3600.0  # seconds; asyncio insists on a limit for TLS, ours comes first

T = TypeVar('T')


class WebSocketClient(WebSocketBaseClient, async_websocket.WebSocket):
    """A WebSocket client on asyncio; see the base classes for the arguments, the hooks, sending and receiving.

    Hooks may be plain functions or coroutines. The constructor makes no socket and may be called anywhere.
    """

    _socket_first = False
    _opening: Optional[_Opening] = None  # the attempt at a connection

    def _prepare(self) -> None:
        if self._opening is not None:
            self._opening.fail(broken_off('__init__ was called again'))
        self._opening = None
        self._gone: Optional[Moment] = None  # the transport is closed and closed() is done

    async def connect(self) -> None:  # type: ignore[override]  # a coroutine here
        """Connect and do the opening handshake; returns when it is done, after ``handshake_ok()``.

        The addresses of the host are tried side by side. On failure, and when this is cancelled, everything is closed:
        ``__init__`` makes the object fit for another try.

        :raises HandshakeError, OSError, ValueError, RuntimeError: as :meth:`ws4py.client.WebSocketBaseClient.connect`.
        """
        self._check_connecting()
        if self._opening is not None:
            raise RuntimeError('this client is connecting already')
        opening = self._opening = _Opening(self, asyncio.get_running_loop())
        try:
            request = self.handshake_request
            while True:
                try:
                    await opening.run(request)
                    break
                except Redirected as redirected:
                    opening.abort()
                    if self._opening is not opening:
                        raise broken_off('__init__ was called again') from None
                    request = self._follow(redirected)
                    opening = self._opening = _Opening(self, asyncio.get_running_loop())
        except BaseException:
            if self._opening is not opening:  # __init__ was called again meanwhile
                opening.abort()
            elif self._over is None:
                opening.abort()
                self._give_up()
            else:  # it was cancelled at the very moment at which the connection was there, opened() has been called
                self.abort(closecode.GOING_AWAY, 'connect() was cancelled')
            raise
        finally:
            if self._opening is opening:
                self._opening = None

    def _drive(self, transport: Any, loop: asyncio.AbstractEventLoop) -> None:
        """The opening handshake is done: drive the connection from now on."""
        self._gone = Moment()
        self.sock = TransportSocket(transport, loop, self.limits.close_timeout)
        connection = TransportConnection(self, loop, self._gone.happen)
        transport.set_protocol(connection)
        self.handshake_ok()
        connection.start()

    def close(  # type: ignore[override]
        self, code: int = closecode.NORMAL_CLOSURE, reason: Payload = ''
    ) -> Awaitable[None]:
        """Begin the closing handshake, see the base class; or give up connecting."""
        if self.state is State.CONNECTING and self._opening is not None:
            self._opening.fail(broken_off(CLOSED))
        return super().close(code, reason)

    async def wait_closed(self) -> None:
        """Wait until the connection has ended, ``closed()`` is done and the socket is closed; see the base class."""
        over, gone, driver = self._over, self._gone, self._driver
        await super().wait_closed()
        if over is not None and gone is not None and not getattr(driver, 'in_hook', False):
            await gone.wait(self.limits.close_timeout)


class _Opening(asyncio.Protocol):
    """One attempt at a connection, and the protocol of its transport up to the end of the opening handshake."""

    def __init__(self, client: WebSocketClient, loop: asyncio.AbstractEventLoop) -> None:
        self._client = client
        self._limits = client.limits
        self._loop = loop
        self._sock: Optional[socket.socket] = None  # while there is no transport for it
        self._transport: Any = None
        self._expecting = False  # the request was sent
        self._done: asyncio.Future[None] = loop.create_future()
        self._done.add_done_callback(lambda done: done.cancelled() or done.exception())  # nobody may have waited for it

    async def run(self, request: bytes) -> None:
        """From the name of the host to the connection that is driven."""
        client, limits, loop = self._client, self._limits, self._loop
        dialing = dial(*client._dialed, client.unix_socket_path, limits.connect_timeout)
        self._sock = await self._done_or(dialing, discard=socket.socket.close)
        timer: Optional[asyncio.TimerHandle] = None
        if limits.handshake_timeout is not None:
            timer = loop.call_later(limits.handshake_timeout, self._late)
        try:
            if client._via is not None:
                sock: Any = self._sock
                self._sock = None  # it is the tunnel's until that is there
                tunnel = open_tunnel_on(loop, sock, client._via, client._destination, limits)
                through: socket.socket = await self._done_or(tunnel, discard=socket.socket.close)
                self._sock = through
            self._transport = await self._done_or(self._make_transport(), discard=_abort)
            client._expect_response()
            self._expecting = True
            self._transport.write(request)
            await self._done
        finally:
            if timer is not None:
                timer.cancel()

    async def _make_transport(self) -> Any:
        """The transport, with TLS where the URL asks for it.

        It must not be aborted before it is returned: uvloop's would close the file descriptor and leave the socket
        behind, which closes the number once more when it is collected, whoever has it then.
        """
        client, loop = self._client, self._loop
        options: Any = {}
        if client._uri.secure:
            context, name = client._tls_context(), client._tls_name
            # What it raises for a name or a context that is none, it raises while the socket is still ours.
            context.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_hostname=name)
            options = {'ssl': context, 'server_hostname': name, 'ssl_handshake_timeout': NO_LIMIT}
        create: Any = loop.create_connection if client.unix_socket_path is None else loop.create_unix_connection
        options['sock'], self._sock = self._sock, None  # it is the transport's from now on
        transport, _ = await create(lambda: self, **options)
        return transport

    async def _done_or(self, coroutine: Coroutine[Any, Any, T], discard: Callable[[T], object] = id) -> T:
        """What *coroutine* returns, unless this attempt fails meanwhile.

        :param discard: called with it if it comes too late.
        """
        task = self._loop.create_task(coroutine)
        futures: list[asyncio.Future[Any]] = [task, self._done]
        try:
            await asyncio.wait(futures, return_when=asyncio.FIRST_COMPLETED)
            for future in futures:
                if future.done():
                    future.result()  # which raises what has failed
            return task.result()
        except BaseException:
            task.cancel()
            task.add_done_callback(lambda task: task.cancelled() or task.exception() or discard(task.result()))
            raise

    def _late(self) -> None:
        error: Exception = TimeoutError(f'not done within {self._limits.handshake_timeout:g} s')
        self.fail(broken_off(error) if self._expecting or self._client._via is not None else error)

    def fail(self, error: BaseException) -> None:
        """The attempt has failed."""
        if not self._done.done():
            self._done.set_exception(error)

    def abort(self) -> None:
        """Close the transport, if there is one, now or when it comes."""
        self._done.cancel()
        if self._sock is not None:
            self._sock.close()
        if self._transport is not None:
            self._transport.abort()

    # What the transport calls

    def data_received(self, data: bytes) -> None:
        """Bytes came from the server."""
        if self._done.done():
            return
        try:
            if not self._expecting:
                raise broken_off('the server spoke first')
            if self._client._feed_response(data):
                self._client._drive(self._transport, self._loop)
                self._done.set_result(None)
        except BaseException as error:  # to whoever waits in connect()
            self.fail(error)

    def eof_received(self) -> None:
        """The server has finished."""
        if self._expecting:
            self.data_received(b'')
        else:
            self.connection_lost(None)

    def connection_lost(self, exc: Optional[Exception]) -> None:
        """The transport is gone."""
        error = exc or ConnectionResetError(errno.ECONNRESET, 'the connection was closed')
        self.fail(broken_off(error) if self._expecting else error)


def _abort(transport: Any) -> None:
    transport.abort()


C = TypeVar('C', bound=WebSocketClient)


class Connecting(Generic[C]):
    """What :func:`connect` returns: ``await`` it, or use it in ``async with``."""

    def __init__(self, client: C) -> None:
        self._client = client

    def __await__(self) -> Generator[Any, None, C]:
        return self.__aenter__().__await__()

    async def __aenter__(self) -> C:
        await self._client.connect()
        return self._client

    async def __aexit__(self, kind: Optional[type[BaseException]], *_: object) -> None:
        code = closecode.NORMAL_CLOSURE
        if kind is not None:
            code = closecode.INTERNAL_ERROR if issubclass(kind, Exception) else closecode.GOING_AWAY
        try:
            await self._client.close(code)
        except BaseException:  # nobody waits any more
            self._client.abort(closecode.GOING_AWAY, 'not waited for')
            raise


@overload
def connect(url: str, *args: Any, client_cls: Callable[..., C], **options: Any) -> Connecting[C]: ...


@overload
def connect(url: str, *args: Any, **options: Any) -> Connecting[WebSocketClient]: ...


def connect(url: str, *args: Any, client_cls: Any = WebSocketClient, **options: Any) -> Any:
    """Connect to a server: ``ws = await connect(url)``, or ``async with connect(url) as ws:``.

    Leaving the block closes the connection and waits for its end: with 1000; with 1011 when the block has raised an
    exception, with 1001 when it was cancelled.

    :param url: and all further arguments as for :class:`WebSocketClient`: ``protocols``, ``extensions``,
        ``heartbeat_freq``, ``ssl_options``, ``headers``, ``exclude_headers``, ``limits``, ``max_redirects``, ``proxy``,
        ``cookies``.
    :param client_cls: what is called with them: a subclass of :class:`WebSocketClient`.
    :raises ValueError, TypeError: as the class does; everything else is raised when it is awaited.
    """
    return Connecting(client_cls(url, *args, **options))


class Reconnecting(Awaited):
    """Clients of this module, one after the other: each is connected again when its connection is lost.

    ::

        await Reconnecting(lambda: Listener('wss://example.org/feed')).run_forever()

    See :class:`ws4py.reconnecting.Reconnecting` for the arguments. A client that takes its messages by ``async for``
    does so in an ``opened()`` that is a coroutine, which is called for each connection. The factory and the hooks are
    called in the loop; :meth:`~ws4py.reconnecting.Awaited.stop` may be called from any thread.
    """
