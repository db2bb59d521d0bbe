"""The load: raw sockets that keep a number of frames in flight and count the bytes that come back.

It builds its frames once and looks at nothing in the answers but their length, so that as much as possible of a
measured second is the server's. One thread, one epoll or select.
"""

from __future__ import annotations

import base64
import os
import selectors
import socket
import time
from typing import NamedTuple


class Sample(NamedTuple):
    """What a round gave."""

    echoes: int
    seconds: float
    cpu: float = 0.0  # seconds of the server


class Load:
    """Connections to the server at *port*, each with *in_flight* frames of *size* bytes on their way."""

    def __init__(self, port: int, connections: int, in_flight: int, size: int) -> None:
        self.frame = _frame(os.urandom(size))
        self.answer_size = size + (2 if size < 126 else 4 if size < 65536 else 10)
        self.in_flight = in_flight
        self.sockets = [_connect(port) for _ in range(connections)]

    def __enter__(self) -> Load:
        return self

    def __exit__(self, *exc_info: object) -> None:
        for sock in self.sockets:
            sock.close()

    def run(self, seconds: float) -> Sample:
        """Keep frames in flight for that long, then take in what is still on its way."""
        with selectors.DefaultSelector() as selector:
            lanes = [_Lane(sock, self) for sock in self.sockets]
            for lane in lanes:
                selector.register(lane.sock, selectors.EVENT_READ, lane)
                lane.send(self.in_flight)
            start = time.perf_counter()
            end = start + seconds
            while time.perf_counter() < end:
                for key, _ in selector.select(1):
                    key.data.receive()
            elapsed = time.perf_counter() - start
            echoes = sum(lane.echoes for lane in lanes)
        for lane in lanes:
            lane.finish()
        return Sample(echoes, elapsed)


class _Lane:
    """One connection under load."""

    def __init__(self, sock: socket.socket, load: Load) -> None:
        self.sock = sock
        self.load = load
        self.echoes = 0
        self.sent = 0
        self.received = 0  # bytes of the answer in progress

    def send(self, count: int) -> None:
        self.sent += count
        self.sock.sendall(self.load.frame * count)

    def receive(self) -> None:
        done, self.received = divmod(self.received + len(self.sock.recv(1 << 18)), self.load.answer_size)
        if done:
            self.echoes += done
            self.send(done)

    def finish(self) -> None:
        while self.echoes < self.sent:
            done, self.received = divmod(self.received + len(self.sock.recv(1 << 18)), self.load.answer_size)
            self.echoes += done


def _connect(port: int) -> socket.socket:
    sock = socket.create_connection(('127.0.0.1', port))
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    key = base64.b64encode(os.urandom(16)).decode()
    sock.sendall(
        f'GET / HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n'
        f'Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n'.encode()
    )
    head = b''
    while not head.endswith(b'\r\n\r\n'):
        data = sock.recv(1)  # not a byte of what comes behind
        if not data:
            raise SystemExit(f'the server refused: {head!r}')
        head += data
    return sock


def _frame(payload: bytes) -> bytes:
    """A binary frame, masked with a key of zeroes: the server's work is the same, ours is less."""
    size = len(payload)
    if size < 126:
        header = bytes((0x82, 0x80 | size))
    elif size < 65536:
        header = b'\x82\xfe' + size.to_bytes(2, 'big')
    else:
        header = b'\x82\xff' + size.to_bytes(8, 'big')
    return header + bytes(4) + payload
