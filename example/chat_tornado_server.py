"""A chat on Tornado: python example/chat_tornado_server.py, then open the page it names."""

import asyncio
import contextlib

from chat import Chat
from serving import HERE, HTML, options, own_page_only, tell
from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets
from tornado.web import Application, RequestHandler

from ws4py.server.tornadoserver import WebSocketHandler, close_all


class PageHandler(RequestHandler):
    def get(self):
        for name, value in HTML:
            self.set_header(name, value)
        self.finish((HERE / 'chat.html').read_bytes())


async def main(host, port):
    chat = {'handler_cls': Chat, 'process_request': own_page_only}
    application = Application([('/', PageHandler), ('/ws', WebSocketHandler, chat)])
    server, sockets = HTTPServer(application), bind_sockets(port, host)
    server.add_sockets(sockets)
    tell(host, sockets[0].getsockname()[1])
    try:
        await asyncio.Event().wait()  # until Ctrl-C
    finally:
        server.stop()
        await close_all(application)
        await server.close_all_connections()


if __name__ == '__main__':
    chosen = options(__doc__).parse_args()
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(main(chosen.host, chosen.port))
