"""The programs under test: one echo server per server backend, one Autobahn-driven echo client per client backend.

Run as a script, in whatever interpreter is to be tested; only the standard library and ws4py are needed, besides the
framework a backend is named after. A server listens on loopback, prints its port on the first line of standard output
and serves until its standard input ends. A client fetches Autobahn's case count, runs every case, asks for the report
and ends. This is no test by itself: it never judges what happened.

    python subjects.py wsgiref --port 0
    python subjects.py threaded --url ws://127.0.0.1:9001 --parallel 4

A new backend is one function here and one line in `SERVERS` or `CLIENTS`.
"""

from __future__ import annotations

import argparse
import os
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

AGENT = 'ws4py'


def announce(port: int, stop: Callable[[], object]) -> None:
    """Tell the parent that `port` (an int) is listening, and call `stop()` from a thread once standard input ends.

    The end of standard input also comes when the parent dies, so no server is ever left behind.
    """

    def watch() -> None:
        # Not sys.stdin.read(): a daemon thread inside a buffered read makes the interpreter abort at its exit.
        while os.read(0, 1024):
            pass
        stop()

    threading.Thread(target=watch, name='stdin', daemon=True).start()
    print(port, flush=True)


def serve_wsgiref(port: int) -> None:
    from wsgiref.simple_server import make_server

    from ws4py.server.wsgirefserver import WebSocketWSGIRequestHandler, WSGIServer
    from ws4py.server.wsgiutils import WebSocketWSGIApplication
    from ws4py.websocket import EchoWebSocket

    server = make_server(
        '127.0.0.1',
        port,
        WebSocketWSGIApplication(handler_cls=EchoWebSocket),
        server_class=WSGIServer,
        handler_class=WebSocketWSGIRequestHandler,
    )
    server.initialize_websockets_manager()
    announce(server.server_port, server.shutdown)
    try:
        server.serve_forever()
    finally:
        server.server_close()


def drive(url: str, parallel: int, visit: Callable[[str, bool], bytes]) -> None:
    """Run all cases of the fuzzing server at `url`, `parallel` at a time; `visit(url, echo)` gives the last message."""
    count = int(visit(url + '/getCaseCount', False))
    cases = [f'{url}/runCase?case={number}&agent={AGENT}' for number in range(1, count + 1)]
    with ThreadPoolExecutor(parallel) as pool:
        list(pool.map(lambda case: visit(case, True), cases))  # the list raises what a visit raised
    visit(f'{url}/updateReports?agent={AGENT}', False)


class Echo:
    """What every client under test does with a message: keep it and, if told so, send it back."""

    echo = False
    last = b''
    send: Callable[..., None]

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


SERVERS: dict[str, Callable[[int], None]] = {
    'wsgiref': serve_wsgiref,
}
CLIENTS: dict[str, Callable[[str, int], None]] = {
    'threaded': drive_threaded,
    'manager': drive_manager,
}


def main() -> None:
    parser = argparse.ArgumentParser(description="One program under test by Autobahn's cases.")
    parser.add_argument('name', help=f'server: {", ".join(SERVERS)}; client: {", ".join(CLIENTS)}')
    parser.add_argument('--port', type=int, default=0, help='server: port to listen on (default: any free one)')
    parser.add_argument('--url', default='ws://127.0.0.1:9001', help='client: fuzzing server (default: %(default)s)')
    parser.add_argument('--parallel', type=int, default=1, help='client: cases at a time (default: %(default)s)')
    options = parser.parse_args()
    # An installed ws4py wins over the checkout, which need not be installed at all.
    sys.path.append(str(Path(__file__).resolve().parents[2]))
    try:
        if options.name in SERVERS:
            SERVERS[options.name](options.port)
        elif options.name in CLIENTS:
            CLIENTS[options.name](options.url, options.parallel)
        else:
            sys.exit(f'{options.name}: this version of ws4py has no such backend')
    except ModuleNotFoundError as error:
        sys.exit(f'{options.name}: the backend is not installed here ({error})')
    except KeyboardInterrupt:
        pass


if __name__ == '__main__':
    main()
