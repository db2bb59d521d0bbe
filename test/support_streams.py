"""Wire bytes and what a stream makes of them: frames written by hand, drivers, cuts, vectors, and a second opinion.

Nothing here uses ws4py's own code for frames, masks or close codes, so that a mistake there cannot hide here. An event
is a tuple: ``('text', data)``, ``('binary', data)``, ``('ping', data)``, ``('pong', data)``,
``('close', code, reason)`` or ``('error', code, reason)``, all payloads as bytes.
"""

from __future__ import annotations

import contextlib
import random
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple, Optional, Union
from unittest import mock

from hypothesis import strategies as st

from ws4py import framing, streaming
from ws4py.limits import DEFAULT_LIMITS, Limits
from ws4py.streaming import Stream

Event = tuple[Any, ...]

KEY = b'\x37\xfa\x21\x3d'  # the masking key of the RFC's examples


def xor(data: bytes, key: bytes) -> bytes:
    """RFC 6455 section 5.3, to the letter."""
    return bytes(octet ^ key[at % 4] for at, octet in enumerate(data))


@dataclass(frozen=True)
class Part:
    """A frame, right or wrong in any way.

    :ivar first: its first byte.
    :ivar length: what its header says instead of the payload's length.
    :ivar width: bytes of the extended length (0, 2 or 8) instead of the least that does.
    :ivar wrong_mask: it is masked by a server, or not masked by a client.
    """

    first: int
    payload: bytes = b''
    length: Optional[int] = None
    width: Optional[int] = None
    wrong_mask: bool = False
    key: bytes = KEY

    def wire(self, masked: bool) -> bytes:
        """The frame as a client sends it, *masked*, or a server."""
        masked = masked is not self.wrong_mask
        length = len(self.payload) if self.length is None else self.length
        width = self.width
        if width is None:
            width = 0 if length < 126 else 2 if length < 65536 else 8
        form, length7 = {0: ('', length), 2: ('!H', 126), 8: ('!Q', 127)}[width]
        header = bytes((self.first, masked << 7 | length7)) + (struct.pack(form, length) if width else b'')
        return header + (self.key + xor(self.payload, self.key) if masked else self.payload)


def wire(parts: Iterable[Union[Part, bytes]], masked: bool) -> bytes:
    """All *parts* as one of the two sides sends them; bytes go out as they are."""
    return b''.join(part if isinstance(part, bytes) else part.wire(masked) for part in parts)


class Driver:
    """Sends chunks into a stream as a connection does, and collects the events.

    :param ask: call ``next()`` on the parser before every chunk.
    """

    def __init__(self, stream: Stream, ask: bool = False) -> None:
        self.stream = stream
        self.ask = ask
        self.events: list[Event] = []
        self.wanted = 2

    def feed(self, chunk: Any) -> int:
        """Send *chunk* and take what comes out; returns how many bytes the stream wants next."""
        if self.ask:
            asked = next(self.stream.parser)
            assert asked == self.wanted, f'{asked} bytes wanted, {self.wanted} before'
        while True:
            wanted = self.stream.parser.send(chunk)
            taken = self.take()
            self.events += taken
            if wanted != 0:
                assert type(wanted) is int and wanted > 0, wanted
                assert len(taken) <= 2, taken  # a wrong Close is an error besides
                self.wanted = wanted
                return wanted
            assert len(taken) == 1, f'{taken} instead of one event'
            chunk = b''

    def take(self) -> list[Event]:
        """The events that are ready."""
        stream = self.stream
        taken: list[Event] = []
        if stream.has_message:
            assert stream.message is not None
            taken.append(('text' if stream.message.is_text else 'binary', stream.message.data))
            stream.message = None
        taken += [('ping', ping.data) for ping in stream.pings]
        taken += [('pong', pong.data) for pong in stream.pongs]
        if stream.closing is not None and not any(event[0] == 'close' for event in self.events):
            taken.append(('close', stream.closing.code, stream.closing.reason))
        taken += [('error', error.code, error.reason) for error in stream.errors]
        stream.pings.clear()
        stream.pongs.clear()
        stream.errors.clear()
        return taken


