"""The committed corpus through every target, and whether the targets would notice if ws4py broke a promise."""

from __future__ import annotations

import ast
import contextlib
import io
import itertools
import re
import sys
import tempfile
import unittest
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

from ws4py import auth, framing, handshake, permessage_deflate, policy, streaming
from ws4py.http11 import split_list

from . import corpus, differences, differential, engine, reach
from .targets import TARGETS
from .unreachable import OUTSIDE, UNREACHABLE

try:
    import tracemalloc
except ImportError:  # PyPy has none
    tracemalloc = None  # type: ignore[assignment]

PACKAGE = Path(__file__).resolve().parents[2] / 'ws4py'
PAGE = Path(__file__).resolve().parents[2] / 'docs' / 'differential_table.rst'
MIB = 1 << 20
WHERE = 'put it into the scope of a target in targets.py, or into OUTSIDE in unreachable.py (and not into both)'

# What decides about the bytes of a peer, and nothing else: all of it has to be in reach of some target.
MODULES = ('http11', 'handshake', 'extensions', 'permessage_deflate', 'framing', 'streaming', 'closecode', 'masking')
MODULES += ('utf8validator',)


def inputs(name: str) -> list[bytes]:
    """The corpus of a target."""
    return [data for part in corpus.load(name) for data in part]


def runs(name: str) -> bool:
    """Whether a target can run here: the comparison needs a version of its peer that its rules speak of."""
    return name != 'differential' or differential.COMPARED


def functions(module: str) -> Iterator[str]:
    """``module: Class.function`` for every function of a module, but for those that have no code."""

    def walk(node: ast.AST, prefix: str) -> Iterator[str]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.ClassDef):
                if not any(isinstance(base, ast.Name) and base.id == 'Protocol' for base in child.bases):
                    yield from walk(child, f'{prefix}{child.name}.')
            elif isinstance(child, ast.FunctionDef):
                yield f'{module}: {prefix}{child.name}'
                yield from walk(child, f'{prefix}{child.name}.')

    return walk(ast.parse((PACKAGE / f'{module}.py').read_text('utf-8')), '')


class Corpus(unittest.TestCase):
    def test_every_input_passes(self) -> None:
        for name, target in TARGETS.items():
            if not runs(name):
                continue
            for data in inputs(name):
                with self.subTest(target=name, data=data):
                    target.check(data)

    def test_it_is_small(self) -> None:
        for name in TARGETS:
            known = inputs(name)
            self.assertEqual(len(known), len(set(known)), name)
            self.assertTrue(10 < len(known) <= corpus.MOST, name)
            self.assertLess(max(map(len, known)), 2000, name)

    def test_of_every_target_there_is_one_and_no_other(self) -> None:
        self.assertEqual({path.stem for path in corpus.DIRECTORY.glob('*')}, set(TARGETS))

    def test_steps_are_linear(self) -> None:
        """Lines of ws4py that an input runs through, in all the ways that it is cut, against its length."""
        for name in ('head', 'extensions', 'response'):
            for data in inputs(name):
                steps = sum(1 << count for *_, count in corpus.traced(TARGETS[name].check, data))
                with self.subTest(target=name, data=data):
                    self.assertLess(steps, 20_000 + 100 * len(data))

    @unittest.skipIf(tracemalloc is None, 'this Python does not count memory')
    def test_nothing_is_set_aside_for_what_does_not_come(self) -> None:
        for name in ('stream', 'inflate'):
            for data in inputs(name):
                tracemalloc.start()
                try:
                    TARGETS[name].check(data)
                    peak = tracemalloc.get_traced_memory()[1]
                finally:
                    tracemalloc.stop()
                with self.subTest(target=name, data=data):
                    self.assertLess(peak, 8 * MIB)


