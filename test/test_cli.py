"""``python -m ws4py``, as real processes: with pipes, at a pseudo-terminal, and with signals."""

from __future__ import annotations

import contextlib
import io
import os
import re
import select
import signal
import socket
import subprocess
import tempfile
import threading
import unittest
from collections.abc import Iterator
from typing import Any, Callable
from unittest.mock import patch

from support_demo import TIMEOUT, Demo, command, end, environment, run, run_text, until
from support_proxies import Proxy
from support_tls import authority_file, certificate_files, needs_certificates

from ws4py import cli
from ws4py.cli import connect, conversation
from ws4py.client.threadedclient import WebSocketClient
from ws4py.demo import BACKENDS
from ws4py.messaging import PongControlMessage
from ws4py.server.wsgirefserver import WebSocketWSGIApplication, WebSocketWSGIRequestHandler, WSGIServer
from ws4py.websocket import EchoWebSocket, WebSocket

try:
    import pty
except ImportError:  # Windows
    pty = None  # type: ignore[assignment]


@contextlib.contextmanager
def serving(handler_cls: Callable[..., WebSocket], port: int = 0, **options: Any) -> Iterator[str]:
    """A server in this process; its URL."""
    server = WSGIServer(('127.0.0.1', port), WebSocketWSGIRequestHandler)
    server.set_app(WebSocketWSGIApplication(handler_cls=handler_cls, **options))
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield f'ws://127.0.0.1:{server.server_address[1]}/'
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def closer(code: int, reason: str = '', *messages: bytes) -> type[WebSocket]:
    """A handler that waits for one message, answers with binary or text ones and closes."""

    class Closer(WebSocket):
        def received_message(self, message: Any) -> None:
            for data in messages:
                self.send(data, binary=True)
            self.close(code, reason)

    return Closer


class Witness(WebSocketClient):
    """A client that knows how it ended."""

    end = 0

    def closed(self, code: int, reason: Any = None) -> None:
        self.end = code


class UsageTest(unittest.TestCase):
    def test_help(self) -> None:
        for arguments, words in (
            (
                ['--help'],
                (
                    '--header',
                    '--cookie',
                    '--protocol',
                    '--proxy',
                    '--insecure',
                    '--reconnect',
                    'serve',
                    'exit status',
                    'Ctrl-D',
                ),
            ),
            (
                ['serve', '--help'],
                ('--host', '--port', '--tls-cert', '--tls-key', '/echo', '127.0.0.1', '9000', '--static', *BACKENDS),
            ),
            (['connect', '--help'], ('usage: python -m ws4py connect', '--once', '--ping', '--output', 'exit status')),
            (['bench', '--help'], ('--connections', '--rate', '--messages', '--json', 'exit status', 'examples')),
        ):
            status, output, errors = run_text(*arguments)
            self.assertEqual((status, errors), (0, ''))
            for word in words:
                self.assertIn(word, output)
            self.assertNotIn('\x1b', output)

    def test_version(self) -> None:
        self.assertRegex(run_text('--version')[1], r'\Aws4py \d+\.\d+')

    def test_usage_errors(self) -> None:
        for arguments, expected in (
            ([], 'usage: python -m ws4py'),
            (['http://127.0.0.1/'], 'http'),
            (['ws://'], 'argument URL'),
            (['ws://127.0.0.1:1/', 'ws://127.0.0.1:1/'], 'unrecognized arguments'),
            (['--header', 'nocolon', 'ws://127.0.0.1:1/'], "'nocolon' is not NAME:VALUE"),
            (['--header', 'a b: c', 'ws://127.0.0.1:1/'], 'is not NAME:VALUE'),
            (['--header', 'a: c\r\nx: y', 'ws://127.0.0.1:1/'], r"'a: c\\r\\nx: y' is not NAME:VALUE"),
            (['--cookie', 'secret', 'ws://127.0.0.1:1/'], 'it is not NAME=VALUE'),
            (['--cookie', 'a=secret\r\nx: y', 'ws://127.0.0.1:1/'], r"cookie 'a' has the character '\r'"),
            (['--cookie', 'a b=1', 'ws://127.0.0.1:1/'], "'a b' is not a token"),
            (['--protocol', 'a,b', 'ws://127.0.0.1:1/'], 'is not a token'),
            (['--proxy', 'ftp://127.0.0.1', 'ws://127.0.0.1:1/'], "the scheme is 'ftp'"),
            (['serve', '--port', '65536'], "'65536' is not a port number"),
            (['serve', '--port', 'http'], "'http' is not a port number"),
            (['serve', '--tls-key', 'key.pem'], '--tls-key needs --tls-cert'),
            (['serve', '--backend', 'twisted'], "invalid choice: 'twisted'"),
            (['serve', '--static', '/nowhere\x1b[2J'], r'--static /nowhere\x1b[2J is not a directory'),
            (['connect'], 'the following arguments are required: URL'),
            (['connect', 'serve'], 'argument URL'),
            (['--js', 'ws://127.0.0.1:1/'], 'unrecognized arguments: --js'),
            (['--key', __file__, 'ws://127.0.0.1:1/'], '--key needs --cert'),
            (['--cafile', '/nowhere', 'ws://127.0.0.1:1/'], 'cannot read /nowhere: there is no such file'),
            (['--send-file', '/', 'ws://127.0.0.1:1/'], 'cannot read /: it is a directory'),
            (['--insecure', '--cafile', __file__, 'ws://127.0.0.1:1/'], '--insecure trusts everybody'),
            (['--output', '/nowhere', 'ws://127.0.0.1:1/'], '--output /nowhere is not a directory'),
            (['--json', '--hex', 'ws://127.0.0.1:1/'], 'not allowed with argument'),
            (['--timeout', '0', 'ws://127.0.0.1:1/'], "'0' is not a number above 0"),
            (['--timeout', 'inf', 'ws://127.0.0.1:1/'], "'inf' is not a number above 0"),
            (['--ping', 'x', 'ws://127.0.0.1:1/'], "'x' is not a number above 0"),
            (['bench'], 'the following arguments are required: URL'),
            (['bench', '--connections', '0', 'ws://127.0.0.1:1/'], "'0' is not a whole number from 1 on"),
            (['bench', '--size', '16777217', 'ws://127.0.0.1:1/'], 'a message has at most 16777216 bytes'),
            (['bench', '--messages', '1', '--duration', '1', 'ws://127.0.0.1:1/'], 'not allowed with argument'),
            (['bench', '--key', __file__, 'ws://127.0.0.1:1/'], '--key needs --cert'),
        ):
            with self.subTest(arguments):
                status, output, errors = run_text(*arguments)
                self.assertEqual((status, output), (2, ''))
                self.assertIn(expected, errors)
                self.assertNotIn('Traceback', errors)


