"""A program of the tests as a process: started, looked at from the outside, stopped. The servers of the table are."""

from __future__ import annotations

import os
import re
import select
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Optional, TypeVar

from . import servers

START_TIMEOUT = 30.0  # seconds, for the interpreter and its imports
STOP_TIMEOUT = 30.0  # seconds, above every close timeout of the package
SCRIPT = Path(servers.__file__).resolve()
P = TypeVar('P', bound='Process')


class Figures(tuple[int, int, int]):
    """Descriptors, threads, and bytes of anonymous memory of a process."""

    @classmethod
    def of(cls, pid: int) -> Figures:
        status = Path(f'/proc/{pid}/status').read_text()
        threads, memory = (int(re.search(rf'^{name}:\s*(\d+)', status, re.M)[1]) for name in ('Threads', 'RssAnon'))
        return cls((len(os.listdir(f'/proc/{pid}/fd')), threads, memory * 1024))


class Process:
    """A program that runs until its standard input ends; a context manager.

    :param arguments: the script and what it is told, for the interpreter *python*.
    :param environment: variables besides those of this process.
    :ivar output: what it had written on standard error, when it has ended.
    """

    def __init__(
        self,
        name: str,
        *arguments: str,
        python: str = sys.executable,
        environment: Optional[Mapping[str, str]] = None,
    ) -> None:
        self.name = name
        self.output = ''
        # Errors only: what the frameworks warn of at import is theirs. A forgotten socket is ours.
        command = [python, '-W', 'always::ResourceWarning', *arguments]
        self._log = tempfile.TemporaryFile()  # noqa: SIM115
        variables = {**os.environ, **(environment or {})}
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._log, env=variables
        )

    def first_line(self) -> bytes:
        """What it says when it is ready; waits for it."""
        assert self.process.stdout is not None
        readable, _, _ = select.select([self.process.stdout], [], [], START_TIMEOUT)
        line = self.process.stdout.readline() if readable else b''
        if not line:
            self.stop()
            raise AssertionError(f'{self.name} did not start: {self.output}')
        return line

    def figures(self) -> Figures:
        return Figures.of(self.process.pid)

    def stop(self) -> int:
        """End it, and return its exit status."""
        assert self.process.stdin is not None and self.process.stdout is not None
        if not self._log.closed:
            self.process.stdin.close()
            try:
                self.process.wait(STOP_TIMEOUT)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
                self.output = 'it did not stop\n'
            self.process.stdout.close()
            self._log.seek(0)
            self.output += self._log.read().decode(errors='replace')
            self._log.close()
        return self.process.returncode

    def __enter__(self: P) -> P:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.stop()


class Server(Process):
    """A context manager around one server.

    :param name: as in :mod:`servers`, with its variants.
    :param handler: the handler class, as ``module:class``, importable from the directory of the tests.
    :param tls: the files of a certificate and its key.
    :param terms: more arguments of the server, as ``module:name`` of a dictionary.
    :param environment: variables besides those of this process.
    :ivar port: where it listens.
    """

    def __init__(
        self,
        name: str,
        handler: str = servers.ECHO,
        *,
        protocols: Sequence[str] = (),
        tls: Optional[tuple[str, str]] = None,
        python: str = sys.executable,
        terms: Optional[str] = None,
        environment: Optional[Mapping[str, str]] = None,
    ) -> None:
        arguments = ['--protocols', ','.join(protocols)] if protocols else []
        arguments += ['--tls', *tls] if tls else []
        arguments += ['--terms', terms] if terms else []
        arguments = [str(SCRIPT), name, '--handler', handler, *arguments]
        super().__init__(name, *arguments, python=python, environment=environment)
        self._port = 0

    @property
    def port(self) -> int:
        """Where it listens; waits for it."""
        if not self._port:
            self._port = int(self.first_line())
        return self._port
