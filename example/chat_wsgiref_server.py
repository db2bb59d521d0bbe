"""A chat on the server of the standard library: python example/chat_wsgiref_server.py, then open the page it names."""

import contextlib
from wsgiref.simple_server import make_server

from chat import Chat
from serving import options, site, tell

from ws4py.server.wsgirefserver import WebSocketWSGIRequestHandler, WSGIServer
from ws4py.server.wsgiutils import WebSocketWSGIApplication

if __name__ == '__main__':
    chosen = options(__doc__).parse_args()
    application = WebSocketWSGIApplication(handler_cls=Chat, process_request=site('chat.html'))
    with make_server(chosen.host, chosen.port, application, WSGIServer, WebSocketWSGIRequestHandler) as server:
        tell(chosen.host, server.server_port)
        with contextlib.suppress(KeyboardInterrupt):
            server.serve_forever()
