"""The demo as one WSGI application, for wsgiref, gevent, and any other server that gives away its connections."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from typing import TYPE_CHECKING, Optional

from ws4py.demo.chat import ChatWebSocket, Room
from ws4py.demo.content import Content
from ws4py.demo.pages import refuse_foreign
from ws4py.server.wsgiutils import WebSocketWSGIApplication
from ws4py.websocket import EchoWebSocket

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

__all__ = ['DemoApplication']


class DemoApplication:
    """The page at ``/``, the chat at ``/ws``, an echo at ``/echo``; safe from any thread.

    :param content: what there is besides the echo; the page and the chat by default.
    """

    def __init__(self, content: Optional[Content] = None) -> None:
        self.content = content or Content()
        self.room = Room()
        self._chat = WebSocketWSGIApplication(handler_cls=functools.partial(ChatWebSocket, room=self.room))
        self._echo = WebSocketWSGIApplication(handler_cls=EchoWebSocket)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        method, path = environ['REQUEST_METHOD'], environ.get('PATH_INFO') or '/'
        if path == '/echo':
            return self._echo(environ, start_response)
        if path == '/ws' and self.content.chat:
            answered = refuse_foreign(environ.get('HTTP_ORIGIN'), environ.get('HTTP_HOST'))
            if answered is None:
                return self._chat(environ, start_response)
        else:
            answered = self.content.answer(method, path.encode('latin-1').decode('utf-8', 'replace'))
        start_response(f'{answered.status} {answered.phrase}', answered.headers)
        return [] if method == 'HEAD' else [answered.body]
