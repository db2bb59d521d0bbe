"""The same WebSocket for programs of coroutines.

Under asyncio or Tornado any :class:`ws4py.websocket.WebSocket` works, and its hooks may be coroutines. The class here
adds what else such a program wants: ``send``, ``ping`` and ``close`` can be awaited, and messages can be asked for
instead of being handed to a hook::

    class Chat(WebSocket):
        async def opened(self):
            async for message in self:
                await self.send(f'you said {message}')

What is sent is queued in the call itself, and what is wrong raises there; awaiting the answer only waits, so that
``self.send(x)`` alone is right too. Whoever sends much awaits: that is how a peer that reads slowly slows us down.
Whoever takes its messages with :meth:`~WebSocket.recv` reads them when it is ready: a few wait here, then nothing more
is read from the peer.

Loops and transports are none of its business, :mod:`ws4py.asyncdriving` and the adapters see to them.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Coroutine, Generator, Iterable
from typing import Any, Callable, Optional, Union

from ws4py import closecode, websocket
from ws4py.asyncdriving import Backlog
from ws4py.exc import StreamClosed
from ws4py.messaging import BinaryMessage, Message, Payload, TextMessage
from ws4py.sending import Driver, NotOpenError
from ws4py.state import SENT, State

__all__ = ['PLAIN', 'EchoWebSocket', 'WebSocket']

logger = logging.getLogger('ws4py')

#: Close codes that are no error: an iteration over the messages just ends.
REGULAR = frozenset((closecode.NORMAL_CLOSURE, closecode.GOING_AWAY, closecode.NO_STATUS_RECEIVED))


class _Waiting:
    """What :meth:`WebSocket.send` and the like return: awaiting it waits, not awaiting it is fine, too."""

    __slots__ = ('_wait',)

    def __init__(self, wait: Callable[[], Coroutine[Any, Any, None]]) -> None:
        self._wait = wait

    def __await__(self) -> Generator[Any, None, None]:
        return self._wait().__await__()


class Moment:
    """Something that happens once; coroutines may wait for it."""

    def __init__(self) -> None:
        self._past = False
        self._waiting: tuple[asyncio.Future[None], ...] = ()

    def happen(self) -> None:
        """Wake everybody; from any thread."""
        self._past = True
        for future in self._waiting:
            _wake(future)

    async def wait(self, timeout: Optional[float] = None) -> None:
        """Return when it has happened, or after *timeout* seconds."""
        if self._past:
            return
        loop = asyncio.get_running_loop()
        future = loop.create_future()
        self._waiting += (future,)
        timer = None if timeout is None else loop.call_later(timeout, _set, future)
        try:
            if not self._past:  # another thread may have been here since
                await future
        finally:
            self._waiting = tuple(other for other in self._waiting if other is not future)
            if timer is not None:
                timer.cancel()


def _wake(future: asyncio.Future[None]) -> None:
    """Wake who waits for *future*; from any thread."""
    with contextlib.suppress(RuntimeError):  # the loop is closed, nobody waits any more
        future.get_loop().call_soon_threadsafe(_set, future)


def _set(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


class _Inbox(Backlog):
    """Messages that nobody has asked for yet.

    :ivar asked: somebody has, once.
    :ivar reader: of the one ``recv()`` that waits.
    :ivar end: how the connection has ended, when nothing more comes than what is here.
    :ivar lost: nothing more can come than what was received already, however much that is.
    """

    def __init__(self, most: int) -> None:
        super().__init__(most)
        self.asked = False
        self.reader: Optional[asyncio.Future[None]] = None
        self.end: Optional[tuple[int, str]] = None
        self.lost = False


class WebSocket(websocket.WebSocket):
    """A connection on an asyncio loop; see the base class for the hooks and for what else there is.

    Messages go to ``received_message()`` where a subclass has its own, else they wait for :meth:`recv`: a class that
    neither has the hook nor calls that is not read from any more after a few of them.

    Methods that send may be called from any thread, but what they return, and everything that is a coroutine here, is
    for coroutines on the connection's loop.

    :param proto: what is read from and written to, a :class:`ws4py.transport.TransportSocket` (``sock`` later on).
    :param protocols: the subprotocols negotiated.
    :param extensions: the extensions negotiated.
    :param environ: the upgrade request as a WSGI environ, on a server.
    :param heartbeat_freq: seconds between unsolicited pongs, None for none.
    """

    _over: Optional[Moment] = None  # it has ended altogether; None while nobody drives it

    def __init__(
        self,
        proto: Any,
        protocols: Optional[list[Any]] = None,
        extensions: Optional[list[Any]] = None,
        environ: Optional[dict[str, Any]] = None,
        heartbeat_freq: Optional[float] = None,
    ) -> None:
        before = self._over
        if before is not None:  # __init__ is called again: the last connection is over
            self.no_more_input()
        super().__init__(proto, protocols, extensions, environ, heartbeat_freq)
        self._inbox = _Inbox(self.limits.write_high_water)
        self._behind = False  # too many hooks wait for the coroutine of another one
        self._heard = Moment()  # every message that comes has been processed
        self._over = None
        if before is not None:
            before.happen()

    # Sending

    def send(  # type: ignore[override]
        self,
        payload: Union[Payload, Message, Iterable[Payload]],
        binary: bool = False,
        compress: Optional[bool] = None,
    ) -> Awaitable[None]:
        """Send a message, as :meth:`ws4py.websocket.WebSocket.send` does.

        :returns: to be awaited by whoever sends much: it waits while more than ``limits.write_high_water`` bytes wait
            to be sent, and raises RuntimeError when the connection ends meanwhile.
        """
        super().send(payload, binary, compress)
        return _Waiting(self._room)

    def ping(self, message: Payload = b'') -> Awaitable[None]:  # type: ignore[override]
        """Send a ping, as :meth:`ws4py.websocket.WebSocket.ping` does; the pong comes to ``ponged()``.

        :returns: as :meth:`send`.
        """
        super().ping(message)
        return _Waiting(self._room)

    async def _room(self) -> None:
        driver: Any = self._driver
        if driver is not None:
            await driver.room()

    # Receiving

    async def recv(self) -> Union[TextMessage, BinaryMessage]:
        """The next message. A call that is cancelled loses none.

        :raises StreamClosed: the connection has ended, in whatever way, and there is no further message.
        :raises RuntimeError: another coroutine waits here already; or the class has a ``received_message()`` of its
            own, which gets the messages; or the connection is not open yet.
        """
        if self._has_own_hook:
            raise RuntimeError(
                f'received_message() of {type(self).__name__} gets the messages, none are left for recv()'
            )
        if self.state is State.CONNECTING:
            raise NotOpenError('nothing can be received before connect()')
        inbox = self._inbox  # of this connection, should __init__ be called again meanwhile
        if inbox.reader is not None:
            raise RuntimeError('another coroutine waits in recv() already')
        inbox.asked = True
        inbox.reader = asyncio.get_running_loop().create_future()  # first: another thread may end it at any moment
        try:
            if not inbox and inbox.end is None:
                await inbox.reader
        finally:
            inbox.reader = None
        if not inbox:
            assert inbox.end is not None
            raise StreamClosed(*inbox.end)
        message: Union[TextMessage, BinaryMessage] = inbox.popleft()
        if inbox is self._inbox:
            self._look_at_inbox()
            driver: Any = self._driver
            if driver is not None:
                driver.be_patient()
        return message

    def __aiter__(self) -> WebSocket:
        """Iterate over the messages; several iterations share them.

        It ends when the connection was closed with 1000, with 1001, or without a code. Another end is an error:
        :exc:`~ws4py.exc.StreamClosed` tells which.
        """
        return self

    async def __anext__(self) -> Union[TextMessage, BinaryMessage]:
        try:
            return await self.recv()
        except StreamClosed as end:
            if end.code in REGULAR:
                raise StopAsyncIteration from None
            raise

    @property
    def _has_own_hook(self) -> bool:
        hook: Any = self.received_message
        return getattr(hook, '__func__', None) is not websocket.WebSocket.received_message

    def _deliver(self, message: Union[TextMessage, BinaryMessage]) -> bool:
        """Put *message* into the inbox, or hand it to the hook where there is one. See the base class."""
        if self._has_own_hook:
            return super()._deliver(message)
        inbox = self._inbox
        if inbox.long and self.state in SENT:
            logger.debug('a message of %d bytes that came after our Close frame is dropped', len(message.data))
            return True
        inbox.append(message)
        if inbox.long and not inbox.asked:
            inbox.asked = True
            logger.warning('%d messages wait for recv(), nothing more is read before it is called', len(inbox))
        self._look_at_inbox()
        if inbox.reader is not None:
            _set(inbox.reader)
        return True

    def _owes_answers(self) -> bool:
        inbox = self._inbox
        behind = inbox.asked and (bool(inbox) or inbox.reader is None)  # a coroutine works through what came
        return super()._owes_answers() or (self.pending_calls is not None and behind)

    def crowd(self, crowded: bool) -> None:
        """Stop reading, because so many hooks wait, or go on. Called by the driver."""
        self._behind = crowded
        self._look_at_inbox()

    def _look_at_inbox(self) -> None:
        """Read on if there is room in the inbox, or after our Close frame, whose answer may be behind much else."""
        inbox = self._inbox
        super().crowd(self._behind or (inbox.long and not inbox.lost and self.state not in SENT))

    def socket_lost(self) -> None:
        """Take what was received already. Called by the driver."""
        self._inbox.lost = True
        self._look_at_inbox()

    def no_more_input(self) -> None:
        """Let recv() know. Called by the driver."""
        inbox = self._inbox
        if inbox.end is None:
            code, reason = self.close_code, self.close_reason = self._outcome()
            inbox.end = code, reason if isinstance(reason, str) else reason.decode('utf-8', 'replace')
            if inbox.reader is not None:
                _wake(inbox.reader)
            self._heard.happen()

    def hook_failed(self, hook: Callable[..., object], error: BaseException) -> bool:
        """As in the base class, but that recv() came to the end of this connection is no failure of a hook."""
        if isinstance(error, StreamClosed) and self._inbox.end == (error.code, error.reason):
            logger.debug('%s received up to the end', hook, exc_info=error)
            return True
        return super().hook_failed(hook, error)

    # Closing

    def close(  # type: ignore[override]
        self, code: int = closecode.NORMAL_CLOSURE, reason: Payload = ''
    ) -> Awaitable[None]:
        """Begin the closing handshake, as :meth:`ws4py.websocket.WebSocket.close` does.

        Messages that the peer sends before it answers can still be received, as far as they fit into what may wait for
        :meth:`recv`.

        :returns: to be awaited by whoever wants to know that it is over, as :meth:`wait_closed` does.
        """
        super().close(code, reason)
        self._look_at_inbox()
        return _Waiting(self.wait_closed)

    async def wait_closed(self) -> None:
        """Wait until the connection has ended and ``closed()`` is done.

        In a hook that is a coroutine, and in the tasks that it has started, that would never come; there, it waits
        until the closing handshake is over, or was given up after ``limits.close_timeout``. A ``closed()`` that is a
        coroutine is waited for as long again.
        """
        over, driver = self._over, self._driver
        if over is not None:
            await self._heard.wait()
            if not getattr(driver, 'in_hook', False):
                await over.wait(self.limits.close_timeout)

    # Being driven

    def attach(self, driver: Driver, queued: bool) -> None:
        """Be driven by *driver* from now on; called by it."""
        self._inbox = _Inbox(self.limits.write_high_water)  # they may have been replaced since the constructor
        self._over = Moment()
        super().attach(driver, queued)

    def terminate(self) -> None:
        """End the connection, as :meth:`ws4py.websocket.WebSocket.terminate` does."""
        self.no_more_input()
        super().terminate()

    def _finish(self) -> None:
        super()._finish()
        if self._over is not None:
            self._over.happen()


class EchoWebSocket(WebSocket):
    """Sends every message back."""

    def received_message(self, message: Union[TextMessage, BinaryMessage]) -> None:
        """Send *message* back as what it is."""
        self.send(message.data, message.is_binary)


#: The ``send`` methods that do nothing but send: a broadcast may pass them by (:mod:`ws4py.broadcasting`).
PLAIN = (websocket.WebSocket.send, WebSocket.send)
