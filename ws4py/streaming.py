"""The stream: bytes in, messages out.

A :class:`Stream` never sees a socket. Its :attr:`~Stream.parser` is a generator; whoever has bytes from anywhere
sends them in and looks at the attributes ``message``, ``pings``, ``pongs``, ``closing`` and ``errors``::

    wanted = stream.parser.send(data)

    wanted > 0    everything was used; a read of about this many bytes would serve it best
    wanted == 0   one event is ready and unparsed bytes are still held: take it, then send(b'') to go on

So events come one at a time and in order, however the bytes were cut. Every frame that lies complete in a block is
read by :func:`ws4py.framing.next_frame`; the header of the one that is cut at the block's end goes through
:attr:`ws4py.framing.Frame.parser`, which forwards what it wants to our holder, and its payload is judged and
collected as it comes.

What the peer does wrong never raises: :data:`CLOSE_CODES` is the one ladder from an exception to a close code, which
ends up in ``errors``. After an error or a Close frame everything further is discarded. A stream belongs to one reader;
the methods that make messages are pure.
"""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Iterable
from typing import Optional, Union

from ws4py import closecode
from ws4py.exc import (
    FrameTooLargeException,
    InvalidBytesError,
    LimitExceededException,
    ProtocolException,
    TextFrameEncodingException,
    UnsupportedFrameTypeException,
)
from ws4py.extensions import Codec, reserved_bits
from ws4py.framing import (
    FIN,
    OPCODE_BINARY,
    OPCODE_CONTINUATION,
    OPCODE_PING,
    OPCODE_PONG,
    OPCODE_TEXT,
    Frame,
    as_bytes,
    check_masking,
    next_frame,
)
from ws4py.limits import DEFAULT_LIMITS, Limits
from ws4py.masking import Buffer, mask_bytes, rotate
from ws4py.messaging import (
    BinaryMessage,
    CloseControlMessage,
    Payload,
    PingControlMessage,
    PongControlMessage,
    TextMessage,
    received,
)
from ws4py.utf8validator import Utf8Validator, is_utf8

__all__ = ['Stream']

CLOSE_CODES: tuple[tuple[type[Exception], int], ...] = (
    (ProtocolException, closecode.PROTOCOL_ERROR),
    (FrameTooLargeException, closecode.PROTOCOL_ERROR),
    (UnsupportedFrameTypeException, closecode.PROTOCOL_ERROR),
    (TextFrameEncodingException, closecode.INVALID_PAYLOAD),
    (InvalidBytesError, closecode.INVALID_PAYLOAD),
    (LimitExceededException, closecode.MESSAGE_TOO_BIG),
)
HEADER = 2  # bytes wanted when nothing is known of the next frame
OPCODE, CONTROL = 0x0F, 0x08  # bits of a frame's first byte: its opcode, and in that whether it is a control frame
TEXT, BINARY = FIN | OPCODE_TEXT, FIN | OPCODE_BINARY  # first bytes of messages in a single frame
NOT_UTF8 = 'text that is not UTF-8'

# wsaccel rebinds the name Utf8Validator of this module with its own, which is slower than ours.
_Validator = Utf8Validator

DataMessage = Union[TextMessage, BinaryMessage]
Parser = Generator[int, Optional[Buffer], None]


