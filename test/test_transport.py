"""Connections on real asyncio transports: bytes in and out, pauses both ways, other threads, hooks as coroutines."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import gc
import socket
import struct
import sys
import threading
import unittest
import weakref
from typing import Any, Callable

import support_tls
from helpers import TIMEOUT, Recorder, close_frame, frame, limited, logs, needs_certificates

from ws4py.framing import OPCODE_TEXT
from ws4py.limits import Limits
from ws4py.messaging import BinaryMessage
from ws4py.sending import NotOpenError
from ws4py.state import State
from ws4py.transport import CROWD, Backlog, FedSocket, TransportConnection, TransportSocket
from ws4py.websocket import WebSocket

TEXT, BINARY, CLOSE = 0x81, 0x82, 0x88
KIB = 1024


class AsyncPeer:
    """A client's end: it reads and writes frames."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    def text(self, *texts: str) -> None:
        self.writer.write(b''.join(frame(OPCODE_TEXT, text.encode(), masked=True) for text in texts))

    def close(self, code: int = 1000) -> None:
        self.writer.write(close_frame(code, masked=True))

    async def receive(self) -> tuple[int, bytes]:
        first, size = await self.reader.readexactly(2)
        if size == 126:
            (size,) = struct.unpack('!H', await self.reader.readexactly(2))
        elif size == 127:
            (size,) = struct.unpack('!Q', await self.reader.readexactly(8))
        return first, await self.reader.readexactly(size)


async def until(condition: Callable[[], Any]) -> None:
    end = asyncio.get_running_loop().time() + TIMEOUT
    while not condition():
        assert asyncio.get_running_loop().time() < end, f'not true within {TIMEOUT} s: {condition}'
        await asyncio.sleep(0.002)


class TransportCase(unittest.IsolatedAsyncioTestCase):
    async def asyncSetUp(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.loop.slow_callback_duration = TIMEOUT  # the machine may be busy
        self.losses = 0

    def _lost(self) -> None:
        self.losses += 1

    async def connect(
        self, cls: Callable[..., Any] = Recorder, tls: bool = False, **limits: Any
    ) -> tuple[Any, AsyncPeer, TransportConnection]:
        ours, theirs = socket.socketpair()
        for sock in (ours, theirs):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 16 * KIB)
        accept = self.loop.connect_accepted_socket(
            asyncio.Protocol, ours, ssl=support_tls.server_context() if tls else None
        )
        name = {'ssl': support_tls.client_context(), 'server_hostname': 'localhost'} if tls else {}
        (transport, _), peer = await asyncio.gather(accept, asyncio.open_connection(sock=theirs, **name))
        websocket = cls(TransportSocket(transport, self.loop, linger=0.05), environ={})
        websocket.limits = Limits(**limits) if limits else websocket.limits
        connection = TransportConnection(websocket, self.loop, self._lost)
        transport.set_protocol(connection)
        connection.start()
        self.addAsyncCleanup(self._disconnect, connection, peer[1])
        return websocket, AsyncPeer(*peer), connection

    async def _disconnect(self, connection: TransportConnection, writer: asyncio.StreamWriter) -> None:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
        await until(lambda: self.losses)


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

    async def test_timers(self) -> None:
        _, _, connection = await self.connect()
        fired: list[str] = []

        def elsewhere() -> None:
            connection.call_later(0, lambda: fired.append('yes'))
            connection.call_later(60, lambda: fired.append('no')).cancel()

        await self.loop.run_in_executor(None, elsewhere)
        connection.call_later(0, lambda: fired.append('here'))
        await until(lambda: len(fired) == 2)
        await asyncio.sleep(0.01)
        self.assertEqual(sorted(fired), ['here', 'yes'])

    async def test_a_timer_cancelled_before_the_loop_knows_of_it(self) -> None:
        _, _, connection = await self.connect()
        calls: list[Callable[[], object]] = []
        connection.call_soon = calls.append  # type: ignore[method-assign, assignment]
        connection.in_loop = lambda: False  # type: ignore[method-assign]
        connection.call_later(0, self.fail).cancel()
        for call in calls:
            call()
        del connection.call_soon, connection.in_loop
        await asyncio.sleep(0.01)

    async def test_a_timer_that_is_cancelled_later(self) -> None:
        _, _, connection = await self.connect()
        timer = await self.loop.run_in_executor(None, lambda: connection.call_later(0.02, self.fail))
        await until(lambda: timer._handle)
        await self.loop.run_in_executor(None, timer.cancel)
        await until(lambda: timer._handle.cancelled())

    async def test_a_loop_that_is_over_is_asked_nothing(self) -> None:
        _, _, connection = await self.connect()
        here, connection.loop = connection.loop, asyncio.new_event_loop()
        connection.loop.close()
        connection.call_soon(self.fail)
        connection.loop = here


