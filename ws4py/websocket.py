"""A WebSocket connection, the class that applications subclass.

::

    bytes ─► once() ─► process() ─► Stream ─► received_message(), ponged(), an answer to a ping or a Close
    send() ─► Message ─► frame ─► _write() ─► socket, or the outbox in front of it

Somebody drives it: :meth:`WebSocket.run` blocks a thread until the connection ends; a
:class:`~ws4py.manager.WebSocketManager` calls :meth:`~WebSocket.once` whenever the socket has bytes. Either calls the
hooks (``opened``, ``received_message``, …) one at a time, in the thread that drives. What a hook raises is logged with
its traceback and closes the connection with 1011; it ends nothing else. ``send``, ``ping`` and ``close`` may be called
from any thread (:mod:`ws4py.sending`). What is received goes through
:mod:`ws4py.receiving`, how a connection ends is in :mod:`ws4py.closing`; this class has what is left.

This module does no handshake and opens no socket.
"""

from __future__ import annotations

import logging
import ssl
from collections.abc import Awaitable, Iterable, Mapping, Sequence
from typing import Any, Callable, Optional, Union

from ws4py import blocking, timers
from ws4py.closing import Closer
from ws4py.extensions import Codec
from ws4py.framing import build_frame, build_header
from ws4py.http11 import Address
from ws4py.keepalive import HEARTBEAT, Heartbeat, Keepalive
from ws4py.messaging import (
    BinaryMessage,
    CloseControlMessage,
    Message,
    Payload,
    PingControlMessage,
    PongControlMessage,
    TextMessage,
)
from ws4py.outbox import Outbox
from ws4py.sending import UNWATCHED, Driver, NotOpenError
from ws4py.state import OPEN, SENT
from ws4py.streaming import BINARY, TEXT, Stream

__all__ = ['EchoWebSocket', 'Heartbeat', 'WebSocket']

logger = logging.getLogger('ws4py')

START = 16 * 1024  # bytes of a large payload that go with its header


