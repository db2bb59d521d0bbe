"""Driving a connection step by step.

:class:`SteppedDriver` drives one connection as the manager or an event loop would, through the same
:class:`~ws4py.driving.LoopDriver`, but it is the test that says when: nothing happens in a thread, nothing waits, and
the time is that of a :class:`~ws4py.testing.Clock`. What the socket does not take waits in an outbox, as it does
there.
"""

from __future__ import annotations

from typing import Any, Callable, Optional

from ws4py.driving import LoopDriver
from ws4py.testing.clock import Clock
from ws4py.websocket import WebSocket

__all__ = ['SteppedDriver']


class SteppedDriver(LoopDriver):
    """Drives one connection, one step at a time. For one thread; a hook that is an ``async def`` is refused.

    :param websocket: the connection. Its ``sock`` has the methods of a socket that does not block, and
        ``holds_input`` and ``has_room``, which are True while ``recv`` and ``send`` are not in vain: a
        :class:`~ws4py.testing.ScriptedSocket`, or what a :class:`~ws4py.testing.Pair` has.
    :param clock: by which its timers run; None for one of its own.
    """

    def __init__(self, websocket: WebSocket, clock: Optional[Clock] = None) -> None:
        super().__init__(websocket)
        #: The clock; ``driver.clock.advance(30)`` lets half a minute pass.
        self.clock = Clock() if clock is None else clock
        self._sock: Any = websocket.sock
        self._wanted = (False, False)  # bytes, and room

    @property
    def reads(self) -> bool:
        """True while bytes are wanted: not when so much waits to be sent that nothing more is read, nor at the end."""
        return self._wanted[0]

    def step(self) -> bool:
        """Let the connection read once, if it wants to and there is something, or write once, if something waits.

        :returns: False when there was nothing to do.
        """
        self.clock.run_due()
        read, write = self._wanted
        if read and self._sock.holds_input:
            self.readable()
            return True
        if write and self._sock.has_room:
            self.writable()
            return True
        return False

    def run(self, steps: int = 100_000) -> None:
        """Step until there is nothing to do.

        :raises RuntimeError: there still is after so many *steps*.
        """
        for _ in range(steps):
            if not self.step():
                return
        raise RuntimeError(f'the connection has not come to rest in {steps} steps')

    # What a loop has

    def call_soon(self, callback: Callable[[], object]) -> None:
        """Call *callback* in the next step."""
        self.clock.call_later(0, callback)

    def call_later(self, delay: float, callback: Callable[[], object]) -> Any:
        """Call *callback* when the clock has been turned *delay* seconds on; the answer has ``cancel()``."""
        return self.clock.call_later(delay, callback)

    def time(self) -> float:
        """What the clock shows, in seconds."""
        return self.clock.time()

    def wait_for(self, read: bool, write: bool) -> None:
        """Note what the connection waits for."""
        self._wanted = (read, write)

    def in_loop(self) -> bool:
        """True: there is nobody else, and nobody waits."""
        return True
