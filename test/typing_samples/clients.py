"""The clients on the standard library, one for a thread, one for asyncio, and many in a manager."""

from __future__ import annotations

import ssl
from typing import Optional, Union

from ws4py.backoff import Backoff
from ws4py.client import WebSocketBaseClient
from ws4py.client.asyncioclient import connect
from ws4py.client.threadedclient import Reconnecting, WebSocketClient
from ws4py.exc import HandshakeError
from ws4py.manager import EPollPoller, WebSocketManager
from ws4py.messaging import BinaryMessage, TextMessage


class Listener(WebSocketClient):
    def received_message(self, message: Union[TextMessage, BinaryMessage]) -> None:
        print(message)


def with_a_thread(url: str) -> Optional[int]:
    client = Listener(
        url,
        protocols=['chat'],
        extensions=['permessage-deflate'],
        heartbeat_freq=30.0,
        ssl_options={'ssl_context': ssl.create_default_context()},
        headers=[('Authorization', 'Bearer x')],
        max_redirects=2,
        proxy='http://127.0.0.1:8080',
    )
    try:
        client.connect()
    except HandshakeError as error:
        return error.response_status
    client.send(b'bytes', binary=True)
    client.run_forever()
    return client.close_code


def again_and_again(url: str) -> None:
    Reconnecting(lambda: Listener(url), Backoff(initial=0.1, maximum=30.0)).run_forever()


async def on_asyncio(url: str) -> None:
    async with connect(url, protocols=['chat']) as websocket:
        await websocket.send('hello')
        answer = await websocket.recv()
        data: bytes = answer.data
        print(answer.is_text, data)
        async for message in websocket:
            print(len(message))


class Quiet(WebSocketBaseClient):
    def handshake_ok(self) -> None:
        manager.add(self)


manager = WebSocketManager(EPollPoller(timeout=0.5))


def in_a_manager(url: str, count: int) -> None:
    manager.start()
    for _ in range(count):
        Quiet(url).connect()
    for websocket in manager:
        websocket.send('hello')
    manager.broadcast(['in', 'fragments'])
    manager.close_all(1000, 'bye')
    manager.stop()
    manager.join()
