"""The two commands of ``python -m ws4py``: ``serve``, the demo on a server of your choice, and a client to type into.

``main`` picks one by its first argument, and returns the exit status. Both end by Ctrl-C or SIGTERM with the closing
handshake. The client has three threads: one reads standard input and sends, the client's own receives and prints, and
the main thread waits for the end and for signals. So receiving never waits for sending, and neither waits for a line
to be typed. Only messages go to standard output, one a line; what the program has to say goes to standard error.

What is shown of a peer passes through ``ws4py.terminal``, and no password of a URL is shown at all.
"""

from __future__ import annotations

import argparse
import functools
import importlib
import os
import re
import signal
import ssl
import sys
import threading
from collections.abc import Sequence
from typing import Any, Callable, Optional, Union

import ws4py
from ws4py import uri
from ws4py.backoff import Attempt
from ws4py.client.threadedclient import Reconnecting, WebSocketClient
from ws4py.cookies import Cookies
from ws4py.demo import BACKENDS
from ws4py.demo.running import TLSFiles
from ws4py.exc import HandshakeError
from ws4py.http11 import Headers, build_token_list
from ws4py.terminal import Screen, printable, typed_lines

__all__ = ['main']

EXIT_OK, EXIT_FAILED, EXIT_USAGE, EXIT_ABNORMAL = 0, 1, 2, 3
NORMAL_CODES = (1000, 1001, 1005)  # 1005: the Close frame that ended the connection named no code


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
        '  3  the connection broke, or was closed with another code\n'
        'With --reconnect these are of the last connection.\n\n'
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
        '--cookie',
        metavar='NAME=VALUE',
        type=_cookie,
        action='append',
        default=[],
        help='a cookie to send with the handshake; may be repeated',
    )
    parser.add_argument(
        '--protocol',
        metavar='NAME',
        type=_token,
        action='append',
        help='a subprotocol to offer; may be repeated, the best one first',
    )
    parser.add_argument(
        '--proxy',
        metavar='URL',
        type=_proxy,
        help='a proxy to go through, http://, socks5:// or socks4://; "env" takes the one that the environment names',
    )
    parser.add_argument(
        '--insecure', action='store_true', help='take any TLS certificate: do not check who the server is'
    )
    parser.add_argument(
        '--reconnect',
        action='store_true',
        help='connect again when there is no connection or it was lost; lines that are typed meanwhile are not sent',
    )
    parser.add_argument('--version', action='version', version=f'ws4py {ws4py.__version__}')
    return parser


