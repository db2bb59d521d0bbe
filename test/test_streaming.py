"""Stream: every vector and any bytes give the same events however they are cut, and nothing raises."""

from __future__ import annotations

import gc
import random
import sys
import types
import unittest
import weakref
import zlib
from collections.abc import Iterable, Iterator
from typing import Any
from unittest import mock

import support_speedups
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from support_cost import peak_memory
from support_streams import (
    EURO,
    KEY,
    LIMITS,
    RFC,
    VECTORS,
    Driver,
    Part,
    byte_by_byte,
    cut,
    cut_by_chance,
    cuts_in_two,
    events,
    every_cut,
    patched_by_wsaccel,
    places,
    reference,
    traffic,
    vectors,
    wire,
    without_reasons,
)

from ws4py import exc, framing, masking, streaming
from ws4py.limits import DEFAULT_LIMITS, Limits
from ws4py.messaging import (
    BinaryMessage,
    CloseControlMessage,
    PingControlMessage,
    PongControlMessage,
    TextMessage,
)
from ws4py.permessage_deflate import Deflate, PerMessageDeflate
from ws4py.streaming import CLOSE_CODES, Stream

try:
    import wsaccel
except ImportError:
    wsaccel = None

PROPERTY = settings(deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow])


def client() -> Stream:
    return Stream(always_mask=True, expect_masking=False)


class VectorTest(unittest.TestCase):
    def test_every_vector_whole_byte_by_byte_and_cut_at_every_offset(self) -> None:
        for name, data, masked, found, limits in vectors():
            with self.subTest(name):
                ways = every_cut(data) if len(data) < 400 else [[data], cut(data, range(0, len(data), 997))]
                whole = events([data], masked, limits)
                self.assertEqual(without_reasons(whole), found)
                for chunks in ways:
                    self.assertEqual(events(chunks, masked, limits), whole, chunks)

    def test_the_long_vectors_cut_around_every_header_and_end(self) -> None:
        for name, masked, data, found in RFC:
            with self.subTest(name):
                for at in (*range(16), *range(max(0, len(data) - 16), len(data))):
                    self.assertEqual(events(cut(data, [at]), masked), found)
                self.assertEqual(events(byte_by_byte(data), masked), found)

    def test_asking_what_is_wanted_changes_nothing(self) -> None:
        for name, data, masked, found, limits in vectors():
            if len(data) < 400:
                with self.subTest(name):
                    for chunks in ([data], byte_by_byte(data)):
                        self.assertEqual(without_reasons(events(chunks, masked, limits, ask=True)), found)

    def test_bytearrays_and_memoryviews_that_are_used_again(self) -> None:
        for name, data, masked, found, limits in vectors():
            for form in (bytearray, memoryview):
                with self.subTest(name, form=form.__name__):
                    driver = Driver(Stream(not masked, masked, limits))
                    buffer = bytearray(7)
                    for at in range(0, len(data) if len(data) < 400 else 0, 7):
                        piece = data[at : at + 7]
                        buffer[: len(piece)] = piece
                        driver.feed(bytearray(piece) if form is bytearray else memoryview(buffer)[: len(piece)])
                        buffer[:] = b'\xee' * 7
                    if len(data) < 400:
                        self.assertEqual(without_reasons(driver.events), found)

    def test_all_good_vectors_one_after_the_other_in_one_block(self) -> None:
        good = [vector for vector in VECTORS if {event[0] for event in vector.events}.isdisjoint({'error', 'close'})]
        self.assertGreater(len(good), 20)
        chance = random.Random(1)
        for masked in (False, True):
            whole = [vector for vector in good if vector.limits is DEFAULT_LIMITS]
            data = b''.join(wire(vector.parts, masked) for vector in whole)
            found = [event for vector in whole for event in vector.events]
            self.assertEqual(events([data], masked), found)
            for _ in range(20):
                self.assertEqual(events(cut_by_chance(data, chance), masked), found)

    def test_the_reference_agrees_with_the_vectors(self) -> None:
        for name, data, masked, found, limits in vectors():
            with self.subTest(name):
                self.assertEqual(reference(data, masked, limits), found)

    @unittest.skipIf(wsaccel is None, 'wsaccel is not installed')
    def test_wsaccel_patch_changes_nothing(self) -> None:
        with patched_by_wsaccel():
            self.assertEqual(streaming.Utf8Validator.__module__, 'wsaccel.utf8validator')
            for name, data, masked, found, limits in vectors():
                with self.subTest(name):
                    for chunks in [[data], byte_by_byte(data), *cuts_in_two(data[:40])]:
                        if b''.join(chunks) == data:
                            self.assertEqual(without_reasons(events(chunks, masked, limits)), found)
        self.assertEqual(streaming.Utf8Validator.__module__, 'ws4py.utf8validator')


