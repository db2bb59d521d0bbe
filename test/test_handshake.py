"""The opening handshake: which requests are accepted and with what, which refused and how, and the client's half."""

from __future__ import annotations

import base64
import logging
import unittest
from typing import Any, ClassVar, Optional, Union

from support_cost import is_linear

from ws4py.exc import HandshakeError, HTTPError
from ws4py.handshake import (
    Accepted,
    Refused,
    accept_key,
    check_response,
    environ_of,
    generate_key,
    refuse,
    request_from_environ,
    respond,
    response_reader,
    split_target,
)
from ws4py.http11 import Headers, Request, Response
from ws4py.limits import DEFAULT_LIMITS, Limits

# RFC 6455 section 1.3
KEY = 'dGhlIHNhbXBsZSBub25jZQ=='
ACCEPT = 's3pPLMBiTxaQ9kYGzzhZRbK+xOo='

Fields = dict[str, Union[str, list[str], None]]
UPGRADE: Fields = {
    'Host': 'server.example.com',
    'Upgrade': 'websocket',
    'Connection': 'Upgrade',
    'Sec-WebSocket-Key': KEY,
    'Sec-WebSocket-Version': '13',
}
AGREED: Fields = {'Upgrade': 'websocket', 'Connection': 'Upgrade', 'Sec-WebSocket-Accept': ACCEPT}


def fields(base: Fields, changes: Fields) -> Headers:
    """*base* with *changes*: None takes a header away, a list puts it several times."""
    headers = Headers()
    for name, value in {**base, **changes}.items():
        for line in [value] if isinstance(value, str) else value or ():
            headers.add(name, line)
    return headers


def a_request(changes: Optional[Fields] = None, method: str = 'GET', version: tuple[int, int] = (1, 1)) -> Request:
    return Request(method, '/chat', version, fields(UPGRADE, changes or {}))


def a_response(changes: Optional[Fields] = None, status: int = 101, phrase: str = 'Switching Protocols') -> Response:
    return Response(status, phrase, (1, 1), fields(AGREED, changes or {}))


class KeysTest(unittest.TestCase):
    def test_the_example_of_the_rfc(self) -> None:
        self.assertEqual(accept_key(KEY), ACCEPT)
        self.assertEqual(accept_key(KEY.encode()), ACCEPT)

    def test_generated_keys(self) -> None:
        keys = {generate_key() for _ in range(100)}
        self.assertEqual(len(keys), 100)
        for key in keys:
            self.assertEqual(len(base64.b64decode(key, validate=True)), 16)


