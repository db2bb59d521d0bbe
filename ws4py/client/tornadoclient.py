"""A client on Tornado's IOLoop.

::

    client = EchoClient('ws://localhost:9000/echo')
    client.connect()
    IOLoop.current().start()

:meth:`TornadoWebSocketClient.connect` returns at once. In the loop, name resolution, TCP, TLS and the opening handshake
follow, within the times that :class:`ws4py.limits.Limits` gives; from then on a :class:`ws4py.iostream.StreamDriver`
drives the connection, and its hooks, plain or ``async def``, are called in the loop. Any thread may send.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import warnings
from collections.abc import Mapping, Sequence
from typing import Any, Callable, Optional

from tornado.ioloop import IOLoop
from tornado.iostream import IOStream, SSLIOStream, StreamClosedError

from ws4py import closecode
from ws4py.async_websocket import Moment
from ws4py.asyncdriving import AsyncioDriver
from ws4py.client import CLOSED, Redirected, WebSocketBaseClient, broken_off
from ws4py.dialing import dial
from ws4py.exc import HandshakeError
from ws4py.extensions import Configured
from ws4py.iostream import StreamDriver, StreamSocket
from ws4py.messaging import Payload
from ws4py.opening import Deadline
from ws4py.outbox import BLOCK
from ws4py.reconnecting import Awaited
from ws4py.tunnels import open_tunnel_on

__all__ = ['Reconnecting', 'TornadoWebSocketClient']

logger = logging.getLogger('ws4py')


class TornadoWebSocketClient(WebSocketBaseClient):
    """A WebSocket client that runs in an IOLoop; see the base class for the other arguments.

    :param io_loop: the loop, else the current one of this thread, which need not run yet.
    :ivar io: the IOStream; None while there is none.
    """

    _socket_first = False

    def __init__(
        self,
        url: str,
        protocols: Optional[Sequence[str]] = None,
        extensions: Optional[Sequence[Configured]] = None,
        io_loop: Optional[IOLoop] = None,
        ssl_options: Optional[Mapping[str, Any]] = None,
        headers: Optional[Sequence[tuple[str, str]]] = None,
        exclude_headers: Optional[Sequence[str]] = None,
        *,
        heartbeat_freq: Optional[float] = None,
        **options: Any,
    ) -> None:
        super().__init__(url, protocols, extensions, heartbeat_freq, ssl_options, headers, exclude_headers, **options)
        self.io_loop = io_loop or _current_loop()

    _over: Moment  # it has ended altogether
    _attempt: Optional[_Attempt] = None

    def _prepare(self) -> None:
        if self._attempt is not None:
            self._attempt.stop()
        if hasattr(self, '_over'):  # __init__ is called again: the last connection is over
            self._over.happen()
        self._over = Moment()
        self._attempt = None
        self.io: Optional[IOStream] = None

    def connect(self) -> asyncio.Future[None]:  # type: ignore[override]  # it is not done when this returns
        """Begin to connect; returns at once. To be called in the thread of the loop, or before the loop runs.

        :returns: a future that is done when the connection is open. On failure it has the exception, one of those that
            the base class's method raises. When nobody is waiting for it at that moment, the failure is logged and
            ``closed(1006, reason)`` is called, so that a program which waits for that comes to its end.
        :raises ValueError: something that would be sent holds CR, LF or NUL.
        :raises RuntimeError: it was called before.
        """
        self._check_connecting()
        if self._attempt is not None:
            raise RuntimeError('this client is connecting already')
        request = self.handshake_request
        loop: Any = self.io_loop
        attempt = self._attempt = _Attempt(loop=loop.asyncio_loop)
        self.io_loop.add_callback(attempt.begin, lambda: self._establish(attempt, request))
        return attempt

    def close(self, code: int = closecode.NORMAL_CLOSURE, reason: Payload = '') -> None:
        """Begin the closing handshake, see the base class; or give up connecting."""
        attempt = self._attempt
        if attempt is None or attempt.done():
            super().close(code, reason)
        else:  # the handshake may be done already, but there is nothing yet that a Close frame could be written to
            self.closed_by_us = True
            self.io_loop.add_callback(self._close_attempt, attempt, code, reason)

    def _close_attempt(self, attempt: _Attempt, code: int, reason: Payload) -> None:
        if not attempt.done():
            attempt.stop()
        elif attempt is self._attempt:  # it has been quicker
            super().close(code, reason)

    async def wait_closed(self) -> None:
        """Wait until the connection has ended and ``closed()`` is done, or there was none. In the loop; not in a hook,
        where that would never come.
        """
        await self._over.wait()

    def _finish(self) -> None:
        super()._finish()
        self._over.happen()

    def close_connection(self) -> None:
        """Close the stream, when what was written is sent; or give up connecting. From any thread."""
        if self._attempt is not None and not self._attempt.done():
            self.io_loop.add_callback(self._attempt.stop)
        super().close_connection()
        self.io = None

    def handshake_ok(self) -> None:
        """Drive the connection from now on; called in the loop."""
        StreamDriver(self).start()

    async def _establish(self, attempt: _Attempt, request: bytes) -> None:
        """Connect, and drive the connection or tell why there is none."""
        try:
            attempt.enter()
            while True:
                sock = await dial(*self._dialed, self.unix_socket_path, self.limits.connect_timeout)
                try:
                    stream = await self._shake_hands_on(sock, request)
                    break
                except Redirected as redirected:
                    request = self._follow(redirected)
            if attempt.stopped:  # asyncio.wait_for() has not heard of it (up to Python 3.11)
                stream.close()
                raise asyncio.CancelledError
        except (Exception, asyncio.CancelledError) as error:
            if attempt is self._attempt:  # else __init__ was called again meanwhile
                self._fail_to_connect(attempt, error)
            return
        self.io, self.sock = stream, StreamSocket(stream)
        attempt.set_result(None)
        self.handshake_ok()

    def _fail_to_connect(self, attempt: _Attempt, error: BaseException) -> None:
        if isinstance(error, asyncio.CancelledError):
            error = broken_off(CLOSED)
        told = attempt.awaited or attempt.done()
        if not attempt.done():
            attempt.set_exception(error)
        self._give_up()
        if told:
            self._over.happen()
        else:
            attempt.exception()  # which is all that asyncio wants to see
            expected = isinstance(error, (OSError, HandshakeError))
            logger.error('no connection to %s: %s', self.url, error, exc_info=None if expected else error)
            self._failure = (closecode.ABNORMAL_CLOSURE, str(error))
            self._driver = _Idle(self, attempt.get_loop())
            self.terminate()

    async def _shake_hands_on(self, sock: socket.socket, request: bytes) -> IOStream:
        """The stream on which the opening handshake is done, within its time.

        :raises HandshakeError: the server's answer is wrong, or the connection broke.
        :raises OSError: TLS could not be established.
        """
        timeout = self.limits.handshake_timeout
        deadline = Deadline(timeout)
        if self._via is not None:
            tunnel = open_tunnel_on(asyncio.get_running_loop(), sock, self._via, self._destination, self.limits)
            try:
                await asyncio.wait_for(tunnel, timeout)
            except asyncio.TimeoutError:
                raise broken_off(f'not done within {timeout} s') from None
        try:
            if self._uri.secure:
                context = self._tls_context()
                sock = context.wrap_socket(sock, server_hostname=self._tls_name, do_handshake_on_connect=False)
                stream: IOStream = SSLIOStream(sock, ssl_options=context)
            else:
                stream = IOStream(sock)
        except BaseException:
            sock.close()
            raise
        try:
            left = deadline.left()  # which raises when it has passed: before there is a coroutine that nobody awaits
            await asyncio.wait_for(self._shake_hands_within(stream, request), left)
        except BaseException as error:
            stream.close()
            if isinstance(error, (TimeoutError, asyncio.TimeoutError)):  # one and the same from Python 3.11 on
                raise broken_off(f'not done within {timeout} s') from None
            raise
        return stream

    async def _shake_hands_within(self, stream: IOStream, request: bytes) -> None:
        if isinstance(stream, SSLIOStream):
            # Tornado before 6.6 cannot close a stream on which this was cancelled.
            await asyncio.shield(stream.wait_for_handshake())
        self._expect_response()
        try:
            await stream.write(request)
            while not self._feed_response(await stream.read_bytes(BLOCK, partial=True)):
                pass
        except StreamClosedError as error:
            if error.real_error is not None:
                raise broken_off(error.real_error) from error
            self._feed_response(b'')


class Reconnecting(Awaited):
    """Clients of this module, one after the other: each is connected again when its connection is lost.

    ::

        await Reconnecting(lambda: EchoClient('ws://localhost:9000/echo')).run_forever()

    See :class:`ws4py.reconnecting.Reconnecting` for the arguments. The factory is called in the loop, and so are the
    hooks; :meth:`~ws4py.reconnecting.Awaited.stop` may be called from any thread.
    """


class _Attempt(asyncio.Future[None]):
    """What :meth:`TornadoWebSocketClient.connect` returns: it knows whether anybody waits for it."""

    awaited = False
    stopped = False
    _task: Optional[asyncio.Task[None]] = None
    _entered = False  # a task that is cancelled before that does nothing at all, it would not tell anybody either

    def begin(self, connect: Callable[[], Any]) -> None:
        """Connect, unless it was cancelled before the loop ran."""
        if not self.cancelled():
            self._task = self.get_loop().create_task(connect())

    def enter(self) -> None:
        """The first thing that the task does.

        :raises CancelledError: it was stopped already.
        """
        self._entered = True
        if self.stopped:
            raise asyncio.CancelledError

    def stop(self) -> None:
        """Connect no more."""
        self.stopped = True
        if self._task is not None and self._entered and not self.done():
            self._task.cancel()

    def add_done_callback(self, callback: Any, *, context: Any = None) -> None:
        self.awaited = True
        super().add_done_callback(callback, context=context)

    def cancel(self, msg: Any = None) -> bool:
        self.stop()
        return super().cancel(msg)


class _Idle(AsyncioDriver):
    """Drives what never was a connection: its ``closed()`` may be a coroutine all the same."""

    def wait_for(self, read: bool, write: bool) -> None:
        """Nothing comes."""


def _current_loop() -> IOLoop:
    """The loop that runs in this thread, or will run."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        with warnings.catch_warnings():  # several versions of Python would rather not be asked
            warnings.simplefilter('ignore', DeprecationWarning)
            return IOLoop.current()
    return IOLoop.current()
