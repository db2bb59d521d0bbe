"""Which proxy, what is asked of it, and what its answer is worth."""

from __future__ import annotations

import unittest
from typing import Any, Optional, Union

from support_proxies import environment

from ws4py.exc import HandshakeError
from ws4py.limits import Limits
from ws4py.proxies import answer_reader, basic, choose, connect_request
from ws4py.uri import parse, parse_proxy

OK = b'HTTP/1.1 200 Connection established\r\n\r\n'


class ChoiceTest(unittest.TestCase):
    def choose(self, proxy: Union[str, bool, None], url: str = 'ws://example.test/') -> Optional[tuple[str, str]]:
        chosen = choose(proxy, parse(url))
        return None if chosen is None else (chosen.scheme, chosen.authority)

    def test_none(self) -> None:
        with environment(http_proxy='http://proxy.test'):
            self.assertIsNone(self.choose(None))
            self.assertIsNone(self.choose(False))

    def test_given(self) -> None:
        self.assertEqual(self.choose('http://proxy.test:3128'), ('http', 'proxy.test:3128'))
        self.assertEqual(self.choose('socks5h://proxy.test'), ('socks5h', 'proxy.test:1080'))

    def test_wrong(self) -> None:
        for proxy in ('', 'https://proxy.test', 'http://pro\r\nxy.test'):
            with self.subTest(proxy), self.assertRaises(ValueError):
                choose(proxy, parse('ws://example.test/'))
        for wrong in (0, 1, b'http://proxy.test'):
            with self.subTest(wrong), self.assertRaisesRegex(TypeError, 'a proxy is a URL, True or None'):
                choose(wrong, parse('ws://example.test/'))  # type: ignore[arg-type]

    def test_a_unix_socket_needs_none(self) -> None:
        with environment(http_proxy='http://proxy.test', all_proxy='nonsense://'):
            for proxy in ('http://proxy.test', True):
                self.assertIsNone(self.choose(proxy, 'ws+unix:///tmp/my.sock'))
        with self.assertRaises(ValueError):
            self.choose('nonsense://', 'ws+unix:///tmp/my.sock')

    def test_environment(self) -> None:
        both = {'http_proxy': 'http://plain.test:1', 'HTTPS_PROXY': 'secure.test:2', 'all_proxy': 'socks5://all.test'}
        for variables, url, expected in (
            ({}, 'ws://example.test/', None),
            (both, 'ws://example.test/', ('http', 'plain.test:1')),
            (both, 'wss://example.test/', ('http', 'secure.test:2')),
            ({'all_proxy': 'socks5://all.test'}, 'wss://example.test/', ('socks5', 'all.test:1080')),
            ({**both, 'http_proxy': ''}, 'ws://example.test/', ('socks5', 'all.test:1080')),
            ({**both, 'no_proxy': 'example.test'}, 'ws://example.test/', None),
            ({**both, 'no_proxy': 'example.test'}, 'ws://sub.example.test/', None),
            ({**both, 'no_proxy': 'ample.test, x.test'}, 'ws://example.test/', ('http', 'plain.test:1')),
            ({**both, 'no_proxy': 'example.test:81'}, 'ws://example.test/', ('http', 'plain.test:1')),
            ({**both, 'no_proxy': 'example.test:81'}, 'ws://example.test:81/', None),
            ({**both, 'no_proxy': '[::1]'}, 'ws://[::1]:81/', None),
            ({**both, 'no_proxy': '*'}, 'ws://example.test/', None),
            # A web server that runs a CGI program puts the header "Proxy" there.
            ({'HTTP_PROXY': 'http://evil.test', 'REQUEST_METHOD': 'GET'}, 'ws://example.test/', None),
        ):
            with self.subTest(variables=variables, url=url), environment(**variables):
                self.assertEqual(self.choose(True, url), expected)


class RequestTest(unittest.TestCase):
    def test_request(self) -> None:
        for url, authority in (('ws://example.test/a', 'example.test:80'), ('wss://[::1]/', '[::1]:443')):
            self.assertEqual(
                connect_request(parse_proxy('http://proxy.test'), parse(url)),
                f'CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n\r\n'.encode(),
            )

    def test_credentials(self) -> None:
        request = connect_request(parse_proxy('http://me:s%20cret@proxy.test'), parse('ws://you:other@example.test/'))
        self.assertIn(b'\r\nProxy-Authorization: Basic bWU6cyBjcmV0\r\n', request)
        self.assertNotIn(b'\r\nAuthorization', request)
        self.assertEqual(basic(parse_proxy('http://me@proxy.test')), 'Basic bWU6')


class AnswerTest(unittest.TestCase):
    def judge(self, *pieces: bytes, **limits: Any) -> None:
        reader = answer_reader(Limits(**limits))
        next(reader)
        with self.assertRaises(StopIteration):
            for piece in pieces:
                reader.send(piece)

    def test_a_tunnel(self) -> None:
        self.judge(OK)
        self.judge(*(OK[at : at + 1] for at in range(len(OK))))
        self.judge(b'HTTP/1.0 204 No Content\r\nX: y\r\n\r\n')
        self.judge(b'HTTP/1.1 100 Continue\r\n\r\n' + OK)

    def test_refused(self) -> None:
        for status in (101, 302, 403, 407, 502):
            with (
                self.subTest(status),
                self.assertRaisesRegex(HandshakeError, f'the proxy answered {status} ') as caught,
            ):
                self.judge(f'HTTP/1.1 {status} No\r\nContent-Length: 5\r\n\r\nhello'.encode())
            self.assertEqual(caught.exception.response_status, status)

    def test_lies(self) -> None:
        for pieces, text in (
            ((OK + b'\x81\x05hello',), 'the proxy sent 7 bytes behind its answer'),
            ((b'',), 'the proxy closed the connection'),
            ((OK[:-2], b''), 'the proxy closed the connection'),
            ((b'\x16\x03\x03\r\n\r\n',), 'the proxy answered with .* is not a status line'),
            ((b'SSH-2.0-x\n',), 'the proxy answered with a line that ends with a bare LF'),
            ((OK[:-2] + b'X: y\r\n' * 200 + b'\r\n',), 'the proxy answered with .*200'),
            ((b'HTTP/1.1 100 Continue\r\n\r\n' * 3000,), 'the proxy answered with interim responses'),
        ):
            with self.subTest(text), self.assertRaisesRegex(HandshakeError, text):
                self.judge(*pieces)

    def test_without_end(self) -> None:
        reader = answer_reader(Limits(head_size=10_000))
        next(reader)
        reader.send(OK[:-2])
        with self.assertRaisesRegex(HandshakeError, 'the proxy answered with a head of more than 10000 bytes'):
            for _ in range(10):
                reader.send(b'X: ' + b'y' * 1500 + b'\r\n')


if __name__ == '__main__':
    unittest.main()
