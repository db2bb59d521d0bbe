"""The WebSocket for coroutines, on real transports: what can be awaited, and messages that are asked for."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import unittest
import weakref
from typing import Any, Optional
from unittest.mock import patch

from helpers import frame, limited, logs
from support_transport import CLOSE, KIB, TEXT, AsyncPeer, TransportCase, until

from ws4py.async_websocket import EchoWebSocket, Moment, WebSocket
from ws4py.asyncdriving import CROWD
from ws4py.exc import StreamClosed
from ws4py.framing import OPCODE_PING, OPCODE_PONG, OPCODE_TEXT
from ws4py.messaging import BinaryMessage, TextMessage
from ws4py.state import State
from ws4py.transport import TransportConnection

PING = frame(OPCODE_PING, b'?', masked=True)


class Asked(WebSocket):
    """A connection whose messages are asked for. It notes its end."""

    end: Optional[tuple[int, Any]] = None

    def closed(self, code: int, reason: Any = None) -> None:
        self.end = (code, reason)


class Hooked(Asked):
    """A connection whose messages go to its hook."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.messages: list[bytes] = []

    def received_message(self, message: Any) -> None:
        self.messages.append(message.data)


class AsyncCase(TransportCase):
    async def connect(
        self, cls: Any = Asked, tls: bool = False, **limits: Any
    ) -> tuple[Any, AsyncPeer, TransportConnection]:
        return await super().connect(cls, tls, **limits)

    async def within(self, awaitable: Any) -> Any:
        return await asyncio.wait_for(awaitable, 10)

    def fill(self, websocket: Any, peer: AsyncPeer) -> None:
        """Let the peer stop reading, and send until there is no room."""
        peer.writer.transport.pause_reading()  # type: ignore[attr-defined]
        while websocket.has_room:
            websocket.send(bytes(64 * KIB), True)


