"""What tests of handlers and clients need, and the tests of ws4py itself use.

- :class:`Pair`: a client and a server joined in memory, with no sockets, no threads and no waiting;
- :class:`ScriptedSocket`: a socket that says what a script has it say, with :class:`SteppedDriver` for one that does
  not block;
- :class:`Clock`: time that passes when a test says so;
- :func:`serve`: a server on a free port for as long as a test lasts, and as a fixture for pytest in
  :mod:`ws4py.testing.fixtures`.

Nothing of ws4py imports this package.
"""

from __future__ import annotations

from ws4py.testing.clock import Clock
from ws4py.testing.pairing import Line, Pair, RecordingClient
from ws4py.testing.scripted import EOF, WOULD_BLOCK, ScriptedSocket, accepting
from ws4py.testing.serving import Serving, serve, until
from ws4py.testing.stepping import SteppedDriver
from ws4py.testing.wire import WireFrame, binary, close, parse_frames, text

__all__ = [
    'EOF',
    'WOULD_BLOCK',
    'Clock',
    'Line',
    'Pair',
    'RecordingClient',
    'ScriptedSocket',
    'Serving',
    'SteppedDriver',
    'WireFrame',
    'accepting',
    'binary',
    'close',
    'parse_frames',
    'serve',
    'text',
    'until',
]
