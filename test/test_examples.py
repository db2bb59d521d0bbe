"""Every file of example/ is run, and what the README and the documentation show is what is in these files."""

from __future__ import annotations

import base64
import importlib.util
import json
import re
import shlex
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import unittest
import urllib.request
from pathlib import Path
from typing import Any, Callable

from helpers import Peer, wait_for
from support_sockets import ScriptedServer, read_request, response_to
from support_tls import authority_file, certificate_files, client_context, needs_certificates

from ws4py.client.threadedclient import WebSocketClient
from ws4py.exc import HandshakeError

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

TORNADO_ON_A_FREE_PORT = """
import runpy, sys, tornado.tcpserver as tcpserver
del sys.argv[0]
bind_sockets = tcpserver.bind_sockets
def on_a_free_port(port, *arguments, **keywords):
    sockets = bind_sockets(0, *arguments, **keywords)
    print(sockets[0].getsockname()[1], flush=True)
    return sockets
tcpserver.bind_sockets = on_a_free_port
runpy.run_path(sys.argv[0], run_name='__main__')
"""

GEVENT_ON_A_FREE_PORT = """
import runpy, sys, gevent.server as server
del sys.argv[0]
tcp_listener = server._tcp_listener
def on_a_free_port(address, *arguments, **keywords):
    sock = tcp_listener((address[0], 0), *arguments, **keywords)
    print(sock.getsockname()[1], flush=True)
    return sock
server._tcp_listener = on_a_free_port
runpy.run_path(sys.argv[0], run_name='__main__')
"""

ASYNCIO_ON_A_FREE_PORT = """
import runpy, sys, asyncio.base_events as base_events
del sys.argv[0]
create_server = base_events.BaseEventLoop.create_server
async def on_a_free_port(loop, factory, host, port, **keywords):
    server = await create_server(loop, factory, host, 0, **keywords)
    print(server.sockets[0].getsockname()[1], flush=True)
    return server
base_events.BaseEventLoop.create_server = on_a_free_port
runpy.run_path(sys.argv[0], run_name='__main__')
"""

CHERRYPY_ON_A_FREE_PORT = """
import runpy, sys, cherrypy
del sys.argv[0]
def on_a_free_port():
    cherrypy.config.update({'server.socket_port': 0, 'engine.autoreload.on': False})
cherrypy.engine.subscribe('start', on_a_free_port, priority=0)
cherrypy.engine.subscribe('start', lambda: print(cherrypy.server.bound_addr[1], flush=True), priority=100)
runpy.run_path(sys.argv[0], run_name='__main__')
"""


def basic(text: str) -> str:
    return 'Basic ' + base64.b64encode(text.encode()).decode()


