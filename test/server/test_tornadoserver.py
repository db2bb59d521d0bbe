"""Websockets in a Tornado application, with raw clients, with clients of other projects, over ws and wss."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import os
import socket
import ssl
import struct
import tempfile
import unittest
from typing import Any, Optional
from unittest import mock

import support_tls
from helpers import TIMEOUT, close_frame, frame
from support_sockets import upgrade_request
from support_tls import needs_certificates
from support_transport import until

try:
    from tornado import web
    from tornado.httpclient import HTTPRequest
    from tornado.httpserver import HTTPServer
    from tornado.netutil import bind_sockets, bind_unix_socket
    from tornado.web import Application, RequestHandler
    from tornado.websocket import websocket_connect
except ImportError:
    raise unittest.SkipTest('Tornado is not installed') from None

try:
    import websocket as websocket_client
    import websockets.exceptions
except ImportError:  # a test extra
    websocket_client = websockets = None

from ws4py import async_websocket
from ws4py.exc import StreamClosed
from ws4py.framing import OPCODE_BINARY, OPCODE_TEXT
from ws4py.http11 import Request, Response
from ws4py.limits import Limits
from ws4py.messaging import build_data_frame
from ws4py.server import tornadoserver
from ws4py.server.tornadoserver import WebSocketHandler, broadcast, close_all
from ws4py.websocket import EchoWebSocket, WebSocket

KIB, MIB = 1024, 1024 * 1024
TEXT, BINARY, CLOSE, PONG = 0x81, 0x82, 0x88, 0x8A

needs_peers = unittest.skipIf(websockets is None, 'websockets and websocket-client are not installed')


class Recorder(EchoWebSocket):
    """Remembers every websocket there was, and how it ended."""

    made: list[Recorder]
    ends: list[tuple[int, Any]]
    headers: Any

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.made.append(self)

    def closed(self, code: int, reason: Any = None) -> None:
        self.ends.append((code, reason))


class PageHandler(RequestHandler):
    def get(self) -> None:
        self.write('a page')


class Client:
    """A raw client."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self.status, self.head = 0, ''

    async def read_head(self) -> int:
        head = await self.reader.readuntil(b'\r\n\r\n')
        self.head = head.decode('latin-1')
        return int(head.split()[1])

    def header(self, name: str) -> Optional[str]:
        lines = [line.partition(': ') for line in self.head.split('\r\n')[1:]]
        return next((value for key, _, value in lines if key.lower() == name.lower()), None)

    def send(self, opcode: int, payload: bytes = b'', fin: bool = True) -> None:
        self.writer.write(frame(opcode, payload, fin, masked=True))

    def close(self, code: int = 1000) -> None:
        self.writer.write(close_frame(code, masked=True))

    def reset(self) -> None:
        sock = self.writer.get_extra_info('socket')
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
        self.writer.transport.abort()

    async def receive(self) -> tuple[int, bytes]:
        first, size = await self.reader.readexactly(2)
        if size == 126:
            (size,) = struct.unpack('!H', await self.reader.readexactly(2))
        elif size == 127:
            (size,) = struct.unpack('!Q', await self.reader.readexactly(8))
        return first, await self.reader.readexactly(size)


