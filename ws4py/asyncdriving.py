"""Driving a connection on an asyncio loop: timers, calls from other threads, and hooks that are coroutines.

:class:`AsyncioDriver` is what any connection on such a loop needs, whatever it reads from and writes to: asyncio's own
transports (:mod:`ws4py.transport`), and Tornado's streams. A connection has no task, and neither has a message; only a
hook that is an ``async def`` gets one, and while it runs the hooks after it wait their turn. A few of them: when there
are more, nothing is read from the peer (:class:`Backlog`).

All of this is called in the loop's thread, unless it is said otherwise.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import logging
import threading
from collections import deque
from collections.abc import Coroutine
from types import CoroutineType
from typing import Any, Callable, Optional

from ws4py.driving import LoopDriver
from ws4py.sending import NotOpenError
from ws4py.websocket import WebSocket

__all__ = ['CROWD', 'AsyncioDriver', 'Backlog', 'PendingCalls']

logger = logging.getLogger('ws4py')

CROWD = 16  # so many messages that wait for the application are enough


class _Later:
    """A timer that another thread has set: the loop's own cannot be set or cancelled from there."""

    def __init__(self, driver: AsyncioDriver, delay: float, callback: Callable[[], object]) -> None:
        self._driver = driver
        self._handle: Optional[asyncio.TimerHandle] = None
        self._cancelled = False
        driver.call_soon(lambda: self._set(delay, callback))

    def _set(self, delay: float, callback: Callable[[], object]) -> None:
        if not self._cancelled:
            self._handle = self._driver.loop.call_later(delay, callback)

    def cancel(self) -> None:
        self._cancelled = True
        self._driver.call_soon(self._cancel)

    def _cancel(self) -> None:
        if self._handle is not None:
            self._handle.cancel()


class Backlog:
    """Messages that wait for the application.

    :param most: bytes that may wait.
    :ivar long: more should not come; once it is long, it has to become much shorter.
    """

    def __init__(self, most: int) -> None:
        self.long = False
        self._items: Optional[deque[Any]] = None  # mostly there are none, and an empty deque has room for many
        self._most = most
        self._size = 0

    def __len__(self) -> int:
        return len(self._items or ())

    def append(self, item: Any) -> None:
        """Put *item* behind the others."""
        if self._items is None:
            self._items = deque()
        self._items.append(item)
        self._count(self._measure(item))

    def popleft(self) -> Any:
        """Take the first one.

        :raises IndexError: there is none.
        """
        if self._items is None:
            raise IndexError('nothing waits')
        item = self._items.popleft()
        if not self._items:
            self._items = None
        self._count(-self._measure(item))
        return item

    def _measure(self, item: Any) -> int:
        """Bytes of *item*."""
        return len(item.data)

    def _count(self, size: int) -> None:
        self._size += size
        part = 4 if self.long else 1
        self.long = len(self) * part >= CROWD or self._size * part > self._most


class PendingCalls(Backlog):
    """Hooks that wait for the coroutine of an earlier one. While they are many nothing more is read from the peer.

    :param websocket: the connection, of whose limits ``write_high_water`` counts here as well.
    """

    def __init__(self, websocket: WebSocket) -> None:
        super().__init__(websocket.limits.write_high_water)
        self._websocket = websocket

    def _measure(self, item: Any) -> int:
        return sum(len(getattr(argument, 'data', b'')) for argument in item[1])

    def _count(self, size: int) -> None:
        super()._count(size)
        self._websocket.crowd(self.long)


#: The driver of which a hook is running, in its task and in those that were started there.
_hooked: contextvars.ContextVar[Optional[AsyncioDriver]] = contextvars.ContextVar('_hooked', default=None)


