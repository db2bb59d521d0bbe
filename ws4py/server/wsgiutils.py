"""The opening handshake as a WSGI application, for servers that can give away the connection of a request.

The application judges the request (:mod:`ws4py.policy`), makes the websocket and answers 101, or answers
with the status that says why not. It runs in whatever thread the server calls it in, never touches the socket itself,
and does not run the websocket: that is the server's part, which

- puts the socket of the request into the environ as ``ws4py.socket`` (``wsgi.input`` may wrap it beyond recognition),
- when the response is out, takes ``ws4py.socket`` and ``ws4py.websocket`` out of the environ again, and if there is
  a websocket leaves the socket open and gives the websocket to a manager, or to a thread or greenlet that runs it.

PEP 3333 keeps Upgrade and Connection, which are hop-by-hop headers, from applications; such a server lets them pass.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING, Any, Callable, Optional

from ws4py.admission import Admission
from ws4py.exc import HTTPError
from ws4py.extensions import Configured
from ws4py.handshake import Accepted, Refused, request_from_environ
from ws4py.http11 import Request
from ws4py.policy import Policy, Terms, failure
from ws4py.websocket import WebSocket

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment
    from typing_extensions import Unpack

__all__ = ['WebSocketWSGIApplication']


class WebSocketWSGIApplication:
    """A WSGI application that accepts WebSocket connections (RFC 6455 section 4.2).

    :param protocols: names of the subprotocols that are supported.
    :param extensions: those that are accepted: ``['permessage-deflate']``, or as in :mod:`ws4py.extensions`.
    :param handler_cls: called with (sock, protocols, extensions, environ) for the websocket of each connection: a
        subclass of :class:`~ws4py.websocket.WebSocket`, or anything that returns one. An
        :exc:`~ws4py.exc.HTTPError` that it raises is the refusal.
    :param heartbeat_freq: seconds between unsolicited pongs, None for none.
    :param terms: who may connect and on what terms (``origins``, ``process_request``, ``limits``, …): these, and the
        first two, are described at :class:`ws4py.policy.Policy`.
    :ivar policy: all of that.
    :ivar admission: counts the connections that ``limits`` bounds in number.

    One object may serve any number of threads.
    """

    def __init__(
        self,
        protocols: Optional[Collection[str]] = None,
        extensions: Optional[Collection[Configured]] = None,
        handler_cls: Callable[..., WebSocket] = WebSocket,
        *,
        heartbeat_freq: Optional[float] = None,
        **terms: Unpack[Terms],
    ) -> None:
        self.policy = Policy(protocols, extensions, heartbeat_freq=heartbeat_freq, **terms)
        self.admission = Admission()
        self.handler_cls = handler_cls

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request.

        :raises RuntimeError: the server did not provide ``ws4py.socket``.
        """
        try:
            request = self.policy.resolve(request_from_environ(environ))
            answer = self.policy.decide(request)
            if isinstance(answer, Accepted):
                self._accept(request, answer, environ)
        except HTTPError as error:
            answer = failure(error, environ.get('REMOTE_ADDR'))
        start_response(answer.status_line, answer.headers)
        return [answer.body] if isinstance(answer, Refused) and environ.get('REQUEST_METHOD') != 'HEAD' else []

    def _accept(self, request: Request, accepted: Accepted, environ: WSGIEnvironment) -> None:
        if 'ws4py.socket' not in environ:
            raise RuntimeError(
                "no 'ws4py.socket' in the environ: this WSGI server does not give away its connections, "
                'use one from ws4py.server'
            )
        environ.update(request.environ)

        def make() -> WebSocket:
            self.make_websocket(environ['ws4py.socket'], accepted.protocols, accepted.extensions, environ)
            websocket: WebSocket = environ['ws4py.websocket']
            return websocket

        self.admission.admit(self.policy, request, accepted, make)

    def make_websocket(
        self, sock: Any, protocols: list[str], extensions: list[Any], environ: dict[str, Any]
    ) -> WebSocket:
        """Make the websocket of a connection and put it into *environ* as ``ws4py.websocket``; may be overridden.

        :param protocols: the subprotocol that was negotiated, none or one.
        :param environ: that of the request; the websocket gets a copy.
        """
        websocket = self.handler_cls(sock, protocols, extensions, environ.copy())
        environ['ws4py.websocket'] = websocket
        return websocket
