"""Options of the test run: ``--require browser``, or ``--require-browser``, makes a skipped, or absent, browser test a
failure; ``--screenshots`` lets the browser tests write the pictures of the documentation.

pytest alone reads this file; unittest does without. What is skipped is told in either case, but a machine that is meant
to have everything should not go green without a part of the suite.
"""

from __future__ import annotations

import browser
import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        '--require',
        action='append',
        default=[],
        metavar='NAME',
        help='tests with NAME in their path or name must run: a skipped one fails, and so does a run without any',
    )
    parser.addoption(
        '--require-browser',
        action='append_const',
        const='browser',
        dest='require',
        help='the same as --require=browser',
    )
    parser.addoption('--screenshots', action='store_true', help='write the pictures of docs/_static')


def pytest_configure(config: pytest.Config) -> None:
    browser.screenshots = config.getoption('screenshots')


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]):
    report = yield
    _fail_if_skipped(item.config, report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector: pytest.Collector):
    report = yield
    _fail_if_skipped(collector.config, report)
    return report


def _fail_if_skipped(config: pytest.Config, report: pytest.TestReport | pytest.CollectReport) -> None:
    required = [name for name in config.getoption('require') if name in report.nodeid]
    if report.skipped and required and not hasattr(report, 'wasxfail'):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = 'failed'
        report.longrepr = f'{reason} (but --require={required[0]})'


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for name in config.getoption('require'):
        if not any(name in item.nodeid for item in items):
            raise pytest.UsageError(f'--require={name}, but no test has that in its path or name')
