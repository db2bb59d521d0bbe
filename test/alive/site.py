"""What the servers of the scenario serve: a handler that pings, and tells of itself and of those that have gone."""

from __future__ import annotations

import json
from typing import Any

from ws4py.limits import Limits
from ws4py.websocket import WebSocket

INTERVAL = 0.05  # seconds
PATIENCE = 0.5
TERMS = {'limits': Limits(ping_interval=INTERVAL, ping_timeout=PATIENCE)}
IDLE, ANSWER = 0.4, 0.2
IMPATIENT = {'limits': Limits(idle_timeout=IDLE, close_timeout=ANSWER)}
MIB = 2**20
ended: list[Any] = []


class Teller(WebSocket):
    """Answers any message with what it knows, and obeys two."""

    pings = 0

    def pinged(self, ping: Any) -> None:
        self.pings += 1

    def received_message(self, message: Any) -> None:
        if message.data == b'close':
            self.close(4000, 'bye')
        elif message.data == b'flood':
            for _ in range(7):
                self.send(bytes(MIB), True)
        else:
            self.send(json.dumps({'latency': self.latency, 'pings': self.pings, 'ended': ended}))

    def closed(self, code: int, reason: Any = None) -> None:
        ended.append([code, reason.decode() if isinstance(reason, bytes) else reason])
