"""Certificates, on every client: ours is shown to a server that asks for it, a wrong one of a server is refused."""

from __future__ import annotations

import socket
import ssl
import unittest
from typing import Any

import support_tls
from backends import clients
from support_sockets import TIMEOUT, ScriptedServer, read_request, response_to

from client.of_each import OfEachClient, cases
from ws4py.exc import HandshakeError
from ws4py.websocket import EchoWebSocket


@support_tls.needs_certificates
class Certificates(OfEachClient):
    """A mixin; the tests of one client."""

    def setUp(self: Any) -> None:
        super().setUp()
        self.requests: list[bytes] = []
        self.shown: list[Any] = []

    def connect(self: Any, server: ssl.SSLContext, context: ssl.SSLContext) -> Any:
        def script(sock: socket.socket) -> None:
            sock.settimeout(TIMEOUT)
            try:
                tls = server.wrap_socket(sock, server_side=True)
            except OSError:  # one of both has refused the other
                return
            with tls:
                request = read_request(tls)
                self.requests.append(request)
                self.shown.append(tls.getpeercert())
                tls.sendall(response_to(request))
                EchoWebSocket(tls).run()

        scripted = ScriptedServer(script)
        scripted.__enter__()
        self.addCleanup(scripted.__exit__, None, None, None)
        face = clients.load(self.name)(f'wss://localhost:{scripted.port}/', context)
        self.addCleanup(face.disconnect)
        return face

    def test_ours_is_shown(self: Any) -> None:
        context = support_tls.client_context()
        context.load_cert_chain(*support_tls.certificate_files('client.test'))
        face = self.connect(support_tls.server_context(client_certificates=True), context)
        face.send('hello')
        self.assertEqual(face.receive(), 'hello')
        face.close(1000, '')
        self.assertIn(('DNS', 'client.test'), self.shown[0]['subjectAltName'])

    def test_without_one_the_server_refuses(self: Any) -> None:
        with self.assertRaises((HandshakeError, OSError)):
            self.connect(support_tls.server_context(client_certificates=True), support_tls.client_context())
        self.assertEqual(self.requests, [])

    def test_wrong_ones_of_servers(self: Any) -> None:
        trusting = support_tls.client_context()
        for name, server, context in (
            ('nobody trusts it', support_tls.server_context(), ssl.create_default_context()),
            ('another host', support_tls.server_context('elsewhere.test'), trusting),
            ('expired', support_tls.server_context(expired=True), trusting),
        ):
            with self.subTest(name), self.assertRaises(ssl.SSLCertVerificationError):
                self.connect(server, context)
        self.assertEqual(self.requests, [])


globals().update(cases(Certificates, __name__))


if __name__ == '__main__':
    unittest.main()
