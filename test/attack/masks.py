"""The code that masks: what is in C against what is in Python, and both against the formula of the RFC."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable, Iterator
from typing import Any
from unittest import mock

from backends.servers import not_installed
from support_streams import xor

from ws4py import framing, masking, speedups
from ws4py.framing import OPCODE_BINARY, Frame
from ws4py.streaming import Stream

from .items import MASKS, attack

EDGES = (0, 1, 2, 3, 4, 5, 7, 8, 15, 16, 17, 125, 126, 4095, 4096, 4097, 8191, 8192, 65535, 65536, 65537)


def missing(name: str) -> list[str]:
    """The modules that this masking needs and that are not here."""
    if name == 'C':
        return ['the C part'] if speedups.c is None else []
    return not_installed(['wsaccel'] if name == 'wsaccel' else [])


class MaskTarget:
    """One way to mask, in this process; with the same seed each of them is given the same vectors."""

    def __init__(self, name: str, heavy: bool = False) -> None:
        self.name = name
        self.heavy = heavy
        self.mask: Callable[[Any, Any], bytes] = {
            'python': lambda: masking.mask_python,
            'wsaccel': masking._wsaccel_mask,
            'C': lambda: speedups.c.mask,
        }[name]()  # type: ignore[assignment]

    def still_serves(self) -> None:
        """The example of RFC 6455 section 5.7."""
        assert self.mask(b'Hello', b'\x37\xfa\x21\x3d') == b'\x7f\x9f\x4d\x51\x58'

    def stop(self) -> str:
        return ''


def vectors(count: int, seed: str) -> Iterator[tuple[bytes, bytes, int]]:
    """Data, a key, and an offset into the data; every edge is among the lengths."""
    chance = random.Random(seed)
    for number in range(count):
        size = EDGES[number] if number < len(EDGES) else chance.choice((20, 300, 9000))
        size = size if number < len(EDGES) else chance.randrange(size)
        yield chance.randbytes(size), chance.randbytes(4), chance.randrange(size + 1)


@attack(51, 'random vectors: lengths, offsets, keys, unaligned and shared memory', on=[MASKS])
def random_vectors(target: MaskTarget) -> str:
    count = 20_000 if target.heavy else 500
    for data, key, offset in vectors(count, 'masks'):
        expected = xor(data, key)
        shown = (len(data), key.hex(), offset)
        assert target.mask(data, key) == expected, shown
        # In two pieces, of which the second begins anywhere in memory, with the key as it is there.
        view, rest = memoryview(bytearray(data)), masking.rotate(key, offset)
        pieces = target.mask(view[:offset], memoryview(key)), target.mask(view[offset:], bytearray(rest))
        assert b''.join(pieces) == expected, shown
        assert [type(piece) for piece in pieces] == [bytes, bytes], shown
        assert view == data, 'what was given is changed'
        assert target.mask(view[offset:][::-1], key) == xor(data[offset:][::-1], key), (*shown, 'not contiguous')
        assert target.mask(target.mask(data, key), key) == data, shown
    return f'{count} vectors'


@attack(51, 'arguments of wrong types, keys of wrong lengths', on=[MASKS])
def wrong_arguments(target: MaskTarget) -> str:
    for data in (b'', b'data', bytes(5000)):
        for key in (b'', b'abc', b'abcde', bytes(5000)):
            _raises(ValueError, target.mask, data, key)
        for key in (None, 4, 'abcd', [1, 2, 3, 1000], object()):
            _raises((TypeError, ValueError), target.mask, data, key)
    for data in (None, 4, 'text', object(), [1, 2], {1: 2}, range(5000)):
        _raises(TypeError, target.mask, data, b'abcd')
    return 'TypeError, ValueError'


def _raises(kinds: Any, mask: Callable[[Any, Any], bytes], data: Any, key: Any) -> None:
    try:
        found = mask(data, key)
    except kinds:
        return
    raise AssertionError(f'{found[:20]!r} comes of {data!r:.40} and {key!r:.40}')


@attack(51, 'random messages in frames, cut anywhere', on=[MASKS])
def random_frames(target: MaskTarget) -> str:
    count = 5000 if target.heavy else 200
    chance = random.Random('cuts')
    with mock.patch.object(framing, 'mask', target.mask):
        for data, key, offset in vectors(count, 'frames'):
            built = Frame(opcode=OPCODE_BINARY, body=data, masking_key=key, fin=1).build()
            size = len(data)
            header = b'\x82' + (
                bytes([0x80 | size])
                if size < 126
                else struct.pack('!BH', 0xFE, size)
                if size < 65536
                else struct.pack('!BQ', 0xFF, size)
            )
            assert built == header + key + xor(data, key), (size, key.hex())
            stream = Stream(expect_masking=True)
            cuts = sorted([0, len(built), len(header) + offset, *(chance.randrange(len(built)) for _ in range(3))])
            for begin, end in zip(cuts, cuts[1:]):
                stream.parser.send(built[begin:end])
            assert stream.message is not None and stream.message.completed, (size, key.hex(), cuts)
            assert stream.message.data == data, (size, key.hex(), cuts)
    return f'{count} messages'
