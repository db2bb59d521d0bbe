from __future__ import annotations

import contextlib
import os
import socket
import struct
import tempfile
import threading
import unittest
from typing import Any, Callable

try:
    import gevent
except ImportError:
    raise unittest.SkipTest('gevent is not installed') from None

import gevent.queue
import gevent.socket
import gevent.ssl
import support_tls
from helpers import Recorder, logs, needs_certificates, wait_for
from support_gevent import PATCHED, TIMEOUT, HubCase, in_thread, run_patched
from support_sockets import ScriptedServer, read_all, read_request, response_to, say

from ws4py.client import WebSocketBaseClient
from ws4py.client.geventclient import CROWD, WebSocketClient
from ws4py.exc import HandshakeError
from ws4py.limits import Limits
from ws4py.websocket import EchoWebSocket

try:
    import websockets.sync.server as websockets_server
except ImportError:  # a test extra
    websockets_server = None  # type: ignore[assignment]


def echo(sock: socket.socket) -> None:
    """A server of the other half of this package."""
    sock.sendall(response_to(read_request(sock)))
    EchoWebSocket(sock).run()


def behind(*frames: bytes, then: Callable[[socket.socket], Any] = read_all) -> Any:
    """A server that sends *frames* in the segment of its response."""
    return say(lambda request: response_to(request) + b''.join(frames), then=lambda sock, request: then(sock))


def one_answer(sock: socket.socket) -> None:
    """Wait for what the client sends, and then close."""
    sock.recv(65536)


class Told(Recorder, WebSocketClient):
    """Its messages are brought to it."""


class ClientCase(HubCase):
    def server(self, script: Any = echo) -> ScriptedServer:
        server = ScriptedServer(script)
        server.__enter__()
        self.addCleanup(server.__exit__, None, None, None)
        return server

    def connect(self, script: Any = echo, cls: Any = WebSocketClient, **options: Any) -> Any:
        options.setdefault('limits', Limits(close_timeout=2))
        client = self.hub.do(cls, f'ws://127.0.0.1:{self.server(script).port}/', **options)
        self.addCleanup(self.end, client)
        self.hub.do(client.connect)
        return client

    def end(self, client: Any) -> None:
        def end() -> None:
            client.abort(1006, 'the test is over')
            client.run_forever()

        self.hub.do(end)


