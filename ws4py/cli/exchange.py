"""What goes out and what comes in: the input as messages, and the places where messages are put.

:class:`Input` is read by one thread, the one that sends. :class:`Output` is called by the client's own thread, for one
message after the other. Neither knows of a connection.
"""

from __future__ import annotations

import itertools
import os
import sys
from collections.abc import Iterable, Iterator
from typing import Any, Union

from ws4py.cli.arguments import say
from ws4py.cli.jsontext import check, compact, pretty
from ws4py.terminal import Screen, typed_lines

__all__ = ['Input', 'Output', 'UnusableFileError']

BLOCK = 64 * 1024  # bytes of a file in one fragment

Payload = Union[str, bytes, Iterable[bytes]]


class UnusableFileError(Exception):
    """A message could not be read from a file, or not be put into one."""


class Input:
    """The messages to send: files as one binary message each, then the lines of standard input.

    :param kind: what a line is: ``'text'``, ``'binary'``, ``'hex'`` (a binary message in hex digits) or ``'json'``.
    :ivar refused: how many lines were not what ``kind`` says, and so were left out.
    """

    def __init__(self, files: Iterable[str], kind: str) -> None:
        self._files = files
        self._kind = kind
        self.refused = 0

    def __iter__(self) -> Iterator[tuple[Payload, bool]]:
        """Yield pairs of a payload for ``send()`` and whether it is binary."""
        for path in self._files:
            yield _blocks(path), True
        for line in typed_lines(sys.stdin):
            try:
                payload = self._compose(line)
            except ValueError as error:
                self.refused += 1
                say(f'the line was not sent, it is not {self._kind.replace("json", "JSON")}: {error}')
                continue
            yield payload, self._kind in ('binary', 'hex')

    def _compose(self, line: str) -> Union[str, bytes]:
        if self._kind == 'json':
            check(line)
        if self._kind == 'hex':
            return bytes.fromhex(line)
        return line.encode() if self._kind == 'binary' else line


def _blocks(path: str) -> Iterator[bytes]:
    # An OSError would be taken for one of the connection.
    try:
        with open(path, 'rb') as file:
            while block := file.read(BLOCK):
                yield block
    except OSError as error:
        raise UnusableFileError(f'cannot read {path}: {error.strerror or error}') from error


class Output:
    """Where messages are put: on the screen, and binary ones where ``to`` says.

    :param json: text messages are JSON, and are laid out.
    :param to: a directory that gets a file for each binary message, ``'-'`` for standard output as it is, or None: they
        are shown in hex.
    """

    def __init__(self, screen: Screen, json: bool = False, to: Any = None) -> None:
        self._screen = screen
        self._json = json
        self._to = to
        self._numbers = itertools.count(1)

    def message(self, data: bytes, binary: bool) -> None:
        """Put one message where it belongs.

        :raises OSError: nobody reads the output any more.
        :raises UnusableFileError: a file could not be written.
        """
        if not binary and self._to == '-':  # what is piped on is binary, and only that
            say(data.decode('utf-8', 'replace'))
        elif not binary and self._json:
            self._show_json(data.decode('utf-8', 'replace'))
        elif not binary or self._to is None:
            self._screen.message(data, binary)
        elif self._to == '-':
            sys.stdout.buffer.write(data)
            sys.stdout.flush()
        else:
            self._screen.binary(len(data), self._save(data))

    def _show_json(self, text: str) -> None:
        try:
            lines = pretty(text) if self._screen.is_typed_at else [compact(text)]
        except ValueError as error:
            say(f'a message that is not JSON ({error}): {text}')  # not where a program expects nothing but JSON
        else:
            self._screen.text(*lines)

    def _save(self, data: bytes) -> str:
        while True:
            path = os.path.join(self._to, f'{next(self._numbers):06}.bin')
            try:
                with open(path, 'xb') as file:  # never over a file that is there
                    file.write(data)
            except FileExistsError:
                continue
            except OSError as error:
                raise UnusableFileError(f'cannot write {path}: {error.strerror or error}') from error
            return path
