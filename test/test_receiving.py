"""Receiving: from the bytes of a raw peer to the hooks, on real sockets; and what happens when a hook raises."""

from __future__ import annotations

import collections
import socket
import threading
import unittest
from typing import Any
from unittest import mock

from helpers import (
    TIMEOUT,
    Peer,
    Recorder,
    RecordingDriver,
    close_frame,
    frame,
    limited,
    logs,
    needs_certificates,
    running,
    tls_pair,
    wait_for,
)

from ws4py.framing import OPCODE_BINARY, OPCODE_CONTINUATION, OPCODE_PING, OPCODE_TEXT
from ws4py.limits import Limits
from ws4py.receiving import LARGEST_BLOCK, LARGEST_READ, READ
from ws4py.state import State
from ws4py.websocket import EchoWebSocket, WebSocket

CLOSE, PONG = 0x88, 0x8A


class Counted:
    """A socket that notes the size of each send."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.sizes: list[int] = []

    def send(self, data: Any) -> int:
        self.sizes.append(len(data))
        return self.sock.send(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.sock, name)


class Case(unittest.TestCase):
    def pair(self, make: Any = Recorder, sock: Any = None) -> tuple[Any, Peer]:
        """A connection that nobody drives, and its peer."""
        ours, theirs = sock or socket.socketpair()
        self.addCleanup(theirs.close)
        self.addCleanup(ours.close)
        ours.settimeout(TIMEOUT)
        return make(ours), Peer(theirs)


class Once(Case):
    def test_a_pong_tells_the_latency(self) -> None:
        websocket, peer = self.pair(limited(ping_interval=5))
        driver = RecordingDriver()
        websocket.attach(driver, True)
        driver.timers[0][1]()
        _, payload = peer.receive()
        for data, known in ((b'unasked', False), (payload, True)):
            peer.pong(data)
            self.assertTrue(websocket.once())
            self.assertIs(websocket.latency is not None, known)
        self.assertEqual(websocket.calls, [('pong', b'unasked'), ('pong', payload)])

    def test_a_ping_is_answered_before_the_application_hears_of_it(self) -> None:
        class Pinged(Recorder):
            def pinged(self, ping: Any) -> None:
                self.calls.append(('ping', ping.data))
                self.send('behind the pong')

        websocket, peer = self.pair(Pinged)
        peer.ping(b'one')
        self.assertTrue(websocket.once())
        self.assertEqual([peer.receive() for _ in range(2)], [(PONG, b'one'), (0x81, b'behind the pong')])
        self.assertEqual(websocket.calls, [('ping', b'one')])

    def test_messages_in_order(self) -> None:
        websocket, peer = self.pair()
        peer.text('é')
        peer.send(OPCODE_BINARY, b'one, ', fin=False)
        peer.pong(b'between')
        peer.send(OPCODE_CONTINUATION, b'two')
        self.assertTrue(websocket.once())
        self.assertEqual(websocket.calls, [('message', 'é'.encode()), ('pong', b'between'), ('message', b'one, two')])

    def test_byte_by_byte(self) -> None:
        websocket, peer = self.pair()
        for byte in frame(OPCODE_TEXT, b'slow', masked=True) + frame(OPCODE_PING, b'ping', masked=True):
            peer.sock.sendall(bytes([byte]))
            self.assertTrue(websocket.once())
        self.assertEqual(websocket.calls, [('message', b'slow')])
        self.assertEqual(peer.receive(), (PONG, b'ping'))

    def test_bytes_that_were_read_with_the_handshake_come_first(self) -> None:
        websocket, peer = self.pair()
        first, second = (frame(OPCODE_TEXT, text, masked=True) for text in (b'first', b'second'))
        websocket.buf = first + second[:3]
        self.assertTrue(websocket.holds_input)
        self.assertTrue(websocket.once())
        self.assertFalse(websocket.holds_input)
        peer.sock.sendall(second[3:])
        self.assertTrue(websocket.once())
        self.assertEqual(websocket.calls, [('message', b'first'), ('message', b'second')])

    def test_at_most_what_a_read_asks_for_is_processed_at_once(self) -> None:
        websocket, _ = self.pair()
        websocket.buf = b''.join(frame(OPCODE_TEXT, b'%d' % at, masked=True) for at in range(3))
        websocket.reading_buffer_size = 7
        self.assertTrue(websocket.once())
        self.assertEqual(websocket.calls, [('message', b'0')])
        self.assertTrue(websocket.holds_input)
        self.assertTrue(websocket.once())
        self.assertEqual(websocket.calls, [('message', b'0'), ('message', b'1'), ('message', b'2')])
        self.assertFalse(websocket.holds_input)

    def test_reads_grow_with_the_frame_in_progress(self) -> None:
        websocket, peer = self.pair()
        self.assertEqual(websocket.reading_buffer_size, READ)
        peer.sock.sendall(frame(OPCODE_BINARY, bytes(5_000_000), masked=True)[:14])
        websocket.once()
        self.assertEqual(websocket.reading_buffer_size, LARGEST_BLOCK)
        peer.sock.sendall(b'')
        websocket.process(bytes(5_000_000 - LARGEST_BLOCK // 2))
        self.assertEqual(websocket.reading_buffer_size, LARGEST_BLOCK // 2)
        websocket.process(bytes(LARGEST_BLOCK // 2))
        self.assertEqual(websocket.reading_buffer_size, READ)
        self.assertEqual(len(websocket.calls), 1)

    def test_a_read_never_asks_for_so_much_that_its_pages_are_mapped(self) -> None:
        websocket, _ = self.pair()
        websocket.sock = mock.MagicMock(wraps=websocket.sock)
        websocket.sock.recv = mock.Mock(return_value=frame(OPCODE_BINARY, bytes(5_000_000), masked=True)[:1000])
        self.assertTrue(websocket.once())
        for more in (b'more', bytes(LARGEST_READ)):
            websocket.sock.recv.return_value = more
            self.assertTrue(websocket.once())
            self.assertEqual(websocket.reading_buffer_size, LARGEST_BLOCK)
        self.assertEqual(websocket.sock.recv.mock_calls, [mock.call(READ), *[mock.call(LARGEST_READ)] * 2])

    def test_a_large_frame_is_read_on_while_it_comes(self) -> None:
        payload = bytes(range(256)) * 2048
        for rest in (b'', b'\x8a\x80\0\0\0\0' * 3):
            websocket, _ = self.pair()
            websocket.attach(RecordingDriver(), True)
            websocket.sock = mock.Mock(spec=socket.socket)
            data = bytearray(frame(OPCODE_BINARY, payload, masked=True) + rest)
            asked: list[int] = []

            def recv(size: int, data: bytearray = data, asked: list[int] = asked) -> bytes:
                asked.append(size)
                piece = bytes(data[:size])
                del data[:size]
                if not piece:
                    raise BlockingIOError
                return piece

            websocket.sock.recv = recv
            self.assertTrue(websocket.once())
            self.assertEqual(websocket.calls, [('message', payload)])
            self.assertEqual(asked[:3], [READ, LARGEST_READ, LARGEST_READ])
            self.assertEqual(len(data), len(rest), 'what is behind it is left for the next time')

    def test_a_thread_reads_more_where_more_waits(self) -> None:
        websocket, _ = self.pair()
        websocket.sock = mock.Mock(spec=socket.socket)
        one = frame(OPCODE_BINARY, bytes(1000), masked=True)
        data = one * 950
        asked: list[int] = []

        def recv(size: int) -> bytes:
            asked.append(size)
            return data[sum(asked[:-1]) :][:size]

        websocket.sock.recv = recv
        while sum(asked) < len(data):
            self.assertTrue(websocket.once())
        self.assertEqual(asked[:3], [READ, LARGEST_READ, LARGEST_READ])
        self.assertEqual(len(websocket.calls), 950)
        self.assertEqual(websocket.reading_buffer_size, READ, 'the last read was not full')

    def test_but_no_more_than_others_can_wait_for(self) -> None:
        websocket, _ = self.pair()
        websocket.attach(RecordingDriver(), True)
        websocket.sock = mock.Mock(spec=socket.socket)
        start, asked = frame(OPCODE_BINARY, bytes(5_000_000), masked=True)[:READ], []

        def recv(size: int) -> bytes:
            asked.append(size)
            return start if len(asked) == 1 else bytes(size)

        websocket.sock.recv = recv
        self.assertTrue(websocket.once())
        self.assertLess(sum(asked), LARGEST_BLOCK + LARGEST_READ)
        self.assertGreaterEqual(sum(asked), LARGEST_BLOCK)

    def test_the_end(self) -> None:
        websocket, peer = self.pair()
        peer.sock.close()
        self.assertFalse(websocket.once())
        self.assertEqual(websocket.calls, [])
        websocket.terminate()
        self.assertEqual(websocket.calls, [('closed', 1006, 'Going away')])
        self.assertFalse(websocket.once())
        self.assertFalse(websocket.process(frame(OPCODE_TEXT, b'late', masked=True)))
        self.assertFalse(websocket.discard())

    def test_a_broken_connection(self) -> None:
        websocket, _ = self.pair()
        websocket.sock.settimeout(0.01)
        self.assertFalse(websocket.once())
        self.assertEqual(websocket.calls, [('error', socket.timeout)])

    def test_the_error_is_logged_where_nobody_overrides_the_hook(self) -> None:
        websocket, _ = self.pair(WebSocket)
        websocket.sock.settimeout(0.01)
        with self.assertLogs('ws4py', 'ERROR') as caught:
            self.assertFalse(websocket.once())
        self.assertIn('the connection failed', caught.output[0])

    def test_the_parser_may_be_a_mock(self) -> None:
        websocket, _ = self.pair()
        websocket.stream = mock.MagicMock(closing=None, errors=[], has_message=False, pings=[], pongs=[])
        self.assertTrue(websocket.process(b'x'))
        self.assertEqual(websocket.reading_buffer_size, READ)

    def test_no_bytes_are_the_end(self) -> None:
        websocket, _ = self.pair()
        self.assertFalse(websocket.process(b''))

    def test_nothing_is_read_when_it_is_terminated(self) -> None:
        websocket, peer = self.pair()
        peer.text('not for you')
        websocket.state = State.CLOSE_EXCHANGED
        self.assertFalse(websocket.once())
        self.assertEqual(websocket.calls, [])

    def test_a_hook_that_ends_the_connection_in_the_middle_of_a_block(self) -> None:
        class Ending(Recorder):
            def received_message(self, message: Any) -> None:
                super().received_message(message)
                self.terminate()

        websocket, _ = self.pair(Ending)
        self.assertFalse(
            websocket.process(frame(OPCODE_TEXT, b'a', masked=True) + frame(OPCODE_TEXT, b'b', masked=True))
        )
        self.assertEqual(websocket.calls, [('message', b'a'), ('closed', 1006, 'Going away')])


class Faults(Case):
    def test_another_thread_ends_it_just_before_the_bytes_are_parsed(self) -> None:
        websocket, _ = self.pair()
        websocket.stream.parser.close()  # the last thing that terminate() does
        self.assertFalse(websocket.process(b'\x81'))

    """What the peer does wrong becomes one Close frame, and closed() says the same."""

    def check(self, data: bytes, code: int, **limits: int) -> tuple[Any, bytes]:
        def make(sock: socket.socket) -> Recorder:
            websocket = Recorder(sock)
            websocket.limits = Limits(**limits)
            assert websocket.stream is not None
            websocket.stream.limits = websocket.limits
            return websocket

        with running(make) as (websocket, peer):
            peer.sock.sendall(data)
            first, payload = peer.receive()
            self.assertEqual((first, int.from_bytes(payload[:2], 'big')), (CLOSE, code))
            self.assertTrue(peer.at_end())
            self.assertFalse(websocket.over.is_set(), 'the peer has not ended its side yet')
            peer.close(code)
            peer.sock.shutdown(socket.SHUT_WR)
            self.assertTrue(websocket.over.wait(TIMEOUT))
        self.assertEqual(websocket.named('closed'), [('closed', code, payload[2:])])
        self.assertEqual((websocket.close_code, websocket.close_reason), (code, payload[2:]))
        return websocket, payload[2:]

    def test_each(self) -> None:
        huge = b'\x82\xff' + (1 << 63).to_bytes(8, 'big') + bytes(4)
        for text, data, code in [
            ('frame from a client must be masked', frame(OPCODE_TEXT, b'x'), 1002),
            ('frame from a client must be masked', frame(OPCODE_TEXT), 1002),
            ('opcode 3 is reserved', frame(3, b'', masked=True), 1002),
            ('reserved bits 100 are set', b'\xc1\x80\0\0\0\0', 1002),
            ('continuation frame without a message', frame(OPCODE_CONTINUATION, b'x', masked=True), 1002),
            ('new message inside a fragmented one', frame(OPCODE_TEXT, b'x', fin=False, masked=True) * 2, 1002),
            ('(opcode 9) may not be fragmented', frame(OPCODE_PING, b'x', fin=False, masked=True), 1002),
            ('(opcode 9) of more than 125 bytes', frame(OPCODE_PING, bytes(126), masked=True), 1002),
            ('length 5 is not in its shortest form', b'\x82\xfe\0\x05' + bytes(9), 1002),
            (f'length {1 << 63} has its top bit set', huge, 1002),
            ('text that is not UTF-8', frame(OPCODE_TEXT, b'\xff', masked=True), 1007),
            ('close reason that is not UTF-8', close_frame(1000, b'\xff', masked=True), 1007),
        ]:
            with self.subTest(text), logs():
                _, reason = self.check(data, code)
                self.assertIn(text, reason.decode())

    def test_over_a_limit(self) -> None:
        _, reason = self.check(frame(OPCODE_TEXT, bytes(11), masked=True), 1009, message_size=10)
        self.assertEqual(reason, b'a message of 11 bytes (at most 10 bytes)')
        two = frame(OPCODE_TEXT, b'', fin=False, masked=True) + frame(0, b'', masked=True)
        _, reason = self.check(two, 1009, fragments=1)
        self.assertEqual(reason, b'a message of 2 fragments (at most 1)')

    def test_what_came_before_is_delivered(self) -> None:
        websocket, _ = self.check(frame(OPCODE_TEXT, b'good', masked=True) + frame(OPCODE_TEXT, b'bad'), 1002)
        self.assertEqual(websocket.named('message'), [('message', b'good')])

    def test_what_is_wrong_is_logged(self) -> None:
        with self.assertLogs('ws4py', 'INFO') as caught:
            self.check(frame(OPCODE_TEXT, b'\xff', masked=True), 1007)
        self.assertIn('UTF-8', caught.output[0])


class Closes(Case):
    def check(self, sent: bytes, answer: tuple[int, bytes], *closed: Any) -> None:
        with running() as (websocket, peer):
            peer.sock.sendall(sent)
            self.assertEqual(peer.receive(), answer)
            self.assertTrue(peer.at_end())
            self.assertTrue(websocket.over.wait(TIMEOUT))
        self.assertEqual(websocket.named('closed'), [('closed', *closed)])

    def test_it_is_echoed_once(self) -> None:
        for code in (1000, 1001, 1012, 1013, 1014, 3000, 4999):
            payload = code.to_bytes(2, 'big') + b'bye'
            self.check(close_frame(code, b'bye', masked=True), (CLOSE, payload), code, b'bye')

    def test_an_empty_one_is_answered_by_an_empty_one(self) -> None:
        self.check(close_frame(None, masked=True), (CLOSE, b''), 1005, b'')

    def test_bad_ones_are_a_protocol_error(self) -> None:
        for payload in (b'\x03', b'\x03\xed', b'\x03\xee', b'\x03\xf7', b'\x03\xec', b'\0\0', b'\x13\x88', b'\xff\xff'):
            with self.subTest(payload=payload), running() as (websocket, peer):
                peer.send(8, payload)
                first, answer = peer.receive()
                self.assertEqual((first, answer[:2]), (CLOSE, b'\x03\xea'))
                found = 'a Close frame of one byte' if len(payload) == 1 else f'code {int.from_bytes(payload, "big")} '
                self.assertIn(found, answer.decode('utf-8', 'replace'))
                self.assertTrue(peer.at_end())
                self.assertTrue(websocket.over.wait(TIMEOUT))
                self.assertEqual(websocket.named('closed'), [('closed', 1002, answer[2:])])

    def test_nothing_behind_it_counts(self) -> None:
        data = close_frame(4000, b'', masked=True) + frame(OPCODE_TEXT, b'late', masked=True)
        self.check(data, (CLOSE, b'\x0f\xa0'), 4000, b'')

    def test_the_answer_to_ours_is_not_answered(self) -> None:
        with running() as (websocket, peer):
            websocket.close(4001, 'ours')
            self.assertEqual(peer.receive(), (CLOSE, b'\x0f\xa1ours'))
            peer.close(4002, b'theirs')
            self.assertTrue(peer.at_end())
            self.assertTrue(websocket.over.wait(TIMEOUT))
        self.assertEqual(websocket.named('closed'), [('closed', 4002, b'theirs')])

    def test_flags_that_were_set_by_hand_before_it_came(self) -> None:
        websocket, peer = self.pair()
        websocket.client_terminated = True
        peer.close(4000)
        self.assertFalse(websocket.once())
        self.assertEqual(peer.receive(), (CLOSE, b'\x0f\xa0'))

    def test_messages_before_the_answer_are_delivered(self) -> None:
        with running() as (websocket, peer):
            websocket.close()
            peer.receive()
            peer.text('was under way')
            peer.ping(b'needs no answer any more')
            peer.close()
            self.assertTrue(peer.at_end())
            self.assertTrue(websocket.over.wait(TIMEOUT))
        self.assertEqual(websocket.named('message'), [('message', b'was under way')])


class Hooks(Case):
    """What a hook raises is logged with its traceback and closes the connection with 1011; nothing escapes."""

    def check(self, name: str, provoke: Any, goes_on: bool = True) -> None:
        def hook(self: Any, *args: Any) -> None:
            raise LookupError(f'raised in {name}')

        made = type('Raising', (Recorder,), {name: hook})
        with self.subTest(name), self.assertLogs('ws4py', 'ERROR') as caught:
            with running(made) as (websocket, peer):
                provoke(peer)
                if goes_on:
                    self.assertEqual(peer.receive(), (CLOSE, b'\x03\xf3'))
                    peer.close(1011)
                    self.assertTrue(peer.at_end())
                    peer.sock.close()
                wait_for(lambda: websocket.state is State.CLOSED)
        self.assertIn(f'LookupError: raised in {name}', caught.output[0])
        self.assertIn('Traceback', caught.output[0])
        if name != 'closed':
            self.assertEqual(websocket.named('closed'), [('closed', 1011, '')])

    def test_each(self) -> None:
        self.check('opened', lambda peer: None)
        self.check('received_message', lambda peer: peer.text('x'))
        self.check('ponged', lambda peer: peer.pong(b'x'))
        self.check('pinged', lambda peer: (peer.ping(b'x'), peer.receive()))
        self.check('closed', lambda peer: (peer.close(), peer.receive()), goes_on=False)

    def test_that_of_a_broken_connection(self) -> None:
        class Raising(Recorder):
            sock_timeout = 0.01

            def unhandled_error(self, error: Exception) -> None:
                raise LookupError('raised in unhandled_error')

        with self.assertLogs('ws4py', 'ERROR') as caught:
            with running(Raising) as (websocket, _):
                self.assertTrue(websocket.over.wait(TIMEOUT))
        self.assertIn('LookupError', caught.output[0])

    def test_an_answer_that_breaks_on_the_socket_is_no_fault_of_the_hook(self) -> None:
        class Answering(Recorder):
            raises = False

            def received_message(self, message: Any) -> None:
                self.send(message)

            def unhandled_error(self, error: Exception) -> None:
                super().unhandled_error(error)
                if self.raises:
                    raise error

        for raises in (False, True):
            with self.subTest(raises=raises), logs() as records:
                websocket, peer = self.pair(Answering)
                websocket.raises = raises
                peer.sock.close()
                self.assertFalse(websocket.process(frame(OPCODE_TEXT, b'x', masked=True)))
                self.assertEqual(websocket.calls, [('error', BrokenPipeError)])
                self.assertEqual(len([record for record in records if record.levelname == 'ERROR']), raises)
                websocket.terminate()

    def test_an_answer_to_a_message_that_was_under_way_while_we_closed(self) -> None:
        class Answering(Recorder):
            def received_message(self, message: Any) -> None:
                super().received_message(message)
                self.send(message)

        with logs() as records, running(Answering) as (websocket, peer):
            websocket.close(4000)
            peer.receive()
            peer.text('late')
            peer.close(4000)
            self.assertTrue(websocket.over.wait(TIMEOUT))
        self.assertEqual(websocket.calls, [('opened',), ('message', b'late'), ('closed', 4000, b'')])
        self.assertEqual([record for record in records if record.levelname == 'ERROR'], [])

    def test_a_send_on_another_connection_that_has_ended_is_an_error_like_any(self) -> None:
        other, _ = self.pair()
        other.terminate()

        class Forwarding(Recorder):
            def received_message(self, message: Any) -> None:
                other.send(message.data)

        with self.assertLogs('ws4py', 'ERROR') as caught, running(Forwarding) as (_, peer):
            peer.text('x')
            self.assertEqual(peer.receive(), (CLOSE, b'\x03\xf3'))
        self.assertIn('NotOpenError', caught.output[0])

    def test_nothing_more_of_the_block_is_handled(self) -> None:
        class Raising(Recorder):
            def received_message(self, message: Any) -> None:
                super().received_message(message)
                raise LookupError

        with logs(), running(Raising) as (websocket, peer):
            peer.sock.sendall(frame(OPCODE_TEXT, b'x', masked=True) * 3)
            peer.receive()
        self.assertEqual(len(websocket.named('message')), 1)


class Coroutines(Case):
    """Hooks that are ``async def``."""

    def test_what_a_hook_returns_is_of_no_interest(self) -> None:
        websocket, _ = self.pair()
        self.assertTrue(websocket.call(lambda: 'something'))

    def test_a_coroutine_that_nobody_awaits(self) -> None:
        async def hook() -> None:
            raise AssertionError

        websocket, _ = self.pair()
        with logs():
            self.assertFalse(websocket.call(hook))

    class Async(Recorder):
        async def received_message(self, message: Any) -> None:
            self.calls.append(('awaited', message.data))

    def test_a_driver_gets_them_and_what_comes_meanwhile_waits(self) -> None:
        ours, theirs = socket.socketpair()
        self.addCleanup(theirs.close)
        self.addCleanup(ours.close)
        websocket, driver, peer = self.Async(ours), RecordingDriver(), Peer(theirs)
        websocket.attach(driver, True)
        peer.text('one')
        peer.text('two')
        peer.pong(b'three')
        peer.ping(b'four')
        while not websocket.pending_calls or len(websocket.pending_calls) < 2:
            self.assertTrue(websocket.once())
        self.assertEqual(peer.receive(), (PONG, b'four'))  # nobody waits for an answer to a ping
        ((coroutine, done),) = driver.coroutines
        self.assertIsNone(done)
        with self.assertRaises(StopIteration):
            coroutine.send(None)
        self.assertEqual(websocket.calls, [('awaited', b'one')])
        calls, websocket.pending_calls = websocket.pending_calls, None
        self.assertEqual(
            [hook.__name__ for hook, _ in calls], ['received_message', 'ponged']
        )  # of pings it does not hear

    def test_a_close_is_answered_after_what_came_before_it(self) -> None:
        ours, theirs = socket.socketpair()
        self.addCleanup(theirs.close)
        self.addCleanup(ours.close)
        websocket, driver, peer = self.Async(ours), RecordingDriver(), Peer(theirs)
        websocket.attach(driver, True)
        peer.text('one')
        peer.close(4000)
        while websocket.once():
            pass
        websocket.send('an answer')
        ((coroutine, _),) = driver.coroutines
        coroutine.close()
        calls, websocket.pending_calls = websocket.pending_calls, None
        for hook, args in calls:
            hook(*args)
        self.assertEqual([peer.receive(), peer.receive()], [(0x81, b'an answer'), (CLOSE, b'\x0f\xa0')])

    def test_the_answer_to_a_close_waits_for_theirs(self) -> None:
        for hook, waits in (('received_message', True), ('opened', False)):
            with self.subTest(hook):
                websocket, peer = self.pair()
                websocket.attach(RecordingDriver(), True)
                websocket.pending_calls, websocket.awaited = collections.deque(), getattr(websocket, hook)
                peer.close()
                self.assertFalse(websocket.once())
                self.assertEqual(len(websocket.pending_calls), int(waits))
                self.assertIs(websocket.state, State.OPEN if waits else State.CLOSE_EXCHANGED)

    def behind(self, hook: str, **hooks: Any) -> tuple[Any, Peer]:
        """A connection on which the coroutine of *hook* runs."""
        websocket, peer = self.pair(type('Behind', (WebSocket,), {'calls': [], **hooks}))
        websocket.attach(RecordingDriver(), True)
        websocket.pending_calls, websocket.awaited = collections.deque(), getattr(websocket, hook)
        return websocket, peer

    def test_pings_and_pongs_that_nobody_hears_of_do_not_wait(self) -> None:
        websocket, peer = self.behind('received_message')
        for number in range(20):
            peer.pong(b'!')
            peer.ping(b'%d' % number)
            self.assertTrue(websocket.once())
        for number in range(20):
            self.assertEqual(peer.receive(), (PONG, b'%d' % number))
        self.assertEqual(len(websocket.pending_calls), 0)

    def test_they_do_not_wait_for_opened(self) -> None:
        def pinged(websocket: Any, ping: Any) -> None:
            websocket.calls.append(ping.data)

        async def ponged(websocket: Any, pong: Any) -> None:
            self.fail('nobody awaits it')

        websocket, peer = self.behind('opened', pinged=pinged, ponged=ponged)
        peer.ping(b'one')
        peer.pong(b'two')
        with self.assertLogs('ws4py', 'INFO') as caught:
            while not caught.output:
                self.assertTrue(websocket.once())
        self.assertEqual((websocket.calls, len(websocket.pending_calls)), ([b'one'], 0))
        self.assertIn('opened() is still running', caught.output[0])

    def test_what_they_raise_meanwhile_closes_the_connection(self) -> None:
        def ponged(websocket: Any, pong: Any) -> None:
            raise LookupError

        websocket, peer = self.behind('opened', ponged=ponged)
        peer.pong()
        with logs():
            while websocket.once():
                pass
        self.assertEqual(peer.receive(), (CLOSE, b'\x03\xf3'))

    def test_without_a_loop_they_are_an_error(self) -> None:
        with logs() as records, running(self.Async) as (_, peer):
            peer.text('one')
            self.assertEqual(peer.receive(), (CLOSE, b'\x03\xf3'))
            peer.close(1011)
        self.assertIn('coroutine function', str([record.exc_info for record in records if record.exc_info]))


class Driven(Case):
    """On a socket that does not block; the test plays the loop."""

    def attached(self, make: Any = Recorder, pair: Any = None) -> tuple[Any, Peer, RecordingDriver]:
        websocket, peer = self.pair(make, pair)
        driver = RecordingDriver()
        websocket.attach(driver, True)
        return websocket, peer, driver

    def test_a_peer_that_takes_what_waits_for_it_is_there(self) -> None:
        websocket, _, _ = self.attached(limited(ping_interval=5, write_high_water=1000))
        self.assertTrue(websocket.flush())
        for _ in range(2):
            with mock.patch.object(websocket._keepalive, 'took') as took:
                self.assertTrue(websocket.flush())
                took.assert_called_once_with(websocket.watched[1])
            while not websocket.watched[1]:
                websocket.send(bytes(64 * 1024), True)
        websocket._outbox = None
        with mock.patch.object(websocket._keepalive, 'took') as took:
            self.assertFalse(websocket.flush())
            took.assert_not_called()

    def test_bytes_that_the_driver_has_received_by_itself(self) -> None:
        websocket, _, _ = self.attached(limited(ping_interval=5))
        with mock.patch.object(websocket._keepalive, 'touch') as touch:
            self.assertTrue(websocket.take(frame(OPCODE_TEXT, b'one', masked=True)))
            touch.assert_called_once_with()
        self.assertEqual(websocket.calls, [('message', b'one')])
        websocket, _, _ = self.attached()
        self.assertFalse(websocket.take(frame(OPCODE_TEXT, b'two', masked=True) + b'\x88\x80\0\0\0\0'))
        self.assertFalse(websocket.take(frame(OPCODE_TEXT, b'three', masked=True)))
        websocket.terminate()
        self.assertFalse(websocket.take(frame(OPCODE_TEXT, b'three', masked=True)))
        self.assertEqual(websocket.calls, [('message', b'two'), ('closed', 1005, b'')])

    def test_nothing_there_is_no_end(self) -> None:
        websocket, peer, _ = self.attached()
        self.assertTrue(websocket.once())
        self.assertTrue(websocket.discard())
        peer.text('x')
        self.assertTrue(websocket.once())
        self.assertEqual(websocket.calls, [('message', b'x')])

    def test_the_answers_to_pipelined_frames_leave_in_one_send(self) -> None:
        ours, theirs = socket.socketpair()
        counted = Counted(ours)
        websocket, peer, _ = self.attached(EchoWebSocket, (counted, theirs))
        texts = [b'message %d' % at for at in range(100)]
        peer.sock.sendall(b''.join(frame(OPCODE_TEXT, text, masked=True) for text in texts))
        self.assertTrue(websocket.once())
        self.assertEqual(len(counted.sizes), 1)
        self.assertEqual([peer.receive() for _ in texts], [(0x81, text) for text in texts])

    def test_a_close_at_the_end_of_the_block_goes_along(self) -> None:
        ours, theirs = socket.socketpair()
        counted = Counted(ours)
        websocket, peer, _ = self.attached(EchoWebSocket, (counted, theirs))
        peer.sock.sendall(frame(OPCODE_TEXT, b'last words', masked=True) + close_frame(1000, masked=True))
        self.assertFalse(websocket.once())
        self.assertEqual(len(counted.sizes), 1)
        self.assertEqual(peer.receive(), (0x81, b'last words'))
        self.assertEqual(peer.receive(), (CLOSE, b'\x03\xe8'))

    def test_a_hook_that_ends_the_connection_loses_none_of_the_answers_before(self) -> None:
        class Ending(EchoWebSocket):
            def received_message(self, message: Any) -> None:
                super().received_message(message)
                if message.data == b'end':
                    self.terminate()

        websocket, peer, driver = self.attached(Ending)
        peer.sock.sendall(b''.join(frame(OPCODE_TEXT, text, masked=True) for text in (b'a', b'b', b'end', b'c')))
        self.assertFalse(websocket.once())
        self.assertEqual(peer.receive_all(), [(0x81, b'a'), (0x81, b'b'), (0x81, b'end')])
        self.assertEqual(driver.forgotten, [websocket])

    def test_a_block_is_put_aside_while_its_answers_pile_up(self) -> None:
        def make(sock: socket.socket) -> EchoWebSocket:
            websocket = EchoWebSocket(sock)
            websocket.limits = Limits(write_high_water=1000)
            return websocket

        websocket, peer, _ = self.attached(make)
        data = frame(OPCODE_BINARY, bytes(100_000), masked=True)
        self.assertTrue(websocket.process(data * 20))
        self.assertTrue(websocket.watched[1])
        self.assertFalse(websocket.holds_input)
        frames: list[tuple[int, bytes]] = []
        reader = threading.Thread(target=lambda: frames.extend(peer.receive() for _ in range(20)), daemon=True)
        reader.start()

        def turn() -> bool:
            websocket.flush()
            return not (websocket.holds_input and not websocket.once()) and not reader.is_alive()

        wait_for(turn)
        self.assertEqual(frames, [(0x82, bytes(100_000))] * 20)
        self.assertFalse(websocket.holds_input)

    def test_an_end_while_answers_are_held_back(self) -> None:
        websocket, _, _ = self.attached()
        websocket._outbox.cork()
        websocket.terminate()
        websocket._uncork()
        self.assertIsNone(websocket._outbox)

    def test_a_connection_that_breaks_under_the_answers(self) -> None:
        class Echo(Recorder):
            def received_message(self, message: Any) -> None:
                self.send(message)

        websocket, peer, driver = self.attached(Echo)
        peer.sock.sendall(frame(OPCODE_TEXT, b'x', masked=True) * 2)
        peer.sock.close()
        self.assertTrue(websocket.once())
        self.assertEqual(websocket.calls, [('error', BrokenPipeError)])
        self.assertEqual(driver.dropped, [websocket])

    def test_a_connection_that_breaks_under_a_pong(self) -> None:
        websocket, peer, _ = self.attached()
        peer.ping(b'x')
        peer.sock.close()
        self.assertFalse(websocket.once())
        self.assertEqual(websocket.calls, [('error', BrokenPipeError)])

    def test_discarding_ends_with_the_connection(self) -> None:
        websocket, peer, _ = self.attached()
        peer.text('thrown away')
        self.assertTrue(websocket.discard())
        peer.text('thrown away')
        websocket._drop()
        self.assertFalse(websocket.discard())
        peer.sock.close()
        self.assertFalse(websocket.discard())
        websocket, peer, _ = self.attached()
        websocket.sock.close()
        self.assertFalse(websocket.discard())
        self.assertEqual(websocket.calls, [])

    def test_a_peer_is_alive_while_bytes_come(self) -> None:
        def make(sock: socket.socket) -> Recorder:
            websocket = Recorder(sock)
            websocket.limits = Limits(idle_timeout=60)
            return websocket

        websocket, peer, _ = self.attached(make)
        websocket._keepalive.received = 0.0
        peer.sock.sendall(b'\x81')
        websocket.once()
        self.assertGreater(websocket._keepalive.received, 0)

    @needs_certificates
    def test_tls_holds_what_no_poller_sees(self) -> None:
        ours, theirs = tls_pair()
        websocket, peer, _ = self.attached(pair=(ours, theirs))
        self.assertTrue(websocket.once())
        self.assertFalse(websocket.holds_input)
        websocket.reading_buffer_size = 10
        peer.sock.sendall(b''.join(frame(OPCODE_TEXT, b'%d' % at, masked=True) for at in range(5)))
        websocket.sock.setblocking(True)
        self.assertTrue(websocket.once())
        self.assertTrue(websocket.holds_input)
        while websocket.holds_input:
            self.assertTrue(websocket.once())
        self.assertEqual(websocket.calls, [('message', b'%d' % at) for at in range(5)])

    @needs_certificates
    def test_a_large_message_over_tls_is_read_at_once(self) -> None:
        websocket, peer, _ = self.attached(pair=tls_pair())
        self.assertTrue(websocket.once())
        peer.sock.sendall(frame(OPCODE_BINARY, bytes(60_000), masked=True))
        self.assertTrue(websocket.once())
        self.assertEqual(websocket.calls, [('message', bytes(60_000))])


@needs_certificates
class OverTLS(Case):
    def test_messages_and_the_end(self) -> None:
        with running(pair=tls_pair()) as (websocket, peer):
            peer.text('é')
            peer.ping(b'?')
            self.assertEqual(peer.receive(), (PONG, b'?'))
            websocket.send(bytes(100_000), True)
            self.assertEqual(peer.receive(), (0x82, bytes(100_000)))
            peer.close(4000, b'bye')
            self.assertEqual(peer.receive(), (CLOSE, b'\x0f\xa0bye'))
            self.assertTrue(websocket.over.wait(TIMEOUT))
        self.assertEqual(websocket.calls, [('opened',), ('message', 'é'.encode()), ('closed', 4000, b'bye')])

    def test_a_peer_that_goes_without_a_word(self) -> None:
        with running(pair=tls_pair()) as (websocket, peer):
            peer.text('x')
            wait_for(lambda: websocket.named('message'))
            peer.sock.close()
            self.assertTrue(websocket.over.wait(TIMEOUT))
        self.assertEqual(websocket.named('closed'), [('closed', 1006, 'Going away')])


if __name__ == '__main__':
    unittest.main()