class ServerCase(unittest.IsolatedAsyncioTestCase):
    server: HTTPServer
    application: Application
    port: int

    async def asyncSetUp(self) -> None:
        asyncio.get_running_loop().slow_callback_duration = TIMEOUT  # the machine may be busy
        for name in ('ws4py', 'tornado'):
            quiet = logging.NullHandler()  # instead of the standard error output; assertLogs() hears everything
            logging.getLogger(name).addHandler(quiet)
            self.addCleanup(logging.getLogger(name).removeHandler, quiet)

        class Handler(Recorder):
            made = []
            ends = []

        self.handler = Handler

    def serve(
        self,
        route: Any = WebSocketHandler,
        tls: bool = False,
        options: Optional[dict[str, Any]] = None,
        **arguments: Any,
    ) -> None:
        """Serve a page at ``/`` and websockets at ``/ws``."""
        arguments.setdefault('handler_cls', self.handler)
        self.application = Application([('/', PageHandler), (r'/ws(.*)', route, arguments)])
        context = support_tls.server_context() if tls else None
        self.server = HTTPServer(self.application, ssl_options=context, **(options or {}))
        sockets = bind_sockets(0, '127.0.0.1')
        self.server.add_sockets(sockets)
        self.port = sockets[0].getsockname()[1]
        self.addAsyncCleanup(self.stop)

    async def stop(self) -> None:
        self.server.stop()
        await asyncio.wait_for(close_all(self.application), TIMEOUT)
        await self.server.close_all_connections()

    async def dial(self, data: bytes = b'') -> Client:
        client = Client(*await asyncio.open_connection('127.0.0.1', self.port))
        self.addCleanup(client.writer.close)
        client.writer.write(data)
        return client

    async def upgrade(self, *headers: str, more: bytes = b'') -> Client:
        client = await self.dial(upgrade_request(*headers, target='/ws') + more)
        self.assertEqual(await client.read_head(), 101, client.head)
        return client

    async def ask(self, request: bytes) -> tuple[int, Client, bytes]:
        """Status, head and whatever else comes in answer to *request*, up to the end of the connection."""
        client = await self.dial(request)
        status = await asyncio.wait_for(client.read_head(), TIMEOUT)
        return status, client, await asyncio.wait_for(client.reader.read(), TIMEOUT)

    async def assert_serving(self) -> None:
        client = await self.upgrade()
        client.send(OPCODE_TEXT, b'hello')
        self.assertEqual(await client.receive(), (TEXT, b'hello'))
        client.close()
        self.assertEqual((await client.receive())[0], CLOSE)
        self.assertEqual(await client.reader.read(), b'')


class Upgrades(ServerCase):
    async def test_an_echo_and_a_page(self) -> None:
        self.serve()
        await self.assert_serving()
        client = await self.dial(b'GET / HTTP/1.1\r\nHost: localhost\r\n\r\n')
        self.assertEqual(await client.read_head(), 200)
        self.assertEqual(await client.reader.readexactly(6), b'a page')
        client.writer.write(upgrade_request(target='/ws'))  # on a connection that has served a page
        self.assertEqual(await client.read_head(), 101)
        client.send(OPCODE_TEXT, b'hello')
        self.assertEqual(await client.receive(), (TEXT, b'hello'))
        self.assertEqual(self.handler.ends, [(1000, b'')])

    async def test_what_the_handler_is_told(self) -> None:
        limits = Limits(message_size=10)
        self.serve(protocols=['chat'], extensions=['x-known'], limits=limits, heartbeat_freq=0.01)
        request = upgrade_request(
            'Sec-WebSocket-Protocol: other, chat',
            'Sec-WebSocket-Extensions: x-known; a=1, x-unknown',
            'X-Twice: one',
            'X-Twice: two',
            'Cookie: user=ann',
            target='/ws%20room?a=b&c',
        )
        client = await self.dial(request)
        self.assertEqual(await client.read_head(), 101)
        self.assertEqual(client.header('Sec-WebSocket-Protocol'), 'chat')
        self.assertEqual(client.header('Sec-WebSocket-Extensions'), 'x-known')
        self.assertEqual(client.header('Content-Type'), None)
        self.assertEqual(await client.receive(), (PONG, b'beep'), 'a heartbeat')
        (websocket,) = self.handler.made
        self.assertEqual((websocket.protocols, websocket.extensions), (['chat'], ['x-known']))
        self.assertEqual(websocket.headers.get_all('x-twice'), ['one', 'two'])
        self.assertEqual(websocket.peer_address, client.writer.get_extra_info('sockname'))
        self.assertEqual(websocket.local_address, ('127.0.0.1', self.port))
        self.assertIs(websocket.limits, limits)
        environ = websocket.environ
        assert environ is not None
        expected = {
            'PATH_INFO': '/ws room',
            'QUERY_STRING': 'a=b&c',
            'HTTP_COOKIE': 'user=ann',
            'REMOTE_ADDR': '127.0.0.1',
            'SERVER_PORT': str(self.port),
            'wsgi.url_scheme': 'http',
        }
        self.assertEqual({name: environ[name] for name in expected}, expected)

    async def test_frames_in_the_segment_of_the_request(self) -> None:
        self.serve()
        texts = [b'one', b'two', bytes(70 * KIB)]
        client = await self.upgrade(more=b''.join(frame(OPCODE_TEXT, text, masked=True) for text in texts))
        for text in texts:
            self.assertEqual(await client.receive(), (TEXT, text))
        client = await self.upgrade(more=frame(OPCODE_TEXT, b'one', masked=True) + close_frame(4000, masked=True))
        self.assertEqual(await client.receive(), (TEXT, b'one'))
        self.assertEqual(await client.receive(), (CLOSE, b'\x0f\xa0'))
        self.assertEqual(await client.reader.read(), b'')

    async def test_a_message_sent_in_opened(self) -> None:
        class Greeter(self.handler):  # type: ignore[name-defined, misc]
            def opened(self) -> None:
                self.send('welcome')

        self.serve(handler_cls=Greeter)
        client = await self.upgrade()
        self.assertEqual(await client.receive(), (TEXT, b'welcome'))

    async def test_any_callable_makes_websockets(self) -> None:
        class Room(self.handler):  # type: ignore[name-defined, misc]
            def __init__(self, *args: Any, name: str) -> None:
                super().__init__(*args)
                self.name = name

        self.serve(handler_cls=functools.partial(Room, name='lobby'))
        await self.upgrade()
        self.assertEqual(self.handler.made[0].name, 'lobby')  # type: ignore[attr-defined]

    async def test_a_server_without_keep_alive(self) -> None:
        self.serve(options={'no_keep_alive': True})
        await self.assert_serving()

    async def test_behind_a_proxy(self) -> None:
        self.serve(options={'xheaders': True})
        await self.upgrade('X-Forwarded-For: 192.0.2.7', 'X-Forwarded-Proto: https')
        environ = self.handler.made[0].environ
        assert environ is not None
        self.assertEqual((environ['REMOTE_ADDR'], environ['wsgi.url_scheme']), ('192.0.2.7', 'https'))

    async def test_on_a_unix_socket(self) -> None:
        if not hasattr(socket, 'AF_UNIX'):
            self.skipTest('there are no Unix sockets here')
        self.serve()
        ours, theirs = socket.socketpair()
        from tornado.iostream import IOStream

        self.server.handle_stream(IOStream(ours), ('', 0))
        client = Client(*await asyncio.open_connection(sock=theirs))
        self.addCleanup(client.writer.close)
        client.writer.write(upgrade_request(target='/ws'))
        self.assertEqual(await client.read_head(), 101)
        client.send(OPCODE_TEXT, b'hello')
        self.assertEqual(await client.receive(), (TEXT, b'hello'))


