"""The masking of RFC 6455 section 5.3: every byte of a payload XORed with a key of four bytes, in a cycle.

Masking is its own inverse. Three implementations, the best one that is installed is bound to :func:`mask` at import:
the C part of this package, that of ``wsaccel``, and pure Python. Pure and thread-safe.
"""

from __future__ import annotations

from typing import Callable, Optional, Union

from ws4py import speedups

__all__ = ['extend_masked', 'mask']

Buffer = Union[bytes, bytearray, memoryview]

# Python XORs two integers word by word; making integers of more than a few KiB costs more than the XOR saves.
_CHUNK = 4096


def _checked(data: Buffer, key: Buffer) -> Buffer:
    """*data*, in one piece of memory."""
    if len(key) != 4:
        raise ValueError(f'a masking key has 4 bytes, not {len(key)}')
    view = memoryview(data)  # a number would be so many zeros to bytes(), and so the key would be what comes of it
    return data if view.contiguous else bytes(view)  # PyPy's int.from_bytes() gets lost in gaps


def mask_python(data: Buffer, key: Buffer) -> bytes:
    """*data* masked with the four bytes of *key*, as a new object.

    :raises ValueError: *key* is not four bytes.
    :raises TypeError: *data* is not bytes.
    """
    data = _checked(data, key)
    size = len(data)
    if size <= _CHUNK:
        cycle = bytes(key) * ((size + 3) // 4)
        return (int.from_bytes(data, 'little') ^ int.from_bytes(cycle[:size], 'little')).to_bytes(size, 'little')
    cycle_value = int.from_bytes(bytes(key) * (_CHUNK // 4), 'little')
    view = memoryview(data)
    whole = size - size % _CHUNK
    chunks = [
        (int.from_bytes(view[at : at + _CHUNK], 'little') ^ cycle_value).to_bytes(_CHUNK, 'little')
        for at in range(0, whole, _CHUNK)
    ]
    if whole < size:
        chunks.append(mask_python(view[whole:], key))
    return b''.join(chunks)


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


def rotate(key: bytes, count: int) -> bytes:
    """*key* as it stands after *count* bytes of a payload were masked with it."""
    at = count & 3
    return key[at:] + key[:at]


def extend_masked_python(target: bytearray, data: Buffer, key: bytes, at: int) -> None:
    """Put *data* at the end of *target*, masked with *key* as it stands after *at* bytes of the payload.

    Text or binary data that comes in pieces is so moved once, and held once.

    :raises ValueError: *key* is not four bytes.
    """
    target += mask(data, rotate(key, at))


extend_masked: Callable[[bytearray, Buffer, bytes, int], None] = (
    extend_masked_python if speedups.c is None else speedups.c.extend_masked
)