class Recv(AsyncCase):
    async def test_any_number_of_pings_and_pongs_beside_an_iteration_in_opened(self) -> None:
        class Chat(Asked):
            async def opened(self) -> None:  # type: ignore[override]
                async for message in self:
                    await self.send(f'you said {message}')

        _, peer, _ = await self.connect(Chat)
        for _ in range(3 * CROWD):
            peer.writer.write(PING + frame(OPCODE_PONG, b'!', masked=True))
            self.assertEqual(await self.within(peer.receive()), (0x80 | OPCODE_PONG, b'?'))
        peer.text('hello')
        self.assertEqual(await self.within(peer.receive()), (TEXT, b'you said hello'))

    async def test_messages_that_came_before_and_one_that_comes(self) -> None:
        websocket, peer, _ = await self.connect()
        peer.text('one', 'two')
        await until(lambda: len(websocket._inbox) == 2)
        first = await websocket.recv()
        self.assertIsInstance(first, TextMessage)
        self.assertEqual([str(first), str(await websocket.recv())], ['one', 'two'])
        waiting = self.loop.create_task(websocket.recv())
        await asyncio.sleep(0)
        peer.writer.write(frame(2, b'three', masked=True))
        third = await self.within(waiting)
        self.assertIsInstance(third, BinaryMessage)
        self.assertEqual(third.data, b'three')

    async def test_the_end(self) -> None:
        for code, reason in ((1000, ''), (1001, 'leaving'), (4000, 'bÿe')):
            with self.subTest(code):
                websocket, peer, _ = await self.connect()
                waiting = self.loop.create_task(websocket.recv())
                await asyncio.sleep(0)
                peer.text('last')
                peer.writer.write(frame(8, code.to_bytes(2, 'big') + reason.encode(), masked=True))
                self.assertEqual((await self.within(waiting)).data, b'last')
                for _ in range(2):
                    with self.assertRaises(StreamClosed) as caught:
                        await self.within(websocket.recv())
                    self.assertEqual((caught.exception.code, caught.exception.reason), (code, reason))
                await until(lambda: websocket.end)  # noqa: B023
                self.assertEqual(websocket.end, (code, reason.encode()))

    async def test_one_that_waits_learns_of_the_end(self) -> None:
        async def gone(peer: AsyncPeer, websocket: Any) -> None:
            peer.writer.transport.abort()

        async def mistaken(peer: AsyncPeer, websocket: Any) -> None:
            peer.writer.write(b'\xf1\x80\0\0\0\0')

        async def dropped(peer: AsyncPeer, websocket: Any) -> None:
            websocket.abort(1008, 'enough')

        async def elsewhere(peer: AsyncPeer, websocket: Any) -> None:
            await self.loop.run_in_executor(None, websocket.terminate)

        for way, code in ((gone, 1006), (mistaken, 1002), (dropped, 1008), (elsewhere, 1006)):
            with self.subTest(way.__name__), logs():
                websocket, peer, _ = await self.connect()
                waiting = self.loop.create_task(websocket.recv())
                await asyncio.sleep(0)
                await way(peer, websocket)
                with self.assertRaises(StreamClosed) as caught:
                    await self.within(waiting)
                self.assertEqual(caught.exception.code, code)

    async def test_cancelled_it_loses_no_message(self) -> None:
        websocket, peer, connection = await self.connect()
        waiting = self.loop.create_task(websocket.recv())
        await asyncio.sleep(0)
        connection.data_received(frame(OPCODE_TEXT, b'one', masked=True))
        waiting.cancel()  # at the very moment at which it would have returned
        with self.assertRaises(asyncio.CancelledError):
            await waiting
        self.assertEqual(str(await self.within(websocket.recv())), 'one')
        with self.assertRaises(asyncio.TimeoutError):
            await asyncio.wait_for(websocket.recv(), 0.01)
        peer.text('two')
        self.assertEqual(str(await self.within(websocket.recv())), 'two')

    async def test_one_at_a_time(self) -> None:
        websocket, peer, _ = await self.connect()
        waiting = self.loop.create_task(websocket.recv())
        await asyncio.sleep(0)
        with self.assertRaisesRegex(RuntimeError, 'another coroutine waits in recv'):
            await websocket.recv()
        peer.text('one')
        self.assertEqual(str(await self.within(waiting)), 'one')

    async def test_not_beside_a_hook(self) -> None:
        websocket, peer, _ = await self.connect(Hooked)
        with self.assertRaisesRegex(RuntimeError, r'received_message\(\) of Hooked gets the messages'):
            await websocket.recv()
        websocket, peer, _ = await self.connect()
        messages: list[Any] = []
        websocket.received_message = messages.append
        peer.text('one')
        await until(lambda: messages)
        with self.assertRaises(RuntimeError):
            await websocket.recv()

    async def test_not_before_the_connection_is_open(self) -> None:
        websocket = WebSocket(None)
        websocket.state = State.CONNECTING
        with self.assertRaisesRegex(RuntimeError, 'before connect'):
            await websocket.recv()

    async def test_init_again_is_another_connection(self) -> None:
        websocket, _, connection = await self.connect()
        waiting = self.loop.create_task(websocket.recv())
        over = self.loop.create_task(websocket.wait_closed())
        await asyncio.sleep(0)
        with logs():
            websocket.terminate()
        websocket.__init__(None)
        with self.assertRaises(StreamClosed):
            await self.within(waiting)
        await self.within(over)
        self.assertIsNone(websocket._inbox.end)
        self.assertTrue(connection.over)

    async def test_a_message_taken_from_the_last_connection(self) -> None:
        websocket, _, connection = await self.connect()
        waiting = self.loop.create_task(websocket.recv())
        await asyncio.sleep(0)
        connection.data_received(frame(OPCODE_TEXT, b'one', masked=True))
        websocket.terminate()
        websocket.__init__(None)
        self.assertEqual(str(await self.within(waiting)), 'one')


