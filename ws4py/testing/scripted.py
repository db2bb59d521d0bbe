"""A socket that says what a script has it say, and keeps what it is told.

It takes the place of a real one wherever ws4py has a socket: given to a :class:`~ws4py.websocket.WebSocket`, assigned
to a client's ``sock`` before ``connect()``, or driven without blocking by a
:class:`~ws4py.testing.SteppedDriver`::

    sock = ScriptedSocket(accepting(), text('hello'), ConnectionResetError())
    client.sock = sock
    client.connect()
    client.run()
    sock.frames                 # what the client has sent

So a test reads as a list of what happens, and an error comes exactly where it is wanted. Nothing waits.
"""

from __future__ import annotations

import errno
import io
import socket
from collections import deque
from collections.abc import Iterable
from typing import Any, Callable, Optional, Union

from ws4py.handshake import Accepted, Refused
from ws4py.http11 import Request
from ws4py.policy import Policy
from ws4py.testing.wire import WireFrame, parse_frames

__all__ = ['EOF', 'WOULD_BLOCK', 'ScriptedSocket', 'accepting', 'answer_to']

#: In a script: the peer has ended its half of the connection. Every read from then on says so.
EOF = b''
#: In a script: nothing is there at the moment, or there is no room.
WOULD_BLOCK = BlockingIOError(errno.EAGAIN, 'nothing at the moment, says the script')

END_OF_HEAD = b'\r\n\r\n'

Received = Union[bytes, BaseException, Callable[['ScriptedSocket'], bytes]]
Taken = Union[int, BaseException]


