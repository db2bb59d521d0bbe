"""Timers: order, cancelling, what a callback raises, and the thread that lives only while one is set."""

from __future__ import annotations

import gc
import importlib.util
import os
import queue
import subprocess
import sys
import threading
import unittest
import weakref
from pathlib import Path
from unittest import mock

from helpers import TIMEOUT, logs, wait_for

from ws4py import timers
from ws4py.timers import Timers, TimerThread, spread


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Heap(unittest.TestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.timers = Timers(self.clock)
        self.called: list[str] = []

    def later(self, delay: float, name: str) -> timers.Timer:
        return self.timers.call_later(delay, lambda: self.called.append(name))

    def test_nothing_is_due_where_nothing_is_set(self) -> None:
        self.assertIsNone(self.timers.run_due())

    def test_they_run_in_order_of_time_then_of_setting(self) -> None:
        self.later(2, 'c')
        self.later(1, 'a')
        self.later(1, 'b')
        self.assertEqual(self.timers.run_due(), 1)
        self.assertEqual(self.called, [])
        self.clock.now += 1
        self.assertEqual(self.timers.run_due(), 1)
        self.assertEqual(self.called, ['a', 'b'])
        self.clock.now += 5
        self.assertIsNone(self.timers.run_due())
        self.assertEqual(self.called, ['a', 'b', 'c'])

    def test_a_cancelled_one_never_runs_and_is_not_waited_for(self) -> None:
        first, second = self.later(1, 'first'), self.later(2, 'second')
        first.cancel()
        first.cancel()
        self.assertEqual(self.timers.run_due(), 2)
        second.cancel()
        self.clock.now += 9
        self.assertIsNone(self.timers.run_due())
        self.assertEqual(self.called, [])

    def test_a_cancelled_one_lets_go_at_once(self) -> None:
        class Connection:
            def drop(self) -> None:
                raise AssertionError

        connection = Connection()
        timer = self.timers.call_later(3600, connection.drop)
        reference = weakref.ref(connection)
        del connection
        timer.cancel()
        gc.collect()
        self.assertIsNone(reference())

    def test_what_a_callback_raises_is_logged_and_stops_no_other(self) -> None:
        self.timers.call_later(0, lambda: 1 / 0)
        self.later(0, 'next')
        with self.assertLogs('ws4py', 'ERROR') as caught:
            self.assertIsNone(self.timers.run_due())
        self.assertIn('ZeroDivisionError', caught.output[0])
        self.assertEqual(self.called, ['next'])

    def test_a_callback_may_set_another(self) -> None:
        self.timers.call_later(0, lambda: self.later(1, 'again'))
        self.assertEqual(self.timers.run_due(), 1)


class Crowd(unittest.TestCase):
    def test_cancelled_timers_do_not_pile_up(self) -> None:
        heap = Timers()
        kept = [heap.call_later(3600, lambda: None) for _ in range(10)]
        for _ in range(20_000):
            heap.call_later(3600, lambda: None).cancel()
        self.assertLessEqual(len(heap._heap), timers.CROWD)
        self.assertLessEqual(set(kept), {entry[2] for entry in heap._heap})

    def test_living_timers_are_all_kept(self) -> None:
        heap = Timers(clock=lambda: now[0])
        now = [0.0]
        called: list[int] = []
        for at in range(3 * timers.CROWD):
            heap.call_later(at % 7, lambda at=at: called.append(at))  # type: ignore[misc]
        now[0] = 10.0
        self.assertIsNone(heap.run_due())
        self.assertEqual(called, sorted(range(3 * timers.CROWD), key=lambda at: (at % 7, at)))


class Thread(unittest.TestCase):
    def setUp(self) -> None:
        self.timers = TimerThread()

    def test_it_starts_with_the_first_timer(self) -> None:
        self.assertIsNone(self.timers._thread)
        threads = []
        for _ in range(2):
            called: queue.Queue[threading.Thread] = queue.Queue()
            self.timers.call_later(0.01, lambda called=called: called.put(threading.current_thread()))  # type: ignore[misc]
            threads.append(called.get(timeout=TIMEOUT))
        self.assertTrue(threads[0].daemon)
        self.assertIs(threads[0], threads[1])

    def test_an_earlier_one_is_not_slept_through(self) -> None:
        late = self.timers.call_later(3600, lambda: self.fail('one hour too early'))
        done = threading.Event()
        self.timers.call_later(0.01, done.set)
        self.assertTrue(done.wait(TIMEOUT))
        late.cancel()
        self.timers.call_later(0, done.clear)  # which makes the thread look again
        wait_for(lambda: not done.is_set())

    def test_from_many_threads_each_runs_once(self) -> None:
        called: list[int] = []
        callers = [
            threading.Thread(
                target=lambda at=at: [  # type: ignore[misc]
                    self.timers.call_later(delay / 1000, lambda: called.append(at)) for delay in range(20)
                ]
            )
            for at in range(8)
        ]
        for caller in callers:
            caller.start()
        for caller in callers:
            caller.join()
        wait_for(lambda: len(called) == 160)
        self.assertEqual(sorted(called), sorted(list(range(8)) * 20))

    def test_an_endless_delay_does_not_end_the_thread(self) -> None:
        timer = self.timers.call_later(float('inf'), lambda: self.fail('never'))
        done = threading.Event()
        self.timers.call_later(0.01, done.set)
        self.assertTrue(done.wait(TIMEOUT))
        timer.cancel()
        self.timers.call_later(0, done.clear)
        wait_for(lambda: not done.is_set())

    def test_one_cancelled_at_the_last_moment_is_not_waited_for(self) -> None:
        timer = Timers.call_later(self.timers, 3600, lambda: None)  # without the thread, between its two looks
        self.assertGreater(self.timers._next() or 0, 3000)
        timer.cancel()
        self.assertIsNone(self.timers._next())

    def test_where_no_thread_can_start_the_next_timer_tries_again(self) -> None:
        with mock.patch.object(threading.Thread, 'start', side_effect=RuntimeError("can't start new thread")):
            with self.assertRaises(RuntimeError):
                self.timers.call_later(0, lambda: None)
        done = threading.Event()
        self.timers.call_later(0, done.set)
        self.assertTrue(done.wait(TIMEOUT))

    def test_the_thread_looks_again_where_it_is_early(self) -> None:
        """A wait may end before its time, and the heap may have filled between two looks."""
        done = threading.Event()
        looks: list[float] = []
        look = self.timers._next

        def early() -> object:
            wait = look()
            if wait is not None:
                looks.append(wait)
                return 0.0 if len(looks) == 1 else wait
            return wait

        self.timers._next = early  # type: ignore[method-assign, assignment]
        self.timers.call_later(0.02, done.set)
        self.assertTrue(done.wait(TIMEOUT))
        self.assertGreaterEqual(len(looks), 2)


class Fork(unittest.TestCase):
    @unittest.skipUnless(hasattr(os, 'fork'), 'there is no fork here')
    def test_a_child_has_timers_of_its_own(self) -> None:
        program = (
            'import os, sys, threading\n'
            'from ws4py.timers import shared\n'
            'shared.call_later(3600, lambda: None)\n'  # the thread runs, and is gone in the child
            'pid = os.fork()\n'
            'if pid == 0:\n'
            '    done = threading.Event()\n'
            '    shared.call_later(0, done.set)\n'
            f'    os._exit(0 if done.wait({TIMEOUT}) else 1)\n'
            'sys.exit(os.waitpid(pid, 0)[1] != 0)\n'
        )
        options = ['-W', 'ignore::DeprecationWarning']  # which 3.12 gives to forks with threads
        done = subprocess.run(
            [sys.executable, *options, '-c', program], cwd=Path(timers.__file__).parents[1], timeout=60
        )
        self.assertEqual(done.returncode, 0)

    def test_what_the_child_calls_begins_anew(self) -> None:
        shared = timers.shared
        held = shared._changed
        timers._after_fork()
        self.assertIs(timers.shared, shared)
        self.assertIsNot(shared._changed, held)
        self.assertIsNone(shared._thread)

    def test_where_there_is_no_fork_nothing_is_registered(self) -> None:
        hook = getattr(os, 'register_at_fork', None)
        source = Path(timers.__file__)
        specification = importlib.util.spec_from_file_location('timers_without_fork', source)
        assert specification is not None and specification.loader is not None
        module = importlib.util.module_from_spec(specification)
        if hook is not None:
            with mock.patch.object(os, 'register_at_fork'):
                del os.register_at_fork
                specification.loader.exec_module(module)
        self.assertTrue(module.TimerThread)


class Quiet(unittest.TestCase):
    def test_nothing_is_logged_without_a_fault(self) -> None:
        heap = Timers()
        heap.call_later(0, lambda: None)
        with logs() as records:
            self.assertIsNone(heap.run_due())
        self.assertEqual(records, [])


class SpreadTest(unittest.TestCase):
    def test_evenly_and_the_first_one_now(self) -> None:
        self.assertEqual(spread(4, 10), [0, 2.5, 5, 7.5])
        self.assertEqual(spread(3, 0), [0, 0, 0])
        self.assertEqual(spread(0, 10), [])


if __name__ == '__main__':
    unittest.main()
