"""CherryPy, on real servers: plain, with cheroot's two TLS adapters, and with CherryPy's gateway that is not WSGI.

One engine runs them all for the whole file; tests of its life have processes, or buses, of their own.
"""

from __future__ import annotations

import contextlib
import gc
import logging
import os
import re
import socket
import subprocess
import sys
import tempfile
import textwrap
import threading
import unittest
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Callable
from unittest.mock import patch

import support_tls
from helpers import TIMEOUT, Peer, frame, wait_for
from support_sockets import read_all, upgrade_request
from support_tls import needs_certificates

try:
    import cherrypy
except ImportError:
    raise unittest.SkipTest('cherrypy is not installed') from None

import cheroot.makefile
import cheroot.server
from cherrypy._cpserver import Server
from cherrypy._cptools import HandlerTool
from cherrypy.process.wspbus import Bus

from ws4py import blocking
from ws4py.client.threadedclient import WebSocketClient
from ws4py.framing import OPCODE_BINARY
from ws4py.http11 import Headers, Request, Response
from ws4py.limits import Limits
from ws4py.manager import WebSocketManager
from ws4py.server import cherrypyserver
from ws4py.server.cherrypyserver import WebSocketPlugin, WebSocketTool
from ws4py.state import State
from ws4py.websocket import EchoWebSocket, WebSocket

try:
    from OpenSSL import SSL
except ImportError:
    SSL = None

ROOT = Path(__file__).resolve().parents[2]
THREADS = 2  # of each server
CLOSE_1000 = b'\x88\x82\0\0\0\0\x03\xe8'
needs_openssl = unittest.skipIf(SSL is None, 'pyOpenSSL is not installed')


class Recorder(EchoWebSocket):
    """Writes down what becomes of it, and all there were."""

    made: list[Recorder] = []
    limits = Limits(close_timeout=2.0)

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.thread = threading.get_ident()
        self.calls: list[Any] = []
        self.over = threading.Event()
        self.made.append(self)

    def opened(self) -> None:
        self.calls.append('opened')

    def closed(self, code: int, reason: Any = None) -> None:
        self.calls.append((code, reason))
        self.over.set()


class Greeter(Recorder):
    def opened(self) -> None:
        super().opened()
        self.send(f'hello from {cherrypy.request.path_info}')


class Talker(Recorder):
    """Answers with what it is."""

    def received_message(self, message: Any) -> None:
        self.send(f'{self.protocols} {self.extensions} {self.heartbeat_freq} {self.limits.message_size}')


class Unwanted(Recorder):
    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        raise cherrypy.HTTPError(403, 'not you')


class Broken(Recorder):
    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        raise ArithmeticError('the constructor is broken')


def guard() -> None:
    """A tool that lets nobody in without a name."""
    if 'Name' not in cherrypy.request.headers:
        raise cherrypy.HTTPError(401)


class Root:
    """Pages, all of which but the first are for websockets."""

    seen: list[Any] = []

    @cherrypy.expose
    def index(self) -> bytes:
        return b'a page'

    @cherrypy.expose
    def ws(self, *path: str, **query: str) -> str:
        self.seen.append((cherrypy.request.ws_handler, threading.get_ident()))
        return 'what a page handler returns'

    @cherrypy.expose
    @cherrypy.config(**{'response.stream': True, 'tools.encode.on': False})
    def generator(self) -> Iterator[bytes]:
        yield b'a page '
        self.seen.append(cherrypy.request.ws_handler)
        yield b'in pieces'

    @cherrypy.expose
    @cherrypy.config(**{'tools.encode.on': False})
    def text(self) -> str:
        return 'text, which CherryPy would not take without its encode tool'

    @cherrypy.expose
    def meddler(self) -> bytes:
        cherrypy.response.headers['Connection'] = 'close'
        cherrypy.response.headers['Content-Length'] = '6'
        cherrypy.response.headers['X-Page'] = 'kept'
        cherrypy.response.cookie['cookie'] = 'kept'
        return b'a page'

    @cherrypy.expose
    def decorated(self) -> None:
        pass

    @cherrypy.expose
    def raises(self) -> None:
        raise ArithmeticError('the page is broken')

    @cherrypy.expose
    def forbids(self) -> None:
        raise cherrypy.HTTPError(403, 'not here')

    @cherrypy.expose
    def redirects(self) -> None:
        raise cherrypy.HTTPRedirect('/elsewhere')

    @cherrypy.expose
    def answers(self) -> bytes:
        cherrypy.response.status = 404
        return b'another answer'

    @cherrypy.expose
    def inside(self, to: str) -> None:
        raise cherrypy.InternalRedirect(to)

    release = threading.Event()

    @cherrypy.expose
    def late(self) -> None:
        self.seen.append(cherrypy.request.ws_handler)
        assert self.release.wait(TIMEOUT)

    @cherrypy.expose
    def sends(self) -> None:
        cherrypy.request.ws_handler.send('too early')

    @cherrypy.expose
    def closes(self) -> None:
        cherrypy.request.ws_handler.close()


def openssl_context() -> Any:
    """TLS for a server, as pyOpenSSL likes it. The one that cheroot would make is full of warnings."""
    context = SSL.Context(SSL.TLS_METHOD)
    certificate, key = support_tls.certificate_files()
    context.use_certificate_chain_file(certificate)
    context.use_privatekey_file(key)
    return context


class Running:
    """The servers of this file, by name, and what the tests share."""

    servers: dict[str, Server] = {}
    plugin: WebSocketPlugin


def configuration() -> dict[str, dict[str, Any]]:
    def tool(handler: Any = Recorder, **arguments: Any) -> dict[str, Any]:
        given = {'on': True, 'handler_cls': handler, **arguments}
        return {f'tools.websocket.{name}': value for name, value in given.items()}

    counted = tool(limits=Limits(connections=1000))
    paths = {f'/{name}': counted for name in vars(Root) if name not in ('index', 'decorated')}

    def bake(request: Request) -> Response:
        return Response(200, headers=Headers([('Set-Cookie', 'a=1'), ('Set-Cookie', 'b=2')]), body=b'baked')

    return {
        **paths,
        '/ws/cookies': {**tool(process_request=bake), 'tools.sessions.on': True},
        '/ws/greeter': tool(Greeter),
        '/ws/talker': tool(
            Talker,
            protocols=['chat', 'superchat'],
            extensions=['x-own'],
            heartbeat_freq=60.0,
            limits=Limits(message_size=77),
        ),
        '/ws/old': tool(version=(8,)),
        '/ws/small': tool(limits=Limits(line_size=64)),
        '/ws/origins': tool(origins=['https://example.com']),
        '/ws/unwanted': tool(Unwanted),
        '/ws/broken': tool(Broken),
        '/ws/made': tool(lambda *args: Recorder(*args)),
        '/ws/guarded': {**tool(), 'tools.guard.on': True},
        '/ws/nopage': {**tool(), 'tools.nopage.on': True},
        '/ws/tools': {**tool(), **{f'tools.{name}.on': True for name in ('gzip', 'caching', 'sessions', 'etags')}},
    }


