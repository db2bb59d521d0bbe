"""What observers are told, on real sockets, by handlers of every kind of driver; and that nobody pays who has none."""

from __future__ import annotations

import asyncio
import gc
import threading
import unittest
import weakref
from typing import Any

from helpers import TIMEOUT, Case, Recorder, RecordingDriver, limited, logs, running, wait_for

from ws4py import async_websocket
from ws4py.broadcasting import broadcast
from ws4py.client import WebSocketBaseClient
from ws4py.client.threadedclient import WebSocketClient
from ws4py.extensions import SharedMessage
from ws4py.framing import OPCODE_TEXT
from ws4py.manager import WebSocketManager
from ws4py.messaging import BinaryMessage, TextMessage
from ws4py.metrics import Connections, Counters, Latency, Observer, Queues, Snapshot, close_label, observed
from ws4py.permessage_deflate import Deflate, PerMessageDeflate
from ws4py.server import asyncioserver
from ws4py.websocket import WebSocket


class Notebook(Observer):
    """Writes down what it is told, and by which connection."""

    def __init__(self) -> None:
        self.notes: list[tuple[Any, ...]] = []
        self.about: set[int] = set()

    def note(self, websocket: WebSocket, *values: Any) -> None:
        self.about.add(id(websocket))
        self.notes.append(values)

    def opened(self, websocket: WebSocket) -> None:
        self.note(websocket, 'opened')

    def closed(self, websocket: WebSocket, code: int) -> None:
        self.note(websocket, 'closed', code)

    def message_received(self, websocket: WebSocket, size: int, binary: bool) -> None:
        self.note(websocket, 'received', size, binary)

    def message_sent(self, websocket: WebSocket, size: int, binary: bool) -> None:
        self.note(websocket, 'sent', size, binary)

    def message_dropped(self, websocket: WebSocket, size: int, binary: bool) -> None:
        self.note(websocket, 'dropped', size, binary)

    def bytes_received(self, websocket: WebSocket, size: int) -> None:
        self.note(websocket, 'bytes in', size)

    def bytes_sent(self, websocket: WebSocket, size: int) -> None:
        self.note(websocket, 'bytes out', size)

    def latency(self, websocket: WebSocket, seconds: float) -> None:
        self.note(websocket, 'latency', seconds)

    def of(self, *names: str) -> list[tuple[Any, ...]]:
        return [note for note in self.notes if note[0] in names]

    def sum(self, name: str) -> int:
        return sum(note[1] for note in self.of(name))


class Echo(Recorder):
    def received_message(self, message: Any) -> None:
        super().received_message(message)
        self.send(message)