class AcceptedTest(unittest.TestCase):
    def assertAccepted(self, *args: Any, **kwargs: Any) -> Accepted:
        answer = respond(*args, **kwargs)
        assert isinstance(answer, Accepted), answer
        return answer

    def test_the_example_of_the_rfc(self) -> None:
        answer = self.assertAccepted(a_request())
        self.assertEqual((answer.status, answer.status_line), (101, '101 Switching Protocols'))
        self.assertEqual((answer.protocols, answer.extensions), ([], []))
        self.assertEqual(
            answer.build(),
            b'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n'
            b'Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n',
        )

    def test_tokens_have_no_case_and_may_stand_in_a_list(self) -> None:
        cases: list[Fields] = [
            {'Upgrade': 'WebSocket', 'Connection': 'keep-alive, UPGRADE'},
            {'Connection': ['keep-alive', 'upgrade']},
            {'Upgrade': 'h2c, websocket,'},
            {'Host': '[::1]:9000'},
        ]
        for changes in cases:
            with self.subTest(changes=changes):
                self.assertAccepted(a_request(changes))

    def test_one_subprotocol_is_selected_the_first_of_the_client(self) -> None:
        for offered, spoken, selected in [
            (None, None, []),
            (None, ['chat'], []),
            ('', ['chat'], []),
            ('chat', None, []),
            ('chat', [], []),
            ('a, chat, superchat', ['superchat', 'chat'], ['chat']),
            (['a', 'superchat'], ('superchat', 'chat'), ['superchat']),
            ('CHAT, chat', ['chat'], ['chat']),
        ]:
            with self.subTest(offered=offered, spoken=spoken):
                answer = self.assertAccepted(a_request({'Sec-WebSocket-Protocol': offered}), spoken)
                self.assertEqual(answer.protocols, selected)
                named = [value for name, value in answer.headers if name == 'Sec-WebSocket-Protocol']
                self.assertEqual(named, selected)

    def test_extensions_that_the_application_knows(self) -> None:
        offered = ['foo; a=1, bar', 'foo; a=2, baz']
        for known, accepted in [(None, []), ([], []), (['x'], []), (['bar', 'foo'], ['foo', 'bar'])]:
            with self.subTest(known=known):
                answer = self.assertAccepted(a_request({'Sec-WebSocket-Extensions': offered}), None, known)
                self.assertEqual(answer.extensions, accepted)
                named = [value for name, value in answer.headers if name == 'Sec-WebSocket-Extensions']
                self.assertEqual(named, [', '.join(accepted)] if accepted else [])

    def test_offers_with_impossible_parameters_do_no_harm(self) -> None:
        for offer in (
            'permessage-deflate; client_max_window_bits=99',
            'permessage-deflate; a; a',
            'foo' + '; a=1' * 150,
        ):
            self.assertEqual(self.assertAccepted(a_request({'Sec-WebSocket-Extensions': offer})).extensions, [])

    def test_a_function_that_selects_the_subprotocol(self) -> None:
        offer = {'Sec-WebSocket-Protocol': 'a, b'}
        answer = self.assertAccepted(a_request(offer), ['a'], select_subprotocol=lambda request, offered: offered[1])
        self.assertEqual(answer.protocols, ['b'])
        answer = self.assertAccepted(a_request(offer), ['a'], select_subprotocol=lambda *asked: None)
        self.assertEqual(answer.protocols, [])
        self.assertRaisesRegex(
            ValueError, "'c'.*'a', 'b'", respond, a_request(offer), select_subprotocol=lambda *asked: 'c'
        )

    def test_origins(self) -> None:
        for origin, origins in [
            ('http://evil.com', None),
            ('https://Example.com', ['https://example.com']),
            ('https://example.com', {'http://a', 'https://EXAMPLE.com'}),
            ('null', ['null']),
            (None, ['https://example.com']),
            (None, []),
        ]:
            with self.subTest(origin=origin, origins=origins):
                self.assertAccepted(a_request({'Origin': origin}), origins=origins)

    def test_version_as_the_tool_of_cherrypy_passes_it(self) -> None:
        self.assertAccepted(a_request(), None, None, (8, 13))


