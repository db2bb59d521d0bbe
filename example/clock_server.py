"""A clock that ticks on every page that is open: python example/clock_server.py, then open the page it names."""

import asyncio
import contextlib
import datetime

from serving import options, site, tell

from ws4py.server.asyncioserver import serve
from ws4py.websocket import WebSocket


async def main(host, port):
    # A handler that does nothing: what is said to all of them is said by the server.
    async with serve(WebSocket, host, port, process_request=site('clock.html')) as server:
        tell(host, server.sockets[0].getsockname()[1])
        while True:
            now = datetime.datetime.now(datetime.timezone.utc)
            server.broadcast(now.isoformat(timespec='milliseconds'))
            await asyncio.sleep(1 - now.microsecond / 1e6)  # to the next full second, however long this took


if __name__ == '__main__':
    chosen = options(__doc__).parse_args()
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(main(chosen.host, chosen.port))