class Told(Case):
    def setUp(self) -> None:
        self.notebook = Notebook()

    def test_a_conversation(self) -> None:
        with running(observed(Echo, self.notebook)) as (websocket, peer):
            peer.text('hello')
            self.assertEqual(peer.receive(), (0x81, b'hello'))
            peer.binary(bytes(300))
            self.assertEqual(peer.receive(), (0x82, bytes(300)))
            peer.close(4001)
            self.assertEqual(peer.receive()[0], 0x88)
            self.assertTrue(websocket.over.wait(TIMEOUT))
        notes = [note for note in self.notebook.notes if 'bytes' not in note[0]]
        self.assertEqual(notes[:3], [('opened',), ('received', 5, False), ('sent', 5, False)])
        self.assertEqual(notes[3:], [('received', 300, True), ('sent', 300, True), ('closed', 4001)])
        self.assertEqual(self.notebook.sum('bytes in'), (6 + 5) + (8 + 300) + (6 + 2))
        self.assertEqual(self.notebook.of('bytes out'), [('bytes out', size) for size in (2 + 5, 4 + 300, 2 + 2)])
        self.assertEqual(self.notebook.about, {id(websocket)})
        self.assertEqual([call[0] for call in websocket.calls], ['opened', 'message', 'message', 'closed'])

    def test_it_looks_like_the_handler_class(self) -> None:
        cls = observed(Echo, self.notebook)
        self.assertTrue(issubclass(cls, Echo))
        for name in ('__name__', '__qualname__', '__module__', '__doc__'):
            self.assertEqual(getattr(cls, name), getattr(Echo, name))
        with self.assertRaisesRegex(TypeError, 'Echo is observed already'):
            observed(cls, Notebook())

    def test_an_unobserved_class_is_as_it_was(self) -> None:
        before = dict(vars(Echo))
        observed(Echo, self.notebook)
        self.assertEqual(dict(vars(Echo)), before)
        websocket, _ = self.pair(Echo)
        websocket.send('hello')
        self.assertEqual(self.notebook.notes, [])

    def test_a_large_message_in_front_of_an_outbox_goes_out_whole(self) -> None:
        websocket, peer = self.pair(observed(Recorder, self.notebook))
        websocket.attach(RecordingDriver(), True)
        data = bytes(1_000_000)
        websocket.send(data, True)
        self.assertEqual(self.notebook.of('sent', 'bytes out'), [('bytes out', 1_000_010), ('sent', 1_000_000, True)])

        def read_on() -> None:
            self.assertEqual(peer.receive(), (0x82, data))

        reader = threading.Thread(target=read_on)
        reader.start()
        wait_for(lambda: websocket.flush() and not reader.is_alive())

    def test_fragments_are_one_message(self) -> None:
        websocket, peer = self.pair(observed(Recorder, self.notebook))
        websocket.send(iter([b'abc', b'', b'de']), True)
        websocket.send(iter(['text']))
        self.assertEqual(self.notebook.of('sent'), [('sent', 5, True), ('sent', 4, False)])
        self.assertEqual([peer.receive()[1] for _ in range(4)], [b'abc', b'', b'de', b'text'])
        peer.send(OPCODE_TEXT, b'ab', fin=False)
        peer.send(0, b'cd')
        wait_for(lambda: websocket.once() and self.notebook.of('received'))
        self.assertEqual(self.notebook.of('received'), [('received', 4, False)])

    def test_messages_as_what_they_are(self) -> None:
        websocket, _ = self.pair(observed(Recorder, self.notebook))
        for payload in (TextMessage('a'), BinaryMessage(b'bc'), bytearray(b'def')):
            websocket.send(payload)
        self.assertEqual(self.notebook.of('sent'), [('sent', 1, False), ('sent', 2, True), ('sent', 3, False)])

    def test_control_frames_are_no_messages(self) -> None:
        websocket, peer = self.pair(observed(Recorder, self.notebook))
        websocket.ping(b'ping')
        peer.ping(b'theirs')
        websocket.once()
        websocket.close()
        self.assertEqual(self.notebook.of('sent', 'received'), [])
        self.assertEqual(self.notebook.sum('bytes out'), (2 + 4) + (2 + 6) + (2 + 2))

    def test_sizes_are_those_of_messages_and_bytes_those_of_frames(self) -> None:
        websocket, _ = self.pair(observed(Recorder, self.notebook))
        websocket.use_extensions([Deflate(PerMessageDeflate(), 12, False, 12, False)])
        text = 'hello ' * 1000
        websocket.send(text)
        websocket.send(TextMessage(text))
        self.assertEqual(self.notebook.of('sent'), [('sent', 6000, False)] * 2)
        self.assertLess(self.notebook.sum('bytes out'), 200)

    def test_a_broadcast_is_a_message_of_each(self) -> None:
        websockets = [self.pair(observed(Recorder, self.notebook)) for _ in range(3)]
        broadcast([websocket for websocket, _ in websockets], b'news', binary=True)
        self.assertEqual([peer.receive() for _, peer in websockets], [(0x82, b'news')] * 3)
        self.assertEqual(self.notebook.of('sent', 'bytes out'), [('bytes out', 6), ('sent', 4, True)] * 3)
        self.assertEqual(len(self.notebook.about), 3)

    def test_what_a_slow_peer_does_not_get_is_dropped(self) -> None:
        cls = limited(write_high_water=1000, write_limit=100_000, slow_consumer='drop')
        websocket, _ = self.pair(observed(cls, self.notebook))
        websocket.attach(RecordingDriver(), True)
        sent = 0
        while not self.notebook.of('dropped'):
            websocket.send(bytes(50_000), True)
            sent += 1
        self.assertEqual(self.notebook.of('dropped'), [('dropped', 50_000, True)])
        self.assertEqual(len(self.notebook.of('sent')), sent - 1)
        websocket.send(iter([bytes(60_000), b'never asked for']), True)
        websocket.broadcast(SharedMessage(TextMessage('news' * 25_000)))
        self.assertEqual(len(self.notebook.of('sent')), sent - 1)
        self.assertEqual([size for _, size, _ in self.notebook.of('dropped')][::2], [50_000, 100_000])
        self.assertEqual([binary for *_, binary in self.notebook.of('dropped')], [True, True, False])

    def test_what_waits_behind_a_message_in_progress_is_sent(self) -> None:
        websocket, peer = self.pair(observed(Recorder, self.notebook))
        websocket.attach(RecordingDriver(), True)

        def others() -> None:
            websocket.send(iter(['x', 'yz']))
            websocket.broadcast(SharedMessage(TextMessage('four')))

        def chunks() -> Any:
            yield 'a'
            thread = threading.Thread(target=others)
            thread.start()
            thread.join(TIMEOUT)
            yield 'b'

        websocket.send(chunks())
        self.assertEqual(self.notebook.of('sent'), [('sent', 3, False), ('sent', 4, False), ('sent', 2, False)])
        self.assertEqual([peer.receive()[1] for _ in range(5)], [b'a', b'b', b'x', b'yz', b'four'])

    def test_what_could_not_be_sent_is_not_told(self) -> None:
        websocket, _ = self.pair(observed(Recorder, self.notebook))
        websocket.close()
        before = list(self.notebook.notes)
        for payload in ('text', iter(['a']), TextMessage('b')):
            with self.assertRaises(RuntimeError):
                websocket.send(payload)
        self.assertEqual(self.notebook.notes, before)

    def test_latency(self) -> None:
        cls = limited(ping_interval=0.01, ping_timeout=None)
        with running(observed(cls, self.notebook)) as (websocket, peer):
            peer.pong(b'unasked')
            wait_for(lambda: websocket.named('pong'))
            self.assertEqual(self.notebook.of('latency'), [])
            for count in (1, 2):
                _, payload = peer.receive()
                peer.pong(payload)
                wait_for(lambda count=count: len(self.notebook.of('latency')) == count)
                self.assertEqual(self.notebook.notes[-1], ('latency', websocket.latency))

    def test_a_handler_that_begins_again_in_ponged(self) -> None:
        notebook = self.notebook

        class Again(Recorder):
            def ponged(self, pong: Any) -> None:
                self.__init__(self.sock)  # type: ignore[misc]

        websocket, peer = self.pair(observed(Again, notebook))
        websocket.latency = 1.0
        peer.pong(b'')
        websocket.once()
        self.assertIsNone(websocket.latency)
        self.assertEqual(notebook.of('latency'), [])

    def test_what_never_opened_is_not_closed(self) -> None:
        websocket, _ = self.pair(observed(Recorder, self.notebook))
        websocket.terminate()
        self.assertEqual(websocket.calls, [('closed', 1006, 'Going away')])
        self.assertEqual(self.notebook.notes, [])

    def test_no_bytes_are_no_bytes(self) -> None:
        websocket, _ = self.pair(observed(Recorder, self.notebook))
        self.assertFalse(websocket.process(b''))  # as when the driver goes on with what it has
        self.assertEqual(self.notebook.notes, [])

    def test_opened_is_told_once(self) -> None:
        websocket, _ = self.pair(observed(Recorder, self.notebook))
        for _ in range(2):  # as when it goes from one manager to another
            websocket.opened()
        self.assertEqual((self.notebook.notes, len(websocket.calls)), ([('opened',)], 2))

    def test_several_observers_and_one_that_raises(self) -> None:
        class Broken(Observer):
            def __getattribute__(self, name: str) -> Any:
                raise OSError('the disk is full')

        with logs() as records, running(observed(Echo, Broken(), self.notebook)) as (websocket, peer):
            peer.text('hello')
            self.assertEqual(peer.receive(), (0x81, b'hello'))
            peer.close(1000)
            self.assertEqual(peer.receive()[0], 0x88)
            self.assertTrue(websocket.over.wait(TIMEOUT))
        self.assertEqual(self.notebook.of('closed'), [('closed', 1000)])
        errors = [record for record in records if record.levelname == 'ERROR']
        self.assertEqual(len(errors), len(self.notebook.notes))
        self.assertRegex(errors[0].getMessage(), r'^opened\(\) of .* raised$')
        self.assertEqual({str(record.exc_info[1]) for record in errors if record.exc_info}, {'the disk is full'})

    def test_an_observer_that_does_nothing(self) -> None:
        with running(observed(limited(Echo, ping_interval=0.01), Observer())) as (_, peer):
            self.assertEqual(peer.receive()[0], 0x89)
            peer.text('hello')
            wait_for(lambda: peer.receive() == (0x81, b'hello'))
        Observer().message_dropped(self.pair()[0], 1, True)
        Observer().latency(self.pair()[0], 1.0)


