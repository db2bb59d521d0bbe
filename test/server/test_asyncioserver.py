"""The server on asyncio, over real sockets: handshakes and refusals, both directions' back-pressure, and its end.

Every test runs on asyncio's own loop, in debug mode, and on uvloop where that is installed.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import gc
import os
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import unittest
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Callable, Optional
from unittest.mock import patch

import support_tls
from helpers import TIMEOUT, close_frame, frame, logs, needs_certificates
from support_sockets import upgrade_request
from support_transport import until

from ws4py import async_websocket
from ws4py.exc import HTTPError
from ws4py.framing import OPCODE_BINARY, OPCODE_CONTINUATION, OPCODE_TEXT
from ws4py.http11 import Headers, Request, Response
from ws4py.limits import Limits
from ws4py.messaging import build_data_frame
from ws4py.server import asyncioserver
from ws4py.server.asyncioserver import Server, WebSocketProtocol, serve
from ws4py.websocket import EchoWebSocket, WebSocket

try:
    import uvloop
except ImportError:  # a test extra
    uvloop = None

TEXT, BINARY, CLOSE, PONG = 0x81, 0x82, 0x88, 0x8A
KIB, MIB = 1024, 1024 * 1024
SHORT = Limits(handshake_timeout=0.3, close_timeout=0.3)
GOING_AWAY = close_frame(1001, b'Server is shutting down')


def text(*texts: str) -> bytes:
    return b''.join(frame(OPCODE_TEXT, each.encode(), masked=True) for each in texts)


class Peer:
    """A client's end, which writes bytes and reads frames."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    def write(self, data: bytes) -> None:
        self.writer.write(data)

    async def read(self, size: int) -> bytes:
        return await asyncio.wait_for(self.reader.readexactly(size), TIMEOUT)

    async def read_all(self) -> bytes:
        """What comes up to the end of the connection."""
        data = b''
        with contextlib.suppress(ConnectionResetError):
            while True:
                block = await asyncio.wait_for(self.reader.read(65536), TIMEOUT)
                if not block:
                    break
                data += block
        return data

    async def head(self) -> bytes:
        return await asyncio.wait_for(self.reader.readuntil(b'\r\n\r\n'), TIMEOUT)

    async def receive(self) -> tuple[int, bytes]:
        first, size = await self.read(2)
        if size == 126:
            (size,) = struct.unpack('!H', await self.read(2))
        elif size == 127:
            (size,) = struct.unpack('!Q', await self.read(8))
        return first, await self.read(size)

    async def echo(self, message: str = 'hello') -> None:
        self.write(text(message))
        assert await self.receive() == (TEXT, message.encode())

    def reset(self) -> None:
        sock = self.writer.get_extra_info('socket')
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
        self.writer.transport.abort()


class Recorder(EchoWebSocket):
    """Remembers every websocket there was, and how it ended."""

    made: list[Any]
    ends: list[tuple[int, Any]]

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.made.append(self)

    def closed(self, code: int, reason: Any = None) -> None:
        self.ends.append((code, reason))


