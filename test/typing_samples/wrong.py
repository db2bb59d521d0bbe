"""Mistakes that a type checker finds; each `ignore` is one that mypy has to need (warn_unused_ignores)."""

from __future__ import annotations

from ws4py.client.threadedclient import WebSocketClient
from ws4py.framing import build_header
from ws4py.limits import Limits
from ws4py.manager import WebSocketManager
from ws4py.permessage_deflate import PerMessageDeflate
from ws4py.server.wsgiutils import WebSocketWSGIApplication
from ws4py.testing import Clock
from ws4py.websocket import WebSocket


class Wrong(WebSocket):
    def received_message(self, message: str) -> None:  # type: ignore[override]
        self.send(3)  # type: ignore[arg-type]
        self.send('text', compress='yes')  # type: ignore[arg-type]
        self.close('1000')  # type: ignore[arg-type]
        self.ping(None)  # type: ignore[arg-type]
        self.peer_address = ('127.0.0.1', 1)  # type: ignore[misc]

    def closed(self) -> None:  # type: ignore[override]
        pass


Limits(message_size='1 MiB')  # type: ignore[arg-type]
Limits(size=1)  # type: ignore[call-arg]
PerMessageDeflate(level='best')  # type: ignore[arg-type]
WebSocketClient('ws://127.0.0.1/', timeout=3)  # type: ignore[call-arg]
WebSocketClient('ws://127.0.0.1/', headers={'X-Name': 'Ann'})  # type: ignore[arg-type]
WebSocketWSGIApplication(origin='https://example.com')  # type: ignore[call-arg]
WebSocketManager().broadcast(3)  # type: ignore[arg-type]
Clock().advance('30 s')  # type: ignore[arg-type]
build_header('text', 3)  # type: ignore[arg-type]
