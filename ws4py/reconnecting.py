"""A client that connects again.

::

    factory() ─► connect() ─► opened() … closed() ─► lost? ─► wait ─► factory() ─► …
                    └──────── no connection ─────────────────► wait ─┘

Each attempt has a client of its own, made by the application's *factory*: nothing of the last connection can be left in
it, and its hooks are those of any other client. Before each attempt the application is told, and may decide
(:class:`ws4py.backoff.Attempt`). What there is of a client's state beyond its connections belongs elsewhere, to the
factory for example.

It ends when the application has closed the connection, or calls ``stop()``; and when another attempt is not worth it.
:class:`Blocking` is what clients with threads and greenlets have of it, :class:`Awaited` what those on asyncio and
Tornado have; the classes for applications stand beside the clients. When to connect again is decided in
:mod:`ws4py.backoff`.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable
from types import CoroutineType
from typing import Any, Callable, Optional

from ws4py import closecode
from ws4py.async_websocket import Moment
from ws4py.backoff import Attempt, Attempts, Backoff
from ws4py.sending import refuse_coroutine
from ws4py.state import State

__all__ = ['Awaited', 'Blocking', 'Reconnecting']

logger = logging.getLogger('ws4py')


class Reconnecting:
    """What all of them have.

    :param factory: called for each attempt, with nothing; makes a client that is not connected yet.
    :param backoff: how long to wait, and how often to try; ``Backoff()`` by default.
    :param attempt: called with an :class:`~ws4py.backoff.Attempt` before each of them, the first one included, and
        also when there should be no further one (``worthwhile`` is False). It answers True: it is to be made; False: it
        is not, and that is the end; None: that is left to the rules.
    :ivar client: the latest client; None before the first. Between two connections its ``send()`` raises RuntimeError.
    """

    def __init__(
        self,
        factory: Callable[[], Any],
        backoff: Optional[Backoff] = None,
        attempt: Optional[Callable[[Attempt], Any]] = None,
    ) -> None:
        self.client: Any = None
        self.backoff = backoff or Backoff()
        self._factory = factory
        self._hook = attempt
        self._stopping = False

    def _tell(self, attempt: Attempt) -> Any:
        """What the application has to say to it."""
        return None if self._hook is None or self._stopping else self._hook(attempt)

    def _goes_on(self, attempt: Attempt, answer: Optional[bool]) -> bool:
        """Whether the attempt is made.

        :raises Exception: what ``connect()`` has raised, where the rules have it that there is no further one.
        """
        if self._stopping:
            return False
        going = attempt.worthwhile if answer is None else bool(answer)
        if going and attempt.number:
            logger.info('%s; attempt %d follows in %.2f s', attempt.cause, attempt.number, attempt.delay)
        elif answer is None and not going and attempt.error is not None:
            raise attempt.error
        return going

    def _make(self) -> Any:
        """The client of the next attempt, or None when none is wanted any more."""
        client = self.client = self._factory()
        # In this order, and in stop() in the other one: whoever comes second sees what the other has done.
        if self._stopping:
            client.close_connection()
            return None
        return client

    def _left(self, client: Any) -> bool:
        """True when the application has ended it."""
        return self._stopping or client.closed_by_us

    def _leave(self) -> None:
        """Close the connection, or give up connecting."""
        if self.client is not None:
            self.client.close(closecode.GOING_AWAY)


class Blocking(Reconnecting):
    """For clients whose ``connect()`` and ``run_forever()`` wait, in whatever way."""

    _event: Any  # what makes something to wait for, of threads or of greenlets

    def __init__(
        self,
        factory: Callable[[], Any],
        backoff: Optional[Backoff] = None,
        attempt: Optional[Callable[[Attempt], Any]] = None,
    ) -> None:
        super().__init__(factory, backoff, attempt)
        self._bell = self._event()

    def _sleep(self, seconds: float) -> None:
        """Wait so long, or until stop() is called, be it before or meanwhile."""
        self._bell.wait(seconds)

    def run_forever(self) -> None:
        """Connect, and connect again, until there is no reason to any more; returns when all is over.

        It returns after :meth:`stop`, after a ``close()`` of the application, when its hook has said so, and when a
        connection was closed in a way that makes another one not worth it. On Ctrl-C the connection is closed first, as
        the ``run_forever()`` of the client does. What the factory and the hook raise goes to the caller.

        :raises HandshakeError, OSError, ValueError: of the last ``connect()``, when it has failed in such a way.
        """
        attempts = Attempts(self.backoff)
        attempt = attempts.first()
        while True:
            answer: Any = self._tell(attempt)
            if isinstance(answer, CoroutineType) and self._hook is not None:
                refuse_coroutine(self._hook, answer)
            if not self._goes_on(attempt, answer):
                return
            self._sleep(attempt.delay)
            client = None if self._stopping else self._make()
            if client is None:
                return
            try:
                client.connect()
            except Exception as error:
                if self._left(client):
                    return
                attempt = attempts.failed(error)
                continue
            attempts.opened()
            self._run(client)
            if self._left(client):
                return
            attempt = attempts.ended(client.close_code, client.close_reason)

    def _run(self, client: Any) -> None:
        """Wait until the connection has ended."""
        if self._stopping:  # it was there before stop() could prevent it
            client.close(closecode.GOING_AWAY)
        try:
            client.run_forever()
        except BaseException:  # a second Ctrl-C, or the greenlet is killed: nobody waits for it any more
            if client.state is not State.CLOSED:
                client.abort(closecode.GOING_AWAY, 'not waited for')
            raise

    def stop(self) -> None:
        """End it: the wait for the next attempt, an attempt that is being made, or the connection (with 1001).

        Returns at once; :meth:`run_forever` returns when the closing handshake is over. For good: it does not connect
        any more afterwards.
        """
        self._stopping = True
        self._bell.set()
        self._leave()


class Awaited(Reconnecting):
    """For clients on asyncio and Tornado. Its hook *attempt* may be a coroutine."""

    def __init__(
        self,
        factory: Callable[[], Any],
        backoff: Optional[Backoff] = None,
        attempt: Optional[Callable[[Attempt], Any]] = None,
    ) -> None:
        super().__init__(factory, backoff, attempt)
        self._stop = Moment()
        self._loop: Optional[asyncio.AbstractEventLoop] = None  # while run_forever() runs

    async def run_forever(self) -> None:
        """Connect, and connect again, until there is no reason to any more; returns when all is over.

        It returns after :meth:`stop`, after a ``close()`` of the application, when its hook has said so, and when a
        connection was closed in a way that makes another one not worth it. When this is cancelled, so are the wait for
        the next attempt and the attempt itself; an open connection is closed with 1001, and its end waited for. What
        the factory and the hook raise goes to the caller.

        :raises HandshakeError, OSError, ValueError: of the last ``connect()``, when it has failed in such a way.
        """
        self._loop = asyncio.get_running_loop()
        attempts = Attempts(self.backoff)
        attempt = attempts.first()
        try:
            while True:
                answer: Any = self._tell(attempt)
                if isinstance(answer, Awaitable):
                    answer = await answer
                if not self._goes_on(attempt, answer):
                    return
                await self._stop.wait(attempt.delay)
                client = None if self._stopping else self._make()
                if client is None:
                    return
                try:
                    await client.connect()
                except Exception as error:
                    if self._left(client):
                        return
                    attempt = attempts.failed(error)
                    continue
                except BaseException:
                    # Cancelled at the very moment at which the connection was there?
                    if client.state is State.OPEN and client.sock is not None:
                        await self._part(client)
                    raise
                attempts.opened()
                await self._run(client)
                if self._left(client):
                    return
                attempt = attempts.ended(client.close_code, client.close_reason)
        finally:
            self._loop = None

    async def _run(self, client: Any) -> None:
        """Wait until the connection has ended; when that is cancelled, close it."""
        try:
            await client.wait_closed()
        except BaseException:
            await self._part(client)
            raise

    async def _part(self, client: Any) -> None:
        """Close the connection, and wait until it has ended."""
        client.close(closecode.GOING_AWAY)
        try:
            await client.wait_closed()
        except BaseException:  # nobody waits any more
            client.abort(closecode.GOING_AWAY, 'not waited for')
            raise

    def stop(self) -> None:
        """End it: the wait for the next attempt, an attempt that is being made, or the connection (with 1001).

        Returns at once, from any thread; :meth:`run_forever` returns when the closing handshake is over. For good: it
        does not connect any more afterwards.
        """
        self._stopping = True
        self._stop.happen()
        loop = self._loop
        if loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop is closed, and so is the connection
                loop.call_soon_threadsafe(self._leave)
