"""The works: what the servers and clients under test are given to do.

A work is a row of this table and nothing more. Its kind says which feature a contestant needs for it and, in
:mod:`measuring`, which load is run and what of it counts. Nothing here runs anything.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

__all__ = ['KINDS', 'WORKS', 'Work', 'quickened']

MIB = 1 << 20

#: What a work may be about, and what is counted in it.
KINDS = {
    'echo': 'echoes',
    'tls': 'echoes',
    'deflate': 'echoes',
    'growth': 'echoes',
    'handshakes': 'handshakes',
    'broadcast': 'deliveries',
    'memory': 'idle connections',
    'receive': 'messages',
}


@dataclass(frozen=True)
class Work:
    """One work.

    :ivar connections: how many of them are busy; with handshakes, how many are under way at a time.
    :ivar in_flight: messages on each connection that wait for their echo.
    :ivar size: bytes of each message.
    :ivar idle: connections more that are silent.
    :ivar stalled: there is one more client, and it does not read.
    """

    name: str
    kind: str
    connections: int = 1
    in_flight: int = 1
    size: int = 16
    idle: int = 0
    stalled: bool = False

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f'{self.kind!r} is no kind of work (expected one of {", ".join(KINDS)})')

    @property
    def title(self) -> str:
        """The work in words."""
        size = f'{self.size} B' if self.size < 1024 else f'{self.size // 1024} KiB'
        if self.size >= MIB:
            size = f'{self.size // MIB} MiB'
        if self.kind == 'handshakes':
            return f'handshakes, {self.connections} at a time'
        if self.kind == 'memory':
            return f'memory of {self.connections:,} idle connections'
        if self.kind == 'receive':
            return f'client receives {size}'
        if self.kind == 'broadcast':
            return f'broadcast of {size} to {self.connections:,}' + (
                ', and one that is stalled' if self.stalled else ''
            )
        shape = f'echo {self.connections} x {self.in_flight} x {size}'
        extras = {'tls': ' over TLS', 'deflate': ' of JSON, deflated'}
        return shape + extras.get(self.kind, '') + (f', and {self.idle:,} idle ones' if self.idle else '')


WORKS = {
    work.name: work
    for work in (
        Work('pipelined', 'echo', 1, 64, 16),
        Work('small', 'echo', 100, 1, 16),
        Work('1k', 'echo', 100, 1, 1024),
        Work('64k', 'echo', 10, 1, 64 * 1024),
        Work('1m', 'echo', 4, 1, MIB),
        Work('tls-256', 'tls', 100, 1, 256),
        Work('tls-64k', 'tls', 10, 1, 64 * 1024),
        Work('deflate', 'deflate', 100, 1, 1024),
        Work('handshakes', 'handshakes', 4),
        Work('memory', 'memory', 1000),
        Work('broadcast', 'broadcast', 1000, 1, 1024),
        Work('broadcast-stalled', 'broadcast', 1000, 1, 1024, stalled=True),
        Work('growth-10', 'growth', 10),
        Work('growth-5000', 'growth', 10, idle=4990),
        Work('receive-16', 'receive', size=16),
        Work('receive-1k', 'receive', size=1024),
        Work('receive-64k', 'receive', size=64 * 1024),
        Work('receive-1m', 'receive', size=MIB),
    )
}


def quickened(work: Work) -> Work:
    """The same work with a tenth of the connections, where they are many."""
    connections = work.connections // 10 if work.connections >= 1000 else work.connections
    return dataclasses.replace(work, connections=connections, idle=work.idle // 10)
