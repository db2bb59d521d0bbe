from __future__ import annotations

import contextlib
import functools
import http.client
import itertools
import logging
import os
import queue
import select
import signal
import socket
import ssl
import struct
import subprocess
import sys
import threading
import time
import unittest
import urllib.request
from collections.abc import Iterable, Iterator
from typing import Any, Callable, Optional
from unittest.mock import MagicMock, patch
from wsgiref.simple_server import make_server
from wsgiref.util import is_hop_by_hop
from wsgiref.validate import validator

import support_tls
from helpers import logs
from support_sockets import TIMEOUT, read_all, until, upgrade_request
from support_tls import needs_certificates

from ws4py.client.threadedclient import WebSocketClient
from ws4py.limits import DEFAULT_LIMITS, Limits
from ws4py.manager import WebSocketManager
from ws4py.server import wsgirefserver
from ws4py.server.wsgirefserver import (
    WebSocketWSGIApplication,
    WebSocketWSGIHandler,
    WebSocketWSGIRequestHandler,
    WSGIServer,
)
from ws4py.websocket import EchoWebSocket, WebSocket

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]

SHORT = Limits(handshake_timeout=0.3, close_timeout=2)
HELLO = b'\x81\x85\0\0\0\0hello'
ECHO = b'\x81\x05hello'


class Recorder(EchoWebSocket):
    """Remembers every websocket there was, and how it ended."""

    made: list[Recorder]
    ends: list[tuple[int, Any]]

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.made.append(self)

    def closed(self, code: int, reason: Any = None) -> None:
        self.ends.append((code, reason))


class ServerTestCase(unittest.TestCase):
    def setUp(self) -> None:
        quiet = logging.NullHandler()  # instead of the standard error output; assertLogs() hears everything
        logging.getLogger('ws4py').addHandler(quiet)
        self.addCleanup(logging.getLogger('ws4py').removeHandler, quiet)

        class Handler(Recorder):
            made = []
            ends = []

        self.handler = Handler

    def serve(self, app: Any = None, cls: Any = WSGIServer, **kwargs: Any) -> Any:
        server = make_server(
            '127.0.0.1',
            0,
            app=app or WebSocketWSGIApplication(handler_cls=self.handler),
            server_class=functools.partial(cls, **kwargs),  # type: ignore[arg-type]
            handler_class=WebSocketWSGIRequestHandler,
        )
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)

        def stop() -> None:
            server.shutdown()
            thread.join(TIMEOUT)
            server.server_close()

        server.stop = once(stop)  # type: ignore[attr-defined]
        self.addCleanup(server.stop)  # type: ignore[attr-defined]
        thread.start()
        return server

    def dial(self, server: Any) -> socket.socket:
        sock = socket.create_connection(server.server_address, timeout=TIMEOUT)
        self.addCleanup(sock.close)
        return sock

    def ask(self, server: Any, request: bytes) -> bytes:
        """The whole answer to *request*."""
        sock = self.dial(server)
        with contextlib.suppress(ConnectionError):
            sock.sendall(request)
        return read_all(sock)

    def upgrade(self, server: Any, *headers: str, more: bytes = b'') -> tuple[socket.socket, bytes]:
        """A connection that was upgraded, and the head of the answer."""
        sock = self.dial(server)
        sock.sendall(upgrade_request(*headers) + more)
        head = b''
        while not head.endswith(b'\r\n\r\n'):
            byte = sock.recv(1)
            self.assertTrue(byte, head)
            head += byte
        return sock, head

    def check_echo(self, server: Any) -> None:
        """It is still serving."""
        sock, head = self.upgrade(server, more=HELLO)
        self.assertTrue(head.startswith(b'HTTP/1.1 101 Switching Protocols\r\n'), head)
        names = [line.partition(b':')[0] for line in head.split(b'\r\n')[1:-2]]
        self.assertEqual(sorted(names), [b'Connection', b'Sec-WebSocket-Accept', b'Upgrade'])
        self.assertEqual(receive(sock, len(ECHO)), ECHO)


def once(function: Callable[[], None]) -> Callable[[], None]:
    """Call *function* the first time only."""
    left = iter([function])
    return lambda: next(left, lambda: None)()


def receive(sock: socket.socket, size: int) -> bytes:
    data = b''
    while len(data) < size:
        block = sock.recv(size - len(data))
        if not block:
            break
        data += block
    return data


