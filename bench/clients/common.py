"""What the clients under test share: whom they connect to, what they count, and what they say in the end.

A client is a script that is run as ``python NAME.py PORT``, takes messages until the server closes, looks at the
length of each, and prints how many there were and of how many bytes: the harness knows how many there must be.
"""

from __future__ import annotations

import logging
import sys


def url() -> str:
    """The server's."""
    logging.disable(logging.CRITICAL)
    return f'ws://127.0.0.1:{int(sys.argv[1])}/'


def conclude(messages: int, size: int) -> None:
    """The server has closed: so many messages came, of so many bytes together."""
    print(messages, size, flush=True)
