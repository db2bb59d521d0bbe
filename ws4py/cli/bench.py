"""``bench``: many clients of one manager against an echo server, and what comes of it in figures.

Connecting, the clock of ``--rate`` and the progress bar belong to the main thread, all else to the manager's; see
:mod:`ws4py.cli.load`.
"""

from __future__ import annotations

import argparse
import functools
import json
import math
import os
import signal
import sys
import time
from typing import Any, Callable, Optional

from ws4py.cli.arguments import (
    EXIT_ABNORMAL,
    EXIT_FAILED,
    EXIT_OK,
    add_connection_options,
    check_connection_options,
    client_arguments,
    count,
    make_parser,
    public,
    say,
    seconds,
)
from ws4py.cli.load import Client, Load, RoundTrips
from ws4py.exc import HandshakeError
from ws4py.limits import Limits
from ws4py.manager import WebSocketManager
from ws4py.terminal import is_ansi, printable

__all__ = ['parser', 'run']

DESCRIPTION = """\
Send messages to an echo server over one or more connections and measure how long each takes to
come back. Every connection has one message under way, unless --rate sets the pace. The server has
to send back what it gets, message by message, as /echo of the serve command does."""

EPILOG = """\
exit status:
  0  every message came back as it was sent
  1  there was no connection at all
  2  wrong usage
  3  not all could connect, or a connection was lost, or an echo was wrong or did not come

examples:
  {program} ws://127.0.0.1:9000/echo
  {program} --connections 100 --size 1000 --binary --duration 10 ws://127.0.0.1:9000/echo
  {program} --connections 50 --rate 2000 --messages 20000 --json wss://example.org/echo"""

PATIENCE = 10.0  # seconds in which nothing is sent and nothing comes, and after which no more is waited for
GLANCE = 0.2  # seconds between two looks at the progress
BATCH = 500  # messages that the clock may be behind with, before somebody looks at the progress
DURATION = 5.0  # seconds
MIB = 2**20
MOST = 16 * MIB  # bytes of a message: our own limit for what comes back
BAR = 24  # columns


def parser(program: str) -> argparse.ArgumentParser:
    """The parser of ``bench``."""
    made = make_parser(f'{program} bench', DESCRIPTION, EPILOG.format(program=f'{program} bench'))
    add_connection_options(made)
    group = made.add_argument_group('the load')
    group.add_argument(
        '--connections', metavar='N', type=count, default=1, help='so many connections (default %(default)s)'
    )
    group.add_argument('--size', metavar='BYTES', type=count, default=32, help='of each message (default %(default)s)')
    group.add_argument('--binary', action='store_true', help='binary messages, not text')
    group.add_argument(
        '--rate',
        metavar='N',
        type=seconds,
        help='so many messages a second in all, by the clock, not as fast as it goes',
    )
    ends = group.add_mutually_exclusive_group()
    ends.add_argument('--duration', metavar='SECONDS', type=seconds, help='send for so long (default 5)')
    ends.add_argument('--messages', metavar='N', type=count, help='send so many messages in all')
    group = made.add_argument_group('what is shown')
    group.add_argument('--json', action='store_true', help='the result as JSON, on one line')
    group.add_argument('--quiet', action='store_true', help='no progress bar, which only a terminal gets anyway')
    group.add_argument('--no-color', action='store_true', help='no colours; also by NO_COLOR in the environment')
    return made


def run(parser: argparse.ArgumentParser, options: argparse.Namespace) -> int:
    """Connect, send, and print the result."""
    check_connection_options(parser, options)
    if options.size > MOST:
        parser.error(f'argument --size: a message has at most {MOST} bytes')
    load = Load(options.size, options.binary, options.messages, options.rate is not None)
    manager = WebSocketManager()
    # Without a pace there is one message under way, which has to fit. With one, whoever sends waits for room.
    limits = Limits(message_size=MOST, write_limit=2 * MOST, write_high_water=MIB if options.rate else 2 * MOST)
    make = functools.partial(
        Client, options.url, load=load, manager=manager, limits=limits, **client_arguments(options)
    )
    try:
        make().close_connection()
    except (ValueError, ImportError) as error:  # as in connect
        parser.error(printable(str(error)))
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # the same as Ctrl-C
    where = public(options.url)
    manager.start()
    try:
        failure = _connect(make, options.connections)
        connected = len(load.clients)
        if not connected:
            say(f'cannot connect to {where}: {failure}')
            return EXIT_FAILED
        if failure is not None:
            say(f'{connected} of {options.connections} are connected to {where}: {failure}')
        began = _measure(load, options)
    except KeyboardInterrupt:
        say('interrupted')
        return EXIT_FAILED
    finally:
        load.stop()
        manager.close_all(1000, '')
        manager.stop()
        manager.join()
    result = _result(load, options, connected, max(load.last - began, 1e-9))
    print(json.dumps(result) if options.json else _words(result), flush=True)
    failures = result['failures']
    return EXIT_ABNORMAL if any(failures.values()) else EXIT_OK