def plain(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    """An ordinary WSGI application: says what it was asked."""
    body = environ['wsgi.input'].read()
    start_response('200 OK', [('Content-Type', 'text/plain'), ('X-Scheme', environ['wsgi.url_scheme'])])
    parts = (environ['REQUEST_METHOD'], environ['PATH_INFO'], environ['QUERY_STRING'], body.decode('latin-1'))
    return ['|'.join(parts).encode('latin-1')]


class UpgradeTest(ServerTestCase):
    def test_as_the_manual_has_it(self) -> None:
        server = make_server(
            '127.0.0.1',
            0,
            server_class=WSGIServer,
            handler_class=WebSocketWSGIRequestHandler,
            app=WebSocketWSGIApplication(handler_cls=self.handler),
        )
        server.initialize_websockets_manager()
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        answers: list[str] = []

        class Client(WebSocketClient):
            def received_message(self, message: Any) -> None:
                answers.append(str(message))
                self.close(3000, 'enough')

        client = Client(f'ws://127.0.0.1:{server.server_port}/')
        client.connect()
        client.send('hello')
        client.run_forever()
        server.shutdown()
        thread.join(TIMEOUT)
        server.server_close()
        self.assertEqual((answers, self.handler.ends), (['hello'], [(3000, b'enough')]))
        self.assertFalse(server.manager.is_alive())

    def test_head_of_the_answer(self) -> None:
        _, head = self.upgrade(self.serve())
        lines = head.split(b'\r\n')
        self.assertEqual(lines[0], b'HTTP/1.1 101 Switching Protocols')
        for line in (
            b'Upgrade: websocket',
            b'Connection: Upgrade',
            b'Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=',
        ):
            self.assertIn(line, lines)
        self.assertNotIn(b'content-length', head.lower())

    def test_frames_of_the_handshakes_segment(self) -> None:
        sock, _ = self.upgrade(self.serve(), more=HELLO * 3 + b'\x88\x82\0\0\0\0\x03\xe8')
        self.assertEqual(read_all(sock), ECHO * 3 + b'\x88\x02\x03\xe8')
        self.assertEqual(self.handler.ends, [(1000, b'')])

    def test_cut_at_every_offset(self) -> None:
        server = self.serve()
        data = upgrade_request() + HELLO
        for offset in range(1, len(data), 7):
            sock = self.dial(server)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.sendall(data[:offset])
            sock.sendall(data[offset:])
            sock.shutdown(socket.SHUT_WR)
            self.assertTrue(read_all(sock).endswith(b'\r\n\r\n' + ECHO), offset)

    def test_environ(self) -> None:
        with patch.dict(WebSocketWSGIHandler.os_environ, {'OF_THE_PROCESS': 'yes'}):
            self.upgrade(self.serve(), 'X-Name: value', 'Sec_WebSocket_Protocol: chat', 'Cookie: a', 'Cookie: b')
        (websocket,) = self.handler.made
        environ = websocket.environ
        assert environ is not None
        self.assertEqual(environ['HTTP_X_NAME'], 'value')
        self.assertEqual(environ['HTTP_COOKIE'], 'a,b')
        self.assertNotIn('HTTP_SEC_WEBSOCKET_PROTOCOL', environ)  # an underscore is no hyphen
        self.assertEqual((environ['PATH_INFO'], environ['REMOTE_ADDR']), ('/', '127.0.0.1'))
        self.assertTrue(environ['wsgi.multithread'])
        self.assertEqual(environ['OF_THE_PROCESS'], 'yes')

    def test_a_variable_of_the_process_is_no_header(self) -> None:
        script = 'from ws4py.server.wsgirefserver import WebSocketWSGIHandler as H; print("HTTP_PROXY" in H.os_environ)'
        environ = {**os.environ, 'HTTP_PROXY': 'x', 'PYTHONPATH': os.pathsep.join(filter(None, sys.path))}
        self.assertEqual(subprocess.check_output([sys.executable, '-c', script], env=environ).strip(), b'False')

    def test_http_version_may_be_assigned(self) -> None:
        with patch.object(WebSocketWSGIHandler, 'http_version', '1.0'):
            _, head = self.upgrade(self.serve())
        self.assertTrue(head.startswith(b'HTTP/1.0 101 '))

    def test_wsgiref_is_left_alone(self) -> None:
        self.assertTrue(is_hop_by_hop('Upgrade'))
        self.assertTrue(is_hop_by_hop('Connection'))

    def test_middleware_that_yields_the_parts(self) -> None:
        inner = WebSocketWSGIApplication(handler_cls=self.handler)

        def middleware(environ: Any, start_response: Any) -> Iterator[bytes]:
            yield from inner(environ, start_response)

        server = self.serve(middleware)
        self.check_echo(server)
        self.assertTrue(self.ask(server, b'GET / HTTP/1.1\r\nHost: x\r\n\r\n').startswith(b'HTTP/1.1 400 Bad Request'))

    def test_middleware_that_copies_the_environ_is_told(self) -> None:
        inner = WebSocketWSGIApplication(handler_cls=self.handler)
        server = self.serve(lambda environ, start_response: inner(dict(environ), start_response))
        with self.assertLogs('ws4py', 'ERROR') as logs:
            answer = self.ask(server, upgrade_request())
        self.assertTrue(answer.startswith(b'HTTP/1.1 500 '), answer)
        self.assertIn("status 101 without a 'ws4py.websocket'", logs.output[0])

    def test_application_that_fails_after_the_upgrade(self) -> None:
        inner = WebSocketWSGIApplication(handler_cls=self.handler)

        def failing(environ: Any, start_response: Any) -> Iterator[bytes]:
            yield from inner(environ, start_response)
            raise LookupError('afterwards')

        with self.assertLogs('ws4py', 'ERROR') as logs:
            answer = self.ask(self.serve(failing), upgrade_request())
        self.assertTrue(answer.startswith(b'HTTP/1.1 500 '), answer)
        self.assertNotIn(b'afterwards', answer)
        self.assertIn('LookupError: afterwards', logs.output[0])
        until(lambda: self.handler.ends)
        self.assertEqual([code for code, _ in self.handler.ends], [1006])

    def test_application_that_fails(self) -> None:
        def handler_cls(*args: Any) -> WebSocket:
            raise LookupError('no such room')

        with self.assertLogs('ws4py', 'ERROR') as logs:
            answer = self.ask(self.serve(WebSocketWSGIApplication(handler_cls=handler_cls)), upgrade_request())
        self.assertTrue(answer.startswith(b'HTTP/1.1 500 Internal Server Error\r\n'))
        self.assertNotIn(b'no such room', answer)
        self.assertIn('LookupError: no such room', logs.output[0])

    def test_closed_in_opened(self) -> None:
        class Brief(self.handler):  # type: ignore[name-defined, misc]
            def opened(self) -> None:
                self.close(1001)

        sock, _ = self.upgrade(self.serve(WebSocketWSGIApplication(handler_cls=Brief)))
        self.assertEqual(receive(sock, 4), b'\x88\x02\x03\xe9')
        sock.sendall(b'\x88\x82\0\0\0\0\x03\xe9')
        self.assertEqual(read_all(sock), b'')


class RefusalTest(ServerTestCase):
    def check(self, server: Any, request: bytes, status: int, *texts: bytes) -> None:
        answer = self.ask(server, request)
        self.assertTrue(answer.startswith(f'HTTP/1.1 {status} '.encode()), (request[:80], answer[:200]))
        head, _, body = answer.partition(b'\r\n\r\n')
        self.assertIn(f'content-length: {len(body)}'.encode(), head.lower())
        for text in texts:
            self.assertIn(text, answer)
        self.assertNotIn(b'Traceback', answer)

    def test_refusals(self) -> None:
        server = self.serve()
        line = b'GET / HTTP/1.1\r\n'
        for request, status, *texts in (
            (line + b'Host: x\r\n\r\n', 400, b'Header HTTP_UPGRADE is not defined'),
            (upgrade_request(leave_out='Sec-WebSocket-Key'), 400, b'Header HTTP_SEC_WEBSOCKET_KEY is not defined'),
            (upgrade_request('Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=='), 400),
            (upgrade_request('Sec-WebSocket-Key: short', leave_out='Sec-WebSocket-Key'), 400, b"'short'"),
            (upgrade_request('Sec-WebSocket-Version: 8', leave_out='Sec-WebSocket-Version'), 426,
             b'Sec-WebSocket-Version: 13'),
            (upgrade_request(method='POST'), 405, b'Allow: GET'),
            (upgrade_request().replace(b'HTTP/1.1', b'HTTP/1.0'), 505),
            (upgrade_request().replace(b'HTTP/1.1', b'HTTP/2.0'), 505),
            (upgrade_request().replace(b'HTTP/1.1', b'HTTP/x'), 400),
            (upgrade_request(leave_out='Host'), 400, b'HTTP_HOST'),
            (upgrade_request('Host: other'), 400),
            (upgrade_request('Connection: notupgrade', leave_out='Connection'), 400, b"'notupgrade'"),
            (upgrade_request('Upgrade: notwebsocket', leave_out='Upgrade'), 400, b"'notwebsocket'"),
            (upgrade_request('Content-Length: 5') + b'hello', 400, b'Content-Length'),
            (upgrade_request('Transfer-Encoding: chunked') + b'0\r\n\r\n', 400, b'Transfer-Encoding'),
            (line + b'Host: x\n\r\n', 400, b'bare LF'),
            (line + b'Host: x\0\r\n\r\n', 400),
            (line + b'Host: x\r\n folded\r\n\r\n', 400),
            (line + b'Host : x\r\n\r\n', 400),
            (b'GET /\r\n\r\n', 400),
            (b'\x16\x03\x01\r\n\r\n', 400),
            (line + b'X: y\r\n' * 2000 + b'\r\n', 431),
            (line + b'X: ' + b'y' * 1_000_000 + b'\r\n\r\n', 431),
            (b'GET /' + b'a' * 1_000_000 + b' HTTP/1.1\r\n\r\n', 414),
            (b'GET /' + b'a' * 10_000 + b' HTTP/1.1\r\n\r\n', 414),
            (line + b'X: y\r\n' * 1_000_000, 431),
            (line + b'Content-Length: 1\r\nContent-Length: 2\r\n\r\n', 400),
            (line + b'Content-Length: -1\r\n\r\n', 400),
            (line + b'Content-Length: ' + b'9' * 5000 + b'\r\n\r\n', 400),
            (b'POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n', 411),
        ):  # fmt: skip
            with self.subTest(request[:70]):
                self.check(server, request, status, *texts)
        self.check_echo(server)

    def test_by_number(self) -> None:
        app = WebSocketWSGIApplication(handler_cls=self.handler, limits=Limits(connections=1))
        server = self.serve(app)
        sock, head = self.upgrade(server)
        self.assertIn(b' 101 ', head)
        answer = self.ask(server, upgrade_request())
        self.assertTrue(answer.startswith(b'HTTP/1.1 503 '), answer)
        self.assertTrue(answer.endswith(b'\r\n\r\nall of the 1 connections are in use\n'), answer)
        self.assertIn(b' 405 ', self.ask(server, b'POST / HTTP/1.1\r\nHost: a\r\n\r\n'))  # others are still answered
        sock.close()
        until(lambda: not len(app.admission))
        self.assertIn(b' 101 ', self.upgrade(server)[1])

    def test_bytes_behind_a_refused_upgrade_are_no_request(self) -> None:
        answer = self.ask(self.serve(), upgrade_request(leave_out='Sec-WebSocket-Key') + b'GET /admin HTTP/1.1\r\n\r\n')
        self.assertEqual(answer.count(b'HTTP/1.1'), 1)

    def test_what_wsgiref_demands_of_an_application(self) -> None:
        server = self.serve(validator(WebSocketWSGIApplication(handler_cls=self.handler)))
        self.check(server, b'GET / HTTP/1.1\r\nHost: x\r\n\r\n', 400)
        self.check(server, upgrade_request(method='POST'), 405)

    def test_origin(self) -> None:
        server = self.serve(WebSocketWSGIApplication(handler_cls=self.handler, origins=['https://good.test']))
        self.check(server, upgrade_request('Origin: https://evil.test'), 403, b'https://evil.test')
        self.upgrade(server, 'Origin: https://good.test')

    def test_by_address(self) -> None:
        class Closed(WSGIServer):
            def verify_request(self, request: Any, client_address: Any) -> bool:
                return False

        self.assertEqual(self.ask(self.serve(cls=Closed), upgrade_request()), b'')

    def test_a_client_that_only_talks_is_left(self) -> None:
        with patch.object(wsgirefserver, 'LINGER', 0.05):
            server = self.serve()
            sock = self.dial(server)
            sock.sendall(b'NONSENSE\r\n\r\n')
            self.assertTrue(read_all(sock).startswith(b'HTTP/1.1 400 '))
            until(lambda: not server._requests)


class PatienceTest(ServerTestCase):
    def test_idle_and_slow_clients_stop_nobody(self) -> None:
        server = self.serve()
        for _ in range(20):
            self.dial(server)
        slow = self.dial(server)
        slow.sendall(upgrade_request()[:20])
        begin = time.monotonic()
        self.check_echo(server)
        self.assertLess(time.monotonic() - begin, 5)

    def test_one_deadline_for_the_whole_head(self) -> None:
        server = self.serve(limits=SHORT)
        sock = self.dial(server)
        begin = time.monotonic()
        sock.sendall(b'GET / HTTP/1.1\r\n')
        with contextlib.suppress(ConnectionError):
            for number in itertools.count():
                sock.sendall(b'X-Number: %d\r\n' % number)
                sock.settimeout(0.05)
                with contextlib.suppress(socket.timeout):
                    if not sock.recv(1024):
                        break
        self.assertLess(time.monotonic() - begin, 5)
        until(lambda: not server._requests)
        self.check_echo(server)

    def test_no_deadline(self) -> None:
        self.check_echo(self.serve(limits=Limits(handshake_timeout=None)))

    def test_the_oldest_waiting_request_makes_room(self) -> None:
        class Small(WSGIServer):
            max_requests = 3

        server = self.serve(cls=Small)
        idle = []
        for number in range(3):
            idle.append(self.dial(server))
            until(lambda number=number: len(server._requests) == number + 1)
        self.check_echo(server)
        self.assertEqual(read_all(idle[0]), b'')
        idle[1].sendall(upgrade_request() + HELLO)
        self.assertTrue(receive(idle[1], 12).startswith(b'HTTP/1.1 101'))

    def test_no_room(self) -> None:
        class Tiny(WSGIServer):
            max_requests = 1

        entered, released = threading.Event(), threading.Event()

        def busy(environ: Any, start_response: Any) -> Iterable[bytes]:
            entered.set()
            released.wait(TIMEOUT)
            return plain(environ, start_response)

        server = self.serve(busy, cls=Tiny)
        request = b'GET /a HTTP/1.1\r\nHost: x\r\n\r\n'
        first = self.dial(server)
        first.sendall(request)
        self.assertTrue(entered.wait(TIMEOUT))
        with self.assertLogs('ws4py', 'ERROR') as logs, patch.object(wsgirefserver, 'PATIENCE', 0.05):
            self.assertEqual(read_all(self.dial(server)), b'')
        self.assertIn('all of the 1 requests in progress are being answered', logs.output[0])
        second = self.dial(server)
        second.sendall(request)  # is served as soon as the first has ended
        released.set()
        self.assertTrue(read_all(first).endswith(b'GET|/a||'))
        self.assertTrue(read_all(second).endswith(b'GET|/a||'))
        self.assertTrue(self.ask(server, request).endswith(b'GET|/a||'))

    @unittest.skipIf(resource is None, 'no limit on descriptors can be set')
    def test_no_descriptor_to_be_had(self) -> None:
        server = self.serve()
        sock = self.dial(server)
        self.assertEqual(self.ask(server, b'\r\n\r\n')[9:12], b'400')  # every import has been made
        waiting = socket.socket()
        self.addCleanup(waiting.close)
        limits = resource.getrlimit(resource.RLIMIT_NOFILE)
        times: list[float] = []

        def count(record: logging.LogRecord) -> bool:
            if 'No connection can be accepted' in record.getMessage():
                times.append(time.monotonic())
            return True

        logger = logging.getLogger('ws4py')
        logger.addFilter(count)
        self.addCleanup(logger.removeFilter, count)
        with patch.object(wsgirefserver, 'PAUSE', 0.1):
            resource.setrlimit(resource.RLIMIT_NOFILE, (4, limits[1]))
            try:
                waiting.connect(server.server_address)
                until(lambda: len(times) > 2)
            finally:
                resource.setrlimit(resource.RLIMIT_NOFILE, limits)
        self.assertGreaterEqual(times[2] - times[0], 0.19)  # the loop has not spun
        for client in (sock, waiting):
            client.settimeout(TIMEOUT)
            client.sendall(upgrade_request() + HELLO)
            data = b''
            while not data.endswith(ECHO):
                data += client.recv(4096)

    def test_no_thread_to_be_had(self) -> None:
        server = self.serve()
        with patch('threading.Thread.start', side_effect=RuntimeError("can't start new thread")):
            with self.assertLogs('ws4py', 'ERROR'):
                self.assertEqual(read_all(self.dial(server)), b'')
        self.assertEqual(server._requests, {})
        self.check_echo(server)

    def test_ctrl_c_while_a_thread_is_being_started(self) -> None:
        server = self.serve()
        server.initialize_websockets_manager()
        start = threading.Thread.start

        def interrupted(thread: threading.Thread) -> None:
            start(thread)
            raise KeyboardInterrupt

        with socket.create_server(('127.0.0.1', 0)) as listening:
            near = socket.create_connection(listening.getsockname(), timeout=TIMEOUT)
            self.addCleanup(near.close)
            far, _ = listening.accept()
        with patch('threading.Thread.start', interrupted), self.assertRaises(KeyboardInterrupt):
            server.process_request(far, ('nobody', 0))
        server.shutdown_request(far)  # as socketserver does then
        near.sendall(upgrade_request() + HELLO)
        self.assertTrue(receive(near, 12).startswith(b'HTTP/1.1 101'))
        until(lambda: self.handler.made)

    def threads(self, server: Any) -> list[threading.Thread]:
        return [thread for thread in threading.enumerate() if getattr(thread, '_server', None) is server]

    def test_one_thread_for_requests_one_after_the_other(self) -> None:
        server = self.serve()
        self.check_echo(server)
        until(lambda: server._idle and not server._requests)
        first = self.threads(server)
        self.check_echo(server)
        until(lambda: server._idle and not server._requests)
        self.assertEqual(self.threads(server), first)
        self.assertEqual([thread.name for thread in first], ['WSGIRequest'])

    def test_threads_end_when_nothing_comes(self) -> None:
        server = self.serve()
        with patch.object(wsgirefserver, 'KEEP', 0.05):
            self.check_echo(server)
            until(lambda: not self.threads(server))
        self.assertEqual(server._idle, [])
        self.check_echo(server)

    def test_threads_end_with_the_server(self) -> None:
        server = self.serve()
        with patch.object(wsgirefserver, 'KEEP', None):
            self.check_echo(server)
            until(lambda: server._idle)
            server.stop()
            until(lambda: not self.threads(server))
        self.assertIsNone(server.next_request(wsgirefserver._RequestThread(server)))

    def test_a_request_that_comes_when_a_thread_is_about_to_end(self) -> None:
        server = self.serve()

        class Late:
            def get(self, timeout: Optional[float] = None) -> Any:
                if timeout is None:
                    return 'the request'
                server._idle.pop()  # as process_request() does
                raise queue.Empty

        thread = wsgirefserver._RequestThread(server)
        thread.requests = Late()  # type: ignore[assignment]
        self.assertEqual(server.next_request(thread), 'the request')

    def test_clients_that_go(self) -> None:
        server = self.serve()
        for data in (b'', b'GET /', upgrade_request() + HELLO):
            for _ in range(5):
                sock = self.dial(server)
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b'\1\0\0\0\0\0\0\0')
                sock.sendall(data)
                sock.close()
        until(lambda: not server._requests)
        self.check_echo(server)
        until(lambda: len(self.handler.ends) == len(self.handler.made) - 1)

    def test_a_connection_that_breaks_is_no_error(self) -> None:
        server = self.serve()
        with self.assertLogs('ws4py', 'DEBUG') as logs:
            try:
                raise OSError('cable cut')
            except OSError:
                server.handle_error(None, ('nobody', 0))
        self.assertEqual(logs.output, ["DEBUG:ws4py:The connection of ('nobody', 0) broke: cable cut"])

    @unittest.skipUnless(hasattr(select, 'poll'), 'no poll')
    def test_client_that_goes_before_the_answer(self) -> None:
        gone = threading.Event()
        inner = WebSocketWSGIApplication(handler_cls=self.handler)

        def late(environ: Any, start_response: Any) -> Any:
            gone.wait(TIMEOUT)
            poller = select.poll()
            poller.register(environ['ws4py.socket'], 0)
            poller.poll(TIMEOUT * 1000)  # until the RST is there, which is told without being asked for
            return inner(environ, start_response)

        server = self.serve(late)
        sock = self.dial(server)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b'\1\0\0\0\0\0\0\0')
        sock.sendall(upgrade_request())
        until(lambda: server._requests and not server._heads)
        sock.close()
        gone.set()
        until(lambda: not server._requests)
        until(lambda: self.handler.ends)
        self.assertEqual([code for code, _ in self.handler.ends], [1006])


