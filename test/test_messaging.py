"""Messages: payloads of every type, lengths, and the bytes of their frames."""

from __future__ import annotations

import array
import unittest
from typing import Any
from unittest import mock

from support_streams import EURO, KEY, events, xor

from ws4py import messaging
from ws4py.messaging import (
    BinaryMessage,
    CloseControlMessage,
    Message,
    PingControlMessage,
    PongControlMessage,
    TextMessage,
    received,
)

WRONG_TYPES: tuple[Any, ...] = (5, 1.5, ['text'], {'a': 1}, object(), array.array('B', b'text'))
UNKNOWN: tuple[Any, ...] = (*WRONG_TYPES, None)


class PayloadTest(unittest.TestCase):
    def test_data_is_bytes_whatever_is_given(self) -> None:
        for message in (
            Message(1, 'é'),
            Message(1, b'\xc3\xa9'),
            Message(1, bytearray(b'\xc3\xa9')),
            Message(1, memoryview(b'\xc3\xa9')),
            TextMessage('é'),
            BinaryMessage(bytearray(b'\xc3\xa9')),
            PingControlMessage('é'),
            PongControlMessage(memoryview(b'\xc3\xa9')),
        ):
            self.assertIs(type(message.data), bytes)
            self.assertEqual(message.data, b'\xc3\xa9')

    def test_nothing_is_empty(self) -> None:
        for message in (
            Message(1),
            TextMessage(),
            TextMessage(None),
            BinaryMessage(),
            BinaryMessage(None),
            PingControlMessage(),
            PongControlMessage(),
        ):
            self.assertEqual((message.data, len(message), message.completed), (b'', 0, False))

    def test_text_is_encoded(self) -> None:
        message = Message(1, 'é', encoding='latin-1')
        self.assertEqual((message.data, str(message), message.encoding), (b'\xe9', 'é', 'latin-1'))
        message.extend('è')
        self.assertEqual(message.data, b'\xe9\xe8')

    def test_unknown_types_are_type_errors(self) -> None:
        for wrong in WRONG_TYPES:
            for make in (TextMessage, BinaryMessage, PingControlMessage, PongControlMessage):
                with self.assertRaisesRegex(TypeError, f'not {type(wrong).__name__}'):
                    make(wrong)
        for wrong in UNKNOWN:
            with self.assertRaisesRegex(TypeError, f'not {type(wrong).__name__}'):
                Message(1, wrong)
            with self.assertRaisesRegex(TypeError, f'not {type(wrong).__name__}'):
                TextMessage('a').extend(wrong)
            with self.assertRaisesRegex(TypeError, f'not {type(wrong).__name__}'):
                CloseControlMessage(1000, wrong)

    def test_text_without_an_encoding_is_a_type_error(self) -> None:
        with self.assertRaisesRegex(TypeError, 'without an encoding'):
            Message(1, 'text', encoding=None)
        with self.assertRaisesRegex(TypeError, 'without an encoding'):
            BinaryMessage('text')
        with self.assertRaisesRegex(TypeError, 'without an encoding'):
            BinaryMessage(b'a').extend('text')

    def test_extend(self) -> None:
        message = TextMessage('a')
        for more in ('é', b'\xe2\x82', bytearray(b'\xac'), memoryview(b'b'), ''):
            message.extend(more)
        self.assertEqual((message.data, str(message)), ('aé€b'.encode(), 'aé€b'))

    def test_data_given_out_does_not_change_with_extend(self) -> None:
        message = BinaryMessage(b'a')
        before = message.data
        message.extend(b'b')
        after = message.data
        message.extend(b'c')
        self.assertEqual((before, after, message.data), (b'a', b'ab', b'abc'))

    def test_large_pieces_and_small_ones(self) -> None:
        payload = bytes(range(256)) * 4096
        large, small = 20_000, 700
        for sizes in ([large], [small], [large, small], [small, small, large], [17, large, large, small, small]):
            for begun in (b'', b'begun'):
                message = BinaryMessage(begun)
                at = 0
                while at < len(payload):
                    size = sizes[at % len(sizes)]
                    message.extend(payload[at : at + size])
                    at = min(at + size, len(payload))
                    self.assertEqual(len(message), len(begun) + at)
                self.assertEqual(message.data, begun + payload)
                message.completed = True
                self.assertEqual(message.data, begun + payload)
                self.assertIs(message.data, message.data)

    def test_small_pieces_do_not_pile_up(self) -> None:
        message = BinaryMessage()
        for _ in range(100_000):
            message.extend(b'x')
        self.assertLess(len(message._data), 10)
        self.assertEqual(message.data, b'x' * 100_000)

    def test_the_only_piece_is_the_payload(self) -> None:
        message, payload = BinaryMessage(), bytes(100_000)
        message.extend(payload)
        self.assertIs(message.data, payload)

    def test_what_is_given_may_change_afterwards(self) -> None:
        given = bytearray(b'abc')
        message = BinaryMessage(given)
        message.extend(given)
        given[:] = b'xyz'
        self.assertEqual(message.data, b'abcabc')

    def test_data_of_a_complete_message_is_copied_once(self) -> None:
        message = BinaryMessage(b'a')
        message.extend(b'b')
        message.completed = True
        self.assertIs(message.data, message.data)
        message.extend(b'c')
        self.assertEqual(message.data, b'abc')

    def test_extend_copies_nothing_that_was_there(self) -> None:
        message = BinaryMessage(b'a')
        message.extend(b'b')
        buffer = message._data
        for _ in range(10):
            message.extend(b'c')
            self.assertEqual(type(message.data), bytes)
            self.assertIs(message._data, buffer)

    def test_data_may_be_set(self) -> None:
        message = TextMessage('a')
        message.data = 'é'  # type: ignore[assignment]
        self.assertEqual(message.data, b'\xc3\xa9')
        with self.assertRaises(TypeError):
            message.data = 5  # type: ignore[assignment]

    def test_received(self) -> None:
        for kind, opcode in ((TextMessage, 1), (BinaryMessage, 2), (PingControlMessage, 9), (PongControlMessage, 10)):
            message = received(kind, b'abc')
            self.assertIs(type(message), kind)
            self.assertEqual((message.data, message.opcode, message.completed), (b'abc', opcode, True))
            self.assertEqual(vars(kind(b'abc')).keys() - vars(message).keys(), {'opcode', 'encoding'})
            self.assertEqual((message.encoding, kind(b'abc').encoding), (kind.encoding,) * 2)


