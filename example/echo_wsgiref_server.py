import contextlib
from wsgiref.simple_server import make_server

from ws4py.server.wsgirefserver import WebSocketWSGIRequestHandler, WSGIServer
from ws4py.server.wsgiutils import WebSocketWSGIApplication
from ws4py.websocket import EchoWebSocket

echo = WebSocketWSGIApplication(handler_cls=EchoWebSocket)
with make_server('127.0.0.1', 9000, echo, WSGIServer, WebSocketWSGIRequestHandler) as server:
    server.initialize_websockets_manager()
    with contextlib.suppress(KeyboardInterrupt):
        server.serve_forever()
