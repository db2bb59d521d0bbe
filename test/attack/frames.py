"""Attacks by frames, after an opening handshake that is in order; nearly all of them on either side."""

from __future__ import annotations

import base64
import contextlib
import re
import socket
import struct
import time
import zlib

from backends.raw import RawPeer
from helpers import frame

from ws4py.framing import (
    OPCODE_BINARY,
    OPCODE_CLOSE,
    OPCODE_CONTINUATION,
    OPCODE_PING,
    OPCODE_PONG,
    OPCODE_TEXT,
)

from .client_side import ClientTarget, dripping, in_time, within
from .items import BOTH, CLIENTS, MIB, Target, attack

TEXT, BINARY, PONG, CLOSE = (0x80 | opcode for opcode in (OPCODE_TEXT, OPCODE_BINARY, OPCODE_PONG, OPCODE_CLOSE))
TOO_BIG = 1 << 62


def deflated(data: bytes, level: int = 9) -> bytes:
    compressor = zlib.compressobj(level, zlib.DEFLATED, -12)
    return (compressor.compress(data) + compressor.flush(zlib.Z_SYNC_FLUSH))[:-4]


def wrong_mask(target: Target) -> str:
    for payload in (b'hello', b''):
        target.closes(1002, frame(OPCODE_TEXT, payload, masked=not target.masked))
    return '1002'


def bomb(size: int) -> bytes:
    """So many zeros, deflated."""
    compressor = zlib.compressobj(9, zlib.DEFLATED, -12)
    pieces = [compressor.compress(bytes(min(MIB, size - at))) for at in range(0, size, MIB)]
    return b''.join(pieces) + compressor.flush(zlib.Z_SYNC_FLUSH)[:-4]


@attack(24, 'a frame that is not masked, an empty one too')
def unmasked(target: Target) -> str:
    return wrong_mask(target)


@attack(25, 'a frame that is masked, an empty one too', on=[CLIENTS])
def masked(target: Target) -> str:
    return wrong_mask(target)


@attack(26, 'reserved opcodes, before their payload is read', on=BOTH)
def reserved_opcodes(target: Target) -> str:
    for opcode in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15):
        target.closes(1002, target.header(0x80 | opcode, 100))
    return '1002'


@attack(27, 'reserved bits that nobody agreed on', on=BOTH)
def reserved_bits(target: Target) -> str:
    for bit in (0x40, 0x20, 0x10):
        target.closes(1002, target.header(0x81 | bit, 100))
    target.closes(1002, target.header(0xA1, 100), deflate=True)
    return '1002'


@attack(28, 'a control frame that is fragmented, or longer than 125 bytes', on=BOTH)
def control_frames(target: Target) -> str:
    for opcode in (OPCODE_CLOSE, OPCODE_PING, OPCODE_PONG):
        target.closes(1002, target.header(opcode, 5))
        target.closes(1002, target.header(0x80 | opcode, 126, 126))
    return '1002'


@attack(29, 'lengths that are not in their shortest form', on=BOTH)
def long_lengths(target: Target) -> str:
    target.closes(1002, target.header(BINARY, 126, 125))
    target.closes(1002, target.header(BINARY, 127, 65535))
    return '1002'


@attack(30, 'lengths beyond any bound, also of fragments together', on=BOTH)
def huge_lengths(target: Target) -> str:
    target.closes(1002, target.header(BINARY, 127, 1 << 63))
    target.closes(1009, target.header(BINARY, 127, TOO_BIG))
    many = [target.frame(OPCODE_BINARY, bytes(8 * MIB)), target.frame(OPCODE_CONTINUATION, bytes(7 * MIB))]
    target.closes(1009, *many, target.header(OPCODE_CONTINUATION, 127, MIB + 1))
    return '1002, 1009'


@attack(31, 'a length that is announced and never comes', on=BOTH, fresh=True)
def announced(target: Target) -> str:
    with contextlib.ExitStack() as stack, target.memory(8 * MIB) as figure:
        for _ in range(50):
            peer = stack.enter_context(target.peer())
            peer.sock.sendall(target.header(BINARY, 127, 16 * MIB) + b'x')
        target.still_serves()
        target.settled()
    return figure[0]


@attack(32, '400,000 fragments, of one byte and of none', on=BOTH, fresh=True)
def many_fragments(target: Target) -> str:
    with target.memory(8 * MIB) as figure:
        for payload in (b'x', b''):
            more = target.frame(OPCODE_CONTINUATION, payload) * 400_000
            target.closes(1009, target.frame(OPCODE_BINARY, payload), more)
    return f'1009, {figure[0]}'


