"""The chat and its page over real connections: in all detail on one server, and the same checks on every one."""

from __future__ import annotations

import http.client
import importlib.util
import json
import os
import queue
import signal
import tempfile
import threading
import time
import unittest
from typing import Any, Optional
from unittest import mock

from support_demo import TIMEOUT, Demo, until
from support_tls import authority_file, certificate_files, client_context, needs_certificates

from ws4py.client import WebSocketBaseClient
from ws4py.client.threadedclient import WebSocketClient
from ws4py.demo import BACKENDS, ChatWebSocket, chat, pages
from ws4py.demo.on_wsgiref import make_server
from ws4py.demo.status import Status
from ws4py.exc import HandshakeError
from ws4py.limits import DEFAULT_LIMITS


class Peer(WebSocketClient):
    """A browser's part of the chat."""

    def __init__(self, url: str, **options: Any) -> None:
        super().__init__(url, **options)
        self.inbox: queue.Queue[Any] = queue.Queue()
        self.end: queue.Queue[Any] = queue.Queue()

    def received_message(self, message: Any) -> None:
        self.inbox.put(message.data if message.is_binary else json.loads(message.data))

    def closed(self, code: int, reason: Any = None) -> None:
        self.end.put((code, reason))

    def tell(self, **fields: object) -> None:
        self.send(json.dumps(fields))

    def next(self) -> Any:
        return self.inbox.get(timeout=TIMEOUT)


class DemoTest(unittest.TestCase):
    def setUp(self) -> None:
        self.server = make_server('127.0.0.1', 0)
        self.port = self.server.server_address[1]
        thread = threading.Thread(target=self.server.serve_forever, args=(0.02,))
        thread.start()
        self.addCleanup(thread.join)
        self.addCleanup(self.server.server_close)
        self.addCleanup(self.server.shutdown)

    def peer(self, name: Optional[str] = None, path: str = '/ws', **options: Any) -> Peer:
        peer = Peer(f'ws://127.0.0.1:{self.port}{path}', **options)
        peer.connect()
        self.addCleanup(peer.end.get, timeout=TIMEOUT)
        self.addCleanup(peer.close)
        if name is not None:
            peer.tell(type='join', name=name)
            peer.welcome = peer.next()
            self.assertEqual(peer.welcome['type'], 'welcome')
        return peer

    def get(self, path: str, method: str = 'GET') -> tuple[http.client.HTTPResponse, bytes]:
        connection = http.client.HTTPConnection('127.0.0.1', self.port, timeout=TIMEOUT)
        self.addCleanup(connection.close)
        connection.request(method, path)
        response = connection.getresponse()
        return response, response.read()


