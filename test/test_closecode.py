"""Close codes: every one of the 65,536, and every fault of a Close frame's payload."""

from __future__ import annotations

import unittest

from hypothesis import given, settings
from hypothesis import strategies as st

from ws4py import closecode
from ws4py.exc import ProtocolException, TextFrameEncodingException, WebSocketException

# RFC 6455 section 7.4.1, and the IANA registry for 1012 to 1014.
NAMES = {
    'NORMAL_CLOSURE': 1000,
    'GOING_AWAY': 1001,
    'PROTOCOL_ERROR': 1002,
    'UNSUPPORTED_DATA': 1003,
    'NO_STATUS_RECEIVED': 1005,
    'ABNORMAL_CLOSURE': 1006,
    'INVALID_PAYLOAD': 1007,
    'POLICY_VIOLATION': 1008,
    'MESSAGE_TOO_BIG': 1009,
    'MANDATORY_EXTENSION': 1010,
    'INTERNAL_ERROR': 1011,
    'SERVICE_RESTART': 1012,
    'TRY_AGAIN_LATER': 1013,
    'BAD_GATEWAY': 1014,
    'TLS_HANDSHAKE': 1015,
}
SENDABLE = {*range(1000, 1004), *range(1007, 1015), *range(3000, 5000)}
PROPERTY = settings(deadline=None, database=None)


class CodeTest(unittest.TestCase):
    def test_names(self) -> None:
        for name, code in NAMES.items():
            self.assertEqual(getattr(closecode, name), code)
        self.assertEqual(set(closecode.__all__), {*NAMES, 'build', 'is_sendable', 'parse'})

    def test_which_may_be_sent(self) -> None:
        self.assertEqual({code for code in range(-5, 70_000) if closecode.is_sendable(code)}, SENDABLE)


class BuildTest(unittest.TestCase):
    def test_code_and_reason(self) -> None:
        self.assertEqual(closecode.build(1000), b'\x03\xe8')
        self.assertEqual(closecode.build(1001, b'bye'), b'\x03\xe9bye')
        self.assertEqual(closecode.build(4999, 'é'.encode()), b'\x13\x87\xc3\xa9')

    def test_what_may_not_be_sent_is_never_built(self) -> None:
        for code in (-1, 0, 999, 1004, 1005, 1006, 1015, 2999, 5000, 65_536):
            with self.assertRaisesRegex(ValueError, f'close code {code} may not be sent'):
                closecode.build(code)

    def test_a_reason_is_cut_to_123_bytes(self) -> None:
        self.assertEqual(closecode.build(1000, b'r' * 123), b'\x03\xe8' + b'r' * 123)
        self.assertEqual(closecode.build(1000, b'r' * 124), b'\x03\xe8' + b'r' * 123)

    def test_a_reason_is_cut_where_a_character_ends(self) -> None:
        for character in 'é€😀':
            size = len(character.encode())
            for before in range(size):
                with self.subTest(character, before=before):
                    reason = b'x' * before + character.encode() * 100
                    whole = (123 - before) // size
                    self.assertEqual(closecode.cut_reason(reason), reason[: before + whole * size])

    def test_a_reason_that_ends_at_byte_123_is_kept_to_it(self) -> None:
        reason = b'x' * 120 + '€'.encode()
        self.assertEqual(closecode.cut_reason(reason + b'more'), reason)

    def test_a_reason_without_any_character_is_cut_away(self) -> None:
        self.assertEqual(closecode.cut_reason(b'\x80' * 124), b'')

    @PROPERTY
    @given(st.text(min_size=30, max_size=200))
    def test_a_cut_reason_is_the_longest_beginning_that_fits(self, text: str) -> None:
        reason = closecode.cut_reason(text.encode()).decode()
        self.assertTrue(text.startswith(reason))
        self.assertLessEqual(len(reason.encode()), 123)
        self.assertTrue(reason == text or len(text[: len(reason) + 1].encode()) > 123)


class ParseTest(unittest.TestCase):
    def test_an_empty_payload_is_1005(self) -> None:
        self.assertEqual(closecode.parse(b''), (1005, b''))

    def test_one_byte(self) -> None:
        with self.assertRaisesRegex(ProtocolException, 'a Close frame of one byte'):
            closecode.parse(b'\x03')

    def test_every_code(self) -> None:
        for code in range(65_536):
            payload = code.to_bytes(2, 'big')
            try:
                parsed = closecode.parse(payload)
            except ProtocolException as error:
                self.assertNotIn(code, SENDABLE)
                self.assertEqual(str(error), f'close code {code} may not be sent')
            else:
                self.assertIn(code, SENDABLE)
                self.assertEqual(parsed, (code, b''))

    def test_a_reason_is_bytes(self) -> None:
        for form in (bytes, bytearray):
            code, reason = closecode.parse(form(b'\x03\xe8\xc3\xa9'))  # type: ignore[arg-type]
            self.assertEqual((code, type(reason), reason), (1000, bytes, b'\xc3\xa9'))

    def test_a_reason_that_is_not_utf8(self) -> None:
        for reason in (b'\xff', b'\xc3', b'ok\xed\xa0\x80', b'\xf4\x90\x80\x80', b'\xc0\xaf'):
            with self.assertRaisesRegex(TextFrameEncodingException, 'a close reason that is not UTF-8: '):
                closecode.parse(b'\x03\xe8' + reason)

    @PROPERTY
    @given(st.sampled_from(sorted(SENDABLE)), st.text(max_size=100))
    def test_what_is_built_can_be_parsed(self, code: int, text: str) -> None:
        self.assertEqual(
            closecode.parse(closecode.build(code, text.encode())), (code, closecode.cut_reason(text.encode()))
        )

    @PROPERTY
    @given(st.binary(max_size=125))
    def test_nothing_else_is_raised(self, payload: bytes) -> None:
        try:
            code, reason = closecode.parse(payload)
        except WebSocketException as error:
            self.assertIn(type(error), (ProtocolException, TextFrameEncodingException))
        else:
            self.assertEqual(closecode.build(code, reason) if payload else b'', payload)


if __name__ == '__main__':
    unittest.main()
