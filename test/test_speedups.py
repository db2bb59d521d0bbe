"""Whether the C part is used, and that whoever does without it gets the same."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
import unittest
from pathlib import Path
from unittest import mock

import support_speedups

import ws4py
from ws4py import speedups


def pure(variable: str) -> str:
    """What another Python says of the C part, with the variable set like this."""
    program = 'from ws4py import masking, speedups; print(speedups.PURE, speedups.c, masking.mask.__name__)'
    environment = {**os.environ, 'WS4PY_PURE': variable}
    return subprocess.run([sys.executable, '-c', program], env=environment, capture_output=True, text=True).stdout


class LoadTest(unittest.TestCase):
    @support_speedups.needs_c
    def test_it_is_there(self) -> None:
        self.assertIs(speedups.load(), speedups.c)
        self.assertIn('_speedups', speedups.c.__name__)

    def test_it_is_not_wanted(self) -> None:
        self.assertEqual(pure('1').split(), ['True', 'None', 'mask_python'])
        self.assertTrue(pure('0').startswith('False'))
        self.assertTrue(pure('').startswith('False'))
        with mock.patch.object(speedups, 'PURE', True):
            self.assertIsNone(speedups.load())

    def test_it_was_not_built(self) -> None:
        with mock.patch.dict(vars(ws4py)), mock.patch.dict(sys.modules, {'ws4py._speedups': None}):
            vars(ws4py).pop('_speedups', None)
            self.assertIsNone(speedups.load())

    @support_speedups.needs_c
    def test_every_function_is_typed_and_has_a_twin(self) -> None:
        stub = ast.parse(Path(speedups.__file__).with_name('_speedups.pyi').read_text('utf-8'))
        typed = {node.name for node in stub.body if isinstance(node, ast.FunctionDef)}
        functions = {name for name in vars(speedups.c) if not name.startswith('__')}
        self.assertEqual(functions, typed)
        self.assertEqual(functions, set(support_speedups.BOUND))
        for name, modules in support_speedups.BOUND.items():
            for module in modules:
                self.assertIs(getattr(module, name), getattr(speedups.c, name), f'{name} in {module.__name__}')


if __name__ == '__main__':
    unittest.main()
