"""What the documentation states about the code, and would otherwise drift away from it."""

from __future__ import annotations

import ast
import builtins
import contextlib
import dataclasses
import importlib
import importlib.util
import inspect
import re
import textwrap
import unittest
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, Callable

from ws4py import closecode
from ws4py.limits import DEFAULT_LIMITS

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / 'docs'
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)

# Tables that pages include, which are no pages.
TABLES = {
    'attacks_table',
    'cli_options_table',
    'conformance_table',
    'differential_table',
    'matrix_table',
    'performance_table',
}

# Modules that have `__all__` for each other. An application has no business there, and the reference leaves them out.
INSIDE = """
addresses asyncdriving blocking cli cli.arguments cli.bench cli.connect cli.conversation cli.exchange cli.jsontext
cli.load cli.serve closing dialing driving greenlets iostream keepalive opening outbox receiving
sending speedups terminal testing.clock testing.fixtures testing.pairing testing.scripted testing.serving
testing.stepping testing.wire timers tlstransport transport tunnels
"""


# What a parameter's name says of its unit, and the word for that.
UNITS = {'timeout|delay|interval|spread|freq': 'second', 'size|length': 'byte'}


# A parameter or an attribute, and what is said about it.
FIELD = re.compile(r'^:(?:param|ivar) ([\w, ]+):((?:.*\n?)(?: +.*\n?)*)', re.MULTILINE)


def members_of(cls: type) -> dict[str, Any]:
    """What a class has of its own, and of its bases in modules that the reference leaves out."""
    members: dict[str, Any] = {}
    for base in reversed(cls.__mro__):
        if base is cls or base.__module__.partition('ws4py.')[2] in INSIDE.split():
            members.update(vars(base))
    return members


def functions_of(module: ModuleType) -> Iterator[tuple[Callable[..., object], str]]:
    """The public functions and methods of a module, each with its documentation: of a method also that of its class."""
    for public in getattr(module, '__all__', ()):
        found = getattr(module, public)
        if not str(getattr(found, '__module__', '')).startswith('ws4py.'):  # as those that `compat` has from elsewhere
            continue
        if inspect.isfunction(found):
            yield found, found.__doc__ or ''
        elif inspect.isclass(found):
            of_class = ' '.join(base.__doc__ or '' for base in found.__mro__ if base.__module__.startswith('ws4py.'))
            for name, value in members_of(found).items():
                function = value.fget if isinstance(value, property) else getattr(value, '__func__', value)
                own = not name.startswith('_') or name in ('__init__', '__post_init__')
                if own and inspect.isfunction(function) and function.__module__.startswith('ws4py.'):
                    yield function, f'{function.__doc__ or ""} {of_class}'


def raised_by(function: Callable[..., object]) -> Iterator[type[BaseException]]:
    """The exceptions that a function raises by name, outside of a `try` that may catch them."""
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    except OSError:  # the __init__ of a data class has no source
        return
    todo: list[ast.AST] = list(ast.iter_child_nodes(tree.body[0]))
    while todo:
        node = todo.pop()
        if isinstance(node, FUNCTIONS) or (isinstance(node, ast.Try) and node.handlers):
            continue
        todo += ast.iter_child_nodes(node)
        if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call) and isinstance(node.exc.func, ast.Name):
            error = inspect.unwrap(function).__globals__.get(node.exc.func.id) or getattr(
                builtins, node.exc.func.id, None
            )
            if inspect.isclass(error) and not error.__name__.startswith('_'):
                yield error


def pages() -> dict[str, str]:
    return {path.stem: path.read_text('utf-8') for path in sorted(DOCS.glob('*.rst'))}


