"""One message to many: which frames go out, how often they are built, and what an application's own send() gets."""

from __future__ import annotations

import unittest
from typing import Any, Optional
from unittest.mock import patch

from helpers import Case, Client, Peer, Recorder, logs

from ws4py.broadcasting import broadcast
from ws4py.messaging import PingControlMessage, TextMessage, build_data_frame
from ws4py.websocket import WebSocket


class Own(Recorder):
    def send(self, payload: Any, binary: bool = False) -> None:
        self.calls.append((payload, binary))
        super().send(payload, binary)


class BroadcastTest(Case):
    def peers(self, *classes: Any) -> tuple[list[Any], list[Peer]]:
        pairs = [self.pair(cls) for cls in classes]
        return [websocket for websocket, _ in pairs], [peer for _, peer in pairs]

    def test_every_kind_of_message(self) -> None:
        websockets, peers = self.peers(Recorder, Client, Own)
        for message, binary, first, expected in (
            ('text', True, 0x81, b'text'),
            (b'bytes', True, 0x82, b'bytes'),
            (bytearray(b'bytes'), False, 0x81, b'bytes'),
            (memoryview(b'view'), True, 0x82, b'view'),
            (TextMessage('message'), False, 0x81, b'message'),
            (PingControlMessage('ping'), False, 0x89, b'ping'),
        ):
            broadcast(websockets, message, binary)
            for peer in peers:
                self.assertEqual(peer.receive(), (first, expected))
        broadcast(websockets, iter(['a', 'b']))
        for peer in peers:
            self.assertEqual([peer.receive(), peer.receive()], [(0x01, b'a'), (0x80, b'b')])
        self.assertEqual(len(websockets[2].calls), 7)

    def test_the_frame_is_built_once(self) -> None:
        websockets, _ = self.peers(*[Recorder] * 3)
        built = []

        def count(*args: Any, **options: Any) -> bytes:
            built.append(build_data_frame(*args, **options))
            return built[-1]

        with patch('ws4py.extensions.build_data_frame', count):
            broadcast(websockets, 'hello')
        self.assertEqual(built, [b'\x81\x05hello'])

    def test_each_client_masks_with_a_key_of_its_own(self) -> None:
        websockets, peers = self.peers(Client, Client)
        broadcast(websockets, 'hello')
        masked = [peer.read(11) for peer in peers]
        self.assertEqual({data[:2] for data in masked}, {b'\x81\x85'})
        self.assertNotEqual(masked[0], masked[1])

    def test_who_cannot_be_reached_keeps_it_from_nobody(self) -> None:
        websockets, peers = self.peers(Recorder, Recorder)
        websockets[0].close()
        websockets[0].terminate()
        with logs() as records:
            broadcast(websockets, 'hello')
        self.assertEqual(peers[1].receive(), (0x81, b'hello'))
        self.assertIn('did not reach', records[-1].getMessage())

    def test_methods_that_do_nothing_but_send(self) -> None:
        class Plain(Recorder):
            def send(self, payload: Any, binary: bool = False) -> Optional[object]:
                raise AssertionError('it is not called')

        websockets, peers = self.peers(Plain, Recorder)
        broadcast(websockets, 'hello', plain=(WebSocket.send, Plain.send))
        self.assertEqual([peer.receive() for peer in peers], [(0x81, b'hello')] * 2)


if __name__ == '__main__':
    unittest.main()
