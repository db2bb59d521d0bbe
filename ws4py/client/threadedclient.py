"""A client with a thread of its own.

:meth:`WebSocketClient.connect` returns when the opening handshake is done and leaves a thread behind that receives:
``opened``, ``received_message`` and ``closed`` are called there, while any thread may send. The thread is a daemon, so
a program that has nothing else to do waits in :meth:`WebSocketClient.run_forever`.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from typing import Optional

from ws4py.client import WebSocketBaseClient
from ws4py.reconnecting import Blocking

__all__ = ['Reconnecting', 'WebSocketClient']

GLANCE = 0.2  # seconds; where a signal does not interrupt the wait for a thread (Windows), it is seen this late


class WebSocketClient(WebSocketBaseClient):
    """A WebSocket client that runs by itself once it is connected; see the base class for the arguments.

    ::

        client = EchoClient('ws://localhost:9000/echo')
        client.connect()
        client.run_forever()
    """

    _awaited: Optional[threading.Event] = None  # that of the thread which was started last

    def _prepare(self) -> None:
        self._over = threading.Event()  # that of the thread below
        self._th = threading.Thread(target=self._drive, args=(self._over,), name='WebSocketClient', daemon=True)

    @property
    def daemon(self) -> bool:
        """Whether the interpreter may exit while the thread still runs (True); to be set before :meth:`connect`."""
        return self._th.daemon

    @daemon.setter
    def daemon(self, flag: bool) -> None:
        self._th.daemon = flag

    def handshake_ok(self) -> None:
        """Start the thread."""
        self._awaited = self._over
        self._th.start()

    def run_forever(self) -> None:
        """Wait until the connection has ended and ``closed()`` has returned.

        For any thread but the client's own. On Ctrl-C the closing handshake comes first: the connection is closed
        with 1000, its end is awaited (for the close timeout at most), and then ``KeyboardInterrupt`` goes to the
        caller. A second Ctrl-C does not wait.
        """
        try:
            self._wait()
        except KeyboardInterrupt:
            with contextlib.suppress(OSError, RuntimeError):  # it may have ended by itself at this moment
                self.close()
            self._wait()
            raise

    def _abandon(self) -> None:
        """Let go of the last connection, and of its thread: two of them would read from the next one."""
        self._ended = True
        self._shut_down(socket.SHUT_RDWR)
        if self._awaited is self._over and self._th is not threading.current_thread():
            self._over.wait(self.limits.close_timeout)  # a hook may be waiting for us
        super()._abandon()

    def _drive(self, over: threading.Event) -> None:
        try:
            self.run()
        finally:
            over.set()

    def _wait(self) -> None:
        # For an event, because join() takes a thread for ended once Ctrl-C has interrupted it (CPython up to 3.12).
        # closed() may have called __init__ and connect() again: then there is another one to wait for.
        over = None
        while over is not self._awaited:
            over = self._awaited
            while over is not None and not over.wait(GLANCE):
                pass


class Reconnecting(Blocking):
    """Clients of this module, one after the other: each is connected again when its connection is lost.

    ::

        Reconnecting(lambda: EchoClient('ws://localhost:9000/echo')).run_forever()

    See :class:`ws4py.reconnecting.Reconnecting` for the arguments. :meth:`~ws4py.reconnecting.Blocking.run_forever`
    waits in the thread that calls it, where the factory and *attempt* are called too; the hooks of a client are called
    in its own thread, as always. :meth:`~ws4py.reconnecting.Blocking.stop` may be called from any thread. What it
    cannot cut short is a name that is being resolved.
    """

    _event = threading.Event

    def _sleep(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        left = seconds
        while left > 0 and not self._bell.wait(min(left, GLANCE)):
            left = end - time.monotonic()
