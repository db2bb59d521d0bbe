"""Attacks by frames, after an opening handshake that is in order."""

from __future__ import annotations

import contextlib
import socket
import struct
import time
import zlib

from backends.raw import RawClient
from helpers import close_frame, frame, mask_key

from ws4py.framing import (
    OPCODE_BINARY,
    OPCODE_CLOSE,
    OPCODE_CONTINUATION,
    OPCODE_PING,
    OPCODE_PONG,
    OPCODE_TEXT,
)

from .items import MIB, Target, attack

TEXT, BINARY, PONG, CLOSE = (0x80 | opcode for opcode in (OPCODE_TEXT, OPCODE_BINARY, OPCODE_PONG, OPCODE_CLOSE))
TOO_BIG = 1 << 62


def header(first: int, length7: int, extended: bytes = b'') -> bytes:
    """The header of a masked frame, right or wrong."""
    return bytes((first, 0x80 | length7)) + extended + mask_key


def masked(first: int, payload: bytes) -> bytes:
    """A frame with any first byte."""
    whole = frame(first & 0x0F, payload, masked=True)
    return bytes((first,)) + whole[1:]


def deflated(data: bytes, level: int = 9) -> bytes:
    compressor = zlib.compressobj(level, zlib.DEFLATED, -12)
    return (compressor.compress(data) + compressor.flush(zlib.Z_SYNC_FLUSH))[:-4]


@attack(24, 'a frame that is not masked, an empty one too')
def unmasked(target: Target) -> str:
    for payload in (b'hello', b''):
        target.closes(1002, frame(OPCODE_TEXT, payload))
    return '1002'


@attack(26, 'reserved opcodes, before their payload is read')
def reserved_opcodes(target: Target) -> str:
    for opcode in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15):
        target.closes(1002, header(0x80 | opcode, 100))
    return '1002'


@attack(27, 'reserved bits that nobody agreed on')
def reserved_bits(target: Target) -> str:
    for bit in (0x40, 0x20, 0x10):
        target.closes(1002, header(0x81 | bit, 100))
    target.closes(1002, header(0xA1, 100), deflate=True)
    return '1002'


@attack(28, 'a control frame that is fragmented, or longer than 125 bytes')
def control_frames(target: Target) -> str:
    for opcode in (OPCODE_CLOSE, OPCODE_PING, OPCODE_PONG):
        target.closes(1002, header(opcode, 5))
        target.closes(1002, header(0x80 | opcode, 126, b'\0\x7e'))
    return '1002'


@attack(29, 'lengths that are not in their shortest form')
def long_lengths(target: Target) -> str:
    target.closes(1002, header(BINARY, 126, struct.pack('!H', 125)))
    target.closes(1002, header(BINARY, 127, struct.pack('!Q', 65535)))
    return '1002'


@attack(30, 'lengths beyond any bound, also of fragments together')
def huge_lengths(target: Target) -> str:
    target.closes(1002, header(BINARY, 127, struct.pack('!Q', 1 << 63)))
    target.closes(1009, header(BINARY, 127, struct.pack('!Q', TOO_BIG)))
    many = [masked(OPCODE_BINARY, bytes(8 * MIB)), masked(OPCODE_CONTINUATION, bytes(7 * MIB))]
    target.closes(1009, *many, header(OPCODE_CONTINUATION, 127, struct.pack('!Q', MIB + 1)))
    return '1002, 1009'


@attack(31, 'a length that is announced and never comes', fresh=True)
def announced(target: Target) -> str:
    with contextlib.ExitStack() as stack, target.memory(8 * MIB) as figure:
        for _ in range(50):
            client = stack.enter_context(target.client())
            client.sock.sendall(header(BINARY, 127, struct.pack('!Q', 16 * MIB)) + b'x')
        target.still_serves()
        target.settled()
    return figure[0]


@attack(32, '400,000 fragments, of one byte and of none', fresh=True)
def many_fragments(target: Target) -> str:
    figures = []
    for payload in (b'x', b''):
        with target.memory(8 * MIB) as figure:
            more = masked(OPCODE_CONTINUATION, payload) * 400_000
            target.closes(1009, masked(OPCODE_BINARY, payload), more)
        figures += figure
    return f'1009, {max(figures)}'


@attack(33, 'a message that comes byte by byte', fresh=True)
def dribble(target: Target) -> str:
    def send(client: RawClient, size: int) -> float:
        begin = time.monotonic()
        client.sock.sendall(header(BINARY, 127, struct.pack('!Q', size)))
        for _ in range(size):
            client.sock.send(b'7')
        assert client.receive()[0] == BINARY
        return time.monotonic() - begin

    size = 225_000 if target.heavy else 70_000
    with target.client() as client, target.memory(8 * MIB) as figure:
        times = [send(client, size), send(client, 4 * size)] if target.heavy else [send(client, size)]
    if target.heavy:
        assert times[1] < 8 * times[0] + 1, times
    return f'{times[-1]:.1f} s, {figure[0]}'


@attack(34, 'a continuation without a start, a data frame inside a fragmented message')
def interleaved(target: Target) -> str:
    target.closes(1002, masked(0x80, b'x'))
    target.closes(1002, masked(0x00, b'x'))
    for begin in (b'x', b''):
        target.closes(1002, masked(OPCODE_TEXT, begin), masked(TEXT, b'y'))
        target.closes(1002, masked(OPCODE_BINARY, begin), header(OPCODE_BINARY, 100))
    return '1002'


