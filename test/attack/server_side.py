"""Servers under attack, and what an attacker of a server can say that is no frame."""

from __future__ import annotations

import contextlib
import re
import socket
import ssl
import time
from typing import Any, NamedTuple, Optional

from backends.raw import RawClient, RawPeer
from backends.running import Server
from helpers import TIMEOUT

from .items import ENVIRONMENT, HOST, Target


class Answer(NamedTuple):
    """An answer in HTTP, or None for a connection that was closed without one."""

    status: Optional[int]
    head: str
    rest: bytes
    seconds: float


class ServerTarget(Target):
    """A server under attack, as in `backends.servers`."""

    masked = True
    process: Server

    def __init__(
        self,
        name: str,
        heavy: bool = False,
        tls: Any = None,
        context: Optional[ssl.SSLContext] = None,
        terms: str = 'attack.site:TERMS',
    ) -> None:
        super().__init__(name, heavy)
        self.context = context
        self.process = Server(f'{name}+deflate', 'attack.site:Handler', tls=tls, terms=terms, environment=ENVIRONMENT)

    @property
    def port(self) -> int:
        return self.process.port

    @property
    def base(self) -> str:
        return self.name.partition('+')[0]

    def connect(self, source: str = '') -> Any:
        sock: Any = socket.create_connection((HOST, self.port), TIMEOUT, (source, 0) if source else None)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return sock if self.context is None else self.context.wrap_socket(sock, server_hostname=HOST)

    def peer(self, deflate: bool = False, *, behind: bytes = b'', name: str = '', raises: str = '') -> RawClient:
        offers = [('Sec-WebSocket-Extensions', 'permessage-deflate')] if deflate else []
        wishes = [(field, value) for field, value in (('X-Name', name), ('X-Raise', raises)) if value]
        client = RawClient(self.port, self.context, headers=[*offers, *wishes], behind=behind)
        assert b' 101 ' in client.head.partition(b'\r\n')[0], client.head
        assert (b'permessage-deflate' in client.head) is deflate
        return client

    def finished(self, peer: RawPeer, code: int) -> None:
        assert peer.at_end(), 'the server ends TCP, RFC 6455 section 7.1.1'

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
