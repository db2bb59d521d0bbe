"""The client's end of a connection: find the server, shake hands, and then be a WebSocket like any other.

:class:`WebSocketBaseClient` makes its socket when it is constructed; :meth:`~WebSocketBaseClient.connect` connects it,
adds TLS where the URL asks for it, and does the opening handshake (RFC 6455 section 4.1), all in the thread that calls
it and within the times that :class:`ws4py.limits.Limits` gives. Afterwards
:meth:`~WebSocketBaseClient.handshake_ok` says that there is a connection. Nobody reads from it yet: a subclass starts
a thread (:mod:`ws4py.client.threadedclient`), a program adds it to a :class:`ws4py.manager.WebSocketManager` or calls
its blocking :meth:`~ws4py.websocket.WebSocket.run`.

Clients on an event loop have a :meth:`~WebSocketBaseClient.connect` of their own and no socket before that. They share
everything else: the arguments, the request, TLS, and the judgement of the response, which is fed to
:meth:`~WebSocketBaseClient._feed_response` as it comes.

Redirects are followed, and proxies gone through, where that is asked for. It does not connect again by itself
(:mod:`ws4py.reconnecting` does); calling ``__init__`` again gives the object a fresh connection. What the bytes of a
handshake mean is decided in :mod:`ws4py.handshake`.
"""

from __future__ import annotations

import dataclasses
import os
import socket
import ssl
import sys
from collections.abc import Generator, Mapping, Sequence
from typing import Any, Optional, Union
from urllib.parse import urljoin

from ws4py import WS_VERSION, __version__
from ws4py.addresses import interleave
from ws4py.cookies import Cookies, CookieSource
from ws4py.exc import BrokenOffError, HandshakeError
from ws4py.extensions import Codec, Configured, offer
from ws4py.handshake import check_response, generate_key, response_reader
from ws4py.http11 import Headers, Request, Response, build_token_list, show
from ws4py.limits import Limits
from ws4py.opening import Deadline
from ws4py.proxies import basic, choose
from ws4py.state import Event, State, after
from ws4py.tunnels import check_installed, open_tunnel
from ws4py.uri import URI, parse
from ws4py.websocket import WebSocket

__all__ = ['WebSocketBaseClient']

SSL_OPTIONS = frozenset(
    ('cert_reqs', 'ca_certs', 'certfile', 'keyfile', 'ciphers', 'server_hostname', 'ssl_context'),
)
FILES = ('ca_certs', 'certfile', 'keyfile', 'ciphers')  # of these, what may be of no use only when it is used
CLOSED = 'the client was closed'
USER_AGENT = f'ws4py/{__version__} Python/{sys.version_info[0]}.{sys.version_info[1]}'
WEBSOCKET_SCHEMES = {'http': 'ws', 'https': 'wss'}
REDIRECTS = (301, 302, 303, 307, 308)
CREDENTIALS = ('authorization', 'cookie', 'proxy-authorization')  # headers that are for one origin only
SWITCHING_PROTOCOLS = b'HTTP/1.1 101 Switching Protocols\r\n'


