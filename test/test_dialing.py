"""Sockets that are connected to one of several addresses, and what becomes of all the others."""

from __future__ import annotations

import asyncio
import gc
import os
import socket
import tempfile
import time
import unittest
import warnings
from typing import Any
from unittest.mock import patch

from helpers import TIMEOUT

from ws4py import dialing
from ws4py.dialing import dial


class Case(unittest.IsolatedAsyncioTestCase):
    def setUp(self) -> None:
        caught = self.enterContext(warnings.catch_warnings(record=True)) if hasattr(self, 'enterContext') else []
        warnings.simplefilter('always')
        self.addCleanup(lambda: self.assertEqual([str(warning.message) for warning in caught], []))
        self.addCleanup(gc.collect)  # so that what was left open is told

    async def asyncSetUp(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.loop.slow_callback_duration = TIMEOUT  # the machine may be busy

    def listen(self) -> int:
        server = socket.create_server(('127.0.0.1', 0))
        self.addCleanup(server.close)
        port: int = server.getsockname()[1]
        return port

    def refused(self) -> int:
        with socket.create_server(('127.0.0.1', 0)) as server:
            port: int = server.getsockname()[1]
        return port

    def stalled(self) -> int:
        """A port that does not answer: the queue of the listening socket is full."""
        listening = socket.socket()
        self.addCleanup(listening.close)
        listening.bind(('127.0.0.1', 0))
        listening.listen(0)
        for _ in range(64):
            filler = socket.socket()
            self.addCleanup(filler.close)
            filler.setblocking(False)
            filler.connect_ex(listening.getsockname())
        port: int = listening.getsockname()[1]
        return port

    def resolve(self, *ports: int) -> Any:
        """Let the name have these ports of the loopback as its addresses."""
        found = [(socket.AF_INET, socket.SOCK_STREAM, 6, '', ('127.0.0.1', port)) for port in ports]

        async def getaddrinfo(*args: Any, **options: Any) -> Any:
            return found

        return patch.object(self.loop, 'getaddrinfo', getaddrinfo)


class DialTest(Case):
    async def test_a_name(self) -> None:
        port = self.listen()
        with await dial('localhost', port) as sock:
            self.assertEqual(sock.getpeername(), ('127.0.0.1', port))
            self.assertEqual(sock.gettimeout(), 0)
            self.assertTrue(sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))

    @unittest.skipUnless(hasattr(socket, 'AF_UNIX'), 'no Unix sockets')
    async def test_a_unix_socket(self) -> None:
        with tempfile.TemporaryDirectory() as directory:
            path = os.path.join(directory, 'my.sock')
            with socket.socket(socket.AF_UNIX) as server:
                server.bind(path)
                server.listen(1)
                with await dial('localhost', None, path, 1) as sock:
                    self.assertEqual(sock.getpeername(), path)
            os.unlink(path)
            with self.assertRaises(FileNotFoundError):
                await dial('localhost', None, path)

    async def test_every_address_is_tried(self) -> None:
        port = self.listen()
        with self.resolve(self.refused(), self.refused(), port):
            with await dial('name.test', 1, timeout=5) as sock:
                self.assertEqual(sock.getpeername(), ('127.0.0.1', port))

    async def test_nobody_is_there(self) -> None:
        with self.resolve(self.refused(), self.refused()), self.assertRaises(ConnectionRefusedError):
            await dial('name.test', 1)
        with self.resolve(), self.assertRaisesRegex(OSError, 'name.test has no address'):
            await dial('name.test', 1)
        with self.assertRaises(OSError):
            await dial('nowhere.invalid', 1)

    async def test_one_that_does_not_answer_does_not_keep_the_next_waiting(self) -> None:
        port = self.listen()
        begin = time.monotonic()
        with patch.object(dialing, 'NEXT_ADDRESS', 0.02), self.resolve(self.stalled(), port, self.listen()):
            with await dial('name.test', 1, timeout=5) as sock:
                self.assertEqual(sock.getpeername(), ('127.0.0.1', port))
        self.assertLess(time.monotonic() - begin, 4)

    async def test_timeouts(self) -> None:
        with self.resolve(self.stalled()), self.assertRaisesRegex(TimeoutError, r'no connection to .* within 0.05 s'):
            await dial('name.test', 1, timeout=0.05)

        async def never(*args: Any, **options: Any) -> None:
            await asyncio.sleep(TIMEOUT)

        with patch.object(self.loop, 'getaddrinfo', never):
            with self.assertRaisesRegex(TimeoutError, 'the name name.test was not resolved within 0.05 s'):
                await dial('name.test', 1, timeout=0.05)

    async def test_cancelled_it_leaves_nothing_open(self) -> None:
        """At every point of the way, also when a connection is there already."""
        ports = self.listen(), self.listen(), self.stalled()
        for steps in range(40):
            with patch.object(dialing, 'NEXT_ADDRESS', 0), self.resolve(*ports):
                task = self.loop.create_task(dial('name.test', 1))
                for _ in range(steps // 2):
                    await asyncio.sleep(0)
                if task.cancel():
                    if steps % 2:  # and by somebody who is impatient
                        await asyncio.sleep(0)
                        task.cancel()
                    with self.assertRaises(asyncio.CancelledError):
                        await task
                else:
                    (await task).close()

    async def test_two_that_answer_at_once(self) -> None:
        with patch.object(dialing, 'NEXT_ADDRESS', 0), self.resolve(*(self.listen() for _ in range(5))):
            for _ in range(20):
                (await dial('name.test', 1)).close()


if __name__ == '__main__':
    unittest.main()