class PropertyTest(unittest.TestCase):
    """Any bytes: the same events however they are cut, those of a second opinion, and nothing raises."""

    def same_events(self, data: bytes, masked: bool, limits: Limits, at: list[int]) -> None:
        whole = events([data], masked, limits)
        self.assertEqual(without_reasons(whole), reference(data, masked, limits))
        self.assertEqual(events(byte_by_byte(data), masked, limits), whole)
        self.assertEqual(events(cut(data, at), masked, limits, ask=True), whole)

    @PROPERTY
    @given(st.data(), traffic(), LIMITS)
    def test_frames(self, data: Any, sent: tuple[bool, bytes], limits: Limits) -> None:
        masked, received = sent
        self.same_events(received, masked, limits, data.draw(places(received)))

    @PROPERTY
    @given(st.data(), st.binary(max_size=60), st.booleans())
    @example(None, b'', True)
    def test_bytes(self, data: Any, received: bytes, masked: bool) -> None:
        self.same_events(received, masked, DEFAULT_LIMITS, data.draw(places(received)) if data else [0])

    @PROPERTY
    @given(st.data(), traffic())
    def test_the_other_side_takes_nothing_of_it(self, data: Any, sent: tuple[bool, bytes]) -> None:
        masked, received = sent
        self.same_events(received, not masked, DEFAULT_LIMITS, data.draw(places(received)))

    @PROPERTY
    @given(traffic())
    def test_the_state_is_the_same_too(self, sent: tuple[bool, bytes]) -> None:
        masked, received = sent
        drivers = [Driver(Stream(expect_masking=masked)) for _ in range(2)]
        drivers[0].feed(received)
        for chunk in byte_by_byte(received):
            drivers[1].feed(chunk)
        states = []
        for stream in (driver.stream for driver in drivers):
            message = stream.message
            seen = None if message is None else (type(message), message.data, message.completed)
            states.append((seen, stream.has_message))
        self.assertEqual(states[0], states[1])

    @PROPERTY
    @given(st.lists(st.one_of(st.none(), st.text(), st.integers(), st.binary(), st.lists(st.integers())), max_size=5))
    def test_sending_nonsense_into_the_parser_raises_nothing(self, sent: list[Any]) -> None:
        stream = Stream()
        for something in sent:
            self.assertIsInstance(stream.parser.send(something), int)

    def test_random_bytes(self) -> None:
        chance = random.Random(2)
        for masked in (False, True):
            for _ in range(300):
                data = bytes(chance.getrandbits(8) for _ in range(40))
                self.assertEqual(without_reasons(events([data], masked)), reference(data, masked))


