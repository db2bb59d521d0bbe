"""Observed clients of every kind, with an observed server: both count the same."""

from __future__ import annotations

import asyncio
import importlib.util
import threading
import unittest
from typing import Any
from wsgiref.simple_server import make_server

from ws4py.client import asyncioclient, threadedclient
from ws4py.metrics import Counters, Snapshot, observed
from ws4py.server.wsgirefserver import WebSocketWSGIRequestHandler, WSGIServer
from ws4py.server.wsgiutils import WebSocketWSGIApplication
from ws4py.websocket import EchoWebSocket

TIMEOUT = 20.0  # seconds


def has(name: str) -> bool:
    return importlib.util.find_spec(name) is not None


class Says:
    """Hooks of a client that says hello, and goodbye when it is answered."""

    def opened(self: Any) -> None:
        self.send('hello')

    def received_message(self: Any, message: Any) -> None:
        self.close()


class Clients(unittest.TestCase):
    def setUp(self) -> None:
        self.mine, self.theirs = Counters(), Counters()
        application = WebSocketWSGIApplication(handler_cls=observed(EchoWebSocket, self.theirs))
        server = make_server('127.0.0.1', 0, application, WSGIServer, WebSocketWSGIRequestHandler)
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        self.addCleanup(thread.join)
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        self.url = f'ws://127.0.0.1:{server.server_port}/'

    def tearDown(self) -> None:
        # The server tells that it is over before it ends the TCP connection, for which each client waits.
        for counters, received, sent in ((self.mine, 7 + 4, 6 + 5 + 8), (self.theirs, 6 + 5 + 8, 7 + 4)):
            numbers = {'text_received': 1, 'text_sent': 1, 'bytes_received': received, 'bytes_sent': sent}
            self.assertEqual(counters.snapshot(), Snapshot(opened=1, closes={'1000': 1}, **numbers))

    def test_threaded(self) -> None:
        class Client(Says, threadedclient.WebSocketClient):
            pass

        client = observed(Client, self.mine)(self.url)
        client.connect()
        client.run_forever()

    def test_asyncio(self) -> None:
        async def talk() -> None:
            client = observed(asyncioclient.WebSocketClient, self.mine)(self.url)
            await client.connect()
            await client.send('hello')
            self.assertEqual(str(await client.recv()), 'hello')
            await client.close()

        asyncio.run(asyncio.wait_for(talk(), TIMEOUT))

    @unittest.skipUnless(has('gevent'), 'gevent is not installed')
    def test_gevent(self) -> None:
        from ws4py.client import geventclient

        client = observed(geventclient.WebSocketClient, self.mine)(self.url)
        client.connect()
        client.send('hello')
        self.assertEqual(str(client.receive()), 'hello')
        client.close()
        self.assertIsNone(client.receive())

    @unittest.skipUnless(has('tornado'), 'Tornado is not installed')
    def test_tornado(self) -> None:
        from ws4py.client import tornadoclient

        async def talk() -> None:
            over = asyncio.Event()

            class Client(Says, tornadoclient.TornadoWebSocketClient):
                def closed(self, code: int, reason: Any = None) -> None:
                    over.set()

            client = observed(Client, self.mine)(self.url)
            client.connect()
            await asyncio.wait_for(over.wait(), TIMEOUT)

        asyncio.run(talk())


if __name__ == '__main__':
    unittest.main()
