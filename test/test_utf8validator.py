"""Utf8Validator: every lead and second octet, every cut, and the first wrong octet named exactly."""

from __future__ import annotations

import itertools
import random
import unittest
from typing import Callable

import support_speedups
from support_cost import is_linear

from ws4py import utf8validator
from ws4py.utf8validator import Buffer, Utf8Validator

# One character of each row of the grammar in RFC 3629 section 4, at its lower and upper end.
CHARACTERS = (
    '\0\x7f\x80\u07ff\u0800\u0fff\u1000\ucfff\ud7ff\ue000\uffff\U00010000\U0003ffff\U00040000\U000fffff\U0010ffff'
)

# (text, index of the first octet that cannot be)
WRONG = [
    (b'\x80', 0),
    (b'\xbf', 0),
    (b'\xc0\x80', 0),
    (b'\xc1\xbf', 0),
    (b'\xc2\x7f', 1),
    (b'\xc2\xc0', 1),
    (b'\xe0\x9f\xbf', 1),
    (b'\xe0\xa0\x7f', 2),
    (b'\xed\xa0\x80', 1),
    (b'\xed\xbf\xbf', 1),
    (b'\xed\xa0', 1),
    (b'\xf0\x8f\xbf\xbf', 1),
    (b'\xf0\x90\x80\xc0', 3),
    (b'\xf4\x90', 1),
    (b'\xf4\x90\x80\x80', 1),
    (b'\xf5', 0),
    (b'\xff', 0),
    (b'\xfe\xfe\xff\xff', 0),
    ('κόσμε'.encode() + b'\xed\xa0\x80edited', 11),
]


def accepts(octets: bytes) -> bool:
    """The answer of an independent judge, the codec, for a text that is not cut."""
    try:
        octets.decode('utf-8')
    except UnicodeDecodeError:
        return False
    return True


class Utf8ValidatorTest(unittest.TestCase):
    def test_it_starts_at_a_code_point(self) -> None:
        validator = Utf8Validator()
        self.assertEqual((validator.state, Utf8Validator.UTF8_ACCEPT, Utf8Validator.UTF8_REJECT), (0, 0, 1))
        self.assertEqual(validator.validate(b''), (True, True, 0, 0))

    def test_decode_gives_the_code_point(self) -> None:
        for character in CHARACTERS:
            validator = Utf8Validator()
            *begin, last = character.encode()
            for octet in begin:
                self.assertGreater(validator.decode(octet), Utf8Validator.UTF8_REJECT)
            self.assertEqual(validator.decode(last), Utf8Validator.UTF8_ACCEPT)
            self.assertEqual(validator.codepoint, ord(character))

    def test_decode_rejects_until_reset(self) -> None:
        validator = Utf8Validator()
        for octet in (-1, 256, 0x80):
            validator.reset()
            self.assertEqual(validator.decode(octet), Utf8Validator.UTF8_REJECT)
            self.assertEqual(validator.decode(0x41), Utf8Validator.UTF8_REJECT)
        validator.reset()
        self.assertEqual(validator.decode(0x41), Utf8Validator.UTF8_ACCEPT)

    def test_every_text_of_two_octets_and_the_corners_of_three(self) -> None:
        corners = (0x00, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0, 0xFF)
        texts = [bytes(pair) for pair in itertools.product(range(256), repeat=2)]
        texts += [bytes(three) for three in itertools.product(range(0xC0, 0x100), corners, corners)]
        for text in texts:
            validator = Utf8Validator()
            valid, complete, index, total = validator.validate(text)
            self.assertEqual(valid and complete, accepts(text), text)
            self.assertEqual(index, total)
            # Fail-fast: what came before the index can still become a text, with the octet there it cannot.
            if not valid:
                endings = (b'', b'\x80', b'\x80\x80', b'\xbf\xbf', b'\x80\x80\x80', b'\xbf\xbf\xbf', b'\xbf')
                self.assertTrue(any(accepts(text[:index] + ending) for ending in endings), text)
                self.assertFalse(any(accepts(text[: index + 1] + ending) for ending in endings), text)

    def test_the_first_wrong_octet(self) -> None:
        for text, wrong in WRONG:
            with self.subTest(text=text):
                validator = Utf8Validator()
                self.assertEqual(validator.validate(text), (False, False, wrong, wrong))
                self.assertEqual(validator.validate(b'abc'), (False, False, 0, wrong))
                self.assertEqual(validator.validate(b''), (False, False, 0, wrong))

    def test_every_cut_gives_the_same_answer(self) -> None:
        for text, wrong in [*WRONG, (b'ab' + CHARACTERS.encode(), None)]:
            for cut in range(len(text) + 1):
                with self.subTest(text=text, cut=cut):
                    validator = Utf8Validator()
                    first = validator.validate(text[:cut])
                    if wrong is not None and wrong < cut:
                        self.assertEqual(first, (False, False, wrong, wrong))
                        continue
                    self.assertEqual(first, (True, accepts(text[:cut]), cut, cut))
                    if wrong is None:
                        self.assertEqual(validator.validate(text[cut:]), (True, True, len(text) - cut, len(text)))
                    else:
                        self.assertEqual(validator.validate(text[cut:]), (False, False, wrong - cut, wrong))

    def test_octet_by_octet(self) -> None:
        for text, wrong in WRONG:
            validator = Utf8Validator()
            answers = [validator.validate(text[at : at + 1])[0] for at in range(wrong + 1)]
            self.assertEqual(answers, [True] * wrong + [False], text)

    def test_decode_goes_on_where_validate_stopped(self) -> None:
        validator = Utf8Validator()
        self.assertEqual(validator.validate(b'x\xe2\x82'), (True, False, 3, 3))
        self.assertEqual(validator.decode(0xAC), Utf8Validator.UTF8_ACCEPT)
        self.assertEqual(validator.codepoint, ord('€'))

    def test_long_texts_cut_anywhere(self) -> None:
        chance = random.Random(6455)
        text = ''.join(chance.choice(CHARACTERS) for _ in range(30_000)).encode()
        for form in (bytes, bytearray, memoryview):
            validator = Utf8Validator()
            at = 0
            while at < len(text):
                size = chance.choice((1, 2, 3, 100, 16_384, 40_000))
                chunk = text[at : at + size]
                valid, _, index, total = validator.validate(form(chunk))
                at += len(chunk)
                self.assertEqual((valid, index, total), (True, len(chunk), at))
            self.assertEqual(validator.state, Utf8Validator.UTF8_ACCEPT)
        wrong = len(text)
        self.assertEqual(Utf8Validator().validate(text + b'\xff' + text), (False, False, wrong, wrong))

    def test_time_is_linear(self) -> None:
        self.assertTrue(is_linear(lambda size: Utf8Validator().validate('aé€😀'.encode() * size), 100_000))

    def test_text_is_not_bytes(self) -> None:
        with self.assertRaises(TypeError):
            Utf8Validator().validate('text')  # type: ignore[arg-type]


