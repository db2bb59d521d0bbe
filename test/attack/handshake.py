"""Attacks on the opening handshake of servers, and on what comes with it."""

from __future__ import annotations

import contextlib
import socket
import time

from helpers import TIMEOUT, wait_for

from ws4py.framing import OPCODE_TEXT

from . import site
from .items import BOTH, NotOwned, Target, attack
from .server_side import ServerTarget, request


@attack(1, '2,000 headers')
def many_headers(target: ServerTarget) -> str:
    return target.refused(request(*(f'X-{number}: x' for number in range(2000))), 431)


@attack(2, 'a header line, and a target, of 1 MB')
def long_lines(target: ServerTarget) -> str:
    header = target.refused(request(f'X-Long: {"x" * 1_000_000}'), 431)
    long = 'x' * 1_000_000
    return f'{header}, {target.refused(request(first=f"GET /{long} HTTP/1.1"), 414)}'


@attack(3, 'a head of more than 64 KiB')
def large_head(target: ServerTarget) -> str:
    return target.refused(request(*(f'X-{number}: {"x" * 1000}' for number in range(100))), 431)


@attack(4, 'a header a second: one deadline for the whole handshake, and others are served meanwhile')
def slow_head(target: ServerTarget) -> str:
    lines = request().split(b'\r\n')
    begin = time.monotonic()
    with contextlib.ExitStack() as stack:
        slow = [stack.enter_context(target.connect()) for _ in range(3)]
        for sock in slow:
            sock.sendall(lines[0] + b'\r\n')
        while time.monotonic() - begin < 12:
            target.still_serves()
            if target.base == 'cherrypy' and time.monotonic() - begin > 3:
                raise NotOwned('cheroot reads the head, and bounds only its idle time; others are served')
            for sock in slow:
                with contextlib.suppress(OSError):
                    sock.sendall(b'X-Slow: x\r\n')
            time.sleep(0.5)
        for sock in slow:
            sock.settimeout(TIMEOUT)
            with contextlib.suppress(ConnectionError):
                answer = b''
                while block := sock.recv(65536):
                    answer += block
                assert answer == b'' or b' 408 ' in answer.partition(b'\r\n')[0], answer
    return f'dropped within {time.monotonic() - begin:.0f} s'


@attack(6, 'a key that is missing, short, no base64, or there twice')
def keys(target: ServerTarget) -> str:
    found = [target.refused(request(drop='Sec-WebSocket-Key'), 400)]
    for value in ('dGhlIHNhbXBsZSBub25j', 'dGhlIHNhbXBsZSBub25jZ!==', ''):
        found.append(target.refused(request(f'Sec-WebSocket-Key: {value}'), 400))
    twice = 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=='
    found.append(target.refused(request(twice, twice), 400))
    return ', '.join(sorted(set(found)))


@attack(7, 'a version other than 13')
def versions(target: ServerTarget) -> str:
    for version in ('8', '14', 'x', '13, 8'):
        answer = target.knock(request(f'Sec-WebSocket-Version: {version}'))
        assert answer.status == 426, answer
        assert 'sec-websocket-version: 13' in answer.head.lower(), answer.head
    return '426'


@attack(8, 'POST, and HTTP/1.0')
def methods(target: ServerTarget) -> str:
    answer = target.knock(request(first='POST / HTTP/1.1'))
    assert answer.status == 405 and 'allow: get' in answer.head.lower(), answer
    old = target.knock(request(first='GET / HTTP/1.0'))
    assert old.status in (400, 505), old
    return f'405, {old.status}'


@attack(9, 'no Host, and two')
def hosts(target: ServerTarget) -> str:
    none = target.refused(request(drop='Host'), 400)
    return f'{none}, {target.refused(request("Host: a", "Host: b"), 400)}'


@attack(10, 'tokens that only look like the right ones')
def tokens(target: ServerTarget) -> str:
    for line in ('Connection: notupgrade', 'Upgrade: notwebsocket', 'Connection: Upgrade-not', 'Upgrade: web, socket'):
        status = target.refused(request(line), 400)
    return status


@attack(11, 'an upgrade with a body')
def bodies(target: ServerTarget) -> str:
    found = [target.refused(request('Content-Length: 5') + b'hello', 400)]
    found.append(target.refused(request('Transfer-Encoding: chunked') + b'0\r\n\r\n', 400))
    return ', '.join(found)


