"""Heads of requests and responses: what they are taken apart into, what is refused, and at what cost."""

from __future__ import annotations

import contextlib
import itertools
import unittest
from typing import Callable, Optional

from support_cost import is_linear

from ws4py.exc import HandshakeError, HTTPError
from ws4py.http11 import (
    Headers,
    NamedExtension,
    Request,
    Response,
    build_extensions,
    build_token_list,
    head_reader,
    parse_extensions,
    parse_token_list,
    parse_version,
    show,
    split_list,
)
from ws4py.limits import DEFAULT_LIMITS, Limits

# RFC 6455 section 1.2
REQUEST = (
    b'GET /chat HTTP/1.1\r\n'
    b'Host: server.example.com\r\n'
    b'Upgrade: websocket\r\n'
    b'Connection: Upgrade\r\n'
    b'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n'
    b'Origin: http://example.com\r\n'
    b'Sec-WebSocket-Protocol: chat, superchat\r\n'
    b'Sec-WebSocket-Version: 13\r\n'
    b'\r\n'
)
RESPONSE = (
    b'HTTP/1.1 101 Switching Protocols\r\n'
    b'Upgrade: websocket\r\n'
    b'Connection: Upgrade\r\n'
    b'Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n'
    b'Sec-WebSocket-Protocol: chat\r\n'
    b'\r\n'
)


def request(*lines: bytes) -> bytes:
    """A head with these lines behind a good request line."""
    return b'\r\n'.join([b'GET / HTTP/1.1', *lines, b'', b''])


def read(chunks: list[bytes], limits: Limits = DEFAULT_LIMITS) -> Optional[tuple[bytes, bytes]]:
    """What head_reader returns after *chunks*, None if it wants more."""
    reader = head_reader(limits)
    next(reader)
    for at, chunk in enumerate(chunks):
        try:
            wanted = reader.send(chunk)
        except StopIteration as stop:
            assert at == len(chunks) - 1, 'it returned before the last chunk'
            head, rest = stop.value
            return head, rest
        assert wanted >= 4096, wanted
    return None


class HTTPErrorCase(unittest.TestCase):
    def assertRefused(self, status: int, text: str, work: Callable[..., object], *args: object) -> None:
        with self.assertRaises(HTTPError) as caught:
            work(*args)
        self.assertEqual((caught.exception.status, text in caught.exception.msg), (status, True), caught.exception.msg)
        self.assertLess(len(caught.exception.msg), 300)
        self.assertTrue(caught.exception.msg.isprintable(), caught.exception.msg)


class HeadersTest(unittest.TestCase):
    def test_names_have_no_case_and_values_keep_their_order(self) -> None:
        headers = Headers([('Host', 'a'), ('X-Many', '1')])
        headers.add('x-MANY', ' \t2 ')
        self.assertEqual(headers.get('HOST'), 'a')
        self.assertEqual(headers.get('x-many'), '1')
        self.assertEqual(headers.get_all('X-Many'), ['1', '2'])
        self.assertEqual(headers.items(), [('Host', 'a'), ('X-Many', '1'), ('x-MANY', '2')])
        self.assertEqual((list(headers), len(headers)), (headers.items(), 3))
        self.assertTrue('hOST' in headers)
        self.assertFalse('Origin' in headers)
        self.assertFalse(1 in headers)
        self.assertEqual(repr(Headers([('A', 'b')])), "Headers([('A', 'b')])")

    def test_what_is_not_there(self) -> None:
        headers = Headers()
        self.assertIsNone(headers.get('A'))
        self.assertEqual((headers.get('A', 'b'), headers.get_all('A'), len(headers)), ('b', [], 0))

    def test_by_index(self) -> None:
        headers = Headers([('A', '1'), ('a', '2')])
        self.assertEqual(headers['a'], '1')
        with self.assertRaises(KeyError):
            headers['b']

    def test_the_caller_gets_copies(self) -> None:
        headers = Headers([('A', '1')])
        headers.items().append(('B', '2'))
        headers.get_all('A').append('2')
        copied = headers.copy()
        copied.add('A', '2')
        self.assertEqual((headers.items(), headers.get_all('A')), ([('A', '1')], ['1']))
        self.assertEqual((copied.items(), copied.get_all('a')), ([('A', '1'), ('A', '2')], ['1', '2']))

    def test_nothing_that_breaks_a_line(self) -> None:
        for name in ('', 'A ', 'A:', 'A\r\nB', 'A\0', 'Ä', '"A"', 'A(b)'):
            with self.subTest(name=name), self.assertRaisesRegex(ValueError, 'is not the name of a header'):
                Headers([(name, 'value')])
        for value in ('a\r\nB: c', 'a\n', '\ra', 'a\0b', 'a\x7f', 'a\x1bb', '€', 'a\r\n b'):
            with self.subTest(value=value), self.assertRaisesRegex(ValueError, "header 'A' has the character "):
                Headers([('A', value)])


