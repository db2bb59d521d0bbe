"""A connection on real sockets: what it is, what it sends, timeouts, who drives it, and TLS."""

from __future__ import annotations

import socket
import ssl
import threading
import unittest
from typing import Any
from unittest import mock

from helpers import (
    TIMEOUT,
    Case,
    Peer,
    Recorder,
    RecordingDriver,
    limited,
    needs_certificates,
    running,
    tls_pair,
    wait_for,
)

from ws4py import timers
from ws4py.framing import OPCODE_TEXT
from ws4py.limits import Limits
from ws4py.messaging import BinaryMessage, CloseControlMessage, PongControlMessage
from ws4py.permessage_deflate import Deflate, PerMessageDeflate
from ws4py.state import State
from ws4py.websocket import START, EchoWebSocket, Heartbeat, WebSocket

TEXT, BINARY, CLOSE, PING, PONG = 0x81, 0x82, 0x88, 0x89, 0x8A


class Attributes(Case):
    def test_extensions_go_to_the_stream_while_there_is_one(self) -> None:
        websocket, _ = self.pair()
        codec = Deflate(PerMessageDeflate(), 12, False, 12, False)
        websocket.use_extensions([codec])
        self.assertEqual(websocket.stream.codecs, (codec,))
        websocket.terminate()
        websocket.use_extensions([])
        self.assertIsNone(websocket.stream)

    def test_a_socket_that_is_none(self) -> None:
        websocket, _ = self.pair()
        websocket.sock.close()
        with self.assertRaises(OSError):
            websocket.run()
        websocket.run()  # it has ended, which is all there is to it

    def test_what_cannot_be_sent_at_once(self) -> None:
        websocket, peer = self.pair()
        codec = Deflate(PerMessageDeflate(threshold=0), 12, False, 12, False)
        websocket.use_extensions([codec])
        for payload, binary, first in (('text', False, 0xC1), (b'text', False, 0xC1), (b'data', True, 0xC2)):
            websocket.send(payload, binary)
            self.assertEqual(peer.receive()[0], first)
        websocket.stream = mock.Mock(wraps=websocket.stream, always_mask=False)  # which may do it in its own way
        websocket.use_extensions([])
        websocket.send('text')
        self.assertEqual(peer.receive(), (0x81, b'text'))
        websocket.stream.text_message.assert_called_once_with('text')

    def test_as_constructed(self) -> None:
        environ = {'REMOTE_USER': 'me'}
        ours, theirs = socket.socketpair()
        self.addCleanup(theirs.close)
        self.addCleanup(ours.close)
        websocket = WebSocket(ours, ['chat'], ['x'], environ, 5)
        self.assertEqual((websocket.protocols, websocket.extensions, websocket.heartbeat_freq), (['chat'], ['x'], 5))
        self.assertIs(websocket.environ, environ)
        self.assertIs(websocket.sock, ours)
        self.assertIs(websocket.connection, ours)
        self.assertIs(websocket.state, State.OPEN)
        self.assertEqual((websocket.buf, websocket.sock_timeout, websocket.close_code), (b'', None, None))
        self.assertFalse(websocket.terminated or websocket._is_secure)
        self.assertEqual(len({websocket, websocket}), 1)
        assert websocket.stream is not None
        self.assertEqual((websocket.stream.always_mask, websocket.stream.expect_masking), (False, True))

    def test_addresses(self) -> None:
        for family, host in ((socket.AF_INET, '127.0.0.1'), (socket.AF_INET6, '::1')):
            with socket.socket(family) as server:
                try:
                    server.bind((host, 0))
                except OSError:  # no IPv6 here
                    continue
                server.listen(1)
                ours = socket.create_connection(server.getsockname()[:2])
                theirs, _ = server.accept()
                websocket = WebSocket(ours)
                expected = (ours.getsockname()[:2], server.getsockname()[:2])
                self.assertEqual((websocket.local_address, websocket.peer_address), expected)
                theirs.close()
                websocket.terminate()
                self.assertEqual((websocket.local_address, websocket.peer_address), expected)
        websocket, _ = self.pair()
        self.assertEqual(websocket.peer_address, '')
        websocket.terminate()
        self.assertIsNone(websocket._local_address)
        self.assertIsNone(websocket.local_address)

    def test_the_client_behind_a_proxy(self) -> None:
        websocket, _ = self.pair(environ={'ws4py.peer_address': ('192.0.2.1', 0)})
        self.assertEqual((websocket.peer_address, websocket.local_address), (('192.0.2.1', 0), ''))

    def test_an_echo_is_of_the_same_kind(self) -> None:
        with running(EchoWebSocket) as (_, peer):
            peer.text('é')
            peer.binary(b'\xff')
            self.assertEqual([peer.receive() for _ in range(2)], [(TEXT, b'\xc3\xa9'), (BINARY, b'\xff')])

    def test_a_message_stays_valid_after_the_hook(self) -> None:
        kept = []

        class Keeping(WebSocket):
            def received_message(self, message: Any) -> None:
                kept.append(message)

        with running(Keeping) as (_, peer):
            peer.send(OPCODE_TEXT, b'one ', fin=False)
            peer.send(0, b'two')
            peer.text('three')
            wait_for(lambda: len(kept) == 2)
        self.assertEqual([message.data for message in kept], [b'one two', b'three'])

    def test_everything_that_can_be_sent(self) -> None:
        websocket, peer = self.pair()
        for payload in ('a', b'a', ['a'], BinaryMessage(b'a'), PongControlMessage(b'a')):
            websocket.send(payload)
        websocket.send(CloseControlMessage(4000, 'a'))
        firsts = [peer.receive()[0] for _ in range(6)]
        self.assertEqual(firsts, [TEXT, TEXT, TEXT, BINARY, PONG, CLOSE])
        for payload in (1, {}):
            with self.assertRaises(ValueError):
                websocket.send(payload)
        for late in ('late', b'late', bytearray(b'late')):
            with self.assertRaisesRegex(RuntimeError, 'not open: close sent'):
                websocket.send(late)
        websocket.terminate()
        for call in (websocket.send, websocket.ping):
            with self.assertRaises(RuntimeError):
                call('late')

    def test_a_ping_that_is_too_long(self) -> None:
        websocket, peer = self.pair()
        with self.assertRaisesRegex(ValueError, 'at most 125 bytes, not 126'):
            websocket.ping(bytes(126))
        websocket.ping('é')
        self.assertEqual(peer.receive(), (PING, b'\xc3\xa9'))

    def test_what_broke_the_connection_is_logged(self) -> None:
        websocket, _ = self.pair(WebSocket)
        for error, level in (
            (BrokenPipeError('gone'), 'INFO'),
            (ssl.SSLEOFError('gone'), 'INFO'),
            (OSError('strange'), 'ERROR'),
        ):
            with self.assertLogs('ws4py', 'INFO') as caught:
                websocket.unhandled_error(error)
            self.assertEqual(caught.records[0].levelname, level)
            self.assertIn(str(error), caught.output[0])

    def test_the_hooks_do_nothing_by_themselves(self) -> None:
        with running(WebSocket) as (websocket, peer):
            peer.text('x')
            peer.pong(b'x')
            peer.close()
            self.assertEqual(peer.receive()[0], CLOSE)
            wait_for(lambda: websocket.state is State.CLOSED)
        self.assertEqual((websocket.close_code, websocket.close_reason), (1000, b''))