class Utf8ValidatorInPythonTest(support_speedups.InPython, Utf8ValidatorTest):
    pass


class WholeTextTest(unittest.TestCase):
    """The functions about a text that came whole."""

    is_utf8: Callable[[Buffer], bool] = staticmethod(utf8validator.is_utf8_python)
    utf8_prefix: Callable[[Buffer], int] = staticmethod(utf8validator.utf8_prefix_python)

    def judge(self, text: bytes) -> None:
        self.assertEqual(self.is_utf8(text), accepts(text), text)
        prefix = self.utf8_prefix(text)
        self.assertTrue(accepts(text[:prefix]), text)
        self.assertFalse(any(accepts(text[prefix:end]) for end in range(prefix + 1, min(prefix + 4, len(text)) + 1)))

    def test_wrong_and_right(self) -> None:
        for text, _ in WRONG:
            for before in (b'', b'a', b'abcdefg', b'x' * 31, b'x' * 32, b'x' * 33, 'é'.encode() * 17):
                self.judge(before + text)
                self.judge(before + text + b'behind')

    def test_every_character_cut_anywhere(self) -> None:
        for size in range(len(CHARACTERS.encode()) + 1):
            self.judge(CHARACTERS.encode()[:size])

    def test_every_pair_of_octets(self) -> None:
        for pair in itertools.product(range(256), repeat=2):
            self.judge(bytes(pair))

    def test_ascii_and_one_octet_that_is_not(self) -> None:
        for size in (0, 1, 7, 8, 9, 31, 32, 33, 63, 64, 65, 1000):
            self.judge(b'a' * size)
            for at in range(size):
                self.judge(b'a' * at + b'\xff' + b'a' * (size - at - 1))
                self.judge(b'a' * at + 'é'.encode() + b'a' * (size - at - 1))

    def test_random_mixtures(self) -> None:
        chance = random.Random(3629)
        for _ in range(500):
            text = ''.join(chance.choice(CHARACTERS + 'a' * 40) for _ in range(chance.randrange(200))).encode()
            self.judge(text)
            at = chance.randrange(len(text) + 1)
            self.judge(text[:at] + bytes((chance.randrange(256),)) + text[at:])

    def test_every_kind_of_bytes(self) -> None:
        for form in (bytes, bytearray, memoryview):
            self.assertTrue(self.is_utf8(form(b'abc')))
            self.assertEqual(self.utf8_prefix(form(b'ab\xff')), 2)
        for function in (self.is_utf8, self.utf8_prefix):
            with self.assertRaises(TypeError):
                function('text')  # type: ignore[arg-type]


@support_speedups.needs_c
class WholeTextInCTest(WholeTextTest):
    is_utf8 = staticmethod(utf8validator.is_utf8)
    utf8_prefix = staticmethod(utf8validator.utf8_prefix)


if __name__ == '__main__':
    unittest.main()
