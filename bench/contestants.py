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
_ALL = PLAIN | {'tls', 'deflate', 'broadcast'}
_WSGIREF = 'servers/ws4py_wsgiref.py'

CONTESTANTS = {
    contestant.name: contestant
    for contestant in (
        Contestant('ws4py-wsgiref', 'ws4py, wsgiref', _WSGIREF, None, _ALL),
        Contestant('ws4py-pure', 'ws4py, wsgiref, no C', _WSGIREF, None, _ALL, variables=PURE),
        Contestant('ws4py-cherrypy', 'ws4py, CherryPy', 'servers/ws4py_cherrypy.py', None, _ALL - {'tls'}),
        Contestant('ws4py-asyncio', 'ws4py, asyncio', 'servers/ws4py_asyncio.py', None, _ALL),
        Contestant('ws4py-uvloop', 'ws4py, uvloop', 'servers/ws4py_asyncio.py', None, _ALL, _UVLOOP),
        Contestant('ws4py-gevent', 'ws4py, gevent', 'servers/ws4py_gevent.py', None, _ALL - {'tls'}),
        Contestant('picows', 'picows, asyncio', 'servers/peer_picows.py', 'peers', _ALL - {'deflate'}),
        Contestant('picows-uvloop', 'picows, uvloop', 'servers/peer_picows.py', 'peers', _ALL - {'deflate'}, _UVLOOP),
        Contestant('aiohttp', 'aiohttp, asyncio', 'servers/peer_aiohttp.py', 'peers', _ALL),
        Contestant('aiohttp-uvloop', 'aiohttp, uvloop', 'servers/peer_aiohttp.py', 'peers', _ALL, _UVLOOP),
        Contestant('websockets', 'websockets, asyncio', 'servers/peer_websockets.py', 'peers', _ALL),
        Contestant('websockets-uvloop', 'websockets, uvloop', 'servers/peer_websockets.py', 'peers', _ALL, _UVLOOP),
        # Tornado does not grant server_no_context_takeover, which is part of the work.
        Contestant('tornado', 'Tornado', 'servers/peer_tornado.py', 'peers', _ALL - {'deflate'}),
        Contestant('gevent-websocket', 'gevent-websocket', 'servers/peer_gevent_websocket.py', 'peers', PLAIN),
        Contestant('ws4py-0.6', 'ws4py 0.6, wsgiref', _WSGIREF, 'ws4py-0.6', PLAIN),
        Contestant('ws4py-0.6-wsaccel', 'ws4py 0.6, wsaccel', _WSGIREF, 'ws4py-0.6', PLAIN, ('--wsaccel',)),
        Contestant('ws', 'ws, Node.js', 'servers/peer_ws.js', 'node', _ALL),
        Contestant('bare-python', 'bare epoll, Python', 'servers/bare.py', None, BARE),
        Contestant('bare-c', 'bare epoll, C', 'servers/bare.c', 'c', BARE),
        Contestant('ws4py-client', 'ws4py, threaded', 'clients/ws4py_threaded.py', None, CLIENT),
        Contestant('websocket-client', 'websocket-client', 'clients/peer_websocket_client.py', 'peers', CLIENT),
        Contestant('websockets-sync', 'websockets.sync', 'clients/peer_websockets_sync.py', 'peers', CLIENT),
    )
}
