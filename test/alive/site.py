"""What the servers of the scenario serve: a handler that pings, and tells of itself and of those that have gone."""

from __future__ import annotations

import json
from typing import Any

from ws4py.limits import Limits
from ws4py.websocket import WebSocket

INTERVAL = 0.05  # seconds
PATIENCE = 0.5
TERMS = {'limits': Limits(ping_interval=INTERVAL, ping_timeout=PATIENCE)}
ended: list[Any] = []


class Teller(WebSocket):
    """Answers any message with what it knows."""

    pings = 0

    def pinged(self, ping: Any) -> None:
        self.pings += 1

    def received_message(self, message: Any) -> None:
        self.send(json.dumps({'latency': self.latency, 'pings': self.pings, 'ended': ended}))

    def closed(self, code: int, reason: Any = None) -> None:
        ended.append([code, reason.decode() if isinstance(reason, bytes) else reason])
