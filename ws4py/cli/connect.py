"""``connect``: a client to type into, and for scripts. Also what a URL without a command is short for."""

from __future__ import annotations

import argparse
import functools
import os
import signal
import sys

from ws4py.cli.arguments import (
    add_connection_options,
    check_connection_options,
    client_arguments,
    make_parser,
    readable,
    seconds,
)
from ws4py.cli.conversation import Client, Conversation, Session, hold
from ws4py.cli.exchange import Input, Output
from ws4py.limits import Limits
from ws4py.terminal import Screen, printable

__all__ = ['parser', 'run']

DESCRIPTION = """\
Talk to a WebSocket server: each line of standard input is sent as a text message, each message
that comes in is printed on a line of its own, a binary one as its length and its bytes in hex.
Control characters are shown as escapes. The end of the input (Ctrl-D) closes with code 1000,
Ctrl-C with 1001. Only messages go to standard output, all else to standard error."""

STATUS = """\
exit status:
  0  closed normally by either side (code 1000, 1001 or none)
  1  could not connect, or the server refused the handshake, or a file cannot be used
  2  wrong usage, or a line that was not sent because it is not what --json or --hex asks for
  3  the connection broke, or was closed with another code, or before --once had its message
  4  the time of --timeout was over
With --reconnect these are of the last connection.
"""

EXAMPLES = """\
examples:
  {program} ws://127.0.0.1:9000/echo
  echo hello | {program} --once --timeout 5 wss://example.org/echo
  echo '{{"subscribe": "ticker"}}' | {program} --json --once --header "Authorization: Bearer 1234" wss://example.org/feed
  {program} --send-file picture.png --output received ws://127.0.0.1:9000/echo
  {program} --ping 5 --cafile authority.pem --server-name example.org wss://192.0.2.1/"""

COMMANDS = """\
commands:
  connect URL           the same as without a command
  serve                 start a server with a chat page and an echo, or for files; see serve --help
  bench URL             measure an echo server: messages in a second, round trips; see bench --help

"""


def parser(program: str, alone: bool = True) -> argparse.ArgumentParser:
    """The parser of ``connect``; not ``alone``, it is that of the whole program, without a command."""
    made = make_parser(
        f'{program} connect' if alone else program,
        DESCRIPTION,
        ('' if alone else COMMANDS) + STATUS + '\n' + EXAMPLES.format(program=program),
        None if alone else '%(prog)s [connect] [options] URL\n       %(prog)s {serve,bench} [--help]',
    )
    add_connection_options(made)
    group = made.add_argument_group('what is sent')
    kinds = group.add_mutually_exclusive_group()
    kinds.add_argument(
        '--json',
        dest='kind',
        action='store_const',
        const='json',
        default='text',
        help='lines and messages are JSON: a line that is not is not sent; messages are laid out at a terminal, and '
        'on one line each elsewhere',
    )
    kinds.add_argument(
        '--binary', dest='kind', action='store_const', const='binary', help='send lines as binary messages'
    )
    kinds.add_argument(
        '--hex', dest='kind', action='store_const', const='hex', help='send lines as binary messages, written in hex'
    )
    group.add_argument(
        '--send-file',
        metavar='FILE',
        type=readable,
        action='append',
        default=[],
        help='send a file as one binary message, before any line; may be repeated',
    )
    group = made.add_argument_group('what is shown')
    group.add_argument(
        '--output',
        metavar='DIR',
        help='put each binary message into a new file of this directory, 000001.bin and so on; "-" writes the bytes '
        'to standard output, and text messages to standard error',
    )
    group.add_argument(
        '--ping', metavar='SECONDS', type=seconds, help='ping the server so often, and show how long it takes'
    )
    group.add_argument('--quiet', action='store_true', help='show messages and errors, and nothing else')
    group.add_argument('--no-color', action='store_true', help='no colours; also by NO_COLOR in the environment')
    group = made.add_argument_group('how it ends')
    group.add_argument(
        '--once', action='store_true', help='close after the first message that comes in, not at the end of the input'
    )
    group.add_argument(
        '--timeout', metavar='SECONDS', type=seconds, help='close after so long, with exit status 4, connected or not'
    )
    group.add_argument(
        '--reconnect',
        action='store_true',
        help='connect again when there is no connection or it was lost; lines that are typed meanwhile are not sent',
    )
    return made


def run(parser: argparse.ArgumentParser, options: argparse.Namespace) -> int:
    """Connect, and carry lines and messages until the connection ends."""
    check_connection_options(parser, options)
    if options.output == '-' and (sys.stdout is None or sys.stdout.isatty()):
        parser.error('--output - needs a pipe or a file to write to')
    if options.output not in (None, '-') and not os.path.isdir(options.output):
        parser.error(f'--output {printable(options.output)} is not a directory')
    screen = Screen(sys.stdin, sys.stdout, not options.no_color)
    session = Session(
        Input(options.send_file, options.kind),
        Output(screen, options.kind == 'json', options.output),
        screen,
        options.once,
        options.quiet,
    )
    arguments = {**client_arguments(options), 'limits': Limits(ping_interval=options.ping), 'session': session}
    make = functools.partial(Client, options.url, **arguments)
    try:
        client = make()
    except (ValueError, ImportError) as error:  # that of the environment is none, or python-socks is not installed
        parser.error(printable(str(error)))
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # the same as Ctrl-C
    if options.reconnect:
        client.close_connection()  # it has told that it can be made
        return Conversation(make, options.url, session).hold(options.timeout)
    return hold(client, session, options.timeout)