class RequestTest(HTTPErrorCase):
    def test_the_example_of_the_rfc(self) -> None:
        parsed = Request.parse(REQUEST)
        self.assertEqual((parsed.method, parsed.target, parsed.version), ('GET', '/chat', (1, 1)))
        self.assertEqual(parsed.headers.get('sec-websocket-protocol'), 'chat, superchat')
        self.assertEqual(len(parsed.headers), 7)
        self.assertEqual(parsed.build(), REQUEST)

    def test_white_space_around_a_value_and_none_at_all(self) -> None:
        headers = Request.parse(request(b'A:b', b'C: \t d e\t ', b'F:', b'G: \xe9:x')).headers
        self.assertEqual(headers.items(), [('A', 'b'), ('C', 'd e'), ('F', ''), ('G', 'é:x')])

    def test_no_headers(self) -> None:
        self.assertEqual(Request.parse(request()).headers.items(), [])

    def test_request_lines(self) -> None:
        self.assertEqual(Request.parse(b'OPTIONS * HTTP/1.0\r\n\r\n').version, (1, 0))
        self.assertEqual(Request.parse(b'GET http://a/b?c HTTP/1.1\r\n\r\n').target, 'http://a/b?c')
        for line in (
            b'',
            b'GET',
            b'GET /',
            b'GET  / HTTP/1.1',
            b'GET /  HTTP/1.1',
            b'GET / HTTP/1.1 ',
            b' GET / HTTP/1.1',
            b'GET / a HTTP/1.1',
            b'GET\t/\tHTTP/1.1',
            b'G(T / HTTP/1.1',
            b'GET /\xe9 HTTP/1.1',
            b'GET /\0 HTTP/1.1',
            b'GET / http/1.1',
            b'GET / HTTP/11',
            b'GET / HTTP/1.1.1',
            b'GET /\nA: b HTTP/1.1',
        ):
            with self.subTest(line=line):
                self.assertRefused(400, 'expected', Request.parse, line + b'\r\n\r\n')
        self.assertRefused(505, 'HTTP/2.0 is not spoken', Request.parse, b'PRI * HTTP/2.0\r\n\r\n')
        self.assertRefused(505, 'HTTP/0.9', Request.parse, b'GET / HTTP/0.9\r\n\r\n')

    def test_header_lines_that_are_refused(self) -> None:
        for lines, text in [
            ([b'Host : a'], "'Host ' is not the name of a header"),
            ([b'Host\t: a'], 'is not the name of a header'),
            ([b': a'], "'' is not the name of a header"),
            ([b'Host'], "'Host' is not a header line"),
            ([b'A: b', b' c'], "second line, ' c' (obsolete folding)"),
            ([b'A: b', b'\tc: d'], 'obsolete folding'),
            ([b' A: b'], 'obsolete folding'),
            ([b'A: b\nC: d'], "header 'A' has the character '\\n'"),
            ([b'A: b\rC: d'], "header 'A' has the character '\\r'"),
            ([b'A: b\0'], "header 'A' has the character '\\x00'"),
            ([b'A\0: b'], "'A\\x00' is not the name"),
            ([b'', b'A: b'], "'' is not a header line"),
        ]:
            with self.subTest(lines=lines):
                self.assertRefused(400, text, Request.parse, request(*lines))

    def test_a_head_ends_with_an_empty_line(self) -> None:
        for head in (b'', b'\r\n', REQUEST[:-2], REQUEST + b'x', REQUEST.replace(b'\r\n', b'\n')):
            with self.subTest(head=head):
                self.assertRefused(400, 'expected an empty line', Request.parse, head)

    def test_limits(self) -> None:
        limits = Limits(head_size=200, headers=3, line_size=50)
        target = b'/' + b'a' * 49
        self.assertEqual(len(Request.parse(b'GET %b HTTP/1.1\r\n\r\n' % target, limits).target), 50)
        head = b'GET %ba HTTP/1.1\r\n\r\n' % target
        self.assertRefused(414, 'target has 51 bytes, 50 are allowed', Request.parse, head, limits)
        line = b'A: ' + b'a' * 47
        self.assertEqual(len(Request.parse(request(line), limits).headers), 1)
        self.assertRefused(431, 'line of 51 bytes, 50 are allowed', Request.parse, request(line + b'a'), limits)
        self.assertEqual(len(Request.parse(request(*[b'A: b'] * 3), limits).headers), 3)
        self.assertRefused(431, '4 headers, 3 are allowed', Request.parse, request(*[b'A: b'] * 4), limits)
        self.assertRefused(431, '200 are allowed', Request.parse, request(*[line] * 4), limits)

    def test_build_refuses_what_would_break_the_line(self) -> None:
        for method, target in [
            ('GET\r\n', '/'),
            ('', '/'),
            ('GET', '/a b'),
            ('GET', ''),
            ('GET', '/\r\nX: y'),
            ('GET', '/é'),
        ]:
            with self.subTest(method=method, target=target), self.assertRaisesRegex(ValueError, 'is not a request'):
                Request(method, target, (1, 1), Headers()).build()


