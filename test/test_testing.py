"""ws4py.testing: what it says of ws4py has to be true, so each helper is held against what is known otherwise."""

from __future__ import annotations

import errno
import socket
import unittest
from typing import Any
from unittest import mock

from helpers import close_frame, frame, logs
from support_tls import client_context, needs_certificates, server_context

from ws4py import closecode
from ws4py.client import WebSocketBaseClient
from ws4py.client.threadedclient import WebSocketClient
from ws4py.exc import FrameTooLargeException, HandshakeError, HTTPError, ProtocolException
from ws4py.framing import OPCODE_BINARY, OPCODE_CLOSE, OPCODE_PING, OPCODE_PONG, OPCODE_TEXT, RSV1
from ws4py.limits import Limits
from ws4py.permessage_deflate import PerMessageDeflate
from ws4py.policy import Policy
from ws4py.testing import (
    EOF,
    WOULD_BLOCK,
    Clock,
    Pair,
    RecordingClient,
    ScriptedSocket,
    SteppedDriver,
    WireFrame,
    accepting,
    binary,
    close,
    parse_frames,
    serve,
    text,
    until,
)
from ws4py.websocket import EchoWebSocket, WebSocket

pytest_plugins = ['ws4py.testing.fixtures']  # for test_the_fixture, which unittest does not see


class Recorder(WebSocket):
    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.calls: list[tuple[Any, ...]] = []

    def opened(self) -> None:
        self.calls.append(('opened',))

    def received_message(self, message: Any) -> None:
        self.calls.append(('message', message.data))

    def unhandled_error(self, error: Exception) -> None:
        self.calls.append(('error', error))

    def closed(self, code: int, reason: Any = None) -> None:
        self.calls.append(('closed', code, reason))


class Clocks(unittest.TestCase):
    def test_time_passes_only_when_it_is_turned(self) -> None:
        clock = Clock(100.0)
        called: list[tuple[str, float]] = []
        for name, delay in (('late', 30.0), ('soon', 1.5), ('never', 31.0)):
            clock.call_later(delay, lambda name=name: called.append((name, clock.time())))
        clock.advance(1)
        self.assertEqual(called, [])
        clock.advance(29)
        self.assertEqual(called, [('soon', 101.5), ('late', 130.0)])
        self.assertEqual(clock.time(), 130.0)

    def test_a_timer_that_a_timer_sets_comes_in_its_turn(self) -> None:
        clock = Clock()
        called: list[float] = []

        def again() -> None:
            called.append(clock.time())
            clock.call_later(10, again)

        clock.call_later(10, again)
        clock.advance(35)
        self.assertEqual(called, [10, 20, 30])
        self.assertEqual(clock.time(), 35)

    def test_a_cancelled_timer_is_not_called(self) -> None:
        clock, called = Clock(), []
        clock.call_later(1, lambda: called.append(1)).cancel()
        clock.advance(2)
        self.assertEqual((called, clock.time()), ([], 2))

    def test_what_is_due_at_once_needs_no_time(self) -> None:
        clock, called = Clock(), []
        clock.call_later(0, lambda: called.append(1))
        clock.run_due()
        self.assertEqual((called, clock.time()), ([1], 0))

    def test_a_timer_set_between_two_steps_is_not_missed(self) -> None:
        clock, called = Clock(), []
        for at in clock.steps(10):
            if at == 0:
                clock.call_later(4, lambda: called.append(clock.time()))
        self.assertEqual(called, [4])

    def test_it_is_not_turned_back(self) -> None:
        with self.assertRaisesRegex(ValueError, 'does not go back'):
            Clock().advance(-1)


