"""Every exception that ws4py raises by itself.

::

    Exception
    ├── StreamClosed                          reading from a connection that has ended
    └── WebSocketException
        ├── ProtocolException                 the peer broke RFC 6455            -> close code 1002
        ├── UnsupportedFrameTypeException     a frame of a reserved type         -> close code 1002
        ├── FrameTooLargeException            a length that RFC 6455 forbids     -> close code 1002
        ├── LimitExceededException            a length that our limits forbid    -> close code 1009
        ├── TextFrameEncodingException        text that is not UTF-8             -> close code 1007
        ├── InvalidBytesError                 bytes that cannot be what they claim -> close code 1007
        └── HandshakeError                    the opening handshake failed
            ├── BrokenOffError                … before there was an answer to judge
            └── HTTPError                     … and this HTTP status says why

What the *peer* does wrong is one of these; :mod:`ws4py.streaming` turns it into a close code and nothing leaves
the parser. What the *application* does wrong is a plain :exc:`ValueError`, :exc:`TypeError` or
:exc:`RuntimeError` at the place of the call.
"""

from __future__ import annotations

from typing import Optional

__all__ = [
    'BrokenOffError',
    'FrameTooLargeException',
    'HTTPError',
    'HandshakeError',
    'InvalidBytesError',
    'LimitExceededException',
    'ProtocolException',
    'StreamClosed',
    'TextFrameEncodingException',
    'UnsupportedFrameTypeException',
    'WebSocketException',
]


class WebSocketException(Exception):
    """The root of what can go wrong on a WebSocket connection."""


class ProtocolException(WebSocketException):
    """The peer broke a rule of RFC 6455 (close code 1002)."""


class FrameTooLargeException(WebSocketException):
    """A frame is longer than its kind or its length field may be (RFC 6455 sections 5.2 and 5.5)."""


class UnsupportedFrameTypeException(WebSocketException):
    """A frame has an opcode that this endpoint does not know (RFC 6455 section 5.2)."""


class LimitExceededException(WebSocketException):
    """A message is over a limit that this endpoint has set (close code 1009, :class:`ws4py.limits.Limits`)."""


class TextFrameEncodingException(WebSocketException):
    """A text message or a close reason is not UTF-8 (close code 1007, RFC 6455 section 8.1)."""


class InvalidBytesError(WebSocketException):
    """Bytes are not what the message's type says they are (close code 1007)."""


class HandshakeError(WebSocketException):
    """The opening handshake failed (RFC 6455 section 4).

    :ivar msg: what was found and what was expected, as text.
    :ivar response_status: on a client, the HTTP status that the server answered with in place of 101; None where that
        is not what went wrong.
    :ivar retry_after: on a client, when the server would have it try again: the ``Retry-After`` of that answer, as it
        came, or None.
    """

    response_status: Optional[int] = None
    retry_after: Optional[str] = None

    def __init__(self, msg: str) -> None:
        super().__init__(msg)
        self.msg = msg

    def __str__(self) -> str:
        return self.msg


class BrokenOffError(HandshakeError):
    """On a client, the connection or the time for it came to its end before the opening handshake did.

    Nobody has judged it: what was asked for may be granted the next time.
    """


class HTTPError(HandshakeError):
    """The head of a request or a response cannot be accepted.

    :ivar status: the HTTP status a server answers with (400, 414, 431, 505, …).
    """

    def __init__(self, status: int, msg: str) -> None:
        super().__init__(msg)
        self.args = (status, msg)  # what copy and pickle call the class with
        self.status = status


class StreamClosed(Exception):
    """The connection has ended, nothing more can be read from it.

    :ivar code: the close code, or None where it is not known.
    :ivar reason: the close reason as text.
    """

    def __init__(self, code: Optional[int] = None, reason: str = '') -> None:
        super().__init__(code, reason)
        self.code = code
        self.reason = reason
