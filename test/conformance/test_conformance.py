"""Autobahn's cases as tests: every case of every subject is exactly OK; and the rules of `table` themselves.

The cases are run by ``python -m conformance`` in a process of its own, see `runner`.
"""

from __future__ import annotations

import importlib.util
import json
import re
import socket
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path
from typing import Any

from . import subjects
from .subjects import SERVERS
from .table import COMPRESSED, EXPECTED, SECTIONS, Verdict, cases, deviations, missing, render, section_of

TEST = Path(__file__).resolve().parents[1]
# The directory from which this package is imported under the name that it has here.
ROOT = Path(__file__).resolve().parents[1 + (__package__ or '').count('.')]

# Those that the options of autobahn_test_servers.py name.
BACKENDS = {'wsgiref', 'gevent', 'cherrypy', 'tornado', 'asyncio'}

GOOD = {f'{n}.{i}': Verdict('OK', 'OK') for n, section in SECTIONS.items() for i in range(section.cases)}
# Of each kind of data and of parameters in sections 12 and 13 the suite runs these: 1,000 messages of 16 bytes, and as
# many of 8 KiB in 32 frames each. The others, of up to 128 KiB, take an hour: make conformance.
COMPRESSED_SHORT = [
    f'{number}.{kind}.{case}'
    for number, kinds in COMPRESSED.items()
    for kind in range(1, kinds + 1)
    for case in (1, 11)
]
PLAIN = {case: verdict for case, verdict in GOOD.items() if int(case.split('.')[0]) not in COMPRESSED}


class Table(unittest.TestCase):
    def test_only_what_is_informational_by_nature_is_excepted(self) -> None:
        self.assertLessEqual(set(EXPECTED), {'7.1.6', '7.13.1', '7.13.2'})
        self.assertEqual(set(EXPECTED.values()), {'INFORMATIONAL'})

    def test_a_good_run_has_no_deviation(self) -> None:
        self.assertEqual(deviations(GOOD, {}), [])
        self.assertEqual(missing('one', PLAIN), [])
        self.assertEqual(missing('one+deflate', GOOD), [])
        self.assertEqual(len(missing('one+deflate', PLAIN)), 2)

    def test_anything_but_ok_deviates(self) -> None:
        for verdict in (
            Verdict('NON-STRICT', 'OK', 'late'),
            Verdict('OK', 'WRONG CODE', 'late'),
            Verdict('FAILED', 'FAILED', 'late'),
            Verdict('INFORMATIONAL', 'INFORMATIONAL', 'late'),
        ):
            with self.subTest(verdict=verdict):
                line = f'6.4.3: {verdict.behavior}, {verdict.close}: late'
                self.assertEqual(deviations({'6.4.3': verdict}, EXPECTED), [line])

    def test_an_expected_case_is_exactly_what_is_expected(self) -> None:
        for behavior, close, lines in (
            ('INFORMATIONAL', 'INFORMATIONAL', 0),
            ('INFORMATIONAL', 'UNCLEAN', 1),
            ('FAILED', 'INFORMATIONAL', 1),
            ('OK', 'OK', 1),
        ):
            with self.subTest(behavior=behavior, close=close):
                found = deviations({'7.1.6': Verdict(behavior, close)}, {'7.1.6': 'INFORMATIONAL'})
                self.assertEqual(len(found), lines)

    def test_lost_cases_are_told(self) -> None:
        report = {case: verdict for case, verdict in GOOD.items() if case != '10.0'}
        self.assertEqual(missing('one', report), ['section 10: 0 of 1 cases were run'])

    def test_the_table_counts_by_backend_and_section(self) -> None:
        bad = {**PLAIN, '10.0': Verdict('NON-STRICT', 'OK'), '2.1': Verdict('FAILED', 'FAILED')}
        rows = [re.split('  +', line) for line in render({'one': GOOD, 'two': bad}).splitlines()]
        self.assertEqual(rows[1], ['Backend', '1', '2', '3', '4', '5', '6', '7', '9', '10', '12', '13', 'All'])
        self.assertEqual([rows[3][0], rows[3][2], *rows[3][-3:]], ['one', '11 OK', '90 OK', '126 OK', '517 OK'])
        self.assertEqual(rows[4][2], '10 OK, 1 FAILED')
        self.assertEqual(rows[4][-4:], ['1 NON-STRICT/OK', '–', '–', '299 OK, 1 FAILED, 1 NON-STRICT/OK'])
        self.assertIn(['* 2: Pings and pongs'], rows)


