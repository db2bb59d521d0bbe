"""Metrics: what goes on in connections, told to observers.

::

    handler_cls = observed(ChatWebSocket, counters)      for any server or client, in place of ChatWebSocket

:func:`observed` makes a subclass of the handler class that tells each :class:`Observer` what happens. Nothing in the
rest of the package knows of it: a class that is not observed pays nothing. :class:`Counters` is an observer that adds
up, for a status page or a log; :mod:`ws4py.prometheus` has one for Prometheus. How much waits to be sent is not told
but looked up (:class:`Connections`), when somebody wants to know.

Here are connections that are open, or were: what a server refuses in the opening handshake never becomes one. Bytes
are those of frames, without the handshake and before TLS.
"""

from __future__ import annotations

import logging
import threading
import weakref
from collections.abc import Awaitable, Iterable
from dataclasses import dataclass, field
from typing import Any, Callable, Optional, TypeVar, Union

from ws4py import closecode
from ws4py.extensions import SharedMessage
from ws4py.framing import FIN, OPCODE_BINARY
from ws4py.messaging import BinaryMessage, Message, TextMessage
from ws4py.streaming import Stream
from ws4py.websocket import WebSocket

__all__ = ['Connections', 'Counters', 'Latency', 'Observer', 'Queues', 'Snapshot', 'close_label', 'observed']

logger = logging.getLogger('ws4py')

Handler = TypeVar('Handler', bound=WebSocket)


class Observer:
    """Is told what happens in connections; to be subclassed. Its methods do nothing.

    They are called in whatever thread (or greenlet) it happens, by several at a time, and sometimes with the
    connection's lock held: they must be quick, wait for nobody, and neither send on a connection nor close one. What
    they raise is logged, and ends nothing. *websocket* is for its attributes; keep no reference to it.
    """

    def opened(self, websocket: WebSocket) -> None:
        """A connection is open; before its own ``opened()``."""

    def closed(self, websocket: WebSocket, code: int) -> None:
        """A connection that was open has ended, with this close code; before its own ``closed()``."""

    def message_received(self, websocket: WebSocket, size: int, binary: bool) -> None:
        """A message of *size* bytes, decompressed, has come; before the handler gets it."""

    def message_sent(self, websocket: WebSocket, size: int, binary: bool) -> None:
        """A message of *size* bytes, before compression, is sent, or waits in the queue."""

    def message_dropped(self, websocket: WebSocket, size: int, binary: bool) -> None:
        """A message of *size* bytes was not sent, because the peer is too slow (``limits.slow_consumer``)."""

    def bytes_received(self, websocket: WebSocket, size: int) -> None:
        """*size* bytes of frames have come."""

    def bytes_sent(self, websocket: WebSocket, size: int) -> None:
        """A frame of *size* bytes is written, or waits in the queue."""

    def latency(self, websocket: WebSocket, seconds: float) -> None:
        """A ping of ``limits.ping_interval`` was answered after so many seconds."""


def observed(handler_cls: type[Handler], *observers: Observer) -> type[Handler]:
    """A subclass of *handler_cls* that tells *observers*; it is used in its place.

    This goes around the finished class: what is derived from an observed one would have to call the ``opened()`` and
    ``closed()`` of its base.

    :raises TypeError: *handler_cls* is observed already, or no handler class.
    """
    if issubclass(handler_cls, _Observed):
        raise TypeError(f'{handler_cls.__name__} is observed already: name all observers in one call')
    names = {name: getattr(handler_cls, name) for name in ('__doc__', '__module__', '__qualname__')}
    return type(handler_cls.__name__, (_Observed, handler_cls), {**names, '_observers': observers})