class ResponseTest(HTTPErrorCase):
    def test_the_example_of_the_rfc(self) -> None:
        parsed = Response.parse(RESPONSE)
        self.assertEqual((parsed.status, parsed.phrase, parsed.version), (101, 'Switching Protocols', (1, 1)))
        self.assertEqual(parsed.headers.get('Upgrade'), 'websocket')
        self.assertEqual(parsed.build(), RESPONSE)

    def test_status_lines(self) -> None:
        for line, expected in [
            (b'HTTP/1.1 101', (101, '')),
            (b'HTTP/1.1 101 ', (101, '')),
            (b'HTTP/1.0 404 Pas trouv\xe9', (404, 'Pas trouvé')),
        ]:
            parsed = Response.parse(line + b'\r\n\r\n')
            self.assertEqual((parsed.status, parsed.phrase), expected)
        for line in (
            b'',
            b'HTTP/1.1',
            b'HTTP/1.1  101 OK',
            b'HTTP/1.1 1O1 OK',
            b'HTTP/1.1 1011 OK',
            b'HTTP/1.1 +10 OK',
            b'HTTP/1.1 099 OK',
            b'HTTP/1.1 101 O\0K',
            b'HTTP/1.1 101 O\nK',
            b'ICY 200 OK',
            b'http/1.1 200 OK',
        ):
            with self.subTest(line=line):
                self.assertRefused(400, 'expected', Response.parse, line + b'\r\n\r\n')
        self.assertRefused(505, 'HTTP/2.0', Response.parse, b'HTTP/2.0 200 OK\r\n\r\n')

    def test_white_space_before_the_colon_is_tolerated(self) -> None:
        parsed = Response.parse(b'HTTP/1.1 101 OK\r\nUpgrade : websocket\r\nConnection \t: Upgrade\r\n\r\n')
        self.assertEqual(parsed.headers.items(), [('Upgrade', 'websocket'), ('Connection', 'Upgrade')])
        for line in (b' : a', b'A b: c', b' A: b', b'A', b'A: b\nc'):
            with self.subTest(line=line):
                self.assertRefused(400, '', Response.parse, b'HTTP/1.1 101 OK\r\n%b\r\n\r\n' % line)

    def test_limits(self) -> None:
        limits = Limits(headers=2)
        head = b'HTTP/1.1 101 OK\r\n' + b'A: b\r\n' * 3 + b'\r\n'
        self.assertRefused(431, '3 headers, 2 are allowed', Response.parse, head, limits)

    def test_build_refuses_what_would_break_the_line(self) -> None:
        with self.assertRaisesRegex(ValueError, 'is not a reason phrase'):
            Response(200, 'OK\r\nX: y', (1, 1), Headers()).build()
        for status in (0, 99, 1000, -10):
            with self.assertRaisesRegex(ValueError, f'{status} is not a status'):
                Response(status, 'OK', (1, 1), Headers()).build()

    def test_a_body(self) -> None:
        response = Response(200, 'OK', (1, 1), Headers([('Content-Type', 'text/plain')]), b'fine\n')
        head = b'HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nConnection: close\r\nContent-Length: 5\r\n\r\n'
        self.assertEqual(response.build(), head + b'fine\n')
        self.assertEqual(response.build('HEAD'), head)
        self.assertEqual(len(response.headers), 1)

    def test_the_standard_phrase(self) -> None:
        for response, line in [
            (Response(200, body=b'ok'), b'HTTP/1.1 200 OK'),
            (Response(404), b'HTTP/1.1 404 Not Found'),
            (Response(299), b'HTTP/1.1 299 '),
            (Response(200, 'Fine'), b'HTTP/1.1 200 Fine'),
        ]:
            with self.subTest(line=line):
                self.assertEqual(response.build().partition(b'\r\n')[0], line)

    def test_headers_of_a_final_response(self) -> None:
        for status, headers, added in [
            (404, [], [('Connection', 'close'), ('Content-Length', '0')]),
            (200, [('connection', 'x, Close'), ('content-length', '7')], []),  # of a HEAD, whose body is not known
            (200, [('connection', 'x'), ('content-length', '7')], [('Connection', 'close')]),
            (204, [], [('Connection', 'close')]),
            (304, [('Content-Length', '7')], [('Connection', 'close')]),
            (101, [('Upgrade', 'websocket')], []),
        ]:
            with self.subTest(status=status, headers=headers):
                response = Response(status, '', (1, 1), Headers(headers))
                self.assertEqual(response.complete().headers.items(), headers + added)
                self.assertEqual(Response.parse(response.build()).headers.items(), headers + added)
                self.assertEqual(response.headers.items(), headers)

    def test_where_no_body_belongs_there_is_none(self) -> None:
        for status in (204, 304):
            self.assertTrue(Response(status, body=b'body').build().endswith(b'\r\n\r\n'))
        self.assertRaises(TypeError, Response(200, body='text').build)  # type: ignore[arg-type]


