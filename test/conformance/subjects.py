"""The programs under test: one echo server per server backend, one Autobahn-driven echo client per client backend.

Run as a script, in whatever interpreter is to be tested; only the standard library and ws4py are needed, besides the
framework a backend is named after. A server is one of `backends.servers`, with the handler that echoes: it listens on
loopback, prints its port on the first line of standard output and serves until its standard input ends. A client
fetches Autobahn's case count, runs every case, asks for the report and ends. This is no test by itself: it never judges
what happened. A name may be followed by variants, as in `backends.servers`; for that of ``+pypy3`` it is the caller who
chooses the interpreter.

    python subjects.py wsgiref --port 0
    python subjects.py threaded+wsaccel --url ws://127.0.0.1:9001 --parallel 4

A new client is one function here and one line in `CLIENTS`.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import threading
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

if __name__ == '__main__':  # then this directory is where modules are looked for first, not that of the tests
    sys.path[0] = str(Path(__file__).resolve().parents[1])
    # An installed ws4py wins over the checkout, which need not be installed at all.
    sys.path.append(str(Path(__file__).resolve().parents[2]))

from backends import servers

AGENT = 'ws4py'


def drive(url: str, parallel: int, visit: Callable[[str, bool], bytes]) -> None:
    """Run all cases of the fuzzing server at `url`, `parallel` at a time; `visit(url, echo)` gives the last message."""
    count = int(visit(url + '/getCaseCount', False))
    cases = [f'{url}/runCase?case={number}&agent={AGENT}' for number in range(1, count + 1)]
    with ThreadPoolExecutor(parallel) as pool:
        list(pool.map(lambda case: visit(case, True), cases))  # the list raises what a visit raised
    visit(f'{url}/updateReports?agent={AGENT}', False)


class Echo:
    """What every client under test does with a message: keep it and, if told so, send it back."""

    extensions_offered: Sequence[Any] = ()
    echo = False
    last = b''
    send: Callable[..., None]

    def __init__(self, url: str) -> None:
        super().__init__(url, extensions=Echo.extensions_offered)  # type: ignore[call-arg]

    def received_message(self, message: Any) -> None:
        self.last = message.data
        if self.echo:
            self.send(message.data, message.is_binary)


def drive_threaded(url: str, parallel: int) -> None:
    from ws4py.client.threadedclient import WebSocketClient

    class Client(Echo, WebSocketClient):
        pass

    def visit(resource: str, echo: bool) -> bytes:
        client = Client(resource)
        client.echo = echo
        client.connect()
        client.run_forever()
        return client.last

    drive(url, parallel, visit)


def drive_manager(url: str, parallel: int) -> None:
    from ws4py.client import WebSocketBaseClient
    from ws4py.manager import WebSocketManager

    manager = WebSocketManager()

    class Client(Echo, WebSocketBaseClient):
        def __init__(self, resource: str) -> None:
            super().__init__(resource)
            self.ended = threading.Event()

        def handshake_ok(self) -> None:
            manager.add(self)

        def closed(self, code: int, reason: Any = None) -> None:
            self.ended.set()

    def visit(resource: str, echo: bool) -> bytes:
        client = Client(resource)
        client.echo = echo
        client.connect()
        client.ended.wait()  # the runner ends a subject that takes too long
        return client.last

    manager.start()
    try:
        drive(url, parallel, visit)
    finally:
        manager.close_all()
        manager.stop()
        manager.join()


async def drive_in_loop(url: str, parallel: int, visit: Callable[[str, bool], Awaitable[bytes]]) -> None:
    """As `drive`, in an asyncio loop."""
    import asyncio

    count = int(await visit(url + '/getCaseCount', False))
    slots = asyncio.Semaphore(parallel)

    async def run(number: int) -> None:
        async with slots:
            await visit(f'{url}/runCase?case={number}&agent={AGENT}', True)

    await asyncio.gather(*map(run, range(1, count + 1)))
    await visit(f'{url}/updateReports?agent={AGENT}', False)


def drive_tornado(url: str, parallel: int) -> None:
    import asyncio

    from ws4py.client.tornadoclient import TornadoWebSocketClient

    class Client(Echo, TornadoWebSocketClient):
        def __init__(self, resource: str) -> None:
            super().__init__(resource)
            self.ended = asyncio.Event()

        def closed(self, code: int, reason: Any = None) -> None:
            self.ended.set()

    async def visit(resource: str, echo: bool) -> bytes:
        client = Client(resource)
        client.echo = echo
        await client.connect()
        await client.ended.wait()
        return client.last

    asyncio.run(drive_in_loop(url, parallel, visit))


def drive_asyncio(url: str, parallel: int) -> None:
    import asyncio

    from ws4py.client.asyncioclient import WebSocketClient

    # Not `async for`: what is received before a violation would be answered too late, the strict want it before.
    class Client(Echo, WebSocketClient):
        pass

    async def visit(resource: str, echo: bool) -> bytes:
        client = Client(resource)
        client.echo = echo
        await client.connect()
        await client.wait_closed()
        return client.last

    asyncio.run(drive_in_loop(url, parallel, visit))


def drive_gevent(url: str, parallel: int) -> None:
    from gevent.pool import Pool

    from ws4py.client.geventclient import WebSocketClient

    class Client(Echo, WebSocketClient):
        pass

    def visit(resource: str, echo: bool) -> bytes:
        client = Client(resource)
        client.echo = echo
        client.connect()
        client.run_forever()
        return client.last

    count = int(visit(url + '/getCaseCount', False))
    cases = [f'{url}/runCase?case={number}&agent={AGENT}' for number in range(1, count + 1)]
    Pool(parallel).map(lambda case: visit(case, True), cases)
    visit(f'{url}/updateReports?agent={AGENT}', False)


CLIENTS: dict[str, Callable[[str, int], None]] = {
    'threaded': drive_threaded,
    'manager': drive_manager,
    'gevent-client': drive_gevent,
    'tornado-client': drive_tornado,
    'asyncio-client': drive_asyncio,
}
#: What clients need besides the standard library.
FRAMEWORKS = {'gevent-client': 'gevent', 'tornado-client': 'tornado'}
SERVERS = tuple(servers.SERVERS)
PYPY = 'pypy3'
#: Everything that is held to the cases.
SUBJECTS = (
    *SERVERS,
    *CLIENTS,
    *(f'{name}+wsaccel' for name in (*SERVERS, *CLIENTS)),
    *(f'{name}+deflate' for name in (*SERVERS, *CLIENTS)),
    *(f'{name}+uvloop' for name in ('asyncio', 'asyncio-client') if name in (*SERVERS, *CLIENTS)),
    *(f'{name}+{PYPY}' for name in ('wsgiref', 'asyncio')),
)


def program(name: str, python: str) -> tuple[str, str]:
    """What subject `name` is called in its interpreter, and that: `python`, unless the name says PyPy."""
    base = name.removesuffix(f'+{PYPY}')
    return base, python if base == name else PYPY


def missing(name: str) -> list[str]:
    """What subject `name` needs and is not here: modules, or PyPy."""
    name, python = program(name, '')
    if python:
        return [] if shutil.which(python) else [python]
    base, *variants = name.split('+')
    if base in SERVERS:
        return servers.missing(name)
    return servers.not_installed([FRAMEWORKS.get(base), *map(servers.VARIANTS.get, variants)])


def main() -> None:
    parser = argparse.ArgumentParser(description="One program under test by Autobahn's cases.")
    parser.add_argument('name', help=f'server: {", ".join(SERVERS)}; client: {", ".join(CLIENTS)}; +wsaccel, …')
    parser.add_argument('--port', type=int, default=0, help='server: port to listen on (default: any free one)')
    parser.add_argument('--url', default='ws://127.0.0.1:9001', help='client: fuzzing server (default: %(default)s)')
    parser.add_argument('--parallel', type=int, default=1, help='client: cases at a time (default: %(default)s)')
    options = parser.parse_args()
    name, *variants = options.name.split('+')
    try:
        if name in SERVERS:
            from ws4py.websocket import EchoWebSocket

            servers.serve(options.name, EchoWebSocket, port=options.port)
        elif name in CLIENTS:
            servers.accelerate(variants)
            if servers.DEFLATE in variants:
                Echo.extensions_offered = servers.everything_compressed()
            CLIENTS[name](options.url, options.parallel)
        else:
            sys.exit(f'{options.name}: this version of ws4py has no such backend')
    except ModuleNotFoundError as error:
        sys.exit(f'{options.name}: the backend is not installed here ({error})')
    except KeyboardInterrupt:
        pass


if __name__ == '__main__':
    main()