class ServeTest(unittest.TestCase):
    def serve(self, *arguments: str, port: int = 0) -> Demo:
        demo = Demo(*arguments, port=port)
        self.addCleanup(demo.kill)
        return demo

    def test_a_signal_closes_with_1001_and_ends_with_0(self) -> None:
        for signum in (signal.SIGINT, signal.SIGTERM):
            with self.subTest(signum):
                demo = self.serve()
                self.assertRegex(demo.url, r'\Ahttp://127\.0\.0\.1:\d+/\Z')
                clients = [Witness(demo.ws_url + path) for path in ('echo', 'ws')]
                for client in clients:
                    client.connect()
                self.assertEqual(demo.stop(signum), (0, ''))
                for client in clients:
                    client.run_forever()
                    self.assertEqual(client.end, 1001)

    def test_a_signal_at_once(self) -> None:
        self.assertEqual(self.serve().stop(), (0, ''))

    def test_an_idle_client_does_not_keep_it(self) -> None:
        demo = self.serve()
        with socket.create_connection(('127.0.0.1', demo.port), TIMEOUT):
            self.assertEqual(run_text(demo.ws_url + 'echo', stdin='x\n')[:2], (0, 'x\n'))
            self.assertEqual(demo.stop(), (0, ''))

    def test_the_same_port_again(self) -> None:
        first = self.serve()
        self.assertEqual(run_text(first.ws_url + 'echo', stdin='one\n')[:2], (0, 'one\n'))
        first.stop()
        second = self.serve(port=first.port)
        self.assertEqual(run_text(second.ws_url + 'echo', stdin='two\n')[:2], (0, 'two\n'))

    def test_a_port_in_use(self) -> None:
        demo = self.serve()
        status, output, errors = run_text('serve', '--port', str(demo.port))
        self.assertEqual((status, output), (1, ''))
        self.assertRegex(errors, rf'\Aws4py: cannot listen on 127\.0\.0\.1:{demo.port}: .*in use\n\Z')

    def test_an_address_that_is_not_ours(self) -> None:
        status, output, errors = run_text('serve', '--port', '0', '--host', '192.0.2.1')
        self.assertEqual((status, output), (1, ''))
        self.assertRegex(errors, r'\Aws4py: cannot listen on 192\.0\.2\.1:0: .+\n\Z')

    def test_ipv6(self) -> None:
        try:
            socket.create_server(('::1', 0), family=socket.AF_INET6).close()
        except OSError as error:
            self.skipTest(f'no IPv6 here: {error}')
        demo = self.serve('--host', '::1')
        self.assertRegex(demo.url, r'\Ahttp://\[::1\]:\d+/\Z')
        self.assertEqual(run_text(demo.ws_url + 'echo', stdin='six\n')[:2], (0, 'six\n'))

    @needs_certificates
    def test_tls(self) -> None:
        cert, key = certificate_files('127.0.0.1')
        demo = self.serve('--tls-cert', cert, '--tls-key', key)
        self.assertTrue(demo.url.startswith('https://'))
        url = demo.ws_url + 'echo'
        self.assertEqual(run_text('--insecure', url, stdin='secret\n'), (0, 'secret\n', ''))
        status, output, errors = run_text(url, stdin='secret\n')
        self.assertEqual((status, output), (1, ''))
        self.assertRegex(errors, 'certificate verify failed')
        client = Witness(url, ssl_options={'ca_certs': authority_file()})
        client.connect()
        self.assertEqual(demo.stop(), (0, ''))
        client.run_forever()
        self.assertEqual(client.end, 1001)

    def test_a_framework_that_is_not_installed(self) -> None:
        for name in ('cherrypy', 'gevent', 'tornado'):
            with self.subTest(name), tempfile.TemporaryDirectory() as directory:
                with open(os.path.join(directory, f'{name}.py'), 'w') as file:
                    file.write(f'raise ModuleNotFoundError("No module named {name!r}", name={name!r})')
                path = os.pathsep.join([directory, environment()['PYTHONPATH']])
                status, output, errors = run_text('serve', '--backend', name, PYTHONPATH=path)
                self.assertEqual((status, output), (2, ''))
                self.assertEqual(
                    errors,
                    f'ws4py: --backend {name} cannot be used (No module named {name!r}): '
                    f"python -m pip install 'ws4py[{name}]'\n",
                )

    def test_a_bad_certificate(self) -> None:
        with tempfile.TemporaryDirectory() as directory:
            cert = os.path.join(directory, 'cert.pem')
            for content in (None, 'no certificate'):
                if content:
                    with open(cert, 'w') as file:
                        file.write(content)
                status, output, errors = run_text('serve', '--port', '0', '--tls-cert', cert)
                self.assertEqual((status, output), (1, ''))
                self.assertRegex(errors, r'\Aws4py: cannot use .*cert\.pem for TLS: .+\n\Z')


