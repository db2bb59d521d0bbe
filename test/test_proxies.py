"""HTTP proxies: their URLs, the environment, the request and the answer; on real connections in test_proxied."""

from __future__ import annotations

import base64
import os
import unittest
from typing import Optional
from unittest import mock

from ws4py.exc import HandshakeError
from ws4py.limits import Limits
from ws4py.proxies import Proxy, answer_reader, choose, connect_request
from ws4py.uri import parse

WS, WSS = parse('ws://example.test/'), parse('wss://example.test/')


class URLTest(unittest.TestCase):
    def test_parts(self) -> None:
        self.assertEqual(Proxy.parse('http://proxy.test:3128'), Proxy('proxy.test', 3128))
        self.assertEqual(Proxy.parse('HTTP://[::1]/'), Proxy('::1', 80))
        proxy = Proxy.parse('http://me:s%3Acret@proxy.test')
        self.assertEqual(proxy, Proxy('proxy.test', 80, 'me', 's:cret'))
        self.assertNotIn('cret', repr(proxy))

    def test_what_is_none(self) -> None:
        for url in ('proxy.test:3128', 'socks5://proxy.test', 'https://proxy.test', 'http://', 'http://a/path'):
            with self.assertRaises(ValueError):
                Proxy.parse(url)
        for url in ('http://a\r\nb', 'http://a:b\0@c', 'http://me:secret@a b'):
            with self.assertRaises(ValueError) as caught:
                Proxy.parse(url)
            self.assertNotIn('secret', str(caught.exception))


class ChooseTest(unittest.TestCase):
    def test_by_name_or_not_at_all(self) -> None:
        self.assertIsNone(choose(None, WS))
        self.assertIsNone(choose(False, WS))
        self.assertEqual(choose('http://a:1', WSS), Proxy('a', 1))
        self.assertIsNone(choose('http://a:1', parse('ws+unix:///tmp/a')))

    def test_the_environment(self) -> None:
        names = {'http_proxy': 'http://plain:1', 'https_proxy': 'secure:2', 'no_proxy': 'inside.test'}
        with mock.patch.dict(os.environ, names, clear=True):
            self.assertEqual(choose(True, WS), Proxy('plain', 1))
            self.assertEqual(choose(True, WSS), Proxy('secure', 2))
            self.assertIsNone(choose(True, parse('ws://inside.test/')))
        with mock.patch.dict(os.environ, {}, clear=True):
            self.assertIsNone(choose(True, WS))


class RequestTest(unittest.TestCase):
    def test_request(self) -> None:
        self.assertEqual(
            connect_request(Proxy('p', 1), 'example.test', 443),
            b'CONNECT example.test:443 HTTP/1.1\r\nHost: example.test:443\r\n\r\n',
        )
        self.assertIn(b'CONNECT [::1]:80 HTTP/1.1\r\n', connect_request(Proxy('p', 1), '::1', 80))
        for password, credentials in (('pass', b'me:pass'), (None, b'me:')):
            request = connect_request(Proxy('p', 1, 'me', password), 'a', 80)
            self.assertIn(b'\r\nProxy-Authorization: Basic ' + base64.b64encode(credentials) + b'\r\n', request)

    def test_what_would_break_it(self) -> None:
        with self.assertRaises(ValueError):
            connect_request(Proxy('p', 1), 'a\r\nX: y', 80)


class AnswerTest(unittest.TestCase):
    def read(self, data: bytes, limits: Optional[Limits] = None) -> None:
        """Byte by byte, and at once."""
        for step in (1, len(data)):
            reader = answer_reader(limits or Limits())
            next(reader)
            with self.assertRaises(StopIteration):
                for at in range(0, len(data), step):
                    reader.send(data[at : at + step])

    def test_good_ones(self) -> None:
        self.read(b'HTTP/1.1 200 Connection established\r\n\r\n')
        self.read(b'HTTP/1.0 204 Fine\r\nProxy-Agent: x\r\n\r\n')
        self.read(b'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\n')

    def test_bad_ones(self) -> None:
        for data, text in (
            (b'HTTP/1.1 407 Proxy Authentication Required\r\n\r\n', 'the proxy answered 407'),
            (b'HTTP/1.1 101 Switching Protocols\r\n\r\n', 'the proxy answered 101'),
            (b'HTTP/1.1 200 OK\r\n\r\nmore', 'the proxy sent 4 bytes'),
            (b'SSH-2.0\r\n\r\n', 'is not a status line'),
            (b'HTTP/1.1 200 OK\r\n' + b'X: y\r\n' * 20_000, 'a head of more than'),
        ):
            reader = answer_reader()
            next(reader)
            with self.assertRaisesRegex(HandshakeError, text) as caught:
                reader.send(data)
            if '407' in text:
                self.assertEqual(caught.exception.response_status, 407)


if __name__ == '__main__':
    unittest.main()
