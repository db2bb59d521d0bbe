"""On every server and every client of ours: latency, pinged(), a silent peer, and goodbyes that are spread."""

from __future__ import annotations

import json
import threading
import time
import unittest
from typing import Any, Callable

from backends import clients, servers
from backends.raw import RawClient, RawServer
from backends.running import Server
from helpers import OPCODE_PING, OPCODE_TEXT, TIMEOUT, Peer, wait_for

from ws4py.limits import Limits

from .site import ANSWER, IDLE, INTERVAL, PATIENCE

MANY = 50
SILENT = [1011, f'no answer to a ping within {PATIENCE:g} s']
UNUSED = [1001, f'nothing received for {IDLE:g} s']
UNANSWERED = [1006, 'Going away']


def ask(peer: Peer) -> dict[str, Any]:
    """What the server's handler knows; pings that come in between are answered."""
    peer.text('?')
    while True:
        first, payload = peer.receive()
        if first & 0x0F == OPCODE_PING:
            peer.pong(payload)
        elif first & 0x0F == OPCODE_TEXT:
            return json.loads(payload)  # type: ignore[no-any-return]


class OnAnyServer:
    """A mixin; how the tests of one server begin and end."""

    name: str
    server: Server
    terms: str

    @classmethod
    def setUpClass(cls) -> None:
        missing = servers.missing(cls.name)
        if missing:
            raise unittest.SkipTest(f'not installed: {", ".join(missing)}')
        cls.server = Server(cls.name, 'alive.site:Teller', terms=cls.terms)

    @classmethod
    def tearDownClass(cls) -> None:
        cls.server.stop()

    def check_end(self: Any, end: list[Any], begin: Callable[[Peer], object] = lambda peer: None) -> list[Any]:
        """One more connection ends like this, with a peer that does nothing after *begin*; gives what it was sent."""
        with RawClient(self.server.port) as other, RawClient(self.server.port) as silent:
            before = ask(other)['ended'].count(end)
            begin(silent)
            wait_for(lambda: ask(other)['ended'].count(end) > before)
            return silent.receive_all() if begin is not flood else []


def flood(peer: Peer) -> None:
    """Ask for much more than what the buffers between here and there take, and leave it there."""
    peer.text('flood')


class OnServer(OnAnyServer):
    """A mixin; the tests of one server that pings."""

    terms = 'alive.site:TERMS'

    def test_latency_is_known_once_a_ping_was_answered(self: Any) -> None:
        with RawClient(self.server.port) as client:
            latency = wait_for(lambda: ask(client)['latency'])
            self.assertGreater(latency, 0)
            self.assertLess(latency, 10)

    def test_pings_of_the_peer_are_told(self: Any) -> None:
        with RawClient(self.server.port) as client:
            self.assertEqual(ask(client)['pings'], 0)
            client.ping(b'one')
            client.ping(b'two')
            self.assertEqual(wait_for(lambda: ask(client)['pings']), 2)

    def test_a_peer_that_goes_silent(self: Any) -> None:
        frames = self.check_end(SILENT)
        self.assertEqual({first & 0x0F for first, _ in frames[:-1]}, {OPCODE_PING})
        self.assertEqual(frames[-1], (0x88, b'\x03\xf3' + SILENT[1].encode()))

    def test_a_peer_that_stops_reading(self: Any) -> None:
        self.check_end(SILENT, flood)


class OnImpatientServer(OnAnyServer):
    """A mixin; the tests of one server that does not ping."""

    terms = 'alive.site:IMPATIENT'

    def test_an_idle_peer(self: Any) -> None:
        self.assertEqual(self.check_end(UNUSED), [(0x88, b'\x03\xe9' + UNUSED[1].encode())])

    def test_an_idle_peer_that_does_not_read_either(self: Any) -> None:
        self.check_end(UNUSED, flood)

    def test_a_peer_that_does_not_answer_a_close(self: Any) -> None:
        frames = self.check_end(UNANSWERED, lambda peer: peer.text('close'))
        self.assertEqual(frames, [(0x88, b'\x0f\xa0bye')])