class _Observed(WebSocket):
    """Stands before a handler class: what passes it is told, then goes on to the handler."""

    _observers: tuple[Observer, ...]
    _seen_open = False

    def _note(self, what: str, *values: Any) -> None:
        """Call this method of each observer; what one raises keeps no other from it."""
        for observer in self._observers:
            try:
                getattr(observer, what)(self, *values)
            except Exception:
                logger.exception('%s() of %r raised', what, observer)

    def opened(self) -> Optional[Awaitable[None]]:
        if not self._seen_open:  # who hands it from one manager to another has it called again
            self._seen_open = True
            self._note('opened')
        return super().opened()  # a coroutine where the handler's is an async def

    def closed(self, code: int, reason: Union[bytes, str, None] = None) -> Optional[Awaitable[None]]:
        if self._seen_open:
            self._seen_open = False  # a client may connect again
            self._note('closed', code)
        return super().closed(code, reason)

    def process(self, data: bytes) -> bool:
        if data:
            self._note('bytes_received', len(data))
        return super().process(data)

    def _deliver(self, message: Union[TextMessage, BinaryMessage]) -> bool:
        self._note('message_received', len(message.data), message.opcode == OPCODE_BINARY)
        return super()._deliver(message)

    def _handle_pings(self, stream: Stream) -> bool:
        before = self.latency
        going = super()._handle_pings(stream)
        latency = self.latency  # None where ponged() has called __init__, to connect again
        if latency is not None and latency is not before:  # not `!=`: the next one may be as long
            self._note('latency', latency)
        return going

    def _write(self, data: bytes) -> None:
        super()._write(data)
        self._note('bytes_sent', len(data))

    def _sent(self, sent: bool, size: int, binary: bool) -> bool:
        self._note('message_sent' if sent else 'message_dropped', size, binary)
        return sent

    def _send_at_once(self, first: int, data: bytes, mask: bool, compress: Optional[bool] = None) -> bool:
        if not super()._send_at_once(first, data, mask, compress):
            return False  # it goes the long way, through one of those below
        return self._sent(True, len(data), first == FIN | OPCODE_BINARY)

    def _send_message(self, message: Message, mask: bool, compress: Optional[bool] = None) -> bool:
        sent = super()._send_message(message, mask, compress)
        return self._sent(sent, len(message.data), message.opcode == OPCODE_BINARY)

    def _send_fragments(
        self, build: Callable[[Any], Message], chunks: Iterable[Any], mask: bool, compress: Optional[bool] = None
    ) -> bool:
        size, binary = 0, False

        def counted(chunk: Any) -> Message:
            nonlocal size, binary
            message = build(chunk)
            size, binary = size + len(message.data), message.opcode == OPCODE_BINARY
            return message

        return self._sent(super()._send_fragments(counted, chunks, mask, compress), size, binary)

    def broadcast(self, message: SharedMessage, mask: bool = False) -> bool:
        sent = super().broadcast(message, mask)
        return self._sent(sent, message.size, message.message.opcode == OPCODE_BINARY)


# What observers count with


@dataclass(frozen=True)
class Queues:
    """What waits to be sent in all connections.

    :ivar total: bytes.
    :ivar longest: bytes of the one where most waits.
    """

    total: int
    longest: int


