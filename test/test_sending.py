"""Sending from any thread, on real sockets: whole frames, whole messages, in order; and who has to wait for whom.

The queue in front of a non-blocking socket is driven by the test itself, through a driver that notes what it is asked.
"""

from __future__ import annotations

import collections
import random
import socket
import threading
import unittest
from collections.abc import Iterator
from typing import Any, Callable, Optional

from helpers import TIMEOUT, Peer, Recorder, RecordingDriver, logs, running, wait_for

from ws4py.extensions import SharedMessage
from ws4py.framing import OPCODE_TEXT, build_frame
from ws4py.limits import Limits
from ws4py.messaging import BinaryMessage, CloseControlMessage, PingControlMessage, PongControlMessage, TextMessage
from ws4py.permessage_deflate import Deflate, PerMessageDeflate
from ws4py.sending import Driver
from ws4py.state import State
from ws4py.streaming import Stream

TEXT, BINARY, MORE, LAST = 0x81, 0x82, 0x00, 0x80  # first bytes of frames
CLOSE, PING, PONG = 0x88, 0x89, 0x8A
KIB = 1024


class Worker(threading.Thread):
    """Calls something in a thread and keeps what it raises."""

    def __init__(self, call: Callable[[], Any]) -> None:
        super().__init__(daemon=True)
        self.call = call
        self.error: Optional[BaseException] = None
        self.start()

    def run(self) -> None:
        try:
            self.call()
        except BaseException as error:
            self.error = error

    def outcome(self) -> None:
        self.join(TIMEOUT)
        assert not self.is_alive(), 'it hangs'
        if self.error is not None:
            raise self.error


class Gate:
    """Chunks that come when the test lets them."""

    def __init__(self, *chunks: str, error: Optional[Exception] = None) -> None:
        self.chunks = chunks
        self.error = error
        self.begun = threading.Event()
        self.open = threading.Event()

    def __iter__(self) -> Iterator[str]:
        for at, chunk in enumerate(self.chunks):
            if at == 2:  # the first one is on its way, the second one held back
                self.begun.set()
                assert self.open.wait(TIMEOUT)
                if self.error is not None:
                    raise self.error
            yield chunk


