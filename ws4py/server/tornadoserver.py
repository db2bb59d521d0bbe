"""WebSockets in a Tornado application.

::

    application = Application([('/ws', WebSocketHandler, {'handler_cls': EchoWebSocket})])

:class:`WebSocketHandler` is a request handler like any other up to the upgrade: ``prepare()`` and whatever else a
subclass or a mixin overrides may refuse the request or set cookies. Its ``get()`` has the request judged
(:mod:`ws4py.policy`), answers it, and takes the stream away from Tornado's HTTP. From then on a
:class:`ws4py.iostream.StreamDriver` drives the websocket, in the thread of the IOLoop, where its hooks are called,
plain or ``async def``. Any thread may send.

The head of the request is read by Tornado: it takes a bare LF for the end of a line, drops a client whose head has more
than ``max_header_size`` bytes (an argument of ``HTTPServer``, 64 KiB by default) without an answer, and gives the head
``idle_connection_timeout`` seconds, an hour by default. A server on the open internet should be given a
shorter one. All other limits, and those of the connection, are those of :class:`ws4py.limits.Limits`.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import time
from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING, Any, Callable, Optional, Union
from weakref import WeakKeyDictionary

from tornado.iostream import IOStream, StreamClosedError
from tornado.web import Application, RequestHandler

from ws4py import async_websocket, broadcasting, closecode, timers
from ws4py.admission import Admission
from ws4py.exc import HTTPError
from ws4py.extensions import Configured
from ws4py.handshake import Accepted, Refused, environ_of
from ws4py.http11 import Address, Request
from ws4py.iostream import StreamDriver, StreamSocket
from ws4py.limits import Limits
from ws4py.messaging import Message, Payload
from ws4py.outbox import BLOCK
from ws4py.policy import Policy, Terms, failure
from ws4py.websocket import WebSocket

if TYPE_CHECKING:
    from typing_extensions import Unpack

__all__ = ['WebSocketHandler', 'broadcast', 'close_all']

logger = logging.getLogger('ws4py')

LINGER = 1.0  # seconds that a refused client may go on sending, so that it gets to read why

_connections: WeakKeyDictionary[Application, dict[WebSocket, asyncio.Future[None]]] = WeakKeyDictionary()
_admissions: WeakKeyDictionary[Application, Admission] = WeakKeyDictionary()


class WebSocketHandler(RequestHandler):
    """A route whose requests become websockets (RFC 6455 section 4.2)."""

    def initialize(
        self,
        handler_cls: Callable[..., WebSocket] = WebSocket,
        protocols: Optional[Collection[str]] = None,
        extensions: Optional[Collection[Configured]] = None,
        heartbeat_freq: Optional[float] = None,
        **terms: Unpack[Terms],
    ) -> None:
        """Take the arguments of the route.

        :param handler_cls: called with (sock, protocols, extensions, environ) for the websocket of each connection: a
            subclass of :class:`~ws4py.websocket.WebSocket`, or anything that returns one. An
            :exc:`ws4py.exc.HTTPError` that it raises is the refusal.
        :param protocols: names of the subprotocols that are supported.
        :param extensions: those that are accepted: ``['permessage-deflate']``, or as in :mod:`ws4py.extensions`.
        :param heartbeat_freq: seconds between unsolicited pongs, None for none.
        :param terms: who may connect and on what terms (``origins``, ``process_request``, ``limits``, …): these, and
            the two first, are described at :class:`ws4py.policy.Policy`. Connections that ``limits`` bounds in number
            are counted for the application, on all of its routes together.
        """
        self.handler_cls = handler_cls
        self.policy = Policy(protocols, extensions, heartbeat_freq=heartbeat_freq, **terms)

    async def get(self, *args: str, **kwargs: str) -> None:
        """Answer the request; the groups of the route's pattern are in ``path_args`` and ``path_kwargs``."""
        try:
            request = self.policy.resolve(self._parse(self.policy.bounds))
            answer = await self.policy.decide_async(request)
            if isinstance(answer, Accepted):
                self._accept(request, answer)
        except HTTPError as error:
            answer = failure(error, self.request.remote_ip)
        if isinstance(answer, Refused):
            await self._refuse(answer)

    head = post = delete = patch = put = options = get

    def make_websocket(
        self, sock: Any, protocols: list[str], extensions: list[Any], environ: dict[str, Any]
    ) -> WebSocket:
        """Make the websocket of a connection; may be overridden, to give it what this handler knows."""
        return self.handler_cls(sock, protocols, extensions, environ)

    async def _refuse(self, refused: Refused) -> None:
        self.set_status(refused.status, refused.phrase or None)
        for name in {name for name, _ in refused.headers}:
            self.clear_header(name)
        for name, value in refused.headers:
            self.add_header(name, value)
        with contextlib.suppress(StreamClosedError):
            await self.finish(refused.body or None)  # with a status that has no body b'' is one too many
            await _hang_up(self.detach())  # what follows a refused upgrade is no request

    def _accept(self, request: Request, answer: Accepted) -> None:
        stream: IOStream = self.request.connection.stream  # type: ignore[union-attr]  # it is one of HTTP/1
        try:
            sock = StreamSocket(stream)
            admission = _admissions.setdefault(self.application, Admission())
            websocket = admission.admit(self.policy, request, answer, lambda: self._make(sock, request, answer))
        except OSError as error:  # it has no address any more
            logger.info('the client has gone: %s', error)
            return
        taken = {name.lower() for name, _ in answer.headers} | {'content-type', 'content-length'}
        answer.headers.extend(header for header in self._own_headers() if header[0].lower() not in taken)
        response = answer.build()

        connections = _connections.setdefault(self.application, {})
        ended = asyncio.get_running_loop().create_future()

        def lost() -> None:
            del connections[websocket]
            ended.set_result(None)

        driver = StreamDriver(websocket, lost)
        self.detach()
        connections[websocket] = ended
        try:
            self.set_status(101)
            with contextlib.suppress(OSError):  # gone at this moment, which reading will tell
                websocket.sock.send(response)
            self.application.log_request(self)
            self.on_finish()
        finally:
            driver.start()

    def _make(self, sock: StreamSocket, request: Request, answer: Accepted) -> WebSocket:
        """
        :raises OSError: the client has gone.
        """
        server, client = sock.getsockname(), sock.getpeername()
        if isinstance(client, tuple):
            client = (self.request.remote_ip, *client[1:])  # which a trusted proxy may have told
        environ = environ_of(request, secure=self.request.protocol == 'https', server=server, client=client)
        environ.update(request.environ)
        websocket: Any = self.make_websocket(sock, answer.protocols, answer.extensions, environ)
        websocket.headers = request.headers
        made: WebSocket = websocket
        return made

    def _parse(self, limits: Limits) -> Request:
        """The request, judged as if its head were still there.

        :raises HTTPError: it is malformed or over a limit.
        """
        request = self.request
        lines = [f'{request.method} {request.uri} {request.version}']
        lines += [f'{name}: {value}' for name, value in request.headers.get_all()]
        head = '\r\n'.join([*lines, '', '']).encode('latin-1', 'replace')
        return Request.parse(head, limits, peer_address=self._peer_address(), secure=request.protocol == 'https')

    def _peer_address(self) -> Address:
        address = self.request.connection.context.address  # type: ignore[union-attr]  # as above
        if not isinstance(address, tuple):
            return ''
        return self.request.remote_ip or address[0], address[1]

    def _own_headers(self) -> Iterable[tuple[str, str]]:
        """Headers and cookies that a subclass has set. Tornado tells them in no other way than this."""
        yield from self._headers.get_all()
        for cookie in getattr(self, '_new_cookie', {}).values():
            yield 'Set-Cookie', cookie.OutputString(None)