@attack(12, 'a bare LF, NUL, a folded header, a space before the colon')
def malformed(target: ServerTarget) -> str:
    found = [target.refused(request('X-Nul: a\0b'), 400)]
    if target.base not in ('cherrypy', 'tornado'):
        found.append(target.refused(request('X-Space : a'), 400))
        found.append(target.refused(request('X-Folded: a', ' b'), 400))
    if target.base in ('wsgiref', 'asyncio'):
        found.append(target.refused(request().replace(b'\r\n', b'\n'), 400))
    if len(found) == 1:
        raise NotOwned(f'NUL: {found[0]}; the HTTP server below normalises the others before ws4py sees them')
    return ', '.join(sorted(set(found)))


@attack(13, 'extension and protocol headers that are made to cost time')
def costly_headers(target: ServerTarget) -> str:
    def cost(make: object, size: int) -> float:
        best = 1e9
        for _ in range(3):
            begin = time.monotonic()
            for _ in range(10):
                target.knock(request(make(size)))  # type: ignore[operator]
            best = min(best, time.monotonic() - begin)
        return best

    for make in (
        lambda size: 'Sec-WebSocket-Extensions: a' + ' ' * size + '!',
        lambda size: 'Sec-WebSocket-Extensions: a; b="' + '\\' * size,
        lambda size: 'Sec-WebSocket-Extensions: ' + '"' * size,
        lambda size: 'Sec-WebSocket-Extensions: permessage-deflate' + '; a=1' * (size // 5),
        lambda size: 'Sec-WebSocket-Protocol: a' + ',' * size + ' ' * size,
    ):
        small, large = cost(make, 1000), cost(make, 4000)
        assert large < 8 * small + 0.2, f'{small:.3f} s, and {large:.3f} s for four times as much'
    for offer in (
        'client_max_window_bits=99',
        'server_max_window_bits',
        'client_max_window_bits=9; client_max_window_bits=9',
    ):
        answer = target.knock(request(f'Sec-WebSocket-Extensions: permessage-deflate; {offer}'))
        assert answer.status == 101 and 'permessage-deflate' not in answer.head, answer
    return f'{large * 100:.0f} ms each'


@attack(14, 'a foreign Origin')
def origins(target: ServerTarget) -> str:
    assert target.knock(request(f'Origin: {site.GOOD}')).status == 101
    for origin in ('https://evil.test', 'http://good.test', 'https://good.test.evil.test', 'null'):
        answer = target.knock(request(f'Origin: {origin}'))
        assert answer.status == 403, answer
    return '403'


@attack(16, 'frames in the segment of the handshake', on=BOTH)
def early_frames(target: Target) -> str:
    texts = (b'one', b'two', b'three')
    frames = b''.join(target.frame(0x80 | OPCODE_TEXT, text) for text in texts)
    with target.peer(behind=frames) as peer:
        for text in texts:
            assert peer.receive() == (0x80 | OPCODE_TEXT, text)
    return 'all delivered'


@attack(17, 'a second request behind a refused upgrade')
def smuggled(target: ServerTarget) -> str:
    answer = target.knock(request('Sec-WebSocket-Version: 8') + request(), to_end=True)
    assert answer.status == 426, answer
    assert b'HTTP/1.1' not in answer.rest, answer.rest
    return 'not served'


@attack(22, 'a TLS handshake that stalls', tls=True)
def stalled_tls(target: ServerTarget) -> str:
    with contextlib.ExitStack() as stack:
        for data in (b'', b'\x16\x03\x01'):
            sock = stack.enter_context(socket.create_connection(('127.0.0.1', target.port), TIMEOUT))
            sock.sendall(data)
        begin = time.monotonic()
        target.still_serves()
        seconds = time.monotonic() - begin
    assert seconds < 5, f'others waited {seconds:.1f} s'
    return f'others: {seconds * 1000:.0f} ms'


@attack(23, 'more connections than are allowed, and from an address that is not')
def too_many(target: ServerTarget) -> str:
    answer = target.knock(request(), source=site.UNWANTED)
    assert answer.status == 403, answer
    with ServerTarget(target.name, terms='attack.site:FULL') as full, contextlib.ExitStack() as stack:
        clients = [stack.enter_context(full.peer()) for _ in range(3)]
        answer = full.knock(request())
        assert answer.status in (429, 503), answer
        clients[0].close(1000)
        clients[0].receive_all()
        wait_for(lambda: full.knock(request()).status == 101)
    return f'403, {answer.status}'
