"""Frames: next_frame() and Frame.parser held to one another, and to the rules of RFC 6455 section 5.2."""

from __future__ import annotations

import random
import types
import unittest
from typing import Any, Callable, Optional
from unittest import mock

import support_speedups
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support_streams import (
    FAULTS,
    KEY,
    RFC,
    VECTORS,
    Part,
    byte_by_byte,
    cut,
    every_cut,
    patched_by_wsaccel,
    places,
    wire,
    xor,
)

from ws4py import framing
from ws4py.exc import FrameTooLargeException, ProtocolException
from ws4py.framing import (
    OPCODE_BINARY,
    OPCODE_CLOSE,
    OPCODE_CONTINUATION,
    OPCODE_PING,
    OPCODE_PONG,
    OPCODE_TEXT,
    OPCODES,
    RSV1,
    RSV2,
    RSV3,
    Frame,
    build_header,
    check,
    check_masking,
)

try:
    import wsaccel
except ImportError:
    wsaccel = None

RESERVED = (3, 4, 5, 6, 7, 11, 12, 13, 14, 15)
# A test that is inherited runs in several classes.
PROPERTY = settings(deadline=None, database=None, suppress_health_check=[HealthCheck.differing_executors])

# What one reader makes of a frame: first byte, payload in clear, bytes used; or the name and text of the exception;
# or None, where bytes are missing.
Outcome = Optional[tuple[Any, ...]]


def by_parser(chunks: list[bytes], masked: bool) -> Outcome:
    """Give *chunks* to a parser, never more than it wants, and look at what it has become."""
    frame = Frame()
    data, at = b''.join(chunks), 0
    try:
        wanted = next(frame.parser)
        for chunk in chunks:
            while chunk and wanted is not None:
                piece, chunk = chunk[:wanted], chunk[wanted:]
                at += len(piece)
                wanted = frame.parser.send(piece)
        if wanted is not None:
            return None
        check_masking(frame.masked, masked)
    except (ProtocolException, FrameTooLargeException) as error:
        return type(error).__name__, str(error)
    assert at <= len(data)
    return frame.first, frame.unmask(frame.body), at