def events(
    chunks: Iterable[Any], masked: bool = True, limits: Limits = DEFAULT_LIMITS, ask: bool = False
) -> list[Event]:
    """What a server (*masked*: its peer masks) or a client makes of *chunks*."""
    driver = Driver(Stream(always_mask=not masked, expect_masking=masked, limits=limits), ask)
    for chunk in chunks:
        driver.feed(chunk)
    return driver.events


# Ways to cut bytes


def byte_by_byte(data: bytes) -> list[bytes]:
    return [data[at : at + 1] for at in range(len(data))]


def cut(data: bytes, places: Iterable[int]) -> list[bytes]:
    """*data* in pieces that end at *places* (any order; a place that comes twice gives an empty piece)."""
    ends = [*sorted(places), len(data)]
    return [data[begin:end] for begin, end in zip([0, *ends], ends)]


def cuts_in_two(data: bytes) -> Iterator[list[bytes]]:
    """*data* in two pieces, cut at every offset."""
    return (cut(data, [at]) for at in range(len(data) + 1))


def cut_by_chance(data: bytes, chance: random.Random) -> list[bytes]:
    return cut(data, (chance.randrange(len(data) + 1) for _ in range(chance.randrange(1, 8))))


def every_cut(data: bytes) -> Iterator[list[bytes]]:
    """Whole, byte by byte, and in two at every offset."""
    yield [data]
    yield byte_by_byte(data)
    yield from cuts_in_two(data)


@contextlib.contextmanager
def patched_by_wsaccel() -> Iterator[None]:
    """``wsaccel.patch_ws4py()``, undone at the end.

    :raises ImportError: wsaccel is not installed.
    """
    import wsaccel

    frame = framing.Frame
    with mock.patch.multiple(frame, mask=frame.mask, unmask=frame.unmask):
        with mock.patch.object(streaming, 'Utf8Validator', streaming.Utf8Validator):
            wsaccel.patch_ws4py()
            yield


# A second opinion


def begins_utf8(data: bytes) -> bool:
    """True when *data*, with something behind it or nothing, can be UTF-8."""
    for tail in (b'', *(lead + b'\x80' * more for lead in (b'\x80', b'\x90', b'\xa0') for more in range(3))):
        with contextlib.suppress(UnicodeDecodeError):
            (data + tail).decode('utf-8')
            return True
    return False


def is_utf8(data: bytes) -> bool:
    try:
        data.decode('utf-8')
    except UnicodeDecodeError:
        return False
    return True


def reference(data: bytes, masked: bool = True, limits: Limits = DEFAULT_LIMITS) -> list[Event]:
    """What RFC 6455 makes of *data*, all of which is there: slow and plain. Errors are without their reason."""
    found: list[Event] = []
    kind, text, fragments, announced = '', b'', 0, 0
    while data:
        fin, opcode, size = data[0] & 128, data[0] & 15, 2
        if data[0] & 0x70 or opcode not in (0, 1, 2, 8, 9, 10) or (opcode >= 8 and not fin):
            return [*found, ('error', 1002)]
        if len(data) < size:
            return found
        length = data[1] & 127
        if opcode >= 8 and length > 125:
            return [*found, ('error', 1002)]
        if length > 125:
            size = 4 if length == 126 else 10
            if len(data) < size:
                return found
            length = int.from_bytes(data[2:size], 'big')
            if length >= 2**63 or length < (126 if size == 4 else 65536):
                return [*found, ('error', 1002)]
        key = bytes(4)
        if data[1] & 128:
            if len(data) < size + 4:
                return found
            key = data[size : size + 4]
            size += 4
        if bool(data[1] & 128) != masked:
            return [*found, ('error', 1002)]
        if opcode < 8:
            if (opcode == 0) is (kind == ''):
                return [*found, ('error', 1002)]
            if opcode:
                kind, text, fragments, announced = ('text' if opcode == 1 else 'binary'), b'', 0, 0
            fragments, announced = fragments + 1, announced + length
            if fragments > limits.fragments or announced > limits.message_size:
                return [*found, ('error', 1009)]
        payload = xor(data[size : size + length], key)
        complete = len(payload) == length
        if opcode < 8:
            text += payload
            last = bool(fin) and complete
            if kind == 'text' and not (is_utf8(text) if last else begins_utf8(text)):
                return [*found, ('error', 1007)]
            if last:
                found.append((kind, text))
                kind = ''
        elif complete and opcode == 8:
            code = int.from_bytes(payload[:2], 'big')
            if not payload:
                return [*found, ('close', 1005, b'')]
            if len(payload) == 1 or not (code in (*range(1000, 1004), *range(1007, 1015)) or 3000 <= code < 5000):
                return [*found, ('close', 1005, b''), ('error', 1002)]
            if not is_utf8(payload[2:]):
                return [*found, ('error', 1007)]
            return [*found, ('close', code, payload[2:])]
        elif complete:
            found.append(('ping' if opcode == 9 else 'pong', payload))
        data = data[size + length :]
    return found