class RefusedTest(unittest.TestCase):
    def test_a_phrase_of_its_own(self) -> None:
        self.assertEqual(Refused(299, [], '', b'', 'Fine').status_line, '299 Fine')
        self.assertEqual(Refused(299, [], '', b'').status_line, '299 ')
        self.assertTrue(Refused(299, [], '', b'x', 'Fine').build().startswith(b'HTTP/1.1 299 Fine\r\n'))

    def assertRefused(self, status: int, reason: str, *args: Any, **kwargs: Any) -> Refused:
        answer = respond(*args, **kwargs)
        assert isinstance(answer, Refused), answer
        self.assertEqual((answer.status, reason in answer.reason), (status, True), answer.reason)
        # Whatever was in the request, the answer is a whole response of HTTP that ends the connection.
        data = answer.build()
        head, _, body = data.partition(b'\r\n\r\n')
        response = Response.parse(head + b'\r\n\r\n')
        self.assertEqual((response.status, response.headers.items()), (status, answer.headers))
        self.assertEqual(response.headers.get_all('Content-Length'), [str(len(body))])
        self.assertEqual(body, answer.body)
        self.assertEqual(body.decode(), answer.reason + '\n')
        self.assertIn('close', response.headers.get('Connection', '').split(', '))  # type: ignore[union-attr]
        self.assertEqual(answer.status_line, f'{status} {response.phrase}')
        self.assertLess(len(data), 500)
        return answer

    def test_method(self) -> None:
        for method in ('POST', 'HEAD', 'get', ''):
            answer = self.assertRefused(405, f'the method is {method!r} (expected GET)', a_request(method=method))
            self.assertIn(('Allow', 'GET'), answer.headers)

    def test_http_version(self) -> None:
        self.assertRefused(505, 'expected HTTP/1.1', a_request(version=(1, 0)))

    def test_missing_headers(self) -> None:
        for name, shown in [
            ('Host', 'HTTP_HOST'),
            ('Upgrade', 'HTTP_UPGRADE'),
            ('Connection', 'HTTP_CONNECTION'),
            ('Sec-WebSocket-Key', 'HTTP_SEC_WEBSOCKET_KEY'),
            ('Sec-WebSocket-Version', 'HTTP_SEC_WEBSOCKET_VERSION'),
        ]:
            with self.subTest(name=name):
                answer = self.assertRefused(400, '', a_request({name: None}))
                self.assertEqual(answer.reason, f'Header {shown} is not defined')
        self.assertRefused(400, 'Header HTTP_UPGRADE is not defined', Request('GET', '/', (1, 0), Headers()))
        self.assertRefused(400, 'Header HTTP_UPGRADE is not defined', a_request({'Upgrade': ''}))

    def test_tokens_are_compared_as_tokens(self) -> None:
        for name, value in [
            ('Upgrade', 'notwebsocket'),
            ('Upgrade', 'websocket/13'),
            ('Upgrade', 'websocket2'),
            ('Connection', 'notupgrade'),
            ('Connection', 'Upgrade;x'),
            ('Connection', 'keep-alive'),
        ]:
            with self.subTest(name=name, value=value):
                self.assertRefused(400, f'{name} is {value!r} (expected ', a_request({name: value}))

    def test_tokens_in_any_line_of_several(self) -> None:
        for values in (['', 'keep-alive, Upgrade'], ['Upgrade', ''], ['keep-alive', 'Upgrade']):
            answer = respond(a_request({'Connection': values}))  # type: ignore[dict-item]
            self.assertEqual(answer.status, 101, values)

    def test_host(self) -> None:
        self.assertRefused(400, 'Host is there 2 times (expected once)', a_request({'Host': ['a', 'a']}))
        for host in ('', 'a,b', 'a b', 'a/b', 'a@b', 'é'):
            self.assertRefused(400, f'Host is {host!r} (expected a host)', a_request({'Host': host}))

    def test_a_body(self) -> None:
        for name, value in [('Content-Length', '5'), ('Content-Length', '0'), ('Transfer-Encoding', 'chunked')]:
            self.assertRefused(400, f'{name} is {value!r} (expected', a_request({name: value}))

    def test_key(self) -> None:
        for key in (
            '',
            'short',
            KEY[:-1],
            KEY + 'A',
            KEY[:-4],
            'A' * 24,
            'dGhlIHNhbXBsZSBub2§jZQ==',
            f'{KEY},{KEY}',
            KEY * 300,
        ):
            with self.subTest(key=key):
                text = 'Sec-WebSocket-Key is '
                self.assertRefused(400, text, a_request({'Sec-WebSocket-Key': key}))
        self.assertRefused(400, 'Sec-WebSocket-Key is there 2 times', a_request({'Sec-WebSocket-Key': [KEY, KEY]}))

    def test_version(self) -> None:
        for version in ('8', '12', '14', '013', '13.0', 'abc', '', '13, 8', '1' * 5000):
            with self.subTest(version=version):
                answer = self.assertRefused(426, '(expected 13)', a_request({'Sec-WebSocket-Version': version}))
                for header in (
                    ('Sec-WebSocket-Version', '13'),
                    ('Upgrade', 'websocket'),
                    ('Connection', 'close, Upgrade'),
                ):
                    self.assertIn(header, answer.headers)
        self.assertRefused(400, 'is there 2 times', a_request({'Sec-WebSocket-Version': ['13', '13']}))
        self.assertRefused(426, '(expected 13)', a_request({'Sec-WebSocket-Version': '8'}), None, None, (8, 13))
        self.assertRefused(426, '(expected 13)', a_request(), None, None, (8,))

    def test_origin(self) -> None:
        for origin in (
            'http://evil.com',
            'https://example.com.evil.com',
            'https://example.com:81',
            'example.com',
            'null',
            '',
        ):
            with self.subTest(origin=origin):
                text = f'Origin is {origin!r}'
                self.assertRefused(403, text, a_request({'Origin': origin}), origins=['https://example.com'])
        self.assertRefused(403, 'Origin is', a_request({'Origin': 'https://a'}), origins=[])
        self.assertRefused(403, 'Origin is', a_request({'Origin': 'https://a'}), origins='https://a')
        two: Fields = {'Origin': ['https://a', 'https://b']}
        self.assertRefused(400, 'Origin is there 2 times', a_request(two), origins=['https://a', 'https://b'])

    def test_subprotocols(self) -> None:
        answer = self.assertRefused(400, '', a_request({'Sec-WebSocket-Protocol': 'a, Chat'}), ['chat'])
        self.assertEqual(answer.reason, "Sec-WebSocket-Protocol is 'a, Chat' (expected one of ['chat'])")
        self.assertRefused(400, "'a b' in a list", a_request({'Sec-WebSocket-Protocol': 'chat, a b'}), ['chat'])

    def test_extensions(self) -> None:
        self.assertRefused(400, 'is not an extension', a_request({'Sec-WebSocket-Extensions': 'foo; a="b c"'}))

    def test_the_answer_to_head_has_no_body(self) -> None:
        refused = refuse(404, 'nothing there')
        self.assertEqual(refused.build(), refused.build('HEAD') + b'nothing there\n')

    def test_a_refusal_of_the_servers_own(self) -> None:
        for status, phrase in [
            (403, 'Forbidden'),
            (414, 'URI'),
            (431, 'Request Header Fields Too Large'),
            (503, 'Service Unavailable'),
        ]:
            answer = refuse(status, 'because € of that')
            self.assertIn(phrase, answer.status_line)
            self.assertTrue(answer.build().endswith('\r\n\r\nbecause € of that\n'.encode()))

    def test_hostile_headers_take_linear_time(self) -> None:
        for name in (
            'Sec-WebSocket-Extensions',
            'Sec-WebSocket-Protocol',
            'Upgrade',
            'Connection',
            'Host',
            'Sec-WebSocket-Key',
        ):
            for piece in (' ', '\\', '"', 'foo; a, ', ',', '; a=1', '; a="\\b"'):
                with self.subTest(name=name, piece=piece):

                    def work(size: int, name: str = name, piece: str = piece) -> None:
                        request = a_request({name: 'foo' + piece * size + '@'})
                        respond(request, ['chat'], ['foo'], origins=['https://example.com'])

                    self.assertTrue(is_linear(work, 8_000))