@attack(33, 'a message that comes byte by byte', on=BOTH, fresh=True)
def dribble(target: Target) -> str:
    def send(peer: RawPeer, size: int) -> float:
        begin = time.monotonic()
        peer.sock.sendall(target.header(BINARY, 127, size))
        for _ in range(size):
            peer.sock.send(b'7')
        assert peer.receive()[0] == BINARY
        return time.monotonic() - begin

    size = 225_000 if target.heavy else 70_000
    with target.peer() as peer, target.memory(8 * MIB) as figure:
        times = [send(peer, size), send(peer, 4 * size)] if target.heavy else [send(peer, size)]
    if target.heavy:
        assert times[1] < 8 * times[0] + 1, times
    return f'{times[-1]:.1f} s, {figure[0]}'


@attack(34, 'a continuation without a start, a data frame inside a fragmented message', on=BOTH)
def interleaved(target: Target) -> str:
    target.closes(1002, target.frame(0x80, b'x'))
    target.closes(1002, target.frame(0x00, b'x'))
    for begin in (b'x', b''):
        target.closes(1002, target.frame(OPCODE_TEXT, begin), target.frame(TEXT, b'y'))
        target.closes(1002, target.frame(OPCODE_BINARY, begin), target.header(OPCODE_BINARY, 100))
    return '1002'


@attack(35, 'control frames between fragments, of a compressed message too', on=BOTH)
def control_between(target: Target) -> str:
    text = b'some words' * 20
    for deflate, wire in ((False, text), (True, deflated(text))):
        first = OPCODE_TEXT | (0x40 if deflate else 0)
        with target.peer(deflate) as peer:
            parts = (first, wire[:3]), (0x89, b'ping'), (0x8A, b'pong'), (0x80, wire[3:])
            for begin, payload in parts:
                peer.sock.sendall(target.frame(begin, payload))
            assert peer.receive() == (PONG, b'ping')
            found, payload = peer.receive()
            assert found == (0xC1 if deflate else TEXT), found
            if deflate:
                payload = zlib.decompressobj(-15).decompress(payload + b'\0\0\xff\xff')
            assert payload == text, payload
    return 'echoed'


@attack(36, 'text that is not UTF-8, as soon as that is certain', on=BOTH)
def utf8(target: Target) -> str:
    target.closes(1007, target.frame(TEXT, b'\xff'))
    target.closes(1007, target.frame(OPCODE_TEXT, b'ok \xff'))
    target.closes(1007, target.frame(OPCODE_TEXT, b'\xce'), target.frame(0x80, b'\xff'))
    target.closes(1007, target.frame(OPCODE_TEXT, b'\xce'), target.frame(0x80, b''))
    target.closes(1007, target.frame(TEXT, b'\xed\xa0\x80'))
    target.closes(1007, target.header(TEXT, 127, MIB) + target.covered(b'ab\xff'))
    target.closes(1007, target.close_frame(1000, b'\xff'))
    with target.peer() as peer:
        for cut in ('€'.encode()[:1], '€'.encode()[:2]):
            peer.sock.sendall(target.frame(OPCODE_TEXT, cut) + target.frame(0x80, '€'.encode()[len(cut) :]))
            assert peer.receive() == (TEXT, '€'.encode())
    return '1007'


@attack(37, 'Close frames of every wrong kind', on=BOTH)
def closes(target: Target) -> str:
    target.closes(1002, target.frame(CLOSE, b'x'))
    for code in (0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65535):
        target.closes(1002, target.close_frame(code))
    for behind in (target.frame(TEXT, b'too late'), target.close_frame(1001)):
        target.closes(1000, target.close_frame(1000) + behind)
    with target.peer() as peer:
        peer.sock.sendall(target.frame(TEXT, b'!close 4000 bye') + target.close_frame(4001))  # at the same moment
        assert peer.receive() == (CLOSE, b'\x0f\xa0bye')
        target.finished(peer, 4001)
    return '1002'


