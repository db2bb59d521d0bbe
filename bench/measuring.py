"""Measuring: rounds in which every contestant does a work once, in alternating order.

What else the machine does then falls on everybody alike, and a round's figures may be compared with each other. The
servers of a work all stand from its first round to its last, but for works on memory: those begin with a new process
each time, because one that has held a thousand connections keeps their memory for the next.
"""

from __future__ import annotations

import functools
import json
import random
import tempfile
import zlib
from collections.abc import Callable, Iterable
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from contestants import Contestant
from environments import Missing
from processes import Client, Failed, Server, idle, load, resident
from works import Work

__all__ = ['Sample', 'measure']


@dataclass(frozen=True)
class Sample:
    """What a contestant did in one round.

    :ivar rate: messages (or handshakes, deliveries) a second.
    :ivar cost: seconds of CPU time that its process used for each.
    :ivar busy: how much of its core its process used, 0 to 1; above with threads that wait for nobody.
    :ivar load_busy: the same of the generator.
    :ivar p50: seconds from a message to its echo, the median.
    :ivar p99: the same for one in a hundred, which take longer.
    :ivar memory: bytes for each connection; 0 where that is not measured.
    """

    rate: float = 0.0
    cost: float = 0.0
    busy: float = 0.0
    load_busy: float = 0.0
    p50: float = 0.0
    p99: float = 0.0
    memory: float = 0.0

    @classmethod
    def of_load(cls, measured: dict[str, float]) -> Sample:
        """From what the load says.

        :raises Failed: nothing was done in that time.
        """
        messages, seconds = measured['messages'], measured['seconds']
        if not messages:
            raise Failed('not a single message was answered in the time that was measured')
        return cls(
            rate=messages / seconds,
            cost=measured['cpu'] / messages,
            busy=measured['cpu'] / seconds,
            load_busy=measured['load_cpu'] / seconds,
            p50=measured['p50'],
            p99=measured['p99'],
        )


class Standing:
    """Loads on servers that stand from the first round to the last; a context manager, which ends them."""

    MODES: ClassVar = {'handshakes': 'handshakes', 'broadcast': 'broadcast'}  # of the load; else echo

    def __init__(self, work: Work, tls: tuple[str, str], seconds: float) -> None:
        self.work = work
        self.tls = tls
        self.seconds = seconds
        self._stack = ExitStack()
        self._servers: list[Server] = []
        self._files: dict[str, Path] = {}
        if work.kind == 'deflate':
            directory = Path(self._stack.enter_context(tempfile.TemporaryDirectory()))
            self._message = json_message(work.size)
            self._files = {'deflated': directory / 'deflated', 'answer': directory / 'answer'}
            self._files['deflated'].write_bytes(deflate(self._message))

    def __enter__(self) -> Standing:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._stack.close()

    def prepare(self, contestant: Contestant) -> Callable[[], Sample]:
        """Start what *contestant* needs; the result does one round.

        :raises Missing: its environment cannot be made here.
        """
        server = self._stack.enter_context(Server(contestant, self.work, self.tls))
        self._servers.append(server)
        return functools.partial(self._round, server)

    def settle(self) -> None:
        """Wait for all servers: none is measured while another one starts."""
        for server in self._servers:
            with suppress(Failed):  # which its first round says again
                _ = server.port

    def _round(self, server: Server) -> Sample:
        work = self.work
        measured = load(
            self.MODES.get(work.kind, 'echo'),
            port=server.port,
            pid=server.pid,
            connections=work.connections,
            in_flight=work.in_flight,
            size=work.size,
            idle=work.idle,
            stalled=work.stalled,
            tls=work.kind == 'tls',
            warmup=self.seconds / 4,
            seconds=self.seconds,
            **self._files,
        )
        if work.kind == 'deflate' and inflate(self._files['answer'].read_bytes()) != self._message:
            raise Failed(f'an answer, inflated, is not what was sent; {server.complaint()}')
        return Sample.of_load(measured)


