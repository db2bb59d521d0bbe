"""A WebSocket connection, the class that applications subclass.

::

    bytes ─► once() ─► process() ─► Stream ─► received_message(), ponged(), an answer to a ping or a Close
    send() ─► Message ─► frame ─► _write() ─► socket, or the outbox in front of it

Somebody drives it: :meth:`WebSocket.run` blocks a thread until the connection ends; a
:class:`~ws4py.manager.WebSocketManager` calls :meth:`~WebSocket.once` whenever the socket has bytes. Either calls the
hooks (``opened``, ``received_message``, …) one at a time, in the thread that drives. What a hook raises is logged with
its traceback and closes the connection with 1011; it ends nothing else. ``send``, ``ping`` and ``close`` may be called
from any thread (:mod:`ws4py.sending`).

This module does no handshake and opens no socket.
"""

from __future__ import annotations

import contextlib
import logging
import socket
import ssl
from collections.abc import Iterable, Mapping
from typing import Any, Callable, Optional, Union

from ws4py import blocking, closecode, timers
from ws4py.keepalive import HEARTBEAT, Heartbeat, Keepalive
from ws4py.messaging import (
    BinaryMessage,
    CloseControlMessage,
    Message,
    Payload,
    PongControlMessage,
    TextMessage,
)
from ws4py.outbox import Outbox
from ws4py.receiving import Receiver
from ws4py.sending import Driver, NotOpenError
from ws4py.state import BY_FLAGS, RECEIVED, SENT, Event, State, after
from ws4py.streaming import Stream

__all__ = ['EchoWebSocket', 'Heartbeat', 'WebSocket']

logger = logging.getLogger('ws4py')


Address = Union[tuple[str, int], str, bytes, None]


