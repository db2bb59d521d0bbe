"""Connections on real IOStreams: bytes in and out, pauses both ways, half-closed connections, other threads, ends."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import functools
import gc
import socket
import ssl
import struct
import sys
import threading
import unittest
import weakref
from typing import Any, Callable

import support_tls
from helpers import TIMEOUT, Recorder, close_frame, frame, limited, logs, needs_certificates
from support_transport import AsyncPeer, until

try:
    from tornado.iostream import IOStream, SSLIOStream
except ImportError:
    raise unittest.SkipTest('Tornado is not installed') from None

from ws4py.framing import OPCODE_TEXT
from ws4py.iostream import StreamDriver, StreamSocket
from ws4py.limits import Limits
from ws4py.outbox import BLOCK

TEXT, BINARY, CLOSE = 0x81, 0x82, 0x88
KIB = 1024


class StreamCase(unittest.IsolatedAsyncioTestCase):
    async def asyncSetUp(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.loop.slow_callback_duration = TIMEOUT  # the machine may be busy
        self.losses = 0

    def _lost(self) -> None:
        self.losses += 1

    async def connect(
        self, cls: Callable[..., Any] = Recorder, tls: bool = False, start: bool = True, **limits: Any
    ) -> tuple[Any, AsyncPeer, StreamDriver]:
        ours, theirs = socket.socketpair()
        for sock in (ours, theirs):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 16 * KIB)
        name: dict[str, Any] = {}
        if tls:
            name = {'ssl': support_tls.client_context(), 'server_hostname': 'localhost'}
            context = support_tls.server_context()
            secure = context.wrap_socket(ours, server_side=True, do_handshake_on_connect=False)
            stream: IOStream = SSLIOStream(secure, ssl_options=context)
            _, peer = await asyncio.gather(stream.wait_for_handshake(), asyncio.open_connection(sock=theirs, **name))
        else:
            stream = IOStream(ours)
            peer = await asyncio.open_connection(sock=theirs)
        websocket = cls(StreamSocket(stream), environ={})
        websocket.limits = Limits(**limits) if limits else websocket.limits
        driver = StreamDriver(websocket, self._lost)
        if start:
            driver.start()
        self.addAsyncCleanup(self._disconnect, stream, peer[1])
        return websocket, AsyncPeer(*peer), driver

    @staticmethod
    def lingers(driver: StreamDriver) -> bool:
        return driver.over or driver._lingers

    async def ended(self, driver: StreamDriver) -> None:
        await until(lambda: driver.over)

    async def _disconnect(self, stream: IOStream, writer: asyncio.StreamWriter) -> None:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
        await until(stream.closed)


class Connections(StreamCase):
    async def test_messages_and_the_end(self) -> None:
        websocket, peer, _ = await self.connect()
        peer.text('one', 'two')
        await until(lambda: len(websocket.named('message')) == 2)
        websocket.send('three')
        self.assertEqual(await peer.receive(), (TEXT, b'three'))
        self.assertFalse(websocket._is_secure)
        peer.close()
        self.assertEqual(await peer.receive(), (CLOSE, b'\x03\xe8'))
        self.assertEqual(await peer.reader.read(), b'')
        self.assertEqual(websocket.calls[-1], ('closed', 1000, b''))
        await until(lambda: self.losses == 1)

    async def test_what_is_there_before_the_start(self) -> None:
        websocket, peer, driver = await self.connect(start=False)
        websocket.buf = frame(OPCODE_TEXT, b'one', masked=True)
        peer.text('two')
        driver.start()
        await until(lambda: websocket.named('message') == [('message', b'one'), ('message', b'two')])

    @needs_certificates
    async def test_over_tls(self) -> None:
        websocket, peer, _ = await self.connect(tls=True)
        self.assertTrue(websocket._is_secure)
        websocket.send(bytes(1000 * KIB), True)
        self.assertEqual(await peer.receive(), (BINARY, bytes(1000 * KIB)))
        peer.text('one', 'two')
        await until(lambda: len(websocket.named('message')) == 2)
        peer.writer.close()
        await until(lambda: websocket.close_code == 1006)

    async def test_what_is_not_sent_waits_in_the_outbox(self) -> None:
        websocket, peer, _ = await self.connect()
        websocket.send(bytes(1000 * KIB), True)
        self.assertEqual(websocket.watched, (True, False))
        self.assertGreater(websocket._outbox.size, 1000 * KIB - 2 * BLOCK - 300 * KIB)
        self.assertTrue(websocket.sock.writing)
        self.assertEqual(await peer.receive(), (BINARY, bytes(1000 * KIB)))
        await until(lambda: websocket.watched == (False, False))

    async def test_a_peer_that_does_not_read_is_not_read(self) -> None:
        websocket, peer, driver = await self.connect(write_high_water=100 * KIB)
        while websocket._outbox.size < 500 * KIB:  # of which asyncio reads some for its peer
            websocket.send(bytes(10 * KIB), True)
        peer.writer.write(b''.join(frame(OPCODE_TEXT, bytes(1000), masked=True) for _ in range(1000)))
        received = 0
        for _ in range(50):  # there is nothing to wait for: it must not happen
            await asyncio.sleep(0)
            received = len(websocket.named('message'))
        self.assertEqual((received, driver.holds_input), (0, False))
        await self._read_all(websocket, peer)
        await until(lambda: len(websocket.named('message')) == 1000)

    async def _read_all(self, websocket: Any, peer: AsyncPeer) -> None:
        while websocket.watched[0] or websocket.sock.writing:
            await peer.receive()
            await asyncio.sleep(0)

    async def test_a_slow_consumer_is_dropped_at_once(self) -> None:
        websocket, _, driver = await self.connect(write_high_water=10 * KIB, write_limit=100 * KIB)
        with logs():
            with self.assertRaises(RuntimeError):
                while True:
                    websocket.send(bytes(10 * KIB), True)
            await until(lambda: driver.over)
        self.assertTrue(driver._stream.closed())
        self.assertEqual(websocket.close_code, 1006)
        await until(lambda: self.losses == 1)

    async def test_a_thread_sends(self) -> None:
        websocket, peer, _ = await self.connect(write_high_water=64 * KIB)

        def send() -> None:
            for _ in range(100):
                websocket.send(bytes(20 * KIB), True)
            websocket.close()

        thread = threading.Thread(target=send)
        thread.start()
        for _ in range(100):
            self.assertEqual(await peer.receive(), (BINARY, bytes(20 * KIB)))
        self.assertEqual((await peer.receive())[0], CLOSE)
        await self.loop.run_in_executor(None, thread.join)

    @unittest.skipIf(sys.implementation.name != 'cpython', 'without reference counts everything waits for the gc')
    async def test_nothing_refers_to_it_after_the_end(self) -> None:
        gc.collect()
        gc.disable()
        self.addCleanup(gc.enable)
        websocket, peer, driver = await self.connect()
        reference = weakref.ref(websocket)
        peer.close()
        await until(lambda: self.losses)
        del websocket, driver
        await until(lambda: reference() is None)


class Ends(StreamCase):
    async def test_a_peer_that_ends_its_half_gets_what_waits(self) -> None:
        websocket, peer, _ = await self.connect()
        websocket.send(bytes(1000 * KIB), True)
        peer.close()
        peer.writer.write_eof()
        self.assertEqual(await peer.receive(), (BINARY, bytes(1000 * KIB)))
        self.assertEqual(await peer.receive(), (CLOSE, b'\x03\xe8'))
        self.assertEqual(await peer.reader.read(), b'')
        await until(lambda: self.losses == 1)

    async def test_also_when_a_thread_has_sent_and_the_loop_does_not_know_yet(self) -> None:
        for crowded in (False, True):
            with self.subTest(crowded=crowded):
                websocket, peer, driver = await self.connect()
                websocket.crowd(True)
                peer.close()
                await until(lambda: websocket.sock.holds_input)  # noqa: B023
                peer.writer.write_eof()
                if not crowded:  # the stream has just been read, and the Close frame is processed at once
                    websocket._crowded, websocket.watched, driver._reading = False, (False, False), True
                thread = threading.Thread(target=websocket.send, args=('last words',))
                thread.start()
                thread.join()
                if crowded:
                    websocket.crowd(False)
                else:
                    driver.readable()
                self.assertEqual(await peer.receive(), (TEXT, b'last words'))
                self.assertEqual(await peer.receive(), (CLOSE, b'\x03\xe8'))
                self.assertEqual(await peer.reader.read(), b'')
                await until(lambda: driver.over and driver._stream.closed())  # noqa: B023

    async def test_a_client_sends_all_before_it_waits_for_the_server(self) -> None:
        client = type('Client', (Recorder,), {'_is_client': True})
        websocket, peer, _ = await self.connect(client)
        websocket.send(bytes(300 * KIB), True)
        websocket.close()
        peer.writer.write(close_frame())
        peer.writer.write_eof()
        data = await peer.reader.read()
        self.assertEqual(data[-8] & 0x8F, CLOSE)
        self.assertGreater(len(data), 300 * KIB)
        await until(lambda: self.losses == 1)
        self.assertEqual(websocket.calls[-1], ('closed', 1000, b''))

    async def test_a_peer_that_reads_nothing_is_not_waited_for_long(self) -> None:
        websocket, peer, _ = await self.connect(close_timeout=0.05)
        websocket.send(bytes(1000 * KIB), True)
        peer.close()
        await until(lambda: self.losses == 1)
        self.assertEqual(websocket.close_code, 1000)

    async def test_a_peer_that_is_gone(self) -> None:
        for waits in (False, True):
            with self.subTest(something_waits=waits), logs():
                websocket, peer, driver = await self.connect()
                while waits and not websocket.watched[0]:
                    websocket.send(bytes(64 * KIB), True)
                peer.writer.transport.abort()
                await self.ended(driver)
                self.assertEqual(websocket.close_code, 1006)

    async def test_a_reset(self) -> None:
        listener = socket.create_server(('127.0.0.1', 0))
        theirs = socket.create_connection(listener.getsockname())
        ours, _ = listener.accept()
        listener.close()
        websocket = Recorder(StreamSocket(IOStream(ours)))
        driver = StreamDriver(websocket)
        driver.start()
        self.assertEqual(websocket.peer_address, theirs.getsockname())
        self.assertEqual(websocket.local_address, ours.getsockname())
        self.assertEqual(websocket.sock.fileno(), ours.fileno())
        self.assertEqual(ours.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY), 1)
        face = websocket.sock
        theirs.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
        theirs.close()
        await until(lambda: driver.over)
        self.assertEqual(websocket.calls[1:], [('error', ConnectionResetError), ('closed', 1006, 'Going away')])
        self.assertEqual(face.fileno(), -1)
        for call in (
            lambda: face.send(b'x'),
            lambda: face.shutdown(socket.SHUT_WR),
            face.getsockname,
            face.getpeername,
        ):
            with self.assertRaises(OSError):
                call()
        face.shutdown(socket.SHUT_RDWR)  # which close() does

    async def test_a_write_that_finds_the_peer_gone(self) -> None:
        websocket, peer, driver = await self.connect()
        websocket.crowd(True)
        peer.writer.transport.abort()
        with logs():
            with self.assertRaises(ConnectionError):
                while True:
                    websocket.send('anybody there?')
                    await asyncio.sleep(0.002)
            websocket.crowd(False)
            await until(lambda: driver.over)
        self.assertEqual(websocket.close_code, 1006)

    async def test_a_failure_waits_for_the_peer(self) -> None:
        for tls in (False, True):
            if tls and support_tls.trustme is None:
                continue
            with self.subTest(tls=tls), logs():
                websocket, peer, driver = await self.connect(tls=tls)
                websocket.send(bytes(200 * KIB), True)
                peer.writer.write(b'\xf1\x80\0\0\0\0')
                self.assertEqual(await peer.receive(), (BINARY, bytes(200 * KIB)))
                first, payload = await peer.receive()
                self.assertEqual((first, payload[:2]), (CLOSE, b'\x03\xea'))
                if not tls:
                    self.assertEqual(await peer.reader.read(), b'')
                    peer.text('more')
                self.assertFalse(driver.over)
                peer.writer.close()
                await self.ended(driver)
                self.assertEqual(websocket.close_code, 1002)

    async def test_what_was_fed_before_a_failure_does_not_hide_the_end(self) -> None:
        for end_first in (False, True):
            with self.subTest(end_first=end_first), logs():
                websocket, peer, driver = await self.connect()
                websocket.crowd(True)
                websocket.sock.feed(b'\xf1\x80\0\0\0\0')
                websocket.sock.feed(b'more')
                if end_first:
                    peer.writer.write_eof()
                    await until(driver._stream.closed)
                websocket.crowd(False)
                await until(functools.partial(self.lingers, driver))
                peer.writer.close()
                await self.ended(driver)
                self.assertEqual(websocket.close_code, 1002)

    async def test_what_came_before_the_end_is_processed(self) -> None:
        websocket, peer, driver = await self.connect()
        websocket.crowd(True)
        peer.text('one')
        await until(lambda: websocket.sock.holds_input)
        driver._stream.close()
        self.assertEqual(websocket.named('message', 'closed'), [])
        websocket.crowd(False)
        await until(lambda: driver.over)
        self.assertEqual(websocket.named('message', 'closed'), [('message', b'one'), ('closed', 1006, 'Going away')])

    async def test_an_error_of_tls_is_a_connection_that_was_lost(self) -> None:
        websocket, _, driver = await self.connect()
        stream, face = driver._stream, websocket.sock
        for error, shown in (
            (None, None),
            (ssl.SSLEOFError(ssl.SSL_ERROR_EOF, 'EOF occurred'), ConnectionResetError),
            (OSError(errno.EIO, 'bad'), OSError),
            (ValueError('no error of a connection'), None),
        ):
            stream.error = error
            self.assertIs(type(face.failure), shown or type(None))

    async def test_closing_from_another_thread(self) -> None:
        websocket, _, driver = await self.connect()
        await self.loop.run_in_executor(None, websocket.sock.close)
        await until(lambda: driver.over)
        self.assertEqual(websocket.close_code, 1006)

    async def test_closing_twice(self) -> None:
        websocket, _, _ = await self.connect(close_timeout=0.05)
        websocket.send(bytes(1000 * KIB), True)
        websocket.sock.close()
        websocket.sock.close()
        await until(lambda: self.losses == 1)

    async def test_shutting_down_what_is_closed_meanwhile(self) -> None:
        websocket, _, driver = await self.connect()
        websocket.send(bytes(1000 * KIB), True)
        websocket.sock.shutdown(socket.SHUT_WR)  # when everything is written
        websocket.abort(1006, 'enough')
        await until(lambda: driver.over)


class Hooks(StreamCase):
    async def test_coroutines_are_awaited_in_order(self) -> None:
        class Slow(Recorder):
            async def opened(self) -> None:
                self.send('welcome')
                await asyncio.sleep(0)
                self.calls.append(('opened',))

            async def received_message(self, message: Any) -> None:
                await asyncio.sleep(0)
                self.calls.append(('message', message.data))

            async def closed(self, code: int, reason: Any = None) -> None:
                await asyncio.sleep(0)
                self.calls.append(('closed', code, self.environ))

        websocket, peer, _ = await self.connect(Slow)
        peer.text(*map(str, range(100)))
        peer.close()
        self.assertEqual(await peer.receive(), (TEXT, b'welcome'))
        await until(lambda: self.losses)
        messages = [('message', b'%d' % number) for number in range(100)]
        self.assertEqual(websocket.calls, [('opened',), *messages, ('closed', 1000, {})])

    async def test_the_stream_is_lost_after_closed(self) -> None:
        class Late(Recorder):
            async def closed(self, code: int, reason: Any = None) -> None:
                await gate.wait()
                self.calls.append(('closed', code))

        gate = asyncio.Event()
        websocket, peer, driver = await self.connect(Late)
        peer.writer.close()
        await until(lambda: driver.over)
        self.assertEqual(self.losses, 0)
        gate.set()
        await until(lambda: self.losses == 1)
        self.assertEqual(websocket.calls[-1], ('closed', 1006))

    async def test_each_that_raises_closes_the_connection(self) -> None:
        for hook in ('opened', 'received_message', 'ponged'):

            def fail(self: Any, *args: Any) -> None:
                raise ZeroDivisionError

            with self.subTest(hook=hook), logs() as records:
                websocket, peer, driver = await self.connect(type('Failing', (Recorder,), {hook: fail}))
                peer.text('one')
                peer.writer.write(b'\x8a\x80\0\0\0\0')
                first, payload = await peer.receive()
                self.assertEqual((first, payload), (CLOSE, b'\x03\xf3'))
                peer.close(1011)
                peer.writer.close()
                await self.ended(driver)
                self.assertEqual(websocket.close_code, 1011)
                self.assertTrue(any(record.exc_info for record in records))

    async def test_a_limit_of_another_class(self) -> None:
        websocket, _, _ = await self.connect(limited(close_timeout=3))
        self.assertEqual(websocket.sock.linger, 3)


if __name__ == '__main__':
    unittest.main()
