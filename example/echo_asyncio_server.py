import asyncio
import contextlib

from ws4py.async_websocket import EchoWebSocket
from ws4py.server.asyncioserver import serve


async def main():
    async with serve(EchoWebSocket, '127.0.0.1', 9000) as server:
        await server.serve_forever()


if __name__ == '__main__':
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(main())
