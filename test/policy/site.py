"""What the servers of the scenario serve: a handler that tells who it is connected to, and everything a policy has."""

from __future__ import annotations

import asyncio
import json
from typing import Any, Optional

from ws4py.auth import basic_auth
from ws4py.exc import HTTPError
from ws4py.http11 import Headers, Request, Response
from ws4py.limits import Limits
from ws4py.websocket import WebSocket

PROXY, CLIENT = '127.0.0.1', '127.0.0.2'  # both are here; the first one is trusted
UNWANTED = '192.0.2.66'
MESSAGE_SIZE = 1000
IN_TOTAL, PER_PEER = 4, 2
COOKIES = [('Set-Cookie', 'a=1'), ('Set-Cookie', 'b=2')]

_private = basic_auth({'ann': 'pass:wörd'})


class Teller(WebSocket):
    """Answers any message with what it knows."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        assert self.environ is not None
        if self.environ['PATH_INFO'] == '/handler/refuses':
            raise HTTPError(403, 'no room')
        self.first_seen = self.peer_address

    def received_message(self, message: Any) -> None:
        environ: Any = self.environ
        names = ('REMOTE_ADDR', 'wsgi.url_scheme', 'REMOTE_USER', 'asked')
        known = {name: environ[name] for name in names if name in environ}
        addresses = [self.first_seen, self.peer_address]
        self.send(json.dumps({**known, 'addresses': addresses, 'protocols': self.protocols}))


def _not_from_there(request: Request) -> None:
    if isinstance(request.peer_address, tuple) and request.peer_address[0] == UNWANTED:
        raise HTTPError(403, 'not from there')


def _answer(request: Request) -> Any:
    request.environ['asked'] = request.target
    if request.target == '/page':
        return Response(200, headers=Headers([*COOKIES, ('Content-Type', 'text/html')]), body=b'<p>a page')
    if request.target == '/empty':
        return Response(204, headers=Headers(COOKIES))
    if request.target == '/elsewhere':
        return Response(303, 'Look There', headers=Headers([('Location', '/page')]))
    if request.target == '/teapot':
        raise HTTPError(418, 'short and stout')
    if request.target == '/broken':
        raise LookupError('a secret detail')
    if request.target == '/nonsense':
        return 'a secret detail'
    if request.target.startswith('/private'):
        return _private(request)
    if request.target.startswith('/later'):
        return _later(request)
    return None


async def _later(request: Request) -> Optional[Response]:
    await asyncio.sleep(0)
    return Response(403, body=b'later') if request.target == '/later/no' else None


def _select(request: Request, offered: list[str]) -> Optional[str]:
    if 'forbidden' in offered:
        raise HTTPError(400, 'not that one')
    if 'unknown' in offered:
        return 'a secret detail'
    return offered[-1] if offered else None


TERMS = {
    'origins': ['https://good.test'],
    'select_subprotocol': _select,
    'process_request': [_not_from_there, _answer],
    'trusted_proxies': [PROXY],
    'limits': Limits(message_size=MESSAGE_SIZE, connections=IN_TOTAL, connections_per_peer=PER_PEER),
}