@attack(37, 'a Close that is never answered, and then an end of TCP that never comes', on=[CLIENTS])
def never_closes(target: ClientTarget) -> str:
    expected, order = within(target, 0.5, 'close_timeout')
    with target.admit(**order) as silent, target.admit(**order) as lasting:
        begin = time.monotonic()
        for guest in (silent, lasting):
            guest.text('!close 1000 bye')
            assert guest.receive() == (CLOSE, b'\x03\xe8bye')
        lasting.close(1000)
        for guest, code in ((silent, 1006), (lasting, 1000)):
            with contextlib.suppress(ConnectionError):
                for piece in dripping(guest, more=target.frame(0x80 | OPCODE_PING)):
                    guest.sock.sendall(piece)
            guest.visit.closed(code)
        return in_time(time.monotonic() - begin, expected)


@attack(38, 'bombs, and compressed data of every wrong kind', on=BOTH, fresh=True)
def bombs(target: Target) -> str:
    with target.memory(16 * MIB + 8 * MIB) as figure:  # the limit on a message, and a few MiB
        with target.peer(deflate=True) as peer:
            peer.sock.sendall(target.frame(0xC2, bomb(MIB // 2)))
            assert peer.receive()[0] == 0xC2
        for size in (64 * MIB, *((512 * MIB,) if target.heavy else ())):
            data = bomb(size)
            target.closes(1009, target.frame(0xC2, data), deflate=True)
            cut = [data[at : at + 1000] for at in range(0, len(data), 1000)]
            more = (target.frame(0x00, piece) for piece in cut[1:])
            target.closes(1009, target.frame(0x42, cut[0]), *more, deflate=True)
    target.closes(1007, target.frame(0xC1, b'\xff\xff\xff'), deflate=True)
    final = zlib.compressobj(9, zlib.DEFLATED, -12)
    member = final.compress(b'hello') + final.flush(zlib.Z_FINISH)
    with target.peer(deflate=True) as peer:
        inflater = zlib.decompressobj(-15)
        for data, text in (
            (member + b'\0', b'hello'),
            (member + member, b'hellohello'),
            (b'\0', b''),
            (member, b'hello'),
        ):
            peer.sock.sendall(target.frame(0xC1, data))
            first, payload = peer.receive()
            assert first == 0xC1, (data, first, payload)
            assert inflater.decompress(payload + b'\0\0\xff\xff') == text, data
        peer.sock.sendall(target.frame(0xC1, deflated(b'cut off')[:4]))  # any answer will do, or none
    empty = zlib.compressobj(9, zlib.DEFLATED, -12).flush(zlib.Z_FINISH)
    target.closes(1009, target.frame(0xC2, empty * 2000), deflate=True)
    return f'1009, {figure[0]}'


@attack(39, 'the bit of compression on a continuation or a control frame', on=BOTH)
def misplaced_bit(target: Target) -> str:
    for first in (0xC8, 0xC9, 0xCA):
        target.closes(1002, target.header(first, 2), deflate=True)
    target.closes(1002, target.frame(0x41, deflated(b'x')), target.header(0xC0, 2), deflate=True)
    target.closes(1002, target.frame(0x01, b'x'), target.header(0x40, 2), deflate=True)
    return '1002'


@attack(43, 'a connection that is cut in the middle of a frame', on=BOTH)
def cut(target: Target) -> str:
    def attack() -> None:
        for data in (target.header(BINARY, 100), b'\x81', target.frame(OPCODE_TEXT, b'begun'), b''):
            with target.peer() as peer:
                peer.sock.sendall(data)
                peer.half_close()
                peer.receive_all()
            peer = target.peer()
            peer.sock.sendall(data)
            peer.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
            peer.sock.close()

    return target.stays_flat(attack)


@attack(50, 'masking keys that can be guessed', on=[CLIENTS])
def keys(target: ClientTarget) -> str:
    count = 500
    with target.peer() as peer:
        for _ in range(count):
            peer.text('x')
        masks = [peer.read(2 + 4 + 1)[2:6] for _ in range(count)]
    assert len(set(masks)) >= count - 1, 'some are there twice'  # by chance two may be the same
    for bit in range(32):
        set_in = sum(int.from_bytes(mask, 'big') >> bit & 1 for mask in masks)
        assert 0.3 * count < set_in < 0.7 * count, f'bit {bit} is set in {set_in} of {count}'  # 9 standard deviations
    heads = []
    for _ in range(20):
        with target.peer() as peer:
            heads.append(re.search(rb'(?i)\r\nsec-websocket-key: *(\S+)', peer.head))
    nonces = {head[1] for head in heads if head}
    assert len(nonces) == 20 and {len(base64.b64decode(nonce, validate=True)) for nonce in nonces} == {16}, nonces
    return f'{count} keys'