class BothReadersTest(unittest.TestCase):
    """Every frame through next_frame() and through Frame.parser: the same."""

    next_frame: Callable[..., Outcome] = staticmethod(framing.next_frame_python)

    def same(self, data: bytes, masked: bool, ways: Any) -> Outcome:
        """How both read the first frame of *data*."""
        parsed = by_parser([data], masked)
        right = parsed is not None and isinstance(parsed[0], int)
        self.assertEqual(self.next_frame(data, 0, masked), parsed if right else None)
        for chunks in ways:
            self.assertEqual(by_parser(chunks, masked), parsed, chunks)
        return parsed

    def frames(self, data: bytes, masked: bool) -> None:
        while data:
            parsed = self.same(data, masked, every_cut(data) if len(data) < 300 else [byte_by_byte(data)])
            if parsed is None or isinstance(parsed[0], str):
                break
            data = data[parsed[2] :]

    def test_vectors(self) -> None:
        for name, masked, data, _ in RFC:
            with self.subTest(name):
                self.frames(data, masked)
        for vector in VECTORS:
            with self.subTest(vector.name):
                for masked in (False, True):
                    self.frames(wire(vector.parts, masked), masked)

    def test_random_frames(self) -> None:
        chance = random.Random(7)
        for _ in range(300):
            masked = chance.random() < 0.5
            first = chance.choice((0x00, 0x01, 0x02, 0x80, 0x81, 0x82, 0x88, 0x89, 0x8A))
            size = chance.choice((0, 1, 5, 125)) if first & 8 else chance.choice((0, 1, 125, 126, 127, 700))
            payload = chance.randbytes(size)
            data = Part(first, payload, key=chance.randbytes(4)).wire(masked)
            behind = chance.randbytes(3)
            places = [chance.randrange(len(data) + 1) for _ in range(3)]
            found = self.same(data + behind, masked, [cut(data, places), cut(data + behind, places)])
            self.assertEqual(found, (first, payload, len(data)))

    def test_sizes_around_every_limit_of_the_header(self) -> None:
        for size in (0, 1, 124, 125, 126, 127, 255, 256, 4095, 4096, 4097, 65534, 65535, 65536, 65537):
            for masked in (False, True):
                payload = random.Random(size).randbytes(size)
                data = Part(0x82, payload).wire(masked)
                self.assertEqual(self.same(data, masked, [cut(data, range(20))]), (0x82, payload, len(data)))
                self.assertIsNone(self.same(data[:-1], masked, []))

    def test_every_first_two_bytes(self) -> None:
        for first in range(256):
            for second in range(256):
                for masked in (False, True):
                    self.same(bytes((first, second)) + bytes(200), masked, [])

    @PROPERTY
    @given(st.one_of(FAULTS, st.builds(Part, st.integers(0, 255), st.binary(max_size=140))), st.booleans(), st.data())
    def test_any_frame(self, part: Any, masked: bool, data: Any) -> None:
        frame = part if isinstance(part, bytes) else part.wire(masked)
        self.same(frame, masked, [byte_by_byte(frame), cut(frame, data.draw(places(frame)))])

    @PROPERTY
    @given(st.binary(max_size=200), st.booleans(), st.data())
    def test_any_bytes(self, octets: bytes, masked: bool, data: Any) -> None:
        self.same(octets, masked, [byte_by_byte(octets), cut(octets, data.draw(places(octets)))])

    @unittest.skipIf(wsaccel is None, 'wsaccel is not installed')
    def test_wsaccel_patch_changes_nothing(self) -> None:
        own = Frame.mask
        with patched_by_wsaccel():
            self.assertIsNot(Frame.mask, own)
            self.test_vectors()
            self.test_random_frames()
            for key in (None, KEY):
                frame = Frame(OPCODE_TEXT, b'Hello', key, fin=1)
                self.assertEqual(frame.build(), Part(0x81, b'Hello').wire(key is not None))
                self.assertEqual(frame.mask(frame.unmask(b'Hello')), b'Hello')
        self.assertIs(Frame.mask, own)


@support_speedups.needs_c
class BothReadersInCTest(BothReadersTest):
    next_frame = staticmethod(framing.next_frame)


class NextFrameTest(unittest.TestCase):
    next_frame: Callable[..., Outcome] = staticmethod(framing.next_frame_python)

    def test_frame_after_frame(self) -> None:
        data = b'??\x81\x01a\x82\x00\x89\x01b\x81'
        found, position = [], 2
        while True:
            frame = self.next_frame(data, position, False)
            if frame is None:
                break
            found.append(frame[:2])
            position = frame[2]
        self.assertEqual(found, [(0x81, b'a'), (0x82, b''), (0x89, b'b')])
        self.assertEqual(position, len(data) - 1)

    def test_what_is_wrong_is_left_to_the_parser(self) -> None:
        for data in (b'', b'\xff', b'\xff\x01', b'\x81\xfe\x00', b'\x82\x7f' + b'\xff' * 7, b'\x82\x7f' + b'\xff' * 8):
            self.assertIsNone(self.next_frame(data, 0, False))
        self.assertIsNone(self.next_frame(b'\x81\x00', 0, True))
        self.assertIsNone(self.next_frame(b'\x81\x80' + KEY, 0, False))

    def test_reserved_bits(self) -> None:
        for first, reserved, right in (
            (0xC1, RSV1, True),
            (0xC2, RSV1, True),
            (0xE1, RSV1, False),
            (0xE1, RSV1 | RSV2, True),
            (0x91, RSV3, True),
            (0xC0, RSV1, False),  # they stand in the first frame of a message
            (0xC9, RSV1, False),
            (0xC3, RSV1, False),
        ):
            frame = (first, b'x', 3) if right else None
            self.assertEqual(self.next_frame(bytes((first, 1)) + b'x', 0, False, reserved), frame)

    def test_positions(self) -> None:
        data = b'\x81\x01a'
        for position in (1, 2, 3, 4, 1000):
            self.assertIsNone(self.next_frame(data, position, False))


