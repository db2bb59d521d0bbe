"""The target `differential`: ws4py beside another implementation, the package `websockets`, without sockets.

The same bytes go through both: frames to a server and to a client, with permessage-deflate and without, requests, and
responses. Both have to accept or refuse the same, fail with the same close code or status, and give the same messages.
Where they do not, one of the rules in :mod:`fuzz.differences` has to say why; a difference without one is a finding.

What a rule is allowed to explain is narrow: it applies to inputs that have the fault it names, which a third opinion
(:mod:`fuzz.plain`, and :func:`look` below) finds in them, and to the outcomes it names.
"""

from __future__ import annotations

import zlib
from typing import Any, NamedTuple, Optional, Union

from support_streams import Driver, begins_utf8, is_utf8, xor

from ws4py.exc import HandshakeError, HTTPError
from ws4py.handshake import Accepted, check_response, respond, response_reader
from ws4py.http11 import Request, Response, head_reader
from ws4py.limits import DEFAULT_LIMITS, Limits
from ws4py.permessage_deflate import Deflate, PerMessageDeflate
from ws4py.streaming import Stream

from . import plain
from .choices import Choices
from .differences import by
from .inflate import TAIL, Inflater, Terms

try:
    from websockets import version
    from websockets.client import ClientProtocol
    from websockets.extensions import permessage_deflate as their_deflate
    from websockets.frames import Frame, Opcode
    from websockets.protocol import State
    from websockets.server import ServerProtocol
    from websockets.uri import parse_uri

    COMPARED = int(version.version.partition('.')[0]) >= 17  # the rules describe the behaviour of this one
except ImportError:  # an installation without the test extra, or with one too old to have these names
    COMPARED = False


def check(data: bytes) -> None:
    choices = Choices(data)
    choices.pick((frames, requests, responses))(choices)


# Frames


class Verdict(NamedTuple):
    """What came of a stream: its data messages, pings and pongs; then open, closed by the peer, or failed."""

    events: list[tuple[str, bytes]]
    end: str
    code: Optional[int] = None


class Look(NamedTuple):
    """A third opinion on a stream, up to the first thing that is wrong with it.

    :ivar faults: all that is wrong with that frame, or with the message that it ends: names and codes.
    :ivar complete: that frame has come to its end.
    :ivar seen: other things that were seen before, of which the rules speak.
    """

    faults: dict[str, int]
    complete: bool
    seen: set[str]


def frames(choices: Choices) -> None:
    masked = choices.pick((False, True))
    size = choices.pick((2**20, 60, 0))
    compressed = choices.pick((False, True))
    terms = Terms(choices.pick((15, 9, 8, 12)), choices.pick((False, True))) if compressed else None
    received = choices.rest()
    ours = our_stream(received, masked, size, terms)
    theirs = their_stream(received, masked, size, terms)
    if ours != theirs:
        seen = look(received, masked, size, terms)
        by(why_streams(ours, theirs, seen))


def our_stream(data: bytes, masked: bool, size: int, terms: Optional[Terms]) -> Verdict:
    limits = Limits(message_size=size)
    stream = Stream(always_mask=not masked, expect_masking=masked, limits=limits)
    if terms is not None:
        stream.codecs = (Deflate(PerMessageDeflate(), 15, False, terms.bits, terms.alone),)
    driver = Driver(stream)
    driver.feed(data)
    events = [event for event in driver.events if event[0] not in ('close', 'error')]
    codes = {kind: code for kind, code, *_ in driver.events if kind in ('close', 'error')}
    if 'error' in codes:
        return Verdict(events, 'failed', codes['error'])
    return Verdict(events, 'closed', codes['close']) if 'close' in codes else Verdict(events, 'open')


def their_stream(data: bytes, masked: bool, size: int, terms: Optional[Terms]) -> Verdict:
    if masked:
        protocol: Any = ServerProtocol(state=State.OPEN, max_size=size)
    else:
        protocol = ClientProtocol(parse_uri('ws://localhost/'), state=State.OPEN, max_size=size)
    if terms is not None:
        protocol.extensions = [their_deflate.PerMessageDeflate(terms.alone, False, terms.bits, 15)]
    protocol.receive_data(data)
    events: list[tuple[str, bytes]] = []
    kind, text = '', b''
    for event in protocol.events_received():
        assert isinstance(event, Frame)
        payload = bytes(event.data)
        if event.opcode in (Opcode.TEXT, Opcode.BINARY):
            kind, text = ('text' if event.opcode is Opcode.TEXT else 'binary'), b''
        if event.opcode in (Opcode.PING, Opcode.PONG):
            events.append((event.opcode.name.lower(), payload))
        elif event.opcode is not Opcode.CLOSE:
            text += payload
            if event.fin:
                if kind == 'text' and not is_utf8(text):  # its connections decode, this layer does not
                    return Verdict(events, 'failed', 1007)
                events.append((kind, text))
    if protocol.parser_exc is not None:
        return Verdict(events, 'failed', int(protocol.close_sent.code))
    if protocol.close_rcvd is not None:
        return Verdict(events, 'closed', int(protocol.close_rcvd.code))
    return Verdict(events, 'open')


