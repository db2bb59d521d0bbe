"""aiohttp on asyncio or uvloop. A broadcast is a loop over its connections: it has nothing of its own for that."""

from __future__ import annotations

import asyncio

from aiohttp import WSMsgType, web
from common import announce, parse_arguments, run, tls_context


def main() -> None:
    arguments = parse_arguments()
    everybody: set[web.WebSocketResponse] = set()

    async def echo(request: web.Request) -> web.WebSocketResponse:
        websocket = web.WebSocketResponse(compress=arguments.deflate, max_msg_size=0)
        await websocket.prepare(request)
        everybody.add(websocket)
        try:
            async for message in websocket:
                if arguments.broadcast:
                    for other in list(everybody):
                        await other.send_bytes(message.data)
                elif message.type == WSMsgType.BINARY:
                    await websocket.send_bytes(message.data)
                else:
                    await websocket.send_str(message.data)
        finally:
            everybody.discard(websocket)
        return websocket

    async def serve_forever() -> None:
        application = web.Application()
        application.router.add_get('/', echo)
        runner = web.AppRunner(application, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, '127.0.0.1', arguments.port, ssl_context=tls_context(arguments)).start()
        announce(runner.addresses[0][1])
        await asyncio.Event().wait()

    run(serve_forever, arguments)


if __name__ == '__main__':
    main()