class ClientTest(ClientCase):
    def test_talk(self) -> None:
        client = self.connect()
        self.assertIsInstance(client, WebSocketBaseClient)
        self.assertIsInstance(client.messages, gevent.queue.Queue)
        for payload in ('one', b'two', '', 'x' * 3_000_000):
            self.hub.do(client.send, payload, isinstance(payload, bytes))
            message = self.hub.do(client.receive)
            self.assertEqual(str(message) if message.is_text else message.data, payload)
        self.hub.do(client.send, (part for part in ('in ', 'parts')))
        self.assertEqual(str(self.hub.do(client.receive)), 'in parts')
        self.hub.do(client.close, 1000, 'done')
        self.assertIsNone(self.hub.do(client.receive))
        self.assertIsNone(self.hub.do(client.receive))
        self.assertIsNone(self.hub.do(client.receive, block=False))
        self.hub.do(client.run_forever)
        self.assertEqual((client.close_code, client.sock), (1000, None))

    def test_the_manuals_greenlets(self) -> None:
        client = self.connect()
        heard = []

        def incoming() -> None:
            while True:
                message = client.receive()
                if message is None:
                    break
                heard.append(str(message))
                if len(heard) == 8:
                    client.close()

        def send_a_bunch() -> None:
            for size in range(0, 40, 5):
                client.send('*' * size)

        def run() -> None:
            gevent.joinall([gevent.spawn(incoming), gevent.spawn(send_a_bunch)], timeout=TIMEOUT, raise_error=True)

        self.hub.do(run)
        self.assertEqual(heard, ['*' * size for size in range(0, 40, 5)])

    def test_receive_without_waiting(self) -> None:
        client = self.connect()
        self.assertIsNone(self.hub.do(client.receive, False))
        self.assertFalse(client.terminated)
        self.hub.do(client.send, 'hello')
        self.assertEqual(str(wait_for(lambda: self.hub.do(client.receive, False))), 'hello')

    def test_everybody_hears_of_the_end(self) -> None:
        client = self.connect()
        waiting = [self.hub.spawn(client.receive) for _ in range(3)]
        iterating = self.hub.spawn(list, client.messages)
        self.hub.do(client.close)
        self.assertEqual([future.result(TIMEOUT) for future in waiting], [None] * 3)
        self.assertEqual(iterating.result(TIMEOUT), [])

    def test_messages_that_came_before_the_end(self) -> None:
        client = self.connect(behind(b'\x81\x03one', b'\x81\x03two', b'\x88\x02\x03\xe8', then=one_answer))
        self.hub.do(client.run_forever)
        self.assertEqual([str(self.hub.do(client.receive)) for _ in range(2)], ['one', 'two'])
        self.assertIsNone(self.hub.do(client.receive))

    def test_hooks(self) -> None:
        client = self.connect(cls=Told)
        wait_for(lambda: client.calls)
        self.hub.do(client.send, 'hello')
        wait_for(lambda: client.named('message'))
        in_thread(client.ping, b'there?').result(TIMEOUT)
        wait_for(lambda: client.named('pong'))
        in_thread(client.close, 1000, 'done').result(TIMEOUT)
        self.assertTrue(client.over.wait(TIMEOUT))
        self.assertEqual(
            client.calls, [('opened',), ('message', b'hello'), ('pong', b'there?'), ('closed', 1000, b'done')]
        )
        self.assertIsNone(self.hub.do(client.receive))

    def test_a_send_right_after_connect(self) -> None:
        """Before its greenlet has run for the first time."""
        client = self.hub.do(WebSocketClient, f'ws://127.0.0.1:{self.server().port}/')
        self.addCleanup(self.end, client)

        def run() -> list[str]:
            client.connect()
            client.send('x' * 3_000_000)
            client.send('y')
            return [str(client.receive())[:1] for _ in range(2)]

        self.assertEqual(self.hub.do(run), ['x', 'y'])

    def test_the_server_goes(self) -> None:
        def reset(sock: socket.socket) -> None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
            sock.close()

        for then, errors in ((lambda sock: None, []), (reset, [('error', ConnectionResetError)])):
            with self.subTest(then):
                client = self.connect(behind(then=then), Told)
                self.assertTrue(client.over.wait(TIMEOUT))
                self.assertEqual(client.close_code, 1006)
                self.assertEqual(client.named('error'), errors)

    def test_a_server_that_does_not_answer_the_close(self) -> None:
        client = self.connect(behind(), Told, limits=Limits(close_timeout=0.1))
        self.hub.do(client.close)
        self.hub.do(client.run_forever)
        self.assertEqual(client.close_code, 1006)

    def test_ctrl_c_closes_properly(self) -> None:
        client = self.connect(cls=Told)

        def run() -> str:
            try:
                client.run_forever()
            except KeyboardInterrupt:
                return 'interrupted'
            return 'ended'

        running = self.hub.do(gevent.spawn, run)
        self.hub.do(gevent.sleep, 0)
        self.hub.do(running.kill, KeyboardInterrupt, block=False)  # where the signal would find it
        self.assertEqual(self.hub.do(running.get, timeout=TIMEOUT), 'interrupted')
        self.assertEqual(client.close_code, 1000)

    def test_exceptions_in_hooks(self) -> None:
        class Failing(Told):
            def received_message(self, message: Any) -> None:
                raise KeyError('deliberate')

        with logs() as records:
            client = self.connect(cls=Failing)
            self.hub.do(client.send, 'hello')
            self.assertTrue(client.over.wait(TIMEOUT))
        self.assertEqual(client.close_code, 1011)
        self.assertIn(KeyError, [record.exc_info[0] for record in records if record.exc_info])

    def test_200_clients_and_no_thread_for_any(self) -> None:
        from ws4py.server.geventserver import WebSocketWSGIApplication, WSGIServer

        def run() -> tuple[int, set[str]]:
            server = WSGIServer(('127.0.0.1', 0), WebSocketWSGIApplication(handler_cls=EchoWebSocket), log=None)
            server.start()
            clients = [WebSocketClient(f'ws://127.0.0.1:{server.server_port}/') for _ in range(200)]
            for client in clients:
                client.connect()
                client.send('hello')
            answers = {str(client.receive()) for client in clients}
            count = threading.active_count()
            server.stop()
            assert [client.receive() for client in clients] == [None] * 200
            return count, answers

        self.hub.do(run)  # which starts gevent's own threads, that look up names
        before = threading.active_count()
        self.assertEqual(self.hub.do(run), (before, {'hello'}))


