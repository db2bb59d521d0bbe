"""Processes under test and the load on them: started, pinned to cores, accounted for, ended.

The server (or the client under test) has one core and the generator another, so that neither takes time from the
other; a machine with one core has them share it. The harness itself sleeps while a measurement runs. Linux only, as
the load is.
"""

from __future__ import annotations

import base64
import contextlib
import functools
import hashlib
import json
import os
import re
import select
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from contestants import Contestant
from environments import binary, command
from works import Work

__all__ = ['CORES', 'Client', 'Failed', 'Server', 'idle', 'load', 'pinned', 'resident']

PATIENCE = 60  # seconds for a process to start, or to come to its end
GUID = b'258EAFA5-E914-47DA-95CA-C5AB0DC85B11'
#: The core of the process under test, and that of the load.
CORES = tuple(sorted(os.sched_getaffinity(0))[:2] * 2)[:2]


class Failed(Exception):
    """A contestant could not do a work; the text says why."""


@contextlib.contextmanager
def pinned(core: int) -> Iterator[None]:
    """Processes that are started in the ``with`` block stay on *core*."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


class Server:
    """A server process for one work, from the construction until the end of the ``with`` block.

    :raises Missing: its environment cannot be made here.
    """

    def __init__(self, contestant: Contestant, work: Work, tls: tuple[str, str]) -> None:
        words, variables = command(contestant)
        words += ['--size', str(work.size)]
        if work.kind == 'tls':
            words += ['--tls', *tls]
        elif work.kind in ('deflate', 'broadcast'):
            words += [f'--{work.kind}']
        self._errors = tempfile.TemporaryFile('w+')  # noqa: SIM115  # until the with block ends
        self._process = subprocess.Popen(
            words, env=variables, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors
        )
        self.pid = self._process.pid

    @functools.cached_property
    def port(self) -> int:
        """Where it listens; waits for it to do so, and binds it to its core then: it may start on any.

        :raises Failed: the server did not start.
        """
        stdout = self._process.stdout
        assert stdout is not None
        ready, _, _ = select.select([stdout], [], [], PATIENCE)
        line = stdout.readline() if ready else b''
        if not line.strip().isdigit():
            raise Failed(f'the server did not start: {self.complaint() or line!r}')
        for task in Path(f'/proc/{self.pid}/task').iterdir():  # threads to come inherit it
            os.sched_setaffinity(int(task.name), {CORES[0]})
        return int(line)

    def complaint(self) -> str:
        """The end of what it has written on its stderr."""
        self._errors.seek(0)
        return self._errors.read().strip()[-500:]

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *exc_info: object) -> None:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.close()  # which it takes as the end
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()
        self._errors.close()


class Client:
    """A client process that is to connect to a listener of this one, until the end of the ``with`` block.

    :raises Missing: its environment cannot be made here.
    """

    def __init__(self, contestant: Contestant) -> None:
        words, variables = command(contestant)
        self._listener = socket.create_server(('127.0.0.1', 0))
        self._listener.settimeout(PATIENCE)
        words.append(str(self._listener.getsockname()[1]))
        with pinned(CORES[0]):
            self._process = subprocess.Popen(
                words,
                env=variables,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
        self.pid = self._process.pid

    def accept(self) -> socket.socket:
        """The client's connection, after its opening handshake (RFC 6455 section 4.2.2).

        :raises Failed: it did not come.
        """
        try:
            sock, _ = self._listener.accept()
            sock.settimeout(PATIENCE)
            head = b''
            while not head.endswith(b'\r\n\r\n'):
                head += sock.recv(1) or self._fail()
        except OSError as error:
            raise Failed(f'the client did not connect: {error}') from None
        match = re.search(rb'(?im)^sec-websocket-key:[ \t]*(\S+)', head)
        key = match[1] if match else b''
        accepted = base64.b64encode(hashlib.sha1(key + GUID, usedforsecurity=False).digest())
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.sendall(
            b'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n'
            b'Sec-WebSocket-Accept: ' + accepted + b'\r\n\r\n'
        )
        return sock

    def received(self) -> tuple[int, int]:
        """Messages, and their bytes together, as the client counted them to its end.

        :raises Failed: it has not said.
        """
        try:
            output, _ = self._process.communicate(timeout=PATIENCE)
            messages, size = map(int, output.split())
        except (subprocess.TimeoutExpired, ValueError):
            self._process.kill()
            raise Failed(f'the client did not end as it should: {self._process.communicate()[1][-500:]}') from None
        return messages, size

    def _fail(self) -> bytes:
        raise Failed('the client went away in its opening handshake')

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._process.kill()
        self._process.communicate()
        self._listener.close()


def load(mode: str, **options: Any) -> dict[str, float]:
    """Run the load to its end, and return what it measured.

    :param options: of its command line; a file descriptor ``fd`` is given to it, True is an option without a value.
    :raises Failed: an answer was wrong or missing.
    """
    fds = (options['fd'],) if 'fd' in options else ()
    with pinned(CORES[1]):
        try:
            done = subprocess.run(
                load_words(mode, **options), stdin=subprocess.DEVNULL, capture_output=True, timeout=PATIENCE * 3,
                text=True, pass_fds=fds,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            raise Failed('the load did not come to its end') from None
    if done.returncode:
        raise Failed(done.stderr.strip() or f'the load ended with {done.returncode}')
    measured: dict[str, float] = json.loads(done.stdout)
    return measured


@contextlib.contextmanager
def idle(port: int, connections: int) -> Iterator[None]:
    """So many connections are open during the ``with`` block; each has had one echo, and is silent.

    :raises Failed: they could not be opened.
    """
    with pinned(CORES[1]):
        process = subprocess.Popen(
            load_words('idle', port=port, connections=connections),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
    with process:
        assert process.stdin is not None and process.stdout is not None and process.stderr is not None
        if process.stdout.readline() != 'ready\n':
            raise Failed(process.stderr.read().strip())
        yield
        process.stdin.close()


def load_words(mode: str, **options: Any) -> list[str]:
    """The command line of the load."""
    words = [str(binary('load.c')), mode]
    for name, value in options.items():
        if value is True:
            words.append(f'--{name.replace("_", "-")}')
        elif value is not False and value is not None:
            words += [f'--{name.replace("_", "-")}', str(value)]
    return words


def resident(pid: int) -> int:
    """Bytes of memory that a process has in RAM and shares with no other."""
    pages = Path(f'/proc/{pid}/statm').read_text().split()
    return (int(pages[1]) - int(pages[2])) * os.sysconf('SC_PAGE_SIZE')