class Timeouts(Case):
    def test_pings_that_are_answered(self) -> None:
        with running(limited(ping_interval=0.01, ping_timeout=TIMEOUT)) as (websocket, peer):
            for _ in range(3):
                first, payload = peer.receive()
                self.assertEqual(first, PING)
                peer.pong(payload)
            wait_for(lambda: len(websocket.named('pong')) == 3)
            self.assertFalse(websocket.over.is_set())

    def test_a_silent_peer(self) -> None:
        with running(limited(ping_interval=0.02, ping_timeout=0.05)) as (websocket, peer):
            self.assertTrue(websocket.over.wait(TIMEOUT))
            frames = peer.receive_all()
        self.assertEqual((frames[0][0], len(frames[0][1])), (PING, 8))
        self.assertEqual((frames[-1][0], frames[-1][1][:2]), (CLOSE, b'\x03\xf3'))
        self.assertEqual(websocket.named('closed'), [('closed', 1011, 'no answer to a ping within 0.05 s')])

    def test_a_silent_peer_under_a_sender_that_is_stuck(self) -> None:
        with running(limited(ping_interval=0.02, ping_timeout=0.05)) as (websocket, _):
            failed = self.stuck(websocket)
            self.assertTrue(websocket.over.wait(TIMEOUT))
            self.assertTrue(failed.wait(TIMEOUT))
        self.assertEqual(websocket.close_code, 1011)

    def test_the_socket_timeout(self) -> None:
        class Impatient(Recorder):
            sock_timeout = 0.02

        with running(Impatient) as (websocket, _):
            self.assertTrue(websocket.over.wait(TIMEOUT))
        self.assertEqual(websocket.named('error'), [('error', socket.timeout)])

    def test_heartbeats(self) -> None:
        with running(lambda sock: Recorder(sock, heartbeat_freq=0.01)) as (_, peer):
            self.assertEqual([peer.receive() for _ in range(3)], [(PONG, b'beep')] * 3)
        self.assertTrue(issubclass(Heartbeat, threading.Thread))

    def test_timers_are_shared(self) -> None:
        before = set(threading.enumerate())
        with running(limited(ping_interval=60)), running(limited(ping_interval=60)):
            names = [thread.name for thread in set(threading.enumerate()) - before]
        self.assertLessEqual(names.count('ws4py timers'), 1)
        self.assertIsInstance(timers.shared, timers.TimerThread)


