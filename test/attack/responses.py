"""Attacks on the opening handshake of clients: what a server, or a proxy, can answer, and whom it sends them to."""

from __future__ import annotations

import contextlib
import itertools
import re
import ssl
from typing import Optional

import support_tls
from backends.raw import accept_key, acceptance

from .client_side import PROMPT, ClientTarget, Listener, dripping, hung_up, in_time, within
from .items import CLIENTS, HOST, MIB, UNCOLLECTED, attack

BLOCK = b'x' * 65536
OK = 'HTTP/1.1 101 Switching Protocols'


def head(*lines: str) -> bytes:
    return '\r\n'.join([*lines, '', '']).encode('latin-1')


@attack(5, 'a server that says nothing, in TLS neither, or drips', on=[CLIENTS])
def silent(target: ClientTarget) -> str:
    expected, limits = within(target, 0.5)
    with contextlib.ExitStack() as stack:
        tls = stack.enter_context(Listener())  # it never says a word of TLS
        urls = [target.listener.url(), target.listener.url(), f'wss://localhost:{tls.port}/']
        visits = [target.order(url, **limits) for url in urls]
        guests = [stack.enter_context(listener.accept()) for listener in (target.listener, target.listener, tls)]
        for guest in guests[:2]:
            guest.read_head()
        with contextlib.suppress(ConnectionError):
            for piece in dripping(guests[1], OK.encode() + b'\r\nX: '):
                guests[1].sock.sendall(piece)
        for visit, errors in zip(visits, (['HandshakeError'], ['HandshakeError'], ['HandshakeError', 'OSError'])):
            visit.failed(*errors)
            found = in_time(visit.seconds, expected)
        assert all(hung_up(guest.sock) for guest in guests)
    return found


@attack(15, 'CR, LF and NUL in what the application passes on', on=[CLIENTS])
def injected(target: ClientTarget) -> str:
    for end in ('\r\n', '\r', '\n', '\0'):
        bad = f'a{end}X-Injected: y'
        for order in (
            {'options': {'headers': [['X-Mine', bad]]}},
            {'options': {'headers': [[bad, 'x']]}},
            {'options': {'headers': [['Sec-WebSocket-Protocol', bad]]}},
            {'options': {'protocols': [bad]}},
            {'options': {'proxy': f'http://{HOST}:{target.listener.port}/{bad}'}},
            {'options': {'proxy': f'http://me:{bad}@{HOST}:{target.listener.port}'}},
            {'url': target.listener.url(f'/{bad}')},
            {'url': f'ws://{bad}@{HOST}:{target.listener.port}/'},
            {'attributes': {'resource': f'/{bad}'}},
            {'attributes': {'host': f'{HOST}{bad}'}},
            {'attributes': {'extra_headers': [['X-Mine', bad]]}},
            {'attributes': {'protocols': [bad]}},
        ):
            try:
                target.order(**order).failed('ValueError')  # type: ignore[arg-type]
            except AssertionError as error:
                raise AssertionError(f'{order}: {error}') from None
    assert target.listener.nobody_came(), 'something was sent'
    return 'ValueError'


def accepted(request: bytes, *lines: str, replaced: Optional[str] = None) -> bytes:
    """The right response, with more *lines*; without the header *replaced*."""
    response = acceptance(request, *lines)
    if replaced is not None:
        response, count = re.subn(rb'\r\n' + replaced.encode() + rb': [^\r]*', b'', response, count=1)
        assert count
    return response


