"""What the documentation states about the code, and would otherwise drift away from it."""

from __future__ import annotations

import ast
import dataclasses
import importlib
import re
import unittest
from pathlib import Path

from ws4py.limits import DEFAULT_LIMITS

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / 'docs'
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


class Documentation(unittest.TestCase):
    def test_the_table_of_limits_is_the_table_of_limits(self) -> None:
        page = (DOCS / 'limits.rst').read_text('utf-8')
        page = page.partition('\nWho holds a peer to it\n')[0]
        shown = re.findall(r'^   \* - ``(\w+)``\n     - (.+)\n', page, re.MULTILINE)
        self.assertEqual(shown, [(name, str(value)) for name, value in dataclasses.asdict(DEFAULT_LIMITS).items()])

    def test_for_each_limit_a_test_is_named_that_exists(self) -> None:
        page = (DOCS / 'limits.rst').read_text('utf-8').partition('\nWho holds a peer to it\n')[2]
        rows = re.findall(r'^   \* - ``(\w+)``\n(?:     - .+\n){6}     - ``(\S+)`` ``(\w+)``$', page, re.MULTILINE)
        self.assertEqual([name for name, _, _ in rows], [field.name for field in dataclasses.fields(DEFAULT_LIMITS)])
        for name, path, test in rows:
            with self.subTest(limit=name):
                tree = ast.parse((ROOT / path).read_text('utf-8'))
                functions = {node.name for node in ast.walk(tree) if isinstance(node, FUNCTIONS)}
                self.assertIn(test, functions)

    def test_every_module_of_the_reference_can_be_imported(self) -> None:
        names = re.findall(r'^\.\. automodule:: (\S+)$', (DOCS / 'reference.rst').read_text('utf-8'), re.MULTILINE)
        self.assertIn('ws4py.websocket', names)
        missing = []
        for name in names:
            with self.subTest(module=name):
                try:
                    self.assertTrue(importlib.import_module(name).__doc__)
                except ModuleNotFoundError as error:
                    self.assertFalse(str(error.name).startswith('ws4py'), error)
                    missing.append(f'{name}: {error}')
        if missing:
            self.skipTest('; '.join(missing))

    def test_every_attack_has_a_promise(self) -> None:
        page = (DOCS / 'threats.rst').read_text('utf-8')
        numbers = re.findall(r'^   \* - (\d+)\n     - .+\n(?:       .+\n)*     - .+\n', page, re.MULTILINE)
        self.assertEqual(sorted(map(int, numbers)), list(range(1, 53)))

    def test_every_limit_that_the_documentation_names_is_one(self) -> None:
        names = {field.name for field in dataclasses.fields(DEFAULT_LIMITS)}
        for page in DOCS.glob('*.rst'):
            for name in re.findall(r'Limits\.(\w+)', page.read_text('utf-8')):
                with self.subTest(page=page.name, limit=name):
                    self.assertIn(name, names)

    def test_links_of_the_readme_to_files_lead_somewhere(self) -> None:
        for page in ('README.md', 'SECURITY.md'):
            links = re.findall(r'\]\((?!https?:)([^)#]+)\)', (ROOT / page).read_text('utf-8'))
            self.assertTrue(links, page)
            self.assertEqual([link for link in links if not (ROOT / link).exists()], [], page)

    def test_every_target_of_the_makefile_is_explained(self) -> None:
        makefile = (ROOT / 'Makefile').read_text('utf-8')
        match = re.search(r'^\.PHONY: (.*)$', makefile, re.MULTILINE)
        assert match is not None
        explained = re.findall(r'^([a-z-]+):.*## ', makefile, re.MULTILINE)
        self.assertEqual(sorted(match[1].split()), sorted(explained))


if __name__ == '__main__':
    unittest.main()
