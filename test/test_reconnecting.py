"""Connecting again, with clients that are played: in which order what is asked, and what ends it."""

from __future__ import annotations

import asyncio
import logging
import threading
import unittest
from typing import Any, Callable, Optional

from helpers import TIMEOUT, logs

from ws4py.backoff import Attempt, Backoff
from ws4py.exc import HandshakeError
from ws4py.reconnecting import Awaited, Blocking, Reconnecting
from ws4py.state import State

Act = Callable[['Played'], Any]
QUICK = Backoff(initial=0.001, maximum=0.001, jitter=0)
HOURS = Backoff(initial=10_000, maximum=10_000, jitter=0)


class Played:
    """A client; *connecting* and *running* are what happens in ``connect()`` and until it has ended."""

    def __init__(self, connecting: Optional[Act] = None, running: Optional[Act] = None) -> None:
        self.connecting, self.running = connecting, running
        self.state = State.CONNECTING
        self.closed_by_us = False
        self.close_code: Optional[int] = None
        self.close_reason: Any = None
        self.calls: list[Any] = []
        self.closing = threading.Event()

    def connect(self) -> None:
        self.calls.append('connect')
        if self.connecting is not None:
            self.connecting(self)
        self.state = State.OPEN

    def run_forever(self) -> None:
        self.calls.append('run')
        if self.running is not None:
            self.running(self)
        self.state = State.CLOSED

    def close(self, code: int = 1000) -> None:
        self.calls.append(('close', code))
        self.closed_by_us = True
        self.closing.set()

    def abort(self, code: int, reason: str) -> None:
        self.calls.append(('abort', code))

    def close_connection(self) -> None:
        self.calls.append('close_connection')


class PlayedCoroutines(Played):
    """The same for a loop: an act may be a coroutine."""

    async def connect(self) -> None:  # type: ignore[override]
        self.calls.append('connect')
        if self.connecting is not None:
            await wait_for(self.connecting(self))
        self.state = State.OPEN

    async def wait_closed(self) -> None:
        self.calls.append('run')
        if self.running is not None:
            await wait_for(self.running(self))
        self.state = State.CLOSED


async def wait_for(result: Any) -> None:
    if result is not None:
        await result


def fails(error: BaseException) -> Act:
    def act(client: Played) -> None:
        raise error

    return act


def ends(code: Optional[int], reason: Any = '') -> Act:
    def act(client: Played) -> None:
        client.close_code, client.close_reason = code, reason

    return act


def closes(client: Played) -> None:
    client.close()


class OnEvents(Blocking):
    _event = threading.Event


