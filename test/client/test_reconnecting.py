"""Connecting again, on every kind of client, with servers that go away, refuse, and never answer."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
import unittest
from concurrent.futures import Future
from typing import Any, Callable

import support_tls
from helpers import TIMEOUT, Peer, logs, needs_certificates, wait_for
from support_sockets import ScriptedServer, read_all, read_request, response_to

from ws4py.backoff import Attempt, Backoff
from ws4py.client import asyncioclient, threadedclient
from ws4py.exc import BrokenOffError, HandshakeError
from ws4py.framing import FIN, OPCODE_CLOSE
from ws4py.limits import Limits
from ws4py.state import State
from ws4py.websocket import EchoWebSocket

try:
    from support_gevent import HubThread

    from ws4py.client import geventclient
except unittest.SkipTest:
    geventclient = None  # type: ignore[assignment]
try:
    from ws4py.client import tornadoclient
except ImportError:
    tornadoclient = None  # type: ignore[assignment]

QUICK = Backoff(initial=0.01, maximum=0.04, jitter=0)
HOURS = Backoff(initial=10_000, maximum=10_000, jitter=0)
PATIENT = Limits(handshake_timeout=None, connect_timeout=None)


def echo(sock: socket.socket) -> None:
    """A server of the other half of this package."""
    sock.sendall(response_to(read_request(sock)))
    EchoWebSocket(sock).run()


def accepts(then: Callable[[Peer], Any] = lambda peer: None) -> Callable[[socket.socket], None]:
    """A server that accepts, does *then*, and drops the connection."""

    def script(sock: socket.socket) -> None:
        sock.sendall(response_to(read_request(sock)))
        then(Peer(sock, masked=False))
        sock.shutdown(socket.SHUT_RDWR)

    return script


def refuses(status: str, *headers: str) -> Callable[[socket.socket], None]:
    def script(sock: socket.socket) -> None:
        read_request(sock)
        sock.sendall('\r\n'.join([f'HTTP/1.1 {status}', 'Content-Length: 0', *headers, '', '']).encode())
        sock.shutdown(socket.SHUT_RDWR)

    return script


def in_turn(*scripts: Callable[[socket.socket], None]) -> Callable[[socket.socket], None]:
    """A server that does another one of them with each connection."""
    left = list(scripts)
    return lambda sock: left.pop(0)(sock)


def goodbye_of(peer: Peer) -> tuple[int, bytes]:
    """The Close frame of a client; what comes before it is passed over."""
    frame = peer.receive()
    while frame[0] != FIN | OPCODE_CLOSE:
        frame = peer.receive()
    return frame


class Application:
    """What the application does in its hooks; a mixin."""

    heard: list[tuple[Any, ...]]

    def opened(self: Any) -> None:
        self.heard.append(('opened',))
        self.send('hello')

    def received_message(self: Any, message: Any) -> None:
        self.heard.append(('message', str(message)))
        if str(message) == 'leave':
            self.close(1001)

    def closed(self, code: int, reason: Any = None) -> None:
        self.heard.append(('closed', code))


class Kind:
    """The tests of one kind of client; a mixin. All of it but the test itself is in another thread."""

    module: Any
    client_cls = 'WebSocketClient'

    def setUp(self: Any) -> None:
        if self.module is None:
            self.skipTest('its framework is not installed')
        listening = logs()
        listening.__enter__()
        self.addCleanup(listening.__exit__, None, None, None)
        self.heard: list[tuple[Any, ...]] = []
        self.told: list[Attempt] = []

    def start(self, reconnecting: Any) -> Future[None]:
        """Run it; the answer is done when it has ended."""
        raise NotImplementedError

    def call(self, function: Callable[[], Any]) -> None:
        """Call *function* where that may be done."""
        function()

    def serve(self: Any, script: Any = echo, port: int = 0) -> ScriptedServer:
        server = ScriptedServer(script, address=('127.0.0.1', port))
        server.__enter__()
        self.addCleanup(server.__exit__, None, None, None)
        return server

    def begin(self: Any, port: int, backoff: Backoff = QUICK, scheme: str = 'ws', **options: Any) -> Future[None]:
        cls = type('Client', (Application, getattr(self.module, self.client_cls)), {'heard': self.heard})
        options.setdefault('limits', PATIENT)
        self.going = self.module.Reconnecting(
            lambda: cls(f'{scheme}://127.0.0.1:{port}/', **options), backoff, self.told.append
        )
        future: Future[None] = self.start(self.going)
        self.addCleanup(self.end, future)  # before the server, which would wait for it
        return future

    def end(self: Any, future: Future[None]) -> None:
        if not future.done():
            self.call(self.going.stop)
        future.exception(TIMEOUT)

    def stop(self: Any, future: Future[None]) -> None:
        """Stop it; it has to come to its end, without an error."""
        self.call(self.going.stop)
        self.assertIsNone(future.result(TIMEOUT))

    def numbers(self) -> list[int]:
        return [attempt.number for attempt in self.told]

    def test_a_server_that_comes_back(self: Any) -> None:
        server = self.serve()
        port = server.port
        future = self.begin(port)
        wait_for(lambda: ('message', 'hello') in self.heard)
        server.__exit__()
        wait_for(lambda: len(self.told) >= 3)  # the connection was lost, and then there was nobody
        self.assertEqual(self.heard, [('opened',), ('message', 'hello'), ('closed', 1006)])
        self.heard.clear()
        self.serve(port=port)
        wait_for(lambda: ('message', 'hello') in self.heard)
        self.stop(future)
        self.assertEqual(self.heard, [('opened',), ('message', 'hello'), ('closed', 1001)])
        self.assertEqual(self.numbers(), list(range(len(self.told))))
        self.assertEqual((self.told[1].code, self.told[1].error), (1006, None))
        self.assertIsInstance(self.told[2].error, (OSError, HandshakeError))
        self.assertIsNone(self.going.client.sock)

    def test_a_server_that_asks_for_time(self: Any) -> None:
        backoff = Backoff(initial=0.01, jitter=0, retry_after=0.05)
        busy = refuses('503 Service Unavailable', 'Retry-After: 7')
        gone = refuses('429 Too Many Requests', 'Retry-After: Sun, 06 Nov 1994 08:49:37 GMT')
        future = self.begin(self.serve(in_turn(busy, gone, echo)).port, backoff)
        wait_for(lambda: ('message', 'hello') in self.heard)
        self.stop(future)
        for attempt, delay in zip(self.told, (0, 0.06, 0.02)):
            self.assertAlmostEqual(attempt.delay, delay)
        self.assertEqual([getattr(attempt.error, 'response_status', None) for attempt in self.told], [None, 503, 429])

    def test_one_that_refuses(self: Any) -> None:
        future = self.begin(self.serve(in_turn(refuses('401 Unauthorized'))).port)
        with self.assertRaisesRegex(HandshakeError, '401 Unauthorized'):
            future.result(TIMEOUT)
        self.assertEqual([attempt.worthwhile for attempt in self.told], [True, False])
        self.assertEqual(self.heard, [])

    def test_one_that_drops_us_before_it_has_answered(self: Any) -> None:
        def hang_up(sock: socket.socket) -> None:
            read_request(sock)
            sock.shutdown(socket.SHUT_RDWR)

        def half(sock: socket.socket) -> None:
            sock.sendall(response_to(read_request(sock))[:40])
            sock.shutdown(socket.SHUT_RDWR)

        future = self.begin(self.serve(in_turn(hang_up, half, echo)).port)
        wait_for(lambda: ('message', 'hello') in self.heard)
        self.stop(future)
        self.assertEqual([type(attempt.error) for attempt in self.told[1:]], [BrokenOffError] * 2)

    def test_one_that_is_no_server_of_websockets(self: Any) -> None:
        def garbage(sock: socket.socket) -> None:
            read_request(sock)
            sock.sendall(b'SSH-2.0-OpenSSH_9.2\r\n\r\n')

        def another(sock: socket.socket) -> None:
            sock.sendall(response_to(read_request(sock), leave_out='Sec-WebSocket-Accept'))

        for script, text in ((garbage, 'is not a status line'), (another, 'Sec-WebSocket-Accept')):
            with self.subTest(text):
                self.told.clear()
                future = self.begin(self.serve(in_turn(script)).port)
                with self.assertRaisesRegex(HandshakeError, text):
                    future.result(TIMEOUT)
                self.assertEqual([attempt.worthwhile for attempt in self.told], [True, False])

    def test_a_file_of_our_own_that_is_missing(self: Any) -> None:
        with socket.create_server(('127.0.0.1', 0)) as listening:
            port = listening.getsockname()[1]
            future = self.begin(port, scheme='wss', ssl_options={'ca_certs': '/nowhere.pem'})
            with self.assertRaisesRegex(OSError, "ca_certs '/nowhere.pem' cannot be used: No such file"):
                future.result(TIMEOUT)
        self.assertEqual([attempt.worthwhile for attempt in self.told], [True, False])

    @needs_certificates
    def test_one_with_a_certificate_that_is_wrong(self: Any) -> None:
        def script(sock: socket.socket) -> None:
            with support_tls.server_context().wrap_socket(sock, server_side=True):
                raise AssertionError('it was believed')

        future = self.begin(self.serve(in_turn(script)).port, scheme='wss')
        with self.assertRaises(ssl.SSLCertVerificationError):
            future.result(TIMEOUT)

    def test_one_that_accepts_and_drops_is_not_hammered(self: Any) -> None:
        future = self.begin(self.serve(accepts()).port, Backoff(initial=0.01, jitter=0, attempts=3))
        self.assertIsNone(future.result(TIMEOUT))
        for attempt, delay in zip(self.told, (0, 0.01, 0.02, 0.04, 0.08)):
            self.assertAlmostEqual(attempt.delay, delay)
        self.assertEqual([attempt.code for attempt in self.told], [None, 1006, 1006, 1006, 1006])
        self.assertEqual([attempt.worthwhile for attempt in self.told], [True, True, True, True, False])
        self.assertEqual(self.heard.count(('opened',)), 4)

    def test_what_a_server_closes_with(self: Any) -> None:
        def closes(code: int) -> Callable[[socket.socket], None]:
            return accepts(lambda peer: (peer.close(code, b'so it is'), goodbye_of(peer)))

        future = self.begin(self.serve(in_turn(closes(1012), closes(1013), closes(1008))).port)
        self.assertIsNone(future.result(TIMEOUT))
        told = [(attempt.number, attempt.code, attempt.reason, attempt.worthwhile) for attempt in self.told[1:]]
        self.assertEqual(told, [(1, 1012, 'so it is', True), (2, 1013, 'so it is', True), (3, 1008, 'so it is', False)])

    def test_the_application_closes(self: Any) -> None:
        def leave(peer: Peer) -> None:
            peer.text('leave')
            self.goodbye = goodbye_of(peer)
            peer.close(1001)

        future = self.begin(self.serve(in_turn(accepts(leave))).port)
        self.assertIsNone(future.result(TIMEOUT))
        self.assertEqual(self.goodbye, (FIN | OPCODE_CLOSE, b'\x03\xe9'))
        self.assertEqual((self.numbers(), self.heard[-1]), ([0], ('closed', 1001)))

    def test_the_application_gives_a_connection_up(self: Any) -> None:
        future = self.begin(self.serve().port)
        wait_for(lambda: ('message', 'hello') in self.heard)
        self.heard.clear()
        self.call(lambda: self.going.client.abort(1001, 'another one, please'))
        wait_for(lambda: ('message', 'hello') in self.heard)
        self.stop(future)
        self.assertEqual([attempt.reason for attempt in self.told], ['', 'another one, please'])

    def test_stopped_while_it_waits(self: Any) -> None:
        with socket.create_server(('127.0.0.1', 0)) as nobody:
            port = nobody.getsockname()[1]
        future = self.begin(port, HOURS)
        wait_for(lambda: len(self.told) == 2)
        self.stop(future)
        self.assertEqual((self.numbers(), self.told[1].delay), ([0, 1], 10_000))

    def silence(self: Any) -> tuple[ScriptedServer, threading.Event]:
        """A server that tells when a request has begun, or TLS, and waits for the end of the connection."""
        asked = threading.Event()

        def script(sock: socket.socket) -> None:
            sock.recv(1)
            asked.set()
            read_all(sock)

        return self.serve(in_turn(script)), asked

    def test_stopped_in_the_middle_of_a_handshake(self: Any) -> None:
        for scheme in ('ws', 'wss'):
            self.told.clear()
            server, asked = self.silence()
            future = self.begin(server.port, scheme=scheme)
            self.assertTrue(asked.wait(TIMEOUT))
            self.stop(future)
            wait_for(lambda: self.going.client.state is State.CLOSED)
            self.assertEqual((self.numbers(), self.heard), ([0], []), scheme)

    def test_stopped_while_it_is_open(self: Any) -> None:
        def script(peer: Peer) -> None:
            peer.text('hello')
            self.goodbye = goodbye_of(peer)
            peer.close(1001)

        future = self.begin(self.serve(in_turn(accepts(script))).port)
        wait_for(lambda: ('message', 'hello') in self.heard)
        self.stop(future)
        self.assertEqual(self.goodbye, (FIN | OPCODE_CLOSE, b'\x03\xe9'))
        self.assertEqual(self.heard[-1], ('closed', 1001))


class Threads(Kind, unittest.TestCase):
    module = threadedclient

    def start(self, reconnecting: Any) -> Future[None]:
        return in_thread(reconnecting.run_forever)

    def test_several_glances_while_it_waits(self) -> None:
        """A wait goes on after a glance, and comes to its end by itself."""
        self.begin(self.serve(in_turn(accepts(), echo)).port, Backoff(initial=2.5 * threadedclient.GLANCE, jitter=0))
        wait_for(lambda: ('message', 'hello') in self.heard)
        self.assertEqual(self.numbers(), [0, 1])


class Cancelled(Kind):
    """What may be cancelled in the middle, too; a mixin."""

    def cancel(self, future: Future[None]) -> None:
        """Cancel it and wait for that."""
        raise NotImplementedError

    def test_cancelled_while_it_waits(self: Any) -> None:
        future = self.begin(self.serve(in_turn(refuses('502 Bad Gateway'))).port, HOURS)
        wait_for(lambda: len(self.told) == 2)
        self.cancel(future)

    def test_cancelled_in_the_middle_of_a_handshake(self: Any) -> None:
        server, asked = self.silence()
        future = self.begin(server.port)
        self.assertTrue(asked.wait(TIMEOUT))
        self.cancel(future)
        wait_for(lambda: self.going.client.sock is None)
        self.assertEqual(self.heard, [])

    def test_cancelled_while_it_is_open(self: Any) -> None:
        future = self.begin(self.serve().port)
        wait_for(lambda: ('message', 'hello') in self.heard)
        self.cancel(future)
        wait_for(lambda: self.heard[-1] == ('closed', 1001))
        wait_for(lambda: self.going.client.sock is None)


class Gevent(Cancelled, unittest.TestCase):
    module = geventclient

    def setUp(self) -> None:
        super().setUp()
        self.hub = HubThread()
        self.hub.__enter__()
        self.addCleanup(self.hub.__exit__, None, None, None)

    def start(self, reconnecting: Any) -> Future[None]:
        import gevent

        def run() -> None:
            self.greenlet = gevent.getcurrent()
            reconnecting.run_forever()

        return self.hub.spawn(run)

    def call(self, function: Callable[[], Any]) -> None:
        self.hub.do(function)

    def cancel(self, future: Future[None]) -> None:
        import gevent

        self.hub.do(gevent.kill, self.greenlet)
        self.assertIsInstance(future.exception(TIMEOUT), gevent.GreenletExit)


class Asyncio(Cancelled, unittest.TestCase):
    module = asyncioclient

    def start(self, reconnecting: Any) -> Future[None]:
        async def run() -> None:
            self.loop, self.task = asyncio.get_running_loop(), asyncio.current_task()
            await reconnecting.run_forever()

        return in_thread(lambda: asyncio.run(run()))

    def call(self, function: Callable[[], Any]) -> None:
        self.loop.call_soon_threadsafe(function)

    def cancel(self, future: Future[None]) -> None:
        self.call(self.task.cancel)
        self.assertIsInstance(future.exception(TIMEOUT), asyncio.CancelledError)

    def test_stopped_by_another_thread(self) -> None:
        future = self.begin(self.serve().port)
        wait_for(lambda: ('message', 'hello') in self.heard)
        self.going.stop()
        self.assertIsNone(future.result(TIMEOUT))


class Tornado(Asyncio):
    module = tornadoclient
    client_cls = 'TornadoWebSocketClient'


def in_thread(function: Callable[[], None]) -> Future[None]:
    """Call *function* in a thread of its own."""
    future: Future[None] = Future()

    def run() -> None:
        try:
            future.set_result(function())
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return future


if __name__ == '__main__':
    unittest.main()