class ParserTest(unittest.TestCase):
    def test_the_parser_is_a_primed_generator(self) -> None:
        self.assertIsInstance(Stream().parser, types.GeneratorType)
        self.assertEqual(Stream().parser.send(b''), 2)

    def test_next_is_legal_at_any_time(self) -> None:
        stream = client()
        self.assertEqual([next(stream.parser) for _ in range(3)], [2, 2, 2])
        for chunk in byte_by_byte(b'\x81\x05hello'):
            self.assertGreater(stream.parser.send(chunk), 0)
            self.assertGreater(next(stream.parser), 0)
        self.assertEqual(str(stream.message), 'hello')
        stream.parser.send(b'\x88\x00')
        self.assertEqual([next(stream.parser) for _ in range(3)], [2, 2, 2])

    def test_how_many_bytes_are_wanted(self) -> None:
        for chunk, wanted in [
            (b'\x82', 1),
            (b'\xfe', 2),
            (b'\x01', 1),
            (b'\x00', 4),
            (KEY[:1], 3),
            (KEY[1:], 256),
            (bytes(200), 56),
            (bytes(55), 1),
        ]:
            if chunk == b'\x82':
                stream = Stream()
            self.assertEqual((stream.parser.send(chunk), next(stream.parser)), (wanted, wanted))
        self.assertEqual(stream.parser.send(b'\x00'), 2)
        self.assertTrue(stream.has_message)

    def test_zero_says_that_an_event_is_ready_and_bytes_are_held(self) -> None:
        stream = client()
        self.assertEqual(stream.parser.send(b'\x81\x01a\x89\x01?\x81\x01b\x81'), 0)
        self.assertEqual((str(stream.message), stream.pings), ('a', []))
        self.assertEqual(stream.parser.send(b''), 0)
        self.assertEqual([ping.data for ping in stream.pings], [b'?'])
        self.assertEqual(stream.parser.send(b''), 0)
        self.assertEqual(str(stream.message), 'b')
        self.assertEqual(stream.parser.send(b''), 1)
        self.assertEqual(stream.parser.send(b'\x00'), 2)
        self.assertEqual(str(stream.message), '')

    def test_bytes_sent_where_bytes_are_held_come_behind_them(self) -> None:
        stream = client()
        self.assertEqual(stream.parser.send(b'\x81\x01a\x81\x02'), 0)
        self.assertEqual(stream.parser.send(b'bc\x81\x01d'), 0)
        self.assertEqual(str(stream.message), 'bc')
        self.assertEqual(stream.parser.send(b''), 2)
        self.assertEqual(str(stream.message), 'd')

    def test_a_close_does_not_say_zero(self) -> None:
        stream = client()
        self.assertEqual(stream.parser.send(b'\x88\x00\x81\x01a'), 2)
        self.assertIsNotNone(stream.closing)

    def test_what_is_not_bytes_is_an_error_of_the_stream(self) -> None:
        for begin in (b'', b'\x81', b'\x81\x05he'):
            for wrong in ('text', 5, [1], object()):
                stream = client()
                stream.parser.send(begin)
                self.assertEqual(stream.parser.send(wrong), 2)  # type: ignore[arg-type]
                self.assertEqual([error.code for error in stream.errors], [1002])
                self.assertIn(type(wrong).__name__.encode(), stream.errors[0].reason)

    def test_everything_after_an_error_or_a_close_is_discarded(self) -> None:
        for end in (b'\x88\x00', b'\xc1\x00', b'\x81\x01\xff'):
            stream = client()
            stream.parser.send(end)
            before = (stream.closing, list(stream.errors))
            for late in (b'\x81\x01a', b'\x89\x00', b'\xc1\x00', b'\x88\x02\x03\xe8', bytes(100_000)):
                self.assertEqual(stream.parser.send(late), 2)
            self.assertEqual((stream.closing, stream.errors, stream.message, stream.pings), (*before, None, []))

    def test_no_block_is_held_by_a_stream_that_waits(self) -> None:
        if sys.implementation.name != 'cpython':
            self.skipTest('counts references')
        for begin in (b'\x81\x01a', b'', b'\x82\xfe'):
            block = bytes(bytearray(b'\x8a\x00' * 5000 + begin))
            held = sys.getrefcount(block)
            stream = client()
            Driver(stream).feed(block)
            gc.collect()
            self.assertEqual(sys.getrefcount(block), held, begin)

    def test_nor_by_one_that_waits_in_a_payload(self) -> None:
        if sys.implementation.name != 'cpython':
            self.skipTest('counts references')
        size = (2**20).to_bytes(8, 'big')
        for stream, header in ((Stream(), b'\x82\xff' + size + KEY), (client(), b'\x82\x7f' + size)):
            block = bytes(bytearray(5000))
            held = sys.getrefcount(block)
            Driver(stream).feed(header)
            Driver(stream).feed(block)
            payload = stream.expect_masking is False  # what is not masked is the payload as it came
            self.assertEqual(sys.getrefcount(block), held + payload)

    def test_a_frame_that_was_cut_leaves_nothing_to_the_garbage_collector(self) -> None:
        if sys.implementation.name != 'cpython':
            self.skipTest('counts references')
        frames: weakref.WeakSet[framing.Frame] = weakref.WeakSet()

        def make() -> framing.Frame:
            frame = framing.Frame()
            frames.add(frame)
            return frame

        gc.disable()
        try:
            with mock.patch('ws4py.streaming.Frame', make):
                for rest in (b'x', b'\xff'):  # one frame that is right, one that is not
                    stream = client()
                    stream.parser.send(b'\x81\x01')
                    self.assertEqual(len(frames), 1)
                    stream.parser.send(rest)
                    self.assertEqual(len(frames), 0)
        finally:
            gc.enable()


