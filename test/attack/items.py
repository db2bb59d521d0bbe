"""What attacks have in common.

An attack is a function of a :class:`Target`, marked with :func:`attack`. What it returns is its figure; it fails by an
AssertionError, and raises :class:`NotOwned` where the step belongs to the HTTP server below and not to ws4py.
"""

from __future__ import annotations

import contextlib
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, Optional

from backends.raw import RawClient
from backends.running import Figures, Server
from helpers import TIMEOUT, close_frame, frame, wait_for

from ws4py.framing import OPCODE_CLOSE, OPCODE_TEXT

MIB = 1024 * 1024
HOST = '127.0.0.1'
DESCRIPTORS, THREADS, MEMORY = 3, 0, 8 * MIB  # what "flat" allows
CALM = 0.5  # seconds in which nothing changes in a server that has done what it had to do
SETTLE_TIMEOUT = 30.0  # seconds


class NotOwned(Exception):
    """The step is not ws4py's on this server; says whose it is."""


class Attack(NamedTuple):
    """One attack.

    :ivar tls: the server speaks TLS.
    :ivar fresh: it is a new process, in which nothing lies ready that others have freed.
    """

    number: int
    title: str
    run: Callable[[Target], str]
    tls: bool
    fresh: bool

    @property
    def name(self) -> str:
        return f'{self.number:02d}_{self.run.__name__}'


ATTACKS: list[Attack] = []


def attack(
    number: int, title: str, *, tls: bool = False, fresh: bool = False
) -> Callable[[Callable[[Target], str]], Callable[[Target], str]]:
    """Mark an attack, by its number and in the words of the documentation."""

    def mark(run: Callable[[Target], str]) -> Callable[[Target], str]:
        ATTACKS.append(Attack(number, title, run, tls, fresh))
        return run

    return mark


class Answer(NamedTuple):
    """An answer in HTTP, or None for a connection that was closed without one."""

    status: Optional[int]
    head: str
    rest: bytes
    seconds: float


