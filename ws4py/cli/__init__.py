"""The commands of ``python -m ws4py``, which is also installed as ``ws4py``.

:func:`main` picks a module by the first argument: :mod:`~ws4py.cli.serve`, :mod:`~ws4py.cli.connect` or
:mod:`~ws4py.cli.bench`, each with a function that makes its parser and one that runs it. A URL without a command is one
to connect to. Every command ends by Ctrl-C or SIGTERM with the closing handshake, and answers with an exit status that
its help explains. What was asked for goes to standard output, by lines; what a program has to say itself goes to
standard error.

What is shown of a peer passes through :mod:`ws4py.terminal`, and no password of a URL is shown at all.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence
from typing import Any, Optional

from ws4py.cli.arguments import EXIT_USAGE

__all__ = ['main']

COMMANDS = ('serve', 'connect', 'bench')


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Run the command in ``argv`` (default: the process's arguments) and return its exit status."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, 'reconfigure'):  # a terminal that speaks ASCII only gets escapes, not a UnicodeEncodeError
            stream.reconfigure(errors='backslashreplace')
    script = os.path.splitext(os.path.basename(sys.argv[0]))[0] == 'ws4py'
    program = 'ws4py' if script else 'python -m ws4py'
    alone = arguments[:1] != [] and arguments[0] in COMMANDS
    # Only the command's own module: bench needs not what serve does.
    command: Any = importlib.import_module(f'ws4py.cli.{arguments.pop(0) if alone else "connect"}')
    parser = command.parser(program) if alone else command.parser(program, alone=False)
    if not alone and not arguments:
        parser.print_help(sys.stderr)
        return EXIT_USAGE
    status: int = command.run(parser, parser.parse_args(arguments))
    return status
