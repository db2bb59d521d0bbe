"""The clients under attack: a program that opens connections as it is told, and tells what comes of each.

Run as a script with the name of a client. Each line of its standard input is an order, a JSON object: ``id``, ``url``,
``options`` for the constructor, ``jar`` for the one jar of cookies that such clients share, ``limits``, ``attributes``
that are set before ``connect()``, and ``name`` and ``raises`` of `matrix.handler`. To each order belong lines of its
standard output, one for each of these events:

* ``connected``: ``connect()`` has returned, with the ``protocols`` that were chosen;
* ``failed``: it, or the constructor, has raised; with the names of the exception's classes (``errors``), its ``text``,
  the ``seconds`` that it took, and ``open``: there is still a socket;
* ``closed``: ``closed()`` was called, with its ``code`` and ``reason``.

It ends when its standard input does, which also comes when its parent dies. Every connection is the echo of
`attack.site`, and offers permessage-deflate.
"""

from __future__ import annotations

import asyncio
import collections
import http.cookiejar
import json
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

if __name__ == '__main__':
    sys.path[0] = str(Path(__file__).resolve().parents[1])
    # An installed ws4py wins over the checkout, which need not be installed at all.
    sys.path.append(str(Path(__file__).resolve().parents[2]))

from backends import servers

from attack import site
from ws4py.limits import Limits

Order = dict[str, Any]
_output = threading.Lock()
_jar = http.cookiejar.CookieJar()


def tell(order: Order, event: str, **facts: Any) -> None:
    with _output:
        print(json.dumps({'id': order['id'], 'event': event, **facts}), flush=True)


def orders() -> Iterator[Order]:
    """What comes on standard input."""
    rest = b''
    # Not sys.stdin: a daemon thread inside a buffered read makes the interpreter abort at its exit.
    while data := os.read(0, 65536):
        *lines, rest = (rest + data).split(b'\n')
        yield from map(json.loads, lines)


class Visiting(site.Attacked):
    """The callbacks of every client; a mixin."""

    order: Order

    def closed(self, code: int, reason: Any = None) -> None:
        tell(self.order, 'closed', code=code, reason=reason.decode() if isinstance(reason, bytes) else reason)
        super().closed(code, reason)


def make(cls: Any, order: Order) -> Any:
    """The client that is wanted; raises what the constructor does."""
    options = {'extensions': servers.everything_compressed(), **order.get('options', {})}
    if order.get('jar'):
        options['cookies'] = _jar
    client = cls(order['url'], limits=Limits(**order.get('limits', {})), **options)
    client.order = order
    client.name, client.raises = order.get('name', ''), order.get('raises')
    client.keep_journal()
    for attribute, value in order.get('attributes', {}).items():
        setattr(client, attribute, value)
    return client


class Attempt:
    """A context manager: what is raised in it is told."""

    def __init__(self, order: Order) -> None:
        self.order = order
        self.client: Any = None

    def __enter__(self) -> Attempt:
        self.begin = time.monotonic()
        return self

    def __exit__(self, kind: Any, error: Any, traceback: Any) -> bool:
        if error is None:
            chosen = [name.decode() for name in self.client.protocols]
            tell(self.order, 'connected', protocols=chosen)
        elif isinstance(error, Exception):
            tell(
                self.order,
                'failed',
                errors=[cls.__name__ for cls in kind.__mro__],
                text=str(error),
                seconds=time.monotonic() - self.begin,
                open=self.client is not None and self.client.sock is not None,
            )
        return isinstance(error, Exception)


def visit(cls: Any, order: Order) -> None:
    """Connect, as it is done where that waits."""
    with Attempt(order) as attempt:
        attempt.client = make(cls, order)
        attempt.client.connect()


async def visit_in_loop(cls: Any, order: Order) -> None:
    with Attempt(order) as attempt:
        attempt.client = make(cls, order)
        await attempt.client.connect()


def in_threads(cls: Any) -> None:
    for order in orders():
        threading.Thread(target=visit, args=(cls, order), daemon=True).start()


def run_threaded() -> None:
    from ws4py.client.threadedclient import WebSocketClient

    class Client(Visiting, WebSocketClient):
        pass

    in_threads(Client)


def run_managed() -> None:
    from ws4py.client import WebSocketBaseClient
    from ws4py.manager import WebSocketManager

    manager = WebSocketManager()

    class Client(Visiting, WebSocketBaseClient):
        def handshake_ok(self) -> None:
            manager.add(self)

    manager.start()
    in_threads(Client)
    manager.close_all()
    manager.stop()
    manager.join()


def run_gevent() -> None:
    import gevent
    import gevent.event

    from ws4py.client.geventclient import WebSocketClient

    class Client(Visiting, WebSocketClient):
        pass

    given: collections.deque[Any] = collections.deque()
    come = gevent.event.Event()
    bell = gevent.get_hub().loop.async_()  # what another thread may ring
    bell.start(come.set)

    def watch() -> None:
        for order in orders():
            given.append(order)
            bell.send()
        given.append(None)
        bell.send()

    threading.Thread(target=watch, name='stdin', daemon=True).start()
    while True:
        come.wait()
        come.clear()
        while given:
            order = given.popleft()
            if order is None:
                return
            gevent.spawn(visit, Client, order)


def in_loop(cls: Any) -> None:
    async def main() -> None:
        loop, over = asyncio.get_running_loop(), asyncio.Event()
        visits: set[Any] = set()

        def begin(order: Order) -> None:
            task = loop.create_task(visit_in_loop(cls, order))
            visits.add(task)
            task.add_done_callback(visits.discard)

        def watch() -> None:
            for order in orders():
                loop.call_soon_threadsafe(begin, order)
            loop.call_soon_threadsafe(over.set)

        threading.Thread(target=watch, name='stdin', daemon=True).start()
        await over.wait()

    asyncio.run(main())


def run_asyncio() -> None:
    from ws4py.client.asyncioclient import WebSocketClient

    class Client(Visiting, WebSocketClient):
        pass

    in_loop(Client)


def run_tornado() -> None:
    from ws4py.client.tornadoclient import TornadoWebSocketClient

    class Client(Visiting, TornadoWebSocketClient):
        pass

    in_loop(Client)


RUN: dict[str, Callable[[], None]] = {
    'threaded': run_threaded,
    'manager': run_managed,
    'gevent': run_gevent,
    'asyncio': run_asyncio,
    'tornado': run_tornado,
}


if __name__ == '__main__':
    RUN[sys.argv[1]]()
