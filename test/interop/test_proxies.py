"""Every client through a real proxy, tinyproxy: over ws and wss, with a password and with a wrong one."""

from __future__ import annotations

import shutil
import socket
import subprocess
import tempfile
import unittest
from pathlib import Path
from typing import Any

import support_tls
from backends import clients
from client.test_proxied import OURS
from client.test_redirects import Site
from helpers import wait_for

from ws4py.exc import HandshakeError

CONFIGURATION = """
Port {port}
Listen 127.0.0.1
Timeout 60
MaxClients 20
Allow 127.0.0.1
BasicAuth me secret
LogFile "{directory}/log"
LogLevel Info
"""


class Tinyproxy:
    """The proxy, a process of its own; a context manager."""

    def __enter__(self) -> Tinyproxy:
        self.directory = tempfile.TemporaryDirectory()
        with socket.create_server(('127.0.0.1', 0)) as free:
            self.port = free.getsockname()[1]
        file = Path(self.directory.name, 'tinyproxy.conf')
        file.write_text(CONFIGURATION.format(port=self.port, directory=self.directory.name))
        # In the foreground; else it would become a daemon that nobody stops.
        self.process = subprocess.Popen(
            ['tinyproxy', '-d', '-c', str(file)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        wait_for(self._listens)
        return self

    def _listens(self) -> bool:
        assert self.process.poll() is None, Path(self.directory.name, 'log').read_text()
        try:
            socket.create_connection(('127.0.0.1', self.port)).close()
        except ConnectionRefusedError:
            return False
        return True

    def __exit__(self, *exc_info: object) -> None:
        self.process.terminate()
        self.process.wait()
        self.directory.cleanup()

    def url(self, user: str = 'me:secret@') -> str:
        return f'http://{user}127.0.0.1:{self.port}'


@unittest.skipUnless(shutil.which('tinyproxy'), 'tinyproxy is not installed')
class ThroughTinyproxy(unittest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        cls.proxy = Tinyproxy()
        cls.proxy.__enter__()
        cls.addClassCleanup(cls.proxy.__exit__)

    def connect(self, name: str, url: str, proxy: str, context: Any = None) -> Any:
        def init(client: Any, *args: Any, **options: Any) -> None:
            super(type(client), client).__init__(*args, proxy=proxy, **options)

        return clients.load(name)(url, context, __init__=init)

    def check(self, scheme: str, host: str, server_context: Any, client_context: Any) -> None:
        with Site(server_context) as site:
            url = f'{scheme}://{host}:{site.port}/echo'
            for name in OURS:
                with self.subTest(name):
                    if clients.missing(name):
                        self.skipTest(f'not installed: {", ".join(clients.missing(name))}')
                    face = self.connect(name, url, self.proxy.url(), client_context)
                    for payload in ('hello', b'\0' * 1024 * 1024):
                        face.send(payload)
                        self.assertEqual(face.receive(), payload)
                    self.assertEqual(face.close(1000, 'bye')[0], 1000)
                    face.disconnect()
                    for user, status in (('', '40[17]'), ('me:wrong@', '40[17]')):
                        with self.assertRaisesRegex(HandshakeError, f'the proxy answered {status}'):
                            self.connect(name, url, self.proxy.url(user), client_context)

    def test_ws(self) -> None:
        self.check('ws', '127.0.0.1', None, None)

    @support_tls.needs_certificates
    def test_wss(self) -> None:
        self.check('wss', 'localhost', support_tls.server_context(), support_tls.client_context())


if __name__ == '__main__':
    unittest.main()
