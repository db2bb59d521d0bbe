"""An echo whose numbers are at /numbers, without any library: python example/metrics_asyncio_server.py"""

import asyncio
import contextlib
import dataclasses
import json

from ws4py.async_websocket import EchoWebSocket
from ws4py.http11 import Headers, Response
from ws4py.metrics import Counters, observed
from ws4py.server.asyncioserver import serve

counters = Counters()


def process_request(request):
    if request.target == '/numbers':
        numbers = dataclasses.asdict(counters.snapshot())
        return Response(200, headers=Headers([('Content-Type', 'application/json')]), body=json.dumps(numbers).encode())
    return None  # go on with the handshake


async def main():
    handler_cls = observed(EchoWebSocket, counters)
    async with serve(handler_cls, '127.0.0.1', 9000, process_request=process_request) as server:
        await server.serve_forever()


if __name__ == '__main__':
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(main())
