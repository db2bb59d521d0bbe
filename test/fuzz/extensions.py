"""The target `extensions`: the lists in the headers of a handshake, and what is agreed on by them."""

from __future__ import annotations

from ws4py.exc import HandshakeError
from ws4py.http11 import build_extensions, build_token_list, parse_extensions, parse_token_list, split_list

from . import plain
from .choices import Choices


def check(data: bytes) -> None:
    choices = Choices(data)
    kind = choices.pick((parsed, built, tokens))
    # A header that came in several lines; in a line stands what Headers lets through.
    lines = choices.rest().translate(None, b'\r\n' if kind is built else b'\r').decode('latin-1').split('\n')
    kind(lines)


def parsed(lines: list[str]) -> None:
    """Lines as they came: taken or not as the grammar says, and back again."""
    expected = plain.extensions_of(lines)
    try:
        found = parse_extensions(lines)
    except HandshakeError as error:
        assert expected is None, (error, expected)
        return
    assert found == expected, (found, expected)
    text = build_extensions(found)
    assert parse_extensions([text]) == found, text
    assert plain.extensions_of([text]) == found, text


def built(lines: list[str]) -> None:
    """Names and values of an application: sent as they are, or an error before anything is."""
    extensions: list[tuple[str, list[tuple[str, str | None]]]] = []
    for element in lines[0].split(','):
        name, *parameters = element.split(';')
        pairs = [parameter.partition('=') for parameter in parameters]
        extensions.append((name, [(key, value if equals else None) for key, equals, value in pairs]))
    words = [word for name, rest in extensions for pair in [(name, None), *rest] for word in pair if word is not None]
    try:
        text = build_extensions(extensions)
    except ValueError as error:
        assert not all(map(plain.is_token, words)), (error, words)
        return
    assert all(map(plain.is_token, words)), (text, words)
    assert parse_extensions([text]) == extensions, text


def tokens(lines: list[str]) -> None:
    """Lists of tokens, such as subprotocols."""
    expected = plain.elements([('name', line) for line in lines], 'name')
    assert split_list(lines) == expected
    good = all(map(plain.is_token, expected))
    try:
        found = parse_token_list(lines)
    except HandshakeError as error:
        assert not good, error
    else:
        assert good and found == expected, found
    try:
        text = build_token_list(expected)
    except ValueError as error:
        assert not good, error
    else:
        assert good and parse_token_list([text]) == expected, text
