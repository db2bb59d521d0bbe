"""The scenario: what happens between a server and a client, in steps.

A step is a function of one cell of the matrix, that is of a server, a client and ws or wss. It makes its own
connections, and fails by raising. What a client of another project cannot do is named with its reason (``lacks`` in
`backends.foreign`) and never passed over. Besides the real clients there is one of bare bytes for each server, and
a server of bare bytes for each client of ours: these do what otherwise happens only by chance.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import ssl
from collections.abc import Iterator
from typing import Any, Callable, NamedTuple, Optional

import support_tls
from backends import clients
from backends.raw import RawClient, RawServer, accept_key
from backends.running import Server
from backends.wire import Wire, reset
from helpers import Peer, close_frame, frame, logs, wait_for

from ws4py.framing import OPCODE_BINARY, OPCODE_CLOSE, OPCODE_CONTINUATION, OPCODE_PING, OPCODE_PONG, OPCODE_TEXT

HOST = '127.0.0.1'
HANDLER = 'matrix.handler:Handler'
PROTOCOLS = ['chat', 'echo']
TEXT = 'héllo wörld, здравствуй, 你好 🎉'
MIB = 1 << 20
BINARY = os.urandom(MIB)
CALLBACKS = ('opened', 'received_message', 'ponged', 'closed')
RAW = 'bare bytes'

_names = itertools.count()


class Unable(Exception):
    """The client cannot do this step; says why."""


def same(found: Any, *expected: Any) -> None:
    """Fail unless *found* is one of *expected*."""
    if found not in expected:
        raise AssertionError(f'{str(found)[:300]}, not {" or ".join(str(value)[:300] for value in expected)}')


class Site:
    """A running server, and the connection on which it is asked what it has seen; a context manager.

    :param name: of the server, with its variants.
    :param tls: serve wss.
    """

    def __init__(self, name: str, tls: bool) -> None:
        self.name = name
        self.scheme = 'wss' if tls else 'ws'
        self.context: Optional[ssl.SSLContext] = support_tls.client_context() if tls else None
        files = support_tls.certificate_files(HOST) if tls else None
        self.server = Server(name, HANDLER, protocols=PROTOCOLS, tls=files)
        self._control: Optional[RawClient] = None

    def ask(self, command: str) -> Any:
        """The server's answer to a command."""
        if self._control is None:
            self._control = RawClient(self.server.port, self.context)
        self._control.text(command)
        return self._control.receive()[1].decode()

    def journal(self, name: str) -> dict[str, Any]:
        """What the handler of connection *name* has seen so far."""
        found: dict[str, Any] = json.loads(self.ask(f'!journal {name}'))
        return found

    def events(self, name: str, last: str = 'closed') -> list[list[Any]]:
        """Its events, once there is one called *last*."""

        def find() -> Any:
            events = self.journal(name)['events']
            return events if any(event[0] == last for event in events) else None

        try:
            found: list[list[Any]] = wait_for(find)
        except AssertionError:
            raise AssertionError(f'{last} was not called, but {self.journal(name)["events"]}') from None
        return found

    def closed(self, name: str) -> tuple[int, str]:
        """What closed() of that connection was called with, once it was."""
        _, code, reason = self.events(name)[-1]
        return code, reason

    def check_raised(self, name: str, hook: str) -> None:
        """The exception of that callback has been logged once, with its traceback."""
        wait_for(lambda: f'{name} {hook}' in self.journal(name)['raised'])
        same(self.journal(name)['raised'].count(f'{name} {hook}'), 1)

    def check_quiet(self) -> None:
        """Nothing has been logged that was not asked for."""
        complaints = json.loads(self.ask('!complaints'))
        if complaints:
            raise AssertionError(f'{len(complaints)} errors were logged, the first is:\n{complaints[0]}')

    def __enter__(self) -> Site:
        return self

    def __exit__(self, *exc_info: object) -> None:
        if self._control is not None:
            self._control.sock.close()
        self.server.stop()


