"""The demo as a whole: which websockets there are, and what is answered to every other request.

A server of any kind makes one :class:`DemoSite`, mounts its handlers, and asks it about each request first. The
``on_…`` modules do no more than that.
"""

from __future__ import annotations

import functools
from typing import Any, Callable, Optional

from ws4py.demo.chat import ChatWebSocket, Room
from ws4py.demo.content import Content
from ws4py.demo.pages import Answer, refuse_foreign
from ws4py.demo.status import Status
from ws4py.websocket import EchoWebSocket

__all__ = ['DemoSite']


class DemoSite:
    """One demo. Safe from any thread.

    :param content: what there is besides the echo; the pages and the chat by default.
    :ivar room: that of the chat.
    :ivar handlers: the websockets by their paths, as servers want them: called with a socket, and so on.
    """

    def __init__(self, content: Optional[Content] = None) -> None:
        self._content = content or Content()
        self._status = Status()
        self.room = Room()
        self.handlers: dict[str, Callable[..., Any]] = {'/echo': self._status.observed(EchoWebSocket)}
        if self._content.chat:
            self.handlers['/ws'] = functools.partial(self._status.observed(ChatWebSocket), room=self.room)
        self._has_pages = self._content.chat and self._content.directory is None
        if self._has_pages:
            self.handlers['/live'] = self._status.live

    def answer(self, method: str, path: str, origin: Optional[str], host: Optional[str]) -> Optional[Answer]:
        """The answer to a request, or None where a websocket is asked for and nothing is against it.

        :param path: decoded, and without its query.
        :param origin: the header ``Origin``.
        :param host: the header ``Host``.
        """
        if path == '/echo':  # for everybody
            return None
        if path in self.handlers:
            return refuse_foreign(origin, host)
        if path == '/metrics' and self._has_pages:
            return self._status.metrics(method)
        return self._content.answer(method, path)
