"""Messages: what an application sends and receives (RFC 6455 sections 5.4 to 5.6).

::

    Message
    ├── TextMessage           ├── CloseControlMessage
    └── BinaryMessage         ├── PingControlMessage
                              └── PongControlMessage

A message becomes frame bytes by :meth:`Message.single`, or by :meth:`Message.fragment` for a part of it. The receiver
of :mod:`ws4py.streaming` makes one and extends it while its pieces come in, which are joined once, when all of them are
there. Messages know nothing of connections; one that is complete is read-only by custom and may go to any thread.
"""

from __future__ import annotations

from typing import Optional, TypeVar, Union

from ws4py import closecode
from ws4py.framing import (
    CONTROL_SIZE,
    FIN,
    OPCODE_BINARY,
    OPCODE_CLOSE,
    OPCODE_CONTINUATION,
    OPCODE_PING,
    OPCODE_PONG,
    OPCODE_TEXT,
    build_frame,
)
from ws4py.masking import new_key

__all__ = [
    'BinaryMessage',
    'CloseControlMessage',
    'Message',
    'PingControlMessage',
    'PongControlMessage',
    'TextMessage',
]

MUCH = 16 * 1024  # bytes of a piece that is kept as it is until the message is complete; smaller ones are put together

Payload = Union[str, bytes, bytearray, memoryview]
M = TypeVar('M', bound='Message')


def encode(data: object, encoding: Optional[str] = 'utf-8') -> bytes:
    """The bytes of a payload.

    :raises TypeError: *data* is not text or bytes-like, or is text where there is no encoding.
    """
    if isinstance(data, bytes):
        return data
    if isinstance(data, str):
        if encoding is None:
            raise TypeError('text cannot become bytes without an encoding')
        return data.encode(encoding)
    if isinstance(data, (bytearray, memoryview)):
        return bytes(data)
    raise TypeError(f'a payload is str, bytes, bytearray or memoryview, not {type(data).__name__}')


def build_data_frame(first: int, data: bytes, mask: bool) -> bytes:
    """A frame with the first byte *first*; masked by a key that is new for every frame and cannot be guessed (5.3)."""
    return build_frame(first, data, new_key() if mask else None)


class Message:
    """A message of any kind.

    :param opcode: one of the opcodes of :mod:`ws4py.framing`.
    :param data: its payload; text is encoded.
    :param encoding: of that text, None when there can be none.
    :ivar completed: True when its last frame has been received.
    :raises TypeError: the payload is of another type.
    """

    opcode: int
    encoding: Optional[str] = 'utf-8'
    completed = False
    #: Whether it is compressed when it is sent, where that was agreed on; None leaves it to the extension.
    compress: Optional[bool] = None

    is_text = False
    is_binary = False

    def __init__(self, opcode: int, data: Payload = b'', encoding: Optional[str] = 'utf-8') -> None:
        self.opcode = opcode
        self.encoding = encoding
        self._data: Union[bytes, list[Union[bytes, bytearray]]] = encode(data, encoding)  # a list while it grows

    @property
    def data(self) -> bytes:
        """The payload as bytes."""
        data = self._data
        if isinstance(data, bytes):
            return data
        value = b''.join(data)
        if self.completed:
            self._data = value  # nothing will be added
        return value

    @data.setter
    def data(self, data: Payload) -> None:
        self._data = encode(data, self.encoding)

    def extend(self, data: Payload) -> None:
        """Add more payload at the end, in time linear to what is added.

        :raises TypeError: as in the constructor.
        """
        piece, pieces = encode(data, self.encoding), self._data
        if isinstance(pieces, bytes):
            if not pieces:
                self._data = piece  # which may be all there will be
                return
            self._data = pieces = [pieces]
        last = pieces[-1]
        if len(piece) >= MUCH:
            pieces.append(piece)
        elif isinstance(last, bytearray) and len(last) < MUCH:
            last += piece
        else:
            pieces.append(bytearray(piece))

    def single(self, mask: bool = False) -> bytes:
        """The message as one frame, masked with a random key when *mask* is true.

        :raises ValueError: a ping or a pong of more than 125 bytes (section 5.5).
        """
        return self._frame(FIN | self.opcode, mask)

    def fragment(self, first: bool = False, last: bool = False, mask: bool = False) -> bytes:
        """The payload as one frame of a longer message (section 5.4).

        :param first: it is the first one and says the kind of the message.
        :param last: it is the last one.
        :param mask: as in :meth:`single`.
        """
        return self._frame((FIN if last else 0) | (self.opcode if first else OPCODE_CONTINUATION), mask)

    def _frame(self, first: int, mask: bool) -> bytes:
        data = self.data
        if self.opcode & 8 and len(data) > CONTROL_SIZE:
            raise ValueError(f'a control frame has at most {CONTROL_SIZE} bytes, not {len(data)}')
        return build_data_frame(first, data, mask)

    def _size(self) -> int:
        """The bytes of its payload so far."""
        data = self._data
        return len(data) if isinstance(data, bytes) else sum(map(len, data))

    def __len__(self) -> int:
        return self._size()

    def __str__(self) -> str:
        return self.data.decode(self.encoding or 'latin-1')

    def __repr__(self) -> str:
        size, start = self._size(), self.data[:32]
        return f'<{type(self).__name__} of {size} bytes: {start!r}{"…" if size > len(start) else ""}>'


