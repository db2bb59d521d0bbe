"""What the servers behind nginx serve: an echo that tells what it knows of its client, and how connections ended."""

from __future__ import annotations

import json
from typing import Any, ClassVar

from ws4py.limits import Limits
from ws4py.permessage_deflate import PerMessageDeflate
from ws4py.websocket import EchoWebSocket

NGINX = '127.0.0.3'  # from where nginx connects: it is not the address of its clients
ORIGIN = 'https://chat.example.com'
CLOSE = 'close '
PING_INTERVAL = 0.1  # seconds

TERMS = {
    'trusted_proxies': [NGINX],
    'origins': [ORIGIN],
    'extensions': [PerMessageDeflate(threshold=0)],
}
KEEPALIVE = {**TERMS, 'limits': Limits(ping_interval=PING_INTERVAL)}


class Handler(EchoWebSocket):
    """Answers ``who`` and ``ended``, closes on ``close CODE REASON``, and echoes everything else."""

    ended: ClassVar[list[tuple[int, str]]] = []

    def received_message(self, message: Any) -> None:
        text = str(message) if message.is_text else ''
        if text == 'who':
            environ: Any = self.environ
            known = {name: environ[name] for name in ('REMOTE_ADDR', 'wsgi.url_scheme')}
            address = self.peer_address[0] if self.peer_address else None
            self.send(json.dumps({**known, 'peer_address': address, 'latency': self.latency}))
        elif text == 'ended':
            self.send(json.dumps(self.ended))
        elif text.startswith(CLOSE):
            _, code, reason = text.split(' ', 2)
            self.close(int(code), reason)
        else:
            super().received_message(message)

    def closed(self, code: int, reason: Any = None) -> None:
        self.ended.append((code, reason.decode() if isinstance(reason, bytes) else reason or ''))
