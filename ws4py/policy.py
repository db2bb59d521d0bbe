"""Who may connect to a server, and on what terms: a :class:`Policy`, which every server asks about every request.

::

    Request ─► resolve()   who is behind the proxy?
            ─► ask()       process_request: what does the application say?
            ─► judge()     the opening handshake (ws4py.handshake), with its origins and subprotocols
            ─► Accepted | Refused

:meth:`Policy.decide` does the last two in one go. What is accepted then has to find room
(:mod:`ws4py.admission`). Nothing is read or written here, and any thread may call; the application's hooks are called
in the thread of who asks.

A hook that raises :exc:`~ws4py.exc.HTTPError` refuses. What else it raises is the application's mistake: it is logged
with its traceback, and the client gets a 500 and no detail.
"""

from __future__ import annotations

import functools
import inspect
import ipaddress
import logging
import re
from collections.abc import Awaitable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from types import CoroutineType
from typing import Any, Callable, Optional, TypedDict, Union

from ws4py import WS_VERSION
from ws4py.exc import HTTPError
from ws4py.extensions import Configured
from ws4py.handshake import Accepted, Refused, SelectSubprotocol, refuse, respond
from ws4py.http11 import Address, Request, Response, show, split_list
from ws4py.limits import DEFAULT_LIMITS, Limits

__all__ = ['Policy', 'ProcessRequest', 'Terms', 'failure', 'parse_address']

logger = logging.getLogger('ws4py')

#: What the application says to a request: None goes on with the handshake, a response is the answer instead.
ProcessRequest = Callable[[Request], Union[Response, Awaitable[Optional[Response]], None]]

IPAddress = Union[ipaddress.IPv4Address, ipaddress.IPv6Address]
IPNetwork = Union[ipaddress.IPv4Network, ipaddress.IPv6Network]

UNIX = 'unix'
# An address with or without a port, as proxies write them; an IPv6 address without brackets has no port.
_NODE = re.compile(r'(?:\[([0-9A-Fa-f:.]+)\]|([0-9.]+))(?::([0-9]{1,5}))?')
_SCHEMES = {'https': True, 'wss': True, 'http': False, 'ws': False}


class Terms(TypedDict, total=False):
    """Keyword arguments that every server takes, besides what it takes by position; see :class:`Policy`."""

    origins: Optional[Collection[str]]
    select_subprotocol: Optional[SelectSubprotocol]
    process_request: Union[ProcessRequest, Sequence[ProcessRequest], None]
    trusted_proxies: Collection[Any]
    limits: Optional[Limits]