@support_speedups.needs_c
class NextFrameInCTest(NextFrameTest):
    next_frame = staticmethod(framing.next_frame)

    def test_what_it_does_not_take(self) -> None:
        for args in ((b'',), (b'', 0, False, 0, 0), ('text', 0, False), (b'', None, False), (b'', 0, False, 'x')):
            with self.assertRaises(TypeError):
                self.next_frame(*args)
        with self.assertRaises(OverflowError):
            self.next_frame(b'', 2**64, False)
        self.assertIsNone(self.next_frame(b'\x81\x00', -2, False))
        with self.assertRaises(ZeroDivisionError):
            self.next_frame(b'\x81\x00', 0, Undecided())


class CheckTest(unittest.TestCase):
    def test_first_bytes(self) -> None:
        good = set()
        for first in range(256):
            try:
                check(first)
            except ProtocolException:
                continue
            good.add(first)
        self.assertEqual(good, {0x00, 0x01, 0x02, 0x80, 0x81, 0x82, 0x88, 0x89, 0x8A})

    def test_what_is_wrong_is_named(self) -> None:
        for first, text in (
            (0xD1, 'reserved bits 101'),
            (0x83, 'opcode 3 is reserved'),
            (0x09, r'a control frame \(opcode 9\) may not be fragmented'),
        ):
            with self.assertRaisesRegex(ProtocolException, text):
                check(first)

    def test_lengths(self) -> None:
        check(0x82, 126)
        check(0x82, 125, 125)
        check(0x82, 126, 126)
        check(0x82, 127, 65536)
        check(0x82, 127, 2**63 - 1)
        check(0x89, 125, 125)
        for length7 in (126, 127):
            with self.assertRaisesRegex(FrameTooLargeException, r'\(opcode 9\) of more than 125 bytes'):
                check(0x89, length7)
        for length in (2**63, 2**64 - 1):
            with self.assertRaisesRegex(FrameTooLargeException, str(length)):
                check(0x82, 127, length)
        for length7, length in ((126, 0), (126, 125), (127, 0), (127, 65535)):
            with self.assertRaisesRegex(ProtocolException, f'length {length} is not in its shortest form'):
                check(0x82, length7, length)

    def test_masking(self) -> None:
        check_masking(True, True)
        check_masking(False, False)
        check_masking(True, 1)  # type: ignore[arg-type]
        check_masking(False, None)  # type: ignore[arg-type]
        for masked in (False, True):
            with self.assertRaises(ProtocolException):
                check_masking(masked, not masked)

    def test_opcodes(self) -> None:
        self.assertEqual(
            [OPCODE_CONTINUATION, OPCODE_TEXT, OPCODE_BINARY, OPCODE_CLOSE, OPCODE_PING, OPCODE_PONG],
            [0, 1, 2, 8, 9, 10],
        )
        self.assertEqual(OPCODES | set(RESERVED), set(range(16)))


class Undecided:
    def __bool__(self) -> bool:
        raise ZeroDivisionError