class PageTest(DemoTest):
    def test_files_and_security_headers(self) -> None:
        for path, content_type in (
            ('/', 'text/html'),
            ('/chat.css', 'text/css'),
            ('/chat.js', 'text/javascript'),
            ('/icon.svg', 'image/svg+xml'),
            ('/status', 'text/html'),
            ('/status.css', 'text/css'),
            ('/status.js', 'text/javascript'),
        ):
            with self.subTest(path):
                response, body = self.get(path)
                self.assertEqual(response.status, 200)
                self.assertTrue(response.headers['Content-Type'].startswith(content_type))
                self.assertEqual(response.headers['X-Content-Type-Options'], 'nosniff')
                policy = response.headers['Content-Security-Policy']
                self.assertIn("default-src 'none'", policy)
                self.assertNotIn('unsafe', policy)
                self.assertEqual(int(response.headers['Content-Length']), len(body))

    def test_the_page_has_nothing_inline(self) -> None:
        for path in ('/', '/status'):
            _, body = self.get(path)
            self.assertNotIn(b'style=', body)
            self.assertNotRegex(body, rb'<script(?![^>]*src=)')
            self.assertNotRegex(body, rb'\son\w+=')

    def test_the_page_knows_the_limits(self) -> None:
        _, body = self.get('/')
        self.assertIn(f'maxlength="{chat.NAME_LIMIT}"'.encode(), body)
        self.assertIn(f'maxlength="{chat.TEXT_LIMIT}"'.encode(), body)
        _, script = self.get('/chat.js')
        limits = f'name: {chat.NAME_LIMIT}, text: {chat.TEXT_LIMIT}, binary: {chat.BINARY_LIMIT}'
        self.assertIn(limits.encode(), script)

    def test_head_other_methods_other_paths(self) -> None:
        response, body = self.get('/', 'HEAD')
        self.assertEqual((response.status, body), (200, b''))
        self.assertGreater(int(response.headers['Content-Length']), 500)
        response, _ = self.get('/', 'POST')
        self.assertEqual((response.status, response.headers['Allow']), (405, 'GET, HEAD'))
        for path in ('/nothing', '/../cli.py', '/__init__.py', '/%2e%2e/cli.py'):
            self.assertEqual(self.get(path)[0].status, 404, path)

    def test_a_websocket_is_for_websockets(self) -> None:
        for path in ('/ws', '/echo', '/live'):
            response, body = self.get(path)
            self.assertIn(response.status, (400, 426))
            self.assertIn(b'Header HTTP_', body)

    def test_echo(self) -> None:
        peer = self.peer(path='/echo', headers=[('Origin', 'http://elsewhere.example')])
        peer.send(b'\x00\xff', binary=True)
        self.assertEqual(peer.next(), b'\x00\xff')

    def test_the_chat_is_for_its_own_page(self) -> None:
        for origin in (
            'http://elsewhere.example',
            'null',
            f'http://127.0.0.1:{self.port + 1}',
            'http://[x',
            'http://[x]',
        ):
            with self.subTest(origin), self.assertRaisesRegex(HandshakeError, '403'):
                self.peer(headers=[('Origin', origin)])
        own = self.peer('Ann', headers=[('Origin', f'http://127.0.0.1:{self.port}')])
        self.assertEqual(own.welcome['name'], 'Ann')
        program = self.peer('Bob', exclude_headers=['Origin'])
        self.assertEqual(program.welcome['name'], 'Bob')


class StatusTest(unittest.TestCase):
    def test_without_the_library_it_is_named(self) -> None:
        with mock.patch('ws4py.demo.status.prometheus_client', None):
            answered = Status().metrics('GET')
        self.assertEqual((answered.status, answered.body), (404, b"For metrics: pip install 'ws4py[prometheus]'.\n"))