@attack(18, 'responses that accept nothing, or what was not offered', on=[CLIENTS])
def wrong_responses(target: ClientTarget) -> str:
    wrong_key = 'Sec-WebSocket-Accept: ' + accept_key(b'another').decode()
    slowest = 0.0
    for lines, replaced in (
        ([wrong_key], 'Sec-WebSocket-Accept'),
        ([], 'Sec-WebSocket-Accept'),
        ([wrong_key], None),
        ([], 'Upgrade'),
        (['Upgrade: notwebsocket'], 'Upgrade'),
        ([], 'Connection'),
        (['Connection: notupgrade'], 'Connection'),
        (['Sec-WebSocket-Protocol: other'], None),
        (['Sec-WebSocket-Protocol: chat, news'], None),
        (['Sec-WebSocket-Protocol: chat', 'Sec-WebSocket-Protocol: chat'], None),
        (['Sec-WebSocket-Extensions: other'], None),
        (['Sec-WebSocket-Extensions: permessage-deflate, permessage-deflate'], None),
        (['Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=99'], None),
        (['Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits=7'], None),
        (['Sec-WebSocket-Extensions: permessage-deflate; unknown'], None),
        (['X-Nul: a\0b'], None),
        (['X-Folded: a', ' b'], None),
    ):
        try:
            visit = target.rejects(
                lambda request, lines=lines, replaced=replaced: accepted(request, *lines, replaced=replaced),
                options={'protocols': ['chat', 'news']},
            )
        except AssertionError as error:
            raise AssertionError(f'{lines} for {replaced}: {error}') from None
        slowest = max(slowest, visit.seconds)
    target.rejects(lambda request: re.sub(rb'\r\n(Sec-WebSocket-Accept: \S+)', rb'\r\n\1\r\n\1', acceptance(request)))
    for answer in (
        head('HTTP/1.1 200 OK', 'Content-Length: 0'),
        head('HTTP/1.1 302 Found', f'Location: {target.listener.url()}'),
        head('HTTP/1.1 999 What', 'Content-Length: 0'),
        b'SSH-2.0-OpenSSH_9.2\r\n\r\n',
        b'\0\0\0\x12\4\0\0\0\0\0\r\n\r\n',
        head('HTTP/1.1 101'),
    ):
        slowest = max(slowest, target.rejects(answer).seconds)
    for status in (b'HTTP/1.1 102 Processing', b'HTTP/2 101 Switching Protocols'):
        target.rejects(
            lambda request, status=status: acceptance(request).replace(OK.encode(), status) + head('HTTP/1.1 200 OK')
        )
    for partial in (b'', b'HTTP/1.1 101 Switching Protocols\r\nUpg'):
        visit = target.order()
        with target.listener.accept() as guest:
            guest.read_head()
            guest.sock.sendall(partial)
            guest.half_close()
            visit.failed('HandshakeError')
            assert hung_up(guest.sock)
    assert slowest < PROMPT, f'{slowest:.1f} s'
    # Who offers nothing is only given something to log.
    unasked = ['Sec-WebSocket-Protocol: chat', 'Sec-WebSocket-Extensions: permessage-deflate']
    with target.admit(*unasked, options={'extensions': []}) as guest:
        target.echoes(guest)
        guest.sock.sendall(target.frame(0xC1, b'\xf2H\xcd\xc9\xc9\7\0'))  # RFC 7692 section 7.2.3.1
        assert guest.receive()[1][:2] == b'\x03\xea', 'an extension is applied that was not offered'
    return f'HandshakeError, after at most {slowest * 1000:.0f} ms'


@attack(18, 'responses without an end', on=[CLIENTS], fresh=True)
def endless_responses(target: ClientTarget) -> str:
    slowest = 0.0
    with target.memory(8 * MIB) as figure:
        for begin, more in (
            (OK + '\r\nX-Long: ', BLOCK),
            ('', BLOCK),
            (OK + '\r\n', b'X-Many: x\r\n' * 5000),
            ('', b'HTTP/1.1 100 Continue\r\n\r\n' * 1000),
            ('HTTP/1.1 103 Early Hints\r\n', b'Link: x\r\n' * 100 + b'\r\nHTTP/1.1 103 Early Hints\r\n'),
            ('HTTP/1.1 500 Oh\r\nContent-Length: 1000000000000\r\n\r\n', BLOCK),
            ('HTTP/1.1 403 No\r\nTransfer-Encoding: chunked\r\n\r\n', b'8000\r\n' + b'x' * 32768 + b'\r\n'),
        ):
            visit = target.rejects(itertools.chain([begin.encode()], itertools.repeat(more)))
            slowest = max(slowest, visit.seconds)
    assert slowest < PROMPT, f'{slowest:.1f} s'
    return f'after at most {slowest * 1000:.0f} ms, {figure[0]}'


