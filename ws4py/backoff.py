"""When to connect again, and whether that is worth it.

A client that has lost its server comes back after a while: after a longer one each time that is in vain, so that a
server in trouble is not hammered, and never at the same moment as all the others that have lost it too. A connection
that was open for long enough begins that anew; one that the server accepts and drops at once does not.

:class:`Backoff` has the numbers, :class:`Attempts` counts, and an :class:`Attempt` is what the application is told.
:mod:`ws4py.reconnecting` asks them, in whichever thread it runs; nothing here waits, or knows what time it is but from
the functions that it is given.
"""

from __future__ import annotations

import math
import random
import time
from dataclasses import dataclass
from email.utils import mktime_tz, parsedate_tz
from typing import Callable, Optional, Union

from ws4py import closecode
from ws4py.exc import BrokenOffError, HandshakeError
from ws4py.http11 import show

__all__ = ['Attempt', 'Attempts', 'Backoff', 'is_worthwhile']

#: Close codes after which the same client may be welcome again.
PASSING_CODES = frozenset(
    (
        closecode.GOING_AWAY,
        closecode.NO_STATUS_RECEIVED,  # why, nobody has said
        closecode.ABNORMAL_CLOSURE,
        closecode.INTERNAL_ERROR,
        closecode.SERVICE_RESTART,
        closecode.TRY_AGAIN_LATER,
        closecode.BAD_GATEWAY,
    )
)
#: The same of HTTP statuses, with every 5xx: a time-out, "too early" (RFC 8470), and too many requests (RFC 6585).
PASSING_STATUSES = frozenset((408, 425, 429))


@dataclass(frozen=True)
class Backoff:
    """How long to wait before connecting again. Immutable, and may be shared by clients and threads.

    The n-th time in a row that is ``initial * factor ** (n - 1)`` seconds but never more than ``maximum``, of which the
    part ``jitter`` is left to chance: with 0.5 between half of that and all of it, with 1 anything up to it.

    :ivar initial: seconds before the first time.
    :ivar factor: by how much it is longer each time.
    :ivar maximum: seconds it is at most.
    :ivar jitter: from 0 to 1; see above.
    :ivar attempts: so many attempts in a row to connect again; None for as many as it takes.
    :ivar stable: seconds that a connection has to be open, for the next time to be the first one again.
    :ivar retry_after: seconds that a server may ask for, by ``Retry-After``, in addition; more is cut to that.
    :ivar random: gives a number from 0 to less than 1.
    :raises ValueError: a number that makes no sense.
    """

    initial: float = 1.0
    factor: float = 2.0
    maximum: float = 60.0
    jitter: float = 0.5
    attempts: Optional[int] = None
    stable: float = 10.0
    retry_after: float = 300.0
    random: Callable[[], float] = random.random

    def __post_init__(self) -> None:
        for name, fits, expected in (
            ('initial', 0 < self.initial < math.inf, 'more than 0 seconds'),
            ('factor', 1 <= self.factor < math.inf, 'at least 1'),
            ('maximum', self.initial <= self.maximum < math.inf, f'at least initial, {self.initial}'),
            ('jitter', 0 <= self.jitter <= 1, '0 to 1'),
            ('attempts', self.attempts is None or self.attempts >= 0, 'a number, or None'),
            ('stable', self.stable >= 0, 'a number of seconds'),
            ('retry_after', 0 <= self.retry_after < math.inf, 'a number of seconds'),
        ):
            if not fits:
                raise ValueError(f'{name} is {getattr(self, name)!r} (expected {expected})')

    def delay(self, number: int, asked: float = 0.0) -> float:
        """Seconds to wait before the *number*-th attempt in a row, counted from 1.

        :param asked: seconds that the server has asked for. They come on top: who was told the same does not come back
            at the same moment.
        """
        try:
            longest = min(self.initial * self.factor ** (number - 1), self.maximum)
        except OverflowError:
            longest = self.maximum
        return min(asked, self.retry_after) + longest * (1 - self.jitter * self.random())


