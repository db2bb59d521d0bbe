"""The same tests for each client of this package."""

from __future__ import annotations

import unittest
from typing import Any

from backends import clients


class OfEachClient:
    """A mixin, for mixins with the tests of one client; skipped where what the client needs is not installed."""

    name: str

    def setUp(self: Any) -> None:
        missing = clients.missing(self.name)
        if missing:
            self.skipTest(f'not installed: {", ".join(missing)}')

    def enter(self: Any, context: Any) -> Any:
        """Enter a context until the test is over; the answer is the context."""
        context.__enter__()
        self.addCleanup(context.__exit__, None, None, None)
        return context


def cases(tests: type, module: str) -> dict[str, type]:
    """The classes of these *tests* for *module*, by their names: one for each client."""
    names = {f'{tests.__name__}_{name}': name for name in clients.OURS}
    return {
        title: type(title, (tests, unittest.TestCase), {'name': name, '__module__': module})
        for title, name in names.items()
    }
