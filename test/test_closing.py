"""Closing on real sockets: the handshake from both ends, failures, and that a connection ends whatever happens."""

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
    Case,
    Client,
    Peer,
    Recorder,
    RecordingDriver,
    frame,
    limited,
    logs,
    running,
    wait_for,
)

from ws4py.limits import Limits
from ws4py.state import State
from ws4py.streaming import Stream

TEXT, BINARY, CLOSE, PING, PONG = 0x81, 0x82, 0x88, 0x89, 0x8A


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
        self.assertTrue(websocket.closed_by_us)

    def test_it_is_known_who_has_closed(self) -> None:
        websocket, peer = self.pair()
        self.assertFalse(websocket.closed_by_us)
        websocket.close(1001)
        self.assertTrue(websocket.closed_by_us)
        peer.close(1001)
        self.assertFalse(websocket.once())
        websocket.terminate()
        self.assertTrue(websocket.closed_by_us)

    def test_the_peer_or_an_error_is_not_the_application(self) -> None:
        def by_the_peer(websocket: Any, peer: Peer) -> None:
            peer.close(1001)
            websocket.once()
            websocket.close()

        def by_an_error(websocket: Any, peer: Peer) -> None:
            peer.sock.sendall(b'\xff\xff')
            websocket.once()

        ends: Any = (
            by_the_peer,
            by_an_error,
            lambda websocket, peer: websocket.try_close(1001, 'idle'),
            lambda websocket, peer: websocket.abort(1001, 'no answer'),
            lambda websocket, peer: websocket.terminate(),
        )
        for end in ends:
            websocket, peer = self.pair()
            end(websocket, peer)
            self.assertIsNot(websocket.state, State.OPEN)
            self.assertFalse(websocket.closed_by_us, end)

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

    def test_aborting(self) -> None:
        with running() as (websocket, _):
            websocket.abort(1006, 'because')
            websocket.abort(1011, 'another reason')
            self.assertTrue(websocket.over.wait(TIMEOUT))
            websocket.abort(1006, 'too late')
        self.assertEqual(websocket.named('closed'), [('closed', 1006, 'because')])

    def test_one_whose_socket_is_full_is_dropped(self) -> None:
        with running(limited(idle_timeout=0.03)) as (websocket, _):
            failed = self.stuck(websocket)
            self.assertTrue(websocket.over.wait(TIMEOUT))
            self.assertTrue(failed.wait(TIMEOUT))
        self.assertEqual(websocket.close_code, 1001)

    def test_a_full_socket_that_nobody_writes_to(self) -> None:
        websocket, _ = self.pair()
        Peer(websocket.sock).fill()
        self.assertFalse(websocket.try_ping(b''))
        self.assertFalse(websocket.try_heartbeat())

    def test_an_idle_peer_is_closed_in_the_orderly_way(self) -> None:
        with running(limited(idle_timeout=0.03)) as (websocket, peer):
            self.assertEqual(peer.receive(), (CLOSE, b'\x03\xe9nothing received for 0.03 s'))
            peer.close(1001)
            self.assertTrue(peer.at_end())
        self.assertEqual(websocket.named('closed'), [('closed', 1001, 'nothing received for 0.03 s')])

    def test_idle_after_our_close_changes_nothing_of_why(self) -> None:
        websocket, peer = self.pair()
        websocket.close(4000)
        websocket.try_close(1001, 'idle')
        self.assertFalse(websocket.try_ping(b''))
        peer.close(4000)
        self.assertFalse(websocket.once())
        websocket.terminate()
        self.assertEqual(websocket.named('closed'), [('closed', 4000, b'')])
        self.assertFalse(websocket.try_ping(b''))

    def test_a_driver_is_asked_to_drop_it(self) -> None:
        websocket, peer = self.pair()
        driver = RecordingDriver()
        websocket.attach(driver, True)
        websocket.abort(1011, 'enough')
        self.assertEqual(driver.dropped, [websocket])
        self.assertEqual(peer.receive(), (CLOSE, b'\x03\xf3enough'))
        websocket.terminate()
        self.assertEqual(websocket.named('closed'), [('closed', 1011, 'enough')])

    def test_a_socket_is_closed_once(self) -> None:
        websocket, peer = self.pair()
        websocket.close_connection()
        websocket.close_connection()
        self.assertIsNone(websocket.sock)
        self.assertTrue(peer.at_end())


class Ending(Case):
    def test_from_many_threads_closed_is_called_once(self) -> None:
        with running() as (websocket, _):
            threads = [threading.Thread(target=websocket.terminate) for _ in range(8)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(TIMEOUT)
        self.assertEqual(len(websocket.named('closed')), 1)

    def test_before_it_is_driven(self) -> None:
        websocket, _ = self.pair()
        sock = mock.Mock(wraps=websocket.sock)
        sock.settimeout.side_effect = lambda timeout: (websocket.terminate(), websocket.sock.settimeout(timeout))
        websocket.sock = sock
        websocket.run()
        self.assertEqual(websocket.calls, [('closed', 1006, 'Going away')])

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

    def test_closed_may_be_a_coroutine(self) -> None:
        class Async(Recorder):
            async def closed(self, code: int, reason: Any = None) -> None:
                self.calls.append(('closed', code, self.environ))

        websocket, _ = self.pair(Async, environ={})
        driver = RecordingDriver()
        websocket.attach(driver, True)
        websocket.terminate()
        ((coroutine, done),) = driver.coroutines
        with self.assertRaises(StopIteration):
            coroutine.send(None)
        self.assertEqual(websocket.calls, [('closed', 1006, {})])  # environ and socket are still there
        self.assertIsNotNone(websocket.sock)
        done()
        self.assertIsNone(websocket.sock)
        self.assertIs(websocket.state, State.CLOSED)

    def test_but_not_without_a_loop(self) -> None:
        class Async(Recorder):
            async def closed(self, code: int, reason: Any = None) -> None:
                """Never awaited."""

        websocket, _ = self.pair(Async)
        with logs() as records:
            websocket.terminate()
        self.assertIn('coroutine function', str([record.exc_info for record in records if record.exc_info]))
        self.assertIsNone(websocket.sock)

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
            def receiver(self) -> Any:
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


class Counted(Case):
    def test_who_counts_connections_is_told_once_when_all_is_over(self) -> None:
        told = []
        websocket, _ = self.pair()
        websocket._release = lambda: told.append((websocket.state, websocket.sock, websocket.named('closed')))
        websocket.terminate()
        websocket.terminate()
        self.assertEqual(told, [(State.CLOSED, None, [('closed', 1006, 'Going away')])])


if __name__ == '__main__':
    unittest.main()