class Wire(unittest.TestCase):
    def test_frames_are_those_of_a_second_opinion(self) -> None:
        self.assertEqual(text('hé'), frame(OPCODE_TEXT, 'hé'.encode()))
        self.assertEqual(binary(bytes(70000), masked=True), frame(OPCODE_BINARY, bytes(70000), masked=True))
        self.assertEqual(close(1001, 'bye', masked=True), close_frame(1001, b'bye', masked=True))

    def test_frames_are_parsed_masked_or_not(self) -> None:
        data = frame(OPCODE_TEXT, b'a', fin=False) + frame(OPCODE_PING, b'b', masked=True) + frame(0, bytes(300))
        self.assertEqual(
            parse_frames(data),
            [WireFrame(1, b'a', fin=False), WireFrame(9, b'b', masked=True), WireFrame(0, bytes(300))],
        )

    def test_what_was_built_is_parsed(self) -> None:
        frames = [WireFrame(1, b'x' * 200, masked=True, rsv=RSV1), WireFrame(2, fin=False), WireFrame(10, b'p')]
        self.assertEqual(parse_frames(b''.join(each.build() for each in frames)), frames)

    def test_a_frame_that_is_cut_is_left_out(self) -> None:
        data = text('one') + text('two')
        for size in range(len(text('one')), len(data)):
            self.assertEqual(parse_frames(data[:size]), [WireFrame(1, b'one')], size)

    def test_what_is_no_frame_is_an_error(self) -> None:
        with self.assertRaises(ProtocolException):
            parse_frames(b'HTTP/1.1 200 OK')
        with self.assertRaises(FrameTooLargeException):
            parse_frames(text('fine') + b'\x89\x7e\x00\x7e')


class Scripted(unittest.TestCase):
    def test_a_websocket_on_a_script(self) -> None:
        sock = ScriptedSocket(text('one', masked=True) + text('two', masked=True), close(1001, 'bye', masked=True))
        websocket = Recorder(sock)
        websocket.run()
        self.assertEqual(
            websocket.calls, [('opened',), ('message', b'one'), ('message', b'two'), ('closed', 1001, b'bye')]
        )
        self.assertEqual(sock.frames, [WireFrame(OPCODE_CLOSE, b'\x03\xe9bye')])
        self.assertTrue(sock.closed)

    def test_bytes_beyond_the_size_asked_for_stay(self) -> None:
        sock = ScriptedSocket(b'abcdef', b'gh', EOF, b'not reached')
        self.assertEqual(
            [sock.recv(4), sock.recv(4), sock.recv(4), sock.recv(4), sock.recv(4)], [b'abcd', b'ef', b'gh', b'', b'']
        )

    def test_an_error_comes_where_the_script_says(self) -> None:
        error = ConnectionResetError(errno.ECONNRESET, 'gone')
        websocket = Recorder(ScriptedSocket(text('one', masked=True), error))
        websocket.run()
        self.assertEqual(websocket.calls[1:3], [('message', b'one'), ('error', error)])
        self.assertEqual(websocket.close_code, closecode.ABNORMAL_CLOSURE)

    def test_the_end_of_a_script(self) -> None:
        sock = ScriptedSocket()
        self.assertEqual(sock.recv(1), b'')
        sock.setblocking(False)
        self.assertEqual(sock.gettimeout(), 0)
        with self.assertRaises(BlockingIOError):
            sock.recv(1)
        sock.feed(b'more', WOULD_BLOCK)
        self.assertEqual(sock.recv(9), b'more')
        with self.assertRaises(BlockingIOError):
            sock.recv(1)
        sock.setblocking(True)
        self.assertIsNone(sock.gettimeout())
        self.assertEqual(sock.recv(1), b'')

    def test_sends_are_taken_as_the_script_says(self) -> None:
        sock = ScriptedSocket(takes=[2, WOULD_BLOCK, 0])
        self.assertEqual(sock.send(b'abcd'), 2)
        with self.assertRaises(BlockingIOError):
            sock.send(b'cd')
        self.assertEqual([sock.send(b'cd'), sock.send(b'cd')], [0, 2])
        sock.take(1)
        sock.sendall(b'efg')
        self.assertEqual((sock.writes, sock.sent), ([b'ab', b'cd', b'e', b'fg'], b'abcdefg'))

    def test_what_is_closed_does_nothing(self) -> None:
        sock = ScriptedSocket(b'x')
        sock.shutdown(socket.SHUT_RD)
        self.assertEqual(sock.send(b'y'), 1)
        sock.shutdown(socket.SHUT_WR)
        with self.assertRaises(BrokenPipeError):
            sock.send(b'y')
        sock.close()
        sock.close()
        for call in (lambda: sock.recv(1), lambda: sock.send(b'y'), lambda: sock.connect(('h', 1))):
            with self.assertRaises(OSError) as raised:
                call()
            self.assertEqual(raised.exception.errno, errno.EBADF)

    def test_it_has_the_rest_of_a_socket(self) -> None:
        sock = ScriptedSocket(address=('127.0.0.1', 1), peer=('10.0.0.1', 2))
        websocket = WebSocket(sock)
        self.assertEqual((websocket.local_address, websocket.peer_address), (('127.0.0.1', 1), ('10.0.0.1', 2)))
        self.assertRaises(OSError, sock.fileno)
        self.assertFalse(websocket.try_ping(b''), 'nobody can tell whether there is room')

    def test_a_client_connects_to_a_script(self) -> None:
        sock = ScriptedSocket(accepting(Policy(['chat'])), text('hello'), close())
        self.assertEqual(sock.head, b'')
        with mock.patch.object(RecordingClient, '_first_socket', return_value=sock):
            client = RecordingClient('ws://example.com/path', protocols=['chat'])
        client.connect()
        client.run()
        self.assertEqual(sock.connected_to, ('example.com', 80))
        self.assertTrue(sock.head.startswith(b'GET /path HTTP/1.1\r\n'))
        self.assertTrue(sock.head.endswith(b'\r\n\r\n'))
        self.assertEqual((client.protocols, client.messages), ([b'chat'], ['hello']))
        self.assertEqual([each.opcode for each in sock.frames], [OPCODE_CLOSE])
        self.assertTrue(sock.frames[0].masked)

    def test_a_client_with_a_socket_of_its_own_takes_one_in_its_place(self) -> None:
        client = WebSocketBaseClient('ws://127.0.0.1:1/')
        client.sock.close()
        client.sock = sock = ScriptedSocket(accepting(), text('hello'))
        client.connect()
        self.assertTrue(client.once())
        self.assertIsNone(sock.gettimeout())

    def test_a_client_that_is_refused(self) -> None:
        client = WebSocketBaseClient('ws://127.0.0.1:1/')
        client.sock.close()
        client.sock = ScriptedSocket(accepting(Policy(origins=['https://example.com'])))
        with self.assertRaisesRegex(HandshakeError, '403'):
            client.connect()

    def test_a_head_that_is_cut(self) -> None:
        sock = ScriptedSocket()
        sock.send(b'GET / HT')
        self.assertEqual((sock.head, sock.frames), (b'GET / HT', []))