class RequestFromEnvironTest(unittest.TestCase):
    environ: ClassVar[dict[str, object]] = {
        'REQUEST_METHOD': 'GET',
        'SCRIPT_NAME': '/app',
        'PATH_INFO': '/chat/\xc3\xa9 x',
        'QUERY_STRING': 'a=b&c=%20',
        'SERVER_PROTOCOL': 'HTTP/1.1',
        'CONTENT_TYPE': 'text/plain',
        'CONTENT_LENGTH': '',
        'HTTP_HOST': 'server.example.com',
        'HTTP_UPGRADE': 'websocket',
        'HTTP_CONNECTION': 'keep-alive, Upgrade',
        'HTTP_SEC_WEBSOCKET_KEY': KEY,
        'HTTP_SEC_WEBSOCKET_VERSION': '13',
        'wsgi.version': (1, 0),
    }

    def test_accepted(self) -> None:
        request = request_from_environ(self.environ)
        self.assertEqual(
            (request.method, request.target, request.version), ('GET', '/app/chat/%C3%A9%20x?a=b&c=%20', (1, 1))
        )
        self.assertEqual(request.headers.get('Sec-WebSocket-Key'), KEY)
        self.assertEqual(len(request.headers), 5)
        self.assertIsInstance(respond(request), Accepted)

    def test_refused(self) -> None:
        for changes, status, reason in [
            ({'REQUEST_METHOD': 'POST'}, 405, "'POST'"),
            ({'HTTP_UPGRADE': ''}, 400, 'Header HTTP_UPGRADE is not defined'),
            ({'HTTP_HOST': 'a,b'}, 400, "'a,b'"),
            ({'HTTP_SEC_WEBSOCKET_KEY': f'{KEY},{KEY}'}, 400, 'Sec-WebSocket-Key is '),
            ({'HTTP_SEC_WEBSOCKET_VERSION': '13,13'}, 426, "'13,13'"),
            ({'CONTENT_LENGTH': '5'}, 400, "Content-Length is '5'"),
            ({'HTTP_TRANSFER_ENCODING': 'chunked'}, 400, "Transfer-Encoding is 'chunked'"),
            ({'SERVER_PROTOCOL': 'HTTP/1.0'}, 505, 'expected HTTP/1.1'),
        ]:
            with self.subTest(changes=changes):
                answer = respond(request_from_environ({**self.environ, **changes}))
                assert isinstance(answer, Refused)
                self.assertEqual((answer.status, reason in answer.reason), (status, True), answer.reason)

    def test_an_environ_with_next_to_nothing(self) -> None:
        request = request_from_environ({'REQUEST_METHOD': 'GET'})
        self.assertEqual((request.target, request.version), ('/', (1, 1)))
        self.assertEqual(respond(request), refuse(400, 'Header HTTP_UPGRADE is not defined'))
        self.assertEqual((request.peer_address, request.secure), ('', False))
        for address, port, expected in (('::1', '80', 80), ('::1', 80, 80), ('::1', '', 0), ('::1', 'x', 0)):
            environ = {'REMOTE_ADDR': address, 'REMOTE_PORT': port, 'wsgi.url_scheme': 'https'}
            request = request_from_environ({**self.environ, **environ})
            self.assertEqual((request.peer_address, request.secure), ((address, expected), True))
        self.assertEqual(respond(request_from_environ({})).status, 405)

    def test_malformed(self) -> None:
        for changes, status in [
            ({'HTTP_X': 'a\r\n b'}, 400),
            ({'HTTP_X(Y)': 'a'}, 400),
            ({'SERVER_PROTOCOL': 'INCLUDED'}, 400),
            ({'SERVER_PROTOCOL': 'HTTP/2.0'}, 505),
        ]:
            with self.subTest(changes=changes), self.assertRaises(HTTPError) as caught:
                request_from_environ({**self.environ, **changes})
            self.assertEqual(caught.exception.status, status)

    def test_a_path_that_is_not_latin_1(self) -> None:
        self.assertEqual(request_from_environ({'PATH_INFO': '/€'}).target, '/%3F')