def redirect(location: str) -> bytes:
    return head('HTTP/1.1 302 Found', f'Location: {location}', 'Content-Length: 0')


@attack(19, 'redirects from wss to ws, with credentials, in circles, to anything else', on=[CLIENTS])
def redirects(target: ClientTarget) -> str:
    here, most = target.listener, 3
    trusting = {'max_redirects': most, 'ssl_options': {'ca_certs': support_tls.authority_file()}}
    with Listener() as other, Listener(support_tls.server_context()) as secure:
        text = target.rejects(redirect(other.url()), listener=secure, options=trusting).failed('HandshakeError')
        assert 'wss to ws' in text, text
        for location in (
            'ftp://127.0.0.1/',
            'file:///etc/passwd',
            'javascript:alert(1)',
            'ws+unix:///tmp/x',
            f'http://me:secret@{HOST}:{other.port}/',
            f'/a\rX-Injected: {other.url()}',
            f'{other.url()}\0',
            'http://:80/',
            'http://[::1/',
            f'{other.url()}\r\nLocation: {other.url()}',
        ):
            try:
                target.rejects(redirect(location), options={'max_redirects': most})
            except AssertionError as error:
                raise AssertionError(f'{location!r}: {error}') from None
        assert other.nobody_came(), 'it was followed'

        visit = target.order(options={'max_redirects': most})  # in circles
        for _ in range(1 + most):
            with here.accept() as guest:
                guest.read_head()
                guest.sock.sendall(redirect('/'))
                assert hung_up(guest.sock)
        visit.failed('HandshakeError')
        assert here.nobody_came()

        fields = [['Authorization', 'Basic eA=='], ['Cookie', 'a=secret'], ['Proxy-Authorization', 'Basic eA==']]
        visit = target.order(f'ws://me:secret@{HOST}:{here.port}/', options={'max_redirects': most, 'headers': fields})
        with here.accept() as guest:
            assert b'a=secret' in guest.read_head()
            guest.sock.sendall(redirect(other.url('/%0d%0aX-Injected:%20y')))
        with other.accept() as guest:
            request = guest.read_head()
            guest.sock.sendall(acceptance(request))
            visit.connected()
        assert not re.search(rb'(?i)secret|authorization|cookie|\r\nx-injected', request), request
    return 'HandshakeError'


@attack(20, 'certificates that are self-signed, of nobody known, of another host, expired', on=[CLIENTS])
def certificates(target: ClientTarget) -> str:
    trusting = {'ssl_options': {'ca_certs': support_tls.authority_file()}}
    with Listener(support_tls.server_context()) as listener:
        target.admit(listener=listener, options=trusting).sock.close()  # such a client trusts a good one
    for context, options in (
        (support_tls.self_signed_context(), {}),
        (support_tls.server_context(), {}),
        (support_tls.server_context('elsewhere.test'), trusting),
        (support_tls.server_context(expired=True), trusting),
    ):
        with Listener(context) as listener:
            visit = target.order(listener.url(), options=options)
            never_trusted(listener)
            visit.failed('SSLCertVerificationError')
    return 'SSLCertVerificationError'


def never_trusted(listener: Listener) -> None:
    """The client refuses the handshake of TLS, before a word of HTTP."""
    try:
        guest = listener.accept()
    except (ssl.SSLError, ConnectionError):
        return
    with guest, contextlib.suppress(EOFError, ssl.SSLError, ConnectionError):
        raise AssertionError(f'it said {guest.read(1)!r} to a server that it should not trust')


