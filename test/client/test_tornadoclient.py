"""The client on an IOLoop, with servers that do as they are told, with servers of other projects, over ws and wss."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
import ssl
import tempfile
import threading
import unittest
import warnings
from typing import Any, Optional
from unittest import mock

import support_tls
from helpers import TIMEOUT, close_frame, frame
from support_sockets import ScriptedServer, read_all, read_request, response_to, say
from support_tls import needs_certificates
from support_transport import until

try:
    from tornado.httpserver import HTTPServer
    from tornado.ioloop import IOLoop
    from tornado.iostream import IOStream, SSLIOStream
    from tornado.netutil import bind_sockets
    from tornado.web import Application
    from tornado.websocket import WebSocketHandler
except ImportError:
    raise unittest.SkipTest('Tornado is not installed') from None

try:
    import websockets.asyncio.server as websockets_server
except ImportError:  # a test extra
    websockets_server = None

from ws4py.client import UnusableOptionsError, tornadoclient
from ws4py.client.tornadoclient import TornadoWebSocketClient
from ws4py.exc import HandshakeError
from ws4py.framing import OPCODE_TEXT
from ws4py.limits import Limits
from ws4py.state import State
from ws4py.websocket import EchoWebSocket, WebSocket

KIB, MIB = 1024, 1024 * 1024

needs_peers = unittest.skipIf(websockets_server is None, 'websockets is not installed')


class Client(TornadoWebSocketClient):
    """Writes down which of its hooks were called, with what."""

    def _prepare(self) -> None:
        super()._prepare()
        self.calls: list[tuple[Any, ...]] = self.__dict__.get('calls', [])

    def opened(self) -> None:
        self.calls.append(('opened',))

    def received_message(self, message: Any) -> None:
        self.calls.append(('message', str(message) if message.is_text else message.data))

    def ponged(self, pong: Any) -> None:
        self.calls.append(('pong', pong.data))

    def closed(self, code: int, reason: Any = None) -> None:
        self.calls.append(('closed', code, reason))

    def named(self, *names: str) -> list[tuple[Any, ...]]:
        return [call for call in self.calls if call[0] in names]


def echo(sock: socket.socket) -> None:
    """A server of the other half of this package."""
    sock.sendall(response_to(read_request(sock)))
    EchoWebSocket(sock).run()


class Quiet(unittest.TestCase):
    """Nothing is written on the standard error output; assertLogs() hears everything."""

    def setUp(self) -> None:
        for name in ('ws4py', 'tornado'):
            quiet = logging.NullHandler()
            logging.getLogger(name).addHandler(quiet)
            self.addCleanup(logging.getLogger(name).removeHandler, quiet)


class ClientCase(Quiet, unittest.IsolatedAsyncioTestCase):
    async def asyncSetUp(self) -> None:
        asyncio.get_running_loop().slow_callback_duration = TIMEOUT  # the machine may be busy

    async def end(self, client: Any) -> None:
        if client._driver is not None:
            client.abort(1006, 'the test is over')
            await until(lambda: client.sock is None)
        else:
            client.close_connection()

    def serve(self, script: Any = echo, **options: Any) -> str:
        server = ScriptedServer(script, **options)
        server.__enter__()
        self.addCleanup(server.__exit__, None, None, None)
        return f'ws://127.0.0.1:{server.port}/'

    def make(self, url: str, cls: Any = Client, **options: Any) -> Any:
        client = cls(url, **options)
        self.addAsyncCleanup(self.end, client)  # before the server, which would wait for it
        return client

    async def connect(self, url: str, cls: Any = Client, **options: Any) -> Any:
        client = self.make(url, cls, **options)
        await asyncio.wait_for(client.connect(), TIMEOUT)
        return client

    async def over(self, client: Any) -> tuple[int, Any]:
        """How it was closed, once it was."""
        await until(lambda: client.named('closed'))
        await until(lambda: client.io is None)
        ((_, code, reason),) = client.named('closed')
        return code, reason

    async def received(self, client: Any, count: int) -> list[Any]:
        await until(lambda: len(client.named('message')) >= count)
        return [message for _, message in client.named('message')]


class Connections(ClientCase):
    async def test_connect_and_close(self) -> None:
        client = self.make(self.serve())
        self.assertIsNone(client.sock)
        connecting = client.connect()
        with self.assertRaisesRegex(RuntimeError, 'connecting already'):
            client.connect()
        self.assertIsNone(await connecting)
        self.assertIs(client.io_loop, IOLoop.current())
        self.assertIsInstance(client.io, IOStream)
        self.assertEqual(client.state, State.OPEN)
        self.assertEqual(client.peer_address, ('127.0.0.1', client.port))
        await until(lambda: client.calls == [('opened',)])
        with self.assertRaises(RuntimeError):
            client.connect()
        for message in ('hello', '', b'', b'\0\1', 'x' * MIB):
            client.send(message, isinstance(message, bytes))
        self.assertEqual(await self.received(client, 5), ['hello', '', b'', b'\0\1', 'x' * MIB])
        client.send(part for part in ('a', 'b', 'c'))
        client.ping(b'there?')
        self.assertEqual((await self.received(client, 6))[-1], 'abc')
        await until(lambda: client.named('pong') == [('pong', b'there?')])
        client.close(4000, 'bye')
        self.assertEqual(await self.over(client), (4000, b'bye'))
        self.assertEqual(client.state, State.CLOSED)

    async def test_what_was_negotiated(self) -> None:
        server = ScriptedServer(
            say(lambda request: response_to(request, 'Sec-WebSocket-Protocol: b', 'Sec-WebSocket-Extensions: x'))
        )
        with server:
            client = await self.connect(
                f'ws://127.0.0.1:{server.port}/room?a=b',
                protocols=['a', 'b'],
                extensions=['x; y=1'],
                headers=[('X-Name', 'ann')],
                exclude_headers=['Origin'],
                heartbeat_freq=7,
            )
            self.assertEqual((client.protocols, client.extensions, client.heartbeat_freq), ([b'b'], [b'x'], 7))
            await self.over(client)

    async def test_frames_in_the_segment_of_the_response(self) -> None:
        frames = b''.join(frame(OPCODE_TEXT, b'%d' % number) for number in range(100)) + close_frame(1001)

        def script(sock: socket.socket) -> None:
            sock.sendall(response_to(read_request(sock)) + frames)
            sock.recv(KIB)  # the answer to the Close frame
            sock.shutdown(socket.SHUT_RDWR)

        client = await self.connect(self.serve(script))
        self.assertEqual(await self.over(client), (1001, b''))
        self.assertEqual([message for _, message in client.named('message')], [str(number) for number in range(100)])

    async def test_byte_by_byte_and_after_an_interim_response(self) -> None:
        def script(sock: socket.socket) -> None:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            answer = b'HTTP/1.1 103 Early Hints\r\n\r\n' + response_to(read_request(sock))
            answer += frame(OPCODE_TEXT, b'hello')
            for at in range(len(answer)):
                sock.sendall(answer[at : at + 1])
            read_all(sock)

        client = await self.connect(self.serve(script))
        self.assertEqual(await self.received(client, 1), ['hello'])

    async def test_on_a_unix_socket(self) -> None:
        if not hasattr(socket, 'AF_UNIX'):
            self.skipTest('there are no Unix sockets here')
        with tempfile.TemporaryDirectory() as directory:
            path = os.path.join(directory, 'sock')
            server = ScriptedServer(echo, family=socket.AF_UNIX, address=path)
            with server:
                client = await self.connect(f'ws+unix://{path}')
                client.send('hello')
                self.assertEqual(await self.received(client, 1), ['hello'])
                client.close()
                self.assertEqual(await self.over(client), (1000, b''))

    async def test_a_server_that_does_not_read(self) -> None:
        go = threading.Event()

        def script(sock: socket.socket) -> None:
            sock.sendall(response_to(read_request(sock)))
            go.wait(TIMEOUT)
            Sink(sock).run()

        class Sink(WebSocket):
            def received_message(self, message: Any) -> None:
                self.send(str(len(message.data)))

        client = await self.connect(self.serve(script), limits=Limits(write_high_water=256 * KIB))
        sent: list[int] = []

        def send() -> None:
            for number in range(30):
                client.send(bytes(MIB), True)
                sent.append(number)

        thread = threading.Thread(target=send)
        thread.start()
        await until(lambda: client.watched[1])
        self.assertLess(len(sent), 29)
        self.assertLess(client._outbox.size, 2 * MIB)
        go.set()
        self.assertEqual(await self.received(client, 30), [str(MIB)] * 30)
        await asyncio.get_running_loop().run_in_executor(None, thread.join)
        client.close()
        self.assertEqual(await self.over(client), (1000, b''))

    async def test_a_server_that_is_gone(self) -> None:
        def script(sock: socket.socket) -> None:
            sock.sendall(response_to(read_request(sock)) + frame(OPCODE_TEXT, b'hello')[:3])
            sock.shutdown(socket.SHUT_RDWR)

        client = await self.connect(self.serve(script))
        self.assertEqual(await self.over(client), (1006, 'Going away'))

    async def test_what_a_hook_raises(self) -> None:
        class Broken(Client):
            async def received_message(self, message: Any) -> None:
                raise ZeroDivisionError

        client = await self.connect(self.serve(), Broken)
        with self.assertLogs('ws4py', 'ERROR') as logs:
            client.send('hello')
            self.assertEqual((await self.over(client))[0], 1011)
        self.assertIn('ZeroDivisionError', logs.output[0])

    async def test_hooks_that_are_coroutines(self) -> None:
        class Async(Client):
            async def opened(self) -> None:
                await asyncio.sleep(0)
                self.send('from opened')

            async def closed(self, code: int, reason: Any = None) -> None:
                await asyncio.sleep(0)
                self.calls.append(('closed', code, reason))

        client = await self.connect(self.serve(), Async)
        self.assertEqual(await self.received(client, 1), ['from opened'])
        client.close()
        self.assertEqual(await self.over(client), (1000, b''))

    async def test_connecting_again_in_closed(self) -> None:
        class Persistent(Client):
            url_of_mine = ''

            def closed(self, code: int, reason: Any = None) -> None:
                super().closed(code, reason)
                if len(self.named('closed')) < 3:
                    self.__init__(self.url_of_mine)  # type: ignore[misc]
                    self.connect()

        Persistent.url_of_mine = self.serve()
        client = await self.connect(Persistent.url_of_mine, Persistent)
        for count in (1, 2, 3):
            await until(lambda: len(client.named('opened')) == count)  # noqa: B023
            client.send('hello')
            await self.received(client, count)
            client.close()
            await until(lambda: len(client.named('closed')) == count)  # noqa: B023
        await until(lambda: client.io is None)

    async def test_again_while_it_is_connected(self) -> None:
        url = self.serve()
        client = await self.connect(url)
        first = client.io
        client.__init__(url)
        await client.connect()
        self.assertTrue(first.closed())
        client.send('hello')
        self.assertEqual(await self.received(client, 1), ['hello'])
        self.assertEqual(client.named('closed'), [])

    async def test_its_end_can_be_waited_for(self) -> None:
        class Slow(Client):
            async def closed(self, code: int, reason: Any = None) -> None:  # type: ignore[override]
                await asyncio.sleep(0)
                super().closed(code, reason)

        client = await self.connect(self.serve(), Slow)
        client.close()
        await asyncio.wait_for(client.wait_closed(), TIMEOUT)
        self.assertEqual((client.sock, client.named('closed')), (None, [('closed', 1000, b'')]))
        await asyncio.wait_for(client.wait_closed(), TIMEOUT)

    async def test_nobody_waits_any_longer_when_it_begins_again(self) -> None:
        client = await self.connect(self.serve())
        waiting = asyncio.ensure_future(client.wait_closed())
        await asyncio.sleep(0)
        client.__init__(client.url)
        await asyncio.wait_for(waiting, TIMEOUT)


class Failures(ClientCase):
    async def fails(self, url: str, error: Any, text: str = '', **options: Any) -> None:
        client = self.make(url, **options)
        with self.assertRaisesRegex(error, text):
            await asyncio.wait_for(client.connect(), TIMEOUT)
        self.assertEqual((client.sock, client.io, client.state, client.calls), (None, None, State.CLOSED, []))

    async def test_nobody_listens(self) -> None:
        await self.fails(f'ws://127.0.0.1:{free_port()}/', ConnectionRefusedError)
        await self.fails('ws+unix:///there/is/none', FileNotFoundError)

    async def test_a_name_without_address(self) -> None:
        with mock.patch.object(asyncio.get_running_loop(), 'getaddrinfo', side_effect=socket.gaierror('unknown')):
            await self.fails('ws://nowhere.test/', socket.gaierror)

        async def nothing(*args: Any, **options: Any) -> list[Any]:
            return []

        with mock.patch.object(asyncio.get_running_loop(), 'getaddrinfo', nothing):
            await self.fails('ws://nowhere.test/', OSError, 'has no address')

    async def test_every_address_is_tried(self) -> None:
        url = self.serve()
        port = int(url.rpartition(':')[2].strip('/'))
        stream = socket.SOCK_STREAM

        async def resolve(*args: Any, **options: Any) -> list[Any]:
            return [(socket.AF_INET, stream, 6, '', ('127.0.0.1', p)) for p in (free_port(), free_port(), port)]

        with mock.patch.object(asyncio.get_running_loop(), 'getaddrinfo', resolve):
            client = await self.connect('ws://somewhere.test/')
        self.assertEqual(client.peer_address, ('127.0.0.1', port))

    async def test_timeouts(self) -> None:
        async def forever(*args: Any, **options: Any) -> None:
            await asyncio.Event().wait()

        limits = Limits(connect_timeout=0.02, handshake_timeout=0.05)
        loop = asyncio.get_running_loop()
        with mock.patch.object(loop, 'getaddrinfo', forever):
            await self.fails('ws://localhost/', TimeoutError, 'was not resolved within 0.02 s', limits=limits)
        with mock.patch.object(loop, 'sock_connect', forever):
            await self.fails('ws://127.0.0.1/', TimeoutError, 'no connection to .* within 0.02 s', limits=limits)
        await self.fails(self.serve(read_all), HandshakeError, 'not done within 0.05 s', limits=limits)
        url = self.serve(read_all).replace('ws:', 'wss:')
        await self.fails(url, HandshakeError, 'not done within 0.05 s', limits=limits)
        over = Limits(handshake_timeout=1e-9)  # before the first byte, as when the certificates take long to load
        await self.fails(self.serve(read_all), HandshakeError, 'not done within 1e-09 s', limits=over)

    async def test_answers(self) -> None:
        def answer(*args: Any, **options: Any) -> Any:
            return say(lambda request: response_to(request, *args, **options))

        for name, script, text in (
            ('another status', say(b'HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n'), '404 Not Found'),
            ('no accept', answer(leave_out='Sec-WebSocket-Accept'), 'Sec-WebSocket-Accept'),
            ('two accepts', answer('Sec-WebSocket-Accept: abc'), 'Sec-WebSocket-Accept'),
            ('no upgrade', answer(leave_out='Upgrade'), 'Upgrade'),
            ('a protocol', answer('Sec-WebSocket-Protocol: z'), 'Sec-WebSocket-Protocol'),
            ('garbage', say(b'SSH-2.0-OpenSSH\r\n\r\n'), 'SSH'),
            ('a flood', say(b'HTTP/1.1 101 X\r\n' + b'X: y\r\n' * 20_000), 'head of more than'),
            ('endless interim answers', say(b'HTTP/1.1 100 Continue\r\n\r\n' * 5000), 'interim'),
            ('an end', say(b''), 'without a word'),
            ('an end in the head', say(b'HTTP/1.1 101'), 'in the middle of a head'),
        ):
            with self.subTest(name):
                await self.fails(self.serve(script), HandshakeError, text, protocols=['a'])

    async def test_a_reset(self) -> None:
        def script(sock: socket.socket) -> None:
            sock.recv(1)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b'\1\0\0\0\0\0\0\0')
            sock.close()

        await self.fails(self.serve(script), HandshakeError, 'broke off: .*reset')

    async def test_what_cannot_be_sent(self) -> None:
        client = self.make('ws://localhost/')
        client.resource = '/\r\nX: y'
        with self.assertRaises(ValueError):
            client.connect()
        self.assertEqual(client.state, State.CONNECTING)


class NobodyWaits(ClientCase):
    """connect() without await, as in programs for ws4py 0.x."""

    async def test_success(self) -> None:
        client = self.make(self.serve())
        client.connect()
        await until(lambda: client.calls == [('opened',)])

    async def test_a_failure_is_logged_and_ends_in_closed(self) -> None:
        client = self.make(f'ws://127.0.0.1:{free_port()}/')
        with self.assertLogs('ws4py', 'ERROR') as logs:
            connecting = client.connect()
            code, reason = await self.over(client)
        self.assertEqual(code, 1006)
        self.assertIn('Connect call failed', reason)
        self.assertIn(f'no connection to {client.url}: ', logs.output[0])
        self.assertNotIn('Traceback', logs.output[0])
        self.assertEqual((client.close_code, client.named('opened')), (1006, []))
        with self.assertRaises(ConnectionRefusedError):  # who asks later is told as well
            await connecting

    async def test_a_failure_of_the_program_has_its_traceback(self) -> None:
        client = self.make(self.serve())
        client.process_response_line = None
        with self.assertLogs('ws4py', 'ERROR') as logs:
            client.connect()
            await self.over(client)
        self.assertIn('Traceback', logs.output[0])

    async def test_closed_may_be_a_coroutine_then_too(self) -> None:
        class Async(Client):
            async def closed(self, code: int, reason: Any = None) -> None:
                await asyncio.sleep(0)
                self.calls.append(('closed', code, reason))

        client = self.make(f'ws://127.0.0.1:{free_port()}/', Async)
        client.connect()
        self.assertEqual((await self.over(client))[0], 1006)
        await until(lambda: client.stream is None)

    async def test_closed_may_connect_again(self) -> None:
        class Persistent(Client):
            def closed(self, code: int, reason: Any = None) -> None:
                super().closed(code, reason)
                if len(self.named('closed')) == 1:
                    self.__init__(url)  # type: ignore[misc]
                    self.connect()

        url = self.serve()
        client = self.make(f'ws://127.0.0.1:{free_port()}/', Persistent)
        client.connect()
        await until(lambda: client.named('opened'))
        client.send('hello')
        self.assertEqual(await self.received(client, 1), ['hello'])


class GivingUp(ClientCase):
    """A server that never answers."""

    def silent(self, cls: Any = Client) -> tuple[Any, threading.Event]:
        came = threading.Event()

        def script(sock: socket.socket) -> None:
            came.set()
            read_all(sock)

        return self.make(self.serve(script), cls), came

    async def test_the_future_is_cancelled(self) -> None:
        client, came = self.silent()
        connecting = client.connect()
        await until(came.is_set)
        connecting.cancel()
        await until(lambda: client.state is State.CLOSED)
        self.assertTrue(connecting.cancelled())
        self.assertEqual(client.calls, [])

    async def test_the_future_is_cancelled_at_once(self) -> None:
        client, _ = self.silent()
        connecting = client.connect()
        connecting.cancel()
        await asyncio.sleep(0.01)
        self.assertEqual((client.state, client.io), (State.CONNECTING, None))
        client.__init__(client.url)
        self.assertIsNone(client._attempt)

    async def test_who_waits_has_had_enough(self) -> None:
        client, _ = self.silent()
        with self.assertRaises(asyncio.TimeoutError):
            await asyncio.wait_for(client.connect(), 0.05)
        await until(lambda: client.state is State.CLOSED)
        self.assertEqual(client.calls, [])

    async def test_close(self) -> None:
        for early in (False, True):
            with self.subTest(early=early):
                client, came = self.silent()
                connecting = client.connect()
                connecting.add_done_callback(lambda future: None)
                if not early:
                    await until(came.is_set)
                client.close()
                with self.assertRaisesRegex(HandshakeError, 'the client was closed'):
                    await connecting
                self.assertEqual((client.state, client.calls), (State.CLOSED, []))

    async def test_close_when_the_handshake_is_just_done(self) -> None:
        """There is nothing yet that a Close frame could be written to; nor is one that was not sent waited for."""

        class Hasty(Client):
            limits = Limits(close_timeout=1000)

            def _feed_response(self, data: bytes) -> bool:
                done = super()._feed_response(data)
                self.close(1001)
                return done

        client = self.make(self.serve(), Hasty)
        try:
            await asyncio.wait_for(client.connect(), TIMEOUT)
        except HandshakeError as error:
            self.assertIn('the client was closed', str(error))
        else:  # connect() has been quicker
            self.assertEqual(await self.over(client), (1001, b''))
        await asyncio.wait_for(client.wait_closed(), TIMEOUT)
        self.assertEqual((client.sock, client.closed_by_us), (None, True))

    async def test_a_close_that_is_heard_of_when_it_is_connected(self) -> None:
        client = await self.connect(self.serve())
        another = tornadoclient._Attempt()
        another.set_result(None)
        client._close_attempt(another, 1000, 'of another one')
        client._close_attempt(client._attempt, 1001, 'late')
        self.assertEqual(await self.over(client), (1001, b'late'))

    async def test_close_when_nobody_waits(self) -> None:
        client, came = self.silent()
        client.connect()
        await until(came.is_set)
        await asyncio.get_running_loop().run_in_executor(None, client.close)
        code, reason = await self.over(client)
        self.assertEqual(code, 1006)
        self.assertIn('the client was closed', reason)

    async def test_again_while_it_connects(self) -> None:
        client, came = self.silent()
        connecting = client.connect()
        await until(came.is_set)
        client.__init__(self.serve())
        await client.connect()
        client.send('hello')
        self.assertEqual(await self.received(client, 1), ['hello'])
        self.assertFalse(connecting.done() and not connecting.cancelled())
        self.assertEqual(client.named('closed'), [])

    async def test_a_cancellation_that_is_not_heard(self) -> None:
        """As asyncio.wait_for() has it up to Python 3.11, when what it waits for is done at that moment."""

        async def deaf(awaitable: Any, timeout: Any) -> Any:
            result = await awaitable
            if client.state is State.OPEN:
                connecting.stop()
                with contextlib.suppress(asyncio.CancelledError):
                    await asyncio.sleep(0)
            return result

        client = self.make(self.serve())
        connecting: Any = client.connect()
        with mock.patch.object(tornadoclient.asyncio, 'wait_for', deaf), self.assertRaises(HandshakeError):
            await connecting
        self.assertEqual((client.state, client.sock, client.calls), (State.CLOSED, None, []))


@needs_certificates
class TLS(ClientCase):
    def url(self, script: Any = echo, name: str = 'localhost', **options: Any) -> str:
        context = support_tls.server_context(*options.pop('names', ()), **options)

        def secure(sock: socket.socket) -> None:
            sock.settimeout(TIMEOUT)
            with contextlib.suppress(OSError), context.wrap_socket(sock, server_side=True) as tls:
                script(tls)

        return self.serve(secure).replace('ws://127.0.0.1', f'wss://{name}')

    def plain(self, script: Any) -> str:
        return self.serve(script).replace('ws:', 'wss:')

    async def test_verified(self) -> None:
        for options in ({'ca_certs': support_tls.authority_file()}, {'ssl_context': support_tls.client_context()}):
            client = await self.connect(self.url(), ssl_options=options)
            self.assertIsInstance(client.io, SSLIOStream)
            self.assertTrue(client._is_secure)
            client.send('x' * MIB)
            self.assertEqual(await self.received(client, 1), ['x' * MIB])
            client.close()
            self.assertEqual(await self.over(client), (1000, b''))

    async def test_refused(self) -> None:
        trusted = {'ca_certs': support_tls.authority_file()}
        for name, url, options, error in (
            ('unknown authority', self.url(), {}, ssl.SSLCertVerificationError),
            ('another name', self.url(names=('elsewhere.test',)), trusted, ssl.SSLCertVerificationError),
            ('expired', self.url(expired=True), trusted, ssl.SSLCertVerificationError),
            (
                'no TLS',
                self.serve(lambda sock: sock.sendall(b'HTTP/1.1 400 X')).replace('ws:', 'wss:'),
                trusted,
                OSError,
            ),
            (
                'an end',
                self.serve(lambda sock: sock.shutdown(socket.SHUT_RDWR)).replace('ws:', 'wss:'),
                trusted,
                OSError,
            ),
            ('no file', self.url(), {'ca_certs': '/there/is/none'}, UnusableOptionsError),
        ):
            with self.subTest(name):
                client = self.make(url, ssl_options=options)
                with self.assertRaises(error):
                    await asyncio.wait_for(client.connect(), TIMEOUT)
                self.assertEqual((client.sock, client.io), (None, None))

    async def test_a_name_of_ones_own(self) -> None:
        options = {'ca_certs': support_tls.authority_file(), 'server_hostname': 'elsewhere.test'}
        await self.connect(self.url(names=('elsewhere.test',)), ssl_options=options)


@needs_peers
class ForeignServers(ClientCase):
    async def scenario(self, url: str, options: Optional[dict[str, Any]] = None) -> None:
        client = await self.connect(url, protocols=['chat'], ssl_options=options)
        self.assertEqual(client.protocols, [b'chat'])
        messages = ['hello', '', b'', b'\0\1', 'x' * MIB, bytes(16 * MIB)]
        for message in messages:
            client.send(message, isinstance(message, bytes))
            await asyncio.sleep(0)
        self.assertEqual(await self.received(client, len(messages)), messages)
        client.send(part for part in ('a', 'b', 'c'))
        self.assertEqual((await self.received(client, 7))[-1], 'abc')
        client.close(4000, 'bye')
        code, reason = await self.over(client)
        self.assertEqual((code, reason or b'bye'), (4000, b'bye'))  # Tornado's answer has the code only
        client = await self.connect(url, protocols=['chat'], ssl_options=options)
        client.send('close')
        self.assertEqual(await self.over(client), (4001, b'so long'))

    def tls(self) -> tuple[Any, dict[str, Any]]:
        return support_tls.server_context(), {'ca_certs': support_tls.authority_file()}

    async def websockets(self, context: Any, scheme: str, options: Optional[dict[str, Any]]) -> None:
        async def handler(connection: Any) -> None:
            async for message in connection:
                if message == 'close':
                    await connection.close(4001, 'so long')
                else:
                    await connection.send(message)

        serve = websockets_server.serve(
            handler, '127.0.0.1', 0, ssl=context, max_size=None, subprotocols=['chat'], compression=None
        )
        async with serve as server:
            port = server.sockets[0].getsockname()[1]
            await self.scenario(f'{scheme}://localhost:{port}/', options)

    async def tornado(self, context: Any, scheme: str, options: Optional[dict[str, Any]]) -> None:
        class Handler(WebSocketHandler):
            def check_origin(self, origin: str) -> bool:
                return True

            def select_subprotocol(self, subprotocols: list[str]) -> Optional[str]:
                return subprotocols[0]

            def on_message(self, message: Any) -> None:
                if message == 'close':
                    self.close(4001, 'so long')
                else:
                    self.write_message(message, binary=isinstance(message, bytes))

        application = Application([('/', Handler)], websocket_max_message_size=16 * MIB)
        server = HTTPServer(application, ssl_options=context)
        sockets = bind_sockets(0, '127.0.0.1')
        server.add_sockets(sockets)
        try:
            await self.scenario(f'{scheme}://localhost:{sockets[0].getsockname()[1]}/', options)
        finally:
            server.stop()
            await server.close_all_connections()

    async def test_websockets(self) -> None:
        await self.websockets(None, 'ws', None)

    @needs_certificates
    async def test_websockets_over_tls(self) -> None:
        context, options = self.tls()
        await self.websockets(context, 'wss', options)

    async def test_tornado(self) -> None:
        await self.tornado(None, 'ws', None)

    @needs_certificates
    async def test_tornado_over_tls(self) -> None:
        context, options = self.tls()
        await self.tornado(context, 'wss', options)


class Loops(Quiet):
    """Clients that are made before a loop runs."""

    def run_loop(self, loop: IOLoop, **options: Any) -> None:
        class Stopping(Client):
            def opened(self) -> None:
                self.send('hello')

            def received_message(self, message: Any) -> None:
                super().received_message(message)
                self.close()

            def closed(self, code: int, reason: Any = None) -> None:
                super().closed(code, reason)
                self.io_loop.add_callback(self.io_loop.stop)

        with ScriptedServer(echo) as server:
            client = Stopping(f'ws://127.0.0.1:{server.port}/', **options)
            self.assertIs(client.io_loop, loop)
            client.connect()
            loop.call_later(TIMEOUT, loop.stop)
            loop.start()
        self.assertEqual(client.calls, [('message', 'hello'), ('closed', 1000, b'')])

    def test_a_loop_that_is_given(self) -> None:
        loop = IOLoop(make_current=False)
        try:
            self.run_loop(loop, io_loop=loop)
        finally:
            loop.close(all_fds=True)

    def test_the_loop_of_the_thread(self) -> None:
        def run() -> None:
            asyncio.set_event_loop(asyncio.new_event_loop())
            loop = tornadoclient._current_loop()
            try:
                self.run_loop(loop)
                done.append(True)
            finally:
                asyncio.set_event_loop(None)
                loop.close(all_fds=True)

        done: list[bool] = []
        thread = threading.Thread(target=run)
        with warnings.catch_warnings():
            warnings.simplefilter('error')
            thread.start()
            thread.join(TIMEOUT)
        self.assertEqual(done, [True])


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(('127.0.0.1', 0))
        port: int = sock.getsockname()[1]
        return port


if __name__ == '__main__':
    unittest.main()
