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

import abc
import asyncio
import contextlib
import contextvars
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

__all__ = ['AsyncioDriver', 'Backlog', 'FedDriver', 'FedSocket', 'TransportConnection', 'TransportSocket']

logger = logging.getLogger('ws4py')

MUCH = 16 * 1024  # bytes from one peer, after which it is others' turn
CROWD = 16  # so many messages that wait for the application are enough


class FedSocket(abc.ABC):
    """The face of a non-blocking socket for what somebody else reads, who calls :meth:`feed`.

    ``send`` and ``close`` may be called from any thread: only the loop's writes, the others are told to try later.

    :ivar linger: seconds that what is still unsent has after :meth:`close`.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, linger: float) -> None:
        self._loop = loop
        self.linger = linger
        self._thread = threading.get_ident()
        self._chunks: deque[bytes] = deque()
        self._patience: Optional[asyncio.TimerHandle] = None
        # Raised when everything before it was read; an EOFError is an end. Always as a copy: an error refers by its
        # traceback to everybody whom it has passed, and until the garbage collector comes that keeps us all.
        self._end: Optional[Exception] = None

    def feed(self, data: bytes) -> None:
        """Bytes came from the peer."""
        self._chunks.append(data)

    def feed_end(self, error: Optional[Exception] = None) -> None:
        """Nothing more comes, because of *error* or because the peer has finished."""
        if self._end is None:
            self._end = _copy(error) if isinstance(error, OSError) else EOFError()

    def discard(self) -> None:
        """Throw away what came, but not the end."""
        self._chunks.clear()

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
            raise _copy(self._end)
        return b''

    def close(self) -> None:
        """Close it when what was written is sent, or cannot be sent in time; from any thread."""
        if threading.get_ident() == self._thread:
            self._close()
        else:
            with contextlib.suppress(RuntimeError):  # the loop is closed, and with it the connection
                self._loop.call_soon_threadsafe(self._close)

    @abc.abstractmethod
    def _close(self) -> None:
        """The same, in the loop's thread."""

    def setblocking(self, flag: bool) -> None:  # noqa: B027, nothing is all that is to be done
        """It never blocks."""

    def settimeout(self, seconds: Optional[float]) -> None:  # noqa: B027
        """It never blocks."""


def _copy(error: OSError) -> OSError:
    return type(error)(*error.args)


class TransportSocket(FedSocket):
    """The face of a non-blocking socket for an asyncio transport.

    :param transport: the transport, whose protocol calls :meth:`feed`.
    :param linger: seconds that what is still unsent has after :meth:`close`.
    :ivar paused: the transport has as much to send as it should.
    """

    def __init__(self, transport: Any, loop: asyncio.AbstractEventLoop, linger: float) -> None:
        super().__init__(loop, linger)
        self.transport = transport
        tls = transport.get_extra_info('ssl_object')
        if tls is not None:
            self._sslobj = tls  # by which a websocket, and code that was written for sockets, knows that it is secure
        self.paused = False
        self._closed = self._gone = False
        transport.set_write_buffer_limits(high=BLOCK)

    def send(self, data: Any) -> int:
        """Give *data* to the transport.

        :raises BlockingIOError: it has enough for now, or this is not the loop's thread.
        :raises OSError: the connection broke.
        """
        if not self.is_alive():
            raise ConnectionResetError(errno.ECONNRESET, 'the connection was lost')
        if self.paused or threading.get_ident() != self._thread:
            raise BlockingIOError(errno.EAGAIN, 'the transport cannot be written to now')
        view, sent = memoryview(data), 0
        while sent < len(view) and not (self.paused or self.transport.is_closing()):
            piece = view[sent : sent + BLOCK]  # a transport takes any amount; what it need not have yet is the outbox's
            self.transport.write(piece)
            sent += len(piece)
        return sent

    def shutdown(self, how: int) -> None:
        """End our half of the connection, where the transport can do that (TLS cannot).

        :raises OSError: it cannot.
        """
        if how == socket.SHUT_WR:
            if not self.transport.can_write_eof() or not self.is_alive():
                raise OSError(errno.EOPNOTSUPP, 'this transport has no half-closed state')
            self.transport.write_eof()

    def _close(self) -> None:
        if self._closed:  # a second close() would make TLS forget how to abort(), and it may come from inside the first
            return
        self._closed = True
        if not self._gone:
            # A peer that does not end TLS as it should is not waited for longer than one that does not read.
            self._patience = self._loop.call_later(self.linger, self.transport.abort)
        self.transport.close()

    def is_alive(self) -> bool:
        """True until the transport is closed by us, or gone."""
        return not (self._gone or self.transport.is_closing())  # TLS before Python 3.11 tells the first only

    def gone(self) -> None:
        """The transport is gone, nothing is to be done with it any more but to close it."""
        self._gone = True
        if self._patience is not None:
            self._patience.cancel()

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
    """Messages that wait for the application.

    :param most: bytes that may wait.
    :ivar long: more should not come; once it is long, it has to become much shorter.
    """

    def __init__(self, most: int) -> None:
        super().__init__()
        self.long = False
        self._most = most
        self._size = 0

    def append(self, item: Any) -> None:
        """Put *item* behind the others."""
        super().append(item)
        self._count(self._measure(item))

    def popleft(self) -> Any:
        """Take the first one."""
        item = super().popleft()
        self._count(-self._measure(item))
        return item

    def _measure(self, item: Any) -> int:
        """Bytes of *item*."""
        return len(item.data)

    def _count(self, size: int) -> None:
        self._size += size
        part = 4 if self.long else 1
        self.long = len(self) * part >= CROWD or self._size * part > self._most