class ChatTest(DemoTest):
    def test_join_say_leave(self) -> None:
        ann = self.peer('Ann')
        self.assertEqual(ann.welcome['peers'], [{'id': 1, 'name': 'Ann'}])
        self.assertEqual(ann.welcome['limits'], {'name': 24, 'text': 2000, 'binary': 1024 * 1024})
        bob = self.peer('Bob')
        self.assertEqual(bob.welcome['peers'], [{'id': 1, 'name': 'Ann'}, {'id': 2, 'name': 'Bob'}])
        self.assertEqual(ann.next(), {'type': 'join', 'id': 2, 'name': 'Bob'})
        bob.tell(type='say', text='hällo <b>')
        for peer in (ann, bob):
            self.assertEqual(peer.next(), {'type': 'say', 'id': 2, 'name': 'Bob', 'text': 'hällo <b>'})
        bob.close()
        self.assertEqual(ann.next(), {'type': 'leave', 'id': 2, 'name': 'Bob'})
        self.assertEqual(self.peer('Cleo').welcome['peers'], [{'id': 1, 'name': 'Ann'}, {'id': 3, 'name': 'Cleo'}])

    def test_binary_goes_to_everybody_with_the_senders_id(self) -> None:
        ann, bob = self.peer('Ann'), self.peer('Bob')
        ann.next()
        bob.send(b'\x00\x01\xff', binary=True)
        for peer in (ann, bob):
            self.assertEqual(peer.next(), b'\x00\x00\x00\x02\x00\x01\xff')

    def test_a_new_name_keeps_the_id(self) -> None:
        ann, bob = self.peer('Ann'), self.peer('Bob')
        ann.next()
        bob.tell(type='join', name='Robert')
        self.assertEqual(ann.next(), {'type': 'join', 'id': 2, 'name': 'Robert'})
        self.assertEqual(bob.next()['name'], 'Robert')
        bob.tell(type='join', name='Robert')  # one's own name is free for oneself
        self.assertEqual(bob.next()['name'], 'Robert')

    def test_nobody_speaks_for_somebody_else(self) -> None:
        ann = self.peer('Ann')
        eve = self.peer('Eve')
        ann.next()
        eve.tell(type='say', text='give me the key', id=1, name='Ann')
        self.assertEqual(ann.next(), {'type': 'say', 'id': 2, 'name': 'Eve', 'text': 'give me the key'})

    def test_one_name_one_peer(self) -> None:
        self.peer('Ann')
        for wanted, given in (
            ('Ann', 'Ann 2'),
            ('ann', 'ann 3'),
            (' A\u202enn\u200b ', 'A nn'),
            ('ＡＮＮ', 'ANN 4'),
            ('x' * 30, 'x' * 24),
            ('x' * 24, 'x' * 22 + ' 2'),
            ('', 'Guest 8'),
            ('\x00\x1b \ud800', 'Guest 9'),
            ('Guest 11', 'Guest 11'),
            ('', 'Guest 11 2'),
        ):
            with self.subTest(wanted):
                self.assertEqual(self.peer(wanted).welcome['name'], given)

    def test_bad_input_is_answered_and_harms_nobody(self) -> None:
        ann, eve = self.peer('Ann'), self.peer()
        cases = [
            (b'{', 'not JSON'),
            (b'[' * 20000, 'not JSON'),
            (b'[1]', 'other JSON'),
            (b'null', 'other JSON'),
            (b'{}', '"join" or "say"'),
            (b'{"type": ["join"]}', '"join" or "say"'),
            (b'{"type": "leave", "id": 1}', '"join" or "say"'),
            (b'{"type": "join"}', 'string "name"'),
            (b'{"type": "join", "name": {"a": 1}}', 'string "name"'),
            (b'{"type": "say", "text": "x"}', 'Send a "join" first'),
            (b'1' * 10000, 'not JSON|other JSON'),
            (b' ' * 40000, 'at most 32768 bytes, this one has 40000'),
        ]
        for data, expected in cases:
            with self.subTest(data[:40]):
                eve.send(data)
                self.answer(eve, expected)
        eve.send(b'\x00', binary=True)
        self.answer(eve, 'Send a "join" first')
        eve.tell(type='join', name='Eve')
        self.assertEqual(eve.next()['type'], 'welcome')
        eve.tell(type='say', text=7)
        self.answer(eve, 'string "text"')
        eve.tell(type='say', text='x' * 2001)
        self.answer(eve, 'at most 2000 characters, this one has 2001')
        eve.tell(type='say', text=' \n ')  # nothing to say
        eve.tell(type='say', text='\N{GRINNING FACE}' * 2000)
        self.assertEqual(len(eve.next()['text']), 2000)
        self.assertEqual([ann.next()['type'] for _ in range(2)], ['join', 'say'])

    def answer(self, peer: Peer, expected: str) -> None:
        answer = peer.next()
        self.assertEqual(answer['type'], 'error')
        self.assertRegex(answer['text'], expected)

    def test_a_message_over_the_limit_ends_only_its_sender(self) -> None:
        ann, eve = self.peer('Ann'), self.peer('Eve')
        ann.next()
        eve.send(bytes(chat.BINARY_LIMIT + 1), binary=True)
        self.assertEqual(eve.end.get(timeout=TIMEOUT)[0], 1009)
        eve.end.put(None)  # for the cleanup
        self.assertEqual(ann.next(), {'type': 'leave', 'id': 2, 'name': 'Eve'})

    def test_a_full_room(self) -> None:
        with mock.patch.object(chat, 'ROOM_LIMIT', 1):
            ann = self.peer('Ann')
            bob = self.peer()
            bob.tell(type='join', name='Bob')
            self.assertEqual(bob.end.get(timeout=TIMEOUT), (1013, b'The room is full'))
            bob.end.put(None)
            ann.tell(type='join', name='Anna')  # who is inside may still change the name
            self.assertEqual(ann.next()['name'], 'Anna')

    def test_a_peer_that_vanishes_leaves(self) -> None:
        ann, bob = self.peer('Ann'), self.peer('Bob')
        ann.next()
        assert bob.sock is not None
        bob.sock.shutdown(2)
        self.assertEqual(ann.next(), {'type': 'leave', 'id': 2, 'name': 'Bob'})

    def test_a_member_that_is_gone_does_not_disturb_a_broadcast(self) -> None:
        ann = self.peer('Ann')
        application = self.server.get_app()
        gone = ChatWebSocket(None, room=application.site.room)
        gone.id, gone.name = 99, 'Gone'
        application.site.room._members[99] = gone
        ann.tell(type='say', text='anybody here?')
        self.assertEqual(ann.next()['text'], 'anybody here?')
        application.site.room.leave(gone)
        self.assertEqual(ann.next(), {'type': 'leave', 'id': 99, 'name': 'Gone'})

    def test_the_end_of_the_server_is_told(self) -> None:
        ann = self.peer('Ann')
        until(lambda: self.server.manager is not None, 'a manager')
        self.server.manager.close_all()
        self.assertEqual(ann.end.get(timeout=TIMEOUT)[0], 1001)
        ann.end.put(None)


