"""The outbox: what waits to be sent on a socket that does not block.

A frame is tried on the socket at once; what does not fit waits here until the poller says that there is room. While
the box is corked frames only gather, so that the answers to a block of pipelined frames leave in one system call.

It belongs to one connection, which holds its lock around every call. It knows no frames and makes no decisions:
whether a peer is too slow is for :mod:`ws4py.websocket` to say.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections import deque
from typing import Optional, Union

__all__ = ['Outbox']

BLOCK = 64 * 1024  # bytes that are joined into one write, and that a cork holds back at most
WOULD_BLOCK = (BlockingIOError, InterruptedError, ssl.SSLWantReadError, ssl.SSLWantWriteError)

Buffer = Union[bytes, memoryview]


class Outbox:
    """The queue in front of a non-blocking socket.

    :param sock: the socket.
    :param lock: held around each call of the socket, where that needs it (TLS).
    :ivar size: bytes that wait.
    :ivar sent: bytes that the socket has taken, all in all.
    :ivar blocked: True after the socket took less than was offered, until :meth:`flush` finds room again.
    """

    __slots__ = ('_chunks', '_corked', '_lock', 'blocked', 'sent', 'size', 'sock')

    def __init__(self, sock: socket.socket, lock: Optional[threading.Lock] = None) -> None:
        self.sock = sock
        self.size = 0
        self.sent = 0
        self.blocked = False
        self._chunks: deque[Buffer] = deque()
        self._corked = False
        self._lock = contextlib.nullcontext() if lock is None else lock

    def write(self, data: bytes) -> None:
        """Send *data*, or keep what the socket does not take.

        :raises OSError: the connection is broken.
        """
        self._chunks.append(data)
        self.size += len(data)
        if not self.blocked and (not self._corked or self.size >= BLOCK):
            self.flush()

    def cork(self) -> None:
        """Let frames gather until :meth:`uncork`."""
        self._corked = True

    def uncork(self) -> None:
        """Send what has gathered.

        :raises OSError: the connection is broken.
        """
        self._corked = False
        if self._chunks and not self.blocked:
            self.flush()

    def flush(self) -> None:
        """Send as much as the socket takes.

        :raises OSError: the connection is broken.
        """
        self.blocked = False
        while self._chunks:
            data = self._next()
            try:
                with self._lock:
                    sent = self.sock.send(data)
            except WOULD_BLOCK:
                sent = 0
            self.size -= sent
            self.sent += sent
            if sent < len(data):
                self._chunks.appendleft(memoryview(data)[sent:])
                self.blocked = True
                return

    def take(self) -> bytes:
        """All that waits, for who sends it by other means; nothing waits any more."""
        data = b''.join(self._chunks)
        self._chunks.clear()
        self.size = 0
        return data

    def _next(self) -> Buffer:
        """The next bytes to offer: a large chunk as it is, small ones joined."""
        data = self._chunks.popleft()
        if not self._chunks or len(data) >= BLOCK:
            return data
        parts, size = [data], len(data)
        while self._chunks and size + len(self._chunks[0]) <= BLOCK:
            parts.append(self._chunks.popleft())
            size += len(parts[-1])
        return b''.join(parts)
