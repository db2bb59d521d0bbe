"""Driving a connection on an asyncio loop: timers, other threads, room for senders, hooks that are coroutines."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import unittest
from typing import Any, Callable

from helpers import Recorder, limited, logs
from support_transport import CLOSE, KIB, TEXT, TransportCase, until

from ws4py.asyncdriving import CROWD, AsyncioDriver, Backlog
from ws4py.messaging import BinaryMessage
from ws4py.sending import NotOpenError
from ws4py.state import State
from ws4py.websocket import WebSocket


class Timers(TransportCase):
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
                assert isinstance(self._driver, AsyncioDriver)
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
    def test_an_empty_one(self) -> None:
        backlog = Backlog(100)
        for _ in range(2):
            self.assertEqual(len(backlog), 0)
            with self.assertRaises(IndexError):
                backlog.popleft()
            backlog.append(BinaryMessage(b'x'))
            backlog.popleft()

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

    async def test_one_that_goes_on_for_ever_does_not_keep_the_peer_from_closing(self) -> None:
        class Push(Async):
            async def opened(self) -> None:  # type: ignore[override]
                while True:
                    self.send('tick')
                    await asyncio.sleep(0.001)

        websocket, peer, connection = await self.connect(Push)
        self.assertEqual(await peer.receive(), (TEXT, b'tick'))
        peer.close()
        while (await peer.receive())[0] != CLOSE:
            pass
        self.assertEqual(await peer.reader.read(), b'')
        await until(lambda: connection.over and not connection._task)
        self.assertEqual(websocket.calls, [('closed', 1000, {})])

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
