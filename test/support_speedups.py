"""Two ways to do the same, in Python and in C, and tests that run with each of them."""

from __future__ import annotations

import unittest
from typing import Any
from unittest import mock

from ws4py import framing, masking, messaging, speedups, streaming, utf8validator

needs_c = unittest.skipIf(speedups.c is None, 'the C part is not built')

# Each name and where it is bound: in the module that defines it, and in those that have imported it.
BOUND = {
    'mask': (masking, framing),
    'next_frame': (framing, streaming),
    'build_frame': (framing, messaging),
    'is_utf8': (utf8validator, streaming),
    'utf8_prefix': (utf8validator,),
}


class InPython(unittest.TestCase):
    """A mixin: everything in these tests is done in pure Python."""

    def setUp(self) -> None:
        super().setUp()
        for name, modules in {**BOUND, 'mask_bytes': (masking, framing, streaming)}.items():
            python: Any = getattr(modules[0], f'{name}_python')
            for module in modules:
                patch = mock.patch.object(module, name, python)
                patch.start()
                self.addCleanup(patch.stop)
