"""Tests of applications put mocks in place of the socket, the stream and the connection: what they rely on.

Every attribute of a ``MagicMock`` exists, is truthy and cannot be ordered. The manager with mocks is in test_manager.
"""

from __future__ import annotations

import socket
import unittest
from typing import Any
from unittest.mock import MagicMock, call, patch

from ws4py.messaging import BinaryMessage, CloseControlMessage, PingControlMessage, TextMessage
from ws4py.streaming import Stream
from ws4py.websocket import EchoWebSocket, Heartbeat, WebSocket


class MockSocket(unittest.TestCase):
    def setUp(self) -> None:
        self.sock = MagicMock()
        self.ws = WebSocket(sock=self.sock)

    def test_every_frame_is_one_sendall(self) -> None:
        self.ws.send('hello')
        self.sock.sendall.assert_called_once_with(b'\x81\x05hello')
        self.ws.send(b'ab', binary=True)
        self.ws.send(TextMessage('x'))
        self.ws.send(c for c in ('a', 'b', 'c'))
        self.ws.ping('p')
        frames = [args[0][0] for args in self.sock.sendall.call_args_list[1:]]
        self.assertEqual(frames, [b'\x82\x02ab', b'\x81\x01x', b'\x01\x01a', b'\x00\x01b', b'\x80\x01c', b'\x89\x01p'])
        self.sock.send.assert_not_called()

    def test_one_chunk_is_one_final_frame(self) -> None:
        self.ws.send(iter(['hello']))
        self.sock.sendall.assert_called_once_with(b'\x81\x05hello')

    def test_close_is_sent_once(self) -> None:
        self.ws.close(code=1000, reason=b'bye')
        self.ws.close()
        self.sock.sendall.assert_called_once_with(b'\x88\x05\x03\xe8bye')

    def test_write_errors_of_a_close_are_swallowed(self) -> None:
        self.sock.sendall.side_effect = OSError()
        self.ws.close()

    def test_once_reads_once(self) -> None:
        self.sock.recv.return_value = b'\x81\x85\0\0\0\0hello'
        with patch.object(self.ws, 'received_message') as received:
            self.assertTrue(self.ws.once())
        self.sock.recv.assert_called_once_with(self.ws.reading_buffer_size)
        self.sock.recv_into.assert_not_called()
        self.assertEqual(received.call_args[0][0].data, b'hello')

    def test_once_at_the_end_and_on_errors(self) -> None:
        self.sock.recv.return_value = b''
        self.assertFalse(self.ws.once())
        error = OSError('gone')
        self.sock.recv.side_effect = error
        with patch.object(self.ws, 'unhandled_error') as unhandled:
            self.assertFalse(self.ws.once())
        unhandled.assert_called_once_with(error)
        self.assertFalse(self.ws._is_secure is None)

    def test_pending_may_be_anything(self) -> None:
        self.assertIs(self.ws.holds_input, False)  # for a mock
        for answer, holds in ((True, True), (False, False), (3, True), (0, False)):
            self.sock.pending.return_value = answer
            self.assertIs(self.ws.holds_input, holds)

    def test_run(self) -> None:
        self.sock.recv.side_effect = [b'\x81\x82\0\0\0\0hi', b'\x88\x80\0\0\0\0', b'']
        with patch.multiple(self.ws, opened=MagicMock(), closed=MagicMock(), received_message=MagicMock()) as _:
            self.ws.sock_timeout = 7
            opened: Any = self.ws.opened
            closed: Any = self.ws.closed
            self.ws.run()
            opened.assert_called_once_with()
            closed.assert_called_once_with(1005, b'')
        self.assertEqual(self.sock.settimeout.call_args, call(7))
        self.sock.shutdown.assert_called_once_with(socket.SHUT_RDWR)
        self.sock.close.assert_called_once_with()
        self.assertIsNone(self.ws.sock)

    def test_run_calls_what_was_patched(self) -> None:
        hooks = {name: MagicMock() for name in ('opened', 'once', 'terminate')}
        hooks['once'].side_effect = [True, False]
        self.ws.heartbeat_freq = 2.5
        with patch('ws4py.websocket.Heartbeat') as heartbeat, patch.multiple(self.ws, **hooks):
            self.ws.run()
        self.sock.settimeout.assert_called_once_with(None)
        heartbeat.assert_called_once_with(self.ws, frequency=2.5)
        heartbeat.return_value.__enter__.assert_called_once_with()
        self.assertEqual([hook.call_count for hook in hooks.values()], [1, 2, 1])

    def test_a_write_of_the_applications_own_needs_no_socket(self) -> None:
        ws, written = WebSocket(None), []
        with patch.object(ws, '_write', side_effect=written.append):
            ws.send('hi')
            ws.close(1001)
        self.assertEqual(written, [b'\x81\x02hi', b'\x88\x02\x03\xe9'])

    def test_what_can_be_secure(self) -> None:
        self.assertIs(WebSocket(MagicMock(spec=['recv', '_sslobj']))._is_secure, True)
        self.assertIs(WebSocket(MagicMock(spec=['recv', '_ssl']))._is_secure, True)
        self.assertIs(WebSocket(MagicMock(spec=['recv']))._is_secure, False)

    def test_addresses(self) -> None:
        self.sock.getsockname.return_value = ('::1', 80, 0, 0)
        self.sock.getpeername.side_effect = OSError
        self.assertEqual([self.ws.local_address, self.ws.local_address], [('::1', 80)] * 2)
        self.sock.getsockname.assert_called_once_with()
        self.assertIsNone(self.ws.peer_address)

    def test_terminate(self) -> None:
        seen = []
        self.ws.environ = {'a': 'b'}
        with patch.object(self.ws, 'closed', side_effect=lambda *args: seen.append((args, self.ws.environ))):
            self.ws.terminate()
        self.assertEqual(seen, [((1006, 'Going away'), {'a': 'b'})])
        self.assertTrue(self.ws.client_terminated and self.ws.server_terminated)
        self.assertIsNone(self.ws.environ)
        with self.assertRaises(RuntimeError):
            self.ws._write(b'x')

    def test_an_echo(self) -> None:
        echo = EchoWebSocket(self.sock)
        with patch.object(echo, 'send') as send:
            echo.received_message(BinaryMessage(b'x'))
        send.assert_called_once_with(b'x', True)


