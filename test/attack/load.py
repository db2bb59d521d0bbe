"""Attacks by load, by silence, and by what an application does wrong."""

from __future__ import annotations

import contextlib
import json
import select
import socket
import struct
import threading
import time

from backends.raw import RawPeer
from helpers import TIMEOUT, wait_for

from ws4py.framing import OPCODE_BINARY, OPCODE_PING, OPCODE_PONG, OPCODE_TEXT

from .items import BOTH, MIB, Target, attack
from .server_side import ServerTarget, request

QUEUE = MIB + 8 * MIB  # the high-water mark of a connection, and what is allowed beside it


def pour(peer: RawPeer, data: bytes, size: int, seconds: float = 20.0, still: float = 1.0) -> int:
    """Write *size* bytes of *data*, never reading; the bytes that went out.

    :param seconds: after which it gives up.
    :param still: … and seconds in which nothing moves.
    """
    sock = peer.sock
    sock.setblocking(False)
    sent, end = 0, time.monotonic() + seconds
    view = memoryview(data)
    while sent < size and time.monotonic() < end:
        if not select.select([], [sock], [], still)[1]:
            break
        with contextlib.suppress(BlockingIOError):
            sent += sock.send(view[sent % len(data) :])
    return sent


@attack(40, 'pings from a peer that never reads', on=BOTH, fresh=True)
def ping_flood(target: Target) -> str:
    data = target.frame(0x80 | OPCODE_PING, b'p' * 125) * 5000
    with target.memory(QUEUE) as figure, target.peer() as peer:
        sent = pour(peer, data, 50 * MIB if target.heavy else 2 * QUEUE)
        target.still_serves()
    return f'{sent / MIB:.0f} MB sent, {figure[0]}'


@attack(41, 'a flood of pongs', on=BOTH, fresh=True)
def pong_flood(target: Target) -> str:
    data = target.frame(0x80 | OPCODE_PONG, b'p' * 125) * 5000
    with target.memory(8 * MIB) as figure, target.peer() as peer:
        sent = pour(peer, data, 20 * MIB, 60.0, 10.0)
        target.still_serves()
    assert sent >= 20 * MIB, f'only {sent} bytes were taken'
    return figure[0]


