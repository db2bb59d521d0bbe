"""Every attack on every target, as a test of its own; ``make attack`` runs them in their full size."""

from __future__ import annotations

import sys
import unittest
from typing import Any

from .items import NotOwned
from .runner import SIDES, Running, attacks


@unittest.skipUnless(sys.platform == 'linux', 'the figures of a process are read from /proc')
class OnTarget:
    """The attacks on one target; a mixin."""

    kind: str
    name: str
    running: Running

    @classmethod
    def setUpClass(cls) -> None:
        missing = SIDES[cls.kind].missing(cls.name)
        if missing:
            raise unittest.SkipTest(f'not installed: {", ".join(missing)}')
        cls.running = Running(cls.kind, cls.name)

    @classmethod
    def tearDownClass(cls) -> None:
        with cls.running:
            pass
        assert not cls.running.faults, cls.running.faults


def _method(attack: Any) -> Any:
    def test(self: Any) -> None:
        try:
            figure = self.running.attempt(attack)
        except NotOwned as reason:
            figure = str(reason)  # what the attack could be held to has been asserted before
        self.assertTrue(figure)

    test.__doc__ = attack.title
    return test


for _kind, _side in SIDES.items():
    _tests = {f'test_{attack.name}': _method(attack) for attack in attacks(_kind)}
    for _name in _side.names:
        _members = {'kind': _kind, 'name': _name, '__module__': __name__, **_tests}
        _class = type(f'On_{_kind}_{_name}', (OnTarget, unittest.TestCase), _members)
        globals()[_class.__name__] = _class
del _class


if __name__ == '__main__':
    unittest.main()
