"""A client and a server joined in memory: both handlers, the opening handshake and every byte between them, no sockets.

::

    pair = Pair(EchoWebSocket)
    pair.client.send('hello')       # on its way
    pair.deliver()                  # there, and the answer back
    pair.client.messages            # ['hello']

What is sent travels in one of two lines, ``to_server`` and ``to_client``, and stays there until :meth:`Pair.deliver` is
called: so a hook is never called from inside a ``send()``, as in real life, and a test can look at what is on its way,
deliver it byte by byte, cut it anywhere, let time pass meanwhile, or lose it.

All else is real: the handshake with its subprotocols and extensions, the limits, the state, and how a connection ends.
Both ends are driven by :class:`~ws4py.testing.SteppedDriver`. There are no threads and no waiting.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Sequence
from functools import partial
from typing import Any, Callable, Optional

from ws4py.admission import Admission
from ws4py.client import WebSocketBaseClient
from ws4py.extensions import Configured
from ws4py.handshake import Accepted, environ_of
from ws4py.http11 import Request
from ws4py.policy import Policy
from ws4py.testing.clock import Clock
from ws4py.testing.scripted import answer_to
from ws4py.testing.stepping import SteppedDriver
from ws4py.testing.wire import WireFrame, parse_frames
from ws4py.websocket import WebSocket

__all__ = ['Line', 'MemorySocket', 'Pair', 'RecordingClient']

SERVER, CLIENT = ('127.0.0.1', 9000), ('127.0.0.1', 50000)  # the addresses that the two ends tell


class RecordingClient(WebSocketBaseClient):
    """A client that writes down what it is told.

    :ivar messages: the messages received, text as str and binary as bytes.
    :ivar pings: the payloads of the pings received, bytes.
    :ivar pongs: the same of the pongs.
    :ivar errors: what has broken the connection.
    """

    def _prepare(self) -> None:
        self.messages: list[Any] = []
        self.pings: list[bytes] = []
        self.pongs: list[bytes] = []
        self.errors: list[Exception] = []

    def received_message(self, message: Any) -> None:
        """Keep it."""
        self.messages.append(message.data.decode() if message.is_text else message.data)

    def pinged(self, ping: Any) -> None:
        """Keep its payload."""
        self.pings.append(ping.data)

    def ponged(self, pong: Any) -> None:
        """Keep its payload."""
        self.pongs.append(pong.data)

    def unhandled_error(self, error: Exception) -> None:
        """Keep it."""
        self.errors.append(error)


class Line:
    """The way from one end to the other. For one thread; a :class:`Pair` has two.

    :ivar room: bytes that may be on their way at a time; what is more waits in the sender's outbox, as with a peer that
        does not read. None for any number.
    """

    def __init__(self) -> None:
        self.room: Optional[int] = None
        self._data = bytearray()
        self._arrived = bytearray()
        self._ended = False  # the sender sends nothing more
        self._end_arrived = False
        self._lost: Optional[OSError] = None
        self.sender: Any = None  # drivers
        self.receiver: Any = None

    @property
    def data(self) -> bytes:
        """What is on its way."""
        return bytes(self._data)

    @property
    def frames(self) -> list[WireFrame]:
        """The same as frames; what is not a whole one, because it was cut by :meth:`deliver`, is left out.

        :raises ProtocolException, FrameTooLargeException: it does not begin with a frame.
        """
        return parse_frames(self.data)

    def inject(self, data: bytes) -> None:
        """Put *data* behind what is on its way, as if the sender had sent it: for what no sender of ours would send."""
        self._data += data

    def deliver(self, size: Optional[int] = None) -> int:
        """Let what is on its way arrive, in one read, if the receiver reads.

        :param size: bytes at most; None for all of it.
        :returns: how many bytes that were; 1 also for the end.
        """
        if not self.receiver.reads:
            return 0
        piece = self._data[:size]
        del self._data[: len(piece)]
        self._arrived += piece
        ends = self._ended and not self._data and not self._end_arrived and not (piece and size is not None)
        self._end_arrived = self._end_arrived or ends
        self.receiver.run()
        self.sender.run()  # there is room again
        return len(piece) or int(ends)

    def lose(self, error: Optional[OSError]) -> None:
        """What is on its way is lost, and the receiver finds *error*; None for an end."""
        self._data.clear()
        self._ended, self._lost = True, error


class MemorySocket:
    """The face of a socket that does not block, between two lines. For one thread.

    :param outgoing: where to send.
    :param incoming: where to receive from.
    """

    def __init__(self, outgoing: Line, incoming: Line, address: Any, peer: Any) -> None:
        self._outgoing, self._incoming = outgoing, incoming
        self._address, self._peer = address, peer
        self.closed = False

    @property
    def holds_input(self) -> bool:
        """True while ``recv`` has something to say."""
        incoming = self._incoming
        return bool(incoming._arrived) or incoming._end_arrived

    @property
    def has_room(self) -> bool:
        """True while ``send`` takes something, or has an error to tell."""
        outgoing = self._outgoing
        return outgoing.room is None or len(outgoing._data) < outgoing.room or outgoing._ended

    def recv(self, size: int) -> bytes:
        """What has arrived; b'' at the end.

        :raises OSError: nothing has (EAGAIN), or the connection was lost.
        """
        incoming = self._incoming
        if incoming._arrived:
            data = bytes(incoming._arrived[:size])
            del incoming._arrived[:size]
            return data
        if not incoming._end_arrived:
            raise BlockingIOError(errno.EAGAIN, 'nothing has arrived')
        if incoming._lost is not None:
            raise type(incoming._lost)(*incoming._lost.args)
        return b''

    def send(self, data: Any) -> int:
        """Send as much of *data* as there is room for.

        :raises OSError: there is none (EAGAIN), or the connection was lost or ended (EPIPE).
        """
        outgoing = self._outgoing
        if self.closed or outgoing._ended:
            raise BrokenPipeError(errno.EPIPE, 'the connection has ended')
        room = len(data) if outgoing.room is None else max(0, outgoing.room - len(outgoing._data))
        if data and not room:
            raise BlockingIOError(errno.EAGAIN, 'there is no room')
        piece = bytes(data[:room])
        outgoing._data += piece
        return len(piece)

    def sendall(self, data: Any) -> None:
        """Send all of *data*, whatever room there is.

        :raises OSError: the connection was lost or ended (EPIPE).
        """
        if self.closed or self._outgoing._ended:
            raise BrokenPipeError(errno.EPIPE, 'the connection has ended')
        self._outgoing._data += bytes(data)

    def shutdown(self, how: int) -> None:
        """End our half of the connection, behind what is on its way."""
        if how != socket.SHUT_RD:
            self._outgoing._ended = True

    def close(self) -> None:
        """End our half of the connection and hear no more."""
        self.closed = self._outgoing._ended = True

    def setblocking(self, flag: bool) -> None:
        """It never blocks."""

    def settimeout(self, seconds: Optional[float]) -> None:
        """It never blocks."""

    def gettimeout(self) -> Optional[float]:
        """0: it never blocks."""
        return 0

    def fileno(self) -> int:
        """-1: there is no descriptor."""
        return -1

    def getsockname(self) -> Any:
        """Our end's address."""
        return self._address

    def getpeername(self) -> Any:
        """The peer's address."""
        return self._peer


