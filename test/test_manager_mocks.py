"""The manager as applications' tests know it since 0.x: with mocks for the poller, for websockets and for ``select``.

Everything that these tests use is a mock that exists, is true and cannot be ordered. What they assert is what 0.x
promised; :mod:`test_manager` has the real thing.
"""

from __future__ import annotations

import socket
import unittest
from typing import Any
from unittest.mock import MagicMock, call, patch

from helpers import TIMEOUT, logs, wait_for

from ws4py.manager import EPollPoller, SelectPoller, WebSocketManager
from ws4py.websocket import WebSocket


def websocket(fd: Any = 1) -> MagicMock:
    """A websocket that is a mock."""
    made = MagicMock()
    made.terminated = False
    made.sock.fileno.return_value = fd
    return made


class MockCase(unittest.TestCase):
    """A manager whose poller is a mock that finds nothing, or what a test tells it."""

    def setUp(self) -> None:
        context = logs()
        self.records = context.__enter__()
        self.addCleanup(context.__exit__, None, None, None)
        self.poller = MagicMock()
        self.manager = WebSocketManager(poller=self.poller)
        self.addCleanup(self.end)

    def end(self) -> None:
        self.manager.stop()
        if self.manager.ident is not None:
            self.manager.join(TIMEOUT)
            self.assertFalse(self.manager.is_alive())


class TableTest(MockCase):
    """add, remove, and what is in it; the loop does not run."""

    def test_add_and_remove(self) -> None:
        ws = websocket()
        self.manager.add(ws)
        ws.opened.assert_called_once_with()
        self.poller.register.assert_called_once_with(1)
        self.assertIn(ws, self.manager)
        self.assertEqual(len(self.manager), 1)
        self.assertEqual(self.manager.websockets, {1: ws})
        self.manager.remove(ws)
        self.poller.unregister.assert_called_once_with(1)
        self.assertNotIn(ws, self.manager)
        self.assertEqual(len(self.manager), 0)
        self.assertFalse(ws.terminate.called)

    def test_opened_comes_before_register(self) -> None:
        ws = websocket()
        order = MagicMock()
        order.attach_mock(ws.opened, 'opened')
        order.attach_mock(self.poller.register, 'register')
        self.manager.add(ws)
        self.assertEqual(order.mock_calls, [call.opened(), call.register(1)])

    def test_adding_twice(self) -> None:
        ws = websocket()
        self.manager.add(ws)
        self.manager.add(ws)
        self.assertEqual(len(self.manager), 1)
        ws.opened.assert_called_once_with()

    def test_removing_a_stranger(self) -> None:
        self.manager.remove(websocket())
        self.assertFalse(self.poller.unregister.called)

    def test_a_descriptor_that_is_a_mock(self) -> None:
        ws = MagicMock()
        self.manager.add(ws)
        self.poller.register.assert_called_once_with(ws.sock.fileno.return_value)
        self.assertIn(ws, self.manager)

    def test_iteration(self) -> None:
        made = [websocket(fd) for fd in (1, 2, 3)]
        for ws in made:
            self.manager.add(ws)
        self.assertEqual(list(self.manager), made)
        with self.manager.lock:
            self.assertEqual(list(self.manager.websockets.values()), made)

    def test_the_poller_may_be_replaced(self) -> None:
        manager = WebSocketManager()
        manager.poller.release()
        manager.poller = self.poller
        manager.add(websocket())
        self.poller.register.assert_called_once_with(1)
        manager.stop()
        self.poller.release.assert_called_once_with()

    def test_nothing_is_registered_before_the_loop_runs(self) -> None:
        self.assertEqual(self.poller.mock_calls, [])

    def test_a_hook_of_a_mock_that_raises(self) -> None:
        ws = websocket()
        ws.opened.side_effect = ZeroDivisionError
        with self.assertRaises(ZeroDivisionError):
            self.manager.add(ws)


class SendingTest(MockCase):
    """broadcast and close_all."""

    def test_broadcast(self) -> None:
        made = [websocket(fd) for fd in (1, 2)]
        for ws in made:
            self.manager.add(ws)
        self.manager.broadcast('hello there')
        self.manager.broadcast(b'bytes', binary=True)
        for ws in made:
            self.assertEqual(ws.send.mock_calls, [call('hello there', False), call(b'bytes', True)])

    def test_a_broadcast_that_fails_for_one(self) -> None:
        made = [websocket(fd) for fd in (1, 2, 3)]
        for ws in made:
            self.manager.add(ws)
        made[1].send.side_effect = RuntimeError
        self.manager.broadcast('hello there')
        for ws in made:
            ws.send.assert_called_once_with('hello there', False)

    def test_broadcast_goes_through_a_send_that_is_patched(self) -> None:
        ours, theirs = socket.socketpair()
        self.addCleanup(ours.close)
        self.addCleanup(theirs.close)
        ws = WebSocket(ours)
        self.manager.add(ws)
        with patch.object(ws, 'send') as send:
            self.manager.broadcast('hello there')
        send.assert_called_once_with('hello there', False)

    def test_close_all(self) -> None:
        made = [websocket(fd) for fd in (1, 2)]
        for ws in made:
            self.manager.add(ws)
        self.manager.close_all()
        for ws in made:
            ws.close.assert_called_once_with(code=1001, reason='Server is shutting down')
        self.manager.close_all(code=1000, message='bye')
        for ws in made:
            ws.close.assert_called_with(code=1000, reason='bye')


