"""The way through a proxy: on a socket that is connected to one, ask it for a tunnel to the server.

Whoever dials calls :func:`open_tunnel` (threads, and greenlets with their kind of sockets) or :func:`open_tunnel_on`
(event loops) before TLS, which is spoken with the server and never with the proxy. What is said over HTTP is in
:mod:`ws4py.proxies`; SOCKS is left to the package ``python-socks``, which is given our connected socket as if it were
a proxy on the way to the proxy. Nothing is resolved here: that is what proxies are for, and it would block.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from ws4py.exc import BrokenOffError
from ws4py.limits import Limits
from ws4py.opening import Deadline
from ws4py.proxies import answer_reader, connect_request
from ws4py.uri import URI

__all__ = ['check_installed', 'open_tunnel', 'open_tunnel_on']

BLOCK = 64 * 1024
NO_LIMIT = 24 * 3600.0  # seconds; python-socks insists on a limit, ours comes first


def check_installed(proxy: URI) -> None:
    """
    :raises ImportError: what this kind of proxy needs is not there.
    """
    if proxy.scheme != 'http':
        try:
            import python_socks  # noqa: F401
        except ImportError as error:
            raise ImportError(f'{proxy.scheme} needs python-socks: pip install "ws4py[socks]"') from error


def open_tunnel(sock: Any, proxy: URI, target: URI, limits: Limits, deadline: Deadline) -> None:
    """Let *proxy*, to which the blocking *sock* is connected, connect it to *target*.

    :raises HandshakeError: it does not, or not in time. The socket is left to the caller.
    :raises ValueError: the name of *target* cannot be sent.
    """
    timed = _Timed(sock, deadline)
    try:
        if proxy.scheme == 'http':
            timed.sendall(connect_request(proxy, target))
            reader = answer_reader(limits)
            next(reader)
            with contextlib.suppress(StopIteration):
                while True:
                    reader.send(timed.recv(BLOCK))
        else:
            from python_socks.sync import Proxy

            with _told_by_socks():
                Proxy(**_socks(proxy, timed)).connect(target.host, target.port or 0)
    except OSError as error:
        raise BrokenOffError(f'the opening handshake broke off at the proxy: {error}') from error


async def open_tunnel_on(loop: Any, sock: Any, proxy: URI, target: URI, limits: Limits) -> Any:
    """The same on an event loop, for a socket that does not block; within what time is for the caller to say.

    :returns: *sock*, which is closed when this is cancelled, or fails.
    :raises HandshakeError, ValueError: as :func:`open_tunnel`.
    """
    try:
        if proxy.scheme == 'http':
            await loop.sock_sendall(sock, connect_request(proxy, target))
            reader = answer_reader(limits)
            next(reader)
            with contextlib.suppress(StopIteration):
                while True:
                    reader.send(await loop.sock_recv(sock, BLOCK))
        else:
            from python_socks.async_.asyncio import Proxy

            with _told_by_socks():
                socks = Proxy(**_socks(proxy, _Given(sock)), loop=loop)
                await socks.connect(target.host, target.port or 0, timeout=NO_LIMIT)
        return sock
    except OSError as error:
        sock.close()
        raise BrokenOffError(f'the opening handshake broke off at the proxy: {error}') from error
    except BaseException:
        # Not by the caller, who would close it before the loop has stopped to watch it.
        sock.close()
        raise


def _socks(proxy: URI, forward: Any) -> dict[str, Any]:
    from python_socks import ProxyType

    return {
        'proxy_type': ProxyType.SOCKS4 if proxy.scheme.startswith('socks4') else ProxyType.SOCKS5,
        'host': proxy.host,
        'port': proxy.port,
        'username': proxy.username,
        'password': proxy.password,
        'rdns': True,  # whatever the scheme says: names are for the proxy
        'forward': forward,
    }


@contextlib.contextmanager
def _told_by_socks() -> Iterator[None]:
    """What python-socks raises is a BrokenOffError; some answers of a proxy make it raise a ValueError."""
    from python_socks import ProxyError

    try:
        yield
    except (ProxyError, ValueError) as error:
        raise BrokenOffError(f'the opening handshake broke off at the proxy: {error}') from error


class _Timed:
    """A connected socket whose calls last until the deadline at most; to python-socks it is what connects as well."""

    def __init__(self, sock: Any, deadline: Deadline) -> None:
        self._sock = sock
        self._deadline = deadline

    def connect(self, **_: object) -> _Timed:
        return self

    def sendall(self, data: bytes) -> None:
        self._deadline.apply(self._sock)
        self._sock.sendall(data)

    def recv(self, size: int) -> bytes:
        self._deadline.apply(self._sock)
        data: bytes = self._sock.recv(size)
        return data

    def close(self) -> None:
        """Nothing: that is for the caller."""


class _Given:
    """What python-socks takes for a proxy that connects: the socket is connected already."""

    def __init__(self, sock: Any) -> None:
        self._sock = sock

    async def connect(self, **_: object) -> Any:
        return self._sock
