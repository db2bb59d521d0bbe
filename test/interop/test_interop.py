"""Our clients with the servers of other projects, and their clients with our server, over ws and wss."""

from __future__ import annotations

import contextlib
import os
import queue
import ssl
import threading
import unittest
from collections.abc import Iterator
from typing import Any, Callable, Optional
from wsgiref.simple_server import make_server

from support_tls import client_context, server_context

from ws4py.client import WebSocketBaseClient
from ws4py.client.threadedclient import WebSocketClient
from ws4py.manager import WebSocketManager
from ws4py.server.wsgirefserver import WebSocketWSGIRequestHandler, WSGIServer
from ws4py.server.wsgiutils import WebSocketWSGIApplication
from ws4py.websocket import EchoWebSocket

try:
    from backends import foreign

    from interop import peers
except ImportError as error:  # pragma: no cover - the peers are a test extra
    raise unittest.SkipTest(f'a peer is not installed: {error}') from error

TEXT = 'héllo wörld, здравствуй, 你好 🎉'
MEBIBYTE = os.urandom(1 << 20)
TIMEOUT = peers.TIMEOUT


class Echo(EchoWebSocket):
    """The handler of our server: an echo that closes when it is told to, and keeps how each connection ended."""

    ended: queue.Queue[tuple[int, Any]] = queue.Queue()

    def received_message(self, message: Any) -> None:
        words = str(message).split(' ') if message.is_text and len(message.data) < 100 else ['']
        if words[0] == 'close':
            self.close(int(words[1]), words[2])
        else:
            super().received_message(message)

    def closed(self, code: int, reason: Any = None) -> None:
        self.ended.put((code, reason))


@contextlib.contextmanager
def our_server(context: Optional[ssl.SSLContext] = None) -> Iterator[int]:
    """Our server on wsgiref."""
    server = make_server(
        '127.0.0.1',
        0,
        app=WebSocketWSGIApplication(handler_cls=Echo),
        server_class=WSGIServer,
        handler_class=WebSocketWSGIRequestHandler,
    )
    server.ssl_context = context
    server.initialize_websockets_manager()
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class Inbox:
    """What both of our clients share: events go into queues."""

    def prepare(self) -> None:
        self.messages: queue.Queue[Any] = queue.Queue()
        self.pongs: queue.Queue[bytes] = queue.Queue()
        self.ended: queue.Queue[tuple[int, Any]] = queue.Queue()

    def received_message(self, message: Any) -> None:
        self.messages.put(str(message) if message.is_text else message.data)

    def ponged(self, pong: Any) -> None:
        self.pongs.put(pong.data)

    def closed(self, code: int, reason: Any = None) -> None:
        self.ended.put((code, reason))


class ThreadedClient(Inbox, WebSocketClient):
    """The client with a thread of its own."""


class ManagedClient(Inbox, WebSocketBaseClient):
    """The client that a manager drives."""

    manager: WebSocketManager

    def handshake_ok(self) -> None:
        self.manager.add(self)


