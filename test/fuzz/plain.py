"""A second opinion on HTTP heads and handshakes: RFC 9110, 9112 and 6455 read slowly, character by character.

Nothing here uses ws4py. What is wrong is told as the set of all statuses that a server may answer with, since it is
free to look at one fault before another.
"""

from __future__ import annotations

import base64
import hashlib
import ipaddress
from typing import Any, NamedTuple, Optional

LETTERS = 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ'
DIGITS = '0123456789'
TCHAR = set("!#$%&'*+-.^_`|~" + DIGITS + LETTERS)  # RFC 9110 section 5.6.2
HOST = set('-._~' + "!$&'()*+;=" + '%:[]' + DIGITS + LETTERS)  # RFC 3986 section 3.2, without the comma
BASE64 = set(LETTERS + DIGITS + '+/')
GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11'

DEFLATE = 'permessage-deflate'
SERVER_ALONE, CLIENT_ALONE = 'server_no_context_takeover', 'client_no_context_takeover'
SERVER_BITS, CLIENT_BITS = 'server_max_window_bits', 'client_max_window_bits'

Field = tuple[str, str]
Parameter = tuple[str, Optional[str]]


class Bounds(NamedTuple):
    """The limits of a head."""

    head_size: int
    headers: int
    line_size: int


def is_token(text: str) -> bool:
    return text != '' and set(text) <= TCHAR


def split_head(data: bytes, bounds: Bounds) -> Optional[tuple[bytes, bytes]]:
    """The head at the front of *data* and what is behind it; None where it has not ended yet.

    :raises ValueError: it never will.
    """
    line = 0
    for at in range(min(len(data), bounds.head_size)):
        if data[at] != 10:
            continue
        if at == 0 or data[at - 1] != 13:
            raise ValueError('a bare LF')
        if at - 1 == line:
            return data[: at + 1], data[at + 1 :]
        line = at + 1
    if len(data) >= bounds.head_size:
        raise ValueError('too long')
    return None


def fields_of(lines: list[str], bounds: Bounds, tolerant: bool) -> tuple[list[Field], set[int]]:
    """The header fields, and the statuses for what is wrong with them."""
    wrong: set[int] = set()
    fields: list[Field] = []
    if len(lines) > bounds.headers or sum(len(line) + 2 for line in lines) + 2 > bounds.head_size:
        wrong.add(431)
    for line in lines:
        if len(line) > bounds.line_size:
            wrong.add(431)
        at = line.find(':')
        name, value = line[: max(at, 0)], line[at + 1 :].strip(' \t')
        if tolerant:
            name = name.rstrip(' \t')
        if not is_token(name) or any((ord(c) < 32 and c != '\t') or ord(c) == 127 for c in value):
            wrong.add(400)
        fields.append((name.lower(), value))
    return fields, wrong


def values(fields: list[Field], name: str) -> list[str]:
    return [value for key, value in fields if key == name]


def elements(fields: list[Field], name: str) -> list[str]:
    """The elements of a comma-separated header."""
    found = [element.strip(' \t') for value in values(fields, name) for element in value.split(',')]
    return [element for element in found if element]


class Decision(NamedTuple):
    """What a server does: *wrong* is empty where it accepts."""

    wrong: set[int]
    protocol: Optional[str] = None
    accept: str = ''
    offered: tuple[str, ...] = ()  # names of extensions, each once, as the first acceptable offers come


