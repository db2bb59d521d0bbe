"""One connection on a loop that the test plays: what it is told, what it is asked to wait for, and how it ends."""

from __future__ import annotations

import socket
import unittest
from typing import Any, Callable

from helpers import Client, Peer, Recorder, frame, logs, wait_for

from ws4py.driving import LoopDriver
from ws4py.framing import OPCODE_TEXT
from ws4py.limits import Limits
from ws4py.sending import Driver
from ws4py.timers import Timer
from ws4py.websocket import EchoWebSocket

TEXT, CLOSE = 0x81, 0x88
KIB = 1024


class ByHand(LoopDriver):
    """The test says when the loop comes round."""

    def __init__(self, websocket: Any) -> None:
        super().__init__(websocket)
        self.loop = True
        self.soon: list[Callable[[], object]] = []
        self.timers: list[tuple[float, Timer]] = []
        self.waits: list[tuple[bool, bool]] = []

    def call_soon(self, callback: Callable[[], object]) -> None:
        self.soon.append(callback)

    def call_later(self, delay: float, callback: Callable[[], object]) -> Any:
        timer = Timer(callback)
        self.timers.append((delay, timer))
        return timer

    def wait_for(self, read: bool, write: bool) -> None:
        self.waits.append((read, write))

    def in_loop(self) -> bool:
        return self.loop

    def come_round(self) -> None:
        soon, self.soon = self.soon, []
        for callback in soon:
            callback()