class KindTest(unittest.TestCase):
    def test_opcodes(self) -> None:
        for message, opcode in (
            (Message(5), 5),
            (TextMessage(), 1),
            (BinaryMessage(), 2),
            (CloseControlMessage(), 8),
            (PingControlMessage(), 9),
            (PongControlMessage(), 10),
        ):
            self.assertEqual(message.opcode, opcode)
            self.assertIsInstance(message, Message)

    def test_text_and_binary(self) -> None:
        for message, text, binary in (
            (TextMessage('a'), True, False),
            (BinaryMessage(b'a'), False, True),
            (PingControlMessage('a'), False, False),
        ):
            self.assertEqual((message.is_text, message.is_binary), (text, binary))
        self.assertEqual((TextMessage('a').encoding, BinaryMessage(b'a').encoding), ('utf-8', None))

    def test_len(self) -> None:
        for message, length in (
            (TextMessage('aé€😀'), 4),
            (BinaryMessage('aé€😀'.encode()), 10),
            (CloseControlMessage(1000, 'bye'), 3),
            (CloseControlMessage(1000, ''), 0),
            (PingControlMessage('é'), 2),
            (PongControlMessage('é'), 2),
        ):
            self.assertEqual(len(message), length, message)

    def test_str(self) -> None:
        for message, text in (
            (TextMessage('aé€😀'), 'aé€😀'),
            (BinaryMessage(b'\x00\xff'), '\x00\xff'),
            (CloseControlMessage(1000, 'é'), 'é'),
            (CloseControlMessage(1000, b'\xff'), '\ufffd'),
            (PingControlMessage('é'), 'é'),
        ):
            self.assertEqual(str(message), text)

    def test_truth_is_whether_there_is_something(self) -> None:
        for kind in (TextMessage, BinaryMessage, PingControlMessage, PongControlMessage):
            self.assertEqual((bool(kind(b'a')), bool(kind())), (True, False))
        self.assertTrue(TextMessage(EURO[:1]), 'half a character, while a message is received')

    def test_repr_is_short_and_never_fails(self) -> None:
        self.assertEqual(repr(TextMessage('é')), r"<TextMessage of 2 bytes: b'\xc3\xa9'>")
        self.assertEqual(repr(TextMessage(EURO[:1])), r"<TextMessage of 1 bytes: b'\xe2'>")
        self.assertEqual(repr(BinaryMessage(b'b' * 33)), f'<BinaryMessage of 33 bytes: {b"b" * 32!r}…>')
        self.assertIn('CloseControlMessage of 5 bytes', repr(CloseControlMessage(1000, 'bye')))


