"""The opening handshake, both halves of it, as pure functions from a head to a decision (RFC 6455 section 4).

A server adapter makes a :class:`~ws4py.http11.Request`, from the bytes of its socket or from a WSGI environ, asks
:func:`respond` and sends what it is given: :class:`Accepted` or :class:`Refused`. A client adapter sends a request
with :func:`generate_key` and hands the answer to :func:`check_response`. No rule of the handshake stands anywhere
else. Nothing is read or written here, no handler is made; any thread may call.

A peer's mistake never becomes a traceback or a 500: on the server it is a refusal with the status that fits and a
sentence that says what was found, on the client a :exc:`~ws4py.exc.HandshakeError`.
"""

from __future__ import annotations

import logging
import os
import re
from base64 import b64encode
from collections.abc import Collection, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha1
from typing import Any, Callable, Optional, Union
from urllib.parse import quote, unquote_to_bytes

from ws4py import WS_KEY, WS_VERSION
from ws4py.exc import HandshakeError, HTTPError
from ws4py.extensions import Codec, Configured, accept, agree
from ws4py.http11 import (
    STANDARD_PHRASES,
    Address,
    Headers,
    Request,
    Response,
    build_extensions,
    head_reader,
    parse_extensions,
    parse_token_list,
    parse_version,
    show,
    split_list,
)
from ws4py.limits import DEFAULT_LIMITS, Limits

__all__ = [
    'Accepted',
    'Refused',
    'SelectSubprotocol',
    'accept_key',
    'check_response',
    'environ_of',
    'generate_key',
    'refuse',
    'request_from_environ',
    'respond',
    'response_reader',
    'split_target',
]

logger = logging.getLogger('ws4py')

#: Selects one of the subprotocols that the request offers, or None.
SelectSubprotocol = Callable[[Request, list[str]], Optional[str]]

_VERSION = '13'
_KEY = re.compile(r'[A-Za-z0-9+/]{22}==')  # 16 bytes in base64
# RFC 3986 section 3.2 without the comma, which is what several Host lines become in a WSGI environ
_HOST = re.compile(r"[A-Za-z0-9\-._~!$&'()*+;=%:\[\]]+")
_ORIGIN = re.compile(r'\A[A-Za-z][A-Za-z0-9+\-.]*://[^/?]*')  # what a URL has before its path

# Headers that the answers of these statuses need to be useful.
_EXPLAINED: dict[int, tuple[tuple[str, str], ...]] = {
    405: (('Allow', 'GET'),),
    426: (('Upgrade', 'websocket'), ('Sec-WebSocket-Version', _VERSION)),
}


def accept_key(key: Union[bytes, str]) -> str:
    """The ``Sec-WebSocket-Accept`` that goes with *key*, the ``Sec-WebSocket-Key`` as it was sent (section 4.2.2)."""
    raw = key.encode('ascii') if isinstance(key, str) else key
    return b64encode(sha1(raw + WS_KEY, usedforsecurity=False).digest()).decode('ascii')


def generate_key() -> bytes:
    """A fresh ``Sec-WebSocket-Key``: 16 bytes from the operating system's random source, in base64."""
    return b64encode(os.urandom(16))


@dataclass(frozen=True)
class Accepted:
    """The upgrade is accepted.

    :ivar headers: what the 101 response needs, in order.
    :ivar protocols: the subprotocol selected, as a list of one or none.
    :ivar extensions: the names of the extensions accepted.
    :ivar codecs: what they do to the messages of the connection, for
        :meth:`ws4py.websocket.WebSocket.use_extensions`.
    """

    headers: list[tuple[str, str]]
    protocols: list[str]
    extensions: list[str]
    codecs: tuple[Codec, ...] = ()
    status: int = field(default=101, init=False)

    @property
    def status_line(self) -> str:
        """``'101 Switching Protocols'``, as WSGI's ``start_response`` takes it."""
        return _status_line(self.status)

    def build(self) -> bytes:
        """The response as it is sent; frames follow."""
        return Response(self.status, headers=Headers(self.headers)).build()


