from __future__ import annotations

import _thread
import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import unittest
from typing import Any
from unittest.mock import MagicMock, patch

from support_sockets import TIMEOUT, ScriptedServer, read_request, response_to, say, until

from ws4py.client import threadedclient
from ws4py.client.threadedclient import WebSocketClient
from ws4py.limits import Limits
from ws4py.websocket import EchoWebSocket


def echo(sock: socket.socket) -> None:
    """A server of the other half of this package."""
    sock.sendall(response_to(read_request(sock)))
    EchoWebSocket(sock).run()


class Client(WebSocketClient):
    """Sends, closes after the last answer, and remembers."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.log: list[Any] = []
        self.open = threading.Event()
        super().__init__(*args, **kwargs)

    def opened(self) -> None:
        self.log.append('opened')
        self.open.set()

    def received_message(self, message: Any) -> None:
        self.log.append(str(message))
        if str(message) == 'end':
            self.close(reason='done')

    def closed(self, code: int, reason: Any = None) -> None:
        self.log.append((code, reason))


class ThreadedClientTest(unittest.TestCase):
    def connect(self, script: Any = echo, cls: Any = Client, **kwargs: Any) -> Any:
        server = ScriptedServer(script)
        server.__enter__()
        self.addCleanup(server.__exit__, None, None, None)
        client = cls(f'ws://127.0.0.1:{server.port}/', **kwargs)
        client.connect()
        self.addCleanup(client.run_forever)
        self.addCleanup(client.close_connection)
        return client

    def test_talk(self) -> None:
        client = self.connect()
        for text in ('one', 'two', 'end'):
            client.send(text)
        client.run_forever()
        self.assertEqual(client.log, ['opened', 'one', 'two', 'end', (1000, b'done')])
        self.assertIsNone(client.sock)
        client.run_forever()  # it has ended, there is nothing to wait for

    def test_thread(self) -> None:
        client = WebSocketClient('ws://127.0.0.1/', limits=Limits(message_size=5))
        self.addCleanup(client.close_connection)
        self.assertEqual((client._th.name, client.daemon, client.limits.message_size), ('WebSocketClient', True, 5))
        client.daemon = False
        self.assertFalse(client._th.daemon)

    def test_handshake_ok_starts_the_thread_and_returns(self) -> None:
        with patch('ws4py.client.socket'):
            client = WebSocketClient('ws://127.0.0.1/')
        client._th = MagicMock()
        client.handshake_ok()
        client._th.start.assert_called_once_with()
        client._th.join.assert_not_called()

    def test_waits_for_closed(self) -> None:
        released = threading.Event()

        class Slow(Client):
            def closed(self, code: int, reason: Any = None) -> None:
                released.wait(TIMEOUT)
                super().closed(code, reason)

        client = self.connect(cls=Slow)
        client.close()
        waiting = threading.Thread(target=client.run_forever)
        with patch.object(threadedclient, 'GLANCE', 0.01):
            waiting.start()
            waiting.join(0.1)
            self.assertTrue(waiting.is_alive())  # both Close frames may be through by now, closed() is not
            released.set()
            waiting.join(TIMEOUT)
        self.assertFalse(waiting.is_alive())
        self.assertEqual(client.log[-1], (1000, b''))

    def test_interrupt_closes_properly(self) -> None:
        client = self.connect()
        client.open.wait(TIMEOUT)
        wait = client._over.wait

        def interrupted(timeout: float) -> bool:
            client._over.wait = wait
            _thread.interrupt_main()
            return wait(timeout)

        client._over.wait = interrupted
        with self.assertRaises(KeyboardInterrupt):
            client.run_forever()
        self.assertEqual(client.log, ['opened', (1000, b'')])
        client.close()  # as programs do in their `except KeyboardInterrupt`

    def test_interrupt_while_it_breaks(self) -> None:
        client = self.connect()
        with patch.object(client, '_wait', side_effect=[KeyboardInterrupt, None]):
            with patch.object(client, 'close', side_effect=RuntimeError):
                with self.assertRaises(KeyboardInterrupt):
                    client.run_forever()
        client.close()
        client.run_forever()

    def test_peer_that_never_answers_the_close(self) -> None:
        client = self.connect(
            say(then=lambda sock, request: threading.Event().wait(1) and None), limits=Limits(close_timeout=0.1)
        )
        client.close()
        client.run_forever()
        self.assertEqual(client.log[0], 'opened')
        self.assertEqual(client.log[1][0], 1006)

    def test_again_in_closed(self) -> None:
        for waits in (True, False):
            log: list[Any] = []

            class Persistent(WebSocketClient):
                def opened(self, log: list[Any] = log) -> None:
                    log.append('opened')

                def closed(self, code: int, reason: Any = None, log: list[Any] = log, waits: bool = waits) -> None:
                    log.append((code, self.sock is not None))
                    if len(log) < 6:
                        self.__init__(self.url)  # type: ignore[misc]
                        self.connect()
                        if waits:
                            self.run_forever()

            with self.subTest(waits=waits):
                client = self.connect(say(lambda request: response_to(request) + b'\x88\x02\x03\xe8'), cls=Persistent)
                client.run_forever()
                self.assertEqual(log, ['opened', (1000, True)] * 3)

    def test_again_while_it_is_connected(self) -> None:
        for close_first in (False, True):
            client = self.connect()
            for _ in range(10):
                if close_first:
                    client.close()
                client.__init__(client.url)
                client.connect()
            client.send('end')
            client.run_forever()
            # Before that may stand the closed() of one that had ended by itself when it was constructed again.
            self.assertEqual(client.log[-3:], ['opened', 'end', (1000, b'done')])

    def test_again_in_received_message(self) -> None:
        log: list[Any] = []

        class Persistent(WebSocketClient):
            def received_message(self, message: Any) -> None:
                log.append(str(message))
                if len(log) < 3:
                    self.__init__(self.url)  # type: ignore[misc]
                    self.connect()
                    self.send('again')
                else:
                    self.close()

            def closed(self, code: int, reason: Any = None) -> None:
                log.append(code)

        client = self.connect(cls=Persistent)
        client.send('first')
        until(lambda: 1000 in log)
        client.run_forever()
        self.assertEqual(log, ['first', 'again', 'again', 1000])

    def test_the_close_timer_of_the_last_connection_does_not_end_the_next(self) -> None:
        limits = Limits(close_timeout=0.05)
        client = self.connect(limits=limits)
        client.close()
        client.run_forever()
        client.__init__(client.url, limits=limits)
        client.connect()
        threading.Event().wait(0.1)  # for nothing to happen in
        client.send('end')
        client.run_forever()
        self.assertEqual(client.log, ['opened', 'end', (1000, b'done')])


PROGRAM = """
import sys
from ws4py.client.threadedclient import WebSocketClient

