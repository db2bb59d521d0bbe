"""permessage-deflate: messages are compressed (RFC 7692).

:class:`PerMessageDeflate` is what an application asks for; it makes a client's offer, judges offers on a server and the
answer on a client, and what both ends agreed on becomes a :class:`Deflate` for the connection, which compresses and
inflates. Between two messages each direction keeps what went over it last, its context, so that repetition costs
nothing; without that (``…_no_context_takeover``) every message stands alone and nothing is kept.

What it costs: a context is made when the first message is compressed, or comes in compressed, so that an idle
connection pays nothing. With the defaults the one that compresses has about 38 KiB, the one that inflates about 11 KiB
(40 KiB towards a client that cannot be told to use a smaller window). Zlib's own defaults would take 256 KiB.

What the peer sends is inflated piece by piece: whoever takes the pieces stops at its limit, and a few KiB that would
become gigabytes never do. Compression betrays something of what it compresses by how long the outcome is: a secret and
text that somebody else has chosen do not belong into one context (``send(…, compress=False)``).

Pure. The settings are immutable and shared; a :class:`Deflate` compresses in one thread at a time, and inflates in one.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Optional, Union

from ws4py.exc import HandshakeError, InvalidBytesError, LimitExceededException
from ws4py.framing import RSV1
from ws4py.http11 import Parameters, show

__all__ = ['Deflate', 'PerMessageDeflate']

SERVER_NO_CONTEXT_TAKEOVER = 'server_no_context_takeover'
CLIENT_NO_CONTEXT_TAKEOVER = 'client_no_context_takeover'
SERVER_MAX_WINDOW_BITS = 'server_max_window_bits'
CLIENT_MAX_WINDOW_BITS = 'client_max_window_bits'

FLAGS = (SERVER_NO_CONTEXT_TAKEOVER, CLIENT_NO_CONTEXT_TAKEOVER)
WINDOWS = (SERVER_MAX_WINDOW_BITS, CLIENT_MAX_WINDOW_BITS)

LEAST_BITS, MOST_BITS = 8, 15  # a window has 2 to the power of that many bytes (section 7.1.2)
BITS: dict[Optional[str], int] = {
    str(bits): bits for bits in range(LEAST_BITS, MOST_BITS + 1)
}  # no leading zeros, no signs
AFFORDABLE_BITS = 12  # of windows that nobody else has decided on
TAIL = b'\x00\x00\xff\xff'  # the end of an empty block: taken off when a message was compressed (section 7.2.1)
EMPTY = b'\x00'  # the block of which it is the end, and so the whole of an empty message (section 7.2.3.6)
INPUT = 16 * 1024  # bytes given to zlib at once, of which it hands back a copy of what it has not used yet
PIECE = 64 * 1024  # bytes taken from it at once
FINAL_BLOCKS = 1024  # in one message; each of them costs a new context


@dataclass(frozen=True)
class PerMessageDeflate:
    """The extension, as an application wants it: ``extensions=[PerMessageDeflate(level=3)]``, on either end.

    The names of the first four are those of RFC 7692 section 7.1, where "server" and "client" say whose messages are
    meant, and not who is configured.

    :param server_no_context_takeover: each message of the server is compressed for itself.
    :param client_no_context_takeover: each message of the client is compressed for itself.
    :param server_max_window_bits: 8 to 15: the server compresses with a window of at most 2 to the power of that many
        bytes. None leaves it to the server, and ours takes 12.
    :param client_max_window_bits: the same for the client. A server can only ask this of a client that offers it.
    :param level: of our own compression, from 1 (fast) to 9 (small), as zlib has them.
    :param mem_level: of our own compression, from 1 to 9; less memory is slower and compresses less.
    :param threshold: bytes; shorter messages are sent as they are, unless ``send()`` is told to compress them.
    :raises ValueError: one of them is out of range.
    """

    server_no_context_takeover: bool = False
    client_no_context_takeover: bool = False
    server_max_window_bits: Optional[int] = None
    client_max_window_bits: Optional[int] = None
    level: int = 6
    mem_level: int = 5
    threshold: int = 64

    name: ClassVar[str] = 'permessage-deflate'

    def __post_init__(self) -> None:
        for name, least, most in (
            (SERVER_MAX_WINDOW_BITS, LEAST_BITS, MOST_BITS),
            (CLIENT_MAX_WINDOW_BITS, LEAST_BITS, MOST_BITS),
            ('level', 1, 9),
            ('mem_level', 1, 9),
        ):
            value = getattr(self, name)
            if value is not None and not least <= value <= most:
                raise ValueError(f'{name} is {value!r} (expected {least} to {most})')
        if self.threshold < 0:
            raise ValueError(f'threshold is {self.threshold!r} (expected a number of bytes)')

    @classmethod
    def configured(cls, parameters: Parameters) -> PerMessageDeflate:
        """The extension as its parameters in a header describe it.

        :raises ValueError: they cannot stand in an offer.
        """
        terms = _Terms.parse(parameters)
        return cls(
            terms.server_no_context_takeover,
            terms.client_no_context_takeover,
            terms.server_max_window_bits,
            terms.client_max_window_bits,
        )

    def offers(self) -> Sequence[Parameters]:
        """What a client offers, the best first: the parameters of each offer."""
        offer: Parameters = []
        if self.server_no_context_takeover:
            offer.append((SERVER_NO_CONTEXT_TAKEOVER, None))
        if self.client_no_context_takeover:
            offer.append((CLIENT_NO_CONTEXT_TAKEOVER, None))
        if self.server_max_window_bits is not None:
            offer.append((SERVER_MAX_WINDOW_BITS, str(self.server_max_window_bits)))
        # Always there: it lets the server ask for a smaller window (section 7.1.2.2).
        bits = self.client_max_window_bits
        offer.append((CLIENT_MAX_WINDOW_BITS, None if bits is None else str(bits)))
        return [offer]

    def accept(self, offer: Parameters) -> Optional[tuple[Parameters, Deflate]]:
        """On a server: what is answered to an offer, and what is done then; None declines it."""
        try:
            offered = _Terms.parse(offer)
        except ValueError:
            return None  # section 7.1: decline, and go on to the next offer
        answer: Parameters = []
        server_alone = self.server_no_context_takeover or offered.server_no_context_takeover
        # An offer of this one is a hint, which we take: it saves us a context.
        client_alone = self.client_no_context_takeover or offered.client_no_context_takeover
        if server_alone:
            answer.append((SERVER_NO_CONTEXT_TAKEOVER, None))
        if client_alone:
            answer.append((CLIENT_NO_CONTEXT_TAKEOVER, None))
        server_bits = min(self.server_max_window_bits or AFFORDABLE_BITS, offered.server_max_window_bits or MOST_BITS)
        if server_bits < MOST_BITS or offered.server_max_window_bits is not None:
            answer.append((SERVER_MAX_WINDOW_BITS, str(server_bits)))
        client_bits = MOST_BITS
        if offered.limits_client:
            client_bits = min(
                self.client_max_window_bits or AFFORDABLE_BITS, offered.client_max_window_bits or MOST_BITS
            )
            answer.append((CLIENT_MAX_WINDOW_BITS, str(client_bits)))
        return answer, Deflate(self, server_bits, server_alone, client_bits, client_alone)

    def complete(self, answer: Parameters) -> Deflate:
        """On a client: what is done when the server has given this *answer* to what we offered.

        :raises HandshakeError: it goes beyond that.
        """
        try:
            given = _Terms.parse(answer, of_server=True)
        except ValueError as error:
            raise HandshakeError(f'the answer to {self.name} cannot be accepted: {error}') from None
        for name in (SERVER_NO_CONTEXT_TAKEOVER, SERVER_MAX_WINDOW_BITS):
            if getattr(self, name) and not getattr(given, name):
                raise HandshakeError(f'the answer to {self.name} lacks {name}, which was asked for')
        for name in (SERVER_MAX_WINDOW_BITS, CLIENT_MAX_WINDOW_BITS):
            most, bits = getattr(self, name) or MOST_BITS, getattr(given, name)
            if bits is not None and bits > most:
                raise HandshakeError(f'the answer to {self.name} has {name}={bits} (expected at most {most})')
        return Deflate(
            self,
            min(self.client_max_window_bits or AFFORDABLE_BITS, given.client_max_window_bits or MOST_BITS),
            self.client_no_context_takeover or given.client_no_context_takeover,
            given.server_max_window_bits or MOST_BITS,
            given.server_no_context_takeover,
        )


@dataclass(frozen=True)
class _Terms:
    """The parameters of an offer or an answer (section 7.1).

    :ivar limits_client: ``client_max_window_bits`` is there; in an offer it may be without a value.
    """

    server_no_context_takeover: bool = False
    client_no_context_takeover: bool = False
    server_max_window_bits: Optional[int] = None
    client_max_window_bits: Optional[int] = None
    limits_client: bool = False

    @classmethod
    def parse(cls, parameters: Parameters, of_server: bool = False) -> _Terms:
        """
        :raises ValueError: a parameter is unknown, is there twice, or has a value that is none of its own.
        """
        terms: dict[str, Any] = {}
        for name, value in parameters:
            if name in terms:
                raise ValueError(f'{name} is there twice')
            if name in FLAGS and value is None:
                terms[name] = True
            elif name in WINDOWS and value in BITS:
                terms[name] = BITS[value]
            elif name == CLIENT_MAX_WINDOW_BITS and value is None and not of_server:
                terms[name] = None
            else:
                raise ValueError(f'{show(name)} with the value {value and show(value)} is no parameter of it')
        return cls(**terms, limits_client=CLIENT_MAX_WINDOW_BITS in terms)


class Deflate:
    """Compresses the messages of one connection, and inflates those of its peer (RFC 7692 section 7.2).

    :param settings: for our own compression.
    :param bits: of the window that we compress with.
    :param alone: we compress each message for itself.
    :param peer_bits: of the window that the peer compresses with.
    :param peer_alone: it compresses each message for itself.
    """

    __slots__ = (
        '_alone',
        '_bits',
        '_compressor',
        '_empty',
        '_finals',
        '_inflater',
        '_peer_alone',
        '_peer_bits',
        '_settings',
    )

    reserved = RSV1

    def __init__(self, settings: PerMessageDeflate, bits: int, alone: bool, peer_bits: int, peer_alone: bool) -> None:
        self._settings = settings
        self._bits = bits
        self._alone = alone
        self._peer_bits = peer_bits
        self._peer_alone = peer_alone
        self._compressor: Optional[zlib._Compress] = None
        self._inflater: Optional[zlib._Decompress] = None
        self._empty = True  # nothing has come yet of the message that comes in
        self._finals = 0  # final blocks in it

    def applies(self, size: Optional[int], compress: Optional[bool]) -> bool:
        """Whether a message of *size* bytes is compressed; None is one whose size nobody knows yet.

        :param compress: what the application has said of it.
        """
        return compress if compress is not None else size is None or size >= self._settings.threshold

    def encode(self, data: bytes, final: bool) -> bytes:
        """Compress *data*, a message or the next part of one (section 7.2.1).

        :param final: it is the last part. Of earlier ones some may stay inside until then.
        """
        compressor = self._compressor or self._new_compressor()
        compressed = compressor.compress(data)
        if not final:
            self._compressor = compressor
            return compressed
        self._compressor = None if self._alone else compressor
        return _without_tail(compressed + compressor.flush(zlib.Z_SYNC_FLUSH))

    @property
    def shared(self) -> object:
        """Connections for which this is equal get the same bytes from :meth:`encode_alone`."""
        return self._bits, self._settings.level, self._settings.mem_level

    def encode_alone(self, data: bytes) -> bytes:
        """Compress a whole message without regard to those before it.

        That is in order with and without context takeover: nobody has to refer to what was sent before.
        """
        compressor = self._new_compressor()
        return _without_tail(compressor.compress(data) + compressor.flush(zlib.Z_SYNC_FLUSH))

    def forget(self) -> None:
        """Begin anew: the peer's context now ends with a message that was compressed alone, and ours would not."""
        self._compressor = None

    def decode(self, data: bytes, final: bool) -> Iterator[bytes]:
        """Inflate *data*, the next part of a message, in pieces (section 7.2.2).

        :param final: it is the last part.
        :raises InvalidBytesError: it cannot be inflated.
        :raises LimitExceededException: it was made to cost time.
        """
        if data:
            self._empty = False
            view = memoryview(data)
            for begin in range(0, len(data), INPUT):
                last = final and begin + INPUT >= len(data)
                part = view[begin : begin + INPUT]
                yield from self._inflate(bytes(part) + TAIL if last else part, last)
        elif final and self._inflater is not None and not self._empty:
            # Without a context it ended with a final block. Without a byte it is what a compressor leaves of an empty
            # message whose flush gave nothing: its tail alone is no block, and would spoil those that follow.
            yield from self._inflate(TAIL)
        if final:
            if self._peer_alone:
                self._inflater = None
            self._finals = 0
            self._empty = True

    def _inflate(self, data: Union[bytes, memoryview], with_tail: bool = False) -> Iterator[bytes]:
        """Inflate *data*, of which we may have added the last bytes: nothing but those is no new block."""
        while True:
            inflater = self._inflater
            if inflater is None:
                inflater = self._inflater = zlib.decompressobj(-self._peer_bits)
            try:
                piece = inflater.decompress(data, PIECE)
            except zlib.error as error:
                raise InvalidBytesError(f'compressed data that cannot be inflated: {error}') from None
            data = inflater.unconsumed_tail
            if inflater.eof:
                # A final block (section 7.2.3.4). Who writes one begins anew after it, and so does zlib.
                data, self._inflater = inflater.unused_data, None
                self._finals += 1
                if self._finals > FINAL_BLOCKS:
                    raise LimitExceededException(f'more than {FINAL_BLOCKS} final blocks in a compressed message')
                if with_tail and data == TAIL:
                    data = b''
            if piece:
                yield piece
            if not data and (len(piece) < PIECE or self._inflater is None):
                return

    def _new_compressor(self) -> zlib._Compress:
        settings, bits, strategy = self._settings, self._bits, zlib.Z_DEFAULT_STRATEGY
        if bits == LEAST_BITS:  # which zlib cannot do, but what refers to nothing needs no window at all
            bits, strategy = LEAST_BITS + 1, zlib.Z_HUFFMAN_ONLY
        return zlib.compressobj(settings.level, zlib.DEFLATED, -bits, settings.mem_level, strategy)


def _without_tail(compressed: bytes) -> bytes:
    # zlib flushes nothing where there is nothing new since it flushed last.
    return compressed[: -len(TAIL)] if compressed.endswith(TAIL) else EMPTY
