"""What is shown and what is read at a terminal, and where there is none; ``test_cli`` has it as a whole program."""

from __future__ import annotations

import io
import os
import unittest
from typing import Optional, TextIO
from unittest import mock

from ws4py.terminal import SHOWN_ON_TERMINAL, Screen, printable, typed_lines

try:
    import pty
except ImportError:  # Windows
    pty = None  # type: ignore[assignment]


class PrintableTest(unittest.TestCase):
    def test_what_steers_a_terminal_is_escaped(self) -> None:
        for char in (
            *map(chr, range(0x20)),
            *map(chr, range(0x7F, 0xA0)),
            *'\xad\u061c\u200b\u200e\u200f\u2028\u2029\u202a\u202b\u202c\u202d\u202e\u2060\u2066\u2067\u2068\u2069\ufeff',
            *'\ud800\udfff\U000e0041',
        ):
            with self.subTest(repr(char)):
                shown = printable(f'a{char}b')
                self.assertRegex(shown, r'\Aa\\[a-zA-Z0-9]+b\Z')
                self.assertTrue(shown.isprintable())

    def test_everything_else_stays(self) -> None:
        text = 'a b\\x~ é ß \N{EURO SIGN} שלום नमस्ते \N{GRINNING FACE} \N{MAN}\u200d\N{PERSONAL COMPUTER} می\u200cخواهم'
        self.assertEqual(printable(text), text)

    def test_known_escapes(self) -> None:
        self.assertEqual(printable('\x1b[2J\n\x9b\u202e'), '\\x1b[2J\\n\\x9b\\u202e')


class TypedLinesTest(unittest.TestCase):
    def pipe(self) -> tuple[TextIO, int]:
        """A source, and the descriptor that writes into it."""
        reader, writer = os.pipe()
        return self.enter(open(reader)), writer

    def enter(self, file: TextIO) -> TextIO:
        self.addCleanup(file.close)
        return file

    def test_lines_end_in_lf_or_crlf_or_with_the_input(self) -> None:
        for data, lines in (
            (b'', []),
            (b'one\ntwo\r\n', ['one', 'two']),
            (b'one\n\ntwo', ['one', '', 'two']),
            (b'\xff\n\xc3\xa9', ['\N{REPLACEMENT CHARACTER}', 'é']),
        ):
            with self.subTest(data):
                source, writer = self.pipe()
                os.write(writer, data)
                os.close(writer)
                self.assertEqual(list(typed_lines(source)), lines)

    def test_a_line_comes_as_soon_as_it_is_complete(self) -> None:
        source, writer = self.pipe()
        lines = typed_lines(source)
        os.write(writer, b'a\nb')
        self.assertEqual(next(lines), 'a')
        os.write(writer, b'c\n')
        self.assertEqual(next(lines), 'bc')
        os.close(writer)
        self.assertEqual(list(lines), [])

    def test_closed_from_the_beginning(self) -> None:
        self.assertEqual(list(typed_lines(None)), [])

    @unittest.skipIf(pty is None, 'no pseudo-terminals on this system')
    def test_a_terminal_that_goes_away(self) -> None:
        master, slave = pty.openpty()
        with open(master) as source:
            os.close(slave)
            self.assertEqual(list(typed_lines(source)), [])


class Terminal(io.StringIO):
    """Something to write to that says to be a terminal."""

    def isatty(self) -> bool:
        return True


