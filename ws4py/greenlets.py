"""A connection that is driven by a greenlet of gevent.

One greenlet runs the hooks of one connection, which may wait as greenlets do, and sleeps until its socket has bytes::

    run():  opened() ─► sleep until there are bytes ─► WebSocket.once() ─► hooks ─► sleep … ─► closed()

The socket, which is one of gevent's, never blocks. What it does not take waits in the connection's outbox, and leaves
when the hub sees room, in a short greenlet of its own: a hook that is busy does not hold it back. The greenlet that has
sent something sleeps until it has left, so a send is on the wire when it returns. There is no thread for a connection.

Nothing needs to be monkey-patched, and everything may be. A connection's locks are real ones in either case. They know
threads but not greenlets: no greenlet switches to another while it holds one. What is not said to be for any thread is
for the thread of the hub. The opening handshake is not done here; servers and clients do it and then make a
:class:`GreenletDriver`.
"""

from __future__ import annotations

import contextlib
import ssl
import threading
from _thread import RLock
from collections.abc import Iterator
from typing import Any, Callable, Optional

import gevent
import gevent.ssl
from gevent.event import Event
from gevent.monkey import get_original

from ws4py.driving import LoopDriver
from ws4py.sending import NotOpenError
from ws4py.websocket import WebSocket

__all__ = ['GreenletDriver', 'hurry', 'wrap_tls']

READ, WRITE = 1, 2  # what gevent's io watchers watch for
# Of threads, also when monkey patching makes them of greenlets for everybody else.
get_ident: Callable[[], int] = get_original('_thread', 'get_ident')
allocate_lock: Callable[[], Any] = get_original('_thread', 'allocate_lock')

_hurried: set[Any] = set()  # greenlets that wait for no peer


@contextlib.contextmanager
def hurry() -> Iterator[None]:
    """In the ``with`` block this greenlet, or thread, waits for no peer, whatever it sends; from any thread."""
    current = gevent.getcurrent()
    if current in _hurried:
        yield
        return
    _hurried.add(current)
    try:
        yield
    finally:
        _hurried.discard(current)


def wrap_tls(context: ssl.SSLContext, sock: Any, **options: Any) -> Any:
    """Put TLS on a gevent socket, which is used up; *options* are those of ``ssl.SSLContext.wrap_socket``.

    A context of the standard library would make a socket that blocks the hub. Only its ``sni_callback`` is of no use
    here: one that needs it is made with ``gevent.ssl.SSLContext``.

    :raises OSError: the handshake failed, if there was one to be done; the socket is closed.
    """
    if isinstance(context, gevent.ssl.SSLContext):
        return context.wrap_socket(sock, **options)
    return gevent.ssl.SSLSocket(sock=sock, _context=context, **options)


