"""Bytes that were made up, read as choices and as what is sent to ws4py; and the ways to cut the latter."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from support_streams import byte_by_byte, cut

T = TypeVar('T')

LONGEST = 600  # bytes that are also given one by one; the rest of a longer input is given in one piece


class Choices:
    """Takes *data* apart from its front. Where nothing is left, every choice is the first one."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def byte(self) -> int:
        self._at += 1
        return self._data[self._at - 1] if self._at <= len(self._data) else 0

    def pick(self, options: Sequence[T]) -> T:
        return options[self.byte() % len(options)]

    def some(self, options: Sequence[T]) -> list[T]:
        """Any of up to eight *options*, in their order."""
        bits = self.byte()
        return [option for at, option in enumerate(options) if bits >> at & 1]

    def rest(self) -> bytes:
        return self._data[self._at :]

    def places(self) -> tuple[int, int, int]:
        """Where to cut, in 255ths of what is cut."""
        return self.byte(), self.byte(), self.byte()


def every_way(data: bytes, places: Sequence[int]) -> list[list[bytes]]:
    """*data* byte by byte, and cut at *places*. (Whole is what these are compared with.)"""
    return [
        [*byte_by_byte(data[:LONGEST]), data[LONGEST:]],
        cut(data, [place * len(data) // 255 for place in places]),
    ]
