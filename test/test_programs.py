"""Programs as they were written for ws4py 0.x, against each other: they run as they are.

The first two are the manual's. The others have what applications of those years have in common: attributes that are
set before the base class is constructed, hooks that reach for the socket, properties that are overridden, a client
that is constructed again to reconnect.
"""

from __future__ import annotations

import json
import socket
import threading
import unittest
from typing import Any
from wsgiref.simple_server import make_server

from helpers import TIMEOUT, logs, wait_for

from ws4py import format_addresses
from ws4py.client import WebSocketBaseClient
from ws4py.client.threadedclient import WebSocketClient
from ws4py.exc import HandshakeError
from ws4py.manager import WebSocketManager
from ws4py.messaging import TextMessage
from ws4py.server.wsgirefserver import WebSocketWSGIRequestHandler, WSGIServer
from ws4py.server.wsgiutils import WebSocketWSGIApplication
from ws4py.websocket import EchoWebSocket, WebSocket


class ProgramCase(unittest.TestCase):
    def setUp(self) -> None:
        context = logs()
        context.__enter__()
        self.addCleanup(context.__exit__, None, None, None)

    def serve(self, handler_cls: Any = EchoWebSocket, **options: Any) -> Any:
        server: Any = make_server(
            '127.0.0.1',
            0,
            server_class=WSGIServer,
            handler_class=WebSocketWSGIRequestHandler,
            app=WebSocketWSGIApplication(handler_cls=handler_cls, **options),
        )
        server.initialize_websockets_manager()
        server.url = f'ws://127.0.0.1:{server.server_port}/'
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        for cleanup in (server.server_close, thread.join, server.shutdown):  # the last one first
            self.addCleanup(cleanup)
        return server

    def manage(self) -> WebSocketManager:
        manager = WebSocketManager()
        manager.start()
        for cleanup in (lambda: manager.join(TIMEOUT), manager.stop, manager.close_all):
            self.addCleanup(cleanup)
        return manager


class ManualTest(ProgramCase):
    def test_the_threaded_client(self) -> None:
        printed: list[Any] = []

        class DummyClient(WebSocketClient):
            def opened(self) -> None:
                def data_provider() -> Any:
                    for i in range(1, 200, 25):
                        yield '#' * i

                self.send(data_provider())
                for i in range(0, 200, 25):
                    self.send('*' * i)

            def closed(self, code: int, reason: Any = None) -> None:
                printed.append(('Closed down', code, reason))

            def received_message(self, m: Any) -> None:
                printed.append(len(m))
                if len(m) == 175:
                    self.close(reason='Bye bye')

        ws = DummyClient(self.serve().url, protocols=['http-only', 'chat'])
        ws.connect()
        ws.run_forever()
        self.assertEqual(printed, [sum(range(1, 200, 25)), *range(0, 200, 25), ('Closed down', 1000, b'Bye bye')])

    def test_many_clients_in_a_manager(self) -> None:
        m, printed = self.manage(), []

        class EchoClient(WebSocketBaseClient):
            def handshake_ok(self) -> None:
                printed.append(f'Opening {format_addresses(self)}')
                m.add(self)

            def received_message(self, msg: Any) -> None:
                printed.append(str(msg))

        server = self.serve()
        for _ in range(20):
            client = EchoClient(server.url)
            client.connect()
        self.assertEqual((len(m), len(printed)), (20, 20))
        self.assertIn(f'Remote => 127.0.0.1:{server.server_port}]', printed[0])
        with m.lock:
            for ws in m.websockets.values():
                ws.send('hello')
        wait_for(lambda: printed.count('hello') == 20)
        server.manager.close_all()
        wait_for(lambda: all(ws.terminated for ws in m.websockets.values()))


