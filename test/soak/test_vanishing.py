"""Each server keeps nothing of clients that vanish, over ws and wss. ``make soak`` does it for a minute each."""

from __future__ import annotations

import sys
import unittest
from typing import Any

import support_tls
from backends import servers

from . import vanishing

SECONDS = 1.0  # of warm-up, and of what is measured


@unittest.skipUnless(sys.platform == 'linux', 'the figures of a process are read from /proc')
class Soak:
    """One server; a mixin."""

    name: str

    def setUp(self: Any) -> None:
        missing = servers.missing(self.name)
        if missing:
            self.skipTest(f'not installed: {", ".join(missing)}')

    def test_ws(self: Any) -> None:
        self.assertEqual(vanishing.wear(self.name, SECONDS).excess(), [])

    @support_tls.needs_certificates
    def test_wss(self: Any) -> None:
        files = support_tls.certificate_files('127.0.0.1')
        growth = vanishing.wear(self.name, SECONDS, files, support_tls.client_context())
        self.assertEqual(growth.excess(), [])


for _server in servers.SERVERS:
    _class = type('Soak_' + _server, (Soak, unittest.TestCase), {'name': _server, '__module__': __name__})
    globals()[_class.__name__] = _class
del _class  # or it would be collected a second time


if __name__ == '__main__':
    unittest.main()
