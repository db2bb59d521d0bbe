"""The matrix as tests: a class for each server, a test for each client, a subtest for each step; and the table."""

from __future__ import annotations

import re
import unittest
from pathlib import Path
from typing import Any, Callable

from backends import clients, servers
from support_tls import needs_certificates

from . import scenario, table
from .scenario import RAW, Result, Unable

DOCS = Path(__file__).resolve().parents[2] / 'docs'


def needs(missing: list[str]) -> Any:
    """Skip, visibly, where something is not installed."""
    return unittest.skipIf(bool(missing), f'not installed: {", ".join(missing)}')


class Steps:
    """Each step of a cell as a subtest; a mixin."""

    def each(self: Any, steps: list[scenario.Step], scheme: str, cell: Any) -> None:
        for step in steps:
            with self.subTest(scheme=scheme, step=step.title):
                try:
                    scenario.perform(step, cell)
                except Unable as unable:
                    # Which client cannot do what is said in the table of the documentation, and nowhere else.
                    self.assertIn((cell.client, step.title, str(unable)), UNABLE)


class ServerSteps(Steps):
    """One server, over ws and wss, with all of its clients."""

    name: str
    sites: list[scenario.Site]

    @classmethod
    def setUpClass(cls: Any) -> None:
        cls.sites = [scenario.Site(cls.name, tls) for tls in (False, True)]  # which start at the same time

    @classmethod
    def tearDownClass(cls) -> None:
        for site in cls.sites:
            with site:
                pass
            if site.server.process.returncode or site.server.output:
                raise AssertionError(f'it ended with {site.server.process.returncode}: {site.server.output}')

    def meet(self: Any, client: str) -> None:
        for site in self.sites:
            cell = scenario.Cell(site, client, None if client == RAW else clients.load(client))
            self.each(scenario.steps(client), site.scheme, cell)
            with self.subTest(scheme=site.scheme, step='nothing is logged that was not asked for'):
                site.check_quiet()


def _meeting(client: str) -> Callable[[Any], None]:
    return lambda self: self.meet(client)


def _case(server: str, columns: list[str]) -> type[unittest.TestCase]:
    """The test case of a server."""
    body: dict[str, Any] = {'name': server, '__module__': __name__}
    for client in columns:
        absent = [] if client == RAW else clients.missing(client)
        body['test_' + re.sub(r'\W', '_', client)] = needs(absent)(_meeting(client))
    case = type('With_' + server.replace('+', '_and_'), (ServerSteps, unittest.TestCase), body)
    return needs_certificates(needs(servers.missing(server))(case))


for _server, _columns in table.ROWS.items():
    _class = _case(_server, _columns)
    globals()[_class.__name__] = _class
del _class  # or it would be collected a second time


@needs_certificates
class BareBytes(Steps, unittest.TestCase):
    """Our clients, and a server that sends bytes in ways which a real one hits by chance only."""

    def test_clients(self) -> None:
        for client in table.MET:
            absent = clients.missing(client)
            for tls in (False, True):
                with self.subTest(client=client, tls=tls):
                    if absent:
                        self.skipTest(f'not installed: {", ".join(absent)}')
                    meeting = scenario.Meeting(client, clients.load(client), tls)
                    self.each(scenario.RAW_SERVER_STEPS, 'wss' if tls else 'ws', meeting)


def tearDownModule() -> None:
    clients.Managed.end()


# The table

GOOD = [Result('text', 'OK'), Result('binary', 'OK')]
UNABLE = {
    tuple(found)
    for found in re.findall(r'^\* (.+?), \*(.+)\*: (.+)$', (DOCS / 'matrix_table.rst').read_text('utf-8'), re.M)
}


class Table(unittest.TestCase):
    def test_a_row_for_each_server_and_scheme(self) -> None:
        rows = table.render({('gevent', 'ws', 'threaded'): GOOD, ('gevent', 'wss', RAW): GOOD}).splitlines()
        self.assertEqual(rows[1].split()[:3], ['Server', 'threaded', 'manager'])
        self.assertEqual(
            [row.split() for row in rows[3:5]], [['gevent', 'ws', '2', 'OK'], ['gevent', 'wss', '2', 'OK']]
        )

    def test_what_failed_and_what_cannot_be_done_is_told(self) -> None:
        cell = [Result('text', 'OK'), Result('fragments', 'n/a', 'it cannot'), Result('binary', 'FAILED', 'oops')]
        results = {('gevent', 'ws', 'aiohttp'): cell}
        text = table.render(results)
        self.assertIn('1 OK, 1 FAILED, 1 n/a', text)
        self.assertIn('* aiohttp, *fragments*: it cannot\n', text)
        self.assertEqual(table.failures(results), ['gevent ws aiohttp: binary: oops'])

    def test_the_one_in_the_documentation_is_complete_and_good(self) -> None:
        text = (DOCS / 'matrix_table.rst').read_text('utf-8')
        self.assertNotIn('FAILED', text)
        for name in table.COLUMNS:
            self.assertIn(f'  {name}', text.splitlines()[3])
        for name in [*table.ROWS, RAW]:
            self.assertEqual(len(re.findall(rf'^{re.escape(name)} +wss? ', text, re.M)), 2, name)
        for step in [*scenario.STEPS, *scenario.RAW_CLIENT_STEPS, *scenario.RAW_SERVER_STEPS]:
            self.assertIn(f'* {step.title}\n', text)


if __name__ == '__main__':
    unittest.main()