class Teeth(unittest.TestCase):
    """Break ws4py in one place: some input of the corpus must fail."""

    def noticed(self, name: str, patched: Any) -> None:
        with patched:
            for data in inputs(name):
                try:
                    TARGETS[name].check(data)
                except Exception:
                    return
        self.fail(f'{name} has not noticed it')

    def test_head(self) -> None:
        anything = re.compile('.+')
        self.noticed('head', mock.patch.object(handshake, '_HOST', anything))
        self.noticed('head', mock.patch.object(handshake, '_KEY', anything))
        self.noticed('head', mock.patch.object(handshake, 'accept_key', lambda key: 'x'))
        self.noticed('head', mock.patch.object(handshake, '_elements', lambda headers, name: headers[name].lower()))
        self.noticed('head', mock.patch('ws4py.http11._NOT_IN_VALUE', re.compile('\n')))
        self.noticed('head', mock.patch.object(handshake, '_EXPLAINED', {}))
        self.noticed('head', mock.patch.object(policy, '_NODE', re.compile('(?:()(.+))(x)?')))
        self.noticed('head', mock.patch.object(policy.Policy, '_trusts', lambda self, peer: True))
        self.noticed('head', mock.patch.object(auth.hmac, 'compare_digest', lambda one, other: True))

    def test_extensions(self) -> None:
        deflate = permessage_deflate
        self.noticed('extensions', mock.patch.object(deflate, 'BITS', {**deflate.BITS, '09': 9, None: 15}))
        self.noticed('extensions', mock.patch.object(deflate, 'FLAGS', deflate.FLAGS[:1]))
        self.noticed('extensions', mock.patch.object(deflate, 'WINDOWS', deflate.WINDOWS[:1]))
        self.noticed('extensions', mock.patch('ws4py.http11._check_token', lambda token: token))
        self.noticed('extensions', mock.patch('ws4py.http11.split_list', lambda values: ','.join(values).split(',')))

    def test_stream(self) -> None:
        self.noticed('stream', mock.patch.object(streaming, 'check_masking', lambda masked, expected: None))
        self.noticed('stream', mock.patch.object(framing, 'OPCODES', range(12)))
        self.noticed('stream', mock.patch.object(framing, 'CONTROL_SIZE', 124))
        self.noticed('stream', mock.patch('ws4py.utf8validator._SECOND', {}))
        self.noticed('stream', mock.patch('ws4py.closecode.is_sendable', lambda code: 1000 <= code < 5000))

    def test_inflate(self) -> None:
        deflate = permessage_deflate
        self.noticed('inflate', mock.patch.object(deflate, 'TAIL', b''))
        self.noticed('inflate', mock.patch.object(deflate, 'PIECE', 1 << 24))
        self.noticed('inflate', mock.patch.object(deflate, 'FINAL_BLOCKS', 1 << 24))
        self.noticed('inflate', mock.patch.object(deflate.Deflate, 'forget', lambda self: None))
        self.noticed('inflate', mock.patch.object(deflate, 'LEAST_BITS', 7))

    def test_response(self) -> None:
        self.noticed('response', mock.patch.object(handshake, 'accept_key', lambda key: 'x'))
        self.noticed('response', mock.patch.object(handshake, '_log_unasked', lambda kind, named: named[1000]))
        self.noticed('response', mock.patch.object(handshake, 'agree', lambda answers, extensions: ()))
        self.noticed('response', mock.patch.object(handshake, 'parse_token_list', split_list))

    @unittest.skipUnless(differential.COMPARED, 'websockets 17 or newer is not installed')
    def test_differential(self) -> None:
        self.noticed('differential', mock.patch.object(framing, 'OPCODES', range(12)))
        self.noticed('differential', mock.patch('ws4py.closecode.is_sendable', lambda code: True))
        self.noticed('differential', mock.patch.object(handshake, '_KEY', re.compile('.+')))
        self.noticed('differential', mock.patch.object(handshake, 'accept_key', lambda key: 'x'))


class Reach(unittest.TestCase):
    def test_every_function_is_in_reach_of_a_target(self) -> None:
        for module in MODULES:
            for function in functions(module):
                with self.subTest(function=function):
                    inside = any(reach.in_scope(function, target) for target in TARGETS.values())
                    self.assertTrue(inside is not (function in OUTSIDE), WHERE)

    def test_the_list_has_a_reason_for_each_place(self) -> None:
        self.assertEqual(set(UNREACHABLE), {name for name, target in TARGETS.items() if target.scope})
        for places in [OUTSIDE, *UNREACHABLE.values()]:
            for place, reason in places.items():
                self.assertRegex(place, r'^[\w/]+: [\w.]+')
                self.assertTrue(reason)

    def test_what_is_not_reached_is_found(self) -> None:
        few = [data for data in inputs('extensions') if data[:1] == b'\0']
        reached = reach.measure('extensions', TARGETS['extensions'], few)
        self.assertTrue(any(place.startswith('http11: build_token_list') for place in reached.missed), reached)
        self.assertFalse(any(place.startswith('http11: split_list') for place in reached.missed), reached)


