"""Redirects, on every client: followed where that is asked for, and never to where they should not lead."""

from __future__ import annotations

import threading
import unittest
from typing import Any
from urllib.parse import parse_qs
from wsgiref.simple_server import make_server

import support_tls
from backends import clients

from client.of_each import OfEachClient, cases
from ws4py.client import USER_AGENT, WebSocketBaseClient
from ws4py.exc import HandshakeError
from ws4py.server.wsgirefserver import WebSocketWSGIRequestHandler, WSGIServer
from ws4py.server.wsgiutils import WebSocketWSGIApplication
from ws4py.websocket import EchoWebSocket


class Site:
    """A server that redirects from ``/go?to=…&status=…`` and echoes everywhere else; a context manager.

    With ``set=…`` in the query, once or more often, its answer sets these cookies.

    :ivar requests: the environs of its requests.
    """

    def __init__(self, context: Any = None) -> None:
        self.requests: list[dict[str, Any]] = []
        self.echo = WebSocketWSGIApplication(handler_cls=EchoWebSocket)
        self.server: Any = make_server('127.0.0.1', 0, self, WSGIServer, WebSocketWSGIRequestHandler)
        self.server.ssl_context = context
        self.port = self.server.server_port
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True)

    def __call__(self, environ: Any, start_response: Any) -> Any:
        self.requests.append(environ.copy())
        query = parse_qs(environ['QUERY_STRING'])
        cookies = [('Set-Cookie', cookie) for cookie in query.get('set', ())]
        if environ['PATH_INFO'] != '/go':
            return self.echo(environ, lambda status, headers: start_response(status, [*headers, *cookies]))
        headers = [('Location', location) for location in query.get('to', ())]
        start_response(query.get('status', ['302 Found'])[0], [*headers, *cookies, ('Content-Length', '0')])
        return [b'']

    def url(self, path: str) -> str:
        return f'ws://127.0.0.1:{self.port}{path}'

    def __enter__(self) -> Site:
        self.thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


class Redirects(OfEachClient):
    """A mixin; the tests of one client."""

    def setUp(self: Any) -> None:
        super().setUp()
        self.site = self.enter(Site())

    def connect(self: Any, url: str, context: Any = None, **attributes: Any) -> Any:
        options = {'headers': attributes.pop('headers', ())}
        face = clients.load(self.name)(url, context, **options, **{'max_redirects': 5, **attributes})
        self.addCleanup(face.disconnect)
        return face

    def refused(self: Any, url: str, text: str, context: Any = None, **attributes: Any) -> None:
        with self.assertRaisesRegex(HandshakeError, text):
            self.connect(url, context, **attributes)

    def test_it_is_followed(self: Any) -> None:
        for status in ('301 Moved', '302 Found', '303 See Other', '307 Temporary', '308 Permanent'):
            face = self.connect(self.site.url(f'/go?to=/echo&status={status.replace(" ", "%20")}'))
            face.send('hello')
            self.assertEqual(face.receive(), 'hello')
            self.assertEqual((face.client.url, face.client.resource), (self.site.url('/echo'), '/echo'))
            face.close(1000, '')
        self.assertEqual({environ['HTTP_USER_AGENT'] for environ in self.site.requests}, {USER_AGENT})
        keys = [environ['HTTP_SEC_WEBSOCKET_KEY'] for environ in self.site.requests]
        self.assertEqual(len(set(keys)), len(keys))

    def test_only_where_that_is_asked_for(self: Any) -> None:
        with self.assertRaises(HandshakeError) as caught:
            self.connect(self.site.url('/go?to=/echo'), max_redirects=0)
        self.assertEqual(caught.exception.response_status, 302)

    def test_not_in_circles(self: Any) -> None:
        self.refused(self.site.url('/go?to=/go%3Fto%3D/echo'), '1 redirects were followed already', max_redirects=1)
        self.assertEqual(len(self.site.requests), 2)

    def test_not_anywhere(self: Any) -> None:
        for location, text in (
            ('', 'Location is there 0 times'),
            ('to=/a&to=/b', 'Location is there 2 times'),
            ('to=ftp://127.0.0.1/', 'the scheme is'),
            ('to=ws%2Bunix:///tmp/x', 'to a Unix socket'),
            ('to=http://me:secret@127.0.0.1/', 'it has a user name'),
            ('to=http://127.0.0.1/%2520a b', 'not the URL of a WebSocket'),
            ('to=http://:80/', 'it has no host'),
            ('to=http://[::1/', 'Invalid IPv6 URL'),
        ):
            with self.subTest(location):
                self.refused(self.site.url(f'/go?{location.replace(" ", "%20")}'), text)

    def test_credentials_stay_at_home(self: Any) -> None:
        other = self.enter(Site())
        fields = [('Authorization', 'Basic eA=='), ('Cookie', 'a=b'), ('X-Mine', 'yes'), ('Host', 'example.test')]
        face = self.connect(self.site.url(f'/go?to=http://127.0.0.1:{other.port}/echo'), headers=fields)
        face.close(1000, '')
        home, away = self.site.requests[0], other.requests[0]
        self.assertEqual((home['HTTP_AUTHORIZATION'], home['HTTP_COOKIE']), ('Basic eA==', 'a=b'))
        self.assertEqual(away['HTTP_X_MINE'], 'yes')
        self.assertEqual(away['HTTP_HOST'], f'127.0.0.1:{other.port}')
        for name in ('HTTP_AUTHORIZATION', 'HTTP_COOKIE'):
            self.assertNotIn(name, away)

    def test_those_of_the_url_too(self: Any) -> None:
        other = self.enter(Site())
        for site, kept in ((self.site, True), (other, False)):
            url = f'ws://me:secret@127.0.0.1:{self.site.port}/go?to=http://127.0.0.1:{site.port}/echo'
            self.connect(url).close(1000, '')
            self.assertIs('HTTP_AUTHORIZATION' in site.requests[-1], kept)

    @support_tls.needs_certificates
    def test_from_ws_to_wss_and_never_back(self: Any) -> None:
        secure = self.enter(Site(support_tls.server_context()))
        context = support_tls.client_context()
        face = self.connect(self.site.url(f'/go?to=https://localhost:{secure.port}/echo'), context)
        face.send('hello')
        self.assertEqual(face.receive(), 'hello')
        self.assertEqual(face.client.scheme, 'wss')
        face.close(1000, '')
        url = f'wss://localhost:{secure.port}/go?to=http://127.0.0.1:{self.site.port}/echo'
        self.refused(url, 'from wss to ws', context)


class Alone(unittest.TestCase):
    def test_a_unix_socket_is_not_left(self) -> None:
        client = WebSocketBaseClient('ws+unix:///tmp/nothing.sock', max_redirects=1)
        self.addCleanup(client.close_connection)
        client._expect_response()
        with self.assertRaisesRegex(HandshakeError, 'away from a Unix socket'):
            client._feed_response(b'HTTP/1.1 302 Found\r\nLocation: http://localhost/\r\n\r\n')


globals().update(cases(Redirects, __name__))


if __name__ == '__main__':
    unittest.main()