class ScriptedSocket:
    """A socket that plays *script*. For one thread.

    :param script: what each ``recv`` gives: bytes (those beyond the size asked for stay for the next one),
        :data:`EOF`, an exception, which is raised, :data:`WOULD_BLOCK` among them; or a function that is called with
        this socket and gives the bytes, for an answer to what was sent, such as :func:`accepting`. After the last one
        a socket that blocks gives ``b''``, because nobody is there any more; one that does not raises BlockingIOError,
        because more may be added with :meth:`feed`.
    :param takes: what each ``send`` does: a number of bytes that it takes at most, or an exception, which it raises.
        After the last one it takes everything.
    :param address: ``(host, port)`` of our end.
    :param peer: ``(host, port)`` of the peer.
    :ivar writes: what was sent, in the pieces that were taken.
    :ivar connected_to: the address that ``connect()`` was called with.
    :ivar shut: the directions that ``shutdown()`` was called with.
    :ivar closed: ``close()`` was called.
    """

    def __init__(
        self,
        *script: Received,
        takes: Iterable[Taken] = (),
        address: tuple[str, int] = ('127.0.0.1', 9000),
        peer: tuple[str, int] = ('127.0.0.1', 50000),
    ) -> None:
        self._script: deque[Received] = deque(script)
        self._takes: deque[Taken] = deque(takes)
        self._address, self._peer = address, peer
        self._timeout: Optional[float] = None
        self.writes: list[bytes] = []
        self.connected_to: Any = None
        self.shut: list[int] = []
        self.closed = False

    # For the test

    def feed(self, *script: Received) -> None:
        """Add to what ``recv`` gives."""
        self._script.extend(script)

    def take(self, *takes: Taken) -> None:
        """Add to what ``send`` does."""
        self._takes.extend(takes)

    @property
    def sent(self) -> bytes:
        """All that was sent."""
        return b''.join(self.writes)

    @property
    def head(self) -> bytes:
        """The request, or the response, that was sent first; b'' when there was none."""
        data = self.sent
        if not data.startswith((b'GET ', b'HTTP/')):  # which no frame begins with: its opcode or its bits are reserved
            return b''
        return data[: data.find(END_OF_HEAD) + len(END_OF_HEAD)] if END_OF_HEAD in data else data

    @property
    def frames(self) -> list[WireFrame]:
        """The frames that were sent, behind a request or a response if there is one; one that was cut is left out.

        :raises ProtocolException, FrameTooLargeException: something else was sent.
        """
        return parse_frames(self.sent[len(self.head) :])

    @property
    def holds_input(self) -> bool:
        """True while the script goes on."""
        return bool(self._script)

    @property
    def has_room(self) -> bool:
        """True: what comes of a ``send`` is in the script."""
        return True

    # What a socket has

    def recv(self, size: int) -> bytes:
        """The next of the script.

        :raises OSError: it is closed (EBADF), or does not block and has nothing to say (EAGAIN).
        :raises BaseException: the script says so.
        """
        self._check_open()
        if not self._script:
            if self._timeout == 0:
                raise WOULD_BLOCK.with_traceback(None)
            return EOF
        item = self._script.popleft()
        if isinstance(item, BaseException):
            raise item.with_traceback(None)
        data = item(self) if callable(item) else item
        if not data:
            self._script.clear()
            self._script.append(EOF)
        elif len(data) > size:
            self._script.appendleft(data[size:])
        return data[:size]

    def send(self, data: Any) -> int:
        """Keep as much of *data* as the script lets through; the answer is how many bytes that are.

        :raises OSError: it is closed (EBADF).
        :raises BaseException: the script says so.
        """
        self._check_open()
        taken = self._takes.popleft() if self._takes else len(data)
        if isinstance(taken, BaseException):
            raise taken.with_traceback(None)
        piece = bytes(data[:taken])
        if piece:
            self.writes.append(piece)
        return len(piece)

    def sendall(self, data: Any) -> None:
        """Keep all of *data*, in as many pieces as the script makes of it.

        :raises BaseException: as :meth:`send`.
        """
        rest = memoryview(data)
        while rest:
            rest = rest[self.send(rest) :]

    def connect(self, address: Any) -> None:
        """Note where to."""
        self._check_open()
        self.connected_to = address

    def settimeout(self, seconds: Optional[float]) -> None:
        """Note it; 0 makes this a socket that does not block, nothing else matters."""
        self._timeout = seconds

    def gettimeout(self) -> Optional[float]:
        """What was set, in seconds."""
        return self._timeout

    def setblocking(self, flag: bool) -> None:
        """As with any socket."""
        self._timeout = None if flag else 0

    def setsockopt(self, *args: object) -> None:
        """Nothing."""

    def shutdown(self, how: int) -> None:
        """Note it; nothing is sent any more when it was SHUT_WR or SHUT_RDWR.

        :raises OSError: it is closed (EBADF).
        """
        self._check_open()
        self.shut.append(how)
        if how != socket.SHUT_RD:
            self._takes.clear()
            self._takes.append(BrokenPipeError(errno.EPIPE, 'sent after the shutdown'))

    def close(self) -> None:
        """Nothing is read or sent any more. Closing it again does no harm."""
        self.closed = True

    def fileno(self) -> int:
        """
        :raises io.UnsupportedOperation: (an OSError) it is no socket of the operating system's.
        """
        raise io.UnsupportedOperation('a scripted socket has no descriptor')

    def getsockname(self) -> tuple[str, int]:
        """Our end's address."""
        return self._address

    def getpeername(self) -> tuple[str, int]:
        """The peer's address."""
        return self._peer

    def _check_open(self) -> None:
        if self.closed:
            raise OSError(errno.EBADF, 'the socket is closed')


def accepting(policy: Optional[Policy] = None) -> Callable[[ScriptedSocket], bytes]:
    """For the script of a client's socket: the response of a server.

    :param policy: whom it lets in; None for everybody.
    """

    def respond(sock: ScriptedSocket) -> bytes:
        decision = answer_to(sock.head, policy or Policy())[1]
        return decision.build()

    return respond


def answer_to(head: bytes, policy: Policy, peer: Any = None) -> tuple[Request, Union[Accepted, Refused]]:
    """The request, and the decision on it.

    :param peer: the address of the client, ``(host, port)``.
    :raises HTTPError: the head is no request.
    """
    request = policy.resolve(Request.parse(head, policy.bounds, peer_address=peer))
    return request, policy.decide(request)