def setUpModule() -> None:
    cherrypy.config.update({'environment': 'embedded', 'server.thread_pool': THREADS})
    cherrypy.config.update({'tools.log_tracebacks.on': False, 'request.show_tracebacks': True})
    cherrypy.log.error_log.propagate = cherrypy.log.access_log.propagate = False
    cherrypy.server.unsubscribe()
    cherrypy.tools.websocket = WebSocketTool()
    cherrypy.tools.nopage = HandlerTool(lambda: True)
    cherrypy.tools.guard = cherrypy.Tool('before_handler', guard)
    cherrypy.tools.websocket(handler_cls=Greeter)(Root.decorated)
    cherrypy.tree.mount(Root(), '', configuration())
    kinds: dict[str, dict[str, Any]] = {'plain': {}, 'native': {'instance': 'cherrypy._cpnative_server.CPHTTPServer'}}
    if support_tls.trustme is not None:
        certificate, key = support_tls.certificate_files()
        kinds['builtin'] = {'ssl_certificate': certificate, 'ssl_private_key': key}
        if SSL is not None:
            kinds['pyopenssl'] = {'ssl_module': 'pyopenssl', 'ssl_context': openssl_context()}
    for name, attributes in kinds.items():
        server = Running.servers[name] = Server()
        server.socket_port = 0
        server.thread_pool = THREADS
        for attribute, value in attributes.items():
            setattr(server, attribute, value)
        server.subscribe()
    Running.plugin = WebSocketPlugin(cherrypy.engine)
    Running.plugin.subscribe()
    cherrypy.engine.start()


def tearDownModule() -> None:
    cherrypy.engine.exit()
    Running.plugin.unsubscribe()
    for server in Running.servers.values():
        server.unsubscribe()
    Running.servers.clear()
    cherrypy.tree.apps.clear()
    cherrypy.server.subscribe()
    Recorder.made.clear()
    Root.seen.clear()


class Case(unittest.TestCase):
    server = 'plain'

    def setUp(self) -> None:
        if self.server not in Running.servers:
            self.skipTest('pyOpenSSL or trustme is not installed')
        self.made = Recorder.made = []
        Root.seen = []
        Root.release.clear()
        quiet = logging.NullHandler()  # instead of the standard error output
        logging.getLogger('ws4py').addHandler(quiet)
        self.addCleanup(logging.getLogger('ws4py').removeHandler, quiet)
        self.addCleanup(self.none_left)

    def none_left(self) -> None:
        """Every websocket of the test has ended, and only once."""
        wait_for(lambda: not len(Running.plugin.manager))
        for websocket in self.made:
            self.assertLessEqual(len([call for call in websocket.calls if call != 'opened']), 1)

    @property
    def port(self) -> int:
        return int(Running.servers[self.server].bound_addr[1])

    @property
    def secure(self) -> bool:
        return self.server in ('builtin', 'pyopenssl')

    def connect(self) -> socket.socket:
        sock = socket.create_connection(('127.0.0.1', self.port), TIMEOUT)
        if self.secure:
            sock = support_tls.client_context().wrap_socket(sock, server_hostname='localhost')
        self.addCleanup(sock.close)
        return sock

    def ask(self, request: bytes) -> tuple[str, dict[str, str], bytes]:
        """Send a request; its status line, headers in lower case, and what comes until the connection ends."""
        sock = self.connect()
        sock.sendall(request)
        return self.take_apart(read_all(sock))

    def take_apart(self, data: bytes) -> tuple[str, dict[str, str], bytes]:
        head, _, body = data.partition(b'\r\n\r\n')
        status, *lines = head.decode('latin-1').split('\r\n')
        return status, {line.partition(': ')[0].lower(): line.partition(': ')[2] for line in lines}, body

    def open(self, target: str = '/ws', *headers: str, more: bytes = b'') -> tuple[str, Peer]:
        """The head of a 101 response, and the client's end of the websocket."""
        peer = Peer(self.connect())
        peer.sock.sendall(upgrade_request(*headers, target=target) + more)
        return self.read_head(peer), peer

    def read_head(self, peer: Peer) -> str:
        head = b''
        while not head.endswith(b'\r\n\r\n'):
            head += peer.read(1)
        self.assertTrue(head.startswith(b'HTTP/1.1 101 Switching Protocols\r\n'), head)
        return head.decode('latin-1')

    def end(self, peer: Peer) -> None:
        """A closing handshake, begun by the client."""
        peer.sock.sendall(CLOSE_1000)
        self.assertEqual(peer.receive(), (0x88, b'\x03\xe8'))
        self.assertTrue(peer.at_end())