class BuildTest(unittest.TestCase):
    build_frame: Callable[..., bytes] = staticmethod(framing.build_frame_python)

    def test_the_examples_of_the_rfc(self) -> None:
        for name, masked, data, found in RFC:
            if len(found) == 1 and 'fragmented' not in name:
                self.assertEqual(self.build_frame(data[0], found[0][1], KEY if masked else None), data, name)
                frame = Frame(data[0] & 15, found[0][1], KEY if masked else None, fin=1)
                self.assertEqual(frame.build(), data, name)
        self.assertEqual(Frame(OPCODE_TEXT, b'Hel').build(), b'\x01\x03Hel')
        self.assertEqual(Frame(OPCODE_CONTINUATION, b'lo', fin=1).build(), b'\x80\x02lo')

    def test_every_width_of_length(self) -> None:
        for size in (0, 1, 125, 126, 65535, 65536):
            payload = b'\xa5' * size
            for key in (None, KEY, b'\0\0\0\0'):
                expected = Part(0x82, payload, key=key or KEY).wire(key is not None)
                self.assertEqual(self.build_frame(0x82, payload, key), expected)
                self.assertEqual(Frame(OPCODE_BINARY, payload, key, fin=1).build(), expected)
                self.assertEqual(build_header(0x82, size, key) + (xor(payload, key) if key else payload), expected)

    def test_every_bit(self) -> None:
        for fin in (0, 1):
            for bits in range(8):
                frame = Frame(OPCODE_TEXT, fin=fin, rsv1=bits >> 2, rsv2=bits >> 1 & 1, rsv3=bits & 1)
                self.assertEqual(frame.build(), bytes((fin << 7 | bits << 4 | 1, 0)))
                self.assertEqual(frame.first, fin << 7 | bits << 4 | 1)

    def test_arguments_by_position(self) -> None:
        frame = Frame(OPCODE_TEXT, b'Hello', KEY, 1, 0, 0, 0)
        self.assertEqual(frame.build(), bytes.fromhex('818537fa213d7f9f4d5158'))
        frame = Frame()
        self.assertEqual((frame.opcode, frame.body, frame.masking_key, frame.fin), (None, b'', None, 0))
        self.assertEqual((frame.rsv1, frame.rsv2, frame.rsv3, frame.payload_length), (0, 0, 0, 0))

    def test_a_body_that_is_not_bytes(self) -> None:
        for body in ('text', bytearray(b'x'), None, 5):
            with self.assertRaisesRegex(TypeError, f'not {type(body).__name__}'):
                Frame(OPCODE_TEXT, body)  # type: ignore[arg-type]

    def test_fin_over_one(self) -> None:
        with self.assertRaisesRegex(ValueError, 'fin is 0 or 1, not 2'):
            Frame(OPCODE_TEXT, b'', fin=2).build()

    def test_reserved_opcodes(self) -> None:
        for opcode in (*RESERVED, 16, None):
            with self.assertRaisesRegex(ValueError, f'opcode {opcode} is reserved'):
                Frame(opcode, b'', fin=1).build()

    def test_a_payload_length_that_does_not_fit(self) -> None:
        frame = Frame(OPCODE_BINARY, b'', fin=1)
        for length in (2**63, 2**64):
            frame.payload_length = length
            with self.assertRaisesRegex(FrameTooLargeException, str(length)):
                frame.build()

    def test_the_header_says_payload_length(self) -> None:
        for length, header in ((126, b'\x82\x7e\x00\x7e'), (2**63 - 1, b'\x82\x7f\x7f' + b'\xff' * 7)):
            frame = Frame(OPCODE_BINARY, b'', fin=1)
            frame.payload_length = length
            self.assertEqual(frame.build(), header)

    def test_build_refuses_nothing_else(self) -> None:
        self.assertEqual(Frame(OPCODE_PING, bytes(126)).build(), b'\x09\x7e\x00\x7e' + bytes(126))
        self.assertEqual(Frame(OPCODE_TEXT, b'\xff', fin=1).build(), b'\x81\x01\xff')

    def test_a_masking_key_has_four_bytes(self) -> None:
        with self.assertRaisesRegex(ValueError, '4 bytes, not 6'):
            Frame(OPCODE_TEXT, b'hello world', masking_key=b'XXXXXX', fin=1).build()

    def test_mask_and_unmask(self) -> None:
        frame = Frame(OPCODE_TEXT, b'', masking_key=KEY)
        for data in (b'Hello', bytearray(b'Hello')):
            self.assertEqual(frame.mask(data), bytes.fromhex('7f9f4d5158'))
            self.assertEqual(frame.unmask(frame.mask(data)), b'Hello')
        self.assertEqual(Frame(OPCODE_TEXT).mask(bytearray(b'Hello')), b'Hello')

    @PROPERTY
    @given(
        st.sampled_from(sorted(OPCODES)),
        st.binary(max_size=130),
        st.one_of(st.none(), st.binary(min_size=4, max_size=4)),
        st.integers(0, 1),
    )
    def test_any_frame(self, opcode: int, body: bytes, key: Optional[bytes], fin: int) -> None:
        built = Frame(opcode, body, key, fin).build()
        self.assertEqual(built, Part(fin << 7 | opcode, body, key=key or KEY).wire(key is not None))