class Stepping(unittest.TestCase):
    def test_what_is_not_taken_waits_in_the_outbox(self) -> None:
        sock = ScriptedSocket(text('a', masked=True), text('b', masked=True), takes=[2, WOULD_BLOCK])
        driver = SteppedDriver(EchoWebSocket(sock))
        driver.start()
        self.assertTrue(driver.step())
        self.assertEqual(sock.sent, text('a')[:2])
        driver.run()
        self.assertEqual(sock.frames, [WireFrame(1, b'a'), WireFrame(1, b'b')])
        self.assertFalse(driver.step())
        sock.feed(text('c', masked=True))
        driver.run()
        self.assertEqual(sock.frames[2:], [WireFrame(1, b'c')])

    def test_each_step_is_one_look_at_the_script(self) -> None:
        sock = ScriptedSocket(takes=[WOULD_BLOCK] * 3)
        websocket = WebSocket(sock)
        driver = SteppedDriver(websocket)
        driver.start()
        websocket.send('hello')
        self.assertEqual([driver.step() for _ in range(4)], [True, True, True, False])
        self.assertEqual(sock.sent, text('hello'))

    def test_the_slow_consumer_is_dropped(self) -> None:
        sock = ScriptedSocket(takes=[WOULD_BLOCK] * 50)
        websocket = Recorder(sock)
        websocket.limits = Limits(write_high_water=100, write_limit=200)
        driver = SteppedDriver(websocket)
        driver.start()
        with logs() as records:
            websocket.send(bytes(150), True)
            self.assertFalse(driver.reads)
            websocket.send(bytes(150), True)
            driver.run()
        self.assertEqual(websocket.calls[-1][:2], ('closed', 1006))
        self.assertIn('slow consumer', str([record.getMessage() for record in records]))

    def test_a_script_without_an_end(self) -> None:
        sock = ScriptedSocket(*[WOULD_BLOCK] * 10)
        driver = SteppedDriver(WebSocket(sock))
        driver.start()
        with self.assertRaisesRegex(RuntimeError, 'not come to rest in 5 steps'):
            driver.run(steps=5)

    def test_a_broken_connection_ends(self) -> None:
        websocket = Recorder(ScriptedSocket(takes=[WOULD_BLOCK, BrokenPipeError()]))
        driver = SteppedDriver(websocket)
        driver.start()
        websocket.send('hello')
        with logs():
            driver.run()
        self.assertEqual(websocket.calls[-1][:2], ('closed', 1006))
        self.assertTrue(driver.over)


