"""Every client through real proxies, tinyproxy and pproxy (SOCKS 5): over ws and wss, with passwords and wrong ones."""

from __future__ import annotations

import importlib.util
import shutil
import socket
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path
from typing import Any

import support_tls
from backends import clients
from backends.clients import OURS
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

# Whoever was let in once would be so for a month, hence --auth.
# It wants the loop of its thread, which newer versions of Python, and uvloop, do not make for it.
PPROXY = """
import asyncio, sys
sys.modules['uvloop'] = None
asyncio.set_event_loop(asyncio.new_event_loop())
from pproxy.server import main
main()
"""


class Tinyproxy:
    """The proxy, a process of its own; a context manager."""

    scheme = 'http'

    def __enter__(self) -> Tinyproxy:
        self.directory = tempfile.TemporaryDirectory()
        with socket.create_server(('127.0.0.1', 0)) as free:
            self.port = free.getsockname()[1]
        with Path(self.directory.name, 'log').open('w') as log:
            self.process = subprocess.Popen(self._command(), stdout=subprocess.DEVNULL, stderr=log)
        wait_for(self._listens)
        return self

    def _command(self) -> list[str]:
        file = Path(self.directory.name, 'tinyproxy.conf')
        file.write_text(CONFIGURATION.format(port=self.port, directory=self.directory.name))
        return [
            'tinyproxy',
            '-d',
            '-c',
            str(file),
        ]  # in the foreground; else it would become a daemon that nobody stops

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
        return f'{self.scheme}://{user}127.0.0.1:{self.port}'


class Pproxy(Tinyproxy):
    """A server of SOCKS 5."""

    scheme = 'socks5h'

    def _command(self) -> list[str]:
        return [sys.executable, '-c', PPROXY, '--auth', '0', '-l', f'socks5://127.0.0.1:{self.port}#me:secret']


class Through:
    """A mixin; the tests of one proxy."""

    make: Any
    refusals: tuple[str, str]  # without a name, and with a wrong password

    @classmethod
    def setUpClass(cls: Any) -> None:
        cls.proxy = cls.make()
        cls.proxy.__enter__()
        cls.addClassCleanup(cls.proxy.__exit__)

    def connect(self: Any, name: str, url: str, proxy: str, context: Any = None) -> Any:
        def init(client: Any, *args: Any, **options: Any) -> None:
            super(type(client), client).__init__(*args, proxy=proxy, **options)

        return clients.load(name)(url, context, __init__=init)

    def check(self: Any, scheme: str, host: str, server_context: Any, client_context: Any) -> None:
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
                    for user, refusal in zip(('', 'me:wrong@'), self.refusals):
                        with self.assertRaisesRegex(HandshakeError, refusal):
                            self.connect(name, url, self.proxy.url(user), client_context)

    def test_ws(self: Any) -> None:
        self.check('ws', '127.0.0.1', None, None)

    @support_tls.needs_certificates
    def test_wss(self: Any) -> None:
        self.check('wss', 'localhost', support_tls.server_context(), support_tls.client_context())


@unittest.skipUnless(shutil.which('tinyproxy'), 'tinyproxy is not installed')
class ThroughTinyproxy(Through, unittest.TestCase):
    make = Tinyproxy
    refusals = ('the proxy answered 40[17]', 'the proxy answered 40[17]')


@unittest.skipUnless(importlib.util.find_spec('pproxy'), 'pproxy is not installed')
class ThroughPproxy(Through, unittest.TestCase):
    make = Pproxy
    refusals = ('broke off at the proxy', 'broke off at the proxy')


if __name__ == '__main__':
    unittest.main()
