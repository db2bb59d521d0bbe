"""Room for a websocket: how many connections a server has, in total and from each peer, and who may still come in.

A server object owns one :class:`Admission` and has every websocket made through it, after :mod:`ws4py.policy` has
accepted the request and before the 101 is sent. Coming in is checked and counted in one step; going out happens once,
when the connection has ended, or when the websocket was forgotten without ever being driven.
"""

from __future__ import annotations

import threading
import weakref
from collections import Counter, deque
from typing import Any, Callable, Optional

from ws4py.exc import HTTPError
from ws4py.handshake import Accepted
from ws4py.http11 import Request
from ws4py.policy import Policy, parse_address
from ws4py.websocket import WebSocket

__all__ = ['Admission']


class Admission:
    """Counts the connections of one server that are bounded in number. Any thread may call."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._total = 0
        self._peers: Counter[Any] = Counter()
        # Who leaves only says so, and is counted out by the next one who comes: a websocket may be forgotten to the
        # garbage collector in the midst of whatever this thread is doing, with the lock held too.
        self._left: deque[Any] = deque()

    def __len__(self) -> int:
        with self._lock:
            self._count_out()
            return self._total

    def admit(self, policy: Policy, request: Request, accepted: Accepted, make: Callable[[], WebSocket]) -> WebSocket:
        """Make the websocket of an accepted request, on the terms of *policy*.

        :param request: with the address of the client, as :meth:`ws4py.policy.Policy.resolve` gives it.
        :param make: makes the websocket.
        :raises HTTPError: 503 there are as many connections as there may be, 429 the same for this peer.
        :raises Exception: what *make* raises.
        """
        limits = policy.bounds
        if limits.connections is None and limits.connections_per_peer is None:
            websocket = make()
        else:
            peer = _network(request)
            self._enter(peer, limits.connections, limits.connections_per_peer)
            try:
                websocket = make()
                release = weakref.finalize(websocket, self._left.append, peer)
            except BaseException:
                self._left.append(peer)
                raise
            release.atexit = False
            websocket._release = release
        websocket.use_extensions(accepted.codecs)
        if policy.limits is not None:
            websocket.limits = policy.limits
        if policy.heartbeat_freq is not None:
            websocket.heartbeat_freq = policy.heartbeat_freq
        return websocket

    def _enter(self, peer: Optional[object], in_total: Optional[int], per_peer: Optional[int]) -> None:
        with self._lock:
            self._count_out()
            if in_total is not None and self._total >= in_total:
                raise HTTPError(503, f'all of the {in_total} connections are in use')
            if per_peer is not None and peer is not None and self._peers[peer] >= per_peer:
                raise HTTPError(429, f'there are {per_peer} connections from this address already')
            self._total += 1
            self._peers[peer] += 1

    def _count_out(self) -> None:
        while self._left:
            peer = self._left.popleft()
            self._total -= 1
            self._peers[peer] -= 1
            if not self._peers[peer]:
                del self._peers[peer]


def _network(request: Request) -> Optional[object]:
    """What is counted as one peer: an IPv4 address, or the /64 network that everybody has of IPv6."""
    peer = request.peer_address
    if not isinstance(peer, tuple):
        return None
    address = parse_address(peer[0])
    if address is not None and address.version == 6:
        return 6, int(address) >> 64
    return address or peer[0]