class Handshake(Case):
    def test_the_head_of_the_response(self) -> None:
        head, peer = self.open()
        status, *lines = head.rstrip('\r\n').split('\r\n')
        self.assertEqual(status, 'HTTP/1.1 101 Switching Protocols')
        names = [line.partition(':')[0].lower() for line in lines]
        self.assertEqual(sorted(names), ['connection', 'date', 'sec-websocket-accept', 'server', 'upgrade'])
        self.assertIn('Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=', lines)
        self.assertIn('Upgrade: websocket', lines)
        self.assertIn('Connection: Upgrade', lines)
        self.end(peer)

    def test_a_message_and_the_end(self) -> None:
        _, peer = self.open()
        peer.text('hello')
        self.assertEqual(peer.receive(), (0x81, b'hello'))
        self.end(peer)
        (websocket,) = self.made
        self.assertTrue(websocket.over.wait(TIMEOUT))
        self.assertEqual(websocket.calls, ['opened', (1000, b'')])

    def test_refusals(self) -> None:
        key = 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=='
        body = 'Content-Length: 0'
        cases: list[tuple[bytes, int, str]] = [
            (upgrade_request(target='/ws', leave_out='Upgrade'), 400, 'Header HTTP_UPGRADE is not defined'),
            (upgrade_request(target='/ws', leave_out='Connection'), 400, 'Header HTTP_CONNECTION is not defined'),
            (upgrade_request(target='/ws', leave_out='Sec-WebSocket-Key'), 400, 'HTTP_SEC_WEBSOCKET_KEY is not'),
            (upgrade_request('Upgrade: h2c', target='/ws', leave_out='Upgrade'), 400, "Upgrade is 'h2c'"),
            (upgrade_request(key, target='/ws'), 400, 'Sec-WebSocket-Key is'),
            (upgrade_request('Sec-WebSocket-Version: 13', target='/ws'), 426, "'13, 13' (expected 13)"),
            (upgrade_request('Host: other', target='/ws'), 400, "Host is 'localhost, other'"),
            (upgrade_request(*['Origin: https://example.com'] * 2, target='/ws/origins'), 403, 'Origin is'),
            (upgrade_request(*(f'X-{n}: n' for n in range(2000)), target='/ws'), 431, 'headers, 128 are allowed'),
            (upgrade_request('X: ' + 'x' * 9000, target='/ws'), 431, 'a header line of'),
            (upgrade_request(target='/ws?' + 'x' * 9000), 414, 'the request target has'),
            (upgrade_request('X: ' + 'x' * 100, target='/ws/small'), 431, '64 are allowed'),
            (upgrade_request('Sec-WebSocket-Version: 8', target='/ws', leave_out='Sec-WebSocket-Version'), 426, "'8'"),
            (upgrade_request(target='/ws/old'), 426, 'Sec-WebSocket-Version'),
            (upgrade_request(body, target='/ws'), 400, 'Content-Length'),
            (upgrade_request('Transfer-Encoding: chunked', target='/ws'), 400, 'Transfer-Encoding'),
            (upgrade_request(target='/ws', method='POST'), 405, 'the method is'),
            (upgrade_request('Content-Length: 999999', target='/ws', method='POST'), 405, 'the method is'),
            (upgrade_request(target='/ws', method='DELETE'), 405, 'the method is'),
            (upgrade_request(target='/ws').replace(b'HTTP/1.1', b'HTTP/1.0', 1), 505, 'HTTP/1.0 has no WebSocket'),
            (upgrade_request('Sec-WebSocket-Protocol: no', target='/ws/talker'), 400, 'Sec-WebSocket-Protocol is'),
            (upgrade_request('Sec-WebSocket-Protocol: "', target='/ws'), 400, 'is not a token'),
            (upgrade_request('Origin: https://example.org', target='/ws/origins'), 403, 'Origin'),
            (upgrade_request('X: a\0b', target='/ws'), 400, 'character'),
            (b'GET /ws HTTP/1.1\r\nHost: localhost\r\n\r\n', 400, 'Header HTTP_UPGRADE is not defined'),
        ]
        for request, expected, text in cases:
            with self.subTest(request=request):
                status, headers, body = self.ask(request + b'GET / HTTP/1.1\r\nHost: localhost\r\n\r\n')
                self.assertEqual(int(status.split()[1]), expected)
                self.assertIn(text, body.decode())
                self.assertEqual(int(headers['content-length']), len(body), 'nothing else is answered')
                self.assertEqual(headers['content-type'], 'text/plain; charset=utf-8')
                self.assertIn('close', headers['connection'])
                self.assertEqual(headers.get('sec-websocket-version'), '13' if expected == 426 else None)
                self.assertEqual(headers.get('allow'), 'GET' if expected == 405 else None)
        self.assertEqual(self.made, [])

    def test_without_a_host(self) -> None:
        """CherryPy says so itself."""
        status, _, _ = self.ask(b'GET /ws HTTP/1.1\r\nConnection: close\r\nUpgrade: websocket\r\n\r\n')
        self.assertIn(' 400 ', status)

    def test_other_pages_are_served_on(self) -> None:
        status, _, body = self.ask(b'GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n')
        self.assertEqual((status, body), ('HTTP/1.1 200 OK', b'a page'))

    def test_an_answer_with_cookies_beside_those_of_another_tool(self) -> None:
        sock = self.connect()
        sock.sendall(upgrade_request(target='/ws/cookies'))
        head = read_all(sock).decode()
        self.assertTrue(head.startswith('HTTP/1.1 200 OK\r\n'), head)
        self.assertTrue(head.endswith('\r\n\r\nbaked'), head)
        cookies = re.findall(r'(?im)^set-cookie: ([^=]*)', head)
        self.assertEqual(sorted(cookies), ['a', 'b', 'session_id'])

    def test_origins(self) -> None:
        for origin in ([], ['Origin: https://example.com']):
            self.end(self.open('/ws/origins', *origin)[1])

    def test_no_plugin(self) -> None:
        listeners = cherrypy.engine.listeners.pop('handle-websocket')
        self.addCleanup(cherrypy.engine.listeners.__setitem__, 'handle-websocket', listeners)
        with self.assertLogs('ws4py', 'ERROR'):
            status, _, body = self.ask(upgrade_request(target='/ws'))
        self.assertIn(' 503 ', status)
        self.assertEqual(body, b'no websockets are served at the moment\n')

    def test_another_wsgi_server(self) -> None:
        environ = {
            'wsgi.version': (1, 0),
            'wsgi.url_scheme': 'http',
            'wsgi.input': None,
            'wsgi.multithread': True,
            'wsgi.multiprocess': False,
            'REQUEST_METHOD': 'GET',
            'SCRIPT_NAME': '',
            'PATH_INFO': '/ws',
            'SERVER_PROTOCOL': 'HTTP/1.1',
            'HTTP_HOST': 'localhost',
        }
        answered: list[str] = []
        with self.assertLogs('ws4py', 'ERROR'):
            response = cherrypy.tree(environ, lambda status, headers, exc_info=None: answered.append(status))
            body = b''.join(response)
            response.close()
        self.assertEqual((answered, body), (['501 Not Implemented'], b'this server has no websockets\n'))

    def test_many_headers_and_a_long_one(self) -> None:
        """They are cheroot's to judge, with CherryPy's limit of the head."""
        with patch.object(Running.servers[self.server].httpserver, 'max_request_header_size', 4096):
            for headers in ([f'X-{n}: n' for n in range(1000)], ['X: ' + 'x' * 5000]):
                status, _, _ = self.ask(upgrade_request(*headers, target='/ws'))
                self.assertIn(' 413 ', status)


class Arguments(Case):
    def answer(self, target: str, *headers: str) -> tuple[dict[str, str], str]:
        head, peer = self.open(target, *headers)
        peer.text('?')
        answer = peer.receive()[1].decode()
        self.end(peer)
        return self.take_apart(head.encode())[1], answer

    def test_all_of_them(self) -> None:
        offers = ['Sec-WebSocket-Protocol: other', 'Sec-WebSocket-Protocol: superchat, chat']
        offers += ['Sec-WebSocket-Extensions: x-other', 'Sec-WebSocket-Extensions: x-own; a=b']
        headers, answer = self.answer('/ws/talker', *offers)
        self.assertEqual(headers['sec-websocket-protocol'], 'superchat')
        self.assertEqual(headers['sec-websocket-extensions'], 'x-own')
        self.assertEqual(answer, "['superchat'] ['x-own'] 60.0 77")

    def test_nothing_offered(self) -> None:
        headers, answer = self.answer('/ws/talker')
        self.assertNotIn('sec-websocket-protocol', headers)
        self.assertEqual(answer, '[] [] 60.0 77')

    def test_the_decorator(self) -> None:
        _, peer = self.open('/decorated')
        self.assertEqual(peer.receive(), (0x81, b'hello from /decorated'))
        self.end(peer)

    def test_any_callable_may_make_the_handler(self) -> None:
        self.end(self.open('/ws/made')[1])

    def test_the_environ(self) -> None:
        _, peer = self.open('/ws/x%20y?a=b')
        wait_for(lambda: 'opened' in self.made[0].calls)
        environ = self.made[0].environ
        assert environ is not None
        expected = {
            'REQUEST_METHOD': 'GET',
            'QUERY_STRING': 'a=b',
            'SERVER_PROTOCOL': 'HTTP/1.1',
            'SERVER_PORT': str(self.port),
            'REMOTE_ADDR': '127.0.0.1',
            'REMOTE_PORT': str(peer.sock.getsockname()[1]),
            'HTTP_HOST': 'localhost',
            'HTTP_SEC_WEBSOCKET_VERSION': '13',
            'wsgi.url_scheme': 'https' if self.secure else 'http',
        }
        self.assertLessEqual(expected.items(), environ.items())
        self.assertEqual(environ['SCRIPT_NAME'] + environ['PATH_INFO'], '/ws/x y')
        self.assertEqual(self.made[0].peer_address, peer.sock.getsockname())
        self.assertEqual(self.made[0]._is_secure, self.secure)
        self.end(peer)