class Driven(unittest.TestCase):
    """What holds for both kinds."""

    cls: type[Reconnecting] = OnEvents
    played: type[Played] = Played

    def run_it(self, reconnecting: Any) -> None:
        reconnecting.run_forever()

    def reconnecting(self, *acts: tuple[Optional[Act], Optional[Act]], **options: Any) -> Any:
        """One whose clients do *acts*, and which keeps them in ``clients``, and what its hook was told in ``told``."""
        self.clients: list[Played] = []
        self.told: list[Attempt] = []
        left = list(acts)

        def factory() -> Played:
            client = self.played(*left.pop(0))
            self.clients.append(client)
            return client

        hook = options.pop('attempt', lambda attempt: None)

        def attempt(attempt: Attempt) -> Any:
            self.told.append(attempt)
            return hook(attempt)

        return self.cls(factory, options.pop('backoff', QUICK), attempt, **options)

    def test_it_connects_again_until_the_application_closes(self) -> None:
        refused = ConnectionRefusedError('nobody there')
        going = self.reconnecting(
            (fails(refused), None), (None, ends(1001, b'bye')), (None, ends(None)), (None, closes)
        )
        with logs(logging.INFO) as heard:
            self.run_it(going)
        told = [(attempt.number, attempt.error, attempt.code, attempt.reason) for attempt in self.told]
        self.assertEqual(
            told, [(0, None, None, ''), (1, refused, None, ''), (2, None, 1001, 'bye'), (3, None, 1006, '')]
        )
        self.assertEqual([client.calls[:2] for client in self.clients], [['connect'], *3 * [['connect', 'run']]])
        self.assertIs(going.client, self.clients[-1])
        self.assertEqual(heard[0].getMessage(), 'nobody there; attempt 1 follows in 0.00 s')
        self.assertEqual(len(heard), 3)

    def test_without_a_hook(self) -> None:
        clients = [self.played(fails(OSError())), self.played(None, closes)]
        left = clients[:]
        going: Any = self.cls(lambda: left.pop(0), QUICK)
        self.assertIsNone(going.client)
        self.run_it(going)
        self.assertEqual(clients[1].calls, ['connect', 'run', ('close', 1000)])
        self.assertEqual(self.cls(Played).backoff, Backoff())

    def test_what_is_not_worth_another_attempt_is_raised(self) -> None:
        refused = HandshakeError('no')
        refused.response_status = 401
        with self.assertRaises(HandshakeError) as caught:
            self.run_it(self.reconnecting((fails(refused), None)))
        self.assertIs(caught.exception, refused)
        self.assertEqual([attempt.worthwhile for attempt in self.told], [True, False])

    def test_so_is_the_last_of_the_attempts_that_may_be_made(self) -> None:
        last = OSError('three')
        acts = [(fails(OSError('one')), None), (fails(OSError('two')), None), (fails(last), None)]
        backoff = Backoff(initial=0.001, attempts=2)
        with self.assertRaises(OSError) as caught:
            self.run_it(self.reconnecting(*acts, backoff=backoff))
        self.assertIs(caught.exception, last)

    def test_a_connection_that_is_closed_for_good_just_ends_it(self) -> None:
        self.run_it(self.reconnecting((None, ends(1008, 'go away'))))
        self.assertEqual([(attempt.code, attempt.worthwhile) for attempt in self.told], [(None, True), (1008, False)])

    def test_the_hook_ends_it(self) -> None:
        self.run_it(self.reconnecting(attempt=lambda attempt: False))
        self.assertEqual(self.clients, [])
        going = self.reconnecting((fails(OSError()), None), attempt=lambda attempt: attempt.number < 1)
        self.run_it(going)
        self.assertEqual([attempt.number for attempt in self.told], [0, 1])

    def test_the_hook_insists(self) -> None:
        refused = HandshakeError('no')
        refused.response_status = 401
        acts = [(fails(refused), None), (None, ends(1000)), (None, closes)]
        self.run_it(self.reconnecting(*acts, attempt=lambda attempt: True))
        self.assertEqual([attempt.worthwhile for attempt in self.told], [True, False, False])

    def test_what_the_hook_and_the_factory_raise(self) -> None:
        with self.assertRaisesRegex(KeyError, 'hook'):
            self.run_it(self.reconnecting(attempt=lambda attempt: {}['hook']))
        with self.assertRaisesRegex(IndexError, 'pop'):
            self.run_it(self.reconnecting())

    def test_closed_while_it_connects(self) -> None:
        def act(client: Played) -> None:
            client.close()
            raise OSError('the client was closed')

        self.run_it(self.reconnecting((act, None)))
        self.assertEqual(len(self.told), 1)

    def test_stopped_before_it_has_begun(self) -> None:
        going = self.reconnecting()
        going.stop()
        self.run_it(going)
        self.assertEqual((self.clients, self.told), ([], []))

    def test_stopped_by_the_hook(self) -> None:
        going = self.reconnecting(attempt=lambda attempt: going.stop())
        self.run_it(going)
        self.assertEqual(len(self.told), 1)

    def test_stopped_by_the_factory(self) -> None:
        client = self.played()

        def factory() -> Played:
            going.stop()
            return client

        going: Any = self.cls(factory)
        self.run_it(going)
        self.assertEqual(client.calls[0], 'close_connection')
        self.assertNotIn('connect', client.calls)


class OnThreads(Driven):
    def test_a_hook_that_is_a_coroutine_is_refused(self) -> None:
        async def attempt(attempt: Attempt) -> bool:
            return False

        with self.assertRaisesRegex(TypeError, 'coroutine'):
            self.run_it(self.reconnecting(attempt=attempt))

    def stopped(self, going: Any, when: threading.Event) -> None:
        """Stop it *when*, while it runs here."""

        def stop() -> None:
            assert when.wait(TIMEOUT)
            going.stop()

        thread = threading.Thread(target=stop)
        thread.start()
        going.run_forever()
        thread.join(TIMEOUT)

    def test_stopped_while_it_waits(self) -> None:
        waits = threading.Event()

        def hook(attempt: Attempt) -> None:
            if attempt.number:
                waits.set()

        going = self.reconnecting((fails(OSError()), None), backoff=HOURS, attempt=hook)
        self.stopped(going, waits)
        self.assertEqual(len(self.clients), 1)

    def test_stopped_while_it_connects_or_runs(self) -> None:
        for connecting in (True, False):
            busy = threading.Event()

            def act(client: Played, busy: threading.Event = busy, connecting: bool = connecting) -> None:
                busy.set()
                assert client.closing.wait(TIMEOUT)
                if connecting:
                    raise OSError('closed')

            going = self.reconnecting((act, None) if connecting else (None, act))
            with self.subTest(connecting=connecting):
                self.stopped(going, busy)
                (client,) = self.clients
                self.assertEqual(client.calls, ['connect', *([] if connecting else ['run']), ('close', 1001)])

    def test_stopped_in_vain_while_it_connects(self) -> None:
        going = self.reconnecting((lambda client: going.stop(), None))
        going.run_forever()
        self.assertEqual(self.clients[0].calls, ['connect', ('close', 1001), ('close', 1001), 'run'])

    def test_interrupted(self) -> None:
        with self.assertRaises(KeyboardInterrupt):
            self.run_it(self.reconnecting((None, fails(KeyboardInterrupt()))))
        self.assertEqual(self.clients[0].calls, ['connect', 'run', ('abort', 1001)])

        def interrupted(client: Played) -> None:
            client.state = State.CLOSED
            raise KeyboardInterrupt

        with self.assertRaises(KeyboardInterrupt):
            self.run_it(self.reconnecting((None, interrupted)))
        self.assertEqual(self.clients[0].calls, ['connect', 'run'])