def look(data: bytes, masked: bool, size: int, terms: Optional[Terms]) -> Look:
    """Frame by frame, until something is wrong or the bytes end."""
    seen: set[str] = set()
    inflater = None if terms is None else Inflater(terms)
    first, text, announced = 0, b'', 0
    while data:
        faults: dict[str, int] = {}
        fin, bits, opcode = data[0] & 128, data[0] & 0x70, data[0] & 15
        if bits and (bits != 0x40 or terms is None or opcode not in (1, 2)):
            faults['bits'] = 1002
        if bits & 0x40 and terms is not None:
            seen.add('inflated first')
        if opcode not in (0, 1, 2, 8, 9, 10):
            faults['opcode'] = 1002
        if opcode & 8 and not fin:
            faults['fragmented control'] = 1002
        if opcode == 0 and not first:
            faults['continuation'] = 1002
        if opcode in (1, 2) and first:
            faults['interleaved'] = 1002
        if len(data) < 2:
            return Look(faults, False, seen)
        length, head = data[1] & 127, 2
        if (data[1] & 128 > 0) is not masked:
            faults['mask'] = 1002
        if opcode & 8 and length > 125:
            faults['long control'] = 1002
        if length > 125:
            head = 4 if length == 126 else 10
            if len(data) < head:
                return Look(faults, False, seen)
            length = int.from_bytes(data[2:head], 'big')
            if length >= 2**63:
                faults['top bit'] = 1002
            if length < (126 if head == 4 else 65536):
                faults['shortest'] = 1002
        if length > size:
            if opcode < 8:
                faults['too big'] = 1009
            else:
                seen.add('control limit')
        if first and announced + length > size:
            if opcode < 8:
                faults['too big'] = 1009
            else:
                seen.add('control limit')
        key, head = (data[head : head + 4], head + 4) if data[1] & 128 else (bytes(4), head)
        complete = len(data) >= head + length
        payload = xor(data[head : head + length], key) if len(key) == 4 else b''
        if faults:
            return Look(faults, complete, seen | {'header'} if len(data) >= head else seen)
        data = data[head + length :]
        if opcode & 8:
            if not complete:
                return Look({}, False, seen)
            if opcode == 8:
                code = int.from_bytes(payload[:2], 'big')
                if len(payload) == 1 or (payload and not good_code(code)):
                    faults['close code'] = 1002
                if not is_utf8(payload[2:]):
                    faults['close reason'] = 1007
                if first:
                    seen.add('close inside')
                return Look(faults, True, seen)
            continue
        if opcode:
            first, text, announced = opcode | bits | 0x100, b'', 0
        announced += length
        text += payload
        if first & 0x40:
            seen.add('compressed')
            if announced > size // 2 or not opcode or not fin:
                seen.add('near the limit')
            assert inflater is not None and terms is not None
            if final_block(text + TAIL * bool(fin)):
                seen.add('final block')
            if fin and complete:
                if not text:
                    seen.add('no block')
                found = inflater.message(text, size)
                if isinstance(found, int):
                    return Look({'inflate' if found == 1007 else 'inflated size': found}, True, seen)
                text = found
                if len(text) > size // 2:
                    seen.add('near the limit')
            elif not complete:
                return Look({}, False, seen)
        ended = bool(fin) and complete
        if first & 15 == 1 and (ended or not first & 0x40) and not (is_utf8(text) if ended else begins_utf8(text)):
            if not ended:
                seen.add('text before its end')
            return Look({'text': 1007}, complete, seen)
        if not complete:
            return Look({}, False, seen)
        if fin:
            first = 0
    return Look({}, first == 0, seen)


def final_block(data: bytes) -> bool:
    """Whether compressed data has a block with its final bit set; it may refer to messages before it."""
    inflater = zlib.decompressobj(-15, zdict=bytes(32768))
    try:
        inflater.decompress(data, 1 << 24)
    except zlib.error:
        return inflater.eof
    return inflater.eof