def without_reasons(found: list[Event]) -> list[Event]:
    """*found* with errors as :func:`reference` gives them."""
    return [event[:2] if event[0] == 'error' else event for event in found]


# Vectors


class Vector(NamedTuple):
    """What comes in, and what must come out; an error is without its reason."""

    name: str
    parts: list[Union[Part, bytes]]
    events: list[Event]
    limits: Limits = DEFAULT_LIMITS


# Bytes of RFC 6455 section 5.7, and of the frames that section 1.3's chat would send; (name, masked, bytes, events).
RFC: list[tuple[str, bool, bytes, list[Event]]] = [
    ('a text message', False, bytes.fromhex('810548656c6c6f'), [('text', b'Hello')]),
    ('a masked text message', True, bytes.fromhex('818537fa213d7f9f4d5158'), [('text', b'Hello')]),
    ('a fragmented text message', False, bytes.fromhex('010348656c 80026c6f'), [('text', b'Hello')]),
    ('a ping', False, bytes.fromhex('890548656c6c6f'), [('ping', b'Hello')]),
    ('the masked pong to it', True, bytes.fromhex('8a8537fa213d7f9f4d5158'), [('pong', b'Hello')]),
    ('256 bytes', False, bytes.fromhex('827e0100') + bytes(range(256)), [('binary', bytes(range(256)))]),
    ('64 KiB', False, bytes.fromhex('827f0000000000010000') + bytes(65536), [('binary', bytes(65536))]),
]

EURO = '€'.encode()
SMILE = '😀'.encode()
ONE_WRONG: list[Event] = [('error', 1002)]
NOT_TEXT: list[Event] = [('error', 1007)]
TOO_BIG: list[Event] = [('error', 1009)]
NO_CODE: list[Event] = [('close', 1005, b''), ('error', 1002)]

