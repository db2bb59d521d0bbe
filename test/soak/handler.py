"""The handler of the servers that `vanishing` wears out: an echo, which pings those that have said to be silent."""

from __future__ import annotations

from typing import Any

from ws4py.limits import Limits
from ws4py.websocket import EchoWebSocket


class Handler(EchoWebSocket):
    """One connection."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        if self.environ is not None and 'HTTP_X_SILENT' in self.environ:
            self.limits = Limits(ping_interval=0.5, ping_timeout=0.5)