class EnvironOfTest(unittest.TestCase):
    def test_what_wsgi_servers_put_into_it(self) -> None:
        headers = [('Host', 'a:1'), ('X-Y', '1'), ('x-y', '2'), ('X_Y', '3'), ('Content-Type', 'text/plain')]
        headers += [('Content-Length', '5')]
        request = Request('GET', '/caf%C3%A9%2f?q=%20&r', (1, 1), Headers(headers))
        expected = {
            'REQUEST_METHOD': 'GET',
            'SCRIPT_NAME': '',
            'PATH_INFO': '/caf\xc3\xa9/',
            'QUERY_STRING': 'q=%20&r',
            'SERVER_PROTOCOL': 'HTTP/1.1',
            'SERVER_NAME': '127.0.0.1',
            'SERVER_PORT': '9000',
            'REMOTE_ADDR': '::1',
            'REMOTE_PORT': '50000',
            'CONTENT_TYPE': 'text/plain',
            'CONTENT_LENGTH': '5',
            'HTTP_HOST': 'a:1',
            'HTTP_X_Y': '1,2',
            'wsgi.url_scheme': 'http',
        }
        addresses = {'server': ('127.0.0.1', 9000), 'client': ('::1', 50000, 0, 0)}
        self.assertEqual(environ_of(request, **addresses), expected)
        secure = environ_of(request, secure=True, **addresses)
        self.assertEqual(secure, {**expected, 'wsgi.url_scheme': 'https', 'HTTPS': 'on'})

    def test_addresses_that_are_none(self) -> None:
        for secure, port in [(False, '80'), (True, '443')]:
            environ = environ_of(a_request(), secure=secure, server='/run/app.sock', client='')
            names = ('SERVER_NAME', 'SERVER_PORT', 'REMOTE_ADDR', 'REMOTE_PORT')
            self.assertEqual([environ[name] for name in names], ['localhost', port, '', ''])

    def test_there_and_back(self) -> None:
        for target in ('/', '/chat/%C3%A9%20x?a=b&c=%20', "/!$&'()*+,;=:@~"):
            request = Request('GET', target, (1, 0), fields(UPGRADE, {'Origin': 'http://a'}))
            again = request_from_environ(environ_of(request))
            self.assertEqual((again.method, again.target, again.version), ('GET', target, (1, 0)))
            self.assertEqual(
                {name.lower(): value for name, value in again.headers},
                {name.lower(): value for name, value in request.headers},
            )

    def test_targets(self) -> None:
        for target, parts in [
            ('/', ('/', '')),
            ('/a?b?c', ('/a', 'b?c')),
            ('//a/b', ('//a/b', '')),
            ('/http://a/b', ('/http://a/b', '')),
            ('http://host:1/a?b', ('/a', 'b')),
            ('HTTPS://host?b/c', ('/', 'b/c')),
            ('ws://host', ('/', '')),
            ('*', ('*', '')),
        ]:
            self.assertEqual(split_target(target), parts, target)


