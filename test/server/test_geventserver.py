from __future__ import annotations

import contextlib
import http.client
import io
import os
import re
import socket
import ssl
import struct
import subprocess
import sys
import tempfile
import threading
import unittest
from collections.abc import Iterator
from pathlib import Path
from typing import Any

try:
    import gevent
except ImportError:
    raise unittest.SkipTest('gevent is not installed') from None

import gevent.event
import gevent.pool
import gevent.socket
import gevent.ssl
import support_tls
from gevent import pywsgi
from helpers import Peer, Recorder, logs, needs_certificates, wait_for
from support_gevent import PATCHED, TIMEOUT, HubCase, in_thread, run_patched
from support_sockets import read_all, upgrade_request

from ws4py.client.threadedclient import WebSocketClient as ThreadedClient
from ws4py.limits import Limits
from ws4py.server.geventserver import (
    GEventWebSocketPool,
    WebSocketWSGIApplication,
    WebSocketWSGIHandler,
    WSGIServer,
)
from ws4py.websocket import EchoWebSocket

try:
    import websocket
    from websockets.sync.client import connect as websockets_connect
except ImportError:  # a test extra
    websocket = None  # type: ignore[assignment]

TEXT, BINARY, CLOSE = 0x81, 0x82, 0x88
SHORT = Limits(handshake_timeout=0.3, close_timeout=2)
HELLO = b'\x81\x85\0\0\0\0hello'
SHUTTING_DOWN = b'\x03\xe9Server is shutting down'


class Echo(Recorder, EchoWebSocket):
    """Remembers every websocket there was."""

    made: list[Echo]

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.made.append(self)

    def received_message(self, message: Any) -> None:
        super().received_message(message)
        self.send(message.data, message.is_binary)