@support_speedups.needs_c
class BuildInCTest(BuildTest):
    build_frame = staticmethod(framing.build_frame)

    def test_what_it_does_not_take(self) -> None:
        for first in (-1, 256):
            with self.assertRaisesRegex(ValueError, f'0 to 255, not {first}'):
                self.build_frame(first, b'')
        for args in ((0x81,), (0x81, b'', None, None), (0x81, 'text'), ('x', b''), (0x81, b'', 'abcd')):
            with self.assertRaises(TypeError):
                self.build_frame(*args)
        with self.assertRaisesRegex(ValueError, '4 bytes, not 3'):
            self.build_frame(0x81, b'', b'abc')


class ParserTest(unittest.TestCase):
    def test_it_is_a_primed_generator_made_once(self) -> None:
        frame = Frame()
        self.assertIsInstance(frame.parser, types.GeneratorType)
        self.assertIs(frame.parser, frame.parser)
        self.assertEqual(frame.parser.send(b'\x81'), 1)

    def test_how_many_bytes_it_wants(self) -> None:
        frame = Frame()
        sent = [b'\x81', b'\x05', b'he', b'llo']
        self.assertEqual([frame.parser.send(data) for data in sent], [1, 5, 3, None])
        with self.assertRaises(StopIteration):
            next(frame.parser)
        self.assertEqual((frame.fin, frame.opcode, frame.payload_length, frame.body), (1, 1, 5, b'hello'))

    def test_a_frame_at_once(self) -> None:
        frame = Frame()
        self.assertIsNone(frame.parser.send(b'\x81\x05hello'))
        with self.assertRaises(StopIteration):
            frame.parser.send(b'')
        self.assertEqual(frame.body, b'hello')

    def test_an_empty_frame(self) -> None:
        for data in (b'\x81\x00', b'\x81\x80' + KEY):
            frame = Frame()
            self.assertIsNone(frame.parser.send(data))
            self.assertEqual((frame.body, frame.payload_length, frame.header_complete), (b'', 0, True))

    def test_next_is_legal_at_any_time(self) -> None:
        frame = Frame()
        self.assertEqual((next(frame.parser), next(frame.parser)), (2, 2))
        data = Part(0x82, bytes(200)).wire(masked=True)
        for at in range(len(data) - 1):
            wanted = frame.parser.send(data[at : at + 1])
            self.assertEqual(next(frame.parser), wanted)
            self.assertEqual(frame.parser.send(b''), wanted)
        self.assertIsNone(frame.parser.send(data[-1:]))

    def test_payload_length_grows_with_the_header(self) -> None:
        for length7, width, length in ((126, 2, 300), (127, 8, 70_000)):
            frame = Frame()
            frame.parser.send(b'\x82')
            self.assertEqual(frame.parser.send(bytes((length7,))), width)
            self.assertEqual(frame.payload_length, length7)
            extended = length.to_bytes(width, 'big')
            self.assertEqual(frame.parser.send(extended[:1]), width - 1)
            self.assertEqual((frame.payload_length, frame.header_complete), (length7, False))
            self.assertEqual(frame.parser.send(extended[1:]), length)
            self.assertEqual((frame.payload_length, frame.header_complete), (length, True))

    def test_masking_key_is_none_until_it_is_whole(self) -> None:
        frame = Frame()
        self.assertEqual(frame.parser.send(b'\x81\x85'), 4)
        for at in range(3):
            self.assertEqual(frame.parser.send(KEY[at : at + 1]), 3 - at)
            self.assertEqual((frame.masking_key, frame.masked, frame.header_complete), (None, True, False))
        self.assertEqual(frame.parser.send(KEY[3:]), 5)
        self.assertEqual((frame.masking_key, type(frame.masking_key)), (KEY, bytes))

    def test_body_stays_masked(self) -> None:
        frame = Frame()
        frame.parser.send(bytes.fromhex('818537fa213d7f9f4d5158'))
        self.assertEqual((frame.body, type(frame.body)), (bytes.fromhex('7f9f4d5158'), bytes))
        self.assertEqual(frame.unmask(frame.body), b'Hello')

    def test_bytes_behind_the_end_are_not_the_body(self) -> None:
        for data in (b'\x81\x02hi\x81\x03you', b'\x81\x00\x81\x03you', b'\x81\x82' + KEY + b'hi\xff\xff'):
            for at in range(len(data)):
                frame = Frame()
                if frame.parser.send(data[:at]) is not None:
                    self.assertIsNone(frame.parser.send(data[at:]))
                self.assertEqual(len(frame.body), frame.payload_length)

    def test_every_bit_is_read(self) -> None:
        frame = Frame()
        with mock.patch.object(framing, 'check'):  # bits that an extension would use
            frame.parser.send(b'\x5f\x00')
        self.assertEqual((frame.fin, frame.rsv1, frame.rsv2, frame.rsv3, frame.opcode), (0, 1, 0, 1, 15))
        self.assertEqual(frame.first, 0x5F)

    def test_the_first_byte_is_judged_at_once(self) -> None:
        for first in (0xC1, 0xA1, 0x91, *(0x80 | opcode for opcode in RESERVED), 0x08, 0x09, 0x0A):
            frame = Frame()
            with self.assertRaises(ProtocolException):
                frame.parser.send(bytes((first,)))
            with self.assertRaises(StopIteration):
                next(frame.parser)

    def test_a_control_frame_over_125_bytes(self) -> None:
        for first in (0x88, 0x89, 0x8A):
            for length7 in (126, 127):
                frame = Frame()
                frame.parser.send(bytes((first,)))
                with self.assertRaises(FrameTooLargeException):
                    frame.parser.send(bytes((length7,)))

    def test_a_length_with_its_top_bit_set(self) -> None:
        frame = Frame()
        frame.parser.send(b'\x82\x7f\x80\0\0\0\0\0\0')
        with self.assertRaises(FrameTooLargeException):
            frame.parser.send(b'\0')

    def test_what_is_not_bytes(self) -> None:
        for begin in (b'', b'\x81', b'\x81\x05h'):
            for wrong in ('text', 5, [1], True):
                frame = Frame()
                frame.parser.send(begin)
                with self.assertRaisesRegex(ProtocolException, f'not of {type(wrong).__name__}'):
                    frame.parser.send(wrong)  # type: ignore[arg-type]

    def test_anything_bytes_like(self) -> None:
        data = Part(0x82, b'payload').wire(masked=True)
        doubled = bytes(octet for pair in zip(data, data) for octet in pair)
        for at in range(len(data)):
            frame = Frame()
            frame.parser.send(bytearray(data[:at]))
            frame.parser.send(memoryview(doubled)[2 * at :: 2])
            self.assertEqual(frame.unmask(frame.body), b'payload')

    def test_a_buffer_may_be_used_again(self) -> None:
        buffer = bytearray(1)
        frame = Frame()
        for octet in b'\x81\x05hello':
            buffer[0] = octet
            frame.parser.send(buffer)
        self.assertEqual(frame.body, b'hello')


if __name__ == '__main__':
    unittest.main()