class Pages(Case):
    """What the page handler does, and other tools."""

    def test_the_handler_is_there_and_made_in_the_same_thread(self) -> None:
        _, peer = self.open()
        (websocket,) = self.made
        self.assertEqual(Root.seen, [(websocket, websocket.thread)])
        self.end(peer)

    def test_what_the_page_returns_is_ignored(self) -> None:
        for page in ('/generator', '/text', '/ws/tools', '/ws/tools'):
            with self.subTest(page=page):
                _, peer = self.open(page, 'Accept-Encoding: gzip')
                peer.text('hello')
                self.assertEqual(peer.receive(), (0x81, b'hello'))
                self.end(peer)
        self.assertEqual(Root.seen[0], self.made[0])

    def test_a_tool_in_place_of_the_page(self) -> None:
        _, peer = self.open('/ws/nopage')
        self.assertEqual(Root.seen, [])
        self.end(peer)

    def test_headers_of_the_page(self) -> None:
        head, peer = self.open('/meddler')
        headers = self.take_apart(head.encode())[1]
        self.assertEqual((headers['connection'], headers['x-page']), ('Upgrade', 'kept'))
        self.assertEqual(headers['set-cookie'], 'cookie=kept')
        self.assertNotIn('content-length', headers)
        self.end(peer)

    def ends(self, websocket: Recorder) -> None:
        """It never was open, and was told so."""
        self.assertTrue(websocket.over.wait(TIMEOUT))
        self.assertEqual(websocket.calls, [(1006, 'Going away')])
        self.assertIs(websocket.state, State.CLOSED)

    def test_another_answer_than_101(self) -> None:
        for page, expected, text in (
            ('/raises', 500, 'the page is broken'),
            ('/forbids', 403, 'not here'),
            ('/redirects', 303, '/elsewhere'),
            ('/answers', 404, 'another answer'),
            ('/sends', 500, 'connection that is not open'),
        ):
            with self.subTest(page=page):
                status, headers, body = self.ask(upgrade_request(target=page))
                self.assertEqual(int(status.split()[1]), expected)
                self.assertIn(text, body.decode())
                self.assertEqual(headers['connection'], 'close')
                self.assertNotIn('sec-websocket-accept', headers)
                self.ends(self.made[-1])
                wait_for(lambda: not len(cherrypy.tools.websocket.admission))

    def test_a_close_before_it_was_open(self) -> None:
        self.assertEqual(self.ask(upgrade_request(target='/closes')), ('', {}, b''))
        self.ends(self.made[0])
        wait_for(lambda: not len(cherrypy.tools.websocket.admission))

    def test_the_client_goes_before_the_response(self) -> None:
        peer = Peer(self.connect())
        peer.sock.sendall(upgrade_request(target='/late'))
        wait_for(lambda: Root.seen)
        peer.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b'\1\0\0\0\0\0\0\0')
        peer.sock.close()
        connection = self.made[0].sock
        wait_for(lambda: blocking.wait(connection, write=False, timeout=0))
        Root.release.set()
        self.ends(self.made[0])
        wait_for(lambda: not len(cherrypy.tools.websocket.admission))

    def test_a_constructor_that_refuses(self) -> None:
        status, _, body = self.ask(upgrade_request(target='/ws/unwanted'))
        self.assertIn(' 403 ', status)
        self.assertIn(b'not you', body)

    def test_a_constructor_that_is_broken(self) -> None:
        status, _, body = self.ask(upgrade_request(target='/ws/broken'))
        self.assertIn(' 500 ', status)
        self.assertIn(b'the constructor is broken', body)

    def test_other_tools_keep_clients_out_before_a_websocket_is_made(self) -> None:
        status, _, _ = self.ask(upgrade_request('Connection: close', target='/ws/guarded', leave_out='Connection'))
        self.assertIn(' 401 ', status)
        self.assertEqual(self.made, [])
        self.end(self.open('/ws/guarded', 'Name: me')[1])


class Redirects(Case):
    """CherryPy's native server forgets the headers when a page redirects inside, so this is for WSGI."""

    def test_to_a_page(self) -> None:
        status, _, body = self.ask(upgrade_request(target='/inside?to=/'))
        self.assertEqual((status, body), ('HTTP/1.1 200 OK', b'a page'))
        Pages.ends(self, self.made[0])  # type: ignore[arg-type]

    def test_to_another_websocket(self) -> None:
        _, peer = self.open('/inside?to=/ws/greeter')
        self.assertEqual(peer.receive(), (0x81, b'hello from /ws/greeter'))
        Pages.ends(self, self.made[0])  # type: ignore[arg-type]
        self.end(peer)


