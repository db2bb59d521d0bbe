"""Every client through proxies: one that does as it should, and those that do not; a real one is in test/interop."""

from __future__ import annotations

import socket
import threading
import unittest
from collections.abc import Callable
from typing import Any

import support_proxies
import support_sockets
import support_tls
from backends import clients

from client.of_each import OfEachClient, cases
from client.test_redirects import Site
from ws4py.exc import HandshakeError
from ws4py.limits import Limits


def saying(answer: bytes) -> Callable[[socket.socket], None]:
    """Answer the request with this, and close."""

    def script(sock: socket.socket) -> None:
        support_sockets.read_request(sock)
        sock.sendall(answer)
        sock.shutdown(socket.SHUT_RDWR)

    return script


class Proxied(OfEachClient):
    """A mixin; the tests of one client."""

    def proxy(self: Any, *args: Any, **options: Any) -> support_proxies.Proxy:
        return self.enter(support_proxies.Proxy(*args, **options))

    def site(self: Any, context: Any = None) -> Site:
        return self.enter(Site(context))

    def connect(self: Any, url: str, proxy: Any, context: Any = None, **attributes: Any) -> Any:
        def init(client: Any, *args: Any, **options: Any) -> None:
            super(type(client), client).__init__(*args, proxy=proxy, **options)

        face = clients.load(self.name)(url, context, __init__=init, **attributes)
        self.addCleanup(face.disconnect)
        return face

    def check_echo(self: Any, face: Any) -> None:
        face.send(b'x' * 1_000_000)
        self.assertEqual(face.receive(), b'x' * 1_000_000)
        self.assertEqual(face.close(1000, 'bye')[0], 1000)

    def test_ws(self: Any) -> None:
        site, proxy = self.site(), self.proxy()
        self.check_echo(self.connect(site.url('/echo'), f'http://me:secret@127.0.0.1:{proxy.port}'))
        (request,) = proxy.requests
        self.assertTrue(request.startswith(f'CONNECT 127.0.0.1:{site.port} HTTP/1.1\r\n'.encode()))
        self.assertIn(b'\r\nProxy-Authorization: Basic bWU6c2VjcmV0\r\n', request)
        self.assertFalse([key for key in site.requests[0] if 'AUTHORIZATION' in key], 'it is for the proxy alone')

    @support_tls.needs_certificates
    def test_wss(self: Any) -> None:
        site, proxy = self.site(support_tls.server_context()), self.proxy()
        url = f'wss://localhost:{site.port}/echo'
        self.check_echo(self.connect(url, proxy.url, support_tls.client_context()))
        self.assertEqual(proxy.asked, [('localhost', site.port)])

    def test_socks(self: Any) -> None:
        for user in (None, ('me', 'secret')):
            site, proxy = self.site(), self.proxy(user=user)
            self.check_echo(self.connect(f'ws://nowhere.invalid:{site.port}/echo', proxy.socks_url))
            self.assertEqual(proxy.asked, [('nowhere.invalid', site.port)], 'the name is for the proxy')

    @support_tls.needs_certificates
    def test_socks_and_tls(self: Any) -> None:
        site, proxy = self.site(support_tls.server_context()), self.proxy()
        url = f'wss://localhost:{site.port}/echo'
        self.check_echo(self.connect(url, proxy.socks_url, support_tls.client_context()))
        self.assertEqual(proxy.asked, [('localhost', site.port)])

    def test_socks_that_lies(self: Any) -> None:
        stop = threading.Event()
        self.addCleanup(stop.set)
        for answer in (b'HTTP/1.1 400 Bad', b'\5\xff', b'\5\0\5\1\0\1\0\0\0\0\0\0', b'\5\0\5\0\0\3\xff'):
            proxy = self.proxy(support_proxies.dripping(answer, stop))
            with self.subTest(answer), self.assertRaisesRegex(HandshakeError, 'broke off'):
                self.connect('ws://example.test/', proxy.socks_url, limits=Limits(handshake_timeout=0.5))

    def test_of_the_environment(self: Any) -> None:
        for variable in ('http_proxy', 'all_proxy'):
            site, proxy = self.site(), self.proxy()
            with support_proxies.environment(**{variable: proxy.url}):
                self.check_echo(self.connect(f'ws://nowhere.invalid:{site.port}/echo', True))
            self.assertEqual(proxy.asked, [('nowhere.invalid', site.port)])

    def test_a_redirect_goes_through_it_too(self: Any) -> None:
        site, proxy = self.site(), self.proxy()
        url = f'ws://one.invalid:{site.port}/go?to=http://two.invalid:{site.port}/echo'
        self.check_echo(self.connect(url, proxy.url, max_redirects=1))
        self.assertEqual(proxy.asked, [('one.invalid', site.port), ('two.invalid', site.port)])

    def test_proxies_that_lie(self: Any) -> None:
        stop = threading.Event()
        self.addCleanup(stop.set)
        for answer, text in (
            (saying(b'HTTP/1.1 407 Who Are You\r\nContent-Length: 0\r\n\r\n'), 'the proxy answered 407'),
            (saying(b'HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 101 Switching Protocols\r\n'), 'bytes behind its answer'),
            (saying(b'HTTP/1.1 200 OK\r\n' + b'X: y\r\n' * 20_000), 'a head of more than'),
            (saying(b'HTTP/1.1 100 Wait\r\n\r\n' * 5_000), 'interim responses'),
            (saying(b''), 'the proxy closed the connection'),
            (support_proxies.dripping(b'HTTP/1.1 200 OK\r\n', stop), 'broke off'),
        ):
            with self.subTest(text), self.assertRaisesRegex(HandshakeError, text):
                self.connect('ws://example.test/', self.proxy(answer).url, limits=Limits(handshake_timeout=0.5))

    def test_no_proxy_there(self: Any) -> None:
        with socket.create_server(('127.0.0.1', 0)) as free:
            port = free.getsockname()[1]
        with self.assertRaises(OSError):
            self.connect('ws://example.test/', f'http://127.0.0.1:{port}')

    def test_what_is_none(self: Any) -> None:
        for url in ('https://127.0.0.1', 'socks5://me@127.0.0.1', 'http://127.0.0.1\r\nX: y'):
            with self.assertRaises(ValueError):
                self.connect('ws://example.test/', url)


globals().update(cases(Proxied, __name__))


if __name__ == '__main__':
    unittest.main()
