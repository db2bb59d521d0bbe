"""Extensions of the protocol (RFC 6455 section 9): what one is, how two ends agree on it, and how it acts on messages.

An extension here transforms messages. Wherever an endpoint takes ``extensions``, an item is

- an object with the few methods of :class:`Extension`, such as
  :class:`~ws4py.permessage_deflate.PerMessageDeflate`;
- the name of one that is known here, perhaps with parameters: ``'permessage-deflate'``;
- any other name: one that the application itself puts into practice. It is negotiated, and nothing is done about it.

What was agreed on for a connection is a tuple of :class:`Codec` objects, in the order of the server's answer: what is
sent goes through all of them, what comes goes back through them. A codec may mark the messages that it has
transformed by reserved bits, in their first frame; control frames are left alone. That is the framework of RFC 7692
sections 4 to 6, for extensions of any purpose.

Pure. The negotiation is called by :mod:`ws4py.handshake` and the clients; :func:`whole_frame`, :class:`Encoder` and
:class:`SharedMessage` by senders, which hold the connection's lock; decoding is done by :mod:`ws4py.streaming`.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from typing import Optional, Protocol, Union

from ws4py.exc import HandshakeError
from ws4py.framing import FIN
from ws4py.http11 import NamedExtension, Parameters, build_extensions, parse_extensions, show
from ws4py.messaging import Message, build_data_frame
from ws4py.permessage_deflate import PerMessageDeflate

__all__ = ['Codec', 'Encoder', 'Extension', 'SharedMessage', 'accept', 'agree', 'check', 'offer', 'whole_frame']


class Codec(Protocol):
    """What an extension does to the messages of one connection. Each direction belongs to one thread at a time."""

    @property
    def reserved(self) -> int:
        """The reserved bits that mark its messages (``framing.RSV1`` …); 0 if it transforms each and every one."""

    def applies(self, size: Optional[int], compress: Optional[bool]) -> bool:
        """Whether it transforms a message that is about to be sent; with no reserved bits it has to be True.

        :param size: bytes of it, None while nobody knows.
        :param compress: what the application said to ``send()``; None leaves it to the extension.
        """

    def encode(self, data: bytes, final: bool) -> bytes:
        """Transform a part of a message that is sent.

        :param final: it is the last part, or all of it.
        """

    def decode(self, data: bytes, final: bool) -> Iterable[bytes]:
        """The inverse, for what came from the peer, in pieces: of a few dozen KiB at most, since the limit on a
        message's size is checked after each of them.

        :raises InvalidBytesError: it is not what :meth:`encode` makes (1007). ProtocolException (1002) and
            LimitExceededException (1009) are in order, too.
        """

    @property
    def shared(self) -> object:
        """Connections whose codecs have equal values here get the same bytes from :meth:`encode_alone`."""

    def encode_alone(self, data: bytes) -> bytes:
        """Transform a whole message that goes to many, without regard to what this connection has sent."""

    def forget(self) -> None:
        """Such a message goes out now: what is encoded later must not refer to anything before it."""


class Extension(Protocol):
    """An extension as an endpoint is configured with it; immutable, shared by all of its connections and threads."""

    @property
    def name(self) -> str:
        """Its name in the headers, a token."""

    def offers(self) -> Sequence[Parameters]:
        """What a client offers: the parameters of one offer, or of several, the best first."""

    def accept(self, offer: Parameters) -> Optional[tuple[Parameters, Codec]]:
        """On a server: the parameters of the answer to an offer, and the codec of the connection; None declines."""

    def complete(self, answer: Parameters) -> Codec:
        """On a client: the codec for the server's answer.

        :raises HandshakeError: the answer is not one to what was offered.
        """


Configured = Union[str, bytes, Extension]
KNOWN = {PerMessageDeflate.name: PerMessageDeflate}


def check(extensions: Iterable[Configured]) -> list[Union[str, Extension]]:
    """What an application gave as ``extensions``, with the extensions that are known here in place of their names.

    :raises ValueError: a name is none, or a parameter of one that is known here makes no sense.
    """
    return [_known(item) for item in extensions]


def _known(item: Configured) -> Union[str, Extension]:
    if isinstance(item, bytes):
        item = item.decode('latin-1')
    if not isinstance(item, str):
        return item
    try:
        ((name, parameters),) = parse_extensions([item])
    except (HandshakeError, ValueError):
        raise ValueError(f'{item!r} is not an extension (expected name; parameter=value; ...)') from None
    return KNOWN[name].configured(parameters) if name in KNOWN else item


def offer(extensions: Iterable[Configured]) -> str:
    """On a client: the value of ``Sec-WebSocket-Extensions``.

    :raises ValueError: as :func:`check`.
    """
    offers = []
    for item in check(extensions):
        if isinstance(item, str):
            offers.append(item)
        else:
            offers += [build_extensions([(item.name, parameters)]) for parameters in item.offers()]
    return ', '.join(offers)


def accept(
    offers: Iterable[NamedExtension], extensions: Iterable[Configured]
) -> tuple[list[NamedExtension], tuple[Codec, ...]]:
    """On a server: what is answered to the client's *offers*, and the codecs of the connection.

    The client's order counts: of several offers for one extension the first that can be accepted is. An extension that
    uses a reserved bit which another one has taken is declined.
    """
    configured = _by_name(extensions)
    answers: list[NamedExtension] = []
    codecs: tuple[Codec, ...] = ()
    for name, parameters in offers:
        for item in configured.get(name, ()):
            if isinstance(item, str):
                answers.append((name, []))
            else:
                accepted = item.accept(parameters)
                if accepted is None or accepted[1].reserved & reserved_bits(codecs):
                    continue
                answers.append((name, accepted[0]))
                codecs += (accepted[1],)
            del configured[name]
            break
    return answers, codecs


def agree(answers: Iterable[NamedExtension], extensions: Iterable[Configured]) -> tuple[Codec, ...]:
    """On a client: the codecs of the connection, after the server's *answers* to what was offered.

    :raises HandshakeError: an answer does not go with an offer.
    """
    offered = _by_name(extensions)
    codecs: tuple[Codec, ...] = ()
    for name, parameters in answers:
        if name not in offered:
            raise HandshakeError(
                f'Sec-WebSocket-Extensions has {show(name)} (expected what was offered, once: {sorted(offered)})'
            )
        codec = _complete(offered.pop(name), parameters)
        if codec is not None:
            if codec.reserved & reserved_bits(codecs):
                raise HandshakeError(f'the extension {name!r} uses a reserved bit that another one uses already')
            codecs += (codec,)
    return codecs


def _by_name(extensions: Iterable[Configured]) -> dict[str, list[Union[str, Extension]]]:
    """What was configured under each name: one extension may be there several times, the best way to have it first."""
    named: dict[str, list[Union[str, Extension]]] = {}
    for item in check(extensions):
        name = item.partition(';')[0].strip() if isinstance(item, str) else item.name
        named.setdefault(name, []).append(item)
    return named


def _complete(offered: Iterable[Union[str, Extension]], answer: Parameters) -> Optional[Codec]:
    """The codec of the first of *offered* that the answer goes with; None where it is the application's own."""
    failure: Optional[HandshakeError] = None
    for item in offered:
        if isinstance(item, str):
            return None
        try:
            return item.complete(answer)
        except HandshakeError as error:
            failure = failure or error
    assert failure is not None  # nothing is offered under a name without an item
    raise failure