class Blocking(unittest.TestCase):
    def test_eight_threads_whole_and_fragmented_with_pings_between(self) -> None:
        rounds = 25

        def send(websocket: Any, name: int) -> None:
            for at in range(rounds):
                text = f'{name}:{at}:' + chr(97 + name) * (at * 211 % 3000)
                if at % 3 == 0:
                    websocket.send(text)
                elif at % 3 == 1:
                    websocket.send(text[start : start + 97] for start in range(0, len(text), 97))
                else:
                    websocket.send(iter([text.encode()[:5], memoryview(text.encode()[5:])]), binary=True)
                websocket.ping(f'{name}:{at}'.encode())

        with running() as (websocket, peer):
            workers = [Worker(lambda name=name: send(websocket, name)) for name in range(8)]  # type: ignore[misc]
            messages: dict[int, list[str]] = collections.defaultdict(list)
            pings = 0
            parts: list[bytes] = []
            while pings < 8 * rounds or sum(map(len, messages.values())) < 8 * rounds:
                first, payload = peer.receive()
                if first == PING:
                    pings += 1
                    continue
                self.assertEqual(bool(first & 0x0F), not parts, 'a fragment stands in another message')
                parts.append(payload)
                if first & 0x80:
                    text = b''.join(parts).decode()
                    parts = []
                    messages[int(text.partition(':')[0])].append(text)
            for worker in workers:
                worker.outcome()
        for name in range(8):
            expected = [f'{name}:{at}:' + chr(97 + name) * (at * 211 % 3000) for at in range(rounds)]
            self.assertEqual(messages[name], expected)

    def test_iterables_are_fragments(self) -> None:
        for payload, frames in [
            ((chunk for chunk in ('a', b'b', bytearray(b'c'))), [(1, b'a'), (MORE, b'b'), (LAST, b'c')]),
            (['one', 'two'], [(1, b'one'), (LAST, b'two')]),
            (('alone',), [(TEXT, b'alone')]),
            (iter(()), [(TEXT, b'')]),
            ([], [(TEXT, b'')]),
            (range(0), [(TEXT, b'')]),
            ([''], [(TEXT, b'')]),
        ]:
            with self.subTest(payload=payload), running() as (websocket, peer):
                websocket.send(payload)
                self.assertEqual([peer.receive() for _ in frames], frames)

    def test_whole_ones(self) -> None:
        for payload, binary, frame in [
            ('é', False, (TEXT, b'\xc3\xa9')),
            ('é', True, (TEXT, b'\xc3\xa9')),
            (b'bytes', False, (TEXT, b'bytes')),
            (b'bytes', True, (BINARY, b'bytes')),
            (bytearray(b'array'), True, (BINARY, b'array')),
            (memoryview(b'view'), True, (BINARY, b'view')),
            (memoryview(b'view'), False, (TEXT, b'view')),
            (TextMessage('text'), True, (TEXT, b'text')),
            (BinaryMessage(b'binary'), False, (BINARY, b'binary')),
            (PingControlMessage(b'ping'), False, (PING, b'ping')),
            (PongControlMessage(b'pong'), False, (PONG, b'pong')),
            (CloseControlMessage(4001, 'enough'), False, (CLOSE, b'\x0f\xa1enough')),
        ]:
            with self.subTest(payload=payload, binary=binary), running() as (websocket, peer):
                websocket.send(payload, binary)
                self.assertEqual(peer.receive(), frame)

    def test_other_types_are_refused_by_name(self) -> None:
        with running() as (websocket, peer):
            for payload in (1, None, 1.5, {'a': 1}, object()):
                with self.assertRaisesRegex(ValueError, f'not {type(payload).__name__}'):
                    websocket.send(payload)
            with self.assertRaises(TypeError):
                websocket.send([1, 2])
            websocket.send('still there')
            self.assertEqual(peer.receive(), (TEXT, b'still there'))

    def test_a_generator_that_raises_midway(self) -> None:
        def chunks() -> Iterator[str]:
            yield from 'ab'
            raise KeyError('mine')

        with running() as (websocket, peer):
            with self.assertRaisesRegex(KeyError, 'mine'):
                websocket.send(chunks())
            self.assertEqual(peer.receive(), (OPCODE_TEXT, b'a'))
            self.assertEqual(peer.receive(), (CLOSE, b'\x03\xf3'))
            with self.assertRaises(RuntimeError):
                websocket.send('more')
            peer.close(1011)
            self.assertTrue(peer.at_end())
            self.assertTrue(websocket.over.wait(TIMEOUT))
            self.assertEqual(websocket.named('closed'), [('closed', 1011, '')])

    def test_a_generator_that_raises_before_anything_was_sent_breaks_nothing(self) -> None:
        def chunks() -> Iterator[str]:
            yield 'a'
            raise KeyError('mine')

        with running() as (websocket, peer):
            with self.assertRaises(KeyError):
                websocket.send(chunks())
            websocket.send('b')
            self.assertEqual(peer.receive(), (TEXT, b'b'))

    def test_a_data_message_from_inside_a_generator(self) -> None:
        with running() as (websocket, peer):

            def chunks(inner: Any) -> Iterator[str]:
                yield 'a'
                websocket.ping(b'between')
                websocket.send(inner)

            for inner in ('text', iter(['x', 'y'])):
                with self.assertRaisesRegex(RuntimeError, 'inside the generator'):
                    websocket.send(chunks(inner))
                self.assertEqual(peer.receive(), (PING, b'between'))
            websocket.send('after')
            self.assertEqual(peer.receive(), (TEXT, b'after'))

    def test_a_generator_that_closes_the_connection(self) -> None:
        with running() as (websocket, peer):

            def chunks() -> Iterator[str]:
                yield from 'ab'
                websocket.close(4000, 'so be it')
                yield 'c'

            with self.assertRaisesRegex(RuntimeError, 'not open: close sent'):
                websocket.send(chunks())
            self.assertEqual(peer.receive(), (OPCODE_TEXT, b'a'))
            self.assertEqual(peer.receive(), (CLOSE, b'\x0f\xa0so be it'))
            peer.close(4000, b'so be it')
            self.assertTrue(websocket.over.wait(TIMEOUT))
            self.assertEqual(websocket.named('closed'), [('closed', 4000, b'so be it')])

    def test_other_threads_wait_for_the_last_fragment(self) -> None:
        gate = Gate('a', 'b', 'c')
        with running() as (websocket, peer):
            first = Worker(lambda: websocket.send(gate))
            self.assertTrue(gate.begun.wait(TIMEOUT))
            second = Worker(lambda: websocket.send('whole'))
            third = Worker(lambda: websocket.send(['d', 'e']))
            wait_for(lambda: websocket._changed is not None and len(websocket._changed._waiters) == 2)
            websocket.ping(b'not me')
            gate.open.set()
            frames = [peer.receive() for _ in range(7)]
            for worker in (first, second, third):
                worker.outcome()
        self.assertEqual(frames[:4], [(OPCODE_TEXT, b'a'), (PING, b'not me'), (MORE, b'b'), (LAST, b'c')])
        self.assertIn(frames[4:], [
            [(TEXT, b'whole'), (OPCODE_TEXT, b'd'), (LAST, b'e')],
            [(OPCODE_TEXT, b'd'), (LAST, b'e'), (TEXT, b'whole')],
        ])  # fmt: skip

    def test_who_waits_for_a_turn_learns_of_the_end(self) -> None:
        gate = Gate('a', 'b', 'c')
        with running() as (websocket, peer):
            first = Worker(lambda: websocket.send(gate))
            self.assertTrue(gate.begun.wait(TIMEOUT))
            waiting = [Worker(lambda: websocket.send('whole')), Worker(lambda: websocket.send(['d', 'e']))]
            wait_for(lambda: websocket._changed is not None and len(websocket._changed._waiters) == 2)
            peer.sock.close()
            for worker in waiting:
                with self.assertRaises(RuntimeError):
                    worker.outcome()
            self.assertTrue(first.is_alive())
            gate.open.set()
            with self.assertRaises(RuntimeError):
                first.outcome()

    def test_pings_are_answered(self) -> None:
        with running() as (_, peer):
            for payload in (b'', b'one', bytes(125)):
                peer.ping(payload)
                self.assertEqual(peer.receive(), (PONG, payload))

    def test_nothing_goes_out_before_the_handshake_or_after_the_end(self) -> None:
        ours, theirs = socket.socketpair()
        self.addCleanup(theirs.close)
        websocket = Recorder(ours)
        websocket.state = State.CONNECTING
        with self.assertRaisesRegex(RuntimeError, 'not open: connecting'):
            websocket.send('early')
        websocket.state = State.OPEN
        websocket.terminate()
        for call in (lambda: websocket.send('late'), lambda: websocket.ping(b''), lambda: websocket.send(['l'])):
            with self.assertRaises(RuntimeError):
                call()
        theirs.settimeout(TIMEOUT)
        self.assertEqual(theirs.recv(1), b'')

    def test_constructed_again(self) -> None:
        """What a connection has only seldom is as at the start, and may not be of the last connection."""
        ends = socket.socketpair()
        self.addCleanup(ends[0].close)
        self.addCleanup(ends[1].close)
        websocket = Recorder(ends[0])
        for name in websocket._seldom:
            self.assertNotIn(name, vars(websocket))
            setattr(websocket, name, 'of the last connection')
        websocket.__init__(ends[1])  # type: ignore[misc]
        for name in websocket._seldom:
            self.assertEqual(getattr(websocket, name), getattr(Recorder, name), name)


