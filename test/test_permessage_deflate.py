"""permessage-deflate: negotiation parameter by parameter, the vectors of RFC 7692, and what a hostile peer can send."""

from __future__ import annotations

import os
import random
import unittest
import zlib
from typing import Any, Callable, Optional

from support_cost import is_linear, peak_memory

from ws4py.exc import HandshakeError, InvalidBytesError, LimitExceededException
from ws4py.framing import RSV1
from ws4py.http11 import Parameters
from ws4py.permessage_deflate import FINAL_BLOCKS, INPUT, PIECE, TAIL, Deflate, PerMessageDeflate

KIB, MIB = 1024, 1024 * 1024
S_ALONE, C_ALONE = 'server_no_context_takeover', 'client_no_context_takeover'
S_BITS, C_BITS = 'server_max_window_bits', 'client_max_window_bits'


def pair(
    server: Optional[PerMessageDeflate] = None, client: Optional[PerMessageDeflate] = None
) -> tuple[Deflate, Deflate]:
    """What a server and a client agree on, as its codecs: the server's and the client's."""
    client = client or PerMessageDeflate()
    (offer,) = client.offers()
    accepted = (server or PerMessageDeflate()).accept(offer)
    assert accepted is not None
    answer, codec = accepted
    return codec, client.complete(answer)


def codec(bits: int = 15, alone: bool = False, **settings: Any) -> Deflate:
    """A codec whose two directions fit together, so that it understands itself."""
    return Deflate(PerMessageDeflate(**settings), bits, alone, bits, alone)


def decoded(codec: Deflate, *parts: bytes) -> bytes:
    """A message that comes in *parts*."""
    pieces = [piece for part in parts for piece in codec.decode(part, False)]
    return b''.join(pieces + list(codec.decode(b'', True)))


def raw(data: bytes, finish: bool = False, bits: int = 15, level: int = 6) -> bytes:
    """*data* compressed without this package, up to a flush or with a final block."""
    compressor = zlib.compressobj(level, zlib.DEFLATED, -bits)
    return compressor.compress(data) + compressor.flush(zlib.Z_FINISH if finish else zlib.Z_SYNC_FLUSH)


class SettingsTest(unittest.TestCase):
    def test_ranges(self) -> None:
        for name, least, most in ((S_BITS, 8, 15), (C_BITS, 8, 15), ('level', 1, 9), ('mem_level', 1, 9)):
            for value in (least, most):
                self.assertEqual(getattr(PerMessageDeflate(**{name: value}), name), value)
            for value in (least - 1, most + 1):
                with self.assertRaisesRegex(ValueError, f'{name} is {value} \\(expected {least} to {most}\\)'):
                    PerMessageDeflate(**{name: value})
        with self.assertRaisesRegex(ValueError, 'threshold is -1'):
            PerMessageDeflate(threshold=-1)

    def test_they_are_shared(self) -> None:
        self.assertEqual(hash(PerMessageDeflate()), hash(PerMessageDeflate()))
        self.assertEqual(PerMessageDeflate.name, 'permessage-deflate')

    def test_from_a_header(self) -> None:
        self.assertEqual(PerMessageDeflate.configured([]), PerMessageDeflate())
        everything: Parameters = [(S_ALONE, None), (C_ALONE, None), (S_BITS, '10'), (C_BITS, '11')]
        self.assertEqual(PerMessageDeflate.configured(everything), PerMessageDeflate(True, True, 10, 11))
        with self.assertRaisesRegex(ValueError, "'level' with the value '9' is no parameter"):
            PerMessageDeflate.configured([('level', '9')])


