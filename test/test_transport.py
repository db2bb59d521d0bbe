"""Connections on real asyncio transports: bytes in and out, pauses both ways, and sends from other threads."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import gc
import socket
import sys
import threading
import unittest
import weakref
from typing import Any

from helpers import TIMEOUT, close_frame, frame, logs, needs_certificates
from support_transport import BINARY, CLOSE, KIB, TEXT, TransportCase, until

from ws4py.framing import OPCODE_TEXT
from ws4py.transport import FedSocket, TransportSocket


class Connections(TransportCase):
    async def test_messages_and_the_end(self) -> None:
        websocket, peer, _ = await self.connect()
        peer.text('one', 'two')
        await until(lambda: len(websocket.named('message')) == 2)
        websocket.send('three')
        self.assertEqual(await peer.receive(), (TEXT, b'three'))
        peer.close()
        self.assertEqual(await peer.receive(), (CLOSE, b'\x03\xe8'))
        self.assertEqual(await peer.reader.read(), b'')
        self.assertEqual(websocket.calls[-1], ('closed', 1000, b''))
        await until(lambda: self.losses == 1)

    @needs_certificates
    async def test_over_tls(self) -> None:
        websocket, peer, _ = await self.connect(tls=True)
        websocket.send(bytes(1000 * KIB), True)
        self.assertEqual(await peer.receive(), (BINARY, bytes(1000 * KIB)))
        peer.text('one', 'two')
        await until(lambda: len(websocket.named('message')) == 2)
        with self.assertRaises(OSError):  # TLS has no half-closed state
            websocket.sock.shutdown(socket.SHUT_WR)
        peer.writer.close()
        await until(lambda: websocket.close_code == 1006)

    async def test_a_peer_that_ends_its_half_gets_what_waits(self) -> None:
        websocket, peer, _ = await self.connect()
        websocket.send(bytes(1000 * KIB), True)
        peer.close()
        peer.writer.write_eof()
        self.assertEqual(await peer.receive(), (BINARY, bytes(1000 * KIB)))
        self.assertEqual(await peer.receive(), (CLOSE, b'\x03\xe8'))
        self.assertEqual(await peer.reader.read(), b'')

    async def test_a_peer_that_is_gone(self) -> None:
        for waits in (False, True):
            with self.subTest(something_waits=waits), logs():
                websocket, peer, connection = await self.connect()
                while waits and not websocket.watched[0]:
                    websocket.send(bytes(64 * KIB), True)
                peer.writer.transport.abort()
                await until(lambda: connection.over)  # noqa: B023
                self.assertEqual(websocket.close_code, 1006)

    async def test_an_error_of_the_transport(self) -> None:
        websocket, _, connection = await self.connect()
        connection.connection_lost(ConnectionResetError('reset'))
        self.assertEqual(websocket.calls[1:], [('error', ConnectionResetError), ('closed', 1006, 'Going away')])

    async def test_what_was_fed_before_a_failure_does_not_hide_the_end(self) -> None:
        for end_first in (False, True):
            with self.subTest(end_first=end_first), logs():
                websocket, peer, connection = await self.connect()
                websocket.crowd(True)
                for data in (b'\xf1\x80\0\0\0\0', b'more', b'and more'):
                    connection.data_received(data)
                if end_first:
                    connection.eof_received()
                websocket.crowd(False)
                await until(lambda: connection.over or connection._lingers)  # noqa: B023
                if not end_first:
                    peer.text('much more')
                    self.assertEqual((await peer.receive())[0], CLOSE)
                    self.assertFalse(connection.over)
                    peer.writer.close()
                await until(lambda: connection.over)  # noqa: B023
                self.assertEqual(websocket.close_code, 1002)

    async def test_a_failure_waits_for_the_peer(self) -> None:
        websocket, peer, connection = await self.connect()
        peer.writer.write(b'\xf1\x80\0\0\0\0')
        self.assertEqual((await peer.receive())[0], CLOSE)
        self.assertEqual(await peer.reader.read(), b'')
        self.assertFalse(connection.over)
        peer.writer.close()
        await until(lambda: connection.over)
        self.assertEqual(websocket.close_code, 1002)

    async def test_one_that_is_dropped_sends_nothing_more(self) -> None:
        websocket, _, connection = await self.connect()
        while not websocket.watched[0]:
            websocket.send(bytes(64 * KIB), True)
        with logs():
            websocket.abort(1006, 'gone')
            await until(lambda: self.losses)
        self.assertEqual(websocket.calls[-1], ('closed', 1006, 'gone'))
        self.assertTrue(connection.over)
        connection.eof_received()
        connection.data_received(b'late')

    async def test_the_peer_is_not_read_while_it_does_not_read(self) -> None:
        websocket, peer, connection = await self.connect(write_high_water=64 * KIB)
        while not websocket.watched[1]:
            websocket.send(bytes(64 * KIB), True)
        self.assertFalse(connection._transport.is_reading())
        connection.data_received(frame(OPCODE_TEXT, b'on its way already', masked=True))
        self.assertEqual(websocket.named('message'), [])
        connection.eof_received()
        self.assertFalse(websocket.holds_input)
        while not websocket.named('closed'):
            with contextlib.suppress(asyncio.IncompleteReadError):
                await peer.receive()
        self.assertEqual(websocket.named('message'), [('message', b'on its way already')])

    async def test_a_loss_while_the_application_is_behind(self) -> None:
        websocket, peer, connection = await self.connect()
        websocket.crowd(True)
        connection.data_received(frame(OPCODE_TEXT, b'last words', masked=True))
        peer.writer.transport.abort()
        connection.resume_writing()
        await asyncio.sleep(0)
        connection._transport.abort()
        await until(lambda: not websocket.sock.is_alive() and connection._gone)
        self.assertEqual((websocket.calls, self.losses), ([('opened',)], 0))
        websocket.crowd(False)
        await until(lambda: connection.over)
        self.assertEqual(websocket.calls[1:], [('message', b'last words'), ('closed', 1006, 'Going away')])


class Turns(TransportCase):
    async def test_who_sends_much_at_once_is_not_the_only_one(self) -> None:
        websocket, _, connection = await self.connect()
        connection.data_received(frame(OPCODE_TEXT, b'much', masked=True) * 20_000)
        self.assertLess(len(websocket.named('message')), 10_000)
        self.assertFalse(connection._transport.is_reading())
        connection.data_received(frame(OPCODE_TEXT, b'more', masked=True))
        self.assertLess(len(websocket.named('message')), 10_000)
        await until(lambda: len(websocket.named('message')) == 20_001)
        self.assertEqual(websocket.calls[-1], ('message', b'more'))
        await until(connection._transport.is_reading)

    async def test_the_end_comes_when_everything_had_its_turn(self) -> None:
        websocket, _, connection = await self.connect()
        connection.data_received(frame(OPCODE_TEXT, b'much', masked=True) * 20_000)
        connection.eof_received()
        self.assertFalse(connection.over)
        await until(lambda: connection.over)
        self.assertEqual(len(websocket.named('message')), 20_000)

    async def test_a_turn_while_the_application_is_behind(self) -> None:
        websocket, _, connection = await self.connect()
        much = frame(OPCODE_TEXT, b'x' * 300 * KIB, masked=True)
        connection.data_received(much[:100])
        self.assertEqual((websocket.named('message'), connection._resting), ([], False))
        connection.data_received(much[100:])  # is processed at once, as it is all of one message
        self.assertTrue(connection._resting)
        websocket.crowd(True)
        connection.data_received(frame(OPCODE_TEXT, b'next', masked=True))
        await until(lambda: not connection._resting)
        self.assertEqual(len(websocket.named('message')), 1)
        websocket.crowd(False)
        await until(lambda: len(websocket.named('message')) == 2)

    async def test_an_end_with_much_behind_it(self) -> None:
        _, _, connection = await self.connect()
        connection.data_received(close_frame(masked=True) + bytes(64 * KIB))
        self.assertTrue(connection.over)
        self.assertFalse(connection._resting)


class Sockets(TransportCase):
    async def test_the_face_of_a_socket(self) -> None:
        websocket, _, _ = await self.connect()
        sock = websocket.sock
        self.assertEqual(sock.fileno(), sock.transport.get_extra_info('socket').fileno())
        self.assertEqual((sock.getsockname(), sock.getpeername()), ('', ''))
        sock.setblocking(False)
        sock.settimeout(1)
        with self.assertRaises(BlockingIOError):
            sock.recv(10)
        sock.paused = True
        with self.assertRaises(BlockingIOError):
            sock.send(b'x')
        sock.shutdown(socket.SHUT_RDWR)
        sock.feed(b'first')
        sock.feed_end(ConnectionResetError())
        sock.feed_end()  # is of no interest any more
        self.assertEqual(sock.recv(1), b'first')
        with self.assertRaises(ConnectionResetError):
            sock.recv(1)
        sock.transport.close()
        with self.assertRaises(ConnectionResetError):
            sock.send(b'x')
        with self.assertRaises(OSError):
            sock.shutdown(socket.SHUT_WR)

    async def test_what_cannot_be_sent_does_not_keep_it_open(self) -> None:
        websocket, _, _ = await self.connect()
        while not websocket.watched[0]:
            websocket.send(bytes(64 * KIB), True)
        websocket.sock.close()
        self.assertEqual(self.losses, 0)
        with logs():
            await until(lambda: self.losses)  # after the 50 ms it may linger

    async def test_one_without_a_descriptor(self) -> None:
        class Bare:
            def set_write_buffer_limits(self, high: int) -> None:
                """As a transport has it."""

            def get_extra_info(self, name: str) -> None:
                """Nothing is known."""

        self.assertEqual(TransportSocket(Bare(), self.loop, 1).fileno(), -1)

    @unittest.skipUnless(hasattr(sys, 'getrefcount'), 'without reference counts everything waits for the gc')
    async def test_an_error_that_was_raised_does_not_keep_it(self) -> None:
        class Fed(FedSocket):
            def _close(self) -> None:
                pass

        def lose() -> Any:
            sock = Fed(self.loop, 0)
            error = ConnectionResetError(errno.ECONNRESET, 'reset')
            sock.feed_end(error)
            for _ in range(2):
                with contextlib.suppress(ConnectionResetError):
                    sock.recv(1)
                    self.fail('it was not raised')
            return weakref.ref(sock)

        gc.disable()
        self.addCleanup(gc.enable)
        self.assertIsNone(lose()())

    async def test_closed_by_another_thread_also_when_the_loop_is_over(self) -> None:
        websocket, _, _ = await self.connect()
        sock = websocket.sock
        await self.loop.run_in_executor(None, websocket.terminate)
        await until(lambda: self.losses)
        sock._loop = asyncio.new_event_loop()
        sock._loop.close()
        await self.loop.run_in_executor(None, sock.close)


class Threads(TransportCase):
    async def test_sends_from_eight_of_them(self) -> None:
        websocket, peer, _ = await self.connect(write_high_water=64 * KIB)

        def send(name: int) -> None:
            for _ in range(20):
                websocket.send([bytes([name]) * 10_000, bytes([name]) * 10_000], True)
                websocket.send(bytes([name]) * 100, True)

        threads = [threading.Thread(target=send, args=(name,)) for name in range(8)]
        for thread in threads:
            thread.start()
        whole = fragments = 0
        while whole + fragments < 8 * 20 * 2:
            first, data = await peer.receive()
            if first == 0x02:
                last, rest = await peer.receive()
                self.assertEqual(last, 0x80)
                data += rest
                fragments += 1
            else:
                whole += 1
            self.assertEqual(len(set(data)), 1)
        self.assertEqual((whole, fragments), (160, 160))
        for thread in threads:
            thread.join(TIMEOUT)


if __name__ == '__main__':
    unittest.main()
