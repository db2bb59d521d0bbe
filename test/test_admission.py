"""How many connections there may be: counted in one step with the check, and out once, however they end."""

from __future__ import annotations

import gc
import socket
import threading
import unittest
from typing import Any

from ws4py.admission import Admission
from ws4py.exc import HTTPError
from ws4py.extensions import accept
from ws4py.handshake import Accepted
from ws4py.http11 import Address, Headers, Request
from ws4py.limits import DEFAULT_LIMITS, Limits
from ws4py.policy import Policy
from ws4py.websocket import WebSocket

ACCEPTED = Accepted([], [], [])
PEER = ('192.0.2.1', 50_000)
ONE, TWO = (f'there are {number} connections from this address already' for number in (1, 2))


class AdmissionTest(unittest.TestCase):
    def setUp(self) -> None:
        self.admission = Admission()
        self.kept: list[WebSocket] = []

    def make(self) -> WebSocket:
        ours, theirs = socket.socketpair()
        self.addCleanup(theirs.close)
        self.addCleanup(ours.close)
        return WebSocket(ours)

    def admit(self, peer: Address = PEER, make: Any = None, **limits: Any) -> WebSocket:
        request = Request('GET', '/', (1, 1), Headers(), peer)
        policy = Policy(limits=Limits(**limits))
        self.kept.append(self.admission.admit(policy, request, ACCEPTED, make or self.make))
        return self.kept[-1]

    def full(self, status: int, text: str, peer: Address = PEER, **limits: Any) -> None:
        def make() -> WebSocket:
            raise AssertionError('it is not made')

        with self.assertRaises(HTTPError) as caught:
            self.admit(peer, make, **limits)
        self.assertEqual((caught.exception.status, caught.exception.msg), (status, text))

    def test_without_a_bound_nobody_is_counted(self) -> None:
        websockets = [self.admit() for _ in range(3)]
        self.assertEqual(len(self.admission), 0)
        for websocket in websockets:
            websocket.terminate()
        self.assertEqual(len(self.admission), 0)

    def test_in_total(self) -> None:
        websockets = [self.admit(peer, connections=3) for peer in (PEER, ('192.0.2.2', 1), '')]
        self.assertEqual(len(self.admission), 3)
        for peer in (PEER, ('192.0.2.3', 1), None):
            self.full(503, 'all of the 3 connections are in use', peer, connections=3)
        websockets[0].terminate()
        self.assertEqual(len(self.admission), 2)
        websockets[0].terminate()  # which does nothing any more
        self.assertEqual(len(self.admission), 2)
        self.admit(connections=3)
        self.full(503, 'all of the 3 connections are in use', connections=3)

    def test_per_peer(self) -> None:
        first, _ = self.admit(connections_per_peer=2), self.admit(('192.0.2.1', 1), connections_per_peer=2)
        self.full(429, TWO, connections_per_peer=2)
        self.full(429, TWO, ('::ffff:192.0.2.1', 9), connections_per_peer=2)
        self.admit(('192.0.2.2', 1), connections_per_peer=2)
        first.terminate()
        self.admit(connections_per_peer=2)
        self.full(429, TWO, connections_per_peer=2)

    def test_ipv6_by_network(self) -> None:
        self.admit(('2001:db8::1', 1), connections_per_peer=1)
        self.full(429, ONE, ('2001:db8::ffff:0:0:9', 1), connections_per_peer=1)
        self.admit(('2001:db8:0:1::1', 1), connections_per_peer=1)
        self.admit(('0.0.0.1', 1), connections_per_peer=1)
        self.admit(('fe80::1%eth0', 1), connections_per_peer=1)
        self.admit(('a name', 1), connections_per_peer=1)
        self.full(429, ONE, ('a name', 2), connections_per_peer=1)

    def test_without_an_address_it_counts_in_total_only(self) -> None:
        for peer in ('', '/run/sock', None):
            self.admit(peer, connections=3, connections_per_peer=1)
        self.full(503, 'all of the 3 connections are in use', connections=3, connections_per_peer=1)

    def test_none_at_all(self) -> None:
        self.full(503, 'all of the 0 connections are in use', connections=0)

    def test_one_that_cannot_be_made(self) -> None:
        def make() -> WebSocket:
            raise LookupError('no such room')

        for made in (make, object):  # the second cannot be watched
            with self.assertRaises((LookupError, TypeError)):
                self.admit(make=made, connections=1)
            self.assertEqual(len(self.admission), 0)
        self.admit(connections=1)

    def test_one_that_is_forgotten(self) -> None:
        self.admit(connections=1)
        self.assertEqual(len(self.admission), 1)
        self.kept.clear()
        gc.collect()
        self.assertEqual(len(self.admission), 0)

    def test_it_counts_until_closed_has_run(self) -> None:
        seen = []
        admission = self.admission

        class Slow(WebSocket):
            def closed(self, code: int, reason: Any = None) -> None:
                seen.append(len(admission))

        sock = self.make().sock
        self.admit(make=lambda: Slow(sock), connections=1).terminate()
        self.assertEqual((seen, len(self.admission)), ([1], 0))

    def test_the_terms(self) -> None:
        limits = Limits(message_size=77)
        policy = Policy(limits=limits, heartbeat_freq=7.0)
        request = Request('GET', '/', (1, 1), Headers())
        codecs = accept([('permessage-deflate', [])], ['permessage-deflate'])[1]
        self.assertEqual(len(codecs), 1)
        websocket = self.admission.admit(policy, request, Accepted([], [], [], codecs), self.make)
        self.assertIs(websocket.limits, limits)
        self.assertEqual((websocket.heartbeat_freq, websocket._codecs), (7.0, codecs))
        websocket = self.admission.admit(Policy(), request, ACCEPTED, self.make)
        self.assertIs(websocket.limits, DEFAULT_LIMITS)
        self.assertEqual((websocket.heartbeat_freq, websocket._codecs), (None, ()))

    def test_many_at_once(self) -> None:
        """Of thirty threads that come at the same moment five find room, however they are woven."""
        start = threading.Barrier(30)
        results: list[int] = []

        def come() -> None:
            start.wait(10)
            try:
                self.admit(connections=5)
                results.append(101)
            except HTTPError as error:
                results.append(error.status)

        threads = [threading.Thread(target=come) for _ in range(30)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(10)
        self.assertEqual(sorted(results), [101] * 5 + [503] * 25)
        for websocket in self.kept:
            websocket.terminate()
        self.assertEqual((len(self.admission), self.admission._peers), (0, {}))


if __name__ == '__main__':
    unittest.main()
