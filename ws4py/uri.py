"""One parsed value for the address of a WebSocket: ws, wss, ws+unix and wss+unix (RFC 6455 section 3), or of a proxy.

The clients call :func:`parse` once per connection, any thread may. Addresses come from users, configuration files and
redirects, so the text is judged here by one strict grammar, not by ``urllib.parse.urlsplit``, which drops line breaks
without a word and differs between versions of Python. Nothing is resolved and nothing is opened here.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass, field
from ipaddress import IPv6Address
from typing import Optional
from urllib.parse import quote, unquote

__all__ = ['URI', 'parse', 'parse_proxy']

DEFAULT_PORTS = {'ws': 80, 'wss': 443}
PROXY_PORTS = {'http': 80, 'socks4': 1080, 'socks4a': 1080, 'socks5': 1080, 'socks5h': 1080}
_UNIX_SCHEMES = ('ws+unix', 'wss+unix')

# RFC 3986 appendix B, and section 3.2 for the authority. RFC 6455 has no fragment.
_URL = re.compile(r'([A-Za-z][A-Za-z0-9+.-]*)://([^/?]*)([^?]*)(?:\?(.*))?')
_AUTHORITY = re.compile(r'(?:([^@]*)@)?(\[[^\[\]@]*\]|[^:\[\]@]*)(?::([^@]*))?')
_CREDENTIALS = re.compile(r'//.*@')
_UNSAFE = re.compile(r'[\x00-\x20\x7f-\xa0\\]')
_CONTROL = re.compile(r'[\x00-\x1f\x7f]')
_HOST = re.compile(r'[A-Za-z0-9._-]{1,255}')
_PORT = re.compile(r'[0-9]{1,5}')
_VISIBLE_ASCII = ''.join(map(chr, range(0x21, 0x7F)))


@dataclass(frozen=True)
class URI:
    """The address of a WebSocket, taken apart; immutable.

    :ivar scheme: ``'ws'``, ``'wss'``, ``'ws+unix'`` or ``'wss+unix'``.
    :ivar secure: the connection is encrypted.
    :ivar host: in lower case and ASCII, IPv6 without brackets; ``'localhost'`` for a Unix socket where none is named.
    :ivar port: None for a Unix socket.
    :ivar unix_socket_path: path of the Unix socket, else None.
    :ivar resource: path and query as they are sent, in ASCII, ``'/'`` at least.
    :ivar username: decoded, or None.
    :ivar password: decoded, or None; left out of ``repr``.
    """

    scheme: str
    secure: bool
    host: str
    port: Optional[int]
    unix_socket_path: Optional[str]
    resource: str
    username: Optional[str] = None
    password: Optional[str] = field(default=None, repr=False)

    @property
    def http_scheme(self) -> str:
        """``'http'`` or ``'https'``, what a WebSocket is before it is one."""
        return 'https' if self.secure else 'http'

    @property
    def host_header(self) -> str:
        """The value of the ``Host`` header: IPv6 in brackets and without its zone, no port where it is the default."""
        if self.port is None or self.port == DEFAULT_PORTS.get(self.scheme):
            return self._bracketed
        return self.authority

    @property
    def authority(self) -> str:
        """``host:port``, whichever port it is: what CONNECT asks a proxy for (RFC 9110 section 9.3.6)."""
        return f'{self._bracketed}:{self.port}'

    @property
    def _bracketed(self) -> str:
        return f'[{self.host.partition("%")[0]}]' if ':' in self.host else self.host


def parse(url: str) -> URI:
    """Take *url* apart.

    ``ws+unix:///tmp/my.sock`` names a Unix socket; its resource is ``/``, with the query of the URL if there is one.

    :raises ValueError: the scheme is unknown, there is no host, the port is none, the URL has a fragment (RFC 6455
        section 3), or a character that cannot stand in a URL. The text names the fault and the URL, but no password.
    """
    try:
        return _parse(url)
    except ValueError as error:
        raise ValueError(f'{_shown(url)} is not the URL of a WebSocket: {error}') from None


def parse_proxy(url: str) -> URI:
    """Take apart the URL of a proxy, ``http://user:password@host:port`` or one with a scheme of SOCKS.

    Without a scheme it is ``http``: that is how it often stands in the environment.

    :returns: a URI with a resource of ``/``.
    :raises ValueError: as :func:`parse`; or the URL has a path, or a name and password that SOCKS cannot send.
    """
    url = url if '://' in url else f'http://{url}'
    try:
        return _parse_proxy(url)
    except ValueError as error:
        raise ValueError(f'{_shown(url)} is not the URL of a proxy: {error}') from None


def _shown(url: str) -> str:
    return repr(_CREDENTIALS.sub('//…@', url))


def _parse_proxy(url: str) -> URI:
    scheme, match, path, query = _split(url, 'http://host[:port]', PROXY_PORTS)
    if path not in ('', '/') or query is not None:
        raise ValueError('it has a path or a query')
    username, password = _parse_userinfo(match[1])
    if scheme != 'http' and username is not None:
        # RFC 1929: one byte has to tell the length of each. SOCKS 4 has no password.
        fields = (username,) if scheme.startswith('socks4') else (username, password or '')
        if not all(text.isascii() and 0 < len(text) < 256 for text in fields):
            raise ValueError('SOCKS takes a name and a password of 1 to 255 ASCII characters')
    port = _parse_port(match[3]) or PROXY_PORTS[scheme]
    return URI(scheme, False, _parse_host(match[2]), port, None, '/', username, password)


def _split(url: str, expected: str, schemes: Collection[str]) -> tuple[str, re.Match[str], str, Optional[str]]:
    """The scheme, the match of the authority, the path and the query."""
    _refuse(_UNSAFE, url)
    if '#' in url:
        raise ValueError('it has a fragment, which is not allowed (a "#" that belongs to the path is %23)')
    match = _URL.fullmatch(url)
    if match is None:
        raise ValueError(f'expected {expected}')
    scheme, path, query = match[1].lower(), match[3], match[4]
    if scheme not in schemes:
        *others, last = schemes
        raise ValueError(f'the scheme is {scheme!r} (expected {", ".join(others)} or {last})')
    authority = _AUTHORITY.fullmatch(match[2])
    if authority is None:
        raise ValueError('expected host, host:port or [IPv6]:port behind the "//"')
    return scheme, authority, path, query


def _parse(url: str) -> URI:
    scheme, match, path, query = _split(url, 'ws://host[:port]/path?query', (*DEFAULT_PORTS, *_UNIX_SCHEMES))
    username, password = _parse_userinfo(match[1])
    socket_path: Optional[str] = None
    port: Optional[int] = None
    if scheme in _UNIX_SCHEMES:
        if match[3]:
            raise ValueError(f'the port is {match[3]!r}, but a Unix socket has none')
        if len(path) < 2:
            raise ValueError(f'it names no Unix socket (expected {scheme}:///path/of/the/socket)')
        host = _parse_host(match[2] or 'localhost')
        socket_path, path = unquote(path), '/'
        _refuse(_CONTROL, socket_path)
    else:
        host = _parse_host(match[2])
        port = _parse_port(match[3]) or DEFAULT_PORTS[scheme]
    resource = path or '/'
    if query is not None:
        resource += f'?{query}'
    return URI(
        scheme=scheme,
        secure=scheme.startswith('wss'),
        host=host,
        port=port,
        unix_socket_path=socket_path,
        resource=quote(resource, safe=_VISIBLE_ASCII),
        username=username,
        password=password,
    )


def _refuse(pattern: re.Pattern[str], text: str) -> None:
    match = pattern.search(text)
    if match is not None:
        raise ValueError(f'it has the character {match[0]!r}')


def _parse_userinfo(userinfo: Optional[str]) -> tuple[Optional[str], Optional[str]]:
    if userinfo is None:
        return None, None
    _refuse(_CONTROL, unquote(userinfo))
    username, colon, password = userinfo.partition(':')
    return unquote(username), unquote(password) if colon else None


def _parse_host(host: str) -> str:
    if host.startswith('['):
        # RFC 6874 writes the zone as %25eth0, users write %eth0; an address has no other percent sign.
        address, percent, zone = host[1:-1].replace('%25', '%').partition('%')
        return IPv6Address(address).compressed + percent + zone
    if not host:
        raise ValueError('it has no host')
    if not host.isascii() and len(host) <= 255:  # IDNA takes quadratic time on some versions
        host = host.encode('idna').decode('ascii')
    if not _HOST.fullmatch(host):
        raise ValueError(f'the host is {host!r} (expected letters, digits, ".", "-" and "_")')
    return host.lower()


def _parse_port(port: Optional[str]) -> Optional[int]:
    if not port:  # RFC 3986 section 3.2.3: "host:" is the default port
        return None
    if not _PORT.fullmatch(port) or not 0 < int(port) < 65536:
        raise ValueError(f'the port is {port!r} (expected a number from 1 to 65535)')
    return int(port)
