"""The old name of the asyncio server: what it has, and the program of the 0.x manual."""

from __future__ import annotations

import asyncio
import threading
import unittest
from typing import Any

from ws4py.async_websocket import EchoWebSocket
from ws4py.client.threadedclient import WebSocketClient
from ws4py.server import asyncioserver, tulipserver
from ws4py.server.tulipserver import WebSocketProtocol

TIMEOUT = 10.0


class Client(WebSocketClient):
    def received_message(self, message: Any) -> None:
        self.heard = str(message)
        self.close()


class TulipTest(unittest.TestCase):
    def test_the_names(self) -> None:
        for name in tulipserver.__all__:
            self.assertIs(getattr(tulipserver, name), getattr(asyncioserver, name))
        self.assertEqual(sorted(tulipserver.__all__), sorted(asyncioserver.__all__))

    def test_as_the_manual_has_it(self) -> None:
        loop = asyncio.new_event_loop()  # where the manual has get_event_loop(), which makes none any more

        def start_server() -> Any:
            proto_factory = lambda: WebSocketProtocol(EchoWebSocket)  # noqa: E731
            return loop.create_server(proto_factory, '127.0.0.1', 0)

        server = loop.run_until_complete(start_server())
        port = server.sockets[0].getsockname()[1]
        thread = threading.Thread(target=loop.run_forever, daemon=True)
        thread.start()
        try:
            client = Client(f'ws://127.0.0.1:{port}/')
            client.connect()
            client.send('hello')
            client.run_forever()
            self.assertEqual((client.heard, client.close_code), ('hello', 1000))
        finally:
            loop.call_soon_threadsafe(server.close)
            loop.call_soon_threadsafe(loop.stop)
            thread.join(TIMEOUT)
            loop.close()


if __name__ == '__main__':
    unittest.main()