class Channels(Case):
    """The channels of the engine."""

    def subscribe(self, channel: str, listener: Callable[..., object]) -> None:
        cherrypy.engine.subscribe(channel, listener)
        self.addCleanup(cherrypy.engine.unsubscribe, channel, listener)

    def test_a_new_websocket_is_published(self) -> None:
        published: list[Any] = []
        self.subscribe('handle-websocket', lambda *args: published.append(args))
        _, peer = self.open()
        wait_for(lambda: published)
        self.assertEqual(published, [(self.made[0], peer.sock.getsockname())])
        self.end(peer)

    def test_a_listener_that_raises(self) -> None:
        def listener(websocket: WebSocket, address: Any) -> None:
            raise ArithmeticError('the listener is broken')

        self.subscribe('handle-websocket', listener)
        with self.assertLogs('cherrypy.error', 'ERROR') as logged:
            _, peer = self.open()
            wait_for(lambda: logged.output)
            self.end(peer)
        self.assertIn('the listener is broken', logged.output[0])

    def test_broadcast(self) -> None:
        peers = [self.open()[1] for _ in range(3)]
        wait_for(lambda: len(Running.plugin.manager) == 3)
        cherrypy.engine.publish('websocket-broadcast', 'to all')
        cherrypy.engine.publish('websocket-broadcast', b'bytes', binary=True)
        for peer in peers:
            self.assertEqual([peer.receive(), peer.receive()], [(0x81, b'to all'), (0x82, b'bytes')])
            self.end(peer)

    def test_nobody_takes_it(self) -> None:
        peer = Peer(self.connect())
        peer.sock.sendall(upgrade_request(target='/late'))
        wait_for(lambda: Root.seen)
        listeners = cherrypy.engine.listeners.pop('handle-websocket')
        self.addCleanup(cherrypy.engine.listeners.__setitem__, 'handle-websocket', listeners)
        Root.release.set()
        self.read_head(peer)
        self.assertEqual(peer.receive(), (0x88, b'\x03\xe9Server is shutting down'))
        self.assertTrue(peer.at_end())

    def middleware(self) -> None:
        """Put one around the application that ends the request before its response is sent."""

        def collected(environ: Any, start_response: Any) -> list[bytes]:
            response = cherrypy.tree(environ, start_response)
            body = list(response)
            response.close()
            return body

        change = patch.object(Running.servers['plain'].httpserver, 'wsgi_app', collected)
        change.start()
        self.addCleanup(change.stop)

    def test_a_middleware_that_ends_the_request(self) -> None:
        self.middleware()
        _, peer = self.open()
        self.end(peer)
        self.assertEqual(self.made[0].calls[0], 'opened')
        status, _, _ = self.ask(upgrade_request(target='/forbids'))
        self.assertIn(' 403 ', status)
        Pages.ends(self, self.made[1])  # type: ignore[arg-type]

    def test_what_goes_wrong_at_the_end_of_a_connection_ends_no_thread(self) -> None:
        with patch.object(cherrypyserver._Upgrade, 'end', side_effect=ArithmeticError('broken')):
            for _ in range(THREADS + 1):
                with self.assertLogs('ws4py', 'ERROR'), self.assertLogs('cherrypy.error', 'ERROR'):
                    status, _, _ = self.ask(upgrade_request(target='/forbids'))
                self.assertIn(' 403 ', status)


class Stream(Case):
    """What the client sends, and when it arrives."""

    def test_frames_with_the_request(self) -> None:
        frames = b''.join(b'\x82\xfe\x03\xe8\0\0\0\0' + bytes([n]) * 1000 for n in range(100))
        _, peer = self.open(more=frames[:-500])
        peer.sock.sendall(frames[-500:])
        for n in range(100):
            self.assertEqual(peer.receive(), (0x82, bytes([n]) * 1000))
        self.end(peer)

    def test_a_close_with_the_request(self) -> None:
        _, peer = self.open('/ws/greeter', more=b'\x81\x82\0\0\0\0hi' + CLOSE_1000)
        frames = [(0x81, b'hello from /ws/greeter'), (0x81, b'hi'), (0x88, b'\x03\xe8')]
        self.assertEqual(peer.receive_all(), frames)
        self.assertTrue(self.made[0].over.wait(TIMEOUT))
        self.assertEqual(self.made[0].calls, ['opened', (1000, b'')])

    def test_opened_comes_after_the_response(self) -> None:
        _, peer = self.open('/ws/greeter')
        self.assertEqual(peer.receive(), (0x81, b'hello from /ws/greeter'))
        self.end(peer)

    def test_every_message_comes_at_once(self) -> None:
        """Several in one segment, which is one TLS record, and in several; the peer waits for each answer."""
        _, peer = self.open()
        for sizes in ([1], [1, 1, 1], [5000] * 3, [100_000], [40_000, 1], [1, 70_000]):
            with self.subTest(sizes=sizes):
                peer.sock.sendall(b''.join(frame(OPCODE_BINARY, bytes(size), masked=True) for size in sizes))
                for size in sizes:
                    self.assertEqual(peer.receive(), (0x82, bytes(size)))
        self.end(peer)

    def test_large_messages_both_ways_at_once(self) -> None:
        _, peer = self.open()
        messages = [os.urandom(1_500_000) for _ in range(3)]

        def send() -> None:
            for message in messages:
                peer.binary(message)

        sender = threading.Thread(target=send)
        if self.secure:  # the client's TLS object cannot do both at once
            with self.assertNoLogs('ws4py') if hasattr(self, 'assertNoLogs') else contextlib.nullcontext():
                for message in messages:
                    peer.binary(message)
                    self.assertEqual(peer.receive(), (0x82, message))
        else:
            sender.start()
            for message in messages:
                self.assertEqual(peer.receive(), (0x82, message))
            sender.join(TIMEOUT)
        self.end(peer)

    def test_threads_send_while_the_manager_reads(self) -> None:
        _, peer = self.open()
        wait_for(lambda: 'opened' in self.made[0].calls)
        rounds, threads = 40, 6

        def send(n: int) -> None:
            for count in range(rounds):
                self.made[0].send(f'{n} {count} ' + 'x' * 3000)

        senders = [threading.Thread(target=send, args=(n,)) for n in range(threads)]
        for sender in senders:
            sender.start()
        for n in range(rounds):
            peer.text(f'echo {n}')
        texts = [peer.receive()[1].decode() for _ in range(rounds * (threads + 1))]
        for n in range(threads):
            mine = [text for text in texts if text.startswith(f'{n} ')]
            self.assertEqual([text.split()[1] for text in mine], [str(count) for count in range(rounds)])
        self.assertEqual([text for text in texts if text.startswith('echo')], [f'echo {n}' for n in range(rounds)])
        for sender in senders:
            sender.join(TIMEOUT)
        self.end(peer)

    def test_a_slow_reader(self) -> None:
        """Much more than the socket takes waits in the queue, and nothing of it is lost."""
        _, peer = self.open()
        peer.binary(bytes(3_000_000))
        peer.text('behind')
        self.assertEqual(peer.receive(), (0x82, bytes(3_000_000)))
        self.assertEqual(peer.receive(), (0x81, b'behind'))
        self.end(peer)

    def test_the_server_closes(self) -> None:
        _, peer = self.open()
        wait_for(lambda: 'opened' in self.made[0].calls)
        self.made[0].close(4000, 'enough')
        self.assertEqual(peer.receive(), (0x88, b'\x0f\xa0enough'))
        peer.close(4000)
        self.assertTrue(peer.at_end())

    def test_the_server_fails_the_connection(self) -> None:
        _, peer = self.open()
        peer.sock.sendall(b'\x83\x80\0\0\0\0')
        self.assertEqual(peer.receive()[0], 0x88)
        peer.sock.close()
        self.assertTrue(self.made[0].over.wait(TIMEOUT))
        self.assertEqual(self.made[0].calls[1][0], 1002)

    def lost(self, vanish: Callable[[Peer], None]) -> None:
        _, peer = self.open()
        peer.text('hello')
        self.assertEqual(peer.receive(), (0x81, b'hello'))
        vanish(peer)
        self.assertTrue(self.made[0].over.wait(TIMEOUT))
        self.assertEqual(self.made[0].calls, ['opened', (1006, 'Going away')])

    def test_the_client_is_gone(self) -> None:
        self.lost(lambda peer: peer.sock.close())

    def test_the_client_resets(self) -> None:
        def reset(peer: Peer) -> None:
            peer.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b'\1\0\0\0\0\0\0\0')
            peer.sock.close()

        self.lost(reset)

    def test_the_client_ends_its_half(self) -> None:
        self.lost(lambda peer: socket.socket.shutdown(peer.sock, socket.SHUT_WR))

    def test_nothing_is_left(self) -> None:
        _, peer = self.open()
        self.end(peer)
        reference = weakref.ref(self.made[0])
        self.assertTrue(self.made[0].over.wait(TIMEOUT))
        self.made.clear()
        Root.seen.clear()

        def gone() -> bool:
            gc.collect()
            return reference() is None

        wait_for(gone)