class MockStream(unittest.TestCase):
    def setUp(self) -> None:
        self.sock, self.stream, self.close = MagicMock(), MagicMock(), MagicMock()
        self.ws = WebSocket(sock=self.sock)

    def test_a_close_that_was_received(self) -> None:
        with patch.multiple(self.ws, stream=self.stream, close=self.close):
            self.stream.closing = CloseControlMessage(code=1000, reason='test closing')
            self.assertFalse(self.ws.process(b'unused'))
        self.close.assert_called_once_with(1000, b'test closing')
        self.stream.parser.send.assert_called_once_with(b'unused')

    def test_an_error(self) -> None:
        with patch.multiple(self.ws, stream=self.stream, close=self.close):
            self.stream.closing = None
            self.stream.errors = [CloseControlMessage(code=1002, reason='wrong')]
            self.assertFalse(self.ws.process(b'unused'))
            self.assertEqual(self.stream.errors, [])
        self.close.assert_called_once_with(1002, b'wrong')

    def test_a_message(self) -> None:
        received = MagicMock()
        message = TextMessage('hello')
        with patch.multiple(self.ws, stream=self.stream, received_message=received):
            self.stream.closing, self.stream.errors = None, []
            self.stream.pings, self.stream.pongs = [], []
            self.stream.message = message
            self.assertTrue(self.ws.process(b'unused'))
            self.assertIsNone(self.stream.message)
        received.assert_called_once_with(message)

    def test_pings_and_pongs(self) -> None:
        ponged = MagicMock()
        self.stream.closing, self.stream.errors, self.stream.has_message = None, [], False
        self.stream.pings, self.stream.pongs = [PingControlMessage('p')], ['pong']
        self.stream.pong.return_value = b'the pong'
        self.stream.parser.send.return_value = 2
        with patch.multiple(self.ws, stream=self.stream, ponged=ponged):
            self.assertTrue(self.ws.process(b'unused'))
        self.sock.sendall.assert_called_once_with(b'the pong')
        ponged.assert_called_once_with('pong')

    def test_what_is_sent_goes_through_the_stream(self) -> None:
        with patch.multiple(self.ws, stream=self.stream):
            self.ws.send('text')
            self.stream.text_message.assert_called_once_with('text')
            self.stream.text_message().single.assert_called_once_with(mask=self.stream.always_mask)
            self.sock.sendall.assert_called_once_with(self.stream.text_message().single())
            self.ws.send(b'binary', binary=True)
            self.stream.binary_message.assert_called_once_with(b'binary')
            self.ws.ping('ping')
            self.stream.ping.assert_called_once_with('ping')
            self.ws.close(1001, 'bye')
            self.stream.close.assert_called_once_with(1001, 'bye')
            self.stream.close().single.assert_called_once_with(mask=self.stream.always_mask)

    def test_a_stream_of_which_nothing_was_set(self) -> None:
        with patch.multiple(self.ws, stream=self.stream):
            self.assertFalse(self.ws.process(b'unused'))
            self.stream.close.assert_called_once_with(self.stream.closing.code, self.stream.closing.reason)

    def test_a_stream_that_has_only_what_the_class_has(self) -> None:
        stream = MagicMock(spec=Stream, closing=CloseControlMessage(1000, 'done'), errors=[])
        with patch.multiple(self.ws, stream=stream, close=self.close):
            self.assertFalse(self.ws.process(b'unused'))
        stream.parser.send.assert_called_once_with(b'unused')
        self.close.assert_called_once_with(1000, b'done')

    def test_terminate(self) -> None:
        closed = MagicMock()
        self.ws.stream = self.stream
        self.stream.closing = CloseControlMessage(code=1000, reason='done')
        with patch.multiple(self.ws, closed=closed):
            self.ws.terminate()
        closed.assert_called_once_with(1000, b'done')
        self.assertIsNone(self.ws.stream)
        other = WebSocket(sock=MagicMock())
        other.stream = MagicMock(closing=None)
        with patch.multiple(other, closed=closed, close_connection=MagicMock()):
            other.terminate()
        closed.assert_called_with(1006, 'Going away')


class MockConnection(unittest.TestCase):
    def test_a_heartbeat(self) -> None:
        ws = MagicMock()
        with Heartbeat(ws, frequency=0):
            pass
        ws.send.assert_not_called()
        ws.send.side_effect = [None, None, RuntimeError('over')]
        with Heartbeat(ws, frequency=0.001) as heartbeat:
            heartbeat.join(10)
        self.assertEqual(ws.send.call_count, 3)


if __name__ == '__main__':
    unittest.main()
