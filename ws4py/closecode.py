"""Close codes: their names, which of them may be sent, and the payload of a Close frame.

The only place where a close code is judged (RFC 6455 sections 5.5.1 and 7.4, and the IANA registry that RFC 6455
section 11.7 set up). Pure functions, called by messaging, streaming and websocket.
"""

from __future__ import annotations

from ws4py.exc import ProtocolException, TextFrameEncodingException

__all__ = [
    'ABNORMAL_CLOSURE',
    'BAD_GATEWAY',
    'GOING_AWAY',
    'INTERNAL_ERROR',
    'INVALID_PAYLOAD',
    'MANDATORY_EXTENSION',
    'MESSAGE_TOO_BIG',
    'NORMAL_CLOSURE',
    'NO_STATUS_RECEIVED',
    'POLICY_VIOLATION',
    'PROTOCOL_ERROR',
    'SERVICE_RESTART',
    'TLS_HANDSHAKE',
    'TRY_AGAIN_LATER',
    'UNSUPPORTED_DATA',
    'build',
    'is_sendable',
    'parse',
]

NORMAL_CLOSURE = 1000
GOING_AWAY = 1001
PROTOCOL_ERROR = 1002
UNSUPPORTED_DATA = 1003
NO_STATUS_RECEIVED = 1005  # a Close frame without a payload; never sent
ABNORMAL_CLOSURE = 1006  # no Close frame at all; never sent
INVALID_PAYLOAD = 1007
POLICY_VIOLATION = 1008
MESSAGE_TOO_BIG = 1009
MANDATORY_EXTENSION = 1010
INTERNAL_ERROR = 1011
SERVICE_RESTART = 1012  # 1012 to 1014 came to the registry after RFC 6455
TRY_AGAIN_LATER = 1013
BAD_GATEWAY = 1014
TLS_HANDSHAKE = 1015  # never sent

_NEVER_SENT = frozenset((1004, NO_STATUS_RECEIVED, ABNORMAL_CLOSURE))
REASON_SIZE = 123  # a control frame holds 125 bytes, the code takes two of them


def is_sendable(code: int) -> bool:
    """True when *code* may stand in a Close frame (RFC 6455 section 7.4.2: 1000-1014 registered, 3000-4999 free)."""
    return (NORMAL_CLOSURE <= code <= BAD_GATEWAY and code not in _NEVER_SENT) or 3000 <= code <= 4999


def cut_reason(reason: bytes) -> bytes:
    """*reason* in at most 123 bytes, cut where a character ends (RFC 6455 section 5.5)."""
    if len(reason) <= REASON_SIZE:
        return reason
    end = REASON_SIZE
    while end and reason[end] & 0xC0 == 0x80:  # in the middle of a character: go back to its first byte
        end -= 1
    return reason[:end]


def build(code: int, reason: bytes = b'') -> bytes:
    """The payload of a Close frame: two bytes of code, then the reason, cut to fit.

    :raises ValueError: *code* may not be sent.
    """
    if not is_sendable(code):
        raise ValueError(f'close code {code} may not be sent (1000-1003, 1007-1014 and 3000-4999 may)')
    return code.to_bytes(2, 'big') + cut_reason(reason)


def parse(payload: bytes) -> tuple[int, bytes]:
    """The code and the reason in the payload of a Close frame that the peer sent; 1005 where it is empty.

    :raises ProtocolException: one byte, or a code that may not be sent.
    :raises TextFrameEncodingException: the reason is not UTF-8.
    """
    if not payload:
        return NO_STATUS_RECEIVED, b''
    if len(payload) == 1:
        raise ProtocolException('a Close frame of one byte (no bytes, or a code of two bytes, was expected)')
    code = int.from_bytes(payload[:2], 'big')
    if not is_sendable(code):
        raise ProtocolException(f'close code {code} may not be sent')
    reason = bytes(payload[2:])
    try:
        reason.decode('utf-8')
    except UnicodeDecodeError as error:
        raise TextFrameEncodingException(f'a close reason that is not UTF-8: {error.reason}') from error
    return code, reason
