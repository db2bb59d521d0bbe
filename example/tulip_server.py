"""An echo server on asyncio, whose connections are a plain protocol under the loop's own server."""

import asyncio
import contextlib

from ws4py.async_websocket import EchoWebSocket
from ws4py.server.tulipserver import WebSocketProtocol


async def main():
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: WebSocketProtocol(EchoWebSocket), '127.0.0.1', 9007)
    print('serving on', server.sockets[0].getsockname(), flush=True)
    await asyncio.Event().wait()  # until Ctrl-C


if __name__ == '__main__':
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(main())