class Threads(Case):
    def test_websockets_hold_no_threads(self) -> None:
        """There are more of them than the server has threads, and pages are served meanwhile."""
        before = threading.active_count()
        peers = [self.open()[1] for _ in range(THREADS * 5)]
        wait_for(lambda: len(Running.plugin.manager) == len(peers))
        Handshake.test_other_pages_are_served_on(self)  # type: ignore[arg-type]
        for peer in peers:
            peer.text('hello')
        for peer in peers:
            self.assertEqual(peer.receive(), (0x81, b'hello'))
        self.assertLessEqual(threading.active_count(), before)
        for peer in peers:
            self.end(peer)

    def test_descriptors(self) -> None:
        def descriptors() -> int:
            return len(os.listdir('/dev/fd'))

        def round_() -> None:
            for target in ('/ws', '/forbids', '/raises', '/closes', '/inside?to=/', '/ws/old'):
                sock = self.connect()
                sock.sendall(upgrade_request(target=target) + CLOSE_1000)
                read_all(sock)
                sock.close()
            wait_for(lambda: not len(Running.plugin.manager))

        round_()
        before = descriptors()
        for _ in range(5):
            round_()
        wait_for(lambda: descriptors() <= before)


class Native(Handshake, Arguments, Pages, Stream, Threads):
    server = 'native'


class Builtin(Arguments, Stream, Threads, Redirects):
    server = 'builtin'

    def test_the_head_of_the_response(self) -> None:
        Handshake.test_the_head_of_the_response(self)  # type: ignore[arg-type]


class PyOpenSSL(Handshake, Pages, Redirects, Stream, Threads, Arguments):
    server = 'pyopenssl'


class Client(WebSocketClient):
    """Waits for the server to close."""

    def __init__(self, case: Case) -> None:
        options = {'ssl_context': support_tls.client_context()} if case.secure else None
        super().__init__(f'{"wss" if case.secure else "ws"}://localhost:{case.port}/ws', ssl_options=options)
        self.echo: list[str] = []
        self.over = threading.Event()
        self.connect()
        self.send('hello')
        wait_for(lambda: self.echo)

    def received_message(self, message: Any) -> None:
        self.echo.append(str(message))

    def closed(self, code: int, reason: Any = None) -> None:
        self.how = (code, reason)
        self.over.set()

    def end(self) -> Any:
        """How it ended, when it has."""
        if not self.over.wait(30.0):
            raise AssertionError('the server did not close')
        return self.how


class Life(Case):
    """Of the engine and its plugins."""

    def test_stop_and_start(self) -> None:
        first = Running.plugin.manager
        for _ in range(2):
            clients = []
            for self.server in Running.servers:
                clients.append(Client(self))
            cherrypy.engine.stop()
            for client in clients:
                self.assertEqual(client.end(), (1001, b'Server is shutting down'))
            for websocket in self.made:
                self.assertEqual(websocket.calls, ['opened', (1001, b'Server is shutting down')])
            self.assertFalse(Running.plugin.manager.is_alive())
            for server in Running.servers.values():
                server.httpserver.bind_addr = ('127.0.0.1', 0)  # cheroot cannot take a port that it once was given
            cherrypy.engine.start()
        self.assertIsNot(Running.plugin.manager, first)
        self.assertTrue(Running.plugin.manager.is_alive())

    def on_a_bus(self) -> tuple[Bus, WebSocketPlugin]:
        """A plugin that is driven by a bus of its own, and running."""
        bus = Bus()
        plugin = WebSocketPlugin(bus)
        plugin.subscribe()
        self.addCleanup(plugin.unsubscribe)
        bus.publish('start')
        return bus, plugin

    def pair(self) -> tuple[Recorder, Peer]:
        ours, theirs = socket.socketpair()
        self.addCleanup(theirs.close)
        self.addCleanup(ours.close)
        return Recorder(ours), Peer(theirs)

    def test_a_silent_peer_is_waited_for_until_the_close_timeout(self) -> None:
        bus, _ = self.on_a_bus()
        websocket, peer = self.pair()
        websocket.limits = Limits(close_timeout=0.1)
        bus.publish('handle-websocket', websocket, None)
        bus.publish('stop')
        self.assertEqual(websocket.calls, ['opened', (1006, 'Going away')])
        self.assertEqual(peer.receive(), (0x88, b'\x03\xe9Server is shutting down'))
        self.assertTrue(peer.at_end())

    def test_what_comes_too_late_is_closed(self) -> None:
        bus, _ = self.on_a_bus()
        bus.publish('stop')
        websocket, peer = self.pair()
        bus.publish('handle-websocket', websocket, None)
        self.assertEqual(peer.receive(), (0x88, b'\x03\xe9Server is shutting down'))
        self.assertEqual(websocket.calls, [(1006, 'Going away')])

    def test_a_start_makes_a_manager_only_where_it_has_to(self) -> None:
        bus = Bus()
        plugin = WebSocketPlugin(bus)
        self.addCleanup(plugin.unsubscribe)
        mine = plugin.manager = WebSocketManager()
        plugin.subscribe()
        self.assertFalse(mine.running)
        bus.publish('start')
        bus.publish('start')
        self.assertTrue(plugin.manager is mine and mine.running)
        bus.publish('stop')
        bus.publish('stop')
        self.assertFalse(mine.is_alive())
        bus.publish('start')
        self.assertTrue(plugin.manager is not mine and plugin.manager.running)

    def test_subscribed_while_the_bus_runs(self) -> None:
        bus = Bus()
        bus.state = bus.states.STARTED
        plugin = WebSocketPlugin(bus)
        plugin.subscribe()
        manager = plugin.manager
        self.assertTrue(manager.running)
        plugin.unsubscribe()
        self.assertFalse(manager.is_alive())
        self.assertEqual([name for name, listeners in bus.listeners.items() if listeners], [])

    def test_stopped_by_a_hook_of_a_websocket(self) -> None:
        bus, plugin = self.on_a_bus()
        manager = plugin.manager
        websocket, peer = self.pair()
        websocket.received_message = lambda message: bus.publish('stop')  # type: ignore[method-assign]
        bus.publish('handle-websocket', websocket, None)
        peer.text('stop')
        self.assertEqual(peer.receive(), (0x88, b'\x03\xe9Server is shutting down'))
        peer.close(1001)
        manager.join(TIMEOUT)
        self.assertEqual(websocket.calls, ['opened', (1001, b'')])


