"""Clients of other projects behind one small face, so that one scenario serves for all of them, and for ours.

A client is connected when it is constructed with ``(url, context, protocols, headers)``. It has ``protocol``, what the
server chose; ``send(text or bytes)``, ``send_fragments(list)``, ``receive()``, ``ping()`` (returns once the pong is
there) and ``close(code, reason) -> (code, reason)`` that the server answered with; ``wait_closed()`` gives the same
for a close that the server began, and ``lost()`` waits for an end without a close; ``disconnect()`` frees everything.
What it cannot do stands in ``lacks``, by the name of the ability, with the reason.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Sequence
from typing import Any, Optional, Union

import aiohttp
import websocket as websocket_client
import websockets.asyncio.client
import websockets.exceptions

from .clients import let_go

Payload = Union[str, bytes]
TIMEOUT = 30  # seconds; far more than anything here takes
CALLBACKS = 'a program asks it for messages, there is no callback'


class AsyncioClient:
    """What clients on an event loop have in common: a loop of their own, which runs while one of them is asked."""

    lacks: dict[str, str] = {'callbacks': CALLBACKS}
    answer: Optional[int] = None  # what it answers to the server's Close; None: the same
    refusals: tuple[type[Exception], ...]

    def __init__(
        self,
        url: str,
        context: Optional[ssl.SSLContext],
        protocols: Sequence[str] = (),
        headers: Sequence[tuple[str, str]] = (),
    ) -> None:
        self.loop = asyncio.new_event_loop()
        try:
            self._run(self._connect(url, context, protocols, headers))
        except BaseException:
            self.disconnect()
            raise

    def _run(self, coroutine: Any) -> Any:
        return self.loop.run_until_complete(asyncio.wait_for(coroutine, TIMEOUT))

    async def _connect(self, url: str, context: Any, protocols: Sequence[str], headers: Any) -> None:
        raise NotImplementedError

    async def _disconnect(self) -> None:
        raise NotImplementedError

    def disconnect(self) -> None:
        self._run(self._disconnect())
        self._run(let_go())
        self.loop.close()


class WebsocketsClient(AsyncioClient):
    """``websockets``. Its threaded client loses bytes over TLS now and then, with its own server too."""

    lacks = {**AsyncioClient.lacks, 'crossing': 'it answers a Close before the program hears of it'}
    refusals = (websockets.exceptions.InvalidHandshake,)
    ws: Any = None

    async def _connect(self, url: str, context: Any, protocols: Sequence[str], headers: Any) -> None:
        self.ws = await websockets.asyncio.client.connect(
            url,
            ssl=context,
            max_size=None,
            open_timeout=TIMEOUT,
            subprotocols=list(protocols) or None,
            additional_headers=list(headers),
        )
        self.protocol = self.ws.subprotocol

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

    def close(self, code: int, reason: str) -> tuple[int, Optional[str]]:
        self._run(self.ws.close(code, reason))
        received = self.ws.protocol.close_rcvd
        return received.code, received.reason

    def wait_closed(self) -> tuple[int, str]:
        self._run(self.ws.wait_closed())
        received = self.ws.protocol.close_rcvd
        return received.code, received.reason

    def lost(self) -> bool:
        self._run(self.ws.wait_closed())
        return self.ws.protocol.close_rcvd is None

    async def _disconnect(self) -> None:
        if self.ws is not None:
            await self.ws.close()


class AiohttpClient(AsyncioClient):
    """``aiohttp``."""

    lacks = {**AsyncioClient.lacks, 'fragments': 'it sends every message in one frame'}
    answer = 1000
    refusals = (aiohttp.WSServerHandshakeError,)

    async def _connect(self, url: str, context: Any, protocols: Sequence[str], headers: Any) -> None:
        self.session = aiohttp.ClientSession()
        self.ws = await self.session.ws_connect(
            url, ssl=context or True, max_msg_size=0, autoping=False, protocols=protocols, headers=dict(headers)
        )
        self.protocol = self.ws.protocol

    def send(self, payload: Payload) -> None:
        self._run(self.ws.send_str(payload) if isinstance(payload, str) else self.ws.send_bytes(payload))

    send_fragments = None

    def receive(self) -> Payload:
        return self._receive().data

    def _receive(self) -> Any:
        while True:
            message = self._run(self.ws.receive())
            if message.type is not aiohttp.WSMsgType.PING:
                return message
            self._run(self.ws.pong(message.data))

    def ping(self) -> bool:
        self._run(self.ws.ping(b'are you there?'))
        answer = self._run(self.ws.receive())
        return answer.type is aiohttp.WSMsgType.PONG and bytes(answer.data) == b'are you there?'

    def close(self, code: int, reason: str) -> tuple[int, Optional[str]]:
        self._run(self.ws.close(code=code, message=reason.encode()))
        return self.ws.close_code, None  # it does not keep the reason

    def wait_closed(self) -> tuple[int, str]:
        message = self._receive()
        assert message.type is aiohttp.WSMsgType.CLOSE, message
        self._run(let_go())  # it has answered, and the loop must run on until TLS has ended too
        return message.data, message.extra

    def lost(self) -> bool:
        message = self._receive()
        return message.type is not aiohttp.WSMsgType.CLOSE and self.ws.close_code == 1006

    async def _disconnect(self) -> None:
        await self.session.close()


class WebsocketClientClient:
    """``websocket-client``, its low-level interface."""

    lacks = {'callbacks': CALLBACKS}
    answer = 1000
    refusals = (websocket_client.WebSocketException,)

    def __init__(
        self,
        url: str,
        context: Optional[ssl.SSLContext],
        protocols: Sequence[str] = (),
        headers: Sequence[tuple[str, str]] = (),
    ) -> None:
        self.ws = websocket_client.create_connection(
            url,
            timeout=TIMEOUT,
            sslopt={'context': context} if context else None,
            subprotocols=list(protocols) or None,
            header=[f'{name}: {value}' for name, value in headers],
        )
        self.protocol = self.ws.subprotocol

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

    def close(self, code: int, reason: str) -> tuple[int, Optional[str]]:
        self.ws.send_close(code, reason.encode())
        return self.wait_closed()

    def wait_closed(self) -> tuple[int, str]:
        opcode, data = self.ws.recv_data()
        assert opcode == websocket_client.ABNF.OPCODE_CLOSE, opcode
        self.ws.shutdown()  # it has answered, and leaves the rest to the program
        return int.from_bytes(data[:2], 'big'), data[2:].decode()

    def lost(self) -> bool:
        try:
            self.ws.recv_data()
        except (websocket_client.WebSocketConnectionClosedException, OSError) as error:
            return not isinstance(error, TimeoutError)
        return False

    def disconnect(self) -> None:
        self.ws.shutdown()


CLIENTS = {'websockets': WebsocketsClient, 'aiohttp': AiohttpClient, 'websocket-client': WebsocketClientClient}
