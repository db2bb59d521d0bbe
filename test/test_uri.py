"""Addresses of WebSockets: what each part becomes, and that every fault is named."""

from __future__ import annotations

import unittest
from typing import Any

from ws4py.uri import URI, parse, parse_proxy

# url -> the parts that differ from a plain ws://localhost/
GOOD: list[tuple[str, dict[str, Any]]] = [
    ('ws://localhost', {}),
    ('ws://localhost/', {}),
    ('WS://LocalHost/', {}),
    ('ws://localhost:/', {}),
    ('ws://localhost:80/', {}),
    ('ws://localhost:9000/ws', {'port': 9000, 'resource': '/ws'}),
    ('ws://localhost:443/', {'port': 443}),
    ('wss://localhost/', {'scheme': 'wss', 'secure': True, 'port': 443}),
    ('wss://localhost:80/', {'scheme': 'wss', 'secure': True, 'port': 80}),
    ('ws://localhost/a/b;c=1?token=value&x=y?z', {'resource': '/a/b;c=1?token=value&x=y?z'}),
    ('ws://localhost?token=value', {'resource': '/?token=value'}),
    ('ws://localhost/?', {'resource': '/?'}),
    ('ws://localhost//a@b:c', {'resource': '//a@b:c'}),
    ('ws://localhost/%20%23?q=%2B', {'resource': '/%20%23?q=%2B'}),
    ('ws://localhost/straße?q=€', {'resource': '/stra%C3%9Fe?q=%E2%82%AC'}),
    ('ws://my_host-1.example.com/', {'host': 'my_host-1.example.com'}),
    ('ws://127.0.0.1:1/', {'host': '127.0.0.1', 'port': 1}),
    ('ws://BÜCHER.example:65535/', {'host': 'xn--bcher-kva.example', 'port': 65535}),
    ('ws://[::1]/', {'host': '::1'}),
    ('ws://[2001:DB8::1]:9000/', {'host': '2001:db8::1', 'port': 9000}),
    ('ws://[fe80::1%25eth0]/', {'host': 'fe80::1%eth0'}),
    ('ws://[fe80::1%eth0]/', {'host': 'fe80::1%eth0'}),
    ('ws://user:p%40ss%3A@localhost/', {'username': 'user', 'password': 'p@ss:'}),
    ('ws://user:@localhost/', {'username': 'user', 'password': ''}),
    ('ws://us%20er@localhost/', {'username': 'us er', 'password': None}),
    ('ws+unix:///tmp/my.sock', {'scheme': 'ws+unix', 'port': None, 'unix_socket_path': '/tmp/my.sock'}),
    (
        'ws+unix:///tmp/my.sock?token=value',
        {'scheme': 'ws+unix', 'port': None, 'unix_socket_path': '/tmp/my.sock', 'resource': '/?token=value'},
    ),
    (
        'wss+unix://example.com/tmp/a%20b%3F.sock',
        {
            'scheme': 'wss+unix',
            'secure': True,
            'host': 'example.com',
            'port': None,
            'unix_socket_path': '/tmp/a b?.sock',
        },
    ),
]

# url -> a part of the error's text
BAD = [
    ('', 'expected ws://'),
    ('localhost:9000', 'expected ws://'),
    ('ws:/localhost/', 'expected ws://'),
    ('//localhost/', 'expected ws://'),
    ('http://localhost/', "the scheme is 'http' (expected ws, wss, ws+unix or wss+unix)"),
    ('ws+tcp://localhost/', "the scheme is 'ws+tcp'"),
    ('ws:///path', 'it has no host'),
    ('ws://', 'it has no host'),
    ('ws://:80/', 'it has no host'),
    ('ws://?x', 'it has no host'),
    ('ws://localhost:http/', "the port is 'http' (expected a number from 1 to 65535)"),
    ('ws://localhost:0/', "the port is '0'"),
    ('ws://localhost:65536/', "the port is '65536'"),
    ('ws://localhost:-1/', "the port is '-1'"),
    ('ws://localhost:+80/', "the port is '+80'"),
    ('ws://localhost:٣/', "the port is '٣'"),
    ('ws://localhost:1:2/', "the port is '1:2'"),
    ('ws://::1/', 'it has no host'),
    ('ws://[::1/', 'expected host, host:port'),
    ('ws://[::1]x/', 'expected host, host:port'),
    ('ws://a@b@localhost/', 'expected host, host:port'),
    ('ws://[localhost]/', "'localhost'"),
    ('ws://[::g]/', "'::g'"),
    ('ws://good.com\\@evil.com/', "the character '\\\\'"),
    ('ws://a,b/', "the host is 'a,b'"),
    ('ws://a%2fb/', "the host is 'a%2fb'"),
    ('ws://evil／.com/', 'the host is '),
    ('ws://ü..example/', 'label'),
    (f'ws://{"a" * 256}/', 'the host is '),
    (f'ws://{"ü" * 256}/', 'the host is '),
    ('ws://localhost/#part', 'fragment'),
    ('ws://localhost/#', 'fragment'),
    ('ws://localhost#@evil.com/', 'fragment'),
    ('ws://localhost/a b', "the character ' '"),
    (' ws://localhost/', "the character ' '"),
    ('ws://localhost/\r\nX-Evil: 1', "the character '\\r'"),
    ('ws://local\nhost/', "the character '\\n'"),
    ('ws://localhost/\0', "the character '\\x00'"),
    ('ws://localhost/\x7f', "the character '\\x7f'"),
    ('ws://localhost/\ud800', 'surrogate'),
    ('ws://us%0D%0Aer@localhost/', "the character '\\r'"),
    ('ws+unix://', 'it names no Unix socket (expected ws+unix:///path'),
    ('ws+unix:///', 'it names no Unix socket'),
    ('ws+unix://localhost:80/tmp/my.sock', "the port is '80', but a Unix socket has none"),
    ('ws+unix:///tmp/%00my.sock', "the character '\\x00'"),
]