class HeadReaderTest(HTTPErrorCase):
    def test_whole_and_cut_anywhere(self) -> None:
        for rest in (b'', b'\x81\x05hello', b'\r\n\r\n'):
            data = REQUEST + rest
            self.assertEqual(read([data]), (REQUEST, rest))
            for cut in range(1, len(REQUEST)):
                self.assertEqual(read([data[:cut], data[cut:]]), (REQUEST, rest), cut)
            self.assertEqual(read([REQUEST[at : at + 1] for at in range(len(REQUEST))]), (REQUEST, b''))
            self.assertIsNone(read([REQUEST[:-1]]))

    def test_next_is_legal_at_any_time(self) -> None:
        reader = head_reader()
        next(reader)
        reader.send(REQUEST[:20])
        next(reader)
        with self.assertRaises(StopIteration) as stop:
            reader.send(REQUEST[20:])
        self.assertEqual(stop.exception.value, (REQUEST, b''))

    def test_what_was_received_before(self) -> None:
        for cut in range(len(REQUEST)):
            reader = head_reader(DEFAULT_LIMITS, REQUEST[:cut])
            next(reader)
            with self.assertRaises(StopIteration) as stop:
                reader.send(REQUEST[cut:] + b'rest')
            self.assertEqual(stop.exception.value, (REQUEST, b'rest'))
        with self.assertRaises(StopIteration) as stop:
            next(head_reader(DEFAULT_LIMITS, REQUEST + b'rest'))
        self.assertEqual(stop.exception.value, (REQUEST, b'rest'))

    def test_a_bare_line_feed(self) -> None:
        for data in (
            b'GET / HTTP/1.1\n',
            b'\n',
            REQUEST.replace(b'\r\n', b'\n'),
            REQUEST[:-2] + b'\n',
            b'GET / HTTP/1.1\r\n\n',
        ):
            for chunks in ([data], [data[at : at + 1] for at in range(len(data))]):
                with self.subTest(data=data, chunks=len(chunks)):
                    self.assertRefused(400, 'bare LF', read, chunks)

    def test_limits(self) -> None:
        limits = Limits(head_size=len(REQUEST))
        self.assertEqual(read([REQUEST], limits), (REQUEST, b''))
        self.assertEqual(read([REQUEST + b'x' * 10_000], limits), (REQUEST, b'x' * 10_000))
        limits = Limits(head_size=len(REQUEST) - 1)
        self.assertRefused(431, f'more than {limits.head_size} bytes', read, [REQUEST], limits)
        self.assertRefused(431, 'more than', read, [REQUEST[:-1], b'\n'], limits)
        self.assertRefused(414, 'more than 65536 bytes', read, [b'GET /' + b'a' * 1_000_000])
        self.assertRefused(431, 'more than 65536 bytes', read, [REQUEST[:-2], b'A: ' + b'a' * 1_000_000])
        self.assertRefused(431, 'more than 65536 bytes', read, [REQUEST[:-2]] + [b'A: a\r\n'] * 20_000)

    def test_it_refuses_as_soon_as_the_limit_is_passed(self) -> None:
        reader = head_reader()
        next(reader)
        taken = 0
        with self.assertRaises(HTTPError):
            while True:
                taken += 1000
                reader.send(b'a' * 1000)
        self.assertLessEqual(taken, DEFAULT_LIMITS.head_size + 1000)