def decide(
    head: bytes,
    bounds: Bounds,
    protocols: list[str],
    origins: Optional[list[str]],
    joined: bool = False,
    last: bool = False,
) -> Decision:
    """What a server does about a request. It may have any extensions.

    :param last: the application selects the last subprotocol that is offered.
    :param joined: it comes by a WSGI environ, where the values of headers that come twice are joined by commas.
    """
    if head[-4:] != b'\r\n\r\n':
        return Decision({400})
    lines = head[:-4].decode('latin-1').split('\r\n')
    parts = lines[0].split(' ')
    method, target, version = parts[0], ' '.join(parts[1:-1]), parts[-1]
    wrong: set[int] = set()
    if len(target) > bounds.line_size:
        wrong.add(414)
    if not is_token(method) or target == '' or any(not 33 <= ord(c) <= 126 for c in target):
        wrong.add(400)
    well_formed = (
        len(version) == 8 and version[:5] == 'HTTP/' and version[6] == '.' and {version[5], version[7]} <= set(DIGITS)
    )
    if not well_formed:
        wrong.add(400)
    elif version[5] != '1':
        wrong.add(505)
    fields, wrong_fields = fields_of(lines[1:], bounds, tolerant=False)
    wrong |= wrong_fields
    if wrong:
        return Decision(wrong)

    if joined:
        fields = [(name, value) for name, value in fields if '_' not in name]
        together: dict[str, str] = {}
        for name, value in fields:
            together[name] = f'{together[name]},{value}' if name in together else value
        if not together.get('content-length'):
            together.pop('content-length', None)
        fields = list(together.items())
    if method != 'GET':
        wrong.add(405)
    if version[7] == '0':
        wrong.add(505)
    if 'websocket' not in [element.lower() for element in elements(fields, 'upgrade')]:
        wrong.add(400)
    if 'upgrade' not in [element.lower() for element in elements(fields, 'connection')]:
        wrong.add(400)
    hosts = values(fields, 'host')
    if len(hosts) != 1 or hosts[0] == '' or not set(hosts[0]) <= HOST:
        wrong.add(400)
    if values(fields, 'content-length') or values(fields, 'transfer-encoding'):
        wrong.add(400)
    keys = values(fields, 'sec-websocket-key')
    if len(keys) != 1 or not is_key(keys[0]):
        wrong.add(400)
    versions = values(fields, 'sec-websocket-version')
    if len(versions) != 1:
        wrong.add(400)
    elif versions[0] != '13':
        wrong.add(426)
    origin = values(fields, 'origin')
    if origins is not None and origin:
        if len(origin) > 1:
            wrong.add(400)
        elif origin[0].lower() not in [allowed.lower() for allowed in origins]:
            wrong.add(403)
    offered = elements(fields, 'sec-websocket-protocol')
    chosen = offered[-1:] if last else [name for name in offered if name in protocols]
    if not all(map(is_token, offered)) or (offered and protocols and not chosen):
        wrong.add(400)
    extensions = extensions_of(values(fields, 'sec-websocket-extensions'))
    if extensions is None:
        wrong.add(400)
    if wrong or extensions is None:
        return Decision(wrong)
    names = tuple(dict.fromkeys(name for name, rest in extensions if name != DEFLATE or deflate_terms(rest)))
    return Decision(wrong, chosen[0] if chosen else None, accept_of(keys[0]), names)


def client_of(fields: list[Field], trusted: list[str]) -> Optional[tuple[str, int]]:
    """The client that a trusted proxy has passed on a request for: the last in X-Forwarded-For that is none of them."""
    client = None
    for entry in reversed(elements(fields, 'x-forwarded-for')):
        host, port = entry, ''
        if entry[:1] == '[' and ']' in entry:
            host, _, rest = entry[1:].partition(']')
            if rest and rest[0] != ':':
                break
            port = rest[1:] if rest else '0'
        elif entry.count(':') == 1:
            host, _, port = entry.partition(':')
        else:
            port = '0'
        try:
            address: Any = ipaddress.ip_address(host)
        except ValueError:
            break
        if not 1 <= len(port) <= 5 or not set(port) <= set(DIGITS):
            break
        address = getattr(address, 'ipv4_mapped', None) or address
        client = str(address), int(port)
        if not any(address in ipaddress.ip_network(network) for network in trusted):
            break
    return client


def credentials(fields: list[Field]) -> Optional[tuple[str, str]]:
    """Who a client says that it is (RFC 7617 section 2)."""
    lines = values(fields, 'authorization')
    if len(lines) != 1 or lines[0][:6].lower() != 'basic ':
        return None
    encoded = lines[0][6:].lstrip(' ')
    padding = len(encoded) - len(encoded.rstrip('='))
    if padding > 2 or len(encoded) % 4 or not set(encoded.rstrip('=')) <= BASE64 or padding == len(encoded):
        return None
    try:
        name, colon, password = base64.b64decode(encoded).decode('utf-8').partition(':')
    except UnicodeDecodeError:
        return None
    if not colon or any(ord(character) < 32 or 127 <= ord(character) < 160 for character in name + password):
        return None
    return name, password


def is_key(text: str) -> bool:
    """16 bytes in base64 (RFC 6455 section 4.2.1)."""
    return len(text) == 24 and text[22:] == '==' and set(text[:22]) <= BASE64 and len(base64.b64decode(text)) == 16


def accept_of(key: str) -> str:
    """RFC 6455 section 4.2.2."""
    return base64.b64encode(hashlib.sha1((key + GUID).encode('ascii')).digest()).decode('ascii')


def extensions_of(lines: list[str]) -> Optional[list[tuple[str, list[Parameter]]]]:
    """The elements of Sec-WebSocket-Extensions by the grammar of RFC 6455 section 9.1; None where they break it."""
    found: list[tuple[str, list[Parameter]]] = []
    for line in lines:
        scanner = Scanner(line)
        try:
            while True:
                scanner.white()
                if not scanner.more():
                    break
                if scanner.is_next(','):  # an empty element
                    continue
                name = scanner.token()
                parameters: list[Parameter] = []
                while scanner.is_next(';'):
                    parameters.append(scanner.parameter())
                found.append((name, parameters))
                if scanner.more():
                    scanner.must_be(',')
        except ValueError:
            return None
    return found


class Terms(NamedTuple):
    """What the parameters of permessage-deflate say."""

    server_alone: bool
    client_alone: bool
    server_bits: Optional[int]
    client_bits: Optional[int]
    client_bits_named: bool


