"""The opening handshake on a blocking socket: one deadline for all of it, and the reading of a request's head.

A timeout on a socket begins anew with each byte that comes, so a peer that sends one every few seconds would be
waited for without end. A :class:`Deadline` gives every call only what is left. Clients and threaded servers use it,
each in the thread that owns the socket. What the head says is none of its business.
"""

from __future__ import annotations

import time
from typing import Any, Optional

from ws4py.http11 import head_reader
from ws4py.limits import Limits

__all__ = ['Deadline', 'read_head']


class Deadline:
    """A moment that lies *seconds* ahead, or never comes (None)."""

    def __init__(self, seconds: Optional[float]) -> None:
        self._seconds = seconds
        self._end = None if seconds is None else time.monotonic() + seconds

    def apply(self, sock: Any) -> None:
        """Let the next call on *sock* last until the deadline and no longer.

        :raises TimeoutError: it has passed.
        """
        sock.settimeout(self.left())

    def left(self) -> Optional[float]:
        """Seconds until then, None for as long as it takes.

        :raises TimeoutError: it has passed.
        """
        if self._end is None:
            return None
        remaining = self._end - time.monotonic()
        if remaining <= 0:
            raise TimeoutError(f'not done within {self._seconds:g} s')
        return remaining


def read_head(sock: Any, limits: Limits, deadline: Deadline) -> tuple[bytes, bytes]:
    """Read the head of a request.

    :returns: the head with its empty line, and what came behind it.
    :raises EOFError: the peer closed the connection first.
    :raises OSError: the connection broke, or the deadline passed.
    :raises HTTPError: as :func:`ws4py.http11.head_reader` does.
    """
    reader = head_reader(limits)
    size = next(reader)
    begun = False
    try:
        while True:
            deadline.apply(sock)
            data = sock.recv(size)
            if not data:
                when = 'in the middle of a head' if begun else 'without a word'
                raise EOFError(f'the connection was closed {when}')
            begun = True
            size = reader.send(data)
    except StopIteration as done:
        head, rest = done.value
        return head, rest
