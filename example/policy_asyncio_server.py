"""A server behind a proxy that knows whom it lets in, and how many: python example/policy_asyncio_server.py"""

import asyncio
import contextlib

from ws4py.exc import HTTPError
from ws4py.http11 import Response
from ws4py.limits import Limits
from ws4py.server.asyncioserver import serve
from ws4py.websocket import EchoWebSocket

blocked = {'192.0.2.66'}


class Shown(EchoWebSocket):
    def opened(self):
        self.send(f'{self.peer_address[0]} by {self.environ["wsgi.url_scheme"]}, {self.protocols}')


def health(request):
    return Response(200, body=b'ok\n') if request.target == '/health' else None


def not_blocked(request):
    if request.peer_address[0] in blocked:
        raise HTTPError(403, 'not from there')


def newest(request, offered):
    versions = [name for name in offered if name.startswith('chat.v')]
    return max(versions) if versions else None


async def main():
    async with serve(
        Shown,
        '127.0.0.1',
        9000,
        origins=['https://chat.example.com'],
        process_request=[health, not_blocked],
        select_subprotocol=newest,
        trusted_proxies=['127.0.0.1', '10.0.0.0/8'],
        limits=Limits(connections=10_000, connections_per_peer=20),
    ) as server:
        await server.serve_forever()


if __name__ == '__main__':
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(main())