class Everywhere(unittest.TestCase):
    """Under the manager, on asyncio with hooks that are coroutines and with recv(), and in clients that come again."""

    def setUp(self) -> None:
        self.counters = Counters()

    def test_a_client_that_connects_again(self) -> None:
        manager = WebSocketManager()
        manager.start()
        self.addCleanup(manager.join)
        self.addCleanup(manager.stop)
        self.addCleanup(manager.close_all)
        theirs = Counters()

        async def serve() -> None:
            async with asyncioserver.serve(observed(async_websocket.EchoWebSocket, theirs), '127.0.0.1', 0) as server:
                port = server.sockets[0].getsockname()[1]
                await asyncio.get_running_loop().run_in_executor(None, visit, port)

        def visit(port: int) -> None:
            client = observed(WebSocketClient, self.counters)(f'ws://127.0.0.1:{port}/')
            for visit in (1, 2):
                if visit == 2:
                    client.__init__(client.url)  # type: ignore[misc]
                client.connect()
                client.send('hello')
                wait_for(lambda visit=visit: self.counters.snapshot().text_received == visit)
                self.assertEqual(self.counters.snapshot().connections, 1)
                client.close(reason='enough')
                client.run_forever()
                self.assertEqual(self.counters.snapshot().connections, 0)
            many = observed(WebSocketBaseClient, self.counters)(f'ws://127.0.0.1:{port}/')
            many.connect()
            manager.add(many)
            many.send(b'hello', binary=True)
            wait_for(lambda: self.counters.snapshot().binary_received == 1)
            many.close(3000)
            wait_for(lambda: self.counters.snapshot().closes == {'1000': 2, 'other': 1})

        asyncio.run(serve())
        mine, other = self.counters.snapshot(), theirs.snapshot()
        self.assertEqual((mine.opened, mine.text_sent, mine.binary_sent), (3, 2, 1))
        self.assertEqual((other.opened, other.text_received, other.binary_received), (3, 2, 1))
        self.assertEqual((other.text_sent, other.binary_sent), (2, 1))
        self.assertEqual((mine.bytes_sent, mine.bytes_received), (other.bytes_received, other.bytes_sent))
        self.assertEqual(mine.closes, other.closes)

    def test_coroutines(self) -> None:
        class Talks(async_websocket.WebSocket):
            async def opened(self) -> None:
                await self.send('welcome')
                async for message in self:
                    await self.send(message)

            async def closed(self, code: int, reason: Any = None) -> None:
                ends.append(code)

        ends: list[int] = []

        class Hears(WebSocketClient):
            def received_message(self, message: Any) -> None:
                heard.append(str(message))
                if len(heard) == 3:
                    self.close()

        heard: list[str] = []

        def visit(port: int) -> None:
            client = Hears(f'ws://127.0.0.1:{port}/')
            client.connect()
            client.send('one')
            client.send('two')
            client.run_forever()

        async def serve() -> None:
            async with asyncioserver.serve(observed(Talks, self.counters), '127.0.0.1', 0) as server:
                port = server.sockets[0].getsockname()[1]
                await asyncio.get_running_loop().run_in_executor(None, visit, port)

        asyncio.run(serve())
        self.assertEqual((heard, ends), (['welcome', 'one', 'two'], [1000]))
        snapshot = self.counters.snapshot()
        self.assertEqual((snapshot.text_received, snapshot.text_sent, snapshot.closes), (2, 3, {'1000': 1}))