class OnClient:
    """A mixin; the tests of one client."""

    name: str

    @classmethod
    def setUpClass(cls) -> None:
        missing = clients.missing(cls.name)
        if missing:
            raise unittest.SkipTest(f'not installed: {", ".join(missing)}')

    def connect(self: Any, server: RawServer, **limits: float) -> Any:
        def pinged(client: Any, ping: Any) -> None:
            client.note('pinged', ping.data)

        bounds = Limits(**(limits or {'ping_interval': INTERVAL, 'ping_timeout': PATIENCE}))  # type: ignore[arg-type]
        face = clients.load(self.name)
        client = face(f'ws://{servers.HOST}:{server.port}/', None, limits=bounds, pinged=pinged)
        self.addCleanup(client.disconnect)
        return client

    def test_latency_and_pings(self: Any) -> None:
        def script(peer: Peer) -> None:
            peer.ping(b'hello')
            while True:
                first, payload = peer.receive()
                if first & 0x0F == OPCODE_PING:
                    peer.pong(payload)
                elif first == 0x88:
                    peer.sock.sendall(b'\x88\x02' + payload[:2])
                    return

        with RawServer(None, b'', script) as server:
            client = self.connect(server)
            self.assertEqual(client._next('pinged')[1], b'hello')
            client._wait(lambda: client.client.latency)
            self.assertGreater(client.client.latency, 0)
            client.close(1000, '')

    def test_a_server_that_goes_silent(self: Any) -> None:
        frames: list[tuple[int, bytes]] = []
        with RawServer(None, b'', lambda peer: frames.extend(peer.receive_all())) as server:
            client = self.connect(server)
            self.assertEqual(list(client.wait_closed()), SILENT)
        self.assertEqual({first & 0x0F for first, _ in frames[:-1]}, {OPCODE_PING})
        self.assertEqual(frames[-1], (0x88, b'\x03\xf3' + SILENT[1].encode()))

    def test_an_idle_server(self: Any) -> None:
        frames: list[tuple[int, bytes]] = []
        with RawServer(None, b'', lambda peer: frames.extend(peer.receive_all())) as server:
            client = self.connect(server, idle_timeout=IDLE, close_timeout=ANSWER)
            self.assertEqual(list(client.wait_closed()), UNUSED)
        self.assertEqual(frames, [(0x88, b'\x03\xe9' + UNUSED[1].encode())])

    def test_a_server_that_does_not_answer_a_close(self: Any) -> None:
        frames: list[tuple[int, bytes]] = []
        with RawServer(None, b'', lambda peer: frames.extend(peer.receive_all())) as server:
            client = self.connect(server, close_timeout=ANSWER)
            self.assertEqual(list(client.close(4000, 'bye')), UNANSWERED)
        self.assertEqual(frames, [(0x88, b'\x0f\xa0bye')])


class AtTheEnd:
    """A mixin; how one server says goodbye to many."""

    name: str

    def test_the_goodbyes_are_spread(self: Any) -> None:
        missing = servers.missing(self.name)
        if missing:
            self.skipTest(f'not installed: {", ".join(missing)}')
        told: list[float] = []

        def wait(client: RawClient) -> None:
            with client:
                frame = client.receive()
                told.append(time.monotonic())
                assert frame == (0x88, b'\x03\xe9Server is shutting down'), frame
                client.close(1001)
                client.at_end()

        server = Server(f'{self.name}+spread')
        try:
            threads = [threading.Thread(target=wait, args=(RawClient(server.port),)) for _ in range(MANY)]
            for thread in threads:
                thread.start()
        finally:
            status = server.stop()
        for thread in threads:
            thread.join(TIMEOUT)
        self.assertEqual((status, len(told), server.output), (0, MANY, ''))
        self.assertGreater(max(told) - min(told), servers.SPREAD / 2)


_KINDS = (
    (OnServer, servers.SERVERS),
    (OnImpatientServer, servers.SERVERS),
    (OnClient, clients.OURS),
    (AtTheEnd, servers.SERVERS),
)
for _kind, _names in _KINDS:
    for _name in _names:
        _class = type(f'{_kind.__name__}_{_name}', (_kind, unittest.TestCase), {'name': _name})
        _class.__module__ = __name__
        globals()[_class.__name__] = _class
del _class, _kind


if __name__ == '__main__':
    unittest.main()
