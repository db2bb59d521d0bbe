"""The first message says who it is: python example/token_auth_asyncio_server.py prints a token that is good for a day.

For programs, and for pages of other sites, which have no cookie here. In a URL a token would end up in logs.
"""

import asyncio
import contextlib

from serving import options, tell
from tokens import sign, verify

from ws4py.async_websocket import WebSocket
from ws4py.server.asyncioserver import serve

PATIENCE, DAY = 5, 24 * 60 * 60  # seconds


class Member(WebSocket):
    async def opened(self):
        name = await self.introduction()
        if name is None:
            await self.close(1008, f'say a token within {PATIENCE} s')
            return
        await self.send(f'hello {name}')
        async for message in self:
            await self.send(f'{name}: {message}')

    async def introduction(self):
        with contextlib.suppress(asyncio.TimeoutError):
            return verify('token', str(await asyncio.wait_for(self.recv(), PATIENCE)))


async def main(host, port):
    async with serve(Member, host, port) as server:
        tell(host, server.sockets[0].getsockname()[1])
        print(sign('token', 'ann', DAY), flush=True)
        await server.serve_forever()


if __name__ == '__main__':
    chosen = options(__doc__).parse_args()
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(main(chosen.host, chosen.port))