class MessageTest(unittest.TestCase):
    def test_a_new_stream(self) -> None:
        stream = Stream()
        self.assertEqual((stream.message, stream.closing), (None, None))
        self.assertEqual((stream.pings, stream.pongs, stream.errors), ([], [], []))
        self.assertEqual((stream.always_mask, stream.expect_masking, stream.has_message), (False, True, False))
        self.assertIs(stream.limits, DEFAULT_LIMITS)

    def test_messages_are_of_their_kind(self) -> None:
        for first, kind in ((0x81, TextMessage), (0x82, BinaryMessage)):
            for chunks in every_cut(wire([Part(first, b'data')], masked=False)):
                stream = client()
                for chunk in chunks:
                    stream.parser.send(chunk)
                assert stream.message is not None
                self.assertIs(type(stream.message), kind)
                self.assertIs(type(stream.message.data), bytes)
                self.assertTrue(stream.message.completed and stream.has_message)
                self.assertEqual((stream.message.opcode, stream.message.data), (first & 15, b'data'))

    def test_control_frames_are_of_their_kind(self) -> None:
        for chunks in every_cut(b'\x89\x01a\x8a\x01b'):
            stream = client()
            for chunk in chunks:
                stream.parser.send(chunk)
                next(stream.parser)
            self.assertEqual([type(ping) for ping in stream.pings], [PingControlMessage])
            self.assertEqual([type(pong) for pong in stream.pongs], [PongControlMessage])
            self.assertEqual((stream.pings[0].data, stream.pongs[0].data), (b'a', b'b'))

    def test_pings_pile_up_until_somebody_takes_them(self) -> None:
        stream = client()
        for _ in range(10):
            stream.parser.send(b'\x89\x01a')
        self.assertEqual(len(stream.pings), 10)

    def test_a_message_grows_in_sight(self) -> None:
        stream = client()
        stream.parser.send(b'\x01\x03one')
        first = stream.message
        self.assertEqual((str(first), stream.has_message, first and first.completed), ('one', False, False))
        stream.parser.send(b'\x00\x03t')
        self.assertEqual(str(first), 'onet')
        stream.parser.send(b'wo\x80\x00')
        self.assertIs(stream.message, first)
        self.assertEqual((str(first), stream.has_message), ('onetwo', True))

    def test_a_message_stays_valid_when_the_next_one_comes(self) -> None:
        stream = client()
        stream.parser.send(b'\x02\x01a')
        stream.parser.send(b'\x80\x01b')
        first = stream.message
        stream.parser.send(b'\x02\x01c')
        assert first is not None and stream.message is not None
        self.assertEqual((first.data, stream.message.data), (b'ab', b'c'))

    def test_an_unfinished_message_ends_with_the_stream(self) -> None:
        for end in (b'\x88\x00', b'\x81\x00', b'\xff'):
            stream = client()
            stream.parser.send(b'\x01\x03one')
            stream.parser.send(end)
            self.assertIsNone(stream.message)

    def test_a_message_not_taken_outlives_an_error(self) -> None:
        stream = client()
        stream.parser.send(b'\x81\x03one')
        stream.parser.send(b'\xff')
        self.assertEqual((str(stream.message), len(stream.errors)), ('one', 1))

    def test_closing(self) -> None:
        stream = client()
        stream.parser.send(b'\x88\x05\x03\xe8bye')
        assert stream.closing is not None
        self.assertIs(type(stream.closing), CloseControlMessage)
        self.assertEqual((stream.closing.code, stream.closing.reason, stream.errors), (1000, b'bye', []))

    def test_closing_without_a_code_that_counts_is_1005(self) -> None:
        for payload, errors in ((b'', []), (b'\x03', [1002]), (b'\x03\xed', [1002]), (b'\x03\xe7x', [1002])):
            stream = client()
            stream.parser.send(bytes((0x88, len(payload))) + payload)
            assert stream.closing is not None
            self.assertEqual((stream.closing.code, stream.closing.reason), (1005, b''))
            self.assertEqual([error.code for error in stream.errors], errors)

    def test_a_close_reason_that_is_not_text_is_no_closing(self) -> None:
        stream = client()
        stream.parser.send(b'\x88\x03\x03\xe8\xff')
        self.assertIsNone(stream.closing)
        self.assertEqual([error.code for error in stream.errors], [1007])