@attack(21, 'proxies that lie, or answer without an end', on=[CLIENTS])
def proxies(target: ClientTarget) -> str:
    expected, limits = within(target, 0.5)
    through = f'{HOST}:{target.listener.port}'
    http = {'url': 'ws://example.test/', 'options': {'proxy': f'http://{through}'}}
    socks = {'url': 'ws://example.test/', 'options': {'proxy': f'socks5h://{through}'}}
    slowest = 0.0
    with target.memory(8 * MIB) as figure:
        for answer in (
            head('HTTP/1.1 407 Who Are You', 'Content-Length: 0'),
            head('HTTP/1.1 101 Switching Protocols'),
            head('HTTP/1.1 200 OK') + head('HTTP/1.1 101 Switching Protocols'),
            b'\5\0\5\0\0\1\x7f\0\0\1\0\0\r\n\r\n',
            itertools.chain([b'HTTP/1.1 200 OK\r\nX: '], itertools.repeat(BLOCK)),
            itertools.chain([b'HTTP/1.1 200 OK\r\n'], itertools.repeat(b'X: y\r\n' * 1000)),
            itertools.repeat(b'HTTP/1.1 100 Wait\r\n\r\n' * 1000),
            itertools.chain([b'HTTP/1.1 502 No\r\nContent-Length: 1000000000\r\n\r\n'], itertools.repeat(BLOCK)),
        ):
            slowest = max(slowest, target.rejects(answer, **http).seconds)
        for answer in (
            b'HTTP/1.1 400 Bad Request\r\n\r\n',
            b'\5\xff',
            b'\5\0\5\1\0\1\0\0\0\0\0\0',
            b'\4\x5b' + bytes(6),
        ):
            slowest = max(slowest, target.rejects(answer, listen=lambda guest: guest.sock.recv(65536), **socks).seconds)
    assert slowest < PROMPT, f'{slowest:.1f} s'
    for order, begin in ((http, b'HTTP/1.1 200 OK\r\nX: '), (socks, b'\5\0\5\0\0\3\xff')):
        visit = target.order(**order, **limits)
        with target.listener.accept() as guest, contextlib.suppress(ConnectionError):
            guest.sock.recv(65536)
            for piece in dripping(guest, begin):
                guest.sock.sendall(piece)
        visit.failed('HandshakeError')
        found = in_time(visit.seconds, expected)
    # A tunnel to somebody else than was asked for.
    options = {'proxy': f'http://{through}', 'ssl_options': {'ca_certs': support_tls.authority_file()}}
    visit = target.order('wss://example.test/', options=options)
    with target.listener.accept() as guest:
        guest.read_head()
        guest.sock.sendall(head('HTTP/1.1 200 OK'))
        with contextlib.suppress(ssl.SSLError, ConnectionError):
            tls = support_tls.server_context().wrap_socket(guest.sock, server_side=True)
            guest.sock = tls
            raise AssertionError('it trusts a server of another name')
    visit.failed('SSLCertVerificationError')
    return f'HandshakeError, {found} at the latest, {figure[0]}'


@attack(52, 'cookies: too many, too long, malformed, of another domain', on=[CLIENTS], fresh=True)
def cookies(target: ClientTarget) -> str:
    def sent(*lines: str, host: str = HOST) -> list[str]:
        """The cookies that the client has sent, and then *lines* are set."""
        setting = [f'Set-Cookie: {line}' for line in lines]
        url = f'ws://{host}:{target.listener.port}/'
        with target.admit(*setting, behind=target.close_frame(), url=url, jar=True) as guest:
            fields = re.findall(rb'(?i)\r\ncookie: ([^\r]*)', guest.head)
            assert len(fields) < 2, fields
            return fields[0].decode().split('; ') if fields else []

    endless = itertools.chain([f'{OK}\r\n'.encode()], itertools.repeat(b'Set-Cookie: endless=1\r\n' * 5000))
    target.rejects(endless, jar=True)
    assert sent('mine=1', 'bad=1; Max-Age=' + '9' * 4000, 'bad; Domain=', 'foreign=1; Domain=example.test') == []
    sent('mine=2; Domain=127.0.0.1', 'mine=; Domain=127.0.0.1; Max-Age=0', 'all=1; Domain=1', host='localhost')
    found = sent()
    assert found == ['mine=1', 'bad=1'], found

    def flood(at: int) -> list[str]:
        return sent('long=' + 'x' * 5000, *(f'a{at}x{number}=1' for number in range(100)))

    flood(0)
    before = target.settled()[2]
    for at in range(1, 100 if target.heavy else 10):
        found = flood(at)
    grown = target.settled()[2] - before
    assert 'mine=1' in found and not any(cookie.startswith('long') for cookie in found), found
    assert len(found) == 150, len(found)
    assert grown < 8 * MIB + UNCOLLECTED, f'{grown} more memory'
    return f'{len(found)} at most'