class Subclasses(ServerCase):
    """What request handlers do before the upgrade."""

    async def test_prepare_may_refuse(self) -> None:
        class Members(WebSocketHandler):
            async def prepare(self) -> None:
                await asyncio.sleep(0)
                if self.get_cookie('user') != 'ann':
                    raise web.HTTPError(401)

        self.serve(Members)
        client = await self.dial(upgrade_request(target='/ws'))
        self.assertEqual(await client.read_head(), 401)
        await self.upgrade('Cookie: user=ann')
        self.assertEqual(len(self.handler.made), 1)

    async def test_authenticated(self) -> None:
        class Members(WebSocketHandler):
            def get_current_user(self) -> Any:
                return self.get_cookie('user')

            get = web.authenticated(WebSocketHandler.get)

            def get_login_url(self) -> str:
                return '/login'

        self.serve(Members)
        client = await self.dial(upgrade_request(target='/ws'))
        self.assertEqual(await client.read_head(), 302)
        await self.upgrade('Cookie: user=ann')

    async def test_headers_cookies_and_ends_of_requests(self) -> None:
        finished, logged = [], []

        class Session(WebSocketHandler):
            def set_default_headers(self) -> None:
                self.set_header('Server', 'mine')
                self.set_header('Connection', 'keep-alive')  # which is no business of a handler

            def prepare(self) -> None:
                self.set_cookie('session', 'abc')
                self.add_header('X-Twice', '1')
                self.add_header('X-Twice', '2')

            def on_finish(self) -> None:
                finished.append(self.get_status())

        self.serve(Session)
        self.application.settings['log_function'] = lambda handler: logged.append(handler.get_status())
        client = await self.upgrade()
        self.assertEqual(client.header('Server'), 'mine')
        self.assertEqual(client.header('Connection'), 'Upgrade')
        self.assertEqual(client.header('Set-Cookie'), 'session=abc; Path=/')
        self.assertIn('X-Twice: 1\r\nX-Twice: 2\r\n', client.head)
        self.assertEqual((finished, logged), ([101], [101]))
        status, _, _ = await self.ask(upgrade_request(target='/ws', leave_out='Upgrade'))
        self.assertEqual((finished, logged), ([101, status], [101, status]))

    async def test_what_the_end_of_the_request_raises_does_not_hinder_the_websocket(self) -> None:
        class Broken(WebSocketHandler):
            def on_finish(self) -> None:
                raise ZeroDivisionError

        self.serve(Broken)
        with self.assertLogs('tornado', 'ERROR'):
            await self.assert_serving()

    async def test_a_client_that_goes_while_the_application_is_asked(self) -> None:
        asked: asyncio.Queue[asyncio.Event] = asyncio.Queue()

        async def process_request(request: Request) -> Optional[Response]:
            if request.headers.get('X-Slow'):
                gone = asyncio.Event()
                asked.put_nowait(gone)
                await gone.wait()
            return Response(403) if request.target == '/ws/no' else None

        self.serve(process_request=process_request, limits=Limits(connections=1))
        for path in ('/ws', '/ws/no'):
            client = await self.dial(upgrade_request('X-Slow: yes', target=path))
            gone = await asked.get()
            client.reset()
            await until(self.stream_is_closed)
            gone.set()
            await until(lambda: not self.server._connections)  # the request is through
            await until(lambda: not len(tornadoserver._admissions.get(self.application, ())))
            await self.assert_serving()

    @unittest.skipUnless(hasattr(socket, 'AF_UNIX'), 'there are no Unix sockets here')
    async def test_a_proxy_on_a_unix_socket(self) -> None:
        self.serve(trusted_proxies=['unix'], limits=Limits(connections_per_peer=1))
        with tempfile.TemporaryDirectory() as directory:
            path = os.path.join(directory, 'server.sock')
            self.server.add_sockets([bind_unix_socket(path)])
            clients = []
            for field, status in (('192.0.2.1', 101), ('192.0.2.1', 429), ('garbage', 101), ('garbage', 101)):
                client = Client(*await asyncio.open_unix_connection(path))
                self.addCleanup(client.writer.close)
                client.writer.write(upgrade_request(f'X-Forwarded-For: {field}', target='/ws'))
                self.assertEqual(await client.read_head(), status)
                clients.append(client)
            addresses = [websocket.peer_address for websocket in self.handler.made]
            self.assertEqual(addresses, [('192.0.2.1', 0), '', ''])
            for client in clients:
                client.writer.close()

    def stream_is_closed(self) -> bool:
        return all(connection.stream.closed() for connection in self.server._connections)

    async def test_make_websocket_knows_the_request(self) -> None:
        class Rooms(WebSocketHandler):
            def make_websocket(self, *args: Any) -> WebSocket:
                if self.path_args != ['lobby']:
                    raise web.HTTPError(404)
                websocket = super().make_websocket(*args)
                websocket.user = self.current_user  # type: ignore[attr-defined]
                return websocket

            def get_current_user(self) -> Any:
                return 'ann'

        self.serve(Rooms)
        client = await self.dial(upgrade_request(target='/wslobby'))
        self.assertEqual(await client.read_head(), 101)
        self.assertEqual(self.handler.made[0].user, 'ann')  # type: ignore[attr-defined]
        client = await self.dial(upgrade_request(target='/wscellar'))
        self.assertEqual(await client.read_head(), 404)

    async def test_a_constructor_that_raises(self) -> None:
        def broken(*args: Any) -> WebSocket:
            raise ZeroDivisionError

        self.serve(handler_cls=broken)
        with self.assertLogs('tornado.application', 'ERROR') as logs:
            client = await self.dial(upgrade_request(target='/ws'))
            self.assertEqual(await client.read_head(), 500)
        self.assertIn('ZeroDivisionError', logs.output[0])


