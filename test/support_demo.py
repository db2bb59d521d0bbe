"""What the tests of the command line, of the demo and of its page share: the programs as real processes."""

from __future__ import annotations

import contextlib
import os
import re
import select
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Callable

import ws4py

TIMEOUT = 20.0  # seconds; a test that works needs a fraction of it


def until(condition: Callable[[], Any], what: str, timeout: float = TIMEOUT) -> Any:
    """Poll ``condition`` until it gives something true, and return that."""
    end = time.monotonic() + timeout
    while True:
        result = condition()
        if result:
            return result
        if time.monotonic() > end:
            raise AssertionError(f'{what}: not within {timeout} seconds')
        time.sleep(0.02)


def environment(**changes: str) -> dict[str, str]:
    """The environment of a child that is to import the same ws4py, and knows no terminal unless told."""
    ours = {key: value for key, value in os.environ.items() if key not in ('TERM', 'NO_COLOR', 'COLUMNS', 'LINES')}
    path = [str(Path(ws4py.__file__).parent.parent), ours.get('PYTHONPATH', '')]
    return {**ours, 'PYTHONPATH': os.pathsep.join(filter(None, path)), 'PYTHONIOENCODING': 'utf-8', **changes}


def command(*arguments: str) -> list[str]:
    """The command line of ``python -m ws4py``."""
    return [sys.executable, '-W', 'error', '-m', 'ws4py', *arguments]


def run(*arguments: str, stdin: bytes = b'', **variables: str) -> subprocess.CompletedProcess[bytes]:
    """Run ``python -m ws4py`` to its end."""
    return subprocess.run(
        command(*arguments),
        input=stdin,
        capture_output=True,
        env=environment(**variables),
        timeout=TIMEOUT,
        check=False,
    )


def run_text(*arguments: str, stdin: str = '', **variables: str) -> tuple[int, str, str]:
    """The same: exit status, standard output, standard error."""
    done = run(*arguments, stdin=stdin.encode(), **variables)
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def end(process: subprocess.Popen[bytes]) -> None:
    """Make sure that a child is gone, and its pipes too."""
    if process.poll() is None:
        process.kill()
    process.wait()
    for pipe in (process.stdin, process.stdout, process.stderr):
        if pipe is not None:
            with contextlib.suppress(OSError):
                pipe.close()


class Demo:
    """``python -m ws4py serve`` as a process; ``url`` is what it prints, and ends in a slash where there is a page."""

    def __init__(self, *arguments: str, port: int = 0) -> None:
        self.process = subprocess.Popen(
            command('serve', '--port', str(port), *arguments),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment(),
        )
        assert self.process.stdout is not None
        readable, _, _ = select.select([self.process.stdout], [], [], TIMEOUT)
        line = self.process.stdout.readline().decode() if readable else ''
        if re.fullmatch(r'(http|ws)s?://.*:\d+/(echo)?\n', line) is None:
            self.process.kill()
            errors = self.process.communicate(timeout=TIMEOUT)[1].decode()
            raise AssertionError(f'serve printed {line!r} instead of its address, and {errors}')
        self.url = line.strip()
        self.port = int(self.url.rpartition('/')[0].rpartition(':')[2])
        self.ws_url = re.sub('^http', 'ws', self.url)

    def stop(self, signum: int = signal.SIGTERM) -> tuple[int, str]:
        """Send a signal; the exit status, and what it wrote to standard error."""
        self.process.send_signal(signum)
        try:
            _, errors = self.process.communicate(timeout=TIMEOUT)
        finally:
            self.kill()
        return self.process.returncode, errors.decode()

    def kill(self) -> None:
        """End it the hard way, if it still runs."""
        end(self.process)