class QueuedCase(unittest.TestCase):
    """On a socket that does not block; the test plays the loop."""

    limits = Limits(write_high_water=64 * KIB, write_limit=1024 * KIB, send_timeout=TIMEOUT)

    def make(self, in_loop: bool = True, queued: bool = True, **limits: Any) -> tuple[Any, Peer, RecordingDriver]:
        ours, theirs = socket.socketpair()
        self.addCleanup(theirs.close)
        self.addCleanup(ours.close)
        websocket, driver = Recorder(ours), RecordingDriver(in_loop)
        given = {name: getattr(self.limits, name) for name in ('write_high_water', 'write_limit', 'send_timeout')}
        websocket.limits = Limits(**{**given, **limits})
        websocket.attach(driver, queued)
        return websocket, Peer(theirs), driver

    def block(self, websocket: Any, size: int = 0) -> int:
        """Send frames of 16 KiB until *size* bytes wait; the answer is their number."""
        sent = 0
        while not websocket._outbox.blocked or websocket._outbox.size < size:
            websocket.send(bytes(16 * KIB), True)
            sent += 1
        return sent

    def read(self, websocket: Any, peer: Peer, until: Callable[[tuple[int, bytes]], bool]) -> list[tuple[int, bytes]]:
        """The frames up to the one that is looked for, while the loop writes."""
        frames: list[tuple[int, bytes]] = []
        while not frames or not until(frames[-1]):
            websocket.flush()
            frames.append(peer.receive())
        return frames