class Refusals(ServerCase):
    async def test_what_is_not_an_upgrade(self) -> None:
        self.serve(protocols=['chat'], origins=['https://example.com'])
        for name, request, status in (
            ('no Upgrade', upgrade_request(leave_out='Upgrade'), 400),
            ('another Upgrade', upgrade_request('Upgrade: notwebsocket', leave_out='Upgrade'), 400),
            ('another Connection', upgrade_request('Connection: notupgrade', leave_out='Connection'), 400),
            ('no key', upgrade_request(leave_out='Sec-WebSocket-Key'), 400),
            ('two keys', upgrade_request('Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=='), 400),
            ('a short key', upgrade_request('Sec-WebSocket-Key: abc', leave_out='Sec-WebSocket-Key'), 400),
            ('version 12', upgrade_request('Sec-WebSocket-Version: 12', leave_out='Sec-WebSocket-Version'), 426),
            ('a body', upgrade_request('Content-Length: 5') + b'hello', 400),
            ('chunks', upgrade_request('Transfer-Encoding: chunked') + b'0\r\n\r\n', 400),
            ('HTTP/1.0', upgrade_request().replace(b'HTTP/1.1', b'HTTP/1.0'), 505),
            ('another origin', upgrade_request('Origin: https://evil.example'), 403),
            ('another protocol', upgrade_request('Sec-WebSocket-Protocol: other'), 400),
            ('a header too long', upgrade_request('X: ' + 'x' * 9 * KIB), 431),
            ('headers too many', upgrade_request(*(f'X-{number}: x' for number in range(2000))), 431),
            ('a target too long', upgrade_request(target='/' + 'x' * 9 * KIB), 414),
        ):
            with self.subTest(name):
                request = request.replace(b'GET /', b'GET /ws', 1)
                behind = b'GET / HTTP/1.1\r\nHost: localhost\r\n\r\n'
                found, client, body = await self.ask(request + behind)
                self.assertEqual(found, status, client.head)
                self.assertEqual(client.header('Content-Type') or '', 'text/plain; charset=utf-8', client.head)
                self.assertEqual(len(body), int(client.header('Content-Length') or 0), 'what follows was not served')
                self.assertEqual(body[-1:], b'\n')
                self.assertEqual(client.header('Upgrade'), 'websocket' if status == 426 else None)
                self.assertNotIn(b'Traceback', body)
        self.assertEqual(self.handler.made, [])

    async def test_what_tornado_refuses_by_itself(self) -> None:
        self.serve()
        for name, request in (
            ('no Host', upgrade_request(target='/ws', leave_out='Host')),
            ('two Hosts', upgrade_request('Host: other', target='/ws')),
            ('NUL', upgrade_request('X: a\0b', target='/ws')),
            ('space before the colon', upgrade_request('X : a', target='/ws')),
            ('a head of 100 KiB', upgrade_request(*['X: ' + 'x' * 1000] * 100, target='/ws')),
            ('a line of 1 MB', upgrade_request('X: ' + 'x' * 10**6, target='/ws')),
        ):
            with self.subTest(name):
                client = await self.dial(request)
                with contextlib.suppress(ConnectionError):
                    answer = await asyncio.wait_for(client.reader.read(), TIMEOUT)
                    self.assertIn(answer[:12], (b'HTTP/1.1 400', b''))
        self.assertEqual(self.handler.made, [])
        await self.assert_serving()

    async def test_other_methods(self) -> None:
        self.serve()
        for method in ('HEAD', 'POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS'):
            with self.subTest(method):
                status, client, body = await self.ask(upgrade_request(method=method, target='/ws'))
                self.assertEqual((status, client.header('Allow')), (405, 'GET'))
                self.assertEqual(
                    body, b'' if method == 'HEAD' else f"the method is '{method}' (expected GET)\n".encode()
                )

    async def test_a_refused_client_that_goes_on_sending(self) -> None:
        self.serve()
        with mock.patch.object(tornadoserver, 'LINGER', 0.05), self.assertRaises(ConnectionError):
            client = await self.dial(upgrade_request(target='/ws', leave_out='Upgrade'))
            self.assertEqual(await client.read_head(), 400)
            while True:
                client.writer.write(bytes(64 * KIB))
                await client.writer.drain()

    async def test_a_client_that_is_gone_before_the_answer(self) -> None:
        asked, gone = asyncio.Event(), asyncio.Event()

        class Slow(WebSocketHandler):
            async def prepare(self) -> None:
                asked.set()
                await gone.wait()

            def on_connection_close(self) -> None:
                gone.set()

        self.serve(Slow)
        complaints: list[str] = []
        handler = logging.Handler(logging.ERROR)
        handler.emit = lambda record: complaints.append(record.getMessage())  # type: ignore[method-assign]
        logging.getLogger('tornado').addHandler(handler)
        self.addCleanup(logging.getLogger('tornado').removeHandler, handler)
        for request in (upgrade_request(target='/ws'), upgrade_request(target='/ws', leave_out='Upgrade')):
            asked.clear()
            gone.clear()
            client = await self.dial(request)
            await asyncio.wait_for(asked.wait(), TIMEOUT)
            client.reset()
            await asyncio.wait_for(gone.wait(), TIMEOUT)
            await until(lambda: not self.server._connections)
        self.assertEqual((self.handler.made, complaints), ([], []))
        await self.assert_serving()