class Target:
    """A server under attack, in a process of its own; a context manager.

    :param name: of the server, as in `backends.servers`; it accepts permessage-deflate.
    :param heavy: attacks take their full size.
    """

    def __init__(
        self,
        name: str,
        heavy: bool = False,
        tls: Any = None,
        context: Optional[ssl.SSLContext] = None,
        terms: str = 'attack.site:TERMS',
    ) -> None:
        self.name = name
        self.heavy = heavy
        self.context = context
        self.server = Server(f'{name}+deflate', 'attack.site:Handler', tls=tls, terms=terms)

    def __enter__(self) -> Target:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.server.stop()

    @property
    def port(self) -> int:
        return self.server.port

    @property
    def base(self) -> str:
        return self.name.partition('+')[0]

    def owned_by(self, *names: str, reason: str) -> None:
        """
        :raises NotOwned: it is one of these.
        """
        if self.base in names:
            raise NotOwned(reason)

    # Talking to it

    def connect(self, source: str = '') -> Any:
        sock: Any = socket.create_connection((HOST, self.port), TIMEOUT, (source, 0) if source else None)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return sock if self.context is None else self.context.wrap_socket(sock, server_hostname=HOST)

    def client(self, deflate: bool = False, **options: Any) -> RawClient:
        """A client that has been let in."""
        if deflate:
            options['headers'] = [*options.get('headers', ()), ('Sec-WebSocket-Extensions', 'permessage-deflate')]
        client = RawClient(self.port, self.context, **options)
        assert b' 101 ' in client.head.partition(b'\r\n')[0], client.head
        assert (b'permessage-deflate' in client.head) is deflate
        return client

    def knock(self, data: bytes, source: str = '', to_end: bool = False) -> Answer:
        """Send *data* and wait for the answer.

        :param to_end: for whatever comes up to the end of the connection.
        """
        begin = time.monotonic()
        answer = b''
        with self.connect(source) as sock:
            with contextlib.suppress(ConnectionError, ssl.SSLError):
                sock.sendall(data)
            with contextlib.suppress(ConnectionError, ssl.SSLError):
                while to_end or not _is_whole(answer):
                    block = sock.recv(65536)
                    if not block:
                        break
                    answer += block
        head, _, rest = answer.partition(b'\r\n\r\n')
        found = re.match(rb'HTTP/1.[01] (\d{3})', head)
        return Answer(int(found[1]) if found else None, head.decode('latin-1'), rest, time.monotonic() - begin)

    def refused(self, data: bytes, *statuses: int, answered: bool = True) -> str:
        """*data* is answered with one of these; a server whose HTTP is not ours may use another, or hang up."""
        answer = self.knock(data)
        if answer.status is None:
            assert not answered or self.base in ('cherrypy', 'gevent', 'tornado'), 'no answer'
        elif self.base in ('wsgiref', 'asyncio'):
            assert answer.status in statuses, f'{answer.status} (expected {statuses}): {answer.head}'
        else:
            assert 400 <= answer.status < 600 and answer.status != 500, answer.head
        assert b'Traceback' not in answer.rest
        return 'closed' if answer.status is None else str(answer.status)

    def closes(self, code: int, *data: bytes, deflate: bool = False, before: Any = ()) -> str:
        """Who sends *data* gets what stands in *before* and then a Close frame with *code*, and the end."""
        with self.client(deflate) as client:
            with contextlib.suppress(ConnectionError):
                for piece in data:
                    client.sock.sendall(piece)
            for expected in before:
                found = client.receive()
                assert found == expected, found
            first, payload = client.receive()
            assert first == 0x80 | OPCODE_CLOSE, (first, payload[:50])
            found = int.from_bytes(payload[:2], 'big')
            assert found == code, f'{found} {payload[2:]!r} (expected {code})'
            client.sock.sendall(close_frame(code, masked=True))
            assert client.at_end()
        return str(code)

    def echoes(self, client: RawClient, text: bytes = b'hello') -> float:
        """The client gets its echo; the seconds that it took."""
        begin = time.monotonic()
        client.sock.sendall(frame(OPCODE_TEXT, text, masked=True))
        found = client.receive()
        assert found == (0x80 | OPCODE_TEXT, text), found
        return time.monotonic() - begin

    def still_serves(self) -> None:
        """A fresh client gets its echo and its Close."""

        def serve() -> bool:
            try:
                with self.client() as client:
                    self.echoes(client)
                    client.close(1000)
                    return client.receive() == (0x80 | OPCODE_CLOSE, b'\x03\xe8') and client.at_end()
            except (EOFError, AssertionError, OSError):
                return False

        wait_for(serve)

    # Looking at it

    def settled(self) -> Figures:
        """Its figures, once it has done what it had to do."""
        end = time.monotonic() + SETTLE_TIMEOUT
        before, since = self.server.figures(), time.monotonic()
        while time.monotonic() - since < CALM and time.monotonic() < end:
            time.sleep(0.05)
            now = self.server.figures()
            if now[:2] != before[:2] or abs(now[2] - before[2]) > MIB // 8:
                before, since = now, time.monotonic()
        return before

    def stays_flat(self, work: Callable[[], object]) -> str:
        """What *work* leaves behind the second time is nothing much."""
        work()
        before = self.settled()
        work()
        grown = [now - then for now, then in zip(self.settled(), before)]
        for name, more, most in zip(('descriptors', 'threads', 'memory'), grown, (DESCRIPTORS, THREADS, MEMORY)):
            assert more <= most, f'{more} more {name}'
        return f'{grown[2] / MIB:+.1f} MiB'

    @contextlib.contextmanager
    def memory(self, most: int) -> Iterator[list[str]]:
        """Meanwhile it never has more than so many bytes more; the list is given the figure."""
        figure: list[str] = []
        before = self.settled()[2]
        peak = [before]
        stop = False

        def watch() -> None:
            while not stop:
                peak.append(self.server.figures()[2])
                time.sleep(0.01)

        thread = threading.Thread(target=watch, daemon=True)
        thread.start()
        try:
            yield figure
        finally:
            stop = True
            thread.join(TIMEOUT)
        more = max(peak) - before
        assert more <= most, f'{more / MIB:.1f} MiB more (at most {most / MIB:.1f})'
        figure.append(f'peak {more / MIB:+.1f} MiB')


def _is_whole(answer: bytes) -> bool:
    """Whether there is a head and as much behind it as it says."""
    head, end, rest = answer.partition(b'\r\n\r\n')
    length = re.search(rb'(?i)\r\ncontent-length: *(\d+)', head)
    return bool(end) and (b' 101 ' in head[:13] or (length is not None and len(rest) >= int(length[1])))


def request(*lines: str, drop: str = '', first: str = 'GET / HTTP/1.1') -> bytes:
    """An upgrade request with these *lines* besides, or in place of those of the same name."""
    fields = {
        'Host': f'{HOST}',
        'Upgrade': 'websocket',
        'Connection': 'Upgrade',
        'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ==',
        'Sec-WebSocket-Version': '13',
    }
    named = {line.partition(':')[0] for line in lines}
    kept = [f'{name}: {value}' for name, value in fields.items() if name not in named and name != drop]
    return '\r\n'.join([first, *kept, *lines, '', '']).encode('latin-1')