@attack(42, 'a peer that never reads its echoes', on=BOTH, fresh=True)
def never_reads(target: Target) -> str:
    one = target.frame(0x80 | OPCODE_BINARY, bytes(60_000))
    sent: list[int] = []
    with target.memory(QUEUE) as figure, target.peer() as peer, target.peer() as other:
        pouring = threading.Thread(target=lambda: sent.append(pour(peer, one * 20, 50 * MIB)), daemon=True)
        pouring.start()
        slowest = max(target.echoes(other) for _ in range(100))
        pouring.join(60)
        slowest = max(slowest, *(target.echoes(other) for _ in range(100)))
        assert sent, 'the connection has not lasted'
        peer.sock.settimeout(TIMEOUT)
        for _ in range(sent[0] // len(one)):  # once it reads, nothing is missing
            assert peer.receive() == (0x80 | OPCODE_BINARY, bytes(60_000))
    assert slowest < 5, f'another peer waited {slowest:.1f} s'
    return f'{figure[0]}, others at most {slowest * 1000:.0f} ms'


@attack(44, 'clients that connect and abort')
def aborts(target: ServerTarget) -> str:
    def abort() -> None:
        for number in range(5000 if target.heavy else 500):
            sock = target.connect()
            sock.sendall((b'', request()[:40], request())[number % 3])
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
            sock.close()
        target.still_serves()

    return target.stays_flat(abort)


@attack(45, 'idle connections', fresh=True)
def idle(target: ServerTarget) -> str:
    count = 500

    def weigh(target: ServerTarget, deflate: bool) -> float:
        before = target.settled()[2]
        with contextlib.ExitStack() as stack:
            for _ in range(count):
                stack.enter_context(target.peer(deflate))
            return (target.settled()[2] - before) / count / 1024

    plain = weigh(target, False)
    with ServerTarget(target.name) as another:
        another.still_serves()
        compressed = weigh(another, True)
    assert max(plain, compressed) < 64, (plain, compressed)
    assert compressed < plain + 8, 'a connection that compresses pays before its first message'
    return f'{plain:.1f} KiB each, {compressed:.1f} with deflate'


@attack(46, 'one that floods, beside another')
def flood(target: Target) -> str:
    data = target.frame(0x80 | OPCODE_TEXT, b'x' * 100) * 1000
    over = threading.Event()
    with target.peer() as peer, target.peer() as other:

        def send() -> None:
            with contextlib.suppress(OSError):
                while not over.is_set():
                    peer.sock.sendall(data)

        def read() -> None:
            with contextlib.suppress(OSError):
                while peer.sock.recv(1 << 20):
                    pass

        threads = [threading.Thread(target=run, daemon=True) for run in (send, read)]
        for thread in threads:
            thread.start()
        slowest = max(target.echoes(other) for _ in range(50))
        over.set()
        peer.sock.shutdown(socket.SHUT_RDWR)
        for thread in threads:
            thread.join(TIMEOUT)
    assert slowest < 5, f'it waited {slowest:.1f} s'
    return f'at most {slowest * 1000:.0f} ms'


@attack(47, 'exceptions in every callback', on=BOTH)
def exceptions(target: Target) -> str:
    for number, (hook, provoke) in enumerate(
        (
            ('opened', b''),
            ('received_message', target.frame(0x80 | OPCODE_TEXT, b'x')),
            ('ponged', target.frame(0x80 | OPCODE_PONG)),
        )
    ):
        name = f'{target.name}-{hook}-{number}'
        with target.peer(name=name, raises=hook) as peer:
            peer.sock.sendall(provoke)
            first, payload = peer.receive()
            assert (first, payload[:2]) == (0x88, b'\x03\xf3'), (hook, first, payload)
            assert payload == b'\x03\xf3', 'a detail goes to the peer'
            peer.close(1011)
            target.finished(peer, 1011)
        wait_for(lambda name=name, hook=hook: f'{name} {hook}' in _raised(target, name))
    name = f'{target.name}-closed'
    with target.peer(name=name, raises='closed') as peer:
        peer.close(1000)
        assert peer.receive() == (0x88, b'\x03\xe8')
        target.finished(peer, 1000)
    wait_for(lambda: f'{name} closed' in _raised(target, name))
    return '1011'


def _raised(target: Target, name: str) -> list[str]:
    """What was raised on purpose and then logged with its traceback."""
    return json.loads(target.asked(f'!journal {name}'))['raised']  # type: ignore[no-any-return]


@attack(48, 'sends from eight threads at once', on=BOTH)
def threads(target: Target) -> str:
    with target.peer() as peer:
        peer.text('!threads 8')
        messages, parts = [], b''
        while len(messages) < 8 * 50:
            first, payload = peer.receive()
            assert first in (0x81, 0x01, 0x00, 0x80), first
            assert bool(parts) is (first in (0x00, 0x80)), 'messages are mixed'
            parts += payload
            if first & 0x80:
                messages.append(parts)
                parts = b''
        assert {len(message) for message in messages} == {100}
        assert all(len(set(message)) == 1 for message in messages)
        for word in b'abcdefgh':
            assert sum(message[0] == word for message in messages) == 50
    return '400 whole messages'


@attack(49, 'what is left after the close', on=BOTH)
def nothing_left(target: Target) -> str:
    def visit() -> None:
        for number in range(100):
            with target.peer(deflate=number % 2 == 1) as peer:
                peer.text('hello')
                peer.receive()
                peer.close(1000)
                peer.receive()
                target.finished(peer, 1000)

    figure = target.stays_flat(visit)

    wait_for(lambda: target.asked('!alive') == b'1')
    return figure