class Counted(Case):
    def test_nothing_yet(self) -> None:
        self.assertEqual(Counters().snapshot(), Snapshot())
        self.assertEqual(Counters().snapshot().latency, Latency(0, 0.0, 0.0, 0.0))

    def test_a_snapshot_stays_as_it_is(self) -> None:
        counters = Counters()
        websocket, _ = self.pair(observed(Recorder, counters))
        websocket.opened()
        first = counters.snapshot()
        websocket.terminate()
        self.assertEqual((first.connections, first.closes), (1, {}))
        self.assertEqual(counters.snapshot().closes, {'1006': 1})

    def test_latency_and_drops(self) -> None:
        counters, websocket = Counters(), self.pair()[0]
        for seconds in (0.5, 2.0, 0.25):
            counters.latency(websocket, seconds)
        counters.message_dropped(websocket, 10, False)
        snapshot = counters.snapshot()
        self.assertEqual(snapshot.latency, Latency(count=3, total=2.75, longest=2.0, last=0.25))
        self.assertEqual(snapshot.dropped, 1)

    def test_queues_are_looked_up(self) -> None:
        counters = Counters()
        websockets = [self.pair(observed(limited(), counters))[0] for _ in range(3)]
        for websocket in websockets:
            websocket.attach(RecordingDriver(), True)
            websocket.opened()
        for websocket, size in zip(websockets, (0, 2_000_000, 3_000_000)):
            websocket.limits = limited(write_limit=10_000_000).limits
            websocket.send(bytes(size), True)
        sizes = [websocket._outbox.size for websocket in websockets]
        self.assertEqual(sizes[0], 0)
        self.assertGreater(sizes[1], 0)
        self.assertEqual(counters.snapshot().queues, Queues(sum(sizes), max(sizes)))
        for websocket in websockets:
            websocket.terminate()
        self.assertEqual(counters.snapshot().queues, Queues(0, 0))

    def test_nothing_is_kept_of_connections_that_are_gone(self) -> None:
        counters = Counters()
        websocket, _ = self.pair(observed(Recorder, counters))
        websocket.opened()
        gone = weakref.ref(websocket)
        self.assertEqual(counters.snapshot().connections, 1)
        del websocket  # nobody has told that it ended
        wait_for(lambda: (gc.collect(), gone())[1] is None)
        self.assertEqual(counters.snapshot().connections, 0)

    def test_labels_are_few(self) -> None:
        labels = {close_label(code) for code in range(-1, 66000)}
        self.assertEqual(labels, {*map(str, range(1000, 1016)), 'other'})

    def test_many_threads(self) -> None:
        counters, connections = Counters(), Connections()
        websockets = [self.pair(observed(Recorder, counters))[0] for _ in range(4)]
        stopped = threading.Event()

        def look() -> None:
            while not stopped.is_set():
                counters.snapshot()
                connections.queues()

        def work(websocket: Any) -> None:
            for _ in range(2000):
                counters.bytes_received(websocket, 3)
                counters.message_received(websocket, 3, True)
                connections.add(websocket)
                connections.remove(websocket)
                counters.closed(websocket, 1000)

        looker = threading.Thread(target=look)
        workers = [threading.Thread(target=work, args=(websocket,)) for websocket in websockets]
        for thread in (looker, *workers):
            thread.start()
        for thread in workers:
            thread.join()
        stopped.set()
        looker.join()
        snapshot = counters.snapshot()
        self.assertEqual((snapshot.bytes_received, snapshot.binary_received), (24_000, 8000))
        self.assertEqual((snapshot.closes, len(connections)), ({'1000': 8000}, 0))


if __name__ == '__main__':
    unittest.main()
