"""The benchmark in a very short form: it runs, its figures are there and sane, and its load sees a wrong answer.

No ratio is looked at: this machine may be busy with anything.
"""

from __future__ import annotations

import importlib
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import unittest
from pathlib import Path
from typing import Any
from unittest import mock

from helpers import TIMEOUT

BENCH = Path(__file__).resolve().parents[1] / 'bench'
ACCEPTED = (
    b'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n'
    b'Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n'
)
FRAME = 2 + 4 + 16  # bytes of what the load sends: head, masking key, payload


def bench_module(name: str) -> Any:
    """A module of the benchmark, which is no package."""
    with mock.patch.object(sys, 'path', [str(BENCH), *sys.path]):
        return importlib.import_module(name)


def run_bench(*words: str) -> str:
    command = [sys.executable, str(BENCH), *words]
    # By a file, so that nothing that it starts can keep this test waiting for the end of a pipe.
    with tempfile.TemporaryFile('w+') as output:
        done = subprocess.run(command, stdout=output, stderr=subprocess.STDOUT, timeout=20 * TIMEOUT)
        output.seek(0)
        text = output.read()
    assert done.returncode == 0, text
    return text


@unittest.skipUnless(sys.platform == 'linux' and shutil.which('cc'), 'the load wants Linux and a C compiler')
class ShortForm(unittest.TestCase):
    def setUp(self) -> None:
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.kept = Path(directory.name, 'run.json')

    def measure(self, *works: str, against: str) -> tuple[dict[str, Any], str]:
        only = [word for work in works for word in ('--only', work)]
        names = ('--ours', 'ws4py-wsgiref', '--ours', 'ws4py-client', '--against', against)
        text = run_bench('--quick', '--reach', '--results', str(self.kept), *only, *names)
        self.assertNotIn('left out', text)
        samples: dict[str, Any] = json.loads(self.kept.read_text('utf-8'))['samples']
        self.assertEqual(list(samples), list(works))
        return samples, text

    def check(self, sample: dict[str, float]) -> None:
        self.assertGreater(sample['rate'], 0)
        self.assertGreater(sample['cost'], 0)
        self.assertLess(sample['cost'], 1)
        self.assertAlmostEqual(sample['busy'], sample['rate'] * sample['cost'])
        self.assertLessEqual(sample['load_busy'], 1.1)  # one thread, and clocks that are not read at the same instant
        self.assertLessEqual(sample['p50'], sample['p99'])

    def test_ours_and_the_bare_echo(self) -> None:
        works = ('pipelined', '64k', 'growth-5000')
        samples, text = self.measure(*works, against='bare-python')
        for work in works:
            for name in ('ws4py-wsgiref', 'bare-python'):
                with self.subTest(work=work, name=name):
                    (sample,) = samples[work][name]
                    self.check(sample)
                    self.assertGreater(sample['p50'], 0)
        self.assertRegex(text, r'echo 1 x 64 x 16 B +ws4py-wsgiref +bare-python +0.5 +[0-9.]+ \(.*\) +(yes|NO)')
        again = run_bench('--from', str(self.kept), '--reach')
        self.assertIn(again.strip(), text.replace(f'\nkept in {self.kept}\n', ''))

    def test_what_is_not_an_echo(self) -> None:
        works = ('tls-256', 'deflate', 'handshakes', 'memory', 'broadcast-stalled', 'receive-1k')
        samples, _ = self.measure(*works, against='bare-python')
        for work in works:
            with self.subTest(work=work):
                ((name, (sample,)),) = samples[work].items()
                self.assertEqual(name, 'ws4py-client' if work == 'receive-1k' else 'ws4py-wsgiref')
                if work == 'memory':
                    self.assertGreater(sample['memory'], 100)
                    self.assertLess(sample['memory'], 1 << 20)
                else:
                    self.check(sample)


@unittest.skipUnless(sys.platform == 'linux' and shutil.which('cc'), 'the load wants Linux and a C compiler')
class Load(unittest.TestCase):
    """A load that would take anything for an echo measures nothing."""

    def complaint(self, answer: bytes, head: bytes = ACCEPTED) -> str:
        """What the load says of a server with this *head*, which then answers every frame with *answer*."""

        def serve() -> None:
            sock, _ = listener.accept()
            with sock:
                sock.recv(4096)
                sock.sendall(head)
                while data := sock.recv(FRAME, socket.MSG_WAITALL):
                    if len(data) == FRAME:
                        sock.sendall(answer)

        with socket.create_server(('127.0.0.1', 0)) as listener:
            thread = threading.Thread(target=serve, daemon=True)
            thread.start()
            binary = bench_module('environments').binary('load.c')
            port = str(listener.getsockname()[1])
            words = [str(binary), 'echo', '--port', port, '--pid', str(os.getpid()), '--seconds', '0.05']
            done = subprocess.run(words, capture_output=True, text=True, timeout=TIMEOUT * 3)
            thread.join(TIMEOUT)
        self.assertEqual(done.returncode, 1 if done.stderr else 0)
        if done.returncode == 0:
            self.assertGreater(json.loads(done.stdout)['messages'], 0)
        return done.stderr

    def test_the_echo(self) -> None:
        payload = bytes((i * 151 + 7) % 256 for i in range(16))
        self.assertEqual(self.complaint(b'\x82\x10' + payload), '')
        self.assertIn('at or after byte 0', self.complaint(b'\x82\x10' + payload[::-1]))

    def test_another_frame(self) -> None:
        self.assertIn('0x81, not with 0x82', self.complaint(b'\x81\x10' + bytes(16)))
        self.assertIn('has 15 bytes, not 16', self.complaint(b'\x82\x0f' + bytes(15)))
        self.assertIn('is masked', self.complaint(b'\x82\x90' + bytes(20)))

    def test_more_than_was_asked_for(self) -> None:
        payload = bytes((i * 151 + 7) % 256 for i in range(16))
        self.assertIn('nobody had asked for', self.complaint(2 * (b'\x82\x10' + payload)))

    def test_no_handshake(self) -> None:
        self.assertIn('refused', self.complaint(b'', b'HTTP/1.1 404 Not Found\r\n\r\n'))
        self.assertIn('Accept is wrong', self.complaint(b'', ACCEPTED.replace(b's3p', b's3q')))


class Ratios(unittest.TestCase):
    def setUp(self) -> None:
        self.compare = bench_module('ratios').compare
        self.sample = bench_module('measuring').Sample

    def test_throughput_is_compared_while_both_are_busy(self) -> None:
        ours = [self.sample(rate=rate, cost=0.01, busy=0.99) for rate in (90, 100, 120)]
        theirs = [self.sample(rate=50, cost=0.04, busy=0.95)] * 3
        self.assertEqual(str(self.compare(ours, theirs)), '2.00 (1.80-2.40, throughput)')

    def test_cpu_time_is_compared_when_one_waits(self) -> None:
        ours = [self.sample(rate=100, cost=0.01, busy=0.94)]
        theirs = [self.sample(rate=50, cost=0.04, busy=0.99)]
        self.assertEqual(str(self.compare(ours, theirs)), '4.00 (4.00-4.00, CPU time)')

    def test_less_memory_is_better(self) -> None:
        ratio = self.compare([self.sample(memory=1000)], [self.sample(memory=6000)])
        self.assertEqual(str(ratio), '6.00 (6.00-6.00, memory)')


if __name__ == '__main__':
    unittest.main()