class ErrorTest(unittest.TestCase):
    def error(self, *parts: Any, masked: bool = True, limits: Limits = DEFAULT_LIMITS) -> tuple[int, str]:
        stream = Stream(expect_masking=masked, limits=limits)
        stream.parser.send(wire(parts, masked))
        self.assertEqual([type(error) for error in stream.errors], [CloseControlMessage])
        return stream.errors[0].code, str(stream.errors[0])

    def test_a_frame_of_a_client_that_is_not_masked(self) -> None:
        for part in (Part(0x81, b'a', wrong_mask=True), Part(0x81, wrong_mask=True), Part(0x89, wrong_mask=True)):
            self.assertEqual(self.error(part), (1002, 'a frame from a client must be masked'))

    def test_a_frame_of_a_server_that_is_masked(self) -> None:
        self.assertEqual(
            self.error(Part(0x81, wrong_mask=True), masked=False), (1002, 'a frame from a server must not be masked')
        )

    def test_interleaved_data_messages(self) -> None:
        code, reason = self.error(Part(1, b'a'), Part(0x81, b'b'))
        self.assertEqual((code, 'new message inside' in reason), (1002, True))

    def test_a_continuation_without_a_start(self) -> None:
        code, reason = self.error(Part(0x80, b'a'))
        self.assertEqual((code, 'continuation' in reason), (1002, True))

    def test_text_that_is_not_utf8(self) -> None:
        for parts in (
            [Part(0x81, b'\xff')],
            [Part(1, EURO), Part(0x80, b'\xff')],
            [Part(1, EURO[:1]), Part(0x80)],
            [Part(0x88, b'\x03\xe8\xff')],
        ):
            code, reason = self.error(*parts)
            self.assertEqual((code, 'not UTF-8' in reason), (1007, True))

    def test_text_fails_at_its_first_wrong_byte(self) -> None:
        for begin in (b'\x81\x7f' + (1000_000).to_bytes(8, 'big'), b'\x01\x01a\x00\x7d'):
            driver = Driver(client())
            driver.feed(begin + EURO + b'\xe2')
            self.assertEqual(driver.events, [])
            driver.feed(b'\x28')
            self.assertEqual(without_reasons(driver.events), [('error', 1007)])

    def test_an_oversized_control_frame_fails_at_its_header(self) -> None:
        for first in (0x88, 0x89, 0x8A):
            stream = Stream()
            stream.parser.send(bytes((first, 0xFE)))
            self.assertEqual([error.code for error in stream.errors], [1002])
            self.assertIn(b'more than 125', stream.errors[0].reason)

    def test_the_first_byte_is_judged_alone(self) -> None:
        for first in (0xC1, 0xA1, 0x91, 0x83, 0x8B, 0x08, 0x09):
            stream = Stream()
            stream.parser.send(bytes((first,)))
            self.assertEqual([error.code for error in stream.errors], [1002])

    def test_a_limit_is_passed_by_a_header_before_its_payload(self) -> None:
        limits = Limits(message_size=1000)
        for begin, header in ((b'', b'\x82\x7e\x03\xe9'), (b'\x02\x7e\x03\xe8' + bytes(1000), b'\x80\x01')):
            stream = Stream(expect_masking=False, limits=limits)
            stream.parser.send(begin)
            self.assertEqual(stream.errors, [])
            stream.parser.send(header)
            self.assertEqual([error.code for error in stream.errors], [1009])
            self.assertEqual(stream.errors[0].reason, b'a message of 1001 bytes (at most 1000 bytes)')

    def test_no_memory_is_set_aside_for_a_header(self) -> None:
        stream = client()
        self.assertEqual(stream.parser.send(b'\x82\x7f' + (2**24).to_bytes(8, 'big')), 2**24)
        assert stream.message is not None
        self.assertEqual((stream.errors, stream.message.data), ([], b''))

    def test_the_ladder_knows_every_exception_of_a_peer(self) -> None:
        codes = {
            exc.ProtocolException: 1002,
            exc.FrameTooLargeException: 1002,
            exc.UnsupportedFrameTypeException: 1002,
            exc.TextFrameEncodingException: 1007,
            exc.InvalidBytesError: 1007,
            exc.LimitExceededException: 1009,
        }
        self.assertEqual(dict(CLOSE_CODES), codes)
        for exception, code in codes.items():
            stream = client()
            with mock.patch.object(stream, '_whole_frame', side_effect=exception('why')):
                stream.parser.send(b'\x89\x01a')
            self.assertEqual([(error.code, error.reason) for error in stream.errors], [(code, b'why')])

    def test_a_fault_of_ours_is_not_blamed_on_the_peer(self) -> None:
        stream = client()
        with mock.patch.object(stream, '_whole_frame', side_effect=RuntimeError('ours')):
            with self.assertRaises(RuntimeError):
                stream.parser.send(b'\x89\x01a')

    def test_every_reason_fits_into_a_close_frame_and_says_something(self) -> None:
        reasons = set()
        for _, data, masked, _, limits in vectors():
            reasons |= {event[2] for event in events([data], masked, limits) if event[0] == 'error'}
        self.assertGreater(len(reasons), 20)
        for reason in reasons:
            self.assertTrue(10 < len(reason) < 123, reason)

    def test_expect_masking_may_be_set_later_and_be_any_truth(self) -> None:
        stream = Stream()
        stream.expect_masking = 0  # type: ignore[assignment]
        stream.parser.send(b'\x81\x01a')
        self.assertEqual((str(stream.message), stream.errors), ('a', []))
        stream = Stream(expect_masking=1)  # type: ignore[arg-type]
        stream.parser.send(wire([Part(0x81, b'a')], masked=True))
        self.assertEqual((str(stream.message), stream.errors), ('a', []))


