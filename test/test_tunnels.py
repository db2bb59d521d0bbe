"""Tunnels through proxies that do as they should, and through others; on a blocking socket and on an event loop."""

from __future__ import annotations

import asyncio
import socket
import sys
import threading
import time
import unittest
from typing import Any
from unittest.mock import patch

from support_proxies import Proxy, dripping, exactly

from ws4py.exc import BrokenOffError, HandshakeError
from ws4py.limits import DEFAULT_LIMITS
from ws4py.opening import Deadline
from ws4py.tunnels import check_installed, open_tunnel, open_tunnel_on
from ws4py.uri import parse, parse_proxy


class Tunnels:
    """A mixin; the tests of one of the two ways."""

    def open(self: Any, url: str, target: str, seconds: float = 10) -> socket.socket:
        raise NotImplementedError

    def serve(self: Any, proxy: Proxy) -> Proxy:
        proxy.__enter__()
        self.addCleanup(proxy.__exit__, None, None, None)
        return proxy

    def sock_to(self: Any, uri: Any) -> socket.socket:
        sock = socket.create_connection((uri.host, uri.port))
        self.addCleanup(sock.close)
        return sock

    def server(self: Any) -> int:
        """A server that answers 4 bytes with 4 bytes."""
        listening = socket.create_server(('127.0.0.1', 0))
        self.addCleanup(listening.close)

        def serve() -> None:
            with listening.accept()[0] as sock:
                exactly(sock, 4)
                sock.sendall(b'pong')

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        self.addCleanup(thread.join, 10)
        port: int = listening.getsockname()[1]
        return port

    def test_through_it(self: Any) -> None:
        for user in (None, ('me', 'secret')):
            for kind in ('http', 'socks5', 'socks5h'):
                with self.subTest(kind=kind, user=user):
                    proxy = self.serve(Proxy(user=user))
                    url = proxy.url if kind == 'http' else proxy.socks_url.replace('socks5h', kind)
                    port = self.server()
                    sock = self.open(url, f'ws://nowhere.invalid:{port}/')
                    sock.settimeout(10)
                    sock.sendall(b'ping')
                    self.assertEqual(exactly(sock, 4), b'pong')
                    self.assertEqual(proxy.asked, [('nowhere.invalid', port)])
                    sock.close()

    def test_socks_4(self: Any) -> None:
        asked = []

        def grant(sock: socket.socket) -> None:
            asked.append(sock.recv(1024))
            sock.sendall(b'\0\x5a\0\0\0\0\0\0')

        proxy = self.serve(Proxy(grant))
        self.open(f'socks4a://me@127.0.0.1:{proxy.port}', 'ws://nowhere.invalid:258/').close()
        self.assertEqual(asked, [b'\4\1\1\2\0\0\0\1me\0nowhere.invalid\0'])

    def test_refused(self: Any) -> None:
        http = self.serve(Proxy(b'HTTP/1.1 407 Proxy Authentication Required\r\n\r\n'))
        with self.assertRaisesRegex(HandshakeError, '407') as caught:
            self.open(http.url, 'ws://example.test/')
        self.assertEqual(caught.exception.response_status, 407)
        for answer, user in ((b'\5\2\0\1\0\0\0\0\0\0', None), (None, ('me', 'secret'))):
            socks = self.serve(Proxy(answer, user))
            for url in (f'socks5h://127.0.0.1:{socks.port}', f'socks5h://me:wrong@127.0.0.1:{socks.port}'):
                with self.subTest(url), self.assertRaisesRegex(HandshakeError, 'broke off at the proxy: '):
                    self.open(url, 'ws://example.test/')

    def test_lies_of_socks(self: Any) -> None:
        for lie in (
            b'',
            b'\4\0',
            b'\5\2',  # a name and a password, which we did not offer
            b'\5\xee',
            b'\5\0\5\0\0\7\0\0\0\0\0\0',
            b'\5\0\5\0\0\3\4\xff\xff\xff\xff\0\0',  # a name that is no text
            b'\5\0\5\xee\0\1\0\0\0\0\0\0',
            b'HTTP/1.1 400 Bad Request\r\n\r\n',
        ):

            def answer(sock: socket.socket, lie: bytes = lie) -> None:
                sock.recv(1024)
                sock.sendall(lie[:2])
                if not lie:
                    sock.shutdown(socket.SHUT_RDWR)
                if lie[2:]:
                    sock.recv(1024)
                    sock.sendall(lie[2:])

            proxy = self.serve(Proxy(answer))
            with self.subTest(lie), self.assertRaisesRegex(HandshakeError, 'broke off at the proxy: '):
                self.open(proxy.socks_url, 'ws://example.test/')

    def test_it_breaks(self: Any) -> None:
        def reset(sock: socket.socket) -> None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b'\1\0\0\0\0\0\0\0')
            sock.recv(10)
            sock.close()

        for scheme in ('http', 'socks5'):
            proxy = self.serve(Proxy(reset))
            with self.subTest(scheme), self.assertRaisesRegex(BrokenOffError, 'proxy'):
                self.open(f'{scheme}://127.0.0.1:{proxy.port}', 'ws://example.test/')

    def test_a_name_that_cannot_be_asked_for(self: Any) -> None:
        proxy = self.serve(Proxy())
        for url in (proxy.url, proxy.socks_url):
            with self.subTest(url), self.assertRaises((ValueError, HandshakeError)):
                self.open(url, f'ws://{"a" * 100}.test/' if 'socks' in url else 'ws://a/', host='a\r\nb' * 30)
        self.assertEqual(proxy.asked, [])

    def test_one_deadline(self: Any) -> None:
        """A timeout for each read would begin anew with each byte."""
        stop = threading.Event()
        self.addCleanup(stop.set)
        for scheme, data in (('http', b'HTTP/1.1 200 OK\r\nX: '), ('socks5', b'\5\0\5\0\0\3\xff')):
            proxy = self.serve(Proxy(dripping(data, stop)))
            begin = time.monotonic()
            with self.subTest(scheme), self.assertRaises((HandshakeError, asyncio.TimeoutError)):
                self.open(f'{scheme}://127.0.0.1:{proxy.port}', 'ws://example.test/', seconds=0.3)
            self.assertLess(time.monotonic() - begin, 3)  # 255 bytes take 5


