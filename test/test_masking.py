"""Masking: pure Python and wsaccel against the formula of RFC 6455 section 5.3."""

from __future__ import annotations

import itertools
import os
import random
import sys
import threading
import unittest
from typing import Any, Callable
from unittest import mock

import support_speedups
from hypothesis import given, settings
from hypothesis import strategies as st
from support_streams import xor

from ws4py import masking, speedups

KEYS = (b'\x37\xfa\x21\x3d', b'\0\0\0\0', b'\xff\xff\xff\xff', b'\0\0\0\x01', b'\x80\0\0\0')
SIZES = (*range(18), *range(30, 35), 125, 126, *range(398, 406), *range(4090, 4104), 12_288, 65_535, 65_536, 65_537)
PROPERTY = settings(deadline=None, database=None)


class MaskPythonTest(unittest.TestCase):
    """The pure Python implementation, and what every other one is held to."""

    mask: Callable[..., bytes] = staticmethod(masking.mask_python)

    def test_the_example_of_the_rfc(self) -> None:
        self.assertEqual(self.mask(b'Hello', b'\x37\xfa\x21\x3d'), b'\x7f\x9f\x4d\x51\x58')

    def test_every_size_and_key(self) -> None:
        data = random.Random(4).randbytes(max(SIZES))
        for size in SIZES:
            for key in KEYS if size < 5000 else KEYS[:1]:
                with self.subTest(size=size, key=key):
                    self.assertEqual(self.mask(data[:size], key), xor(data[:size], key))

    def test_every_kind_of_bytes(self) -> None:
        for size in (0, 1, 5, 4095, 4096, 4097, 9999):
            data = random.Random(size).randbytes(size)
            for form in (bytes, bytearray, memoryview):
                for key_form in (bytes, bytearray, memoryview):
                    masked = self.mask(form(data), key_form(KEYS[0]))
                    self.assertIs(type(masked), bytes)
                    self.assertEqual(masked, xor(data, KEYS[0]))

    def test_a_part_of_a_view(self) -> None:
        data = random.Random(5).randbytes(10_000)
        self.assertEqual(self.mask(memoryview(data)[3:9001], KEYS[0]), xor(data[3:9001], KEYS[0]))

    def test_a_view_with_gaps(self) -> None:
        data = random.Random(7).randbytes(10_000)
        for size in (0, 9, 4096, 10_000):
            for step in (2, -1):
                gaps = memoryview(data[:size])[::step]
                self.assertEqual(self.mask(gaps, KEYS[0]), xor(data[:size][::step], KEYS[0]))

    def test_what_is_given_is_not_changed(self) -> None:
        for size in (0, 5, 5000):
            for form in (bytes, bytearray):
                data = form(b'm' * size)
                self.mask(data, KEYS[0])
                self.assertEqual(data, b'm' * size)

    def test_masking_twice_is_nothing(self) -> None:
        for size in (0, 7, 4097, 10_001):
            data = random.Random(6).randbytes(size)
            self.assertEqual(self.mask(self.mask(data, KEYS[0]), KEYS[0]), data)

    def test_a_key_that_is_not_four_bytes(self) -> None:
        for key in (b'', b'abc', b'abcde', b'XXXXXXXX'):
            for data in (b'', b'data', bytes(5000)):
                with self.assertRaisesRegex(ValueError, f'4 bytes, not {len(key)}'):
                    self.mask(data, key)

    def test_what_is_not_bytes(self) -> None:
        wrong: list[Any] = [None, 4, 'data', object(), [100, 97], {100: 97}, range(5000)]
        for data in wrong:
            with self.assertRaises(TypeError):
                self.mask(data, KEYS[0])


class MaskByTablesTest(MaskPythonTest):
    """Both ways for much data, on every Python and for any amount."""

    in_place = staticmethod(masking._mask_by_tables)

    def setUp(self) -> None:
        for name, value in (('_mask_much', self.in_place), ('_MUCH', 0)):
            patcher = mock.patch.object(masking, name, value)
            patcher.start()
            self.addCleanup(patcher.stop)

    def test_in_place(self) -> None:
        target = bytearray(b'Hello')
        self.in_place(target, b'\x37\xfa\x21\x3d')
        self.assertEqual(target, b'\x7f\x9f\x4d\x51\x58')


class MaskByLoopTest(MaskByTablesTest):
    in_place = staticmethod(masking._mask_by_loop)


class MaskBytesTest(unittest.TestCase):
    def test_it_is_the_same(self) -> None:
        for size in SIZES:
            data = random.Random(size).randbytes(size)
            for mask in (masking.mask_bytes, masking.mask_bytes_python):
                self.assertEqual(mask(data, KEYS[0]), masking.mask(data, KEYS[0]))


WSACCEL = masking._wsaccel_mask()
MASKS = (masking.mask_python, masking.mask)


@unittest.skipIf(WSACCEL is None, 'wsaccel is not installed')
class MaskWsaccelTest(MaskPythonTest):
    mask = staticmethod(WSACCEL or masking.mask_python)