_new = object.__new__


def received(kind: type[M], data: bytes) -> M:
    """A complete message of a *kind* around a payload that the receiver has checked; nearly every one is made here."""
    message = _new(kind)
    message._data = data
    message.completed = True
    return message


class TextMessage(Message):
    """A text message; ``str()`` gives the text, ``len()`` counts its characters."""

    opcode = OPCODE_TEXT
    is_text = True

    def __init__(self, text: Optional[Payload] = None) -> None:
        super().__init__(OPCODE_TEXT, b'' if text is None else text)

    def __len__(self) -> int:
        return len(str(self))

    def __bool__(self) -> bool:
        return self._size() > 0  # without decoding: a message that is still growing may end inside a character


class BinaryMessage(Message):
    """A binary message; ``len()`` counts its bytes."""

    opcode = OPCODE_BINARY
    encoding = None
    is_binary = True

    def __init__(self, bytes: Optional[Payload] = None) -> None:
        super().__init__(OPCODE_BINARY, b'' if bytes is None else bytes, encoding=None)


class CloseControlMessage(Message):
    """A Close frame: why a connection is ended (section 5.5.1).

    :param code: the close code. One that may not be sent (1005, 1006, …) makes a frame without code and reason.
    :param reason: for people, cut to 123 bytes where a character ends.
    :ivar code: the close code.
    :ivar reason: the close reason as bytes.
    """

    opcode = OPCODE_CLOSE

    def __init__(self, code: int = closecode.NORMAL_CLOSURE, reason: Payload = '') -> None:
        self.code = code
        self.reason = closecode.cut_reason(encode(reason))
        super().__init__(OPCODE_CLOSE, closecode.build(code, self.reason) if closecode.is_sendable(code) else b'')

    def __str__(self) -> str:
        return self.reason.decode('utf-8', 'replace')

    def __len__(self) -> int:
        return len(self.reason)


class PingControlMessage(Message):
    """A ping; the peer answers with a pong of the same payload (section 5.5.2)."""

    opcode = OPCODE_PING

    def __init__(self, data: Optional[Payload] = None) -> None:
        super().__init__(OPCODE_PING, b'' if data is None else data)


class PongControlMessage(Message):
    """A pong, the answer to a ping or a heartbeat that asks for none (section 5.5.3)."""

    opcode = OPCODE_PONG

    def __init__(self, data: Optional[Payload] = None) -> None:
        super().__init__(OPCODE_PONG, b'' if data is None else data)
