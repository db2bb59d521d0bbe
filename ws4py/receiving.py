"""Receiving: from bytes to the application's hooks.

:class:`Receiver` is the receiving half of :class:`ws4py.websocket.WebSocket`::

    once() ─► _recv() ─► process() ─► Stream.parser ─► received_message(), ponged(), an answer to a ping or a Close

Only the thread that drives the connection comes here. What a hook of the application raises stops here too: it is
logged with its traceback and closes the connection with 1011.
"""

from __future__ import annotations

import inspect
import logging
import ssl
import threading
from collections.abc import Awaitable
from types import CoroutineType
from typing import TYPE_CHECKING, Any, Callable, Optional, Union

from ws4py import blocking, closecode
from ws4py.keepalive import Keepalive
from ws4py.messaging import BinaryMessage, CloseControlMessage, PingControlMessage, PongControlMessage, TextMessage
from ws4py.outbox import BLOCK, WOULD_BLOCK
from ws4py.sending import NotOpenError, Sender, refuse_coroutine
from ws4py.state import OPEN, RECEIVED, Event, after
from ws4py.streaming import Stream

__all__ = ['Receiver']

logger = logging.getLogger('ws4py')

READ = BLOCK + 16  # bytes that a read asks for: a frame of 64 KiB comes in one piece, with its header
#: Bytes that a read asks for while a larger frame comes in. A block over 128 KiB is not taken from malloc's heap but
#: mapped, and the kernel clears its pages one by one: that costs more than all else that is done with their bytes.
LARGEST_READ = 120 * 1024
LARGEST_BLOCK = 1024 * 1024  # bytes that are processed at once where a driver has read more by itself

# Nor does Linux's malloc keep the memory of a large message for the next one, or that of the 256 KiB which asyncio, its
# TLS and uvloop ask for with every read, however little comes, before it has got back a block that was mapped: from
# then on it takes up to that size from its heap, and keeps twice as much. Here it gets one, untouched.
bytes(4 * 1024 * 1024)