class OnALoop(Driven):
    cls = Awaited
    played = PlayedCoroutines

    def run_it(self, reconnecting: Any) -> None:
        async def run() -> None:
            await asyncio.wait_for(reconnecting.run_forever(), TIMEOUT)

        asyncio.run(run())

    def test_a_hook_may_be_a_coroutine(self) -> None:
        async def attempt(attempt: Attempt) -> bool:
            await asyncio.sleep(0)
            return attempt.number < 2

        self.run_it(self.reconnecting((fails(OSError()), None), (fails(OSError()), None), attempt=attempt))
        self.assertEqual([attempt.number for attempt in self.told], [0, 1, 2])

    def stopped(self, going: Any, when: Callable[[], Any], stop: Callable[[Any, Any], Any]) -> None:
        """Stop it *when*."""

        async def run() -> None:
            task = asyncio.ensure_future(going.run_forever())
            while not when():
                await asyncio.sleep(0)
            stop(going, task)
            await asyncio.wait([task], timeout=TIMEOUT)
            assert task.done(), 'it goes on'
            if not task.cancelled():
                task.result()
            self.cancelled = task.cancelled()

        asyncio.run(run())

    def test_stopped_while_it_waits(self) -> None:
        for stop in (lambda going, task: going.stop(), lambda going, task: in_a_thread(going.stop)):
            going = self.reconnecting((fails(OSError()), None), backoff=HOURS)
            self.stopped(going, lambda: len(self.told) == 2, stop)
            self.assertEqual((len(self.clients), self.cancelled), (1, False))
        going = self.reconnecting((fails(OSError()), None), backoff=HOURS)
        self.stopped(going, lambda: len(self.told) == 2, lambda going, task: task.cancel())
        self.assertTrue(self.cancelled)

    def test_stopped_while_it_connects(self) -> None:
        async def act(client: Played) -> None:
            while not client.closed_by_us:
                await asyncio.sleep(0)
            raise OSError('closed')

        going = self.reconnecting((act, None))
        self.stopped(going, lambda: self.clients, lambda going, task: in_a_thread(going.stop))
        self.assertEqual(self.clients[0].calls, ['connect', ('close', 1001)])
        going = self.reconnecting((act, None))
        self.stopped(going, lambda: self.clients, lambda going, task: task.cancel())
        self.assertEqual((self.clients[0].calls, self.cancelled), (['connect'], True))

    def test_stopped_while_it_runs(self) -> None:
        async def act(client: Played) -> None:
            while not client.closed_by_us:
                await asyncio.sleep(0)

        for cancelled in (False, True):
            going = self.reconnecting((None, act))
            stop = (lambda going, task: task.cancel()) if cancelled else (lambda going, task: going.stop())
            self.stopped(going, lambda: self.clients and 'run' in self.clients[0].calls, stop)
            self.assertEqual(self.cancelled, cancelled)
            again = ['run'] if cancelled else []
            self.assertEqual(self.clients[0].calls, ['connect', 'run', ('close', 1001), *again])

    def test_cancelled_when_the_connection_is_just_there(self) -> None:
        for sock, parted in ((object(), [('close', 1001), 'run']), (None, [])):

            def act(client: Any, sock: Any = sock) -> None:
                client.state, client.sock = State.OPEN, sock
                raise asyncio.CancelledError

            with self.assertRaises(asyncio.CancelledError):
                self.run_it(self.reconnecting((act, None)))
            self.assertEqual(self.clients[0].calls, ['connect', *parted])

    def test_cancelled_twice(self) -> None:
        async def act(client: Played) -> None:
            await asyncio.sleep(TIMEOUT)

        async def run() -> None:
            going = self.reconnecting((None, act))
            task = asyncio.ensure_future(going.run_forever())
            for count in (1, 2):
                while not self.clients or self.clients[0].calls.count('run') < count:
                    await asyncio.sleep(0)
                task.cancel()
            with self.assertRaises(asyncio.CancelledError):
                await task

        asyncio.run(run())
        self.assertEqual(self.clients[0].calls, ['connect', 'run', ('close', 1001), 'run', ('abort', 1001)])

    def test_stopped_when_all_is_over(self) -> None:
        going = self.reconnecting((None, closes))
        self.run_it(going)
        going.stop()
        self.assertNotIn(('close', 1001), self.clients[0].calls)
        going._loop = asyncio.new_event_loop()  # its loop was closed at this moment
        going._loop.close()
        going.stop()


def in_a_thread(function: Callable[[], Any]) -> None:
    thread = threading.Thread(target=function)
    thread.start()
    thread.join(TIMEOUT)


del Driven  # it has no tests of its own

if __name__ == '__main__':
    unittest.main()
