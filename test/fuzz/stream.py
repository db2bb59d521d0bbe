"""The target `stream`: frames and messages."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Optional, Union

from support_streams import Driver, begins_utf8, events, is_utf8, reference, without_reasons, xor

from ws4py.exc import FrameTooLargeException, ProtocolException
from ws4py.framing import Frame, build_frame, build_frame_python, check_masking, next_frame, next_frame_python
from ws4py.limits import DEFAULT_LIMITS, Limits
from ws4py.masking import _mask_by_loop, _mask_by_tables, mask, mask_bytes_python, mask_python
from ws4py.messaging import PingControlMessage
from ws4py.streaming import Stream
from ws4py.utf8validator import Utf8Validator, is_utf8_python, utf8_prefix, utf8_prefix_python
from ws4py.utf8validator import is_utf8 as is_utf8_of_ours

from .choices import Choices, every_way

LIMITS = (DEFAULT_LIMITS, Limits(message_size=8), Limits(fragments=3), Limits(message_size=200, fragments=4))
STRETCHES = (*[0] * 30, 65536, 70001)  # bytes

Parsed = tuple[Any, ...]


def check(data: bytes) -> None:
    choices = Choices(data)
    if choices.byte() & 128:
        utf8(choices)
    else:
        frames(choices)


def frames(choices: Choices) -> None:
    """Frames, right and wrong, as a server or a client gets them."""
    masked = choices.pick((False, True))
    limits = choices.pick(LIMITS)
    ask = choices.pick((False, True))
    places = choices.places()
    stretch = choices.pick(STRETCHES)
    received = choices.rest()
    if stretch:  # a frame with a long length, which a small input can have no payload for
        header = b'\x82' + (b'\xff' if masked else b'\x7f') + stretch.to_bytes(8, 'big') + b'\1\2\3\4' * masked
        received += header + bytes(stretch)

    whole = events([received], masked, limits)
    assert without_reasons(whole) == reference(received, masked, limits), whole
    for chunks in every_way(received, places):
        assert events(chunks, masked, limits, ask) == whole, chunks
        assert events(map(bytearray, chunks), masked, limits) == whole, chunks
    assert sum(event[0] == 'close' for event in whole) <= 1
    assert all(event[0] == 'error' for event in whole[len(whole) - sum(event[0] == 'error' for event in whole) :])
    state([received], masked, limits)
    not_taken(every_way(received, places)[1], masked, limits, whole)
    answers(whole, masked)

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


def not_taken(chunks: Iterable[bytes], masked: bool, limits: Limits, expected: list[Any]) -> None:
    """Events that nobody takes pile up, or are replaced by the next; nothing is lost that comes behind them."""
    stream = Stream(always_mask=not masked, expect_masking=masked, limits=limits)
    for chunk in chunks:
        stream.parser.send(chunk)  # also where an event was ready and bytes are held
    while stream.parser.send(b'') == 0:
        pass
    found = [('ping', ping.data) for ping in stream.pings] + [('pong', pong.data) for pong in stream.pongs]
    assert found == [event for kind in ('ping', 'pong') for event in expected if event[0] == kind]
    closing = [] if stream.closing is None else [('close', stream.closing.code, stream.closing.reason)]
    assert closing == [event for event in expected if event[0] == 'close']
    assert [('error', error.code, error.reason) for error in stream.errors] == [
        event for event in expected if event[0] == 'error'
    ]


def answers(received: list[Any], masked: bool) -> None:
    """What is sent for each event, by a server or a client, is to the other one the same event."""
    ours = Stream(always_mask=not masked, expect_masking=masked)
    theirs = Driver(Stream(always_mask=masked, expect_masking=not masked))
    expected = []
    for kind, *rest in received:
        payload = rest[-1]
        if kind == 'close' or kind == 'error':
            code = rest[0]
            sendable = 1000 <= code <= 1003 or 1007 <= code <= 1014 or 3000 <= code <= 4999
            theirs.feed(ours.close(code, payload).single(mask=not masked))
            expected.append(('close', code, payload) if sendable else ('close', 1005, b''))
            break
        if kind == 'ping':
            theirs.feed(ours.ping(payload))
            theirs.feed(ours.pong(PingControlMessage(payload)))
            expected.append((kind, payload))
            kind = 'pong'
        elif kind == 'pong':
            theirs.feed(ours.pong(payload))
        else:
            build = ours.text_message if kind == 'text' else ours.binary_message
            theirs.feed(build(payload).single(mask=not masked))
        expected.append((kind, payload))
    assert theirs.events == expected, (theirs.events, expected)


def utf8(choices: Choices) -> None:
    """The validator stops at the first byte that can no longer be, in whatever pieces it gets the text."""
    places = choices.places()
    data = choices.rest()[:100]
    good = next((end - 1 for end in range(1, len(data) + 1) if not begins_utf8(data[:end])), None)
    outcomes = []
    for chunks in [[data], *every_way(data, places)]:
        validator = Utf8Validator()
        total = 0
        for chunk in chunks:
            valid, ends, index, total = validator.validate(chunk)
            if not valid:
                break
            assert index == len(chunk) and ends is (validator.state == Utf8Validator.UTF8_ACCEPT)
        assert total == (len(data) if good is None else good), (total, good)
        outcomes.append(validator.state)
    assert len(set(outcomes)) == 1, outcomes
    assert (outcomes[0] == Utf8Validator.UTF8_ACCEPT) is is_utf8(data)
    assert is_utf8_of_ours(data) is is_utf8_python(data) is is_utf8(data)
    assert utf8_prefix(data) == utf8_prefix_python(data)
    assert (outcomes[0] == Utf8Validator.UTF8_REJECT) is (good is not None)
    validator = Utf8Validator()  # and octet by octet, with the characters that they make up
    characters = []
    for octet in data:
        state = validator.decode(octet)
        if state == Utf8Validator.UTF8_ACCEPT:
            characters.append(chr(validator.codepoint))
    assert ''.join(characters).encode() == data[: len(''.join(characters).encode())]
    assert good is not None or not is_utf8(data) or ''.join(characters) == data.decode()


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
    assert parsing.parser is parser
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
    """The same frame where it lies complete: the other way to read one, in C and in Python, finds the same."""
    found = next_frame(data, 0, masked)
    for reserved in range(0, 128, 16):
        assert next_frame_python(data, 0, masked, reserved) == next_frame(data, 0, masked, reserved), reserved
    if found is None:  # bytes are missing, or wrong
        assert not isinstance(expected, tuple) or expected[1] is not masked or any(expected[0][1:4]), expected
        return
    assert isinstance(expected, tuple), (found, expected)
    first, payload, end = found
    fin, *reserved, opcode = expected[0]
    assert (first >> 7, first & 15, payload, end) == (fin, opcode, *expected[2:]) and reserved == [0, 0, 0]
    check_masking(expected[1], masked)
    if not expected[1]:
        # What was read can be written, and is the same.
        assert Frame(opcode, payload, fin=fin).build() == data[:end]
        assert build_frame(first, payload) == build_frame_python(first, payload) == data[:end]
    else:
        key = data[end - len(payload) - 4 : end - len(payload)]
        assert mask(payload, key) == mask_python(payload, key) == data[end - len(payload) : end]
        assert Frame(opcode, payload, key, fin).build() == data[:end]
        assert build_frame(first, payload, key) == build_frame_python(first, payload, key) == data[:end]
        for in_place in (_mask_by_tables, _mask_by_loop):  # for more than is in here
            masked_again = bytearray(payload)
            in_place(masked_again, key)
            assert masked_again == data[end - len(payload) : end]
        assert mask_bytes_python(payload * 9, key[:1] * 4) == mask(payload * 9, key[:1] * 4)
