"""Keepalive on a clock that the test moves, and the heartbeat thread; on real connections in test_websocket."""

from __future__ import annotations

import threading
import unittest
from typing import Any, Callable, Optional
from unittest import mock

from helpers import TIMEOUT, wait_for

from ws4py.keepalive import HEARTBEAT, PINGS, Heartbeat, Keepalive
from ws4py.limits import Limits
from ws4py.messaging import PongControlMessage
from ws4py.testing import Clock


class Connection:
    """A connection that notes what its timers ask of it."""

    def __init__(self, **limits: Any) -> None:
        self.limits = Limits(**limits)
        self.asked: list[tuple[Any, ...]] = []
        self.pings_go_out = True
        self.payloads: list[bytes] = []
        self.latency: Optional[float] = None
        self.crowded = False

    def try_heartbeat(self) -> bool:
        self.asked.append(('heartbeat',))
        return True

    def try_ping(self, payload: bytes) -> bool:
        self.asked.append(('ping', self.pings_go_out))
        if self.pings_go_out:
            self.payloads.append(payload)
        return self.pings_go_out

    def try_close(self, code: int, reason: str) -> None:
        self.asked.append(('close', code, reason))

    def abort(self, code: int, reason: str) -> None:
        self.asked.append(('abort', code, reason))

    def send(self, payload: PongControlMessage) -> None:
        self.asked.append(('send', payload.opcode, payload.data))


