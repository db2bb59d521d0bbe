"""The handler class that is the same on every server: an echo that obeys, and keeps a journal of each connection.

A text that begins with ``!`` is a command; everything else is sent back as what it is. Headers of the upgrade request
say what happens besides: ``X-Name`` is the connection's name in the journals, ``X-Greet`` is sent in ``opened()``, in
``X-Raise`` stands the name of the callback that raises. The journal of a connection, and what this process has logged,
is asked for on another one. :class:`Obedient` is what of it a client can be as well.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from typing import Any, Callable, Optional

from ws4py import streaming
from ws4py.websocket import WebSocket

journals: dict[str, dict[str, Any]] = {}
raised: list[str] = []  # what was raised on purpose, as far as it has been logged with its traceback
complaints: list[str] = []  # every other error that has been logged


class Deliberate(Exception):
    """What the callbacks raise on purpose."""


class Log(logging.Handler):
    """Keeps the errors of this process."""

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info and isinstance(record.exc_info[1], Deliberate):
            raised.append(str(record.exc_info[1]))
        else:
            complaints.append(self.format(record))


logging.getLogger().addHandler(Log(logging.ERROR))


class Obedient:
    """The callbacks, on whichever end of a connection; a mixin."""

    name = ''
    greeting: Optional[str] = None
    raises: Optional[str] = None
    events: list[list[Any]]
    send: Callable[..., Any]
    close: Callable[..., Any]
    ping: Callable[..., Any]

    def keep_journal(self, **facts: Any) -> None:
        """Begin it, under the name that there is by now; without one nobody can ask for it."""
        self.events = []
        if self.name:
            journals[self.name] = {**facts, 'events': self.events}

    def note(self, hook: str, *values: Any) -> None:
        self.events.append([hook, *values])
        if self.raises == hook:
            raise Deliberate(f'{self.name} {hook}')

    def opened(self) -> None:
        if self.greeting:
            self.send(self.greeting)
        self.note('opened')

    def received_message(self, message: Any) -> None:
        self.note('received_message', len(message.data))
        if message.is_text and message.data[:1] == b'!':
            command, *arguments = str(message)[1:].split(' ')
            getattr(self, f'do_{command}')(*arguments)
        else:
            self.send(message.data, message.is_binary)

    def ponged(self, pong: Any) -> None:
        self.note('ponged', str(pong))

    def closed(self, code: int, reason: Any = None) -> None:
        self.note('closed', code, reason.decode() if isinstance(reason, bytes) else reason)

    # The commands

    def do_close(self, code: str, reason: str) -> None:
        self.close(int(code), reason)

    def do_cross(self, code: str, reason: str) -> None:
        """Close right behind a message, on which the peer closes too."""
        self.send('now')
        self.close(int(code), reason)

    def do_ping(self, data: str) -> None:
        self.ping(data)

    def do_fragments(self, *parts: str) -> None:
        self.send(part for part in parts)

    def do_binary_fragments(self, *parts: str) -> None:
        self.send((part.encode() for part in parts), binary=True)

    def do_journal(self, name: str) -> None:
        self.send(json.dumps({'events': [], **journals.get(name, {}), 'raised': raised}))

    def do_complaints(self) -> None:
        self.send(json.dumps(complaints))
        complaints.clear()

    def do_variant(self) -> None:
        """Who validates UTF-8, and whose event loop this is."""
        found = [streaming.Utf8Validator]
        with contextlib.suppress(RuntimeError):
            found.append(type(asyncio.get_running_loop()))
        self.send(' '.join(cls.__module__.partition('.')[0] for cls in found))


class Handler(Obedient, WebSocket):
    """One connection."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        assert self.environ is not None
        self.name = self.environ.get('HTTP_X_NAME', '')
        self.greeting = self.environ.get('HTTP_X_GREET')
        self.raises = self.environ.get('HTTP_X_RAISE')
        environ = {key: value for key, value in self.environ.items() if isinstance(value, str)}
        self.keep_journal(protocols=self.protocols, environ=environ)
