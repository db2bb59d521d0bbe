"""Clients under attack, and what an attacker of a client can say that is no frame.

The client is a process that opens connections when it is told to, see :mod:`attack.visitor`. The hostile server is
here, in the process of the tests: each of its moves is made when the attack makes it, so that nothing has to be timed.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import queue
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Optional, Union

from backends.raw import RawPeer, acceptance
from backends.running import STOP_TIMEOUT, Process
from helpers import TIMEOUT

from ws4py.limits import DEFAULT_LIMITS

from .items import ENVIRONMENT, HOST, Target

SCRIPT = Path(__file__).resolve().with_name('visitor.py')
PROMPT = 5.0  # seconds in which a client has judged what it was told, however much that was
PACE = 0.2  # seconds between two bytes that are dripped
PATIENCE = 20.0  # seconds that it is dripped for, above every limit of the clients
ENOUGH = 64 * 1024 * 1024  # bytes; whoever has taken them takes everything
Answer = Union[bytes, Iterable[bytes], Callable[[bytes], bytes]]


class Visit:
    """One connection that the process was told to open: what it has said of it.

    :ivar seconds: what a failed attempt took.
    """

    seconds = 0.0

    def __init__(self) -> None:
        self.told: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self._seen: dict[str, dict[str, Any]] = {}

    def event(self, *wanted: str) -> dict[str, Any]:
        """The first of these events; waits for it."""
        end = time.monotonic() + STOP_TIMEOUT
        while True:
            for name in wanted:
                if name in self._seen:
                    return self._seen[name]
            try:
                event = self.told.get(timeout=max(0.0, end - time.monotonic()))
            except queue.Empty:
                raise AssertionError(f'it is not {wanted} within {STOP_TIMEOUT:g} s, but {self._seen}') from None
            self._seen[event['event']] = event

    def connected(self) -> list[str]:
        """The connection is open; the subprotocols that were chosen."""
        event = self.event('connected', 'failed')
        assert event['event'] == 'connected', event
        return event['protocols']  # type: ignore[no-any-return]

    def failed(self, *errors: str) -> str:
        """The attempt has failed by one of these kinds of exceptions, and nothing is left of it; its text."""
        event = self.event('failed', 'connected')
        assert event['event'] == 'failed', f'it has connected (expected {errors})'
        assert set(errors) & set(event['errors']), f'{event["errors"][0]}: {event["text"]} (expected {errors})'
        assert not event['open'], 'the client still has its socket'
        self.seconds = event['seconds']
        return event['text']  # type: ignore[no-any-return]

    def closed(self, code: int) -> None:
        """``closed()`` was called with this code."""
        found = self.event('closed')
        assert found['code'] == code, f'closed({found["code"]}, {found["reason"]!r}) was called (expected {code})'


class Visitor(Process):
    """The process of a client."""

    def __init__(self, name: str) -> None:
        super().__init__(name, str(SCRIPT), name, environment=ENVIRONMENT)
        self._numbers = itertools.count()
        self._visits: dict[int, Visit] = {}
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def order(self, url: str, **order: Any) -> Visit:
        """Tell it to open a connection."""
        assert self.process.stdin is not None
        number, visit = next(self._numbers), Visit()
        self._visits[number] = visit
        self.process.stdin.write(json.dumps({'id': number, 'url': url, **order}).encode() + b'\n')
        self.process.stdin.flush()
        return visit

    def stop(self) -> int:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self._reader.join(STOP_TIMEOUT)  # which reads to the end, and then stdout is free to be closed
        return super().stop()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            event = json.loads(line)
            self._visits[event['id']].told.put(event)


class Guest(RawPeer):
    """The hostile server's end of a connection that it has accepted.

    :ivar visit: what the client says of it.
    :ivar head: its request.
    """

    visit: Visit
    head: bytes

    def __enter__(self) -> Guest:
        return self


class Listener:
    """Where a hostile server waits for the client; a context manager.

    :param context: it speaks TLS.
    """

    def __init__(self, context: Optional[ssl.SSLContext] = None) -> None:
        self.context = context
        self.sock = socket.create_server((HOST, 0), backlog=128)
        self.port: int = self.sock.getsockname()[1]

    def url(self, path: str = '/') -> str:
        # certificates are for this name
        return f'wss://localhost:{self.port}{path}' if self.context else f'ws://{HOST}:{self.port}{path}'

    def accept(self) -> Guest:
        """The next connection, after its TLS handshake."""
        self.sock.settimeout(TIMEOUT)
        sock = self.sock.accept()[0]
        sock.settimeout(TIMEOUT)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            return Guest(self.context.wrap_socket(sock, server_side=True) if self.context else sock, masked=False)
        except BaseException:
            sock.close()
            raise

    def nobody_came(self) -> bool:
        self.sock.setblocking(False)
        try:
            self.sock.accept()[0].close()
        except BlockingIOError:
            return True
        return False

    def __enter__(self) -> Listener:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.sock.close()


class ClientTarget(Target):
    """A client under attack, as in `backends.clients`.

    :ivar listener: the hostile server's, in plain TCP.
    """

    masked = False
    process: Visitor

    def __init__(self, name: str, heavy: bool = False) -> None:
        super().__init__(name, heavy)
        self.process = Visitor(name)
        self.listener = Listener()

    def stop(self) -> str:
        fault = super().stop()
        self.listener.sock.close()
        return fault

    def order(self, url: str = '', **order: Any) -> Visit:
        """Tell the client to connect, by default to the listener; see :mod:`attack.visitor` for what it can be told."""
        return self.process.order(url or self.listener.url(), **order)

    def admit(self, *headers: str, behind: bytes = b'', listener: Optional[Listener] = None, **order: Any) -> Guest:
        """A connection for which the hostile server has done what it should, with more *headers*."""
        listener = listener or self.listener
        visit = self.order(**{'url': listener.url(), **order})
        guest = listener.accept()
        guest.visit = visit
        try:
            guest.head = guest.read_head()
            guest.sock.sendall(acceptance(guest.head, *headers) + behind)
            visit.connected()
        except BaseException:
            guest.sock.close()
            raise
        return guest

    def peer(self, deflate: bool = False, *, behind: bytes = b'', name: str = '', raises: str = '') -> Guest:
        extensions = ['Sec-WebSocket-Extensions: permessage-deflate'] if deflate else []
        return self.admit(*extensions, behind=behind, name=name, raises=raises)

    def finished(self, peer: RawPeer, code: int) -> None:
        assert isinstance(peer, Guest)
        peer.half_close()  # the server ends TCP first, RFC 6455 section 7.1.1
        assert peer.at_end()
        peer.visit.closed(code)

    def rejects(
        self,
        answer: Answer,
        error: str = 'HandshakeError',
        *,
        listener: Optional[Listener] = None,
        listen: Callable[[Guest], bytes] = Guest.read_head,
        **order: Any,
    ) -> Visit:
        """The client is given this answer to its request, and it is not what it believes.

        :param answer: what is said, or made from the request, or pieces, endless ones, of which the next one is said
            while the client has not gone.
        :param error: what :meth:`connect` raises.
        :param listen: reads the request.
        :returns: the visit, which has failed, with a socket that is closed.
        """
        listener = listener or self.listener
        visit = self.order(**{'url': listener.url(), **order})
        with listener.accept() as guest:
            request = listen(guest)
            said = answer(request) if callable(answer) else answer
            sent = 0
            with contextlib.suppress(ConnectionError):
                for piece in [said] if isinstance(said, bytes) else said:
                    guest.sock.sendall(piece)
                    sent += len(piece)
                    assert sent < ENOUGH, 'the client takes it all'
            visit.failed(error)
            assert hung_up(guest.sock), 'the client has not closed its socket'
        return visit


def hung_up(sock: socket.socket) -> bool:
    """Whether the client has closed the connection, whatever it had sent before."""
    sock.settimeout(PROMPT)
    try:
        while sock.recv(65536):
            pass
    except ConnectionError:
        pass
    except socket.timeout:  # a TimeoutError from Python 3.10 on
        return False
    return True


def within(target: ClientTarget, short: float, name: str = 'handshake_timeout') -> tuple[float, dict[str, Any]]:
    """How long the client waits, and the limits that make it so: in full size they are the defaults."""
    return (getattr(DEFAULT_LIMITS, name), {}) if target.heavy else (short, {'limits': {name: short}})


def in_time(seconds: float, expected: float) -> str:
    assert 0.9 * expected < seconds < expected + PROMPT, f'{seconds:.1f} s (expected {expected:g})'
    return f'after {seconds:.1f} s'


def dripping(guest: Guest, begin: bytes = b'', more: bytes = b'x') -> Iterator[bytes]:
    """Some bytes, and then *more* of them every moment, until the client has gone; what it says is not heard."""
    yield begin
    end = time.monotonic() + PATIENCE
    while True:
        assert time.monotonic() < end, f'the client is still there after {PATIENCE:g} s'
        guest.sock.settimeout(PACE)
        try:
            if not guest.sock.recv(65536):
                return
        except socket.timeout:  # a TimeoutError from Python 3.10 on
            yield more
        except ConnectionError:
            return