PROGRAM = """
    import os, sys
    import cherrypy
    from cherrypy.process.plugins import Daemonizer
    from ws4py.server.cherrypyserver import WebSocketPlugin, WebSocketTool
    from ws4py.websocket import EchoWebSocket

    class Handler(EchoWebSocket):
        def received_message(self, message):
            if str(message) in ('restart', 'exit'):
                getattr(cherrypy.engine, str(message))()
            else:
                super().received_message(message)

    class Root:
        @cherrypy.expose
        def ws(self):
            pass

    def announce():
        with open('ports', 'a') as file:
            print(os.getpid(), cherrypy.server.bound_addr[1], file=file)

    cherrypy.config.update({'server.socket_port': 0, 'log.screen': False, 'log.error_file': 'log'})
    cherrypy.config.update({'engine.autoreload.frequency': 0.1, 'server.thread_pool': 2})
    cherrypy.engine.subscribe('start', announce, priority=100)
    if sys.argv[1] == 'daemon':
        cherrypy.engine.autoreload.unsubscribe()
        Daemonizer(cherrypy.engine).subscribe()
    WebSocketPlugin(cherrypy.engine).subscribe()
    cherrypy.tools.websocket = WebSocketTool()
    config = {'tools.websocket.on': True, 'tools.websocket.handler_cls': Handler}
    cherrypy.quickstart(Root(), config={'/ws': config})
"""