def reserved_bits(codecs: Iterable[Codec]) -> int:
    """The reserved bits that *codecs* use."""
    bits = 0
    for codec in codecs:
        bits |= codec.reserved
    return bits


def whole_frame(codecs: Iterable[Codec], first: int, data: bytes, compress: Optional[bool], mask: bool) -> bytes:
    """The one frame of a message that is sent, after *codecs* have transformed it.

    :param first: its first byte, as it would be without them.
    :param compress: as in :meth:`Codec.applies`.
    :param mask: whether it is masked.
    """
    size = len(data)
    for codec in codecs:
        if codec.applies(size, compress):
            first |= codec.reserved
            data = codec.encode(data, True)
    return build_data_frame(first, data, mask)


class Encoder:
    """Makes the frames of one message that is sent in fragments.

    :param codecs: those of the connection.
    :param compress: as in :meth:`Codec.applies`.
    :param mask: whether frames are masked.
    """

    __slots__ = ('_begun', '_codecs', '_mask')

    def __init__(self, codecs: Iterable[Codec], compress: Optional[bool], mask: bool) -> None:
        self._codecs = [codec for codec in codecs if codec.applies(None, compress)]
        self._mask = mask
        self._begun = False

    def frame(self, part: Message, last: bool = True) -> bytes:
        """The frame of the next *part* of the message; b'' where it stays inside until there is more.

        :param last: it is the last one.
        """
        first, self._begun = not self._begun, True
        if not self._codecs:
            return part.fragment(first=first, last=last, mask=self._mask)
        data = part.data
        for codec in self._codecs:
            data = codec.encode(data, last)
        if not data and not last:
            self._begun = not first
            return b''
        bits = part.opcode | reserved_bits(self._codecs) if first else 0
        return build_data_frame(bits | (FIN if last else 0), data, self._mask)


class SharedMessage:
    """One message for many connections: transformed once for each set of codecs, framed once for each of them.

    Any thread may use it; two that do so at once may do the work twice, no more.

    :param message: a text or binary message.
    """

    def __init__(self, message: Message) -> None:
        self.message = message
        self.size = len(message.data)
        self._payloads: dict[tuple[object, ...], tuple[int, bytes]] = {}
        self._frames: dict[tuple[object, ...], bytes] = {}

    @functools.cached_property
    def plain(self) -> bytes:
        """Its frame for a connection without codecs and mask, which nearly every one is."""
        return self.frame((), False)

    def frame(self, codecs: Sequence[Codec], mask: bool) -> bytes:
        """Its frame for a connection with these *codecs*."""
        applied = [codec for codec in codecs if codec.applies(self.size, self.message.compress)]
        for codec in applied:
            codec.forget()
        key = tuple(codec.shared for codec in applied)
        if mask:  # with a key of its own for each
            return build_data_frame(*self._payload(key, applied), mask=True)
        if key not in self._frames:
            self._frames[key] = build_data_frame(*self._payload(key, applied), mask=False)
        return self._frames[key]

    def _payload(self, key: tuple[object, ...], applied: list[Codec]) -> tuple[int, bytes]:
        if key not in self._payloads:
            data = self.message.data
            for codec in applied:
                data = codec.encode_alone(data)
            self._payloads[key] = FIN | self.message.opcode | reserved_bits(applied), data
        return self._payloads[key]