@dataclass(frozen=True)
class Attempt:
    """What the application is told before each attempt to connect. Immutable.

    :ivar number: 0 is the first of all; then the how-manieth in a row it is to connect again.
    :ivar delay: seconds until it is made.
    :ivar error: what ``connect()`` has raised the last time; None where there was a connection.
    :ivar code: with what code that connection was closed, as ``closed()`` was told; None where there was none.
    :ivar reason: the reason in the same place, as text.
    :ivar worthwhile: whether it is made, if the application does not say otherwise.
    """

    number: int
    delay: float
    error: Optional[Exception] = None
    code: Optional[int] = None
    reason: str = ''
    worthwhile: bool = True

    @property
    def cause(self) -> str:
        """Why there is no connection, for people and logs: what a peer has said is in it with escapes."""
        if self.error is not None:
            return str(self.error) or type(self.error).__name__
        if self.code is not None:
            return f'closed with code {self.code}' + (f' ({show(self.reason)})' if self.reason else '')
        return 'not connected yet'


class Attempts:
    """What has become of the attempts of one client. For one thread at a time.

    :param clock: seconds that only ever grow, for how long a connection was open.
    :param now: seconds since 1970, for a ``Retry-After`` that is a date.
    """

    def __init__(
        self, backoff: Backoff, clock: Callable[[], float] = time.monotonic, now: Callable[[], float] = time.time
    ) -> None:
        self._backoff = backoff
        self._clock = clock
        self._now = now
        self._failures = 0  # in a row
        self._opened = 0.0

    def first(self) -> Attempt:
        """The first one, which is made at once."""
        return Attempt(0, 0.0)

    def opened(self) -> None:
        """There is a connection now."""
        self._opened = self._clock()

    def failed(self, error: Exception) -> Attempt:
        """The next one after ``connect()`` has raised *error*."""
        asked = 0.0
        if isinstance(error, HandshakeError) and error.retry_after is not None:
            asked = parse_retry_after(error.retry_after, self._now()) or 0.0
        number, delay, left = self._next(asked)
        return Attempt(number, delay, error, worthwhile=left and is_worthwhile(error))

    def ended(self, code: Optional[int], reason: Union[str, bytes, None]) -> Attempt:
        """The next one after a connection has ended, with what ``closed()`` was told."""
        if self._clock() - self._opened >= self._backoff.stable:
            self._failures = 0
        code = closecode.ABNORMAL_CLOSURE if code is None else code
        text = reason.decode('utf-8', 'replace') if isinstance(reason, bytes) else reason or ''
        number, delay, left = self._next()
        return Attempt(number, delay, None, code, text, left and is_worthwhile(code))

    def _next(self, asked: float = 0.0) -> tuple[int, float, bool]:
        """Count another one: its number, its delay, and whether it is one of those that may be made."""
        self._failures += 1
        most = self._backoff.attempts
        return (
            self._failures,
            self._backoff.delay(self._failures, asked),
            most is None or self._failures <= most,
        )


def is_worthwhile(end: Union[Exception, int]) -> bool:
    """Whether another attempt may go better than the last one.

    :param end: what ``connect()`` has raised, or the code with which the connection was closed. The server, or the way
        to it, may be in trouble for a while: then it is worth it. It is not when it was refused (4xx, and anything else
        that is neither 101 nor 5xx), or answered by somebody who does not speak WebSocket or grants what was not
        offered; when the certificate is wrong, or one of our own files for TLS; or when somebody has broken the
        protocol, a policy or a limit (1002, 1003, 1007 to 1010); nor after 1000, or a code whose meaning is the
        application's own.
    """
    if isinstance(end, int):
        return end in PASSING_CODES
    if isinstance(end, HandshakeError):
        status = end.response_status
        if status is None:
            return isinstance(end, BrokenOffError)
        return 500 <= status <= 599 or status in PASSING_STATUSES
    # What is raised for a certificate or for a file of TLS is a ValueError besides; this module names nothing of ssl.
    return isinstance(end, OSError) and not isinstance(end, ValueError)


def parse_retry_after(value: str, now: float) -> Optional[float]:
    """Seconds that a ``Retry-After`` asks for (RFC 9110 section 10.2.3); None where it is none.

    :param value: a number of seconds, or a date in any of the three formats of HTTP.
    :param now: seconds since 1970.
    """
    if value.isascii() and value.isdigit():
        return float(value)  # of very many digits inf, which is cut to what is allowed
    try:
        date = parsedate_tz(value)
        return None if date is None else max(0.0, mktime_tz(date) - now)
    except (ValueError, TypeError, IndexError, OverflowError):  # the fields of a date that are out of its range
        return None