class GreenletDriver(LoopDriver):
    """Drives one connection in the greenlet that calls :meth:`run`.

    From the moment it is made anybody may send. It belongs to the hub of the thread in which that is.

    :param websocket: the connection; its socket is one of gevent's.
    """

    def __init__(self, websocket: WebSocket) -> None:
        super().__init__(websocket)
        self.hub: Any = gevent.get_hub()
        self.loop = self.hub.loop
        self._thread = get_ident()
        self._greenlet: Any = None  # the one that runs the hooks
        self._wake = Event()  # there is something for it to do
        self._sleeping = False  # it waits for that
        self._reads = False  # bytes are something to do
        self._ending = False  # another greenlet has seen that the connection is over
        self._senders: list[Event] = []
        # Patched ones know greenlets, but are at a loss with other threads. Nobody has used them yet.
        websocket._lock, websocket._tls_lock = RLock(), allocate_lock()
        websocket._faults = (Exception, gevent.Timeout)  # which is no Exception
        descriptor = websocket.sock.fileno()
        self._read_watcher = self.loop.io(descriptor, READ)
        self._write_watcher = self.loop.io(descriptor, WRITE)
        websocket.attach(self, queued=True)

    def run(self) -> None:
        """Call the hooks until the connection has ended; when this greenlet is killed it ends as well."""
        self._greenlet = gevent.getcurrent()
        try:
            self.open()
            while not self._ends():
                self._sleep()
                self.readable()
        finally:
            super().end()

    def _ends(self) -> bool:
        return self.over or self._ending

    def _sleep(self) -> None:
        self._sleeping = True
        try:
            self.wait_for(self._reads, self._write_watcher.active)
            self._wake.wait()
        finally:
            self._sleeping = False
            self._wake.clear()
            if not self.over:
                self._read_watcher.stop()

    # What the loop calls. Hooks are called by readable() and end(), and so only where they are to be called.

    def readable(self) -> None:
        """The socket has bytes, or has come to its end."""
        if gevent.getcurrent() is not self._greenlet:
            self._wake.set()
        elif self._reads:
            super().readable()

    @property
    def holds_input(self) -> bool:
        """True when there is more to process without waiting for the socket."""
        # When it is over, the connection may have been made anew by __init__, and have another driver.
        return not self.over and super().holds_input

    def writable(self) -> None:
        """The socket has room again; to be called in a greenlet, which may have to wait for a lock."""
        super().writable()
        self._look()

    def end(self) -> None:
        """Let the connection's greenlet end it, after the hook that may be running."""
        if gevent.getcurrent() is self._greenlet:
            super().end()
        elif not (self._ending or self.over):  # over: the websocket may be another connection by now
            self._ending = True
            self.websocket._drop()  # a hook that sends something is told that it cannot
            self._wake.set()
        self._wake_senders()

    def wait_for(self, read: bool, write: bool) -> None:
        """Watch the socket. That it has bytes is of no interest while the greenlet is in a hook."""
        self._reads = read
        _switch(self._read_watcher, read and self._sleeping, self._wake.set)
        _switch(self._write_watcher, write, self._flush_soon)

    def _flush_soon(self) -> None:
        self._write_watcher.stop()
        gevent.spawn_raw(self.writable)

    def _look(self) -> None:
        super()._look()
        if not self.websocket.watched[0]:
            self._wake_senders()

    def _wake_senders(self) -> None:
        senders, self._senders = self._senders, []
        for event in senders:
            event.set()

    # What the connection asks for, in any thread

    def in_thread(self) -> bool:
        """True in the hub's thread."""
        return get_ident() == self._thread

    def in_loop(self) -> bool:
        """True where nobody may wait for a peer: in the hub, and in a greenlet that is in a :func:`hurry`."""
        current = gevent.getcurrent()
        return current is self.hub or current in _hurried

    def caller(self) -> object:
        """The greenlet that is calling."""
        return gevent.getcurrent()

    def call(self, callback: Callable[..., object], *args: object) -> None:
        """Call *callback*, which must not wait, in the hub's thread."""
        if self.in_thread():
            callback(*args)
        else:
            # The hub was destroyed, and its thread is about to end. How that shows depends on gevent's kind of loop.
            with contextlib.suppress(ValueError, AttributeError):
                self.loop.run_callback_threadsafe(callback, *args)

    def call_soon(self, callback: Callable[[], object]) -> None:
        """Call *callback* in a greenlet of its own."""
        self.call(gevent.spawn_raw, callback)

    def call_later(self, delay: float, callback: Callable[[], object]) -> _Timer:
        """Call *callback* in a greenlet of its own, *delay* seconds from now."""
        return _Timer(self, delay, callback)

    def condition(self, lock: Any) -> threading.Condition:
        """A condition on which greenlets of this hub wait as greenlets, and other threads as threads."""
        return _Condition(self, lock)

    def watch(self, websocket: Any) -> None:
        """The outbox has filled or emptied: watch the socket accordingly."""
        if self.in_thread():
            self._look()
        else:
            self.call_soon(self._look)

    def settle(self, websocket: Any) -> None:
        """Let the greenlet that has sent something sleep until it has left. Other threads go on.

        :raises NotOpenError: the connection has ended before.
        """
        if self.in_loop() or not self.in_thread() or self._ends():
            return
        event = Event()
        self._senders.append(event)
        event.wait()
        if self._ends() and websocket.watched[0]:
            raise NotOpenError('the connection has ended before everything was sent')

    def forget(self, websocket: Any) -> None:
        """The connection has ended, or is abandoned for another one of the same object."""
        self.over = True
        self.call(self._forget)

    def _forget(self) -> None:
        for watcher in (self._read_watcher, self._write_watcher):
            watcher.stop()
            watcher.close()
        self._wake.set()
        self._wake_senders()


def _switch(watcher: Any, on: bool, callback: Callable[[], object]) -> None:
    if on and not watcher.active:
        watcher.start(callback)
    elif watcher.active and not on:
        watcher.stop()


class _Timer:
    """A timer that may be set and cancelled in any thread; those of the loop may not."""

    def __init__(self, driver: GreenletDriver, delay: float, callback: Callable[[], object]) -> None:
        self._driver = driver
        self._callback: Optional[Callable[[], object]] = callback
        self._timer: Any = None
        driver.call(self._start, delay)

    def _start(self, delay: float) -> None:
        if self._callback is not None:
            self._timer = self._driver.loop.timer(delay)
            self._timer.start(self._fire)

    def _fire(self) -> None:
        self._close()
        gevent.spawn_raw(self._run)

    def _run(self) -> None:
        callback, self._callback = self._callback, None
        if callback is not None:
            callback()

    def cancel(self) -> None:
        """Never call it."""
        self._callback = None
        self._driver.call(self._close)

    def _close(self) -> None:
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.stop()
            timer.close()


class _Condition(threading.Condition):
    """A condition for greenlets of one hub and for other threads; those two wait in different ways."""

    def __init__(self, driver: GreenletDriver, lock: Any) -> None:
        super().__init__(lock)
        self._driver = driver
        self._real_lock = lock
        self._sleepers: list[Callable[[], object]] = []  # to be called to wake them

    def wait(self, timeout: Optional[float] = None) -> bool:
        """Release the lock until notified, or for *timeout* seconds; False when that was in vain."""
        driver = self._driver
        if driver.in_thread():
            event = Event()

            def wake() -> None:
                driver.call(event.set)

            def sleep() -> bool:
                return bool(event.wait(timeout))
        else:
            gate = allocate_lock()
            gate.acquire()
            wake = gate.release

            def sleep() -> bool:
                return bool(gate.acquire(True, -1 if timeout is None else timeout))

        self._sleepers.append(wake)
        state = self._real_lock._release_save()
        try:
            return sleep()
        finally:
            self._real_lock._acquire_restore(state)
            if wake in self._sleepers:
                self._sleepers.remove(wake)

    def notify_all(self) -> None:
        """Wake everybody."""
        sleepers, self._sleepers = self._sleepers, []
        for wake in sleepers:
            wake()