def good_code(code: int) -> bool:
    return code in (*range(1000, 1004), *range(1007, 1015)) or 3000 <= code < 5000


def why_streams(ours: Verdict, theirs: Verdict, third: Look) -> str:
    """The rule for a difference."""
    faults, seen = third.faults, third.seen
    told = ours, theirs, third
    shared = min(len(ours.events), len(theirs.events))
    for rule in ('final block', 'no block'):  # from there on the two have read different things
        if rule in seen:
            return rule
    assert ours.events[:shared] == theirs.events[:shared], told
    assert ours.end != 'failed' or ours.code in (*faults.values(), 1007, 1009) or 'compressed' in seen, told
    both_failed = ours.end == theirs.end == 'failed'
    if 'control limit' in seen and theirs == Verdict(theirs.events, 'failed', 1009):
        return 'control limit'
    if ours.end == 'failed' and 'text' in faults and 'text before its end' in seen and ours.code == 1007:
        if len(theirs.events) < len(ours.events):  # it has not come as far as that text
            assert 'near the limit' in seen, told
            return 'compressed size'
        return 'text'
    if 'compressed' not in seen:
        assert ours.events == theirs.events or 'shortest' in faults, told
    if 'shortest' in faults and ours.end == 'failed' and ours.code == 1002:
        return 'shortest'
    if 'top bit' in faults and both_failed and (ours.code, theirs.code) == (1002, 1009):
        return 'top bit'
    if both_failed and len(set(faults.values())) > 1 and {ours.code, theirs.code} <= set(faults.values()):
        return 'several'
    if both_failed and 'inflated first' in seen and theirs.code == 1009 and ours.code == 1002:
        return 'several'
    if (
        'close inside' in seen
        and not faults
        and ours.end == 'closed'
        and theirs == Verdict(theirs.events, 'failed', 1002)
    ):
        return 'close inside'
    if 'close inside' in seen and faults and both_failed and {ours.code, theirs.code} <= {*faults.values(), 1002}:
        return 'several'
    if 'compressed' in seen and ours.end == 'failed' and ours.code in (1007, 1009) and ours.code not in faults.values():
        assert ours.events == theirs.events[: len(ours.events)], told
        return 'early'
    if faults and not third.complete and {ours.end, theirs.end} == {'failed', 'open'}:
        assert ours.code in faults.values() or 'header' not in seen, told
        return 'early'
    assert 'compressed' in seen, told
    if both_failed and faults.get('inflate') == ours.code == 1007 and theirs.code == 1002:
        return 'inflate'
    if both_failed and {ours.code, theirs.code} <= {1002, 1007, 1009} and ('inflate' in faults or not third.complete):
        return 'inflate' if theirs.code == 1002 else 'several'
    if ours.end == 'failed' and theirs.end == 'open' and not third.complete and ours.code in (1007, 1009):
        return 'early'
    if 'near the limit' in seen or 'inflated size' in faults:
        return 'compressed size'
    raise AssertionError(told)


# Requests

PROTOCOLS = ('chat', 'superchat', 'v1.json')
ORIGINS: tuple[Optional[list[str]], ...] = (None, ['https://example.com', 'HTTP://localhost:9000'])
BOUNDS = plain.Bounds(DEFAULT_LIMITS.head_size, DEFAULT_LIMITS.headers, DEFAULT_LIMITS.line_size)


REFUSALS = (400, 403, 405, 426, 505)


class Answer(NamedTuple):
    """What a server says: a status, or 0 where it ends the connection without one; and what it has selected."""

    status: int
    protocol: Optional[str] = None
    deflate: bool = False


def requests(choices: Choices) -> None:
    spoken = choices.some(PROTOCOLS)
    origins = choices.pick(ORIGINS)
    compressed = choices.pick((False, True))
    received = choices.rest()
    ours = our_answer(received, spoken, origins, compressed)
    if ours is None:
        return  # ours judges a head when it is complete, before the deadline for it
    theirs = their_answer(received, spoken, origins, compressed)
    if ours != theirs:
        for rule in why_requests(ours, theirs, received, spoken, origins, compressed):
            by(rule)


def our_answer(data: bytes, spoken: list[str], origins: Optional[list[str]], compressed: bool) -> Optional[Answer]:
    reader = head_reader()
    next(reader)
    try:
        reader.send(data)
    except StopIteration as done:
        head = done.value[0]
    except HTTPError as error:
        return Answer(error.status)
    else:
        return None
    try:
        request = Request.parse(head)
    except HTTPError as error:
        return Answer(error.status)
    answer = respond(request, spoken, [PerMessageDeflate()] if compressed else None, origins=origins)
    if not isinstance(answer, Accepted):
        return Answer(answer.status)
    return Answer(101, answer.protocols[0] if answer.protocols else None, bool(answer.codecs))


