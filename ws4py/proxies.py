"""The way through an HTTP proxy: CONNECT, and then it is as if there were none (RFC 9110 section 9.3.6).

::

    proxy = choose('http://me:secret@proxy.example:3128', uri)
    …connect to (proxy.host, proxy.port), send connect_request(proxy, host, port)…
    reader = answer_reader(limits)       next(reader), then send() what comes, until StopIteration

What comes behind is the server's: TLS, where the URL asks for it, and the opening handshake. The proxy resolves the
name, and its credentials are for it alone. Its answer is held to the limits of any head. Nothing is read or written
here.
"""

from __future__ import annotations

import base64
from collections.abc import Generator
from dataclasses import dataclass, field
from typing import Optional, Union

from ws4py.exc import HandshakeError
from ws4py.handshake import response_reader
from ws4py.http11 import Headers, Request, Response, show
from ws4py.limits import DEFAULT_LIMITS, Limits
from ws4py.uri import URI, parse

__all__ = ['Proxy', 'answer_reader', 'choose', 'connect_request']


@dataclass(frozen=True)
class Proxy:
    """Where an HTTP proxy is, and who we are for it.

    :ivar host: in ASCII, IPv6 without brackets.
    """

    host: str
    port: int
    username: Optional[str] = None
    password: Optional[str] = field(default=None, repr=False)

    @classmethod
    def parse(cls, url: str) -> Proxy:
        """Take ``http://[user:password@]host[:port]`` apart.

        :raises ValueError: it is something else. The text names no password.
        """
        scheme, colon, rest = url.partition('://')
        if not colon or scheme.lower() != 'http':
            raise ValueError(f'the scheme of a proxy is {show(scheme)} (expected http://host:port)')
        uri = parse(f'ws://{rest}')  # the same grammar, and the same default port
        if uri.resource != '/':
            raise ValueError(f'the URL of a proxy has a path, {show(uri.resource)}')
        assert uri.port is not None
        return cls(uri.host, uri.port, uri.username, uri.password)


def choose(proxy: Union[str, bool, None], uri: URI) -> Optional[Proxy]:
    """The proxy for a connection to *uri*; None is the direct way, which is always that to a Unix socket.

    :param proxy: the URL of one; True for what the environment names, as :mod:`urllib.request` reads it:
        ``https_proxy`` for wss, ``http_proxy`` for ws, ``no_proxy``, and the settings of the system where it has some.
    :raises ValueError: the URL is not that of an HTTP proxy.
    """
    if not proxy or uri.unix_socket_path is not None:
        return None
    if isinstance(proxy, str):
        return Proxy.parse(proxy)
    from urllib.request import getproxies, proxy_bypass  # which takes its time, and is seldom asked

    if proxy_bypass(uri.host):
        return None
    found = getproxies().get(uri.http_scheme)
    return Proxy.parse(found if '://' in found else f'http://{found}') if found else None


def connect_request(proxy: Proxy, host: str, port: Optional[int]) -> bytes:
    """What asks the proxy for a way to *host*.

    :raises ValueError: something of it holds what would break the request.
    """
    target = f'[{host}]:{port}' if ':' in host else f'{host}:{port}'
    headers = Headers([('Host', target)])
    if proxy.username is not None:
        credentials = f'{proxy.username}:{proxy.password or ""}'.encode()
        headers.add('Proxy-Authorization', 'Basic ' + base64.b64encode(credentials).decode('ascii'))
    return Request('CONNECT', target, (1, 1), headers).build()


def answer_reader(limits: Limits = DEFAULT_LIMITS) -> Generator[int, Optional[bytes], None]:
    """A generator that takes the proxy's answer, as :func:`ws4py.handshake.response_reader` does, and judges it.

    :raises HandshakeError: it does not let us through, or sends bytes that cannot be the server's: that has not been
        spoken to yet.
    """
    head, rest = yield from response_reader(limits)
    response = Response.parse(head, limits)
    if not 200 <= response.status < 300:
        refusal = HandshakeError(f'the proxy answered {response.status} {show(response.phrase)} (expected 200)')
        refusal.response_status = response.status
        raise refusal
    if rest:
        raise HandshakeError(f'the proxy sent {len(rest)} bytes behind its answer, before the server was spoken to')