class PipeTest(unittest.TestCase):
    def test_lines_go_out_and_come_back(self) -> None:
        with serving(EchoWebSocket) as url:
            for stdin, expected in (
                ('hello\nwörld\n', 'hello\nwörld\n'),
                ('no newline at the end', 'no newline at the end\n'),
                ('\n\nx\r\n', '\n\nx\n'),
                ('', ''),
            ):
                with self.subTest(stdin):
                    self.assertEqual(run_text(url, stdin=stdin), (0, expected, ''))

    def test_much_in_both_directions(self) -> None:
        # More than what sockets and pipes hold, so that a client that could only send or receive would hang.
        lines = ''.join(f'{number} {"x" * 1000}\n' for number in range(6000)) + 'y' * 1_000_000 + '\n'
        with serving(EchoWebSocket) as url:
            status, output, errors = run_text(url, stdin=lines)
        self.assertEqual((status, errors), (0, ''))
        self.assertTrue(output == lines)

    def test_bytes_that_are_no_utf8(self) -> None:
        with serving(EchoWebSocket) as url:
            self.assertEqual(run(url, stdin=b'a\xffb\n').stdout.decode(), 'a\N{REPLACEMENT CHARACTER}b\n')

    def test_binary_is_shown_as_hex(self) -> None:
        with serving(closer(1000, '', b'\x00\x1b\xff', b'', bytes(1000))) as url:
            status, output, _ = run_text(url, stdin='go\n')
        self.assertEqual(status, 0)
        self.assertEqual(
            output.splitlines(),
            ['binary, 3 bytes: 001bff', 'binary, 0 bytes: ', f'binary, 1000 bytes: {"00" * 1000}'],
        )

    def test_control_characters_are_escaped(self) -> None:
        with serving(EchoWebSocket) as url:
            _, output, _ = run_text(url, stdin='\x1b]0;owned\x07 \x9b2J \u202eabc\x7f\ttab\r!\n')
        self.assertEqual(output, '\\x1b]0;owned\\x07 \\x9b2J \\u202eabc\\x7f\\ttab\\r!\n')

    def test_exit_status_tells_how_it_ended(self) -> None:
        for code, status in ((1000, 0), (1001, 0), (1008, 3), (1011, 3), (3000, 3), (4999, 3)):
            with self.subTest(code), serving(closer(code, 'so \x1b[31m it is')) as url:
                process = self.start(url)
                self.say(process, b'go\n')
                expected = f'ws4py: closed with code {code} (so \\x1b[31m it is)\n' if status else ''
                self.assertEqual(self.finish(process), (status, expected))

    def test_a_connection_that_breaks(self) -> None:
        class Breaker(WebSocket):
            def received_message(self, message: Any) -> None:
                self.abort(1006, '')

        with serving(Breaker) as url:
            process = self.start(url)
            self.say(process, b'go\n')
            status, errors = self.finish(process)
        self.assertEqual(status, 3)
        self.assertRegex(errors, r'\Aws4py: closed with code 1006.*\n\Z')

    def test_what_cannot_be_reached(self) -> None:
        with socket.create_server(('127.0.0.1', 0)) as unused:
            port = unused.getsockname()[1]
        status, output, errors = run_text(f'ws://127.0.0.1:{port}/')
        self.assertEqual((status, output), (1, ''))
        self.assertRegex(errors, rf'\Aws4py: cannot connect to ws://127\.0\.0\.1:{port}/: .*refused.*\n\Z')
        status, output, errors = run_text('ws://name.invalid/')
        self.assertEqual((status, output), (1, ''))
        self.assertRegex(errors, r'\Aws4py: cannot connect to ws://name\.invalid/: .+\n\Z')

    def test_no_password_is_shown(self) -> None:
        with socket.create_server(('127.0.0.1', 0)) as unused:
            port = unused.getsockname()[1]
        for url, status in (
            (f'ws://zoe:secret@127.0.0.1:{port}/a@b', 1),
            ('ws://zoe:secret@@127.0.0.1:99999/', 2),
            ('http://zoe:secret@127.0.0.1/', 2),
            ('--proxy=https://zoe:secret@127.0.0.1/', 2),
        ):
            with self.subTest(url):
                done, output, errors = run_text(url)
                self.assertEqual((done, output), (status, ''))
                self.assertNotRegex(errors, 'zoe|secret')
                self.assertIn('//…@127.0.0.1', errors)
        self.assertIn(f'cannot connect to ws://…@127.0.0.1:{port}/a@b: ', run_text(f'ws://zoe@127.0.0.1:{port}/a@b')[2])

    def test_a_refused_handshake(self) -> None:
        with serving(EchoWebSocket, origins=['http://elsewhere.example']) as url:
            status, output, errors = run_text(url, stdin='x\n')
        self.assertEqual((status, output), (1, ''))
        self.assertRegex(errors, r'\Aws4py: cannot connect to .*403.*\n\Z')

    def test_a_server_that_paints_in_its_refusal(self) -> None:
        with socket.create_server(('127.0.0.1', 0)) as listener:

            def refuse() -> None:
                with listener.accept()[0] as connection:
                    connection.recv(4096)
                    connection.sendall(b'HTTP/1.1 404 \x9b31m\xe2\x80\xaeoops\r\nContent-Length: 0\r\n\r\n')

            thread = threading.Thread(target=refuse)
            thread.start()
            status, _, errors = run_text(f'ws://127.0.0.1:{listener.getsockname()[1]}/')
            thread.join()
        self.assertEqual(status, 1)
        self.assertTrue(errors[:-1].isprintable(), repr(errors))

    def test_headers_and_protocols(self) -> None:
        class Teller(WebSocket):
            def received_message(self, message: Any) -> None:
                assert self.environ is not None
                self.send(f'{self.environ["HTTP_X_ONE"]} {self.environ["HTTP_AUTHORIZATION"]} {self.protocols}')

        with serving(Teller, protocols=['soap', 'chat']) as url:
            status, output, errors = run_text(
                *('--header', 'X-One: 1:2', '--header', 'Authorization:Bearer é'),
                *('--protocol', 'other', '--protocol', 'chat', url),
                stdin='go\n',
            )
        self.assertEqual((status, errors), (0, ''))
        self.assertRegex(output, r"\A1:2 Bearer .+ \['chat'\]\n\Z")

    def test_cookies(self) -> None:
        class Teller(WebSocket):
            def received_message(self, message: Any) -> None:
                assert self.environ is not None
                self.send(self.environ['HTTP_COOKIE'])

        with serving(Teller) as url:
            cookies = ('--cookie', 'a=1', '--cookie', 'b=x=y z', '--cookie', 'c=')
            self.assertEqual(run_text(*cookies, url, stdin='go\n'), (0, 'a=1; b=x=y z; c=\n', ''))

    def test_a_proxy(self) -> None:
        with serving(EchoWebSocket) as url, Proxy() as proxy:
            port = int(url.rstrip('/').rpartition(':')[2])
            url = f'ws://nowhere.invalid:{port}/'
            self.assertEqual(run_text('--proxy', proxy.url, url, stdin='one\n'), (0, 'one\n', ''))
            variables = {'http_proxy': proxy.url, 'no_proxy': ''}
            self.assertEqual(run_text('--proxy', 'env', url, stdin='two\n', **variables), (0, 'two\n', ''))
            self.assertEqual(proxy.asked, [('nowhere.invalid', port)] * 2)

    def test_a_proxy_of_the_environment_that_is_none(self) -> None:
        variables = {'http_proxy': 'ftp://zoe:secret@127.0.0.1', 'no_proxy': ''}
        for name in ('connect', 'bench'):
            status, output, errors = run_text(name, '--proxy', 'env', 'ws://nowhere.invalid/', **variables)
            self.assertEqual((status, output), (2, ''))
            self.assertIn("the scheme is 'ftp'", errors)
            self.assertNotRegex(errors, 'zoe|secret|Traceback')

    def test_a_proxy_that_needs_more_to_be_installed(self) -> None:
        with patch.dict('sys.modules', {'python_socks': None}), contextlib.redirect_stderr(io.StringIO()) as errors:
            with self.assertRaises(SystemExit) as exit_:
                cli.main(['--proxy', 'socks5://127.0.0.1', 'ws://nowhere.invalid/'])
        self.assertEqual(exit_.exception.code, 2)
        self.assertIn('pip install "ws4py[socks]"', errors.getvalue())

    def test_connect_is_what_a_url_alone_is_short_for(self) -> None:
        with serving(EchoWebSocket) as url:
            self.assertEqual(run_text('connect', url, stdin='hello\n'), (0, 'hello\n', ''))

    def test_lines_that_are_binary(self) -> None:
        with serving(EchoWebSocket) as url:
            self.assertEqual(run_text('--binary', url, stdin='aö\n'), (0, 'binary, 3 bytes: 61c3b6\n', ''))
            status, output, errors = run_text('--hex', url, stdin='00 fF\nxyz\n\n')
        self.assertEqual((status, output), (2, 'binary, 2 bytes: 00ff\nbinary, 0 bytes: \n'))
        self.assertRegex(errors, r'\Aws4py: the line was not sent, it is not hex: .+\n\Z')

    def test_lines_that_are_json(self) -> None:
        class Answering(EchoWebSocket):
            def received_message(self, message: Any) -> None:
                super().received_message(message)
                if message.data == b'"binary"':
                    self.send(b'\x00', binary=True)
                    self.send('no \x1b JSON')

        with serving(Answering) as url:
            self.assertEqual(
                run_text('--json', url, stdin='{"a": [1.10, "\x7fé"]}\n'), (0, '{"a":[1.10,"\\u007fé"]}\n', '')
            )
            status, output, errors = run_text('--json', url, stdin='{1}\n"binary"\n')
        self.assertEqual((status, output), (2, '"binary"\nbinary, 1 bytes: 00\n'))
        self.assertRegex(
            errors,
            r'\Aws4py: the line was not sent, it is not JSON: .+\n'
            r'ws4py: a message that is not JSON \(.+\): no \\x1b JSON\n\Z',
        )

    def test_files_are_sent_and_kept(self) -> None:
        data = os.urandom(300_000)  # several fragments
        with serving(EchoWebSocket) as url, tempfile.TemporaryDirectory() as directory:
            source, sink = os.path.join(directory, 'source'), os.path.join(directory, 'sink')
            os.mkdir(sink)
            for path, content in ((source, data), (os.path.join(sink, '000001.bin'), b'mine')):
                with open(path, 'wb') as file:
                    file.write(content)
            arguments = ('--send-file', source, '--send-file', os.devnull, '--output', sink, url)
            status, output, errors = run_text(*arguments, stdin='line\n')
            self.assertEqual((status, errors), (0, ''))
            names = [os.path.join(sink, f'00000{number}.bin') for number in (1, 2, 3)]
            self.assertEqual(output, f'binary, 300000 bytes: {names[1]}\nbinary, 0 bytes: {names[2]}\nline\n')
            found = []
            for name in names:
                with open(name, 'rb') as file:
                    found.append(file.read())
            self.assertTrue(found == [b'mine', data, b''])
            done = run('--send-file', source, '--output', '-', url, stdin=b'\x1bline\n')
            self.assertEqual((done.returncode, done.stderr), (0, b'ws4py: \\x1bline\n'))
            self.assertTrue(done.stdout == data)

    def test_a_file_that_cannot_be_written(self) -> None:
        with serving(EchoWebSocket) as url, tempfile.TemporaryDirectory() as directory:
            process = self.start('--output', directory, '--binary', url)
            self.say(process, b'one\n')
            assert process.stdout is not None
            self.assertIn(b'000001.bin', process.stdout.readline())
            os.remove(os.path.join(directory, '000001.bin'))
            os.rmdir(directory)
            self.say(process, b'two\n')
            status, errors = self.finish(process)
            os.mkdir(directory)
        self.assertEqual(status, 1)
        self.assertRegex(errors, r'\Aws4py: cannot write .*000002\.bin: .+\n\Z')

    @unittest.skipUnless(os.path.exists('/proc/self/mem'), 'no file that can be opened and not be read')
    def test_a_file_that_cannot_be_read_to_its_end(self) -> None:
        with serving(EchoWebSocket) as url:
            for options in ([], ['--reconnect']):
                status, output, errors = run_text('--send-file', '/proc/self/mem', *options, url)
                self.assertEqual((status, output), (1, ''))
                self.assertRegex(errors, r'\Aws4py: cannot read /proc/self/mem: [^:\n]+\n\Z')

    def test_once(self) -> None:
        class Late(EchoWebSocket):
            def received_message(self, message: Any) -> None:
                timer = threading.Timer(0.3, self.both, [message.data])
                timer.start()

            def both(self, data: bytes) -> None:
                with contextlib.suppress(RuntimeError):  # nobody has waited for it, or for the second one
                    self.send(data)
                    self.send('another')

        with serving(Late) as url:
            self.assertEqual(run_text(url, stdin='x\n'), (0, '', ''))  # without it, the end of the input is the end
            for options in (['--once'], ['--once', '--reconnect']):
                self.assertEqual(run_text(*options, url, stdin='x\n'), (0, 'x\n', ''))

    def test_once_without_a_message(self) -> None:
        class Leaving(WebSocket):
            def opened(self) -> None:
                self.close(1000)

        with serving(Leaving) as url:
            self.assertEqual(run_text(url, stdin='')[0], 0)
            self.assertEqual(run_text('--once', url), (3, '', 'ws4py: no message came\n'))

    def test_timeout(self) -> None:
        with serving(EchoWebSocket) as url:
            for options in (['--once'], ['--once', '--reconnect']):
                status, output, errors = run_text('--timeout', '0.5', *options, url)
                self.assertEqual((status, output, errors), (4, '', 'ws4py: the time was over\n'))
            self.assertEqual(run_text('--timeout', '60', '--once', url, stdin='x\n'), (0, 'x\n', ''))
        with socket.create_server(('127.0.0.1', 0)) as silent:
            url = f'ws://127.0.0.1:{silent.getsockname()[1]}/'
            for options in ([], ['--reconnect']):
                status, output, errors = run_text('--timeout', '0.5', *options, url)
                self.assertEqual((status, output), (4, ''))
                self.assertEqual(errors, f'ws4py: cannot connect to {url}: the time was over\n')

    def test_compression(self) -> None:
        class Teller(EchoWebSocket):
            def opened(self) -> None:
                self.send(str([str(each) for each in self.extensions or ()]))

        with serving(Teller, extensions=['permessage-deflate']) as url:
            text = 'x' * 1000
            status, output, errors = run_text('--compress', url, stdin=f'{text}\n')
            self.assertEqual((status, errors), (0, ''))
            self.assertRegex(output, rf"\A\['permessage-deflate.*'\]\n{text}\n\Z")
            self.assertEqual(run_text(url), (0, '[]\n', ''))

    def test_pings_are_shown(self) -> None:
        with serving(EchoWebSocket) as url:
            process = self.start('--ping', '0.05', url)
            assert process.stderr is not None
            for _ in range(2):
                self.assertRegex(process.stderr.readline().decode(), r'\Aws4py: ping \d+\.\d ms\n\Z')
            process.stdin.close()
            self.assertEqual(process.wait(TIMEOUT), 0)

    def test_a_pong_that_answers_nothing_is_not_shown(self) -> None:
        class Ponging(EchoWebSocket):
            def opened(self) -> None:
                self.send(PongControlMessage(b'unasked'))

        with serving(Ponging) as url:
            self.assertEqual(run_text('--ping', '600', url, stdin='x\n'), (0, 'x\n', ''))

    def test_a_file_that_may_not_be_read(self) -> None:
        with patch('os.access', return_value=False), contextlib.redirect_stderr(io.StringIO()) as errors:
            with self.assertRaises(SystemExit) as exit_:
                cli.main(['--cafile', __file__, 'ws://nowhere.invalid/'])
        self.assertEqual(exit_.exception.code, 2)
        self.assertIn('it may not be read', errors.getvalue())

    @needs_certificates
    def test_options_of_tls(self) -> None:
        certificate, key = certificate_files('elsewhere.example')
        demo = Demo('--echo', '--tls-cert', certificate, '--tls-key', key)
        self.addCleanup(demo.kill)
        named = ('--cafile', authority_file(), '--server-name', 'elsewhere.example')
        self.assertEqual(run_text(*named, demo.ws_url, stdin='x\n'), (0, 'x\n', ''))
        own = ('--cert', certificate, '--key', key)
        self.assertEqual(run_text(*named, *own, demo.ws_url, stdin='x\n'), (0, 'x\n', ''))
        for options in (named[:2], named[2:]):
            status, output, errors = run_text(*options, demo.ws_url, stdin='x\n')
            self.assertEqual((status, output), (1, ''))
            self.assertIn('certificate verify failed', errors)
        status, _, errors = run_text('--cafile', __file__, demo.ws_url)
        self.assertEqual(status, 1)
        self.assertIn(f"ca_certs '{__file__}'", errors)

    def test_it_connects_again(self) -> None:
        class Welcoming(EchoWebSocket):
            def opened(self) -> None:
                self.send('welcome')  # who has got this knows that there is a connection

        with serving(EchoWebSocket) as url:
            process = self.start('--reconnect', url)
            self.say(process, b'hello\n')
            assert process.stdin is not None and process.stdout is not None and process.stderr is not None
            self.assertEqual(process.stdout.readline(), b'hello\n')
        line = process.stderr.readline().decode()
        self.assertRegex(line, r'\Aws4py: closed with code 1001.*; connecting again in [01]\.\d s\n\Z')
        self.say(process, b'lost\n')
        while line != 'ws4py: there is no connection, the line was not sent\n':
            self.assertIn('connecting again in', line)
            line = process.stderr.readline().decode()
        with serving(Welcoming, int(url.rstrip('/').rpartition(':')[2])):
            self.assertEqual(process.stdout.readline(), b'welcome\n')
            self.say(process, b'here again\n')
            self.assertEqual(process.stdout.readline(), b'here again\n')
            process.stdin.close()
            self.assertEqual(self.finish(process)[0], 0)

    def test_it_does_not_connect_again_when_that_is_not_worth_it(self) -> None:
        with serving(EchoWebSocket) as url:
            self.assertEqual(run_text('--reconnect', url, stdin='hello\n'), (0, 'hello\n', ''))
        demo = Demo()
        self.addCleanup(demo.kill)
        status, output, errors = run_text('--reconnect', f'{demo.ws_url}nowhere')
        self.assertEqual((status, output), (1, ''))
        self.assertRegex(errors, r'\Aws4py: cannot connect to ws://.*/nowhere: .*404.*\n\Z')

    def test_ctrl_c_ends_what_connects_again(self) -> None:
        with socket.create_server(('127.0.0.1', 0)) as unused:
            port = unused.getsockname()[1]
        process = self.start('--reconnect', f'ws://127.0.0.1:{port}/')
        assert process.stderr is not None
        self.assertRegex(process.stderr.readline().decode(), 'refused.*; connecting again in')
        process.send_signal(signal.SIGINT)
        status, errors = self.finish(process)
        self.assertEqual(status, 1)
        self.assertTrue(errors.endswith(f'ws4py: cannot connect to ws://127.0.0.1:{port}/: interrupted\n'), errors)
        ends: list[Any] = []

        class Watched(EchoWebSocket):
            def closed(self, code: int, reason: Any = None) -> None:
                ends.append(code)

        with serving(Watched) as url:
            process = self.start('--reconnect', url)
            self.say(process, b'ready\n')
            assert process.stdout is not None
            self.assertEqual(process.stdout.readline(), b'ready\n')
            process.send_signal(signal.SIGTERM)
            self.assertEqual(self.finish(process), (0, ''))
            until(lambda: ends, 'the end at the server')
        self.assertEqual(ends, [1001])

    def test_ctrl_c_closes_with_1001(self) -> None:
        ends: list[Any] = []

        class Watched(EchoWebSocket):
            def closed(self, code: int, reason: Any = None) -> None:
                ends.append(code)

        for signum in (signal.SIGINT, signal.SIGTERM):
            with self.subTest(signum), serving(Watched) as url:
                process = self.start(url)
                self.say(process, b'ready\n')
                assert process.stdout is not None
                self.assertEqual(process.stdout.readline(), b'ready\n')
                process.send_signal(signum)
                self.assertEqual(self.finish(process), (0, ''))
                until(lambda: ends, 'the end at the server')
                self.assertEqual(ends.pop(), 1001)

    def test_a_second_ctrl_c_does_not_wait(self) -> None:
        with socket.create_server(('127.0.0.1', 0)) as listener:
            process = self.start(f'ws://127.0.0.1:{listener.getsockname()[1]}/')
            with listener.accept()[0]:
                process.send_signal(signal.SIGINT)  # the handshake is never answered
                status, errors = self.finish(process)
        self.assertEqual(status, 1)
        self.assertRegex(errors, r'\Aws4py: interrupted while connecting to .*\n\Z')

        class Deaf(EchoWebSocket):
            def close(self, code: int = 1000, reason: Any = '') -> None:
                told.set()
                release.wait(TIMEOUT)  # holds up the manager: the Close frame is not answered
                super().close(code, reason)

        told, release = threading.Event(), threading.Event()
        for options in ([], ['--reconnect']):
            with self.subTest(options), serving(Deaf) as url:
                told.clear()
                release.clear()
                process = self.start(*options, url)
                self.say(process, b'ready\n')
                assert process.stdout is not None
                process.stdout.readline()
                process.send_signal(signal.SIGINT)
                self.assertTrue(told.wait(TIMEOUT))
                process.send_signal(signal.SIGINT)
                status, errors = self.finish(process)
                release.set()
            self.assertEqual((status, errors), (3, 'ws4py: interrupted before the closing handshake was complete\n'))

    def test_nobody_reads_the_output(self) -> None:
        class Talker(WebSocket):
            def opened(self) -> None:
                self.send('one')

            def received_message(self, message: Any) -> None:
                self.send(message.data)

        with serving(Talker) as url:
            process = self.start(url)
            assert process.stdout is not None and process.stdin is not None
            process.stdout.readline()
            process.stdout.close()
            self.say(process, b'two\n')
            assert process.stderr is not None
            errors = process.stderr.read()
            self.assertEqual((process.wait(TIMEOUT), errors), (0, b''))

    def test_ctrl_c_as_soon_as_it_is_connected(self) -> None:
        shown = threading.Event()

        class Quick(conversation.Client):
            def opened(self) -> None:
                super().opened()
                shown.set()

            def connect(self) -> None:
                super().connect()
                shown.wait(TIMEOUT)
                raise KeyboardInterrupt

        previous = signal.getsignal(signal.SIGTERM)
        self.addCleanup(signal.signal, signal.SIGTERM, previous)
        ends: list[int] = []

        class Watched(EchoWebSocket):
            def closed(self, code: int, reason: Any = None) -> None:
                ends.append(code)

        with serving(Watched) as url, patch.object(connect, 'Client', Quick), patch('sys.stdout', io.StringIO()):
            self.assertEqual(cli.main([url]), 0)
            until(lambda: ends == [1001], 'the closing handshake')

    def test_no_standard_output(self) -> None:
        with serving(EchoWebSocket) as url:
            done = subprocess.run(
                ['sh', '-c', 'exec "$@" >&-', 'sh', *command(url)],
                input=b'hello',
                stderr=subprocess.PIPE,
                env=environment(),
                timeout=TIMEOUT,
                check=False,
            )
        self.assertEqual((done.returncode, done.stderr), (0, b''))

    def test_no_standard_input(self) -> None:
        with serving(EchoWebSocket) as url:
            done = subprocess.run(
                ['sh', '-c', 'exec "$@" <&-', 'sh', *command(url)],
                capture_output=True,
                env=environment(),
                timeout=TIMEOUT,
                check=False,
            )
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, b'', b''))

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        pipe = subprocess.PIPE
        process = subprocess.Popen(command(*arguments), stdin=pipe, stdout=pipe, stderr=pipe, env=environment())
        self.addCleanup(end, process)
        return process

    def finish(self, process: subprocess.Popen[bytes]) -> tuple[int, str]:
        """Wait for its end while its standard input stays open: the exit status, and its standard error."""
        status = process.wait(TIMEOUT)
        assert process.stderr is not None
        return status, process.stderr.read().decode()

    def say(self, process: subprocess.Popen[bytes], data: bytes) -> None:
        assert process.stdin is not None
        process.stdin.write(data)
        process.stdin.flush()


