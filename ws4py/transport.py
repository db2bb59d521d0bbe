"""A connection on an asyncio transport.

:class:`TransportSocket` gives a transport the face of a socket that does not block, so that a
:class:`~ws4py.websocket.WebSocket` reads and writes it like any other. :class:`AsyncioDriver` is what any connection
on an asyncio loop needs (Tornado's is one): timers, calls from other threads, and hooks that are coroutines.
:class:`TransportConnection` is the protocol that brings both together::

    data_received() ─► TransportSocket ─► WebSocket.once() ─► hooks
    WebSocket.send() ─► Outbox ─► TransportSocket ─► transport.write()

There is no task for a connection and none for a message; only a hook that is an ``async def`` gets one, and while it
runs the hooks after it wait their turn. All of this is called in the loop's thread, unless it is said otherwise. The
opening handshake is not done here.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import socket
import threading
from collections import deque
from collections.abc import Coroutine
from types import CoroutineType
from typing import Any, Callable, Optional

from ws4py.driving import LoopDriver
from ws4py.outbox import BLOCK
from ws4py.sending import NotOpenError
from ws4py.websocket import WebSocket

__all__ = ['AsyncioDriver', 'Backlog', 'TransportConnection', 'TransportSocket']

logger = logging.getLogger('ws4py')

CROWD = 16  # so many messages that wait for the application are enough


class TransportSocket:
    """The face of a non-blocking socket for an asyncio transport.

    ``send`` may be called from any thread: only the loop's writes, the others are told to try later.

    :param transport: the transport; somebody else receives and calls :meth:`feed`.
    :param linger: seconds that what is still unsent has after :meth:`close`.
    :ivar paused: the transport has as much to send as it should.
    """

    def __init__(self, transport: Any, loop: asyncio.AbstractEventLoop, linger: float) -> None:
        self.transport = transport
        self.paused = False
        self._loop = loop
        self._linger = linger
        self._thread = threading.get_ident()
        self._chunks: deque[bytes] = deque()
        self._patience: Optional[asyncio.TimerHandle] = None
        self._end: Optional[Exception] = None  # raised when everything before it was read; an EOFError is an end
        transport.set_write_buffer_limits(high=BLOCK)

    def feed(self, data: bytes) -> None:
        """Bytes came from the peer."""
        self._chunks.append(data)

    def feed_end(self, error: Optional[Exception] = None) -> None:
        """Nothing more comes, because of *error* or because the peer has finished."""
        if self._end is None:
            self._end = error or EOFError()

    @property
    def holds_input(self) -> bool:
        """True when :meth:`recv` has something to say."""
        return bool(self._chunks) or self._end is not None

    def recv(self, size: int) -> bytes:
        """What came from the peer, however much that is; b'' at its end.

        :raises BlockingIOError: nothing did.
        :raises OSError: the connection broke.
        """
        if self._chunks:
            return self._chunks.popleft()
        if self._end is None:
            raise BlockingIOError(errno.EAGAIN, 'nothing was received')
        if isinstance(self._end, OSError):
            raise self._end
        return b''

    def send(self, data: Any) -> int:
        """Give *data* to the transport.

        :raises BlockingIOError: it has enough for now, or this is not the loop's thread.
        :raises OSError: the connection broke.
        """
        if self.transport.is_closing():
            raise ConnectionResetError(errno.ECONNRESET, 'the connection was lost')
        if self.paused or threading.get_ident() != self._thread:
            raise BlockingIOError(errno.EAGAIN, 'the transport cannot be written to now')
        self.transport.write(data)
        return len(data)

    def shutdown(self, how: int) -> None:
        """End our half of the connection, where the transport can do that (TLS cannot).

        :raises OSError: it cannot.
        """
        if how == socket.SHUT_WR:
            if not self.transport.can_write_eof() or self.transport.is_closing():
                raise OSError(errno.EOPNOTSUPP, 'this transport has no half-closed state')
            self.transport.write_eof()

    def close(self) -> None:
        """Close the transport when what was written is sent, or cannot be sent in time; from any thread."""
        if threading.get_ident() == self._thread:
            self._close()
        else:
            with contextlib.suppress(RuntimeError):  # the loop is closed, and with it the transport
                self._loop.call_soon_threadsafe(self._close)

    def _close(self) -> None:
        self.transport.close()
        if self.transport.get_write_buffer_size() and self._patience is None:
            self._patience = self._loop.call_later(self._linger, self.transport.abort)

    def gone(self) -> None:
        """The transport is closed, nothing is to be done with it any more."""
        if self._patience is not None:
            self._patience.cancel()

    def setblocking(self, flag: bool) -> None:
        """It never blocks."""

    def settimeout(self, seconds: Optional[float]) -> None:
        """It never blocks."""

    def fileno(self) -> int:
        """The descriptor of the socket; -1 when it is closed."""
        sock = self.transport.get_extra_info('socket')
        return -1 if sock is None else int(sock.fileno())

    def getsockname(self) -> Any:
        """Our address."""
        return self.transport.get_extra_info('sockname')

    def getpeername(self) -> Any:
        """The peer's address."""
        return self.transport.get_extra_info('peername')