class ListsTest(unittest.TestCase):
    def test_split_list(self) -> None:
        self.assertEqual(split_list([]), [])
        self.assertEqual(split_list(['', ' , ,\t']), [])
        self.assertEqual(split_list(['a, b c ,,d', 'e/1.0']), ['a', 'b c', 'd', 'e/1.0'])

    def test_token_lists(self) -> None:
        self.assertEqual(parse_token_list(['chat, superchat,', '\tv1.chat']), ['chat', 'superchat', 'v1.chat'])
        self.assertEqual(parse_token_list([]), [])
        for value in ('a b', '"a"', 'a;b', 'é', 'a/b'):
            with self.subTest(value=value), self.assertRaisesRegex(HandshakeError, 'is not a token'):
                parse_token_list(['chat', value])
        self.assertEqual(build_token_list(['chat', 'superchat']), 'chat, superchat')
        for value in ('a b', '', 'a,b', 'a\r\nX: y', 'é'):
            with self.subTest(value=value), self.assertRaisesRegex(ValueError, 'is not a token'):
                build_token_list(['chat', value])

    def test_extensions(self) -> None:
        cases: list[tuple[list[str], list[NamedExtension]]] = [
            ([], []),
            (['', ','], []),
            (['foo'], [('foo', [])]),
            (['foo, bar; baz=2', 'foo'], [('foo', []), ('bar', [('baz', '2')]), ('foo', [])]),
            (['foo;a;b=1;a = "2" ; c="x\\y\\\'"'], [('foo', [('a', None), ('b', '1'), ('a', '2'), ('c', "xy'")])]),
            (
                ['permessage-deflate; client_max_window_bits, permessage-deflate'],
                [('permessage-deflate', [('client_max_window_bits', None)]), ('permessage-deflate', [])],
            ),
        ]
        for values, expected in cases:
            with self.subTest(values=values):
                self.assertEqual(parse_extensions(values), expected)
                self.assertEqual(parse_extensions([build_extensions(expected)]), expected)

    def test_extensions_that_are_refused(self) -> None:
        for value in (
            'foo;',
            ';',
            ';a',
            'foo;;a',
            'foo bar',
            'foo=1',
            'foo; a=',
            'foo; a=""',
            'foo; a="b',
            'foo; a="b c"',
            'foo; a="b\\"',
            'foo; a="b\\\\c"',
            'foo; a="b,c"',
            'foo; a="b" c',
            'foo; a=b=c',
            'foo; =b',
            'é',
            '"foo"',
        ):
            with self.subTest(value=value), self.assertRaisesRegex(HandshakeError, 'is not an extension'):
                parse_extensions([value])

    def test_build_extensions(self) -> None:
        self.assertEqual(build_extensions([('a', [('b', None), ('c', '1')]), ('d', ())]), 'a; b; c=1, d')
        for name, key, value in [('a b', 'c', None), ('a', 'b;c', None), ('a', 'b', 'c d'), ('a', 'b', '')]:
            with self.assertRaisesRegex(ValueError, 'is not a token'):
                build_extensions([(name, [(key, value)])])


