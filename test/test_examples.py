"""Every file of example/ is run, and what the README and the documentation show is what is in these files."""

from __future__ import annotations

import re
import signal
import ssl
import subprocess
import sys
import threading
import unittest
from pathlib import Path

from support_tls import certificate_files, client_context, needs_certificates

from ws4py.client.threadedclient import WebSocketClient

ROOT = Path(__file__).resolve().parents[1]
EXAMPLE = ROOT / 'example'
TIMEOUT = 20.0  # seconds

# The examples name port 9000, as a reader wants to see it. Here they listen on a free one, and tell which.
ON_A_FREE_PORT = """
import runpy, sys, wsgiref.simple_server as simple_server
del sys.argv[0]
make_server = simple_server.make_server
def on_a_free_port(host, port, *arguments, **keywords):
    server = make_server(host, 0, *arguments, **keywords)
    print(server.server_port, flush=True)
    return server
simple_server.make_server = on_a_free_port
runpy.run_path(sys.argv[0], run_name='__main__')
"""


class Collector(WebSocketClient):
    """A client that keeps what it hears."""

    def __init__(self, url: str, ssl_context: ssl.SSLContext | None = None) -> None:
        super().__init__(url, ssl_options={'ssl_context': ssl_context} if ssl_context else None)
        self.heard: list[str] = []
        self.answered = threading.Event()
        self.end: tuple[int, bytes] | None = None

    def received_message(self, message: object) -> None:
        self.heard.append(str(message))
        self.answered.set()
        if len(self.heard) == 2:
            self.close(reason='enough')

    def closed(self, code: int, reason: str | bytes | None = None) -> None:
        self.end = (code, reason if isinstance(reason, bytes) else str(reason).encode())


class Examples(unittest.TestCase):
    def start_server(self, name: str, *arguments: str) -> tuple[subprocess.Popen[str], str]:
        """The running server and its address; it is ended with the test, if not before."""
        command = [sys.executable, '-c', ON_A_FREE_PORT, str(EXAMPLE / name), *arguments]
        server = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.addCleanup(self.stop, server)
        assert server.stdout is not None
        port = server.stdout.readline()
        if not port:
            self.fail(f'{name} did not listen: {server.communicate(timeout=TIMEOUT)[1]}')
        return server, f'ws://127.0.0.1:{int(port)}/'

    def stop(self, process: subprocess.Popen[str]) -> str:
        """End it with Ctrl-C; what it wrote on standard error."""
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
        if process.stderr is None or process.stderr.closed:
            return ''
        return process.communicate(timeout=TIMEOUT)[1]

    def test_the_server_echoes_and_ends_with_ctrl_c(self) -> None:
        server, url = self.start_server('echo_wsgiref_server.py')
        client = Collector(url)
        client.connect()
        client.send('hello')
        client.send('wörld')
        client.run_forever()
        self.assertEqual(client.heard, ['hello', 'wörld'])
        self.assertEqual(client.end, (1000, b'enough'))
        errors = self.stop(server)
        self.assertEqual(server.returncode, 0, errors)
        self.assertNotIn('Traceback', errors)

    def test_ctrl_c_closes_what_is_connected(self) -> None:
        server, url = self.start_server('echo_wsgiref_server.py')
        client = Collector(url)
        client.connect()
        client.send('hello')
        self.assertTrue(client.answered.wait(TIMEOUT))
        self.stop(server)
        client.run_forever()
        self.assertEqual(client.heard, ['hello'])
        assert client.end is not None
        self.assertEqual(client.end[0], 1001)

    def test_the_client_talks_to_the_server(self) -> None:
        _, url = self.start_server('echo_wsgiref_server.py')
        command = [sys.executable, str(EXAMPLE / 'echo_client.py'), url]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=TIMEOUT)
        self.assertEqual((done.returncode, done.stderr), (0, ''))
        lines = done.stdout.splitlines()
        self.assertEqual(lines[0], '=> 16 from a generator')
        self.assertEqual(lines[1:9], [f'=> {size} {"*" * size}' for size in range(0, 200, 25)])
        self.assertEqual(lines[9:], ["closed 1000 b'Bye bye'"])

    def test_many_clients_hear_the_server_until_ctrl_c(self) -> None:
        _, url = self.start_server('echo_wsgiref_server.py')
        command = [sys.executable, str(EXAMPLE / 'many_clients.py'), url, '5']
        clients = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.addCleanup(self.stop, clients)
        assert clients.stdout is not None
        heard = 0
        for line in clients.stdout:
            heard += 'hello from each of us' in line
            if heard == 5:
                break
        self.assertEqual(heard, 5)
        errors = self.stop(clients)
        self.assertEqual((clients.returncode, errors), (0, ''))

    @needs_certificates
    def test_the_tls_server_echoes(self) -> None:
        _, url = self.start_server('tls_wsgiref_server.py', *certificate_files())
        client = Collector(url.replace('ws://127.0.0.1', 'wss://localhost'), client_context())
        client.connect()
        client.send('hello')
        client.send('again')
        client.run_forever()
        self.assertEqual((client.heard, client.end), (['hello', 'again'], (1000, b'enough')))


class Shown(unittest.TestCase):
    def test_the_code_of_the_readme_is_an_example(self) -> None:
        readme = (ROOT / 'README.md').read_text('utf-8')
        examples = {path.read_text('utf-8') for path in EXAMPLE.glob('*.py')}
        blocks = re.findall(r'^```python\n(.*?)^```', readme, re.DOTALL | re.MULTILINE)
        self.assertTrue(blocks)
        for block in blocks:
            self.assertTrue(any(block in example for example in examples), block)

    def test_the_documentation_shows_files_that_are_there(self) -> None:
        shown = [
            (page.parent / name).resolve()
            for page in (ROOT / 'docs').glob('*.rst')
            for name in re.findall(r'literalinclude:: (\S+)', page.read_text('utf-8'))
        ]
        self.assertTrue(shown)
        self.assertEqual([path for path in shown if not path.is_file()], [])

    def test_examples_are_short(self) -> None:
        for path in EXAMPLE.glob('*.py'):
            self.assertLess(len(path.read_text('utf-8').splitlines()), 60, path.name)

    def test_every_example_is_named_in_a_test(self) -> None:
        tests = Path(__file__).read_text('utf-8')
        for path in EXAMPLE.glob('*.py'):
            self.assertIn(path.name, tests)


if __name__ == '__main__':
    unittest.main()
