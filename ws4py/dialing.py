"""A connected socket for a client on an asyncio loop.

asyncio can do this by itself, but only some of its loops try several addresses side by side (RFC 8305), and where they
do, a connection that is there just when the caller is cancelled is left open. Here every socket is closed that is not
returned. What is spoken on it, TLS included, is not decided here.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Coroutine
from typing import Any, Optional

from ws4py.addresses import interleave

__all__ = ['dial']

NEXT_ADDRESS = 0.25  # seconds after which the next address is tried besides (RFC 8305 section 5)


async def dial(
    host: str, port: Optional[int], unix_socket_path: Optional[str] = None, timeout: Optional[float] = None
) -> socket.socket:
    """Connect to one of the addresses of *host*, whichever answers first, or to a Unix socket.

    :param timeout: seconds for the name, and for each address; None for as long as it takes.
    :returns: the socket, which does not block.
    :raises OSError: none of the addresses could be reached (the reason of the last one), or the name has none. A
        TimeoutError after *timeout* seconds.
    """
    loop = asyncio.get_running_loop()
    if unix_socket_path is not None:
        return await _connect(socket.AF_UNIX, 0, unix_socket_path, timeout)
    resolve = loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    addresses = interleave(await _within(timeout, resolve, f'the name {host} was not resolved'))
    attempts: list[asyncio.Task[socket.socket]] = []
    winner: Optional[asyncio.Task[socket.socket]] = None
    failure: BaseException = OSError(f'{host} has no address')
    try:
        while True:
            left = addresses[len(attempts) :]
            if left:
                family, _, protocol, _, address = left[0]
                attempts.append(loop.create_task(_connect(family, protocol, address, timeout)))
            going = [attempt for attempt in attempts if not attempt.done()]
            if not going:
                raise failure
            patience = NEXT_ADDRESS if left[1:] else None
            done, _ = await asyncio.wait(going, timeout=patience, return_when=asyncio.FIRST_COMPLETED)
            for attempt in done:
                error = attempt.exception()
                if error is None:
                    winner = attempt
                    return attempt.result()
                failure = error
    finally:
        failure = OSError()  # which would otherwise refer to this frame, and be referred to by it
        losers = [attempt for attempt in attempts if attempt is not winner]
        for attempt in losers:
            attempt.cancel()
            attempt.add_done_callback(_discard)
        try:
            if losers:
                await asyncio.wait(losers)
        except asyncio.CancelledError:
            if winner is not None:
                _discard(winner)
            raise


async def _connect(family: int, protocol: int, address: Any, timeout: Optional[float]) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM, protocol)
    try:
        sock.setblocking(False)
        if family != getattr(socket, 'AF_UNIX', None):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # small frames are not held back
        connecting = asyncio.get_running_loop().sock_connect(sock, address)
        await _within(timeout, connecting, f'no connection to {address}')
        return sock
    except BaseException:
        sock.close()
        raise


async def _within(timeout: Optional[float], coroutine: Coroutine[Any, Any, Any], lack: str) -> Any:
    try:
        return await asyncio.wait_for(coroutine, timeout)
    except asyncio.TimeoutError:
        raise TimeoutError(f'{lack} within {timeout:g} s') from None


def _discard(attempt: asyncio.Future[socket.socket]) -> None:
    """Close the socket of an attempt that nobody waits for any more."""
    if not attempt.cancelled() and attempt.exception() is None:
        attempt.result().close()
