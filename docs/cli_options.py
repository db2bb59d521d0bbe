"""Writes ``cli_options_table.rst``, what the command line takes, from its own parsers. ``python docs/cli_options.py``

A test compares the file with what this makes. It goes by the parsers and not by their help, which argparse writes
differently in each version of Python.
"""

from __future__ import annotations

import argparse
import importlib
from collections.abc import Iterator
from pathlib import Path

from ws4py.cli import COMMANDS

TABLE = Path(__file__).with_name('cli_options_table.rst')
PROGRAM = 'ws4py'


def table() -> str:
    """The text of the file."""
    lines = ['.. Made by docs/cli_options.py from the parsers of ws4py/cli.', '']
    for command in COMMANDS:
        parser = importlib.import_module(f'ws4py.cli.{command}').parser(PROGRAM)
        lines += [f'``{PROGRAM} {command}``', '~' * (len(f'{PROGRAM} {command}') + 4), '']
        lines += [f'.. program:: {PROGRAM} {command}', '']
        lines += [*map(_escaped, parser.description.split('\n')), '']
        for group in parser._action_groups:
            actions = [action for action in group._group_actions if action.dest not in ('help', 'version')]
            if actions:
                title = {'positional arguments': 'What it is for'}.get(group.title, group.title)
                if title not in ('options', 'optional arguments'):  # the second one is that of Python 3.9
                    lines += [f'*{title[0].upper()}{title[1:]}*', '']
                for action in actions:
                    lines += _option(parser, action)
        lines += _epilog(parser.epilog)
    return '\n'.join(lines).rstrip('\n') + '\n'


def _option(parser: argparse.ArgumentParser, action: argparse.Action) -> Iterator[str]:
    value = action.metavar or ('|'.join(action.choices) if action.choices else action.dest.upper())
    takes = f' {value}' if action.nargs != 0 else ''
    yield f'.. option:: {", ".join(f"{name}{takes}" for name in action.option_strings) or value}'
    yield ''
    yield f'   {_escaped(action.help % {**vars(action), "prog": parser.prog})}'
    yield ''


def _epilog(text: str) -> Iterator[str]:
    """Exit status and examples, as they stand in the help."""
    yield from ('.. code-block:: text', '')
    yield from (f'   {line}'.rstrip() for line in text.strip('\n').split('\n'))
    yield ''


def _escaped(text: str) -> str:
    return text.replace('\\', '\\\\').replace('*', '\\*').replace('`', '\\`').replace('|', '\\|')


if __name__ == '__main__':
    TABLE.write_text(table(), 'utf-8')
