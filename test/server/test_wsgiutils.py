from __future__ import annotations

import contextlib
import gc
import socket
import unittest
from typing import Any
from unittest.mock import MagicMock

from ws4py.exc import HTTPError
from ws4py.http11 import Response
from ws4py.limits import DEFAULT_LIMITS, Limits
from ws4py.server.wsgiutils import WebSocketWSGIApplication
from ws4py.state import State
from ws4py.websocket import EchoWebSocket, WebSocket


class WebSocketWSGIApplicationTest(unittest.TestCase):
    def setUp(self) -> None:
        self.sock, self.peer = socket.socketpair()
        self.addCleanup(self.sock.close)
        self.addCleanup(self.peer.close)
        self.started: list[Any] = []
        self.environ: dict[str, Any] = {
            'REQUEST_METHOD': 'GET',
            'SERVER_PROTOCOL': 'HTTP/1.1',
            'PATH_INFO': '/',
            'CONTENT_LENGTH': '',
            'HTTP_HOST': 'localhost',
            'HTTP_UPGRADE': 'websocket',
            'HTTP_CONNECTION': 'Upgrade',
            'HTTP_SEC_WEBSOCKET_KEY': 'dGhlIHNhbXBsZSBub25jZQ==',
            'HTTP_SEC_WEBSOCKET_VERSION': '13',
            'ws4py.socket': self.sock,
        }

    def start_response(self, status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
        self.started.append((status, headers))

    def call(self, app: WebSocketWSGIApplication) -> list[bytes]:
        return list(app(self.environ, self.start_response))

    def refused(self, app: WebSocketWSGIApplication, status: str) -> tuple[dict[str, str], str]:
        self.started.clear()
        body = b''.join(self.call(app))
        self.assertNotIn('ws4py.websocket', self.environ)
        (found, headers), *more = self.started
        self.assertEqual((found, more), (status, []))
        self.assertEqual(dict(headers)['Content-Length'], str(len(body)))
        return dict(headers), body.decode()

    def test_accepted(self) -> None:
        result = WebSocketWSGIApplication(handler_cls=EchoWebSocket)(self.environ, self.start_response)
        self.assertEqual(result, [])
        (status, headers), *more = self.started
        self.assertEqual((status, more), ('101 Switching Protocols', []))
        self.assertEqual(
            headers,
            [
                ('Upgrade', 'websocket'),
                ('Connection', 'Upgrade'),
                ('Sec-WebSocket-Accept', 's3pPLMBiTxaQ9kYGzzhZRbK+xOo='),
            ],
        )
        websocket = self.environ['ws4py.websocket']
        self.assertIs(type(websocket), EchoWebSocket)
        self.assertIs(websocket.sock, self.sock)
        self.assertEqual((websocket.protocols, websocket.extensions), ([], []))
        self.assertIsNot(websocket.environ, self.environ)
        self.assertEqual(websocket.environ['HTTP_HOST'], 'localhost')

    def test_protocol(self) -> None:
        app = WebSocketWSGIApplication(['a', 'b'], ['x'])
        self.environ['HTTP_SEC_WEBSOCKET_PROTOCOL'] = 'c, b, a'
        self.environ['HTTP_SEC_WEBSOCKET_EXTENSIONS'] = 'y, x'
        self.call(app)
        websocket = self.environ.pop('ws4py.websocket')
        self.assertEqual((websocket.protocols, websocket.extensions), (['b'], ['x']))
        self.assertIn(('Sec-WebSocket-Protocol', 'b'), self.started[0][1])
        self.environ['HTTP_SEC_WEBSOCKET_PROTOCOL'] = 'd'
        self.refused(app, '400 Bad Request')

    def test_refused(self) -> None:
        app = WebSocketWSGIApplication()
        for key, value, status, text in (
            ('HTTP_UPGRADE', None, '400 Bad Request', 'Header HTTP_UPGRADE is not defined'),
            ('HTTP_SEC_WEBSOCKET_KEY', None, '400 Bad Request', 'Header HTTP_SEC_WEBSOCKET_KEY is not defined'),
            ('HTTP_SEC_WEBSOCKET_KEY', 'short', '400 Bad Request', "'short'"),
            ('HTTP_SEC_WEBSOCKET_VERSION', '8', '426 Upgrade Required', "'8'"),
            ('REQUEST_METHOD', 'POST', '405 Method Not Allowed', "'POST'"),
            ('SERVER_PROTOCOL', 'HTTP/1.0', '505 HTTP Version Not Supported', 'HTTP/1.0'),
            ('SERVER_PROTOCOL', 'HTTP/2', '400 Bad Request', 'HTTP/2'),  # not even a request
            ('HTTP_X', 'a\nb', '400 Bad Request', "'\\n'"),
            ('CONTENT_LENGTH', '5', '400 Bad Request', 'Content-Length'),
        ):
            with self.subTest(key=key, value=value):
                before = self.environ.pop(key, None)
                if value is not None:
                    self.environ[key] = value
                headers, body = self.refused(app, status)
                self.assertIn(text, body)
                del headers
                self.environ.pop(key, None)
                if before is not None:
                    self.environ[key] = before
        self.assertEqual(self.sock.fileno() > 0, True)  # untouched

    def test_origins(self) -> None:
        app = WebSocketWSGIApplication(origins=['https://good.test'])
        self.environ['HTTP_ORIGIN'] = 'https://evil.test'
        self.refused(app, '403 Forbidden')
        self.environ['HTTP_ORIGIN'] = 'https://good.test'
        self.call(app)
        self.assertIn('ws4py.websocket', self.environ)

    def test_any_callable_makes_the_handler(self) -> None:
        handler_cls = MagicMock()
        self.call(WebSocketWSGIApplication(handler_cls=handler_cls))
        handler_cls.assert_called_once()
        sock, protocols, extensions, environ = handler_cls.call_args[0]
        self.assertEqual((sock, protocols, extensions, environ['PATH_INFO']), (self.sock, [], [], '/'))
        self.assertIs(self.environ['ws4py.websocket'], handler_cls.return_value)

    def test_limits(self) -> None:
        limits = Limits(message_size=5)
        self.call(WebSocketWSGIApplication(handler_cls=WebSocket, limits=limits))
        websocket = self.environ.pop('ws4py.websocket')
        self.assertIs(websocket.limits, limits)
        self.call(WebSocketWSGIApplication())
        self.assertIs(self.environ['ws4py.websocket'].limits, DEFAULT_LIMITS)

    def test_make_websocket_may_be_overridden(self) -> None:
        class Rooms(WebSocketWSGIApplication):
            def make_websocket(self, sock: Any, protocols: Any, extensions: Any, environ: Any) -> WebSocket:
                websocket = super().make_websocket(sock, protocols, extensions, environ)
                websocket.room = environ['PATH_INFO']  # type: ignore[attr-defined]
                return websocket

        self.call(Rooms())
        self.assertEqual(self.environ['ws4py.websocket'].room, '/')

    def test_a_handler_that_cannot_be_made_leaves_the_answer_to_the_server(self) -> None:
        def handler_cls(*args: Any) -> WebSocket:
            raise LookupError('no such room')

        with self.assertRaises(LookupError):
            self.call(WebSocketWSGIApplication(handler_cls=handler_cls))
        self.assertEqual(self.started, [])

    def test_the_client_behind_a_proxy(self) -> None:
        self.environ |= {'REMOTE_ADDR': '10.0.0.1', 'REMOTE_PORT': '7', 'wsgi.url_scheme': 'http'}
        self.environ |= {'HTTP_X_FORWARDED_FOR': '192.0.2.1', 'HTTP_X_FORWARDED_PROTO': 'https'}
        for proxy, address, scheme in (('10.0.0.2', '10.0.0.1', 'http'), ('10.0.0.1', '192.0.2.1', 'https')):
            self.call(WebSocketWSGIApplication(trusted_proxies=[proxy]))
            environ = self.environ.pop('ws4py.websocket').environ
            self.assertEqual((environ['REMOTE_ADDR'], environ['wsgi.url_scheme']), (address, scheme))

    def test_a_page_without_its_body_for_head(self) -> None:
        app = WebSocketWSGIApplication(process_request=lambda request: Response(200, body=b'a page'))
        self.assertEqual(self.call(app), [b'a page'])
        self.environ['REQUEST_METHOD'] = 'HEAD'
        self.assertEqual(self.call(app), [])
        self.assertEqual(self.started[0], self.started[1])

    def test_a_handler_that_refuses(self) -> None:
        def handler_cls(*args: Any) -> WebSocket:
            raise HTTPError(403, 'no room')

        self.assertEqual(
            self.refused(WebSocketWSGIApplication(handler_cls=handler_cls), '403 Forbidden')[1], 'no room\n'
        )

    def test_a_websocket_that_a_server_forgets_is_counted_no_more(self) -> None:
        app = WebSocketWSGIApplication(limits=Limits(connections=1))
        self.call(app)
        self.assertEqual(self.environ.pop('ws4py.websocket').state, State.OPEN)
        gc.collect()
        self.call(app)
        self.refused_when_full(app)

    def refused_when_full(self, app: WebSocketWSGIApplication) -> None:
        kept = self.environ.pop('ws4py.websocket')
        self.assertIn('all of the 1', self.refused(app, '503 Service Unavailable')[1])
        kept.terminate()
        self.assertEqual(len(app.admission), 0)

    def test_heartbeats(self) -> None:
        self.call(WebSocketWSGIApplication(heartbeat_freq=7.0))
        self.assertEqual(self.environ['ws4py.websocket'].heartbeat_freq, 7.0)

    def test_a_server_that_keeps_its_sockets(self) -> None:
        del self.environ['ws4py.socket']
        with self.assertRaisesRegex(RuntimeError, "^no 'ws4py.socket' in the environ: this WSGI server"):
            self.call(WebSocketWSGIApplication())
        self.assertEqual(self.started, [])

    def test_names_of_other_modules(self) -> None:
        from ws4py.server import wsgirefserver

        self.assertIs(wsgirefserver.WebSocketWSGIApplication, WebSocketWSGIApplication)
        with contextlib.suppress(ImportError):  # where gevent is
            from ws4py.server import geventserver  # type: ignore[attr-defined, unused-ignore]

            self.assertIs(geventserver.WebSocketWSGIApplication, WebSocketWSGIApplication)


if __name__ == '__main__':
    unittest.main()
