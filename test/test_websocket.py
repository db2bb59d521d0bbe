"""The life of a connection on real sockets: opening, closing, timeouts, and that it ends whatever happens."""

from __future__ import annotations

import gc
import socket
import sys
import threading
import unittest
import warnings
import weakref
from typing import Any
from unittest import mock

from helpers import (
    TIMEOUT,
    Peer,
    Recorder,
    RecordingDriver,
    frame,
    logs,
    needs_certificates,
    running,
    tls_pair,
    wait_for,
)

from ws4py import blocking, timers
from ws4py.framing import OPCODE_TEXT
from ws4py.limits import Limits
from ws4py.messaging import BinaryMessage, CloseControlMessage, PongControlMessage
from ws4py.state import State
from ws4py.streaming import Stream
from ws4py.websocket import EchoWebSocket, Heartbeat, WebSocket

TEXT, BINARY, CLOSE, PING, PONG = 0x81, 0x82, 0x88, 0x89, 0x8A


class Client(Recorder):
    """The client's end."""

    _is_client = True


def limited(base: type[Recorder] = Recorder, **limits: Any) -> type[Recorder]:
    return type('Limited', (base,), {'limits': Limits(**limits)})


class Case(unittest.TestCase):
    def pair(self, make: Any = Recorder, **options: Any) -> tuple[Any, Peer]:
        """A connection that nobody drives, and its peer."""
        ours, theirs = socket.socketpair()
        self.addCleanup(theirs.close)
        self.addCleanup(ours.close)
        return make(ours, **options), Peer(theirs)


class Attributes(Case):
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

    def test_flags_follow_the_state_and_may_be_set(self) -> None:
        for made, ours, theirs in (
            (Recorder, 'server_terminated', 'client_terminated'),
            (Client, 'client_terminated', 'server_terminated'),
        ):
            websocket, _ = self.pair(made)
            for state, expected in [
                (State.OPEN, (False, False)),
                (State.CLOSE_SENT, (True, False)),
                (State.CLOSE_RECEIVED, (False, True)),
                (State.CLOSE_EXCHANGED, (True, True)),
                (State.CLOSED, (True, True)),
            ]:
                websocket.state = state
                self.assertEqual((getattr(websocket, ours), getattr(websocket, theirs)), expected)
            setattr(websocket, ours, True)
            self.assertIs(websocket.state, State.CLOSED)
            setattr(websocket, theirs, False)
            self.assertIs(websocket.state, State.CLOSE_SENT)
            setattr(websocket, theirs, True)
            self.assertTrue(websocket.terminated)
            setattr(websocket, ours, False)
            setattr(websocket, theirs, False)
            self.assertIs(websocket.state, State.OPEN)

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
        for error, level in ((BrokenPipeError('gone'), 'INFO'), (OSError('strange'), 'ERROR')):
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


