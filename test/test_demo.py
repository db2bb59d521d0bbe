"""The chat and its WSGI application, over real connections."""

from __future__ import annotations

import http.client
import json
import queue
import threading
import unittest
from typing import Any, Optional
from unittest import mock

from support_demo import TIMEOUT, until

from ws4py import demo
from ws4py.client import WebSocketBaseClient
from ws4py.client.threadedclient import WebSocketClient
from ws4py.exc import HandshakeError


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
        self.server = demo.make_server('127.0.0.1', 0)
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
        _, body = self.get('/')
        self.assertNotIn(b'style=', body)
        self.assertNotRegex(body, rb'<script(?![^>]*src=)')
        self.assertNotRegex(body, rb'\son\w+=')

    def test_the_page_knows_the_limits(self) -> None:
        _, body = self.get('/')
        self.assertIn(f'maxlength="{demo.NAME_LIMIT}"'.encode(), body)
        self.assertIn(f'maxlength="{demo.TEXT_LIMIT}"'.encode(), body)
        _, script = self.get('/chat.js')
        limits = f'name: {demo.NAME_LIMIT}, text: {demo.TEXT_LIMIT}, binary: {demo.BINARY_LIMIT}'
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
        for path in ('/ws', '/echo'):
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
        eve.send(bytes(demo.BINARY_LIMIT + 1), binary=True)
        self.assertEqual(eve.end.get(timeout=TIMEOUT)[0], 1009)
        eve.end.put(None)  # for the cleanup
        self.assertEqual(ann.next(), {'type': 'leave', 'id': 2, 'name': 'Eve'})

    def test_a_full_room(self) -> None:
        with mock.patch.object(demo, 'ROOM_LIMIT', 1):
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

    def test_a_peer_that_does_not_read_holds_up_nobody(self) -> None:
        ann = self.peer('Ann')
        stalled = WebSocketBaseClient(f'ws://127.0.0.1:{self.port}/ws')
        stalled.connect()
        self.addCleanup(stalled.close_connection)
        stalled.send('{"type": "join", "name": "Bob"}')
        self.assertEqual(ann.next()['type'], 'join')

        answers: list[Any] = [b'']
        while len(answers) < 64 and not isinstance(answers[-1], dict):
            ann.send(bytes(demo.BINARY_LIMIT), binary=True)
            answers.append(ann.next())
        self.assertEqual(answers[-1], {'type': 'leave', 'id': 2, 'name': 'Bob'})
        self.assertGreater(len(answers), 4)  # so far it may be behind
        ann.tell(type='say', text='still here')
        until(lambda: isinstance(said := ann.next(), dict) and said['text'] == 'still here', 'the own message')

    def test_a_member_that_is_gone_does_not_disturb_a_broadcast(self) -> None:
        ann = self.peer('Ann')
        application = self.server.get_app()
        gone = demo.ChatWebSocket(None, room=application.room)
        gone.id, gone.name = 99, 'Gone'
        application.room._members[99] = gone
        ann.tell(type='say', text='anybody here?')
        self.assertEqual(ann.next()['text'], 'anybody here?')
        application.room.leave(gone)
        self.assertEqual(ann.next(), {'type': 'leave', 'id': 99, 'name': 'Gone'})

    def test_the_end_of_the_server_is_told(self) -> None:
        ann = self.peer('Ann')
        until(lambda: self.server.manager is not None, 'a manager')
        self.server.manager.close_all()
        self.assertEqual(ann.end.get(timeout=TIMEOUT)[0], 1001)
        ann.end.put(None)


if __name__ == '__main__':
    unittest.main()