class Pair:
    """A connection of a server with *handler_cls* and a client, both open. For one thread.

    :param handler_cls: makes the server's end, called as a server calls it.
    :param client_cls: makes the client's end, called with the URL, *protocols* and *extensions*: a subclass of
        :class:`~ws4py.client.WebSocketBaseClient`, but not one that is driven by an event loop. It is not told to
        ``connect()``, and ``handshake_ok()`` is not called: no thread is started.
    :param path: the path, and the query, of the URL.
    :param protocols: names of the subprotocols that the client offers.
    :param extensions: what the client offers; the server, unless *policy* says something else, accepts the same.
    :param policy: on what terms the server accepts.
    :param clock: by which the timers of both ends run; None for one of its own.
    :raises HandshakeError: the server has refused the client.
    :ivar server: the server's end, made by *handler_cls*.
    :ivar client: the client's end.
    :ivar to_server: what the client has sent and was not delivered yet, a :class:`Line`.
    :ivar to_client: the same of the server.
    :ivar clock: ``pair.clock.advance(30)`` lets half a minute pass in which nothing gets through.
    """

    def __init__(
        self,
        handler_cls: Callable[..., WebSocket],
        client_cls: Callable[..., Any] = RecordingClient,
        *,
        path: str = '/',
        protocols: Optional[Sequence[str]] = None,
        extensions: Optional[Sequence[Configured]] = None,
        policy: Optional[Policy] = None,
        clock: Optional[Clock] = None,
    ) -> None:
        self.clock = Clock() if clock is None else clock
        self.to_server, self.to_client = Line(), Line()
        self.client: Any = client_cls(f'ws://127.0.0.1:9000{path}', protocols=protocols, extensions=extensions)
        self.client.sock.close()  # which was never connected
        self.client.sock = MemorySocket(self.to_server, self.to_client, CLIENT, SERVER)
        self.server: Any = None
        self._connect(handler_cls, policy or Policy(protocols, extensions))

    def _connect(self, handler_cls: Callable[..., WebSocket], policy: Policy) -> None:
        client = self.client
        client._expect_response()
        request, answer = answer_to(client.handshake_request, policy, CLIENT)
        if isinstance(answer, Accepted):
            self.server = Admission().admit(policy, request, answer, partial(self._make, handler_cls, request, answer))
        client._feed_response(answer.build())
        self._drivers = SteppedDriver(self.server, self.clock), SteppedDriver(client, self.clock)
        self.to_server.receiver, self.to_server.sender = self._drivers
        self.to_client.sender, self.to_client.receiver = self._drivers
        for driver in self._drivers:
            driver.start()

    def _make(self, handler_cls: Callable[..., WebSocket], request: Request, accepted: Accepted) -> WebSocket:
        environ = {**environ_of(request, server=SERVER, client=CLIENT), **request.environ}
        sock = MemorySocket(self.to_client, self.to_server, SERVER, CLIENT)
        return handler_cls(sock, accepted.protocols, accepted.extensions, environ)

    def deliver(self, size: Optional[int] = None, rounds: int = 100_000) -> None:
        """Let everything arrive, and the answers, and the answers to these, until nothing is on its way.

        What a receiver does not read, because too much waits for its own peer, stays on its way.

        :param size: bytes that come in one read at most; 1 is byte by byte. None for no bound.
        :param rounds: so many reads of each end must do.
        :raises RuntimeError: they have not done: the two do not stop talking.
        """
        for _ in range(rounds):
            for driver in self._drivers:
                driver.run()
            if not self.to_server.deliver(size) + self.to_client.deliver(size):
                return
        raise RuntimeError(f'the two ends are still talking after {rounds} rounds')

    def advance(self, seconds: float) -> None:
        """Let *seconds* pass, with everything delivered at once as it is sent; see also :attr:`clock`.

        :raises ValueError: *seconds* is negative.
        :raises RuntimeError: as :meth:`deliver`.
        """
        for _ in self.clock.steps(seconds):
            self.deliver()

    def drop(self, error: Optional[OSError] = None) -> None:
        """The connection breaks: what is on its way is lost, both ends find *error*, and their ``closed()`` is called.

        :param error: what reading raises; None for a peer that has gone without a word, which is an end like any other.
        """
        for line in (self.to_server, self.to_client):
            line.lose(error)
        self.deliver()
