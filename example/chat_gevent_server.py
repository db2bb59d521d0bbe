"""A chat on gevent: python example/chat_gevent_server.py, then open the page it names."""

import contextlib

from chat import Chat
from serving import options, site, tell

from ws4py.server.geventserver import WSGIServer
from ws4py.server.wsgiutils import WebSocketWSGIApplication

if __name__ == '__main__':
    chosen = options(__doc__).parse_args()
    application = WebSocketWSGIApplication(handler_cls=Chat, process_request=site('chat.html'))
    server = WSGIServer((chosen.host, chosen.port), application)
    server.start()
    tell(chosen.host, server.server_port)
    with contextlib.suppress(KeyboardInterrupt):
        server.serve_forever()