class Room(TransportCase):
    async def test_senders_wait_for_it(self) -> None:
        websocket, peer, connection = await self.connect(write_high_water=64 * KIB)
        await connection.room()
        while websocket.has_room:
            websocket.send(bytes(64 * KIB), True)
        senders = [self.loop.create_task(connection.room()) for _ in range(3)]
        await asyncio.sleep(0)
        senders[0].cancel()
        while not senders[1].done():
            await peer.receive()
        await senders[2]
        self.assertTrue(websocket.has_room)

    async def test_and_learn_of_the_end(self) -> None:
        websocket, _, connection = await self.connect(write_high_water=64 * KIB)
        while websocket.has_room:
            websocket.send(bytes(64 * KIB), True)
        sender = self.loop.create_task(connection.room())
        await asyncio.sleep(0)
        with logs():
            websocket.abort(1006, 'gone')
            with self.assertRaises(NotOpenError):
                await sender

    async def test_also_when_nobody_asked_the_driver(self) -> None:
        websocket, _, connection = await self.connect(write_high_water=64 * KIB)
        while websocket.has_room:
            websocket.send(bytes(64 * KIB), True)
        sender = self.loop.create_task(connection.room())
        await asyncio.sleep(0)
        with logs():
            websocket.terminate()
            with self.assertRaises(NotOpenError):
                await sender
        self.assertTrue(connection.over)

    async def test_a_hook_learns_of_it_in_time_to_come_to_its_own_end(self) -> None:
        class Sending(Recorder):
            async def opened(self) -> None:  # type: ignore[override]
                assert isinstance(self._driver, TransportConnection)
                self.calls.append(('in hook', self._driver.in_hook))
                while self.has_room:
                    self.send(bytes(64 * KIB), True)
                for _ in range(2):
                    with contextlib.suppress(NotOpenError):
                        await self._driver.room()
                        self.calls.append(('room',))
                await self._driver.room()
                self.calls.append(('room',))

        websocket, peer, connection = await self.connect(limited(Sending, write_high_water=64 * KIB))
        peer.writer.transport.pause_reading()  # type: ignore[attr-defined]
        self.assertFalse(connection.in_hook)
        await until(lambda: connection._senders)
        with logs() as records:
            peer.writer.transport.abort()
            await until(lambda: websocket.named('closed'))
        self.assertEqual(websocket.calls, [('in hook', True), ('closed', 1006, 'Going away')])
        self.assertEqual([record for record in records if record.levelname == 'ERROR'], [])


