"""Sending: one path for every frame, from any thread.

:class:`Sender` is the sending half of :class:`ws4py.websocket.WebSocket`. It owns the connection's lock and the order
of frames:

- a frame is written whole, under the lock, by ``_write``, which nobody else calls;
- the fragments of one message are never mixed with another data message: the thread that sends them owns the
  connection until the last one, other threads wait their turn, and who may not wait (the thread of a loop, a
  broadcast) leaves its frames to be sent behind the last fragment. Control frames may go in between (RFC 6455
  section 5.4);
- under a manager the socket does not block and frames wait in an :class:`~ws4py.outbox.Outbox`. When that is above
  its high-water mark a sender in another thread waits for room, and who may not wait goes on up to the limit, where
  the policy for slow consumers decides.
"""

from __future__ import annotations

import abc
import functools
import logging
import threading
import time
from collections.abc import Coroutine, Iterable, Iterator
from typing import TYPE_CHECKING, Any, Callable, Optional, Union

from ws4py import closecode
from ws4py.extensions import Codec, Encoder, SharedMessage, whole_frame
from ws4py.framing import FIN, build_frame
from ws4py.limits import DEFAULT_LIMITS, Limits
from ws4py.masking import new_key
from ws4py.messaging import Message
from ws4py.outbox import BLOCK, Outbox
from ws4py.state import OPEN, State
from ws4py.streaming import Stream

__all__ = ['Driver', 'NotOpenError', 'Sender', 'refuse_coroutine']

logger = logging.getLogger('ws4py')

LARGE = 2 * BLOCK  # bytes of a payload that is not copied into its frame, where that can be avoided
END = object()  # there is no further chunk


class NotOpenError(RuntimeError):
    """Something was sent on a connection that is not open, or not open any more."""


class Driver(abc.ABC):
    """Who runs a connection on a non-blocking socket: the manager, or an event loop (:mod:`ws4py.driving`).

    Every method may be called from any thread.
    """

    #: Gives the time in seconds, by the clock that :meth:`call_later` counts by.
    time: Callable[[], float] = staticmethod(time.monotonic)

    @abc.abstractmethod
    def call_later(self, delay: float, callback: Callable[[], object]) -> Any:
        """Call *callback* in the loop's thread, *delay* seconds from now; the answer has ``cancel()``."""

    @abc.abstractmethod
    def watch(self, websocket: Any) -> None:
        """Look again at what the connection waits for: its outbox has filled or emptied."""

    @abc.abstractmethod
    def drop(self, websocket: Any) -> None:
        """End the connection as soon as the loop comes round."""

    @abc.abstractmethod
    def forget(self, websocket: Any) -> None:
        """The connection ends, its descriptor is about to be closed."""

    @abc.abstractmethod
    def in_loop(self) -> bool:
        """True in a thread that must never wait for a peer: that of the loop, or one in the middle of a broadcast."""

    def caller(self) -> object:
        """Which thread (or greenlet) is calling."""
        return threading.get_ident()

    def condition(self, lock: Any) -> threading.Condition:
        """What a sender waits on, if it may wait: a condition of *lock*."""
        return threading.Condition(lock)

    def settle(self, websocket: Any) -> None:  # noqa: B027, nothing is what most drivers do
        """A frame stays in the outbox: make its sender wait, if that is how this driver has it."""

    def run_coroutine(
        self,
        websocket: Any,
        hook: Callable[..., object],
        coroutine: Coroutine[Any, Any, object],
        done: Optional[Callable[[], None]] = None,
    ) -> None:
        """Await what *hook* gave, then call *done*; other hooks wait in ``pending_calls`` meanwhile.

        :raises TypeError: there is no loop for coroutines here.
        """
        refuse_coroutine(hook, coroutine)


def refuse_coroutine(hook: Callable[..., object], coroutine: Coroutine[Any, Any, object]) -> None:
    """:raises TypeError: nobody is there who could await it."""
    coroutine.close()
    raise TypeError(
        f'{hook} is a coroutine function, which only the servers and clients of asyncio and Tornado can run'
    )


UNWATCHED = (False, False)  # nothing waits for room, and more may be read