class TheirServers(unittest.TestCase):
    """Our clients against the servers of other projects."""

    @classmethod
    def setUpClass(cls) -> None:
        ManagedClient.manager = WebSocketManager()
        ManagedClient.manager.start()

    @classmethod
    def tearDownClass(cls) -> None:
        ManagedClient.manager.stop()
        ManagedClient.manager.join()

    def each(self, scenario: Callable[[Any], None]) -> None:
        """Run *scenario* with a connected client of ours for each pairing."""
        for name, serve in peers.SERVERS.items():
            for scheme, context in (('ws', None), ('wss', server_context())):
                with serve(context) as port:
                    for client_class in (ThreadedClient, ManagedClient):
                        with self.subTest(server=name, scheme=scheme, client=client_class.__name__):
                            client = client_class(
                                f'{scheme}://127.0.0.1:{port}/', ssl_options={'ssl_context': client_context()}
                            )
                            client.prepare()
                            client.connect()
                            scenario(client)
                            if client.close_code is None:
                                client.close()
                                client.ended.get(timeout=TIMEOUT)

    def test_text_and_binary(self) -> None:
        def scenario(client: Any) -> None:
            for payload in (TEXT, TEXT.encode(), '', b'', MEBIBYTE, 'x' * (1 << 20)):
                client.send(payload, binary=isinstance(payload, bytes))
                self.assertEqual(client.messages.get(timeout=TIMEOUT), payload)

        self.each(scenario)

    def test_fragments(self) -> None:
        def scenario(client: Any) -> None:
            client.send(part for part in ('one ', 'two ', 'thrée'))
            self.assertEqual(client.messages.get(timeout=TIMEOUT), 'one two thrée')
            client.send([b'\0\1', b'', b'\2'], binary=True)
            self.assertEqual(client.messages.get(timeout=TIMEOUT), b'\0\1\2')

        self.each(scenario)

    def test_ping(self) -> None:
        def scenario(client: Any) -> None:
            client.ping('are you there?')
            self.assertEqual(client.pongs.get(timeout=TIMEOUT), b'are you there?')

        self.each(scenario)

    def test_we_close(self) -> None:
        def scenario(client: Any) -> None:
            client.close(3001, 'enough')
            self.assertIn(client.ended.get(timeout=TIMEOUT), [(3001, b'enough'), (1000, b'')])  # aiohttp answers 1000

        self.each(scenario)

    def test_they_close(self) -> None:
        def scenario(client: Any) -> None:
            client.send('close 4001 bye')
            self.assertEqual(client.ended.get(timeout=TIMEOUT), (4001, b'bye'))

        self.each(scenario)


class TheirClients(unittest.TestCase):
    """The clients of other projects against our server."""

    def each(self, scenario: Callable[[Any], None]) -> None:
        """Run *scenario* with a connected client of theirs for each pairing."""
        for scheme, context in (('ws', None), ('wss', server_context())):
            with our_server(context) as port:
                for name, connect in foreign.CLIENTS.items():
                    with self.subTest(client=name, scheme=scheme):
                        Echo.ended = queue.Queue()
                        client = connect(f'{scheme}://127.0.0.1:{port}/', client_context() if context else None)
                        with contextlib.ExitStack() as cleanup:
                            cleanup.callback(client.disconnect)
                            scenario(client)

    def assert_ended(self, *expected: tuple[int, bytes]) -> None:
        self.assertIn(Echo.ended.get(timeout=TIMEOUT), expected)

    def test_text_and_binary(self) -> None:
        def scenario(client: Any) -> None:
            for payload in (TEXT, TEXT.encode(), '', b'', MEBIBYTE, 'x' * (1 << 20)):
                client.send(payload)
                self.assertEqual(client.receive(), payload)
            client.close(1000, '')
            self.assert_ended((1000, b''))

        self.each(scenario)

    def test_fragments(self) -> None:
        def scenario(client: Any) -> None:
            if client.send_fragments is not None:
                client.send_fragments(['one ', 'two ', 'thrée'])
                self.assertEqual(client.receive(), 'one two thrée')
                client.send_fragments([b'\0\1', b'', b'\2'])
                self.assertEqual(client.receive(), b'\0\1\2')
            client.close(1000, '')
            self.assert_ended((1000, b''))

        self.each(scenario)

    def test_ping(self) -> None:
        def scenario(client: Any) -> None:
            self.assertTrue(client.ping())
            client.close(1000, '')
            self.assert_ended((1000, b''))

        self.each(scenario)

    def test_they_close(self) -> None:
        def scenario(client: Any) -> None:
            self.assertIn(client.close(3001, 'enough'), [(3001, 'enough'), (3001, None)])  # aiohttp forgets the reason
            self.assert_ended((3001, b'enough'))

        self.each(scenario)

    def test_we_close(self) -> None:
        def scenario(client: Any) -> None:
            client.send('close 4001 bye')
            self.assertEqual(client.wait_closed(), (4001, 'bye'))
            self.assert_ended((4001, b'bye'), (1000, b''))  # some answer every Close with 1000

        self.each(scenario)


if __name__ == '__main__':
    unittest.main()