class AsyncioDriver(LoopDriver):
    """Drives one connection on an asyncio loop, that of the thread in which it is made."""

    def __init__(self, websocket: WebSocket, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(websocket)
        self.loop = loop
        self._thread = threading.get_ident()
        self._task: Optional[asyncio.Task[None]] = None  # of the hook that is a coroutine
        self._patience: Optional[asyncio.TimerHandle] = None  # the connection has to end when that hook is done
        self._senders: list[asyncio.Future[None]] = []  # which wait for room

    def in_loop(self) -> bool:
        """True in the loop's thread."""
        return threading.get_ident() == self._thread

    def call_soon(self, callback: Callable[[], object]) -> None:
        """Call *callback* in the loop's thread; from any thread. A loop that is closed calls nothing any more."""
        with contextlib.suppress(RuntimeError):
            if self.in_loop():
                self.loop.call_soon(callback)
            else:
                self.loop.call_soon_threadsafe(callback)

    def call_later(self, delay: float, callback: Callable[[], object]) -> Any:
        """Call *callback* in the loop's thread, *delay* seconds from now; from any thread."""
        if self.in_loop():
            return self.loop.call_later(delay, callback)
        return _Later(self, delay, callback)

    # Room

    async def room(self) -> None:
        """Wait until a sender need not wait.

        :raises NotOpenError: the connection has ended meanwhile.
        """
        while not self.websocket.has_room:
            if not self._ends:
                future = self.loop.create_future()
                self._senders.append(future)
                await future
            if self._ends:
                raise NotOpenError('the connection has ended while something waited to be sent')

    @property
    def _ends(self) -> bool:
        """True when it has ended, or will when a hook is done."""
        return self.over or self._patience is not None

    def _look(self) -> None:
        if self._patience is None:
            super()._look()
        if self._senders and (self.over or self.websocket.has_room):
            self._wake_senders()

    def _wake_senders(self) -> None:
        senders, self._senders = self._senders, []
        for future in senders:
            if not future.done():
                future.set_result(None)

    # Hooks that are coroutines

    @property
    def in_hook(self) -> bool:
        """True in a hook that is a coroutine, and in tasks that one has started."""
        return _hooked.get() is self

    def run_coroutine(
        self,
        websocket: Any,
        hook: Callable[..., object],
        coroutine: Coroutine[Any, Any, object],
        done: Optional[Callable[[], None]] = None,
    ) -> None:
        """Await what *hook* gave, then call *done*; other hooks wait in ``pending_calls`` meanwhile."""
        websocket.pending_calls, websocket.awaited = PendingCalls(websocket), hook

        def begin() -> None:
            self._task = self.loop.create_task(self._await(hook, coroutine, done))

        if self.in_loop():
            begin()
        else:  # closed(), after terminate() in another thread
            self.call_soon(begin)

    async def _await(
        self, hook: Callable[..., object], coroutine: Any, done: Optional[Callable[[], None]] = None
    ) -> None:
        """Await a hook and then those that have come behind it."""
        _hooked.set(self)
        websocket = self.websocket
        calls = websocket.pending_calls
        args: tuple[Any, ...] = ()
        going = True
        try:
            while True:
                try:
                    if coroutine is None:
                        coroutine = hook(*args)
                    if isinstance(coroutine, CoroutineType):
                        await coroutine
                except (Exception, asyncio.CancelledError) as error:
                    if isinstance(error, asyncio.CancelledError) and (self._ends or self._dropped):
                        raise  # it was we who cancelled it
                    if isinstance(error, NotOpenError) and self._ends:
                        logger.debug('%s sent something after the end', hook, exc_info=error)
                    else:
                        going = websocket.hook_failed(hook, error)
                if not calls or not going:
                    break
                (hook, args), coroutine = calls.popleft(), None
                websocket.awaited = hook
                self.be_patient()
        except asyncio.CancelledError:
            logger.info('%s was cancelled, the connection has ended', hook)
            going = False
        finally:
            self._task = None
            if websocket.pending_calls is calls:  # else closed() has called __init__, to connect again
                websocket.pending_calls = websocket.awaited = None
                websocket.crowd(False)
            if done is not None:
                done()
                self._ended()
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None
            self._finish()  # what the hooks have sent may wait still
        elif not going:
            self._finish()

    # The end

    def end(self) -> None:
        """Call ``closed()``, after the hook that may be running, and close the socket."""
        if self.over:
            return
        task = self._task
        if task is not None:
            if self._patience is None:  # it has the close timeout to come to its own end
                self._patience = self.loop.call_later(self.websocket.limits.close_timeout, task.cancel)
                self.websocket.no_more_input()
                self.wait_for(read=False, write=False)
                self._wake_senders()
            return
        super().end()
        self._wake_senders()
        if self._task is None:  # else closed() is a coroutine
            self._ended()

    def forget(self, websocket: Any) -> None:
        """The connection has ended, its socket is about to be closed."""
        super().forget(websocket)
        if self._senders:
            self.call_soon(self._wake_senders)

    def cancel(self) -> None:
        """Cancel the hook that is running, if it is a coroutine, on a connection that was dropped."""
        if self._task is not None:
            self._task.cancel()

    def _ended(self) -> None:
        """Called when ``closed()`` is done and the socket is closed."""

    def be_patient(self) -> None:
        """A hook goes on with what had come before the end: its time to come to its own end begins anew."""
        if self._patience is not None and self._task is not None:
            self._patience.cancel()
            self._patience = self.loop.call_later(self.websocket.limits.close_timeout, self._task.cancel)