class Memory(Standing):
    """What a server's process grows by with each connection that has had one echo and is silent now.

    Each round has a new process, and begins with a tenth of the connections: what the first ones make the process
    load and reserve is no part of what is measured.
    """

    def prepare(self, contestant: Contestant) -> Callable[[], Sample]:
        """Nothing is started before its round."""
        return functools.partial(self._grow, contestant)

    def _grow(self, contestant: Contestant) -> Sample:
        count = self.work.connections
        with Server(contestant, self.work, self.tls) as server, idle(server.port, max(1, count // 10)):
            before = resident(server.pid)
            with idle(server.port, count):
                return Sample(memory=(resident(server.pid) - before) / count)


class Receiving(Standing):
    """Messages that come as fast as a client takes them. It counts them, and not one may be missing."""

    def prepare(self, contestant: Contestant) -> Callable[[], Sample]:
        """Nothing is started before its round."""
        return functools.partial(self._receive, contestant)

    def _receive(self, contestant: Contestant) -> Sample:
        with Client(contestant) as client, client.accept() as sock:
            measured = load(
                'source',
                fd=sock.fileno(),
                pid=client.pid,
                size=self.work.size,
                warmup=self.seconds / 4,
                seconds=self.seconds,
            )
            sent = int(measured['total'])
            received = client.received()
        if received != (sent, sent * self.work.size):
            raise Failed(f'of {sent} messages the client has counted {received[0]}, with {received[1]} bytes')
        return Sample.of_load(measured)


def json_message(size: int) -> bytes:
    """JSON of that many bytes, such as applications send: the same at every call."""
    numbers = random.Random(7692)
    rows: list[str] = []
    while sum(map(len, rows)) < size:
        price = round(numbers.uniform(1, 999), 2)
        row = {'id': numbers.randrange(10**6), 'symbol': f'WS{len(rows) % 7}', 'price': price, 'open': True}
        rows.append(json.dumps(row))
    return f'[{", ".join(rows)}]'.encode()[:size]


def deflate(message: bytes) -> bytes:
    """As RFC 7692 section 7.2.1 has it."""
    compressor = zlib.compressobj(wbits=-15)
    return (compressor.compress(message) + compressor.flush(zlib.Z_SYNC_FLUSH))[:-4]


def inflate(data: bytes) -> bytes:
    """As RFC 7692 section 7.2.2 has it.

    :raises Failed: it cannot be inflated.
    """
    try:
        return zlib.decompressobj(wbits=-15).decompress(data + b'\x00\x00\xff\xff')
    except zlib.error as error:
        raise Failed(f'an answer cannot be inflated: {error}') from None


#: How the kinds of work are measured that have no servers which stand.
COURSES: dict[str, type[Standing]] = {'memory': Memory, 'receive': Receiving}


def measure(
    work: Work,
    contestants: Iterable[Contestant],
    tls: tuple[str, str],
    *,
    rounds: int,
    seconds: float,
    complain: Callable[[str], None],
) -> dict[str, list[Sample]]:
    """The samples of all *rounds*, by the contestants' names. Who fails is told to *complain*, and left out.

    :param tls: files with a certificate and its key.
    :param seconds: of each measurement, after a warm-up of a quarter of that.
    """
    samples: dict[str, list[Sample]] = {}
    prepared: dict[str, Callable[[], Sample]] = {}
    with COURSES.get(work.kind, Standing)(work, tls, seconds) as course:
        for contestant in contestants:
            try:
                prepared[contestant.name] = course.prepare(contestant)
                samples[contestant.name] = []
            except Missing as error:
                complain(f'{contestant.name}: {error}')
        course.settle()
        for turn in range(rounds):
            for name in list(prepared)[:: -1 if turn % 2 else 1]:
                try:
                    samples[name].append(prepared[name]())
                except Failed as error:
                    complain(f'{name}: {work.name}: {error}')
                    del samples[name], prepared[name]
    return samples