class OnAClock(unittest.TestCase):
    def setUp(self) -> None:
        self.clock = Clock(500.0)

    def keep(self, heartbeat: Optional[float] = None, **limits: Any) -> tuple[Connection, Keepalive]:
        connection = Connection(**limits)
        return connection, Keepalive(connection, self.clock.call_later, heartbeat, self.clock.time)

    def test_nothing_asked_for_sets_no_timer(self) -> None:
        connection, keepalive = self.keep()
        self.assertIsNone(self.clock.run_due())
        keepalive.stop()
        keepalive.stop()
        self.assertEqual(connection.asked, [])

    def test_heartbeats_go_out_until_it_is_stopped(self) -> None:
        connection, keepalive = self.keep(heartbeat=2)
        self.clock.advance(7)
        self.assertEqual(connection.asked, [('heartbeat',)] * 3)
        keepalive.stop()
        self.clock.advance(10)
        self.assertEqual(len(connection.asked), 3)
        self.assertIsNone(self.clock.run_due())

    def test_latency(self) -> None:
        connection, keepalive = self.keep(ping_interval=5)
        self.clock.advance(5)
        keepalive.pong(HEARTBEAT)
        keepalive.pong(b'')
        self.assertIsNone(connection.latency, 'nobody answered')
        self.clock.advance(0.25)
        keepalive.pong(connection.payloads[0])
        self.assertEqual(connection.latency, 0.25)
        self.clock.advance(1)
        keepalive.pong(connection.payloads[0])
        self.assertEqual(connection.latency, 0.25, 'that was no answer')

    def test_one_answer_for_several_pings(self) -> None:
        connection, keepalive = self.keep(ping_interval=5, ping_timeout=None)
        self.clock.advance(15)
        self.assertEqual(len(set(connection.payloads)), 3)
        keepalive.pong(connection.payloads[1])
        self.assertEqual(connection.latency, 5)
        keepalive.pong(connection.payloads[0])
        self.assertEqual(connection.latency, 5, 'it was answered with the second one')
        keepalive.pong(connection.payloads[2])
        self.assertEqual(connection.latency, 0)

    def test_of_pings_without_an_answer_only_some_are_remembered(self) -> None:
        connection, keepalive = self.keep(ping_interval=1, ping_timeout=None)
        self.clock.advance(PINGS + 1)
        keepalive.pong(connection.payloads[0])
        self.assertIsNone(connection.latency)
        keepalive.pong(connection.payloads[1])
        self.assertEqual(connection.latency, PINGS - 1)

    def test_a_peer_that_answers_pings_is_left_alone(self) -> None:
        connection, keepalive = self.keep(ping_interval=5, ping_timeout=3)
        for _ in range(20):
            self.clock.advance(1)
            keepalive.touch()
        self.assertEqual(connection.asked, [('ping', True)] * 4)

    def test_one_that_does_not_is_dropped(self) -> None:
        connection, _ = self.keep(ping_interval=5, ping_timeout=3)
        self.clock.advance(8)
        self.assertEqual(connection.asked, [('ping', True), ('abort', 1011, 'no answer to a ping within 3 s')])

    def test_a_timeout_longer_than_the_interval_counts_from_the_oldest_ping(self) -> None:
        connection, _ = self.keep(ping_interval=2, ping_timeout=5)
        self.clock.advance(7)
        self.assertEqual(connection.asked[-1], ('abort', 1011, 'no answer to a ping within 5 s'))
        self.assertEqual(connection.asked[:-1], [('ping', True)] * 3)

    def test_pings_without_a_timeout_ask_for_nothing(self) -> None:
        connection, _ = self.keep(ping_interval=2, ping_timeout=None)
        self.clock.advance(10)
        self.assertEqual(connection.asked, [('ping', True)] * 5)

    def test_a_ping_that_another_sender_kept_waiting_counts_from_when_it_goes_out(self) -> None:
        connection, _ = self.keep(ping_interval=10, ping_timeout=3)
        connection.pings_go_out = False
        self.clock.advance(11)
        connection.pings_go_out = True
        self.clock.advance(2)  # 13: the timeout of the ping that never went out
        self.assertEqual(connection.asked, [('ping', False), ('ping', True)])
        self.clock.advance(3)
        self.assertEqual(connection.asked[-1], ('abort', 1011, 'no answer to a ping within 3 s'))

    def test_a_connection_that_stays_stuck_is_dropped(self) -> None:
        connection, _ = self.keep(ping_interval=10, ping_timeout=3)
        connection.pings_go_out = False
        self.clock.advance(13)
        self.assertEqual(connection.asked[:2], [('ping', False)] * 2)
        self.assertEqual(connection.asked[2][0], 'abort')

    def test_nothing_is_expected_of_a_peer_that_is_not_read(self) -> None:
        connection, _ = self.keep(ping_interval=5, ping_timeout=3, idle_timeout=10)
        connection.crowded = True
        self.clock.advance(30)
        self.assertEqual({call[0] for call in connection.asked}, {'ping'})
        connection.crowded = False
        self.clock.advance(12)
        self.assertIn(('abort', 1011, 'no answer to a ping within 3 s'), connection.asked)

    def test_a_pong_that_is_faster_than_the_call_which_sends_the_ping(self) -> None:
        connection, keepalive = self.keep(ping_interval=5)

        def try_ping(payload: bytes) -> bool:
            keepalive.pong(payload)  # as the thread that reads would
            return True

        connection.try_ping = try_ping  # type: ignore[method-assign]
        self.clock.advance(5)
        self.assertEqual((connection.latency, keepalive._pings), (0, {}))

    def test_a_ping_that_did_not_go_out_is_not_remembered(self) -> None:
        connection, keepalive = self.keep(ping_interval=5)
        connection.pings_go_out = False
        self.clock.advance(5)
        self.assertEqual(keepalive._pings, {})

    def test_a_peer_that_takes_what_waits_for_it_is_there(self) -> None:
        connection, keepalive = self.keep(ping_interval=5, ping_timeout=3, idle_timeout=20)
        for _ in range(19):
            self.clock.advance(1)
            keepalive.took(unread=False)
        self.assertEqual({call[0] for call in connection.asked}, {'ping'})
        self.assertNotIn(('close', 1001, 'nothing received for 20 s'), connection.asked)
        self.clock.advance(1)
        self.assertIn(('close', 1001, 'nothing received for 20 s'), connection.asked)
        self.clock.advance(3)
        self.assertEqual(connection.asked[-1], ('abort', 1011, 'no answer to a ping within 3 s'))

    def test_nor_is_it_idle_while_it_is_not_read(self) -> None:
        connection, keepalive = self.keep(idle_timeout=10)
        for _ in range(19):
            self.clock.advance(1)
            keepalive.took(unread=True)
        self.assertEqual(connection.asked, [])
        self.clock.advance(10)
        self.assertEqual(connection.asked, [('close', 1001, 'nothing received for 10 s')])

    def test_idle_means_without_a_byte(self) -> None:
        connection, keepalive = self.keep(idle_timeout=10)
        self.clock.advance(8)
        keepalive.touch()
        self.clock.advance(9)
        self.assertEqual(connection.asked, [])
        self.clock.advance(1)
        self.assertEqual(connection.asked, [('close', 1001, 'nothing received for 10 s')])

    def test_stopped_while_a_timer_is_being_set(self) -> None:
        connection = Connection()
        keepalive: list[Keepalive] = []

        def call_later(delay: float, callback: Callable[[], None]) -> Any:
            if keepalive:
                keepalive[0].stop()  # as another thread would
            return self.clock.call_later(delay, callback)

        keepalive.append(Keepalive(connection, call_later, 1))
        self.clock.advance(5)
        self.assertEqual(connection.asked, [('heartbeat',)])
        self.assertIsNone(self.clock.run_due())

    def test_a_timer_that_was_under_way_when_it_stopped_sets_no_other(self) -> None:
        set_timers: list[Callable[[], None]] = []

        def call_later(delay: float, callback: Callable[[], None]) -> Any:
            set_timers.append(callback)
            return mock.Mock()

        keepalive = Keepalive(Connection(), call_later, 1)
        keepalive.stop()
        set_timers[0]()
        self.assertEqual(len(set_timers), 1)