class OrdinaryRequestTest(ServerTestCase):
    def test_much_to_read(self) -> None:
        parts = [b'a', b'b' * 3_000_000, b'c']

        def large(environ: Any, start_response: Any) -> Iterable[bytes]:
            write = start_response('200 OK', [])
            write(b'first')
            return parts

        answer = self.ask(self.serve(large), b'GET / HTTP/1.1\r\nHost: x\r\n\r\n')
        self.assertTrue(answer.partition(b'\r\n\r\n')[2] == b'first' + b''.join(parts))

    def fetch(self, server: Any, path: str, data: Optional[bytes] = None, **headers: str) -> tuple[int, bytes]:
        request = urllib.request.Request(f'http://127.0.0.1:{server.server_port}{path}', data, headers)
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=TIMEOUT) as response:
            return response.status, response.read()

    def test_beside_websockets(self) -> None:
        sockets = WebSocketWSGIApplication(handler_cls=self.handler)

        def app(environ: Any, start_response: Any) -> Any:
            return (sockets if 'HTTP_UPGRADE' in environ else plain)(environ, start_response)

        server = self.serve(app)
        self.check_echo(server)
        self.assertEqual(self.fetch(server, '/a%20b?c=d'), (200, b'GET|/a b|c=d|'))
        self.assertEqual(self.fetch(server, '/', b'x' * 300_000), (200, b'POST|/||' + b'x' * 300_000))
        self.check_echo(server)

    def test_answer(self) -> None:
        answer = self.ask(self.serve(plain), b'GET //evil.test/ HTTP/1.1\r\nHost: x\r\n\r\n')
        head, _, body = answer.partition(b'\r\n\r\n')
        self.assertEqual(head.split(b'\r\n')[0], b'HTTP/1.1 200 OK')
        for line in (b'Connection: close', b'Content-Length: 17', b'X-Scheme: http'):
            self.assertIn(line, head.split(b'\r\n'))
        self.assertEqual(body, b'GET|/evil.test/||')

    def test_http_1_0(self) -> None:
        answer = self.ask(self.serve(plain), b'GET / HTTP/1.0\r\n\r\n')
        self.assertTrue(answer.endswith(b'\r\n\r\nGET|/||'), answer)

    def test_body_in_pieces(self) -> None:
        sock = self.dial(self.serve(plain))
        sock.sendall(b'POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhel')
        sock.sendall(b'lo worldGET / HTTP/1.1\r\n\r\n')
        self.assertTrue(read_all(sock).endswith(b'POST|/||hello worl'))

    def test_body_that_stops(self) -> None:
        sock = self.dial(self.serve(plain))
        sock.sendall(b'POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhel')
        sock.shutdown(socket.SHUT_WR)
        self.assertTrue(read_all(sock).endswith(b'POST|/||hel'))

    def test_body_that_is_waited_for(self) -> None:
        sock = self.dial(self.serve(plain))
        sock.sendall(b'POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n')
        self.assertEqual(receive(sock, 25), b'HTTP/1.1 100 Continue\r\n\r\n')
        sock.sendall(b'ab')
        self.assertTrue(read_all(sock).endswith(b'POST|/||ab'))

    def test_other_hop_by_hop_headers_are_still_refused(self) -> None:
        def app(environ: Any, start_response: Any) -> Any:
            start_response('200 OK', [('Transfer-Encoding', 'chunked')])
            return []

        with self.assertLogs('ws4py', 'ERROR'):
            answer = self.ask(self.serve(app), b'GET / HTTP/1.1\r\nHost: x\r\n\r\n')
        self.assertTrue(answer.startswith(b'HTTP/1.1 500 '))

    def test_slow_body(self) -> None:
        with patch.object(WebSocketWSGIRequestHandler, 'timeout', 0.1), self.assertLogs('ws4py', 'ERROR'):
            sock = self.dial(self.serve(plain))
            sock.sendall(b'POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhel')
            self.assertTrue(read_all(sock).startswith(b'HTTP/1.1 500 '))

    def test_log(self) -> None:
        server = self.serve(plain)
        with self.assertLogs('ws4py', 'INFO') as logs:
            self.ask(server, b'GET /path HTTP/1.1\r\nHost: x\r\n\r\n')
            self.ask(server, b'NONSENSE\r\n\r\n')
        self.assertRegex(logs.output[0], r'127\.0\.0\.1 "GET /path HTTP/1.1" 200 \d+')
        self.assertRegex(logs.output[1], r"127\.0\.0\.1 refused with 400, 'NONSENSE' is not")


