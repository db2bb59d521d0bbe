"""Every client through proxies: one that does as it should, and those that do not; a real one is in test/interop."""

from __future__ import annotations

import socket
import threading
import unittest
from collections.abc import Callable
from typing import Any, Optional

import support_proxies
import support_tls
from backends import clients
from helpers import TIMEOUT

from client.test_redirects import Site
from ws4py.exc import HandshakeError
from ws4py.limits import Limits

OURS = [name for name, (module, _, _) in clients.CLIENTS.items() if module == 'backends.clients']


class ScriptedProxy:
    """A proxy for one client, in a thread; a context manager.

    :param answer: sent in place of the way to the server, and what the proxy does then.
    :ivar request: the head that it was sent.
    """

    def __init__(self, answer: Optional[bytes] = None, then: Callable[[Any], object] = lambda sock: None) -> None:
        self.answer, self.then = answer, then
        self.request = b''
        self.listener = socket.create_server(('127.0.0.1', 0))
        self.port = self.listener.getsockname()[1]
        self.thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> ScriptedProxy:
        self.thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        socket.create_connection(('127.0.0.1', self.port)).close()  # should nobody have come
        self.thread.join(TIMEOUT)
        self.listener.close()

    def _run(self) -> None:
        near = self.listener.accept()[0]
        with near:
            near.settimeout(TIMEOUT)
            while not self.request.endswith(b'\r\n\r\n'):
                block = near.recv(1)
                if not block:
                    return
                self.request += block
            if self.answer is not None:
                near.sendall(self.answer)
                self.then(near)
                return
            host, _, port = self.request.split(b' ')[1].rpartition(b':')
            with socket.create_connection((host.strip(b'[]').decode(), int(port)), TIMEOUT) as far:
                near.sendall(b'HTTP/1.1 200 Connection established\r\n\r\n')
                back = threading.Thread(target=_carry, args=(far, near), daemon=True)
                back.start()
                _carry(near, far)
                back.join(TIMEOUT)


def _carry(source: socket.socket, target: socket.socket) -> None:
    try:
        while True:
            data = source.recv(65536)
            if not data:
                break
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        return


def drip(sock: socket.socket) -> None:
    """A byte now and then, until the client has had enough."""
    sock.settimeout(0.05)
    while True:
        try:
            if not sock.recv(1):
                return
        except socket.timeout:  # a TimeoutError from Python 3.10 on
            try:
                sock.sendall(b'X')
            except OSError:
                return
        except OSError:
            return


