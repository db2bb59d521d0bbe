"""Extensions: negotiation of any kind and number of them, and how messages go through their codecs."""

from __future__ import annotations

import os
import unittest
from collections.abc import Iterable, Sequence
from typing import Any, Optional

from ws4py.exc import HandshakeError, InvalidBytesError
from ws4py.extensions import Encoder, SharedMessage, accept, agree, check, offer, whole_frame
from ws4py.framing import RSV1, RSV2
from ws4py.http11 import Parameters
from ws4py.limits import Limits
from ws4py.masking import mask
from ws4py.messaging import BinaryMessage, TextMessage
from ws4py.permessage_deflate import Deflate, PerMessageDeflate
from ws4py.streaming import Stream


class Add:
    """An extension that somebody else could have written: it adds a number to each byte.

    :param bits: the reserved bits that it uses.
    :param takes: the parameters that it accepts.
    """

    def __init__(self, number: int, bits: int = 0, name: str = 'x-add', takes: Optional[Parameters] = None) -> None:
        self.number = number
        self.bits = bits
        self.name = name
        self.takes = takes

    def offers(self) -> Sequence[Parameters]:
        return [[('best', None)], []]

    def accept(self, offer: Parameters) -> Optional[tuple[Parameters, Any]]:
        return None if self.takes not in (None, offer) else (offer, AddCodec(self.number, self.bits))

    def complete(self, answer: Parameters) -> Any:
        if self.takes not in (None, answer):
            raise HandshakeError('not what x-add has offered')
        return AddCodec(self.number, self.bits)


class AddCodec:
    def __init__(self, number: int, bits: int) -> None:
        self.number = number
        self.reserved = bits
        self.shared = number
        self.forgot = 0

    def applies(self, size: Optional[int], compress: Optional[bool]) -> bool:
        return compress is not False or not self.reserved

    def encode(self, data: bytes, final: bool) -> bytes:
        return bytes((byte + self.number) % 256 for byte in data) + (b'!' if final else b'')

    def encode_alone(self, data: bytes) -> bytes:
        return self.encode(data, True)

    def forget(self) -> None:
        self.forgot += 1

    def decode(self, data: bytes, final: bool) -> Iterable[bytes]:
        for byte in data:
            if byte != ord('!'):
                yield bytes(((byte - self.number) % 256,))
        if final and self.number == 13:
            raise InvalidBytesError('that brings bad luck')


DEFLATE = 'permessage-deflate'


class NegotiationTest(unittest.TestCase):
    def test_names(self) -> None:
        add = Add(1)
        self.assertEqual(
            check([DEFLATE, b'permessage-deflate; client_max_window_bits=9', 'x-own; a=1', add]),
            [PerMessageDeflate(), PerMessageDeflate(client_max_window_bits=9), 'x-own; a=1', add],
        )
        for item in ('', 'a b', 'a, b', f'{DEFLATE}; level=9', f'{DEFLATE}; server_max_window_bits=7', 'x\r\ny'):
            with self.subTest(item=item):
                with self.assertRaises(ValueError) as caught:
                    check([item])
                self.assertNotIsInstance(caught.exception, HandshakeError)

    def test_offers(self) -> None:
        self.assertEqual(offer([DEFLATE]), 'permessage-deflate; client_max_window_bits')
        self.assertEqual(offer([Add(1), b'x-own;a']), 'x-add; best, x-add, x-own;a')

    def test_the_clients_order_and_the_first_that_will_do(self) -> None:
        add = Add(1, takes=[])
        answers, codecs = accept([('x-add', [('best', None)]), ('x-add', []), ('x-add', [])], [add])
        self.assertEqual(answers, [('x-add', [])])
        self.assertEqual([codec.number for codec in codecs], [1])  # type: ignore[attr-defined]
        answers, codecs = accept([('x-own', [('a', '1')]), ('x-own', []), (DEFLATE, []), ('z', [])], [DEFLATE, 'x-own'])
        self.assertEqual(answers, [('x-own', []), (DEFLATE, [('server_max_window_bits', '12')])])
        self.assertEqual([type(codec) for codec in codecs], [Deflate])
        self.assertEqual(accept([(DEFLATE, [])], []), ([], ()))

    def test_declined_offers(self) -> None:
        for parameters in (
            [('client_max_window_bits', '99')],
            [('x', None)],
            [('client_no_context_takeover', None)] * 2,
        ):
            self.assertEqual(accept([(DEFLATE, parameters)], [DEFLATE]), ([], ()))
            answers, _ = accept([(DEFLATE, parameters), (DEFLATE, [])], [DEFLATE])
            self.assertEqual(len(answers), 1)

    def test_a_reserved_bit_belongs_to_one(self) -> None:
        first, second, third = Add(1, RSV1, 'x-a'), Add(2, RSV1 | RSV2, 'x-b'), Add(3, RSV2, 'x-c')
        answers, codecs = accept([('x-a', []), ('x-b', []), ('x-c', [])], [first, second, third])
        self.assertEqual([name for name, _ in answers], ['x-a', 'x-c'])
        self.assertEqual([codec.reserved for codec in codecs], [RSV1, RSV2])
        with self.assertRaisesRegex(HandshakeError, "'x-b' uses a reserved bit"):
            agree([('x-a', []), ('x-b', [])], [first, second, third])

    def test_answers(self) -> None:
        add = Add(1, takes=[('best', None)])
        codecs = agree([('x-own', []), ('x-add', [('best', None)]), (DEFLATE, [])], [DEFLATE, add, 'x-own; a'])
        self.assertEqual([type(codec) for codec in codecs], [AddCodec, Deflate])
        self.assertEqual(agree([], [DEFLATE]), ())
        several = [Add(1, takes=[('best', None)]), Add(2, takes=[])]
        for parameters, number in (([('best', None)], 1), ([], 2)):
            for codecs in (agree([('x-add', parameters)], several), accept([('x-add', parameters)], several)[1]):
                self.assertEqual([codec.number for codec in codecs], [number])  # type: ignore[attr-defined]
        for answers, text in (
            ([('z', [])], "has 'z' .expected what was offered, once: .'permessage-deflate', 'x-add'.."),
            ([(DEFLATE, []), (DEFLATE, [])], "has 'permessage-deflate'"),
            ([('x-add', [])], 'not what x-add has offered'),
        ):
            with self.assertRaisesRegex(HandshakeError, text):
                agree(answers, [DEFLATE, add])