class Cell(NamedTuple):
    """A server and a client.

    :ivar face: how the client is handled, see `backends.foreign`; None for bare bytes.
    """

    site: Site
    client: str
    face: Any

    @contextlib.contextmanager
    def connected(
        self, protocols: Any = (), headers: Any = (), port: Optional[int] = None, **attributes: Any
    ) -> Iterator[tuple[str, Any]]:
        """A connection: its name in the server's journals, and the client."""
        name = str(next(_names))
        url = f'{self.site.scheme}://{HOST}:{port or self.site.server.port}/somewhere?far=away'
        client = self.face(url, self.site.context, protocols, [('X-Name', name), *headers], **attributes)
        try:
            yield name, client
        finally:
            client.disconnect()

    @contextlib.contextmanager
    def raw(self, behind: bytes = b'', headers: Any = ()) -> Iterator[tuple[str, RawClient]]:
        """The same with bare bytes."""
        name = str(next(_names))
        headers = [('X-Name', name), *headers]
        with RawClient(self.site.server.port, self.site.context, headers=headers, behind=behind) as peer:
            yield name, peer

    def check_serving(self) -> None:
        """A fresh client gets its echo."""
        with self.connected() as (_, client):
            client.send('still there?')
            same(client.receive(), 'still there?')


class Step(NamedTuple):
    title: str
    needs: tuple[str, ...]
    run: Callable[[Any], None]


STEPS: list[Step] = []  # of a real client
RAW_CLIENT_STEPS: list[Step] = []
RAW_SERVER_STEPS: list[Step] = []


def step(title: str, *needs: str, steps: list[Step] = STEPS) -> Callable[[Any], Any]:
    """Make a function the next step; *needs* are abilities that not every client has."""

    def register(function: Any) -> Any:
        steps.append(Step(title, needs, function))
        return function

    return register


def perform(step: Step, cell: Cell) -> None:
    """Do one step.

    :raises Unable: the client cannot.
    """
    for need in step.needs:
        if need in cell.face.lacks:
            raise Unable(cell.face.lacks[need])
    step.run(cell)


# The opening handshake


@step('subprotocol')
def subprotocol(cell: Cell) -> None:
    with cell.connected(['chess', 'echo', 'chat']) as (name, client):
        same(client.protocol, 'echo')
        same(cell.site.journal(name)['protocols'], ['echo'])
    with cell.connected() as (name, client):
        same(client.protocol, None)
        same(cell.site.journal(name)['protocols'], [])


@step('no subprotocol in common: refused')
def no_subprotocol(cell: Cell) -> None:
    try:
        with cell.connected(['chess']):
            raise AssertionError('it was accepted')
    except cell.face.refusals:
        pass


@step('headers of the request')
def headers(cell: Cell) -> None:
    with cell.connected(headers=[('X-Custom', 'a, b;c="d"')]) as (name, _):
        environ = cell.site.journal(name)['environ']
        same(environ.get('HTTP_X_CUSTOM'), 'a, b;c="d"')
        same(environ.get('HTTP_HOST'), f'{HOST}:{cell.site.server.port}')
        same(environ.get('HTTP_SEC_WEBSOCKET_VERSION'), '13')
        same((environ.get('PATH_INFO'), environ.get('QUERY_STRING')), ('/somewhere', 'far=away'))
        same(environ.get('REQUEST_METHOD'), 'GET')
        same(environ.get('wsgi.url_scheme'), 'https' if cell.site.context else 'http')


# Messages


def echo(cell: Cell, *payloads: Any) -> None:
    with cell.connected() as (_, client):
        for payload in payloads:
            client.send(payload)
            same(client.receive(), payload)


@step('text')
def text(cell: Cell) -> None:
    echo(cell, TEXT, 'x' * 126, TEXT * 100)


@step('binary')
def binary(cell: Cell) -> None:
    echo(cell, bytes(range(256)), BINARY[:126], BINARY[:65535], BINARY[:65536])


@step('empty')
def empty(cell: Cell) -> None:
    echo(cell, '', b'', '')


