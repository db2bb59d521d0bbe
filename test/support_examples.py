"""Programs of example/ that say on their first line where they listen, as processes on free ports."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from support_demo import TIMEOUT, end, environment, until

EXAMPLE = Path(__file__).resolve().parents[1] / 'example'


class Program:
    """``python example/NAME --port 0 …``; ``url`` is that of its page, and ends in a slash."""

    def __init__(self, name: str, *arguments: str, **variables: str) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix='ws4py-example-'))
        with (self.directory / 'out').open('wb') as out, (self.directory / 'errors').open('wb') as errors:
            self.process = subprocess.Popen(
                [sys.executable, '-W', 'error', str(EXAMPLE / name), '--port', '0', *arguments],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=errors,
                env=environment(**variables),
            )
        try:
            self.url = until(self._find_address, f'the address of {name}')
        except BaseException:
            self.kill()
            raise
        self.ws_url = f'ws{self.url[len("http") :]}ws'

    def _find_address(self) -> str:
        if self.process.poll() is not None:
            raise AssertionError(f'it ended: {self.errors()}')
        match = re.search(r'^(https?://[^/\s]+/)', self.output(), re.MULTILINE)
        return match[1] if match else ''

    def output(self) -> str:
        """All that it wrote to standard output so far."""
        return (self.directory / 'out').read_text('utf-8')

    def errors(self) -> str:
        """All that it wrote to standard error so far."""
        return (self.directory / 'errors').read_text('utf-8')

    def stop(self, signum: int = signal.SIGINT) -> int:
        """Send a signal; the exit status."""
        self.process.send_signal(signum)
        return self.process.wait(TIMEOUT)

    def kill(self) -> None:
        """End it the hard way, if it still runs."""
        end(self.process)
        shutil.rmtree(self.directory, ignore_errors=True)