class BlockingTest(Tunnels, unittest.TestCase):
    def open(self, url: str, target: str, seconds: float = 10, host: str = '') -> socket.socket:
        proxy, uri = parse_proxy(url), parse(target)
        if host:
            object.__setattr__(uri, 'host', host)
        sock = self.sock_to(proxy)
        open_tunnel(sock, proxy, uri, DEFAULT_LIMITS, Deadline(seconds))
        return sock


class LoopTest(Tunnels, unittest.TestCase):
    def open(self, url: str, target: str, seconds: float = 10, host: str = '') -> socket.socket:
        proxy, uri = parse_proxy(url), parse(target)
        if host:
            object.__setattr__(uri, 'host', host)
        sock = self.sock_to(proxy)
        sock.setblocking(False)

        async def main() -> None:
            loop = asyncio.get_running_loop()
            tunnel = open_tunnel_on(loop, sock, proxy, uri, DEFAULT_LIMITS)
            try:
                self.assertIs(await asyncio.wait_for(tunnel, seconds), sock)
            except BaseException:
                self.assertEqual(sock.fileno(), -1)
                raise

        asyncio.run(main())
        return sock


class InstalledTest(unittest.TestCase):
    def test_what_socks_needs(self) -> None:
        check_installed(parse_proxy('http://proxy.test'))
        check_installed(parse_proxy('socks5://proxy.test'))
        with patch.dict(sys.modules, {'python_socks': None}):
            check_installed(parse_proxy('http://proxy.test'))
            with self.assertRaisesRegex(ImportError, r'socks5 needs python-socks: pip install "ws4py\[socks\]"'):
                check_installed(parse_proxy('socks5://proxy.test'))


if __name__ == '__main__':
    unittest.main()