class Driven(Case):
    def test_timers_are_those_of_the_driver(self) -> None:
        websocket, peer = self.pair(limited(ping_interval=5, close_timeout=3), heartbeat_freq=2)
        driver = RecordingDriver()
        websocket.attach(driver, True)
        self.assertEqual(sorted(delay for delay, _ in driver.timers), [2, 5])
        for _, callback in sorted(driver.timers, key=lambda timer: timer[0]):
            callback()
        self.assertEqual(peer.receive(), (PONG, b'beep'))
        first, payload = peer.receive()
        self.assertEqual((first, len(payload)), (PING, 8))
        self.assertIsNone(websocket.latency)
        peer.pong(payload)
        websocket.once()
        self.assertGreater(websocket.latency, 0)
        websocket.close()
        self.assertIn(3, [delay for delay, _ in driver.timers])
        next(callback for delay, callback in driver.timers if delay == 3)()
        self.assertEqual(driver.dropped, [websocket])
        websocket.terminate()
        self.assertEqual(driver.forgotten, [websocket])

    def test_closed_before_it_is_attached(self) -> None:
        websocket, _ = self.pair(limited(close_timeout=3))
        websocket.close()
        driver = RecordingDriver()
        websocket.attach(driver, True)
        self.assertEqual([delay for delay, _ in driver.timers], [3])

    def test_driven_only_while_a_close_waits_for_a_sender(self) -> None:
        websocket, peer = self.pair(limited(close_timeout=3))
        closing = threading.Thread(target=websocket.close, daemon=True)
        driver = RecordingDriver()
        with websocket._lock:  # as a sender holds it whose peer reads nothing
            closing.start()
            wait_for(lambda: websocket._closing)
            websocket.attach(driver, True)
            self.assertEqual([delay for delay, _ in driver.timers], [3])
        self.assertEqual(peer.receive()[0], CLOSE)
        closing.join(TIMEOUT)
        self.assertFalse(closing.is_alive())

    def test_a_large_payload_is_not_copied_into_its_frame(self) -> None:
        class Overridden(Recorder):
            def _write(self, data: Any) -> None:
                sizes.append(len(data))
                super()._write(data)

        payload = bytes(range(256)) * 2048
        for cls in (Recorder, Overridden):
            sizes: list[int] = []
            websocket, peer = self.pair(cls)
            websocket.attach(RecordingDriver(), True)
            websocket.sock = websocket._outbox.sock = mock.MagicMock(wraps=websocket.sock)
            receiving = [threading.Thread(target=lambda: received.append(peer.receive()), daemon=True)]  # noqa: B023
            received: list[Any] = []
            receiving[0].start()
            websocket.send(payload, True)
            wait_for(lambda: websocket.flush() and received)  # noqa: B023
            self.assertEqual(received, [(BINARY, payload)])
            offered = websocket.sock.send.mock_calls[0].args[0]
            self.assertEqual(len(offered), 10 + len(payload) if cls is Overridden else 10 + START)
            self.assertEqual(sizes, [10 + len(payload)] if cls is Overridden else [])  # a frame is one piece there

    def test_without_a_queue_writes_block(self) -> None:
        websocket, peer = self.pair()
        websocket.attach(RecordingDriver(), False)
        self.assertIsNone(websocket.sock.gettimeout())
        websocket.send('x')
        self.assertEqual(peer.receive(), (TEXT, b'x'))

    def test_limits_that_were_replaced_before_it_is_driven(self) -> None:
        websocket, _ = self.pair()
        websocket.limits = Limits(message_size=5)
        websocket.attach(RecordingDriver(), True)
        self.assertEqual(websocket.stream.limits.message_size, 5)
        websocket, _ = self.pair()
        websocket.stream = None  # as a test of an application may leave it
        websocket.attach(RecordingDriver(), True)
        self.assertFalse(websocket.once())

    def test_a_heartbeat_that_is_no_number(self) -> None:
        websocket, _ = self.pair(heartbeat_freq=mock.MagicMock())
        driver = RecordingDriver()
        websocket.attach(driver, True)
        self.assertEqual(driver.timers, [])

    def test_what_is_detached_blocks_again_and_loses_nothing(self) -> None:
        websocket, peer = self.pair()
        driver = RecordingDriver()
        websocket.attach(driver, True)
        for _ in range(30):
            websocket.send(BinaryMessage(bytes(16_384)))
        self.assertTrue(websocket._outbox.blocked)
        frames: list[Any] = []
        reader = threading.Thread(target=lambda: frames.extend(peer.receive() for _ in range(31)))
        reader.start()
        websocket.detach()
        websocket.send('by itself')
        reader.join(TIMEOUT)
        self.assertEqual(frames, [(BINARY, bytes(16_384))] * 30 + [(TEXT, b'by itself')])
        self.assertEqual(driver.forgotten, [websocket])

    def test_detaching_from_a_peer_that_is_gone(self) -> None:
        websocket, peer = self.pair()
        websocket.attach(RecordingDriver(), True)
        for _ in range(30):
            websocket.send(BinaryMessage(bytes(16_384)))
        peer.sock.close()
        with self.assertLogs('ws4py', 'INFO'):
            websocket.detach()

    @needs_certificates
    def test_tls_without_a_queue(self) -> None:
        ours, theirs = tls_pair()
        self.addCleanup(theirs.close)
        websocket, driver = Recorder(ours), RecordingDriver()
        websocket.attach(driver, False)
        self.assertTrue(websocket._is_secure)
        self.assertEqual(ours.gettimeout(), 0)
        peer = Peer(theirs)
        self.assertTrue(websocket.once())
        peer.text('x')
        websocket.send('y')
        self.assertEqual(peer.receive(), (TEXT, b'y'))
        websocket.abort(1006, 'enough')
        self.assertEqual(driver.dropped, [websocket])
        self.assertTrue(peer.at_end())
        websocket.terminate()

    @needs_certificates
    def test_tls_with_one(self) -> None:
        ours, theirs = tls_pair()
        self.addCleanup(theirs.close)
        websocket = Recorder(ours)
        websocket.attach(RecordingDriver(), True)
        peer = Peer(theirs)
        websocket.send('y')
        self.assertEqual(peer.receive(), (TEXT, b'y'))
        websocket.terminate()

    def test_a_hook_may_begin_again(self) -> None:
        """Who has called ``__init__`` drives the new connection: the loop of the last one lets go of it."""
        second, peer = socket.socketpair()
        self.addCleanup(second.close)
        self.addCleanup(peer.close)

        class Again(Recorder):
            def received_message(self, message: Any) -> None:
                self.close_connection()
                Recorder.__init__(self, second)

        with running(Again) as (websocket, first):
            first.text('again')
            self.assertTrue(first.at_end())
            wait_for(lambda: websocket.sock is second)
        self.assertEqual((websocket.calls, websocket.state), ([], State.OPEN))
        websocket.terminate()

    def test_terminate_twice_and_run_afterwards(self) -> None:
        websocket, peer = self.pair(environ={'a': 1})
        seen = []
        websocket.closed = lambda code, reason: seen.append((code, reason, websocket.environ, websocket.sock is None))
        for _ in range(2):
            websocket.terminate()
        websocket.run()
        self.assertEqual(seen, [(1006, 'Going away', {'a': 1}, False)])
        self.assertTrue(websocket.client_terminated and websocket.server_terminated)
        self.assertEqual((websocket.stream, websocket.environ, websocket.sock), (None, None, None))
        self.assertEqual((websocket.close_code, websocket.close_reason), (1006, 'Going away'))
        self.assertTrue(peer.at_end())
        websocket.close()
        websocket.close_connection()

    def test_closed_before_it_runs(self) -> None:
        websocket, _ = self.pair(limited(close_timeout=0.05))
        websocket.close()
        websocket.run()
        self.assertEqual(websocket.named('closed'), [('closed', 1006, 'Going away')])

    def test_opened_raises_under_a_blocking_loop(self) -> None:
        class Raises(Recorder):
            def opened(self) -> None:
                raise LookupError('raised in opened')

        with running(Raises) as (websocket, peer):
            self.assertEqual(peer.receive(), (CLOSE, b'\x03\xf3'))
            peer.close(1011)
            peer.sock.shutdown(socket.SHUT_WR)
            self.assertTrue(websocket.over.wait(TIMEOUT))
        self.assertEqual(websocket.close_code, 1011)

    def test_nothing_is_written_after_the_end(self) -> None:
        websocket, _ = self.pair()
        websocket.terminate()
        with self.assertRaisesRegex(RuntimeError, 'a connection that has ended'):
            websocket._write(b'x')


