"""When to connect again, with a clock and a chance that do as they are told."""

from __future__ import annotations

import math
import ssl
import unittest
from email.utils import formatdate
from typing import Any, Optional

from ws4py import closecode
from ws4py.backoff import Attempt, Attempts, Backoff, is_worthwhile, parse_retry_after
from ws4py.exc import BrokenOffError, HandshakeError, HTTPError

NOW = 784111777.0  # Sun, 06 Nov 1994 08:49:37 GMT, the date of RFC 9110


def refusal(status: Optional[int], retry_after: Optional[str] = None) -> HandshakeError:
    error = HandshakeError(f'the server answered {status}')
    error.response_status = status
    error.retry_after = retry_after
    return error


class Clock:
    def __init__(self) -> None:
        self.time = 1000.0

    def __call__(self) -> float:
        return self.time


class Delays(unittest.TestCase):
    def delays(self, chance: float, count: int = 5, **options: Any) -> list[float]:
        backoff = Backoff(random=lambda: chance, **options)
        return [backoff.delay(number) for number in range(1, count + 1)]

    def test_they_grow_up_to_the_maximum(self) -> None:
        self.assertEqual(self.delays(0.0, 8), [1, 2, 4, 8, 16, 32, 60, 60])
        self.assertEqual(self.delays(0.0, initial=0.5, factor=3, maximum=10), [0.5, 1.5, 4.5, 10, 10])
        self.assertEqual(self.delays(0.0, factor=1, maximum=1), [1] * 5)

    def test_a_part_is_left_to_chance(self) -> None:
        self.assertEqual(self.delays(0.5, 3), [0.75, 1.5, 3])
        self.assertEqual(self.delays(0.75, 3, jitter=1), [0.25, 0.5, 1])
        self.assertEqual(self.delays(0.75, 3, jitter=0), [1, 2, 4])

    def test_no_number_is_too_large(self) -> None:
        self.assertEqual(Backoff(jitter=0).delay(10**6), 60)

    def test_chance_is_there_by_default(self) -> None:
        found = {Backoff().delay(1) for _ in range(20)}
        self.assertGreater(len(found), 1)
        self.assertTrue(all(0.5 < delay <= 1 for delay in found), found)

    def test_what_the_server_asks_for_comes_on_top(self) -> None:
        backoff = Backoff(jitter=0, retry_after=30)
        self.assertEqual([backoff.delay(2, asked) for asked in (0.0, 7.5, 30, 31, math.inf)], [2, 9.5, 32, 32, 32])

    def test_numbers_that_make_no_sense(self) -> None:
        for options in (
            {'initial': 0},
            {'initial': math.nan},
            {'initial': math.inf, 'maximum': math.inf},
            {'factor': 0.9},
            {'factor': math.inf},
            {'maximum': 0.5},
            {'maximum': math.inf},
            {'jitter': -0.1},
            {'jitter': 1.1},
            {'attempts': -1},
            {'stable': -1},
            {'retry_after': -1},
            {'retry_after': math.inf},
        ):
            name = next(iter(options))
            with self.subTest(options=options), self.assertRaisesRegex(ValueError, f'^{name} is .* \\(expected '):
                Backoff(**options)


