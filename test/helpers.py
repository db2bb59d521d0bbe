"""What the tests of connections share: waiting with a deadline, raw peers, connections in threads, TLS pairs.

A peer here is the other end of a socket pair and speaks frame bytes. Everything it does has a deadline, so that a test
which goes wrong fails instead of hanging.
"""

from __future__ import annotations

import collections
import contextlib
import logging
import socket
import ssl
import struct
import threading
import unittest
from collections.abc import Iterator
from typing import Any, Callable, Optional

import support_tls
from support_tls import needs_certificates

from ws4py import blocking
from ws4py.framing import FIN, OPCODE_BINARY, OPCODE_CLOSE, OPCODE_PING, OPCODE_PONG, OPCODE_TEXT
from ws4py.limits import Limits
from ws4py.masking import mask
from ws4py.sending import Driver
from ws4py.testing import until as wait_for
from ws4py.websocket import WebSocket

__all__ = [
    'TIMEOUT',
    'Case',
    'Client',
    'Peer',
    'Recorder',
    'RecordingDriver',
    'close_frame',
    'frame',
    'limited',
    'logs',
    'mask_key',
    'needs_certificates',
    'running',
    'tls_pair',
    'wait_for',
]

TIMEOUT = 10.0  # seconds that any test waits for anything
mask_key = b'\x37\xfa\x21\x3d'  # the one of RFC 6455 section 5.7


def frame(opcode: int, payload: bytes = b'', fin: bool = True, masked: bool = False) -> bytes:
    """A frame, written down here from RFC 6455 section 5.2 and not by the code under test."""
    size, bit = len(payload), 0x80 if masked else 0
    head = bytes([(FIN if fin else 0) | opcode])
    if size < 126:
        head += bytes([bit | size])
    elif size < 65536:
        head += bytes([bit | 126]) + struct.pack('!H', size)
    else:
        head += bytes([bit | 127]) + struct.pack('!Q', size)
    return head + (mask_key + bytes(mask(payload, mask_key)) if masked else payload)


def close_frame(code: Optional[int] = 1000, reason: bytes = b'', masked: bool = False) -> bytes:
    """A Close frame; *code* None gives an empty one."""
    return frame(OPCODE_CLOSE, b'' if code is None else struct.pack('!H', code) + reason, masked=masked)


class Peer:
    """The other end of a connection, which reads and writes frames.

    :param sock: its socket, on which every call ends after ``TIMEOUT``.
    :param masked: its frames are masked, as a client's are.
    """

    def __init__(self, sock: socket.socket, masked: bool = True) -> None:
        sock.settimeout(TIMEOUT)
        self.sock = sock
        self.masked = masked
        self._rest = b''

    def send(self, opcode: int, payload: bytes = b'', fin: bool = True) -> None:
        self.sock.sendall(frame(opcode, payload, fin, self.masked))

    def text(self, text: str) -> None:
        self.send(OPCODE_TEXT, text.encode())

    def binary(self, data: bytes) -> None:
        self.send(OPCODE_BINARY, data)

    def ping(self, data: bytes = b'') -> None:
        self.send(OPCODE_PING, data)

    def pong(self, data: bytes = b'') -> None:
        self.send(OPCODE_PONG, data)

    def close(self, code: Optional[int] = 1000, reason: bytes = b'') -> None:
        self.sock.sendall(close_frame(code, reason, self.masked))

    def read(self, size: int) -> bytes:
        """Exactly *size* bytes."""
        while len(self._rest) < size:
            block = self.sock.recv(65536)
            if not block:
                raise EOFError(f'{size} bytes were expected, then came the end after {self._rest[:64]!r}')
            self._rest += block
        data, self._rest = self._rest[:size], self._rest[size:]
        return data

    def receive(self) -> tuple[int, bytes]:
        """The next frame: its first byte and its payload in clear."""
        first, second = self.read(2)
        size = second & 0x7F
        if size == 126:
            (size,) = struct.unpack('!H', self.read(2))
        elif size == 127:
            (size,) = struct.unpack('!Q', self.read(8))
        key = self.read(4) if second & 0x80 else None
        payload = self.read(size)
        return first, payload if key is None else bytes(mask(payload, key))

    def receive_all(self) -> list[tuple[int, bytes]]:
        """Every frame up to the end of the connection."""
        frames = []
        with contextlib.suppress(EOFError, ConnectionResetError):
            while True:
                frames.append(self.receive())
        assert not self._rest, f'a frame was cut: {self._rest[:64]!r}'
        return frames

    def at_end(self) -> bool:
        """Whether the next thing that comes is the end of the connection."""
        try:
            return not self._rest and self.sock.recv(1) == b''
        except ConnectionResetError:
            return True

    def fill(self) -> None:
        """Write until there is no more room, and nobody has read for a moment."""
        self.sock.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while True:
                self.sock.send(bytes(65536))
        self.sock.settimeout(TIMEOUT)