VECTORS: list[Vector] = [
    Vector('nothing', [], []),
    Vector('empty text', [Part(0x81)], [('text', b'')]),
    Vector('empty binary', [Part(0x82)], [('binary', b'')]),
    Vector('text of 125 bytes', [Part(0x81, b'x' * 125)], [('text', b'x' * 125)]),
    Vector('text of 126 bytes', [Part(0x81, b'x' * 126)], [('text', b'x' * 126)]),
    Vector('characters of 1 to 4 bytes', [Part(0x81, 'aé€😀'.encode())], [('text', 'aé€😀'.encode())]),
    Vector('a BOM is a character', [Part(0x81, b'\xef\xbb\xbfx')], [('text', b'\xef\xbb\xbfx')]),
    Vector(
        'three messages',
        [Part(0x81, b'a'), Part(0x82, b'b'), Part(0x81)],
        [('text', b'a'), ('binary', b'b'), ('text', b'')],
    ),
    Vector('a fragmented text', [Part(1, b'a'), Part(0), Part(0, b'b'), Part(0x80, b'c')], [('text', b'abc')]),
    Vector('empty fragments', [Part(2), Part(0), Part(0x80)], [('binary', b'')]),
    Vector('a character in two fragments', [Part(1, EURO[:2]), Part(0x80, EURO[2:])], [('text', EURO)]),
    Vector(
        'a character in four fragments',
        [Part(1, SMILE[:1]), *(Part(0, SMILE[at : at + 1]) for at in (1, 2, 3)), Part(0x80)],
        [('text', SMILE)],
    ),
    Vector(
        'a character with a ping inside',
        [Part(1, EURO[:1]), Part(0x89, b'?'), Part(0x80, EURO[1:])],
        [('ping', b'?'), ('text', EURO)],
    ),
    Vector(
        'pings and pongs',
        [Part(0x89, b'1'), Part(0x89), Part(0x8A, b'2'), Part(0x8A)],
        [('ping', b'1'), ('ping', b''), ('pong', b'2'), ('pong', b'')],
    ),
    Vector('a ping of 125 bytes', [Part(0x89, b'p' * 125)], [('ping', b'p' * 125)]),
    Vector('a ping that is not UTF-8', [Part(0x89, b'\xff')], [('ping', b'\xff')]),
    Vector(
        'control frames between fragments',
        [Part(2, b'a'), Part(0x89, b'1'), Part(0, b'b'), Part(0x8A, b'2'), Part(0x80, b'c'), Part(0x81, b'd')],
        [('ping', b'1'), ('pong', b'2'), ('binary', b'abc'), ('text', b'd')],
    ),
    Vector('a Close with a reason', [Part(0x88, b'\x03\xe8bye')], [('close', 1000, b'bye')]),
    Vector('a Close without a reason', [Part(0x88, b'\x03\xe9')], [('close', 1001, b'')]),
    Vector('a Close of 125 bytes', [Part(0x88, b'\x0f\xa0' + b'r' * 123)], [('close', 4000, b'r' * 123)]),
    Vector('an empty Close', [Part(0x88)], [('close', 1005, b'')]),
    Vector('a Close of one byte', [Part(0x88, b'\x03')], NO_CODE),
    *(
        Vector(f'a Close with {code}', [Part(0x88, struct.pack('!H', code) + b'why')], NO_CODE)
        for code in (0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535)
    ),
    *(
        Vector(f'a Close with {code}', [Part(0x88, struct.pack('!H', code) + b'why')], [('close', code, b'why')])
        for code in (*range(1000, 1004), *range(1007, 1015), 3000, 3999, 4000, 4999)
    ),
    Vector('a reason that is not UTF-8', [Part(0x88, b'\x03\xe8\xff')], NOT_TEXT),
    Vector('a reason that is cut', [Part(0x88, b'\x03\xe8' + EURO[:2])], NOT_TEXT),
    Vector('frames after a Close', [Part(0x88), Part(0x81, b'late'), Part(0x8F), b'\xff\xff'], [('close', 1005, b'')]),
    Vector('a Close inside a message', [Part(1, b'a'), Part(0x88), Part(0x80, b'b')], [('close', 1005, b'')]),
    Vector('a message, then a wrong frame', [Part(0x81, b'a'), Part(0xC1)], [('text', b'a'), *ONE_WRONG]),
    Vector('frames after a wrong one', [Part(0xC1), Part(0x81, b'a'), Part(0x88)], ONE_WRONG),
    *(Vector(f'reserved bits {bits:03b}', [Part(0x81 | bits << 4, b'a')], ONE_WRONG) for bits in range(1, 8)),
    *(Vector(f'opcode {code}', [Part(0x80 | code, b'a')], ONE_WRONG) for code in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15)),
    *(Vector(f'a fragment of opcode {code}', [Part(code, b'a')], ONE_WRONG) for code in (8, 9, 10)),
    *(Vector(f'opcode {code:#x} of 126 bytes', [Part(code, bytes(126))], ONE_WRONG) for code in (0x88, 0x89, 0x8A)),
    Vector('a ping that says 2**62 bytes', [Part(0x89, length=2**62)], ONE_WRONG),
    Vector('2**63 bytes', [Part(0x82, length=2**63)], ONE_WRONG),
    Vector('2**64 - 1 bytes', [Part(0x82, length=2**64 - 1)], ONE_WRONG),
    Vector('125 bytes in a 16-bit length', [Part(0x82, bytes(125), width=2)], ONE_WRONG),
    Vector('125 bytes in a 64-bit length', [Part(0x82, bytes(125), width=8)], ONE_WRONG),
    Vector('65535 bytes in a 64-bit length', [Part(0x82, length=65535, width=8)], ONE_WRONG),
    Vector('a continuation of nothing', [Part(0x80, b'a')], ONE_WRONG),
    Vector('a continuation after the end', [Part(1, b'a'), Part(0x80), Part(0x80)], [('text', b'a'), *ONE_WRONG]),
    Vector('a text inside a text', [Part(1, b'a'), Part(0x81, b'b')], ONE_WRONG),
    Vector('a binary inside a text', [Part(1, b'a'), Part(0x02, b'b')], ONE_WRONG),
    Vector('text that is not UTF-8', [Part(0x81, b'a\xffb')], NOT_TEXT),
    Vector('text that is cut', [Part(0x81, b'a' + EURO[:2])], NOT_TEXT),
    Vector('a surrogate', [Part(0x81, b'\xed\xa0\x80')], NOT_TEXT),
    Vector('wrong text in a continuation', [Part(1, EURO[:1]), Part(0, b'x'), Part(0x80, b'y')], NOT_TEXT),
    Vector('a last fragment that is cut', [Part(1, EURO), Part(0x80, EURO[:2])], NOT_TEXT),
    Vector('wrong text in a frame that goes on', [Part(0x81, b'a\xff', length=1000)], NOT_TEXT),
    Vector('wrong text behind a ping', [Part(1, EURO[:1]), Part(0x89), Part(0x80, b'x')], [('ping', b''), *NOT_TEXT]),
    Vector('binary that is not UTF-8', [Part(2, b'\xff'), Part(0x80, b'\xc0')], [('binary', b'\xff\xc0')]),
    Vector('16 MiB and a byte', [Part(0x82, length=16 * 2**20 + 1)], TOO_BIG),
    Vector('text of 2**63 - 1 bytes', [Part(0x81, length=2**63 - 1)], TOO_BIG),
    Vector('as big as may be', [Part(0x81, b'12345678')], [('text', b'12345678')], Limits(message_size=8)),
    Vector('one byte too big', [Part(0x81, b'123456789')], TOO_BIG, Limits(message_size=8)),
    Vector('too big together', [Part(1, b'1234'), Part(0, b'5678'), Part(0x80, b'9')], TOO_BIG, Limits(message_size=8)),
    Vector(
        'each big enough',
        [Part(2, b'12345678'), Part(0x80), Part(0x82, b'12345678')],
        [('binary', b'12345678')] * 2,
        Limits(message_size=8),
    ),
    Vector(
        '3 fragments of 3', [Part(1, b'1'), Part(0, b'2'), Part(0x80, b'3')], [('text', b'123')], Limits(fragments=3)
    ),
    Vector('4 fragments of 3', [Part(1), Part(0), Part(0), Part(0x80)], TOO_BIG, Limits(fragments=3)),
    Vector(
        'pings are no fragments',
        [Part(1), Part(0x89), Part(0x89), Part(0x80)],
        [('ping', b''), ('ping', b''), ('text', b'')],
        Limits(fragments=2),
    ),
    Vector(
        'masked as it should not be',
        [Part(0x81, b'a'), Part(0x81, b'b', wrong_mask=True)],
        [('text', b'a'), *ONE_WRONG],
    ),
    Vector('an empty frame, masked as it should not be', [Part(0x81, wrong_mask=True)], ONE_WRONG),
    Vector('a ping, masked as it should not be', [Part(0x89, b'a', wrong_mask=True)], ONE_WRONG),
    Vector('a big frame, masked as it should not be', [Part(0x82, length=2**40, wrong_mask=True)], ONE_WRONG),
]