class Minimising(unittest.TestCase):
    check = staticmethod(TARGETS['extensions'].check)

    def test_an_input_that_adds_nothing_is_dropped(self) -> None:
        known = [b'\0c; d', b'\0bb', b'\0a', b'\0a; b']
        self.assertEqual(corpus.minimised(self.check, [], known), [b'\0a', b'\0a; b'])

    def test_what_is_kept_counts_too(self) -> None:
        self.assertEqual(corpus.minimised(self.check, [b'\0bb'], [b'\0a', b'\0bb', b'\0c; d']), [b'\0c; d'])

    def test_there_is_an_end_to_it(self) -> None:
        known = [b'\0' + b'a; b' * 4**size for size in range(5)]
        with mock.patch.object(corpus, 'MOST', 3):
            self.assertEqual(len(corpus.minimised(self.check, [b'\0x'], known)), 2)

    def test_inputs_are_kept_as_they_are(self) -> None:
        parts = [b'kept', b'\'\n\r"\\'], [bytes(range(256)), b'']
        with tempfile.TemporaryDirectory() as directory, mock.patch.object(corpus, 'DIRECTORY', Path(directory)):
            corpus.save('some', *parts)
            self.assertEqual(corpus.load('some'), parts)


class Fallback(unittest.TestCase):
    """The engine for where atheris is not installed."""

    def run_it(self, check: Any) -> tuple[int, list[bytes]]:
        with tempfile.TemporaryDirectory() as directory, contextlib.redirect_stderr(io.StringIO()) as told:
            root = Path(directory)
            (root / 'findings').mkdir()
            (root / 'known').write_bytes(b'known')
            status = engine.with_hypothesis(check, 20, root, 0.0)
            self.assertIn(engine.EXECUTIONS, told.getvalue())
            return status, [path.read_bytes() for path in (root / 'findings').iterdir()]

    def test_without_a_finding(self) -> None:
        calls = itertools.count()
        self.assertEqual(self.run_it(lambda data: calls.__next__()), (0, []))

    def test_a_finding_is_written_and_ends_it(self) -> None:
        def check(data: bytes) -> None:
            assert b'now' not in data

        with mock.patch.object(engine, 'ROUNDS', 20):
            status, findings = self.run_it(check)
        self.assertEqual((status, len(findings)), (1, 1))
        self.assertIn(b'now', findings[0])


class Differences(unittest.TestCase):
    def test_the_table_of_the_documentation_is_the_table_of_rules(self) -> None:
        self.assertTrue(PAGE.read_text('utf-8').endswith(differences.table()))

    @unittest.skipUnless(differential.COMPARED, 'websockets 17 or newer is not installed')
    def test_every_rule_is_needed(self) -> None:
        with mock.patch.dict(differences.used, clear=True):
            for data in inputs('differential'):
                differential.check(data)
            self.assertEqual(set(differences.used), set(differences.RULES))

    @unittest.skipUnless(differential.COMPARED, 'websockets 17 or newer is not installed')
    def test_the_corpora_of_the_others(self) -> None:
        """What the other targets were found to need, beside the other implementation."""
        for name, kind, skipped in (('stream', 0, 8), ('inflate', 0, 8), ('head', 1, 8), ('response', 2, 6)):
            for data in inputs(name):
                for at in range(8):
                    choices = bytes((kind, at & 1, at >> 1 & 1, at >> 2)) + b'\0\0' * (not kind and at >> 2)
                    with self.subTest(target=name, choices=choices, data=data):
                        differential.check(choices + data[skipped:])


if __name__ == '__main__':
    sys.exit(unittest.main())