class ServerTest(ServerTestCase):
    def test_close_says_goodbye(self) -> None:
        server = self.serve()
        clients = [self.upgrade(server)[0] for _ in range(3)]
        idle = self.dial(server)
        until(lambda: len(server.manager) == 3)
        ending = threading.Thread(target=server.stop)
        ending.start()
        for sock in clients:
            self.assertEqual(receive(sock, 4)[:4], b'\x88\x19\x03\xe9')
            sock.sendall(b'\x88\x82\0\0\0\0\x03\xe9')
        ending.join(TIMEOUT)
        self.assertFalse(ending.is_alive())
        self.assertEqual(self.handler.ends, [(1001, b'')] * 3)
        self.assertEqual(read_all(idle), b'')
        with self.assertRaises(OSError):
            socket.create_connection(server.server_address, timeout=TIMEOUT).close()

    def test_close_waits_for_requests_in_progress(self) -> None:
        entered, released = threading.Event(), threading.Event()

        def slow(environ: Any, start_response: Any) -> Iterable[bytes]:
            entered.set()
            released.wait(TIMEOUT)
            return plain(environ, start_response)

        server = self.serve(slow)
        sock = self.dial(server)
        sock.sendall(b'GET / HTTP/1.1\r\nHost: x\r\n\r\n')
        self.assertTrue(entered.wait(TIMEOUT))
        ending = threading.Thread(target=server.stop)
        ending.start()
        until(lambda: server.socket.fileno() == -1)
        self.assertTrue(ending.is_alive())
        released.set()
        self.assertTrue(read_all(sock).endswith(b'GET|/||'))
        ending.join(TIMEOUT)
        self.assertFalse(ending.is_alive())

    def test_websocket_that_comes_too_late(self) -> None:
        entered, released = threading.Event(), threading.Event()
        inner = WebSocketWSGIApplication(handler_cls=self.handler)

        def slow(environ: Any, start_response: Any) -> Any:
            entered.set()
            released.wait(TIMEOUT)
            return inner(environ, start_response)

        server = self.serve(slow, limits=Limits(close_timeout=0.05))
        sock = self.dial(server)
        sock.sendall(upgrade_request())
        self.assertTrue(entered.wait(TIMEOUT))
        server.stop()
        self.assertIsNone(server.manager)
        released.set()
        self.assertTrue(read_all(sock).endswith(b'\r\n\r\n\x88\x19\x03\xe9Server is shutting down'))
        self.assertEqual([code for code, _ in self.handler.ends], [1006])

    def test_stopped_manager(self) -> None:
        server = self.serve()
        server.initialize_websockets_manager()
        server.manager.stop()
        server.manager.join(TIMEOUT)
        sock, _ = self.upgrade(server)
        self.assertEqual(read_all(sock), b'\x88\x19\x03\xe9Server is shutting down')

    def test_closed_twice(self) -> None:
        limits = Limits(close_timeout=0.1)  # for a client that never answers the Close
        server = self.serve(WebSocketWSGIApplication(handler_cls=self.handler, limits=limits))
        self.check_echo(server)
        server.stop()
        server.server_close()
        self.assertEqual(len(self.handler.ends), 1)

    def test_close_from_a_request(self) -> None:
        servers: list[Any] = []

        def app(environ: Any, start_response: Any) -> Any:
            servers[0].shutdown()
            servers[0].server_close()
            return plain(environ, start_response)

        servers.append(self.serve(app))
        self.assertTrue(self.ask(servers[0], b'GET / HTTP/1.1\r\nHost: x\r\n\r\n').endswith(b'GET|/||'))

    def test_manager(self) -> None:
        server = self.serve()
        self.assertIsNone(server.manager)
        server.initialize_websockets_manager()
        manager = server.manager
        self.assertIsInstance(manager, WebSocketManager)
        server.initialize_websockets_manager()
        self.assertIs(server.manager, manager)

    def test_own_manager(self) -> None:
        server = self.serve()
        server.manager = MagicMock()
        self.upgrade(server)
        until(lambda: server.manager.add.called)
        (websocket,) = self.handler.made
        server.manager.add.assert_called_once_with(websocket)
        server.stop()
        server.manager.close_all.assert_called_once_with()
        websocket.terminate()

    def test_address_in_use(self) -> None:
        server = self.serve()
        with self.assertRaises(OSError):
            WSGIServer(server.server_address, WebSocketWSGIRequestHandler)

    def test_ipv6(self) -> None:
        try:
            server = WSGIServer(('::1', 0), WebSocketWSGIRequestHandler)
        except OSError as error:
            self.skipTest(f'no IPv6 loopback: {error}')
        server.server_close()
        self.assertEqual(server.address_family, socket.AF_INET6)

    def test_defaults(self) -> None:
        server = self.serve()
        self.assertIs(server.limits, DEFAULT_LIMITS)
        self.assertIsNone(server.ssl_context)

    def test_what_a_request_handler_raises_is_logged(self) -> None:
        class Broken(WebSocketWSGIRequestHandler):
            def get_environ(self) -> Any:
                raise LookupError('broken')

        server = self.serve()
        server.RequestHandlerClass = Broken
        with self.assertLogs('ws4py', 'ERROR') as logs:
            self.assertEqual(self.ask(server, upgrade_request()), b'')
        self.assertIn('LookupError: broken', logs.output[0])