class HeartbeatThread(unittest.TestCase):
    def test_it_sends_pongs_until_the_block_is_left(self) -> None:
        connection = Connection()
        with Heartbeat(connection, frequency=0.005) as heartbeat:
            self.assertTrue(heartbeat.daemon)
            wait_for(lambda: len(connection.asked) >= 3)
        heartbeat.join(TIMEOUT)
        self.assertFalse(heartbeat.is_alive())
        self.assertEqual(set(connection.asked), {('send', 0xA, HEARTBEAT)})

    def test_it_stops_at_once(self) -> None:
        with Heartbeat(Connection(), frequency=3600) as heartbeat:
            self.assertTrue(heartbeat.is_alive())
        heartbeat.join(TIMEOUT)
        self.assertFalse(heartbeat.is_alive())

    def test_without_a_frequency_there_is_no_thread(self) -> None:
        for frequency in (0, None, 0.0):
            with Heartbeat(Connection(), frequency=frequency) as heartbeat:
                self.assertFalse(heartbeat.is_alive())

    def test_two_seconds_are_the_default(self) -> None:
        self.assertEqual(Heartbeat(Connection()).frequency, 2.0)

    def test_it_ends_with_the_connection(self) -> None:
        connection = mock.MagicMock()
        connection.send.side_effect = RuntimeError('closed')
        with Heartbeat(connection, frequency=0.001) as heartbeat:
            heartbeat.join(TIMEOUT)
            self.assertFalse(heartbeat.is_alive())
        self.assertEqual(connection.send.call_count, 1)
        connection.abort.assert_not_called()

    def test_a_broken_connection_is_dropped(self) -> None:
        connection = mock.MagicMock()
        connection.send.side_effect = BrokenPipeError()
        with self.assertLogs('ws4py', 'INFO') as caught:
            with Heartbeat(connection, frequency=0.001) as heartbeat:
                heartbeat.join(TIMEOUT)
        self.assertFalse(heartbeat.is_alive())
        connection.abort.assert_called_once_with(1006, 'the heartbeat failed')
        self.assertIn('BrokenPipeError', caught.output[0])

    def test_it_is_a_thread(self) -> None:
        self.assertIsInstance(Heartbeat(Connection()), threading.Thread)


if __name__ == '__main__':
    unittest.main()