class Backlogs(unittest.TestCase):
    def test_messages(self) -> None:
        backlog = Backlog(100)
        for size, long in ((50, False), (50, False), (1, True)):
            backlog.append(BinaryMessage(bytes(size)))
            self.assertIs(backlog.long, long)
        for size, long in ((50, True), (50, False), (1, False)):
            self.assertEqual(len(backlog.popleft().data), size)
            self.assertIs(backlog.long, long)

    def test_their_number(self) -> None:
        backlog = Backlog(100)
        for number in range(1, CROWD + 1):
            backlog.append(BinaryMessage(b''))
            self.assertIs(backlog.long, number == CROWD)
        for number in range(CROWD - 1, -1, -1):
            backlog.popleft()
            self.assertIs(backlog.long, number >= CROWD // 4)


class Async(Recorder):
    """Every hook is a coroutine, and the first word of a message says what it does."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.go = asyncio.Event()

    async def opened(self) -> None:  # type: ignore[override]
        await asyncio.sleep(0)
        self.calls.append(('opened',))

    async def received_message(self, message: Any) -> None:  # type: ignore[override]
        self.calls.append(('begun', message.data))
        if message.data == b'wait':
            await self.go.wait()
        elif message.data == b'raise':
            raise KeyError('as it was told')
        self.calls.append(('done', message.data))

    async def closed(self, code: int, reason: Any = None) -> None:  # type: ignore[override]
        await asyncio.sleep(0)
        self.calls.append(('closed', code, self.environ))


class Coroutines(TransportCase):
    async def test_they_run_one_after_another(self) -> None:
        websocket, peer, connection = await self.connect(Async)
        peer.text('wait', 'then')
        peer.writer.write(b'\x8a\x80\0\0\0\0')
        await until(lambda: ('begun', b'wait') in websocket.calls)
        await asyncio.sleep(0)
        websocket.go.set()
        await until(lambda: websocket.named('pong'))
        peer.close()
        await until(lambda: self.losses)
        self.assertTrue(connection.over)
        expected = ['opened', 'begun', 'done', 'begun', 'done', 'pong', 'closed']
        self.assertEqual([call[0] for call in websocket.calls], expected)
        self.assertEqual(websocket.calls[-1], ('closed', 1000, {}))
        self.assertIsNone(websocket.environ)

    async def test_while_one_runs_only_so_much_is_read(self) -> None:
        websocket, peer, connection = await self.connect(Async)
        peer.text('wait', *(['more'] * 10 * CROWD))
        await until(lambda: websocket.watched[1])
        self.assertIn(len(websocket.pending_calls), (CROWD - 1, CROWD))
        self.assertFalse(connection._transport.is_reading())
        websocket.go.set()
        await until(lambda: len(websocket.named('done')) == 10 * CROWD + 1)
        self.assertTrue(connection._transport.is_reading())

    async def test_and_only_so_many_bytes(self) -> None:
        websocket, peer, _ = await self.connect(Async, write_high_water=10 * KIB)
        peer.text('wait', *(['x' * KIB] * 100))
        await until(lambda: websocket.watched[1])
        self.assertIn(len(websocket.pending_calls), (10, 11))  # opened() was running when the first of them came
        websocket.go.set()
        await until(lambda: len(websocket.named('done')) == 101)

    async def test_what_they_raise_closes_the_connection(self) -> None:
        websocket, peer, _ = await self.connect(Async)
        with logs() as records:
            peer.text('raise', 'and no more')
            self.assertEqual(await peer.receive(), (CLOSE, b'\x03\xf3'))
            peer.close(1011)
            peer.writer.write_eof()
            await until(lambda: websocket.named('closed'))
        self.assertEqual(websocket.named('begun'), [('begun', b'raise')])
        self.assertIn('as it was told', str([record.exc_info for record in records]))

    async def test_the_end_waits_for_the_hook(self) -> None:
        websocket, peer, connection = await self.connect(Async)
        peer.text('wait', 'then')
        await until(lambda: websocket.pending_calls)
        peer.writer.transport.abort()
        await until(lambda: connection._patience)
        connection.end()  # a second reason changes nothing
        connection.watch(websocket)
        self.assertFalse(connection._transport.is_reading())
        self.assertFalse(connection.over)
        websocket.go.set()
        await until(lambda: websocket.named('closed'))
        connection.end()
        self.assertEqual(websocket.calls[-2:], [('done', b'then'), ('closed', 1006, {})])

    async def test_but_not_for_ever(self) -> None:
        websocket, peer, connection = await self.connect(limited(Async, close_timeout=0.05))
        peer.text('wait', 'never')
        await until(lambda: websocket.pending_calls)
        with logs():
            peer.writer.transport.abort()
            await until(lambda: websocket.named('closed'))
        self.assertEqual(websocket.calls[1:], [('begun', b'wait'), ('closed', 1006, {})])
        self.assertTrue(connection.over)

    async def test_as_long_as_it_gets_on_with_what_had_come(self) -> None:
        class Slow(Async):
            async def received_message(self, message: Any) -> None:  # type: ignore[override]
                await asyncio.sleep(0.03)
                self.calls.append(('done', message.data))

        websocket, peer, _ = await self.connect(limited(Slow, close_timeout=0.1))
        peer.text(*map(str, range(10)))
        peer.close()
        await until(lambda: websocket.named('closed'))
        self.assertEqual(len(websocket.named('done')), 10)

    async def test_it_is_cancelled_on_request(self) -> None:
        websocket, peer, connection = await self.connect(Async)
        peer.text('wait')
        await until(lambda: ('begun', b'wait') in websocket.calls)
        with logs():
            connection.drop(websocket)
            connection.cancel()
            await until(lambda: websocket.named('closed'))
        connection.cancel()
        self.assertEqual(websocket.named('done'), [])

    async def test_letting_through_that_something_was_cancelled_is_a_failure(self) -> None:
        class Careless(Async):
            async def received_message(self, message: Any) -> None:  # type: ignore[override]
                waited_for = asyncio.get_running_loop().create_future()
                waited_for.cancel()
                await waited_for

        websocket, peer, _ = await self.connect(Careless)
        with logs() as records:
            peer.text('one', 'two')
            self.assertEqual(await peer.receive(), (CLOSE, b'\x03\xf3'))
            peer.close(1011)
            peer.writer.write_eof()
            await until(lambda: websocket.named('closed'))
        self.assertEqual(websocket.calls[-1], ('closed', 1011, {}))
        self.assertEqual([record.levelname for record in records if record.exc_info], ['ERROR'])

    async def test_what_closed_raises_is_logged_and_that_is_all(self) -> None:
        class Broken(Recorder):
            async def closed(self, code: int, reason: Any = None) -> None:  # type: ignore[override]
                self.close()  # there is nobody left to be told
                raise KeyError('as it was told')

        websocket, peer, _ = await self.connect(Broken)
        with logs() as records:
            peer.writer.close()
            await until(lambda: self.losses)
        self.assertEqual([str(record.exc_info[1]) for record in records if record.exc_info], ["'as it was told'"])
        self.assertEqual((websocket.close_code, websocket.state), (1006, State.CLOSED))

    async def test_closed_is_awaited_in_the_loop_whoever_ends_the_connection(self) -> None:
        class Late(Recorder):
            async def closed(self, code: int, reason: Any = None) -> None:  # type: ignore[override]
                self.calls.append(('closed', threading.get_ident()))

        self.loop.set_debug(True)  # in which the loop tells who calls it from where
        websocket, _, _ = await self.connect(Late)
        await self.loop.run_in_executor(None, websocket.terminate)
        await until(lambda: self.losses)
        self.assertEqual(websocket.calls[1:], [('closed', threading.get_ident())])
        self.assertEqual(websocket.state, State.CLOSED)

    async def test_closed_may_call_init_to_connect_again(self) -> None:
        class Again(Async):
            async def closed(self, code: int, reason: Any = None) -> None:  # type: ignore[override]
                self.sock.close()
                WebSocket.__init__(self, 'another socket')

        websocket, peer, _ = await self.connect(Again)
        peer.close()
        await until(lambda: self.losses)
        self.assertEqual((websocket.sock, websocket.state), ('another socket', State.OPEN))

    async def test_only_some_are_coroutines(self) -> None:
        class Mixed(Async):
            def opened(self) -> None:  # type: ignore[override]
                self.calls.append(('opened',))

            def closed(self, code: int, reason: Any = None) -> None:  # type: ignore[override]
                self.calls.append(('closed', code))

        websocket, peer, connection = await self.connect(Mixed)
        connection._lost = None
        self.losses += 1
        peer.text('one', 'two')
        await until(lambda: websocket.named('done'))
        peer.writer.write(b'\x8a\x80\0\0\0\0')
        await until(lambda: websocket.named('done'))
        peer.close(4000)
        await until(lambda: websocket.named('closed'))
        self.assertEqual(websocket.calls[-1], ('closed', 4000))


if __name__ == '__main__':
    unittest.main()