class Connections:
    """Open connections, of which it keeps none alive. Safe from any thread.

    An observer adds a connection when it is opened, and removes it when it is closed.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()  # a finalizer, or a signal, may come back here in the middle
        self._open: weakref.WeakSet[WebSocket] = weakref.WeakSet()

    def add(self, websocket: WebSocket) -> None:
        """It is open."""
        with self._lock:
            self._open.add(websocket)

    def remove(self, websocket: WebSocket) -> None:
        """It is not any more."""
        with self._lock:
            self._open.discard(websocket)

    def __len__(self) -> int:
        with self._lock:
            return len(self._open)

    def queues(self) -> Queues:
        """Look at what waits in each of them."""
        with self._lock:
            websockets = list(self._open)
        sizes = [websocket._queued for websocket in websockets]
        return Queues(sum(sizes), max(sizes, default=0))


def close_label(code: int) -> str:
    """A close code as a name to count by: what is not of RFC 6455 and its registry (1000 to 1015) is ``'other'``.

    A peer may close with any of 3000 to 4999; it must not make as many names.
    """
    return str(code) if closecode.NORMAL_CLOSURE <= code <= closecode.TLS_HANDSHAKE else 'other'


@dataclass(frozen=True)
class Latency:
    """How long pings took to be answered.

    :ivar count: pings.
    :ivar total: seconds of all of them.
    :ivar longest: seconds of the slowest.
    :ivar last: seconds of the latest; 0 before the first.
    """

    count: int = 0
    total: float = 0.0
    longest: float = 0.0
    last: float = 0.0


@dataclass(frozen=True)
class Snapshot:
    """What :class:`Counters` has counted since it was made; nothing in it changes any more.

    :ivar connections: that are open now.
    :ivar opened: that were opened.
    :ivar closes: how many have ended, by :func:`close_label`.
    :ivar text_received: text messages.
    :ivar binary_received: binary messages.
    :ivar text_sent: text messages sent or in a queue.
    :ivar binary_sent: binary messages, the same.
    :ivar dropped: messages not sent, because the peer was too slow.
    :ivar bytes_received: bytes of frames.
    :ivar bytes_sent: bytes of frames, sent or in a queue.
    :ivar latency: of pings.
    :ivar queues: what waits to be sent now.
    """

    connections: int = 0
    opened: int = 0
    closes: dict[str, int] = field(default_factory=dict)
    text_received: int = 0
    binary_received: int = 0
    text_sent: int = 0
    binary_sent: int = 0
    dropped: int = 0
    bytes_received: int = 0
    bytes_sent: int = 0
    latency: Latency = Latency()
    queues: Queues = Queues(0, 0)


class Counters(Observer):
    """Counts what it is told; :meth:`snapshot` has the numbers. Safe from any thread."""

    def __init__(self) -> None:
        self._connections = Connections()
        self._lock = threading.RLock()  # as above
        self._counts: dict[str, int] = {}
        self._closes: dict[str, int] = {}
        self._latency = Latency()

    def snapshot(self) -> Snapshot:
        """The numbers of this moment. It looks at each open connection once."""
        queues = self._connections.queues()
        with self._lock:
            return Snapshot(
                connections=len(self._connections),
                closes=dict(self._closes),
                latency=self._latency,
                queues=queues,
                **self._counts,
            )

    def opened(self, websocket: WebSocket) -> None:
        """See :meth:`Observer.opened`."""
        self._connections.add(websocket)
        self._add('opened', 1)

    def closed(self, websocket: WebSocket, code: int) -> None:
        """See :meth:`Observer.closed`."""
        self._connections.remove(websocket)
        label = close_label(code)
        with self._lock:
            self._closes[label] = self._closes.get(label, 0) + 1

    def message_received(self, websocket: WebSocket, size: int, binary: bool) -> None:
        """See :meth:`Observer.message_received`."""
        self._add('binary_received' if binary else 'text_received', 1)

    def message_sent(self, websocket: WebSocket, size: int, binary: bool) -> None:
        """See :meth:`Observer.message_sent`."""
        self._add('binary_sent' if binary else 'text_sent', 1)

    def message_dropped(self, websocket: WebSocket, size: int, binary: bool) -> None:
        """See :meth:`Observer.message_dropped`."""
        self._add('dropped', 1)

    def bytes_received(self, websocket: WebSocket, size: int) -> None:
        """See :meth:`Observer.bytes_received`."""
        self._add('bytes_received', size)

    def bytes_sent(self, websocket: WebSocket, size: int) -> None:
        """See :meth:`Observer.bytes_sent`."""
        self._add('bytes_sent', size)

    def latency(self, websocket: WebSocket, seconds: float) -> None:
        """See :meth:`Observer.latency`."""
        with self._lock:
            past = self._latency
            self._latency = Latency(past.count + 1, past.total + seconds, max(past.longest, seconds), seconds)

    def _add(self, name: str, amount: int) -> None:
        with self._lock:
            self._counts[name] = self._counts.get(name, 0) + amount