class Pairs(unittest.TestCase):
    def test_nothing_arrives_before_it_is_delivered(self) -> None:
        pair = Pair(EchoWebSocket)
        pair.client.send('hello')
        self.assertEqual(pair.client.messages, [])
        (sent,) = pair.to_server.frames
        self.assertEqual(sent, WireFrame(1, b'hello', masked=True))
        self.assertEqual(pair.to_server.deliver(), len(text('hello', masked=True)))
        self.assertEqual(pair.to_client.frames, [WireFrame(1, b'hello')])
        pair.deliver()
        self.assertEqual(pair.client.messages, ['hello'])
        self.assertEqual((pair.to_client.data, pair.to_server.data), (b'', b''))

    def test_text_binary_and_fragments_cut_at_every_offset(self) -> None:
        def talk(at: int) -> list[Any]:
            pair = Pair(EchoWebSocket)
            pair.client.send('héllo')
            pair.client.send(iter([b'\x00', b'\x01']), binary=True)
            pair.to_server.deliver(at)
            pair.deliver()
            return pair.client.messages

        size = len(text('héllo', masked=True)) + 2 * len(binary(b'x', masked=True)) + 1
        for at in range(1, size):
            self.assertEqual(talk(at), ['héllo', b'\x00\x01'], at)

    def test_byte_by_byte(self) -> None:
        pair = Pair(EchoWebSocket)
        pair.client.send('x' * 1000)
        pair.deliver(size=1)
        self.assertEqual(pair.client.messages, ['x' * 1000])

    def test_a_large_message_and_more_than_one_read_takes(self) -> None:
        pair = Pair(EchoWebSocket)
        pair.client.send(bytes(3_000_000), True)
        pair.deliver()
        self.assertEqual(pair.client.messages, [bytes(3_000_000)])

    def test_the_handshake_is_real(self) -> None:
        pair = Pair(WebSocket, path='/room?name=Ann', protocols=['b', 'a'], policy=Policy(['a', 'b']))
        self.assertEqual((pair.client.protocols, pair.server.protocols), ([b'b'], ['b']))
        self.assertEqual(pair.server.environ['PATH_INFO'], '/room')
        self.assertEqual(pair.server.environ['QUERY_STRING'], 'name=Ann')
        self.assertEqual(pair.server.peer_address, pair.client.local_address)
        self.assertEqual(pair.client.peer_address, pair.server.local_address)

    def test_a_client_that_is_refused(self) -> None:
        def refuse(request: Any) -> None:
            raise HTTPError(401, 'who are you?')

        with logs():
            with self.assertRaisesRegex(HandshakeError, '401'):
                Pair(WebSocket, policy=Policy(process_request=refuse))

    def test_compression(self) -> None:
        pair = Pair(EchoWebSocket, extensions=[PerMessageDeflate(threshold=0)])
        pair.client.send('x' * 10_000)
        (sent,) = pair.to_server.frames
        self.assertEqual(sent.rsv, RSV1)
        self.assertLess(len(sent.payload), 100)
        pair.deliver()
        self.assertEqual(pair.client.messages, ['x' * 10_000])
        self.assertEqual(pair.server.extensions, ['permessage-deflate'])

    def test_limits(self) -> None:
        pair = Pair(Recorder, policy=Policy(limits=Limits(message_size=10)))
        pair.client.send('x' * 11)
        with logs():
            pair.deliver()
        self.assertEqual((pair.client.close_code, pair.server.close_code), (1009, 1009))

    def test_the_closing_handshake_from_either_end(self) -> None:
        for name in ('client', 'server'):
            with self.subTest(closes=name):
                pair = Pair(Recorder)
                getattr(pair, name).close(3000, 'done')
                self.assertIsNone(pair.server.close_code)
                pair.deliver()
                self.assertEqual(pair.server.calls, [('opened',), ('closed', 3000, b'done')])
                self.assertEqual(pair.client.close_code, 3000)
                self.assertTrue(pair.client.terminated and pair.server.terminated)

    def test_a_connection_that_drops(self) -> None:
        pair = Pair(Recorder)
        pair.client.send('lost')
        pair.drop()
        self.assertEqual(pair.server.calls, [('opened',), ('closed', 1006, 'Going away')])
        self.assertEqual((pair.client.close_code, pair.client.messages), (1006, []))
        with self.assertRaises(RuntimeError):
            pair.client.send('after the end')

    def test_a_connection_that_is_reset(self) -> None:
        pair = Pair(Recorder)
        pair.drop(ConnectionResetError(errno.ECONNRESET, 'reset'))
        (error,) = pair.client.errors
        self.assertIsInstance(error, ConnectionResetError)
        self.assertEqual(pair.server.calls[1][0], 'error')

    def test_a_peer_that_breaks_the_protocol(self) -> None:
        pair = Pair(Recorder)
        pair.to_server.inject(text('not masked'))
        with logs():
            pair.deliver()
        self.assertEqual(pair.client.close_code, 1002)

    def test_pings_are_answered(self) -> None:
        pair = Pair(WebSocket)
        pair.client.ping(b'a')
        pair.server.ping(b'b')
        pair.deliver()
        self.assertEqual((pair.client.pongs, pair.client.pings), ([b'a'], [b'b']))

    def test_time_passes_without_waiting(self) -> None:
        pair = Pair(Recorder, policy=Policy(limits=Limits(ping_interval=30, ping_timeout=10)))
        pair.advance(95)
        self.assertEqual(len(pair.client.pings), 3)
        self.assertIsNone(pair.server.close_code)
        self.assertEqual(pair.server.latency, 0)
        with logs():
            pair.clock.advance(40)  # nothing gets through
            pair.deliver()
        self.assertEqual(pair.server.close_code, 1011)

    def test_latency_is_on_the_clock(self) -> None:
        pair = Pair(Recorder, policy=Policy(limits=Limits(ping_interval=30)))
        pair.clock.advance(30)
        self.assertEqual([each.opcode for each in pair.to_client.frames], [OPCODE_PING])
        pair.clock.advance(0.25)
        pair.to_client.deliver()
        self.assertEqual([each.opcode for each in pair.to_server.frames], [OPCODE_PONG])
        pair.clock.advance(0.25)
        pair.deliver()
        self.assertEqual(pair.server.latency, 0.5)

    def test_the_idle_and_the_close_timeout(self) -> None:
        limits = Limits(idle_timeout=60, close_timeout=5)
        pair = Pair(Recorder, policy=Policy(limits=limits))
        pair.clock.advance(59)
        pair.client.send('still here')
        pair.to_server.deliver()
        pair.clock.advance(59)
        self.assertEqual(pair.to_client.frames, [])
        pair.clock.advance(1)
        self.assertEqual([each.opcode for each in pair.to_client.frames], [OPCODE_CLOSE])
        pair.clock.advance(4.9)
        self.assertIsNone(pair.server.close_code)
        pair.clock.advance(0.1)
        self.assertEqual(pair.server.close_code, 1001)

    def test_a_peer_that_does_not_read(self) -> None:
        pair = Pair(EchoWebSocket, policy=Policy(limits=Limits(write_high_water=1000, write_limit=10_000)))
        pair.to_client.room = 100
        for _ in range(50):
            pair.client.send(bytes(100), True)
        for _ in range(50):
            pair.to_server.deliver(104)
        self.assertEqual(len(pair.to_client.data), 100)
        self.assertGreater(len(pair.to_server.data), 1000, 'the server has stopped reading')
        pair.deliver()
        self.assertEqual(pair.client.messages, [bytes(100)] * 50)

    def test_what_there_is_no_room_for_waits(self) -> None:
        pair = Pair(WebSocket)
        pair.to_client.room = len(text('one'))
        pair.server.send('one')
        pair.server.send('two')
        self.assertEqual(pair.to_client.frames, [WireFrame(1, b'one')])
        pair.deliver()
        self.assertEqual(pair.client.messages, ['one', 'two'])

    def test_two_that_do_not_stop(self) -> None:
        class Echoing(RecordingClient):
            def received_message(self, message: Any) -> None:
                self.send(message.data)

        pair = Pair(EchoWebSocket, Echoing)
        pair.client.send('ping')
        with self.assertRaisesRegex(RuntimeError, 'still talking after 100 rounds'):
            pair.deliver(rounds=100)

    def test_a_client_of_the_users_own(self) -> None:
        received: list[bytes] = []

        class Mine(WebSocketClient):
            def received_message(self, message: Any) -> None:
                received.append(message.data)

        pair = Pair(EchoWebSocket, Mine)
        pair.client.send('hello')
        pair.deliver()
        self.assertEqual(received, [b'hello'])
        pair.client.close()
        pair.deliver()
        self.assertEqual(pair.client.close_code, 1000)

    def test_the_face_of_its_sockets(self) -> None:
        pair = Pair(WebSocket)
        sock = pair.client.sock
        self.assertEqual((sock.fileno(), sock.gettimeout()), (-1, 0))
        sock.settimeout(3)
        sock.sendall(b'x')
        self.assertEqual(pair.to_server.data, b'x')
        sock.shutdown(socket.SHUT_RD)
        self.assertEqual(sock.send(b'y'), 1)
        sock.shutdown(socket.SHUT_WR)
        for send in (sock.send, sock.sendall):
            with self.assertRaises(BrokenPipeError):
                send(b'z')
        with self.assertRaises(BlockingIOError):
            sock.recv(1)