@step('1 MiB')
def one_mebibyte(cell: Cell) -> None:
    echo(cell, BINARY, 'é' * (MIB // 2))


@step('16 MiB')
def sixteen_mebibytes(cell: Cell) -> None:
    echo(cell, BINARY * 16)


@step('many messages in a row')
def many(cell: Cell) -> None:
    with cell.connected() as (_, client):
        for number in range(200):
            client.send(f'number {number}')
        for number in range(200):
            same(client.receive(), f'number {number}')


@step('fragments from a generator of the client', 'fragments')
def fragments_of_the_client(cell: Cell) -> None:
    with cell.connected() as (_, client):
        for parts in (['one ', '', 'twö ', 'thrée'], [b'\0\1', b'', b'\2']):
            client.send_fragments(parts)
            same(client.receive(), type(parts[0])().join(parts))  # type: ignore[attr-defined]


@step('fragments from a generator of the server')
def fragments_of_the_server(cell: Cell) -> None:
    with cell.connected() as (_, client):
        client.send('!fragments öne two  three')
        same(client.receive(), 'önetwothree')
        client.send('!binary_fragments one two  three')
        same(client.receive(), b'onetwothree')


@step('ping of the client')
def ping_of_the_client(cell: Cell) -> None:
    with cell.connected() as (_, client):
        same(client.ping(), True)


@step('ping of the server')
def ping_of_the_server(cell: Cell) -> None:
    with cell.connected() as (name, client):
        client.send('!ping hello')
        client.send('next')
        same(client.receive(), 'next')
        same([event for event in cell.site.events(name, 'ponged') if event[0] == 'ponged'], [['ponged', 'hello']])


@step('message sent in opened() of the server')
def greeting_of_the_server(cell: Cell) -> None:
    with cell.connected(headers=[('X-Greet', 'welcome')]) as (_, client):
        same(client.receive(), 'welcome')
        client.send('thanks')
        same(client.receive(), 'thanks')


@step('message sent in opened() of the client', 'callbacks')
def greeting_of_the_client(cell: Cell) -> None:
    with cell.connected(greeting='good evening') as (_, client):
        same(client.receive(), 'good evening')
        client.send('second')
        same(client.receive(), 'second')


# The closing handshake


@step('the client closes first')
def the_client_closes(cell: Cell) -> None:
    with cell.connected() as (name, client):
        same(client.close(3001, 'énough'), (3001, 'énough'), (3001, None))
        same(cell.site.closed(name), (3001, 'énough'))


@step('the server closes first')
def the_server_closes(cell: Cell) -> None:
    with cell.connected() as (name, client):
        client.send('!close 4001 býe')
        same(client.wait_closed(), (4001, 'býe'))
        same(cell.site.closed(name), (4001, 'býe') if cell.face.answer is None else (cell.face.answer, ''))


@step('both close at the same time', 'crossing')
def both_close(cell: Cell) -> None:
    attributes = {} if 'callbacks' in cell.face.lacks else {'crossing': (3001, 'mine')}
    with cell.connected(**attributes) as (name, client):
        client.send('!cross 4001 yours')
        same(client.receive(), 'now')
        ended = client.wait_closed() if attributes else client.close(3001, 'mine')
        same(ended, (4001, 'yours'), (4001, None))
        same(cell.site.closed(name), (3001, 'mine'))


# Connections that are lost


def lose(cell: Cell, how: Callable[[Wire], None]) -> None:
    with Wire(cell.site.server.port) as wire:
        with cell.connected(port=wire.port) as (name, client):
            client.send(TEXT)
            same(client.receive(), TEXT)
            how(wire)
            same(client.lost(), True)
            same(cell.site.closed(name)[0], 1006)
    cell.check_serving()


@step('connection lost by RST')
def lost_by_rst(cell: Cell) -> None:
    lose(cell, Wire.reset)


@step('connection lost by FIN')
def lost_by_fin(cell: Cell) -> None:
    lose(cell, Wire.cut)


# Exceptions in callbacks


def fail_server(cell: Cell, hook: str) -> None:
    with cell.connected(headers=[('X-Raise', hook)]) as (name, client):
        if hook == 'received_message':
            client.send('?')
        elif hook == 'ponged':
            client.send('!ping hello')
        if hook == 'closed':
            same(client.close(3001, 'bye'), (3001, 'bye'), (3001, None))
            same(cell.site.closed(name), (3001, 'bye'))
        else:
            same(client.wait_closed()[0], 1011)
            same(cell.site.closed(name)[0], 1011)
        cell.site.check_raised(name, hook)
        same([event[0] for event in cell.site.events(name)].count('closed'), 1)
    cell.check_serving()


def fail_client(cell: Cell, hook: str) -> None:
    with logs() as records:
        with cell.connected(raises=hook) as (name, client):
            if hook == 'received_message':
                client.send('?')
            elif hook == 'ponged':
                client.provoke_pong()
            if hook == 'closed':
                same(client.close(3001, 'bye'), (3001, 'bye'))
                same(cell.site.closed(name), (3001, 'bye'))
            else:
                same(client.wait_closed()[0], 1011)
                same(cell.site.closed(name)[0], 1011)
    raised = [r.exc_info[1] for r in records if r.exc_info and isinstance(r.exc_info[1], clients.Deliberate)]
    same([str(error) for error in raised], [hook])
    cell.check_serving()


for _hook in CALLBACKS:
    step(f'exception in {_hook}() of the server')(lambda cell, hook=_hook: fail_server(cell, hook))
for _hook in CALLBACKS:
    step(f'exception in {_hook}() of the client', 'callbacks')(lambda cell, hook=_hook: fail_client(cell, hook))


# Bare bytes: in the handshake's segment


def raw_client_step(title: str) -> Callable[[Any], Any]:
    return step(title, steps=RAW_CLIENT_STEPS)


def masked(opcode: int, payload: bytes = b'', fin: bool = True) -> bytes:
    return frame(opcode, payload, fin, masked=True)


FIRST = [
    masked(OPCODE_TEXT, b'first'),
    masked(OPCODE_TEXT, b'sec', fin=False),
    masked(OPCODE_PING, b'between'),
    masked(OPCODE_CONTINUATION, b'ond'),
    masked(OPCODE_BINARY, bytes(1000)),
]
ANSWERS = [
    (0x80 | OPCODE_TEXT, b'first'),
    (0x80 | OPCODE_PONG, b'between'),
    (0x80 | OPCODE_TEXT, b'second'),
    (0x80 | OPCODE_BINARY, bytes(1000)),
]
CLOSED = (0x80 | OPCODE_CLOSE, close_frame(3001, b'bye')[2:])


@raw_client_step('headers of the response')
def response(cell: Cell) -> None:
    with cell.raw(headers=[('Sec-WebSocket-Protocol', 'echo')]) as (_, peer):
        lines = peer.head.decode('latin-1').split('\r\n')
        same(lines[0], 'HTTP/1.1 101 Switching Protocols')
        fields = [(name.lower(), value.strip()) for name, _, value in (line.partition(':') for line in lines[1:-2])]
        found = dict(fields)
        same(len(found), len(fields))
        same(found['upgrade'].lower(), 'websocket')
        same(found['connection'].lower(), 'upgrade')
        same(found['sec-websocket-accept'], accept_key(peer.key).decode())
        same(found['sec-websocket-protocol'], 'echo')
        same({'content-length', 'transfer-encoding', 'sec-websocket-extensions'} & set(found), set())


@raw_client_step("frames in the request's segment")
def behind_the_request(cell: Cell) -> None:
    with cell.raw(b''.join(FIRST)) as (_, peer):
        same([peer.receive() for _ in ANSWERS], ANSWERS)


@raw_client_step("frames in the request's segment, and a greeting")
def behind_the_request_greeted(cell: Cell) -> None:
    with cell.raw(b''.join(FIRST), [('X-Greet', 'welcome')]) as (_, peer):
        same(peer.receive(), (0x80 | OPCODE_TEXT, b'welcome'))
        same([peer.receive() for _ in ANSWERS], ANSWERS)


@raw_client_step("half a frame in the request's segment")
def half_a_frame(cell: Cell) -> None:
    data = b''.join(FIRST)
    for cut in (1, 2, 5, 8, len(FIRST[0]) + 1, len(data) - 1):
        with cell.raw(data[:cut]) as (_, peer):
            peer.sock.sendall(data[cut:])
            same([peer.receive() for _ in ANSWERS], ANSWERS)


@raw_client_step("1 MiB in the request's segment")
def much_behind_the_request(cell: Cell) -> None:
    with cell.raw(masked(OPCODE_BINARY, BINARY)) as (_, peer):
        same(peer.receive() == (0x80 | OPCODE_BINARY, BINARY), True)


@raw_client_step("message and Close in the request's segment")
def closed_behind_the_request(cell: Cell) -> None:
    with cell.raw(FIRST[0] + close_frame(3001, b'bye', masked=True)) as (name, peer):
        same([peer.receive(), peer.receive()], [ANSWERS[0], CLOSED])
        same(peer.at_end(), True)
        same([event[0] for event in cell.site.events(name)], ['opened', 'received_message', 'closed'])
        same(cell.site.closed(name), (3001, 'bye'))


@raw_client_step("message in the request's segment, then the end")
def lost_behind_the_request(cell: Cell) -> None:
    with cell.raw(FIRST[0]) as (name, peer):
        same(peer.receive(), ANSWERS[0])
        reset(peer.sock)
        same([event[0] for event in cell.site.events(name)], ['opened', 'received_message', 'closed'])
        same(cell.site.closed(name)[0], 1006)


# … closing and losing


class GoneClient(RawClient):
    """One that does not wait for the response."""

    def read_head(self) -> bytes:
        return b''


@raw_client_step('gone right behind the request')
def gone(cell: Cell) -> None:
    if cell.site.context and 'pyopenssl' in cell.site.name:
        raise Unable('cheroot takes what pyOpenSSL raises for a failure of its own, and logs it')
    for end in (reset, lambda sock: sock.close()):
        for _ in range(10):
            client = GoneClient(cell.site.server.port, cell.site.context, headers=[('X-Greet', 'who is there?')])
            end(client.sock)
    with cell.raw(FIRST[0]) as (_, peer):
        same(peer.receive(), ANSWERS[0])
    cell.site.check_quiet()


@raw_client_step('both close at the same time')
def raw_both_close(cell: Cell) -> None:
    with cell.raw() as (name, peer):
        peer.sock.sendall(masked(OPCODE_TEXT, b'!close 4001 yours') + close_frame(3001, b'mine', masked=True))
        same(peer.receive(), (0x80 | OPCODE_CLOSE, close_frame(4001, b'yours')[2:]))
        same(peer.at_end(), True)
        same(cell.site.closed(name), (3001, 'mine'))


@raw_client_step('empty Close')
def empty_close(cell: Cell) -> None:
    with cell.raw() as (name, peer):
        peer.close(None)
        same(peer.receive(), (0x80 | OPCODE_CLOSE, b''))
        same(peer.at_end(), True)
        same(cell.site.closed(name), (1005, ''))


@raw_client_step('protocol error')
def protocol_error(cell: Cell) -> None:
    with cell.raw() as (name, peer):
        peer.sock.sendall(frame(OPCODE_TEXT, b'not masked'))
        opcode, payload = peer.receive()
        same((opcode, payload[:2]), (0x80 | OPCODE_CLOSE, (1002).to_bytes(2, 'big')))
        same(peer.at_end(), True)
        peer.sock.close()  # after a failure the server waits for that, so that its Close is not lost
        same(cell.site.closed(name)[0], 1002)
        same([event[0] for event in cell.site.events(name)], ['opened', 'closed'])


@raw_client_step('connection lost in the middle of a frame')
def lost_in_a_frame(cell: Cell) -> None:
    for end in (reset, lambda sock: sock.close()):
        with cell.raw() as (name, peer):
            peer.sock.sendall(masked(OPCODE_TEXT, b'never complete')[:-3])
            end(peer.sock)
            same(cell.site.closed(name)[0], 1006)
            same([event[0] for event in cell.site.events(name)], ['opened', 'closed'])


@raw_client_step('wsaccel and uvloop are used where they were asked for')
def variant(cell: Cell) -> None:
    found = cell.site.ask('!variant').split(' ')
    same(found[0], 'wsaccel' if 'wsaccel' in cell.site.name else 'ws4py')
    same('uvloop' in found, 'uvloop' in cell.site.name)


# The server of bare bytes, against a client of ours


class Meeting(NamedTuple):
    """A client of ours, and ws or wss."""

    client: str
    face: Any
    tls: bool

    @contextlib.contextmanager
    def connected(
        self, behind: bytes, script: Callable[[Peer], None] = lambda peer: None, **attributes: Any
    ) -> Iterator[Any]:
        server = support_tls.server_context() if self.tls else None
        with RawServer(server, behind, script) as raw:
            url = f'{"wss" if self.tls else "ws"}://{HOST}:{raw.port}/'
            client = self.face(url, support_tls.client_context() if self.tls else None, **attributes)
            try:
                yield client
            finally:
                client.disconnect()


def raw_server_step(title: str) -> Callable[[Any], Any]:
    return step(title, steps=RAW_SERVER_STEPS)


def answer_close(peer: Peer) -> None:
    """Wait for the client's Close, and send it back."""
    while True:
        opcode, payload = peer.receive()
        if opcode & 15 == OPCODE_CLOSE:
            peer.send(OPCODE_CLOSE, payload)
            return


GREETINGS = [
    frame(OPCODE_TEXT, b'first'),
    frame(OPCODE_TEXT, b'sec', fin=False),
    frame(OPCODE_PING, b'between'),
    frame(OPCODE_CONTINUATION, b'ond'),
    frame(OPCODE_BINARY, bytes(1000)),
]


def check_greetings(client: Any) -> None:
    same([client.receive(), client.receive(), client.receive()], ['first', 'second', bytes(1000)])


@raw_server_step("frames in the response's segment")
def behind_the_response(meeting: Meeting) -> None:
    def script(peer: Peer) -> None:
        same(peer.receive(), (0x80 | OPCODE_PONG, b'between'))
        answer_close(peer)

    with meeting.connected(b''.join(GREETINGS), script) as client:
        check_greetings(client)


@raw_server_step("half a frame in the response's segment")
def half_a_greeting(meeting: Meeting) -> None:
    data = b''.join(GREETINGS)
    for cut in (1, 2, 5, len(GREETINGS[0]) + 1, len(data) - 1):

        def script(peer: Peer, rest: bytes = data[cut:]) -> None:
            peer.sock.sendall(rest)
            answer_close(peer)

        with meeting.connected(data[:cut], script) as client:
            check_greetings(client)


@raw_server_step("1 MiB in the response's segment")
def much_behind_the_response(meeting: Meeting) -> None:
    with meeting.connected(frame(OPCODE_BINARY, BINARY), answer_close) as client:
        same(client.receive() == BINARY, True)


@raw_server_step("message and Close in the response's segment")
def closed_behind_the_response(meeting: Meeting) -> None:
    def script(peer: Peer) -> None:
        same(peer.receive(), (0x80 | OPCODE_CLOSE, close_frame(4001, b'bye')[2:]))

    with meeting.connected(GREETINGS[0] + close_frame(4001, b'bye'), script) as client:
        same(client.receive(), 'first')
        same(client.wait_closed(), (4001, 'bye'))


@raw_server_step('both close at the same time')
def raw_both_close_with_client(meeting: Meeting) -> None:
    def script(peer: Peer) -> None:
        peer.close(4001, b'yours')
        same(peer.receive(), (0x80 | OPCODE_CLOSE, close_frame(3001, b'mine')[2:]))

    with meeting.connected(frame(OPCODE_TEXT, b'now'), script, crossing=(3001, 'mine')) as client:
        same(client.wait_closed(), (4001, 'yours'))


def steps(client: str) -> list[Step]:
    """Those of a client."""
    return RAW_CLIENT_STEPS if client == RAW else STEPS


class Result(NamedTuple):
    """How a step went: ``OK``, ``n/a`` or ``FAILED``."""

    title: str
    outcome: str
    note: str = ''


def run(steps: list[Step], cell: Any) -> list[Result]:
    """Do these steps, whatever becomes of each."""
    results = []
    for step in steps:
        try:
            perform(step, cell)
            results.append(Result(step.title, 'OK'))
        except Unable as unable:
            results.append(Result(step.title, 'n/a', str(unable)))
        except Exception as error:
            results.append(Result(step.title, 'FAILED', f'{type(error).__name__}: {error}'))
    return results
