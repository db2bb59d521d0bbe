"""The demo as one WSGI application, for wsgiref, gevent, and any other server that gives away its connections."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Optional

from ws4py.demo.content import Content
from ws4py.demo.site import DemoSite
from ws4py.server.wsgiutils import WebSocketWSGIApplication

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

__all__ = ['DemoApplication']


class DemoApplication:
    """The demo, its pages and its websockets; safe from any thread.

    :param content: what there is besides the echo; the page and the chat by default.
    """

    def __init__(self, content: Optional[Content] = None) -> None:
        self.site = DemoSite(content)
        self._websockets = {
            path: WebSocketWSGIApplication(handler_cls=handler) for path, handler in self.site.handlers.items()
        }

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        method = environ['REQUEST_METHOD']
        path = (environ.get('PATH_INFO') or '/').encode('latin-1').decode('utf-8', 'replace')
        answered = self.site.answer(method, path, environ.get('HTTP_ORIGIN'), environ.get('HTTP_HOST'))
        if answered is None:
            return self._websockets[path](environ, start_response)
        start_response(f'{answered.status} {answered.phrase}', answered.headers)
        return [] if method == 'HEAD' else [answered.body]