class Processes(unittest.TestCase):
    """What an engine does to its whole process."""

    secure = False

    def start(self, mode: str) -> subprocess.Popen[str]:
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.directory = Path(directory.name)
        self.program = self.directory / 'program.py'
        self.program.write_text(textwrap.dedent(PROGRAM), encoding='utf-8')
        self.ports = 0
        environ = {**os.environ, 'PYTHONPATH': os.pathsep.join([str(ROOT), os.environ.get('PYTHONPATH', '')])}
        process = subprocess.Popen(
            [sys.executable, str(self.program), mode],
            cwd=self.directory,
            env=environ,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.addCleanup(process.communicate)
        self.addCleanup(process.kill)
        return process

    def connect(self) -> Client:
        """A client of the server that starts next."""

        def started() -> list[str]:
            with contextlib.suppress(FileNotFoundError):
                return (self.directory / 'ports').read_text().splitlines(keepends=True)[self.ports :]
            return []

        line = wait_for(lambda: [line for line in started() if line.endswith('\n')], 30.0)[0]
        self.ports += 1
        self.pid, self.port = map(int, line.split())
        return Client(self)  # type: ignore[arg-type]

    def test_restart_and_reload_and_exit(self) -> None:
        process = self.start('here')
        client = self.connect()
        client.send('restart')
        self.assertEqual(client.end()[0], 1001)
        client = self.connect()
        later = 2_000_000_000
        while not client.over.wait(0.3):  # until it has seen the file before, and then changed
            later += 1
            os.utime(self.program, (later, later))
            self.assertLess(later, 2_000_000_100, 'it does not reload')
        self.assertEqual(client.end()[0], 1001)
        client = self.connect()
        self.assertEqual(self.pid, process.pid)
        process.terminate()
        self.assertEqual(client.end()[0], 1001)
        errors = process.communicate(timeout=30)[1]
        log = (self.directory / 'log').read_text()
        self.assertEqual((process.returncode, errors), (0, ''), log)
        self.assertNotIn('Traceback', log)

    @unittest.skipUnless(hasattr(os, 'fork'), 'there are no daemons without fork()')
    def test_a_daemon(self) -> None:
        """It forks when the engine starts, and threads do not live through that."""
        process = self.start('daemon')
        client = self.connect()
        self.assertNotEqual(self.pid, process.pid)
        client.send('exit')
        self.assertEqual(client.end()[0], 1001)

        def gone() -> bool:
            try:
                os.kill(self.pid, 0)
            except ProcessLookupError:
                return True
            return False

        wait_for(gone, 30.0)
        self.assertEqual(process.communicate(timeout=30)[1], '')
        self.assertNotIn('Traceback', (self.directory / 'log').read_text())


class Insides(unittest.TestCase):
    """What is used of cheroot and is not promised by it. One that has changed fails here first, and says where."""

    def test_the_stack_leads_to_the_request(self) -> None:
        request = cheroot.server.HTTPRequest(Running.servers['plain'].httpserver, self.connection())
        found: list[cherrypyserver._Exchange] = []

        class Gateway:
            def respond(self) -> None:
                found.append(cherrypyserver._Exchange())

        with patch.object(request.server, 'gateway', lambda request: Gateway()):
            request.respond()
        self.assertIs(found[0]._request, request)
        with self.assertRaises(LookupError):
            cherrypyserver._Exchange()

    def connection(self) -> Any:
        ours, theirs = socket.socketpair()
        self.addCleanup(ours.close)
        self.addCleanup(theirs.close)
        self.theirs = theirs
        return cheroot.server.HTTPConnection(Running.servers['plain'].httpserver, ours)

    def test_the_request(self) -> None:
        connection = self.connection()
        self.theirs.sendall(upgrade_request('Sec-WebSocket-Protocol: a', 'Sec-WebSocket-Protocol: b') + b'more')
        request = cheroot.server.HTTPRequest(connection.server, connection)
        request.parse_request()
        self.assertTrue(request.ready)
        self.assertIs(request.conn, connection)
        self.assertEqual((request.method, request.uri, request.response_protocol), (b'GET', b'/', 'HTTP/1.1'))
        self.assertEqual(request.inheaders[b'Sec-Websocket-Protocol'], b'a, b')
        self.assertIs(request.close_connection, False)
        self.assertTrue(connection.rfile.has_data())
        self.assertEqual(connection.rfile.peek(), b'more')
        connection.rfile.close()
        self.assertNotEqual(connection.socket.fileno(), -1)

    def test_the_response(self) -> None:
        connection = self.connection()
        request = cheroot.server.HTTPRequest(connection.server, connection)
        request.close_connection = True
        request.status = b'101 Switching Protocols'
        request.outheaders = [(b'Connection', b'Upgrade')]
        before = connection.wfile.bytes_written
        request.send_headers()
        self.theirs.settimeout(TIMEOUT)
        head = self.theirs.recv(65536)
        self.assertEqual(connection.wfile.bytes_written - before, len(head))
        names = re.findall(rb'(?m)^([\w-]+):', head)
        self.assertEqual(names, [b'Connection', b'Date', b'Server'])
        connection.rfile.close()

    def test_a_worker_closes_the_connection_through_its_attribute(self) -> None:
        server = Running.servers['plain'].httpserver
        connection = self.connection()
        closed = threading.Event()
        connection.close = closed.set
        self.theirs.sendall(b'GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n')
        server.process_conn(connection)
        self.assertTrue(closed.wait(TIMEOUT))
        self.assertIsNot(connection.socket.fileno(), -1)
        connection.rfile.close()

    @needs_openssl
    def test_the_connection_of_pyopenssl(self) -> None:
        from cheroot.ssl import pyopenssl

        self.assertIs(pyopenssl.SSL, SSL)
        if 'pyopenssl' in Running.servers:
            self.assertNotIsInstance(Running.servers['pyopenssl'].httpserver.socket, socket.socket)


@needs_openssl
@needs_certificates
class OpenSSLSocket(unittest.TestCase):
    """The wrapper of pyOpenSSL's connection by itself; the peer is the standard library's."""

    def setUp(self) -> None:
        ours, theirs = socket.socketpair()
        connection = SSL.Connection(openssl_context(), ours)
        connection.set_accept_state()
        ours.settimeout(TIMEOUT)
        self.sock = cherrypyserver._OpenSSLSocket(connection)
        self.addCleanup(self.sock.close)
        self.peer = support_tls.client_context().wrap_socket(
            theirs, server_hostname='localhost', do_handshake_on_connect=False
        )
        self.peer.settimeout(TIMEOUT)
        self.addCleanup(self.peer.close)
        thread = threading.Thread(target=self.peer.do_handshake)
        thread.start()
        self.sock.sendall(b'.')
        thread.join(TIMEOUT)
        self.assertEqual(self.peer.recv(1), b'.')

    def test_it_looks_like_a_socket(self) -> None:
        self.assertEqual(self.sock.gettimeout(), TIMEOUT)
        self.sock.setblocking(True)
        self.assertIsNone(self.sock.gettimeout())
        self.assertGreater(self.sock.fileno(), 2)
        self.assertEqual((self.sock.getsockname(), self.sock.getpeername()), ('', ''))
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8192)
        self.assertGreater(self.sock.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF), 0)
        self.assertTrue(WebSocket(self.sock)._is_secure)

    def test_timeouts(self) -> None:
        self.sock.setblocking(False)
        with self.assertRaises(BlockingIOError):
            self.sock.recv(10)
        with self.assertRaises(BlockingIOError):
            self.sock.sendall(bytes(10_000_000))
        self.sock.settimeout(0.01)
        with self.assertRaises(TimeoutError):
            self.sock.recv(10)
        with self.assertRaises(TimeoutError):
            self.sock.sendall(bytes(10_000_000))

    def test_pending(self) -> None:
        self.peer.sendall(b'hello')
        self.assertEqual(self.sock.recv(2), b'he')
        self.assertEqual(self.sock.pending(), 3)
        self.assertEqual(self.sock.recv(100), b'llo')
        self.assertEqual(self.sock.pending(), 0)

    def test_a_write_that_does_not_fit(self) -> None:
        """What is told to be sent is sent, and goes on where it stopped."""
        data = os.urandom(3_000_000)
        self.sock.setblocking(False)
        sent = self.sock.send(data)
        self.assertTrue(0 < sent < len(data))
        with self.assertRaises(BlockingIOError):
            self.sock.send(data[sent:])
        with self.assertRaises(BlockingIOError):
            self.sock.sendall(data[sent:])
        received = bytearray()

        def read() -> None:
            while len(received) < len(data):
                received.extend(self.peer.recv(65536))

        reader = threading.Thread(target=read)
        reader.start()
        self.sock.setblocking(True)
        self.sock.sendall(memoryview(data)[sent:])
        reader.join(TIMEOUT)
        self.assertEqual(received, data)
        self.assertEqual(self.sock.send(b''), 0)

    def test_two_threads_at_once(self) -> None:
        """One waits in recv() all the time, others write, and nothing is mixed up."""
        self.sock.setblocking(True)
        size, blocks = 100_000, 20
        outgoing = [bytes([n]) * size for n in range(blocks)]
        incoming = bytearray()

        def read() -> None:
            while len(incoming) < size * blocks:
                incoming.extend(self.sock.recv(65536))

        def write() -> None:
            for block in outgoing:
                self.sock.sendall(block)

        threads = [threading.Thread(target=read), threading.Thread(target=write)]
        for thread in threads:
            thread.start()
        for block in outgoing:  # the peer's object must not do both at once
            self.peer.sendall(block)
            left = size
            while left:
                data = self.peer.recv(left)
                self.assertEqual(data, block[:1] * len(data))
                left -= len(data)
        for thread in threads:
            thread.join(TIMEOUT)
        self.assertEqual(incoming, b''.join(outgoing))

    def test_the_peer_says_that_it_ends(self) -> None:
        def unwrap() -> None:
            with contextlib.suppress(OSError):
                self.peer.unwrap()

        thread = threading.Thread(target=unwrap)
        thread.start()
        self.assertEqual(self.sock.recv(10), b'')
        self.sock.sendall(b'and yet')
        self.sock.shutdown(socket.SHUT_RDWR)
        thread.join(TIMEOUT)

    def test_the_peer_ends_without_a_word(self) -> None:
        self.peer.close()
        self.assertEqual(self.sock.recv(10), b'')
        with self.assertRaises(ConnectionError):
            self.sock.sendall(b'into the void')

    def test_the_peer_talks_nonsense(self) -> None:
        os.write(self.peer.fileno(), b'this is no TLS record')
        with self.assertRaisesRegex(ConnectionAbortedError, 'TLS failed'):
            self.sock.recv(10)

    def test_half_closed(self) -> None:
        self.peer.sendall(b'on its way')
        self.sock.shutdown(socket.SHUT_WR)
        self.assertEqual(self.peer.recv(10), b'')
        self.assertEqual(self.sock.recv(10), b'on its way')
        self.sock.shutdown(socket.SHUT_RD)
        self.assertEqual(self.sock.recv(10), b'')

    def test_closed(self) -> None:
        """OpenSSL knows the descriptor only, which is another connection's soon."""
        self.sock.close()
        self.sock.close()
        other, theirs = socket.socketpair()
        self.addCleanup(other.close)
        self.addCleanup(theirs.close)
        self.assertEqual((self.sock.fileno(), self.sock.pending()), (-1, 0))
        for call in (lambda: self.sock.recv(1), lambda: self.sock.send(b'x'), lambda: self.sock.shutdown(2)):
            with self.assertRaises(OSError):
                call()


if __name__ == '__main__':
    unittest.main()