class WebSocketBaseClient(WebSocket):
    """A WebSocket client that somebody else drives (RFC 6455 section 4.1).

    :param url: ``ws://``, ``wss://``, ``ws+unix:///path/of.sock`` or ``wss+unix://…``.
    :param protocols: names of the subprotocols to offer, the preferred one first.
    :param extensions: the extensions to offer: :class:`~ws4py.permessage_deflate.PerMessageDeflate` or its name, and
        others, see :mod:`ws4py.extensions`.
    :param heartbeat_freq: seconds between unsolicited pongs, None for none.
    :param ssl_options: for TLS, over those of :attr:`default_ssl_options`: ``ca_certs`` (file), ``cert_reqs``
        (``ssl.CERT_NONE`` trusts anybody), ``certfile``, ``keyfile``, ``ciphers``, ``server_hostname``; or
        ``ssl_context``, an ``ssl.SSLContext`` in place of all but the last.
    :param headers: more headers for the request, (name, value) pairs; one named like a computed header replaces it.
    :param exclude_headers: names of computed headers that are not sent.
    :param limits: bounds of this connection, else those of the class. Where ``__init__`` is called again without
        *limits*, *max_redirects* or *proxy*, what it was given before stays; all other arguments are those of the call.
    :param max_redirects: so many redirects of the server are followed, one after the other; none by default. Afterwards
        ``url`` says where they have led to. Nobody is led from wss to ws, to another scheme, or away from a Unix
        socket; and headers with credentials (Authorization, Cookie) and those of the URL go to no other origin.
    :param proxy: the URL of a proxy to go through, ``http://name:password@host:port`` or ``socks5://…`` (``socks5h``,
        ``socks4``, ``socks4a``; needs the extra ``ws4py[socks]``), which finds the server's address; True for the one
        that the environment names, in ``https_proxy``, ``http_proxy``, ``all_proxy`` and ``no_proxy``. None by default,
        and always to a Unix socket.
    :param cookies: names and values, which are sent as a ``Cookie`` header, and on a redirect to the same origin only;
        or an :class:`http.cookiejar.CookieJar`, which decides where each of its cookies is sent, and which takes those
        that the server sets with any answer. Like every computed header, it gives way to a ``Cookie`` in *headers*.
    :raises ValueError: the URL is not one of a WebSocket, or that of the proxy not one of a proxy, or CR, LF or NUL is
        in what would be sent, or a semicolon in a cookie, see :mod:`ws4py.cookies`.
    :raises TypeError: an unknown key in *ssl_options*, or *cookies* are something else.
    :raises ImportError: *proxy* is one of SOCKS, and ``python-socks`` is not there.

    ``resource``, ``key``, ``extra_headers`` and the other attributes may be changed before :meth:`connect`, in one
    thread; from then on it is as safe as a :class:`~ws4py.websocket.WebSocket`. Certificates and host names are
    verified unless the options say otherwise.

    :ivar protocols: what was offered; after the handshake a list of bytes, what the server chose. The same goes for
        ``extensions``.
    """

    #: TLS options of every client of this class, for those that are constructed without any of their own.
    default_ssl_options: Mapping[str, Any] = {}

    #: How many redirects are followed.
    max_redirects = 0

    #: The proxy to go through, see the parameter.
    proxy: Union[str, bool, None] = None

    _is_client = True
    _socket_first = True  # the constructor makes a socket, as those of ws4py 0.x do; not so on event loops

    def __init__(
        self,
        url: str,
        protocols: Optional[Sequence[str]] = None,
        extensions: Optional[Sequence[Configured]] = None,
        heartbeat_freq: Optional[float] = None,
        ssl_options: Optional[Mapping[str, Any]] = None,
        headers: Optional[Sequence[tuple[str, str]]] = None,
        exclude_headers: Optional[Sequence[str]] = None,
        *,
        limits: Optional[Limits] = None,
        max_redirects: Optional[int] = None,
        proxy: Union[str, bool, None] = None,
        cookies: CookieSource = None,
    ) -> None:
        self._cookies = Cookies(cookies)
        if proxy is not None:
            self.proxy = proxy
        self._go_to(url, parse(url))
        if max_redirects is not None:
            self.max_redirects = max_redirects
        self._redirects = 0  # those that were followed
        self.ssl_options = _merge_ssl_options(self.default_ssl_options, ssl_options or {})
        self.extra_headers = list(headers or ())
        self.exclude_headers = list(exclude_headers or ())
        self.key = generate_key()
        if limits is not None:
            self.limits = limits
        self.protocols, self.extensions = list(protocols or ()), list(extensions or ())
        self._build_request(self._computed_headers())  # says what cannot be sent while there is no socket yet
        if self.sock is not None:  # called again while the last connection is still there
            self._abandon()
        super().__init__(
            self._first_socket(), protocols=self.protocols, extensions=self.extensions, heartbeat_freq=heartbeat_freq
        )
        self.state = State.CONNECTING
        self._agreed: tuple[Codec, ...] = ()  # what the extensions do that the server has accepted
        self._response: Optional[Generator[int, Optional[bytes], tuple[bytes, bytes]]] = None
        self._response_begun = False
        self._prepare()

    def _go_to(self, url: str, uri: URI) -> None:
        """Take *url* apart into the attributes that may be changed before :meth:`connect`."""
        self._uri = uri
        self.url = url
        self.scheme = uri.scheme
        self.host = uri.host
        self.port = uri.port
        self.unix_socket_path = uri.unix_socket_path
        self.resource = uri.resource
        self._via = choose(self.proxy, uri)
        if self._via is not None:
            check_installed(self._via)

    def _prepare(self) -> None:
        """Called by every ``__init__``, also by one that is called again: what a subclass needs for a connection."""

    def _abandon(self) -> None:
        """Let go of the last connection, with its timers and whoever drives it; its closed() is not called (again)."""
        self._ended = True
        timer, self._close_timer = self._close_timer, None
        if timer is not None:
            timer.cancel()
        self.detach()
        self.close_connection()

    # ---- the request -------------------------------------------------------------------------------------------------

    @property
    def bind_addr(self) -> Any:
        """Where the server is: the path of its Unix socket, or a (host, port) pair."""
        return self.unix_socket_path or (self.host, self.port)

    @property
    def handshake_headers(self) -> list[tuple[str, str]]:
        """The headers of the request, as (name, value) pairs. May be overridden."""
        return self._computed_headers()

    @property
    def _dialed(self) -> tuple[str, Optional[int]]:
        """Host and port to connect to: those of the proxy, if there is one."""
        return (self.host, self.port) if self._via is None else (self._via.host, self._via.port)

    @property
    def _destination(self) -> URI:
        """The URL with the host and the port that the application may have changed."""
        return dataclasses.replace(self._uri, host=self.host, port=self.port)

    @property
    def _http_url(self) -> str:
        """The URL as one of HTTP: what a redirect is relative to, and what cookies go by."""
        return f'{self._uri.http_scheme}://{self._destination.host_header}{self.resource}'

    def _computed_headers(self) -> list[tuple[str, str]]:
        host = self._destination.host_header
        computed = [
            ('Host', host),
            ('Connection', 'Upgrade'),
            ('Upgrade', 'websocket'),
            ('Sec-WebSocket-Key', self.key.decode('latin-1')),
            ('Sec-WebSocket-Version', str(max(WS_VERSION))),
            ('Origin', f'{self._uri.http_scheme}://{host}'),
            ('User-Agent', USER_AGENT),
        ]
        if self.protocols:
            computed.append(('Sec-WebSocket-Protocol', build_token_list(map(_text, self.protocols))))
        if self.extensions:
            computed.append(('Sec-WebSocket-Extensions', offer(self.extensions)))
        if self._uri.username is not None:
            computed.append(('Authorization', basic(self._uri)))
        cookie = self._cookies.header(self._http_url)
        if cookie is not None:
            computed.append(('Cookie', cookie))
        extra = [(_text(name), _text(value)) for name, value in self.extra_headers]
        hidden = {name.lower() for name, _ in extra} | {name.lower() for name in self.exclude_headers}
        return [header for header in computed if header[0].lower() not in hidden] + extra

    @property
    def handshake_request(self) -> bytes:
        """The request as it goes out.

        :raises ValueError: the resource or a header holds what would break the request (CR, LF, NUL).
        """
        return self._build_request(self.handshake_headers)

    def _build_request(self, headers: list[tuple[str, str]]) -> bytes:
        return Request('GET', self.resource, (1, 1), Headers(headers)).build()

    # ---- connecting --------------------------------------------------------------------------------------------------

    def connect(self) -> None:
        """Connect and do the opening handshake; returns when it is done, after :meth:`handshake_ok`.

        Each address of the host is tried. On failure the socket is closed and ``sock`` is None: ``__init__`` makes
        the object fit for another try.

        :raises HandshakeError: the server's answer is not what RFC 6455 section 4.1 asks for, or the proxy has opened
            no tunnel. :exc:`~ws4py.exc.BrokenOffError` is the one for an answer that did not come, or not in time, and
            for a ``close()`` meanwhile.
        :raises OSError: no connection to the server (``ConnectionRefusedError``, a timeout, …), or TLS could not be
            established (``ssl.SSLError``, with ``ssl.SSLCertVerificationError`` below it). Where a file or the ciphers
            of *ssl_options* are of no use, it is a ValueError as well, and its text names them.
        :raises ValueError: something that would be sent holds CR, LF or NUL; nothing was sent.
        :raises RuntimeError: it was called before; what there is of a connection stays as it is.
        """
        self._check_connecting()
        try:
            request = self.handshake_request
            timeout = self.sock.gettimeout()
            while True:
                try:
                    self._connect_socket()
                    self._shake_hands(request)
                    break
                except Redirected as redirected:
                    self.close_connection()
                    request = self._follow(redirected)
                    self.sock = self._first_socket()
            self.sock.settimeout(timeout)
        except BaseException as error:
            self._give_up()
            if self.closed_by_us and isinstance(error, Exception):  # whatever became of a socket that was taken away
                raise broken_off(CLOSED) from error
            raise
        self.handshake_ok()

    def _check_connecting(self) -> None:
        """:raises RuntimeError: there was a connection before, or an attempt at one."""
        if self.state is not State.CONNECTING or (self.sock is None and self._socket_first):
            raise RuntimeError(f'this client is {self.state.value}, call __init__ again before connect')

    def _give_up(self) -> None:
        """connect() has failed."""
        self.close_connection()
        self.state = after(self.state, Event.ENDED)

    def handshake_ok(self) -> None:
        """Called by :meth:`connect` when the connection is open; to be overridden by what drives it."""

    @property
    def _sockets(self) -> Any:
        """The module whose sockets are used; a client on a framework that has sockets of its own names that one."""
        return socket

    def _first_socket(self) -> Any:
        """The socket that connect() uses first. That the host has no address is for connect() to say."""
        if not self._socket_first:
            return None
        self._addresses = self._resolve() if self.unix_socket_path is None else []
        if self.unix_socket_path is not None:
            return self._sockets.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        for family, kind, protocol, _, _ in self._addresses:
            return self._tcp_socket(family, kind, protocol)
        return self._tcp_socket(socket.AF_INET, socket.SOCK_STREAM, 0)

    def _tcp_socket(self, family: int, kind: int, protocol: int) -> Any:
        """A socket that sends small frames at once (Nagle's algorithm would hold them back)."""
        sock = self._sockets.socket(family, kind, protocol)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return sock

    def _resolve(self) -> list[Any]:
        try:
            found = self._sockets.getaddrinfo(*self._dialed, socket.AF_UNSPEC, socket.SOCK_STREAM)
            return interleave(found)
        except OSError:
            return []

    def _connect_socket(self) -> None:
        """Try the constructor's socket with the host's name, then each further address with a new one."""
        sock = self.sock
        try:
            self._connect_to(self.unix_socket_path or self._dialed, sock)
            return
        except OSError as error:
            if self.unix_socket_path is not None:
                raise
            failure = error
        # A name that had no address in the constructor may have one by now.
        for family, kind, protocol, _, address in self._addresses[1:] if self._addresses else self._resolve():
            sock.close()
            try:
                sock = self._tcp_socket(family, kind, protocol)
                self._connect_to(address, sock)
                return
            except OSError as error:
                failure = error
        raise failure

    def _connect_to(self, address: Any, sock: Any) -> None:
        with self._tls_lock:  # what another thread may be about to close is the one or the other
            self.sock = sock
        self._check_wanted()
        sock.settimeout(self.limits.connect_timeout)
        sock.connect(address)

    def _check_wanted(self) -> None:
        """
        :raises BrokenOffError: close() was called, in another thread, and may have closed only what was there before.
        """
        if self.closed_by_us:
            raise broken_off(CLOSED)

    def _shake_hands(self, request: bytes) -> None:
        """The tunnel of a proxy, TLS, the request and its answer, all before one deadline."""
        deadline = Deadline(self.limits.handshake_timeout)
        if self._via is not None:
            open_tunnel(self.sock, self._via, self._destination, self.limits, deadline)
        if self._uri.secure:
            # The TLS handshake comes after the assignment: when it fails, self.sock is what has to be closed. For a
            # moment both sockets have the same descriptor: nobody may close the first one then.
            with self._tls_lock:
                self.sock = self._wrap_tls(self.sock)
            self._check_wanted()
            deadline.apply(self.sock)
            self.sock.do_handshake()
        try:
            deadline.apply(self.sock)
            self.sock.sendall(request)  # not by _write(), which waits as long as a peer of TLS likes
            self._expect_response()
            done = False
            while not done:
                deadline.apply(self.sock)
                done = self._feed_response(self.sock.recv(self.reading_buffer_size))
        except OSError as error:
            raise broken_off(error) from error

    # ---- the response ------------------------------------------------------------------------------------------------

    def _expect_response(self) -> None:
        """Be ready for the server's answer. What comes of it goes to :meth:`_feed_response`."""
        self._response = response_reader(self.limits)
        self._response_begun = False
        next(self._response)

    def _feed_response(self, data: bytes) -> bool:
        """Take what came from the server, in pieces of any size; b'' is the end of the connection.

        :returns: True once the response is complete: the connection is OPEN, ``protocols`` and ``extensions`` are what
            the server chose, and what came behind the response is in ``buf``. Nothing more may be fed then.
        :raises HandshakeError: the response is not what RFC 6455 section 4.1 asks for.
        """
        assert self._response is not None
        if not data:
            when = 'in the middle of a head' if self._response_begun else 'without a word'
            raise broken_off(f'the connection was closed {when}')
        self._response_begun = True
        try:
            self._response.send(data)
            return False
        except StopIteration as done:
            head, rest = done.value
        self._response = None
        self._cookies.store(self._http_url, head, self.limits)
        self._look_for_redirect(head)
        line, _, headers = head.partition(b'\r\n')
        try:
            self.process_response_line(line)
        except HandshakeError as refusal:
            refusal.retry_after = Response.parse(head, self.limits).headers.get('Retry-After')
            raise
        self.protocols, self.extensions = self.process_handshake_header(headers)
        self.use_extensions(self._agreed)
        self.buf = rest
        with self._tls_lock:  # as in close()
            self._check_wanted()
            self.state = after(self.state, Event.OPENED)
        return True

    def _look_for_redirect(self, head: bytes) -> None:
        """
        :raises Redirected: the server sends us elsewhere, and we go there.
        :raises HandshakeError: we do not go there.
        """
        if not self.max_redirects:
            return
        response = Response.parse(head, self.limits)
        if response.status not in REDIRECTS:
            return
        try:
            if self._redirects >= self.max_redirects:
                raise ValueError(f'{self._redirects} redirects were followed already')
            raise Redirected(*self._target(response.headers.get_all('Location')))
        except ValueError as error:
            refusal = HandshakeError(f'a redirect ({response.status}) that is not followed: {error}')
            refusal.response_status = response.status
            raise refusal from None

    def _target(self, locations: list[str]) -> tuple[str, URI]:
        """The URL that a redirect leads to (RFC 9110 section 10.2.2).

        :raises ValueError: there is none, or it is none to go to.
        """
        if len(locations) != 1:
            raise ValueError(f'Location is there {len(locations)} times (expected once)')
        if self.unix_socket_path is not None:
            raise ValueError('it leads away from a Unix socket')
        scheme, _, rest = urljoin(self._http_url, locations[0]).partition(':')
        url = f'{WEBSOCKET_SCHEMES.get(scheme.lower(), scheme)}:{rest}'.partition('#')[0]
        uri = parse(url)
        if uri.unix_socket_path is not None:
            raise ValueError('it leads to a Unix socket')
        if self._uri.secure and not uri.secure:
            raise ValueError('it leads from wss to ws')
        if uri.username is not None:
            raise ValueError('it has a user name')
        return url, uri

    def _follow(self, redirected: Redirected) -> bytes:
        """Be a client of where the server has sent us; the request to send there, on a new connection."""
        self._redirects += 1
        before, uri = self._uri, redirected.uri
        if (uri.secure, uri.host, uri.port) == (before.secure, self.host, self.port):
            uri = dataclasses.replace(uri, username=before.username, password=before.password)
        else:
            hidden = (*CREDENTIALS, 'host')
            self.extra_headers = [field for field in self.extra_headers if _text(field[0]).lower() not in hidden]
            self.ssl_options = {key: value for key, value in self.ssl_options.items() if key != 'server_hostname'}
            self._cookies.leave(self.host)
        self._go_to(redirected.url, uri)
        self.key = generate_key()
        return self.handshake_request

    def process_response_line(self, response_line: bytes) -> None:
        """Judge the first line of the response, given without its CRLF.

        :raises HandshakeError: it is no status line, or its status is not 101.
        """
        response = Response.parse(response_line + b'\r\n\r\n', self.limits)
        if response.status != 101:
            found = show(response_line.decode('latin-1'))
            refusal = HandshakeError(f'the server answered {found}, not 101 Switching Protocols')
            refusal.response_status = response.status
            raise refusal

    def process_handshake_header(self, headers: bytes) -> tuple[list[bytes], list[bytes]]:
        """Judge the headers of the response (RFC 6455 section 4.1), given as they came.

        :returns: the subprotocols and the extensions that the server named.
        :raises HandshakeError: they do not accept what was offered.
        """
        lines = headers.strip(b'\r\n')
        head = SWITCHING_PROTOCOLS + (lines + b'\r\n' if lines else b'') + b'\r\n'
        response = Response.parse(head, self.limits)
        protocols, extensions, self._agreed = check_response(
            response, self.key, self.protocols or (), self.extensions or ()
        )
        return protocols, extensions

    # ---- TLS ---------------------------------------------------------------------------------------------------------

    @property
    def _tls_name(self) -> str:
        """Who the server's certificate has to name."""
        name: Optional[str] = self.ssl_options.get('server_hostname')
        return name or self.host.partition('%')[0]  # no zone of an IPv6 address

    def _wrap_tls(self, sock: Any) -> Any:
        """Put TLS on the connected socket; its handshake is still to be done."""
        return self._tls_context().wrap_socket(sock, server_hostname=self._tls_name, do_handshake_on_connect=False)

    def _tls_context(self) -> ssl.SSLContext:
        options = self.ssl_options
        _check_ssl_options(options)  # again, they may have been changed
        if options.get('ssl_context') is not None:
            context: ssl.SSLContext = options['ssl_context']
            return context
        try:
            return _make_context(options)
        except OSError as error:
            given = ', '.join(f'{key} {options[key]!r}' for key in FILES if options.get(key) is not None)
            what = error.args[-1]
            if error.errno is not None and not isinstance(error, ssl.SSLError):
                what = os.strerror(error.errno)  # PyPy has no words of its own
            raise UnusableOptionsError(f'ssl_options with {given} cannot be used: {what}') from error