def page(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    """An ordinary application."""
    body = environ['wsgi.input'].read() if environ['REQUEST_METHOD'] == 'POST' else environ['PATH_INFO'].encode()
    start_response('200 OK', [('Content-Type', 'text/plain'), ('Content-Length', str(len(body)))])
    return [body]


class ServerCase(HubCase):
    def setUp(self) -> None:
        class Handler(Echo):
            made = []

        self.handler = Handler
        self.echo = WebSocketWSGIApplication(handler_cls=Handler)

    def app(self, environ: dict[str, Any], start_response: Any) -> Any:
        """Websockets at /, pages everywhere else."""
        return (self.echo if environ['PATH_INFO'] == '/' else page)(environ, start_response)

    def serve(self, app: Any = None, *, listener: Any = ('127.0.0.1', 0), **options: Any) -> WSGIServer:
        def start() -> WSGIServer:
            server = WSGIServer(listener, app or self.app, **{'log': None, 'error_log': None, **options})
            server.start()
            return server

        server = self.hub.do(start)
        self.addCleanup(self.hub.do, server.stop, 5)
        return server

    def dial(self, server: WSGIServer) -> socket.socket:
        sock = socket.create_connection(('127.0.0.1', server.server_port), timeout=TIMEOUT)
        self.addCleanup(sock.close)
        return sock

    def ask(self, server: WSGIServer, request: bytes) -> bytes:
        """The whole answer to *request*."""
        sock = self.dial(server)
        with contextlib.suppress(ConnectionError):
            sock.sendall(request)
        return read_all(sock)

    def upgrade(self, server: WSGIServer, *headers: str, more: bytes = b'', sock: Any = None) -> tuple[Peer, str]:
        """A connection that was upgraded, and the head of the answer."""
        sock = sock or self.dial(server)
        sock.sendall(upgrade_request(*headers) + more)
        return Peer(sock), read_head(sock)

    def check_echo(self, server: WSGIServer) -> Peer:
        """It is still serving."""
        peer, head = self.upgrade(server, more=HELLO)
        self.assertTrue(head.startswith('HTTP/1.1 101 Switching Protocols\r\n'), head)
        self.assertEqual(peer.receive(), (TEXT, b'hello'))
        return peer


def read_head(sock: Any) -> str:
    head = b''
    while not head.endswith(b'\r\n\r\n'):
        byte = sock.recv(1)
        assert byte, head
        head += byte
    return head.decode()


class UpgradeTest(ServerCase):
    def test_names(self) -> None:
        self.assertTrue(issubclass(WSGIServer, pywsgi.WSGIServer))
        self.assertTrue(issubclass(WebSocketWSGIHandler, pywsgi.WSGIHandler))
        self.assertIs(WSGIServer.handler_class, WebSocketWSGIHandler)

    def test_the_response(self) -> None:
        server = self.serve()
        _, head = self.upgrade(server)
        self.assertTrue(head.startswith('HTTP/1.1 101 Switching Protocols\r\n'))
        self.assertIn('\r\nUpgrade: websocket\r\n', head)
        self.assertIn('\r\nConnection: Upgrade\r\n', head)
        self.assertIn('\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n', head)
        self.assertNotRegex(head, '(?i)content-length|transfer-encoding')

    def test_the_websocket(self) -> None:
        server = self.serve(WebSocketWSGIApplication(['chat'], handler_cls=self.handler, limits=SHORT))
        peer, head = self.upgrade(server, 'Sec-WebSocket-Protocol: other, chat', 'X-Own: 1')
        self.assertIn('Sec-WebSocket-Protocol: chat', head)
        wait_for(lambda: self.handler.made and self.handler.made[0].calls)
        (ws,) = self.handler.made
        self.assertEqual((ws.protocols, ws.limits, ws.environ['HTTP_X_OWN']), (['chat'], SHORT, '1'))
        self.assertEqual(ws.peer_address, peer.sock.getsockname())
        self.assertTrue(ws.sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
        peer.close(1000, b'bye')
        self.assertEqual(peer.receive_all(), [(CLOSE, b'\x03\xe8bye')])
        self.assertTrue(ws.over.wait(TIMEOUT))
        self.assertEqual(ws.calls, [('opened',), ('closed', 1000, b'bye')])
        wait_for(lambda: not server.pool)

    def test_frames_in_the_segment_of_the_handshake(self) -> None:
        server = self.serve()
        for count in (1, 3, 5000):  # more than the file of the request holds
            peer, _ = self.upgrade(server, more=HELLO * count)
            self.assertEqual([peer.receive() for _ in range(count)], [(TEXT, b'hello')] * count)

    def test_messages_in_opened(self) -> None:
        class Greeting(Echo):
            made = []

            def opened(self) -> None:
                self.send('welcome')

        server = self.serve(WebSocketWSGIApplication(handler_cls=Greeting))
        peer, _ = self.upgrade(server)
        self.assertEqual(peer.receive(), (TEXT, b'welcome'))

    def test_requests_before_the_upgrade(self) -> None:
        server = self.serve()
        connection = http.client.HTTPConnection('127.0.0.1', server.server_port, timeout=TIMEOUT)
        self.addCleanup(connection.close)
        for path, body in (('/one', None), ('/two', b'posted')):
            connection.request('GET' if body is None else 'POST', path, body)
            self.assertEqual(connection.getresponse().read(), body or path.encode())
        peer, _ = self.upgrade(server, sock=connection.sock)
        peer.text('hello')
        self.assertEqual(peer.receive(), (TEXT, b'hello'))

    def test_behind_middleware(self) -> None:
        def parts(environ: dict[str, Any], start_response: Any) -> Iterator[bytes]:
            yield from self.app(environ, start_response)

        server = self.serve(parts)
        self.check_echo(server)
        _, head = self.upgrade(server)
        self.assertNotRegex(head, '(?i)content-length|transfer-encoding')

    def test_a_middleware_that_copies_the_environ(self) -> None:
        server = self.serve(lambda environ, start_response: self.echo(dict(environ), start_response))
        with quiet(self.hub):
            answer = self.ask(server, upgrade_request())
        self.assertTrue(answer.startswith(b'HTTP/1.1 500 '), answer)

    def test_a_websocket_that_was_made_in_vain(self) -> None:
        def forbid(environ: dict[str, Any], start_response: Any) -> list[bytes]:
            self.echo(environ, lambda *args: None)
            start_response('403 Forbidden', [('Content-Length', '2')])
            return [b'no']

        server = self.serve(forbid)
        answer = self.ask(server, upgrade_request())
        self.assertTrue(answer.startswith(b'HTTP/1.1 403 ') and answer.endswith(b'no'), answer)
        self.assertEqual(self.handler.made[0].calls, [('closed', 1006, 'Going away')])

    def test_an_application_that_fails(self) -> None:
        def fail(environ: dict[str, Any], start_response: Any) -> list[bytes]:
            self.echo(environ, start_response)
            raise KeyError('deliberate')

        server = self.serve(fail)
        with quiet(self.hub):
            answer = self.ask(server, upgrade_request())
        self.assertTrue(answer.startswith(b'HTTP/1.1 500 '), answer)
        self.assertNotIn(b'Traceback', answer)
        self.assertEqual(self.handler.made[0].calls, [('closed', 1006, 'Going away')])

    def test_a_client_that_is_gone(self) -> None:
        arrived, go = threading.Event(), gevent.event.Event()

        def slow(environ: dict[str, Any], start_response: Any) -> Any:
            arrived.set()
            go.wait(TIMEOUT)
            return self.echo(environ, start_response)

        server = self.serve(slow)
        sock = self.dial(server)
        sock.sendall(upgrade_request())
        wait_for(arrived.is_set)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
        sock.close()
        self.hub.do(go.set)
        wait_for(lambda: self.handler.made and self.handler.made[0].over.wait(0))
        self.assertEqual(self.handler.made[0].close_code, 1006)

    def test_the_access_log(self) -> None:
        log = io.StringIO()
        server = self.serve(log=log)
        self.check_echo(server)
        self.assertRegex(log.getvalue(), r'^127.0.0.1 - - \[.*\] "GET / HTTP/1.1" 101 \d+ 0\.\d+\n$')

    def test_a_unix_socket(self) -> None:
        with tempfile.TemporaryDirectory() as directory:
            path = os.path.join(directory, 'sock')

            def listen() -> Any:
                listener = gevent.socket.socket(socket.AF_UNIX)
                listener.bind(path)
                listener.listen(5)
                return listener

            server = self.serve(listener=self.hub.do(listen))
            with socket.socket(socket.AF_UNIX) as sock:
                sock.settimeout(TIMEOUT)
                sock.connect(path)
                peer, _ = self.upgrade(server, sock=sock)
                peer.text('hello')
                self.assertEqual(peer.receive(), (TEXT, b'hello'))
                self.hub.do(server.stop, 0.1)


@contextlib.contextmanager
def quiet(hub: Any) -> Iterator[None]:
    """gevent prints what an application raises, with its environ, on standard error."""
    before = hub.hub.__dict__.get('print_exception')
    hub.hub.print_exception = lambda *args, **options: None
    try:
        yield
    finally:
        if before is None:
            del hub.hub.print_exception
        else:
            hub.hub.print_exception = before


class RequestTest(ServerCase):
    def test_refusals(self) -> None:
        server = self.serve()
        for request, status in (
            (upgrade_request(leave_out='Sec-WebSocket-Key'), 400),
            (upgrade_request('Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=='), 400),
            (upgrade_request('Sec-WebSocket-Version: 8', leave_out='Sec-WebSocket-Version'), 426),
            (upgrade_request(method='POST'), 405),
            (upgrade_request().replace(b'HTTP/1.1', b'HTTP/1.0'), 505),
            (upgrade_request(leave_out='Host'), 400),
            (upgrade_request('Host: other'), 400),
            (upgrade_request('Content-Length: 5'), 400),
            (upgrade_request('Transfer-Encoding: chunked') + b'0\r\n\r\n', 400),
            (upgrade_request('Connection: notupgrade', leave_out='Connection'), 400),
            (upgrade_request('Upgrade: notwebsocket', leave_out='Upgrade'), 400),
            (upgrade_request('X-Space : x'), 400),
            (upgrade_request('X-Folded: x', ' y'), 400),
            (upgrade_request().replace(b'Host', b'X-Bare: x\nHost'), 400),
            (upgrade_request(*(f'X-{number}: x' for number in range(130))), 431),
        ):
            with self.subTest(request):
                # What follows a refused upgrade is not served.
                answer = self.ask(server, request + b'GET /next HTTP/1.1\r\nHost: x\r\n\r\n')
                self.assertRegex(answer.partition(b'\r\n')[0], b'^HTTP/1.1 (400|%d) ' % status)
                self.assertEqual(len(re.findall(rb'HTTP/1\.1 \d{3} ', answer)), 1, answer)
        self.assertEqual(self.handler.made, [])
        self.check_echo(server)

    def test_foreign_origins(self) -> None:
        app = WebSocketWSGIApplication(handler_cls=self.handler, origins=['http://here'])
        server = self.serve(app)
        self.assertIn(b' 403 ', self.ask(server, upgrade_request('Origin: http://there')))

    def test_the_text_that_applications_match(self) -> None:
        server = self.serve()
        self.assertIn(b'Header HTTP_UPGRADE is not defined', self.ask(server, b'GET / HTTP/1.1\r\nHost: x\r\n\r\n'))

    def test_malformed_requests(self) -> None:
        server = self.serve()
        with quiet(self.hub):
            for request in (
                b'GET / HTTP/1.1\r\nHost : x\r\n\r\n',
                b'nonsense\r\n\r\n',
                b'\x16\x03\x01\x02\0\x01\0\r\n\r\n',
                b'GET / HTTP/1.1\r\nHost: x\r\n folded\r\n\r\n',
                upgrade_request().replace(b'Key: ', b'Key: \0'),
            ):
                with self.subTest(request):
                    answer = self.ask(server, request)
                    self.assertRegex(answer, b'^HTTP/1.1 4|^$')
        self.check_echo(server)

    def test_large_heads(self) -> None:
        server = self.serve()
        for request, status in (
            (upgrade_request(*(f'X-{number}: x' for number in range(2000))), b'431'),
            (upgrade_request(*(f'X-{number}: {"x" * 1000}' for number in range(80))), b'431'),
            (upgrade_request('X: ' + 'x' * 1_000_000), b'431'),
            (upgrade_request(target='/' + 'x' * 1_000_000), b'414'),
        ):
            with self.subTest(request[:100]):
                answer = self.ask(server, request)  # or a reset, since not all of it was read
                self.assertIn(answer[9:12], (status, b''))
        self.check_echo(server)

    def test_a_slow_head(self) -> None:
        server = self.serve(limits=SHORT)
        silent, slow, dripping = (self.dial(server) for _ in range(3))
        slow.sendall(b'GET / HTTP/1.1\r\nHost: x\r\n')
        for byte in b'GET / HTTP/1.1':
            with contextlib.suppress(OSError):
                dripping.send(bytes([byte]))
            self.check_echo(server)
        self.assertEqual(read_all(silent), b'')
        self.assertRegex(read_all(slow), b'^HTTP/1.1 408 ')
        self.assertEqual(read_all(dripping), b'')

    def test_the_deadline_is_not_that_of_the_application_or_the_websocket(self) -> None:
        def slow(environ: dict[str, Any], start_response: Any) -> Any:
            gevent.sleep(0.1)
            return self.app(environ, start_response)

        server = self.serve(slow, limits=Limits(handshake_timeout=0.05))
        peer, _ = self.upgrade(server)
        self.hub.do(gevent.sleep, 0.1)
        peer.text('hello')
        self.assertEqual(peer.receive(), (TEXT, b'hello'))

    def test_another_upgrade_is_the_applications(self) -> None:
        seen = []

        def app(environ: dict[str, Any], start_response: Any) -> Any:
            seen.append((environ['HTTP_UPGRADE'], environ['HTTP_CONNECTION']))
            write = start_response('101 Switching Protocols', [('Upgrade', 'other'), ('Connection', 'Upgrade')])
            write(b'')
            write(environ['wsgi.input'].readline())
            return ()

        server = self.serve(app)
        sock = self.dial(server)
        sock.sendall(b'GET / HTTP/1.1\r\nHost: x\r\nUpgrade: other\r\nConnection: Upgrade\r\n\r\nhi\n')
        self.assertTrue(read_head(sock).startswith('HTTP/1.1 101 '))
        self.assertEqual(sock.recv(10), b'hi\n')
        self.assertEqual(seen, [('other', 'Upgrade')])

    def test_requests_are_gevents_matter(self) -> None:
        server = self.serve(page)
        answer = self.ask(server, b'GET /x%20y HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n')
        self.assertTrue(answer.startswith(b'HTTP/1.1 200 OK\r\n') and answer.endswith(b'/x y'), answer)


class PoolTest(ServerCase):
    def test_what_is_in_it(self) -> None:
        server = self.serve()
        self.assertIsInstance(server.pool, GEventWebSocketPool)
        self.assertEqual((len(server.pool), server.pool.websockets), (0, []))
        peer = self.check_echo(server)
        self.assertEqual(server.pool.websockets, self.handler.made)
        (greenlet,) = server.pool
        self.assertIsInstance(greenlet, gevent.Greenlet)
        peer.sock.close()
        wait_for(lambda: not server.pool)
        self.assertEqual(server.pool.websockets, [])

    def test_limits_of_connections(self) -> None:
        for spawn in (2, lambda: gevent.pool.Pool(2)):
            with self.subTest(spawn):
                server = self.serve(spawn=spawn if spawn == 2 else self.hub.do(spawn))  # type: ignore[operator]
                first, second = self.check_echo(server), self.check_echo(server)
                third = self.dial(server)  # in the kernel's queue
                third.sendall(upgrade_request() + HELLO)
                third.settimeout(0.1)
                with self.assertRaises(OSError):
                    third.recv(1)
                first.close()
                first.receive_all()
                third.settimeout(TIMEOUT)
                self.assertIn('101', read_head(third))
                self.assertEqual(Peer(third).receive(), (TEXT, b'hello'))
                second.sock.close()
                self.check_echo(server)
                self.hub.do(server.stop, 0)

    def test_broadcast(self) -> None:
        server = self.serve()
        peers = [self.check_echo(server) for _ in range(3)]
        self.hub.do(server.pool.broadcast, 'from a greenlet')
        in_thread(server.pool.broadcast, b'from a thread', True).result(TIMEOUT)
        self.hub.do(server.pool.broadcast, iter(['in ', 'parts']))
        for peer in peers:
            self.assertEqual(peer.receive(), (TEXT, b'from a greenlet'))
            self.assertEqual(peer.receive(), (BINARY, b'from a thread'))
            self.assertEqual((peer.receive(), peer.receive()), ((1, b'in '), (0x80, b'parts')))

    def test_a_broadcast_waits_for_nobody(self) -> None:
        class Own(Echo):
            made = []

            def send(self, payload: Any, binary: bool = False) -> None:
                super().send(payload, binary)

        for cls in (self.handler, Own):
            with self.subTest(cls):
                server = self.serve(WebSocketWSGIApplication(handler_cls=cls))
                self.check_echo(server)  # and reads nothing from now on
                peer = self.check_echo(server)
                data = bytes(500_000)
                with logs():
                    for _ in range(10):
                        self.hub.do(server.pool.broadcast, data, True)
                    self.assertEqual([peer.receive() for _ in range(10)], [(BINARY, data)] * 10)
                    self.hub.do(server.stop, 0)

    def test_clear(self) -> None:
        class Failing(Echo):
            made = []

            def close(self, code: int = 1000, reason: Any = '') -> None:
                if self is self.made[0] and code == 1001:
                    raise KeyError('deliberate')
                super().close(code, reason)

        server = self.serve(WebSocketWSGIApplication(handler_cls=Failing))
        first, second = self.check_echo(server), self.check_echo(server)
        with logs():
            self.hub.do(server.pool.clear)
        self.assertEqual(second.receive(), (CLOSE, SHUTTING_DOWN))
        second.close(1001)
        self.assertTrue(second.at_end())
        first.text('still there')
        self.assertEqual(first.receive(), (TEXT, b'still there'))

    def test_track(self) -> None:
        """Of a connection that somebody else has upgraded."""
        pool = self.hub.do(GEventWebSocketPool)
        ours, theirs = socket.socketpair()
        self.addCleanup(theirs.close)
        ws = self.handler(self.adopt(ours))
        greenlet = self.hub.do(pool.track, ws)
        peer = Peer(theirs)
        peer.text('hello')
        self.assertEqual(peer.receive(), (TEXT, b'hello'))
        self.assertEqual((list(pool), pool.websockets), ([greenlet], [ws]))
        self.hub.do(pool.clear)
        self.assertEqual(peer.receive(), (CLOSE, SHUTTING_DOWN))
        peer.close(1001)
        self.hub.do(pool.join, TIMEOUT)
        self.assertEqual((len(pool), ws.close_code), (0, 1001))

    def test_no_thread_for_a_connection(self) -> None:
        server = self.serve()
        before = threading.active_count()
        peers = [self.check_echo(server) for _ in range(200)]
        self.assertEqual(len(server.pool), 200)
        self.assertLessEqual(threading.active_count(), before)
        for peer in peers:
            peer.sock.close()
        wait_for(lambda: not server.pool)


class StopTest(ServerCase):
    def test_websockets_in_raw_greenlets(self) -> None:
        """Which nobody can wait for."""
        server = self.serve(spawn=gevent.spawn_raw)
        peer, silent = self.check_echo(server), self.check_echo(server)
        self.assertEqual(len(server.pool), 2)
        stopping = self.hub.spawn(server.stop, 0.2)
        self.assertEqual(peer.receive(), (CLOSE, SHUTTING_DOWN))
        peer.close(1001)
        self.assertTrue(peer.at_end())
        self.assertEqual(silent.receive_all(), [(CLOSE, SHUTTING_DOWN)])
        stopping.result(TIMEOUT)
        self.assertEqual([ws.close_code for ws in self.handler.made], [1001, 1006])
        self.assertEqual(server.pool.websockets, [])

    def test_1001(self) -> None:
        server = self.serve()
        peers = [self.check_echo(server) for _ in range(3)]
        stopping = self.hub.spawn(server.stop)
        for peer in peers:
            self.assertEqual(peer.receive(), (CLOSE, SHUTTING_DOWN))
        self.assertFalse(stopping.done())
        for peer in peers:
            peer.close(1001)
        stopping.result(TIMEOUT)
        self.assertEqual([ws.close_code for ws in self.handler.made], [1001] * 3)
        for peer in peers:
            self.assertTrue(peer.at_end())
        with self.assertRaises(OSError):
            self.dial(server)

    def test_peers_that_do_not_answer(self) -> None:
        server = self.serve(limits=Limits(close_timeout=0.1))
        self.check_echo(server)
        self.hub.do(server.stop)
        self.assertEqual(self.handler.made[0].calls[-1], ('closed', 1006, 'Going away'))
        server = self.serve()
        self.check_echo(server)
        self.hub.do(server.stop, 0.05)
        self.assertEqual(self.handler.made[1].close_code, 1006)

    def test_what_was_sent_before_arrives(self) -> None:
        server = self.serve()
        peer = self.check_echo(server)
        in_thread(self.handler.made[0].send, bytes(3_000_000), True).result(TIMEOUT)
        stopping = self.hub.spawn(server.stop)
        self.assertEqual(peer.receive(), (BINARY, bytes(3_000_000)))
        self.assertEqual(peer.receive(), (CLOSE, SHUTTING_DOWN))
        peer.close(1001)
        stopping.result(TIMEOUT)

    def test_requests_of_a_pool(self) -> None:
        server = self.serve(spawn=5)
        self.dial(server)  # idle
        self.check_echo(server).sock.close()
        server.stop_timeout = 0.1
        self.hub.do(server.stop)
        self.assertEqual(len(server._connections), 0)

    def test_a_request_that_comes_too_late(self) -> None:
        arrived, go = threading.Event(), gevent.event.Event()

        def slow(environ: dict[str, Any], start_response: Any) -> Any:
            arrived.set()
            go.wait(TIMEOUT)
            return self.echo(environ, start_response)

        server = self.serve(slow)
        sock = self.dial(server)
        sock.sendall(upgrade_request())
        wait_for(arrived.is_set)
        self.hub.do(server.stop)
        self.hub.do(go.set)
        self.assertIn('101', read_head(sock))
        self.assertEqual(Peer(sock).receive_all(), [(CLOSE, SHUTTING_DOWN)])
        self.assertEqual(self.handler.made[0].named('opened'), [])

    def test_by_a_hook(self) -> None:
        class Stopping(Echo):
            made = []

            def received_message(self, message: Any) -> None:
                server.stop()
                self.calls.append(('stopped',))

        server = self.serve(WebSocketWSGIApplication(handler_cls=Stopping))
        peer, _ = self.upgrade(server)
        peer.text('stop')
        self.assertEqual(peer.receive(), (CLOSE, SHUTTING_DOWN))
        peer.close(1001)
        self.assertTrue(peer.at_end())
        wait_for(lambda: not server.pool)
        self.assertEqual(Stopping.made[0].calls, [('opened',), ('stopped',), ('closed', 1001, b'')])

    def test_goodbyes_that_are_spread_while_it_serves_forever(self) -> None:
        server = self.hub.do(lambda: WSGIServer(('127.0.0.1', 0), self.app, log=None))
        serving = self.hub.spawn(server.serve_forever)
        wait_for(lambda: server.started)
        first, second, third = (self.check_echo(server) for _ in range(3))
        stopping = self.hub.spawn(server.stop, None, 3 * 3600)
        self.assertEqual(first.receive(), (CLOSE, SHUTTING_DOWN))
        wait_for(lambda: server._stop_event.is_set())
        second.text('still here')
        self.assertEqual(second.receive(), (TEXT, b'still here'))
        hurried = self.hub.spawn(server.stop, None, 0)
        for peer in (second, third):
            self.assertEqual(peer.receive(), (CLOSE, SHUTTING_DOWN))
        for peer in (first, second, third):
            peer.close(1001)
            self.assertTrue(peer.at_end())
        for greenlet in (hurried, stopping, serving):  # hours before its time, because all have gone
            greenlet.result(TIMEOUT)

    def test_serve_forever(self) -> None:
        def make() -> WSGIServer:
            return WSGIServer(('127.0.0.1', 0), self.app, log=None)

        server = self.hub.do(make)
        serving = self.hub.spawn(server.serve_forever)
        wait_for(lambda: server.started)
        peer = self.check_echo(server)
        self.hub.spawn(server.close)  # as Ctrl-C does
        self.assertEqual(peer.receive(), (CLOSE, SHUTTING_DOWN))
        peer.close(1001)
        serving.result(TIMEOUT)


CTRL_C = """
import os, signal, sys, threading
from ws4py.server.geventserver import WSGIServer, WebSocketWSGIApplication
from ws4py.websocket import EchoWebSocket
class Interrupting(EchoWebSocket):
    def received_message(self, message):
        os.kill(os.getpid(), signal.SIGINT)  # while its greenlet is running
        super().received_message(message)
    def closed(self, code, reason=None):
        print('closed', code)
server = WSGIServer(('127.0.0.1', 0), WebSocketWSGIApplication(handler_cls=Interrupting), log=None)
server.start()
print(server.server_port, flush=True)
try:
    server.serve_forever()
except KeyboardInterrupt:
    print('interrupted', signal.getsignal(signal.SIGINT) is signal.default_int_handler)
"""


@unittest.skipIf(sys.platform == 'win32', 'there is no SIGINT to send')
class CtrlCTest(unittest.TestCase):
    def test_it_closes_properly(self) -> None:
        root = Path(__file__).resolve().parents[2]
        server = subprocess.Popen(
            [sys.executable, '-W', 'error', '-c', CTRL_C],
            cwd=root,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.addCleanup(server.communicate)
        self.addCleanup(server.kill)
        assert server.stdout is not None
        with socket.create_connection(('127.0.0.1', int(server.stdout.readline())), timeout=TIMEOUT) as sock:
            sock.sendall(upgrade_request() + HELLO)
            read_head(sock)
            peer = Peer(sock)
            self.assertEqual(peer.receive(), (TEXT, b'hello'))
            self.assertEqual(peer.receive(), (CLOSE, SHUTTING_DOWN))
            peer.close(1001)
            self.assertTrue(peer.at_end())
        self.assertEqual(server.communicate(timeout=TIMEOUT), ('closed 1001\ninterrupted True\n', ''))


@needs_certificates
class TLSTest(ServerCase):
    def options(self) -> Iterator[dict[str, Any]]:
        certificate, key = support_tls.certificate_files()
        yield {'certfile': certificate, 'keyfile': key}
        yield {'certfile': certificate, 'keyfile': key, 'ciphers': 'HIGH', 'cert_reqs': ssl.CERT_NONE}
        yield {'ssl_context': support_tls.server_context()}
        context = gevent.ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        yield {'ssl_context': context}

    def wrap(self, sock: socket.socket) -> ssl.SSLSocket:
        sock = support_tls.client_context().wrap_socket(sock, server_hostname='localhost')
        self.addCleanup(sock.close)
        return sock

    def test_talk(self) -> None:
        for options in self.options():
            with self.subTest(options):
                server = self.serve(**options)
                peer, _ = self.upgrade(server, sock=self.wrap(self.dial(server)), more=HELLO * 3)
                self.assertEqual([peer.receive() for _ in range(3)], [(TEXT, b'hello')] * 3)
                peer.binary(bytes(1_000_000))
                self.assertEqual(peer.receive(), (BINARY, bytes(1_000_000)))
                ws = self.handler.made[-1]
                self.assertTrue(ws._is_secure)
                self.assertEqual(ws.environ['wsgi.url_scheme'], 'https')
                stopping = self.hub.spawn(server.stop)
                self.assertEqual(peer.receive(), (CLOSE, SHUTTING_DOWN))
                peer.close(1001)
                stopping.result(TIMEOUT)

    def test_handshakes_that_stall_or_fail(self) -> None:
        server = self.serve(limits=SHORT, ssl_context=support_tls.server_context())
        stalling, plain = self.dial(server), self.dial(server)
        plain.sendall(b'GET / HTTP/1.1\r\nHost: x\r\n\r\n')
        peer, _ = self.upgrade(server, sock=self.wrap(self.dial(server)), more=HELLO)
        self.assertEqual(peer.receive(), (TEXT, b'hello'))
        read_all(plain)
        self.assertEqual(read_all(stalling), b'')


@unittest.skipIf(websocket is None, 'websocket-client or websockets is not installed')
class ForeignTest(ServerCase):
    def serve_tls(self) -> tuple[WSGIServer, ssl.SSLContext]:
        return self.serve(ssl_context=support_tls.server_context()), support_tls.client_context()

    def test_websockets(self) -> None:
        server = self.serve()
        with websockets_connect(f'ws://127.0.0.1:{server.server_port}/', compression=None) as client:
            for payload in ('hello', b'\0\1', '', 'x' * 1_000_000):
                client.send(payload)
                self.assertEqual(client.recv(TIMEOUT), payload)
            client.send(['in ', 'parts'])
            self.assertEqual(client.recv(TIMEOUT), 'in parts')
            self.assertTrue(client.ping().wait(TIMEOUT))
        self.assertEqual(self.handler.made[0].over.wait(TIMEOUT), True)
        self.assertEqual(self.handler.made[0].close_code, 1000)

    @needs_certificates
    def test_websockets_over_tls(self) -> None:
        server, context = self.serve_tls()
        url = f'wss://localhost:{server.server_port}/'
        with websockets_connect(url, ssl=context, compression=None) as client:
            client.send('hello')
            self.assertEqual(client.recv(TIMEOUT), 'hello')

    def test_websocket_client(self) -> None:
        server = self.serve()
        client = websocket.create_connection(f'ws://127.0.0.1:{server.server_port}/', timeout=TIMEOUT)
        client.send('hello')
        self.assertEqual(client.recv(), 'hello')
        client.close()

    def test_our_threaded_client(self) -> None:
        server = self.serve()
        heard: list[str] = []

        class Client(ThreadedClient):
            def opened(self) -> None:
                self.send(f'number {number} ' for number in range(3))

            def received_message(self, message: Any) -> None:
                heard.append(str(message))
                self.close(1000, 'enough')

        client = Client(f'ws://127.0.0.1:{server.server_port}/')
        client.connect()
        client.run_forever()
        self.assertEqual((heard, client.close_code), (['number 0 number 1 number 2 '], 1000))


@unittest.skipIf(PATCHED, 'that is the case already')
class PatchedTest(unittest.TestCase):
    def test_everything_patched(self) -> None:
        run_patched('server.test_geventserver')


if __name__ == '__main__':
    unittest.main()
