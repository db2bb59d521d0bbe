"""An echo server on TLS (wss): python example/tls_wsgiref_server.py certificate.pem key.pem"""

import contextlib
import functools
import ssl
import sys
from wsgiref.simple_server import make_server

from ws4py.server.wsgirefserver import WebSocketWSGIRequestHandler, WSGIServer
from ws4py.server.wsgiutils import WebSocketWSGIApplication
from ws4py.websocket import EchoWebSocket

context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
context.load_cert_chain(*sys.argv[1:])
tls_server = functools.partial(WSGIServer, ssl_context=context)
echo = WebSocketWSGIApplication(handler_cls=EchoWebSocket)
with make_server('127.0.0.1', 9000, echo, tls_server, WebSocketWSGIRequestHandler) as server:
    server.initialize_websockets_manager()
    with contextlib.suppress(KeyboardInterrupt):
        server.serve_forever()