class Ends(ServerCase):
    async def test_everybody_is_closed_with_1001(self) -> None:
        self.serve()
        clients = [await self.upgrade() for _ in range(5)]

        async def leave(client: Client) -> tuple[int, bytes]:
            closing = await client.receive()
            client.close(1001)
            self.assertEqual(await client.reader.read(), b'')
            return closing

        self.server.stop()
        *closings, _ = await asyncio.gather(*map(leave, clients), close_all(self.application))
        self.assertEqual(closings, [(CLOSE, b'\x03\xe9Server is shutting down')] * 5)
        self.assertEqual(self.handler.ends, [(1001, b'')] * 5)
        await close_all(self.application)
        await close_all(Application())

    async def test_goodbyes_that_are_spread_and_brought_forward(self) -> None:
        self.serve()
        clients = [await self.upgrade() for _ in range(3)]
        spread = asyncio.ensure_future(close_all(self.application, spread=3 * 3600))
        self.assertEqual((await clients[0].receive())[0], CLOSE)
        clients[1].send(OPCODE_TEXT, b'still here')
        self.assertEqual(await clients[1].receive(), (TEXT, b'still here'))
        hurried = asyncio.ensure_future(close_all(self.application, 4000, 'now'))
        for client in clients[1:]:
            self.assertEqual(await client.receive(), (CLOSE, b'\x0f\xa0now'))
        for client in clients:
            client.close(1001)
        await asyncio.wait_for(asyncio.gather(spread, hurried), TIMEOUT)

    async def test_who_does_not_answer_is_dropped(self) -> None:
        self.serve(limits=Limits(close_timeout=0.1))
        silent, stuck = await self.upgrade(), await self.upgrade()
        stuck.send(OPCODE_BINARY, bytes(MIB))
        self.handler.made[1].send(bytes(4 * MIB), True)
        await asyncio.wait_for(close_all(self.application, 4000, 'enough'), TIMEOUT)
        self.assertEqual([code for code, _ in self.handler.ends], [1006, 1006])
        self.assertEqual(await silent.receive(), (CLOSE, b'\x0f\xa0enough'))

    async def test_what_does_not_end_is_not_waited_for(self) -> None:
        forever = asyncio.Event()

        class Endless(self.handler):  # type: ignore[name-defined, misc]
            async def closed(self, code: int, reason: Any = None) -> None:
                await forever.wait()

            def close(self, *args: Any) -> None:
                super().close(*args)
                raise ZeroDivisionError

        self.serve(handler_cls=Endless, limits=Limits(close_timeout=0.05))
        await self.upgrade()
        with self.assertLogs('ws4py') as logs:
            await asyncio.wait_for(close_all(self.application), TIMEOUT)
        self.assertIn('could not be closed', logs.output[0])
        self.assertIn('of the websockets 1 have not ended', logs.output[-1])
        forever.set()
        await until(lambda: not tornadoserver._connections[self.application])

    async def test_a_broadcast(self) -> None:
        self.serve()
        broadcast(Application(), 'to nobody')
        clients = [await self.upgrade() for _ in range(3)]
        broadcast(self.application, 'to all')
        broadcast(self.application, b'data', binary=True)
        for client in clients:
            self.assertEqual(await client.receive(), (TEXT, b'to all'))
            self.assertEqual(await client.receive(), (BINARY, b'data'))

    async def test_clients_that_vanish(self) -> None:
        self.serve()
        for name in ('FIN', 'RST', 'FIN in a frame', 'RST in a frame', 'half close'):
            with self.subTest(name):
                client = await self.upgrade()
                count = len(self.handler.ends)
                if 'frame' in name:
                    client.writer.write(frame(OPCODE_BINARY, bytes(100 * KIB), masked=True)[: 70 * KIB])
                    await client.writer.drain()
                if 'half' in name:
                    client.writer.write_eof()
                elif 'RST' in name:
                    client.reset()
                else:
                    client.writer.close()
                await until(lambda: len(self.handler.ends) > count)  # noqa: B023
                self.assertEqual(self.handler.ends[-1], (1006, 'Going away'))
                await until(lambda: not tornadoserver._connections[self.application])
        await until(lambda: not self.server._connections)

    async def test_one_that_does_not_read_does_not_hinder_the_others(self) -> None:
        self.serve(limits=Limits(write_high_water=256 * KIB))
        slow = await self.upgrade()
        (websocket,) = self.handler.made
        for _ in range(200):
            slow.send(OPCODE_BINARY, bytes(64 * KIB))
        await until(lambda: websocket.watched[1])
        await self.assert_serving()
        assert websocket._outbox is not None
        self.assertLess(websocket._outbox.size, MIB)
        for _ in range(200):
            self.assertEqual((await slow.receive())[0], BINARY)

    async def test_what_a_hook_raises(self) -> None:
        class Broken(self.handler):  # type: ignore[name-defined, misc]
            async def received_message(self, message: Any) -> None:
                raise ZeroDivisionError

        self.serve(handler_cls=Broken)
        client = await self.upgrade()
        with self.assertLogs('ws4py', 'ERROR') as logs:
            client.send(OPCODE_TEXT, b'hello')
            self.assertEqual(await client.receive(), (CLOSE, b'\x03\xf3'))
        self.assertIn('ZeroDivisionError', logs.output[0])
        client.close(1011)
        self.assertEqual(await client.reader.read(), b'')
        client.writer.close()
        await until(lambda: self.handler.ends == [(1011, '')])