@support_speedups.needs_c
class MaskInCTest(MaskPythonTest):
    mask = staticmethod(masking.mask)

    def test_it_is_the_one_that_is_used(self) -> None:
        self.assertIs(masking.mask, speedups.c.mask)

    def test_what_it_does_not_take(self) -> None:
        for args in ((b'',), (b'', KEYS[0], b''), ('text', KEYS[0]), (b'', 'text'), (b'', None)):
            with self.assertRaises(TypeError):
                self.mask(*args)


class PropertyTest(unittest.TestCase):
    @PROPERTY
    @given(st.binary(max_size=64), st.binary(min_size=4, max_size=4))
    def test_any_bytes(self, data: bytes, key: bytes) -> None:
        for mask in MASKS:
            self.assertEqual(mask(data, key), xor(data, key))

    @PROPERTY
    @given(st.binary(max_size=64), st.binary(min_size=4, max_size=4), st.integers(0, 64))
    def test_in_two_pieces_with_a_rotated_key(self, data: bytes, key: bytes, at: int) -> None:
        for mask in MASKS:
            pieces = mask(data[:at], key) + mask(data[at:], masking.rotate(key, len(data[:at])))
            self.assertEqual(pieces, xor(data, key))


class ChoiceTest(unittest.TestCase):
    def test_without_wsaccel_it_is_python(self) -> None:
        with mock.patch.dict(sys.modules, {'wsaccel': None, 'wsaccel.xormask': None}):
            self.assertIsNone(masking._wsaccel_mask())

    def test_with_something_like_wsaccel_it_is_that(self) -> None:
        class Masker:
            def __init__(self, key: bytes) -> None:
                self.key = key

            def process(self, data: bytes) -> bytes:
                return xor(data, self.key)

        module: Any = mock.Mock(XorMaskerSimple=Masker)
        with mock.patch.dict(sys.modules, {'wsaccel': mock.Mock(xormask=module), 'wsaccel.xormask': module}):
            mask = masking._wsaccel_mask()
        assert mask is not None
        self.assertEqual(mask(bytearray(b'Hello'), bytearray(KEYS[0])), b'\x7f\x9f\x4d\x51\x58')
        with self.assertRaisesRegex(ValueError, '4 bytes, not 3'):
            mask(b'Hello', b'abc')

    def test_the_best_one(self) -> None:
        with mock.patch.object(speedups, 'c', mock.Mock(mask='in C')):
            self.assertEqual(masking._best_mask(), 'in C')
        with mock.patch.object(speedups, 'c', None), mock.patch.object(speedups, 'PURE', False):
            self.assertEqual(masking._best_mask().__name__, 'mask_wsaccel' if WSACCEL else 'mask_python')
            with mock.patch.object(speedups, 'PURE', True):
                self.assertIs(masking._best_mask(), masking.mask_python)


class NewKeyTest(unittest.TestCase):
    def setUp(self) -> None:
        masking._keys.clear()

    def test_they_are_fetched_together(self) -> None:
        with mock.patch('os.urandom', side_effect=os.urandom) as urandom:
            keys = [masking.new_key() for _ in range(2 * masking._KEYS)]
            self.assertEqual(urandom.mock_calls, [mock.call(4 * masking._KEYS)] * 2)
        self.assertEqual({len(key) for key in keys}, {4})
        self.assertGreater(len(set(keys)), len(keys) - 5)

    def test_each_is_given_once_whatever_thread_asks(self) -> None:
        numbers = itertools.count()

        def urandom(size: int) -> bytes:
            return b''.join(next(numbers).to_bytes(4, 'big') for _ in range(size // 4))

        given: list[list[bytes]] = []
        with mock.patch('os.urandom', urandom):
            threads = [
                threading.Thread(target=lambda: given.append([masking.new_key() for _ in range(5000)]))
                for _ in range(4)
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        masking._keys.clear()
        self.assertEqual(len(set().union(*given)), 20_000)

    @unittest.skipUnless(hasattr(os, 'fork'), 'this system does not fork')
    def test_a_child_has_its_own(self) -> None:
        masking.new_key()
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                os.write(writer, b''.join(masking.new_key() for _ in range(16)))
            finally:
                os._exit(0)
        os.waitpid(child, 0)
        with open(reader, 'rb') as pipe:
            os.close(writer)
            octets = pipe.read()
        keys = {octets[at : at + 4] for at in range(0, 64, 4)}
        self.assertGreater(len(keys), 14)
        self.assertLess(len(keys & {masking.new_key() for _ in range(16)}), 2)


class RotateTest(unittest.TestCase):
    def test_rotate(self) -> None:
        turned = [b'abcd', b'bcda', b'cdab', b'dabc']
        for count in range(12):
            self.assertEqual(masking.rotate(b'abcd', count), turned[count % 4])
        self.assertEqual(masking.rotate(b'abcd', 2**40 + 3), b'dabc')


if __name__ == '__main__':
    unittest.main()
