"""What is attacked: an echo that obeys commands, on servers behind a policy, and in every client."""

from __future__ import annotations

import gc
import threading
import weakref
from typing import Any

from matrix import handler

from ws4py.exc import HTTPError
from ws4py.http11 import Request
from ws4py.limits import Limits

UNWANTED = '127.0.0.66'
GOOD = 'https://good.test'
alive: weakref.WeakSet[Any] = weakref.WeakSet()


class Attacked(handler.Obedient):
    """One connection, on whichever side; a mixin."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        alive.add(self)

    def note(self, hook: str, *values: Any) -> None:
        """Write the journal, but only for who has a name: floods would fill it."""
        if self.name:
            super().note(hook, *values)

    def do_alive(self) -> None:
        """How many of these there are that something refers to, this one included."""
        gc.collect()
        self.send(str(len(alive)))

    def do_threads(self, count: str) -> None:
        """Send from so many threads at once: each a word many times, whole and in fragments."""

        def send(word: str) -> None:
            for number in range(50):
                if number % 2:
                    self.send(word * 100)
                else:
                    self.send(word * 20 for _ in range(5))

        for number in range(int(count)):
            threading.Thread(target=send, args=(chr(ord('a') + number),), daemon=True).start()


class Handler(Attacked, handler.Handler):
    """One connection of a server."""


def refuse_unwanted(request: Request) -> None:
    if request.peer_address and request.peer_address[0] == UNWANTED:
        raise HTTPError(403, 'not from there')


TERMS = {'origins': [GOOD], 'process_request': refuse_unwanted}
FULL = {'limits': Limits(connections=3)}