class _Later:
    """A timer that another thread has set: the loop's own cannot be set or cancelled from there."""

    def __init__(self, driver: AsyncioDriver, delay: float, callback: Callable[[], object]) -> None:
        self._driver = driver
        self._handle: Optional[asyncio.TimerHandle] = None
        self._cancelled = False
        driver.call_soon(lambda: self._set(delay, callback))

    def _set(self, delay: float, callback: Callable[[], object]) -> None:
        if not self._cancelled:
            self._handle = self._driver.loop.call_later(delay, callback)

    def cancel(self) -> None:
        self._cancelled = True
        self._driver.call_soon(self._cancel)

    def _cancel(self) -> None:
        if self._handle is not None:
            self._handle.cancel()


class Backlog(deque):  # type: ignore[type-arg]
    """What waits for the application: hooks behind a coroutine, messages that nobody has asked for yet.

    While it is long, or holds much, nothing more is read from the peer.

    :param websocket: the connection, of whose limits ``write_high_water`` counts here as well.
    """

    def __init__(self, websocket: WebSocket) -> None:
        super().__init__()
        self._websocket = websocket
        self._size = 0

    def append(self, call: tuple[Callable[..., object], tuple[Any, ...]]) -> None:
        """Put a hook and its arguments behind the others."""
        super().append(call)
        self._count(_size(call))

    def popleft(self) -> tuple[Callable[..., object], tuple[Any, ...]]:
        """Take the first one."""
        call: tuple[Callable[..., object], tuple[Any, ...]] = super().popleft()
        self._count(-_size(call))
        return call

    def _count(self, size: int) -> None:
        self._size += size
        self._websocket.crowd(len(self) >= CROWD or self._size > self._websocket.limits.write_high_water)


def _size(call: tuple[Callable[..., object], tuple[Any, ...]]) -> int:
    """Bytes of the message that a hook is to be called with."""
    return sum(len(getattr(argument, 'data', b'')) for argument in call[1])


