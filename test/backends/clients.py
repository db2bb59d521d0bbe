"""The clients: ours, each behind the face that `foreign` describes, and the table of all.

Ours have callbacks, which can be told what to do: ``greeting`` is sent in ``opened()``, ``raises`` names the callback
that raises, and on the message ``now`` the client closes with ``crossing``. What the callbacks were called with stands
in ``events``, of which the face waits for what it wants. Client and face are different objects: the one is the
application that is tested, the other is its remote control.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import ssl
import time
from collections.abc import Sequence
from typing import Any, Callable, Optional

from ws4py.client import WebSocketBaseClient
from ws4py.exc import HandshakeError
from ws4py.manager import WebSocketManager

from .servers import not_installed

TIMEOUT = 30.0  # seconds; far more than anything here takes
GLANCE = 0.001  # seconds between two looks at what a thread has done


class Deliberate(Exception):
    """What the callbacks raise on purpose."""


async def let_go() -> None:
    """Wait until the running loop watches nothing but its own wake-up socket.

    aiohttp closes TLS connections without waiting for them; a loop that ends meanwhile leaves them to the garbage
    collector, which warns.
    """
    while len(asyncio.get_running_loop()._selector.get_map()) > 1:
        await asyncio.sleep(0.001)


class Application:
    """The callbacks; a mixin for the client classes."""

    greeting: Optional[str] = None
    raises: Optional[str] = None
    crossing: Optional[tuple[int, str]] = None

    def __init__(self, *args: Any, **options: Any) -> None:
        self.events: list[tuple[Any, ...]] = []
        super().__init__(*args, **options)

    def note(self, hook: str, *values: Any) -> None:
        self.events.append((hook, *values))
        if self.raises == hook:
            raise Deliberate(hook)

    def opened(self) -> None:
        if self.greeting is not None:
            self.send(self.greeting)  # type: ignore[attr-defined]
        self.note('opened')

    def received_message(self, message: Any) -> None:
        self.note('received_message', str(message) if message.is_text else message.data)
        if self.crossing is not None and message.data == b'now':
            self.close(*self.crossing)  # type: ignore[attr-defined]

    def ponged(self, pong: Any) -> None:
        self.note('ponged', pong.data)

    def closed(self, code: int, reason: Any = None) -> None:
        self.note('closed', code, reason.decode() if isinstance(reason, bytes) else reason)


class Face:
    """The remote control of one of our clients; subclasses say how it connects and how time passes."""

    lacks: dict[str, str] = {}
    answer: Optional[int] = None
    refusals: tuple[type[Exception], ...] = (HandshakeError,)
    client: Any

    def __init__(
        self,
        url: str,
        context: Optional[ssl.SSLContext],
        protocols: Sequence[str] = (),
        headers: Sequence[tuple[str, str]] = (),
        **attributes: Any,
    ) -> None:
        self._taken = 0
        options = {'protocols': list(protocols), 'headers': list(headers)}
        if context is not None:
            options['ssl_options'] = {'ssl_context': context}
        self._connect(url, options, attributes)
        chosen = self.client.protocols
        self.protocol = chosen[0].decode() if chosen else None

    def _connect(self, url: str, options: dict[str, Any], attributes: dict[str, Any]) -> None:
        """Make ``self.client``, with these attributes, and connect it."""
        raise NotImplementedError

    def _call(self, method: Callable[..., Any], *args: Any) -> None:
        """Call a method of the client, where that may be done, and complete what it gives."""
        method(*args)

    def _wait(self, condition: Callable[[], Any]) -> Any:
        """Let time pass until *condition* is true; gives what it says."""
        end = time.monotonic() + TIMEOUT
        while True:
            found = condition()
            if found:
                return found
            assert time.monotonic() < end, f'not within {TIMEOUT:g} s; events so far: {str(self.client.events)[:500]}'
            self._pause()

    def _pause(self) -> None:
        time.sleep(GLANCE)

    def _next(self, hook: str) -> tuple[Any, ...]:
        """The next event of that name, from where the last call stopped."""

        def find() -> Any:
            for at, event in enumerate(self.client.events[self._taken :], self._taken + 1):
                if event[0] == hook:
                    self._taken = at
                    return event
            return None

        return self._wait(find)

    def send(self, payload: Any) -> None:
        self._call(self.client.send, payload, isinstance(payload, bytes))

    def send_fragments(self, payloads: list[Any]) -> None:
        self._call(self.client.send, (part for part in payloads), isinstance(payloads[0], bytes))

    def receive(self) -> Any:
        return self._next('received_message')[1]

    def provoke_pong(self) -> None:
        """Send a ping, and leave the pong to the callback."""
        self._call(self.client.ping, b'are you there?')

    def ping(self) -> bool:
        self.provoke_pong()
        return bool(self._next('ponged')[1] == b'are you there?')

    def close(self, code: int, reason: str) -> tuple[int, Optional[str]]:
        self._call(self.client.close, code, reason)
        return self.wait_closed()

    def wait_closed(self) -> tuple[int, Optional[str]]:
        _, code, reason = self._next('closed')
        return code, reason

    def lost(self) -> bool:
        return self.wait_closed()[0] == 1006

    def disconnect(self) -> None:
        if not any(event[0] == 'closed' for event in self.client.events):
            with contextlib.suppress(RuntimeError, OSError):  # it may be over at this moment
                self._call(self.client.close)
            self._wait(lambda: any(event[0] == 'closed' for event in self.client.events))
        self._wait(lambda: self.client.sock is None)


class Threaded(Face):
    """``ws4py.client.threadedclient``."""

    def _make(self) -> Any:
        from ws4py.client.threadedclient import WebSocketClient

        return WebSocketClient

    def _connect(self, url: str, options: dict[str, Any], attributes: dict[str, Any]) -> None:
        self.client = type('Client', (Application, self._make()), attributes)(url, **options)
        self.client.connect()


class Managed(Threaded):
    """``ws4py.client.WebSocketBaseClient``, driven by a manager."""

    _manager: Any = None

    def _make(self) -> Any:
        manager = Managed._manager
        if manager is None or not manager.running:
            manager = Managed._manager = WebSocketManager()
            manager.daemon = True
            manager.start()
        return type('ManagedClient', (WebSocketBaseClient,), {'handshake_ok': lambda client: manager.add(client)})

    @classmethod
    def end(cls) -> None:
        if cls._manager is not None:
            cls._manager.stop()
            cls._manager.join()


class Gevent(Threaded):
    """``ws4py.client.geventclient``."""

    def _make(self) -> Any:
        from ws4py.client.geventclient import WebSocketClient

        return WebSocketClient

    def _pause(self) -> None:
        import gevent

        gevent.sleep(GLANCE)


class Looping(Face):
    """What the clients on an event loop have in common."""

    def __init__(self, *args: Any, **options: Any) -> None:
        self.loop = asyncio.new_event_loop()
        try:
            super().__init__(*args, **options)
        except BaseException:
            self._end()
            raise

    def _await(self, coroutine: Any) -> Any:
        return self.loop.run_until_complete(asyncio.wait_for(coroutine, TIMEOUT))

    def _call(self, method: Callable[..., Any], *args: Any) -> None:
        async def call() -> None:
            result = method(*args)
            if result is not None:
                await result

        self._await(call())

    def _wait(self, condition: Callable[[], Any]) -> Any:
        async def wait() -> Any:
            while not (found := condition()):
                await asyncio.sleep(GLANCE)
            return found

        try:
            return self._await(wait())
        except asyncio.TimeoutError:
            raise AssertionError(f'not within {TIMEOUT:g} s; events: {str(self.client.events)[:500]}') from None

    def wait_closed(self) -> tuple[int, Optional[str]]:
        ended = super().wait_closed()
        self._await(let_go())  # the loop must run on until TLS has ended too
        return ended

    def disconnect(self) -> None:
        try:
            super().disconnect()
        finally:
            self._end()

    def _end(self) -> None:
        try:
            self._await(let_go())
        finally:
            self.loop.close()


class Asyncio(Looping):
    """``ws4py.client.asyncioclient``."""

    def _connect(self, url: str, options: dict[str, Any], attributes: dict[str, Any]) -> None:
        from ws4py.client.asyncioclient import WebSocketClient, connect

        async def establish() -> Any:
            return await connect(url, client_cls=type('Client', (Application, WebSocketClient), attributes), **options)

        self.client = self._await(establish())


class Tornado(Looping):
    """``ws4py.client.tornadoclient``."""

    def _connect(self, url: str, options: dict[str, Any], attributes: dict[str, Any]) -> None:
        from ws4py.client.tornadoclient import TornadoWebSocketClient

        async def establish() -> Any:
            client = type('Client', (Application, TornadoWebSocketClient), attributes)(url, **options)
            await client.connect()
            return client

        self.client = self._await(establish())


#: Name, module and class of the face, and the modules of other projects that it needs.
CLIENTS: dict[str, tuple[str, str, tuple[str, ...]]] = {
    'threaded': ('backends.clients', 'Threaded', ()),
    'manager': ('backends.clients', 'Managed', ()),
    'gevent': ('backends.clients', 'Gevent', ('gevent',)),
    'asyncio': ('backends.clients', 'Asyncio', ()),
    'tornado': ('backends.clients', 'Tornado', ('tornado',)),
    'websockets': ('backends.foreign', 'WebsocketsClient', ('websockets', 'aiohttp', 'websocket')),
    'aiohttp': ('backends.foreign', 'AiohttpClient', ('websockets', 'aiohttp', 'websocket')),
    'websocket-client': ('backends.foreign', 'WebsocketClientClient', ('websockets', 'aiohttp', 'websocket')),
}
#: Those of this package.
OURS = [name for name, (module, _, _) in CLIENTS.items() if module == __name__]


def missing(name: str) -> list[str]:
    """The modules that client `name` needs and that are not here."""
    return not_installed(CLIENTS[name][2])


def load(name: str) -> Any:
    """The face of client `name`."""
    module, face, _ = CLIENTS[name]
    return getattr(importlib.import_module(module), face)