class ResponseReaderTest(unittest.TestCase):
    interim = b'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </style.css>\r\n\r\n'
    final = b'HTTP/1.1 101 Switching Protocols\r\nX: y\r\n\r\n'

    def read(self, *chunks: bytes, limits: Limits = DEFAULT_LIMITS) -> tuple[bytes, bytes]:
        reader = response_reader(limits)
        next(reader)
        with self.assertRaises(StopIteration) as stop:
            for chunk in chunks:
                self.assertGreaterEqual(reader.send(chunk), 4096)
        head, rest = stop.exception.value
        return head, rest

    def test_whole_cut_and_byte_by_byte(self) -> None:
        data = self.interim + self.final
        self.assertEqual(self.read(data + b'rest'), (self.final, b'rest'))
        for cut in range(1, len(data)):
            self.assertEqual(self.read(data[:cut], data[cut:] + b'rest'), (self.final, b'rest'), cut)
        self.assertEqual(self.read(*(bytes([byte]) for byte in data)), (self.final, b''))

    def test_what_is_final(self) -> None:
        for status in (200, 302, 403, 500, 999):
            head = b'HTTP/1.1 %d Oh\r\n\r\n' % status
            self.assertEqual(self.read(self.interim + head), (head, b''))

    def test_limits(self) -> None:
        limits = Limits(head_size=len(self.interim + self.final))
        self.assertEqual(self.read(self.interim + self.final, limits=limits), (self.final, b''))
        limits = Limits(head_size=len(self.interim + self.final) - 1)
        with self.assertRaisesRegex(HandshakeError, f'interim responses of more than {limits.head_size} bytes'):
            self.read(self.interim + self.final, limits=limits)
        with self.assertRaisesRegex(HandshakeError, 'is not a status line'):
            self.read(b'SSH-2.0-OpenSSH\r\n\r\n')


