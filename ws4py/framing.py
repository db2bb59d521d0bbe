"""Frames, the smallest unit of the protocol (RFC 6455 section 5.2).

::

     0                   1                   2                   3
     0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
    +-+-+-+-+-------+-+-------------+-------------------------------+
    |F|R|R|R| opcode|M| Payload len |    Extended payload length    |
    |I|S|S|S|  (4)  |A|     (7)     |      (16 or 64 bits, if       |
    |N|V|V|V|       |S|             |     payload len is 126 or     |
    | |1|2|3|       |K|             |         127)                  |
    +-+-+-+-+-------+-+-------------+-------------------------------+
    |     Masking key, if MASK is set (4 bytes), then the payload   |
    +---------------------------------------------------------------+

There are two ways to read one, held to the same vectors by the tests:

- :func:`next_frame`, for a frame that lies complete in a buffer, without making an object;
- :attr:`Frame.parser`, a generator that says how many bytes it wants and takes them in any pieces: for frames that
  are cut, for those that are wrong, and for whoever wants to see a frame grow.

:func:`build_frame` writes one, :func:`build_header` its part before the payload. Nothing here knows of messages, of
limits or of sockets. A :class:`Frame` belongs to one thread, the functions are pure.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Callable, Optional, Union

from ws4py import speedups
from ws4py.exc import FrameTooLargeException, ProtocolException
from ws4py.masking import Buffer, mask, mask_bytes

__all__ = [
    'OPCODE_BINARY',
    'OPCODE_CLOSE',
    'OPCODE_CONTINUATION',
    'OPCODE_PING',
    'OPCODE_PONG',
    'OPCODE_TEXT',
    'RSV1',
    'RSV2',
    'RSV3',
    'Frame',
    'build_frame',
    'build_header',
    'check',
    'next_frame',
]

OPCODE_CONTINUATION = 0x0
OPCODE_TEXT = 0x1
OPCODE_BINARY = 0x2
OPCODE_CLOSE = 0x8
OPCODE_PING = 0x9
OPCODE_PONG = 0xA

OPCODES = frozenset(
    (OPCODE_CONTINUATION, OPCODE_TEXT, OPCODE_BINARY, OPCODE_CLOSE, OPCODE_PING, OPCODE_PONG)
)  # the others are reserved

FIN = 0x80
RSV1, RSV2, RSV3 = 0x40, 0x20, 0x10
RSV = RSV1 | RSV2 | RSV3
PLAIN = frozenset(
    (OPCODE_CONTINUATION, OPCODE_TEXT, OPCODE_BINARY, *(FIN | opcode for opcode in OPCODES))
)  # first bytes of frames that no extension has to do with
MASKED = 0x80  # in the second byte
CONTROL_SIZE = 125  # bytes in the payload of a control frame, section 5.5
MAX_LENGTH = 1 << 63  # the top bit of a 64-bit length must be 0, section 5.2

Parser = Generator[Optional[int], Optional[Buffer], None]


def check(first: int, length7: Optional[int] = None, length: Optional[int] = None, reserved: int = 0) -> None:
    """Judge what has been received of a header.

    :param first: its first byte.
    :param length7: the seven bits of length in its second byte, once it is there.
    :param length: the payload length in bytes, once it is complete.
    :param reserved: the reserved bits that extensions use, in the first frame of a message.
    :raises ProtocolException: a reserved bit or opcode, a fragmented control frame, a length not in its shortest form.
    :raises FrameTooLargeException: a control frame over 125 bytes, a length of 2**63 or more.
    """
    opcode = first & 0x0F
    if first & RSV and (first & RSV & ~reserved or opcode not in (OPCODE_TEXT, OPCODE_BINARY)):
        raise ProtocolException(f'reserved bits {first >> 4 & 7:03b} are set, but no extension uses them here')
    if opcode not in OPCODES:
        raise ProtocolException(f'opcode {opcode} is reserved')
    if opcode & 8 and not first & FIN:
        raise ProtocolException(f'a control frame (opcode {opcode}) may not be fragmented')
    if length7 is None:
        return
    if opcode & 8 and length7 > CONTROL_SIZE:
        raise FrameTooLargeException(f'a control frame (opcode {opcode}) of more than {CONTROL_SIZE} bytes')
    if length is None or length7 <= CONTROL_SIZE:
        return
    if length >= MAX_LENGTH:
        raise FrameTooLargeException(f'payload length {length} has its top bit set')
    if length < (126 if length7 == 126 else 1 << 16):
        raise ProtocolException(f'payload length {length} is not in its shortest form')


def next_frame_python(data: bytes, position: int, masked: bool, reserved: int = 0) -> Optional[tuple[int, bytes, int]]:
    """The frame that begins at *position* of *data*, if all of it is there and it is right.

    :param masked: whether the peer must mask its frames (section 5.1).
    :param reserved: as in :func:`check`.
    :returns: its first byte, its payload in clear and the position behind it. None where bytes are missing, or
        something is wrong: :attr:`Frame.parser` says what.
    """
    begin = position + 2
    size = len(data)
    if size < begin:
        return None
    first = data[position]
    length7 = data[position + 1]
    if masked:
        length7 ^= MASKED
    if length7 <= CONTROL_SIZE:
        length = length7
    elif length7 == 126 and size >= begin + 2:
        length = data[begin] << 8 | data[begin + 1]
        begin += 2
    elif length7 == 127 and size >= begin + 8:
        length = int.from_bytes(data[begin : begin + 8], 'big')
        begin += 8
    else:  # which is also where a frame is masked and should not be, or the other way round
        return None
    if first not in PLAIN or length7 > CONTROL_SIZE:  # else there is nothing to find fault with
        try:
            check(first, length7, length, reserved)
        except (ProtocolException, FrameTooLargeException):
            return None
    if not masked:
        end = begin + length
        return (first, data[begin:end], end) if end <= size else None
    key_at, begin = begin, begin + 4
    end = begin + length
    return (first, mask_bytes(data[begin:end], data[key_at:begin]), end) if end <= size else None


next_frame: Callable[..., Optional[tuple[int, bytes, int]]] = (
    next_frame_python if speedups.c is None else speedups.c.next_frame
)


def check_masking(masked: bool, expected: bool) -> None:
    """Clients mask every frame, servers none (section 5.1).

    :raises ProtocolException: the peer does not do as it should.
    """
    if masked is not bool(expected):
        raise ProtocolException(
            'a frame from a client must be masked' if expected else 'a frame from a server must not be masked'
        )


def build_header(first: int, length: int, key: Optional[bytes] = None) -> bytes:
    """The bytes of a frame before its payload.

    :param first: its first byte: FIN, reserved bits and opcode.
    :param length: bytes of its payload.
    :param key: the masking key of four bytes, or None for a frame that is not masked.
    """
    bit = MASKED if key else 0
    if length < 126:
        header = bytes((first, bit | length))
    elif length < 1 << 16:
        header = bytes((first, bit | 126)) + length.to_bytes(2, 'big')
    else:
        header = bytes((first, bit | 127)) + length.to_bytes(8, 'big')
    return header + key if key else header


def build_frame_python(first: int, payload: bytes, key: Optional[bytes] = None) -> bytes:
    """The bytes of a frame; *payload* is in clear, the others are those of :func:`build_header`."""
    return build_header(first, len(payload), key) + (mask(payload, key) if key else payload)


build_frame: Callable[..., bytes] = build_frame_python if speedups.c is None else speedups.c.build_frame


def as_bytes(data: object) -> bytes:
    """What was sent into a parser, where ``next()`` sends nothing.

    :raises ProtocolException: it is not bytes-like.
    """
    if type(data) is bytes:
        return data
    if data is None:
        return b''
    if isinstance(data, (bytes, bytearray, memoryview)):
        return bytes(data)
    raise ProtocolException(f'frames are made of bytes, not of {type(data).__name__}')


class Frame:
    """One frame, to be built from its parts or to be parsed from bytes as they come.

    :param opcode: what the payload is (0 to 15).
    :param body: the payload in clear, bytes.
    :param masking_key: four bytes, or None for a frame that is not masked.
    :param fin: 1 in the last frame of a message.
    :param rsv1: a bit that extensions may use, and so are the other two.
    :raises TypeError: the body is not bytes.

    A frame that was parsed has its payload in ``body`` as it came, that is masked if ``masking_key`` is not None;
    :meth:`unmask` gives it in clear.
    """

    def __init__(
        self,
        opcode: Optional[int] = None,
        body: bytes = b'',
        masking_key: Optional[bytes] = None,
        fin: int = 0,
        rsv1: int = 0,
        rsv2: int = 0,
        rsv3: int = 0,
    ) -> None:
        if not isinstance(body, bytes):
            raise TypeError(f'the body of a frame is bytes, not {type(body).__name__}')
        self.opcode = opcode
        self.body = body
        self.masking_key = masking_key
        self.fin = fin
        self.rsv1 = rsv1
        self.rsv2 = rsv2
        self.rsv3 = rsv3
        self.payload_length = len(body)
        #: The reserved bits that may be set in a frame that is parsed, because extensions use them.
        self.reserved = 0
        #: True once the parser has read and judged the whole header.
        self.header_complete = False
        #: Whether the header says that the payload is masked.
        self.masked = bool(masking_key)
        self._parser: Optional[Parser] = None

    @property
    def first(self) -> int:
        """The first byte of the header."""
        return self.fin << 7 | self.rsv1 << 6 | self.rsv2 << 5 | self.rsv3 << 4 | (self.opcode or 0)

    def build(self) -> bytes:
        """The frame as bytes.

        :raises ValueError: ``fin`` over 1, or an opcode that is reserved.
        :raises FrameTooLargeException: ``payload_length`` is 2**63 or more.
        """
        if self.fin > 1:
            raise ValueError(f'fin is 0 or 1, not {self.fin}')
        if self.opcode not in OPCODES:
            raise ValueError(f'opcode {self.opcode} is reserved')
        if self.payload_length >= MAX_LENGTH:
            raise FrameTooLargeException(f'a payload of {self.payload_length} bytes does not fit into a frame')
        # The header says payload_length: who sets it sends the rest of the payload by other means.
        key = self.masking_key
        return build_header(self.first, self.payload_length, key) + (mask(self.body, key) if key else self.body)

    def mask(self, data: Union[bytes, bytearray]) -> bytes:
        """*data* masked with the key of this frame, as bytes; without a key as it is."""
        return mask(data, self.masking_key) if self.masking_key else bytes(data)

    unmask = mask

    @property
    def parser(self) -> Parser:
        """The generator that reads this frame, made and primed when it is first asked for.

        ``send(data)`` returns how many bytes it wants next, and None when the frame is complete; the step after
        that raises StopIteration. ``next()`` asks again without giving anything.

        :raises ProtocolException, FrameTooLargeException: (out of ``send``) as in :func:`check`, as soon as the byte
            that is wrong is there; something that is not bytes is a ProtocolException too.
        """
        if self._parser is None:
            self._parser = self._parsing()
            next(self._parser)
        return self._parser

    def _parsing(self) -> Parser:
        """Read the header part by part, then the payload: each part asks for what it lacks."""
        self._pending = bytearray()  # given, but not used yet

        first = (yield from self._read(1, ahead=1))[0]
        check(first, reserved=self.reserved)
        self.fin, self.opcode = first >> 7, first & 0x0F
        self.rsv1, self.rsv2, self.rsv3 = first >> 6 & 1, first >> 5 & 1, first >> 4 & 1

        second = (yield from self._read(1))[0]
        length7 = second & 0x7F
        self.masked = bool(second & MASKED)
        self.payload_length = length7
        check(first, length7, reserved=self.reserved)
        if length7 > CONTROL_SIZE:
            length = int.from_bytes((yield from self._read(2 if length7 == 126 else 8)), 'big')
            check(first, length7, length, self.reserved)
            self.payload_length = length
        if self.masked:
            self.masking_key = bytes((yield from self._read(4)))
        self.header_complete = True

        received = bytearray()
        missing = self.payload_length
        data: Buffer = self._pending
        while missing:
            received += data[:missing]  # bytes behind the end are not ours
            missing = self.payload_length - len(received)
            if missing:
                data = b''  # whoever waits for more holds no block
                data = as_bytes((yield missing))
        self.body = bytes(received)
        yield None

    def _read(self, size: int, ahead: int = 0) -> Generator[Optional[int], Optional[Buffer], bytearray]:
        """Exactly *size* bytes; *ahead* more are asked for, but not waited for."""
        while len(self._pending) < size:
            self._pending += as_bytes((yield size - len(self._pending) + ahead))
        part = self._pending[:size]
        del self._pending[:size]
        return part