@dataclass(frozen=True)
class Policy:
    """Who may connect, and on what terms. Immutable; these are the arguments that every server takes.

    :ivar protocols: names of the subprotocols that are supported; the first one that the client lists is selected, and
        a client that offers only others is refused. None leaves the choice out of the handshake.
    :ivar extensions: those that are accepted: ``['permessage-deflate']``, or as in :mod:`ws4py.extensions`.
    :ivar version: the versions to accept, as 0.x had them; only 13 is spoken.
    :ivar origins: values of the Origin header that are let in, in any case of letters but otherwise exact: scheme,
        host, and port if it is not the scheme's own (``https://example.com``); ``'null'``, which a browser sends for
        pages of no origin, has to be named like any other. Others get 403. None lets in every page of every site:
        then anything that cookies alone protect can be reached from a foreign page in the user's browser. A client
        that is no browser sends what it likes, or no Origin and is let in: this protects users, not the server.
    :ivar select_subprotocol: selects the subprotocol in place of the rule for *protocols*: called with the
        :class:`~ws4py.http11.Request` and the list of names that the client offers, it returns one of them or None.
        It may raise :exc:`~ws4py.exc.HTTPError`.
    :ivar process_request: called with each request, also with those that ask for no websocket. None goes on with the
        handshake; a :class:`~ws4py.http11.Response` with a status from 200 to 599 is the answer, be it a page, a
        redirect or a refusal. It may raise HTTPError. On asyncio and Tornado it may be an ``async def``. Several of
        them in a sequence are asked one after the other, until one has an answer. What they put into
        ``request.environ`` is in the environ of the handler.
    :ivar trusted_proxies: addresses and networks (``'10.0.0.0/8'``) of proxies, and ``'unix'`` for every peer on a Unix
        socket. Of a request that one of these sends, the client is the rightmost address of ``X-Forwarded-For``
        that is not one of these, and ``X-Forwarded-Proto`` tells whether it is secure. Anybody else may write
        there what he likes. Name only proxies that add to the first header and replace the second.
    :ivar limits: bounds of the handshake and of the connections, in place of those of the handler's class; also how
        many there may be.
    :ivar heartbeat_freq: seconds between unsolicited pongs, None for none.
    :raises TypeError: *origins* or *trusted_proxies* is a single text.
    :raises ValueError: one of *trusted_proxies* is no address.
    """

    protocols: Optional[Collection[str]] = None
    extensions: Optional[Collection[Configured]] = None
    version: Collection[int] = WS_VERSION
    origins: Optional[Collection[str]] = None
    select_subprotocol: Optional[SelectSubprotocol] = None
    process_request: Union[ProcessRequest, Sequence[ProcessRequest], None] = None
    trusted_proxies: Collection[Any] = ()
    limits: Optional[Limits] = None
    heartbeat_freq: Optional[float] = None

    def __post_init__(self) -> None:
        for name in ('origins', 'trusted_proxies'):
            if isinstance(getattr(self, name), str):
                raise TypeError(f'{name} is {getattr(self, name)!r} (expected a list)')
        self._proxies()

    @property
    def bounds(self) -> Limits:
        """The limits, or the default ones."""
        return self.limits or DEFAULT_LIMITS

    # Who it is

    def resolve(self, request: Request) -> Request:
        """The request as its client sent it, if a trusted proxy passed it on; else the same.

        The environ of the handler will show that client, too. What a proxy says and nobody can understand is logged.
        """
        if not self.trusted_proxies or not self._trusts(request.peer_address):
            return request
        client, secure, environ = request.peer_address, request.secure, dict(request.environ)
        forwarded = self._forwarded_for(request)
        if forwarded is not None:
            client = forwarded
            environ['REMOTE_ADDR'], port = forwarded
            environ['REMOTE_PORT'] = str(port or '')
            environ['ws4py.peer_address'] = forwarded
        schemes = split_list(request.headers.get_all('X-Forwarded-Proto'))
        if schemes and schemes[-1].lower() in _SCHEMES:
            secure = _SCHEMES[schemes[-1].lower()]
            environ['wsgi.url_scheme'], environ['HTTPS'] = ('https', 'on') if secure else ('http', 'off')
        elif schemes:
            _log_garbage(request, 'X-Forwarded-Proto', schemes[-1])
        return replace(request, peer_address=client, secure=secure, environ=environ)

    def _forwarded_for(self, request: Request) -> Optional[tuple[str, int]]:
        """The client that is not one of the proxies; what is left of it, or of garbage, may come from anybody."""
        client = None
        for entry in reversed(split_list(request.headers.get_all('X-Forwarded-For'))):
            node = _NODE.fullmatch(entry)
            host, port = (node[1] or node[2], int(node[3] or 0)) if node else (entry, 0)
            address = parse_address(host)
            if address is None:
                _log_garbage(request, 'X-Forwarded-For', entry)
                break
            client = str(address), port
            if not self._trusts(client):
                break
        return client

    def _trusts(self, peer: Address) -> bool:
        unix, networks = self._proxies()
        if isinstance(peer, tuple):
            address = parse_address(peer[0])
            return address is not None and any(address in network for network in networks)
        return unix and peer is not None

    def _proxies(self) -> tuple[bool, list[IPNetwork]]:
        return _parse_proxies(tuple(map(str, self.trusted_proxies)))

    # What the application says

    def ask(self, request: Request, *, awaited: bool) -> Any:
        """Call ``process_request``.

        :param awaited: the caller will await what can be awaited.
        :returns: what it gave: None, a response, something for :meth:`judge` to find fault with, or an awaitable of
            one of these.
        :raises TypeError: it gave an awaitable, and nobody will await it.
        :raises Exception: what it raises.
        """
        hooks = iter(self._hooks())
        for hook in hooks:
            answer = hook(request)
            if inspect.isawaitable(answer):
                if awaited:
                    return _ask_on(answer, hooks, request)
                if isinstance(answer, CoroutineType):
                    answer.close()
                raise TypeError(f'{hook!r} is a coroutine function, which only asyncio and Tornado can run')
            if answer is not None:
                return answer
        return None

    def _hooks(self) -> Sequence[ProcessRequest]:
        hooks = self.process_request
        return () if hooks is None else (hooks,) if callable(hooks) else hooks

    # The decision

    def judge(self, request: Request, answer: Any = None) -> Union[Accepted, Refused]:
        """Take the *answer* of the application, if there is one, else judge the handshake.

        :raises TypeError: the answer is none.
        :raises Exception: what ``select_subprotocol`` raises, but not an HTTPError.
        """
        if answer is None:
            decision = respond(
                request,
                self.protocols,
                self.extensions,
                self.version,
                origins=self.origins,
                select_subprotocol=self.select_subprotocol,
            )
            if isinstance(decision, Refused):
                _log_refusal(request.peer_address, decision.status, decision.reason)
            return decision
        if not isinstance(answer, Response) or not 200 <= answer.status <= 599:
            raise TypeError(f'process_request gave {answer!r} (expected None or a final Response)')
        whole = answer.complete()
        return Refused(whole.status, whole.headers.items(), 'the application has answered', whole.body, whole.phrase)

    def decide(self, request: Request) -> Union[Accepted, Refused]:
        """Ask the application and judge the request, where nobody can await a coroutine."""
        try:
            return self.judge(request, self.ask(request, awaited=False))
        except Exception as error:
            return failure(error, request.peer_address)

    async def decide_async(self, request: Request) -> Union[Accepted, Refused]:
        """The same where a coroutine can be awaited."""
        try:
            answer = self.ask(request, awaited=True)
            if inspect.isawaitable(answer):
                answer = await answer
            return self.judge(request, answer)
        except Exception as error:
            return failure(error, request.peer_address)


