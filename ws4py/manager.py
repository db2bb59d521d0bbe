"""The manager: any number of connections, driven by one thread and one poller.

The thread polls, without holding any lock, and calls ``once()`` of each connection that has bytes. Sockets do not
block: what a peer does not take waits in the connection's outbox, and the poller then also watches for room. While an
outbox is over its high-water mark that connection is not read, so that TCP slows its peer down. Timers (heartbeats,
ping, idle and close timeouts) are the loop's own.

``add``, ``remove``, ``broadcast``, ``close_all`` and ``stop`` may be called from any thread; they wake the loop and
never wait for a peer (but ``remove`` writes out what is queued). ``lock`` is the application's: it may hold it while
it walks the connections and sends, because the manager never waits for it. The table has a lock of its own, which is
held for moments only; a connection may take it while it holds its own lock, never the other way round.

A poller has ``register(fd)``, ``unregister(fd)``, ``poll()`` (an iterable of descriptors that can be read, after at
most ``timeout`` seconds) and ``release()``; any object with these four will do. Ours can also watch for room
(:class:`WatchingPoller`); under one that cannot, sockets stay blocking and so do writes.

The manager knows how to drive a connection (``once``, ``discard``, ``flush``, ``terminate``) and nothing of frames.
"""

from __future__ import annotations

import abc
import contextlib
import functools
import logging
import os
import select
import socket
import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any, Callable, Optional, Union

from ws4py import closecode, timers
from ws4py.broadcasting import broadcast
from ws4py.messaging import Message, Payload
from ws4py.sending import UNWATCHED, Driver
from ws4py.timers import Timer, Timers
from ws4py.websocket import WebSocket

__all__ = ['EPollPoller', 'KQueuePoller', 'SelectPoller', 'WatchingPoller', 'WebSocketManager']

logger = logging.getLogger('ws4py')

FEW = 1024  # descriptors below this number can be selected everywhere
WRITE = getattr(select, 'EPOLLOUT', 0)  # which epoll reports alone where there is only room to write


class WatchingPoller(abc.ABC):
    """A poller that can watch for reading and for room to write. Thread-safe.

    :param timeout: seconds that a poll lasts when nothing happens.
    """

    #: A change made while another thread polls counts at once; else from the next poll on.
    at_once = False

    def __init__(self, timeout: float = 0.1) -> None:
        self.timeout = timeout
        self._writable: list[int] = []

    def register(self, fd: int) -> None:
        """Watch *fd* for reading. Doing it again does no harm."""
        self.watch(fd, read=True, write=False)

    @abc.abstractmethod
    def watch(self, fd: int, read: bool, write: bool) -> None:
        """Watch *fd* for just these; for neither, it stays registered."""

    @abc.abstractmethod
    def unregister(self, fd: int) -> None:
        """Forget *fd*. Doing it again does no harm."""

    @abc.abstractmethod
    def poll(self) -> Iterable[int]:
        """The descriptors that can be read, or have failed, after waiting for at most ``timeout``."""

    def writable(self) -> list[int]:
        """The descriptors with room to write that the last poll found."""
        return self._writable

    @abc.abstractmethod
    def release(self) -> None:
        """Free what the operating system holds for it."""