class ConnectTest(ClientCase):
    def test_the_sockets_are_gevents(self) -> None:
        client = self.hub.do(WebSocketClient, 'ws://127.0.0.1:9/')
        self.assertIsInstance(client.sock, gevent.socket.socket)
        self.hub.do(client.close_connection)

    def test_others_run_meanwhile(self) -> None:
        """While a silent server is waited for."""
        server = self.server(lambda sock: read_all(sock))
        client = self.hub.do(
            WebSocketClient, f'ws://localhost:{server.port}/', limits=Limits(handshake_timeout=0.3, connect_timeout=5)
        )
        connecting = self.hub.spawn(client.connect)
        self.hub.do(gevent.sleep, 0)
        self.assertFalse(connecting.done())
        with self.assertRaisesRegex(HandshakeError, 'broke off'):
            connecting.result(TIMEOUT)
        self.assertIsNone(client.sock)
        self.assertIsNone(self.hub.do(client.receive))

    def test_refused(self) -> None:
        with socket.create_server(('127.0.0.1', 0)) as listener:
            port = listener.getsockname()[1]
        client = self.hub.do(WebSocketClient, f'ws://localhost:{port}/')
        with self.assertRaises(ConnectionRefusedError):
            self.hub.do(client.connect)
        with self.assertRaises(RuntimeError):
            self.hub.do(client.connect)

    def test_a_unix_socket(self) -> None:
        with tempfile.TemporaryDirectory() as directory:
            path = os.path.join(directory, 'sock')
            with ScriptedServer(echo, socket.AF_UNIX, path):
                client = self.hub.do(WebSocketClient, f'ws+unix://{path}')
                self.hub.do(client.connect)
                self.hub.do(client.send, 'hello')
                self.assertEqual(str(self.hub.do(client.receive)), 'hello')
                self.hub.do(client.close)
                self.hub.do(client.run_forever)

    def test_arguments(self) -> None:
        server = self.server()
        client = self.hub.do(
            WebSocketClient,
            f'ws://127.0.0.1:{server.port}/x',
            ['chat'],
            ['one'],
            5.0,
            None,
            [('X-Own', '1')],
            ['Origin'],
        )
        self.assertEqual((client.protocols, client.extensions, client.heartbeat_freq), (['chat'], ['one'], 5.0))
        self.assertIn(b'\r\nX-Own: 1\r\n', client.handshake_request)
        self.assertNotIn(b'Origin', client.handshake_request)
        self.hub.do(client.close_connection)

    @needs_certificates
    def test_tls(self) -> None:
        def script(sock: socket.socket) -> None:
            with contextlib.closing(support_tls.server_context().wrap_socket(sock, server_side=True)) as tls:
                echo(tls)

        patient = gevent.ssl.SSLContext(gevent.ssl.PROTOCOL_TLS_CLIENT)
        patient.load_verify_locations(support_tls.authority_file())
        server = self.server(script)
        for options in (
            {'ca_certs': support_tls.authority_file()},
            {'ssl_context': support_tls.client_context()},
            {'ssl_context': patient},
        ):
            with self.subTest(options):
                client = self.hub.do(WebSocketClient, f'wss://localhost:{server.port}/', ssl_options=options)
                self.hub.do(client.connect)
                for payload in (b'x', bytes(1_000_000)):
                    self.hub.do(client.send, payload, True)
                    self.assertEqual(self.hub.do(client.receive).data, payload)
                self.hub.do(client.close)
                self.hub.do(client.run_forever)
                self.assertEqual(client.close_code, 1000)

    @needs_certificates
    def test_a_certificate_that_nobody_trusts(self) -> None:
        def script(sock: socket.socket) -> None:
            with contextlib.suppress(OSError):
                support_tls.server_context().wrap_socket(sock, server_side=True).close()

        client = self.hub.do(WebSocketClient, f'wss://localhost:{self.server(script).port}/')
        with self.assertRaises(gevent.ssl.SSLCertVerificationError):
            self.hub.do(client.connect)
        self.assertIsNone(client.sock)


