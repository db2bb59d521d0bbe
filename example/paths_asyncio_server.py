"""Two websockets and a health check on asyncio: python example/paths_asyncio_server.py [certificate.pem key.pem]"""

import asyncio
import contextlib
import ssl
import sys

from ws4py.async_websocket import EchoWebSocket, WebSocket
from ws4py.exc import HTTPError
from ws4py.http11 import Response
from ws4py.server.asyncioserver import serve


class ShoutWebSocket(WebSocket):
    async def opened(self):
        async for message in self:
            if str(message) == 'bye':
                break
            await self.send(str(message).upper())
        await self.close(reason='bye')  # the connection would stay open


def process_request(request):
    if request.target == '/health':
        return Response(200, body=b'ok\n')
    if 'bot' in request.headers.get('User-Agent', ''):
        raise HTTPError(403, 'no robots, please')
    return None  # go on with the handshake


async def main():
    context = None
    if len(sys.argv) == 3:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(*sys.argv[1:])
    paths = {'/echo': EchoWebSocket, '/shout': ShoutWebSocket}
    async with serve(paths, '127.0.0.1', 9000, process_request=process_request, ssl=context) as server:
        await server.serve_forever()


if __name__ == '__main__':
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(main())