class Receiver(Sender):
    """The receiving half of a connection, on top of the sending half."""

    #: The connected socket; None after the end.
    sock: Any = None
    #: Seconds that a blocking read may last before the connection counts as lost; None for ever.
    sock_timeout: Optional[float] = None
    #: What a hook may raise that is a mistake of its own; anything else ends who calls it. A driver may know more.
    _faults: tuple[type[BaseException], ...] = (Exception,)
    #: The hooks about pings and pongs as they are when nobody has overridden them.
    _unheard: tuple[object, ...] = ()

    #: Seconds from the last ping of ``limits.ping_interval`` that was answered to its pong; None before.
    latency: Optional[float] = None
    _eof = False  # nothing more can be read
    _broken: Optional[OSError] = None  # what the last write that failed has raised
    _failure: Optional[tuple[int, Union[bytes, str]]] = None  # why we ended it
    _seldom = (*Sender._seldom, 'latency', '_eof', '_broken', '_failure')

    def __init__(self, sock: Any) -> None:
        super().__init__()
        self.sock = sock
        #: Bytes that are processed at once, and that the next read asks for, as far as that is good for one read.
        self.reading_buffer_size = READ
        #: Bytes that were read already, and are processed before anything is read from the socket.
        self.buf = b''
        self._tls_lock = threading.Lock()  # around every call of a TLS socket; only ever held for a moment
        self._buffers = hasattr(sock, 'pending')  # the socket may hold bytes that it has read already, as TLS does
        self._plain = False  # the socket is one that does not block and has no TLS: nothing stands in front of it
        self._held = False  # the stream has more events, which wait until the peer has read what waits for it
        self._keepalive: Optional[Keepalive] = None

    if TYPE_CHECKING:  # what the rest of the connection has

        @property
        def terminated(self) -> bool:
            """True once both Close frames are known, or the connection has ended."""

        def opened(self) -> Optional[Awaitable[None]]:
            """Called when the connection is open."""

        def received_message(self, message: Union[TextMessage, BinaryMessage]) -> Optional[Awaitable[None]]:
            """Called with each message."""

        def pinged(self, ping: PingControlMessage) -> Optional[Awaitable[None]]:
            """Called with each ping."""

        def ponged(self, pong: PongControlMessage) -> Optional[Awaitable[None]]:
            """Called with each pong."""

        def unhandled_error(self, error: Exception) -> Optional[Awaitable[None]]:
            """Called with what broke the connection."""

        def close(self, code: int, reason: Union[str, bytes]) -> None:
            """Begin or answer the closing handshake."""

        def _drop(self) -> None:
            """Let the driver end the connection."""

        def _limit_closing(self) -> None:
            """Give the closing handshake its time."""

    def once(self) -> bool:
        """Read once from the socket and process it, or what is in :attr:`buf`.

        Of a large frame more than once, on a socket that does not block.

        :returns: False when the connection has to be ended: at its end, after an error, when it is terminated.
        """
        if self.stream is None or (self.state is not OPEN and self.terminated):
            return False
        if self._held:
            return self.process(b'')
        left = LARGEST_BLOCK
        while True:
            size = self.reading_buffer_size
            data = self.buf
            if data:
                self.buf = b''
            else:
                try:
                    sock = self.sock
                    most = size if size < LARGEST_READ else LARGEST_READ
                    data = sock.recv(most) if self._plain and sock is not None else self._recv(most)
                except WOULD_BLOCK:
                    return True
                except OSError as error:
                    self._eof = True
                    self.call(self.unhandled_error, error)
                    return False
                if not data:
                    self._eof = True
                    return False
                if self._keepalive is not None:
                    self._keepalive.touch()
            if len(data) > size:
                data, self.buf = data[:size], data[size:]
            going = self.process(data)
            left -= len(data)
            if len(data) < READ:
                return going
            if not self._plain:
                if size <= LARGEST_READ:  # more waits: fewer reads, and fewer frames are cut
                    self.reading_buffer_size = max(self.reading_buffer_size, LARGEST_READ)
                return going
            if left <= 0 or not (going and self._comes_on):
                return going

    @property
    def _comes_on(self) -> bool:
        """True in a large frame that is read where nobody waits for the rest.

        Then it is better read on, up to :data:`LARGEST_BLOCK`, than begun while others have begun: memory is needed for
        few of them at a time.
        """
        large = self._plain and self.reading_buffer_size > READ
        return large and not (self._held or self.buf or self.watched[1])

    def take(self, data: bytes) -> bool:
        """Process *data*, which the driver has received by itself; else as :meth:`once`."""
        if self.stream is None or (self.state is not OPEN and self.terminated):
            return False
        if self._keepalive is not None:
            self._keepalive.touch()
        return self.process(data)

    def _recv(self, size: int) -> bytes:
        """At most *size* bytes from the socket.

        :raises OSError: the connection broke, or there is nothing to read on a socket that does not block.
        """
        sock = self.sock
        if sock is None:
            return b''
        if self._driver is None and isinstance(sock, ssl.SSLSocket):
            return blocking.recv_tls(sock, size, self._tls_lock, self.sock_timeout)
        data: bytes
        if self._driver is None or not self._buffers:
            data = sock.recv(size)
        else:
            with self._tls_lock:
                data = sock.recv(size)
                if len(data) >= blocking.RECORD and isinstance(sock, ssl.SSLSocket):
                    data = blocking.recv_on(sock, data, size)
        return data

    @property
    def holds_input(self) -> bool:
        """True when bytes wait above the socket, where no poller sees them, and the peer reads what we answer."""
        if self.watched[1]:
            return False
        if self._held or self.buf:
            return True
        if not self._buffers or self.sock is None:
            return False
        with self._tls_lock:
            count = self.sock.pending()
        return isinstance(count, int) and count > 0

    def process(self, data: bytes) -> bool:
        """Send *data* through the stream and act on what comes out of it.

        :returns: False when the connection has to be ended.
        """
        if not data and not self._held:
            return False
        self._held = False
        outbox, corked = self._outbox, False
        try:
            while True:
                stream = self.stream
                if stream is None or self._dropped:  # a hook, or another thread, has ended the connection
                    return False
                try:
                    wanted = stream.parser.send(data)
                except StopIteration:  # another thread has ended it at this very moment
                    return False
                more = type(wanted) is int and wanted == 0
                if more and outbox is not None and not corked:
                    corked = True
                    outbox.cork()
                if stream.closing is not None or stream.errors:
                    self._handle_end(stream)
                    return False
                message = stream.message
                if message is not None and (message.completed is True or stream.has_message):
                    stream.message = None
                    if not self._deliver(message):
                        return False
                if (stream.pings or stream.pongs) and not self._handle_pings(stream):
                    return False
                if not more:
                    if type(wanted) is int:
                        self.reading_buffer_size = READ if wanted <= READ else min(wanted, LARGEST_BLOCK)
                    return True
                data = b''
                if self.watched[1]:  # answers to what else is in the block would only pile up
                    self._held = True
                    return True
        finally:
            if corked:
                self._uncork()

    def _uncork(self) -> None:
        """Send the answers to a block at once."""
        with self._lock:
            if self._outbox is not None:
                try:
                    self._outbox.uncork()
                except OSError as error:
                    self._eof = True
                    self.call(self.unhandled_error, error)
                    self._drop()
                self._outbox_changed()

    def _handle_end(self, stream: Stream) -> None:
        """Act on the peer's Close frame, or on what it did wrong."""
        if stream.closing is not None:
            if self._owes_answers():
                self.call(self._close_received, stream.closing, stream)  # behind them
            else:
                self._close_received(stream.closing, stream)
            return
        for error in list(stream.errors):
            logger.info('the peer is at fault: %s', error)
            self._fail(error.code, error.reason)
        stream.errors.clear()

    def _handle_pings(self, stream: Stream) -> bool:
        """Act on pings and pongs; False when that ends the connection."""
        if stream.pings:
            pings, stream.pings = stream.pings, []
            for ping in pings:
                if not (self._pong_to(stream, ping) and self._tell(self.pinged, ping)):
                    return False
        if stream.pongs:
            pongs, stream.pongs = stream.pongs, []
            for pong in pongs:
                if self._keepalive is not None:
                    self._keepalive.pong(pong.data)
                if not self._tell(self.ponged, pong):
                    return False
        return True

    def _deliver(self, message: Union[TextMessage, BinaryMessage]) -> bool:
        """Hand *message* to the application; False when that ends the connection."""
        if self.pending_calls is not None:
            return self.call(self.received_message, message)
        try:  # what call() does, without its detours
            result: object = self.received_message(message)
            if result is not None:
                self._await(self.received_message, result)
        except self._faults as error:
            return self.hook_failed(self.received_message, error)
        return True

    def _owes_answers(self) -> bool:
        """True while a coroutine, or hooks behind it, may still answer what came before the peer's Close frame.

        Not so ``opened()``, which may run for as long as the connection does.
        """
        return self.pending_calls is not None and (bool(self.pending_calls) or self.awaited != self.opened)

    def no_more_input(self) -> None:
        """Called by the driver, perhaps more than once, when every message that comes has been processed."""

    def socket_lost(self) -> None:
        """Called by the driver when nothing more can come than what was received already."""

    def _close_received(self, closing: CloseControlMessage, stream: Stream) -> None:
        """Answer the peer's Close frame (section 5.5.1), or note that it answered ours."""
        self._limit_closing()  # before the lock, which a sender holds for as long as the peer reads nothing
        with self._lock:
            if self.state not in RECEIVED:
                self.state = after(self.state, Event.RECEIVED)
        if closing.code == closecode.NO_STATUS_RECEIVED and stream.errors:
            closing = stream.errors[0]  # a Close that breaks the protocol is answered like any such frame
            self._failure = self._failure or (closing.code, closing.reason)
        self.close(closing.code, closing.reason)

    def _pong_to(self, stream: Stream, ping: PingControlMessage) -> bool:
        try:
            self._answer_ping(stream.pong(ping))
        except OSError as error:
            self._eof = True
            self.call(self.unhandled_error, error)
            return False
        return True

    def call(self, hook: Callable[..., object], *args: object) -> bool:
        """Call into the application; what it raises stops here."""
        if self.pending_calls is not None:  # hooks run one at a time and in order, coroutines too
            self.pending_calls.append((hook, args))
            return True
        try:
            result = hook(*args)
            if result is not None:
                self._await(hook, result)
        except self._faults as error:
            return self.hook_failed(hook, error)
        return True

    def _await(self, hook: Callable[..., object], result: object) -> None:
        """Let the driver await what *hook* gave, if that is a coroutine."""
        if isinstance(result, CoroutineType):
            if self._driver is None:
                refuse_coroutine(hook, result)
            else:
                self._driver.run_coroutine(self, hook, result)

    def _tell(self, hook: Callable[..., object], frame: Union[PingControlMessage, PongControlMessage]) -> bool:
        """Call the hook of a ping or a pong, in its turn; but one that would wait for ``opened()`` is called at once.

        Pings come for as long as the connection lasts, and ``opened()`` may run for as long. Hooks that wait for it
        would soon be so many that nothing more is read.
        """
        if self.pending_calls is None:
            return self.call(hook, frame)
        if getattr(hook, '__func__', None) in self._unheard:
            return True
        if self.awaited != self.opened or self.pending_calls:  # there is something to come behind
            return self.call(hook, frame)
        if inspect.iscoroutinefunction(hook):
            logger.info('%s is a coroutine function and not called, opened() is still running', hook)
            return True
        try:
            hook(frame)
        except self._faults as error:
            return self.hook_failed(hook, error)
        return True

    def hook_failed(self, hook: Callable[..., object], error: BaseException) -> bool:
        """A hook raised, or the coroutine that it gave; False when that ends the connection."""
        if isinstance(error, NotOpenError) and (self.state is not OPEN or self._dropped):
            # It answered a message that was under way while we closed: nothing is wrong with it.
            logger.debug('%s sent something after the close', hook, exc_info=error)
            return True
        if error is self._broken:  # it sent something, and only let through what the socket said
            self._eof, self._broken = True, None  # None: the hook may raise it once more
            self.call(self.unhandled_error, error)
            return False
        logger.error('%s raised', hook, exc_info=error)
        self._fail(closecode.INTERNAL_ERROR)
        return False

    def flush(self) -> bool:
        """Send what waits, as in the base class: a peer that takes it shows that it is there."""
        unread, alive = self.watched[1], super().flush()
        if alive and self._keepalive is not None:
            self._keepalive.took(unread)
        return alive

    def discard(self) -> bool:
        """Read and throw away, while the connection :attr:`lingers`; False at its end."""
        try:
            return bool(self._recv(BLOCK)) and not self._dropped
        except WOULD_BLOCK:
            return True
        except OSError:
            return False
