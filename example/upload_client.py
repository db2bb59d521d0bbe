"""Send a file to upload_server.py with a progress bar: python example/upload_client.py FILE [ws://127.0.0.1:9000/ws]"""

import asyncio
import hashlib
import json
import sys
from pathlib import Path

from ws4py.client.asyncioclient import connect

PIECE = 64 * 1024  # bytes of a message
AHEAD = 16 * PIECE  # bytes that are sent before the server has written them


async def upload(path, url):
    """Send the file.

    :returns: how the server closed, and whether it has got the same bytes.
    """
    size, sent, received, digest = path.stat().st_size, 0, 0, hashlib.sha256()
    theirs = digest.hexdigest()
    async with connect(url) as ws:
        await ws.send(str(size))
        with path.open('rb') as file:
            while received < size:
                if sent < size and sent - received < AHEAD:
                    piece = file.read(PIECE)
                    digest.update(piece)
                    await ws.send(piece, binary=True)
                    sent += len(piece)
                else:
                    answer = json.loads((await ws.recv()).data)
                    received, theirs = answer['received'], answer['sha256']
                    print(f'\r{received / size:4.0%} {"█" * (40 * received // size):40}', end='', file=sys.stderr)
        await ws.wait_closed()
    return ws.close_code, ws.close_reason.decode(), theirs == digest.hexdigest()


if __name__ == '__main__':
    url = sys.argv[2] if len(sys.argv) > 2 else 'ws://127.0.0.1:9000/ws'
    code, reason, is_same = asyncio.run(upload(Path(sys.argv[1]), url))
    print(f'\nclosed {code} {reason}: {"the same bytes" if is_same else "other bytes than were sent"}')
    sys.exit(code != 1000 or not is_same)