class Proxied:
    """A mixin; the tests of one client."""

    name: str

    def setUp(self: Any) -> None:
        missing = clients.missing(self.name)
        if missing:
            self.skipTest(f'not installed: {", ".join(missing)}')

    def proxy(self: Any, *args: Any) -> ScriptedProxy:
        proxy = ScriptedProxy(*args)
        proxy.__enter__()
        self.addCleanup(proxy.__exit__)
        return proxy

    def site(self: Any, context: Any = None) -> Site:
        site = Site(context)
        site.__enter__()
        self.addCleanup(site.__exit__)
        return site

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
        self.assertTrue(proxy.request.startswith(f'CONNECT 127.0.0.1:{site.port} HTTP/1.1\r\n'.encode()))
        self.assertIn(b'\r\nProxy-Authorization: Basic bWU6c2VjcmV0\r\n', proxy.request)
        self.assertFalse([key for key in site.requests[0] if 'AUTHORIZATION' in key], 'it is for the proxy alone')

    @support_tls.needs_certificates
    def test_wss(self: Any) -> None:
        site, proxy = self.site(support_tls.server_context()), self.proxy()
        url = f'wss://localhost:{site.port}/echo'
        self.check_echo(self.connect(url, f'http://127.0.0.1:{proxy.port}', support_tls.client_context()))
        self.assertIn(b'CONNECT localhost:', proxy.request)

    def test_socks(self: Any) -> None:
        for user in (None, ('me', 'secret')):
            with support_proxies.Proxy(user=user) as proxy:
                site = self.site()
                self.check_echo(self.connect(f'ws://nowhere.invalid:{site.port}/echo', proxy.socks_url))
                self.assertEqual(proxy.asked, [('nowhere.invalid', site.port)], 'the name is for the proxy')

    @support_tls.needs_certificates
    def test_socks_and_tls(self: Any) -> None:
        with support_proxies.Proxy() as proxy:
            site = self.site(support_tls.server_context())
            url = f'wss://localhost:{site.port}/echo'
            self.check_echo(self.connect(url, proxy.socks_url, support_tls.client_context()))
            self.assertEqual(proxy.asked, [('localhost', site.port)])

    def test_socks_that_lies(self: Any) -> None:
        stop = threading.Event()
        self.addCleanup(stop.set)
        for answer in (b'HTTP/1.1 400 Bad', b'\5\xff', b'\5\0\5\1\0\1\0\0\0\0\0\0', b'\5\0\5\0\0\3\xff'):
            with support_proxies.Proxy(support_proxies.dripping(answer, stop)) as proxy:
                with self.subTest(answer), self.assertRaisesRegex(HandshakeError, 'broke off'):
                    self.connect('ws://example.test/', proxy.socks_url, limits=Limits(handshake_timeout=0.5))

    def test_of_the_environment(self: Any) -> None:
        for variable in ('http_proxy', 'all_proxy'):
            with support_proxies.Proxy() as proxy:
                site = self.site()
                url = f'ws://nowhere.invalid:{site.port}/echo'
                with support_proxies.environment(**{variable: proxy.url}):
                    self.check_echo(self.connect(url, True))
                self.assertEqual(proxy.asked, [('nowhere.invalid', site.port)])

    def test_a_redirect_goes_through_it_too(self: Any) -> None:
        with support_proxies.Proxy() as proxy:
            site = self.site()
            face = self.connect(
                f'ws://one.invalid:{site.port}/go?to=http://two.invalid:{site.port}/echo', proxy.url, max_redirects=1
            )
            self.check_echo(face)
            self.assertEqual(proxy.asked, [('one.invalid', site.port), ('two.invalid', site.port)])

    def test_proxies_that_lie(self: Any) -> None:
        for answer, then, text in (
            (b'HTTP/1.1 407 Who Are You\r\nContent-Length: 0\r\n\r\n', None, 'the proxy answered 407'),
            (b'HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 101 Switching Protocols\r\n', None, 'bytes behind its answer'),
            (b'HTTP/1.1 200 OK\r\n' + b'X: y\r\n' * 20_000, None, 'a head of more than'),
            (b'HTTP/1.1 100 Wait\r\n\r\n' * 5_000, None, 'interim responses'),
            (b'', None, 'the proxy closed the connection'),
            (b'HTTP/1.1 200 OK\r\n', drip, 'broke off'),
        ):
            with self.subTest(text):
                proxy = self.proxy(answer, then or (lambda sock: None))
                with self.assertRaisesRegex(HandshakeError, text):
                    limits = Limits(handshake_timeout=0.5)
                    self.connect('ws://example.test/', f'http://127.0.0.1:{proxy.port}', limits=limits)

    def test_no_proxy_there(self: Any) -> None:
        with socket.create_server(('127.0.0.1', 0)) as free:
            port = free.getsockname()[1]
        with self.assertRaises(OSError):
            self.connect('ws://example.test/', f'http://127.0.0.1:{port}')

    def test_what_is_none(self: Any) -> None:
        for url in ('https://127.0.0.1', 'socks5://me@127.0.0.1', 'http://127.0.0.1\r\nX: y'):
            with self.assertRaises(ValueError):
                self.connect('ws://example.test/', url)


for _name in OURS:
    _class = type(f'Proxied_{_name}', (Proxied, unittest.TestCase), {'name': _name, '__module__': __name__})
    globals()[_class.__name__] = _class
del _class


if __name__ == '__main__':
    unittest.main()
