"""The terminal of ``python -m ws4py``: lines that are typed, and messages that are shown above them.

Whatever a peer says is untrusted: a terminal obeys escape sequences, and so all of it passes through :func:`printable`.
Standard input is read by one thread (:func:`typed_lines`), a :class:`Screen` is written to by any. Where it is no
terminal but a pipe or a file, each message is a plain line, with nothing around it. It is no line editor: what is
being typed belongs to the system, and the screen only takes care not to write over it.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
import threading
import unicodedata
from collections.abc import Iterator
from typing import Optional, TextIO

__all__ = ['UNPRINTABLE', 'Screen', 'is_ansi', 'printable', 'typed_lines']

SHOWN_ON_TERMINAL = 256  # bytes of a binary message; a pipe gets all

# C0, DEL, C1, soft hyphen, bidi marks and overrides, invisible and separating format characters, byte order mark,
# surrogates, tags. The two joiners (U+200C, U+200D) stay: scripts and emoji need them.
UNPRINTABLE = re.compile(
    '[\x00-\x1f\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb'
    '\ud800-\udfff\U000e0000-\U000e007f]'
)


def printable(text: str) -> str:
    """Return ``text`` with every character that steers a terminal or hides itself written as an escape (``\\x1b``)."""
    return UNPRINTABLE.sub(lambda match: match.group().encode('unicode_escape', 'surrogatepass').decode(), text)


def is_ansi(out: Optional[TextIO]) -> bool:
    """Whether ``out`` is a terminal that knows ANSI sequences."""
    return out is not None and out.isatty() and sys.platform != 'win32' and os.environ.get('TERM', 'dumb') != 'dumb'


def typed_lines(source: Optional[TextIO]) -> Iterator[str]:
    """Yield the lines of ``source`` without their ends, as they come; bytes that are no UTF-8 are replaced.

    :param source: standard input; None where it is closed, ``… <&-``.
    """
    # os.read, because a thread that waits in a buffered reader holds its lock when the interpreter ends, which aborts
    # the process. A closed standard input is None, and its number may have been given to our socket.
    if source is None:
        return
    pieces: list[bytes] = []
    while True:
        try:
            block = os.read(source.fileno(), 65536)
        except OSError:  # the terminal is gone
            block = b''
        if not block:
            break
        first, *others = block.split(b'\n')
        pieces.append(first)
        for other in others:
            yield b''.join(pieces).decode('utf-8', 'replace').rstrip('\r')
            pieces = [other]
    if any(pieces):
        yield b''.join(pieces).decode('utf-8', 'replace')


class Screen:
    """Where messages are shown; on a terminal above the line that is being typed. Safe from any thread.

    :param source: where lines are typed, None where it is closed.
    :param out: where messages go, None where it is closed.
    :param colours: False for none, even at a terminal; ``NO_COLOR`` in the environment says the same.
    """

    def __init__(self, source: Optional[TextIO], out: Optional[TextIO], colours: bool = True) -> None:
        ansi = is_ansi(out)
        self._out = out
        self._colours = ansi and colours and not os.environ.get('NO_COLOR')
        self._prompts = ansi and source is not None and source.isatty()
        self._lock = threading.Lock()

    @property
    def is_typed_at(self) -> bool:
        """Whether there is a person who types, and reads notes."""
        return self._prompts

    def text(self, *lines: str) -> None:
        """Show text of a peer, line by line.

        :raises OSError: nobody reads the output any more.
        """
        for line in lines:
            self._line(printable(line), '36')

    def binary(self, size: int, what: str) -> None:
        """Show what became of a binary message of ``size`` bytes.

        :raises OSError: nobody reads the output any more.
        """
        self._line(f'binary, {size} bytes: {printable(what)}', '33')

    def message(self, data: bytes, binary: bool) -> None:
        """Show one message on a line of its own.

        :raises OSError: nobody reads the output any more.
        """
        if binary:
            shown = data[:SHOWN_ON_TERMINAL] if self._prompts else data
            more = '…' if len(shown) < len(data) else ''
            self.binary(len(data), f'{shown.hex()}{more}')
        else:
            self.text(data.decode('utf-8', 'replace'))

    def note(self, text: str) -> None:
        """Tell a person at a terminal what happened."""
        if self._prompts:
            self._line(printable(text), '2')

    def prompt(self) -> None:
        """Ask for a line, at a terminal."""
        if self._prompts:
            self._write('> ')

    def finish(self) -> None:
        """Take the prompt away."""
        if self._prompts:
            self._write('\r\x1b[K')

    def _line(self, text: str, colour: str) -> None:
        if not self._prompts:
            self._write(f'{self._paint(text, colour)}\n')
            return
        # Make room for the text above the current line, which may hold half a line of typing: save the cursor, make
        # sure that there are so many lines below, go up again, insert lines, write, and put the cursor back.
        columns, lines = shutil.get_terminal_size()
        columns, lines = columns or 80, lines or 24  # Python before 3.11 passes on that a terminal does not know
        rows = max(1, min(-(-_width(text) // columns), lines - 1))
        room = '\n' * rows + f'\x1b[{rows}A\x1b[{rows}L'
        self._write(f'\x1b7{room}{self._paint(text, colour)}\x1b8\x1b[{rows}B')

    def _paint(self, text: str, colour: str) -> str:
        return f'\x1b[{colour}m{text}\x1b[0m' if self._colours else text

    def _write(self, text: str) -> None:
        if self._out is not None:
            with self._lock:
                self._out.write(text)
                self._out.flush()


def _width(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(char) in 'WF' else 1 for char in text)