@dataclass(frozen=True)
class Refused:
    """There is no upgrade, but this answer; whatever follows the request on this connection must not be served.

    :ivar status: 400, 403, 405, 414, 426, 431, 505, or one of the server's or the application's own.
    :ivar headers: of the response, in order; they describe :attr:`body`.
    :ivar reason: what was found and what was expected.
    :ivar body: of the response; :func:`refuse` makes it of the reason, as a line of UTF-8.
    :ivar phrase: the reason phrase of the status line; where it is empty, that of the standard.
    """

    status: int
    headers: list[tuple[str, str]]
    reason: str
    body: bytes
    phrase: str = ''

    @property
    def status_line(self) -> str:
        """Such as ``'400 Bad Request'``, as WSGI's ``start_response`` takes it."""
        return f'{self.status} {self.phrase}' if self.phrase else _status_line(self.status)

    def build(self, method: str = 'GET') -> bytes:
        """The whole response as it is sent, body included, unless the request's *method* was HEAD."""
        return Response(self.status, self.phrase, headers=Headers(self.headers), body=self.body).build(method)


def refuse(status: int, reason: str) -> Refused:
    """The refusal for an :exc:`~ws4py.exc.HTTPError`'s status and message, or for one of the server's own."""
    body = f'{reason}\n'.encode()
    headers = [
        *_EXPLAINED.get(status, ()),
        # Who sends Upgrade has to name it among the options of this hop (RFC 9110 section 7.8).
        ('Connection', 'close, Upgrade' if status == 426 else 'close'),
        ('Content-Type', 'text/plain; charset=utf-8'),
        ('Content-Length', str(len(body))),
    ]
    return Refused(status, headers, reason, body)


def respond(
    request: Request,
    protocols: Optional[Collection[str]] = None,
    extensions: Optional[Collection[Configured]] = None,
    version: Collection[int] = WS_VERSION,
    *,
    origins: Optional[Collection[str]] = None,
    select_subprotocol: Optional[SelectSubprotocol] = None,
) -> Union[Accepted, Refused]:
    """Decide on the upgrade that *request* asks for (section 4.2).

    :param protocols: the subprotocols that the server speaks; the first of the client's list that is among them is
        selected. Where both sides name some and have none in common, the upgrade is refused.
    :param extensions: those to accept where the client offers them, see :mod:`ws4py.extensions`.
    :param version: the versions to accept, as 0.x had them; only 13 is spoken, whatever else is named.
    :param origins: the web origins (``https://example.com``) whose pages may connect, others get 403. None lets the
        pages of every site in the world connect with the user's cookies. A request without ``Origin`` does
        not come from a page and is let through.
    :param select_subprotocol: selects in place of the rule for *protocols*: called with the request and the list that
        the client offers, which may be empty, it returns one of them or None. What it raises goes to the caller, but
        an :exc:`~ws4py.exc.HTTPError` is the refusal.
    :raises ValueError: it selected what was not offered.
    """
    try:
        key = _check_request(request, version, origins)
        selected = _select_protocols(request, protocols or (), select_subprotocol)
        accepted, codecs = accept(
            parse_extensions(request.headers.get_all('Sec-WebSocket-Extensions')), extensions or ()
        )
    except HTTPError as error:
        return refuse(error.status, error.msg)
    except HandshakeError as error:
        return refuse(400, error.msg)
    headers = [('Upgrade', 'websocket'), ('Connection', 'Upgrade'), ('Sec-WebSocket-Accept', accept_key(key))]
    if selected:
        headers.append(('Sec-WebSocket-Protocol', selected[0]))
    if accepted:
        headers.append(('Sec-WebSocket-Extensions', build_extensions(accepted)))
    return Accepted(headers, selected, [name for name, _ in accepted], codecs)


def request_from_environ(environ: Mapping[str, Any]) -> Request:
    """The request behind a WSGI environ (PEP 3333).

    The server has joined headers that came twice by a comma, so that two keys are one wrong key. A client without an
    address is taken to have come over a Unix socket.

    :raises HTTPError: 400 a header or the version is malformed, 505 not HTTP/1.x.
    """
    fields = [(key[5:], environ[key]) for key in environ if key[:5] == 'HTTP_']
    if environ.get('CONTENT_LENGTH'):
        fields.append(('CONTENT_LENGTH', environ['CONTENT_LENGTH']))
    headers = Headers()
    try:
        for key, value in fields:
            headers.add(key.replace('_', '-').title(), value)
    except ValueError as error:
        raise HTTPError(400, str(error)) from None
    path = environ.get('SCRIPT_NAME', '') + environ.get('PATH_INFO', '')
    target = quote(path, safe="/!$&'()*+,;=:@~", encoding='latin-1', errors='replace') or '/'
    if environ.get('QUERY_STRING'):
        target += f'?{environ["QUERY_STRING"]}'
    version = parse_version(environ.get('SERVER_PROTOCOL', 'HTTP/1.1'))
    host, port = environ.get('REMOTE_ADDR', ''), str(environ.get('REMOTE_PORT', ''))
    address: Address = (host, int(port) if port.isdecimal() else 0) if host else ''
    secure = environ.get('wsgi.url_scheme') == 'https'
    return Request(environ.get('REQUEST_METHOD', ''), target, version, headers, address, secure)


