"""The target `stream`: frames and messages."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Optional, Union

from support_streams import Driver, events, reference, without_reasons, xor

from ws4py.exc import FrameTooLargeException, ProtocolException
from ws4py.framing import Frame, check_masking, next_frame
from ws4py.limits import DEFAULT_LIMITS, Limits
from ws4py.streaming import Stream

from .choices import Choices, every_way

LIMITS = (DEFAULT_LIMITS, Limits(message_size=8), Limits(fragments=3), Limits(message_size=200, fragments=4))
BEHIND = 64 * 1024  # bytes that a stream may hold beyond those of a message

Parsed = tuple[Any, ...]


def check(data: bytes) -> None:
    choices = Choices(data)
    masked = choices.pick((False, True))
    limits = choices.pick(LIMITS)
    ask = choices.pick((False, True))
    places = choices.places()
    received = choices.rest()

    whole = events([received], masked, limits)
    assert without_reasons(whole) == reference(received, masked, limits), whole
    for chunks in every_way(received, places):
        assert events(chunks, masked, limits, ask) == whole, chunks
    assert sum(event[0] == 'close' for event in whole) <= 1
    assert all(event[0] == 'error' for event in whole[len(whole) - sum(event[0] == 'error' for event in whole) :])
    state([received], masked, limits)

    one = frame([received])
    for chunks in every_way(received, places):
        assert frame(chunks) == one, chunks
    in_a_block(received, masked, one)


def state(chunks: Iterable[bytes], masked: bool, limits: Limits) -> None:
    """What is held is bounded by what came, and by the limits."""
    driver = Driver(Stream(always_mask=not masked, expect_masking=masked, limits=limits))
    total = 0
    for chunk in chunks:
        total += len(chunk)
        driver.feed(chunk)
        message = driver.stream.message
        if message is not None:
            assert not message.completed
            assert len(message.data) <= min(total, limits.message_size)
        driver.feed(b'')  # nothing comes of nothing
        assert driver.stream.message is message


def frame(chunks: Iterable[bytes]) -> Union[Parsed, type[Exception], None]:
    """The first frame by its own parser: what it is, and how many bytes it had; or what was raised; None: cut."""
    parsing = Frame()
    parser = parsing.parser
    taken = 0
    wanted: Optional[int] = next(parser)
    for chunk in chunks:
        at = 0
        while wanted is not None and at < len(chunk):
            # The first request is for one byte more than it waits for.
            piece = chunk[at : at + (wanted if taken else 1)]
            at += len(piece)
            taken += len(piece)
            try:
                wanted = parser.send(piece)
            except (ProtocolException, FrameTooLargeException) as error:
                parser.close()
                return type(error)
            assert wanted is None or wanted > 0
    parser.close()
    if wanted is not None:
        return None
    bits = (parsing.fin, parsing.rsv1, parsing.rsv2, parsing.rsv3, parsing.opcode)
    assert parsing.payload_length == len(parsing.body)
    key = parsing.masking_key
    clear = xor(parsing.body, key) if key else parsing.body
    assert parsing.unmask(parsing.body) == clear
    return bits, parsing.masked, clear, taken


def in_a_block(data: bytes, masked: bool, expected: Union[Parsed, type[Exception], None]) -> None:
    """The same frame where it lies complete: the other way to read one is held to the same rules."""
    try:
        found = next_frame(data, 0, masked)
    except (ProtocolException, FrameTooLargeException) as error:
        if isinstance(expected, tuple):
            assert expected[1] is not masked, error
        else:
            assert expected is type(error), (error, expected)
        return
    if found is None:  # bytes are missing, nothing has been judged
        assert not isinstance(expected, tuple), expected
        return
    assert isinstance(expected, tuple), (found, expected)
    first, payload, end = found
    fin, *reserved, opcode = expected[0]
    assert (first >> 7, first & 15, payload, end) == (fin, opcode, *expected[2:]) and reserved == [0, 0, 0]
    check_masking(expected[1], masked)
    if not expected[1]:
        # What was read can be written, and is the same.
        assert Frame(opcode, payload, fin=fin).build() == data[:end]
    else:
        key = data[end - len(payload) - 4 : end - len(payload)]
        assert Frame(opcode, payload, key, fin).build() == data[:end]