class PendingCalls(Backlog):
    """Hooks that wait for the coroutine of an earlier one. While they are many nothing more is read from the peer.

    :param websocket: the connection, of whose limits ``write_high_water`` counts here as well.
    """

    def __init__(self, websocket: WebSocket) -> None:
        super().__init__(websocket.limits.write_high_water)
        self._websocket = websocket

    def _measure(self, item: Any) -> int:
        return sum(len(getattr(argument, 'data', b'')) for argument in item[1])

    def _count(self, size: int) -> None:
        super()._count(size)
        self._websocket.crowd(self.long)


#: The driver of which a hook is running, in its task and in those that were started there.
_hooked: contextvars.ContextVar[Optional[AsyncioDriver]] = contextvars.ContextVar('_hooked', default=None)


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
            if not self._ends:
                future = self.loop.create_future()
                self._senders.append(future)
                await future
            if self._ends:
                raise NotOpenError('the connection has ended while something waited to be sent')

    @property
    def _ends(self) -> bool:
        """True when it has ended, or will when a hook is done."""
        return self.over or self._patience is not None

    def _look(self) -> None:
        if self._patience is None:
            super()._look()
        if self._senders and (self.over or self.websocket.has_room):
            self._wake_senders()

    def _wake_senders(self) -> None:
        senders, self._senders = self._senders, []
        for future in senders:
            if not future.done():
                future.set_result(None)

    # Hooks that are coroutines

    @property
    def in_hook(self) -> bool:
        """True in a hook that is a coroutine, and in tasks that one has started."""
        return _hooked.get() is self

    def run_coroutine(
        self,
        websocket: Any,
        hook: Callable[..., object],
        coroutine: Coroutine[Any, Any, object],
        done: Optional[Callable[[], None]] = None,
    ) -> None:
        """Await what *hook* gave, then call *done*; other hooks wait in ``pending_calls`` meanwhile."""
        websocket.pending_calls = PendingCalls(websocket)

        def begin() -> None:
            self._task = self.loop.create_task(self._await(hook, coroutine, done))

        if self.in_loop():
            begin()
        else:  # closed(), after terminate() in another thread
            self.call_soon(begin)

    async def _await(
        self, hook: Callable[..., object], coroutine: Any, done: Optional[Callable[[], None]] = None
    ) -> None:
        """Await a hook and then those that have come behind it."""
        _hooked.set(self)
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
                except (Exception, asyncio.CancelledError) as error:
                    if isinstance(error, asyncio.CancelledError) and (self._ends or self._dropped):
                        raise  # it was we who cancelled it
                    if isinstance(error, NotOpenError) and self._ends:
                        logger.debug('%s sent something after the end', hook, exc_info=error)
                    else:
                        going = websocket.hook_failed(hook, error)
                if not calls or not going:
                    break
                (hook, args), coroutine = calls.popleft(), None
                self.be_patient()
        except asyncio.CancelledError:
            logger.info('%s was cancelled, the connection has ended', hook)
            going = False
        finally:
            self._task = None
            if websocket.pending_calls is calls:  # else closed() has called __init__, to connect again
                websocket.pending_calls = None
                websocket.crowd(False)
            if done is not None:
                done()
                self._ended()
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None
            self._finish()  # what the hooks have sent may wait still
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
                self.websocket.no_more_input()
                self.wait_for(read=False, write=False)
                self._wake_senders()
            return
        super().end()
        self._wake_senders()
        if self._task is None:  # else closed() is a coroutine
            self._ended()

    def forget(self, websocket: Any) -> None:
        """The connection has ended, its socket is about to be closed."""
        super().forget(websocket)
        if self._senders:
            self.call_soon(self._wake_senders)

    def cancel(self) -> None:
        """Cancel the hook that is running, if it is a coroutine, on a connection that was dropped."""
        if self._task is not None:
            self._task.cancel()

    def _ended(self) -> None:
        """Called when ``closed()`` is done and the socket is closed."""

    def be_patient(self) -> None:
        """A hook goes on with what had come before the end: its time to come to its own end begins anew."""
        if self._patience is not None and self._task is not None:
            self._patience.cancel()
            self._patience = self.loop.call_later(self.websocket.limits.close_timeout, self._task.cancel)


