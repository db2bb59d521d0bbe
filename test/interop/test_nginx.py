"""nginx in front of our servers, with the site that the documentation shows: TLS ends there, nothing else does."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import shutil
import socket
import subprocess
import tempfile
import unittest
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from backends import clients, servers
from backends.running import STOP_TIMEOUT, Server
from helpers import TIMEOUT, wait_for
from support_tls import certificate_files, client_context, needs_certificates

from ws4py.exc import HandshakeError

from .behind_nginx import CLOSE, NGINX, ORIGIN

PROGRAM = shutil.which('nginx', path=os.pathsep.join([os.environ.get('PATH', os.defpath), '/usr/sbin']))
SITE = Path(__file__).resolve().parents[2] / 'example' / 'nginx.conf'
CLIENTS = ('threaded', 'asyncio')
TEXT = 'héllo wörld, здравствуй, 你好 🎉'
MEBIBYTE = os.urandom(1 << 20)

# What Debian's nginx.conf has around the sites. Of several addresses of the loopback nginx connects from its own.
AROUND = f"""
daemon off;
pid nginx.pid;
error_log stderr;
worker_processes 1;
events {{}}
http {{
    access_log off;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    proxy_bind {NGINX};
    include site.conf;
}}
"""


@contextlib.contextmanager
def nginx(upstream: int) -> Iterator[int]:
    """nginx in front of the port *upstream*; gives its own.

    It takes over a socket that listens already, as it does on an upgrade of its binary: so its port is a free one, and
    nobody has to wait for it.
    """
    certificate, key = certificate_files(servers.HOST)
    with tempfile.TemporaryDirectory() as directory, tempfile.TemporaryFile() as log:
        with socket.create_server((servers.HOST, 0)) as listening:
            port = listening.getsockname()[1]
            site = SITE.read_text('utf-8')
            for shown, here in (
                ('listen 443 ssl;', f'listen {servers.HOST}:{port} ssl;'),
                ('/etc/ssl/chat.pem', certificate),
                ('/etc/ssl/chat.key', key),
                ('http://127.0.0.1:9000', f'http://{servers.HOST}:{upstream}'),
            ):
                assert site.count(shown) == 1, f'{shown} is not once in {SITE}'
                site = site.replace(shown, here)
            Path(directory, 'site.conf').write_text(site, 'utf-8')
            Path(directory, 'nginx.conf').write_text(AROUND, 'utf-8')
            process = subprocess.Popen(
                [str(PROGRAM), '-e', 'stderr', '-p', directory, '-c', 'nginx.conf'],
                env={**os.environ, 'NGINX': f'{listening.fileno()};'},
                pass_fds=[listening.fileno()],
                stderr=log,
            )
        try:
            yield port
        finally:
            process.terminate()
            try:
                status = process.wait(STOP_TIMEOUT)
            except subprocess.TimeoutExpired:
                process.kill()
                status = process.wait()
            log.seek(0)
            output = log.read().decode(errors='replace')
            # Not only its status: it has none of its own when it is stopped before it is ready.
            assert status in (0, -15) and not re.search(r'\[(emerg|alert)\]', output), f'nginx, {status}: {output}'


def _face(name: str) -> Any:
    """The face of our client *name*, which may be followed by ``+deflate``."""
    name, _, deflate = name.partition('+')
    face = clients.load(name)
    if not deflate:
        return face

    class Compressing(face):  # type: ignore[misc,valid-type]
        def _connect(self, url: str, options: dict[str, Any], attributes: dict[str, Any]) -> None:
            super()._connect(url, {**options, 'extensions': ['permessage-deflate']}, attributes)

    return Compressing


class Scenario:
    """The tests of one server; a mixin."""

    name: str
    server: Server
    port: int
    cleanup: contextlib.ExitStack

    @classmethod
    def setUpClass(cls) -> None:
        cls.cleanup = contextlib.ExitStack()
        cls.server, cls.port = cls.cleanup.enter_context(cls.served('TERMS'))

    @classmethod
    def tearDownClass(cls) -> None:
        cls.cleanup.close()

    @classmethod
    @contextlib.contextmanager
    def served(cls, terms: str) -> Iterator[tuple[Server, int]]:
        """The server on these terms, and the port of nginx in front of it."""
        with Server(
            cls.name, 'interop.behind_nginx:Handler', protocols=['chat'], terms=f'interop.behind_nginx:{terms}'
        ) as server:
            with nginx(server.port) as port:
                yield server, port

    @contextlib.contextmanager
    def connected(
        self,
        name: str,
        protocols: Sequence[str] = (),
        headers: Sequence[tuple[str, str]] = (),
        *,
        origin: str = ORIGIN,
        port: int = 0,
        **attributes: Any,
    ) -> Iterator[Any]:
        """Our client *name*, connected through nginx."""
        url = f'wss://{servers.HOST}:{port or self.port}/'
        client = _face(name)(url, client_context(), protocols, [('Origin', origin), *headers], **attributes)
        try:
            yield client
        finally:
            client.disconnect()

    def ask(self, client: Any, text: str) -> Any:
        client.send(text)
        return json.loads(client.receive())

    def test_messages(self: Any) -> None:
        for name in CLIENTS:
            with self.subTest(client=name), self.connected(name) as client:
                for payload in (TEXT, '', b'', MEBIBYTE, 'x' * (1 << 20)):
                    client.send(payload)
                    self.assertEqual(client.receive(), payload)
                client.send_fragments(['one ', 'two ', 'thrée'])
                self.assertEqual(client.receive(), 'one two thrée')

    def test_pings_of_the_client(self: Any) -> None:
        for name in CLIENTS:
            with self.subTest(client=name), self.connected(name) as client:
                self.assertTrue(client.ping())

    def test_pings_of_the_server(self: Any) -> None:
        def pinged(client: Any, ping: Any) -> None:
            client.note('pinged', ping.data)

        with self.served('KEEPALIVE') as (_, port):
            for name in CLIENTS:
                with self.subTest(client=name), self.connected(name, port=port, pinged=pinged) as client:
                    for _ in range(3):  # it goes on only when the pong has come back
                        client._next('pinged')
                    self.assertGreater(self.ask(client, 'who')['latency'], 0)

    def test_the_client_closes(self: Any) -> None:
        for code, name in enumerate(CLIENTS, 3001):
            with self.subTest(client=name), self.connected(name) as client:
                self.assertEqual(client.close(code, 'enough, wörld'), (code, 'enough, wörld'))
                with self.connected('threaded') as other:
                    wait_for(lambda code=code, other=other: [code, 'enough, wörld'] in self.ask(other, 'ended'))

    def test_the_server_closes(self: Any) -> None:
        for code, name in enumerate(CLIENTS, 4001):
            with self.subTest(client=name), self.connected(name) as client:
                client.send(f'{CLOSE}{code} bye, wörld')
                self.assertEqual(client.wait_closed(), (code, 'bye, wörld'))
                with self.connected('threaded') as other:
                    wait_for(lambda code=code, other=other: [code, 'bye, wörld'] in self.ask(other, 'ended'))

    def test_a_client_that_is_gone(self: Any) -> None:
        """nginx ends the connection to the server as well."""

        def lost() -> int:
            with self.connected('threaded') as other:
                return sum(code == 1006 for code, _ in self.ask(other, 'ended'))

        before = lost()
        with self.connected('threaded') as client:
            client.client.sock.shutdown(socket.SHUT_RDWR)
        wait_for(lambda: lost() == before + 1)

    def test_who_the_client_is(self: Any) -> None:
        """What it says itself is not believed."""
        headers = [('X-Forwarded-For', '192.0.2.9'), ('X-Forwarded-Proto', 'http')]
        for name in CLIENTS:
            with self.subTest(client=name), self.connected(name, headers=headers) as client:
                known = self.ask(client, 'who')
                self.assertEqual((known['REMOTE_ADDR'], known['peer_address']), (servers.HOST, servers.HOST))
                self.assertEqual(known['wsgi.url_scheme'], 'https')

    def test_subprotocols(self: Any) -> None:
        for name in CLIENTS:
            with self.subTest(client=name), self.connected(name, ['other', 'chat']) as client:
                self.assertEqual(client.protocol, 'chat')
        for name in CLIENTS:
            with self.subTest(client=name), self.connected(name) as client:
                self.assertIsNone(client.protocol)

    def test_compression(self: Any) -> None:
        for name in CLIENTS:
            with self.subTest(client=name), self.connected(f'{name}+deflate') as client:
                self.assertTrue(client.client.extensions[0].startswith(b'permessage-deflate'))
                for payload in (TEXT, 'x' * (1 << 20), MEBIBYTE, TEXT):
                    client.send(payload)
                    self.assertEqual(client.receive(), payload)

    def test_origins(self: Any) -> None:
        for name in CLIENTS:
            with self.subTest(client=name):
                with self.assertRaises(HandshakeError) as caught, self.connected(name, origin='https://evil.test'):
                    pass
                self.assertEqual(caught.exception.response_status, 403)

    def test_the_body_of_a_refusal(self: Any) -> None:
        connection = http.client.HTTPSConnection(servers.HOST, self.port, timeout=TIMEOUT, context=client_context())
        with contextlib.closing(connection):
            headers = {'Upgrade': 'websocket', 'Connection': 'Upgrade', 'Origin': 'https://evil.test'}
            headers |= {'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ==', 'Sec-WebSocket-Version': '13'}
            connection.request('GET', '/', headers=headers)
            response = connection.getresponse()
            self.assertEqual(response.status, 403)
            self.assertIn(b'Origin is', response.read())

    def test_the_end_of_the_server(self: Any) -> None:
        for name in CLIENTS:
            with self.subTest(client=name), self.served('TERMS') as (server, port):
                with self.connected(name, port=port) as client:
                    client.send(TEXT)
                    self.assertEqual(client.receive(), TEXT)
                    server.process.stdin.close()  # which ends it, while this client goes on
                    self.assertEqual(client.wait_closed(), (1001, 'Server is shutting down'))
                self.assertEqual(server.stop(), 0, server.output)
                self.assertEqual(server.output, '')


def _case(name: str) -> type[unittest.TestCase]:
    absent = servers.missing(name)
    case = type(f'Before_{name}', (Scenario, unittest.TestCase), {'name': name, '__module__': __name__})
    case = unittest.skipIf(bool(absent), f'not installed: {", ".join(absent)}')(case)
    case = unittest.skipIf(PROGRAM is None, 'nginx is not installed')(case)
    return needs_certificates(case)


Before_asyncio = _case('asyncio')
Before_cherrypy = _case('cherrypy')


if __name__ == '__main__':
    unittest.main()