class Everywhere:
    """What the demo does on each backend, as ``python -m ws4py serve`` runs it."""

    backend: str
    framework: Optional[str] = None
    demo: Demo

    @classmethod
    def setUpClass(cls) -> None:
        if cls.framework and importlib.util.find_spec(cls.framework) is None:
            raise unittest.SkipTest(f'{cls.framework} is not installed')
        cls.demo = Demo('--backend', cls.backend)
        cls.addClassCleanup(cls.demo.kill)

    def start(self, *arguments: str) -> Demo:
        demo = Demo('--backend', self.backend, *arguments)
        self.addCleanup(demo.kill)
        return demo

    def peer(self, path: str, demo: Optional[Demo] = None, **options: Any) -> Peer:
        peer = Peer((demo or self.demo).ws_url + path, **options)
        peer.connect()
        self.addCleanup(peer.run_forever)
        self.addCleanup(peer.close)
        return peer

    def join(self, name: str, demo: Optional[Demo] = None, **options: Any) -> Peer:
        peer = self.peer('ws', demo, **options)
        peer.tell(type='join', name=name)
        peer.welcome = peer.next()
        self.assertEqual((peer.welcome['type'], peer.welcome['name']), ('welcome', name))
        return peer

    def request(
        self, method: str, path: str, secure: Optional[Demo] = None, demo: Optional[Demo] = None
    ) -> tuple[http.client.HTTPResponse, bytes]:
        connection: http.client.HTTPConnection
        if secure:
            connection = http.client.HTTPSConnection(
                '127.0.0.1', secure.port, timeout=TIMEOUT, context=client_context()
            )
        else:
            connection = http.client.HTTPConnection('127.0.0.1', (demo or self.demo).port, timeout=TIMEOUT)
        self.addCleanup(connection.close)
        connection.request(method, path)
        response = connection.getresponse()
        return response, response.read()

    def test_the_page_and_its_files(self) -> None:
        for path in pages.FILES:
            expected = pages.answer('GET', path)
            for method, body in (('GET', expected.body), ('HEAD', b'')):
                with self.subTest(path=path, method=method):
                    response, found = self.request(method, f'{path}?a=b' if path == '/' else path)
                    self.assertEqual((response.status, found), (200, body))
                    for name, value in expected.headers:
                        self.assertEqual(response.headers.get_all(name), [value], name)

    def test_other_paths_and_methods(self) -> None:
        for method, path, status in (
            ('GET', '/nothing', 404),
            ('GET', '/../cli.py', 404),
            ('GET', '/%2e%2e/cli.py', 404),
            ('POST', '/', 405),
            ('DELETE', '/chat.js', 405),
        ):
            with self.subTest(method=method, path=path):
                response, body = self.request(method, path)
                self.assertEqual(response.status, status)
                self.assertNotIn(b'Traceback', body)
                for name, value in pages.answer(method, path).headers:
                    self.assertEqual(response.headers.get_all(name), [value], name)

    def test_a_websocket_is_for_websockets(self) -> None:
        for path in ('/ws', '/echo', '/live'):
            response, body = self.request('GET', path)
            self.assertIn(response.status, (400, 426))
            self.assertIn(b'Header HTTP_', body)

    def test_an_origin_that_is_not_ours(self) -> None:
        for origin in ('http://elsewhere.example', 'null', f'http://127.0.0.1:{self.demo.port + 1}'):
            with self.subTest(origin), self.assertRaisesRegex(HandshakeError, '403'):
                self.peer('ws', headers=[('Origin', origin)])
        with self.assertRaisesRegex(HandshakeError, '404'):
            self.peer('nothing')
        self.peer('echo', headers=[('Origin', 'http://elsewhere.example')])
        self.join('Olga', headers=[('Origin', f'http://127.0.0.1:{self.demo.port}')])

    def test_two_talk(self) -> None:
        demo = self.start()
        ann, bob = self.join('Ann', demo), self.join('Bob', demo)
        self.assertEqual(bob.welcome['peers'], [{'id': 1, 'name': 'Ann'}, {'id': 2, 'name': 'Bob'}])
        self.assertEqual(ann.next(), {'type': 'join', 'id': 2, 'name': 'Bob'})
        bob.tell(type='say', text='hällo')
        bob.send(bytes(100_000), binary=True)
        for peer in (ann, bob):
            self.assertEqual(peer.next(), {'type': 'say', 'id': 2, 'name': 'Bob', 'text': 'hällo'})
            self.assertEqual(peer.next(), b'\x00\x00\x00\x02' + bytes(100_000))
        bob.send('{')
        self.assertEqual(bob.next()['type'], 'error')
        bob.close()
        self.assertEqual(ann.next(), {'type': 'leave', 'id': 2, 'name': 'Bob'})
        bob.run_forever()
        self.assertEqual(bob.close_code, 1000)

    def test_echo(self) -> None:
        peer = self.peer('echo')
        peer.send('"text"')
        peer.send(b'\x00\xff', binary=True)
        self.assertEqual([peer.next(), peer.next()], ['text', b'\x00\xff'])

    def test_the_status_is_live(self) -> None:
        demo = self.start()
        live = self.peer('live', demo, headers=[('Origin', f'http://127.0.0.1:{demo.port}')])

        def numbers() -> Any:
            live.send('')
            return live.next()

        first = numbers()
        self.assertEqual((first['connections'], first['opened'], first['closes']), (0, 0, {}))
        ann, echo = self.join('Ann', demo), self.peer('echo', demo)
        echo.send(b'"echo"')
        echo.send(b'binary', binary=True)
        self.assertEqual([echo.next(), echo.next()], ['echo', b'binary'])
        said = '{"type": "join", "name": "Ann"}'
        found = until(lambda: (now := numbers())['binary_sent'] and now, 'that the last echo is counted')
        self.assertGreater(found['time'], first['time'])
        self.assertEqual((found['connections'], found['opened'], found['closes']), (2, 2, {}))
        self.assertEqual((found['text_received'], found['binary_received']), (2, 1))
        self.assertEqual((found['text_sent'], found['binary_sent'], found['dropped']), (2, 1, 0))
        self.assertEqual(found['bytes_received'], 6 + len(said) + 6 + 6 + 6 + 6)
        self.assertEqual(found['queues'], {'total': 0, 'longest': 0})
        ann.close(4000)
        until(lambda: numbers()['closes'] == {'other': 1}, 'the end of a connection')
        with self.assertRaisesRegex(HandshakeError, '403'):
            self.peer('live', demo, headers=[('Origin', 'http://elsewhere.example')])

    def test_the_metrics(self) -> None:
        self.peer('echo').send('"hello"')
        if importlib.util.find_spec('prometheus_client') is None:
            response, body = self.request('GET', '/metrics')
            self.assertEqual((response.status, b'pip install' in body), (404, True))
            return
        sample = b'\nws4py_messages_total{direction="received",type="text"} '
        text = until(
            lambda: (b'%s0.0\n' % sample) not in (body := self.request('GET', '/metrics')[1]) and body, 'a message'
        )
        self.assertIn(sample, text)
        response, body = self.request('HEAD', '/metrics')
        self.assertEqual((response.status, body), (200, b''))
        self.assertRegex(response.headers['Content-Type'], r'^text/plain;.*version=\d')
        self.assertEqual(response.headers['X-Content-Type-Options'], 'nosniff')
        self.assertEqual(self.request('POST', '/metrics')[0].status, 405)

    def test_a_peer_that_does_not_read_holds_up_nobody(self) -> None:
        demo = self.start()
        ann = self.join('Ann', demo)
        stalled = WebSocketBaseClient(demo.ws_url + 'ws')
        stalled.connect()
        self.addCleanup(stalled.close_connection)
        stalled.send('{"type": "join", "name": "Bob"}')
        self.assertEqual(ann.next()['type'], 'join')
        slowest, answer = 0.0, b''
        for _ in range(64):
            start = time.monotonic()
            ann.send(bytes(chat.BINARY_LIMIT), binary=True)
            answer = ann.next()
            slowest = max(slowest, time.monotonic() - start)
            if isinstance(answer, dict):
                break
        self.assertEqual(answer, {'type': 'leave', 'id': 2, 'name': 'Bob'})
        self.assertLess(slowest, DEFAULT_LIMITS.send_timeout / 2)
        ann.tell(type='say', text='still here')
        until(lambda: isinstance(said := ann.next(), dict) and said['text'] == 'still here', 'the own message')

    def test_an_echo_alone(self) -> None:
        demo = self.start('--echo')
        self.assertEqual(demo.url, f'ws://127.0.0.1:{demo.port}/echo')
        peer = Peer(demo.url)
        peer.connect()
        self.addCleanup(peer.run_forever)
        self.addCleanup(peer.close)
        peer.send('"text"')
        self.assertEqual(peer.next(), 'text')
        for path in ('/', '/ws', '/live', '/status', '/metrics', '/nothing'):
            self.assertEqual(self.request('GET', path, demo=demo)[0].status, 404, path)
        with self.assertRaisesRegex(HandshakeError, '404'):
            Peer(f'ws://127.0.0.1:{demo.port}/ws').connect()

    def test_files_beside_the_websockets(self) -> None:
        with tempfile.TemporaryDirectory() as outside:
            directory = os.path.join(outside, 'site')
            os.makedirs(os.path.join(directory, 'ünder'))
            for name, content in (
                ('index.html', 'front'),
                ('ünder/a b%20.txt', 'text'),
                ('.hidden', ''),
                ('../key', ''),
            ):
                with open(os.path.join(directory, name), 'w') as file:
                    file.write(content)
            demo = self.start('--static', directory)
            for method, path, status, kind, expected in (
                ('GET', '/', 200, 'text/html;charset=utf-8', b'front'),
                ('GET', '/index.html?version=1', 200, 'text/html;charset=utf-8', b'front'),
                ('HEAD', '/', 200, 'text/html;charset=utf-8', b''),
                ('GET', '/%C3%BCnder/a%20b%2520.txt', 200, 'text/plain;charset=utf-8', b'text'),
                ('GET', '/%C3%BCnder', 301, 'text/plain;charset=utf-8', b'With a slash.\n'),
                ('POST', '/', 405, 'text/plain;charset=utf-8', b'GET or HEAD only.\n'),
                *(
                    ('GET', path, 404, 'text/plain;charset=utf-8', b'There is no such file.\n')
                    for path in (
                        '/chat.js',
                        '/.hidden',
                        '/../key',
                        '/%2e%2e/key',
                        '/%2e%2e%2fkey',
                        '/..%5ckey',
                        '/%C3%BCnder/',
                        '/%C3%BCnder/../index.html',
                        '/%00',
                        '/%FF',
                    )
                ),
            ):
                with self.subTest(method=method, path=path):
                    response, body = self.request(method, path, demo=demo)
                    self.assertEqual(
                        (response.status, response.headers['Content-Type'], body), (status, kind, expected)
                    )
            self.join('Ann', demo)
            peer = self.peer('echo', demo)
            peer.send('"text"')
            self.assertEqual(peer.next(), 'text')

    def test_a_signal_tells_everybody_and_ends_it(self) -> None:
        for signum in (signal.SIGINT, signal.SIGTERM):
            with self.subTest(signum):
                demo = self.start()
                peers = [self.join('Ann', demo), self.join('Bob', demo), self.peer('echo', demo)]
                self.assertEqual(demo.stop(signum), (0, ''))
                for peer in peers:
                    peer.run_forever()
                    self.assertEqual(peer.close_code, 1001)

    def test_a_signal_at_once(self) -> None:
        self.assertEqual(self.start().stop(signal.SIGINT), (0, ''))

    def test_a_port_in_use(self) -> None:
        with self.assertRaisesRegex(AssertionError, f'cannot listen on 127.0.0.1:{self.demo.port}: .*in use'):
            Demo('--backend', self.backend, port=self.demo.port)

    @needs_certificates
    def test_tls(self) -> None:
        cert, key = certificate_files('127.0.0.1')
        demo = self.start('--tls-cert', cert, '--tls-key', key)
        self.assertTrue(demo.url.startswith('https://'))
        response, body = self.request('GET', '/', demo)
        self.assertEqual((response.status, body), (200, pages.answer('GET', '/').body))
        trust = {'ca_certs': authority_file()}
        ann, bob = self.join('Ann', demo, ssl_options=trust), self.join('Bob', demo, ssl_options=trust)
        ann.tell(type='say', text='one')
        ann.tell(type='say', text='two')
        self.assertEqual([bob.next()['text'] for _ in range(2)], ['one', 'two'])  # each at once
        self.assertEqual(demo.stop(signal.SIGINT), (0, ''))
        for peer in (ann, bob):
            peer.run_forever()
            self.assertEqual(peer.close_code, 1001)


class On_wsgiref(Everywhere, unittest.TestCase):
    backend = 'wsgiref'


class On_cherrypy(Everywhere, unittest.TestCase):
    backend = framework = 'cherrypy'


class On_gevent(Everywhere, unittest.TestCase):
    backend = framework = 'gevent'


class On_asyncio(Everywhere, unittest.TestCase):
    backend = 'asyncio'


class On_tornado(Everywhere, unittest.TestCase):
    backend = framework = 'tornado'


class EveryBackendTest(unittest.TestCase):
    def test_is_tested(self) -> None:
        self.assertEqual(tuple(case.backend for case in Everywhere.__subclasses__()), BACKENDS)


if __name__ == '__main__':
    unittest.main()
