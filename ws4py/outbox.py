"""The outbox: what waits to be sent on a socket that does not block.

A frame is tried on the socket at once; what does not fit waits here until the poller says that there is room. While
the box is corked frames only gather, so that the answers to a block of pipelined frames leave in one system call.

It belongs to one connection, which holds its lock around every call. It knows no frames and makes no decisions:
whether a peer is too slow is for :mod:`ws4py.websocket` to say.
"""

from __future__ import annotations

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
        self._chunks: Optional[deque[Buffer]] = None  # while nothing waits; a deque is larger than all else here
        self._corked = False
        self._lock = lock

    def write(self, data: Buffer) -> bool:
        """Send *data*, or keep what the socket does not take.

        :returns: whether all is as it was: the socket has taken it, or it is under the cork.
        :raises OSError: the connection is broken.
        """
        if self._chunks is None:
            if not self._corked:  # nearly always, and the shortest way
                sent = self._send(data)
                if sent == len(data):
                    return True
                self._chunks = deque((memoryview(data)[sent:],))
                self.size = len(data) - sent
                self.blocked = True
                return False
            self._chunks = deque()
        self._chunks.append(data)
        self.size += len(data)
        if self._corked and self.size < BLOCK:
            return not self.blocked
        if not self.blocked:
            self.flush()
        return False

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
            data = self._next(self._chunks)
            sent = self._send(data)
            self.size -= sent
            if sent < len(data):
                self._chunks.appendleft(memoryview(data)[sent:])
                self.blocked = True
                return
        self._chunks = None

    def _send(self, data: Buffer) -> int:
        """Offer *data* to the socket; the answer is how many bytes it took."""
        try:
            if self._lock is None:
                sent = self.sock.send(data)
            else:
                with self._lock:
                    sent = self.sock.send(data)
        except WOULD_BLOCK:
            return 0
        self.sent += sent
        return sent

    def take(self) -> bytes:
        """All that waits, for who sends it by other means; nothing waits any more."""
        data = b''.join(self._chunks or ())
        self._chunks = None
        self.size = 0
        return data

    @staticmethod
    def _next(chunks: deque[Buffer]) -> Buffer:
        """The next bytes to offer: a large chunk as it is, small ones joined."""
        data = chunks.popleft()
        if not chunks or len(data) >= BLOCK:
            return data
        parts, size = [data], len(data)
        while chunks and size + len(chunks[0]) <= BLOCK:
            parts.append(chunks.popleft())
            size += len(parts[-1])
        return b''.join(parts)