class Stream:
    """One direction's frames turned into messages, and messages for the other direction.

    :param always_mask: frames built for the peer are masked (clients do, RFC 6455 section 5.1).
    :param expect_masking: frames of the peer must be masked (servers expect it); else they must not.
    :param limits: bounds of what is received.
    """

    #: The generator to send received bytes into, primed; ``next()`` asks again without giving any.
    parser: Parser = None  # type: ignore[assignment]  # so that a mock made to this specification has it

    def __init__(self, always_mask: bool = False, expect_masking: bool = True, limits: Limits = DEFAULT_LIMITS) -> None:
        #: The text or binary message that was received last, perhaps not :attr:`~Message.completed` yet.
        self.message: Optional[DataMessage] = None
        #: Pings received and not taken yet.
        self.pings: list[PingControlMessage] = []
        #: Pongs received and not taken yet.
        self.pongs: list[PongControlMessage] = []
        #: The Close frame received. Its code is 1005 where it has none, or one that may not be sent.
        self.closing: Optional[CloseControlMessage] = None
        #: What to close the connection with, where the peer broke the protocol or a limit.
        self.errors: list[CloseControlMessage] = []
        self.always_mask = always_mask
        self.expect_masking = expect_masking
        self.limits = limits
        self._partial: Optional[DataMessage] = None  # the message whose last frame is still to come
        self._size = 0  # bytes announced for it so far
        self._fragments = 0
        self._validator: Optional[Utf8Validator] = None
        self._codecs: tuple[Codec, ...] = ()
        self._reserved = 0  # the bits that they use
        self._whole: tuple[int, ...] = (
            TEXT,
            BINARY,
        )  # first bytes of messages in a single frame that no codec has to do with
        self._decoding: tuple[Codec, ...] = ()  # those that the message in progress goes through, the last one first
        self._decoded = 0  # bytes that have come out of them
        self.parser = self.receiver()
        next(self.parser)

    @property
    def codecs(self) -> tuple[Codec, ...]:
        """What transforms messages, as the opening handshake has agreed; to be set before the first byte comes."""
        return self._codecs

    @codecs.setter
    def codecs(self, codecs: tuple[Codec, ...]) -> None:
        self._codecs, self._reserved = codecs, reserved_bits(codecs)
        self._whole = (TEXT, BINARY) if all(codec.reserved for codec in codecs) else ()

    # What this endpoint sends

    def text_message(self, text: Payload) -> TextMessage:
        """A text message ready to be built."""
        return TextMessage(text)

    def binary_message(self, bytes: Payload) -> BinaryMessage:
        """A binary message ready to be built."""
        return BinaryMessage(bytes)

    def close(self, code: int = closecode.NORMAL_CLOSURE, reason: Payload = '') -> CloseControlMessage:
        """A close message ready to be built."""
        return CloseControlMessage(code, reason)

    def ping(self, data: Payload = '') -> bytes:
        """The frame of a ping.

        :raises ValueError: *data* has more than 125 bytes.
        """
        return PingControlMessage(data).single(mask=self.always_mask)

    def pong(self, data: Union[Payload, PingControlMessage] = '') -> bytes:
        """The frame of a pong, with the payload given or that of a ping.

        :raises ValueError: *data* has more than 125 bytes.
        """
        payload = data.data if isinstance(data, PingControlMessage) else data
        return PongControlMessage(payload).single(mask=self.always_mask)

    # What the peer sends

    @property
    def has_message(self) -> bool:
        """True when :attr:`message` is there and complete."""
        return self.message is not None and self.message.completed

    def receiver(self) -> Parser:
        """The generator behind :attr:`parser`: frame after frame, until an error or a Close frame, then nothing."""
        data, position = b'', 0
        try:
            while self.closing is None:
                if position == len(data):
                    data = b''  # an idle connection holds no block
                    data, position = as_bytes((yield HEADER)), 0
                    continue
                frame = next_frame(data, position, self.expect_masking, self._reserved)
                if frame is None:
                    cut = self._cut_frame(data, position)
                    data = b''  # a peer that pauses in a frame holds no block either
                    event, data, position = yield from cut
                else:
                    first, payload, position = frame
                    if first in self._whole and self._partial is None and len(payload) <= self.limits.message_size:
                        # Nearly every message is a single frame: no buffer, no validator, no copy.
                        if first == BINARY:
                            self.message = received(BinaryMessage, payload)
                        elif is_utf8(payload):
                            self.message = received(TextMessage, payload)
                        else:
                            raise TextFrameEncodingException(NOT_UTF8)
                        event = True
                    else:
                        event = self._whole_frame(first, payload)
                    del frame, payload  # an idle connection holds no message either
                if event and position < len(data) and self.closing is None:
                    more = as_bytes((yield 0))
                    if more:
                        data, position = data[position:] + more, 0
        except tuple(exception for exception, _ in CLOSE_CODES) as error:
            code = next(code for exception, code in CLOSE_CODES if isinstance(error, exception))
            self.errors.append(CloseControlMessage(code, str(error)))
        del data
        if self.message is self._partial:
            self.message = None  # it can never become complete
        self._partial = self._validator = None
        self._codecs = self._decoding = ()
        while True:
            yield HEADER

    def _cut_frame(self, data: bytes, position: int) -> Generator[int, Optional[Buffer], tuple[bool, bytes, int]]:
        """Read a frame of which a part is still to come.

        :returns: whether an event is ready, the last block and the position in it behind the frame.
        """
        frame = Frame()
        frame.reserved = self._reserved
        piece = b''
        with contextlib.closing(frame.parser) as parser:  # frame and parser refer to each other until it is closed
            wanted = next(parser) or HEADER
            while not frame.header_complete:
                if position == len(data):
                    data = piece = b''
                    data, position = as_bytes((yield wanted)), 0
                piece = data[position : position + wanted]
                position += len(piece)
                wanted = parser.send(piece) or 0
        check_masking(frame.masked, self.expect_masking)
        first, missing, key = frame.first, frame.payload_length, frame.masking_key
        control = bytearray() if first & CONTROL else None
        if control is None:
            self._begin(first, missing)
        while missing:
            if position == len(data):
                data = piece = b''  # a peer that pauses in a frame holds no block
                data, position = as_bytes((yield missing)), 0
            piece = data[position : position + missing]  # which is the block itself where all of it is wanted
            position += len(piece)
            missing -= len(piece)
            if key:
                piece, key = mask_bytes(piece, key), rotate(key, len(piece))
            if control is None:
                self._add(piece)
            else:
                control += piece
        if control is not None:
            return self._control(first & OPCODE, bytes(control)), data, position
        return self._end(first), data, position

    def _whole_frame(self, first: int, payload: bytes) -> bool:
        """Handle any other frame that came in one piece; the answer is whether an event is ready."""
        if first & CONTROL:
            return self._control(first & OPCODE, payload)
        self._begin(first, len(payload))
        if self._decoding and first & FIN:
            self._decode(payload, final=True)
            self._decoding = ()
        else:
            self._add(payload)
        return self._end(first)

    def _begin(self, first: int, length: int) -> None:
        """Judge the header of a data frame by what came before it (sections 5.4 and 10.4), before its payload."""
        opcode = first & OPCODE
        if opcode == OPCODE_CONTINUATION:
            if self._partial is None:
                raise ProtocolException('a continuation frame without a message that it continues')
        elif self._partial is not None:
            raise ProtocolException('a new message inside a fragmented one that is not finished')
        else:
            self._size = self._fragments = 0
        self._size += length
        self._fragments += 1
        if self._size > self.limits.message_size:
            raise LimitExceededException(f'a message of {self._size} bytes (at most {self.limits.message_size} bytes)')
        if self._fragments > self.limits.fragments:
            raise LimitExceededException(f'a message of {self._fragments} fragments (at most {self.limits.fragments})')
        if self._partial is None:
            self._validator = _Validator() if opcode == OPCODE_TEXT else None
            self._partial = TextMessage() if opcode == OPCODE_TEXT else BinaryMessage()
            self.message = self._partial
            if self._codecs:
                active = [codec for codec in self._codecs if first & codec.reserved or not codec.reserved]
                self._decoding, self._decoded = tuple(reversed(active)), 0

    def _add(self, payload: bytes) -> None:
        """Collect payload of the message in progress."""
        if self._decoding:
            self._decode(payload, final=False)
        else:
            self._append(payload)

    def _append(self, payload: bytes) -> None:
        """Collect what it says."""
        assert self._partial is not None
        self._partial.extend(payload)
        if self._validator is not None and not self._validator.validate(payload)[0]:
            raise TextFrameEncodingException(NOT_UTF8)  # at its first invalid byte (section 8.1)

    def _decode(self, payload: bytes, final: bool) -> None:
        """Collect what the codecs make of it, until that is over the limit."""
        last, *others = self._decoding
        pieces = last.decode(payload, final)
        for codec in others:
            pieces = _through(codec, pieces, final)
        for piece in pieces:
            self._decoded += len(piece)
            if self._decoded > self.limits.message_size:
                raise LimitExceededException(f'a message of more than {self.limits.message_size} bytes when decoded')
            self._append(piece)

    def _end(self, first: int) -> bool:
        """The end of a data frame; True when it was the last one of its message."""
        if not first & FIN:
            return False
        if self._decoding:
            self._decode(b'', final=True)
            self._decoding = ()
        assert self._partial is not None
        if self._validator is not None and self._validator.state != _Validator.UTF8_ACCEPT:
            raise TextFrameEncodingException(NOT_UTF8)
        self._partial.completed = True
        self._partial = self._validator = None
        return True

    def _control(self, opcode: int, payload: bytes) -> bool:
        """A control frame (section 5.5), which may stand between the frames of a message."""
        if opcode == OPCODE_PING:
            self.pings.append(received(PingControlMessage, payload))
        elif opcode == OPCODE_PONG:
            self.pongs.append(received(PongControlMessage, payload))
        else:
            try:
                code, reason = closecode.parse(payload)
                self.closing = received(CloseControlMessage, payload)
                self.closing.code, self.closing.reason = code, reason
            except ProtocolException:
                # The application sees a Close without a code, the peer is told what was wrong with it.
                self.closing = CloseControlMessage(closecode.NO_STATUS_RECEIVED)
                raise
        return True


def _through(codec: Codec, pieces: Iterable[bytes], final: bool) -> Iterable[bytes]:
    """What *codec* makes of *pieces*, one after another."""
    for piece in pieces:
        yield from codec.decode(piece, False)
    if final:
        yield from codec.decode(b'', True)