class Iteration(AsyncCase):
    async def test_regular_ends(self) -> None:
        for close in (b'\x03\xe8', b'\x03\xe9', b''):
            with self.subTest(close):
                websocket, peer, _ = await self.connect()
                peer.text('one', 'two')
                peer.writer.write(frame(8, close, masked=True))
                self.assertEqual([str(message) async for message in websocket], ['one', 'two'])
                self.assertEqual([message async for message in websocket], [])

    async def test_other_ends_are_errors(self) -> None:
        for close, code in ((b'\x03\xf3', 1011), (b'\x0f\xa0', 4000), (None, 1006)):
            with self.subTest(code):
                websocket, peer, _ = await self.connect()
                peer.text('one')
                if close is None:
                    peer.writer.close()
                else:
                    peer.writer.write(frame(8, close, masked=True))
                seen = []
                with self.assertRaises(StreamClosed) as caught:
                    async for message in websocket:
                        seen.append(str(message))
                self.assertEqual((seen, caught.exception.code), (['one'], code))
                self.assertEqual(websocket.close_code, code)  # already

    async def test_in_opened(self) -> None:
        class Chat(Asked):
            async def opened(self) -> None:
                async for message in self:
                    await self.send(f'you said {message}')
                self.talked = True

            async def closed(self, code: int, reason: Any = None) -> None:
                self.end = (code, self.talked)

        websocket, peer, _ = await self.connect(Chat)
        for text in ('one', 'two'):
            peer.text(text)
            self.assertEqual(await peer.receive(), (TEXT, f'you said {text}'.encode()))
        peer.writer.write(PING)
        self.assertEqual(await peer.receive(), (0x8A, b'?'))
        peer.close()
        self.assertEqual(await peer.receive(), (CLOSE, b'\x03\xe8'))
        self.assertEqual(await peer.reader.read(), b'')
        await until(lambda: websocket.end)
        self.assertEqual(websocket.end, (1000, True))

    async def test_what_came_before_the_close_is_answered_before_it(self) -> None:
        class Thoughtful(Asked):
            async def opened(self) -> None:
                async for message in self:
                    await asyncio.sleep(0.01)
                    self.send(f'you said {message}')

        _, peer, _ = await self.connect(Thoughtful)
        peer.text('one', 'two', 'three')
        peer.close()
        frames = [await peer.receive() for _ in range(4)]
        self.assertEqual(
            [data for _, data in frames], [b'you said one', b'you said two', b'you said three', b'\x03\xe8']
        )

    async def test_opened_that_meets_the_end_has_not_failed(self) -> None:
        class Impatient(Asked):
            async def opened(self) -> None:
                while True:
                    await self.recv()

        for close, code in ((b'\x03\xe8', 1000), (b'\x0f\xa0', 4000)):
            websocket, peer, _ = await self.connect(Impatient)
            with logs(20) as records:
                peer.writer.write(frame(8, close, masked=True))
                await until(lambda: websocket.end)  # noqa: B023
            self.assertEqual(websocket.end, (code, b''))
            self.assertEqual([record.getMessage() for record in records], [])

    async def test_opened_that_meets_the_end_of_another_connection_has(self) -> None:
        class Relay(Asked):
            async def opened(self) -> None:
                raise StreamClosed(1006, 'that of somebody else')

        with logs():
            _, peer, _ = await self.connect(Relay)
            self.assertEqual(await peer.receive(), (CLOSE, b'\x03\xf3'))

    async def test_a_slow_consumer_gets_everything(self) -> None:
        """Though the peer has long gone, and the close timeout is short."""
        heard: list[str] = []

        class Slow(Asked):
            async def opened(self) -> None:
                async for message in self:
                    await asyncio.sleep(0.03)
                    heard.append(str(message))

        websocket, peer, _ = await self.connect(limited(Slow, close_timeout=0.1))
        peer.text(*map(str, range(10)))
        peer.close()
        await until(lambda: websocket.end)
        self.assertEqual(heard, [str(number) for number in range(10)])


class Bounds(AsyncCase):
    async def flood(self, websocket: Any, peer: AsyncPeer, connection: TransportConnection, text: str = 'x') -> int:
        """Send until nothing is read any more; returns how many messages that were."""
        peer.text(*([text] * 1000))
        await until(lambda: websocket.watched[1])
        self.assertFalse(connection._transport.is_reading())
        return 1000

    async def test_by_number(self) -> None:
        websocket, peer, connection = await self.connect()
        with logs() as records:
            sent = await self.flood(websocket, peer, connection)
        self.assertEqual(len(websocket._inbox), CROWD)
        self.assertEqual([record.getMessage()[:30] for record in records], ['16 messages wait for recv(), n'])
        peer.close()
        with logs() as records:
            self.assertEqual(len([message async for message in websocket]), sent)
        self.assertEqual([record for record in records if record.levelname == 'WARNING'], [])

    async def test_by_size(self) -> None:
        websocket, peer, connection = await self.connect(write_high_water=10 * KIB)
        with logs():
            sent = await self.flood(websocket, peer, connection, 'x' * KIB)
        self.assertEqual(len(websocket._inbox), 11)
        for _ in range(sent):
            await websocket.recv()
        self.assertTrue(connection._transport.is_reading())

    async def test_pings_are_answered_while_messages_wait(self) -> None:
        websocket, peer, _ = await self.connect()
        peer.text(*(['x'] * (CROWD - 1)))
        peer.writer.write(PING)
        self.assertEqual(await peer.receive(), (0x8A, b'?'))
        self.assertEqual(len(websocket._inbox), CROWD - 1)

    async def test_our_close_finds_the_answer_behind_them(self) -> None:
        websocket, peer, connection = await self.connect()
        with logs():
            await self.flood(websocket, peer, connection)
            closing = websocket.close(4000)
            while (await peer.receive())[0] != CLOSE:
                pass
            peer.close(4000)
            await self.within(closing)
        self.assertEqual(websocket.end, (4000, b''))
        self.assertEqual(len(websocket._inbox), CROWD)
        for _ in range(CROWD):
            await websocket.recv()
        with self.assertRaises(StreamClosed):
            await websocket.recv()

    async def test_hooks_and_messages_are_counted_apart(self) -> None:
        go = asyncio.Event()

        class Busy(Asked):
            pongs = 0

            async def ponged(self, pong: Any) -> None:
                await go.wait()
                self.pongs += 1

        websocket, peer, _ = await self.connect(Busy)
        with logs():
            peer.text(*(['x'] * (CROWD - 2)))
            peer.writer.write(b'\x8a\x80\0\0\0\0' * (CROWD + 1))
            await until(lambda: websocket.watched[1])
            await websocket.recv()
            self.assertTrue(websocket.watched[1])
            go.set()
            await until(lambda: websocket.pongs == CROWD + 1)
            self.assertFalse(websocket.watched[1])

    async def test_a_connection_that_is_lost_leaves_what_it_brought(self) -> None:
        websocket, peer, connection = await self.connect()
        with logs():
            await self.flood(websocket, peer, connection)
            connection._transport.abort()
            await until(lambda: websocket.end)
        self.assertEqual(websocket.end, (1006, 'Going away'))
        heard = 0
        with self.assertRaises(StreamClosed):
            while True:
                await websocket.recv()
                heard += 1
        self.assertGreater(heard, CROWD)