def _serve_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog='python -m ws4py serve',
        description='Serve a chat page at /, its websocket at /ws and an echo websocket at /echo. Ctrl-C or SIGTERM\n'
        'says goodbye to every connection (code 1001) and ends it.',
        epilog='exit status: 0 after Ctrl-C or SIGTERM, 1 could not start, 2 wrong usage',
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        '--host', default='127.0.0.1', help='address to listen on (default %(default)s; 0.0.0.0 for every IPv4 one)'
    )
    parser.add_argument(
        '--port', type=_port, default=9000, help='port to listen on (default %(default)s; 0 takes a free one)'
    )
    parser.add_argument(
        '--backend',
        choices=BACKENDS,
        default=BACKENDS[0],
        help='the server to run it on (default %(default)s, which needs nothing to be installed, nor does asyncio)',
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


def _proxy(text: str) -> Union[str, bool]:
    if text == 'env':
        return True
    try:
        uri.parse_proxy(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(printable(str(error))) from None
    return text


def _header(text: str) -> tuple[str, str]:
    try:
        name, value = text.split(':', 1)
        return Headers([(name.strip(' \t'), value)]).items()[0]
    except ValueError:
        raise argparse.ArgumentTypeError(f'{printable(text)!r} is not NAME:VALUE') from None


def _cookie(text: str) -> tuple[str, str]:
    name, equals, value = text.partition('=')
    try:
        if not equals:
            raise ValueError('it is not NAME=VALUE')  # what it is instead may be a secret
        Cookies({name: value})
    except ValueError as error:
        raise argparse.ArgumentTypeError(printable(str(error))) from None
    return name, value


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
    tls = TLSFiles(options.tls_cert, options.tls_key) if options.tls_cert else None
    try:
        backend = importlib.import_module(f'ws4py.demo.on_{options.backend}')
    except ModuleNotFoundError as error:
        extra = f'ws4py[{options.backend}]'
        _say(f"--backend {options.backend} cannot be used ({error}): python -m pip install '{extra}'")
        return EXIT_USAGE
    try:
        if tls:
            tls.context()
    except (OSError, ValueError) as error:  # an SSLError is an OSError
        _say(f'cannot use {options.tls_cert} for TLS: {error}')
        return EXIT_FAILED
    listening = False

    def ready(port: int) -> None:
        nonlocal listening
        listening = True
        print(f'{"https" if tls else "http"}://{_authority(options.host, port)}/', flush=True)

    try:
        backend.serve(options.host, options.port, tls, ready)
    except OSError as error:
        if listening:
            raise
        _say(f'cannot listen on {_authority(options.host, options.port)}: {error.strerror or error}')
        return EXIT_FAILED
    return EXIT_OK


def _authority(host: str, port: int) -> str:
    return f'[{host}]:{port}' if ':' in host else f'{host}:{port}'


def _public(url: str) -> str:
    """The URL without the name and the password in it."""
    return re.sub('//[^/?]*@', '//…@', url)


# ---- client ----------------------------------------------------------------------------------------------------------


def talk(parser: argparse.ArgumentParser, options: argparse.Namespace) -> int:
    """Connect, and carry lines and messages until the connection ends."""
    tls = {'cert_reqs': ssl.CERT_NONE} if options.insecure else None
    screen = Screen(sys.stdin, sys.stdout)
    make = functools.partial(
        Client,
        options.url,
        options.protocol,
        headers=options.header,
        cookies=dict(options.cookie),
        ssl_options=tls,
        proxy=options.proxy,
        screen=screen,
    )
    try:
        client = make()
    except (ValueError, ImportError) as error:  # that of the environment is none, or python-socks is not installed
        parser.error(printable(str(error)))
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # the same as Ctrl-C
    if options.reconnect:
        client.close_connection()  # it has told that it can be made
        return Conversation(make, options.url, screen).hold()
    try:
        client.connect()
        threading.Thread(target=client.send_lines, daemon=True).start()  # a read from a terminal cannot be called off
        client.wait()
    except (HandshakeError, OSError) as error:
        _say(f'cannot connect to {_public(options.url)}: {error}')
        return EXIT_FAILED
    except KeyboardInterrupt:
        if not client.connected:
            _say(f'interrupted while connecting to {_public(options.url)}')
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

    def __init__(self, *args: Any, screen: Screen, conversation: Optional[Conversation] = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.screen = screen
        self._conversation = conversation  # where this is one connection of several
        self.connected = False
        self._over = threading.Event()
        self._result: tuple[int, str] = (1006, '')

    def opened(self) -> None:
        self.connected = True  # and so closed() will be called, which wait() waits for
        protocol = ''.join(f', subprotocol {name.decode("latin-1")}' for name in (self.protocols or ())[:1])
        self.screen.note(f'connected to {_public(self.url)}{protocol}; Ctrl-D closes')
        self.screen.prompt()
        if self._conversation is not None:
            self._conversation.opened()

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
            for line in typed_lines(sys.stdin):
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


class Conversation:
    """What ``--reconnect`` gives: a conversation that goes on when the connection is lost. A second thread connects.

    Lines are sent from the first connection on.
    """

    def __init__(self, make: Callable[..., Client], url: str, screen: Screen) -> None:
        self._url = url
        self._screen = screen
        self._reconnecting = Reconnecting(functools.partial(make, conversation=self), attempt=self._tell)
        self._failure: Optional[Exception] = None
        self._over = threading.Event()
        self._typing: Optional[threading.Thread] = None

    def hold(self) -> int:
        """Hold it to its end, or until Ctrl-C; the exit status."""
        try:
            threading.Thread(target=self._run, daemon=True).start()
            self._wait()
        except KeyboardInterrupt:
            self._reconnecting.stop()
            try:
                self._wait()
            except KeyboardInterrupt:
                _say('interrupted before the closing handshake was complete')
                return EXIT_ABNORMAL
        client = self._reconnecting.client
        if client is None or not client.connected:
            _say(f'cannot connect to {_public(self._url)}: {self._failure or "interrupted"}')
            return EXIT_FAILED
        status: int = client.report()
        return status

    def _run(self) -> None:
        try:
            self._reconnecting.run_forever()
        except (HandshakeError, OSError) as error:
            self._failure = error
        finally:
            self._over.set()

    def _wait(self) -> None:
        while not self._over.wait(1):  # as in Client.wait()
            pass

    def _tell(self, attempt: Attempt) -> None:
        if attempt.number and attempt.worthwhile:
            self._screen.finish()
            _say(f'{attempt.cause}; connecting again in {attempt.delay:.1f} s')

    def opened(self) -> None:
        """There is a connection: lines can be sent from now on."""
        if self._typing is None:
            self._typing = threading.Thread(target=self._send_lines, daemon=True)
            self._typing.start()

    def _send_lines(self) -> None:
        for line in typed_lines(sys.stdin):
            client = self._reconnecting.client
            try:
                client.send(line)
                self._screen.prompt()
            except (RuntimeError, OSError):
                _say('there is no connection, the line was not sent')
        self._reconnecting.client.close(1000)
        self._reconnecting.stop()
