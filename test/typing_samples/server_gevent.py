"""gevent: its server and its client."""

from __future__ import annotations

from typing import Optional

from handlers import Chat

from ws4py.client.geventclient import WebSocketClient
from ws4py.messaging import Message
from ws4py.server.geventserver import WSGIServer
from ws4py.server.wsgiutils import WebSocketWSGIApplication


def serve() -> None:
    server = WSGIServer(('127.0.0.1', 9000), WebSocketWSGIApplication(handler_cls=Chat))
    server.serve_forever()


def talk(url: str) -> None:
    client = WebSocketClient(url, protocols=['chat'], headers=[('X-Name', 'Ann')])
    client.connect()
    client.send('hello')
    message: Optional[Message] = client.receive()
    if message is not None:
        print(message.data, len(message))
    client.close(1000, 'bye')
