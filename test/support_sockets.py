"""Servers that do as they are told, clients that send what they are given, and waiting without sleeping for luck."""

from __future__ import annotations

import contextlib
import re
import socket
import threading
from typing import Any, Callable, Optional

from ws4py.handshake import accept_key
from ws4py.testing import until as until

TIMEOUT = 10.0  # seconds that any test waits for anything


def read_request(sock: socket.socket) -> bytes:
    """The head of a request."""
    data = b''
    while not data.endswith(b'\r\n\r\n'):
        block = sock.recv(65536)
        if not block:
            break
        data += block
    return data


def response_to(request: bytes, *headers: str, leave_out: str = '') -> bytes:
    """The 101 response to *request*, with more *headers*; without the one named *leave_out*."""
    key = re.search(rb'Sec-WebSocket-Key: (\S+)', request)
    lines = [
        'Upgrade: websocket',
        'Connection: Upgrade',
        f'Sec-WebSocket-Accept: {accept_key(key[1]) if key else ""}',
    ]
    lines = [line for line in lines if line.partition(':')[0] != leave_out]
    return '\r\n'.join(['HTTP/1.1 101 Switching Protocols', *lines, *headers, '', '']).encode()


class ScriptedServer:
    """A server on the loopback that calls *script* with each connection, each in a thread.

    A context manager: on exit everything is closed, and what a script raised is raised.
    """

    def __init__(
        self, script: Callable[[socket.socket], Any], family: int = socket.AF_INET, address: Any = None
    ) -> None:
        self.socket = socket.socket(family, socket.SOCK_STREAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # for one that comes back to its port
        loopback = {socket.AF_INET: ('127.0.0.1', 0), socket.AF_INET6: ('::1', 0)}
        self.socket.bind(address or loopback[family])
        self.socket.listen(16)
        self.script = script
        self.requests: list[bytes] = []
        self.errors: list[BaseException] = []
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._connections: list[socket.socket] = []

    @property
    def port(self) -> int:
        port: int = self.socket.getsockname()[1]
        return port

    def __enter__(self) -> ScriptedServer:
        self._threads[0].start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()
        self._threads[0].join(TIMEOUT)
        for connection in self._connections:
            with contextlib.suppress(OSError):
                socket.socket.shutdown(connection, socket.SHUT_RDWR)
        for thread in self._threads[1:]:
            thread.join(TIMEOUT)
        for connection in self._connections:
            connection.close()
        if self.errors and exc_info[0] is None:
            raise self.errors[0]

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self.socket.accept()
            except OSError:
                return
            self._connections.append(connection)
            thread = threading.Thread(target=self._run, args=(connection,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _run(self, connection: socket.socket) -> None:
        try:
            self.script(connection)
        except OSError:  # the client has gone, or the test is over
            pass
        except BaseException as error:
            self.errors.append(error)


def say(response: Any = None, *, then: Optional[Callable[[socket.socket, bytes], Any]] = None) -> Callable[..., Any]:
    """A script: read the request, send *response* (bytes, or made from the request), do *then*, close."""

    def script(sock: socket.socket) -> None:
        request = read_request(sock)
        sock.sendall(response if isinstance(response, bytes) else (response or response_to)(request))
        if then is not None:
            then(sock, request)
        with contextlib.suppress(OSError):
            sock.shutdown(socket.SHUT_WR)
            while sock.recv(65536):
                pass

    return script


def upgrade_request(*headers: str, method: str = 'GET', target: str = '/', leave_out: str = '') -> bytes:
    """An upgrade request, with more *headers*; without the one named *leave_out*."""
    lines = [
        'Host: localhost',
        'Upgrade: websocket',
        'Connection: Upgrade',
        'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
        'Sec-WebSocket-Version: 13',
    ]
    lines = [line for line in lines if line.partition(':')[0] != leave_out]
    return '\r\n'.join([f'{method} {target} HTTP/1.1', *lines, *headers, '', '']).encode('latin-1')


def read_all(sock: socket.socket) -> bytes:
    """What comes until the peer closes."""
    data = b''
    with contextlib.suppress(ConnectionResetError):
        while True:
            block = sock.recv(65536)
            if not block:
                break
            data += block
    return data