def their_answer(data: bytes, spoken: list[str], origins: Optional[list[str]], compressed: bool) -> Answer:
    protocol: Any = ServerProtocol(
        # Who sends no Origin is no browser; ours lets it in, and so can theirs.
        origins=None if origins is None else [*origins, None],
        subprotocols=spoken or None,
        extensions=[their_deflate.ServerPerMessageDeflateFactory()] if compressed else None,
    )
    protocol.receive_data(data)
    received = protocol.events_received()
    if protocol.handshake_exc is not None or not received:
        return Answer(0)
    response = protocol.accept(received[0])
    if response.status_code != 101:
        return Answer(response.status_code)
    return Answer(101, response.headers.get('Sec-WebSocket-Protocol'), bool(protocol.extensions))


def why_requests(
    ours: Answer,
    theirs: Answer,
    data: bytes,
    spoken: list[str],
    origins: Optional[list[str]],
    compressed: bool,
) -> list[str]:
    """The rules for a difference."""
    told = ours, theirs
    try:
        split = plain.split_head(data, BOUNDS)
    except ValueError:
        assert ours.status == 400 and theirs.status == 0, told
        return ['no answer']
    assert split is not None
    head = split[0]
    decision = plain.decide(head, BOUNDS, spoken, origins)
    wrong = decision.wrong
    lines = head[:-4].decode('latin-1').split('\r\n')
    method, _, rest = lines[0].partition(' ')
    target, _, version_ = rest.rpartition(' ')
    fields, malformed = plain.fields_of(lines[1:], BOUNDS, tolerant=False)

    def values(name: str) -> list[str]:
        return plain.values(fields, name)

    lists = ('connection', 'upgrade', 'sec-websocket-protocol', 'sec-websocket-extensions')
    empty = any(not plain.elements([field], field[0]) for field in fields if field[0] in lists)
    upgrades = plain.elements(fields, 'upgrade')
    no_tokens = any(
        not plain.is_token(option) for name in ('connection', 'upgrade') for option in plain.elements(fields, name)
    )
    offered = plain.elements(fields, 'sec-websocket-protocol')

    if ours.status == 101:
        assert not wrong, told
        if theirs.status == 101:  # both accept; what they have selected may differ
            rules = []
            if ours.protocol != theirs.protocol:
                assert {ours.protocol, theirs.protocol} <= {*offered} & {*spoken}, told
                rules.append('preference')
            if ours.deflate != theirs.deflate:
                assert ours.deflate and 'server_max_window_bits' in str(values('sec-websocket-extensions')), told
                rules.append('small window')
            return rules
        if theirs.status == 0:
            assert version_ not in ('HTTP/1.1', 'HTTP/1.0'), told
            return ['minor version']
        if theirs.status in (400, 426) and (no_tokens or len(upgrades) > 1):
            return ['upgrade list']
        if theirs.status == 400 and empty:
            return ['empty list']
        if theirs.status == 400 and spoken and not offered:
            return ['no subprotocol']
        if theirs.status == 400 and len(values('origin')) > 1:
            return ['two origins']
        if theirs.status == 403:
            assert origins is not None and values('origin')[0] not in origins, told
            return ['origin case']
        raise AssertionError(told)

    assert ours.status in wrong, told
    if theirs.status == 0:
        length = [value for value in values('content-length') if value != '0'] or values('transfer-encoding')
        assert malformed or length or not is_their_line(lines[0]), told
        return ['no answer']
    if theirs.status in wrong:
        return ['several refusals']
    rules = []
    hosts = values('host')
    if len(hosts) != 1 or not hosts[0] or not set(hosts[0]) <= plain.HOST:
        rules.append('host')
    if values('content-length'):
        rules.append('empty body')
    if not target or any(not 33 <= ord(character) <= 126 for character in target):
        rules.append('target')
    if plain.extensions_of(values('sec-websocket-extensions')) is None and not compressed:
        rules.append('extension grammar')
    if theirs.status == 101:
        assert rules and ours.status == 400, told
        return rules
    if rules:  # it has found something else
        assert theirs.status in REFUSALS, told
        return ['several refusals']
    if theirs.status == 405:
        assert not plain.is_token(method), told
        return ['method']
    if theirs.status == 426:
        connection = [element.lower() for element in plain.elements(fields, 'connection')]
        if 'upgrade' not in connection or 'websocket' not in [element.lower() for element in upgrades]:
            return ['upgrade status']
        assert len(upgrades) > 1, told
        return ['upgrade list']
    if theirs.status == 400:
        if wrong == {426}:
            return ['version status']
        if no_tokens:
            return ['upgrade list']
        if empty:
            return ['empty list']
        if spoken and not offered:
            return ['no subprotocol']
        if 426 in wrong:
            return ['version status']
    if theirs.status == 403:
        assert origins is not None and values('origin')[0] not in origins, told
        return ['origin case']
    raise AssertionError(told)