class CostTest(unittest.TestCase):
    """Four times the input costs less than eight times the time."""

    def assertLinear(self, work: Callable[[int], object], size: int = 8192) -> None:
        def tolerant(size: int) -> None:
            with contextlib.suppress(HandshakeError):
                work(size)

        self.assertTrue(is_linear(tolerant, size))

    def test_hostile_extension_headers(self) -> None:
        pieces = [' ', '\t', '\\', '"', '="', ';', ',', 'a', 'a ', ' =', '\\"', '=" ', 'a, ', ' ,']
        pieces += ['; a', '; a=1', '; a="b', '; a="\\b"']
        for start, piece in itertools.product(('', 'foo', 'foo; a=', 'foo; a="', 'foo; a="b'), pieces):

            def work(size: int, start: str = start, piece: str = piece) -> object:
                return parse_extensions([start + piece * size + '@'])

            with self.subTest(start=start, piece=piece):
                self.assertLinear(work)

    def test_hostile_token_lists(self) -> None:
        for piece in (' ', ',', ' ,', 'a,', 'a', 'a ', '\t ,'):

            def work(size: int, piece: str = piece) -> object:
                return parse_token_list([piece * size + '@'])

            with self.subTest(piece=piece):
                self.assertLinear(work)

    def test_hostile_heads(self) -> None:
        limits = Limits(head_size=2**30, headers=2**30, line_size=2**30)
        for piece in (b' ', b'\t', b':', b'a', b'A: b\r\n', b'a:', b': '):

            def work(size: int, piece: bytes = piece) -> object:
                return Request.parse(request(b'A: ' + piece * size + b'\x01'), limits)

            with self.subTest(piece=piece):
                self.assertLinear(work)

    def test_a_head_that_drips(self) -> None:
        limits = Limits(head_size=2**30)

        def work(size: int) -> None:
            reader = head_reader(limits)
            next(reader)
            for _ in range(size):
                reader.send(b'a')

        self.assertLinear(work)


class ShowTest(unittest.TestCase):
    def test_errors_are_short(self) -> None:
        self.assertEqual(show('a\r\n'), "'a\\r\\n'")
        self.assertEqual(show('a' * 1000), f"'{'a' * 60}'… (1000 characters)")
        self.assertEqual(parse_version('HTTP/1.1'), (1, 1))


if __name__ == '__main__':
    unittest.main()