@needs_certificates
class TLSTest(ServerTestCase):
    def client(self, server: Any, cls: Any = WebSocketClient) -> Any:
        options = {'ca_certs': support_tls.authority_file()}
        client = cls(f'wss://127.0.0.1:{server.server_port}/', ssl_options=options)
        self.addCleanup(client.close_connection)
        return client

    def test_echo(self) -> None:
        answers: list[str] = []
        log = threading.Event()

        class Client(WebSocketClient):
            def opened(self) -> None:
                for number in range(100):
                    self.send(str(number))

            def received_message(self, message: Any) -> None:
                answers.append(str(message))
                if len(answers) == 100:
                    self.close()
                    log.set()

        server = self.serve(ssl_context=support_tls.server_context())
        client = self.client(server, Client)
        client.connect()
        client.run_forever()
        self.assertEqual(answers, [str(number) for number in range(100)])
        until(lambda: self.handler.ends)
        self.assertEqual(self.handler.ends, [(1000, b'')])

    def test_environ(self) -> None:
        server = self.serve(plain, ssl_context=support_tls.server_context())
        connection = http.client.HTTPSConnection(
            '127.0.0.1', server.server_port, context=support_tls.client_context(), timeout=TIMEOUT
        )
        with contextlib.closing(connection):
            connection.request('POST', '/', b'x' * 100_000)
            response = connection.getresponse()
            self.assertEqual((response.status, response.headers['X-Scheme']), (200, 'https'))
            self.assertEqual(len(response.read()), 100_008)

    def test_assigned_context(self) -> None:
        server = self.serve()
        server.ssl_context = support_tls.server_context()
        client = self.client(server)
        client.connect()
        client.close()
        client.run_forever()

    def test_stalled_handshakes_stop_nobody(self) -> None:
        server = self.serve(ssl_context=support_tls.server_context(), limits=Limits(handshake_timeout=1))
        silent = self.dial(server)
        half = self.dial(server)
        half.sendall(b'\x16\x03\x01\x40\x00')
        begin = time.monotonic()
        client = self.client(server)
        client.connect()
        self.assertLess(time.monotonic() - begin, 0.9)
        client.close()
        client.run_forever()
        self.assertEqual((read_all(silent), read_all(half)), (b'', b''))  # after the deadline
        until(lambda: not server._requests)

    def test_stalled_handshakes_make_room(self) -> None:
        class Small(WSGIServer):
            max_requests = 2

        server = self.serve(cls=Small, ssl_context=support_tls.server_context())
        silent = [self.dial(server) for _ in range(5)]
        client = self.client(server)
        client.connect()
        client.close()
        client.run_forever()
        self.assertEqual(read_all(silent[0]), b'')

    def test_a_client_that_has_gone_is_a_reset(self) -> None:
        stdout = MagicMock()
        stdout.write.side_effect = stdout.flush.side_effect = ssl.SSLEOFError
        handler = WebSocketWSGIHandler(MagicMock(), stdout, MagicMock(), {})  # type: ignore[arg-type]
        with self.assertRaises(ConnectionResetError):
            handler._write(b'x')
        with self.assertRaises(ConnectionResetError):
            handler._flush()

    def test_no_tls_from_the_client(self) -> None:
        server = self.serve(ssl_context=support_tls.server_context())
        self.assertNotIn(b'HTTP', self.ask(server, upgrade_request()))
        client = self.client(server)
        client.connect()
        client.close()
        client.run_forever()

    def test_frames_of_the_handshakes_segment(self) -> None:
        server = self.serve(ssl_context=support_tls.server_context())
        raw = self.dial(server)
        with support_tls.client_context().wrap_socket(raw, server_hostname='127.0.0.1') as sock:
            sock.sendall(upgrade_request() + HELLO * 3 + b'\x88\x82\0\0\0\0\x03\xe8')
            with contextlib.suppress(ssl.SSLError):
                data = b''
                while not data.endswith(b'\x88\x02\x03\xe8'):
                    data += sock.recv(65536)
        self.assertTrue(data.endswith(b'\r\n\r\n' + ECHO * 3 + b'\x88\x02\x03\xe8'), data)

    def test_refusal_is_heard(self) -> None:
        server = self.serve(ssl_context=support_tls.server_context())
        raw = self.dial(server)
        with support_tls.client_context().wrap_socket(raw, server_hostname='127.0.0.1') as sock:
            sock.sendall(b'GET / HTTP/1.1\r\n' + b'X: y\r\n' * 2000 + b'\r\n')
            self.assertTrue(sock.recv(65536).startswith(b'HTTP/1.1 431 '))

    def test_clients_that_have_gone_are_no_failure(self) -> None:
        server = self.serve(ssl_context=support_tls.server_context())
        with logs() as records:
            for _ in range(30):
                sock = support_tls.client_context().wrap_socket(self.dial(server), server_hostname='127.0.0.1')
                sock.sendall(upgrade_request())
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
                sock.close()
            server.stop()
        self.assertEqual([record for record in records if record.levelno >= logging.ERROR], [])

    def test_server_that_wraps_its_own_socket(self) -> None:
        # The old recipe; it lets a stalled handshake block accepting, but it works.
        server = WSGIServer(('127.0.0.1', 0), WebSocketWSGIRequestHandler)
        server.set_app(WebSocketWSGIApplication(handler_cls=self.handler))
        server.socket = support_tls.server_context().wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            client = self.client(server)
            client.connect()
            client.close()
            client.run_forever()
        finally:
            server.shutdown()
            thread.join(TIMEOUT)
            server.server_close()


