"""Clients and servers of other projects behind one small face each, so that one scenario serves for all of them.

A client has ``send(text or bytes)``, ``send_fragments(list)``, ``receive()``, ``ping()`` (returns once the pong is
there) and ``close(code, reason) -> (code, reason)`` that the server answered with; ``wait_closed()`` gives the same
for a close that the server began; ``disconnect()`` frees everything. A server is a context manager that gives its
port; it echoes every message, and on the text ``close 4001 bye`` closes with 4001 and ``bye``.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any, Callable, Optional, Union

import aiohttp
import websocket as websocket_client
import websockets.asyncio.client
import websockets.asyncio.server
from aiohttp import web

Payload = Union[str, bytes]
TIMEOUT = 30  # seconds; far more than anything here takes


async def _let_go() -> None:
    """Wait until the running loop watches nothing but its own wake-up socket.

    aiohttp closes TLS connections without waiting for them; a loop that ends meanwhile leaves them to the garbage
    collector, which warns.
    """
    while len(asyncio.get_running_loop()._selector.get_map()) > 1:
        await asyncio.sleep(0.001)


class AsyncioClient:
    """What clients on an event loop have in common: a loop of their own, which runs while one of them is asked."""

    def __init__(self, url: str, context: Optional[ssl.SSLContext]) -> None:
        self.loop = asyncio.new_event_loop()
        self._run(self._connect(url, context))

    def _run(self, coroutine: Any) -> Any:
        return self.loop.run_until_complete(asyncio.wait_for(coroutine, TIMEOUT))

    def disconnect(self) -> None:
        self._run(self._disconnect())
        self._run(_let_go())
        self.loop.close()


class WebsocketsClient(AsyncioClient):
    """``websockets``. Its threaded client loses bytes over TLS now and then, with its own server too."""

    async def _connect(self, url: str, context: Optional[ssl.SSLContext]) -> None:
        self.ws = await websockets.asyncio.client.connect(url, ssl=context, max_size=None, open_timeout=TIMEOUT)

    def send(self, payload: Payload) -> None:
        self._run(self.ws.send(payload))

    def send_fragments(self, payloads: list[Payload]) -> None:
        self._run(self.ws.send(payloads))

    def receive(self) -> Payload:
        return self._run(self.ws.recv())

    def ping(self) -> bool:
        async def ping() -> bool:
            return await (await self.ws.ping(b'are you there?')) >= 0

        return self._run(ping())

    def close(self, code: int, reason: str) -> tuple[int, str]:
        self._run(self.ws.close(code, reason))
        received = self.ws.protocol.close_rcvd
        return received.code, received.reason

    def wait_closed(self) -> tuple[int, str]:
        self._run(self.ws.wait_closed())
        received = self.ws.protocol.close_rcvd
        return received.code, received.reason

    async def _disconnect(self) -> None:
        await self.ws.close()


class AiohttpClient(AsyncioClient):
    """``aiohttp``."""

    async def _connect(self, url: str, context: Optional[ssl.SSLContext]) -> None:
        self.session = aiohttp.ClientSession()
        self.ws = await self.session.ws_connect(url, ssl=context or True, max_msg_size=0, autoping=False)

    def send(self, payload: Payload) -> None:
        self._run(self.ws.send_str(payload) if isinstance(payload, str) else self.ws.send_bytes(payload))

    send_fragments = None  # it has no way to

    def receive(self) -> Payload:
        return self._run(self.ws.receive()).data

    def ping(self) -> bool:
        self._run(self.ws.ping(b'are you there?'))
        answer = self._run(self.ws.receive())
        return answer.type is aiohttp.WSMsgType.PONG and bytes(answer.data) == b'are you there?'

    def close(self, code: int, reason: str) -> tuple[int, str]:
        self._run(self.ws.close(code=code, message=reason.encode()))
        closed = self.ws.close_code
        return closed, reason  # it does not keep the reason

    def wait_closed(self) -> tuple[int, str]:
        message = self._run(self.ws.receive())
        return message.data, message.extra

    async def _disconnect(self) -> None:
        await self.session.close()


class WebsocketClientClient:
    """``websocket-client``, its low-level interface."""

    def __init__(self, url: str, context: Optional[ssl.SSLContext]) -> None:
        self.ws = websocket_client.create_connection(
            url, timeout=TIMEOUT, sslopt={'context': context} if context else None
        )

    def send(self, payload: Payload) -> None:
        if isinstance(payload, str):
            self.ws.send(payload)
        else:
            self.ws.send_binary(payload)

    def send_fragments(self, payloads: list[Payload]) -> None:
        abnf = websocket_client.ABNF
        opcode = abnf.OPCODE_TEXT if isinstance(payloads[0], str) else abnf.OPCODE_BINARY
        for at, payload in enumerate(payloads):
            if at and isinstance(payload, str):
                payload = payload.encode()  # which it does by itself in a first frame only
            self.ws.send_frame(abnf.create_frame(payload, opcode, int(at == len(payloads) - 1)))
            opcode = abnf.OPCODE_CONT

    def receive(self) -> Payload:
        opcode, data = self.ws.recv_data()
        return data.decode() if opcode == websocket_client.ABNF.OPCODE_TEXT else data

    def ping(self) -> bool:
        self.ws.ping(b'are you there?')
        opcode, data = self.ws.recv_data(control_frame=True)
        return opcode == websocket_client.ABNF.OPCODE_PONG and data == b'are you there?'

    def close(self, code: int, reason: str) -> tuple[int, str]:
        self.ws.send_close(code, reason.encode())
        return self.wait_closed()

    def wait_closed(self) -> tuple[int, str]:
        opcode, data = self.ws.recv_data(control_frame=True)
        assert opcode == websocket_client.ABNF.OPCODE_CLOSE, opcode
        return int.from_bytes(data[:2], 'big'), data[2:].decode()

    def disconnect(self) -> None:
        self.ws.shutdown()


CLIENTS = {'websockets': WebsocketsClient, 'aiohttp': AiohttpClient, 'websocket-client': WebsocketClientClient}


@contextlib.contextmanager
def serving(serve: Callable[[], contextlib.AbstractAsyncContextManager[int]]) -> Iterator[int]:
    """Run a server on an event loop in a thread. *serve* gives its port."""

    async def main() -> None:
        async with serve() as port:
            stop = asyncio.Event()
            running.update(port=port, loop=asyncio.get_running_loop(), stop=stop)
            started.set()
            await stop.wait()
        await asyncio.wait_for(_let_go(), TIMEOUT)

    running: dict[str, Any] = {}
    started = threading.Event()
    thread = threading.Thread(target=asyncio.run, args=(main(),))
    thread.start()
    assert started.wait(TIMEOUT)
    try:
        yield running['port']
    finally:
        running['loop'].call_soon_threadsafe(running['stop'].set)
        thread.join()


def websockets_server(context: Optional[ssl.SSLContext] = None) -> contextlib.AbstractContextManager[int]:
    """``websockets``."""

    async def handle(connection: websockets.asyncio.server.ServerConnection) -> None:
        async for message in connection:
            if isinstance(message, str) and message.startswith('close '):
                _, code, reason = message.split(' ')
                await connection.close(int(code), reason)
            else:
                await connection.send(message)

    @contextlib.asynccontextmanager
    async def serve() -> AsyncIterator[int]:
        async with websockets.asyncio.server.serve(handle, '127.0.0.1', 0, ssl=context, max_size=None) as server:
            yield server.sockets[0].getsockname()[1]

    return serving(serve)


def aiohttp_server(context: Optional[ssl.SSLContext] = None) -> contextlib.AbstractContextManager[int]:
    """``aiohttp``."""

    async def handle(request: web.Request) -> web.WebSocketResponse:
        ws = web.WebSocketResponse(max_msg_size=0)
        await ws.prepare(request)
        async for message in ws:
            if message.type is aiohttp.WSMsgType.TEXT and message.data.startswith('close '):
                _, code, reason = message.data.split(' ')
                await ws.close(code=int(code), message=reason.encode())
            elif message.type is aiohttp.WSMsgType.TEXT:
                await ws.send_str(message.data)
            else:
                await ws.send_bytes(message.data)
        return ws

    @contextlib.asynccontextmanager
    async def serve() -> AsyncIterator[int]:
        application = web.Application()
        application.router.add_get('/', handle)
        runner = web.AppRunner(application)
        await runner.setup()
        await web.TCPSite(runner, '127.0.0.1', 0, ssl_context=context).start()
        yield runner.addresses[0][1]
        await runner.cleanup()

    return serving(serve)


SERVERS = {'websockets': websockets_server, 'aiohttp': aiohttp_server}
