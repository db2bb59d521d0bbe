"""TLS on a transport: every edge with a transport that only remembers, and the whole of it on real ones."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import unittest
from typing import Any, Callable, Optional
from unittest import mock

import support_tls
from helpers import TIMEOUT, logs, needs_certificates

from ws4py import tlstransport
from ws4py.tlstransport import RECORD, TLSTransport, encrypted

MESSAGE = bytes(range(256)) * 300  # several records


class Below(asyncio.Transport):
    """A transport that remembers what is done with it."""

    def __init__(self) -> None:
        super().__init__({'peername': ('192.0.2.1', 80)})
        self.calls: list[str] = []
        self.written = b''
        self.limits: Any = None
        self.waits = 0

    def __getattribute__(self, name: str) -> Any:
        if name in ('abort', 'close', 'pause_reading', 'resume_reading'):
            return lambda: self.calls.append(name)
        return super().__getattribute__(name)

    def is_closing(self) -> bool:
        return 'close' in self.calls or 'abort' in self.calls

    def write(self, data: Any) -> None:
        self.written += data

    def get_write_buffer_size(self) -> int:
        return self.waits

    def set_write_buffer_limits(self, high: Optional[int] = None, low: Optional[int] = None) -> None:
        self.limits = high, low


class Above(asyncio.Protocol):
    """A protocol that remembers what it is told."""

    def __init__(self) -> None:
        self.calls: list[Any] = []
        self.received = b''
        self.transport: Any = None
        self.on_made: Optional[Callable[[], None]] = None
        self.on_data: Optional[Callable[[], None]] = None

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.calls.append('made')
        if self.on_made is not None:
            self.on_made()

    def data_received(self, data: bytes) -> None:
        self.received += data
        self.calls.append('data')
        if self.on_data is not None:
            self.on_data()

    def eof_received(self) -> None:
        self.calls.append('eof')

    def pause_writing(self) -> None:
        self.calls.append('pause')

    def resume_writing(self) -> None:
        self.calls.append('resume')

    def connection_lost(self, exc: Optional[Exception]) -> None:
        self.calls.append(('lost', type(exc)))


@needs_certificates
class Layer(unittest.IsolatedAsyncioTestCase):
    """One layer, a client of TLS with no socket, and bytes that the test carries between the two."""

    version: Optional[ssl.TLSVersion] = None

    def setUp(self) -> None:
        context = support_tls.client_context()
        if self.version is not None:
            context.maximum_version = self.version
        self.inwards, self.outwards = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.client = context.wrap_bio(self.inwards, self.outwards, server_hostname='localhost')
        self.below = Below()
        self.above = Above()
        self.layer: Any = None

    def start(self) -> None:
        make = encrypted(lambda: self.above, support_tls.server_context(), handshake_timeout=TIMEOUT)
        self.layer = make()
        self.layer.connection_made(self.below)

    def feed(self, data: bytes, piece: int = 100_000) -> None:
        """The layer gets *data* from below, *piece* by piece."""
        for at in range(0, len(data), piece):
            part = data[at : at + piece]
            buffer = self.layer.get_buffer(-1)
            buffer[: len(part)] = part
            self.layer.buffer_updated(len(part))

    def deliver(self) -> None:
        """The client gets what was written."""
        written, self.below.written = self.below.written, b''
        self.inwards.write(written)

    def said(self, data: bytes = b'') -> bytes:
        """What the client makes of *data*, and of what it has to say besides."""
        if data:
            self.client.write(data)
        return self.outwards.read()

    def shake_hands(self, piece: int = 100_000) -> None:
        self.start()
        while True:
            try:
                self.client.do_handshake()
                break
            except ssl.SSLWantReadError:
                self.feed(self.said(), piece)
                self.deliver()
        self.feed(self.said(), piece)
        self.hear()
        self.assertEqual(self.above.calls, ['made'])
        self.assertIs(self.above.transport, self.layer)

    def hear(self) -> bytes:
        """All that the client can read of what was written."""
        self.deliver()
        heard = b''
        with contextlib.suppress(ssl.SSLWantReadError):
            while True:
                data = self.client.read(RECORD)
                if not data:
                    break
                heard += data
        return heard

    def end(self) -> bytes:
        """The client's end of TLS."""
        with contextlib.suppress(ssl.SSLWantReadError):
            self.client.unwrap()
        return self.said()


