"""Names that programs written for ws4py 0.x import, from the time when one file served Python 2 and 3.

Nothing in ws4py imports this module, and it imports nothing of ws4py. New code has no use for it: each name says
what stands for it today. Any thread may call it.
"""

from __future__ import annotations

import builtins
from typing import Any, Union
from urllib.parse import urlsplit

__all__ = ['basestring', 'detach_connection', 'get_connection', 'ord', 'py3k', 'range', 'unicode', 'urlsplit']

py3k = True
unicode = str
basestring = (bytes, str)
range = builtins.range


def ord(c: Union[int, str, bytes]) -> int:
    """The number of the character or byte *c*; a number stays what it is, as indexing bytes already gives one."""
    return c if isinstance(c, int) else builtins.ord(c)


def get_connection(fileobj: Any) -> Any:
    """The socket under *fileobj*, a file made by ``socket.makefile()``, buffered or not."""
    return getattr(fileobj, 'raw', fileobj)._sock


def detach_connection(fileobj: Any) -> None:
    """Part the buffered *fileobj* from its socket, so that closing the file does not close the socket.

    :raises ValueError: the file was parted from its socket before.
    """
    fileobj.detach()
