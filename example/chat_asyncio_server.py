"""A chat on asyncio: python example/chat_asyncio_server.py, then open the page it names."""

import asyncio
import contextlib

from chat import Chat
from serving import options, site, tell

from ws4py.server.asyncioserver import serve


async def main(host, port):
    async with serve(Chat, host, port, process_request=site('chat.html')) as server:
        tell(host, server.sockets[0].getsockname()[1])
        await server.serve_forever()


if __name__ == '__main__':
    chosen = options(__doc__).parse_args()
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(main(chosen.host, chosen.port))