class Collector(WebSocketClient):
    """A client that keeps what it hears."""

    def __init__(self, url: str, ssl_context: ssl.SSLContext | None = None, **options: Any) -> None:
        super().__init__(url, ssl_options={'ssl_context': ssl_context} if ssl_context else None, **options)
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
    def start_server(
        self, name: str, *arguments: str, program: str = ON_A_FREE_PORT
    ) -> tuple[subprocess.Popen[str], str]:
        """The running server and its address; it is ended with the test, if not before."""
        command = [sys.executable, '-c', program, str(EXAMPLE / name), *arguments]
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

    def test_the_clients_that_connect_again(self) -> None:
        def drops(peer: Peer) -> None:
            peer.text('news')

        def stays(peer: Peer) -> None:
            peer.text('more news')
            goodbyes.append(peer.receive())
            peer.close(1001)

        def serve(then: Callable[[Peer], None]) -> Callable[[socket.socket], None]:
            def script(sock: socket.socket) -> None:
                sock.sendall(response_to(read_request(sock)))
                peer = Peer(sock, masked=False)
                said.append(peer.receive()[1])
                then(peer)
                sock.shutdown(socket.SHUT_RDWR)

            return script

        def busy(sock: socket.socket) -> None:
            read_request(sock)
            sock.sendall(b'HTTP/1.1 503 Busy\r\nRetry-After: 0\r\nContent-Length: 0\r\n\r\n')
            sock.shutdown(socket.SHUT_RDWR)

        for name, needs, end, code in (
            ('reconnecting_client.py', None, signal.SIGINT, b'\x03\xe8'),
            ('reconnecting_asyncio_client.py', None, signal.SIGTERM, b'\x03\xe9'),
            ('reconnecting_gevent_client.py', 'gevent', signal.SIGTERM, b'\x03\xe9'),
            ('reconnecting_tornado_client.py', 'tornado', signal.SIGTERM, b'\x03\xe9'),
        ):
            if needs is not None and importlib.util.find_spec(needs) is None:
                continue
            said: list[bytes] = []
            goodbyes: list[tuple[int, bytes]] = []
            scripts = [serve(drops), busy, serve(stays)]
            with self.subTest(name), ScriptedServer(lambda sock, scripts=scripts: scripts.pop(0)(sock)) as server:
                command = [sys.executable, '-W', 'error', str(EXAMPLE / name), f'ws://127.0.0.1:{server.port}/']
                client = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
                self.addCleanup(self.stop, client)
                assert client.stdout is not None
                lines = [client.stdout.readline() for _ in range(4)]
                client.send_signal(end)
                rest, errors = client.communicate(timeout=TIMEOUT)
                self.assertEqual((rest, errors, client.returncode), ('', '', 0))
                self.assertEqual(lines[0], '=> news\n')
                self.assertRegex(lines[1], r'^closed with code 1006 .*: attempt 1 in 0\.1 s$')
                self.assertRegex(lines[2], r'^the server answered .*503 Busy.*: attempt 2 in 0\.[12] s$')
                self.assertEqual(lines[3], '=> more news\n')
                self.assertEqual((said, goodbyes), ([b'subscribe'] * 2, [(0x88, code)]))

    def test_the_asyncio_client_talks_to_the_server(self) -> None:
        _, url = self.start_server('echo_wsgiref_server.py')
        command = [sys.executable, '-X', 'dev', '-W', 'error', str(EXAMPLE / 'echo_asyncio_client.py'), url]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=TIMEOUT)
        self.assertEqual((done.returncode, done.stderr), (0, ''))
        lines = [f'=> {size} {"*" * size}' for size in range(0, 200, 25)]
        self.assertEqual(done.stdout.splitlines(), [*lines, "closed 1000 b'Bye bye'"])

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

    @unittest.skipIf(shutil.which('openssl') is None, 'openssl is not installed')
    def test_tls_as_the_tutorial_has_it(self) -> None:
        """Its command for a certificate, its server, its client."""
        tutorial = (ROOT / 'docs' / 'tutorial.rst').read_text('utf-8')
        command = re.search(r'^   \$ (openssl .*\\\n.*)$', tutorial, re.MULTILINE)
        assert command is not None
        with tempfile.TemporaryDirectory() as directory:
            arguments = shlex.split(command[1].replace('\\\n', ' '))
            subprocess.run(arguments, cwd=directory, check=True, capture_output=True, timeout=TIMEOUT)
            certificate, key = (str(Path(directory) / name) for name in ('certificate.pem', 'key.pem'))
            _, url = self.start_server('tls_wsgiref_server.py', certificate, key)
            program = [sys.executable, str(EXAMPLE / 'tls_client.py'), url.replace('ws://127.0.0.1', 'wss://localhost')]
            done = subprocess.run([*program, certificate], cwd=ROOT, capture_output=True, text=True, timeout=TIMEOUT)
        self.assertEqual((done.stdout, done.returncode), ('=> hello\n', 0), done.stderr)

    @needs_certificates
    def test_the_client_that_has_moved(self) -> None:
        _, url = self.start_server('tls_wsgiref_server.py', *certificate_files())
        url = url.replace('ws://127.0.0.1', 'wss://localhost')
        program = [sys.executable, str(EXAMPLE / 'migrated_client.py'), url]
        done = subprocess.run([*program, authority_file()], cwd=ROOT, capture_output=True, text=True, timeout=TIMEOUT)
        port = url.rpartition(':')[2].strip('/')
        said = sorted(line.rpartition(' INFO ')[2] for line in done.stdout.splitlines())
        expected = ['closed with 1000', 'not sent: too late', f'open to port {port}', 'received hello']
        self.assertEqual(said, expected, done.stderr)
        without = subprocess.run(program, cwd=ROOT, capture_output=True, text=True, timeout=TIMEOUT)
        self.assertIn('CERTIFICATE_VERIFY_FAILED', without.stderr)

    @unittest.skipIf(importlib.util.find_spec('cherrypy') is None, 'CherryPy is not installed')
    def test_the_chat_on_cherrypy_tells_everybody(self) -> None:
        """Its page has tests of its own, in test/browser."""
        command = [sys.executable, str(EXAMPLE / 'echo_cherrypy_server.py'), '--port', '0']
        server = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.addCleanup(self.stop, server)
        assert server.stderr is not None
        serving = next((line for line in server.stderr if 'Serving on http' in line), '')
        url = f'ws{serving.strip().rpartition("http")[2]}/ws'
        with self.assertRaisesRegex(HandshakeError, '403'):
            Collector(url, headers=[('Origin', 'http://elsewhere.test')]).connect()
        ann, bob = Collector(url), Collector(url)
        for client, text in ((ann, 'hello'), (bob, 'wörld')):
            client.connect()
            client.send(text)
            self.assertTrue(client.answered.wait(TIMEOUT))  # only who has heard something is known to all
        for client, heard in ((ann, ['hello', 'wörld']), (bob, ['wörld', 'alone'])):
            client.run_forever()
            self.assertEqual((client.heard, client.end), (heard, (1000, b'enough')))
            if client is ann:
                bob.send('alone')
        errors = self.stop(server)
        self.assertEqual(server.returncode, 0, errors)
        self.assertNotIn('Traceback', errors)

    @unittest.skipIf(importlib.util.find_spec('cherrypy') is None, 'CherryPy is not installed')
    def test_the_simple_server_of_cherrypy(self) -> None:
        server, url = self.start_server('simple_cherrypy_server.py', program=CHERRYPY_ON_A_FREE_PORT)
        with urllib.request.urlopen(f'http{url[2:]}', timeout=TIMEOUT) as answer:
            self.assertEqual(answer.read(), b'some HTML with a websocket javascript connection')
        client = Collector(f'{url}ws')
        client.connect()
        client.send('hello')
        self.assertTrue(client.answered.wait(TIMEOUT))
        errors = self.stop(server)
        client.run_forever()
        self.assertEqual((client.heard, client.end), (['hello'], (1001, b'Server is shutting down')))
        self.assertEqual(server.returncode, 0, errors)
        self.assertNotIn('Traceback', errors)

    @unittest.skipIf(importlib.util.find_spec('tornado') is None, 'Tornado is not installed')
    def test_the_client_and_the_server_of_tornado(self) -> None:
        server, url = self.start_server('echo_tornado_server.py', program=TORNADO_ON_A_FREE_PORT)
        command = [sys.executable, '-W', 'error', str(EXAMPLE / 'echo_tornado_client.py'), f'{url}echo']
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=TIMEOUT)
        self.assertEqual((done.returncode, done.stderr), (0, ''))
        sizes = range(0, 200, 25)
        self.assertEqual(done.stdout.splitlines(), [*(f'{n} {"*" * n}' for n in sizes), "closed 1000 b'Bye bye'"])
        page = f'http{url[2:]}'
        with urllib.request.urlopen(page, timeout=TIMEOUT) as answer:
            self.assertEqual(answer.read(), b'The websocket is at /echo.')
        client = Collector(f'{url}echo')
        client.connect()
        client.send('hello')
        self.assertTrue(client.answered.wait(TIMEOUT))
        errors = self.stop(server)
        client.run_forever()
        self.assertEqual(client.end, (1001, b'Server is shutting down'))
        self.assertEqual(server.returncode, 0, errors)
        self.assertNotIn('Traceback', errors)

    def test_the_servers_of_asyncio(self) -> None:
        for name, code in (('echo_asyncio_server.py', 1001), ('tulip_server.py', 1006)):
            with self.subTest(name):
                server, url = self.start_server(name, program=ASYNCIO_ON_A_FREE_PORT)
                talker, listener = Collector(url), Collector(url)
                talker.connect()
                talker.send('hello')
                talker.send('wörld')
                talker.run_forever()
                self.assertEqual((talker.heard, talker.end), (['hello', 'wörld'], (1000, b'enough')))
                listener.connect()
                listener.send('hello')
                self.assertTrue(listener.answered.wait(TIMEOUT))
                errors = self.stop(server)
                listener.run_forever()
                self.assertEqual(listener.end[0] if listener.end else None, code)  # the other just ends
                self.assertEqual((server.returncode, errors), (0, ''))

    def test_compression_on_asyncio(self) -> None:
        _, url = self.start_server('compressed_asyncio_server.py', program=ASYNCIO_ON_A_FREE_PORT)
        client = Collector(url, extensions=['permessage-deflate'])
        client.connect()
        self.assertEqual(
            client.extensions, [b'permessage-deflate; server_max_window_bits=12; client_max_window_bits=12']
        )
        client.send('hello ' * 1000)
        client.send('hello')
        client.run_forever()
        self.assertEqual((client.heard, client.end), (['hello ' * 1000, 'hello'], (1000, b'enough')))

    def test_paths_and_a_health_check_on_asyncio(self) -> None:
        server, url = self.start_server('paths_asyncio_server.py', program=ASYNCIO_ON_A_FREE_PORT)
        with urllib.request.urlopen(f'http{url[2:]}health', timeout=TIMEOUT) as answer:
            self.assertEqual((answer.status, answer.read()), (200, b'ok\n'))
        for path, headers, status in (('', [], '404'), ('echo', [('User-Agent', 'a bot')], '403')):
            with self.assertRaisesRegex(HandshakeError, status):
                Collector(f'{url}{path}', headers=headers).connect()
        for path, heard in (('echo', ['hello', 'wörld']), ('shout', ['HELLO', 'WÖRLD'])):
            with self.subTest(path):
                client = Collector(f'{url}{path}')
                client.connect()
                client.send('hello')
                client.send('wörld')
                client.run_forever()
                self.assertEqual((client.heard, client.end), (heard, (1000, b'enough')))
        client = Collector(f'{url}shout')
        client.connect()
        client.send('hello')
        client.send('bye')  # after which the handler closes
        client.run_forever()
        self.assertEqual((client.heard, client.end), (['HELLO'], (1000, b'bye')))
        errors = self.stop(server)
        self.assertEqual((server.returncode, errors), (0, ''))

    def test_names_and_passwords(self) -> None:
        _, url = self.start_server('auth_wsgiref_server.py')
        for headers in ([], [('Authorization', basic('ann:battery staple'))]):
            with self.assertRaisesRegex(HandshakeError, '401'):
                Collector(url, headers=headers).connect()
        client = Collector(url, headers=[('Authorization', basic('ann:correct horse'))])
        client.connect()
        client.send('hi')
        client.run_forever()
        self.assertEqual(client.heard, ['hello ann', 'hi'])

    def test_a_policy_on_asyncio(self) -> None:
        """Our address is that of its proxy."""
        server, url = self.start_server('policy_asyncio_server.py', program=ASYNCIO_ON_A_FREE_PORT)
        with urllib.request.urlopen(f'http{url[2:]}health', timeout=TIMEOUT) as answer:
            self.assertEqual((answer.status, answer.read()), (200, b'ok\n'))
        for name, value in (('Origin', 'https://evil.example.com'), ('X-Forwarded-For', '192.0.2.66')):
            with self.assertRaisesRegex(HandshakeError, '403'):
                Collector(url, headers=[(name, value)]).connect()
        headers = [('Origin', 'https://chat.example.com'), ('X-Forwarded-For', '192.0.2.1, 10.1.1.1')]
        headers += [('X-Forwarded-Proto', 'https'), ('Sec-WebSocket-Protocol', 'chat.v1, chat.v3, chat.v2')]
        client = Collector(url, headers=headers)
        client.connect()
        client.send('hi')
        client.run_forever()
        self.assertEqual(client.heard, ["192.0.2.1 by https, ['chat.v3']", 'hi'])
        errors = self.stop(server)
        self.assertEqual((server.returncode, errors), (0, ''))

    @unittest.skipIf(importlib.util.find_spec('prometheus_client') is None, 'prometheus_client is not installed')
    def test_metrics_for_prometheus(self) -> None:
        server, url = self.start_server('metrics_wsgiref_server.py')
        client = Collector(url)
        client.connect()
        client.send('hello')
        self.assertTrue(client.answered.wait(TIMEOUT))

        def scrape() -> dict[str, str]:
            with urllib.request.urlopen(f'http{url[2:]}metrics', timeout=TIMEOUT) as answer:
                return dict(re.findall(r'^(ws4py_\S+) (\S+)$', answer.read().decode(), re.MULTILINE))

        for direction in ('received', 'sent'):  # the client may hear the answer before that is counted
            name = f'ws4py_messages_total{{direction="{direction}",type="text"}}'
            wait_for(lambda name=name: scrape()[name] == '1.0')
        self.assertEqual(scrape()['ws4py_connections'], '1.0')
        client.send('wörld')
        client.run_forever()
        self.assertEqual((client.heard, client.end), (['hello', 'wörld'], (1000, b'enough')))
        samples = scrape()
        self.assertEqual((samples['ws4py_connections'], samples['ws4py_closes_total{code="1000"}']), ('0.0', '1.0'))
        errors = self.stop(server)
        self.assertEqual(server.returncode, 0, errors)
        self.assertNotIn('Traceback', errors)

    def test_metrics_on_asyncio(self) -> None:
        server, url = self.start_server('metrics_asyncio_server.py', program=ASYNCIO_ON_A_FREE_PORT)
        client = Collector(url)
        client.connect()
        client.send('hello')
        self.assertTrue(client.answered.wait(TIMEOUT))
        with urllib.request.urlopen(f'http{url[2:]}numbers', timeout=TIMEOUT) as answer:
            self.assertEqual(answer.headers['Content-Type'], 'application/json')
            numbers = json.load(answer)
        self.assertEqual((numbers['connections'], numbers['text_received'], numbers['text_sent']), (1, 1, 1))
        self.assertEqual((numbers['bytes_received'], numbers['bytes_sent'], numbers['closes']), (11, 7, {}))
        client.send('again')
        client.run_forever()
        errors = self.stop(server)
        self.assertEqual((server.returncode, errors), (0, ''))

    @needs_certificates
    def test_paths_on_asyncio_with_tls(self) -> None:
        _, url = self.start_server('paths_asyncio_server.py', *certificate_files(), program=ASYNCIO_ON_A_FREE_PORT)
        client = Collector(f'{url.replace("ws://127.0.0.1", "wss://localhost")}shout', client_context())
        client.connect()
        client.send('hello')
        client.send('again')
        client.run_forever()
        self.assertEqual((client.heard, client.end), (['HELLO', 'AGAIN'], (1000, b'enough')))

    @unittest.skipIf(importlib.util.find_spec('gevent') is None, 'gevent is not installed')
    def test_the_client_and_the_server_of_gevent(self) -> None:
        server, url = self.start_server('echo_gevent_server.py', program=GEVENT_ON_A_FREE_PORT)
        command = [sys.executable, '-W', 'error', str(EXAMPLE / 'echo_gevent_client.py'), url]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=TIMEOUT)
        self.assertEqual((done.returncode, done.stderr), (0, ''))
        sizes = range(0, 40, 5)
        self.assertEqual(done.stdout.splitlines(), [*(f'=> {n} {"*" * n}' for n in sizes), "closed 1000 b'Bye bye'"])
        client = Collector(url)
        client.connect()
        client.send('hello')
        self.assertTrue(client.answered.wait(TIMEOUT))
        errors = self.stop(server)
        client.run_forever()
        self.assertEqual(client.end, (1001, b'Server is shutting down'))
        self.assertEqual(server.returncode, 0, errors)
        self.assertNotIn('Traceback', errors)


