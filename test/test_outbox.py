"""The outbox on real sockets: what does not fit waits, small pieces leave together, nothing is lost or turned round."""

from __future__ import annotations

import random
import socket
import threading
import unittest
from typing import Any

from helpers import TIMEOUT, needs_certificates, tls_pair, wait_for

from ws4py.outbox import BLOCK, Outbox


class Counted:
    """A socket that notes the size of every send."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.sizes: list[int] = []

    def send(self, data: Any) -> int:
        sent = self.sock.send(data)
        self.sizes.append(len(data))
        return sent


class Case(unittest.TestCase):
    def setUp(self) -> None:
        ours, self.peer = socket.socketpair()
        self.addCleanup(self.peer.close)
        self.addCleanup(ours.close)
        ours.setblocking(False)
        self.peer.settimeout(TIMEOUT)
        self.ours = ours
        self.counted = Counted(ours)
        self.outbox = Outbox(self.counted)  # type: ignore[arg-type]

    def read(self, size: int) -> bytes:
        data = b''
        while len(data) < size:
            block = self.peer.recv(min(65536, size - len(data)))
            if not block:
                break
            data += block
        return data

    def block(self) -> None:
        """Fill the socket."""
        while not self.outbox.blocked:
            self.outbox.write(bytes(BLOCK))


class Writing(Case):
    def test_what_fits_leaves_at_once(self) -> None:
        self.outbox.write(b'one')
        self.assertEqual(self.read(3), b'one')
        self.assertEqual((self.outbox.size, self.outbox.sent, self.outbox.blocked), (0, 3, False))

    def test_what_does_not_fit_waits_and_keeps_its_order(self) -> None:
        chance = random.Random(7692)
        sizes = [chance.choice((1, 100, 5_000, 200_000)) for _ in range(60)]
        pieces = [chance.randbytes(size) for size in sizes]
        for piece in pieces:
            self.outbox.write(piece)
        expected = b''.join(pieces)
        self.assertTrue(self.outbox.blocked)
        self.assertEqual(self.outbox.size + self.outbox.sent, len(expected))
        received = bytearray()

        def reader() -> None:
            received.extend(self.read(len(expected)))

        thread = threading.Thread(target=reader)
        thread.start()

        def drained() -> bool:
            self.outbox.flush()
            return self.outbox.size == 0

        wait_for(drained)
        thread.join(TIMEOUT)
        self.assertEqual(bytes(received), expected)
        self.assertFalse(self.outbox.blocked)
        self.assertEqual(self.outbox.sent, len(expected))

    def test_a_blocked_socket_is_not_asked_for_every_frame(self) -> None:
        self.block()
        asked = len(self.counted.sizes)
        for _ in range(100):
            self.outbox.write(b'small')
        self.assertEqual(len(self.counted.sizes), asked)
        self.outbox.flush()  # it was said that there is room, and there is none
        self.assertTrue(self.outbox.blocked)

    def test_what_waits_can_be_taken(self) -> None:
        self.block()
        waiting = self.outbox.size
        self.outbox.write(b'last')
        taken = self.outbox.take()
        self.assertEqual((len(taken), taken[-4:], self.outbox.size, self.outbox.take()), (waiting + 4, b'last', 0, b''))

    def test_small_ones_are_joined_and_large_ones_go_as_they_are(self) -> None:
        self.outbox.cork()
        for _ in range(10):
            self.outbox.write(b'0123456789')
        self.outbox.write(bytes(3 * BLOCK))
        self.outbox.write(b'last')
        self.assertEqual(self.counted.sizes[:2], [100, 3 * BLOCK])
        received = threading.Thread(target=self.read, args=(100 + 3 * BLOCK + 4,))
        received.start()
        self.outbox.uncork()
        wait_for(lambda: self.outbox.flush() or self.outbox.size == 0)
        received.join(TIMEOUT)
        self.assertEqual(self.outbox.sent, 100 + 3 * BLOCK + 4)

    def test_a_broken_connection_raises(self) -> None:
        self.peer.close()
        with self.assertRaises(OSError):
            self.outbox.write(b'nobody')


class Corked(Case):
    def test_frames_leave_in_one_send(self) -> None:
        self.outbox.cork()
        for _ in range(50):
            self.outbox.write(b'answer')
        self.assertEqual(self.counted.sizes, [])
        self.assertEqual(self.outbox.size, 300)
        self.outbox.uncork()
        self.assertEqual(self.counted.sizes, [300])
        self.assertEqual(self.read(300), b'answer' * 50)

    def test_a_cork_holds_back_one_block_at_most(self) -> None:
        self.outbox.cork()
        self.outbox.write(bytes(BLOCK - 1))
        self.assertEqual(self.counted.sizes, [])
        self.outbox.write(b'!')
        self.assertEqual(self.counted.sizes, [BLOCK])
        self.outbox.uncork()
        self.assertEqual(self.counted.sizes, [BLOCK])

    def test_uncorking_a_blocked_one_asks_nobody(self) -> None:
        self.outbox.cork()
        self.block()
        asked = len(self.counted.sizes)
        self.outbox.write(b'later')
        self.outbox.uncork()
        self.assertEqual(len(self.counted.sizes), asked)


@needs_certificates
class OverTLS(unittest.TestCase):
    def test_the_lock_is_held_and_nothing_is_lost(self) -> None:
        ours, peer = tls_pair()
        self.addCleanup(ours.close)
        self.addCleanup(peer.close)
        ours.setblocking(False)
        lock = threading.Lock()
        outbox = Outbox(ours, lock)
        expected = random.Random(1).getrandbits(8 * 2_000_000).to_bytes(2_000_000, 'big')
        for start in range(0, len(expected), 30_011):
            outbox.write(expected[start : start + 30_011])
        self.assertTrue(outbox.blocked)
        received = bytearray()

        def reader() -> None:
            while len(received) < len(expected):
                received.extend(peer.recv(65536))

        thread = threading.Thread(target=reader)
        thread.start()
        wait_for(lambda: outbox.flush() or outbox.size == 0)
        thread.join(TIMEOUT)
        self.assertEqual(bytes(received), expected)
        self.assertFalse(lock.locked())


if __name__ == '__main__':
    unittest.main()
