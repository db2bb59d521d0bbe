"""The opening handshake as a WSGI application, for servers that can give away the connection of a request.

The application judges the request (:func:`ws4py.handshake.respond`), makes the websocket and answers 101, or answers
with the status that says why not. It runs in whatever thread the server calls it in, never touches the socket itself,
and does not run the websocket: that is the server's part, which

- puts the socket of the request into the environ as ``ws4py.socket`` (``wsgi.input`` may wrap it beyond recognition),
- when the response is out, takes ``ws4py.socket`` and ``ws4py.websocket`` out of the environ again, and if there is
  a websocket leaves the socket open and gives the websocket to a manager, or to a thread or greenlet that runs it.

PEP 3333 keeps Upgrade and Connection, which are hop-by-hop headers, from applications; such a server lets them pass.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Callable, Optional, Union

from ws4py.exc import HTTPError
from ws4py.extensions import Configured
from ws4py.handshake import Accepted, Refused, refuse, request_from_environ, respond
from ws4py.limits import Limits
from ws4py.websocket import WebSocket

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

__all__ = ['WebSocketWSGIApplication']


class WebSocketWSGIApplication:
    """A WSGI application that accepts WebSocket connections (RFC 6455 section 4.2).

    :param protocols: names of the subprotocols that are supported; the first one that the client lists is chosen, and
        a client that offers only others is refused. None leaves the choice out of the handshake.
    :param extensions: those that are accepted: ``['permessage-deflate']``, or as in :mod:`ws4py.extensions`.
    :param handler_cls: called with (sock, protocols, extensions, environ) for the websocket of each connection: a
        subclass of :class:`~ws4py.websocket.WebSocket`, or anything that returns one.
    :param origins: values of the Origin header that are let in, others get 403. None lets in every page of every
        site: then anything that cookies alone protect can be reached from a foreign page in the user's browser.
    :param limits: bounds of these connections, in place of those of *handler_cls*.

    It keeps nothing of a request: one object may serve any number of threads.
    """

    def __init__(
        self,
        protocols: Optional[Sequence[str]] = None,
        extensions: Optional[Collection[Configured]] = None,
        handler_cls: Callable[..., WebSocket] = WebSocket,
        *,
        origins: Optional[Sequence[str]] = None,
        limits: Optional[Limits] = None,
    ) -> None:
        self.protocols = protocols
        self.extensions = extensions
        self.handler_cls = handler_cls
        self.origins = origins
        self.limits = limits

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request.

        :raises RuntimeError: the server did not provide ``ws4py.socket``.
        """
        try:
            request = request_from_environ(environ)
        except HTTPError as error:
            answer: Union[Accepted, Refused] = refuse(error.status, error.msg)
        else:
            answer = respond(request, self.protocols, self.extensions, origins=self.origins)
        if isinstance(answer, Refused):
            start_response(answer.status_line, answer.headers)
            return [answer.body]
        if 'ws4py.socket' not in environ:
            raise RuntimeError(
                "no 'ws4py.socket' in the environ: this WSGI server does not give away its connections, "
                'use one from ws4py.server'
            )
        self.make_websocket(environ['ws4py.socket'], answer.protocols, answer.extensions, environ)
        environ['ws4py.websocket'].use_extensions(answer.codecs)
        start_response(answer.status_line, answer.headers)
        return []

    def make_websocket(
        self, sock: Any, protocols: list[str], extensions: list[Any], environ: dict[str, Any]
    ) -> WebSocket:
        """Make the websocket of a connection and put it into *environ* as ``ws4py.websocket``; may be overridden.

        :param protocols: the subprotocol that was negotiated, none or one.
        :param environ: that of the request; the websocket gets a copy.
        """
        websocket = self.handler_cls(sock, protocols, extensions, environ.copy())
        if self.limits is not None:
            websocket.limits = self.limits
        environ['ws4py.websocket'] = websocket
        return websocket
