"""The target `head`: a request, from the first byte to the answer."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Any, Optional, Union

from ws4py.auth import basic_auth
from ws4py.exc import HTTPError
from ws4py.handshake import Accepted, Refused, environ_of, refuse, request_from_environ, respond
from ws4py.http11 import Request, Response, head_reader
from ws4py.limits import DEFAULT_LIMITS, Limits
from ws4py.policy import Policy

from . import plain
from .choices import Choices, every_way

LIMITS = (DEFAULT_LIMITS, Limits(head_size=400, headers=8, line_size=60), Limits(head_size=200, headers=6))
PROTOCOLS = ('chat', 'superchat', 'v1.json')
EXTENSIONS = ('x-own', 'permessage-deflate', 'x-other; mode=fast')  # the others are the application's own
ORIGINS: tuple[Optional[list[str]], ...] = (None, [], ['https://example.com', 'HTTP://localhost:9000'])
TRUSTED = ['192.0.2.0/24', '2001:db8::/32']
USERS = {'ann': 'secret', 'bob': ''}
ANSWERED = {400, 403, 405, 414, 426, 431, 505}  # what a refusal's status may be


def check(data: bytes) -> None:
    choices = Choices(data)
    limits = choices.pick(LIMITS)
    spoken = choices.some(PROTOCOLS)
    known = choices.some(EXTENSIONS)
    origins = choices.pick(ORIGINS)
    secure, last = choices.pick(((False, False), (True, False), (False, True), (True, True)))
    places = choices.places()
    received = choices.rest()
    bounds = plain.Bounds(limits.head_size, limits.headers, limits.line_size)

    whole = read([received], limits)
    for chunks in every_way(received, places):
        assert read(chunks, limits) == whole, chunks
    try:
        expected = plain.split_head(received, bounds)
    except ValueError:
        assert isinstance(whole, int), whole
        refused(refuse(whole, 'said by the reader'))
        return
    assert whole == expected, (whole, expected)
    if expected is None:
        return
    head = expected[0]
    by_any_server(head)

    select = take_last if last else None
    decision = plain.decide(head, bounds, spoken, origins, last=last)
    try:
        request = Request.parse(head, limits)
    except HTTPError as error:
        assert error.status in decision.wrong, (error, decision)
        refused(refuse(error.status, error.msg))
        return
    there_and_back(request, limits)
    answered(respond(request, spoken, known, origins=origins, select_subprotocol=select), decision, known)
    who(request, plain.fields_of(head[:-4].decode('latin-1').split('\r\n')[1:], bounds, tolerant=False)[0], secure)

    # The same by way of WSGI: what a server that is none puts into an environ, and what it says there.
    environ = environ_of(request, secure=secure, client=('192.0.2.1', 1))
    assert all(isinstance(value, str) for value in environ.values()), environ
    by_environ = request_from_environ(environ)
    decision = plain.decide(head, bounds, spoken, origins, joined=True, last=last)
    answered(respond(by_environ, spoken, known, origins=origins, select_subprotocol=select), decision, known)
    again = environ_of(by_environ, secure=secure, client=('192.0.2.1', 1))
    for name in ('CONTENT_TYPE', 'CONTENT_LENGTH'):  # the one is no part of a handshake, the other may be empty
        environ.pop(name, None)
        again.pop(name, None)
    assert again == environ, (again, environ)


def take_last(request: Request, offered: list[str]) -> Optional[str]:
    """What an application selects."""
    return offered[-1] if offered else None


def who(request: Request, fields: list[plain.Field], secure: bool) -> None:
    """What a request says of who has sent it, to somebody who believes a proxy and knows two users."""
    policy = Policy(trusted_proxies=TRUSTED)
    stranger = dataclasses.replace(request, peer_address=('198.51.100.7', 1), secure=secure)
    assert policy.resolve(stranger) is stranger  # anybody may write anything there
    proxy = dataclasses.replace(request, peer_address=('192.0.2.1', 1), secure=secure)
    seen = policy.resolve(proxy)
    client = plain.client_of(fields, TRUSTED)
    assert seen.peer_address == (client or proxy.peer_address), (seen, client)
    assert seen.environ.get('ws4py.peer_address') == client, (seen, client)
    scheme = (plain.elements(fields, 'x-forwarded-proto') or [''])[-1].lower()
    told = {'https': True, 'wss': True, 'http': False, 'ws': False}.get(scheme, secure)
    assert seen.secure is told, (seen, scheme)

    local = dataclasses.replace(request, peer_address='', secure=secure)
    assert policy.resolve(local) is local
    assert Policy(trusted_proxies=[*TRUSTED, 'unix']).resolve(local).peer_address == (client or '')

    refusal = Policy(process_request=basic_auth(USERS)).ask(proxy, awaited=False)
    found = plain.credentials(fields)
    if found is not None and USERS.get(found[0]) == found[1]:
        assert refusal is None and proxy.environ['REMOTE_USER'] == found[0], (refusal, found)
    else:
        assert refusal.status == 401 and 'REMOTE_USER' not in proxy.environ, (refusal, found)


def read(chunks: Iterable[bytes], limits: Limits) -> Union[tuple[bytes, bytes], int, None]:
    """What the reader makes of *chunks*: the head and the rest; a status; None where it waits for more."""
    reader = head_reader(limits)
    wanted = next(reader)
    found: Optional[tuple[bytes, bytes]] = None
    for chunk in chunks:
        assert wanted > 0
        if found is not None:
            found = found[0], found[1] + chunk
            continue
        try:
            wanted = reader.send(chunk)
        except StopIteration as done:
            found = done.value
        except HTTPError as error:
            return error.status
    return found


def there_and_back(request: Request, limits: Limits) -> None:
    """A request that was parsed can be built, and is the same again."""
    # White space that was taken off may have kept a line just over its limit.
    again = Request.parse(request.build(), dataclasses.replace(limits, line_size=limits.line_size + 1))
    assert (again.method, again.target, again.version) == (request.method, request.target, request.version)
    assert again.headers.items() == request.headers.items()


def by_any_server(head: bytes) -> None:
    """A server that looks at nothing hands on whatever came."""
    first, *lines = head.decode('latin-1').split('\r\n')
    method, _, rest = first.partition(' ')
    target, _, version = rest.rpartition(' ')
    path, _, query = target.partition('?')
    environ = {'REQUEST_METHOD': method, 'PATH_INFO': path, 'QUERY_STRING': query, 'SERVER_PROTOCOL': version}
    for line in lines:
        name, _, value = line.partition(':')
        environ['HTTP_' + name.upper().replace('-', '_')] = value
    try:
        request = request_from_environ(environ)
    except HTTPError as error:
        assert error.status in (400, 505), error
        return
    answer = respond(request)
    if isinstance(answer, Refused):
        refused(answer)


def answered(answer: Union[Accepted, Refused], decision: plain.Decision, known: list[str]) -> None:
    assert answer.status_line[:3] == str(answer.status) and len(answer.status_line) > 4
    if isinstance(answer, Refused):
        assert answer.status in decision.wrong, (answer, decision)
        refused(answer)
        return
    assert not decision.wrong, (answer, decision)
    response = Response.parse(answer.build())
    assert response.status == 101
    headers = response.headers
    assert headers.get_all('Sec-WebSocket-Accept') == [decision.accept]
    assert headers.get('Upgrade') == 'websocket' and headers.get('Connection') == 'Upgrade'
    assert headers.get_all('Sec-WebSocket-Protocol') == [decision.protocol] * (decision.protocol is not None)
    assert answer.protocols == headers.get_all('Sec-WebSocket-Protocol')
    names = {name.partition(';')[0] for name in known}
    assert answer.extensions == [name for name in decision.offered if name in names], (answer, decision)
    lines = headers.get_all('Sec-WebSocket-Extensions')
    assert len(lines) == bool(answer.extensions) and len(answer.codecs) == ('permessage-deflate' in answer.extensions)
    assert [name for name, _ in plain.extensions_of(lines) or ()] == answer.extensions


def refused(answer: Any) -> None:
    """A refusal is a complete answer, after which the connection ends."""
    assert answer.status in ANSWERED, answer
    built = answer.build()
    head, _, body = built.partition(b'\r\n\r\n')
    response = Response.parse(head + b'\r\n\r\n', dataclasses.replace(DEFAULT_LIMITS, line_size=1 << 20))
    assert response.status == answer.status and response.phrase
    assert response.headers.get_all('Content-Length') == [str(len(body))] and body
    assert 'close' in response.headers['Connection']
    assert ('Allow' in response.headers) is (answer.status == 405)
    assert response.headers.get_all('Sec-WebSocket-Version') == ['13'] * (answer.status == 426)
    assert answer.build('HEAD') == head + b'\r\n\r\n'