class ScreenTest(unittest.TestCase):
    def shown(self, *, typing: Optional[TextIO] = None, to: Optional[TextIO] = None, **environment: str) -> str:
        """What all that a screen does looks like there."""
        with mock.patch.dict(os.environ, environment):
            for name in {'TERM', 'NO_COLOR', 'COLUMNS', 'LINES'} - set(environment):
                os.environ.pop(name, None)
            screen = Screen(typing, to)
            screen.note('nöte \x07')
            screen.prompt()
            screen.message(b'text \x1b', False)
            screen.message(bytes(SHOWN_ON_TERMINAL + 1), True)
            screen.finish()
        return to.getvalue() if isinstance(to, io.StringIO) else ''

    def test_a_pipe_gets_messages_and_nothing_else(self) -> None:
        expected = f'text \\x1b\nbinary, {SHOWN_ON_TERMINAL + 1} bytes: {"00" * (SHOWN_ON_TERMINAL + 1)}\n'
        self.assertEqual(self.shown(typing=Terminal(), to=io.StringIO(), TERM='xterm'), expected)
        self.assertEqual(self.shown(typing=Terminal(), to=Terminal(), TERM='dumb'), expected)
        self.assertEqual(self.shown(typing=Terminal(), to=Terminal()), expected)

    def test_a_terminal_whose_input_is_no_terminal_gets_colours_only(self) -> None:
        for source in (None, io.StringIO()):
            shown = self.shown(typing=source, to=Terminal(), TERM='xterm')
            self.assertTrue(shown.startswith('\x1b[36mtext \\x1b\x1b[0m\n\x1b[33mbinary, '), shown)
            self.assertNotIn('>', shown)
            self.assertNotIn('note', shown)

    def test_a_person_gets_it_above_what_is_being_typed(self) -> None:
        shown = self.shown(typing=Terminal(), to=Terminal(), TERM='xterm', NO_COLOR='1', COLUMNS='40', LINES='5')
        rows, newlines = 4, '\n' * 4  # the message has more, but one line stays for typing
        self.assertEqual(
            shown,
            '\x1b7\n\x1b[1A\x1b[1Lnöte \\x07\x1b8\x1b[1B'
            '> '
            '\x1b7\n\x1b[1A\x1b[1Ltext \\x1b\x1b8\x1b[1B'
            f'\x1b7{newlines}\x1b[{rows}A\x1b[{rows}L'
            f'binary, {SHOWN_ON_TERMINAL + 1} bytes: {"00" * SHOWN_ON_TERMINAL}…\x1b8\x1b[{rows}B'
            '\r\x1b[K',
        )
        self.assertIn('\x1b[2mnöte \\x07\x1b[0m', self.shown(typing=Terminal(), to=Terminal(), TERM='xterm'))

    def test_wide_characters_take_two_columns(self) -> None:
        with mock.patch.dict(os.environ, TERM='xterm', NO_COLOR='1', COLUMNS='10', LINES='24'):
            out = Terminal()
            Screen(Terminal(), out).message('漢'.encode() * 6, False)
        self.assertEqual(out.getvalue(), f'\x1b7\n\n\x1b[2A\x1b[2L{"漢" * 6}\x1b8\x1b[2B')

    def test_several_lines_each_have_their_room(self) -> None:
        out = io.StringIO()
        Screen(None, out).text('{', '  "\x1b"', '}')
        self.assertEqual(out.getvalue(), '{\n  "\\x1b"\n}\n')
        with mock.patch.dict(os.environ, TERM='xterm', COLUMNS='10', LINES='24'):
            out = Terminal()
            Screen(Terminal(), out, colours=False).text('a', 'b')
        self.assertEqual(out.getvalue(), ''.join(f'\x1b7\n\x1b[1A\x1b[1L{line}\x1b8\x1b[1B' for line in 'ab'))

    def test_whether_somebody_types(self) -> None:
        with mock.patch.dict(os.environ, TERM='xterm'):
            self.assertTrue(Screen(Terminal(), Terminal()).is_typed_at)
            self.assertFalse(Screen(io.StringIO(), Terminal()).is_typed_at)
            self.assertFalse(Screen(Terminal(), io.StringIO()).is_typed_at)

    def test_no_output_at_all(self) -> None:
        self.assertEqual(self.shown(typing=Terminal(), to=None, TERM='xterm'), '')

    def test_nobody_reads_any_more(self) -> None:
        reader, writer = os.pipe()
        self.addCleanup(os.close, writer)
        os.close(reader)
        with open(os.devnull, 'w') as nowhere:
            with open(writer, 'w', closefd=False) as out:
                with self.assertRaises(BrokenPipeError):
                    Screen(None, out).message(b'text', False)
                os.dup2(nowhere.fileno(), writer)  # takes what is still in the buffer


if __name__ == '__main__':
    unittest.main()