class ServerCase(unittest.IsolatedAsyncioTestCase):
    tls = False

    async def asyncSetUp(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.loop.slow_callback_duration = TIMEOUT  # the machine may be busy
        linger = patch.object(asyncioserver, 'LINGER', 0.05 if self.tls else 1.0)  # who asks over TLS cannot see an end
        linger.start()
        self.addCleanup(linger.stop)
        self.failures: list[str] = []  # what came to the loop's exception handler
        self.loop.set_exception_handler(lambda loop, context: self.failures.append(str(context)))

        class Handler(Recorder):
            made = []
            ends = []

        self.handler = Handler

    async def asyncTearDown(self) -> None:
        # In debug mode asyncio tells of each TLS handshake that fails.
        failures = [failure for failure in self.failures if 'Error on transport creation' not in failure]
        self.assertEqual(failures, [])

    async def serve(self, handler_cls: Any = None, **options: Any) -> Server:
        if self.tls:
            options.setdefault('ssl', support_tls.server_context())
        server = await serve(handler_cls or self.handler, '127.0.0.1', 0, **options)
        self.addAsyncCleanup(self._stop, server)
        return server

    async def _stop(self, server: Server) -> None:
        server.close()
        await asyncio.wait_for(server.wait_closed(), TIMEOUT)

    async def dial(self, server: Server) -> Peer:
        address = server.sockets[0].getsockname()[:2]
        name = {'ssl': support_tls.client_context(), 'server_hostname': 'localhost'} if self.tls else {}
        peer = Peer(*await asyncio.open_connection(*address, limit=64 * MIB, **name))
        self.addAsyncCleanup(self._hang_up, peer)
        return peer

    async def _hang_up(self, peer: Peer) -> None:
        peer.writer.transport.abort()
        with contextlib.suppress(OSError):
            await peer.writer.wait_closed()

    async def ask(self, server: Server, request: bytes) -> bytes:
        """The whole answer to *request*."""
        peer = await self.dial(server)
        peer.write(request)
        return await peer.read_all()

    async def upgrade(self, server: Server, *headers: str, more: bytes = b'', target: str = '/') -> Peer:
        peer = await self.dial(server)
        peer.write(upgrade_request(*headers, target=target) + more)
        head = await peer.head()
        self.assertTrue(head.startswith(b'HTTP/1.1 101 Switching Protocols\r\n'), head)
        return peer

    async def assert_serves(self, server: Server) -> None:
        """It still does: a fresh client gets its echo."""
        peer = await self.upgrade(server)
        await peer.echo()
        peer.write(close_frame(masked=True))
        self.assertEqual(await peer.receive(), (CLOSE, b'\x03\xe8'))
        self.assertEqual(await peer.read_all(), b'')

    def assert_status(self, status: int, answer: bytes, *parts: str) -> None:
        head, _, body = answer.partition(b'\r\n\r\n')
        self.assertTrue(head.startswith(b'HTTP/1.1 %d ' % status), answer)
        fields = dict(line.split(': ', 1) for line in head.decode().split('\r\n')[1:])
        self.assertIn('close', fields['Connection'])
        self.assertEqual(int(fields['Content-Length']), len(body), answer)
        for part in parts:
            self.assertIn(part, answer.decode())


class Handshakes(ServerCase):
    async def test_echo(self) -> None:
        server = await self.serve()
        peer = await self.dial(server)
        peer.write(upgrade_request())
        self.assertEqual(
            await peer.head(),
            b'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n'
            b'Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n',
        )
        await peer.echo()
        peer.write(frame(OPCODE_BINARY, b'\0', masked=True))
        self.assertEqual(await peer.receive(), (BINARY, b'\0'))
        peer.write(close_frame(4000, b'bye', masked=True))
        self.assertEqual(await peer.read_all(), close_frame(4000, b'bye'))
        self.assertEqual(self.handler.ends, [(4000, b'bye')])
        await until(lambda: not server.websockets)

    async def test_frames_of_the_handshakes_segment(self) -> None:
        server = await self.serve()
        peer = await self.upgrade(server, more=text('one', 'two') + close_frame(masked=True))
        self.assertEqual(await peer.read_all(), b'\x81\x03one\x81\x03two\x88\x02\x03\xe8')

    async def test_cut_anywhere(self) -> None:
        server = await self.serve()
        data = upgrade_request() + text('hello')
        for cut in [*range(1, len(data), 9), *range(len(upgrade_request()) - 4, len(data))]:
            peer = await self.dial(server)
            peer.write(data[:cut])
            await asyncio.sleep(0.001)
            peer.write(data[cut:])
            await peer.head()
            self.assertEqual(await peer.receive(), (TEXT, b'hello'), cut)
            peer.writer.close()

    async def test_what_the_handler_knows(self) -> None:
        server = await self.serve(protocols=['chat'], extensions=['x'], heartbeat_freq=60, limits=SHORT)
        headers = ('Sec-WebSocket-Protocol: a, chat', 'Sec-WebSocket-Extensions: x; a=1', 'X-Two: 1', 'x-two: 2')
        peer = await self.upgrade(server, *headers, target='/caf%C3%A9?q=1')
        await until(lambda: self.handler.made)
        (websocket,) = self.handler.made
        self.assertEqual((websocket.protocols, websocket.extensions), (['chat'], ['x']))
        self.assertEqual((websocket.heartbeat_freq, websocket.limits), (60, SHORT))
        self.assertEqual(websocket.headers['x-two'], '1')
        self.assertEqual(websocket.headers.get_all('X-Two'), ['1', '2'])
        sockname, peername = (peer.writer.get_extra_info(name) for name in ('sockname', 'peername'))
        self.assertEqual((websocket.peer_address, websocket.local_address), (sockname[:2], peername[:2]))
        environ = websocket.environ
        self.assertEqual((environ['PATH_INFO'], environ['QUERY_STRING']), ('/caf\xc3\xa9', 'q=1'))
        self.assertEqual((environ['REMOTE_ADDR'], environ['REMOTE_PORT']), ('127.0.0.1', str(sockname[1])))
        self.assertEqual((environ['SERVER_NAME'], environ['SERVER_PORT']), ('127.0.0.1', str(peername[1])))
        self.assertEqual(environ['HTTP_X_TWO'], '1,2')
        self.assertEqual(environ['wsgi.url_scheme'], 'https' if self.tls else 'http')
        self.assertEqual(server.websockets, {websocket})

    async def test_a_heartbeat(self) -> None:
        server = await self.serve(heartbeat_freq=0.01)
        peer = await self.upgrade(server)
        self.assertEqual(await peer.receive(), (PONG, b'beep'))
        self.assertEqual(await peer.receive(), (PONG, b'beep'))

    async def test_limits(self) -> None:
        server = await self.serve(limits=Limits(message_size=10))
        peer = await self.upgrade(server)
        peer.write(text('more than ten'))
        first, payload = await peer.receive()
        self.assertEqual((first, payload[:2]), (CLOSE, b'\x03\xf1'))

    async def test_the_handler_may_be_any_callable(self) -> None:
        class Greeting(self.handler):  # type: ignore[name-defined]
            def __init__(self, *args: Any, greeting: str) -> None:
                super().__init__(*args)
                self.greeting = greeting

            def opened(self) -> None:
                self.send(self.greeting)

        server = await self.serve(functools.partial(Greeting, greeting='welcome'))
        peer = await self.upgrade(server)
        self.assertEqual(await peer.receive(), (TEXT, b'welcome'))

    async def test_closed_in_opened(self) -> None:
        class Closing(self.handler):  # type: ignore[name-defined]
            def opened(self) -> None:
                self.close(4001, 'go away')

        server = await self.serve(Closing)
        peer = await self.upgrade(server)
        self.assertEqual(await peer.receive(), (CLOSE, b'\x0f\xa1go away'))
        peer.write(close_frame(4001, masked=True))
        self.assertEqual(await peer.read_all(), b'')

    async def test_paths(self) -> None:
        class Other(self.handler):  # type: ignore[name-defined]
            def opened(self) -> None:
                self.send('other')

        server = await self.serve({'/echo': self.handler, '/café': Other})
        await (await self.upgrade(server, target='/echo?x=/caf%C3%A9')).echo()
        for target in ('/caf%C3%A9', 'http://localhost/caf%c3%a9?x'):
            peer = await self.upgrade(server, target=target)
            self.assertEqual(await peer.receive(), (TEXT, b'other'))
        for target in ('/', '/echo/', '/echo%2f', '*'):
            self.assert_status(404, await self.ask(server, upgrade_request(target=target)))
        self.assertEqual(len(self.handler.made), 3)

    async def test_a_coroutine_function_is_no_handler(self) -> None:
        async def handler(websocket: Any) -> None:
            """As other libraries have it."""

        for make in (serve, WebSocketProtocol):
            for handlers in (handler, {'/': EchoWebSocket, '/chat': handler}):
                with self.assertRaisesRegex(TypeError, 'is a coroutine function'):
                    make(handlers)

    async def test_so_many_and_no_more(self) -> None:
        server = await self.serve(limits=Limits(connections=2))
        peers = [await self.upgrade(server) for _ in range(2)]
        self.assert_status(503, await self.ask(server, upgrade_request()), 'all of the 2 connections')
        self.assert_status(400, await self.ask(server, b'GET / HTTP/1.1\r\n\r\n'), 'HTTP_UPGRADE')
        peers[0].write(close_frame(masked=True))
        await peers[0].read_all()
        await until(lambda: len(server.admission) == 1)
        await self.assert_serves(server)

    async def test_so_many_that_have_not_asked_yet(self) -> None:
        server = await self.serve()
        server.max_requests = 3
        silent = [await self.dial(server) for _ in range(3)]
        await until(lambda: len(server._requests) == 3)
        silent[0].write(upgrade_request())
        await silent[0].head()  # a websocket by now, it does not count
        silent.append(await self.dial(server))
        await until(lambda: len(server._requests) == 3)
        waiting = await self.dial(server)  # one too many
        self.assertEqual(await silent[1].read_all(), b'')
        await silent[0].echo()
        self.assertEqual(len(server._requests), 3)
        waiting.write(upgrade_request())
        await waiting.head()
        await waiting.echo()

    async def test_who_is_being_asked_about_is_not_dropped_before_one_who_is_silent(self) -> None:
        asked: asyncio.Queue[asyncio.Future[None]] = asyncio.Queue()

        async def process_request(request: Request) -> None:
            asked.put_nowait(self.loop.create_future())
            await asked._queue[-1]  # type: ignore[attr-defined]

        server = await self.serve(process_request=process_request)
        server.max_requests = 2
        peers = [await self.dial(server)]
        peers[0].write(upgrade_request())
        first = await asked.get()
        peers.append(await self.dial(server))
        await until(lambda: len(server._requests) == 2)
        peers.append(await self.dial(server))
        self.assertEqual(await peers[1].read_all(), b'')
        peers[2].write(upgrade_request())
        await asked.get()
        peers.append(await self.dial(server))  # and nobody is silent
        self.assertEqual(await peers[0].read_all(), b'')
        self.assertTrue(first.cancelled())

    async def test_under_a_server_of_asyncios_own(self) -> None:
        context = support_tls.server_context() if self.tls else None
        server = await self.loop.create_server(lambda: WebSocketProtocol(self.handler), '127.0.0.1', 0, ssl=context)
        try:
            peer = await self.upgrade(server)  # type: ignore[arg-type]  # it has sockets
            await peer.echo()
            peer.write(close_frame(masked=True))
            self.assertEqual(await peer.read_all(), close_frame())
            self.assert_status(400, await self.ask(server, b'GET / HTTP/1.1\r\n\r\n'))  # type: ignore[arg-type]
        finally:
            server.close()


class Refusals(ServerCase):
    async def test_by_status(self) -> None:
        server = await self.serve(protocols=['chat'], origins=['https://ours'])
        lines = [b'GET / HTTP/1.1', *upgrade_request().split(b'\r\n')[1:-2]]

        def changed(first: bytes = lines[0], **fields: str) -> bytes:
            new = [f'{name.replace("_", "-")}: {value}'.encode() for name, value in fields.items()]
            names = {line.partition(b':')[0].lower() for line in new}
            kept = [line for line in lines[1:] if line.partition(b':')[0].lower() not in names]
            return b'\r\n'.join([first, *kept, *new, b'', b''])

        for status, request, *parts in [
            (400, b'GET / HTTP/1.1\r\nHost: a\r\n\r\n', 'Header HTTP_UPGRADE is not defined'),
            (400, b'rubbish\r\n\r\n'),
            (400, b'GET / HTTP/1.1\nHost: a\n\n', 'bare LF'),
            (400, changed(Upgrade='notwebsocket')),
            (400, changed(Connection='notupgrade')),
            (400, changed(X='a\r\n folded')),
            (400, changed(Sec_WebSocket_Key='short')),
            (400, changed(Content_Length='5')),
            (400, changed(Sec_WebSocket_Protocol='other')),
            (400, upgrade_request(leave_out='Host')),
            (403, changed(Origin='https://theirs')),
            (405, changed(b'POST / HTTP/1.1'), 'Allow: GET'),
            (414, changed(b'GET /%s HTTP/1.1' % (b'a' * 20_000))),
            (414, b'GET /' + b'a' * MIB),
            (426, changed(Sec_WebSocket_Version='8'), 'Sec-WebSocket-Version: 13', 'Upgrade: websocket'),
            (431, changed(**{f'X{number}': '1' for number in range(2000)})),
            (431, changed(X='a' * MIB)),
            (505, changed(b'GET / HTTP/1.0')),
            (505, changed(b'GET / HTTP/2.0')),
        ]:
            with self.subTest(status=status, request=request[:300]):
                self.assert_status(status, await self.ask(server, request), *parts)
        self.assertEqual(self.handler.made, [])
        peer = await self.upgrade(server, 'Sec-WebSocket-Protocol: chat', 'Origin: HTTPS://OURS')
        await peer.echo()

    async def test_head_is_answered_with_a_head(self) -> None:
        server = await self.serve()
        answer = await self.ask(server, upgrade_request(method='HEAD'))
        self.assertTrue(answer.startswith(b'HTTP/1.1 405 ') and answer.endswith(b'\r\n\r\n'), answer)

    async def test_bytes_behind_it_are_no_request(self) -> None:
        server = await self.serve()
        answer = await self.ask(server, upgrade_request(leave_out='Sec-WebSocket-Key') + upgrade_request())
        self.assert_status(400, answer)
        self.assertEqual(self.handler.made, [])

    async def test_who_only_talks_gets_to_read_it_and_is_left(self) -> None:
        server = await self.serve()
        with patch.object(asyncioserver, 'LINGER', 0.2):
            peer = await self.dial(server)
            peer.write(b'POST / HTTP/1.1\r\nHost: a\r\n\r\n' + bytes(MIB))
            self.assertTrue((await peer.head()).startswith(b'HTTP/1.1 405 '))
            with contextlib.suppress(ConnectionError):
                for _ in range(10_000):
                    peer.write(bytes(1000))
                    await asyncio.wait_for(peer.writer.drain(), TIMEOUT)
                    await asyncio.sleep(0.002)
            self.assertTrue(peer.writer.is_closing() or self.tls)
        await self.assert_serves(server)

    async def test_silence_and_one_byte_now_and_then(self) -> None:
        server = await self.serve(limits=SHORT)
        begun = self.loop.time()
        silent, slow = await self.dial(server), await self.dial(server)

        async def drip() -> None:
            for byte in upgrade_request():
                slow.write(bytes([byte]))
                await asyncio.sleep(0.05)

        task = self.loop.create_task(drip())
        await self.assert_serves(server)  # meanwhile
        self.assert_status(408, await silent.head() + await silent.read_all(), 'within 0.3 s')
        self.assert_status(408, await slow.head() + await slow.read_all())
        self.assertLess(self.loop.time() - begun, 3)
        task.cancel()

    async def test_no_deadline(self) -> None:
        server = await self.serve(limits=Limits(handshake_timeout=None))
        await self.assert_serves(server)

    async def test_clients_that_go(self) -> None:
        server = await self.serve()
        for data in (b'', b'GET', upgrade_request(), upgrade_request() + text('hello')):
            for way in ('close', 'reset', 'half'):
                peer = await self.dial(server)
                peer.write(data)
                if way == 'half' and not self.tls:
                    peer.writer.write_eof()
                    await peer.read_all()
                elif way == 'reset' and not self.tls:
                    await asyncio.sleep(0)
                    peer.reset()
                else:
                    peer.writer.close()
        await self.assert_serves(server)
        await until(lambda: not server._requests and not server._connections)

    async def test_what_the_handler_raises(self) -> None:
        class Raising(self.handler):  # type: ignore[name-defined]
            def __init__(self, *args: Any) -> None:
                super().__init__(*args)
                raise KeyError('in the constructor')

        def nothing(*args: Any) -> None:
            """No websocket."""

        def choosy(sock: Any, protocols: Any, extensions: Any, environ: Any) -> WebSocket:
            raise HTTPError(403, f'not for {environ["REMOTE_ADDR"]}')

        handlers = {'/raising': Raising, '/nothing': nothing, '/choosy': choosy, '/': self.handler}
        server = await self.serve(handlers)
        for target, status, part in [
            ('/raising', 500, 'failed'),
            ('/nothing', 500, 'failed'),
            ('/choosy', 403, 'not for 127.0.0.1'),
        ]:
            with self.subTest(target), logs() as records:
                self.assert_status(status, await self.ask(server, upgrade_request(target=target)), part)
                failed = [record for record in records if record.levelname == 'ERROR']
                self.assertEqual(len(failed), status == 500)
        self.assertEqual(server.websockets, set())
        self.assertEqual(self.handler.ends, [])
        await self.assert_serves(server)


class OrdinaryRequests(ServerCase):
    async def test_a_health_check(self) -> None:
        asked = []

        def process_request(request: Request) -> Optional[Response]:
            asked.append((request.method, request.target))
            if request.target != '/health':
                return None
            return Response(200, 'OK', (1, 1), Headers([('Content-Type', 'text/plain')]), b'fine\n')

        server = await self.serve(process_request=process_request)
        answer = await self.ask(server, b'GET /health HTTP/1.1\r\nHost: a\r\n\r\n')
        self.assert_status(200, answer, 'Content-Type: text/plain', 'fine')
        answer = await self.ask(server, b'HEAD /health HTTP/1.1\r\nHost: a\r\n\r\n')
        self.assertTrue(answer.endswith(b'Content-Length: 5\r\n\r\n'), answer)
        self.assert_status(400, await self.ask(server, b'GET / HTTP/1.1\r\nHost: a\r\n\r\n'))
        await self.assert_serves(server)
        self.assertEqual(asked[0], ('GET', '/health'))

    async def test_a_large_page_and_a_client_that_ends_its_half(self) -> None:
        peer, page = await self.ask_for_a_page()
        if not self.tls:
            peer.writer.write_eof()
        await peer.head()
        peer.writer.transport.pause_reading()  # type: ignore[attr-defined]
        await asyncio.sleep(0.2)
        peer.writer.transport.resume_reading()  # type: ignore[attr-defined]
        self.assertTrue(await peer.read_all() == page)

    async def test_a_large_page_and_a_client_that_reads_slowly(self) -> None:
        peer, page = await self.ask_for_a_page()
        await peer.head()
        peer.writer.transport.pause_reading()  # type: ignore[attr-defined]
        await asyncio.sleep(0.5)  # many times as long as a client has that reads nothing and is sent nothing
        peer.writer.transport.resume_reading()  # type: ignore[attr-defined]
        self.assertTrue(await peer.read_all() == page)

    async def test_a_large_page_and_a_client_that_does_not_read(self) -> None:
        peer, page = await self.ask_for_a_page(limits=Limits(send_timeout=0.2))
        await peer.head()
        peer.writer.transport.pause_reading()  # type: ignore[attr-defined]
        await until(lambda: not self.server._requests)
        peer.writer.transport.resume_reading()  # type: ignore[attr-defined]
        with contextlib.suppress(ConnectionError):
            self.assertLess(len(await peer.read_all()), len(page))

    async def ask_for_a_page(self, **options: Any) -> tuple[Peer, bytes]:
        """A client that has asked for a page which no buffer of the kernel holds, and that page."""
        page = os.urandom(MIB) * 16
        response = Response(200, 'OK', (1, 1), Headers(), page)
        lingering = patch.object(asyncioserver, 'LINGER', 0.05)
        lingering.start()
        self.addCleanup(lingering.stop)
        self.server = await self.serve(process_request=lambda request: response, **options)
        peer = await self.dial(self.server)
        peer.write(b'GET / HTTP/1.1\r\n\r\n')
        return peer, page

    async def test_coroutine(self) -> None:
        go, begun = asyncio.Event(), asyncio.Event()

        async def process_request(request: Request) -> Optional[Response]:
            begun.set()
            await go.wait()
            return Response(204, 'No Content', (1, 1), Headers()) if request.target == '/no' else None

        server = await self.serve(process_request=process_request)
        peer, other = await self.dial(server), await self.dial(server)
        peer.write(upgrade_request() + text('one'))
        other.write(b'GET /no HTTP/1.1\r\n\r\n')
        await begun.wait()
        peer.write(text('two'))
        await asyncio.sleep(0.02)
        go.set()
        await peer.head()
        self.assertEqual([await peer.receive(), await peer.receive()], [(TEXT, b'one'), (TEXT, b'two')])
        self.assertEqual(await other.read_all(), b'HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n')

    async def test_reading_is_paused_meanwhile(self) -> None:
        go = asyncio.Event()

        async def process_request(request: Request) -> None:
            await go.wait()

        server = await self.serve(process_request=process_request)
        peer = await self.dial(server)
        peer.write(upgrade_request())
        await until(lambda: [1 for protocol in server._requests if protocol._task])
        (protocol,) = server._requests
        protocol.data_received(text('was on its way'))  # which TLS may have decrypted already
        peer.write(text('x' * KIB) * 4096)
        await asyncio.sleep(0.05)
        self.assertLess(len(protocol._rest), MIB)
        go.set()
        await peer.head()
        self.assertEqual(await peer.receive(), (TEXT, b'was on its way'))
        await peer.read(4096 * (KIB + 4))

    async def test_what_it_raises_and_nonsense(self) -> None:
        async def cancelled() -> None:
            raise asyncio.CancelledError

        async def raising() -> None:
            raise KeyError('later')

        async def refusing() -> None:
            raise HTTPError(401, 'who are you?')

        def process_request(request: Request) -> Any:
            path = request.target
            if path == '/raise':
                raise KeyError('at once')
            if path == '/refuse':
                raise HTTPError(401, 'who are you?')
            if path == '/interim':
                return Response(100, 'Continue', (1, 1), Headers())
            if path == '/text':
                return 'hello'
            return {'/later/raise': raising, '/later/refuse': refusing, '/later/cancel': cancelled}[path]()

        server = await self.serve(process_request=process_request)
        for path, status in [
            ('/raise', 500),
            ('/refuse', 401),
            ('/interim', 500),
            ('/text', 500),
            ('/later/raise', 500),
            ('/later/refuse', 401),
            ('/later/cancel', 503),
        ]:
            with self.subTest(path), logs() as records:
                self.assert_status(status, await self.ask(server, upgrade_request(target=path)))
                failed = [record for record in records if record.levelname == 'ERROR']
                self.assertEqual(len(failed), status == 500)

    async def test_a_client_that_goes_before_the_decision(self) -> None:
        begun, over = asyncio.Event(), asyncio.Event()

        async def process_request(request: Request) -> None:
            begun.set()
            try:
                await asyncio.sleep(TIMEOUT)
            finally:
                over.set()

        server = await self.serve(process_request=process_request)
        peer = await self.dial(server)
        peer.write(upgrade_request())
        await begun.wait()
        (protocol,) = server._requests
        protocol.abort()
        await asyncio.wait_for(over.wait(), TIMEOUT)
        self.assertEqual(await peer.read_all(), b'')

    async def test_a_decision_that_comes_too_late(self) -> None:
        async def process_request(request: Request) -> None:
            try:
                await asyncio.sleep(TIMEOUT)
            except asyncio.CancelledError:
                raise KeyError('in spite of all') from None

        server = await self.serve(process_request=process_request)
        peer = await self.dial(server)
        peer.write(upgrade_request())
        await until(lambda: [1 for protocol in server._requests if protocol._task])
        await asyncio.sleep(0)
        with logs() as records:
            server.close()
            self.assert_status(503, await peer.read_all(), 'Server is shutting down')
            peer.writer.close()
            await server.wait_closed()
        self.assertIn('given up', str([record.getMessage() for record in records]))

    async def test_an_application_that_closes_the_server(self) -> None:
        """While it is asked: what it answers then, or makes, comes too late."""

        def answering(request: Request) -> Response:
            server.close()
            return Response(200, 'OK', (1, 1), Headers(), b'bye')

        def accepting(*args: Any) -> Any:
            server.close()
            return self.handler(*args)

        for handler_cls, process_request in ((None, answering), (accepting, None)):
            with self.subTest(process_request=process_request):
                server = await self.serve(handler_cls, process_request=process_request)
                answer = await self.ask(server, upgrade_request())
                self.assert_status(503, answer, 'Server is shutting down')
                self.assertNotIn(b'bye', answer)
                await asyncio.wait_for(server.wait_closed(), TIMEOUT)
        self.assertEqual(self.handler.ends, [])

    async def test_a_client_that_goes_at_the_very_moment_of_the_decision(self) -> None:
        """The transport had resolved to tell the protocol of then: TLS does that since Python 3.11."""
        server = await self.serve(process_request=lambda request: None)
        peer = await self.dial(server)
        await until(lambda: server._requests)
        (protocol,) = server._requests
        peer.write(upgrade_request())
        await peer.head()
        protocol.connection_lost(ConnectionResetError())
        self.assertEqual([code for code, _ in self.handler.ends], [1006])  # at once, nobody says it again
        self.assertEqual(server._connections, set())
        self.assertEqual(await peer.read_all(), b'')


class Hooks:
    """Hooks that are coroutines, and do what a message says."""

    send: Callable[..., Any]
    environ: Any

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.calls: list[Any] = []
        self.go = asyncio.Event()

    async def say(self, *args: Any) -> None:
        """Send, and wait for room where one can."""
        waiting = self.send(*args)
        if waiting is not None:
            await waiting

    async def opened(self) -> None:
        await asyncio.sleep(0)
        await self.say('welcome')
        self.calls.append('opened')

    async def received_message(self, message: Any) -> None:
        word = message.data
        if word == b'wait':
            await self.go.wait()
        elif word == b'raise':
            raise KeyError('as it was told')
        await self.say(word, message.is_binary)
        self.calls.append(word)

    async def closed(self, code: int, reason: Any = None) -> None:
        await asyncio.sleep(0.001)
        self.calls.append(('closed', code, self.environ is None))


class Async(Hooks, async_websocket.WebSocket):  # type: ignore[misc]
    """On the class that is made for them."""


class AsyncOnPlain(Hooks, WebSocket):  # type: ignore[misc]
    """On the class that is everybody's."""


class Connections(ServerCase):
    @contextlib.asynccontextmanager
    async def connection(self, handler_cls: Any, **options: Any) -> AsyncIterator[tuple[Server, Any, Peer]]:
        server = await self.serve(handler_cls, **options)
        peer = await self.upgrade(server)
        (websocket,) = server.websockets
        yield server, websocket, peer

    async def test_coroutines_in_order(self) -> None:
        for cls in (Async, AsyncOnPlain):
            with self.subTest(cls):
                async with self.connection(cls) as (server, websocket, peer):
                    self.assertEqual(await peer.receive(), (TEXT, b'welcome'))
                    words = [str(number) for number in range(10_000)]
                    peer.write(text(*words) + close_frame(masked=True))
                    expected = b''.join(frame(OPCODE_TEXT, word.encode()) for word in words) + close_frame()
                    self.assertEqual(await peer.read_all(), expected)
                    await until(lambda: not server._connections)
                    calls = ['opened', *(word.encode() for word in words), ('closed', 1000, False)]
                    self.assertEqual(websocket.calls, calls)
                    self.assertIsNone(websocket.environ)

    async def test_a_coroutine_that_raises(self) -> None:
        for cls in (Async, AsyncOnPlain):
            with self.subTest(cls), logs() as records:
                async with self.connection(cls) as (server, websocket, peer):
                    await peer.receive()
                    peer.write(text('raise', 'and no more'))
                    self.assertEqual(await peer.receive(), (CLOSE, b'\x03\xf3'))
                    peer.write(close_frame(1011, masked=True))
                    peer.writer.close()
                    await until(lambda: not server._connections)
                    self.assertEqual(websocket.calls, ['opened', ('closed', 1011, False)])
                    self.assertIn('as it was told', str([record.exc_info for record in records]))

    async def test_pipelined(self) -> None:
        async with self.connection(self.handler) as (_, _, peer):
            words = [str(number) for number in range(10_000)]
            peer.write(text(*words) + close_frame(masked=True))
            expected = b''.join(frame(OPCODE_TEXT, word.encode()) for word in words) + close_frame()
            self.assertEqual(await peer.read_all(), expected)

    async def test_large_messages(self) -> None:
        data = os.urandom(16 * MIB)
        for cls in (self.handler, async_websocket.EchoWebSocket):
            async with self.connection(cls) as (_, _, peer):
                peer.write(frame(OPCODE_BINARY, data, masked=True))
                first, received = await peer.receive()
                self.assertEqual(first, BINARY)
                self.assertTrue(received == data)

    async def test_a_peer_that_never_reads(self) -> None:
        """Of what it sends only so much is taken; others are served meanwhile; when it reads it gets everything."""
        limits = Limits(write_high_water=64 * KIB)
        async with self.connection(self.handler, limits=limits) as (server, websocket, peer):
            block = frame(OPCODE_BINARY, bytes(16 * KIB), masked=True)
            peer.writer.transport.pause_reading()  # type: ignore[attr-defined]
            count = 2000  # 32 MB
            for _ in range(count):
                peer.write(block)
            await until(lambda: websocket.watched[1])
            transport = websocket.sock.transport
            await asyncio.sleep(0.1)
            self.assertFalse(transport.is_reading())
            held = websocket._queued + transport.get_write_buffer_size() + sum(map(len, websocket.sock._chunks or ()))
            self.assertLess(held, MIB)
            await self.assert_serves(server)
            peer.writer.transport.resume_reading()  # type: ignore[attr-defined]
            self.assertEqual(len(await peer.read(count * (16 * KIB + 4))), count * (16 * KIB + 4))

    async def test_a_large_message_to_a_peer_that_never_reads_waits_where_it_is_counted(self) -> None:
        async with self.connection(self.handler) as (_, websocket, peer):
            peer.writer.transport.pause_reading()  # type: ignore[attr-defined]
            websocket.send(bytes(16 * MIB), True)
            await asyncio.sleep(0.05)
            self.assertLess(websocket.sock.transport.get_write_buffer_size(), 256 * KIB)
            self.assertFalse(websocket.has_room)
            peer.writer.transport.resume_reading()  # type: ignore[attr-defined]
            self.assertEqual(len((await peer.receive())[1]), 16 * MIB)

    async def test_one_that_floods_does_not_keep_others_waiting(self) -> None:
        async with self.connection(self.handler) as (server, _, peer):
            other = await self.upgrade(server)
            block = text(*['x'] * 20_000)
            drain = self.loop.create_task(peer.reader.read(-1))

            async def flood() -> None:
                while True:
                    peer.write(block)
                    await peer.writer.drain()

            flooding = self.loop.create_task(flood())
            begun = self.loop.time()
            await other.echo()
            self.assertLess(self.loop.time() - begun, 5)
            for task in (flooding, drain):
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task

    async def test_a_slow_consumer_is_dropped(self) -> None:
        limits = Limits(write_high_water=KIB, write_limit=MIB)
        async with self.connection(self.handler, limits=limits) as (server, websocket, peer):
            other = await self.upgrade(server)
            peer.writer.transport.pause_reading()  # type: ignore[attr-defined]
            with logs() as records:
                for number in range(1000):
                    server.broadcast(str(number).ljust(16 * KIB))
                    await other.receive()
                    if websocket.sock is None:
                        break
                await until(lambda: websocket.close_code)
            self.assertTrue([1 for record in records if 'slow consumer' in record.getMessage()])
            self.assertEqual(websocket.close_code, 1006)
            await other.echo()

    async def test_a_coroutine_that_takes_its_time(self) -> None:
        for cls in (Async, AsyncOnPlain):
            async with self.connection(cls) as (_, websocket, peer):
                await peer.receive()
                peer.write(text('wait') + text('x' * KIB) * 4096)
                await until(lambda: websocket.watched[1])
                transport = websocket.sock.transport
                self.assertFalse(transport.is_reading())
                await asyncio.sleep(0.05)
                self.assertLess(len(websocket.pending_calls), 100)
                self.assertLess(sum(map(len, websocket.sock._chunks or ())), MIB)
                websocket.go.set()
                self.assertEqual(await peer.receive(), (TEXT, b'wait'))
                self.assertEqual(
                    set(await peer.read(4096 * (KIB + 4))), {ord('x'), *frame(OPCODE_TEXT, b'x' * KIB)[:4]}
                )

    async def test_send_from_eight_threads(self) -> None:
        async with self.connection(self.handler) as (_, websocket, peer):

            def send(name: str) -> None:
                for number in range(50):
                    message = f'{name}{number} ' * 50
                    if number % 2:
                        websocket.send(message)
                    else:
                        websocket.send(message[at : at + 100] for at in range(0, len(message), 100))

            threads = [threading.Thread(target=send, args=(name,)) for name in 'abcdefgh']
            for thread in threads:
                thread.start()
            received: dict[str, list[str]] = {name: [] for name in 'abcdefgh'}
            for _ in range(8 * 50):
                first, payload = await peer.receive()
                while not first & 0x80:
                    first, more = await peer.receive()
                    self.assertEqual(first & 0x7F, OPCODE_CONTINUATION)
                    payload += more
                words = set(payload.decode().split())
                self.assertEqual(len(words), 1)
                received[payload[:1].decode()] += words
            for thread in threads:
                await self.loop.run_in_executor(None, thread.join, TIMEOUT)
            for name, words in received.items():
                self.assertEqual(words, [f'{name}{number}' for number in range(50)])

    async def test_a_half_closed_peer(self) -> None:
        async with self.connection(self.handler) as (_, _, peer):
            peer.write(text('one', 'two') + close_frame(masked=True))
            if not self.tls:
                peer.writer.write_eof()
            self.assertEqual(await peer.read_all(), b'\x81\x03one\x81\x03two\x88\x02\x03\xe8')
            self.assertEqual(self.handler.ends, [(1000, b'')])

    async def test_a_reset_in_the_middle_of_a_frame(self) -> None:
        with logs():
            async with self.connection(self.handler) as (server, _, peer):
                peer.write(text('x' * 1000)[:500])
                await asyncio.sleep(0.01)
                peer.reset()
                await until(lambda: not server._connections)
                self.assertEqual([code for code, _ in self.handler.ends], [1006])

    async def test_lost_while_a_coroutine_runs(self) -> None:
        for cls in (Async, AsyncOnPlain):
            for way in ('reset', 'close'):
                with self.subTest(cls, way=way), logs():
                    async with self.connection(cls) as (server, websocket, peer):
                        await peer.receive()
                        peer.write(text('wait'))
                        await until(lambda: websocket._driver._task is not None)
                        await asyncio.sleep(0.01)
                        peer.reset() if way == 'reset' else peer.writer.close()
                        await until(lambda: websocket._driver._patience)
                        self.assertEqual(websocket.calls, ['opened'])
                        websocket.go.set()
                        await until(lambda: not server._connections)
                        self.assertEqual(websocket.calls[-1], ('closed', 1006, False))

    async def test_a_coroutine_that_does_not_end(self) -> None:
        for cls in (Async, AsyncOnPlain):
            with self.subTest(cls), logs():
                async with self.connection(cls, limits=SHORT) as (server, websocket, peer):
                    await peer.receive()
                    peer.write(text('wait'))
                    await until(lambda: websocket._driver._task is not None)
                    await asyncio.sleep(0.01)
                    peer.reset()
                    await until(lambda: not server._connections)
                    self.assertEqual(websocket.calls, ['opened', ('closed', 1006, False)])

    async def test_nothing_is_left_of_a_thousand(self) -> None:
        server = await self.serve()

        async def vanish(number: int) -> None:
            peer = await self.upgrade(server)
            if number % 3 == 0:
                await peer.echo()
            peer.reset() if number % 2 and not self.tls else peer.writer.transport.abort()

        count = 100 if self.tls else 500
        with logs():
            for number in range(20):
                await vanish(number)
            await until(lambda: not server._connections and not server._requests)
            before = descriptors()
            for number in range(count):
                await vanish(number)
            await until(lambda: not server._connections and not server._requests)
        del self.handler.made[:]
        await until(lambda: (gc.collect(), descriptors() <= before + 3)[1])
        self.assertEqual(len(asyncio.all_tasks()), 1)


def descriptors() -> int:
    """Open ones; a system that does not tell has none."""
    return len(os.listdir('/proc/self/fd')) if os.path.isdir('/proc/self/fd') else 0


class Servers(ServerCase):
    async def test_broadcast(self) -> None:
        class Own(Recorder):
            made = []
            ends = []

            def send(self, payload: Any, binary: bool = False) -> None:
                super().send(f'own {payload}', binary)

        server = await self.serve({'/': self.handler, '/own': Own, '/async': async_websocket.EchoWebSocket})
        peers = [await self.upgrade(server, target=target) for target in ('/', '/own', '/async', '/')]
        with patch('ws4py.extensions.build_data_frame', wraps=build_data_frame) as shared:
            server.broadcast('hello')
        self.assertEqual(shared.call_count, 1)
        self.assertEqual([(await peer.receive())[1] for peer in peers], [b'hello', b'own hello', b'hello', b'hello'])
        await self.loop.run_in_executor(None, server.broadcast, b'\0', True)
        for peer in (peers[0], *peers[2:]):
            self.assertEqual(await peer.receive(), (BINARY, b'\0'))

    async def test_a_broadcast_of_another_thread_while_a_websocket_begins(self) -> None:
        enter = Server.enter

        def enter_and_broadcast(server: Server, peer: Any) -> None:
            enter(server, peer)
            thread = threading.Thread(target=server.broadcast, args=('early',))
            thread.start()
            thread.join(TIMEOUT)

        with patch.object(Server, 'enter', enter_and_broadcast):
            server = await self.serve(self.handler)
            peer = await self.upgrade(server)
            self.assertEqual((await peer.receive())[1], b'early')

    async def test_close(self) -> None:
        begun = asyncio.Event()

        async def process_request(request: Request) -> None:
            if request.target == '/slow':
                begun.set()
                await asyncio.sleep(TIMEOUT)

        server = await self.serve({'/': self.handler, '/slow': self.handler}, process_request=process_request)
        address = server.sockets[0].getsockname()
        websockets = [await self.upgrade(server) for _ in range(3)]
        half, slow, refused = await self.dial(server), await self.dial(server), await self.dial(server)
        half.write(upgrade_request()[:50])
        slow.write(upgrade_request(target='/slow'))
        refused.write(upgrade_request(target='/unknown'))
        await begun.wait()
        await refused.head()
        refused.writer.close()
        copy = server.websockets
        copy.clear()
        self.assertEqual(len(server.websockets), 3)
        waiting = self.loop.create_task(server.wait_closed())
        await asyncio.sleep(0)
        server.close()
        server.close(1000, 'of no interest')
        self.assertEqual(server.sockets, ())
        for peer in websockets:
            self.assertEqual(await peer.receive(), (CLOSE, b'\x03\xe9Server is shutting down'))
        self.assertFalse(waiting.done())
        for peer in (half, slow):
            self.assert_status(503, await peer.head() + await peer.read_all(), 'Server is shutting down')
        for peer in websockets:
            peer.write(close_frame(1001, masked=True))
            self.assertEqual(await peer.read_all(), b'')
        await asyncio.wait_for(waiting, TIMEOUT)
        self.assertEqual(self.handler.ends, [(1001, b'')] * 3)
        self.assertFalse(server._requests or server._connections)
        with self.assertRaises(OSError):
            await asyncio.open_connection(*address[:2])
        await server.wait_closed()

    async def test_close_with_another_code(self) -> None:
        server = await self.serve()
        peer = await self.upgrade(server)
        server.close(4000, 'later')
        self.assertEqual(await peer.receive(), (CLOSE, b'\x0f\xa0later'))

    async def test_close_waits_for_coroutines(self) -> None:
        server = await self.serve(Async)
        peer = await self.upgrade(server)
        (websocket,) = server.websockets
        await peer.receive()
        peer.write(text('wait'))
        await until(lambda: websocket._driver._task)
        server.close()
        self.assertEqual((await peer.receive())[0], CLOSE)
        peer.write(close_frame(1001, masked=True))
        peer.writer.close()
        await asyncio.sleep(0.02)
        websocket.go.set()
        await server.wait_closed()
        self.assertEqual(websocket.calls[-1][:2], ('closed', 1001))

    async def test_close_does_not_wait_for_ever(self) -> None:
        class Stubborn(async_websocket.WebSocket):
            async def closed(self, code: int, reason: Any = None) -> None:  # type: ignore[override]
                await asyncio.sleep(TIMEOUT)

        page = Response(200, 'OK', (1, 1), Headers(), bytes(16 * MIB))
        handlers = {'/': self.handler, '/async': Async, '/stubborn': Stubborn, '/page': self.handler}
        server = await self.serve(
            handlers,
            limits=SHORT,
            process_request=lambda request: page if request.target == '/page' else None,
        )
        silent = await self.upgrade(server)  # never answers the Close frame
        full = await self.upgrade(server)  # does not even read it
        full.writer.transport.pause_reading()  # type: ignore[attr-defined]
        waiting = await self.upgrade(server, target='/async')
        await waiting.receive()
        waiting.write(text('wait'))
        stubborn = await self.upgrade(server, target='/stubborn')
        slow = await self.dial(server)  # does not read what it asked for
        slow.write(b'GET /page HTTP/1.1\r\n\r\n')
        await slow.head()
        slow.writer.transport.pause_reading()  # type: ignore[attr-defined]
        for websocket in server.websockets:
            if type(websocket) is self.handler:
                websocket.send(bytes(MIB), True)
        begun = self.loop.time()
        with logs():
            server.close()
            stubborn.write(close_frame(1001, masked=True))
            await asyncio.wait_for(server.wait_closed(), TIMEOUT)
        self.assertLess(self.loop.time() - begun, 5)
        self.assertFalse(server._requests or server._connections)
        self.assertEqual([code for code, _ in self.handler.ends], [1006, 1006])
        for peer in (silent, full, waiting, stubborn, slow):
            peer.writer.transport.abort()

    async def test_a_hook_that_cannot_be_cancelled(self) -> None:
        go = asyncio.Event()

        class Deaf(WebSocket):
            async def received_message(self, message: Any) -> None:  # type: ignore[override]
                while not go.is_set():
                    with contextlib.suppress(asyncio.CancelledError):
                        await go.wait()

        server = await self.serve(Deaf, limits=SHORT)
        peer = await self.upgrade(server)
        peer.write(text('wait'))
        (websocket,) = server.websockets
        await until(lambda: websocket._driver._task)
        await asyncio.sleep(0)
        with patch.object(asyncioserver, 'PATIENCE', 0.1), logs() as records:
            server.close()
            await asyncio.wait_for(server.wait_closed(), TIMEOUT)
            self.assertIn('go on nevertheless', records[-1].getMessage())
            go.set()
            await until(lambda: not server._connections)

    async def test_what_close_raises_keeps_it_from_nobody(self) -> None:
        class Raising(self.handler):  # type: ignore[name-defined]
            def close(self, *args: Any, **options: Any) -> None:
                raise KeyError('not I')

        server = await self.serve({'/': self.handler, '/raising': Raising}, limits=SHORT)
        raising = await self.upgrade(server, target='/raising')
        peer = await self.upgrade(server)
        with logs():
            server.close()
            self.assertEqual((await peer.receive())[0], CLOSE)
            raising.writer.close()
            await server.wait_closed()

    async def test_closed_before_it_has_begun(self) -> None:
        server = serve(self.handler)
        self.assertEqual((server.sockets, server.websockets), ((), set()))
        server.close()
        await server.wait_closed()

    async def test_tried_again_after_a_failure(self) -> None:
        with socket.socket() as taken:
            taken.bind(('127.0.0.1', 0))
            server = serve(self.handler, *taken.getsockname())
            for _ in range(2):
                with self.assertRaises(OSError):
                    await server
            await asyncio.wait_for(server.wait_closed(), TIMEOUT)
        first, second = await asyncio.gather(server, server)
        self.addAsyncCleanup(self._stop, server)
        self.assertIs(first, second)
        self.assertEqual(len(server.sockets), 1)

    async def test_started_twice_at_a_time(self) -> None:
        server = serve(self.handler, '127.0.0.1', 0)
        self.addAsyncCleanup(self._stop, server)
        task = self.loop.create_task(server.serve_forever())
        await asyncio.sleep(0)  # it has begun
        await server
        self.assertEqual(len(server.sockets), 1)
        server.close()
        await asyncio.wait_for(task, TIMEOUT)

    async def test_a_connection_that_comes_too_late(self) -> None:
        """It was accepted already, with its TLS still under way."""
        server = await self.serve()
        server.close(reason='too late')
        await server.wait_closed()
        make = functools.partial(WebSocketProtocol, self.handler, server=server)
        context = support_tls.server_context() if self.tls else None
        late = await self.loop.create_server(make, '127.0.0.1', 0, ssl=context)
        try:
            peer = await self.dial(late)  # type: ignore[arg-type]  # it has sockets
            self.assert_status(503, await peer.read_all(), 'too late')
        finally:
            late.close()

    async def test_serve_forever(self) -> None:
        server = serve(self.handler, '127.0.0.1', 0, ssl=support_tls.server_context() if self.tls else None)
        task = self.loop.create_task(server.serve_forever())
        await until(lambda: server.sockets)
        peer = await self.upgrade(server)
        task.cancel()
        self.assertEqual(await peer.receive(), (CLOSE, b'\x03\xe9Server is shutting down'))
        self.assertFalse(task.done())
        peer.write(close_frame(1001, masked=True))
        await peer.read_all()
        with self.assertRaises(asyncio.CancelledError):
            await task
        self.assertEqual(self.handler.ends, [(1001, b'')])

    async def test_serve_until_it_is_closed(self) -> None:
        server = await self.serve()
        task = self.loop.create_task(server.serve_forever())
        await asyncio.sleep(0)
        server.close()
        await asyncio.wait_for(task, TIMEOUT)

    async def test_as_a_context(self) -> None:
        context = support_tls.server_context() if self.tls else None
        async with serve(self.handler, '127.0.0.1', 0, ssl=context) as server:
            self.assertIs(await server, server)
            peer = await self.upgrade(server)
            await peer.echo()
            ending = self.loop.create_task(peer.read_all())
            self.loop.call_later(0.01, peer.write, close_frame(1001, masked=True))
        self.assertEqual(await ending, GOING_AWAY)
        self.assertEqual(self.handler.ends, [(1001, b'')])

    @unittest.skipUnless(hasattr(socket, 'AF_UNIX'), 'there are no Unix sockets here')
    async def test_unix_socket(self) -> None:
        with tempfile.TemporaryDirectory() as directory:
            path = os.path.join(directory, 'server.sock')
            async with serve(self.handler, path=path):
                peer = Peer(*await asyncio.open_unix_connection(path))
                self.addAsyncCleanup(self._hang_up, peer)
                peer.write(upgrade_request())
                await peer.head()
                await peer.echo()
                self.assertEqual(self.handler.made[0].environ['REMOTE_ADDR'], '')
                peer.write(close_frame(masked=True))
                await peer.read_all()

    @unittest.skipUnless(hasattr(socket, 'AF_UNIX'), 'there are no Unix sockets here')
    async def test_a_proxy_on_a_unix_socket(self) -> None:
        with tempfile.TemporaryDirectory() as directory:
            path = os.path.join(directory, 'server.sock')
            limits = Limits(connections_per_peer=1)
            async with serve(self.handler, path=path, trusted_proxies=['unix'], limits=limits):
                peers = []
                for address, status in (('192.0.2.1', b'101'), ('192.0.2.1', b'429'), ('192.0.2.2', b'101')):
                    peer = Peer(*await asyncio.open_unix_connection(path))
                    peers.append(peer)
                    self.addAsyncCleanup(self._hang_up, peer)
                    peer.write(upgrade_request(f'X-Forwarded-For: {address}', 'X-Forwarded-Proto: https'))
                    self.assertEqual((await peer.head())[9:12], status)
                first, second = self.handler.made
                self.assertEqual((first.peer_address, second.peer_address), (('192.0.2.1', 0), ('192.0.2.2', 0)))
                self.assertEqual(first.environ['wsgi.url_scheme'], 'https')
                for peer in (peers[0], peers[2]):
                    peer.write(close_frame(masked=True))
                    await peer.read_all()

    async def test_a_mistake_in_the_terms_is_told_at_once(self) -> None:
        self.assertRaises(TypeError, serve, self.handler, origins='https://example.com')
        self.assertRaises(ValueError, serve, self.handler, trusted_proxies=['localhost'])

    async def test_options_of_create_server(self) -> None:
        sock = socket.create_server(('127.0.0.1', 0))
        async with serve(self.handler, sock=sock, backlog=5) as server:
            self.assertEqual(server.sockets[0].getsockname(), sock.getsockname())
            if not self.tls:
                await self.assert_serves(server)
            with self.assertRaises(OSError):
                await serve(self.handler, *sock.getsockname())

    @unittest.skipUnless(socket.has_ipv6, 'there is no IPv6 here')
    async def test_ipv6(self) -> None:
        try:
            sock = socket.create_server(('::1', 0), family=socket.AF_INET6)
        except OSError as error:
            self.skipTest(str(error))
        async with serve(self.handler, sock=sock, ssl=support_tls.server_context() if self.tls else None) as server:
            peer = await self.upgrade(server)
            await until(lambda: self.handler.made)
            self.assertEqual(self.handler.made[0].environ['REMOTE_ADDR'], '::1')
            self.assertEqual(self.handler.made[0].peer_address[0], '::1')
            peer.write(close_frame(masked=True))
            await peer.read_all()


@needs_certificates
class OverTLS(Handshakes, Refusals, OrdinaryRequests, Connections, Servers):
    """All of it once more."""

    tls = True


@needs_certificates
class TLS(ServerCase):
    tls = True

    async def raw(self, server: Server) -> Peer:
        """A connection on which nobody speaks TLS."""
        peer = Peer(*await asyncio.open_connection(*server.sockets[0].getsockname()[:2]))
        self.addAsyncCleanup(self._hang_up, peer)
        return peer

    async def test_one_deadline_for_tls_and_head(self) -> None:
        server = await self.serve(limits=Limits(handshake_timeout=0.5))
        begun = self.loop.time()
        stalled = [await self.raw(server) for _ in range(10)]
        await self.assert_serves(server)
        for peer in stalled:
            self.assertEqual(await peer.read_all(), b'')
        self.assertLess(self.loop.time() - begun, 3)

    async def test_the_time_for_tls_counts(self) -> None:
        protocol = WebSocketProtocol(self.handler, limits=Limits(handshake_timeout=5))
        protocol._accepted -= 10
        server = await self.loop.create_server(lambda: protocol, '127.0.0.1', 0)
        self.tls = False
        try:
            peer = await self.dial(server)  # type: ignore[arg-type]
            self.assert_status(408, await peer.read_all())
        finally:
            server.close()

    async def test_no_tls_from_the_client(self) -> None:
        server = await self.serve()
        peer = await self.raw(server)
        peer.write(upgrade_request())
        self.assertNotIn(b'HTTP', await peer.read_all())
        await self.assert_serves(server)

    async def test_a_client_that_does_not_end_tls(self) -> None:
        """It answers the Close frame, reads no more and keeps the TCP connection."""
        server = await self.serve(limits=SHORT)
        ours = socket.create_connection(server.sockets[0].getsockname()[:2])
        self.addCleanup(ours.close)
        context = support_tls.client_context()

        def talk() -> None:
            ours.settimeout(TIMEOUT)
            self.client = context.wrap_socket(ours, server_hostname='localhost')
            self.addCleanup(self.client.close)
            self.client.sendall(upgrade_request() + close_frame(masked=True))
            while not self.client.recv(4096).endswith(close_frame()):
                pass

        await self.loop.run_in_executor(None, talk)
        await until(lambda: not server._connections)
        self.assertEqual(self.handler.ends, [(1000, b'')])


NOTHING_LEFT = """
import asyncio, gc, logging, re, socket, sys
sys.path[:0] = {path!r}
import support_tls
from support_sockets import upgrade_request
from ws4py import async_websocket
from ws4py.server.asyncioserver import serve
from helpers import close_frame, frame

logging.basicConfig()
logging.getLogger('asyncio').addFilter(lambda record: not re.search('took|transport creation', record.getMessage()))

class Slow(async_websocket.EchoWebSocket):
    async def closed(self, code, reason=None):
        await asyncio.sleep(0.01)
        print('closed', code)

async def main():
    context = support_tls.server_context() if {tls} else None
    client = dict(ssl=support_tls.client_context(), server_hostname='localhost') if {tls} else {{}}
    async with serve(Slow, '127.0.0.1', 0, ssl=context) as server:
        address = server.sockets[0].getsockname()
        stalled = socket.create_connection(address)
        reader, writer = await asyncio.open_connection(*address, **client)
        writer.write(upgrade_request() + frame(1, b'hello', masked=True))
        await reader.readuntil(b'hello')
        asyncio.get_running_loop().call_later(0.05, writer.write, close_frame(1001, masked=True))
    await reader.read()
    writer.close()
    try:
        await writer.wait_closed()
    except OSError:
        pass
    stalled.close()

asyncio.run(main(), debug=True)
gc.collect()
print('done')
"""


class NothingLeft(unittest.TestCase):
    def run_program(self, tls: bool) -> None:
        paths = [str(Path(__file__).resolve().parents[1]), str(Path(__file__).resolve().parents[2])]
        code = NOTHING_LEFT.format(path=paths, tls=tls)
        command = [sys.executable, '-X', 'dev', '-W', 'error', '-c', code]
        done = subprocess.run(command, capture_output=True, text=True, timeout=6 * TIMEOUT)
        self.assertEqual((done.returncode, done.stderr), (0, ''))
        self.assertEqual(done.stdout.split('\n'), ['closed 1001', 'done', ''])

    def test_plain(self) -> None:
        self.run_program(tls=False)

    @needs_certificates
    def test_tls(self) -> None:
        self.run_program(tls=True)


class Uvloop(unittest.TestCase):
    """Another loop for the tests of a class."""

    @classmethod
    def setUpClass(cls) -> None:
        if uvloop is None:
            raise unittest.SkipTest('uvloop is not installed')
        asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
        cls.addClassCleanup(asyncio.set_event_loop_policy, None)


class OnUvloop(Uvloop, Handshakes, Refusals, OrdinaryRequests, Connections, Servers):
    """All of it on another loop."""


@needs_certificates
class OnUvloopOverTLS(Uvloop, TLS):
    """TLS, which is of its own make there."""


if __name__ == '__main__':
    unittest.main()
