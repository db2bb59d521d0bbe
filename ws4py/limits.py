"""Every bound of ws4py in one place: how much, how many, how long.

A connection is given one :class:`Limits` object and never asks anywhere else. The defaults are safe on the open
internet. To change some of them for a handler class::

    class Upload(WebSocket):
        limits = Limits(message_size=256 * 2**20, idle_timeout=60)

Sizes are bytes, times are seconds, None in place of a time or a number of connections means "no bound"; only a closing
handshake always has one.
Objects are immutable and shared between threads.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional

__all__ = ['DEFAULT_LIMITS', 'Limits']

KIB = 1024
MIB = 1024 * KIB


@dataclass(frozen=True)
class Limits:
    """The bounds of one connection, and of the number of connections of a server that is given this object.

    :ivar message_size: a received message may have this many bytes; a longer one is refused with 1009 as soon as a
        frame header announces it.
    :ivar fragments: … and may come in this many frames (1009).
    :ivar head_size: bytes of the whole head of a request or a response, its first line and headers.
    :ivar headers: number of header lines in it.
    :ivar line_size: bytes of its request target (414 when longer) and of any header line (431).
    :ivar connect_timeout: seconds for the TCP or Unix connection of a client, for each address tried.
    :ivar handshake_timeout: seconds for the whole opening handshake (TLS, request and response), however the bytes
        trickle in.
    :ivar close_timeout: seconds that the peer has to answer a Close frame and, where it is the peer's turn, to end
        the TCP connection.
    :ivar idle_timeout: seconds without a byte from the peer after which the connection is closed with 1001.
    :ivar ping_interval: seconds between pings that are sent by themselves.
    :ivar ping_timeout: seconds in which such a ping must be followed by bytes from the peer, else 1011.
    :ivar send_timeout: seconds that a sender waits for room when the connection's queue is full.
    :ivar write_high_water: bytes waiting to be sent above which nothing more is read from that peer and senders
        in other threads wait.
    :ivar write_limit: bytes waiting to be sent above which ``slow_consumer`` decides.
    :ivar slow_consumer: ``'disconnect'`` ends the connection, ``'drop'`` drops the message that did not fit; but
        one that has begun in fragments is sent to its end, however long.
    :ivar connections: websockets that a server has open at the same time; an upgrade beyond that is answered with 503.
    :ivar connections_per_peer: … and from the same address (429), of IPv6 from the same /64 network. Peers on Unix
        sockets have no address and are not counted.
    :raises ValueError: a bound that makes no sense, such as a ``write_limit`` below ``write_high_water``.
    """

    message_size: int = 16 * MIB
    fragments: int = 131_072
    head_size: int = 64 * KIB
    headers: int = 128
    line_size: int = 8 * KIB
    connect_timeout: Optional[float] = 10.0
    handshake_timeout: Optional[float] = 10.0
    close_timeout: float = 10.0
    idle_timeout: Optional[float] = None
    ping_interval: Optional[float] = None
    ping_timeout: Optional[float] = 20.0
    send_timeout: Optional[float] = 10.0
    write_high_water: int = 1 * MIB
    write_limit: int = 8 * MIB
    slow_consumer: str = 'disconnect'
    connections: Optional[int] = None
    connections_per_peer: Optional[int] = None

    def __post_init__(self) -> None:
        if not isinstance(self.close_timeout, (int, float)):
            raise ValueError(f'close_timeout is a number of seconds, not {self.close_timeout!r}')
        if self.fragments < 1:
            raise ValueError(f'a message comes in at least one fragment, not in {self.fragments}')
        if self.slow_consumer not in ('disconnect', 'drop'):
            raise ValueError(f"slow_consumer is 'disconnect' or 'drop', not {self.slow_consumer!r}")
        if self.write_limit < self.write_high_water:
            raise ValueError(
                f'write_limit ({self.write_limit}) may not be below write_high_water ({self.write_high_water})'
            )


DEFAULT_LIMITS = Limits()
