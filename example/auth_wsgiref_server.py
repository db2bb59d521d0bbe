"""A server that lets in who has a name and its password, and greets them: python example/auth_wsgiref_server.py"""

import contextlib
from wsgiref.simple_server import make_server

from ws4py.auth import basic_auth
from ws4py.server.wsgirefserver import WebSocketWSGIRequestHandler, WSGIServer
from ws4py.server.wsgiutils import WebSocketWSGIApplication
from ws4py.websocket import EchoWebSocket

users = {'ann': 'correct horse', 'bob': 'battery staple'}


class Greeter(EchoWebSocket):
    def opened(self):
        self.send('hello ' + self.environ['REMOTE_USER'])


application = WebSocketWSGIApplication(handler_cls=Greeter, process_request=basic_auth(users, realm='greetings'))
with make_server('127.0.0.1', 9000, application, WSGIServer, WebSocketWSGIRequestHandler) as server:
    with contextlib.suppress(KeyboardInterrupt):
        server.serve_forever()