class SelectPoller(WatchingPoller):
    """A poller on ``select``, for every platform; limited in the number of descriptors."""

    def __init__(self, timeout: float = 0.1) -> None:
        super().__init__(timeout)
        self._fds: list[int] = []
        self._write_fds: list[int] = []
        self._lock = threading.Lock()

    def watch(self, fd: int, read: bool, write: bool) -> None:
        """Watch *fd* for just these; for neither, it stays registered.

        :raises ValueError: the number is beyond what ``select`` can watch.
        """
        if isinstance(fd, int) and fd >= FEW and (read or write):
            select.select([fd], [], [], 0)  # refuses a number that is too high now, not in every poll
        with self._lock:
            for watched, wanted in ((self._fds, read), (self._write_fds, write)):
                if wanted and fd not in watched:
                    watched.append(fd)
                elif not wanted and fd in watched:
                    watched.remove(fd)

    def unregister(self, fd: int) -> None:
        """Forget *fd*. Doing it again does no harm."""
        self.watch(fd, read=False, write=False)

    def poll(self) -> list[int]:
        """The descriptors that can be read, or have failed, after waiting for at most ``timeout``."""
        with self._lock:
            fds, write_fds = list(self._fds), list(self._write_fds)
        if not fds and not write_fds:
            time.sleep(self.timeout)  # some systems refuse to select nothing
            self._writable = []
            return []
        try:
            readable, writable, _ = select.select(fds, write_fds, [], self.timeout)
        except (OSError, ValueError):  # one of them was closed behind our back: its owner finds out by reading
            readable, writable = [fd for fd in {*fds, *write_fds} if not _is_open(fd)], []
        self._writable = writable or []
        return readable

    def release(self) -> None:
        """Forget every descriptor."""
        with self._lock:
            self._fds.clear()
            self._write_fds.clear()


class EPollPoller(WatchingPoller):
    """A poller on ``epoll``, for Linux."""

    at_once = True

    def __init__(self, timeout: float = 0.1) -> None:
        super().__init__(timeout)
        self._epoll = select.epoll()

    def watch(self, fd: int, read: bool, write: bool) -> None:
        """Watch *fd* for just these; for neither, it stays registered."""
        events = (select.EPOLLIN if read else 0) | (WRITE if write else 0)
        try:
            self._epoll.register(fd, events)
        except FileExistsError:
            self._epoll.modify(fd, events)

    def unregister(self, fd: int) -> None:
        """Forget *fd*. Doing it again does no harm."""
        with contextlib.suppress(OSError, ValueError):  # closed already, which made epoll forget it by itself
            self._epoll.unregister(fd)

    def poll(self) -> list[int]:
        """The descriptors that can be read, or have failed, after waiting for at most ``timeout``."""
        readable, self._writable = [], []
        for fd, events in self._epoll.poll(self.timeout):
            if events != WRITE:  # a hang-up and an error are found out by reading
                readable.append(fd)
            if events & WRITE:
                self._writable.append(fd)
        return readable

    def release(self) -> None:
        """Close the epoll descriptor."""
        self._epoll.close()


class KQueuePoller(WatchingPoller):
    """A poller on ``kqueue``, for macOS and the BSDs."""

    MAX_EVENTS = 1024  # taken in one poll
    at_once = True

    def __init__(self, timeout: float = 0.1) -> None:
        super().__init__(timeout)
        api: Any = select
        self._kqueue = api.kqueue()

    def watch(self, fd: int, read: bool, write: bool) -> None:
        """Watch *fd* for just these; for neither, it stays registered."""
        api: Any = select  # which has these names only where there is kqueue
        for kind, wanted in ((api.KQ_FILTER_READ, read), (api.KQ_FILTER_WRITE, write)):
            action = api.KQ_EV_ADD if wanted else api.KQ_EV_DELETE
            try:
                self._kqueue.control([api.kevent(fd, kind, action)], 0, 0)
            except OSError:
                if wanted:  # else there was nothing to delete
                    raise

    def unregister(self, fd: int) -> None:
        """Forget *fd*. Doing it again does no harm."""
        self.watch(fd, read=False, write=False)

    def poll(self) -> list[int]:
        """The descriptors that can be read, or have failed, after waiting for at most ``timeout``."""
        api: Any = select
        readable: list[int] = []
        self._writable = []
        for event in self._kqueue.control(None, self.MAX_EVENTS, self.timeout):
            (self._writable if event.filter == api.KQ_FILTER_WRITE else readable).append(event.ident)
        return readable

    def release(self) -> None:
        """Close the kqueue descriptor."""
        self._kqueue.close()