class Coroutines(ServerCase):
    """Programs of coroutines, on :class:`ws4py.async_websocket.WebSocket`."""

    async def asyncSetUp(self) -> None:
        await super().asyncSetUp()
        ends = self.ends = []  # type: ignore[var-annotated]

        class Base(async_websocket.WebSocket):
            async def closed(self, code: int, reason: Any = None) -> None:  # type: ignore[override]
                await asyncio.sleep(0)
                ends.append((code, reason))

        self.base: Any = Base

    async def test_an_iteration_over_the_messages(self) -> None:
        class Chat(self.base):  # type: ignore[name-defined, misc]
            async def opened(self) -> None:
                await self.send('welcome')
                async for message in self:
                    await self.send(f'you said {message}')
                ends.append('the iteration')

        ends = self.ends
        self.serve(handler_cls=Chat)
        client = await self.upgrade()
        self.assertEqual(await client.receive(), (TEXT, b'welcome'))
        for number in range(50):  # more than may wait for recv()
            client.send(OPCODE_TEXT, b'%d' % number)
        for number in range(50):
            self.assertEqual(await client.receive(), (TEXT, b'you said %d' % number))
        client.close()
        self.assertEqual(await client.receive(), (CLOSE, b'\x03\xe8'))
        self.assertEqual(await client.reader.read(), b'')
        await until(lambda: len(ends) == 2)
        self.assertEqual(ends, ['the iteration', (1000, b'')])

    async def test_recv_tells_the_end(self) -> None:
        class Asking(self.base):  # type: ignore[name-defined, misc]
            async def opened(self) -> None:
                try:
                    while True:
                        ends.append((await self.recv()).data)
                except StreamClosed as end:
                    ends.append((end.code, end.reason))

        ends = self.ends
        self.serve(handler_cls=Asking)
        client = await self.upgrade(
            more=frame(OPCODE_BINARY, b'one', masked=True) + close_frame(4000, b'x', masked=True)
        )
        self.assertEqual(await client.receive(), (CLOSE, b'\x0f\xa0x'))
        await until(lambda: len(ends) == 3)
        self.assertEqual(ends, [b'one', (4000, 'x'), (4000, b'x')])

    async def test_sends_wait_for_room_and_close_for_the_end(self) -> None:
        class Big(self.base):  # type: ignore[name-defined, misc]
            async def opened(self) -> None:
                for _ in range(40):
                    await self.send(bytes(MIB), True)
                    most.append(self._queued)
                await self.close(4000, 'all sent')
                most.append(-1)

        most: list[int] = []
        self.serve(handler_cls=Big, limits=Limits(write_high_water=256 * KIB, write_limit=2 * MIB))
        client = await self.upgrade()
        for _ in range(40):
            self.assertEqual(await client.receive(), (BINARY, bytes(MIB)))
        self.assertEqual(await client.receive(), (CLOSE, b'\x0f\xa0all sent'))
        self.assertNotIn(-1, most)
        self.assertLessEqual(max(most), 256 * KIB)
        client.close(4000)
        self.assertEqual(await client.reader.read(), b'')
        await until(lambda: self.ends)
        self.assertEqual((len(most), most[-1], self.ends), (41, -1, [(4000, b'')]))

    async def test_who_does_not_ask_is_not_read_and_still_closed(self) -> None:
        class Deaf(self.base):  # type: ignore[name-defined, misc]
            def __init__(self, *args: Any) -> None:
                super().__init__(*args)
                made.append(self)

        made: list[Any] = []
        self.serve(handler_cls=Deaf)
        client = await self.upgrade()
        client.writer.write(frame(OPCODE_TEXT, b'hello', masked=True) * 1000)
        with self.assertLogs('ws4py', 'WARNING'):
            await until(lambda: made[0].watched[1])
        closing = asyncio.ensure_future(close_all(self.application))
        while (await client.receive())[0] != CLOSE:
            pass
        client.close(1001)
        self.assertEqual(await client.reader.read(), b'')
        await asyncio.wait_for(closing, TIMEOUT)
        self.assertEqual(self.ends, [(1001, b'')])

    async def test_a_broadcast_builds_its_frame_once(self) -> None:
        self.serve(handler_cls=async_websocket.EchoWebSocket)
        clients = [await self.upgrade() for _ in range(3)]
        with mock.patch('ws4py.extensions.build_data_frame', wraps=build_data_frame) as build:
            broadcast(self.application, 'to all')
        self.assertEqual(build.call_count, 1)
        for client in clients:
            self.assertEqual(await client.receive(), (TEXT, b'to all'))


