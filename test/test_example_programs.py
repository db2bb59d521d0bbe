"""The examples that have a page, or talk to one that has, without a browser; their pages are in test/browser."""

from __future__ import annotations

import contextlib
import datetime
import hashlib
import importlib.util
import json
import os
import queue
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import unittest
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.cookiejar import CookieJar
from pathlib import Path
from typing import Any

from support_demo import TIMEOUT, environment, until
from support_examples import EXAMPLE, Program

from ws4py.client.threadedclient import WebSocketClient
from ws4py.exc import HandshakeError
from ws4py.streaming import Stream


def is_installed(name: str) -> bool:
    return importlib.util.find_spec(name) is not None


class Listener(WebSocketClient):
    """A client that can wait for what it hears."""

    def __init__(self, url: str, **options: Any) -> None:
        super().__init__(url, **options)
        self.heard: queue.Queue[bytes] = queue.Queue()
        self.end: tuple[int, str] | None = None

    def received_message(self, message: Any) -> None:
        self.heard.put(message.data)

    def closed(self, code: int, reason: str | bytes | None = None) -> None:
        self.end = code, reason.decode() if isinstance(reason, bytes) else str(reason)

    def next(self) -> bytes:
        return self.heard.get(timeout=TIMEOUT)


@contextlib.contextmanager
def connected(url: str, **options: Any) -> Iterator[Listener]:
    client = Listener(url, **options)
    client.connect()
    try:
        yield client
    finally:
        client.close()
        client.run_forever()


