"""The exceptions: who derives from whom, and what they say."""

from __future__ import annotations

import copy
import pickle
import unittest

from ws4py import exc


class ExceptionsTest(unittest.TestCase):
    def test_the_tree(self) -> None:
        parents = {
            'WebSocketException': Exception,
            'ProtocolException': exc.WebSocketException,
            'FrameTooLargeException': exc.WebSocketException,
            'UnsupportedFrameTypeException': exc.WebSocketException,
            'LimitExceededException': exc.WebSocketException,
            'TextFrameEncodingException': exc.WebSocketException,
            'InvalidBytesError': exc.WebSocketException,
            'HandshakeError': exc.WebSocketException,
            'BrokenOffError': exc.HandshakeError,
            'HTTPError': exc.HandshakeError,
            'StreamClosed': Exception,
        }
        self.assertEqual(sorted(parents), sorted(exc.__all__))
        for name, parent in parents.items():
            with self.subTest(name):
                self.assertEqual(getattr(exc, name).__bases__, (parent,))

    def test_the_docstring_draws_every_one(self) -> None:
        for name in exc.__all__:
            self.assertRegex(exc.__doc__ or '', rf'[─ ]{name}\b')

    def test_stream_closed_is_no_websocket_exception(self) -> None:
        self.assertFalse(issubclass(exc.StreamClosed, exc.WebSocketException))

    def test_those_of_a_frame_take_a_text(self) -> None:
        for kind in (
            exc.WebSocketException,
            exc.ProtocolException,
            exc.FrameTooLargeException,
            exc.UnsupportedFrameTypeException,
            exc.LimitExceededException,
            exc.TextFrameEncodingException,
            exc.InvalidBytesError,
        ):
            self.assertEqual((str(kind('why')), str(kind())), ('why', ''))

    def test_handshake_error(self) -> None:
        error = exc.HandshakeError('Header HTTP_UPGRADE is not defined')
        self.assertEqual(error.msg, 'Header HTTP_UPGRADE is not defined')
        self.assertEqual(str(error), error.msg)
        with self.assertRaises(TypeError):
            exc.HandshakeError()  # type: ignore[call-arg]

    def test_http_error(self) -> None:
        error = exc.HTTPError(414, 'too long')
        self.assertEqual((error.status, error.msg, str(error)), (414, 'too long', 'too long'))

    def test_stream_closed(self) -> None:
        self.assertEqual((exc.StreamClosed().code, exc.StreamClosed().reason), (None, ''))
        error = exc.StreamClosed(1001, 'bye')
        self.assertEqual((error.code, error.reason), (1001, 'bye'))
        self.assertIn('1001', str(error))
        self.assertIn('bye', str(error))

    def test_they_can_be_copied_and_pickled(self) -> None:
        for error in (
            exc.ProtocolException('why'),
            exc.HandshakeError('why'),
            exc.BrokenOffError('why'),
            exc.HTTPError(400, 'why'),
            exc.StreamClosed(1000, 'why'),
        ):
            for again in (copy.copy(error), pickle.loads(pickle.dumps(error))):
                self.assertIs(type(again), type(error))
                self.assertEqual((again.args, vars(again), str(again)), (error.args, vars(error), str(error)))


if __name__ == '__main__':
    unittest.main()
