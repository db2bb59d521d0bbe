"""Keepalive: notice a peer that has gone silent.

Pings that must be answered, an idle timeout, and the unsolicited pongs that ws4py calls a heartbeat, for one
connection, on whatever clock drives it: the manager's timers, the shared timer thread of blocking connections, or an
event loop. All times are in seconds and come from :class:`ws4py.limits.Limits`. Callbacks run in the timers' thread
and never wait for the peer.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from typing import TYPE_CHECKING, Callable, Optional, Protocol

from ws4py import closecode
from ws4py.messaging import PongControlMessage

if TYPE_CHECKING:
    from ws4py.limits import Limits

__all__ = ['HEARTBEAT', 'Heartbeat', 'Keepalive']

logger = logging.getLogger('ws4py')

HEARTBEAT = b'beep'  # the payload of an unsolicited pong
PING_SIZE = 8  # bytes in the payload of a ping, by chance: nobody answers it who has not received it
PINGS = 16  # so many of the latest pings are remembered


class Timer(Protocol):
    """What ``call_later`` gives."""

    def cancel(self) -> object:
        """Do not call it."""


class Connection(Protocol):
    """What is kept alive."""

    limits: Limits
    latency: Optional[float]

    @property
    def crowded(self) -> bool:
        """True while nothing is read because the application is behind: the peer cannot show that it is alive."""

    def send(self, payload: PongControlMessage) -> None:
        """Send a message."""

    def try_heartbeat(self) -> bool:
        """Send an unsolicited pong, if nobody must wait for that."""

    def try_ping(self, payload: bytes) -> bool:
        """Send a ping, if nobody must wait for that; tells whether it went out."""

    def try_close(self, code: int, reason: str) -> None:
        """Begin the closing handshake, or drop the connection where that would have to wait."""

    def abort(self, code: int, reason: str) -> None:
        """Drop the connection."""


class Keepalive:
    """The timers of one connection while it is open.

    :param websocket: the connection.
    :param call_later: ``call_later(seconds, callback)`` gives something with a ``cancel()``.
    :param heartbeat: seconds between unsolicited pongs, or None.
    :param clock: gives the time in seconds by which ``call_later`` counts; None for ``time.monotonic``.
    :ivar received: when the last bytes came from the peer.
    """

    def __init__(
        self,
        websocket: Connection,
        call_later: Callable[[float, Callable[[], None]], Timer],
        heartbeat: Optional[float] = None,
        clock: Optional[Callable[[], float]] = None,
    ) -> None:
        limits = websocket.limits
        self._time = time.monotonic if clock is None else clock
        self.received = self._time()
        self._took = 0.0  # when the peer last took something that had to wait for it
        self._websocket = websocket
        self._call_later = call_later
        self._heartbeat = heartbeat
        self._interval = limits.ping_interval
        self._timeout = limits.ping_timeout
        self._idle = limits.idle_timeout
        self._lock = threading.Lock()  # around the next, which the timers' thread and the reading one change
        self._pings: dict[bytes, float] = {}  # pings that were sent and not answered yet, and when; the latest ones
        self._pinged: Optional[float] = None  # when the oldest ping without an answer was due
        self._unsent = False  # … and whether something stood in its way
        self._timers: Optional[dict[str, Timer]] = {}  # None once stopped
        if self._heartbeat:
            self._later(self._heartbeat, self._beat)
        if self._interval:
            self._later(self._interval, self._ping)
        if self._idle:
            self._later(self._idle, self._check_idle)

    def touch(self) -> None:
        """Bytes came from the peer."""
        self.received = self._time()

    def took(self, unread: bool) -> None:
        """The peer took some of what waits for it. A ping may be far behind in the queue, so it need not be answered.

        :param unread: so much waits that nothing is read from the peer: that it sends nothing tells nothing.
        """
        self._took = self._time()
        if unread:
            self.touch()

    def pong(self, payload: bytes) -> None:
        """A pong came: where it answers a ping of ours, that tells how long the way there and back is.

        An answer may stand for earlier pings as well (RFC 6455 section 5.5.3). Any other pong tells nothing.
        """
        now = self._time()
        with self._lock:
            if payload not in self._pings:
                return
            self._websocket.latency = now - self._pings[payload]
            pings = list(self._pings)
            for answered in pings[: pings.index(payload) + 1]:
                del self._pings[answered]

    def stop(self) -> None:
        """Cancel every timer. Calling it again does no harm."""
        timers, self._timers = self._timers, None
        for timer in list((timers or {}).values()):
            timer.cancel()

    def _later(self, delay: float, callback: Callable[[], None]) -> None:
        timers = self._timers
        if timers is not None:
            timer = timers[callback.__name__] = self._call_later(delay, callback)
            if self._timers is None:  # stopped at this moment, by the thread that drives the connection
                timer.cancel()

    def _beat(self) -> None:
        assert self._heartbeat is not None
        self._later(self._heartbeat, self._beat)
        self._websocket.try_heartbeat()

    def _ping(self) -> None:
        assert self._interval is not None
        self._later(self._interval, self._ping)
        sent = self._send_ping()
        if self._pinged is None and self._timeout:
            self._pinged, self._unsent = self._time(), not sent
            self._later(self._timeout, self._check_ping)

    def _send_ping(self) -> bool:
        payload = os.urandom(PING_SIZE)
        with self._lock:  # before it is sent: where a thread reads, the pong may be there before try_ping() returns
            self._pings[payload] = self._time()
            if len(self._pings) > PINGS:
                del self._pings[next(iter(self._pings))]
        sent = self._websocket.try_ping(payload)
        if not sent:
            with self._lock:
                self._pings.pop(payload, None)
        return sent

    def _check_ping(self) -> None:
        assert self._timeout is not None and self._pinged is not None
        if max(self.received, self._took) >= self._pinged:
            self._pinged = None
        elif self._websocket.crowded:
            self._pinged = self._time()
            self._later(self._timeout, self._check_ping)
        elif self._unsent and self._send_ping():
            # Another sender held the connection when the ping was due. It does not any more: count from now.
            self._pinged, self._unsent = self._time(), False
            self._later(self._timeout, self._check_ping)
        else:
            self._websocket.abort(closecode.INTERNAL_ERROR, f'no answer to a ping within {self._timeout:g} s')

    def _check_idle(self) -> None:
        assert self._idle is not None
        if self._websocket.crowded:
            self.touch()
        remaining = self.received + self._idle - self._time()
        if remaining > 0:
            self._later(remaining, self._check_idle)
        else:
            self._websocket.try_close(closecode.GOING_AWAY, f'nothing received for {self._idle:g} s')


class Heartbeat(threading.Thread):
    """Sends an unsolicited pong at an interval, so that proxies see a busy connection (RFC 6455 section 5.5.3).

    A context manager around a blocking loop: the thread, a daemon, starts on entry and stops at once on exit.

    :param websocket: the connection.
    :param frequency: seconds between pongs; 0 or None sends none and starts no thread.
    """

    def __init__(self, websocket: Connection, frequency: Optional[float] = 2.0) -> None:
        super().__init__(name='ws4py heartbeat', daemon=True)
        self.websocket = websocket
        self.frequency = frequency
        self._stopped = threading.Event()

    def __enter__(self) -> Heartbeat:
        if self.frequency:
            self.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Send no more. Does not wait for a pong that is being written."""
        self._stopped.set()

    def run(self) -> None:
        """Send until stopped, or until the connection is gone."""
        while not self._stopped.wait(self.frequency):
            try:
                self.websocket.send(PongControlMessage(HEARTBEAT))
            except RuntimeError:  # closed by us or by the peer: its own loop ends it
                break
            except OSError:
                logger.info('the heartbeat failed, the connection is dropped', exc_info=True)
                self.websocket.abort(closecode.ABNORMAL_CLOSURE, 'the heartbeat failed')
                break
