"""Reading and writing a blocking connection from two threads at once.

A plain socket allows that by itself. An ``ssl`` object must never be in two calls at the same moment, and a call on a
blocking one lasts as long as the peer likes. So a TLS socket is made non-blocking, every call on it is short and under
a lock, and the waiting is done outside: reader and writer never stand in each other's way.

Called by :mod:`ws4py.websocket` from any thread. Real sockets only.
"""

from __future__ import annotations

import contextlib
import errno
import select
import socket
import ssl
import threading
from typing import Optional, Union

__all__ = ['has_room', 'recv_on', 'recv_tls', 'sendall_tls', 'wait']

RECORD = 16 * 1024  # bytes that a record of TLS has at most (RFC 8446 section 5.1)

Buffer = Union[bytes, bytearray, memoryview]


def wait(sock: socket.socket, write: bool, timeout: Optional[float]) -> bool:
    """Wait until *sock* is ready to be read, or to be written; False after *timeout* seconds.

    :raises OSError: it was closed meanwhile.
    """
    try:
        if hasattr(select, 'poll'):  # which has no limit on the descriptor's number
            poller = select.poll()
            poller.register(sock, select.POLLOUT if write else select.POLLIN)
            return bool(poller.poll(None if timeout is None else timeout * 1000))
        readers, writers = ([], [sock]) if write else ([sock], [])
        return any(select.select(readers, writers, [], timeout))
    except ValueError as error:  # its descriptor is -1 by now
        raise OSError(errno.EBADF, f'the socket cannot be waited for: {error}') from error


def has_room(sock: Optional[socket.socket]) -> bool:
    """True when a small frame can be written to *sock* without waiting for the peer to read."""
    with contextlib.suppress(OSError):  # closed meanwhile
        return sock is not None and wait(sock, write=True, timeout=0)
    return False


def recv_on(sock: ssl.SSLSocket, data: bytes, size: int) -> bytes:
    """*data*, received from a TLS socket that does not block, and what has come behind it; at most *size* bytes.

    One ``recv`` gives no more than one record. A full one is part of something large, of which more is likely to be
    there: reading on costs less than coming back.

    :raises OSError: as ``recv`` does, but for an end, which is left for the next call. OpenSSL says only once what is
        wrong; what was received before goes with it.
    """
    parts, size = [data], size - len(data)
    with contextlib.suppress(ssl.SSLWantReadError, ssl.SSLWantWriteError, ssl.SSLEOFError):
        while size > 0 and len(data) == RECORD:
            data = sock.recv(size)
            parts.append(data)
            size -= len(data)
    return b''.join(parts)


def recv_tls(sock: ssl.SSLSocket, size: int, lock: threading.Lock, timeout: Optional[float]) -> bytes:
    """At most *size* bytes from a TLS socket; b'' at its end.

    :raises TimeoutError: nothing came within *timeout* seconds.
    :raises OSError: as ``recv`` does.
    """
    while True:
        write = False
        with lock:
            sock.setblocking(False)
            try:
                return recv_on(sock, sock.recv(size), size)
            except ssl.SSLWantReadError:
                pass
            except ssl.SSLWantWriteError:
                write = True
            except ssl.SSLEOFError:  # the peer went without a close_notify; our frames tell whether it had finished
                return b''
        if not wait(sock, write, timeout):
            raise TimeoutError(f'nothing was received within {timeout} s')


def sendall_tls(sock: ssl.SSLSocket, data: Buffer, lock: threading.Lock) -> None:
    """Write all of *data* to a TLS socket.

    :raises OSError: as ``send`` does.
    """
    view = memoryview(data)
    while view:
        write = True
        with lock:
            sock.setblocking(False)
            try:
                view = view[sock.send(view) :]
                continue
            except ssl.SSLWantWriteError:
                pass
            except ssl.SSLWantReadError:
                write = False
        wait(sock, write, None)