@needs_peers
class ForeignClients(ServerCase):
    async def scenario(self, url: str, context: Optional[ssl.SSLContext]) -> None:
        await self.websockets(url, context)
        await self.tornado(url, context)
        await asyncio.get_running_loop().run_in_executor(None, self.websocket_client, url, context)
        await until(lambda: not tornadoserver._connections[self.application])
        self.assertEqual(self.handler.ends, [(4000, b'bye')] * 3)

    async def websockets(self, url: str, context: Optional[ssl.SSLContext]) -> None:
        async with websockets.connect(url, ssl=context, max_size=None, subprotocols=['chat']) as client:  # type: ignore[list-item]
            self.assertEqual(client.subprotocol, 'chat')
            for message in ('hello', '', b'', b'\0\1', 'x' * MIB, bytes(16 * MIB)):
                await client.send(message)
                self.assertEqual(await client.recv(), message)
            await client.send(part for part in ('a', 'b', 'c'))
            self.assertEqual(await client.recv(), 'abc')
            await (await client.ping())
            await client.close(4000, 'bye')
            self.assertEqual((client.close_code, client.close_reason), (4000, 'bye'))

    async def tornado(self, url: str, context: Optional[ssl.SSLContext]) -> None:
        request = HTTPRequest(url, ssl_options=context)
        client = await websocket_connect(request, max_message_size=16 * MIB, subprotocols=['chat'])
        for message in ('hello', '', b'', bytes(16 * MIB)):
            await client.write_message(message, binary=isinstance(message, bytes))
            self.assertEqual(await client.read_message(), message)
        client.close(4000, 'bye')
        self.assertIsNone(await client.read_message())
        self.assertEqual((client.close_code, client.close_reason), (4000, 'bye'))

    def websocket_client(self, url: str, context: Optional[ssl.SSLContext]) -> None:
        client = websocket_client.create_connection(url, sslopt={'context': context}, timeout=TIMEOUT)
        for message in ('hello', '', 'x' * MIB):
            client.send(message)
            self.assertEqual(client.recv(), message)
        client.ping(b'there?')
        self.assertEqual(client.recv_data(control_frame=True)[1], b'there?')
        client.close(4000, b'bye')

    async def test_over_ws(self) -> None:
        self.serve(protocols=['chat'])
        await self.scenario(f'ws://127.0.0.1:{self.port}/ws', None)

    @needs_certificates
    async def test_over_wss(self) -> None:
        self.serve(protocols=['chat'], tls=True)
        await self.scenario(f'wss://localhost:{self.port}/ws', support_tls.client_context())
        self.assertEqual({websocket.close_code for websocket in self.handler.made}, {4000})

    @needs_certificates
    async def test_a_tls_client_that_stalls_does_not_keep_others_out(self) -> None:
        self.serve(tls=True)
        await self.dial(b'\x16')
        async with websockets.connect(f'wss://localhost:{self.port}/ws', ssl=support_tls.client_context()) as client:
            self.assertTrue(self.handler.made[0]._is_secure)
            environ = self.handler.made[0].environ
            assert environ is not None
            self.assertEqual(environ['wsgi.url_scheme'], 'https')
            await client.send('hello')
            self.assertEqual(await client.recv(), 'hello')

    @needs_certificates
    async def test_a_refusal_over_tls(self) -> None:
        self.serve(tls=True, origins=[])
        with self.assertRaises(websockets.exceptions.InvalidStatus) as caught:
            await websockets.connect(
                f'wss://localhost:{self.port}/ws', ssl=support_tls.client_context(), origin='http://evil.example'
            )
        self.assertEqual(caught.exception.response.status_code, 403)


if __name__ == '__main__':
    unittest.main()
