"""The head of an HTTP/1.1 request or response: the only place that takes one apart or puts one together.

Just as much of HTTP as an opening handshake needs (RFC 6455 section 4, on RFC 9110 and RFC 9112), as pure functions
over bytes: adapters of servers and clients feed :func:`head_reader`, hand the head to :meth:`Request.parse` or
:meth:`Response.parse` and give the answer of :meth:`build` to their socket. Any thread may call them; an object
belongs to one thread at a time. It is no HTTP server: bodies, chunks, continuation lines and persistent
connections have no place here, and what is ambiguous is refused instead of guessed, because a proxy may have guessed
otherwise.

Whatever the peer sends costs time and memory linear in its length, and the length is bounded by
:class:`~ws4py.limits.Limits`. Patterns below are written such that no two neighbouring parts can match the same text.

What the peer does wrong is an :exc:`~ws4py.exc.HTTPError` with the status of the answer, what the application does
wrong is a :exc:`ValueError` before a byte is sent.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Optional, Union

from ws4py.exc import HandshakeError, HTTPError
from ws4py.limits import DEFAULT_LIMITS, Limits

__all__ = [
    'Address',
    'Headers',
    'NamedExtension',
    'Parameters',
    'Request',
    'Response',
    'build_extensions',
    'build_token_list',
    'head_reader',
    'parse_extensions',
    'parse_fields',
    'parse_token_list',
    'parse_version',
    'show',
    'split_list',
]

READ_SIZE = 64 * 1024  # bytes asked for at once; what comes behind the head is handed back
STANDARD_PHRASES = {status.value: status.phrase for status in HTTPStatus}
BODILESS = (204, 304)  # never have a body, and the first no Content-Length either (RFC 9110 section 8.6)

#: The parameters of an extension in order, each with its value or None (RFC 6455 section 9.1).
Parameters = list[tuple[str, Optional[str]]]
#: The name of an extension, and its parameters.
NamedExtension = tuple[str, Parameters]

#: Of one end of a connection: ``(host, port)``, or the path of a Unix socket, which often is ``''``. None: not known.
Address = Union[tuple[str, int], str, bytes, None]

# RFC 9110 section 5.6.2
#     token = 1*tchar
#     tchar = "!" / "#" / "$" / "%" / "&" / "'" / "*" / "+" / "-" / "." / "^" / "_" / "`" / "|" / "~" / DIGIT / ALPHA
_TCHAR = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]"
_TOKEN = re.compile(f'{_TCHAR}+')

# RFC 9110 section 5.5, after the white space around it was taken off; obs-text (80-FF) is kept as ISO-8859-1
#     field-content = field-vchar [ 1*( SP / HTAB / field-vchar ) field-vchar ]
_NOT_IN_VALUE = re.compile(r'[^\t\x20-\x7e\x80-\xff]')

# RFC 9112 sections 2.3 and 4. The phrase may be missing, with the space before it.
#     HTTP-version = "HTTP/" DIGIT "." DIGIT
#     status-line = HTTP-version SP 3DIGIT SP [ 1*( HTAB / SP / VCHAR / obs-text ) ] CRLF
_VERSION = re.compile(r'HTTP/([0-9])\.([0-9])')
_STATUS = re.compile(r'[1-9][0-9]{2}')
_TARGET = re.compile(r'[\x21-\x7e]+')

# RFC 6455 section 9.1. A quoted value has to be a token once the quotes and backslashes are gone.
#     extension = extension-token *( ";" extension-param )
#     extension-param = token [ "=" ( token | quoted-string ) ]
_EXTENSION_PART = re.compile(
    rf'[ \t]*(?P<name>{_TCHAR}+)[ \t]*'
    rf'(?:=[ \t]*(?:(?P<token>{_TCHAR}+)|"(?P<quoted>(?:\\?{_TCHAR})+)")[ \t]*)?'
    r'(?P<end>;|\Z)'
)


def show(text: str) -> str:
    """*text* for an error: quoted, escaped and not longer than a line."""
    return repr(text) if len(text) <= 60 else f'{text[:60]!r}… ({len(text)} characters)'


class Headers:
    """Header fields in the order they came, found by name in any case; a name may come more than once."""

    def __init__(self, fields: Iterable[tuple[str, str]] = ()) -> None:
        self._fields: list[tuple[str, str]] = []
        self._values: dict[str, list[str]] = {}
        for name, value in fields:
            self.add(name, value)

    def add(self, name: str, value: str) -> None:
        """Append a field; white space around *value* is no part of it.

        :raises ValueError: *name* is not a token, or *value* has a character that would end or break the line.
        """
        if not _TOKEN.fullmatch(name):
            raise ValueError(f'{show(name)} is not the name of a header (expected a token)')
        value = value.strip(' \t')
        wrong = _NOT_IN_VALUE.search(value)
        if wrong is not None:
            raise ValueError(f'header {show(name)} has the character {wrong[0]!r} in its value')
        self._fields.append((name, value))
        self._values.setdefault(name.lower(), []).append(value)

    def copy(self) -> Headers:
        """Another one with the same fields."""
        copied = Headers()
        copied._fields = list(self._fields)
        copied._values = {name: list(values) for name, values in self._values.items()}
        return copied

    def get(self, name: str, default: Optional[str] = None) -> Optional[str]:
        """The first value of *name*, or *default*."""
        values = self._values.get(name.lower())
        return values[0] if values else default

    def __getitem__(self, name: str) -> str:
        """The first value of *name*.

        :raises KeyError: there is none.
        """
        return self._values[name.lower()][0]

    def get_all(self, name: str) -> list[str]:
        """Every value of *name* in order, none is an empty list."""
        return list(self._values.get(name.lower(), ()))

    def items(self) -> list[tuple[str, str]]:
        """Every field as (name as it was written, value)."""
        return list(self._fields)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name.lower() in self._values

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(self.items())

    def __len__(self) -> int:
        return len(self._fields)

    def __repr__(self) -> str:
        return f'Headers({self._fields!r})'


@dataclass(frozen=True)
class Request:
    """The head of a request: ``GET /chat HTTP/1.1`` and its headers; and on a server, what is known of who sent it.

    :ivar peer_address: of the client.
    :ivar secure: it came over TLS.
    :ivar environ: goes into the environ of the websocket's handler; whoever judges the request may put something there.
    """

    method: str
    target: str
    version: tuple[int, int]
    headers: Headers
    peer_address: Address = None
    secure: bool = False
    environ: dict[str, Any] = field(default_factory=dict, compare=False)

    @classmethod
    def parse(
        cls, head: bytes, limits: Limits = DEFAULT_LIMITS, *, peer_address: Address = None, secure: bool = False
    ) -> Request:
        """Take apart a head that ends with its empty line.

        :param peer_address: of the client, which no head tells; as little as whether it is *secure*.
        :raises HTTPError: 400 malformed, 414 the target is over ``limits.line_size``, 431 the head, a header line or
            the number of headers is over a limit, 505 not HTTP/1.x.
        """
        first, fields = _split_head(head)
        method, _, rest = first.partition(' ')
        target, _, version = rest.rpartition(' ')
        if len(target) > limits.line_size:
            raise HTTPError(414, f'the request target has {len(target)} bytes, {limits.line_size} are allowed')
        if not _TOKEN.fullmatch(method) or not _TARGET.fullmatch(target):
            raise HTTPError(400, f'{show(first)} is not a request line (expected METHOD target HTTP/1.1)')
        headers = parse_fields(fields, limits)
        return cls(method, target, parse_version(version), headers, peer_address, secure)

    def build(self) -> bytes:
        """The head as it is sent.

        :raises ValueError: the method is not a token, or the target has a character that would end or break the line.
        """
        if not _TOKEN.fullmatch(self.method):
            raise ValueError(f'{show(self.method)} is not a request method (expected a token)')
        if not _TARGET.fullmatch(self.target):
            raise ValueError(f'{show(self.target)} is not a request target (expected visible ASCII characters)')
        return _build_head(f'{self.method} {self.target} {_build_version(self.version)}', self.headers)


@dataclass(frozen=True)
class Response:
    """The head of a response: ``HTTP/1.1 101 Switching Protocols`` and its headers.

    :ivar phrase: the reason phrase; where it is empty, that of the standard is sent.
    :ivar body: of a response that is sent; one that was received is a head alone.
    """

    status: int
    phrase: str = ''
    version: tuple[int, int] = (1, 1)
    headers: Headers = field(default_factory=Headers)
    body: bytes = b''

    @classmethod
    def parse(cls, head: bytes, limits: Limits = DEFAULT_LIMITS) -> Response:
        """Take apart a head that ends with its empty line; ``name : value`` is tolerated.

        :raises HTTPError: malformed or over a limit (a client sees it as the :exc:`~ws4py.exc.HandshakeError` it is).
        """
        first, fields = _split_head(head)
        version, _, rest = first.partition(' ')
        status, _, phrase = rest.partition(' ')
        if not _STATUS.fullmatch(status) or _NOT_IN_VALUE.search(phrase):
            raise HTTPError(400, f'{show(first)} is not a status line (expected HTTP/1.1 101 Switching Protocols)')
        return cls(int(status), phrase, parse_version(version), parse_fields(fields, limits, tolerant=True))

    def complete(self) -> Response:
        """The same with what is missing: its phrase, and if it is a final one (not 1xx), which is the last on its
        connection, ``Connection: close`` and ``Content-Length``. Where no body belongs, there is none.

        :raises ValueError: the status has not three digits, or the phrase has a character that would end the line.
        """
        if not _STATUS.fullmatch(str(self.status)):
            raise ValueError(f'{self.status!r} is not a status (expected 100 to 999)')
        if _NOT_IN_VALUE.search(self.phrase):
            raise ValueError(f'{show(self.phrase)} is not a reason phrase (expected printable characters)')
        headers = self.headers.copy() if self.status >= 200 else self.headers  # which is complete
        phrase = self.phrase or STANDARD_PHRASES.get(self.status, '')
        body = b'' if self.status in BODILESS else bytes(self.body)
        if self.status >= 200:
            if 'close' not in (option.lower() for option in split_list(headers.get_all('Connection'))):
                headers.add('Connection', 'close')
            if 'Content-Length' not in headers and self.status not in BODILESS:
                headers.add('Content-Length', str(len(body)))
        return Response(self.status, phrase, self.version, headers, body)

    def build(self, method: str = 'GET') -> bytes:
        """The response as it is sent, complete and with its body.

        :param method: of the request; HEAD is answered without the body (RFC 9110 section 9.3.2).
        :raises ValueError: as :meth:`complete`.
        """
        whole = self.complete()
        head = _build_head(f'{_build_version(whole.version)} {whole.status} {whole.phrase}', whole.headers)
        return head if method == 'HEAD' else head + whole.body


def head_reader(
    limits: Limits = DEFAULT_LIMITS, data: bytes = b''
) -> Generator[int, Optional[bytes], tuple[bytes, bytes]]:
    """A generator that collects bytes up to the empty line of a head.

    Prime it with ``next()``, then ``send()`` what was received, in pieces of any size. It yields how many bytes it
    would like to have; once the head is complete it returns, as ``StopIteration.value``, the head with its empty line
    and what came behind it. An end of file before that is for the caller to judge.

    :param data: what was received before and belongs to it.
    :raises HTTPError: 400 a line ends with a bare LF (the end of such a head would never be seen), 414 the first line
        or 431 the head is over ``limits.head_size``.
    """
    buffer = bytearray(data)
    line = searched = 0  # where the line in progress begins; how far it was searched for its end
    while True:
        end = buffer.find(b'\n', searched, limits.head_size)
        if end < 0:
            if len(buffer) >= limits.head_size:
                raise HTTPError(431 if line else 414, f'a head of more than {limits.head_size} bytes')
            searched = len(buffer)
            buffer += (yield READ_SIZE) or b''
            continue
        if buffer[end - 1 : end] != b'\r':
            raise HTTPError(400, 'a line that ends with a bare LF (expected CR LF)')
        if end - 1 == line:
            return bytes(buffer[: end + 1]), bytes(buffer[end + 1 :])
        line = searched = end + 1


def parse_version(text: str) -> tuple[int, int]:
    """``(1, 1)`` for ``HTTP/1.1``.

    :raises HTTPError: 400 malformed, 505 not HTTP/1.x.
    """
    match = _VERSION.fullmatch(text)
    if match is None:
        raise HTTPError(400, f'{show(text)} is not an HTTP version (expected HTTP/1.1)')
    if match[1] != '1':
        raise HTTPError(505, f'{text} is not spoken here (expected HTTP/1.1)')
    return 1, int(match[2])


def split_list(values: Iterable[str]) -> list[str]:
    """The elements of a comma-separated header in all its lines, empty ones left out (RFC 9110 section 5.6.1)."""
    return [found for value in values for element in value.split(',') if (found := element.strip(' \t'))]


def parse_token_list(values: Iterable[str]) -> list[str]:
    """The tokens of a header such as ``Sec-WebSocket-Protocol`` in all its lines.

    :raises HandshakeError: an element is not a token.
    """
    tokens = split_list(values)
    for token in tokens:
        if not _TOKEN.fullmatch(token):
            raise HandshakeError(f'{show(token)} in a list of tokens is not a token')
    return tokens


def build_token_list(tokens: Iterable[str]) -> str:
    """The value of a header such as ``Sec-WebSocket-Protocol``.

    :raises ValueError: one of them is not a token.
    """
    return ', '.join(map(_check_token, tokens))


def parse_extensions(values: Iterable[str]) -> list[NamedExtension]:
    """The extensions of ``Sec-WebSocket-Extensions`` in all its lines, in order (RFC 6455 section 9.1).

    :raises HandshakeError: an element does not follow the grammar.
    """
    return [_parse_extension(element) for element in split_list(values)]


def build_extensions(extensions: Iterable[tuple[str, Sequence[tuple[str, Optional[str]]]]]) -> str:
    """The value of ``Sec-WebSocket-Extensions``, the inverse of :func:`parse_extensions`.

    :raises ValueError: a name or a value is not a token.
    """
    return ', '.join('; '.join(_build_part(*part) for part in ((name, None), *rest)) for name, rest in extensions)


def _build_part(name: str, value: Optional[str]) -> str:
    return _check_token(name) if value is None else f'{_check_token(name)}={_check_token(value)}'


def _check_token(token: str) -> str:
    if not _TOKEN.fullmatch(token):
        raise ValueError(f"{show(token)} is not a token (letters, digits and !#$%&'*+-.^_`|~)")
    return token


def _parse_extension(element: str) -> NamedExtension:
    # No comma can stand in a quoted value, as that has to be a token; so the list was split before.
    parts: Parameters = []
    at = 0
    end = ';'
    while end:
        match = _EXTENSION_PART.match(element, at)
        if match is None:
            raise HandshakeError(f'{show(element)} is not an extension (expected name; parameter=value; ...)')
        value: Optional[str] = match['token']
        if match['quoted'] is not None:
            value = match['quoted'].replace('\\', '')
        parts.append((match['name'], value))
        at, end = match.end(), match['end']
    name, value = parts[0]
    if value is not None:
        raise HandshakeError(f'{show(element)} is not an extension (its name has a value)')
    return name, parts[1:]


def _split_head(head: bytes) -> tuple[str, str]:
    """The first line, and the header lines each with its end; ISO-8859-1 keeps every byte apart."""
    if not head.endswith(b'\r\n\r\n'):
        raise HTTPError(400, f'a head that ends with {head[-4:]!r} (expected an empty line)')
    first, _, rest = head.decode('latin-1').partition('\r\n')
    return first, rest


def parse_fields(rest: str, limits: Limits, *, tolerant: bool = False) -> Headers:
    """The header lines of a head, each with its CRLF, up to and with the empty line.

    :param tolerant: white space before a colon is passed over.
    :raises HTTPError: 400 malformed, 431 over a limit.
    """
    if len(rest) > limits.head_size:
        raise HTTPError(431, f'headers of {len(rest)} bytes, {limits.head_size} are allowed')
    lines = rest.split('\r\n')[:-2]
    if len(lines) > limits.headers:
        raise HTTPError(431, f'{len(lines)} headers, {limits.headers} are allowed')
    headers = Headers()
    for line in lines:
        if len(line) > limits.line_size:
            raise HTTPError(431, f'a header line of {len(line)} bytes, {limits.line_size} are allowed')
        if line[:1] in (' ', '\t'):
            raise HTTPError(400, f'a header goes on in a second line, {show(line)} (obsolete folding)')
        name, colon, value = line.partition(':')
        if not colon:
            raise HTTPError(400, f'{show(line)} is not a header line (expected name: value)')
        try:
            # White space before the colon has been used to smuggle requests past proxies (RFC 9112 section 5.1).
            headers.add(name.rstrip(' \t') if tolerant else name, value)
        except ValueError as error:
            raise HTTPError(400, str(error)) from None
    return headers


def _build_version(version: tuple[int, int]) -> str:
    return f'HTTP/{version[0]}.{version[1]}'


def _build_head(first: str, headers: Headers) -> bytes:
    lines = [first, *(f'{name}: {value}' for name, value in headers.items()), '', '']
    return '\r\n'.join(lines).encode('latin-1')