class Closing(Case):
    def test_one_close_goes_out(self) -> None:
        with running() as (websocket, peer):
            websocket.close(4000, 'first')
            websocket.close(4001, 'second')
            with self.assertRaisesRegex(RuntimeError, 'close sent'):
                websocket.send('late')
            with self.assertRaises(RuntimeError):
                websocket.ping(b'late')
            peer.close(4000)
            self.assertEqual(peer.receive_all(), [(CLOSE, b'\x0f\xa0first')])

    def test_codes_that_may_not_be_sent_go_out_as_1000(self) -> None:
        for code in (1005, 1006, 1015, 0, 999, 1004, 1016, 2999, 5000, -1, 70_000):
            websocket, peer = self.pair()
            with self.subTest(code=code), self.assertLogs('ws4py', 'WARNING') as caught:
                websocket.close(code, 'why')
            self.assertIn(str(code), caught.output[0])
            self.assertEqual(peer.receive(), (CLOSE, b'\x03\xe8why'))

    def test_the_reason_is_cut_at_a_character(self) -> None:
        for reason in ('é' * 100, ('é' * 100).encode(), bytearray(('é' * 100).encode())):
            websocket, peer = self.pair()
            websocket.close(reason=reason)
            self.assertEqual(peer.receive(), (CLOSE, b'\x03\xe8' + 'é'.encode() * 61))

    def test_a_close_that_cannot_be_sent_is_logged(self) -> None:
        websocket, peer = self.pair()
        peer.sock.close()
        with self.assertLogs('ws4py', 'INFO') as caught:
            websocket.close()
        self.assertIn('could not be sent', caught.output[0])
        self.assertIs(websocket.state, State.CLOSE_SENT)

    def test_nor_by_a_write_of_the_applications_own(self) -> None:
        class Own(Recorder):
            def _write(self, data: bytes) -> None:
                raise LookupError('own')

        websocket, _ = self.pair(Own)
        with self.assertLogs('ws4py', 'INFO') as caught:
            websocket.close()
        self.assertIn('LookupError: own', caught.output[0])
        self.assertTrue(websocket.server_terminated)

    def test_a_close_that_makes_no_sense_changes_nothing(self) -> None:
        websocket, peer = self.pair()
        driver = RecordingDriver()
        websocket.attach(driver, True)
        for code, reason, error in ((1000, object(), TypeError), (1000, '\ud800', ValueError), ('1000', '', TypeError)):
            with self.subTest(code=code, reason=reason), self.assertRaises(error):
                websocket.close(code, reason)
        self.assertEqual((websocket.state, driver.timers), (State.OPEN, []))
        websocket.close(1000, 'well')
        self.assertEqual(peer.receive(), (CLOSE, b'\x03\xe8well'))

    def test_two_threads_close_at_once(self) -> None:
        websocket, peer = self.pair()
        driver = RecordingDriver()
        websocket.attach(driver, True)
        with websocket._lock:
            other = threading.Thread(target=websocket.close, args=(1001,))
            other.start()
            wait_for(lambda: driver.timers)  # it was open when the other one looked
            websocket.close(1000)
        other.join(TIMEOUT)
        peer.sock.setblocking(False)
        self.assertEqual(peer.receive(), (CLOSE, b'\x03\xe8'))
        with self.assertRaises(BlockingIOError):
            peer.receive()

    def test_before_the_handshake_there_is_nobody_to_tell(self) -> None:
        websocket, peer = self.pair()
        websocket.state = State.CONNECTING
        websocket.close()
        self.assertIsNone(websocket.sock)
        self.assertTrue(peer.at_end())

    def test_closed_in_opened(self) -> None:
        class Refusing(Recorder):
            def opened(self) -> None:
                super().opened()
                self.close(1008, 'not you')

        with running(Refusing) as (websocket, peer):
            self.assertEqual(peer.receive(), (CLOSE, b'\x03\xf0not you'))
            peer.close(1008)
            self.assertTrue(peer.at_end())
        self.assertEqual(websocket.calls, [('opened',), ('closed', 1008, b'')])

    def test_the_server_ends_tcp_and_the_client_waits_for_that(self) -> None:
        with running(Client, masked=False) as (websocket, peer):
            websocket.close(1000)
            self.assertEqual(peer.receive(), (CLOSE, b'\x03\xe8'))
            peer.close(1000)
            wait_for(lambda: websocket.state is State.CLOSE_EXCHANGED)
            peer.sock.settimeout(0.05)
            with self.assertRaises(OSError):
                peer.sock.recv(1)
            self.assertFalse(websocket.over.is_set())
            peer.sock.close()
            self.assertTrue(websocket.over.wait(TIMEOUT))
        self.assertEqual(websocket.named('closed'), [('closed', 1000, b'')])

    def test_a_server_that_does_not_is_dropped(self) -> None:
        with running(limited(Client, close_timeout=0.05), masked=False) as (websocket, peer):
            peer.close(4000)
            self.assertEqual(peer.receive(), (CLOSE, b'\x0f\xa0'))
            self.assertTrue(peer.at_end())
        self.assertEqual(websocket.named('closed'), [('closed', 4000, b'')])

    def test_a_peer_that_never_answers_is_dropped(self) -> None:
        for fault in (False, True):
            with self.subTest(fault=fault), running(limited(close_timeout=0.05)) as (websocket, peer):
                if fault:
                    peer.sock.sendall(b'\xff\xff')
                else:
                    websocket.close(4000)
                self.assertEqual(peer.receive()[0], CLOSE)
                self.assertTrue(websocket.over.wait(TIMEOUT))
            self.assertEqual(websocket.named('closed')[0][1], 1002 if fault else 1006)

    def test_an_empty_one_is_answered_by_an_empty_one(self) -> None:
        with running() as (websocket, peer):
            peer.close(None)
            self.assertEqual(peer.receive_all(), [(CLOSE, b'')])
        self.assertEqual(websocket.named('closed'), [('closed', 1005, b'')])

    def test_hooks_that_raise_at_both_ends(self) -> None:
        class Raising(Recorder):
            def opened(self) -> None:
                raise LookupError('in opened')

            def closed(self, code: int, reason: Any = None) -> None:
                super().closed(code, reason)
                raise LookupError('in closed')

        with self.assertLogs('ws4py', 'ERROR') as caught, running(Raising) as (websocket, peer):
            self.assertEqual(peer.receive_all(), [(CLOSE, b'\x03\xf3')])
            peer.text('discarded')
            peer.sock.close()
            wait_for(lambda: websocket.state is State.CLOSED)
        self.assertEqual(websocket.calls, [('closed', 1011, '')])
        self.assertIn('LookupError: in opened', caught.output[0])
        self.assertIn('LookupError: in closed', caught.output[1])

    def test_closed_before_it_runs(self) -> None:
        websocket, _ = self.pair(limited(close_timeout=0.05))
        websocket.close()
        websocket.run()
        self.assertEqual(websocket.named('closed'), [('closed', 1006, 'Going away')])

    def test_a_sender_that_is_stuck_keeps_no_close_waiting(self) -> None:
        """The peer has stopped reading; ours, or its, Close must still end the connection in time."""
        for name in ('ours', 'theirs'):
            with self.subTest(name), logs(), running(limited(close_timeout=0.05)) as (websocket, peer):
                failed = self.stuck(websocket)
                if name == 'ours':
                    websocket.close()
                else:
                    peer.close(4000)
                self.assertTrue(websocket.over.wait(TIMEOUT))
                self.assertTrue(failed.wait(TIMEOUT))

    def test_nor_one_that_waits_for_its_turn_behind_it(self) -> None:
        with logs(), running(limited(close_timeout=0.05)) as (websocket, _):
            websocket._condition()  # somebody has waited before
            failed = self.stuck(websocket)
            websocket.close()
            self.assertTrue(websocket.over.wait(TIMEOUT))
            self.assertTrue(failed.wait(TIMEOUT))

    def test_nor_the_end_of_the_connection(self) -> None:
        with running() as (websocket, peer):
            failed = self.stuck(websocket)
            peer.sock.shutdown(socket.SHUT_WR)
            self.assertTrue(websocket.over.wait(TIMEOUT))
            self.assertTrue(failed.wait(TIMEOUT))
        self.assertEqual(websocket.named('closed'), [('closed', 1006, 'Going away')])

    def stuck(self, websocket: Any) -> threading.Event:
        """Let a thread send more than fits, to a peer that does not read."""
        failed = threading.Event()

        def send() -> None:
            try:
                websocket.send(bytes(10_000_000), True)
            except OSError:
                failed.set()

        threading.Thread(target=send, daemon=True).start()
        wait_for(lambda: not blocking.has_room(websocket.sock))
        return failed


