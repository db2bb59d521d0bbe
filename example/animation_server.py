"""A drawing that moves, streamed in binary messages: python example/animation_server.py, then open the page it names.

A message is a frame: its number (32 bits), then points (16 bits for x, 16 for y, little-endian). The page answers each
frame that it has drawn. Who has AHEAD frames still to draw gets no more: slow pages see fewer frames, none piles up.
"""

import asyncio
import contextlib
import math
import struct
import time

from serving import options, site, tell

from ws4py.server.asyncioserver import serve
from ws4py.websocket import WebSocket

POINTS, RATE, AHEAD = 720, 30, 4


class Viewer(WebSocket):
    waiting = 0  # frames to draw

    def received_message(self, message):  # whatever it says
        self.waiting = max(0, self.waiting - 1)

    def show(self, frame):
        if self.waiting < AHEAD:
            self.waiting += 1
            with contextlib.suppress(RuntimeError):  # it has just gone
                self.send(frame, binary=True)


def draw(number):
    """Two pendulums whose phases drift."""
    coordinates = []
    for turn in (2 * math.pi * point / POINTS for point in range(POINTS)):
        for phase, fast in ((number / 90, 3), (number / 70 + math.pi / 2, 5)):
            swing = 0.7 * math.sin(2 * turn + phase) + 0.3 * math.sin(fast * turn - 2 * phase)
            coordinates.append(round(32767 * (1 + swing)))
    return struct.pack(f'<I{2 * POINTS}H', number, *coordinates)


async def main(host, port):
    async with serve(Viewer, host, port, process_request=site('animation.html')) as server:
        tell(host, server.sockets[0].getsockname()[1])
        begun = time.monotonic()
        while True:
            number = math.floor((time.monotonic() - begun) * RATE)
            frame = draw(number)
            for viewer in server.websockets:
                viewer.show(frame)
            await asyncio.sleep((number + 1) / RATE - (time.monotonic() - begun))


if __name__ == '__main__':
    chosen = options(__doc__).parse_args()
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(main(chosen.host, chosen.port))
