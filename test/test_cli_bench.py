"""``bench``: as a real process, and what counts in it."""

from __future__ import annotations

import json
import os
import random
import re
import select
import signal
import socket
import subprocess
import threading
import unittest
from typing import Any, Optional
from unittest import mock

from support_demo import TIMEOUT, Demo, command, end, environment, run_text, until
from support_tls import authority_file, certificate_files, needs_certificates
from test_cli import serving

from ws4py.cli import bench
from ws4py.cli.load import Load, RoundTrips
from ws4py.websocket import EchoWebSocket, WebSocket

try:
    import pty
except ImportError:  # Windows
    pty = None  # type: ignore[assignment]

NONE = {'not_connected': 0, 'lost': 0, 'wrong': 0, 'unanswered': 0}


class BenchTest(unittest.TestCase):
    def measured(self, *arguments: str, status: int = 0, errors: str = '') -> dict[str, Any]:
        """The result of a run, as JSON."""
        done, output, said = run_text('bench', '--json', *arguments)
        self.assertRegex(said, rf'\A{errors}\Z')
        self.assertEqual((done, output.count('\n')), (status, 1), output)
        result: dict[str, Any] = json.loads(output)
        return result

    def test_so_many_messages(self) -> None:
        sizes: list[Any] = []

        class Watched(EchoWebSocket):
            def received_message(self, message: Any) -> None:
                sizes.append((self.peer_address, message.is_binary, len(message)))
                super().received_message(message)

        with serving(Watched) as url:
            for options, binary, size in (((), False, 32), (('--binary', '--size', '70000'), True, 70000)):
                result = self.measured('--connections', '4', '--messages', '50', *options, url)
                self.assertEqual(len({address for address, _, _ in sizes}), 4)
                self.assertEqual([each[1:] for each in sizes], [(binary, size)] * 50)
                sizes.clear()
                times = result.pop('round_trip_ms')
                self.assertTrue(0 < times['p50'] <= times['p90'] <= times['p99'] <= times['max'], times)
                rates = result.pop('messages_per_second'), result.pop('bytes_per_second')
                self.assertAlmostEqual(rates[1] / rates[0], size, delta=size / 10)
                self.assertGreater(result.pop('seconds'), 0)
                self.assertEqual(
                    result,
                    {
                        'url': url,
                        'connections': 4,
                        'size': size,
                        'binary': binary,
                        'messages': 50,
                        'failures': NONE,
                    },
                )

    def test_for_so_long(self) -> None:
        with serving(EchoWebSocket) as url:
            result = self.measured('--duration', '0.5', '--connections', '3', url)
        self.assertGreater(result['messages'], 3)
        self.assertTrue(0.3 < result['seconds'] < 5, result)
        self.assertEqual(result['failures'], NONE)

    def test_a_rate(self) -> None:
        with serving(EchoWebSocket) as url:
            result = self.measured('--rate', '50', '--messages', '26', '--connections', '2', url)
        self.assertEqual((result['messages'], result['failures']), (26, NONE))
        self.assertGreaterEqual(result['seconds'], 0.5)  # the last one is due then

    def test_a_rate_that_is_not_reached_for_so_long(self) -> None:
        with serving(EchoWebSocket) as url:
            result = self.measured('--rate', '1e7', '--duration', '0.3', url)
        self.assertLess(result['messages'], 3e6)
        self.assertEqual(result['failures'], NONE)

    def test_a_server_that_stands_still_is_seen_with_a_rate(self) -> None:
        class Slow(EchoWebSocket):
            held = False

            def received_message(self, message: Any) -> None:
                if not Slow.held:
                    Slow.held = True
                    threading.Event().wait(0.5)  # holds up the manager
                super().received_message(message)

        with serving(Slow) as url:
            times = self.measured('--rate', '100', '--messages', '50', url)['round_trip_ms']
        self.assertGreater(times['max'], 450)
        self.assertGreater(times['p50'], 100)  # all that was due meanwhile has waited, and not one message only

    def test_what_a_person_reads(self) -> None:
        with serving(EchoWebSocket) as url:
            status, output, errors = run_text('bench', '--messages', '1000', url)
        self.assertEqual((status, errors), (0, ''))
        self.assertRegex(
            output,
            rf'\A{re.escape(url)}: 1 connection, text messages of 32 bytes\n'
            r'messages     1,000 in \d+\.\d\d s\n'
            r'speed        [\d,]+ messages/s, [\d.]+ MB/s each way\n'
            r'round trip   p50 [\d.]+, p90 [\d.]+, p99 [\d.]+, max [\d.]+ ms\n'
            r'failures     none\n\Z',
        )

    def test_nobody_there(self) -> None:
        with socket.create_server(('127.0.0.1', 0)) as unused:
            port = unused.getsockname()[1]
        status, output, errors = run_text('bench', f'ws://zoe:secret@127.0.0.1:{port}/')
        self.assertEqual((status, output), (1, ''))
        self.assertRegex(errors, rf'\Aws4py: cannot connect to ws://…@127\.0\.0\.1:{port}/: .*refused.*\n\Z')

    def test_not_all_can_connect(self) -> None:
        limits = EchoWebSocket.limits.__class__(connections=2)

        class Few(EchoWebSocket):
            pass

        Few.limits = limits
        with serving(Few, limits=limits) as url:
            said = rf'ws4py: 2 of 5 are connected to {re.escape(url)}: .*503.*\n'
            result = self.measured('--connections', '5', '--messages', '9', url, status=3, errors=said)
        self.assertEqual((result['messages'], result['connections']), (9, 2))
        self.assertEqual(result['failures'], {**NONE, 'not_connected': 3})

    def test_wrong_echoes(self) -> None:
        class Wrong(WebSocket):
            number = 0

            def received_message(self, message: Any) -> None:
                self.number += 1
                if self.number == 1:
                    self.send(b'\x1b[2J')
                elif self.number == 2:
                    self.send(message.data, binary=True)
                else:
                    self.send(message.data)
                    if self.number == 3:
                        self.send(message.data)  # more than was asked for

        with serving(Wrong) as url:
            result = self.measured('--messages', '5', url, status=3)
            # Five were sent. Whether what came too much at the end was still waited for is left to chance.
            failures = result['failures']
            self.assertIn(result['messages'] + failures['wrong'] + failures['unanswered'], (5, 6))
            self.assertGreaterEqual(result['failures']['wrong'], 3)
            status, output, _ = run_text('bench', '--messages', '5', url)
        self.assertEqual(status, 3)
        self.assertRegex(output, r'failures     \d wrong')
        self.assertNotIn('\x1b', output)

    def test_messages_that_nobody_asked_for(self) -> None:
        class Talker(EchoWebSocket):
            def received_message(self, message: Any) -> None:
                super().received_message(message)
                self.send('more')

        with serving(Talker) as url:
            failures = self.measured('--messages', '1', '--rate', '1', url, status=3)['failures']
        self.assertEqual(failures, {**NONE, 'wrong': failures['wrong']})

    def test_lost_connections(self) -> None:
        class Leaving(EchoWebSocket):
            def received_message(self, message: Any) -> None:
                self.close(1001, 'Bye')

        with serving(Leaving) as url:
            result = self.measured('--connections', '3', url, status=3)
            text = run_text('bench', '--connections', '3', url)[1]
        self.assertEqual(result['failures'], {**NONE, 'lost': 3, 'unanswered': 3})
        self.assertEqual(result['round_trip_ms'], {'p50': None, 'p90': None, 'p99': None, 'max': None})
        self.assertEqual((result['messages'], result['messages_per_second']), (0, 0.0))
        self.assertIn('round trip   none\nfailures     3 lost, 3 unanswered\n', text)

    def test_ctrl_c_ends_it_with_what_there_is(self) -> None:
        ends: list[int] = []

        class Watched(EchoWebSocket):
            def closed(self, code: int, reason: Any = None) -> None:
                ends.append(code)

            def received_message(self, message: Any) -> None:
                super().received_message(message)
                if message.data.startswith(b'50 '):
                    begun.set()

        begun = threading.Event()
        with serving(Watched) as url:
            for signum in (signal.SIGINT, signal.SIGTERM):
                process = self.start('--json', '--duration', '600', url)
                self.assertTrue(begun.wait(TIMEOUT))
                begun.clear()
                process.send_signal(signum)
                output, errors = process.communicate(timeout=TIMEOUT)
                self.assertEqual(errors, b'ws4py: interrupted\n')
                self.assertGreater(json.loads(output)['messages'], 0)
                until(lambda: ends == [1000], 'the end at the server')
                ends.clear()

    def test_ctrl_c_while_it_connects(self) -> None:
        with socket.create_server(('127.0.0.1', 0)) as listener:
            process = self.start(f'ws://127.0.0.1:{listener.getsockname()[1]}/')
            with listener.accept()[0]:
                process.send_signal(signal.SIGINT)
                output, errors = process.communicate(timeout=TIMEOUT)
        self.assertEqual((process.returncode, output, errors), (1, b'', b'ws4py: interrupted\n'))

    @needs_certificates
    def test_options_of_the_connection(self) -> None:
        certificate, key = certificate_files('elsewhere.example')
        demo = Demo('--echo', '--tls-cert', certificate, '--tls-key', key)
        self.addCleanup(demo.kill)
        named = ('--cafile', authority_file(), '--server-name', 'elsewhere.example', '--compress')
        self.assertEqual(self.measured('--messages', '5', *named, demo.ws_url)['messages'], 5)

    @unittest.skipIf(pty is None, 'no pseudo-terminals on this system')
    def test_a_bar_at_a_terminal_only(self) -> None:
        with serving(EchoWebSocket) as url:
            shown = self.at_terminal('--duration', '1', url, TERM='xterm')
            self.assertRegex(shown, r'\r\x1b\[36m█+░+\x1b\[0m +\d+%  [\d,]+ messages/s\x1b\[K')
            self.assertTrue(shown.endswith('\r\x1b[K'))
            self.assertEqual(shown.count('messages/s'), shown.count('\x1b[K') - 1)
            shown = self.at_terminal('--messages', '10', '--no-color', url, TERM='xterm')
            self.assertRegex(shown, r'\r█*░+ +\d+%  0 messages/s\x1b\[K')
            self.assertNotIn('\x1b[36m', shown)
            shown = self.at_terminal('--messages', '10', url, TERM='xterm', NO_COLOR='1')
            self.assertNotIn('\x1b[36m', shown)
            shown = self.at_terminal('--messages', '10', '--no-color', url, TERM='xterm', PYTHONIOENCODING='ascii')
            self.assertRegex(shown, r'\r#*-+ +\d+%  0 messages/s\x1b\[K')
            for options, terminal in ((('--quiet',), 'xterm'), ((), 'dumb')):
                self.assertEqual(self.at_terminal('--messages', '10', *options, url, TERM=terminal), '')

    def at_terminal(self, *arguments: str, **variables: str) -> str:
        """What a run shows on a terminal, where its standard error is one and its standard output is a pipe."""
        master, slave = pty.openpty()
        self.addCleanup(os.close, master)
        process = self.start(*arguments, errors=slave, **variables)
        os.close(slave)
        seen = b''

        def ended() -> bool:
            nonlocal seen
            over = process.poll() is not None  # before it is read: what comes afterwards is nothing
            while select.select([master], [], [], 0.05)[0]:
                try:
                    seen += os.read(master, 65536)
                except OSError:  # EIO: nobody has the other end any more
                    break
            return over

        until(ended, 'the end of the program')
        assert process.stdout is not None
        self.assertEqual((process.returncode, process.stdout.read().count(b'\n')), (0, 5))
        return seen.decode()

    def start(self, *arguments: str, errors: Optional[int] = None, **variables: str) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            command('bench', *arguments),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE if errors is None else errors,
            env=environment(**variables),
        )
        self.addCleanup(end, process)
        return process