class LoopTest(MockCase):
    """The loop runs."""

    def test_stop_right_after_start(self) -> None:
        self.manager.start()
        self.assertTrue(self.manager.running)
        self.manager.stop()
        self.assertFalse(self.manager.running)
        self.manager.join(TIMEOUT)
        self.poller.release.assert_called_once_with()

    def test_once_that_is_true(self) -> None:
        ws = websocket()
        self.poller.poll.return_value = [1]
        self.manager.add(ws)
        self.manager.start()
        wait_for(lambda: ws.once.call_count > 1)
        self.assertFalse(ws.terminate.called)
        self.assertIn(ws, self.manager)

    def test_once_that_is_false(self) -> None:
        ws = websocket()
        ws.once.return_value = False
        self.poller.poll.return_value = [1]
        self.manager.add(ws)
        self.manager.start()
        wait_for(lambda: ws.terminate.called)
        self.assertNotIn(ws, self.manager)
        self.poller.unregister.assert_any_call(1)
        self.manager.stop()
        self.manager.join(TIMEOUT)
        ws.once.assert_called_once_with()
        ws.terminate.assert_called_once_with()

    def test_once_that_raises(self) -> None:
        bad, good = websocket(1), websocket(2)
        bad.once.side_effect = ZeroDivisionError
        self.poller.poll.return_value = [1, 2]
        self.manager.add(bad)
        self.manager.add(good)
        self.manager.start()
        wait_for(lambda: bad.terminate.called and good.once.called)
        self.assertNotIn(bad, self.manager)
        self.assertIn(good, self.manager)

    def test_poll_that_yields(self) -> None:
        def poll() -> Any:
            yield 1
            yield 2

        self.poller.poll.side_effect = poll
        made = [websocket(fd) for fd in (1, 2)]
        for ws in made:
            self.manager.add(ws)
        self.manager.start()
        wait_for(lambda: all(ws.once.called for ws in made))

    def test_poll_that_raises(self) -> None:
        failures = [OSError('bad')]

        def poll() -> list[int]:
            if failures:
                raise failures.pop()
            return [1]

        self.poller.poll.side_effect = poll
        ws = websocket()
        self.manager.add(ws)
        self.manager.start()
        wait_for(lambda: ws.once.called)
        self.assertTrue(any('the poller failed' in record.getMessage() for record in self.records))

    def test_stop_terminates_mocks_without_a_close(self) -> None:
        ws = websocket()
        self.manager.add(ws)
        self.manager.start()
        self.manager.close_all()
        self.manager.stop()
        self.manager.join(TIMEOUT)
        ws.close.assert_called_once_with(code=1001, reason='Server is shutting down')
        ws.terminate.assert_called_once_with()

    def test_terminate_that_raises(self) -> None:
        ws = websocket()
        ws.once.return_value = False
        ws.terminate.side_effect = ZeroDivisionError
        self.poller.poll.return_value = [1]
        self.manager.add(ws)
        self.manager.start()
        wait_for(lambda: ws.terminate.called)
        self.assertTrue(self.manager.is_alive())


class SelectTest(unittest.TestCase):
    """``ws4py.manager.select`` is a mock."""

    @patch('ws4py.manager.select')
    def test_select_poller(self, select: MagicMock) -> None:
        poller = SelectPoller(timeout=0.05)
        poller.register(10)
        poller.register(10)
        self.assertEqual(poller._fds, [10])
        select.select.return_value = ([10], None, None)
        self.assertEqual(list(poller.poll()), [10])
        self.assertEqual(select.select.call_count, 1)
        self.assertEqual(list(poller.writable()), [])
        poller.unregister(10)
        poller.unregister(10)
        self.assertEqual(poller._fds, [])
        poller.release()

    @patch('ws4py.manager.time')
    def test_select_poller_with_nothing_waits(self, time: MagicMock) -> None:
        self.assertEqual(list(SelectPoller(timeout=0.05).poll()), [])
        time.sleep.assert_called_once_with(0.05)

    @patch('ws4py.manager.select')
    def test_epoll_poller(self, select: MagicMock) -> None:
        select.EPOLLIN, select.EPOLLOUT = 1, 4
        poller = EPollPoller(timeout=0.05)
        epoll = select.epoll.return_value
        poller.register(10)
        epoll.register.assert_called_once_with(10, 1)
        epoll.poll.return_value = [(10, 1)]
        self.assertEqual(list(poller.poll()), [10])
        poller.unregister(10)
        epoll.unregister.assert_called_once_with(10)
        poller.release()
        epoll.close.assert_called_once_with()

    def test_a_manager_on_a_patched_select(self) -> None:
        with patch('ws4py.manager.select') as select:
            select.select.side_effect = lambda fds, *rest: ([fd for fd in fds if fd == 10], None, None)
            manager = WebSocketManager(poller=SelectPoller())
            ws = websocket(10)
            ws.once.return_value = False
            manager.add(ws)
            manager.start()
            wait_for(lambda: ws.terminate.called)
            manager.stop()
            manager.join(TIMEOUT)
            self.assertFalse(manager.is_alive())
