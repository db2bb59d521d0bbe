"""The masking of RFC 6455 section 5.3: every byte of a payload XORed with a key of four bytes, in a cycle.

Masking is its own inverse. Three implementations, the best one that is installed is bound to :func:`mask` at import:
the C part of this package, that of ``wsaccel``, and pure Python. The keys of our own frames come from :func:`new_key`.
Everything here is thread-safe, and pure but for that.
"""

from __future__ import annotations

import functools
import os
import sys
from typing import Callable, Optional, Union

from ws4py import speedups

__all__ = ['mask', 'mask_bytes', 'new_key', 'rotate']

Buffer = Union[bytes, bytearray, memoryview]

_from_bytes = int.from_bytes


def _checked(data: Buffer, key: Buffer) -> Buffer:
    """*data*, in one piece of memory."""
    if len(key) != 4:
        raise ValueError(f'a masking key has 4 bytes, not {len(key)}')
    view = memoryview(data)  # a number would be so many zeros to bytes(), and so the key would be what comes of it
    return data if view.contiguous else bytes(view)  # PyPy's int.from_bytes() gets lost in gaps


def _mask_few(data: Buffer, key: bytes) -> bytes:
    """As one large integer: the fastest while making integers of bytes, and bytes of them, does not take long."""
    size = len(data)
    cycle = (key * (size // 4 + 1))[:size]
    return (_from_bytes(data, 'big') ^ _from_bytes(cycle, 'big')).to_bytes(size, 'big')


def _mask_by_tables(target: bytearray, key: Buffer) -> None:
    """Mask *target*: every fourth byte has the same byte of the key, and so goes through one table.

    Three loops of the interpreter's C over all bytes, where integers of any size take longer.
    """
    for at, byte in enumerate(key):
        target[at::4] = target[at::4].translate(_table(byte))


@functools.lru_cache(maxsize=256)
def _table(byte: int) -> bytes:
    """What each byte becomes with this one of a key."""
    return _mask_few(bytes(range(256)), bytes((byte,)) * 4)


def _mask_by_loop(target: bytearray, key: Buffer) -> None:
    """The same, byte by byte, where such a loop is compiled."""
    for at in range(len(target)):
        target[at] ^= key[at & 3]


# The best way for much data, and from how many bytes on it is: as measured on CPython 3.9 to 3.13, and on PyPy.
_mask_much, _MUCH = (_mask_by_loop, 32) if sys.implementation.name == 'pypy' else (_mask_by_tables, 400)


def mask_bytes_python(data: Buffer, key: bytes) -> bytes:
    """:func:`mask_python` for data in one piece of memory and the four bytes of a key, which is not checked."""
    if len(data) < _MUCH:
        return _mask_few(data, key)
    masked = bytearray(data)
    _mask_much(masked, key)
    return bytes(masked)


def mask_python(data: Buffer, key: Buffer) -> bytes:
    """*data* masked with the four bytes of *key*, as a new object.

    :raises ValueError: *key* is not four bytes.
    :raises TypeError: *data* is not bytes.
    """
    return mask_bytes_python(_checked(data, key), bytes(key))


def _wsaccel_mask() -> Optional[Callable[[Buffer, Buffer], bytes]]:
    """wsaccel's masker under our signature, or None where wsaccel is not installed."""
    try:
        from wsaccel.xormask import XorMaskerSimple  # type: ignore[import-untyped, import-not-found, unused-ignore]
    except ImportError:
        return None

    def mask_wsaccel(data: Buffer, key: Buffer) -> bytes:
        data = _checked(data, key)
        masked: bytes = XorMaskerSimple(bytes(key)).process(bytes(data))
        return masked

    return mask_wsaccel


def _best_mask() -> Callable[[Buffer, Buffer], bytes]:
    if speedups.c is not None:
        best: Callable[[Buffer, Buffer], bytes] = speedups.c.mask
        return best
    return (None if speedups.PURE else _wsaccel_mask()) or mask_python


mask = _best_mask()
#: The same, perhaps without a look at what it is given: bytes, and the four bytes of a key.
mask_bytes = mask_bytes_python if mask is mask_python else mask


_KEYS = 256  # fetched at once
_keys: list[bytes] = []  # nobody has used yet


def new_key() -> bytes:
    """A key that nobody can guess, and that is given once (RFC 6455 section 5.3); from any thread.

    It is from ``os.urandom()``. That is a call of the system and would be a good part of what a small message costs, so
    many keys are fetched at once.
    """
    try:
        return _keys.pop()  # one step, which no other thread can come into
    except IndexError:
        octets = os.urandom(4 * _KEYS)
        keys = [octets[at : at + 4] for at in range(0, len(octets), 4)]
        key = keys.pop()
        _keys.extend(keys)
        return key


# Its parent is going to use them. Where there is no such function, nothing forks.
getattr(os, 'register_at_fork', dict)(after_in_child=_keys.clear)


def rotate(key: bytes, count: int) -> bytes:
    """*key* as it stands after *count* bytes of a payload were masked with it."""
    at = count & 3
    return key[at:] + key[:at]
