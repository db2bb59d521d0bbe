"""TLS on an asyncio transport, between that and a protocol.

What asyncio has for this costs as much as all else that is done with a small message, and keeps a buffer of 256 KiB for
each connection. :class:`TLSTransport` is both ends of one layer: for the transport below it is the protocol, for the
protocol above it is the transport::

    bytes from the peer ─► buffer_updated() ─► SSLObject ─► data_received() of the protocol above
    write() by the protocol above ─► SSLObject ─► write() of the transport below

It keeps next to nothing. All that came is decrypted and handed up in one piece, or waits, at most one block of it,
while the protocol has paused reading. All that is written is encrypted and handed down at once: what the peer does not
take waits in the transport below, whose limits are those that the protocol sets, and which tells it to pause.

It is the server's side of TLS only. A peer that wants new keys by a second handshake (before TLS 1.3) is not served any
further.

It belongs to one connection and to the loop's thread.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import ssl
from typing import Any, Callable, Optional

from ws4py.blocking import RECORD
from ws4py.transport import READ

__all__ = ['TLSTransport', 'encrypted']

logger = logging.getLogger('ws4py')

HANDSHAKE_TIMEOUT = 60.0  # seconds, and
SHUTDOWN_TIMEOUT = 30.0  # seconds, as asyncio has them
#: Bytes that may wait below when TLS by itself has something to say; only who makes it talk and never listens has more.
MOST = 1024 * 1024


def encrypted(
    make: Callable[[], asyncio.Protocol],
    context: ssl.SSLContext,
    handshake_timeout: Optional[float] = None,
    shutdown_timeout: Optional[float] = None,
) -> Callable[[], TLSTransport]:
    """A protocol factory for ``loop.create_server()``, whose connections are those of *make*, with TLS.

    :param handshake_timeout: seconds for the TLS handshake, 60 when None.
    :param shutdown_timeout: seconds that a peer has to answer the end of TLS, 30 when None.
    :raises TypeError: *context* is none.
    """
    if not isinstance(context, ssl.SSLContext):
        raise TypeError(f'ssl is {context!r} (expected an ssl.SSLContext)')
    buffer = memoryview(bytearray(READ))  # for all connections: what comes does not stay in it
    return lambda: TLSTransport(
        make(),
        context,
        buffer,
        HANDSHAKE_TIMEOUT if handshake_timeout is None else handshake_timeout,
        SHUTDOWN_TIMEOUT if shutdown_timeout is None else shutdown_timeout,
    )


class TLSTransport(asyncio.Transport, asyncio.BufferedProtocol):
    """One connection.

    :param protocol: whose ``connection_made`` is called when the handshake is done; where that fails it hears nothing.
    :param buffer: where the transport below puts what it has received; may be shared with others of the same loop.
    :param handshake_timeout: seconds.
    :param shutdown_timeout: seconds.
    """

    def __init__(
        self,
        protocol: asyncio.Protocol,
        context: ssl.SSLContext,
        buffer: memoryview,
        handshake_timeout: float,
        shutdown_timeout: float,
    ) -> None:
        super().__init__()
        self._protocol: Any = protocol  # None when it is lost
        self._buffer = buffer
        self._handshake_timeout = handshake_timeout
        self._shutdown_timeout = shutdown_timeout
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self._loop: Any = None
        self._below: Any = None
        self._timer: Optional[asyncio.TimerHandle] = None
        self._open = False  # the handshake is done
        self._paused = False  # nothing is to be handed up
        self._closing = False  # our end of TLS is sent
        self._error: Optional[ssl.SSLError] = None

    # What the transport below calls

    def connection_made(self, transport: Any) -> None:
        """The connection is there. It is the client that begins."""
        self._loop = asyncio.get_running_loop()
        self._below = transport
        self._timer = self._loop.call_later(self._handshake_timeout, self._late)

    def get_buffer(self, sizehint: int) -> memoryview:
        """Where it puts what it receives."""
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Bytes came from the peer."""
        self._incoming.write(self._buffer[:nbytes])
        self._receive()

    def _receive(self) -> None:
        """Decrypt what came, and hand it up."""
        if (not self._open and not self._shake_hands()) or self._paused:
            return
        if self._closing:
            if self._discard():
                self._below.close()
            return
        data: Optional[bytes] = None
        try:
            data = self._tls.read(RECORD)
            if self._incoming.pending and data:
                data = self._read_on(data)
        except ssl.SSLWantReadError:  # less than one record, or one that is not for us
            pass
        except ssl.SSLError as error:
            self._fail(error)
            return
        if self._outgoing.pending:
            self._flush()
        if data:
            self._protocol.data_received(data)
        elif data is not None:
            self._finish()

    def _shake_hands(self) -> bool:
        """Go on with the handshake; True when it is done."""
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            self._flush()
            return False
        except ssl.SSLError as error:
            self._fail(error)
            return False
        self._flush()
        self._stop_timer()
        self._open = True
        self._protocol.connection_made(self)
        return True

    def _read_on(self, data: bytes) -> bytes:
        """*data* and what is in the records that have come behind it; not their end, which is for the next time."""
        parts = [data]
        with contextlib.suppress(ssl.SSLWantReadError):
            while self._incoming.pending:
                data = self._tls.read(RECORD)
                if not data:
                    self._loop.call_soon(self._receive)
                    break
                parts.append(data)
        return b''.join(parts)

    def _finish(self) -> None:
        """The peer has finished."""
        self._protocol.eof_received()
        self.close()

    def _discard(self) -> bool:
        """Throw away what came; True when nothing more comes, or something that is wrong."""
        try:
            while self._tls.read(RECORD):
                pass
        except ssl.SSLWantReadError:
            return False
        except ssl.SSLError:
            pass
        return True

    def eof_received(self) -> None:
        """Nothing more comes. Whether the end of TLS was before it is of no interest: our frames tell what is whole."""
        if self._open and not self._closing:
            self._finish()

    def pause_writing(self) -> None:
        """There is enough to send."""
        if self._open:
            self._protocol.pause_writing()

    def resume_writing(self) -> None:
        """There is room again."""
        if self._open:
            self._protocol.resume_writing()

    def connection_lost(self, exc: Optional[Exception]) -> None:
        """The transport below is gone."""
        self._stop_timer()
        protocol, self._protocol = self._protocol, None  # the two refer to each other
        self._closing = self._paused = True
        if self._open:
            protocol.connection_lost(self._error or exc)
        else:
            logger.debug('no TLS with %s: %s', self._below.get_extra_info('peername'), self._error or exc)

    # What goes wrong

    def _late(self) -> None:
        self._fail(ssl.SSLError(f'the handshake was not done within {self._handshake_timeout:g} s'))

    def _fail(self, error: ssl.SSLError) -> None:
        """Let the peer have the alert that may be there, and end the connection."""
        self._error = error.with_traceback(None)  # which would refer to us
        self._below.write(self._outgoing.read())
        self.abort()

    def _flush(self) -> None:
        """Send what TLS itself has to say."""
        self._below.write(self._outgoing.read())
        if self._below.get_write_buffer_size() > MOST:
            self._fail(ssl.SSLError('the peer makes TLS talk and does not listen'))

    def _stop_timer(self) -> None:
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()

    # What the protocol above calls (asyncio.Transport)

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """As of asyncio's own TLS."""
        tls = self._tls
        own: dict[str, Callable[[], Any]] = {
            'ssl_object': lambda: tls,
            'sslcontext': lambda: tls.context,
            'peercert': tls.getpeercert,
            'cipher': tls.cipher,
            'compression': tls.compression,
        }
        return own[name]() if name in own else self._below.get_extra_info(name, default)

    def set_protocol(self, protocol: Any) -> None:
        """Whom to call from now on."""
        self._protocol = protocol

    def get_protocol(self) -> Any:
        """Who is called."""
        return self._protocol

    def is_closing(self) -> bool:
        """True when nothing can be written any more."""
        return self._closing or self._below.is_closing()

    def write(self, data: Any) -> None:
        """Send *data*; nothing after the end."""
        if self._closing or not len(data):  # an empty record is taken for an end by some versions of OpenSSL
            return
        try:
            sent = self._tls.write(data)
            while sent < len(data):  # one record, as some versions have it
                sent += self._tls.write(memoryview(data)[sent:])
        except ssl.SSLError as error:
            self._fail(error)
        else:
            self._below.write(self._outgoing.read())

    def can_write_eof(self) -> bool:
        """False: TLS before 1.3 has no half-closed state."""
        return False

    def set_write_buffer_limits(self, high: Optional[int] = None, low: Optional[int] = None) -> None:
        """Bytes, encrypted, that wait when ``pause_writing`` and ``resume_writing`` are called."""
        self._below.set_write_buffer_limits(high, low)

    def get_write_buffer_size(self) -> int:
        """Bytes, encrypted, that wait."""
        return int(self._below.get_write_buffer_size())

    def is_reading(self) -> bool:
        """True while something can be handed up."""
        return not self._paused and not self._closing

    def pause_reading(self) -> None:
        """Hand nothing up, and receive nothing. After :meth:`close` that is not to be stopped."""
        if not self._closing:
            self._paused = True
            self._below.pause_reading()

    def resume_reading(self) -> None:
        """Go on with what is here, and with receiving."""
        if self._paused and not self._closing:
            self._paused = False
            self._loop.call_soon(self._receive)  # before anything that is received from now on
            self._below.resume_reading()

    def close(self) -> None:
        """Send what waits and our end of TLS, and wait for the peer's, for a while; what still comes is thrown away."""
        if self._closing:
            return
        self.resume_reading()
        self._closing = True
        self._timer = self._loop.call_later(self._shutdown_timeout, self._below.abort)
        ended = self._discard()  # OpenSSL says no end while there is something to be read
        with contextlib.suppress(ssl.SSLError):  # the peer's end is not there yet
            self._tls.unwrap()
        self._below.write(self._outgoing.read())
        if ended:
            self._below.close()

    def abort(self) -> None:
        """End the connection now."""
        self._closing = True
        self._below.abort()