class Scanner:
    """One line, looked at from left to right. The methods for a token skip the white space around it."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0

    def more(self) -> bool:
        return self.at < len(self.text)

    def white(self) -> None:
        while self.text[self.at : self.at + 1] in (' ', '\t'):
            self.at += 1

    def is_next(self, character: str) -> bool:
        if self.text[self.at : self.at + 1] != character:
            return False
        self.at += 1
        return True

    def must_be(self, character: str) -> None:
        if not self.is_next(character):
            raise ValueError(character)

    def token(self) -> str:
        self.white()
        begin = self.at
        while self.text[self.at : self.at + 1] in TCHAR:
            self.at += 1
        if begin == self.at:
            raise ValueError('no token')
        token = self.text[begin : self.at]
        self.white()
        return token

    def parameter(self) -> Parameter:
        name = self.token()
        if not self.is_next('='):
            return name, None
        self.white()
        if not self.is_next('"'):
            return name, self.token()
        value = ''
        while not self.is_next('"'):
            self.is_next('\\')
            if not self.more():
                raise ValueError('a string that does not end')
            value += self.text[self.at]
            self.at += 1
        if not is_token(value):
            raise ValueError('a string that is no token')
        self.white()
        return name, value


def deflate_terms(parameters: list[Parameter], answer: bool = False) -> Optional[Terms]:
    """Parameters of permessage-deflate (RFC 7692 section 7.1); None where they make an offer, or an *answer*, wrong."""
    found: dict[str, Optional[str]] = {}
    for name, value in parameters:
        if name in found:
            return None
        if name in (SERVER_ALONE, CLIENT_ALONE):
            if value is not None:
                return None
        elif name in (SERVER_BITS, CLIENT_BITS):
            if value is None and (answer or name == SERVER_BITS):
                return None
            if value is not None and value not in ('8', '9', '10', '11', '12', '13', '14', '15'):
                return None
        else:
            return None
        found[name] = value
    server, client = found.get(SERVER_BITS), found.get(CLIENT_BITS)
    return Terms(
        SERVER_ALONE in found,
        CLIENT_ALONE in found,
        None if server is None else int(server),
        None if client is None else int(client),
        CLIENT_BITS in found,
    )


class Taken(NamedTuple):
    """What a client takes a response for."""

    protocols: list[str]
    extensions: list[tuple[str, list[Parameter]]]


def final_head(data: bytes, bounds: Bounds) -> Optional[tuple[bytes, bytes]]:
    """The head of the response that is not an interim one, and what is behind it; None where it has not ended yet.

    :raises ValueError: it never will.
    """
    total = 0
    while True:
        split = split_head(data, bounds)
        if split is None:
            return None
        head, data = split
        total += len(head)
        status = parse_status(head, bounds)
        if total > bounds.head_size:
            raise ValueError('too long together')
        if status == 101 or status >= 200:
            return head, data


def parse_status(head: bytes, bounds: Bounds) -> int:
    """The status in the head of a response.

    :raises ValueError: it is malformed.
    """
    if head[-4:] != b'\r\n\r\n':
        raise ValueError('no status line')
    lines = head[:-4].decode('latin-1').split('\r\n')
    version, _, rest = lines[0].partition(' ')
    status, _, phrase = rest.partition(' ')
    if len(version) != 8 or version[:7] != 'HTTP/1.' or version[7] not in DIGITS:
        raise ValueError('version')
    if len(status) != 3 or not set(status) <= set(DIGITS) or status[0] == '0':
        raise ValueError('status')
    if any((ord(c) < 32 and c != '\t') or ord(c) == 127 for c in phrase):
        raise ValueError('phrase')
    if fields_of(lines[1:], bounds, tolerant=True)[1]:
        raise ValueError('headers')
    return int(status)


def take(head: bytes, bounds: Bounds, key: str, protocols: list[str], extensions: list[str]) -> Optional[Taken]:
    """What a client makes of the head of a response that is well-formed; None where it must fail the connection.

    :param extensions: the names that it has offered.
    """
    lines = head[:-4].decode('latin-1').split('\r\n')
    if parse_status(head, bounds) != 101:
        return None
    fields, _ = fields_of(lines[1:], bounds, tolerant=True)
    if [element.lower() for element in elements(fields, 'upgrade')] != ['websocket']:
        return None
    if 'upgrade' not in [element.lower() for element in elements(fields, 'connection')]:
        return None
    if values(fields, 'sec-websocket-accept') != [accept_of(key)]:
        return None
    lists = values(fields, 'sec-websocket-protocol')
    named = elements(fields, 'sec-websocket-protocol')
    if not all(map(is_token, named)):
        return None
    if protocols and (len(lists) > 1 or len(named) > 1 or not set(named) <= set(protocols)):
        return None
    given = extensions_of(values(fields, 'sec-websocket-extensions'))
    if given is None:
        return None
    if extensions:
        names = [name for name, _ in given]
        if not set(names) <= set(extensions) or len(names) > len(set(names)):
            return None
        if any(name == DEFLATE and deflate_terms(rest, answer=True) is None for name, rest in given):
            return None
    return Taken(named, given)