class CrowdTest(ClientCase):
    """What becomes of messages that nobody asks for."""

    def flood(self, frame: bytes, count: int) -> tuple[Any, threading.Event]:
        done = threading.Event()

        def send(sock: socket.socket) -> None:
            sock.sendall(frame * count)
            done.set()
            EchoWebSocket(sock).run()

        return self.connect(behind(then=send)), done

    def test_many(self) -> None:
        client, done = self.flood(b'\x81\x7e\x10\x00' + b'x' * 4096, 5000)
        wait_for(lambda: client.messages.qsize() >= CROWD)
        self.assertFalse(done.wait(0.1))
        self.assertEqual(client.messages.qsize(), CROWD)
        for number in range(5000):
            self.assertEqual(len(self.hub.do(client.receive)), 4096, number)
        self.assertTrue(done.wait(TIMEOUT))

    def test_large(self) -> None:
        client, done = self.flood(b'\x82\x7f' + struct.pack('!Q', 700_000) + bytes(700_000), 20)
        wait_for(lambda: client.messages.qsize() == 2)
        self.assertFalse(done.wait(0.1))
        self.assertEqual(client.messages.qsize(), 2)
        for _ in range(20):
            self.assertEqual(len(self.hub.do(client.messages.get)), 700_000)
        self.assertTrue(done.wait(TIMEOUT))

    def test_close(self) -> None:
        """The server's answer is behind all of them."""
        client, _ = self.flood(b'\x81\x7e\x10\x00' + b'x' * 4096, 5000)
        wait_for(lambda: client.messages.qsize() >= CROWD)
        self.hub.do(client.close)
        self.hub.do(client.run_forever)
        self.assertEqual(client.close_code, 1000)
        self.assertEqual(client.messages.qsize(), CROWD + 1)  # and the end

    def test_a_crowded_client_may_be_ended(self) -> None:
        client, _ = self.flood(b'\x81\x7e\x10\x00' + b'x' * 4096, 5000)
        wait_for(lambda: client.messages.qsize() >= CROWD)
        self.hub.do(client.abort, 1001, 'enough')
        self.hub.do(client.run_forever)
        self.assertEqual(client.close_code, 1001)


