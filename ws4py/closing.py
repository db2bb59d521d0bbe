"""Closing: from the first Close frame to the end of the TCP connection.

:class:`Closer` is the part of :class:`ws4py.websocket.WebSocket` that knows how it ends (RFC 6455 section 7)::

    close()      the closing handshake; begun by the application, or the answer to the peer's Close
    _fail()      the same, because somebody did something wrong: closed() will say so
    abort()      a Close frame if nobody has to wait for that, then the end
    terminate()  the end: closed() is called, once, and the socket is closed

Whoever drives the connection calls :meth:`~Closer.terminate` when there is nothing more to process and it does not
:attr:`linger <Closer.lingers>` any more. Everything here may be called from any thread, and nothing but ``close`` waits
for a peer: it waits for a frame of another thread that is being written.
"""

from __future__ import annotations

import contextlib
import logging
import socket
from collections.abc import Awaitable
from types import CoroutineType
from typing import TYPE_CHECKING, Any, Callable, Optional, Union

from ws4py import blocking, closecode
from ws4py.messaging import Payload
from ws4py.receiving import Receiver
from ws4py.sending import refuse_coroutine
from ws4py.state import BY_FLAGS, OPEN, RECEIVED, SENT, Event, State, after
from ws4py.streaming import Stream

__all__ = ['Closer']

logger = logging.getLogger('ws4py')


class Closer(Receiver):
    """The closing of a connection, on top of its receiving and sending halves."""

    environ: Optional[dict[str, Any]]
    _is_client = False

    #: What ``closed()`` was called with; None before.
    close_code: Optional[int] = None
    close_reason: Union[bytes, str, None] = None
    _closing = False  # the closing handshake has its time, once somebody drives the connection
    _ended = False  # terminate() has been called
    #: True once the application has closed it, and nobody else before.
    closed_by_us = False
    _half_closed = False
    _release: Optional[Callable[[], object]] = None  # called when all is over, by whom it was counted
    _call_later: Optional[Callable[[float, Callable[[], None]], Any]] = None
    _close_timer: Any = None
    _seldom = (
        *(*Receiver._seldom, 'close_code', 'close_reason', '_closing', '_ended', 'closed_by_us'),
        *('_half_closed', '_release', '_call_later', '_close_timer'),
    )

    def __init__(self, sock: Any) -> None:
        super().__init__(sock)
        #: Where the connection stands (:class:`ws4py.state.State`).
        self.state = OPEN

    if TYPE_CHECKING:  # what the rest of the connection has

        def closed(self, code: int, reason: Union[bytes, str, None] = None) -> Optional[Awaitable[None]]:
            """Called with how the connection ended."""

        def detach(self) -> None:
            """Be driven no more."""

    # The state

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

    # The closing handshake

    def close(self, code: int = closecode.NORMAL_CLOSURE, reason: Payload = '') -> None:
        """Begin the closing handshake, or answer the peer's (RFC 6455 section 7.1.2). Further calls do nothing.

        :param code: 1000-1003, 1007-1014 or 3000-4999; another one goes out as 1000, with a warning.
        :param reason: text or UTF-8 bytes; what is over 123 bytes is cut.
        :raises TypeError, ValueError: a code or a reason of another type; nothing has been sent.
        """
        with self._tls_lock:  # a client does not become open between the two lines
            connecting = self.state is State.CONNECTING
            self.closed_by_us = self.closed_by_us or connecting
        if connecting:
            self.close_connection()
            return
        stream = self.stream
        if stream is None or self._ended or self.state in SENT:
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
            if self.state is OPEN and self._failure is None:
                self.closed_by_us = True
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
            self._closing = True  # who drives it only from now on will see that
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

    # The end

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
        driver = self._driver
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

        def finish() -> None:
            if self._lock is lock:  # else closed() has called __init__, to connect again
                self._finish()

        awaited = False
        try:
            result: object = self.closed(code, reason)  # may be an async def
            if isinstance(result, CoroutineType):
                if driver is None:
                    refuse_coroutine(self.closed, result)
                else:
                    driver.run_coroutine(self, self.closed, result, finish)
                    awaited = True  # environ and socket are still there while it runs
        except self._faults:
            logger.exception('closed() raised')
        finally:
            if not awaited:
                finish()

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
        release, self._release = self._release, None
        if release is not None:
            release()
        stream, self.stream = self.stream, None
        self.environ = self._broken = None
        if isinstance(stream, Stream):
            with contextlib.suppress(ValueError):  # another thread is in it just now
                stream.parser.close()  # the two refer to each other: let go of a message in progress without the gc

    def close_connection(self) -> None:
        """Shut the socket down and close it. Errors are of no interest any more."""
        self._shut_down(socket.SHUT_RDWR)
        with self._tls_lock:  # a client that connects may be about to put another one in its place
            sock, self.sock = self.sock, None
        if sock is not None:
            try:
                sock.close()
            except Exception:  # as above
                logger.debug('the connection was gone already', exc_info=True)
