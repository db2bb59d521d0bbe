"""Echo servers for Autobahn's own test suite, one option for each backend.

    python test/autobahn_test_servers.py --run-all
    wstest -m fuzzingclient -s test/fuzzingclient.json

`wstest` comes with PyPI's autobahntestsuite, on Python 2.7; ``python -m conformance`` runs the same cases without it.
Each server is a process of its own, see ``conformance/subjects.py``, where the backends themselves stand. The servers
listen on loopback only, and end with Ctrl-C, with SIGTERM, or when this program does. A backend that this version of
ws4py does not have, or whose framework is not installed, is named on standard error; the others are served all the
same.
"""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

from conformance import subjects

# Option and backend. The place in this table is the server's port, counted from --port: the servers of several
# interpreters can so run side by side, and fuzzingclient.json names them apart.
SERVERS = (
    ('wsgiref-server', 'wsgiref'),
    ('gevent-server', 'gevent'),
    ('cherrypy-server', 'cherrypy'),
    ('cherrypy-server-py3k', 'cherrypy'),
    ('cherrypy-server-pypy', 'cherrypy'),
    ('tornado-server', 'tornado'),
    ('asyncio-server', 'asyncio'),
)


def main() -> int:
    parser = argparse.ArgumentParser(description="Echo servers for Autobahn's wstest.")
    parser.add_argument('--port', type=int, default=9000, help='of the first server (default: %(default)s; 0: any)')
    parser.add_argument('--run-all', action='store_true', help='run every backend once')
    for option, backend in SERVERS:
        parser.add_argument(f'--run-{option}', action='store_true', help=f'run the {backend} server')
    options = parser.parse_args()

    wanted: dict[str, str] = {}
    for option, backend in SERVERS:
        if vars(options)[f'run_{option.replace("-", "_")}'] or (options.run_all and backend not in wanted.values()):
            wanted[option] = backend
    if not wanted:
        parser.error('name a server, or --run-all')

    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends it as Ctrl-C does
    order = [option for option, _ in SERVERS]
    served = []
    with ExitStack() as stack:  # leaving it closes the children's standard input, which stops them, and waits for them
        try:
            for option, backend in wanted.items():
                child = stack.enter_context(_started(backend, options.port and options.port + order.index(option)))
                assert child.stdout is not None
                port = child.stdout.readline()
                if port:  # else it ended, and has said why
                    print(f'{option}: ws://127.0.0.1:{int(port)}/', flush=True)
                    served.append(child)
            for child in served:
                child.wait()
        except KeyboardInterrupt:
            pass
    return 0 if served and not any(child.returncode for child in served) else 1


def _started(backend: str, port: int) -> subprocess.Popen[str]:
    command = [sys.executable, str(Path(subjects.__file__).resolve()), backend, '--port', str(port)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


if __name__ == '__main__':
    sys.exit(main())