@unittest.skipIf(pty is None, 'no pseudo-terminals on this system')
class TerminalTest(unittest.TestCase):
    """The client at a terminal that knows ANSI sequences, and at one that does not."""

    def open(self, *arguments: str, **variables: str) -> None:
        self.master, slave = pty.openpty()
        self.addCleanup(os.close, self.master)
        try:
            self.process = subprocess.Popen(
                command(*arguments), stdin=slave, stdout=slave, stderr=slave, env=environment(**variables)
            )
        finally:
            os.close(slave)
        self.addCleanup(end, self.process)
        self.seen = ''

    def expect(self, pattern: str) -> None:
        def found() -> bool:
            if select.select([self.master], [], [], 0.1)[0]:
                with contextlib.suppress(OSError):  # EIO: the other end is closed
                    self.seen += os.read(self.master, 65536).decode()
            return re.search(pattern, self.seen) is not None

        try:
            until(found, repr(pattern))
        except AssertionError as error:
            raise AssertionError(f'{error}; seen: {self.seen!r}') from None

    def type(self, text: str) -> None:
        os.write(self.master, text.encode())

    def test_a_conversation_that_ctrl_d_ends(self) -> None:
        with serving(EchoWebSocket) as url:
            self.open(url, TERM='xterm')
            self.expect('connected to ws://127')
            self.expect('> $')
            self.type('hello\n')
            self.expect('\x1b\\[36mhello\x1b\\[0m')
            self.type('\x04')
            self.expect('closed with code 1000')
            self.assertEqual(self.process.wait(TIMEOUT), 0)

    def test_a_line_being_typed_stays(self) -> None:
        peers: list[WebSocket] = []

        class Remembered(WebSocket):
            def opened(self) -> None:
                peers.append(self)

            def received_message(self, message: Any) -> None:
                self.send(b'got ' + message.data)

        with serving(Remembered) as url:
            self.open(url, TERM='xterm', NO_COLOR='1')
            self.expect('> $')
            self.type('half a')
            self.expect('half a')
            until(lambda: peers, 'a peer')
            peers[0].send('\x1b[2Jyou have mail')
            # Saved cursor, a new line above, the message, the cursor back where the typing goes on.
            self.expect(r'half a\x1b7\r\n\x1b\[1A\x1b\[1L\\x1b\[2Jyou have mail\x1b8\x1b\[1B$')
            peers[0].send(bytes(300), binary=True)
            self.expect(r'binary, 300 bytes: (00){256}…')
            self.type(' line\n')
            self.expect('got half a line')
            peers[0].close(1008, 'enough')
            self.expect('ws4py: closed with code 1008 \\(enough\\)')
            self.assertEqual(self.process.wait(TIMEOUT), 3)

    def test_a_long_message_has_room(self) -> None:
        with serving(EchoWebSocket) as url:
            self.open(url, TERM='xterm', NO_COLOR='1', COLUMNS='20', LINES='10')
            self.expect('> $')
            self.type('漢' * 25 + '\n')  # 50 columns
            self.expect('\x1b7\r\n\r\n\r\n\x1b\\[3A\x1b\\[3L漢{25}\x1b8\x1b\\[3B')
            self.type('\x04')
            self.assertEqual(self.wait(), 0)

    def test_json_is_laid_out_and_pings_are_shown(self) -> None:
        with serving(EchoWebSocket) as url:
            self.open('--json', '--no-color', '--ping', '0.05', url, TERM='xterm')
            self.expect(r'ping \d+\.\d ms')
            self.type('{"a": [1]}\n')
            for line in ('{', '  "a": [', '    1', '  ]', '}'):
                self.expect(f'\x1b\\[1L{re.escape(line)}\x1b8')
            self.type('\x04')
            self.assertEqual(self.wait(), 0)
            self.assertNotRegex(self.seen, r'\x1b\[\d*m')

    def test_quiet(self) -> None:
        with serving(EchoWebSocket) as url:
            self.open('--quiet', '--ping', '0.05', url, TERM='xterm')
            self.expect('> $')
            self.type('hello\n')
            self.expect('\x1b\\[36mhello\x1b\\[0m')
            self.type('\x04')
            self.assertEqual(self.wait(), 0)
            self.assertNotRegex(self.seen, 'connected|closed|ping')

    def test_bytes_of_a_peer_do_not_go_to_a_terminal_as_they_are(self) -> None:
        with serving(EchoWebSocket) as url:
            self.open('--output', '-', url, TERM='xterm')
            self.expect('--output - needs a pipe or a file')
            self.assertEqual(self.wait(), 2)

    def test_a_dumb_terminal_gets_plain_lines(self) -> None:
        with serving(EchoWebSocket) as url:
            self.open(url, TERM='dumb')
            self.type('hello\n')
            self.expect('hello\r\nhello\r\n')
            self.type('\x04')
            self.assertEqual(self.wait(), 0)
            self.assertNotIn('\x1b', self.seen)
            self.assertNotIn('>', self.seen)

    def test_ctrl_c(self) -> None:
        ends: list[int] = []

        class Watched(EchoWebSocket):
            def closed(self, code: int, reason: Any = None) -> None:
                ends.append(code)

        with serving(Watched) as url:
            self.open(url, TERM='xterm')
            self.expect('> $')
            self.process.send_signal(signal.SIGINT)
            self.expect('closed with code 1001')
            self.assertEqual(self.wait(), 0)
            until(lambda: ends == [1001], 'the end at the server')

    def wait(self) -> int:
        self.expect_end()
        return self.process.wait(TIMEOUT)

    def expect_end(self) -> None:
        until(lambda: self.process.poll() is not None or self.drain(), 'the end of the program')

    def drain(self) -> bool:
        with contextlib.suppress(OSError):
            if select.select([self.master], [], [], 0.05)[0]:
                self.seen += os.read(self.master, 65536).decode()
        return False


if __name__ == '__main__':
    unittest.main()