class CloseTest(unittest.TestCase):
    def test_code_and_reason(self) -> None:
        message = CloseControlMessage()
        self.assertEqual((message.code, message.reason, message.data), (1000, b'', b'\x03\xe8'))
        for reason in ('bye', b'bye', bytearray(b'bye')):
            message = CloseControlMessage(code=1001, reason=reason)
            self.assertEqual((message.code, message.reason, message.data), (1001, b'bye', b'\x03\xe9bye'))
            self.assertIs(type(message.reason), bytes)

    def test_codes_that_are_never_sent_make_an_empty_frame(self) -> None:
        for code in (0, 1004, 1005, 1006, 1015, 2000, 5000, 65_536):
            message = CloseControlMessage(code, 'why')
            self.assertEqual((message.code, message.reason), (code, b'why'))
            self.assertEqual((message.data, message.single()), (b'', b'\x88\x00'))

    def test_a_reason_is_cut_at_a_character(self) -> None:
        message = CloseControlMessage(1000, '€' * 50)
        self.assertEqual(message.reason, EURO * 41)
        message = CloseControlMessage(1000, 'x' + '€' * 50)
        self.assertEqual(message.reason, b'x' + EURO * 40)
        self.assertEqual(len(message.single()), 2 + 2 + 121)


class FrameTest(unittest.TestCase):
    def test_single(self) -> None:
        for message, frame in (
            (TextMessage('é'), b'\x81\x02\xc3\xa9'),
            (BinaryMessage(b'\xff'), b'\x82\x01\xff'),
            (CloseControlMessage(1000, 'x'), b'\x88\x03\x03\xe8x'),
            (PingControlMessage('p'), b'\x89\x01p'),
            (PongControlMessage('p'), b'\x8a\x01p'),
            (TextMessage(), b'\x81\x00'),
            (BinaryMessage(b'b' * 126), b'\x82\x7e\x00\x7e' + b'b' * 126),
            (BinaryMessage(b'b' * 65536), b'\x82\x7f\0\0\0\0\0\1\0\0' + b'b' * 65536),
        ):
            self.assertEqual(message.single(), frame)
            self.assertIs(type(message.single()), bytes)

    def test_single_masked(self) -> None:
        with mock.patch.object(messaging, 'new_key', return_value=KEY) as new_key:
            self.assertEqual(TextMessage('Hello').single(mask=True), bytes.fromhex('818537fa213d7f9f4d5158'))
            self.assertEqual(PingControlMessage().single(mask=True), b'\x89\x80' + KEY)
            self.assertEqual(TextMessage('a').fragment(first=True, mask=True), b'\x01\x81' + KEY + xor(b'a', KEY))
        self.assertEqual(new_key.mock_calls, [mock.call()] * 3)

    def test_the_key_is_new_for_every_frame(self) -> None:
        message = TextMessage('a')
        self.assertGreater(len({message.single(mask=True)[2:6] for _ in range(50)}), 45)

    def test_fragment(self) -> None:
        for message, opcode in ((TextMessage('a'), 1), (BinaryMessage(b'a'), 2)):
            for first in (False, True):
                for last in (False, True):
                    frame = message.fragment(first=first, last=last)
                    self.assertEqual(frame, bytes((0x80 * last + opcode * first, 1)) + b'a')

    def test_fragments_become_the_message_again(self) -> None:
        for mask in (False, True):
            frames = [
                TextMessage('one').fragment(first=True, mask=mask),
                TextMessage('two').fragment(mask=mask),
                TextMessage('').fragment(last=True, mask=mask),
            ]
            self.assertEqual(events(frames, masked=mask), [('text', b'onetwo')])

    def test_a_control_frame_has_at_most_125_bytes(self) -> None:
        for kind in (PingControlMessage, PongControlMessage):
            self.assertEqual(len(kind(b'x' * 125).single()), 127)
            with self.assertRaisesRegex(ValueError, 'at most 125 bytes, not 126'):
                kind(b'x' * 126).single()


if __name__ == '__main__':
    unittest.main()
