import asyncio
import contextlib

from ws4py.async_websocket import WebSocket
from ws4py.permessage_deflate import PerMessageDeflate
from ws4py.server.asyncioserver import serve

DEFLATE = PerMessageDeflate(level=3, threshold=256)


class Mirror(WebSocket):
    def received_message(self, message):
        # Noise gets no shorter: it goes out as it is.
        self.send(message.data, message.is_binary, compress=None if message.is_text else False)


async def main():
    async with serve(Mirror, '127.0.0.1', 9000, extensions=[DEFLATE]) as server:
        await server.serve_forever()


if __name__ == '__main__':
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(main())