class Redirected(Exception):
    """The server has sent us elsewhere."""

    def __init__(self, url: str, uri: URI) -> None:
        super().__init__(url)
        self.url = url
        self.uri = uri


class UnusableOptionsError(OSError, ValueError):
    """A file of *ssl_options* is not there or not what it should be, or no cipher is known."""


def broken_off(cause: object) -> BrokenOffError:
    """The connection, or the time for it, came to its end before the opening handshake did."""
    return BrokenOffError(f'the opening handshake broke off: {cause}')


def _merge_ssl_options(defaults: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """*own* over *defaults*, of which a context of one's own leaves only the host's name."""
    if own.get('ssl_context') is not None:
        defaults = {key: value for key, value in defaults.items() if key == 'server_hostname'}
    options = {**defaults, **own}
    _check_ssl_options(options)
    return options


def _make_context(options: Mapping[str, Any]) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=options.get('ca_certs'))
    if options.get('cert_reqs') is not None:
        # A name cannot be checked without a certificate, and ssl insists on this order.
        context.check_hostname = options['cert_reqs'] != ssl.CERT_NONE
        context.verify_mode = options['cert_reqs']
    if options.get('certfile') is not None:
        context.load_cert_chain(options['certfile'], options.get('keyfile'))
    if options.get('ciphers') is not None:
        context.set_ciphers(options['ciphers'])
    return context


def _check_ssl_options(options: Mapping[str, Any]) -> None:
    unknown = sorted(set(options) - SSL_OPTIONS)
    if unknown:
        raise TypeError(f'unknown ssl_options {", ".join(unknown)}; known are {", ".join(sorted(SSL_OPTIONS))}')
    given = {key for key, value in options.items() if value is not None}
    if 'ssl_context' in given and not given <= {'ssl_context', 'server_hostname'}:
        ignored = ', '.join(sorted(given - {'ssl_context', 'server_hostname'}))
        raise TypeError(f'ssl_options {ignored} would be ignored beside ssl_context')


def _text(value: Any) -> str:
    return value.decode('latin-1') if isinstance(value, bytes) else str(value)