class Queued(QueuedCase):
    def test_what_waits_is_watched_and_goes_out_in_order(self) -> None:
        websocket, peer, driver = self.make()
        websocket.send('first')
        self.assertEqual(driver.watched, [])
        count = self.block(websocket)
        self.assertEqual(driver.watched, [(True, False)])
        count += self.block(websocket, 65 * KIB)
        self.assertEqual(driver.watched, [(True, False), (True, True)])
        websocket.send('last')
        frames = self.read(websocket, peer, lambda frame: frame == (TEXT, b'last'))
        self.assertEqual(len(frames), count + 2)
        self.assertTrue(websocket.flush())
        self.assertEqual(driver.watched[-1], (False, False))

    def test_a_large_frame_stays_whole(self) -> None:
        websocket, peer, _ = self.make()
        sent = [b'before', bytes(range(256)) * KIB, b'after']
        frames: list[tuple[int, bytes]] = []
        reading = Worker(lambda: frames.extend(peer.receive() for _ in sent))
        for payload in sent:
            websocket.send(payload, True)
        wait_for(lambda: websocket.flush() and len(frames) == 3)
        reading.outcome()
        self.assertEqual(frames, [(BINARY, payload) for payload in sent])

    def test_nothing_is_read_while_the_application_is_behind(self) -> None:
        websocket, _, driver = self.make()
        for crowded in (True, True, False, False):
            websocket.crowd(crowded)
            self.assertIs(websocket.crowded, crowded)
        self.assertEqual(driver.watched, [(False, True), (False, False)])
        self.assertTrue(websocket.has_room)

    def test_a_driver_may_have_senders_wait_for_their_frames(self) -> None:
        websocket, _, driver = self.make()
        websocket.send('on its way')
        self.assertEqual(driver.settled, 0)
        self.block(websocket)
        self.assertEqual(driver.settled, 1)
        websocket.broadcast(SharedMessage(TextMessage('')))
        self.assertEqual(driver.settled, 1)
        websocket.send(['a', 'b', 'c'])
        self.assertEqual(driver.settled, 4)

    def test_most_drivers_do_not_and_know_no_coroutines(self) -> None:
        async def hook() -> None:
            """Never awaited."""

        websocket, _, driver = self.make()
        Driver.settle(driver, websocket)
        with self.assertRaisesRegex(TypeError, 'hook.* is a coroutine function'):
            Driver.run_coroutine(driver, websocket, hook, hook())

    def test_a_slow_consumer_is_dropped(self) -> None:
        websocket, _, driver = self.make()
        with self.assertLogs('ws4py', 'WARNING') as caught, self.assertRaises(RuntimeError):
            while True:
                websocket.send(bytes(16 * KIB), True)
        self.assertIn('slow consumer', caught.output[0])
        self.assertEqual(driver.dropped, [websocket])
        self.assertLessEqual(websocket._outbox.size, 1024 * KIB)
        with self.assertRaisesRegex(RuntimeError, 'being dropped'):
            websocket.ping(b'')
        websocket.terminate()
        self.assertEqual(websocket.close_code, 1006)
        self.assertIn('slow consumer', websocket.close_reason)

    def test_or_only_the_message_is_dropped(self) -> None:
        websocket, peer, driver = self.make(slow_consumer='drop')
        with logs() as records:
            for _ in range(200):
                websocket.send(bytes(16 * KIB), True)
            websocket.send(iter([bytes(16 * KIB), b'a']), True)
        self.assertEqual(driver.dropped, [])
        self.assertTrue(any('is dropped' in record.getMessage() for record in records))
        self.assertLessEqual(websocket._outbox.size, 1024 * KIB + 16)
        self.read(websocket, peer, lambda frame: websocket._outbox.size == 0)
        websocket.send('there is room')
        frames = self.read(websocket, peer, lambda frame: frame[0] != BINARY)
        self.assertEqual(frames[-1], (TEXT, b'there is room'))

    def test_a_message_in_progress_is_never_left_without_its_end(self) -> None:
        websocket, peer, _ = self.make(slow_consumer='drop')
        with logs():
            websocket.send((bytes(16 * KIB) for _ in range(200)), True)
        self.assertGreater(websocket._outbox.size, 1024 * KIB)
        frames = self.read(websocket, peer, lambda frame: bool(frame[0] & 0x80))
        self.assertEqual(len(frames), 200)

    def test_a_sender_elsewhere_waits_for_room(self) -> None:
        websocket, peer, driver = self.make(in_loop=False)
        chunk = bytes(16 * KIB)
        worker = Worker(lambda: [websocket.send(chunk, True) for _ in range(100)])
        wait_for(lambda: driver.watched and driver.watched[-1][1])
        wait_for(lambda: websocket._changed is not None and websocket._changed._waiters)
        self.assertLessEqual(websocket._outbox.size, 64 * KIB + 17 * KIB)
        websocket.flush()  # no room in the socket, no turn for the sender
        frames = []
        while len(frames) < 100:
            websocket.flush()
            frames.append(peer.receive())
        worker.outcome()
        self.assertEqual(frames, [(BINARY, chunk)] * 100)

    def test_but_not_for_ever(self) -> None:
        websocket, _, _ = self.make(in_loop=False, send_timeout=0.02)
        with self.assertRaisesRegex(TimeoutError, r'took nothing for 0\.02 s, \d+ bytes wait'):
            while True:
                websocket.send(bytes(16 * KIB), True)
        self.assertIs(websocket.state, State.OPEN)

    def test_and_learns_of_the_end(self) -> None:
        websocket, _, driver = self.make(in_loop=False)
        worker = Worker(lambda: [websocket.send(bytes(16 * KIB), True) for _ in range(100)])
        wait_for(lambda: websocket._changed is not None and websocket._changed._waiters)
        websocket._drop()
        with self.assertRaises(RuntimeError):
            worker.outcome()
        self.assertEqual(driver.dropped, [websocket])

    def test_a_timeout_in_the_middle_of_a_message_ends_the_connection(self) -> None:
        websocket, peer, _ = self.make(in_loop=False, send_timeout=0.02)
        with self.assertRaises(TimeoutError):
            websocket.send((bytes(16 * KIB) for _ in range(100)), True)
        self.assertEqual(self.read(websocket, peer, lambda frame: frame[0] == CLOSE)[-1], (CLOSE, b'\x03\xf3'))

    def test_who_may_not_wait_leaves_its_frames_behind_the_last_fragment(self) -> None:
        for queued in (True, False):
            with self.subTest(queued=queued):
                websocket, peer, driver = self.make(in_loop=False, queued=queued)
                gate = Gate('a', 'b', 'c')
                worker = Worker(lambda websocket=websocket, gate=gate: websocket.send(gate))  # type: ignore[misc]
                self.assertTrue(gate.begun.wait(TIMEOUT))
                websocket.broadcast(SharedMessage(TextMessage('all')))
                driver.loop = True
                websocket.send('from the loop')
                websocket.send(['d', 'e'])
                driver.loop = False
                gate.open.set()
                worker.outcome()
                self.assertEqual(
                    [peer.receive() for _ in range(7)],
                    [
                        *[(OPCODE_TEXT, b'a'), (MORE, b'b'), (LAST, b'c'), (TEXT, b'all'), (TEXT, b'from the loop')],
                        *[(OPCODE_TEXT, b'd'), (LAST, b'e')],
                    ],
                )

    def test_what_was_left_behind_counts_and_goes_with_a_message_that_fails(self) -> None:
        websocket, peer, driver = self.make(in_loop=False)
        gate = Gate('a', 'b', 'c', error=KeyError('mine'))
        worker = Worker(lambda: websocket.send(gate))
        self.assertTrue(gate.begun.wait(TIMEOUT))
        for _ in range(5):
            websocket.broadcast(SharedMessage(BinaryMessage(bytes(16 * KIB))))
        self.assertEqual(driver.watched[-1], (False, True))
        gate.open.set()
        with self.assertRaises(KeyError):
            worker.outcome()
        self.assertEqual(driver.watched[-1], (False, False), 'the answer to our Close would not be read')
        self.assertEqual([peer.receive() for _ in range(2)], [(OPCODE_TEXT, b'a'), (CLOSE, b'\x03\xf3')])

    def test_a_broadcast_does_not_wait_for_room(self) -> None:
        websocket, peer, _ = self.make(in_loop=False, write_high_water=1)
        count = 0
        while not websocket._queued:
            websocket.broadcast(SharedMessage(BinaryMessage(bytes(16 * KIB))))
            count += 1
        queued = websocket._queued
        websocket.broadcast(SharedMessage(TextMessage('the last')))
        self.assertEqual(websocket._queued, queued + 2 + len('the last'))
        frames = self.read(websocket, peer, lambda frame: frame[0] == TEXT)
        self.assertEqual(frames, [(BINARY, bytes(16 * KIB))] * count + [(TEXT, b'the last')])

    def test_a_message_left_behind_is_whole_or_not_there(self) -> None:
        websocket, peer, driver = self.make(in_loop=False)
        gate = Gate('a', 'b', 'c')
        worker = Worker(lambda: websocket.send(gate))
        self.assertTrue(gate.begun.wait(TIMEOUT))
        driver.loop = True

        def raising() -> Iterator[str]:
            yield from 'de'
            raise KeyError('mine')

        def sending() -> Iterator[str]:
            yield from 'fg'
            websocket.send('inside')
            yield 'h'

        with self.assertRaises(KeyError):
            websocket.send(raising())
        websocket.send(sending())
        driver.loop = False
        gate.open.set()
        worker.outcome()
        self.assertEqual(
            [peer.receive() for _ in range(7)],
            [
                *[(OPCODE_TEXT, b'a'), (MORE, b'b'), (LAST, b'c'), (TEXT, b'inside')],
                *[(OPCODE_TEXT, b'f'), (MORE, b'g'), (LAST, b'h')],
            ],
        )

    def test_what_waits_behind_a_message_does_not_stand_in_its_way(self) -> None:
        websocket, peer, _ = self.make(in_loop=False, send_timeout=0.05)
        gate = Gate('a', 'b', 'c')
        worker = Worker(lambda: websocket.send(gate))
        self.assertTrue(gate.begun.wait(TIMEOUT))
        for _ in range(5):
            websocket.broadcast(SharedMessage(BinaryMessage(bytes(16 * KIB))))
        self.assertGreater(websocket._queued, 64 * KIB)
        gate.open.set()
        worker.outcome()
        frames = self.read(websocket, peer, lambda frame: frame[0] == BINARY)
        self.assertEqual(frames[:3], [(OPCODE_TEXT, b'a'), (MORE, b'b'), (LAST, b'c')])

    def test_a_close_wakes_who_waits(self) -> None:
        websocket, _, _ = self.make(in_loop=False, queued=False)
        gate = Gate('a', 'b', 'c')
        owner = Worker(lambda: websocket.send(gate))
        self.assertTrue(gate.begun.wait(TIMEOUT))
        waiting = Worker(lambda: websocket.send('next'))
        wait_for(lambda: websocket._changed is not None and websocket._changed._waiters)
        websocket.close()
        with self.assertRaisesRegex(RuntimeError, 'close sent'):
            waiting.outcome()
        gate.open.set()
        with self.assertRaises(RuntimeError):
            owner.outcome()

    def test_pings_go_nowhere_when_the_peer_stopped_reading_long_ago(self) -> None:
        websocket, _, _ = self.make(slow_consumer='drop')
        with logs():
            for _ in range(200):
                websocket.send(bytes(16 * KIB), True)
        for _ in range(2000):
            websocket.ping(bytes(125))
        self.assertLessEqual(websocket._outbox.size, 1024 * KIB + 127)

    def test_a_broken_connection(self) -> None:
        websocket, peer, _ = self.make()
        self.block(websocket)
        peer.sock.close()
        with self.assertLogs('ws4py', 'INFO') as caught:
            self.assertFalse(websocket.flush())
        self.assertIn('bytes waited', caught.output[0])
        websocket.terminate()
        self.assertFalse(websocket.flush())