class Reading(Layer):
    async def test_a_handshake_byte_by_byte(self) -> None:
        self.shake_hands(piece=1)
        self.feed(self.said(b'hello'))
        self.assertEqual(self.above.received, b'hello')

    async def test_records_that_are_cut(self) -> None:
        self.shake_hands()
        for piece in (1, 7, RECORD, RECORD + 21, RECORD + 22, 2 * RECORD + 50, 100_000):
            with self.subTest(piece=piece):
                self.above.received = b''
                self.feed(self.said(MESSAGE), piece)
                self.assertEqual(self.above.received, MESSAGE)

    async def test_records_that_come_together_are_handed_up_in_one_piece(self) -> None:
        self.shake_hands()
        data = self.said(MESSAGE)
        self.assertGreater(len(data), len(MESSAGE) + 4 * 20)
        self.feed(data)
        self.assertEqual((self.above.received, self.above.calls), (MESSAGE, ['made', 'data']))
        self.feed(self.said(b'a') + self.said(b'b') + self.said(b'cd')[:-1])
        self.assertEqual((self.above.received[-2:], self.above.calls), (b'ab', ['made', 'data', 'data']))

    async def test_while_the_protocol_has_paused(self) -> None:
        self.shake_hands()
        self.layer.pause_reading()
        self.assertFalse(self.layer.is_reading())
        self.feed(self.said(MESSAGE)[:50_000])
        self.assertEqual((self.above.received, self.below.calls), (b'', ['pause_reading']))
        self.layer.resume_reading()
        self.layer.resume_reading()
        self.assertEqual(self.below.calls, ['pause_reading', 'resume_reading'])
        self.assertTrue(self.layer.is_reading())
        await asyncio.sleep(0)
        self.assertEqual(self.above.received, MESSAGE[: 3 * RECORD])

    async def test_the_end_behind_data_waits_for_a_protocol_that_pauses(self) -> None:
        self.shake_hands()
        self.above.on_data = self.layer.pause_reading
        self.feed(self.said(b'a') + self.said(b'b') + self.end())
        await asyncio.sleep(0)
        self.assertEqual((self.above.received, self.above.calls), (b'ab', ['made', 'data']))
        self.assertFalse(self.layer.is_closing())
        self.layer.resume_reading()
        await asyncio.sleep(0)
        self.assertEqual(self.above.calls, ['made', 'data', 'eof'])
        self.assertEqual(self.below.calls, ['pause_reading', 'resume_reading', 'close'])

    async def test_the_end(self) -> None:
        for behind in (b'', b'last words'):
            with self.subTest(behind=behind):
                self.setUp()
                self.shake_hands()
                self.feed(self.said(behind) + self.end())
                await asyncio.sleep(0)
                self.assertEqual(self.above.received, behind)
                self.assertEqual(self.above.calls[-1], 'eof')
                self.assertEqual(self.below.calls, ['close'])
                self.deliver()
                self.client.unwrap()  # it got our end
                self.layer.eof_received()
                self.layer.connection_lost(None)
                self.assertEqual(self.above.calls[-2:], ['eof', ('lost', type(None))])

    async def test_a_connection_that_ends_without_the_end_of_tls(self) -> None:
        self.shake_hands()
        self.feed(self.said(b'cut in the middle')[:-5])
        self.assertIsNone(self.layer.eof_received())
        self.assertEqual(self.above.calls, ['made', 'eof'])
        self.assertTrue(self.layer.is_closing())
        self.assertNotEqual(self.below.written, b'')

    async def test_a_record_that_is_forged(self) -> None:
        self.shake_hands()
        data = bytearray(self.said(b'message'))
        data[-1] ^= 1
        self.feed(bytes(data))
        self.assertEqual(self.below.calls, ['abort'])
        self.deliver()
        with self.assertRaisesRegex(ssl.SSLError, '(?i)alert'):
            self.client.read(1)
        await asyncio.sleep(0)
        self.layer.connection_lost(None)
        self.assertEqual(self.above.calls, ['made', ('lost', ssl.SSLError)])
        self.assertIsNone(self.layer._error.__traceback__)
        self.layer.resume_reading()
        self.layer._receive()
        self.assertEqual(self.above.received, b'')