class Counting(unittest.TestCase):
    def setUp(self) -> None:
        self.clock = Clock()

    def attempts(self, **options: Any) -> Attempts:
        return Attempts(Backoff(jitter=0, **options), self.clock, lambda: NOW)

    def test_the_first_one_is_made_at_once(self) -> None:
        attempt = self.attempts().first()
        self.assertEqual(attempt, Attempt(0, 0.0))
        self.assertTrue(attempt.worthwhile)
        self.assertEqual(attempt.cause, 'not connected yet')

    def test_failures_in_a_row(self) -> None:
        attempts, error = self.attempts(), ConnectionRefusedError(111, 'refused')
        found = [attempts.failed(error) for _ in range(3)]
        self.assertEqual(found, [Attempt(number, 2.0 ** (number - 1), error) for number in (1, 2, 3)])
        self.assertEqual(found[0].cause, '[Errno 111] refused')

    def test_an_error_without_words(self) -> None:
        self.assertEqual(self.attempts().failed(TimeoutError()).cause, 'TimeoutError')

    def test_so_many_and_no_more(self) -> None:
        attempts = self.attempts(attempts=2)
        self.assertEqual([attempts.failed(OSError()).worthwhile for _ in range(3)], [True, True, False])
        self.assertFalse(self.attempts(attempts=0).failed(OSError()).worthwhile)

    def test_a_connection_that_was_open_for_long(self) -> None:
        attempts = self.attempts(stable=10)
        attempts.failed(OSError())
        attempts.opened()
        self.clock.time += 10
        attempt = attempts.ended(1006, 'Going away')
        self.assertEqual(attempt, Attempt(1, 1.0, None, 1006, 'Going away'))
        self.assertEqual(attempt.cause, "closed with code 1006 ('Going away')")

    def test_a_peer_that_paints(self) -> None:
        attempt = self.attempts().ended(1001, b'\x1b[2J\n')
        self.assertEqual((attempt.reason, attempt.cause), ('\x1b[2J\n', r"closed with code 1001 ('\x1b[2J\n')"))

    def test_one_that_was_dropped_at_once(self) -> None:
        attempts = self.attempts(stable=10)
        found = []
        for _ in range(4):
            attempts.opened()
            self.clock.time += 9.9
            found.append(attempts.ended(1001, b''))
        self.assertEqual([(attempt.number, attempt.delay) for attempt in found], [(1, 1), (2, 2), (3, 4), (4, 8)])
        self.assertEqual(found[0].cause, 'closed with code 1001')

    def test_a_reason_is_text(self) -> None:
        for reason, text in ((b'caf\xc3\xa9', 'café'), ('café', 'café'), (None, ''), (b'\xff', '\ufffd')):
            self.assertEqual(self.attempts().ended(1001, reason).reason, text)

    def test_no_code_is_an_abnormal_end(self) -> None:
        self.assertEqual(self.attempts().ended(None, None), Attempt(1, 1.0, None, 1006))

    def test_an_end_for_good(self) -> None:
        attempt = self.attempts().ended(1008, 'no')
        self.assertEqual((attempt.number, attempt.worthwhile), (1, False))
        self.assertFalse(self.attempts().failed(refusal(401)).worthwhile)

    def test_the_server_has_asked_for_time(self) -> None:
        for value, delay in (('7', 8), ('0', 1), (formatdate(NOW + 20, usegmt=True), 21), ('9' * 5000, 301), ('?', 1)):
            self.assertEqual(self.attempts().failed(refusal(503, value)).delay, delay, value)
        self.assertEqual(self.attempts().failed(refusal(503)).delay, 1)

    def test_the_clocks_of_the_system(self) -> None:
        attempts = Attempts(Backoff(stable=1000, jitter=0))
        attempts.opened()
        self.assertEqual(attempts.ended(1006, '').number, 1)
        self.assertEqual(attempts.ended(1006, '').number, 2)


class Worth(unittest.TestCase):
    def test_close_codes(self) -> None:
        worth = {1001, 1005, 1006, 1011, 1012, 1013, 1014}
        for code in (*range(1000, 1016), 3000, 4000, 4999):
            self.assertEqual(is_worthwhile(code), code in worth, code)
        self.assertFalse(is_worthwhile(closecode.NORMAL_CLOSURE))

    def test_answers(self) -> None:
        for status in (500, 502, 503, 504, 599, 408, 425, 429):
            self.assertTrue(is_worthwhile(refusal(status)), status)
        for status in (200, 301, 400, 401, 403, 404, 407, 426, 451, 600):
            self.assertFalse(is_worthwhile(refusal(status)), status)
        self.assertTrue(is_worthwhile(BrokenOffError('without a word')))
        for error in (HandshakeError('another key'), HTTPError(400, 'no status line'), HTTPError(505, 'HTTP/3')):
            self.assertFalse(is_worthwhile(error), error)

    def test_errors(self) -> None:
        for error in (ConnectionRefusedError(), ConnectionResetError(), TimeoutError(), FileNotFoundError(), OSError()):
            self.assertTrue(is_worthwhile(error), error)
        self.assertTrue(is_worthwhile(ssl.SSLEOFError()))
        for other in (ssl.SSLCertVerificationError(), ValueError(), TypeError(), RuntimeError(), AttributeError()):
            self.assertFalse(is_worthwhile(other), other)


class RetryAfter(unittest.TestCase):
    def test_seconds(self) -> None:
        self.assertEqual([parse_retry_after(value, NOW) for value in ('0', '120', '007')], [0, 120, 7])
        self.assertEqual(parse_retry_after('9' * 8000, NOW), math.inf)

    def test_the_three_dates_of_http(self) -> None:
        for date in (
            'Sun, 06 Nov 1994 08:49:37 GMT',
            'Sunday, 06-Nov-94 08:49:37 GMT',
            'Sun Nov  6 08:49:37 1994',
        ):
            self.assertEqual(parse_retry_after(date, NOW - 30), 30, date)
            self.assertEqual(parse_retry_after(date, NOW + 30), 0, date)

    def test_what_is_neither(self) -> None:
        for value in (
            '', '-1', '1.5', '1e3', '٣', 'soon', 'Sun, 06 Nov', '0', 'Fri, 31 Dec 99999 23:59:59 GMT',
            f'Mon, 1 Jan 2024 10:00:00 -{"9" * 4000}', f'Mon, 1 Jan {"9" * 5000} 10:00:00 GMT',
        ):  # fmt: skip
            with self.subTest(value=value[:40]):
                self.assertIn(parse_retry_after(value, NOW), (None, 0.0))


if __name__ == '__main__':
    unittest.main()
