"""Is this UTF-8? Asked chunk by chunk, answered at the first byte that can no longer be.

A text message has to be refused as soon as one byte of it is wrong (RFC 6455 section 8.1), also in the middle of a
fragment and of a character. So between two characters the chunk is handed to the codec of the standard library, which
runs at memory speed and says how far whole characters go. It does not say more: CPython's waits for the third octet of
ED A0, which is a surrogate already. So what the codec leaves, at most one character that is cut or wrong, is judged
octet by octet by the grammar of RFC 3629 section 4::

    1 octet     00-7F
    2 octets    C2-DF tail
    3 octets    E0 A0-BF tail   |  E1-EC 2( tail )  |  ED 80-9F tail     |  EE-EF 2( tail )
    4 octets    F0 90-BF 2( tail )  |  F1-F3 3( tail )  |  F4 80-8F 2( tail )
    tail        80-BF

Called by streaming for every piece of a text payload, from the thread that feeds the stream; :func:`is_utf8` for one
that came whole. It decodes nothing for the caller: a message is decoded once, when it is complete. ``wsaccel`` may put
its own class of the same interface in the place of this one.
"""

from __future__ import annotations

from codecs import utf_8_decode
from typing import Callable, Union

from ws4py import speedups

__all__ = ['Utf8Validator', 'is_utf8']

Buffer = Union[bytes, bytearray, memoryview]

_TAIL = (0x80, 0xBF)
# The lead octets after which not every tail octet may stand: overlong forms, surrogates, and past U+10FFFF.
_SECOND = {0xE0: (0xA0, 0xBF), 0xED: (0x80, 0x9F), 0xF0: (0x90, 0xBF), 0xF4: (0x80, 0x8F)}
_BLOCK = 16 * 1024  # bytes given to the codec at once: it makes a string of up to four times that, and drops it


def utf8_prefix_python(data: Buffer) -> int:
    """How many bytes at the start of *data* make up characters that are right and whole."""
    try:
        return utf_8_decode(data, 'strict', False)[1]
    except UnicodeDecodeError as error:
        return error.start


def is_utf8_python(data: Buffer) -> bool:
    """Whether *data* is UTF-8 from the first to the last byte."""
    return utf8_prefix_python(data) == len(data)


utf8_prefix: Callable[[Buffer], int] = utf8_prefix_python if speedups.c is None else speedups.c.utf8_prefix
is_utf8: Callable[[Buffer], bool] = is_utf8_python if speedups.c is None else speedups.c.is_utf8


class Utf8Validator:
    """An incremental, fail-fast validator of UTF-8; one object per stream of text, for one thread at a time.

    :ivar state: ``UTF8_ACCEPT`` between two characters, ``UTF8_REJECT`` after a wrong octet (until :meth:`reset`),
        else one more than the number of octets that the character still needs.
    :ivar codepoint: the character that :meth:`decode` completed, meaningful where it returned ``UTF8_ACCEPT``.
    """

    UTF8_ACCEPT = 0
    UTF8_REJECT = 1

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget everything seen, ready for another text."""
        self.state = self.UTF8_ACCEPT
        self.codepoint = 0
        self._next = _TAIL  # from which to which octet the character in progress may go on
        self._total = 0

    def decode(self, octet: int) -> int:
        """Take one octet (0 to 255) and return the new :attr:`state`."""
        if self.state > self.UTF8_REJECT:
            low, high = self._next
            if low <= octet <= high:
                self.codepoint = self.codepoint << 6 | octet & 0x3F
                self.state = self.state - 1 if self.state > 2 else self.UTF8_ACCEPT
                self._next = _TAIL
            else:
                self.state = self.UTF8_REJECT
        elif self.state == self.UTF8_ACCEPT:
            if 0 <= octet < 0x80:
                self.codepoint = octet
            elif 0xC2 <= octet <= 0xDF:
                self.codepoint, self.state = octet & 0x1F, 2
            elif 0xE0 <= octet <= 0xEF:
                self.codepoint, self.state = octet & 0x0F, 3
            elif 0xF0 <= octet <= 0xF4:
                self.codepoint, self.state = octet & 0x07, 4
            else:
                self.state = self.UTF8_REJECT
            self._next = _SECOND.get(octet, _TAIL)
        return self.state

    def validate(self, ba: Buffer) -> tuple[bool, bool, int, int]:
        """Take the next chunk of the text.

        :returns: (valid so far, ends between two characters, index in this chunk, index in all chunks). An index is
            the number of octets taken, and where the text is not valid the position of the first wrong octet.
            After a wrong octet every further chunk is wrong at its start, until :meth:`reset`.
        :raises TypeError: *ba* is not made of bytes.
        """
        chunk = memoryview(ba)
        size = len(chunk)
        at = 0
        while at < size:
            if self.state == self.UTF8_ACCEPT:
                whole = utf8_prefix(chunk[at : at + _BLOCK])
                if whole:
                    at += whole
                    continue
            if self.decode(chunk[at]) == self.UTF8_REJECT:
                self._total += at
                return False, False, at, self._total
            at += 1
        self._total += size
        return self.state != self.UTF8_REJECT, self.state == self.UTF8_ACCEPT, size, self._total