class Handshakes(Layer):
    def shake_hands_with(self, data: bytes) -> None:
        """*data* comes with the last of the handshake, which is the client's in TLS 1.3."""
        self.start()
        with self.assertRaises(ssl.SSLWantReadError):
            self.client.do_handshake()
        self.feed(self.said())
        self.deliver()
        self.client.do_handshake()
        self.assertEqual(self.above.calls, [])
        self.feed(self.said(data))

    async def test_data_with_the_last_of_it(self) -> None:
        self.shake_hands_with(b'early')
        self.assertEqual((self.above.received, self.above.calls), (b'early', ['made', 'data']))

    async def test_data_with_the_last_of_it_for_a_protocol_that_pauses_at_once(self) -> None:
        self.above.on_made = lambda: self.layer.pause_reading()
        self.shake_hands_with(b'early')
        self.assertEqual(self.above.calls, ['made'])
        self.layer.resume_reading()
        await asyncio.sleep(0)
        self.assertEqual(self.above.received, b'early')

    async def test_data_with_the_last_of_it_for_a_protocol_that_closes_at_once(self) -> None:
        self.above.on_made = lambda: self.layer.close()
        self.shake_hands_with(b'early')
        self.assertEqual((self.above.calls, self.below.calls), (['made'], []))
        self.feed(self.end())
        self.assertEqual(self.below.calls, ['close'])

    async def test_one_that_fails(self) -> None:
        self.start()
        self.feed(b'GET / HTTP/1.1\r\n\r\n')
        self.assertEqual(self.below.calls, ['abort'])
        with logs() as records:
            self.layer.connection_lost(None)
        self.assertEqual(self.above.calls, [])
        self.assertRegex(records[0].getMessage(), r"^no TLS with \('192.0.2.1', 80\): .*HTTP_REQUEST")

    async def test_one_that_is_given_up(self) -> None:
        self.start()
        with contextlib.suppress(ssl.SSLWantReadError):
            self.client.do_handshake()
        self.feed(self.said()[:20])
        self.assertIsNone(self.layer.eof_received())
        self.layer.pause_writing()
        self.layer.resume_writing()
        with logs() as records:
            self.layer.connection_lost(None)
        self.assertEqual((self.above.calls, len(records)), ([], 1))

    async def test_one_that_takes_too_long(self) -> None:
        self.layer = encrypted(lambda: self.above, support_tls.server_context(), handshake_timeout=0.01)()
        self.layer.connection_made(self.below)
        self.feed(b'\x16')
        await asyncio.sleep(0.05)
        self.assertEqual(self.below.calls, ['abort'])
        with logs() as records:
            self.layer.connection_lost(None)
        self.assertIn('the handshake was not done within 0.01 s', records[0].getMessage())

    async def test_the_timeouts_are_those_of_asyncio_when_none_are_given(self) -> None:
        layer = encrypted(lambda: self.above, support_tls.server_context())()
        self.assertEqual((layer._handshake_timeout, layer._shutdown_timeout), (60, 30))