class Sender:
    """The sending half of a connection. Thread-safe.

    A connection has many attributes, most of which are what they were at the start for as long as it lives. Those are
    the class's until they change, which keeps an idle connection small. The others, with which every message has to
    do, are where Python finds them fastest: in an object without a dictionary, which it gets with more than thirty
    attributes, or when somebody looks at its ``__dict__``.
    """

    limits: Limits = DEFAULT_LIMITS
    stream: Optional[Stream]
    state: State

    #: The hook whose coroutine ``pending_calls`` wait for.
    awaited: Optional[Callable[..., object]] = None
    _lock: Any = None  # around whatever sends, and around changes of the state
    _changed: Optional[threading.Condition] = None  # of the lock; made when somebody waits
    _deferred: tuple[tuple[int, Callable[[], bytes]], ...] = ()  # messages that go behind the last fragment of another
    _deferred_size = 0
    _crowded = False  # so much waits for the application that no more is to be read
    _pong: Optional[bytes] = None  # the one pong that waits while another is stuck in the outbox
    _pong_end = 0  # of that other one, counted in bytes sent
    #: The names of these, and of their like in subclasses.
    _seldom: tuple[str, ...] = ('awaited', '_changed', '_deferred', '_deferred_size', '_crowded', '_pong', '_pong_end')

    def __init__(self) -> None:
        if self._lock is not None:  # __init__ is called again, to connect again
            for name in self._seldom:
                setattr(self, name, getattr(type(self), name))
        self._lock: Any = threading.RLock()
        self._codecs: tuple[Codec, ...] = ()  # what messages go through; their order is that of the frames
        self._owner: object = None  # the thread in the middle of a fragmented message
        self._driver: Optional[Driver] = None
        self._outbox: Optional[Outbox] = None  # on non-blocking sockets
        #: What the driver was last told: the connection waits for room, and is too full to be read from.
        self.watched = UNWATCHED
        #: Hooks that wait until the coroutine of an earlier one is done; None when there is no such coroutine.
        self.pending_calls: Any = None  # a ws4py.asyncdriving.PendingCalls
        self._dropped = False

    if TYPE_CHECKING:  # the other half of the connection has these

        def _write(self, data: bytes) -> None:
            """Write one frame; the lock is held."""

        def _write_large(self, first: int, data: bytes) -> None:
            """Write the frame of a large payload; the lock is held."""

        def _fail(self, code: int, reason: Union[bytes, str] = '') -> None:
            """Fail the connection: close it with this code (section 7.1.7)."""

        def abort(self, code: int, reason: str) -> None:
            """Drop the connection."""

    # Data messages

    def _send_at_once(self, first: int, data: bytes, mask: bool, compress: Optional[bool] = None) -> bool:
        """Send a whole message where nothing is in its way, which is how nearly every one is sent.

        :param first: the first byte of its frame.
        :param compress: as in :meth:`ws4py.extensions.Codec.applies`.
        :returns: False where it has to wait, or may not be sent; nothing was done then.
        """
        outbox = self._outbox
        with self._lock:
            if not self._is_free():
                return False
            if self._codecs:
                self._write(whole_frame(self._codecs, first, data, compress, mask))
            elif len(data) > LARGE and outbox is not None and not mask:
                self._write_large(first, data)
            else:
                self._write(build_frame(first, data, new_key() if mask else None))
        if outbox is not None and outbox.blocked:
            self._settle()
        return True

    def _send_message(self, message: Message, mask: bool, compress: Optional[bool] = None) -> bool:
        """Send a message in one frame.

        :param compress: as in :meth:`ws4py.extensions.Codec.applies`.
        :returns: as :meth:`_send_data`.
        """
        self._check_open()
        size = 0 if self._outbox is None else len(message.data)
        build = functools.partial(message.single, mask=mask)
        if self._codecs:
            build = functools.partial(whole_frame, self._codecs, FIN | message.opcode, message.data, compress, mask)
        return self._send_data(size, build)

    def _send_data(self, size: int, build: Callable[[], bytes], wait: bool = True) -> bool:
        """Send a whole data message.

        :param size: its bytes.
        :param build: gives its frame, or all of its frames, when it is its turn: what an extension makes of a message
            depends on those before it, and one that is dropped must not count.
        :param wait: False for a caller that goes on rather than wait for this peer.
        :returns: False where it was dropped, because the peer is too slow.
        """
        with self._lock:
            self._check_open()
            if self._outbox is not None and not self._admit(size, wait):
                return False
            if self._owner is not None and not self._await_turn(wait):
                self._deferred += ((size, build),)
                self._deferred_size += size
                self._outbox_changed()
                return True
            self._check_open()
            self._write(build())
        if wait:
            self._settle()
        return True

    def _send_fragments(
        self, build: Callable[[Any], Message], chunks: Iterable[Any], mask: bool, compress: Optional[bool] = None
    ) -> bool:
        """Send each of *chunks* as a fragment of one message.

        :param build: makes a message of a chunk.
        :param compress: as in :meth:`ws4py.extensions.Codec.applies`.
        :returns: as :meth:`_send_data`.
        """
        encoder = Encoder(self._codecs, compress, mask)
        with self._lock:
            self._check_open()
            turn = self._owner is None or self._await_turn()
            if turn:
                self._owner = self._caller()
        if not turn:  # as one block, and only when all of it is there: the generator may raise, or send by itself
            parts = list(_parts(build, chunks))
            size = sum(len(part.data) for part, _ in parts)
            return self._send_data(size, lambda: b''.join(encoder.frame(*part) for part in parts), wait=False)
        begun = False
        try:
            for part, last in _parts(build, chunks):
                with self._lock:
                    self._check_open()
                    if self._outbox is not None and not self._admit(len(part.data)) and not begun:
                        return False  # dropped as a whole: a message in progress is never left without its end
                    begun = True
                    frame = encoder.frame(part, last)
                    if frame:
                        self._write(frame)
                self._settle()
        except BaseException:
            with self._lock:
                if begun and self.state is OPEN:  # the peer would wait for ever for the rest
                    self._fail(closecode.INTERNAL_ERROR)
            raise
        finally:
            with self._lock:
                self._owner = None
                deferred, self._deferred, self._deferred_size = self._deferred, (), 0
                self._notify()
                if self.state is OPEN and not self._dropped:
                    for _, frames in deferred:
                        self._write(frames())
                self._outbox_changed()
        return True

    def broadcast(self, message: SharedMessage, mask: bool = False) -> bool:
        """Send a message that goes to many, and never wait for this peer; called by who broadcasts.

        :returns: False where it was dropped, because the peer is too slow.
        """
        with self._lock:
            if self._is_free():
                self._write(message.frame(self._codecs, mask) if self._codecs or mask else message.plain)
                return True
        return self._send_data(message.size, lambda: message.frame(self._codecs, mask), wait=False)

    # Control frames

    def _send_control_frame(self, frame: bytes) -> None:
        """Send a ping or a pong of our own. It goes nowhere when the peer has stopped reading long ago."""
        with self._lock:
            self._check_open()
            if self._outbox is None or self._outbox.size <= self.limits.write_limit:
                self._write(frame)

    def _answer_ping(self, frame: bytes) -> None:
        """Send a pong, unless the peer has not read an earlier one: then only the latest is kept (section 5.5.3)."""
        with self._lock:
            if self.state is not OPEN:
                return
            outbox = self._outbox
            if outbox is not None and outbox.blocked and outbox.sent < self._pong_end:
                self._pong = frame
                return
            self._write(frame)
            if outbox is not None:
                self._pong_end = outbox.sent + outbox.size

    # Who may send, and when

    def _is_free(self) -> bool:
        """True when nothing is in the way of a whole message: it may be sent, and need not wait for anybody."""
        if self.state is not OPEN or self._dropped or self._owner is not None:
            return False
        outbox = self._outbox
        return outbox is None or not outbox.size or outbox.size <= self.limits.write_high_water

    def _check_open(self) -> None:
        """:raises RuntimeError: nothing may be sent (any more); section 5.5.1."""
        if self.state is not OPEN or self._dropped:
            state = 'being dropped' if self._dropped else self.state.value
            raise NotOpenError(f'nothing can be sent on a connection that is not open: {state}')

    def _await_turn(self, wait: bool = True) -> bool:
        """Wait until no other thread is in the middle of a message; False for who may not wait."""
        if self._owner == self._caller():
            raise RuntimeError('no data message can be sent from inside the generator of another one')
        if not wait or (self._driver is not None and self._driver.in_loop()):
            return False
        self._condition().wait_for(lambda: self._owner is None or self._dropped or self.state is not OPEN)
        self._check_open()
        return True

    def _admit(self, size: int, wait: bool = True) -> bool:
        """Whether *size* more bytes may enter the outbox; may wait for room.

        :raises TimeoutError: there was none within ``limits.send_timeout``.
        """
        limits = self.limits
        assert self._driver is not None
        if self.has_room:
            return True
        # What was left behind a message in progress goes when that is complete: it does not stand in its way.
        inside = self._owner is not None and self._owner == self._caller()

        def ahead() -> int:
            return self._queued - (self._deferred_size if inside else 0)

        if ahead() <= limits.write_high_water:
            return True
        if wait and not self._driver.in_loop():
            room = self._condition().wait_for(
                lambda: ahead() <= limits.write_high_water or self._dropped or self.state is not OPEN,
                limits.send_timeout,
            )
            if not room:
                raise TimeoutError(f'the peer took nothing for {limits.send_timeout} s, {ahead()} bytes wait')
            self._check_open()
            return True
        if ahead() + size <= limits.write_limit:
            return True
        text = f'slow consumer: {ahead()} bytes wait'
        if limits.slow_consumer == 'drop':
            logger.info('%s, a message of %d bytes is dropped', text, size)
        else:
            logger.warning('%s, the connection is dropped', text)
            self.abort(closecode.ABNORMAL_CLOSURE, text)
        return False

    # The outbox

    @property
    def _queued(self) -> int:
        """Bytes that wait to be sent."""
        return self._deferred_size + (0 if self._outbox is None else self._outbox.size)

    def flush(self) -> bool:
        """Send what waits, as the socket has room again; called by the driver. False when the connection is broken."""
        with self._lock:
            if self._outbox is None:
                return False
            try:
                self._outbox.flush()
                if self._pong is not None and self._outbox.sent >= self._pong_end:
                    pong, self._pong = self._pong, None
                    self._answer_ping(pong)
            except OSError:
                logger.info('the connection broke while %d bytes waited', self._outbox.size, exc_info=True)
                return False
            self._outbox_changed()
            return True

    def _outbox_changed(self) -> None:
        """Tell the driver what to wait for, and senders that there is room."""
        if self._outbox is None or self._driver is None:
            return  # ended meanwhile
        full = self._crowded or self._queued > self.limits.write_high_water
        if self._outbox.size <= self.limits.write_high_water:
            self._notify()
        if self.watched != (self._outbox.blocked, full):
            self.watched = (self._outbox.blocked, full)
            self._driver.watch(self)

    @property
    def crowded(self) -> bool:
        """True while nothing is read because the application is behind."""
        return self._crowded

    def crowd(self, crowded: bool) -> None:
        """Stop reading, because so much waits for the application; or go on. Called by the driver."""
        with self._lock:
            if self._crowded != crowded:
                self._crowded = crowded
                self._outbox_changed()

    @property
    def has_room(self) -> bool:
        """True while so little waits to be sent that a sender need not wait."""
        return self._queued <= self.limits.write_high_water

    def _settle(self) -> None:
        """Wait for the frame just written, where the driver has its senders do so."""
        driver, outbox = self._driver, self._outbox
        if driver is not None and outbox is not None and outbox.blocked:
            driver.settle(self)

    def _caller(self) -> object:
        """Who is calling: the owner of a fragmented message is known by this."""
        driver = self._driver
        return threading.get_ident() if driver is None else driver.caller()

    def _condition(self) -> threading.Condition:
        if self._changed is None:
            driver = self._driver
            self._changed = threading.Condition(self._lock) if driver is None else driver.condition(self._lock)
        return self._changed

    def _notify(self) -> None:
        if self._changed is not None:
            with self._lock:
                self._changed.notify_all()


def _parts(build: Callable[[Any], Message], chunks: Iterable[Any]) -> Iterator[tuple[Message, bool]]:
    """A message for each of *chunks*, and whether it is the last. One is held back, only the end of them tells that."""
    iterator = iter(chunks)
    chunk = next(iterator, b'')
    while chunk is not END:
        following = next(iterator, END)
        yield build(chunk), following is END
        chunk = following
