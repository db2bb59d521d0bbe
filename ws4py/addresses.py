"""In which order the addresses of a name are tried (RFC 8305 section 4).

A host whose IPv6, or IPv4, leads nowhere should not keep a client waiting for all of its other addresses of that kind.
Pure; called by clients, whichever way they connect.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from typing import Any

__all__ = ['interleave']


def interleave(addresses: Iterable[Any]) -> list[Any]:
    """*addresses*, as ``getaddrinfo()`` gives them, with the families taking turns; the first one stays the first."""
    families: dict[object, list[Any]] = {}
    for address in addresses:
        families.setdefault(address[0], []).append(address)
    turns = itertools.zip_longest(*families.values())
    return [address for turn in turns for address in turn if address is not None]