def environ_of(request: Request, *, secure: bool = False, server: Any = None, client: Any = None) -> dict[str, Any]:
    """What a WSGI server would put into the environ of *request* (PEP 3333), for servers that are none.

    The inverse of :func:`request_from_environ`. There is no ``wsgi.input`` and none of its like.

    :param secure: the connection is encrypted: ``wsgi.url_scheme`` is ``https``, for a wss URL too, as it is on the
        servers that are WSGI's own.
    :param server: the address of our end, ``(host, port)`` or more; of anything else (a Unix socket's path) nothing
        is told.
    :param client: the same of the peer.
    """
    scheme, default_port = ('https', 443) if secure else ('http', 80)
    path, query = split_target(request.target)
    server_name, server_port = server[:2] if isinstance(server, tuple) else ('localhost', default_port)
    client_name, client_port = client[:2] if isinstance(client, tuple) else ('', '')
    environ = {
        'REQUEST_METHOD': request.method,
        'SCRIPT_NAME': '',
        'PATH_INFO': unquote_to_bytes(path).decode('latin-1'),
        'QUERY_STRING': query,
        'SERVER_PROTOCOL': 'HTTP/{}.{}'.format(*request.version),
        'SERVER_NAME': server_name,
        'SERVER_PORT': str(server_port),
        'REMOTE_ADDR': client_name,
        'REMOTE_PORT': str(client_port),
        'wsgi.url_scheme': scheme,
    }
    if secure:
        environ['HTTPS'] = 'on'
    for name, value in request.headers.items():
        if '_' in name:
            continue  # Sec_WebSocket_Key would be the same as Sec-WebSocket-Key here, and no proxy knows it
        key = name.upper().replace('-', '_')
        if key not in ('CONTENT_TYPE', 'CONTENT_LENGTH'):
            key = f'HTTP_{key}'
        environ[key] = f'{environ[key]},{value}' if key in environ else value
    return environ


def split_target(target: str) -> tuple[str, str]:
    """Path and query of a request target, as they were sent; it may also be a whole URL (RFC 9112 section 3.2.2)."""
    if not target.startswith('/'):
        target = _ORIGIN.sub('', target, count=1)
    path, _, query = target.partition('?')
    return path or '/', query


def response_reader(limits: Limits = DEFAULT_LIMITS) -> Generator[int, Optional[bytes], tuple[bytes, bytes]]:
    """Like :func:`ws4py.http11.head_reader`, for the head of the final response: interim ones (1xx) are passed over.

    :raises HandshakeError: also when all of them together are larger than one head may be.
    """
    rest, total = b'', 0
    while True:
        head, rest = yield from head_reader(limits, rest)
        total += len(head)
        if total > limits.head_size:
            raise HandshakeError(f'interim responses of more than {limits.head_size} bytes')
        status = Response.parse(head, limits).status
        if status == 101 or not 100 <= status < 200:
            return head, rest


def check_response(
    response: Response, key: bytes, protocols: Sequence[str], extensions: Sequence[Configured]
) -> tuple[list[bytes], list[bytes], tuple[Codec, ...]]:
    """Make sure that the server took the upgrade, and on terms that were offered (section 4.1).

    :param key: the ``Sec-WebSocket-Key`` that was sent.
    :param protocols: the subprotocols that were offered.
    :param extensions: the extensions that were offered, see :mod:`ws4py.extensions`.
    :returns: (subprotocols, extensions) that the server named, as it wrote them, and the codecs of those extensions.
        What a client that offered none was given unasked is listed and logged, and never applied.
    :raises HandshakeError: it did not; the text says what was found and what was expected.
    """
    headers = response.headers
    if response.status != 101:
        raise HandshakeError(f'the response is {response.status} {show(response.phrase)} (expected 101)')
    if _elements(headers.get_all('Upgrade')) != ['websocket']:
        raise HandshakeError(_unexpected(headers, 'Upgrade', "'websocket'"))
    if 'upgrade' not in _elements(headers.get_all('Connection')):
        raise HandshakeError(_unexpected(headers, 'Connection', "'Upgrade'"))
    expected = accept_key(key)
    if headers.get_all('Sec-WebSocket-Accept') != [expected]:
        raise HandshakeError(_unexpected(headers, 'Sec-WebSocket-Accept', repr(expected)))

    lines = headers.get_all('Sec-WebSocket-Protocol')
    named = parse_token_list(lines)
    if not protocols:
        _log_unasked('subprotocols', named)
    elif len(lines) > 1 or len(named) > 1 or not set(named) <= set(protocols):
        raise HandshakeError(_unexpected(headers, 'Sec-WebSocket-Protocol', f'one of {list(protocols)}'))

    lines = headers.get_all('Sec-WebSocket-Extensions')
    given = split_list(lines)
    answers = parse_extensions(lines)
    codecs: tuple[Codec, ...] = ()
    if not extensions:
        _log_unasked('extensions', given)
    else:
        codecs = agree(answers, extensions)
    return [name.encode('latin-1') for name in named], [text.encode('latin-1') for text in given], codecs