def vectors() -> Iterator[tuple[str, bytes, bool, list[Event], Limits]]:
    """Every vector on each side that it is for: name, bytes, whether they are masked, events, limits."""
    for name, masked, data, found in RFC:
        yield f'RFC 6455: {name}', data, masked, found, DEFAULT_LIMITS
    for vector in VECTORS:
        for masked in (False, True):
            yield (
                f'{vector.name} ({"masked" if masked else "clear"})',
                wire(vector.parts, masked),
                masked,
                vector.events,
                vector.limits,
            )


# Strategies of hypothesis

TEXTS = st.one_of(
    st.text(max_size=12).map(str.encode),
    st.text(alphabet='aé€😀\ud7ff\ue000\U0010ffff', max_size=8).map(str.encode),
    st.sampled_from(
        [b'a\xff', EURO[:2], SMILE[:3], SMILE[1:], b'\xc0\x80', b'\xed\xa0\x80', b'\xf4\x90\x80\x80', b'\xe0\x9f']
    ),
)
CONTROL_FRAMES = st.one_of(
    st.builds(Part, st.sampled_from([0x89, 0x8A]), st.binary(max_size=20)),
    st.builds(Part, st.just(0x89), st.integers(124, 125).map(bytes)),
)
CLOSES = st.one_of(
    st.builds(
        lambda code, reason: Part(0x88, struct.pack('!H', code) + reason),
        st.one_of(st.integers(998, 1016), st.sampled_from([0, 2999, 3000, 4999, 5000, 65535])),
        st.one_of(TEXTS, st.just(b'r' * 123)),
    ),
    st.builds(Part, st.just(0x88), st.binary(max_size=2)),
)
FAULTS = st.one_of(
    st.builds(Part, st.integers(0, 255), st.binary(max_size=10)),
    st.builds(
        Part, st.sampled_from([0, 1, 2, 0x80, 0x81, 0x82, 0x88, 0x89]), st.binary(max_size=10), wrong_mask=st.just(True)
    ),
    st.builds(
        Part,
        st.sampled_from([0, 1, 2, 0x80, 0x81, 0x82, 0x88, 0x89]),
        st.binary(max_size=10),
        length=st.sampled_from([0, 5, 125, 126, 127, 65535, 65536, 2**24, 2**24 + 1, 2**63 - 1, 2**63, 2**64 - 1]),
        width=st.just(8),
    ),
    st.builds(
        Part,
        st.sampled_from([0x80, 0x82, 0x8A]),
        st.binary(max_size=10),
        length=st.sampled_from([0, 5, 125, 126, 65535]),
        width=st.just(2),
    ),
    st.binary(min_size=1, max_size=20),
)
LIMITS = st.one_of(
    st.just(DEFAULT_LIMITS), st.builds(Limits, message_size=st.integers(0, 30), fragments=st.integers(1, 4))
)