@unittest.skipUnless(importlib.util.find_spec('kosoku'), 'kosoku is not installed (it needs Python 3.10)')
class SubjectCases:
    """Runs every case against one subject, once for all test methods; a mixin, so that it is not collected itself."""

    maxDiff: int | None = None
    name: str
    cases: list[str] = []  # all of the subject's
    verdicts: dict[str, Verdict]

    @classmethod
    def setUpClass(cls) -> None:
        missing_modules = subjects.missing(cls.name)
        if missing_modules:
            raise unittest.SkipTest(f'not installed: {", ".join(missing_modules)}')
        with tempfile.TemporaryDirectory() as directory:
            path = Path(directory, 'verdicts.json')
            command = [sys.executable, '-m', __package__, '--subject', cls.name, '--json', str(path)]
            command += cls.cases
            child = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            found = json.loads(path.read_text(encoding='utf-8')) if path.exists() else {}
        if cls.name not in found:
            raise AssertionError(child.stdout)
        cls.verdicts = {case: Verdict(*fields) for case, fields in found[cls.name].items()}

    def test_every_case_was_run(self: Any) -> None:
        if not self.cases:
            self.assertEqual(missing(self.name, self.verdicts), [])
        else:
            self.assertEqual(sum(section_of(case) in COMPRESSED for case in self.verdicts), len(COMPRESSED_SHORT))

    def test_every_case_is_exactly_ok(self: Any) -> None:
        self.assertEqual(deviations(self.verdicts), [])


for _name in subjects.SUBJECTS:
    _short = [*cases('plain'), *COMPRESSED_SHORT] if _name.endswith('+deflate') else []
    _members = {'name': _name, 'cases': _short}
    _class = type('With_' + re.sub(r'\W', '_', _name), (SubjectCases, unittest.TestCase), _members)
    _class.__module__ = __name__
    globals()[_class.__name__] = _class
del _class  # or it would be collected a second time


class AutobahnServers(unittest.TestCase):
    """The script and the specification for Autobahn's own wstest."""

    script = TEST / 'autobahn_test_servers.py'

    def start(self, script: Path, *arguments: str) -> subprocess.Popen[str]:
        command = [sys.executable, str(script), *arguments]
        child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.addCleanup(child.communicate)
        self.addCleanup(child.kill)
        return child

    def test_the_specification_names_the_servers_that_exist(self) -> None:
        specification = json.loads((TEST / 'fuzzingclient.json').read_text(encoding='utf-8'))
        self.assertEqual({server['agent'] for server in specification['servers']}, {f'ws4py-{n}' for n in SERVERS})
        self.assertEqual(specification['cases'], cases('wsgiref'))

    def test_all_servers_run_until_told_to_end(self) -> None:
        child = self.start(self.script, '--port', '0', '--run-all')
        assert child.stdout is not None and child.stderr is not None
        ports = []
        for _ in SERVERS:
            found = re.fullmatch(r'([a-z]+)-server: ws://127\.0\.0\.1:(\d+)/\n', child.stdout.readline())
            assert found is not None
            self.assertIn(found[1], SERVERS)
            ports.append(int(found[2]))
        for _ in BACKENDS - set(SERVERS):
            self.assertIn('no such backend', child.stderr.readline())
        for port in ports:
            socket.create_connection(('127.0.0.1', port), timeout=10).close()
        child.terminate()
        self.assertEqual(child.communicate(timeout=60)[0], '')
        self.assertEqual(child.returncode, 0)
        for port in ports:
            with self.assertRaises(ConnectionRefusedError):
                socket.create_connection(('127.0.0.1', port), timeout=10)

    def test_a_server_ends_when_its_parent_does(self) -> None:
        child = self.start(self.script, '--port', '0', '--run-wsgiref-server')
        assert child.stdout is not None
        port = int(child.stdout.readline().rsplit(':', 1)[1].rstrip('/\n'))
        child.kill()
        child.communicate(timeout=60)  # until the server, which holds the same standard error, has ended too
        with self.assertRaises(ConnectionRefusedError):
            socket.create_connection(('127.0.0.1', port), timeout=10)

    def test_a_backend_that_is_not_there_is_named(self) -> None:
        child = self.start(Path(subjects.__file__), 'nothing')
        self.assertEqual(child.communicate(timeout=60), ('', 'nothing: this version of ws4py has no such backend\n'))
        self.assertEqual(child.returncode, 1)

    def test_an_option_is_needed(self) -> None:
        child = self.start(self.script)
        self.assertIn('name a server, or --run-all', child.communicate(timeout=60)[1])
        self.assertEqual(child.returncode, 2)


if __name__ == '__main__':
    unittest.main()
