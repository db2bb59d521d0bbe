"""The load of ``bench``: clients that send, and count what comes back.

Each client has one message under way: when its echo is there, the next one leaves. Where somebody else sets the pace,
messages leave when they are due, whatever is under way, and a round trip begins when its message was due: a server that
stands still for a second is seen with all that this second has held up.

Hooks run in the thread of the manager, which alone counts what comes in; messages may be sent from any thread.
"""

from __future__ import annotations

import collections
import contextlib
import math
import os
import threading
import time
from typing import Any, Optional

from ws4py.client import WebSocketBaseClient
from ws4py.manager import WebSocketManager

__all__ = ['Client', 'Load', 'RoundTrips']

STEPS = 200  # of the histogram in a factor of e: figures are exact to a quarter of a percent


class RoundTrips:
    """A histogram of times with steps of half a percent: as small after a billion as after a thousand."""

    def __init__(self) -> None:
        self.number = 0
        self.longest = 0.0
        self._steps: collections.Counter[int] = collections.Counter()

    def add(self, took: float) -> None:
        """Count one, in seconds."""
        took = max(took, 1e-9)
        self.number += 1
        self.longest = max(self.longest, took)
        self._steps[round(math.log(took) * STEPS)] += 1

    def percentile(self, percent: float) -> Optional[float]:
        """So many percent took at most that long, in seconds; None where there is nothing."""
        needed, found = math.ceil(self.number * percent / 100), 0
        for step, number in sorted(self._steps.copy().items()):
            found += number
            if found >= needed:
                return min(math.exp(step / STEPS), self.longest)
        return None


class Load:
    """What all connections of a run share: how much to send, and what came of it.

    :param messages: so many in all, None for no end but :meth:`stop`.
    :param paced: somebody else calls :meth:`send_one`; a connection does not send by itself.
    :ivar over: set when nothing is to be waited for any more.
    """

    def __init__(self, size: int, binary: bool, messages: Optional[int] = None, paced: bool = False) -> None:
        self.size = size
        self.binary = binary
        self.round_trips = RoundTrips()
        self.wrong = self.lost = 0
        self.surplus = 0  # of the wrong ones, those that nothing was sent for
        self.over = threading.Event()
        self.clients: list[Client] = []
        self.left = messages
        self.stopped = False
        self.moment = time.monotonic()  # when something was sent or came in last
        self.last = self.moment  # when an echo came in last
        self._sent = 0
        self._numbers = threading.Lock()
        self._paced = paced
        self._filler = (
            os.urandom(size) if binary else (b'0123456789abcdefghijklmnopqrstuvwxyz ' * (size // 37 + 1))[:size]
        )

    def begin(self) -> None:
        """Let every connection send its first message, unless the clock does it."""
        if not self._paced:
            for client in list(self.clients):
                self.send_one(client, time.monotonic())

    def send_one(self, client: Client, due: float) -> None:
        """Send the next message over ``client``, if there is still one to be sent. Safe from any thread."""
        with client.sending:  # messages come back in the order in which they leave
            number = self._next()
            if number is None:
                return
            text = f'{number} '.encode()[: self.size]  # so that no two messages are the same, where there is room
            payload = text + self._filler[len(text) :]
            client.under_way.append((payload, due))
            self.moment = time.monotonic()
            with contextlib.suppress(RuntimeError, OSError):  # the connection has ended, and its closed() counts it
                client.send(payload, self.binary)

    def _next(self) -> Optional[int]:
        with self._numbers:
            if self.stopped or self.left == 0:
                return None
            if self.left is not None:
                self.left -= 1
            self._sent += 1
            return self._sent

    def came(self, client: Client, message: Any) -> None:
        """An echo is there."""
        now = self.moment = time.monotonic()
        payload, due = client.under_way.popleft() if client.under_way else (None, now)
        if message.data == payload and message.is_binary == self.binary:
            self.last = now
            self.round_trips.add(now - due)
        else:
            self.wrong += 1
            self.surplus += payload is None
            if payload is None:
                return
        if not self._paced:
            self.send_one(client, now)
        self.check()

    def ended(self, client: Client) -> None:
        """A connection has ended."""
        self.lost += not client.closed_by_us
        if client in self.clients:
            self.clients.remove(client)
        self.check()

    def stop(self) -> None:
        """Send no more."""
        self.stopped = True
        self.check()

    @property
    def finished(self) -> bool:
        """Whether nothing is left to send."""
        return self.stopped or self.left == 0

    @property
    def under_way(self) -> bool:
        """Whether an echo is still to come."""
        return any(client.under_way for client in list(self.clients))

    def check(self) -> None:
        """See whether all is over: nothing left to send, nothing under way, or nobody there."""
        if not self.clients or (self.finished and not self.under_way):
            self.over.set()

    @property
    def unanswered(self) -> int:
        """Messages that did not come back."""
        return self._sent - self.round_trips.number - (self.wrong - self.surplus)


class Client(WebSocketBaseClient):
    """One connection of the load."""

    def __init__(self, *args: Any, load: Load, manager: WebSocketManager, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.under_way: collections.deque[tuple[bytes, float]] = collections.deque()
        self.sending = threading.Lock()
        self._load = load
        self._manager = manager

    def handshake_ok(self) -> None:
        self._load.clients.append(self)
        self._manager.add(self)

    def received_message(self, message: Any) -> None:
        self._load.came(self, message)

    def closed(self, code: int, reason: Any = None) -> None:
        self._load.ended(self)