class Pongs(QueuedCase):
    """Answers to a peer that does not read (RFC 6455 section 5.5.3)."""

    def test_a_flood_costs_nothing_and_the_latest_ping_is_answered(self) -> None:
        websocket, peer, _ = self.make()
        self.block(websocket)
        before = websocket._outbox.size
        for at in range(10_000):
            self.assertTrue(websocket.process(PingControlMessage(b'%d' % at).single(mask=True)))
        self.assertLess(websocket._outbox.size, before + 200)
        self.assertEqual(websocket.stream.pings, [])
        frames = self.read(websocket, peer, lambda frame: frame == (PONG, b'9999'))
        self.assertEqual([frame for frame in frames if frame[0] == PONG], [(PONG, b'0'), (PONG, b'9999')])

    def test_a_peer_that_reads_gets_its_answer_though_the_queue_is_never_empty(self) -> None:
        websocket, peer, _ = self.make()
        self.block(websocket, 60 * KIB)
        for at in range(3):
            websocket.process(PingControlMessage(b'%d' % at).single(mask=True))
        pongs = []
        for _ in range(200):
            self.block(websocket, 60 * KIB)
            first, payload = peer.receive()
            websocket.flush()
            if first == PONG:
                pongs.append(payload)
        self.assertEqual(pongs, [b'0', b'2'])
        self.assertGreater(websocket._outbox.size, 0)

    def test_every_ping_is_answered_while_there_is_room(self) -> None:
        websocket, peer, _ = self.make()
        websocket.process(b''.join(PingControlMessage(b'%d' % at).single(mask=True) for at in range(10)))
        self.assertEqual([peer.receive() for _ in range(10)], [(PONG, b'%d' % at) for at in range(10)])

    def test_none_goes_out_after_our_close(self) -> None:
        websocket, peer, _ = self.make()
        self.block(websocket)
        for payload in (b'1', b'2'):
            websocket.process(PingControlMessage(payload).single(mask=True))
        websocket.close(1000)
        websocket.process(PingControlMessage(b'3').single(mask=True))
        frames = self.read(websocket, peer, lambda frame: frame[0] == CLOSE)
        websocket.flush()
        self.assertEqual([payload for first, payload in frames if first == PONG], [b'1'])
        self.assertIsNone(websocket._pong)