def _check_request(request: Request, version: Collection[int], origins: Optional[Collection[str]]) -> str:
    """The key of a request that asks for WebSocket as section 4.2.1 has it."""
    headers = request.headers
    if request.method != 'GET':
        raise HTTPError(405, f'the method is {show(request.method)} (expected GET)')
    for name, token in (('Upgrade', 'websocket'), ('Connection', 'Upgrade')):
        values = headers.get_all(name)
        if not any(values):
            raise HTTPError(400, _not_defined(name))
        if token.lower() not in _elements(values):
            raise HTTPError(400, _unexpected(headers, name, repr(token)))
    if request.version < (1, 1):
        raise HTTPError(505, 'HTTP/1.0 has no WebSocket (expected HTTP/1.1)')
    if not _HOST.fullmatch(_only(headers, 'Host')):
        raise HTTPError(400, _unexpected(headers, 'Host', 'a host'))
    for name in ('Content-Length', 'Transfer-Encoding'):
        if name in headers:
            # Its bytes would be taken for frames here, and for something else by a proxy.
            raise HTTPError(400, _unexpected(headers, name, 'an upgrade without a body'))
    key = _only(headers, 'Sec-WebSocket-Key')
    if not _KEY.fullmatch(key):
        raise HTTPError(400, _unexpected(headers, 'Sec-WebSocket-Key', '16 bytes in base64'))
    if _only(headers, 'Sec-WebSocket-Version') != _VERSION or int(_VERSION) not in version:
        raise HTTPError(426, _unexpected(headers, 'Sec-WebSocket-Version', _VERSION))
    if origins is not None and 'Origin' in headers and _only(headers, 'Origin').lower() not in map(str.lower, origins):
        raise HTTPError(403, _unexpected(headers, 'Origin', 'an origin that may connect'))
    return key


def _select_protocols(
    request: Request, spoken: Collection[str], select_subprotocol: Optional[SelectSubprotocol]
) -> list[str]:
    offered = parse_token_list(request.headers.get_all('Sec-WebSocket-Protocol'))
    if select_subprotocol is not None:
        name = select_subprotocol(request, list(offered))
        if name is not None and name not in offered:
            # A client has to fail the connection then (section 4.1).
            raise ValueError(f'select_subprotocol gave {name!r} (expected one of {offered}, or None)')
        return [] if name is None else [name]
    selected = [name for name in offered if name in spoken][:1]
    if offered and spoken and not selected:
        raise HTTPError(400, _unexpected(request.headers, 'Sec-WebSocket-Protocol', f'one of {list(spoken)}'))
    return selected


def _elements(values: list[str]) -> list[str]:
    """The elements of a list header in lower case, to be compared as a whole and never as parts of a string."""
    return [element.lower() for element in split_list(values)]


def _only(headers: Headers, name: str) -> str:
    """The value of a header that a request has exactly once."""
    values = headers.get_all(name)
    if not values:
        raise HTTPError(400, _not_defined(name))
    if len(values) > 1:
        raise HTTPError(400, f'{name} is there {len(values)} times (expected once)')
    return values[0]


def _not_defined(name: str) -> str:
    # Applications match this text, with the name as it stands in a WSGI environ.
    return f'Header HTTP_{name.upper().replace("-", "_")} is not defined'


def _unexpected(headers: Headers, name: str, expected: str) -> str:
    values = headers.get_all(name)
    found = show(', '.join(values)) if values else 'missing'
    return f'{name} is {found} (expected {expected})'


def _log_unasked(kind: str, named: list[str]) -> None:
    if named:
        logger.warning('The server named %s that were not offered: %s', kind, show(', '.join(named)))


def _status_line(status: int) -> str:
    return f'{status} {STANDARD_PHRASES.get(status, "")}'
