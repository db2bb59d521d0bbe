"""ws4py on gevent's WSGI server, with nothing monkey-patched."""

from __future__ import annotations

from typing import Any

from common import announce, parse_arguments

from ws4py.server.geventserver import WSGIServer
from ws4py.server.wsgiutils import WebSocketWSGIApplication
from ws4py.websocket import EchoWebSocket, WebSocket


def main() -> None:
    arguments = parse_arguments()

    class Everybody(WebSocket):
        def received_message(self, message: Any) -> None:
            server.pool.broadcast(message.data, message.is_binary)

    application = WebSocketWSGIApplication(
        handler_cls=Everybody if arguments.broadcast else EchoWebSocket,
        extensions=['permessage-deflate'] if arguments.deflate else None,
    )
    server = WSGIServer(('127.0.0.1', arguments.port), application, log=None)
    server.start()
    announce(server.server_port)
    server.serve_forever()


if __name__ == '__main__':
    main()