class AgainTest(ClientCase):
    """__init__ called again."""

    def test_in_closed(self) -> None:
        class Persistent(WebSocketClient):
            rounds = 0

            def closed(self, code: int, reason: Any = None) -> None:
                self.rounds += 1
                if self.rounds < 3:
                    self.__init__(self.url)  # type: ignore[misc]
                    self.connect()

        heard = []
        client = self.connect(behind(b'\x81\x05hello', b'\x88\x02\x03\xe8', then=one_answer), Persistent)

        def receive() -> None:
            while True:
                message = client.receive()
                if message is None:
                    break
                heard.append(str(message))

        receiving = self.hub.spawn(receive)
        self.hub.do(client.run_forever)
        receiving.result(TIMEOUT)
        self.assertEqual((client.rounds, heard), (3, ['hello'] * 3))

    def test_in_closed_after_an_abort(self) -> None:
        """What the abort has left to be done later is not done to the next connection."""

        class Impatient(Told):
            def received_message(self, message: Any) -> None:
                super().received_message(message)
                self.abort(1001, 'once more')

            def closed(self, code: int, reason: Any = None) -> None:
                super().closed(code, reason)
                if len(self.named('closed')) < 3:
                    calls = self.calls
                    self.__init__(self.url)  # type: ignore[misc]
                    self.calls[:0] = calls
                    self.connect()

        with tempfile.TemporaryDirectory() as directory:
            path = os.path.join(directory, 'sock')  # to which it connects without a pause
            with ScriptedServer(behind(b'\x81\x03one', b'\x81\x03two'), socket.AF_UNIX, path):
                client = self.hub.do(Impatient, f'ws+unix://{path}')
                self.hub.do(client.connect)
                self.hub.do(client.run_forever)
        self.assertEqual(client.named('closed'), [('closed', 1001, 'once more')] * 3)

    def test_while_the_last_connection_is_there(self) -> None:
        client = self.connect(cls=Told)
        first = client._driver_greenlet

        def again() -> None:
            Told.__init__(client, client.url)
            client.connect()

        self.hub.do(again)
        self.assertTrue(first.dead)
        self.hub.do(client.send, 'hello')
        wait_for(lambda: client.named('message'))
        self.assertEqual(client.named('closed'), [])

    def test_while_a_hook_is_busy(self) -> None:
        class Busy(Told):
            def received_message(self, message: Any) -> None:
                super().received_message(message)
                gevent.sleep(100)

        client = self.connect(cls=Busy, limits=Limits(close_timeout=0.1))
        self.hub.do(client.send, 'hello')
        wait_for(lambda: client.named('message'))
        first = client._driver_greenlet

        def again() -> None:
            Busy.__init__(client, client.url)
            client.connect()

        self.hub.do(again)
        self.assertTrue(first.dead)
        self.hub.do(client.close)
        self.hub.do(client.run_forever)
        self.assertEqual(client.close_code, 1000)

    def test_in_a_hook(self) -> None:
        heard = []

        class Restarting(WebSocketClient):
            def received_message(self, message: Any) -> None:
                heard.append((str(message), gevent.getcurrent()))
                if len(heard) == 1:
                    self.__init__(self.url)  # type: ignore[misc]
                    self.connect()

        self.connect(behind(b'\x81\x05hello', b'\x81\x05again'), Restarting)
        wait_for(lambda: len(heard) == 3)
        self.assertEqual([text for text, _ in heard], ['hello', 'hello', 'again'])
        self.assertEqual(len({greenlet for _, greenlet in heard}), 2)

    def test_with_messages_of_the_last_one(self) -> None:
        client = self.connect(behind(b'\x81\x05hello'))
        wait_for(client.messages.qsize)
        old = client.messages

        def again() -> None:
            WebSocketClient.__init__(client, client.url)
            client.connect()

        self.hub.do(again)
        self.assertEqual(str(self.hub.do(old.get)), 'hello')
        self.assertEqual(str(self.hub.do(client.receive)), 'hello')


@unittest.skipIf(websockets_server is None, 'websockets is not installed')
class ForeignTest(ClientCase):
    def serve(self, **options: Any) -> int:
        def handler(connection: Any) -> None:
            for message in connection:
                connection.send(message)

        server = websockets_server.serve(handler, '127.0.0.1', 0, compression=None, **options)
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        self.addCleanup(thread.join, TIMEOUT)
        self.addCleanup(server.shutdown)
        port: int = server.socket.getsockname()[1]
        return port

    def check(self, url: str, **options: Any) -> None:
        client = self.hub.do(WebSocketClient, url, **options)
        self.hub.do(client.connect)
        for payload in ('hello', b'\0\1', '', 'x' * 500_000):
            self.hub.do(client.send, payload, isinstance(payload, bytes))
            message = self.hub.do(client.receive)
            self.assertEqual(str(message) if message.is_text else message.data, payload)
        self.hub.do(client.close, 1000, 'done')
        self.hub.do(client.run_forever)
        self.assertEqual((client.close_code, client.close_reason), (1000, b'done'))

    def test_websockets(self) -> None:
        self.check(f'ws://127.0.0.1:{self.serve()}/')

    @needs_certificates
    def test_websockets_over_tls(self) -> None:
        port = self.serve(ssl=support_tls.server_context())
        self.check(f'wss://127.0.0.1:{port}/', ssl_options={'ca_certs': support_tls.authority_file()})


@unittest.skipIf(PATCHED, 'that is the case already')
class PatchedTest(unittest.TestCase):
    def test_everything_patched(self) -> None:
        run_patched('client.test_geventclient')


if __name__ == '__main__':
    unittest.main()