class ExamplePrograms(unittest.TestCase):
    def start(self, name: str, *arguments: str, **variables: str) -> Program:
        program = Program(name, *arguments, **variables)
        self.addCleanup(program.kill)
        return program

    def run_example(self, name: str, *arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, '-W', 'error', str(EXAMPLE / name), *arguments]
        return subprocess.run(
            command, capture_output=True, text=True, encoding='utf-8', env=environment(), timeout=TIMEOUT, **options
        )

    def assert_ends_well(self, program: Program, log: bool = False) -> None:
        """Ctrl-C ends it, and nothing was wrong: what CherryPy writes on standard error is its log, though."""
        self.assertEqual(program.stop(), 0, program.errors())
        if log:
            self.assertNotIn('Traceback', program.errors())
        else:
            self.assertEqual(program.errors(), '')

    # ---- Without a socket

    def test_a_stream_is_fed_from_memory_and_from_a_file(self) -> None:
        expected = 'message: hello\nping: are you there?\nmessage: fragments\nclose: 1000 that is all\n'
        done = self.run_example('feed_stream.py')
        self.assertEqual((done.returncode, done.stderr, done.stdout), (0, '', expected))
        server = Stream()
        text = 'wörld' * 20000
        for data, lines in (
            (server.text_message(text).single(), [f'message: {text}']),
            (server.text_message('half').single()[:3], []),
            (
                server.text_message('masked').single(mask=True),
                ['error: 1002 a masked frame (expected an unmasked one)'],
            ),
        ):
            with tempfile.TemporaryDirectory() as directory:
                path = Path(directory, 'recorded')
                path.write_bytes(data)
                done = self.run_example('feed_stream.py', str(path))
                self.assertEqual((done.returncode, done.stderr), (0, ''))
                self.assertEqual(len(done.stdout.splitlines()), len(lines))
                for line, found in zip(lines, done.stdout.splitlines()):
                    self.assertEqual(found[:11], line[:11])

    # ---- The chats: chat.py on every server, with what serving.py has for all examples

    def chat(self, name: str, log: bool = False) -> None:
        program = self.start(name)
        with urllib.request.urlopen(program.url, timeout=TIMEOUT) as answer:
            self.assertEqual(answer.read(), (EXAMPLE / 'chat.html').read_bytes())
            self.assertIn("default-src 'none'", answer.headers['Content-Security-Policy'])
        with self.assertRaises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(f'{program.url}elsewhere', timeout=TIMEOUT)
        caught.exception.close()
        self.assertEqual(caught.exception.code, 404)
        with self.assertRaisesRegex(HandshakeError, '403'):
            Listener(program.ws_url, headers=[('Origin', 'http://elsewhere.test')]).connect()
        origin = [('Origin', program.url.rstrip('/'))]
        with connected(program.ws_url, headers=origin) as ann:
            ann.send('first')
            self.assertEqual(ann.next(), b'first')  # who hears himself is known to all
            with connected(program.ws_url) as bob:
                bob.send('hello')
                self.assertEqual([ann.next(), bob.next()], [b'hello'] * 2)
                bob.send('wörld')
                self.assertEqual([ann.next(), bob.next()], ['wörld'.encode()] * 2)
            ann.send('alone')
            self.assertEqual(ann.next(), b'alone')
            self.assert_ends_well(program, log)
            until(lambda: ann.end, 'the goodbye')
        self.assertEqual(ann.end, (1001, 'Server is shutting down'))

    def test_the_chat_on_wsgiref(self) -> None:
        self.chat('chat_wsgiref_server.py', log=True)

    def test_the_chat_on_asyncio(self) -> None:
        self.chat('chat_asyncio_server.py')

    @unittest.skipUnless(is_installed('gevent'), 'gevent is not installed')
    def test_the_chat_on_gevent(self) -> None:
        self.chat('chat_gevent_server.py', log=True)

    @unittest.skipUnless(is_installed('tornado'), 'Tornado is not installed')
    def test_the_chat_on_tornado(self) -> None:
        self.chat('chat_tornado_server.py', log=True)

    @unittest.skipUnless(is_installed('cherrypy'), 'CherryPy is not installed')
    def test_the_chat_on_cherrypy(self) -> None:
        self.chat('chat_cherrypy_server.py', log=True)

    # ---- The other servers with a page

    def test_the_clock_ticks_for_everybody(self) -> None:
        program = self.start('clock_server.py')
        with connected(program.ws_url) as ann, connected(program.ws_url) as bob:
            ticks = [ann.next() for _ in range(3)]
            other = [bob.next() for _ in range(2)]
            self.assertTrue(set(other) & set(ticks))
            times = [datetime.datetime.fromisoformat(tick.decode()) for tick in ticks]
            self.assertEqual(times, sorted(set(times)))
            self.assertEqual(times[0].utcoffset(), datetime.timedelta(0))
            self.assertLess((times[2] - times[1]).total_seconds(), TIMEOUT)
            self.assert_ends_well(program)

    def test_a_file_goes_up(self) -> None:
        with tempfile.TemporaryDirectory() as directory:
            program = self.start('upload_server.py', '--directory', directory)
            for data in (b'', b'x', os.urandom(3_000_001)):
                path = Path(program.directory, 'a file')
                path.write_bytes(data)
                done = self.run_example('upload_client.py', str(path), program.ws_url)
                self.assertEqual(done.returncode, 0, done.stderr)
                closed, _, verdict = done.stdout.strip().partition(': ')
                self.assertEqual((closed[:12], verdict), ('closed 1000 ', 'the same bytes'))
                name = closed[12:]
                self.assertEqual(Path(directory, name).read_bytes(), data)
                self.assertEqual('100%' in done.stderr, bool(data))
            self.assertEqual(len(os.listdir(directory)), 3)
            self.assert_ends_well(program)

    def test_what_is_no_upload_leaves_no_file(self) -> None:
        with tempfile.TemporaryDirectory() as directory:
            program = self.start('upload_server.py', '--directory', directory)
            for first in ('', '-1', '1000000000', '9' * 5000, '²', '../name', '{}'):
                with self.subTest(first), connected(program.ws_url) as client:
                    client.send(first)
                    client.run_forever()
                    self.assertEqual(client.end, (1008, 'a file of less than 10**9 bytes, please'))
            with connected(program.ws_url) as client:
                client.send('10')
                client.send(b'half', binary=True)
                self.assertEqual(json.loads(client.next())['received'], 4)
                self.assertEqual(len(os.listdir(directory)), 1)
            until(lambda: not os.listdir(directory), 'the half file is gone')
            with connected(program.ws_url) as client:
                client.send('1')
                client.send(b'much', binary=True)
                client.run_forever()
                self.assertEqual(client.end, (1008, 'more bytes than were announced'))
            self.assertEqual(os.listdir(directory), [])
            self.assert_ends_well(program)

    def test_an_upload_is_answered_with_its_digest(self) -> None:
        with tempfile.TemporaryDirectory() as directory:
            program = self.start('upload_server.py', '--directory', directory)
            with connected(program.ws_url) as client:
                client.send('6')
                client.send(b'in ', binary=True)
                client.send(b'two', binary=True)
                answers = [json.loads(client.next()) for _ in range(2)]
            digests = [hashlib.sha256(data).hexdigest() for data in (b'in ', b'in two')]
            self.assertEqual(answers, [{'received': 3, 'sha256': digests[0]}, {'received': 6, 'sha256': digests[1]}])

    def test_the_animation_waits_for_who_draws_slowly(self) -> None:
        program = self.start('animation_server.py')
        with connected(program.ws_url) as quick, connected(program.ws_url) as slow:
            frames = []
            for _ in range(20):
                frames.append(quick.next())
                quick.send('drawn')
            self.assertEqual({len(frame) for frame in frames}, {4 + 720 * 4})
            numbers = [int.from_bytes(frame[:4], 'little') for frame in frames]
            self.assertEqual(numbers, sorted(set(numbers)))
            until(lambda: slow.heard.qsize() >= 4, 'four frames')
            self.assertEqual(slow.heard.qsize(), 4)  # and none more, for it has drawn none
            for _ in range(4):
                slow.next()
            slow.send('drawn')
            late = int.from_bytes(slow.next()[:4], 'little')
            self.assertGreater(late, numbers[18])  # not the fifth, which would be old
            self.assert_ends_well(program)

    # ---- The sensors

    @unittest.skipUnless(is_installed('cherrypy'), 'CherryPy is not installed')
    def test_readings_go_to_everybody(self) -> None:
        program = self.start('droid_sensor_cherrypy_server.py')
        for path in ('', 'sensor'):
            with urllib.request.urlopen(program.url + path, timeout=TIMEOUT) as answer:
                self.assertIn(b'<title>Sensor', answer.read())
        with self.assertRaisesRegex(HandshakeError, '403'):
            Listener(program.ws_url, headers=[('Origin', 'http://elsewhere.test')]).connect()
        with connected(program.ws_url) as viewer, connected(program.ws_url) as sensor:
            sensor.send(json.dumps({'name': 'n' * 50, 'values': [1, 2.5, -3, 4]}))
            self.assertEqual(json.loads(viewer.next()), {'name': 'n' * 40, 'values': [1, 2.5, -3]})
        for text in ('', '[]', '"name"', '{"name": ""}', '[' * 1000, '{"name": 1, "values": {}}',
                     '{"name": 1, "values": [1, 2]}', '{"name": 1, "values": [1, 2, NaN]}',
                     '{"name": 1, "values": [1, 2, null]}', '{"name": 1, "values": [1, 2, 1e999]}',
                     f'{{"name": 1, "values": [1, 2, {"9" * 400}]}}'):  # fmt: skip
            with self.subTest(text), connected(program.ws_url) as client:
                client.send(text)
                client.run_forever()
                self.assertEqual(client.end, (1008, 'say {"name": "…", "values": [x, y, z]}'))
        self.assert_ends_well(program, log=True)

    @unittest.skipUnless(is_installed('cherrypy'), 'CherryPy is not installed')
    def test_where_readings_come_from(self) -> None:
        program = self.start('droid_sensor_cherrypy_server.py')
        printed = '{}\n' + ''.join(
            json.dumps({'LSM6DSO Accelerometer': {'values': [number, 0.5, 9.75]}}, indent=2) + '\n'
            for number in range(3)
        )
        fake = (
            'class Android:\n'
            '    def startSensingTimed(self, sensor, interval): self.asked = sensor, interval\n'
            '    def sensorsReadAccelerometer(self):\n'
            '        assert self.asked == (2, 100)\n'
            '        return type("Result", (), {"result": [0.25, 0.5, 9.5]})\n'
        )
        with tempfile.TemporaryDirectory() as directory, connected(program.ws_url) as viewer:
            Path(directory, 'androidhelper.py').write_text(fake)
            done = self.run_example('droid_sensor.py', '--source', 'termux', '--url', program.ws_url, input=printed)
            self.assertEqual((done.returncode, done.stderr), (0, ''))
            for number in range(3):
                self.assertEqual(json.loads(viewer.next()), {'name': 'termux', 'values': [number, 0.5, 9.75]})
            for source, values in (('sl4a', [0.25, 0.5, 9.5]), ('simulated', None)):
                with self.subTest(source):
                    command = [sys.executable, '-W', 'error', str(EXAMPLE / 'droid_sensor.py')]
                    sensor = subprocess.Popen(
                        [*command, '--source', source, '--url', program.ws_url],
                        stderr=subprocess.PIPE,
                        text=True,
                        env=environment(PYTHONPATH=os.pathsep.join([environment()['PYTHONPATH'], directory])),
                    )
                    readings = [json.loads(viewer.next()) for _ in range(3)]
                    sensor.send_signal(2)
                    self.assertEqual((sensor.communicate(timeout=TIMEOUT)[1], sensor.returncode), ('', 0))
                    self.assertEqual({reading['name'] for reading in readings}, {source})
                    if values:
                        self.assertEqual(readings[0]['values'], values)
                    else:
                        self.assertEqual(len({str(reading['values']) for reading in readings}), 3)
                    with contextlib.suppress(queue.Empty):
                        while True:
                            viewer.heard.get_nowait()
        self.assert_ends_well(program, log=True)

    # ---- Neighbours

    def neighbour(self, name: str, framework: str, guest: str) -> None:
        program = self.start(name)
        with urllib.request.urlopen(program.url, timeout=TIMEOUT) as answer:
            page = answer.read().decode()
            cookie = answer.headers['Set-Cookie'].partition(';')[0]
        self.assertIn(f'<title>{framework} and a websocket</title>', page)
        shown = re.search(r'<b id="name">(guest-\d+)</b>', page)
        assert shown is not None
        with self.assertRaisesRegex(HandshakeError, '403'):
            Listener(program.ws_url, headers=[('Origin', 'http://elsewhere.test')]).connect()
        with connected(program.ws_url, headers=[('Cookie', cookie)]) as client:
            self.assertEqual(client.next().decode(), f'Hello {shown[1]}!')
            client.send('echo')
            self.assertEqual(client.next(), b'echo')
            with urllib.request.urlopen(f'{program.url}news', b'text=the+news', timeout=TIMEOUT) as answer:
                self.assertEqual(answer.read(), b'told\n')
            self.assertEqual(client.next(), b'the news')
        for forged in ([], [('Cookie', cookie[:-1])]):
            if guest:
                with connected(program.ws_url, headers=forged) as client:
                    self.assertEqual(client.next().decode(), f'Hello {guest}!')
            else:
                with self.assertRaisesRegex(HandshakeError, '403'):
                    Listener(program.ws_url, headers=forged).connect()
        self.assert_ends_well(program, log=True)

    @unittest.skipUnless(is_installed('flask'), 'Flask is not installed')
    def test_beside_flask(self) -> None:
        self.neighbour('flask_server.py', 'Flask', '')

    @unittest.skipUnless(is_installed('django'), 'Django is not installed')
    def test_beside_django(self) -> None:
        self.neighbour('django_server.py', 'Django', 'stranger')

    # ---- Authentication, both with tokens.py

    def test_the_first_message_is_a_token(self) -> None:
        program = self.start('token_auth_asyncio_server.py')
        url, token = until(lambda: len(lines := program.output().splitlines()) == 2 and lines, 'the token')
        with connected(f'ws{url[4:]}') as client:
            client.send(token)
            client.send('hi')
            self.assertEqual([client.next(), client.next()], [b'hello ann', b'ann: hi'])
        changed = token[:-1] + ('0' if token[-1] != '0' else '1')
        for wrong in ('', 'ann', token.replace('ann', 'bob'), changed, 'ö.1.ö', None):  # None: after five seconds
            with self.subTest(wrong), connected(f'ws{url[4:]}') as client:
                if wrong is not None:
                    client.send(wrong)
                client.run_forever()
                self.assertEqual(client.end, (1008, 'say a token within 5 s'))
        self.assert_ends_well(program)

    def test_a_link_gives_a_cookie(self) -> None:
        program = self.start('cookie_auth_asyncio_server.py')
        link = program.output().strip()
        opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(jar := CookieJar()))
        with opener.open(link, timeout=TIMEOUT) as answer:  # and where it leads
            self.assertIn(b'<title>Chat', answer.read())
        (cookie,) = jar
        self.assertTrue(cookie.has_nonstandard_attr('HttpOnly'))
        url = f'ws{program.url[4:]}ws'
        with connected(url, headers=[('Cookie', f'a=b; session={cookie.value}')]) as client:
            client.send('hi')
            self.assertEqual([client.next(), client.next()], [b'hello ann', b'ann said hi'])
        with self.assertRaisesRegex(HandshakeError, '403'):
            headers = [('Cookie', f'session={cookie.value}'), ('Origin', 'http://elsewhere.test')]
            Listener(url, headers=headers).connect()
        token = link.partition('token=')[2]  # is not good as a cookie
        for wrong in ('', 'session=', f'session={cookie.value}0', f'session={token}', 'session=a.1.b'):
            with self.subTest(wrong), self.assertRaisesRegex(HandshakeError, '403'):
                Listener(url, headers=[('Cookie', wrong)]).connect()
        for wrong in ('', '?token=', f'?token={token}0', f'?token={cookie.value}'):
            with self.subTest(wrong), self.assertRaises(urllib.error.HTTPError) as caught:
                urllib.request.urlopen(f'{program.url}login{wrong}', timeout=TIMEOUT)
            caught.exception.close()
            self.assertEqual(caught.exception.code, 403)
        self.assert_ends_well(program)

    def test_tokens_run_out(self) -> None:
        code = (
            'import tokens; old, new = tokens.sign("a", "x.y", 0), tokens.sign("a", "x.y", 60);'
            'print(tokens.verify("a", old), tokens.verify("a", new), tokens.verify("b", new))'
        )
        done = subprocess.run(
            [sys.executable, '-c', code], cwd=EXAMPLE, capture_output=True, text=True, timeout=TIMEOUT, check=True
        )
        self.assertEqual(done.stdout, 'None x.y None\n')

    # ---- Running it

    def test_a_line_of_the_log_is_json(self) -> None:
        program = self.start('logging_asyncio_server.py', '--level', 'DEBUG')
        with connected(program.url.replace('http', 'ws')) as client:
            client.send('two\nlines')
            self.assertEqual(client.next(), b'two\nlines')
            client.close(1000, 'bye\n')
            client.run_forever()
        self.assertEqual(program.stop(), 0)
        lines = [json.loads(line) for line in program.errors().splitlines()]
        ours = [line for line in lines if line['logger'] == 'chat']
        for line in ours:
            self.assertEqual((line['connection'], line['peer'], line['path']), (1, '127.0.0.1', '/'))
        texts = [line['text'] for line in ours]
        self.assertEqual(texts[:2], ['opened', "received <TextMessage of 9 bytes: b'two\\nlines'>"])
        self.assertRegex(texts[2], r"^closed with 1000 b'bye\\n' after \d+\.\d{3} s$")

    @contextlib.contextmanager
    def passed_on(self, listening: socket.socket, notified: str) -> Iterator[subprocess.Popen[str]]:
        """The server as systemd starts it: with a socket, and somebody who is told."""
        program = [sys.executable, '-W', 'error', str(EXAMPLE / 'systemd_asyncio_server.py')]
        begin = (
            f'import os; os.dup2({listening.fileno()}, 3);'
            f'os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="1"); os.execv({program[0]!r}, {program})'
        )
        server = subprocess.Popen(
            [sys.executable, '-c', begin],
            pass_fds=[listening.fileno()],
            stderr=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            text=True,
            env=environment(NOTIFY_SOCKET=notified),
        )
        try:
            yield server
        finally:
            server.kill()
            server.communicate()

    @unittest.skipUnless(hasattr(socket, 'AF_UNIX'), 'there is no systemd here')
    def test_as_systemd_starts_it(self) -> None:
        """Nobody is turned away while one server has ended and the next one is about to begin."""
        with tempfile.TemporaryDirectory() as directory, contextlib.ExitStack() as stack:
            path = os.path.join(directory, 'notify')
            listening = stack.enter_context(socket.create_server(('127.0.0.1', 0)))
            notified = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
            notified.bind(path)
            notified.settimeout(TIMEOUT)
            url = f'ws://127.0.0.1:{listening.getsockname()[1]}/'
            for _ in range(2):
                with ThreadPoolExecutor() as threads:
                    client = Listener(url)
                    connecting = threads.submit(client.connect)  # the kernel lets it wait
                    with self.passed_on(listening, path) as server:
                        self.assertEqual(notified.recv(100), b'READY=1')
                        connecting.result(TIMEOUT)
                        client.send('hello')
                        self.assertEqual(client.next(), b'hello')
                        server.send_signal(signal.SIGTERM)
                        self.assertEqual(notified.recv(100), b'STOPPING=1')
                        client.run_forever()
                        self.assertEqual(client.end, (1001, 'Server is shutting down'))
                        self.assertEqual((server.communicate(timeout=TIMEOUT)[1], server.returncode), ('', 0))

    def test_without_systemd_it_listens_by_itself(self) -> None:
        program = self.start('systemd_asyncio_server.py')
        with connected(program.url.replace('http', 'ws')) as client:
            client.send('hello')
            self.assertEqual(client.next(), b'hello')
        self.assertEqual((program.stop(signal.SIGTERM), program.errors()), (0, ''))

    @unittest.skipUnless(shutil.which('systemd-analyze'), 'systemd-analyze is not installed')
    def test_the_units_are_what_systemd_understands(self) -> None:
        with tempfile.TemporaryDirectory() as directory:
            for name in ('ws4py.service', 'ws4py.socket'):
                text = (EXAMPLE / name).read_text('utf-8')
                Path(directory, name).write_text(text.replace('/opt/chat/bin/python', '/bin/sh'), 'utf-8')
            verify = ['systemd-analyze', 'verify', '--man=no', str(Path(directory, 'ws4py.service'))]
            done = subprocess.run(verify, capture_output=True, text=True, timeout=TIMEOUT)
            self.assertEqual((done.returncode, done.stdout + done.stderr), (0, ''))
            service = Path(directory, 'ws4py.service')
            service.write_text(service.read_text('utf-8').replace('LimitNOFILE', 'LimitNoFile'), 'utf-8')
            done = subprocess.run(verify, capture_output=True, text=True, timeout=TIMEOUT)
            self.assertIn('LimitNoFile', done.stderr)  # it would have told


if __name__ == '__main__':
    unittest.main()
