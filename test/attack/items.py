"""What attacks have in common.

An attack is a function of a :class:`Target`, marked with :func:`attack`. What it returns is its figure; it fails by an
AssertionError, and raises :class:`NotOwned` where the step belongs to the HTTP server below and not to ws4py.

Most attacks by frames are the same on either side: a target says how its attacker's frames look, and gives connections
on which the opening handshake is done. :mod:`attack.server_side` and :mod:`attack.client_side` hold the two kinds of
targets, with what belongs to one of them alone.
"""

from __future__ import annotations

import contextlib
import struct
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, Optional

from backends.raw import RawPeer
from backends.running import Figures, Process
from helpers import TIMEOUT, close_frame, frame, mask_key, wait_for

from ws4py.framing import OPCODE_CLOSE, OPCODE_TEXT
from ws4py.masking import mask

MIB = 1024 * 1024
HOST = '127.0.0.1'
#: What every bound on memory allows besides: nothing where memory is free once nothing refers to it. PyPy collects it
#: when it sees fit, and compiles meanwhile; there only what grows without end is noticed.
UNCOLLECTED = 0 if sys.implementation.name == 'cpython' else 512 * MIB
DESCRIPTORS, THREADS, MEMORY = 3, 0, 8 * MIB + UNCOLLECTED  # what "flat" allows
CALM = 0.5  # seconds in which nothing changes in a process that has done what it had to do
SETTLE_TIMEOUT = 30.0  # seconds
#: Else glibc keeps, in each thread's arena, what large messages have left, and the figures would be those of malloc.
ENVIRONMENT = {'MALLOC_MMAP_THRESHOLD_': str(256 * 1024)}
SERVERS, CLIENTS, MASKS = 'servers', 'clients', 'masks'  # what is attacked
BOTH = (SERVERS, CLIENTS)


class NotOwned(Exception):
    """The step is not ws4py's on this server; says whose it is."""


class Attack(NamedTuple):
    """One attack.

    :ivar on: the kinds of targets that it is made on.
    :ivar tls: the server speaks TLS.
    :ivar fresh: it is a new process, in which nothing lies ready that others have freed.
    """

    number: int
    title: str
    run: Callable[[Any], str]
    on: tuple[str, ...]
    tls: bool
    fresh: bool

    @property
    def name(self) -> str:
        return f'{self.number:02d}_{self.run.__name__}'


ATTACKS: list[Attack] = []


def attack(
    number: int, title: str, *, on: Sequence[str] = (SERVERS,), tls: bool = False, fresh: bool = False
) -> Callable[[Callable[[Any], str]], Callable[[Any], str]]:
    """Mark an attack, by its number and in the words of the documentation."""

    def mark(run: Callable[[Any], str]) -> Callable[[Any], str]:
        ATTACKS.append(Attack(number, title, run, tuple(on), tls, fresh))
        return run

    return mark


