"""The C part of the package, or None where it is not there.

It was not built where there was no compiler, and is never built for PyPy. ``WS4PY_PURE=1`` in the environment, when
ws4py is imported, does without it, and without ``wsaccel`` too. Every function of it has a twin in pure Python, beside
which it is bound: :mod:`ws4py.masking`, :mod:`ws4py.framing` and :mod:`ws4py.utf8validator`.
"""

from __future__ import annotations

import os
from typing import Any

__all__ = ['PURE', 'c']

#: Nothing that is compiled is wanted.
PURE = os.environ.get('WS4PY_PURE', '') not in ('', '0')


def load() -> Any:
    """The module, or None."""
    if PURE:
        return None
    try:
        from ws4py import _speedups
    except ImportError:
        return None
    return _speedups


c: Any = load()
