"""One scenario on every server: who is let in, who is not, what it is told, and how many there may be.

Every server runs in a process of its own. Clients come from two addresses of the loopback, of which the server takes
one for its proxy.
"""

from __future__ import annotations

import base64
import json
import os
import re
import socket
import unittest
from typing import Any, Optional

from backends import servers
from backends.raw import accept_key
from backends.running import Server
from helpers import OPCODE_TEXT, TIMEOUT, Peer, wait_for

from .site import CLIENT, COOKIES, IN_TOTAL, MESSAGE_SIZE, PER_PEER, PROXY, UNWANTED

ON_LOOPS = ('asyncio', 'tornado')  # where a coroutine can be awaited
FULL = ('429', '503')


class Client(Peer):
    """A client that has sent its request.

    :param source: the address that it comes from.
    :ivar status: of the answer, with its phrase.
    :ivar headers: of the answer.
    """

    def __init__(
        self, port: int, target: str = '/', *fields: tuple[str, str], source: str = CLIENT, behind: bytes = b''
    ) -> None:
        super().__init__(socket.create_connection((servers.HOST, port), TIMEOUT, (source, 0)))
        key = base64.b64encode(os.urandom(16))
        lines = [f'GET {target} HTTP/1.1', f'Host: {servers.HOST}:{port}', 'Upgrade: websocket', 'Connection: Upgrade']
        lines += [f'Sec-WebSocket-Key: {key.decode()}', 'Sec-WebSocket-Version: 13']
        lines += [f'{name}: {value}' for name, value in fields]
        try:
            self.sock.sendall('\r\n'.join([*lines, '', '']).encode() + behind)
            head = b''
            while not head.endswith(b'\r\n\r\n'):
                head += self.read(1)
            first, *rest = head.decode().split('\r\n')[:-2]
            self.status = first.partition(' ')[2]
            self.headers = [(name.title(), value) for name, _, value in (line.partition(': ') for line in rest)]
            if self.status.startswith('101'):
                assert accept_key(key).decode() in head.decode(), head
        except BaseException:
            self.sock.close()
            raise

    def rest(self) -> bytes:
        """What comes up to the end of the connection."""
        data = self._rest
        while block := self.sock.recv(65536):
            data += block
        return data

    def ask(self) -> dict[str, Any]:
        """What the handler knows."""
        self.text('?')
        first, payload = self.receive()
        assert first == 0x80 | OPCODE_TEXT, (first, payload)
        return json.loads(payload)  # type: ignore[no-any-return]


def forwarded(*addresses: str) -> tuple[str, str]:
    return 'X-Forwarded-For', ', '.join(addresses)


def basic(text: str) -> tuple[str, str]:
    return 'Authorization', 'Basic ' + base64.b64encode(text.encode()).decode()


