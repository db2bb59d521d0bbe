"""What the ``on_…`` modules have in common: the signals that end a server, and TLS from two files."""

from __future__ import annotations

import contextlib
import signal
import ssl
from collections.abc import Iterator
from typing import Any, Callable, NamedTuple, Optional

__all__ = ['TLSFiles', 'signals']


class TLSFiles(NamedTuple):
    """PEM files: the certificate chain, and its private key where that is a file of its own."""

    certificate: str
    key: Optional[str] = None

    def context(self) -> ssl.SSLContext:
        """TLS for a server.

        :raises OSError: a file cannot be read, or is not what it should be.
        """
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(self.certificate, self.key)
        return context


@contextlib.contextmanager
def signals(stop: Callable[[], object]) -> Iterator[None]:
    """In the ``with`` block SIGINT (Ctrl-C) and SIGTERM call ``stop``, once: a second one does what it did before.

    For the main thread, to which Python delivers signals. ``stop`` interrupts whatever that is doing, and so may do no
    more than set an event, or start a thread.
    """
    previous: dict[int, Any] = {}

    def restore() -> None:
        for number, handler in previous.items():
            signal.signal(number, handler)

    def handle(signum: int, frame: object) -> None:
        restore()
        stop()

    for number in (signal.SIGINT, signal.SIGTERM):
        previous[number] = signal.signal(number, handle)
    try:
        yield
    finally:
        restore()
