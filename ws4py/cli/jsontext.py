"""JSON as text: judged, and laid out again with every token as it came.

Nothing is converted, so that no number loses a digit, no key its place and no duplicate is lost; what is no JSON by
RFC 8259, such as NaN, is refused. What is laid out is safe to be shown and still JSON: characters that would steer a
terminal stand in strings only, where there are escapes for them. Pure.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import NoReturn

from ws4py.terminal import UNPRINTABLE

__all__ = ['check', 'compact', 'pretty']

DEEPEST = 16  # levels; what is nested deeper is not indented further, else a few KiB of brackets fill the memory

_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{},:]|[^\s\[\]{},:"]+')


def check(text: str) -> None:
    """:raises ValueError: it is no JSON."""

    def refuse(constant: str) -> NoReturn:
        raise ValueError(f'{constant} is none of its values')

    try:
        json.loads(text, parse_constant=refuse, parse_int=str, parse_float=str)
    except RecursionError:
        raise ValueError('it is nested too deeply') from None


def compact(text: str) -> str:
    """The JSON on one line, as short as can be.

    :raises ValueError: it is no JSON.
    """
    check(text)
    return _escaped(''.join(_tokens(text)))


def pretty(text: str) -> list[str]:
    """The JSON on several lines, indented.

    :raises ValueError: it is no JSON.
    """
    check(text)
    lines, line, depth, previous = [], '', 0, ''
    for piece in _tokens(text):
        closes, fresh = piece in ('}', ']'), previous in ('{', '[')
        depth -= closes
        if previous == ',' or fresh != closes:  # an empty one stays on its line
            lines.append(line)
            line = '  ' * min(depth, DEEPEST)
        line += f'{piece} ' if piece == ':' else piece
        depth += piece in ('{', '[')
        previous = piece
    return [_escaped(each) for each in [*lines, line]]


def _tokens(text: str) -> Iterator[str]:
    return (match.group() for match in _TOKEN.finditer(text))


def _escaped(text: str) -> str:
    return UNPRINTABLE.sub(_escape, text)


def _escape(match: re.Match[str]) -> str:
    units = match.group().encode('utf-16-be', 'surrogatepass').hex()  # json.dumps() would leave DEL as it is
    return ''.join(f'\\u{units[at : at + 4]}' for at in range(0, len(units), 4))
