"""ws4py's threaded client."""

from __future__ import annotations

from typing import Any

from common import conclude, url

from ws4py.client.threadedclient import WebSocketClient


class Counter(WebSocketClient):
    messages = 0
    size = 0

    def received_message(self, message: Any) -> None:
        self.messages += 1
        self.size += len(message.data)


def main() -> None:
    client = Counter(url())
    client.connect()
    client.run_forever()
    conclude(client.messages, client.size)


if __name__ == '__main__':
    main()
