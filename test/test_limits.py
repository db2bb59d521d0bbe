"""Limits: the defaults that applications rely on, and values that make no sense."""

from __future__ import annotations

import dataclasses
import unittest

from ws4py.limits import DEFAULT_LIMITS, Limits


class LimitsTest(unittest.TestCase):
    def test_defaults(self) -> None:
        self.assertEqual(
            dataclasses.asdict(DEFAULT_LIMITS),
            {
                'message_size': 16 * 1024 * 1024,
                'fragments': 131_072,
                'head_size': 64 * 1024,
                'headers': 128,
                'line_size': 8 * 1024,
                'connect_timeout': 10.0,
                'handshake_timeout': 10.0,
                'close_timeout': 10.0,
                'idle_timeout': None,
                'ping_interval': None,
                'ping_timeout': 20.0,
                'send_timeout': 10.0,
                'write_high_water': 1024 * 1024,
                'write_limit': 8 * 1024 * 1024,
                'slow_consumer': 'disconnect',
                'connections': None,
                'connections_per_peer': None,
            },
        )

    def test_they_are_values(self) -> None:
        self.assertEqual(Limits(), DEFAULT_LIMITS)
        self.assertEqual(hash(Limits(headers=5)), hash(Limits(headers=5)))
        self.assertNotEqual(Limits(headers=5), DEFAULT_LIMITS)

    def test_they_cannot_be_changed(self) -> None:
        with self.assertRaises(dataclasses.FrozenInstanceError):
            Limits().headers = 5  # type: ignore[misc]

    def test_some_may_be_replaced(self) -> None:
        limits = dataclasses.replace(DEFAULT_LIMITS, message_size=5, slow_consumer='drop')
        self.assertEqual((limits.message_size, limits.slow_consumer, limits.headers), (5, 'drop', 128))

    def test_an_unknown_policy(self) -> None:
        with self.assertRaisesRegex(ValueError, "'disconnect' or 'drop', not 'wait'"):
            Limits(slow_consumer='wait')

    def test_a_hard_limit_below_the_high_water_mark(self) -> None:
        self.assertEqual(Limits(write_limit=2**20).write_limit, 2**20)
        with self.assertRaisesRegex(ValueError, r'write_limit \(5\) .* write_high_water \(1048576\)'):
            Limits(write_limit=5)

    def test_a_message_of_no_frame(self) -> None:
        self.assertEqual(Limits(fragments=1).fragments, 1)
        with self.assertRaisesRegex(ValueError, 'at least one fragment, not in 0'):
            Limits(fragments=0)

    def test_a_closing_handshake_without_an_end(self) -> None:
        self.assertEqual(Limits(close_timeout=0).close_timeout, 0)
        with self.assertRaisesRegex(ValueError, 'close_timeout is a number of seconds, not None'):
            Limits(close_timeout=None)  # type: ignore[arg-type]

    def test_an_unknown_name(self) -> None:
        with self.assertRaises(TypeError):
            Limits(mesage_size=5)  # type: ignore[call-arg]


if __name__ == '__main__':
    unittest.main()