class MessagesTest(unittest.TestCase):
    """What goes out through whole_frame() or an Encoder comes in through a Stream."""

    def stream(self, *codecs: Any, **limits: Any) -> Stream:
        stream = Stream(expect_masking=False, limits=Limits(**limits))
        stream.codecs = codecs
        return stream

    def test_order(self) -> None:
        """RFC 6455 section 9.1: "foo, bar" is bar(foo(data)), and the way back is the other way round."""
        codecs = AddCodec(1, 0), AddCodec(2, RSV2)
        frame = whole_frame(codecs, 0x82, b'a', None, mask=False)
        self.assertEqual(frame, b'\xa2\x03d#!')
        for data in ([frame], [bytes((byte,)) for byte in frame]):
            stream = self.stream(*codecs)
            for piece in data:
                stream.parser.send(piece)
            assert stream.message is not None
            self.assertEqual((stream.message.data, stream.has_message), (b'a', True))

    def test_one_that_does_not_apply(self) -> None:
        codecs = AddCodec(1, 0), AddCodec(2, RSV2)
        frame = whole_frame(codecs, 0x81, b'a', False, mask=False)
        self.assertEqual(frame, b'\x81\x02b!')
        stream = self.stream(*codecs)
        stream.parser.send(frame)
        self.assertEqual(stream.message and stream.message.data, b'a')
        self.assertEqual(whole_frame(codecs[1:], 0x81, b'a', False, mask=False), b'\x81\x01a')

    def test_fragments(self) -> None:
        plain = Encoder((), None, mask=False)
        self.assertEqual([plain.frame(TextMessage('a'), False), plain.frame(TextMessage('b'))], [b'\1\1a', b'\x80\1b'])
        marked = Encoder((AddCodec(1, RSV1),), None, mask=False)
        frames = [
            marked.frame(TextMessage(text), last)
            for text, last in (('', False), ('a', False), ('', False), ('b', True))
        ]
        self.assertEqual(frames, [b'', b'\x41\1b', b'', b'\x80\2c!'])

    def test_masked(self) -> None:
        frame = whole_frame((AddCodec(1, RSV1),), 0x81, b'a', None, mask=True)
        self.assertEqual((frame[:2], mask(frame[6:], frame[2:6])), (b'\xc1\x82', b'b!'))

    def test_errors_of_a_codec(self) -> None:
        stream = self.stream(AddCodec(13, RSV1))
        stream.parser.send(b'\xc1\1x')
        self.assertEqual([(error.code, error.reason) for error in stream.errors], [(1007, b'that brings bad luck')])
        self.assertEqual(stream.codecs, ())

    def test_deflate_and_the_limit(self) -> None:
        for size, code in ((100_000, None), (100_001, 1009)):
            sender = Deflate(PerMessageDeflate(), 12, False, 12, False)
            stream = self.stream(Deflate(PerMessageDeflate(), 12, False, 12, False), message_size=100_000)
            stream.parser.send(whole_frame((sender,), 0x82, bytes(size), None, mask=False))
            self.assertEqual([error.code for error in stream.errors], [code] if code else [])
            self.assertEqual(stream.has_message, code is None)

    def test_shared(self) -> None:
        text = 'hello ' * 100
        message = SharedMessage(TextMessage(text))
        self.assertEqual(message.size, 600)
        codecs = [Deflate(PerMessageDeflate(), bits, False, 15, False) for bits in (12, 12, 9)]
        plain = message.frame((), False)
        self.assertEqual(plain, TextMessage(text).single())
        self.assertIs(message.frame((), False), plain)
        self.assertIs(message.plain, plain)
        frames = [message.frame((codec,), False) for codec in codecs]
        self.assertIs(frames[0], frames[1])
        self.assertIsNot(frames[0], frames[2])
        self.assertNotEqual(message.frame((codecs[0],), True), message.frame((codecs[0],), True))
        for frame in frames:
            stream = self.stream(Deflate(PerMessageDeflate(), 15, False, 15, False))
            stream.parser.send(frame)
            self.assertEqual(stream.message and stream.message.data, text.encode())
        add = AddCodec(1, RSV1)
        message.frame((add,), False)
        message.frame((add,), False)
        self.assertEqual(add.forgot, 2)

    def test_a_shared_message_that_is_not_to_be_compressed(self) -> None:
        message = BinaryMessage(os.urandom(1000))
        message.compress = False
        codec = Deflate(PerMessageDeflate(), 12, False, 12, False)
        self.assertEqual(SharedMessage(message).frame((codec,), False), message.single())


if __name__ == '__main__':
    unittest.main()
