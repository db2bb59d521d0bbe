"""What a static check cannot see: where random bytes come from, and that no assert decides about a peer.

``make lint`` runs bandit over the package; these are two things that it leaves open. What the library promises is in
docs/threats.rst.
"""

from __future__ import annotations

import ast
import base64
import unittest
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Callable
from unittest import mock

from support_streams import xor

from ws4py import masking
from ws4py.client import WebSocketBaseClient
from ws4py.extensions import Encoder, SharedMessage, whole_frame
from ws4py.handshake import generate_key
from ws4py.messaging import BinaryMessage, CloseControlMessage, PingControlMessage, PongControlMessage, TextMessage
from ws4py.permessage_deflate import Deflate, PerMessageDeflate
from ws4py.streaming import Stream

ROOT = Path(__file__).resolve().parents[1]
PAYLOAD = b'some words'


class Client(WebSocketBaseClient):
    """A client whose bytes do not come from a socket."""

    _socket_first = False


class Entropy:
    """In the place of ``os.urandom``: gives other bytes each time, and keeps them."""

    def __init__(self) -> None:
        self.given: list[bytes] = []

    def __call__(self, size: int) -> bytes:
        self.given.append(bytes((len(self.given) * 16 + at + 1) & 255 for at in range(size)))
        return self.given[-1]


def frames() -> Iterator[tuple[str, Callable[[], bytes]]]:
    """Every way to make a masked frame of :data:`PAYLOAD`."""
    stream = Stream(always_mask=True, expect_masking=False)
    yield 'text', lambda: TextMessage(PAYLOAD).single(mask=True)
    yield 'binary', lambda: BinaryMessage(PAYLOAD).single(mask=True)
    yield 'fragment', lambda: BinaryMessage(PAYLOAD).fragment(first=True, mask=True)
    yield 'ping', lambda: stream.ping(PAYLOAD)
    yield 'pong', lambda: stream.pong(PAYLOAD)
    yield 'answer', lambda: stream.pong(PingControlMessage(PAYLOAD))
    yield 'pong message', lambda: PongControlMessage(PAYLOAD).single(mask=True)
    yield 'close', lambda: CloseControlMessage(1000, PAYLOAD[2:]).single(mask=True)
    codec = Deflate(PerMessageDeflate(), 15, False, 15, False)
    yield 'compressed', lambda: whole_frame((codec,), 0x82, PAYLOAD, True, True)
    yield 'not compressed', lambda: Encoder((codec,), False, True).frame(BinaryMessage(PAYLOAD))
    shared = SharedMessage(BinaryMessage(PAYLOAD))
    yield 'broadcast', lambda: shared.frame((), True)


class RandomBytes(unittest.TestCase):
    def test_every_frame_of_a_client_has_a_key_of_its_own_from_the_operating_system(self) -> None:
        for name, build in frames():
            with self.subTest(frame=name), mock.patch('os.urandom', Entropy()) as entropy:
                masking._keys.clear()
                built = [build(), build()]
                (given,) = entropy.given
                keys = [given[at : at + 4] for at in range(0, len(given), 4)]
                self.assertEqual([frame[2:6] for frame in built], [keys[-1], keys[-2]])
                self.assertEqual(masking._keys, keys[:-2])
                if 'compressed' not in name:
                    self.assertIn(PAYLOAD[2:], xor(built[1][6:], keys[-2]))
        masking._keys.clear()  # those were no secret

    def test_the_key_of_a_handshake(self) -> None:
        for make in (generate_key, lambda: Client('ws://localhost/').key):
            with mock.patch('os.urandom', Entropy()) as entropy:
                keys = [make(), make()]
                self.assertEqual([base64.b64decode(key) for key in keys], entropy.given)
                self.assertEqual([len(given) for given in entropy.given], [16, 16])

    def test_a_server_masks_nothing_and_asks_for_nothing(self) -> None:
        with mock.patch('os.urandom', Entropy()) as entropy:
            self.assertEqual(Stream().ping(PAYLOAD), b'\x89\x0a' + PAYLOAD)
            self.assertEqual(entropy.given, [])


class Asserts(unittest.TestCase):
    """``python -O`` takes them out, so they may say what is known already, and nothing else."""

    def test_an_assert_says_that_something_is_there(self) -> None:
        found = 0
        for path in sorted((ROOT / 'ws4py').rglob('*.py')):
            for node in ast.walk(ast.parse(path.read_text('utf-8'))):
                if isinstance(node, ast.Assert):
                    found += 1
                    with self.subTest(module=path.name, line=node.lineno):
                        self.assertTrue(self.is_not_none(node.test), ast.unparse(node))
        self.assertGreater(found, 0)

    def is_not_none(self, test: Any) -> bool:
        if isinstance(test, ast.BoolOp) and isinstance(test.op, ast.And):
            return all(map(self.is_not_none, test.values))
        if not isinstance(test, ast.Compare) or len(test.ops) != 1:
            return False
        (compared,) = test.comparators
        return isinstance(test.ops[0], ast.IsNot) and isinstance(compared, ast.Constant) and compared.value is None


if __name__ == '__main__':
    unittest.main()
