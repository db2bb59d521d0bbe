"""The server of test_two_thousand: echoes, and does what its standard input says; not a test.

``fill`` sends more to every stalled peer than it takes, ``broadcast TEXT`` sends to all, ``report`` prints one line of
JSON. On SIGINT it says how its connections have ended.
"""

from __future__ import annotations

import collections
import contextlib
import json
import socket
import sys
import threading
from typing import Any
from wsgiref.simple_server import make_server

from ws4py.limits import Limits
from ws4py.server.wsgirefserver import WebSocketWSGIRequestHandler, WSGIServer
from ws4py.server.wsgiutils import WebSocketWSGIApplication
from ws4py.websocket import EchoWebSocket

FILLING = 1024 * 1024  # bytes, more than the sockets of a stalled peer hold
closed: collections.Counter[str] = collections.Counter()
stalled: dict[str, Handler] = {}


class Handler(EchoWebSocket):
    """Echoes; the path names the policy of those that will not read."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args, heartbeat_freq=1)
        self.policy = self.environ['PATH_INFO'].strip('/') if self.environ else ''
        if self.policy:
            self.limits = Limits(write_high_water=16 * 1024, write_limit=64 * 1024, slow_consumer=self.policy)
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
            stalled[self.policy] = self

    def closed(self, code: int, reason: Any = None) -> None:
        closed[f'{self.policy} {code}'.strip()] += 1


def obey(server: Any) -> None:
    for line in sys.stdin:
        command, _, text = line.strip().partition(' ')
        if command == 'fill':
            for websocket in stalled.values():
                websocket.send(bytes(FILLING), binary=True)
        elif command == 'broadcast':
            server.manager.broadcast(text)
        else:
            report(server)


def report(server: Any) -> None:
    print(json.dumps({'open': len(server.manager), 'closed': closed, 'threads': threading.active_count()}), flush=True)


with make_server(
    '127.0.0.1', 0, WebSocketWSGIApplication(handler_cls=Handler), WSGIServer, WebSocketWSGIRequestHandler
) as server:
    server.initialize_websockets_manager()
    threading.Thread(target=obey, args=(server,), daemon=True).start()
    print(server.server_port, flush=True)
    with contextlib.suppress(KeyboardInterrupt):
        server.serve_forever()
report(server)
