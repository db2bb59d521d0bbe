from gevent import monkey

monkey.patch_all()

import contextlib

from ws4py.server.geventserver import WSGIServer
from ws4py.server.wsgiutils import WebSocketWSGIApplication
from ws4py.websocket import EchoWebSocket

if __name__ == '__main__':
    server = WSGIServer(('localhost', 9000), WebSocketWSGIApplication(handler_cls=EchoWebSocket))
    with contextlib.suppress(KeyboardInterrupt):
        server.serve_forever()
