from __future__ import annotations

import contextlib
import dataclasses
import os
import socket
import ssl
import tempfile
import threading
import time
import unittest
from typing import Any, Callable, Optional
from unittest.mock import MagicMock, patch

import support_tls
from helpers import RecordingDriver
from support_sockets import ScriptedServer, read_request, response_to, say, until
from support_tls import needs_certificates

from ws4py.client import USER_AGENT, WebSocketBaseClient
from ws4py.exc import BrokenOffError, HandshakeError
from ws4py.handshake import accept_key
from ws4py.limits import DEFAULT_LIMITS, Limits
from ws4py.state import State

SHORT = Limits(connect_timeout=0.3, handshake_timeout=0.3)
KEY = b'dGhlIHNhbXBsZSBub25jZQ=='
ACCEPT = b'Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo='
UPGRADE = b'Upgrade: websocket\r\nConnection: Upgrade\r\n' + ACCEPT


class Client(WebSocketBaseClient):
    """Remembers what it was told."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.messages: list[bytes] = []
        self.end: Optional[tuple[int, Any]] = None
        self.oks = 0
        super().__init__(*args, **kwargs)

    def handshake_ok(self) -> None:
        self.oks += 1

    def received_message(self, message: Any) -> None:
        self.messages.append(message.data)

    def closed(self, code: int, reason: Any = None) -> None:
        self.end = (code, reason)


class ClientTestCase(unittest.TestCase):
    def make(self, *args: Any, cls: Callable[..., Client] = Client, **kwargs: Any) -> Client:
        client = cls(*args, **kwargs)
        self.addCleanup(client.close_connection)
        return client

    def serve(self, script: Callable[[socket.socket], Any], **kwargs: Any) -> ScriptedServer:
        server = ScriptedServer(script, **kwargs)
        server.__enter__()
        self.addCleanup(server.__exit__, None, None, None)
        return server

    def connect_to(self, script: Callable[[socket.socket], Any], **kwargs: Any) -> Client:
        client = self.make(f'ws://127.0.0.1:{self.serve(script).port}/', **kwargs)
        client.connect()
        return client

    def refuse(self, script: Callable[[socket.socket], Any], text: str, **kwargs: Any) -> HandshakeError:
        client = self.make(f'ws://127.0.0.1:{self.serve(script).port}/', **kwargs)
        sock = client.sock
        with self.assertRaisesRegex(HandshakeError, text) as caught:
            client.connect()
        self.assertIsNone(client.sock)
        self.assertEqual(sock.fileno(), -1)
        self.assertEqual((client.state, client.oks), (State.CLOSED, 0))
        return caught.exception


class ConstructorTest(ClientTestCase):
    def test_tcp(self) -> None:
        client = self.make('ws://Example.test:8080/chat?room=1')
        self.assertEqual((client.scheme, client.host, client.port), ('ws', 'example.test', 8080))
        self.assertEqual(client.url, 'ws://Example.test:8080/chat?room=1')
        self.assertEqual((client.resource, client.unix_socket_path), ('/chat?room=1', None))
        self.assertEqual(client.bind_addr, ('example.test', 8080))
        self.assertEqual((client.extra_headers, client.exclude_headers, client.ssl_options), ([], [], {}))
        self.assertIsInstance(client.key, bytes)
        self.assertIs(client.state, State.CONNECTING)

    def test_default_ports(self) -> None:
        self.assertEqual(self.make('ws://127.0.0.1/').bind_addr, ('127.0.0.1', 80))
        self.assertEqual(self.make('wss://127.0.0.1/').bind_addr, ('127.0.0.1', 443))
        self.assertEqual(self.make('ws://[::1]/').bind_addr, ('::1', 80))

    def test_unix(self) -> None:
        for scheme in ('ws+unix', 'wss+unix'):
            client = self.make(f'{scheme}:///tmp/my.sock')
            self.assertEqual((client.host, client.port, client.resource), ('localhost', None, '/'))
            self.assertEqual((client.unix_socket_path, client.bind_addr), ('/tmp/my.sock', '/tmp/my.sock'))

    def test_wrong_urls(self) -> None:
        for url in ('http://example.test/', 'ws:///path', 'example.test', 'ws://exa\r\nmple.test/', 'ws://host/a\0b'):
            with self.subTest(url), self.assertRaises(ValueError):
                WebSocketBaseClient(url)

    def test_a_name_without_address_is_for_connect_to_report(self) -> None:
        with patch('ws4py.client.socket.getaddrinfo', side_effect=socket.gaierror('no such name')):
            client = self.make('ws://nowhere.invalid/')
        with patch('ws4py.client.socket.getaddrinfo', side_effect=socket.gaierror('no such name')):
            with self.assertRaises(OSError):
                client.connect()
        self.assertIsNone(client.sock)

    def test_what_breaks_a_request_is_refused_before_there_is_a_socket(self) -> None:
        for wrong in ('a\rb', 'a\nb', 'a\0b', 'a\r\nX: y'):
            for arguments in (
                {'headers': [('X-Name', wrong)]},
                {'headers': [(wrong, 'value')]},
                {'protocols': [wrong]},
                {'extensions': [wrong]},
            ):
                with self.subTest(arguments=arguments), patch('ws4py.client.socket.socket') as made:
                    with self.assertRaises(ValueError):
                        WebSocketBaseClient('ws://127.0.0.1/', **arguments)  # type: ignore[arg-type]
                    made.assert_not_called()

    def test_again_on_the_same_object(self) -> None:
        server = self.serve(say())
        client = self.make(f'ws://127.0.0.1:{server.port}/', protocols=['chat'])
        client.connect()
        client.close_connection()
        first_key = client.key
        client.__init__(f'ws://127.0.0.1:{server.port}/')  # type: ignore[misc]
        self.assertIs(client.state, State.CONNECTING)
        self.assertNotEqual(client.key, first_key)
        client.connect()
        self.assertEqual((client.oks, client.protocols), (1, []))

    def test_what_stays_when_it_is_not_given_again(self) -> None:
        limits = Limits(message_size=10)
        client = self.make(
            'ws://127.0.0.1/', limits=limits, max_redirects=3, proxy='http://10.0.0.1:3128', protocols=['a']
        )
        client.__init__('ws://127.0.0.1/')  # type: ignore[misc]
        self.assertEqual((client.limits, client.max_redirects, client.proxy), (limits, 3, 'http://10.0.0.1:3128'))
        self.assertEqual((client._dialed, client.protocols), (('10.0.0.1', 3128), []))
        client.__init__('ws://127.0.0.1/', proxy=False)  # type: ignore[misc]
        self.assertEqual(client._dialed, ('127.0.0.1', 80))

    def test_again_lets_go_of_a_connection_that_is_driven(self) -> None:
        server = self.serve(say())
        client = self.make(f'ws://127.0.0.1:{server.port}/', limits=Limits(ping_interval=60, close_timeout=60))
        client.connect()
        driver = RecordingDriver()
        client.attach(driver, queued=True)
        client.close()
        self.assertEqual(len(driver.timers), 2)
        first = client.sock
        client.__init__(f'ws://127.0.0.1:{server.port}/')  # type: ignore[misc]
        self.assertEqual((driver.timers, driver.forgotten, first.fileno()), ([], [client], -1))
        client.connect()
        self.assertEqual((client.oks, client.end, client.state), (1, None, State.OPEN))

    def test_limits_are_those_of_the_class_unless_given(self) -> None:
        class Small(Client):
            limits = Limits(message_size=10)

        client = self.make('ws://127.0.0.1/', cls=Small)
        self.assertEqual(client.stream.limits.message_size, 10)
        client = self.make('ws://127.0.0.1/', cls=Small, limits=DEFAULT_LIMITS)
        self.assertIs(client.stream.limits, DEFAULT_LIMITS)
        self.assertIs(client.limits, DEFAULT_LIMITS)

    def test_ssl_options(self) -> None:
        class Defaults(Client):
            default_ssl_options = {'cert_reqs': ssl.CERT_NONE, 'server_hostname': 'internal'}

        self.assertEqual(
            self.make('wss://127.0.0.1/', ssl_options={'ca_certs': 'x'}, cls=Defaults).ssl_options,
            {'cert_reqs': ssl.CERT_NONE, 'server_hostname': 'internal', 'ca_certs': 'x'},
        )
        context = ssl.create_default_context()
        self.assertEqual(
            self.make('wss://127.0.0.1/', ssl_options={'ssl_context': context}, cls=Defaults).ssl_options,
            {'ssl_context': context, 'server_hostname': 'internal'},
        )
        with self.assertRaisesRegex(TypeError, 'unknown ssl_options ssl_version; known are ca_certs, cert_reqs,'):
            WebSocketBaseClient('wss://127.0.0.1/', ssl_options={'ssl_version': 2})
        with self.assertRaisesRegex(TypeError, 'ssl_options ca_certs would be ignored beside ssl_context'):
            WebSocketBaseClient('wss://127.0.0.1/', ssl_options={'ssl_context': context, 'ca_certs': 'x'})
        client = self.make('wss://127.0.0.1/', limits=SHORT)
        client.ssl_options['certfiel'] = 'x'
        with self.assertRaises(TypeError):
            client._tls_context()


class RequestTest(ClientTestCase):
    def headers(self, *args: Any, **kwargs: Any) -> dict[str, str]:
        return dict(self.make(*args, **kwargs).handshake_headers)

    def test_request(self) -> None:
        client = self.make('ws://example.test:8080/chat?a=b', protocols=['chat', 'Echo'], extensions=['x-one; a=1'])
        client.key = KEY
        self.assertEqual(
            client.handshake_request,
            b'GET /chat?a=b HTTP/1.1\r\n'
            b'Host: example.test:8080\r\n'
            b'Connection: Upgrade\r\n'
            b'Upgrade: websocket\r\n'
            b'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n'
            b'Sec-WebSocket-Version: 13\r\n'
            b'Origin: http://example.test:8080\r\n'
            b'User-Agent: ' + USER_AGENT.encode() + b'\r\n'
            b'Sec-WebSocket-Protocol: chat, Echo\r\n'
            b'Sec-WebSocket-Extensions: x-one; a=1\r\n\r\n',
        )

    def test_host(self) -> None:
        for url, host in (
            ('ws://example.test/', 'example.test'),
            ('wss://example.test:443/', 'example.test'),
            ('wss://example.test:80/', 'example.test:80'),
            ('ws://[::1]:81/', '[::1]:81'),
            ('ws+unix:///tmp/sock', 'localhost'),
        ):
            with self.subTest(url):
                self.assertEqual(self.headers(url)['Host'], host)
        client = self.make('ws://example.test/')
        client.host, client.port = 'other.test', 81
        self.assertEqual(dict(client.handshake_headers)['Host'], 'other.test:81')

    def test_origin(self) -> None:
        self.assertEqual(self.headers('wss://example.test/')['Origin'], 'https://example.test')
        self.assertNotIn('Origin', self.headers('ws://example.test/', exclude_headers=['origin']))
        headers = self.make('ws://example.test/', headers=[('origin', 'http://mine')]).handshake_headers
        self.assertEqual([value for name, value in headers if name.lower() == 'origin'], ['http://mine'])

    def test_own_headers(self) -> None:
        client = self.make(
            'ws://a.test/',
            headers=[('Host', 'b.test'), ('X-Number', 5), ('Cookie', 'a'), ('Cookie', 'b'), (b'X-Bytes', b'\xe9')],
        )
        self.assertEqual(client.handshake_request.count(b'Host: '), 1)
        for line in (
            b'\r\nHost: b.test\r\n',
            b'\r\nX-Number: 5\r\n',
            b'\r\nX-Bytes: \xe9\r\n',
            b'\r\nCookie: a\r\nCookie: b\r\n',
        ):
            self.assertIn(line, client.handshake_request)

    def test_user_of_the_url(self) -> None:
        self.assertEqual(self.headers('ws://me:s%20cret@a.test/')['Authorization'], 'Basic bWU6cyBjcmV0')
        self.assertEqual(self.headers('ws://me@a.test/')['Authorization'], 'Basic bWU6')
        self.assertNotIn('Authorization', self.headers('ws://a.test/'))

    def test_overridden_headers_are_what_is_sent(self) -> None:
        class Own(Client):
            def __init__(self, url: str, token: str) -> None:
                super().__init__(url)
                self.token = token

            @property
            def handshake_headers(self) -> list[tuple[str, str]]:
                return [*super().handshake_headers, ('X-Token', self.token)]

        self.assertIn(b'\r\nX-Token: yes\r\n', self.make('ws://a.test/', 'yes', cls=Own).handshake_request)

    def test_what_breaks_a_request_is_refused_before_anything_is_sent(self) -> None:
        requests: list[bytes] = []
        server = self.serve(lambda sock: requests.append(sock.recv(65536)))
        for attribute, value in (
            ('resource', '/a\r\nX: y'),
            ('resource', '/a\0'),
            ('key', b'a\r\nX: y'),
            ('extra_headers', [('X', 'a\nb')]),
            ('protocols', ['a\nb']),
            ('host', 'a\r\nX: y'),
        ):
            with self.subTest(attribute):
                client = self.make(f'ws://127.0.0.1:{server.port}/')
                setattr(client, attribute, value)
                with self.assertRaises(ValueError):
                    client.connect()
                self.assertIsNone(client.sock)
        self.assertEqual(requests, [])


class ResponseTest(ClientTestCase):
    def setUp(self) -> None:
        self.client = self.make('ws://127.0.0.1/')
        self.client.key = KEY

    def headers(self, *lines: bytes) -> tuple[list[bytes], list[bytes]]:
        return self.client.process_handshake_header(b'\r\n'.join(lines))

    def test_line(self) -> None:
        self.client.process_response_line(b'HTTP/1.1 101 Switching Protocols')
        self.client.process_response_line(b'HTTP/1.1 101')
        expected = "^the server answered 'HTTP/1.1 403 Forbidden', not 101 Switching"
        with self.assertRaisesRegex(HandshakeError, expected) as caught:
            self.client.process_response_line(b'HTTP/1.1 403 Forbidden')
        self.assertEqual(caught.exception.response_status, 403)
        for line in (b'', b'101', b'HTTP/1.1 abc', b'ICY 101 OK', b'\xff\xfe'):
            with self.subTest(line), self.assertRaises(HandshakeError) as caught:
                self.client.process_response_line(line)
            self.assertIsNone(caught.exception.response_status)

    def test_when_to_try_again(self) -> None:
        for lines, expected in ((b'', None), (b'Retry-After: 7\r\n', '7'), (b'retry-after:soon\r\n', 'soon')):
            self.client._expect_response()
            with self.assertRaisesRegex(HandshakeError, '503') as caught:
                self.client._feed_response(b'HTTP/1.1 503 Busy\r\n' + lines + b'\r\n')
            self.assertEqual((caught.exception.response_status, caught.exception.retry_after), (503, expected))

    def test_headers(self) -> None:
        self.assertEqual(self.headers(UPGRADE), ([], []))
        self.assertEqual(self.headers(b'', UPGRADE, b'', b''), ([], []))
        self.assertEqual(
            self.headers(b'upgrade : WebSocket', b'CONNECTION: keep-alive, upgrade', ACCEPT, b'Other: x'), ([], [])
        )
        for missing in (b'Upgrade', b'Connection', b'Sec-WebSocket-Accept'):
            with self.subTest(missing), self.assertRaisesRegex(HandshakeError, missing.decode()):
                self.headers(*(line for line in UPGRADE.split(b'\r\n') if not line.startswith(missing)))
        with self.assertRaises(HandshakeError):
            self.headers()

    def test_protocols(self) -> None:
        with self.assertLogs('ws4py', 'WARNING'):
            self.assertEqual(self.headers(UPGRADE, b'Sec-WebSocket-Protocol: unasked'), ([b'unasked'], []))
        self.client.protocols = ['Chat', 'echo']
        self.assertEqual(self.headers(UPGRADE, b'Sec-WebSocket-Protocol: Chat'), ([b'Chat'], []))
        self.assertEqual(self.headers(UPGRADE), ([], []))
        with self.assertRaises(HandshakeError):
            self.headers(UPGRADE, b'Sec-WebSocket-Protocol: chat')

    def test_extensions_of_several_headers_add_up(self) -> None:
        self.client.extensions = ['one', 'two; a=1']
        self.assertEqual(
            self.headers(UPGRADE, b'Sec-WebSocket-Extensions: one', b'Sec-WebSocket-Extensions: two; a=1'),
            ([], [b'one', b'two; a=1']),
        )
        with self.assertRaises(HandshakeError):
            self.headers(UPGRADE, b'Sec-WebSocket-Extensions: three')


class FedTest(ClientTestCase):
    """The response as clients on an event loop feed it."""

    response = b'HTTP/1.1 101 Switching Protocols\r\n' + UPGRADE + b'\r\nSec-WebSocket-Protocol: a\r\n\r\n'

    def expecting(self) -> Client:
        client = self.make('ws://127.0.0.1/', protocols=['a'])
        client.key = KEY
        client._expect_response()
        return client

    def test_in_pieces(self) -> None:
        data = b'HTTP/1.1 100 Continue\r\n\r\n' + self.response
        for cut in range(1, len(data)):
            client = self.expecting()
            self.assertIs(client._feed_response(data[:cut]), False)
            self.assertIs(client.state, State.CONNECTING)
            self.assertIs(client._feed_response(data[cut:] + b'rest'), True)
            self.assertEqual((client.protocols, client.extensions, client.buf), ([b'a'], [], b'rest'))
            self.assertEqual((client.state, client.oks), (State.OPEN, 0))

    def test_end(self) -> None:
        client = self.expecting()
        with self.assertRaisesRegex(HandshakeError, 'broke off: the connection was closed without a word'):
            client._feed_response(b'')
        client._expect_response()
        client._feed_response(b'HTTP/1.1 101 Sw')
        with self.assertRaisesRegex(HandshakeError, 'broke off: the connection was closed in the middle of a head'):
            client._feed_response(b'')

    def test_refused(self) -> None:
        for response, text in (
            (b'HTTP/1.1 403 No\r\n\r\n', '403 No'),
            (self.response.replace(b's3p', b'S3p'), 'Sec-WebSocket-Accept'),
            (b'\n', 'bare LF'),
        ):
            client = self.expecting()
            with self.subTest(text), self.assertRaisesRegex(HandshakeError, text):
                client._feed_response(response)
            self.assertIs(client.state, State.CONNECTING)

    def test_no_socket_before_connect(self) -> None:
        class OnLoop(Client):
            _socket_first = False

        with patch('ws4py.client.socket') as module:
            client = self.make('ws://name.invalid/', cls=OnLoop)
            client._check_connecting()
            client._give_up()
        self.assertEqual(module.mock_calls, [])
        self.assertIsNone(client.sock)
        with self.assertRaisesRegex(RuntimeError, 'is closed, call __init__ again'):
            client._check_connecting()


class SocketsTest(ClientTestCase):
    def test_those_of_a_framework(self) -> None:
        module = MagicMock(wraps=socket)

        class Own(Client):
            @property
            def _sockets(self) -> Any:
                return module

        with ScriptedServer(say()) as server:
            client = self.make(f'ws://127.0.0.1:{server.port}/', cls=Own)
            client.connect()
        module.getaddrinfo.assert_called_once()
        module.socket.assert_called_once_with(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)


class MockTest(unittest.TestCase):
    """Applications' tests put a mock in the place of the module's socket."""

    def setUp(self) -> None:
        patcher = patch('ws4py.client.socket')
        self.module = patcher.start()
        self.addCleanup(patcher.stop)
        self.sock = MagicMock()
        self.module.socket.return_value = self.sock
        self.module.getaddrinfo.return_value = [(socket.AF_INET, socket.SOCK_STREAM, 0, '', ('127.0.0.1', 80, 0, 0))]

    def make(self) -> WebSocketBaseClient:
        client = WebSocketBaseClient('ws://127.0.0.1/?token=value')
        client.key = KEY
        return client

    def test_connect_and_close(self) -> None:
        client = self.make()
        self.module.socket.assert_called_once_with(socket.AF_INET, socket.SOCK_STREAM, 0)
        self.sock.connect.assert_not_called()
        self.sock.recv.return_value = b'HTTP/1.1 101 Switching Protocols\r\n' + UPGRADE + b'\r\n\r\n'
        client.handshake_ok = MagicMock()  # type: ignore[method-assign]
        client.connect()
        self.sock.connect.assert_called_once_with(('127.0.0.1', 80))
        self.sock.sendall.assert_called_once_with(client.handshake_request)
        client.handshake_ok.assert_called_once_with()
        client.close(reason='bye')
        (frame,) = self.sock.sendall.call_args[0]
        self.assertEqual((frame[0], frame[1]), (0x88, 0x80 + 2 + len('bye')))
        client.close_connection()
        self.sock.shutdown.assert_called_once_with(socket.SHUT_RDWR)
        self.sock.close.assert_called_once_with()
        self.assertIsNone(client.sock)

    def test_refusals_close_once(self) -> None:
        for response in (
            b'',
            b'HTTP/1.1 200 Oki\r\n\r\n',
            b'HTTP/1.1 101 Switch\r\nupgrade: boom\r\n\r\n',
            b'HTTP/1.1 101 Switch\r\nUpgrade: websocket\r\nConnection: bim\r\n\r\n',
            b'HTTP/1.1 100 Continue\r\n\r\n',  # without end
            OSError('broken'),
        ):
            with self.subTest(response):
                self.sock.reset_mock(side_effect=True)
                client = self.make()
                if isinstance(response, bytes):
                    self.sock.recv.return_value = response
                else:
                    self.sock.recv.side_effect = response
                with self.assertRaises(HandshakeError):
                    client.connect()
                self.sock.shutdown.assert_called_once_with(socket.SHUT_RDWR)
                self.sock.close.assert_called_once_with()
                self.assertIsNone(client.sock)

    def test_unresolved(self) -> None:
        self.module.getaddrinfo.side_effect = socket.gaierror('no such name')
        client = self.make()
        self.assertIs(client.sock, self.sock)
        self.assertEqual(client.bind_addr, ('127.0.0.1', 80))

    def test_each_further_address_gets_a_socket_of_its_own(self) -> None:
        first, second, third = (MagicMock() for _ in range(3))
        self.module.socket.side_effect = [first, second, third]
        self.module.getaddrinfo.return_value = [
            (socket.AF_INET, socket.SOCK_STREAM, 6, '', ('127.0.0.1', 80)),
            (socket.AF_INET6, socket.SOCK_STREAM, 6, '', ('fe80::1', 80, 0, 3)),
            (socket.AF_INET, socket.SOCK_STREAM, 6, '', ('127.0.0.3', 80)),
        ]
        client = self.make()
        first.connect.side_effect = second.connect.side_effect = ConnectionRefusedError()
        third.recv.return_value = b'HTTP/1.1 101 Switching Protocols\r\n' + UPGRADE + b'\r\n\r\n'
        client.connect()
        first.connect.assert_called_once_with(('127.0.0.1', 80))
        second.connect.assert_called_once_with(('fe80::1', 80, 0, 3))
        third.connect.assert_called_once_with(('127.0.0.3', 80))
        first.close.assert_called_once_with()
        second.close.assert_called_once_with()
        self.assertIs(client.sock, third)

    def test_closed_while_an_address_is_tried(self) -> None:
        """As by another thread: whichever socket it finds, no further one is connected."""
        self.module.getaddrinfo.return_value = [
            (socket.AF_INET, socket.SOCK_STREAM, 6, '', (f'127.0.0.{number}', 80)) for number in (1, 2, 3)
        ]
        client: Any = None

        def close() -> None:
            client.close()

        for when in ('connect', 'socket', 'recv'):
            first, second, third = sockets = [MagicMock() for _ in range(3)]
            left = list(sockets)

            def make(*_: Any, when: str = when, left: list[Any] = left) -> Any:
                if when == 'socket' and len(left) == 2:
                    close()
                return left.pop(0)

            def closed(*_: Any) -> None:
                close()
                raise OSError(9, 'Bad file descriptor')

            with self.subTest(when):
                self.module.socket.side_effect = make
                client = self.make()
                first.connect.side_effect = closed if when == 'connect' else ConnectionRefusedError()
                second.recv.side_effect = closed
                with self.assertRaisesRegex(BrokenOffError, 'the client was closed'):
                    client.connect()
                self.assertEqual(second.connect.called, when == 'recv')
                third.connect.assert_not_called()
                self.assertEqual((client.sock, client.state), (None, State.CLOSED))
                self.assertTrue(all(sock.close.called for sock in sockets if sock not in left))

    def test_closed_while_a_redirect_is_followed(self) -> None:
        client = WebSocketBaseClient('ws://127.0.0.1/', max_redirects=1)
        first, second = self.sock, MagicMock()
        first.recv.return_value = b'HTTP/1.1 302 Found\r\nLocation: /there\r\n\r\n'

        def make(*_: Any) -> Any:
            client.close()
            return second

        self.module.socket.side_effect = make
        with self.assertRaisesRegex(BrokenOffError, 'the client was closed'):
            client.connect()
        second.connect.assert_not_called()
        second.close.assert_called_once_with()

    def test_closed_when_the_handshake_is_just_done(self) -> None:
        """A moment before, there is no connection; a moment later, it is closed as it should be."""
        for late in (False, True):

            class Unlucky(WebSocketBaseClient):
                late_close = late

                def use_extensions(self, *args: Any) -> None:
                    super().use_extensions(*args)
                    if not self.late_close:
                        self.closed_by_us = True  # the other thread has come no further

                def handshake_ok(self) -> None:
                    self.close(1001)

            client = Unlucky('ws://127.0.0.1/')
            client.key = KEY
            self.sock.recv.return_value = b'HTTP/1.1 101 Switching Protocols\r\n' + UPGRADE + b'\r\n\r\n'
            with self.subTest(late=late):
                if late:
                    client.connect()
                    self.assertEqual((client.sock, client.state), (self.sock, State.CLOSE_SENT))
                    self.assertEqual(self.sock.sendall.call_args[0][0][:2], b'\x88\x82')
                else:
                    with self.assertRaisesRegex(BrokenOffError, 'the client was closed'):
                        client.connect()
                    self.assertEqual((client.sock, client.state), (None, State.CLOSED))


class ConnectTest(ClientTestCase):
    def test_frames_of_the_handshakes_segment_are_delivered(self) -> None:
        def script(request: bytes) -> bytes:
            return response_to(request) + b'\x81\x05hello' + b'\x82\x01a' + b'\x88\x02\x03\xe8'

        client = self.connect_to(say(script))
        self.assertEqual((client.state, client.oks, client.messages), (State.OPEN, 1, []))
        self.assertIsNone(client.sock.gettimeout())
        client.run()
        self.assertEqual((client.messages, client.end), ([b'hello', b'a'], (1000, b'')))

    def test_what_was_negotiated(self) -> None:
        client = self.connect_to(
            say(lambda request: response_to(request, 'Sec-WebSocket-Protocol: b', 'Sec-WebSocket-Extensions: x; y=1')),
            protocols=['a', 'b'],
            extensions=['x; y=1'],
        )
        self.assertEqual((client.protocols, client.extensions), ([b'b'], [b'x; y=1']))
        self.assertIn(('Sec-WebSocket-Protocol', 'b'), client.handshake_headers)

    def test_byte_by_byte(self) -> None:
        def script(sock: socket.socket) -> None:
            for byte in response_to(read_request(sock)):
                sock.sendall(bytes([byte]))
            sock.recv(1)

        self.assertEqual(self.connect_to(script).oks, 1)

    def test_interim_responses_are_passed_over(self) -> None:
        interim = b'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </style.css>\r\n\r\n'
        self.assertEqual(self.connect_to(say(lambda request: interim + response_to(request))).oks, 1)

    def test_timeout_of_the_socket_is_left_as_it_was(self) -> None:
        client = self.make(f'ws://127.0.0.1:{self.serve(say()).port}/')
        client.sock.settimeout(7)
        client.connect()
        self.assertEqual(client.sock.gettimeout(), 7)

    def test_without_limits_of_time(self) -> None:
        limits = Limits(connect_timeout=None, handshake_timeout=None)
        self.assertEqual(self.connect_to(say(), limits=limits).oks, 1)

    def test_own_key_and_resource(self) -> None:
        requests: list[bytes] = []
        server = self.serve(say(then=lambda sock, request: requests.append(request)))
        client = self.make(f'ws://127.0.0.1:{server.port}/')
        client.resource, client.key = '/mine', KEY
        client.connect()
        until(lambda: requests)
        self.assertEqual(requests, [client.handshake_request])
        self.assertTrue(requests[0].startswith(b'GET /mine HTTP/1.1\r\n'))

    def test_small_frames_are_not_held_back(self) -> None:
        client = self.connect_to(say())
        self.assertTrue(client.sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))

    @unittest.skipUnless(socket.has_ipv6, 'no IPv6')
    def test_ipv6(self) -> None:
        try:
            server = self.serve(say(), family=socket.AF_INET6)
        except OSError as error:
            self.skipTest(f'no IPv6 loopback: {error}')
        client = self.make(f'ws://[::1]:{server.port}/')
        client.connect()
        self.assertEqual(client.peer_address, ('::1', server.port))

    def test_every_address_is_tried(self) -> None:
        server = self.serve(say())
        closed = socket.create_server(('127.0.0.1', 0))
        nobody = closed.getsockname()
        closed.close()
        found = [(socket.AF_INET, socket.SOCK_STREAM, 6, '', nobody)] * 3
        found.append((socket.AF_INET, socket.SOCK_STREAM, 6, '', ('127.0.0.1', server.port)))
        with patch('ws4py.client.socket.getaddrinfo', return_value=found):
            client = self.make(f'ws://127.0.0.1:{nobody[1]}/')
        first = client.sock
        client.connect()
        self.assertEqual((client.oks, client.peer_address), (1, ('127.0.0.1', server.port)))
        self.assertEqual(first.fileno(), -1)

    def test_a_name_that_resolves_by_now(self) -> None:
        server = self.serve(say())
        with patch('ws4py.client.socket.getaddrinfo', side_effect=socket.gaierror('not yet')):
            client = self.make('ws://later.invalid/')
        found = [(socket.AF_INET, socket.SOCK_STREAM, 6, '', ('127.0.0.1', server.port))]
        with patch('ws4py.client.socket.getaddrinfo', return_value=found):
            client.connect()
        self.assertEqual(client.oks, 1)

    def test_nobody_there(self) -> None:
        closed = socket.create_server(('127.0.0.1', 0))
        nobody = closed.getsockname()[1]
        closed.close()
        client = self.make(f'ws://127.0.0.1:{nobody}/')
        with self.assertRaises(ConnectionRefusedError):
            client.connect()
        self.assertIsNone(client.sock)
        client.close()  # of no effect
        with self.assertRaisesRegex(RuntimeError, 'is closed, call __init__ again'):
            client.connect()

    def test_twice(self) -> None:
        client = self.connect_to(say())
        sock = client.sock
        with self.assertRaisesRegex(RuntimeError, 'is open, call __init__ again'):
            client.connect()
        self.assertIs(client.sock, sock)
        self.assertEqual((client.state, client.oks), (State.OPEN, 1))

    def test_connect_timeout(self) -> None:
        # The queue of a listening socket that nobody accepts from fills up, then connecting takes for ever.
        listening = socket.socket()
        self.addCleanup(listening.close)
        listening.bind(('127.0.0.1', 0))
        listening.listen(0)
        with contextlib.ExitStack() as stack:
            for _ in range(64):
                filler = stack.enter_context(socket.socket())
                filler.setblocking(False)
                filler.connect_ex(listening.getsockname())
            client = self.make(f'ws://127.0.0.1:{listening.getsockname()[1]}/', limits=SHORT)
            begin = time.monotonic()
            with self.assertRaises((OSError, HandshakeError)):
                client.connect()
            self.assertLess(time.monotonic() - begin, 5)
        self.assertIsNone(client.sock)

    @unittest.skipUnless(hasattr(socket, 'AF_UNIX'), 'no Unix sockets')
    def test_unix(self) -> None:
        with tempfile.TemporaryDirectory() as directory:
            path = os.path.join(directory, 'my.sock')
            with ScriptedServer(say(), family=socket.AF_UNIX, address=path):
                client = self.make(f'ws+unix://{path}')
                client.connect()
                self.assertEqual((client.oks, client.peer_address), (1, path))
                client.close_connection()
            os.unlink(path)
            client = self.make(f'ws+unix://{path}')
            with self.assertRaises(FileNotFoundError):
                client.connect()
            self.assertIsNone(client.sock)


class RefusalTest(ClientTestCase):
    def test_answers(self) -> None:
        for response, text in (
            (b'HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno', '403 Forbidden'),
            (b'HTTP/1.1 200 OK\r\n\r\n', '200 OK'),
            (b'HTTP/1.1 302 Found\r\nLocation: ws://elsewhere/\r\n\r\n', '302 Found'),
            (b'SSH-2.0-OpenSSH\r\n\r\n', 'SSH-2.0-OpenSSH'),
            (b'HTTP/2.0 101 Switching Protocols\r\n\r\n', 'HTTP/2.0'),
        ):
            with self.subTest(response):
                self.refuse(say(response), text)

    def test_headers(self) -> None:
        for name in ('Upgrade', 'Connection', 'Sec-WebSocket-Accept'):
            with self.subTest(name):
                self.refuse(say(lambda request, name=name: response_to(request, leave_out=name)), f'{name} is missing')
        for line, text in (
            ('Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=', 'Sec-WebSocket-Accept'),  # a second one
            ('Upgrade: h2c', 'Upgrade'),
            ('Sec-WebSocket-Protocol: other', 'Sec-WebSocket-Protocol'),
            ('Sec-WebSocket-Extensions: other', 'Sec-WebSocket-Extensions'),
        ):
            with self.subTest(line):
                self.refuse(
                    say(lambda request, line=line: response_to(request, line)), text, protocols=['a'], extensions=['x']
                )

    def test_wrong_accept(self) -> None:
        wrong = f'Sec-WebSocket-Accept: {accept_key(KEY)}'
        self.refuse(say(lambda request: response_to(request, wrong, leave_out='Sec-WebSocket-Accept')), 'expected')

    def test_closed(self) -> None:
        def hang_up(sock: socket.socket) -> None:
            read_request(sock)
            sock.shutdown(socket.SHUT_RDWR)

        def reset(sock: socket.socket) -> None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b'\1\0\0\0\0\0\0\0')
            read_request(sock)
            sock.close()

        self.refuse(hang_up, 'broke off: the connection was closed without a word')
        self.refuse(say(b'HTTP/1.1 101 Sw'), 'broke off: the connection was closed in the middle of a head')
        self.refuse(reset, 'broke off: .*reset')

    def test_silence(self) -> None:
        begin = time.monotonic()
        self.refuse(lambda sock: sock.recv(65536) and sock.recv(1), 'timed out', limits=SHORT)
        self.assertLess(time.monotonic() - begin, 5)

    def test_dripping(self) -> None:
        stop = threading.Event()
        self.addCleanup(stop.set)

        def drip(sock: socket.socket) -> None:
            request = read_request(sock)
            for byte in response_to(request) * 10:
                sock.sendall(bytes([byte]))
                if stop.wait(0.05):
                    return

        begin = time.monotonic()
        self.refuse(drip, 'timed out|not done within 0.3 s', limits=SHORT)
        self.assertLess(time.monotonic() - begin, 3)

    def flood(self, first: bytes, block: bytes) -> Callable[[socket.socket], None]:
        def script(sock: socket.socket) -> None:
            read_request(sock)
            sock.sendall(first)
            for _ in range(20 * 1024 * 1024 // len(block)):
                sock.sendall(block)

        return script

    def test_floods(self) -> None:
        status = b'HTTP/1.1 101 Switching Protocols\r\n'
        for name, first, block in (
            ('header line', status + b'X: ', b'a' * 65536),
            ('headers', status, b'X: y\r\n' * 5000),
            ('status line', b'HTTP/1.1 101 ', b'a' * 65536),
            ('interim answers', b'', b'HTTP/1.1 100 Continue\r\n\r\n' * 1000),
        ):
            with self.subTest(name):
                begin = time.monotonic()
                self.refuse(self.flood(first, block), '65536 bytes')
                self.assertLess(time.monotonic() - begin, 5)
        with self.subTest('error body'):
            self.refuse(self.flood(b'HTTP/1.1 500 Oops\r\n\r\n', b'<html>' * 10000), '500 Oops')
        with self.subTest('number of headers'):
            many = [f'X-{number}: y' for number in range(200)]
            self.refuse(say(lambda request: response_to(request, *many)), '203 headers, 128 are allowed')

    def test_own_limit_of_the_head(self) -> None:
        small = dataclasses.replace(DEFAULT_LIMITS, head_size=100)
        self.refuse(say(), 'more than 100 bytes', limits=small)


@needs_certificates
class TLSTest(ClientTestCase):
    def serve_tls(self, context: ssl.SSLContext, family: int = socket.AF_INET, address: Any = None) -> ScriptedServer:
        def script(sock: socket.socket) -> None:
            with context.wrap_socket(sock, server_side=True) as tls:
                tls.sendall(response_to(read_request(tls)) + b'\x81\x02hi\x88\x02\x03\xe8')
                with contextlib.suppress(OSError):
                    tls.recv(1024)

        return self.serve(script, family=family, address=address)

    def connect_tls(
        self, context: ssl.SSLContext, cls: Callable[..., Client] = Client, host: str = '127.0.0.1', **options: Any
    ) -> Client:
        client = self.make(f'wss://{host}:{self.serve_tls(context).port}/', ssl_options=options, cls=cls)
        client.connect()
        return client

    def test_trusted(self) -> None:
        client = self.connect_tls(support_tls.server_context(), ca_certs=support_tls.authority_file())
        self.assertIs(client._is_secure, True)
        client.run()
        self.assertEqual((client.messages, client.end), ([b'hi'], (1000, b'')))

    def test_own_context(self) -> None:
        self.assertEqual(
            self.connect_tls(support_tls.server_context(), ssl_context=support_tls.client_context()).oks, 1
        )

    def test_unknown_authority(self) -> None:
        with self.assertRaises(ssl.SSLCertVerificationError):
            self.connect_tls(support_tls.server_context())

    def test_wrong_name(self) -> None:
        context = support_tls.server_context('example.test')
        with self.assertRaises(ssl.SSLCertVerificationError):
            self.connect_tls(context, ca_certs=support_tls.authority_file())
        client = self.connect_tls(context, ca_certs=support_tls.authority_file(), server_hostname='example.test')
        self.assertEqual(client.oks, 1)

    def test_expired(self) -> None:
        with self.assertRaises(ssl.SSLCertVerificationError):
            self.connect_tls(support_tls.server_context(expired=True), ca_certs=support_tls.authority_file())

    def test_unverified_only_by_choice(self) -> None:
        class Trusting(Client):
            default_ssl_options = {'cert_reqs': ssl.CERT_NONE}

        context = support_tls.server_context('example.test')
        self.assertEqual(self.connect_tls(context, cert_reqs=ssl.CERT_NONE).oks, 1)
        self.assertEqual(self.connect_tls(context, cls=Trusting).oks, 1)
        with self.assertRaises(ssl.SSLCertVerificationError):
            self.connect_tls(context, cls=Trusting, cert_reqs=ssl.CERT_REQUIRED)

    def test_client_certificate(self) -> None:
        certificate, key = support_tls.certificate_files('client.test')
        client = self.connect_tls(
            support_tls.server_context(client_certificates=True),
            ca_certs=support_tls.authority_file(),
            certfile=certificate,
            keyfile=key,
        )
        self.assertEqual(client.oks, 1)

    def test_ciphers(self) -> None:
        context = support_tls.server_context()
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        name = 'ECDHE-ECDSA-AES256-GCM-SHA384'
        client = self.connect_tls(context, ca_certs=support_tls.authority_file(), ciphers=name)
        self.assertEqual(client.sock.cipher()[0], name)

    def test_options_that_are_of_no_use_leave_no_socket(self) -> None:
        for options, text in (
            ({'ca_certs': '/nowhere.pem'}, "ca_certs '/nowhere.pem' cannot be used: No such file or directory"),
            ({'ca_certs': __file__}, f'ca_certs {__file__!r} cannot be used: .*'),
            (
                {'certfile': '/a.pem', 'keyfile': '/b.pem'},
                "certfile '/a.pem', keyfile '/b.pem' cannot be used: No such .*",
            ),
            ({'ciphers': 'none'}, "ciphers 'none' cannot be used: .*[Nn]o cipher.*"),
        ):
            client = self.make(f'wss://127.0.0.1:{self.serve(say()).port}/', ssl_options=options)
            with self.subTest(options), self.assertRaisesRegex(OSError, f'^ssl_options with {text}$') as caught:
                client.connect()
            self.assertIsInstance(caught.exception, ValueError)
            self.assertIsInstance(caught.exception.__cause__, OSError)
            self.assertIsNone(client.sock)

    def test_closed_while_tls_is_put_on(self) -> None:
        class Hasty(Client):
            found: list[bool] = []

            def _wrap_tls(self, sock: Any) -> Any:
                # The lock of close_connection(): for a moment both sockets have the same descriptor.
                self.found.append(self._tls_lock.locked())
                self.closed_by_us = True  # another thread has come no further
                return super()._wrap_tls(sock)

        client = self.make(f'wss://127.0.0.1:{self.serve(say()).port}/', cls=Hasty)
        with patch.object(ssl.SSLSocket, 'do_handshake') as handshake:
            with self.assertRaisesRegex(BrokenOffError, 'the client was closed'):
                client.connect()
            handshake.assert_not_called()
        self.assertEqual((client.sock, client.found), (None, [True]))

    def test_unix(self) -> None:
        with tempfile.TemporaryDirectory() as directory:
            path = os.path.join(directory, 'my.sock')
            self.serve_tls(support_tls.server_context(), family=socket.AF_UNIX, address=path)
            client = self.make(f'wss+unix://{path}', ssl_options={'ca_certs': support_tls.authority_file()})
            client.connect()
            self.assertIs(client._is_secure, True)
            self.assertIsInstance(client.sock, ssl.SSLSocket)

    def test_stalled(self) -> None:
        stop = threading.Event()
        self.addCleanup(stop.set)

        def drip(sock: socket.socket) -> None:
            sock.recv(65536)
            sock.sendall(b'\x16\x03\x03\x40\x00')  # a record of 16 KiB …
            while not stop.wait(0.05):
                sock.sendall(b'\0')  # … that never ends

        for script in (drip, lambda sock: sock.recv(65536) and stop.wait(10)):
            client = self.make(f'wss://127.0.0.1:{self.serve(script).port}/', limits=SHORT)
            begin = time.monotonic()
            with self.assertRaises(OSError):
                client.connect()
            self.assertLess(time.monotonic() - begin, 5)
            self.assertIsNone(client.sock)
            stop.set()

    def test_request_that_nobody_reads(self) -> None:
        stop = threading.Event()
        self.addCleanup(stop.set)

        def script(sock: socket.socket) -> None:
            with support_tls.server_context().wrap_socket(sock, server_side=True):
                stop.wait(10)

        client = self.make(
            f'wss://127.0.0.1:{self.serve(script).port}/',
            ssl_options={'ca_certs': support_tls.authority_file()},
            headers=[('X', 'a' * 2**24)],
            limits=Limits(handshake_timeout=0.5),
        )
        begin = time.monotonic()
        with self.assertRaises(HandshakeError):
            client.connect()
        self.assertLess(time.monotonic() - begin, 5)
        self.assertIsNone(client.sock)

    def test_no_tls_there(self) -> None:
        client = self.make(f'wss://127.0.0.1:{self.serve(say(b"HTTP/1.1 400 Bad Request")).port}/', limits=SHORT)
        with self.assertRaises(OSError):
            client.connect()
        self.assertIsNone(client.sock)


if __name__ == '__main__':
    unittest.main()