class WebSocket(Closer):
    """One endpoint of a connection on which the opening handshake is done.

    Subclasses override ``opened``, ``closed``, ``received_message``, ``pinged``, ``ponged``, ``unhandled_error``. All
    other methods may be called from any thread; the instance is hashable by identity.

    :param sock: the connected socket, or whatever has its methods.
    :param protocols: the subprotocols negotiated.
    :param extensions: the extensions negotiated.
    :param environ: the WSGI environ of the upgrade request, on a server.
    :param heartbeat_freq: seconds between unsolicited pongs, None for none.
    """

    #: The limits of connections of this class (:class:`ws4py.limits.Limits`).
    limits = Closer.limits

    _local_address: Address = None
    _peer_address: Address = None
    _seldom = (*Closer._seldom, '_local_address', '_peer_address')

    def __init__(
        self,
        sock: Any,
        protocols: Optional[list[Any]] = None,
        extensions: Optional[list[Any]] = None,
        environ: Optional[dict[str, Any]] = None,
        heartbeat_freq: Optional[float] = None,
    ) -> None:
        super().__init__(sock)
        #: Turns bytes into messages; None after the end.
        self.stream: Optional[Stream] = Stream(
            always_mask=self._is_client, expect_masking=not self._is_client, limits=self.limits
        )
        self.protocols = protocols
        self.extensions = extensions
        self.environ = environ
        self.heartbeat_freq = heartbeat_freq
        if environ and 'ws4py.peer_address' in environ:
            self._peer_address = environ['ws4py.peer_address']

    # Hooks

    def opened(self) -> Optional[Awaitable[None]]:
        """Called when the connection is open and may be used."""

    def closed(self, code: int, reason: Union[bytes, str, None] = None) -> Optional[Awaitable[None]]:
        """Called once, when the connection has ended, however it ended.

        :param code: the close code received, or sent where we failed the connection, or 1006 where there was none.
        :param reason: its reason.
        """

    def received_message(self, message: Union[TextMessage, BinaryMessage]) -> Optional[Awaitable[None]]:
        """Called with each message, complete."""

    def pinged(self, ping: PingControlMessage) -> Optional[Awaitable[None]]:
        """Called with each ping of the peer; it has been answered already."""

    def ponged(self, pong: PongControlMessage) -> Optional[Awaitable[None]]:
        """Called with each pong, those that answer the pings of ``limits.ping_interval`` included."""

    _unheard = (pinged, ponged)

    def unhandled_error(self, error: Exception) -> Optional[Awaitable[None]]:
        """Called with an :exc:`OSError` of the connection, which ends it. The default logs it.

        That a peer has gone without a word is everyday life; anything else is logged as an error, with its traceback.
        """
        if isinstance(error, (ConnectionError, ssl.SSLEOFError)):  # the latter from a write over TLS
            logger.info('the connection failed: %s', error)
        else:
            logger.error('the connection failed', exc_info=error)
        return None

    # What it is

    @property
    def connection(self) -> Any:
        """The socket."""
        return self.sock

    @property
    def local_address(self) -> Address:
        """Our end's address: ``(host, port)``, or the path of a Unix socket."""
        if self._local_address is None:
            self._local_address = _address(self.sock, 'getsockname')
        return self._local_address

    @property
    def peer_address(self) -> Address:
        """The peer's address, as above; on a server that trusts the proxy in between, that of the client behind it."""
        if self._peer_address is None:
            self._peer_address = _address(self.sock, 'getpeername')
        return self._peer_address

    @property
    def _is_secure(self) -> bool:
        return hasattr(self.sock, '_ssl') or hasattr(self.sock, '_sslobj')

    # Sending

    def send(
        self,
        payload: Union[Payload, Message, Iterable[Payload]],
        binary: bool = False,
        compress: Optional[bool] = None,
    ) -> None:
        """Send a message.

        In a blocking loop it is on the wire when this returns. Under a manager what the socket does not take at once
        is queued; a sender in another thread than the manager's waits while the queue is full. Hold no lock meanwhile
        that a hook takes too: the manager's thread, which alone could make room, would wait for it.

        :param payload: text or bytes (one frame), an iterable of them (a frame each, RFC 6455 section 5.4), or a
            :class:`~ws4py.messaging.Message`, sent as what it is.
        :param binary: send bytes as a binary message; else they go out as text and must be UTF-8.
        :param compress: whether the message is compressed, where that was agreed on; None leaves it to the extension,
            or to the ``compress`` of a Message.
        :raises ValueError: a payload of another type.
        :raises RuntimeError: the connection is not open, or this is the generator of another message.
        :raises OSError: the connection broke, or (TimeoutError) the peer took nothing for ``limits.send_timeout``.
        """
        stream = self.stream
        if stream is None:
            raise NotOpenError('nothing can be sent on a connection that has ended')
        if type(stream) is Stream:
            if type(payload) is bytes:
                if self._send_at_once(BINARY if binary else TEXT, payload, stream.always_mask, compress):
                    return
            elif type(payload) is str and self._send_at_once(TEXT, payload.encode(), stream.always_mask, compress):
                return
        build = stream.binary_message if binary else stream.text_message
        if isinstance(payload, str):
            self._send_message(stream.text_message(payload), stream.always_mask, compress)
        elif isinstance(payload, (bytes, bytearray, memoryview)):
            self._send_message(build(payload), stream.always_mask, compress)
        elif isinstance(payload, CloseControlMessage):
            self.close(payload.code, payload.reason)
        elif isinstance(payload, Message):
            if payload.opcode & 8:
                self._send_control_frame(payload.single(mask=stream.always_mask))
            else:
                self._send_message(payload, stream.always_mask, payload.compress if compress is None else compress)
        elif isinstance(payload, Iterable) and not isinstance(payload, Mapping):
            self._send_fragments(build, payload, stream.always_mask, compress)
        else:
            raise ValueError(f'a payload is text, bytes, a Message or an iterable, not {type(payload).__name__}')

    def ping(self, message: Payload) -> None:
        """Send a ping; the pong comes to :meth:`ponged`.

        :raises ValueError: *message* has more than 125 bytes.
        :raises RuntimeError, OSError: as :meth:`send`.
        """
        stream = self.stream
        if stream is None:
            raise NotOpenError('nothing can be sent on a connection that has ended')
        self._send_control_frame(stream.ping(message))

    def _write(self, data: bytes) -> None:
        """Write a frame. The one way out: subclasses may override it.

        :raises RuntimeError: the connection has ended.
        :raises OSError: it broke.
        """
        sock = self.sock
        if sock is None or (self.state is not OPEN and self.terminated):
            raise NotOpenError('nothing can be written to a connection that has ended')
        outbox = self._outbox
        try:
            if outbox is not None:
                if not outbox.write(data) or self.watched != UNWATCHED:
                    self._outbox_changed()
            else:
                self._sendall(sock, data)
        except OSError as error:
            self._broken = error
            raise

    def _write_large(self, first: int, data: bytes) -> None:
        """Write the frame of a large payload that is not masked, in front of an outbox.

        Only the start of it is put together with the header. The frame is one piece again for who overrides _write().
        """
        if getattr(self._write, '__func__', None) is WebSocket._write:
            self._write(build_header(first, len(data)) + data[:START])
            rest: Any = memoryview(data)[START:]  # which an outbox takes for bytes
            self._write(rest)
        else:
            self._write(build_frame(first, data))

    def _sendall(self, sock: Any, data: bytes) -> None:
        """Write all of *data* to a socket without an outbox, however long that takes."""
        if isinstance(sock, ssl.SSLSocket):
            blocking.sendall_tls(sock, data, self._tls_lock)
        else:
            sock.sendall(data)

    # For timers, which must not wait for a peer

    def try_heartbeat(self) -> bool:
        """Send an unsolicited pong, if nobody must wait for that; tells whether it went out."""
        return self._try(lambda: self.send(PongControlMessage(HEARTBEAT)))

    def try_ping(self, payload: bytes) -> bool:
        """Send a ping, if nobody must wait for that; tells whether it went out."""
        return self._try(lambda: self.ping(payload))

    # Being driven

    def use_extensions(self, codecs: Sequence[Codec]) -> None:
        """Have messages go through *codecs*, as the opening handshake has agreed; called before anything is sent."""
        self._codecs = tuple(codecs)
        if self.stream is not None:
            self.stream.codecs = self._codecs

    def run(self) -> None:
        """Drive the connection until it has ended: ``opened()``, then every message, then ``closed()``.

        Blocks; meant for a thread of its own.
        """
        lock = self._lock
        try:
            try:
                self.sock.settimeout(self.sock_timeout)
            except (OSError, AttributeError):
                if self._ended:  # before, or by another thread just now
                    return
                raise
            self._start(timers.shared.call_later)
            with Heartbeat(self, frequency=self.heartbeat_freq):
                if self.call(self.opened):
                    while self._lock is lock and self.once():
                        pass
                while self.lingers and self.discard():
                    pass
        finally:
            if self._lock is lock:  # else a hook, or another thread, has called __init__ to connect again
                self.terminate()

    def _start(self, call_later: Callable[[float, Callable[[], None]], Any], heartbeat: Optional[float] = None) -> None:
        """Set the timers that run while the connection is open."""
        self._call_later = call_later
        if self.stream is not None:
            self.stream.limits = self.limits  # in case they were replaced since the constructor
        if heartbeat or self.limits.ping_interval or self.limits.idle_timeout:
            clock = None if self._driver is None else self._driver.time
            self._keepalive = Keepalive(self, call_later, heartbeat, clock)
        if self._closing or self.state in SENT:  # closed before anybody drove it
            self._limit_closing()

    def attach(self, driver: Driver, queued: bool) -> None:
        """Be driven by *driver* from now on; called by it.

        :param queued: make the socket non-blocking, with an outbox in front of it.
        """
        self._driver = driver
        self._buffers = hasattr(self.sock, 'pending')
        self._plain = queued and not self._buffers
        if queued or isinstance(self.sock, ssl.SSLSocket):  # which may have half a record, and would wait for the rest
            self.sock.setblocking(False)
        if queued:
            self._outbox = Outbox(self.sock, self._tls_lock if self._buffers else None)
        heartbeat = self.heartbeat_freq
        self._start(driver.call_later, heartbeat if isinstance(heartbeat, (int, float)) else None)

    def detach(self) -> None:
        """Be driven no more. The socket blocks again, and what waits in the outbox is written."""
        with self._lock:
            if self._keepalive is not None:
                self._keepalive.stop()
            driver, self._driver = self._driver, None
            outbox, self._outbox = self._outbox, None
            self._plain = False
            self._call_later = self._keepalive = None
            if driver is not None:
                driver.forget(self)
            if outbox is not None:
                waiting = outbox.size
                try:
                    if self._ended:
                        outbox.flush()
                    else:
                        outbox.sock.setblocking(True)
                        self._sendall(outbox.sock, outbox.take())
                        outbox.sock.setblocking(True)  # which a write to a TLS socket undoes
                except OSError:
                    logger.info('of %d bytes that waited some could not be sent', waiting, exc_info=True)
            self._notify()


class EchoWebSocket(WebSocket):
    """Sends every message back."""

    def received_message(self, message: Union[TextMessage, BinaryMessage]) -> None:
        """Send *message* back as what it is."""
        self.send(message.data, message.is_binary)


def _address(sock: Any, name: str) -> Address:
    """An address of a socket; of an IPv6 one the first two items. None when the socket cannot tell (any more)."""
    try:
        address = getattr(sock, name)()
    except (OSError, AttributeError):
        return None
    return address[:2] if isinstance(address, tuple) else address