@st.composite
def messages(draw: Any) -> list[Union[Part, bytes]]:
    """The frames of one data message, cut anywhere, also in characters, with control frames between them."""
    text = draw(st.booleans())
    data = draw(TEXTS if text else st.one_of(st.binary(max_size=20), st.sampled_from([125, 126, 300]).map(bytes)))
    pieces = cut(data, draw(st.lists(st.integers(0, len(data)), max_size=4)))
    parts: list[Union[Part, bytes]] = []
    for at, piece in enumerate(pieces):
        first = (0 if at else 1 if text else 2) | (0x80 if at == len(pieces) - 1 else 0)
        if at:
            parts += draw(st.lists(CONTROL_FRAMES, max_size=2))
        parts.append(Part(first, piece, key=draw(st.sampled_from([KEY, bytes(4), b'\x80\xff\x01\0']))))
    return parts


@st.composite
def traffic(draw: Any) -> tuple[bool, bytes]:
    """Whether the peer masks, and what it sends: mostly right, so that what is wrong is met in deep states."""
    masked = draw(st.booleans())
    parts: list[Union[Part, bytes]] = []
    for group in draw(
        st.lists(st.one_of(messages(), messages(), messages(), CONTROL_FRAMES.map(lambda part: [part])), max_size=5)
    ):
        parts += group
    for fault in draw(st.one_of(st.just([]), st.lists(FAULTS, max_size=1), st.lists(CLOSES, max_size=1))):
        parts.insert(draw(st.integers(0, len(parts))), fault)
    data = wire(parts, masked)
    if data and draw(st.integers(0, 3)) == 0:
        data = data[: draw(st.integers(0, len(data)))]
    if data and draw(st.integers(0, 3)) == 0:
        at = draw(st.integers(0, len(data) - 1))
        data = data[:at] + bytes((data[at] ^ 1 << draw(st.integers(0, 7)),)) + data[at + 1 :]
    return masked, data


def places(data: bytes) -> Any:
    """Where to :func:`cut` *data*."""
    return st.lists(st.integers(0, len(data)), max_size=12)
