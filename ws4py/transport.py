"""A connection on an asyncio transport.

:class:`TransportSocket` gives a transport the face of a socket that does not block, so that a
:class:`~ws4py.websocket.WebSocket` reads and writes it like any other; :class:`TransportConnection` is the protocol
that feeds it and drives the connection::

    data_received() ─► TransportSocket ─► WebSocket.once() ─► hooks
    WebSocket.send() ─► Outbox ─► TransportSocket ─► transport.write()

What does not depend on the transport is in :class:`FedSocket` and :class:`FedDriver`, for whoever else is handed bytes
in place of reading them. All of this is called in the loop's thread, unless it is said otherwise. The opening handshake
is not done here.
"""

from __future__ import annotations

import abc
import asyncio
import contextlib
import errno
import logging
import socket
import threading
from collections import deque
from typing import Any, Callable, Optional

from ws4py.asyncdriving import AsyncioDriver
from ws4py.outbox import BLOCK
from ws4py.websocket import WebSocket

__all__ = ['FedDriver', 'FedSocket', 'TransportConnection', 'TransportSocket']

logger = logging.getLogger('ws4py')

READ = 112 * 1024  # bytes that are processed in one turn: a message of 64 KiB and its header are not more
WRITE = 128 * 1024  # bytes that a transport is given at once
MUCH = 250_000  # bytes of one read that may have left more behind: uvloop then reads on at once, while others wait


class FedSocket(abc.ABC):
    """The face of a non-blocking socket for what somebody else reads, who calls :meth:`feed`.

    ``send`` and ``close`` may be called from any thread: only the loop's writes, the others are told to try later.

    :ivar linger: seconds that what is still unsent has after :meth:`close`.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, linger: float) -> None:
        self._loop = loop
        self.linger = linger
        self._thread = threading.get_ident()
        self._chunks: Optional[deque[bytes]] = None  # nothing, which is what an idle connection has
        self._patience: Optional[asyncio.TimerHandle] = None
        # Raised when everything before it was read; an EOFError is an end. Always as a copy: an error refers by its
        # traceback to everybody whom it has passed, and until the garbage collector comes that keeps us all.
        self._end: Optional[Exception] = None

    def feed(self, data: bytes) -> None:
        """Bytes came from the peer."""
        if self._chunks is None:
            self._chunks = deque()
        self._chunks.append(data)

    def feed_end(self, error: Optional[Exception] = None) -> None:
        """Nothing more comes, because of *error* or because the peer has finished."""
        if self._end is None:
            self._end = _copy(error) if isinstance(error, OSError) else EOFError()

    def discard(self) -> None:
        """Throw away what came, but not the end."""
        self._chunks = None

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
            data = self._chunks.popleft()
            if not self._chunks:
                self._chunks = None
            return data
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
        transport = self.transport
        if self._gone or transport.is_closing():  # not is_alive(): this is done for every message
            raise ConnectionResetError(errno.ECONNRESET, 'the connection was lost')
        if self.paused or threading.get_ident() != self._thread:
            raise BlockingIOError(errno.EAGAIN, 'the transport cannot be written to now')
        if len(data) <= WRITE:
            transport.write(data)
            return len(data)
        view, sent = memoryview(data), 0
        while sent < len(view) and not (self.paused or transport.is_closing()):
            piece = view[sent : sent + WRITE]  # a transport takes any amount; what it need not have yet is the outbox's
            transport.write(piece)
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
        if not self._gone and (hasattr(self, '_sslobj') or self.transport.get_write_buffer_size()):
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
        websocket = self.websocket
        if self._resting or websocket.watched[1]:
            self._sock.feed(data)
            return
        size = len(data)
        too_much = size > READ and size > websocket.reading_buffer_size
        if too_much or not self._opened or self._lingers or self._deaf or self.holds_input:
            self._sock.feed(data)
            self.readable()
        elif not websocket.take(data):
            self._finish()
        if size >= MUCH:
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
