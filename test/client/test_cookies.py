"""Cookies, on every client: sent where they belong, kept from every answer, and never more of them than is bearable."""

from __future__ import annotations

import unittest
from http.cookiejar import CookieJar
from typing import Any, Optional
from urllib.parse import quote, urlencode

import support_tls
from backends import clients
from support_sockets import ScriptedServer, response_to, say

from client.of_each import OfEachClient, cases
from client.test_redirects import Site
from ws4py.client import WebSocketBaseClient
from ws4py.cookies import MOST
from ws4py.exc import HandshakeError


def setting(path: str, *cookies: str, **query: str) -> str:
    return f'{path}?{urlencode([*query.items(), *(("set", cookie) for cookie in cookies)], quote_via=quote)}'


class CookieTests(OfEachClient):
    """A mixin; the tests of one client."""

    def setUp(self: Any) -> None:
        super().setUp()
        self.site = self.enter(Site())
        self.jar = CookieJar()

    def make(self: Any, url: str, cookies: Any, context: Any = None, **options: Any) -> Any:
        def init(client: Any, *args: Any, **others: Any) -> None:
            super(type(client), client).__init__(*args, cookies=cookies, **others)

        face = clients.load(self.name)(url, context, __init__=init, **{'max_redirects': 5, **options})
        self.addCleanup(face.disconnect)
        return face

    def talk(self: Any, url: str, cookies: Any, context: Any = None, **options: Any) -> None:
        face = self.make(url, cookies, context, **options)
        face.send('hello')
        self.assertEqual(face.receive(), 'hello')
        face.close(1000, '')

    def sent(self: Any, site: Optional[Site] = None) -> list[Optional[str]]:
        """The cookies of each request so far."""
        return [environ.get('HTTP_COOKIE') for environ in (site or self.site).requests]

    def test_a_mapping(self: Any) -> None:
        self.talk(self.site.url('/echo'), {'a': '1', 'b': '"2"'})
        self.talk(self.site.url('/echo'), {})
        self.assertEqual(self.sent(), ['a=1; b="2"', None])

    def test_one_that_would_break_the_request(self: Any) -> None:
        for cookies in ({'a': '1\r\nX: y'}, {'a': '1; b=2'}, {'a b': '1'}):
            with self.subTest(cookies), self.assertRaises(ValueError):
                self.make(self.site.url('/echo'), cookies)
        self.assertEqual(self.sent(), [])

    def test_a_header_replaces_them(self: Any) -> None:
        for cookies in ({'a': '1'}, self.jar):
            self.talk(self.site.url(setting('/echo', 'a=2; Path=/')), cookies, headers=[('cookie', 'mine=1')])
        self.talk(self.site.url('/echo'), self.jar)
        self.assertEqual(self.sent(), ['mine=1', 'mine=1', 'a=2'])

    def test_a_mapping_stays_at_home(self: Any) -> None:
        other = self.enter(Site())
        self.talk(self.site.url(setting('/go', to='/go?to=/echo')), {'a': '1'})
        self.assertEqual(self.sent(), ['a=1'] * 3)
        self.talk(self.site.url(setting('/go', to=f'http://127.0.0.1:{other.port}/echo')), {'a': '1'})
        self.assertEqual(self.sent(other), [None])

    def test_not_even_back(self: Any) -> None:
        other = self.enter(Site())
        back = setting('/go', to=f'http://127.0.0.1:{self.site.port}/echo')
        self.talk(self.site.url(setting('/go', to=f'http://127.0.0.1:{other.port}{back}')), {'a': '1'})
        self.assertEqual((self.sent(), self.sent(other)), (['a=1', None], [None]))

    def test_a_jar_over_several_connections(self: Any) -> None:
        first = setting('/echo', 'a=1; Path=/', 'b=2; Path=/; Max-Age=60', 'c=3; Path=/deep')
        self.talk(self.site.url(first), self.jar)
        self.talk(self.site.url(setting('/echo', 'a=; Path=/; Max-Age=0', 'b=4; Path=/')), self.jar)
        self.talk(self.site.url('/deep/echo'), self.jar)
        self.assertEqual(self.sent(), [None, 'a=1; b=2', 'c=3; b=4'])

    def test_a_jar_and_a_refusal(self: Any) -> None:
        url = self.site.url(setting('/go', 'a=1; Path=/', 'b=2; Path=/', status='403 Forbidden'))
        for max_redirects in (0, 1):
            with self.assertRaises(HandshakeError) as caught:
                self.make(url, self.jar, max_redirects=max_redirects)
            self.assertEqual(caught.exception.response_status, 403)
        self.talk(self.site.url('/echo'), self.jar)
        self.assertEqual(self.sent(), [None, 'a=1; b=2', 'a=1; b=2'])

    def test_a_jar_and_redirects(self: Any) -> None:
        """The jar decides: localhost is another host, another port is not."""
        other = self.enter(Site())
        third = setting('/go', 'c=3; Path=/', to=f'http://127.0.0.1:{other.port}/echo')
        second = setting('/go', 'b=2; Path=/', to=f'http://localhost:{self.site.port}{third}')
        self.talk(self.site.url(setting('/go', 'a=1; Path=/', to=second)), self.jar)
        self.assertEqual((self.sent(), self.sent(other)), ([None, 'a=1', None], ['a=1; b=2']))
        self.assertEqual({cookie.name: cookie.domain for cookie in self.jar}['c'], 'localhost.local')

    @support_tls.needs_certificates
    def test_secure(self: Any) -> None:
        secure = self.enter(Site(support_tls.server_context()))
        context = support_tls.client_context()
        url = f'wss://localhost:{secure.port}'
        self.talk(url + setting('/echo', 'a=1; Path=/; Secure', 'b=2; Path=/'), self.jar, context)
        self.talk(f'{url}/echo', self.jar, context)
        self.talk(f'ws://localhost:{self.site.port}/echo', self.jar)
        self.assertEqual((self.sent(secure), self.sent()), ([None, 'a=1; b=2'], ['b=2']))

    def test_floods(self: Any) -> None:
        def flooding(*cookies: str) -> ScriptedServer:
            lines = [f'Set-Cookie: {cookie}' for cookie in cookies]
            server: ScriptedServer = self.enter(ScriptedServer(say(lambda request: response_to(request, *lines))))
            return server

        for cookies, text in (
            ([f'a{number}=1' for number in range(10_000)], 'a head of more than 65536 bytes'),
            ([f'a{number}=1' for number in range(1000)], '1003 headers, 128 are allowed'),
            (['a=' + 'x' * 1_000_000], 'a head of more than 65536 bytes'),
            (['a=' + 'x' * 10_000], 'a header line of 10014 bytes, 8192 are allowed'),
        ):
            server = flooding(*cookies)
            with self.subTest(text), self.assertRaisesRegex(HandshakeError, text):
                self.make(f'ws://127.0.0.1:{server.port}/', self.jar)
        self.assertEqual(list(self.jar), [])
        for at in range(3):  # as much as a head may have, again and again
            server = flooding('long=' + 'x' * 5000, *(f'a{at}x{number}=1' for number in range(100)))
            self.make(f'ws://127.0.0.1:{server.port}/', self.jar).wait_closed()
        self.assertEqual(len(self.jar), MOST)
        self.assertNotIn('long', {cookie.name for cookie in self.jar})


