"""An echo server in a Tornado application: a page at / and a websocket at /echo. Ctrl-C says goodbye to the clients."""

import asyncio
import contextlib

from tornado.web import Application, RequestHandler

from ws4py.server.tornadoserver import WebSocketHandler, close_all
from ws4py.websocket import EchoWebSocket


class PageHandler(RequestHandler):
    def get(self):
        self.write('The websocket is at /echo.')


async def main():
    application = Application([('/', PageHandler), ('/echo', WebSocketHandler, {'handler_cls': EchoWebSocket})])
    server = application.listen(9000, '127.0.0.1')
    try:
        await asyncio.Event().wait()
    finally:
        server.stop()
        await close_all(application)
        await server.close_all_connections()


with contextlib.suppress(KeyboardInterrupt):
    asyncio.run(main())
