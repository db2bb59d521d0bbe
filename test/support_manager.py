"""What the tests of the manager share: managers with connections and their peers, and kqueue where there is none.

A peer is the raw other end of a connection (:class:`helpers.Peer`); a :class:`Reader` is one that a thread reads.
"""

from __future__ import annotations

import contextlib
import errno
import select
import socket
import struct
import threading
import unittest
from typing import Any, Callable, Optional

from helpers import TIMEOUT, Peer, Recorder, logs, wait_for

from ws4py.framing import OPCODE_CLOSE
from ws4py.limits import Limits
from ws4py.manager import WebSocketManager

TICK = 0.02  # seconds that an idle poll lasts in the tests, so that timers are quick
QUICK = Limits(close_timeout=0.3, send_timeout=0.3)


class Echo(Recorder):
    """Sends everything back and writes it down."""

    def received_message(self, message: Any) -> None:
        super().received_message(message)
        self.send(message.data, message.is_binary)


class Reader(threading.Thread):
    """Reads a peer's end until the connection is over, and answers a Close.

    :ivar frames: what came, but for the payload of large frames, of which only the size is kept.
    """

    def __init__(self, peer: Peer) -> None:
        super().__init__(daemon=True)
        self.peer = peer
        self.frames: list[tuple[int, Any]] = []
        self.start()

    def run(self) -> None:
        with contextlib.suppress(EOFError, OSError):
            while True:
                first, payload = self.peer.receive()
                self.frames.append((first, payload if len(payload) < 1024 else len(payload)))
                if first & 15 == OPCODE_CLOSE:
                    self.peer.send(OPCODE_CLOSE, payload)

    def received(self, item: Any) -> bool:
        return any(payload == item for _, payload in self.frames)


def tcp_pair() -> tuple[socket.socket, socket.socket]:
    """Two connected TCP sockets on the loopback."""
    with socket.socket() as listener:
        listener.bind(('127.0.0.1', 0))
        listener.listen()
        client = socket.create_connection(listener.getsockname())
        server, _ = listener.accept()
    return server, client


def reset(sock: socket.socket) -> None:
    """Close a TCP socket with an RST."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
    sock.close()


class ManagerCase(unittest.TestCase):
    """A test with a manager, which has to come to its end within the deadline.

    :ivar records: what ws4py has logged.
    """

    def make_poller(self) -> Any:
        """The poller of the manager; None for the best one."""
        return None

    def setUp(self) -> None:
        self.records = self.enterContext(logs()) if hasattr(self, 'enterContext') else self._enter(logs())
        self.manager = WebSocketManager(self.make_poller())
        self.addCleanup(self.finish)

    def _enter(self, context: Any) -> Any:
        value = context.__enter__()
        self.addCleanup(context.__exit__, None, None, None)
        return value

    def finish(self) -> None:
        """End the manager, whatever the test has left it in."""
        for websocket in list(self.manager):
            self.manager.drop(websocket)
        self.manager.stop()
        if self.manager.ident is not None:
            self.manager.join(TIMEOUT)
            self.assertFalse(self.manager.is_alive(), 'the loop did not end')
        self.assertEqual(len(self.manager), 0)

    def make(
        self, make: Callable[..., Any] = Recorder, limits: Optional[Limits] = None, pair: Any = None, **options: Any
    ) -> tuple[Any, Peer]:
        """A connection that is not added yet, and its peer."""
        ours, theirs = pair or socket.socketpair()
        self.addCleanup(ours.close)
        self.addCleanup(theirs.close)
        websocket = make(ours, **options)
        if limits is not None:
            websocket.limits = limits
        return websocket, Peer(theirs, masked=not websocket._is_client)

    def connect(self, *args: Any, **options: Any) -> tuple[Any, Peer]:
        """A connection in the manager, and its peer."""
        websocket, peer = self.make(*args, **options)
        self.manager.add(websocket)
        return websocket, peer

    def logged(self, text: str) -> list[Any]:
        return [record for record in self.records if text in record.getMessage()]

    def assert_ended(self, websocket: Any, code: int) -> None:
        """It ended with *code*, once, and is out of the manager."""
        self.assertTrue(websocket.over.wait(TIMEOUT), 'closed() was not called')
        self.assertEqual([call[1] for call in websocket.named('closed')], [code])
        wait_for(lambda: websocket not in self.manager and websocket.sock is None)

    def assert_lives(self, _websocket: Any = None, peer: Optional[Peer] = None) -> None:
        """The loop still serves."""
        if peer is None:
            _, peer = self.connect(Echo)
        peer.text('alive?')
        while peer.receive() != (0x81, b'alive?'):
            pass


class Event:
    """``select.kevent``."""

    def __init__(self, ident: int, filter: int, flags: int) -> None:
        self.ident, self.filter, self.flags = ident, filter, flags


class KQueue:
    """``select.kqueue``, as far as pollers use it, played on epoll.

    A filter is added or deleted one by one; deleting what is not there is ENOENT, a closed descriptor EBADF; closing
    a descriptor takes its filters away; an end of file is an event of the filter for reading.
    """

    def __init__(self, api: Any) -> None:
        self._api = api
        self._epoll = select.epoll()
        self._filters: set[tuple[int, int]] = set()

    def control(self, changes: Optional[list[Event]], max_events: int, timeout: Optional[float] = None) -> list[Event]:
        for change in changes or ():
            self._change(change)
        if not max_events:
            return []
        events = []
        for fd, mask in self._epoll.poll(timeout, max_events):
            if mask & ~select.EPOLLOUT and (fd, self._api.KQ_FILTER_READ) in self._filters:
                events.append(Event(fd, self._api.KQ_FILTER_READ, 0))
            if mask & ~select.EPOLLIN and (fd, self._api.KQ_FILTER_WRITE) in self._filters:
                events.append(Event(fd, self._api.KQ_FILTER_WRITE, 0))
        return events[:max_events]

    def _change(self, change: Event) -> None:
        key = change.ident, change.filter
        before = self._mask(change.ident)
        try:
            self._epoll.modify(change.ident, before)
        except FileNotFoundError:  # it was closed, and is another one now
            self._filters -= {(change.ident, kind) for kind in (self._api.KQ_FILTER_READ, self._api.KQ_FILTER_WRITE)}
        if change.flags == self._api.KQ_EV_ADD:
            self._filters.add(key)
        elif key in self._filters:
            self._filters.remove(key)
        else:
            raise FileNotFoundError(errno.ENOENT, 'no such filter')
        mask = self._mask(change.ident)
        with contextlib.suppress(FileNotFoundError):
            self._epoll.unregister(change.ident)
        if mask:
            self._epoll.register(change.ident, mask)

    def _mask(self, fd: int) -> int:
        read, write = (fd, self._api.KQ_FILTER_READ), (fd, self._api.KQ_FILTER_WRITE)
        return (select.EPOLLIN if read in self._filters else 0) | (select.EPOLLOUT if write in self._filters else 0)

    def close(self) -> None:
        self._epoll.close()


class KQueueSelect:
    """The module ``select`` of a system with kqueue and without epoll."""

    KQ_FILTER_READ, KQ_FILTER_WRITE = -1, -2
    KQ_EV_ADD, KQ_EV_DELETE = 1, 2
    kevent = Event
    select = staticmethod(select.select)
    error = OSError

    def kqueue(self) -> KQueue:
        return KQueue(self)
