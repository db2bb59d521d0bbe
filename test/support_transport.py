"""What the tests of connections on asyncio loops share: real transports, and a peer that reads and writes frames."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import unittest
from typing import Any, Callable

import support_tls
from helpers import TIMEOUT, Recorder, close_frame, frame

from ws4py.framing import OPCODE_TEXT
from ws4py.limits import Limits
from ws4py.transport import TransportConnection, TransportSocket

TEXT, BINARY, CLOSE = 0x81, 0x82, 0x88
KIB = 1024


class AsyncPeer:
    """A client's end: it reads and writes frames."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    def text(self, *texts: str) -> None:
        self.writer.write(b''.join(frame(OPCODE_TEXT, text.encode(), masked=True) for text in texts))

    def close(self, code: int = 1000) -> None:
        self.writer.write(close_frame(code, masked=True))

    async def receive(self) -> tuple[int, bytes]:
        first, size = await self.reader.readexactly(2)
        if size == 126:
            (size,) = struct.unpack('!H', await self.reader.readexactly(2))
        elif size == 127:
            (size,) = struct.unpack('!Q', await self.reader.readexactly(8))
        return first, await self.reader.readexactly(size)


async def until(condition: Callable[[], Any]) -> Any:
    """The same as :func:`ws4py.testing.until` on an event loop."""
    end = asyncio.get_running_loop().time() + TIMEOUT
    while not (found := condition()):
        assert asyncio.get_running_loop().time() < end, f'not true within {TIMEOUT} s: {condition}'
        await asyncio.sleep(0.002)
    return found


class TransportCase(unittest.IsolatedAsyncioTestCase):
    async def asyncSetUp(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.loop.slow_callback_duration = TIMEOUT  # the machine may be busy
        self.losses = 0

    def _lost(self) -> None:
        self.losses += 1

    async def connect(
        self, cls: Callable[..., Any] = Recorder, tls: bool = False, **limits: Any
    ) -> tuple[Any, AsyncPeer, TransportConnection]:
        ours, theirs = socket.socketpair()
        for sock in (ours, theirs):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 16 * KIB)
        accept = self.loop.connect_accepted_socket(
            asyncio.Protocol, ours, ssl=support_tls.server_context() if tls else None
        )
        name = {'ssl': support_tls.client_context(), 'server_hostname': 'localhost'} if tls else {}
        (transport, _), peer = await asyncio.gather(accept, asyncio.open_connection(sock=theirs, **name))
        websocket = cls(TransportSocket(transport, self.loop, linger=0.05), environ={})
        websocket.limits = Limits(**limits) if limits else websocket.limits
        connection = TransportConnection(websocket, self.loop, self._lost)
        transport.set_protocol(connection)
        connection.start()
        self.addAsyncCleanup(self._disconnect, connection, peer[1])
        return websocket, AsyncPeer(*peer), connection

    async def _disconnect(self, connection: TransportConnection, writer: asyncio.StreamWriter) -> None:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
        await until(lambda: self.losses)