class Tests(unittest.TestCase):
    """The examples that are tests."""

    def run_tests(self, *command: str) -> str:
        done = subprocess.run(
            [sys.executable, '-W', 'error', '-m', *command],
            cwd=EXAMPLE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=TIMEOUT,
        )
        self.assertEqual(done.returncode, 0, done.stdout)
        return done.stdout

    def test_those_of_pytest(self) -> None:
        if importlib.util.find_spec('pytest') is None:
            self.skipTest('pytest is not installed')
        said = self.run_tests('pytest', '-p', 'no:cacheprovider', 'test_chat_room.py')  # tests chat_room.py
        self.assertIn('5 passed', said)

    def test_those_of_unittest(self) -> None:
        self.assertIn('Ran 2 tests', self.run_tests('unittest', 'test_scripted_client.py'))


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

    def test_the_documentation_shows_or_names_every_example(self) -> None:
        pages = ''.join(page.read_text('utf-8') for page in (ROOT / 'docs').glob('*.rst'))
        for path in EXAMPLE.iterdir():
            if path.is_file() and path.suffix != '.html':
                self.assertIn(f'example/{path.name}', pages)

    def test_examples_are_short(self) -> None:
        for path in EXAMPLE.glob('*.py'):
            self.assertLess(len(path.read_text('utf-8').splitlines()), 60, path.name)

    def test_every_example_is_named_in_a_test(self) -> None:
        tests = ''.join(path.read_text('utf-8') for path in Path(__file__).parent.glob('test_example*.py'))
        for path in EXAMPLE.glob('*.py'):
            self.assertIn(path.name, tests)


if __name__ == '__main__':
    unittest.main()
