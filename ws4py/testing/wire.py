"""Frames as they are on the wire, for tests that look there: what was sent, and what a peer shall be made to send.

A :class:`WireFrame` may be wrong in any way that its fields allow: a text frame that is not UTF-8, a ping in fragments,
a frame that is masked by a server. How lengths and masks are laid down is :mod:`ws4py.framing`'s affair.
"""

from __future__ import annotations

from typing import NamedTuple

from ws4py.framing import (
    FIN,
    MASKED,
    OPCODE_BINARY,
    OPCODE_CLOSE,
    OPCODE_TEXT,
    RSV,
    RSV1,
    Frame,
    build_frame,
    next_frame,
)

__all__ = ['KEY', 'WireFrame', 'binary', 'close', 'parse_frames', 'text']

KEY = b'\x37\xfa\x21\x3d'  # the masking key of RFC 6455 section 5.7: the same test sends the same bytes


class WireFrame(NamedTuple):
    """One frame (RFC 6455 section 5.2).

    :ivar opcode: one of the ``OPCODE_…`` of :mod:`ws4py.framing`, or another number below 16.
    :ivar payload: in clear.
    :ivar fin: it is the last one of its message.
    :ivar masked: as a client's are.
    :ivar rsv: its reserved bits where they stand in the first byte: ``RSV1`` says that a message is compressed.
    """

    opcode: int
    payload: bytes = b''
    fin: bool = True
    masked: bool = False
    rsv: int = 0

    def build(self) -> bytes:
        """Its bytes; a masked one has the key :data:`KEY`."""
        first = (FIN if self.fin else 0) | self.rsv | self.opcode
        return build_frame(first, self.payload, KEY if self.masked else None)


def text(content: str, masked: bool = False) -> bytes:
    """The bytes of a text message in one frame."""
    return WireFrame(OPCODE_TEXT, content.encode(), masked=masked).build()


def binary(content: bytes, masked: bool = False) -> bytes:
    """The bytes of a binary message in one frame."""
    return WireFrame(OPCODE_BINARY, content, masked=masked).build()


def close(code: int = 1000, reason: str = '', masked: bool = False) -> bytes:
    """The bytes of a Close frame; any code of 16 bits will do, also one that may not be sent."""
    return WireFrame(OPCODE_CLOSE, code.to_bytes(2, 'big') + reason.encode(), masked=masked).build()


def parse_frames(data: bytes) -> list[WireFrame]:
    """The frames of *data*, masked or not; what is behind the last complete one is left out.

    :raises ProtocolException, FrameTooLargeException: there is what is no frame, nor the beginning of one.
    """
    frames, position = [], 0
    while len(data) - position >= 2:
        masked = bool(data[position + 1] & MASKED)
        found = next_frame(data, position, masked, RSV1)
        if found is None:
            frame = Frame()
            frame.reserved = RSV1
            frame.parser.send(data[position:])  # says what is wrong, if it is not only cut
            break
        first, payload, position = found
        frames.append(WireFrame(first & 0x0F, payload, bool(first & FIN), masked, first & RSV))
    return frames
