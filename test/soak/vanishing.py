"""Two hundred clients at a time that connect, talk, and vanish in every way; and what a server keeps of them.

The server is a process of its own and looked at from the outside: its descriptors, threads and memory after as many
clients as had been there before (a warm-up that is equal to what follows). Who connects here speaks bytes and has no
thread; all of a crowd are connected at the same time.
"""

from __future__ import annotations

import contextlib
import ssl
import time
from collections.abc import Iterator
from typing import Any, NamedTuple, Optional

from backends.raw import RawClient
from backends.running import Figures, Server
from backends.wire import reset
from helpers import close_frame, frame, wait_for

from ws4py.framing import OPCODE_BINARY, OPCODE_CLOSE, OPCODE_PING, OPCODE_TEXT

HANDLER = 'soak.handler:Handler'
CROWD = 200
PACE = 1.0  # seconds that a crowd takes at least; or the system runs out of ports
CALM = 0.5  # seconds in which nothing changes in a server that has done what it had to do
SETTLE_TIMEOUT = 30.0  # seconds

DESCRIPTORS, THREADS, MEMORY = 3, 0, 8 * 1024 * 1024  # what may be there more at the end


class Growth(NamedTuple):
    """What a server has more than before; and how many clients it has had meanwhile."""

    descriptors: int
    threads: int
    memory: int
    clients: int

    def excess(self) -> list[str]:
        """What of it is more than it may be."""
        bounds = {'descriptors': DESCRIPTORS, 'threads': THREADS, 'memory': MEMORY}
        return [f'{getattr(self, name)} more {name}' for name, bound in bounds.items() if getattr(self, name) > bound]


def wear(name: str, seconds: float, tls: Optional[tuple[str, str]] = None, context: Any = None) -> Growth:
    """Send crowd after crowd to server *name*: for *seconds* as a warm-up, and the same number of them again."""
    with Server(name, HANDLER, tls=tls) as server:
        _echo(server.port, context)
        crowds, end = 0, time.monotonic() + seconds
        while time.monotonic() < end:
            crowd(server.port, context)
            crowds += 1
        before = settled(server)
        for _ in range(crowds):
            crowd(server.port, context)
        after = settled(server)
        _echo(server.port, context)
        status = server.stop()
    if status or server.output:
        raise AssertionError(f'{name} ended with {status}: {server.output[:2000]}')
    return Growth(*(now - then for now, then in zip(after, before)), clients=crowds * CROWD)


def settled(server: Server) -> Figures:
    """The figures of a server when they do not change any more."""
    found, since = server.figures(), time.monotonic()

    def calm() -> bool:
        nonlocal found, since
        figures = server.figures()
        if figures[:2] != found[:2]:
            since = time.monotonic()
        found = figures
        time.sleep(0.05)
        return time.monotonic() - since > CALM

    wait_for(calm, SETTLE_TIMEOUT)
    return found


def crowd(port: int, context: Optional[ssl.SSLContext]) -> None:
    """One crowd, from the first connection to the last sign of life."""
    began = time.monotonic()
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(_Client(port, context, number)) for number in range(CROWD)]
        for client in clients:
            client.vanish()
        for client in clients:
            client.leave()
    time.sleep(max(0.0, began + PACE - time.monotonic()))


def _echo(port: int, context: Optional[ssl.SSLContext]) -> None:
    """A fresh client gets its echo."""
    with RawClient(port, context) as client:
        client.text('still there?')
        assert client.receive() == (0x80 | OPCODE_TEXT, b'still there?')


class _Client:
    """One of a crowd; its number says how it vanishes."""

    def __init__(self, port: int, context: Optional[ssl.SSLContext], number: int) -> None:
        self.way = WAYS[number % len(WAYS)]
        headers = [('X-Silent', '1')] if self.way is _silent_until_dropped else []
        self.peer = RawClient(port, context, headers=headers)
        payload = b'%d ' % number + bytes(number * 40)
        self.peer.text('hello')
        self.peer.binary(payload)
        assert self.receive() == (0x80 | OPCODE_TEXT, b'hello')
        assert self.receive() == (0x80 | OPCODE_BINARY, payload)

    def receive(self) -> tuple[int, bytes]:
        """The next frame that is no ping."""
        while True:
            found = self.peer.receive()
            if found[0] & 15 != OPCODE_PING:
                return found

    def await_end(self) -> None:
        """Read until the server has ended the connection. TLS sees that we did not say goodbye to it, and complains."""
        with contextlib.suppress(ssl.SSLError):
            self.peer.receive_all()

    def vanish(self) -> None:
        self.steps: Iterator[None] = self.way(self)
        next(self.steps, None)

    def leave(self) -> None:
        """What is left to do once everybody has begun to vanish."""
        for _ in self.steps:
            pass

    def __enter__(self) -> _Client:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.peer.sock.close()


def _close(client: _Client) -> Iterator[None]:
    client.peer.close(1000, b'bye')
    yield
    assert client.receive()[0] == 0x80 | OPCODE_CLOSE
    assert client.peer.at_end()


def _close_and_vanish(client: _Client) -> Iterator[None]:
    client.peer.close(1000, b'bye')
    client.peer.sock.close()
    yield


def _reset(client: _Client) -> Iterator[None]:
    reset(client.peer.sock)
    yield


def _reset_in_a_frame(client: _Client) -> Iterator[None]:
    client.peer.sock.sendall(frame(OPCODE_TEXT, bytes(1000), masked=True)[:500])
    reset(client.peer.sock)
    yield


def _fin(client: _Client) -> Iterator[None]:
    client.peer.sock.close()
    yield


def _half_close(client: _Client) -> Iterator[None]:
    client.peer.half_close()
    yield
    client.await_end()


def _half_close_in_a_frame(client: _Client) -> Iterator[None]:
    client.peer.sock.sendall(close_frame(1000, b'bye', masked=True)[:-1])
    client.peer.half_close()
    yield
    client.await_end()


def _silent(client: _Client) -> Iterator[None]:
    yield  # gone when its process would be


def _silent_until_dropped(client: _Client) -> Iterator[None]:
    yield
    client.await_end()


WAYS = (
    _close,
    _close_and_vanish,
    _reset,
    _reset_in_a_frame,
    _fin,
    _half_close,
    _half_close_in_a_frame,
    _silent,
    _silent_until_dropped,
)
