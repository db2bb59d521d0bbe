"""ws4py on the standard library's wsgiref, with the manager. The echo is the manual's of 0.3, and runs on 0.6 too."""

from __future__ import annotations

from typing import Any
from wsgiref.simple_server import make_server

from common import announce, parse_arguments, tls_context

from ws4py.server.wsgirefserver import WebSocketWSGIRequestHandler, WSGIServer
from ws4py.server.wsgiutils import WebSocketWSGIApplication
from ws4py.websocket import EchoWebSocket, WebSocket


def main() -> None:
    arguments = parse_arguments()
    if arguments.wsaccel:
        import wsaccel

        wsaccel.patch_ws4py()

    class Everybody(WebSocket):
        def received_message(self, message: Any) -> None:
            server.manager.broadcast(message.data, message.is_binary)

    options: dict[str, Any] = {'extensions': ['permessage-deflate']} if arguments.deflate else {}
    application = WebSocketWSGIApplication(handler_cls=Everybody if arguments.broadcast else EchoWebSocket, **options)
    if arguments.tls:
        context = tls_context(arguments)
        server: Any = WSGIServer(('127.0.0.1', arguments.port), WebSocketWSGIRequestHandler, ssl_context=context)
        server.set_app(application)
    else:
        server = make_server('127.0.0.1', arguments.port, application, WSGIServer, WebSocketWSGIRequestHandler)
    server.initialize_websockets_manager()
    announce(server.server_port)
    server.serve_forever()


if __name__ == '__main__':
    main()
