"""gevent-websocket on gevent's WSGI server."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from common import announce, parse_arguments
from gevent.pywsgi import WSGIServer
from geventwebsocket.handler import WebSocketHandler


def echo(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    websocket = environ['wsgi.websocket']
    while True:
        message = websocket.receive()
        if message is None:
            return []
        websocket.send(message)


def main() -> None:
    arguments = parse_arguments()
    server = WSGIServer(('127.0.0.1', arguments.port), echo, handler_class=WebSocketHandler, log=None)
    server.start()
    announce(server.server_port)
    server.serve_forever()


if __name__ == '__main__':
    main()