class CheckResponseTest(unittest.TestCase):
    def check(
        self, changes: Optional[Fields] = None, protocols: Any = (), extensions: Any = (), **kwargs: Any
    ) -> tuple[list[bytes], list[bytes]]:
        return check_response(a_response(changes, **kwargs), KEY.encode(), protocols, extensions)[:2]

    def assertFails(self, reason: str, *args: Any, **kwargs: Any) -> None:
        with self.assertRaises(HandshakeError) as caught:
            self.check(*args, **kwargs)
        self.assertIn(reason, str(caught.exception))
        self.assertLess(len(str(caught.exception)), 400)

    def test_both_halves_fit(self) -> None:
        request = a_request({'Sec-WebSocket-Protocol': 'a, Chat', 'Sec-WebSocket-Extensions': 'foo; x=1, bar'})
        answer = respond(request, ['Chat'], ['foo'])
        agreed = check_response(Response.parse(answer.build()), KEY.encode(), ['a', 'Chat'], ['foo; x=1', 'bar'])[:2]
        self.assertEqual(agreed, ([b'Chat'], [b'foo']))

    def test_tokens(self) -> None:
        self.assertEqual(self.check({'Upgrade': 'WebSocket', 'Connection': 'keep-alive, UPGRADE'}), ([], []))

    def test_status(self) -> None:
        for status, phrase in [
            (200, 'OK'),
            (302, 'Found'),
            (401, 'Unauthorized'),
            (426, 'Upgrade Required'),
            (100, 'Continue'),
        ]:
            self.assertFails(f"the response is {status} '{phrase}' (expected 101", status=status, phrase=phrase)
        self.assertFails('the response is 500', status=500, phrase='x' * 60_000)

    def test_upgrade_and_connection(self) -> None:
        for changes, reason in [
            ({'Upgrade': None}, "Upgrade is missing (expected 'websocket')"),
            ({'Upgrade': 'notwebsocket'}, "Upgrade is 'notwebsocket' (expected 'websocket')"),
            ({'Upgrade': ['websocket', 'h2c']}, "Upgrade is 'websocket, h2c'"),
            ({'Connection': None}, "Connection is missing (expected 'Upgrade')"),
            ({'Connection': 'notupgrade'}, "Connection is 'notupgrade'"),
            ({'Connection': 'close'}, "Connection is 'close'"),
        ]:
            with self.subTest(changes=changes):
                self.assertFails(reason, changes)

    def test_accept(self) -> None:
        for accept, reason in [
            (None, f"Sec-WebSocket-Accept is missing (expected '{ACCEPT}')"),
            ('', "Sec-WebSocket-Accept is ''"),
            (ACCEPT.lower(), f"Sec-WebSocket-Accept is '{ACCEPT.lower()}'"),
            ([ACCEPT, ACCEPT], f"Sec-WebSocket-Accept is '{ACCEPT}, {ACCEPT}'"),
            (accept_key(b'another'), 'Sec-WebSocket-Accept is '),
        ]:
            with self.subTest(accept=accept):
                self.assertFails(reason, {'Sec-WebSocket-Accept': accept})

    def test_subprotocol(self) -> None:
        name = 'Sec-WebSocket-Protocol'
        self.assertEqual(self.check({name: 'Chat'}, ['a', 'Chat'])[0], [b'Chat'])
        self.assertEqual(self.check({}, ['a', 'Chat'])[0], [])
        for value in ('other', 'chat', 'a, Chat', ['a', 'Chat'], ['Chat', 'Chat']):
            with self.subTest(value=value):
                self.assertFails("(expected one of ['a', 'Chat'])", {name: value}, ['a', 'Chat'])
        self.assertFails("'a b' in a list of tokens", {name: 'a b'}, ['a'])
        self.assertFails("'a b' in a list of tokens", {name: 'a b'})

    def test_extensions(self) -> None:
        name = 'Sec-WebSocket-Extensions'
        offered = ['foo', 'bar; a; b=1']
        self.assertEqual(self.check({}, (), offered)[1], [])
        named = self.check({name: ['bar;b=2', 'foo; c="1"']}, (), offered)[1]
        self.assertEqual(named, [b'bar;b=2', b'foo; c="1"'])
        expected = '(expected what was offered, once: '
        self.assertFails(f"Sec-WebSocket-Extensions has 'x' {expected}['bar'])", {name: 'foo, x'}, (), offered)
        self.assertFails(f"Sec-WebSocket-Extensions has 'foo' {expected}['bar'])", {name: 'foo, foo'}, (), offered)
        for value in ('foo; ', 'foo; a="b c"'):
            self.assertFails('is not an extension', {name: value}, (), offered)
            self.assertFails('is not an extension', {name: value})

    def test_what_nobody_asked_for_is_listed_and_logged(self) -> None:
        changes: Fields = {'Sec-WebSocket-Protocol': ['a', 'b, c'], 'Sec-WebSocket-Extensions': ['foo; x=1', 'bar']}
        with self.assertLogs('ws4py', logging.WARNING) as logs:
            self.assertEqual(self.check(changes), ([b'a', b'b', b'c'], [b'foo; x=1', b'bar']))
        self.assertEqual(len(logs.output), 2)
        self.assertIn("subprotocols that were not offered: 'a, b, c'", logs.output[0])
        self.assertIn("extensions that were not offered: 'foo; x=1, bar'", logs.output[1])


if __name__ == '__main__':
    unittest.main()
