"""Who imports whom: the source of every module against one table.

A module imports only from the lines above its own and from the left of it on its line. Imports inside of functions and
those for type checkers count as well: they are dependencies too.
"""

from __future__ import annotations

import ast
import subprocess
import sys
import unittest
from collections.abc import Iterator
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1] / 'ws4py'

# `client/*` is every module of that directory which is not named; they do not import each other.
TABLE = """
addresses exc closecode limits speedups masking utf8validator uri state
framing http11
messaging permessage_deflate extensions
streaming handshake proxies cookies policy auth backoff
timers outbox blocking keepalive opening tunnels sending receiving closing
websocket metrics prometheus admission broadcasting manager
driving asyncdriving transport tlstransport dialing greenlets iostream async_websocket reconnecting
client/__init__ client/*
server/wsgiutils server/asyncioserver server/*
testing/clock testing/wire testing/stepping testing/scripted testing/pairing testing/serving
testing/__init__ testing/fixtures
terminal demo/chat demo/pages demo/content demo/status demo/site demo/running demo/wsgi demo/__init__ demo/*
cli/jsontext cli/arguments cli/exchange cli/conversation cli/serve cli/connect cli/load cli/bench cli/__init__ __main__
"""
LINES = [line.split() for line in TABLE.split('\n') if line]
ORDER = {name: (at, column) for at, line in enumerate(LINES) for column, name in enumerate(line)}
PURE = {name for line in LINES[:4] for name in line}

IO = {'_socket', '_thread', 'asyncio', 'concurrent', 'multiprocessing', 'select', 'selectors', 'socket', 'socketserver'}
IO |= {'ssl', 'subprocess', 'threading'}

# Modules that may import something which is not in the standard library, and what that is.
FRAMEWORKS = {
    'masking': 'wsaccel',
    'prometheus': 'prometheus_client',
    'client/geventclient': 'gevent',
    'greenlets': 'gevent',
    'client/tornadoclient': 'tornado',
    'iostream': 'tornado',
    'tunnels': 'python_socks',
    'server/cherrypyserver': 'cherrypy cheroot',
    'server/geventserver': 'gevent',
    'server/tornadoserver': 'tornado',
    'demo/on_cherrypy': 'cherrypy',
    'demo/on_gevent': 'gevent',
    'demo/on_tornado': 'tornado',
    'demo/status': 'prometheus_client',
    'testing/fixtures': 'pytest',
}


def modules() -> dict[str, ast.Module]:
    """The syntax tree of every module by its name, as `server/wsgiutils`; the package's own file is `__init__`."""
    paths = {path.relative_to(PACKAGE).with_suffix('').as_posix(): path for path in sorted(PACKAGE.rglob('*.py'))}
    # A subpackage of documentation only has no place in the table.
    trees = {name: ast.parse(path.read_text('utf-8'), str(path)) for name, path in paths.items()}
    return {name: tree for name, tree in trees.items() if not (name.endswith('/__init__') and len(tree.body) <= 2)}


MODULES = modules()


def imported(name: str) -> Iterator[str]:
    """What the module imports, in dotted names; `from a import b` gives `a` and `a.b`."""
    for node in ast.walk(MODULES[name]):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f'{name}: imports are absolute'
            assert node.module is not None
            yield node.module
            yield from (f'{node.module}.{alias.name}' for alias in node.names)


def own(name: str) -> set[str]:
    """The modules of this package that the module imports, by their names here."""
    found = set()
    for dotted in imported(name):
        path = dotted.replace('.', '/').partition('ws4py/')[2]
        found |= {path, f'{path}/__init__'} & set(MODULES) if dotted.startswith('ws4py.') else set()
    return found


def place(name: str) -> tuple[int, int]:
    """Line and column in the table."""
    return ORDER[name if name in ORDER else name.rpartition('/')[0] + '/*']


class Layers(unittest.TestCase):
    def test_every_module_has_a_place(self) -> None:
        for name in set(MODULES) - {'__init__', 'compat'}:
            with self.subTest(module=name):
                place(name)

    def test_every_place_has_a_module(self) -> None:
        named = {name for name in ORDER if not name.endswith('*')}
        self.assertEqual(named - set(MODULES), set())

    def test_imports_go_up_and_to_the_left(self) -> None:
        for name in set(MODULES) - {'__init__', 'compat'}:
            for other in own(name):
                with self.subTest(module=name, imports=other):
                    self.assertNotEqual(other, 'compat', 'nobody imports compat')
                    (line, column), (its_line, its_column) = place(name), place(other)
                    self.assertTrue(its_line < line or (its_line == line and its_column < column))

    def test_the_package_itself_and_compat_import_nothing_of_it(self) -> None:
        for name in ('__init__', 'compat'):
            self.assertEqual(own(name), set(), name)

    def test_the_first_four_lines_do_no_input_and_output(self) -> None:
        for name in PURE:
            with self.subTest(module=name):
                self.assertEqual({dotted.partition('.')[0] for dotted in imported(name)} & IO, set())

    def test_each_module_needs_at_most_the_framework_it_is_named_after(self) -> None:
        if sys.version_info < (3, 10):
            self.skipTest('Python tells the names of its standard library from 3.10 on')
        known = {*sys.stdlib_module_names, 'ws4py', '_typeshed', 'typing_extensions'}  # the last two for type checkers
        for name in MODULES:
            with self.subTest(module=name):
                foreign = {dotted.partition('.')[0] for dotted in imported(name)} - known
                self.assertLessEqual(foreign, set(FRAMEWORKS.get(name, '').split()))

    def test_importing_the_package_imports_none_of_its_modules(self) -> None:
        code = 'import sys, ws4py; print([name for name in sys.modules if name.startswith("ws4py.")])'
        done = subprocess.run([sys.executable, '-c', code], cwd=PACKAGE.parent, stdout=subprocess.PIPE, text=True)
        self.assertEqual(done.stdout.strip(), '[]')

    def test_the_test_sees_imports(self) -> None:
        """An empty answer would make every test above pass."""
        self.assertLessEqual({'exc', 'masking'}, own('framing'))
        self.assertIn('client/__init__', own('client/threadedclient'))
        self.assertIn('socket', set(imported('manager')))


if __name__ == '__main__':
    unittest.main()