class LoopDriverTest(unittest.TestCase):
    def make(self, cls: Callable[..., Any] = Recorder, **limits: Any) -> tuple[Any, Peer, ByHand]:
        ours, theirs = socket.socketpair()
        self.addCleanup(theirs.close)
        self.addCleanup(ours.close)
        websocket = cls(ours)
        websocket.limits = Limits(**limits)
        driver = ByHand(websocket)
        driver.start()
        return websocket, Peer(theirs, masked=not websocket._is_client), driver

    def fill(self, websocket: Any, size: int) -> None:
        """Send until *size* bytes wait."""
        while not websocket.watched[0] or websocket._queued < size:
            websocket.send(bytes(16 * KIB), True)

    def drain(self, websocket: Any, peer: Peer, driver: ByHand) -> None:
        """Let the peer read everything."""
        while websocket._queued:
            peer.receive()
            driver.writable()

    def test_it_is_a_driver(self) -> None:
        self.assertTrue(issubclass(LoopDriver, Driver))

    def test_from_opened_to_closed(self) -> None:
        websocket, peer, driver = self.make()
        self.assertEqual(websocket.calls, [('opened',)])
        self.assertEqual(driver.waits, [(True, False)])
        peer.text('one')
        peer.text('two')
        driver.readable()
        peer.close(1000, b'bye')
        driver.readable()
        self.assertTrue(driver.over)
        self.assertEqual(websocket.calls[1:], [('message', b'one'), ('message', b'two'), ('closed', 1000, b'bye')])
        self.assertEqual(peer.receive_all(), [(CLOSE, b'\x03\xe8bye')])
        self.assertEqual(driver.waits[-1], (False, False))
        for late in (driver.readable, driver.writable, driver.end, lambda: driver.watch(websocket)):
            late()
        self.assertEqual(len(websocket.named('closed')), 1)

    def test_what_came_behind_the_handshake_needs_no_bytes_from_the_socket(self) -> None:
        ours, theirs = socket.socketpair()
        self.addCleanup(theirs.close)
        websocket = Recorder(ours)
        self.addCleanup(websocket.terminate)
        websocket.reading_buffer_size = 10
        websocket.buf = b'\x81\x82\0\0\0\0hi' * 3
        driver = ByHand(websocket)
        driver.start()
        driver.come_round()
        self.assertEqual(websocket.named('message'), [('message', b'hi')] * 3)

    def test_a_peer_that_goes_without_a_word(self) -> None:
        websocket, peer, driver = self.make()
        peer.sock.close()
        driver.readable()
        self.assertEqual(websocket.calls[1:], [('closed', 1006, 'Going away')])

    def test_opened_may_raise(self) -> None:
        class Raising(Recorder):
            def opened(self) -> None:
                raise KeyError('opened')

        with logs():
            websocket, peer, driver = self.make(Raising)
        self.assertEqual(peer.receive(), (CLOSE, b'\x03\xf3'))
        self.assertFalse(driver.over)  # it waits for the peer, whose bytes must not destroy the Close frame
        peer.text('discarded')
        driver.readable()
        self.assertFalse(driver.over)
        peer.sock.close()
        driver.readable()
        self.assertEqual(websocket.calls, [('closed', 1011, '')])

    def test_a_client_waits_for_the_server_to_end_tcp(self) -> None:
        websocket, peer, driver = self.make(Client)
        websocket.close()
        peer.close()
        driver.readable()
        self.assertFalse(driver.over)
        self.assertEqual(driver.waits[-1], (True, False))
        ((delay, timer),) = driver.timers
        self.assertEqual(delay, websocket.limits.close_timeout)
        timer.callback()
        self.assertFalse(driver.over)  # from the loop only
        driver.come_round()
        self.assertEqual(websocket.named('closed'), [('closed', 1000, b'')])

    def test_room(self) -> None:
        websocket, peer, driver = self.make(write_high_water=64 * KIB)
        self.fill(websocket, 1)
        self.assertEqual(driver.waits[-1], (True, True))
        self.fill(websocket, 65 * KIB)
        self.assertEqual(driver.waits[-1], (False, True))
        self.drain(websocket, peer, driver)
        self.assertEqual(driver.waits[-1], (True, False))

    def test_a_block_put_aside_goes_on_when_there_is_room(self) -> None:
        class Doubling(Recorder):
            def received_message(self, message: Any) -> None:
                super().received_message(message)
                self.send(bytes(32 * KIB), True)

        websocket, peer, driver = self.make(Doubling, write_high_water=64 * KIB)
        peer.sock.sendall(frame(OPCODE_TEXT, b'more', masked=True) * 100)
        driver.readable()
        before = len(websocket.named('message'))
        self.assertLess(before, 100)
        for _ in range(100):
            peer.receive()
            driver.writable()
            driver.come_round()
        self.assertEqual(len(websocket.named('message')), 100)

    def test_from_another_thread_the_loop_is_asked(self) -> None:
        websocket, _, driver = self.make()
        driver.loop = False
        waits = len(driver.waits)
        websocket.crowd(True)
        self.assertEqual(len(driver.waits), waits)
        driver.loop = True
        driver.come_round()
        self.assertEqual(driver.waits[-1], (False, False))
        driver.loop = False
        waits = len(driver.waits)
        websocket.terminate()  # by another thread
        self.assertEqual(len(driver.waits), waits)

    def test_what_waits_goes_out_before_the_end(self) -> None:
        websocket, peer, driver = self.make()
        self.fill(websocket, 1)
        peer.close()
        driver.readable()
        self.assertFalse(driver.over)
        peer.sock.shutdown(socket.SHUT_WR)
        driver.readable()
        self.assertFalse(driver.over)  # it may have ended its half only
        self.assertEqual(driver.waits[-1], (False, True))
        driver.readable()
        self.drain(websocket, peer, driver)
        self.assertTrue(driver.over)
        self.assertEqual(peer.receive_all()[-1], (CLOSE, b'\x03\xe8'))

    def test_or_as_soon_as_it_is_out(self) -> None:
        websocket, peer, driver = self.make()
        self.fill(websocket, 1)
        peer.close()
        driver.readable()
        self.drain(websocket, peer, driver)
        self.assertTrue(driver.over)

    def test_a_failed_connection_lingers_though_everything_is_out(self) -> None:
        websocket, peer, driver = self.make()
        self.fill(websocket, 1)
        peer.send(3)
        driver.readable()
        self.drain(websocket, peer, driver)
        self.assertFalse(driver.over)
        peer.sock.close()
        driver.readable()
        self.assertEqual(websocket.close_code, 1002)

    def test_a_deaf_one_waits_for_all_of_it(self) -> None:
        websocket, peer, driver = self.make()
        self.fill(websocket, 600 * KIB)
        peer.close()
        peer.sock.shutdown(socket.SHUT_WR)
        driver.readable()
        wait_for(lambda: driver.readable() or driver._deaf)
        peer.receive()
        driver.writable()
        self.assertFalse(driver.over)
        self.drain(websocket, peer, driver)
        self.assertTrue(driver.over)

    def test_a_connection_that_breaks_while_something_waits(self) -> None:
        websocket, peer, driver = self.make()
        self.fill(websocket, 1)
        peer.sock.close()
        with logs():
            driver.writable()
        self.assertEqual(websocket.close_code, 1006)

    def test_a_hook_that_ends_it(self) -> None:
        class Ending(EchoWebSocket):
            def received_message(self, message: Any) -> None:
                driver.end()

        websocket, peer, driver = self.make(Ending)
        peer.text('one')
        peer.text('two')
        driver.readable()
        self.assertTrue(driver.over)
        self.assertEqual(websocket.close_code, 1006)


if __name__ == '__main__':
    unittest.main()
