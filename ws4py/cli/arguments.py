"""What the commands have in common: their exit status, types of arguments, and options that say how to connect.

A type judges one argument before anything is done, so that wrong usage is told at once and never by a traceback. What
it has to say of an argument passes through :func:`~ws4py.terminal.printable`, and holds no password and no cookie.
"""

from __future__ import annotations

import argparse
import math
import os
import re
import ssl
import sys
from typing import Any, Optional, Union

import ws4py
from ws4py import uri
from ws4py.cookies import Cookies
from ws4py.http11 import Headers, build_token_list
from ws4py.terminal import printable

__all__ = [
    'EXIT_ABNORMAL',
    'EXIT_FAILED',
    'EXIT_OK',
    'EXIT_TIMEOUT',
    'EXIT_USAGE',
    'add_connection_options',
    'check_connection_options',
    'client_arguments',
    'count',
    'make_parser',
    'port',
    'public',
    'readable',
    'say',
    'seconds',
    'url',
]

EXIT_OK, EXIT_FAILED, EXIT_USAGE, EXIT_ABNORMAL, EXIT_TIMEOUT = 0, 1, 2, 3, 4


def say(text: str) -> None:
    """Tell something on standard error."""
    print(f'ws4py: {printable(text)}', file=sys.stderr, flush=True)


def public(address: str) -> str:
    """The URL without the name and the password in it."""
    return re.sub('//[^/?]*@', '//…@', address)


# ---- types of arguments ----------------------------------------------------------------------------------------------


def url(text: str) -> str:
    """A ``ws://`` URL or the like, as it is."""
    try:
        uri.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(printable(str(error))) from None
    return text


def port(text: str) -> int:
    """A port to listen on."""
    if not (text.isascii() and text.isdigit() and int(text) < 65536):
        raise argparse.ArgumentTypeError(f'{printable(text)!r} is not a port number (0 to 65535)')
    return int(text)


def count(text: str) -> int:
    """A number of things, one at least."""
    if not (text.isascii() and text.isdigit() and len(text) < 16 and int(text)):
        raise argparse.ArgumentTypeError(f'{printable(text)!r} is not a whole number from 1 on')
    return int(text)


def seconds(text: str) -> float:
    """A time, or a number of times in a second: more than nothing, and not without an end."""
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not (0 < number <= 1e9 and math.isfinite(number)):
        raise argparse.ArgumentTypeError(f'{printable(text)!r} is not a number above 0')
    return number


def readable(text: str) -> str:
    """The path of a file that can be read."""
    try:
        if os.path.isdir(text):
            raise IsADirectoryError(None, 'it is a directory')
        if not os.path.exists(text):
            raise FileNotFoundError(None, 'there is no such file')
        if not os.access(text, os.R_OK):
            raise PermissionError(None, 'it may not be read')
    except (OSError, ValueError) as error:
        reason = getattr(error, 'strerror', None) or error
        raise argparse.ArgumentTypeError(f'cannot read {printable(text)}: {reason}') from None
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


# ---- parsers ---------------------------------------------------------------------------------------------------------


def make_parser(program: str, description: str, epilog: str, usage: Optional[str] = None) -> argparse.ArgumentParser:
    """A parser whose texts keep their lines, and which knows no abbreviations: a script outlives them."""
    parser = argparse.ArgumentParser(
        prog=program,
        usage=usage,
        description=description,
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument('--version', action='version', version=f'ws4py {ws4py.__version__}')
    return parser


def add_connection_options(parser: argparse.ArgumentParser) -> None:
    """Add the URL, and the options of the opening handshake and of TLS."""
    parser.add_argument('url', metavar='URL', type=url, help='ws://, wss://, ws+unix:// or wss+unix:// address')
    group = parser.add_argument_group('the opening handshake')
    group.add_argument(
        '--header',
        metavar='NAME:VALUE',
        type=_header,
        action='append',
        default=[],
        help='a header to send; may be repeated',
    )
    group.add_argument(
        '--cookie', metavar='NAME=VALUE', type=_cookie, action='append', default=[], help='a cookie; may be repeated'
    )
    group.add_argument(
        '--protocol',
        metavar='NAME',
        type=_token,
        action='append',
        help='a subprotocol to offer; may be repeated, the best one first',
    )
    group.add_argument('--compress', action='store_true', help='offer to compress messages (permessage-deflate)')
    group.add_argument(
        '--proxy',
        metavar='URL',
        type=_proxy,
        help='a proxy to go through, http://, socks5:// or socks4://; "env" takes the one that the environment names',
    )
    group = parser.add_argument_group('TLS, for wss://')
    group.add_argument(
        '--cafile', metavar='FILE', type=readable, help="PEM file of the authorities to trust, in place of the system's"
    )
    group.add_argument(
        '--cert', metavar='FILE', type=readable, help='PEM file with a certificate to show to the server'
    )
    group.add_argument(
        '--key', metavar='FILE', type=readable, help='PEM file with its private key, if not in the same file'
    )
    group.add_argument(
        '--server-name', metavar='NAME', help="the name that the server's certificate has to be for, if not the URL's"
    )
    group.add_argument(
        '--insecure', action='store_true', help='take any TLS certificate: do not check who the server is'
    )


def check_connection_options(parser: argparse.ArgumentParser, options: argparse.Namespace) -> None:
    """End with wrong usage where options contradict each other."""
    if options.key and not options.cert:
        parser.error('--key needs --cert')
    if options.insecure and options.cafile:
        parser.error('--insecure trusts everybody, with --cafile or without')


def client_arguments(options: argparse.Namespace) -> dict[str, Any]:
    """What :class:`~ws4py.client.WebSocketBaseClient` is constructed with, besides the URL."""
    tls = {
        'ca_certs': options.cafile,
        'certfile': options.cert,
        'keyfile': options.key,
        'server_hostname': options.server_name,
        'cert_reqs': ssl.CERT_NONE if options.insecure else None,
    }
    return {
        'protocols': options.protocol,
        'extensions': ['permessage-deflate'] if options.compress else None,
        'ssl_options': {key: value for key, value in tls.items() if value is not None},
        'headers': options.header,
        'cookies': dict(options.cookie),
        'proxy': options.proxy,
    }