def modules_of_the_reference() -> list[str]:
    return re.findall(r'^\.\. automodule:: (\S+)$', (DOCS / 'reference.rst').read_text('utf-8'), re.MULTILINE)


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
        names = modules_of_the_reference()
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

    def test_every_module_is_in_the_reference_or_inside(self) -> None:
        paths = [path.relative_to(ROOT).with_suffix('') for path in (ROOT / 'ws4py').rglob('*.py')]
        names = {'.'.join(path.parts).replace('.__init__', '') for path in paths}
        left_out = {f'ws4py.{name}' for name in INSIDE.split()}
        left_out |= {'ws4py.__main__', 'ws4py.server'} | {name for name in names if name.startswith('ws4py.demo')}
        self.assertEqual(names - set(modules_of_the_reference()), left_out)

    def test_every_public_name_has_a_docstring(self) -> None:
        """Sphinx leaves out what has none. Constants have a comment, or stand beside others that say it."""
        missing = []
        for name in modules_of_the_reference():
            try:
                module = importlib.import_module(name)
            except ModuleNotFoundError as error:
                missing.append(f'{name}: {error}')
                continue
            for public in getattr(module, '__all__', ()):
                found = getattr(module, public)
                members = {public: found}
                if inspect.isclass(found) and found.__module__.startswith('ws4py.'):
                    own = {member: value for member, value in members_of(found).items() if not member.startswith('_')}
                    members.update({f'{public}.{member}': value for member, value in own.items()})
                for member, value in members.items():
                    if inspect.isfunction(value) or inspect.isclass(value) or isinstance(value, property):
                        with self.subTest(name=f'{name}.{member}'):
                            self.assertTrue((value.__doc__ or '').strip())
        if missing:
            self.skipTest('; '.join(missing))

    def test_docstrings_name_units_and_errors(self) -> None:
        """A time says that it is in seconds, a size that it is in bytes, and what is raised is named."""
        looked_at = 0
        for name in modules_of_the_reference():
            with contextlib.suppress(ModuleNotFoundError):  # the test above names it
                for function, documented in functions_of(importlib.import_module(name)):
                    if documented.startswith('See :meth:'):  # which says it
                        continue
                    with self.subTest(name=f'{name}.{function.__qualname__}'):
                        for error in raised_by(function):
                            self.assertTrue(any(base.__name__ in documented for base in error.__mro__[:-3]), error)
                        for parameter in inspect.signature(function).parameters:
                            for pattern, unit in UNITS.items():
                                looked_at += bool(re.search(pattern, parameter))
                                self.assertTrue(not re.search(pattern, parameter) or unit in documented, parameter)
        self.assertGreater(looked_at, 20)

    def test_each_described_time_and_size_has_its_unit(self) -> None:
        """… in the description of the parameter or attribute itself, not somewhere near it."""
        looked_at = 0
        for name in modules_of_the_reference():
            with contextlib.suppress(ModuleNotFoundError):
                module = importlib.import_module(name)
                found = [getattr(module, public) for public in getattr(module, '__all__', ())]
                for documented in (inspect.getdoc(each) or '' for each in found if inspect.isclass(each)):
                    for names, text in FIELD.findall(documented):
                        for pattern, unit in UNITS.items():
                            if re.search(pattern, names):
                                looked_at += 1
                                self.assertIn(unit, text, f'{name}: {names}')
        self.assertGreater(looked_at, 10)

    def test_the_table_of_close_codes_is_that_of_the_code(self) -> None:
        rows = re.findall(r'^   \* - (\d+)\n     - ``(\w+)``\n     - (yes|no)\n', pages()['closecodes'], re.MULTILINE)
        shown = [(int(code), name, may == 'yes') for code, name, may in rows]
        codes = {name: getattr(closecode, name) for name in closecode.__all__ if name.isupper()}
        self.assertEqual(
            sorted(shown), sorted((code, name, closecode.is_sendable(code)) for name, code in codes.items())
        )

    def test_every_page_is_in_one_table_of_contents(self) -> None:
        found: list[str] = []
        for page in pages().values():
            for tree in re.findall(r'^\.\. toctree::\n((?:   .*\n|\n)+)', page, re.MULTILINE):
                found += re.findall(r'^   (\w+)$', tree, re.MULTILINE)
        self.assertEqual(sorted(found), sorted(set(pages()) - TABLES - {'index'}))

    def test_what_the_pages_include_is_there(self) -> None:
        for name, page in pages().items():
            for path in re.findall(r'^\.\. (?:literalinclude|include|image|figure):: (\S+)$', page, re.MULTILINE):
                with self.subTest(page=name, path=path):
                    self.assertTrue((DOCS / path).is_file())

    def test_every_picture_is_shown(self) -> None:
        shown = {path for page in pages().values() for path in re.findall(r':: _static/(\S+)$', page, re.MULTILINE)}
        self.assertEqual({path.name for path in (DOCS / '_static').iterdir()}, shown)

    def test_links_to_pages_lead_somewhere(self) -> None:
        for name, page in pages().items():
            for target in re.findall(r':doc:`(?:[^`<]*<)?(\w+)>?`', page):
                with self.subTest(page=name, target=target):
                    self.assertIn(target, pages())

    def test_programs_that_the_pages_start_are_there(self) -> None:
        found = [
            re.findall(r'^ +\$ .*?((?:example|docs|test)/\S+\.py)', page, re.MULTILINE) for page in pages().values()
        ]
        programs = {path for paths in found for path in paths}
        self.assertTrue(programs)
        self.assertEqual({path for path in programs if not (ROOT / path).is_file()}, set())

    def test_the_guide_for_maintainers_has_every_target_of_the_makefile(self) -> None:
        targets = re.findall(r'^([a-z-]+):.*## ', (ROOT / 'Makefile').read_text('utf-8'), re.MULTILINE)
        self.assertIn('test-all', targets)
        told = set(re.findall(r'``make ([a-z-]+)', pages()['maintaining']))
        self.assertEqual(told, set(targets) - {'help'})

    def test_the_features_of_others_are_those_of_the_releases_that_are_measured(self) -> None:
        """If not, look at the table again: which of its answers have changed?"""
        pins = dict(
            re.findall(r'^(\S+)==(\S+)$', (ROOT / 'bench/requirements/peers.txt').read_text('utf-8'), re.MULTILINE)
        )
        head = ' '.join(pages()['features'].partition('What it is for')[0].lower().split())
        for name in ('websockets', 'aiohttp', 'tornado', 'websocket-client', 'picows', 'gevent-websocket'):
            with self.subTest(name=name):
                self.assertIn(f'{name} {pins[name]}', head)

    def test_python_in_the_pages_is_python(self) -> None:
        """Programs are included from example/, where tests run them; what stands in a page is a line or two."""
        for name, page in pages().items():
            for block in re.findall(r'^\.\. code-block:: python\n\n((?:   .*\n|\n)+)', page, re.MULTILINE):
                with self.subTest(page=name, block=block):
                    compile(inspect.cleandoc('\n' + block), name, 'exec', ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
                    self.assertLessEqual(len(block.strip().split('\n')), 8)

    def test_the_diagrams_are_those_of_the_code(self) -> None:
        """If not: python docs/diagrams.py"""
        spec = importlib.util.spec_from_file_location('diagrams', DOCS / 'diagrams.py')
        assert spec is not None and spec.loader is not None
        diagrams = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(diagrams)
        for name, draw in diagrams.DRAWINGS.items():
            with self.subTest(file=name):
                self.assertEqual((DOCS / '_static' / name).read_text('utf-8'), draw())

    def test_the_options_of_the_command_line_are_those_of_its_parsers(self) -> None:
        """If not: python docs/cli_options.py"""
        spec = importlib.util.spec_from_file_location('cli_options', DOCS / 'cli_options.py')
        assert spec is not None and spec.loader is not None
        options = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(options)
        self.assertEqual(options.TABLE.read_text('utf-8'), options.table())
        for option in ('--once', '--connections', '--static', '--insecure'):
            self.assertIn(f'\n.. option:: {option}', options.table())

    def test_the_exit_status_in_the_page_is_that_of_the_help(self) -> None:
        from ws4py.cli import connect

        told = re.findall(r'^  (\d)  ', connect.STATUS, re.MULTILINE)
        self.assertEqual(re.findall(r'^   \* - (\d)$', pages()['cli'], re.MULTILINE), told)

    def test_every_option_in_the_page_is_one(self) -> None:
        page, table = pages()['cli'], pages()['cli_options_table']
        known = set(re.findall(r'^\.\. option:: (--[a-z-]+)', table, re.MULTILINE)) | {'--help'}
        self.assertLessEqual(set(re.findall(r'(?<![\w-])--[a-z]+(?:-[a-z]+)*', page)), known)

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
