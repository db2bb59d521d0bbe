"""The asyncio client against real servers: this package's, that of `websockets`, and scripted ones that misbehave."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import inspect
import os
import socket
import ssl
import tempfile
import threading
import time
import unittest
import warnings
import weakref
from collections.abc import Coroutine
from typing import Any, Callable, Optional
from unittest.mock import patch
from wsgiref.simple_server import make_server

import support_tls
from helpers import logs
from support_sockets import ScriptedServer, read_request, response_to, say
from support_tls import needs_certificates
from support_transport import until

from ws4py import async_websocket
from ws4py.client import WebSocketBaseClient
from ws4py.client.asyncioclient import WebSocketClient, connect
from ws4py.exc import HandshakeError, StreamClosed
from ws4py.handshake import accept_key
from ws4py.limits import Limits
from ws4py.server.wsgirefserver import WebSocketWSGIRequestHandler, WSGIServer
from ws4py.server.wsgiutils import WebSocketWSGIApplication
from ws4py.state import State
from ws4py.websocket import EchoWebSocket

try:
    import uvloop
except ImportError:
    uvloop = None

try:
    import websockets.asyncio.server as websockets_server
except ImportError:
    websockets_server = None

TIMEOUT = 10.0  # seconds
KEY = b'dGhlIHNhbXBsZSBub25jZQ=='
SHORT = Limits(connect_timeout=0.3, handshake_timeout=0.3)
MIB = 1024 * 1024
HELLO = b'\x81\x05hello'
CLOSE = b'\x88\x02\x03\xe8'


class Client(WebSocketClient):
    """Remembers what it was told."""

    def __init__(self, *args: Any, **options: Any) -> None:
        self.calls: list[Any] = []
        super().__init__(*args, **options)

    def handshake_ok(self) -> None:
        self.calls.append('ok')

    def opened(self) -> None:
        self.calls.append('opened')

    def received_message(self, message: Any) -> None:
        self.calls.append(message.data)

    def closed(self, code: int, reason: Any = None) -> None:
        self.calls.append((code, reason))


def echo(sock: Any, request: bytes) -> None:
    """Send everything back that comes, as frames of a server, up to a Close frame and that."""
    stream = sock.makefile('rwb')
    while True:
        head = stream.read(2)
        if len(head) < 2:
            return
        size = head[1] & 127
        extended = stream.read(2) if size == 126 else stream.read(8) if size == 127 else b''
        size = int.from_bytes(extended, 'big') if extended else size
        mask = stream.read(4)
        data = bytearray(stream.read(size))
        for at in range(len(data)):
            data[at] ^= mask[at % 4]
        stream.write(bytes([head[0], head[1] & 127]) + extended + data)
        stream.flush()
        if head[0] == 0x88:
            return


async def within(awaitable: Any, timeout: float = TIMEOUT) -> Any:
    return await asyncio.wait_for(awaitable, timeout)


class Case(unittest.TestCase):
    """Each test runs its coroutine on a loop of its own, in debug mode; what is left open is a failure."""

    def new_loop(self) -> asyncio.AbstractEventLoop:
        return asyncio.new_event_loop()

    def run_in_loop(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        loop = self.new_loop()
        errors: list[Any] = []
        loop.set_exception_handler(lambda loop, context: errors.append(context))
        loop.set_debug(True)
        loop.slow_callback_duration = TIMEOUT  # the machine may be busy
        asyncio.set_event_loop(loop)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter('always')
            try:
                result = loop.run_until_complete(asyncio.wait_for(coroutine, 6 * TIMEOUT))
                left = [task for task in asyncio.all_tasks(loop) if not task.cancelled()]
                for task in left:
                    task.cancel()
                loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
                loop.run_until_complete(asyncio.sleep(0.001))
                loop.run_until_complete(loop.shutdown_asyncgens())
            finally:
                loop.run_until_complete(loop.shutdown_default_executor())
                loop.close()
                asyncio.set_event_loop(None)
            gc.collect()
        self.assertEqual(errors, [])
        self.assertEqual([str(warning.message) for warning in caught], [])
        return result

    def serve(self, script: Callable[[Any], Any], **options: Any) -> ScriptedServer:
        server = ScriptedServer(script, **options)
        server.__enter__()
        self.addCleanup(server.__exit__, None, None, None)
        return server

    def url(self, script: Callable[[Any], Any], **options: Any) -> str:
        return f'ws://127.0.0.1:{self.serve(script, **options).port}/'

    def refuse(
        self, script: Callable[[Any], Any], text: str, kind: type[BaseException] = HandshakeError, **options: Any
    ) -> None:
        """Connecting to the scripted server fails, and nothing is left."""
        seen_end = threading.Event()

        def watched(sock: socket.socket) -> None:
            try:
                script(sock)
                while sock.recv(65536):
                    pass
            finally:
                seen_end.set()

        url = self.url(watched)

        async def main() -> None:
            client = Client(url, **options)
            with self.assertRaisesRegex(kind, text):
                await client.connect()
            self.assertIsNone(client.sock)
            self.assertEqual((client.state, client.calls), (State.CLOSED, []))
            with self.assertRaisesRegex(RuntimeError, 'is closed, call __init__ again'):
                await client.connect()
            await within(client.close())
            await within(client.wait_closed())

        begin = time.monotonic()
        self.run_in_loop(main())
        self.assertLess(time.monotonic() - begin, 5)
        self.assertTrue(seen_end.wait(TIMEOUT), 'the socket was not closed')


class Constructor(Case):
    def test_no_socket_and_no_name_is_looked_up(self) -> None:
        with patch('ws4py.client.socket') as module:
            client = WebSocketClient('ws://name.invalid:81/path', ['a'], None, None, None, [('X-A', 'b')], ['Origin'])
            self.assertEqual(module.mock_calls, [])
        self.assertEqual((client.sock, client.state), (None, State.CONNECTING))
        self.assertEqual((client.host, client.port, client.resource), ('name.invalid', 81, '/path'))
        self.assertIn(('X-A', 'b'), client.handshake_headers)
        self.assertNotIn('Origin', dict(client.handshake_headers))

    def test_same_arguments_as_every_client(self) -> None:
        self.assertEqual(inspect.signature(WebSocketClient), inspect.signature(WebSocketBaseClient))
        self.assertTrue(issubclass(WebSocketClient, async_websocket.WebSocket))

    def test_what_is_wrong_is_said_by_the_call(self) -> None:
        for arguments, options in (
            (('http://example.test/',), {}),
            (('ws://example.test/', ['a\r\nb']), {}),
            (('ws://example.test/',), {'headers': [('X', 'a\0')]}),
        ):
            with self.subTest(arguments), self.assertRaises(ValueError):
                connect(*arguments, **options)
        with self.assertRaises(TypeError):
            connect('wss://example.test/', ssl_options={'ssl_version': 2})
        with self.assertRaises(TypeError):
            connect('ws://example.test/', verify=False)

    def test_what_is_wrong_by_then_is_said_before_anything_is_sent(self) -> None:
        requests: list[bytes] = []
        url = self.url(lambda sock: requests.append(sock.recv(65536)))

        async def main() -> None:
            client = WebSocketClient(url)
            client.resource = '/a\r\nX: y'
            with self.assertRaises(ValueError):
                await client.connect()
            self.assertIs(client.state, State.CLOSED)

        self.run_in_loop(main())
        self.assertEqual(requests, [])


class Connected(Case):
    def test_as_a_context(self) -> None:
        async def main() -> None:
            async with connect(self.url(say(then=echo))) as ws:
                self.assertIsInstance(ws, WebSocketClient)
                await ws.send('one')
                ws.send(b'two', True)
                self.assertEqual([str(await ws.recv()), (await ws.recv()).data], ['one', b'two'])
            self.assertEqual((ws.close_code, ws.close_reason, ws.state, ws.sock), (1000, b'', State.CLOSED, None))

        self.run_in_loop(main())

    def test_awaited(self) -> None:
        async def main() -> None:
            ws = await connect(self.url(say(then=echo)))
            await ws.send('one')
            async for message in ws:
                self.assertEqual(str(message), 'one')
                ws.close(4000, 'bye')
                break
            with self.assertRaises(StreamClosed) as caught:
                await ws.recv()
            self.assertEqual((caught.exception.code, caught.exception.reason), (4000, 'bye'))
            await ws.wait_closed()

        self.run_in_loop(main())

    def test_a_context_that_raises(self) -> None:
        async def main() -> None:
            url = self.url(say(then=echo))
            with self.assertRaises(KeyError):
                async with connect(url) as ws:
                    raise KeyError
            self.assertEqual(ws.close_code, 1011)

            async def cancelled() -> None:
                async with connect(url) as ws:
                    self.ws = ws
                    await ws.recv()

            task = asyncio.ensure_future(cancelled())
            await until(lambda: task.done() or (hasattr(self, 'ws') and self.ws._inbox.reader))
            task.cancel()
            with self.assertRaises(asyncio.CancelledError):
                await task
            self.assertEqual(self.ws.close_code, 1001)

        self.run_in_loop(main())

    def test_a_context_that_is_not_waited_for(self) -> None:
        async def main() -> None:
            async def silent() -> None:
                async with connect(url) as ws:
                    self.ws = ws

            url = self.url(say(then=lambda sock, request: sock.recv(1) and sock.recv(1000) and sock.recv(1)))
            task = asyncio.ensure_future(silent())
            await until(lambda: hasattr(self, 'ws') and self.ws.state is State.CLOSE_SENT)
            task.cancel()
            with self.assertRaises(asyncio.CancelledError):
                await task
            await within(self.ws.wait_closed())
            self.assertIs(self.ws.state, State.CLOSED)

        self.run_in_loop(main())

    def test_hooks(self) -> None:
        def script(request: bytes) -> bytes:
            return response_to(request) + HELLO + b'\x82\x01a' + CLOSE

        async def main() -> None:
            client = await connect(self.url(say(script)), client_cls=Client)
            await within(client.wait_closed())
            self.assertEqual(client.calls, ['ok', 'opened', b'hello', b'a', (1000, b'')])

        self.run_in_loop(main())

    def test_hooks_that_are_coroutines(self) -> None:
        calls: list[Any] = []

        class Async(WebSocketClient):
            async def opened(self) -> None:
                await self.send('one')
                calls.append(str(await self.recv()))
                await self.close(4000)
                calls.append('answered')

            async def closed(self, code: int, reason: Any = None) -> None:
                await asyncio.sleep(0)
                calls.append(code)

        async def main() -> None:
            client = Async(self.url(say(then=echo)))
            await client.connect()
            await within(client.wait_closed())

        self.run_in_loop(main())
        self.assertEqual(calls, ['one', 'answered', 4000])

    def test_bytes_of_the_handshakes_segment_in_every_way_they_may_be_cut(self) -> None:
        for cut in (1, 60, 129, 130, 131, 133):

            def script(sock: socket.socket, cut: int = cut) -> None:
                data = response_to(read_request(sock)) + HELLO + CLOSE
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                sock.sendall(data[:cut])
                sock.sendall(data[cut:])
                sock.shutdown(socket.SHUT_WR)
                while sock.recv(1000):
                    pass

            async def main(script: Any = script) -> None:
                async with connect(self.url(script)) as ws:
                    self.assertEqual([str(message) async for message in ws], ['hello'])

            with self.subTest(cut):
                self.run_in_loop(main())

    def test_interim_responses_are_passed_over(self) -> None:
        interim = b'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </style.css>\r\n\r\n'

        async def main() -> None:
            url = self.url(say(lambda request: interim + response_to(request) + HELLO + CLOSE))
            async with connect(url) as ws:
                self.assertEqual(str(await ws.recv()), 'hello')

        self.run_in_loop(main())

    def test_request_and_what_was_negotiated(self) -> None:
        requests: list[bytes] = []

        class Own(WebSocketClient):
            @property
            def handshake_headers(self) -> list[tuple[str, str]]:
                return [*super().handshake_headers, ('X-Token', 'yes')]

        def script(request: bytes) -> bytes:
            requests.append(request)
            return response_to(request, 'Sec-WebSocket-Protocol: b', 'Sec-WebSocket-Extensions: x; y=1') + CLOSE

        async def main() -> None:
            url = self.url(say(script))
            client = Own(url, ['a', 'b'], ['x; y=1'], headers=[('X-More', '1')], exclude_headers=['origin'])
            client.resource, client.key = '/mine', KEY
            expected = client.handshake_request
            await client.connect()
            self.assertEqual((client.protocols, client.extensions), ([b'b'], [b'x; y=1']))
            self.assertEqual(client.peer_address, ('127.0.0.1', client.port))
            await within(client.wait_closed())
            self.assertEqual(requests, [expected])
            self.assertIn(b'\r\nX-Token: yes\r\n', expected)

        self.run_in_loop(main())

    def test_names_and_addresses(self) -> None:
        async def main() -> None:
            url = self.url(say(lambda request: response_to(request) + CLOSE))
            async with connect(url.replace('127.0.0.1', 'localhost')) as ws:
                self.assertEqual(ws.peer_address[0], '127.0.0.1')
            if socket.has_ipv6:
                server = self.serve(say(lambda request: response_to(request) + CLOSE), family=socket.AF_INET6)
                async with connect(f'ws://[::1]:{server.port}/') as ws:
                    self.assertEqual(ws.peer_address, ('::1', server.port))

        self.run_in_loop(main())

    @unittest.skipUnless(hasattr(socket, 'AF_UNIX'), 'no Unix sockets')
    def test_unix(self) -> None:
        async def main() -> None:
            with tempfile.TemporaryDirectory() as directory:
                path = os.path.join(directory, 'my.sock')
                with ScriptedServer(say(then=echo), family=socket.AF_UNIX, address=path):
                    async with connect(f'ws+unix://{path}') as ws:
                        self.assertEqual(ws.peer_address, path)
                        await ws.send('one')
                        self.assertEqual(str(await ws.recv()), 'one')
                os.unlink(path)
                with self.assertRaises(FileNotFoundError):
                    await connect(f'ws+unix://{path}')

        self.run_in_loop(main())

    def test_without_limits_of_time(self) -> None:
        limits = Limits(connect_timeout=None, handshake_timeout=None)

        async def main() -> None:
            async with connect(self.url(say(then=echo)), limits=limits) as ws:
                self.assertIs(ws.limits, limits)

        self.run_in_loop(main())

    def test_twice(self) -> None:
        async def main() -> None:
            client = Client(self.url(say(then=echo)))
            connecting = asyncio.ensure_future(client.connect())
            await asyncio.sleep(0)
            with self.assertRaisesRegex(RuntimeError, 'is connecting already'):
                await client.connect()
            await connecting
            with self.assertRaisesRegex(RuntimeError, 'is open, call __init__ again'):
                await client.connect()
            self.assertIs(client.state, State.OPEN)
            await client.close()

        self.run_in_loop(main())

    def test_connect_again_in_closed(self) -> None:
        ends: list[int] = []

        class Stubborn(WebSocketClient):
            def closed(self, code: int, reason: Any = None) -> None:
                ends.append(code)
                if len(ends) < 3:
                    self.__init__(self.url)  # type: ignore[misc]
                    self.task = asyncio.ensure_future(self.connect())

        class Patient(WebSocketClient):
            async def closed(self, code: int, reason: Any = None) -> None:
                ends.append(code)
                if len(ends) < 3:
                    self.__init__(self.url)  # type: ignore[misc]
                    await self.connect()

        async def main(cls: Any) -> None:
            ends.clear()
            url = self.url(say(lambda request: response_to(request) + HELLO + b'\x88\x02\x0f\xa0'))
            client = await connect(url, client_cls=cls)
            await until(lambda: len(ends) == 3)
            await within(client.wait_closed())
            self.assertEqual((ends, client.state), ([4000] * 3, State.CLOSED))

        for cls in (Stubborn, Patient):
            with self.subTest(cls.__name__):
                self.run_in_loop(main(cls))

    def test_init_again_lets_go_of_what_there_is(self) -> None:
        async def main() -> None:
            url = self.url(say(then=echo))
            client = Client(url, limits=Limits(ping_interval=60))
            await client.connect()
            waiting = asyncio.ensure_future(client.wait_closed())
            await asyncio.sleep(0)
            client.__init__(url)  # type: ignore[misc]
            await within(waiting)
            await client.connect()
            self.assertEqual(client.calls, ['ok', 'opened'])
            await client.send('one')
            await until(lambda: b'one' in client.calls)
            await client.close()
            self.assertEqual(client.calls, ['ok', 'opened', b'one', (1000, b'')])

        self.run_in_loop(main())

    def test_init_again_while_it_is_connecting(self) -> None:
        async def main() -> None:
            client = Client(self.url(lambda sock: sock.recv(65536) and sock.recv(1)))
            for pauses, script in ((1, lambda sock: sock.recv(65536) and sock.recv(1)), (30, say(then=echo))):
                connecting = asyncio.ensure_future(client.connect())
                for _ in range(pauses):
                    await asyncio.sleep(0.001)
                client.__init__(self.url(script))  # type: ignore[misc]
                with self.assertRaisesRegex(HandshakeError, '__init__ was called again'):
                    await connecting
                self.assertIs(client.state, State.CONNECTING)
            await client.connect()
            await client.close()
            self.assertEqual(client.calls[-1], (1000, b''))

        self.run_in_loop(main())

    def test_close_gives_up_connecting(self) -> None:
        """At every step of it, nothing is left open."""

        async def main() -> None:
            url = self.url(lambda sock: sock.recv(65536) and sock.recv(1))
            for steps in range(40):
                client = Client(url)
                connecting = asyncio.ensure_future(client.connect())
                for _ in range(1 + steps):
                    await asyncio.sleep(0)
                await within(client.close())
                with self.assertRaisesRegex(HandshakeError, 'broke off: the client was closed'):
                    await connecting
                self.assertEqual((client.sock, client.state, client.calls), (None, State.CLOSED, []))

        self.run_in_loop(main())

    def test_nothing_is_left(self) -> None:
        async def main() -> Any:
            async with connect(self.url(say(then=echo))) as ws:
                await ws.send('one')
                await ws.recv()
            return weakref.ref(ws)

        reference = self.run_in_loop(main())
        gc.collect()
        self.assertIsNone(reference())


class Refused(Case):
    def test_answers(self) -> None:
        for response, text in (
            (b'HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno', '403 Forbidden'),
            (b'HTTP/1.1 200 OK\r\n\r\n', '200 OK'),
            (b'HTTP/1.1 302 Found\r\nLocation: ws://elsewhere/\r\n\r\n', '302 Found'),
            (b'SSH-2.0-OpenSSH\r\n\r\n', 'SSH-2.0-OpenSSH'),
            (b'HTTP/2.0 101 Switching Protocols\r\n\r\n', 'HTTP/2.0'),
            (b'HTTP/1.1 101 Switching Protocols\n\n', 'bare LF'),
        ):
            with self.subTest(response):
                self.refuse(say(response), text)

    def test_headers(self) -> None:
        for name in ('Upgrade', 'Connection', 'Sec-WebSocket-Accept'):
            with self.subTest(name):
                self.refuse(say(lambda request, name=name: response_to(request, leave_out=name)), f'{name} is missing')
        for line, text in (
            ('Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=', 'Sec-WebSocket-Accept'),  # a second one
            ('Upgrade: h2c', 'Upgrade'),
            ('Sec-WebSocket-Protocol: other', 'Sec-WebSocket-Protocol'),
            ('Sec-WebSocket-Extensions: other', 'Sec-WebSocket-Extensions'),
        ):
            with self.subTest(line):
                self.refuse(
                    say(lambda request, line=line: response_to(request, line)), text, protocols=['a'], extensions=['x']
                )
        wrong = f'Sec-WebSocket-Accept: {accept_key(KEY)}'
        self.refuse(say(lambda request: response_to(request, wrong, leave_out='Sec-WebSocket-Accept')), 'expected')

    def test_closed(self) -> None:
        def hang_up(sock: socket.socket) -> None:
            read_request(sock)
            sock.shutdown(socket.SHUT_RDWR)

        def reset(sock: socket.socket) -> None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b'\1\0\0\0\0\0\0\0')
            read_request(sock)
            sock.close()

        self.refuse(hang_up, 'broke off: the connection was closed without a word')
        self.refuse(say(b'HTTP/1.1 101 Sw'), 'broke off: the connection was closed in the middle of a head')
        self.refuse(reset, 'broke off: ')

    def test_silence(self) -> None:
        self.refuse(lambda sock: sock.recv(65536), 'broke off: not done within 0.3 s', limits=SHORT)

    def test_dripping(self) -> None:
        def drip(sock: socket.socket) -> None:
            for byte in response_to(read_request(sock)) * 10:
                sock.sendall(bytes([byte]))
                time.sleep(0.01)  # that is what it is about

        self.refuse(drip, 'broke off: not done within 0.3 s', limits=SHORT)

    def test_floods(self) -> None:
        def flood(first: bytes, block: bytes) -> Callable[[socket.socket], None]:
            def script(sock: socket.socket) -> None:
                read_request(sock)
                sock.sendall(first)
                for _ in range(20 * MIB // len(block)):
                    sock.sendall(block)

            return script

        status = b'HTTP/1.1 101 Switching Protocols\r\n'
        for name, first, block in (
            ('header line', status + b'X: ', b'a' * 65536),
            ('headers', status, b'X: y\r\n' * 5000),
            ('status line', b'HTTP/1.1 101 ', b'a' * 65536),
            ('interim answers', b'', b'HTTP/1.1 100 Continue\r\n\r\n' * 1000),
        ):
            with self.subTest(name):
                self.refuse(flood(first, block), '65536 bytes')
        with self.subTest('error body'):
            self.refuse(flood(b'HTTP/1.1 500 Oops\r\n\r\n', b'<html>' * 10000), '500 Oops')
        with self.subTest('number of headers'):
            many = [f'X-{number}: y' for number in range(200)]
            self.refuse(say(lambda request: response_to(request, *many)), '203 headers, 128 are allowed')

    def test_a_server_that_speaks_first(self) -> None:
        async def main() -> None:
            client = Client('ws://127.0.0.1:1/')
            opening = await self.opening_of(client)
            opening.data_received(b'HTTP/1.1 101 Too early\r\n\r\n')
            opening.data_received(b'more')
            with self.assertRaisesRegex(HandshakeError, 'the server spoke first'):
                opening._done.result()
            opening = await self.opening_of(client)
            opening.eof_received()
            with self.assertRaisesRegex(ConnectionResetError, 'the connection was closed'):
                opening._done.result()
            opening.connection_lost(None)

        self.run_in_loop(main())

    async def opening_of(self, client: Any) -> Any:
        """What is the protocol of the transport while the connection is made."""
        from ws4py.client.asyncioclient import _Opening

        return _Opening(client, asyncio.get_running_loop())

    def test_handshake_ok_may_raise(self) -> None:
        class Choosy(Client):
            def handshake_ok(self) -> None:
                raise KeyError('not this one')

        async def main() -> None:
            client = Choosy(self.url(say(then=echo)))
            with self.assertRaises(KeyError):
                await client.connect()
            self.assertEqual((client.sock, client.state, client.calls), (None, State.CLOSED, []))
            await within(client.wait_closed())

        self.run_in_loop(main())

    def test_nobody_there(self) -> None:
        async def main() -> None:
            with socket.create_server(('127.0.0.1', 0)) as closed:
                nobody = closed.getsockname()[1]
            client = Client(f'ws://127.0.0.1:{nobody}/')
            with self.assertRaises(ConnectionRefusedError):
                await client.connect()
            self.assertIs(client.state, State.CLOSED)
            with self.assertRaises(OSError):
                await connect('ws://nowhere.invalid/')

        self.run_in_loop(main())

    def test_connect_timeout(self) -> None:
        # The queue of a listening socket that nobody accepts from fills up, then connecting takes for ever.
        async def main() -> None:
            with contextlib.ExitStack() as stack:
                listening = stack.enter_context(socket.socket())
                listening.bind(('127.0.0.1', 0))
                listening.listen(0)
                for _ in range(64):
                    filler = stack.enter_context(socket.socket())
                    filler.setblocking(False)
                    filler.connect_ex(listening.getsockname())
                begin = time.monotonic()
                with self.assertRaisesRegex(TimeoutError, 'no connection to .* within 0.3 s'):
                    await connect(f'ws://127.0.0.1:{listening.getsockname()[1]}/', limits=SHORT)
                self.assertLess(time.monotonic() - begin, 5)

        self.run_in_loop(main())


class Cancelled(Case):
    def test_connecting(self) -> None:
        """At every point of the way."""
        ended = threading.Event()

        def script(sock: socket.socket) -> None:
            request = read_request(sock)
            if request:
                sock.sendall(response_to(request) + HELLO)
                while sock.recv(65536):
                    pass
            ended.set()

        url = self.url(script)

        async def main(steps: int) -> bool:
            client = Client(url, limits=Limits(close_timeout=0.1))
            task = asyncio.ensure_future(client.connect())
            for _ in range(steps):
                await asyncio.sleep(0)
            if not task.cancel():
                await client.close()
                return True
            with logs(), self.assertRaises(asyncio.CancelledError):
                await task
            await within(client.wait_closed())
            self.assertEqual((client.sock, client.state), (None, State.CLOSED if steps else State.CONNECTING))
            self.assertEqual('opened' in client.calls, (1001, 'connect() was cancelled') in client.calls)
            return False

        steps = 0
        while not self.run_in_loop(main(steps)):
            steps += 1 + steps // 8
            self.assertLess(steps, 1_000_000)

    def test_when_it_was_there_already(self) -> None:
        class Quick(Client):
            def opened(self) -> None:
                super().opened()
                self.task.cancel()

        async def main() -> None:
            client = Quick(self.url(say(then=echo)))
            client.task = asyncio.ensure_future(client.connect())
            with logs(), self.assertRaises(asyncio.CancelledError):
                await client.task
            await within(client.wait_closed())
            self.assertEqual(client.calls, ['ok', 'opened', (1001, 'connect() was cancelled')])

        self.run_in_loop(main())

    def test_with_a_timeout_of_the_callers_own(self) -> None:
        async def main() -> None:
            with self.assertRaises(asyncio.TimeoutError):
                await asyncio.wait_for(connect(self.url(lambda sock: sock.recv(65536) and sock.recv(1))), 0.05)

        self.run_in_loop(main())

    def test_receiving_and_sending(self) -> None:
        async def main() -> None:
            async with connect(self.url(say(then=echo)), limits=Limits(write_high_water=MIB)) as ws:
                for _ in range(3):
                    with self.assertRaises(asyncio.TimeoutError):
                        await asyncio.wait_for(ws.recv(), 0.005)
                sending = asyncio.ensure_future(ws.send(bytes(MIB), True))
                await asyncio.sleep(0)
                sending.cancel()  # it was queued by the call
                with contextlib.suppress(asyncio.CancelledError):
                    await sending
                ws.send('after')
                self.assertEqual(len((await within(ws.recv())).data), MIB)
                self.assertEqual(str(await within(ws.recv())), 'after')

        self.run_in_loop(main())


class Faults(Case):
    def test_fin_and_rst_in_the_middle_of_a_frame(self) -> None:
        def fin(sock: socket.socket, request: bytes) -> None:
            sock.sendall(HELLO + b'\x82\x7d' + bytes(10))

        def rst(sock: socket.socket, request: bytes) -> None:
            fin(sock, request)
            sock.recv(65536)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b'\1\0\0\0\0\0\0\0')
            sock.close()

        async def main(script: Any) -> None:
            with logs():
                async with connect(self.url(say(then=script))) as ws:
                    ws.send('go')
                    self.assertEqual(str(await ws.recv()), 'hello')
                    with self.assertRaises(StreamClosed) as caught:
                        await within(ws.recv())
                    self.assertEqual(caught.exception.code, 1006)
                self.assertEqual(ws.close_code, 1006)

        for script in (fin, rst):
            with self.subTest(script.__name__):
                self.run_in_loop(main(script))

    def test_a_masked_frame(self) -> None:
        async def main() -> None:
            url = self.url(say(lambda request: response_to(request) + b'\x81\x80\0\0\0\0'))
            async with connect(url) as ws:
                with self.assertRaises(StreamClosed) as caught:
                    await within(ws.recv())
                self.assertEqual(caught.exception.code, 1002)

        self.run_in_loop(main())

    def test_a_server_that_does_not_answer_the_close(self) -> None:
        async def main() -> None:
            url = self.url(say(then=lambda sock, request: sock.recv(65536) and sock.recv(1)))
            async with connect(url, limits=Limits(close_timeout=0.1)) as ws:
                pass
            self.assertEqual(ws.close_code, 1006)

        self.run_in_loop(main())

    def test_a_server_that_does_not_read(self) -> None:
        go = threading.Event()
        self.addCleanup(go.set)
        count, size = 64, MIB // 2

        def script(sock: socket.socket, request: bytes) -> None:
            go.wait(TIMEOUT)
            left = count * (14 + size) + len(CLOSE) + 4
            while left:
                left -= len(sock.recv(min(left, 65536)))
            sock.sendall(CLOSE)

        async def main() -> None:
            async with connect(self.url(say(then=script)), limits=Limits(write_high_water=64 * 1024)) as ws:
                sent = 0

                async def send() -> None:
                    nonlocal sent
                    while sent < count:
                        await ws.send(bytes(size), True)
                        sent += 1

                sending = asyncio.ensure_future(send())
                before = -1
                while before < sent:
                    before = sent
                    await asyncio.sleep(0.05)
                self.assertLess(sent, count // 2)
                self.assertLess(ws._queued, 2 * MIB)
                go.set()
                await within(sending, 3 * TIMEOUT)
            self.assertEqual((ws.close_code, ws.state), (1000, State.CLOSED))

        self.run_in_loop(main())

    def test_a_server_that_is_not_read(self) -> None:
        sent = 0
        frame = b'\x82\x7e\xff\xff' + bytes(65535)

        def script(sock: socket.socket, request: bytes) -> None:
            nonlocal sent
            for _ in range(512):
                sock.sendall(frame)
                sent += 1
            sock.sendall(CLOSE)

        async def main() -> None:
            async with connect(self.url(say(then=script))) as ws:
                await ws.recv()
                before = -1
                while before < sent:
                    before = sent
                    await asyncio.sleep(0.05)
                self.assertLess(sent, 256)
                self.assertLess(len(ws._inbox), 20)
                self.assertEqual(len([message async for message in ws]), 511)

        self.run_in_loop(main())


class Servers(Case):
    def wsgiref(self) -> str:
        server = make_server(
            '127.0.0.1',
            0,
            WebSocketWSGIApplication(protocols=['chat'], handler_cls=EchoWebSocket),
            server_class=WSGIServer,
            handler_class=WebSocketWSGIRequestHandler,
        )
        server.initialize_websockets_manager()
        thread = threading.Thread(target=server.serve_forever, kwargs={'poll_interval': 0.01}, daemon=True)
        thread.start()
        self.addCleanup(thread.join, TIMEOUT)
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        return f'ws://127.0.0.1:{server.server_port}/'

    async def talk(self, url: str, **options: Any) -> None:
        async with connect(url, ['chat'], **options) as ws:
            self.assertEqual(ws.protocols, [b'chat'])
            for payload in ('', 'hällo', b'', bytes(range(256)), bytes(MIB), 'x' * (16 * MIB)):
                await ws.send(payload, isinstance(payload, bytes))
                message = await within(ws.recv(), 3 * TIMEOUT)
                self.assertEqual(message.data, payload if isinstance(payload, bytes) else payload.encode())
                self.assertEqual(message.is_binary, isinstance(payload, bytes))
            await ws.send(part for part in ('from ', 'a ', 'generator'))
            self.assertEqual(str(await within(ws.recv())), 'from a generator')
            await ws.ping(b'are you there')

            async def receive() -> int:
                for number in range(300):
                    message = await within(ws.recv())
                    self.assertEqual(message.data, b'%d' % number)
                return number

            async def send() -> None:
                for number in range(300):
                    await ws.send(str(number))

            await asyncio.gather(receive(), send())
        self.assertEqual((ws.close_code, ws.state), (1000, State.CLOSED))

    def test_that_of_this_package(self) -> None:
        self.run_in_loop(self.talk(self.wsgiref()))

    def test_from_another_thread(self) -> None:
        async def main() -> None:
            async with connect(self.wsgiref(), client_cls=Client) as client:
                await asyncio.get_running_loop().run_in_executor(None, client.send, 'from a thread')
                await until(lambda: b'from a thread' in client.calls)

        self.run_in_loop(main())

    @unittest.skipIf(websockets_server is None, 'websockets is not installed')
    def test_that_of_websockets(self) -> None:
        self.run_in_loop(self.with_websockets())

    @needs_certificates
    @unittest.skipIf(websockets_server is None, 'websockets is not installed')
    def test_that_of_websockets_with_tls(self) -> None:
        context = support_tls.server_context()
        options = {'ca_certs': support_tls.authority_file()}
        self.run_in_loop(self.with_websockets('wss', ssl_options=options, server={'ssl': context}))

    async def with_websockets(self, scheme: str = 'ws', server: Any = None, **options: Any) -> None:
        async def handler(connection: Any) -> None:
            async for message in connection:
                await connection.send(message)

        async with websockets_server.serve(
            handler, '127.0.0.1', 0, subprotocols=['chat'], max_size=None, **(server or {})
        ) as serving:
            port = serving.sockets[0].getsockname()[1]
            await self.talk(f'{scheme}://127.0.0.1:{port}/', **options)
            ws = await connect(f'{scheme}://127.0.0.1:{port}/', ['chat'], **options)
            serving.close()
            self.assertEqual([message async for message in ws], [])
            await within(ws.wait_closed())
            self.assertEqual(ws.close_code, 1001)


@needs_certificates
class TLS(Case):
    def url_of(self, context: ssl.SSLContext, scheme: str = 'wss', **options: Any) -> str:
        def script(sock: socket.socket) -> None:
            with context.wrap_socket(sock, server_side=True) as tls:
                say(lambda request: response_to(request) + HELLO, then=echo)(tls)

        server = self.serve(script, **options)
        return f'wss+unix://{options["address"]}' if options else f'wss://127.0.0.1:{server.port}/'

    def trust(self, **more: Any) -> dict[str, Any]:
        return {'ca_certs': support_tls.authority_file(), **more}

    async def talk(self, url: str, options: Optional[dict[str, Any]] = None, cls: Any = WebSocketClient) -> Any:
        async with connect(url, ssl_options=options, client_cls=cls) as ws:
            self.assertEqual(str(await ws.recv()), 'hello')
            await ws.send('one')
            self.assertEqual(str(await within(ws.recv())), 'one')
            self.assertIs(ws._is_secure, True)
        self.assertEqual(ws.close_code, 1000)
        return ws

    def test_trusted(self) -> None:
        self.run_in_loop(self.talk(self.url_of(support_tls.server_context()), self.trust()))

    def test_own_context(self) -> None:
        options = {'ssl_context': support_tls.client_context()}
        self.run_in_loop(self.talk(self.url_of(support_tls.server_context()), options))

    def test_verified_by_default(self) -> None:
        async def main(context: ssl.SSLContext, options: Any = None) -> None:
            with self.assertRaises(ssl.SSLCertVerificationError):
                await connect(self.url_of(context), ssl_options=options)

        self.run_in_loop(main(support_tls.server_context()))
        self.run_in_loop(main(support_tls.server_context('example.test'), self.trust()))
        self.run_in_loop(main(support_tls.server_context(expired=True), self.trust()))

    def test_another_name(self) -> None:
        url = self.url_of(support_tls.server_context('example.test'))
        self.run_in_loop(self.talk(url, self.trust(server_hostname='example.test')))

    def test_unverified_only_by_choice(self) -> None:
        class Trusting(WebSocketClient):
            default_ssl_options = {'cert_reqs': ssl.CERT_NONE}

        url = self.url_of(support_tls.server_context('example.test'))
        self.run_in_loop(self.talk(url, {'cert_reqs': ssl.CERT_NONE}))
        self.run_in_loop(self.talk(url, cls=Trusting))

    def test_client_certificate(self) -> None:
        certificate, key = support_tls.certificate_files('client.test')
        url = self.url_of(support_tls.server_context(client_certificates=True))
        self.run_in_loop(self.talk(url, self.trust(certfile=certificate, keyfile=key)))

    def test_a_missing_file(self) -> None:
        async def main() -> None:
            with self.assertRaisesRegex(OSError, "ca_certs '/nowhere.pem' cannot be used: No such file"):
                await connect(self.url_of(support_tls.server_context()), ssl_options={'ca_certs': '/nowhere.pem'})

        self.run_in_loop(main())

    def test_no_name_and_no_context(self) -> None:
        """TLS does not even begin: the socket is closed by us, for no transport has it."""

        async def main(sock: socket.socket, error: Any, options: dict[str, Any]) -> None:
            with self.assertRaises(error):
                await connect(f'wss://127.0.0.1:{sock.getsockname()[1]}/', ssl_options=options)
            accepted = sock.accept()[0]
            with accepted:
                accepted.settimeout(TIMEOUT)
                self.assertEqual(accepted.recv(1), b'')

        with socket.create_server(('127.0.0.1', 0)) as sock:
            self.run_in_loop(main(sock, ValueError, {'server_hostname': '.bad'}))
            self.run_in_loop(main(sock, TypeError, {'server_hostname': 'a\0b'}))
            self.run_in_loop(main(sock, AttributeError, {'ssl_context': 'none'}))

    def test_unix(self) -> None:
        with tempfile.TemporaryDirectory() as directory:
            path = os.path.join(directory, 'my.sock')
            url = self.url_of(support_tls.server_context(), family=socket.AF_UNIX, address=path)
            self.run_in_loop(self.talk(url, self.trust()))

    def test_stalled(self) -> None:
        stop = threading.Event()
        self.addCleanup(stop.set)

        def drip(sock: socket.socket) -> None:
            sock.recv(65536)
            sock.sendall(b'\x16\x03\x03\x40\x00')  # a record of 16 KiB …
            while not stop.wait(0.05):
                sock.sendall(b'\0')  # … that never ends

        async def main(script: Any) -> None:
            url = f'wss://127.0.0.1:{self.serve(script).port}/'
            begin = time.monotonic()
            with self.assertRaises(OSError):
                await connect(url, limits=SHORT)
            self.assertLess(time.monotonic() - begin, 5)

        self.run_in_loop(main(lambda sock: sock.recv(65536) and sock.recv(1)))
        self.run_in_loop(main(drip))
        stop.set()

    def test_no_tls_there(self) -> None:
        async def main() -> None:
            for answer in (b'HTTP/1.1 400 Bad Request\r\n\r\n', b''):
                server = self.serve(lambda sock, answer=answer: sock.recv(65536) and sock.sendall(answer))
                with self.assertRaises((OSError, HandshakeError)):
                    await connect(f'wss://127.0.0.1:{server.port}/', limits=SHORT)

        self.run_in_loop(main())

    def test_what_is_said_before_tls_is_no_answer(self) -> None:
        def script(sock: socket.socket) -> None:
            sock.sendall(b'HTTP/1.1 101 Switching Protocols\r\n\r\n')
            sock.recv(65536)

        async def main() -> None:
            server = self.serve(script)
            with self.assertRaises((OSError, HandshakeError)):
                await connect(f'wss://127.0.0.1:{server.port}/', ssl_options=self.trust(), limits=SHORT)

        self.run_in_loop(main())

    def test_a_server_that_does_not_end_tls(self) -> None:
        def script(sock: socket.socket) -> None:
            tls = support_tls.server_context().wrap_socket(sock, server_side=True)
            with tls:
                tls.sendall(response_to(read_request(tls)) + CLOSE)
                with contextlib.suppress(OSError):
                    while tls.recv(1000):
                        pass
                    tls.recv(1000)

        async def main() -> None:
            server = self.serve(script)
            limits = Limits(close_timeout=0.2)
            begin = time.monotonic()
            async with connect(f'wss://127.0.0.1:{server.port}/', ssl_options=self.trust(), limits=limits) as ws:
                with self.assertRaises(StreamClosed):
                    await ws.recv()
            self.assertEqual(ws.close_code, 1000)
            self.assertLess(time.monotonic() - begin, 5)

        self.run_in_loop(main())


@unittest.skipIf(uvloop is None, 'uvloop is not installed')
class OnUvloop(Case):
    def new_loop(self) -> asyncio.AbstractEventLoop:
        loop: asyncio.AbstractEventLoop = uvloop.new_event_loop()
        return loop


class ConnectedOnUvloop(OnUvloop, Connected):
    pass


class RefusedOnUvloop(OnUvloop, Refused):
    pass


class CancelledOnUvloop(OnUvloop, Cancelled):
    pass


class FaultsOnUvloop(OnUvloop, Faults):
    pass


class ServersOnUvloop(OnUvloop, Servers):
    pass


class TLSOnUvloop(OnUvloop, TLS):
    pass


if __name__ == '__main__':
    unittest.main()