def is_their_line(line: str) -> bool:
    """Whether a request line is one for them."""
    parts = line.split(' ', 2)
    return len(parts) == 3 and parts[2] in ('HTTP/1.1', 'HTTP/1.0') and parts[0].isascii() and parts[1].isascii()


# Responses

KEY = 'dGhlIHNhbXBsZSBub25jZQ=='  # of RFC 6455 section 1.3


class Belief(NamedTuple):
    """What a client makes of a response: it waits, it fails, or it is open."""

    state: str
    protocol: Optional[str] = None
    deflate: bool = False


def responses(choices: Choices) -> None:
    protocols = choices.some(PROTOCOLS)
    compressed = choices.pick((False, True))
    received = choices.rest()
    ours, head = our_belief(received, protocols, compressed)
    theirs = their_belief(received, protocols, compressed)
    if ours != theirs:
        by(why_responses(ours, theirs, received, head, protocols, compressed))


def our_belief(data: bytes, protocols: list[str], compressed: bool) -> tuple[Belief, Optional[bytes]]:
    """And the head that was believed or not."""
    reader = response_reader()
    next(reader)
    try:
        reader.send(data)
    except StopIteration as done:
        head = done.value[0]
    except HandshakeError:
        return Belief('failed'), None
    else:
        return Belief('waits'), None
    try:
        named, _, codecs = check_response(
            Response.parse(head), KEY.encode(), protocols, [PerMessageDeflate()] if compressed else []
        )
    except HandshakeError:
        return Belief('failed'), head
    return Belief('open', named[0].decode() if named and protocols else None, bool(codecs)), head


def their_belief(data: bytes, protocols: list[str], compressed: bool) -> Belief:
    protocol: Any = ClientProtocol(
        parse_uri('ws://localhost/'),
        subprotocols=protocols or None,
        extensions=[their_deflate.ClientPerMessageDeflateFactory()] if compressed else None,
    )
    protocol.key = KEY
    protocol.receive_data(data)
    if protocol.handshake_exc is not None:
        return Belief('failed')
    if protocol.state is State.CONNECTING:
        return Belief('waits')
    return Belief('open', protocol.subprotocol, bool(protocol.extensions))


def why_responses(
    ours: Belief,
    theirs: Belief,
    data: bytes,
    head: Optional[bytes],
    protocols: list[str],
    compressed: bool,
) -> str:
    """The rule for a difference."""
    told: Union[tuple[Any, ...], str] = (ours, theirs)
    first = data.partition(b'\r\n')[0]
    interim = first[9:10] == b'1' and first[9:12] != b'101'
    if ours.state == 'waits':
        # Theirs has judged a line, ours judges a head when it is complete; or it was an interim response.
        assert theirs.state == 'failed', told
        return 'interim' if interim else 'early'
    if interim:
        assert theirs.state in ('failed', 'waits'), told
        return 'interim'
    if ours.state == 'failed':
        assert theirs.state == 'waits', told
        assert head is None or plain.take(head, BOUNDS, KEY, protocols, [plain.DEFLATE] * compressed) is None
        return 'body'
    assert head is not None
    taken = plain.take(head, BOUNDS, KEY, protocols, [plain.DEFLATE] * compressed)
    assert taken is not None and theirs.state == 'failed', told
    lines = head[:-4].decode('latin-1').split('\r\n')
    fields, malformed = plain.fields_of(lines[1:], BOUNDS, tolerant=False)
    if malformed:
        return 'space before colon'
    if lines[0][:8] != 'HTTP/1.1':
        return 'response version'
    if len(lines[0]) < 13:
        return 'no phrase'
    lists = ('connection', 'upgrade', 'sec-websocket-protocol', 'sec-websocket-extensions')
    if any(not plain.elements([field], field[0]) for field in fields if field[0] in lists):
        return 'empty list'
    if not all(map(plain.is_token, plain.elements(fields, 'connection'))):
        return 'upgrade list'
    if (taken.protocols and not protocols) or (taken.extensions and not compressed):
        return 'unasked'
    assert 'client_max_window_bits' in str(taken.extensions), told
    return 'small window'