class AsyncioDriver(LoopDriver):
    """Drives one connection on an asyncio loop, that of the thread in which it is made."""

    def __init__(self, websocket: WebSocket, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(websocket)
        self.loop = loop
        self._thread = threading.get_ident()
        self._task: Optional[asyncio.Task[None]] = None  # of the hook that is a coroutine
        self._patience: Optional[asyncio.TimerHandle] = None  # the connection has to end when that hook is done
        self._senders: list[asyncio.Future[None]] = []  # which wait for room

    def in_loop(self) -> bool:
        """True in the loop's thread."""
        return threading.get_ident() == self._thread

    def call_soon(self, callback: Callable[[], object]) -> None:
        """Call *callback* in the loop's thread; from any thread. A loop that is closed calls nothing any more."""
        with contextlib.suppress(RuntimeError):
            if self.in_loop():
                self.loop.call_soon(callback)
            else:
                self.loop.call_soon_threadsafe(callback)

    def call_later(self, delay: float, callback: Callable[[], object]) -> Any:
        """Call *callback* in the loop's thread, *delay* seconds from now; from any thread."""
        if self.in_loop():
            return self.loop.call_later(delay, callback)
        return _Later(self, delay, callback)

    # Room

    async def room(self) -> None:
        """Wait until a sender need not wait.

        :raises NotOpenError: the connection has ended meanwhile.
        """
        while not self.websocket.has_room:
            future = self.loop.create_future()
            self._senders.append(future)
            await future
            if self.over:
                raise NotOpenError('the connection has ended while something waited to be sent')

    def _look(self) -> None:
        super()._look()
        if self._senders and (self.over or self.websocket.has_room):
            self._wake_senders()

    def _wake_senders(self) -> None:
        senders, self._senders = self._senders, []
        for future in senders:
            if not future.done():
                future.set_result(None)

    # Hooks that are coroutines

    def run_coroutine(
        self,
        websocket: Any,
        hook: Callable[..., object],
        coroutine: Coroutine[Any, Any, object],
        done: Optional[Callable[[], None]] = None,
    ) -> None:
        """Await what *hook* gave, then call *done*; other hooks wait in ``pending_calls`` meanwhile."""
        websocket.pending_calls = Backlog(websocket)
        self._task = self.loop.create_task(self._await(hook, coroutine, done))

    async def _await(
        self, hook: Callable[..., object], coroutine: Any, done: Optional[Callable[[], None]] = None
    ) -> None:
        """Await a hook and then those that have come behind it."""
        websocket = self.websocket
        calls = websocket.pending_calls
        args: tuple[Any, ...] = ()
        going = True
        try:
            while True:
                try:
                    if coroutine is None:
                        coroutine = hook(*args)
                    if isinstance(coroutine, CoroutineType):
                        await coroutine
                except Exception as error:
                    going = websocket.hook_failed(hook, error)
                if not calls or not going:
                    break
                (hook, args), coroutine = calls.popleft(), None
        except asyncio.CancelledError:
            logger.info('%s was cancelled, the connection has ended', hook)
            going = False
        finally:
            websocket.pending_calls = self._task = None
            websocket.crowd(False)
            if done is not None:
                done()
        if self._patience is not None:
            self._patience.cancel()
            self.end()
        elif not going:
            self._finish()

    # The end

    def end(self) -> None:
        """Call ``closed()``, after the hook that may be running, and close the socket."""
        if self.over:
            return
        task = self._task
        if task is not None:
            if self._patience is None:  # it has the close timeout to come to its own end
                self._patience = self.loop.call_later(self.websocket.limits.close_timeout, task.cancel)
                self.wait_for(read=False, write=False)
                self._wake_senders()
            return
        super().end()
        self._wake_senders()


class TransportConnection(AsyncioDriver, asyncio.Protocol):
    """The protocol of a transport on which the opening handshake is done.

    To be made with a websocket whose ``sock`` is a :class:`TransportSocket`, given to ``transport.set_protocol()``,
    and then to be started. What came behind the handshake is in the websocket's ``buf``.

    :param lost: called when the transport is gone, which is after the connection's ``closed()``.
    """

    def __init__(
        self, websocket: WebSocket, loop: asyncio.AbstractEventLoop, lost: Optional[Callable[[], object]] = None
    ) -> None:
        super().__init__(websocket, loop)
        self._sock: TransportSocket = websocket.sock
        self._transport: Any = self._sock.transport
        self._lost = lost
        self._reading = True

    # What the transport calls

    def data_received(self, data: bytes) -> None:
        """Bytes came from the peer."""
        self._sock.feed(data)
        if not self.websocket.watched[1]:
            self.readable()

    def eof_received(self) -> bool:
        """The peer has finished. The transport stays open, if it can, for what is still to be sent."""
        self._sock.feed_end()
        if not self.websocket.watched[1]:
            self.readable()
        return self._transport.get_extra_info('ssl_object') is None

    def connection_lost(self, exc: Optional[Exception]) -> None:
        """The transport is gone."""
        self._sock.gone()
        self._sock.feed_end(exc)
        if self.websocket.watched[0]:
            self.writable()  # which finds that what waits cannot be sent
        elif not self.websocket.watched[1]:
            self.readable()
        if self._lost is not None:
            self._lost()

    def pause_writing(self) -> None:
        """The transport has enough to send."""
        self._sock.paused = True

    def resume_writing(self) -> None:
        """It has room again."""
        self._sock.paused = False
        self.writable()

    # What the connection asks for

    @property
    def holds_input(self) -> bool:
        """True when there is more to process without waiting for the peer."""
        websocket = self.websocket
        return websocket.holds_input or (self._sock.holds_input and not websocket.watched[1])

    def wait_for(self, read: bool, write: bool) -> None:
        """Let the transport receive, or not. That it has room it says by itself, but not to other threads."""
        if read != self._reading and not self._transport.is_closing():
            self._reading = read
            (self._transport.resume_reading if read else self._transport.pause_reading)()
        if write and not self._sock.paused:
            self.call_soon(self.writable)

    def end(self) -> None:
        """Call ``closed()`` and close the transport; one that was dropped does not send what waits."""
        super().end()
        if self.over and self._dropped:
            self._transport.abort()
