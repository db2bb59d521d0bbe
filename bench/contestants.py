"""The contestants: the servers and clients that are measured, ours and the others'.

A contestant is a row of this table: a script, the environment it runs in (:mod:`environments`), and the kinds of work
that it can do. What one cannot do it is not blamed for, its line is missing there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ['CONTESTANTS', 'Contestant']

PLAIN = frozenset({'echo', 'handshakes', 'memory', 'growth'})
BARE = frozenset({'echo', 'growth'})
CLIENT = frozenset({'receive'})
#: For what only this project's C is missing in.
PURE = {'WS4PY_PURE': '1'}


@dataclass(frozen=True)
class Contestant:
    """Who does the works.

    :ivar script: below ``bench/``; its suffix says what runs it.
    :ivar environment: of :mod:`environments`; None is the one that the benchmark itself runs in.
    :ivar does: the kinds of its works.
    :ivar variables: of its environment, besides those of this process.
    """

    name: str
    title: str
    script: str
    environment: str | None
    does: frozenset[str]
    arguments: tuple[str, ...] = ()
    variables: Mapping[str, str] = field(default_factory=dict)

    @property
    def ours(self) -> bool:
        """Whether it is this project's."""
        return self.environment is None and self.script.rpartition('/')[2].startswith('ws4py_')


_UVLOOP = ('--loop', 'uvloop')
_LOOPED = PLAIN | {'tls', 'deflate', 'broadcast'}

CONTESTANTS = {
    contestant.name: contestant
    for contestant in (
        Contestant('ws4py-wsgiref', 'ws4py, wsgiref', 'servers/ws4py_wsgiref.py', None, _LOOPED),
        Contestant('ws4py-pure', 'ws4py, wsgiref, no C', 'servers/ws4py_wsgiref.py', None, _LOOPED, variables=PURE),
        Contestant('ws4py-asyncio', 'ws4py, asyncio', 'servers/ws4py_asyncio.py', None, _LOOPED),
        Contestant('ws4py-uvloop', 'ws4py, uvloop', 'servers/ws4py_asyncio.py', None, _LOOPED, _UVLOOP),
        Contestant('picows', 'picows, asyncio', 'servers/peer_picows.py', 'peers', _LOOPED - {'deflate'}),
        Contestant(
            'picows-uvloop', 'picows, uvloop', 'servers/peer_picows.py', 'peers', _LOOPED - {'deflate'}, _UVLOOP
        ),
        Contestant('bare-python', 'bare epoll, Python', 'servers/bare.py', None, BARE),
        Contestant('bare-c', 'bare epoll, C', 'servers/bare.c', 'c', BARE),
    )
}