class LargeTest(unittest.TestCase):
    def test_131072_fragments_and_not_one_more(self) -> None:
        most = DEFAULT_LIMITS.fragments
        self.assertEqual(most, 131_072)
        begin = b'\x01\x01a' + b'\x00\x01b' * (most - 2)
        self.assertEqual(events([begin, b'\x80\x01c'], masked=False), [('text', b'a' + b'b' * (most - 2) + b'c')])
        found = events([begin, b'\x00\x01b', b'\x80\x00'], masked=False)
        self.assertEqual(without_reasons(found), [('error', 1009)])
        self.assertEqual(found[0][2], b'a message of 131073 fragments (at most 131072)')

    def test_the_fragments_of_each_message_are_counted_alone(self) -> None:
        data = wire([Part(2, b'a'), Part(0), Part(0x80)] * 5, masked=True)
        self.assertEqual(events([data], limits=Limits(fragments=3)), [('binary', b'a')] * 5)

    def test_16_mib_in_blocks_of_64_kib(self) -> None:
        payload = random.Random(3).randbytes(2**16) * 256
        block = 2**16
        masked = framing.mask(payload, KEY)
        one_frame = b'\x82\xff' + len(payload).to_bytes(8, 'big') + KEY + masked
        frames = b''.join(
            bytes((0x82 if not at else 0x00, 0xFF)) + block.to_bytes(8, 'big') + KEY + masked[at : at + block]
            for at in range(0, len(payload), block)
        )
        frames = b'\x02' + frames[1:] + b'\x80\x80' + KEY
        for name, data in (('one frame', one_frame), ('256 frames', frames)):
            with self.subTest(name):
                work: list[int] = []

                def counted(data: Any, key: Any, work: list[int] = work) -> bytes:
                    work.append(len(data))
                    return masking.mask(data, key)

                driver = Driver(Stream())
                with (
                    mock.patch.object(framing, 'mask_bytes', counted),
                    mock.patch.object(streaming, 'mask_bytes', counted),
                ):
                    for at in range(0, len(data), block):
                        driver.feed(data[at : at + block])
                [(kind, received)] = driver.events
                self.assertTrue(kind == 'binary' and received == payload)
                self.assertEqual(sum(work), len(payload), 'each byte is unmasked once')
                self.assertLess(len(work), 1000)

    def test_16_mib_of_text_in_any_blocks(self) -> None:
        text = 'aé€😀'.encode() * 20_000
        data = b'\x81\x7f' + len(text).to_bytes(8, 'big') + text
        for size in (1021, 65536, len(data)):
            driver = Driver(client())
            for at in range(0, len(data), size):
                driver.feed(data[at : at + size])
            self.assertEqual(driver.events, [('text', text)])


def deflated(data: bytes, context: Any = None) -> bytes:
    """*data* as RFC 7692 section 7.2.1 has it, by zlib alone."""
    compressor = context or zlib.compressobj(9, zlib.DEFLATED, -15)
    compressed: bytes = compressor.compress(data) + compressor.flush(zlib.Z_SYNC_FLUSH)
    return compressed[:-4]


