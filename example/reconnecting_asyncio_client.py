"""Listen to a server with coroutines, and connect again whenever the connection is lost. SIGTERM ends it."""

import asyncio
import signal
import sys

from ws4py.backoff import Backoff
from ws4py.client.asyncioclient import Reconnecting, WebSocketClient


class Listener(WebSocketClient):
    async def opened(self):  # of each connection, for as long as it lasts
        await self.send('subscribe')
        async for message in self:
            print('=>', message, flush=True)


async def tell(attempt):
    """Called before each attempt, the first one included. False would prevent it."""
    if attempt.number:
        print(f'{attempt.cause}: attempt {attempt.number} in {attempt.delay:.1f} s', flush=True)


async def main(url: str) -> None:
    client = Reconnecting(lambda: Listener(url), Backoff(initial=0.1, maximum=30), tell)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, client.stop)
    await client.run_forever()


if __name__ == '__main__':
    asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else 'ws://127.0.0.1:9000/'))
