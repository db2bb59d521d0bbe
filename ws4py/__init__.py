"""ws4py: WebSocket (RFC 6455) for Python, one handler class for every kind of server and client.

This file holds the constants of the protocol and the two helpers for logging that applications know from ws4py 0.x.
It imports nothing else of the package, so that ``import ws4py`` costs next to nothing. Any thread may call it.
"""

from __future__ import annotations

import logging
import sys
from typing import Any, Optional

__version__ = '1.0.0'
__all__ = ['WS_KEY', 'WS_VERSION', 'configure_logger', 'format_addresses']

#: The GUID that goes with the client's key into ``Sec-WebSocket-Accept`` (RFC 6455 section 1.3).
WS_KEY = b'258EAFA5-E914-47DA-95CA-C5AB0DC85B11'

#: The protocol versions that 0.x named. Only 13, the one of RFC 6455, is spoken.
WS_VERSION = (8, 13)

_LOG_FORMAT = '[%(asctime)s] %(levelname)s %(message)s'
_LOG_FILE_SIZE = 10 * 1024 * 1024  # bytes, then the file is rotated
_LOG_FILE_COUNT = 3


def configure_logger(stdout: bool = True, filepath: Optional[str] = None, level: int = logging.INFO) -> logging.Logger:
    """Add handlers to the logger ``'ws4py'`` and return it; call it once, every call adds its handlers.

    :param stdout: write to the standard output of this moment.
    :param filepath: write to this file as well, rotated at 10 MiB, three old ones are kept.
    :param level: least level of the logger and of the handlers added here.
    :raises OSError: the file cannot be opened.
    """
    logger = logging.getLogger('ws4py')
    logger.setLevel(level)
    handlers: list[logging.Handler] = []
    if filepath:
        # Imported where it is used: it pulls in socket, pickle and queue.
        from logging.handlers import RotatingFileHandler

        handlers.append(RotatingFileHandler(filepath, maxBytes=_LOG_FILE_SIZE, backupCount=_LOG_FILE_COUNT))
    if stdout:
        handlers.append(logging.StreamHandler(sys.stdout))
    for handler in handlers:
        handler.setLevel(level)
        handler.setFormatter(logging.Formatter(_LOG_FORMAT))
        logger.addHandler(handler)
    return logger


def format_addresses(ws: Any) -> str:
    """Both ends of the websocket *ws* for a log line, or the path of its Unix socket.

    ``[Local => 127.0.0.1:52300 | Remote => 127.0.0.1:4800]``, else ``[Bound to '/tmp/chat.sock']``.

    :param ws: anything with ``local_address`` and ``peer_address``.
    """
    local, peer = ws.local_address, ws.peer_address
    if isinstance(local, tuple) and isinstance(peer, tuple):
        return f'[Local => {local[0]}:{local[1]} | Remote => {peer[0]}:{peer[1]}]'
    # The client's end of a Unix socket has no name, the server's has.
    return f"[Bound to '{local or peer}']"