def failure(error: BaseException, peer: Address = None) -> Refused:
    """The answer to what was raised: an HTTPError says it, anything else is logged and nothing of it told."""
    if isinstance(error, HTTPError):
        _log_refusal(peer, error.status, error.msg)
        return refuse(error.status, error.msg)
    logger.error('a request of %s failed', peer, exc_info=error)
    return refuse(500, 'the server has failed')


def parse_address(text: str) -> Optional[IPAddress]:
    """An IP address, or None if it is none; of an IPv4 one in IPv6's clothes (``::ffff:192.0.2.1``) what it is."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    return getattr(address, 'ipv4_mapped', None) or address


async def _ask_on(answer: Awaitable[Any], hooks: Iterator[ProcessRequest], request: Request) -> Any:
    """Await the *answer* of a hook, and ask the others if it is None."""
    found = await answer
    for hook in hooks:
        if found is not None:
            break
        found = hook(request)
        if inspect.isawaitable(found):
            found = await found
    return found


@functools.lru_cache(maxsize=64)  # some servers make a policy for each request
def _parse_proxies(names: tuple[str, ...]) -> tuple[bool, list[IPNetwork]]:
    return UNIX in names, [ipaddress.ip_network(name) for name in names if name != UNIX]


def _log_refusal(peer: Address, status: int, reason: str) -> None:
    logger.info('%s refused with %d, %s', peer, status, reason)


def _log_garbage(request: Request, name: str, found: str) -> None:
    logger.warning('%s passed on %s: %s, which nobody understands', request.peer_address, name, show(found))
