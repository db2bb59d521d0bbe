"""The limit of a server in Python: it reads, counts bytes, and answers with frames that are there already.

It looks at nothing. That the key in the handshake and the payload are those of ``load.c`` is agreed upon beforehand.
"""

from __future__ import annotations

import select
import socket
from typing import Any

from common import announce, parse_arguments

ANSWER = (
    b'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n'
    b'Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n'
)
BLOCK = 256 * 1024  # bytes of one read, into a buffer that is kept: with a new one each time malloc would map its pages


def main() -> None:
    arguments = parse_arguments()
    size = arguments.size
    width = b'' if size < 126 else size.to_bytes(2, 'big') if size < 65536 else size.to_bytes(8, 'big')
    code = size if size < 126 else 126 if size < 65536 else 127
    frame = bytes((0x82, code)) + width + bytes((i * 151 + i // 256 + 7) % 256 for i in range(size))
    incoming = len(frame) + 4  # bytes of the client's frame: that of the masking key more
    block = bytearray(BLOCK)

    listener = socket.create_server(('127.0.0.1', arguments.port), backlog=1024)
    poller = select.epoll()
    poller.register(listener, select.EPOLLIN)
    peers: dict[int, Any] = {}
    announce(listener.getsockname()[1])
    while True:
        for fd, _ in poller.poll():
            if fd == listener.fileno():
                sock = listener.accept()[0]
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                peers[sock.fileno()] = [sock, None]
                poller.register(sock, select.EPOLLIN)
                continue
            peer = peers[fd]
            sock, have = peer
            try:
                got = sock.recv_into(block)
                if not got:
                    raise ConnectionResetError
                if have is None:  # the whole request is in the first read
                    sock.sendall(ANSWER)
                    peer[1] = 0
                    continue
                count, peer[1] = divmod(have + got, incoming)
                if count:
                    sock.sendall(frame * count if count > 1 else frame)
            except ConnectionError:
                poller.unregister(fd)
                del peers[fd]
                sock.close()


if __name__ == '__main__':
    main()