class NegotiationTest(unittest.TestCase):
    def answer(self, server: PerMessageDeflate, *offer: tuple[str, Optional[str]]) -> Optional[Parameters]:
        accepted = server.accept(list(offer))
        return None if accepted is None else accepted[0]

    def test_what_is_offered(self) -> None:
        for client, offer in (
            (PerMessageDeflate(), [(C_BITS, None)]),
            (PerMessageDeflate(True, True), [(S_ALONE, None), (C_ALONE, None), (C_BITS, None)]),
            (PerMessageDeflate(False, False, 9, 10), [(S_BITS, '9'), (C_BITS, '10')]),
            (PerMessageDeflate(False, False, 15, 15), [(S_BITS, '15'), (C_BITS, '15')]),
        ):
            self.assertEqual(client.offers(), [offer])

    def test_what_is_answered(self) -> None:
        plain, strict, wide = (
            PerMessageDeflate(),
            PerMessageDeflate(True, True, 9, 10),
            PerMessageDeflate(False, False, 15, 15),
        )
        for server, offer, answer in (
            (plain, [], [(S_BITS, '12')]),
            (plain, [(C_BITS, None)], [(S_BITS, '12'), (C_BITS, '12')]),
            (plain, [(C_BITS, '9'), (S_BITS, '10')], [(S_BITS, '10'), (C_BITS, '9')]),
            (plain, [(S_BITS, '15')], [(S_BITS, '12')]),
            (plain, [(S_ALONE, None)], [(S_ALONE, None), (S_BITS, '12')]),
            (plain, [(C_ALONE, None)], [(C_ALONE, None), (S_BITS, '12')]),
            (strict, [], [(S_ALONE, None), (C_ALONE, None), (S_BITS, '9')]),
            (strict, [(C_BITS, None)], [(S_ALONE, None), (C_ALONE, None), (S_BITS, '9'), (C_BITS, '10')]),
            (strict, [(S_BITS, '8'), (C_BITS, '8')], [(S_ALONE, None), (C_ALONE, None), (S_BITS, '8'), (C_BITS, '8')]),
            (wide, [], []),
            (wide, [(C_BITS, None)], [(C_BITS, '15')]),
            (wide, [(S_BITS, '15')], [(S_BITS, '15')]),
        ):
            with self.subTest(server=server, offer=offer):
                self.assertEqual(self.answer(server, *offer), answer)

    def test_what_is_declined(self) -> None:
        for offer in (
            [('unknown', None)],
            [(S_ALONE, 'true')],
            [(C_ALONE, '1')],
            [(S_BITS, None)],
            [(S_BITS, '7')],
            [(S_BITS, '16')],
            [(S_BITS, '08')],
            [(C_BITS, '99')],
            [(C_BITS, '+9')],
            [(C_BITS, '9'), (C_BITS, '9')],
            [(S_ALONE, None), (S_ALONE, None)],
        ):
            with self.subTest(offer=offer):
                self.assertIsNone(self.answer(PerMessageDeflate(), *offer))

    def test_answers_that_a_client_takes(self) -> None:
        for client, answer in (
            (PerMessageDeflate(), []),
            (PerMessageDeflate(), [(S_ALONE, None), (C_ALONE, None), (S_BITS, '8'), (C_BITS, '15')]),
            (PerMessageDeflate(False, True), []),
            (PerMessageDeflate(True, False, 10, 11), [(S_ALONE, None), (S_BITS, '10'), (C_BITS, '11')]),
            (PerMessageDeflate(True, False, 10, 11), [(S_ALONE, None), (S_BITS, '9')]),
        ):
            with self.subTest(client=client, answer=answer):
                self.assertIsInstance(client.complete(answer), Deflate)

    def test_answers_that_it_does_not_take(self) -> None:
        strict = PerMessageDeflate(True, False, 10, 11)
        for client, answer, text in (
            (PerMessageDeflate(), [('unknown', None)], "'unknown' with the value None"),
            (PerMessageDeflate(), [(C_BITS, None)], 'client_max_window_bits'),
            (PerMessageDeflate(), [(S_BITS, '99')], "'99'"),
            (PerMessageDeflate(), [(S_BITS, '9'), (S_BITS, '9')], 'is there twice'),
            (strict, [(S_BITS, '10')], 'lacks server_no_context_takeover'),
            (strict, [(S_ALONE, None)], 'lacks server_max_window_bits'),
            (strict, [(S_ALONE, None), (S_BITS, '11')], 'server_max_window_bits=11 .expected at most 10'),
            (
                strict,
                [(S_ALONE, None), (S_BITS, '10'), (C_BITS, '12')],
                'client_max_window_bits=12 .expected at most 11',
            ),
        ):
            with self.subTest(client=client, answer=answer):
                with self.assertRaisesRegex(HandshakeError, f'the answer to permessage-deflate.*{text}'):
                    client.complete(answer)

    def test_the_client_compresses_as_the_server_says(self) -> None:
        data = os.urandom(300)
        for bits in range(8, 16):
            for alone in (False, True):
                answer: Parameters = [(C_BITS, str(bits))] + ([(C_ALONE, None)] if alone else [])
                client = PerMessageDeflate(False, False, None, 15).complete(answer)
                inflater = zlib.decompressobj(-bits)
                for _ in range(3):  # what lies further back than the window is not there any more
                    compressed = client.encode(data * 3, True)
                    if alone:
                        inflater = zlib.decompressobj(-bits)
                    self.assertEqual(inflater.decompress(compressed + b'\0\0\xff\xff'), data * 3)