class Ending(Case):
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

    def test_from_many_threads_closed_is_called_once(self) -> None:
        with running() as (websocket, _):
            threads = [threading.Thread(target=websocket.terminate) for _ in range(8)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(TIMEOUT)
        self.assertEqual(len(websocket.named('closed')), 1)

    def test_a_socket_that_was_closed_behind_its_back(self) -> None:
        websocket, _ = self.pair()
        websocket.sock.close()
        with self.assertRaises(OSError):
            websocket.run()
        self.assertEqual(websocket.named('closed'), [('closed', 1006, 'Going away')])
        websocket, _ = self.pair()
        websocket.close_connection()
        with self.assertRaises(RuntimeError):
            websocket._write(b'x')

    def test_a_socket_that_cannot_be_closed(self) -> None:
        for error in (OSError, RuntimeError, AttributeError):
            sock = mock.Mock()
            sock.shutdown.side_effect = sock.close.side_effect = error
            websocket = Recorder(sock)
            websocket.terminate()
            sock.shutdown.assert_called_once_with(socket.SHUT_RDWR)
            sock.close.assert_called_once_with()
            self.assertIsNone(websocket.sock)

    def test_closed_may_begin_again(self) -> None:
        second, peer = socket.socketpair()
        self.addCleanup(second.close)
        self.addCleanup(peer.close)
        peer.settimeout(TIMEOUT)

        class Again(limited(close_timeout=0.05, ping_interval=60)):  # type: ignore[misc]
            def closed(self, code: int, reason: Any = None) -> None:
                if self.sock is not second:
                    self.close_connection()
                    Recorder.__init__(self, second)

        driver = RecordingDriver()
        websocket, first = self.pair(Again)
        websocket.attach(driver, True)
        websocket.close()
        self.assertEqual(len(driver.timers), 2)
        websocket.terminate()
        self.assertEqual(driver.timers, [], 'a timer of the first connection would end the second one')
        self.assertTrue(first.receive() and first.at_end())
        websocket.send('second')
        self.assertEqual(Peer(peer).receive(), (TEXT, b'second'))
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

    def test_a_sender_that_waits_for_room_writes_nothing_behind_a_frame_that_was_cut(self) -> None:
        ending = threading.Event()

        class Slow(Recorder):
            limits = Limits(write_high_water=1024)

            def closed(self, code: int, reason: Any = None) -> None:
                ending.wait(TIMEOUT)

        websocket, _ = self.pair(Slow)
        websocket.attach(RecordingDriver(in_loop=False), True)
        websocket.send(bytes(1_000_000), True)
        errors: list[Exception] = []

        def send() -> None:
            try:
                websocket.send('behind')
            except Exception as error:
                errors.append(error)

        sender = threading.Thread(target=send)
        sender.start()
        wait_for(lambda: websocket._changed is not None and websocket._changed._waiters)
        end = threading.Thread(target=websocket.terminate)
        end.start()
        sender.join(TIMEOUT)
        ending.set()
        end.join(TIMEOUT)
        self.assertEqual([type(error).__name__ for error in errors], ['NotOpenError'])

    def test_a_message_in_progress_goes_without_the_garbage_collector(self) -> None:
        websocket, _ = self.pair()
        websocket.process(frame(BINARY & 0x0F, bytes(1000), masked=True)[:500])
        reference = weakref.ref(websocket.stream)
        gc.disable()
        try:
            websocket.terminate()
            if sys.implementation.name == 'cpython':
                self.assertIsNone(reference())
        finally:
            gc.enable()

    def test_a_foreign_thread_ends_it_while_a_frame_is_parsed(self) -> None:
        websocket, _ = self.pair()

        class Busy(Stream):
            def _frames(self) -> Any:
                yield 2
                websocket.terminate()
                yield 2

        websocket.stream = Busy()
        self.assertTrue(websocket.process(b'\x81'))
        self.assertIsNone(websocket.stream)

    def test_a_stream_of_another_kind(self) -> None:
        websocket, _ = self.pair()
        websocket.stream = mock.Mock(closing=None, spec=['closing'])
        websocket.terminate()
        self.assertIsNone(websocket.stream)
        self.assertEqual(websocket.close_code, 1006)

    def test_nothing_is_left_behind(self) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter('error')
            with running(limited(ping_interval=60, idle_timeout=60)) as (websocket, peer):
                websocket.send('x')
                peer.close()
                peer.receive_all()
                self.assertTrue(websocket.over.wait(TIMEOUT))
                peer.sock.close()
            reference = weakref.ref(websocket)
            del websocket

            def gone() -> bool:
                gc.collect()
                return reference() is None

            wait_for(gone)

    def test_a_reader_that_is_interrupted_still_ends_it(self) -> None:
        websocket, _ = self.pair()
        with mock.patch.object(websocket, 'once', side_effect=KeyboardInterrupt):
            with self.assertRaises(KeyboardInterrupt):
                websocket.run()
        self.assertEqual(len(websocket.named('closed')), 1)


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
        self.assertEqual(frames[0], (PING, b''))
        self.assertEqual((frames[-1][0], frames[-1][1][:2]), (CLOSE, b'\x03\xf3'))
        self.assertEqual(websocket.named('closed'), [('closed', 1011, 'no answer to a ping within 0.05 s')])

    def test_a_silent_peer_under_a_sender_that_is_stuck(self) -> None:
        with running(limited(ping_interval=0.02, ping_timeout=0.05)) as (websocket, _):
            failed = Closing.stuck(self, websocket)  # type: ignore[arg-type]
            self.assertTrue(websocket.over.wait(TIMEOUT))
            self.assertTrue(failed.wait(TIMEOUT))
        self.assertEqual(websocket.close_code, 1011)

    def test_an_idle_peer_is_closed_in_the_orderly_way(self) -> None:
        with running(limited(idle_timeout=0.03)) as (websocket, peer):
            self.assertEqual(peer.receive(), (CLOSE, b'\x03\xe9nothing received for 0.03 s'))
            peer.close(1001)
            self.assertTrue(peer.at_end())
        self.assertEqual(websocket.named('closed'), [('closed', 1001, 'nothing received for 0.03 s')])

    def test_one_whose_socket_is_full_is_dropped(self) -> None:
        with running(limited(idle_timeout=0.03)) as (websocket, _):
            failed = Closing.stuck(self, websocket)  # type: ignore[arg-type]
            self.assertTrue(websocket.over.wait(TIMEOUT))
            self.assertTrue(failed.wait(TIMEOUT))
        self.assertEqual(websocket.close_code, 1001)

    def test_a_full_socket_that_nobody_writes_to(self) -> None:
        websocket, _ = self.pair()
        Peer(websocket.sock).fill()
        self.assertFalse(websocket.try_ping())
        self.assertFalse(websocket.try_heartbeat())

    def test_idle_after_our_close_changes_nothing_of_why(self) -> None:
        websocket, peer = self.pair()
        websocket.close(4000)
        websocket.try_close(1001, 'idle')
        self.assertFalse(websocket.try_ping())
        peer.close(4000)
        self.assertFalse(websocket.once())
        websocket.terminate()
        self.assertEqual(websocket.named('closed'), [('closed', 4000, b'')])
        self.assertFalse(websocket.try_ping())

    def test_aborting(self) -> None:
        with running() as (websocket, _):
            websocket.abort(1006, 'because')
            websocket.abort(1011, 'another reason')
            self.assertTrue(websocket.over.wait(TIMEOUT))
            websocket.abort(1006, 'too late')
        self.assertEqual(websocket.named('closed'), [('closed', 1006, 'because')])

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
        self.assertEqual([peer.receive() for _ in range(2)], [(PONG, b'beep'), (PING, b'')])
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

    def test_it_lingers_while_there_is_something_to_wait_for(self) -> None:
        websocket, peer = self.pair()
        self.assertFalse(websocket.lingers)  # nobody drives it
        websocket.attach(RecordingDriver(), True)
        self.assertFalse(websocket.lingers)
        while not websocket._outbox.blocked:
            websocket.send(bytes(16_384), True)
        self.assertTrue(websocket.lingers)
        peer.sock.close()
        self.assertFalse(websocket.flush())
        websocket.terminate()
        self.assertFalse(websocket.lingers)

    def test_a_failed_one_lingers_half_closed(self) -> None:
        websocket, peer = self.pair()
        websocket.attach(RecordingDriver(), True)
        websocket._fail(1011)
        self.assertTrue(websocket.lingers)
        self.assertTrue(websocket.lingers)
        self.assertEqual(peer.receive_all(), [(CLOSE, b'\x03\xf3')])
        websocket._fail(1002)
        self.assertEqual(websocket._failure, (1011, ''))
        websocket, peer = self.pair()
        websocket.attach(RecordingDriver(), True)
        websocket._fail(1011)
        websocket.sock.close()
        self.assertFalse(websocket.lingers)

    def test_one_that_is_dropped_while_a_loop_is_writing(self) -> None:
        """terminate() of a queued connection waits for the moment that a writer needs, and cuts nothing."""
        websocket, peer = self.pair()
        websocket.attach(RecordingDriver(), True)
        websocket._lock.acquire()
        thread = threading.Thread(target=websocket.terminate)
        thread.start()
        wait_for(lambda: websocket._ended)
        websocket._write(b'\x81\x01x')
        websocket._lock.release()
        thread.join(TIMEOUT)
        self.assertEqual(peer.receive_all(), [(TEXT, b'x')])

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