class Scenario:
    """The tests of one server; a mixin."""

    name: str
    server: Server

    @classmethod
    def setUpClass(cls) -> None:
        cls.server = Server(cls.name, 'policy.site:Teller', terms='policy.site:TERMS')

    @classmethod
    def tearDownClass(cls) -> None:
        cls.server.stop()

    def knock(self, *args: Any, **options: Any) -> Client:
        return Client(self.server.port, *args, **options)

    def answered(self: Any, status: int, *args: Any, **options: Any) -> Client:
        """One that was answered with *status*; who is told that there is no room yet knocks again."""

        def knock() -> Optional[Client]:
            client = self.knock(*args, **options)
            self.addCleanup(client.sock.close)
            if client.status[:3] in FULL and int(client.status[:3]) != status:
                client.sock.close()
                return None
            return client  # type: ignore[no-any-return]

        client: Client = wait_for(knock)
        self.assertEqual(client.status[:4], f'{status} ')
        return client

    def accepted(self: Any, *args: Any, **options: Any) -> dict[str, Any]:
        """What the handler of an accepted client knows, which leaves again."""
        client = self.answered(101, *args, **options)
        known = client.ask()
        client.close()
        client.receive_all()
        return known  # type: ignore[no-any-return]

    def refused(self: Any, status: int, text: str, *args: Any, **options: Any) -> Client:
        """One that is not let in, whose connection ends, and whatever it sent behind is not served."""
        client = self.answered(status, *args, behind=b'GET /page HTTP/1.1\r\nHost: x\r\n\r\n', **options)
        body = client.rest()
        self.assertIn(text, body.decode())
        for never in (b'secret', b'Traceback', b'HTTP/1.1', b'a page' if status != 200 else b'!'):
            self.assertNotIn(never, body)
        return client  # type: ignore[no-any-return]

    # Accepted

    def test_accepted(self: Any) -> None:
        known = self.accepted('/room')
        self.assertEqual((known['REMOTE_ADDR'], known['wsgi.url_scheme']), (CLIENT, 'http'))
        self.assertEqual((known['asked'], known['protocols']), ('/room', []))
        first, later = known['addresses']
        self.assertEqual((first[0], first), (CLIENT, later))
        self.assertNotIn('REMOTE_USER', known)

    def test_limits_go_to_the_connection(self: Any) -> None:
        client = self.answered(101)
        client.binary(bytes(MESSAGE_SIZE + 1))
        self.assertEqual(client.receive_all()[-1][1][:2], (1009).to_bytes(2, 'big'))

    # Refused

    def test_origins(self: Any) -> None:
        self.accepted('/', ('Origin', 'HTTPS://Good.test'))
        for origin in ('https://evil.test', 'null', 'https://good.test.evil.test', 'http://good.test'):
            self.refused(403, 'Origin is', '/', ('Origin', origin))

    def test_subprotocols(self: Any) -> None:
        client = self.answered(101, '/', ('Sec-WebSocket-Protocol', 'first, last'))
        self.assertEqual(client.ask()['protocols'], ['last'])
        self.assertIn(('Sec-Websocket-Protocol', 'last'), client.headers)
        client.sock.close()
        self.refused(400, 'not that one', '/', ('Sec-WebSocket-Protocol', 'forbidden'))
        self.refused(500, 'the server has failed', '/', ('Sec-WebSocket-Protocol', 'unknown'))

    def test_names_and_passwords(self: Any) -> None:
        known = self.accepted('/private/room', basic('ann:pass:wörd'))
        self.assertEqual((known['REMOTE_USER'], known['asked']), ('ann', '/private/room'))
        for fields in ((), (basic('ann:wrong'),), (basic('bob:pass:wörd'),), (basic('ann:pass:wörd'),) * 2):
            client = self.refused(401, 'password', '/private/room', *fields)
            self.assertIn(('Www-Authenticate', 'Basic realm="websocket", charset="UTF-8"'), client.headers)

    def test_an_answer_in_http(self: Any) -> None:
        client = self.refused(200, '<p>a page', '/page')
        self.assertEqual(client.status, '200 OK')
        for header in [*((name.title(), value) for name, value in COOKIES), ('Content-Length', '9')]:
            self.assertEqual(client.headers.count(header), 1, client.headers)
        self.assertEqual([value for name, value in client.headers if name == 'Content-Type'], ['text/html'])
        client = self.refused(204, '', '/empty')
        self.assertEqual([value for name, value in client.headers if name == 'Set-Cookie'], ['a=1', 'b=2'])
        client = self.refused(303, '', '/elsewhere')
        self.assertEqual(client.status, '303 Look There')
        self.assertIn(('Location', '/page'), client.headers)

    def test_what_hooks_raise(self: Any) -> None:
        self.refused(418, 'short and stout', '/teapot')
        self.refused(403, 'no room', '/handler/refuses')
        for target in ('/broken', '/nonsense'):
            self.refused(500, 'the server has failed', target)
        self.accepted()

    def test_coroutines(self: Any) -> None:
        if self.name in ON_LOOPS:
            self.assertEqual(self.accepted('/later')['asked'], '/later')
            self.refused(403, 'later', '/later/no')
        else:
            self.refused(500, 'the server has failed', '/later')

    # Behind a proxy

    def test_the_client_behind_a_proxy(self: Any) -> None:
        for fields, address, scheme in (
            ((forwarded('192.0.2.1'),), '192.0.2.1', 'http'),
            ((forwarded('192.0.2.1', '2001:db8::1', PROXY), ('X-Forwarded-Proto', 'https')), '2001:db8::1', 'https'),
            ((forwarded('192.0.2.9'), forwarded('192.0.2.1'), forwarded(PROXY)), '192.0.2.1', 'http'),
            ((forwarded('192.0.2.1', 'garbage'), ('X-Forwarded-Proto', 'garbage')), PROXY, 'http'),
            ((), PROXY, 'http'),
        ):
            with self.subTest(fields=fields):
                known = self.accepted('/', *fields, source=PROXY)
                self.assertEqual((known['REMOTE_ADDR'], known['wsgi.url_scheme']), (address, scheme))
                self.assertEqual([found[0] for found in known['addresses']], [address] * 2)

    def test_who_only_says_that_he_is_somebody_else(self: Any) -> None:
        known = self.accepted('/', forwarded('192.0.2.1'), ('X-Forwarded-Proto', 'https'))
        self.assertEqual((known['REMOTE_ADDR'], known['wsgi.url_scheme']), (CLIENT, 'http'))
        self.assertEqual([found[0] for found in known['addresses']], [CLIENT] * 2)

    def test_refused_by_address(self: Any) -> None:
        self.refused(403, 'not from there', '/', forwarded(UNWANTED), source=PROXY)
        self.refused(403, 'not from there', '/', forwarded('192.0.2.1', UNWANTED), source=PROXY)
        self.accepted('/', forwarded(UNWANTED, '192.0.2.1'), source=PROXY)
        self.accepted('/', forwarded(UNWANTED))

    # How many

    def come(self, address: str) -> Client:
        """One who is let in and stays."""
        client: Client = self.answered(101, '/', forwarded(address), source=PROXY)
        client.ask()
        return client

    def test_so_many_from_an_address_and_in_total(self: Any) -> None:
        full = f'there are {PER_PEER} connections'
        first = [self.come('192.0.2.1') for _ in range(PER_PEER)]
        self.refused(429, full, '/', forwarded('192.0.2.1'), source=PROXY)
        rest = [self.come('2001:db8::1') for _ in range(PER_PEER)]
        self.refused(503, f'all of the {IN_TOTAL} connections', '/', forwarded('2001:db8::2'), source=PROXY)
        self.refused(503, f'all of the {IN_TOTAL} connections')
        self.refused(200, 'a page', '/page')  # which is no connection
        first[0].close()  # one that says so
        first[0].receive_all()
        first[1].sock.close()  # one that does not
        first = [self.come('192.0.2.1') for _ in range(PER_PEER)]
        rest[0].sock.close()
        self.refused(429, full, '/', forwarded('192.0.2.1'), source=PROXY)  # there is room again, but not for this one
        for client in first + rest:
            client.sock.close()

    def test_who_is_refused_is_not_counted(self: Any) -> None:
        for _ in range(2 * IN_TOTAL):
            self.refused(403, 'no room', '/handler/refuses')
            self.refused(401, 'password', '/private')
        self.accepted()


def _case(name: str) -> type[unittest.TestCase]:
    absent = servers.missing(name)
    case = type('On_' + re.sub(r'\W', '_', name), (Scenario, unittest.TestCase), {'name': name, '__module__': __name__})
    return unittest.skipIf(bool(absent), f'not installed: {", ".join(absent)}')(case)


for _name in servers.SERVERS:
    _class = _case(_name)
    globals()[_class.__name__] = _class
del _class  # or it would be collected a second time


if __name__ == '__main__':
    unittest.main()
