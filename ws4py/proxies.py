"""Which proxy a client goes through, and what it says to one that speaks HTTP (RFC 9110 section 9.3.6, CONNECT).

Pure: nothing is connected here, any thread may call. :mod:`ws4py.tunnels` carries the bytes, on blocking sockets and on
event loops, and knows of SOCKS. A proxy is believed as little as a server is: its answer is held to the limits of any
other head, and it has to have fallen silent behind it, since whoever is at the other end of a tunnel waits for us to
speak first. What the name of the server stands for is for the proxy to find out; it is not resolved here.
"""

from __future__ import annotations

import base64
from collections.abc import Generator
from typing import Optional, Union

from ws4py.exc import BrokenOffError, HandshakeError
from ws4py.handshake import response_reader
from ws4py.http11 import Headers, Request, Response, show
from ws4py.limits import DEFAULT_LIMITS, Limits
from ws4py.uri import URI, parse_proxy

__all__ = ['answer_reader', 'choose', 'connect_request']


def choose(proxy: Union[str, bool, None], target: URI) -> Optional[URI]:
    """The proxy on the way to *target*, or None for the direct way, which is the only one to a Unix socket.

    :param proxy: its URL; None or False for none; True for the one that the environment names.
    :raises ValueError: that is not the URL of a proxy, or not of one that is spoken to.
    :raises TypeError: it is none of these.
    """
    if proxy is True:
        url = _from_environment(target)
    elif proxy is None or proxy is False:
        url = None
    elif isinstance(proxy, str):
        url = proxy
    else:
        raise TypeError(f'a proxy is a URL, True or None, not {proxy!r}')
    parsed = None if url is None else parse_proxy(url)
    return None if target.unix_socket_path is not None else parsed


def _from_environment(target: URI) -> Optional[str]:
    """As the standard library reads it: ``http_proxy`` for ws, ``https_proxy`` for wss, else ``all_proxy``; not for the
    hosts of ``no_proxy``. On Windows and macOS the settings of the system count where the environment has none."""
    from urllib.request import getproxies, proxy_bypass  # large, and most clients do not need it

    if target.unix_socket_path is not None:
        return None
    proxies = getproxies()
    url = proxies.get(target.http_scheme) or proxies.get('all')
    return url if url and not proxy_bypass(target.authority) else None


def connect_request(proxy: URI, target: URI) -> bytes:
    """The request for a tunnel to *target*. The proxy's name and password stand in this request and in no other.

    :raises ValueError: the host of *target* has a character that would break the request.
    """
    headers = [('Host', target.authority)]
    if proxy.username is not None:
        headers.append(('Proxy-Authorization', basic(proxy)))
    return Request('CONNECT', target.authority, (1, 1), Headers(headers)).build()


def basic(uri: URI) -> str:
    """The name and the password of a URL as Basic credentials (RFC 7617)."""
    credentials = f'{uri.username}:{uri.password or ""}'.encode()
    return 'Basic ' + base64.b64encode(credentials).decode('ascii')


def answer_reader(limits: Limits = DEFAULT_LIMITS) -> Generator[None, bytes, None]:
    """Judge the answer to :func:`connect_request`.

    Prime it with ``next()``, then ``send()`` what came, in pieces of any size; b'' is the end of the connection. It
    returns (``StopIteration``) once there is a tunnel.

    :raises HandshakeError: there will be none; its ``response_status`` is that of the proxy, if it has answered.
    """
    reader = response_reader(limits)
    next(reader)
    while True:
        data = yield
        if not data:
            raise BrokenOffError('the proxy closed the connection')
        try:
            reader.send(data)
        except StopIteration as done:
            head, rest = done.value
            break
        except HandshakeError as error:
            raise HandshakeError(f'the proxy answered with {error}') from None
    response = Response.parse(head, limits)
    if not 200 <= response.status < 300:
        refusal = HandshakeError(f'the proxy answered {response.status} {show(response.phrase)} (expected 200)')
        refusal.response_status = response.status
        raise refusal
    if rest:
        raise HandshakeError(f'the proxy sent {len(rest)} bytes behind its answer, before the server was spoken to')
