"""A connection on a Tornado IOStream, of a server or a client.

The same as :mod:`ws4py.transport` for an asyncio transport: :class:`StreamSocket` gives the stream the face of a socket
that does not block, and :class:`StreamDriver` drives the connection::

    IOStream.read_bytes() ─► StreamSocket ─► WebSocket.once() ─► hooks
    WebSocket.send() ─► Outbox ─► StreamSocket ─► IOStream.write()

There is at most one read under way; who has enough to do does not ask for another one. A stream is given no more to
write than fits into the socket and a block beyond that, so that what waits is counted where all of it waits, in the
outbox. All of this runs in the thread of the IOLoop, whose timers, calls from other threads and coroutines are
asyncio's. The opening handshake is not done here.

An IOStream closes its socket, and forgets what is still to be written, as soon as it reads that the peer has ended its
half of the connection. So after the peer's Close frame nothing is read until everything is written.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
import ssl
import threading
from typing import Any, Callable, Optional

from tornado.iostream import IOStream, SSLIOStream

from ws4py.limits import DEFAULT_LIMITS
from ws4py.outbox import BLOCK
from ws4py.state import RECEIVED
from ws4py.transport import FedDriver, FedSocket
from ws4py.websocket import WebSocket

__all__ = ['StreamDriver', 'StreamSocket']


class StreamSocket(FedSocket):
    """The face of a non-blocking socket for an IOStream; to be made in the thread of the running IOLoop.

    :param stream: the stream, connected; nobody else writes to it from now on.
    :ivar final: the stream is given everything, because it is the last.
    :ivar has_room: called when it can be written to again after it could not.
    :ivar gone: called when the stream is closed, after :meth:`close`.
    """

    def __init__(self, stream: IOStream) -> None:
        super().__init__(asyncio.get_running_loop(), DEFAULT_LIMITS.close_timeout)
        self.stream = stream
        self.final = False
        self.has_room: Optional[Callable[[], object]] = None
        self.gone: Optional[Callable[[], object]] = None
        self._written: Optional[asyncio.Future[None]] = None  # is done when the last write is
        if isinstance(stream, SSLIOStream):
            self._sslobj = stream.socket  # which tells that the connection is secure, as with an ssl.SSLSocket
        stream.set_nodelay(True)

    @property
    def writing(self) -> bool:
        """True while the stream has not sent what it was given."""
        return self._written is not None and not self._written.done()

    def send(self, data: Any) -> int:
        """Give the stream as much of *data* as its socket takes, and a little more.

        :raises BlockingIOError: it has enough for now, or this is not the loop's thread.
        :raises OSError: the connection broke.
        """
        stream = self.stream
        if threading.get_ident() != self._thread or (self.writing and not self.final):
            raise BlockingIOError(errno.EAGAIN, 'the stream cannot be written to now')
        rest = memoryview(data)
        while rest and (self.final or not self.writing):
            if stream.closed():
                raise self.failure or ConnectionResetError(errno.ECONNRESET, 'the connection was lost')
            future = stream.write(rest[:BLOCK])
            rest = rest[BLOCK:]
            if not future.done():
                self._written = future
                future.add_done_callback(self._room)
        return len(data) - len(rest)

    def _room(self, future: asyncio.Future[None]) -> None:
        if self.has_room is not None and not self.writing:
            self.has_room()

    @property
    def failure(self) -> Optional[OSError]:
        """What has closed the stream; None for the peer's regular end."""
        error = self.stream.error
        if isinstance(error, (ssl.SSLEOFError, ssl.SSLZeroReturnError)):
            return ConnectionResetError(errno.ECONNRESET, 'the connection ended in the middle of TLS')
        return error if isinstance(error, OSError) else None

    def shutdown(self, how: int) -> None:
        """End our half of the connection when everything is written. On TLS without a word, as Tornado does.

        :raises OSError: it is closed already.
        """
        if how == socket.SHUT_WR and self._socket is not None:
            self._when_written(self._half_close)

    def _half_close(self) -> None:
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_WR)

    def _when_written(self, callback: Callable[[], object]) -> None:
        if self._written is not None and not self._written.done():
            self._written.add_done_callback(lambda future: callback())
        else:
            callback()

    def _close(self) -> None:
        if self.writing:
            if self._patience is None:
                self._patience = self._loop.call_later(self.linger, self.stream.close)
                self._when_written(self._close)
            return
        if self._patience is not None:
            self._patience.cancel()
        self.stream.close()
        gone, self.gone, self.has_room = self.gone, None, None
        if gone is not None:
            gone()

    def fileno(self) -> int:
        """The descriptor of the socket; -1 when it is closed."""
        return -1 if self.stream.closed() else self._socket.fileno()

    def getsockname(self) -> Any:
        """Our address."""
        return self._socket.getsockname()

    def getpeername(self) -> Any:
        """The peer's address."""
        return self._socket.getpeername()

    @property
    def _socket(self) -> socket.socket:
        """
        :raises OSError: there is none any more.
        """
        if self.stream.closed():
            raise OSError(errno.ENOTCONN, 'the stream is closed')
        return self.stream.socket


class StreamDriver(FedDriver):
    """Drives one connection on an IOStream; to be made, and started, in the thread of the running IOLoop.

    What came behind the handshake is in the websocket's ``buf``, or still in the stream.

    :param websocket: the connection, on which the opening handshake is done; its ``sock`` is a :class:`StreamSocket`.
    :param lost: called when ``closed()`` has returned and the stream is closed.
    """

    def __init__(self, websocket: WebSocket, lost: Optional[Callable[[], object]] = None) -> None:
        super().__init__(websocket, asyncio.get_running_loop())
        self._sock: StreamSocket = websocket.sock
        self._stream = self._sock.stream
        self._reading = False  # bytes are wanted …
        self._asked = False  # … and were asked for
        self._sock.linger = websocket.limits.close_timeout
        self._sock.has_room = self.writable
        self._sock.gone = lost

    # What the stream calls

    def _ask(self) -> None:
        """Ask the stream for bytes, if they are wanted and this is the moment."""
        websocket = self.websocket
        last = self._lingers and websocket.state in RECEIVED
        if not self._reading or self._asked or (last and (self._sock.writing or websocket.watched[0])):
            return
        if self._sock.holds_input:  # which may be a Close frame
            return
        try:
            future: Any = self._stream.read_bytes(BLOCK, partial=True)
        except OSError:
            self._sock.feed_end(self._sock.failure)
            self.call_soon(self._fed)
            return
        self._asked = True
        future.add_done_callback(self._answered)

    def _answered(self, future: asyncio.Future[bytes]) -> None:
        self._asked = False
        if future.exception() is None:
            self._sock.feed(future.result())
        else:
            self._sock.feed_end(self._sock.failure)
        self._fed()

    def _fed(self) -> None:
        if self._reading:
            self.readable()

    def readable(self) -> None:
        """The socket was fed."""
        super().readable()
        self._ask()

    def writable(self) -> None:
        """The stream has room again."""
        super().writable()
        self._ask()

    # What the connection asks for

    def wait_for(self, read: bool, write: bool) -> None:
        """Ask for bytes, or ask no more. That there is room the stream says by itself, but not to other threads."""
        self._reading = read
        self._sock.final = self._lingers
        self._ask()
        if write and (self._lingers or not self._sock.writing):
            self.call_soon(self.writable)

    def end(self) -> None:
        """Call ``closed()`` and close the stream; one that was dropped does not send what waits."""
        super().end()
        if self.over and self._dropped:
            self._stream.close()