class Alone(unittest.TestCase):
    """Without a connection."""

    def client(self, *args: Any, **options: Any) -> WebSocketBaseClient:
        client = WebSocketBaseClient(*args, **options)
        self.addCleanup(client.close_connection)
        return client

    def headers(self, client: WebSocketBaseClient) -> list[str]:
        return [value for name, value in client.handshake_headers if name == 'Cookie']

    def test_the_same_object_again(self) -> None:
        jar = CookieJar()
        client = self.client('ws://example.test/', cookies=jar)
        client._expect_response()
        with self.assertRaises(HandshakeError):
            client._feed_response(b'HTTP/1.1 503 Busy\r\nSet-Cookie: a=1\r\nset-cookie: b=2\r\n\r\n')
        client.close_connection()
        client.__init__('wss://example.test/', cookies=jar)  # type: ignore[misc]
        self.assertEqual(self.headers(client), ['a=1; b=2'])

    def test_what_was_changed_before_connect(self) -> None:
        jar = CookieJar()
        client = self.client('ws://example.test/', cookies=jar)
        client._expect_response()
        client.resource = '/deep/chat'
        with self.assertRaises(HandshakeError):
            client._feed_response(b'HTTP/1.1 503 Busy\r\nSet-Cookie: a=1\r\n\r\n')
        self.assertEqual(self.headers(client), ['a=1'])
        client.resource = '/chat'
        self.assertEqual(self.headers(client), [])

    def test_a_unix_socket_is_localhost(self) -> None:
        jar = CookieJar()
        client = self.client('ws+unix:///tmp/nothing.sock', cookies=jar)
        client._expect_response()
        with self.assertRaises(HandshakeError):
            client._feed_response(b'HTTP/1.1 503 Busy\r\nSet-Cookie: a=1\r\n\r\n')
        self.assertEqual(self.headers(self.client('ws://localhost:9000/', cookies=jar)), ['a=1'])

    def test_left_out(self) -> None:
        self.assertEqual(self.headers(self.client('ws://a.test/', exclude_headers=['cookie'], cookies={'a': '1'})), [])

    def test_wrong(self) -> None:
        with self.assertRaisesRegex(TypeError, 'a mapping or a CookieJar'):
            WebSocketBaseClient('ws://example.test/', cookies='a=1')  # type: ignore[arg-type]

    def test_a_jar_with_what_cannot_be_sent(self) -> None:
        jar = CookieJar()
        client = self.client('ws://example.test/', cookies=jar)
        client._expect_response()
        with self.assertRaises(HandshakeError):
            client._feed_response(b'HTTP/1.1 503 Busy\r\nSet-Cookie: a=1\r\n\r\n')
        (cookie,) = jar
        cookie.value = '1\r\nX: y'
        with self.assertRaisesRegex(ValueError, "header 'Cookie' has the character"):
            WebSocketBaseClient('ws://example.test/', cookies=jar)


globals().update(cases(CookieTests, __name__))


if __name__ == '__main__':
    unittest.main()
