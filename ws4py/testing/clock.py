"""A clock that tests turn.

It has what a driver's loop has, ``call_later`` and the time, but time passes only in :meth:`Clock.advance`: a ping that
is due every half minute is due at once, and an idle timeout of an hour costs a test nothing.

Everything happens in the thread that turns the clock; what a timer raises is logged, as everywhere (ws4py.timers).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Callable, Optional

from ws4py.timers import Timer, Timers

__all__ = ['Clock']


class Clock:
    """A clock that stands still until it is turned. For one thread.

    :param now: seconds that it shows at first.
    """

    def __init__(self, now: float = 0.0) -> None:
        self._now = now
        self._timers = Timers(self.time)

    def time(self) -> float:
        """What it shows, in seconds."""
        return self._now

    def call_later(self, delay: float, callback: Callable[[], object]) -> Timer:
        """Call *callback* when the clock has been turned *delay* seconds on; the answer has ``cancel()``."""
        return self._timers.call_later(delay, callback)

    def run_due(self) -> Optional[float]:
        """Call what is due already; the answer is the seconds until the next timer, None when there is none."""
        return self._timers.run_due()

    def advance(self, seconds: float) -> None:
        """Let *seconds* pass: each timer is called in its turn, and finds the clock at its own time.

        :raises ValueError: the clock would be turned back.
        """
        for _ in self.steps(seconds):
            pass

    def steps(self, seconds: float) -> Iterator[float]:
        """The same for who has something to do in between: the time of each moment in which timers were called.

        :raises ValueError: the clock would be turned back.
        """
        if seconds < 0:
            raise ValueError(f'time does not go back (by {seconds!r} s)')
        end = self._now + seconds
        while True:
            self.run_due()
            yield self._now
            wait = self.run_due()  # whoever was asked in between may have set one
            if self._now >= end:
                return
            self._now = end if wait is None else min(end, self._now + wait)