announcement = iter(['waiting\\n'])

class Client(WebSocketClient):
    def _wait(self):  # so that Ctrl-C comes when it is waiting, and neither before nor after
        print(next(announcement, ''), end='', flush=True)
        super()._wait()

    def closed(self, code, reason=None):
        print('closed', code, flush=True)

client = Client(sys.argv[1])
try:
    client.connect()
    client.run_forever()
except KeyboardInterrupt:
    client.close()
"""


@unittest.skipIf(sys.platform == 'win32', 'no SIGINT for a child process')
class ProgramTest(unittest.TestCase):
    def test_ctrl_c(self) -> None:
        frames: list[bytes] = []

        def script(sock: socket.socket) -> None:
            sock.sendall(response_to(read_request(sock)))
            frames.append(sock.recv(1024))
            sock.sendall(b'\x88\x02\x03\xe8')
            sock.shutdown(socket.SHUT_RDWR)

        with ScriptedServer(script) as server:
            environ = {**os.environ, 'PYTHONPATH': os.pathsep.join(filter(None, sys.path))}
            child = subprocess.Popen(
                [sys.executable, '-W', 'error', '-c', PROGRAM, f'ws://127.0.0.1:{server.port}/'],
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=environ,
                text=True,
            )
            with contextlib.ExitStack() as stack:
                stack.callback(child.kill)
                assert child.stdout is not None
                self.assertEqual(child.stdout.readline(), 'waiting\n')
                child.send_signal(signal.SIGINT)
                output, errors = child.communicate(timeout=30)
        self.assertEqual((output, errors, child.returncode), ('closed 1000\n', '', 0))
        self.assertEqual((frames[0][0], frames[0][1]), (0x88, 0x82))


if __name__ == '__main__':
    unittest.main()
