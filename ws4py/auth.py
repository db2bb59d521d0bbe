"""Basic authentication of the opening handshake (RFC 7617), a ``process_request`` for :class:`ws4py.policy.Policy`.

::

    WebSocketWSGIApplication(handler_cls=Chat, process_request=basic_auth({'ann': password}))

Whoever does not say who he is, or not truly, is answered with 401. The name of the others is in the environ of their
handler, as ``REMOTE_USER``. Names and passwords go over the wire in clear: this is for TLS. Programs can send them;
browsers ask for them on a page, and most send them along when that page opens a websocket.

How long an answer takes tells nothing: passwords are compared by their digests in constant time, and a name that is
not known costs the same as a wrong password and has the same answer.
"""

from __future__ import annotations

import hmac
import inspect
import logging
import os
import re
from base64 import b64decode
from collections.abc import Awaitable, Mapping
from hashlib import sha256
from typing import Callable, Optional, Union

from ws4py.http11 import Headers, Request, Response
from ws4py.policy import ProcessRequest

__all__ = ['Check', 'basic_auth']

logger = logging.getLogger('ws4py')

#: Called with name and password: may this one come in? On asyncio and Tornado it may be an ``async def``.
Check = Callable[[str, str], Union[bool, Awaitable[bool]]]

MAX_SIZE = 4096  # characters of the header; whoever has more to say about himself is not let in
_BASIC = re.compile(r'basic +([A-Za-z0-9+/]+={0,2})', re.IGNORECASE)
_CONTROL = re.compile(r'[\x00-\x1f\x7f-\x9f]')


def basic_auth(users: Union[Mapping[str, str], Check], realm: str = 'websocket') -> ProcessRequest:
    """A ``process_request`` that lets in only who has a name and its password.

    Where there is more to ask, give the server several: ``process_request=[from_here_only, basic_auth(users)]``.

    :param users: the password of each name, looked up with each request, so that they may change. Or a function that is
        called with name and password, for passwords that are kept as hashes, or elsewhere. It has to compare in
        constant time (:func:`hmac.compare_digest`), and should take as long for a name that it does not know.
    :param realm: what the user is told that the password is for.
    :raises ValueError: *realm* has a character that cannot be in a header.
    """
    quoted = realm.replace('\\', '\\\\').replace('"', '\\"')
    challenge = Headers(
        [
            ('WWW-Authenticate', f'Basic realm="{quoted}", charset="UTF-8"'),
            ('Content-Type', 'text/plain; charset=utf-8'),
        ]
    )
    check = _comparing(users) if isinstance(users, Mapping) else users

    def answer(request: Request, name: str, is_right: bool) -> Optional[Response]:
        if not is_right:
            logger.info('%s has not said who it is', request.peer_address)
            return Response(401, headers=challenge, body=b'a name and its password are needed\n')
        request.environ['REMOTE_USER'] = name
        request.environ['AUTH_TYPE'] = 'Basic'
        return None

    async def answer_later(request: Request, name: str, is_right: Awaitable[bool]) -> Optional[Response]:
        return answer(request, name, await is_right)

    def process_request(request: Request) -> Union[Response, Awaitable[Optional[Response]], None]:
        found = _credentials(request)
        if found is None:
            return answer(request, '', False)
        name, password = found
        is_right = check(name, password)
        if inspect.isawaitable(is_right):
            return answer_later(request, name, is_right)
        return answer(request, name, is_right)

    return process_request


def _comparing(users: Mapping[str, str]) -> Callable[[str, str], bool]:
    nobody = os.urandom(16).hex()  # is not guessed; it costs what another password costs

    def check(name: str, password: str) -> bool:
        expected = users.get(name, nobody)
        # Of equal length, as the time of a comparison depends on that.
        return hmac.compare_digest(sha256(password.encode()).digest(), sha256(expected.encode()).digest())

    return check


def _credentials(request: Request) -> Optional[tuple[str, str]]:
    """Name and password; None if there are none, or they are malformed (RFC 7617 section 2)."""
    values = request.headers.get_all('Authorization')
    if len(values) != 1 or len(values[0]) > MAX_SIZE:
        return None
    match = _BASIC.fullmatch(values[0])
    if match is None:
        return None
    try:
        text = b64decode(match[1], validate=True).decode()
    except ValueError:  # of base64, or of UTF-8
        return None
    name, colon, password = text.partition(':')
    return (name, password) if colon and not _CONTROL.search(text) else None
