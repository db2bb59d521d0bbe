"""A thread with a hub of gevent, for tests that play the peer with sockets which block."""

from __future__ import annotations

import functools
import os
import socket
import subprocess
import sys
import threading
import unittest
from concurrent.futures import Future
from pathlib import Path
from typing import Any, Callable

try:
    import gevent
    import gevent.event
    import gevent.monkey
    import gevent.socket
except ImportError:
    raise unittest.SkipTest('gevent is not installed') from None

from helpers import TIMEOUT

TEST = Path(__file__).resolve().parent
PATCHED = gevent.monkey.is_module_patched('threading')  # then this is a process made by run_patched()


class HubThread:
    """The thread, or, where everything is patched, only a greenlet. A context manager."""

    def __enter__(self) -> HubThread:
        ready = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(ready,), name='hub', daemon=True)
        self._thread.start()
        assert ready.wait(TIMEOUT)
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._bell.send()
        self._thread.join(TIMEOUT)
        assert not self._thread.is_alive(), 'the hub did not end'

    def _run(self, ready: threading.Event) -> None:
        self.hub = gevent.get_hub()
        self.ident = threading.get_ident()
        stop = gevent.event.Event()
        self._bell = self.hub.loop.async_()
        self._bell.start(stop.set)
        ready.set()
        stop.wait()
        self._bell.close()
        gevent.sleep(0)  # sockets are closed when the loop has come round
        if not PATCHED:
            self.hub.destroy(destroy_loop=True)

    def spawn(self, function: Callable[..., Any], *args: Any, **options: Any) -> Future[Any]:
        """Call *function* in a greenlet of that thread."""
        future: Future[Any] = Future()

        def run() -> None:
            try:
                future.set_result(function(*args, **options))
            except BaseException as error:
                future.set_exception(error)

        self.hub.loop.run_callback_threadsafe(gevent.spawn_raw, run)
        return future

    def do(self, function: Callable[..., Any], *args: Any, **options: Any) -> Any:
        """Call *function* in a greenlet of that thread, and wait for what it returns or raises."""
        return self.spawn(function, *args, **options).result(TIMEOUT)

    def __call__(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """A function that is always called in that thread."""
        return functools.partial(self.do, function)


class PoolResult:
    """The face of a future for what gevent's thread pool gives."""

    def __init__(self, result: Any) -> None:
        self._result = result

    def result(self, timeout: float) -> Any:
        return self._result.get(timeout=timeout)


def in_thread(function: Callable[..., Any], *args: Any) -> Any:
    """Call *function* in a real thread without a hub; what it gives has ``result(timeout)``."""
    if PATCHED:
        return PoolResult(gevent.get_hub().threadpool.spawn(function, *args))
    future: Future[Any] = Future()

    def run() -> None:
        try:
            future.set_result(function(*args))
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return future


class HubCase(unittest.TestCase):
    """Tests with such a thread, which has nothing to do any more when the last of them is done."""

    @classmethod
    def setUpClass(cls) -> None:
        cls.hub = HubThread()
        cls.hub.__enter__()
        cls.addClassCleanup(cls.hub.__exit__, None, None, None)

    def adopt(self, sock: socket.socket) -> Any:
        """The same as a gevent socket, in the thread of the hub."""
        family, kind, descriptor = sock.family, sock.type, sock.detach()
        return self.hub.do(gevent.socket.socket, family, kind, fileno=descriptor)


def run_patched(*tests: str) -> None:
    """Run *tests* (modules, classes) in a process of its own, in which everything is monkey-patched."""
    program = (
        f'from gevent import monkey; monkey.patch_all(); import unittest; unittest.main(None, argv={["", *tests]})'
    )
    command = [sys.executable, '-W', 'error', '-c', program]
    path = os.pathsep.join((str(TEST.parent), str(TEST)))
    done = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=6 * TIMEOUT,
        env={**os.environ, 'PYTHONPATH': path},
    )  # fmt: skip
    assert done.returncode == 0 and 'OK' in done.stdout, f'{done.returncode}: {done.stdout}'