class Sending(AsyncCase):
    async def test_it_acts_at_once(self) -> None:
        websocket, peer, _ = await self.connect()
        websocket.send('one')
        websocket.ping()
        websocket.ping(b'!')
        await websocket.send('two')
        await websocket.ping()
        for expected in ((TEXT, b'one'), (0x89, b''), (0x89, b'!'), (TEXT, b'two'), (0x89, b'')):
            self.assertEqual(await peer.receive(), expected)
        with self.assertRaises(ValueError):
            websocket.send(5)
        websocket.close()
        with self.assertRaises(RuntimeError):
            websocket.send('late')

    async def test_it_waits_for_room(self) -> None:
        websocket, peer, _ = await self.connect(write_high_water=64 * KIB)
        self.fill(websocket, peer)
        sending = [asyncio.ensure_future(websocket.send('one')), asyncio.ensure_future(websocket.ping())]
        await asyncio.sleep(0.01)
        self.assertEqual([task.done() for task in sending], [False, False])
        peer.writer.transport.resume_reading()  # type: ignore[attr-defined]
        while not all(task.done() for task in sending):
            await peer.receive()
        await asyncio.gather(*sending)

    async def test_and_learns_of_the_end(self) -> None:
        websocket, peer, _ = await self.connect(write_high_water=64 * KIB)
        self.fill(websocket, peer)
        sending = asyncio.ensure_future(websocket.send('one'))
        await asyncio.sleep(0)
        with logs():
            peer.writer.transport.abort()
            with self.assertRaises(RuntimeError):
                await self.within(sending)
        await until(lambda: websocket.end)
        self.assertEqual(websocket.end[0], 1006)
        with self.assertRaises(RuntimeError):
            websocket.send('late')

    async def test_awaited_after_the_end_it_returns(self) -> None:
        websocket, _, _ = await self.connect()
        sent = websocket.send('one')
        websocket.terminate()
        await self.within(sent)

    async def test_in_a_hook(self) -> None:
        class Generous(Asked):
            sent = 0

            async def opened(self) -> None:
                while True:
                    await self.send(bytes(64 * KIB), True)
                    self.sent += 1

        websocket, peer, _ = await self.connect(limited(Generous, write_high_water=64 * KIB))
        with logs(40) as records:
            for _ in range(10):
                await peer.receive()
            self.assertLess(websocket.sent, 100)
            peer.writer.transport.abort()
            await until(lambda: websocket.end)
        self.assertEqual(records, [])

    async def test_from_another_thread(self) -> None:
        websocket, peer, _ = await self.connect()

        def talk() -> None:
            websocket.send('one')
            websocket.ping()
            websocket.close(4000)

        await self.loop.run_in_executor(None, talk)
        self.assertEqual([(await peer.receive())[0] for _ in range(3)], [TEXT, 0x89, CLOSE])
        peer.close(4000)
        await self.within(websocket.wait_closed())

    async def test_echo(self) -> None:
        _, peer, _ = await self.connect(EchoWebSocket)
        peer.text('one')
        self.assertEqual(await peer.receive(), (TEXT, b'one'))