class CompressedTest(QueuedCase):
    """With permessage-deflate agreed on: what counts is the order on the wire."""

    def make(self, *args: Any, threshold: int = 1, **options: Any) -> tuple[Any, Peer, RecordingDriver]:
        websocket, peer, driver = super().make(*args, **options)
        websocket.use_extensions([Deflate(PerMessageDeflate(threshold=threshold), 12, False, 12, False)])
        self.stream = Stream(expect_masking=False)
        self.stream.codecs = (Deflate(PerMessageDeflate(), 12, False, 12, False),)
        return websocket, peer, driver

    def understood(self, *frames: tuple[int, bytes]) -> list[bytes]:
        """The messages in *frames*, as a peer with a context understands them."""
        messages = []
        for first, payload in frames:
            self.stream.parser.send(build_frame(first, payload))
            self.assertEqual(self.stream.errors, [])
            if self.stream.has_message:
                assert self.stream.message is not None
                messages.append(self.stream.message.data)
                self.stream.message = None
        return messages

    def test_messages_and_their_first_bytes(self) -> None:
        for queued in (True, False):
            websocket, peer, _ = self.make(queued=queued, threshold=5)
            once = TextMessage('not this one')
            once.compress = False
            websocket.send('compressed')
            websocket.send('tiny')
            websocket.send('tiny', compress=True)
            websocket.send(b'compressed', binary=True, compress=False)
            websocket.send(once)
            websocket.send(once, compress=True)
            websocket.send(BinaryMessage(b'compressed'))
            websocket.ping('ping')
            frames = [peer.receive() for _ in range(8)]
            self.assertEqual([first for first, _ in frames], [0xC1, 0x81, 0xC1, 0x82, 0x81, 0xC1, 0xC2, 0x89])
            self.assertEqual(
                self.understood(*frames[:7]),
                [b'compressed', b'tiny', b'tiny', b'compressed', b'not this one', b'not this one', b'compressed'],
            )

    def test_fragments(self) -> None:
        noise = random.Random(1).randbytes(100 * KIB)
        for compress in (None, False):
            websocket, peer, _ = self.make(queued=False)
            received: list[tuple[int, bytes]] = []

            def read(peer: Peer = peer, received: list[tuple[int, bytes]] = received) -> None:
                while not received or not received[-1][0] & 0x80:
                    received.append(peer.receive())

            reader = Worker(read)
            websocket.send([noise[: 50 * KIB], noise[50 * KIB :], b''], binary=True, compress=compress)
            reader.outcome()
            self.assertEqual(received[0][0], 0x42 if compress is None else 0x02)
            self.assertEqual(self.understood(*received), [noise])

    def test_what_is_left_behind_a_message_is_compressed_behind_it(self) -> None:
        websocket, peer, driver = self.make(in_loop=False)
        websocket.send('words of some length')
        gate = Gate('words ', 'of ', 'some length')
        worker = Worker(lambda: websocket.send(gate))
        self.assertTrue(gate.begun.wait(TIMEOUT))
        driver.loop = True
        websocket.broadcast(SharedMessage(TextMessage('words of some length')))
        websocket.send('words of some length')
        websocket.send(iter(['words of ', 'some length']))
        websocket.ping('between')
        gate.open.set()
        worker.outcome()
        messages: list[bytes] = []
        while len(messages) < 5:
            websocket.flush()
            first, payload = peer.receive()
            messages += [] if first == PING else self.understood((first, payload))
        self.assertEqual(messages, [b'words of some length'] * 5)

    def test_a_message_that_is_dropped_leaves_no_trace_in_the_context(self) -> None:
        websocket, peer, _ = self.make(slow_consumer='drop')
        websocket.send('the words')
        noise = random.Random(1)
        while not websocket._outbox.blocked or websocket._outbox.size < 65 * KIB:
            websocket.send(noise.randbytes(16 * KIB), True, compress=False)
        with logs() as records:
            websocket.send('new words, which never arrive' * 50_000)
        self.assertTrue(any('is dropped' in record.getMessage() for record in records))
        websocket.send('new words, which arrive')
        frames = self.read(websocket, peer, lambda frame: frame[0] == 0xC1 and len(frame[1]) > 15)
        self.assertEqual(self.understood(frames[0], frames[-1]), [b'the words', b'new words, which arrive'])

    def test_a_generator_that_raises_before_anything_was_compressed(self) -> None:
        websocket, peer, _ = self.make()

        def raising() -> Iterator[str]:
            yield 'one'
            raise KeyError('mine')

        with self.assertRaises(KeyError):
            websocket.send(raising())
        websocket.send('words')
        self.assertEqual(self.understood(peer.receive()), [b'words'])

    def test_or_after_that(self) -> None:
        websocket, peer, _ = self.make()

        def raising() -> Iterator[str]:
            yield 'one'
            yield 'two'
            raise KeyError('mine')

        with self.assertRaises(KeyError):
            websocket.send(raising())
        self.assertEqual(peer.receive(), (CLOSE, b'\x03\xf3'))
        self.assertIs(websocket.state, State.CLOSE_SENT)


if __name__ == '__main__':
    unittest.main()
