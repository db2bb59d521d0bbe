from __future__ import annotations

import dataclasses
import socket
import time
import unittest

from ws4py.exc import HTTPError
from ws4py.limits import DEFAULT_LIMITS
from ws4py.opening import Deadline, read_head

HEAD = b'GET / HTTP/1.1\r\nHost: example\r\n\r\n'


class DeadlineTest(unittest.TestCase):
    def setUp(self) -> None:
        self.sock = socket.socket()
        self.addCleanup(self.sock.close)

    def test_gives_each_call_what_is_left(self) -> None:
        deadline = Deadline(60)
        deadline.apply(self.sock)
        first = self.sock.gettimeout()
        deadline.apply(self.sock)
        second = self.sock.gettimeout()
        assert first is not None and second is not None
        self.assertLess(second, first)
        self.assertLess(59, second)
        self.assertLessEqual(first, 60)

    def test_never(self) -> None:
        self.sock.settimeout(5)
        Deadline(None).apply(self.sock)
        self.assertIsNone(self.sock.gettimeout())

    def test_passed(self) -> None:
        # settimeout(0) would make the socket non-blocking instead
        with self.assertRaisesRegex(TimeoutError, '^not done within 0 s$'):
            Deadline(0).apply(self.sock)


class ReadHeadTest(unittest.TestCase):
    def setUp(self) -> None:
        self.near, self.far = socket.socketpair()
        self.addCleanup(self.near.close)
        self.addCleanup(self.far.close)

    def read(self, seconds: float = 10) -> tuple[bytes, bytes]:
        return read_head(self.near, DEFAULT_LIMITS, Deadline(seconds))

    def test_head_and_what_is_behind_it(self) -> None:
        self.far.sendall(HEAD + b'\x81\x00')
        self.assertEqual(self.read(), (HEAD, b'\x81\x00'))

    def test_closed(self) -> None:
        for data, text in ((b'', 'without a word'), (HEAD[:9], 'in the middle of a head')):
            with self.subTest(data=data):
                near, far = socket.socketpair()
                far.sendall(data)
                far.close()
                with near, self.assertRaisesRegex(EOFError, text):
                    read_head(near, DEFAULT_LIMITS, Deadline(10))

    def test_too_long(self) -> None:
        limits = dataclasses.replace(DEFAULT_LIMITS, head_size=10)
        self.far.sendall(HEAD)
        with self.assertRaises(HTTPError):
            read_head(self.near, limits, Deadline(10))

    def test_late(self) -> None:
        begin = time.monotonic()
        self.far.sendall(b'GET')
        with self.assertRaises(OSError):
            self.read(seconds=0.05)
        self.assertLess(time.monotonic() - begin, 5)


if __name__ == '__main__':
    unittest.main()
