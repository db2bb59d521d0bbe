"""Two thousand connections in one manager, against one server: the program of the manual, as processes.

The clients are ``example/many_clients.py`` as it stands.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path
from typing import Any

try:
    import resource
except ImportError:  # not a Unix
    resource = None  # type: ignore[assignment]

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
COUNT = 2000
STALLED = 2
TIMEOUT = 60.0  # seconds
DESCRIPTORS = COUNT + 200


@unittest.skipIf(resource is None, 'without a limit on descriptors that can be raised')
class TwoThousandTest(unittest.TestCase):
    def setUp(self) -> None:
        self.stack = contextlib.ExitStack()
        self.addCleanup(self.stack.close)
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        if soft != resource.RLIM_INFINITY and soft < DESCRIPTORS:
            if hard != resource.RLIM_INFINITY and hard < DESCRIPTORS:
                self.skipTest(f'only {hard} descriptors are allowed here')
            resource.setrlimit(resource.RLIMIT_NOFILE, (DESCRIPTORS, hard))
            self.addCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))

    def start(self, *arguments: Any, **options: Any) -> subprocess.Popen[bytes]:
        command = [sys.executable, '-W', 'error', *map(str, arguments)]
        process = subprocess.Popen(command, env=_environment(), **options)
        self.addCleanup(_end, process)
        return process

    def wait(self, condition: Any, what: str) -> Any:
        end = time.monotonic() + TIMEOUT
        while True:
            found = condition()
            if found:
                return found
            self.assertLess(time.monotonic(), end, what)
            time.sleep(0.05)

    def order(self, command: str) -> None:
        self.server.stdin.write(command.encode() + b'\n')
        self.server.stdin.flush()

    def read_line(self) -> bytes:
        readable, _, _ = select.select([self.server.stdout], [], [], TIMEOUT)
        self.assertTrue(readable, 'the server says nothing')
        return self.server.stdout.readline()

    def report(self) -> dict[str, Any]:
        self.order('report')
        return json.loads(self.read_line())

    def stall(self, policy: str) -> socket.socket:
        """A peer that asks for little, and reads nothing of it."""
        sock = socket.socket()
        self.addCleanup(sock.close)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.settimeout(TIMEOUT)
        sock.connect(('127.0.0.1', self.port))
        sock.sendall(
            f'GET /{policy} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n'
            'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n'.encode()
        )
        self.assertTrue(sock.recv(12).endswith(b'101'))
        return sock

    def test_two_thousand(self) -> None:
        pipes = {'stdin': subprocess.PIPE, 'stdout': subprocess.PIPE}
        self.server = self.start(HERE / 'server_of_many.py', **pipes)
        self.port = int(self.read_line())
        stalled = {policy: self.stall(policy) for policy in ('disconnect', 'drop')}
        output = self.stack.enter_context(tempfile.NamedTemporaryFile())  # noqa: SIM115
        client = ROOT / 'example' / 'many_clients.py'
        clients = self.start(client, f'ws://127.0.0.1:{self.port}/', COUNT, stdout=output)

        def heard(text: bytes) -> int:
            return Path(output.name).read_bytes().count(text)

        self.wait(lambda: heard(b'hello from each of us') == COUNT, 'not everybody has heard the echo')
        report = self.report()
        self.assertEqual(report['open'], COUNT + STALLED)
        self.assertLess(report['threads'], 10)
        self.assertLess(_threads(clients), 10)

        # Two peers stall. A broadcast reaches all others, and each of the two meets its policy.
        self.order('fill')
        self.order('broadcast on we go')
        self.wait(lambda: heard(b'on we go') == COUNT, 'the broadcast has not reached everybody')
        report = self.wait(lambda: (r := self.report())['closed'] and r, 'the stalled peer is still there')
        self.assertEqual((report['closed'], report['open']), ({'disconnect 1006': 1}, COUNT + 1))
        self.order('broadcast once more')
        self.wait(lambda: heard(b'once more') == COUNT, 'the second broadcast has not reached everybody')
        self.assertIsNone(clients.poll())

        # The one whose messages were dropped gets what was accepted, and what comes when there is room again.
        received = _read_until(stalled['drop'], bytes(1024 * 1024))
        self.order('broadcast welcome back')
        received += _read_until(stalled['drop'], b'welcome back')
        self.assertNotIn(b'on we go', received)

        # Ctrl-C in one program, and in the other.
        clients.send_signal(signal.SIGINT)
        self.assertEqual(clients.wait(TIMEOUT), 0)
        report = self.wait(lambda: (r := self.report())['open'] == 1 and r, 'connections are left')
        self.assertEqual(report['closed'], {'disconnect 1006': 1, '1000': COUNT})
        self.server.send_signal(signal.SIGINT)
        _read_until(stalled['drop'], b'\x03\xe9Server is shutting down')
        stalled['drop'].sendall(b'\x88\x82\x00\x00\x00\x00\x03\xe9')
        self.assertEqual(json.loads(self.read_line())['closed'], {**report['closed'], 'drop 1001': 1})
        self.assertEqual(self.server.wait(TIMEOUT), 0)


def _environment() -> dict[str, str]:
    return {**os.environ, 'PYTHONPATH': os.pathsep.join([str(ROOT), os.environ.get('PYTHONPATH', '')])}


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.kill()
    process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            pipe.close()


def _threads(process: subprocess.Popen[bytes]) -> int:
    """How many threads a process has; 0 where the system does not tell."""
    try:
        lines = Path(f'/proc/{process.pid}/status').read_text().splitlines()
    except OSError:
        return 0
    return int(next(line for line in lines if line.startswith('Threads:')).split()[1])


def _read_until(sock: socket.socket, text: bytes) -> bytes:
    """What comes up to *text*."""
    data = b''
    while text not in data:
        block = sock.recv(65536)
        if not block:
            raise AssertionError(f'the end, and no {text[:50]!r} after {data[-100:]!r}')
        data += block
    return data


if __name__ == '__main__':
    unittest.main()