class Closing(AsyncCase):
    async def test_it_waits_for_the_end(self) -> None:
        class Late(Asked):
            async def closed(self, code: int, reason: Any = None) -> None:
                await asyncio.sleep(0.02)
                self.end = (code, reason)

        websocket, peer, _ = await self.connect(Late)
        closing = asyncio.ensure_future(websocket.close(4000, 'bye'))
        self.assertEqual(await peer.receive(), (CLOSE, b'\x0f\xa0bye'))
        self.assertFalse(closing.done())
        peer.close(4000)
        await self.within(closing)
        self.assertEqual(websocket.end, (4000, b''))
        await websocket.close()
        await websocket.wait_closed()

    async def test_a_peer_that_does_not_answer(self) -> None:
        websocket, _, _ = await self.connect(close_timeout=0.05)
        await self.within(websocket.close())
        self.assertEqual(websocket.end, (1006, 'Going away'))

    async def test_in_a_hook_it_waits_for_the_handshake_only(self) -> None:
        class Short(Asked):
            async def opened(self) -> None:
                await self.close(4000)
                self.answered = self.end is None and self.stream.closing is not None

        class Divided(Asked):
            async def opened(self) -> None:
                await asyncio.gather(self.end_it(), self.recv(), return_exceptions=True)
                self.answered = self.end is None and self.stream.closing is not None

            async def end_it(self) -> None:
                await self.close(4000)

        for cls in (Short, Divided):
            with self.subTest(cls.__name__):
                websocket, peer, _ = await self.connect(cls)
                self.assertEqual(await peer.receive(), (CLOSE, b'\x0f\xa0'))
                peer.close(4000)
                await until(lambda: websocket.end)  # noqa: B023
                self.assertEqual((websocket.answered, websocket.end), (True, (4000, b'')))

    async def test_closed_that_waits_for_who_waits_for_the_end(self) -> None:
        class Knot(Asked):
            def opened(self) -> None:
                self.task = asyncio.ensure_future(self.talk())

            async def talk(self) -> None:
                await self.close(4000)

            async def closed(self, code: int, reason: Any = None) -> None:
                await self.task
                self.end = (code, reason)

        websocket, peer, _ = await self.connect(limited(Knot, close_timeout=0.05))
        peer.close(4000)
        await until(lambda: websocket.end)

    async def test_one_that_nobody_drives(self) -> None:
        websocket = WebSocket(None)
        await self.within(websocket.wait_closed())
        websocket.terminate()
        websocket = WebSocket(None)
        websocket.state = State.CONNECTING
        await self.within(websocket.close())

    async def test_nothing_is_left(self) -> None:
        peer, connection = (await self.connect())[1:]
        reference = weakref.ref(connection.websocket)
        peer.text('unread')
        peer.close()
        await until(lambda: self.losses)
        self.assertEqual(connection.websocket.close_code, 1000)
        connection.websocket = None  # type: ignore[assignment]  # the test itself has it
        gc.collect()
        self.assertIsNone(reference())


class Moments(unittest.TestCase):
    def test_one_that_nobody_can_wait_for_any_more(self) -> None:
        moment = Moment()
        loop = asyncio.new_event_loop()
        waiting = loop.create_task(moment.wait(60))
        loop.call_soon(loop.stop)
        loop.run_forever()
        waiting.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            loop.run_until_complete(waiting)
        moment._waiting = (loop.create_future(),)
        loop.close()
        moment.happen()

    def test_who_gives_up_leaves_nothing_behind(self) -> None:
        async def main() -> None:
            moment = Moment()
            for _ in range(10):
                with self.assertRaises(asyncio.TimeoutError):
                    await asyncio.wait_for(moment.wait(), 0.001)
            await moment.wait(0.001)
            self.assertEqual(moment._waiting, ())

        asyncio.run(main())

    def test_one_that_happens_while_somebody_begins_to_wait(self) -> None:
        """In another thread; here, where the loop makes the future."""

        async def main() -> None:
            moment, loop = Moment(), asyncio.get_running_loop()
            future = loop.create_future()
            waiting = moment.wait()
            with patch.object(loop, 'create_future', lambda: moment.happen() or future):
                with self.assertRaises(StopIteration):  # it has not waited
                    waiting.send(None)

        asyncio.run(main())

    def test_one_that_is_past(self) -> None:
        async def main() -> None:
            moment = Moment()
            waiting = [asyncio.ensure_future(moment.wait(limit)) for limit in (None, 60, 0.001)]
            await waiting[2]
            moment.happen()
            await asyncio.wait_for(asyncio.gather(*waiting), 10)
            await moment.wait()

        asyncio.run(main())


if __name__ == '__main__':
    unittest.main()
