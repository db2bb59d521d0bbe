"""The target `response`: what a client reads, and whether it believes it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Union

from ws4py.client import WebSocketBaseClient
from ws4py.exc import HandshakeError
from ws4py.handshake import check_response, response_reader
from ws4py.http11 import Response
from ws4py.limits import DEFAULT_LIMITS, Limits

from . import plain
from .choices import Choices, every_way

LIMITS = (DEFAULT_LIMITS, Limits(head_size=400, headers=8, line_size=60), Limits(head_size=200, headers=6))
PROTOCOLS = ('chat', 'superchat', 'v1.json')
EXTENSIONS = ('x-own', 'x-other; mode=fast', 'permessage-deflate')
KEY = b'dGhlIHNhbXBsZSBub25jZQ=='  # of RFC 6455 section 1.3

Outcome = Union[type[Exception], None, tuple[Any, ...]]


class Client(WebSocketBaseClient):
    """A client whose bytes do not come from a socket."""

    _socket_first = False


def check(data: bytes) -> None:
    choices = Choices(data)
    limits = choices.pick(LIMITS)
    protocols = choices.some(PROTOCOLS)
    extensions = choices.some(EXTENSIONS)
    places = choices.places()
    received = choices.rest()
    bounds = plain.Bounds(limits.head_size, limits.headers, limits.line_size)

    # The reader alone
    whole = read([received], limits)
    for chunks in every_way(received, places):
        assert read(chunks, limits) == whole, chunks
    names = [extension.partition(';')[0] for extension in extensions]
    taken: Any = None
    try:
        expected = plain.final_head(received, bounds)
    except ValueError:
        assert whole is HandshakeError, whole
    else:
        assert whole == expected, (whole, expected)
        if expected is not None:
            taken = plain.take(expected[0], bounds, KEY.decode(), protocols, names)
            judge(expected[0], limits, protocols, extensions, taken)

    # The client, which has it in parts
    outcomes = [connect(chunks, limits, protocols, extensions) for chunks in [[received], *every_way(received, places)]]
    assert outcomes[1:] == outcomes[:-1], outcomes
    if taken is not None:
        given = [name.encode() for name in taken.protocols]
        assert outcomes[0] == (given, [name for name, _ in taken.extensions], expected[1]), (outcomes[0], taken)
    elif whole is None:
        assert outcomes[0] is None
    else:
        assert outcomes[0] is HandshakeError, (outcomes[0], whole)


def read(chunks: Iterable[bytes], limits: Limits) -> Outcome:
    """The final head and what is behind it; None where it waits for more."""
    reader = response_reader(limits)
    wanted = next(reader)
    found = None
    for chunk in chunks:
        assert wanted > 0
        if found is not None:
            found = found[0], found[1] + chunk
            continue
        try:
            wanted = reader.send(chunk)
        except StopIteration as done:
            found = done.value
        except HandshakeError:
            return HandshakeError
    return found


def judge(head: bytes, limits: Limits, protocols: list[str], extensions: list[str], taken: Any) -> None:
    """Whether a client believes a head that is well-formed."""
    response = Response.parse(head, limits)
    again = Response.parse(response.build('HEAD'))
    assert (again.status, again.version) == (response.status, response.version)
    assert again.headers.items()[: len(response.headers)] == response.headers.items()
    try:
        named = check_response(response, KEY, protocols, extensions)
    except HandshakeError as error:
        assert taken is None, (error, taken)
        return
    assert taken is not None, named
    assert [name.decode() for name in named[0]] == taken.protocols
    assert plain.extensions_of([text.decode('latin-1') for text in named[1]]) == taken.extensions
    agreed = plain.DEFLATE in extensions and any(name == plain.DEFLATE for name, _ in taken.extensions)
    assert len(named[2]) == agreed, named


def connect(chunks: Sequence[bytes], limits: Limits, protocols: Sequence[str], extensions: Sequence[str]) -> Outcome:
    """A client that is given *chunks*: what it has of them; None where it waits for more."""
    client = Client('ws://localhost/', list(protocols), list(extensions), limits=limits)
    client.key = KEY
    client._expect_response()
    done = False
    behind = b''
    for chunk in chunks:
        if done:
            behind += chunk
        elif chunk:
            try:
                done = client._feed_response(chunk)
            except HandshakeError:
                return HandshakeError
    if not done:
        try:
            client._feed_response(b'')  # the connection ends here
        except HandshakeError:
            return None
        raise AssertionError('a connection that has ended is open')
    given = plain.extensions_of([text.decode('latin-1') for text in client.extensions])
    assert given is not None
    return client.protocols, [name for name, _ in given], client.buf + behind