class Talker(WebSocketClient):
    received: list[Any]

    def received_message(self, message: Any) -> None:
        self.received.append(message.data)


class Serving(unittest.TestCase):
    def test_each_backend_serves_and_ends(self) -> None:
        for backend in ('wsgiref', 'asyncio'):
            received: list[Any] = []
            with self.subTest(backend=backend):
                with serve(Recorder, backend, protocols=['chat']) as server:
                    self.assertEqual(server.url, f'ws://127.0.0.1:{server.port}/')
                    client = Talker(server.url, protocols=['chat'])
                    client.received = received
                    client.connect()
                    self.assertEqual(client.protocols, [b'chat'])
                    (connection,) = until(lambda: server.connections)
                    connection.send('welcome')
                    client.send('hello')
                    until(lambda calls=connection.calls, received=received: calls[1:] and received)
                self.assertEqual(
                    (connection.calls[1:], received),
                    ([('message', b'hello'), ('closed', 1001, mock.ANY)], [b'welcome']),
                )
                client.run_forever()
                with self.assertRaises(OSError):
                    socket.create_connection(('127.0.0.1', server.port))

    @needs_certificates
    def test_tls(self) -> None:
        for backend in ('wsgiref', 'asyncio'):
            with self.subTest(backend=backend):
                with serve(EchoWebSocket, backend, ssl_context=server_context()) as server:
                    self.assertEqual(server.url, f'wss://localhost:{server.port}/')
                    client = WebSocketBaseClient(server.url, ssl_options={'ssl_context': client_context()})
                    client.connect()
                    client.terminate()

    def test_the_end_comes_when_the_test_fails_too(self) -> None:
        for backend in ('wsgiref', 'asyncio'):
            with self.subTest(backend=backend):
                with self.assertRaises(ZeroDivisionError):
                    with serve(EchoWebSocket, backend) as server:
                        raise ZeroDivisionError
                with self.assertRaises(OSError):
                    socket.create_connection(('127.0.0.1', server.port))

    def test_no_such_backend(self) -> None:
        with self.assertRaisesRegex(ValueError, "'twisted' is no backend"):
            with serve(EchoWebSocket, 'twisted'):
                pass

    def test_until(self) -> None:
        answers = iter([0, '', 'yes'])
        self.assertEqual(until(lambda: next(answers)), 'yes')
        with self.assertRaisesRegex(AssertionError, 'not true within 0.01 s'):
            until(lambda: False, timeout=0.01)


def test_the_fixture(serve: Any) -> None:
    servers = [serve(EchoWebSocket), serve(EchoWebSocket, 'asyncio', protocols=['chat'])]
    assert servers[0].port != servers[1].port
    for server in servers:
        client = WebSocketClient(server.url, protocols=['chat'])
        client.connect()
        assert client.protocols == ([] if server is servers[0] else [b'chat'])


if __name__ == '__main__':
    unittest.main()
