"""A proxy for the tests, of HTTP and of SOCKS 5: it notes what it was asked for, and is honest unless told otherwise.

Written down here from RFC 9110 and RFC 1928, and not by the code under test.
"""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from typing import Any, Callable, Optional
from unittest.mock import patch

from support_sockets import TIMEOUT, ScriptedServer, read_request


def environment(**variables: str) -> Any:
    """The environment of the process, with these proxies and no others."""
    others = {name: value for name, value in os.environ.items() if not name.lower().endswith('_proxy')}
    return patch.dict(os.environ, {**others, **variables}, clear=True)


def pump(source: socket.socket, sink: socket.socket) -> None:
    """Carry bytes one way, and the end behind them."""
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
    with contextlib.suppress(OSError):
        sink.shutdown(socket.SHUT_WR)


def carry(client: socket.socket, port: int) -> None:
    """Be a tunnel to *port* of the loopback, wherever it was asked for."""
    with socket.create_connection(('127.0.0.1', port), TIMEOUT) as server:
        server.settimeout(None)
        thread = threading.Thread(target=pump, args=(server, client))
        thread.start()
        pump(client, server)
        thread.join(TIMEOUT)


def exactly(sock: socket.socket, size: int) -> bytes:
    data = b''
    while len(data) < size:
        block = sock.recv(size - len(data))
        if not block:
            raise ConnectionResetError
        data += block
    return data


class Proxy(ScriptedServer):
    """A proxy on the loopback, a context manager.

    :param answer: what it says to CONNECT, or does with the socket; None connects.
    :param user: name and password that it wants.
    :ivar asked: each (host, port) that it was asked for; hosts as they came, resolved by nobody.
    :ivar requests: the requests of HTTP.
    """

    def __init__(self, answer: Any = None, user: Optional[tuple[str, str]] = None) -> None:
        super().__init__(self._serve)
        self.answer = answer
        self.user = user
        self.asked: list[tuple[str, int]] = []

    @property
    def url(self) -> str:
        return f'http://127.0.0.1:{self.port}'

    @property
    def socks_url(self) -> str:
        user = '{}:{}@'.format(*self.user) if self.user else ''
        return f'socks5h://{user}127.0.0.1:{self.port}'

    def _serve(self, sock: socket.socket) -> None:
        first = sock.recv(1, socket.MSG_PEEK)
        if callable(self.answer):
            self.answer(sock)
        elif first == b'\5':
            self._socks(sock)
        elif first:
            self._http(sock)

    def _http(self, sock: socket.socket) -> None:
        request = read_request(sock)
        self.requests.append(request)
        host, _, port = request.split(b' ')[1].decode().rpartition(':')
        self.asked.append((host.strip('[]'), int(port)))
        sock.sendall(self.answer or b'HTTP/1.1 200 Connection established\r\n\r\n')
        if self.answer is None:
            carry(sock, int(port))

    def _socks(self, sock: socket.socket) -> None:
        _, count = exactly(sock, 2)
        methods = exactly(sock, count)
        method = 2 if self.user else 0
        if method not in methods:
            sock.sendall(b'\5\xff')
            return
        sock.sendall(bytes([5, method]))
        if self.user:
            name = exactly(sock, exactly(sock, 2)[1]).decode()
            password = exactly(sock, exactly(sock, 1)[0]).decode()
            sock.sendall(b'\1' + bytes([(name, password) != self.user]))
            if (name, password) != self.user:
                return
        kind = exactly(sock, 4)[3]
        if kind == 3:
            host = exactly(sock, exactly(sock, 1)[0]).decode()
        else:
            host = socket.inet_ntop(
                *((socket.AF_INET, exactly(sock, 4)) if kind == 1 else (socket.AF_INET6, exactly(sock, 16)))
            )
        port = int.from_bytes(exactly(sock, 2), 'big')
        self.asked.append((host, port))
        sock.sendall(self.answer or b'\5\0\0\1\x7f\0\0\1\0\0')
        if self.answer is None:
            carry(sock, port)


def dripping(data: bytes, stop: threading.Event) -> Callable[[socket.socket], None]:
    """Say *data*, and then a byte every moment, without end."""

    def script(sock: socket.socket) -> None:
        sock.recv(65536)
        sock.sendall(data)
        with contextlib.suppress(OSError):
            while not stop.wait(0.02):
                sock.sendall(b'x')

    return script
