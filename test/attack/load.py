"""Attacks by load, by silence, and by what an application does wrong."""

from __future__ import annotations

import contextlib
import json
import select
import socket
import struct
import threading
import time

from backends.raw import RawClient
from helpers import TIMEOUT, frame, wait_for

from ws4py.framing import OPCODE_BINARY, OPCODE_PING, OPCODE_PONG, OPCODE_TEXT

from .items import MIB, Target, attack, request

QUEUE = MIB + 8 * MIB  # the high-water mark of a connection, and what is allowed beside it


def pour(client: RawClient, data: bytes, size: int, seconds: float = 20.0) -> int:
    """Write *size* bytes of *data*, never reading, until that is done or nothing moves; the bytes that went out."""
    sock = client.sock
    sock.setblocking(False)
    sent, end = 0, time.monotonic() + seconds
    view = memoryview(data)
    while sent < size and time.monotonic() < end:
        if not select.select([], [sock], [], 2.0)[1]:
            break
        with contextlib.suppress(BlockingIOError):
            sent += sock.send(view[sent % len(data) :])
    return sent


@attack(40, 'pings from a peer that never reads', fresh=True)
def ping_flood(target: Target) -> str:
    data = frame(OPCODE_PING, b'p' * 125, masked=True) * 5000
    with target.memory(QUEUE) as figure, target.client() as client:
        sent = pour(client, data, 50 * MIB)
        target.still_serves()
    return f'{sent / MIB:.0f} MB sent, {figure[0]}'


@attack(41, 'a flood of pongs', fresh=True)
def pong_flood(target: Target) -> str:
    data = frame(OPCODE_PONG, b'p' * 125, masked=True) * 5000
    with target.memory(8 * MIB) as figure, target.client() as client:
        sent = pour(client, data, 20 * MIB, 60.0)
        target.still_serves()
    assert sent >= 20 * MIB, f'only {sent} bytes were taken'
    return figure[0]


@attack(42, 'a peer that never reads its echoes', fresh=True)
def never_reads(target: Target) -> str:
    data = frame(OPCODE_BINARY, bytes(60_000), masked=True) * 20
    with target.memory(QUEUE) as figure, target.client() as client, target.client() as other:
        pouring = threading.Thread(target=pour, args=(client, data, 50 * MIB), daemon=True)
        pouring.start()
        slowest = max(target.echoes(other) for _ in range(100))
        pouring.join(60)
        slowest = max(slowest, *(target.echoes(other) for _ in range(100)))
        assert not pouring.is_alive()
    assert slowest < 5, f'another peer waited {slowest:.1f} s'
    return f'{figure[0]}, others at most {slowest * 1000:.0f} ms'


@attack(44, 'clients that connect and abort')
def aborts(target: Target) -> str:
    def abort() -> None:
        for number in range(5000 if target.heavy else 500):
            sock = target.connect()
            sock.sendall((b'', request()[:40], request())[number % 3])
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
            sock.close()
        target.still_serves()

    return target.stays_flat(abort)


@attack(45, 'idle connections', fresh=True)
def idle(target: Target) -> str:
    count = 500

    def weigh(target: Target, deflate: bool) -> float:
        before = target.settled()[2]
        with contextlib.ExitStack() as stack:
            for _ in range(count):
                stack.enter_context(target.client(deflate))
            return (target.settled()[2] - before) / count / 1024

    plain = weigh(target, False)
    with Target(target.name) as another:
        another.still_serves()
        compressed = weigh(another, True)
    assert max(plain, compressed) < 64, (plain, compressed)
    assert compressed < plain + 8, 'a connection that compresses pays before its first message'
    return f'{plain:.1f} KiB each, {compressed:.1f} with deflate'


@attack(46, 'one that floods, beside another')
def flood(target: Target) -> str:
    data = frame(OPCODE_TEXT, b'x' * 100, masked=True) * 1000
    over = threading.Event()
    with target.client() as client, target.client() as other:

        def send() -> None:
            with contextlib.suppress(OSError):
                while not over.is_set():
                    client.sock.sendall(data)

        def read() -> None:
            with contextlib.suppress(OSError):
                while client.sock.recv(1 << 20):
                    pass

        threads = [threading.Thread(target=run, daemon=True) for run in (send, read)]
        for thread in threads:
            thread.start()
        slowest = max(target.echoes(other) for _ in range(50))
        over.set()
        client.sock.shutdown(socket.SHUT_RDWR)
        for thread in threads:
            thread.join(TIMEOUT)
    assert slowest < 5, f'it waited {slowest:.1f} s'
    return f'at most {slowest * 1000:.0f} ms'


@attack(47, 'exceptions in every callback')
def exceptions(target: Target) -> str:
    for number, (hook, provoke) in enumerate(
        (
            ('opened', b''),
            ('received_message', frame(OPCODE_TEXT, b'x', masked=True)),
            ('ponged', frame(OPCODE_PONG, masked=True)),
        )
    ):
        name = f'{target.name}-{hook}-{number}'
        with target.client(headers=[('X-Name', name), ('X-Raise', hook)]) as client:
            client.sock.sendall(provoke)
            first, payload = client.receive()
            assert (first, payload[:2]) == (0x88, b'\x03\xf3'), (hook, first, payload)
            assert payload == b'\x03\xf3', 'a detail goes to the peer'
        with target.client() as other:
            wait_for(lambda other=other, name=name, hook=hook: f'{name} {hook}' in _journal(other, name)['raised'])
    with target.client(headers=[('X-Name', f'{target.name}-closed'), ('X-Raise', 'closed')]) as client:
        client.close(1000)
        assert client.receive_all() == [(0x88, b'\x03\xe8')]
    return '1011'


def _journal(client: RawClient, name: str) -> dict[str, list[str]]:
    client.text(f'!journal {name}')
    return json.loads(client.receive()[1])  # type: ignore[no-any-return]


@attack(48, 'sends from eight threads at once')
def threads(target: Target) -> str:
    with target.client() as client:
        client.text('!threads 8')
        messages, parts = [], b''
        while len(messages) < 8 * 50:
            first, payload = client.receive()
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


@attack(49, 'what is left after the close')
def nothing_left(target: Target) -> str:
    def visit() -> None:
        for number in range(100):
            with target.client(deflate=number % 2 == 1) as client:
                client.text('hello')
                client.receive()
                client.close(1000)
                client.receive_all()

    figure = target.stays_flat(visit)

    def alone() -> bool:
        with target.client() as client:
            client.text('!alive')
            return client.receive()[1] == b'1'

    wait_for(alone)
    return figure