class DeflateTest(unittest.TestCase):
    def test_vectors_of_the_rfc(self) -> None:
        """RFC 7692 section 7.2.3."""
        hello = bytes.fromhex('f2 48 cd c9 c9 07 00')
        peer = codec()
        self.assertEqual(decoded(peer, hello), b'Hello')  # 7.2.3.1
        self.assertEqual(decoded(peer, hello), b'Hello')  # 7.2.3.2, with the context of the one before
        self.assertEqual(decoded(peer, bytes.fromhex('f2 00 11 00 00')), b'Hello')
        self.assertEqual(decoded(codec(), hello[:3], hello[3:]), b'Hello')
        self.assertEqual(decoded(codec(), bytes.fromhex('00 05 00 fa ff 48 65 6c 6c 6f 00')), b'Hello')  # 7.2.3.3
        self.assertEqual(decoded(codec(), bytes.fromhex('f3 48 cd c9 c9 07 00 00')), b'Hello')  # 7.2.3.4: a final block
        two = bytes.fromhex('f2 48 05 00 00 00 ff ff ca c9 c9 07 00')
        self.assertEqual(decoded(codec(), two), b'Hello')  # 7.2.3.5: two blocks
        self.assertEqual(decoded(codec(), b'\0'), b'')  # 7.2.3.6: an empty message
        ours = codec()
        self.assertEqual(ours.encode(b'Hello', True), hello)
        self.assertEqual(ours.encode(b'Hello', True), bytes.fromhex('f2 00 11 00 00'))

    def test_both_ends(self) -> None:
        messages = [b'', b'x', b'hello ' * 200, os.urandom(200 * KIB), bytes(MIB), b'', b'', b'hello ' * 200]
        for alone in (False, True):
            for bits in (8, 9, 12, 15):
                for mem_level in (1, 9):
                    settings = PerMessageDeflate(alone, alone, bits, bits, mem_level=mem_level)
                    server, client = pair(settings, settings)
                    for message in messages:
                        for sender, receiver in ((server, client), (client, server)):
                            self.assertEqual(decoded(receiver, sender.encode(message, True)), message)

    def test_parts(self) -> None:
        """However a message is cut, on its way out and on its way in."""
        chance = random.Random(1)
        sender, receiver = pair()
        for _ in range(50):
            parts = [b'word ' * chance.randrange(300) for _ in range(chance.randrange(1, 5))]
            wire = b''.join(sender.encode(part, last) for part, last in zip(parts, [False] * (len(parts) - 1) + [True]))
            cuts = sorted(chance.randrange(len(wire) + 1) for _ in range(3))
            pieces = [wire[begin:end] for begin, end in zip([0, *cuts], [*cuts, len(wire)])]
            self.assertEqual(decoded(receiver, *pieces), b''.join(parts))

    def test_an_empty_message_without_a_block_does_not_spoil_the_next(self) -> None:
        """Zlib flushes nothing where nothing has come since it flushed last, and not everybody puts a block there."""
        compressor = zlib.compressobj(6, zlib.DEFLATED, -15)
        receiver = codec()
        for text in (b'some words', b'', b'some words again'):
            flushed = (compressor.compress(text) if text else b'') + compressor.flush(zlib.Z_SYNC_FLUSH)
            self.assertIs(flushed == b'', text == b'')
            self.assertEqual(decoded(receiver, flushed[:-4]), text)
        self.assertEqual(decoded(codec(), b''), b'')

    def test_empty_messages_in_a_row(self) -> None:
        for alone in (False, True):
            sender, receiver = pair(PerMessageDeflate(alone))
            for message in (b'', b'', b'text', b'', b'', b'text'):
                self.assertEqual(decoded(receiver, sender.encode(message, True)), message)
            for parts in ((b'', b''), (b'', b'text'), (b'text', b'')):
                wire = [sender.encode(parts[0], False), sender.encode(parts[1], True)]
                self.assertEqual(decoded(receiver, *wire), b''.join(parts))

    def test_context(self) -> None:
        text = os.urandom(1000)
        for alone in (False, True):
            sender = codec(alone=alone)
            first, second = sender.encode(text, True), sender.encode(text, True)
            self.assertEqual(len(second) > 900, alone)
            self.assertGreater(len(first), 1000)

    def test_nothing_is_made_before_it_is_needed_or_kept_when_it_is_not(self) -> None:
        for alone in (False, True):
            one = codec(alone=alone)
            self.assertEqual((one._compressor, one._inflater), (None, None))
            decoded(one, one.encode(b'text', True))
            self.assertEqual((one._compressor is None, one._inflater is None), (alone, alone))

    def test_which_messages(self) -> None:
        one = codec(threshold=10)
        for size, compress, applies in (
            (9, None, False),
            (10, None, True),
            (None, None, True),
            (10, False, False),
            (None, False, False),
            (0, True, True),
        ):
            self.assertIs(one.applies(size, compress), applies)
        self.assertEqual(one.reserved, RSV1)

    def test_broadcast(self) -> None:
        """What was compressed without a context stands between messages with one."""
        text = os.urandom(500)
        sender, receiver = pair()
        for _ in range(2):
            self.assertEqual(decoded(receiver, sender.encode(text, True)), text)
            alone = sender.encode_alone(text)
            sender.forget()
            self.assertEqual(decoded(receiver, alone), text)
            self.assertEqual(decoded(receiver, sender.encode(text, True)), text)
        self.assertEqual(sender.encode_alone(text), alone)

    def test_who_shares_a_broadcast(self) -> None:
        keys = [
            Deflate(PerMessageDeflate(level=level), bits, False, 15, False).shared
            for level, bits in ((6, 12), (6, 12), (5, 12), (6, 11))
        ]
        self.assertEqual(len(set(keys)), 3)
        self.assertEqual(keys[0], keys[1])


