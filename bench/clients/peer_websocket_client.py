"""websocket-client."""

from __future__ import annotations

import websocket
from common import conclude, url


def main() -> None:
    messages = size = 0
    client = websocket.create_connection(url())
    while True:
        opcode, data = client.recv_data()
        if opcode == websocket.ABNF.OPCODE_CLOSE:
            break
        messages += 1
        size += len(data)
    conclude(messages, size)


if __name__ == '__main__':
    main()
