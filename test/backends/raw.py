"""A client and a server that speak bytes: what real ones do only by chance, these do each time."""

from __future__ import annotations

import base64
import hashlib
import os
import re
import socket
import ssl
import threading
from collections.abc import Sequence
from typing import Callable, Optional

from helpers import TIMEOUT, Peer

GUID = b'258EAFA5-E914-47DA-95CA-C5AB0DC85B11'
HOST = '127.0.0.1'


def accept_key(key: bytes) -> bytes:
    """RFC 6455 section 1.3, once more and independent of the code under test."""
    return base64.b64encode(hashlib.sha1(key + GUID).digest())


def acceptance(request: bytes, *headers: str) -> bytes:
    """The response that accepts a request, with more *headers*."""
    key = re.search(rb'(?i)\r\nsec-websocket-key: *(\S+)', request)
    assert key is not None, request
    lines = ['HTTP/1.1 101 Switching Protocols', 'Upgrade: websocket', 'Connection: Upgrade']
    lines += [f'Sec-WebSocket-Accept: {accept_key(key[1]).decode()}', *headers]
    return '\r\n'.join([*lines, '', '']).encode('latin-1')


class RawPeer(Peer):
    """One end of a connection that begins with an opening handshake; a context manager."""

    def read_head(self) -> bytes:
        """Everything up to the blank line."""
        head = b''
        while not head.endswith(b'\r\n\r\n'):
            head += self.read(1)
        return head

    def half_close(self) -> None:
        """Send nothing any more, and go on reading. Over TLS without a word of goodbye, as a broken peer would."""
        socket.socket.shutdown(self.sock, socket.SHUT_WR)

    def __enter__(self) -> RawPeer:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.sock.close()


class RawClient(RawPeer):
    """A client that has sent its request, and *behind* in the same segment.

    :ivar head: the response, up to the blank line.
    """

    def __init__(
        self,
        port: int,
        context: Optional[ssl.SSLContext] = None,
        *,
        headers: Sequence[tuple[str, str]] = (),
        behind: bytes = b'',
    ) -> None:
        sock = socket.create_connection((HOST, port), TIMEOUT)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if context is not None:
            sock = context.wrap_socket(sock, server_hostname=HOST)
        super().__init__(sock)
        self.key = base64.b64encode(os.urandom(16))
        lines = ['GET / HTTP/1.1', f'Host: {HOST}:{port}', 'Upgrade: websocket', 'Connection: Upgrade']
        lines += [f'Sec-WebSocket-Key: {self.key.decode()}', 'Sec-WebSocket-Version: 13']
        lines += [f'{name}: {value}' for name, value in headers]
        try:
            sock.sendall('\r\n'.join([*lines, '', '']).encode() + behind)
            self.head = self.read_head()
        except BaseException:
            sock.close()
            raise


class RawServer:
    """A server for one client, in a thread; a context manager.

    :param behind: what it sends in the segment of its response.
    :param script: what it does then, with the connection.
    """

    def __init__(
        self, context: Optional[ssl.SSLContext], behind: bytes, script: Callable[[Peer], None] = lambda peer: None
    ) -> None:
        self._listener = socket.create_server((HOST, 0))
        self._listener.settimeout(TIMEOUT)
        self.port: int = self._listener.getsockname()[1]
        self._context = context
        self._behind = behind
        self._script = script
        self._failure: Optional[BaseException] = None
        self._thread = threading.Thread(target=self._run, name='raw server', daemon=True)

    def __enter__(self) -> RawServer:
        self._thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._thread.join(TIMEOUT)
        self._listener.close()
        if self._failure is not None:
            raise self._failure

    def _run(self) -> None:
        try:
            sock = self._listener.accept()[0]
            sock.settimeout(TIMEOUT)
            with self._context.wrap_socket(sock, server_side=True) if self._context is not None else sock as sock:
                self._serve(RawPeer(sock, masked=False))
        except BaseException as error:
            self._failure = error

    def _serve(self, peer: RawPeer) -> None:
        peer.sock.sendall(acceptance(peer.read_head()) + self._behind)
        self._script(peer)