def _is_open(fd: int) -> bool:
    try:
        select.select([fd], [], [], 0)
    except (OSError, ValueError):
        return False
    return True


def best_poller() -> WatchingPoller:
    """The best poller that this system has."""
    if hasattr(select, 'epoll'):
        return EPollPoller()
    if hasattr(select, 'kqueue'):
        return KQueuePoller()
    return SelectPoller()


class WebSocketManager(Driver, threading.Thread):
    """Drives connections until it is stopped. Thread-safe.

    The usual end is ``manager.close_all(); manager.stop(); manager.join()``.

    :param poller: what to poll with; the best that the system has when None.
    :ivar lock: re-entrant, for applications to hold while they walk the connections.
    :ivar running: True from ``start()`` to ``stop()``.
    """

    def __init__(self, poller: Any = None) -> None:
        threading.Thread.__init__(self, name='WebSocketManager')
        self.lock = threading.RLock()
        self.running = False
        self.poller = best_poller() if poller is None else poller
        self._table = threading.RLock()  # around every change of the table and of what the poller watches
        self._websockets: dict[int, Any] = {}
        self._fds: dict[Any, int] = {}  # the same table turned round
        self._opening: set[Any] = set()  # whose opened() has not returned: they are not read from yet, nor ended
        self._lingering: dict[Any, bool] = {}  # with nothing more to process, but not to be ended yet; False after EOF
        self._doomed: deque[Any] = deque()  # to be ended by the loop
        self._leaving: dict[Any, tuple[float, Timer]] = {}  # to be closed later, and when
        self._eager: deque[Any] = deque()  # which may hold bytes that no poller sees
        self._clock = Timers()
        self._hurry = threading.local()  # .on is True in a thread that broadcasts, also through a send() of its own
        self._judged: Any = None  # the poller of which this is known:
        self._watching = False  # what _can_watch() says
        self._stopping = False
        self._pid = os.getpid()
        self._wake_reader: Optional[socket.socket] = None
        self._wake_writer: Optional[socket.socket] = None

    # The table

    def __len__(self) -> int:
        return len(self._fds)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._all())

    def __contains__(self, websocket: object) -> bool:
        return websocket in self._fds

    def _all(self) -> list[Any]:
        return list(self._fds)  # one step, which no other thread can come into

    @property
    def websockets(self) -> dict[int, Any]:
        """The connections of this moment by descriptor: a copy, which does not change under who walks it."""
        return self._websockets.copy()

    def add(self, websocket: Any) -> None:
        """Drive *websocket* from now on: call its ``opened()`` in this thread, then read from it in the loop's.

        Adding one twice does nothing.

        :raises RuntimeError: the manager has been stopped, or belongs to another process.
        :raises ValueError: the socket is closed, or its descriptor is beyond what the poller can watch.
        """
        self._check_process()
        with self._table:
            if self._stopping:
                raise RuntimeError('the manager has been stopped, it takes no more connections')
            if websocket in self._fds:
                return
            fd = -1 if websocket.sock is None else websocket.sock.fileno()
            if fd == -1:
                raise ValueError(f'the socket of {websocket!r} is closed')
            self._evict(fd, websocket.sock)
            self._websockets[fd] = websocket
            self._fds[websocket] = fd
            self._opening.add(websocket)
        going = True
        try:
            if isinstance(websocket, WebSocket):
                websocket.attach(self, queued=self._can_watch())
                going = websocket.call(websocket.opened)
            else:
                websocket.opened()
        finally:
            self._opened(websocket, fd, going)

    def _evict(self, fd: int, new: Any) -> None:
        """There is a *new* socket with this number: the one that had it was closed behind our back."""
        stale = self._websockets.get(fd)
        if stale is not None:
            old = stale.sock
            if isinstance(old, socket.socket) and old is not new and old.fileno() == fd:
                old.detach()  # it was not closed by its own close(): it must not shut down the new one
            self.forget(stale)
            self._doomed.append(stale)

    def _opened(self, websocket: Any, fd: int, going: bool) -> None:
        """``opened()`` has returned, or *going* is False and it raised: let the loop go on from there."""
        plain = False
        try:
            with self._table:
                self._opening.discard(websocket)
                if websocket in self._fds:
                    if not going:  # nothing more is processed
                        self._lingering[websocket] = True
                    self.poller.register(fd)
                    # Nearly every one only waits for bytes that are still to come: the poller will say so.
                    plain = going and isinstance(websocket, WebSocket) and self._is_plain(websocket)
                    if not plain:
                        self.watch(websocket)
        except BaseException:
            self.drop(websocket)
            raise
        if not going:
            self.call_later(0, functools.partial(self._finish, websocket))
        if not plain:
            self._wake()

    def _is_plain(self, websocket: WebSocket) -> bool:
        """True when a poller that knows it only by ``register()`` finds out all there is, and at once."""
        seen = getattr(self.poller, 'at_once', False) is True
        return seen and websocket.watched == UNWATCHED and not websocket.holds_input

    def remove(self, websocket: Any) -> None:
        """Drive *websocket* no more. Its ``closed()`` is not called; a stranger is ignored.

        What is queued is written first, on a blocking socket.
        """
        self._check_process()
        if websocket in self._fds:
            self.forget(websocket)
            if isinstance(websocket, WebSocket):
                websocket.detach()

    def broadcast(self, message: Union[Payload, Message, Iterable[Payload]], binary: bool = False) -> None:
        """Send *message* to every connection, without waiting for any of them. What fails is logged.

        :param message: text, bytes, a Message, or an iterable of chunks, which are sent as fragments.
        :param binary: as for :meth:`ws4py.websocket.WebSocket.send`.
        """
        self._check_process()
        hurried, self._hurry.on = getattr(self._hurry, 'on', False), True
        try:
            broadcast(self._all(), message, binary)
        finally:
            self._hurry.on = hurried

    def close_all(
        self, code: int = closecode.GOING_AWAY, message: str = 'Server is shutting down', spread: float = 0.0
    ) -> None:
        """Begin the closing handshake on every connection; does not wait for any.

        :param spread: seconds over which the closes are spread evenly, the oldest connection first, so that clients
            do not come back all at once. :meth:`stop` and ``join()`` wait for them. Another call puts them off, or
            brings them forward.
        """
        self._check_process()
        websockets = self._all()
        for websocket, delay in zip(websockets, timers.spread(len(websockets), spread)):
            self._put_off(websocket)
            if delay and self.is_alive():  # else nobody would do it later
                leave = functools.partial(self._leave, websocket, code, message)
                self._leaving[websocket] = time.monotonic() + delay, self.call_later(delay, leave)
            else:
                self._close(websocket, code, message)
        self._wake()

    def _leave(self, websocket: Any, code: int, reason: str) -> None:
        """It is its turn to be closed."""
        self._put_off(websocket)
        self._close(websocket, code, reason)

    def _put_off(self, websocket: Any) -> None:
        """Do not close *websocket* later."""
        _, timer = self._leaving.pop(websocket, (0.0, None))
        if timer is not None:
            timer.cancel()

    def _close(self, websocket: Any, code: int, reason: str) -> None:
        try:
            websocket.close(code=code, reason=reason)
        except Exception:
            logger.info('%r could not be closed', websocket, exc_info=True)

    # What connections ask for (ws4py.sending.Driver)

    def call_later(self, delay: float, callback: Callable[[], object]) -> Timer:
        """Call *callback* in the loop's thread, *delay* seconds from now or a little later."""
        return self._clock.call_later(delay, callback)

    def watch(self, websocket: Any) -> None:
        """The outbox of *websocket* has filled or emptied: watch its socket accordingly."""
        with self._table:
            fd = self._fds.get(websocket)
            if fd is None or not isinstance(websocket, WebSocket) or self._pid != os.getpid():
                return
            write, full = websocket.watched
            if self._can_watch():
                read = self._lingering.get(websocket, not full) and websocket not in self._opening
                self.poller.watch(fd, read, write)
        if not full:
            self._eager.append(websocket)
        self._wake()

    def drop(self, websocket: Any) -> None:
        """End *websocket* as soon as the loop comes round."""
        self._doomed.append(websocket)
        self._wake()

    def forget(self, websocket: Any) -> None:
        """Take *websocket* out, before its descriptor is closed."""
        with self._table:
            if websocket in self._fds and self._pid == os.getpid():  # in a child the poller may be its parent's too
                fd = self._fds.pop(websocket)
                del self._websockets[fd]
                self._lingering.pop(websocket, None)
                self._put_off(websocket)
                self.poller.unregister(fd)

    def in_loop(self) -> bool:
        """True in the thread of the loop and in one that broadcasts, or when no loop is there to wait for."""
        return self.ident == threading.get_ident() or getattr(self._hurry, 'on', False) or not self.is_alive()

    def _can_watch(self) -> bool:
        """True when the poller can also tell where there is room to write."""
        poller = self.poller
        if poller is not self._judged:  # isinstance() is slow with abstract classes
            self._watching, self._judged = isinstance(poller, WatchingPoller), poller
        return self._watching

    # The loop

    def start(self) -> None:
        """Start the thread.

        :raises RuntimeError: it was started or stopped before, or belongs to another process.
        """
        self._check_process()
        with self._table:
            if self._stopping:
                raise RuntimeError('the manager has been stopped, make another one')
            self.running = True
            super().start()

    def stop(self) -> None:
        """Stop the thread, which first lets closing handshakes and queues finish, within their close timeouts.

        Connections that are still open are closed with 1001, at once or when :meth:`close_all` has said. Returns at
        once; ``join()`` waits. May be called from the loop itself.
        """
        self.running = False
        if self._pid != os.getpid():
            return
        with self._table:
            self._stopping = True
            self.running = False
            never_started = self.ident is None
        if never_started:  # nobody else will do it
            self._end_all()
            self.poller.release()
        self._wake()

    def run(self) -> None:
        """The loop: poll, read, write, run timers, until stopped and nothing is left to finish."""
        self._check_process()
        self._wake_reader, self._wake_writer = socket.socketpair()
        try:
            for end in (self._wake_reader, self._wake_writer):
                end.setblocking(False)
            with self._table:
                self._evict(self._wake_reader.fileno(), self._wake_reader)
                self.poller.register(self._wake_reader.fileno())
                self.running = not self._stopping
            while self.running:
                self._turn()
            self._close_down()
        finally:
            self.running = False
            with self._table:
                self._stopping = True
            self._end_all()
            self.poller.release()
            self._clock = Timers()  # lets go of who was to be dropped
            self._eager.clear()
            self._doomed.clear()
            reader, writer, self._wake_reader, self._wake_writer = self._wake_reader, self._wake_writer, None, None
            reader.close()
            writer.close()

    def _turn(self) -> None:
        """Poll once and do what there is to do."""
        try:
            poller = self.poller
            for fd in poller.poll():
                self._read(fd)
            if self._can_watch():
                for fd in poller.writable():
                    self._write(fd)
        except Exception:
            logger.exception('the poller failed')
            time.sleep(0.1)  # not to fill the log when it goes on failing
        for _ in range(len(self._eager)) if self._eager else ():
            websocket = self._eager.popleft()
            fd = self._fds.get(websocket)
            if fd is not None and websocket.holds_input:
                self._read(fd)
        self._clock.run_due()
        for _ in range(len(self._doomed)):
            self._end(self._doomed.popleft())

    def _read(self, fd: int) -> None:
        """The socket has bytes, or has come to its end."""
        websocket = self._websockets.get(fd)
        if websocket is None:
            self._read_wakeup(fd)
            return
        try:
            sock = websocket.sock
            if self._opening and websocket in self._opening:
                return
            if sock is None or sock.fileno() != fd:
                self._end(websocket)  # closed behind our back: never read from whoever has the number now
            elif self._lingering and websocket in self._lingering:
                self._linger(websocket)
            else:
                going = websocket.once()
                while going and getattr(websocket, 'holds_input', False) is True and websocket in self._fds:
                    going = websocket.once()
                if not going:
                    self._finish(websocket)
        except Exception:
            logger.exception('%r raised', websocket)
            self._end(websocket)

    def _write(self, fd: int) -> None:
        """The socket has room again."""
        websocket = self._websockets.get(fd)
        if isinstance(websocket, WebSocket):
            alive, lingers = websocket.flush(), self._lingering.get(websocket)
            if not alive or (lingers is not None and not (websocket.lingers if lingers else websocket.watched[0])):
                self._finish(websocket, at_once=True)

    def _linger(self, websocket: WebSocket) -> None:
        """Read to the peer's end, and end ours when it has all that waits for it."""
        if not websocket.discard():
            if websocket.watched[0]:  # it may have ended its half only
                self._lingering[websocket] = False
                self.watch(websocket)
            else:
                self._end(websocket)

    def _finish(self, websocket: Any, at_once: bool = False) -> None:
        """There is nothing more to process: end it, once it may be ended. One that was removed is not ours to end."""
        if websocket in self._fds:
            if not at_once and getattr(websocket, 'lingers', False) is True:
                self._lingering[websocket] = True
                self.watch(websocket)
            else:
                self._end(websocket)

    def _end(self, websocket: Any) -> None:
        fd = self._fds.get(websocket)
        if fd is not None and websocket in self._opening and self.running:
            # closed() does not come before opened() has returned in the thread that added it; try again then.
            self.poller.unregister(fd)
            self._doomed.append(websocket)
            if isinstance(websocket, WebSocket) and not websocket._dropped:
                websocket._drop()  # a sender in opened() may wait for room
            return
        try:
            try:
                self.forget(websocket)
            finally:
                websocket.terminate()
        except Exception:
            logger.exception('%r could not be ended', websocket)

    def _close_down(self) -> None:
        """Go on until closing handshakes and queues are done, for as long as each connection's close timeout."""
        for websocket in self._all():
            if isinstance(websocket, WebSocket):
                leaving = self._leaving.get(websocket)
                patience = 0.0 if leaving is None else max(0.0, leaving[0] - time.monotonic())
                self.call_later(patience + websocket.limits.close_timeout, functools.partial(self.drop, websocket))
                if leaving is None:
                    self._close(websocket, closecode.GOING_AWAY, 'Server is shutting down')
            else:
                self._end(websocket)
        while self._fds:
            self._turn()

    def _end_all(self) -> None:
        for websocket in self._all():
            self._end(websocket)

    # Waking up

    def _wake(self) -> None:
        """Cut the current poll short, so that a change from another thread counts at once."""
        writer = self._wake_writer
        if writer is not None and self.ident != threading.get_ident():
            with contextlib.suppress(OSError):  # full: it will wake up anyway; closed: the loop is over
                writer.send(b'\0')

    def _read_wakeup(self, fd: int) -> None:
        """Bytes of :meth:`_wake`; or a descriptor that nobody knows any more."""
        reader = self._wake_reader
        if reader is not None and fd == reader.fileno():
            with contextlib.suppress(OSError):
                reader.recv(4096)
            return
        with self._table:
            if fd not in self._websockets:  # by now another thread may have added one with that number
                self.poller.unregister(fd)

    def _check_process(self) -> None:
        """:raises RuntimeError: this is a child process; the descriptors and the thread are its parent's."""
        if self._pid != os.getpid():
            raise RuntimeError(f'this manager was made in process {self._pid}, make one of your own in {os.getpid()}')
