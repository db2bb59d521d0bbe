"""Files go up with a progress bar: python example/upload_server.py [--directory DIR], then open the page it names.

A client says how many bytes, then sends them in binary messages. Each is answered with the number of bytes on the disk,
which moves the bar and asks for more. While one is written the next ones wait in the socket, not in our memory.
"""

import asyncio
import contextlib
import hashlib
import json
import secrets
import tempfile
from pathlib import Path

from serving import options, site, tell

from ws4py.async_websocket import WebSocket
from ws4py.limits import Limits
from ws4py.server.asyncioserver import serve

parser = options(__doc__)
parser.add_argument('--directory', default=tempfile.gettempdir(), help='for the files (%(default)s)')
chosen = parser.parse_args()


class Upload(WebSocket):
    limits = Limits(message_size=2**20, idle_timeout=60)

    async def opened(self):
        announced = (await self.recv()).data
        if not announced.isdigit() or len(announced) > 9:
            await self.close(1008, 'a file of less than 10**9 bytes, please')
            return
        size, received, digest = int(announced), 0, hashlib.sha256()
        path = Path(chosen.directory, f'upload-{secrets.token_hex(8)}')  # a client's name for it is no path here
        with path.open('xb') as file:
            try:
                while received < size:
                    data = (await self.recv()).data
                    digest.update(data)
                    await asyncio.to_thread(file.write, data)
                    received += len(data)
                    await self.send(json.dumps({'received': received, 'sha256': digest.hexdigest()}))
            finally:
                if received != size:
                    path.unlink()
        await self.close(*((1000, path.name) if received == size else (1008, 'more bytes than were announced')))


async def main():
    async with serve(Upload, chosen.host, chosen.port, process_request=site('upload.html')) as server:
        tell(chosen.host, server.sockets[0].getsockname()[1])
        await server.serve_forever()


with contextlib.suppress(KeyboardInterrupt):
    asyncio.run(main())