class WebSocket(Receiver):
    """One endpoint of a connection on which the opening handshake is done.

    Subclasses override ``opened``, ``closed``, ``received_message``, ``ponged``, ``unhandled_error``. All other
    methods may be called from any thread; the instance is hashable by identity.

    :param sock: the connected socket, or whatever has its methods.
    :param protocols: the subprotocols negotiated.
    :param extensions: the extensions negotiated.
    :param environ: the WSGI environ of the upgrade request, on a server.
    :param heartbeat_freq: seconds between unsolicited pongs, None for none.
    """

    #: The limits of connections of this class (:class:`ws4py.limits.Limits`).
    limits = Receiver.limits
    _is_client = False

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
        #: Where the connection stands (:class:`ws4py.state.State`).
        self.state = State.OPEN
        #: What ``closed()`` was called with; None before.
        self.close_code: Optional[int] = None
        self.close_reason: Union[bytes, str, None] = None
        self._local_address: Address = None
        self._peer_address: Address = None
        self._ended = False  # terminate() has been called
        self._half_closed = False
        self._call_later: Optional[Callable[[float, Callable[[], None]], Any]] = None
        self._close_timer: Any = None

    # Hooks

    def opened(self) -> None:
        """Called when the connection is open and may be used."""

    def closed(self, code: int, reason: Union[bytes, str, None] = None) -> None:
        """Called once, when the connection has ended, however it ended.

        :param code: the close code received, or sent where we failed the connection, or 1006 where there was none.
        :param reason: its reason.
        """

    def received_message(self, message: Union[TextMessage, BinaryMessage]) -> None:
        """Called with each message, complete."""

    def ponged(self, pong: PongControlMessage) -> None:
        """Called with each pong."""

    def unhandled_error(self, error: Exception) -> None:
        """Called with an :exc:`OSError` of the connection, which ends it. The default logs it.

        That a peer has gone without a word is everyday life; anything else is logged as an error, with its traceback.
        """
        if isinstance(error, ConnectionError):
            logger.info('the connection failed: %s', error)
        else:
            logger.error('the connection failed', exc_info=error)

    # What it is

    @property
    def connection(self) -> Any:
        """The socket."""
        return self.sock

    @property
    def client_terminated(self) -> bool:
        """True once the client's Close frame is known. May be set by hand."""
        return self.state in (SENT if self._is_client else RECEIVED)

    @client_terminated.setter
    def client_terminated(self, value: bool) -> None:
        self._set_flags(client=bool(value), server=self.server_terminated)

    @property
    def server_terminated(self) -> bool:
        """True once the server's Close frame is known. May be set by hand."""
        return self.state in (RECEIVED if self._is_client else SENT)

    @server_terminated.setter
    def server_terminated(self, value: bool) -> None:
        self._set_flags(client=self.client_terminated, server=bool(value))

    def _set_flags(self, client: bool, server: bool) -> None:
        flags = (client, server) if self._is_client else (server, client)
        if not (all(flags) and self.state is State.CLOSED):
            self.state = BY_FLAGS[flags]

    @property
    def terminated(self) -> bool:
        """True once both Close frames are known, or the connection has ended."""
        return self.state is State.CLOSE_EXCHANGED or self.state is State.CLOSED

    @property
    def local_address(self) -> Address:
        """Our end's address: ``(host, port)``, or the path of a Unix socket."""
        if self._local_address is None:
            self._local_address = _address(self.sock, 'getsockname')
        return self._local_address

    @property
    def peer_address(self) -> Address:
        """The peer's address, as above."""
        if self._peer_address is None:
            self._peer_address = _address(self.sock, 'getpeername')
        return self._peer_address

    @property
    def _is_secure(self) -> bool:
        return hasattr(self.sock, '_ssl') or hasattr(self.sock, '_sslobj')

    # Sending

    def send(self, payload: Union[Payload, Message, Iterable[Payload]], binary: bool = False) -> None:
        """Send a message.

        In a blocking loop it is on the wire when this returns. Under a manager what the socket does not take at once
        is queued; a sender in another thread than the manager's waits while the queue is full. Hold no lock meanwhile
        that a hook takes too: the manager's thread, which alone could make room, would wait for it.

        :param payload: text or bytes (one frame), an iterable of them (a frame each, RFC 6455 section 5.4), or a
            :class:`~ws4py.messaging.Message`, sent as what it is.
        :param binary: send bytes as a binary message; else they go out as text and must be UTF-8.
        :raises ValueError: a payload of another type.
        :raises RuntimeError: the connection is not open, or this is the generator of another message.
        :raises OSError: the connection broke, or (TimeoutError) the peer took nothing for ``limits.send_timeout``.
        """
        stream = self.stream
        if stream is None:
            raise NotOpenError('nothing can be sent on a connection that has ended')
        build = stream.binary_message if binary else stream.text_message
        if isinstance(payload, str):
            self._send_message(stream.text_message(payload), stream.always_mask)
        elif isinstance(payload, (bytes, bytearray, memoryview)):
            self._send_message(build(payload), stream.always_mask)
        elif isinstance(payload, CloseControlMessage):
            self.close(payload.code, payload.reason)
        elif isinstance(payload, Message):
            if payload.opcode & 8:
                self._send_control_frame(payload.single(mask=stream.always_mask))
            else:
                self._send_message(payload, stream.always_mask)
        elif isinstance(payload, Iterable) and not isinstance(payload, Mapping):
            self._send_fragments(build, payload, stream.always_mask)
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

    def close(self, code: int = closecode.NORMAL_CLOSURE, reason: Payload = '') -> None:
        """Begin the closing handshake, or answer the peer's (RFC 6455 section 7.1.2). Further calls do nothing.

        :param code: 1000-1003, 1007-1014 or 3000-4999; another one goes out as 1000, with a warning.
        :param reason: text or UTF-8 bytes; what is over 123 bytes is cut.
        :raises TypeError, ValueError: a code or a reason of another type; nothing has been sent.
        """
        if self.state is State.CONNECTING:
            self.close_connection()
            return
        stream = self.stream
        if stream is None or self.state in SENT:
            return
        if self.state is State.CLOSE_RECEIVED and code == closecode.NO_STATUS_RECEIVED:
            reason = ''  # the answer to an empty Close is an empty one
        elif isinstance(code, int) and not closecode.is_sendable(code):
            logger.warning('close code %s may not be sent, 1000 goes out instead', code)
            code = closecode.NORMAL_CLOSURE
        frame = stream.close(code, reason).single(mask=stream.always_mask)  # which raises before anything has changed
        self._limit_closing()  # before the lock, which a sender holds for as long as the peer reads nothing
        with self._lock:
            if self.stream is None or self.state in SENT:
                return
            try:
                self._write(frame)
            except Exception:  # an overridden _write() may raise what it likes
                logger.info('the Close frame could not be sent', exc_info=True)
            finally:
                self.state = after(self.state, Event.SENT)
                self._notify()  # who waits to send a message need not wait any longer
        self._limit_closing()  # for the case that it is driven only since a moment ago

    def _limit_closing(self) -> None:
        """Give the closing handshake its time."""
        with self._tls_lock:
            if self._call_later is not None and self._close_timer is None:
                self._close_timer = self._call_later(self.limits.close_timeout, self._drop)

    def abort(self, code: int, reason: str) -> None:
        """End the connection now: a Close frame is tried, but nobody waits for the peer.

        :param code: what :meth:`closed` is called with, unless a reason to end was known before.
        :param reason: the same, as text.
        """
        if self._failure is None:
            self._failure = (code, reason)
        if closecode.is_sendable(code):
            self._try(lambda: self.close(code, reason))
        self._drop()

    def _fail(self, code: int, reason: Union[bytes, str] = '') -> None:
        """Close because of an error; :meth:`closed` will say so whatever the peer answers."""
        if self._failure is None and self.state not in SENT:
            self._failure = (code, reason)
        self.close(code, reason)

    def _drop(self) -> None:
        """Let whoever drives the connection end it, without another word to the peer."""
        self._dropped = True
        driver = self._driver
        if driver is not None:
            driver.drop(self)
        if self._outbox is None:
            self._shut_down(socket.SHUT_RDWR)  # wakes the thread that reads, and one that is stuck in a write
        self._notify()

    def _shut_down(self, how: int) -> bool:
        """Shut down the socket, or one direction of it; tells whether that was possible."""
        try:
            with self._tls_lock:  # a TLS socket forgets its encryption here: nobody may write in between
                sock = self.sock
                if sock is not None:
                    sock.shutdown(how)
        except Exception:  # whatever has the methods of a socket may raise what it likes
            logger.debug('the connection was gone already', exc_info=True)
            return False
        return True

    def _write(self, data: bytes) -> None:
        """Write a frame. The one way out: subclasses may override it.

        :raises RuntimeError: the connection has ended.
        :raises OSError: it broke.
        """
        sock = self.sock
        if self.terminated or sock is None:
            raise NotOpenError('nothing can be written to a connection that has ended')
        try:
            if self._outbox is not None:
                self._outbox.write(data)
                self._outbox_changed()
            else:
                self._sendall(sock, data)
        except OSError as error:
            self._broken = error
            raise

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

    def try_ping(self) -> bool:
        """Send a ping, if nobody must wait for that; tells whether it went out."""
        return self._try(lambda: self.ping(b''))

    def try_close(self, code: int, reason: str) -> None:
        """Begin the closing handshake, or drop the connection where that would have to wait."""
        if self._failure is None and self.state not in SENT:
            self._failure = (code, reason)
        if not self._try(lambda: self.close(code, reason)):
            self._drop()

    def _try(self, send: Callable[[], None]) -> bool:
        """Call *send* unless another sender, or a full socket, stands in its way."""
        if not self._lock.acquire(blocking=self._outbox is not None):
            return False
        try:
            if self._outbox is None and not blocking.has_room(self.sock):
                return False
            send()
            return True
        except (OSError, RuntimeError):
            return False
        finally:
            self._lock.release()

    # Living and ending

    def run(self) -> None:
        """Drive the connection until it has ended: ``opened()``, then every message, then ``closed()``.

        Blocks; meant for a thread of its own.
        """
        if self._ended:
            return
        lock = self._lock
        try:
            self.sock.settimeout(self.sock_timeout)
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
            self._keepalive = Keepalive(self, call_later, heartbeat)
        if self.state in SENT:  # closed before anybody drove it
            self._limit_closing()

    def attach(self, driver: Driver, queued: bool) -> None:
        """Be driven by *driver* from now on; called by it.

        :param queued: make the socket non-blocking, with an outbox in front of it.
        """
        self._driver = driver
        if queued or isinstance(self.sock, ssl.SSLSocket):  # which may have half a record, and would wait for the rest
            self.sock.setblocking(False)
        if queued:
            self._outbox = Outbox(self.sock, self._tls_lock if isinstance(self.sock, ssl.SSLSocket) else None)
        heartbeat = self.heartbeat_freq
        self._start(driver.call_later, heartbeat if isinstance(heartbeat, (int, float)) else None)

    def detach(self) -> None:
        """Be driven no more. The socket blocks again, and what waits in the outbox is written."""
        with self._lock:
            if self._keepalive is not None:
                self._keepalive.stop()
            driver, self._driver = self._driver, None
            outbox, self._outbox = self._outbox, None
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

    @property
    def lingers(self) -> bool:
        """True when the connection may not be ended yet although there is nothing more to process.

        Frames of ours still wait; or it is the peer's turn to end the TCP connection: a client waits for the server
        (section 7.1.1), and after a failure both wait, since ending it under a peer that is still sending would
        destroy our Close frame on its way.
        """
        if self._eof or self._dropped or self.sock is None or self._call_later is None:
            return False
        if self._outbox is not None and self._outbox.size:
            return True
        if self.state is State.CLOSE_SENT and self._failure is not None:
            if not self._half_closed:
                self._half_closed = True
                return self._shut_down(socket.SHUT_WR)
            return True
        return self.state is State.CLOSE_EXCHANGED and self._is_client

    def terminate(self) -> None:
        """End the connection: call :meth:`closed`, then close the socket. Another call does nothing."""
        with self._tls_lock:
            if self._ended:
                return
            self._ended = True
        lock = self._lock
        if not lock.acquire(blocking=False):
            if self._outbox is None:
                self._shut_down(socket.SHUT_RDWR)  # a sender whose peer does not read must not keep us
            lock.acquire()
        try:
            self._dropped = True  # a sender that waited for room must not write behind a frame that was cut
            self.detach()
        finally:
            lock.release()
        with self._tls_lock:
            timer, self._close_timer = self._close_timer, None
        if timer is not None:
            timer.cancel()
        code, reason = self._outcome()
        self.close_code, self.close_reason = code, reason
        try:
            self.closed(code, reason)
        except Exception:
            logger.exception('closed() raised')
        finally:
            if self._lock is lock:  # else closed() has called __init__, to connect again
                self._finish()

    def _outcome(self) -> tuple[int, Union[bytes, str]]:
        """What closed() is told: why we failed it, else what the peer said."""
        if self._failure is not None:
            return self._failure
        closing = None if self.stream is None else self.stream.closing
        if closing is not None:
            return closing.code, closing.reason
        return closecode.ABNORMAL_CLOSURE, 'Going away'

    def _finish(self) -> None:
        """Close the socket and let go of everything."""
        with self._lock:
            self.state = after(self.state, Event.ENDED)
            self._notify()  # nobody needs to wait for his turn any more
        self.close_connection()
        stream, self.stream = self.stream, None
        self.environ = self._broken = None
        if isinstance(stream, Stream):
            with contextlib.suppress(ValueError):  # another thread is in it just now
                stream.parser.close()  # the two refer to each other: let go of a message in progress without the gc

    def close_connection(self) -> None:
        """Shut the socket down and close it. Errors are of no interest any more."""
        self._shut_down(socket.SHUT_RDWR)
        sock, self.sock = self.sock, None
        if sock is not None:
            try:
                sock.close()
            except Exception:  # as above
                logger.debug('the connection was gone already', exc_info=True)


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