class SilentTest(unittest.TestCase):
    def test_echoes_that_do_not_come_are_not_waited_for_without_an_end(self) -> None:
        previous = signal.getsignal(signal.SIGTERM)
        self.addCleanup(signal.signal, signal.SIGTERM, previous)
        parser = bench.parser('ws4py')
        with serving(WebSocket) as url, mock.patch.object(bench, 'PATIENCE', 0.3):
            for options in (['--messages', '3'], ['--duration', '0.1'], ['--messages', '3', '--rate', '100']):
                with self.subTest(options), mock.patch('builtins.print') as printed:
                    self.assertEqual(bench.run(parser, parser.parse_args(['--json', *options, url])), 3)
                    failures = json.loads(printed.call_args[0][0])['failures']
                    self.assertEqual(failures, {**NONE, 'unanswered': 3 if '--rate' in options else 1})


class RoundTripsTest(unittest.TestCase):
    def test_percentiles(self) -> None:
        round_trips = RoundTrips()
        self.assertIsNone(round_trips.percentile(50))
        times = [number / 1000 for number in range(1, 1001)]
        random.Random(1).shuffle(times)
        for took in times:
            round_trips.add(took)
        self.assertEqual((round_trips.number, round_trips.longest), (1000, 1.0))
        for percent, expected in ((50, 0.5), (90, 0.9), (99, 0.99), (0.1, 0.001), (100, 1.0)):
            found = round_trips.percentile(percent)
            assert found is not None
            self.assertAlmostEqual(found, expected, delta=expected * 0.003)

    def test_a_clock_that_has_not_moved(self) -> None:
        round_trips = RoundTrips()
        round_trips.add(0.0)
        self.assertAlmostEqual(round_trips.percentile(99) or 0, 1e-9, delta=1e-11)


class LoadTest(unittest.TestCase):
    def test_no_two_messages_are_the_same_and_all_have_their_size(self) -> None:
        for size, binary in ((1, False), (3, True), (100, False), (100, True)):
            load = Load(size, binary, messages=20)
            client = mock.MagicMock(under_way=[])
            for _ in range(25):
                load.send_one(client, 0.0)
            sent = [call.args for call in client.send.call_args_list]
            self.assertEqual([(len(payload), kind) for payload, kind in sent], [(size, binary)] * 20)
            if size == 100:
                self.assertEqual(len(set(sent)), 20)
            self.assertEqual(client.under_way, [(payload, 0.0) for payload, _ in sent])

    def test_a_connection_that_has_gone_is_no_error(self) -> None:
        load = Load(4, False)
        client = mock.MagicMock(under_way=[], closed_by_us=False)
        load.clients.append(client)
        client.send.side_effect = RuntimeError
        load.begin()
        self.assertFalse(load.over.is_set())
        load.ended(client)
        load.ended(client)
        self.assertTrue(load.over.is_set())
        self.assertEqual(load.unanswered, 1)


if __name__ == '__main__':
    unittest.main()