class CompressedTest(unittest.TestCase):
    """With permessage-deflate agreed on."""

    def events(self, chunks: Iterable[bytes], limits: Limits = DEFAULT_LIMITS, bits: int = 15) -> list[Any]:
        stream = Stream(limits=limits)
        stream.codecs = (Deflate(PerMessageDeflate(), 12, False, bits, False),)
        driver = Driver(stream)
        for chunk in chunks:
            driver.feed(chunk)
        self.stream = stream
        return driver.events

    def error(self, *parts: Any, limits: Limits = DEFAULT_LIMITS) -> tuple[int, str]:
        """The error, which is all that comes of *parts*, however they are cut."""
        data = wire(parts, True)
        (event,) = self.events([data], limits)
        for chunks in (byte_by_byte(data), cut(data, [len(data) - 1])) if len(data) < 100_000 else ():
            self.assertEqual(self.events(chunks, limits), [event])
        kind, code, reason = event
        self.assertEqual(kind, 'error')
        return code, reason.decode()

    def test_the_same_however_it_is_cut(self) -> None:
        context = zlib.compressobj(9, zlib.DEFLATED, -15)
        words = 'three words thrée '.encode() * 3
        whole, again = deflated(words, context), deflated(words, context)
        data = wire(
            [
                Part(0xC1, whole),
                Part(0x81, b'in clear'),
                Part(0x42, again[:2]),
                Part(0x89, b'ping'),
                Part(0x00),
                Part(0x80, again[2:]),
                Part(0x01, b'plain '),
                Part(0x80, b'fragments'),
                Part(0xC1, b'\0'),
                Part(0xC1, deflated('wörd'.encode())),
                Part(0x88, b'\x03\xe8'),
            ],
            True,
        )
        expected = [
            ('text', words),
            ('text', b'in clear'),
            ('ping', b'ping'),
            ('binary', words),
            ('text', b'plain fragments'),
            ('text', b''),
            ('text', 'wörd'.encode()),
            ('close', 1000, b''),
        ]
        for chunks in every_cut(data):
            self.assertEqual(self.events(chunks), expected)

    def test_behind_another_extension(self) -> None:
        class Swapping(Deflate):
            reserved = 0

            def decode(self, data: bytes, final: bool) -> Iterator[bytes]:
                yield data.swapcase()
                yield b'!' if final else b''

        data = wire([Part(0xC1, deflated(b'HELLO')), Part(0x81, b'hello'), Part(0x41, b'\0'), Part(0x80)], True)
        for chunks in every_cut(data):
            stream = Stream()
            terms = PerMessageDeflate(), 12, False, 15, False
            stream.codecs = Swapping(*terms), Deflate(*terms)
            driver = Driver(stream)
            for chunk in chunks:
                driver.feed(chunk)
            self.assertEqual(driver.events, [('text', b'hello!'), ('text', b'HELLO!'), ('text', b'!')])

    def test_reserved_bits_where_they_have_no_meaning(self) -> None:
        for parts in (
            [Part(0xA1, b'x')],
            [Part(0x91, b'x')],
            [Part(0xE1, b'x')],
            [Part(0xC8, b'\x03\xe8')],
            [Part(0xC9)],
            [Part(0xCA)],
            [Part(0x41, b'\0'), Part(0xC0, b'\0')],
            [Part(0x01), Part(0xC0)],
        ):
            self.assertEqual(self.error(*parts)[0], 1002)

    def test_what_cannot_be_inflated(self) -> None:
        for parts in ([Part(0xC1, b'\xff\xff')], [Part(0x41, b'\x00\x01'), Part(0x80, b'\x00\xff')]):
            code, reason = self.error(*parts)
            self.assertEqual(code, 1007)
            self.assertIn('cannot be inflated', reason)
        self.assertEqual(self.stream.codecs, (), 'the context is let go')

    def test_text_that_is_not_utf8(self) -> None:
        self.assertEqual(self.error(Part(0xC1, deflated(b'\xff')))[0], 1007)
        self.assertEqual(self.error(Part(0xC1, deflated(b'\xc3')))[0], 1007)
        (event,) = self.events([Part(0x41, deflated(b'\xff' + bytes(1000))).wire(True)])
        self.assertEqual(event[1], 1007, 'not before the message is complete')

    def test_the_limit_holds_for_what_comes_out(self) -> None:
        limits = Limits(message_size=1000)
        fits, too_much = deflated(bytes(1000)), deflated(bytes(1001))
        self.assertEqual(self.events([Part(0xC2, fits).wire(True)], limits), [('binary', bytes(1000))])
        self.assertEqual(len(self.events([Part(0xC2, fits).wire(True)] * 3, limits)), 3, 'each message for itself')
        for parts in (
            [Part(0xC2, too_much)],
            [Part(0x42, too_much[:3]), Part(0x80, too_much[3:])],
            [Part(0x42, too_much[:3]), Part(0x89), Part(0x00), Part(0x80, too_much[3:])],
        ):
            wanted = [event for event in self.events([wire(parts, True)], limits) if event[0] != 'ping']
            self.assertEqual([(event[0], event[1]) for event in wanted], [('error', 1009)])
        self.assertEqual(self.error(Part(0xC2, length=1001, payload=b''), limits=limits)[0], 1009)

    def test_a_bomb_takes_no_more_than_the_limit(self) -> None:
        bomb = Part(0xC2, deflated(bytes(64 * 1024 * 1024))).wire(True)
        limits = Limits(message_size=1024 * 1024)
        (event,) = self.events([bomb], limits)
        self.assertEqual(event[1], 1009)
        self.assertLess(peak_memory(lambda: self.events([bomb], limits)), 2 * limits.message_size)


