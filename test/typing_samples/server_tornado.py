"""Tornado: its server and its client."""

from __future__ import annotations

import asyncio
from typing import Union

from handlers import Chat
from tornado.web import Application, RequestHandler

from ws4py.client.tornadoclient import TornadoWebSocketClient
from ws4py.messaging import BinaryMessage, TextMessage
from ws4py.server.tornadoserver import WebSocketHandler, close_all


class Page(RequestHandler):
    def get(self) -> None:
        self.write('the websocket is at /chat')


async def serve() -> None:
    application = Application([('/', Page), ('/chat', WebSocketHandler, {'handler_cls': Chat})])
    server = application.listen(9000, '127.0.0.1')
    await asyncio.Event().wait()
    server.stop()
    await close_all(application, spread=5.0)


class Client(TornadoWebSocketClient):
    def opened(self) -> None:
        self.send('hello')

    def received_message(self, message: Union[TextMessage, BinaryMessage]) -> None:
        self.close(reason=str(message))


def talk(url: str) -> None:
    Client(url, protocols=['chat']).connect()
