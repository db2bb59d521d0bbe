"""Send some messages to an echo server with the asyncio client, print what comes back, and say goodbye."""

import asyncio
import sys

from ws4py.client.asyncioclient import connect


async def main(url: str) -> None:
    async with connect(url) as ws:
        for size in range(0, 200, 25):
            await ws.send('*' * size)
        async for message in ws:
            print(f'=> {len(message)} {message}')
            if len(message) == 175:
                await ws.close(reason='Bye bye')
    print('closed', ws.close_code, ws.close_reason)


if __name__ == '__main__':
    asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else 'ws://127.0.0.1:9000/'))
