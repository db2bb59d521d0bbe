"""The differences to the package `websockets` that are known, and which sentence of an RFC decides each of them.

``python -m fuzz.differences`` writes them as the table of the documentation. :mod:`fuzz.differential` says when one is
met.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import NamedTuple

TABLE = Path(__file__).resolve().parents[2] / 'docs' / 'differential_table.rst'


class Rule(NamedTuple):
    """A difference that is known.

    :ivar what: where the two differ.
    :ivar ours, theirs: what each of them does.
    :ivar source: the section that decides it.
    :ivar sentence: what it says.
    """

    what: str
    ours: str
    theirs: str
    source: str
    sentence: str


RULES = {
    # Frames
    'early': Rule(
        'A frame that is wrong, of which a part is still to come',
        'fails with the first byte that is wrong; for a limit or the mask, when its header has come',
        'fails when its length, or all of it, has come',
        'RFC 6455 section 7.1.7',
        'An endpoint MUST NOT continue to attempt to process data (including a responding Close frame) from the '
        'remote endpoint after being instructed to _Fail the WebSocket Connection_.',
    ),
    'text': Rule(
        'Text that is not UTF-8, before the end of its message',
        '1007 at the first byte that is wrong',
        'goes on until somebody decodes the message',
        'RFC 6455 section 8.1',
        'When an endpoint is to interpret a byte stream as UTF-8 but finds that the byte stream is not, in fact, a '
        'valid UTF-8 stream, that endpoint MUST _Fail the WebSocket Connection_.',
    ),
    'shortest': Rule(
        'A payload length that is not in its shortest form',
        '1002',
        'accepts it',
        'RFC 6455 section 5.2',
        'Note that in all cases, the minimal number of bytes MUST be used to encode the length, for example, the '
        "length of a 124-byte-long string can't be encoded as the sequence 126, 0, 124.",
    ),
    'top bit': Rule(
        'A 64-bit length whose top bit is 1',
        '1002',
        '1009',
        'RFC 6455 section 5.2',
        'If 127, the following 8 bytes interpreted as a 64-bit unsigned integer (the most significant bit MUST be 0) '
        'are the payload length.',
    ),
    'several': Rule(
        'Several things wrong with one frame, or with one payload',
        'fails with one of the codes',
        'fails with another of them',
        'RFC 6455 section 7.1.7',
        'Certain algorithms and specifications require an endpoint to _Fail the WebSocket Connection_.',
    ),
    'control limit': Rule(
        'A control frame that is longer than the limit on messages',
        'accepts up to 125 bytes',
        '1009',
        'RFC 6455 section 5.5',
        'All control frames MUST have a payload length of 125 bytes or less and MUST NOT be fragmented.',
    ),
    'close inside': Rule(
        'A Close frame between the fragments of a message',
        'closes as the peer asks',
        '1002',
        'RFC 6455 section 5.4',
        'Control frames (see Section 5.5) MAY be injected in the middle of a fragmented message.',
    ),
    'inflate': Rule(
        'Compressed data that cannot be inflated',
        '1007',
        '1002',
        'RFC 6455 section 7.4.1',
        '1007 indicates that an endpoint is terminating the connection because it has received data within a message '
        'that was not consistent with the type of the message.',
    ),
    'final block': Rule(
        'A compressed message with a block that has its final bit set',
        'goes on with what is behind it',
        'takes nothing that is behind it, in this message and in later ones',
        'RFC 7692 section 7.2.3.4',
        'On platforms on which the flush method using an empty DEFLATE block with no compression is not available, '
        'implementors can choose to flush data using DEFLATE blocks with "BFINAL" set to 1.',
    ),
    'no block': Rule(
        'A compressed message without any bytes',
        'an empty message',
        'mixes it up with the next ones',
        'RFC 7692 section 7.2.3.6',
        "If the compression library doesn't generate any data when the buffer is empty, an empty uncompressed DEFLATE "
        'block can be built and used for this case […].',
    ),
    'compressed size': Rule(
        'A compressed message near the limit on its size',
        'has a limit on the bytes announced, and the same one on the bytes inflated',
        'counts what earlier fragments were inflated to against the bytes of the next; none is left: no limit',
        'RFC 6455 section 10.4',
        'Such implementations SHOULD impose a limit on frame sizes and the total message size after reassembly from '
        'multiple frames.',
    ),
    # Requests
    'no answer': Rule(
        'A request that is malformed',
        '400, 505, or what else fits',
        'ends the connection without an answer',
        'RFC 9112 section 3',
        'Recipients of an invalid request-line SHOULD respond with either a 400 (Bad Request) error or a 301 (Moved '
        'Permanently) redirect with the request-target properly encoded.',
    ),
    'several refusals': Rule(
        'Several things wrong with one request',
        'one of the statuses',
        'another of them',
        'RFC 6455 section 4.2.1',
        'If the server, while reading the handshake, finds that the client did not send a handshake that matches the '
        "description below […], the server MUST stop processing the client's handshake and return an HTTP response "
        'with an appropriate error code (such as 400 Bad Request).',
    ),
    'host': Rule(
        'A request without Host, with several, or with one that is none',
        '400',
        'does not look at it',
        'RFC 9112 section 3.2',
        'A server MUST respond with a 400 (Bad Request) status code to any HTTP/1.1 request message that lacks a Host '
        'header field and to any request message that contains more than one Host header field line or a Host header '
        'field with an invalid field value.',
    ),
    'target': Rule(
        'A request target that is empty, or has control characters',
        '400',
        'accepts it',
        'RFC 9112 section 3',
        'A recipient SHOULD NOT attempt to autocorrect and then process the request without a redirect, since the '
        'invalid request-line might be deliberately crafted to bypass security filters along the request chain.',
    ),
    'method': Rule(
        'A request method that is no token',
        '400',
        '405',
        'RFC 9110 section 9.1',
        'method = token',
    ),
    'minor version': Rule(
        'HTTP/1.2 and above',
        'accepts it',
        'ends the connection without an answer',
        'RFC 9110 section 2.5',
        'A recipient that receives a message with a major version number that it implements and a minor version '
        'number higher than what it implements SHOULD process the message as if it was in the highest minor version '
        'within that major version to which the recipient is conformant.',
    ),
    'upgrade status': Rule(
        'A request without Upgrade or Connection, or with others than websocket',
        '400',
        '426',
        'RFC 6455 section 4.2.1',
        "… the server MUST stop processing the client's handshake and return an HTTP response with an appropriate "
        'error code (such as 400 Bad Request).',
    ),
    'version status': Rule(
        'Another version than 13',
        '426, with the version that is spoken',
        '400',
        'RFC 6455 section 4.2.2',
        'If this version does not match a version understood by the server, the server MUST abort the WebSocket '
        'handshake described in this section and instead send an appropriate HTTP error code (such as 426 Upgrade '
        'Required) and a |Sec-WebSocket-Version| header field indicating the version(s) the server is capable of '
        'understanding.',
    ),
    'upgrade list': Rule(
        'Upgrade or Connection as a list of more than what is needed, or of what are no tokens',
        'accepts a list with the token in it',
        'refuses it',
        'RFC 6455 section 4.2.1',
        'A |Connection| header field that includes the token "Upgrade", treated as an ASCII case-insensitive value.',
    ),
    'empty list': Rule(
        'A list header without an element',
        'the same as none',
        '400, or fails',
        'RFC 9110 section 5.6.1.2',
        'A recipient MUST parse and ignore a reasonable number of empty list elements.',
    ),
    'empty body': Rule(
        'Content-Length: 0 in a request',
        '400, as for any other length',
        'accepts it',
        'RFC 9112 section 6.3',
        'If a valid Content-Length header field is present without Transfer-Encoding, its decimal value defines the '
        'expected message body length in octets.',
    ),
    'no subprotocol': Rule(
        'A client that offers no subprotocol, where the server speaks some',
        'accepts it without one',
        '400',
        'RFC 6455 section 4.2.2',
        'The absence of such a field is equivalent to the null value.',
    ),
    'preference': Rule(
        'Several subprotocols in common',
        "the first of the client's list",
        "the first of the server's list",
        'RFC 6455 section 4.1',
        'If present, this value indicates one or more comma-separated subprotocol the client wishes to speak, ordered '
        'by preference.',
    ),
    'two origins': Rule(
        'Two Origin headers, where any origin is let in',
        'accepts it',
        '400',
        'RFC 6454 section 7.3',
        'The user agent MUST NOT include more than one Origin header field in any HTTP request.',
    ),
    'origin case': Rule(
        'An Origin in other letters than the one that is let in',
        'compares it without regard to case',
        '403',
        'RFC 6454 section 4',
        'Let uri-scheme be the scheme component of the URI, converted to lowercase. […] Let uri-host be the host '
        'component of the URI, converted to lower case.',
    ),
    'extension grammar': Rule(
        'A malformed Sec-WebSocket-Extensions, where the server has no extension',
        '400',
        'does not look at it',
        'RFC 6455 section 9.1',
        'If a value is received by either the client or the server during negotiation that does not conform to the '
        'ABNF below, the recipient of such malformed data MUST immediately _Fail the WebSocket Connection_.',
    ),
    'small window': Rule(
        'permessage-deflate with a window of 256 bytes for what we compress',
        'accepts it',
        'declines the offer, or fails',
        'RFC 7692 section 7.1.2.1',
        'This parameter has a decimal integer value without leading zeroes between 8 to 15, inclusive, indicating the '
        'base-2 logarithm of the LZ77 sliding window size […].',
    ),
    # Responses
    'interim': Rule(
        'Interim responses (1xx) before the final one',
        'passes over them',
        'fails',
        'RFC 9110 section 15.2',
        'A client MUST be able to parse one or more 1xx responses received prior to a final response, even if the '
        'client does not expect one.',
    ),
    'body': Rule(
        'A refusal whose body has not come',
        'fails with the head, and reads no body',
        'waits for the body',
        'RFC 6455 section 4.1',
        'If the status code received from the server is not 101, the client handles the response per HTTP [RFC2616] '
        'procedures.',
    ),
    'response version': Rule(
        'A 101 response of another HTTP/1.x than 1.1',
        'accepts it',
        'fails',
        'RFC 9110 section 2.5',
        'A recipient that receives a message with a major version number that it implements and a minor version '
        'number higher than what it implements SHOULD process the message as if it was in the highest minor version '
        'within that major version to which the recipient is conformant.',
    ),
    'no phrase': Rule(
        'A status line without a reason phrase, nor the space before it',
        'accepts it',
        'fails',
        'RFC 9112 section 4',
        'A client SHOULD ignore the reason-phrase content because it is not a reliable channel for information.',
    ),
    'space before colon': Rule(
        'A response with white space before the colon of a header',
        'accepts it, as ws4py 0.x has',
        'fails',
        'RFC 9112 section 5.1',
        'A proxy MUST remove any such whitespace from a response message before forwarding the message downstream.',
    ),
    'unasked': Rule(
        'A subprotocol or an extension that a client is given which has offered none',
        'logs it and applies nothing, as ws4py 0.x has',
        'fails',
        'RFC 6455 section 4.1',
        'If the response includes a |Sec-WebSocket-Extensions| header field and this header field indicates the use of '
        "an extension that was not present in the client's handshake (the server has indicated an extension not "
        'requested by the client), the client MUST _Fail the WebSocket Connection_.',
    ),
}

used: dict[str, int] = {}  # how often each rule was needed, for who wants to know


def by(rule: str) -> None:
    assert rule in RULES
    used[rule] = used.get(rule, 0) + 1


# The table of the documentation


def table() -> str:
    """The rules in reStructuredText."""
    lines = ['.. list-table::', '   :header-rows: 1', '   :widths: 22 18 18 42', '']
    for cells in [('Where', 'ws4py', 'websockets', 'What decides'), *map(cells_of, RULES.values())]:
        lines += [f'   {"  -" if column else "* -"} {cell}' for column, cell in enumerate(cells)]
    return '\n'.join(lines) + '\n'


def cells_of(rule: Rule) -> tuple[str, str, str, str]:
    escaped = [text.replace('|', '\\|').replace('_F', '\\_F').replace('n_', 'n\\_') for text in rule]
    return escaped[0], escaped[1], escaped[2], f'{escaped[3]}: “{escaped[4]}”'


def main() -> int:
    TABLE.write_text(f'.. Written by python -m fuzz.differences.\n\n{table()}', 'utf-8')
    return 0


if __name__ == '__main__':
    sys.exit(main())
