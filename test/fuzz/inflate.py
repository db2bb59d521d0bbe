"""The target `inflate`: compressed messages (RFC 7692), those that came and those that are sent."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, Optional

from support_streams import Driver, Part, is_utf8, wire, without_reasons, xor

from ws4py.extensions import Encoder, SharedMessage, whole_frame
from ws4py.framing import FIN
from ws4py.limits import DEFAULT_LIMITS, Limits
from ws4py.messaging import BinaryMessage, TextMessage
from ws4py.permessage_deflate import PIECE, Deflate, PerMessageDeflate
from ws4py.streaming import Stream

from .choices import Choices, every_way

LIMITS = (Limits(message_size=1000), Limits(message_size=60_000), Limits(message_size=40, fragments=3), DEFAULT_LIMITS)
SIZES = (*(0, 1, 5, 39, 41, 300, 500, 1001) * 3, 5000, 20_000, 60_001, 140_000)  # bytes of a message; most are short
TAIL = b'\0\0\xff\xff'
RSV1 = 0x40
RLE, FIXED = 3, 4  # strategies of zlib, to which PyPy gives no names
BAD_DATA, TOO_BIG = 1007, 1009

Event = tuple[Any, ...]


class Counting:
    """A codec that counts what comes out of it.

    :ivar most: bytes that came out for the message that came to most.
    """

    def __init__(self, codec: Deflate) -> None:
        self._codec = codec
        self._bytes = self.most = 0

    reserved = RSV1

    def decode(self, data: bytes, final: bool) -> Iterator[bytes]:
        for piece in self._codec.decode(data, final):
            assert 0 < len(piece) <= PIECE
            self._bytes += len(piece)
            self.most = max(self.most, self._bytes)
            yield piece
        if final:
            self._bytes = 0


class Terms(NamedTuple):
    """What was agreed on for one direction."""

    bits: int
    alone: bool


def check(data: bytes) -> None:
    choices = Choices(data)
    kind = choices.pick((came, made, sent))
    terms = Terms(choices.pick((15, 8, 9, 10, 11, 12, 13, 14)), choices.pick((False, True)))
    kind(choices, terms)


def receive(chunks: Sequence[bytes], terms: Terms, limits: Limits, masked: bool = False) -> list[Event]:
    """The events of compressed messages; never more of them than the limit and a piece."""
    stream = Stream(always_mask=not masked, expect_masking=masked, limits=limits)
    codec = Counting(Deflate(PerMessageDeflate(), 15, False, terms.bits, terms.alone))
    stream.codecs = (codec,)  # type: ignore[assignment]
    assert stream.codecs == (codec,)
    driver = Driver(stream)
    for chunk in chunks:
        driver.feed(chunk)
        if stream.message is not None:
            assert len(stream.message.data) <= limits.message_size
    assert codec.most <= limits.message_size + PIECE, codec.most
    return without_reasons(driver.events)


def same(ours: list[Event], others: list[Event]) -> bool:
    """Whether two runs came to the same. Of two faults that lie in one piece of a message either may be seen first."""
    bad = [('error', BAD_DATA)], [('error', TOO_BIG)]
    return ours == others or (ours[:-1] == others[:-1] and ours[-1:] in bad and others[-1:] in bad)


# Bytes that came


def came(choices: Choices, terms: Terms) -> None:
    limits = choices.pick(LIMITS[:3])
    masked = choices.pick((False, True))
    places = choices.places()
    received = choices.rest()
    whole = receive([received], terms, limits, masked)
    for chunks in every_way(received, places):
        found = receive(chunks, terms, limits, masked)
        if not same(found, whole):
            assert too_far(received, terms, limits, masked), (found, whole)
            return

    expected, cut = plain_events(received, Inflater(terms), limits, masked)
    failed = bool(whole) and whole[-1][0] == 'error'
    if not failed:
        assert whole == expected, (whole, expected)
        return
    # Where the second opinion waits for the end of a message, or of a frame, ours has failed before.
    code = whole[-1][1]
    ours = whole[:-1]
    theirs = [event for event in expected if event[0] != 'error']
    assert ours == theirs[: len(ours)], (whole, expected)
    wrong = [event[1] for event in expected if event[0] == 'error']
    if wrong and (code == wrong[0] or {code, wrong[0]} <= {BAD_DATA, TOO_BIG}):
        return
    assert (code in (BAD_DATA, TOO_BIG) and (wrong or cut)) or (code == 1002 and cut), (whole, expected)


def too_far(data: bytes, terms: Terms, limits: Limits, masked: bool) -> bool:
    """Whether the peer refers to what lies beyond the window that it has agreed to. Zlib finds that out only where it
    does not happen to have more: how the bytes are cut decides, and the peer may be taken at its word or not."""
    inside = plain_events(data, Inflater(terms, at_once=1), limits, masked, unfinished=True)
    return inside != plain_events(data, Inflater(terms._replace(bits=15)), limits, masked, unfinished=True)


def plain_events(
    data: bytes, inflater: Inflater, limits: Limits, masked: bool, unfinished: bool = False
) -> tuple[list[Event], bool]:
    """What RFC 6455 and RFC 7692 make of complete frames and messages, and whether the bytes end inside of one.

    :param unfinished: the last event is what was inflated of a message that is not complete.
    """
    found: list[Event] = []
    first, pieces, fragments, size = 0, [], 0, 0
    while len(data) >= 2:
        opcode, fin, bits, length, head = data[0] & 15, data[0] & 128, data[0] & 0x70, data[1] & 127, 2
        if length > 125:
            head = 4 if length == 126 else 10
            if len(data) < head and opcode in (0, 1, 2) and not (bits and (bits != RSV1 or not opcode)):
                return found, True
            length = int.from_bytes(data[2:head], 'big')
        wrong = opcode not in (0, 1, 2, 8, 9, 10) or (opcode >= 8 and (not fin or data[1] & 127 > 125))
        wrong |= bool(bits) and (bits != RSV1 or opcode not in (1, 2))
        wrong |= length >= 2**63 or (head > 2 and length < (126 if head == 4 else 65536))
        if not wrong and data[1] & 128 and len(data) < head + 4:
            return found, True
        wrong |= bool(data[1] & 128) is not masked or (opcode == 0 and not first) or (opcode in (1, 2) and first > 0)
        if wrong:
            return [*found, ('error', 1002)], False
        if opcode < 8:
            size, fragments = (size, fragments) if first else (0, 0)
            size, fragments = size + length, fragments + 1
            if size > limits.message_size or fragments > limits.fragments:
                return [*found, ('error', TOO_BIG)], False
        key, head = (data[head : head + 4], head + 4) if masked else (bytes(4), head)
        payload = xor(data[head : head + length], key)
        if len(data) < head + length:
            if unfinished and opcode < 8 and (first or bits):
                begun = b''.join(pieces) if first else b''
                found.append(('unfinished', inflater.message(begun + payload, limits.message_size, tail=b'')))
            return found, True
        data = data[head + length :]
        if opcode == 8:
            closing = close_of(payload)
            return [*found, *closing], first > 0
        if opcode > 8:
            found.append(('ping' if opcode == 9 else 'pong', payload))
            continue
        if opcode:
            first, pieces = opcode | bits, []
        pieces.append(payload)
        if fin:
            text = b''.join(pieces)
            if first & RSV1:
                inflated = inflater.message(text, limits.message_size)
                if isinstance(inflated, int):
                    return [*found, ('error', inflated)], False
                text = inflated
            if first & 15 == 1 and not is_utf8(text):
                return [*found, ('error', BAD_DATA)], False
            found.append(('text' if first & 15 == 1 else 'binary', text))
            first = 0
    if unfinished and first & RSV1:
        found.append(('unfinished', inflater.message(b''.join(pieces), limits.message_size, tail=b'')))
    return found, bool(data) or first > 0


def close_of(payload: bytes) -> list[Event]:
    """The events of a Close frame."""
    code = int.from_bytes(payload[:2], 'big')
    if not payload:
        return [('close', 1005, b'')]
    if len(payload) == 1 or not (code in (*range(1000, 1004), *range(1007, 1015)) or 3000 <= code < 5000):
        return [('close', 1005, b''), ('error', 1002)]
    return [('close', code, payload[2:])] if is_utf8(payload[2:]) else [('error', BAD_DATA)]


class Inflater:
    """RFC 7692 section 7.2.2 with all of a message at hand.

    :param at_once: bytes that zlib gives at most in one piece, which is what it can refer to beyond its window.
    """

    def __init__(self, terms: Terms, at_once: int = 1 << 30) -> None:
        self._terms = terms
        self._at_once = at_once
        self._zlib: Optional[Any] = None

    def message(self, data: bytes, limit: int, tail: bytes = TAIL) -> Any:
        """The message in *data*, or the close code for what is wrong with it."""
        out = b''
        if not data:  # not what section 7.2.3.6 makes of an empty message, but what some compressors do
            return out
        if self._zlib is None:
            self._zlib = zlib.decompressobj(-self._terms.bits)
        data += tail
        try:
            while True:
                most = min(limit + 1 - len(out), self._at_once)
                piece = self._zlib.decompress(data, most)
                out += piece
                if len(out) > limit:
                    return TOO_BIG
                if not self._zlib.eof:
                    data = self._zlib.unconsumed_tail
                    if not data and len(piece) < most:
                        break
                    continue
                data = self._zlib.unused_data
                self._zlib = zlib.decompressobj(-self._terms.bits)
                if data == TAIL:  # it ended with a final block, to which no empty one was added
                    break
        except zlib.error:
            return BAD_DATA
        if self._terms.alone:
            self._zlib = None
        return out


# Messages that were made here


def made(choices: Choices, terms: Terms) -> None:
    """What any compressor makes is inflated to what it was given."""
    limits = choices.pick(LIMITS)
    masked = choices.pick((False, True))
    places = choices.places()
    compressor = Compressor(choices, terms)
    parts: list[Any] = []
    expected: list[Event] = []
    for _ in range(1 + choices.byte() % 3):
        content = contents(choices)
        ending = choices.pick(('sync', 'full', 'final and 0', 'final', 'plain', 'stored', 'finals'))
        payload = content if ending == 'plain' else compressor.message(content, ending)
        first = 2 | (0 if ending == 'plain' else RSV1)
        middle = len(payload) * choices.byte() // 255
        parts += [Part(first, payload[:middle]), Part(0x89, b'?'), Part(0x80, payload[middle:])]
        ended = expected
        expected = [*expected, ('ping', b'?'), ('binary', content)]
        if max(len(content), len(payload)) > limits.message_size or ending == 'finals':
            # In its first fragment, or behind the ping.
            both = [*ended, ('error', TOO_BIG)], [*ended, ('ping', b'?'), ('error', TOO_BIG)]
            break
    else:
        both = expected, expected
    data = wire(parts, masked)
    for chunks in [[data], every_way(data, places)[1]]:
        found = receive(chunks, terms, limits, masked)
        assert found in both, (found, both)


class Compressor:
    """A peer that compresses."""

    def __init__(self, choices: Choices, terms: Terms) -> None:
        self._bits = max(terms.bits, 9)  # zlib makes no smaller window
        self._level = choices.byte() % 10
        self._memory = 1 + choices.byte() % 9
        strategies = (zlib.Z_DEFAULT_STRATEGY, zlib.Z_FILTERED, zlib.Z_HUFFMAN_ONLY, RLE, FIXED)
        self._strategy = zlib.Z_HUFFMAN_ONLY if terms.bits == 8 else choices.pick(strategies)
        self._alone = terms.alone
        self._zlib: Optional[Any] = None

    def message(self, content: bytes, ending: str) -> bytes:
        """*content* compressed as RFC 7692 section 7.2.1 has it, with a last block of one kind or another."""
        if ending == 'stored':  # a block that is not compressed, of the kind of section 7.2.3.3
            self._zlib = None
            blocks = [content[at : at + 65535] for at in range(0, len(content) or 1, 65535)]
            lengths = [
                len(block).to_bytes(2, 'little') + (65535 - len(block)).to_bytes(2, 'little') for block in blocks
            ]
            return b''.join(b'\0' + length + block for length, block in zip(lengths, blocks)) + b'\0'
        squeeze = self._zlib or zlib.compressobj(self._level, zlib.DEFLATED, -self._bits, self._memory, self._strategy)
        data = squeeze.compress(content)
        if ending in ('sync', 'full'):
            data += squeeze.flush(zlib.Z_SYNC_FLUSH if ending == 'sync' else zlib.Z_FULL_FLUSH)
            self._zlib = None if self._alone else squeeze
            return data[:-4] if data.endswith(TAIL) else b'\0'
        self._zlib = None  # a final block: what comes is a new stream
        data += squeeze.flush(zlib.Z_FINISH)
        return data + {'final': b'', 'final and 0': b'\0', 'finals': b'\x03\0' * 1025}[ending]


def contents(choices: Choices) -> bytes:
    """What a message says."""
    size = choices.pick(SIZES)
    source = choices.pick(('zeros', 'words', 'noise'))
    if source == 'zeros':
        return bytes(size)
    if source == 'words':
        return (b'some words, and some words again; ' * (size // 34 + 1))[:size]
    state, octets = choices.byte() + 1, bytearray()
    for _ in range(min(size, 20_000)):  # a linear congruence, whose high bits look like chance
        state = (state * 1103515245 + 12345) & 0x7FFFFFFF
        octets.append(state >> 16 & 255)
    return bytes(octets)


# Messages that are sent


def sent(choices: Choices, terms: Terms) -> None:
    """What we compress goes back to what it was, in our own stream and in zlib with the window agreed on."""
    settings = PerMessageDeflate(
        level=1 + choices.byte() % 9, mem_level=1 + choices.byte() % 9, threshold=choices.pick((64, 0, 1000))
    )
    mask = choices.pick((False, True))
    codec = Deflate(settings, terms.bits, terms.alone, 15, False)
    stream = Stream(always_mask=not mask, expect_masking=mask)
    stream.codecs = (Deflate(settings, 15, False, terms.bits, terms.alone),)
    driver = Driver(stream)
    frames = b''
    expected: list[Event] = []
    for _ in range(1 + choices.byte() % 4):
        content = contents(choices)
        compress = choices.pick((None, True, False))
        how = choices.pick(('whole', 'fragments', 'shared', 'twice'))
        text = is_utf8(content)
        build = TextMessage if text else BinaryMessage
        if how == 'fragments':
            encoder = Encoder((codec,), compress, mask)
            middle = len(content) // 3
            pieces = [BinaryMessage(content[:middle]), BinaryMessage(b''), BinaryMessage(content[middle:])]
            text = False
            made = [encoder.frame(piece, last) for piece, last in zip(pieces, (False, False, True))]
        elif how == 'whole':
            made = [whole_frame((codec,), build(content).opcode | FIN, content, compress, mask)]
        else:
            message = build(content)
            message.compress = compress
            shared = SharedMessage(message)
            made = [shared.frame((codec,), mask) for _ in range(2 if how == 'twice' else 1)]
        expected += [('text' if text else 'binary', content)] * (2 if how == 'twice' else 1)
        frames += b''.join(made)
    driver.feed(frames)
    assert driver.events == expected, (driver.events, expected)

    found, cut = plain_events(frames, Inflater(terms), DEFAULT_LIMITS, mask)
    assert found == expected and not cut