class HostileTest(unittest.TestCase):
    def test_what_cannot_be_inflated(self) -> None:
        for data in (b'\xff\xff\xff', os.urandom(300), b'\x00\x05\x00\xfa\xfe'):
            with self.assertRaisesRegex(InvalidBytesError, 'cannot be inflated'):
                decoded(codec(), data)

    def test_a_reference_beyond_the_window(self) -> None:
        text = os.urandom(20 * KIB)
        far = raw(text + text[:100])
        self.assertEqual(decoded(codec(15), far[:-4]), text + text[:100])
        with self.assertRaisesRegex(InvalidBytesError, 'too far back'):
            decoded(codec(9), far[:-4])

    def test_a_bomb_comes_in_small_pieces(self) -> None:
        bomb = raw(bytes(64 * MIB), level=9)
        self.assertLess(len(bomb), 70 * KIB)
        self.assertEqual(sum(map(len, codec().decode(bomb, True))), 64 * MIB)
        self.assertLessEqual(max(map(len, codec().decode(bomb, True))), PIECE)
        self.assertLess(peak_memory(lambda: sum(map(len, codec().decode(bomb, True)))), MIB)

    def test_final_blocks(self) -> None:
        for alone in (False, True):
            one = codec(alone=alone)
            for data in (b'', b'text', os.urandom(100 * KIB)):
                final = raw(data, finish=True)
                for more in (b'', b'\0', raw(data)[:-4], final, final + b'\0'):
                    times = 1 + (more not in (b'', b'\0'))
                    self.assertEqual(decoded(one, final + more), data * times)
                    self.assertEqual(decoded(one, raw(b'next')[:-4]), b'next')  # and the connection goes on

    def test_in_one_call_or_in_two(self) -> None:
        """The last part of a message may be told to be the last when it is given, or afterwards."""

        def outcome(decode: Callable[..., bytes], *args: Any) -> Optional[bytes]:
            try:
                return decode(*args)
            except InvalidBytesError:
                return None

        def in_one_call(codec: Deflate, message: bytes) -> bytes:
            return b''.join(codec.decode(message, True))

        final, noise = raw(b'text', finish=True), os.urandom(40 * KIB)
        endings = [b'', b'\0', b'\3', b'\3\0', TAIL, b'\0' + TAIL, b'\0' + TAIL[:3], final, final + b'\0', final + TAIL]
        starts = [b'', raw(b'text')[:-4], raw(b'text'), final, final + raw(b'more')[:-4]]
        starts += [raw(noise[:size])[:-4] for size in (*range(INPUT - 12, INPUT + 3), 2 * INPUT - 11, 40 * KIB)]
        for data in (start + ending for start in starts for ending in endings):
            one, two = codec(), codec()
            for message in (data, raw(b'next')[:-4]):
                at_once = outcome(in_one_call, one, message)
                self.assertEqual(at_once, outcome(decoded, two, message))
                if at_once is None:
                    break  # the connection has failed
                self.assertEqual((one._finals, one._empty), (two._finals, two._empty))

    def test_too_many_final_blocks(self) -> None:
        one = codec()
        final = raw(b'', finish=True)
        self.assertEqual(decoded(one, final * FINAL_BLOCKS), b'')
        self.assertEqual(decoded(one, final * FINAL_BLOCKS), b'')
        with self.assertRaisesRegex(LimitExceededException, 'more than 1024 final blocks'):
            decoded(one, final * (FINAL_BLOCKS + 1))

    def test_truncated(self) -> None:
        """What is cut off is not missed by zlib; it is the peer's own message that suffers, and nothing else."""
        data = raw(b'some words, and some more words')[:-4]
        for end in range(len(data)):
            try:
                text = decoded(codec(), data[:end])
            except InvalidBytesError:
                continue
            self.assertLessEqual(len(text), 600)

    def test_blocks_without_content(self) -> None:
        """Blocks of nothing cost time that is linear, and no memory."""
        self.assertEqual(decoded(codec(), b'\0\0\0\xff\xff' * 50_000 + b'\0'), b'')
        self.assertTrue(is_linear(lambda size: decoded(codec(), b'\0\0\0\xff\xff' * size + b'\0'), 50_000))

    def test_incompressible(self) -> None:
        data = raw(os.urandom(8 * MIB))[:-4]
        self.assertTrue(is_linear(lambda size: decoded(codec(), data[: size * KIB]), 2 * KIB))

    def test_an_end_that_falls_on_the_edge_of_a_piece(self) -> None:
        for size in (PIECE - 1, PIECE, PIECE + 1, 2 * PIECE):
            data = bytes(size)
            self.assertEqual(decoded(codec(), raw(data)[:-4]), data)
            self.assertEqual(decoded(codec(), raw(data, finish=True)), data)


if __name__ == '__main__':
    unittest.main()