class Writing(Layer):
    async def test_messages(self) -> None:
        self.shake_hands()
        for data in (b'', b'a', MESSAGE, memoryview(MESSAGE)[5:]):
            self.layer.write(data)
            self.assertEqual(self.hear(), bytes(data))
        self.layer.writelines([b'b', b'c'])
        self.assertEqual(self.hear(), b'bc')

    async def test_the_transport_below_says_when_it_is_enough(self) -> None:
        self.shake_hands()
        self.layer.set_write_buffer_limits(high=5)
        self.below.waits = 17
        self.assertEqual((self.below.limits, self.layer.get_write_buffer_size()), ((5, None), 17))
        self.layer.pause_writing()
        self.layer.resume_writing()
        self.assertEqual(self.above.calls, ['made', 'pause', 'resume'])

    async def test_a_write_that_tls_does_not_take(self) -> None:
        self.shake_hands()
        # What OpenSSL before 3.0 does when a client begins a second handshake, which the ssl module cannot.
        with mock.patch.object(self.layer, '_tls') as tls:
            tls.write.side_effect = ssl.SSLWantReadError
            self.layer.write(b'message')
        self.layer.write(b'another')
        self.assertEqual((self.below.calls, self.below.written), (['abort'], b''))
        self.layer.connection_lost(None)
        self.assertEqual(self.above.calls[-1], ('lost', ssl.SSLWantReadError))

    async def test_a_write_that_takes_one_record_at_a_time(self) -> None:
        self.shake_hands()
        tls = self.layer._tls
        with mock.patch.object(self.layer, '_tls') as patched:
            patched.write.side_effect = lambda data: tls.write(memoryview(data)[:RECORD])
            self.layer.write(MESSAGE)
        self.assertEqual(self.hear(), MESSAGE)

    async def test_answers_of_tls_itself(self) -> None:
        self.shake_hands()
        for waits, calls in ((0, []), (tlstransport.MOST, []), (tlstransport.MOST + 1, ['abort'])):
            self.below.waits = waits
            self.layer._outgoing.write(b'the new keys')
            self.feed(self.said(b'.'))
            self.assertEqual((self.below.written, self.below.calls), (b'the new keys', calls))
            self.below.written = b''


class Closing(Layer):
    async def test_the_end_of_both(self) -> None:
        self.shake_hands()
        self.layer.write(b'last words')
        self.layer.close()
        self.layer.close()
        self.assertTrue(self.layer.is_closing())
        self.layer.write(b'too late')
        self.assertEqual(self.hear(), b'last words')
        self.assertEqual(self.below.calls, [])
        self.feed(self.end())
        self.assertEqual(self.below.calls, ['close'])
        self.layer.connection_lost(None)
        self.assertEqual(self.above.calls, ['made', ('lost', type(None))])
        self.assertTrue(self.layer._timer is None)

    async def test_data_that_cross_our_end_are_thrown_away(self) -> None:
        self.shake_hands()
        crossing = self.said(MESSAGE)
        self.feed(crossing[:50_000])
        self.layer.close()
        self.feed(crossing[50_000:])
        self.assertEqual((self.above.received, self.below.calls), (MESSAGE[: 3 * RECORD], []))
        self.assertEqual(self.hear(), b'')
        self.feed(self.said(b'more') + self.end())
        self.assertEqual((self.above.received, self.below.calls), (MESSAGE[: 3 * RECORD], ['close']))

    async def test_while_reading_is_paused(self) -> None:
        self.shake_hands()
        self.layer.pause_reading()
        self.feed(self.said(MESSAGE))
        self.layer.close()
        self.layer.pause_reading()
        self.layer.resume_reading()
        await asyncio.sleep(0)
        self.assertEqual(self.below.calls, ['pause_reading', 'resume_reading'])
        self.assertEqual((self.above.received, self.hear()), (b'', b''))
        self.feed(self.end())
        self.assertEqual(self.below.calls[-1], 'close')

    async def test_something_wrong_behind_our_end(self) -> None:
        self.shake_hands()
        self.layer.close()
        self.feed(bytes(100))
        self.assertEqual(self.below.calls, ['close'])

    async def test_a_connection_that_ends_behind_our_end(self) -> None:
        self.shake_hands()
        self.layer.close()
        self.assertIsNone(self.layer.eof_received())
        self.assertEqual(self.above.calls, ['made'])

    async def test_a_peer_that_does_not_answer(self) -> None:
        self.shake_hands()
        self.layer._shutdown_timeout = 0.01
        self.layer.close()
        self.feed(self.said(b'I go on'))
        await asyncio.sleep(0.05)
        self.assertEqual(self.below.calls, ['abort'])

    async def test_abort(self) -> None:
        self.shake_hands()
        self.layer.abort()
        self.layer.write(b'too late')
        self.assertEqual((self.below.calls, self.below.written), (['abort'], b''))
        self.assertTrue(self.layer.is_closing())