PROGRAM = """
from wsgiref.simple_server import make_server
from ws4py.server.wsgirefserver import WSGIServer, WebSocketWSGIApplication, WebSocketWSGIRequestHandler
from ws4py.websocket import WebSocket

class Handler(WebSocket):
    def closed(self, code, reason=None):
        print('closed', code, flush=True)

server = make_server('127.0.0.1', 0, server_class=WSGIServer, handler_class=WebSocketWSGIRequestHandler,
                     app=WebSocketWSGIApplication(handler_cls=Handler))
server.initialize_websockets_manager()
print(server.server_port, flush=True)
try:
    server.serve_forever()
except KeyboardInterrupt:
    server.server_close()
"""


@unittest.skipIf(sys.platform == 'win32', 'no SIGINT for a child process')
class ProgramTest(ServerTestCase):
    def test_ctrl_c(self) -> None:
        environ = {**os.environ, 'PYTHONPATH': os.pathsep.join(filter(None, sys.path))}
        child = subprocess.Popen(
            [sys.executable, '-W', 'error', '-c', PROGRAM],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environ,
            text=True,
        )
        with contextlib.ExitStack() as stack:
            stack.callback(child.kill)
            assert child.stdout is not None
            client = WebSocketClient(f'ws://127.0.0.1:{int(child.stdout.readline())}/')
            client.connect()
            child.send_signal(signal.SIGINT)
            client.run_forever()
            output, errors = child.communicate(timeout=30)
        self.assertEqual((client.close_code, client.close_reason), (1001, b'Server is shutting down'))
        self.assertEqual((output, errors, child.returncode), ('closed 1001\n', '', 0))


if __name__ == '__main__':
    unittest.main()
