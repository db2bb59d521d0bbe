"""A cable between a client and a server, which can be cut in two ways; it knows nothing of what goes over it."""

from __future__ import annotations

import contextlib
import select
import socket
import struct
import threading

TIMEOUT = 10.0  # seconds
BLOCK = 65536


def reset(sock: socket.socket) -> None:
    """Close a socket so that its peer gets an RST."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
    sock.close()


class Wire:
    """Carries one connection to *port* on loopback, in a thread; a context manager.

    :ivar port: where the client connects to.
    """

    def __init__(self, port: int) -> None:
        self._target = port
        self._listener = socket.create_server(('127.0.0.1', 0))
        self.port: int = self._listener.getsockname()[1]
        self._ours, self._bell = socket.socketpair()
        self._thread = threading.Thread(target=self._run, name='wire', daemon=True)

    def reset(self) -> None:
        """Both ends get an RST."""
        self._end(b'R')

    def cut(self) -> None:
        """Both ends get a FIN, and nothing more."""
        self._end(b'F')

    def __enter__(self) -> Wire:
        self._thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.cut()
        for sock in (self._listener, self._ours, self._bell):
            sock.close()

    def _end(self, how: bytes) -> None:
        self._ours.send(how)
        self._thread.join(TIMEOUT)
        assert not self._thread.is_alive()

    def _run(self) -> None:
        if self._bell in select.select([self._listener, self._bell], [], [])[0]:
            return  # nobody came
        near = self._listener.accept()[0]
        far = socket.create_connection(('127.0.0.1', self._target), TIMEOUT)
        for sock in (near, far):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._carry(near, far)
        how = self._bell.recv(1)  # an end that has come by itself is kept until it is asked for
        for sock in (near, far):
            reset(sock) if how == b'R' else sock.close()

    def _carry(self, near: socket.socket, far: socket.socket) -> None:
        others = {near: far, far: near}
        while others:
            for sock in select.select([*others, self._bell], [], [])[0]:
                if sock is self._bell:
                    return
                with contextlib.suppress(OSError):
                    data = sock.recv(BLOCK)
                    if data:
                        (far if sock is near else near).sendall(data)
                        continue
                    (far if sock is near else near).shutdown(socket.SHUT_WR)
                del others[sock]
