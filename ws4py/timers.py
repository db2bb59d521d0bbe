"""Timers: call something later, without a thread for each.

:class:`Timers` is a heap that somebody's loop runs (the manager does, between two polls). :class:`TimerThread` is one
that runs itself, in a single daemon thread that starts with its first timer: :data:`shared` serves every connection
that is driven by a blocking ``run()``. Their ``call_later`` has the signature of asyncio's.

Callbacks must not block. What they raise is logged. Everything here may be called from any thread.
"""

from __future__ import annotations

import heapq
import itertools
import logging
import os
import threading
import time
from typing import Callable, Optional

__all__ = ['Timer', 'TimerThread', 'Timers', 'shared', 'spread']

logger = logging.getLogger('ws4py')

CROWD = 1000


def spread(count: int, seconds: float) -> list[float]:
    """When each of *count* things has to begin, so that they are spread evenly over so many seconds from now on.

    Thousands of clients that are sent away all at once come back all at once.
    """
    return [seconds * number / count for number in range(count)]


class Timer:
    """A callback that waits for its time."""

    __slots__ = ('callback',)

    def __init__(self, callback: Callable[[], object]) -> None:
        self.callback: Optional[Callable[[], object]] = callback

    def cancel(self) -> None:
        """Never call it, and let go of it at once. Cancelling again does no harm."""
        self.callback = None


class Timers:
    """A heap of timers for a loop that calls :meth:`run_due` now and then.

    :param clock: gives the time in seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._heap: list[tuple[float, int, Timer]] = []
        self._order = itertools.count()  # timers due at the same moment run in the order in which they were set
        self._lock = threading.Lock()
        self._crowded = CROWD  # entries at which the cancelled ones are thrown out

    def call_later(self, delay: float, callback: Callable[[], object]) -> Timer:
        """Call *callback* in the loop's thread, *delay* seconds from now or a little later."""
        timer = Timer(callback)
        with self._lock:
            if len(self._heap) >= self._crowded:
                # Short connections leave many cancelled timers behind, which are not due for long.
                self._heap = [entry for entry in self._heap if entry[2].callback is not None]
                heapq.heapify(self._heap)
                self._crowded = max(CROWD, 2 * len(self._heap))
            heapq.heappush(self._heap, (self._clock() + delay, next(self._order), timer))
        return timer

    def run_due(self) -> Optional[float]:
        """Call what is due; the answer is the seconds until the next timer, None when there is none."""
        if not self._heap:  # one that another thread sets at this moment is due later anyway
            return None
        while True:
            with self._lock:
                if not self._heap:
                    return None
                when, _, timer = self._heap[0]
                wait = when - self._clock()
                if wait > 0 and timer.callback is not None:
                    return wait
                heapq.heappop(self._heap)
            callback = timer.callback
            if callback is not None:
                try:
                    callback()
                except Exception:
                    logger.exception('a timer raised')


class TimerThread(Timers):
    """Timers that run in a daemon thread of their own, which starts with the first of them."""

    def __init__(self) -> None:
        super().__init__()
        self._changed = threading.Condition(threading.Lock())
        self._thread: Optional[threading.Thread] = None

    def call_later(self, delay: float, callback: Callable[[], object]) -> Timer:
        """Call *callback* in the timer thread, *delay* seconds from now or a little later."""
        with self._changed:
            timer = super().call_later(delay, callback)
            if self._thread is None:
                thread = threading.Thread(target=self._run, name='ws4py timers', daemon=True)
                thread.start()
                self._thread = thread  # only now: where it cannot start, the next timer tries again
            self._changed.notify()
        return timer

    def _run(self) -> None:
        while True:
            self.run_due()
            with self._changed:
                wait = self._next()  # asked again under the lock: a timer set in between is not slept through
                if wait is None or wait > 0:
                    self._changed.wait(None if wait is None else min(wait, threading.TIMEOUT_MAX))

    def _next(self) -> Optional[float]:
        """Seconds until the next timer that is not cancelled."""
        with self._lock:
            while self._heap and self._heap[0][2].callback is None:
                heapq.heappop(self._heap)
            return self._heap[0][0] - self._clock() if self._heap else None


#: For connections on blocking sockets.
shared = TimerThread()


def _after_fork() -> None:
    """In a child the thread is gone, and a lock may have been held by it: begin anew."""
    shared.__init__()  # type: ignore[misc]


if hasattr(os, 'register_at_fork'):
    os.register_at_fork(after_in_child=_after_fork)