class Target:
    """What is under attack, in a process of its own; a context manager. It is an echo, whichever its side.

    :param name: of the server or client, as in `backends`; it agrees to permessage-deflate.
    :param heavy: attacks take their full size.
    :cvar masked: its attacker is a client, whose frames are masked.
    :ivar process: the program.
    """

    masked: bool
    process: Process

    def __init__(self, name: str, heavy: bool = False) -> None:
        self.name = name
        self.heavy = heavy

    def __enter__(self) -> Target:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.stop()

    def stop(self) -> str:
        """End it; what was wrong with it at the end."""
        status = self.process.stop()
        return f'ended with {status}: {self.process.output[-2000:]}' if status or self.process.output else ''

    # Talking to it

    def frame(self, first: int, payload: bytes = b'') -> bytes:
        """A frame with any first byte."""
        return bytes((first,)) + frame(first & 0x0F, payload, masked=self.masked)[1:]

    def header(self, first: int, length7: int, length: int = 0) -> bytes:
        """The header of a frame, right or wrong; *length* in the bytes that 126 and 127 announce."""
        extended = {126: '!H', 127: '!Q'}.get(length7)
        more = struct.pack(extended, length) if extended else b''
        return bytes((first, self.masked << 7 | length7)) + more + (mask_key if self.masked else b'')

    def covered(self, payload: bytes) -> bytes:
        """What goes behind such a header."""
        return mask(payload, mask_key) if self.masked else payload

    def close_frame(self, code: Optional[int] = 1000, reason: bytes = b'') -> bytes:
        return close_frame(code, reason, self.masked)

    def peer(self, deflate: bool = False, *, behind: bytes = b'', name: str = '', raises: str = '') -> RawPeer:
        """The attacker's end of a connection on which the opening handshake is done.

        :param deflate: permessage-deflate was agreed on.
        :param behind: sent in the segment of the handshake.
        :param name: of the connection in its journal.
        :param raises: the callback that raises.
        """
        raise NotImplementedError

    def finished(self, peer: RawPeer, code: int) -> None:
        """The closing handshake is done, with this code: see that the connection ends as it should."""
        raise NotImplementedError

    def closes(self, code: int, *data: bytes, deflate: bool = False) -> str:
        """Who sends *data* gets a Close frame with *code*, and the end."""
        with self.peer(deflate) as peer:
            with contextlib.suppress(ConnectionError):
                for piece in data:
                    peer.sock.sendall(piece)
            first, payload = peer.receive()
            assert first == 0x80 | OPCODE_CLOSE, (first, payload[:50])
            found = int.from_bytes(payload[:2], 'big')
            assert found == code, f'{found} {payload[2:]!r} (expected {code})'
            with contextlib.suppress(ConnectionError):
                peer.sock.sendall(self.close_frame(code))
            self.finished(peer, code)
        return str(code)

    def echoes(self, peer: RawPeer, text: bytes = b'hello') -> float:
        """The peer gets its echo; the seconds that it took."""
        begin = time.monotonic()
        peer.sock.sendall(self.frame(0x80 | OPCODE_TEXT, text))
        found = peer.receive()
        assert found == (0x80 | OPCODE_TEXT, text), found
        return time.monotonic() - begin

    def asked(self, question: str) -> bytes:
        """What it answers to a command, on a connection of its own."""
        with self.peer() as peer:
            peer.text(question)
            return peer.receive()[1]

    def still_serves(self) -> None:
        """A fresh peer gets its echo and its Close."""

        def serve() -> bool:
            try:
                with self.peer() as peer:
                    self.echoes(peer)
                    peer.close(1000)
                    assert peer.receive() == (0x80 | OPCODE_CLOSE, b'\x03\xe8')
                    self.finished(peer, 1000)
                return True
            except (EOFError, AssertionError, OSError):
                return False

        wait_for(serve)

    # Looking at it

    def settled(self) -> Figures:
        """Its figures, once it has done what it had to do."""
        end = time.monotonic() + SETTLE_TIMEOUT
        before, since = self.process.figures(), time.monotonic()
        while time.monotonic() - since < CALM and time.monotonic() < end:
            time.sleep(0.05)
            now = self.process.figures()
            if now[:2] != before[:2] or abs(now[2] - before[2]) > MIB // 8:
                before, since = now, time.monotonic()
        return before

    def stays_flat(self, work: Callable[[], object]) -> str:
        """What *work* leaves behind the second time is nothing much."""
        work()
        before = self.settled()
        work()
        grown = [now - then for now, then in zip(self.settled(), before)]
        for name, more, most in zip(('descriptors', 'threads', 'memory'), grown, (DESCRIPTORS, THREADS, MEMORY)):
            assert more <= most, f'{more} more {name}'
        return f'{grown[2] / MIB:+.1f} MiB'

    @contextlib.contextmanager
    def memory(self, most: int) -> Iterator[list[str]]:
        """Meanwhile it never has more than so many bytes more; the list is given the figure."""
        figure: list[str] = []
        before = self.settled()[2]
        peak = [before]
        stop = False

        def watch() -> None:
            while not stop:
                peak.append(self.process.figures()[2])
                time.sleep(0.01)

        thread = threading.Thread(target=watch, daemon=True)
        thread.start()
        try:
            yield figure
        finally:
            stop = True
            thread.join(TIMEOUT)
        more = max(peak) - before
        most += UNCOLLECTED
        assert more <= most, f'{more / MIB:.1f} MiB more (at most {most / MIB:.1f})'
        figure.append(f'peak {more / MIB:+.1f} MiB')