class FedDriver(AsyncioDriver):
    """Drives a connection whose socket is a :class:`FedSocket`."""

    def __init__(self, websocket: WebSocket, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(websocket, loop)
        self._sock: FedSocket = websocket.sock

    @property
    def holds_input(self) -> bool:
        """True when there is more to process without waiting for the peer."""
        websocket = self.websocket
        return websocket.holds_input or (self._sock.holds_input and not websocket.watched[1])

    def readable(self) -> None:
        """The socket was fed."""
        if self._lingers:  # only the end is of interest, and nobody calls again for what was fed before it
            self._sock.discard()
            if not self._sock.holds_input:
                return
        super().readable()

    def _finish(self) -> None:
        super()._finish()
        if self._lingers and not self.over and self._sock.holds_input:
            self.call_soon(self.readable)


class TransportConnection(FedDriver, asyncio.Protocol):
    """The protocol of a transport on which the opening handshake is done.

    To be made with a websocket whose ``sock`` is a :class:`TransportSocket`, given to ``transport.set_protocol()``,
    and then to be started. What came behind the handshake is in the websocket's ``buf``.

    :param lost: called when the transport is gone and ``closed()`` is done.
    """

    def __init__(
        self, websocket: WebSocket, loop: asyncio.AbstractEventLoop, lost: Optional[Callable[[], object]] = None
    ) -> None:
        super().__init__(websocket, loop)
        self._sock: TransportSocket = websocket.sock
        self._transport: Any = self._sock.transport
        self._lost = lost
        self._gone = False  # the transport is
        self._resting = False
        self._reading = True

    # What the transport calls

    def data_received(self, data: bytes) -> None:
        """Bytes came from the peer."""
        if self.over:
            return
        self._sock.feed(data)
        if not (self._resting or self.websocket.watched[1]):
            self.readable()
            if len(data) >= MUCH:
                self._rest()

    def _goes_on(self) -> bool:
        """True when there is more to process now: never, because it is the turn of other connections."""
        if self.holds_input:
            self._rest()
        return False

    def _rest(self) -> None:
        """Neither read nor process any more until the loop comes round; some loops read many times on end."""
        if not (self._resting or self.over):
            self._resting = True
            self.wait_for(read=False, write=False)
            self.call_soon(self._wake)

    def _wake(self) -> None:
        self._resting = False
        if not self.websocket.watched[1]:
            self.readable()
        if not self._resting:
            self._look()

    def eof_received(self) -> bool:
        """The peer has finished. The transport stays open, if it can, for what is still to be sent."""
        self._sock.feed_end()
        if not self.websocket.watched[1]:
            self.readable()
        return self._transport.get_extra_info('ssl_object') is None

    def connection_lost(self, exc: Optional[Exception]) -> None:
        """The transport is gone."""
        self._gone = True
        self._sock.gone()
        self._sock.feed_end(exc)
        if not self.over:
            self.websocket.socket_lost()
            if self.websocket.watched[0]:
                self.writable()  # which finds that what waits cannot be sent
            elif not self.websocket.watched[1]:
                self.readable()
        self._ended()

    def _ended(self) -> None:
        if self._lost is not None and self._gone and self.over and self._task is None:
            lost, self._lost = self._lost, None
            lost()

    def pause_writing(self) -> None:
        """The transport has enough to send."""
        self._sock.paused = True

    def resume_writing(self) -> None:
        """It has room again."""
        self._sock.paused = False
        self.writable()

    # What the connection asks for

    def wait_for(self, read: bool, write: bool) -> None:
        """Let the transport receive, or not. That it has room it says by itself, but not to other threads."""
        read = read or self.over  # TLS has to hear the peer's end, some versions do not read on for it by themselves
        read = read and not self._resting
        if read != self._reading and self._sock.is_alive():
            self._reading = read
            (self._transport.resume_reading if read else self._transport.pause_reading)()
        if write and not self._sock.paused:
            self.call_soon(self.writable)

    def end(self) -> None:
        """Call ``closed()`` and close the transport; one that was dropped does not send what waits."""
        super().end()
        if self.over and self._dropped:
            self._transport.abort()