@attack(35, 'control frames between fragments, of a compressed message too')
def control_between(target: Target) -> str:
    text = b'some words' * 20
    for deflate, wire in ((False, text), (True, deflated(text))):
        first = OPCODE_TEXT | (0x40 if deflate else 0)
        with target.client(deflate) as client:
            for data in (masked(first, wire[:3]), masked(0x89, b'ping'), masked(0x8A, b'pong'), masked(0x80, wire[3:])):
                client.sock.sendall(data)
            assert client.receive() == (PONG, b'ping')
            found, payload = client.receive()
            assert found == (0xC1 if deflate else TEXT), found
            if deflate:
                payload = zlib.decompressobj(-15).decompress(payload + b'\0\0\xff\xff')
            assert payload == text, payload
    return 'echoed'


@attack(36, 'text that is not UTF-8, as soon as that is certain')
def utf8(target: Target) -> str:
    target.closes(1007, masked(TEXT, b'\xff'))
    target.closes(1007, masked(OPCODE_TEXT, b'ok \xff'))
    target.closes(1007, masked(OPCODE_TEXT, b'\xce'), masked(0x80, b'\xff'))
    target.closes(1007, masked(OPCODE_TEXT, b'\xce'), masked(0x80, b''))
    target.closes(1007, masked(TEXT, b'\xed\xa0\x80'))
    long = bytearray(header(TEXT, 127, struct.pack('!Q', MIB)))
    target.closes(1007, bytes(long) + bytes(byte ^ mask_key[at % 4] for at, byte in enumerate(b'ab\xff')))
    target.closes(1007, close_frame(1000, b'\xff', masked=True))
    with target.client() as client:
        for cut in ('€'.encode()[:1], '€'.encode()[:2]):
            client.sock.sendall(masked(OPCODE_TEXT, cut) + masked(0x80, '€'.encode()[len(cut) :]))
            assert client.receive() == (TEXT, '€'.encode())
    return '1007'


@attack(37, 'Close frames of every wrong kind')
def closes(target: Target) -> str:
    target.closes(1002, frame(OPCODE_CLOSE, b'x', masked=True))
    for code in (0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65535):
        target.closes(1002, close_frame(code, masked=True))
    for behind in (masked(TEXT, b'too late'), close_frame(1001, masked=True)):
        target.closes(1000, close_frame(1000, masked=True) + behind)
    with target.client() as client:
        client.sock.sendall(masked(TEXT, b'!close 4000 bye') + close_frame(4001, masked=True))  # at the same moment
        assert client.receive() == (CLOSE, b'\x0f\xa0bye')
        assert client.at_end()
    return '1002'


@attack(38, 'bombs, and compressed data of every wrong kind', fresh=True)
def bombs(target: Target) -> str:
    figures = []
    for size in (MIB // 2, 64 * MIB, *((512 * MIB,) if target.heavy else ())):
        compressor = zlib.compressobj(9, zlib.DEFLATED, -12)
        bomb = b''.join(compressor.compress(bytes(MIB)) for _ in range(size // MIB or 1)) + compressor.flush(
            zlib.Z_SYNC_FLUSH
        )
        with target.memory(16 * MIB + 8 * MIB) as figure:  # the limit on a message, and a few MiB
            if size <= 16 * MIB:
                with target.client(deflate=True) as client:
                    client.sock.sendall(masked(0xC2, bomb[:-4]))
                    assert client.receive()[0] == 0xC2
            else:
                target.closes(1009, masked(0xC2, bomb[:-4]), deflate=True)
                cut = [bomb[at : at + 1000] for at in range(0, len(bomb) - 4, 1000)]
                target.closes(1009, masked(0x42, cut[0]), *(masked(0x00, piece) for piece in cut[1:]), deflate=True)
        figures.append(figure[0])
    target.closes(1007, masked(0xC1, b'\xff\xff\xff'), deflate=True)
    final = zlib.compressobj(9, zlib.DEFLATED, -12)
    member = final.compress(b'hello') + final.flush(zlib.Z_FINISH)
    with target.client(deflate=True) as client:
        inflater = zlib.decompressobj(-15)
        for data, text in (
            (member + b'\0', b'hello'),
            (member + member, b'hellohello'),
            (b'\0', b''),
            (member, b'hello'),
        ):
            client.sock.sendall(masked(0xC1, data))
            first, payload = client.receive()
            assert first == 0xC1, (data, first, payload)
            assert inflater.decompress(payload + b'\0\0\xff\xff') == text, data
        client.sock.sendall(masked(0xC1, deflated(b'cut off')[:4]))  # any answer will do, or none
    empty = zlib.compressobj(9, zlib.DEFLATED, -12).flush(zlib.Z_FINISH)
    target.closes(1009, masked(0xC2, empty * 2000), deflate=True)
    return f'1009, {figures[-1]}'


@attack(39, 'the bit of compression on a continuation or a control frame')
def misplaced_bit(target: Target) -> str:
    for first in (0xC8, 0xC9, 0xCA):
        target.closes(1002, header(first, 2), deflate=True)
    target.closes(1002, masked(0x41, deflated(b'x')), header(0xC0, 2), deflate=True)
    target.closes(1002, masked(0x01, b'x'), header(0x40, 2), deflate=True)
    return '1002'


@attack(43, 'a connection that is cut in the middle of a frame')
def cut(target: Target) -> str:
    def attack() -> None:
        for data in (header(BINARY, 100), b'\x81', masked(OPCODE_TEXT, b'begun'), b''):
            with target.client() as client:
                client.sock.sendall(data)
                client.half_close()
                client.receive_all()
            client = target.client()
            client.sock.sendall(data)
            client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
            client.sock.close()

    return target.stays_flat(attack)