@needs_certificates
class OverTLS(Case):
    def test_both_directions_full_and_nobody_waits_for_ever(self) -> None:
        """Two endpoints send 3 MB at each other, each from a thread of its own, while both read."""
        size, count = 300_000, 10
        ours, theirs = tls_pair()
        received: list[list[bytes]] = [[], []]

        class Keeping(WebSocket):
            def received_message(self, message: Any) -> None:
                received[self._is_client].append(message.data)

        server = Keeping(ours)
        client = type('KeepingClient', (Keeping,), {'_is_client': True})(theirs)
        runs = [threading.Thread(target=end.run, daemon=True) for end in (server, client)]

        def send(end: Any) -> None:
            for at in range(count):
                end.send(bytes([at]) * size, True)

        senders = [threading.Thread(target=send, args=(end,), daemon=True) for end in (server, client)]
        for thread in runs + senders:
            thread.start()
        for thread in senders:
            thread.join(TIMEOUT)
        wait_for(lambda: [len(messages) for messages in received] == [count, count])
        client.close()
        for thread in runs:
            thread.join(TIMEOUT)
            self.assertFalse(thread.is_alive())
        expected = [bytes([at]) * size for at in range(count)]
        self.assertTrue(received == [expected, expected])
        self.assertEqual((server.close_code, client.close_code), (1000, 1000))

    def test_one_that_is_removed_under_a_peer_that_reads_nothing_can_be_ended(self) -> None:
        ours, theirs = tls_pair()
        self.addCleanup(theirs.close)
        websocket = Recorder(ours)
        websocket.attach(RecordingDriver(), True)
        websocket.send(bytes(900_000), True)
        stuck = threading.Thread(target=websocket.detach, daemon=True)
        stuck.start()
        wait_for(lambda: websocket._outbox is None)
        ending = threading.Thread(target=websocket.terminate, daemon=True)
        ending.start()
        for thread in (ending, stuck):
            thread.join(TIMEOUT)
            self.assertFalse(thread.is_alive())

    def test_no_two_threads_ask_at_once(self) -> None:
        ours, theirs = tls_pair()
        self.addCleanup(theirs.close)
        websocket = Recorder(ours)
        websocket.attach(RecordingDriver(), True)
        asked = threading.Event()
        with websocket._tls_lock:
            asking = threading.Thread(target=lambda: websocket.holds_input or asked.set())
            asking.start()
            self.assertFalse(asked.wait(0.05))
        asking.join(TIMEOUT)
        self.assertTrue(asked.is_set())
        websocket.terminate()

    def test_nothing_goes_out_in_clear_when_it_is_dropped(self) -> None:
        ours, theirs = tls_pair()
        raw = socket.socket(fileno=theirs.detach())
        raw.settimeout(TIMEOUT)
        self.addCleanup(raw.close)
        websocket = Recorder(ours)
        writer = threading.Thread(target=lambda: self.send_until_it_fails(websocket), daemon=True)
        writer.start()
        raw.recv(65536)
        websocket._drop()
        data = b''.join(iter(lambda: raw.recv(65536), b''))
        writer.join(TIMEOUT)
        self.assertFalse(writer.is_alive())
        self.assertNotIn(b'secret' * 100, data)
        websocket.terminate()

    def send_until_it_fails(self, websocket: Any) -> None:
        try:
            while True:
                websocket.send(b'secret' * 1000)
        except (OSError, RuntimeError):
            pass


if __name__ == '__main__':
    unittest.main()
