"""Driving one connection on somebody's event loop.

The manager has a loop of its own for many connections. Where there is a loop already (asyncio, Tornado, gevent's hub)
each connection gets a :class:`LoopDriver`, which calls it when its socket has bytes or room, just as the manager does::

    start()      opened(), then bytes
    readable()   the socket has bytes, or has come to its end
    writable()   it has room again
    end()        closed(), and the end

All four are called in the loop's thread. A subclass says how to wait on its loop; what ``websocket.sock`` is (a socket
that does not block, or something with its face) is for the adapter to see to. No loop and no framework is imported
here.
"""

from __future__ import annotations

import abc
from typing import Any, Callable

from ws4py.sending import Driver
from ws4py.websocket import WebSocket

__all__ = ['LoopDriver']


class LoopDriver(Driver):
    """Drives one connection.

    :param websocket: the connection, which is driven from :meth:`start` on.
    :ivar over: True once it has ended.
    """

    def __init__(self, websocket: WebSocket) -> None:
        self.websocket = websocket
        self.over = False
        self._opened = False  # opened() was called, the socket may be read from
        self._lingers = False  # there is nothing more to process, but it may not be ended yet
        self._deaf = False  # … and nothing more comes
        self._dropped = False
        self._broken = False  # nothing can be sent any more

    @abc.abstractmethod
    def call_soon(self, callback: Callable[[], object]) -> None:
        """Call *callback* in the loop's thread, as soon as it comes round; from any thread."""

    @abc.abstractmethod
    def wait_for(self, read: bool, write: bool) -> None:
        """Watch the socket for bytes, for room, for both or for neither; called in the loop's thread."""

    # What the loop calls

    def start(self) -> None:
        """Drive the connection from now on; its ``opened()`` is called here."""
        self.websocket.attach(self, queued=True)
        self.open()

    def open(self) -> None:
        """Call ``opened()``, and then wait for bytes; the second half of :meth:`start`."""
        websocket = self.websocket
        going = websocket.call(websocket.opened)
        self._opened = True
        if going:
            self._look()
        else:
            self._finish()

    def readable(self) -> None:
        """The socket has bytes, or has come to its end."""
        if self.over or not self._opened or self._deaf:
            return
        websocket = self.websocket
        if self._lingers:
            if not websocket.discard():
                self._stop_lingering()
            return
        going = websocket.once()
        while going and self._goes_on():
            going = websocket.once()
        if not going:
            self._finish()

    def _goes_on(self) -> bool:
        """True when there is more to process now."""
        return self.holds_input

    @property
    def holds_input(self) -> bool:
        """True when there is more to process without waiting for the socket."""
        return self.websocket.holds_input

    def writable(self) -> None:
        """The socket has room again."""
        if self.over:
            return
        websocket = self.websocket
        if not websocket.flush():
            self._broken = True
            self.end()
        elif self._deaf:
            if not websocket.watched[0]:
                self.end()
        elif self._lingers and not websocket.lingers:
            self.end()

    def end(self) -> None:
        """Call ``closed()`` and close the socket; another call does nothing."""
        if not self.over:
            self.over = True
            self.websocket.terminate()

    def _finish(self) -> None:
        """There is nothing more to process: end it, once it may be ended."""
        if self.over:
            return
        self.websocket.no_more_input()
        if self.websocket.lingers and not self._broken:
            self._lingers = True
            self._look()
        else:
            self.end()

    def _stop_lingering(self) -> None:
        """Nothing more comes, but the peer may have ended its half only."""
        if self.websocket.watched[0]:
            self._deaf = True
            self._look()
        else:
            self.end()

    def _look(self) -> None:
        """Wait for what the connection waits for."""
        if self.over:
            return
        write, full = self.websocket.watched
        read = self._opened and not self._deaf and (self._lingers or not full)
        self.wait_for(read, write)
        if read and not self._lingers and self.holds_input:
            self.call_soon(self.readable)

    # What the connection asks for (ws4py.sending.Driver)

    def watch(self, websocket: Any) -> None:
        """The outbox has filled or emptied: watch the socket accordingly."""
        if self.in_loop():
            self._look()
        else:
            self.call_soon(self._look)

    def drop(self, websocket: Any) -> None:
        """End the connection as soon as the loop comes round."""
        self._dropped = True
        self.call_soon(self.end)

    def forget(self, websocket: Any) -> None:
        """The connection has ended, its socket is about to be closed."""
        self.over = True  # also when it was not we who ended it
        if self.in_loop():
            self.wait_for(read=False, write=False)
