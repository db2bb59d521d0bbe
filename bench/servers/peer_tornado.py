"""Tornado on asyncio. A broadcast is a loop over its connections: it has nothing of its own for that."""

from __future__ import annotations

import asyncio
from typing import Union

from common import announce, parse_arguments, run, tls_context
from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets
from tornado.web import Application
from tornado.websocket import WebSocketHandler


def main() -> None:
    arguments = parse_arguments()
    everybody: set[WebSocketHandler] = set()

    class Echo(WebSocketHandler):
        def open(self) -> None:
            everybody.add(self)

        def on_close(self) -> None:
            everybody.discard(self)

        def on_message(self, message: Union[str, bytes]) -> None:
            for websocket in list(everybody) if arguments.broadcast else (self,):
                websocket.write_message(message, binary=isinstance(message, bytes))

    async def serve_forever() -> None:
        server = HTTPServer(Application([('/', Echo)]), ssl_options=tls_context(arguments))
        sockets = bind_sockets(arguments.port, '127.0.0.1')
        server.add_sockets(sockets)
        announce(sockets[0].getsockname()[1])
        await asyncio.Event().wait()

    run(serve_forever, arguments)


if __name__ == '__main__':
    main()
