"""``python -m ws4py``: see ``ws4py.cli``."""

from __future__ import annotations

import sys

from ws4py.cli import main

if __name__ == '__main__':
    sys.exit(main())