class Information(Layer):
    async def test_what_asyncio_tells(self) -> None:
        self.shake_hands()
        tls = self.layer.get_extra_info('ssl_object')
        self.assertIsInstance(tls, ssl.SSLObject)
        self.assertEqual(tls.version(), self.client.version())
        self.assertIs(self.layer.get_extra_info('sslcontext'), tls.context)
        self.assertEqual(self.layer.get_extra_info('cipher'), tls.cipher())
        self.assertIsNone(self.layer.get_extra_info('compression'))
        self.assertIsNone(self.layer.get_extra_info('peercert'))
        self.assertEqual(self.layer.get_extra_info('peername'), ('192.0.2.1', 80))
        self.assertEqual(self.layer.get_extra_info('weather', 'fine'), 'fine')

    async def test_the_protocol(self) -> None:
        self.shake_hands()
        self.assertIs(self.layer.get_protocol(), self.above)
        other = Above()
        self.layer.set_protocol(other)
        self.feed(self.said(b'for the other'))
        self.assertEqual((self.above.received, other.received), (b'', b'for the other'))
        self.assertFalse(self.layer.can_write_eof())
        self.assertFalse(self.layer.is_closing())
        self.below.abort()
        self.assertTrue(self.layer.is_closing())


class OlderVersion:
    """All of it with TLS 1.2."""

    version = ssl.TLSVersion.TLSv1_2


class OlderReading(OlderVersion, Reading):
    pass


class OlderWriting(OlderVersion, Writing):
    pass


class OlderClosing(OlderVersion, Closing):
    pass


@needs_certificates
class Connections(unittest.IsolatedAsyncioTestCase):
    async def test_much_in_both_directions_at_once(self) -> None:
        class Echo(asyncio.Protocol):
            transport: Any

            def connection_made(self, transport: Any) -> None:
                self.transport = transport

            def data_received(self, data: bytes) -> None:
                self.transport.write(data)

            def pause_writing(self) -> None:
                self.transport.pause_reading()

            def resume_writing(self) -> None:
                self.transport.resume_reading()

        loop = asyncio.get_running_loop()
        server = await loop.create_server(encrypted(Echo, support_tls.server_context()), '127.0.0.1', 0)
        async with server:
            name = server.sockets[0].getsockname()
            options: dict[str, Any] = {'ssl': support_tls.client_context(), 'server_hostname': 'localhost'}
            reader, writer = await asyncio.open_connection(*name, **options)
            data = MESSAGE * 100
            writer.write(data)  # while nothing is read of what comes back
            self.assertEqual(await asyncio.wait_for(reader.readexactly(len(data)), TIMEOUT), data)
            writer.close()
            with contextlib.suppress(ConnectionError):
                await asyncio.wait_for(writer.wait_closed(), TIMEOUT)

    def test_a_context_is_needed(self) -> None:
        context: Any = True
        with self.assertRaisesRegex(TypeError, r'ssl is True \(expected an ssl.SSLContext\)'):
            encrypted(Above, context)

    def test_it_is_a_transport(self) -> None:
        self.assertTrue(issubclass(TLSTransport, (asyncio.Transport, asyncio.BufferedProtocol)))


if __name__ == '__main__':
    unittest.main()