class ApplicationTest(ProgramCase):
    def test_a_command_over_a_base_client(self) -> None:
        """Attributes before the base class's constructor, a resource of its own, text that is encoded by hand."""
        manager, environs = self.manage(), []

        class Command(EchoWebSocket):
            def opened(self) -> None:
                environs.append(self.environ)

        class CommandClient(WebSocketBaseClient):
            def __init__(self, manager: Any, *args: Any, **kwargs: Any) -> None:
                self.manager = manager
                self.encoding = kwargs.pop('encoding', None)
                self.finished = False
                super().__init__(*args, **kwargs)

            def handshake_ok(self) -> None:
                self.manager.add(self)
                self.buffer: list[bytes] = []
                self.send('input'.encode(self.encoding), binary=False)
                self.send(b'', binary=False)

            def received_message(self, message: Any) -> None:
                if len(message.data) == 0:
                    self.close()
                else:
                    self.buffer.append(message.data)

            def closed(self, code: int, reason: Any = None) -> None:
                self.finished = True

        client = CommandClient(manager, self.serve(Command).url, encoding='utf-8', ssl_options=None)
        client.resource = '/1.0/operations/x?secret=y'
        client.connect()
        wait_for(lambda: client.finished)
        self.assertEqual(client.buffer, [b'input'])
        self.assertEqual((environs[0]['PATH_INFO'], environs[0]['QUERY_STRING']), ('/1.0/operations/x', 'secret=y'))

    def test_a_remote_control(self) -> None:
        """Requests and answers matched by a number, headers that are filtered, a lock around every send."""

        class Remote(WebSocketClient):
            def __init__(self, url: str) -> None:
                super().__init__(url, exclude_headers=['Origin'], headers=[('Authorization', 'Bearer t')])
                self.waiters: dict[str, Any] = {}
                self.send_lock = threading.RLock()

            @property
            def handshake_headers(self) -> list[tuple[str, str]]:
                return [(name, value) for name, value in super().handshake_headers if name != 'X-Not-Me']

            def ask(self, number: str) -> threading.Event:
                answered = self.waiters[number] = threading.Event()
                with self.send_lock:
                    self.send(json.dumps({'id': number}))
                return answered

            def received_message(self, message: Any) -> None:
                with self.send_lock:
                    self.waiters.pop(json.loads(str(message))['id']).set()

        server = self.serve()
        remote = Remote(server.url)
        remote.extra_headers.append(('X-Not-Me', '1'))
        remote.connect()
        self.assertTrue(all(remote.ask(number).wait(TIMEOUT) for number in '123'))
        (websocket,) = server.manager
        self.assertEqual(websocket.environ['HTTP_AUTHORIZATION'], 'Bearer t')
        self.assertFalse({'HTTP_ORIGIN', 'HTTP_X_NOT_ME'} & set(websocket.environ))
        self.assertFalse(remote.client_terminated or remote.server_terminated)
        remote.close()
        self.assertTrue(remote.client_terminated)
        remote.run_forever()
        self.assertTrue(remote.terminated)

    def test_events_for_everybody(self) -> None:
        """A server whose other threads broadcast, and walk through the connections."""
        received: list[str] = []

        class Events(WebSocket):
            def received_message(self, message: Any) -> None:
                received.append(message.data.decode('utf-8'))

        class Listener(WebSocketClient):
            def __init__(self, url: str) -> None:
                self.heard: list[Any] = []
                super().__init__(url)

            def received_message(self, message: Any) -> None:
                self.heard.append(json.loads(message.data))

        server = self.serve(Events, protocols=['Events'])
        listeners = [Listener(server.url) for _ in range(3)]
        for listener in listeners:
            listener.connect()
            listener.send('ready')
        wait_for(lambda: received == ['ready'] * 3)
        server.manager.broadcast(json.dumps({'topic': 'all'}))
        with server.manager.lock:
            for websocket in server.manager.websockets.values():
                if not websocket.terminated and 'HTTP_REMOTE_USER' not in websocket.environ:
                    websocket.send(json.dumps({'topic': 'each'}))
        for listener in listeners:
            wait_for(lambda listener=listener: listener.heard == [{'topic': 'all'}, {'topic': 'each'}])
        server.manager.close_all()
        for listener in listeners:
            listener.run_forever()
            self.assertEqual((listener.close_code, listener.close_reason), (1001, b'Server is shutting down'))

    def test_a_chat_with_a_set_of_people(self) -> None:
        people: set[Any] = set()
        heard: list[str] = []

        class Chat(WebSocket):
            def opened(self) -> None:
                people.add(self)

            def received_message(self, message: Any) -> None:
                for person in people:
                    person.send(message.data, message.is_binary)

            def closed(self, code: int, reason: Any = 'A client left the room without a proper explanation.') -> None:
                people.remove(self)
                for person in people:
                    person.send(TextMessage(reason))

        class Person(WebSocketClient):
            def received_message(self, message: Any) -> None:
                heard.append(str(message))

        server = self.serve(Chat)
        first, second = Person(server.url), Person(server.url)
        first.connect()
        second.connect()
        wait_for(lambda: len(people) == 2)
        first.send('hello')
        wait_for(lambda: heard == ['hello', 'hello'])
        first.close(1000, 'see you')
        wait_for(lambda: heard[2:] == ['see you'])

    def test_reconnecting(self) -> None:
        """By constructing the object again: while nobody is there, and in closed(), which reaches for the socket."""
        log: list[Any] = []

        class Stubborn(WebSocketClient):
            def opened(self) -> None:
                log.append('opened')
                self.close(reason='again')

            def closed(self, code: int, reason: Any = None) -> None:
                log.append((code, self.sock.getsockname() == self.local_address))
                self.sock.settimeout(1)
                self.sock.close()
                if len(log) < 6:
                    self.__init__(self.url)  # type: ignore[misc]
                    self.connect()

        closed = socket.create_server(('127.0.0.1', 0))
        client = Stubborn(f'ws://127.0.0.1:{closed.getsockname()[1]}/')
        closed.close()
        for _ in range(3):
            with self.assertRaises((OSError, HandshakeError)):
                client.connect()
            self.assertIsNone(client.sock)
            client.__init__(client.url)  # type: ignore[misc]
        client.__init__(self.serve().url)  # type: ignore[misc]
        client.connect()
        client.run_forever()
        self.assertEqual(log, ['opened', (1000, True)] * 3)


if __name__ == '__main__':
    unittest.main()
