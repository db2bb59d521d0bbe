"""A server that systemd starts, with its socket or without: ws4py.service runs python example/systemd_asyncio_server.py

It takes the socket that ws4py.socket listens on, says when it is ready, and ends at SIGTERM with a goodbye to all.
"""

import asyncio
import contextlib
import os
import signal
import socket

from serving import options, tell

from ws4py.limits import Limits
from ws4py.server.asyncioserver import serve
from ws4py.websocket import EchoWebSocket

FIRST = 3  # the file descriptor, as sd_listen_fds(3) has it


def inherited():
    """The socket that systemd has passed on, or None."""
    if os.environ.get('LISTEN_PID') == str(os.getpid()) and os.environ.get('LISTEN_FDS') == '1':
        return socket.socket(fileno=FIRST)
    return None


def notify(state):
    """Tell systemd (sd_notify(3)), if it is there."""
    address = os.environ.get('NOTIFY_SOCKET', '')
    if address:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
            sock.connect('\0' + address[1:] if address[0] == '@' else address)
            sock.sendall(state)


async def main(host, port):
    sock = inherited()
    where = {'sock': sock} if sock else {'host': host, 'port': port}
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    async with serve(EchoWebSocket, limits=Limits(connections=10_000, ping_interval=20), **where) as server:
        name = server.sockets[0].getsockname()
        tell(host, name if isinstance(name, str) else name[1])
        notify(b'READY=1')
        await stopped.wait()
        notify(b'STOPPING=1')


if __name__ == '__main__':
    chosen = options(__doc__).parse_args()
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(main(chosen.host, chosen.port))