async def close_all(
    application: Application,
    code: int = closecode.GOING_AWAY,
    reason: str = 'Server is shutting down',
    spread: float = 0.0,
) -> None:
    """Close all websockets of *application*, those too that come meanwhile, and wait until each has ended.

    To be called in the thread of its IOLoop, after ``HTTPServer.stop()``. Peers have their close timeout to answer,
    and a ``closed()`` that is a coroutine as long again.

    :param spread: seconds over which the closes are spread evenly, the oldest connection first, so that clients do not
        come back all at once.
    """
    connections = _connections.get(application, {})
    begin = time.monotonic()
    while connections:
        for websocket, delay in zip(list(connections), timers.spread(len(connections), spread)):
            if delay and connections:  # who have gone, or were closed by another call, are not waited for
                await asyncio.wait(connections.values(), timeout=max(0.0, begin + delay - time.monotonic()))
            try:
                websocket.close(code, reason)
            except Exception:
                logger.exception('%r could not be closed', websocket)
        spread = 0.0  # who came meanwhile
        if not connections:
            return
        patience = 2 * max(websocket.limits.close_timeout for websocket in connections)
        if (await asyncio.wait(connections.values(), timeout=patience))[1]:
            logger.warning('of the websockets %d have not ended within %g s', len(connections), patience)
            return


def broadcast(
    application: Application, message: Union[Payload, Message, Iterable[Payload]], binary: bool = False
) -> None:
    """Send *message* to every websocket of *application*, without waiting for any of them. What fails is logged.

    To be called in the thread of its IOLoop. Arguments as for :func:`ws4py.broadcasting.broadcast`.
    """
    broadcasting.broadcast(list(_connections.get(application, ())), message, binary, async_websocket.PLAIN)


async def _hang_up(stream: IOStream) -> None:
    """Close a stream such that the client gets to read what was written last, though it may still be sending."""

    async def discard() -> None:
        while True:
            await stream.read_bytes(BLOCK, partial=True)
            await asyncio.sleep(0)  # bytes that are there already would not let anybody else come round

    if stream.closed():
        return
    with contextlib.suppress(OSError, asyncio.TimeoutError):
        stream.socket.shutdown(socket.SHUT_WR)
        await asyncio.wait_for(discard(), LINGER)
    stream.close()