def _connect(make: Callable[[], Client], connections: int) -> Optional[Exception]:
    """Make so many connections, up to the first that fails: what is not there would make each further one wait."""
    for _ in range(connections):
        try:
            make().connect()
        except (HandshakeError, OSError) as error:
            return error
    return None


def _measure(load: Load, options: argparse.Namespace) -> float:
    """Send until there is enough, or until Ctrl-C; the time when it began."""
    progress = Progress(sys.stderr, options.quiet, options.no_color)
    began = now = due = time.monotonic()
    duration = math.inf if options.messages else options.duration or DURATION
    turn = 0
    try:
        load.begin()
        while not load.over.is_set() and not (load.under_way and now - load.moment > PATIENCE):
            if now >= began + duration:
                load.stop()
            clients = list(load.clients)
            for _ in range(BATCH):
                if not options.rate or due > now or not clients:
                    break
                load.send_one(clients[turn % len(clients)], due)
                turn += 1
                due += 1 / options.rate
            elapsed = now - began
            done = load.round_trips.number / options.messages if options.messages else elapsed / duration
            progress.show(min(done, 1.0), load.round_trips, elapsed)
            following = due if options.rate and not load.finished else math.inf
            end = math.inf if load.stopped else began + duration
            load.over.wait(max(0.0, min(now + GLANCE, following, end) - time.monotonic()))
            now = time.monotonic()
    except KeyboardInterrupt:  # what there is by now is a result as well
        say('interrupted')
    finally:
        progress.finish()
    return began


class Progress:
    """A bar at a terminal, and nothing elsewhere."""

    def __init__(self, out: Any, quiet: bool, plain: bool) -> None:
        self._out = out if is_ansi(out) and not quiet else None
        self._colours = not plain and not os.environ.get('NO_COLOR')
        self._blocks = '█░' if 'utf' in (getattr(out, 'encoding', None) or '').lower() else '#-'
        self._shown = 0.0

    def show(self, done: float, round_trips: RoundTrips, elapsed: float) -> None:
        """Draw it, ``done`` from 0 to 1, unless that was just done."""
        if self._out is None or (elapsed - self._shown < GLANCE and self._shown):
            return
        self._shown = elapsed or self._shown
        full = int(done * BAR)
        bar = self._blocks[0] * full + self._blocks[1] * (BAR - full)
        bar = f'\x1b[36m{bar}\x1b[0m' if self._colours else bar
        speed = round_trips.number / elapsed if elapsed else 0.0
        self._out.write(f'\r{bar} {done:4.0%}  {speed:,.0f} messages/s\x1b[K')
        self._out.flush()

    def finish(self) -> None:
        """Take it away."""
        if self._out is not None:
            self._out.write('\r\x1b[K')
            self._out.flush()


def _result(load: Load, options: argparse.Namespace, connected: int, elapsed: float) -> dict[str, Any]:
    times = {f'p{percent}': load.round_trips.percentile(percent) for percent in (50, 90, 99)}
    times['max'] = load.round_trips.longest if load.round_trips.number else None
    number = load.round_trips.number
    return {
        'url': public(options.url),
        'connections': connected,
        'size': options.size,
        'binary': options.binary,
        'seconds': round(elapsed, 3),
        'messages': number,
        'messages_per_second': round(number / elapsed, 1) if number else 0.0,
        'bytes_per_second': round(number * options.size / elapsed, 1) if number else 0.0,
        'round_trip_ms': {name: None if took is None else round(took * 1000, 3) for name, took in times.items()},
        'failures': {
            'not_connected': options.connections - connected,
            'lost': load.lost,
            'wrong': load.wrong,
            'unanswered': load.unanswered,
        },
    }


def _words(result: dict[str, Any]) -> str:
    kind = 'binary' if result['binary'] else 'text'
    connections = f'{result["connections"]:,} connection{"s" * (result["connections"] > 1)}'
    speed = f'{result["messages_per_second"]:,.0f} messages/s, {result["bytes_per_second"] / 1e6:,.2f} MB/s each way'
    times = [f'{name} {took:,.3f}' for name, took in result['round_trip_ms'].items() if took is not None]
    failures = [f'{number:,} {name.replace("_", " ")}' for name, number in result['failures'].items() if number]
    return '\n'.join(
        (
            f'{printable(result["url"])}: {connections}, {kind} messages of {result["size"]:,} bytes',
            f'messages     {result["messages"]:,} in {result["seconds"]:.2f} s',
            f'speed        {speed}',
            f'round trip   {", ".join(times) + " ms" if times else "none"}',
            f'failures     {", ".join(failures) or "none"}',
        )
    )