class SendingTest(unittest.TestCase):
    def test_messages_are_made_of_what_is_given(self) -> None:
        stream = Stream()
        self.assertIs(type(stream.text_message('é')), TextMessage)
        self.assertEqual(stream.text_message('é').single(), b'\x81\x02\xc3\xa9')
        self.assertIs(type(stream.binary_message(b'\xff')), BinaryMessage)
        self.assertEqual(stream.binary_message(bytearray(b'\xff')).single(), b'\x82\x01\xff')

    def test_close_returns_a_message(self) -> None:
        stream = Stream()
        self.assertIs(type(stream.close()), CloseControlMessage)
        self.assertEqual((stream.close().code, stream.close().reason), (1000, b''))
        self.assertEqual(stream.close(1001, 'bye').single(), b'\x88\x05\x03\xe9bye')
        self.assertEqual(stream.close(code=1001, reason='bye').reason, b'bye')

    def test_ping_and_pong_return_frames(self) -> None:
        for stream, size in ((Stream(), 5), (client(), 9)):
            for make, kind in ((stream.ping, 'ping'), (stream.pong, 'pong')):
                frame = make('sos')
                self.assertEqual((type(frame), len(frame)), (bytes, size))
                self.assertEqual(events([frame], masked=stream.always_mask), [(kind, b'sos')])
                self.assertEqual(events([make()], masked=stream.always_mask), [(kind, b'')])

    def test_pong_answers_a_ping(self) -> None:
        self.assertEqual(Stream().pong(PingControlMessage(b'\xff')), b'\x8a\x01\xff')
        self.assertEqual(Stream().pong(data='sos'), b'\x8a\x03sos')

    def test_a_ping_too_large_is_the_callers_fault(self) -> None:
        self.assertEqual(len(Stream().ping(b'x' * 125)), 127)
        for make in (Stream().ping, Stream().pong):
            with self.assertRaisesRegex(ValueError, 'at most 125 bytes, not 126'):
                make(b'x' * 126)

    @PROPERTY
    @given(st.lists(st.one_of(st.text(max_size=20), st.binary(max_size=200)), max_size=5), st.booleans(), st.data())
    def test_two_endpoints_understand_each_other(self, sent: list[Any], mask: bool, data: Any) -> None:
        sender = Stream(always_mask=mask)
        frames, found = b'', []
        for payload in sent:
            text = isinstance(payload, str)
            make = sender.text_message if text else sender.binary_message
            octets = payload.encode() if text else payload
            at = data.draw(st.integers(0, len(octets)))
            frames += make(octets).single(mask) + sender.ping(octets[:5])
            frames += make(octets[:at]).fragment(first=True, mask=mask)
            frames += sender.pong(octets[:5])
            frames += make(octets[at:]).fragment(last=True, mask=mask)
            message = ('text' if text else 'binary', octets)
            found += [message, ('ping', octets[:5]), ('pong', octets[:5]), message]
        frames += sender.close(4000, 'end').single(mask)
        self.assertEqual(events(cut(frames, data.draw(places(frames))), masked=mask), [*found, ('close', 4000, b'end')])


class VectorInPythonTest(support_speedups.InPython, VectorTest):
    pass


class ParserInPythonTest(support_speedups.InPython, ParserTest):
    pass


class ErrorInPythonTest(support_speedups.InPython, ErrorTest):
    pass


class LargeInPythonTest(support_speedups.InPython, LargeTest):
    pass


if __name__ == '__main__':
    unittest.main()