class ParseTest(unittest.TestCase):
    def test_what_it_is_before_it_is_a_websocket(self) -> None:
        for url, scheme in (('ws://a', 'http'), ('wss://a', 'https'), ('wss+unix:///a', 'https')):
            self.assertEqual(parse(url).http_scheme, scheme)

    def test_good(self) -> None:
        for url, parts in GOOD:
            with self.subTest(url=url):
                expected: dict[str, Any] = {
                    'scheme': 'ws',
                    'secure': False,
                    'host': 'localhost',
                    'port': 80,
                    'unix_socket_path': None,
                    'resource': '/',
                    'username': None,
                    'password': None,
                }
                expected.update(parts)
                self.assertEqual(parse(url), URI(**expected))

    def test_bad(self) -> None:
        for url, fault in BAD:
            with self.subTest(url=url):
                with self.assertRaises(ValueError) as caught:
                    parse(url)
                self.assertIn('is not the URL of a WebSocket: ', str(caught.exception))
                self.assertIn(fault, str(caught.exception))

    def test_no_password_is_shown(self) -> None:
        for url in ('ws://me:s3cret@localhost:x/', 'ws://me:s3cret@@localhost/', 'ws://me:s3cret /@localhost/'):
            with self.assertRaises(ValueError) as caught:
                parse(url)
            self.assertNotIn('s3cret', str(caught.exception))
            self.assertIn('ws://…@localhost', str(caught.exception))
        self.assertNotIn('s3cret', repr(parse('ws://me:s3cret@localhost/')))

    def test_a_url_is_text(self) -> None:
        with self.assertRaises(TypeError):
            parse(b'ws://localhost/')  # type: ignore[arg-type]


PROXIES: list[tuple[str, tuple[Any, ...]]] = [
    ('http://proxy.test', ('http', 'proxy.test', 80, None, None)),
    ('HTTP://Proxy.test:3128/', ('http', 'proxy.test', 3128, None, None)),
    ('proxy.test:3128', ('http', 'proxy.test', 3128, None, None)),
    ('http://me:s%40fe@[::1]:3128', ('http', '::1', 3128, 'me', 's@fe')),
    ('http://me@proxy.test', ('http', 'proxy.test', 80, 'me', None)),
    ('socks5://me:secret@proxy.test', ('socks5', 'proxy.test', 1080, 'me', 'secret')),
    ('socks5h://proxy.test:9050', ('socks5h', 'proxy.test', 9050, None, None)),
    ('socks4://me@proxy.test', ('socks4', 'proxy.test', 1080, 'me', None)),
]
NO_PROXIES = [
    ('', 'it has no host'),
    ('https://proxy.test/', "the scheme is 'https' (expected http, socks4, socks4a, socks5 or socks5h)"),
    ('http:///', 'it has no host'),
    ('http://proxy.test/path', 'it has a path or a query'),
    ('http://proxy.test?query', 'it has a path or a query'),
    ('http://proxy.test/#part', 'fragment'),
    ('http://proxy.test\r\nX: y', "the character '\\r'"),
    ('http://m%0Ae:s3cret@proxy.test', "the character '\\n'"),
    ('http://me:s3cret%00@proxy.test', "the character '\\x00'"),
    ('me:s3cret@proxy.test:x', "the port is 'x'"),
    ('socks5://me@proxy.test', 'SOCKS takes a name and a password'),
    ('socks5://me:é@proxy.test', 'SOCKS takes a name and a password'),
    (f'socks4://{"a" * 256}@proxy.test', 'SOCKS takes a name and a password'),
]


class ParseProxyTest(unittest.TestCase):
    def test_good(self) -> None:
        for url, parts in PROXIES:
            with self.subTest(url):
                uri = parse_proxy(url)
                self.assertEqual((uri.scheme, uri.host, uri.port, uri.username, uri.password), parts)

    def test_bad(self) -> None:
        for url, fault in NO_PROXIES:
            with self.subTest(url), self.assertRaises(ValueError) as caught:
                parse_proxy(url)
            self.assertIn('is not the URL of a proxy: ', str(caught.exception))
            self.assertIn(fault, str(caught.exception))
            self.assertNotIn('s3cret', str(caught.exception))


class HostHeaderTest(unittest.TestCase):
    def test_host_header(self) -> None:
        for url, header in [
            ('ws://example.com/', 'example.com'),
            ('ws://example.com:80/', 'example.com'),
            ('wss://example.com:443/', 'example.com'),
            ('ws://example.com:443/', 'example.com:443'),
            ('wss://example.com:80/', 'example.com:80'),
            ('ws://[::1]/', '[::1]'),
            ('ws://[::1]:9000/', '[::1]:9000'),
            ('ws://[fe80::1%25eth0]:9000/', '[fe80::1]:9000'),
            ('ws+unix:///tmp/my.sock', 'localhost'),
        ]:
            with self.subTest(url=url):
                self.assertEqual(parse(url).host_header, header)

    def test_authority(self) -> None:
        for url, authority in [
            ('ws://example.com/', 'example.com:80'),
            ('wss://example.com/', 'example.com:443'),
            ('ws://[fe80::1%25eth0]:9000/', '[fe80::1]:9000'),
        ]:
            self.assertEqual(parse(url).authority, authority)

    def test_uris_are_values(self) -> None:
        self.assertEqual(len({parse('ws://localhost'), parse('WS://LOCALHOST:80/')}), 1)


if __name__ == '__main__':
    unittest.main()