class Recorder(WebSocket):
    """A connection that writes down which of its hooks were called, with what."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.calls: list[tuple[Any, ...]] = []
        self.over = threading.Event()

    def opened(self) -> None:
        self.calls.append(('opened',))

    def received_message(self, message: Any) -> None:
        self.calls.append(('message', message.data))

    def ponged(self, pong: Any) -> None:
        self.calls.append(('pong', pong.data))

    def unhandled_error(self, error: Exception) -> None:
        self.calls.append(('error', type(error)))

    def closed(self, code: int, reason: Any = None) -> None:
        self.calls.append(('closed', code, reason))
        self.over.set()

    def named(self, *names: str) -> list[tuple[Any, ...]]:
        """The calls with one of these names."""
        return [call for call in self.calls if call[0] in names]


@contextlib.contextmanager
def running(
    make: Callable[[Any], Any] = Recorder, masked: bool = True, pair: Optional[tuple[Any, Any]] = None
) -> Iterator[tuple[Any, Peer]]:
    """A connection that a thread drives by ``run()``, and its peer; both are at their end when this is left.

    :param make: gets the socket and makes the connection.
    :param masked: the peer is a client.
    :param pair: two connected sockets, else a socket pair.
    """
    ours, theirs = pair or socket.socketpair()
    websocket, peer = make(ours), Peer(theirs, masked)
    failures: list[BaseException] = []

    def run() -> None:
        try:
            websocket.run()
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=run, name='the connection', daemon=True)
    thread.start()
    try:
        yield websocket, peer
    finally:
        theirs.close()
        thread.join(TIMEOUT)
        hangs = thread.is_alive()
        if hangs:
            websocket.abort(1006, 'the test is over')
            thread.join(TIMEOUT)
        ours.close()
    assert not hangs, 'run() did not return when the peer was gone'
    assert not failures, failures


class RecordingDriver(Driver):
    """A driver that a test plays: it notes what the connection asks for, and never waits."""

    def __init__(self, in_loop: bool = True) -> None:
        self.loop = in_loop
        self.timers: list[tuple[float, Callable[[], object]]] = []
        self.watched: list[tuple[bool, bool]] = []
        self.dropped: list[Any] = []
        self.forgotten: list[Any] = []
        self.settled = 0
        self.coroutines: list[tuple[Any, Any]] = []  # with what is to be called when they are done

    def call_later(self, delay: float, callback: Callable[[], object]) -> Any:
        entry = (delay, callback)
        self.timers.append(entry)

        class Handle:
            def cancel(handle) -> None:
                with contextlib.suppress(ValueError):
                    self.timers.remove(entry)

        return Handle()

    def watch(self, websocket: Any) -> None:
        self.watched.append(websocket.watched)

    def drop(self, websocket: Any) -> None:
        self.dropped.append(websocket)

    def forget(self, websocket: Any) -> None:
        self.forgotten.append(websocket)

    def in_loop(self) -> bool:
        return self.loop

    def settle(self, websocket: Any) -> None:
        self.settled += 1

    def run_coroutine(self, websocket: Any, hook: Any, coroutine: Any, done: Any = None) -> None:
        self.coroutines.append((coroutine, done))
        websocket.pending_calls = collections.deque()


def tls_pair(tcp: Optional[tuple[socket.socket, socket.socket]] = None) -> tuple[ssl.SSLSocket, ssl.SSLSocket]:
    """Two connected TLS sockets, the server's and the client's end."""
    ours, theirs = tcp or socket.socketpair()
    server = support_tls.server_context().wrap_socket(ours, server_side=True, do_handshake_on_connect=False)
    client = support_tls.client_context().wrap_socket(
        theirs, server_hostname='localhost', do_handshake_on_connect=False
    )
    for sock in (server, client):
        sock.settimeout(TIMEOUT)
    thread = threading.Thread(target=server.do_handshake, daemon=True)
    thread.start()
    client.do_handshake()
    thread.join(TIMEOUT)
    # Let the client read its session tickets: closing a socket with unread bytes would reset the connection.
    server.sendall(b'.')
    client.recv(1)
    return server, client


@contextlib.contextmanager
def logs(level: int = logging.DEBUG) -> Iterator[list[logging.LogRecord]]:
    """What is logged by ws4py meanwhile; nothing of it reaches the terminal."""
    records: list[logging.LogRecord] = []
    logger = logging.getLogger('ws4py')
    handler = logging.Handler(level)
    handler.emit = records.append  # type: ignore[method-assign]
    before = logger.level, logger.propagate
    logger.addHandler(handler)
    logger.setLevel(level)
    logger.propagate = False
    try:
        yield records
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before[0])
        logger.propagate = before[1]


class Client(Recorder):
    """The client's end."""

    _is_client = True


def limited(base: type[Recorder] = Recorder, **limits: Any) -> type[Recorder]:
    return type('Limited', (base,), {'limits': Limits(**limits)})


class Case(unittest.TestCase):
    def pair(self, make: Any = Recorder, **options: Any) -> tuple[Any, Peer]:
        """A connection that nobody drives, and its peer."""
        ours, theirs = socket.socketpair()
        self.addCleanup(theirs.close)
        self.addCleanup(ours.close)
        return make(ours, **options), Peer(theirs)

    def stuck(self, websocket: Any) -> threading.Event:
        """Let a thread send more than fits, to a peer that does not read."""
        failed = threading.Event()

        def send() -> None:
            try:
                websocket.send(bytes(10_000_000), True)
            except OSError:
                failed.set()

        threading.Thread(target=send, daemon=True).start()
        wait_for(lambda: not blocking.has_room(websocket.sock))
        return failed
