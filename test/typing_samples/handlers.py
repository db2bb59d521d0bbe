"""Handlers as applications write them: with plain hooks, with `async def` ones, with limits of their own."""

from __future__ import annotations

from typing import Optional, Union

from ws4py import async_websocket
from ws4py.broadcasting import broadcast
from ws4py.limits import Limits
from ws4py.messaging import BinaryMessage, PongControlMessage, TextMessage
from ws4py.websocket import WebSocket


class Chat(WebSocket):
    limits = Limits(message_size=64 * 1024, ping_interval=30.0)
    members: set[Chat] = set()

    def opened(self) -> None:
        self.members.add(self)
        if self.environ is not None:
            self.send(f'welcome to {self.environ["PATH_INFO"]}, from {self.peer_address!r}')

    def received_message(self, message: Union[TextMessage, BinaryMessage]) -> None:
        text: str = str(message)
        data: bytes = message.data
        self.send(data, binary=message.is_binary)
        self.send([text, text], compress=False)
        broadcast(self.members, message)

    def ponged(self, pong: PongControlMessage) -> None:
        latency: Optional[float] = self.latency
        print(pong.data, latency)

    def unhandled_error(self, error: Exception) -> None:
        self.close(1011, 'an error')

    def closed(self, code: int, reason: Union[bytes, str, None] = None) -> None:
        self.members.discard(self)
        print(code, reason, self.close_code, self.close_reason)


class AsyncEcho(async_websocket.WebSocket):
    async def opened(self) -> None:
        await self.send('welcome')
        await self.ping(b'are you there?')
        async for message in self:
            size: int = len(message)
            await self.send(f'{size} characters')
        await self.close(1000, 'done')

    async def closed(self, code: int, reason: Union[bytes, str, None] = None) -> None:
        print(code, reason)
