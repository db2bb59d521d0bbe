"""The two commands of ``python -m ws4py``: ``serve``, the demo on wsgiref, and a client to type into.

``main`` picks one by its first argument, and returns the exit status. Both end by Ctrl-C or SIGTERM with the closing
handshake. The client has three threads: one reads standard input and sends, the client's own receives and prints, and
the main thread waits for the end and for signals. So receiving never waits for sending, and neither waits for a line
to be typed. Only messages go to standard output, one a line; what the program has to say goes to standard error.

Whatever a peer says is untrusted: a terminal obeys escape sequences, and so all of it passes through ``printable``.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import signal
import ssl
import sys
import threading
import unicodedata
from collections.abc import Iterator, Sequence
from typing import Any, Optional, TextIO

import ws4py
from ws4py import demo, uri
from ws4py.client.threadedclient import WebSocketClient
from ws4py.exc import HandshakeError
from ws4py.http11 import Headers, build_token_list

__all__ = ['main', 'printable']

EXIT_OK, EXIT_FAILED, EXIT_USAGE, EXIT_ABNORMAL = 0, 1, 2, 3
NORMAL_CODES = (1000, 1001, 1005)  # 1005: the Close frame that ended the connection named no code
SHOWN_ON_TERMINAL = 256  # bytes of a binary message; a pipe gets all

# C0, DEL, C1, soft hyphen, bidi marks and overrides, invisible and separating format characters, byte order mark,
# surrogates, tags. The two joiners (U+200C, U+200D) stay: scripts and emoji need them.
_UNPRINTABLE = re.compile(
    '[\x00-\x1f\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb'
    '\ud800-\udfff\U000e0000-\U000e007f]'
)


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Run the command in ``argv`` (default: the process's arguments) and return its exit status."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, 'reconfigure'):  # a terminal that speaks ASCII only gets escapes, not a UnicodeEncodeError
            stream.reconfigure(errors='backslashreplace')
    if arguments[:1] == ['serve']:
        return serve(_serve_parser().parse_args(arguments[1:]))
    parser = _client_parser()
    if not arguments:
        parser.print_help(sys.stderr)
        return EXIT_USAGE
    return talk(parser, parser.parse_args(arguments))


def printable(text: str) -> str:
    """Return ``text`` with every character that steers a terminal or hides itself written as an escape (``\\x1b``)."""
    return _UNPRINTABLE.sub(lambda match: match.group().encode('unicode_escape', 'surrogatepass').decode(), text)


# ---- command lines ---------------------------------------------------------------------------------------------------


def _client_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog='python -m ws4py',
        usage='%(prog)s [options] URL\n       %(prog)s serve [--help]',
        description='Talk to a WebSocket server: each line of standard input is sent as a text message, each message\n'
        'that comes in is printed on a line of its own, a binary one as its length and its bytes in hex.\n'
        'Control characters are shown as escapes. The end of the input (Ctrl-D) closes with code 1000,\n'
        'Ctrl-C with 1001.',
        epilog='commands:\n'
        '  serve                 start a server with a chat page and an echo; see serve --help\n\n'
        'exit status:\n'
        '  0  closed normally by either side (code 1000, 1001 or none)\n'
        '  1  could not connect, or the server refused the handshake\n'
        '  2  wrong usage\n'
        '  3  the connection broke, or was closed with another code\n\n'
        'examples:\n'
        '  python -m ws4py ws://127.0.0.1:9000/echo\n'
        '  echo hello | python -m ws4py --header "Authorization: Bearer 1234" wss://example.org/feed',
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument('url', metavar='URL', type=_url, help='ws://, wss://, ws+unix:// or wss+unix:// address')
    parser.add_argument(
        '--header',
        metavar='NAME:VALUE',
        type=_header,
        action='append',
        default=[],
        help='a header of the handshake; may be repeated',
    )
    parser.add_argument(
        '--protocol',
        metavar='NAME',
        type=_token,
        action='append',
        help='a subprotocol to offer; may be repeated, the best one first',
    )
    parser.add_argument(
        '--insecure', action='store_true', help='take any TLS certificate: do not check who the server is'
    )
    parser.add_argument('--version', action='version', version=f'ws4py {ws4py.__version__}')
    return parser


def _serve_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog='python -m ws4py serve',
        description='Serve a chat page at /, its websocket at /ws and an echo websocket at /echo, with the standard\n'
        "library's wsgiref. Ctrl-C or SIGTERM says goodbye to every connection (code 1001) and ends it.",
        epilog='exit status: 0 after Ctrl-C or SIGTERM, 1 could not start, 2 wrong usage',
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        '--host', default='127.0.0.1', help='address to listen on (default %(default)s; 0.0.0.0 for every IPv4 one)'
    )
    parser.add_argument(
        '--port', type=_port, default=9000, help='port to listen on (default %(default)s; 0 takes a free one)'
    )
    parser.add_argument('--tls-cert', metavar='FILE', help='PEM file with the certificate chain: serve https and wss')
    parser.add_argument('--tls-key', metavar='FILE', help='PEM file with its private key, if not in the same file')
    return parser


def _url(text: str) -> str:
    try:
        uri.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(printable(str(error))) from None
    return text


def _header(text: str) -> tuple[str, str]:
    try:
        name, value = text.split(':', 1)
        return Headers([(name.strip(' \t'), value)]).items()[0]
    except ValueError:
        raise argparse.ArgumentTypeError(f'{printable(text)!r} is not NAME:VALUE') from None


def _token(text: str) -> str:
    try:
        return build_token_list([text])
    except ValueError as error:
        raise argparse.ArgumentTypeError(printable(str(error))) from None


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) < 65536):
        raise argparse.ArgumentTypeError(f'{printable(text)!r} is not a port number (0 to 65535)')
    return int(text)


def _say(text: str) -> None:
    print(f'ws4py: {printable(text)}', file=sys.stderr, flush=True)


# ---- serve -----------------------------------------------------------------------------------------------------------


def serve(options: argparse.Namespace) -> int:
    """Serve the demo until Ctrl-C or SIGTERM."""
    if options.tls_key and not options.tls_cert:
        _serve_parser().error('--tls-key needs --tls-cert')
    try:
        context = _server_context(options.tls_cert, options.tls_key)
    except (OSError, ValueError) as error:  # an SSLError is an OSError
        _say(f'cannot use {options.tls_cert} for TLS: {error}')
        return EXIT_FAILED
    try:
        server = demo.make_server(options.host, options.port, context)
    except OSError as error:
        _say(f'cannot listen on {_authority(options.host, options.port)}: {error.strerror or error}')
        return EXIT_FAILED
    address = f'{"https" if context else "http"}://{_authority(options.host, server.server_address[1])}/'
    demo.serve_until_signal(server, lambda: print(address, flush=True))
    return EXIT_OK


def _server_context(certificate: Optional[str], key: Optional[str]) -> Optional[ssl.SSLContext]:
    if certificate is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    return context


def _authority(host: str, port: int) -> str:
    return f'[{host}]:{port}' if ':' in host else f'{host}:{port}'


# ---- client ----------------------------------------------------------------------------------------------------------


def talk(parser: argparse.ArgumentParser, options: argparse.Namespace) -> int:
    """Connect, and carry lines and messages until the connection ends."""
    tls = {'cert_reqs': ssl.CERT_NONE} if options.insecure else None
    screen = Screen(sys.stdin, sys.stdout)
    try:
        client = Client(options.url, options.protocol, headers=options.header, ssl_options=tls, screen=screen)
    except ValueError as error:
        parser.error(printable(str(error)))
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # the same as Ctrl-C
    try:
        client.connect()
        threading.Thread(target=client.send_lines, daemon=True).start()  # a read from a terminal cannot be called off
        client.wait()
    except (HandshakeError, OSError) as error:
        _say(f'cannot connect to {options.url}: {error}')
        return EXIT_FAILED
    except KeyboardInterrupt:
        if not client.connected:
            _say(f'interrupted while connecting to {options.url}')
            return EXIT_FAILED
        try:
            client.close(1001, 'Going away')
            client.wait()
        except KeyboardInterrupt:
            _say('interrupted before the closing handshake was complete')
            return EXIT_ABNORMAL
    return client.report()


class Client(WebSocketClient):
    """The connection of the command line: ``screen`` shows what comes in, standard input is sent."""

    def __init__(self, *args: Any, screen: Screen, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.screen = screen
        self.connected = False
        self._over = threading.Event()
        self._result: tuple[int, str] = (1006, '')

    def opened(self) -> None:
        self.connected = True  # and so closed() will be called, which wait() waits for
        protocol = ''.join(f', subprotocol {name.decode("latin-1")}' for name in (self.protocols or ())[:1])
        self.screen.note(f'connected to {self.url}{protocol}; Ctrl-D closes')
        self.screen.prompt()

    def received_message(self, message: Any) -> None:
        try:
            self.screen.message(message.data, message.is_binary)
        except OSError:  # nobody reads our output any more, as in `… | head -1`
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, sys.stdout.fileno())  # what is left over goes there, also at the interpreter's own flush
            os.close(nowhere)
            self.close(1001, 'Going away')

    def closed(self, code: int, reason: Any = None) -> None:
        text = reason.decode('utf-8', 'replace') if isinstance(reason, bytes) else str(reason or '')
        if code != 1006 or not self._result[1]:
            self._result = (code, text)
        self._over.set()

    def unhandled_error(self, error: Exception) -> None:
        self._result = (1006, str(error))  # closed() comes next and does not know it

    def send_lines(self) -> None:
        """Send every line of standard input, then close with 1000; runs in a thread of its own."""
        try:
            for line in _lines(sys.stdin):
                self.send(line)
                self.screen.prompt()
            self.close(1000)
        except (RuntimeError, OSError):
            pass  # the connection ended meanwhile, and closed() says how

    def wait(self) -> None:
        """Wait for the end of the connection."""
        while not self._over.wait(1):  # Windows does not interrupt a wait without an end by Ctrl-C
            pass

    def report(self) -> int:
        """Say how the connection ended and return the exit status."""
        code, reason = self._result
        normal = code in NORMAL_CODES
        text = f'closed with code {code}' + (f' ({reason})' if reason else '')
        self.screen.finish()
        if normal:
            self.screen.note(text)
        else:
            _say(text)
        return EXIT_OK if normal else EXIT_ABNORMAL


def _lines(source: Optional[TextIO]) -> Iterator[str]:
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
    """Where messages are shown; on a terminal above the line that is being typed. Safe from any thread."""

    def __init__(self, source: Optional[TextIO], out: Optional[TextIO]) -> None:  # None where it is closed, `… >&-`
        ansi = out is not None and out.isatty() and sys.platform != 'win32' and os.environ.get('TERM', 'dumb') != 'dumb'
        self._out = out
        self._colours = ansi and not os.environ.get('NO_COLOR')
        self._prompts = ansi and source is not None and source.isatty()
        self._lock = threading.Lock()

    def message(self, data: bytes, binary: bool) -> None:
        """Show one message on a line of its own."""
        if binary:
            shown = data[:SHOWN_ON_TERMINAL] if self._prompts else data
            more = '…' if len(shown) < len(data) else ''
            self._line(f'binary, {len(data)} bytes: {shown.hex()}{more}', '33')
        else:
            self._line(printable(data.decode('utf-8', 'replace')), '36')

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
