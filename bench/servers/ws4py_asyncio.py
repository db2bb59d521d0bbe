"""ws4py on asyncio or uvloop."""

from __future__ import annotations

from typing import Any

from common import announce, parse_arguments, run, tls_context

from ws4py.server.asyncioserver import serve
from ws4py.websocket import EchoWebSocket, WebSocket


def main() -> None:
    arguments = parse_arguments()

    class Everybody(WebSocket):
        server: Any

        def received_message(self, message: Any) -> None:
            self.server.broadcast(message.data, message.is_binary)

    async def serve_forever() -> None:
        async with serve(
            Everybody if arguments.broadcast else EchoWebSocket,
            '127.0.0.1',
            arguments.port,
            extensions=['permessage-deflate'] if arguments.deflate else None,
            ssl=tls_context(arguments),
        ) as server:
            Everybody.server = server
            announce(server.sockets[0].getsockname()[1])
            await server.serve_forever()

    run(serve_forever, arguments)


if __name__ == '__main__':
    main()
